//! The cluster's sealing key is changed after a member was removed, or its machine installed anew: what its drives hold
//! opens nothing that is sealed from then on, and nothing that is in the record then. The CA's key, which it does open in the
//! copies of the record beside it, is good for nothing once the CA is changed, which follows ([`crate::trust::ca_change`]).
//!
//! The leading member does it, one step at a time, and each step finds out by itself how far the last one came:
//!
//! 1. it makes a key, keeps it on its disk, and names it in the record by its digest;
//! 2. the members ask each other for it, over TLS with certificates on both sides; whoever is asked looks into the
//!    record first whether who asks is a member at this moment. When all that are there have it, it comes into use;
//! 3. everything sealed is sealed anew, each by compare-and-swap;
//! 4. when nothing is left and all that are there use the new key, the old one is forgotten, on every disk.
//!
//! Nobody seals under a key that was given up: what is sealed is written only while the record still says what the
//! writer follows. A member that was off asks for what it missed when it is back.
//!
//! | module | job |
//! | --- | --- |
//! | [`mod@plan`] | the next step (pure) |
//! | [`pull`] | asking for a key, and being asked |
//! | [`reseal`] | everything that is sealed |

pub(crate) mod plan;
pub(crate) mod pull;
mod reseal;

use super::{SealError, SealKey};
use crate::app::{App, Member};
use crate::clock::now;
use crate::errors::chain;
use crate::membership::MembershipError;
#[cfg(test)]
use crate::record::Versioned;
use crate::record::look::Look;
use crate::record::values::SealValue;
use crate::record::{Change, Record, RecordError, keys};
use plan::{Seen, Step, plan};

/// The key could not be changed, or its change not be followed.
#[derive(Debug, thiserror::Error)]
pub(crate) enum RotationError {
    /// The keys.
    #[error(transparent)]
    Seal(#[from] SealError),
    /// The record.
    #[error(transparent)]
    Record(#[from] RecordError),
    /// Our certificate, or the CA on our disk.
    #[error(transparent)]
    Membership(#[from] MembershipError),
    /// Nobody gave a key.
    #[error("no member gave this node the sealing key {id}: {}; it asks again", .refusals.join("; "))]
    Nobody {
        /// How the key's digest begins.
        id: String,
        /// What they said.
        refusals: Vec<String>,
    },
}

/// Follows the record, and where this node leads, takes the next step.
pub(crate) async fn turn(app: &App, member: &Member, look: &Look) {
    if let Err(e) = follow(app, member, look).await {
        tracing::warn!(error = %chain(&e), "the cluster's sealing key");
    }
    if app.leads()
        && let Err(e) = lead(app, member, look, now()).await
    {
        tracing::warn!(error = %chain(&e), "the change of the cluster's sealing key");
    }
}

/// Has the keys that the record names, and no others.
pub(super) async fn follow(app: &App, member: &Member, look: &Look) -> Result<(), RotationError> {
    let Some(found) = &look.seal else { return Ok(()) };
    let (ring, dir, value) = (&member.seal, app.settings.pki(), &found.value);
    let missing: Vec<_> = value.named().filter(|digest| ring.find(digest).is_none()).collect();
    if missing.is_empty() && ring.revision() == found.revision {
        return Ok(());
    }
    let mut failed = None;
    for digest in missing {
        match pull::ask(app, look, digest).await {
            Ok(key) => ring.add(&dir, key)?,
            Err(e) => failed = Some(e),
        }
    }
    ring.follow(&dir, found.revision, &value.current, &[&value.next, &value.previous])?;
    failed.map_or(Ok(()), Err)
}

/// One step, where there is one.
pub(super) async fn lead(app: &App, member: &Member, look: &Look, now: u64) -> Result<(), RotationError> {
    let (record, ring) = (&member.record, &member.seal);
    let nodes = look.nodes();
    let held = ring.all().iter().map(SealKey::digest).collect::<Vec<_>>();
    let found = look.seal.as_ref();
    let seen = Seen {
        value: found.map(|found| &found.value),
        nodes: &nodes,
        alive: &look.alive,
        gone: look.gone,
        restored: look.restored,
        held: &held,
        now,
    };
    let step = plan(&seen);
    let revision = found.map_or(0, |found| found.revision);
    let before = found.map(|found| found.value.clone()).unwrap_or_default();
    let value = match step {
        Step::Wait => return Ok(()),
        Step::Publish => match ring.current() {
            Some(key) => SealValue { current: key.digest(), since: now, ..SealValue::default() },
            None => return Ok(()),
        },
        Step::Begin => {
            // On disk before it is named; what an earlier try left goes first.
            let dir = app.settings.pki();
            ring.follow(&dir, revision, &before.current, &[&before.previous])?;
            let key = SealKey::make()?;
            let next = key.digest();
            ring.add(&dir, key)?;
            SealValue { epoch: before.epoch + 1, next, covered: look.gone, since: now, ..before }
        }
        Step::Switch => SealValue {
            current: before.next.clone(),
            previous: before.current.clone(),
            next: String::new(),
            since: now,
            ..before
        },
        Step::Adopt => match ring.current() {
            Some(key) => SealValue {
                epoch: before.epoch + 1,
                current: key.digest(),
                previous: before.current.clone(),
                next: String::new(),
                since: now,
                ..before
            },
            None => return Ok(()),
        },
        Step::Reseal { forget } => {
            let left = reseal::turn(app, member, &before, revision, &nodes).await?;
            if left > 0 || !forget {
                return Ok(());
            }
            SealValue { since: now, ..before.given_up() }
        }
    };
    let value = SealValue { restored: look.restored, ..value };
    if write(record, revision, &value).await? {
        tracing::warn!(?step, epoch = value.epoch, "the cluster's sealing key is changed");
        let look = member.record.look(&app.node_id).await?;
        follow(app, member, &look).await?;
    }
    Ok(())
}

async fn write(record: &Record, revision: i64, value: &SealValue) -> Result<bool, RecordError> {
    record.commit(Change::default().if_unchanged(keys::SEAL, revision).put(keys::SEAL, value)?).await
}

/// What the record says of the key.
#[cfg(test)]
async fn read(record: &Record) -> Result<Option<Versioned<SealValue>>, RecordError> {
    record.get::<SealValue>(keys::SEAL).await
}

#[cfg(test)]
mod tests;
