//! Carrying out the plan of a healing. No decision is made here; the first failure ends it, named by its step. The
//! machine boots from the drive it runs from whatever happens, and a healing that was interrupted begins anew.

use std::io::{self, Cursor, Read};
use std::path::Path;
use std::time::Instant;

use anyhow::{Context, Result, bail};
use maekin_image::esp;
use maekin_image::manifest::hex;
use maekin_rootfs::node::{BootDisk, NodeConfig};
use sha2::{Digest, Sha256};

use super::esp::{Copy, From};
use super::steps::{EspCopies, HealStep};
use super::target::HealTarget;
use crate::apply::target::FileSystem;
use crate::apply::{Meter, Progress, apply_step};
use crate::source::Release;

/// Carries out `steps`; returns how many milliseconds each took. `release`: of what an installation's steps take from
/// one.
///
/// # Errors
/// The first failure, with the step's label.
pub fn apply(
    steps: &[HealStep],
    release: &Release,
    target: &mut dyn HealTarget,
    progress: &mut dyn Progress,
) -> Result<Vec<(String, u64)>> {
    let total: u64 = steps.iter().map(HealStep::weight).sum();
    let mut done = 0;
    let mut timings = Vec::new();
    for (i, step) in steps.iter().enumerate() {
        let label = step.label();
        progress.step(i + 1, steps.len(), &label);
        let start = Instant::now();
        let mut meter = Meter::new(progress, done, step.weight(), total);
        heal_step(step, release, target, &mut meter).with_context(|| format!("while {label}"))?;
        done += step.weight();
        progress.work(done, total);
        timings.push((label, u64::try_from(start.elapsed().as_millis()).unwrap_or(u64::MAX)));
    }
    Ok(timings)
}

fn heal_step(
    step: &HealStep,
    release: &Release,
    target: &mut dyn HealTarget,
    meter: &mut Meter<'_>,
) -> Result<()> {
    match step {
        HealStep::Install(step) => apply_step(step, release, target, meter),
        HealStep::TakeOut { array, member } => target.take_out(*array, member),
        HealStep::FillEsp(copies) => with_mounts(copies, target, |target| {
            copies.files.iter().try_for_each(|file| write(copies, file, &file.path, target))
        }),
        HealStep::MendEsp(copies) => with_mounts(copies, target, |target| {
            copies.files.iter().try_for_each(|file| replace(copies, file, target))
        }),
        HealStep::CommitEsp(copies) => {
            // FAT may know of a file before it has its content: the loader gets its name when it was read back whole.
            let [file] = copies.files.as_slice() else { bail!("a loader is one file") };
            let unnamed = esp::UNNAMED_LOADER;
            with_mounts(copies, target, |target| write(copies, file, unnamed, target))?;
            target.mount(&copies.to, FileSystem::Vfat)?;
            verify(&copies.to, unnamed, &file.sha256, target)?;
            target.rename_file(&copies.to, unnamed, &file.path)?;
            target.unmount(&copies.to)
        }
        HealStep::VerifyEsp { partition, files } => {
            target.mount(partition, FileSystem::Vfat)?;
            files.iter().try_for_each(|(path, sha256)| verify(partition, path, sha256, target))?;
            target.unmount(partition)
        }
        HealStep::Join { array, member, by_bitmap } => target.join(*array, member, *by_bitmap),
        HealStep::AwaitSync { arrays, .. } => target.await_sync(arrays, &mut |bytes| meter.reach(bytes)),
        HealStep::Remember { place, disk } => target.change_node(&mut |text| remember(text, *place, disk)),
    }
}

/// Mounts what `copies` needs, and unmounts it again, also after a failure.
fn with_mounts(
    copies: &EspCopies,
    target: &mut dyn HealTarget,
    work: impl FnOnce(&mut dyn HealTarget) -> Result<()>,
) -> Result<()> {
    let sources = copies.from.iter().flatten().map(|from| from.as_path()).filter(|from| *from != copies.to);
    let mut outcome = target.mount(&copies.to, FileSystem::Vfat);
    let mut mounted: Vec<&Path> = outcome.is_ok().then_some(copies.to.as_path()).into_iter().collect();
    for source in sources {
        outcome = outcome.and_then(|()| target.mount_to_read(source));
        if outcome.is_err() {
            break;
        }
        mounted.push(source);
    }
    let mut outcome = outcome.and_then(|()| work(target));
    for device in mounted {
        let unmounted = target.unmount(device);
        outcome = outcome.and(unmounted);
    }
    outcome
}

/// Writes one file under the name `path`. What comes from an ESP is checked on the way: it may have changed since it
/// was looked at.
fn write(copies: &EspCopies, file: &Copy, path: &str, target: &mut dyn HealTarget) -> Result<()> {
    let mut content: Box<dyn Read> = match &file.from {
        From::Text(content) => Box::new(Cursor::new(content.clone())),
        From::Esp(place, path) => {
            let from = copies.from[usize::from(*place)].as_ref();
            let from =
                from.with_context(|| format!("drive {place}, which {path} comes from, is not here"))?;
            target.open_file(from, path)?
        }
    };
    let mut content = Digesting { inner: &mut content, digest: Sha256::new() };
    target.write_file(std::slice::from_ref(&copies.to), path, 0o600, &mut content)?;
    let got = hex(&content.digest.finalize());
    if got != file.sha256 {
        bail!("{} changed while it was copied; heal again", file.path);
    }
    Ok(())
}

/// Replaces one file: whole under another name, read back, renamed.
fn replace(copies: &EspCopies, file: &Copy, target: &mut dyn HealTarget) -> Result<()> {
    // Short enough for FAT's own names, so that renaming changes one directory.
    let (dir, _) = file.path.rsplit_once('/').unwrap_or_default();
    let part = if dir.is_empty() { "HEAL.NEW".to_owned() } else { format!("{dir}/HEAL.NEW") };
    write(copies, file, &part, target)?;
    verify(&copies.to, &part, &file.sha256, target)?;
    target.rename_file(&copies.to, &part, &file.path)
}

fn verify(device: &Path, path: &str, sha256: &str, target: &mut dyn HealTarget) -> Result<()> {
    if target.digest_file(device, path)? != sha256 {
        bail!("{path} on {} is not what was written: the drive is defective, replace it", device.display());
    }
    Ok(())
}

/// The node file with another boot drive.
fn remember(text: &str, place: u8, disk: &BootDisk) -> Result<String> {
    let mut node: NodeConfig = toml::from_str(text).context("the node file is damaged")?;
    let place = usize::from(place);
    let unknown = || BootDisk { serial: String::new(), model: String::new(), size: 0 };
    while node.disks.len() <= place {
        node.disks.push(unknown());
    }
    node.disks[place] = disk.clone();
    Ok(toml::to_string(&node)?)
}

struct Digesting<'a> {
    inner: &'a mut dyn Read,
    digest: Sha256,
}

impl Read for Digesting<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let n = self.inner.read(buffer)?;
        self.digest.update(&buffer[..n]);
        Ok(n)
    }
}
