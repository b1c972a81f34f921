//! Reservations: fixed addresses and host names, by whatever a machine can be known by.

use std::collections::HashMap;
use std::fmt;
use std::net::Ipv4Addr;

use super::cidr::Cidr;
use super::identity::Who;
use crate::hw::HwAddr;

/// What a machine is known by.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Key {
    /// Its hardware address.
    Mac(HwAddr),
    /// Its client id, option 61.
    ClientId(Vec<u8>),
    /// The UUID of its SMBIOS.
    Uuid(uuid::Uuid),
    /// The port it is behind, as its relay agent says in option 82; both where both are given.
    Port {
        /// Sub-option 1.
        circuit: Option<Vec<u8>>,
        /// Sub-option 2.
        remote: Option<Vec<u8>>,
    },
}

impl fmt::Display for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = |bytes: &Option<Vec<u8>>| {
            bytes.as_ref().map_or_else(|| "any".to_owned(), |b| b.escape_ascii().to_string())
        };
        match self {
            Self::Mac(hw) => write!(f, "{hw}"),
            Self::ClientId(id) => write!(f, "client id {}", id.escape_ascii()),
            Self::Uuid(uuid) => write!(f, "UUID {uuid}"),
            Self::Port { circuit, remote } => {
                write!(f, "circuit {} of remote {}", text(circuit), text(remote))
            }
        }
    }
}

/// What is kept for a machine.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fixed {
    /// Its address; one reservation for each network that it is on.
    pub address: Option<Ipv4Addr>,
    /// Its host name, option 12.
    pub hostname: Option<String>,
}

/// Why a reservation cannot be taken in.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Clash {
    /// Two machines, one address.
    #[error("{0} is reserved for {1} and for {2}; keep one")]
    Address(Ipv4Addr, String, String),
}

/// All reservations.
#[derive(Debug, Clone, Default)]
pub struct Reservations {
    by_key: HashMap<Key, Vec<Fixed>>,
    by_address: HashMap<Ipv4Addr, Key>,
    by_uuid: bool,
    by_client_id: bool,
    by_port: bool,
}

impl Reservations {
    /// Takes one in.
    ///
    /// # Errors
    /// [`Clash`] when the address is another machine's.
    pub fn insert(&mut self, key: Key, fixed: Fixed) -> Result<(), Clash> {
        if let Some(address) = fixed.address {
            if let Some(other) = self.by_address.get(&address) {
                return Err(Clash::Address(address, other.to_string(), key.to_string()));
            }
            self.by_address.insert(address, key.clone());
        }
        match key {
            Key::Mac(_) => {}
            Key::ClientId(_) => self.by_client_id = true,
            Key::Uuid(_) => self.by_uuid = true,
            Key::Port { .. } => self.by_port = true,
        }
        self.by_key.entry(key).or_default().push(fixed);
        Ok(())
    }

    /// What is kept for this client, by hardware address first, then client id, UUID and port.
    pub fn of<'a>(&'a self, who: &Who<'_>) -> impl Iterator<Item = &'a Fixed> + use<'a> {
        let mut keys = vec![];
        if !self.by_key.is_empty() {
            keys.push(Key::Mac(who.hw));
        }
        if let Some(id) = who.client_id.filter(|_| self.by_client_id) {
            keys.push(Key::ClientId(id.to_vec()));
        }
        if let Some(uuid) = who.uuid.filter(|_| self.by_uuid) {
            // RFC 4578 has the bytes as SMBIOS does; some firmware turns them into network order.
            keys.extend([
                Key::Uuid(uuid::Uuid::from_bytes_le(uuid)),
                Key::Uuid(uuid::Uuid::from_bytes(uuid)),
            ]);
        }
        if self.by_port {
            let bytes = |value: Option<&[u8]>| value.map(<[u8]>::to_vec);
            let (circuit, remote) = (bytes(who.relay.circuit), bytes(who.relay.remote));
            if circuit.is_some() && remote.is_some() {
                keys.push(Key::Port { circuit: circuit.clone(), remote: remote.clone() });
            }
            keys.extend(circuit.map(|c| Key::Port { circuit: Some(c), remote: None }));
            keys.extend(remote.map(|r| Key::Port { circuit: None, remote: Some(r) }));
        }
        keys.into_iter().filter_map(|key| self.by_key.get(&key)).flatten()
    }

    /// The address kept for this client in `network`.
    #[must_use]
    pub fn address(&self, who: &Who<'_>, network: Cidr) -> Option<Ipv4Addr> {
        self.of(who).filter_map(|fixed| fixed.address).find(|ip| network.contains(*ip))
    }

    /// The name of the client that was given `ip`.
    #[must_use]
    pub fn hostname(&self, who: &Who<'_>, ip: Ipv4Addr) -> Option<&str> {
        let of_address = self.by_address.get(&ip).and_then(|key| self.by_key.get(key));
        let of_address = of_address.into_iter().flatten().filter(|fixed| fixed.address == Some(ip));
        of_address.chain(self.of(who)).find_map(|fixed| fixed.hostname.as_deref())
    }

    /// Whose `ip` is by reservation.
    #[must_use]
    pub fn owner(&self, ip: Ipv4Addr) -> Option<&Key> {
        self.by_address.get(&ip)
    }

    /// How many addresses are reserved.
    #[must_use]
    pub fn len(&self) -> usize {
        self.by_address.len()
    }

    /// Whether no address is reserved.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.by_address.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dhcp::relay::Relay;

    #[test]
    fn a_machine_is_known_by_any_of_its_marks_and_the_first_counts() {
        let hw: HwAddr = "52:54:00:00:00:01".parse().unwrap();
        let uuid = uuid::Uuid::parse_str("13121110-1514-1716-1819-1a1b1c1d1e1f").unwrap();
        let net: Cidr = "10.0.0.0/24".parse().unwrap();
        let mut all = Reservations::default();
        let keys = [
            Key::Mac(hw),
            Key::ClientId(b"\x01id".to_vec()),
            Key::Uuid(uuid),
            Key::Port { circuit: Some(b"e7".to_vec()), remote: Some(b"sw".to_vec()) },
            Key::Port { circuit: Some(b"e7".to_vec()), remote: None },
            Key::Port { circuit: None, remote: Some(b"sw".to_vec()) },
        ];
        for (n, key) in (1..).zip(keys) {
            let fixed = Fixed { address: Some([10, 0, 0, n].into()), hostname: Some(format!("n{n}")) };
            all.insert(key, fixed).unwrap();
        }
        let other: Who<'_> = "52:54:00:00:00:09".parse::<HwAddr>().unwrap().into();
        let port = |circuit: &'static [u8], remote: &'static [u8]| Relay {
            circuit: Some(circuit),
            remote: Some(remote),
            ..Relay::default()
        };
        let rows: &[(&str, Who<'_>, Option<u8>)] = &[
            ("unknown", other, None),
            ("hardware address", Who { uuid: Some(uuid.to_bytes_le()), ..hw.into() }, Some(1)),
            ("client id", Who { client_id: Some(b"\x01id"), ..other }, Some(2)),
            ("UUID in SMBIOS order", Who { uuid: Some(uuid.to_bytes_le()), ..other }, Some(3)),
            ("UUID in network order", Who { uuid: Some(*uuid.as_bytes()), ..other }, Some(3)),
            ("port of a switch", Who { relay: port(b"e7", b"sw"), ..other }, Some(4)),
            ("port of any switch", Who { relay: port(b"e7", b"other"), ..other }, Some(5)),
            ("any port of a switch", Who { relay: port(b"e9", b"sw"), ..other }, Some(6)),
            ("another port", Who { relay: port(b"e9", b"other"), ..other }, None),
        ];
        for (name, who, n) in rows {
            assert_eq!(all.address(who, net), n.map(|n| [10, 0, 0, n].into()), "{name}");
            let given = n.map_or([10, 0, 0, 99].into(), |n| [10, 0, 0, n].into());
            assert_eq!(all.hostname(who, given), n.map(|n| format!("n{n}")).as_deref(), "{name}");
        }
        assert_eq!(all.address(&hw.into(), "10.0.1.0/24".parse().unwrap()), None, "in another network");
        let again = all.insert(
            Key::Mac("52:54:00:00:00:02".parse().unwrap()),
            Fixed { address: Some([10, 0, 0, 3].into()), hostname: None },
        );
        assert!(again.unwrap_err().to_string().contains("for UUID 13121110"));
    }
}
