//! Messages: taken apart without copying, and written.

use std::net::Ipv6Addr;

use super::options::{self, Status, are_whole, each};

/// Longest answer: what fits an Ethernet frame without fragments (RFC 8200: 40 bytes, UDP: 8).
pub const MAX_LEN: usize = 1452;
/// Most relay agents a message may have come through, RFC 8415 section 7.6 (HOP_COUNT_LIMIT).
const MAX_HOPS: usize = 8;

/// Kinds of messages, RFC 8415 section 7.3.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Kind {
    /// Client looks for servers.
    Solicit,
    /// Server offers.
    Advertise,
    /// Client asks for what was offered.
    Request,
    /// Client asks whether its addresses are of this link.
    Confirm,
    /// Client prolongs with its server.
    Renew,
    /// Client prolongs with any server.
    Rebind,
    /// Server answers.
    Reply,
    /// Client gives its addresses back.
    Release,
    /// Client found an address in use.
    Decline,
    /// Server has news; we never do.
    Reconfigure,
    /// Client wants everything but an address.
    InformationRequest,
}

impl Kind {
    const ALL: [Self; 11] = [
        Self::Solicit,
        Self::Advertise,
        Self::Request,
        Self::Confirm,
        Self::Renew,
        Self::Rebind,
        Self::Reply,
        Self::Release,
        Self::Decline,
        Self::Reconfigure,
        Self::InformationRequest,
    ];

    fn from_code(code: u8) -> Option<Self> {
        Self::ALL.get(usize::from(code).checked_sub(1)?).copied()
    }

    /// Its number.
    #[must_use]
    pub fn code(self) -> u8 {
        self as u8 + 1
    }
}

const RELAY_FORWARD: u8 = 12;
const RELAY_REPLY: u8 = 13;

/// Bytes that are no message of a client, nor one that a relay agent wrapped up.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Malformed {
    /// It ends within its header or an option.
    #[error("cut short")]
    Short,
    /// A kind of message that is not for servers, or unknown.
    #[error("message type {0} is not for servers")]
    Kind(u8),
    /// A relay agent's message without one in it.
    #[error("a relay agent's message without a message in it")]
    Empty,
    /// Through too many relay agents.
    #[error("relayed more than 8 times")]
    Hops,
}

/// A relay agent that the message came through.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Hop<'a> {
    count: u8,
    /// An address of the link that the client is on; unspecified where the agent did not say.
    pub link: Ipv6Addr,
    peer: Ipv6Addr,
    interface_id: Option<&'a [u8]>,
    /// The client's hardware address as the agent saw it.
    pub link_layer: Option<&'a [u8]>,
}

/// A client's message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Packet<'a> {
    /// Relay agents, the one nearest to us first.
    pub hops: Vec<Hop<'a>>,
    /// Its kind.
    pub kind: Kind,
    /// Transaction.
    pub xid: [u8; 3],
    options: &'a [u8],
}

impl<'a> Packet<'a> {
    /// Takes `bytes` apart.
    ///
    /// # Errors
    /// [`Malformed`]: such a message is dropped in silence (RFC 8415 section 16).
    pub fn parse(mut bytes: &'a [u8]) -> Result<Self, Malformed> {
        let mut hops = Vec::new();
        while let [RELAY_FORWARD, count, rest @ ..] = bytes {
            if hops.len() == MAX_HOPS {
                return Err(Malformed::Hops);
            }
            let (link, rest) = rest.split_first_chunk::<16>().ok_or(Malformed::Short)?;
            let (peer, rest) = rest.split_first_chunk::<16>().ok_or(Malformed::Short)?;
            if !are_whole(rest) {
                return Err(Malformed::Short);
            }
            let find = |code| each(rest).find(|(c, _)| *c == code).map(|(_, value)| value);
            hops.push(Hop {
                count: *count,
                link: Ipv6Addr::from(*link),
                peer: Ipv6Addr::from(*peer),
                interface_id: find(options::INTERFACE_ID),
                link_layer: find(options::LINK_LAYER),
            });
            bytes = find(options::RELAY_MESSAGE).ok_or(Malformed::Empty)?;
        }
        let [code, a, b, c, options @ ..] = bytes else { return Err(Malformed::Short) };
        let kind = Kind::from_code(*code).ok_or(Malformed::Kind(*code))?;
        if matches!(kind, Kind::Advertise | Kind::Reply | Kind::Reconfigure) {
            return Err(Malformed::Kind(*code));
        }
        if !are_whole(options) {
            return Err(Malformed::Short);
        }
        Ok(Self { hops, kind, xid: [*a, *b, *c], options })
    }

    /// The first option of this number.
    #[must_use]
    pub fn option(&self, code: u16) -> Option<&'a [u8]> {
        self.options(code).next()
    }

    /// All options of this number.
    pub fn options(&self, code: u16) -> impl Iterator<Item = &'a [u8]> + use<'a> {
        each(self.options).filter(move |(c, _)| *c == code).map(|(_, value)| value)
    }

    /// Whether the client asks for this option.
    #[must_use]
    pub fn asks_for(&self, code: u16) -> bool {
        self.option(options::REQUESTED).is_some_and(|asked| options::numbers(asked).any(|c| c == code))
    }

    /// The addresses it has or asks for, by identity association.
    pub fn associations(&self) -> impl Iterator<Item = Association<'a>> + use<'a> {
        self.options(options::IA_NA).filter_map(|value| {
            let (iaid, rest) = value.split_first_chunk::<4>()?;
            Some(Association { iaid: *iaid, options: rest.get(8..)? })
        })
    }
}

/// An identity association of a client's message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Association<'a> {
    /// Its number.
    pub iaid: [u8; 4],
    options: &'a [u8],
}

impl<'a> Association<'a> {
    /// The addresses in it.
    pub fn addresses(&self) -> impl Iterator<Item = Ipv6Addr> + use<'a> {
        each(self.options)
            .filter(|(code, _)| *code == options::IA_ADDR)
            .filter_map(|(_, value)| Some(Ipv6Addr::from(*value.first_chunk::<16>()?)))
    }
}

/// An answer being written.
#[derive(Debug)]
pub struct Writer(Vec<u8>);

impl Writer {
    /// Begins an answer of `kind`.
    #[must_use]
    pub fn new(kind: Kind, xid: [u8; 3]) -> Self {
        let mut bytes = Vec::with_capacity(512);
        bytes.push(kind.code());
        bytes.extend(xid);
        Self(bytes)
    }

    /// Adds an option.
    pub fn option(&mut self, code: u16, value: &[u8]) {
        put(&mut self.0, code, value);
    }

    /// Adds a status for the whole message.
    pub fn status(&mut self, status: Status) {
        self.option(options::STATUS, &(status as u16).to_be_bytes());
    }

    /// The message, wrapped up for the way back through `hops`. `None` when it does not fit.
    #[must_use]
    pub fn finish(self, hops: &[Hop<'_>]) -> Option<Vec<u8>> {
        let mut bytes = self.0;
        for hop in hops.iter().rev() {
            let mut outer = vec![RELAY_REPLY, hop.count];
            outer.extend(hop.link.octets());
            outer.extend(hop.peer.octets());
            if let Some(id) = hop.interface_id {
                put(&mut outer, options::INTERFACE_ID, id);
            }
            put(&mut outer, options::RELAY_MESSAGE, &bytes);
            bytes = outer;
        }
        (bytes.len() <= MAX_LEN).then_some(bytes)
    }
}

/// Adds an option to `bytes`; one longer than its length can say is left out (and then nothing fits anyway).
pub(super) fn put(bytes: &mut Vec<u8>, code: u16, value: &[u8]) {
    if let Ok(len) = u16::try_from(value.len()) {
        bytes.extend(code.to_be_bytes());
        bytes.extend(len.to_be_bytes());
        bytes.extend(value);
    }
}

#[cfg(test)]
mod tests;
