//! The way to a syslog server: datagrams (RFC 5426), a stream with octet counting (RFC 6587 section 3.4.1), the same
//! under TLS (RFC 5425).

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use maekin_api::settings::{Syslog, Transport};
use maekin_host::file::read_text;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, RootCertStore};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpStream, UdpSocket, lookup_host};
use tokio_rustls::TlsConnector;

/// How long the server may take to be connected to, or to take a message.
const LIMIT: Duration = Duration::from_secs(10);
/// Longest datagram: what every receiver should take (RFC 5426 section 3.2), and longest message of a stream (RFC 5425
/// section 4.3.1).
const DATAGRAM: usize = 2048;
const STREAMED: usize = 8192;
/// The public CAs (Debian's ca-certificates).
const PUBLIC: &str = "/etc/ssl/certs/ca-certificates.crt";
/// Most addresses of a name that are tried.
const ADDRESSES: usize = 8;

/// The server was not reached, or did not take a message.
#[derive(Debug, thiserror::Error)]
pub(crate) enum SendError {
    /// Its name has no address.
    #[error("{server} has no address ({why}); is the name right, and are the name servers?")]
    Name {
        /// Its name.
        server: String,
        /// What was said.
        why: String,
    },
    /// No connection.
    #[error("{server} port {port} is not reached: {why}")]
    Unreachable {
        /// Its name.
        server: String,
        /// Which port.
        port: u16,
        /// Why.
        why: String,
    },
    /// It shows no certificate that we trust, or that cannot be told.
    #[error("{server} is not trusted: {why}")]
    Untrusted {
        /// Its name.
        server: String,
        /// Why.
        why: String,
    },
    /// The connection broke.
    #[error("the connection to the server broke: {0}")]
    Broken(io::Error),
}

/// CAs that a server may be certified by: those of a PEM text, else the public ones.
///
/// # Errors
/// What is wrong with the text.
pub(crate) fn roots(ca: Option<&str>) -> Result<RootCertStore, String> {
    let public;
    let pem = match ca {
        Some(pem) => pem,
        None => {
            public =
                read_text(std::path::Path::new(PUBLIC), 4 << 20).map_err(|e| crate::errors::chain(&e))?;
            &public
        }
    };
    let mut roots = RootCertStore::empty();
    for cert in CertificateDer::pem_slice_iter(pem.as_bytes()) {
        let added = cert.map_err(|e| e.to_string()).and_then(|c| roots.add(c).map_err(|e| e.to_string()));
        // Of the public ones, some may be of a kind that is not known.
        if let (Err(why), Some(_)) = (added, ca) {
            return Err(format!("a certificate cannot be read: {why}"));
        }
    }
    if roots.is_empty() {
        return Err("there is no certificate in it; write PEM, as in a .crt file".to_owned());
    }
    Ok(roots)
}

/// A connection, plain or under TLS.
pub(super) trait Stream: AsyncRead + AsyncWrite + Send + Unpin {}
impl<S: AsyncRead + AsyncWrite + Send + Unpin> Stream for S {}

/// An open way to a server.
pub(super) enum Line {
    /// Datagrams.
    Udp(UdpSocket),
    /// A stream.
    Stream(Box<dyn Stream>),
}

impl Line {
    /// Opens it.
    ///
    /// # Errors
    /// [`SendError`].
    pub(super) async fn open(target: &Syslog) -> Result<Self, SendError> {
        let (server, port) = (&target.server, target.port());
        let name = |why: String| SendError::Name { server: server.clone(), why };
        let found = tokio::time::timeout(LIMIT, lookup_host((server.as_str(), port))).await;
        let addresses: Vec<SocketAddr> = match found {
            Err(_) => return Err(name("no name server answers".to_owned())),
            Ok(found) => found.map_err(|e| name(e.to_string()))?.take(ADDRESSES).collect(),
        };
        let mut why = "its name has no address".to_owned();
        for address in addresses {
            let opened = tokio::time::timeout(LIMIT, Self::connect(target, address)).await;
            match opened {
                Ok(Ok(line)) => return Ok(line),
                Ok(Err(e @ SendError::Untrusted { .. })) => return Err(e),
                Ok(Err(e)) => why = crate::errors::chain(&e),
                Err(_) => why = format!("{address} does not answer"),
            }
        }
        Err(SendError::Unreachable { server: server.clone(), port, why })
    }

    async fn connect(target: &Syslog, address: SocketAddr) -> Result<Self, SendError> {
        if target.transport == Transport::Udp {
            let any: SocketAddr = if address.is_ipv4() { ([0; 4], 0).into() } else { ([0; 16], 0).into() };
            let socket = UdpSocket::bind(any).await.map_err(SendError::Broken)?;
            socket.connect(address).await.map_err(SendError::Broken)?;
            return Ok(Self::Udp(socket));
        }
        let stream = TcpStream::connect(address).await.map_err(SendError::Broken)?;
        if target.transport == Transport::Tcp {
            return Ok(Self::Stream(Box::new(stream)));
        }
        let untrusted = |why: String| SendError::Untrusted { server: target.server.clone(), why };
        let roots = roots(target.ca.as_deref()).map_err(untrusted)?;
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let config = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .map_err(|e| untrusted(e.to_string()))?
            .with_root_certificates(roots)
            .with_no_client_auth();
        let name = ServerName::try_from(target.server.clone()).map_err(|e| untrusted(e.to_string()))?;
        let stream = TlsConnector::from(Arc::new(config)).connect(name, stream).await;
        let stream = stream.map_err(|e| untrusted(e.to_string()))?;
        Ok(Self::Stream(Box::new(stream)))
    }

    /// Longest message, bytes.
    pub(super) fn longest(&self) -> usize {
        match self {
            Self::Udp(_) => DATAGRAM,
            Self::Stream(_) => STREAMED,
        }
    }

    /// Sends a message.
    ///
    /// # Errors
    /// [`SendError::Broken`].
    pub(super) async fn send(&mut self, message: &[u8]) -> Result<(), SendError> {
        let work = async {
            match self {
                Self::Udp(socket) => socket.send(message).await.map(drop),
                Self::Stream(stream) => {
                    let mut frame = format!("{} ", message.len()).into_bytes();
                    frame.extend_from_slice(message);
                    stream.write_all(&frame).await?;
                    stream.flush().await
                }
            }
        };
        let late = || io::Error::new(io::ErrorKind::TimedOut, "the server takes nothing");
        let sent = tokio::time::timeout(LIMIT, work).await.unwrap_or_else(|_| Err(late()));
        sent.map_err(SendError::Broken)
    }

    /// Waits until the server ends the connection; of datagrams, for ever. What it says is not listened to.
    pub(super) async fn broken(&mut self) -> SendError {
        let Self::Stream(stream) = self else { return std::future::pending().await };
        let mut scrap = [0; 512];
        loop {
            match stream.read(&mut scrap).await {
                Ok(0) => return SendError::Broken(io::ErrorKind::UnexpectedEof.into()),
                Ok(_) => {}
                Err(e) => return SendError::Broken(e),
            }
        }
    }
}
