//! The wire of port 4011, where firmware asks for its boot file when its address came from somebody else. What is
//! answered is decided in [`super::proxy`].

use std::io;
use std::net::{Ipv4Addr, SocketAddrV4, UdpSocket};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use maekin_host::net::{self, UdpOptions};

use super::foreign::Role;
use super::guard::Guard;
use super::packet::Packet;
use super::proxy::{self, BOOT_SERVER_PORT};
use super::server::Settings;
use super::watch::is_quiet;
use crate::boot;
use crate::counters::{Counters, count};

const RECEIVE_BUFFER: usize = 4 << 20;
const PATIENCE: Duration = Duration::from_millis(500);

/// The boot server, ready to run.
#[derive(Debug)]
pub struct BootServer {
    socket: UdpSocket,
    settings: Arc<RwLock<Settings>>,
    counters: Arc<Counters>,
    guard: Guard,
}

impl BootServer {
    /// Opens port 4011 on `interface`.
    ///
    /// # Errors
    /// When the socket cannot be had.
    pub fn open(
        interface: &str,
        settings: Arc<RwLock<Settings>>,
        counters: Arc<Counters>,
        guard: Guard,
    ) -> io::Result<Self> {
        let local = SocketAddrV4::new(Ipv4Addr::UNSPECIFIED, BOOT_SERVER_PORT);
        let socket = net::open_udp(UdpOptions { interface, local, receive_buffer: RECEIVE_BUFFER })?;
        socket.set_read_timeout(Some(PATIENCE))?;
        Ok(Self { socket, settings, counters, guard })
    }

    /// Serves until `stop` is set.
    ///
    /// # Errors
    /// When the socket fails for good, such as when its interface is gone.
    pub fn run(&self, stop: &AtomicBool) -> io::Result<()> {
        let mut buf = [0; 2048];
        while !stop.load(Ordering::Relaxed) {
            match net::receive(&self.socket, &mut buf) {
                Ok(got) => self.answer(&buf[..got.len], got.from),
                Err(e) if is_quiet(&e) => {}
                Err(e) => return Err(e),
            }
        }
        Ok(())
    }

    fn answer(&self, bytes: &[u8], from: SocketAddrV4) {
        count(&self.counters.dhcp_received);
        let Ok(packet) = Packet::parse(bytes) else {
            count(&self.counters.dhcp_malformed);
            return;
        };
        if self.guard.role() == Role::Off {
            return;
        }
        let settings = self.settings.read().unwrap_or_else(PoisonError::into_inner);
        match proxy::boot_server(&settings, &packet, from) {
            Ok(reply) => {
                let arch = boot::arch_name(boot::client(&packet).arch);
                tracing::info!(client = %packet.hw, ip = %reply.to.ip(), "{arch} firmware asked for its boot file");
                match net::send(&self.socket, reply.message.as_bytes(), settings.server, reply.to) {
                    Ok(()) => count(&self.counters.proxy_acks),
                    Err(e) => tracing::warn!(to = %reply.to, "cannot send a boot server's answer: {e}"),
                }
            }
            Err(why) => {
                count(&self.counters.dhcp_silent);
                tracing::debug!(client = %packet.hw, %from, %why, "not answered on port 4011");
            }
        }
    }
}
