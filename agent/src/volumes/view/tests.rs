use maekin_api::storage::Copies;

use super::*;
use crate::volumes::values::{AttachedValue, AttachmentValue, DeletingValue, SnapshotPart};

fn value() -> VolumeValue {
    VolumeValue {
        id: "1".into(),
        name: "db".into(),
        size: 1 << 30,
        nodes: vec!["a".into()],
        holders: vec!["a".into()],
        generation: 4,
        ..VolumeValue::default()
    }
}

fn said(kind: &str, status: ConditionStatus, reason: &str, generation: u64) -> Condition {
    Condition {
        kind: kind.into(),
        status,
        reason: reason.into(),
        message: "no luck".into(),
        since: 1,
        observed_generation: generation,
    }
}

fn part(made: bool) -> PartValue {
    PartValue {
        volume: "1".into(),
        name: "db".into(),
        node: "a".into(),
        observed_generation: 4,
        made,
        used: Some(7),
        ..PartValue::default()
    }
}

fn world(change: impl FnOnce(&mut World, &mut NodeStorage)) -> World {
    let mut world = World {
        names: [("a".to_owned(), "node-1".to_owned())].into(),
        alive: ["a".to_owned()].into(),
        ..World::default()
    };
    let mut storage = NodeStorage {
        pool: LocalPool::Ready { size: 1 },
        mode: PoolMode::Writable,
        copies: Copies { wanted: 2, have: 2, rebuilding: false },
        ..NodeStorage::default()
    };
    change(&mut world, &mut storage);
    world.storage.insert("a".into(), storage);
    world
}

#[test]
fn volumes_say_in_plain_words_how_they_are() {
    use HealthState::{AtRisk, Degraded, Lost, Pending, Unavailable, Whole};
    let lost = || PartValue {
        conditions: vec![said(condition::PROVISIONED, ConditionStatus::False, "Lost", 4)],
        ..part(true)
    };
    let failed = || PartValue {
        conditions: vec![said(condition::PROVISIONED, ConditionStatus::False, "Failed", 4)],
        ..part(false)
    };
    let going = || VolumeValue { deleting: Some(DeletingValue::default()), ..value() };
    let copies = |have, rebuilding| Copies { wanted: 2, have, rebuilding };
    let usual = || world(|_, _| {});
    let rows = [
        ("whole", value(), Some(part(true)), usual(), Whole, "safe against one drive"),
        (
            "a drive is gone",
            value(),
            Some(part(true)),
            world(|_, s| s.copies = copies(1, false)),
            AtRisk,
            "1 of 2 drives of node-1",
        ),
        (
            "a drive rebuilds",
            value(),
            Some(part(true)),
            world(|_, s| s.copies = copies(1, true)),
            Degraded,
            "rebuilding",
        ),
        (
            "made for one drive",
            value(),
            Some(part(true)),
            world(|_, s| s.copies = Copies { wanted: 1, have: 1, rebuilding: false }),
            Whole,
            "the one drive",
        ),
        (
            "the pool is full",
            value(),
            Some(part(true)),
            world(|_, s| s.mode = PoolMode::Full),
            AtRisk,
            "is full",
        ),
        (
            "its tables are full",
            value(),
            Some(part(true)),
            world(|_, s| s.mode = PoolMode::ReadOnly),
            AtRisk,
            "no writes",
        ),
        (
            "the pool failed",
            value(),
            Some(part(true)),
            world(|_, s| s.pool = LocalPool::Failed { reason: "ext4".into() }),
            Unavailable,
            "ext4",
        ),
        (
            "the pool cannot be seen",
            value(),
            Some(part(true)),
            world(|_, s| (s.mode, s.unseen) = (PoolMode::Unknown, "lvs failed".into())),
            Unavailable,
            "lvs failed",
        ),
        (
            "what the pool takes is not known",
            value(),
            Some(part(true)),
            world(|_, s| s.mode = PoolMode::Unknown),
            Unavailable,
            "does not know",
        ),
        (
            "the node was started a moment ago",
            value(),
            Some(part(true)),
            world(|_, s| (s.mode, s.pool) = (PoolMode::Unknown, LocalPool::Pending)),
            Unavailable,
            "not ready yet",
        ),
        (
            "the node is away",
            value(),
            Some(part(true)),
            world(|w, _| w.alive.clear()),
            Unavailable,
            "comes back",
        ),
        ("the node was removed", value(), Some(part(true)), world(|w, _| w.names.clear()), Lost, "no longer"),
        ("lost", value(), Some(lost()), usual(), Lost, "has it no more"),
        ("nobody has looked", value(), None, usual(), Pending, "being made on node-1"),
        ("it fails", value(), Some(failed()), usual(), Pending, "no luck"),
        ("going", going(), Some(part(true)), usual(), Pending, "being deleted"),
        ("going with its node", going(), None, world(|w, _| w.names.clear()), Pending, "once more"),
        (
            "going when it is back",
            going(),
            None,
            world(|w, _| w.alive.clear()),
            Pending,
            "waits for its node",
        ),
    ];
    for (name, value, part, world, state, text) in rows {
        let parts = part.into_iter().map(|part| ("a".to_owned(), part)).collect();
        let told = volume(&value, &parts, &world).health;
        assert_eq!(told.state, state, "{name}: {}", told.text);
        assert!(told.text.contains(text), "{name}: {}", told.text);
    }
}

#[test]
fn volumes_tell_what_nodes_have_done_and_nothing_of_earlier_ones() {
    let mut value = value();
    value.attachment = Some(AttachmentValue { node: "a".into(), token: 3, ..AttachmentValue::default() });
    let snapshot = |id: &str, deleting| SnapshotValue {
        id: id.into(),
        name: id.into(),
        deleting,
        ..SnapshotValue::default()
    };
    value.snapshots = vec![snapshot("s1", false), snapshot("s2", false), snapshot("s3", true)];
    let mut own = part(true);
    own.attached = Some(AttachedValue { token: 3, device: "/dev/x".into() });
    own.snapshots.insert("s1".into(), SnapshotPart { taken_at: 9, ..SnapshotPart::default() });
    own.conditions = vec![
        said(condition::ATTACHED, ConditionStatus::True, "Attached", 4),
        said(condition::PROVISIONED, ConditionStatus::True, "Applied", 3),
    ];
    let world = world(|_, _| {});
    let told = |value: &VolumeValue, part: PartValue| volume(value, &[("a".to_owned(), part)].into(), &world);
    let one = told(&value, own.clone());
    assert_eq!(one.nodes, [Place { id: "a".into(), name: "node-1".into() }]);
    let attachment = one.attachment.unwrap();
    assert_eq!((attachment.state, attachment.device.as_deref()), (AttachmentState::Attached, Some("/dev/x")));
    let states: Vec<_> = one.snapshots.iter().map(|snapshot| snapshot.state).collect();
    assert_eq!(states, [SnapshotState::Ready, SnapshotState::Pending, SnapshotState::Deleting]);
    assert_eq!(one.conditions[0].kind, condition::ATTACHED);
    let old = &one.conditions[1];
    assert_eq!((old.status, old.reason.as_str()), (ConditionStatus::Unknown, "NotTakenUp"));

    let stale = AttachedValue { token: 2, device: "/dev/x".into() };
    let earlier = told(&value, PartValue { attached: Some(stale), ..own.clone() }).attachment.unwrap();
    assert_eq!((earlier.state, earlier.device), (AttachmentState::Attaching, None));
    let another = told(&value, PartValue { volume: "0".into(), ..own });
    assert_eq!((another.used, another.observed_generation, another.conditions.len()), (None, 0, 0));
}
