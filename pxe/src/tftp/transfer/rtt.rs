//! Round trip estimate, RFC 6298 section 2.

use std::time::Duration;

/// Retransmission timeout before anything was measured.
const FIRST: Duration = Duration::from_millis(300);
/// Never retransmitted sooner: firmware polls its card every few milliseconds.
const LEAST: Duration = Duration::from_millis(20);
/// Nor is a single packet.
const LEAST_EARLY: Duration = Duration::from_millis(5);
/// Nor later, unless the client asked for longer.
const MOST: Duration = Duration::from_secs(3);

#[derive(Debug)]
pub(super) struct Rtt {
    smoothed: Option<(Duration, Duration)>,
    backoff: u32,
    most: Duration,
}

impl Rtt {
    /// `timeout` is what the client asked for, in seconds (RFC 2349).
    pub(super) fn new(timeout: Option<u8>) -> Self {
        let most = timeout.map_or(MOST, |s| Duration::from_secs(s.into()));
        Self { smoothed: None, backoff: 0, most }
    }

    /// Takes a measurement of something sent once.
    pub(super) fn sample(&mut self, rtt: Duration) {
        let (srtt, var) = match self.smoothed {
            None => (rtt, rtt / 2),
            Some((srtt, var)) => ((srtt * 7 + rtt) / 8, (var * 3 + srtt.abs_diff(rtt)) / 4),
        };
        self.smoothed = Some((srtt, var));
        self.backoff = 0;
    }

    /// The client has got further, even if it is not known by which of two copies.
    pub(super) fn answered(&mut self) {
        self.backoff = 0;
    }

    pub(super) fn back_off(&mut self) {
        self.backoff = (self.backoff + 1).min(10);
    }

    pub(super) fn backed_off(&self) -> bool {
        self.backoff > 0
    }

    pub(super) fn smoothed(&self) -> Option<Duration> {
        self.smoothed.map(|(srtt, _)| srtt)
    }

    /// After how long everything is sent again.
    pub(super) fn timeout(&self) -> Duration {
        (self.base().max(LEAST) * (1 << self.backoff)).min(self.most)
    }

    /// After how long one packet is.
    pub(super) fn early_timeout(&self) -> Duration {
        self.base().max(LEAST_EARLY).min(self.most)
    }

    fn base(&self) -> Duration {
        self.smoothed.map_or(FIRST, |(srtt, var)| (srtt * 2).max(srtt + var * 4))
    }
}
