//! Network interfaces as they are now: names, hardware addresses, carriers and addresses.

use std::fs;
use std::io;
use std::net::IpAddr;
use std::path::Path;

use nix::ifaddrs::getifaddrs;
use nix::sys::socket::SockaddrStorage;

/// A network interface.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Link {
    /// Kernel name.
    pub name: String,
    /// Hardware address, `aa:bb:cc:dd:ee:ff` in lower case; empty where it has none.
    pub mac: String,
    /// Whether it has a carrier.
    pub carrier: bool,
    /// Whether it stands for hardware (a bridge, a bond or a tap does not).
    pub physical: bool,
    /// Addresses with prefix length, link-local ones left out.
    pub addresses: Vec<(IpAddr, u8)>,
}

/// All interfaces but the loopback, by name.
///
/// # Errors
/// As getifaddrs(3).
pub fn probe_links() -> io::Result<Vec<Link>> {
    let mut links: Vec<Link> = Vec::new();
    for entry in getifaddrs()? {
        if entry.interface_name == "lo" {
            continue;
        }
        let at = links.iter().position(|link| link.name == entry.interface_name).unwrap_or_else(|| {
            links.push(from_sysfs(&entry.interface_name));
            links.len() - 1
        });
        let address = entry.address.as_ref().and_then(ip);
        let mask = entry.netmask.as_ref().and_then(ip);
        if let Some((address, mask)) = address.zip(mask).filter(|(address, _)| !link_local(*address)) {
            links[at].addresses.push((address, prefix(mask)));
        }
    }
    links.sort_by(|a, b| a.name.cmp(&b.name));
    Ok(links)
}

fn from_sysfs(name: &str) -> Link {
    let dir = Path::new("/sys/class/net").join(name);
    // An interface that is down has no readable carrier (EINVAL): that is a no.
    let text = |file: &str| fs::read_to_string(dir.join(file)).unwrap_or_default().trim().to_owned();
    let mac = Some(text("address")).filter(|mac| mac.len() == 17).unwrap_or_default();
    let physical = dir.join("device").exists();
    Link { name: name.to_owned(), mac, carrier: text("carrier") == "1", physical, addresses: Vec::new() }
}

fn ip(address: &SockaddrStorage) -> Option<IpAddr> {
    let v4 = address.as_sockaddr_in().map(|a| IpAddr::V4(a.ip()));
    v4.or_else(|| address.as_sockaddr_in6().map(|a| IpAddr::V6(a.ip())))
}

fn link_local(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(ip) => ip.is_link_local(),
        IpAddr::V6(ip) => ip.is_unicast_link_local(),
    }
}

fn prefix(mask: IpAddr) -> u8 {
    let ones = match mask {
        IpAddr::V4(ip) => u32::from(ip).count_ones(),
        IpAddr::V6(ip) => u128::from(ip).count_ones(),
    };
    u8::try_from(ones).unwrap_or(u8::MAX) // at most 128
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_machine_has_links_with_distinct_names() {
        let links = probe_links().unwrap();
        let names: std::collections::BTreeSet<_> = links.iter().map(|link| &link.name).collect();
        assert_eq!(names.len(), links.len());
        assert!(!names.contains(&"lo".to_owned()));
        assert!(links.iter().all(|link| link.mac.is_empty() || link.mac.len() == 17), "{links:?}");
    }

    #[test]
    fn masks_become_prefix_lengths() {
        for (mask, want) in [("255.255.255.0", 24), ("0.0.0.0", 0), ("ffff:ffff:ffff:ffff::", 64)] {
            assert_eq!(prefix(mask.parse().unwrap()), want, "{mask}");
        }
    }
}
