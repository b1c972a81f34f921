//! The file system of the state, made whole after a power cut. The initrd does this, and whoever judges what a power cut
//! leaves does the same.

use std::path::Path;
use std::time::Duration;

use maekin_host::cmd::{Cmd, CmdError};

/// A file system check of a large state partition after a crash.
const LIMIT: Duration = Duration::from_secs(600);
/// Where copies of the superblock begin, with the block size that puts them there (mke2fs(8), option `sparse_super`).
const COPIES: [[&str; 4]; 2] = [["-b", "32768", "-B", "4096"], ["-b", "8193", "-B", "1024"]];
/// Bits of e2fsck's exit status, e2fsck(8).
const REPAIRED: i32 = 1 | 2;
const NOT_BEGUN: i32 = 8;

/// How it was found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Found {
    /// Nothing had to be mended.
    Clean,
    /// It had errors, which were repaired.
    Repaired,
}

/// Checks the ext4 on `device`, looking at everything where `force` says so, and repairs what can be repaired without a
/// choice. A superblock that a power cut tore, so that its checksum is wrong, is replaced by a copy of it: e2fsck by
/// itself does not go on from there.
///
/// # Errors
/// What e2fsck says where that takes a person.
pub fn repair(device: &Path, force: bool) -> Result<Found, CmdError> {
    let first = check(Cmd::new("e2fsck").arg(if force { "-fp" } else { "-p" }).arg(device));
    match first {
        Err(CmdError::Failed { status, .. }) if status.code().is_some_and(|code| code & NOT_BEGUN != 0) => {
            let by_copy = |copy: &[&str; 4]| check(Cmd::new("e2fsck").arg("-fy").args(copy).arg(device)).ok();
            COPIES.iter().find_map(by_copy).map_or(first, |_| Ok(Found::Repaired))
        }
        other => other,
    }
}

fn check(e2fsck: Cmd) -> Result<Found, CmdError> {
    match e2fsck.limit(LIMIT).run() {
        Ok(()) => Ok(Found::Clean),
        Err(CmdError::Failed { status, .. })
            if status.code().is_some_and(|code| code != 0 && code & !REPAIRED == 0) =>
        {
            Ok(Found::Repaired)
        }
        Err(e) => Err(e),
    }
}

#[cfg(test)]
mod tests {
    use std::fs::{self, File, OpenOptions};
    use std::os::unix::fs::FileExt;

    use super::*;

    const MIB: u64 = 1 << 20;
    /// Where the superblock begins.
    const SUPERBLOCK: u64 = 1024;

    /// A file system with one file in it; the bytes at `torn` were not written when the power went.
    fn image(dir: &Path, block: &str, torn: &[u64]) -> std::path::PathBuf {
        let (tree, image) = (dir.join("tree"), dir.join("state"));
        fs::create_dir_all(&tree).unwrap();
        fs::write(tree.join("node.toml"), "kept").unwrap();
        File::create(&image).unwrap().set_len(160 * MIB).unwrap();
        Cmd::new("mkfs.ext4").args(["-q", "-F", "-b", block, "-d"]).arg(&tree).arg(&image).run().unwrap();
        let file = OpenOptions::new().read(true).write(true).open(&image).unwrap();
        for at in torn {
            let mut byte = [0];
            file.read_exact_at(&mut byte, *at).unwrap();
            file.write_all_at(&[!byte[0]], *at).unwrap();
        }
        image
    }

    #[test]
    fn a_torn_superblock_is_replaced_by_a_copy_and_nothing_is_lost() {
        let rows: [(&str, &str, &[u64], Option<Found>); 5] = [
            ("whole", "4096", &[], Some(Found::Clean)),
            ("torn", "4096", &[SUPERBLOCK + 0x34], Some(Found::Repaired)),
            ("torn behind its middle", "4096", &[SUPERBLOCK + 0x2f0], Some(Found::Repaired)),
            ("small blocks, torn", "1024", &[SUPERBLOCK + 0x34], Some(Found::Repaired)),
            ("the copy is torn as well", "4096", &[SUPERBLOCK + 0x34, (32768 << 12) + 0x34], None),
        ];
        for (name, block, torn, want) in rows {
            let dir = tempfile::tempdir().unwrap();
            let image = image(dir.path(), block, torn);
            assert_eq!(repair(&image, true).ok(), want, "{name}");
            if want.is_some() {
                assert_eq!(repair(&image, true).unwrap(), Found::Clean, "{name}, a second time");
                let kept = Cmd::new("debugfs").args(["-R", "cat /node.toml"]).arg(&image).text().unwrap();
                assert_eq!(kept, "kept", "{name}");
            }
        }
    }
}
