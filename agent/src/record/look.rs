//! One look at all that a member follows every few seconds, and that `GET /v1/cluster` tells: its own entry, the others',
//! who lives, who leads, who votes. One transaction that only reads, and where the voters are wanted, those as the same
//! one that answered it knows them: one question or two, however many things are looked at. On a slow node each takes its
//! time.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Deref;

use etcd_client::{Compare, CompareOp, GetOptions, KeyValue, Txn, TxnOp, TxnOpResponse, TxnResponse};
use serde::de::DeserializeOwned;

use super::keys::{self, under};
use super::values::{
    LeaderValue, NodeValue, ReplacedValue, RestoredValue, RolesValue, SealValue, WindowValue,
};
use crate::maintenance::MaintenanceValue;
use crate::trust::values::{CaChangeValue, RemovedValue};

use super::voters::{Client, LIMIT, Voter, to_voter};
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
    /// How far a change of the CA is.
    pub(crate) ca_change: Option<Versioned<CaChangeValue>>,
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

/// What of a place is read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Read {
    /// The value there.
    One,
    /// All values below it.
    All,
    /// The keys below it.
    Names,
    /// When the value there was changed.
    Revision,
}

/// Everything that a look reads, in the order in which [`overview`] reads the answers.
fn reads(node_id: &str) -> [(String, Read); 13] {
    let place = |key: &str, read| (key.to_owned(), read);
    [
        (under(keys::REPLACED, node_id), Read::One),
        place(keys::NODES, Read::All),
        place(keys::ROLES, Read::All),
        place(keys::ALIVE, Read::Names),
        place(keys::REMOVED, Read::All),
        place(keys::WINDOW, Read::One),
        place(keys::LEADER, Read::One),
        place(keys::RESTORED, Read::One),
        place(keys::SEAL, Read::One),
        place(keys::REPLACED, Read::Names),
        place(keys::MAINTENANCE, Read::All),
        place(keys::CRL, Read::Revision),
        place(keys::CA_CHANGE, Read::One),
    ]
}

/// The questions that read it.
fn questions(node_id: &str) -> Vec<TxnOp> {
    let question = |(key, read): (String, Read)| match read {
        Read::One => TxnOp::get(key, None),
        Read::All => TxnOp::get(key, Some(GetOptions::new().with_prefix())),
        Read::Names => TxnOp::get(key, Some(GetOptions::new().with_prefix().with_keys_only())),
        Read::Revision => TxnOp::get(key, Some(GetOptions::new().with_keys_only())),
    };
    reads(node_id).map(question).into()
}

/// The questions that count it.
fn counting(node_id: &str) -> Vec<TxnOp> {
    let count = |(key, read): (String, Read)| match read {
        Read::One | Read::Revision => TxnOp::get(key, Some(GetOptions::new().with_count_only())),
        Read::All | Read::Names => TxnOp::get(key, Some(GetOptions::new().with_prefix().with_count_only())),
    };
    reads(node_id).map(count).into()
}

/// What holds while nothing of it was written since `kept`. That something was removed is seen in how much there is.
fn unwritten(node_id: &str, kept: &Kept) -> Vec<Compare> {
    let compare = |(key, read): (String, Read)| match read {
        // A record that was put back counts its revisions from an earlier one on; and this is then another value.
        Read::One if key == keys::RESTORED => Compare::mod_revision(key, CompareOp::Equal, kept.restored_at),
        Read::One | Read::Revision => {
            Compare::mod_revision(key, CompareOp::Less, kept.revision.saturating_add(1))
        }
        Read::All | Read::Names => {
            Compare::mod_revision(key, CompareOp::Less, kept.revision.saturating_add(1)).with_prefix()
        }
    };
    reads(node_id).map(compare).into()
}

/// What the last look saw, so that the next one need not carry all of it again: the members are many, and seldom change.
#[derive(Debug, Default)]
pub(crate) struct Before(Option<Kept>);

#[derive(Debug)]
struct Kept {
    cluster: u64,
    revision: i64,
    restored_at: i64,
    counts: Vec<i64>,
    seen: Overview,
}

impl Kept {
    /// Of an answer to [`questions`].
    fn of(answer: &TxnResponse) -> Result<Self, RecordError> {
        let restored = reads("").iter().position(|(key, _)| key == keys::RESTORED).unwrap_or_default();
        let restored = parts(answer).nth(restored).unwrap_or_default();
        let (cluster, revision) = place(answer);
        Ok(Self {
            cluster,
            revision,
            restored_at: restored.first().map_or(0, KeyValue::mod_revision),
            counts: counts(answer),
            seen: overview(answer)?,
        })
    }

    /// Whether an answer to [`counting`], where [`unwritten`] held, says that all is as it was. Pure.
    fn still(&self, at: (u64, i64), counts: &[i64]) -> bool {
        at.0 == self.cluster && at.1 >= self.revision && counts == self.counts
    }
}

/// Which cluster's record answered, at which revision.
fn place(answer: &TxnResponse) -> (u64, i64) {
    answer.header().map_or((0, 0), |header| (header.cluster_id(), header.revision()))
}

fn counts(answer: &TxnResponse) -> Vec<i64> {
    let count = |part| match part {
        TxnOpResponse::Get(got) => got.count(),
        _ => 0,
    };
    answer.op_responses().into_iter().map(count).collect()
}

/// What they were answered.
fn overview(answer: &TxnResponse) -> Result<Overview, RecordError> {
    let mut parts = parts(answer);
    let mut part = || parts.next().unwrap_or_default();
    let (replaced, nodes, roles, alive, removed) = (part(), part(), part(), part(), part());
    let (window, leader, restored, seal, all_replaced, maintenance, crl, ca_change) =
        (part(), part(), part(), part(), part(), part(), part(), part());
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
        ca_change: ca_change.first().map(decode).transpose()?,
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
        let txn = Txn::new().and_then(questions(node_id));
        let work = async |client: Client| super::kv(&client).txn(txn.clone()).await;
        overview(&self.voters.ask("look at the cluster", LIMIT, work).await?)
    }

    /// Looks. Every answer is at least as new as this call.
    ///
    /// # Errors
    /// [`RecordError`].
    pub(crate) async fn look(&self, node_id: &str) -> Result<Look, RecordError> {
        self.look_again(node_id, &mut Before::default()).await
    }

    /// The same, by one who looks all the time: what has not changed since `before` is not carried again, so that a look
    /// at many members costs no more than one at a few. Where something was removed meanwhile, everything is asked for
    /// once more.
    ///
    /// # Errors
    /// [`RecordError`]. Nothing is taken from before at the next look then.
    pub(crate) async fn look_again(&self, node_id: &str, before: &mut Before) -> Result<Look, RecordError> {
        let kept = before.0.take();
        let all = Txn::new().and_then(questions(node_id));
        let txn = match &kept {
            None => all.clone(),
            Some(kept) => Txn::new()
                .when(unwritten(node_id, kept))
                .and_then(counting(node_id))
                .or_else(questions(node_id)),
        };
        let (mut answer, voters) = self.look_by(txn).await?;
        let kept = match kept {
            Some(kept) if answer.succeeded() => {
                if kept.still(place(&answer), &counts(&answer)) {
                    kept
                } else {
                    answer = self.look_by(all).await?.0;
                    Kept::of(&answer)?
                }
            }
            _ => Kept::of(&answer)?,
        };
        let seen = kept.seen.clone();
        before.0 = Some(kept);
        Ok(Look { voters, seen })
    }

    async fn look_by(&self, txn: Txn) -> Result<(TxnResponse, Vec<Voter>), RecordError> {
        let work = async |client: Client| {
            // The transaction brings the asked voter up to date; what it then knows of the voters is as new.
            let answer = super::kv(&client).txn(txn.clone()).await?;
            Ok((answer, client.cluster_client().member_list().await?))
        };
        let (answer, voters) = self.voters.ask_twice("look at the members", LIMIT, work).await?;
        Ok((answer, voters.members().iter().map(to_voter).collect()))
    }
}
