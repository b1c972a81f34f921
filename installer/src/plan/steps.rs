//! The steps of an installation. Each names every device, byte range, UUID and digest it needs; their order is what
//! keeps the machine from ever booting half an installation:
//!
//! 1. one drive after the other stops booting, by single sectors: its first one says "unfinished", so that an
//!    interrupted installation is recognised and may be repeated, and a BIOS goes on to the next boot device; then the
//!    first sector of each old ESP goes, so that UEFI does so too. Until the last of them nothing else was touched, and
//!    the old system boots from the other drive;
//! 2. everything is written and read back;
//! 3. the commit: `EFI/BOOT/BOOTX64.EFI` gets its name on each ESP, then real boot code replaces the mark;
//! 4. each ESP says that the installation is complete, so that an install medium starts it instead of asking again.

use std::path::{Path, PathBuf};

use maekin_host::md::Create;
use maekin_image::drivers::Device;
use maekin_image::esp::EspFile;
use maekin_image::gpt::TablePart;
use maekin_image::manifest::FileEntry;
use uuid::Uuid;

const MIB: u64 = 1 << 20;

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
    /// Zero the first sector of each ESP that the drive has, so that UEFI firmware finds nothing to start.
    Unboot {
        /// The drive.
        disk: PathBuf,
        /// Byte offset and length.
        ranges: Vec<(u64, u64)>,
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
    /// Write the system image through the mirror onto both halves.
    WriteRoot {
        /// The array.
        array: String,
        /// The bundle file.
        source: String,
        /// Its size and digest.
        entry: FileEntry,
    },
    /// Write zeros through the mirror onto both halves, where the drives do not zero by themselves.
    ZeroRest {
        /// The array.
        array: String,
        /// First byte of the array; zeros go from here to its end.
        from: u64,
    },
    /// Write zeros through the mirror, from its first byte on, onto what was recognised there: where a drive had the
    /// same partitions before, the array begins where the old one did, and would show all that it held.
    ZeroHead {
        /// The array.
        array: String,
        /// Bytes.
        len: u64,
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
    /// Hold the drivers of the installed initrd against the devices that the boot drives hang on.
    CheckDrivers {
        /// The ESP whose list is read.
        partition: PathBuf,
        /// The list on it.
        list: String,
        /// The devices.
        devices: Vec<Device>,
        /// The installed kernel is the running one.
        same_kernel: bool,
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
        /// What [`Step::MarkInstalled`] writes, for the inventory.
        mark: TextFile,
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
    /// Say on an ESP that the installation is complete.
    MarkInstalled {
        /// The partition.
        partition: PathBuf,
        /// The file that says so.
        mark: TextFile,
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
            Self::Unboot { disk, .. } => format!("making {} unbootable", name(disk)),
            Self::Erase { disk, .. } => format!("erasing old signatures on {}", name(disk)),
            Self::Table { disk, .. } => format!("partitioning {}", name(disk)),
            Self::BiosCore { partition, .. } => {
                format!("writing the BIOS boot loader to {}", name(partition))
            }
            Self::Zero { array, members, .. } => format!("zeroing {} for {array}", names(members)),
            Self::CreateArray(array) => format!("creating the mirror {}", array.name),
            Self::WriteRoot { array, .. } => format!("writing the system to {array}"),
            Self::ZeroRest { array, .. } => format!("zeroing the rest of {array}"),
            Self::ZeroHead { array, .. } => format!("erasing what {array} held before"),
            Self::Compare { members, .. } => format!("reading the system back from {}", names(members)),
            Self::MakeEsp { partition, .. } => format!("making the ESP on {}", name(partition)),
            Self::FillEsp { partitions, .. } => format!("writing boot files to {}", names(partitions)),
            Self::VerifyEsp { partition } => format!("reading boot files back from {}", name(partition)),
            Self::CheckDrivers { .. } => {
                "checking that the installed system has the drivers for its drives".into()
            }
            Self::MakeState { array, .. } => format!("making the file system on {array}"),
            Self::WriteState { array, .. } => format!("writing the node's settings to {array}"),
            Self::CommitEsp { partition, .. } => format!("making {} bootable by UEFI", name(partition)),
            Self::CommitMbr { disk, .. } => format!("making {} bootable by BIOS", name(disk)),
            Self::MarkInstalled { partition, .. } => {
                format!("marking the installation on {} as complete", name(partition))
            }
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
