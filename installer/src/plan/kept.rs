//! What a plan leaves alone: drives that hold something and are not installed on. A person must see that they were
//! recognised, Ceph OSDs before all.

use std::path::PathBuf;

use crate::facts::{Disk, Facts, Osd, PreviousNode};

/// A drive that holds something and stays untouched.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Kept {
    /// The drive in words.
    pub title: String,
    /// Its node.
    pub path: PathBuf,
    /// What is on it, in words, one thing a line.
    pub what: Vec<String>,
    /// The Ceph OSDs among it.
    pub osds: Vec<Osd>,
}

/// The drives of the machine that hold something and are not among `chosen`; those with OSDs first.
#[must_use]
pub fn kept(facts: &Facts, chosen: &[&Disk]) -> Vec<Kept> {
    let mut kept: Vec<Kept> = facts
        .disks
        .iter()
        .filter(|disk| !chosen.iter().any(|c| c.is_same_drive(disk)))
        .filter(|disk| !disk.holds_medium && disk.virtual_media.is_none() && !disk.contents.is_blank())
        .map(|disk| Kept {
            title: disk.title(),
            path: disk.path.clone(),
            what: disk.contents.words(),
            osds: disk.contents.osds(),
        })
        .collect();
    kept.sort_by_key(|k| k.osds.is_empty()); // stable: otherwise in the order of the facts
    kept
}

/// The node that this machine was: as a chosen drive says, or else another one, or else a receipt.
#[must_use]
pub fn previous(facts: &Facts, chosen: &[&Disk]) -> Option<PreviousNode> {
    let all = chosen.iter().copied().chain(&facts.disks);
    all.filter(|disk| !disk.holds_medium)
        .find_map(|disk| disk.contents.previous.clone())
        .or_else(|| facts.receipt.clone())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::facts::tests::{disk, machine, used};
    use crate::facts::{Detail, Firmware};
    use uuid::Uuid;

    fn osd(name: &str) -> Disk {
        let mut disk = used(name, 4000);
        let osd = Osd { id: Some(7), cluster: "c".to_owned(), ..Osd::default() };
        disk.contents.details.push(Detail::Osd(osd));
        disk
    }

    #[test]
    fn data_drives_are_kept_and_blank_ones_are_no_news() {
        let path = disk("sdf", 12);
        let second_path = Disk { wwn: "w".into(), serial: "s".into(), ..used("sdg", 12) };
        let medium = Disk { holds_medium: true, ..used("sdh", 12) };
        let virtual_medium = Disk { virtual_media: Some("a BMC".into()), ..used("sdi", 1) };
        let first_path = Disk { wwn: "w".into(), serial: "s".into(), ..used("sda", 12) };
        let disks = vec![first_path, used("sdb", 99), osd("sdc"), path, second_path, medium, virtual_medium];
        let facts = machine(Firmware::Bios, disks);
        let kept = kept(&facts, &[&facts.disks[0]]);
        let names: Vec<String> = kept.iter().map(|k| k.path.display().to_string()).collect();
        assert_eq!(names, ["/dev/sdc", "/dev/sdb"]);
        assert_eq!(kept[0].osds[0].id, Some(7));
        assert_eq!(kept[0].what, ["Ceph OSD 7 of cluster c", "ext4 file system \"photos\""]);
    }

    #[test]
    fn who_the_machine_was_is_asked_of_the_chosen_drives_first() {
        let node = |name: &str| {
            let mut disk = used(name, 12);
            disk.contents.previous =
                Some(PreviousNode { hostname: name.to_owned(), cluster: None, install_id: Uuid::nil() });
            disk
        };
        let facts = machine(Firmware::Bios, vec![disk("sda", 12), node("sdb"), node("sdc")]);
        let who = |chosen: &[&Disk]| previous(&facts, chosen).map(|p| p.hostname);
        assert_eq!(who(&[&facts.disks[2]]).as_deref(), Some("sdc"));
        assert_eq!(who(&[&facts.disks[0]]).as_deref(), Some("sdb"));
    }
}
