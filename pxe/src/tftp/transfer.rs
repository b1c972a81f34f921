//! One transfer, without sockets and clocks: packets and instants in, packets out.
//!
//! An ACK moves the window on, and only that sends new blocks: a duplicate of an old one never does, or each would
//! double the traffic for the rest of the file (the Sorcerer's Apprentice, RFC 1123 section 4.2.3.1). What is lost
//! is sent again after twice the measured round trip instead of after seconds (Karn's rule, RFC 6298), and at once
//! when the client says that it has a gap (RFC 7440 section 3). A window that nobody answered is first asked about
//! with its last block alone: whatever the client has, its answer to that says it, and costs one packet.

mod acks;
mod pace;
mod rtt;

use std::sync::Arc;
use std::time::{Duration, Instant};

use self::pace::Pace;
use self::rtt::Rtt;
use super::packet::{Agreed, Answer, HEADER, Requested, parse_answer};

/// A client that was never heard of (its address may be forged) is given up after this long.
const GIVE_UP_UNHEARD: Duration = Duration::from_secs(8);
/// A client that is not heard of any more for so long is gone.
const GIVE_UP: Duration = Duration::from_secs(25);
/// One that is heard of and gets no further for so long holds its place for nothing: a broken ROM, or somebody who
/// wants all places.
const STUCK: Duration = Duration::from_secs(60);
/// Pause between the parts of a window that is paced: a tick of the timers we have.
const PAUSE: Duration = Duration::from_millis(1);
/// How often a client may have the same window sent again by its word alone; after that only time does.
const RESENDS: u8 = 3;
/// Most bytes sent in one go: a UDP datagram's worth, which the kernel or the card cuts into packets.
const GO: usize = 64_000;

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

/// What is to be sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Out {
    /// The answer to the request's options, see [`Transfer::oack`].
    Oack,
    /// These blocks, see [`Transfer::block`]: all whole but perhaps the file's last.
    Blocks {
        /// The first of them.
        first: u64,
        /// How many, at least one.
        count: u16,
    },
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
    pace: Pace,
    /// When the next part of a paced window is due.
    resume: Option<Instant>,
    /// When the next retransmission is due.
    retry: Instant,
    heard: Instant,
    /// When it last got further.
    moved: Instant,
    /// The client was heard of at all.
    answered: bool,
    /// When the present window was begun, while none of it has been sent twice.
    timed: Option<Instant>,
    /// When the first block that the client lacks was last sent.
    begun: Instant,
    probe: Probe,
    /// Until then a duplicate ACK is taken for an echo of what was already answered.
    deaf: Option<Instant>,
    /// How often duplicate ACKs have had this window sent again.
    resends: u8,
    /// Blocks sent more than once.
    again: u64,
}

/// The question to a client that does not answer: the last block sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Probe {
    None,
    Due,
    Sent,
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
    /// A transfer of `content` to a client that asked for these options, in blocks of at most `most` bytes.
    #[must_use]
    pub fn new(content: Arc<[u8]>, requested: Requested, most: u16, now: Instant) -> Self {
        let oack = requested.oack(content.len() as u64, most);
        let agreed = requested.agree(most);
        let rtt = Rtt::new(agreed.timeout);
        Self {
            last: content.len() as u64 / u64::from(agreed.block) + 1,
            stage: if oack.is_some() { Stage::SendOack } else { Stage::Data },
            content,
            oack,
            agreed,
            acked: 0,
            sent: 0,
            reached: 0,
            retry: now + rtt.timeout(),
            rtt,
            pace: Pace::new(agreed.window),
            resume: None,
            heard: now,
            moved: now,
            answered: false,
            timed: None,
            begun: now,
            probe: Probe::None,
            deaf: None,
            resends: 0,
            again: 0,
        }
    }

    /// What to send now, or `None`: then wait for a packet or the deadline.
    pub fn poll_send(&mut self, now: Instant) -> Option<Out> {
        match self.stage {
            Stage::SendOack => {
                self.stage = Stage::WaitOack;
                self.timed = (!self.rtt.backed_off()).then_some(now);
                self.retry = now + self.rtt.timeout();
                Some(Out::Oack)
            }
            Stage::Data if self.probe == Probe::Due => {
                self.probe = Probe::Sent;
                self.again += 1;
                Some(Out::Blocks { first: self.sent, count: 1 })
            }
            Stage::Data => self.next_blocks(now),
            Stage::WaitOack | Stage::Ended(_) => None,
        }
    }

    fn next_blocks(&mut self, now: Instant) -> Option<Out> {
        let end = self.last.min(self.acked + u64::from(self.agreed.window));
        if self.sent >= end || self.resume.is_some_and(|at| now < at) {
            return None;
        }
        let packet = usize::from(self.agreed.block) + HEADER;
        let go = u16::try_from(GO / packet).unwrap_or(u16::MAX).min(self.pace.burst());
        let count = u16::try_from(end - self.sent).unwrap_or(u16::MAX).min(go);
        let first = self.sent + 1;
        self.sent += u64::from(count);
        if first == self.acked + 1 {
            self.begun = now;
        }
        if first <= self.reached {
            self.timed = None; // sent twice: whose answer comes is not known
            self.again += self.sent.min(self.reached) - first + 1;
        } else if first == self.acked + 1 {
            self.timed = Some(now);
        }
        self.reached = self.reached.max(self.sent);
        self.resume = (self.pace.is_slow() && self.sent < end).then(|| now + PAUSE);
        self.retry = now + self.patience();
        Some(Out::Blocks { first, count })
    }

    /// The answer to the options, as [`Out::Oack`] sends it.
    #[must_use]
    pub fn oack(&self) -> &[u8] {
        self.oack.as_deref().unwrap_or_default()
    }

    /// Header and data of a block.
    #[must_use]
    pub fn block(&self, block: u64) -> ([u8; HEADER], &[u8]) {
        let size = usize::from(self.agreed.block);
        let from = usize::try_from(block - 1).unwrap_or(usize::MAX).saturating_mul(size);
        let rest = self.content.get(from..).unwrap_or_default();
        let [.., high, low] = block.to_be_bytes();
        ([0, 3, high, low], &rest[..size.min(rest.len())])
    }

    /// Bytes of a whole block's packet.
    #[must_use]
    pub fn packet_size(&self) -> u16 {
        self.agreed.block + 4
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
        self.resume.map_or(self.retry, |at| at.min(self.retry))
    }

    /// Nothing came in time: the next part of the window is due, or the client is asked what it has, or everything
    /// unacknowledged is sent again, more slowly; or the client is given up.
    pub fn expire(&mut self, now: Instant) {
        if self.resume.is_some_and(|at| now >= at) {
            self.resume = None;
            return;
        }
        if now < self.retry {
            return;
        }
        let patience = if self.answered { GIVE_UP } else { GIVE_UP_UNHEARD };
        if now.duration_since(self.heard) >= patience || now.duration_since(self.moved) >= STUCK {
            self.stage = Stage::Ended(Outcome::Lost);
            return;
        }
        self.deaf = None;
        match self.stage {
            Stage::WaitOack => {
                self.rtt.back_off();
                self.stage = Stage::SendOack;
            }
            Stage::Data if self.agreed.window > 1 && self.probe == Probe::None && self.sent > self.acked => {
                self.probe = Probe::Due;
                self.timed = None;
                self.pace.stalled();
            }
            Stage::Data => {
                self.rtt.back_off();
                self.resends = 0;
                self.rewind();
            }
            Stage::SendOack | Stage::Ended(_) => {}
        }
        self.retry = now + self.rtt.timeout();
    }

    /// How it ended, once it has.
    #[must_use]
    pub fn outcome(&self) -> Option<Outcome> {
        match self.stage {
            Stage::Ended(outcome) => Some(outcome),
            _ => None,
        }
    }

    /// Bytes of data that the client has.
    #[must_use]
    pub fn delivered(&self) -> u64 {
        (self.acked * u64::from(self.agreed.block)).min(self.content.len() as u64)
    }

    /// Blocks that were sent more than once.
    #[must_use]
    pub fn sent_again(&self) -> u64 {
        self.again
    }

    /// How quickly blocks are answered for, when nothing is lost.
    #[must_use]
    pub fn round_trip(&self) -> Option<Duration> {
        self.rtt.smoothed()
    }
}

#[cfg(test)]
mod tests;
