//! What nodes say of themselves, and which of it goes along with our own packets: what changed, a few times, to whoever
//! is written to next. So news reach everybody in seconds at a bounded cost.

use std::collections::{HashMap, VecDeque};
use std::time::Duration;

use bytes::{Buf, BufMut};

use crate::peer::NodeId;
use crate::seal::MAX_SENDERS;
use crate::status::{NoStatus, Status};

/// News that go along with one packet.
const PER_PACKET: usize = 2;

/// How often the first news of a node go along.
const FIRST_SENDS: u8 = 2;

/// What a node said of itself last.
#[derive(Debug)]
pub(crate) struct Said {
    /// In which of its packets it said so: a later one counts more.
    stamp: (u64, u32),
    /// What.
    pub(crate) status: Status,
    /// When it got here.
    pub(crate) at: Duration,
    /// How often it goes along yet.
    left: u8,
}

/// News of another node, as they travel.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct News {
    pub(crate) id: NodeId,
    pub(crate) stamp: (u64, u32),
    pub(crate) status: Status,
}

/// What all nodes said.
#[derive(Debug, Default)]
pub(crate) struct Spread {
    said: HashMap<NodeId, Said>,
    /// Of these something changed.
    changed: VecDeque<NodeId>,
    /// These were not heard of before. They come after, and seldom: most nodes hear them from themselves.
    first: VecDeque<NodeId>,
}

impl Spread {
    /// What `id` said last.
    pub(crate) fn get(&self, id: NodeId) -> Option<&Said> {
        self.said.get(&id)
    }

    /// Takes news; those that are new to us go along `sends` times.
    pub(crate) fn learn(&mut self, news: News, at: Duration, sends: u8) {
        let News { id, stamp, status } = news;
        let old = self.said.get(&id);
        if old.is_some_and(|old| old.stamp >= stamp) || (old.is_none() && self.said.len() >= MAX_SENDERS) {
            return;
        }
        let was = old.map_or(0, |old| old.left);
        let left = match old {
            None => FIRST_SENDS,
            Some(old) if status.is_news_after(&old.status) => sends,
            Some(old) => old.left,
        };
        if old.is_none() {
            self.first.push_back(id);
        } else if left > was && !self.changed.contains(&id) {
            self.changed.push_back(id);
        }
        self.said.insert(id, Said { stamp, status, at, left });
    }

    /// Forgets what a node said.
    pub(crate) fn forget(&mut self, id: NodeId) {
        self.said.remove(&id); // in the queues it is passed over
    }

    /// Writes a few news for a packet to `to`.
    pub(crate) fn encode(&mut self, to: NodeId, buf: &mut Vec<u8>) {
        let at = buf.len();
        buf.put_u8(0);
        let mut count = 0;
        for queue in [&mut self.changed, &mut self.first] {
            let mut kept = Vec::new();
            for _ in 0..2 * PER_PACKET {
                if usize::from(count) == PER_PACKET {
                    break;
                }
                let Some(id) = queue.pop_front() else { break };
                let Some(said) = self.said.get_mut(&id).filter(|said| said.left > 0) else { continue };
                if id == to {
                    kept.push(id);
                    continue;
                }
                buf.put_slice(&id.0);
                buf.put_uint(said.stamp.0, 6);
                buf.put_u32(said.stamp.1);
                said.status.encode(buf);
                count += 1;
                said.left -= 1;
                if said.left > 0 {
                    kept.push(id);
                }
            }
            queue.extend(kept);
        }
        buf[at] = count;
    }
}

/// Reads the news of a packet from the front of `bytes`, and moves them on.
///
/// # Errors
/// [`NoStatus`].
pub(crate) fn parse_news(bytes: &mut &[u8]) -> Result<Vec<News>, NoStatus> {
    let count = usize::from(bytes.try_get_u8().map_err(|_| NoStatus)?);
    if count > PER_PACKET {
        return Err(NoStatus);
    }
    let mut all = Vec::with_capacity(count);
    for _ in 0..count {
        let mut id = [0; 16];
        bytes.try_copy_to_slice(&mut id).map_err(|_| NoStatus)?;
        let generation = bytes.try_get_uint(6).map_err(|_| NoStatus)?;
        let stamp = (generation, bytes.try_get_u32().map_err(|_| NoStatus)?);
        all.push(News { id: NodeId(id), stamp, status: Status::parse(bytes)? });
    }
    Ok(all)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn news(id: u8, count: u32, version: &str) -> News {
        let status = Status { version: version.into(), load: u16::from(id), ..Status::default() };
        News { id: NodeId([id; 16]), stamp: (1, count), status }
    }

    fn told(spread: &mut Spread, to: u8) -> Vec<News> {
        let mut bytes = Vec::new();
        spread.encode(NodeId([to; 16]), &mut bytes);
        let mut rest = bytes.as_slice();
        let told = parse_news(&mut rest).unwrap();
        assert!(rest.is_empty());
        told
    }

    #[test]
    fn gossip_news_go_along_as_often_as_they_should_and_not_to_whom_they_are_of() {
        let mut spread = Spread::default();
        spread.learn(news(1, 1, "1.0"), Duration::ZERO, 9);
        assert_eq!(told(&mut spread, 1), []);
        assert_eq!(told(&mut spread, 2), [news(1, 1, "1.0")]);
        spread.learn(news(1, 2, "1.0"), Duration::ZERO, 2);
        assert_eq!(told(&mut spread, 2), [news(1, 2, "1.0")], "the latest goes along");
        assert_eq!(told(&mut spread, 2), [], "often enough, and no news but the load");
        spread.learn(news(1, 2, "2.0"), Duration::ZERO, 2);
        assert_eq!(told(&mut spread, 2), [], "not later than what is known");
        spread.learn(news(1, 3, "2.0"), Duration::ZERO, 1);
        assert_eq!(told(&mut spread, 2), [news(1, 3, "2.0")]);
    }

    #[test]
    fn gossip_few_news_go_along_with_one_packet_and_all_get_their_turn() {
        let mut spread = Spread::default();
        for id in 0..5 {
            spread.learn(news(id, 1, "1.0"), Duration::ZERO, 1);
        }
        spread.learn(news(4, 2, "1.1"), Duration::ZERO, 3);
        let mut seen: Vec<u8> = Vec::new();
        for _ in 0..6 {
            let told = told(&mut spread, 9);
            assert!(told.len() <= PER_PACKET);
            seen.extend(told.iter().map(|news| news.id.0[0]));
        }
        assert_eq!(seen, [4, 0, 4, 1, 4, 2, 3, 0, 1, 2, 3], "what changed goes first");
    }

    proptest! {
        #[test]
        fn gossip_any_bytes_are_news_or_refused(bytes: Vec<u8>) {
            let mut rest = bytes.as_slice();
            prop_assert!(parse_news(&mut rest).map_or(true, |all| all.len() <= PER_PACKET));
        }
    }
}
