//! How `foca`'s messages are written.
//!
//! A header begins with who sends to whom ([`ROUTE`] bytes). That part does not travel: the packet around it names the
//! sender, and the receiver knows itself ([`crate::seal`]).

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use bytes::{Buf, BufMut};
use foca::{Codec, Header, Member, Message, State};

use crate::peer::{NodeId, Peer};

/// Length of who sends to whom: two ids, two generations.
pub const ROUTE: usize = 2 * (16 + 6);
/// Longest peer as bytes: id, generation, address.
const PEER: usize = 16 + 6 + 19;

/// These bytes are no message.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum CodecError {
    /// It ends too early.
    #[error("the message is cut short")]
    Short,
    /// A kind that is not known.
    #[error("the message has a kind {0} that this release does not know")]
    Kind(u8),
    /// No room in the packet.
    #[error("the packet has no room for it")]
    Room,
    /// No room in the table of members.
    #[error("there are more members than this release takes")]
    Full,
}

impl From<bytes::TryGetError> for CodecError {
    fn from(_: bytes::TryGetError) -> Self {
        Self::Short
    }
}

/// The form of version 1.
#[derive(Debug, Clone, Default)]
pub struct PeerCodec {
    /// Whether the table of members is full: then no others are read.
    pub full: Arc<AtomicBool>,
}

/// Bytes that are put into a packet whole or not at all.
struct Piece {
    bytes: [u8; ROUTE + 2 * PEER],
    len: usize,
}

impl Piece {
    fn new() -> Self {
        Self { bytes: [0; ROUTE + 2 * PEER], len: 0 }
    }

    fn put(&mut self, bytes: &[u8]) {
        // Every piece is shorter than the room it has: the kinds below are all there are.
        if let Some(room) = self.bytes.get_mut(self.len..self.len + bytes.len()) {
            room.copy_from_slice(bytes);
            self.len += bytes.len();
        }
    }

    fn put_life(&mut self, peer: &Peer) {
        self.put(&peer.id.0);
        self.put(&peer.generation.to_be_bytes()[2..]);
    }

    fn put_address(&mut self, address: SocketAddr) {
        match address.ip() {
            IpAddr::V4(ip) => {
                self.put(&[4]);
                self.put(&ip.octets());
            }
            IpAddr::V6(ip) => {
                self.put(&[6]);
                self.put(&ip.octets());
            }
        }
        self.put(&address.port().to_be_bytes());
    }

    fn put_peer(&mut self, peer: &Peer) {
        self.put_life(peer);
        self.put_address(peer.address);
    }

    fn finish(&self, mut buf: impl BufMut) -> Result<(), CodecError> {
        if buf.remaining_mut() < self.len {
            return Err(CodecError::Room);
        }
        buf.put_slice(&self.bytes[..self.len]);
        Ok(())
    }
}

fn get_life(buf: &mut impl Buf) -> Result<(NodeId, u64), CodecError> {
    let mut id = [0; 16];
    buf.try_copy_to_slice(&mut id)?;
    Ok((NodeId(id), buf.try_get_uint(6)?))
}

fn get_address(buf: &mut impl Buf) -> Result<SocketAddr, CodecError> {
    let ip = match buf.try_get_u8()? {
        4 => IpAddr::V4(Ipv4Addr::from_bits(buf.try_get_u32()?)),
        6 => IpAddr::V6(Ipv6Addr::from_bits(buf.try_get_u128()?)),
        other => return Err(CodecError::Kind(other)),
    };
    Ok(SocketAddr::new(ip, buf.try_get_u16()?))
}

fn get_peer(buf: &mut impl Buf) -> Result<Peer, CodecError> {
    let (id, generation) = get_life(buf)?;
    Ok(Peer { id, generation, address: get_address(buf)? })
}

/// An address that stands for one that a packet does not carry.
const NOWHERE: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::UNSPECIFIED), 0);

impl Codec<Peer> for PeerCodec {
    type Error = CodecError;

    fn encode_header(&mut self, header: &Header<Peer>, buf: impl BufMut) -> Result<(), CodecError> {
        let mut piece = Piece::new();
        piece.put_life(&header.src);
        piece.put_life(&header.dst);
        piece.put_address(header.src.address);
        piece.put(&header.src_incarnation.to_be_bytes());
        let (kind, third) = match &header.message {
            Message::Ping(number) => (0, Some((None, number))),
            Message::Ack(number) => (1, Some((None, number))),
            Message::PingReq { target, probe_number } => (2, Some((Some(target), probe_number))),
            Message::IndirectPing { origin, probe_number } => (3, Some((Some(origin), probe_number))),
            Message::IndirectAck { target, probe_number } => (4, Some((Some(target), probe_number))),
            Message::ForwardedAck { origin, probe_number } => (5, Some((Some(origin), probe_number))),
            Message::Announce => (6, None),
            Message::Feed => (7, None),
            Message::Gossip => (8, None),
            Message::Broadcast => (9, None),
            Message::TurnUndead => (10, None),
        };
        piece.put(&[kind]);
        if let Some((third, number)) = third {
            piece.put(&[*number]);
            if let Some(third) = third {
                piece.put_peer(third);
            }
        }
        piece.finish(buf)
    }

    fn decode_header(&mut self, mut buf: impl Buf) -> Result<Header<Peer>, CodecError> {
        let (id, generation) = get_life(&mut buf)?;
        let (dst, dst_generation) = get_life(&mut buf)?;
        let src = Peer { id, generation, address: get_address(&mut buf)? };
        let dst = Peer { id: dst, generation: dst_generation, address: NOWHERE };
        let src_incarnation = buf.try_get_u16()?;
        let message = match buf.try_get_u8()? {
            0 => Message::Ping(buf.try_get_u8()?),
            1 => Message::Ack(buf.try_get_u8()?),
            kind @ 2..=5 => {
                let probe_number = buf.try_get_u8()?;
                let third = get_peer(&mut buf)?;
                match kind {
                    2 => Message::PingReq { target: third, probe_number },
                    3 => Message::IndirectPing { origin: third, probe_number },
                    4 => Message::IndirectAck { target: third, probe_number },
                    _ => Message::ForwardedAck { origin: third, probe_number },
                }
            }
            6 => Message::Announce,
            7 => Message::Feed,
            8 => Message::Gossip,
            // 9 carries what we never send.
            10 => Message::TurnUndead,
            other => return Err(CodecError::Kind(other)),
        };
        Ok(Header { src, src_incarnation, dst, message })
    }

    fn encode_member(&mut self, member: &Member<Peer>, buf: impl BufMut) -> Result<(), CodecError> {
        let mut piece = Piece::new();
        piece.put_peer(member.id());
        piece.put(&member.incarnation().to_be_bytes());
        piece.put(&[match member.state() {
            State::Alive => 0,
            State::Suspect => 1,
            State::Down => 2,
        }]);
        piece.finish(buf)
    }

    fn decode_member(&mut self, mut buf: impl Buf) -> Result<Member<Peer>, CodecError> {
        if self.full.load(Ordering::Relaxed) {
            return Err(CodecError::Full);
        }
        let peer = get_peer(&mut buf)?;
        let incarnation = buf.try_get_u16()?;
        let state = match buf.try_get_u8()? {
            0 => State::Alive,
            1 => State::Suspect,
            2 => State::Down,
            other => return Err(CodecError::Kind(other)),
        };
        Ok(Member::new(peer, incarnation, state))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::peer::MAX_GENERATION;
    use proptest::prelude::*;

    fn peer() -> impl Strategy<Value = Peer> {
        (any::<[u8; 16]>(), 0..=MAX_GENERATION, any::<IpAddr>(), any::<u16>()).prop_map(
            |(id, generation, ip, port)| Peer {
                id: NodeId(id),
                generation,
                address: SocketAddr::new(ip, port),
            },
        )
    }

    fn message() -> impl Strategy<Value = Message<Peer>> {
        prop_oneof![
            any::<u8>().prop_map(Message::Ping),
            any::<u8>().prop_map(Message::Ack),
            (peer(), any::<u8>())
                .prop_map(|(target, probe_number)| Message::PingReq { target, probe_number }),
            (peer(), any::<u8>())
                .prop_map(|(origin, probe_number)| Message::IndirectPing { origin, probe_number }),
            (peer(), any::<u8>())
                .prop_map(|(target, probe_number)| Message::IndirectAck { target, probe_number }),
            (peer(), any::<u8>())
                .prop_map(|(origin, probe_number)| Message::ForwardedAck { origin, probe_number }),
            Just(Message::Announce),
            Just(Message::Feed),
            Just(Message::Gossip),
            Just(Message::TurnUndead),
        ]
    }

    proptest! {
        #[test]
        fn gossip_a_header_is_read_as_it_was_written(
            src in peer(), dst in peer(), src_incarnation: u16, message in message()
        ) {
            let header = Header { src, src_incarnation, dst, message };
            let mut bytes = Vec::new();
            PeerCodec::default().encode_header(&header, &mut bytes).unwrap();
            let mut rest = bytes.as_slice();
            let read = PeerCodec::default().decode_header(&mut rest).unwrap();
            prop_assert_eq!(&read, &header);
            prop_assert_eq!(read.src.address, header.src.address);
            prop_assert!(rest.is_empty());
        }

        #[test]
        fn gossip_a_member_is_read_as_it_was_written(peer in peer(), incarnation: u16, state in 0..3usize) {
            let state = [State::Alive, State::Suspect, State::Down][state];
            let member = Member::new(peer, incarnation, state);
            let mut bytes = Vec::new();
            PeerCodec::default().encode_member(&member, &mut bytes).unwrap();
            let read = PeerCodec::default().decode_member(bytes.as_slice()).unwrap();
            prop_assert_eq!(read.id().address, peer.address);
            prop_assert_eq!(read, member);
        }

        #[test]
        fn gossip_any_bytes_are_a_message_or_refused(bytes: Vec<u8>) {
            let _ = PeerCodec::default().decode_header(bytes.as_slice());
            let _ = PeerCodec::default().decode_member(bytes.as_slice());
        }

        #[test]
        fn gossip_a_message_goes_into_a_packet_whole_or_not_at_all(
            src in peer(), dst in peer(), message in message(), room in 0..120usize
        ) {
            let header = Header { src, src_incarnation: 0, dst, message };
            let mut bytes = Vec::new();
            let outcome = PeerCodec::default().encode_header(&header, (&mut bytes).limit(room));
            prop_assert_eq!(outcome.is_err(), bytes.is_empty());
        }
    }
}
