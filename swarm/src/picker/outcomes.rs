//! What a machine learns from how its jobs end: whom to ask again, when, and how patient to be.

use super::peers::{Peer, Where};
use super::{Kind, Outcome, Picker, Running};
use crate::bitmap::Bitmap;

impl Picker {
    /// Job `id` has ended.
    pub fn finished(&mut self, now: u64, id: u64, outcome: Outcome) {
        let Some(run) = self.running.remove(&id) else { return };
        if let Some(peer) = run.peer {
            self.peers.at(peer, |p| match run.task {
                Kind::Question => p.questioned = false,
                _ => p.active = p.active.saturating_sub(1),
            });
        }
        let took = now.saturating_sub(run.since);
        match run.task {
            Kind::Announce => self.announced(now, outcome),
            Kind::Master => self.master_ended(now, took, &outcome),
            Kind::Chunk | Kind::Question => self.peer_ended(now, &run, took, &outcome),
        }
    }

    pub(super) fn announced(&mut self, now: u64, outcome: Outcome) {
        let Outcome::Neighbours(answer) = outcome else {
            self.announce_after = now + 1000;
            return;
        };
        self.announce_after = now + answer.again.clamp(100, 10_000);
        for machine in answer.machines {
            if let Some(have) = Bitmap::parse(&machine.have, self.have.len()) {
                self.peers.learn(&Where::Machine(machine.address), have, &self.have);
            }
        }
        self.peers.set_sources(&answer.sources);
    }

    fn master_ended(&mut self, now: u64, took: u64, outcome: &Outcome) {
        let others = self.running(Kind::Master);
        if *outcome != Outcome::Failed {
            self.master_failures = 0;
        }
        match *outcome {
            Outcome::Got(chunk) => {
                self.got(now, took, chunk, true);
                self.master_share = (self.master_share + 1).min(self.limits.chunks);
            }
            // It is sending us something else: that is our share.
            Outcome::Busy(_) if others > 0 => self.master_share = others,
            Outcome::Busy(again) => {
                self.master_share = 1;
                self.master_after = now + again.clamp(10, 5000);
            }
            Outcome::NotHere => self.master_after = now + 200,
            _ => {
                self.master_failures += 1;
                self.master_after = now + (250 << self.master_failures.min(5));
            }
        }
    }

    fn peer_ended(&mut self, now: u64, run: &Running, took: u64, outcome: &Outcome) {
        let Some(peer) = run.peer else { return };
        match *outcome {
            Outcome::Got(chunk) => {
                let slow = took > 4 * self.pace && took > 1000;
                self.got(now, took.min(2 * self.pace), chunk, false);
                self.peers.at(peer, |p| if slow { p.fail(now) } else { p.failures = 0 });
            }
            Outcome::Lied => self.peers.ban(peer),
            Outcome::NotHere => {
                let chunk = run.chunk;
                self.peers.at(peer, |p| {
                    chunk.into_iter().for_each(|c| p.have.clear(c));
                    p.fail(now);
                });
            }
            Outcome::Busy(again) => {
                let again = again.clamp(10, 1000) + self.random.below(20) as u64;
                self.peers.at(peer, |p| p.after = p.after.max(now + again));
            }
            Outcome::News | Outcome::Neighbours(_) => self.peers.at(peer, |p| p.failures = 0),
            Outcome::Failed => {
                if run.task == Kind::Chunk && took >= 8 * self.pace {
                    self.pace = (self.pace * 3 / 2).min(60_000); // perhaps it is not them but all of us
                }
                self.peers.at(peer, |p| p.fail(now));
            }
        }
    }

    fn got(&mut self, now: u64, took: u64, chunk: usize, from_master: bool) {
        if self.have.has(chunk) {
            self.from.twice += 1;
            return;
        }
        self.have.set(chunk);
        let first = self.from.master + self.from.neighbours == 0;
        self.pace = if first { took } else { (self.pace * 7 + took) / 8 }.clamp(20, 60_000);
        self.progress = now;
        if from_master {
            self.from.master += 1;
        } else {
            self.from.neighbours += 1;
        }
    }
}

impl Peer {
    fn fail(&mut self, now: u64) {
        self.failures = (self.failures + 1).min(5);
        self.after = now + (500 << self.failures);
    }
}
