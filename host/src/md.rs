//! Linux software RAID 1, through mdadm(8) for changes and sysfs for state.
//!
//! | module | job |
//! | --- | --- |
//! | [`superblock`] | what is on a member |
//! | [`change`] | members of a running array |

pub mod change;
pub mod superblock;

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::cmd::{Cmd, CmdError};
use crate::wait::{self, TimedOut};

/// Where a superblock lies on a member.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Metadata {
    /// At the end: the member's first byte is the array's.
    #[serde(rename = "1.0")]
    V1_0,
    /// 4096 bytes from the start: nothing takes a member for a file system.
    #[serde(rename = "1.2")]
    V1_2,
}

impl Metadata {
    fn text(self) -> &'static str {
        match self {
            Self::V1_0 => "1.0",
            Self::V1_2 => "1.2",
        }
    }
}

/// A mirror to create.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Create {
    /// The array becomes `/dev/md/<name>`.
    pub name: String,
    /// Its UUID.
    pub uuid: Uuid,
    /// Its members in order of their slots; `None`: that half is missing.
    pub members: Vec<Option<PathBuf>>,
    /// Where the superblocks go.
    pub metadata: Metadata,
    /// Keep a write-intent bitmap, so that a half that was away is resynced by what changed.
    pub bitmap: bool,
    /// The halves are equal already; do not copy one onto the other.
    pub assume_clean: bool,
}

/// What went wrong with an array.
#[derive(Debug, thiserror::Error)]
pub enum MdError {
    /// mdadm failed.
    #[error("cannot {action} the array {name}")]
    Mdadm {
        /// What was to be done.
        action: &'static str,
        /// The array.
        name: String,
        /// Why it failed.
        #[source]
        source: CmdError,
    },
    /// The array's device node did not come.
    #[error(transparent)]
    Node(#[from] TimedOut),
}

/// The device of the array called `name`.
#[must_use]
pub fn device(name: &str) -> PathBuf {
    Path::new("/dev/md").join(name)
}

/// A UUID as mdadm(8) writes it.
fn uuid_text(uuid: Uuid) -> String {
    let hex = uuid.simple().to_string();
    [&hex[..8], &hex[8..16], &hex[16..24], &hex[24..]].join(":")
}

/// The arguments of `mdadm` that create `array`.
#[must_use]
pub fn create_args(array: &Create) -> Vec<String> {
    let mut args: Vec<String> = vec![
        "--create".into(),
        device(&array.name).display().to_string(),
        "--level=1".into(),
        format!("--raid-devices={}", array.members.len()),
        format!("--metadata={}", array.metadata.text()),
        format!("--uuid={}", uuid_text(array.uuid)),
        format!("--name={}", array.name),
        "--homehost=any".into(),
        format!("--bitmap={}", if array.bitmap { "internal" } else { "none" }),
        "--run".into(),
    ];
    if array.assume_clean {
        args.push("--assume-clean".into());
    }
    let member = |m: &Option<PathBuf>| m.as_ref().map_or("missing".to_owned(), |p| p.display().to_string());
    args.extend(array.members.iter().map(member));
    args
}

/// Creates a mirror and returns its device.
///
/// # Errors
/// [`MdError`].
pub fn create(array: &Create) -> Result<PathBuf, MdError> {
    let args = create_args(array);
    let failed = |source| MdError::Mdadm { action: "create", name: array.name.clone(), source };
    Cmd::new("mdadm").args(args).run().map_err(failed)?;
    node(&array.name)
}

/// Assembles the mirror `name` with `uuid` from exactly these members, degraded if it must be, and returns its device.
/// mdadm takes the newest member and leaves out one that is behind it.
///
/// # Errors
/// [`MdError`].
pub fn assemble(name: &str, uuid: Uuid, members: &[PathBuf]) -> Result<PathBuf, MdError> {
    Cmd::new("mdadm")
        .args(["--assemble", "--run", "--homehost=any"])
        .arg(format!("--uuid={}", uuid_text(uuid)))
        .arg(device(name))
        .args(members)
        .run()
        .map_err(|source| MdError::Mdadm { action: "assemble", name: name.to_owned(), source })?;
    node(name)
}

/// The UUID of the array that `device` is a member of, from the text of `mdadm --examine --export`.
#[must_use]
pub fn parse_examine(text: &str) -> Option<Uuid> {
    let value = text.lines().find_map(|line| line.strip_prefix("MD_UUID="))?;
    Uuid::parse_str(&value.replace(':', "")).ok()
}

/// The UUID of the array that `device` is a member of; `None` where it is no member.
#[must_use]
pub fn member_of(device: &Path) -> Option<Uuid> {
    parse_examine(&Cmd::new("mdadm").args(["--examine", "--export"]).arg(device).text().ok()?)
}

/// Stops the array whose node is `path`.
///
/// # Errors
/// [`MdError`], for example when it is in use.
pub fn stop(path: &Path) -> Result<(), MdError> {
    let failed = |source| MdError::Mdadm { action: "stop", name: path.display().to_string(), source };
    Cmd::new("mdadm").arg("--stop").arg(path).run().map_err(failed)
}

/// The running array as sysfs shows it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Status {
    /// Kernel names of the members in use, e.g. `vda3`.
    pub members: Vec<String>,
    /// Whether a half is missing or not in sync.
    pub degraded: bool,
    /// What is being done: `idle`, `resync`, `recover`, `check`.
    pub action: String,
}

/// Reads the state of an array from a directory like `/sys/block/md127`.
#[must_use]
pub fn status(dir: &Path) -> Status {
    let text = |path: PathBuf| fs::read_to_string(path).unwrap_or_default().trim().to_owned();
    let mut members: Vec<String> = fs::read_dir(dir.join("slaves"))
        .into_iter()
        .flatten()
        .flatten()
        .map(|entry| entry.file_name().to_string_lossy().into_owned())
        .collect();
    members.sort();
    let degraded = text(dir.join("md/degraded"));
    Status { members, degraded: degraded != "0", action: text(dir.join("md/sync_action")) }
}

/// The kernel name (`md127`) behind the node of an array.
#[must_use]
pub fn kernel_name(node: &Path) -> Option<String> {
    let real = fs::canonicalize(node).ok()?;
    Some(real.file_name()?.to_string_lossy().into_owned())
}

/// Waits for udev to make the array's node.
fn node(name: &str) -> Result<PathBuf, MdError> {
    let path = device(name);
    wait::until(
        &format!("the device {}", path.display()),
        Duration::from_secs(20),
        Duration::from_millis(50),
        || path.exists().then_some(()),
    )?;
    Ok(path)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn array() -> Create {
        Create {
            name: "maekin-state".to_owned(),
            uuid: Uuid::from_u128(0x0123_4567_89ab_cdef_0123_4567_89ab_cdef),
            members: vec![Some("/dev/vda5".into()), None],
            metadata: Metadata::V1_2,
            bitmap: true,
            assume_clean: false,
        }
    }

    #[test]
    fn a_missing_half_is_told_to_mdadm() {
        assert_eq!(
            create_args(&array()).join(" "),
            "--create /dev/md/maekin-state --level=1 --raid-devices=2 --metadata=1.2 \
             --uuid=01234567:89abcdef:01234567:89abcdef --name=maekin-state --homehost=any --bitmap=internal --run \
             /dev/vda5 missing"
        );
    }

    #[test]
    fn clean_halves_without_bitmap() {
        let args = create_args(&Create { bitmap: false, assume_clean: true, ..array() });
        assert!(args.contains(&"--bitmap=none".to_owned()) && args.contains(&"--assume-clean".to_owned()));
    }

    #[test]
    fn a_member_names_its_array() {
        let text = "MD_LEVEL=raid1\nMD_DEVICES=2\nMD_NAME=any:maekin-a\nMD_UUID=01234567:89abcdef:01234567:89abcdef\n";
        assert_eq!(parse_examine(text), Some(array().uuid));
        assert_eq!(parse_examine("MD_UUID=rubbish"), None);
    }

    #[test]
    fn status_is_read_from_sysfs_and_a_vanished_array_is_degraded() {
        let dir = tempfile::tempdir().unwrap();
        fs::create_dir_all(dir.path().join("md")).unwrap();
        fs::create_dir_all(dir.path().join("slaves/vdb3")).unwrap();
        fs::create_dir_all(dir.path().join("slaves/vda3")).unwrap();
        fs::write(dir.path().join("md/degraded"), "0\n").unwrap();
        fs::write(dir.path().join("md/sync_action"), "idle\n").unwrap();
        let got = status(dir.path());
        assert_eq!((got.members, got.degraded), (vec!["vda3".to_owned(), "vdb3".to_owned()], false));
        assert!(status(Path::new("/nowhere")).degraded);
    }
}
