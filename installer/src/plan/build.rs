//! From drives, layout and release to the steps of an installation, in the order that [`super::steps`] explains.

use std::path::PathBuf;

use maekin_host::block::partition_path;
use maekin_host::md::{Create, Metadata};
use maekin_image::drivers::{DRIVERS, Device};
use maekin_image::esp::{self, Missing};
use maekin_image::gpt::TablePart;
use maekin_image::grubenv::GrubEnv;
use maekin_image::ids::{self, Array};
use maekin_image::layout::{Extent, Part};
use maekin_image::manifest::{FileEntry, Manifest, ROOT};
use maekin_rootfs::node::{NODE_FILE, NodeConfig};
use uuid::Uuid;

use super::Drive;
use super::steps::{Step, TextFile};
use crate::facts::{Facts, Firmware};

const MIB: u64 = 1 << 20;
/// Both allocation tables and the root directory of an ESP lie within this many bytes.
const FAT_HEAD: u64 = 8 << 20;
/// Halves up to this size are made equal by zeroing, where drives do that by themselves; larger ones by md's resync in
/// the background, because some drives take hours for it.
const ZERO_LIMIT: u64 = 64 << 30;
/// What LVM keeps at the beginning of the data array: a label, and an area of 64 MiB that describes all volumes.
const LVM_HEAD: u64 = 80 << 20;
/// The image is padded to whole blocks of this many bytes when it is written.
const BLOCK: u64 = 4096;
/// The slot that is installed.
const SLOT: &str = "a";
pub(crate) const BOOT_IMG: &str = "boot/bios/boot.img";
pub(crate) const CORE_IMG: &str = "boot/bios/core.img";

/// All steps of an installation, in order.
pub(super) fn steps(
    facts: &Facts,
    drives: &[Drive],
    layout: &[Extent; 6],
    manifest: &Manifest,
    node: &NodeConfig,
) -> Result<Vec<Step>, Missing> {
    let builder = Builder { drives, layout, manifest, install: node.install_id };
    let mut steps = builder.prepare();
    for drive in drives.iter().filter(|d| d.sector == 512) {
        steps.push(builder.bios_core(drive)?);
    }
    for array in Array::ALL {
        steps.extend(builder.array(array));
    }
    steps.extend(builder.system()?);
    steps.extend(builder.esps()?);
    steps.push(builder.drivers(facts)?);
    steps.extend(builder.state(node));
    steps.extend(builder.commit(facts.firmware, &node.hostname)?);
    Ok(steps)
}

struct Builder<'a> {
    drives: &'a [Drive],
    layout: &'a [Extent; 6],
    manifest: &'a Manifest,
    install: Uuid,
}

impl Builder<'_> {
    fn extent(&self, part: Part) -> Extent {
        self.layout[part.number() as usize - 1]
    }

    fn members(&self, part: Part) -> Vec<PathBuf> {
        self.drives.iter().map(|drive| partition_path(&drive.path, part.number())).collect()
    }

    fn entry(&self, source: &str) -> Result<FileEntry, Missing> {
        self.manifest.file(source).cloned().ok_or_else(|| Missing(source.to_owned()))
    }

    /// Takes the drives away from whatever they were.
    fn prepare(&self) -> Vec<Step> {
        let mut steps: Vec<Step> =
            self.drives.iter().map(|d| Step::Release { disk: d.path.clone() }).collect();
        steps.extend(self.drives.iter().flat_map(|drive| stop_booting(self.install, drive)));
        for (i, drive) in (0..).zip(self.drives) {
            steps.extend(partition(self.install, i, drive, self.layout));
        }
        steps
    }

    fn bios_core(&self, drive: &Drive) -> Result<Step, Missing> {
        let extent = self.extent(Part::BiosBoot);
        Ok(Step::BiosCore {
            partition: partition_path(&drive.path, Part::BiosBoot.number()),
            lba: extent.start / drive.sector,
            room: extent.size,
            source: CORE_IMG.to_owned(),
            entry: self.entry(CORE_IMG)?,
        })
    }

    /// Makes one mirror. Its halves must be equal, or md must copy one onto the other:
    /// they are zeroed where the drives do that by themselves. Where not, slot A is written through the mirror from end
    /// to end, so it is clean by construction, and the others are left to md's resync. One drive has nothing to be
    /// equal to.
    fn array(&self, array: Array) -> Vec<Step> {
        let members = self.members(array.part());
        let size = self.extent(array.part()).size;
        let zeroed = members.len() == 2 && size <= ZERO_LIMIT && self.zero_by_themselves();
        let mut steps = Vec::new();
        if zeroed {
            let (array, members) = (array.name().to_owned(), members.clone());
            steps.push(Step::Zero { array, members, size });
        }
        let system = matches!(array, Array::SystemA | Array::SystemB);
        let single = members.len() == 1;
        let mut members: Vec<Option<PathBuf>> = members.into_iter().map(Some).collect();
        members.resize(2, None);
        steps.push(Step::CreateArray(Create {
            name: array.name().to_owned(),
            uuid: ids::md_uuid(self.install, array),
            members,
            // Slots have the superblock at the end, so that a member's first byte is the image's and each half can be
            // compared by itself. State and data have it at the start, so that nothing takes a half for the whole.
            metadata: if system { Metadata::V1_0 } else { Metadata::V1_2 },
            bitmap: !system,
            assume_clean: zeroed || single || array == Array::SystemA,
        }));
        if array == Array::Data && !zeroed {
            let len = LVM_HEAD.min(size / 2 / BLOCK * BLOCK);
            steps.push(Step::ZeroHead { array: array.name().to_owned(), len });
        }
        steps
    }

    fn system(&self) -> Result<Vec<Step>, Missing> {
        let entry = self.entry(ROOT)?;
        let array = Array::SystemA.name().to_owned();
        let members = self.members(Part::SystemA);
        let rest = (members.len() == 2 && !self.zero_by_themselves())
            .then(|| Step::ZeroRest { array: array.clone(), from: entry.size.next_multiple_of(BLOCK) });
        let mut steps = vec![Step::WriteRoot { array, source: ROOT.to_owned(), entry: entry.clone() }];
        steps.extend(rest);
        steps.push(Step::Compare { members, entry });
        Ok(steps)
    }

    /// Whether every drive zeroes ranges without being sent the zeros.
    fn zero_by_themselves(&self) -> bool {
        self.drives.iter().all(|drive| drive.write_zeroes)
    }

    fn esps(&self) -> Result<Vec<Step>, Missing> {
        let partitions = self.members(Part::Esp);
        let mut steps = Vec::new();
        for (i, partition) in (0..).zip(&partitions) {
            steps.push(Step::MakeEsp {
                partition: partition.clone(),
                serial: ids::esp_serial(self.install, i),
                label: esp::LABEL.to_owned(),
            });
        }
        let text = |path: &str, content: Vec<u8>| TextFile { path: path.to_owned(), mode: 0o600, content };
        // Two short values always fit in an environment block.
        let env = GrubEnv::booting(SLOT).to_bytes().map(|b| b.to_vec()).unwrap_or_default();
        steps.push(Step::FillEsp {
            partitions: partitions.clone(),
            files: esp::bundle_files(self.manifest, SLOT)?,
            manifest: esp::manifest_paths(SLOT),
            texts: vec![
                text(esp::GRUB_STUB, esp::grub_stub().into()),
                text(esp::GRUB_MENU, esp::grub_menu(self.install, self.drives.len()).into_bytes()),
                text(esp::GRUB_ENV, env),
            ],
        });
        steps.extend(partitions.into_iter().map(|partition| Step::VerifyEsp { partition }));
        Ok(steps)
    }

    /// What was written is held against the machine that it has to start on.
    fn drivers(&self, facts: &Facts) -> Result<Step, Missing> {
        self.entry(DRIVERS)?;
        let mut devices: Vec<Device> = Vec::new();
        for device in self.drives.iter().flat_map(|drive| &drive.devices) {
            if !devices.contains(device) {
                devices.push(device.clone());
            }
        }
        let partition = partition_path(
            &self.drives.first().map(|d| d.path.clone()).unwrap_or_default(),
            Part::Esp.number(),
        );
        Ok(Step::CheckDrivers {
            partition,
            list: format!("{}/{DRIVERS}", esp::slot_dir(SLOT)),
            devices,
            same_kernel: facts.kernel == self.manifest.kernel,
        })
    }

    fn state(&self, node: &NodeConfig) -> Vec<Step> {
        let array = Array::State.name().to_owned();
        // A node file holds only strings, numbers and tables of them: there is always TOML for it.
        let content = toml::to_string(node).unwrap_or_default().into_bytes();
        vec![
            Step::MakeState { array: array.clone(), uuid: ids::state_fs_uuid(self.install) },
            Step::WriteState {
                array,
                files: vec![TextFile { path: NODE_FILE.to_owned(), mode: 0o600, content }],
            },
        ]
    }

    fn commit(&self, firmware: Firmware, hostname: &str) -> Result<Vec<Step>, Missing> {
        // An id and a host name always fit in an environment block.
        let mark = esp::installed(self.install, hostname).to_bytes().map(|b| b.to_vec()).unwrap_or_default();
        let mark = TextFile { path: esp::INSTALLED.to_owned(), mode: 0o600, content: mark };
        let mut steps = Vec::new();
        for partition in self.members(Part::Esp) {
            let file = esp::commit_file(self.manifest)?;
            steps.push(Step::CommitEsp { partition, file, mark: mark.clone() });
        }
        for drive in self.drives {
            steps.push(Step::CommitMbr {
                disk: drive.path.clone(),
                size: drive.size,
                sector: drive.sector,
                core_lba: (drive.sector == 512).then(|| self.extent(Part::BiosBoot).start / drive.sector),
                source: BOOT_IMG.to_owned(),
                entry: self.entry(BOOT_IMG)?,
            });
        }
        let marked = |partition| Step::MarkInstalled { partition, mark: mark.clone() };
        steps.extend(self.members(Part::Esp).into_iter().map(marked));
        if firmware == Firmware::Uefi {
            // The last entry made is first in the boot order.
            for (i, drive) in self.drives.iter().enumerate().rev() {
                steps.push(Step::BootEntry {
                    disk: drive.path.clone(),
                    part: Part::Esp.number(),
                    label: format!("Maekin disk {}", i + 1),
                    loader: esp::ENTRY_LOADER.to_owned(),
                });
            }
        }
        Ok(steps)
    }
}

/// A drive stops booting whatever was on it.
pub(crate) fn stop_booting(install: Uuid, drive: &Drive) -> Vec<Step> {
    let (disk, size, sector) = (drive.path.clone(), drive.size, drive.sector);
    let mut steps = vec![Step::Mark { disk, size, sector, install }];
    if !drive.esps.is_empty() {
        let ranges = drive.esps.iter().map(|start| (*start, sector)).collect();
        steps.push(Step::Unboot { disk: drive.path.clone(), ranges });
    }
    steps
}

/// A drive gets the partitions of boot drive `index`.
pub(crate) fn partition(install: Uuid, index: u8, drive: &Drive, layout: &[Extent; 6]) -> [Step; 2] {
    let part = |extent: &Extent| TablePart {
        number: extent.part.number(),
        type_guid: extent.part.type_guid(),
        guid: ids::part_guid(install, index, extent.part),
        name: extent.part.label().to_owned(),
        start: extent.start,
        size: extent.size,
    };
    let table = Step::Table {
        disk: drive.path.clone(),
        sector: drive.sector,
        guid: ids::disk_guid(install, index),
        parts: layout.iter().map(part).collect(),
    };
    [Step::Erase { disk: drive.path.clone(), ranges: erase_ranges(drive, layout) }, table]
}

/// Where old contents could be recognised: both ends of the drive, and of every partition it had or will have. The
/// first sector is not among them, it is written by [`Step::Mark`].
fn erase_ranges(drive: &Drive, layout: &[Extent; 6]) -> Vec<(u64, u64)> {
    let mut ends = vec![(drive.sector, MIB), (drive.size.saturating_sub(MIB), drive.size)];
    let new = layout.iter().map(|e| (e.start, e.size, e.part == Part::Esp));
    let old = drive.old.iter().map(|(start, size)| (*start, *size, drive.esps.contains(start)));
    for (start, size, esp) in new.chain(old) {
        let end = start.saturating_add(size).min(drive.size);
        let start = start.max(drive.sector).min(end);
        // A new FAT lies where the old one lay, and must not give its old directories back.
        let head = if esp { FAT_HEAD } else { MIB };
        ends.push((start, start.saturating_add(head).min(end)));
        ends.push((end.saturating_sub(MIB).max(start), end));
    }
    let align = |(start, end): (u64, u64)| {
        (start / drive.sector * drive.sector, end.div_ceil(drive.sector) * drive.sector)
    };
    let mut ends: Vec<(u64, u64)> = ends.into_iter().map(align).filter(|(start, end)| start < end).collect();
    ends.sort_unstable();
    let mut merged: Vec<(u64, u64)> = Vec::new();
    for (start, end) in ends {
        match merged.last_mut() {
            Some(last) if start <= last.1 => last.1 = last.1.max(end),
            _ => merged.push((start, end)),
        }
    }
    merged.into_iter().map(|(start, end)| (start, end - start)).collect()
}
