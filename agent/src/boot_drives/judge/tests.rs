use std::collections::BTreeMap;
use std::time::Duration;

use super::*;
use maekin_api::boot_drives::{Proof, TrialResult};
use maekin_host::md_sysfs::Member;
use maekin_image::layout::Part;

/// A machine with two whole drives, to be damaged by the rows.
struct Machine {
    seen: Seen,
    memory: Memory,
    pulses: [Pulse; 2],
    esp: [Esp; 2],
    tables: [Tables; 2],
    entry: [Option<bool>; 2],
    heal: Heal,
    comparison: Comparison,
    trial: Trial,
    unchecked: String,
    notes: Vec<String>,
    expected: usize,
}

fn disk(place: usize) -> Disk {
    let name = ["vda", "vdb"][place];
    Disk {
        device: format!("/dev/{name}").into(),
        serial: format!("S{place}"),
        model: "Model".into(),
        size: 10 << 30,
        sector: 512,
        path: String::new(),
        parts: Part::ALL.iter().map(|part| (*part, format!("{name}{}", part.number()))).collect(),
    }
}

fn member(name: &str, state: MemberState) -> Member {
    Member { name: name.into(), state }
}

impl Machine {
    fn whole() -> Self {
        let arrays = ids::Array::ALL.map(|array| {
            let n = array.part().number();
            let members = ["vda", "vdb"].map(|d| member(&format!("{d}{n}"), MemberState::InSync)).into();
            let running =
                Running { wanted: 2, in_sync: 2, action: "idle".into(), members, ..Running::default() };
            (array.name().to_owned(), running)
        });
        let mut memory = Memory::default();
        for place in [0, 1] {
            let disk = disk(place.into());
            memory.seen.insert(place, BootDisk { serial: disk.serial, model: disk.model, size: disk.size });
        }
        memory.proofs.insert("0/S0".into(), Proof { at: 5, version: "0.1.0".into() });
        Self {
            seen: Seen {
                places: [Some(disk(0)), Some(disk(1))],
                arrays: BTreeMap::from(arrays),
                names: vec![],
            },
            memory,
            pulses: [Pulse::Good, Pulse::Good],
            esp: [Esp::Whole { verified: 1 }, Esp::Whole { verified: 1 }],
            tables: [Tables::Whole, Tables::Whole],
            entry: [Some(true), Some(true)],
            heal: Heal::Idle,
            comparison: Comparison::default(),
            trial: Trial::default(),
            unchecked: String::new(),
            notes: vec![],
            expected: 2,
        }
    }

    /// The drive of `place` is out of all arrays.
    fn without(&mut self, place: usize) {
        let name = ["vda", "vdb"][place];
        for array in self.seen.arrays.values_mut() {
            array.in_sync = 1;
            array.members.retain(|m| !m.name.starts_with(name));
        }
    }

    fn pulled(&mut self, place: usize) {
        self.without(place);
        self.seen.places[place] = None;
    }

    fn judged(&self) -> (BootDrives, Vec<Found>) {
        judge(&Inputs {
            expected: self.expected,
            seen: &self.seen,
            pulses: self.pulses.clone(),
            memory: &self.memory,
            esp: self.esp.clone(),
            tables: self.tables.clone(),
            entries: Entries::Kept,
            entry: self.entry,
            heal: self.heal.clone(),
            comparison: self.comparison.clone(),
            trial: self.trial.clone(),
            started_from: Some(0),
            unchecked: &self.unchecked,
            notes: &self.notes,
        })
    }
}

#[test]
fn every_trouble_has_its_state_and_its_alarm() {
    type Row = (&'static str, fn(&mut Machine), State, &'static [&'static str]);
    let running = Heal::Running { step: "copying".into(), percent: 4, since: 1 };
    let rows: Vec<Row> = vec![
        ("whole", |_| {}, State::Whole, &[]),
        ("first drive pulled", |m| m.pulled(0), State::Degraded, &["boot-drive-1-missing"]),
        ("second drive pulled", |m| m.pulled(1), State::Degraded, &["boot-drive-2-missing"]),
        (
            "a drive dies where it is",
            |m| m.pulses[1] = Pulse::Failing("Input/output error".into()),
            State::AtRisk,
            &["boot-drive-2-failing"],
        ),
        (
            "a drive hangs",
            |m| m.pulses[0] = Pulse::Silent(Duration::from_secs(8)),
            State::AtRisk,
            &["boot-drive-1-failing"],
        ),
        (
            "dead and given up: one alarm",
            |m| {
                m.without(1);
                m.pulses[1] = Pulse::Failing("Input/output error".into());
            },
            State::Degraded,
            &["boot-drive-2-failing"],
        ),
        ("back and out of date", |m| m.without(1), State::Degraded, &["boot-drive-2-out"]),
        (
            "one mirror of four is degraded",
            |m| m.seen.arrays.get_mut("maekin-data").unwrap().members[1].state = MemberState::Faulty,
            State::Degraded,
            &["boot-drive-2-out"],
        ),
        (
            "being rebuilt",
            |m| m.seen.arrays.get_mut("maekin-data").unwrap().members[1].state = MemberState::Spare,
            State::Healing,
            &["boot-drive-2-out"],
        ),
        (
            "a resync after a power cut is no alarm",
            |m| m.seen.arrays.get_mut("maekin-state").unwrap().action = "resync".into(),
            State::Healing,
            &[],
        ),
        (
            "EFI system partition damaged",
            |m| m.esp[0] = Esp::Damaged { verified: 2, reason: "grub.cfg is another one".into() },
            State::AtRisk,
            &["boot-drive-1-esp"],
        ),
        (
            "backup table damaged",
            |m| m.tables[1] = Tables::Damaged { reason: "the backup partition table is damaged".into() },
            State::AtRisk,
            &["boot-drive-2-tables"],
        ),
        ("no boot entry", |m| m.entry[1] = Some(false), State::AtRisk, &["boot-drive-2-entry"]),
        (
            "made for one drive",
            |m| {
                m.pulled(1);
                m.expected = 1;
            },
            State::Single,
            &[],
        ),
        (
            "made for one drive, which dies",
            |m| {
                m.pulled(1);
                m.expected = 1;
                m.pulses[0] = Pulse::Failing("Input/output error".into());
            },
            State::AtRisk,
            &["boot-drive-1-failing"],
        ),
        (
            "a second drive joins one that was alone",
            |m| {
                m.expected = 1;
                m.seen.arrays.get_mut("maekin-data").unwrap().members[1].state = MemberState::Spare;
            },
            State::Healing,
            &["boot-drive-2-out"],
        ),
        (
            "healing failed",
            |m| {
                m.pulled(0);
                m.heal = Heal::Failed { at: 1, reason: "the new drive is defective".into(), next: 9 };
            },
            State::Degraded,
            &["boot-drive-1-missing", "boot-heal-failed"],
        ),
        (
            "a drive in use by others is in the slot",
            |m| {
                m.pulled(0);
                m.heal = Heal::Stuck { reason: "vdc has ext4 on it".into(), remedy: "erase it".into() };
            },
            State::Degraded,
            &["boot-drive-1-missing", "boot-heal-stuck"],
        ),
        (
            "halves differ",
            |m| m.comparison.differ = vec![("maekin-a".into(), 8)],
            State::AtRisk,
            &["mirror-maekin-a-differs"],
        ),
        (
            "a mirror does not run",
            |m| drop(m.seen.arrays.remove("maekin-data")),
            State::Degraded,
            &["boot-drive-1-out", "boot-drive-2-out", "mirror-maekin-data-stopped"],
        ),
        (
            "trial boot failed",
            |m| m.trial.last = Some(TrialResult { at: 1, number: 2, passed: false }),
            State::AtRisk,
            &["boot-trial-failed"],
        ),
        (
            "nothing can be looked at",
            |m| m.unchecked = "no such program".into(),
            State::AtRisk,
            &["boot-drives-unchecked"],
        ),
        ("the initrd has a word", |m| m.notes.push("odd".into()), State::AtRisk, &["boot-note-1"]),
    ];
    for (name, damage, state, alarms) in rows {
        let mut machine = Machine::whole();
        damage(&mut machine);
        let (report, found) = machine.judged();
        let ids: Vec<&str> = found.iter().map(|f| f.id.as_str()).collect();
        assert_eq!((report.state, ids.as_slice()), (state, alarms), "{name}");
        for f in found {
            assert!(!f.remedy.is_empty() && f.what.len() < 200, "{name}: {f:?}");
        }
    }
    let mut machine = Machine::whole();
    machine.without(1);
    machine.heal = running;
    let (report, found) = machine.judged();
    assert_eq!(report.state, State::Healing);
    assert!(found[0].remedy.contains("leave both drives in"), "{found:?}");
}

#[test]
fn a_drive_is_told_by_what_is_known_of_it() {
    let mut machine = Machine::whole();
    let (report, _) = machine.judged();
    assert_eq!(report.started_from, Some(1));
    assert_eq!(report.drives[0].proved, Some(Proof { at: 5, version: "0.1.0".into() }));
    assert_eq!(report.drives[1].proved, None, "never started from");

    machine.pulled(0);
    let (report, found) = machine.judged();
    assert_eq!((report.drives[0].serial.as_str(), report.drives[0].device.as_deref()), ("S0", None));
    assert!(report.drives[0].halves.iter().all(|h| h.state == HalfState::Missing));
    assert_eq!(found[0].what, "Boot drive 1 (serial S0) is gone; the node runs on the other one.");
    assert_eq!(found[0].remedy, "Put in a blank drive of 10 GiB or more; the node makes it whole by itself.");

    // Another drive in the same place: what was proved of the old one says nothing of it.
    machine.seen.places[0] = Some(Disk { serial: "NEW".into(), ..disk(0) });
    let (report, _) = machine.judged();
    assert_eq!((report.drives[0].serial.as_str(), &report.drives[0].proved), ("NEW", &None));
}

#[test]
fn what_to_do_depends_on_what_the_node_does_by_itself() {
    for (policy, word) in [
        (HealPolicy::Auto, "by itself"),
        (HealPolicy::Ask, "maekin-agent heal"),
        (HealPolicy::Never, "maekin-installer heal --apply"),
    ] {
        let mut machine = Machine::whole();
        machine.memory.settings.heal = policy;
        machine.pulled(1);
        let (_, found) = machine.judged();
        assert!(found[0].remedy.contains(word), "{policy:?}: {found:?}");
    }
}
