//! Drives, the policy and what people want, in the record.

use std::collections::BTreeSet;

use maekin_api::drives::{Drive, State, StoragePolicy};
use serde::Deserialize;

use super::identity::is_id;
use super::values::{DrivesValue, PolicyValue, WishValue};
use super::{DriveError, wish};
use crate::clock::now;
use crate::record::keys::{self, under};
use crate::record::values::NodeValue;
use crate::record::{Change, Expected, Record, RecordError};

/// How often a compare-and-swap is tried.
const TRIES: usize = 8;
/// Most drives that people want something of.
const WISHES: usize = 4096;
/// Longest name of a drive that is looked for.
const LONGEST: usize = 64;

/// Under which key it lies what people want of a drive; its id is one by [`is_id`].
pub(super) fn wish_key(id: &str) -> String {
    under(keys::DRIVE_WISHES, id)
}

/// The drives of the rack. `own` are those of the node `node`, which knows them better than the record does.
///
/// # Errors
/// [`RecordError`].
pub(crate) async fn list(record: &Record, node: &str, own: Vec<Drive>) -> Result<Vec<Drive>, RecordError> {
    let found = record.list_keyed_known::<DrivesValue>(keys::DRIVES).await?;
    // Afterwards: one that joins meanwhile is a member before it tells anything.
    let members: BTreeSet<String> = record.names(keys::NODES).await?.into_iter().collect();
    let looked = !own.is_empty();
    let mut all = own;
    for found in found {
        if (looked && found.name == node) || !members.contains(&found.name) {
            continue; // one that was removed tells of nothing
        }
        all.extend(match found.value {
            Some(value) => value.drives,
            None => told(record, &found.name).await?.unwrap_or_default().drives,
        });
    }
    Ok(merge(all))
}

/// What a node tells of its drives, without those that this release does not understand; `None`: nothing.
///
/// # Errors
/// [`RecordError`].
pub(super) async fn told(record: &Record, node: &str) -> Result<Option<DrivesValue>, RecordError> {
    let mut found = record.list_keyed_known::<Lenient>(&under(keys::DRIVES, node)).await?;
    found.retain(|found| found.name.is_empty());
    Ok(found.pop().map(|found| found.value.unwrap_or_default().into()))
}

/// An inventory of which each drive is understood by itself.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Lenient {
    drives: Vec<serde_json::Value>,
    boot: String,
}

impl From<Lenient> for DrivesValue {
    fn from(told: Lenient) -> Self {
        let drives = told.drives.into_iter().filter_map(|drive| serde_json::from_value(drive).ok());
        Self { drives: drives.collect(), boot: told.boot }
    }
}

/// By node and id. One that is gone from one node and is in another one now was moved. Pure.
fn merge(all: Vec<Drive>) -> Vec<Drive> {
    let present: BTreeSet<String> =
        all.iter().filter(|drive| drive.state != State::Gone).map(|drive| drive.id.clone()).collect();
    let moved = |drive: &Drive| drive.state == State::Gone && present.contains(&drive.id);
    let mut all: Vec<Drive> = all.into_iter().filter(|drive| is_id(&drive.id) && !moved(drive)).collect();
    all.sort_by(|a, b| (&a.node, &a.id).cmp(&(&b.node, &b.id)));
    all
}

/// The drive of that id or serial number. Pure.
///
/// # Errors
/// There is none, or there are several.
pub(crate) fn find(all: &[Drive], name: &str) -> Result<Drive, DriveError> {
    let by_id: Vec<&Drive> = all.iter().filter(|drive| drive.id == name).collect();
    let by_serial =
        || all.iter().filter(|drive| !name.is_empty() && drive.serial.eq_ignore_ascii_case(name)).collect();
    let found: Vec<&Drive> = if by_id.is_empty() { by_serial() } else { by_id };
    let shown = || name.chars().map(|c| if c.is_control() { '?' } else { c }).take(LONGEST).collect();
    match found.as_slice() {
        [] => Err(DriveError::NoDrive(shown())),
        [one] => Ok((*one).clone()),
        // Twins in two nodes: what is said of one must not be done to the other.
        several => {
            let ids = several.iter().map(|drive| format!("{} in {}", drive.id, drive.node)).collect();
            Err(DriveError::Ambiguous { name: shown(), ids })
        }
    }
}

/// Somebody consents that storage has a drive.
///
/// # Errors
/// [`DriveError`].
pub(crate) async fn take(record: &Record, drive: &Drive, consent: &str, by: &str) -> Result<(), DriveError> {
    // A consent counts until the machine starts anew: then somebody else may have had the drive.
    let boot = told(record, &drive.node_id).await?.unwrap_or_default().boot;
    let work = |before| wish::plan_take(drive, before, consent, (by, &boot), now()).map(Some);
    change(record, drive, &[], work).await
}

/// Somebody wants a drive emptied. `others` are the other boot drives of its node, where it is one itself: they must stay,
/// also where somebody wants them emptied at this very moment.
///
/// # Errors
/// [`DriveError`].
pub(crate) async fn retire(
    record: &Record,
    drive: &Drive,
    others: &[String],
    reason: &str,
    by: &str,
) -> Result<(), DriveError> {
    let work = |before| Ok(Some(wish::plan_retire(drive, before, reason, by, now())));
    change(record, drive, others, work).await
}

/// Whether `others` stay, which are the other boot drives of the node of `drive`.
///
/// # Errors
/// [`DriveError::OtherRetires`], or the record.
pub(crate) async fn others_stay(record: &Record, drive: &Drive, others: &[String]) -> Result<(), DriveError> {
    bound(record, drive, others, Change::default()).await.map(drop)
}

/// Binds `change` to that: what people want of them must be what it is now.
async fn bound(
    record: &Record,
    drive: &Drive,
    others: &[String],
    mut change: Change,
) -> Result<Change, DriveError> {
    for other in others {
        let key = wish_key(other);
        let found = record.get::<WishValue>(&key).await?;
        let goes =
            |wish: &WishValue| (wish.node == drive.node_id || wish.node.is_empty()) && wish.retire.is_some();
        if found.as_ref().is_some_and(|found| goes(&found.value)) {
            let (id, other, node) = (drive.id.clone(), other.clone(), drive.node.clone());
            return Err(DriveError::OtherRetires { id, other, node });
        }
        change = change.if_unchanged(&key, found.map_or(0, |found| found.revision));
    }
    Ok(change)
}

/// It is empty; false where somebody took that back meanwhile. `others` as in [`retire`].
///
/// # Errors
/// [`DriveError`].
pub(crate) async fn retired(record: &Record, drive: &Drive, others: &[String]) -> Result<bool, DriveError> {
    let mut done = false;
    let work = |before| {
        let wish = wish::plan_retired(before, &drive.node_id, now());
        done = wish.is_some();
        Ok(wish)
    };
    change(record, drive, others, work).await?;
    Ok(done)
}

/// Changes what is wanted of a drive; nothing where nothing comes of it, or where `others` do not stay.
async fn change(
    record: &Record,
    drive: &Drive,
    others: &[String],
    mut plan: impl FnMut(Option<WishValue>) -> Result<Option<WishValue>, DriveError>,
) -> Result<(), DriveError> {
    let key = wish_key(&drive.id);
    for _ in 0..TRIES {
        let change = bound(record, drive, others, Change::default()).await?;
        let found = record.get::<WishValue>(&key).await?;
        let (before, revision) = found.map_or((None, 0), |found| (Some(found.value), found.revision));
        let Some(wish) = plan(before.clone())? else { return Ok(()) };
        if before.as_ref() == Some(&wish)
            || (before.is_none() && wish.consent.is_none() && wish.retire.is_none())
        {
            return Ok(());
        }
        if before.is_none() && record.count(keys::DRIVE_WISHES).await? >= WISHES {
            return Err(DriveError::Full(WISHES));
        }
        if record.commit(change.if_unchanged(&key, revision).put(&key, &wish)?).await? {
            return Ok(());
        }
    }
    Err(DriveError::Contended(TRIES))
}

/// The policy, with its revision; 0 where nobody has said any.
///
/// # Errors
/// [`RecordError`].
pub(crate) async fn policy(record: &Record) -> Result<(StoragePolicy, i64), RecordError> {
    let found = record.get::<PolicyValue>(keys::DRIVE_POLICY).await?;
    let (value, revision) = found.map_or((PolicyValue::default(), 0), |found| (found.value, found.revision));
    let nodes = record.list::<NodeValue>(keys::NODES).await?;
    Ok((shown(&value, nodes.into_iter().map(|node| node.value)), revision))
}

/// The policy by names of nodes; members that are none any more are left out. Pure.
fn shown(value: &PolicyValue, nodes: impl Iterator<Item = NodeValue>) -> StoragePolicy {
    let nodes = nodes.filter_map(|node| Some((node.name, *value.nodes.get(&node.id)?))).collect();
    StoragePolicy { drives: value.drives, nodes }
}

/// The policy by ids of nodes. Pure.
///
/// # Errors
/// [`DriveError::NoNode`].
fn meant(policy: &StoragePolicy, nodes: &[NodeValue]) -> Result<PolicyValue, DriveError> {
    let id = |name: &String| {
        let shown = || name.chars().filter(|c| !c.is_control()).take(LONGEST).collect();
        let found = nodes.iter().find(|node| node.name == *name);
        found.map(|node| node.id.clone()).ok_or_else(|| DriveError::NoNode(shown()))
    };
    let of = policy.nodes.iter().map(|(name, policy)| Ok((id(name)?, *policy)));
    Ok(PolicyValue { drives: policy.drives, nodes: of.collect::<Result<_, DriveError>>()? })
}

/// Says another policy.
///
/// # Errors
/// [`DriveError`].
pub(crate) async fn set_policy(
    record: &Record,
    policy: &StoragePolicy,
    expected: &Expected,
) -> Result<(), DriveError> {
    for _ in 0..TRIES {
        let revision = record.get::<PolicyValue>(keys::DRIVE_POLICY).await?.map_or(0, |found| found.revision);
        expected.check(revision)?;
        let nodes: Vec<NodeValue> =
            record.list::<NodeValue>(keys::NODES).await?.into_iter().map(|node| node.value).collect();
        let change = Change::default().if_unchanged(keys::DRIVE_POLICY, revision);
        if record.commit(change.put(keys::DRIVE_POLICY, &meant(policy, &nodes)?)?).await? {
            return Ok(());
        }
    }
    Err(DriveError::Contended(TRIES))
}

#[cfg(test)]
mod tests;
