//! The TFTP server: one port for requests, one task and one socket of its own for each transfer.
//!
//! Bounded: [`MAX_TRANSFERS`] in all, [`MAX_PER_CLIENT`] for one address; a transfer owns one packet and shares the
//! file. Answers leave from the address that the request came to.

use std::collections::HashSet;
use std::io;
use std::net::{Ipv4Addr, SocketAddrV4, UdpSocket};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use maekin_host::net::{self, Datagram, UdpOptions};
use tokio::io::Interest;
use tokio::time::{sleep_until, timeout};

use super::catalog::{Catalog, Found};
use super::packet::{Code, ReadRequest, Request, error, parse_request};
use super::transfer::{Outcome, Transfer};
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
/// How long a socket that is full may take until a packet is counted as lost.
const SEND_LIMIT: Duration = Duration::from_secs(1);

/// Makes the script for the client at an address.
pub type Autoexec = dyn Fn(Ipv4Addr) -> String + Send + Sync;

/// The server, ready to run.
pub struct Server {
    interface: String,
    socket: tokio::net::UdpSocket,
    catalog: Catalog,
    autoexec: Box<Autoexec>,
    counters: Arc<Counters>,
    active: Active,
}

/// The clients (address and port) of the transfers under way.
type Active = Arc<Mutex<HashSet<SocketAddrV4>>>;

impl Server {
    /// Opens port 69 on `interface`. Must be called within the runtime.
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
        let interface = interface.to_owned();
        Ok(Self { interface, socket, catalog, autoexec, counters, active: Active::default() })
    }

    /// Serves for ever.
    ///
    /// # Errors
    /// When the socket fails for good.
    pub async fn run(self) -> io::Result<()> {
        let mut buf = [0; 2048];
        loop {
            let received =
                self.socket.async_io(Interest::READABLE, || net::receive(&self.socket, &mut buf)).await;
            match received {
                Ok(got) => self.request(&buf[..got.len], got).await,
                Err(e) if e.kind() == io::ErrorKind::ConnectionRefused => {} // an ICMP answer to an earlier ERROR
                Err(e) => return Err(e),
            }
        }
    }

    async fn request(&self, bytes: &[u8], got: Datagram) {
        let refusal = match parse_request(bytes) {
            Request::Read(request) => match self.admit(&request, got) {
                Ok(()) => return,
                Err(refusal) => refusal,
            },
            Request::Refused(code, text) => (code, text),
            Request::Ignored => return,
        };
        count(&self.counters.tftp_refused);
        let packet = error(refusal.0, refusal.1);
        let send =
            self.socket.async_io(Interest::WRITABLE, || net::send(&self.socket, &packet, got.to, got.from));
        if let Ok(Err(e)) = timeout(SEND_LIMIT, send).await {
            tracing::debug!(client = %got.from, "cannot send a TFTP refusal: {e}");
        }
    }

    /// Starts the transfer, or says why not.
    fn admit(&self, request: &ReadRequest<'_>, got: Datagram) -> Result<(), (Code, &'static str)> {
        let content: Arc<[u8]> = match self.catalog.find(request.name) {
            Some(Found::File(content)) => content,
            Some(Found::Autoexec) => (self.autoexec)(*got.from.ip()).into_bytes().into(),
            None => {
                tracing::info!(client = %got.from.ip(), file = %request.name.escape_debug(), "TFTP: no such file");
                return Err((Code::NotFound, "no such file"));
            }
        };
        let mut active = self.active.lock().unwrap_or_else(PoisonError::into_inner);
        if active.contains(&got.from) {
            return Ok(()); // its first packet was lost; the transfer sends it again by itself
        }
        if active.len() >= MAX_TRANSFERS {
            return Err((Code::Undefined, "too many transfers at once, try again"));
        }
        if active.iter().filter(|client| client.ip() == got.from.ip()).count() >= MAX_PER_CLIENT {
            return Err((Code::Undefined, "too many transfers to this address"));
        }
        let local = SocketAddrV4::new(got.to, 0);
        let socket = open_socket(&self.interface, local, TRANSFER_BUFFER).map_err(|e| {
            tracing::error!(client = %got.from, "cannot open a socket for a TFTP transfer: {e}");
            (Code::Undefined, "the server is out of sockets")
        })?;
        active.insert(got.from);
        count(&self.counters.tftp_started);
        let transfer = Transfer::new(content, request.options, Instant::now());
        let job = Job {
            socket,
            client: got.from,
            name: request.name.to_owned(),
            active: self.active.clone(),
            counters: self.counters.clone(),
        };
        tokio::spawn(job.run(transfer));
        Ok(())
    }
}

fn open_socket(
    interface: &str,
    local: SocketAddrV4,
    receive_buffer: usize,
) -> io::Result<tokio::net::UdpSocket> {
    let socket: UdpSocket = net::open_udp(UdpOptions { interface, local, receive_buffer })?;
    socket.set_nonblocking(true)?;
    tokio::net::UdpSocket::from_std(socket)
}

/// A transfer's task.
struct Job {
    socket: tokio::net::UdpSocket,
    client: SocketAddrV4,
    name: String,
    active: Active,
    counters: Arc<Counters>,
}

impl Job {
    async fn run(self, mut transfer: Transfer) {
        let start = Instant::now();
        let outcome = match self.socket.connect(self.client).await {
            Ok(()) => self.drive(&mut transfer).await,
            Err(_) => Outcome::Lost,
        };
        let (client, file, ms) = (self.client.ip(), &self.name, start.elapsed().as_millis());
        match outcome {
            Outcome::Done => {
                count(&self.counters.tftp_done);
                tracing::debug!(%client, %file, %ms, "TFTP: sent");
            }
            Outcome::SizeOnly => tracing::debug!(%client, %file, "TFTP: told the size"),
            Outcome::Aborted(code) => {
                count(&self.counters.tftp_failed);
                tracing::info!(%client, %file, code, "TFTP: the client broke off");
            }
            Outcome::Lost => {
                count(&self.counters.tftp_failed);
                tracing::warn!(%client, %file, "TFTP: the client was not heard of any more");
            }
        }
    }

    async fn drive(&self, transfer: &mut Transfer) -> Outcome {
        let mut packet = Vec::with_capacity(2048);
        let mut buf = [0; 600];
        loop {
            while transfer.poll_send(Instant::now(), &mut packet).is_some() {
                // A packet that cannot be sent is a lost one; the state machine deals with those.
                let _ = timeout(SEND_LIMIT, self.socket.send(&packet)).await;
            }
            if let Some(outcome) = transfer.outcome() {
                return outcome;
            }
            tokio::select! {
                received = self.socket.recv(&mut buf) => match received {
                    Ok(len) => transfer.receive(Instant::now(), &buf[..len]),
                    Err(_) => return Outcome::Lost, // its port is closed: ICMP said so
                },
                () = sleep_until(transfer.deadline().into()) => transfer.expire(Instant::now()),
            }
        }
    }
}

impl Drop for Job {
    fn drop(&mut self) {
        self.active.lock().unwrap_or_else(PoisonError::into_inner).remove(&self.client);
    }
}
