//! Times and sizes in words. Pure: the present is an argument.

/// `2026-11-20 22:01:40Z` for seconds since 1970-01-01 UTC.
pub(crate) fn utc(seconds: u64) -> String {
    let days = seconds / 86_400;
    let (hour, minute, second) = (seconds / 3600 % 24, seconds / 60 % 60, seconds % 60);
    // Howard Hinnant, "chrono-Compatible Low-Level Date Algorithms", civil_from_days, for days after 1970.
    let z = days.saturating_add(719_468);
    let era = z / 146_097;
    let doe = z % 146_097;
    let yoe = (doe - doe / 1460 + doe / 36_524 - doe / 146_096) / 365;
    let doy = doe - (365 * yoe + yoe / 4 - yoe / 100);
    let mp = (5 * doy + 2) / 153;
    let day = doy - (153 * mp + 2) / 5 + 1;
    let month = if mp < 10 { mp + 3 } else { mp - 9 };
    let year = yoe + era * 400 + u64::from(month <= 2);
    format!("{year:04}-{month:02}-{day:02} {hour:02}:{minute:02}:{second:02}Z")
}

/// A length of time, in its two largest units: `3m20s`, `2h5m`, `41d`.
pub(crate) fn span(seconds: u64) -> String {
    let (d, h, m, s) = (seconds / 86_400, seconds / 3600 % 24, seconds / 60 % 60, seconds % 60);
    match (d, h, m) {
        (0, 0, 0) => format!("{s}s"),
        (0, 0, 1..10) => format!("{m}m{s}s"),
        (0, 0, _) => format!("{m}m"),
        (0, 1..10, _) => format!("{h}h{m}m"),
        (0, _, _) => format!("{h}h"),
        (1..10, _, _) => format!("{d}d{h}h"),
        _ => format!("{d}d"),
    }
}

/// How far a moment is from now: `3m20s` for one that was, `in 2h5m` for one that comes.
pub(crate) fn distance(moment: u64, now: u64) -> String {
    if moment > now { format!("in {}", span(moment - now)) } else { span(now - moment) }
}

/// Bytes in words, by powers of 1024: `512 B`, `3.5 GiB`.
pub(crate) fn bytes(count: u64) -> String {
    const UNITS: [&str; 7] = ["B", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB"];
    let mut unit = 0;
    let mut scale: u64 = 1;
    while unit + 1 < UNITS.len() && count / scale >= 1024 {
        unit += 1;
        scale = scale.saturating_mul(1024);
    }
    let (whole, tenths) = (count / scale, count % scale / (scale / 10).max(1));
    if unit == 0 || whole >= 10 || tenths == 0 {
        format!("{whole} {}", UNITS[unit])
    } else {
        format!("{whole}.{} {}", tenths.min(9), UNITS[unit])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cli_times_are_told_in_utc() {
        let rows = [
            (0, "1970-01-01 00:00:00Z"),
            (951_782_399, "2000-02-28 23:59:59Z"),
            (951_782_400, "2000-02-29 00:00:00Z"),
            (1_709_251_200, "2024-03-01 00:00:00Z"),
            (1_795_212_100, "2026-11-20 22:01:40Z"),
            (4_102_444_799, "2099-12-31 23:59:59Z"),
        ];
        for (seconds, want) in rows {
            assert_eq!(utc(seconds), want);
        }
        assert!(!utc(u64::MAX).is_empty(), "a hostile number is a strange date and no panic");
    }

    #[test]
    fn cli_spans_have_two_units_at_most() {
        let rows = [
            (0, "0s"),
            (59, "59s"),
            (60, "1m0s"),
            (200, "3m20s"),
            (3599, "59m"),
            (7500, "2h5m"),
            (86_399, "23h"),
            (90_000, "1d1h"),
            (3_600_000, "41d"),
        ];
        for (seconds, want) in rows {
            assert_eq!(span(seconds), want);
        }
        assert_eq!((distance(10, 30).as_str(), distance(30, 10).as_str()), ("20s", "in 20s"));
    }

    #[test]
    fn cli_sizes_are_told_by_powers_of_1024() {
        let rows = [
            (0, "0 B"),
            (1023, "1023 B"),
            (1024, "1 KiB"),
            (1536, "1.5 KiB"),
            (17_179_869_184, "16 GiB"),
            (3_758_096_384, "3.5 GiB"),
            (u64::MAX, "15 EiB"),
        ];
        for (count, want) in rows {
            assert_eq!(bytes(count), want);
        }
    }
}
