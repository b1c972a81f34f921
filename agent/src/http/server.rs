//! Accept loops. Whoever is slow, or many, cannot keep the others out for long: handshakes, headers, requests and
//! whole connections have limits, and so has their number.

use std::collections::BTreeSet;
use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::sync::{Arc, OnceLock, PoisonError, RwLock};
use std::time::Duration;

use axum::{Extension, Router};
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use maekin_host::pin;
use rustls::ServerConfig;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream, UnixListener};
use tokio::sync::{Semaphore, watch};
use tokio_rustls::TlsAcceptor;

use super::auth::Peer;
use crate::clock::now;
use crate::pki::SERVER_NAME;
use crate::pki::bundle::Bundle;
use crate::pki::peer::{parse_dates, parse_peer};
use crate::trust::known::Lapsed;

const HANDSHAKE_LIMIT: Duration = Duration::from_secs(10);
const HEADER_LIMIT: Duration = Duration::from_secs(10);
const CONNECTION_LIMIT: Duration = Duration::from_secs(300);
/// Most connections at once over HTTPS, and over the socket.
const CONNECTIONS: usize = 512;
/// Most bytes of a request's head.
const HEAD: usize = 32 << 10;

/// The TLS configuration in use, which changes when the node becomes a member.
#[derive(Clone)]
pub(crate) struct TlsSlot {
    config: Arc<RwLock<Serving>>,
    /// Digests of keys whose bearers are members no longer.
    removed: Arc<watch::Sender<BTreeSet<String>>>,
    /// Who is told of certificates that were refused.
    told: Arc<OnceLock<Box<Tell>>>,
}

/// What new connections get.
#[derive(Clone)]
struct Serving {
    config: Arc<ServerConfig>,
    /// CAs whose certificates are let in, and are good for no more than those that have run out.
    former: Arc<Bundle>,
}

/// Takes from where somebody came whose certificate was refused, and why it was.
type Tell = dyn Fn(IpAddr, &rustls::CertificateError) + Send + Sync;

impl TlsSlot {
    /// A slot that holds `config`.
    pub(crate) fn new(config: ServerConfig) -> Self {
        Self {
            config: Arc::new(RwLock::new(Serving { config: Arc::new(config), former: Arc::default() })),
            removed: Arc::default(),
            told: Arc::default(),
        }
    }

    /// From now on, `tell` hears of certificates that are refused. The first one to be set stays.
    pub(crate) fn on_refusal(
        &self,
        tell: impl Fn(IpAddr, &rustls::CertificateError) + Send + Sync + 'static,
    ) {
        let _ = self.told.set(Box::new(tell)); // see above
    }

    /// A handshake failed; it may have been for the certificate that was shown.
    fn failed(&self, from: SocketAddr, error: &io::Error) {
        let cause = error.get_ref().and_then(|cause| cause.downcast_ref::<rustls::Error>());
        if let (Some(rustls::Error::InvalidCertificate(why)), Some(tell)) = (cause, self.told.get()) {
            tell(from.ip().to_canonical(), why);
        }
    }

    /// From now on, new connections get `config`.
    #[cfg(test)]
    pub(crate) fn set(&self, config: ServerConfig) {
        self.set_knowing(config, Bundle::default());
    }

    /// The same, and certificates of the CAs of `former` are good for no more than those that have run out.
    pub(crate) fn set_knowing(&self, config: ServerConfig, former: Bundle) {
        let serving = Serving { config: Arc::new(config), former: Arc::new(former) };
        *self.config.write().unwrap_or_else(PoisonError::into_inner) = serving;
    }

    /// From now on, connections of those who have these keys are closed.
    pub(crate) fn remove(&self, keys: BTreeSet<String>) {
        self.removed.send_if_modified(|old| {
            let news = *old != keys;
            *old = keys;
            news
        });
    }

    /// Waits until the bearer of `key` is removed; one that was before hears from each request that it is.
    async fn removal(&self, key: &str) {
        let mut removed = self.removed.subscribe();
        if !removed.borrow_and_update().contains(key)
            && removed.wait_for(|keys| keys.contains(key)).await.is_ok()
        {
            return;
        }
        std::future::pending::<()>().await;
    }

    fn get(&self) -> Serving {
        self.config.read().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

/// Listens on `address`; on a machine without IPv6, an unspecified one means all of IPv4.
///
/// # Errors
/// As bind(2), naming the address.
pub(crate) async fn listen(address: IpAddr, port: u16) -> io::Result<TcpListener> {
    let named =
        |e: io::Error| io::Error::new(e.kind(), format!("cannot listen on {address} port {port}: {e}"));
    match TcpListener::bind(SocketAddr::new(address, port)).await {
        Err(e) if address.is_ipv6() && address.is_unspecified() && e.kind() != io::ErrorKind::AddrInUse => {
            TcpListener::bind((Ipv4Addr::UNSPECIFIED, port)).await.map_err(named)
        }
        other => other.map_err(named),
    }
}

/// Listens on a unix socket that only its owner can use, in place of one that a previous run left.
///
/// # Errors
/// As bind(2), naming the path.
pub(crate) fn listen_socket(path: &Path) -> io::Result<UnixListener> {
    let named = |e: io::Error| io::Error::new(e.kind(), format!("cannot listen on {}: {e}", path.display()));
    if let Some(dir) = path.parent() {
        std::fs::create_dir_all(dir).map_err(named)?;
    }
    match std::fs::remove_file(path) {
        Err(e) if e.kind() != io::ErrorKind::NotFound => return Err(named(e)),
        _ => {}
    }
    let listener = UnixListener::bind(path).map_err(named)?;
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o600)).map_err(named)?;
    Ok(listener)
}

/// Serves `router` over TLS for as long as it is polled.
pub(crate) async fn serve_tls(listener: TcpListener, tls: TlsSlot, router: Router) {
    let places = Arc::new(Semaphore::new(CONNECTIONS));
    loop {
        let Ok((stream, from)) = accepted(listener.accept().await).await else { continue };
        let Ok(place) = Arc::clone(&places).try_acquire_owned() else {
            tracing::warn!(%from, "connection refused: {CONNECTIONS} are open");
            continue;
        };
        let (tls, router) = (tls.clone(), router.clone());
        tokio::spawn(async move {
            if let Err(e) = tls_connection(&tls, stream, from, router).await {
                tracing::debug!(%from, error = %e, "connection ended");
            }
            drop(place);
        });
    }
}

/// Serves `router` over the unix socket, whose users are all root, for as long as it is polled.
pub(crate) async fn serve_socket(listener: UnixListener, router: Router) {
    let places = Arc::new(Semaphore::new(CONNECTIONS));
    loop {
        let Ok((stream, _)) = accepted(listener.accept().await).await else { continue };
        let Ok(place) = Arc::clone(&places).try_acquire_owned() else { continue };
        let router = router.clone().layer(Extension(Peer::Root)).layer(Extension(Lapsed(None)));
        tokio::spawn(async move {
            if let Err(e) = talk(stream, router).await {
                tracing::debug!(error = %e, "socket connection ended");
            }
            drop(place);
        });
    }
}

/// After an error of accept(2) (out of file handles, say) the loop takes a breath instead of spinning.
async fn accepted<T>(result: io::Result<T>) -> io::Result<T> {
    if let Err(e) = &result {
        tracing::warn!(error = %e, "cannot accept a connection");
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    result
}

async fn tls_connection(
    tls: &TlsSlot,
    stream: TcpStream,
    from: SocketAddr,
    router: Router,
) -> Result<(), Box<dyn std::error::Error + Send + Sync>> {
    let Serving { config, former } = tls.get();
    let acceptor = TlsAcceptor::from(config);
    let accepted = tokio::time::timeout(HANDSHAKE_LIMIT, acceptor.accept(stream)).await?;
    let stream = accepted.inspect_err(|e| tls.failed(from, e))?;
    // rustls has verified the chain against the cluster's CA, or one that it had before, when we look into it.
    let certs = stream.get_ref().1.peer_certificates();
    let cert = certs.and_then(|certs| certs.first());
    let holds = cert.and_then(|cert| parse_dates(cert)).is_some_and(|dates| dates.hold(now()));
    let by_former = cert.is_some_and(|cert| former.iter().any(|ca| pin::signed(&ca.der, cert, SERVER_NAME)));
    let holds = holds && !by_former;
    let node = cert.and_then(|cert| parse_peer(cert));
    let stranger = Peer::Stranger(from.ip().to_canonical());
    let (peer, lapsed) = match node.clone() {
        Some(node) if holds => (Peer::Member(node), None),
        lapsed => (stranger, lapsed),
    };
    let talking = talk(stream, router.layer(Extension(peer)).layer(Extension(Lapsed(lapsed))));
    match &node {
        None => talking.await,
        Some(node) => tokio::select! {
            outcome = talking => outcome,
            () = tls.removal(&node.key_sha256) => {
                tracing::warn!(%from, node = node.node_id, "connection of a member that is none any more closed");
                Ok(())
            }
        },
    }
}

async fn talk<S>(stream: S, router: Router) -> Result<(), Box<dyn std::error::Error + Send + Sync>>
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let mut http = hyper::server::conn::http1::Builder::new();
    http.timer(TokioTimer::new()).header_read_timeout(HEADER_LIMIT).max_buf_size(HEAD);
    let connection = http.serve_connection(TokioIo::new(stream), TowerToHyperService::new(router));
    Ok(tokio::time::timeout(CONNECTION_LIMIT, connection).await??)
}
