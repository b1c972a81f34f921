//! The DHCP service: a thread that takes packets off the wire in batches, makes what they promise durable with one
//! flush, and only then answers. What it answers is decided in [`super::server`].

use std::cell::{Cell, RefCell};
use std::io;
use std::net::{Ipv4Addr, SocketAddrV4, UdpSocket};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, PoisonError, RwLock};
use std::time::{Duration, Instant};

use maekin_host::burst::{self, Inbox};
use maekin_host::net::{self, UdpOptions};

use super::foreign::{self, Role};
use super::guard::Guard;
use super::options::MessageType;
use super::pace::{Line, Pace};
use super::packet::Packet;
use super::proxy;
use super::server::{self, CLIENT_PORT, Reply, SERVER_PORT, Settings, Silence};
use super::store::Store;
use crate::boot::{self, Boot};
use crate::counters::{Counters, count};
use crate::ipv6::Recent;
use crate::ledger::clerk::{Desk, Say};
use crate::told::Told;

/// Holds the first packets of several thousand machines switched on at once; the kernel's usual 208 KiB hold 166,
/// and the rest waits out its back-off of seconds.
const RECEIVE_BUFFER: usize = 16 << 20;
/// Most packets answered with one flush of the journal.
const BATCH: usize = 128;
/// How long after a flush of the journal the next one waits, so that under load many leases share one. A machine that
/// comes alone never waits; what comes in between is taken at the end of it.
const GATHER: Duration = Duration::from_millis(2);
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
    guard: Guard,
    desk: Desk,
    recent: Recent,
    /// Machines of which it was said that there is nothing for them to boot.
    told: Told,
    /// When it was last said that the pool is exhausted.
    complained: Cell<Option<Instant>>,
    pace: RefCell<Pace>,
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
        guard: Guard,
        desk: Desk,
        recent: Recent,
    ) -> io::Result<Self> {
        let local = SocketAddrV4::new(Ipv4Addr::UNSPECIFIED, SERVER_PORT);
        let socket = net::open_udp(UdpOptions { interface, local, receive_buffer: RECEIVE_BUFFER })?;
        Ok(Self {
            socket,
            settings,
            store,
            counters,
            guard,
            desk,
            recent,
            told: Told::default(),
            complained: Cell::new(None),
            pace: RefCell::default(),
        })
    }

    /// Serves until `stop` is set.
    ///
    /// # Errors
    /// When the socket fails for good, such as when its interface is gone.
    pub fn run(&self, stop: &AtomicBool) -> io::Result<()> {
        let mut inbox = Inbox::new(BATCH);
        // ACKs wait for their flush; what promises nothing goes out at once.
        let (mut now, mut held) = (Vec::with_capacity(BATCH), Vec::with_capacity(BATCH));
        let mut flushed: Option<Instant> = None;
        self.socket.set_read_timeout(Some(PATIENCE))?;
        while !stop.load(Ordering::Relaxed) {
            let since = flushed.map_or(GATHER, |at| at.elapsed());
            let came = match held.is_empty() {
                true => inbox.receive(&self.socket),
                false => inbox.receive_after(&self.socket, GATHER.saturating_sub(since)),
            };
            match came {
                Ok(()) => {
                    let replies = inbox.iter().filter_map(|bytes| self.answer(bytes));
                    for reply in replies {
                        if reply.kind == MessageType::Ack { held.push(reply) } else { now.push(reply) }
                    }
                    self.send(&mut now);
                    now.clear();
                }
                Err(e) if !is_quiet(&e) => return Err(e),
                Err(_) if held.is_empty() => continue,
                Err(_) => {}
            }
            if held.is_empty() {
                self.flush(); // what was given back
            } else if flushed.is_none_or(|at| at.elapsed() >= GATHER) || held.len() >= BATCH {
                if self.flush() {
                    self.send(&mut held);
                }
                held.clear();
                flushed = Some(Instant::now());
            }
        }
        if self.flush() {
            self.send(&mut held);
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
        if foreign::is_probe(&packet) {
            return self.answer_probe(&settings, &packet);
        }
        if matches!(packet.kind, MessageType::Request | MessageType::Decline) {
            self.guard.heard(&packet);
        }
        let result = match self.guard.role() {
            Role::Server => server::handle(&mut self.store.lock().leases, &settings, now, &packet),
            Role::Looking | Role::Proxy => {
                proxy::beside(&mut self.store.lock().leases, &settings, now, &packet)
            }
            Role::Off => Err(Silence::Off),
        };
        if let Err(Silence::Exhausted) = result {
            self.complain(&packet);
        }
        self.log(&packet, &result);
        if matches!(result, Ok(Reply { boot: Boot::Unsupported, .. }) | Err(Silence::Unsupported)) {
            self.tell_unsupported(&packet);
        }
        match result {
            Ok(reply) => {
                if reply.boot == Boot::Script {
                    self.recent.remember(packet.hw, Instant::now());
                }
                Some(reply)
            }
            Err(Silence::Done) if packet.kind == MessageType::Decline => {
                count(&self.counters.dhcp_declined);
                None
            }
            Err(Silence::Done) => {
                count(&self.counters.dhcp_released);
                None
            }
            Err(_) => {
                count(&self.counters.dhcp_silent);
                None
            }
        }
    }

    /// Another master asks whether there are others; we ourselves hear our own question.
    fn answer_probe(&self, settings: &Settings, packet: &Packet<'_>) -> Option<Reply> {
        if packet.hw == foreign::probe_hw(settings.server)
            || matches!(self.guard.role(), Role::Proxy | Role::Off)
        {
            return None;
        }
        let message = foreign::answer_probe(settings, self.guard.mode(), packet).ok()?; // it is short
        let to = SocketAddrV4::new(Ipv4Addr::BROADCAST, CLIENT_PORT);
        let ip = Ipv4Addr::UNSPECIFIED;
        Some(Reply { kind: MessageType::Offer, message, to, ip, boot: Boot::Nothing })
    }

    fn tell_unsupported(&self, packet: &Packet<'_>) {
        if self.told.first(packet.hw, Instant::now()) {
            count(&self.counters.dhcp_unsupported);
            let code = boot::client(packet).arch;
            tracing::warn!(
                client = %packet.hw, code,
                "it is {}, and there is nothing for that to boot: use x86-64 in BIOS or UEFI mode",
                boot::arch_name(code)
            );
        }
    }

    /// Says that the pool is exhausted, but not for every packet of a flood.
    fn complain(&self, packet: &Packet<'_>) {
        if self.complained.get().is_none_or(|at| at.elapsed() >= COMPLAIN_EVERY) {
            self.complained.set(Some(Instant::now()));
            tracing::warn!(client = %packet.hw, "{}", Silence::Exhausted);
        }
    }

    /// Writes down what was promised. When that fails the ACKs in question are not sent: the clients will ask again.
    fn flush(&self) -> bool {
        match self.store.lock().commit() {
            Ok(()) => true,
            Err(e) => {
                let why = std::error::Error::source(&e).map(ToString::to_string).unwrap_or_default();
                tracing::error!("leases are not granted: {e}: {why}; make room or mend the disk");
                false
            }
        }
    }

    /// Speaks, as far as the other masters let it.
    fn send(&self, replies: &mut Vec<Reply>) {
        if replies.is_empty() {
            return;
        }
        if !self.desk.is_open() {
            return; // another master may lead by now
        }
        if self.desk.has_ledger() {
            let inner = self.store.lock();
            replies.retain(|reply| self.desk.lets_go(reply, &inner.leases));
        }
        let from = self.settings.read().unwrap_or_else(PoisonError::into_inner).server;
        speak(&self.socket, &self.counters, from, replies);
    }

    /// Sends ACKs that had to wait.
    ///
    /// # Errors
    /// When the socket cannot be shared.
    pub fn speaker(&self) -> io::Result<Arc<Say>> {
        let socket = self.socket.try_clone()?;
        let (counters, settings) = (self.counters.clone(), self.settings.clone());
        Ok(Arc::new(move |replies: &[Reply]| {
            let from = settings.read().unwrap_or_else(PoisonError::into_inner).server;
            speak(&socket, &counters, from, replies);
        }))
    }

    /// One line per exchange that a person would want to read, while they are few; the rest only when asked for.
    fn log(&self, packet: &Packet<'_>, result: &Result<Reply, Silence>) {
        let told = match result {
            Ok(reply) if reply.kind == MessageType::Nak => true,
            Ok(reply) => reply.kind == MessageType::Ack && packet.kind == MessageType::Request,
            Err(_) => false,
        };
        if told {
            match self.pace.borrow_mut().next(Instant::now()) {
                Line::HoldBack => return,
                Line::Say(0) => {}
                Line::Say(held_back) => {
                    tracing::info!("{held_back} more were leased an address, or refused one");
                }
            }
        }
        log(packet, result);
    }
}

fn speak(socket: &UdpSocket, counters: &Counters, from: Ipv4Addr, replies: &[Reply]) {
    let datagrams: Vec<_> = replies.iter().map(|reply| (reply.message.as_bytes(), reply.to)).collect();
    burst::send(socket, from, &datagrams, |at, e| {
        let to = datagrams.get(at).map_or(Ipv4Addr::UNSPECIFIED, |(_, to)| *to.ip());
        tracing::warn!(%to, "cannot send a DHCP answer: {e}");
    });
    for reply in replies {
        count(match reply.kind {
            MessageType::Offer if reply.ip.is_unspecified() => &counters.proxy_offers,
            MessageType::Offer => &counters.dhcp_offers,
            MessageType::Nak => &counters.dhcp_naks,
            _ => &counters.dhcp_acks,
        });
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
                Boot::Nothing | Boot::Unsupported => tracing::info!(%client, ip = %reply.ip, "leased"),
                Boot::Tftp(file) => tracing::info!(%client, ip = %reply.ip, "{arch} firmware loads {file}"),
                Boot::HttpLoader => {
                    tracing::info!(%client, ip = %reply.ip, "{arch} firmware loads shim by HTTP");
                }
                Boot::Script => tracing::info!(%client, ip = %reply.ip, "iPXE on {arch} loads its script"),
            }
        }
        Ok(reply) => tracing::debug!(%client, ip = %reply.ip, ?kind, answer = ?reply.kind, "answered"),
        Err(why) => tracing::debug!(%client, ?kind, %why, "not answered"),
    }
}
