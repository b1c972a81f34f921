//! What becomes of a task: who takes it, whether somebody can go on with it, how long it is kept. Pure.

use std::collections::BTreeSet;
use std::time::Duration;

use maekin_api::tasks::{Kind, NewTask, State};

use super::TaskError;
use super::values::{OutcomeValue, TEXT, TaskValue};
use crate::desired::check::LONGEST_REASON;
use crate::drives::identity::is_id;
use crate::power::settings::check_mac;

/// Ended tasks that are kept at most.
pub(crate) const MOST: usize = 1000;
/// How long they are kept, seconds.
pub(crate) const KEPT: u64 = 30 * 86_400;
/// Tasks that may be under way at once.
pub(crate) const OPEN: usize = 100;
/// How long a task waits for the one node that can do it, seconds.
pub(crate) const WAITS: u64 = 86_400;
/// How long others leave a task to the node that is the first choice.
pub(crate) const FIRST: Duration = Duration::from_secs(5);
/// The same for the node that is the last choice.
pub(crate) const LAST: Duration = Duration::from_secs(20);
/// Tasks that one node works at at once.
pub(crate) const AT_ONCE: usize = 4;

/// Work that is checked: what a kind takes is there, and nothing else.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Work {
    /// See [`Kind::Backup`].
    Backup,
    /// See [`Kind::CompareBootDrives`].
    Compare {
        /// Id of the node.
        node: String,
    },
    /// See [`Kind::Drain`].
    Drain {
        /// Id of the node.
        node: String,
        /// Why.
        reason: String,
        /// Also where the record may be lost for others by it.
        force: bool,
    },
    /// See [`Kind::PowerCycle`].
    PowerCycle {
        /// Hardware address that the machine boots from.
        mac: String,
        /// Also where it is a member and alive.
        force: bool,
        /// Id of the member that it is; empty: none.
        node: String,
    },
    /// See [`Kind::RetireDrive`].
    RetireDrive {
        /// Id of the drive.
        drive: String,
        /// Id of the node that has it.
        node: String,
        /// Why.
        reason: String,
    },
}

impl Work {
    /// Checks what was asked for. `node` is an id by then, and for a machine the member that it is.
    ///
    /// # Errors
    /// [`TaskError::Invalid`].
    pub(crate) fn of(wish: &NewTask) -> Result<Self, TaskError> {
        let word = wish.kind.word();
        let invalid = |why: String| Err(TaskError::Invalid(why));
        // That of a drain becomes the reason of a maintenance.
        let longest = if wish.kind == Kind::Drain { LONGEST_REASON.min(TEXT) } else { TEXT };
        if wish.reason.chars().count() > longest || wish.reason.chars().any(char::is_control) {
            return invalid(format!("reason: may be one line of {longest} characters"));
        }
        let given = [
            ("node", !wish.node.is_empty()),
            ("machine", !wish.machine.is_empty()),
            ("drive", !wish.drive.is_empty()),
            ("reason", !wish.reason.is_empty()),
            ("force", wish.force),
        ];
        let takes: &[&str] = match wish.kind {
            Kind::Backup => &[],
            Kind::CompareBootDrives => &["node"],
            Kind::Drain => &["node", "reason", "force"],
            // The node is what the machine was found to be, and nobody says it.
            Kind::PowerCycle => &["machine", "force", "node"],
            // The node is the one that has the drive, and nobody says it.
            Kind::RetireDrive => &["drive", "reason", "node"],
        };
        if let Some((name, _)) = given.iter().find(|(name, is)| *is && !takes.contains(name)) {
            return invalid(format!("{name}: a task of kind {word} takes no such parameter"));
        }
        if takes.first() == Some(&"node") && wish.node.is_empty() {
            return invalid(format!("node: a task of kind {word} needs the name of one"));
        }
        Ok(match wish.kind {
            Kind::Backup => Self::Backup,
            Kind::CompareBootDrives => Self::Compare { node: wish.node.clone() },
            Kind::Drain => {
                Self::Drain { node: wish.node.clone(), reason: wish.reason.clone(), force: wish.force }
            }
            Kind::PowerCycle => {
                check_mac(&wish.machine)
                    .map_err(|e| TaskError::Invalid(format!("machine: {}", crate::errors::chain(&e))))?;
                Self::PowerCycle { mac: wish.machine.clone(), force: wish.force, node: wish.node.clone() }
            }
            Kind::RetireDrive => {
                if !is_id(&wish.drive) {
                    return invalid(format!("drive: a task of kind {word} needs the id of one"));
                }
                let (drive, node, reason) = (&wish.drive, &wish.node, &wish.reason);
                Self::RetireDrive { drive: drive.clone(), node: node.clone(), reason: reason.clone() }
            }
        })
    }

    /// Who can do it.
    pub(crate) fn place(&self) -> Place<'_> {
        match self {
            Self::Backup => Place::Leader,
            Self::Compare { node } | Self::RetireDrive { node, .. } => Place::Only(node),
            Self::PowerCycle { node, .. } if node.is_empty() => Place::Any,
            // Who does it shall be there afterwards, to say what came of it.
            Self::Drain { node, .. } | Self::PowerCycle { node, .. } => Place::Rather(node),
        }
    }

    /// The group of operations that it belongs to: a token that is confined to others may not have it done.
    pub(crate) fn group(kind: Kind) -> &'static str {
        match kind {
            Kind::Backup | Kind::Drain => "cluster",
            Kind::CompareBootDrives => "node",
            Kind::PowerCycle => "power",
            Kind::RetireDrive => "storage",
        }
    }
}

/// Who can do something.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Place<'a> {
    /// This node and no other.
    Only(&'a str),
    /// The node that leads.
    Leader,
    /// Anyone.
    Any,
    /// Anyone; this node only where nobody else does.
    Rather(&'a str),
}

/// What there is to know of a node that looks at a task.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Us<'a> {
    /// Its id.
    pub(crate) id: &'a str,
    /// Whether it leads.
    pub(crate) leads: bool,
    /// Whether it is in maintenance.
    pub(crate) maintenance: bool,
}

/// Whether a node takes a task.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Take {
    /// At once.
    Now,
    /// Unless somebody else did until then.
    In(Duration),
    /// It is not for this node, as things are.
    Never,
}

/// Decides that, for a task that nobody works at since `waited`. Others are left the time to be first by rank, so that
/// not all of them try at once. Pure.
pub(crate) fn take(task: &TaskValue, us: Us<'_>, waited: Duration) -> Take {
    if task.over() {
        return Take::Never;
    }
    // A newer release's: its nodes do it.
    let Some(work) = task.wish().and_then(|wish| Work::of(&wish).ok()) else { return Take::Never };
    let rank = match work.place() {
        Place::Only(node) => return if node == us.id { Take::Now } else { Take::Never },
        Place::Leader => return if us.leads { Take::Now } else { Take::Never },
        Place::Rather(node) if node == us.id => LAST,
        _ if us.maintenance => LAST,
        // A person looks there; where it was taken from that node already, whoever is first.
        Place::Any | Place::Rather(_) if task.asked == us.id || task.turns > 0 => Duration::ZERO,
        Place::Any | Place::Rather(_) => FIRST,
    };
    match rank.saturating_sub(waited) {
        Duration::ZERO => Take::Now,
        left => Take::In(left),
    }
}

/// What becomes of a task that nobody works at, if it is over by that; the node that leads ends it. `members` are the
/// ids of all. Pure.
pub(crate) fn abandoned(task: &TaskValue, members: &BTreeSet<String>, now: u64) -> Option<OutcomeValue> {
    if task.over() {
        return None;
    }
    if !task.cancel.is_empty() {
        return Some(cancelled(task));
    }
    let node = task.node.as_str();
    let only = match task.wish().and_then(|wish| Work::of(&wish).ok()) {
        Some(work) => work.place() == Place::Only(node),
        None => false,
    };
    let since = task.owner.as_ref().map_or(task.created, |owner| owner.since.max(task.created));
    let lost = |text: String, remedy: &str| {
        Some(OutcomeValue { state: State::Lost, text, remedy: remedy.to_owned() })
    };
    if only && !members.contains(node) {
        return lost(format!("{} is not a member any more, and no other node can do it", task.node_name), "");
    }
    if now.saturating_sub(since) >= WAITS {
        let who = if only { task.node_name.as_str() } else { "any node that can do it" };
        return lost(
            format!("it waited for {who} for {} h", WAITS / 3600),
            "see with `maekin get nodes` who is there, then ask for it again",
        );
    }
    None
}

/// What becomes of a task whose new owner finds a step begun that must not be done twice. Pure.
pub(crate) fn interrupted(task: &TaskValue) -> Option<OutcomeValue> {
    if task.begun.is_empty() {
        return None;
    }
    let step = task.plan.iter().flatten().find(|step| step.name == task.begun);
    let what = step.map_or(task.begun.as_str(), |step| step.what.as_str());
    let owner = task.owner.as_ref().map_or("the node that did it", |owner| owner.name.as_str());
    Some(OutcomeValue {
        state: State::Lost,
        text: format!(
            "{owner} was gone in the middle of: {what}; nobody knows whether it was done, and twice would do harm"
        ),
        remedy: "look how it is, and ask for it again where it was not".to_owned(),
    })
}

/// What a task is that was ended early. Pure.
pub(crate) fn cancelled(task: &TaskValue) -> OutcomeValue {
    let done: Vec<&str> = task
        .plan
        .iter()
        .flatten()
        .filter(|step| task.done.iter().any(|done| done.step == step.name))
        .map(|step| step.what.as_str())
        .collect();
    let left = if done.is_empty() { "nothing was done".to_owned() } else { done.join("; ") };
    let text = format!("cancelled by {}; done before: {left}", task.cancel);
    OutcomeValue { state: State::Cancelled, text, remedy: String::new() }
}

/// What a task is all of whose steps were done. Pure.
pub(crate) fn finished(task: &TaskValue) -> OutcomeValue {
    let failed: Vec<_> = task.done.iter().filter(|done| done.failed).collect();
    if !failed.is_empty() {
        let texts: Vec<&str> = failed.iter().map(|done| done.text.as_str()).collect();
        let text =
            format!("{} of {} steps did not work: {}", failed.len(), task.done.len(), texts.join("; "));
        let remedy = "the rest was done; mend what is said there and ask for it again".to_owned();
        return OutcomeValue { state: State::Failed, text, remedy };
    }
    let text = task.done.last().map(|done| done.text.clone()).unwrap_or_default();
    OutcomeValue { state: State::Succeeded, text, remedy: String::new() }
}

/// Ids of ended tasks that are kept no longer. Pure.
pub(crate) fn doomed(tasks: &[TaskValue], most: usize, now: u64) -> Vec<String> {
    let mut over: Vec<&TaskValue> = tasks.iter().filter(|task| task.over()).collect();
    over.sort_by_key(|task| std::cmp::Reverse((task.ended, task.id.clone())));
    let old = |task: &TaskValue| now.saturating_sub(task.ended) >= KEPT;
    let gone = over.iter().enumerate().filter(|(at, task)| *at >= most || old(task));
    gone.map(|(_, task)| task.id.clone()).collect()
}

#[cfg(test)]
mod tests;
