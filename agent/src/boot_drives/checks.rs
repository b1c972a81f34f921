//! What takes long: looking at every file of the EFI system partitions, at partition tables and boot entries, healing, and
//! comparing the halves. One thing after the other, in a thread of its own.

use std::fs;
use std::time::{Duration, Instant};

use maekin_api::boot_drives::{Esp, Heal, StartHeal, Tables};
use maekin_host::cmd::{Cmd, CmdError};
use maekin_host::file::{read_text, write_atomic};
use maekin_host::mount;
use maekin_rootfs::heal::{End, Findings};

use super::compare::{self, Run};
use super::heal::{self, Case, Decision};
use super::memory::{Healed, TrialRun};
use super::{Keeper, entries, look, trial, watch};
use crate::app::App;
use crate::clock::now;
use crate::errors::chain;

/// How long to wait for a wish at most; while a healing is followed, [`FOLLOW`].
const IDLE: Duration = Duration::from_secs(5);
const FOLLOW: Duration = Duration::from_secs(1);
/// From the agent's start to the first look: the node has more urgent things to do.
pub(super) const FIRST: Duration = Duration::from_secs(10);
/// Between two looks without a reason.
const DAILY: Duration = Duration::from_secs(86_400);
/// After a look that failed.
const AGAIN: Duration = Duration::from_secs(120);
/// How long a look may take: it reads the EFI system partitions.
const LOOK_LIMIT: Duration = Duration::from_secs(900);
/// What a healing says, bytes.
const SAID_LIMIT: u64 = 16 << 20;

/// A healing that is followed.
struct Healing {
    since: u64,
    action: String,
}

struct Worker<'a> {
    app: &'a App,
    keeper: &'a Keeper,
    healing: Option<Healing>,
    comparing: Option<Run>,
    findings: Option<Findings>,
}

/// Works for as long as the agent runs.
pub(crate) fn run(app: &App) {
    let keeper = &*app.boot_drives;
    let mut worker = Worker { app, keeper, healing: None, comparing: None, findings: None };
    worker.resume();
    loop {
        keeper.wait(if worker.healing.is_some() { FOLLOW } else { IDLE });
        worker.turn();
    }
}

impl Worker<'_> {
    fn turn(&mut self) {
        if self.healing.is_some() {
            self.follow();
        }
        if self.healing.is_none() {
            let due = self.keeper.lock().look.is_some_and(|at| at <= Instant::now());
            if due {
                self.look();
                self.decide();
            }
        }
        if self.healing.is_none() {
            compare::turn(self.app, self.keeper, &mut self.comparing);
            self.try_boot();
        }
    }

    /// Goes on with a healing that was begun by an agent that was restarted meanwhile.
    fn resume(&mut self) {
        if self.unit_runs() {
            self.healing = Some(Healing { since: now(), action: "healing".to_owned() });
            self.follow();
        }
    }

    /// Looks at everything.
    fn look(&mut self) {
        let disks = {
            let mut shared = self.keeper.lock();
            shared.look = Some(Instant::now() + DAILY);
            shared.looked = true;
            shared.seen.places.clone()
        };
        let install = self.app.config.install_id;
        let tables = [0, 1].map(|place| {
            disks[usize::from(place)].as_ref().map_or(Tables::Unknown, |d| look::tables(d, install, place))
        });
        let found = Cmd::new(&self.app.settings.installer)
            .args(["heal", "--json"])
            .limit(LOOK_LIMIT)
            .json::<Findings>();
        let findings = match found {
            Ok(findings) => Some(findings),
            Err(e) => {
                tracing::warn!(error = %chain(&e), "the boot drives were not looked at");
                let mut shared = self.keeper.lock();
                shared.unchecked = (shared.unchecked.0.saturating_add(1), chain(&e));
                shared.look = Some(Instant::now() + AGAIN);
                None
            }
        };
        let esp = findings
            .as_ref()
            .map_or_else(Default::default, |f| [0, 1].map(|place| look::esp(f, place, now())));
        // An entry for a drive whose loader is damaged would only lead astray.
        let sound = [0, 1]
            .map(|p| disks[p].clone().filter(|_| !matches!(esp[p], Esp::Damaged { .. } | Esp::Unknown)));
        let entries = entries::ensure(install, &sound);
        let mut shared = self.keeper.lock();
        if let Some(findings) = &findings {
            shared.installed_on = findings.drives.clamp(1, 2);
            shared.unchecked = (0, String::new());
            shared.esp = esp;
        }
        shared.tables = tables;
        shared.entries = entries;
        self.findings = findings;
    }

    fn decide(&mut self) {
        let Some(findings) = self.findings.take() else { return };
        let now = now();
        let (asked, decision) = {
            let mut shared = self.keeper.lock();
            let asked = shared.asked.take();
            let case = Case {
                policy: shared.memory.settings.heal,
                findings: &findings,
                asked: asked.as_ref(),
                last: shared.memory.healed.as_ref(),
                known: &shared.memory.known,
                failing: &shared.failing,
                now,
            };
            let decision = heal::decide(&case);
            (asked, decision)
        };
        let action = heal::action_name(findings.plan.action);
        tracing::info!(
            action,
            ?decision,
            by_hand = asked.is_some(),
            reason = findings.plan.reason,
            "looked at the boot drives"
        );
        match decision {
            Decision::Start(start) => return self.start(&start, action, now),
            Decision::Ask(state) | Decision::Stuck(state) => self.keeper.lock().heal = state,
            Decision::Later(next) => {
                let mut shared = self.keeper.lock();
                shared.look = Some(Instant::now() + Duration::from_secs(next.saturating_sub(now)));
                if let Some(last) = shared.memory.healed.clone() {
                    shared.heal = Heal::Failed { at: last.at, reason: last.error.unwrap_or_default(), next };
                }
            }
            Decision::Nothing => {
                let mut shared = self.keeper.lock();
                let done = shared.memory.healed.as_ref().filter(|last| last.error.is_none());
                shared.heal =
                    done.map_or(Heal::Idle, |last| Heal::Done { at: last.at, action: last.action.clone() });
            }
        }
        self.know(&findings);
    }

    /// Other drives that are there while nothing is missing are spares for something else.
    fn know(&self, findings: &Findings) {
        let expected = self.keeper.lock().installed_on;
        let whole =
            findings.places.iter().filter(|p| p.state == maekin_rootfs::heal::PlaceState::Whole).count();
        if whole >= expected {
            let names = findings.candidates.iter().map(heal::name).collect();
            self.keeper.remember(|memory| memory.known = names);
        }
    }

    fn start(&mut self, start: &StartHeal, action: String, now: u64) {
        let begun = heal::environment(start).and_then(|environment| {
            let run = &self.app.settings.run;
            // What is to be written to must not stay mounted for reading: the install master gets it from elsewhere.
            let disk = start.disk.clone().unwrap_or_default();
            for point in mount::mounts_of(|device| !disk.is_empty() && device.starts_with(&disk)) {
                if point.starts_with(run) && mount::detach(&point).or_else(|_| mount::let_go(&point)).is_err()
                {
                    tracing::warn!(point = %point.display(), "stays mounted while its drive is healed");
                }
            }
            let output = heal::output(run);
            if output.exists() {
                // What an earlier one said must not be taken for this one's words.
                fs::remove_file(&output).map_err(|e| format!("cannot remove {}: {e}", output.display()))?;
            }
            write_atomic(&run.join("heal.env"), environment.as_bytes(), 0o600).map_err(|e| chain(&e))?;
            self.systemctl(&["start", "--no-block", heal::UNIT]).map(drop).map_err(|e| chain(&e))
        });
        match begun {
            Ok(()) => {
                tracing::info!(action, disk = start.disk, "healing begun");
                self.keeper.lock().heal =
                    Heal::Running { step: "starting".to_owned(), percent: 0, since: now };
                self.healing = Some(Healing { since: now, action });
            }
            Err(error) => self.ended(&action, Some(format!("it could not be started: {error}"))),
        }
    }

    fn follow(&mut self) {
        let Some(healing) = &self.healing else { return };
        let (since, action) = (healing.since, healing.action.clone());
        let read = || read_text(&heal::output(&self.app.settings.run), SAID_LIMIT).unwrap_or_default();
        let mut said = heal::parse_said(&read());
        if said.end.is_none() && !self.unit_runs() {
            // Its last line may have come between the two looks.
            said = heal::parse_said(&read());
            let reason = "it ended without a word; see `journalctl -u maekin-heal`".to_owned();
            said.end.get_or_insert(End::Failed { error: reason });
        }
        match said.end {
            None => self.keeper.lock().heal = Heal::Running { step: said.step, percent: said.percent, since },
            Some(End::Ok) => self.ended(&action, None),
            Some(End::Failed { error }) => self.ended(&action, Some(error)),
        }
    }

    /// A healing is over; everything is looked at again at once, for there may be more to do.
    fn ended(&mut self, action: &str, error: Option<String>) {
        self.healing = None;
        let at = now();
        match &error {
            None => tracing::info!(action, "healed"),
            Some(error) => tracing::error!(action, error, "healing failed"),
        }
        self.keeper.remember(|memory| {
            let before = memory.healed.as_ref().filter(|h| h.error.is_some()).map_or(0, |h| h.failures);
            let failures = if error.is_some() { before + 1 } else { 0 };
            if error.is_none() && matches!(action, "rebuild" | "add-mirror") {
                memory.differ.clear(); // one half was just copied from the other
            }
            memory.healed = Some(Healed { at, action: action.to_owned(), error, failures });
        });
        self.keeper.lock().look = Some(Instant::now());
        let mut shared = self.keeper.lock();
        shared.heal = match shared.memory.healed.clone() {
            Some(last @ Healed { error: Some(_), .. }) => {
                Heal::Failed { at, next: heal::next_try(&last), reason: last.error.unwrap_or_default() }
            }
            _ => Heal::Done { at, action: action.to_owned() },
        };
    }

    /// Restarts into the other drive, where that is due.
    fn try_boot(&self) {
        let place = {
            let mut shared = self.keeper.lock();
            let wanted = std::mem::take(&mut shared.try_now);
            trial::plan(&shared.memory, &shared.report, watch::uefi(self.app), wanted, now())
        };
        let Some(place) = place else { return };
        let run = TrialRun { at: now(), place, boot_id: watch::boot_id() };
        // Noted first: a start that nobody knows the reason of would be no trial.
        self.keeper.remember(|memory| memory.trial = Some(run));
        let restart = || self.systemctl(&["reboot"]).map(drop).map_err(|e| chain(&e));
        match trial::begin(self.app.config.install_id, place).and_then(|()| restart()) {
            Ok(()) => tracing::warn!(drive = place + 1, "trial boot: restarting"),
            Err(error) => {
                tracing::error!(drive = place + 1, error, "no trial boot");
                self.keeper.remember(|memory| memory.trial = None);
            }
        }
    }

    fn unit_runs(&self) -> bool {
        let state = self.systemctl(&["show", "--property=ActiveState", "--value", heal::UNIT]);
        state
            .is_ok_and(|state| matches!(state.trim(), "active" | "activating" | "deactivating" | "reloading"))
    }

    fn systemctl(&self, args: &[&str]) -> Result<String, CmdError> {
        Cmd::new(&self.app.settings.systemctl).args(args).text()
    }
}

#[cfg(test)]
mod tests;
