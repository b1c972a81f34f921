use std::fs;
use std::net::IpAddr;
use std::path::Path;
use std::sync::Arc;

use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::{ClientConfig, RootCertStore, ServerConfig};
use tokio::io::{AsyncReadExt, AsyncWriteExt, duplex};
use tokio_rustls::{TlsAcceptor, TlsConnector};

use super::SERVER_NAME;
use super::ca::{Ca, Subject, Validity, key_of_request};
use super::identity::{Credentials, NodeKey};
use super::peer::{PeerNode, parse_dates, parse_peer};
use crate::tls;
use maekin_host::pin;

struct Party {
    key: NodeKey,
    credentials: Credentials,
}

fn ca(dir: &Path) -> Ca {
    Ca::ensure(dir, "rack", "cluster-id").unwrap()
}

fn party(dir: &Path, ca: &Ca, id: &str) -> Party {
    let key = NodeKey::ensure(dir).unwrap();
    let address: IpAddr = "10.77.0.1".parse().unwrap();
    let subject = Subject { node_id: id, name: "node-1", addresses: &[address] };
    let cert = ca.certify(key.public(), &subject).unwrap();
    Party { key, credentials: Credentials { cert, ca: ca.pem.clone() } }
}

fn der(pem: &str) -> CertificateDer<'static> {
    CertificateDer::from_pem_slice(pem.as_bytes()).unwrap()
}

/// What the server learns of its client: `Ok(None)` for one without a certificate.
async fn meet(server: ServerConfig, client: ClientConfig) -> Result<Option<PeerNode>, String> {
    let (near, far) = duplex(64 << 10);
    let name = ServerName::try_from(SERVER_NAME).unwrap();
    let serve = async {
        let mut stream = TlsAcceptor::from(Arc::new(server)).accept(far).await.map_err(|e| e.to_string())?;
        let peer = stream.get_ref().1.peer_certificates().and_then(|c| parse_peer(&c[0]));
        stream.write_all(b"hello").await.map_err(|e| e.to_string())?;
        stream.shutdown().await.map_err(|e| e.to_string())?;
        Ok::<_, String>(peer)
    };
    let ask = async {
        let mut stream =
            TlsConnector::from(Arc::new(client)).connect(name, near).await.map_err(|e| e.to_string())?;
        let mut text = String::new();
        stream.read_to_string(&mut text).await.map_err(|e| e.to_string())?;
        Ok::<_, String>(text)
    };
    let (served, asked) = tokio::join!(serve, ask);
    assert_eq!(asked?, "hello");
    served
}

fn client(trust: &Ca, own: Option<&Party>) -> ClientConfig {
    let mut roots = RootCertStore::empty();
    roots.add(der(&trust.pem)).unwrap();
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let builder = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots);
    match own {
        None => builder.with_no_client_auth(),
        Some(own) => {
            let key = PrivateKeyDer::from_pem_slice(own.key.private_pem().as_bytes()).unwrap();
            builder.with_client_auth_cert(vec![der(&own.credentials.cert)], key).unwrap()
        }
    }
}

#[tokio::test]
async fn members_know_each_other_and_strangers_are_refused() {
    let dirs = [(); 4].map(|()| tempfile::tempdir().unwrap());
    let ours = ca(dirs[0].path());
    let theirs = ca(dirs[1].path());
    let server = party(dirs[2].path(), &ours, "server");
    let good = party(dirs[3].path(), &ours, "good");
    let bad = party(dirs[3].path(), &theirs, "good");
    let serve = || tls::member(&server.key, &server.credentials).unwrap();

    let met = meet(serve(), client(&ours, Some(&good))).await.unwrap().unwrap();
    assert_eq!(
        (met.node_id.as_str(), met.key_sha256),
        ("good", good.key.sha256()),
        "a member is known by id and key"
    );
    assert_eq!(meet(serve(), client(&ours, None)).await, Ok(None), "no certificate: served as a stranger");
    let refused = meet(serve(), client(&ours, Some(&bad))).await;
    assert!(refused.is_err(), "a certificate of another cluster's CA: {refused:?}");
    let refused = meet(serve(), client(&theirs, Some(&good))).await;
    assert!(refused.is_err(), "a server of another cluster's CA: {refused:?}");
}

#[tokio::test]
async fn a_pinned_fingerprint_trusts_that_ca_and_no_other() {
    let dirs = [(); 4].map(|()| tempfile::tempdir().unwrap());
    let ours = ca(dirs[0].path());
    let theirs = ca(dirs[1].path());
    let server = party(dirs[2].path(), &ours, "server");
    let serve = || tls::member(&server.key, &server.credentials).unwrap();
    let pinned = |ca: &Ca| pin::client_config(&ca.fingerprint().unwrap()).unwrap();

    assert_eq!(meet(serve(), pinned(&ours)).await, Ok(None), "the right fingerprint");
    assert!(meet(serve(), pinned(&theirs)).await.is_err(), "another cluster's fingerprint");
    // A man in the middle shows our CA's certificate (anybody can have it) behind a certificate of his own.
    let liar = party(dirs[3].path(), &theirs, "liar");
    let chain = vec![der(&liar.credentials.cert), der(&ours.pem)];
    let key = PrivateKeyDer::from_pem_slice(liar.key.private_pem().as_bytes()).unwrap();
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let lying = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(chain, key)
        .unwrap();
    assert!(meet(lying, pinned(&ours)).await.is_err(), "our CA shown, but not the signer");
    let alone = tls::stranger(&liar.key, &liar.key.self_signed(SERVER_NAME).unwrap()).unwrap();
    assert!(meet(alone, pinned(&ours)).await.is_err(), "self-signed, no CA shown");
}

#[test]
fn join_the_same_certificate_made_again_is_the_same_one_all_day_long() {
    let dirs = [(); 3].map(|()| tempfile::tempdir().unwrap());
    let (ours, theirs) = (ca(dirs[0].path()), ca(dirs[1].path()));
    let [own, other] = ["own", "other"].map(|name| NodeKey::ensure(&dirs[2].path().join(name)).unwrap());
    let [one, two]: [IpAddr; 2] = ["10.77.0.1", "10.77.0.2"].map(|text| text.parse().unwrap());
    let (here, there, both) = ([one], [two], [one, two]);
    let usual = Subject { node_id: "n1", name: "node-1", addresses: &here };
    let noon = 20_000 * 24 * 3600 + 12 * 3600;
    let made = |ca: &Ca, key: &NodeKey, subject: &Subject<'_>, at| {
        ca.issue(key.public(), subject, Validity::of_node(at)).unwrap()
    };
    let first = made(&ours, &own, &usual, noon);
    assert_eq!(parse_dates(&der(&first.pem)).unwrap().serial, first.serial, "as the certificate has it");
    // Name; CA, key, subject, when; whether it is the same one.
    type Row<'a> = (&'a str, &'a Ca, &'a NodeKey, Subject<'a>, u64, bool);
    let rows: [Row<'_>; 10] = [
        ("again", &ours, &own, usual.clone(), noon, true),
        ("at the end of the day", &ours, &own, usual.clone(), noon + 12 * 3600 - 1, true),
        ("a second later", &ours, &own, usual.clone(), noon + 12 * 3600, false),
        ("the day before", &ours, &own, usual.clone(), noon - 24 * 3600, false),
        ("another CA", &theirs, &own, usual.clone(), noon, false),
        ("another key", &ours, &other, usual.clone(), noon, false),
        ("another node", &ours, &own, Subject { node_id: "n2", ..usual.clone() }, noon, false),
        ("another name", &ours, &own, Subject { name: "node-2", ..usual.clone() }, noon, false),
        ("another address", &ours, &own, Subject { addresses: &there, ..usual.clone() }, noon, false),
        ("one more", &ours, &own, Subject { addresses: &both, ..usual.clone() }, noon, false),
    ];
    for (name, ca, key, subject, at, same) in rows {
        let again = made(ca, key, &subject, at);
        assert_eq!((again.serial == first.serial, again.serial.len()), (same, 32), "{name}");
        assert!(!same || again.not_after == first.not_after, "{name}");
    }
}

#[test]
fn keys_and_ca_are_made_once_and_survive_a_crash_in_between() {
    let dir = tempfile::tempdir().unwrap();
    let first = ca(dir.path()).pem;
    assert_eq!(ca(dir.path()).pem, first, "read again, not made again");
    let key = NodeKey::ensure(dir.path()).unwrap().sha256();
    assert_eq!(NodeKey::ensure(dir.path()).unwrap().sha256(), key);
    fs::remove_file(dir.path().join("ca.crt")).unwrap();
    let second = ca(dir.path());
    assert_ne!(second.pem, first, "a key without certificate is from a crash: both are made anew");
    assert!(Credentials::load(dir.path(), &NodeKey::ensure(dir.path()).unwrap(), "n").unwrap().is_none());
    fs::write(dir.path().join("ca.key"), "garbage").unwrap();
    let text = Ca::ensure(dir.path(), "rack", "id").err().unwrap().to_string();
    assert!(text.contains("ca.key"), "{text}");
}

#[test]
fn credentials_are_taken_only_for_their_own_key_and_id() {
    let dirs = [(); 3].map(|()| tempfile::tempdir().unwrap());
    let ours = ca(dirs[0].path());
    let own = party(dirs[1].path(), &ours, "n1");
    let other = NodeKey::ensure(dirs[2].path()).unwrap();
    let rows = [
        ("own", &own.key, "n1", true),
        ("other id", &own.key, "n2", false),
        ("other key", &other, "n1", false),
    ];
    for (name, key, id, fits) in rows {
        assert_eq!(own.credentials.fits(key, id), fits, "{name}");
    }
    assert!(own.credentials.names("10.77.0.1".parse().unwrap()));
    assert!(!own.credentials.names("10.77.0.2".parse().unwrap()));
}

#[test]
fn requests_prove_that_their_key_is_held() {
    let dir = tempfile::tempdir().unwrap();
    let key = NodeKey::ensure(dir.path()).unwrap();
    let good = key.request().unwrap();
    assert!(key_of_request(&good).is_ok());
    let at = good.len() / 2;
    let swapped = if good.as_bytes()[at] == b'A' { "B" } else { "A" };
    let forged = format!("{}{swapped}{}", &good[..at], &good[at + 1..]);
    let rows = [
        ("changed", forged),
        ("cut", good[..at].to_owned()),
        ("empty", String::new()),
        ("a key", key.private_pem()),
    ];
    for (name, text) in rows {
        assert!(key_of_request(&text).is_err(), "{name}");
    }
}

#[test]
fn damaged_certificates_name_nobody() {
    let dirs = [(); 2].map(|()| tempfile::tempdir().unwrap());
    let cert = der(&party(dirs[1].path(), &ca(dirs[0].path()), "n1").credentials.cert);
    assert_eq!(parse_peer(&cert).unwrap().node_id, "n1");
    for cut in 0..cert.len() {
        assert_eq!(parse_peer(&cert[..cut]), None, "cut at {cut}");
    }
    for at in 0..cert.len() {
        let mut changed = cert.to_vec();
        changed[at] ^= 0xff;
        let _ = parse_peer(&changed); // whatever it says, it does not panic
    }
}
