//! Who is at the other end of a cable: announcements by LLDP (IEEE 802.1AB-2016). Switches send one every 30 seconds.
//!
//! The kernel's networkd can hear them too, but only on interfaces that it configures; here they are heard on ports
//! that nobody configures yet, by a parser of our own that hostile frames are tested on. What a stranger says is cut,
//! cleaned of control characters, and shown; nothing depends on it.

use std::io;
use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};

use crate::packet::PacketSocket;

/// EtherType of LLDP.
const ETHERTYPE: u16 = 0x88cc;
/// The addresses that it is sent to (clause 7.1): nearest bridge, nearest non-TPMR bridge, nearest customer bridge.
const GROUPS: [[u8; 6]; 3] =
    [[0x01, 0x80, 0xc2, 0, 0, 0x0e], [0x01, 0x80, 0xc2, 0, 0, 0x03], [0x01, 0x80, 0xc2, 0, 0, 0x00]];
/// Longest text that is kept of anything.
const LONGEST: usize = 64;
/// Most TLVs that are looked at.
const MOST: usize = 64;

/// The other end of a cable, as it calls itself. All of it is a stranger's word: shown, never trusted.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Neighbour {
    /// Name of the system; empty where it gives none.
    pub system: String,
    /// Its chassis identifier.
    pub chassis: String,
    /// Its port's identifier.
    pub port: String,
    /// Its port in words; empty where it gives none.
    pub description: String,
    /// The port's VLAN for untagged frames (IEEE 802.1Q, annex D.2.1), where it tells.
    pub vlan: Option<u16>,
}

/// Waits at most `limit` for an announcement on `interface`, which must be up.
///
/// # Errors
/// When the interface cannot be listened on, or goes down.
pub fn listen(interface: &str, limit: Duration) -> io::Result<Option<Neighbour>> {
    let socket = PacketSocket::open(interface, ETHERTYPE)?;
    for group in GROUPS {
        socket.join(group)?;
    }
    let deadline = Instant::now() + limit;
    let mut frame = [0; 2048];
    loop {
        let left = deadline.saturating_duration_since(Instant::now());
        let heard = socket.receive(&mut frame, left)?;
        if let Some(neighbour) = heard.and_then(|n| parse_frame(&frame[..n])) {
            return Ok(Some(neighbour));
        }
        if left.is_zero() {
            return Ok(None);
        }
    }
}

/// The announcement in an Ethernet frame; `None`: it holds none, or one that breaks the standard's order (clause 9.2),
/// or one that says goodbye (time to live 0).
#[must_use]
pub fn parse_frame(frame: &[u8]) -> Option<Neighbour> {
    let mut rest = match frame.get(12..14)? {
        [0x88, 0xcc] => frame.get(14..)?,
        [0x81, 0x00] if frame.get(16..18)? == [0x88, 0xcc] => frame.get(18..)?,
        _ => return None,
    };
    let mut found = Neighbour::default();
    for index in 0..MOST {
        let (kind, value) = take_tlv(&mut rest)?;
        match (index, kind) {
            (0, 1) => found.chassis = identifier(value, 4, 5)?,
            (1, 2) => found.port = identifier(value, 3, 4)?,
            (2, 3) if value.get(..2)? != [0, 0] => {}
            (0..=2, _) => return None,
            (_, 0) => return Some(found),
            (_, 4) => found.description = text(value),
            (_, 5) => found.system = text(value),
            (_, 127) if value.get(..4) == Some(&[0x00, 0x80, 0xc2, 1]) => {
                let id = u16::from_be_bytes([*value.get(4)?, *value.get(5)?]);
                found.vlan = (1..=4094).contains(&id).then_some(id);
            }
            _ => {}
        }
    }
    Some(found)
}

/// Type and value of the first TLV: seven bits of type, nine of length (clause 8.4).
fn take_tlv<'a>(rest: &mut &'a [u8]) -> Option<(u8, &'a [u8])> {
    let head = rest.get(..2)?;
    let length = usize::from(u16::from_be_bytes([head[0] & 1, head[1]]));
    let value = rest.get(2..2 + length)?;
    *rest = &rest[2 + length..];
    Some((head[0] >> 1, value))
}

/// A chassis or port identifier: a subtype, then a text but for hardware and network addresses (clauses 8.5.2, 8.5.3).
fn identifier(value: &[u8], mac: u8, network: u8) -> Option<String> {
    let (subtype, id) = value.split_first().filter(|(_, id)| !id.is_empty())?;
    Some(match (*subtype, id) {
        (s, [a, b, c, d, e, f]) if s == mac => format!("{a:02x}:{b:02x}:{c:02x}:{d:02x}:{e:02x}:{f:02x}"),
        (s, [1, a, b, c, d]) if s == network => format!("{a}.{b}.{c}.{d}"),
        _ => text(id),
    })
}

/// A text of a stranger: printable, one line, not too long.
fn text(bytes: &[u8]) -> String {
    let text = String::from_utf8_lossy(bytes);
    let clean = |c: char| if c.is_control() || c == '\u{fffd}' { ' ' } else { c };
    text.trim_end_matches('\0').chars().map(clean).take(LONGEST).collect::<String>().trim().to_owned()
}

#[cfg(test)]
mod tests;
