use super::*;
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::Arc;
use std::thread::{self, JoinHandle};

use rustls::pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};
use rustls::{ServerConfig, ServerConnection, StreamOwned};

const TEXT: &str = "version = 1\n";

/// A server for `times` requests; returns its address and, with TLS, its certificate's digest.
struct Server {
    address: String,
    pin: String,
    thread: JoinHandle<()>,
}

fn serve(tls: bool, times: usize, status: &'static str) -> Server {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let at = listener.local_addr().unwrap();
    let certified = rcgen::generate_simple_self_signed(vec!["elsewhere".to_owned()]).unwrap();
    let der = certified.cert.der().clone();
    let pin = sha256_hex(&der);
    let key = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(certified.signing_key.serialize_der()));
    let config = ServerConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![der], key)
        .unwrap();
    let config = Arc::new(config);
    let thread = thread::spawn(move || {
        for _ in 0..times {
            let (stream, _) = listener.accept().unwrap();
            if tls {
                let conn = ServerConnection::new(config.clone()).unwrap();
                answer(StreamOwned::new(conn, stream), status);
            } else {
                answer::<TcpStream>(stream, status);
            }
        }
    });
    let scheme = if tls { "https" } else { "http" };
    Server { address: format!("{scheme}://{at}/answer.toml"), pin, thread }
}

fn answer<S: Read + Write>(mut stream: S, status: &str) {
    let mut request = Vec::new();
    let mut byte = [0];
    while !request.ends_with(b"\r\n\r\n") {
        match stream.read(&mut byte) {
            Ok(1..) => request.push(byte[0]),
            _ => return, // the client went away: it did not like the certificate
        }
    }
    let head = format!(
        "HTTP/1.1 {status}\r\nContent-Length: {}\r\nLocation: http://127.0.0.1:1/\r\nConnection: close\r\n\r\n",
        TEXT.len()
    );
    let _ = stream.write_all(format!("{head}{TEXT}").as_bytes());
    let _ = stream.flush();
}

fn digest_of_text() -> String {
    sha256_hex(TEXT.as_bytes())
}

#[test]
fn a_file_is_taken_by_its_digest_or_by_its_servers_certificate() {
    let plain = serve(false, 1, "200 OK");
    let url = AnswerUrl::new(&plain.address, Some(&digest_of_text()), None).unwrap();
    assert_eq!(url.fetch(&|| ()).unwrap(), TEXT);
    plain.thread.join().unwrap();

    let tls = serve(true, 2, "200 OK");
    // As `openssl x509 -fingerprint -sha256` prints it.
    let pin: Vec<String> =
        tls.pin.to_uppercase().as_bytes().chunks(2).map(|b| String::from_utf8_lossy(b).into()).collect();
    let url = AnswerUrl::new(&tls.address, None, Some(&pin.join(":"))).unwrap();
    assert_eq!(url.fetch(&|| ()).unwrap(), TEXT);
    let url = AnswerUrl::new(&tls.address, Some(&digest_of_text()), None).unwrap();
    assert_eq!(url.fetch(&|| ()).unwrap(), TEXT);
    tls.thread.join().unwrap();
}

#[test]
fn another_file_another_server_and_another_answer_are_refused_at_once() {
    let other = "ab".repeat(32);
    let rows = [
        (
            "another file",
            serve(false, 1, "200 OK"),
            Some(other.as_str()),
            None,
            "not the file that was meant",
        ),
        (
            "another server",
            serve(true, 1, "200 OK"),
            None,
            Some(other.as_str()),
            "not served by whom it should be",
        ),
        ("not there", serve(false, 1, "404 Not Found"), Some(&other), None, "404"),
        ("elsewhere", serve(false, 1, "302 Found"), Some(&other), None, "302"),
    ];
    for (name, server, sha256, pin, want) in rows {
        let error = AnswerUrl::new(&server.address, sha256, pin).unwrap().fetch(&|| ()).unwrap_err();
        assert!(format!("{error:#}").contains(want), "{name}: {error:#}");
        if name == "another server" {
            assert!(format!("{error:#}").contains(&server.pin), "{error:#}");
        }
        server.thread.join().unwrap();
    }
}
