//! What a client's ACK says: it has more, it has a gap, or it repeats itself.

use std::time::{Duration, Instant};

use super::{Outcome, PAUSE, Probe, RESENDS, Stage, Transfer};

impl Transfer {
    pub(super) fn acknowledge(&mut self, now: Instant, block: u16) {
        if matches!(self.stage, Stage::SendOack | Stage::WaitOack) {
            if block == 0 {
                (self.heard, self.moved, self.answered) = (now, now, true);
                self.measure(now);
                self.stage = Stage::Data;
            }
            return;
        }
        // How far this moves the window; an ACK from before it counts as (a large) step beyond it.
        #[allow(clippy::cast_possible_truncation)] // the low bits are what is on the wire
        let step = u64::from(block.wrapping_sub(self.acked as u16));
        // A client that was resent a window may acknowledge more than was sent since: up to what it ever was sent.
        if step > self.reached - self.acked {
            return;
        }
        (self.heard, self.answered) = (now, true);
        if step == 0 {
            self.repeat(now);
            return;
        }
        self.moved = now;
        self.measure(now);
        self.rtt.answered();
        // A client can only miss a block when it has seen one behind it. Where there is none, this is its answer to a block
        // that it had already: to send that again would have it answer so for the rest of the file.
        let gap = self.acked + step < self.sent && self.acked + step + 1 < self.reached;
        match gap {
            true => self.pace.gap(step),
            false => self.pace.answered(),
        }
        self.acked += step;
        self.sent = self.sent.max(self.acked);
        // Blocks still under way, and our own question, make the client repeat this ACK.
        let echoes = gap || self.probe != Probe::None;
        self.deaf = echoes.then(|| now + self.echo());
        self.probe = Probe::None;
        self.resends = 0;
        if gap {
            self.rewind();
        }
        self.resume = None;
        if self.acked == self.last {
            self.stage = Stage::Ended(Outcome::Done);
        }
        self.retry = now + self.patience();
    }

    /// The ACK of before once more. Blocks are under way and the client still has the one before them: with a window
    /// that says the first of them was lost. Without a window it says nothing.
    fn repeat(&mut self, now: Instant) {
        let waits = self.sent > self.acked && self.agreed.window > 1;
        // Sooner than a packet travels there and back it can only be an answer to what was sent before.
        let echo = now < self.begun + self.rtt.smoothed().unwrap_or_default() / 2;
        if waits && !echo && self.resends < RESENDS && self.deaf.is_none_or(|until| now >= until) {
            self.resends += 1;
            self.deaf = Some(now + self.echo());
            self.resume = None;
            self.rewind();
        }
    }

    pub(super) fn rewind(&mut self) {
        self.sent = self.acked;
        self.timed = None;
    }

    fn measure(&mut self, now: Instant) {
        if let Some(start) = self.timed.take() {
            self.rtt.sample(now.duration_since(start));
        }
    }

    /// How long echoes of what the client was sent may take.
    fn echo(&self) -> Duration {
        self.rtt.smoothed().unwrap_or_default().max(PAUSE)
    }

    /// How long to wait for an answer to data. A question or a single block sent too early costs one packet, so
    /// that is done sooner than sending a window again.
    pub(super) fn patience(&self) -> Duration {
        match self.probe == Probe::None && !self.rtt.backed_off() {
            true => self.rtt.early_timeout(),
            false => self.rtt.timeout(),
        }
    }
}
