//! Halves that disagree: the newer one wins wherever the older one sits, and where that cannot be told nothing is touched.
#![allow(clippy::unwrap_used)] // a test fails by panicking

use std::path::PathBuf;
use std::time::Duration;

use maekin_host::wait;
use maekin_qemu_tests::disk;
use maekin_qemu_tests::fixture::Fixture;
use maekin_qemu_tests::node::{Drive, Firmware};
use maekin_qemu_tests::progress::READY;
use maekin_qemu_tests::rack::{Plan, TestRack, Watch};

const TOOL: &str = env!("CARGO_BIN_EXE_rack");
/// From power-on to the initrd's decision.
const START: Duration = Duration::from_secs(60);
/// For bringing two halves of small drives up to date.
const SYNC: Duration = Duration::from_secs(120);
const MARKER: &str = "/var/lib/maekin/marker";

/// Boots with the drives that are plugged in until the agent is ready.
fn boot(rack: &TestRack) {
    rack.boot_first(&mut Watch::default(), &mut |_| {}).unwrap();
}

/// Boots until the initrd has settled on its halves, and says which of `words` it said.
fn start(rack: &TestRack, words: &[&str]) -> (usize, String) {
    let machine = rack.machine(&rack.nodes()[0]);
    let mut serial = machine.serial();
    serial.skip().unwrap();
    rack.power_on("node-1").unwrap();
    let said = serial.expect_any("the initrd to choose its halves", words, rack.limit(START)).unwrap();
    if said.0 == 0 {
        return said;
    }
    let rest = serial.expect_any("the whole refusal", &["is brought up to date"], rack.limit(START)).unwrap();
    (said.0, said.1 + &rest.1)
}

fn off(rack: &TestRack) {
    rack.machine(&rack.nodes()[0]).power_off().unwrap();
}

fn run(rack: &TestRack, command: &str) -> String {
    rack.ssh(&rack.nodes()[0], command).unwrap()
}

fn wait_whole(rack: &TestRack) {
    let api = rack.api(&rack.nodes()[0]).unwrap();
    let mut last = String::new();
    let whole = wait::until("every mirror to be whole", rack.limit(SYNC), Duration::from_secs(1), || {
        let arrays = api.node().ok()?.boot.arrays;
        last = format!("{arrays:?}");
        (arrays.len() == 4 && arrays.iter().all(|array| !array.degraded())).then_some(())
    });
    assert!(whole.is_ok(), "{last}");
}

#[test]
#[ignore = "long: a chain of starts"]
fn the_newer_half_wins_and_split_halves_are_not_touched() {
    let fixture = Fixture::get(Firmware::Bios, TOOL.as_ref()).unwrap();
    let mut rack = fixture.clone_into("mirror-halves", &Plan::single(Firmware::Bios), TOOL.as_ref()).unwrap();

    // Drive 0 is away while the node writes something down.
    rack.pull("node-1", 0).unwrap();
    boot(&rack);
    run(&rack, &format!("echo newer > {MARKER} && sync"));
    off(&rack);

    // It comes back, first in the boot order: the firmware starts from the older half.
    rack.plug("node-1", 0).unwrap();
    boot(&rack);
    assert_eq!(run(&rack, &format!("cat {MARKER}")).trim(), "newer", "the newer half was taken");
    let state = run(&rack, "cat /run/maekin/boot.json");
    let state: serde_json::Value = serde_json::from_str(&state).unwrap();
    assert_eq!(state["believed"], 1, "{state}");
    let stale = state["stale"].as_array().unwrap();
    let older = stale.iter().find(|half| half["array"] == "maekin-state").unwrap();
    assert_eq!((&older["drive"], older["last_used"].as_u64() > Some(0)), (&0.into(), true), "{state}");

    // ... and is brought up to date, by the agent or, where it has not begun yet, now.
    run(&rack, "maekin-installer heal --apply >/dev/null 2>&1 || true");
    wait_whole(&rack);
    off(&rack);

    // Each drive runs without the other one: now both have what the other has not.
    let running = "root verified";
    let undecided = "it cannot be decided which boot drive is right, and nothing was touched";
    for (alone, away) in [(0, 1), (1, 0)] {
        rack.pull("node-1", away).unwrap();
        let (outcome, line) = start(&rack, &[running, undecided]);
        assert_eq!(outcome, 0, "drive {alone} alone: {line}");
        off(&rack);
        rack.plug("node-1", away).unwrap();
    }
    let drives = rack.nodes()[0].drives.clone();
    let copy = |drive: &Drive| {
        let copy = drive.file.with_extension("before");
        std::fs::copy(&drive.file, &copy).unwrap();
        copy
    };
    let before: Vec<PathBuf> = drives.iter().map(copy).collect();
    let (outcome, text) = start(&rack, &[running, undecided]);
    assert_eq!(outcome, 1, "{text}");
    for word in ["maekin-installer keep 0", "take out"] {
        assert!(text.contains(word), "{word}: {text}");
    }
    off(&rack);
    for (drive, before) in drives.iter().zip(&before) {
        disk::ensure_same(&drive.file, before).unwrap();
    }

    // A person chooses, in the shell that the refusal leads to.
    let mut serial = rack.machine(&rack.nodes()[0]).serial();
    serial.skip().unwrap();
    rack.power_on("node-1").unwrap();
    let limit = rack.limit(START);
    serial.expect("the refusal", undecided, limit).unwrap();
    serial.expect("the shell", "You are in emergency mode", limit).unwrap();
    serial.expect("its question", "Press Enter for", limit).unwrap();
    serial.send("\n").unwrap();
    serial.expect("its prompt", "# ", limit).unwrap();
    serial.send("maekin-installer keep 1\n").unwrap();
    serial.expect("the choice to be told", "drive 1 is kept", limit).unwrap();
    serial.expect("the start to go on", running, limit).unwrap();
    serial.expect("the node to be ready", READY, 2 * limit).unwrap();
}
