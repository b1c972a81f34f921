//! A volume as the API tells it; its health in words. Pure.

use std::collections::{BTreeMap, BTreeSet};

use maekin_api::node::LocalPool;
use maekin_api::settings::{Condition, ConditionStatus};
use maekin_api::storage::{NodeStorage, PoolMode};
use maekin_api::volumes::{
    Attachment, AttachmentState, Health, HealthState, Origin, Place, Snapshot, SnapshotState, Volume,
    condition,
};

use super::values::{PartValue, SnapshotValue, VolumeValue};

/// What volumes are told from.
#[derive(Debug, Clone, Default)]
pub(crate) struct World {
    /// Host names of the members, by id.
    pub(crate) names: BTreeMap<String, String>,
    /// Ids of the members that give signs of life.
    pub(crate) alive: BTreeSet<String>,
    /// What nodes say of their storage, by id.
    pub(crate) storage: BTreeMap<String, NodeStorage>,
}

impl World {
    /// A node by the name that people know; its id where it is a member no longer.
    pub(crate) fn place(&self, id: &str) -> Place {
        let name = self.names.get(id).map_or(id, String::as_str);
        Place { id: id.to_owned(), name: name.to_owned() }
    }

    fn name(&self, id: &str) -> String {
        self.place(id).name
    }
}

type Parts = BTreeMap<String, PartValue>;

/// The volume, where `parts` are what nodes say of it, by their id.
pub(crate) fn volume(value: &VolumeValue, parts: &Parts, world: &World) -> Volume {
    // What was said of an earlier volume of the name says nothing of this one.
    let parts: Parts = parts
        .iter()
        .filter(|(_, part)| part.volume == value.id)
        .map(|(id, part)| (id.clone(), part.clone()))
        .collect();
    let observed = value.holders.iter().map(|id| parts.get(id).map_or(0, |part| part.observed_generation));
    let used: Option<u64> = value.nodes.iter().filter_map(|id| parts.get(id)?.used).reduce(u64::max);
    let snapshots = value.snapshots.iter().map(|snapshot| self::snapshot(value, snapshot, &parts));
    let origin = value.origin.as_ref().map(|origin| Origin {
        volume: origin.name.clone(),
        snapshot: origin.snapshot.as_ref().map(|_| origin.snapshot_name.clone()),
    });
    Volume {
        name: value.name.clone(),
        id: value.id.clone(),
        class: value.class,
        size: value.size,
        used,
        nodes: value.holders.iter().map(|id| world.place(id)).collect(),
        health: health(value, &parts, world),
        snapshots: snapshots.collect(),
        attachment: attachment(value, &parts, world),
        limits: value.limits,
        origin,
        generation: value.generation,
        observed_generation: observed.min().unwrap_or(0),
        conditions: conditions(value, &parts),
        created: value.created_at,
        created_by: value.by.clone(),
        deleting: value.deleting.as_ref().map(|deleting| deleting.at),
    }
}

/// A snapshot of it.
pub(crate) fn snapshot(value: &VolumeValue, snapshot: &SnapshotValue, parts: &Parts) -> Snapshot {
    let made = value.holders.iter().filter_map(|id| parts.get(id)).filter(|part| part.volume == value.id);
    let made: Vec<_> = made.filter_map(|part| part.snapshots.get(&snapshot.id)).collect();
    let state = match made.first() {
        _ if snapshot.deleting || value.deleting.is_some() => SnapshotState::Deleting,
        None => SnapshotState::Pending,
        Some(_) if made.iter().any(|part| part.lost) => SnapshotState::Lost,
        Some(_) => SnapshotState::Ready,
    };
    Snapshot {
        name: snapshot.name.clone(),
        id: snapshot.id.clone(),
        state,
        created: snapshot.created_at,
        created_by: snapshot.by.clone(),
        taken: made.iter().map(|part| part.taken_at).min(),
        size: made.first().map_or(value.size, |part| part.size),
        used: made.iter().filter_map(|part| part.used).max(),
    }
}

fn attachment(value: &VolumeValue, parts: &Parts, world: &World) -> Option<Attachment> {
    let attachment = value.attachment.as_ref()?;
    let done = parts.get(&attachment.node).and_then(|part| part.attached.as_ref());
    let done = done.filter(|done| done.token == attachment.token);
    let state = match (attachment.releasing, done) {
        (true, _) => AttachmentState::Detaching,
        (false, Some(_)) => AttachmentState::Attached,
        (false, None) => AttachmentState::Attaching,
    };
    Some(Attachment {
        node: world.place(&attachment.node),
        state,
        token: attachment.token,
        device: done.map(|done| done.device.clone()),
        purpose: attachment.purpose.clone(),
        since: attachment.since,
        by: attachment.by.clone(),
    })
}

/// Of each kind the worst that a node says; `Ready` first. What was said of an earlier generation holds no longer.
fn conditions(value: &VolumeValue, parts: &Parts) -> Vec<Condition> {
    let worse = |status: ConditionStatus| match status {
        ConditionStatus::True => 0,
        ConditionStatus::Unknown => 1,
        ConditionStatus::False => 2,
    };
    let mut all: Vec<Condition> = Vec::new();
    for part in parts.values() {
        for said in &part.conditions {
            let mut said = said.clone();
            if said.observed_generation != value.generation && said.status == ConditionStatus::True {
                said.status = ConditionStatus::Unknown;
                "NotTakenUp".clone_into(&mut said.reason);
            }
            match all.iter_mut().find(|old| old.kind == said.kind) {
                Some(old) if worse(said.status) > worse(old.status) => *old = said,
                Some(_) => {}
                None => all.push(said),
            }
        }
    }
    all.sort_by_key(|said| (said.kind != condition::READY, said.kind.clone()));
    all
}

fn say(state: HealthState, text: impl Into<String>) -> Health {
    Health { state, text: text.into(), progress: None, seconds_left: None }
}

/// How it is, in words. For a class that is kept on one node: as well as that node, its pool, and the mirror below that.
fn health(value: &VolumeValue, parts: &Parts, world: &World) -> Health {
    let Some(id) = value.holders.first() else { return say(HealthState::Lost, "lost: no node has it") };
    let (name, part) = (world.name(id), parts.get(id));
    let is_member = world.names.contains_key(id);
    let is_alive = world.alive.contains(id);
    if value.deleting.is_some() {
        let text = match (is_member, is_alive) {
            (false, _) => "is being deleted; its node is a member no longer: delete it once more",
            (true, false) => "is being deleted; waits for its node, which gives no sign of life",
            (true, true) => "is being deleted",
        };
        return say(HealthState::Pending, text);
    }
    if !is_member {
        let text = format!("lost: it was on node {name} alone, which is a member no longer; delete it");
        return say(HealthState::Lost, text);
    }
    if !is_alive {
        let text =
            format!("unavailable: it is on {name} alone, which gives no sign of life; it comes back with it");
        return say(HealthState::Unavailable, text);
    }
    let storage = world.storage.get(id);
    if let Some(LocalPool::Failed { reason }) = storage.map(|storage| &storage.pool) {
        let state =
            if part.is_some_and(|part| part.made) { HealthState::Unavailable } else { HealthState::Pending };
        return say(state, format!("{}: the pool of {name} cannot be used: {reason}", state.word()));
    }
    let Some(part) = part.filter(|part| part.made) else {
        let why = part.and_then(|part| wrong(&part.conditions, condition::PROVISIONED));
        let text = why
            .map_or_else(|| format!("is being made on {name}"), |why| format!("not made on {name}: {why}"));
        return say(HealthState::Pending, text);
    };
    let lost = |c: &&Condition| c.kind == condition::PROVISIONED && c.reason == "Lost";
    if part.conditions.iter().any(|c| lost(&c)) {
        return say(
            HealthState::Lost,
            format!("lost: {name} had it, and has it no more; restore it, or delete it"),
        );
    }
    on_node(&name, storage)
}

/// How what is on a node is.
fn on_node(name: &str, storage: Option<&NodeStorage>) -> Health {
    let Some(storage) = storage else {
        return say(HealthState::Pending, format!("{name} has not said how it is"));
    };
    if storage.pool == LocalPool::Pending {
        let text = format!("unavailable: {name} was started, and its pool is not ready yet");
        return say(HealthState::Unavailable, text);
    }
    if !storage.unseen.is_empty() {
        let text = format!("unavailable: {name} cannot see how its volumes are: {}", storage.unseen);
        return say(HealthState::Unavailable, text);
    }
    match storage.mode {
        PoolMode::Failed => {
            let text = format!("unavailable: the pool of {name} does not answer; see its alarms");
            return say(HealthState::Unavailable, text);
        }
        PoolMode::ReadOnly => {
            let text = format!("at risk: the pool of {name} takes no writes, its tables are full or damaged");
            return say(HealthState::AtRisk, text);
        }
        PoolMode::Full => {
            let text = format!(
                "at risk: the pool of {name} is full, writes to new places fail; what is written stays"
            );
            return say(HealthState::AtRisk, text);
        }
        PoolMode::Unknown => {
            let text = format!("unavailable: {name} does not know what its pool takes; see its alarms");
            return say(HealthState::Unavailable, text);
        }
        PoolMode::Writable => {}
    }
    let copies = storage.copies;
    match (copies.wanted, copies.have) {
        (0, _) => say(HealthState::Whole, format!("whole, on {name} alone")),
        (wanted, have) if have < wanted && copies.rebuilding => say(
            HealthState::Degraded,
            format!(
                "degraded: {have} of {wanted} drives of {name} have it, the other is rebuilding; not safe against the loss of one more"
            ),
        ),
        (wanted, have) if have < wanted => say(
            HealthState::AtRisk,
            format!(
                "at risk: {have} of {wanted} drives of {name} have it; put a blank drive into the bay of the missing one"
            ),
        ),
        (1, _) => {
            say(HealthState::Whole, format!("whole, on the one drive of {name}; not safe against its loss"))
        }
        (wanted, _) => say(
            HealthState::Whole,
            format!(
                "whole, on {wanted} drives of {name}; safe against one drive, not against the loss of {name}"
            ),
        ),
    }
}

fn wrong(conditions: &[Condition], kind: &str) -> Option<String> {
    let found = conditions.iter().find(|c| c.kind == kind && c.status == ConditionStatus::False)?;
    Some(found.message.clone())
}

#[cfg(test)]
mod tests;
