//! A machine's side: which chunk it asks for next, and whom.
//!
//! One chunk at a time comes from the master, which chooses it; the others come from neighbours, the rarest first. Who
//! is busy is asked again soon; who is slow, silent or wrong about what it has is left alone for a while that doubles;
//! who sends something else than it was asked for is not asked again. When all that is lacking is on its way, what is
//! slow is asked for a second time elsewhere. Pure: time is an argument, in milliseconds.

mod job;
mod outcomes;
mod peers;

use std::collections::BTreeMap;
use std::net::SocketAddr;

use crate::bitmap::Bitmap;
use crate::random::Random;
use crate::wire::{Neighbours, Report};
use peers::Peers;

pub use job::{Job, Limits, Next, Outcome, Task};
pub use peers::{PeerId, Where};

#[derive(Debug)]
struct Running {
    task: Kind,
    peer: Option<PeerId>,
    chunk: Option<usize>,
    since: u64,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Announce,
    Master,
    Chunk,
    Question,
}

/// See the module.
#[derive(Debug)]
pub struct Picker {
    limits: Limits,
    random: Random,
    image: String,
    port: u16,
    have: Bitmap,
    running: BTreeMap<u64, Running>,
    last_id: u64,
    peers: Peers,
    /// Neither master nor announcing before.
    master_after: u64,
    announce_after: u64,
    /// Chunks that the master sends us at a time: learnt from its refusals.
    master_share: usize,
    master_failures: u32,
    /// Milliseconds that a chunk takes to come.
    pace: u64,
    /// Since when no neighbour has anything for us.
    starved: Option<u64>,
    progress: u64,
    /// Where the chunks came from.
    from: Tally,
}

/// How many chunks came from whom.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Tally {
    /// From the master.
    pub master: usize,
    /// From neighbours.
    pub neighbours: usize,
    /// Came twice, and were of no use.
    pub twice: usize,
}

/// Starved for so long, a machine says that it is stuck.
const STUCK: u64 = 500;
/// Without any chunk for so long, too.
const NO_PROGRESS: u64 = 3000;
/// Chunks' pace before one has come.
const FIRST_PACE: u64 = 1000;

impl Picker {
    /// Of an image of digest `image` (hex), of which `have` is there already, served on `port`.
    #[must_use]
    pub fn new(image: &str, have: Bitmap, port: u16, limits: Limits, seed: u64) -> Self {
        let count = have.len();
        Self {
            limits,
            random: Random::new(seed),
            image: image.to_owned(),
            port,
            have,
            running: BTreeMap::new(),
            last_id: 0,
            peers: Peers::new(count),
            master_after: 0,
            announce_after: 0,
            master_share: limits.chunks,
            master_failures: 0,
            pace: FIRST_PACE,
            starved: None,
            progress: 0,
            from: Tally::default(),
        }
    }

    /// The master has answered before the first job.
    pub fn primed(&mut self, answer: Neighbours) {
        self.announced(0, Outcome::Neighbours(answer));
    }

    /// What is there.
    #[must_use]
    pub fn have(&self) -> &Bitmap {
        &self.have
    }

    /// Where it came from.
    #[must_use]
    pub fn tally(&self) -> Tally {
        self.from
    }

    /// When the last chunk came, or 0.
    #[must_use]
    pub fn progress(&self) -> u64 {
        self.progress
    }

    /// Neighbours that lied.
    #[must_use]
    pub fn liars(&self) -> Vec<SocketAddr> {
        self.peers.liars()
    }

    /// What the master is told.
    #[must_use]
    pub fn report(&self, now: u64) -> Report {
        let mut coming = Bitmap::new(self.have.len());
        let slow = self.slow();
        for run in self.running.values().filter(|r| now.saturating_sub(r.since) < slow) {
            run.chunk.into_iter().for_each(|chunk| coming.set(chunk));
        }
        Report {
            image: self.image.clone(),
            port: self.port,
            have: self.have.hex(),
            coming: if coming.is_empty() { String::new() } else { coming.hex() },
            stuck: self.is_stuck(now),
            liars: self.liars(),
        }
    }

    fn is_stuck(&self, now: u64) -> bool {
        self.starved.is_some_and(|since| now.saturating_sub(since) >= STUCK)
            || now.saturating_sub(self.progress) >= NO_PROGRESS.max(3 * self.pace)
            || (self.late(now).next().is_some() && self.have.with(&self.coming()).is_full())
    }

    /// A chunk that takes longer is asked for a second time elsewhere, when there is nothing else to ask for.
    fn slow(&self) -> u64 {
        (3 * self.pace).max(300)
    }

    /// What to do next. To be asked again after each [`Next::Do`].
    pub fn next(&mut self, now: u64) -> Next {
        if self.have.is_full() {
            return Next::Done;
        }
        if now >= self.announce_after && self.running(Kind::Announce) == 0 {
            return self.start(now, Task::Announce, None);
        }
        let coming = self.coming();
        let covered = self.have.with(&coming);
        let room = self.running(Kind::Master) + self.running(Kind::Chunk) < self.limits.chunks;
        if room && !covered.is_full() {
            let asked = self.running(Kind::Master);
            let may_ask = now >= self.master_after && asked < self.master_share;
            if may_ask && asked == 0 {
                return self.start(now, Task::Master, None);
            }
            if let Some((peer, chunk)) =
                self.peers.choose(now, &covered, self.limits.per_peer, &mut self.random)
            {
                self.starved = None;
                return self.start_chunk(now, peer, chunk);
            }
            if self.peers.anyone_has_more(&covered) {
                self.starved = None;
            } else if self.starved.is_none() {
                self.starved = Some(now);
            }
            if may_ask {
                return self.start(now, Task::Master, None);
            }
        }
        if room
            && covered.is_full()
            && let Some((peer, chunk)) = self.second_time(now)
        {
            return self.start_chunk(now, peer, chunk);
        }
        if room && covered.is_full() && now >= self.master_after && self.late(now).next().is_some() {
            return self.start(now, Task::Master, None);
        }
        // Who has enough to do hears what others have with each chunk.
        if room
            && self.running(Kind::Question) < self.limits.questions
            && let Some(peer) = self.peers.to_question(now, &mut self.random)
        {
            return self.start_question(now, peer);
        }
        let wake = [self.announce_after, self.master_after].into_iter().filter(|at| *at > now).min();
        Next::Wait(wake.map_or(50, |at| at - now).min(50))
    }

    fn running(&self, kind: Kind) -> usize {
        self.running.values().filter(|r| r.task == kind).count()
    }

    fn coming(&self) -> Bitmap {
        let mut coming = Bitmap::new(self.have.len());
        self.running.values().filter_map(|r| r.chunk).for_each(|chunk| coming.set(chunk));
        coming
    }

    /// Chunks on their way for longer than they should be, once.
    fn late(&self, now: u64) -> impl Iterator<Item = usize> + '_ {
        let slow = self.slow();
        let once = |chunk: usize| self.running.values().filter(|r| r.chunk == Some(chunk)).count() == 1;
        let late = move |r: &&Running| now.saturating_sub(r.since) >= slow;
        self.running.values().filter(late).filter_map(|r| r.chunk).filter(move |c| once(*c))
    }

    fn second_time(&mut self, now: u64) -> Option<(PeerId, usize)> {
        let mut others = Bitmap::full(self.have.len());
        self.late(now).filter(|c| !self.have.has(*c)).for_each(|chunk| others.clear(chunk));
        self.peers.choose(now, &others, self.limits.per_peer, &mut self.random)
    }

    fn start_chunk(&mut self, now: u64, peer: PeerId, chunk: usize) -> Next {
        let Some(place) = self.peers.place(peer) else { return Next::Wait(0) };
        let next = self.start(now, Task::Chunk(place, chunk), Some(peer));
        if let Some(run) = self.running.get_mut(&self.last_id) {
            run.chunk = Some(chunk);
        }
        self.peers.at(peer, |p| p.active += 1);
        next
    }

    fn start_question(&mut self, now: u64, peer: PeerId) -> Next {
        let Some(place) = self.peers.place(peer) else { return Next::Wait(0) };
        let known = self.peers.get(peer).map_or(0, |p| p.have.count());
        self.peers.at(peer, |p| p.questioned = true);
        self.start(now, Task::Question(place, known), Some(peer))
    }

    fn start(&mut self, now: u64, task: Task, peer: Option<PeerId>) -> Next {
        self.last_id += 1;
        let (kind, limit) = match &task {
            Task::Announce => (Kind::Announce, 3000),
            Task::Master => (Kind::Master, (12 * self.pace).max(8000)),
            Task::Chunk(..) => (Kind::Chunk, (8 * self.pace).max(2000)),
            Task::Question(..) => (Kind::Question, 2000),
        };
        self.running.insert(self.last_id, Running { task: kind, peer, chunk: None, since: now });
        Next::Do(Job { id: self.last_id, task, limit })
    }

    /// The master is sending chunk `chunk` for job `id`.
    pub fn master_sends(&mut self, id: u64, chunk: usize) {
        if let Some(run) = self.running.get_mut(&id).filter(|_| chunk < self.have.len()) {
            run.chunk = Some(chunk);
        }
    }

    /// A neighbour at `place` is there, and has this.
    pub fn learn(&mut self, place: &Where, have: Bitmap) {
        if have.len() == self.have.len() {
            self.peers.learn(place, have, &self.have);
        }
    }
}

#[cfg(test)]
mod tests;
