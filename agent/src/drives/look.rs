//! The thread that looks. It sleeps until the kernel tells of a block device, and looks then only where something may be
//! another: a drive that came or went, or whose size or partitions changed. Once an hour it looks at all of them, and
//! asks each for its health. What costs a process is asked of drives that nobody uses; those that the node starts from are
//! watched elsewhere ([`crate::boot_drives`]).

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use maekin_host::cmd::Cmd;
use maekin_host::events::Events;
use maekin_host::smart::{self, Ask, Smart};
use maekin_rootfs::drives::{FORMAT, Findings, Found};

use super::observe::{self, Seen, kernel_name};
use super::plan::Boot;
use super::share;
use crate::app::App;
use crate::errors::chain;

/// From when the node is a member to the first look: it, and others that start with it, have more urgent things to do.
const FIRST: Duration = Duration::from_secs(30);
/// How long the thread sleeps where nobody tells it anything. Then it sees only whether an hour is over, and how the boot
/// drives are.
const SLICE: Duration = Duration::from_secs(60);
/// How long a drive has to be left alone after it came, and how long that is waited for at most.
const SETTLE: Duration = Duration::from_secs(2);
const SETTLED: Duration = Duration::from_secs(20);
/// The same while a boot drive is missing: one that came may be meant for its place, and whoever makes it one has it for
/// himself.
const HEALER_FIRST: Duration = Duration::from_secs(15);
/// Between two looks at everything.
const HOUR: Duration = Duration::from_secs(3600);
/// Between two looks at drives that nobody uses, where the kernel tells of block devices again and again and neither sizes
/// nor partitions change: somebody may have made a file system.
const TOUCH: Duration = Duration::from_secs(300);
/// How soon a look that failed is tried again.
const AGAIN: Duration = Duration::from_secs(120);
/// How long the look at what is on drives may take.
const LIMIT: Duration = Duration::from_secs(300);
/// Most bytes of what it says.
const SAID: usize = 4 << 20;

/// Looks for as long as the agent runs.
pub(super) fn run(app: &App) {
    let mut events = Events::open_with_waker().map_or_else(
        |e| {
            tracing::warn!(error = %e, "whoever wants the drives looked at waits up to a minute");
            Events::open()
        },
        |(events, waker)| {
            app.drives.lock().waker = Some(waker);
            events
        },
    );
    let mut eyes = Eyes { news: true, ..Eyes::default() };
    let born = Instant::now();
    while born.elapsed() < FIRST {
        events.wait(FIRST.saturating_sub(born.elapsed()));
    }
    let mut boot = Boot::default();
    loop {
        // The boot mirror comes before storage: when it is whole again, what waited for that is decided anew.
        let next = share::boot(&app.boot_drives.report());
        if std::mem::replace(&mut boot, next) != next {
            app.drives.news.notify_one();
        }
        if boot.healing {
            // Whoever writes partitions wants the drive for himself, and a look would be in his way.
            eyes.heard(events.wait(SLICE));
            continue;
        }
        let turn = eyes.turn(Instant::now(), &observe::prints(Path::new("/sys")), app.drives.wanted());
        if let Some(turn) = turn {
            eyes.look(app, &turn);
        }
        let heard = events.wait(SLICE);
        eyes.heard(heard);
        let begun = Instant::now();
        let quiet = if boot.lacks { HEALER_FIRST } else { SETTLE };
        while heard && begun.elapsed() < SETTLED && events.wait(quiet) {}
    }
}

/// What is looked at.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Turn {
    /// All drives, and their health.
    all: bool,
    /// Those that nobody uses.
    idle: bool,
    /// Kernel names of those that may be others.
    changed: BTreeSet<String>,
    /// Drives that sleep are left asleep: nobody wants the look, and the kernel told of nothing.
    gentle: bool,
}

/// What the thread remembers.
#[derive(Debug, Default)]
struct Eyes {
    /// The kernel told of a block device since those were looked at that nobody uses.
    news: bool,
    /// Ids of those that somebody held at the last look.
    held: BTreeSet<String>,
    prints: BTreeMap<String, String>,
    /// When all were looked at.
    all: Option<Instant>,
    /// When those were that nobody uses.
    idle: Option<Instant>,
    /// Not before: the last look failed.
    after: Option<Instant>,
    /// What is on drives, by id.
    found: BTreeMap<String, Found>,
    /// What they say of their health, by id.
    smart: BTreeMap<String, Smart>,
    /// Those that were asked for it, by id.
    asked: BTreeSet<String>,
    /// Ids of those that slept when they were asked.
    asleep: BTreeSet<String>,
}

impl Eyes {
    /// Whether the kernel told of a block device. That it did is remembered until it is looked.
    fn heard(&mut self, news: bool) {
        self.news |= news;
    }

    /// What to look at now, if anything. `wanted`: somebody wants a look. Pure.
    fn turn(&self, now: Instant, prints: &BTreeMap<String, String>, wanted: bool) -> Option<Turn> {
        if self.after.is_some_and(|after| now < after) && !wanted {
            return None;
        }
        let since = |at: Option<Instant>| at.map(|at| now.saturating_duration_since(at));
        let all = wanted || since(self.all).is_none_or(|since| since >= HOUR);
        let idle = all || (self.news && since(self.idle).is_none_or(|since| since >= TOUCH));
        let other = |(name, print): &(&String, &String)| self.prints.get(*name) != Some(*print);
        let changed: BTreeSet<String> = prints.iter().filter(other).map(|(name, _)| name.clone()).collect();
        let gone = self.prints.keys().any(|name| !prints.contains_key(name));
        (all || idle || gone || !changed.is_empty()).then_some(Turn {
            all,
            idle,
            changed,
            gentle: !wanted && !self.news,
        })
    }

    /// Whether what is on a drive is looked at.
    fn wants(&self, turn: &Turn, seen: &Seen) -> bool {
        let new = !self.found.contains_key(&seen.id) || turn.changed.contains(&kernel_name(&seen.device));
        // Whoever held it may have written to it, and what is known of it is of before then.
        let new = new || (self.held.contains(&seen.id) && seen.held.is_empty());
        let asleep = turn.gentle && self.asleep.contains(&seen.id);
        seen.boot.is_none() && (new || (turn.idle && seen.held.is_empty() && !asleep))
    }

    fn look(&mut self, app: &App, turn: &Turn) {
        let now = Instant::now();
        // Before the look: what changes meanwhile is seen at the next one.
        let prints = observe::prints(Path::new("/sys"));
        let mut seen = match observe::drives(app.config.install_id) {
            Ok(seen) => seen,
            Err(e) => {
                app.drives.missed();
                return self.failed(now, &chain(&e));
            }
        };
        let ids: BTreeSet<String> = seen.iter().map(|drive| drive.id.clone()).collect();
        self.found.retain(|id, _| ids.contains(id));
        self.smart.retain(|id, _| ids.contains(id));
        self.asked.retain(|id| ids.contains(id));
        // Before anything is read of them: whether they sleep.
        for drive in &seen {
            if (turn.all || !self.asked.contains(&drive.id)) && has_smart(drive) {
                self.ask(drive);
            }
        }
        let wanted: Vec<&Seen> = seen.iter().filter(|drive| self.wants(turn, drive)).collect();
        if !wanted.is_empty() {
            match contents(&app.settings.installer, &wanted) {
                Ok(found) => self.found.extend(found),
                Err(why) => {
                    // What was known of them may be so no more.
                    let doubted: Vec<String> = wanted.iter().map(|drive| drive.id.clone()).collect();
                    self.found.retain(|id, _| !doubted.contains(id));
                    self.failed(now, &why);
                }
            }
        }
        self.held =
            seen.iter().filter(|drive| !drive.held.is_empty()).map(|drive| drive.id.clone()).collect();
        for drive in &mut seen {
            drive.found = self.found.get(&drive.id).cloned().filter(|_| drive.boot.is_none());
            drive.smart = self.smart.get(&drive.id).cloned();
        }
        if self.after.is_none_or(|after| after <= now) {
            self.after = None;
            self.prints = prints;
            self.all = if turn.all { Some(now) } else { self.all };
            if turn.idle {
                self.idle = Some(now);
                self.news = false;
            }
        }
        app.drives.saw(seen);
    }

    fn failed(&mut self, now: Instant, why: &str) {
        tracing::warn!(error = why, "the drives were not looked at; it is tried again");
        self.after = Some(now + AGAIN);
    }

    /// One that sleeps, or gives no answer, is taken to be as it said last.
    fn ask(&mut self, drive: &Seen) {
        self.asked.insert(drive.id.clone());
        self.asleep.remove(&drive.id);
        match smart::ask(&drive.device, Ask::AllButSleeping) {
            Ok(Some(said)) => {
                self.smart.insert(drive.id.clone(), said);
            }
            // It has answered before: it sleeps, and a read would make it turn.
            Ok(None) if drive.rotational && self.smart.contains_key(&drive.id) => {
                self.asleep.insert(drive.id.clone());
            }
            Ok(None) => {}
            Err(e) => tracing::debug!(id = drive.id, error = %chain(&e), "no word on the health of a drive"),
        }
    }
}

/// Whether a drive is one that could say something of its health.
fn has_smart(drive: &Seen) -> bool {
    !["virtio", "usb"].contains(&drive.transport.as_str())
}

/// What is on these drives, by id.
fn contents(installer: &str, drives: &[&Seen]) -> Result<BTreeMap<String, Found>, String> {
    let devices = drives.iter().map(|drive| drive.device.as_path());
    let cmd = Cmd::new(installer).args(["drives", "--json"]).args(devices).limit(LIMIT).most(SAID);
    let findings: Findings = cmd.json().map_err(|e| chain(&e))?;
    if findings.format != FORMAT {
        return Err(format!("`{}` answers in format {}, and {FORMAT} is known", cmd.line(), findings.format));
    }
    Ok(matched(drives, findings))
}

/// Which of them is which: a device node may be another drive's by then, and that one is looked at next. Pure.
fn matched(drives: &[&Seen], findings: Findings) -> BTreeMap<String, Found> {
    let by_device: BTreeMap<&PathBuf, &&Seen> = drives.iter().map(|drive| (&drive.device, drive)).collect();
    let ids = findings.drives.into_iter().filter_map(|found| {
        let drive = by_device.get(&found.disk)?;
        let same = super::identity::told(&found.serial) == drive.serial
            && super::identity::told(&found.wwn) == drive.wwn
            && found.size == drive.size;
        same.then(|| (drive.id.clone(), found))
    });
    ids.collect()
}

#[cfg(test)]
mod tests;
