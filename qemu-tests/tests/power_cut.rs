//! Power cuts during an installation: onto blank drives, and over an installed node. Whatever the drives keep, the
//! machine starts what it was, installs again, or starts what it was to become.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)] // a test fails by panicking

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

use maekin_qemu_tests::answer::Answer;
use maekin_qemu_tests::node::{BootFrom, Firmware};
use maekin_qemu_tests::power_cut::Replay;
use maekin_qemu_tests::power_cut::capture::{Capture, Which};
use maekin_qemu_tests::power_cut::judge::{Judge, Judgement, Outcome};
use maekin_qemu_tests::power_cut::landmarks::Landmarks;
use maekin_qemu_tests::power_cut::points::{self, Loss, Point};
use maekin_qemu_tests::progress::{INSTALLER, READY};
use maekin_qemu_tests::rack::{Plan, Rack};
use maekin_qemu_tests::recorder::Recorder;
use maekin_qemu_tests::recorder::log::Log;
use maekin_qemu_tests::release::{Release, out};

const TOOL: &str = env!("CARGO_BIN_EXE_rack");
/// The same points in every run.
const SEED: u64 = 20_261_120;
/// Power-on to the end of what the machine does, by hardware virtualisation.
const LIMIT: Duration = Duration::from_secs(5 * 60);
/// How often each installation is tried in the long run, at up to 900 points.
const LONG_ROUNDS: u64 = 3;
/// Writes at both ends of an installation of which each is a point.
const ENDS: usize = 60;

/// A directory of a test's own, gone when the test passes.
struct Scratch(PathBuf);

impl Scratch {
    fn new(name: &str) -> Self {
        let dir = out().join("t").join(name);
        let _ = std::fs::remove_dir_all(&dir); // of an earlier run
        std::fs::create_dir_all(&dir).unwrap();
        Self(dir)
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        if !std::thread::panicking() {
            let _ = std::fs::remove_dir_all(&self.0);
        }
    }
}

/// What a machine may do at a point, by the installations that are on its drives.
struct Allowed {
    before: Option<String>,
    after: String,
}

impl Allowed {
    /// What the drives start when nothing and when all of the log is done.
    fn find(capture: &Capture, which: Which, judge: &mut Judge, dir: &Path) -> Self {
        let log = capture.log(which).unwrap();
        let drives = capture.drives_before(which, dir).unwrap();
        let id = |judgement: Judgement| match (judgement.bios, judgement.uefi) {
            (Outcome::Boots { install, .. }, Outcome::Boots { install: other, .. }) if install == other => {
                Some(install)
            }
            (Outcome::Installs, Outcome::Installs) => None,
            other => panic!("{which:?}: {other:?}"),
        };
        let before = id(judge.ask(&drives).unwrap());
        let mut replay = Replay::start(&log, &drives).unwrap();
        replay.advance(log.entries.len()).unwrap();
        replay.stop(Loss::Nothing).unwrap();
        let after = id(judge.ask(&drives).unwrap()).expect("an installation that is done starts");
        assert_ne!(before.as_ref(), Some(&after));
        assert_eq!(before.is_some(), which == Which::Again);
        Self { before, after }
    }

    /// The outcome in a word, or why it must not be.
    fn word(&self, outcome: &Outcome) -> Result<&'static str, String> {
        match outcome {
            Outcome::Boots { install, .. } if *install == self.after => Ok("starts the new"),
            Outcome::Boots { install, .. } if Some(install) == self.before.as_ref() => Ok("starts the old"),
            Outcome::Installs => Ok("installs again"),
            other => Err(format!("{other:?}")),
        }
    }
}

/// Tries `count` points of an installation.
fn try_points(which: Which, count: usize, seed: u64) {
    let capture = Capture::get(TOOL.as_ref()).unwrap();
    let scratch = Scratch::new(&format!("power-cut-{which:?}-{seed}").to_lowercase());
    let mut judge = Judge::start(&scratch.0).unwrap();
    let allowed = Allowed::find(&capture, which, &mut judge, &scratch.0);
    let log = capture.log(which).unwrap();
    let drives = capture.drives_before(which, &scratch.0).unwrap();
    let mut replay = Replay::start(&log, &drives).unwrap();
    let mut survived: BTreeMap<(&str, &str), usize> = BTreeMap::new();
    let mut dead = Vec::new();
    let points = points::plan(&log.entries, count, ENDS, seed);
    for Point { done, loss } in &points {
        replay.advance(*done).unwrap();
        let judgement = replay.cut(*loss, || judge.ask(&drives)).unwrap().unwrap();
        for (firmware, outcome) in [("BIOS", &judgement.bios), ("UEFI", &judgement.uefi)] {
            match allowed.word(outcome) {
                Ok(word) => *survived.entry((firmware, word)).or_default() += 1,
                Err(why) => {
                    dead.push(format!("{done} of {} done, {loss:?}, {firmware}: {why}", log.entries.len()));
                }
            }
        }
    }
    println!("{which:?}: {} points tried, {} did not survive; {survived:?}", points.len(), dead.len());
    assert!(points.len() >= 200, "{} points are too few", points.len());
    for firmware in ["BIOS", "UEFI"] {
        let seen: Vec<&str> =
            survived.keys().filter(|(f, _)| *f == firmware).map(|(_, word)| *word).collect();
        let old = allowed.before.as_ref().map(|_| "starts the old");
        assert!(
            old.into_iter().chain(["installs again", "starts the new"]).all(|w| seen.contains(&w)),
            "{seen:?}"
        );
    }
    assert!(dead.is_empty(), "{} points:\n{}", dead.len(), dead.join("\n"));
}

/// Cuts the power at a point and switches the machine on, with the stick in and last in the boot order: it does what it
/// was judged to do, to the end.
fn boots(name: &str, which: Which, firmware: Firmware, point: impl FnOnce(&Log) -> Point) {
    let capture = Capture::get(TOOL.as_ref()).unwrap();
    let log = capture.log(which).unwrap();
    let rack = capture.rack(which, firmware, &format!("cut-{name}"), TOOL.as_ref()).unwrap();
    let spec = rack.nodes()[0].clone();
    let machine = rack.machine(&spec);
    let drives = capture.drives_before(which, machine.dir()).unwrap();
    let point = point(&log);
    let mut replay = Replay::start(&log, &drives).unwrap();
    replay.advance(point.done).unwrap();
    replay.stop(point.loss).unwrap();
    let judgement = Judge::start(rack.dir()).unwrap().ask(&drives).unwrap();
    let judged = if firmware == Firmware::Uefi { judgement.uefi } else { judgement.bios };
    println!("{name}: {} of {} done, {:?}: {judged:?}", point.done, log.entries.len(), point.loss);

    let mut serial = machine.serial();
    machine.power_on(&spec).unwrap();
    let limit = rack.limit(LIMIT);
    let ends = [
        READY.to_owned(),
        format!("{INSTALLER}done"),
        format!("{INSTALLER}refused"),
        format!("{INSTALLER}failed"),
    ];
    let ends: Vec<&str> = ends.iter().map(String::as_str).collect();
    let (end, line) = serial.expect_any("the machine to come up, or to be installed", &ends, limit).unwrap();
    match judged {
        Outcome::Boots { install, .. } => {
            assert_eq!(end, 0, "{name}: it was to start {install}: {line}");
            let log = std::fs::read(machine.serial_log()).unwrap();
            assert!(
                String::from_utf8_lossy(&log).contains(&install),
                "{name}: it started another than {install}"
            );
        }
        Outcome::Installs => assert_eq!(end, 1, "{name}: it was to be installed again: {line}"),
        other => panic!("{name}: {other:?}"),
    }
}

fn at(which: impl FnOnce(Landmarks) -> usize, loss: Loss) -> impl FnOnce(&Log) -> Point {
    move |log| Point { done: which(Landmarks::find(&log.entries).unwrap()), loss }
}

#[test]
fn one_drive_marked_starts_the_old_bios() {
    boots("one-marked", Which::Again, Firmware::Bios, at(|l| l.one_marked, Loss::Nothing));
}

#[test]
#[ignore = "long: one of the states that are judged in every run, started"]
fn one_drive_unbootable_starts_the_old_uefi() {
    boots("one-unbootable", Which::Again, Firmware::Uefi, at(|l| l.one_unbootable, Loss::Nothing));
}

#[test]
#[ignore = "long: one of the states that are judged in every run, and an installation"]
fn in_the_middle_installs_again_uefi() {
    boots("middle", Which::Again, Firmware::Uefi, at(|l| l.middle, Loss::Some(SEED)));
}

#[test]
#[ignore = "long: one of the states that are judged in every run, and an installation"]
fn right_before_the_commit_installs_again_bios() {
    boots("before-commit", Which::Fresh, Firmware::Bios, at(|l| l.before_commit, Loss::Nothing));
}

#[test]
fn between_the_commits_of_the_esps_starts_the_new_uefi() {
    boots("one-esp", Which::Fresh, Firmware::Uefi, at(|l| l.one_esp, Loss::Everything));
}

#[test]
#[ignore = "long: one of the states that are judged in every run, started"]
fn between_the_commits_of_the_boot_code_starts_the_new_bios() {
    boots("one-mbr", Which::Again, Firmware::Bios, at(|l| l.one_mbr, Loss::Everything));
}

/// Not a power cut, but recorded drives can fail too.
#[test]
fn a_drive_that_fails_its_writes_is_named_and_nothing_is_committed() {
    let release = Release::find().unwrap();
    let mut rack = Rack::for_test("broken-writes", &Plan::single(Firmware::Bios), TOOL.as_ref()).unwrap();
    let answer = Answer::new(rack.password(), Vec::new());
    rack.insert_stick(&release, &answer).unwrap();
    let drives: Vec<(PathBuf, u64)> =
        rack.nodes()[0].drives.iter().map(|d| (d.file.with_extension("raw"), d.size)).collect();
    let recorder = Recorder::start(&rack.dir().join("log"), &drives).unwrap();
    let sockets = recorder.sockets().to_vec();
    rack.change("node-1", |node| {
        node.drives.iter_mut().zip(sockets).for_each(|(drive, socket)| drive.socket = Some(socket));
    })
    .unwrap();
    recorder.break_writes(1, 700 << 20..701 << 20); // in the middle of the system
    rack.power_on_from("node-1", BootFrom::Medium).unwrap();
    let mut serial = rack.machine(&rack.nodes()[0]).serial();
    let ends = [format!("{INSTALLER}failed"), format!("{INSTALLER}done")];
    let ends: Vec<&str> = ends.iter().map(String::as_str).collect();
    let (end, line) = serial.expect_any("the installation to end", &ends, rack.limit(LIMIT)).unwrap();
    assert_eq!(end, 0, "{line}");
    assert!(line.contains("vdb3") && line.contains("defective"), "{line}");
    let judgement =
        Judge::start(rack.dir()).unwrap().ask(&[drives[0].0.clone(), drives[1].0.clone()]).unwrap();
    assert_eq!(judgement, Judgement { bios: Outcome::Installs, uefi: Outcome::Installs });
}

#[test]
#[ignore = "long: thousands of points"]
fn thousands_of_points_on_blank_drives() {
    (0..LONG_ROUNDS).for_each(|round| try_points(Which::Fresh, 2000, SEED + 1 + round));
}

#[test]
#[ignore = "long: thousands of points"]
fn thousands_of_points_on_an_installed_node() {
    (0..LONG_ROUNDS).for_each(|round| try_points(Which::Again, 2000, SEED + 1 + round));
}

/// Ten of sixty sampled points, each started: more would not fit in the time that a test may take.
fn ten_starts(turn: u64) {
    for n in 10 * turn..10 * turn + 10 {
        let which = if n % 2 == 0 { Which::Fresh } else { Which::Again };
        let firmware = if n % 4 < 2 { Firmware::Bios } else { Firmware::Uefi };
        boots(&format!("sample-{n}"), which, firmware, |log| {
            let points = points::plan(&log.entries, 400, ENDS, SEED + 100);
            points[usize::try_from(points::mix(SEED, n)).unwrap_or(0) % points.len()]
        });
    }
}

#[test]
#[ignore = "long: the first ten of sixty starts"]
fn sixty_starts_first() {
    ten_starts(0);
}

#[test]
#[ignore = "long: ten of sixty starts"]
fn sixty_starts_second() {
    ten_starts(1);
}

#[test]
#[ignore = "long: ten of sixty starts"]
fn sixty_starts_third() {
    ten_starts(2);
}

#[test]
#[ignore = "long: ten of sixty starts"]
fn sixty_starts_fourth() {
    ten_starts(3);
}

#[test]
#[ignore = "long: ten of sixty starts"]
fn sixty_starts_fifth() {
    ten_starts(4);
}

#[test]
#[ignore = "long: the last ten of sixty starts"]
fn sixty_starts_sixth() {
    ten_starts(5);
}

#[test]
fn blank_drives() {
    try_points(Which::Fresh, 400, SEED);
}

#[test]
fn an_installed_node() {
    try_points(Which::Again, 400, SEED);
}
