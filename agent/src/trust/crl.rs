//! The list of certificates that hold no longer, on each member. etcd reads the file for each connection that is made;
//! those that there are it would keep, so each voter is restarted once with a new list: one at a time, so that the record
//! goes on.

use std::path::PathBuf;
use std::sync::PoisonError;
use std::time::Duration;

use maekin_host::file::{read_text, write_atomic};
use maekin_image::manifest::sha256_hex;

use super::values::{CrlValue, TurnValue};
use crate::app::{App, Member};
use crate::membership::{MembershipError, etcd};
use crate::record::keys;
use crate::record::look::Look;
use crate::record::{Change, Record};
use crate::settings::Settings;

/// How long a voter has its turn to restart, seconds: one that dies meanwhile keeps the others waiting no longer.
const TURN: i64 = 60;
/// How long its record may take to answer again.
const ANSWER: Duration = Duration::from_secs(30);
const LOOK: Duration = Duration::from_millis(250);

/// The list's file.
pub(crate) const FILE: &str = "removed.crl";

/// Where the list lies.
pub(crate) fn path(settings: &Settings) -> PathBuf {
    settings.pki().join(FILE)
}

/// What the running voter was started with: a digest of the list. It goes with the boot, as the voter does.
fn stamp(settings: &Settings) -> PathBuf {
    settings.run.join("removed.crl.started")
}

/// Before a voter is started in a new boot: it has the list that there is.
pub(crate) fn started(settings: &Settings) {
    let Ok(text) = read_text(&path(settings), 1 << 20) else { return };
    // Lost without harm: the voter is restarted once too often.
    let _ = write_atomic(&stamp(settings), sha256_hex(text.as_bytes()).as_bytes(), 0o600);
}

/// Takes over a new list, where there is one.
///
/// # Errors
/// [`MembershipError`].
pub(crate) async fn tend(app: &App, member: &Member, look: &Look) -> Result<(), MembershipError> {
    let ids: Vec<String> = look.removed.iter().map(|removed| removed.id.clone()).collect();
    if ids.is_empty() || *app.trust.done.lock().unwrap_or_else(PoisonError::into_inner) == ids {
        return Ok(());
    }
    let Some(crl) = member.record.get::<CrlValue>(keys::CRL).await? else { return Ok(()) };
    let (text, settings) = (crl.value.pem, &app.settings);
    let path = path(settings);
    if read_text(&path, 1 << 20).ok().as_ref() != Some(&text) {
        write_atomic(&path, text.as_bytes(), 0o644)?;
    }
    let digest = sha256_hex(text.as_bytes());
    let runs = settings.etcd_env().exists();
    if runs && read_text(&stamp(settings), 1 << 10).ok().as_ref() != Some(&digest) {
        if !take_turn(&member.record, &app.node_id).await? {
            return Ok(()); // another voter is at it
        }
        tracing::info!("this node's voter is restarted, to close the connections of a removed member");
        etcd::restart(app, &member.cluster.id, &member.own).await?;
        write_atomic(&stamp(settings), digest.as_bytes(), 0o600)?;
        answers(&member.record).await;
        member.record.commit(Change::default().delete(keys::CRL_TURN)).await?;
    }
    *app.trust.done.lock().unwrap_or_else(PoisonError::into_inner) = ids;
    Ok(())
}

async fn take_turn(record: &Record, node_id: &str) -> Result<bool, MembershipError> {
    if let Some(held) = record.get::<TurnValue>(keys::CRL_TURN).await? {
        return Ok(held.value.id == node_id);
    }
    let lease = record.grant(TURN).await?;
    let change = Change::default().if_unchanged(keys::CRL_TURN, 0);
    Ok(record
        .commit(change.put_leased(keys::CRL_TURN, &TurnValue { id: node_id.to_owned() }, lease)?)
        .await?)
}

/// Waits until the record answers again; the next voter has its turn after that, or when ours is over.
async fn answers(record: &Record) {
    let again = async {
        while record.names(keys::CLUSTER).await.is_err() {
            tokio::time::sleep(LOOK).await;
        }
    };
    if tokio::time::timeout(ANSWER, again).await.is_err() {
        tracing::warn!("the record does not answer after this node's voter was restarted");
    }
}
