//! The root file system: from the verified manifest on an ESP to a configured `/sysroot`.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use maekin_host::cmd::Cmd;
use maekin_host::file;
use maekin_host::kmsg::{self, Level};
use maekin_host::mount::{self, Access};
use maekin_image::esp;
use maekin_image::manifest::{MANIFEST_LIMIT, Manifest, PUBLIC_KEY_PATH, RootImage};
use maekin_rootfs::node::{NODE_FILE, NodeConfig};
use maekin_rootfs::render::render;

use super::{TAG, state_fs};

const ESP_MOUNT: &str = "/run/maekin/esp";
/// Name of the verity device.
const VERITY: &str = "maekin-root";
/// Where changes to `/etc` live: in memory, gone with the next start.
const ETC: &str = "/run/maekin/etc";
const NODE_LIMIT: u64 = 1 << 20;
/// What a person is told about a block that verity refuses.
const ALTERED: &str = "the system image on the boot drives is damaged or was altered, and is refused: verity found \
    blocks that the signed release does not have; start the install medium and install anew";

/// The manifest of `slot`, from the first ESP that has one signed by this release's key.
///
/// # Errors
/// When no ESP has, with the reason of each.
pub fn verified_manifest(esps: &[PathBuf], slot: &str) -> Result<Manifest> {
    let key = file::read_text(Path::new(PUBLIC_KEY_PATH), 4096).context("the initrd has no release key")?;
    let mut reasons = Vec::new();
    for esp in esps {
        match read_manifest(esp, slot, &key) {
            Ok(manifest) => return Ok(manifest),
            Err(e) => {
                let reason = format!("{}: {e:#}", esp.display());
                kmsg::say(Level::Error, TAG, &reason);
                reasons.push(reason);
            }
        }
    }
    bail!("no boot drive has a trusted manifest for slot {slot} ({}); install anew", reasons.join("; "))
}

fn read_manifest(esp: &Path, slot: &str, key: &str) -> Result<Manifest> {
    let point = Path::new(ESP_MOUNT);
    mount::attach(&esp.display().to_string(), "vfat", point, Access::ReadOnly, "nosuid,nodev,noexec")?;
    let [json, signature] =
        esp::manifest_paths(slot).map(|path| file::read_bytes(&point.join(path), MANIFEST_LIMIT));
    mount::detach(point)?;
    Ok(Manifest::verify(&json?, &String::from_utf8_lossy(&signature?), key)?)
}

/// Opens the root image on `device` under verity and mounts it on `sysroot`. A block that is not what the manifest's
/// root hash says cannot be read from it.
///
/// # Errors
/// When the image does not fit its hash, or cannot be mounted.
pub fn mount_root(image: &RootImage, device: &Path, sysroot: &Path) -> Result<()> {
    Cmd::new("veritysetup")
        .args(["open", &format!("--hash-offset={}", image.hash_offset)])
        .arg(device)
        .arg(VERITY)
        .arg(device)
        .arg(&image.root_hash)
        .run()
        .context("the system image is damaged, or is not the one that the manifest describes")?;
    let mapped = format!("/dev/mapper/{VERITY}");
    mount::attach(&mapped, "squashfs", sysroot, Access::ReadOnly, "").map_err(|e| {
        let error = anyhow::Error::from(e);
        if is_corrupted() { error.context(ALTERED) } else { error }
    })
}

/// Whether verity has met a block that is not what the root hash says.
fn is_corrupted() -> bool {
    // `status: corrupted`, veritysetup(8); what cannot be asked is told by the error at hand alone.
    let status = Cmd::new("veritysetup").args(["status", VERITY]).text();
    status.is_ok_and(|text| {
        text.lines().any(|line| line.trim().starts_with("status:") && line.contains("corrupted"))
    })
}

/// Mounts the state on `/var`, after checking its file system.
///
/// # Errors
/// When it cannot be repaired without a person, or cannot be mounted.
pub fn mount_state(device: &Path, sysroot: &Path) -> Result<()> {
    let found = state_fs::repair(device, false).with_context(|| {
        format!(
            "the file system for /var needs a person: run `e2fsck {}`, then `systemctl reboot`",
            device.display()
        )
    })?;
    if found == state_fs::Found::Repaired {
        kmsg::say(Level::Error, TAG, "the file system for /var had errors, which were repaired");
    }
    let var = sysroot.join("var");
    mount::attach(&device.display().to_string(), "ext4", &var, Access::ReadWrite, "nosuid,nodev,noatime")?;
    Ok(())
}

/// Lays a volatile `/etc` over the image's and writes the node's configuration into it.
///
/// # Errors
/// When the node file is missing or cannot be used.
pub fn configure(sysroot: &Path) -> Result<()> {
    let path = sysroot.join("var").join(NODE_FILE);
    let text = file::read_text(&path, NODE_LIMIT).context("the state has no node file; install anew")?;
    let node: NodeConfig = toml::from_str(&text).with_context(|| format!("{} is damaged", path.display()))?;
    let files = render(&node)?;

    let (etc, upper, work) = (sysroot.join("etc"), Path::new(ETC).join("upper"), Path::new(ETC).join("work"));
    for dir in [&upper, &work] {
        fs::create_dir_all(dir).with_context(|| format!("cannot create {}", dir.display()))?;
    }
    let options =
        format!("lowerdir={},upperdir={},workdir={}", etc.display(), upper.display(), work.display());
    mount::attach("maekin-etc", "overlay", &etc, Access::ReadWrite, &options)?;
    for rendered in files {
        let target = sysroot.join(rendered.path.trim_start_matches('/'));
        file::write_atomic(&target, rendered.content.as_bytes(), rendered.mode)?;
    }
    Ok(())
}
