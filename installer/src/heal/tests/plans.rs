//! Plans and refusals as tables.

use std::path::{Path, PathBuf};

use maekin_image::ids::Array;
use maekin_rootfs::heal::{Action, Half, PlaceState};

use super::super::observed::Observed;
use super::super::plan::renew::candidates;
use super::super::report;
use super::machine::{GIB, Machine};
use super::{Choice, summary};
use crate::facts::Disk;
use crate::facts::tests::{disk, used};

/// A node whose second boot drive is gone, with these other drives.
fn missing(others: Vec<Disk>) -> Observed {
    let mut machine = Machine::installed(2);
    machine.target.put_in_blank("/dev/vdb", 12 * GIB);
    let mut seen = machine.observe();
    seen.facts.disks.retain(|disk| disk.name == "vda");
    seen.facts.disks.extend(others);
    seen
}

fn named(disk: &str, consent: &[&str]) -> Choice {
    Choice { disk: Some(PathBuf::from(disk)), consent: consent.iter().map(|t| (*t).to_owned()).collect() }
}

#[test]
fn what_can_become_a_boot_drive() {
    let begun = |install| {
        let mut disk = used("vdc", 12);
        disk.contents.unfinished = Some(install);
        disk
    };
    let ours = Machine::installed(1).install;
    let rows: Vec<(&str, Disk, Action, bool, &str)> = vec![
        ("blank", disk("vdc", 12), Action::Rebuild, true, "blank"),
        ("larger", disk("vdc", 120), Action::Rebuild, true, "blank"),
        ("interrupted by us", begun(ours), Action::Rebuild, true, "interrupted"),
        (
            "interrupted by another",
            begun(uuid::Uuid::from_u128(9)),
            Action::Rebuild,
            false,
            "unfinished installation",
        ),
        ("used", used("vdc", 12), Action::Rebuild, false, "ext4"),
        ("small", disk("vdc", 11), Action::Refuse, false, "it has 11.0 GiB, and has to have 12.0 GiB"),
        (
            "a little small",
            Disk { size: 12 * GIB - 512, ..disk("vdc", 12) },
            Action::Refuse,
            false,
            "has to have 12.0 GiB",
        ),
        (
            "large sectors",
            Disk { sector: 4096, ..disk("vdc", 12) },
            Action::Refuse,
            false,
            "its sectors have 4096 bytes, those of this node's mirrors 512",
        ),
        (
            "odd sectors",
            Disk { sector: 520, ..disk("vdc", 12) },
            Action::Refuse,
            false,
            "sectors of 520 bytes",
        ),
        ("stick", Disk { transport: "usb".to_owned(), ..disk("vdc", 12) }, Action::Refuse, false, "USB"),
        ("removable", Disk { removable: true, ..disk("vdc", 12) }, Action::Refuse, false, "removable"),
        (
            "read only",
            Disk { read_only: true, ..disk("vdc", 12) },
            Action::Refuse,
            false,
            "cannot be written",
        ),
        ("medium", Disk { holds_medium: true, ..disk("vdc", 12) }, Action::Refuse, false, "started from it"),
        (
            "virtual media",
            Disk { virtual_media: Some("AMI".to_owned()), ..disk("vdc", 12) },
            Action::Refuse,
            false,
            "virtual media of AMI",
        ),
        (
            "mounted",
            Disk { mounted: vec!["/mnt".to_owned()], ..disk("vdc", 12) },
            Action::Refuse,
            false,
            "mounted on /mnt",
        ),
    ];
    for (name, disk, action, free, want) in rows {
        let seen = missing(vec![disk]);
        let found = &candidates(&seen, 0)[0];
        assert_eq!((found.action, found.free), (action, free), "{name}: {found:?}");
        assert!(found.reason.contains(want), "{name}: {}", found.reason);
        assert_eq!(found.token.is_some(), action != Action::Refuse && !free, "{name}");
        assert_eq!(found.dies.is_empty(), found.token.is_none(), "{name}");
        let planned = summary(&seen, &Choice::default());
        assert_eq!(planned.summary.action == Action::Rebuild, free, "{name}: {:?}", planned.summary);
        assert_eq!(planned.steps.is_empty(), !free, "{name}");
        if let Some(token) = &found.token {
            assert_eq!(summary(&seen, &named("/dev/vdc", &[])).summary.action, Action::Refuse, "{name}");
            assert_eq!(
                summary(&seen, &named("/dev/vdc", &["0000-0000-0000-0000"])).summary.action,
                Action::Refuse
            );
            let consented = summary(&seen, &named("/dev/vdc", &[token]));
            assert_eq!(
                (consented.summary.action, &consented.summary.dies),
                (Action::Rebuild, &found.dies),
                "{name}"
            );
        }
    }
    let mut seen = missing(vec![disk("vdc", 12)]);
    seen.busy.insert(PathBuf::from("/dev/vdc"), vec!["dm-3".to_owned()]);
    assert!(candidates(&seen, 0)[0].reason.contains("in use by dm-3"));
}

#[test]
fn which_drive_is_taken_is_never_guessed() {
    let plan = |others: Vec<Disk>, choice: &Choice| summary(&missing(others), choice).summary;
    let none = Choice::default();
    let two = || vec![disk("vdc", 12), disk("vdd", 12)];
    let refused = plan(two(), &none);
    assert_eq!(refused.action, Action::Refuse);
    assert!(refused.reason.contains("several drives") && refused.remedy.contains("--disk"), "{refused:?}");
    assert_eq!(plan(two(), &named("/dev/vdd", &[])).disk.as_deref(), Some(Path::new("/dev/vdd")));
    assert_eq!(
        plan(two(), &named("/dev/vda", &[])).action,
        Action::Refuse,
        "the drive that the node runs from"
    );
    // Another blank drive beside one that was begun changes nothing.
    let mut begun = used("vdd", 12);
    begun.contents.unfinished = Some(Machine::installed(1).install);
    assert_eq!(plan(vec![disk("vdc", 12), begun], &none).disk.as_deref(), Some(Path::new("/dev/vdd")));
    let nothing = plan(Vec::new(), &none);
    assert!(nothing.remedy.contains("a blank drive of at least 12.0 GiB"), "{nothing:?}");
    let used = plan(vec![used("vdc", 12)], &none);
    assert!(used.action == Action::Refuse && used.token.is_some() && !used.dies.is_empty(), "{used:?}");
}

/// A drive that is here with all its halves out of their mirrors, after `change`.
fn away(change: impl Fn(&mut Observed)) -> Observed {
    let mut machine = Machine::installed(2);
    machine.away(1);
    let mut seen = machine.observe();
    change(&mut seen);
    seen
}

fn change_block(
    seen: &mut Observed,
    array: Array,
    change: impl Fn(&mut maekin_host::md::superblock::Superblock),
) {
    let here = seen.places[1].as_mut().unwrap();
    change(here.blocks.get_mut(&array).unwrap().as_mut().unwrap());
}

#[test]
fn halves_go_back_only_from_the_newer_to_the_older() {
    let gone = |seen: &mut Observed, events: u64| {
        change_block(seen, Array::State, |block| {
            block.roles[0] = 0xffff;
            block.events = events;
        });
    };
    let plan = |change: &dyn Fn(&mut Observed)| summary(&away(change), &Choice::default()).summary;
    assert_eq!(plan(&|_| {}).action, Action::ReAdd);
    let split = plan(&|seen| gone(seen, 50));
    assert_eq!(split.action, Action::Refuse);
    assert!(split.reason.contains("each half was used without the other"), "{split:?}");
    assert!(split.dies[0].contains("until 2023-11-14 22:13 UTC"), "{split:?}");
    let token = split.token.unwrap();
    let consented = summary(&away(|seen| gone(seen, 50)), &named("/dev/vdb", &[&token]));
    assert_eq!(consented.summary.action, Action::ReAdd);
    let later = summary(&away(|seen| gone(seen, 51)), &named("/dev/vdb", &[&token]));
    assert_eq!(later.summary.action, Action::Refuse, "consent to another content");
    // A person has chosen at the start.
    assert_eq!(
        plan(&|seen| {
            gone(seen, 50);
            seen.left_out = vec![1];
        })
        .action,
        Action::ReAdd
    );
    let newer = plan(&|seen| {
        gone(seen, 500);
        seen.arrays.get_mut(&Array::State).unwrap().block.as_mut().unwrap().roles[1] = 1;
    });
    assert!(
        newer.action == Action::Refuse && newer.reason.contains("newer than what the node runs from"),
        "{newer:?}"
    );
    let foreign = plan(&|seen| change_block(seen, Array::Data, |b| b.set_uuid = uuid::Uuid::from_u128(5)));
    assert!(foreign.reason.contains("array that is not this node's"), "{foreign:?}");
}

#[test]
fn a_drive_that_failed_is_not_tried_again_unasked() {
    let failed = || {
        away(|seen| {
            for running in seen.arrays.values_mut() {
                running.members.push(super::super::observed::Member {
                    name: "vdb5".to_owned(),
                    half: Half::Faulty,
                    gone: false,
                });
            }
        })
    };
    let refused = summary(&failed(), &Choice::default()).summary;
    assert!(
        refused.action == Action::Refuse && refused.reason.contains("failed while it was in use"),
        "{refused:?}"
    );
    assert!(refused.remedy.contains("replace it"));
    let asked = summary(&failed(), &named("/dev/vdb", &[]));
    assert_eq!(asked.summary.action, Action::ReAdd);
    assert_eq!(asked.summary.steps[0], "taking vdb5 out of maekin-state");
}

#[test]
fn members_that_are_gone_are_taken_out_first() {
    let seen = away(|seen| {
        seen.arrays.get_mut(&Array::SystemB).unwrap().members.push(super::super::observed::Member {
            name: "vdq4".to_owned(),
            half: Half::InSync,
            gone: true,
        });
    });
    assert_eq!(summary(&seen, &Choice::default()).summary.steps[0], "taking vdq4 out of maekin-b");
}

#[test]
fn what_nobody_can_decide_is_refused() {
    let mut machine = Machine::installed(2);
    let twice = Observed { claimed_twice: Some(1), ..machine.observe() };
    assert!(summary(&twice, &Choice::default()).summary.reason.contains("more than one drive"));
    let mut nowhere = machine.observe();
    for running in nowhere.arrays.values_mut() {
        running.members.iter_mut().for_each(|m| m.half = Half::Resyncing);
    }
    assert_eq!(summary(&nowhere, &Choice::default()).summary.action, Action::Refuse);
}

#[test]
fn findings_say_how_each_place_is() {
    let state = |seen: &Observed| {
        let findings = report::findings(seen, &summary(seen, &Choice::default()));
        let text = report::text(&findings);
        assert!(text.contains("plan: "), "{text}");
        serde_json::to_string(&findings).unwrap();
        [findings.places[0].state, findings.places[1].state]
    };
    let mut machine = Machine::installed(2);
    assert_eq!(state(&machine.observe()), [PlaceState::Whole, PlaceState::Whole]);
    assert_eq!(state(&away(|_| {})), [PlaceState::Whole, PlaceState::Stale]);
    assert_eq!(state(&missing(Vec::new())), [PlaceState::Whole, PlaceState::Missing]);
    assert_eq!(state(&Machine::installed(1).observe()), [PlaceState::Whole, PlaceState::Unused]);
    machine.target.files_mut(Path::new("/dev/vdb2")).unwrap().remove("maekin/a/vmlinuz");
    assert_eq!(state(&machine.observe()), [PlaceState::Whole, PlaceState::Damaged]);
}
