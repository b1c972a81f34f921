//! Which partitions of this machine belong to the installation, and how long to wait for those that are not there yet.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::{Result, bail};
use maekin_host::block;
use maekin_host::kmsg::{self, Level};
use maekin_host::wait;
use maekin_image::ids;
use maekin_image::layout::Part;

use super::TAG;
use crate::cmdline::Start;
use crate::facts::Disk;

/// How long the first whole drive may take: controllers with many drives spin them up one after the other.
const FIRST_LIMIT: Duration = Duration::from_secs(90);
/// How long the other drive may take after that, before the start goes on without it.
const SECOND_LIMIT: Duration = Duration::from_secs(10);
/// Where udev links partitions by their GUIDs.
const BY_PARTUUID: &str = "/dev/disk/by-partuuid";

/// The partitions found, by boot drive.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Members(Vec<(u8, Part, PathBuf)>);

impl Members {
    /// What of the installation is in the directory `by_partuuid`.
    #[must_use]
    pub fn find(by_partuuid: &Path, start: Start) -> Self {
        let mut found = Vec::new();
        for disk in 0..2 {
            for part in Part::ALL {
                let link = by_partuuid.join(ids::part_guid(start.install, disk, part).to_string());
                if let Ok(path) = fs::canonicalize(link) {
                    found.push((disk, part, path));
                }
            }
        }
        Self(found)
    }

    /// The halves of one partition and the drives that they are on, drive 0 first.
    #[must_use]
    pub fn halves(&self, part: Part) -> Vec<(u8, PathBuf)> {
        self.0.iter().filter(|(_, p, _)| *p == part).map(|(drive, _, path)| (*drive, path.clone())).collect()
    }

    /// The halves of one partition, drive 0 first.
    #[must_use]
    pub fn of(&self, part: Part) -> Vec<PathBuf> {
        self.halves(part).into_iter().map(|(_, path)| path).collect()
    }

    /// The EFI system partition of `drive`.
    #[must_use]
    pub fn esp(&self, drive: u8) -> Option<PathBuf> {
        self.halves(Part::Esp).into_iter().find(|(d, _)| *d == drive).map(|(_, path)| path)
    }

    /// The drives in words, and their serial numbers.
    #[must_use]
    pub fn drives(&self) -> ([Option<String>; 2], [Option<String>; 2]) {
        // Only for a person to tell them apart: a machine that cannot list its drives goes on without.
        let listed = block::list().unwrap_or_default();
        let of = |drive: u8| {
            let (_, _, path) = self.0.iter().find(|(d, _, _)| *d == drive)?;
            listed
                .iter()
                .find(|device| device.children.iter().any(|part| part.path == *path))
                .map(Disk::from_lsblk)
        };
        let drives = [0, 1].map(of);
        let serial = |disk: &Option<Disk>| disk.as_ref().map(|d| d.serial.clone()).filter(|s| !s.is_empty());
        let title = |disk: &Option<Disk>| disk.as_ref().map(Disk::title);
        (drives.each_ref().map(title), drives.each_ref().map(serial))
    }

    /// The EFI system partitions, drive 0 first.
    #[must_use]
    pub fn esps(&self) -> Vec<PathBuf> {
        self.of(Part::Esp)
    }

    /// How many drives are here with all their partitions.
    #[must_use]
    pub fn whole_drives(&self) -> usize {
        let parts = |disk: u8| self.0.iter().filter(|(d, _, _)| *d == disk).count();
        (0..2).filter(|disk| parts(*disk) == Part::ALL.len()).count()
    }
}

/// Whether to go on with `whole` drives, when the first was seen `since_first` ago.
fn enough(whole: usize, wanted: usize, since_first: Duration) -> bool {
    whole >= wanted || (whole > 0 && since_first >= SECOND_LIMIT)
}

/// Waits for the drives of the installation.
///
/// # Errors
/// When not one of them came.
pub fn wait_for(start: Start) -> Result<Members> {
    let by_partuuid = Path::new(BY_PARTUUID);
    let mut first: Option<Instant> = None;
    let got = wait::until("the boot drives", FIRST_LIMIT, Duration::from_millis(100), || {
        let members = Members::find(by_partuuid, start);
        let whole = members.whole_drives();
        if whole > 0 && first.is_none() {
            first = Some(Instant::now());
        }
        enough(whole, start.drives, first.map_or(Duration::ZERO, |at| at.elapsed())).then_some(members)
    });
    // Half a drive may still hold what is needed: parts of one, and parts of the other.
    let members = got.unwrap_or_else(|_| Members::find(by_partuuid, start));
    if members.of(Part::State).is_empty() {
        bail!(
            "no drive of installation {} was found within {} s; check cables and that the drives are seen by the firmware",
            start.install,
            FIRST_LIMIT.as_secs()
        );
    }
    if members.whole_drives() < start.drives {
        kmsg::say(Level::Error, TAG, "one of the two boot drives is missing, going on with the other");
    }
    Ok(members)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cmdline::Slot;
    use std::os::unix::fs::symlink;
    use uuid::Uuid;

    const START: Start = Start { install: Uuid::from_u128(7), slot: Slot::A, drives: 2 };

    #[test]
    fn partitions_are_found_by_guid_whatever_the_drives_are_called() {
        let dir = tempfile::tempdir().unwrap();
        let add = |install: Uuid, disk: u8, part: Part, name: &str| {
            let node = dir.path().join(name);
            fs::write(&node, "").unwrap();
            symlink(&node, dir.path().join(ids::part_guid(install, disk, part).to_string())).unwrap();
        };
        for part in Part::ALL {
            add(START.install, 1, part, &format!("sdq{}", part.number()));
            add(Uuid::from_u128(8), 0, part, &format!("sda{}", part.number()));
        }
        add(START.install, 0, Part::Esp, "sdb2");
        let members = Members::find(dir.path(), START);
        assert_eq!(members.whole_drives(), 1);
        let names = |part| {
            let paths = members.of(part);
            paths.iter().map(|p| p.file_name().unwrap().to_string_lossy().into_owned()).collect::<Vec<_>>()
        };
        assert_eq!(names(Part::Esp), ["sdb2", "sdq2"]);
        assert_eq!(names(Part::State), ["sdq5"]);
    }

    #[test]
    fn the_second_drive_is_waited_for_but_not_for_ever() {
        let s = Duration::from_secs;
        let rows = [
            ("nothing yet", 0, 2, s(0), false),
            ("nothing, however long", 0, 1, s(60), false),
            ("both", 2, 2, s(0), true),
            ("one of one", 1, 1, s(0), true),
            ("one of two, just now", 1, 2, s(1), false),
            ("one of two, waited", 1, 2, s(10), true),
        ];
        for (name, whole, wanted, since, want) in rows {
            assert_eq!(enough(whole, wanted, since), want, "{name}");
        }
    }
}
