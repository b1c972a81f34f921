//! The accept loop: bounded connections, in all and for one address, and limits on every wait.

use std::collections::HashMap;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use axum::Extension;
use axum::Router;
use axum::extract::connect_info::ConnectInfo;
use axum::middleware::map_response;
use axum::response::Response;
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use socket2::SockRef;
use tokio::net::{TcpListener, TcpStream};
use tokio::time::sleep;

use super::outgoing::{Outgoing, Outlet};
use super::stall::Unstalled;

/// Most connections at once.
pub const MAX_CONNECTIONS: usize = 2048;
/// Most connections at once of one address.
pub const MAX_PER_CLIENT: usize = 64;
/// How long a client may take to send a request's head, also on a connection kept open.
const HEAD_LIMIT: Duration = Duration::from_secs(20);
/// How long a client may take nothing of what is sent to it.
const STALL_LIMIT: Duration = Duration::from_secs(60);
/// Bytes of a connection that may lie in the kernel unsent. More gains nothing on a network that carries a megabyte in
/// milliseconds, and lets 32 downloads stand in each other's way: measured, they took 14 s so, and 5.5 s with this.
const UNSENT: u32 = 256 << 10;
/// Pause after an accept that failed, for want of descriptors.
const BREATH: Duration = Duration::from_millis(100);

/// Connections by client.
type Open = Arc<Mutex<HashMap<IpAddr, usize>>>;

/// Serves `router` for ever.
pub async fn serve(listener: TcpListener, router: Router) {
    let open = Open::default();
    loop {
        match listener.accept().await {
            Ok((stream, peer)) => match Seat::take(&open, peer.ip()) {
                Some(seat) => {
                    let router = router.clone();
                    tokio::spawn(async move {
                        if let Err(e) = connection(stream, peer, router).await {
                            tracing::debug!(client = %peer.ip(), "HTTP connection ended: {e}");
                        }
                        drop(seat);
                    });
                }
                None => tracing::warn!(client = %peer.ip(), "too many HTTP connections, one refused"),
            },
            Err(e) if is_peers(&e) => {}
            Err(e) => {
                tracing::error!("cannot accept HTTP connections: {e}");
                sleep(BREATH).await;
            }
        }
    }
}

fn is_peers(e: &io::Error) -> bool {
    matches!(
        e.kind(),
        io::ErrorKind::ConnectionAborted | io::ErrorKind::ConnectionReset | io::ErrorKind::Interrupted
    )
}

async fn connection(stream: TcpStream, peer: SocketAddr, router: Router) -> hyper::Result<()> {
    // Both are only a matter of speed.
    let _ = stream.set_nodelay(true);
    let _ = SockRef::from(&stream).set_tcp_notsent_lowat(UNSENT);
    let outlet = Outlet::default();
    let stream = Outgoing::new(stream, outlet.clone());
    let attach = map_response(move |response: Response| std::future::ready(outlet.attach(response)));
    let service = TowerToHyperService::new(router.layer(Extension(ConnectInfo(peer))).layer(attach));
    http1::Builder::new()
        // GRUB knows `Content-Length` in this spelling alone, and else waits for the end of the connection.
        .title_case_headers(true)
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD_LIMIT)
        .max_buf_size(64 << 10)
        .writev(true) // or holes would be copied, see `outgoing`
        .serve_connection(TokioIo::new(Unstalled::new(stream, STALL_LIMIT)), service)
        .await
}

/// A connection's place among those allowed.
struct Seat {
    open: Open,
    client: IpAddr,
}

impl Seat {
    fn take(open: &Open, client: IpAddr) -> Option<Self> {
        let mut counts = open.lock().unwrap_or_else(PoisonError::into_inner);
        if counts.values().sum::<usize>() >= MAX_CONNECTIONS {
            return None;
        }
        let count = counts.entry(client).or_default();
        if *count >= MAX_PER_CLIENT {
            return None;
        }
        *count += 1;
        Some(Self { open: open.clone(), client })
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        let mut counts = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(count) = counts.get_mut(&self.client) {
            *count -= 1;
            if *count == 0 {
                counts.remove(&self.client);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_client_cannot_take_all_seats_and_leaves_none_behind() {
        let open = Open::default();
        let (one, two) = (IpAddr::from([10, 0, 0, 1]), IpAddr::from([10, 0, 0, 2]));
        let seats: Vec<_> = std::iter::from_fn(|| Seat::take(&open, one)).collect();
        assert_eq!(seats.len(), MAX_PER_CLIENT);
        assert!(Seat::take(&open, two).is_some());
        drop(seats);
        assert!(open.lock().unwrap().is_empty());
    }
}
