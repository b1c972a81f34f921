//! What is due when.

use std::collections::BTreeMap;
use std::time::Duration;

/// Things that are due, in the order of their times, and of their making where these are equal.
#[derive(Debug)]
pub(crate) struct Timers<T> {
    due: BTreeMap<(Duration, u64), T>,
    made: u64,
}

impl<T> Default for Timers<T> {
    fn default() -> Self {
        Self { due: BTreeMap::new(), made: 0 }
    }
}

impl<T> Timers<T> {
    pub(crate) fn add(&mut self, at: Duration, what: T) {
        self.made += 1;
        self.due.insert((at, self.made), what);
    }

    /// When the next is due.
    pub(crate) fn next(&self) -> Option<Duration> {
        self.due.first_key_value().map(|((at, _), _)| *at)
    }

    /// One that is due.
    pub(crate) fn pop(&mut self, now: Duration) -> Option<T> {
        let first = self.due.first_entry()?;
        (first.key().0 <= now).then(|| first.remove())
    }

    /// Puts everything off by `time`.
    pub(crate) fn put_off(&mut self, time: Duration) {
        let due = std::mem::take(&mut self.due);
        self.due = due.into_iter().map(|((at, made), what)| ((at + time, made), what)).collect();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn gossip_timers_come_in_their_order_also_when_put_off() {
        let s = Duration::from_secs;
        let mut timers = Timers::default();
        for (at, what) in [(3, 'c'), (1, 'a'), (3, 'd'), (2, 'b')] {
            timers.add(s(at), what);
        }
        assert_eq!(timers.pop(s(0)), None);
        assert_eq!(timers.pop(s(1)), Some('a'));
        timers.put_off(s(10));
        assert_eq!((timers.next(), timers.pop(s(11))), (Some(s(12)), None));
        let rest: Vec<_> = std::iter::from_fn(|| timers.pop(s(13))).collect();
        assert_eq!(rest, ['b', 'c', 'd']);
    }
}
