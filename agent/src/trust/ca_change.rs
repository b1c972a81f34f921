//! The cluster's CA is changed after a member was removed, or its machine installed anew, when the sealing key has been:
//! copies of the record on that member's drives hold the CA's key, sealed under a key that lies beside them.
//!
//! The leading member does it, one step at a time, and each step finds out by itself how far the last one came:
//!
//! 1. *trust*: it makes a CA, whose key goes into the record sealed under the new sealing key. Every member checks that
//!    the key opens, trusts both CAs from then on, and restarts its voter with both, one voter after another;
//! 2. *issue*: when all have, the new CA is the cluster's, and every member gets a certificate of it;
//! 3. *drop*: when all have, nobody trusts the old one any more; voters are restarted once more.
//!
//! In each phase those that are there are waited for, those that are away for ten minutes, and so many voters in any
//! case that the record goes on. A voter is restarted while each other one of a member that is there serves. Who comes back
//! later is let in by his key ([`back`]).
//!
//! | module | job |
//! | --- | --- |
//! | [`mod@plan`] | the next step (pure) |
//! | [`own`] | what every member does |
//! | [`kept`] | what it keeps of it, and tells |
//! | [`back`] | coming back after a change |
//! | [`withdraw`] | what names the old CA is taken back |

pub(crate) mod back;
mod kept;
mod own;
pub(crate) mod plan;
mod withdraw;

use maekin_api::cluster::CaChange;

use crate::app::{App, Member};
use crate::audit::{self, Event};
use crate::clock::now;
use crate::errors::chain;
use crate::membership::{MembershipError, signer};
use crate::pki::PkiError;
use crate::pki::ca::Ca;
use crate::pki::identity::Credentials;
use crate::record::keys;
use crate::record::look::{Look, Overview};
use crate::record::values::{CaValue, ClusterValue, TicketValue};
use crate::record::{Change, Record, RecordError};
use crate::sealed::SealError;
use crate::tls::{self, TlsError};
use crate::trust::values::{CaChangeValue, CaPhase};
pub(crate) use kept::{Following, started};
use plan::{Seen, Step, Why, plan};

/// A phase began; in the audit log.
const EVENT: &str = "ca-change";

/// The CA could not be changed, or its change not be followed.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ChangeError {
    /// Keys and certificates.
    #[error(transparent)]
    Pki(#[from] PkiError),
    /// The sealing key: it is asked for.
    #[error(transparent)]
    Seal(#[from] SealError),
    /// The record.
    #[error(transparent)]
    Record(#[from] RecordError),
    /// Our certificate, or our voter.
    #[error(transparent)]
    Membership(#[from] MembershipError),
    /// A file.
    #[error(transparent)]
    File(#[from] maekin_host::file::FileError),
    /// The record names a CA and has it not.
    #[error("the record has no CA at {0}; it is looked for again")]
    NotThere(&'static str),
    /// Somebody put one there who has not the sealing key, or it is another one than is named.
    #[error(
        "the CA at {0} in the record is not the one that is named, or not with its key; it is not trusted"
    )]
    NotItsKey(&'static str),
    /// It was given up before.
    #[error("the CA {0} was given up; it is not trusted again")]
    GivenUp(String),
    /// The sealing key of this node is another one than the record's.
    #[error("this node does not have the sealing key that is in use yet; it is asked for")]
    Behind,
    /// A step came to nothing.
    #[error("the certificate that was given is of another CA than the new one; it is asked for again")]
    Stuck,
}

/// How a fingerprint begins, where one is told from another.
fn id_of(sha256: &str) -> &str {
    sha256.get(..16).unwrap_or(sha256)
}

/// From now on the API shows these, and takes certificates of CAs that were given up for what they are.
///
/// # Errors
/// [`TlsError`].
pub(crate) fn serve(app: &App, credentials: &Credentials) -> Result<(), TlsError> {
    let former = kept::former(&app.settings);
    let config = tls::member_knowing(&app.key, credentials, &former)?;
    app.tls.set_knowing(config, former);
    kept::assume_started(&app.settings, credentials);
    app.trust.ca.took(&app.settings, credentials);
    Ok(())
}

/// Follows the record, and where this node leads, takes the next step.
pub(crate) async fn turn(app: &App, member: &Member, look: &Look) {
    if let Err(e) = own::follow(app, member, look).await {
        tracing::warn!(error = %chain(&e), "the cluster's CA");
    }
    if app.leads() {
        match lead(app, member, look, now()).await {
            Ok(Some(Why::Rest) | None) => {}
            Ok(Some(why)) => tracing::info!(?why, "the change of the cluster's CA waits"),
            Err(e) => tracing::warn!(error = %chain(&e), "the change of the cluster's CA"),
        }
    }
}

/// One step, where there is one; else what is waited for.
async fn lead(app: &App, member: &Member, look: &Look, now: u64) -> Result<Option<Why>, ChangeError> {
    let record = &member.record;
    let found = look.ca_change.as_ref();
    let value = found.map(|found| &found.value);
    let phase = value.map_or(CaPhase::Rest, |value| value.phase);
    let next = match value.filter(|value| value.phase == CaPhase::Trust) {
        Some(value) => next_ca(member, value).await?,
        None => None,
    };
    let named = match value {
        None => record.get::<ClusterValue>(keys::CLUSTER).await?.map(|found| found.value.ca_sha256),
        Some(_) => None,
    };
    let (nodes, issuer) = (look.nodes(), app.trust.ca.with(|state| state.issuer.clone()));
    let mut seen = Seen {
        value,
        seal: look.seal.as_ref().map(|seal| &seal.value),
        nodes: &nodes,
        alive: &look.alive,
        gone: look.gone,
        restored: look.restored,
        named: named.as_deref(),
        issuer: &issuer,
        next_opens: next.is_some(),
        installing: false,
        now,
    };
    let mut step = plan(&seen);
    if step == Step::Issue {
        let tickets: Vec<_> =
            record.list::<TicketValue>(keys::TICKETS).await?.into_iter().map(|t| t.value).collect();
        seen.installing = plan::is_installing(&tickets, now);
        step = plan(&seen);
    }
    let revision = found.map_or(0, |found| found.revision);
    if let Some(value) = value.filter(|_| matches!(phase, CaPhase::Issue | CaPhase::Drop))
        && app.trust.ca.with(|state| state.withdrawn != Some(revision))
    {
        if !withdraw::withdraw(app, record, value).await? {
            return Ok(None);
        }
        app.trust.ca.with(|state| state.withdrawn = Some(revision));
    }
    let before = value.cloned().unwrap_or_default();
    let change = Change::default().if_unchanged(keys::CA_CHANGE, revision);
    let at = |value: CaChangeValue| CaChangeValue { since: now, restored: look.restored, ..value };
    let (change, value) = match step {
        Step::Wait(why) => return Ok(Some(why)),
        Step::Publish => (change, at(CaChangeValue { new: issuer.clone(), ..before })),
        Step::Begin => {
            // In a record that was put back in the middle of a change, members may be at its end already.
            let old = issuer.clone();
            let ca = Ca::make(&member.cluster.name, &member.cluster.id)?;
            let value =
                CaValue { cert: ca.pem.clone(), sealed_key: sealed(member, look, keys::CA_NEXT, &ca)? };
            let change = bound(look, change).put(keys::CA_NEXT, &value)?;
            let new = ca.fingerprint()?;
            let epoch = before.epoch + 1;
            let value =
                CaChangeValue { epoch, phase: CaPhase::Trust, old, new, covered: look.gone, ..before };
            (change, at(value))
        }
        Step::Issue => {
            let Some(ca) = next else { return Ok(None) };
            let change = put_ca(record, member, look, change, &ca).await?.delete(keys::CA_NEXT);
            (change, at(CaChangeValue { phase: CaPhase::Issue, ..before }))
        }
        Step::Drop => (change, at(CaChangeValue { phase: CaPhase::Drop, ..before })),
        Step::Finish => (change, at(before.given_up())),
        Step::Adopt => {
            // Voters have it on disk; one of them leads sooner or later.
            let Some(ca) = signer::on_disk(app)?.filter(|ca| ca.fingerprint().is_ok_and(|ca| ca == issuer))
            else {
                return Ok(Some(Why::Stranger));
            };
            let change = put_ca(record, member, look, change, &ca).await?.delete(keys::CA_NEXT);
            let epoch = before.epoch + 1;
            let old = if before.new.is_empty() { named.unwrap_or_default() } else { before.new.clone() };
            (change, at(CaChangeValue { epoch, old, new: issuer.clone(), ..before }.given_up()))
        }
    };
    if record.commit(change.put(keys::CA_CHANGE, &value)?).await? {
        tracing::info!(?step, epoch = value.epoch, "the change of the cluster's CA");
        tell(app, &step, &value);
    }
    Ok(None)
}

/// A change that is under way, or is due and does not begin, as the API tells it.
pub(crate) fn told(seen: &Overview) -> Option<CaChange> {
    let value = &seen.ca_change.as_ref()?.value;
    let (phase, waits_for) = plan::awaited(value, &seen.nodes(), seen.gone)?;
    Some(CaChange { phase, since: value.since, new_sha256: value.new.clone(), waits_for })
}

/// Says what was done, in the audit log.
fn tell(app: &App, step: &Step, value: &CaChangeValue) {
    let (old, new) = (id_of(&value.old), id_of(&value.new));
    let text = match step {
        Step::Begin => format!("members trust the CA {new} beside {old}, since a member was removed"),
        Step::Issue => format!(
            "the CA {new} is the cluster's: log in anew with `maekin login`, make join tokens and invitations anew"
        ),
        Step::Drop => format!("members give the CA {old} up"),
        Step::Finish => format!("the CA {new} is trusted, and no other"),
        Step::Adopt => format!("the record was put back from before the CA {new}, which stays"),
        Step::Publish | Step::Wait(_) => return,
    };
    audited(app, text);
}

/// Writes into the audit log what this node did.
fn audited(app: &App, text: String) {
    audit::event(app, Event::done(EVENT).named(&app.config.hostname).text(text));
}

/// The CA that is to be the next one; `None` where it is gone, or its key does not open, and another one is to be made.
async fn next_ca(member: &Member, value: &CaChangeValue) -> Result<Option<Ca>, ChangeError> {
    let found = member.record.get::<CaValue>(keys::CA_NEXT).await?;
    Ok(found.and_then(|found| own::vouched(&member.seal, keys::CA_NEXT, &found.value, &value.new).ok()))
}

/// The key of a CA, sealed under the key that the record says is in use.
fn sealed(member: &Member, look: &Look, place: &str, ca: &Ca) -> Result<String, ChangeError> {
    let key = member.seal.current().ok_or(SealError::None)?;
    let named = look.seal.as_ref().map(|seal| seal.value.current.as_str());
    if named != Some(key.digest().as_str()) {
        return Err(ChangeError::Behind);
    }
    Ok(key.seal(place, ca.key_pem().as_bytes())?)
}

/// What is sealed is written only while the record says of the sealing key what we follow.
fn bound(look: &Look, change: Change) -> Change {
    change.if_unchanged(keys::SEAL, look.seal.as_ref().map_or(0, |seal| seal.revision))
}

/// Adds to `change` that the cluster's CA is this one.
async fn put_ca(
    record: &Record,
    member: &Member,
    look: &Look,
    change: Change,
    ca: &Ca,
) -> Result<Change, ChangeError> {
    let value = CaValue { cert: ca.pem.clone(), sealed_key: sealed(member, look, keys::CA, ca)? };
    let cluster = record.get::<ClusterValue>(keys::CLUSTER).await?;
    let cluster = cluster.ok_or(ChangeError::NotThere(keys::CLUSTER))?;
    let told = ClusterValue { ca_sha256: ca.fingerprint()?, ..cluster.value };
    let change = bound(look, change).if_unchanged(keys::CLUSTER, cluster.revision);
    Ok(change.put(keys::CA, &value)?.put(keys::CLUSTER, &told)?)
}

/// One look and what follows from it, as the leader; for tests.
#[cfg(test)]
pub(crate) async fn once(app: &App, member: &Member, now: u64) -> Result<CaChangeValue, ChangeError> {
    let look = member.record.look(&app.node_id).await?;
    own::follow(app, member, &look).await?;
    lead(app, member, &look, now).await?;
    Ok(look.ca_change.clone().map(|found| found.value).unwrap_or_default())
}

/// What a member that does not lead does; for tests.
#[cfg(test)]
pub(crate) async fn follow_once(app: &App, member: &Member) -> Result<(), ChangeError> {
    let look = member.record.look(&app.node_id).await?;
    own::follow(app, member, &look).await
}
