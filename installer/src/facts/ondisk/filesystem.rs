//! File systems and encrypted containers: labels, identifiers, and when they were last used.

use std::io;

use super::bytes::{Region, be16, be32, be64, le16, le32, le64, text, uuid};
use crate::facts::Detail;

/// ext2, ext3 and ext4 (kernel, `fs/ext4/ext4.h`, `struct ext4_super_block`), called `kind`.
///
/// # Errors
/// The device's error.
pub fn read_ext(region: &dyn Region, kind: &str) -> io::Result<Option<Detail>> {
    let block = region.read(1024, 1024)?;
    if le16(&block, 0x38) != Some(0xef53) {
        return Ok(None);
    }
    // Seconds in 32 bits, 8 more since 2018.
    let time = |low: usize, high: usize| -> u64 {
        let high = block.get(high).copied().map_or(0, u64::from);
        le32(&block, low).map_or(0, u64::from) | high << 32
    };
    let (mounted, written) = (time(0x2c, 0x275), time(0x30, 0x274));
    Ok(Some(Detail::FileSystem {
        fstype: kind.to_owned(),
        label: text(&block, 0x78, 16),
        mounted_on: text(&block, 0x88, 64),
        used: Some(mounted.max(written)).filter(|at| *at > 0),
    }))
}

/// XFS (kernel, `fs/xfs/libxfs/xfs_format.h`, `struct xfs_dsb`). Its superblock has no times; those of the root
/// directory, whose access time follows use within a day, say when it was last used.
///
/// # Errors
/// The device's error.
pub fn read_xfs(region: &dyn Region) -> io::Result<Option<Detail>> {
    let block = region.read(0, 512)?;
    if block.get(..4) != Some(b"XFSB".as_slice()) {
        return Ok(None);
    }
    let used = match xfs_root(&block) {
        Some((at, len)) => xfs_time(&region.read(at, len)?),
        None => None,
    };
    let label = text(&block, 108, 12);
    Ok(Some(Detail::FileSystem { fstype: "xfs".to_owned(), label, mounted_on: String::new(), used }))
}

/// Where the root directory's inode is, and its bytes.
fn xfs_root(block: &[u8]) -> Option<(u64, usize)> {
    let (size, root) = (u64::from(be32(block, 4)?), be64(block, 56)?);
    let (blocks, inode) = (u64::from(be32(block, 84)?), usize::from(be16(block, 104)?));
    let (per_block, group) = (u32::from(*block.get(123)?), u32::from(*block.get(124)?));
    let bits = group.checked_add(per_block).filter(|bits| *bits < 64)?;
    let in_group = root & ((1 << bits) - 1);
    let number = (root >> bits).checked_mul(blocks)?.checked_add(in_group >> per_block)?;
    let within = (in_group & ((1 << per_block) - 1)).checked_mul(inode as u64)?;
    (176..=4096).contains(&inode).then_some(())?;
    Some((number.checked_mul(size)?.checked_add(within)?, inode))
}

/// The latest of an inode's times, seconds since 1970.
fn xfs_time(inode: &[u8]) -> Option<u64> {
    if inode.get(..2)? != b"IN" {
        return None;
    }
    // XFS_DIFLAG2_BIGTIME: nanoseconds since 1901-12-13, else signed seconds and nanoseconds.
    let big = *inode.get(4)? >= 3 && be64(inode, 120)? & 8 != 0;
    let time = |at: usize| -> Option<u64> {
        let seconds = if big {
            i64::try_from(be64(inode, at)? / 1_000_000_000).ok()? - (1 << 31)
        } else {
            i64::from(be32(inode, at)?.cast_signed())
        };
        u64::try_from(seconds).ok()
    };
    [32, 40, 48].into_iter().filter_map(time).max().filter(|at| *at > 0)
}

/// Btrfs (kernel, `include/uapi/linux/btrfs_tree.h`, `struct btrfs_super_block`).
///
/// # Errors
/// The device's error.
pub fn read_btrfs(region: &dyn Region) -> io::Result<Option<Detail>> {
    let block = region.read(64 << 10, 4096)?;
    Ok((block.get(0x40..0x48) == Some(b"_BHRfS_M".as_slice())).then(|| Detail::Btrfs {
        label: text(&block, 0x12b, 256),
        uuid: uuid(&block, 0x20),
        devices: le64(&block, 0x88).unwrap_or_default(),
    }))
}

/// LUKS (LUKS2 On-Disk Format Specification, section 2.1; LUKS1 has the same magic and version).
///
/// # Errors
/// The device's error.
pub fn read_luks(region: &dyn Region) -> io::Result<Option<Detail>> {
    let block = region.read(0, 512)?;
    if block.get(..6) != Some(b"LUKS\xba\xbe".as_slice()) {
        return Ok(None);
    }
    let version = be16(&block, 6).unwrap_or_default();
    let label = if version == 2 { text(&block, 24, 48) } else { String::new() };
    Ok(Some(Detail::Luks { version, label, uuid: text(&block, 168, 40) }))
}

#[cfg(test)]
mod tests;
