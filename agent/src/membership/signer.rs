//! The cluster's CA in the record, its key sealed: whichever member has a voter can let others in, so that joining goes
//! on when the node that made the cluster is gone.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use maekin_host::file::{FileError, read_text, write_atomic};

use super::MembershipError;
use crate::app::{App, Member};
use crate::pki::ca::Ca;
use crate::record::keys::{self, under};
use crate::record::values::{CaValue, NodeValue};
use crate::record::{Change, Record};
use crate::sealed::keyring::Ring;
use crate::sealed::sealed_under;

/// Puts the CA into the record, where it is not.
pub(super) async fn publish(record: &Record, ca: &Ca, seal: &Ring) -> Result<(), MembershipError> {
    if record.get::<CaValue>(keys::CA).await?.is_some() {
        return Ok(());
    }
    let sealed_key = seal.seal(keys::CA, ca.key_pem().as_bytes())?;
    let value = CaValue { cert: ca.pem.clone(), sealed_key };
    record.commit(Change::default().if_unchanged(keys::CA, 0).put(keys::CA, &value)?).await?;
    Ok(())
}

/// Where a voter keeps the CA as the record has it, its key sealed: when a whole cluster was off for longer than
/// certificates hold, voters make their own anew from it, and the record is there again.
fn copy_path(app: &App) -> PathBuf {
    app.settings.pki().join("ca.sealed")
}

/// Keeps that copy on a voter, and nowhere else.
///
/// # Errors
/// [`MembershipError`].
pub(crate) async fn keep_copy(app: &App, member: &Member) -> Result<(), MembershipError> {
    let path = copy_path(app);
    let own = member.record.get::<NodeValue>(&under(keys::NODES, &app.node_id)).await?;
    let votes = own.is_some_and(|own| !own.value.record_url.is_empty());
    if !votes && path.exists() {
        let failed = |source| FileError { action: "cannot remove", path: path.clone(), source };
        return Ok(std::fs::remove_file(&path).map_err(failed)?);
    }
    if votes
        && !is_current(&path, &member.seal)
        && let Some(found) = member.record.get::<CaValue>(keys::CA).await?
        && member.seal.open(keys::CA, &found.value.sealed_key).is_ok()
    {
        let text = serde_json::to_vec(&found.value).unwrap_or_default(); // two plain fields always serialize
        write_atomic(&path, &text, 0o600)?;
    }
    Ok(())
}

/// Whether the copy is there, sealed under the key in use.
fn is_current(path: &Path, seal: &Ring) -> bool {
    let Ok(text) = read_text(path, 64 << 10) else { return false };
    let value = serde_json::from_str::<CaValue>(&text).ok();
    let under = value.as_ref().and_then(|value| sealed_under(&value.sealed_key));
    seal.current().is_none_or(|key| under == Some(key.id()))
}

/// The CA, on the node that made it and on voters, without the record.
///
/// # Errors
/// [`MembershipError`].
pub(crate) fn on_disk(app: &App) -> Result<Option<Arc<Ca>>, MembershipError> {
    let (dir, path) = (app.settings.pki(), copy_path(app));
    if let Some(ca) = Ca::load(&dir)? {
        return Ok(Some(Arc::new(ca)));
    }
    let seal = Ring::load(&dir)?;
    if !path.exists() || seal.current().is_none() {
        return Ok(None);
    }
    let damaged = |source| MembershipError::Damaged { path: path.display().to_string(), source };
    let value: CaValue = serde_json::from_str(&read_text(&path, 64 << 10)?).map_err(damaged)?;
    let Ok(key) = seal.open(keys::CA, &value.sealed_key) else {
        tracing::warn!("this voter's copy of the sealed CA is sealed under a key that was given up");
        return Ok(None);
    };
    Ok(Some(Arc::new(Ca::from_pem(value.cert, &String::from_utf8_lossy(&key))?)))
}

/// The CA to sign a new member in with; `None` on a member that has no voter, or not the sealing key. The key is opened
/// for one use, and written down nowhere.
///
/// # Errors
/// [`MembershipError`].
pub(crate) async fn authority(app: &App, member: &Member) -> Result<Option<Arc<Ca>>, MembershipError> {
    if let Some(ca) = &member.ca {
        return Ok(Some(Arc::clone(ca)));
    }
    let own = member.record.get::<NodeValue>(&under(keys::NODES, &app.node_id)).await?;
    let votes = own.is_some_and(|own| !own.value.record_url.is_empty());
    if !votes || member.seal.current().is_none() {
        return Ok(None);
    }
    let Some(found) = member.record.get::<CaValue>(keys::CA).await? else { return Ok(None) };
    let key = member.seal.open(keys::CA, &found.value.sealed_key)?;
    let ca = Ca::from_pem(found.value.cert, &String::from_utf8_lossy(&key))?;
    let fingerprint = ca.fingerprint()?;
    if fingerprint != member.cluster.ca_sha256 {
        let (found, own) = (fingerprint, member.cluster.ca_sha256.clone());
        return Err(MembershipError::OtherCluster { found, own });
    }
    Ok(Some(Arc::new(ca)))
}
