//! All drives of the node over time: since when each is as it is, those that are gone, what is wrong, and whether that is
//! worth telling. Pure.

use std::collections::BTreeMap;

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
/// Most drives that are gone and are remembered.
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
    pub(crate) boot: Boot,
    /// Drives that other nodes tell of, too, by their ids: the name of one of those nodes.
    pub(crate) elsewhere: &'a BTreeMap<String, String>,
    /// Who uses a drive.
    pub(crate) used: &'a (dyn Fn(&Seen) -> Option<Usage> + Sync),
}

/// The inventory now, from the one `before`, by id.
pub(crate) fn update(before: &[Drive], seen: &[Seen], around: &Around<'_>, now: u64) -> Vec<Drive> {
    let prior = |id: &str| before.iter().find(|drive| drive.id == id);
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
                boot: around.boot,
                elsewhere: around.elsewhere.get(&seen.id).map(String::as_str),
            });
            present(seen, decision, prior(&seen.id), around, now)
        })
        .collect();
    let missing = before.iter().filter(|drive| seen.iter().all(|seen| seen.id != drive.id));
    let mut gone: Vec<Drive> =
        missing.filter_map(|drive| absent(drive, around.wishes.get(&drive.id), now)).collect();
    gone.sort_by_key(|drive| std::cmp::Reverse((drive.usage.is_of_use(), drive.since)));
    gone.truncate(GONE);
    drives.extend(gone);
    drives.sort_by(|a, b| a.id.cmp(&b.id));
    drives
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
mod tests {
    use maekin_host::smart::Smart;
    use proptest::prelude::*;

    use super::super::values::RetireValue;
    use super::*;

    fn seen(id: &str, change: fn(&mut Seen)) -> Seen {
        let found = Found { blank: true, token: "t".into(), ..Found::default() };
        let mut seen = Seen {
            id: id.into(),
            stable: true,
            device: format!("/dev/{id}").into(),
            serial: id.to_uppercase(),
            size: 1 << 40,
            found: Some(found),
            ..Seen::default()
        };
        change(&mut seen);
        seen
    }

    fn hot(degrees: i16) -> Option<Smart> {
        Some(Smart { passed: Some(true), temperature: Some(degrees), ..Smart::default() })
    }

    fn with(before: &[Drive], seen: &[Seen], wishes: &BTreeMap<String, WishValue>, now: u64) -> Vec<Drive> {
        let around = Around {
            node: "node-1",
            node_id: "n1",
            policy: DrivePolicy::AutoBlank,
            wishes,
            boot: Boot::default(),
            elsewhere: &BTreeMap::new(),
            used: &|seen: &Seen| {
                let number = seen.boot.map(|place| place + 1);
                number.map(|number| Usage::BootMirror { number }).or(match seen.id.as_str() {
                    "osd" => Some(Usage::Osd { id: 3 }),
                    _ => None,
                })
            },
        };
        update(before, seen, &around, now)
    }

    fn states(drives: &[Drive]) -> Vec<(&str, State, u64)> {
        drives.iter().map(|drive| (drive.id.as_str(), drive.state, drive.since)).collect()
    }

    #[test]
    fn drives_are_remembered_when_they_are_gone() {
        let none = BTreeMap::new();
        let all = [seen("a", |_| {}), seen("osd", |_| {}), seen("b", |s| s.removable = true)];
        let first = with(&[], &all, &none, 100);
        assert_eq!(
            states(&first),
            [("a", State::Spare, 100), ("b", State::Refused, 100), ("osd", State::InUse, 100)]
        );
        let later = with(&first, &all, &none, 200);
        assert_eq!(states(&later), states(&first), "since when it is so does not change");
        let gone = with(&later, &all[..1], &none, 300);
        assert_eq!(
            states(&gone),
            [("a", State::Spare, 100), ("b", State::Gone, 300), ("osd", State::Gone, 300)]
        );
        assert_eq!((gone[2].device.as_str(), &gone[2].usage), ("", &Usage::Osd { id: 3 }));
        let back = with(&gone, &all, &none, 400);
        assert_eq!(states(&back)[2], ("osd", State::InUse, 400));
        assert_eq!(back[2].first_seen, 100);
        let much_later = with(&gone, &all[..1], &none, 300 + KEPT);
        assert_eq!(
            states(&much_later),
            [("a", State::Spare, 100), ("osd", State::Gone, 300)],
            "one in use is missed"
        );
        let done = RetireValue { done: 1, ..RetireValue::default() };
        let wish = WishValue { retire: Some(done), ..WishValue::default() };
        let wishes = BTreeMap::from([("osd".to_owned(), wish)]);
        assert_eq!(
            states(&with(&gone, &all[..1], &wishes, 500)),
            [("a", State::Spare, 100), ("b", State::Gone, 300)]
        );
    }

    #[test]
    fn drives_are_told_anew_only_for_a_reason() {
        let none = BTreeMap::new();
        let look = |change: fn(&mut Seen)| with(&[], &[seen("a", change)], &none, 1);
        let told = look(|s| s.smart = hot(40));
        let rows = [
            ("the same", look(|s| s.smart = hot(40)), false),
            ("warmer", look(|s| s.smart = hot(45)), false),
            ("hot", look(|s| s.smart = hot(70)), true),
            ("another name", look(|s| (s.smart, s.device) = (hot(40), "/dev/sdz".into())), true),
            ("not blank", look(|s| (s.smart, s.found) = (hot(40), Some(Found::default()))), true),
            ("none", with(&[], &[], &none, 1), true),
        ];
        for (name, now, want) in rows {
            assert_eq!(differs(&told, &now), want, "{name}");
        }
        assert!(!differs(&[], &[]));
    }

    #[test]
    fn drives_that_need_a_person_raise_alarms() {
        fn sick(seen: &mut Seen) {
            seen.smart = Some(Smart { passed: Some(false), ..Smart::default() });
        }
        fn worn(seen: &mut Seen) {
            seen.smart = Some(Smart { passed: Some(true), wear: Some(99), ..Smart::default() });
        }
        let none = BTreeMap::new();
        let alarms_of = |before: &[Seen], now: &[Seen]| {
            let before = with(&[], before, &none, 1);
            let found = alarms(&with(&before, now, &none, 2));
            found.into_iter().map(|alarm| (alarm.id, alarm.severity)).collect::<Vec<_>>()
        };
        let alarm = |id: &str, severity| vec![(id.to_owned(), severity)];
        let boot = |change: fn(&mut Seen)| {
            let mut seen = seen("m", change);
            seen.boot = Some(0);
            seen
        };
        let rows = [
            ("all is well", vec![], vec![seen("osd", |_| {})], vec![]),
            (
                "an OSD is failing",
                vec![],
                vec![seen("osd", sick)],
                alarm("drive-failing-osd", Severity::Critical),
            ),
            (
                "a spare is failing",
                vec![],
                vec![seen("a", sick)],
                alarm("drive-failing-a", Severity::Warning),
            ),
            ("an OSD is worn", vec![], vec![seen("osd", worn)], alarm("drive-worn-osd", Severity::Warning)),
            ("a spare is worn", vec![], vec![seen("a", worn)], vec![]),
            (
                "an OSD is gone",
                vec![seen("osd", |_| {})],
                vec![],
                alarm("drive-gone-osd", Severity::Critical),
            ),
            ("a spare is gone", vec![seen("a", |_| {})], vec![], vec![]),
            (
                "a boot drive is failing",
                vec![],
                vec![boot(sick)],
                alarm("drive-failing-m", Severity::Critical),
            ),
            ("a boot drive is gone, as is said elsewhere", vec![boot(|_| {})], vec![], vec![]),
        ];
        for (name, before, now, want) in rows {
            assert_eq!(alarms_of(&before, &now), want, "{name}");
        }
    }

    proptest! {
        /// Whatever was on a drive, and however many there are: the inventory has room in the record.
        #[test]
        fn drives_make_an_inventory_that_is_bounded(
            text in ".{0,400}", lines in 0_usize..200, drives in 0_usize..200, gone in 0_usize..200,
        ) {
            let found = Found { what: vec![text.clone(); lines], unreadable: Some(text), ..Found::default() };
            let make = |n: usize| Seen { id: format!("sn-{n}"), found: Some(found.clone()), ..Seen::default() };
            let none = BTreeMap::new();
            let before = with(&[], &(0..gone).map(|n| make(1000 + n)).collect::<Vec<_>>(), &none, 1);
            let all = with(&before, &(0..drives).map(make).collect::<Vec<_>>(), &none, 2);
            prop_assert!(all.len() <= MOST + GONE);
            let longest = all.iter().map(|drive| serde_json::to_vec(drive).unwrap().len()).max().unwrap_or(0);
            // All of them together are less than the 1.5 MiB that a value of the record may have.
            prop_assert!(longest < 8 << 10, "{longest}");
            prop_assert!(all.is_sorted_by(|a, b| a.id < b.id));
        }
    }
}
