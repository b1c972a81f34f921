//! The `[[reservation]]` parts of the configuration file, checked.

use std::collections::HashSet;
use std::net::Ipv4Addr;

use super::dhcp::usable;
use super::{ConfigError, Reservation, wrong};
use crate::dhcp::cidr::Cidr;
use crate::dhcp::lease::Network;
use crate::dhcp::reserve::{Fixed, Key, Reservations};
use crate::dhcp::told;

/// Checks them. Those outside our networks, and our own address, are left out.
pub(super) fn check(
    list: &[Reservation],
    server: Ipv4Addr,
    networks: &[Network],
    excluded: &HashSet<Ipv4Addr>,
) -> Result<Reservations, ConfigError> {
    let mut all = Reservations::default();
    let mut seen: HashSet<(Key, Option<Cidr>)> = HashSet::new();
    for reservation in list {
        let key = reservation_key(reservation)?;
        if let Some(name) = reservation.hostname.as_ref().filter(|name| !is_label(name)) {
            let reason = format!("`{name}` is not a host name: 1 to 63 letters, digits and hyphens");
            return wrong("reservation", reason);
        }
        let mut network = None;
        if let Some(address) = reservation.address {
            network = networks.iter().map(|n| n.cidr).find(|cidr| cidr.contains(address));
            // The agent lists every node of the cluster, this one and those on other networks too.
            let Some(network) = network.filter(|_| address != server) else { continue };
            usable("reservation", network, address)?;
            if excluded.contains(&address) {
                return wrong("reservation", format!("{address} (for {key}) is the router's address"));
            }
        }
        if !seen.insert((key.clone(), network)) {
            return wrong("reservation", format!("{key} has two addresses; keep one"));
        }
        let fixed = Fixed { address: reservation.address, hostname: reservation.hostname.clone() };
        if let Err(clash) = all.insert(key, fixed) {
            return wrong("reservation", clash.to_string());
        }
    }
    Ok(all)
}

/// What a reservation's machine is known by: one mark.
fn reservation_key(reservation: &Reservation) -> Result<Key, ConfigError> {
    let bytes = |text: &str| match told::hex(text) {
        Some(bytes) if (1..=255).contains(&bytes.len()) => Ok(bytes),
        _ => wrong("reservation", format!("`{text}` is not 1 to 255 bytes in hex digits")),
    };
    // A switch names its ports in text.
    let name = |text: &String| match text.strip_prefix("0x") {
        Some(digits) => bytes(digits),
        None => Ok(text.clone().into_bytes()),
    };
    let Reservation { mac, client_id, uuid, circuit_id, remote_id, .. } = reservation;
    let port = circuit_id.is_some() || remote_id.is_some();
    match (mac, client_id, uuid, port) {
        (Some(mac), None, None, false) if !matches!(mac.as_bytes().len(), 6 | 16) => {
            // Ethernet, or the UUID that EDK2 with SendGUID puts there.
            wrong("reservation", format!("{mac} has {} bytes; a MAC has 6", mac.as_bytes().len()))
        }
        (Some(mac), None, None, false) => Ok(Key::Mac(*mac)),
        (None, Some(id), None, false) => Ok(Key::ClientId(bytes(id)?)),
        (None, None, Some(uuid), false) => Ok(Key::Uuid(*uuid)),
        (None, None, None, true) => Ok(Key::Port {
            circuit: circuit_id.as_ref().map(name).transpose()?,
            remote: remote_id.as_ref().map(name).transpose()?,
        }),
        _ => wrong(
            "reservation",
            "a machine is known by one of `mac`, `client_id`, `uuid`, or by `circuit_id` and `remote_id`",
        ),
    }
}

/// RFC 1123 section 2.1.
fn is_label(name: &str) -> bool {
    (1..=63).contains(&name.len()) && name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-')
}
