//! The DHCPv6 service: a thread on port 547, for clients at the multicast address and relay agents at our own. What it
//! answers is decided in [`super::server`].

use std::io;
use std::net::{Ipv6Addr, UdpSocket};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use maekin_host::net6;

use super::address::Addresses;
use super::client::{client, duid_text};
use super::options;
use super::packet::{Kind, Packet};
use super::server::{Reply, Settings, Silence, handle};
use crate::boot::{self, Boot};
use crate::counters::{Counters, count};

/// Port that servers and relay agents listen on, RFC 8415 section 7.2.
const SERVER_PORT: u16 = 547;
/// All servers and relay agents of the link, RFC 8415 section 7.1.
const ALL_SERVERS: Ipv6Addr = Ipv6Addr::new(0xff02, 0, 0, 0, 0, 0, 1, 2);
/// How long the thread waits for a packet before it looks whether it shall end.
const PATIENCE: Duration = Duration::from_millis(500);

/// The service, ready to run.
#[derive(Debug)]
pub struct Service {
    multicast: UdpSocket,
    unicast: UdpSocket,
    settings: Settings,
    addresses: Addresses,
    counters: Arc<Counters>,
}

impl Service {
    /// Opens port 547 on `interface`.
    ///
    /// # Errors
    /// When a socket cannot be had.
    pub fn open(interface: &str, settings: Settings, counters: Arc<Counters>) -> io::Result<Self> {
        let multicast = net6::open_udp(interface, ALL_SERVERS, SERVER_PORT)?;
        let unicast = net6::open_udp(interface, settings.server, SERVER_PORT)?;
        multicast.set_read_timeout(Some(PATIENCE))?;
        // Relay agents are few: they are looked at whenever the other socket has spoken or waited.
        unicast.set_nonblocking(true)?;
        let addresses = Addresses::new(settings.server);
        Ok(Self { multicast, unicast, settings, addresses, counters })
    }

    /// Serves until `stop` is set.
    ///
    /// # Errors
    /// When a socket fails for good, such as when its interface is gone.
    pub fn run(mut self, stop: &AtomicBool) -> io::Result<()> {
        let mut buf = [0; 2048];
        while !stop.load(Ordering::Relaxed) {
            for unicast in [false, true] {
                let socket = if unicast { &self.unicast } else { &self.multicast };
                match socket.recv_from(&mut buf) {
                    Ok((len, from)) => {
                        let answer =
                            answer(&mut self.addresses, &self.settings, &self.counters, &buf[..len], unicast);
                        if let Some(bytes) = answer
                            && let Err(e) = socket.send_to(&bytes, from)
                        {
                            tracing::warn!(to = %from, "cannot send a DHCPv6 answer: {e}");
                        }
                    }
                    Err(e) if is_quiet(&e) => {}
                    Err(e) => return Err(e),
                }
            }
        }
        Ok(())
    }
}

fn answer(
    addresses: &mut Addresses,
    settings: &Settings,
    counters: &Counters,
    bytes: &[u8],
    unicast: bool,
) -> Option<Vec<u8>> {
    count(&counters.dhcp6_received);
    let packet = match Packet::parse(bytes) {
        Ok(packet) => packet,
        Err(why) => {
            count(&counters.dhcp6_malformed);
            tracing::debug!(%why, len = bytes.len(), "DHCPv6 packet ignored");
            return None;
        }
    };
    let result = handle(addresses, settings, &packet, unicast);
    log(&packet, &result);
    if result.is_ok() {
        count(&counters.dhcp6_answers);
    }
    result.ok().map(|reply| reply.bytes)
}

fn is_quiet(e: &io::Error) -> bool {
    matches!(e.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut | io::ErrorKind::Interrupted)
}

/// One line for each exchange that a person would want to read; the rest only when asked for.
fn log(packet: &Packet<'_>, result: &Result<Reply, Silence>) {
    let who = duid_text(packet.option(options::CLIENT_ID).unwrap_or_default());
    match result {
        Ok(Reply { kind: Kind::Reply, address: Some(ip), boot, .. })
            if matches!(packet.kind, Kind::Solicit | Kind::Request) =>
        {
            let arch = boot::arch_name(client(packet).arch);
            match boot {
                Boot::Nothing => tracing::info!(client = who, %ip, "leased"),
                Boot::Unsupported => tracing::warn!(client = who, %ip, "{arch}: nothing to boot over IPv6"),
                Boot::Tftp(file) => tracing::info!(client = who, %ip, "{arch} firmware loads {file}"),
                Boot::HttpLoader => tracing::info!(client = who, %ip, "{arch} firmware loads shim by HTTP"),
                Boot::Script => tracing::info!(client = who, %ip, "iPXE on {arch} loads its script"),
            }
        }
        Ok(reply) => tracing::debug!(client = who, kind = ?packet.kind, answer = ?reply.kind, "answered"),
        Err(why) => tracing::debug!(client = who, kind = ?packet.kind, %why, "not answered"),
    }
}
