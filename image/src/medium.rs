//! The bootable medium: ISO 9660 with the bundle, an EFI partition, and a FAT partition that may be written to. The
//! same bytes boot as USB stick, optical disc and virtual media, by BIOS and UEFI.

/// Volume label of the ISO 9660 file system.
pub const LABEL: &str = "MAEKIN_ISO";
/// Directory of the bundle on it.
pub const RELEASE_DIR: &str = "release";
/// Volume label of the partition for answers and receipts.
pub const ANSWER_LABEL: &str = "MAEKIN";
/// Number of that partition in the GPT.
pub const ANSWER_PARTITION: u32 = 3;
/// Bytes of that partition.
pub const ANSWER_SIZE: u64 = 16 << 20;
/// Directory on it of wishes to install anew: an empty file named like the installation that may be replaced makes the
/// menu start the installer by itself.
pub const AGAIN_DIR: &str = "again";
/// The answer file on it.
pub const ANSWER_FILE: &str = "answer.toml";
/// Bytes from the start of a medium that [`partition`] needs: the sectors with the GPT.
pub const TABLE_LEN: usize = 34 * SECTOR;

const SECTOR: usize = 512;

/// GRUB's menu.
#[must_use]
pub fn menu(version: &str) -> String {
    include_str!("../files/medium/grub.cfg").replace("@VERSION@", version).replace("@ANSWERS@", ANSWER_LABEL)
}

/// What the signed GRUB of the EFI partition reads first.
#[must_use]
pub fn efi_stub() -> String {
    include_str!("../files/medium/efi.cfg").replace("@LABEL@", LABEL)
}

/// The text for whoever looks into the writable partition.
#[must_use]
pub fn readme(version: &str) -> String {
    include_str!("../files/medium/README.txt").replace("@VERSION@", version).replace('\n', "\r\n")
}

/// The text for whoever looks into [`AGAIN_DIR`].
#[must_use]
pub fn again_readme() -> String {
    include_str!("../files/medium/again.txt").replace('\n', "\r\n")
}

/// First byte and length of partition `number` (from 1), from the first [`TABLE_LEN`] bytes of a medium: a GPT with
/// sectors of 512 bytes (UEFI specification section 5.3). `None` where there is none such.
#[must_use]
pub fn partition(table: &[u8], number: u32) -> Option<(u64, u64)> {
    let header = table.get(SECTOR..2 * SECTOR)?;
    if !header.starts_with(b"EFI PART") {
        return None;
    }
    let entries = usize::try_from(le_u64(header, 72)?).ok()?.checked_mul(SECTOR)?;
    let (count, size) = (le_u32(header, 80)?, usize::try_from(le_u32(header, 84)?).ok()?);
    if number == 0 || number > count || size < 128 {
        return None;
    }
    let index = usize::try_from(number - 1).ok()?;
    let start = entries.checked_add(index.checked_mul(size)?)?;
    let entry = table.get(start..start.checked_add(size)?)?;
    let (first, last) = (le_u64(entry, 32)?, le_u64(entry, 40)?);
    if entry[..16] == [0; 16] || last < first {
        return None;
    }
    let sector = SECTOR as u64;
    Some((first.checked_mul(sector)?, (last - first).checked_add(1)?.checked_mul(sector)?))
}

fn le_u64(bytes: &[u8], at: usize) -> Option<u64> {
    Some(u64::from_le_bytes(bytes.get(at..at + 8)?.try_into().ok()?))
}

fn le_u32(bytes: &[u8], at: usize) -> Option<u32> {
    Some(u32::from_le_bytes(bytes.get(at..at + 4)?.try_into().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn table(third: Option<(u64, u64)>) -> Vec<u8> {
        let mut table = vec![0; TABLE_LEN];
        table[512..520].copy_from_slice(b"EFI PART");
        table[512 + 72] = 2;
        table[512 + 80] = 128;
        table[512 + 84] = 128;
        if let Some((first, last)) = third {
            let entry = &mut table[1024 + 256..1024 + 384];
            entry[..16].copy_from_slice(&[1; 16]);
            entry[32..40].copy_from_slice(&first.to_le_bytes());
            entry[40..48].copy_from_slice(&last.to_le_bytes());
        }
        table
    }

    #[test]
    fn a_partition_is_found_and_nothing_invented() {
        let mut damaged = table(Some((100, 199)));
        damaged[512 + 72..512 + 80].fill(0xff);
        let rows = [
            ("third", table(Some((100, 199))), 3, Some((51_200, 51_200))),
            ("absent", table(None), 3, None),
            ("number 0", table(Some((100, 199))), 0, None),
            ("beyond the table", table(Some((100, 199))), 200, None),
            ("ends before it starts", table(Some((100, 99))), 3, None),
            ("beyond 64 bits", table(Some((0, u64::MAX))), 3, None),
            ("entries nowhere", damaged, 3, None),
            ("no GPT", vec![0; TABLE_LEN], 3, None),
            ("too short", vec![0; 600], 3, None),
        ];
        for (name, table, number, wanted) in rows {
            assert_eq!(partition(&table, number), wanted, "{name}");
        }
    }

    #[test]
    fn the_menu_names_the_version_and_leaves_no_mark() {
        for text in [menu("1.2.3"), efi_stub(), readme("1.2.3")] {
            assert!(!text.contains('@'), "{text}");
        }
        assert!(menu("1.2.3").contains("Maekin 1.2.3"));
    }
}
