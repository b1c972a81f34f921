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
    assert_eq!(states(&gone), [("a", State::Spare, 100), ("b", State::Gone, 300), ("osd", State::Gone, 300)]);
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
    assert_eq!(doubting(&waits, &one, &none, why, 3)[0].state, State::Refused, "however often it is asked");
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
        ("a spare is failing", vec![], vec![seen("a", sick)], alarm("drive-failing-a", Severity::Warning)),
        ("an OSD is worn", vec![], vec![seen("osd", worn)], alarm("drive-worn-osd", Severity::Warning)),
        ("a spare is worn", vec![], vec![seen("a", worn)], vec![]),
        ("an OSD is gone", vec![seen("osd", |_| {})], vec![], alarm("drive-gone-osd", Severity::Critical)),
        ("a spare is gone", vec![seen("a", |_| {})], vec![], vec![]),
        ("a boot drive is failing", vec![], vec![boot(sick)], alarm("drive-failing-m", Severity::Critical)),
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
