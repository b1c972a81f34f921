//! Maintenance of a node: desired state, said in its settings. A node in maintenance gives up what another one can do as
//! well: it does not lead (and so serves no installations as the master), gets no voter of the record, and takes tasks
//! last. A voter that it has stays: to move one means to copy the record and to change who votes, which is more danger
//! than a node that is off for an hour. Its absence is expected: nothing calls it a fault, and its voter gets another place
//! after [`PLANNED`] only.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{PoisonError, RwLock, RwLockReadGuard};
use std::time::Duration;

use maekin_api::nodes::{InMaintenance, NodeInfo, NodeState};
use serde::{Deserialize, Serialize};

use crate::record::keys::{self, under};
use crate::record::look::Overview;
use crate::record::values::NodeValue;
use crate::record::voters::Voter;
use crate::record::{Change, Record, RecordError};

/// How long the voter of a node in maintenance keeps its place while the node is away.
pub(crate) const PLANNED: Duration = Duration::from_secs(24 * 3600);
/// How long the post of the leader is vacant before a node in maintenance takes it.
pub(crate) const LAST_RESORT: Duration = Duration::from_secs(45);
/// How long it then keeps the post before it tries again to give it up.
pub(crate) const KEEPS: Duration = Duration::from_secs(600);

/// That a node is in maintenance. Written with the node's settings, in the same transaction, so that they never differ.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct MaintenanceValue {
    pub(crate) reason: String,
    pub(crate) since: u64,
    pub(crate) by: String,
}

/// Which nodes are in maintenance, as the record said a moment ago.
#[derive(Debug, Default)]
pub(crate) struct Keeper {
    shared: RwLock<Shared>,
}

#[derive(Debug, Default)]
struct Shared {
    nodes: BTreeMap<String, MaintenanceValue>,
    yields: bool,
}

impl Keeper {
    fn read(&self) -> RwLockReadGuard<'_, Shared> {
        self.shared.read().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes in what a look at the record brought.
    pub(crate) fn looked(&self, own: &str, look: &Overview) {
        let ids = look.nodes.iter().map(|node| node.value.id.as_str());
        let yields = yields(own, ids, &look.alive, &look.maintenance);
        let mut shared = self.shared.write().unwrap_or_else(PoisonError::into_inner);
        if shared.yields != yields {
            tracing::info!(
                yields,
                "maintenance: whether this node leaves to others what they can do as well"
            );
        }
        *shared = Shared { nodes: look.maintenance.clone(), yields };
    }

    /// Whether a node is, why, and since when.
    pub(crate) fn of(&self, id: &str) -> Option<InMaintenance> {
        self.read().nodes.get(id).map(told)
    }

    /// Whether this node is in maintenance and another one can do what it does.
    pub(crate) fn yields(&self) -> bool {
        self.read().yields
    }
}

/// What is told of it.
pub(crate) fn told(value: &MaintenanceValue) -> InMaintenance {
    InMaintenance { reason: value.reason.clone(), since: value.since, by: value.by.clone() }
}

/// Whether `own` is in maintenance while another member is there that is not. Pure.
fn yields<'a>(
    own: &str,
    members: impl Iterator<Item = &'a str>,
    alive: &BTreeSet<String>,
    maintenance: &BTreeMap<String, MaintenanceValue>,
) -> bool {
    let mut others = members.filter(|id| *id != own && alive.contains(*id));
    maintenance.contains_key(own) && others.any(|id| !maintenance.contains_key(id))
}

/// The members as the voters of the record are planned from: one in maintenance is no place for another voter, and the
/// one that it has stays. Pure.
pub(crate) fn places(
    mut nodes: Vec<NodeValue>,
    voters: &[Voter],
    maintenance: &BTreeMap<String, MaintenanceValue>,
) -> Vec<NodeValue> {
    for node in nodes.iter_mut().filter(|node| maintenance.contains_key(&node.id)) {
        if !voters.iter().any(|voter| voter.is_of(node)) {
            node.peer_url.clear();
        }
    }
    nodes
}

/// `info` of a node, with its maintenance: an absence that was said before is no news. Pure.
pub(crate) fn expected(mut info: NodeInfo, maintenance: Option<InMaintenance>) -> NodeInfo {
    if let Some(maintenance) = &maintenance
        && !matches!(info.state, NodeState::Ready | NodeState::Removed)
    {
        let reason = if maintenance.reason.is_empty() { "no reason was said" } else { &maintenance.reason };
        info.why = format!("it is in maintenance ({reason}): {}", info.why);
    }
    info.maintenance = maintenance;
    info
}

/// Adds to `change` that a node is in maintenance for `reason`, or is not any more. Since when stays as it was.
///
/// # Errors
/// [`RecordError`].
pub(crate) async fn written(
    record: &Record,
    id: &str,
    reason: Option<&str>,
    by: &str,
    now: u64,
    change: Change,
) -> Result<Change, RecordError> {
    let key = under(keys::MAINTENANCE, id);
    let found = record.get::<MaintenanceValue>(&key).await?;
    let change = change.if_unchanged(&key, found.as_ref().map_or(0, |found| found.revision));
    let Some(reason) = reason else { return Ok(change.delete(&key)) };
    let since = found.map_or(now, |found| found.value.since);
    change.put(&key, &MaintenanceValue { reason: reason.to_owned(), since, by: by.to_owned() })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn record_a_node_in_maintenance_yields_while_another_can() {
        let value = MaintenanceValue::default;
        /// Name; members; of these alive; of these in maintenance; whether `a` yields.
        type Row =
            (&'static str, &'static [&'static str], &'static [&'static str], &'static [&'static str], bool);
        let rows: [Row; 7] = [
            ("not in maintenance", &["a", "b"], &["a", "b"], &[], false),
            ("another is", &["a", "b"], &["a", "b"], &["b"], false),
            ("we are", &["a", "b"], &["a", "b"], &["a"], true),
            ("we are, alone", &["a"], &["a"], &["a"], false),
            ("we are, and the other is away", &["a", "b"], &["a"], &["a"], false),
            ("all are", &["a", "b"], &["a", "b"], &["a", "b"], false),
            ("we are, and one of two others", &["a", "b", "c"], &["a", "b", "c"], &["a", "b"], true),
        ];
        for (name, members, alive, maintenance, want) in rows {
            let alive = alive.iter().map(|id| (*id).to_owned()).collect();
            let maintenance = maintenance.iter().map(|id| ((*id).to_owned(), value())).collect();
            assert_eq!(yields("a", members.iter().copied(), &alive, &maintenance), want, "{name}");
        }
    }

    #[test]
    fn record_a_node_in_maintenance_is_no_place_for_another_voter() {
        let node =
            |n: u8| NodeValue { id: format!("n{n}"), peer_url: format!("u{n}"), ..NodeValue::default() };
        let voter = Voter { id: 1, peer_url: "u1".into(), name: "n1".into(), learner: false };
        let maintenance = ["n1", "n2"].map(|id| (id.to_owned(), MaintenanceValue::default())).into();
        let urls = places([1, 2, 3].map(node).into(), &[voter], &maintenance);
        let urls: Vec<_> = urls.iter().map(|node| node.peer_url.as_str()).collect();
        assert_eq!(urls, ["u1", "", "u3"]);
        let before = Voter { id: 1, peer_url: "u1".into(), name: "before".into(), learner: false };
        assert_eq!(places(vec![node(1)], &[before], &maintenance)[0].peer_url, "", "its earlier self's");
    }

    #[test]
    fn gossip_an_absence_in_maintenance_is_expected() {
        let info = |state| {
            let wire = serde_json::json!({
                "id": "x", "name": "x", "address": "", "url": "", "state": state, "since": 1, "why": "it is off",
                "version": "", "voter": false, "leader": false, "roles": [], "own": false,
            });
            serde_json::from_value::<NodeInfo>(wire).unwrap()
        };
        let maintenance =
            |reason: &str| Some(InMaintenance { reason: reason.into(), since: 5, by: "eva".into() });
        let rows = [
            ("away", "unreachable", maintenance("a fan"), "it is in maintenance (a fan): it is off"),
            (
                "away, nobody said why",
                "suspect",
                maintenance(""),
                "it is in maintenance (no reason was said): it is off",
            ),
            ("there", "ready", maintenance("a fan"), "it is off"),
            ("away, and not in maintenance", "unreachable", None, "it is off"),
        ];
        for (name, state, maintenance, want) in rows {
            let told = expected(info(state), maintenance.clone());
            assert_eq!((told.why.as_str(), told.maintenance), (want, maintenance), "{name}");
        }
    }
}
