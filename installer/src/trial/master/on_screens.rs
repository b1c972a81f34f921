//! A master that answers, one of another cluster, one that speaks no TLS, and none at all.

use std::net::TcpListener;
use std::thread;

use maekin_image::manifest::sha256_hex;
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer};
use rustls::{ServerConfig, ServerConnection};

use super::*;
use crate::trial::judge;

/// A cluster: what its master shows, and its CA's digest.
struct Cluster {
    config: Arc<ServerConfig>,
    ca_sha256: String,
}

fn cluster() -> Cluster {
    let mut params = CertificateParams::default();
    params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    params.distinguished_name.push(rcgen::DnType::CommonName, "rack");
    let ca = CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap();
    let key = KeyPair::generate().unwrap();
    let leaf = CertificateParams::new(vec![maekin_api::SERVER_NAME.to_owned()])
        .unwrap()
        .signed_by(&key, &ca)
        .unwrap();
    let chain: Vec<CertificateDer<'static>> = vec![leaf.der().clone(), ca.der().clone()];
    let ca_sha256 = sha256_hex(&chain[1]);
    let key = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(key.serialize_der()));
    let config = ServerConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(chain, key)
        .unwrap();
    Cluster { config: Arc::new(config), ca_sha256 }
}

/// Serves one request; `None` speaks no TLS.
fn serve(config: Option<Arc<ServerConfig>>) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("https://{}", listener.local_addr().unwrap());
    thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        let answer = b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n";
        match config {
            Some(config) => {
                let mut stream = StreamOwned::new(ServerConnection::new(config).unwrap(), stream);
                // A client that does not trust us breaks off: that is what is tested.
                let _ = stream.read(&mut [0; 512]).and_then(|_| stream.write_all(answer));
            }
            None => stream.write_all(answer).unwrap(),
        }
    });
    url
}

#[test]
fn a_master_is_told_from_a_stranger_and_from_none() {
    let ours = cluster();
    let refused = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let rows = [
        ("the one meant", serve(Some(ours.config.clone())), "answers, and is the one meant"),
        ("of another cluster", serve(Some(cluster().config)), "its CA is not the one"),
        ("without TLS", serve(None), "it breaks off"),
        ("none there", format!("https://{refused}"), "it takes no connection"),
        ("no address", "https://[::1".to_owned(), "is no address"),
    ];
    for (name, url, want) in rows {
        let error = ask(&url, &ours.ca_sha256).err().map(|e| format!("{e:#}"));
        let finding = judge::master(&url, error.as_deref());
        assert!(finding.seen.contains(want), "{name}: {finding}");
    }
}
