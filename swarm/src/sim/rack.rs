//! What is forecast, and the forecast.

use crate::picker::Tally;

/// How a machine behaves.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Manner {
    /// As it should.
    Honest,
    /// Claims to have everything, and sends rubbish.
    Liar,
    /// Sends at a hundredth of its link.
    Slow,
    /// Is gone after so many milliseconds.
    Vanishes(u64),
    /// Reaches the master only, and nobody reaches it.
    Alone,
    /// Is switched on so many milliseconds after the others.
    Late(u64),
}

/// A rack to be forecast.
#[derive(Debug, Clone)]
pub struct Rack {
    /// The machines.
    pub machines: Vec<Manner>,
    /// Bytes of the image.
    pub size: u64,
    /// Bytes of a chunk.
    pub chunk: u64,
    /// Bytes a second of the master's link, each way.
    pub master: f64,
    /// Bytes a second of each machine's link, each way.
    pub link: f64,
    /// Microseconds that a message takes.
    pub delay: u64,
    /// When the tracker forgets everything, milliseconds.
    pub restart: Option<u64>,
    /// Of all choices.
    pub seed: u64,
}

/// How it went.
#[derive(Debug, Clone)]
pub struct Forecast {
    /// Seconds from the start until each honest machine had everything; `None`: it never did.
    pub seconds: Vec<Option<f64>>,
    /// Bytes that left the master.
    pub master_bytes: u64,
    /// Requests to the master, of all kinds.
    pub master_requests: u64,
    /// Where chunks came from, all machines together.
    pub tally: Tally,
}

impl Forecast {
    /// When the last one was done; `None` when one never was.
    #[must_use]
    pub fn last(&self) -> Option<f64> {
        self.seconds.iter().try_fold(0.0, |last: f64, s| s.map(|s| last.max(s)))
    }
}
