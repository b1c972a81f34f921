//! Tells iPXE that there is no IPv6 router, because it waits 16 seconds to find that out by itself.
//!
//! iPXE configures IPv4 and IPv6 side by side and goes on when both are settled. On a network without an IPv6 router
//! it has its lease within 4 ms and then solicits routers for 16 s (seen with 1.0.0+git-20190125 and
//! 1.21.1+git-20250501). A router advertisement with lifetime 0, no prefix and no flags settles it: by RFC 4861
//! section 6.2.5 that is a node which is no router, and no host takes anything from it. Only an iPXE that was just
//! told its script is answered, so nobody else on the network ever hears of it.
//!
//! Where network boot over IPv6 is configured, all solicitations are answered, and by another advertisement
//! ([`advert`]), which tells iPXE no less.

pub mod advert;

use std::collections::HashMap;
use std::io;
use std::net::{Ipv6Addr, SocketAddr, SocketAddrV6, UdpSocket};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use advert::{ADVERTISEMENT, SOLICIT, Schedule, advertisement};
use maekin_host::{net, net6};

use crate::hw::HwAddr;

/// All nodes of the link.
const ALL_NODES: Ipv6Addr = Ipv6Addr::new(0xff02, 0, 0, 0, 0, 0, 0, 1);
/// All routers of the link.
const ALL_ROUTERS: Ipv6Addr = Ipv6Addr::new(0xff02, 0, 0, 0, 0, 0, 0, 2);
/// How long after its DHCP answer an iPXE is answered here.
const RECENT: Duration = Duration::from_secs(30);
/// Most machines remembered.
const MAX_REMEMBERED: usize = 4096;
const PATIENCE: Duration = Duration::from_millis(500);

const SOLICITATION: u8 = 133;
const SOURCE_LINK_ADDRESS: u8 = 1;
/// Type 134: no hop limit, flags, lifetime, timers or options. The kernel fills in the checksum (ipv6(7)).
const NO_ROUTER: [u8; 16] = [134, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0];

/// The machines whose iPXE was told its script lately.
#[derive(Debug, Clone, Default)]
pub struct Recent(Arc<Mutex<HashMap<HwAddr, Instant>>>);

impl Recent {
    /// Remembers `hw`. When there are too many, the old ones are forgotten, and then nobody new is taken in.
    pub fn remember(&self, hw: HwAddr, now: Instant) {
        let mut seen = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if seen.len() >= MAX_REMEMBERED {
            seen.retain(|_, at| now.duration_since(*at) < RECENT);
        }
        if seen.len() < MAX_REMEMBERED {
            seen.insert(hw, now);
        }
    }

    fn contains(&self, hw: HwAddr, now: Instant) -> bool {
        let seen = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        seen.get(&hw).is_some_and(|at| now.duration_since(*at) < RECENT)
    }
}

/// The responder, ready to run.
#[derive(Debug)]
pub struct Responder {
    socket: UdpSocket,
    recent: Recent,
    interface: String,
    /// Our address, where network boot over IPv6 is configured.
    server: Option<Ipv6Addr>,
}

impl Responder {
    /// Opens it on `interface`.
    ///
    /// # Errors
    /// When the socket cannot be had, such as where IPv6 is switched off.
    pub fn open(interface: &str, recent: Recent, server: Option<Ipv6Addr>) -> io::Result<Self> {
        let socket = net::open_icmpv6(interface, ALL_ROUTERS)?;
        socket.set_read_timeout(Some(PATIENCE))?;
        Ok(Self { socket, recent, interface: interface.to_owned(), server })
    }

    /// Answers until `stop` is set.
    ///
    /// # Errors
    /// When the socket fails for good.
    pub fn run(&self, stop: &AtomicBool) -> io::Result<()> {
        let mut buf = [0; 1500];
        let started = Instant::now();
        let mut schedule = Schedule::new(started);
        if self.server.is_some() {
            self.send(&SOLICIT, ALL_ROUTERS);
        }
        while !stop.load(Ordering::Relaxed) {
            if let Some(server) = self.server
                && schedule.due(Instant::now())
            {
                self.send(&advertisement(server), ALL_NODES);
            }
            let (len, from) = match self.socket.recv_from(&mut buf) {
                Ok(got) => got,
                Err(e) if matches!(e.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::Interrupted) => {
                    continue;
                }
                Err(e) => return Err(e),
            };
            let SocketAddr::V6(from) = from else { continue };
            match (buf[..len].first(), self.server) {
                (Some(&ADVERTISEMENT), Some(_)) => self.hear(&mut schedule, &buf[..len], *from.ip()),
                (Some(&SOLICITATION), Some(server)) if schedule.answers(started, Instant::now()) => {
                    // One that has no address yet can only be told together with all others.
                    let to = if from.ip().is_unspecified() { ALL_NODES } else { *from.ip() };
                    self.send(&advertisement(server), to);
                }
                (Some(&SOLICITATION), None) => self.settle(&buf[..len], from),
                _ => {}
            }
        }
        Ok(())
    }

    /// Tells an iPXE that was just told its script that there is no router.
    fn settle(&self, bytes: &[u8], from: SocketAddrV6) {
        let asks = from.ip().is_unicast_link_local();
        let Some(hw) = parse_solicitation(bytes).filter(|_| asks) else { return };
        if self.recent.contains(hw, Instant::now())
            && let Err(e) = self.socket.send_to(&NO_ROUTER, from)
        {
            tracing::debug!(client = %hw, "cannot answer a router solicitation: {e}");
        }
    }

    fn hear(&self, schedule: &mut Schedule, bytes: &[u8], from: Ipv6Addr) {
        // RFC 4861 section 6.1.2; and what we sent ourselves comes back.
        let ours = || net6::addresses(&self.interface).is_ok_and(|all| all.contains(&from));
        if from.is_unicast_link_local() && !ours() && schedule.heard(bytes, Instant::now()) {
            tracing::warn!(router = %from, "a router advertises on this link; ours is not sent while it does");
        }
    }

    fn send(&self, bytes: &[u8], to: Ipv6Addr) {
        if let Err(e) = self.socket.send_to(bytes, SocketAddrV6::new(to, 0, 0, 0)) {
            tracing::debug!(%to, "cannot speak to IPv6 neighbours: {e}");
        }
    }
}

/// The hardware address in a router solicitation (RFC 4861 section 4.1); `None` for any other message.
fn parse_solicitation(bytes: &[u8]) -> Option<HwAddr> {
    let [SOLICITATION, 0, _, _, _, _, _, _, options @ ..] = bytes else { return None };
    let mut rest = options;
    while let [kind, units, ..] = *rest
        && units > 0
    {
        let (option, after) = rest.split_at_checked(usize::from(units) * 8)?;
        if kind == SOURCE_LINK_ADDRESS && units == 1 {
            return HwAddr::new(&option[2..]);
        }
        rest = after;
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn solicitations() {
        let mac: HwAddr = "52:54:00:aa:00:02".parse().unwrap();
        let rows: &[(&str, &[u8], Option<HwAddr>)] = &[
            ("iPXE's", &[133, 0, 9, 9, 0, 0, 0, 0, 1, 1, 0x52, 0x54, 0, 0xaa, 0, 2], Some(mac)),
            (
                "after an option unknown to us",
                &[133, 0, 9, 9, 0, 0, 0, 0, 14, 1, 1, 2, 3, 4, 5, 6, 1, 1, 0x52, 0x54, 0, 0xaa, 0, 2],
                Some(mac),
            ),
            ("without its address", &[133, 0, 9, 9, 0, 0, 0, 0], None),
            ("option of length 0", &[133, 0, 9, 9, 0, 0, 0, 0, 1, 0, 1, 2, 3, 4, 5, 6], None),
            ("option cut short", &[133, 0, 9, 9, 0, 0, 0, 0, 1, 1, 0x52], None),
            ("an advertisement", &[134, 0, 9, 9, 0, 0, 0, 0], None),
            ("empty", &[], None),
        ];
        for (name, bytes, wanted) in rows {
            assert_eq!(parse_solicitation(bytes), *wanted, "{name}");
        }
    }

    #[test]
    fn only_the_recent_are_known_and_their_number_is_bounded() {
        let recent = Recent::default();
        let start = Instant::now();
        let hw = |n: u32| HwAddr::new(&n.to_be_bytes()).unwrap();
        for n in 0..10_000 {
            recent.remember(hw(n), start);
        }
        assert!(recent.contains(hw(0), start) && !recent.contains(hw(9_999), start));
        assert!(!recent.contains(hw(0), start + RECENT));
        recent.remember(hw(9_999), start + RECENT);
        assert!(recent.contains(hw(9_999), start + RECENT));
        assert_eq!(recent.0.lock().unwrap().len(), 1);
    }
}
