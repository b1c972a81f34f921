//! The answers of a rack's first node, where a person gave none: it creates the cluster, and installs the others.

use std::net::Ipv4Addr;

/// What is known of the network when there is nothing but an ISO image.
#[derive(Debug, Clone)]
pub struct FirstNode {
    /// Prefix length of the network.
    pub prefix: u8,
    /// First and last address that are given out.
    pub pool: (Ipv4Addr, Ipv4Addr),
    /// The router.
    pub router: Option<Ipv4Addr>,
    /// Name servers.
    pub dns: Vec<Ipv4Addr>,
    /// Password of user admin.
    pub password: String,
}

impl FirstNode {
    /// The answer file for the machine with this hardware address. Where it was leased an address, that is its own
    /// from now on and the rest of the pool is what it gives to others; where its address is another server's, it
    /// keeps asking there, and gives out none.
    #[must_use]
    pub fn answer(&self, mac: &str, address: Option<Ipv4Addr>) -> String {
        let mut text = format!(
            "version = 1\n\n[node]\nhostname = \"node-1\"\n\n[admin]\npassword = \"{}\"\n\n",
            self.password
        );
        if !self.dns.is_empty() {
            text += &format!("[network]\ndns = {}\n\n", quoted(&self.dns));
        }
        text += &format!("[[network.interface]]\nmac = \"{mac}\"\n");
        match address {
            Some(ip) => {
                text += &format!("addresses = [\"{ip}/{}\"]\n", self.prefix);
                text += &self.router.map(|router| format!("gateway = \"{router}\"\n")).unwrap_or_default();
            }
            None => text += "dhcp = true\n",
        }
        text += "\n[cluster]\nmode = \"create\"\nname = \"rack\"\n";
        if let Some((first, last)) = address.and_then(|ip| self.rest_of_pool(ip)) {
            text += &format!("\n[provision]\npool_start = \"{first}\"\npool_end = \"{last}\"\n");
            text += &self.router.map(|router| format!("router = \"{router}\"\n")).unwrap_or_default();
        }
        text
    }

    /// The larger part of the pool on one side of `ip`.
    fn rest_of_pool(&self, ip: Ipv4Addr) -> Option<(Ipv4Addr, Ipv4Addr)> {
        let (first, last) = self.pool;
        if !(first..=last).contains(&ip) {
            return Some(self.pool);
        }
        let below = (first, Ipv4Addr::from_bits(ip.to_bits().wrapping_sub(1)));
        let above = (Ipv4Addr::from_bits(ip.to_bits().wrapping_add(1)), last);
        let size = |(a, b): (Ipv4Addr, Ipv4Addr)| (a <= b).then(|| b.to_bits() - a.to_bits());
        [above, below].into_iter().filter(|part| size(*part).is_some()).max_by_key(|part| size(*part))
    }
}

fn quoted(ips: &[Ipv4Addr]) -> String {
    let ips: Vec<_> = ips.iter().map(|ip| format!("\"{ip}\"")).collect();
    format!("[{}]", ips.join(", "))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ip(n: u8) -> Ipv4Addr {
        Ipv4Addr::new(10, 77, 0, n)
    }

    #[test]
    fn it_has_the_address_that_it_was_leased_and_gives_out_the_rest() {
        let first = FirstNode {
            prefix: 24,
            pool: (ip(100), ip(199)),
            router: Some(ip(254)),
            dns: vec![ip(253)],
            password: "secret-word".to_owned(),
        };
        let text = first.answer("52:54:00:00:00:01", Some(ip(100)));
        assert_eq!(
            text,
            "version = 1\n\n[node]\nhostname = \"node-1\"\n\n[admin]\npassword = \"secret-word\"\n\n\
             [network]\ndns = [\"10.77.0.253\"]\n\n\
             [[network.interface]]\nmac = \"52:54:00:00:00:01\"\naddresses = [\"10.77.0.100/24\"]\n\
             gateway = \"10.77.0.254\"\n\n[cluster]\nmode = \"create\"\nname = \"rack\"\n\n\
             [provision]\npool_start = \"10.77.0.101\"\npool_end = \"10.77.0.199\"\nrouter = \"10.77.0.254\"\n"
        );
        type Row<'a> = (&'a str, Option<u8>, Option<(u8, u8)>);
        let rows: &[Row<'_>] = &[
            ("in the middle, the larger part", Some(180), Some((100, 179))),
            ("the last", Some(199), Some((100, 198))),
            ("outside of the pool", Some(50), Some((100, 199))),
            ("another server's address", None, None),
        ];
        for (name, address, pool) in rows {
            let text = first.answer("52:54:00:00:00:01", address.map(ip));
            toml::from_str::<toml::Table>(&text).unwrap();
            assert_eq!(text.contains("dhcp = true"), address.is_none(), "{name}");
            match pool {
                Some((a, b)) => {
                    let wanted = format!("pool_start = \"{}\"\npool_end = \"{}\"\n", ip(*a), ip(*b));
                    assert!(text.contains(&wanted), "{name}: {text}");
                }
                None => assert!(!text.contains("[provision]"), "{name}"),
            }
        }
        let lone = FirstNode { pool: (ip(100), ip(100)), ..first };
        assert!(!lone.answer("52:54:00:00:00:01", Some(ip(100))).contains("[provision]"), "nothing is left");
    }
}
