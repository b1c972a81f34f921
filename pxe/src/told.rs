//! What was already said of whom, so that a machine which asks every few seconds does not fill the log.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use crate::hw::HwAddr;

/// How long it is not said again.
const QUIET: Duration = Duration::from_secs(3600);
/// Most machines remembered; more are counted, but nothing is said of them.
const MAX: usize = 4096;

/// The machines of which one thing was said lately.
#[derive(Debug, Default)]
pub struct Told(Mutex<HashMap<HwAddr, Instant>>);

impl Told {
    /// Whether it is to be said of `hw` now: the first time within an hour.
    pub fn first(&self, hw: HwAddr, now: Instant) -> bool {
        let mut told = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let lately = |at: &Instant| now.duration_since(*at) < QUIET;
        if told.get(&hw).is_some_and(lately) {
            return false;
        }
        if told.len() >= MAX {
            told.retain(|_, at| lately(at));
        }
        let room = told.len() < MAX;
        if room {
            told.insert(hw, now);
        }
        room
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn once_an_hour_and_never_of_more_than_can_be_remembered() {
        let (told, start) = (Told::default(), Instant::now());
        let machine = |n: u32| HwAddr::new(&n.to_be_bytes()).unwrap();
        assert!(told.first(machine(0), start));
        assert!(!told.first(machine(0), start + QUIET / 2));
        assert!(told.first(machine(0), start + QUIET));
        let flood = (1..10_000).filter(|n| told.first(machine(*n), start + QUIET)).count();
        assert_eq!(flood, MAX - 1);
        assert!(told.first(machine(20_000), start + 3 * QUIET), "room again once the old ones are forgotten");
    }
}
