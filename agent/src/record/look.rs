//! One look at all that a member follows every few seconds, and that `GET /v1/cluster` tells: its own entry, the others',
//! who lives, who leads, who votes. One transaction that only reads, and where the voters are wanted, those as the same
//! one that answered it knows them: one question or two, however many things are looked at. On a slow node each takes its
//! time.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Deref;

use etcd_client::{Client, GetOptions, KeyValue, Txn, TxnOp, TxnOpResponse, TxnResponse};
use serde::de::DeserializeOwned;

use super::keys::{self, under};
use super::values::{
    LeaderValue, NodeValue, ReplacedValue, RestoredValue, RolesValue, SealValue, WindowValue,
};
use crate::maintenance::MaintenanceValue;
use crate::trust::values::RemovedValue;

use super::voters::{LIMIT, Voter, to_voter};
use super::{Record, RecordError, Versioned, decode};

/// What was seen, all of it at one revision of the record.
#[derive(Debug, Clone)]
pub(crate) struct Overview {
    /// The members.
    pub(crate) nodes: Vec<Versioned<NodeValue>>,
    /// Ids of the members that give signs of life.
    pub(crate) alive: BTreeSet<String>,
    /// Labels of members, by id.
    pub(crate) roles: BTreeMap<String, Vec<String>>,
    /// Members in maintenance, by id.
    pub(crate) maintenance: BTreeMap<String, MaintenanceValue>,
    /// Nodes that were members.
    pub(crate) removed: Vec<RemovedValue>,
    /// Set where our machine was installed anew as somebody else.
    pub(crate) replaced: Option<ReplacedValue>,
    /// Whether machines are let in.
    pub(crate) window: Option<WindowValue>,
    /// Who leads.
    pub(crate) leader: Option<LeaderValue>,
    /// How often the record was put back.
    pub(crate) restored: u64,
    /// Which sealing key is in use.
    pub(crate) seal: Option<Versioned<SealValue>>,
    /// How many members there were that are none any more.
    pub(crate) gone: u64,
    /// Revision of the list of certificates that hold no longer.
    pub(crate) crl: Option<i64>,
}

impl Overview {
    /// The members, without where they stood.
    pub(crate) fn nodes(&self) -> Vec<NodeValue> {
        self.nodes.iter().map(|n| n.value.clone()).collect()
    }
}

/// The same, and the voters of that moment or later.
#[derive(Debug, Clone)]
pub(crate) struct Look {
    /// The voters, and the one that is being made one.
    pub(crate) voters: Vec<Voter>,
    /// What the record says.
    seen: Overview,
}

impl Deref for Look {
    type Target = Overview;

    fn deref(&self) -> &Overview {
        &self.seen
    }
}

/// The questions of a look, in the order in which [`overview`] reads the answers.
fn questions(node_id: &str) -> Txn {
    let all = || Some(GetOptions::new().with_prefix());
    let names = Some(GetOptions::new().with_prefix().with_keys_only());
    Txn::new().and_then(vec![
        TxnOp::get(under(keys::REPLACED, node_id), None),
        TxnOp::get(keys::NODES, all()),
        TxnOp::get(keys::ROLES, all()),
        TxnOp::get(keys::ALIVE, names),
        TxnOp::get(keys::REMOVED, all()),
        TxnOp::get(keys::WINDOW, None),
        TxnOp::get(keys::LEADER, None),
        TxnOp::get(keys::RESTORED, None),
        TxnOp::get(keys::SEAL, None),
        TxnOp::get(keys::REPLACED, Some(GetOptions::new().with_prefix().with_keys_only())),
        TxnOp::get(keys::MAINTENANCE, all()),
        TxnOp::get(keys::CRL, Some(GetOptions::new().with_keys_only())),
    ])
}

/// What they were answered.
fn overview(answer: &TxnResponse) -> Result<Overview, RecordError> {
    let mut parts = parts(answer);
    let mut part = || parts.next().unwrap_or_default();
    let (replaced, nodes, roles, alive, removed) = (part(), part(), part(), part(), part());
    let (window, leader, restored, seal, all_replaced, maintenance, crl) =
        (part(), part(), part(), part(), part(), part(), part());
    let restored = restored.first().map(value::<RestoredValue>).transpose()?;
    let in_maintenance = |kv: &KeyValue| Ok((name(kv, keys::MAINTENANCE), value::<MaintenanceValue>(kv)?));
    Ok(Overview {
        nodes: nodes.iter().map(decode).collect::<Result<_, RecordError>>()?,
        alive: alive.iter().map(|kv| name(kv, keys::ALIVE)).collect(),
        roles: roles_of(&roles)?,
        maintenance: maintenance.iter().map(in_maintenance).collect::<Result<_, RecordError>>()?,
        removed: removed.iter().map(value).collect::<Result<_, RecordError>>()?,
        replaced: replaced.first().map(value).transpose()?,
        window: window.first().map(value).transpose()?,
        leader: leader.first().map(value).transpose()?,
        restored: restored.map_or(0, |restored| restored.count),
        seal: seal.first().map(decode).transpose()?,
        gone: u64::try_from(removed.len() + all_replaced.len()).unwrap_or(u64::MAX),
        crl: crl.first().map(KeyValue::mod_revision),
    })
}

fn value<T: DeserializeOwned>(kv: &KeyValue) -> Result<T, RecordError> {
    decode(kv).map(|found: Versioned<T>| found.value)
}

/// The keys and values that each read of a transaction found, in their order.
fn parts(answer: &TxnResponse) -> impl Iterator<Item = Vec<KeyValue>> {
    answer.op_responses().into_iter().map(|part| match part {
        TxnOpResponse::Get(got) => got.kvs().to_vec(),
        _ => Vec::new(),
    })
}

/// The last part of a key.
fn name(kv: &KeyValue, prefix: &str) -> String {
    String::from_utf8_lossy(kv.key()).trim_start_matches(prefix).to_owned()
}

fn roles_of(found: &[KeyValue]) -> Result<BTreeMap<String, Vec<String>>, RecordError> {
    let role = |kv: &KeyValue| Ok((name(kv, keys::ROLES), decode::<RolesValue>(kv)?.value.roles));
    found.iter().map(role).collect()
}

impl Record {
    /// Looks, without the voters: one question.
    ///
    /// # Errors
    /// [`RecordError`].
    pub(crate) async fn overview(&self, node_id: &str) -> Result<Overview, RecordError> {
        let txn = questions(node_id);
        let work = async |client: Client| super::kv(&client).txn(txn.clone()).await;
        overview(&self.voters.ask("look at the cluster", LIMIT, work).await?)
    }

    /// Looks. Every answer is at least as new as this call.
    ///
    /// # Errors
    /// [`RecordError`].
    pub(crate) async fn look(&self, node_id: &str) -> Result<Look, RecordError> {
        let txn = questions(node_id);
        let work = async |client: Client| {
            // The transaction brings the asked voter up to date; what it then knows of the voters is as new.
            let answer = super::kv(&client).txn(txn.clone()).await?;
            Ok((answer, client.cluster_client().member_list().await?))
        };
        let (answer, voters) = self.voters.ask_twice("look at the members", LIMIT, work).await?;
        Ok(Look { voters: voters.members().iter().map(to_voter).collect(), seen: overview(&answer)? })
    }
}
