//! Sizes of drives as people write them: `200GB`, `1TB`, `186GiB`.

/// Bytes; `None` where it is no size. Units are those printed on drives (powers of 1000) or, with `i`, of 1024.
#[must_use]
pub fn parse_size(text: &str) -> Option<u64> {
    let digits = text.find(|c: char| !c.is_ascii_digit())?;
    let number: u64 = text[..digits].parse().ok()?;
    let unit = text[digits..].strip_prefix(' ').unwrap_or(&text[digits..]);
    let factor: u64 = match unit {
        "B" => 1,
        "kB" => 1000,
        "MB" => 1000u64.pow(2),
        "GB" => 1000u64.pow(3),
        "TB" => 1000u64.pow(4),
        "kiB" | "KiB" => 1 << 10,
        "MiB" => 1 << 20,
        "GiB" => 1 << 30,
        "TiB" => 1 << 40,
        _ => return None,
    };
    number.checked_mul(factor)
}

#[cfg(test)]
mod tests {
    use super::parse_size;

    #[test]
    fn sizes_are_read_as_they_are_written() {
        for (text, want) in [
            ("200GB", Some(200_000_000_000)),
            ("1 TB", Some(1_000_000_000_000)),
            ("8GiB", Some(8 << 30)),
            ("30TB", Some(30_000_000_000_000)),
            ("0B", Some(0)),
            ("200", None),
            ("GB", None),
            ("", None),
            ("-1GB", None),
            ("1.5TB", None),
            ("200gb", None),
            ("99999999999TB", None),
        ] {
            assert_eq!(parse_size(text), want, "{text}");
        }
    }
}
