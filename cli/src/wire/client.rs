//! One request a connection, bounded in time and size. Whether a failed request may have been carried out is part of the
//! failure: what was never sent can be sent to another node.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use hyper::body::Incoming;
use hyper::{Request, Response, header};
use hyper_util::rt::TokioIo;
use rustls::pki_types::ServerName;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpStream, UnixStream};
use tokio::task::JoinHandle;
use tokio_rustls::TlsConnector;

use super::body;
use crate::fault::chain;

/// Largest answer that is read, bytes.
const LARGEST: usize = 32 << 20;
/// How long connecting to a node may take before the next one is tried.
const CONNECT_LIMIT: Duration = Duration::from_secs(5);

/// Whom to ask.
#[derive(Clone)]
pub(crate) enum Endpoint {
    /// The agent of this machine.
    Socket(PathBuf),
    /// A node, `host:port`.
    Tls(String, Arc<rustls::ClientConfig>),
}

impl Endpoint {
    /// As a person would write it.
    pub(crate) fn name(&self) -> String {
        match self {
            Self::Socket(path) => path.display().to_string(),
            Self::Tls(address, _) => format!("https://{address}"),
        }
    }
}

/// What to ask.
#[derive(Debug, Clone, Default)]
pub(crate) struct Ask {
    /// HTTP method.
    pub(crate) method: &'static str,
    /// Path and query.
    pub(crate) path: String,
    /// JSON, or empty.
    pub(crate) body: String,
    /// Content type of the body; empty: JSON.
    pub(crate) media: &'static str,
    /// Value of `Authorization`.
    pub(crate) authorization: Option<String>,
    /// Value of `If-Match`.
    pub(crate) if_match: Option<String>,
}

impl Ask {
    /// Asks without a body.
    pub(crate) fn new(method: &'static str, path: impl Into<String>) -> Self {
        Self { method, path: path.into(), ..Self::default() }
    }

    /// With a body.
    pub(crate) fn with(method: &'static str, path: impl Into<String>, body: &serde_json::Value) -> Self {
        Self { body: body.to_string(), ..Self::new(method, path) }
    }
}

/// What a node answered.
#[derive(Debug, Clone, Default)]
pub(crate) struct Answer {
    /// HTTP status.
    pub(crate) status: u16,
    /// Version of what is answered, as the server names it.
    pub(crate) etag: Option<String>,
    /// All of it.
    pub(crate) body: Vec<u8>,
    /// Who answered, as [`Endpoint::name`].
    pub(crate) from: String,
}

/// No whole answer came.
#[derive(Debug)]
pub(crate) struct Failure {
    /// Whom.
    pub(crate) target: String,
    /// Why.
    pub(crate) reason: String,
    /// Whether the request may have reached the node.
    pub(crate) sent: bool,
    /// Whether the other end is not whom we trust.
    pub(crate) untrusted: bool,
}

/// An answer whose body is still to come.
pub(crate) struct Open {
    /// Its head.
    pub(crate) status: u16,
    etag: Option<String>,
    target: String,
    body: Incoming,
    driver: JoinHandle<hyper::Result<()>>,
}

impl Drop for Open {
    fn drop(&mut self) {
        self.driver.abort(); // nothing else is expected on this connection
    }
}

impl Open {
    /// The next bytes of the body; `None` at its end.
    ///
    /// # Errors
    /// [`Failure`] when it breaks off.
    pub(crate) async fn next(&mut self) -> Result<Option<hyper::body::Bytes>, Failure> {
        body::next(&mut self.body).await.map_err(|e| broken(&self.target, &e))
    }

    /// The whole answer.
    ///
    /// # Errors
    /// [`Failure`] when it breaks off or is too large.
    pub(crate) async fn whole(mut self) -> Result<Answer, Failure> {
        let mut bytes = Vec::new();
        while let Some(more) = self.next().await? {
            if bytes.len() + more.len() > LARGEST {
                let reason = format!("its answer is larger than {} MiB", LARGEST >> 20);
                return Err(Failure { target: self.target.clone(), reason, sent: true, untrusted: false });
            }
            bytes.extend_from_slice(&more);
        }
        let (etag, from) = (self.etag.take(), self.target.clone());
        Ok(Answer { status: self.status, etag, body: bytes, from })
    }
}

fn broken(target: &str, error: &dyn std::error::Error) -> Failure {
    let reason = format!("the exchange broke off: {}", chain(error));
    Failure { target: target.to_owned(), reason, sent: true, untrusted: false }
}

/// Asks, and returns when the head of the answer is there.
///
/// # Errors
/// [`Failure`].
pub(crate) async fn open(endpoint: &Endpoint, ask: &Ask) -> Result<Open, Failure> {
    match endpoint {
        Endpoint::Socket(socket) => {
            let stream = connect(endpoint, UnixStream::connect(socket)).await?;
            talk(endpoint, stream, ask).await
        }
        Endpoint::Tls(address, config) => {
            let stream = connect(endpoint, TcpStream::connect(address)).await?;
            let stream = connect(endpoint, handshake(stream, config)).await?;
            talk(endpoint, stream, ask).await
        }
    }
}

/// Asks, and returns the whole answer, within `limit`.
///
/// # Errors
/// [`Failure`].
pub(crate) async fn exchange(endpoint: &Endpoint, ask: &Ask, limit: Duration) -> Result<Answer, Failure> {
    let work = async { open(endpoint, ask).await?.whole().await };
    tokio::time::timeout(limit, work).await.unwrap_or_else(|_| {
        let reason = format!("no whole answer within {} s", limit.as_secs());
        Err(Failure { target: endpoint.name(), reason, sent: true, untrusted: false })
    })
}

/// TLS over a connection. Nodes are known by their certificate, not by their address: every one has this name in it.
///
/// # Errors
/// As rustls.
pub(crate) async fn handshake(
    stream: TcpStream,
    config: &Arc<rustls::ClientConfig>,
) -> std::io::Result<tokio_rustls::client::TlsStream<TcpStream>> {
    let name = ServerName::try_from(maekin_api::SERVER_NAME).map_err(std::io::Error::other)?;
    TlsConnector::from(Arc::clone(config)).connect(name, stream).await
}

async fn connect<S>(
    endpoint: &Endpoint,
    work: impl Future<Output = std::io::Result<S>>,
) -> Result<S, Failure> {
    let late = |_| {
        let text = format!("no connection within {} s", CONNECT_LIMIT.as_secs());
        std::io::Error::new(std::io::ErrorKind::TimedOut, text)
    };
    let done = tokio::time::timeout(CONNECT_LIMIT, work).await.map_err(late).flatten();
    done.map_err(|e| {
        let inner = e.get_ref().and_then(|inner| inner.downcast_ref::<rustls::Error>());
        let wrong = match inner {
            Some(rustls::Error::InvalidCertificate(wrong)) => Some(wrong),
            _ => None,
        };
        use rustls::CertificateError::{Expired, ExpiredContext, NotValidYet, NotValidYetContext};
        let out_of_time =
            matches!(wrong, Some(Expired | ExpiredContext { .. } | NotValidYet | NotValidYetContext { .. }));
        let reason = if out_of_time {
            "its certificate does not hold now: it was removed, or long away, or this machine's clock is wrong".to_owned()
        } else {
            chain(&e)
        };
        Failure { target: endpoint.name(), reason, sent: false, untrusted: wrong.is_some() && !out_of_time }
    })
}

async fn talk<S>(endpoint: &Endpoint, stream: S, ask: &Ask) -> Result<Open, Failure>
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let target = endpoint.name();
    let unsent = |e: &dyn std::error::Error| Failure { sent: false, ..broken(&target, e) };
    let (mut sender, connection) =
        hyper::client::conn::http1::handshake(TokioIo::new(stream)).await.map_err(|e| unsent(&e))?;
    let driver = tokio::spawn(connection);
    let media = if ask.media.is_empty() { "application/json" } else { ask.media };
    let mut request = Request::builder()
        .method(ask.method)
        .uri(&ask.path)
        .header(header::HOST, maekin_api::SERVER_NAME)
        .header(header::USER_AGENT, concat!("maekin/", env!("CARGO_PKG_VERSION")));
    if !ask.body.is_empty() {
        request = request.header(header::CONTENT_TYPE, media);
    }
    if let Some(value) = &ask.authorization {
        request = request.header(header::AUTHORIZATION, value);
    }
    if let Some(value) = &ask.if_match {
        request = request.header(header::IF_MATCH, value);
    }
    let request = request.body(ask.body.clone()).map_err(|e| unsent(&e))?;
    let response: Response<Incoming> = sender.send_request(request).await.map_err(|e| broken(&target, &e))?;
    let etag = response.headers().get(header::ETAG).and_then(|v| v.to_str().ok()).map(str::to_owned);
    Ok(Open { status: response.status().as_u16(), etag, target, body: response.into_body(), driver })
}
