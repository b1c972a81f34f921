//! One transfer, without sockets and clocks: packets and instants in, packets out.
//!
//! An ACK moves the window on, and only that sends new blocks: a duplicate of an old one never does, or each would
//! double the traffic for the rest of the file (the Sorcerer's Apprentice, RFC 1123 section 4.2.3.1). What is lost
//! is sent again after twice the measured round trip instead of after seconds (Karn's rule, RFC 6298), and at once
//! when the client says that it has a gap (RFC 7440 section 3).

use std::sync::Arc;
use std::time::{Duration, Instant};

use super::packet::{Agreed, Answer, Requested, parse_answer};

/// Retransmission timeout before anything was measured.
const FIRST_RTO: Duration = Duration::from_millis(300);
/// Never retransmitted sooner: firmware polls its card every few milliseconds.
const MIN_RTO: Duration = Duration::from_millis(20);
/// Nor later, unless the client asked for longer.
const MAX_RTO: Duration = Duration::from_secs(3);
/// A client that was never heard of (its address may be forged) is given up after this long.
const GIVE_UP_UNHEARD: Duration = Duration::from_secs(8);
/// A client that is not heard of any more for so long is gone.
const GIVE_UP: Duration = Duration::from_secs(25);

/// How a transfer ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// The client has everything.
    Done,
    /// The client ended it before any data. EDK2 and others do so after learning the size.
    SizeOnly,
    /// The client ended it with this error code.
    Aborted(u16),
    /// The client was not heard of any more.
    Lost,
}

/// A transfer under way.
#[derive(Debug)]
pub struct Transfer {
    content: Arc<[u8]>,
    oack: Option<Vec<u8>>,
    agreed: Agreed,
    /// Block numbers count from 1 and do not wrap here; on the wire their low 16 bits are seen.
    acked: u64,
    /// The last block sent, or to be taken as sent.
    sent: u64,
    /// The highest block ever sent.
    reached: u64,
    last: u64,
    stage: Stage,
    rtt: Rtt,
    deadline: Instant,
    heard: Instant,
    /// The client was heard of at all.
    answered: bool,
    /// When the present window was begun, while none of it has been sent twice.
    timed: Option<Instant>,
    /// A duplicate ACK has already made this window be sent again.
    resent: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stage {
    /// The OACK must be sent (again).
    SendOack,
    /// The OACK waits for its ACK 0.
    WaitOack,
    Data,
    Ended(Outcome),
}

impl Transfer {
    /// A transfer of `content` to a client that asked for these options.
    #[must_use]
    pub fn new(content: Arc<[u8]>, requested: Requested, now: Instant) -> Self {
        let oack = requested.oack(content.len() as u64);
        let agreed = requested.agree();
        let mut transfer = Self {
            last: content.len() as u64 / u64::from(agreed.block) + 1,
            stage: if oack.is_some() { Stage::SendOack } else { Stage::Data },
            content,
            oack,
            agreed,
            acked: 0,
            sent: 0,
            reached: 0,
            rtt: Rtt::new(agreed.timeout),
            deadline: now,
            heard: now,
            answered: false,
            timed: None,
            resent: false,
        };
        transfer.deadline = now + transfer.rtt.timeout();
        transfer
    }

    /// The next packet to send now, written into `buf`, or `None`: then wait for a packet or the deadline.
    pub fn poll_send(&mut self, now: Instant, buf: &mut Vec<u8>) -> Option<()> {
        buf.clear();
        match self.stage {
            Stage::SendOack => {
                buf.extend_from_slice(self.oack.as_deref().unwrap_or_default());
                self.stage = Stage::WaitOack;
                self.start_timer(now);
                Some(())
            }
            Stage::Data
                if self.sent < self.last && self.sent < self.acked + u64::from(self.agreed.window) =>
            {
                self.sent += 1;
                if self.sent <= self.reached {
                    self.timed = None; // sent twice: whose answer comes is not known
                } else if self.sent == self.acked + 1 {
                    self.timed = Some(now);
                }
                self.reached = self.reached.max(self.sent);
                self.write_block(self.sent, buf);
                self.deadline = now + self.rtt.timeout();
                Some(())
            }
            Stage::Data | Stage::WaitOack | Stage::Ended(_) => None,
        }
    }

    /// Takes a packet of the client's.
    pub fn receive(&mut self, now: Instant, bytes: &[u8]) {
        if matches!(self.stage, Stage::Ended(_)) {
            return;
        }
        match parse_answer(bytes) {
            Answer::Ack(block) => self.acknowledge(now, block),
            Answer::Error(_) if self.acked == 0 && self.sent == 0 => {
                self.stage = Stage::Ended(Outcome::SizeOnly);
            }
            Answer::Error(code) => self.stage = Stage::Ended(Outcome::Aborted(code)),
            Answer::Other => {}
        }
    }

    /// When [`Transfer::expire`] is due.
    #[must_use]
    pub fn deadline(&self) -> Instant {
        self.deadline
    }

    /// Nothing came in time: everything unacknowledged is sent again, more slowly; or the client is given up.
    pub fn expire(&mut self, now: Instant) {
        if now < self.deadline {
            return;
        }
        let patience = if self.answered { GIVE_UP } else { GIVE_UP_UNHEARD };
        if now.duration_since(self.heard) >= patience {
            self.stage = Stage::Ended(Outcome::Lost);
            return;
        }
        self.rtt.back_off();
        self.resent = false;
        match self.stage {
            Stage::WaitOack => self.stage = Stage::SendOack,
            Stage::Data => self.rewind(),
            Stage::SendOack | Stage::Ended(_) => {}
        }
        self.deadline = now + self.rtt.timeout();
    }

    /// How it ended, once it has.
    #[must_use]
    pub fn outcome(&self) -> Option<Outcome> {
        match self.stage {
            Stage::Ended(outcome) => Some(outcome),
            _ => None,
        }
    }

    fn acknowledge(&mut self, now: Instant, block: u16) {
        if matches!(self.stage, Stage::SendOack | Stage::WaitOack) {
            if block == 0 {
                (self.heard, self.answered) = (now, true);
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
            // Blocks are under way and it still has the one before: with a window that says the first was lost.
            if self.sent > self.acked && self.agreed.window > 1 && !self.resent {
                self.resent = true;
                self.rewind();
            }
            return;
        }
        self.measure(now);
        self.resent = false;
        let gap = self.acked + step < self.sent;
        self.acked += step;
        self.sent = self.sent.max(self.acked);
        if gap {
            self.rewind();
        }
        if self.acked == self.last {
            self.stage = Stage::Ended(Outcome::Done);
        }
        self.deadline = now + self.rtt.timeout();
    }

    fn rewind(&mut self) {
        self.sent = self.acked;
        self.timed = None;
    }

    fn measure(&mut self, now: Instant) {
        if let Some(start) = self.timed.take() {
            self.rtt.sample(now.duration_since(start));
        }
    }

    fn start_timer(&mut self, now: Instant) {
        self.timed = (self.rtt.backoff == 0).then_some(now);
        self.deadline = now + self.rtt.timeout();
    }

    fn write_block(&self, block: u64, buf: &mut Vec<u8>) {
        let size = usize::from(self.agreed.block);
        let from = usize::try_from(block - 1).unwrap_or(usize::MAX).saturating_mul(size);
        let rest = self.content.get(from..).unwrap_or_default();
        buf.extend_from_slice(&[0, 3]);
        buf.extend_from_slice(&block.to_be_bytes()[6..]);
        buf.extend_from_slice(&rest[..size.min(rest.len())]);
    }
}

/// Round trip estimate, RFC 6298 section 2.
#[derive(Debug)]
struct Rtt {
    smoothed: Option<(Duration, Duration)>,
    backoff: u32,
    max: Duration,
}

impl Rtt {
    fn new(timeout: Option<u8>) -> Self {
        let max = timeout.map_or(MAX_RTO, |s| Duration::from_secs(s.into()));
        Self { smoothed: None, backoff: 0, max }
    }

    fn sample(&mut self, rtt: Duration) {
        let (srtt, var) = match self.smoothed {
            None => (rtt, rtt / 2),
            Some((srtt, var)) => ((srtt * 7 + rtt) / 8, (var * 3 + srtt.abs_diff(rtt)) / 4),
        };
        self.smoothed = Some((srtt, var));
        self.backoff = 0;
    }

    fn back_off(&mut self) {
        self.backoff = (self.backoff + 1).min(10);
    }

    fn timeout(&self) -> Duration {
        let base = self.smoothed.map_or(FIRST_RTO, |(srtt, var)| (srtt * 2).max(srtt + var * 4));
        (base.max(MIN_RTO) * (1 << self.backoff)).min(self.max)
    }
}

#[cfg(test)]
mod tests;
