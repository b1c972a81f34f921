//! A node prepared for being switched off. Its steps are a table: what is to leave a node before it goes (machines,
//! storage) is another row between `tasks` and `verdict`, with a function that does it.

use std::collections::BTreeSet;
use std::time::Duration;

use maekin_api::access::Role;
use serde_json::json;

use super::{Node, step, until};
use crate::clock::now;
use crate::desired::change::Edit;
use crate::desired::store::{self, Asker, DesiredError, Meant};
use crate::errors::chain;
use crate::record::Expected;
use crate::record::values::NodeValue;
use crate::record::voters::Voter;
use crate::tasks::run::{Did, StepError, Tell};
use crate::tasks::values::StepValue;

const CHECK: &str = "check";
const MAINTENANCE: &str = "maintenance";
const LEADER: &str = "leader";
const TASKS: &str = "tasks";
const VERDICT: &str = "verdict";
/// How long another node may take to lead.
const LEADS: Duration = Duration::from_secs(180);
/// How long its tasks are waited for.
const BUSY: Duration = Duration::from_secs(600);

/// Whether the record goes on without a node.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// It does: why.
    Safe(String),
    /// It does not: why, and what a person can do instead.
    Stops(String, &'static str),
}

/// Decides that from who votes, who the members are, and which of them give signs of life. Pure.
pub(crate) fn judge(voters: &[Voter], nodes: &[NodeValue], alive: &BTreeSet<String>, id: &str) -> Verdict {
    let node_of = |voter: &Voter| nodes.iter().find(|node| voter.is_of(node));
    let voting: Vec<&Voter> = voters.iter().filter(|voter| !voter.learner).collect();
    let is_it = |voter: &&&Voter| node_of(voter).is_some_and(|node| node.id == id) || voter.name == id;
    let (all, needed) = (voting.len(), voting.len() / 2 + 1);
    if voting.iter().find(is_it).is_none() {
        return Verdict::Safe("it has no voter of the record, which goes on without it".to_owned());
    }
    if all == 1 {
        return Verdict::Stops(
            "it has the only voter of the record: while it is off, the cluster decides nothing (no member joins, nothing is \
             installed, no setting changes)"
                .to_owned(),
            "with three members the record has three voters, and any one may go; see docs/tasks.md",
        );
    }
    let name = |voter: &&Voter| node_of(voter).map_or_else(|| voter.name.clone(), |node| node.name.clone());
    let others: Vec<&Voter> = voting.iter().filter(|voter| !is_it(voter)).copied().collect();
    let lives = |voter: &&&Voter| node_of(voter).is_some_and(|node| alive.contains(&node.id));
    let (up, down): (Vec<_>, Vec<_>) = others.into_iter().partition(|voter| lives(&voter));
    if up.len() < needed {
        let down: Vec<String> = down.iter().map(name).collect();
        let text = format!(
            "without it {} of {all} voters of the record are left, and {needed} are needed ({} does not answer): the cluster \
             would decide nothing until one is back",
            up.len(),
            down.join(", ")
        );
        return Verdict::Stops(text, "bring the other voter back first, or wait until it is replaced");
    }
    let spare = match up.len() - needed {
        0 => "; until it is back, no other of these may go",
        _ => "",
    };
    Verdict::Safe(format!("the record keeps {} of {all} voters, and {needed} are needed{spare}", up.len()))
}

/// Its steps.
pub(super) fn plan() -> Vec<StepValue> {
    vec![
        step(CHECK, "see whether the record goes on without it"),
        step(MAINTENANCE, "put it into maintenance"),
        step(LEADER, "have another node lead"),
        step(TASKS, "wait until it works at no task"),
        step(VERDICT, "say whether it may be switched off"),
    ]
}

/// What is known of the node that goes.
#[derive(Debug, Clone, Copy)]
pub(super) struct Subject<'a> {
    /// Its id.
    pub(super) id: &'a str,
    /// Why it goes.
    pub(super) reason: &'a str,
    /// Also where the record stops.
    pub(super) force: bool,
}

pub(super) async fn step_of(
    node: &Node,
    step: &StepValue,
    subject: Subject<'_>,
    tell: &Tell,
) -> Result<Did, StepError> {
    match step.name.as_str() {
        CHECK => verdict(node, subject, false, tell).await,
        MAINTENANCE => maintain(node, subject).await,
        LEADER => lead(node, subject, tell).await,
        TASKS => finish(node, subject, tell).await,
        VERDICT => verdict(node, subject, true, tell).await,
        // A newer release's: it was planned before this node took over.
        other => Err(StepError::failed(
            format!("{} does not know the step {other}", node.app.config.hostname),
            "upgrade all nodes, and ask for it again",
        )),
    }
}

/// Its settings say from now on that it is in maintenance, until somebody says otherwise.
async fn maintain(node: &Node, subject: Subject<'_>) -> Result<Did, StepError> {
    if node.app.maintenance.of(subject.id).is_some() && subject.reason.is_empty() {
        return Ok(Did::well("it was in maintenance before"));
    }
    let patch = [("maintenance".to_owned(), json!({ "reason": subject.reason }))];
    let edit = Edit::Merge(patch.into_iter().collect());
    let asker = Asker { role: Role::Operator, name: format!("a task on {}", node.app.config.hostname) };
    let meant = Meant::Named(Expected::Whatever);
    match store::set(&node.member.record, subject.id, &edit, &meant, &asker, now()).await {
        Ok(()) => {
            Ok(Did::well("`maekin maintenance off` ends it; its voter of the record stays where it is"))
        }
        Err(DesiredError::Record(e)) => Err(e.into()),
        Err(e) => Err(StepError::failed(chain(&e), "see `maekin describe settings`")),
    }
}

/// Waits until another node leads, by what the record says.
async fn lead(node: &Node, subject: Subject<'_>, tell: &Tell) -> Result<Did, StepError> {
    let overview = node.member.record.overview(&node.app.node_id).await?;
    if !overview.alive.iter().any(|id| id != subject.id && !overview.maintenance.contains_key(id)) {
        return Ok(Did::well("no other node can lead; what only a leader does rests while it is off"));
    }
    let look = |_| {
        let leader = node.app.standing().leader.filter(|leader| leader.id != subject.id);
        tell.say(0, "waits until another node leads");
        leader.map(|leader| leader.name)
    };
    match until(LEADS, look).await {
        Some(name) => Ok(Did::well(format!("{name} leads"))),
        None => Err(StepError::failed(
            format!("no other node leads after {} s", LEADS.as_secs()),
            "see `maekin get nodes -o wide`; the node stays in maintenance",
        )),
    }
}

/// Waits until it works at no task: others can go on with most of them, and what must not be done twice ends soon.
async fn finish(node: &Node, subject: Subject<'_>, tell: &Tell) -> Result<Did, StepError> {
    if node.app.node_id == subject.id {
        return Ok(Did::well("this very task is done by it"));
    }
    let busy = |_| {
        let under_way = node.app.tasks.works_at(subject.id);
        tell.say(0, format!("waits for {under_way} tasks that it works at"));
        (under_way == 0).then_some(())
    };
    match until(BUSY, busy).await {
        Some(()) => Ok(Did::well("it works at none")),
        None => Ok(Did::well("it works at some still, which other nodes go on with where that is possible")),
    }
}

async fn verdict(node: &Node, subject: Subject<'_>, last: bool, tell: &Tell) -> Result<Did, StepError> {
    let look = node.member.record.look(&node.app.node_id).await?;
    let nodes = look.nodes();
    let Some(target) = nodes.iter().find(|node| node.id == subject.id) else {
        return Err(StepError::failed("it is not a member any more", ""));
    };
    let name = &target.name;
    match judge(&look.voters, &nodes, &look.alive, subject.id) {
        Verdict::Safe(why) if last => Ok(Did::well(format!("{name} may be switched off: {why}"))),
        Verdict::Safe(why) => Ok(Did::well(why)),
        Verdict::Stops(why, _) if subject.force => {
            tell.log(format!("forced: {why}"));
            let text = if last { format!("{name} may be switched off, as was forced; {why}") } else { why };
            Ok(Did::well(text))
        }
        Verdict::Stops(why, remedy) => {
            let remedy = format!("{remedy}; `--force` does it all the same, and then that is what happens");
            Err(StepError::failed(format!("{name} should not be switched off: {why}"), remedy))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn node(n: u64) -> NodeValue {
        NodeValue {
            id: format!("n{n}"),
            name: format!("node-{n}"),
            peer_url: format!("https://10.0.0.{n}:2380"),
            ..NodeValue::default()
        }
    }

    fn voter(n: u64, learner: bool) -> Voter {
        Voter { id: n, peer_url: format!("https://10.0.0.{n}:2380"), name: format!("n{n}"), learner }
    }

    #[test]
    fn record_a_dead_voter_at_a_new_members_address_is_not_that_members() {
        let nodes = [1, 2, 3].map(node);
        let alive = nodes.iter().map(|node| node.id.clone()).collect();
        let voters = [voter(1, false), voter(2, false), Voter { name: "before".into(), ..voter(3, false) }];
        let got = judge(&voters, &nodes, &alive, "n2");
        assert!(matches!(&got, Verdict::Stops(why, _) if why.contains("1 of 3 voters")), "{got:?}");
        let got = judge(&voters, &nodes, &alive, "n3");
        assert!(matches!(&got, Verdict::Safe(why) if why.contains("no voter")), "{got:?}");
    }

    #[test]
    fn record_a_node_goes_only_where_the_record_stays() {
        /// Name; voters; learners; members; of these alive; the node; whether it may go, and what is said.
        type Row = (
            &'static str,
            &'static [u64],
            &'static [u64],
            u64,
            &'static [u64],
            u64,
            Result<&'static str, &'static str>,
        );
        let rows: &[Row] = &[
            ("one node", &[1], &[], 1, &[1], 1, Err("the only voter")),
            ("two nodes, the one that votes", &[1], &[], 2, &[1, 2], 1, Err("the only voter")),
            ("two nodes, the other", &[1], &[], 2, &[1, 2], 2, Ok("no voter")),
            ("two nodes, the other, that learns", &[1], &[2], 2, &[1, 2], 2, Ok("no voter")),
            ("three", &[1, 2, 3], &[], 3, &[1, 2, 3], 3, Ok("2 of 3 voters, and 2 are needed; until")),
            ("three, another is down", &[1, 2, 3], &[], 3, &[1, 3], 3, Err("(node-2 does not answer)")),
            ("three, itself is down already", &[1, 2, 3], &[], 3, &[1, 2], 3, Ok("2 of 3")),
            ("three vote, a fourth goes", &[1, 2, 3], &[], 4, &[1, 3, 4], 4, Ok("no voter")),
            (
                "five",
                &[1, 2, 3, 4, 5],
                &[],
                7,
                &[1, 2, 3, 4, 5, 6, 7],
                5,
                Ok("4 of 5 voters, and 3 are needed"),
            ),
            ("five, one is down", &[1, 2, 3, 4, 5], &[], 7, &[1, 2, 3, 5, 6, 7], 5, Ok("3 of 5")),
            ("five, two are down", &[1, 2, 3, 4, 5], &[], 7, &[1, 2, 5, 6, 7], 5, Err("2 of 5")),
            ("two voters, of an older time", &[1, 2], &[], 3, &[1, 2, 3], 2, Err("1 of 2 voters")),
        ];
        for (name, voters, learners, members, alive, goes, want) in rows {
            let nodes: Vec<_> = (1..=*members).map(node).collect();
            let voters: Vec<_> = voters
                .iter()
                .map(|n| voter(*n, false))
                .chain(learners.iter().map(|n| voter(*n, true)))
                .collect();
            let alive = alive.iter().map(|n| format!("n{n}")).collect();
            let got = judge(&voters, &nodes, &alive, &format!("n{goes}"));
            match (&got, want) {
                (Verdict::Safe(text), Ok(part)) | (Verdict::Stops(text, _), Err(part)) => {
                    assert!(text.contains(part), "{name}: {text}");
                }
                _ => panic!("{name}: {got:?}"),
            }
        }
    }
}
