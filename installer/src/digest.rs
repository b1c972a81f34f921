//! Digests of files that may be larger than memory.

use std::fs::File;
use std::path::Path;

use anyhow::{Context, Result};
use maekin_image::manifest::sha256_read;

/// SHA-256 of the file at `path`, 64 lower-case hex digits.
///
/// # Errors
/// When it cannot be opened or read, with its path.
pub(crate) fn of_file(path: &Path) -> Result<String> {
    let file = File::open(path).with_context(|| format!("cannot open {}", path.display()))?;
    sha256_read(file).with_context(|| format!("cannot read {}", path.display()))
}
