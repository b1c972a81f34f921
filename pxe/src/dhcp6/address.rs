//! Which address a client has: a function of its DUID and the number of its identity association, which RFC 8415
//! section 12 has it keep for good. Nothing is stored, so nothing is lost, and a flood of strangers fills no table.
//! Two clients get the same address as often as two of 2^64 numbers drawn at random are equal.

use std::collections::HashMap;
use std::net::Ipv6Addr;

use maekin_image::manifest::sha256_hex;

/// Most addresses that clients found in use by somebody else; beyond them nobody is believed.
const MAX_DECLINED: usize = 1024;

/// A network's addresses.
#[derive(Debug, Clone)]
pub struct Addresses {
    server: Ipv6Addr,
    /// How often an address of this association was in use by somebody else.
    declined: HashMap<Vec<u8>, u32>,
}

impl Addresses {
    /// The /64 that `server` is in.
    #[must_use]
    pub fn new(server: Ipv6Addr) -> Self {
        Self { server, declined: HashMap::new() }
    }

    /// Whether `address` is of this network.
    #[must_use]
    pub fn on_link(&self, address: Ipv6Addr) -> bool {
        (address.to_bits() ^ self.server.to_bits()) >> 64 == 0
    }

    /// The address of association `iaid` of the client `duid`.
    #[must_use]
    pub fn of(&self, duid: &[u8], iaid: [u8; 4]) -> Ipv6Addr {
        let mut key = [iaid.as_slice(), duid].concat();
        let declined = self.declined.get(&key).copied().unwrap_or(0);
        key.extend(declined.to_be_bytes());
        // The low half would be what people write by hand; RFC 5453 reserves some of the top.
        let id = u64::from_str_radix(&sha256_hex(&key)[..16], 16).unwrap_or_default();
        let id = (id | 1 << 62) & !(1 << 63);
        Ipv6Addr::from_bits(self.server.to_bits() >> 64 << 64 | u128::from(id))
    }

    /// Gives another address from now on; false when too many were declined.
    pub fn decline(&mut self, duid: &[u8], iaid: [u8; 4]) -> bool {
        let key = [iaid.as_slice(), duid].concat();
        if self.declined.len() >= MAX_DECLINED && !self.declined.contains_key(&key) {
            return false;
        }
        let times = self.declined.entry(key).or_default();
        *times = times.saturating_add(1);
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_the_same_on_every_master_and_another_when_it_was_declined() {
        let server: Ipv6Addr = "fd00:6d61:656b:1::1".parse().unwrap();
        let mut addresses = Addresses::new(server);
        let mine = addresses.of(b"duid-1", [0, 0, 0, 1]);
        assert_eq!(mine, Addresses::new("fd00:6d61:656b:1::2".parse().unwrap()).of(b"duid-1", [0, 0, 0, 1]));
        assert!(addresses.on_link(mine) && mine != server);
        assert!(!addresses.on_link("fd00:6d61:656b:2::1".parse().unwrap()));
        assert_ne!(addresses.of(b"duid-1", [0, 0, 0, 2]), mine);
        assert_ne!(addresses.of(b"duid-2", [0, 0, 0, 1]), mine);
        assert!(addresses.decline(b"duid-1", [0, 0, 0, 1]));
        assert_ne!(addresses.of(b"duid-1", [0, 0, 0, 1]), mine);
    }

    #[test]
    fn liars_fill_no_memory() {
        let mut addresses = Addresses::new("fd00::1".parse().unwrap());
        let taken = (0..10_000u32).filter(|n| addresses.decline(&n.to_be_bytes(), [0; 4])).count();
        assert_eq!(taken, MAX_DECLINED);
    }
}
