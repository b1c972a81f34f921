//! What makes a packet a member's, and new.
//!
//! | bytes | what |
//! | --- | --- |
//! | 1 | version of this form, [`VERSION`] |
//! | 16 | id of the sender |
//! | 6 | generation: the sender's start, greater at every start |
//! | 4 | count of its packets since |
//! | n | sealed: status, news, message |
//! | 16 | tag |
//!
//! Sealed by ChaCha20-Poly1305 (RFC 8439) under a key of the sender's own, derived (HKDF with SHA-256, RFC 5869) from
//! the cluster's sealing key, with the cluster's id as salt and the sender's id as info. The nonce is generation and
//! count, so no two packets of a sender share one, and a receiver takes each once (a sliding window as in RFC 4303
//! section 3.4.3). The receiver's id is authenticated too: a packet that is sent on to somebody else does not open there.

use std::collections::HashMap;

use ring::aead::{Aad, CHACHA20_POLY1305, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};
use ring::hkdf::{HKDF_SHA256, KeyType, Prk, Salt};

use crate::peer::{MAX_GENERATION, NodeId};

/// Version of the form.
pub const VERSION: u8 = 1;
/// Largest packet, bytes: passes every link that IPv6 passes (RFC 8200 section 5) without fragments.
pub const MAX_PACKET: usize = 1200;
/// Bytes before what is sealed.
const HEAD: usize = 1 + 16 + 6 + 4;
/// Bytes of the tag.
const TAG: usize = 16;
/// How many packets of a sender may be late.
const WINDOW: u32 = 64;
/// Senders that are remembered: more than a cluster has.
pub(crate) const MAX_SENDERS: usize = 4096;

/// Why a packet was not taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum SealError {
    /// Not a packet of ours.
    #[error("it is not a packet of a form that this release knows")]
    Form,
    /// Not made by a member of this cluster for this node.
    #[error("it was not sealed by a member of this cluster for this node")]
    Stranger,
    /// It was taken before, or is older than what was.
    #[error("it was sent before")]
    Replayed,
    /// Nothing can be sealed any more.
    #[error("the packets of this start are used up")]
    Exhausted,
}

/// The cluster's gossip key, for one node.
pub struct Seal {
    prk: Prk,
    /// Of keys that others may still, or already, seal with.
    others: Vec<Prk>,
    own: NodeId,
    generation: u64,
    count: u32,
    seen: HashMap<NodeId, Window>,
}

/// What was taken of one sender.
#[derive(Debug, Clone, Copy)]
struct Window {
    generation: u64,
    /// Greatest count.
    top: u32,
    /// Bit n: `top - n` was taken.
    bits: u64,
}

/// What was in a packet.
#[derive(Debug, PartialEq, Eq)]
pub struct Opened {
    /// Who sent it.
    pub sender: NodeId,
    /// When its sender started.
    pub generation: u64,
    /// Which of its packets it is.
    pub count: u32,
    /// What was sealed.
    pub body: Vec<u8>,
}

struct Length;

impl KeyType for Length {
    fn len(&self) -> usize {
        32
    }
}

impl Seal {
    /// For the node `own` of `cluster`, which holds the cluster's `key`. No two starts of a node may have the same
    /// generation.
    #[must_use]
    pub fn new(cluster: &[u8; 16], key: &[u8], own: NodeId, generation: u64) -> Self {
        let generation = generation.min(MAX_GENERATION);
        Self {
            prk: extract(cluster, key),
            others: Vec::new(),
            own,
            generation,
            count: 0,
            seen: HashMap::new(),
        }
    }

    /// From now on, packets are sealed with `key`, and opened with it or one of `others`: while the cluster's key is
    /// changed, some have the new one earlier. What was taken stays taken.
    pub fn set_keys(&mut self, cluster: &[u8; 16], key: &[u8], others: &[&[u8]]) {
        self.prk = extract(cluster, key);
        self.others = others.iter().map(|key| extract(cluster, key)).collect();
    }

    fn key(prk: &Prk, sender: NodeId) -> Result<LessSafeKey, SealError> {
        let info = [sender.0.as_slice()];
        let mut bytes = [0; 32];
        // Both fail for wrong lengths only, which the types exclude.
        prk.expand(&info, Length).and_then(|okm| okm.fill(&mut bytes)).map_err(|_| SealError::Form)?;
        UnboundKey::new(&CHACHA20_POLY1305, &bytes).map(LessSafeKey::new).map_err(|_| SealError::Form)
    }

    /// Seals `body` for `to`.
    ///
    /// # Errors
    /// [`SealError::Form`] for one that is too long, [`SealError::Exhausted`].
    pub fn seal(&mut self, to: NodeId, body: &[u8]) -> Result<Vec<u8>, SealError> {
        if HEAD + body.len() + TAG > MAX_PACKET {
            return Err(SealError::Form);
        }
        self.count = self.count.checked_add(1).ok_or(SealError::Exhausted)?;
        let mut packet = Vec::with_capacity(HEAD + body.len() + TAG);
        packet.push(VERSION);
        packet.extend_from_slice(&self.own.0);
        packet.extend_from_slice(&self.generation.to_be_bytes()[2..]);
        packet.extend_from_slice(&self.count.to_be_bytes());
        packet.extend_from_slice(body);
        let (head, text) = packet.split_at_mut(HEAD);
        let tag = Self::key(&self.prk, self.own)?
            .seal_in_place_separate_tag(nonce(self.generation, self.count), aad(head, to), text)
            .map_err(|_| SealError::Form)?;
        packet.extend_from_slice(tag.as_ref());
        Ok(packet)
    }

    /// Opens a packet, once.
    ///
    /// # Errors
    /// [`SealError`]. Whatever it is, nothing is remembered of the packet.
    pub fn open(&mut self, packet: &[u8]) -> Result<Opened, SealError> {
        if packet.len() > MAX_PACKET || packet.len() < HEAD + TAG {
            return Err(SealError::Form);
        }
        let (head, sealed) = packet.split_at(HEAD);
        let Some((&VERSION, rest)) = head.split_first() else { return Err(SealError::Form) };
        let (id, rest) = rest.split_first_chunk::<16>().ok_or(SealError::Form)?;
        let (start, count) = rest.split_first_chunk::<6>().ok_or(SealError::Form)?;
        let count = u32::from_be_bytes(count.try_into().map_err(|_| SealError::Form)?);
        let generation = start.iter().fold(0, |sum, byte| sum << 8 | u64::from(*byte));
        let sender = NodeId(*id);
        let open = |prk: &Prk| {
            let mut body = sealed.to_vec();
            let length = Self::key(prk, sender)?
                .open_in_place(nonce(generation, count), aad(head, self.own), &mut body)
                .map_err(|_| SealError::Stranger)?
                .len();
            body.truncate(length);
            Ok(body)
        };
        let all = std::iter::once(&self.prk).chain(&self.others);
        let body = all.map(open).find(Result::is_ok).unwrap_or(Err(SealError::Stranger))?;
        self.take(sender, generation, count)?;
        Ok(Opened { sender, generation, count, body })
    }

    fn take(&mut self, sender: NodeId, generation: u64, count: u32) -> Result<(), SealError> {
        if let Some(window) = self.seen.get_mut(&sender) {
            return window.take(generation, count);
        }
        if self.seen.len() >= MAX_SENDERS {
            return Err(SealError::Stranger);
        }
        self.seen.insert(sender, Window { generation, top: count, bits: 1 });
        Ok(())
    }
}

impl Window {
    fn take(&mut self, generation: u64, count: u32) -> Result<(), SealError> {
        if generation > self.generation {
            *self = Self { generation, top: count, bits: 1 };
            return Ok(());
        }
        if generation < self.generation {
            return Err(SealError::Replayed);
        }
        if let Some(ahead) = count.checked_sub(self.top).filter(|ahead| *ahead > 0) {
            self.bits = if ahead < WINDOW { self.bits << ahead | 1 } else { 1 };
            self.top = count;
            return Ok(());
        }
        let behind = self.top - count; // not ahead, so not below
        if behind >= WINDOW || self.bits & (1 << behind) != 0 {
            return Err(SealError::Replayed);
        }
        self.bits |= 1 << behind;
        Ok(())
    }
}

fn extract(cluster: &[u8; 16], key: &[u8]) -> Prk {
    let salt = [b"maekin gossip v1".as_slice(), cluster].concat();
    Salt::new(HKDF_SHA256, &salt).extract(key)
}

fn nonce(generation: u64, count: u32) -> Nonce {
    let mut bytes = [0; NONCE_LEN];
    bytes[..8].copy_from_slice(&generation.to_be_bytes());
    bytes[8..].copy_from_slice(&count.to_be_bytes());
    Nonce::assume_unique_for_key(bytes)
}

fn aad(head: &[u8], to: NodeId) -> Aad<Vec<u8>> {
    Aad::from([head, to.0.as_slice()].concat())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const A: NodeId = NodeId([1; 16]);
    const B: NodeId = NodeId([2; 16]);
    const C: NodeId = NodeId([3; 16]);
    const CLUSTER: [u8; 16] = [9; 16];

    fn member(own: NodeId, generation: u64) -> Seal {
        Seal::new(&CLUSTER, &[5; 32], own, generation)
    }

    #[test]
    fn gossip_a_packet_opens_for_whom_it_was_sealed_once() {
        let packet = member(A, 7).seal(B, b"hello").unwrap();
        assert_eq!(packet.len(), HEAD + 5 + TAG);
        let mut b = member(B, 1);
        let opened = b.open(&packet).unwrap();
        assert_eq!(opened, Opened { sender: A, generation: 7, count: 1, body: b"hello".to_vec() });
        assert_eq!(b.open(&packet), Err(SealError::Replayed));
        let mut other_version = packet.clone();
        other_version[0] = 2;
        let rows: [(&str, Seal, &[u8], SealError); 7] = [
            ("it was for somebody else", member(C, 1), &packet, SealError::Stranger),
            ("another cluster", Seal::new(&[8; 16], &[5; 32], B, 1), &packet, SealError::Stranger),
            ("another key", Seal::new(&CLUSTER, &[6; 32], B, 1), &packet, SealError::Stranger),
            ("another version", member(B, 1), &other_version, SealError::Form),
            ("cut short", member(B, 1), &packet[..HEAD + TAG - 1], SealError::Form),
            ("empty", member(B, 1), &[], SealError::Form),
            ("too long", member(B, 1), &[VERSION; MAX_PACKET + 1], SealError::Form),
        ];
        for (name, mut seal, packet, want) in rows {
            assert_eq!(seal.open(packet), Err(want), "{name}");
        }
    }

    #[test]
    fn gossip_a_changed_key_is_taken_while_both_are_known() {
        let (old, new): ([u8; 32], [u8; 32]) = ([5; 32], [6; 32]);
        let keys = |own: NodeId, key: &[u8], others: &[&[u8]]| {
            let mut seal = member(own, 1);
            seal.set_keys(&CLUSTER, key, others);
            seal
        };
        let rows = [
            ("nobody has the new one", keys(A, &old, &[]), keys(B, &old, &[]), true),
            ("both have it", keys(A, &old, &[&new]), keys(B, &old, &[&new]), true),
            ("the sender uses it", keys(A, &new, &[&old]), keys(B, &old, &[&new]), true),
            ("the receiver uses it", keys(A, &old, &[&new]), keys(B, &new, &[&old]), true),
            ("the old one is forgotten", keys(A, &new, &[]), keys(B, &new, &[]), true),
            ("by the receiver alone", keys(A, &old, &[&new]), keys(B, &new, &[]), false),
            (
                "one that was removed before has only the old one",
                keys(A, &old, &[]),
                keys(B, &new, &[]),
                false,
            ),
        ];
        for (name, mut from, mut to, opens) in rows {
            let packet = from.seal(B, b"hello").unwrap();
            assert_eq!(to.open(&packet).is_ok(), opens, "{name}");
            to.set_keys(&CLUSTER, &old, &[&new]);
            let again = if opens { Err(SealError::Replayed) } else { Ok(()) };
            assert_eq!(to.open(&packet).map(drop), again, "{name}: taken once");
        }
    }

    #[test]
    fn gossip_an_earlier_life_is_not_listened_to_again() {
        let (mut first, mut second) = (member(A, 7), member(A, 8));
        let mut b = member(B, 1);
        let [old, late] = [first.seal(B, b"1").unwrap(), first.seal(B, b"2").unwrap()];
        b.open(&old).unwrap();
        b.open(&second.seal(B, b"3").unwrap()).unwrap();
        assert_eq!(b.open(&late), Err(SealError::Replayed));
    }

    #[test]
    fn gossip_packets_may_overtake_each_other_within_the_window() {
        let mut a = member(A, 7);
        let mut packets: Vec<_> = (0..200).map(|_| a.seal(B, b"x").unwrap()).collect();
        let far = packets.remove(0);
        let mut b = member(B, 1);
        for pair in packets.chunks(2) {
            for packet in pair.iter().rev() {
                b.open(packet).unwrap();
            }
            for packet in pair {
                assert_eq!(b.open(packet), Err(SealError::Replayed));
            }
        }
        assert_eq!(b.open(&far), Err(SealError::Replayed), "older than the window");
    }

    #[test]
    fn gossip_a_body_that_is_too_long_is_not_sealed() {
        let mut a = member(A, 7);
        assert!(a.seal(B, &[0; MAX_PACKET - HEAD - TAG]).is_ok());
        assert_eq!(a.seal(B, &[0; MAX_PACKET - HEAD - TAG + 1]), Err(SealError::Form));
    }

    proptest! {
        #[test]
        fn gossip_a_packet_that_was_changed_anywhere_is_refused(
            body in proptest::collection::vec(any::<u8>(), 0..200), at: proptest::sample::Index, bit in 0..8u8
        ) {
            let mut packet = member(A, 7).seal(B, &body).unwrap();
            let at = at.index(packet.len());
            packet[at] ^= 1 << bit;
            prop_assert!(member(B, 1).open(&packet).is_err());
        }

        #[test]
        fn gossip_strangers_bytes_are_refused(packet: Vec<u8>) {
            prop_assert!(member(B, 1).open(&packet).is_err());
        }

        #[test]
        fn gossip_each_count_is_taken_once_in_any_order(counts in proptest::collection::vec(1..300u32, 1..200)) {
            let mut window = Window { generation: 1, top: 0, bits: 1 };
            let mut taken = std::collections::BTreeSet::from([0]);
            for count in counts {
                let fresh = window.take(1, count).is_ok();
                prop_assert!(!fresh || taken.insert(count), "{} was taken twice", count);
            }
        }
    }
}
