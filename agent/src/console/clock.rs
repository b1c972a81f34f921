//! This node's clock: how it is (as timedatectl(1) tells it; parsing is pure), and setting it by hand.

use std::collections::BTreeMap;
use std::time::Duration;

use jiff::civil::DateTime;
use jiff::tz::TimeZone;
use maekin_host::cmd::{Cmd, exists};

use crate::errors::chain;

/// How long a program may take.
const LIMIT: Duration = Duration::from_secs(10);
/// Times that a clock is set to: from the first release to the end of what certificates can say.
const RANGE: std::ops::Range<u64> = 1_735_689_600..4_102_444_800;

/// How the clock is.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Clock {
    /// Time zone; empty where that is not known.
    pub(super) zone: String,
    /// The clock on the board.
    pub(super) board: String,
    /// Whether servers are asked at all.
    pub(super) asks: bool,
    /// Whether the kernel counts the clock as synchronised.
    pub(super) synchronised: bool,
    /// Servers named by the node file; empty: Debian's.
    pub(super) servers: String,
    /// Servers where none is named.
    pub(super) fallback: String,
    /// The one that is asked now.
    pub(super) server: String,
    /// How far away the clock was.
    pub(super) offset: String,
    pub(super) stratum: String,
    /// Answers since the service started.
    pub(super) answers: u64,
    /// Why something above is missing.
    pub(super) problem: String,
    /// When this was read.
    pub(super) read: u64,
}

impl Clock {
    /// From the texts of `timedatectl show`, `show-timesync` and `timesync-status`.
    fn parse(show: &str, sync: &str, status: &str) -> Self {
        let (show, sync, status) = (pairs(show, '='), pairs(sync, '='), pairs(status, ':'));
        let text = |map: &BTreeMap<String, String>, key: &str| map.get(key).cloned().unwrap_or_default();
        let yes = |key| show.get(key).is_some_and(|value| value == "yes");
        let named = ["SystemNTPServers", "LinkNTPServers", "RuntimeNTPServers"].map(|key| text(&sync, key));
        Self {
            zone: text(&show, "Timezone"),
            board: text(&show, "RTCTimeUSec"),
            asks: yes("NTP"),
            synchronised: yes("NTPSynchronized"),
            servers: named.join(" ").trim().to_owned(),
            fallback: text(&sync, "FallbackNTPServers"),
            server: text(&status, "Server"),
            offset: text(&status, "Offset"),
            stratum: text(&status, "Stratum"),
            answers: text(&status, "Packet count").parse().unwrap_or(0),
            ..Self::default()
        }
    }

    /// Asks.
    pub(super) fn read(now: u64) -> Self {
        let ask = |args: &[&str]| Cmd::new("timedatectl").arg("--no-pager").args(args).limit(LIMIT).text();
        let show = ask(&["show"]);
        let problem = show.as_ref().err().map(|e| chain(e)).unwrap_or_default();
        let or_nothing = |text: Result<String, _>| text.unwrap_or_default();
        let (sync, status) = (ask(&["show-timesync", "--all"]), ask(&["timesync-status"]));
        let clock = Self::parse(&or_nothing(show), &or_nothing(sync), &or_nothing(status));
        Self { problem, read: now, ..clock }
    }

    /// Why the clock is not set by hand; `None`: it may be.
    pub(super) fn refusal(&self) -> Option<&'static str> {
        if self.synchronised {
            return Some("A server sets this clock; by hand it is set only where none answers.");
        }
        let unknown = "It is not known whether a server sets this clock, so it is not set by hand.";
        (!self.problem.is_empty()).then_some(unknown)
    }
}

/// Lines of names and values; names that come twice keep the first value. Bounded by what is given.
fn pairs(text: &str, sign: char) -> BTreeMap<String, String> {
    let mut map = BTreeMap::new();
    for (key, value) in text.lines().filter_map(|line| line.split_once(sign)) {
        map.entry(key.trim().to_owned()).or_insert_with(|| value.trim().to_owned());
    }
    map
}

/// A time as a person types it, in UTC: `2026-11-20 22:05`, with seconds or without.
pub(super) fn parse_time(text: &str) -> Option<u64> {
    let text = text.trim();
    let parse = |format| DateTime::strptime(format, text).ok();
    let time = parse("%Y-%m-%d %H:%M:%S").or_else(|| parse("%Y-%m-%d %H:%M"))?;
    let seconds = time.to_zoned(TimeZone::UTC).ok()?.timestamp().as_second();
    u64::try_from(seconds).ok().filter(|at| RANGE.contains(at))
}

/// `2026-11-20 22:05:00`, in UTC.
pub(super) fn time_text(at: u64) -> String {
    let time = i64::try_from(at).ok().and_then(|at| jiff::Timestamp::from_second(at).ok());
    time.map_or_else(|| at.to_string(), |t| t.strftime("%Y-%m-%d %H:%M:%S").to_string())
}

/// Sets the clock to `at`, where no server does; says what came of it.
pub(super) fn set(at: u64, now: u64) -> String {
    if let Some(why) = Clock::read(now).refusal() {
        return why.to_owned();
    }
    if let Err(e) = Cmd::new("date").args(["--utc", "--set", &format!("@{at}")]).limit(LIMIT).run() {
        return chain(&e);
    }
    tracing::warn!(event = "clock-set", from = %time_text(now), to = %time_text(at), "the clock was set by hand");
    let done = format!("The clock is set to {} UTC", time_text(at));
    if !exists("hwclock") {
        return format!("{done}; the board's clock follows with the first answer of a server.");
    }
    match Cmd::new("hwclock").args(["--systohc", "--utc"]).limit(LIMIT).run() {
        Ok(()) => format!("{done}, and so is the board's."),
        Err(e) => format!("{done}, but not the board's: {}", chain(&e)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SHOW: &str = "Timezone=Etc/UTC\nLocalRTC=no\nCanNTP=yes\nNTP=yes\nNTPSynchronized=yes\n\
        TimeUSec=Fri 2026-11-20 22:03:00 UTC\nRTCTimeUSec=Fri 2026-11-20 22:03:01 UTC\n";
    const SYNC: &str = "LinkNTPServers=\nSystemNTPServers=a.example 10.0.0.1\nRuntimeNTPServers=\n\
        FallbackNTPServers=0.debian.pool.ntp.org 1.debian.pool.ntp.org\nServerName=a.example\n";
    const STATUS: &str = "       Server: 10.0.0.9 (a.example)\nPoll interval: 1min 4s (min: 32s; max 34min 8s)\n\
                 Leap: normal\n      Stratum: 2\n       Offset: +1.049ms\n Packet count: 60\n";

    #[test]
    fn console_time_is_read_as_timedatectl_tells_it() {
        let clock = Clock::parse(SHOW, SYNC, STATUS);
        let want = Clock {
            zone: "Etc/UTC".into(),
            board: "Fri 2026-11-20 22:03:01 UTC".into(),
            asks: true,
            synchronised: true,
            servers: "a.example 10.0.0.1".into(),
            fallback: "0.debian.pool.ntp.org 1.debian.pool.ntp.org".into(),
            server: "10.0.0.9 (a.example)".into(),
            offset: "+1.049ms".into(),
            stratum: "2".into(),
            answers: 60,
            ..Clock::default()
        };
        assert_eq!(clock, want);
        assert!(clock.refusal().is_some(), "a clock that a server sets is not set by hand");
        assert_eq!(Clock::parse("", "", ""), Clock::default());
        assert!(
            Clock::parse(&SHOW.replace("Synchronized=yes", "Synchronized=no"), SYNC, "").refusal().is_none()
        );
        let unknown = Clock { problem: "no bus".into(), ..Clock::default() };
        assert!(unknown.refusal().is_some(), "what is not known is no reason to set it");
        assert_eq!(Clock::parse("===\n=\nx", "\0=\u{1b}", ":::"), Clock::default());
    }

    #[test]
    fn console_time_is_typed_in_one_way_only() {
        let rows = [
            ("2026-11-20 22:00:00", Some(1_795_212_000)),
            (" 2026-11-20 22:00 ", Some(1_795_212_000)),
            ("2026-11-20", None),
            ("20.11.2026 22:00", None),
            ("2026-13-20 22:00", None),
            ("2026-11-20 25:00", None),
            ("1999-11-20 22:00", None),
            ("9999-11-20 22:00", None),
            ("now", None),
            ("", None),
        ];
        for (text, want) in rows {
            assert_eq!(parse_time(text), want, "{text:?}");
        }
        assert_eq!(time_text(1_795_212_000), "2026-11-20 22:00:00");
    }
}
