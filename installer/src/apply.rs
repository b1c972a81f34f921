//! Carrying out a plan. No decision is made here: each step says what to do, [`Target`] does it, and the first failure
//! ends it, named by its step. Whatever was done until then does not boot (see [`crate::plan::steps`]).
//!
//! | module | job |
//! | --- | --- |
//! | [`target`] | the dangerous world as a trait |
//! | [`real`] | the machine |
//! | `pieces` | a mirror written in any order, and read back while others use it |
//! | [`simulated`] | drives in memory that record, and fail on demand |

mod pieces;
pub mod real;
pub mod simulated;
pub mod target;

use std::collections::BTreeMap;
use std::io::Cursor;
use std::path::{Path, PathBuf};
use std::time::Instant;

use anyhow::{Context, Result, bail};
use maekin_host::md;
use maekin_image::bootcode;
use maekin_image::drivers::{Device, Drivers};
use maekin_image::esp::{self, EspFile};
use maekin_image::gpt::{BOOT_CODE, protective_mbr};
use maekin_image::manifest::{FileEntry, sha256_hex};
use maekin_swarm::client::FetchError;
use serde::Serialize;

use crate::plan::steps::TextFile;
use crate::plan::{Plan, Step};
use crate::source::{Release, Stream, rack};
use target::{FileSystem, Target};

/// Told how it goes.
pub trait Progress {
    /// Step `index` of `total` begins.
    fn step(&mut self, index: usize, total: usize, label: &str);
    /// `done` of `total` units of the whole work are done.
    fn work(&mut self, done: u64, total: u64);
    /// Something worth knowing that is no failure.
    fn note(&mut self, text: &str);
}

/// How long a step took.
#[derive(Debug, Clone, Serialize)]
pub struct Timing {
    /// What was done.
    pub step: String,
    /// Seconds it took.
    pub seconds: f64,
    /// What was worth a note.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub notes: Vec<String>,
}

/// Carries out `plan`; returns how long each step took.
///
/// # Errors
/// The first failure, with the step's label.
pub fn apply(
    plan: &Plan,
    release: &Release,
    target: &mut dyn Target,
    progress: &mut dyn Progress,
) -> Result<Vec<Timing>> {
    let total: u64 = plan.steps.iter().map(Step::weight).sum();
    let mut done = 0;
    let mut timings = Vec::new();
    for (i, step) in plan.steps.iter().enumerate() {
        let label = step.label();
        progress.step(i + 1, plan.steps.len(), &label);
        let start = Instant::now();
        let mut meter = Meter::new(progress, done, step.weight(), total);
        apply_step(step, release, target, &mut meter).with_context(|| format!("while {label}"))?;
        let notes = meter.notes;
        done += step.weight();
        progress.work(done, total);
        timings.push(Timing { step: label, seconds: start.elapsed().as_secs_f64(), notes });
    }
    Ok(timings)
}

/// Turns the bytes of one step into the work of the whole.
pub(crate) struct Meter<'a> {
    progress: &'a mut dyn Progress,
    base: u64,
    limit: u64,
    total: u64,
    here: u64,
    notes: Vec<String>,
}

impl<'a> Meter<'a> {
    /// Of a step that has `limit` of `total`, after `base`.
    pub(crate) fn new(progress: &'a mut dyn Progress, base: u64, limit: u64, total: u64) -> Self {
        Self { progress, base, limit, total, here: 0, notes: Vec::new() }
    }

    fn note(&mut self, text: String) {
        self.progress.note(&text);
        self.notes.push(text);
    }

    fn advance(&mut self, bytes: u64) {
        self.reach(self.here.saturating_add(bytes));
    }

    /// So much of the step is done.
    pub(crate) fn reach(&mut self, bytes: u64) {
        self.here = bytes.min(self.limit);
        self.progress.work(self.base + self.here, self.total);
    }
}

/// Carries out one step.
pub(crate) fn apply_step(
    step: &Step,
    release: &Release,
    target: &mut dyn Target,
    meter: &mut Meter<'_>,
) -> Result<()> {
    match step {
        Step::Release { disk } => target.release(disk),
        Step::Mark { disk, size, sector, install } => {
            let mbr = protective_mbr(*size, *sector, &bootcode::unfinished(*install));
            target.write(disk, 0, &mbr)
        }
        Step::Unboot { disk, ranges } | Step::Erase { disk, ranges } => target.zero(disk, ranges),
        Step::Table { disk, sector, guid, parts } => target.write_table(disk, *sector, *guid, parts),
        Step::BiosCore { partition, lba, room, source, entry } => {
            let core = bootcode::core(&release.read(source, entry)?, *lba, *room)?;
            target.write(partition, 0, &core)
        }
        Step::Zero { members, size, .. } => members.iter().try_for_each(|m| target.zero(m, &[(0, *size)])),
        Step::CreateArray(array) => target.create_array(array),
        Step::WriteRoot { array, source, entry } => {
            write_root(&md::device(array), source, entry, release, target, meter)
        }
        Step::ZeroRest { array, from } => target.zero_rest(&md::device(array), *from),
        Step::ZeroHead { array, len } => target.zero(&md::device(array), &[(0, *len)]),
        Step::Compare { members, entry } => compare(members, entry, target, meter),
        Step::MakeEsp { partition, serial, label } => target.make_vfat(partition, *serial, label),
        Step::FillEsp { partitions, files, manifest, texts } => {
            let mut generated = texts.clone();
            for (path, content) in manifest.iter().zip([&release.json, release.signature.as_bytes()]) {
                generated.push(TextFile { path: path.clone(), mode: 0o600, content: content.to_vec() });
            }
            fill_esp(partitions, files, &generated, release, target, meter)
        }
        Step::VerifyEsp { partition } => verify_esp(partition, target),
        Step::CheckDrivers { partition, list, devices, same_kernel } => {
            check_drivers(partition, list, devices, *same_kernel, target)
        }
        Step::MakeState { array, uuid } => target.make_ext4(&md::device(array), *uuid, "maekin-state"),
        Step::WriteState { array, files } => write_state(&md::device(array), files, target),
        Step::CommitEsp { partition, file, mark } => commit_esp(partition, file, mark, release, target),
        Step::MarkInstalled { partition, mark } => {
            target.mount(partition, FileSystem::Vfat)?;
            let on = [partition.clone()];
            target.write_file(&on, &mark.path, mark.mode, &mut Cursor::new(&mark.content))?;
            target.unmount(partition)
        }
        Step::CommitMbr { disk, size, sector, core_lba, source, entry } => {
            let code = match core_lba {
                Some(lba) => bootcode::mbr_code(&release.read(source, entry)?, *lba)?,
                None => [0; BOOT_CODE],
            };
            target.write(disk, 0, &protective_mbr(*size, *sector, &code))
        }
        Step::BootEntry { disk, part, label, loader } => {
            match target.boot_entry(label, disk, *part, loader) {
                Ok(removed) => {
                    for old in removed {
                        meter.note(format!("a boot entry that leads nowhere was removed: {old}"));
                    }
                }
                Err(e) => {
                    meter.note(format!("no boot entry for {} ({e:#}); it boots without", disk.display()));
                }
            }
            Ok(())
        }
    }
}

/// In pieces from all sides where there is a rack to do so with; else, or where nothing comes so, as a whole.
fn write_root(
    device: &Path,
    source: &str,
    entry: &FileEntry,
    release: &Release,
    target: &mut dyn Target,
    meter: &mut Meter<'_>,
) -> Result<()> {
    if let Some(rack) = release.source.rack()
        && let Some(list) = rack::chunk_list(release, source, entry)?
    {
        let mut outcome = None;
        target.write_pieces(device, &mut |store| {
            outcome = Some(rack.fetch(list.clone(), entry, store, &mut |bytes| meter.reach(bytes)));
            Ok(())
        })?;
        match outcome {
            Some(Ok(notes)) => {
                notes.into_iter().for_each(|note| meter.note(note));
                return Ok(());
            }
            Some(Err(e @ FetchError::Store(_))) => return Err(e.into()),
            Some(Err(e)) => meter.note(format!("the system is fetched in one piece: {e}")),
            None => {}
        }
    }
    let mut moved = 0;
    let stream: Stream = Box::new(release.open(source, entry)?);
    let written = target.write_stream(device, stream, &mut |n| {
        moved += n;
        meter.reach(moved);
    })?;
    if written != entry.size {
        bail!("{written} bytes were written of {}", entry.size);
    }
    Ok(())
}

fn compare(
    members: &[PathBuf],
    entry: &FileEntry,
    target: &mut dyn Target,
    meter: &mut Meter<'_>,
) -> Result<()> {
    let digests = target.read_back(members, entry.size, &mut |n| meter.advance(n / 2))?;
    for (member, digest) in members.iter().zip(digests) {
        if digest != entry.sha256 {
            bail!(
                "{} does not hold what was written to it: the drive is defective, replace it",
                member.display()
            );
        }
    }
    Ok(())
}

fn fill_esp(
    partitions: &[PathBuf],
    files: &[EspFile],
    generated: &[TextFile],
    release: &Release,
    target: &mut dyn Target,
    meter: &mut Meter<'_>,
) -> Result<()> {
    let mut digests = BTreeMap::new();
    for partition in partitions {
        target.mount(partition, FileSystem::Vfat)?;
    }
    for file in files {
        let mut stream = release.open(&file.source, &file.entry)?;
        target
            .write_file(partitions, &file.path, 0o600, &mut stream)
            .with_context(|| format!("cannot write {}", file.path))?;
        digests.insert(file.path.clone(), file.entry.sha256.clone());
        meter.advance(file.entry.size);
    }
    for file in generated {
        target.write_file(partitions, &file.path, file.mode, &mut Cursor::new(&file.content))?;
        if file.path != esp::GRUB_ENV {
            digests.insert(file.path.clone(), sha256_hex(&file.content));
        }
    }
    let inventory = esp::inventory(&digests);
    target.write_file(partitions, esp::INVENTORY, 0o600, &mut Cursor::new(inventory.as_bytes()))?;
    partitions.iter().try_for_each(|partition| target.unmount(partition))
}

fn verify_esp(partition: &Path, target: &mut dyn Target) -> Result<()> {
    target.mount(partition, FileSystem::Vfat)?;
    let inventory = target.read_file(partition, esp::INVENTORY)?;
    let inventory: BTreeMap<String, String> =
        serde_json::from_slice(&inventory).with_context(|| format!("{} is damaged", esp::INVENTORY))?;
    for (path, sha256) in &inventory {
        if target.digest_file(partition, path)? != *sha256 {
            bail!("{path} on {} is not what was written: the drive is defective", partition.display());
        }
    }
    target.unmount(partition)
}

fn check_drivers(
    partition: &Path,
    list: &str,
    devices: &[Device],
    same_kernel: bool,
    target: &mut dyn Target,
) -> Result<()> {
    target.mount(partition, FileSystem::Vfat)?;
    let text = target.read_file(partition, list)?;
    target.unmount(partition)?;
    let drivers = Drivers::parse(&String::from_utf8_lossy(&text));
    let lacking: Vec<String> = devices
        .iter()
        .filter(|device| !drivers.serves(device, same_kernel))
        .map(|device| format!("{} ({}, served by {} now)", device.path, device.modalias, device.driver))
        .collect();
    if lacking.is_empty() {
        return Ok(());
    }
    bail!(
        "the installed system has no driver for {}, which a boot drive hangs on: it would not start here; use a \
         release that has one, or other drives",
        lacking.join(" and ")
    );
}

fn write_state(device: &Path, files: &[TextFile], target: &mut dyn Target) -> Result<()> {
    let on = [device.to_owned()];
    target.mount(device, FileSystem::Ext4)?;
    for file in files {
        target.write_file(&on, &file.path, file.mode, &mut Cursor::new(&file.content))?;
    }
    target.unmount(device)
}

/// The loader, and the inventory with it.
fn commit_esp(
    partition: &Path,
    file: &EspFile,
    mark: &TextFile,
    release: &Release,
    target: &mut dyn Target,
) -> Result<()> {
    let on = [partition.to_owned()];
    let bytes = release.read(&file.source, &file.entry)?;
    target.mount(partition, FileSystem::Vfat)?;
    let inventory = target.read_file(partition, esp::INVENTORY)?;
    let mut digests: BTreeMap<String, String> = serde_json::from_slice(&inventory)?;
    digests.insert(file.path.clone(), file.entry.sha256.clone());
    digests.insert(mark.path.clone(), sha256_hex(&mark.content));
    let inventory = esp::inventory(&digests);
    target.write_file(&on, esp::INVENTORY, 0o600, &mut Cursor::new(inventory.as_bytes()))?;
    // FAT may know of a file before it has its content: the loader gets its name when it was read back whole.
    let unnamed = esp::UNNAMED_LOADER;
    target.write_file(&on, unnamed, 0o600, &mut Cursor::new(&bytes))?;
    target.unmount(partition)?;
    target.mount(partition, FileSystem::Vfat)?;
    if target.digest_file(partition, unnamed)? != file.entry.sha256 {
        bail!(
            "{unnamed} on {} is not what was written: the drive is defective, replace it",
            partition.display()
        );
    }
    target.rename_file(partition, unnamed, &file.path)?;
    target.unmount(partition)
}

#[cfg(test)]
pub(crate) mod tests;
