//! The neighbours that a machine knows: a bounded table, one entry for an address.

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;

use crate::bitmap::Bitmap;
use crate::random::Random;

/// Most neighbours known at a time.
const MOST: usize = 32;
/// Most liars remembered.
const MOST_LIARS: usize = 256;
/// Most sources taken from one answer.
const MOST_SOURCES: usize = 8;

/// Where chunks are to be had.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Where {
    /// From a machine that installs.
    Machine(SocketAddr),
    /// From an HTTP server with the whole release, `http://address:port`.
    Source(String),
}

/// Number of an entry.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct PeerId(u64);

#[derive(Debug)]
pub(super) struct Peer {
    place: Where,
    pub(super) have: Bitmap,
    /// Chunks being fetched from it.
    pub(super) active: usize,
    /// A question for news is open.
    pub(super) questioned: bool,
    /// Not before.
    pub(super) after: u64,
    pub(super) failures: u32,
}

#[derive(Debug)]
pub(super) struct Peers {
    count: usize,
    known: BTreeMap<PeerId, Peer>,
    liars: BTreeSet<SocketAddr>,
    last: u64,
    /// How many of the known have each chunk.
    holders: Vec<u32>,
}

impl Peers {
    pub(super) fn new(count: usize) -> Self {
        Self { count, known: BTreeMap::new(), liars: BTreeSet::new(), last: 0, holders: vec![0; count] }
    }

    pub(super) fn liars(&self) -> Vec<SocketAddr> {
        self.liars.iter().take(8).copied().collect()
    }

    pub(super) fn place(&self, id: PeerId) -> Option<Where> {
        self.known.get(&id).map(|p| p.place.clone())
    }

    pub(super) fn get(&self, id: PeerId) -> Option<&Peer> {
        self.known.get(&id)
    }

    /// Changes an entry that may be gone.
    pub(super) fn at(&mut self, id: PeerId, change: impl FnOnce(&mut Peer)) {
        let Some(mut peer) = self.known.remove(&id) else { return };
        self.count_out(&peer);
        change(&mut peer);
        self.count_in(&peer);
        self.known.insert(id, peer);
    }

    fn count_in(&mut self, peer: &Peer) {
        peer.have.iter().for_each(|chunk| self.holders[chunk] += 1);
    }

    fn count_out(&mut self, peer: &Peer) {
        peer.have.iter().for_each(|chunk| self.holders[chunk] -= 1);
    }

    /// Takes in what a neighbour has. A full table makes room by losing who has nothing for us.
    pub(super) fn learn(&mut self, place: &Where, have: Bitmap, ours: &Bitmap) {
        if let Where::Machine(address) = place
            && self.liars.iter().any(|liar| liar.ip() == address.ip())
        {
            return;
        }
        if let Some(id) = self.find(place) {
            return self.at(id, |p| {
                if p.place == *place {
                    p.have = p.have.with(&have); // the master's news of it may be older than its own
                } else {
                    p.place = place.clone(); // another port: it has started anew
                    p.failures = 0;
                    p.have = have;
                }
            });
        }
        if self.known.len() >= MOST {
            let useless = |p: &Peer| p.active == 0 && !p.questioned && !p.have.has_more_than(ours);
            let worst = self
                .known
                .iter()
                .filter(|(_, p)| useless(p) || (p.failures > 2 && p.active == 0))
                .max_by_key(|(_, p)| p.failures)
                .map(|(id, _)| *id);
            let Some(worst) = worst.filter(|_| have.has_more_than(ours)) else { return };
            self.remove(worst);
        }
        self.last += 1;
        let place = place.clone();
        let peer = Peer { place, have, active: 0, questioned: false, after: 0, failures: 0 };
        self.count_in(&peer);
        self.known.insert(PeerId(self.last), peer);
    }

    /// The entry of the same machine or source.
    fn find(&self, place: &Where) -> Option<PeerId> {
        let same = |p: &Peer| match (&p.place, place) {
            (Where::Machine(a), Where::Machine(b)) => a.ip() == b.ip(),
            (a, b) => a == b,
        };
        self.known.iter().find(|(_, p)| same(p)).map(|(id, _)| *id)
    }

    fn remove(&mut self, id: PeerId) {
        if let Some(peer) = self.known.remove(&id) {
            self.count_out(&peer);
        }
    }

    /// It is never asked again, whatever its port.
    pub(super) fn ban(&mut self, id: PeerId) {
        match self.place(id) {
            Some(Where::Machine(address)) if self.liars.len() < MOST_LIARS => {
                self.liars.insert(address);
                self.remove(id);
            }
            Some(Where::Machine(_)) => self.remove(id),
            // A source has another release, or a broken disk. It is named again and again: it stays known as useless.
            Some(Where::Source(_)) => {
                let nothing = Bitmap::new(self.count);
                self.at(id, |p| {
                    p.have = nothing;
                    p.after = u64::MAX;
                });
            }
            None => {}
        }
    }

    /// The sources are these now, and no others.
    pub(super) fn set_sources(&mut self, urls: &[String]) {
        let wanted: BTreeSet<&String> = urls.iter().filter(|u| is_source(u)).take(MOST_SOURCES).collect();
        let gone = |p: &Peer| matches!(&p.place, Where::Source(url) if !wanted.contains(url) && p.active == 0 && p.after != u64::MAX);
        let gone: Vec<PeerId> = self.known.iter().filter(|(_, p)| gone(p)).map(|(id, _)| *id).collect();
        gone.into_iter().for_each(|id| self.remove(id));
        let ours = Bitmap::new(self.count);
        for url in wanted {
            let place = Where::Source(url.clone());
            if self.find(&place).is_none() {
                self.learn(&place, Bitmap::full(self.count), &ours);
            }
        }
    }

    /// A neighbour that is free, and the rarest chunk that it has and `covered` does not.
    pub(super) fn choose(
        &self,
        now: u64,
        covered: &Bitmap,
        per_peer: usize,
        random: &mut Random,
    ) -> Option<(PeerId, usize)> {
        let free = |p: &&Peer| now >= p.after && p.active < per_peer && p.have.has_more_than(covered);
        let able: Vec<(&PeerId, &Peer)> = self.known.iter().filter(|(_, p)| free(p)).collect();
        let least = able.iter().map(|(_, p)| p.active).min()?;
        let idle: Vec<_> = able.into_iter().filter(|(_, p)| p.active == least).collect();
        let (id, peer) = idle.get(random.below(idle.len()))?;
        let news: Vec<usize> = peer.have.without(covered).iter().collect();
        let rarest = news.iter().map(|chunk| self.holders[*chunk]).min()?;
        let news: Vec<usize> = news.into_iter().filter(|chunk| self.holders[*chunk] == rarest).collect();
        Some((**id, *news.get(random.below(news.len()))?))
    }

    /// Whether somebody who is not being left alone has something that `covered` does not.
    pub(super) fn anyone_has_more(&self, covered: &Bitmap) -> bool {
        self.known.values().any(|p| p.failures == 0 && p.have.has_more_than(covered))
    }

    /// Somebody who may have news.
    pub(super) fn to_question(&self, now: u64, random: &mut Random) -> Option<PeerId> {
        let may = |p: &Peer| {
            matches!(p.place, Where::Machine(_)) && now >= p.after && !p.questioned && !p.have.is_full()
        };
        let able: Vec<PeerId> = self.known.iter().filter(|(_, p)| may(p)).map(|(id, _)| *id).collect();
        able.get(random.below(able.len())).copied()
    }

    /// Whether the machine at `ip` is known as a liar.
    #[cfg(test)]
    pub(super) fn is_liar(&self, ip: std::net::IpAddr) -> bool {
        self.liars.iter().any(|liar| liar.ip() == ip)
    }

    #[cfg(test)]
    pub(super) fn len(&self) -> usize {
        self.known.len()
    }
}

/// `http://ADDRESS:PORT` and nothing behind it: the master's list comes over an open network.
fn is_source(url: &str) -> bool {
    url.strip_prefix("http://").is_some_and(|rest| rest.parse::<SocketAddr>().is_ok())
}
