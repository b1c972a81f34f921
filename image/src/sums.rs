//! `SHA256SUMS`, as `sha256sum -c` reads it.

use std::collections::BTreeMap;

/// File name in a bundle.
pub const SUMS: &str = "SHA256SUMS";

/// The text for files and their digests (hex).
#[must_use]
pub fn text<'a>(files: impl IntoIterator<Item = (&'a str, &'a str)>) -> String {
    files.into_iter().map(|(path, sha256)| format!("{sha256}  {path}\n")).collect()
}

/// Parses it; lines that are none are an error, by number.
///
/// # Errors
/// The number, from 1, of a line that is not a digest, two spaces and a path.
pub fn parse(text: &str) -> Result<BTreeMap<String, String>, usize> {
    let line = |(i, line): (usize, &str)| {
        let (sha256, path) = line.split_once("  ").ok_or(i + 1)?;
        let hex = sha256.len() == 64 && sha256.bytes().all(|b| b.is_ascii_hexdigit());
        if hex && !path.is_empty() { Ok((path.to_owned(), sha256.to_owned())) } else { Err(i + 1) }
    };
    text.lines().enumerate().map(line).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_and_back() {
        let digest = "ab".repeat(32);
        let written = text([("boot/x", digest.as_str()), ("root", digest.as_str())]);
        let parsed = parse(&written).unwrap();
        assert_eq!(parsed.len(), 2);
        assert_eq!(parsed["boot/x"], digest);
        assert_eq!(parse(&format!("{written}garbage\n")), Err(3));
        assert_eq!(parse("abcd  x\n"), Err(1));
    }
}
