//! The `[ipv6]` part of the configuration file: network boot over IPv6, which is off where the part is not there.

use std::net::Ipv6Addr;

use serde::{Deserialize, Serialize};

use super::{ConfigError, wrong};

/// The part as written.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct V6File {
    /// Our address on the interface, in the /64 that addresses are given of, e.g. `fd00:6d61:656b:1::1/64`.
    pub address: String,
    /// Name servers told to clients.
    #[serde(default)]
    pub dns: Vec<Ipv6Addr>,
}

/// The part, checked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct V6 {
    /// The only interface that is served.
    pub interface: String,
    /// Our address.
    pub server: Ipv6Addr,
    /// Name servers told to clients.
    pub dns: Vec<Ipv6Addr>,
}

impl V6File {
    pub(super) fn check(self, interface: &str) -> Result<V6, ConfigError> {
        let text = &self.address;
        let server = text.strip_suffix("/64").and_then(|ip| ip.parse::<Ipv6Addr>().ok());
        let usable = |ip: &Ipv6Addr| {
            let odd =
                ip.is_unspecified() || ip.is_loopback() || ip.is_multicast() || ip.is_unicast_link_local();
            !odd && ip.to_ipv4_mapped().is_none()
        };
        match server.filter(usable) {
            Some(server) => Ok(V6 { interface: interface.to_owned(), server, dns: self.dns }),
            None => wrong(
                "ipv6.address",
                format!(
                    "`{text}` is no address of a /64 that machines can be given, like fd00:6d61:656b:1::1/64"
                ),
            ),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_an_address_of_a_network_of_64_bits_is_taken() {
        let rows = [
            ("fd00:6d61:656b:1::1/64", true),
            ("2001:db8::1/64", true),
            ("fd00::1/48", false),
            ("fd00::1", false),
            ("fe80::1/64", false),
            ("ff02::1/64", false),
            ("::1/64", false),
            ("::/64", false),
            ("::ffff:10.0.0.1/64", false),
            ("10.77.0.1/24", false),
        ];
        for (text, wanted) in rows {
            let got = V6File { address: text.to_owned(), dns: Vec::new() }.check("eno1");
            assert_eq!(got.is_ok(), wanted, "{text}: {got:?}");
        }
    }
}
