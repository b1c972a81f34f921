//! The wire of [`super::guard`]: hears what other DHCP servers broadcast to their clients, and asks whether there are
//! any. What follows from that is decided in [`super::foreign`].

use std::io;
use std::net::{Ipv4Addr, SocketAddrV4, UdpSocket};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use maekin_host::net::{self, UdpOptions};

use super::foreign;
use super::guard::Guard;
use super::leases::Verdict;
use super::packet::Packet;
use super::server::{CLIENT_PORT, SERVER_PORT};
use super::store::Store;

const RECEIVE_BUFFER: usize = 1 << 20;
/// How long the thread waits for a packet before it looks what is due.
const PATIENCE: Duration = Duration::from_millis(100);

/// The listener, ready to run.
#[derive(Debug)]
pub struct Watch {
    socket: UdpSocket,
    guard: Guard,
    store: Store,
}

impl Watch {
    /// Opens port 68 of `interface` for broadcasts alone: what is sent to this host's own DHCP client stays its.
    ///
    /// # Errors
    /// When the socket cannot be had.
    pub fn open(interface: &str, guard: Guard, store: Store) -> io::Result<Self> {
        let local = SocketAddrV4::new(Ipv4Addr::BROADCAST, CLIENT_PORT);
        let socket = net::open_udp(UdpOptions { interface, local, receive_buffer: RECEIVE_BUFFER })?;
        socket.set_read_timeout(Some(PATIENCE))?;
        Ok(Self { socket, guard, store })
    }

    /// Watches until `stop` is set.
    ///
    /// # Errors
    /// When the socket fails for good, such as when its interface is gone.
    pub fn run(&self, stop: &AtomicBool) -> io::Result<()> {
        let mut buf = [0; 2048];
        while !stop.load(Ordering::Relaxed) {
            self.due();
            match net::receive(&self.socket, &mut buf) {
                Ok(got) => {
                    if let Ok(packet) = Packet::parse(&buf[..got.len]) {
                        self.guard.heard(&packet);
                    }
                }
                Err(e) if is_quiet(&e) => {}
                Err(e) => return Err(e),
            }
        }
        Ok(())
    }

    fn due(&self) {
        let (probe, given) = self.guard.tick(|ip| self.store.lock().leases.holder(ip));
        // Whoever has it from the other server may go on with it, and nobody else gets it for a while.
        for (ip, hw) in given {
            let now = self.store.now();
            if self.store.lock().leases.heard(ip, Some(hw), now) == Verdict::Quarantined {
                tracing::info!(%ip, client = %hw, "the other server gave this address away; it is set aside");
            }
        }
        if probe && let Err(e) = self.ask() {
            tracing::warn!("cannot ask whether there is another DHCP server: {e}");
        }
    }

    fn ask(&self) -> io::Result<()> {
        let xid = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |d| d.subsec_nanos());
        let message = foreign::probe(self.guard.us(), xid).map_err(io::Error::other)?;
        let to = SocketAddrV4::new(Ipv4Addr::BROADCAST, SERVER_PORT);
        net::send(&self.socket, message.as_bytes(), self.guard.us(), to)
    }
}

pub(super) fn is_quiet(e: &io::Error) -> bool {
    matches!(e.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut | io::ErrorKind::Interrupted)
}
