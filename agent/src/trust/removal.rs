//! A member is removed by a person's word. Its voter goes first, while the others are a quorum; then, in one transaction,
//! its entry becomes a tombstone, its tickets and its labels go, and its certificates are on the CA's list of those that
//! hold no longer. Each member follows that within seconds: its API refuses the node at its next request and closes the
//! connections that it has, and its etcd is restarted with the new list, one after another (see [`super::crl`]).

mod plan;

use std::time::Duration;

use maekin_api::trust::RemovedNode;

use super::revoke::{revoke, those_of};
use super::values::RemovedValue;
use crate::app::{App, Member};
use crate::install::{TRIES, invites};
use crate::membership::{MembershipError, signer};
use crate::pki::PkiError;
use crate::record::keys::{self, under};
use crate::record::look::Look;
use crate::record::values::{NodeValue, TicketValue};
use crate::record::{Change, Record, RecordError};
pub(crate) use plan::{Named, Refusal};
use plan::{Seen, plan_removal};

/// Most tickets that go in one transaction with their secrets.
const TICKETS: usize = 32;

/// How soon a voter that etcd does not let go yet is tried again.
const AGAIN: Duration = Duration::from_millis(1500);

/// A member was not removed.
#[derive(Debug, thiserror::Error)]
pub(crate) enum RemovalError {
    /// The record could not be used.
    #[error(transparent)]
    Record(#[from] RecordError),
    /// The list of certificates could not be made.
    #[error(transparent)]
    Pki(#[from] PkiError),
    /// The CA's key could not be opened.
    #[error(transparent)]
    Authority(#[from] MembershipError),
    /// There is no such member.
    #[error("there is no member {0}; `maekin-agent status` lists those that there are")]
    NoMember(String),
    /// Two members have that name.
    #[error("several members are called {0}; name the one by its id")]
    Ambiguous(String),
    /// It would do harm.
    #[error(transparent)]
    Refused(#[from] Refusal),
    /// We hold no CA.
    #[error("this node has no voter of the record and so cannot revoke certificates; ask one that has: {0}")]
    NotASigner(String),
    /// Others were faster every time.
    #[error("the record changed under every one of {TRIES} tries; try again")]
    Contended,
}

fn told(value: &RemovedValue) -> RemovedNode {
    RemovedNode { id: value.id.clone(), name: value.name.clone(), by: value.by.clone(), at: value.at }
}

/// Whether `own`, which is the node that asks itself, may go: by the same rules as another one. `volumes` are those that it
/// has.
///
/// # Errors
/// [`Refusal`].
pub(crate) fn check_leaving(
    own: &NodeValue,
    nodes: &[NodeValue],
    look: &Look,
    volumes: &[String],
) -> Result<(), Refusal> {
    // Nobody of these decides: the node is not asked about another one, and another one will do it.
    let (voters, alive) = (&look.voters, &look.alive);
    let seen = Seen { target: own, nodes, voters, alive, own_id: "", volumes, forced: false };
    plan_removal(&seen).map(drop)
}

/// Names of the volumes that a node has something of.
///
/// # Errors
/// [`RecordError`].
pub(crate) async fn volumes_of(record: &Record, node: &str) -> Result<Vec<String>, RecordError> {
    let mut volumes = crate::volumes::store::list(record).await?;
    volumes.retain(|found| found.value.holders.iter().any(|holder| holder == node));
    Ok(volumes.into_iter().map(|found| found.value.name).collect())
}

/// Removes the member that is called `name` or has that id, with its volumes where that is `forced`. One that was removed
/// already stays so.
///
/// # Errors
/// [`RemovalError`].
pub(crate) async fn remove(
    app: &App,
    member: &Member,
    name: &str,
    by: &str,
    forced: bool,
    now: u64,
) -> Result<RemovedNode, RemovalError> {
    let record = &member.record;
    let mut refused = None;
    for _ in 0..TRIES {
        let look = record.look(&app.node_id).await?;
        let mut found = look.nodes.iter().filter(|n| n.value.id == name || n.value.name == name);
        let Some(target) = found.next() else {
            let before = look.removed.iter().filter(|r| r.id == name || r.name == name).max_by_key(|r| r.at);
            let missing = || RemovalError::NoMember(name.chars().take(64).collect());
            return before.map(told).ok_or_else(missing);
        };
        if found.next().is_some() {
            return Err(RemovalError::Ambiguous(name.to_owned()));
        }
        let nodes = look.nodes();
        // Whoever makes a volume after this is seen by the commit.
        let before = record.revision().await?;
        let volumes = volumes_of(record, &target.value.id).await?;
        let seen = Seen {
            target: &target.value,
            nodes: &nodes,
            voters: &look.voters,
            alive: &look.alive,
            own_id: &app.node_id,
            volumes: &volumes,
            forced,
        };
        let plan = plan_removal(&seen)?;
        let Some(ca) = signer::authority(app, member).await? else {
            let signers: Vec<_> = nodes.iter().filter(|n| n.signer).map(|n| n.name.as_str()).collect();
            return Err(RemovalError::NotASigner(signers.join(", ")));
        };
        let (certs, change) = those_of(record, &target.value.id, Change::default()).await?;
        let tombstone = RemovedValue {
            id: target.value.id.clone(),
            name: target.value.name.clone(),
            key_sha256: target.value.key_sha256.clone(),
            by: by.to_owned(),
            at: now,
            certs,
        };
        let change = revoke::<RemovalError>(record, &ca, &tombstone.certs, false, now, change).await?;
        let key = under(keys::NODES, &tombstone.id);
        let mut change = change
            .if_unchanged(&key, target.revision)
            .put(&under(keys::REMOVED, &tombstone.id), &tombstone)?
            .delete(&key);
        if !forced {
            // The voter's end takes seconds: what was made meanwhile is not lost unasked.
            change = change.if_none_changed_since(keys::VOLUMES, before);
        }
        for prefix in [
            keys::ALIVE,
            keys::ROLES,
            keys::AGAIN,
            keys::NODE_SETTINGS,
            keys::NODE_STATUS,
            keys::NETWORK,
            keys::NETWORK_VERDICTS,
            keys::DRIVES,
            keys::MAINTENANCE,
            keys::STORAGE,
        ] {
            change = change.delete(&under(prefix, &tombstone.id));
        }
        let change = without_tickets(member, &target.value, change).await?;
        // The moment between this and the commit is short: a member without a voter might be given another one in it.
        if let Some(voter) = plan.voter {
            if let Err(e) = record.remove_voter(voter).await {
                // etcd changes nothing in the first seconds after another change, while it waits for its voters.
                tracing::info!(error = %crate::errors::chain(&e), "its voter is not taken out yet");
                refused = Some(e);
                tokio::time::sleep(AGAIN).await;
                continue;
            }
            tracing::warn!(node = target.value.name, "its voter was taken out: the node is being removed");
        }
        if record.commit(change).await? {
            let lost = volumes.len();
            tracing::warn!(node = tombstone.name, id = tombstone.id, by, lost, "a member was removed");
            super::look_now(app, member).await;
            return Ok(told(&tombstone));
        }
    }
    Err(refused.map_or(RemovalError::Contended, RemovalError::Record))
}

/// Adds to `change` that the tickets of the node's machine go, with their secrets: its machine is a stranger's from now on.
async fn without_tickets(
    member: &Member,
    node: &NodeValue,
    mut change: Change,
) -> Result<Change, RecordError> {
    if node.mac.is_empty() {
        return Ok(change);
    }
    let tickets = member.record.list::<TicketValue>(keys::TICKETS).await?;
    for ticket in tickets.into_iter().filter(|t| t.value.mac == node.mac).take(TICKETS) {
        change = change.delete(&under(keys::TICKETS, &ticket.value.ticket));
        if let Some(secret) = &ticket.value.secret {
            change = change.delete(&invites::key(secret));
        }
    }
    Ok(change)
}

#[cfg(test)]
mod tests;
