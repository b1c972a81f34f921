//! What this node says of itself.

use std::fs;

use maekin_api::boot_drives::State;
use maekin_gossip::{BootHealth, Status};

use crate::app::App;

/// Looks. `quorum` is whether it reaches one.
pub(super) fn look(app: &App, quorum: Option<bool>) -> Status {
    // An unreadable file says nothing.
    let read = |path: &str| fs::read_to_string(path).unwrap_or_default();
    Status {
        load: parse_load(&read("/proc/loadavg")),
        memory: parse_memory(&read("/proc/meminfo")),
        boot: health(app.boot_drives.report().state),
        quorum,
        version: app.boot.as_ref().map_or(env!("CARGO_PKG_VERSION"), |b| &b.version).to_owned(),
    }
}

fn health(state: State) -> BootHealth {
    match state {
        State::Unknown => BootHealth::Unknown,
        State::Whole | State::Single => BootHealth::Whole,
        State::Healing | State::Degraded | State::AtRisk => BootHealth::Degraded,
    }
}

/// Hundredths of the load of the last minute, from /proc/loadavg (proc_loadavg(5)); 0 where it does not say.
fn parse_load(text: &str) -> u16 {
    let first = text.split_whitespace().next().unwrap_or_default();
    let (whole, part) = first.split_once('.').unwrap_or((first, "0"));
    let hundredths = |part: &str| part.get(..2).and_then(|two| two.parse::<u64>().ok()).unwrap_or(0);
    let load = whole.parse::<u64>().unwrap_or(0).saturating_mul(100).saturating_add(hundredths(part));
    u16::try_from(load).unwrap_or(u16::MAX)
}

/// Percent of memory that is in use, from /proc/meminfo (proc_meminfo(5)).
fn parse_memory(text: &str) -> Option<u8> {
    let field = |name: &str| {
        let line = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'))?;
        line.split_whitespace().next()?.parse::<u64>().ok()
    };
    let (total, available) = (field("MemTotal")?, field("MemAvailable")?);
    let used = total.saturating_sub(available).saturating_mul(100).checked_div(total)?;
    u8::try_from(used).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn gossip_load_and_memory_are_read_as_the_kernel_writes_them() {
        let rows = [
            ("5.82 5.67 4.39 6/512 12345\n", 582),
            ("0.07 0 0", 7),
            ("1234.50 0 0", u16::MAX),
            ("", 0),
            ("x", 0),
        ];
        for (text, want) in rows {
            assert_eq!(parse_load(text), want, "{text:?}");
        }
        let meminfo =
            "MemTotal:       16000000 kB\nMemFree:          100000 kB\nMemAvailable:   12000000 kB\n";
        let rows = [
            (meminfo, Some(25)),
            ("MemTotal: 0 kB\nMemAvailable: 0 kB\n", None),
            ("MemTotal: 5 kB\n", None),
            ("", None),
        ];
        for (text, want) in rows {
            assert_eq!(parse_memory(text), want, "{text:?}");
        }
    }
}
