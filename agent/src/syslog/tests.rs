//! The journal on its way to a server: a script stands in for journalctl.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::sync::Arc;
use std::time::Duration;

use maekin_api::settings::{Syslog, Transport};
use maekin_rootfs::node::ClusterIntent;
use rcgen::{CertificateParams, KeyPair};
use rustls::ServerConfig;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio::io::{AsyncRead, AsyncReadExt};
use tokio::net::{TcpListener, UdpSocket};
use tokio_rustls::TlsAcceptor;

use super::*;
use crate::testing::agent;

const LIMIT: Duration = Duration::from_secs(20);

/// A journal of these messages, from behind the cursor that is asked for.
fn journal(app: &App, messages: &[&str]) {
    let lines = app.settings.run.join("journal");
    let text: String = messages
        .iter()
        .enumerate()
        .map(|(n, text)| {
            format!("{{\"__CURSOR\":\"c{n}\",\"__REALTIME_TIMESTAMP\":\"{n}\",\"MESSAGE\":\"{text}\"}}\n")
        })
        .collect();
    fs::write(&lines, text).unwrap();
    let script = format!(
        "#!/bin/sh\nfrom=1\nfor a in \"$@\"; do case \"$a\" in\n--after-cursor=c*) from=$(( ${{a#--after-cursor=c}} + 2 ));;\n\
         esac; done\ntail -n +$from {}\nexec sleep 60\n",
        lines.display()
    );
    fs::write(&app.settings.journalctl, script).unwrap();
    fs::set_permissions(&app.settings.journalctl, fs::Permissions::from_mode(0o755)).unwrap();
}

fn target(port: u16, transport: Transport) -> Syslog {
    Syslog { server: "127.0.0.1".into(), port: Some(port), transport, ca: None, priority: None }
}

async fn state(app: &App, want: impl Fn(&Health) -> bool) -> Health {
    let mut health = app.syslog.health();
    let found = tokio::time::timeout(LIMIT, health.wait_for(want)).await;
    match found {
        Ok(Ok(health)) => health.clone(),
        _ => panic!("waited for another state than {:?}", app.syslog.health().borrow()),
    }
}

/// The next message of a stream with octet counting.
async fn framed(stream: &mut (impl AsyncRead + Unpin)) -> String {
    let read = async {
        let mut length = String::new();
        loop {
            match stream.read_u8().await.unwrap() {
                b' ' => break,
                digit => length.push(char::from(digit)),
            }
        }
        let mut message = vec![0; length.parse().unwrap()];
        stream.read_exact(&mut message).await.unwrap();
        String::from_utf8(message).unwrap()
    };
    tokio::time::timeout(LIMIT, read).await.expect("a message in time")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn api_syslog_datagrams_go_where_they_are_to_and_stop() {
    let dir = tempfile::tempdir().unwrap();
    let app = agent(dir.path(), 1, ClusterIntent::Wait);
    journal(&app, &["one", "two"]);
    let work = tokio::spawn(run(Arc::clone(&app)));
    let server = UdpSocket::bind("127.0.0.1:0").await.unwrap();
    let to = target(server.local_addr().unwrap().port(), Transport::Udp);
    app.syslog.set(&app.settings, Some(&to)).unwrap();
    for want in ["one", "two"] {
        let mut buffer = [0; 4096];
        let got = tokio::time::timeout(LIMIT, server.recv(&mut buffer)).await.unwrap().unwrap();
        let text = String::from_utf8_lossy(&buffer[..got]).into_owned();
        assert!(text.starts_with("<30>1 1970-01-01T00:00:00.00000"), "{text}");
        assert!(text.ends_with(&format!("Z node-1 - - - - {want}")), "{text}");
    }
    state(&app, |h| h.state == State::Sending).await;
    app.syslog.set(&app.settings, None).unwrap();
    state(&app, |h| h.target.is_none()).await;
    assert_eq!(fs::read_to_string(file(&app.settings)).unwrap(), "null");
    // What comes meanwhile is nobody's: how far it was sent is forgotten before it is said that nothing is.
    fs::write(mark(&app.settings), "c1").unwrap();
    app.syslog.set(&app.settings, Some(&to)).unwrap();
    state(&app, |h| h.state == State::Sending).await;
    app.syslog.set(&app.settings, None).unwrap();
    state(&app, |h| h.target.is_none()).await;
    assert!(!mark(&app.settings).exists());
    work.abort();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn api_syslog_streams_are_made_again_and_go_on_after_a_restart() {
    let dir = tempfile::tempdir().unwrap();
    let app = agent(dir.path(), 1, ClusterIntent::Wait);
    journal(&app, &["one", "two", "three"]);
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let to = target(listener.local_addr().unwrap().port(), Transport::Tcp);
    app.syslog.set(&app.settings, Some(&to)).unwrap();
    let work = tokio::spawn(run(Arc::clone(&app)));
    let (mut stream, _) = tokio::time::timeout(LIMIT, listener.accept()).await.unwrap().unwrap();
    for want in ["one", "two", "three"] {
        assert!(framed(&mut stream).await.ends_with(want));
    }
    // The server goes: that is seen though nothing is said, and it is called again, with what came meanwhile.
    journal(&app, &["one", "two", "three", "four"]);
    drop(stream);
    let health = state(&app, |h| matches!(h.state, State::Failing(_))).await;
    assert!(matches!(health.state, State::Failing(why) if why.contains("broke")));
    let (mut stream, _) = tokio::time::timeout(LIMIT, listener.accept()).await.unwrap().unwrap();
    assert!(framed(&mut stream).await.ends_with("four"));
    work.abort();
    drop(work.await);

    // Another start of the agent, with what it wrote down: from behind what was sent.
    fs::write(mark(&app.settings), "c1").unwrap();
    let again = crate::testing::restarted(&app);
    let work = tokio::spawn(run(Arc::clone(&again)));
    let (mut stream, _) = tokio::time::timeout(LIMIT, listener.accept()).await.unwrap().unwrap();
    assert!(framed(&mut stream).await.ends_with("three"));
    work.abort();
}

#[test]
fn api_syslog_a_server_that_takes_nothing_is_asked_less_and_less() {
    let seconds = Duration::from_secs;
    let rows = [
        ("not reached", 1, None, 1, 2),
        ("not reached again", 2, None, 2, 4),
        ("broken at once", 32, Some(0), 32, 60),
        ("broken at once, for long", 60, Some(5), 60, 60),
        ("broken after a while", 60, Some(60), 1, 2),
    ];
    for (name, pause, lasted, wait, next) in rows {
        let got = plan_pause(seconds(pause), lasted.map(seconds));
        assert_eq!(got, (seconds(wait), seconds(next)), "{name}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn api_syslog_under_tls_goes_to_whom_the_ca_names_only() {
    let dir = tempfile::tempdir().unwrap();
    let app = agent(dir.path(), 1, ClusterIntent::Wait);
    journal(&app, &["secret"]);
    let key = KeyPair::generate().unwrap();
    let cert = CertificateParams::new(vec!["localhost".to_owned()]).unwrap().self_signed(&key).unwrap();
    let chain = vec![CertificateDer::from(cert.der().to_vec())];
    let config = ServerConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(chain, PrivateKeyDer::try_from(key.serialize_der()).unwrap())
        .unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let server = tokio::spawn(async move {
        let acceptor = TlsAcceptor::from(Arc::new(config));
        loop {
            let (stream, _) = listener.accept().await.unwrap();
            if let Ok(mut stream) = acceptor.accept(stream).await {
                return framed(&mut stream).await;
            }
        }
    });
    let other = CertificateParams::new(vec!["localhost".to_owned()]).unwrap();
    let other = other.self_signed(&KeyPair::generate().unwrap()).unwrap();
    let work = tokio::spawn(run(Arc::clone(&app)));
    let to = |ca: String| Syslog { server: "localhost".into(), ca: Some(ca), ..target(port, Transport::Tls) };
    app.syslog.set(&app.settings, Some(&to(other.pem()))).unwrap();
    let health = state(&app, |h| matches!(h.state, State::Failing(_))).await;
    assert!(matches!(&health.state, State::Failing(why) if why.contains("not trusted")), "{health:?}");
    app.syslog.set(&app.settings, Some(&to(cert.pem()))).unwrap();
    let message = tokio::time::timeout(LIMIT, server).await.expect("a message in time").unwrap();
    assert!(message.ends_with("secret"), "{message}");
    work.abort();
}
