//! Who is installed without an agent: the first so many, whoever comes within a time, or whom a person names.

use std::str::FromStr;
use std::time::{Duration, Instant};

/// Letters and digits that nobody confuses on a screen.
const ALPHABET: &[u8; 32] = b"ABCDEFGHJKLMNPQRSTUVWXYZ23456789";
/// Longest window.
const LONGEST: Duration = Duration::from_secs(7 * 86_400);

/// Who is let in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Policy {
    /// The first so many machines.
    First(usize),
    /// The first so many that come before then.
    Window {
        /// The end.
        until: Instant,
        /// How many.
        count: usize,
    },
    /// Whom a person names by its code.
    Ask,
}

impl Policy {
    /// Whether one more is let in at `now`, when `taken` are already; else why not.
    pub(super) fn admits(self, taken: usize, now: Instant) -> Result<(), String> {
        match self {
            Self::First(count) if taken < count => Ok(()),
            Self::First(count) => {
                Err(format!("the {count} machines asked for were taken; serve again with a larger --count"))
            }
            Self::Window { until, count } if taken < count && now < until => Ok(()),
            Self::Window { count, .. } if taken >= count => {
                Err(format!("the {count} machines of the window were taken"))
            }
            Self::Window { .. } => Err("the window is over; serve again with another --window".to_owned()),
            Self::Ask => Err("type this code at the install master's terminal".to_owned()),
        }
    }
}

/// A window as written: `60m,10` is open for an hour and lets ten machines in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Window {
    /// How long.
    pub time: Duration,
    /// How many.
    pub count: usize,
}

/// Text that is no window.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "`{0}` is no window; one looks like 60m,10: for 60 minutes (s, m, h), at most 7 days, and 10 machines"
)]
pub struct BadWindow(String);

impl FromStr for Window {
    type Err = BadWindow;

    fn from_str(text: &str) -> Result<Self, BadWindow> {
        let parsed = text.split_once(',').and_then(|(time, count)| {
            let (number, seconds) = match time.strip_suffix('h') {
                Some(number) => (number, 3600),
                None => match time.strip_suffix('m') {
                    Some(number) => (number, 60),
                    None => (time.strip_suffix('s')?, 1),
                },
            };
            let time = Duration::from_secs(number.parse::<u64>().ok()?.checked_mul(seconds)?);
            let count = count.parse::<usize>().ok()?;
            (!time.is_zero() && time <= LONGEST && count > 0).then_some(Self { time, count })
        });
        parsed.ok_or_else(|| BadWindow(text.to_owned()))
    }
}

/// The code of a machine, by its hardware address: the same each time, of `len` characters (1 to 6).
pub(super) fn code(mac: &str, len: usize) -> String {
    let sum = crc32fast::hash(mac.as_bytes());
    (0..len).map(|n| char::from(ALPHABET[usize::try_from(sum >> (5 * n) & 31).unwrap_or(0)])).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn windows_as_written() {
        let minutes = |n: u64| Duration::from_secs(60 * n);
        let rows: &[(&str, Option<(Duration, usize)>)] = &[
            ("60m,10", Some((minutes(60), 10))),
            ("2h,1", Some((minutes(120), 1))),
            ("90s,500", Some((Duration::from_secs(90), 500))),
            ("60,10", None),
            ("60m", None),
            ("60m,", None),
            ("60m,0", None),
            ("0m,10", None),
            ("169h,10", None),
            ("99999999999999999999h,1", None),
            ("18446744073709551615h,1", None),
            ("", None),
        ];
        for (text, wanted) in rows {
            let got = text.parse::<Window>().ok().map(|w| (w.time, w.count));
            assert_eq!(got, *wanted, "{text}");
        }
    }

    #[test]
    fn who_is_let_in() {
        let now = Instant::now();
        let later = now + Duration::from_secs(60);
        let window = Policy::Window { until: later, count: 2 };
        let rows = [
            ("first of one", Policy::First(1), 0, now, None),
            ("second of one", Policy::First(1), 1, now, Some("larger --count")),
            ("within the window", window, 1, now, None),
            ("the window is full", window, 2, now, Some("were taken")),
            ("the window is over", window, 0, later, Some("is over")),
            ("a person decides", Policy::Ask, 0, now, Some("type this code")),
        ];
        for (name, policy, taken, at, wanted) in rows {
            match (policy.admits(taken, at), wanted) {
                (Ok(()), None) => {}
                (Err(why), Some(part)) => assert!(why.contains(part), "{name}: {why}"),
                (got, _) => panic!("{name}: {got:?}"),
            }
        }
    }

    #[test]
    fn codes_are_short_plain_and_stay() {
        let one = code("52:54:00:00:00:01", 4);
        assert!(one.len() == 4 && one.bytes().all(|b| ALPHABET.contains(&b)), "{one}");
        assert_eq!(one, code("52:54:00:00:00:01", 4));
        assert_ne!(one, code("52:54:00:00:00:02", 4));
        assert!(code("52:54:00:00:00:01", 6).starts_with(&one));
    }
}
