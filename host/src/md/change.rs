//! Members of a running array: which it has, taking out and in, and how far it is with bringing them up to date.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::MdError;
use crate::cmd::Cmd;
use crate::md_sysfs::{self, MemberState};
use crate::wait;

/// A member of a running array, as sysfs shows it (Linux `Documentation/admin-guide/md.rst`).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Member {
    /// Kernel name, e.g. `vda3`.
    pub name: String,
    /// Up to date, and in use.
    pub in_sync: bool,
    /// The array has given it up.
    pub faulty: bool,
    /// Its device is not there any more.
    pub gone: bool,
}

/// The members of the array at a directory like `/sys/block/md127`; `devices`: one like `/sys/class/block`.
#[must_use]
pub fn members(dir: &Path, devices: &Path) -> Vec<Member> {
    let member = |found: md_sysfs::Member| {
        let name = found.name.replace('!', "/");
        let gone = !devices.join(&name).exists();
        let state = found.state;
        Member { in_sync: state == MemberState::InSync, faulty: state == MemberState::Faulty, gone, name }
    };
    md_sysfs::members(dir).into_iter().map(member).collect()
}

/// How far an array is with bringing a member up to date.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sync {
    /// Every member is up to date.
    Whole,
    /// So many bytes of each member are.
    Running(u64),
    /// A member is missing, and nothing is being done about it.
    Idle,
}

/// Reads it from a directory like `/sys/block/md127`.
#[must_use]
pub fn sync(dir: &Path) -> Sync {
    let text =
        |name: &str| fs::read_to_string(dir.join("md").join(name)).unwrap_or_default().trim().to_owned();
    // `123 / 456` in sectors while it runs; `delayed` while another array of the same drives is first; else `none`.
    let completed = text("sync_completed");
    let done = completed.split('/').next().and_then(|n| n.trim().parse::<u64>().ok());
    let busy = !matches!(text("sync_action").as_str(), "idle" | "frozen" | "check" | "");
    match (text("degraded").as_str(), done) {
        ("0", None) if !busy => Sync::Whole,
        (_, Some(sectors)) if busy => Sync::Running(sectors.saturating_mul(512)),
        _ if busy || completed == "delayed" => Sync::Running(0),
        ("0", _) => Sync::Whole,
        _ => Sync::Idle,
    }
}

/// Takes `member` (a kernel name) out of the array at `dir`, given up before where it was not yet; works too where its
/// device is gone.
///
/// # Errors
/// [`MdError`].
pub fn take_out(dir: &Path, member: &str) -> Result<(), MdError> {
    let state = dir.join("md").join(format!("dev-{}", member.replace('/', "!"))).join("state");
    let _ = fs::write(&state, "faulty"); // it may be so already; whether it can be taken out is what counts
    let what = format!("{} to let go of {member}", dir.display());
    wait::until(&what, Duration::from_secs(20), Duration::from_millis(100), || {
        (!state.exists() || fs::write(&state, "remove").is_ok()).then_some(())
    })?;
    Ok(())
}

/// Puts `member` back into the running `array`, to be brought up to date from it by what changed since.
///
/// # Errors
/// [`MdError`], also where too much has changed for that.
pub fn re_add(array: &Path, member: &Path) -> Result<(), MdError> {
    manage(array, "--re-add", member, "put a member back into")
}

/// Puts `member` into the running `array` as a new one, to be brought up to date as a whole; what it was before is
/// forgotten first.
///
/// # Errors
/// [`MdError`].
pub fn add(array: &Path, member: &Path) -> Result<(), MdError> {
    let name = array.display().to_string();
    let failed = |source| MdError::Mdadm { action: "take a new member into", name: name.clone(), source };
    // Says by its exit status that there was nothing to forget; adding tells what matters.
    let _ = Cmd::new("mdadm").arg("--zero-superblock").arg(member).run();
    Cmd::new("mdadm").arg("--manage").arg(array).arg("--add").arg(member).run().map_err(failed)
}

fn manage(array: &Path, how: &str, member: &Path, action: &'static str) -> Result<(), MdError> {
    let name = array.display().to_string();
    let failed = |source| MdError::Mdadm { action, name, source };
    Cmd::new("mdadm").arg("--manage").arg(array).arg(how).arg(member).run().map_err(failed)
}

/// The directory in sysfs of the array whose node is `array`.
#[must_use]
pub fn sysfs(array: &Path) -> Option<PathBuf> {
    super::kernel_name(array).map(|name| Path::new("/sys/block").join(name))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn members_are_told_apart() {
        let dir = tempfile::tempdir().unwrap();
        let (array, devices) = (dir.path().join("md127"), dir.path().join("class"));
        for (name, state, there) in [
            ("vda3", "in_sync\n", true),
            ("vdb3", "faulty,in_sync\n", true),
            ("vdc3", "in_sync,write_error\n", false),
            ("vdd3", "spare\n", true),
        ] {
            let member = array.join("md").join(format!("dev-{name}"));
            fs::create_dir_all(&member).unwrap();
            fs::write(member.join("state"), state).unwrap();
            if there {
                fs::create_dir_all(devices.join(name)).unwrap();
            }
        }
        let words = |m: &Member| format!("{} {} {} {}", m.name, m.in_sync, m.faulty, m.gone);
        let got: Vec<String> = members(&array, &devices).iter().map(words).collect();
        assert_eq!(
            got,
            [
                "vda3 true false false",
                "vdb3 false true false",
                "vdc3 true false true",
                "vdd3 false false false"
            ]
        );
        assert!(members(Path::new("/nowhere"), &devices).is_empty());
    }

    #[test]
    fn progress_is_read_in_all_its_forms() {
        for (name, action, completed, degraded, want) in [
            ("whole", "idle", "none", "0", Sync::Whole),
            ("whole, being checked", "check", "8 / 64", "0", Sync::Whole),
            ("copying", "recover", "8 / 64", "1", Sync::Running(4096)),
            ("after a crash", "resync", "2 / 64", "0", Sync::Running(1024)),
            ("waiting for its turn", "recover", "delayed", "1", Sync::Running(0)),
            ("about to begin", "recover", "none", "1", Sync::Running(0)),
            ("missing", "idle", "none", "1", Sync::Idle),
            ("vanished", "", "", "", Sync::Idle),
        ] {
            let dir = tempfile::tempdir().unwrap();
            fs::create_dir(dir.path().join("md")).unwrap();
            for (file, text) in
                [("sync_action", action), ("sync_completed", completed), ("degraded", degraded)]
            {
                fs::write(dir.path().join("md").join(file), format!("{text}\n")).unwrap();
            }
            assert_eq!(sync(dir.path()), want, "{name}");
        }
    }

    #[test]
    fn a_member_that_is_not_there_needs_no_taking_out() {
        take_out(Path::new("/nowhere"), "vda3").unwrap();
    }
}
