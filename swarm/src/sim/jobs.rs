//! What becomes of a request: it arrives, waits for its turn, is answered, and its chunk flows.

use std::net::SocketAddr;

use super::links::Flow;
use super::{Doing, Manner, PATIENCE, SENDING, WAITING, What, World, address};
use crate::bitmap::Bitmap;
use crate::picker::{Outcome, Task, Where};
use crate::tracker::Grant;

impl World {
    pub(super) fn reaches(&self, from: usize, place: &Where) -> bool {
        let alone = |m: usize| self.machines[m].manner == Manner::Alone;
        self.of(place).is_some_and(|to| !alone(from) && !alone(to) && !self.machines[to].gone)
    }

    fn of(&self, place: &Where) -> Option<usize> {
        let Where::Machine(SocketAddr::V4(address)) = place else { return None };
        usize::try_from(address.ip().to_bits() - 0x0a00_0000).ok().filter(|m| *m < self.machines.len())
    }

    pub(super) fn answer(&mut self, machine: usize, job: u64, outcome: Outcome, delay: u64) {
        if let Some(doing) = self.machines[machine].jobs.get_mut(&job) {
            doing.answer = Some(outcome);
            self.at(self.now + delay, What::Answered { machine, job });
        }
    }

    /// A request has reached the master or a neighbour.
    pub(super) fn arrives(&mut self, machine: usize, job: u64) {
        let (now, delay) = (self.ms(), self.rack.delay);
        let Some(doing) = self.machines[machine].jobs.get(&job) else { return };
        match doing.task.clone() {
            task @ (Task::Announce | Task::Master) => {
                let mut report = self.machines[machine].picker.report(now);
                if self.machines[machine].manner == Manner::Liar {
                    report.have = Bitmap::full(self.count).hex();
                }
                let Some(told) = report.read(self.count) else { return };
                if task == Task::Announce {
                    let answer = self.tracker.announce(now, address(machine), &told);
                    return self.answer(machine, job, Outcome::Neighbours(answer), delay);
                }
                match self.tracker.grant(now, address(machine), &told) {
                    Grant::Chunk(chunk) => {
                        self.machines[machine].picker.master_sends(job, chunk);
                        self.master_bytes += self.bytes(chunk);
                        self.flow(machine, job, 0, chunk);
                    }
                    Grant::Later(ms) => self.answer(machine, job, Outcome::Busy(ms), delay),
                    Grant::Nothing => self.answer(machine, job, Outcome::NotHere, delay),
                }
            }
            Task::Chunk(place, chunk) => {
                let Some(peer) = self.of(&place) else { return };
                self.learn(machine, peer);
                self.learn(peer, machine);
                let other = &self.machines[peer];
                if other.gone {
                    self.answer(machine, job, Outcome::Failed, delay);
                } else if !other.picker.have().has(chunk) && other.manner != Manner::Liar {
                    self.answer(machine, job, Outcome::NotHere, delay);
                } else if other.waiting.len() >= WAITING {
                    self.answer(machine, job, Outcome::Busy(25), delay);
                } else {
                    self.machines[peer].waiting.push_back((machine, job, chunk));
                    self.at(self.now + PATIENCE, What::Tired { machine, job });
                    self.send(peer);
                }
            }
            Task::Question(place, count) => {
                let Some(peer) = self.of(&place) else { return };
                self.machines[peer].asked.push((machine, job, count));
                self.tell(peer);
            }
        }
    }

    /// Sends to those who have waited longest.
    fn send(&mut self, peer: usize) {
        while self.machines[peer].sending < SENDING {
            let Some((machine, job, chunk)) = self.machines[peer].waiting.pop_front() else { return };
            if self.machines[machine].jobs.get(&job).is_some_and(|doing| doing.answer.is_none()) {
                self.machines[peer].sending += 1;
                self.flow(machine, job, peer + 1, chunk);
            }
        }
    }

    /// A machine has waited long enough for a neighbour that is busy.
    pub(super) fn tired(&mut self, machine: usize, job: u64) {
        let peer = match self.machines[machine].jobs.get(&job) {
            Some(Doing { task: Task::Chunk(place, _), flow: None, answer: None }) => self.of(place),
            _ => None,
        };
        if let Some(peer) = peer {
            self.machines[peer].waiting.retain(|(m, j, _)| (*m, *j) != (machine, job));
            self.answer(machine, job, Outcome::Busy(25), self.rack.delay);
        }
    }

    /// A machine has sent a chunk, or it was not wanted to its end.
    pub(super) fn sent(&mut self, link: usize) {
        if let Some(peer) = link.checked_sub(1) {
            self.machines[peer].sending -= 1;
            if !self.machines[peer].gone {
                self.send(peer);
            }
        }
    }

    fn bytes(&self, chunk: usize) -> u64 {
        (self.rack.size - chunk as u64 * self.rack.chunk).min(self.rack.chunk)
    }

    fn flow(&mut self, machine: usize, job: u64, from: usize, chunk: usize) {
        let bytes = self.bytes(chunk);
        let flow = self.links.start(Flow { from, to: machine + 1, machine, job, chunk }, bytes, self.now);
        if let Some(doing) = self.machines[machine].jobs.get_mut(&job) {
            doing.flow = Some(flow);
        }
        self.changed();
    }

    /// Transfers began or ended: their speeds are found anew, soon, together with those of what else changes until then.
    pub(super) fn changed(&mut self) {
        if !self.sharing {
            self.sharing = true;
            self.at(self.now + self.grain, What::Share);
        }
    }

    pub(super) fn delivered(&mut self, flow: &Flow) {
        let lied = flow.from > 0 && self.machines[flow.from - 1].manner == Manner::Liar;
        self.sent(flow.from);
        if let Some(doing) = self.machines[flow.machine].jobs.get_mut(&flow.job) {
            doing.flow = None;
            let outcome = if lied { Outcome::Lied } else { Outcome::Got(flow.chunk) };
            self.finish(flow.machine, flow.job, outcome);
        }
    }

    pub(super) fn finish(&mut self, machine: usize, job: u64, outcome: Outcome) {
        let Some(doing) = self.machines[machine].jobs.remove(&job) else { return };
        if let Some(ended) = doing.flow.and_then(|flow| self.links.cancel(flow)) {
            self.sent(ended.from);
            self.changed();
        }
        let now = self.ms();
        let me = &mut self.machines[machine];
        me.picker.finished(now, job, outcome);
        if me.picker.have().is_full() && me.done.is_none() {
            me.done = Some(self.now);
            self.open -= usize::from(me.counts());
        }
        self.tell(machine);
        self.wake(machine);
    }

    /// `who` hears what `of` has, as each answer between machines carries it.
    pub(super) fn learn(&mut self, who: usize, of: usize) {
        let other = &self.machines[of];
        let all = other.manner == Manner::Liar;
        let have = if all { Bitmap::full(self.count) } else { other.picker.have().clone() };
        let place = Where::Machine(SocketAddr::new(address(of), 7000));
        self.machines[who].picker.learn(&place, have);
    }

    /// Answers those who wait for a machine's news.
    fn tell(&mut self, machine: usize) {
        let count = self.machines[machine].picker.have().count();
        let asked = std::mem::take(&mut self.machines[machine].asked);
        for (who, job, known) in asked {
            if count > known {
                self.learn(who, machine);
                self.answer(who, job, Outcome::News, self.rack.delay);
            } else if self.machines[who].jobs.contains_key(&job) {
                self.machines[machine].asked.push((who, job, known));
            }
        }
    }
}
