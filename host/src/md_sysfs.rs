//! Running arrays through sysfs: members and how each is, comparisons, progress. Nothing is started or stopped here
//! (see [`crate::md`]); writing to an attribute is all that is done (Documentation/admin-guide/md.rst).

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

/// A running array.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Running {
    /// How many members it should have.
    pub wanted: u32,
    /// How many of them it has, in sync.
    pub in_sync: u32,
    /// What it does: `idle`, `resync`, `recover`, `check`, `repair`.
    pub action: String,
    /// Of that, how far it is: done and all, in sectors of 512 bytes.
    pub progress: Option<(u64, u64)>,
    /// Sectors of 512 bytes that the last comparison found to differ.
    pub mismatches: u64,
    /// Its members.
    pub members: Vec<Member>,
}

/// A member of a running array.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Member {
    /// Kernel name of its device, e.g. `vda3`; the device itself may be gone.
    pub name: String,
    /// How it is.
    pub state: MemberState,
}

/// How a member is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MemberState {
    /// In use and up to date.
    InSync,
    /// In use, or waiting to be, and not up to date.
    Spare,
    /// Given up.
    Faulty,
}

/// Reads an array from a directory like `/sys/block/md127`. What the kernel does not say counts as missing: a mirror is
/// whole only when it was seen to be.
#[must_use]
pub fn read(dir: &Path) -> Running {
    let md = dir.join("md");
    let text = |name: &str| fs::read_to_string(md.join(name)).unwrap_or_default().trim().to_owned();
    let number = |name: &str| text(name).split_whitespace().next().and_then(|n| n.parse::<u32>().ok());
    let wanted = number("raid_disks").unwrap_or(2);
    Running {
        wanted,
        in_sync: wanted.saturating_sub(number("degraded").unwrap_or(wanted)),
        action: text("sync_action"),
        progress: parse_completed(&text("sync_completed")),
        mismatches: text("mismatch_cnt").parse().unwrap_or(0),
        members: members(dir),
    }
}

/// The members of the array at a directory like `/sys/block/md127`, by name.
#[must_use]
pub fn members(dir: &Path) -> Vec<Member> {
    let entries = fs::read_dir(dir.join("md")).into_iter().flatten().flatten();
    let mut members: Vec<Member> = entries
        .filter_map(|entry| {
            let name = entry.file_name().to_string_lossy().strip_prefix("dev-")?.to_owned();
            let state = fs::read_to_string(entry.path().join("state")).unwrap_or_default();
            Some(Member { name, state: parse_state(&state) })
        })
        .collect();
    members.sort_by(|a, b| a.name.cmp(&b.name));
    members
}

/// What a member's attribute `state` says: words separated by commas.
fn parse_state(text: &str) -> MemberState {
    let mut words = text.trim().split(',');
    if words.clone().any(|word| word == "faulty") {
        MemberState::Faulty
    } else if words.any(|word| word == "in_sync") {
        MemberState::InSync
    } else {
        MemberState::Spare
    }
}

/// `1234 / 5678`, or `none`.
fn parse_completed(text: &str) -> Option<(u64, u64)> {
    let (done, all) = text.split_once('/')?;
    Some((done.trim().parse().ok()?, all.trim().parse().ok()?)).filter(|(_, all)| *all > 0)
}

/// Makes the array at `dir` give up the member `name` and forget it, so that the device can go and another can come.
/// The kernel keeps the last good member whatever it is told.
///
/// # Errors
/// The kernel's.
pub fn give_up(dir: &Path, name: &str) -> io::Result<()> {
    let state = dir.join("md").join(format!("dev-{name}")).join("state");
    if parse_state(&fs::read_to_string(&state)?) != MemberState::Faulty {
        fs::write(&state, "faulty")?;
    }
    fs::write(&state, "remove")
}

/// Begins a comparison of the halves, at no more than `kib_per_s` where others use the drives.
///
/// # Errors
/// The kernel's, for example when it is busy with something else.
pub fn start_check(dir: &Path, kib_per_s: u32) -> io::Result<()> {
    start(dir, kib_per_s, "check")
}

/// Makes the halves equal where they differ, from the first one; like [`start_check`].
///
/// # Errors
/// The kernel's.
pub fn start_repair(dir: &Path, kib_per_s: u32) -> io::Result<()> {
    start(dir, kib_per_s, "repair")
}

fn start(dir: &Path, kib_per_s: u32, action: &str) -> io::Result<()> {
    let md = dir.join("md");
    fs::write(md.join("sync_speed_max"), kib_per_s.to_string())?;
    // An array that nobody has written to since it was assembled does not sync at all (md.rst, `array_state`).
    if fs::read_to_string(md.join("array_state")).is_ok_and(|state| state.trim() == "read-auto") {
        fs::write(md.join("array_state"), "active")?;
    }
    fs::write(md.join("sync_action"), action)
}

/// Lets the array sync as fast as the system's settings say.
///
/// # Errors
/// The kernel's.
pub fn reset_speed(dir: &Path) -> io::Result<()> {
    fs::write(dir.join("md/sync_speed_max"), "system")
}

/// The directory of the array whose node is `node`; `None` where it does not run.
#[must_use]
pub fn directory(node: &Path) -> Option<PathBuf> {
    let dir = Path::new("/sys/block").join(crate::md::kernel_name(node)?);
    dir.join("md").is_dir().then_some(dir)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn array(files: &[(&str, &str)]) -> tempfile::TempDir {
        let dir = tempfile::tempdir().unwrap();
        for (path, text) in files {
            let path = dir.path().join("md").join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        }
        dir
    }

    #[test]
    fn an_array_is_whole_only_when_the_kernel_says_so() {
        let rows = [
            ("whole", vec![("raid_disks", "2\n"), ("degraded", "0\n"), ("sync_action", "idle\n")], (2, 2)),
            ("half", vec![("raid_disks", "2\n"), ("degraded", "1\n")], (2, 1)),
            ("being reshaped", vec![("raid_disks", "2 (1)\n"), ("degraded", "0\n")], (2, 2)),
            ("nothing said", vec![], (2, 0)),
        ];
        for (name, files, want) in rows {
            let dir = array(&files);
            let got = read(dir.path());
            assert_eq!((got.wanted, got.in_sync), want, "{name}");
        }
    }

    #[test]
    fn members_and_progress_are_read() {
        let dir = array(&[
            ("dev-vda3/state", "in_sync\n"),
            ("dev-vdb3/state", "spare\n"),
            ("dev-vdc3/state", "faulty,blocked\n"),
            ("sync_completed", "1024 / 4096\n"),
            ("mismatch_cnt", "128\n"),
        ]);
        let got = read(dir.path());
        let states: Vec<_> = got.members.iter().map(|m| (m.name.as_str(), m.state)).collect();
        use MemberState::{Faulty, InSync, Spare};
        assert_eq!(states, [("vda3", InSync), ("vdb3", Spare), ("vdc3", Faulty)]);
        assert_eq!((got.progress, got.mismatches), (Some((1024, 4096)), 128));
        for (text, want) in [("none", None), ("", None), ("1 / 0", None), ("x / 2", None)] {
            assert_eq!(parse_completed(text), want, "{text}");
        }
    }

    #[test]
    fn a_member_is_given_up_and_forgotten() {
        let dir = array(&[("dev-vda3/state", "in_sync\n"), ("array_state", "read-auto\n")]);
        start_check(dir.path(), 5).unwrap();
        let text = |name: &str| fs::read_to_string(dir.path().join("md").join(name)).unwrap();
        assert_eq!(
            (text("sync_action"), text("sync_speed_max"), text("array_state")),
            ("check".into(), "5".into(), "active".into())
        );
        give_up(dir.path(), "vda3").unwrap();
        assert_eq!(fs::read_to_string(dir.path().join("md/dev-vda3/state")).unwrap(), "remove");
        assert!(give_up(dir.path(), "vdb3").is_err());
    }
}
