//! How fast it goes and how long it will take, from what has been done so far. Pure: the time is an argument.

use std::collections::VecDeque;
use std::time::Duration;

/// The rate is taken over so much of the past.
const WINDOW: Duration = Duration::from_secs(8);
/// How often what is shown changes: each change costs bytes on a serial line.
const PERIOD: Duration = Duration::from_secs(1);
/// No time is told before so much has been measured.
const WARM_UP: Duration = Duration::from_secs(3);

/// Measures work. Units are bytes, but for steps that move hardly any and count as a few MiB.
#[derive(Debug, Clone, Default)]
pub struct Meter {
    samples: VecDeque<(Duration, u64)>,
    start: Option<Duration>,
    done: u64,
    total: u64,
    step_end: u64,
    drawn: Option<Duration>,
    shown: Shown,
}

/// What is shown of it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Shown {
    /// Percent of the whole.
    pub percent: u8,
    /// Bytes a second; `None` while hardly any move.
    pub rate: Option<u64>,
    /// Seconds left of this step, where it moves bytes.
    pub step_left: Option<u64>,
    /// Seconds left of the whole.
    pub left: Option<u64>,
    /// Seconds since the beginning.
    pub elapsed: u64,
}

impl Meter {
    /// A step begins; `step_end` is the work that will be done at its end.
    pub fn step(&mut self, step_end: u64) {
        self.step_end = step_end;
        self.samples.clear();
    }

    /// So much of so much is done.
    pub fn work(&mut self, done: u64, total: u64) {
        self.done = done.max(self.done);
        self.total = total;
    }

    /// Looks at the clock; true when what is shown has changed.
    pub fn tick(&mut self, now: Duration) -> bool {
        let start = *self.start.get_or_insert(now);
        if self.drawn.is_some_and(|drawn| now.saturating_sub(drawn) < PERIOD) {
            return false;
        }
        self.drawn = Some(now);
        self.samples.push_back((now, self.done));
        while self.samples.front().is_some_and(|(at, _)| now.saturating_sub(*at) > WINDOW) {
            self.samples.pop_front();
        }
        let shown = self.measure(now.saturating_sub(start));
        let changed = shown != self.shown;
        self.shown = shown;
        changed
    }

    /// What is to be shown.
    #[must_use]
    pub fn shown(&self) -> Shown {
        self.shown
    }

    fn measure(&self, elapsed: Duration) -> Shown {
        let rate = self.rate();
        let average = per_second(self.done, elapsed).filter(|_| elapsed >= WARM_UP);
        // The rest is not all like this step: the whole is judged by the average.
        let left =
            |until: u64, rate: Option<u64>| Some(until.saturating_sub(self.done) / rate.filter(|r| *r > 0)?);
        let percent = u128::from(self.done) * 100 / u128::from(self.total.max(1));
        Shown {
            percent: u8::try_from(percent.min(100)).unwrap_or(100),
            rate,
            step_left: left(self.step_end, rate),
            left: left(self.total, average),
            elapsed: elapsed.as_secs(),
        }
    }

    /// Bytes a second in this step; `None` before there are two looks at it, and where nothing moves.
    fn rate(&self) -> Option<u64> {
        let ((first, before), (last, now)) = (self.samples.front()?, self.samples.back()?);
        per_second(now.saturating_sub(*before), last.saturating_sub(*first)).filter(|rate| *rate > 0)
    }
}

fn per_second(done: u64, time: Duration) -> Option<u64> {
    let millis = time.as_millis();
    (millis > 0).then(|| u64::try_from(u128::from(done) * 1000 / millis).unwrap_or(u64::MAX))
}

/// Seconds as a person reads them: `45 s`, `3 min 20 s`, `1 h 5 min`.
#[must_use]
pub fn seconds_text(seconds: u64) -> String {
    match seconds {
        0..60 => format!("{seconds} s"),
        60..3600 => format!("{} min {} s", seconds / 60, seconds % 60),
        _ => format!("{} h {} min", seconds / 3600, seconds / 60 % 60),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MIB: u64 = 1 << 20;

    /// Looks once a second at work that goes on with `rate` for `seconds`.
    fn run(meter: &mut Meter, from: u64, seconds: u64, done: u64, rate: u64, total: u64) -> u64 {
        for second in 0..seconds {
            meter.work(done + rate * second, total);
            meter.tick(Duration::from_secs(from + second));
        }
        done + rate * (seconds - 1)
    }

    #[test]
    fn a_steady_step_tells_its_rate_and_what_is_left() {
        let mut meter = Meter::default();
        meter.step(200 * MIB);
        run(&mut meter, 0, 11, 0, 10 * MIB, 400 * MIB);
        let want =
            Shown { percent: 25, rate: Some(10 * MIB), step_left: Some(10), left: Some(30), elapsed: 10 };
        assert_eq!(meter.shown(), want);
    }

    #[test]
    fn a_rate_is_that_of_the_last_seconds_and_of_this_step() {
        let mut meter = Meter::default();
        meter.step(2000 * MIB);
        let done = run(&mut meter, 0, 20, 0, 100 * MIB, 4000 * MIB);
        let done = run(&mut meter, 20, 20, done, MIB, 4000 * MIB);
        assert_eq!(meter.shown().rate, Some(MIB), "the fast past is forgotten");
        meter.step(3000 * MIB);
        meter.work(done, 4000 * MIB);
        meter.tick(Duration::from_secs(40));
        assert_eq!(
            (meter.shown().rate, meter.shown().step_left),
            (None, None),
            "a new step is measured anew"
        );
        assert!(meter.shown().left.is_some());
    }

    #[test]
    fn what_stands_still_or_has_no_size_does_no_harm() {
        let mut meter = Meter::default();
        assert!(!Meter::default().tick(Duration::ZERO), "nothing has changed");
        run(&mut meter, 0, 30, 5, 0, 0);
        assert_eq!((meter.shown().rate, meter.shown().percent), (None, 100));
        meter.work(0, 10);
        assert!(!meter.tick(Duration::from_secs(29)), "the clock may stand or go back");
    }

    #[test]
    fn what_is_shown_changes_at_most_once_a_second() {
        let mut meter = Meter::default();
        let changes = (0..100).filter(|tenth| {
            meter.work(tenth * MIB, 1000 * MIB);
            meter.tick(Duration::from_millis(tenth * 100))
        });
        assert!(changes.count() <= 10);
    }

    #[test]
    fn seconds_are_written_for_people() {
        for (seconds, want) in [(0, "0 s"), (59, "59 s"), (200, "3 min 20 s"), (3900, "1 h 5 min")] {
            assert_eq!(seconds_text(seconds), want);
        }
    }
}
