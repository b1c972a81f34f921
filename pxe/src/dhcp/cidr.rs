//! An IPv4 network.

use std::fmt;
use std::net::Ipv4Addr;
use std::str::FromStr;

/// A network: its address and prefix length.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Cidr {
    network: Ipv4Addr,
    prefix: u8,
}

/// Text that is not a network.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is not a network with a prefix of 0 to 32, like 10.78.0.0/24")]
pub struct BadCidr(String);

impl Cidr {
    /// The network of `prefix` (0 to 32) bits that `ip` is in.
    #[must_use]
    pub fn around(ip: Ipv4Addr, prefix: u8) -> Self {
        let prefix = prefix.min(32);
        Self { network: Ipv4Addr::from_bits(ip.to_bits() & mask(prefix)), prefix }
    }

    /// Its own address, the first.
    #[must_use]
    pub fn network(self) -> Ipv4Addr {
        self.network
    }

    /// Length of its prefix in bits.
    #[must_use]
    pub fn prefix(self) -> u8 {
        self.prefix
    }

    /// Its subnet mask.
    #[must_use]
    pub fn mask(self) -> Ipv4Addr {
        Ipv4Addr::from_bits(mask(self.prefix))
    }

    /// Its broadcast address, the last.
    #[must_use]
    pub fn broadcast(self) -> Ipv4Addr {
        Ipv4Addr::from_bits(self.network.to_bits() | !mask(self.prefix))
    }

    /// Whether `ip` is in it.
    #[must_use]
    pub fn contains(self, ip: Ipv4Addr) -> bool {
        (ip.to_bits() ^ self.network.to_bits()) & mask(self.prefix) == 0
    }

    /// Whether the two have an address in common.
    #[must_use]
    pub fn overlaps(self, other: Self) -> bool {
        self.contains(other.network) || other.contains(self.network)
    }
}

fn mask(prefix: u8) -> u32 {
    u32::MAX.checked_shl(32 - u32::from(prefix)).unwrap_or(0)
}

impl fmt::Display for Cidr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.network, self.prefix)
    }
}

impl FromStr for Cidr {
    type Err = BadCidr;

    /// Host bits must be zero, so that a mistyped prefix shows.
    fn from_str(text: &str) -> Result<Self, BadCidr> {
        let parsed = text.split_once('/').and_then(|(ip, prefix)| {
            let prefix = prefix.parse::<u8>().ok().filter(|p| *p <= 32)?;
            let ip: Ipv4Addr = ip.parse().ok()?;
            Some(Self::around(ip, prefix)).filter(|cidr| cidr.network == ip)
        });
        parsed.ok_or_else(|| BadCidr(text.chars().take(64).collect()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_becomes_a_network_or_is_refused() {
        let rows = [
            ("10.78.0.0/24", true),
            ("0.0.0.0/0", true),
            ("10.78.0.1/32", true),
            ("10.78.0.1/24", false),
            ("10.78.0.0/33", false),
            ("10.78.0.0", false),
            ("", false),
        ];
        for (text, good) in rows {
            assert_eq!(
                text.parse::<Cidr>().map(|c| c.to_string()).ok(),
                good.then(|| text.to_owned()),
                "{text}"
            );
        }
    }

    #[test]
    fn its_ends_and_neighbours() {
        let net: Cidr = "10.78.0.0/22".parse().unwrap();
        assert_eq!((net.mask(), net.broadcast()), ([255, 255, 252, 0].into(), [10, 78, 3, 255].into()));
        assert!(net.contains([10, 78, 3, 7].into()) && !net.contains([10, 78, 4, 0].into()));
        assert!(
            net.overlaps("10.78.2.0/24".parse().unwrap()) && !net.overlaps("10.78.4.0/24".parse().unwrap())
        );
        assert!("0.0.0.0/0".parse::<Cidr>().unwrap().contains([255, 0, 0, 1].into()));
    }
}
