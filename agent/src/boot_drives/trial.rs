//! The trial boot of the drive that the node did not start from last: the only real proof that it can. UEFI only, by
//! `BootNext`, which holds for one start: whatever comes of it, the start after that goes by the normal order. BIOS has
//! nothing like it: which drive it tries is in its setup, so there a trial proves nothing that a comparison does not.

use maekin_api::boot_drives::{BootDrives, State, Trial, TrialPolicy, TrialResult};
use maekin_host::cmd::Cmd;
use uuid::Uuid;

use super::entries;
use super::memory::{Memory, TrialRun};

/// Between two trials, seconds.
const EVERY: u64 = 30 * 86_400;
/// They begin in this hour of the day, UTC: at night, or at least always at the same time.
const HOUR: u64 = 3;

/// What is said about it. Pure.
pub(crate) fn report(memory: &Memory, uefi: bool, drives: usize) -> Trial {
    let impossible = if !uefi {
        "BIOS cannot be told to start another drive once"
    } else if drives < 2 {
        "there is one boot drive only"
    } else {
        ""
    };
    let on = memory.settings.boot_trial == TrialPolicy::Monthly && impossible.is_empty();
    Trial { next: on.then(|| due(memory)), impossible: impossible.to_owned(), last: memory.tried.clone() }
}

/// When the next one is due. Pure.
fn due(memory: &Memory) -> u64 {
    let earliest = memory.tried.as_ref().map_or(memory.begun, |last| last.at) + EVERY;
    let hour = earliest - earliest % 86_400 + HOUR * 3600;
    if hour < earliest { hour + 86_400 } else { hour }
}

/// The place to try now, where one is due or `wanted`. Pure.
pub(crate) fn plan(memory: &Memory, boot: &BootDrives, uefi: bool, wanted: bool, now: u64) -> Option<u8> {
    let trial = report(memory, uefi, boot.drives.len());
    let is_due = wanted || trial.next.is_some_and(|next| now >= next && now < next + 3600);
    let possible = trial.impossible.is_empty() && boot.state == State::Whole && !boot.comparison.running;
    let other = 2 - boot.started_from.filter(|n| (1..=2).contains(n))?;
    (is_due && possible && memory.trial.is_none()).then_some(other)
}

/// Tells the firmware to start the drive in `place` next.
///
/// # Errors
/// Why not.
pub(crate) fn begin(install: Uuid, place: u8) -> Result<(), String> {
    let text = |e| crate::errors::chain(&e);
    let number = entries::number(&entries::read(), install, place)
        .ok_or_else(|| format!("the firmware has no boot entry for boot drive {}", place + 1))?;
    Cmd::new("efibootmgr").args(["--quiet", "--bootnext", &format!("{number:04X}")]).run().map_err(text)
}

/// Takes in how a trial went, in the start after it. Pure.
pub(crate) fn conclude(memory: &mut Memory, boot_id: &str, started_from: Option<u8>, now: u64) {
    if let Some(TrialRun { place, .. }) = memory.trial.take_if(|run| run.boot_id != boot_id) {
        let passed = started_from == Some(place);
        memory.tried = Some(TrialResult { at: now, number: place + 1, passed });
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use maekin_api::boot_drives::{Drive, Settings};

    const DAY: u64 = 86_400;

    fn memory(policy: TrialPolicy) -> Memory {
        let settings = Settings { boot_trial: policy, ..Settings::default() };
        Memory { begun: 100 * DAY + 7, settings, ..Memory::default() }
    }

    fn boot(state: State, started_from: Option<u8>) -> BootDrives {
        let drives = vec![Drive::default(), Drive::default()];
        BootDrives { state, drives, started_from, ..BootDrives::default() }
    }

    #[test]
    fn the_other_drive_is_tried_once_a_month_while_all_is_well() {
        let on = memory(TrialPolicy::Monthly);
        let next = 130 * DAY + 3 * 3600;
        assert_eq!(report(&on, true, 2).next, Some(next));
        let under_way = Memory {
            trial: Some(TrialRun { at: 1, place: 1, boot_id: "x".into() }),
            ..memory(TrialPolicy::Monthly)
        };
        let off = memory(TrialPolicy::Off);
        let well = |from| boot(State::Whole, Some(from));
        let rows = [
            ("due", &on, well(1), true, false, next, Some(1)),
            ("due, from the second", &on, well(2), true, false, next, Some(0)),
            ("not yet", &on, well(1), true, false, next - 1, None),
            ("the night is over", &on, well(1), true, false, next + 3600, None),
            ("switched off", &off, well(1), true, false, next, None),
            ("switched off, and a person wants it", &off, well(1), true, true, 5, Some(1)),
            ("BIOS", &on, well(1), false, true, next, None),
            ("degraded", &on, boot(State::Degraded, Some(1)), true, true, next, None),
            ("not known where it started from", &on, boot(State::Whole, None), true, true, next, None),
            ("one is under way", &under_way, well(1), true, true, next, None),
        ];
        for (name, memory, boot, uefi, wanted, now, want) in rows {
            assert_eq!(plan(memory, &boot, uefi, wanted, now), want, "{name}");
        }
    }

    #[test]
    fn a_trial_is_judged_by_the_start_after_it() {
        for (from, passed) in [(Some(1), true), (Some(0), false), (None, false)] {
            let mut memory = memory(TrialPolicy::Monthly);
            memory.trial = Some(TrialRun { at: 1, place: 1, boot_id: "old".into() });
            conclude(&mut memory, "old", Some(0), 5);
            assert_eq!(memory.tried, None, "the agent restarted, not the machine");
            conclude(&mut memory, "new", from, 6);
            assert_eq!(memory.tried, Some(TrialResult { at: 6, number: 2, passed }));
            assert_eq!(memory.trial, None);
        }
    }
}
