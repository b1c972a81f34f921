//! One node's part: packets in, packets out, who is there.
//!
//! | module | job |
//! | --- | --- |
//! | `view` | what a node is told, and what it tells |
//! | `packet` | what goes around `foca`'s messages |
//! | `effects` | what `foca` wants done |
//! | `care` | what is done from time to time |
//! | `pace` | how often, and how much |

mod care;
mod effects;
mod pace;
mod packet;
mod view;

use std::collections::{HashMap, HashSet, VecDeque};
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use foca::{Foca, NoCustomBroadcast, State, Timer};
use rand::SeedableRng;
use rand::rngs::SmallRng;

use crate::codec::PeerCodec;
use crate::peer::{MAX_GENERATION, NodeId, Peer};
use crate::seal::{MAX_SENDERS, Seal, SealError};
use crate::spread::{News, Spread};
use crate::status::Status;

use care::{SWEEP, SWEEP_QUIET};
use effects::{Effects, Note};
use pace::{config, sends};
use packet::unwrap;

pub use view::{Counters, Event, Identity, Liveness, PeerView};

/// Lateness that means that this program, or its machine, stood still: what others did meanwhile is not known yet.
const STALL: Duration = Duration::from_secs(1);

type Swim = Foca<Peer, PeerCodec, SmallRng, NoCustomBroadcast>;

/// One node's part.
pub struct Gossip {
    foca: Swim,
    full: Arc<AtomicBool>,
    seal: Seal,
    start: u64,
    started: Duration,
    timers: Timers,
    spread: Spread,
    status: Status,
    seeds: Vec<(NodeId, SocketAddr)>,
    removed: HashSet<NodeId>,
    table: HashMap<NodeId, Entry>,
    sends: u8,
    rng: SmallRng,
    sweep_at: Duration,
    /// Somebody was suspect when it was looked last.
    restless: bool,
    knock_at: Duration,
    out: VecDeque<(SocketAddr, Vec<u8>)>,
    events: VecDeque<Event>,
    counters: Counters,
}

type Timers = crate::timers::Timers<Timer<Peer>>;

struct Entry {
    peer: Peer,
    liveness: Liveness,
    since: Duration,
}

impl Gossip {
    /// A node that holds the cluster's `key`, and starts at `now`. `seed` decides whom it asks when.
    #[must_use]
    pub fn new(identity: &Identity, key: &[u8], seed: u64, now: Duration) -> Self {
        let start = identity.generation.min(MAX_GENERATION);
        let own = Peer { id: identity.id, generation: start, address: identity.address };
        let codec = PeerCodec::default();
        let full = Arc::clone(&codec.full);
        let sends = sends(1);
        Self {
            foca: Foca::new(own, config(sends), SmallRng::seed_from_u64(seed), codec),
            full,
            seal: Seal::new(&identity.cluster, key, identity.id, start),
            start,
            started: now,
            timers: Timers::default(),
            spread: Spread::default(),
            status: Status::default(),
            seeds: Vec::new(),
            removed: HashSet::new(),
            table: HashMap::new(),
            sends,
            rng: SmallRng::seed_from_u64(!seed),
            sweep_at: now + SWEEP,
            restless: false,
            knock_at: now,
            out: VecDeque::new(),
            events: VecDeque::new(),
            counters: Counters::default(),
        }
    }

    /// The cluster's key was changed, or is being changed: packets are sealed with `key`, and opened with `others` too.
    pub fn set_keys(&mut self, cluster: &[u8; 16], key: &[u8], others: &[&[u8]]) {
        self.seal.set_keys(cluster, key, others);
    }

    /// Says something else of this node from now on.
    pub fn set_status(&mut self, status: Status) {
        self.status = status;
    }

    /// Which nodes there should be, and where: at these it knocks when they are not there.
    pub fn set_seeds(&mut self, mut seeds: Vec<(NodeId, SocketAddr)>) {
        let own = self.foca.identity().id;
        seeds.retain(|(id, _)| *id != own);
        seeds.truncate(MAX_SENDERS);
        self.seeds = seeds;
    }

    /// Which nodes are members no longer: they are not listened to, whatever keys they have.
    pub fn set_removed(&mut self, removed: impl IntoIterator<Item = NodeId>) {
        self.removed = removed.into_iter().collect();
    }

    /// This node is reached somewhere else now.
    pub fn set_address(&mut self, address: SocketAddr, now: Duration) {
        let old = *self.foca.identity();
        if old.address != address && old.generation < MAX_GENERATION {
            let new = Peer { generation: old.generation + 1, address, ..old };
            self.work(now, |foca, effects| foca.change_identity(new, effects));
            self.knock_at = now;
        }
    }

    /// Takes a packet.
    pub fn receive(&mut self, packet: &[u8], now: Duration) {
        let opened = match self.seal.open(packet) {
            Ok(opened) => opened,
            Err(SealError::Stranger) => return self.counters.strangers += 1,
            Err(SealError::Replayed) => return self.counters.replayed += 1,
            Err(_) => return self.counters.malformed += 1,
        };
        if self.removed.contains(&opened.sender) {
            return self.counters.removed += 1;
        }
        let Some((own, news, message)) = unwrap(&opened, self.foca.identity()) else {
            return self.counters.misunderstood += 1;
        };
        self.counters.received += 1;
        self.counters.received_bytes += packet.len() as u64;
        let own = News { id: opened.sender, stamp: (opened.generation, opened.count), status: own };
        for news in std::iter::once(own).chain(news) {
            if news.id != self.foca.identity().id && !self.removed.contains(&news.id) {
                self.spread.learn(news, now, self.sends);
            }
        }
        self.full.store(self.table.len() >= MAX_SENDERS, Ordering::Relaxed);
        self.work(now, |foca, effects| foca.handle_data(&message, effects));
    }

    /// Does what is due.
    pub fn tick(&mut self, now: Duration) {
        if let Some(late) = self.timers.next().and_then(|due| now.checked_sub(due))
            && late > STALL
        {
            self.timers.put_off(late);
        }
        while let Some(timer) = self.timers.pop(now) {
            self.work(now, |foca, effects| foca.handle_timer(timer, effects));
        }
        let busy = self.foca.updates_backlog() > 0 || self.restless;
        if now >= self.sweep_at && (busy || now >= self.sweep_at + SWEEP_QUIET) {
            self.sweep_at = now + SWEEP;
            self.sweep(now);
        }
        if now >= self.knock_at {
            self.knock(now);
        }
    }

    /// When [`Self::tick`] is to be called next, or before.
    #[must_use]
    pub fn next_due(&self) -> Duration {
        let busy = self.foca.updates_backlog() > 0 || self.restless;
        let sweep_at = if busy { self.sweep_at } else { self.sweep_at + SWEEP_QUIET };
        let next = sweep_at.min(self.knock_at);
        self.timers.next().map_or(next, |timer| next.min(timer))
    }

    /// A packet that is to be sent.
    pub fn poll_packet(&mut self) -> Option<(SocketAddr, Vec<u8>)> {
        self.out.pop_front()
    }

    /// What happened.
    pub fn poll_event(&mut self) -> Option<Event> {
        self.events.pop_front()
    }

    /// All other nodes that were ever heard of, but for those that were dead for an hour.
    #[must_use]
    pub fn peers(&self) -> Vec<PeerView> {
        let suspects: HashSet<NodeId> = self
            .foca
            .iter_membership_state()
            .filter(|member| member.state() == State::Suspect)
            .map(|member| member.id().id)
            .collect();
        let view = |(id, entry): (&NodeId, &Entry)| PeerView {
            id: *id,
            address: entry.peer.address,
            generation: entry.peer.generation,
            liveness: match entry.liveness {
                Liveness::Alive if suspects.contains(id) => Liveness::Suspect,
                other => other,
            },
            since: entry.since,
            status: self.spread.get(*id).map(|said| (said.status.clone(), said.at)),
        };
        self.table.iter().filter(|(id, _)| !self.removed.contains(id)).map(view).collect()
    }

    /// How many others are there, suspected ones among them.
    #[must_use]
    pub fn alive(&self) -> usize {
        self.foca.num_members()
    }

    /// What was counted.
    #[must_use]
    pub fn counters(&self) -> Counters {
        self.counters
    }

    fn work(&mut self, now: Duration, work: impl FnOnce(&mut Swim, &mut Effects) -> Result<(), foca::Error>) {
        let mut effects = Effects::default();
        if work(&mut self.foca, &mut effects).is_err() {
            self.counters.misunderstood += 1;
        }
        for (after, timer) in effects.timers {
            self.timers.add(now + after, timer);
        }
        for note in effects.notes {
            self.note(&note, now);
        }
        for (to, message) in effects.send {
            self.send(&to, &message);
        }
    }

    fn note(&mut self, note: &Note, now: Duration) {
        match note {
            Note::Up(peer) => {
                self.set(peer, Liveness::Alive, now);
                self.events.push_back(Event::Up(peer.id));
            }
            Note::Down(peer) => {
                self.set(peer, Liveness::Dead, now);
                self.events.push_back(Event::Down(peer.id));
            }
            Note::Renamed(peer) => {
                if let Some(entry) = self.table.get_mut(&peer.id) {
                    entry.peer = *peer;
                }
            }
            Note::Buried => self.counters.buried += 1,
        }
        while self.events.len() > MAX_SENDERS {
            self.events.pop_front();
        }
    }

    fn set(&mut self, peer: &Peer, liveness: Liveness, now: Duration) {
        let entry = self.table.entry(peer.id).or_insert(Entry { peer: *peer, liveness, since: now });
        entry.peer = *peer;
        if entry.liveness != liveness {
            (entry.liveness, entry.since) = (liveness, now);
        }
    }
}

#[cfg(test)]
mod tests;
