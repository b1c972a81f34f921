//! The log on a stick that a person can carry away: the partition `MAEKIN` of the install medium, or any other stick
//! with a FAT file system.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use maekin_host::block::{self, BlockDevice};
use maekin_host::cmd::Cmd;
use maekin_host::file;
use maekin_host::mount::{self, Access};

use crate::facts::Facts;
use crate::plan::{Plan, describe};
use crate::source::medium::ANSWER_LABEL;

/// Where it is mounted meanwhile.
const MOUNT: &str = "/run/maekin/stick";
/// Directory of logs on it.
const LOGS: &str = "logs";
/// Most logs on one stick.
const MOST: u32 = 999;
/// Lines of the journal that go with it.
const JOURNAL_LINES: &str = "--lines=5000";

/// A file system that the log can be saved on.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Place {
    device: PathBuf,
    title: String,
    ours: bool,
}

/// Saves `text` on the first stick that takes it; says where.
///
/// # Errors
/// Why no stick takes it, and what a person can do.
pub fn save(text: &str) -> Result<String> {
    if let Err(e) = block::settle() {
        tracing::warn!("a stick may not be seen yet: {e}");
    }
    let places = places(&block::list().context("the drives cannot be listed")?);
    let mut last = None;
    for place in places {
        match write(&place, text) {
            Ok(name) => return Ok(format!("{name} on {}", place.title)),
            Err(e) => last = Some(e.context(place.title)),
        }
    }
    let advice = "put in a stick with a FAT file system that can be written, and press w again";
    Err(last.map_or_else(
        || anyhow::anyhow!("there is no such stick; {advice}"),
        |e| e.context(advice.to_owned()),
    ))
}

/// FAT file systems on sticks, ours first. Those of fixed drives, and what firmware boots from, are not touched.
fn places(devices: &[BlockDevice]) -> Vec<Place> {
    let esp = "c12a7328-f81f-11d2-ba4b-00a0c93ec93b";
    let mut found = Vec::new();
    for disk in devices.iter().filter(|disk| disk.rm || disk.tran.as_deref() == Some("usb")) {
        let model = disk.model.as_deref().unwrap_or("stick").replace('_', " ");
        for part in std::iter::once(disk).chain(&disk.children) {
            let label = part.label.as_deref().unwrap_or_default();
            let is_esp =
                part.parttype.as_deref().is_some_and(|kind| kind.eq_ignore_ascii_case(esp) || kind == "0xef");
            if part.fstype.as_deref() == Some("vfat") && !part.ro && (!is_esp || label == ANSWER_LABEL) {
                let label = if label.is_empty() { String::new() } else { format!(" {label}") };
                found.push(Place {
                    device: part.path.clone(),
                    title: format!("{}{label} ({})", part.name, model.trim()),
                    ours: part.label.as_deref() == Some(ANSWER_LABEL),
                });
            }
        }
    }
    found.sort_by_key(|place| !place.ours); // stable: otherwise in the order of the drives
    found
}

/// Writes the log under a name that is not taken; says which.
fn write(place: &Place, text: &str) -> Result<String> {
    let dir = Path::new(MOUNT);
    mount::attach(
        &place.device.display().to_string(),
        "vfat",
        dir,
        Access::ReadWrite,
        "nosuid,nodev,noexec",
    )?;
    let written = write_in(dir, text);
    mount::detach(dir)?; // what was written is on the stick only now
    written
}

fn write_in(dir: &Path, text: &str) -> Result<String> {
    let free = |n: &u32| !dir.join(name(*n)).exists();
    let name = (1..=MOST).find(free).map(name).context("it is full of logs")?;
    file::write_atomic(&dir.join(&name), text.as_bytes(), 0o644)?;
    Ok(name)
}

fn name(n: u32) -> String {
    format!("{LOGS}/install-{n}.txt")
}

/// Everything that helps whoever was not there: the log, the machine, the plan, the journal.
pub fn text(version: &str, log: &[String], facts: Option<&Facts>, plan: Option<&Plan>) -> String {
    let mut text = format!("Maekin {version}, log of an installation\n\n");
    for line in log {
        text += &format!("{line}\n");
    }
    if let Some(plan) = plan {
        text += &format!("\n== The plan\n{}", describe::full(plan));
    }
    if let Some(facts) = facts {
        let facts = serde_json::to_string_pretty(facts).unwrap_or_else(|e| e.to_string());
        text += &format!("\n== The machine\n{facts}\n");
    }
    let journal =
        Cmd::new("journalctl").args(["--boot", "--no-pager", "--output=short-monotonic", JOURNAL_LINES]);
    let journal = journal.text().unwrap_or_else(|e| format!("{e}\n"));
    text + "\n== The journal\n" + &journal
}

#[cfg(test)]
mod tests {
    use super::*;

    fn device(name: &str, label: Option<&str>) -> BlockDevice {
        let text = format!(
            "{{\"blockdevices\": [{{\"name\": \"{name}\", \"path\": \"/dev/{name}\", \"type\": \"part\", \"size\": 1, \
             \"ro\": false, \"rm\": false, \"rota\": false, \"log-sec\": 512, \"phy-sec\": 512, \"fstype\": \"vfat\"}}]}}"
        );
        let device = block::parse_lsblk(&text).unwrap().remove(0);
        BlockDevice { label: label.map(str::to_owned), ..device }
    }

    fn disk(name: &str, tran: &str, children: Vec<BlockDevice>) -> BlockDevice {
        BlockDevice { fstype: None, tran: Some(tran.to_owned()), children, ..device(name, None) }
    }

    #[test]
    fn our_own_partition_comes_first_and_fixed_drives_are_never_taken() {
        let esp = BlockDevice {
            parttype: Some("C12A7328-F81F-11D2-BA4B-00A0C93EC93B".to_owned()),
            ..device("sdb1", Some("ESP"))
        };
        let protected = BlockDevice { ro: true, ..device("sdd1", Some("MAEKIN")) };
        let devices = [
            disk("sda", "sata", vec![device("sda1", Some("MAEKIN")), device("sda2", None)]),
            disk("sdb", "usb", vec![esp, device("sdb2", Some("PHOTOS"))]),
            disk("sdc", "usb", vec![device("sdc3", Some("MAEKIN"))]),
            disk("sdd", "usb", vec![protected]),
        ];
        let found: Vec<String> = places(&devices).into_iter().map(|place| place.title).collect();
        assert_eq!(found, ["sdc3 MAEKIN (stick)", "sdb2 PHOTOS (stick)"]);
    }

    #[test]
    fn a_log_never_takes_the_place_of_another() {
        let dir = tempfile::tempdir().unwrap();
        for want in ["logs/install-1.txt", "logs/install-2.txt"] {
            assert_eq!(write_in(dir.path(), want).unwrap(), want);
            assert_eq!(std::fs::read_to_string(dir.path().join(want)).unwrap(), want);
        }
    }
}
