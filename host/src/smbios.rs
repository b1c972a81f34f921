//! The firmware's own tables (SMBIOS), for what sysfs has no file for: OEM strings. The layout is that of the
//! specification DSP0134, section 6.1; a table that breaks its rules ends where it does so.

use std::path::Path;

use crate::file;

/// Where the kernel shows the tables, to root.
pub const TABLES: &str = "/sys/firmware/dmi/tables/DMI";
/// Largest tables that are read, in bytes: their own length field has 16 bits up to SMBIOS 2, 32 since.
const LIMIT: u64 = 1 << 20;
const OEM_STRINGS: u8 = 11;
const END: u8 = 127;

/// The OEM strings (type 11) in the tables' bytes, in order.
#[must_use]
pub fn parse_oem_strings(tables: &[u8]) -> Vec<String> {
    let mut found = Vec::new();
    let mut rest = tables;
    while let [kind, length, _, _, ..] = *rest {
        let length = usize::from(length);
        if kind == END || length < 4 || rest.len() < length {
            break;
        }
        // Strings follow the formatted part, each ended by a zero, the last by two; none at all: two zeros.
        let strings = &rest[length..];
        let Some(end) = strings.windows(2).position(|pair| pair == [0, 0]) else { break };
        if kind == OEM_STRINGS {
            let texts = strings[..end].split(|b| *b == 0).filter(|text| !text.is_empty());
            found.extend(texts.map(|text| String::from_utf8_lossy(text).into_owned()));
        }
        rest = &strings[end + 2..];
    }
    found
}

/// The machine's OEM strings; none where the firmware has no tables or hides them.
#[must_use]
pub fn oem_strings() -> Vec<String> {
    match file::read_bytes(Path::new(TABLES), LIMIT) {
        Ok(tables) => parse_oem_strings(&tables),
        Err(e) => {
            tracing::debug!(error = %e, "no SMBIOS tables");
            Vec::new()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn table(kind: u8, formatted: &[u8], strings: &[&str]) -> Vec<u8> {
        let mut bytes = vec![kind, u8::try_from(4 + formatted.len()).unwrap(), 0, 0];
        bytes.extend(formatted);
        for text in strings {
            bytes.extend(text.as_bytes());
            bytes.push(0);
        }
        bytes.extend(if strings.is_empty() { vec![0, 0] } else { vec![0] });
        bytes
    }

    #[test]
    fn oem_strings_are_found_among_other_tables() {
        let mut tables = table(0, &[1, 2, 3], &["BIOS maker"]);
        tables.extend(table(3, &[], &[]));
        tables.extend(table(11, &[2], &["first", "maekin.answer-url=https://x/"]));
        tables.extend(table(11, &[1], &["third"]));
        tables.extend(table(127, &[], &[]));
        tables.extend(table(11, &[1], &["behind the end"]));
        assert_eq!(parse_oem_strings(&tables), ["first", "maekin.answer-url=https://x/", "third"]);
    }

    #[test]
    fn hostile_tables_end_without_harm() {
        let good = table(11, &[1], &["kept"]);
        for tail in
            [vec![], vec![11], vec![11, 0, 0, 0], vec![11, 255, 0, 0, 1], vec![11, 5, 0, 0, 1, b'a', 0]]
        {
            assert_eq!(parse_oem_strings(&[good.clone(), tail].concat()), ["kept"]);
        }
        assert!(parse_oem_strings(&[0; 64]).is_empty() && parse_oem_strings(&[0xff; 64]).is_empty());
    }
}
