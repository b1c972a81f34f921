//! Starting the installed system, in the initrd: find the halves of the mirrors by the UUIDs that follow from
//! `maekin.id=`, assemble them, verify the manifest, open the root image under verity, mount, render the node's
//! configuration, and leave word for the agent. Nothing else is looked at: a forgotten install medium, another
//! machine's disk or a network boot change nothing.
//!
//! | module | job |
//! | --- | --- |
//! | [`members`] | which partitions belong to us, and how long to wait for the other half |
//! | [`halves`] | which halves are right, when they disagree |
//! | [`started`] | whether boot files and command line are what they should be |
//! | [`root`] | the release on an ESP, verity, mounts, configuration |
//! | [`state_fs`] | the file system of the state, made whole |

pub mod halves;
pub mod members;
pub mod root;
pub mod started;
pub mod state_fs;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, anyhow, bail};
use maekin_host::cmd::Cmd;
use maekin_host::kmsg::{self, Level};
use maekin_host::{efi, file, md};
use maekin_image::ids::{self, Array};
use maekin_rootfs::boot_state::{ArrayState, BOOT_STATE, BootState, Firmware};

use crate::cmdline::{self, Slot, Start};
use halves::{Decision, Found};
use members::Members;

/// Name of our lines in the kernel's log.
pub const TAG: &str = "maekin-boot";
/// Where systemd wants the root (bootup(7)).
const SYSROOT: &str = "/sysroot";
/// What a person is told of a start that no boot loader of the system's own had a part in.
const BY_MEDIUM: &str = "an install medium's installer started this system, because it is booted before the drives and \
    its menu does not see them; take the medium out, and see whether the firmware boots the drives";
/// Drivers that nothing else would load in time.
const MODULES: [&str; 8] = ["md_mod", "raid1", "dm_mod", "dm_verity", "squashfs", "overlay", "ext4", "vfat"];

/// Where a person's choice between halves lies, until the next start.
const KEEP: &str = "/run/maekin/keep";

/// A person at the console chooses the boot drive that is right (its place or serial number), where that could not be
/// decided, and the start goes on with it. The units that wait for the root have had their turn when the start failed,
/// so it is made here, and then left as `initrd-cleanup.service` would.
///
/// # Errors
/// When this is no interrupted start, or it fails again.
pub fn keep(word: &str) -> Result<()> {
    if !Path::new("/etc/initrd-release").exists() {
        bail!("this node runs: which half is right was decided when it started");
    }
    file::write_atomic(Path::new(KEEP), word.as_bytes(), 0o600)?;
    boot()?;
    let leave = Cmd::new("systemctl").args(["--no-block", "isolate", "initrd-switch-root.target"]);
    leave.run().context("the system is ready, but cannot be switched to")
}

/// Starts the installed system that the kernel command line names.
///
/// # Errors
/// What failed, why, and what to do; the caller shows it on all consoles.
pub fn boot() -> Result<()> {
    let text = file::read_text(Path::new("/proc/cmdline"), 64 << 10)?;
    let words = cmdline::parse(&text);
    bring_up(words.start()?, words.keep.as_deref(), Some(&text))
}

/// Starts an installed system from the installer of a medium, which has its own command line.
///
/// # Errors
/// As [`boot`].
pub fn boot_by_medium(start: Start) -> Result<()> {
    bring_up(start, None, None)
}

/// Starts what `start` names; `cmdline` is that of its own boot loader.
fn bring_up(start: Start, keep: Option<&str>, cmdline: Option<&str>) -> Result<()> {
    say(&format!("starting installation {}, slot {}", start.install, start.slot.name()));
    // A built-in driver is no module, and a missing one is told better by whatever needs it.
    let _ = Cmd::new("modprobe").args(["--all", "--quiet"]).args(MODULES).run();

    let members = members::wait_for(start)?;
    let kept = file::read_text(Path::new(KEEP), 256).ok().or(keep.map(str::to_owned));
    let decision = choose(start, &members, kept.as_deref())?;
    let (arrays, states) = assemble(start, &decision)?;
    let system = if start.slot == Slot::A { Array::SystemA } else { Array::SystemB };
    let esps: Vec<PathBuf> = decision.believed.iter().filter_map(|drive| members.esp(*drive)).collect();
    let manifest = root::verified_manifest(&esps, start.slot.name())?;
    let suspicions = cmdline
        .map_or_else(|| vec![BY_MEDIUM.to_owned()], |cmdline| started::suspicions(start, cmdline, &manifest));
    suspicions.iter().for_each(|line| alarm(line));
    let sysroot = Path::new(SYSROOT);
    root::mount_root(&manifest.root, need(&arrays, system)?, sysroot)?;
    root::mount_state(need(&arrays, Array::State)?, sysroot)?;
    root::configure(sysroot)?;

    let key = serde_json::to_value(manifest.key)?.as_str().unwrap_or_default().to_owned();
    let state = BootState {
        install_id: start.install,
        slot: start.slot.name().to_owned(),
        esp: members.esps().iter().map(|p| p.display().to_string()).collect(),
        arrays: states,
        firmware: if efi::booted_by_uefi() { Firmware::Uefi } else { Firmware::Bios },
        secure_boot: efi::secure_boot(),
        version: manifest.version.clone(),
        key,
        believed: decision.believed.first().copied().filter(|drive| members.esp(*drive).is_some()),
        stale: decision.stale,
        notes: decision.notes,
        suspicions,
    };
    file::write_atomic(Path::new(BOOT_STATE), serde_json::to_string_pretty(&state)?.as_bytes(), 0o644)?;
    say(&format!("root verified, version {}", manifest.version));
    Ok(())
}

fn say(text: &str) {
    kmsg::say(Level::Notice, TAG, text);
}

/// Looks at all halves and decides which are taken; tells what a person should know.
fn choose(start: Start, members: &Members, keep: Option<&str>) -> Result<Decision> {
    let mut found = Found { install: start.install, ..Found::default() };
    for array in Array::ALL {
        let halves = members.halves(array.part());
        let halves: Vec<_> =
            halves.into_iter().map(|(drive, path)| halves::probe(drive, &path, array)).collect();
        if !halves.is_empty() {
            found.halves.insert(array, halves);
        }
    }
    let (titles, serials) = members.drives();
    let kept = keep.and_then(|word| halves::keep(word, &serials));
    if let (Some(word), None) = (keep, kept) {
        alarm(&format!(
            "the drive to keep, {word}, is neither 0 nor 1 nor the serial number of one of the boot drives"
        ));
    }
    let decision = halves::decide(&found, kept).map_err(|split| anyhow!(split.text(&titles)))?;
    for half in &decision.stale {
        alarm(&format!(
            "{} is older and is left out of {}: {} (in use until {})",
            half.member,
            half.array,
            half.reason,
            halves::moment(half.last_used)
        ));
    }
    decision.notes.iter().for_each(|note| alarm(note));
    Ok(decision)
}

fn alarm(text: &str) {
    kmsg::say(Level::Error, TAG, text);
}

/// Assembles every mirror that has a half. One that does not come up is told; whether that stops the start is for
/// whoever needs it to say.
fn assemble(
    start: Start,
    decision: &Decision,
) -> Result<(BTreeMap<Array, PathBuf>, BTreeMap<String, ArrayState>)> {
    let mut nodes = BTreeMap::new();
    let mut states = BTreeMap::new();
    for array in Array::ALL {
        let uuid = ids::md_uuid(start.install, array);
        let Some(here) = decision.take.get(&array) else {
            alarm(&format!("no half of the mirror {} was found", array.name()));
            continue;
        };
        let node = match md::assemble(array.name(), uuid, here) {
            Ok(node) => node,
            Err(e) => {
                alarm(&format!("{:#}", anyhow::Error::from(e)));
                continue;
            }
        };
        let kernel = md::kernel_name(&node).context("an array has lost its node")?;
        let status = md::status(&Path::new("/sys/block").join(kernel));
        if status.degraded && start.drives == 2 {
            alarm(&format!("the mirror {} runs on one half", array.name()));
        }
        let members = status.members.iter().map(|name| format!("/dev/{name}")).collect();
        states.insert(array.name().to_owned(), ArrayState { members, degraded: status.degraded });
        nodes.insert(array, node);
    }
    Ok((nodes, states))
}

fn need(arrays: &BTreeMap<Array, PathBuf>, array: Array) -> Result<&Path> {
    arrays.get(&array).map(PathBuf::as_path).with_context(|| {
        format!("the mirror {} cannot be assembled; look at its drives with `mdadm --examine`", array.name())
    })
}
