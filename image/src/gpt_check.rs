//! Whether both partition tables of a boot disk are what they should be. A disk with one damaged table still works, so
//! nobody notices until the other one is damaged too. Pure: head and tail of the disk in, words out.

use std::ops::Range;

use uuid::Uuid;

use crate::gpt::MBR;

/// Bytes to read at the start and at the end of a disk: both tables lie in them, whatever the sector size.
pub const EDGE: usize = 1 << 20;

/// Bytes of a header that count (UEFI specification section 5.3.2, table 5-5).
const HEADER: usize = 92;
/// Largest array of entries that is looked at.
const LARGEST: usize = 128 * 128;

/// What is wrong with the tables of a disk of `size` bytes in sectors of `sector`, whose GUID should be `guid`; nothing
/// where both are whole and the same. `head` and `tail` are its first and last [`EDGE`] bytes.
#[must_use]
pub fn problems(head: &[u8], tail: &[u8], size: u64, sector: u64, guid: Uuid) -> Vec<String> {
    let mut problems = Vec::new();
    let record = head.get(..MBR).is_some_and(|mbr| mbr[510..] == [0x55, 0xaa] && mbr[450] == 0xee);
    if !record {
        problems.push("the protective boot record is damaged".to_owned());
    }
    let primary = table(head, 0, sector, sector);
    let backup = table(tail, size.saturating_sub(EDGE as u64), size.saturating_sub(sector), sector);
    for (name, table) in [("primary", &primary), ("backup", &backup)] {
        match table {
            None => problems.push(format!("the {name} partition table is damaged")),
            Some((of, _)) if *of != guid => {
                problems.push(format!("the {name} partition table is another disk's"));
            }
            Some(_) => {}
        }
    }
    if let (Some((_, primary)), Some((_, backup))) = (&primary, &backup)
        && primary != backup
    {
        problems.push("the two partition tables differ".to_owned());
    }
    problems
}

/// The disk GUID and the entries of the table whose header lies at byte `at` of the disk; `bytes` begin at byte `base`.
/// `None` where a checksum is wrong.
fn table(bytes: &[u8], base: u64, at: u64, sector: u64) -> Option<(Uuid, Vec<u8>)> {
    let header = bytes.get(range(at.checked_sub(base)?, HEADER)?)?;
    let u32_at = |i: usize| header.get(i..i + 4)?.try_into().ok().map(u32::from_le_bytes);
    let u64_at = |i: usize| header.get(i..i + 8)?.try_into().ok().map(u64::from_le_bytes);
    if header[..8] != *b"EFI PART" || u32_at(12)? as usize != HEADER {
        return None;
    }
    let mut zeroed = header.to_vec();
    zeroed[16..20].fill(0);
    if crc32fast::hash(&zeroed) != u32_at(16)? || u64_at(24)?.checked_mul(sector)? != at {
        return None;
    }
    let length = (u32_at(80)? as usize).checked_mul(u32_at(84)? as usize).filter(|n| *n <= LARGEST)?;
    let from = u64_at(72)?.checked_mul(sector)?.checked_sub(base)?;
    let entries = bytes.get(range(from, length)?)?;
    (crc32fast::hash(entries) == u32_at(88)?).then_some(())?;
    let guid: [u8; 16] = header[56..72].try_into().ok()?;
    Some((Uuid::from_bytes_le(guid), entries.to_vec()))
}

fn range(from: u64, length: usize) -> Option<Range<usize>> {
    let from = usize::try_from(from).ok()?;
    Some(from..from.checked_add(length)?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::gpt::tests::{INSTALL, parts};
    use crate::gpt::{protective_mbr, write_at, write_table};
    use crate::ids;
    use std::fs::File;
    use std::os::unix::fs::FileExt;

    fn disk(size: u64, sector: u64) -> File {
        let mut file = tempfile::tempfile().unwrap();
        file.set_len(size).unwrap();
        write_table(&file, sector, ids::disk_guid(INSTALL, 0), &parts(size)).unwrap();
        write_at(&mut file, 0, &protective_mbr(size, sector, &[0; 440])).unwrap();
        file
    }

    fn look(file: &File, size: u64, sector: u64) -> Vec<String> {
        let read = |at| {
            let mut bytes = vec![0; EDGE];
            file.read_exact_at(&mut bytes, at).unwrap();
            bytes
        };
        problems(&read(0), &read(size - EDGE as u64), size, sector, ids::disk_guid(INSTALL, 0))
    }

    #[test]
    fn any_damage_to_either_table_is_seen() {
        for (sector, size) in [(512, 9 << 30), (4096, 10 << 30)] {
            assert_eq!(look(&disk(size, sector), size, sector), [""; 0]);
            let primary = "the primary partition table is damaged";
            let backup = "the backup partition table is damaged";
            let rows = [
                ("boot record", 510, "the protective boot record is damaged"),
                ("header", sector + 40, primary),
                ("first entry", 2 * sector + 5, primary),
                ("last entry", 2 * sector + 127 * 128, primary),
                ("backup header", size - sector + 60, backup),
                ("backup entries", size - sector - 128 * 128 + 33, backup),
            ];
            for (name, at, want) in rows {
                let mut file = disk(size, sector);
                write_at(&mut file, at, &[0xa5]).unwrap();
                assert_eq!(look(&file, size, sector), [want], "{name}, {sector}");
            }
        }
    }

    #[test]
    fn another_disks_table_and_rubbish_are_told() {
        let (size, sector) = (9 << 30, 512);
        let got = problems(&[], &[], size, sector, INSTALL);
        assert_eq!(got.len(), 3, "{got:?}");
        let file = disk(size, sector);
        let read = |at| {
            let mut bytes = vec![0; EDGE];
            file.read_exact_at(&mut bytes, at).unwrap();
            bytes
        };
        let got = problems(&read(0), &read(size - EDGE as u64), size, sector, INSTALL);
        assert!(got.iter().all(|p| p.contains("another disk's")) && got.len() == 2, "{got:?}");
        for byte in [0, 0xff] {
            let rubbish = vec![byte; EDGE];
            assert_eq!(problems(&rubbish, &rubbish, 3, 0, INSTALL).len(), 3);
        }
    }
}
