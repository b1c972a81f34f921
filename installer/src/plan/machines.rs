//! Odd machines: facts as a probe of them gives, what a person is shown, and what is planned by `auto`. The outcome is
//! kept beside each, word by word; `MAEKIN_BLESS=1` takes a change that is meant.

use std::fmt::Write;
use std::path::{Path, PathBuf};

use super::tests::{SEED, answers, manifest};
use super::{Refusal, describe, judge, plan};
use crate::answers::Answers;
use crate::facts::Facts;
use crate::facts::table::table;

fn dir() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/machines")
}

fn facts(name: &str) -> Facts {
    let text = std::fs::read_to_string(dir().join(format!("{name}.json"))).unwrap();
    serde_json::from_str(&text).unwrap_or_else(|e| panic!("{name}: {e}"))
}

/// What is shown and decided about a machine.
fn outcome(facts: &Facts) -> String {
    let mut text = table(facts);
    let _ = writeln!(text, "\n--- mirror = \"auto\"");
    match plan(facts, &answers(""), &manifest(), SEED) {
        Ok(plan) => {
            for line in describe::summary(&plan) {
                let _ = writeln!(text, "{line}");
            }
            for drive in &plan.drives {
                let _ = writeln!(text, "on {}", drive.title);
            }
            for line in describe::losses(&plan) {
                let _ = writeln!(text, "LOST {line}");
            }
            for line in describe::kept(&plan) {
                let _ = writeln!(text, "kept {line}");
            }
            if let Some(previous) = &plan.previous {
                let _ = writeln!(text, "was {}", previous.words());
            }
        }
        Err(refusals) => {
            let _ = writeln!(text, "{refusals}");
        }
    }
    text
}

#[test]
fn odd_machines_are_shown_and_judged_as_they_should_be() {
    let mut names: Vec<String> = std::fs::read_dir(dir())
        .unwrap()
        .filter_map(|file| Some(file.unwrap().file_name().to_str()?.strip_suffix(".json")?.to_owned()))
        .collect();
    names.sort();
    assert!(names.len() >= 16, "{names:?}");
    let mut wrong = Vec::new();
    for name in names {
        let text = outcome(&facts(&name));
        let path = dir().join(format!("{name}.txt"));
        if std::env::var_os("MAEKIN_BLESS").is_some() {
            std::fs::write(&path, &text).unwrap();
        }
        if std::fs::read_to_string(&path).unwrap_or_default() != text {
            wrong.push(format!("{name} has changed:\n{text}"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

fn named(mirror: &str) -> Answers {
    answers(&format!("[disks]\nmirror = {mirror}\n"))
}

/// The names of the chosen drives, or all that stands against it.
fn chosen(machine: &str, mirror: &str) -> Result<Vec<String>, String> {
    let facts = facts(machine);
    let outcome = judge(&facts, &named(mirror)).map(|disks| disks.iter().map(|d| d.name.clone()).collect());
    outcome.map_err(|refusals| refusals.iter().map(Refusal::to_string).collect::<Vec<_>>().join("\n"))
}

#[test]
fn rules_choose_drives_or_refuse_with_the_candidates() {
    let good: [(&str, &str, &[&str]); 8] = [
        ("24-drives", r#"{ model = "intel*", count = 2 }"#, &["sdw", "sdx"]),
        ("24-drives", r#"{ max = "1TB", transport = "sata", count = 2 }"#, &["sdw", "sdx"]),
        (
            "24-drives",
            r#"["serial:PHYF04200177240AGN", { model = "*", serial = "ZL200003" }]"#,
            &["sdx", "sdd"],
        ),
        ("multipath", r#"{ transport = "sas", count = 2 }"#, &["sda", "sdb"]),
        ("multipath", r#"["serial:BNB3N7081I1204", "wwn:0x5ACE42E025001A01"]"#, &["sdb", "sda"]),
        ("bmc-media-and-stick", r#"{ min = "1MB", count = 2 }"#, &["nvme0n1", "nvme1n1"]),
        ("30-tb-drives", r#"{ min = "30TB", max = "31TB", count = 2 }"#, &["nvme0n1", "nvme1n1"]),
        ("twins-of-one-serial", r#"["path:/dev/sda", "path:/dev/sdb"]"#, &["sda", "sdb"]),
    ];
    for (machine, mirror, want) in good {
        assert_eq!(chosen(machine, mirror).unwrap(), want, "{machine} {mirror}");
    }
    let bad: [(&str, &str, &[&str]); 13] = [
        (
            "24-drives",
            r#"{ model = "ST16*", count = 2 }"#,
            &["22 drives fit where 2 should: sda", "narrow the rules"],
        ),
        (
            "24-drives",
            r#"{ model = "WDC*" }"#,
            &["model WDC*: there is no such drive", "the drives are: sda"],
        ),
        ("24-drives", r#"{ serial = "ZL200003", count = 2 }"#, &["only 1 of 2 drives fits: sdd"]),
        ("24-drives", r#"[{ serial = "ZL200003" }, "wwn:0x5000c500d00000ec"]"#, &["it is sdd again"]),
        ("multipath", r#"["path:/dev/sda", "path:/dev/sdc"]"#, &["it is sdc again"]),
        ("bmc-media-and-stick", r#"{ transport = "usb" }"#, &["there is no such drive"]),
        ("bmc-media-and-stick", r#"["path:/dev/sda"]"#, &["shows to the machine"]),
        ("bmc-media-and-stick", r#"["path:/dev/sdb"]"#, &["the installer was started from it"]),
        ("4kn-bios", r#"{ transport = "nvme", count = 2 }"#, &["BIOS can boot only from sectors of 512"]),
        ("twins-of-one-serial", r#"["serial:123456789012"]"#, &["it fits several drives", "by-path"]),
        ("namespaces", r#"["path:/dev/nvme0n1", "path:/dev/nvme0n2"]"#, &["namespaces of one drive"]),
        ("multipath-without-wwn", r#"["path:/dev/sda", "path:/dev/sdb"]"#, &["one drive seen by two paths"]),
        (
            "ceph-node-with-new-boot-drives",
            r#"["path:/dev/sda"]"#,
            &["Ceph OSD 12 of cluster 0c0f", "disks.consent"],
        ),
    ];
    for (machine, mirror, want) in bad {
        let text = chosen(machine, mirror).unwrap_err();
        for part in want {
            assert!(text.contains(part), "{machine} {mirror}: {part}\n{text}");
        }
    }
}
