//! What is to be done on this node about a volume, and what is to be said of it. Pure. Planning on what the steps lead to
//! gives none.

use std::collections::BTreeSet;
use std::time::Duration;

use maekin_api::volumes::condition;

use super::engine::{Seen, SeenVolume, Source, Step};
use super::values::{AttachedValue, PartValue, SnapshotPart, VolumeValue};
use crate::desired::applier::Outcome;

/// It is as it was asked for.
const APPLIED: &str = "Applied";
/// It was there, and is not any more.
const LOST: &str = "Lost";
/// Something on the node has it open.
pub(crate) const IN_USE: &str = "InUse";
/// What is under way needs no look before the reconciler's own.
const SOON: Duration = Duration::from_secs(2);

/// What this node shall have of a volume, and what it last said of it.
#[derive(Debug, Clone)]
pub(crate) struct Own<'a> {
    /// How it shall be.
    pub(crate) value: &'a VolumeValue,
    /// What this node said; of another volume of that name: nothing.
    pub(crate) told: PartValue,
}

/// What the volumes of this node want of each other.
#[derive(Debug, Clone, Default)]
pub(crate) struct Bonds {
    /// Volumes and snapshots that clones still begin with: they stay until then.
    needed: BTreeSet<String>,
    /// Volumes and snapshots that are to come.
    coming: BTreeSet<String>,
}

/// What follows for one volume.
#[derive(Debug, Clone, Default)]
pub(crate) struct Plan {
    /// What is to be done, in order.
    pub(crate) steps: Vec<Step>,
    /// What became of its parts.
    pub(crate) says: Vec<(&'static str, Outcome)>,
    /// What is there of it, without conditions.
    pub(crate) part: PartValue,
    /// What the record may forget.
    pub(crate) forget: Forget,
}

/// What the record may forget, since it is gone from this node.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Forget {
    /// Nothing of the volume is left here.
    pub(crate) volume: bool,
    /// Ids of snapshots that are gone.
    pub(crate) snapshots: Vec<String>,
    /// Token of the attachment that was given up.
    pub(crate) attachment: Option<u64>,
}

impl Forget {
    /// Whether there is nothing.
    pub(crate) fn is_empty(&self) -> bool {
        *self == Self::default()
    }
}

/// The part of a volume that a step is for: its condition.
pub(crate) fn concerns(step: &Step, deleting: bool) -> &'static str {
    if deleting {
        return condition::DELETED;
    }
    match step {
        Step::Create { .. } | Step::Clone { .. } | Step::Grow { .. } | Step::Delete { .. } => {
            condition::PROVISIONED
        }
        Step::Snapshot { .. } | Step::DeleteSnapshot { .. } => condition::SNAPSHOTS,
        Step::Attach { .. } | Step::Detach { .. } => condition::ATTACHED,
    }
}

/// What the volumes of this node want of each other.
pub(crate) fn bonds(all: &[Own<'_>], seen: &Seen) -> Bonds {
    let mut bonds = Bonds::default();
    for Own { value, told } in all {
        let there = told.made || seen.volumes.contains_key(&value.id);
        if value.deleting.is_some() {
            continue;
        }
        if !there {
            bonds.coming.insert(value.id.clone());
            if let Some(origin) = &value.origin {
                bonds.needed.insert(origin.snapshot.as_ref().unwrap_or(&origin.id).clone());
            }
        }
        let waits = |id: &String| !seen.snapshots.contains_key(id) && !told.snapshots.contains_key(id);
        let snapshots = value.snapshots.iter().filter(|snapshot| !snapshot.deleting);
        bonds.coming.extend(snapshots.map(|snapshot| snapshot.id.clone()).filter(waits));
    }
    bonds
}

/// Plans for one volume; `node` is this one's id.
pub(crate) fn plan(node: &str, own: &Own<'_>, seen: &Seen, bonds: &Bonds, now: u64) -> Plan {
    let Own { value, told } = own;
    let found = seen.volumes.get(&value.id);
    let part = PartValue {
        volume: value.id.clone(),
        name: value.name.clone(),
        node: node.to_owned(),
        observed_generation: value.generation,
        made: told.made || found.is_some(),
        size: found.map_or(0, |found| found.size),
        used: found.and_then(|found| found.used),
        ..PartValue::default()
    };
    let mut plan = Plan { part, ..Plan::default() };
    if value.deleting.is_some() {
        let outcome = delete(value, found, seen, bonds, &mut plan);
        plan.says.push((condition::DELETED, outcome));
        return plan;
    }
    let outcome = provision(value, told, found, seen, bonds, &mut plan);
    plan.says.push((condition::PROVISIONED, outcome));
    let outcome = snapshots(own, seen, bonds, now, &mut plan);
    plan.says.push((condition::SNAPSHOTS, outcome));
    let outcome = attachment(node, own, found, &mut plan);
    plan.says.push((condition::ATTACHED, outcome));
    plan
}

fn working(reason: &'static str, message: &str) -> Outcome {
    Outcome::working(reason, message, SOON)
}

fn delete(
    value: &VolumeValue,
    found: Option<&SeenVolume>,
    seen: &Seen,
    bonds: &Bonds,
    plan: &mut Plan,
) -> Outcome {
    let snapshots: Vec<&String> =
        value.snapshots.iter().map(|s| &s.id).filter(|id| seen.snapshots.contains_key(*id)).collect();
    if bonds.needed.contains(&value.id) || snapshots.iter().any(|id| bonds.needed.contains(*id)) {
        return working("Cloning", "a clone that begins with it is still being made");
    }
    if found.is_some_and(|found| found.open) {
        return working(IN_USE, "something on this node still has it open");
    }
    if found.is_some_and(|found| found.device.is_some()) {
        plan.steps.push(Step::Detach { id: value.id.clone() });
    }
    plan.steps.extend(snapshots.iter().map(|id| Step::DeleteSnapshot { id: (*id).clone() }));
    if found.is_some() {
        plan.steps.push(Step::Delete { id: value.id.clone() });
    }
    if found.is_none() && snapshots.is_empty() {
        plan.forget.volume = true;
        return Outcome::holds("Gone", "");
    }
    working("Deleting", "")
}

fn provision(
    value: &VolumeValue,
    told: &PartValue,
    found: Option<&SeenVolume>,
    seen: &Seen,
    bonds: &Bonds,
    plan: &mut Plan,
) -> Outcome {
    let id = value.id.clone();
    match (found, &value.origin) {
        (Some(found), _) if found.size < value.size => {
            plan.steps.push(Step::Grow { id, size: value.size });
            working("Growing", "")
        }
        (Some(_), _) => Outcome::holds(APPLIED, ""),
        // What is lost is never replaced by an empty one.
        (None, _) if told.made => Outcome::failed(
            LOST,
            "this node had it, and has it no more: its bytes are gone. Restore it from a backup, or delete it",
        ),
        (None, None) => {
            plan.steps.push(Step::Create { id, size: value.size });
            working("Creating", "")
        }
        (None, Some(origin)) => {
            let (source, from) = match &origin.snapshot {
                Some(snapshot) => (seen.snapshots.contains_key(snapshot), Source::Snapshot(snapshot.clone())),
                None => (seen.volumes.contains_key(&origin.id), Source::Volume(origin.id.clone())),
            };
            let (Source::Snapshot(needed) | Source::Volume(needed)) = &from;
            if source {
                plan.steps.push(Step::Clone { id, from });
                working("Cloning", "")
            } else if bonds.coming.contains(needed) {
                working("WaitsForOrigin", "what it begins with is not made yet")
            } else {
                Outcome::failed("NoOrigin", "what it was to begin with is not there any more; delete it")
            }
        }
    }
}

fn snapshots(own: &Own<'_>, seen: &Seen, bonds: &Bonds, now: u64, plan: &mut Plan) -> Outcome {
    let Own { value, told } = own;
    // One is taken of a volume that is as it shall be: whoever grew it first means to have that in it.
    let whole = seen.volumes.get(&value.id).is_some_and(|found| found.size >= value.size);
    let (mut lost, mut waits) = (Vec::new(), false);
    for snapshot in &value.snapshots {
        let (before, found) = (told.snapshots.get(&snapshot.id), seen.snapshots.get(&snapshot.id));
        match (found, before) {
            (Some(_), _) if snapshot.deleting => {
                waits = true;
                if !bonds.needed.contains(&snapshot.id) {
                    plan.steps.push(Step::DeleteSnapshot { id: snapshot.id.clone() });
                }
            }
            (None, _) if snapshot.deleting => plan.forget.snapshots.push(snapshot.id.clone()),
            (Some(found), before) => {
                let taken_at = before.map_or(now, |before| before.taken_at);
                let part = SnapshotPart { taken_at, size: found.size, used: found.used, lost: false };
                plan.part.snapshots.insert(snapshot.id.clone(), part);
            }
            (None, Some(before)) => {
                lost.push(snapshot.name.as_str());
                plan.part
                    .snapshots
                    .insert(snapshot.id.clone(), SnapshotPart { lost: true, ..before.clone() });
            }
            (None, None) => {
                waits = true;
                if whole {
                    let (id, volume) = (snapshot.id.clone(), value.id.clone());
                    plan.steps.push(Step::Snapshot { id, volume });
                }
            }
        }
    }
    if !lost.is_empty() {
        let names = lost.join(", ");
        return Outcome::failed(
            LOST,
            format!("this node had them, and has them no more: {names}; delete them"),
        );
    }
    if waits { working("Working", "") } else { Outcome::holds(APPLIED, "") }
}

fn attachment(node: &str, own: &Own<'_>, found: Option<&SeenVolume>, plan: &mut Plan) -> Outcome {
    let Own { value, told } = own;
    let id = value.id.clone();
    let open = found.is_some_and(|found| found.open);
    let device = found.and_then(|found| found.device.clone());
    match (value.attached_to(node), device) {
        (Some(attachment), None) if attachment.releasing => {
            plan.forget.attachment = Some(attachment.token);
            working("Detaching", "")
        }
        (Some(attachment), Some(device)) if attachment.releasing => {
            plan.part.attached = told.attached.clone().filter(|before| before.device == device);
            if open {
                return working(IN_USE, "something on this node still has it open");
            }
            plan.steps.push(Step::Detach { id });
            working("Detaching", "")
        }
        (Some(_), _) if found.is_none() => working("WaitsForVolume", "the volume is not there yet"),
        (Some(attachment), device) => {
            let token = attachment.token;
            let before = told.attached.as_ref().is_some_and(|before| before.token == token);
            match device {
                Some(device) if before => {
                    plan.part.attached = Some(AttachedValue { token, device });
                    Outcome::holds("Attached", "")
                }
                _ if open => Outcome::failed(
                    IN_USE,
                    "something on this node has it open by an earlier attachment; end that",
                ),
                _ => {
                    plan.steps.push(Step::Attach { id, token });
                    working("Attaching", "")
                }
            }
        }
        (None, None) => Outcome::holds("Detached", ""),
        (None, Some(_)) if open => {
            Outcome::failed(IN_USE, "something on this node has it open, and nobody may; end that")
        }
        (None, Some(_)) => {
            plan.steps.push(Step::Detach { id });
            working("Detaching", "")
        }
    }
}

#[cfg(test)]
mod tests;
