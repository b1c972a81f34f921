//! One node's part: packets in, packets out, who is there.

use std::collections::{HashMap, HashSet, VecDeque};
use std::net::SocketAddr;
use std::num::{NonZeroU8, NonZeroUsize};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use bytes::{Buf, BufMut};
use foca::{Config, Foca, NoCustomBroadcast, Notification, PeriodicParams, Runtime, State, Timer};
use rand::rngs::SmallRng;
use rand::{RngExt, SeedableRng};

use crate::codec::{PeerCodec, ROUTE};
use crate::peer::{MAX_GENERATION, NodeId, Peer};
use crate::seal::{MAX_SENDERS, Opened, Seal, SealError};
use crate::spread::{News, Spread, parse_news};
use crate::status::Status;

/// How often each node asks one other whether it is there.
const PERIOD: Duration = Duration::from_millis(1100);
/// How long it may take to answer before others are asked to ask it.
const ANSWER: Duration = Duration::from_millis(350);
/// How long one that is suspected may take to object.
const SUSPICION: Duration = Duration::from_millis(2400);
/// Others that are asked to ask.
const HELPERS: NonZeroUsize = NonZeroUsize::new(3).unwrap();
/// How often changes are passed on, while there are any.
const GOSSIP: Duration = Duration::from_millis(200);
/// How long the dead are remembered here.
const REMEMBER: Duration = Duration::from_secs(3600);
/// Largest message of `foca`'s; with what goes around it, it stays below [`crate::MAX_PACKET`].
const MESSAGE: NonZeroUsize = NonZeroUsize::new(960).unwrap();
/// How often states are compared, to know since when they hold: while there is news, and else.
const SWEEP: Duration = Duration::from_millis(500);
const SWEEP_QUIET: Duration = Duration::from_secs(10);
/// How often a node that is alone, or new, knocks; and how often at those that are missing.
const KNOCK_ALONE: Duration = Duration::from_secs(1);
const KNOCK: Duration = Duration::from_secs(5);
/// For how long a node is new.
const NEW: Duration = Duration::from_secs(30);
/// At how many one that is alone knocks at once.
const KNOCKS_ALONE: usize = 3;
/// Lateness that means that this program, or its machine, stood still: what others did meanwhile is not known yet.
const STALL: Duration = Duration::from_secs(1);

/// Who a node is when it starts.
#[derive(Debug, Clone, Copy)]
pub struct Identity {
    /// The cluster's id.
    pub cluster: [u8; 16],
    /// The node's.
    pub id: NodeId,
    /// Greater than at every start before, by 2^20 at least; below 2^48. Milliseconds since 1970 serve.
    pub generation: u64,
    /// Where the others reach it.
    pub address: SocketAddr,
}

/// Whether a node is there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Liveness {
    /// It answers.
    Alive,
    /// It did not answer somebody, and has not objected yet.
    Suspect,
    /// It did not object in time.
    Dead,
}

/// Another node, as it is seen from here.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PeerView {
    /// Who.
    pub id: NodeId,
    /// Where it said that it is reached.
    pub address: SocketAddr,
    /// Which of its lives.
    pub generation: u64,
    /// Whether it is there.
    pub liveness: Liveness,
    /// Since when, on the caller's clock.
    pub since: Duration,
    /// What it said of itself last, and when that got here.
    pub status: Option<(Status, Duration)>,
}

/// Something happened to another node.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Event {
    /// It is there.
    Up(NodeId),
    /// It is not.
    Down(NodeId),
}

/// What was counted since the start.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Counters {
    /// Packets sent, and their bytes without the headers of UDP and IP.
    pub sent: u64,
    /// Bytes of them.
    pub sent_bytes: u64,
    /// Packets taken.
    pub received: u64,
    /// Bytes of them.
    pub received_bytes: u64,
    /// Refused: no packets of ours.
    pub malformed: u64,
    /// Refused: not sealed by a member of this cluster for this node.
    pub strangers: u64,
    /// Refused: sent before.
    pub replayed: u64,
    /// Refused: from a member that was removed.
    pub removed: u64,
    /// Refused: sealed well, and yet not to be understood.
    pub misunderstood: u64,
    /// How often we were taken for dead and came back.
    pub buried: u64,
}

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

/// What `foca` wants done.
#[derive(Default)]
struct Effects {
    send: Vec<(Peer, Vec<u8>)>,
    timers: Vec<(Duration, Timer<Peer>)>,
    notes: Vec<Note>,
}

enum Note {
    Up(Peer),
    Down(Peer),
    Renamed(Peer),
    Buried,
}

impl Runtime<Peer> for Effects {
    fn notify(&mut self, notification: Notification<'_, Peer>) {
        self.notes.extend(match notification {
            Notification::MemberUp(peer) => Some(Note::Up(*peer)),
            Notification::MemberDown(peer) => Some(Note::Down(*peer)),
            Notification::Rename(_, peer) => Some(Note::Renamed(*peer)),
            Notification::Rejoin(_) => Some(Note::Buried),
            _ => None,
        });
    }

    fn send_to(&mut self, to: Peer, data: &[u8]) {
        self.send.push((to, data.to_vec()));
    }

    fn submit_after(&mut self, event: Timer<Peer>, after: Duration) {
        self.timers.push((after, event));
    }
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

    fn send(&mut self, to: &Peer, message: &[u8]) {
        let own = self.foca.identity();
        let lives = (own.generation - self.start).to_be_bytes();
        let mut body = Vec::with_capacity(message.len() + 64);
        body.put_slice(&lives[5..]);
        body.put_slice(&to.generation.to_be_bytes()[6..]);
        self.status.encode(&mut body);
        self.spread.encode(to.id, &mut body);
        body.put_slice(message.get(ROUTE..).unwrap_or_default());
        // What does not fit or cannot be sealed is lost, as packets may be.
        if let Ok(packet) = self.seal.seal(to.id, &body) {
            self.counters.sent += 1;
            self.counters.sent_bytes += packet.len() as u64;
            self.out.push_back((to.address, packet));
        }
    }

    /// Compares states with what they were, and adapts to the number of members.
    fn sweep(&mut self, now: Duration) {
        let mut known = HashSet::with_capacity(self.table.len());
        self.restless = false;
        for member in self.foca.iter_membership_state() {
            known.insert(member.id().id);
            let liveness = match member.state() {
                State::Alive => Liveness::Alive,
                State::Suspect => Liveness::Suspect,
                State::Down => Liveness::Dead,
            };
            self.restless |= liveness == Liveness::Suspect;
            // Dead before we ever heard of it: nothing that it could be missed for.
            let Some(entry) = self.table.get_mut(&member.id().id) else { continue };
            entry.peer = *member.id();
            if entry.liveness != liveness {
                (entry.liveness, entry.since) = (liveness, now);
            }
        }
        let spread = &mut self.spread;
        self.table.retain(|id, _| {
            known.contains(id) || {
                spread.forget(*id);
                false
            }
        });
        let sends = sends(self.foca.num_members() + 1);
        if sends != self.sends && self.foca.set_config(config(sends)).is_ok() {
            self.sends = sends;
        }
    }

    /// Knocks at nodes that should be there and are not.
    fn knock(&mut self, now: Duration) {
        let alone = self.foca.num_members() == 0;
        let wait = if alone || now < self.started + NEW { KNOCK_ALONE } else { KNOCK };
        // Not all at the same moment, after a power cut.
        self.knock_at = now + wait.mul_f64(self.rng.random_range(0.75..1.25));
        if self.foca.num_members() >= self.seeds.len() && self.table.len() == self.foca.num_members() {
            return; // all are there
        }
        let missing = |id: &NodeId| {
            !self.removed.contains(id)
                && self.table.get(id).is_none_or(|entry| entry.liveness == Liveness::Dead)
        };
        let seeds = self.seeds.iter().copied();
        let last = self.table.values().map(|entry| (entry.peer.id, entry.peer.address));
        let mut doors: Vec<_> = seeds.chain(last).filter(|(id, _)| missing(id)).collect();
        doors.sort_unstable();
        doors.dedup();
        for _ in 0..if alone { KNOCKS_ALONE } else { 1 }.min(doors.len()) {
            let (id, address) = doors.swap_remove(self.rng.random_range(0..doors.len()));
            let peer = Peer { id, generation: 0, address };
            self.work(now, |foca, effects| foca.announce(peer, effects));
        }
    }
}

/// Status, news and `foca`'s message out of what was sealed.
fn unwrap(opened: &Opened, own: &Peer) -> Option<(Status, Vec<News>, Vec<u8>)> {
    let mut body = opened.body.as_slice();
    let generation = opened.generation + body.try_get_uint(3).ok()?;
    let to = body.try_get_u16().ok()?.to_be_bytes();
    let to = if own.generation.to_be_bytes()[6..] == to { own.generation } else { 0 };
    let status = Status::parse(&mut body).ok()?;
    let news = parse_news(&mut body).ok()?;
    let mut message = Vec::with_capacity(ROUTE + body.len());
    message.put_slice(&opened.sender.0);
    message.put_uint(generation.min(MAX_GENERATION), 6);
    message.put_slice(&own.id.0);
    message.put_uint(to, 6);
    message.put_slice(body);
    Some((status, news, message))
}

/// How often a change is passed on by each node of a cluster of `nodes`: enough to reach all of them.
fn sends(nodes: usize) -> u8 {
    let digits = u8::try_from(nodes.max(1).ilog2()).unwrap_or(u8::MAX); // at most 63
    4 + digits
}

fn config(sends: u8) -> Config {
    Config {
        probe_period: PERIOD,
        probe_rtt: ANSWER,
        num_indirect_probes: HELPERS,
        max_transmissions: NonZeroU8::new(sends).unwrap_or(NonZeroU8::MIN),
        suspect_to_down_after: SUSPICION,
        remove_down_after: Some(REMEMBER),
        max_packet_size: MESSAGE,
        notify_down_members: true,
        periodic_announce: None,
        periodic_announce_to_down_members: None,
        periodic_gossip: Some(PeriodicParams { frequency: GOSSIP, num_members: HELPERS }),
    }
}

#[cfg(test)]
mod tests;
