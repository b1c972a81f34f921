//! What a network tells its clients: options as they go on the wire, made once when the configuration is read.

use std::net::Ipv4Addr;

use super::cidr::Cidr;
use super::lease::Seconds;
use super::options;

/// Most bytes that a network's options take on the wire. The rest of a message is for times, boot file and echoes.
pub const LIMIT: usize = 640;

/// An option with its value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Told {
    /// Its number.
    pub code: u8,
    /// Its value.
    pub value: Vec<u8>,
    /// Whether it is told unasked.
    pub always: bool,
}

/// A network that is served, as its clients see it.
#[derive(Debug, Clone)]
pub struct Subnet {
    /// Where it is.
    pub cidr: Cidr,
    /// Length of a lease.
    pub lease: Seconds,
    /// Its options, in the order of their numbers (RFC 2132 section 3.3 wants the mask before the router).
    pub told: Vec<Told>,
}

impl Subnet {
    /// A network that tells its mask and its broadcast address.
    #[must_use]
    pub fn new(cidr: Cidr, lease: Seconds) -> Self {
        let mut subnet = Self { cidr, lease, told: Vec::new() };
        subnet.tell(options::SUBNET_MASK, cidr.mask().octets().to_vec(), true);
        subnet.tell(options::BROADCAST, cidr.broadcast().octets().to_vec(), true);
        subnet
    }

    /// Has it tell an option; an empty value is none. False when it is told already.
    pub fn tell(&mut self, code: u8, value: Vec<u8>, always: bool) -> bool {
        if value.is_empty() {
            return true;
        }
        match self.told.binary_search_by_key(&code, |told| told.code) {
            Ok(_) => false,
            Err(at) => {
                self.told.insert(at, Told { code, value, always });
                true
            }
        }
    }

    /// Bytes that its options take on the wire.
    #[must_use]
    pub fn size(&self) -> usize {
        self.told.iter().map(|told| told.value.len() + 2 * told.value.len().div_ceil(255)).sum()
    }
}

/// A list of addresses.
#[must_use]
pub fn ips(list: &[Ipv4Addr]) -> Vec<u8> {
    list.iter().flat_map(Ipv4Addr::octets).collect()
}

/// A domain search list, RFC 3397, without its compression. `None`: a name is not one (RFC 1035 section 2.3.4).
#[must_use]
pub fn search(domains: &[String]) -> Option<Vec<u8>> {
    let mut value = Vec::new();
    for domain in domains {
        let name = domain.strip_suffix('.').unwrap_or(domain);
        if name.len() > 253 {
            return None;
        }
        for label in name.split('.') {
            let len = u8::try_from(label.len()).ok().filter(|len| (1..=63).contains(len))?;
            let good = label.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_');
            if !good {
                return None;
            }
            value.push(len);
            value.extend(label.bytes());
        }
        value.push(0);
    }
    Some(value)
}

/// Classless static routes, RFC 3442: only the significant bytes of each destination.
#[must_use]
pub fn routes(list: &[(Cidr, Ipv4Addr)]) -> Vec<u8> {
    let mut value = Vec::new();
    for (to, via) in list {
        value.push(to.prefix());
        value.extend(&to.network().octets()[..usize::from(to.prefix().div_ceil(8))]);
        value.extend(via.octets());
    }
    value
}

/// Bytes from hex digits, which spaces and colons may part.
#[must_use]
pub fn hex(text: &str) -> Option<Vec<u8>> {
    let digits: Vec<u8> = text.bytes().filter(|b| !matches!(b, b' ' | b':' | b'-')).collect();
    let pairs = digits.chunks(2).map(|pair| {
        let text = std::str::from_utf8(pair).ok().filter(|t| t.len() == 2 && !t.contains('+'))?;
        u8::from_str_radix(text, 16).ok()
    });
    pairs.collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_search_list_is_as_rfc_3397_has_it_and_another_implementation_reads_it() {
        let list = ["eng.apple.com".to_owned(), "marketing.apple.com.".to_owned()];
        let mut wanted = b"\x03eng\x05apple\x03com\0".to_vec();
        wanted.extend(b"\x09marketing\x05apple\x03com\0");
        assert_eq!(search(&list), Some(wanted));
        for bad in ["", ".", "a..b", "a b", "ä.de", &"a".repeat(64), &["abc"; 80].join(".")] {
            assert_eq!(search(&[bad.to_owned()]), None, "{bad}");
        }
        assert_eq!(search(&[]), Some(vec![]));
    }

    #[test]
    fn routes_are_as_rfc_3442_has_them() {
        let rows: &[(&str, &[u8])] = &[
            ("0.0.0.0/0", &[0]),
            ("10.0.0.0/8", &[8, 10]),
            ("10.17.0.0/16", &[16, 10, 17]),
            ("10.27.129.0/24", &[24, 10, 27, 129]),
            ("10.229.0.128/25", &[25, 10, 229, 0, 128]),
            ("10.198.122.47/32", &[32, 10, 198, 122, 47]),
            ("10.16.0.0/12", &[12, 10, 16]),
        ];
        for (to, wanted) in rows {
            let got = routes(&[(to.parse().unwrap(), [10, 0, 0, 1].into())]);
            assert_eq!(got, [*wanted, &[10, 0, 0, 1]].concat(), "{to}");
        }
    }

    #[test]
    fn hex_is_read_or_refused() {
        assert_eq!(hex("01:aB 0c-ff"), Some(vec![1, 0xab, 0x0c, 0xff]));
        for bad in ["0", "0g", "+1", "é0"] {
            assert_eq!(hex(bad), None, "{bad}");
        }
    }

    #[test]
    fn options_are_told_once_and_in_order() {
        let mut subnet = Subnet::new("10.0.0.0/24".parse().unwrap(), 60);
        assert!(subnet.tell(6, vec![1, 1, 1, 1], true) && subnet.tell(3, vec![], true));
        assert!(!subnet.tell(6, vec![2, 2, 2, 2], true));
        assert!(subnet.tell(200, vec![7; 300], false));
        let codes: Vec<_> = subnet.told.iter().map(|told| told.code).collect();
        assert_eq!((codes, subnet.size()), (vec![1, 6, 28, 200], 6 + 6 + 6 + 304));
    }
}
