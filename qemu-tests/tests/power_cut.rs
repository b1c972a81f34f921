//! Power cuts during an installation: onto blank drives, and over an installed node. Whatever the drives keep, the
//! machine starts what it was, installs again, or starts what it was to become.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)] // a test fails by panicking

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use maekin_qemu_tests::power_cut::Replay;
use maekin_qemu_tests::power_cut::capture::{Capture, Which};
use maekin_qemu_tests::power_cut::judge::{Judge, Judgement, Outcome};
use maekin_qemu_tests::power_cut::points::{self, Loss, Point};
use maekin_qemu_tests::release::out;

const TOOL: &str = env!("CARGO_BIN_EXE_rack");
/// The same points in every run.
const SEED: u64 = 20_261_120;
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
fn try_points(which: Which, count: usize) {
    let capture = Capture::get(TOOL.as_ref()).unwrap();
    let scratch = Scratch::new(&format!("power-cut-{which:?}").to_lowercase());
    let mut judge = Judge::start(&scratch.0).unwrap();
    let allowed = Allowed::find(&capture, which, &mut judge, &scratch.0);
    let log = capture.log(which).unwrap();
    let drives = capture.drives_before(which, &scratch.0).unwrap();
    let mut replay = Replay::start(&log, &drives).unwrap();
    let mut survived: BTreeMap<(&str, &str), usize> = BTreeMap::new();
    let mut dead = Vec::new();
    let points = points::plan(&log.entries, count, ENDS, SEED);
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
    assert!(points.len() >= count.min(log.entries.len()));
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

#[test]
fn blank_drives() {
    try_points(Which::Fresh, 400);
}

#[test]
fn an_installed_node() {
    try_points(Which::Again, 400);
}
