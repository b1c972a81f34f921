//! The steps of an installation. Each names every device, byte range, UUID and digest it needs; their order is what
//! keeps the machine from ever booting half an installation:
//!
//! 1. each drive's first sector says "unfinished" before anything else of it is touched, so that an interrupted
//!    installation is recognised and may be repeated, and a BIOS goes on to the next boot device;
//! 2. everything is written and read back;
//! 3. the commit: `EFI/BOOT/BOOTX64.EFI` appears on each ESP, then real boot code replaces the mark.

use std::path::{Path, PathBuf};

use maekin_host::block::partition_path;
use maekin_host::md::{Create, Metadata};
use maekin_image::esp::{self, EspFile, Missing};
use maekin_image::gpt::TablePart;
use maekin_image::grubenv::GrubEnv;
use maekin_image::ids::{self, Array};
use maekin_image::layout::{Extent, Part};
use maekin_image::manifest::{FileEntry, Manifest, ROOT};
use maekin_rootfs::node::{NODE_FILE, NodeConfig};
use uuid::Uuid;

use super::Drive;
use crate::facts::Firmware;

const MIB: u64 = 1 << 20;
/// Halves up to this size are made equal by zeroing, where drives do that by themselves; larger ones by md's resync in
/// the background, because some drives take hours for it.
const ZERO_LIMIT: u64 = 64 << 30;
/// The slot that is installed.
pub const SLOT: &str = "a";
const BOOT_IMG: &str = "boot/bios/boot.img";
const CORE_IMG: &str = "boot/bios/core.img";

/// A file whose content is in the plan.
#[derive(Clone, PartialEq, Eq)]
pub struct TextFile {
    /// Path on its file system.
    pub path: String,
    /// Permission bits, where the file system has them.
    pub mode: u32,
    /// The whole content.
    pub content: Vec<u8>,
}

impl std::fmt::Debug for TextFile {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        // The node file holds a password hash and maybe a secret: plans are printed, contents are not.
        write!(f, "{} ({} bytes, mode {:o})", self.path, self.content.len(), self.mode)
    }
}

/// One step.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Step {
    /// Stop arrays and mounts that use the drive, left by an earlier try.
    Release {
        /// The drive.
        disk: PathBuf,
    },
    /// Write the first sector: a protective MBR that says "unfinished".
    Mark {
        /// The drive.
        disk: PathBuf,
        /// Its bytes.
        size: u64,
        /// Bytes of a sector.
        sector: u64,
        /// The installation.
        install: Uuid,
    },
    /// Zero what old contents could be recognised by.
    Erase {
        /// The drive.
        disk: PathBuf,
        /// Byte offset and length.
        ranges: Vec<(u64, u64)>,
    },
    /// Write the partition table, at both ends, and wait for the partitions.
    Table {
        /// The drive.
        disk: PathBuf,
        /// Bytes of a sector.
        sector: u64,
        /// The disk's GUID.
        guid: Uuid,
        /// The partitions.
        parts: Vec<TablePart>,
    },
    /// Write GRUB's core for BIOS.
    BiosCore {
        /// The BIOS boot partition.
        partition: PathBuf,
        /// Its first sector.
        lba: u64,
        /// Its bytes.
        room: u64,
        /// The bundle file.
        source: String,
        /// Its size and digest.
        entry: FileEntry,
    },
    /// Zero whole members, so that both halves are equal.
    Zero {
        /// What they become.
        array: String,
        /// The members.
        members: Vec<PathBuf>,
        /// Bytes of each.
        size: u64,
    },
    /// Create a mirror.
    CreateArray(Create),
    /// Write the system image through the mirror onto both halves, and zeros behind it.
    WriteRoot {
        /// The array.
        array: String,
        /// The bundle file.
        source: String,
        /// Its size and digest.
        entry: FileEntry,
    },
    /// Read both halves back past the cache, and compare.
    Compare {
        /// The members that hold it from their first byte.
        members: Vec<PathBuf>,
        /// What they must hold.
        entry: FileEntry,
    },
    /// Make the FAT file system of an ESP.
    MakeEsp {
        /// The partition.
        partition: PathBuf,
        /// Volume serial number.
        serial: u32,
        /// Volume label.
        label: String,
    },
    /// Write the ESPs' files one by one, each read once and written to all.
    FillEsp {
        /// The partitions.
        partitions: Vec<PathBuf>,
        /// Files of the bundle.
        files: Vec<EspFile>,
        /// The manifest and its signature, as they were verified: paths on the ESP.
        manifest: [String; 2],
        /// Files made here.
        texts: Vec<TextFile>,
    },
    /// Read an ESP back from the medium and compare it with its inventory.
    VerifyEsp {
        /// The partition.
        partition: PathBuf,
    },
    /// Make the ext4 file system for `/var`.
    MakeState {
        /// The array.
        array: String,
        /// Its UUID.
        uuid: Uuid,
    },
    /// Write the node's own files.
    WriteState {
        /// The array.
        array: String,
        /// The files.
        files: Vec<TextFile>,
    },
    /// Commit for UEFI: the loader that firmware starts.
    CommitEsp {
        /// The partition.
        partition: PathBuf,
        /// The loader.
        file: EspFile,
    },
    /// Commit for BIOS: boot code into the first sector. Where BIOS cannot boot the drive, only the mark goes.
    CommitMbr {
        /// The drive.
        disk: PathBuf,
        /// Its bytes.
        size: u64,
        /// Bytes of a sector.
        sector: u64,
        /// First sector of GRUB's core; `None`: no boot code.
        core_lba: Option<u64>,
        /// The bundle file.
        source: String,
        /// Its size and digest.
        entry: FileEntry,
    },
    /// Tell UEFI firmware about a drive. May fail: the drive boots by the fallback path all the same.
    BootEntry {
        /// The drive.
        disk: PathBuf,
        /// The ESP's number.
        part: u32,
        /// The entry's label.
        label: String,
        /// The loader, with `\`.
        loader: String,
    },
}

impl Step {
    /// What is being done, for a progress line.
    #[must_use]
    pub fn label(&self) -> String {
        let name = |path: &Path| path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let names = |paths: &[PathBuf]| paths.iter().map(|p| name(p)).collect::<Vec<_>>().join(" and ");
        match self {
            Self::Release { disk } => format!("releasing {}", name(disk)),
            Self::Mark { disk, .. } => format!("marking {} as unfinished", name(disk)),
            Self::Erase { disk, .. } => format!("erasing old signatures on {}", name(disk)),
            Self::Table { disk, .. } => format!("partitioning {}", name(disk)),
            Self::BiosCore { partition, .. } => {
                format!("writing the BIOS boot loader to {}", name(partition))
            }
            Self::Zero { array, members, .. } => format!("zeroing {} for {array}", names(members)),
            Self::CreateArray(array) => format!("creating the mirror {}", array.name),
            Self::WriteRoot { array, .. } => format!("writing the system to {array}"),
            Self::Compare { members, .. } => format!("reading the system back from {}", names(members)),
            Self::MakeEsp { partition, .. } => format!("making the ESP on {}", name(partition)),
            Self::FillEsp { partitions, .. } => format!("writing boot files to {}", names(partitions)),
            Self::VerifyEsp { partition } => format!("reading boot files back from {}", name(partition)),
            Self::MakeState { array, .. } => format!("making the file system on {array}"),
            Self::WriteState { array, .. } => format!("writing the node's settings to {array}"),
            Self::CommitEsp { partition, .. } => format!("making {} bootable by UEFI", name(partition)),
            Self::CommitMbr { disk, .. } => format!("making {} bootable by BIOS", name(disk)),
            Self::BootEntry { disk, .. } => format!("adding a boot entry for {}", name(disk)),
        }
    }

    /// How much work it is, in bytes moved, for a progress bar.
    #[must_use]
    pub fn weight(&self) -> u64 {
        let small = 4 * MIB;
        small
            + match self {
                Self::WriteRoot { entry, .. } => entry.size,
                Self::Compare { members, entry } => entry.size * members.len() as u64 / 2,
                Self::FillEsp { files, .. } => files.iter().map(|f| f.entry.size).sum(),
                Self::VerifyEsp { .. } => 64 * MIB,
                _ => 0,
            }
    }
}

/// All steps of an installation, in order.
pub(super) fn steps(
    firmware: Firmware,
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
    steps.extend(builder.state(node));
    steps.extend(builder.commit(firmware)?);
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
        for d in self.drives {
            let (disk, size, sector) = (d.path.clone(), d.size, d.sector);
            steps.push(Step::Mark { disk, size, sector, install: self.install });
        }
        for (i, drive) in (0..).zip(self.drives) {
            let ranges = erase_ranges(drive, self.layout);
            steps.push(Step::Erase { disk: drive.path.clone(), ranges });
            let part = |extent: &Extent| TablePart {
                number: extent.part.number(),
                type_guid: extent.part.type_guid(),
                guid: ids::part_guid(self.install, i, extent.part),
                name: extent.part.label().to_owned(),
                start: extent.start,
                size: extent.size,
            };
            steps.push(Step::Table {
                disk: drive.path.clone(),
                sector: drive.sector,
                guid: ids::disk_guid(self.install, i),
                parts: self.layout.iter().map(part).collect(),
            });
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
    /// slot A is written through the mirror from end to end, so it is clean by construction; the others are zeroed
    /// where the drives do that by themselves, and left to md's resync where not. One drive has nothing to be equal to.
    fn array(&self, array: Array) -> Vec<Step> {
        let members = self.members(array.part());
        let size = self.extent(array.part()).size;
        let zeroed = members.len() == 2
            && array != Array::SystemA
            && size <= ZERO_LIMIT
            && self.drives.iter().all(|drive| drive.write_zeroes);
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
        steps
    }

    fn system(&self) -> Result<Vec<Step>, Missing> {
        let entry = self.entry(ROOT)?;
        Ok(vec![
            Step::WriteRoot {
                array: Array::SystemA.name().to_owned(),
                source: ROOT.to_owned(),
                entry: entry.clone(),
            },
            Step::Compare { members: self.members(Part::SystemA), entry },
        ])
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

    fn commit(&self, firmware: Firmware) -> Result<Vec<Step>, Missing> {
        let mut steps = Vec::new();
        for partition in self.members(Part::Esp) {
            steps.push(Step::CommitEsp { partition, file: esp::commit_file(self.manifest)? });
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

/// Where old contents could be recognised: both ends of the drive, and of every partition it had or will have. The
/// first sector is not among them, it is written by [`Step::Mark`].
fn erase_ranges(drive: &Drive, layout: &[Extent; 6]) -> Vec<(u64, u64)> {
    let mut ends = vec![(drive.sector, MIB), (drive.size.saturating_sub(MIB), drive.size)];
    let new = layout.iter().map(|e| (e.start, e.size));
    for (start, size) in new.chain(drive.old.iter().copied()) {
        let end = start.saturating_add(size).min(drive.size);
        let start = start.max(drive.sector).min(end);
        ends.push((start, start.saturating_add(MIB).min(end)));
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
