//! The support bundle: what somebody who was not there needs to see, in one file, on a stick.
//!
//! What goes in is a plan ([`plan`]), gathered with bounds ([`gather`]), cleaned of everything that opens a door
//! ([`redact`]), and written as `tar.zst` ([`archive`]) into a directory or onto a stick ([`stick`]). No file of keys is
//! ever opened for its content to be sent: they are read only to know what must not appear.
//!
//! | module | job |
//! | --- | --- |
//! | [`plan`] | what goes in (pure) |
//! | [`gather`] | each item as bytes, none without a bound |
//! | [`redact`] | keys, passwords and tokens taken out (pure) |
//! | [`archive`] | the file |
//! | [`stick`] | which devices may be written to (pure), and writing to one |

mod archive;
mod gather;
mod plan;
mod redact;
pub(crate) mod stick;

use std::path::{Path, PathBuf};
use std::time::Instant;

use anyhow::{Context, bail};
use maekin_host::block;

use crate::clock::now;
use crate::settings::Settings;

pub(crate) use self::archive::Written;

/// Where the bundle went.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Report {
    pub(crate) written: Written,
    /// In words: a directory, or a stick.
    pub(crate) place: String,
    pub(crate) seconds: u64,
}

impl Report {
    /// How large, where, how long it took.
    pub(crate) fn text(&self) -> String {
        let Written { name, bytes, items, .. } = &self.written;
        #[allow(clippy::cast_precision_loss)] // a size for people
        let size = match *bytes {
            0..1_000_000 => format!("{:.1} kB", *bytes as f64 / 1e3),
            bytes => format!("{:.1} MB", bytes as f64 / 1e6),
        };
        let (place, seconds) = (&self.place, self.seconds);
        format!("{name} on {place}: {size}, {items} items, {seconds} s")
    }
}

/// Makes a bundle, and puts it into the directory or onto the stick `to`; without it, onto the first stick there is.
///
/// # Errors
/// Why there is none; nothing half is left.
pub(crate) fn run(
    settings: &Settings,
    to: Option<&Path>,
    progress: impl FnMut(&str),
) -> anyhow::Result<Report> {
    let begin = Instant::now();
    let make = |dir: &Path, progress| make(settings, dir, progress);
    let (written, place) = match to {
        Some(dir) if dir.is_dir() => (make(dir, progress)?, dir.display().to_string()),
        Some(file) if file.is_file() => {
            bail!("{} is a file; name a directory or a stick's device", file.display())
        }
        to => {
            let stick = stick::choose(&block::list().context("the drives cannot be listed")?, to)?;
            (stick::with(&stick, |dir| make(dir, progress))?, stick.title())
        }
    };
    tracing::info!(name = written.name, place, bytes = written.bytes, "support bundle written");
    Ok(Report { written, place, seconds: begin.elapsed().as_secs() })
}

fn make(settings: &Settings, dir: &Path, mut progress: impl FnMut(&str)) -> anyhow::Result<Written> {
    let items = plan::items(settings);
    let secrets = gather::secrets(settings);
    let name = archive::name(&host_name(), now());
    let all = items.len();
    let gathered = items.into_iter().enumerate().map(|(n, item)| {
        progress(&format!("{} ({} of {all})", item.name, n + 1));
        let text = gather::gather(settings, &item);
        (item.name, redact::redact(&text, &secrets))
    });
    archive::write(dir, &name, gathered)
}

/// How this node is called; what cannot stand in a file name is left out.
fn host_name() -> String {
    let text = std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
    text.chars().filter(|c| c.is_ascii_alphanumeric() || *c == '-').take(63).collect()
}

/// Files whose content must never be in a bundle, not even a line of it.
fn secret_files(settings: &Settings) -> Vec<PathBuf> {
    let pki = std::fs::read_dir(settings.pki()).into_iter().flatten().flatten().map(|entry| entry.path());
    pki.chain([settings.state.join("receipt.key")]).collect()
}

#[cfg(test)]
mod tests;
