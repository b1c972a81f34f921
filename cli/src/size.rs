//! Sizes as people write them. Pure.

/// Bytes of `20G`, `20GiB` (powers of 1024), `20GB` (powers of 1000) or `21474836480`.
///
/// # Errors
/// It is no size.
pub(crate) fn parse(text: &str) -> Result<u64, String> {
    let wrong =
        || format!("`{text}` is no size: write 20G or 20GiB (times 1024), 20GB (times 1000), or bytes");
    let digits = text.bytes().take_while(u8::is_ascii_digit).count();
    let (number, unit) = text.split_at(digits);
    let number: u64 = number.parse().map_err(|_| wrong())?;
    let mut letters = unit.chars();
    let power = match letters.next().map(|letter| letter.to_ascii_uppercase()) {
        None => return Ok(number),
        Some('B') if unit.len() == 1 => return Ok(number),
        Some('K') => 1,
        Some('M') => 2,
        Some('G') => 3,
        Some('T') => 4,
        Some('P') => 5,
        Some(_) => return Err(wrong()),
    };
    let base: u64 = match letters.as_str() {
        "" | "i" | "ib" | "iB" => 1024,
        "B" | "b" => 1000,
        _ => return Err(wrong()),
    };
    base.checked_pow(power).and_then(|unit| number.checked_mul(unit)).ok_or_else(wrong)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cli_sizes_are_understood_as_people_write_them() {
        let rows = [
            ("0", Some(0)),
            ("21474836480", Some(20 << 30)),
            ("20G", Some(20 << 30)),
            ("20g", Some(20 << 30)),
            ("20GiB", Some(20 << 30)),
            ("20GB", Some(20_000_000_000)),
            ("512M", Some(512 << 20)),
            ("1T", Some(1 << 40)),
            ("4KiB", Some(4096)),
            ("7B", Some(7)),
            ("16383P", Some(16383 << 50)),
            ("16384P", None),
            ("", None),
            ("G", None),
            ("-1G", None),
            ("1.5G", None),
            ("20 G", None),
            ("20GG", None),
            ("20X", None),
            ("99999999999999999999", None),
            ("1ä", None),
        ];
        for (text, want) in rows {
            assert_eq!(parse(text).ok(), want, "{text}");
        }
    }
}
