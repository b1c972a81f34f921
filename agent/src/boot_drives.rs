//! The boot drives of this node: watched all the time, judged, told, and made whole again with no command typed.
//!
//! Two threads share [`Keeper`]: one watches ([`watch`], never longer than a moment, so that an alarm is never late), the
//! other does what takes long ([`checks`]). Neither writes to a drive: `maekin-installer heal` does, as a unit of its own.
//!
//! | module | job |
//! | --- | --- |
//! | [`observe`] | what drives and arrays there are |
//! | [`pulse`] | whether a drive answers |
//! | [`judge`] | from what was seen to what is said (pure) |
//! | [`alarms`] | since when it is so (pure) |
//! | [`watch`] | the loop of all that |
//! | [`halves`] | what the halves in use say about the drives (pure) |
//! | [`checks`] | the loop of what takes long: files, tables, boot entries, healing, comparing |
//! | [`look`] | what a thorough look at a drive says |
//! | [`heal`] | what is done about a drive that is not whole (pure), and the words of the healing |
//! | [`entries`] | boot entries of UEFI firmware |
//! | [`compare`] | the halves compared once a month |
//! | [`proof`] | which drive this boot was started from |
//! | [`trial`] | the trial boot of the other drive |
//! | [`memory`] | what is remembered across restarts |

pub(crate) mod alarms;
mod checks;
mod compare;
mod entries;
mod halves;
mod heal;
mod judge;
mod look;
mod memory;
mod observe;
mod proof;
mod pulse;
mod trial;
mod watch;

use std::path::PathBuf;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use maekin_api::boot_drives::{BootDrives, Esp, Heal, Settings, StartHeal, Tables};

use uuid::Uuid;

use self::entries::Checked;
use self::memory::Memory;
use self::observe::Seen;
use crate::app::App;
use crate::errors::chain;
pub(crate) use watch::boot_id;

/// How long drives are left to settle after one came or went before everything is looked at.
const SETTLE: Duration = Duration::from_secs(3);

/// What both threads and the API share.
#[derive(Debug)]
pub(crate) struct Keeper {
    state: PathBuf,
    born: Instant,
    shared: Mutex<Shared>,
    wake: Condvar,
}

/// See [`Keeper`].
#[derive(Debug, Default)]
struct Shared {
    memory: Memory,
    report: BootDrives,
    /// What the watcher saw last.
    seen: Seen,
    /// Device nodes of drives that do not answer.
    failing: Vec<String>,
    /// On how many drives the node file has the node.
    installed_on: usize,
    esp: [Esp; 2],
    tables: [Tables; 2],
    entries: Checked,
    heal: Heal,
    comparing: bool,
    /// When to look at everything next.
    look: Option<Instant>,
    /// Everything was looked at since the agent started.
    looked: bool,
    /// What a person said about healing.
    asked: Option<StartHeal>,
    /// Looks in a row that failed, and why the last one did.
    unchecked: (u32, String),
    /// A person wants the halves compared now.
    compare_now: bool,
    /// A person wants a trial boot now.
    try_now: bool,
}

impl Shared {
    /// Everything is looked at once what came or went has settled. The first look sees all that came before it: a start
    /// has one look, and not one more for each thing that appears.
    fn look_after_change(&mut self, now: Instant) {
        let soon = now + SETTLE;
        self.look = Some(if self.looked { soon } else { self.look.map_or(soon, |first| first.max(soon)) });
    }
}

impl Keeper {
    /// A keeper that has seen nothing yet.
    pub(crate) fn new(state: &std::path::Path, installed_on: usize) -> Self {
        let memory = Memory::load(state);
        let report = BootDrives { settings: memory.settings, ..BootDrives::default() };
        let shared = Shared { memory, report, installed_on, ..Shared::default() };
        Self {
            state: state.to_owned(),
            born: Instant::now(),
            shared: Mutex::new(shared),
            wake: Condvar::new(),
        }
    }

    /// What is said.
    pub(crate) fn report(&self) -> BootDrives {
        self.lock().report.clone()
    }

    /// Does from now on as a person wants it done.
    ///
    /// # Errors
    /// When it cannot be written down; then nothing has changed.
    pub(crate) fn set(&self, settings: Settings) -> Result<(), maekin_host::file::FileError> {
        let mut shared = self.lock();
        let memory = Memory { settings, ..shared.memory.clone() };
        memory.save(&self.state)?;
        shared.memory = memory;
        shared.report.settings = settings;
        shared.look = Some(Instant::now());
        self.wake.notify_all();
        Ok(())
    }

    /// Heals as a person said.
    ///
    /// # Errors
    /// Why not, where that is known at once.
    pub(crate) fn ask(&self, start: StartHeal) -> Result<(), String> {
        heal::environment(&start)?;
        let mut shared = self.lock();
        if matches!(shared.heal, Heal::Running { .. }) {
            return Err("a drive is being healed already; wait until it is done".to_owned());
        }
        shared.asked = Some(start);
        shared.look = Some(Instant::now());
        self.wake.notify_all();
        Ok(())
    }

    /// Compares the halves now.
    pub(crate) fn compare(&self) {
        self.lock().compare_now = true;
        self.wake.notify_all();
    }

    /// Tries the other drive now: the node restarts.
    ///
    /// # Errors
    /// Why not.
    pub(crate) fn try_boot(&self) -> Result<(), String> {
        let mut shared = self.lock();
        let trial = &shared.report.trial;
        if !trial.impossible.is_empty() {
            return Err(trial.impossible.clone());
        }
        if trial::plan(&shared.memory, &shared.report, true, true, 0).is_none() {
            return Err("the boot drives are not whole, or something is being done to them".to_owned());
        }
        shared.try_now = true;
        self.wake.notify_all();
        Ok(())
    }

    fn lock(&self) -> MutexGuard<'_, Shared> {
        self.shared.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Changes what is remembered, and writes it down where that changed anything.
    fn remember(&self, change: impl FnOnce(&mut Memory)) {
        let mut shared = self.lock();
        let before = shared.memory.clone();
        change(&mut shared.memory);
        if shared.memory != before
            && let Err(e) = shared.memory.save(&self.state)
        {
            tracing::warn!(error = %chain(&e), "what is known of the boot drives was not written down");
        }
    }

    /// Waits for a wish, at most `limit`.
    fn wait(&self, limit: Duration) {
        let shared = self.lock();
        let wish = |s: &mut Shared| {
            s.asked.is_none() && !s.compare_now && !s.try_now && s.look.is_none_or(|at| at > Instant::now())
        };
        drop(self.wake.wait_timeout_while(shared, limit, wish));
    }
}

/// The place that this boot was started from, by the kernel's command line.
pub(crate) fn started_from(install: Uuid) -> Option<u8> {
    proof::started_from(&std::fs::read_to_string("/proc/cmdline").unwrap_or_default(), install)
}

/// Starts both threads, on an installed node.
pub(crate) fn start(app: &Arc<App>) {
    if app.boot.is_none() {
        return; // not on an installed node: there are no boot drives of ours
    }
    app.boot_drives.lock().look = Some(Instant::now() + checks::FIRST);
    spawn(app, "boot-drives", watch::run);
    spawn(app, "boot-checks", checks::run);
}

fn spawn(app: &Arc<App>, name: &str, work: fn(&App)) {
    let app = Arc::clone(app);
    if let Err(e) = thread::Builder::new().name(name.to_owned()).spawn(move || work(&app)) {
        tracing::error!(error = %e, name, "the boot drives are not looked after: no thread");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_start_has_one_look_and_each_change_after_it_another() {
        let now = Instant::now();
        let in_secs = |s| Some(now + Duration::from_secs(s));
        let rows = [
            ("before the first look, long", false, in_secs(10), in_secs(10)),
            ("right before the first look", false, in_secs(1), in_secs(3)),
            ("nothing was planned", false, None, in_secs(3)),
            ("since", true, in_secs(86_400), in_secs(3)),
        ];
        for (name, looked, look, want) in rows {
            let mut shared = Shared { looked, look, ..Shared::default() };
            shared.look_after_change(now);
            assert_eq!(shared.look, want, "{name}");
        }
    }
}
