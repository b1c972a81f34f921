//! Whether the system comes up that firmware starts: GRUB's files and the kernel's are what the signed manifest says,
//! the initrd takes halves that are whole, the image on them is the one that is promised, and the state can be read.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{Read, Seek, SeekFrom};
use std::path::PathBuf;

use anyhow::{Context, Result, bail, ensure};
use maekin_host::cmd::Cmd;
use maekin_host::file;
use maekin_host::md::Metadata;
use maekin_host::md::superblock::{self, Superblock};
use maekin_image::esp;
use maekin_image::grubenv::{GrubEnv, SLOT};
use maekin_image::ids::{self, Array};
use maekin_image::layout::Part;
use maekin_image::manifest::{FileEntry, Manifest, ROOT, hex, sha256_hex};
use maekin_rootfs::node::{NODE_FILE, NodeConfig};
use sha2::{Digest, Sha256};
use uuid::Uuid;

use super::drive::Drive;
use crate::boot::halves::{self, Found, Half};
use crate::boot::state_fs;
use crate::cmdline;
use crate::facts::Firmware;

/// What was found out about the drives' systems, so that it is not found out for each firmware anew.
pub struct System<'a> {
    drives: &'a [Drive],
    key: &'a str,
    up: BTreeMap<(Uuid, String), std::result::Result<(), String>>,
}

/// A partition of the installation.
#[derive(Debug, Clone, Copy)]
struct Place<'a> {
    drive: &'a Drive,
    start: u64,
    size: u64,
}

impl<'a> System<'a> {
    /// Of these drives, with the release's public key.
    #[must_use]
    pub fn new(drives: &'a [Drive], key: &'a str) -> Self {
        Self { drives, key, up: BTreeMap::new() }
    }

    /// The installation that comes up when `firmware` starts drive `from`.
    ///
    /// # Errors
    /// Why it does not.
    pub fn comes_up(&mut self, from: usize, firmware: Firmware) -> Result<Uuid> {
        let drive = self.drives.get(from).context("there is no such drive")?;
        let need = |path: &str| drive.file(path)?.with_context(|| format!("there is no {path}"));
        check_inventory(drive)?;
        if firmware == Firmware::Uefi {
            need(esp::GRUB_STUB)?;
        }
        let menu = String::from_utf8_lossy(&need(esp::GRUB_MENU)?).into_owned();
        let id = cmdline::parse(&menu).id.context("GRUB's menu starts no installation")?;
        let install: Uuid = id.parse().context("GRUB's menu names no installation")?;
        let slot = GrubEnv::parse(&need(esp::GRUB_ENV)?)?.get(SLOT).unwrap_or("a").to_owned();
        let known = (install, slot.clone());
        if !self.up.contains_key(&known) {
            let up = self.initrd(install, &slot).map_err(|e| format!("{e:#}"));
            self.up.insert(known.clone(), up);
        }
        match self.up.get(&known) {
            Some(Err(reason)) => bail!("{reason}"),
            _ => Ok(install),
        }
    }

    /// What the initrd does, as far as it can be done to images.
    fn initrd(&self, install: Uuid, slot: &str) -> Result<()> {
        let mut found = Found { install, ..Found::default() };
        for array in Array::ALL {
            for number in 0..2 {
                let Some(place) = self.place(install, number, array.part()) else { continue };
                let block = superblock_of(place, array);
                let path = node(number, array);
                found.halves.entry(array).or_default().push(Half { drive: number, path, block });
            }
        }
        let decision = halves::decide(&found, None)
            .map_err(|open| anyhow::anyhow!("the halves cannot be told apart: {:?}", open.reasons))?;
        let esps = decision.believed.iter().filter_map(|n| self.place(install, *n, Part::Esp));
        let manifest = esps.map(|esp| self.manifest(esp.drive, slot)).find(Result::is_ok);
        let manifest = manifest.context("no ESP has a trusted manifest")??;
        let system = if slot == "b" { Array::SystemB } else { Array::SystemA };
        let root = manifest.file(ROOT).context("the manifest has no root")?;
        for place in self.taken(install, &decision, system)? {
            check_root(place, system, root)?;
        }
        for place in self.taken(install, &decision, Array::State)? {
            check_state(place, install)?;
        }
        Ok(())
    }

    /// Where the halves lie that the initrd takes for `array`.
    fn taken(&self, install: Uuid, decision: &halves::Decision, array: Array) -> Result<Vec<Place<'a>>> {
        let take =
            decision.take.get(&array).with_context(|| format!("no half of {} is left", array.name()))?;
        let numbers = (0..2).filter(|number| take.contains(&node(*number, array)));
        Ok(numbers.filter_map(|number| self.place(install, number, array.part())).collect())
    }

    /// Partition `part` of boot drive `number` of the installation, on whichever drive it is.
    fn place(&self, install: Uuid, number: u8, part: Part) -> Option<Place<'a>> {
        let guid = ids::part_guid(install, number, part);
        self.drives.iter().find_map(|drive| {
            let part = drive.parts.iter().find(|p| p.guid == guid)?;
            Some(Place { drive, start: part.start, size: part.size })
        })
    }

    fn manifest(&self, drive: &Drive, slot: &str) -> Result<Manifest> {
        let [json, signature] = esp::manifest_paths(slot)
            .map(|path| drive.file(&path)?.with_context(|| format!("there is no {path}")));
        Ok(Manifest::verify(&json?, &String::from_utf8_lossy(&signature?), self.key)?)
    }
}

/// A name for a half, by which it is found again in the decision.
fn node(number: u8, array: Array) -> PathBuf {
    PathBuf::from(format!("drive-{number}-{}", array.name()))
}

/// Every file that the inventory names, but the last one to be written, is there and is what it should be.
fn check_inventory(drive: &Drive) -> Result<()> {
    let inventory = drive.file(esp::INVENTORY)?.with_context(|| format!("there is no {}", esp::INVENTORY))?;
    let inventory: BTreeMap<String, String> =
        serde_json::from_slice(&inventory).with_context(|| format!("{} is damaged", esp::INVENTORY))?;
    ensure!(inventory.contains_key(esp::FALLBACK_LOADER), "the inventory is that of an uncommitted ESP");
    for (path, sha256) in &inventory {
        if path == esp::INSTALLED {
            continue; // written after the commit; the running node mends it
        }
        let content = drive.file(path)?.with_context(|| format!("there is no {path}"))?;
        ensure!(sha256_hex(&content) == *sha256, "{path} is damaged");
    }
    Ok(())
}

fn metadata(array: Array) -> Metadata {
    match array {
        Array::SystemA | Array::SystemB => Metadata::V1_0,
        Array::State | Array::Data => Metadata::V1_2,
    }
}

fn superblock_of(place: Place<'_>, array: Array) -> std::result::Result<Superblock, String> {
    let mut device = File::open(&place.drive.path).map_err(|e| e.to_string())?;
    superblock::read(&mut device, place.start, place.size, metadata(array)).map_err(|e| e.to_string())
}

/// Where the array's first byte lies on a half.
fn data_start(place: Place<'_>, array: Array) -> Result<u64> {
    let block = superblock_of(place, array).map_err(anyhow::Error::msg)?;
    place.start.checked_add(block.data_offset.saturating_mul(512)).context("the superblock makes no sense")
}

fn check_root(place: Place<'_>, array: Array, root: &FileEntry) -> Result<()> {
    let name = place.drive.path.display();
    let mut device = File::open(&place.drive.path)?;
    device.seek(SeekFrom::Start(data_start(place, array)?))?;
    let mut digest = Sha256::new();
    let mut left = root.size;
    let mut chunk = vec![0; 4 << 20];
    while left > 0 {
        let n = usize::try_from(left).unwrap_or(chunk.len()).min(chunk.len());
        device.read_exact(&mut chunk[..n]).with_context(|| format!("{name} cannot be read"))?;
        digest.update(&chunk[..n]);
        left -= n as u64;
    }
    ensure!(hex(&digest.finalize()) == root.sha256, "the system image on {name} is not whole");
    Ok(())
}

/// Repairs a copy of the state as the initrd would, and reads the node's settings from it.
fn check_state(place: Place<'_>, install: Uuid) -> Result<()> {
    let name = place.drive.path.display();
    let start = data_start(place, Array::State)?;
    let len = place.size - (start - place.start).min(place.size);
    let scratch = std::env::temp_dir().join(format!("maekin-judge-{}.ext4", std::process::id()));
    let copy = File::create(&scratch).with_context(|| format!("cannot create {}", scratch.display()))?;
    let copied = file::copy_sparse(&File::open(&place.drive.path)?, start, len, &copy);
    drop(copy);
    let checked = copied.map_err(anyhow::Error::from).and_then(|()| {
        state_fs::repair(&scratch, true).context("its file system cannot be repaired")?;
        Ok(Cmd::new("debugfs").args(["-R", &format!("cat /{NODE_FILE}")]).arg(&scratch).text()?)
    });
    let _ = std::fs::remove_file(&scratch); // in the temporary directory; nothing depends on it
    let text = checked.with_context(|| format!("the state on {name}"))?;
    let settings: NodeConfig =
        toml::from_str(&text).with_context(|| format!("the settings on {name} are damaged"))?;
    ensure!(settings.install_id == install, "the settings on {name} are of another installation");
    Ok(())
}
