//! Byte ranges, RFC 9110 section 14. One range at a time; several are answered with the whole file.

/// What a Range header asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Wanted {
    /// All of it: no header, several ranges, another unit, or nonsense (which a server ignores).
    Whole,
    /// These bytes, at least one.
    Part {
        /// First byte.
        from: u64,
        /// How many.
        len: u64,
    },
    /// Nothing that exists.
    Unsatisfiable,
}

/// Reads a Range header's value for a file of `size` bytes.
#[must_use]
pub fn parse_range(value: &str, size: u64) -> Wanted {
    let Some(spec) = value.trim().strip_prefix("bytes=").filter(|spec| !spec.contains(',')) else {
        return Wanted::Whole;
    };
    let Some((first, last)) = spec.trim().split_once('-') else { return Wanted::Whole };
    let digits =
        |text: &str| text.bytes().all(|b| b.is_ascii_digit()).then(|| text.parse::<u64>().ok()).flatten();
    let part = |from: u64, end: u64| match from < end {
        true => Wanted::Part { from, len: end - from },
        false => Wanted::Unsatisfiable,
    };
    match (first, last) {
        ("", "") => Wanted::Whole,
        ("", suffix) => digits(suffix).map_or(Wanted::Whole, |n| part(size.saturating_sub(n), size)),
        (first, "") => digits(first).map_or(Wanted::Whole, |first| part(first, size)),
        (first, last) => match (digits(first), digits(last)) {
            (Some(first), Some(last)) if first <= last => part(first, size.min(last.saturating_add(1))),
            _ => Wanted::Whole,
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges() {
        let part = |from, len| Wanted::Part { from, len };
        let rows: &[(&str, u64, Wanted)] = &[
            ("bytes=0-9", 100, part(0, 10)),
            ("bytes=90-", 100, part(90, 10)),
            ("bytes=-10", 100, part(90, 10)),
            ("bytes=-1000", 100, part(0, 100)),
            ("bytes=50-1000", 100, part(50, 50)),
            ("bytes=99-99", 100, part(99, 1)),
            ("bytes=100-", 100, Wanted::Unsatisfiable),
            ("bytes=100-200", 100, Wanted::Unsatisfiable),
            ("bytes=-0", 100, Wanted::Unsatisfiable),
            ("bytes=0-", 0, Wanted::Unsatisfiable),
            ("bytes=9-0", 100, Wanted::Whole),
            ("bytes=0-1,5-6", 100, Wanted::Whole),
            ("bytes=a-b", 100, Wanted::Whole),
            ("bytes=+1-2", 100, Wanted::Whole),
            ("bytes=-", 100, Wanted::Whole),
            ("lines=1-2", 100, Wanted::Whole),
            ("", 100, Wanted::Whole),
            ("bytes=0-18446744073709551615", 100, part(0, 100)),
            ("bytes=99999999999999999999999-", 100, Wanted::Whole),
        ];
        for (value, size, wanted) in rows {
            assert_eq!(parse_range(value, *size), *wanted, "{value}");
        }
    }
}
