//! What superblocks say, read from a drive's bytes. Nothing is mounted, assembled or activated, and nothing is ever
//! written: a look must not change what it looks at. Every parser takes bytes that anyone may have written.
//!
//! | module | job |
//! | --- | --- |
//! | [`bytes`] | a place with bytes in it: a range of a device, or a capture; numbers out of bytes |
//! | [`gpt`] | both GUID partition tables |
//! | [`md`] | members of Linux RAID arrays |
//! | [`lvm`] | LVM volume groups, and Ceph OSDs on them |
//! | [`bluestore`] | Ceph OSDs without LVM |
//! | [`zfs`] | ZFS pools |
//! | [`filesystem`] | ext, XFS, btrfs, and LUKS |
//! | [`previous`] | the node that an installation by this product is |

pub mod bluestore;
pub mod bytes;
pub mod filesystem;
pub mod gpt;
pub mod lvm;
pub mod md;
pub mod previous;
pub mod zfs;

use std::io;

use bytes::Region;
use maekin_host::block::Signature;

use super::Detail;

/// What the superblocks that `signatures` point at say of themselves.
///
/// # Errors
/// When the region cannot be read.
pub fn look(region: &dyn Region, sector: u64, signatures: &[Signature]) -> io::Result<Vec<Detail>> {
    let mut details = Vec::new();
    let mut seen: Vec<&str> = Vec::new();
    for signature in signatures {
        let kind = signature.r#type.as_str();
        if seen.contains(&kind) {
            continue; // a superblock and its copies
        }
        seen.push(kind);
        let detail = match kind {
            "gpt" => gpt::read(region, sector)?,
            "linux_raid_member" => md::read(region)?,
            "LVM2_member" => lvm::read(region)?,
            "ceph_bluestore" => bluestore::read(region)?,
            "zfs_member" => zfs::read(region)?,
            "ext2" | "ext3" | "ext4" => filesystem::read_ext(region, kind)?,
            "xfs" => filesystem::read_xfs(region)?,
            "btrfs" => filesystem::read_btrfs(region)?,
            "crypto_LUKS" => filesystem::read_luks(region)?,
            _ => None,
        };
        details.extend(detail);
    }
    Ok(details)
}
