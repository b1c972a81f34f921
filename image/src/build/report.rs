//! Sizes of what was built, held against the budget.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use anyhow::{Context as _, Result, bail};
use maekin_host::file;
use maekin_image::manifest::{KeyKind, MANIFEST, MANIFEST_LIMIT, Manifest};
use maekin_image::sizes::Budget;

/// Largest budget file that is read.
const BUDGET_LIMIT: u64 = 1 << 16;

/// The file name of an ISO.
pub(crate) fn iso_name(version: &str) -> String {
    format!("maekin-{version}-amd64.iso")
}

/// What a person is told about the key.
pub(crate) fn key_text(kind: KeyKind) -> &'static str {
    match kind {
        KeyKind::Release => "the key that was given",
        KeyKind::ThrowAway => "a throw-away key, which proves only that all came from one build",
    }
}

/// Prints the sizes of the build in `out`; too large is an error.
pub(crate) fn sizes(repo: &Path, out: &Path, version: &str) -> Result<()> {
    let budget = repo.join("image/budget.toml");
    let budget = Budget::parse(&file::read_text(&budget, BUDGET_LIMIT)?)
        .with_context(|| format!("{} cannot be understood", budget.display()))?;
    let path = out.join("release").join(MANIFEST);
    let manifest: Manifest = serde_json::from_slice(&file::read_bytes(&path, MANIFEST_LIMIT)?)
        .with_context(|| format!("{} cannot be understood", path.display()))?;
    let files: BTreeMap<String, u64> = manifest.files.into_iter().map(|(path, e)| (path, e.size)).collect();
    let iso = out.join(iso_name(version));
    let iso = fs::metadata(&iso).with_context(|| format!("{} is not there; build it", iso.display()))?.len();
    for (path, size) in &files {
        println!("{size:>12}  {path}");
    }
    println!("{iso:>12}  {}", iso_name(version));
    let lines = budget.check(&files, iso);
    for line in &lines {
        println!("{line}");
    }
    if lines.iter().any(maekin_image::sizes::Line::over) {
        bail!("the build is over its budget; make it smaller, or raise image/budget.toml with a reason");
    }
    Ok(())
}
