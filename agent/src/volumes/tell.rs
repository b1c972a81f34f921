//! A node's part of a volume's status, and what the record may forget. What is to be written is planned (pure).

use maekin_api::settings::SettingsStatus;

use super::plan::{Forget, Plan};
use super::values::{PartValue, VolumeValue};
use crate::desired::applier::Outcome;
use crate::desired::conditions;
use crate::record::keys::{self, under};
use crate::record::{Change, Record, RecordError, Versioned};

/// How much the bytes in use have to change before that is told: a hundredth of the volume, and this at least.
const USED: u64 = 64 << 20;

/// Where a node's part of a volume's status lies.
pub(super) fn part_key(volume: &str, node: &str) -> String {
    format!("{}{volume}/{node}", keys::VOLUME_STATUS)
}

/// What all parts of a volume's status begin with.
pub(super) fn parts_of(volume: &str) -> String {
    format!("{}{volume}/", keys::VOLUME_STATUS)
}

/// A step that failed: which condition it is for, and why.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Failure {
    pub(super) kind: &'static str,
    pub(super) reason: &'static str,
    pub(super) message: String,
}

/// The part with its conditions, where `before` was told. Pure.
pub(super) fn plan_part(plan: &Plan, before: &PartValue, failure: Option<&Failure>, now: u64) -> PartValue {
    let generation = plan.part.observed_generation;
    let mut status = SettingsStatus::default();
    if before.volume == plan.part.volume {
        status.observed_generation = before.observed_generation;
        status.conditions.clone_from(&before.conditions);
    }
    let mut kinds = Vec::new();
    for (kind, outcome) in &plan.says {
        kinds.push(*kind);
        let failed = failure.filter(|failure| failure.kind == *kind);
        match failed {
            Some(failure) => {
                let (reason, message) = (failure.reason, failure.message.clone());
                conditions::note(&mut status, kind, &Outcome::failed(reason, message), generation, now);
            }
            None => conditions::note(&mut status, kind, outcome, generation, now),
        }
    }
    conditions::sum(&mut status, &kinds, generation, now);
    let mut part = PartValue { conditions: status.conditions, ..plan.part.clone() };
    // Bytes in use change all the time: small changes are not worth a write.
    if let (Some(old), Some(new)) = (before.used, part.used)
        && before.size == part.size
        && old.abs_diff(new) < USED.max(part.size / 100)
    {
        part.used = Some(old);
    }
    for (id, snapshot) in &mut part.snapshots {
        let old = before.snapshots.get(id).and_then(|old| old.used);
        if let (Some(old), Some(new)) = (old, snapshot.used)
            && old.abs_diff(new) < USED.max(snapshot.size / 100)
        {
            snapshot.used = Some(old);
        }
    }
    part
}

/// Writes a node's part, unless the volume is not the one any more that it is about; whether it was written.
///
/// # Errors
/// [`RecordError`].
pub(super) async fn part(
    record: &Record,
    volume: &Versioned<VolumeValue>,
    part: &PartValue,
) -> Result<bool, RecordError> {
    let change = Change::default()
        .if_created_at(&under(keys::VOLUMES, &part.name), volume.created)
        .put(&part_key(&part.name, &part.node), part)?;
    record.commit(change).await
}

/// What is left of a volume when `node` has nothing of what `forget` says; `None`: nothing. `others` are the parts of the
/// other nodes that have it. Pure.
pub(super) fn plan_forget(
    value: &VolumeValue,
    node: &str,
    forget: &Forget,
    others: &[PartValue],
) -> Option<VolumeValue> {
    let mut new = value.clone();
    if let Some(token) = forget.attachment
        && new.attached_to(node).is_some_and(|attachment| attachment.releasing && attachment.token == token)
    {
        new.attachment = None;
    }
    let elsewhere =
        |id: &String| others.iter().any(|part| part.volume == value.id && part.snapshots.contains_key(id));
    new.snapshots.retain(|snapshot| {
        let gone = forget.snapshots.contains(&snapshot.id) && snapshot.deleting;
        !gone || elsewhere(&snapshot.id)
    });
    if forget.volume && new.deleting.is_some() {
        new.holders.retain(|holder| holder != node);
        if new.holders.is_empty() {
            return None;
        }
    }
    Some(new)
}

/// Has the record forget what is gone; whether it did. False: somebody changed the volume meanwhile.
///
/// # Errors
/// [`RecordError`].
pub(super) async fn forget(
    record: &Record,
    found: &Versioned<VolumeValue>,
    node: &str,
    forget: &Forget,
) -> Result<bool, RecordError> {
    let value = &found.value;
    let others: Vec<PartValue> = if value.holders.iter().any(|holder| holder != node) {
        let parts = record.list_known::<PartValue>(&parts_of(&value.name)).await?;
        parts.into_iter().map(|part| part.value).filter(|part| part.node != node).collect()
    } else {
        Vec::new()
    };
    match plan_forget(value, node, forget, &others) {
        Some(new) if new == *value => Ok(true),
        Some(new) => {
            let key = under(keys::VOLUMES, &value.name);
            let mut change = Change::default().if_unchanged(&key, found.revision).put(&key, &new)?;
            if forget.volume {
                change = change.delete(&part_key(&value.name, node));
            }
            record.commit(change).await
        }
        None => remove(record, found).await,
    }
}

/// Removes a volume that nobody has anything of; whether it was removed.
///
/// # Errors
/// [`RecordError`].
pub(super) async fn remove(record: &Record, found: &Versioned<VolumeValue>) -> Result<bool, RecordError> {
    let name = &found.value.name;
    let key = under(keys::VOLUMES, name);
    let mut change = Change::default().if_unchanged(&key, found.revision).delete(&key);
    for node in record.names(&parts_of(name)).await? {
        change = change.delete(&part_key(name, &node));
    }
    record.commit(change).await
}

#[cfg(test)]
mod tests {
    use maekin_api::settings::ConditionStatus;
    use maekin_api::volumes::condition;

    use super::*;
    use crate::volumes::values::{AttachmentValue, DeletingValue, SnapshotPart, SnapshotValue};

    fn volume() -> VolumeValue {
        VolumeValue {
            id: "1".into(),
            name: "db".into(),
            nodes: vec!["a".into()],
            holders: vec!["a".into()],
            snapshots: vec![SnapshotValue { id: "s".into(), deleting: true, ..SnapshotValue::default() }],
            attachment: Some(AttachmentValue {
                node: "a".into(),
                token: 5,
                releasing: true,
                ..AttachmentValue::default()
            }),
            ..VolumeValue::default()
        }
    }

    #[test]
    fn volumes_are_forgotten_when_the_last_node_has_nothing_of_them() {
        let gone = Forget { volume: true, ..Forget::default() };
        let deleting = |holders: &[&str]| VolumeValue {
            deleting: Some(DeletingValue::default()),
            holders: holders.iter().map(|id| (*id).to_owned()).collect(),
            ..volume()
        };
        let holders = |value: &VolumeValue| plan_forget(value, "a", &gone, &[]).map(|new| new.holders);
        assert_eq!(holders(&deleting(&["a"])), None);
        assert_eq!(holders(&deleting(&["a", "b"])), Some(vec!["b".to_owned()]));
        assert_eq!(holders(&deleting(&["b"])), Some(vec!["b".to_owned()]), "said before");
        assert_eq!(holders(&volume()), Some(vec!["a".to_owned()]), "it shall stay: nothing is forgotten");

        let snapshot = Forget { snapshots: vec!["s".into()], ..Forget::default() };
        let left =
            |others: &[PartValue]| plan_forget(&volume(), "a", &snapshot, others).unwrap().snapshots.len();
        let mut other = PartValue { volume: "1".into(), ..PartValue::default() };
        assert_eq!(left(&[other.clone()]), 0);
        other.snapshots.insert("s".into(), SnapshotPart::default());
        assert_eq!(left(&[other]), 1, "another node has it still");

        let attachment = |node: &str, token| {
            let forget = Forget { attachment: Some(token), ..Forget::default() };
            plan_forget(&volume(), node, &forget, &[]).unwrap().attachment
        };
        assert_eq!(attachment("a", 5), None);
        assert!(attachment("a", 4).is_some(), "an earlier one");
        assert!(attachment("b", 5).is_some(), "another node's");
    }

    #[test]
    fn volumes_parts_say_what_failed_and_do_not_chatter() {
        let says = vec![
            (condition::PROVISIONED, Outcome::holds("Applied", "")),
            (condition::SNAPSHOTS, Outcome::holds("Applied", "")),
        ];
        let part = PartValue {
            volume: "1".into(),
            observed_generation: 3,
            size: 10 << 30,
            used: Some(5 << 30),
            ..PartValue::default()
        };
        let plan = Plan { says, part, ..Plan::default() };
        let first = plan_part(&plan, &PartValue::default(), None, 10);
        let ready = |part: &PartValue| part.conditions[0].clone();
        assert_eq!((ready(&first).kind.as_str(), ready(&first).status), ("Ready", ConditionStatus::True));
        let mut more = plan.clone();
        more.part.used = Some((5 << 30) + (90 << 20));
        assert_eq!(plan_part(&more, &first, None, 20), first, "less than a hundredth");
        more.part.used = Some(6 << 30);
        assert_eq!(plan_part(&more, &first, None, 20).used, Some(6 << 30));

        let failure =
            Failure { kind: condition::PROVISIONED, reason: "Failed", message: "no\u{1b}[2J room".into() };
        let failed = plan_part(&plan, &first, Some(&failure), 30);
        let sum = ready(&failed);
        assert_eq!((sum.status, sum.reason.as_str(), sum.since), (ConditionStatus::False, "Provisioned", 30));
        assert!(!sum.message.contains('\u{1b}'));
        let another = PartValue { volume: "2".into(), ..first };
        assert_eq!(ready(&plan_part(&plan, &another, None, 40)).since, 40, "of another volume of that name");
    }
}
