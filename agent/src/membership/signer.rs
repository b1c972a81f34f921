//! The cluster's CA in the record, its key sealed: whichever member has a voter can let others in, so that joining goes
//! on when the node that made the cluster is gone. The key is in clear in memory only, for one use at a time.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use maekin_host::file::{FileError, read_text, write_atomic};

use super::MembershipError;
use crate::app::{App, Member};
use crate::pki::ca::Ca;
use crate::pki::identity::Credentials;
use crate::record::keys::{self, under};
use crate::record::values::{CaValue, NodeValue};
use crate::record::{Change, Record};
use crate::sealed::keyring::Ring;
use crate::sealed::{SealKey, sealed_under};

/// Largest file with a CA, bytes.
const LIMIT: u64 = 64 << 10;

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
fn copy_path(dir: &Path) -> PathBuf {
    dir.join("ca.sealed")
}

fn store_copy(dir: &Path, value: &CaValue) -> Result<(), FileError> {
    let text = serde_json::to_vec(value).unwrap_or_default(); // two plain fields always serialize
    write_atomic(&copy_path(dir), &text, 0o600)
}

/// The CA of the cluster that this node makes, made where there is none yet, and sealed before it is written.
///
/// # Errors
/// [`MembershipError`].
pub(super) fn ensure(
    app: &App,
    cluster: &str,
    cluster_id: &str,
    seal: &SealKey,
) -> Result<Arc<Ca>, MembershipError> {
    let dir = app.settings.pki();
    if let Some(ca) = on_disk(app)? {
        return Ok(ca);
    }
    if copy_path(&dir).exists() {
        return Err(MembershipError::SecretGone); // one that does not open is no reason to make another one
    }
    let ca = Ca::make(cluster, cluster_id)?;
    let sealed_key = seal.seal(keys::CA, ca.key_pem().as_bytes())?;
    store_copy(&dir, &CaValue { cert: ca.pem.clone(), sealed_key })?;
    Ok(Arc::new(ca))
}

/// Earlier releases left the CA's key in clear on the node that made the cluster: it is sealed, and what was in clear is
/// overwritten and removed. Each step finds out by itself whether it was done.
fn seal_what_is_in_clear(dir: &Path, seal: &Ring) -> Result<(), MembershipError> {
    let path = dir.join("ca.key");
    if !path.exists() || seal.current().is_none() {
        return Ok(());
    }
    if !copy_path(dir).exists()
        && let Some(ca) = Ca::load(dir)?.filter(Ca::fits)
    {
        let sealed_key = seal.seal(keys::CA, ca.key_pem().as_bytes())?;
        store_copy(dir, &CaValue { cert: ca.pem, sealed_key })?;
    }
    let failed = |source| FileError { action: "cannot erase", path: path.clone(), source };
    let length = path.metadata().map_err(failed)?.len();
    let zeros = vec![0; usize::try_from(length.min(LIMIT)).unwrap_or(0)];
    let file = std::fs::OpenOptions::new().write(true).open(&path).map_err(failed)?;
    std::io::Write::write_all(&mut &file, &zeros).and_then(|()| file.sync_all()).map_err(failed)?;
    Ok(std::fs::remove_file(&path).map_err(failed)?)
}

/// Keeps that copy on a voter, and nowhere else.
///
/// # Errors
/// [`MembershipError`].
pub(crate) async fn keep_copy(app: &App, member: &Member) -> Result<(), MembershipError> {
    let dir = app.settings.pki();
    let path = copy_path(&dir);
    let own = member.record.get::<NodeValue>(&under(keys::NODES, &app.node_id)).await?;
    let votes = own.is_some_and(|own| !own.value.record_url.is_empty());
    if !votes && path.exists() {
        let failed = |source| FileError { action: "cannot remove", path: path.clone(), source };
        return Ok(std::fs::remove_file(&path).map_err(failed)?);
    }
    if votes
        && !is_current(app, &member.seal)
        && let Some(found) = member.record.get::<CaValue>(keys::CA).await?
        && member.seal.open(keys::CA, &found.value.sealed_key).is_ok()
    {
        store_copy(&dir, &found.value)?;
    }
    Ok(())
}

/// Whether the copy is there, is of the CA that signed our certificate, and sealed under the key in use.
fn is_current(app: &App, seal: &Ring) -> bool {
    let dir = app.settings.pki();
    let Ok(text) = read_text(&copy_path(&dir), LIMIT) else { return false };
    let Ok(value) = serde_json::from_str::<CaValue>(&text) else { return false };
    let own = Credentials::load(&dir, &app.key, &app.node_id).ok().flatten();
    let signed_us = own.and_then(|own| own.issuer()).is_none_or(|ca| ca.pem == value.cert);
    signed_us && seal.current().is_none_or(|key| sealed_under(&value.sealed_key) == Some(key.id()))
}

/// The CA, on the node that made it and on voters, without the record.
///
/// # Errors
/// [`MembershipError`].
pub(crate) fn on_disk(app: &App) -> Result<Option<Arc<Ca>>, MembershipError> {
    let dir = app.settings.pki();
    let path = copy_path(&dir);
    let seal = Ring::load(&dir)?;
    seal_what_is_in_clear(&dir, &seal)?;
    if !path.exists() || seal.current().is_none() {
        return Ok(None);
    }
    let damaged = |source| MembershipError::Damaged { path: path.display().to_string(), source };
    let value: CaValue = serde_json::from_str(&read_text(&path, LIMIT)?).map_err(damaged)?;
    let Ok(key) = seal.open(keys::CA, &value.sealed_key) else {
        tracing::warn!("this voter's copy of the sealed CA is sealed under a key that was given up");
        return Ok(None);
    };
    Ok(Some(Arc::new(Ca::from_pem(value.cert, &String::from_utf8_lossy(&key))?)))
}

/// The CA to sign a new member in with; `None` on a member that has no voter, or not the sealing key. The key is opened
/// for one use, and written down nowhere. It is no other than one that this node trusts.
///
/// # Errors
/// [`MembershipError`].
pub(crate) async fn authority(app: &App, member: &Member) -> Result<Option<Arc<Ca>>, MembershipError> {
    let own = member.record.get::<NodeValue>(&under(keys::NODES, &app.node_id)).await?;
    let votes = own.is_some_and(|own| !own.value.record_url.is_empty());
    if !votes || member.seal.current().is_none() {
        return Ok(None);
    }
    let Some(found) = member.record.get::<CaValue>(keys::CA).await? else { return Ok(None) };
    let key = member.seal.open(keys::CA, &found.value.sealed_key)?;
    let ca = Ca::from_pem(found.value.cert, &String::from_utf8_lossy(&key))?;
    let found = ca.fingerprint()?;
    let credentials = Credentials::load(&app.settings.pki(), &app.key, &app.node_id)?;
    let trusted = credentials.map(|own| own.bundle()).transpose()?.unwrap_or_default();
    if !trusted.has(&found) {
        return Err(MembershipError::OtherCa { found, own: trusted.fingerprints().join(", ") });
    }
    Ok(Some(Arc::new(ca)))
}
