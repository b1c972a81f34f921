//! What a long test did and how long each step took, printed as it goes: a run that fails tells where it was.

use std::time::{Duration, Instant};

/// The steps of a test.
#[derive(Debug)]
pub struct Steps {
    began: Instant,
    last: Instant,
}

impl Default for Steps {
    fn default() -> Self {
        let now = Instant::now();
        Self { began: now, last: now }
    }
}

impl Steps {
    /// A step is done: prints what, how long it took, and how long the test runs already. Returns how long it took.
    pub fn done(&mut self, what: &str) -> Duration {
        let now = Instant::now();
        let (took, all) = (now - self.last, now - self.began);
        self.last = now;
        println!("{:6.1} s, at {:6.1} s: {what}", took.as_secs_f64(), all.as_secs_f64());
        took
    }
}
