//! Limits on a machine that has other things to do. A limit says how long something may take where the lab has the
//! processors for itself; where twice as many programs want a processor as there are, a second of waiting counts half.
//! What is measured is the machine as it is while it is waited, so that a load that comes and goes stretches a limit by
//! as much as it took, and a quiet machine finds out soon that something does not happen.

use std::num::NonZeroUsize;
use std::thread::available_parallelism;
use std::time::{Duration, Instant};

use maekin_host::wait::{self, TimedOut};

/// However slow it is, a wait ends: at this many times its limit.
const MOST: u32 = 10;

/// How many times slower than alone this machine is now, for one of many that want its processors.
#[must_use]
pub fn slowness() -> f64 {
    let text = std::fs::read_to_string("/proc/loadavg").unwrap_or_default();
    let processors = available_parallelism().map_or(1, NonZeroUsize::get);
    judge(&text, processors)
}

/// The same, from /proc/loadavg (proc_loadavg(5)): those that want a processor in this moment, or as many as did in the
/// last minute on the average where that is more. Pure.
fn judge(loadavg: &str, processors: usize) -> f64 {
    let mut words = loadavg.split_whitespace();
    let minute = words.next().and_then(|word| word.parse::<f64>().ok()).unwrap_or(0.0);
    let running = words.nth(2).and_then(|word| word.split_once('/')?.0.parse::<u32>().ok()).unwrap_or(0);
    let wanting = minute.max(f64::from(running));
    let per = wanting / f64::from(u32::try_from(processors.max(1)).unwrap_or(u32::MAX));
    // Not a number, or less than a processor's worth of work: it is as fast as it can be.
    if per > 1.0 { per.min(f64::from(MOST)) } else { 1.0 }
}

/// What a limit is on this machine now, for what cannot be measured while it is waited.
#[must_use]
pub fn limit(alone: Duration) -> Duration {
    alone.mul_f64(slowness())
}

/// As [`wait::until`], with a limit for a machine that does nothing else.
///
/// # Errors
/// [`TimedOut`], which names `what`.
pub fn until<T>(
    what: &str,
    alone: Duration,
    every: Duration,
    mut ready: impl FnMut() -> Option<T>,
) -> Result<T, TimedOut> {
    let (mut counted, mut last) = (Duration::ZERO, Instant::now());
    wait::until(what, alone.saturating_mul(MOST), every, || {
        if let Some(value) = ready() {
            return Some(Ok(value));
        }
        let now = Instant::now();
        counted += now.duration_since(last).div_f64(slowness());
        last = now;
        (counted >= alone).then(|| Err(TimedOut { what: what.to_owned(), limit: alone }))
    })?
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn assembly_limits_are_as_long_as_the_machine_is_slow() {
        let rows = [
            ("quiet", "0.10 0.20 0.30 1/400 999", 2, 1.0),
            ("as many as there are processors", "2.00 0.20 0.30 2/400 999", 2, 1.0),
            ("three racks", "6.00 5.00 4.00 3/400 999", 2, 3.0),
            ("a load that has just begun", "0.50 0.20 0.30 8/400 999", 2, 4.0),
            ("without end", "900.0 5.00 4.00 3/400 999", 2, 10.0),
            ("nothing is told", "", 2, 1.0),
            ("nonsense", "NaN x y z/w", 0, 1.0),
        ];
        for (name, text, processors, want) in rows {
            assert!((judge(text, processors) - want).abs() < 1e-9, "{name}: {}", judge(text, processors));
        }
        assert!((1.0..=10.0).contains(&slowness()));
    }

    #[test]
    fn assembly_a_wait_ends_and_names_what_it_waited_for() {
        let short = Duration::from_millis(5);
        let error = until("godot", short, Duration::from_millis(1), || None::<()>).unwrap_err();
        assert!(error.to_string().contains("godot"));
        let mut tries = 0;
        let third = until("the third", Duration::from_secs(60), Duration::from_millis(1), || {
            tries += 1;
            (tries == 3).then_some(tries)
        });
        assert_eq!(third.unwrap(), 3);
    }
}
