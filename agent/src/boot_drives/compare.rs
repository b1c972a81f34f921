//! Comparing the halves of the mirrors, byte by byte, once a month: one mirror after the other, slowly, and only while both
//! drives are whole. What is to be done next is pure.
//!
//! What was never written may differ on two drives that were not blank, and that harms nothing. So what is found the first
//! time on a mirror that holds a file system is made equal (`repair`), and counts only from then on. A system slot is
//! written from end to end and counts from the start; one that was never filled is like the others.

use std::collections::BTreeMap;

use maekin_host::md;
use maekin_host::md_sysfs::{self, Running};
use maekin_image::ids::Array;

use super::Keeper;
use super::memory::Memory;
use super::observe;
use crate::app::App;
use crate::clock::now;

/// Between two comparisons, seconds.
pub(crate) const EVERY: u64 = 30 * 86_400;
/// KiB a second while others use the drives.
const SPEED: u32 = 40_000;

/// A comparison under way.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Run {
    /// Mirrors still to be compared; the first is under way.
    pub(crate) queue: Vec<String>,
    /// Whether the first was begun.
    pub(crate) begun: bool,
    /// Whether it is being made equal.
    pub(crate) repairing: bool,
}

/// What to do next.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Step {
    /// Nothing is due, or it goes on by itself.
    Wait,
    /// Begin with the first of the queue.
    Begin(String),
    /// The first is done: so many sectors differed.
    Take(String, u64),
    /// All are done.
    Finish,
}

/// When the next comparison is due.
pub(crate) fn due(memory: &Memory) -> u64 {
    memory.compared.unwrap_or(memory.begun) + EVERY
}

/// Decides. Pure.
pub(crate) fn next(run: &Run, arrays: &BTreeMap<String, Running>) -> Step {
    let Some(name) = run.queue.first() else { return Step::Finish };
    let Some(array) = arrays.get(name) else { return Step::Take(name.clone(), 0) };
    match (run.begun, array.action.as_str()) {
        (false, "idle") if array.in_sync == array.wanted => Step::Begin(name.clone()),
        (false, _) | (true, "check" | "repair") => Step::Wait,
        (true, _) => Step::Take(name.clone(), array.mismatches),
    }
}

/// Takes in what was found on a mirror; true when it is to be made equal now.
pub(crate) fn take(memory: &mut Memory, active: &str, name: &str, mismatches: u64) -> bool {
    memory.differ.remove(name);
    let first = !memory.equalised.iter().any(|n| n == name) && name != active;
    if mismatches == 0 || first {
        if !memory.equalised.iter().any(|n| n == name) {
            memory.equalised.push(name.to_owned());
        }
        return mismatches > 0;
    }
    memory.differ.insert(name.to_owned(), mismatches);
    false
}

/// Begins the comparison of `name`, or making its halves equal.
///
/// # Errors
/// The kernel's.
pub(crate) fn begin(name: &str, repair: bool) -> std::io::Result<()> {
    let dir = md_sysfs::directory(&md::device(name)).ok_or(std::io::ErrorKind::NotFound)?;
    if repair { md_sysfs::start_repair(&dir, SPEED) } else { md_sysfs::start_check(&dir, SPEED) }
}

/// One turn: begins what is due, and takes in what is done.
pub(crate) fn turn(app: &App, keeper: &Keeper, running: &mut Option<Run>) {
    let arrays = observe::arrays();
    let (due, wanted) = {
        let mut shared = keeper.lock();
        let wanted = std::mem::take(&mut shared.compare_now);
        let whole = arrays.values().all(|a| a.in_sync == a.wanted && a.action == "idle");
        (whole && shared.memory.mirror && shared.memory.begun > 0 && now() >= due(&shared.memory), wanted)
    };
    if running.is_some() && arrays.values().any(|a| a.in_sync < a.wanted) {
        tracing::info!("not compared any further: a half is missing; it is done again when both are there");
        *running = None;
    }
    if running.is_none() && (due || wanted) {
        let queue = Array::ALL.iter().map(|array| array.name().to_owned()).collect();
        *running = Some(Run { queue, ..Run::default() });
        tracing::info!("comparing the halves of the mirrors");
    }
    let Some(run) = running else { return };
    match next(run, &arrays) {
        Step::Wait => {}
        Step::Begin(name) => {
            run.begun = true;
            if let Err(e) = begin(&name, false) {
                tracing::warn!(name, error = %e, "the halves cannot be compared");
                run.queue.remove(0);
                run.begun = false;
            }
        }
        Step::Take(name, mismatches) => {
            let active = if app.boot.as_ref().is_some_and(|b| b.slot == "b") {
                Array::SystemB
            } else {
                Array::SystemA
            };
            let mut repair = false;
            if !run.repairing {
                keeper.remember(|m| repair = take(m, active.name(), &name, mismatches));
                tracing::info!(name, mismatches, repair, "halves compared");
            }
            run.repairing = repair && begin(&name, true).is_ok();
            if !run.repairing {
                run.queue.remove(0);
                run.begun = false;
                if let Some(dir) = md_sysfs::directory(&md::device(&name)) {
                    let _ = md_sysfs::reset_speed(&dir); // the next sync is only slower than it could be
                }
            }
        }
        Step::Finish => {
            *running = None;
            keeper.remember(|memory| memory.compared = Some(now()));
        }
    }
    keeper.lock().comparing = running.is_some();
}

#[cfg(test)]
mod tests {
    use super::*;

    fn array(action: &str, mismatches: u64) -> Running {
        Running { wanted: 2, in_sync: 2, action: action.into(), mismatches, ..Running::default() }
    }

    #[test]
    fn mirrors_are_compared_one_after_the_other() {
        let run = |begun| Run { queue: vec!["maekin-a".into()], begun, repairing: false };
        let half = Running { in_sync: 1, ..array("idle", 0) };
        let a = || "maekin-a".to_owned();
        let rows = [
            ("begin", run(false), array("idle", 0), Step::Begin(a())),
            ("busy with something else", run(false), array("recover", 0), Step::Wait),
            ("degraded", run(false), half, Step::Wait),
            ("under way", run(true), array("check", 8), Step::Wait),
            ("being made equal", run(true), array("repair", 8), Step::Wait),
            ("done", run(true), array("idle", 8), Step::Take(a(), 8)),
            ("nothing left", Run::default(), array("idle", 0), Step::Finish),
        ];
        for (name, run, array, want) in rows {
            assert_eq!(next(&run, &BTreeMap::from([(a(), array)])), want, "{name}");
        }
        assert_eq!(next(&run(true), &BTreeMap::new()), Step::Take(a(), 0), "it stopped meanwhile");
    }

    #[test]
    fn what_was_never_written_may_differ_once() {
        let mut memory = Memory::default();
        let mut step = |name, n| (take(&mut memory, "maekin-a", name, n), memory.differ.clone());
        let none = BTreeMap::new();
        let differs = |name: &str, n| BTreeMap::from([(name.to_owned(), n)]);
        assert_eq!(step("maekin-a", 8), (false, differs("maekin-a", 8)), "the system in use counts at once");
        assert_eq!(step("maekin-a", 0), (false, none.clone()), "and is well again when it is");
        assert_eq!(step("maekin-state", 100), (true, none.clone()), "made equal");
        assert_eq!(step("maekin-state", 8), (false, differs("maekin-state", 8)), "and counts from then on");
        assert_eq!(step("maekin-state", 0), (false, none), "");
    }

    #[test]
    fn the_first_one_is_due_a_month_after_the_beginning() {
        let memory = Memory { begun: 100, ..Memory::default() };
        assert_eq!(due(&memory), 100 + EVERY);
        assert_eq!(due(&Memory { compared: Some(500), ..memory }), 500 + EVERY);
    }
}
