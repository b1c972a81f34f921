//! What a request makes of a volume. Pure: the present, ids and who asks are arguments.

use maekin_api::volumes::{ChangeVolume, Limits};
use serde_json::{Map, Value};

use super::values::{AttachmentValue, DeletingValue, OriginValue, SnapshotValue, VolumeValue};
use super::{VolumeError, check};
use crate::desired::change::merge;

/// Most snapshots of a volume.
pub(crate) const SNAPSHOTS: usize = 64;

/// Who asks, and when.
#[derive(Debug, Clone)]
pub(crate) struct Asked {
    /// His name.
    pub(crate) by: String,
    /// When.
    pub(crate) at: u64,
}

fn alive(old: &VolumeValue) -> Result<VolumeValue, VolumeError> {
    if old.deleting.is_some() {
        return Err(VolumeError::Deleting(old.name.clone()));
    }
    Ok(VolumeValue { generation: old.generation.saturating_add(1), ..old.clone() })
}

/// Another size or other limits, as a merge patch of [`ChangeVolume`] says; the same volume where nothing differs.
///
/// # Errors
/// [`VolumeError`].
pub(crate) fn change(old: &VolumeValue, patch: &Map<String, Value>) -> Result<VolumeValue, VolumeError> {
    let invalid = |e: serde_json::Error| VolumeError::Invalid(e.to_string());
    let now = ChangeVolume { size: Some(old.size), limits: Some(old.limits) };
    let mut whole = serde_json::to_value(now).map_err(invalid)?;
    merge(&mut whole, &Value::Object(patch.clone()));
    let wanted: ChangeVolume = serde_json::from_value(whole).map_err(invalid)?;
    let asked = wanted.size.ok_or_else(|| VolumeError::Invalid("size: cannot be taken away".to_owned()))?;
    let size = check::size(asked)?;
    if size < old.size {
        return Err(VolumeError::Shrinks { name: old.name.clone(), now: old.size, wanted: asked });
    }
    let limits: Limits = wanted.limits.unwrap_or_default();
    check::limits(&limits, &old.limits)?;
    if size == old.size && limits == old.limits {
        return Ok(old.clone());
    }
    Ok(VolumeValue { size, limits, ..alive(old)? })
}

/// Another snapshot.
///
/// # Errors
/// [`VolumeError`].
pub(crate) fn snapshot(
    old: &VolumeValue,
    id: &str,
    name: &str,
    asked: &Asked,
) -> Result<VolumeValue, VolumeError> {
    let mut new = alive(old)?;
    check::name("name", name)?;
    if let Some(same) = old.snapshots.iter().find(|snapshot| snapshot.name == name) {
        return Err(VolumeError::Exists { what: "snapshot", name: name.to_owned(), going: same.deleting });
    }
    if old.snapshots.len() >= SNAPSHOTS {
        return Err(VolumeError::Full { what: "snapshots of this volume", count: old.snapshots.len() });
    }
    new.snapshots.push(SnapshotValue {
        id: id.to_owned(),
        name: name.to_owned(),
        created_at: asked.at,
        by: asked.by.clone(),
        deleting: false,
    });
    Ok(new)
}

/// A snapshot shall go. One that goes already stays as it is.
///
/// # Errors
/// [`VolumeError`].
pub(crate) fn drop_snapshot(old: &VolumeValue, name: &str) -> Result<VolumeValue, VolumeError> {
    let at = old.snapshots.iter().position(|snapshot| snapshot.name == name);
    let at = at.ok_or_else(|| VolumeError::NoSnapshot {
        volume: old.name.clone(),
        snapshot: crate::install::terms::shown(name),
    })?;
    if old.snapshots[at].deleting || old.deleting.is_some() {
        return Ok(old.clone());
    }
    let mut new = alive(old)?;
    new.snapshots[at].deleting = true;
    Ok(new)
}

/// What a clone of it begins with.
///
/// # Errors
/// [`VolumeError`].
pub(crate) fn origin(old: &VolumeValue, snapshot: Option<&str>) -> Result<OriginValue, VolumeError> {
    alive(old)?;
    let (id, name) = (old.id.clone(), old.name.clone());
    let Some(wanted) = snapshot else {
        return Ok(OriginValue { id, name, ..OriginValue::default() });
    };
    let found = old.snapshots.iter().find(|snapshot| snapshot.name == wanted && !snapshot.deleting);
    let found = found.ok_or_else(|| VolumeError::NoSnapshot {
        volume: old.name.clone(),
        snapshot: crate::install::terms::shown(wanted),
    })?;
    Ok(OriginValue { id, name, snapshot: Some(found.id.clone()), snapshot_name: found.name.clone() })
}

/// One node may use it; the same volume where that one may already.
///
/// # Errors
/// [`VolumeError`].
pub(crate) fn attach(
    old: &VolumeValue,
    node: (&str, &str),
    purpose: &str,
    asked: &Asked,
    name_of: impl Fn(&str) -> String,
) -> Result<VolumeValue, VolumeError> {
    let (id, name) = node;
    check::purpose(purpose)?;
    let mut new = alive(old)?;
    if !old.nodes.iter().any(|node| node == id) {
        let (volume, class) = (old.name.clone(), old.class.word());
        return Err(VolumeError::NotThere { name: volume, node: name.to_owned(), class });
    }
    if let Some(attachment) = &old.attachment {
        if attachment.node == id && !attachment.releasing {
            return Ok(old.clone());
        }
        let remedy = match attachment.releasing {
            true => "it is being detached; wait until it is",
            false => "detach it there first",
        };
        return Err(VolumeError::Attached {
            name: old.name.clone(),
            node: name_of(&attachment.node),
            token: attachment.token,
            remedy,
        });
    }
    new.fence = old.fence.saturating_add(1);
    new.attachment = Some(AttachmentValue {
        node: id.to_owned(),
        token: new.fence,
        since: asked.at,
        by: asked.by.clone(),
        purpose: purpose.to_owned(),
        releasing: false,
    });
    Ok(new)
}

/// How an attachment ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Ending {
    /// Its node gives it up, and says so.
    Asked,
    /// Without its word: it was seen to be gone.
    Forced,
}

/// It shall be used no longer; the same volume where nobody may use it, or its node is asked already.
///
/// # Errors
/// [`VolumeError`].
pub(crate) fn detach(
    old: &VolumeValue,
    token: Option<u64>,
    ending: Ending,
) -> Result<VolumeValue, VolumeError> {
    let Some(attachment) = &old.attachment else { return Ok(old.clone()) };
    if let Some(meant) = token
        && meant != attachment.token
    {
        return Err(VolumeError::AnotherToken { name: old.name.clone(), now: attachment.token, meant });
    }
    // Also of a volume that is being deleted, where a release before this one let that begin.
    let mut new = VolumeValue { generation: old.generation.saturating_add(1), ..old.clone() };
    match ending {
        Ending::Asked if attachment.releasing => return Ok(old.clone()),
        Ending::Asked => {
            new.attachment = Some(AttachmentValue { releasing: true, ..attachment.clone() });
        }
        Ending::Forced => new.attachment = None,
    }
    Ok(new)
}

/// It shall go, with its snapshots where that was said; the same volume where it goes already.
///
/// # Errors
/// [`VolumeError`].
pub(crate) fn delete(
    old: &VolumeValue,
    with_snapshots: bool,
    asked: &Asked,
    name_of: impl Fn(&str) -> String,
) -> Result<VolumeValue, VolumeError> {
    if old.deleting.is_some() {
        return Ok(old.clone());
    }
    if let Some(attachment) = &old.attachment {
        return Err(VolumeError::Attached {
            name: old.name.clone(),
            node: name_of(&attachment.node),
            token: attachment.token,
            remedy: "detach it first",
        });
    }
    let count = old.snapshots.iter().filter(|snapshot| !snapshot.deleting).count();
    if count > 0 && !with_snapshots {
        return Err(VolumeError::HasSnapshots { name: old.name.clone(), count });
    }
    let deleting = Some(DeletingValue { at: asked.at, by: asked.by.clone() });
    Ok(VolumeValue { deleting, ..alive(old)? })
}

/// The same without those holders that are members no longer: nobody is left who could say that theirs is gone.
pub(crate) fn without_gone(mut value: VolumeValue, is_member: impl Fn(&str) -> bool) -> VolumeValue {
    if value.deleting.is_some() {
        value.holders.retain(|id| is_member(id));
    }
    value
}

#[cfg(test)]
mod tests;
