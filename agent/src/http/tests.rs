//! The API over real sockets on the loopback, as a stranger meets it.

use std::sync::Arc;
use std::time::Duration;

use axum::body::Bytes;
use axum::http::Method;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use maekin_api::problem::Problem;
use maekin_rootfs::node::ClusterIntent;
use rustls::pki_types::ServerName;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

use super::client::Target;
use crate::app::App;
use crate::pki::SERVER_NAME;
use crate::pki::ca::{Ca, Subject};
use crate::pki::identity::Credentials;
use crate::testing::{PASSWORD, agent, serve};
use crate::tls;
use maekin_host::pin;

/// An agent that shows a certificate of a CA, without a record behind it.
async fn running(dir: &std::path::Path) -> (Arc<App>, Ca) {
    let app = agent(dir, 1, ClusterIntent::Create { name: "rack".into() });
    let ca = Ca::ensure(&app.settings.pki(), "rack", "id").unwrap();
    let subject = Subject { node_id: &app.node_id, name: "node-1", addresses: &[] };
    let cert = ca.certify(app.key.public(), &subject).unwrap();
    app.tls.set(tls::member(&app.key, &Credentials { cert, ca: ca.pem.clone() }).unwrap());
    serve(&app).await;
    (app, ca)
}

/// Sends `request` over TLS as it is, and returns the whole answer.
async fn raw(app: &App, ca: &Ca, request: &str) -> String {
    let tls = TlsConnector::from(Arc::new(pin::client_config(&ca.fingerprint().unwrap()).unwrap()));
    let stream = TcpStream::connect(("127.0.0.1", app.settings.port)).await.unwrap();
    let mut stream = tls.connect(ServerName::try_from(SERVER_NAME).unwrap(), stream).await.unwrap();
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut answer = Vec::new();
    let read = stream.read_to_end(&mut answer);
    let _ =
        tokio::time::timeout(Duration::from_secs(20), read).await.expect("the server ends the connection");
    String::from_utf8_lossy(&answer).into_owned()
}

fn request(method: &str, path: &str, password: Option<&str>, body: &str) -> String {
    let auth = password.map_or_else(String::new, |password| {
        format!("authorization: Basic {}\r\n", STANDARD.encode(format!("admin:{password}")))
    });
    let length = body.len();
    format!(
        "{method} {path} HTTP/1.1\r\nhost: x\r\nconnection: close\r\n{auth}content-length: {length}\r\n\r\n{body}"
    )
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn strangers_get_what_they_may_have() {
    let dir = tempfile::tempdir().unwrap();
    let (app, ca) = running(dir.path()).await;
    let right = Some(PASSWORD);
    let rows = [
        ("health", "GET", "/healthz", None, "", 200, ""),
        ("node, nobody", "GET", "/v1/node", None, "", 401, "unauthorized"),
        ("node, wrong password", "GET", "/v1/node", Some("x"), "", 401, "unauthorized"),
        ("node, right password", "GET", "/v1/node", right, "", 200, ""),
        ("node, again (remembered)", "GET", "/v1/node", right, "", 200, ""),
        ("wrong after right", "GET", "/v1/node", Some("right hors"), "", 401, "unauthorized"),
        ("cluster, no member yet", "GET", "/v1/cluster", right, "", 503, "not-a-member"),
        (
            "window, nobody",
            "POST",
            "/v1/install-window",
            None,
            r#"{"minutes":1,"count":1}"#,
            401,
            "unauthorized",
        ),
        ("window, nonsense", "POST", "/v1/install-window", right, "{", 400, "bad-request"),
        (
            "window, unknown key",
            "POST",
            "/v1/install-window",
            right,
            r#"{"minutes":1,"count":1,"x":1}"#,
            400,
            "bad-request",
        ),
        (
            "window, too long",
            "POST",
            "/v1/install-window",
            right,
            r#"{"minutes":9999,"count":1}"#,
            400,
            "bad-request",
        ),
        ("join needs no password, but sense", "POST", "/v1/join", None, "{}", 400, "bad-request"),
        ("boot drives, nobody", "GET", "/v1/node/boot", None, "", 401, "unauthorized"),
        ("boot drives", "GET", "/v1/node/boot", right, "", 200, ""),
        ("policy, nobody", "PUT", "/v1/node/boot/settings", None, "{}", 401, "unauthorized"),
        ("policy, nonsense", "PUT", "/v1/node/boot/settings", right, r#"{"heal":"x"}"#, 400, "bad-request"),
        ("policy", "PUT", "/v1/node/boot/settings", right, r#"{"heal":"ask"}"#, 200, ""),
        ("policy, read", "GET", "/v1/node/boot/settings", right, "", 200, ""),
        ("healing, nobody", "POST", "/v1/node/boot/heal", None, "{}", 401, "unauthorized"),
        ("healing, not installed", "POST", "/v1/node/boot/heal", right, "{}", 409, "not-installed"),
        ("trial, not installed", "POST", "/v1/node/boot/trial", right, "", 409, "not-installed"),
        ("comparison, not installed", "POST", "/v1/node/boot/compare", right, "", 409, "not-installed"),
        ("no such resource", "GET", "/v1/nothing", right, "", 404, "not-found"),
        ("no such method", "PUT", "/v1/node", right, "", 405, "method-not-allowed"),
        ("internal is not for the network", "POST", "/internal/boot/decide", right, "{}", 404, "not-found"),
        ("nor are answers", "GET", "/internal/install/x/answer", right, "", 404, "not-found"),
    ];
    for (name, method, path, password, body, status, kind) in rows {
        let answer = raw(&app, &ca, &request(method, path, password, body)).await;
        assert!(answer.starts_with(&format!("HTTP/1.1 {status} ")), "{name}: {answer}");
        if !kind.is_empty() {
            assert!(answer.contains("content-type: application/problem+json"), "{name}: {answer}");
            let body = answer.split_once("\r\n\r\n").unwrap().1;
            let problem: Problem = serde_json::from_str(body).unwrap();
            assert_eq!((problem.kind, problem.status), (format!("urn:maekin:{kind}"), status), "{name}");
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn guessing_is_slowed_down_but_the_right_password_once_given_stays_good() {
    let dir = tempfile::tempdir().unwrap();
    let (app, ca) = running(dir.path()).await;
    let ask = async |password: &str| raw(&app, &ca, &request("GET", "/v1/node", Some(password), "")).await;
    assert!(ask(PASSWORD).await.starts_with("HTTP/1.1 200"));
    for n in 0..6 {
        assert!(ask("guess").await.starts_with("HTTP/1.1 401"), "guess {n}");
    }
    assert!(ask("guess").await.starts_with("HTTP/1.1 429"), "one too many");
    assert!(
        ask(PASSWORD).await.starts_with("HTTP/1.1 200"),
        "a guesser cannot lock the admin out of a session"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn hostile_requests_end_in_an_error_and_hurt_nobody() {
    let dir = tempfile::tempdir().unwrap();
    let (app, ca) = running(dir.path()).await;
    let rows = [
        ("no HTTP", "\0\u{1}\u{2}\r\n\r\n".to_owned(), "400"),
        ("endless header", format!("GET / HTTP/1.1\r\nx: {}\r\n\r\n", "y".repeat(200_000)), "431"),
        ("body too long", request("POST", "/v1/join", None, &"x".repeat(200_000)), "413"),
        (
            "length that lies",
            "POST /v1/join HTTP/1.1\r\nhost: x\r\ncontent-length: 99999999999999999999\r\n\r\n".to_owned(),
            "400",
        ),
    ];
    for (name, text, status) in rows {
        // The connection may be cut while we are still sending; then there is no answer to look at.
        let answer = tokio::spawn({
            let (app, fingerprint) = (Arc::clone(&app), ca.fingerprint().unwrap());
            async move { raw_lossy(&app, &fingerprint, &text).await }
        });
        let answer = answer.await.unwrap();
        assert!(answer.is_empty() || answer.starts_with(&format!("HTTP/1.1 {status}")), "{name}: {answer}");
        assert!(
            status != "413" || answer.is_empty() || answer.contains("urn:maekin:too-large"),
            "{name}: {answer}"
        );
        let health = raw(&app, &ca, &request("GET", "/healthz", None, "")).await;
        assert!(health.starts_with("HTTP/1.1 200"), "after {name}: {health}");
    }
}

async fn raw_lossy(app: &App, fingerprint: &str, request: &str) -> String {
    let tls = TlsConnector::from(Arc::new(pin::client_config(fingerprint).unwrap()));
    let stream = TcpStream::connect(("127.0.0.1", app.settings.port)).await.unwrap();
    let mut stream = tls.connect(ServerName::try_from(SERVER_NAME).unwrap(), stream).await.unwrap();
    let _ = stream.write_all(request.as_bytes()).await;
    let mut answer = Vec::new();
    let _ = tokio::time::timeout(Duration::from_secs(15), stream.read_to_end(&mut answer)).await;
    String::from_utf8_lossy(&answer).into_owned()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_socket_is_roots_own_and_answers_without_a_password() {
    use std::os::unix::fs::PermissionsExt;
    let dir = tempfile::tempdir().unwrap();
    let (app, _ca) = running(dir.path()).await;
    let mode = std::fs::metadata(app.settings.socket()).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    let own = Target::Socket(app.settings.socket());
    let node: maekin_api::node::Node = own.get(maekin_api::NODE).await.unwrap();
    assert_eq!((node.id, node.name.as_str()), (app.node_id.clone(), "node-1"));
    let decide =
        own.exchange(Method::POST, maekin_api::boot::DECIDE, Bytes::from_static(b"{}")).await.unwrap();
    assert_eq!(decide.0.as_u16(), 400, "known on the socket, and picky");
    let error = own.get::<()>(maekin_api::CLUSTER).await.unwrap_err().to_string();
    assert!(error.contains("not a member"), "{error}");
}
