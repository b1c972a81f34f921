//! Volumes in the record: read, and changed by compare-and-swap, from any member.

use std::collections::BTreeMap;

use maekin_api::storage::NodeStorage;
use maekin_api::volumes::{Class, CloneVolume, Limits, NewVolume};
use uuid::Uuid;

use super::edit::{self, Asked, Ending};
use super::place::{Candidate, beside, place};
use super::values::{PartValue, VolumeValue};
use super::{VolumeError, check, tell};
use crate::install::terms::shown;
use crate::liveness::fence::TAKEOVER;
use crate::record::keys::{self, under};
use crate::record::look::Overview;
use crate::record::{Change, Expected, Record, RecordError, Versioned};

/// How often a compare-and-swap is tried.
const TRIES: usize = 8;
/// Most volumes of a cluster.
const MOST: usize = 4096;

/// An id for a volume or a snapshot.
pub(crate) fn new_id() -> String {
    Uuid::new_v4().simple().to_string()
}

/// All volumes, by name; those of a newer release, which this one does not understand, are left out.
///
/// # Errors
/// [`RecordError`].
pub(crate) async fn list(record: &Record) -> Result<Vec<Versioned<VolumeValue>>, RecordError> {
    record.list_known(keys::VOLUMES).await
}

/// What nodes say of the volumes that they have, by the volume's name and the node's id.
pub(crate) type Parts = BTreeMap<String, BTreeMap<String, PartValue>>;

/// What nodes say of the volumes whose names begin so; empty: of all.
///
/// # Errors
/// [`RecordError`].
pub(crate) async fn parts(record: &Record, of: Option<&str>) -> Result<Parts, RecordError> {
    let prefix = of.map_or_else(|| keys::VOLUME_STATUS.to_owned(), tell::parts_of);
    let mut parts = Parts::new();
    for Versioned { value, .. } in record.list_known::<PartValue>(&prefix).await? {
        parts.entry(value.name.clone()).or_default().insert(value.node.clone(), value);
    }
    Ok(parts)
}

/// Storage of nodes, by id.
///
/// # Errors
/// [`RecordError`].
pub(crate) async fn storage(record: &Record) -> Result<BTreeMap<String, NodeStorage>, RecordError> {
    let all = record.list_known::<NodeStorage>(keys::STORAGE).await?;
    Ok(all.into_iter().map(|found| (found.value.id.clone(), found.value)).collect())
}

/// The volume of that name.
///
/// # Errors
/// [`VolumeError`].
pub(crate) async fn get(record: &Record, name: &str) -> Result<Versioned<VolumeValue>, VolumeError> {
    let none = || VolumeError::NoVolume(shown(name));
    check::name("name", name).map_err(|_| none())?; // never let what a stranger sent into a key
    record.get(&under(keys::VOLUMES, name)).await?.ok_or_else(none)
}

/// Makes a volume: the record has it from now on, and the node that gets it makes it.
///
/// # Errors
/// [`VolumeError`].
pub(crate) async fn create(
    record: &Record,
    own: &str,
    new: &NewVolume,
    asked: &Asked,
) -> Result<(), VolumeError> {
    check::name("name", &new.name)?;
    let size = check::size(new.size)?;
    check::limits(&new.limits, &Limits::default())?;
    engine(new.class)?;
    for _ in 0..TRIES {
        let overview = record.overview(own).await?;
        let volumes = list(record).await?;
        free(&volumes, &new.name)?;
        let storage = storage(record).await?;
        let candidates = candidates(&overview, &volumes, &storage);
        let node = place(&candidates, new.node.as_deref(), size)?;
        let value = VolumeValue {
            id: new_id(),
            name: new.name.clone(),
            class: new.class,
            size,
            nodes: vec![node.clone()],
            holders: vec![node.clone()],
            limits: new.limits,
            generation: 1,
            created_at: asked.at,
            by: asked.by.clone(),
            ..VolumeValue::default()
        };
        let made_at = overview.nodes.iter().find(|found| found.value.id == node).map(|found| found.created);
        let key = under(keys::VOLUMES, &new.name);
        let change = Change::default()
            .if_unchanged(&key, 0)
            // One that is removed in this very moment gets no volume.
            .if_created_at(&under(keys::NODES, &node), made_at.unwrap_or_default())
            .put(&key, &value)?;
        if record.commit(change).await? {
            tracing::info!(
                volume = new.name,
                id = value.id,
                size,
                node,
                by = asked.by,
                "a volume was asked for"
            );
            return Ok(());
        }
    }
    Err(VolumeError::Contended)
}

/// Makes a volume that begins with what another one has.
///
/// # Errors
/// [`VolumeError`].
pub(crate) async fn clone(
    record: &Record,
    own: &str,
    source: &str,
    wish: &CloneVolume,
    asked: &Asked,
) -> Result<(), VolumeError> {
    check::name("name", &wish.name)?;
    check::limits(&wish.limits, &Limits::default())?;
    for _ in 0..TRIES {
        let found = get(record, source).await?;
        engine(found.value.class)?;
        let origin = edit::origin(&found.value, wish.snapshot.as_deref())?;
        let size = wish.size.map_or(Ok(found.value.size), check::size)?;
        if size < found.value.size {
            let (name, now) = (wish.name.clone(), found.value.size);
            return Err(VolumeError::Shrinks { name, now, wanted: size });
        }
        let volumes = list(record).await?;
        free(&volumes, &wish.name)?;
        // It is where its origin is, and fills the same pool.
        let overview = record.overview(own).await?;
        let candidates = candidates(&overview, &volumes, &storage(record).await?);
        for node in &found.value.nodes {
            place(&candidates, Some(node), size)?;
        }
        let value = VolumeValue {
            id: new_id(),
            name: wish.name.clone(),
            class: found.value.class,
            size,
            nodes: found.value.nodes.clone(),
            holders: found.value.nodes.clone(),
            limits: wish.limits,
            origin: Some(origin),
            generation: 1,
            created_at: asked.at,
            by: asked.by.clone(),
            ..VolumeValue::default()
        };
        let key = under(keys::VOLUMES, &wish.name);
        let mut change = Change::default();
        for node in overview.nodes.iter().filter(|node| value.nodes.contains(&node.value.id)) {
            // One that is removed in this very moment gets none.
            change = change.if_created_at(&under(keys::NODES, &node.value.id), node.created);
        }
        let change = change
            .if_unchanged(&key, 0)
            // What it begins with stays until it is made: whoever deletes that sees this one.
            .if_unchanged(&under(keys::VOLUMES, source), found.revision)
            .put(&key, &value)?;
        if record.commit(change).await? {
            tracing::info!(volume = wish.name, id = value.id, source, by = asked.by, "a clone was asked for");
            return Ok(());
        }
    }
    Err(VolumeError::Contended)
}

/// Keeps what a volume has at this moment.
///
/// # Errors
/// [`VolumeError`].
pub(crate) async fn snapshot(
    record: &Record,
    own: &str,
    name: &str,
    snapshot: &str,
    asked: &Asked,
) -> Result<VolumeValue, VolumeError> {
    let volumes = list(record).await?;
    if let Some(found) = volumes.iter().find(|found| found.value.name == name) {
        beside(&crowd(record, own, &volumes).await?, &found.value.nodes)?;
    }
    let id = new_id();
    change(record, name, &Expected::Whatever, |old| edit::snapshot(old, &id, snapshot, asked)).await
}

/// Changes the `expected` volume to what `plan` makes of it; what it is then.
///
/// # Errors
/// [`VolumeError`].
pub(crate) async fn change(
    record: &Record,
    name: &str,
    expected: &Expected,
    plan: impl Fn(&VolumeValue) -> Result<VolumeValue, VolumeError>,
) -> Result<VolumeValue, VolumeError> {
    for _ in 0..TRIES {
        let found = get(record, name).await?;
        expected.check(found.revision)?;
        let new = plan(&found.value)?;
        if new == found.value {
            return Ok(new);
        }
        let key = under(keys::VOLUMES, name);
        let change = Change::default().if_unchanged(&key, found.revision).put(&key, &new)?;
        if record.commit(change).await? {
            return Ok(new);
        }
    }
    Err(VolumeError::Contended)
}

/// Has a volume go; false where nothing of it is left already, since its nodes are members no longer.
///
/// # Errors
/// [`VolumeError`].
pub(crate) async fn delete(
    record: &Record,
    own: &str,
    name: &str,
    expected: &Expected,
    with_snapshots: bool,
    asked: &Asked,
) -> Result<bool, VolumeError> {
    for _ in 0..TRIES {
        let found = get(record, name).await?;
        expected.check(found.revision)?;
        let overview = record.overview(own).await?;
        let is_member = |id: &str| overview.nodes.iter().any(|node| node.value.id == id);
        let name_of = |id: &str| name_of(&overview, id);
        let mut value = found.value.clone();
        // An attachment to a node that is gone for good is nobody's.
        if value.attachment.as_ref().is_some_and(|attachment| !is_member(&attachment.node)) {
            value = edit::detach(&value, None, Ending::Forced)?;
        }
        let value = edit::delete(&value, with_snapshots, asked, name_of)?;
        let value = edit::without_gone(value, is_member);
        if value.holders.is_empty() {
            if tell::remove(record, &found).await? {
                tracing::warn!(
                    volume = name,
                    by = asked.by,
                    "a volume is deleted; its nodes were removed before"
                );
                return Ok(false);
            }
            continue;
        }
        if value == found.value {
            return Ok(true);
        }
        let key = under(keys::VOLUMES, name);
        let change = Change::default().if_unchanged(&key, found.revision).put(&key, &value)?;
        if record.commit(change).await? {
            tracing::info!(volume = name, id = value.id, by = asked.by, "a volume shall be deleted");
            return Ok(true);
        }
    }
    Err(VolumeError::Contended)
}

/// Takes a volume from a node that is gone, without its word.
///
/// # Errors
/// [`VolumeError`].
pub(crate) async fn force_detach(
    record: &Record,
    own: &str,
    name: &str,
    expected: &Expected,
    token: Option<u64>,
) -> Result<(), VolumeError> {
    let found = get(record, name).await?;
    expected.check(found.revision)?;
    let new = edit::detach(&found.value, token, Ending::Forced)?;
    let Some(attachment) = &found.value.attachment else { return Ok(()) };
    // A class that another node reaches has to be fenced first, by its engine.
    if found.value.class != Class::Local {
        return Err(VolumeError::NoEngine(found.value.class.word()));
    }
    let overview = record.overview(own).await?;
    if overview.alive.contains(&attachment.node) {
        return Err(VolumeError::Alive(name_of(&overview, &attachment.node)));
    }
    // Its sign of life is gone; what it runs has had its time to stop after that.
    tokio::time::sleep(TAKEOVER).await;
    let key = under(keys::VOLUMES, name);
    let alive = under(keys::ALIVE, &attachment.node);
    let change =
        Change::default().if_unchanged(&key, found.revision).if_unchanged(&alive, 0).put(&key, &new)?;
    if record.commit(change).await? {
        let (node, token) = (&attachment.node, attachment.token);
        tracing::warn!(volume = name, node, token, "an attachment was taken from a node that is gone");
        return Ok(());
    }
    Err(VolumeError::Contended)
}

/// The host name of a member; the id of one that is none.
pub(crate) fn name_of(overview: &Overview, id: &str) -> String {
    let found = overview.nodes.iter().find(|node| node.value.id == id);
    found.map_or_else(|| id.to_owned(), |node| node.value.name.clone())
}

/// The id of the member of that name or id.
///
/// # Errors
/// [`VolumeError::NoNode`].
pub(crate) fn id_of(overview: &Overview, wanted: &str) -> Result<String, VolumeError> {
    let nodes = &overview.nodes;
    let found = nodes
        .iter()
        .find(|node| node.value.id == wanted)
        .or_else(|| nodes.iter().find(|node| node.value.name == wanted));
    found.map(|node| node.value.id.clone()).ok_or_else(|| VolumeError::NoNode(shown(wanted)))
}

/// Whether this release has an engine for the class.
pub(crate) fn engine(class: Class) -> Result<(), VolumeError> {
    match class {
        Class::Local => Ok(()),
        Class::Mirror | Class::Pool => Err(VolumeError::NoEngine(class.word())),
    }
}

fn free(volumes: &[Versioned<VolumeValue>], name: &str) -> Result<(), VolumeError> {
    if let Some(same) = volumes.iter().find(|found| found.value.name == name) {
        let going = same.value.deleting.is_some();
        return Err(VolumeError::Exists { what: "volume", name: name.to_owned(), going });
    }
    if volumes.len() >= MOST {
        return Err(VolumeError::Full { what: "volumes", count: volumes.len() });
    }
    Ok(())
}

/// The members, and how much each can take.
async fn crowd(
    record: &Record,
    own: &str,
    volumes: &[Versioned<VolumeValue>],
) -> Result<Vec<Candidate>, RecordError> {
    let overview = record.overview(own).await?;
    Ok(candidates(&overview, volumes, &storage(record).await?))
}

fn candidates(
    overview: &Overview,
    volumes: &[Versioned<VolumeValue>],
    storage: &BTreeMap<String, NodeStorage>,
) -> Vec<Candidate> {
    let promised = |id: &str| {
        let on = volumes.iter().filter(|found| found.value.nodes.iter().any(|node| node == id));
        on.fold(0_u64, |sum, found| sum.saturating_add(found.value.size))
    };
    let things = |id: &str| {
        let on = volumes.iter().filter(|found| found.value.holders.iter().any(|node| node == id));
        let count = on.map(|found| found.value.snapshots.len().saturating_add(1)).sum::<usize>();
        u64::try_from(count).unwrap_or(u64::MAX)
    };
    let candidate = |node: &Versioned<crate::record::values::NodeValue>| Candidate {
        id: node.value.id.clone(),
        name: node.value.name.clone(),
        alive: overview.alive.contains(&node.value.id),
        maintenance: overview.maintenance.contains_key(&node.value.id),
        storage: storage.get(&node.value.id).cloned(),
        promised: promised(&node.value.id),
        things: things(&node.value.id),
    };
    overview.nodes.iter().map(candidate).collect()
}
