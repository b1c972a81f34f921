//! Whole healings on a machine in memory: planned from what it is, carried out, planned again.

mod machine;
mod plans;

use std::path::Path;

use maekin_image::esp;
use maekin_image::ids::Array;
use maekin_rootfs::heal::{Action, Half};

use super::observed::Observed;
use super::plan::{Choice, Planned, plan};
use crate::apply::simulated::SimulatedTarget;
use crate::apply::tests::Heard;
use machine::{GIB, Machine};

const GOOD: &str = "/dev/vda";
const NEW: &str = "/dev/vdb";

/// Heals until nothing is left to do; how often that took.
fn heal(machine: &mut Machine) -> Result<Vec<Action>, String> {
    let mut done = Vec::new();
    for _ in 0..5 {
        let planned = machine.plan(&Choice::default());
        match planned.summary.action {
            Action::None => return Ok(done),
            Action::Refuse => return Err(format!("refused: {}", planned.summary.reason)),
            action => done.push(action),
        }
        machine.apply(&planned).map_err(|e| format!("{e:#}"))?;
    }
    Err(format!("it never ends: {done:?}"))
}

/// Both drives boot, hold the same boot files, and every mirror has both halves.
fn assert_whole(machine: &mut Machine, name: &str) {
    let seen = machine.observe();
    for place in 0..2 {
        assert!(seen.in_sync(place), "{name}: place {place}");
        let disk = seen.places[usize::from(place)].as_ref().unwrap().disk.path.clone();
        let boot = machine.target.bootable(&disk).unwrap();
        assert!(boot.bios && boot.uefi && boot.unfinished.is_none(), "{name}: {disk:?} {boot:?}");
    }
    let files = |disk: &str| machine.target.files(Path::new(&format!("{disk}2"))).unwrap().clone();
    let (good, new) = (files(GOOD), files(NEW));
    assert_eq!(good.keys().collect::<Vec<_>>(), new.keys().collect::<Vec<_>>(), "{name}");
    assert!(good == new, "{name}: boot files differ");
    assert!(!good.keys().any(|path| path.ends_with(".NEW")), "{name}: {:?}", good.keys());
    let menu = String::from_utf8(good[esp::GRUB_MENU].clone()).unwrap();
    assert!(menu.contains("maekin.drives=2 "), "{name}");
}

/// Whatever call fails, the machine boots from the good drive and from nothing half made, and the next healing succeeds.
fn interrupted_anywhere(name: &str, ill: &Machine) {
    let mut whole = ill.clone();
    heal(&mut whole).unwrap();
    assert_whole(&mut whole, name);
    let calls = whole.target.log.len() - ill.target.log.len();
    let good_files = ill.target.files(Path::new("/dev/vda2")).cloned();
    for at in 0..calls {
        let mut machine = ill.clone();
        let first = machine.target.log.len();
        machine.target.fail_at = Some(first + at);
        let outcome = heal(&mut machine);
        let call = machine.target.log.get(first + at).cloned().unwrap_or_default();
        let name = format!("{name}, call {at}: {call}");
        machine.target.fail_at = None;
        machine.target.restart();
        assert_eq!(outcome.is_ok(), call.starts_with("boot entry"), "{name}: {outcome:?}");
        let good = machine.target.bootable(Path::new(GOOD)).unwrap();
        assert!(good.bios && good.uefi && good.unfinished.is_none(), "{name}: {good:?}");
        if ill.good_is_whole {
            let now = machine.target.files(Path::new("/dev/vda2")).cloned().unwrap_or_default();
            for (path, content) in good_files.iter().flatten() {
                let menu = path == esp::GRUB_MENU || path == esp::INVENTORY;
                assert!(menu || now.get(path) == Some(content), "{name}: {path} of the good drive changed");
            }
        }
        let seen = machine.observe();
        let new = machine.target.bootable(Path::new(NEW)).unwrap();
        if (new.bios || new.uefi) && ill.new_is_made {
            let synced = Array::ALL.iter().all(|array| seen.half(1, *array) == Half::InSync);
            assert!(synced, "{name}: the new drive boots before it is whole: {new:?}");
        }
        let installed = machine.target.file("/dev/vdb2", esp::INSTALLED).is_some();
        assert!(
            !installed || !ill.new_is_made || (new.bios && new.uefi),
            "{name}: it says that it is complete"
        );
        heal(&mut machine).unwrap_or_else(|e| panic!("{name}: {e}"));
        assert_whole(&mut machine, &name);
    }
}

#[test]
fn a_blank_drive_becomes_the_one_that_is_missing() {
    let mut machine = Machine::installed(2);
    machine.target.put_in_blank(NEW, 12 * GIB);
    machine.serials[1] = "NEW".to_owned();
    let planned = machine.plan(&Choice::default());
    assert_eq!(planned.summary.action, Action::Rebuild);
    machine.apply(&planned).unwrap();
    assert_whole(&mut machine, "rebuilt");
    let node = machine.target.file("/dev/md/maekin-state", "lib/maekin/node.toml").unwrap();
    let node: maekin_rootfs::node::NodeConfig = toml::from_str(std::str::from_utf8(node).unwrap()).unwrap();
    assert_eq!((node.disks[0].serial.as_str(), node.disks[1].serial.as_str()), ("S-vda", "NEW"));
    assert_eq!(machine.plan(&Choice::default()).summary.action, Action::None, "planning again plans nothing");
}

#[test]
fn a_rebuild_may_be_interrupted_anywhere() {
    let mut machine = Machine::installed(2);
    machine.target.put_in_blank(NEW, 13 * GIB);
    machine.sizes[1] = 13 * GIB;
    machine.new_is_made = true;
    interrupted_anywhere("rebuild", &machine);
}

#[test]
fn a_second_drive_makes_a_mirror_of_a_node_with_one() {
    let mut machine = Machine::installed(1);
    assert_eq!(machine.plan(&Choice::default()).summary.action, Action::None, "it has no second drive");
    machine.target.put_in_blank(NEW, 12 * GIB);
    machine.add_drive(NEW, 12 * GIB);
    assert_eq!(machine.plan(&Choice::default()).summary.action, Action::AddMirror);
    machine.new_is_made = true;
    interrupted_anywhere("add a mirror", &machine);
}

#[test]
fn a_drive_that_was_away_gets_what_it_missed() {
    let mut machine = Machine::installed(2);
    machine.away(1);
    let planned = machine.plan(&Choice::default());
    assert_eq!(planned.summary.action, Action::ReAdd);
    let log = machine.target.log.len();
    machine.apply(&planned).unwrap();
    assert_whole(&mut machine, "back");
    let calls = &machine.target.log[log..];
    assert!(calls.contains(&"join /dev/vdb5 to maekin-state by bitmap".to_owned()), "{calls:?}");
    assert!(calls.contains(&"join /dev/vdb3 to maekin-a as new".to_owned()), "system slots have no bitmap");
    assert!(calls.contains(&"read /dev/vdb3 back".to_owned()));
    assert!(
        !calls.iter().any(|c| c.starts_with("write") || c.starts_with("mkfs")),
        "all files were right: {calls:?}"
    );
}

#[test]
fn boot_files_of_an_older_version_are_made_anew_while_the_drive_does_not_boot() {
    let mut machine = Machine::installed(2);
    machine.away(1);
    let files = machine.target.files_mut(Path::new("/dev/vdb2")).unwrap();
    files.insert("maekin/a/vmlinuz".to_owned(), b"older".to_vec());
    files.insert("maekin/a/initrd".to_owned(), b"older".to_vec());
    machine.new_is_made = false;
    let planned = machine.plan(&Choice::default());
    assert_eq!(planned.summary.steps[0], "marking vdb as unfinished");
    interrupted_anywhere("stale boot files", &machine);
}

#[test]
fn single_damaged_files_are_mended_in_place() {
    for (disk, good) in [(NEW, true), (GOOD, false)] {
        for path in
            ["maekin/a/vmlinuz", esp::GRUB_MENU, "EFI/debian/grubx64.efi", esp::INVENTORY, esp::GRUB_ENV]
        {
            let mut machine = Machine::installed(2);
            machine.good_is_whole = good;
            let part = format!("{disk}2");
            machine.target.files_mut(Path::new(&part)).unwrap().insert(path.to_owned(), b"rubbish".to_vec());
            let planned = machine.plan(&Choice::default());
            assert_eq!(planned.summary.action, Action::ResyncEsp, "{part} {path}");
            assert_eq!(planned.summary.disk.as_deref(), Some(Path::new(disk)), "{part} {path}");
            if path == "maekin/a/vmlinuz" || path == esp::INVENTORY {
                interrupted_anywhere(&format!("{path} on {part}"), &machine);
            } else {
                heal(&mut machine).unwrap();
                assert_whole(&mut machine, path);
            }
        }
    }
}

#[test]
fn a_drive_that_runs_loses_its_mark_and_gets_its_loader_back() {
    // As a power cut between the commits of the two drives leaves it.
    let mut machine = Machine::installed(2);
    let mark = maekin_image::gpt::protective_mbr(
        12 * GIB,
        512,
        &maekin_image::bootcode::unfinished(machine.install),
    );
    use crate::apply::target::Target;
    machine.target.write(Path::new(NEW), 0, &mark).unwrap();
    let files = machine.target.files_mut(Path::new("/dev/vdb2")).unwrap();
    files.remove(esp::FALLBACK_LOADER);
    files.remove(esp::INSTALLED);
    assert_eq!(heal(&mut machine).unwrap(), [Action::ResyncEsp]);
    assert_whole(&mut machine, "unmarked");
    assert!(!machine.target.log.iter().any(|call| call.starts_with("join")), "its halves were never touched");
}

#[test]
fn files_damaged_on_both_drives_are_named_and_nothing_is_made_up() {
    let mut machine = Machine::installed(2);
    for part in ["/dev/vda2", "/dev/vdb2"] {
        machine
            .target
            .files_mut(Path::new(part))
            .unwrap()
            .insert("maekin/a/initrd".to_owned(), b"bad".to_vec());
    }
    let planned = machine.plan(&Choice::default());
    assert_eq!(planned.summary.action, Action::Refuse);
    assert!(planned.summary.reason.contains("maekin/a/initrd") && planned.steps.is_empty(), "{planned:?}");
    // ... and such a drive is no model for another one.
    let mut machine = Machine::installed(2);
    machine.target.put_in_blank(NEW, 12 * GIB);
    machine
        .target
        .files_mut(Path::new("/dev/vda2"))
        .unwrap()
        .insert("maekin/a/initrd".to_owned(), b"bad".to_vec());
    assert_eq!(machine.plan(&Choice::default()).summary.action, Action::Refuse);
}

#[test]
fn a_file_that_changes_while_it_is_copied_ends_the_healing() {
    let mut machine = Machine::installed(2);
    machine.target.put_in_blank(NEW, 12 * GIB);
    let planned = machine.plan(&Choice::default());
    machine
        .target
        .files_mut(Path::new("/dev/vda2"))
        .unwrap()
        .insert("maekin/a/initrd".to_owned(), b"bad".to_vec());
    let err = format!("{:#}", machine.apply(&planned).unwrap_err());
    assert!(err.contains("maekin/a/initrd changed while it was copied"), "{err}");
    assert!(!machine.target.bootable(Path::new(NEW)).unwrap().uefi);
}

#[test]
fn a_system_image_that_reads_back_wrong_is_no_mirror() {
    let mut machine = Machine::installed(2);
    machine.target.put_in_blank(NEW, 12 * GIB);
    let planned = machine.plan(&Choice::default());
    // What is copied is not what the manifest says: the good drive has lost it.
    use crate::apply::target::Target;
    machine.target.write(Path::new("/dev/vda3"), 100, b"x").unwrap();
    let err = format!("{:#}", machine.apply(&planned).unwrap_err());
    assert!(err.contains("/dev/vdb3") && err.contains("defective"), "{err}");
    let boot = machine.target.bootable(Path::new(NEW)).unwrap();
    assert!(!boot.uefi && !boot.bios && boot.unfinished.is_some());
}

fn summary(seen: &Observed, choice: &Choice) -> Planned {
    plan(seen, choice)
}

#[test]
fn progress_counts_to_the_end() {
    let mut machine = Machine::installed(2);
    machine.target.put_in_blank(NEW, 12 * GIB);
    let planned = machine.plan(&Choice::default());
    let mut heard = Heard::default();
    let timings = machine.apply_telling(&planned, &mut heard).unwrap();
    assert_eq!((timings.len(), heard.steps.len()), (planned.steps.len(), planned.steps.len()));
    assert_eq!(heard.steps, planned.summary.steps);
    let _: &SimulatedTarget = &machine.target;
}
