//! From what was seen to what is said: the state of each drive, of all of it, and what is wrong. Pure.

use maekin_api::alarm::Severity;
use maekin_api::boot_drives::{
    BootDrives, Comparison, Drive, Entries, Esp, Half, HalfState, Heal, HealPolicy, State, Tables, Trial,
};
use maekin_api::node::Array;
use maekin_host::md_sysfs::{MemberState, Running};
use maekin_image::ids;
use maekin_rootfs::node::BootDisk;

use super::alarms::Found;
use super::memory::{Memory, proof_key};
use super::observe::{Disk, Seen};
use super::pulse::Pulse;

/// Everything that is judged.
#[derive(Debug, Clone)]
pub(crate) struct Inputs<'a> {
    /// On how many drives the node is meant to be.
    pub(crate) expected: usize,
    pub(crate) seen: &'a Seen,
    pub(crate) pulses: [Pulse; 2],
    pub(crate) memory: &'a Memory,
    pub(crate) esp: [Esp; 2],
    pub(crate) tables: [Tables; 2],
    pub(crate) entries: Entries,
    /// Whether the firmware has an entry for each place.
    pub(crate) entry: [Option<bool>; 2],
    pub(crate) heal: Heal,
    pub(crate) comparison: Comparison,
    pub(crate) trial: Trial,
    /// The place that this boot was started from.
    pub(crate) started_from: Option<u8>,
    /// Why nothing is known of files and the like; empty while it is.
    pub(crate) unchecked: &'a str,
    /// What the initrd wants known.
    pub(crate) notes: &'a [String],
}

/// What is said; its alarms are still without times, beside it.
pub(crate) fn judge(inputs: &Inputs<'_>) -> (BootDrives, Vec<Found>) {
    let shown = |place: &u8| {
        usize::from(*place) < inputs.expected || inputs.seen.places[usize::from(*place)].is_some()
    };
    let drives: Vec<Drive> = [0, 1].iter().filter(|p| shown(p)).map(|place| drive(inputs, *place)).collect();
    let found: Vec<Found> =
        drives.iter().flat_map(|drive| of_drive(inputs, drive)).chain(of_all(inputs, &drives)).collect();
    let arrays = inputs.seen.arrays.iter().map(|(name, running)| array(name, running)).collect();
    let report = BootDrives {
        state: state(inputs, &drives, &found),
        drives,
        arrays,
        started_from: inputs.started_from.map(|place| place + 1),
        entries: inputs.entries,
        heal: inputs.heal.clone(),
        comparison: inputs.comparison.clone(),
        trial: inputs.trial.clone(),
        settings: inputs.memory.settings,
        alarms: Vec::new(),
    };
    (report, found)
}

fn array(name: &str, running: &Running) -> Array {
    Array {
        name: name.to_owned(),
        wanted: running.wanted,
        in_sync: running.in_sync,
        action: running.action.clone(),
    }
}

fn drive(inputs: &Inputs<'_>, place: u8) -> Drive {
    let at = usize::from(place);
    let disk = inputs.seen.places[at].as_ref();
    let last = inputs.memory.seen.get(&place);
    let known = |pick: fn(&Disk) -> &String, old: fn(&BootDisk) -> &String| {
        disk.map(pick).or(last.map(old)).cloned().unwrap_or_default()
    };
    let serial = known(|d| &d.serial, |d| &d.serial);
    let halves = ids::Array::ALL.iter().map(|array| Half {
        array: array.name().to_owned(),
        state: half(inputs.seen.arrays.get(array.name()), disk, *array),
    });
    Drive {
        number: place + 1,
        model: known(|d| &d.model, |d| &d.model),
        size: disk.map(|d| d.size).or(last.map(|d| d.size)).unwrap_or_default(),
        device: disk.map(|d| d.device.display().to_string()),
        path: disk.map(|d| d.path.clone()).unwrap_or_default(),
        answers: disk.is_some() && !matches!(inputs.pulses[at], Pulse::Failing(_) | Pulse::Silent(_)),
        halves: halves.collect(),
        esp: if disk.is_some() { inputs.esp[at].clone() } else { Esp::Unknown },
        tables: if disk.is_some() { inputs.tables[at].clone() } else { Tables::Unknown },
        entry: inputs.entry[at],
        proved: inputs.memory.proofs.get(&proof_key(place, &serial)).cloned(),
        serial,
    }
}

fn half(running: Option<&Running>, disk: Option<&Disk>, array: ids::Array) -> HalfState {
    let Some(disk) = disk else { return HalfState::Missing };
    let (Some(running), Some(name)) = (running, disk.parts.get(&array.part())) else { return HalfState::Out };
    match running.members.iter().find(|m| m.name == *name).map(|m| m.state) {
        Some(MemberState::InSync) => HalfState::InSync,
        Some(MemberState::Spare) => HalfState::Rebuilding,
        Some(MemberState::Faulty) | None => HalfState::Out,
    }
}

fn complete(drive: &Drive) -> bool {
    drive.halves.iter().all(|half| half.state == HalfState::InSync)
}

fn state(inputs: &Inputs<'_>, drives: &[Drive], found: &[Found]) -> State {
    let rebuilding = drives.iter().flat_map(|d| &d.halves).any(|h| h.state == HalfState::Rebuilding);
    let resync = inputs.seen.arrays.values().any(|a| a.action == "resync");
    let whole = drives.iter().filter(|d| complete(d)).count();
    if matches!(inputs.heal, Heal::Running { .. }) || rebuilding || resync {
        State::Healing
    } else if whole < inputs.expected.max(drives.len()) {
        State::Degraded
    } else if !found.is_empty() {
        State::AtRisk
    } else if whole == 1 {
        State::Single
    } else {
        State::Whole
    }
}

fn name(drive: &Drive) -> String {
    let serial = if drive.serial.is_empty() { "without a serial number" } else { drive.serial.as_str() };
    let serial = if drive.serial.is_empty() { serial.to_owned() } else { format!("serial {serial}") };
    format!("Boot drive {} ({serial})", drive.number)
}

fn found(id: String, severity: Severity, what: String, remedy: impl Into<String>) -> Found {
    Found { id, severity, what, remedy: remedy.into() }
}

fn of_drive(inputs: &Inputs<'_>, drive: &Drive) -> Vec<Found> {
    use Severity::{Critical, Warning};
    let n = drive.number;
    let mut list = Vec::new();
    if drive.device.is_none() {
        let what = format!("{} is gone; the node runs on the other one.", name(drive));
        list.push(found(format!("boot-drive-{n}-missing"), Critical, what, replace(inputs, drive)));
        return list;
    }
    let pulse = &inputs.pulses[usize::from(n - 1)];
    let failing = match pulse {
        Pulse::Failing(error) => Some(format!("{} cannot be read: {error}.", name(drive))),
        Pulse::Silent(time) => Some(format!("{} has not answered for {} s.", name(drive), time.as_secs())),
        Pulse::Unknown | Pulse::Good => None,
    };
    let answers = failing.is_none();
    if let Some(what) = failing {
        let remedy = format!("Check its cable, then replace it. {}", replace(inputs, drive));
        list.push(found(format!("boot-drive-{n}-failing"), Critical, what, remedy));
    }
    let lacking: Vec<&str> =
        drive.halves.iter().filter(|h| h.state != HalfState::InSync).map(|h| h.array.as_str()).collect();
    if !lacking.is_empty() && answers {
        let what = format!("{} is not up to date: {}.", name(drive), lacking.join(", "));
        list.push(found(format!("boot-drive-{n}-out"), Critical, what, out_remedy(inputs, drive)));
    }
    if let Esp::Damaged { reason, .. } = &drive.esp {
        let what = format!("{} may not boot, its EFI system partition is damaged: {reason}.", name(drive));
        list.push(found(format!("boot-drive-{n}-esp"), Critical, what, repair(inputs)));
    }
    if let Tables::Damaged { reason } = &drive.tables {
        let what = format!("{} may not boot: {reason}.", name(drive));
        list.push(found(format!("boot-drive-{n}-tables"), Critical, what, repair(inputs)));
    }
    if drive.entry == Some(false) && inputs.entries == Entries::Kept {
        let what = format!("The firmware has no boot entry for boot drive {n}, and takes none.");
        let remedy = "Add it in the firmware's setup: \\EFI\\debian\\shimx64.efi on that drive.";
        list.push(found(format!("boot-drive-{n}-entry"), Warning, what, remedy));
    }
    list
}

fn of_all(inputs: &Inputs<'_>, drives: &[Drive]) -> Vec<Found> {
    use Severity::Warning;
    let mut list = Vec::new();
    match &inputs.heal {
        Heal::Failed { reason, .. } => {
            let what = format!("Healing a boot drive failed: {reason}");
            let remedy = "It is tried again by itself. If it goes on failing, put in another drive.";
            list.push(found("boot-heal-failed".to_owned(), Warning, what, remedy));
        }
        Heal::Asks { action, disk, reason, .. } => {
            let what = format!("{disk} could be made a boot drive ({action}): {reason}");
            let remedy = "Say yes with `maekin-agent heal`, or take the drive out.";
            list.push(found("boot-heal-asks".to_owned(), Warning, what, remedy));
        }
        Heal::Stuck { reason, remedy } => {
            let what = format!("No boot drive can be healed by itself: {reason}");
            list.push(found("boot-heal-stuck".to_owned(), Warning, what, remedy.clone()));
        }
        Heal::Idle | Heal::Running { .. } | Heal::Done { .. } => {}
    }
    for (mirror, sectors) in &inputs.comparison.differ {
        let what = format!("The halves of {mirror} differ in {sectors} sectors.");
        let remedy = "A drive, its cable or memory is faulty: look at `smartctl -a` of both, and replace it.";
        list.push(found(format!("mirror-{mirror}-differs"), Warning, what, remedy));
    }
    for array in ids::Array::ALL.iter().filter(|a| !inputs.seen.arrays.contains_key(a.name())) {
        let what = format!("The mirror {} does not run.", array.name());
        let remedy = "Look at `journalctl -b` and `mdadm --examine` of its halves.";
        if !drives.is_empty() {
            list.push(found(format!("mirror-{}-stopped", array.name()), Severity::Critical, what, remedy));
        }
    }
    if let Some(last) = inputs.trial.last.as_ref().filter(|last| !last.passed) {
        let what = format!("The trial boot of boot drive {} failed: another one started.", last.number);
        let remedy = "Start it by the firmware's boot menu and look at its screen.";
        list.push(found("boot-trial-failed".to_owned(), Warning, what, remedy));
    }
    if !inputs.unchecked.is_empty() {
        let what = format!("The files of the boot drives cannot be checked: {}", inputs.unchecked);
        let remedy = "It is tried again by itself; run `maekin-installer heal` to see more.";
        list.push(found("boot-drives-unchecked".to_owned(), Warning, what, remedy));
    }
    for (i, note) in inputs.notes.iter().enumerate() {
        let remedy = "It was seen when the node started; `journalctl -b` has more.";
        list.push(found(format!("boot-note-{}", i + 1), Warning, note.clone(), remedy));
    }
    list
}

fn replace(inputs: &Inputs<'_>, drive: &Drive) -> String {
    let gib = drive.size.div_ceil(1 << 30);
    let room = if gib == 0 { "as large".to_owned() } else { format!("of {gib} GiB or more") };
    match inputs.memory.settings.heal {
        HealPolicy::Auto => format!("Put in a blank drive {room}; the node makes it whole by itself."),
        HealPolicy::Ask => format!("Put in a drive {room}, then say yes with `maekin-agent heal`."),
        HealPolicy::Never => format!("Put in a drive {room}, then run `maekin-installer heal --apply`."),
    }
}

fn out_remedy(inputs: &Inputs<'_>, drive: &Drive) -> String {
    let rebuilding = drive.halves.iter().any(|h| h.state == HalfState::Rebuilding);
    if rebuilding || matches!(inputs.heal, Heal::Running { .. }) {
        return "It is being brought up to date; leave both drives in.".to_owned();
    }
    repair(inputs)
}

fn repair(inputs: &Inputs<'_>) -> String {
    match inputs.memory.settings.heal {
        HealPolicy::Auto => "The node brings it up to date by itself, soon.".to_owned(),
        HealPolicy::Ask => "Say yes with `maekin-agent heal`.".to_owned(),
        HealPolicy::Never => "Run `maekin-installer heal --apply`.".to_owned(),
    }
}

#[cfg(test)]
mod tests;
