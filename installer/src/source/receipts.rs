//! Receipts on the install medium: who this machine was when the medium installed it last.

use std::fs;
use std::path::Path;

use anyhow::Result;
use maekin_host::mount::{self, Access};
use maekin_host::{block, file};
use serde::Deserialize;
use uuid::Uuid;

use super::medium::{ANSWER_LABEL, ANSWERS, RECEIPTS, find};
use crate::facts::PreviousNode;

/// Receipts that are looked at, and the largest that is read: a stick is anybody's.
const COUNT: usize = 1000;
const LIMIT: u64 = 4 << 20;

/// What of a receipt tells who a machine was.
#[derive(Deserialize)]
struct Receipt {
    install_id: Uuid,
    hostname: String,
    machine: Machine,
}

#[derive(Deserialize)]
struct Machine {
    #[serde(default)]
    uuid: String,
}

/// Who the machine with the SMBIOS UUID `machine` was, by the newest receipt on the medium that names it.
#[must_use]
pub fn find_receipt(machine: &str) -> Option<PreviousNode> {
    if machine.is_empty() {
        return None;
    }
    let read = || -> Result<Option<PreviousNode>> {
        let Some(device) = find(&block::list()?, ANSWER_LABEL) else { return Ok(None) };
        let dir = Path::new(ANSWERS);
        let device = device.display().to_string();
        mount::attach(&device, "vfat", dir, Access::ReadOnly, "nosuid,nodev,noexec")?;
        let found = newest(&dir.join(RECEIPTS), machine);
        mount::detach(dir)?;
        Ok(found)
    };
    read().unwrap_or_else(|e| {
        tracing::warn!("the medium's receipts are not looked at: {e:#}");
        None
    })
}

fn newest(dir: &Path, machine: &str) -> Option<PreviousNode> {
    let files = fs::read_dir(dir).into_iter().flatten().flatten().take(COUNT);
    let read = |entry: fs::DirEntry| {
        let text = file::read_text(&entry.path(), LIMIT).ok()?;
        Some((entry.metadata().ok()?.modified().ok()?, parse(&text, machine)?))
    };
    files.filter_map(read).max_by_key(|(at, _)| *at).map(|(_, who)| who)
}

/// Who the machine was, from a receipt that names it.
fn parse(text: &str, machine: &str) -> Option<PreviousNode> {
    let receipt: Receipt = serde_json::from_str(text).ok()?;
    let same = receipt.machine.uuid.eq_ignore_ascii_case(machine);
    same.then_some(PreviousNode { hostname: receipt.hostname, cluster: None, install_id: receipt.install_id })
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::{Duration, SystemTime};

    const MACHINE: &str = "4c4c4544-0000-2010-8020-80c04f202020";

    fn receipt(name: &str, machine: &str) -> String {
        serde_json::json!({
            "format": 1, "install_id": Uuid::nil(), "hostname": name, "machine": {"vendor": "x", "uuid": machine},
        })
        .to_string()
    }

    #[test]
    fn only_a_receipt_of_this_machine_tells_who_it_was() {
        let rows = [
            ("its own", receipt("node-7", MACHINE), Some("node-7")),
            ("in capitals", receipt("node-7", &MACHINE.to_uppercase()), Some("node-7")),
            ("another's", receipt("node-7", "x"), None),
            (
                "no machine",
                r#"{"install_id":"00000000-0000-0000-0000-000000000000","hostname":"x"}"#.into(),
                None,
            ),
            ("no receipt", "[]".into(), None),
        ];
        for (name, text, want) in rows {
            assert_eq!(parse(&text, MACHINE).map(|who| who.hostname).as_deref(), want, "{name}");
        }
        assert_eq!(find_receipt(""), None, "a machine without a UUID is nobody");
    }

    #[test]
    fn the_newest_counts() {
        let dir = tempfile::tempdir().unwrap();
        for (age, name) in [(20, "node-2"), (10, "node-3"), (30, "node-4")] {
            let path = dir.path().join(format!("{name}.json"));
            fs::write(&path, receipt(name, MACHINE)).unwrap();
            let at = SystemTime::now() - Duration::from_secs(age);
            fs::File::options().write(true).open(&path).unwrap().set_modified(at).unwrap();
        }
        assert_eq!(newest(dir.path(), MACHINE).unwrap().hostname, "node-3");
        assert_eq!(newest(&dir.path().join("none"), MACHINE), None);
    }
}
