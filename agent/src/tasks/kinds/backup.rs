//! A fresh copy of the record on every member that answers, one after another: each copy is the whole record over the
//! network, and the voters have other work.

use maekin_api::RECORD_BACKUPS;
use maekin_api::record::Backups;

use super::{Node, agent_of, step};
use crate::clock::now;
use crate::errors::chain;
use crate::record::backup;
use crate::record::keys;
use crate::record::values::NodeValue;
use crate::tasks::run::{Did, StepError};
use crate::tasks::values::StepValue;

/// What the name of a step begins with; the id of the member follows.
const COPY: &str = "copy:";
/// Its last step.
const SUM: &str = "sum";

/// One step for each member, and one that says what came of it.
pub(super) async fn plan(node: &Node) -> Result<Vec<StepValue>, StepError> {
    let mut members: Vec<_> =
        node.member.record.list::<NodeValue>(keys::NODES).await?.into_iter().map(|n| n.value).collect();
    members.sort_by(|a, b| a.name.cmp(&b.name));
    Ok(plan_steps(&members))
}

/// Pure.
fn plan_steps(members: &[NodeValue]) -> Vec<StepValue> {
    let copy =
        |node: &NodeValue| step(&format!("{COPY}{}", node.id), format!("copy the record to {}", node.name));
    let mut steps: Vec<_> = members.iter().map(copy).collect();
    steps.push(step(SUM, format!("see that {} members have a copy", members.len())));
    steps
}

/// Has one member make its copy. One that does not answer keeps no other from having one.
pub(super) async fn step_of(node: &Node, step: &StepValue) -> Result<Did, StepError> {
    let record = &node.member.record;
    let Some(id) = step.name.strip_prefix(COPY) else {
        let text = "every member that is well has a copy of the record as it is now, or a moment ago";
        return Ok(Did::well(text));
    };
    if id == node.app.node_id {
        let state = &node.app.settings.state;
        return match backup::once(state, record, &node.member.cluster.id, now()).await {
            Ok(_) => Ok(said(&backup::report(state, ""))),
            Err(backup::BackupError::Record(e)) => Err(e.into()),
            Err(e) => Ok(Did::badly(format!("{}: {}", node.app.config.hostname, chain(&e)))),
        };
    }
    let Some(other) = record.get::<NodeValue>(&keys::under(keys::NODES, id)).await? else {
        return Ok(Did::well("it is not a member any more"));
    };
    let other = other.value;
    match agent_of(&node.app, &other.url)?.post_slow::<Backups>(RECORD_BACKUPS, &()).await {
        Ok(backups) => Ok(said(&backups)),
        Err(e) => Ok(Did::badly(format!("{}: {}", other.name, chain(&e)))),
    }
}

fn said(backups: &Backups) -> Did {
    match backups.kept.first() {
        Some(newest) => Did::well(format!("revision {}, {} bytes", newest.revision, newest.size)),
        None => Did::badly("it made no copy".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn record_a_backup_is_one_step_for_each_member() {
        let node =
            |n: u8| NodeValue { id: format!("id-{n}"), name: format!("node-{n}"), ..NodeValue::default() };
        let names = |steps: &[StepValue]| steps.iter().map(|s| s.name.clone()).collect::<Vec<_>>();
        assert_eq!(names(&plan_steps(&[node(1), node(2)])), ["copy:id-1", "copy:id-2", "sum"]);
        assert_eq!(names(&plan_steps(&[])), ["sum"]);
        assert!(plan_steps(&[node(1)]).iter().all(|step| !step.once), "a copy can be made again");
    }
}
