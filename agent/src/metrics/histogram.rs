//! How long things took, in buckets.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// Upper ends of the buckets, milliseconds; one more is for whatever takes longer.
pub(crate) const ENDS: [u64; 9] = [1, 2, 5, 10, 25, 100, 500, 2000, 5000];

/// Counts of durations. Cheap, and never waits.
#[derive(Debug)]
pub(crate) struct Histogram {
    buckets: [AtomicU64; ENDS.len() + 1],
    micros: AtomicU64,
}

impl Histogram {
    /// One that has counted nothing.
    pub(crate) const fn new() -> Self {
        Self { buckets: [const { AtomicU64::new(0) }; ENDS.len() + 1], micros: AtomicU64::new(0) }
    }

    /// Something took so long.
    pub(crate) fn observe(&self, time: Duration) {
        let at = ENDS.iter().position(|end| time <= Duration::from_millis(*end)).unwrap_or(ENDS.len());
        if let Some(bucket) = self.buckets.get(at) {
            bucket.fetch_add(1, Ordering::Relaxed);
        }
        self.micros.fetch_add(u64::try_from(time.as_micros()).unwrap_or(u64::MAX), Ordering::Relaxed);
    }

    /// For each end, in seconds, how many took at most as long; then how many there were, and the sum of seconds.
    pub(crate) fn read(&self) -> (Vec<(f64, u64)>, u64, f64) {
        let mut sum = 0;
        let mut counts = self.buckets.iter().map(|bucket| {
            sum += bucket.load(Ordering::Relaxed);
            sum
        });
        let ends =
            ENDS.iter().map(|ms| Duration::from_millis(*ms).as_secs_f64()).zip(counts.by_ref()).collect();
        let all = counts.next().unwrap_or_default();
        (ends, all, Duration::from_micros(self.micros.load(Ordering::Relaxed)).as_secs_f64())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn api_metrics_count_durations_in_buckets() {
        let histogram = Histogram::new();
        for ms in [0, 1, 2, 3, 100, 101, 60_000] {
            histogram.observe(Duration::from_millis(ms));
        }
        let (ends, all, seconds) = histogram.read();
        let counts: Vec<u64> = ends.iter().map(|(_, count)| *count).collect();
        assert_eq!(counts, [2, 3, 4, 4, 4, 5, 6, 6, 6]);
        assert_eq!((all, (seconds * 1000.0).round()), (7, 60_207.0));
    }
}
