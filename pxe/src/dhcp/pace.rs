//! How many lines a second are written of what is normal, so that thousands of machines that come at once are not
//! held up by the log.

use std::time::{Duration, Instant};

/// Most lines within a second.
const LINES: u32 = 50;
const SECOND: Duration = Duration::from_secs(1);

/// A second's lines.
#[derive(Debug, Default)]
pub struct Pace {
    since: Option<Instant>,
    said: u32,
    held_back: u32,
}

/// What is to be done about a line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Line {
    /// Write it, and before it that so many were held back.
    Say(u32),
    /// Hold it back.
    HoldBack,
}

impl Pace {
    /// Whether one more line is written at `now`.
    pub fn next(&mut self, now: Instant) -> Line {
        if self.since.is_none_or(|since| now.duration_since(since) >= SECOND) {
            self.since = Some(now);
            self.said = 0;
        }
        if self.said >= LINES {
            self.held_back = self.held_back.saturating_add(1);
            return Line::HoldBack;
        }
        self.said += 1;
        Line::Say(std::mem::take(&mut self.held_back))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_storm_is_counted_and_told_afterwards() {
        let (mut pace, start) = (Pace::default(), Instant::now());
        let said = (0..2000).filter(|_| pace.next(start) == Line::Say(0)).count();
        assert_eq!(said, 50);
        assert_eq!(pace.next(start + Duration::from_millis(999)), Line::HoldBack);
        assert_eq!(pace.next(start + SECOND), Line::Say(1951));
        assert_eq!(pace.next(start + SECOND), Line::Say(0));
    }
}
