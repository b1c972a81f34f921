//! GUID partition tables (UEFI specification, chapter 5): is the one at the start whole, is the one at the end? A lone
//! one at the end is what an older system left, and what firmware or another system may bring back to life.

use std::io;

use super::bytes::{Region, array, le32, le64};
use crate::facts::Detail;

/// Largest table that is checked, in bytes; usual are 16 KiB.
const TABLE: u64 = 1 << 20;

/// Both tables of a drive with sectors of `sector` bytes; `None`: neither is whole.
///
/// # Errors
/// The device's error.
pub fn read(region: &dyn Region, sector: u64) -> io::Result<Option<Detail>> {
    if sector == 0 || region.size() < 4 * sector {
        return Ok(None);
    }
    let last = region.size() / sector - 1;
    let (primary, backup) = (is_whole(region, sector, 1)?, is_whole(region, sector, last)?);
    Ok((primary || backup).then_some(Detail::Gpt { primary, backup }))
}

/// Whether the header in sector `lba`, and the table it points at, fit their checksums.
fn is_whole(region: &dyn Region, sector: u64, lba: u64) -> io::Result<bool> {
    let bytes = region.read(lba * sector, 512)?;
    let Some((start, len, sum)) = table(&bytes, lba) else { return Ok(false) };
    let Some(at) = start.checked_mul(sector) else { return Ok(false) };
    let entries = region.read(at, usize::try_from(len).unwrap_or_default())?;
    Ok(entries.len() as u64 == len && crc32fast::hash(&entries) == sum)
}

/// Where the table of a valid header begins, its bytes, and its checksum.
fn table(header: &[u8], lba: u64) -> Option<(u64, u64, u32)> {
    if header.get(..8)? != b"EFI PART" || le64(header, 24)? != lba {
        return None;
    }
    let size = usize::try_from(le32(header, 12)?).ok().filter(|size| (92..=512).contains(size))?;
    let mut zeroed = header.get(..size)?.to_vec();
    zeroed[16..20].fill(0);
    let sum: [u8; 4] = array(header, 16)?;
    if crc32fast::hash(&zeroed) != u32::from_le_bytes(sum) {
        return None;
    }
    let len = u64::from(le32(header, 80)?) * u64::from(le32(header, 84)?);
    (len <= TABLE).then_some((le64(header, 72)?, len, le32(header, 88)?))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::facts::ondisk::bytes::Capture;

    /// A header in sector `lba` for an empty table in sector `table`.
    fn header(lba: u64, table: u64) -> Vec<u8> {
        let mut bytes = vec![0; 512];
        bytes[..8].copy_from_slice(b"EFI PART");
        bytes[12..16].copy_from_slice(&92u32.to_le_bytes());
        bytes[24..32].copy_from_slice(&lba.to_le_bytes());
        bytes[72..80].copy_from_slice(&table.to_le_bytes());
        bytes[80..84].copy_from_slice(&128u32.to_le_bytes());
        bytes[84..88].copy_from_slice(&128u32.to_le_bytes());
        bytes[88..92].copy_from_slice(&crc32fast::hash(&[0; 128 * 128]).to_le_bytes());
        let sum = crc32fast::hash(&bytes[..92]);
        bytes[16..20].copy_from_slice(&sum.to_le_bytes());
        bytes
    }

    #[test]
    fn whole_tables_are_told_from_damaged_ones_at_both_ends() {
        for sector in [512, 4096] {
            let sectors = 1000;
            let drive = |first: bool, last: bool| {
                let mut drive = Capture { size: sectors * sector, pieces: Vec::new() };
                if first {
                    drive.pieces.push((sector, header(1, 2)));
                }
                if last {
                    drive.pieces.push(((sectors - 1) * sector, header(sectors - 1, sectors - 33)));
                }
                drive
            };
            for (first, last) in [(true, true), (true, false), (false, true)] {
                let got = read(&drive(first, last), sector).unwrap();
                assert_eq!(got, Some(Detail::Gpt { primary: first, backup: last }), "{sector}");
            }
            assert_eq!(read(&drive(false, false), sector).unwrap(), None);
            let mut damaged = drive(true, false);
            damaged.pieces.push((2 * sector + 5, vec![1]));
            assert_eq!(read(&damaged, sector).unwrap(), None, "an entry was altered");
            let mut moved = drive(true, false);
            moved.pieces.push(((sectors - 1) * sector, header(77, 2)));
            let primary_alone = Some(Detail::Gpt { primary: true, backup: false });
            assert_eq!(read(&moved, sector).unwrap(), primary_alone, "a header of another place");
        }
    }

    #[test]
    fn hostile_headers_are_no_tables() {
        for (at, value) in [(12, 0xffff_ffffu32), (12, 0), (80, u32::MAX), (84, u32::MAX), (72, u32::MAX)] {
            let mut bytes = header(1, 2);
            bytes[at..at + 4].copy_from_slice(&value.to_le_bytes());
            if at > 16 {
                bytes[16..20].fill(0);
                let sum = crc32fast::hash(&bytes[..92]);
                bytes[16..20].copy_from_slice(&sum.to_le_bytes());
            }
            let drive = Capture { size: 1 << 20, pieces: vec![(512, bytes)] };
            assert_eq!(read(&drive, 512).unwrap(), None, "{at} {value}");
        }
        assert_eq!(read(&Capture { size: 100, pieces: vec![] }, 512).unwrap(), None);
        assert_eq!(read(&Capture { size: 1 << 20, pieces: vec![] }, 0).unwrap(), None);
    }
}
