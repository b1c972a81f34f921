//! When something is asked or said on one interface. Pure: times are arguments, of a clock that only goes forward.
//!
//! A node says what it is three times when it begins, and whenever that changes; else only when it is asked, and at most
//! once a second (RFC 6762 sections 6 and 8.3). Members ask for those that wait about once a minute, and whoever hears
//! another one ask waits as long again (section 7.3): one packet a minute on a wire, however many members are on it.

use std::time::Duration;

/// When a beginning is said, or asked, again.
const BEGIN: [Duration; 3] = [Duration::ZERO, Duration::from_secs(1), Duration::from_secs(3)];
/// How often those that wait are asked for, at least and at most.
const ASK: (Duration, Duration) = (Duration::from_secs(40), Duration::from_secs(55));
/// How often all are asked for: other clusters come seldom.
const ASK_ALL: Duration = Duration::from_secs(1800);
/// The same by a member that looks for the others.
const SEEK: Duration = Duration::from_secs(15);
/// Least time between two answers.
const APART: Duration = Duration::from_secs(1);
/// How long an answer waits at least and at most, so that not all answer at once.
const SPREAD: (Duration, Duration) = (Duration::from_millis(20), Duration::from_millis(120));

/// What is due.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Due {
    /// Say what this node is.
    pub(super) say: bool,
    /// Ask for those that wait.
    pub(super) ask: bool,
    /// Ask for all.
    pub(super) ask_all: bool,
}

/// What is to be done when.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Turns {
    /// When it is said, in order.
    say: Vec<Duration>,
    said: Option<Duration>,
    /// When is asked for those that wait, in order; empty on a node that waits itself.
    ask: Vec<Duration>,
    ask_all: Option<Duration>,
    /// How often all are asked for.
    every: Duration,
}

fn spread((least, most): (Duration, Duration), part: u8) -> Duration {
    least + (most - least) * u32::from(part) / 255
}

impl Turns {
    /// From `now` on. `speaks`: there is something to say. `asks`: others are looked for. `seeks`: members are, and soon.
    /// `part` is random.
    pub(super) fn begin(now: Duration, (speaks, asks, seeks): (bool, bool, bool), part: u8) -> Self {
        let every = if seeks { SEEK } else { ASK_ALL };
        let later = spread(SPREAD, part);
        let times = |yes: bool| if yes { BEGIN.map(|at| now + at + later).into() } else { Vec::new() };
        Self { say: times(speaks), said: None, ask: times(asks), ask_all: asks.then_some(now + later), every }
    }

    /// Somebody asks for this node.
    pub(super) fn asked(&mut self, now: Duration, part: u8) {
        let free = self.said.map_or(now, |said| said + APART);
        let at = (now + spread(SPREAD, part)).max(free);
        if self.say.first().is_none_or(|first| *first > at) {
            self.say.insert(0, at);
        }
    }

    /// Somebody else asked for those that wait: what they answer is heard here too.
    pub(super) fn overheard(&mut self, now: Duration, part: u8) {
        if self.ask.len() == 1 {
            self.ask = vec![now + spread(ASK, part)];
        }
    }

    /// Somebody else asked for all: of many that look for each other, one asks.
    pub(super) fn overheard_all(&mut self, now: Duration, part: u8) {
        if self.every == SEEK && self.ask_all.is_some() {
            self.ask_all = Some(now + SEEK + spread(SPREAD, part));
        }
    }

    /// What is due now; it is taken for done.
    pub(super) fn due(&mut self, now: Duration, part: u8) -> Due {
        let say = self.say.first().is_some_and(|at| *at <= now);
        if say {
            self.say.retain(|at| *at > now);
            self.say.iter_mut().for_each(|at| *at = (*at).max(now + APART));
            self.say.dedup();
            self.said = Some(now);
        }
        let ask = self.ask.first().is_some_and(|at| *at <= now);
        if ask {
            self.ask.retain(|at| *at > now);
            if self.ask.is_empty() {
                self.ask = vec![now + spread(ASK, part)];
            }
        }
        let ask_all = self.ask_all.is_some_and(|at| at <= now);
        if ask_all {
            self.ask_all = Some(now + self.every);
        }
        Due { say, ask, ask_all }
    }

    /// When something is due next.
    pub(super) fn next(&self) -> Option<Duration> {
        self.say.first().into_iter().chain(self.ask.first()).chain(&self.ask_all).min().copied()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Runs until `end`; how often was said, asked, and asked for all.
    fn run(turns: &mut Turns, end: u64, mut each: impl FnMut(&mut Turns, Duration)) -> (u32, u32, u32) {
        let mut done = (0, 0, 0);
        while let Some(now) = turns.next().filter(|at| *at <= Duration::from_secs(end)) {
            let due = turns.due(now, 100);
            done.0 += u32::from(due.say);
            done.1 += u32::from(due.ask);
            done.2 += u32::from(due.ask_all);
            assert_ne!(due, Due::default(), "it wakes for something");
            each(turns, now);
        }
        done
    }

    #[test]
    fn join_little_is_said_and_asked() {
        let hour = 3600;
        let at = Duration::from_secs;
        let rows = [
            ("a member", (true, true, false), (3, 80, 2)),
            ("one that waits", (true, false, false), (3, 0, 0)),
            ("one that says nothing", (false, false, false), (0, 0, 0)),
            ("a member that looks for the others", (false, true, true), (0, 80, 236)),
        ];
        for (name, role, want) in rows {
            let mut turns = Turns::begin(at(0), role, 100);
            assert_eq!(run(&mut turns, hour - 60, |_, _| {}), want, "{name}");
        }
        // Another member asks every 30 s: this one asks no more.
        let mut turns = Turns::begin(at(0), (false, true, false), 100);
        run(&mut turns, 5, |_, _| {});
        for second in (10..1000).step_by(30) {
            turns.overheard(at(second), 255);
            assert_eq!(turns.due(at(second), 255), Due::default(), "{second}");
        }
        let mut seeks = Turns::begin(at(0), (false, true, true), 100);
        run(&mut seeks, 5, |_, _| {});
        for second in (10..1000).step_by(10) {
            seeks.overheard_all(at(second), 255);
            assert!(!seeks.due(at(second), 255).ask_all, "{second}: another one asked");
        }
    }

    #[test]
    fn join_answers_are_a_second_apart() {
        let mut turns = Turns::begin(Duration::ZERO, (false, false, false), 0);
        let mut last = None;
        let mut said = 0;
        for tenth in 0..100 {
            let now = Duration::from_millis(100 * tenth);
            turns.asked(now, 255);
            turns.asked(now, 0);
            if turns.due(now, 0).say {
                assert!(last.is_none_or(|last| now - last >= APART), "{now:?}");
                last = Some(now);
                said += 1;
            }
        }
        assert!((8..=10).contains(&said), "{said}");
        assert!(turns.say.len() <= 2, "no queue grows: {turns:?}");
    }
}
