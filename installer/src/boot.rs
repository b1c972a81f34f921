//! Starting the installed system, in the initrd: find the halves of the mirrors by the UUIDs that follow from
//! `maekin.id=`, assemble them, verify the manifest, open the root image under verity, mount, render the node's
//! configuration, and leave word for the agent. Nothing else is looked at: a forgotten install medium, another
//! machine's disk or a network boot change nothing.
//!
//! | module | job |
//! | --- | --- |
//! | [`members`] | which partitions belong to us, and how long to wait for the other half |
//! | [`root`] | the release on an ESP, verity, mounts, configuration |

pub mod members;
pub mod root;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use maekin_host::cmd::Cmd;
use maekin_host::kmsg::{self, Level};
use maekin_host::{efi, file, md};
use maekin_image::ids::{self, Array};
use maekin_rootfs::boot_state::{ArrayState, BOOT_STATE, BootState, Firmware};

use crate::cmdline::{self, Slot, Start};
use members::Members;

/// Name of our lines in the kernel's log.
pub const TAG: &str = "maekin-boot";
/// Where systemd wants the root (bootup(7)).
const SYSROOT: &str = "/sysroot";
/// Drivers that nothing else would load in time.
const MODULES: [&str; 8] = ["md_mod", "raid1", "dm_mod", "dm_verity", "squashfs", "overlay", "ext4", "vfat"];

/// Starts the installed system that the kernel command line names.
///
/// # Errors
/// What failed, why, and what to do; the caller shows it on all consoles.
pub fn boot() -> Result<()> {
    let text = file::read_text(Path::new("/proc/cmdline"), 64 << 10)?;
    let start = cmdline::parse(&text).start()?;
    say(&format!("starting installation {}, slot {}", start.install, start.slot.name()));
    // A built-in driver is no module, and a missing one is told better by whatever needs it.
    let _ = Cmd::new("modprobe").args(["--all", "--quiet"]).args(MODULES).run();

    let members = members::wait_for(start)?;
    let (arrays, states) = assemble(start, &members)?;
    let system = if start.slot == Slot::A { Array::SystemA } else { Array::SystemB };
    let esps: Vec<PathBuf> = members.esps();
    let manifest = root::verified_manifest(&esps, start.slot.name())?;
    let sysroot = Path::new(SYSROOT);
    root::mount_root(&manifest.root, need(&arrays, system)?, sysroot)?;
    root::mount_state(need(&arrays, Array::State)?, sysroot)?;
    root::configure(sysroot)?;

    let key = serde_json::to_value(manifest.key)?.as_str().unwrap_or_default().to_owned();
    let state = BootState {
        install_id: start.install,
        slot: start.slot.name().to_owned(),
        esp: esps.iter().map(|p| p.display().to_string()).collect(),
        arrays: states,
        firmware: if efi::booted_by_uefi() { Firmware::Uefi } else { Firmware::Bios },
        version: manifest.version.clone(),
        key,
        believed: None,
        stale: Vec::new(),
        notes: Vec::new(),
    };
    file::write_atomic(Path::new(BOOT_STATE), serde_json::to_string_pretty(&state)?.as_bytes(), 0o644)?;
    say(&format!("root verified, version {}", manifest.version));
    Ok(())
}

fn say(text: &str) {
    kmsg::say(Level::Notice, TAG, text);
}

/// Assembles every mirror that has a half. One that does not come up is told; whether that stops the start is for
/// whoever needs it to say.
fn assemble(
    start: Start,
    members: &Members,
) -> Result<(BTreeMap<Array, PathBuf>, BTreeMap<String, ArrayState>)> {
    let mut nodes = BTreeMap::new();
    let mut states = BTreeMap::new();
    for array in Array::ALL {
        let uuid = ids::md_uuid(start.install, array);
        let here: Vec<PathBuf> =
            members.of(array.part()).into_iter().filter(|path| md::member_of(path) == Some(uuid)).collect();
        if here.is_empty() {
            kmsg::say(Level::Error, TAG, &format!("no half of the mirror {} was found", array.name()));
            continue;
        }
        let node = match md::assemble(array.name(), uuid, &here) {
            Ok(node) => node,
            Err(e) => {
                kmsg::say(Level::Error, TAG, &format!("{:#}", anyhow::Error::from(e)));
                continue;
            }
        };
        let kernel = md::kernel_name(&node).context("an array has lost its node")?;
        let status = md::status(&Path::new("/sys/block").join(kernel));
        if status.degraded && start.drives == 2 {
            kmsg::say(Level::Error, TAG, &format!("the mirror {} runs on one half", array.name()));
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
