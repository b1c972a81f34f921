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
mod tests {
    use maekin_host::smart::Smart;
    use proptest::prelude::*;

    use super::super::attached::Attached;
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
            attached: Attached::Direct,
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
        doubting(before, seen, wishes, None, now)
    }

    fn doubting(
        before: &[Drive],
        seen: &[Seen],
        wishes: &BTreeMap<String, WishValue>,
        doubt: Option<&str>,
        now: u64,
    ) -> Vec<Drive> {
        let around = Around {
            node: "node-1",
            node_id: "n1",
            policy: DrivePolicy::AutoBlank,
            wishes,
            unclear: &BTreeSet::new(),
            boot: Boot::default(),
            elsewhere: &BTreeMap::new(),
            doubt,
            used: &|seen: &Seen| {
                let number = seen.boot.map(|place| place + 1);
                number.map(|number| Usage::BootMirror { number }).or(match seen.id.as_str() {
                    osd if osd.starts_with("osd") => Some(Usage::Osd { id: 3 }),
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
    fn drives_of_a_shelf_that_lost_its_power_are_all_missed() {
        let none = BTreeMap::new();
        let shelf = |kind: &str, many: usize| -> Vec<Seen> {
            (0..many).map(|n| seen(&format!("{kind}{n:03}"), |_| {})).collect()
        };
        let rows = [
            ("a shelf of OSDs", shelf("osd", 60), vec![], 60, 60),
            ("and spares beside them", [shelf("osd", 60), shelf("a", 60)].concat(), vec![], 92, 60),
            ("and others are there", shelf("osd", 60), shelf("a", 100), 60, 60),
            ("in the place of as many as there can be", shelf("osd", MOST), shelf("a", MOST), GONE, GONE),
            ("spares only", shelf("a", 60), vec![], GONE, 0),
        ];
        for (name, before, now, gone, missed) in rows {
            let before = with(&[], &before, &none, 1);
            let after = with(&before, &now, &none, 2);
            let of = after.iter().filter(|drive| drive.state == State::Gone).count();
            assert_eq!((of, alarms(&after).len()), (gone, missed), "{name}");
            assert!(after.len() <= MOST + GONE, "{name}");
        }
    }

    #[test]
    fn drives_are_given_to_storage_only_by_those_who_know_what_the_cluster_says() {
        let none = BTreeMap::new();
        let one = [seen("a", |_| {})];
        let spare = with(&[], &one, &none, 1);
        let why = Some("the record is not reached");
        let rows = [
            ("known", &[][..], None, State::Spare),
            ("not known, never seen before", &[], why, State::Refused),
            ("not known, and it was a spare before", &spare, why, State::Spare),
        ];
        for (name, before, doubt, want) in rows {
            let drives = doubting(before, &one, &none, doubt, 2);
            assert_eq!(drives[0].state, want, "{name}: {}", drives[0].why);
        }
        let waits = doubting(&[], &one, &none, why, 2);
        assert_eq!(
            doubting(&waits, &one, &none, why, 3)[0].state,
            State::Refused,
            "however often it is asked"
        );
        assert_eq!(with(&waits, &one, &none, 4)[0].state, State::Spare);
    }

    #[test]
    fn drives_of_a_boot_mirror_are_not_both_retired() {
        let boot = |name: &str, place: u8| Seen { boot: Some(place), ..seen(name, |_| {}) };
        let both = [boot("m", 0), boot("n", 1)];
        let wish = |done| WishValue {
            retire: Some(RetireValue { done, ..RetireValue::default() }),
            ..WishValue::default()
        };
        use State::{InUse, Retired, Retiring};
        let rows = [
            ("one", vec![("m", 1)], [Retired, InUse]),
            ("the other one", vec![("n", 1)], [InUse, Retired]),
            ("one, and the other is wanted", vec![("m", 1), ("n", 0)], [Retired, Retiring]),
            ("both", vec![("m", 1), ("n", 1)], [Retiring, Retiring]),
        ];
        for (name, wishes, want) in rows {
            let wishes = wishes.into_iter().map(|(id, done)| (id.to_owned(), wish(done))).collect();
            let drives = with(&[], &both, &wishes, 1);
            assert_eq!([drives[0].state, drives[1].state], want, "{name}");
            for drive in drives.iter().filter(|drive| drive.state == Retiring) {
                assert!(!drive.why.contains("nothing is lost"), "{name}: {}", drive.why);
            }
        }
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
