//! The TFTP server: one thread for all, one port for requests, one socket and one task for each transfer.
//!
//! Bounded: [`MAX_TRANSFERS`] in all, [`MAX_PER_CLIENT`] for one address; a transfer owns one small packet and shares
//! the file. A client beyond that gets no answer, and asks again. Answers leave from the address that the request
//! came to.

use std::collections::HashSet;
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, SocketAddrV4, UdpSocket};
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use maekin_host::net::{self, Datagram, UdpOptions};
use maekin_host::net6;
use tokio::io::Interest;
use tokio::sync::oneshot;
use tokio::time::timeout;

use super::catalog::{Catalog, Found, is_optional};
use super::job::{Job, SEND_LIMIT};
use super::packet::{Code, MAX_BLOCK, ReadRequest, Request, error, parse_request};
use super::transfer::Transfer;
use crate::counters::{Counters, count};

/// The well-known port.
pub const PORT: u16 = 69;
/// Most transfers at once.
pub const MAX_TRANSFERS: usize = 1024;
/// Most transfers at once to one address.
pub const MAX_PER_CLIENT: usize = 8;
/// For the requests of a rack that is switched on at once.
const REQUEST_BUFFER: usize = 4 << 20;
/// For the ACKs of one transfer.
const TRANSFER_BUFFER: usize = 64 << 10;
/// Headers of IPv4, UDP and TFTP before a block, in bytes.
const HEADERS: usize = 20 + 8 + super::packet::HEADER;

/// Makes the script for the client at an address.
pub type Autoexec = dyn Fn(Ipv4Addr) -> String + Send + Sync;

/// The server, ready to run.
pub struct Server {
    interface: String,
    socket: UdpSocket,
    catalog: Catalog,
    autoexec: Box<Autoexec>,
    counters: Arc<Counters>,
    /// Largest block that fits into a packet of this interface.
    most: u16,
    active: Active,
    v6: Option<V6>,
}

/// The same for clients over IPv6.
struct V6 {
    address: Ipv6Addr,
    socket: UdpSocket,
    catalog: Catalog,
}

/// The clients (address and port) of the transfers under way.
type Active = Arc<Mutex<HashSet<SocketAddr>>>;

/// A server that runs, until this is dropped.
#[derive(Debug)]
pub struct Running {
    /// Tells when the server ended by itself, and why.
    pub ended: oneshot::Receiver<io::Result<()>>,
    stop: oneshot::Sender<()>,
}

impl Running {
    /// Ends it, and returns when no packet is answered any more.
    pub async fn end(self) {
        drop(self.stop);
        let _ = self.ended.await; // it may have ended by itself
    }
}

/// What becomes of a request.
enum Verdict {
    /// It is being served, or not worth a word.
    Quiet,
    Refused(Code, &'static str),
}

impl Server {
    /// Opens port 69 on `interface`.
    ///
    /// # Errors
    /// When the socket cannot be had.
    pub fn open(
        interface: &str,
        catalog: Catalog,
        autoexec: Box<Autoexec>,
        counters: Arc<Counters>,
    ) -> io::Result<Self> {
        let socket = open_socket(interface, SocketAddrV4::new(Ipv4Addr::UNSPECIFIED, PORT), REQUEST_BUFFER)?;
        let most = largest_block(net::mtu(interface).ok());
        let interface = interface.to_owned();
        Ok(Self { interface, socket, catalog, autoexec, counters, most, active: Active::default(), v6: None })
    }

    /// Serves `catalog` at this address of ours too. Nothing is made for single clients there.
    ///
    /// # Errors
    /// When the socket cannot be had.
    pub fn also_at(&mut self, address: Ipv6Addr, catalog: Catalog) -> io::Result<()> {
        let socket = net6::open_udp(&self.interface, address, PORT)?;
        socket.set_nonblocking(true)?;
        self.v6 = Some(V6 { address, socket, catalog });
        Ok(())
    }

    /// Serves on a thread of its own: a block of a window waits for nobody else's work.
    ///
    /// # Errors
    /// When there can be no thread or no runtime.
    pub fn spawn(self) -> io::Result<Running> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let (ending, ended) = oneshot::channel();
        let (stop, stopped) = oneshot::channel::<()>();
        std::thread::Builder::new().name("tftp".to_owned()).spawn(move || {
            let result = runtime.block_on(async {
                tokio::select! {
                    result = self.run() => result,
                    _ = stopped => Ok(()),
                }
            });
            drop(runtime); // and with it every transfer
            let _ = ending.send(result); // nobody listens any more when all is being stopped
        })?;
        Ok(Running { ended, stop })
    }

    async fn run(self) -> io::Result<()> {
        tokio::try_join!(self.run_v4(), self.run_v6()).map(drop)
    }

    async fn run_v4(&self) -> io::Result<()> {
        let socket = tokio::net::UdpSocket::from_std(self.socket.try_clone()?)?;
        let mut buf = [0; 2048];
        loop {
            let received = socket.async_io(Interest::READABLE, || net::receive(&socket, &mut buf)).await;
            match received {
                Ok(got) => self.request(&socket, &buf[..got.len], got).await,
                Err(e) if e.kind() == io::ErrorKind::ConnectionRefused => {} // an ICMP answer to an earlier ERROR
                Err(e) => return Err(e),
            }
        }
    }

    async fn run_v6(&self) -> io::Result<()> {
        let Some(v6) = &self.v6 else { return std::future::pending().await };
        let socket = tokio::net::UdpSocket::from_std(v6.socket.try_clone()?)?;
        let mut buf = [0; 2048];
        loop {
            match socket.recv_from(&mut buf).await {
                Ok((len, from)) => {
                    let refusal = self.refusal(&buf[..len], from, IpAddr::V6(v6.address), &v6.catalog);
                    if let Some(packet) = refusal {
                        let _ = timeout(SEND_LIMIT, socket.send_to(&packet, from)).await; // it asks again
                    }
                }
                Err(e) if e.kind() == io::ErrorKind::ConnectionRefused => {}
                Err(e) => return Err(e),
            }
        }
    }

    async fn request(&self, socket: &tokio::net::UdpSocket, bytes: &[u8], got: Datagram) {
        let refusal = self.refusal(bytes, SocketAddr::V4(got.from), IpAddr::V4(got.to), &self.catalog);
        let Some(packet) = refusal else { return };
        let send = socket.async_io(Interest::WRITABLE, || net::send(socket, &packet, got.to, got.from));
        if let Ok(Err(e)) = timeout(SEND_LIMIT, send).await {
            tracing::debug!(client = %got.from, "cannot send a TFTP refusal: {e}");
        }
    }

    /// Serves a request, or says with which packet it is refused.
    fn refusal(&self, bytes: &[u8], from: SocketAddr, to: IpAddr, catalog: &Catalog) -> Option<Vec<u8>> {
        let verdict = match parse_request(bytes) {
            Request::Read(request) => self.admit(&request, from, to, catalog),
            Request::Refused(code, text) => Verdict::Refused(code, text),
            Request::Ignored => Verdict::Quiet,
        };
        let Verdict::Refused(code, text) = verdict else { return None };
        count(&self.counters.tftp_refused);
        Some(error(code, text))
    }

    /// Starts the transfer, or says why not.
    fn admit(&self, request: &ReadRequest<'_>, from: SocketAddr, to: IpAddr, catalog: &Catalog) -> Verdict {
        let client = from.ip();
        let content: Arc<[u8]> = match (catalog.find(request.name), client) {
            (Some(Found::File(content)), _) => content,
            (Some(Found::Autoexec), IpAddr::V4(client)) => (self.autoexec)(client).into_bytes().into(),
            _ => {
                let file = request.name.escape_debug();
                if is_optional(request.name) {
                    tracing::debug!(%client, %file, "TFTP: not there, and not needed");
                } else {
                    tracing::info!(%client, %file, "TFTP: no such file");
                }
                return Verdict::Refused(Code::NotFound, "no such file");
            }
        };
        let Some(seat) = Seat::take(&self.active, from) else {
            // Either its first packet was lost, and the transfer sends it again by itself; or there are too many.
            // An ERROR would end the boot of a machine that only has to ask again.
            return Verdict::Quiet;
        };
        let open = || match to {
            IpAddr::V4(to) => open_socket(&self.interface, SocketAddrV4::new(to, 0), TRANSFER_BUFFER),
            IpAddr::V6(to) => {
                let socket = net6::open_udp(&self.interface, to, 0)?;
                socket.set_nonblocking(true)?;
                Ok(socket)
            }
        };
        let socket = match open()
            .and_then(|socket| socket.connect(from).map(|()| socket))
            .and_then(tokio::net::UdpSocket::from_std)
        {
            Ok(socket) => socket,
            Err(e) => {
                tracing::error!(%client, "cannot open a socket for a TFTP transfer: {e}");
                return Verdict::Refused(Code::Undefined, "the server is out of sockets");
            }
        };
        self.counters.tftp_started.fetch_add(1, Ordering::Relaxed);
        let transfer = Transfer::new(content, request.options, self.most, Instant::now());
        let name = request.name.to_owned();
        let job = Job::new(socket, from, name, self.counters.clone());
        tokio::spawn(async move {
            job.run(transfer).await;
            drop(seat);
        });
        Verdict::Quiet
    }
}

/// The largest block for an interface with this MTU: what is larger would travel in fragments, which the ROMs of many
/// cards cannot put together.
fn largest_block(mtu: Option<usize>) -> u16 {
    let room = mtu.map_or(MAX_BLOCK, |mtu| u16::try_from(mtu.saturating_sub(HEADERS)).unwrap_or(MAX_BLOCK));
    room.clamp(8, MAX_BLOCK)
}

fn open_socket(interface: &str, local: SocketAddrV4, receive_buffer: usize) -> io::Result<UdpSocket> {
    let socket = net::open_udp(UdpOptions { interface, local, receive_buffer })?;
    socket.set_nonblocking(true)?;
    Ok(socket)
}

/// A transfer's place among those allowed.
struct Seat {
    active: Active,
    client: SocketAddr,
}

impl Seat {
    fn take(active: &Active, client: SocketAddr) -> Option<Self> {
        let mut clients = active.lock().unwrap_or_else(PoisonError::into_inner);
        if clients.contains(&client) {
            return None;
        }
        if clients.len() >= MAX_TRANSFERS
            || clients.iter().filter(|other| other.ip() == client.ip()).count() >= MAX_PER_CLIENT
        {
            tracing::warn!(client = %client.ip(), "too many TFTP transfers at once; it has to ask again");
            return None;
        }
        clients.insert(client);
        Some(Self { active: active.clone(), client })
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        self.active.lock().unwrap_or_else(PoisonError::into_inner).remove(&self.client);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn blocks_fit_the_interface() {
        let rows = [
            ("Ethernet", Some(1500), 1468),
            ("jumbo frames, which the client may not have", Some(9000), 1468),
            ("the loopback", Some(65536), 1468),
            ("inside a tunnel", Some(1400), 1368),
            ("absurd", Some(20), 8),
            ("unknown", None, 1468),
        ];
        for (name, mtu, wanted) in rows {
            assert_eq!(largest_block(mtu), wanted, "{name}");
        }
    }

    #[test]
    fn seats_are_counted_by_client_and_given_back() {
        let active = Active::default();
        let client = |ip: [u8; 4], port| SocketAddr::from((ip, port));
        let mut seats: Vec<_> =
            (1..).map_while(|port| Seat::take(&active, client([10, 0, 0, 1], port))).collect();
        assert_eq!(seats.len(), MAX_PER_CLIENT);
        let other = Seat::take(&active, client([10, 0, 0, 2], 1)).expect("another client's");
        assert!(Seat::take(&active, client([10, 0, 0, 2], 1)).is_none(), "the same request again");
        seats.pop();
        let again = Seat::take(&active, client([10, 0, 0, 1], 100)).expect("a seat that became free");
        drop((seats, other, again));
        let mut all = Vec::new();
        for n in 0..=u16::try_from(MAX_TRANSFERS).unwrap() {
            let [high, low] = n.to_be_bytes();
            all.extend(Seat::take(&active, client([10, 1, high, low], 1)));
        }
        assert_eq!(all.len(), MAX_TRANSFERS);
        drop(all);
        assert!(active.lock().unwrap().is_empty());
    }
}
