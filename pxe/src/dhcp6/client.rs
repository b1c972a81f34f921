//! What a client says of itself: the same questions as over IPv4, asked of other options.

use std::fmt::Write as _;

use super::options::{self, class_texts};
use super::packet::Packet;
use crate::boot::{self, Client, Stage};
use crate::hw::HwAddr;

/// Reads the client off its message. An architecture is only said by those who want to boot.
#[must_use]
pub fn client(packet: &Packet<'_>) -> Client {
    let listed = || packet.option(options::ARCH).into_iter().flat_map(options::numbers);
    let class = packet.option(options::VENDOR_CLASS).and_then(|value| value.get(4..)).unwrap_or_default();
    let says = |prefix: &[u8]| class_texts(class).any(|text| text.starts_with(prefix));
    let ipxe = packet.option(options::USER_CLASS).is_some_and(|v| class_texts(v).any(|text| text == b"iPXE"));
    let stage = if ipxe {
        Stage::Ipxe
    } else if says(b"HTTPClient") {
        Stage::Http
    } else if says(b"PXEClient") {
        Stage::Pxe
    } else {
        Stage::System
    };
    Client { arch: boot::choose_arch(listed).unwrap_or_default(), stage }
}

/// The hardware address of an Ethernet client: from its DUID (RFC 8415 sections 11.2 and 11.4), or from a relay agent.
#[must_use]
pub fn hardware(packet: &Packet<'_>) -> Option<HwAddr> {
    let from_duid = match packet.option(options::CLIENT_ID)? {
        [0, 1, 0, 1, _, _, _, _, mac @ ..] | [0, 3, 0, 1, mac @ ..] => Some(mac),
        _ => None,
    };
    let relayed = || match packet.hops.last()?.link_layer? {
        [0, 1, mac @ ..] => Some(mac),
        _ => None,
    };
    from_duid.or_else(relayed).filter(|mac| mac.len() == 6).and_then(HwAddr::new)
}

/// A DUID as people write it.
#[must_use]
pub fn duid_text(duid: &[u8]) -> String {
    duid.iter().take(130).enumerate().fold(String::new(), |mut text, (i, byte)| {
        let _ = write!(text, "{}{byte:02x}", if i == 0 { "" } else { ":" }); // to a String: cannot fail
        text
    })
}
