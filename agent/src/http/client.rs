//! Asking another agent, or our own: one request a connection, bounded in time and size.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use axum::body::{Body, Bytes};
use axum::http::{Method, Request, StatusCode, header};
use hyper_util::rt::TokioIo;
use maekin_api::problem::Problem;
use rustls::pki_types::ServerName;
use serde::Serialize;
use serde::de::DeserializeOwned;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpStream, UnixStream};
use tokio_rustls::TlsConnector;

use crate::app::App;
use crate::errors::chain;
use crate::pki::SERVER_NAME;
use crate::pki::identity::Credentials;
use crate::tls;

/// Largest answer that is read, bytes.
const LARGEST: usize = 4 << 20;
/// How long connecting may take.
const CONNECT_LIMIT: Duration = Duration::from_secs(5);
/// How long the whole exchange may take.
const LIMIT: Duration = Duration::from_secs(20);
/// The same for something slow: a little more than the other side gives any request.
const SLOW: Duration = Duration::from_secs(65);

/// Whom to ask.
#[derive(Clone)]
pub(crate) enum Target {
    /// The agent of this machine.
    Socket(PathBuf),
    /// Another one, `host:port`.
    Tls(String, Arc<rustls::ClientConfig>),
}

/// An agent was asked, and no useful answer came.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ClientError {
    /// No connection.
    #[error("cannot reach the agent at {target}")]
    Connect {
        /// Whom.
        target: String,
        /// Why not.
        #[source]
        source: std::io::Error,
    },
    /// It took too long.
    #[error("the agent at {target} gave no answer within {} s", limit.as_secs())]
    TimedOut {
        /// Whom.
        target: String,
        /// How long it had.
        limit: Duration,
    },
    /// The exchange broke off.
    #[error("the exchange with the agent at {target} broke off")]
    Broken {
        /// Whom.
        target: String,
        /// Why.
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// It answered with a problem.
    #[error("{0}")]
    Problem(Problem),
    /// It answered with something else.
    #[error("the agent at {target} answered with status {status} and nothing that can be understood")]
    Strange {
        /// Whom.
        target: String,
        /// HTTP status.
        status: u16,
    },
}

impl ClientError {
    /// Whether somebody answered whose certificate is none that we trust.
    pub(crate) fn is_untrusted(&self) -> bool {
        let Self::Connect { source, .. } = self else { return false };
        let inner = source.get_ref().and_then(|inner| inner.downcast_ref::<rustls::Error>());
        matches!(inner, Some(rustls::Error::InvalidCertificate(_)))
    }
}

impl Target {
    /// Another member, at its URL, with our own certificate.
    ///
    /// # Errors
    /// Why this node cannot ask any.
    pub(crate) fn member(app: &App, url: &str) -> Result<Self, String> {
        let credentials = Credentials::load(&app.settings.pki(), &app.key, &app.node_id)
            .map_err(|e| chain(&e))?
            .ok_or_else(|| "it has no certificate".to_owned())?;
        let config = tls::to_members(&app.key, &credentials).map_err(|e| chain(&e))?;
        let address = url.trim_start_matches("https://").trim_end_matches('/').to_owned();
        Ok(Self::Tls(address, Arc::new(config)))
    }

    fn name(&self) -> String {
        match self {
            Self::Socket(path) => path.display().to_string(),
            Self::Tls(address, _) => format!("https://{address}"),
        }
    }

    /// Asks with `GET`.
    ///
    /// # Errors
    /// [`ClientError`].
    pub(crate) async fn get<T: DeserializeOwned>(&self, path: &str) -> Result<T, ClientError> {
        self.json(Method::GET, path, Bytes::new()).await
    }

    /// Asks with `POST` and a JSON body.
    ///
    /// # Errors
    /// [`ClientError`].
    pub(crate) async fn post<T: DeserializeOwned>(
        &self,
        path: &str,
        body: &impl Serialize,
    ) -> Result<T, ClientError> {
        self.json(Method::POST, path, self.body(body)?).await
    }

    /// Asks with `POST` and a JSON body for something that takes its time.
    ///
    /// # Errors
    /// [`ClientError`].
    pub(crate) async fn post_slow<T: DeserializeOwned>(
        &self,
        path: &str,
        body: &impl Serialize,
    ) -> Result<T, ClientError> {
        let outcome = self.exchange_within(SLOW, Method::POST, path, self.body(body)?).await?;
        self.understand(&outcome)
    }

    /// Asks with `PUT` and a JSON body.
    ///
    /// # Errors
    /// [`ClientError`].
    pub(crate) async fn put<T: DeserializeOwned>(
        &self,
        path: &str,
        body: &impl Serialize,
    ) -> Result<T, ClientError> {
        self.json(Method::PUT, path, self.body(body)?).await
    }

    fn body(&self, body: &impl Serialize) -> Result<Bytes, ClientError> {
        let broken = |e: serde_json::Error| ClientError::Broken { target: self.name(), source: e.into() };
        serde_json::to_vec(body).map(Bytes::from).map_err(broken)
    }

    /// Asks with `DELETE`.
    ///
    /// # Errors
    /// [`ClientError`].
    pub(crate) async fn delete<T: DeserializeOwned>(&self, path: &str) -> Result<T, ClientError> {
        self.json(Method::DELETE, path, Bytes::new()).await
    }

    async fn json<T: DeserializeOwned>(
        &self,
        method: Method,
        path: &str,
        body: Bytes,
    ) -> Result<T, ClientError> {
        self.understand(&self.exchange(method, path, body).await?)
    }

    fn understand<T: DeserializeOwned>(&self, answer: &(StatusCode, Bytes)) -> Result<T, ClientError> {
        let (status, body) = answer;
        let strange = || ClientError::Strange { target: self.name(), status: status.as_u16() };
        if !status.is_success() {
            return Err(serde_json::from_slice(body).map_or_else(|_| strange(), ClientError::Problem));
        }
        serde_json::from_slice(body).map_err(|_| strange())
    }

    /// Asks, and returns status and body as they came.
    ///
    /// # Errors
    /// [`ClientError`].
    pub(crate) async fn exchange(
        &self,
        method: Method,
        path: &str,
        body: Bytes,
    ) -> Result<(StatusCode, Bytes), ClientError> {
        self.exchange_within(LIMIT, method, path, body).await
    }

    async fn exchange_within(
        &self,
        limit: Duration,
        method: Method,
        path: &str,
        body: Bytes,
    ) -> Result<(StatusCode, Bytes), ClientError> {
        let work = async {
            match self {
                Self::Socket(socket) => {
                    let stream = self.connect(UnixStream::connect(socket)).await?;
                    self.talk(stream, method, path, body).await
                }
                Self::Tls(address, config) => {
                    let stream = self.connect(TcpStream::connect(address)).await?;
                    // A constant that is a valid DNS name; nodes are known by their certificate, not their address.
                    let name = ServerName::try_from(SERVER_NAME)
                        .map_err(|e| ClientError::Broken { target: self.name(), source: e.into() })?;
                    let tls = TlsConnector::from(Arc::clone(config));
                    let stream = self.connect(tls.connect(name, stream)).await?;
                    self.talk(stream, method, path, body).await
                }
            }
        };
        let timed_out = |_| ClientError::TimedOut { target: self.name(), limit };
        tokio::time::timeout(limit, work).await.map_err(timed_out)?
    }

    async fn connect<S>(&self, work: impl Future<Output = std::io::Result<S>>) -> Result<S, ClientError> {
        let late = |_| std::io::Error::from(std::io::ErrorKind::TimedOut);
        tokio::time::timeout(CONNECT_LIMIT, work)
            .await
            .map_err(late)
            .flatten()
            .map_err(|source| ClientError::Connect { target: self.name(), source })
    }

    async fn talk<S>(
        &self,
        stream: S,
        method: Method,
        path: &str,
        body: Bytes,
    ) -> Result<(StatusCode, Bytes), ClientError>
    where
        S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        let broken = |e: Box<dyn std::error::Error + Send + Sync>| ClientError::Broken {
            target: self.name(),
            source: e,
        };
        let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream))
            .await
            .map_err(|e| broken(e.into()))?;
        let driver = tokio::spawn(connection);
        let request = Request::builder()
            .method(method)
            .uri(path)
            .header(header::HOST, SERVER_NAME)
            .header(header::CONTENT_TYPE, "application/json")
            .body(Body::from(body))
            .map_err(|e| broken(e.into()))?;
        let response = sender.send_request(request).await.map_err(|e| broken(e.into()))?;
        let status = response.status();
        let body = axum::body::to_bytes(Body::new(response.into_body()), LARGEST)
            .await
            .map_err(|e| broken(e.into()))?;
        driver.abort(); // the answer is whole; nothing else is expected on this connection
        Ok((status, body))
    }
}
