//! The record's voters: one on one node, three from three nodes, five from seven, made and replaced by themselves. Where
//! one alone votes and there is another member, that one runs a *learner*: it copies every change within moments, has no
//! vote, and waits. It gets its vote when there are members enough for three, or by a person's word when the first node
//! is gone for good ([`super::restore`]).
//!
//! The leader changes the list, one step at a time, and each step finds out by itself how far the last one came
//! ([`plan_voters`]). Each member looks whether it is in the list, and runs a voter where it is ([`plan_own`]). So a
//! machine may lose power between any two steps.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::{Duration, Instant};

use maekin_api::watch::RECORD;

use super::etcd::{self, VoterFile};
use super::{MembershipError, MembershipFile, ensure_node, own_entry};
use crate::app::{App, Member};
use crate::errors::chain;
use crate::maintenance::{self, PLANNED};
use crate::node_info::Own;
use crate::record::Record;
use crate::record::look::{Before, Look};
use crate::record::news::Seen as SeenState;
use crate::record::values::NodeValue;
use crate::record::voters::Voter;

/// How often is looked.
const EVERY: Duration = Duration::from_secs(3);
/// How long a voter's node is away before another one gets its place.
const GONE: Duration = Duration::from_secs(600);

/// A change of the list of voters.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Step {
    /// Let the node's voter copy the record.
    Add { node: String, peer_url: String },
    /// Give it its vote.
    Promote { id: u64 },
    /// Take a voter out.
    Remove { id: u64 },
}

/// What a step follows from.
struct Seen<'a> {
    voters: &'a [Voter],
    nodes: &'a [NodeValue],
    /// Ids of the members that give signs of life.
    alive: &'a BTreeSet<String>,
    /// Ids of those that gave none for long.
    gone: &'a BTreeSet<String>,
    /// Failure domains by id of the member, where they are known.
    domains: &'a BTreeMap<String, String>,
    /// Ids of the members that are there to vote, and for nothing else.
    witnesses: &'a BTreeSet<String>,
    /// Id of the member that leads.
    own: &'a str,
    /// The members have been the same for long.
    settled: bool,
}

/// The label of a member that votes and takes no other work.
const WITNESS: &str = "witness";

/// The members that are labelled so. Pure.
fn witnesses(roles: &BTreeMap<String, Vec<String>>) -> BTreeSet<String> {
    let is = |roles: &Vec<String>| roles.iter().any(|role| role == WITNESS);
    roles.iter().filter(|(_, roles)| is(roles)).map(|(id, _)| id.clone()).collect()
}

/// The label that names a member's failure domain: `rack=r1`.
const DOMAIN: &str = "rack=";

/// The failure domains that members' labels name. Pure.
fn domains(roles: &BTreeMap<String, Vec<String>>) -> BTreeMap<String, String> {
    let named = |roles: &[String]| roles.iter().find_map(|r| r.strip_prefix(DOMAIN)).map(str::to_owned);
    roles.iter().filter_map(|(id, roles)| Some((id.clone(), named(roles)?))).collect()
}

/// How many voters a cluster of so many members wants.
fn wanted(members: usize) -> usize {
    match members {
        0..=2 => 1,
        3..=6 => 3,
        _ => 5,
    }
}

/// Whether a learner that runs gets its vote: where that leads to an odd number with those that can follow it, since two
/// voters are worse than one. Pure.
fn grows(votes: usize, free: usize, wanted: usize) -> bool {
    let reachable = wanted.min(votes + 1 + free);
    let odd = reachable - usize::from(reachable.is_multiple_of(2));
    // One more than wanted: another one is to go for it.
    wanted > 1 && (votes >= wanted || votes < odd)
}

/// What is to be done about the learner.
enum Learner {
    /// There is none, or it stays one for now and is in nobody's way.
    Stands,
    /// It has to be waited for.
    Awaited,
    /// A step.
    Do(Step),
}

/// Decides that. Pure.
fn plan_learner(seen: &Seen<'_>, node: Option<&NodeValue>, learner: &Voter, free: usize) -> Learner {
    let votes = seen.voters.iter().filter(|v| !v.learner).count();
    let Some(node) = node else { return Learner::Do(Step::Remove { id: learner.id }) };
    let runs = !learner.name.is_empty() && seen.alive.contains(&node.id);
    match (runs, seen.gone.contains(&node.id)) {
        (true, _) if grows(votes, free, wanted(seen.nodes.len())) => {
            Learner::Do(Step::Promote { id: learner.id })
        }
        (false, true) if free > 0 => Learner::Do(Step::Remove { id: learner.id }),
        (true, _) | (false, true) => Learner::Stands,
        (false, false) => Learner::Awaited, // its agent starts it
    }
}

/// The next step; `None` while there is nothing to do, or it has to be waited. A voter that is alive is taken out only
/// for another one in a better place that has its vote already, or as the second of two, and none where the rest would be
/// no quorum. Pure.
fn plan_voters(seen: &Seen<'_>) -> Option<Step> {
    let node_of = |v: &Voter| seen.nodes.iter().find(|n| v.is_of(n));
    let votes: Vec<&Voter> = seen.voters.iter().filter(|v| !v.learner).collect();
    let places = Places::of(seen, &node_of);
    let mut free: Vec<_> =
        seen.nodes.iter().filter(|n| !n.peer_url.is_empty() && seen.alive.contains(&n.id)).collect();
    // etcd takes no second voter at an address: the one that an earlier installation had there goes first.
    free.retain(|n| !seen.voters.iter().any(|v| v.is_of(n) || v.peer_url == n.peer_url));
    free.sort_by_key(|n| (places.crowd(&n.id), !seen.witnesses.contains(&n.id), n.joined_at, n.id.clone()));
    // etcd takes one learner at a time, so it comes first.
    let learner = seen.voters.iter().find(|v| v.learner);
    if let Some(learner) = learner {
        match plan_learner(seen, node_of(learner), learner, free.len()) {
            Learner::Do(step) => return Some(step),
            Learner::Awaited => return None,
            Learner::Stands => {}
        }
    }
    let next = free.first().filter(|_| learner.is_none());
    let next = next.map(|n| Step::Add { node: n.id.clone(), peer_url: n.peer_url.clone() });
    let stands_in = learner.and_then(&node_of).is_some_and(|n| seen.alive.contains(&n.id)) || next.is_some();
    let healthy = votes.iter().filter(|v| node_of(v).is_some_and(|n| seen.alive.contains(&n.id))).count();
    let rest_is_quorum = healthy > votes.len().saturating_sub(1) / 2;
    let lost = |v: &&&Voter| node_of(v).is_none();
    if let Some(voter) = votes.iter().find(lost).filter(|_| rest_is_quorum) {
        return Some(Step::Remove { id: voter.id });
    }
    let wanted = wanted(seen.nodes.len());
    if votes.len() == 1 {
        return next; // a copy at least; whether it becomes a voter is decided when it runs
    }
    // Two voters are worse than one: begin only where the number can be reached.
    if votes.len() < wanted && votes.len() + free.len() >= wanted {
        return next;
    }
    let away = |v: &&&Voter| node_of(v).is_some_and(|n| seen.gone.contains(&n.id));
    if let Some(away) = votes.iter().find(away).filter(|_| rest_is_quorum && stands_in && wanted > 1) {
        return Some(Step::Remove { id: away.id });
    }
    if healthy < votes.len() || votes.len() < wanted || learner.is_some() {
        return None;
    }
    if wanted == 1 {
        // Two members are left of more, and each of their voters needs the other: one of them begins anew as a learner.
        let spare = votes.iter().find(|v| node_of(v).is_some_and(|n| n.id != seen.own));
        return spare.filter(|_| votes.len() == 2 && seen.settled).map(|v| Step::Remove { id: v.id });
    }
    // Everybody is well: one voter that stands where others of them stand moves to where none does.
    let crowded = votes.iter().filter_map(|v| Some((places.voters_at(&node_of(v)?.id)?, v)));
    let (crowd, from) = crowded.max_by_key(|(crowd, v)| (*crowd, node_of(v).map(|n| n.joined_at)))?;
    if votes.len() > wanted {
        return (votes.len() == wanted + 1 && crowd > 1).then_some(Step::Remove { id: from.id });
    }
    let to = places.voters_at(&free.first()?.id)?;
    next.filter(|_| crowd >= to + 2)
}

/// How many voters stand in each failure domain that is known.
struct Places<'a> {
    domains: &'a BTreeMap<String, String>,
    voters: BTreeMap<&'a str, usize>,
}

impl<'a> Places<'a> {
    fn of(seen: &Seen<'a>, node_of: &impl Fn(&Voter) -> Option<&'a NodeValue>) -> Self {
        let mut voters = BTreeMap::new();
        for domain in seen.voters.iter().filter_map(|v| seen.domains.get(&node_of(v)?.id)) {
            *voters.entry(domain.as_str()).or_insert(0) += 1;
        }
        Self { domains: seen.domains, voters }
    }

    /// How many voters stand where this member does; `None` where that is not known.
    fn voters_at(&self, id: &str) -> Option<usize> {
        self.domains.get(id).map(|domain| self.voters.get(domain.as_str()).copied().unwrap_or(0))
    }

    /// The lower, the better a place for one more: nobody there, not known, somebody there.
    fn crowd(&self, id: &str) -> usize {
        self.voters_at(id).map_or(1, |voters| voters * 2)
    }
}

/// What a member does about its own voter.
#[derive(Debug, PartialEq, Eq)]
enum OwnStep {
    /// Nothing: it has none.
    Nothing,
    /// It has one, known by this id: it shall run.
    Run(VoterFile),
    /// It was added anew: what an earlier one left is erased, then it is started.
    Fresh(VoterFile),
    /// It was taken out: it is ended, and what it had is erased.
    End,
}

/// Decides that. `data` is whether a voter ever ran here. Pure.
fn plan_own(file: Option<&VoterFile>, data: bool, own: (&str, &str), voters: &[Voter]) -> OwnStep {
    let (node_id, peer_url) = own;
    let Some(mine) = voters.iter().find(|v| v.is_at(node_id, peer_url)) else {
        // Its node has another address now, which is no reason to lose what it has.
        let known = |v: &&Voter| file.is_some_and(|f| f.id == hex(v.id)) || (data && v.name == node_id);
        return match (file, voters.iter().find(known)) {
            (Some(file), Some(v)) if file.id == hex(v.id) => {
                OwnStep::Run(VoterFile { learner: v.learner, ..file.clone() })
            }
            (_, Some(v)) => OwnStep::Run(VoterFile {
                id: hex(v.id),
                initial: initial(node_id, voters),
                learner: v.learner,
            }),
            (Some(_), None) => OwnStep::End,
            (None, None) if data => OwnStep::End,
            (None, None) => OwnStep::Nothing,
        };
    };
    let initial = initial(node_id, voters);
    let (id, learner) = (hex(mine.id), mine.learner);
    match file {
        Some(file) if file.id == id => OwnStep::Run(VoterFile { learner, ..file.clone() }),
        // The voter that made the record or restored it, or a file that was lost. One that votes was started, and what
        // it has is never erased: it may be all that there is.
        _ if data && !mine.learner && !mine.name.is_empty() => {
            OwnStep::Run(VoterFile { id, initial, learner })
        }
        None if data && !mine.name.is_empty() => OwnStep::Run(VoterFile { id, initial, learner }),
        _ => OwnStep::Fresh(VoterFile { id, initial, learner }),
    }
}

/// The voters as etcd wants them. One that was not started has no name yet; only ours can be like that.
fn initial(node_id: &str, voters: &[Voter]) -> String {
    let name = |v: &Voter| if v.name.is_empty() { node_id.to_owned() } else { v.name.clone() };
    voters.iter().map(|v| format!("{}={}", name(v), v.peer_url)).collect::<Vec<_>>().join(",")
}

/// Whether this node's voter has no vote, as far as it has heard.
pub(crate) fn is_learner(app: &App) -> bool {
    VoterFile::load(app).ok().flatten().is_some_and(|voter| voter.learner)
}

/// Writes down at once which voter is ours, so that a power cut finds it written.
pub(super) fn write_down(
    app: &App,
    file: Option<&VoterFile>,
    own: &Own,
    voters: &[Voter],
) -> Result<(), MembershipError> {
    let peer_url = etcd::peer_url(app, own);
    match plan_own(file, etcd::has_data(app), (&app.node_id, &peer_url), voters) {
        OwnStep::Run(voter) if file != Some(&voter) => voter.store(app),
        _ => Ok(()),
    }
}

fn hex(id: u64) -> String {
    format!("{id:016x}")
}

/// The addresses at which this node asks the record: its own voter first. Pure.
fn plan_endpoints(local: Option<String>, own_id: &str, nodes: &[NodeValue]) -> Vec<String> {
    let others = nodes.iter().filter(|n| n.id != own_id && !n.record_url.is_empty());
    local.into_iter().chain(others.map(|n| n.record_url.clone())).collect()
}

/// Keeps this node's voter, its list of voters, and, where it leads, the voters of the cluster as they shall be.
pub(crate) async fn keep(app: Arc<App>, member: Arc<Member>) {
    let mut started = None;
    let mut watched = Watched::default();
    let mut before = Before::default();
    let mut seen = SeenState::default();
    loop {
        let looked = member.record.look_again(&app.node_id, &mut before).await;
        app.liveness.looked(&looked);
        for name in seen.news(&looked, app.liveness.quorum()) {
            app.news.tell(RECORD, name, false);
        }
        match looked {
            Ok(look) => {
                app.maintenance.looked(&app.node_id, &look);
                // First: who is a member, which nothing that follows may keep waiting.
                crate::trust::follow(&app, &member, &look).await;
                turn(&app, &member, &look, &mut started, &mut watched).await;
            }
            Err(e) => {
                tracing::warn!(error = %chain(&e), "this node's voter of the record");
                crate::trust::cut_off(&app).await;
                super::elsewhere::ask(&app, &member.record).await;
            }
        }
        tokio::time::sleep(EVERY).await;
    }
}

async fn turn(app: &App, member: &Member, look: &Look, started: &mut Option<String>, watched: &mut Watched) {
    if let Err(e) = tend(app, member, look, started).await {
        tracing::warn!(error = %chain(&e), "this node's voter of the record");
    }
    crate::sealed::rotation::turn(app, member, look).await;
    crate::trust::ca_change::turn(app, member, look).await;
    if app.leads()
        && let Err(e) = lead(&app.node_id, &member.record, look, watched).await
    {
        tracing::info!(error = %chain(&e), "voters of the record");
    }
}

/// `started` is the id of the voter that this run of the agent has started.
async fn tend(
    app: &App,
    member: &Member,
    look: &Look,
    started: &mut Option<String>,
) -> Result<(), MembershipError> {
    let (record, own, voters) = (&member.record, &member.own, &look.voters);
    let peer_url = etcd::peer_url(app, own);
    let file = VoterFile::load(app)?;
    let step = plan_own(file.as_ref(), etcd::has_data(app), (&app.node_id, &peer_url), voters);
    match step {
        OwnStep::Nothing => {}
        OwnStep::Run(voter) => {
            if file.as_ref() != Some(&voter) {
                voter.store(app)?;
            }
            if started.as_ref() == Some(&voter.id) {
                etcd::hand_over(app)?; // a renewed certificate
            } else {
                etcd::start(app, &member.cluster.id, own, Some(&voter)).await?;
                *started = Some(voter.id);
            }
        }
        OwnStep::Fresh(voter) => {
            tracing::info!(id = voter.id, "this node gets a voter of the record");
            etcd::stop(app).await?;
            etcd::erase(app)?;
            voter.store(app)?;
            etcd::start(app, &member.cluster.id, own, Some(&voter)).await?;
            *started = Some(voter.id);
        }
        OwnStep::End => {
            tracing::warn!("this node's voter of the record was taken out");
            etcd::stop(app).await?;
            VoterFile::remove(app)?;
            *started = None;
        }
    }
    let votes = voters.iter().any(|v| v.is_at(&app.node_id, &peer_url) && !v.learner);
    let mine = look.nodes.iter().find(|n| n.value.id == app.node_id).map(|n| &n.value);
    let wanted = own_entry(app, own, mine, votes, member.can_sign(), &member.seal);
    if look.replaced.is_some() || mine != Some(&wanted) {
        ensure_node(app, record, own, votes, member.can_sign(), &member.seal).await?;
    }
    let endpoints = plan_endpoints(votes.then(|| etcd::local_url(app)), &app.node_id, &look.nodes());
    let others = look.nodes.iter().map(|n| &n.value).filter(|n| n.id != app.node_id);
    let keys: BTreeMap<_, _> = others.map(|n| (n.url.clone(), n.key_sha256.clone())).collect();
    remember(app, record, endpoints, keys, look.restored).await
}

/// Asks at these addresses from now on, and at the next start.
async fn remember(
    app: &App,
    record: &Record,
    endpoints: Vec<String>,
    keys: BTreeMap<String, String>,
    restored: u64,
) -> Result<(), MembershipError> {
    let path = app.settings.membership();
    let Some(file) = MembershipFile::load(&path)? else { return Ok(()) };
    let members = keys.keys().cloned().collect();
    let new = MembershipFile { endpoints, members, restored, keys, ..file.clone() };
    if new.endpoints.is_empty() || new == file {
        return Ok(());
    }
    tracing::info!(endpoints = ?new.endpoints, "voters of the record");
    record.set_endpoints(&new.endpoints).await?;
    new.store(&path)
}

/// What the leading member has seen for a while.
#[derive(Default)]
struct Watched {
    /// Members that give no sign of life, and since when.
    away: BTreeMap<String, Instant>,
    /// The members, and since when they have been just these.
    members: Option<(BTreeSet<String>, Instant)>,
}

impl Watched {
    /// Takes in a look: who is gone, and whether the members have been the same for long.
    fn see(&mut self, nodes: &[NodeValue], alive: &BTreeSet<String>) -> (BTreeSet<String>, bool) {
        self.away.retain(|id, _| !alive.contains(id));
        for node in nodes.iter().filter(|n| !alive.contains(&n.id)) {
            self.away.entry(node.id.clone()).or_insert_with(Instant::now);
        }
        let ids: BTreeSet<_> = nodes.iter().map(|n| n.id.clone()).collect();
        let since = match self.members.take() {
            Some((before, since)) if before == ids => since,
            _ => Instant::now(),
        };
        self.members = Some((ids, since));
        let long = |since: &Instant| since.elapsed() >= GONE;
        let gone = self.away.iter().filter(|(_, since)| long(since)).map(|(id, _)| id.clone()).collect();
        (gone, long(&since))
    }

    /// For how long a member has given no sign of life.
    fn away_for(&self, id: &str) -> Duration {
        self.away.get(id).map_or(Duration::ZERO, Instant::elapsed)
    }
}

/// One look at the cluster's voters, and at most one change.
async fn lead(own: &str, record: &Record, look: &Look, watched: &mut Watched) -> Result<(), MembershipError> {
    let (voters, alive) = (&look.voters, &look.alive);
    let nodes = maintenance::places(look.nodes(), voters, &look.maintenance);
    let (mut gone, settled) = watched.see(&nodes, alive);
    // One in maintenance is expected back.
    gone.retain(|id| !look.maintenance.contains_key(id) || watched.away_for(id) >= PLANNED);
    let (domains, witnesses) = (domains(&look.roles), witnesses(&look.roles));
    let (gone, domains, witnesses) = (&gone, &domains, &witnesses);
    let step = plan_voters(&Seen { voters, nodes: &nodes, alive, gone, domains, witnesses, own, settled });
    match &step {
        None => return Ok(()),
        Some(Step::Add { peer_url, .. }) => record.add_learner(peer_url).await?,
        Some(Step::Promote { id }) => record.promote(*id).await?,
        Some(Step::Remove { id }) => record.remove_voter(*id).await?,
    }
    tracing::info!(?step, "the voters of the record change");
    Ok(())
}

/// One look and what follows from it, for tests.
#[cfg(test)]
pub(super) async fn once(
    app: &App,
    member: &Member,
    started: &mut Option<String>,
) -> Result<(), MembershipError> {
    let look = member.record.look(&app.node_id).await?;
    tend(app, member, &look, started).await?;
    lead(&app.node_id, &member.record, &look, &mut Watched::default()).await
}

#[cfg(test)]
mod tests;
