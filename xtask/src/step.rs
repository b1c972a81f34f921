//! One named step, timed.

use std::time::{Duration, Instant};

/// Runs `work` as the step `name`, saying when it begins and how long it took.
///
/// # Errors
/// What `work` fails with, under the step's name.
pub(crate) fn run(name: &str, work: impl FnOnce() -> anyhow::Result<()>) -> anyhow::Result<()> {
    timed(name, work).map(drop)
}

/// Like [`run`], and returns how long it took.
pub(crate) fn timed(name: &str, work: impl FnOnce() -> anyhow::Result<()>) -> anyhow::Result<Duration> {
    println!("==> {name}");
    let began = Instant::now();
    let result = work();
    let took = began.elapsed();
    match result {
        Ok(()) => {
            println!("==> {name}: {:.1} s", took.as_secs_f64());
            Ok(took)
        }
        Err(e) => Err(e.context(format!("{name} failed after {:.1} s", took.as_secs_f64()))),
    }
}
