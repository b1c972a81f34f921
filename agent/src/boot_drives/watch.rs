//! The watcher: wakes by the kernel's word or once a second, looks, judges, tells. Nothing here takes longer than a moment.

use std::fs;
use std::path::Path;
use std::time::{Duration, Instant};

use maekin_api::alarm::Severity;
use maekin_api::boot_drives::{Comparison, Drive, HalfState, Proof};
use maekin_host::events::Events;
use maekin_host::md_sysfs;
use maekin_host::{md, mount};
use maekin_rootfs::boot_state::Firmware;
use maekin_rootfs::node::BootDisk;
use uuid::Uuid;

use super::halves::{leaves_out, lost};
use super::judge::{Inputs, judge};
use super::observe::{self, Disk, Seen};
use super::pulse::{Pulse, Reader};
use super::{Keeper, Shared, alarms, compare, proof, trial};
use crate::app::App;
use crate::clock::now;
use crate::errors::chain;

/// How often it is looked without a reason: this long after a drive has stopped answering, at most.
const TICK: Duration = Duration::from_secs(1);
/// How often drives are listed without a reason.
const LIST: Duration = Duration::from_secs(60);
/// How often they are listed while something happens to block devices all the time.
const NEWS: Duration = Duration::from_secs(3);
/// How long a list that leaves out drives the node runs from is asked for again before it is believed: at the start udev
/// may still be naming them.
const NAMING: Duration = Duration::from_secs(120);
/// Looks at a drive that fails before the mirrors give it up.
const PATIENCE: u32 = 3;

/// Watches for as long as the agent runs.
pub(crate) fn run(app: &App) {
    let install = app.config.install_id;
    let mut events = Events::open();
    let mut watcher = Watcher::default();
    let (start, mut listed) = (Instant::now(), Listed::default());
    loop {
        let names = observe::names();
        let changed = observe::other_drives(&names, &watcher.seen.names);
        if watcher.take_names(names) {
            watcher.look(app); // told before anything that takes longer
        }
        if changed || listed.due(Instant::now()) {
            let believed = watcher.list(install, start.elapsed() > NAMING);
            listed = Listed { at: Some(Instant::now()), news: !believed };
        }
        watcher.look(app);
        if changed {
            app.boot_drives.lock().look_after_change(Instant::now());
        }
        listed.news |= events.wait(TICK);
    }
}

/// The list of drives that there is.
#[derive(Debug, Clone, Copy, Default)]
struct Listed {
    at: Option<Instant>,
    /// Something has happened to a block device since.
    news: bool,
}

impl Listed {
    /// Whether the drives are to be listed again. While udev goes through all that there is, news come by the dozen. Pure.
    fn due(self, now: Instant) -> bool {
        let age = self.at.map(|at| now.saturating_duration_since(at));
        age.is_none_or(|age| age > LIST || self.news && age >= NEWS)
    }
}

#[derive(Default)]
struct Watcher {
    seen: Seen,
    /// A list of drives was believed once: before that nothing is said of them.
    known: bool,
    readers: [Option<Reader>; 2],
    /// Looks in a row at which a drive failed.
    failing: [u32; 2],
}

impl Watcher {
    /// A drive whose name is gone is gone, whatever else takes its time; true when that is so of one.
    fn take_names(&mut self, names: Vec<String>) -> bool {
        let before = self.seen.places.iter().flatten().count();
        for place in &mut self.seen.places {
            if place.as_ref().is_some_and(|disk| !names.contains(&disk.name())) {
                *place = None;
            }
        }
        self.seen.names = names;
        self.seen.places.iter().flatten().count() < before
    }

    /// Lists the drives; false when that is to be tried again soon.
    fn list(&mut self, install: Uuid, believe: bool) -> bool {
        let places = match observe::drives(install) {
            Ok(places) => places,
            Err(e) => {
                tracing::warn!(error = %chain(&e), "the drives cannot be listed");
                return true;
            }
        };
        if !believe {
            self.seen.arrays = observe::arrays();
            if leaves_out(&places, &self.seen) {
                return false;
            }
        }
        self.seen.places = places;
        self.known = true;
        true
    }

    fn look(&mut self, app: &App) {
        if !self.known {
            return;
        }
        self.seen.arrays = observe::arrays();
        let pulses = self.pulses();
        for (place, pulse) in pulses.iter().enumerate() {
            let failing = matches!(pulse, Pulse::Failing(_));
            self.failing[place] = if failing { self.failing[place].saturating_add(1) } else { 0 };
        }
        self.give_up(&app.settings.run);
        let failing = self.seen.places.iter().zip(&pulses).filter_map(|(disk, pulse)| {
            let bad = matches!(pulse, Pulse::Failing(_) | Pulse::Silent(_));
            disk.as_ref().filter(|_| bad).map(|disk| disk.device.display().to_string())
        });
        let failing = failing.collect();
        tell(app, &self.seen, pulses, failing);
    }

    fn pulses(&mut self) -> [Pulse; 2] {
        for (reader, disk) in self.readers.iter_mut().zip(&self.seen.places) {
            let device = disk.as_ref().map(|d| d.device.as_path());
            if reader.as_ref().map(Reader::device) != device {
                *reader = disk.as_ref().map(|d| Reader::start(&d.device, d.size));
            }
        }
        [0, 1].map(|place| self.readers[place].as_ref().map_or(Pulse::Unknown, Reader::pulse))
    }

    /// Takes halves that are gone, or that fail, out of their mirrors, and lets go of what is mounted from them. An idle
    /// mirror would go on believing in a drive that is not there, and the drive's place could not be filled.
    fn give_up(&self, run: &Path) {
        let dead: Vec<&Disk> = (0..2)
            .filter(|p| self.failing[*p] >= PATIENCE)
            .filter_map(|p| self.seen.places[p].as_ref())
            .collect();
        for (array, member) in lost(&self.seen, &dead) {
            let Some(dir) = md_sysfs::directory(&md::device(&array)) else { continue };
            match md_sysfs::give_up(&dir, &member) {
                Ok(()) => tracing::warn!(array, member, "taken out of its mirror"),
                Err(e) => tracing::debug!(array, member, error = %e, "not taken out of its mirror yet"),
            }
        }
        let gone = |device: &str| {
            let Some(name) = device.strip_prefix("/dev/") else { return false };
            let part_of = |disk: &&Disk| disk.has_part(name);
            !name.contains('/') && (!self.seen.names.iter().any(|n| n == name) || dead.iter().any(part_of))
        };
        for point in mount::mounts_of(gone).into_iter().filter(|point| point.starts_with(run)) {
            if let Err(e) = mount::let_go(&point) {
                tracing::debug!(error = %chain(&e), "a dead drive stays mounted");
            }
        }
    }
}

/// Judges what was seen, and tells.
fn tell(app: &App, seen: &Seen, pulses: [Pulse; 2], failing: Vec<String>) {
    let keeper = &app.boot_drives;
    let now = now();
    learn(app, keeper, seen, now);
    let mut shared = keeper.lock();
    let notes = app
        .boot
        .as_ref()
        .map(|boot| [boot.notes.as_slice(), boot.suspicions.as_slice()].concat())
        .unwrap_or_default();
    let (mut report, found) = judge(&Inputs {
        expected: if shared.memory.mirror { 2 } else { shared.installed_on.clamp(1, 2) },
        seen,
        pulses,
        memory: &shared.memory,
        esp: shared.esp.clone(),
        tables: shared.tables.clone(),
        entries: shared.entries.entries,
        entry: shared.entries.entry,
        heal: shared.heal.clone(),
        comparison: comparison(&shared),
        trial: trial::report(&shared.memory, uefi(app), seen.places.iter().flatten().count()),
        started_from: app.started_from,
        // The first time may be a healing by hand that is under way.
        unchecked: if shared.unchecked.0 > 1 { &shared.unchecked.1 } else { "" },
        notes: &notes,
    });
    let mut since = shared.memory.alarms.clone();
    let change = alarms::follow(&mut since, found, now);
    report.alarms = change.alarms;
    for alarm in report.alarms.iter().filter(|a| change.raised.contains(&a.id)) {
        let (id, what, remedy) = (&alarm.id, &alarm.what, &alarm.remedy);
        match alarm.severity {
            Severity::Critical => tracing::error!(alarm = id, "ALARM: {what} {remedy}"),
            Severity::Warning => tracing::warn!(alarm = id, "ALARM: {what} {remedy}"),
        }
    }
    for id in &change.cleared {
        tracing::info!(alarm = id, "alarm over");
    }
    if shared.report.state != report.state {
        tracing::info!(state = ?report.state, "boot drives");
    }
    let degraded = |s: &Seen| s.arrays.values().map(|a| a.in_sync).collect::<Vec<_>>();
    if degraded(&shared.seen) != degraded(seen) {
        shared.look_after_change(Instant::now());
    }
    shared.report = report;
    shared.seen = seen.clone();
    shared.failing = failing;
    drop(shared);
    keeper.remember(|memory| memory.alarms = since);
}

fn comparison(shared: &Shared) -> Comparison {
    Comparison {
        last: shared.memory.compared,
        next: shared.memory.mirror.then(|| compare::due(&shared.memory)),
        running: shared.comparing,
        differ: shared.memory.differ.clone().into_iter().collect(),
    }
}

/// Remembers what is learnt from this look.
fn learn(app: &App, keeper: &Keeper, seen: &Seen, now: u64) {
    let complete = |drive: &&Drive| {
        drive.device.is_some() && drive.halves.iter().all(|half| half.state == HalfState::InSync)
    };
    let drives = keeper.report().drives;
    let whole: Vec<u8> = drives.iter().filter(complete).map(|drive| drive.number - 1).collect();
    let arrays = app.boot.iter().flat_map(|boot| boot.arrays.values());
    let members: Vec<String> = arrays.flat_map(|array| array.members.clone()).collect();
    keeper.remember(|memory| {
        if memory.begun == 0 {
            memory.begun = now;
        }
        trial::conclude(memory, &boot_id(), app.started_from, now);
        memory.mirror |= whole.len() == 2;
        for (place, disk) in (0_u8..).zip(&seen.places) {
            let Some(disk) = disk else { continue };
            if whole.contains(&place) || !memory.seen.contains_key(&place) {
                let (serial, model) = (disk.serial.clone(), disk.model.clone());
                memory.seen.insert(place, BootDisk { serial, model, size: disk.size });
            }
        }
        let Some(place) = app.started_from else { return };
        let disk = seen.places[usize::from(place)].as_ref();
        match (proof::judge(disk, &members, keeper.born.elapsed()), disk) {
            (proof::Verdict::Proved, Some(disk)) => {
                let version = app.boot.as_ref().map(|boot| boot.version.clone()).unwrap_or_default();
                let at = now.saturating_sub(crate::node_info::uptime_s());
                proof::note(memory, &boot_id(), place, &disk.serial, Proof { at, version });
            }
            (proof::Verdict::Unknown, _) => memory.proved_boot = boot_id(),
            _ => {}
        }
    });
}

/// Whether this start went by UEFI.
pub(crate) fn uefi(app: &App) -> bool {
    app.boot.as_ref().is_some_and(|boot| boot.firmware == Firmware::Uefi)
}

/// Names this very start.
pub(crate) fn boot_id() -> String {
    fs::read_to_string("/proc/sys/kernel/random/boot_id").unwrap_or_default().trim().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn drives_are_listed_for_news_but_not_for_each() {
        let now = Instant::now() + LIST + LIST;
        let ago = |s| Some(now - Duration::from_secs(s));
        let rows = [
            ("never yet", Listed { at: None, news: false }, true),
            ("just now, and there is more news", Listed { at: ago(1), news: true }, false),
            ("news that are not looked at yet", Listed { at: ago(3), news: true }, true),
            ("nothing happened", Listed { at: ago(3), news: false }, false),
            ("nothing happened for long", Listed { at: ago(61), news: false }, true),
        ];
        for (name, listed, want) in rows {
            assert_eq!(listed.due(now), want, "{name}");
        }
    }

    #[test]
    fn a_drive_whose_name_is_gone_is_gone() {
        let mut watcher = Watcher::default();
        watcher.seen.places[0] = Some(Disk { device: "/dev/vda".into(), ..Disk::default() });
        assert!(!watcher.take_names(vec!["vda".into(), "vdb".into()]));
        assert!(watcher.seen.places[0].is_some());
        assert!(watcher.take_names(vec!["vdb".into()]));
        assert!(watcher.seen.places[0].is_none());
    }
}
