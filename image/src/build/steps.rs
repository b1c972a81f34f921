//! What the build says while it runs: each step, whether it came from the cache, and how long it took.

use std::time::{Duration, Instant};

use anyhow::{Context as _, Result};

/// Says each step on standard error.
pub(crate) struct Steps {
    start: Instant,
}

impl Steps {
    pub(crate) fn new() -> Self {
        Self { start: Instant::now() }
    }

    /// Runs a step: says what it is and what it waits for, and how long it took.
    pub(crate) fn run<T>(&self, what: &str, waits: &str, work: impl FnOnce() -> Result<T>) -> Result<T> {
        let begin = Instant::now();
        eprintln!("{}   {what}: {waits} ...", stamp(self.start.elapsed()));
        let result = work().with_context(|| format!("cannot make {what}"))?;
        eprintln!("{}   {what}: made in {:.1} s", stamp(self.start.elapsed()), begin.elapsed().as_secs_f64());
        Ok(result)
    }

    /// Says that a step was not needed.
    pub(crate) fn cached(&self, what: &str) {
        eprintln!("{}   {what}: cached", stamp(self.start.elapsed()));
    }

    /// Says something else.
    pub(crate) fn note(&self, text: &str) {
        eprintln!("{}   {text}", stamp(self.start.elapsed()));
    }
}

fn stamp(elapsed: Duration) -> String {
    format!("{:>7.1} s", elapsed.as_secs_f64())
}
