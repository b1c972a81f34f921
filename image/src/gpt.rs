//! The partition table of a boot disk, written through the `gpt` crate onto anything that reads, writes and seeks.
//!
//! Every GUID is given by the caller: the same plan writes the same bytes. The crate never writes the protective MBR
//! (UEFI specification section 5.2.3); [`protective_mbr`] makes it, around whatever boot code belongs there.

use std::collections::BTreeMap;
use std::fmt::Debug;
use std::io::{self, Read, Seek, SeekFrom, Write};

use gpt::disk::LogicalBlockSize;
use gpt::partition_types::{OperatingSystem, Type};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

/// Bytes of boot code in an MBR.
pub const BOOT_CODE: usize = 440;
/// Bytes of an MBR, whatever the sector size of its disk.
pub const MBR: usize = 512;

/// One partition of a table to write; `start` and `size` in bytes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TablePart {
    /// Partition number, from 1.
    pub number: u32,
    /// Partition type GUID.
    pub type_guid: Uuid,
    /// Unique partition GUID.
    pub guid: Uuid,
    /// Name, at most 36 UTF-16 units.
    pub name: String,
    /// First byte.
    pub start: u64,
    /// Length in bytes.
    pub size: u64,
}

/// A partition table could not be written or read.
#[derive(Debug, thiserror::Error)]
pub enum TableError {
    /// Sectors of another size than 512 or 4096 bytes.
    #[error("sectors of {0} bytes are not supported: a GPT disk has sectors of 512 or 4096 bytes")]
    Sector(u64),
    /// A partition does not begin and end on a sector.
    #[error("partition {number} does not begin and end on a multiple of {sector} bytes")]
    Alignment {
        /// The partition's number.
        number: u32,
        /// Bytes of a sector.
        sector: u64,
    },
    /// What the `gpt` crate said.
    #[error("the partition table cannot be written or read")]
    Gpt(#[from] gpt::GptError),
    /// The device failed.
    #[error("the device failed while its partition table was written or read")]
    Io(#[from] io::Error),
}

/// Writes primary and backup GPT with exactly these GUIDs onto `device`, whose sectors have `sector` bytes; the first
/// sector is not touched. Returns the device, not yet flushed.
///
/// # Errors
/// [`TableError`]; the device may then hold half a table.
pub fn write_table<D: Read + Write + Seek + Debug>(
    device: D,
    sector: u64,
    disk_guid: Uuid,
    parts: &[TablePart],
) -> Result<D, TableError> {
    let block = block_size(sector)?;
    let mut entries = BTreeMap::new();
    for part in parts {
        if part.size == 0 || !part.start.is_multiple_of(sector) || !part.size.is_multiple_of(sector) {
            return Err(TableError::Alignment { number: part.number, sector });
        }
        entries.insert(part.number, entry(part, sector));
    }
    let config = gpt::GptConfig::new().writable(true).logical_block_size(block);
    let mut table = config.create_from_device(device, Some(disk_guid))?;
    table.update_partitions(entries)?;
    Ok(table.write()?)
}

/// Reads the table back: the disk's GUID and its partitions by number. Takes the backup where the primary is broken.
///
/// # Errors
/// [`TableError`], also where there is no table.
pub fn read_table<D: Read + Write + Seek + Debug>(
    device: D,
    sector: u64,
) -> Result<(Uuid, Vec<TablePart>), TableError> {
    let table = gpt::GptConfig::new().logical_block_size(block_size(sector)?).open_from_device(device)?;
    let part = |(&number, p): (&u32, &gpt::partition::Partition)| TablePart {
        number,
        type_guid: p.part_type_guid.guid,
        guid: p.part_guid,
        name: p.name.clone(),
        start: p.first_lba * sector,
        size: p.last_lba.saturating_sub(p.first_lba).saturating_add(1) * sector,
    };
    let parts = table.partitions().iter().filter(|(_, p)| p.is_used()).map(part).collect();
    Ok((*table.guid(), parts))
}

/// The protective MBR of a disk of `size` bytes, with `code` as its boot code.
#[must_use]
pub fn protective_mbr(size: u64, sector: u64, code: &[u8; BOOT_CODE]) -> [u8; MBR] {
    let last = (size / sector.max(1)).saturating_sub(1);
    let sectors = u32::try_from(last).unwrap_or(u32::MAX);
    let mut mbr = [0; MBR];
    mbr[..BOOT_CODE].copy_from_slice(code);
    // One record: not active, type 0xEE, CHS 0/0/2 to "too large", from LBA 1 over the rest of the disk.
    mbr[446..454].copy_from_slice(&[0, 0, 2, 0, 0xee, 0xff, 0xff, 0xff]);
    mbr[454..458].copy_from_slice(&1u32.to_le_bytes());
    mbr[458..462].copy_from_slice(&sectors.to_le_bytes());
    mbr[510..].copy_from_slice(&[0x55, 0xaa]);
    mbr
}

/// Writes `bytes` at byte `offset` of `device`.
///
/// # Errors
/// The device's error.
pub fn write_at(device: &mut (impl Write + Seek), offset: u64, bytes: &[u8]) -> io::Result<()> {
    device.seek(SeekFrom::Start(offset))?;
    device.write_all(bytes)
}

fn block_size(sector: u64) -> Result<LogicalBlockSize, TableError> {
    LogicalBlockSize::try_from(sector).map_err(|_| TableError::Sector(sector))
}

fn entry(part: &TablePart, sector: u64) -> gpt::partition::Partition {
    gpt::partition::Partition {
        part_type_guid: Type { guid: part.type_guid, os: OperatingSystem::None },
        part_guid: part.guid,
        first_lba: part.start / sector,
        last_lba: (part.start + part.size) / sector - 1,
        flags: 0,
        name: part.name.clone(),
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use crate::ids;
    use crate::layout::plan_layout;
    use std::fs::File;

    pub(crate) const INSTALL: Uuid = Uuid::from_u128(0x77);

    pub(crate) fn parts(size: u64) -> Vec<TablePart> {
        let part = |e: crate::layout::Extent| TablePart {
            number: e.part.number(),
            type_guid: e.part.type_guid(),
            guid: ids::part_guid(INSTALL, 0, e.part),
            name: e.part.label().to_owned(),
            start: e.start,
            size: e.size,
        };
        plan_layout(size).unwrap().into_iter().map(part).collect()
    }

    fn disk(size: u64) -> File {
        let file = tempfile::tempfile().unwrap();
        file.set_len(size).unwrap();
        file
    }

    #[test]
    fn what_was_written_is_read_back_on_both_sector_sizes() {
        for (sector, size) in [(512, 12 << 30), (4096, 9 << 30), (512, 15_000_000_000_000)] {
            let file = disk(size);
            let written = parts(size);
            write_table(&file, sector, ids::disk_guid(INSTALL, 0), &written).unwrap();
            let (guid, read) = read_table(&file, sector).unwrap();
            assert_eq!(guid, ids::disk_guid(INSTALL, 0), "{sector}");
            assert_eq!(read, written, "{sector}, {size}");
        }
    }

    #[test]
    fn the_backup_table_is_enough() {
        let size = 9 << 30;
        let mut file = disk(size);
        write_table(&file, 512, ids::disk_guid(INSTALL, 0), &parts(size)).unwrap();
        write_at(&mut file, 0, &[0; 34 * 512]).unwrap();
        assert_eq!(read_table(&file, 512).unwrap().1, parts(size));
    }

    #[test]
    fn two_writes_are_the_same_bytes() {
        let size = 9 << 30;
        let bytes = |_: u8| {
            let mut file = disk(size);
            write_table(&file, 512, ids::disk_guid(INSTALL, 0), &parts(size)).unwrap();
            let mut head = vec![0; 34 * 512];
            file.seek(SeekFrom::Start(0)).unwrap();
            file.read_exact(&mut head).unwrap();
            head
        };
        assert_eq!(bytes(1), bytes(2));
    }

    #[test]
    fn crooked_partitions_and_sectors_are_refused() {
        let size = 9u64 << 30;
        let mut crooked = parts(size);
        crooked[1].start += 512;
        let err = write_table(disk(size), 4096, INSTALL, &crooked).unwrap_err();
        assert!(err.to_string().contains("partition 2"), "{err}");
        let err = write_table(disk(size), 520, INSTALL, &parts(size)).unwrap_err();
        assert!(err.to_string().contains("520"), "{err}");
    }

    #[test]
    fn the_protective_record_covers_the_disk_or_says_it_cannot() {
        let code = [7; BOOT_CODE];
        let small = protective_mbr(9 << 30, 512, &code);
        assert_eq!(small[458..462], ((9u32 << 21) - 1).to_le_bytes());
        assert_eq!((small[439], small[450], &small[510..]), (7, 0xee, &[0x55, 0xaa][..]));
        assert_eq!(protective_mbr(30_000_000_000_000, 512, &code)[458..462], [0xff; 4]);
    }
}
