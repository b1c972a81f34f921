//! What a power cut leaves on drives: a log of their writes and flushes is replayed up to any point, and of what was not
//! flushed by then, any part may be lost or torn.
//!
//! A drive keeps what it acknowledged before its last finished flush. Of everything later it may keep any sector and lose
//! any other, in whatever order it liked. Sectors of 512 bytes are written whole or not at all. Drives fail
//! independently of each other, at the same instant.
//!
//! | module | job |
//! | --- | --- |
//! | [`points`] | at which instants, and what is lost there; pure |
//! | [`capture`] | a recorded installation, made once for an image |
//! | [`landmarks`] | the instants that matter; pure |
//! | [`judge`] | what a machine with such drives would do: the product's own judgement |

pub mod capture;
pub mod judge;
pub mod landmarks;
pub mod points;

use std::fs::{File, OpenOptions};
use std::io;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use anyhow::Context;
use maekin_host::file;

use crate::recorder::log::{Entry, Log, Op};
use points::{Fate, Loss};

/// Most bytes moved at once.
const CHUNK: u64 = 4 << 20;
const SECTOR: u64 = 512;
/// Writes up to this many bytes are torn at any sector.
const TORN_SINGLY: u64 = 1 << 20;

/// Drives as a log makes them, up to some entry of it.
pub struct Replay<'a> {
    log: &'a Log,
    drives: Vec<Drive>,
    next: usize,
}

struct Drive {
    file: File,
    /// Entries that no flush has made durable, in order.
    volatile: Vec<usize>,
}

impl<'a> Replay<'a> {
    /// Starts from `images` (raw), which hold what the drives held before the log began, and are changed.
    ///
    /// # Errors
    /// When one cannot be opened.
    pub fn start(log: &'a Log, images: &[PathBuf]) -> anyhow::Result<Self> {
        let open = |path: &PathBuf| -> anyhow::Result<Drive> {
            let file = OpenOptions::new().read(true).write(true).open(path);
            let file = file.with_context(|| format!("cannot open {}", path.display()))?;
            Ok(Drive { file, volatile: Vec::new() })
        };
        let drives = images.iter().map(open).collect::<anyhow::Result<_>>()?;
        Ok(Self { log, drives, next: 0 })
    }

    /// Goes on until `done` entries of the log are done. What is durable by then is in the images.
    ///
    /// # Errors
    /// When an image cannot be written.
    pub fn advance(&mut self, done: usize) -> io::Result<()> {
        while self.next < done.min(self.log.entries.len()) {
            let entry = &self.log.entries[self.next];
            let drive = &mut self.drives[usize::from(entry.drive)];
            if entry.op == Op::Flush {
                for index in drive.volatile.drain(..) {
                    apply(self.log, &self.log.entries[index], None, &drive.file)?;
                }
            } else {
                drive.volatile.push(self.next);
            }
            self.next += 1;
        }
        Ok(())
    }

    /// How many entries would be lost if all that is not durable were.
    #[must_use]
    pub fn volatile(&self) -> usize {
        self.drives.iter().map(|drive| drive.volatile.len()).sum()
    }

    /// Cuts the power now, with `loss`, looks at what is there, and goes back.
    ///
    /// # Errors
    /// When an image cannot be read or written.
    pub fn cut<T>(&self, loss: Loss, look: impl FnOnce() -> T) -> io::Result<T> {
        let mut undo = Vec::new();
        for drive in &self.drives {
            for &index in &drive.volatile {
                let entry = &self.log.entries[index];
                let fate = if entry.fua { Fate::Kept } else { loss.fate(index) };
                if fate != Fate::Lost {
                    undo.push((&drive.file, keep(entry, &drive.file)?));
                    apply(self.log, entry, Some(fate), &drive.file)?;
                }
            }
        }
        let seen = look();
        for (file, old) in undo.into_iter().rev() {
            restore(file, &old)?;
        }
        Ok(seen)
    }

    /// Cuts the power now, with `loss`, for good.
    ///
    /// # Errors
    /// When an image cannot be written.
    pub fn stop(self, loss: Loss) -> io::Result<()> {
        for drive in &self.drives {
            for &index in &drive.volatile {
                let entry = &self.log.entries[index];
                let fate = if entry.fua { Fate::Kept } else { loss.fate(index) };
                if fate != Fate::Lost {
                    apply(self.log, entry, Some(fate), &drive.file)?;
                }
            }
        }
        Ok(())
    }
}

/// Does to an image what `entry` did to the drive; `fate`: as far as it got.
fn apply(log: &Log, entry: &Entry, fate: Option<Fate>, file: &File) -> io::Result<()> {
    let torn = match fate {
        Some(Fate::Torn(seed)) => Some(seed),
        Some(Fate::Lost) => return Ok(()),
        _ => None,
    };
    match entry.op {
        Op::Flush => Ok(()),
        // What discarded bytes read as is open. Here some become zeros, by their place in the log.
        Op::Discard if entry.data.count_ones().is_multiple_of(2) => Ok(()),
        Op::Zero | Op::Discard if torn.is_none() => file::punch(file, entry.offset, entry.len),
        _ => {
            let mut at = 0;
            let mut buffer = vec![0; usize::try_from(entry.len.min(CHUNK)).unwrap_or_default()];
            while at < entry.len {
                let n = (entry.len - at).min(CHUNK);
                let part = &mut buffer[..usize::try_from(n).unwrap_or_default()];
                if entry.op == Op::Write {
                    log.read(entry, at, part)?;
                } else {
                    part.fill(0);
                }
                match torn {
                    None => file.write_all_at(part, entry.offset + at)?,
                    // Runs of sectors have the same fate: eight in large writes, which drives take in larger pieces.
                    Some(seed) => {
                        let run = if entry.len > TORN_SINGLY { 8 } else { 1 } * SECTOR;
                        for (i, piece) in (0..).zip(part.chunks(usize::try_from(run).unwrap_or(512))) {
                            if points::coin(seed, at / run + i) {
                                file.write_all_at(piece, entry.offset + at + i * run)?;
                            }
                        }
                    }
                }
                at += n;
            }
            Ok(())
        }
    }
}

/// What an entry is about to overwrite. Long ranges of zeros are kept as such.
struct Old {
    offset: u64,
    parts: Vec<(u64, Vec<u8>)>,
    len: u64,
}

fn keep(entry: &Entry, file: &File) -> io::Result<Old> {
    let mut parts = Vec::new();
    let mut at = 0;
    let zeros = vec![0; usize::try_from(entry.len.min(CHUNK)).unwrap_or_default()];
    while at < entry.len {
        let mut part = vec![0; usize::try_from((entry.len - at).min(CHUNK)).unwrap_or_default()];
        let n = part.len() as u64;
        file.read_exact_at(&mut part, entry.offset + at)?;
        if part != zeros[..part.len()] {
            parts.push((at, part));
        }
        at += n;
    }
    Ok(Old { offset: entry.offset, parts, len: entry.len })
}

fn restore(file: &File, old: &Old) -> io::Result<()> {
    if old.len > 0 {
        file::punch(file, old.offset, old.len)?;
    }
    old.parts.iter().try_for_each(|(at, bytes)| file.write_all_at(bytes, old.offset + at))
}

/// Copies an image, holes as holes.
///
/// # Errors
/// What `cp` says.
pub fn copy_image(from: &Path, to: &Path) -> anyhow::Result<()> {
    let copy = maekin_host::cmd::Cmd::new("cp").args(["--sparse=always", "--reflink=auto", "--"]);
    Ok(copy.args([from, to]).limit(std::time::Duration::from_secs(300)).run()?)
}

#[cfg(test)]
mod tests;
