//! An address with its prefix length, as written in node and answer files: `10.77.0.1/24`.

use std::fmt;
use std::net::IpAddr;
use std::str::FromStr;

/// An interface address with the length of its network prefix.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Cidr {
    /// The address itself, host bits included.
    pub address: IpAddr,
    /// Prefix length in bits, at most 32 or 128.
    pub prefix: u8,
}

/// The text is no address with a prefix length.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is no address with prefix length; write it like 10.77.0.1/24")]
pub struct BadCidr(pub String);

impl Cidr {
    /// Whether `other` lies in the same network.
    #[must_use]
    pub fn contains(&self, other: IpAddr) -> bool {
        match (self.address, other) {
            (IpAddr::V4(a), IpAddr::V4(b)) => {
                let mask = u32::MAX.checked_shl(32 - u32::from(self.prefix)).unwrap_or(0);
                u32::from(a) & mask == u32::from(b) & mask
            }
            (IpAddr::V6(a), IpAddr::V6(b)) => {
                let mask = u128::MAX.checked_shl(128 - u32::from(self.prefix)).unwrap_or(0);
                u128::from(a) & mask == u128::from(b) & mask
            }
            _ => false,
        }
    }

    /// The network: the same prefix with the host bits zero.
    #[must_use]
    pub fn network(&self) -> Self {
        let address = match self.address {
            IpAddr::V4(a) => {
                let mask = u32::MAX.checked_shl(32 - u32::from(self.prefix)).unwrap_or(0);
                IpAddr::V4((u32::from(a) & mask).into())
            }
            IpAddr::V6(a) => {
                let mask = u128::MAX.checked_shl(128 - u32::from(self.prefix)).unwrap_or(0);
                IpAddr::V6((u128::from(a) & mask).into())
            }
        };
        Self { address, prefix: self.prefix }
    }
}

impl FromStr for Cidr {
    type Err = BadCidr;

    fn from_str(text: &str) -> Result<Self, BadCidr> {
        let bad = || BadCidr(text.to_owned());
        let (address, prefix) = text.split_once('/').ok_or_else(bad)?;
        let address: IpAddr = address.parse().map_err(|_| bad())?;
        if prefix.is_empty() || !prefix.bytes().all(|b| b.is_ascii_digit()) {
            return Err(bad());
        }
        let prefix: u8 = prefix.parse().map_err(|_| bad())?;
        let most = if address.is_ipv4() { 32 } else { 128 };
        if prefix > most { Err(bad()) } else { Ok(Self { address, prefix }) }
    }
}

impl fmt::Display for Cidr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.address, self.prefix)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_are_taken_or_refused() {
        let rows = [
            ("plain", "10.77.0.1/24", true),
            ("all of the internet", "0.0.0.0/0", true),
            ("one host", "10.0.0.1/32", true),
            ("IPv6", "fd00::1/64", true),
            ("no prefix", "10.77.0.1", false),
            ("prefix too long", "10.77.0.1/33", false),
            ("signed prefix", "10.77.0.1/+8", false),
            ("empty prefix", "10.77.0.1/", false),
            ("netmask", "10.77.0.1/255.255.255.0", false),
            ("line break inside", "10.77.0.1/24\n", false),
        ];
        for (name, text, good) in rows {
            let got = text.parse::<Cidr>();
            assert_eq!(got.is_ok(), good, "{name}: {got:?}");
            if let Ok(cidr) = got {
                assert_eq!(cidr.to_string(), text, "{name}");
            }
        }
    }

    #[test]
    fn networks_contain_their_own() {
        let rows = [
            ("same net", "10.77.0.1/24", "10.77.0.250", true),
            ("next net", "10.77.0.1/24", "10.77.1.1", false),
            ("everything", "10.77.0.1/0", "8.8.8.8", true),
            ("host only", "10.77.0.1/32", "10.77.0.2", false),
            ("other family", "10.77.0.1/0", "::1", false),
            ("IPv6", "fd00::1/64", "fd00::2", true),
        ];
        for (name, cidr, ip, inside) in rows {
            let cidr: Cidr = cidr.parse().unwrap();
            assert_eq!(cidr.contains(ip.parse().unwrap()), inside, "{name}");
        }
        assert_eq!("10.77.3.9/16".parse::<Cidr>().unwrap().network().to_string(), "10.77.0.0/16");
    }
}
