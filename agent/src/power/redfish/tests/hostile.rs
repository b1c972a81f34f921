//! Controllers that are none, that are somebody else now, or that send us elsewhere.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use maekin_api::power::Action;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

use super::mock::{PASSWORD, Quirks, start};
use super::{BmcError, PACE, RedfishWay, certificate, run};
use crate::pki::identity::NodeKey;
use crate::power::redfish::Http;

/// A server that answers every connection with the same bytes, and ends it.
async fn parrot(bytes: Vec<u8>) -> (u16, Arc<AtomicU32>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let heard = Arc::new(AtomicU32::new(0));
    let count = Arc::clone(&heard);
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            count.fetch_add(1, Ordering::Relaxed);
            let mut buffer = [0; 4096];
            let _ = stream.read(&mut buffer).await;
            let _ = stream.write_all(&bytes).await; // the other end may have had enough
        }
    });
    (port, heard)
}

#[tokio::test]
async fn power_answers_that_are_garbage_are_errors_and_bounded() {
    let ok = |body: &[u8]| {
        [format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n", body.len()).as_bytes(), body].concat()
    };
    let rows: [(&str, Vec<u8>); 13] = [
        ("nothing", vec![]),
        ("no HTTP", b"\x00\x01\x02\x03".to_vec()),
        ("another protocol", b"SSH-2.0-dropbear\r\n".to_vec()),
        ("no JSON", ok(b"<html>")),
        ("JSON cut off", ok(b"{\"Systems\": {\"@odata.id\"")),
        ("shorter than said", b"HTTP/1.1 200 OK\r\ncontent-length: 999\r\n\r\n{}".to_vec()),
        ("not UTF-8", ok(b"{\"a\": \"\xff\"}")),
        ("deep", ok("[".repeat(100_000).as_bytes())),
        ("huge", ok(&vec![b' '; 3 << 20])),
        ("length that lies", b"HTTP/1.1 200 OK\r\ncontent-length: 99999999999999999999\r\n\r\n{}".to_vec()),
        ("endless header", [b"HTTP/1.1 200 OK\r\nx: ".to_vec(), vec![b'y'; 2 << 20]].concat()),
        ("endless interim answers", "HTTP/1.1 100 Continue\r\n\r\n".repeat(1000).into_bytes()),
        (
            "chunks that lie",
            b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\nffffffffffffffff1\r\n{}".to_vec(),
        ),
    ];
    for (name, bytes) in rows {
        let (port, _) = parrot(bytes).await;
        let mock = start(Quirks::default(), None).await;
        let error = run(&RedfishWay { port, ..mock.way() }, Action::Status).await.unwrap_err();
        assert!(matches!(error, BmcError::Garbled { .. }), "{name}: {error:?}");
        let text = error.to_string();
        assert!(text.len() < 800 && !text.contains('\n') && !text.contains(PASSWORD), "{name}: {text}");
    }
    // JSON that is well formed and means nothing: every field of another kind.
    for body in ["[]", "0", "null", "\"x\"", "{\"Systems\": 7}", "{\"Systems\": {\"@odata.id\": {}}}"] {
        let (port, _) = parrot(ok(body.as_bytes())).await;
        let mock = start(Quirks::default(), None).await;
        let error = run(&RedfishWay { port, ..mock.way() }, Action::Netboot).await.unwrap_err();
        assert!(matches!(error, BmcError::NoSystem { .. }), "{body}: {error:?}");
    }
}

#[tokio::test]
async fn power_credentials_go_nowhere_else() {
    let (port, heard) = parrot(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n{}".to_vec()).await;
    let there = format!("http://127.0.0.1:{port}/redfish/v1/x");
    let q = Quirks::default;
    let rows = [
        ("root redirects", Quirks { redirect: Some(there.clone()), ..q() }),
        (
            "root redirects without a scheme",
            Quirks { redirect: Some(format!("//127.0.0.1:{port}/x")), ..q() },
        ),
        ("root redirects to TLS", Quirks { redirect: Some("https://127.0.0.1/x".into()), ..q() }),
        ("systems are elsewhere", Quirks { systems_at: Some(there.clone()), ..q() }),
        ("the reset is elsewhere", Quirks { target_at: Some(there), ..q() }),
        (
            "a path that splits the request",
            Quirks { systems_at: Some("/x HTTP/1.1\r\nHost: y".into()), ..q() },
        ),
        ("a path without its slash", Quirks { systems_at: Some("@127.0.0.1/x".into()), ..q() }),
        ("a very long path", Quirks { systems_at: Some(format!("/{}", "x".repeat(5000))), ..q() }),
    ];
    for (name, quirks) in rows {
        let mock = start(quirks, None).await;
        let error = run(&mock.way(), Action::On).await.unwrap_err();
        assert!(matches!(error, BmcError::Elsewhere { .. }), "{name}: {error:?}");
        assert!(mock.machine().resets.is_empty() && mock.machine().sessions == 0, "{name}");
    }
    assert_eq!(heard.load(Ordering::Relaxed), 0, "nobody else heard a word");
    // A redirect on the same controller is followed, also one that names it whole.
    for location in ["/redfish/v1", "own"] {
        let mock = start(q(), None).await;
        let location = if location == "own" {
            format!("http://127.0.0.1:{}/redfish/v1", mock.port)
        } else {
            location.into()
        };
        let first = start(Quirks { redirect: Some(location.clone()), ..q() }, None).await;
        let outcome = run(&first.way(), Action::On).await;
        assert_eq!(
            outcome.is_ok(),
            location.starts_with('/'),
            "another port is another controller: {outcome:?}"
        );
    }
    let mock = start(q(), None).await;
    let http = Http::new(&mock.way(), PACE).unwrap();
    assert_eq!(http.local(&format!("http://127.0.0.1:{}/a", mock.port)).unwrap(), "/a");
}

#[tokio::test]
async fn power_certificates_are_kept_and_another_gets_no_password() {
    let dirs = [(); 2].map(|()| tempfile::tempdir().unwrap());
    let [key, other] = dirs.each_ref().map(|dir| NodeKey::ensure(dir.path()).unwrap());
    let mock = start(Quirks::default(), Some(&key)).await;
    let way = RedfishWay { plain_http: false, ..mock.way() };
    let shown = certificate(&way).await.unwrap();
    assert_eq!(mock.machine().requests, 0, "looking at it sends nothing");
    let pinned = RedfishWay { certificate_sha256: Some(shown.clone()), ..way.clone() };
    assert_eq!(run(&pinned, Action::On).await.unwrap().outcome, "switched on");
    // Somebody else at the same address.
    let thief = start(Quirks::default(), Some(&other)).await;
    let error = run(&RedfishWay { port: thief.port, ..pinned.clone() }, Action::Status).await.unwrap_err();
    let BmcError::Certificate { known, shown: found, .. } = &error else { panic!("{error:?}") };
    assert!(*known == shown && *found != shown);
    assert!(error.to_string().contains("The password was not sent"), "{error}");
    assert_eq!(thief.machine().requests, 0, "it heard nothing");
    // One without TLS where there was one.
    let plain = start(Quirks::default(), None).await;
    let error = run(&RedfishWay { port: plain.port, ..pinned }, Action::Status).await.unwrap_err();
    assert!(matches!(error, BmcError::Unreachable { .. }) && error.to_string().contains("no TLS"), "{error}");
    assert_eq!(plain.machine().trusted, 0);
}

#[tokio::test]
async fn power_errors_do_not_repeat_a_password_that_a_controller_echoes() {
    let mock = start(Quirks { echo: true, sessions: 0, ..Quirks::default() }, None).await;
    let error = run(&mock.way(), Action::Netboot).await.unwrap_err();
    for text in [error.to_string(), format!("{error:?}")] {
        assert!(text.contains("(password) is not what was expected"), "{text}");
        assert!(!text.contains(PASSWORD) && !text.contains(&STANDARD.encode(PASSWORD)), "{text}");
    }
}
