//! A server for tests, over a unix socket or TLS, that answers as it is told and remembers what it was asked.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpListener;
use std::os::unix::net::UnixListener;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};
use rustls::pki_types::{CertificateDer, PrivateKeyDer};

use crate::wire::look::sha256_hex;

/// A request as it came.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Asked {
    /// `GET /v1/nodes`.
    pub(crate) line: String,
    /// Lower-case names and values.
    pub(crate) headers: Vec<(String, String)>,
    /// The body.
    pub(crate) body: String,
}

impl Asked {
    /// The value of a header; empty where there is none.
    pub(crate) fn header(&self, name: &str) -> &str {
        self.headers.iter().find(|(n, _)| n == name).map_or("", |(_, v)| v)
    }
}

/// What is answered.
#[derive(Debug, Clone)]
pub(crate) enum Reply {
    /// Status, more head lines, body.
    Whole(u16, String, String),
    /// These bytes, then the end.
    Bytes(Vec<u8>),
    /// Nothing, until the other side goes.
    Silence,
}

/// JSON and 200.
pub(crate) fn ok(value: &serde_json::Value) -> Reply {
    Reply::Whole(200, String::new(), value.to_string())
}

/// A problem.
pub(crate) fn problem(status: u16, title: &str, detail: &str) -> Reply {
    let body =
        serde_json::json!({"type": "urn:maekin:x", "title": title, "status": status, "detail": detail});
    Reply::Whole(status, String::new(), body.to_string())
}

/// A path that the agent does not have.
pub(crate) fn no_path() -> Reply {
    problem(404, "There is no such resource", "see /v1/node, /v1/cluster")
}

type Answers = dyn Fn(&Asked) -> Reply + Send + Sync;

/// A server that runs for as long as the test.
#[derive(Clone)]
pub(crate) struct Fake {
    asked: Arc<Mutex<Vec<Asked>>>,
    answers: Arc<Answers>,
}

impl Fake {
    /// A server with these answers.
    pub(crate) fn new(answers: impl Fn(&Asked) -> Reply + Send + Sync + 'static) -> Self {
        Self { asked: Arc::default(), answers: Arc::new(answers) }
    }

    /// What it was asked.
    pub(crate) fn asked(&self) -> Vec<Asked> {
        self.asked.lock().unwrap().clone()
    }

    /// The first lines of what it was asked.
    pub(crate) fn lines(&self) -> Vec<String> {
        self.asked().into_iter().map(|asked| asked.line).collect()
    }

    /// Serves over a unix socket in `dir`.
    pub(crate) fn socket(&self, dir: &Path) -> PathBuf {
        let path = dir.join("agent.sock");
        let listener = UnixListener::bind(&path).unwrap();
        let server = self.clone();
        std::thread::spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                let server = server.clone();
                stream.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
                std::thread::spawn(move || server.talk(stream));
            }
        });
        path
    }

    /// Serves over TLS with this CA; the address.
    pub(crate) fn tls(&self, ca: &TestCa) -> String {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let (server, config) = (self.clone(), ca.config());
        std::thread::spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                let (server, config) = (server.clone(), Arc::clone(&config));
                stream.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
                std::thread::spawn(move || {
                    let tls = rustls::ServerConnection::new(config).unwrap();
                    server.talk(rustls::StreamOwned::new(tls, stream));
                });
            }
        });
        address
    }

    fn talk(&self, stream: impl Read + Write) {
        let mut stream = BufReader::new(stream);
        let Some(asked) = read_request(&mut stream) else { return };
        let reply = (self.answers)(&asked);
        self.asked.lock().unwrap().push(asked);
        let bytes = match reply {
            Reply::Silence => {
                let _ = stream.read(&mut [0]);
                return;
            }
            Reply::Bytes(bytes) => bytes,
            Reply::Whole(status, head, body) => {
                format!("HTTP/1.1 {status} X\r\ncontent-length: {}\r\n{head}\r\n{body}", body.len())
                    .into_bytes()
            }
        };
        let stream = stream.get_mut();
        let _ = stream.write_all(&bytes).and_then(|()| stream.flush());
    }
}

fn read_request(stream: &mut impl BufRead) -> Option<Asked> {
    let mut asked = Asked::default();
    let mut length = 0;
    loop {
        let mut line = String::new();
        stream.read_line(&mut line).ok().filter(|n| *n > 0)?;
        let line = line.trim_end();
        if asked.line.is_empty() {
            line.trim_end_matches(" HTTP/1.1").clone_into(&mut asked.line);
        } else if let Some((name, value)) = line.split_once(": ") {
            if name == "content-length" {
                length = value.parse().ok()?;
            }
            asked.headers.push((name.to_ascii_lowercase(), value.to_owned()));
        } else {
            break;
        }
    }
    let mut body = vec![0; length];
    stream.read_exact(&mut body).ok()?;
    asked.body = String::from_utf8(body).ok()?;
    Some(asked)
}

/// A cluster's CA, and a node of it.
pub(crate) struct TestCa {
    chain: Vec<CertificateDer<'static>>,
    key: Vec<u8>,
}

impl TestCa {
    /// Another CA than any other.
    pub(crate) fn new() -> Self {
        Self::until(2096)
    }

    /// The same, with a node whose certificate runs out in that year.
    pub(crate) fn until(year: i32) -> Self {
        let ca_key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::default();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let ca = params.self_signed(&ca_key).unwrap();
        let issuer = Issuer::new(params, ca_key);
        let key = KeyPair::generate().unwrap();
        let mut node = CertificateParams::new(vec![maekin_api::SERVER_NAME.to_owned()]).unwrap();
        node.not_after = rcgen::date_time_ymd(year, 1, 1);
        let node = node.signed_by(&key, &issuer).unwrap();
        Self { chain: vec![node.der().clone(), ca.der().clone()], key: key.serialize_der() }
    }

    /// Its fingerprint.
    pub(crate) fn fingerprint(&self) -> String {
        sha256_hex(&self.chain[1])
    }

    fn config(&self) -> Arc<rustls::ServerConfig> {
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let key = PrivateKeyDer::try_from(self.key.clone()).unwrap();
        let config = rustls::ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(self.chain.clone(), key);
        Arc::new(config.unwrap())
    }
}
