//! Transfers over links, which share their capacity among what goes over them.

use std::cmp::{Ordering, Reverse};
use std::collections::{BTreeSet, BinaryHeap};

/// Bytes a second that each transfer of a link would get; ordered.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Level(f64);

impl Eq for Level {}

impl PartialOrd for Level {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Level {
    fn cmp(&self, other: &Self) -> Ordering {
        self.0.total_cmp(&other.0)
    }
}

/// A transfer.
#[derive(Debug, Clone, Copy)]
pub(super) struct Flow {
    /// Link that it comes from.
    pub(super) from: usize,
    /// Link that it goes to.
    pub(super) to: usize,
    /// Whose job it is.
    pub(super) machine: usize,
    /// Which.
    pub(super) job: u64,
    /// What is sent.
    pub(super) chunk: usize,
}

#[derive(Debug)]
struct Moving {
    flow: Flow,
    left: f64,
    speed: f64,
    since: u64,
    version: u64,
}

#[derive(Debug)]
struct Link {
    up: f64,
    down: f64,
    sends: BTreeSet<usize>,
    takes: BTreeSet<usize>,
}

#[derive(Debug)]
pub(super) struct Links {
    links: Vec<Link>,
    flows: Vec<Option<Moving>>,
    free: Vec<usize>,
    version: u64,
}

impl Links {
    pub(super) fn new() -> Self {
        Self { links: Vec::new(), flows: Vec::new(), free: Vec::new(), version: 0 }
    }

    /// Adds a link of so many bytes a second.
    pub(super) fn add(&mut self, up: f64, down: f64) {
        self.links.push(Link { up, down, sends: BTreeSet::new(), takes: BTreeSet::new() });
    }

    pub(super) fn start(&mut self, flow: Flow, bytes: u64, now: u64) -> usize {
        let moving = Moving { flow, left: bytes as f64, speed: 0.0, since: now, version: 0 };
        let id = self.free.pop().unwrap_or(self.flows.len());
        if id == self.flows.len() {
            self.flows.push(None);
        }
        self.flows[id] = Some(moving);
        self.links[flow.from].sends.insert(id);
        self.links[flow.to].takes.insert(id);
        id
    }

    /// Shares all links among all transfers, max-min fair by progressive filling (Bertsekas, Gallager: Data Networks,
    /// section 6.5.2); returns when those whose speed changed will end.
    pub(super) fn share(&mut self, now: u64) -> Vec<(usize, u64, u64)> {
        let mut speeds = vec![f64::NAN; self.flows.len()];
        // What is left of each link, up and down, among how many.
        let mut left: Vec<(f64, usize)> = self
            .links
            .iter()
            .flat_map(|link| [(link.up, link.sends.len()), (link.down, link.takes.len())])
            .collect();
        let level = |(room, among): (f64, usize)| Level(room.max(0.0) / among.max(1) as f64);
        let used = |end: &usize| left[*end].1 > 0;
        let mut heap: BinaryHeap<_> =
            (0..left.len()).filter(used).map(|end| Reverse((level(left[end]), end, left[end].1))).collect();
        while let Some(Reverse((Level(speed), end, among))) = heap.pop() {
            if left[end].1 != among {
                continue; // said anew since
            }
            let link = &self.links[end / 2];
            for id in if end % 2 == 0 { &link.sends } else { &link.takes } {
                if !speeds[*id].is_nan() {
                    continue;
                }
                speeds[*id] = speed;
                let Some(moving) = &self.flows[*id] else { continue };
                for end in [2 * moving.flow.from, 2 * moving.flow.to + 1] {
                    left[end].0 -= speed;
                    left[end].1 -= 1;
                    if left[end].1 > 0 {
                        heap.push(Reverse((level(left[end]), end, left[end].1)));
                    }
                }
            }
        }
        let mut ends = Vec::new();
        for (id, moving) in self.flows.iter_mut().enumerate() {
            let Some(moving) = moving else { continue };
            moving.left -= moving.speed * (now - moving.since) as f64 / 1e6;
            moving.since = now;
            if (moving.speed - speeds[id]).abs() <= 1e-6 * moving.speed {
                continue;
            }
            moving.speed = speeds[id];
            self.version += 1;
            moving.version = self.version;
            // Never negative, and far below 2^64.
            #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)]
            let micros = (moving.left.max(0.0) / moving.speed * 1e6).ceil() as u64;
            ends.push((id, moving.version, now.saturating_add(micros)));
        }
        ends
    }

    /// The transfer has ended, unless its speed was changed after this end was said.
    pub(super) fn end(&mut self, id: usize, version: u64) -> Option<Flow> {
        let current = self.flows.get(id)?.as_ref().is_some_and(|m| m.version == version);
        if current { self.cancel(id) } else { None }
    }

    /// Takes the transfer away.
    pub(super) fn cancel(&mut self, id: usize) -> Option<Flow> {
        let moving = self.flows.get_mut(id)?.take()?;
        self.links[moving.flow.from].sends.remove(&id);
        self.links[moving.flow.to].takes.remove(&id);
        self.free.push(id);
        Some(moving.flow)
    }

    /// The transfers of a link, both ways.
    pub(super) fn of(&self, link: usize) -> Vec<usize> {
        self.links[link].sends.iter().chain(&self.links[link].takes).copied().collect()
    }
}
