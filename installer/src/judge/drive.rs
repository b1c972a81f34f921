//! A drive as firmware sees it.

use std::cell::RefCell;
use std::fs::File;
use std::io::{Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use maekin_image::bootcode;
use maekin_image::esp;
use maekin_image::fat::Fat;
use maekin_image::gpt::{BOOT_CODE, MBR, TablePart, read_table};
use maekin_image::layout::Part;

use crate::facts::probe::probe_whole;
use crate::facts::{Contents, Firmware};

/// Largest file of an ESP that is read.
const FILE_LIMIT: u64 = 256 << 20;

/// See the module.
#[derive(Debug)]
pub struct Drive {
    /// Its node, or its image.
    pub path: PathBuf,
    /// Bytes.
    pub size: u64,
    /// Bytes of a sector, as its partition table was written with.
    pub sector: u64,
    /// Its partitions; none where there is no valid table.
    pub parts: Vec<TablePart>,
    mbr: [u8; MBR],
    fat: Option<RefCell<Fat<File>>>,
}

/// What firmware starts from a drive.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Starts {
    /// Nothing: it goes on to the next device.
    Nothing,
    /// GRUB, as it was installed.
    Grub,
    /// Something that is not what was installed.
    Broken(String),
}

impl Drive {
    /// Looks at a drive or an image.
    ///
    /// # Errors
    /// When it cannot be read.
    pub fn look(path: &Path) -> Result<Self> {
        let open = || File::open(path).with_context(|| format!("cannot open {}", path.display()));
        let mut file = open()?;
        let read = || format!("cannot read {}", path.display());
        let size = file.seek(SeekFrom::End(0)).with_context(read)?;
        let mut mbr = [0; MBR];
        file.seek(SeekFrom::Start(0)).with_context(read)?;
        file.read_exact(&mut mbr).with_context(read)?;
        let mut sector = 512;
        let mut parts = Vec::new();
        for wanted in [512, 4096] {
            // No table, or a broken one, is no error: firmware finds nothing then.
            if let Ok((_, found)) = read_table(open()?, wanted) {
                (sector, parts) = (wanted, found);
                break;
            }
        }
        let esp = parts.iter().find(|p| p.type_guid == Part::Esp.type_guid());
        let fat = match esp {
            Some(esp) => Fat::open(open()?, esp.start).ok().map(RefCell::new),
            None => None,
        };
        Ok(Self { path: path.to_owned(), size, sector, parts, mbr, fat })
    }

    /// A file of the ESP; `None` where there is none, or no ESP.
    ///
    /// # Errors
    /// When the file system is damaged.
    pub fn file(&self, path: &str) -> Result<Option<Vec<u8>>> {
        let Some(fat) = &self.fat else { return Ok(None) };
        fat.borrow_mut().read(path, FILE_LIMIT).with_context(|| format!("cannot read {path}"))
    }

    /// `len` bytes at `offset`.
    ///
    /// # Errors
    /// When they cannot be read.
    pub fn bytes(&self, offset: u64, len: u64) -> Result<Vec<u8>> {
        let bytes = maekin_host::block::read_at(&self.path, offset, len);
        bytes.with_context(|| format!("cannot read {}", self.path.display()))
    }

    /// What the planner sees.
    ///
    /// # Errors
    /// When it cannot be read.
    pub fn contents(&self) -> Result<Contents> {
        probe_whole(&self.path, self.size)
    }

    /// What `firmware` starts from here.
    #[must_use]
    pub fn starts(&self, firmware: Firmware) -> Starts {
        match firmware {
            Firmware::Bios => self.starts_by_bios(),
            Firmware::Uefi => match self.file(esp::FALLBACK_LOADER) {
                Ok(None) => Starts::Nothing,
                Ok(Some(_)) => Starts::Grub,
                Err(e) => Starts::Broken(format!("{e:#}")),
            },
        }
    }

    /// A BIOS runs whatever has the signature. The mark hands over to the next device.
    fn starts_by_bios(&self) -> Starts {
        if self.mbr[510..] != [0x55, 0xaa] || bootcode::unfinished_install(&self.mbr).is_some() {
            return Starts::Nothing;
        }
        match self.boot_code_fits() {
            Ok(()) => Starts::Grub,
            Err(e) => Starts::Broken(format!("its boot code: {e:#}")),
        }
    }

    /// Whether boot code and core are those of the release on the ESP.
    fn boot_code_fits(&self) -> Result<()> {
        let part = self.parts.iter().find(|p| p.type_guid == Part::BiosBoot.type_guid());
        let part = part.context("there is no BIOS boot partition")?;
        let lba = part.start / self.sector;
        let bundle = |name: &str| -> Result<Vec<u8>> {
            let path = format!("{}/boot/bios/{name}", esp::slot_dir("a"));
            self.file(&path)?.with_context(|| format!("there is no {path}"))
        };
        let code = bootcode::mbr_code(&bundle("boot.img")?, lba)?;
        anyhow::ensure!(self.mbr[..BOOT_CODE] == code, "it is not the release's");
        let core = bootcode::core(&bundle("core.img")?, lba, part.size)?;
        anyhow::ensure!(self.bytes(part.start, core.len() as u64)? == core, "the core is not the release's");
        Ok(())
    }
}
