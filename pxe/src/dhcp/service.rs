//! The DHCP service: a thread that takes packets off the wire in batches, makes what they promise durable with one
//! flush, and only then answers. What it answers is decided in [`super::server`].

use std::cell::Cell;
use std::io;
use std::net::{Ipv4Addr, SocketAddrV4, UdpSocket};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, PoisonError, RwLock};
use std::time::{Duration, Instant};

use maekin_host::net::{self, UdpOptions};

use super::options::MessageType;
use super::packet::Packet;
use super::server::{self, Reply, SERVER_PORT, Settings, Silence};
use super::store::Store;
use crate::boot::{self, Boot};
use crate::counters::{Counters, count};
use crate::ipv6::Recent;

/// Holds the first packets of several thousand machines switched on at once; the kernel's usual 208 KiB hold 166,
/// and the rest waits out its back-off of seconds.
const RECEIVE_BUFFER: usize = 16 << 20;
/// Most packets answered with one flush of the journal.
const BATCH: usize = 256;
/// How long the thread waits for a packet before it looks whether it shall end.
const PATIENCE: Duration = Duration::from_millis(500);
/// How often it is said that the pool is exhausted.
const COMPLAIN_EVERY: Duration = Duration::from_secs(10);

/// The service, ready to run.
#[derive(Debug)]
pub struct Service {
    socket: UdpSocket,
    /// What is handed out; replaced when the configuration is read again.
    pub settings: Arc<RwLock<Settings>>,
    store: Store,
    counters: Arc<Counters>,
    recent: Recent,
    /// When it was last said that the pool is exhausted.
    complained: Cell<Option<Instant>>,
}

impl Service {
    /// Opens port 67 on `interface`.
    ///
    /// # Errors
    /// When the socket cannot be had.
    pub fn open(
        interface: &str,
        settings: Arc<RwLock<Settings>>,
        store: Store,
        counters: Arc<Counters>,
        recent: Recent,
    ) -> io::Result<Self> {
        let local = SocketAddrV4::new(Ipv4Addr::UNSPECIFIED, SERVER_PORT);
        let socket = net::open_udp(UdpOptions { interface, local, receive_buffer: RECEIVE_BUFFER })?;
        Ok(Self { socket, settings, store, counters, recent, complained: Cell::new(None) })
    }

    /// Serves until `stop` is set.
    ///
    /// # Errors
    /// When the socket fails for good, such as when its interface is gone.
    pub fn run(&self, stop: &AtomicBool) -> io::Result<()> {
        let mut buf = [0; 2048];
        self.socket.set_read_timeout(Some(PATIENCE))?;
        while !stop.load(Ordering::Relaxed) {
            let mut replies = Vec::new();
            match net::receive(&self.socket, &mut buf) {
                Ok(got) => replies.extend(self.answer(&buf[..got.len])),
                Err(e) if is_quiet(&e) => continue,
                Err(e) => return Err(e),
            }
            for _ in 1..BATCH {
                match net::receive_queued(&self.socket, &mut buf) {
                    Ok(got) => replies.extend(self.answer(&buf[..got.len])),
                    Err(_) => break, // what is lasting shows in the next blocking call
                }
            }
            self.send(&replies);
        }
        Ok(())
    }

    fn answer(&self, bytes: &[u8]) -> Option<Reply> {
        count(&self.counters.dhcp_received);
        let packet = match Packet::parse(bytes) {
            Ok(packet) => packet,
            Err(why) => {
                count(&self.counters.dhcp_malformed);
                tracing::debug!(%why, len = bytes.len(), "packet ignored");
                return None;
            }
        };
        let settings = self.settings.read().unwrap_or_else(PoisonError::into_inner);
        let now = self.store.now();
        let result = server::handle(&mut self.store.lock().leases, &settings, now, &packet);
        if let Err(Silence::Exhausted) = result {
            self.complain(&packet);
        }
        log(&packet, &result);
        match result {
            Ok(reply) => {
                if reply.boot == Boot::Unsupported {
                    count(&self.counters.dhcp_unsupported);
                }
                if reply.boot == Boot::Script {
                    self.recent.remember(packet.hw, Instant::now());
                }
                Some(reply)
            }
            Err(_) => {
                count(&self.counters.dhcp_silent);
                None
            }
        }
    }

    /// Says that the pool is exhausted, but not for every packet of a flood.
    fn complain(&self, packet: &Packet<'_>) {
        if self.complained.get().is_none_or(|at| at.elapsed() >= COMPLAIN_EVERY) {
            self.complained.set(Some(Instant::now()));
            tracing::warn!(client = %packet.hw, "{}", Silence::Exhausted);
        }
    }

    /// Writes down, then speaks. When it cannot be written down, ACKs are not sent: the clients will ask again.
    fn send(&self, replies: &[Reply]) {
        let durable = match self.store.lock().commit() {
            Ok(()) => true,
            Err(e) => {
                let why = std::error::Error::source(&e).map(ToString::to_string).unwrap_or_default();
                tracing::error!("leases are not granted: {e}: {why}; make room or mend the disk");
                false
            }
        };
        let from = self.settings.read().unwrap_or_else(PoisonError::into_inner).server;
        for reply in replies.iter().filter(|reply| durable || reply.kind != MessageType::Ack) {
            match net::send(&self.socket, reply.message.as_bytes(), from, reply.to) {
                Ok(()) => count(match reply.kind {
                    MessageType::Offer => &self.counters.dhcp_offers,
                    MessageType::Nak => &self.counters.dhcp_naks,
                    _ => &self.counters.dhcp_acks,
                }),
                Err(e) => tracing::warn!(to = %reply.to, "cannot send a DHCP answer: {e}"),
            }
        }
    }
}

fn is_quiet(e: &io::Error) -> bool {
    matches!(e.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut | io::ErrorKind::Interrupted)
}

/// One line per exchange that a person would want to read; the rest only when asked for.
fn log(packet: &Packet<'_>, result: &Result<Reply, Silence>) {
    let (kind, client) = (packet.kind, packet.hw);
    match result {
        Ok(reply) if reply.kind == MessageType::Nak => {
            tracing::info!(%client, ip = %reply.ip, "address refused");
        }
        Ok(reply) if reply.kind == MessageType::Ack && kind == MessageType::Request => {
            let who = boot::client(packet);
            let arch = boot::arch_name(who.arch);
            match reply.boot {
                Boot::Nothing => tracing::info!(%client, ip = %reply.ip, "leased"),
                Boot::Unsupported => tracing::warn!(
                    %client, ip = %reply.ip, code = who.arch,
                    "it is {arch}, and there is nothing for that to boot: use x86-64 in BIOS or UEFI mode"
                ),
                Boot::Tftp(file) => tracing::info!(%client, ip = %reply.ip, "{arch} firmware loads {file}"),
                Boot::HttpLoader => tracing::info!(%client, ip = %reply.ip, "{arch} firmware loads iPXE"),
                Boot::Script => tracing::info!(%client, ip = %reply.ip, "iPXE on {arch} loads its script"),
            }
        }
        Ok(reply) => tracing::debug!(%client, ip = %reply.ip, ?kind, answer = ?reply.kind, "answered"),
        Err(why) => tracing::debug!(%client, ?kind, %why, "not answered"),
    }
}
