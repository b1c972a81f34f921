//! The master's side: who is there, whom to name to whom, and which chunk leaves the master next.
//!
//! Each chunk leaves the master about once: a machine that asks gets one that nobody has and nobody is being sent
//! (super-seeding), and is sent to its neighbours when there is none. Only who gets nothing there is given what others
//! have already. What is being sent at a time is bounded, so that few chunks come soon and not many late.
//!
//! All of it is a guess from what machines say, and may be lost or lied about at the cost of speed alone. Pure: time is
//! an argument, in milliseconds of any clock that does not go back.

use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};

use crate::bitmap::Bitmap;
use crate::random::Random;
use crate::wire::{MOST_NEIGHBOURS, Neighbour, Neighbours, Told};

/// What the tracker's tables are bounded by.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// Most machines known at a time.
    pub machines: usize,
    /// Most chunks being sent at a time.
    pub sending: usize,
    /// Milliseconds of silence after which a machine is gone.
    pub silence: u64,
}

impl Default for Limits {
    fn default() -> Self {
        Self { machines: 4096, sending: 8, silence: 10_000 }
    }
}

/// The answer to a machine that asks for a chunk.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Grant {
    /// It is sent this one.
    Chunk(usize),
    /// Nothing for now; it may ask again after so many milliseconds.
    Later(u64),
    /// It has everything, or is being sent the rest.
    Nothing,
}

#[derive(Debug)]
struct Machine {
    port: u16,
    have: Bitmap,
    heard: u64,
    /// How often it was named to others.
    named: u64,
}

#[derive(Debug)]
struct Sending {
    to: IpAddr,
    chunk: usize,
    since: u64,
}

/// See the module.
#[derive(Debug)]
pub struct Tracker {
    count: usize,
    limits: Limits,
    random: Random,
    machines: BTreeMap<IpAddr, Machine>,
    /// How many machines that serve have each chunk.
    holders: Vec<u32>,
    /// When each chunk was sent last.
    sent: Vec<Option<u64>>,
    sending: Vec<Sending>,
    /// Milliseconds that a chunk takes to arrive, on average.
    pace: u64,
    sources: Vec<String>,
}

/// Machines that are named one and the same source at a time.
const PER_SOURCE: usize = 4;
/// How long a source is named to the same machines, milliseconds.
const TURN: u64 = 5000;

impl Tracker {
    /// Of an image of `count` chunks.
    #[must_use]
    pub fn new(count: usize, limits: Limits, seed: u64) -> Self {
        Self {
            count,
            limits,
            random: Random::new(seed),
            machines: BTreeMap::new(),
            holders: vec![0; count],
            sent: vec![None; count],
            sending: Vec::new(),
            pace: 500,
            sources: Vec::new(),
        }
    }

    /// HTTP servers that have the whole release.
    pub fn set_sources(&mut self, sources: Vec<String>) {
        self.sources = sources;
    }

    /// Machines known, and how many of them lack something.
    #[must_use]
    pub fn machines(&self) -> (usize, usize) {
        (self.machines.len(), self.machines.values().filter(|m| !m.have.is_full()).count())
    }

    /// Chunks being sent now, as far as is known.
    #[must_use]
    pub fn sending(&self) -> usize {
        self.sending.len()
    }

    /// Takes note of the machine at `from`, and names neighbours to it.
    pub fn announce(&mut self, now: u64, from: IpAddr, told: &Told) -> Neighbours {
        self.note(now, from, told);
        let lacking = self.machines().1;
        let machines = self.neighbours(from, told);
        // A thousand machines shall not keep the master busy with telling that nothing is new.
        let again = (lacking as u64 * 2).clamp(300, 3000);
        Neighbours { machines, sources: self.sources_for(now, from), again }
    }

    /// Decides which chunk the machine at `from` is sent, if any.
    pub fn grant(&mut self, now: u64, from: IpAddr, told: &Told) -> Grant {
        self.note(now, from, told);
        let mut covered = told.covered.clone();
        let mine: Vec<usize> = self.sending.iter().filter(|s| s.to == from).map(|s| s.chunk).collect();
        mine.iter().for_each(|chunk| covered.set(*chunk));
        let lacking = Bitmap::full(self.count).without(&covered);
        if lacking.is_empty() {
            return Grant::Nothing;
        }
        let waiting = self.machines().1.max(1);
        let share = (self.limits.sending / waiting).max(1);
        if mine.len() >= share || self.sending.len() >= self.limits.sending {
            return Grant::Later((waiting as u64 * 2).clamp(20, 2000));
        }
        match self.choose(now, &lacking, told.stuck) {
            Some(chunk) => {
                self.sent[chunk] = Some(now);
                self.sending.push(Sending { to: from, chunk, since: now });
                Grant::Chunk(chunk)
            }
            None => Grant::Later((waiting as u64 * 4).clamp(100, 2000)),
        }
    }

    /// What was granted could not be sent.
    pub fn failed(&mut self, to: IpAddr, chunk: usize) {
        self.sending.retain(|s| s.to != to || s.chunk != chunk);
        if let Some(sent) = self.sent.get_mut(chunk) {
            *sent = None;
        }
    }

    /// The chunk with the fewest copies. One that has copies is given only to who is stuck, and not while its last
    /// copy may still be on its way through the neighbours.
    fn choose(&mut self, now: u64, lacking: &Bitmap, stuck: bool) -> Option<usize> {
        let mut coming = vec![0_u32; self.count];
        self.sending.iter().for_each(|s| coming[s.chunk] += 1);
        let settled = (3 * self.pace).max(1000);
        let may = |chunk: &usize| {
            let copies = self.holders[*chunk] + coming[*chunk];
            let old = self.sent[*chunk].is_none_or(|at| now.saturating_sub(at) >= settled);
            copies == 0 || (stuck && old)
        };
        let allowed: Vec<usize> = lacking.iter().filter(may).collect();
        let least = allowed.iter().map(|c| self.holders[*c] + coming[*c]).min()?;
        let rarest: Vec<usize> =
            allowed.into_iter().filter(|c| self.holders[*c] + coming[*c] == least).collect();
        rarest.get(self.random.below(rarest.len())).copied()
    }

    fn note(&mut self, now: u64, from: IpAddr, told: &Told) {
        self.expire(now);
        for s in self.sending.iter().filter(|s| s.to == from && told.have.has(s.chunk)) {
            self.pace = (self.pace * 7 + now.saturating_sub(s.since)) / 8;
        }
        self.sending.retain(|s| s.to != from || !told.have.has(s.chunk));
        let known = self.machines.remove(&from);
        let named = known.as_ref().map_or(0, |m| m.named);
        if let Some(old) = known {
            self.uncount(&old);
        } else if self.machines.len() >= self.limits.machines {
            return; // it gets its answer, and is named to nobody
        }
        let machine = Machine { port: told.port, have: told.have.clone(), heard: now, named };
        if machine.port != 0 {
            machine.have.iter().for_each(|chunk| self.holders[chunk] += 1);
        }
        self.machines.insert(from, machine);
    }

    fn uncount(&mut self, machine: &Machine) {
        if machine.port != 0 {
            for chunk in machine.have.iter() {
                self.holders[chunk] = self.holders[chunk].saturating_sub(1);
            }
        }
    }

    fn expire(&mut self, now: u64) {
        let patience = (6 * self.pace).max(3000);
        let late = |s: &Sending| now.saturating_sub(s.since) >= patience;
        for s in self.sending.iter().filter(|s| late(s)) {
            self.sent[s.chunk] = None;
        }
        self.sending.retain(|s| !late(s));
        let silence = self.limits.silence;
        let gone = |m: &Machine| now.saturating_sub(m.heard) >= silence;
        let silent: Vec<IpAddr> = self.machines.iter().filter(|(_, m)| gone(m)).map(|(ip, _)| *ip).collect();
        for ip in silent {
            if let Some(machine) = self.machines.remove(&ip) {
                self.uncount(&machine);
            }
            self.sending.retain(|s| s.to != ip);
        }
    }

    /// Half of them have something for it and were named least; the others are any.
    fn neighbours(&mut self, to: IpAddr, told: &Told) -> Vec<Neighbour> {
        let others = self.machines.iter().filter(|(ip, m)| **ip != to && m.port != 0);
        let mut useful: Vec<(u64, IpAddr)> = others
            .clone()
            .filter(|(_, m)| m.have.has_more_than(&told.covered))
            .map(|(ip, m)| (m.named, *ip))
            .collect();
        let mut any: Vec<IpAddr> = others.map(|(ip, _)| *ip).collect();
        useful.sort_unstable();
        let mut chosen: Vec<IpAddr> =
            useful.into_iter().take(MOST_NEIGHBOURS / 2).map(|(_, ip)| ip).collect();
        any.retain(|ip| !chosen.contains(ip));
        while chosen.len() < MOST_NEIGHBOURS && !any.is_empty() {
            chosen.push(any.swap_remove(self.random.below(any.len())));
        }
        let mut named = Vec::new();
        for ip in chosen {
            if let Some(machine) = self.machines.get_mut(&ip) {
                machine.named += 1;
                let address = SocketAddr::new(ip, machine.port);
                named.push(Neighbour { address, have: machine.have.hex() });
            }
        }
        named
    }

    /// A source for the machine, when it is its turn: a source's link shall not be everybody's either.
    fn sources_for(&self, now: u64, to: IpAddr) -> Vec<String> {
        let waiting: Vec<&IpAddr> =
            self.machines.iter().filter(|(_, m)| !m.have.is_full()).map(|(ip, _)| ip).collect();
        let Some(place) = waiting.iter().position(|ip| **ip == to) else { return Vec::new() };
        // At most as many as there are machines: it fits.
        let turn = usize::try_from(now / TURN % waiting.len() as u64).unwrap_or(0);
        let place = (place + turn * PER_SOURCE) % waiting.len();
        match self.sources.len() {
            0 => Vec::new(),
            n if place < n * PER_SOURCE => vec![self.sources[place % n].clone()],
            _ => Vec::new(),
        }
    }
}

#[cfg(test)]
mod tests;
