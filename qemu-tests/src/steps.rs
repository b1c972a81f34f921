//! What a long test did and how long each step took, printed as it goes: a run that fails tells where it was.

use std::cell::Cell;
use std::time::Instant;

/// The steps of a test.
#[derive(Debug)]
pub struct Steps {
    began: Instant,
    last: Cell<Instant>,
}

impl Default for Steps {
    fn default() -> Self {
        let now = Instant::now();
        Self { began: now, last: Cell::new(now) }
    }
}

impl Steps {
    /// A step is done: prints what, how long it took, and how long the test runs already.
    pub fn done(&self, what: &str) {
        let now = Instant::now();
        let (took, all) = (now - self.last.replace(now), now - self.began);
        println!("{:6.1} s, at {:6.1} s: {what}", took.as_secs_f64(), all.as_secs_f64());
    }
}
