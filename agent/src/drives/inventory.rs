//! All drives of the node over time: since when each is as it is, those that are gone, what is wrong, and whether that is
//! worth telling. Pure.

use std::collections::{BTreeMap, BTreeSet};

use maekin_api::alarm::Severity;
use maekin_api::drives::{Content, Drive, DrivePolicy, Health, Osd, State, Usage, Verdict};
use maekin_rootfs::drives::Found;

use super::health;
use super::identity::told;
use super::observe::{MOST, Seen};
use super::plan::{Boot, Case, Decision, decide};
use super::values::WishValue;
use crate::boot_drives::alarms;

/// How long a drive that is gone and that nobody used is remembered, seconds.
pub(crate) const KEPT: u64 = 30 * 86_400;
/// Most drives that are gone, were not used, and are remembered; as many places in the inventory are left free for those
/// that are gone by a node with the most drives that are told of. Of used ones that are gone there may be more, as of a shelf
/// that lost its power.
const GONE: usize = 32;
/// Most lines of what is on a drive, and most characters of each.
const LINES: usize = 8;
const LINE: usize = 120;
/// Most OSDs of a drive.
const OSDS: usize = 16;

/// What the inventory is made by.
#[derive(Clone, Copy)]
pub(crate) struct Around<'a> {
    /// Host name of the node.
    pub(crate) node: &'a str,
    /// Its id.
    pub(crate) node_id: &'a str,
    pub(crate) policy: DrivePolicy,
    /// What people want, by the id of the drive.
    pub(crate) wishes: &'a BTreeMap<String, WishValue>,
    /// Drives that they want something of that this release does not understand.
    pub(crate) unclear: &'a BTreeSet<String>,
    pub(crate) boot: Boot,
    /// Drives that other nodes tell of, too, by their ids: the name of one of those nodes.
    pub(crate) elsewhere: &'a BTreeMap<String, String>,
    /// Why not all of that is known; then no drive is given to storage that was not given to it before.
    pub(crate) doubt: Option<&'a str>,
    /// Who uses a drive.
    pub(crate) used: &'a (dyn Fn(&Seen) -> Option<Usage> + Sync),
}

/// The inventory now, from the one `before`, by id.
pub(crate) fn update(before: &[Drive], seen: &[Seen], around: &Around<'_>, now: u64) -> Vec<Drive> {
    let prior = |id: &str| before.iter().find(|drive| drive.id == id);
    let boot = Boot { retired: retired(seen, around), ..around.boot };
    let mut drives: Vec<Drive> = seen
        .iter()
        .take(MOST)
        .map(|seen| {
            let used = (around.used)(seen);
            let decision = decide(&Case {
                seen,
                used: used.as_ref(),
                policy: around.policy,
                wish: around.wishes.get(&seen.id),
                unclear: around.unclear.contains(&seen.id),
                boot,
                elsewhere: around.elsewhere.get(&seen.id).map(String::as_str),
            });
            let prior = prior(&seen.id);
            present(seen, held_back(decision, seen, prior, around.doubt), prior, around, now)
        })
        .collect();
    let missing = before.iter().filter(|drive| seen.iter().all(|seen| seen.id != drive.id));
    let mut gone: Vec<Drive> =
        missing.filter_map(|drive| absent(drive, around.wishes.get(&drive.id), now)).collect();
    gone.sort_by_key(|drive| std::cmp::Reverse((drive.usage.is_of_use(), drive.since)));
    let room = (MOST + GONE).saturating_sub(drives.len());
    let mut unused = 0;
    gone.retain(|drive| {
        unused += usize::from(!drive.usage.is_of_use());
        unused <= GONE
    });
    gone.truncate(room);
    drives.extend(gone);
    drives.sort_by(|a, b| a.id.cmp(&b.id));
    drives
}

/// Which of the two boot drives were retired, or may have been. Pure.
fn retired(seen: &[Seen], around: &Around<'_>) -> [bool; 2] {
    let retired = |id: &str| {
        let retire = around.wishes.get(id).and_then(|wish| wish.retire.as_ref());
        retire.is_some_and(|retire| retire.done > 0) || around.unclear.contains(id)
    };
    [0, 1].map(|place| seen.iter().any(|drive| drive.boot == Some(place) && retired(&drive.id)))
}

/// The decision, where what it is made by may not be all there is: no better than it was before. Pure.
fn held_back(decision: Decision, seen: &Seen, prior: Option<&Drive>, doubt: Option<&str>) -> Decision {
    match doubt {
        Some(why)
            if decision.state == State::Spare && prior.is_none_or(|prior| prior.state != State::Spare) =>
        {
            Decision {
                state: State::Refused,
                usage: if seen.found.as_ref().is_some_and(|found| found.blank) {
                    Usage::Unused
                } else {
                    Usage::Foreign
                },
                why: format!("it waits: {why}"),
                remedy: String::new(),
            }
        }
        _ => decision,
    }
}

/// Whether a use is one of ours that holds data: its drive is missed.
trait OfUse {
    fn is_of_use(&self) -> bool;
}

impl OfUse for Usage {
    fn is_of_use(&self) -> bool {
        !matches!(self, Self::Unused | Self::Spare | Self::Foreign)
    }
}

fn present(seen: &Seen, decision: Decision, prior: Option<&Drive>, around: &Around<'_>, now: u64) -> Drive {
    let Decision { state, usage, why, remedy } = decision;
    let same = prior.filter(|prior| prior.state == state && prior.usage == usage);
    Drive {
        id: seen.id.clone(),
        node: around.node.to_owned(),
        node_id: around.node_id.to_owned(),
        device: seen.device.display().to_string(),
        serial: seen.serial.clone(),
        model: seen.model.clone(),
        wwn: seen.wwn.clone(),
        size: seen.size,
        sector: seen.sector,
        rotational: seen.rotational,
        transport: seen.transport.clone(),
        slot: seen.slot.clone(),
        health: seen.smart.as_ref().map(health::judge).unwrap_or_default(),
        content: seen.found.as_ref().map(content).unwrap_or_default(),
        usage,
        state,
        since: same.map_or(now, |prior| prior.since),
        why: line(&why),
        remedy: line(&remedy),
        first_seen: prior.map_or(now, |prior| prior.first_seen),
    }
}

/// One that is not there any more; `None`: it need not be remembered.
fn absent(drive: &Drive, wish: Option<&WishValue>, now: u64) -> Option<Drive> {
    let retired = wish.and_then(|wish| wish.retire.as_ref()).is_some_and(|retire| retire.done > 0);
    let since = if drive.state == State::Gone { drive.since } else { now };
    let of_use = drive.usage.is_of_use();
    if retired || drive.state == State::Retired || (!of_use && now.saturating_sub(since) >= KEPT) {
        return None;
    }
    let remedy = if of_use {
        "put it back in, or a blank one in its place; `maekin drive retire` forgets it"
    } else {
        "put it back in, or forget it with `maekin drive retire`"
    };
    Some(Drive {
        device: String::new(),
        state: State::Gone,
        since,
        why: format!("it is not there any more; it was {}", drive.usage.words()),
        remedy: remedy.to_owned(),
        health: Health { temperature: None, ..drive.health.clone() },
        ..drive.clone()
    })
}

/// What is on a drive, bounded: another program found it, and what it found was written by anyone.
fn content(found: &Found) -> Content {
    let osd = |osd: &maekin_rootfs::drives::Osd| Osd {
        id: osd.id,
        uuid: told(&osd.uuid),
        cluster: told(&osd.cluster),
    };
    Content {
        blank: found.blank,
        what: found.what.iter().take(LINES).map(|text| line(text)).collect(),
        osds: found.osds.iter().take(OSDS).map(osd).collect(),
        token: told(&found.token),
        unreadable: found.unreadable.as_deref().map(line).unwrap_or_default(),
    }
}

fn line(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { '?' } else { c }).take(LINE).collect()
}

/// Whether the inventory is another one than was told.
pub(crate) fn differs(told: &[Drive], now: &[Drive]) -> bool {
    let same = |told: &Drive, now: &Drive| {
        !health::differs(&told.health, &now.health)
            && *told == Drive { health: told.health.clone(), ..now.clone() }
    };
    told.len() != now.len() || !told.iter().zip(now).all(|(told, now)| same(told, now))
}

/// What is wrong with drives. Those that the node starts from have alarms of their own when they are gone.
pub(crate) fn alarms(drives: &[Drive]) -> Vec<alarms::Found> {
    drives.iter().filter_map(alarm).collect()
}

fn alarm(drive: &Drive) -> Option<alarms::Found> {
    let of_use = drive.usage.is_of_use();
    let boot = matches!(drive.usage, Usage::BootMirror { .. });
    let leaving = matches!(drive.state, State::Retiring | State::Retired);
    let title = title(drive);
    let reason = &drive.health.reason;
    let (kind, severity, what, remedy) = match (drive.state, drive.health.verdict) {
        (State::Gone, _) if of_use && !boot => (
            "gone",
            Severity::Critical,
            format!("{title} is gone; it was used as {}.", drive.usage.words()),
            "Put it back in, or a blank one in its place.",
        ),
        (State::Gone, _) => return None,
        (_, Verdict::Failing) if of_use && !leaving => (
            "failing",
            Severity::Critical,
            format!("{title} is failing: {reason}. It is used as {}.", drive.usage.words()),
            "Retire it (`maekin drive retire`), and put in another.",
        ),
        (_, Verdict::Failing) => {
            ("failing", Severity::Warning, format!("{title} is failing: {reason}."), "Put in another.")
        }
        (_, Verdict::Worn) if of_use => (
            "worn",
            Severity::Warning,
            format!("{title} should be replaced before long: {reason}."),
            "Have a replacement at hand.",
        ),
        _ => return None,
    };
    let id = format!("drive-{kind}-{}", drive.id);
    Some(alarms::Found { id, severity, what, remedy: remedy.to_owned() })
}

/// A drive as a person tells it from others.
pub(crate) fn title(drive: &Drive) -> String {
    let place = [&drive.slot.bay, &drive.device].into_iter().find(|text| !text.is_empty());
    let place = place.map(|place| format!(" in {place}")).unwrap_or_default();
    let name = [&drive.serial, &drive.id].into_iter().find(|text| !text.is_empty()).cloned();
    let model = if drive.model.is_empty() { String::new() } else { format!("{} ", drive.model) };
    format!("drive {model}{}{place}", name.unwrap_or_default())
}

#[cfg(test)]
mod tests;
