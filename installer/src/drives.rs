//! `drives`: what is on drives of a running node, for the agent's inventory. The same look, the same words and the same
//! tokens as before an installation; nothing is written.

use std::path::PathBuf;

use anyhow::Result;
use maekin_rootfs::drives::{FORMAT, Findings, Found, Osd};

use crate::facts::Disk;
use crate::facts::detail::printable;
use crate::facts::probe::{Which, probe_disks};
use crate::plan::consent;

/// Most lines that are told of a drive, and most characters of each.
const LINES: usize = 7;
const LINE: usize = 120;
/// Most OSDs that are told of a drive.
const OSDS: usize = 16;

/// Looks at these drives, or at all, and prints what is on them.
///
/// # Errors
/// When they cannot be listed.
pub fn show(devices: Vec<PathBuf>, json: bool) -> Result<()> {
    let which = if devices.is_empty() { Which::All } else { Which::These(devices) };
    let findings = findings(&probe_disks(&which)?);
    if json {
        println!("{}", serde_json::to_string(&findings)?);
    } else {
        print!("{}", text(&findings));
    }
    Ok(())
}

/// What is told of drives. Pure.
#[must_use]
pub fn findings(disks: &[Disk]) -> Findings {
    Findings { format: FORMAT, drives: disks.iter().map(found).collect() }
}

fn found(disk: &Disk) -> Found {
    let contents = &disk.contents;
    let words = contents.words();
    let more = words.len().saturating_sub(LINES);
    let mut what: Vec<String> = words.iter().take(LINES).map(|line| printable(line, LINE)).collect();
    if more > 0 {
        what.push(format!("and {more} more"));
    }
    let osd = |osd: crate::facts::Osd| Osd {
        id: osd.id,
        uuid: printable(&osd.uuid, LINE),
        cluster: printable(&osd.cluster, LINE),
    };
    Found {
        disk: disk.path.clone(),
        serial: disk.serial.clone(),
        wwn: disk.wwn.clone(),
        size: disk.size,
        blank: contents.is_blank(),
        unfinished: contents.unfinished.is_some(),
        what,
        osds: contents.osds().into_iter().take(OSDS).map(osd).collect(),
        token: consent::token(disk),
        unreadable: contents.unreadable.as_deref().map(|why| printable(why, LINE)),
        virtual_media: disk.virtual_media.as_deref().map(|whose| printable(whose, LINE)),
        medium: disk.holds_medium,
    }
}

fn text(findings: &Findings) -> String {
    let drive = |found: &Found| {
        let lines: String = found.what.iter().map(|line| format!("  {line}\n")).collect();
        let token = if found.blank { String::new() } else { format!("  consent token: {}\n", found.token) };
        format!("{} (serial {}):\n{lines}{token}", found.disk.display(), printable(&found.serial, LINE))
    };
    findings.drives.iter().map(drive).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::facts::detail::Detail;
    use crate::facts::tests::{disk, used};

    #[test]
    fn drives_are_told_as_before_an_installation() {
        let blank = found(&disk("vdb", 10));
        assert!(blank.blank && blank.unreadable.is_none() && !blank.medium);
        assert_eq!((blank.what.as_slice(), blank.serial.as_str()), (&["blank".to_owned()][..], "S-vdb"));
        let old = used("vdc", 10);
        let told = found(&old);
        assert!(!told.blank && told.token == consent::token(&old));
        assert_eq!(told.what, old.contents.words());
        let mut osd = disk("vdd", 10);
        let on = crate::facts::Osd {
            id: Some(7),
            uuid: "u\u{1b}[2J".into(),
            cluster: "0c0f".into(),
            part: "block".into(),
        };
        osd.contents.details = vec![Detail::Osd(on)];
        let told = found(&osd);
        assert_eq!(told.osds, [Osd { id: Some(7), uuid: "u?[2J".into(), cluster: "0c0f".into() }]);
        let mut ill = disk("vde", 10);
        ill.contents.unreadable = Some("I/O error".into());
        assert!(!found(&ill).blank && found(&ill).unreadable.as_deref() == Some("I/O error"));
    }

    #[test]
    fn drives_with_very_much_on_them_are_told_shortly() {
        let mut full = disk("vdb", 10);
        let label = |n: u32| crate::facts::contents::Partition {
            number: n,
            size: 1 << 20,
            label: "\u{9b}x".repeat(500),
            ..Default::default()
        };
        full.contents.partitions = (1..=128).map(label).collect();
        let told = found(&full);
        assert_eq!(told.what.len(), LINES + 1);
        assert!(told.what.iter().all(|line| line.chars().count() <= LINE && !line.contains('\u{9b}')));
        assert_eq!(text(&findings(&[full])).lines().count(), LINES + 3);
    }
}
