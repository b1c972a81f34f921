//! Bays of drives: what an enclosure calls them, and their lights: of enclosures that the kernel knows (SES) by sysfs, of
//! others by ledctl(8), where that is installed.

use std::path::{Path, PathBuf};
use std::time::Duration;
use std::{fs, io};

use crate::cmd::{Cmd, CmdError};

/// How long an enclosure may take to switch a light.
const LIMIT: Duration = Duration::from_secs(20);
/// Longest name of a bay.
const NAME: usize = 40;

/// A light was not switched.
#[derive(Debug, thiserror::Error)]
pub enum LightError {
    /// The program is not there.
    #[error(
        "the kernel knows no light for {device}, and ledctl(8), which knows those of some other enclosures, is not \
         installed on this node"
    )]
    NoProgram {
        /// The drive.
        device: String,
        /// Why it did not start.
        #[source]
        source: CmdError,
    },
    /// No controller of an enclosure knows the drive.
    #[error("no enclosure or controller that ledctl(8) knows has a light for {device}: {said}")]
    NoLight {
        /// The drive.
        device: String,
        /// What it said.
        said: String,
    },
    /// The kernel knows it, and the enclosure did not do it.
    #[error("the light of {device} was not switched by its enclosure")]
    Refused {
        /// The drive.
        device: String,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// It knows it, and failed.
    #[error("the light of {device} was not switched")]
    Failed {
        /// The drive.
        device: String,
        /// Why.
        #[source]
        source: CmdError,
    },
}

/// What the enclosure calls the bay that the block device `name` is in; `sys` is like `/sys`. Empty where nothing says so.
#[must_use]
pub fn bay(sys: &Path, name: &str) -> String {
    let device = sys.join("class/block").join(name).join("device");
    let found = slot(&device).map(|(name, _)| name).or_else(|| pci_slot(sys, &device));
    found.map(|name| name.chars().filter(|c| !c.is_control()).take(NAME).collect()).unwrap_or_default()
}

/// The slot of a SCSI enclosure that a device is in: its name and its directory. The kernel's driver of enclosures (ses)
/// leaves a link by this name.
fn slot(device: &Path) -> Option<(String, PathBuf)> {
    let entries = fs::read_dir(device).into_iter().flatten().flatten();
    let named = entries.filter_map(|entry| {
        let name = entry.file_name().to_string_lossy().into_owned();
        name.strip_prefix("enclosure_device:").map(|slot| (slot.to_owned(), entry.path()))
    });
    named.min()
}

/// Of an NVMe drive: the slot of its PCI function, as the firmware numbers them.
fn pci_slot(sys: &Path, device: &Path) -> Option<String> {
    // .../0000:3b:00.0/nvme/nvme0: the function is the first above that has such a name.
    let place = fs::canonicalize(device).ok()?;
    let function = place.ancestors().find_map(|dir| {
        let name = dir.file_name()?.to_str()?;
        (name.len() == 12 && name.as_bytes()[4] == b':' && name.as_bytes()[10] == b'.').then_some(name)
    })?;
    let is_nvme = place.to_string_lossy().contains("/nvme");
    let mut slots = fs::read_dir(sys.join("bus/pci/slots")).ok()?.flatten().filter(|_| is_nvme);
    let slot = slots.find(|slot| {
        let address = fs::read_to_string(slot.path().join("address")).unwrap_or_default();
        !address.trim().is_empty() && function.starts_with(address.trim())
    })?;
    Some(format!("PCI slot {}", slot.file_name().to_string_lossy()))
}

/// Lets the light of a drive's bay blink, or no longer.
///
/// # Errors
/// [`LightError`].
pub fn locate(device: &Path, on: bool) -> Result<(), LightError> {
    match by_kernel(Path::new("/sys"), device, on) {
        Some(Ok(())) => return Ok(()),
        Some(Err(source)) => {
            return Err(LightError::Refused { device: device.display().to_string(), source });
        }
        None => {}
    }
    let what = if on { "locate" } else { "locate_off" };
    // Without the option it would put out the lights of all other drives.
    let cmd =
        Cmd::new("ledctl").arg("--listed-only").arg(format!("{what}={}", device.display())).limit(LIMIT);
    cmd.run().map_err(|e| judge(device, e))
}

/// By the kernel's driver of enclosures; `None`: it knows no light for the device.
fn by_kernel(sys: &Path, device: &Path, on: bool) -> Option<io::Result<()>> {
    let (_, slot) = slot(&sys.join("class/block").join(device.file_name()?).join("device"))?;
    let light = slot.join("locate");
    light.exists().then(|| fs::write(&light, if on { "1" } else { "0" }))
}

/// ledctl has one exit status for many things; what it says tells them apart.
fn judge(device: &Path, error: CmdError) -> LightError {
    let device = device.display().to_string();
    match error {
        CmdError::Start { .. } => LightError::NoProgram { device, source: error },
        CmdError::Failed { ref stderr, .. } if knows_not(stderr) => {
            let said = stderr.trim().lines().last().unwrap_or_default().chars().filter(|c| !c.is_control());
            LightError::NoLight { device, said: said.take(200).collect() }
        }
        source => LightError::Failed { device, source },
    }
}

fn knows_not(stderr: &str) -> bool {
    let text = stderr.to_ascii_lowercase();
    [
        "not found",
        "not supported",
        "not managed",
        "unsupported",
        "no controller",
        "invalid name",
        "could not find",
    ]
    .iter()
    .any(|words| text.contains(words))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::symlink;

    #[test]
    fn drives_are_in_bays_that_have_names() {
        let dir = tempfile::tempdir().unwrap();
        let sys = dir.path();
        let block = sys.join("class/block");
        fs::create_dir_all(&block).unwrap();
        let scsi = sys.join("devices/pci0000:00/0000:00:1f.2/host0/target0:0:3/0:0:3:0");
        fs::create_dir_all(scsi.join("block/sdb")).unwrap();
        fs::create_dir_all(scsi.join("enclosure_device:Slot 04")).unwrap();
        symlink(&scsi, scsi.join("block/sdb/device")).unwrap();
        symlink(scsi.join("block/sdb"), block.join("sdb")).unwrap();
        let nvme = sys.join("devices/pci0000:3a/0000:3a:00.0/0000:3b:00.0/nvme/nvme0");
        fs::create_dir_all(nvme.join("nvme0n1")).unwrap();
        symlink(&nvme, nvme.join("nvme0n1/device")).unwrap();
        symlink(nvme.join("nvme0n1"), block.join("nvme0n1")).unwrap();
        fs::create_dir_all(sys.join("bus/pci/slots/7")).unwrap();
        fs::write(sys.join("bus/pci/slots/7/address"), "0000:3b:00\n").unwrap();
        for (name, want) in [("sdb", "Slot 04"), ("nvme0n1", "PCI slot 7"), ("vda", "")] {
            assert_eq!(bay(sys, name), want, "{name}");
        }
        let light = scsi.join("enclosure_device:Slot 04/locate");
        assert!(by_kernel(sys, Path::new("/dev/sdb"), true).is_none(), "an enclosure without lights");
        fs::write(&light, "0").unwrap();
        for (on, want) in [(true, "1"), (false, "0")] {
            by_kernel(sys, Path::new("/dev/sdb"), on).unwrap().unwrap();
            assert_eq!(fs::read_to_string(&light).unwrap(), want);
        }
        for other in ["/dev/nvme0n1", "/dev/vda", "/"] {
            assert!(by_kernel(sys, Path::new(other), true).is_none(), "{other}");
        }
    }

    #[test]
    fn drives_without_a_light_are_told_from_a_failure() {
        let rows = [
            ("ledctl: /dev/vda: Device not supported.\n", true),
            ("Could not find /dev/vda in SysFS", true),
            ("/dev/sdb: device not found", true),
            ("Permission denied", false),
            ("", false),
        ];
        for (said, want) in rows {
            assert_eq!(knows_not(said), want, "{said}");
        }
        let missing = Cmd::new("/nonexistent/ledctl").run().unwrap_err();
        assert!(matches!(judge(Path::new("/dev/sda"), missing), LightError::NoProgram { .. }));
    }
}
