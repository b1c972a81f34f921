//! Members of Linux RAID arrays, ours and others'. Version 1 superblocks are read by [`maekin_host::md::superblock`];
//! version 0.90, which old systems still have, here (kernel, `include/uapi/linux/raid/md_p.h`).

use std::io;

use maekin_host::md::superblock::{self, Superblock};

use super::bytes::{Region, le32, uuid};
use crate::facts::Detail;

const MAGIC: u32 = 0xa92b_4efc;
const RESERVED: u64 = 64 << 10;

/// What the member says.
///
/// # Errors
/// The device's error.
pub fn read(region: &dyn Region) -> io::Result<Option<Detail>> {
    Ok(match read_v1(region)? {
        Some(found) => Some(Detail::Md {
            name: found.set_name,
            uuid: found.set_uuid.to_string(),
            level: level(found.level),
            devices: found.raid_disks,
            used: Some(found.utime).filter(|at| *at > 0),
        }),
        None => read_v0(region)?,
    })
}

/// The superblock of version 1.x, wherever it is.
///
/// # Errors
/// The device's error.
pub fn read_v1(region: &dyn Region) -> io::Result<Option<Superblock>> {
    let end = (region.size() / 512).checked_sub(16).map(|sectors| (sectors & !7) * 512);
    for at in [Some(4096), Some(0), end].into_iter().flatten() {
        let bytes = region.read(at, superblock::SIZE)?;
        if let Ok(found) = superblock::parse(&bytes)
            && found.super_offset.checked_mul(512) == Some(at)
        {
            return Ok(Some(found));
        }
    }
    Ok(None)
}

fn read_v0(region: &dyn Region) -> io::Result<Option<Detail>> {
    let Some(at) = (region.size() / RESERVED).checked_sub(1).map(|blocks| blocks * RESERVED) else {
        return Ok(None);
    };
    let bytes = region.read(at, 4096)?;
    let word = |n: usize| le32(&bytes, 4 * n).unwrap_or_default();
    if (word(0), word(1), word(2)) != (MAGIC, 0, 90) {
        return Ok(None);
    }
    let raw: Vec<u8> = [5, 13, 14, 15].iter().flat_map(|n| word(*n).to_be_bytes()).collect();
    Ok(Some(Detail::Md {
        name: String::new(),
        uuid: uuid(&raw, 0),
        level: level(i32::from_le_bytes(word(7).to_le_bytes())),
        devices: word(10),
        used: Some(u64::from(word(32))).filter(|at| *at > 0),
    }))
}

/// The level by its name (mdadm(8), `--level`).
fn level(number: i32) -> String {
    match number {
        -1 => "linear".to_owned(),
        -4 => "multipath".to_owned(),
        n @ 0..=10 => format!("raid{n}"),
        n => format!("level {n}"),
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use crate::facts::ondisk::bytes::Capture;

    /// A version 1 superblock for a place of `at` bytes into its member, whose data begins at byte `data`.
    pub(crate) fn superblock_at(at: u64, name: &str, data: u64) -> Vec<u8> {
        let mut bytes = vec![0; superblock::SIZE];
        let mut put = |at: usize, value: &[u8]| bytes[at..at + value.len()].copy_from_slice(value);
        put(0, &MAGIC.to_le_bytes());
        put(4, &1u32.to_le_bytes());
        put(16, &[7; 16]);
        put(32, name.as_bytes());
        put(72, &1i32.to_le_bytes());
        put(80, &2048u64.to_le_bytes());
        put(92, &2u32.to_le_bytes());
        put(128, &(data / 512).to_le_bytes());
        put(136, &2048u64.to_le_bytes());
        put(144, &(at / 512).to_le_bytes());
        put(192, &1_700_000_000u64.to_le_bytes());
        put(200, &9u64.to_le_bytes());
        put(208, &u64::MAX.to_le_bytes());
        put(220, &2u32.to_le_bytes());
        put(258, &1u16.to_le_bytes());
        let sum = superblock::checksum(&bytes);
        bytes[216..220].copy_from_slice(&sum.to_le_bytes());
        bytes
    }

    #[test]
    fn members_of_every_version_are_read() {
        let size = (10 << 20) + 512;
        let end = ((size / 512 - 16) & !7) * 512;
        let want = Detail::Md {
            name: "old:0".into(),
            uuid: "07070707-0707-0707-0707-070707070707".into(),
            level: "raid1".into(),
            devices: 2,
            used: Some(1_700_000_000),
        };
        for at in [0, 4096, end] {
            let drive = Capture { size, pieces: vec![(at, superblock_at(at, "old:0", 1 << 20))] };
            assert_eq!(read(&drive).unwrap(), Some(want.clone()), "{at}");
            // A superblock that was made for another place is a leftover.
            let moved = Capture { size, pieces: vec![(at, superblock_at(at + 512, "old:0", 1 << 20))] };
            assert_eq!(read(&moved).unwrap(), None, "{at}");
        }
        let mut old = vec![0; 4096];
        for (n, value) in
            [(0, MAGIC), (2, 90), (5, 0x0102_0304), (7, 5), (10, 3), (13, 0x0506_0708), (32, 1000)]
        {
            old[4 * n..4 * n + 4].copy_from_slice(&value.to_le_bytes());
        }
        let drive = Capture { size, pieces: vec![((size / RESERVED - 1) * RESERVED, old)] };
        let Some(Detail::Md { uuid, level, devices, used, .. }) = read(&drive).unwrap() else { panic!() };
        assert_eq!(uuid, "01020304-0506-0708-0000-000000000000");
        assert_eq!((level.as_str(), devices, used), ("raid5", 3, Some(1000)));
    }

    #[test]
    fn rubbish_is_no_member() {
        for size in [0, 100, 1 << 20] {
            assert_eq!(read(&Capture { size, pieces: vec![(0, vec![0xff; 9000])] }).unwrap(), None);
        }
    }
}
