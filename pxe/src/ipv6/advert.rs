//! Router advertisements (RFC 4861) for a link that has no router: what tells clients to ask us for an address, and
//! that the others of the /64 are on their own link. Pure: bytes and instants in, bytes out.
//!
//! Where a router advertises, nothing of ours is sent: its word on the link counts, and two that say different things
//! would have every machine change its mind with each message.

use std::net::Ipv6Addr;
use std::time::{Duration, Instant};

/// Kind of an advertisement.
pub(super) const ADVERTISEMENT: u8 = 134;
/// How often ours is repeated: well before what it says runs out.
const EVERY: Duration = Duration::from_secs(200);
/// How long after the start the first one waits, for routers to answer our solicitation (RFC 4861: within 0.5 s).
const LISTEN: Duration = Duration::from_secs(2);
/// How long a router that was heard counts as there, unless it says longer: three of the longest intervals.
const HEARD: Duration = Duration::from_secs(1800);
/// How long the link's prefix holds without being repeated, seconds.
const PREFIX_LIFETIME: u32 = 86_400;

/// A router solicitation of ours (RFC 4861 section 4.1). The kernel fills in the checksum.
pub(super) const SOLICIT: [u8; 8] = [133, 0, 0, 0, 0, 0, 0, 0];

/// Managed addresses (M) and other configuration (O): both by DHCPv6.
const BY_DHCP: u8 = 0x80 | 0x40;
/// The prefix is on this link (L); no addresses are made of it (A not set).
const ON_LINK: u8 = 0x80;

/// The advertisement for the /64 of `server`: we are no router (lifetime 0), addresses come by DHCPv6.
#[must_use]
pub fn advertisement(server: Ipv6Addr) -> Vec<u8> {
    let mut bytes = vec![ADVERTISEMENT, 0, 0, 0, 0, BY_DHCP, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0];
    bytes.extend([3, 4, 64, ON_LINK]); // prefix information, section 4.6.2
    bytes.extend(PREFIX_LIFETIME.to_be_bytes());
    bytes.extend(PREFIX_LIFETIME.to_be_bytes());
    bytes.extend([0; 4]);
    bytes.extend(&server.octets()[..8]);
    bytes.extend([0; 8]);
    bytes
}

/// How long the router that sent `bytes` says it is one; `None` for what is no advertisement.
fn lifetime(bytes: &[u8]) -> Option<Duration> {
    let [ADVERTISEMENT, 0, _, _, _, _, high, low, _, _, _, _, _, _, _, _, ..] = bytes else { return None };
    Some(Duration::from_secs(u64::from(u16::from_be_bytes([*high, *low]))))
}

/// When ours is sent.
#[derive(Debug, Clone)]
pub struct Schedule {
    next: Instant,
    /// Until when another router counts as there.
    other: Option<Instant>,
}

impl Schedule {
    /// A schedule that begins now.
    #[must_use]
    pub fn new(now: Instant) -> Self {
        Self { next: now + LISTEN, other: None }
    }

    /// Takes in a message of another's; true when a router is there that was not before.
    pub fn heard(&mut self, bytes: &[u8], now: Instant) -> bool {
        // A lifetime of 0 is a node that is no router, such as another of our masters.
        let Some(said) = lifetime(bytes).filter(|said| !said.is_zero()) else { return false };
        let new = !self.silent(now);
        self.other = Some(now + said.max(HEARD));
        new
    }

    /// Whether a router is there, so that ours is not sent.
    #[must_use]
    pub fn silent(&self, now: Instant) -> bool {
        self.other.is_some_and(|until| now < until)
    }

    /// Whether it is to be sent now to all.
    pub fn due(&mut self, now: Instant) -> bool {
        if now < self.next {
            return false;
        }
        self.next = now + EVERY;
        !self.silent(now)
    }

    /// Whether a solicitation is answered now: not while it is still being listened for routers.
    #[must_use]
    pub fn answers(&self, started: Instant, now: Instant) -> bool {
        now >= started + LISTEN && !self.silent(now)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn clients_are_sent_to_dhcp_and_make_no_address_of_their_own() {
        let bytes = advertisement("fd00:6d61:656b:1::1".parse().unwrap());
        let wanted = [
            134, 0, 0, 0, 0, 0xc0, 0, 0, 0, 0, 0, 0, 0, 0, 0,
            0, // header: M and O, no router, no timers
            3, 4, 64, 0x80, 0, 1, 0x51, 0x80, 0, 1, 0x51, 0x80, 0, 0, 0,
            0, // /64 on this link, for a day
            0xfd, 0, 0x6d, 0x61, 0x65, 0x6b, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0,
        ];
        assert_eq!(bytes, wanted);
    }

    #[test]
    fn a_router_is_not_fought() {
        let start = Instant::now();
        let at = |seconds: u64| start + Duration::from_secs(seconds);
        let router =
            |lifetime: [u8; 2]| [134, 0, 9, 9, 64, 0, lifetime[0], lifetime[1], 0, 0, 0, 0, 0, 0, 0, 0];
        let mut schedule = Schedule::new(start);
        assert!(!schedule.due(at(1)) && !schedule.answers(start, at(1)), "it is listened first");
        assert!(schedule.answers(start, at(2)) && schedule.due(at(2)) && !schedule.due(at(3)), "alone");
        assert!(schedule.due(at(202)), "and again");
        assert!(!schedule.heard(&router([0, 0]), at(203)), "another master is no router");
        assert!(
            !schedule.heard(&[134, 0, 9], at(203)) && !schedule.heard(&[133; 16], at(203)),
            "no advertisement"
        );
        assert!(schedule.heard(&router([7, 8]), at(210)), "1800 s");
        assert!(!schedule.heard(&router([7, 8]), at(300)), "known");
        assert!(!schedule.due(at(410)) && !schedule.answers(start, at(411)));
        assert!(schedule.due(at(2200)), "it was not heard of any more");
        assert!(schedule.heard(&router([0xff, 0xff]), at(2300)));
        assert!(!schedule.due(at(60_000)) && schedule.silent(at(60_000)), "as long as it said");
    }
}
