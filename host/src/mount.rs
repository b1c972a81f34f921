//! Mounts. Nothing else in the workspace calls mount(2).
#![allow(clippy::disallowed_methods)] // this module is where the fence leads to

use std::fs;
use std::path::{Path, PathBuf};

use nix::errno::Errno;
use nix::mount::{MntFlags, MsFlags, mount, umount2};

/// A mount or unmount failed.
#[derive(Debug, thiserror::Error)]
#[error("cannot {action} {} ({detail})", path.display())]
pub struct MountError {
    /// `mount` or `unmount`.
    pub action: &'static str,
    /// The mount point.
    pub path: PathBuf,
    /// What was to be mounted there.
    pub detail: String,
    /// Why it failed.
    #[source]
    pub source: std::io::Error,
}

/// Access to a mounted file system.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Access {
    /// Nothing can be written.
    ReadOnly,
    /// Everything can.
    ReadWrite,
}

/// Mounts `device` (type `fstype`, extra `options` as mount(8) writes them after `-o`) on `target`, which is created.
/// Set-user-id programs and device nodes are honoured unless `options` says otherwise: callers pass `nosuid`,
/// `nodev` and `noexec` as they need.
///
/// # Errors
/// [`MountError`].
pub fn attach(
    device: &str,
    fstype: &str,
    target: &Path,
    access: Access,
    options: &str,
) -> Result<(), MountError> {
    let failed = |source: std::io::Error| MountError {
        action: "mount",
        path: target.to_owned(),
        detail: format!("{fstype} from {device}"),
        source,
    };
    fs::create_dir_all(target).or_else(|e| if target.is_dir() { Ok(()) } else { Err(e) }).map_err(failed)?;
    let mut flags = MsFlags::empty();
    if access == Access::ReadOnly {
        flags |= MsFlags::MS_RDONLY;
    }
    let mut rest = Vec::new();
    for option in options.split(',').filter(|o| !o.is_empty()) {
        match option {
            "nosuid" => flags |= MsFlags::MS_NOSUID,
            "nodev" => flags |= MsFlags::MS_NODEV,
            "noexec" => flags |= MsFlags::MS_NOEXEC,
            "noatime" => flags |= MsFlags::MS_NOATIME,
            other => rest.push(other),
        }
    }
    let data = rest.join(",");
    mount(Some(device), target, Some(fstype), flags, Some(data.as_str())).map_err(|e| failed(e.into()))
}

/// Unmounts `target`; one that is not mounted is fine.
///
/// # Errors
/// [`MountError`], for example when it is in use.
pub fn detach(target: &Path) -> Result<(), MountError> {
    match umount2(target, MntFlags::empty()) {
        Ok(()) | Err(Errno::EINVAL | Errno::ENOENT) => Ok(()),
        Err(e) => Err(MountError {
            action: "unmount",
            path: target.to_owned(),
            detail: "in use".to_owned(),
            source: e.into(),
        }),
    }
}

/// Takes `target` out of the tree at once, also while it is in use: for what is mounted from a device that is gone.
///
/// # Errors
/// [`MountError`].
pub fn let_go(target: &Path) -> Result<(), MountError> {
    umount2(target, MntFlags::MNT_DETACH).map_err(|e| MountError {
        action: "unmount",
        path: target.to_owned(),
        detail: "its device is gone".to_owned(),
        source: e.into(),
    })
}

/// Mount points of the devices whose names `wanted` accepts, from the text of `/proc/self/mounts`, last mounted first.
#[must_use]
pub fn parse_mounts(text: &str, wanted: impl Fn(&str) -> bool) -> Vec<PathBuf> {
    let mut found: Vec<PathBuf> = text
        .lines()
        .filter_map(|line| {
            let mut words = line.split(' ');
            let device = words.next()?;
            wanted(device).then(|| words.next().map(|path| PathBuf::from(unescape(path))))?
        })
        .collect();
    found.reverse();
    found
}

/// Mount points of the devices whose names `wanted` accepts, last mounted first.
#[must_use]
pub fn mounts_of(wanted: impl Fn(&str) -> bool) -> Vec<PathBuf> {
    parse_mounts(&fs::read_to_string("/proc/self/mounts").unwrap_or_default(), wanted)
}

/// The kernel writes blanks in paths as octal escapes (fs/proc_namespace.c, `mangle`).
fn unescape(path: &str) -> String {
    path.replace("\\040", " ").replace("\\011", "\t").replace("\\012", "\n").replace("\\134", "\\")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn mounts_of_a_device_come_last_first() {
        let text =
            "/dev/vda1 / ext4 rw 0 0\n/dev/vdb2 /mnt/a\\040b vfat ro 0 0\n/dev/vdb2 /mnt/c vfat ro 0 0\n";
        let found = parse_mounts(text, |d| d == "/dev/vdb2");
        assert_eq!(found, [PathBuf::from("/mnt/c"), PathBuf::from("/mnt/a b")]);
        assert!(parse_mounts("garbage", |_| true).is_empty());
    }

    #[test]
    fn what_is_not_mounted_need_not_be_unmounted() {
        detach(Path::new("/nowhere/at/all")).unwrap();
    }
}
