//! A server with two blank drives, a stick with an answer on it, power: it installs itself and answers.
#![allow(clippy::unwrap_used)] // a test fails by panicking

use std::time::Duration;

use anyhow::ensure;
use maekin_api::node::Membership;
use maekin_api::storage::Storage;
use maekin_api::volumes::Class;
use maekin_host::wait;
use maekin_qemu_tests::fixture::Fixture;
use maekin_qemu_tests::node::Firmware;
use maekin_qemu_tests::rack::{Rack, Watch};

const TOOL: &str = env!("CARGO_BIN_EXE_rack");
/// For LVM to make a pool on the data mirror, and the node to say so.
const POOL: Duration = Duration::from_secs(120);
/// For LVM to delete a volume.
const STEP: Duration = Duration::from_secs(60);

#[test]
fn bios() {
    Fixture::make(Firmware::Bios, "usb-bios", TOOL.as_ref(), check).unwrap();
}

/// UEFI without Secure Boot installs in the racks that mix firmwares.
#[test]
fn uefi_with_secure_boot() {
    Fixture::make(Firmware::SecureBoot, "usb-secure-boot", TOOL.as_ref(), check).unwrap();
}

fn check(rack: &Rack, watch: &Watch) -> anyhow::Result<()> {
    let spec = &rack.nodes()[0];
    let progress = &watch.nodes()[0].progress;
    ensure!(progress.installer < progress.installed, "the installer ran: {progress:?}");
    ensure!(
        progress.installed < progress.ready,
        "and the node restarted into what it installed: {progress:?}"
    );

    let api = rack.api(spec)?;
    let node = api.node()?;
    ensure!(node.name == spec.name, "{node:?}");
    ensure!(node.firmware == spec.firmware.api_name(), "{node:?}");
    ensure!((node.secure_boot == Some(true)) == (spec.firmware == Firmware::SecureBoot), "{node:?}");
    ensure!(node.slot == "a" && node.version == env!("CARGO_PKG_VERSION"), "{node:?}");
    let serials: Vec<&str> = node.boot.disks.iter().map(|d| d.serial.as_str()).collect();
    ensure!(serials == spec.drives.iter().map(|d| d.serial.as_str()).collect::<Vec<_>>(), "{serials:?}");
    ensure!(!node.boot.arrays.is_empty(), "the mirrors are listed: {node:?}");
    ensure!(
        node.boot.arrays.iter().all(|a| !a.degraded()),
        "both halves are in sync: {:?}",
        node.boot.arrays
    );
    ensure!(matches!(node.membership, Membership::Member { .. }), "{:?}", node.membership);

    for path in [maekin_api::NODE, maekin_api::CLUSTER, maekin_api::INSTALLS, maekin_api::INSTALL_WINDOW] {
        ensure!(api.status(path, None)? == 401, "{path} is not for everybody");
        ensure!(api.status(path, Some("wrong"))? == 401, "{path} wants the right password");
    }
    let root = rack.ssh(spec, "findmnt -no FSTYPE,OPTIONS --mountpoint / && touch /usr/x; echo $?")?;
    ensure!(root.contains("squashfs") && root.contains("ro") && root.trim().ends_with('1'), "root: {root}");
    let told = || {
        let storage: Storage = api.get(maekin_api::STORAGE).ok()?;
        storage.classes.into_iter().find(|told| told.class == Class::Local && told.available)
    };
    let local = wait::until("room for local volumes", rack.limit(POOL), Duration::from_secs(1), told);
    ensure!(local.is_ok(), "{local:?}: {:?}", api.node()?.local_pool);
    // A volume on the LVM that ships, from the beginning to the end.
    rack.ssh(
        spec,
        "maekin volume create first --size 64M --wait && maekin volume attach first --purpose test --wait \
         && maekin volume detach first --wait && maekin volume delete first --yes",
    )?;
    let left =
        || rack.ssh(spec, "lvs --noheadings --options lv_name maekin").ok().filter(|l| l.trim() == "local");
    wait::until("the volume to be gone from LVM", rack.limit(STEP), Duration::from_secs(1), left)?;
    Ok(())
}
