//! Who is there, by gossip; and whether this node reaches a quorum of the record.
//!
//! It begins before this node has reached the record, with the members of the last time: a node that is cut off knows
//! who else is. It never decides who is a member (the record does), and nothing is switched off or moved because of it.
//!
//! | module | job |
//! | --- | --- |
//! | [`wire`] | the socket: packets in, packets out |
//! | [`place`] | what gossip needs: key, cluster, address |
//! | [`memory`] | what is kept for a start without the record |
//! | [`own`] | what this node says of itself |
//! | [`fence`] | until when this node may do what must not run twice (pure) |
//! | [`quorum`] | whether the record answers, since when, the alarm (pure) |
//! | [`state`] | how each member is, and why (pure) |

pub(crate) mod fence;
mod memory;
mod own;
mod place;
mod quorum;
mod state;
mod wire;

use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use maekin_api::alarm::Alarm;
use maekin_api::nodes::NodeInfo;
use maekin_gossip::{Gossip, Liveness, NodeId, PeerView, Status};
use uuid::Uuid;

use crate::app::App;
use crate::clock::now;
use crate::errors::chain;
use crate::maintenance::expected;
use crate::record::look::Look;
use crate::record::values::{NodeValue, ReplacedValue};
use crate::record::{RecordError, keys};
use crate::sealed::SealKey;
use crate::settings::GOSSIP_PORT;
use crate::settings::Settings;
use crate::trust::values::RemovedValue;
use memory::Memory;
use quorum::Quorum;

/// How often is looked whether something else is to be said, or to be asked.
const EVERY: Duration = Duration::from_secs(5);
/// How often the members that were are read.
const REMOVED_EVERY: Duration = Duration::from_secs(60);
/// How soon a start that failed is tried again.
const AGAIN: Duration = Duration::from_secs(2);

/// What is known of who is there.
#[derive(Default)]
pub(crate) struct Keeper {
    shared: Mutex<Shared>,
}

#[derive(Default)]
struct Shared {
    running: Option<Running>,
    /// The members, as the record had them last.
    nodes: Vec<NodeValue>,
    /// Ids of those that renew their sign of life in the record; `None` before the record was seen.
    alive: Option<BTreeSet<String>>,
    roles: BTreeMap<String, Vec<String>>,
    /// How many vote; 0 before the record was seen.
    voters: usize,
    /// Members whose machine was installed anew, by id.
    replaced: BTreeMap<String, ReplacedValue>,
    /// Members that a person removed.
    removed: Vec<RemovedValue>,
    quorum: Quorum,
    own: Status,
    /// When this agent started.
    started: u64,
}

/// Gossip, and the beginning of its time.
struct Running {
    gossip: Gossip,
    born: Instant,
    /// Ids of the cluster's keys that it uses, the one that it seals with first.
    keys: Vec<String>,
}

impl Running {
    /// Follows a change of the cluster's key; without one nothing changes.
    fn set_keys(&mut self, cluster: &[u8; 16], keys: &[SealKey]) {
        let ids: Vec<_> = keys.iter().map(|key| key.id().to_owned()).collect();
        let Some((first, others)) = keys.split_first().filter(|_| ids != self.keys) else { return };
        let others: Vec<Vec<u8>> = others.iter().map(|key| key.derive(<[u8]>::to_vec)).collect();
        let others: Vec<&[u8]> = others.iter().map(Vec::as_slice).collect();
        first.derive(|key| self.gossip.set_keys(cluster, key, &others));
        self.keys = ids;
    }

    fn at(&self) -> Duration {
        self.born.elapsed()
    }
}

/// Another node as gossip has it, with times of the wall clock.
#[derive(Debug, Clone)]
struct Heard {
    liveness: Liveness,
    since: u64,
    status: Option<(Status, u64)>,
}

impl Keeper {
    /// Takes in what a look at the record brought, or that it brought nothing.
    pub(crate) fn looked(&self, look: &Result<Look, RecordError>) {
        let mut shared = self.lock();
        match look {
            Ok(look) => {
                shared.nodes = look.nodes();
                shared.alive = Some(look.alive.clone());
                shared.roles.clone_from(&look.roles);
                shared.removed.clone_from(&look.removed);
                shared.voters = look.voters.iter().filter(|voter| !voter.learner).count();
                shared.quorum.answered(now());
            }
            // It answered; what it said is another matter.
            Err(RecordError::Value { .. } | RecordError::Newer { .. } | RecordError::Changed { .. }) => {
                shared.quorum.answered(now());
            }
            Err(RecordError::Unreachable { .. } | RecordError::Refused { .. }) => shared.quorum.failed(now()),
        }
    }

    /// The record was not even reached since this agent started.
    fn missed(&self) {
        let mut shared = self.lock();
        if shared.running.is_some() && !shared.nodes.is_empty() {
            shared.quorum.failed(now());
        }
    }

    /// Whether this node reaches a quorum.
    pub(crate) fn quorum(&self) -> maekin_api::node::Quorum {
        self.lock().quorum.told()
    }

    /// The alarm of a node that reaches no quorum.
    pub(crate) fn alarm(&self) -> Option<Alarm> {
        let shared = self.lock();
        shared.quorum.alarm(shared.voters)
    }

    /// The members, by name, and those that were.
    pub(crate) fn list(&self, app: &App) -> Vec<NodeInfo> {
        let leader = app.standing().leader.map(|leader| leader.id);
        let (shared, at) = (self.lock(), now());
        let heard = shared.heard(at);
        let facts = |node: &NodeValue| state::Facts {
            own: node.id == app.node_id,
            started: shared.started,
            heard: node_id(&node.id).and_then(|id| heard.get(&id)).cloned(),
            sign: shared.alive.as_ref().map(|alive| alive.contains(&node.id)),
            quorum: shared.quorum.clone(),
            status: shared.own.clone(),
            roles: shared.roles.get(&node.id).cloned().unwrap_or_default(),
            leader: leader.as_ref() == Some(&node.id),
            now: at,
        };
        let info =
            |node: &NodeValue| expected(state::plan_info(node, facts(node)), app.maintenance.of(&node.id));
        let mut all: Vec<_> = shared.nodes.iter().map(info).collect();
        all.sort_by_key(|info| natural(&info.name));
        all.extend(shared.gone());
        all
    }

    /// The members as the record had them last, and where those that are there are heard from, by id.
    pub(crate) fn whereabouts(&self) -> (Vec<NodeValue>, Vec<(String, IpAddr)>) {
        let shared = self.lock();
        let peers = shared.running.as_ref().map(|running| running.gossip.peers()).unwrap_or_default();
        let there = peers.into_iter().filter(|peer| peer.liveness == Liveness::Alive);
        let id = |peer: &PeerView| Uuid::from_bytes(peer.id.0).to_string();
        let heard = there.map(|peer| (id(&peer), peer.address.ip())).collect();
        (shared.nodes.clone(), heard)
    }

    fn lock(&self) -> MutexGuard<'_, Shared> {
        self.shared.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Shared {
    fn heard(&self, now: u64) -> BTreeMap<NodeId, Heard> {
        let Some(running) = &self.running else { return BTreeMap::new() };
        let at = running.at();
        let wall = |moment: Duration| now.saturating_sub(at.saturating_sub(moment).as_secs());
        let heard = |peer: PeerView| Heard {
            liveness: peer.liveness,
            since: wall(peer.since),
            status: peer.status.map(|(status, moment)| (status, wall(moment))),
        };
        running.gossip.peers().into_iter().map(|peer| (peer.id, heard(peer))).collect()
    }

    /// Members that are none any more.
    fn gone(&self) -> Vec<NodeInfo> {
        let replaced = self.replaced.iter().map(|(id, replaced)| {
            let why = format!("its machine was installed anew, as member {}", replaced.by);
            state::gone(id, &replaced.name, replaced.at, why)
        });
        let removed = self.removed.iter().map(|removed| {
            state::gone(&removed.id, &removed.name, removed.at, format!("it was removed by {}", removed.by))
        });
        let gone = |info: &NodeInfo| self.nodes.iter().all(|node| node.id != info.id);
        let mut all: Vec<_> = removed.chain(replaced).filter(gone).collect();
        all.sort_by(|a, b| (&a.id, b.since).cmp(&(&b.id, a.since)));
        all.dedup_by(|a, b| a.id == b.id);
        all
    }

    /// Where the members hear gossip.
    fn seeds(&self) -> Vec<(NodeId, SocketAddr)> {
        self.nodes.iter().filter_map(|node| node_id(&node.id).zip(door(node))).collect()
    }
}

fn node_id(text: &str) -> Option<NodeId> {
    Uuid::try_parse(text).ok().map(|uuid| NodeId(uuid.into_bytes()))
}

/// Where a member hears gossip.
fn door(node: &NodeValue) -> Option<SocketAddr> {
    let default = || Some(SocketAddr::new(node.address.parse().ok()?, GOSSIP_PORT));
    node.gossip.parse().ok().or_else(default)
}

/// `node-10` comes after `node-9`.
fn natural(name: &str) -> (String, u64, String) {
    let digits = name.len() - name.trim_end_matches(|c: char| c.is_ascii_digit()).len();
    let (stem, number) = name.split_at(name.len() - digits);
    (stem.to_owned(), number.parse().unwrap_or(0), name.to_owned())
}

/// The members that this node knew last, where no agent runs that could be asked.
pub(crate) fn remembered(settings: &Settings) -> Vec<NodeValue> {
    Memory::load(&settings.peers()).nodes
}

/// Gossips for as long as it is polled.
pub(crate) async fn run(app: Arc<App>) {
    let memory = Memory::load(&app.settings.peers());
    {
        let mut shared = app.liveness.lock();
        shared.started = now();
        shared.nodes.clone_from(&memory.nodes);
    }
    tokio::join!(gossip(&app, memory), follow(&app));
}

async fn gossip(app: &App, mut memory: Memory) {
    let mut said = String::new();
    loop {
        let outcome = match place::find(app) {
            Ok(Some(place)) => wire::run(app, &place, &mut memory).await,
            Ok(None) => Ok(()),
            Err(e) => Err(e),
        };
        // The same words are said once: a node without a cable would say them for ever.
        if let Err(e) = outcome {
            let words = chain(&e);
            if words != said {
                tracing::warn!(error = words, "gossip");
                said = words;
            }
        }
        tokio::time::sleep(AGAIN).await;
    }
}

/// Reads which members were, and says so while this node does not even get to the record.
async fn follow(app: &App) {
    let begun = Instant::now();
    loop {
        match app.member() {
            Ok(member) => {
                match member.record.list_keyed::<ReplacedValue>(keys::REPLACED).await {
                    Ok(replaced) => app.liveness.lock().replaced = replaced.into_iter().collect(),
                    Err(e) => tracing::debug!(error = %chain(&e), "members that were"),
                }
                tokio::time::sleep(REMOVED_EVERY).await;
            }
            Err(_) => {
                // It was a member before, and gossips as one; only the record is out of its reach.
                if begun.elapsed() > quorum::PATIENCE {
                    app.liveness.missed();
                }
                tokio::time::sleep(EVERY).await;
            }
        }
    }
}

#[cfg(test)]
mod tests;
