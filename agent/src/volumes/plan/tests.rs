use maekin_api::settings::ConditionStatus;
use proptest::prelude::*;

use super::*;
use crate::volumes::engine::SeenSnapshot;
use crate::volumes::tests::fake::done;
use crate::volumes::values::{AttachmentValue, DeletingValue, OriginValue, SnapshotValue};

const G: u64 = 1 << 30;

fn volume(id: &str) -> VolumeValue {
    VolumeValue {
        id: id.into(),
        name: format!("name-{id}"),
        size: G,
        nodes: vec!["a".into()],
        holders: vec!["a".into()],
        generation: 3,
        ..VolumeValue::default()
    }
}

fn with(mut value: VolumeValue, change: impl FnOnce(&mut VolumeValue)) -> VolumeValue {
    change(&mut value);
    value
}

fn snapshot(id: &str, deleting: bool) -> SnapshotValue {
    SnapshotValue { id: id.into(), name: format!("name-{id}"), deleting, ..SnapshotValue::default() }
}

fn attached(value: &mut VolumeValue, node: &str, token: u64, releasing: bool) {
    value.attachment =
        Some(AttachmentValue { node: node.into(), token, releasing, ..AttachmentValue::default() });
}

fn going(value: &mut VolumeValue) {
    value.deleting = Some(DeletingValue::default());
}

fn of(value: &mut VolumeValue, id: &str, snapshot: Option<&str>) {
    value.origin =
        Some(OriginValue { id: id.into(), snapshot: snapshot.map(str::to_owned), ..OriginValue::default() });
}

/// What is there: volumes with their size and `a` for active, `o` for open; snapshots.
fn seen(volumes: &[(&str, u64, &str)], snapshots: &[&str]) -> Seen {
    let mut seen = Seen::default();
    for (id, size, how) in volumes {
        let volume = SeenVolume {
            size: *size,
            used: None,
            device: how.contains('a').then(|| format!("/dev/{id}")),
            open: how.contains('o'),
        };
        seen.volumes.insert((*id).to_owned(), volume);
    }
    for id in snapshots {
        seen.snapshots.insert((*id).to_owned(), SeenSnapshot::default());
    }
    seen
}

/// What was told: made, token of the attachment that was carried out, snapshots.
fn told(made: bool, token: Option<u64>, snapshots: &[&str]) -> PartValue {
    PartValue {
        made,
        attached: token.map(|token| AttachedValue { token, device: "/dev/1".into() }),
        snapshots: snapshots.iter().map(|id| ((*id).to_owned(), SnapshotPart::default())).collect(),
        ..PartValue::default()
    }
}

fn planned(all: &[(VolumeValue, PartValue)], seen: &Seen) -> Vec<Plan> {
    let owns: Vec<Own<'_>> = all.iter().map(|(value, told)| Own { value, told: told.clone() }).collect();
    let bonds = bonds(&owns, seen);
    owns.iter().map(|own| plan("a", own, seen, &bonds, 9)).collect()
}

/// Steps in few words.
fn words(steps: &[Step]) -> String {
    let word = |step: &Step| match step {
        Step::Create { id, size } => format!("create {id} {}", size / G),
        Step::Clone { id, from: Source::Volume(from) } => format!("clone {id} of {from}"),
        Step::Clone { id, from: Source::Snapshot(from) } => format!("clone {id} of snapshot {from}"),
        Step::Grow { id, size } => format!("grow {id} {}", size / G),
        Step::Snapshot { id, volume } => format!("snapshot {id} of {volume}"),
        Step::Attach { id, token } => format!("attach {id} {token}"),
        Step::Detach { id } => format!("detach {id}"),
        Step::DeleteSnapshot { id } => format!("drop {id}"),
        Step::Delete { id } => format!("delete {id}"),
    };
    steps.iter().map(word).collect::<Vec<_>>().join(", ")
}

/// What is said, where it is not simply so.
fn said(plan: &Plan) -> String {
    let word = |(kind, outcome): &(&str, Outcome)| {
        let mark = match outcome.status {
            ConditionStatus::True => return None,
            ConditionStatus::Unknown => "",
            ConditionStatus::False => "!",
        };
        Some(format!("{mark}{kind}:{}", outcome.reason))
    };
    plan.says.iter().filter_map(word).collect::<Vec<_>>().join(" ")
}

#[test]
fn volumes_are_planned_from_what_is_wanted_and_what_is_there() {
    let v = || volume("1");
    let made = || told(true, None, &[]);
    let new = PartValue::default;
    // Name; wanted; told; there; steps; what is said that is not simply so.
    type Row<'a> = (&'a str, VolumeValue, PartValue, Seen, &'a str, &'a str);
    let rows: Vec<Row<'_>> = vec![
        ("new", v(), new(), seen(&[], &[]), "create 1 1", "Provisioned:Creating"),
        ("made, and nobody was told", v(), new(), seen(&[("1", G, "")], &[]), "", ""),
        ("there", v(), made(), seen(&[("1", G, "")], &[]), "", ""),
        ("larger than asked for", v(), made(), seen(&[("1", 2 * G, "")], &[]), "", ""),
        ("to grow", v(), made(), seen(&[("1", G / 2, "")], &[]), "grow 1 1", "Provisioned:Growing"),
        ("lost", v(), made(), seen(&[], &[]), "", "!Provisioned:Lost"),
        (
            "stopped while it was made",
            v(),
            new(),
            seen(&[("1", G, "a")], &[]),
            "detach 1",
            "Attached:Detaching",
        ),
        ("open, and nobody may", v(), made(), seen(&[("1", G, "ao")], &[]), "", "!Attached:InUse"),
        // Snapshots.
        (
            "a snapshot",
            with(v(), |v| v.snapshots = vec![snapshot("s", false)]),
            made(),
            seen(&[("1", G, "")], &[]),
            "snapshot s of 1",
            "Snapshots:Working",
        ),
        (
            "of a volume that grows first",
            with(v(), |v| v.snapshots = vec![snapshot("s", false)]),
            made(),
            seen(&[("1", G / 2, "")], &[]),
            "grow 1 1",
            "Provisioned:Growing Snapshots:Working",
        ),
        (
            "a snapshot that is there",
            with(v(), |v| v.snapshots = vec![snapshot("s", false)]),
            made(),
            seen(&[("1", G, "")], &["s"]),
            "",
            "",
        ),
        (
            "a snapshot that is lost",
            with(v(), |v| v.snapshots = vec![snapshot("s", false)]),
            told(true, None, &["s"]),
            seen(&[("1", G, "")], &[]),
            "",
            "!Snapshots:Lost",
        ),
        (
            "a snapshot to go",
            with(v(), |v| v.snapshots = vec![snapshot("s", true)]),
            told(true, None, &["s"]),
            seen(&[("1", G, "")], &["s"]),
            "drop s",
            "Snapshots:Working",
        ),
        (
            "a snapshot of a lost volume",
            with(v(), |v| v.snapshots = vec![snapshot("s", false), snapshot("t", false)]),
            told(true, None, &["s"]),
            seen(&[], &["s"]),
            "",
            "!Provisioned:Lost Snapshots:Working",
        ),
        // Attachments.
        (
            "to be attached",
            with(v(), |v| attached(v, "a", 5, false)),
            made(),
            seen(&[("1", G, "")], &[]),
            "attach 1 5",
            "Attached:Attaching",
        ),
        (
            "attached",
            with(v(), |v| attached(v, "a", 5, false)),
            told(true, Some(5), &[]),
            seen(&[("1", G, "ao")], &[]),
            "",
            "",
        ),
        (
            "attached, after a start",
            with(v(), |v| attached(v, "a", 5, false)),
            told(true, Some(5), &[]),
            seen(&[("1", G, "")], &[]),
            "attach 1 5",
            "Attached:Attaching",
        ),
        (
            "attached anew while an earlier user is there",
            with(v(), |v| attached(v, "a", 6, false)),
            told(true, Some(5), &[]),
            seen(&[("1", G, "ao")], &[]),
            "",
            "!Attached:InUse",
        ),
        (
            "attached anew, and the earlier user is gone",
            with(v(), |v| attached(v, "a", 6, false)),
            told(true, Some(5), &[]),
            seen(&[("1", G, "a")], &[]),
            "attach 1 6",
            "Attached:Attaching",
        ),
        (
            "to be attached before it is there",
            with(v(), |v| attached(v, "a", 5, false)),
            new(),
            seen(&[], &[]),
            "create 1 1",
            "Provisioned:Creating Attached:WaitsForVolume",
        ),
        (
            "attached elsewhere, and active here",
            with(v(), |v| attached(v, "b", 5, false)),
            told(true, Some(4), &[]),
            seen(&[("1", G, "a")], &[]),
            "detach 1",
            "Attached:Detaching",
        ),
        (
            "to be given up",
            with(v(), |v| attached(v, "a", 5, true)),
            told(true, Some(5), &[]),
            seen(&[("1", G, "a")], &[]),
            "detach 1",
            "Attached:Detaching",
        ),
        (
            "to be given up, and used",
            with(v(), |v| attached(v, "a", 5, true)),
            told(true, Some(5), &[]),
            seen(&[("1", G, "ao")], &[]),
            "",
            "Attached:InUse",
        ),
        // Ends.
        (
            "to go",
            with(v(), |v| {
                going(v);
                v.snapshots = vec![snapshot("s", false)];
            }),
            told(true, None, &["s"]),
            seen(&[("1", G, "a")], &["s"]),
            "detach 1, drop s, delete 1",
            "Deleted:Deleting",
        ),
        ("to go, and used", with(v(), going), made(), seen(&[("1", G, "ao")], &[]), "", "Deleted:InUse"),
        ("gone", with(v(), going), made(), seen(&[], &[]), "", ""),
    ];
    for (name, value, told, seen, steps, says) in rows {
        let plan = planned(&[(value, told)], &seen).remove(0);
        assert_eq!((words(&plan.steps).as_str(), said(&plan).as_str()), (steps, says), "{name}");
    }
}

#[test]
fn volumes_the_record_forgets_only_what_is_gone() {
    let forget = |value: VolumeValue, seen: &Seen| {
        planned(&[(value, told(true, Some(5), &["s"]))], seen).remove(0).forget
    };
    let gone = with(volume("1"), going);
    assert!(forget(gone.clone(), &seen(&[], &[])).volume);
    assert!(!forget(gone.clone(), &seen(&[("1", G, "")], &[])).volume);
    let snapshots = with(gone, |v| v.snapshots = vec![snapshot("s", false)]);
    assert!(!forget(snapshots, &seen(&[], &["s"])).volume, "a snapshot is left");
    let dropped = with(volume("1"), |v| v.snapshots = vec![snapshot("s", true)]);
    assert_eq!(forget(dropped.clone(), &seen(&[("1", G, "")], &[])).snapshots, ["s"]);
    assert!(forget(dropped, &seen(&[("1", G, "")], &["s"])).is_empty());
    let releasing = with(volume("1"), |v| attached(v, "a", 5, true));
    assert_eq!(forget(releasing.clone(), &seen(&[("1", G, "")], &[])).attachment, Some(5));
    assert!(forget(releasing, &seen(&[("1", G, "a")], &[])).is_empty());
    assert!(forget(volume("1"), &seen(&[], &[])).is_empty(), "lost is not gone");
}

#[test]
fn volumes_what_clones_begin_with_stays_until_they_are_made() {
    let source = |change: fn(&mut VolumeValue)| {
        with(volume("1"), |v| {
            v.snapshots = vec![snapshot("s", false)];
            change(v);
        })
    };
    let drop_it: fn(&mut VolumeValue) = |v| v.snapshots[0].deleting = true;
    let clone = |snapshot: Option<&str>| with(volume("2"), |v| of(v, "1", snapshot));
    let made = || told(true, None, &["s"]);
    let there = || seen(&[("1", G, "")], &["s"]);
    let both = || seen(&[("1", G, "")], &["s"]);
    let with_clone = || seen(&[("1", G, ""), ("2", G, "")], &["s"]);
    type Row<'a> = (&'a str, VolumeValue, PartValue, VolumeValue, Seen, [&'a str; 2], [&'a str; 2]);
    let rows: Vec<Row<'_>> = vec![
        (
            "of a snapshot",
            source(|_| {}),
            made(),
            clone(Some("s")),
            there(),
            ["", "clone 2 of snapshot s"],
            ["", "Provisioned:Cloning"],
        ),
        (
            "of the volume",
            source(|_| {}),
            made(),
            clone(None),
            there(),
            ["", "clone 2 of 1"],
            ["", "Provisioned:Cloning"],
        ),
        (
            "of a snapshot that is to come",
            source(|_| {}),
            told(true, None, &[]),
            clone(Some("s")),
            seen(&[("1", G, "")], &[]),
            ["snapshot s of 1", ""],
            ["Snapshots:Working", "Provisioned:WaitsForOrigin"],
        ),
        (
            "of a snapshot that shall go",
            source(drop_it),
            made(),
            clone(Some("s")),
            both(),
            ["", "clone 2 of snapshot s"],
            ["Snapshots:Working", "Provisioned:Cloning"],
        ),
        (
            "of a volume that shall go",
            source(going),
            made(),
            clone(None),
            both(),
            ["", "clone 2 of 1"],
            ["Deleted:Cloning", "Provisioned:Cloning"],
        ),
        (
            "made: now it goes",
            source(going),
            made(),
            clone(Some("s")),
            with_clone(),
            ["drop s, delete 1", ""],
            ["Deleted:Deleting", ""],
        ),
        (
            "of what is not there any more",
            source(|_| {}),
            made(),
            clone(Some("x")),
            both(),
            ["", ""],
            ["", "!Provisioned:NoOrigin"],
        ),
        (
            "a clone that shall go itself holds nothing",
            source(going),
            made(),
            with(clone(None), going),
            both(),
            ["drop s, delete 1", ""],
            ["Deleted:Deleting", ""],
        ),
    ];
    for (name, source, told, clone, seen, steps, says) in rows {
        let plans = planned(&[(source, told), (clone, PartValue::default())], &seen);
        let got: Vec<_> = plans.iter().map(|plan| words(&plan.steps)).collect();
        assert_eq!(got, steps, "{name}");
        let got: Vec<_> = plans.iter().map(said).collect();
        assert_eq!(got, says, "{name}");
    }
}

fn any_value(id: &'static str) -> impl Strategy<Value = VolumeValue> {
    let snapshots = proptest::collection::vec(any::<bool>(), 0..4);
    let attachment = proptest::option::of((0..2_usize, 1..4_u64, any::<bool>()));
    let origin = proptest::option::of(proptest::option::of(0..3_usize));
    (1..4_u64, snapshots, attachment, origin, any::<bool>()).prop_map(
        move |(size, snapshots, attachment, origin, deleting)| {
            with(volume(id), |v| {
                v.size = size * G;
                let named = |(n, deleting): (usize, &bool)| snapshot(&format!("{id}s{n}"), *deleting);
                v.snapshots = snapshots.iter().enumerate().map(named).collect();
                if let Some((node, token, releasing)) = attachment {
                    attached(v, ["a", "b"][node], token, releasing);
                }
                if let Some(snapshot) = origin.filter(|_| id == "2") {
                    of(v, "1", snapshot.map(|n| format!("1s{n}")).as_deref());
                }
                if deleting {
                    going(v);
                }
            })
        },
    )
}

fn any_seen() -> impl Strategy<Value = Seen> {
    let volume = || proptest::option::of((1..4_u64, 0..3_usize));
    let snapshots = proptest::collection::vec((1..3_u8, 0..3_u8), 0..5);
    (volume(), volume(), snapshots).prop_map(|(one, two, snapshots)| {
        let mut all = Vec::new();
        for (id, volume) in [("1", one), ("2", two)] {
            if let Some((size, how)) = volume {
                all.push((id, size * G, ["", "a", "ao"][how]));
            }
        }
        let names: Vec<String> = snapshots.iter().map(|(v, n)| format!("{v}s{n}")).collect();
        let names: Vec<&str> = names.iter().map(String::as_str).collect();
        seen(&all, &names)
    })
}

proptest! {
    /// Whatever is wanted, told and there: doing what is planned again and again ends, and then everything is as wanted, or
    /// it is said why not. What is open stays, and what was made before and is lost is not made anew.
    #[test]
    fn volumes_plans_lead_to_where_nothing_is_planned(
        one in any_value("1"), two in any_value("2"), made in any::<[bool; 2]>(), token in 0..4_u64, start in any_seen(),
    ) {
        let mut all = [(one, told(made[0], Some(token), &[])), (two, told(made[1], None, &[]))];
        let mut now = start;
        for round in 0..12 {
            let plans = planned(&all, &now);
            let steps: Vec<Step> = plans.iter().flat_map(|plan| plan.steps.clone()).collect();
            for step in &steps {
                if let Step::Detach { id } | Step::Delete { id } = step {
                    prop_assert!(!now.volumes.get(id).is_some_and(|v| v.open), "{step:?} of what is open");
                }
                if let Step::Create { id, .. } | Step::Clone { id, .. } = step {
                    let n = usize::from(id == "2");
                    prop_assert!(!made[n], "{step:?} in place of what is lost");
                }
                prop_assert!(done(&mut now, step).is_ok(), "{step:?} cannot be done: {now:?}");
                if let Step::Attach { id, token } = step {
                    let n = usize::from(id == "2");
                    all[n].1.attached = Some(AttachedValue { token: *token, device: format!("/dev/{id}") });
                }
            }
            for (n, plan) in plans.iter().enumerate() {
                all[n].1.made |= plan.part.made;
            }
            if steps.is_empty() {
                for (plan, (value, _)) in plans.iter().zip(&all) {
                    let fine = plan.says.iter().all(|(_, outcome)| outcome.status == ConditionStatus::True);
                    let told = !plan.forget.is_empty() || plan.says.iter().any(|(_, outcome)| {
                        !outcome.message.is_empty() || outcome.reason == "Working"
                    });
                    prop_assert!(fine || told, "{value:?}: {:?}", plan.says);
                }
                return Ok(());
            }
            prop_assert!(round < 11, "it does not end: {steps:?}");
        }
    }
}
