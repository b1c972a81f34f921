//! What is done from time to time: comparing states with what they were, and knocking at nodes that are missing.

use std::collections::HashSet;
use std::time::Duration;

use foca::State;
use rand::RngExt;

use super::pace::{config, sends};
use super::{Gossip, Liveness};
use crate::peer::{NodeId, Peer};

/// How often states are compared, to know since when they hold: while there is news, and else.
pub(super) const SWEEP: Duration = Duration::from_millis(500);
pub(super) const SWEEP_QUIET: Duration = Duration::from_secs(10);
/// How often a node that is alone, or new, knocks; and how often at those that are missing.
const KNOCK_ALONE: Duration = Duration::from_secs(1);
const KNOCK: Duration = Duration::from_secs(5);
/// For how long a node is new.
const NEW: Duration = Duration::from_secs(30);
/// At how many one that is alone knocks at once.
const KNOCKS_ALONE: usize = 3;

impl Gossip {
    /// Compares states with what they were, and adapts to the number of members.
    pub(super) fn sweep(&mut self, now: Duration) {
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
    pub(super) fn knock(&mut self, now: Duration) {
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
