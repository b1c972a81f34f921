//! Looking at the EFI system partitions. They are mounted read-only for it, and let go of at once.

use std::path::{Component, Path, PathBuf};

use anyhow::{Context, Result};
use maekin_host::file;
use maekin_host::mount::{self, Access};
use maekin_image::esp;
use maekin_image::grubenv::GrubEnv;
use maekin_image::layout::Part;
use maekin_image::manifest::{MANIFEST_LIMIT, Manifest};

use super::super::esp::{Digests, EspSeen, paths};
use super::super::observed::{BiosImages, Observed};
use super::super::plan::known;
use super::{MOUNTS, SMALL};
use crate::digest;
use crate::plan::build::{BOOT_IMG, CORE_IMG};

/// Manifests first, then all the files that they and the inventories name.
///
/// # Errors
/// When an ESP is mounted elsewhere in a way that does not let us look: that is no damage.
pub(super) fn look_at_esps(seen: &mut Observed, key: &str) -> Result<()> {
    let order = if seen.believed == 1 { [1usize, 0] } else { [0, 1] };
    let mut points: [Option<PathBuf>; 2] = [None, None];
    for place in order {
        let Some(here) = &mut seen.places[place] else { continue };
        let partition = here.partition(Part::Esp);
        let point = Path::new(MOUNTS).join(partition.file_name().unwrap_or_default());
        match mount_to_look(&partition, &point)? {
            None => points[place] = Some(point),
            Some(reason) => here.esp.unreadable = Some(reason),
        }
    }
    for point in order.iter().filter_map(|place| points[*place].as_ref()) {
        for slot in ["a", "b"] {
            if !seen.releases.contains_key(slot)
                && let Ok(release) = read_release(point, slot, key)
            {
                seen.releases.insert(slot.to_owned(), release);
            }
        }
        seen.bios = seen.bios.take().or_else(|| read_bios(seen, point));
    }
    let mut found = [EspSeen::default(), EspSeen::default()];
    for place in 0..2 {
        if let Some(point) = &points[place] {
            found[place] = read_esp(seen, point);
        }
    }
    for (place, esp) in found.into_iter().enumerate() {
        if let Some(point) = &points[place] {
            if let Some(here) = &mut seen.places[place] {
                here.esp = esp;
            }
            if let Err(e) = mount::detach(point) {
                tracing::warn!("{:#}", anyhow::Error::from(e));
            }
        }
    }
    Ok(())
}

/// Mounts an ESP; returns why it holds no file system, where it does not.
fn mount_to_look(partition: &Path, point: &Path) -> Result<Option<String>> {
    let source = partition.display().to_string();
    let attach = |access| mount::attach(&source, "vfat", point, access, "nosuid,nodev,noexec");
    let Err(error) = attach(Access::ReadOnly) else { return Ok(None) };
    // Who has mounted it to write lets nobody mount it only to read.
    if mount::mounts_of(|device| device == source).is_empty() {
        return Ok(Some(format!("{:#}", anyhow::Error::from(error))));
    }
    attach(Access::ReadWrite).with_context(|| format!("{source} is in use; try again later"))?;
    Ok(None)
}

fn read_release(point: &Path, slot: &str, key: &str) -> Result<(Manifest, Vec<u8>, String)> {
    let [json, signature] =
        esp::manifest_paths(slot).map(|path| file::read_bytes(&point.join(path), MANIFEST_LIMIT));
    let (json, signature) = (json?, String::from_utf8(signature?)?);
    Ok((Manifest::verify(&json, &signature, key)?, json, signature))
}

/// What a BIOS needs, where it is what the manifest of the running slot says.
fn read_bios(seen: &Observed, point: &Path) -> Option<BiosImages> {
    let (manifest, ..) = seen.releases.get(&seen.slot)?;
    let read = |path: &str| {
        let bytes = file::read_bytes(&point.join(esp::slot_dir(&seen.slot)).join(path), SMALL).ok()?;
        (maekin_image::manifest::sha256_hex(&bytes) == manifest.file(path)?.sha256).then_some(bytes)
    };
    Some(BiosImages { boot: read(BOOT_IMG)?, core: read(CORE_IMG)? })
}

fn read_esp(seen: &Observed, point: &Path) -> EspSeen {
    let small = |path: &str| file::read_bytes(&point.join(path), SMALL).ok();
    let inventory: Option<Digests> =
        small(esp::INVENTORY).and_then(|bytes| serde_json::from_slice(&bytes).ok());
    let mut digests = Digests::new();
    for path in paths(inventory.as_ref(), &known(seen, seen.drives)) {
        // A path of an inventory is not to lead elsewhere.
        let inside = Path::new(&path).components().all(|c| matches!(c, Component::Normal(_)));
        if let Some(sha256) = inside.then(|| digest::of_file(&point.join(&path)).ok()).flatten() {
            digests.insert(path, sha256);
        }
    }
    digests.remove(esp::INVENTORY);
    EspSeen {
        inventory,
        digests,
        env: small(esp::GRUB_ENV).and_then(|bytes| GrubEnv::parse(&bytes).ok()),
        menu: small(esp::GRUB_MENU).and_then(|bytes| String::from_utf8(bytes).ok()),
        unreadable: None,
    }
}
