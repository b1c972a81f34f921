//! The value of a Range header.

use maekin_pxe::http::range::{Wanted, parse_range};

/// The last eight bytes are the file's size, what is before them is the header.
pub fn run(bytes: &[u8]) {
    let Some((text, size)) = bytes.split_last_chunk::<8>() else { return };
    let size = u64::from_be_bytes(*size);
    if let Ok(text) = std::str::from_utf8(text)
        && let Wanted::Part { from, len } = parse_range(text, size)
    {
        assert!(len > 0 && from.checked_add(len).is_some_and(|end| end <= size), "beyond the file");
    }
}
