//! Going on alone: what `maekin-agent record promote` does, for whoever stands in front of the second of two nodes when the
//! first is gone for good. That the first one answers nobody is looked at twice: before anybody is asked, and before
//! anything is done.

use crate::app::App;
use crate::cli::record::carry_out;
use crate::clock::now;
use crate::errors::chain;
use crate::liveness;
use crate::membership::restore;
use crate::membership::restore::plan::{Plan, plan_promotion};
use crate::record::values::NodeValue;
use crate::run;
use crate::settings::Settings;

/// What a person is to know before.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Promotion {
    /// Name of the node that is to be gone for good.
    pub(super) name: String,
    /// Where its voter was.
    pub(super) url: String,
    /// What would be lost.
    pub(super) lost: String,
}

/// Whose voter is given up; `None` where it is not just one, or not known. Pure.
fn given_up(plan: &Plan, nodes: &[NodeValue], own: &str) -> Option<Promotion> {
    let [url] = plan.must_not_run.as_slice() else { return None };
    let voters: Vec<_> = nodes.iter().filter(|n| n.id != own && !n.record_url.is_empty()).collect();
    // It may have another address than it had when this node heard of it.
    let alone = if let [only] = voters.as_slice() { Some(only) } else { None };
    let node = voters.iter().find(|node| node.record_url == *url).or(alone)?;
    Some(Promotion { name: node.name.clone(), url: url.clone(), lost: plan.lost.clone() })
}

/// Whether this node can go on alone; takes half a minute while nobody answers.
///
/// # Errors
/// Why it cannot, for a person.
pub(super) fn look(settings: &Settings) -> Result<Promotion, String> {
    planned(settings).map(|(.., promotion)| promotion)
}

/// Does it, where the lost node is still the one of that name; what came of it, for a person.
pub(super) fn apply(settings: &Settings, name: &str) -> String {
    let done = planned(settings).and_then(|(runtime, app, plan, promotion)| {
        if promotion.name != name {
            return Err(format!("nothing was done: it is {} that has the record's voter", promotion.name));
        }
        carry_out(&runtime, &app, &plan).map_err(|e| format!("{e:#}"))
    });
    match done {
        Ok(revision) => format!("The record goes on here, at revision {revision}, without {name}."),
        Err(why) => format!("This node does not go on alone: {why}"),
    }
}

type Planned = (tokio::runtime::Runtime, App, Plan, Promotion);

fn planned(settings: &Settings) -> Result<Planned, String> {
    let text = |e: &dyn std::error::Error| chain(e);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(|e| text(&e))?;
    let app = run::offline(settings.clone()).map_err(|e| format!("{e:#}"))?;
    let (seen, record) = runtime.block_on(restore::look(&app, None)).map_err(|e| text(&e))?;
    drop(record);
    let plan = plan_promotion(&seen, now()).map_err(|e| text(&e))?;
    let unknown =
        "which node has the record's voter is not known here; `maekin-agent record promote` says more";
    let promotion = given_up(&plan, &liveness::remembered(settings), &app.node_id).ok_or(unknown)?;
    Ok((runtime, app, plan, promotion))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::membership::restore::plan::Source;

    #[test]
    fn console_the_node_that_is_given_up_is_the_one_that_votes() {
        let node = |id: &str, url: &str| NodeValue {
            id: id.into(),
            name: format!("node-{id}"),
            record_url: url.into(),
            ..NodeValue::default()
        };
        let (first, at, other) =
            ("https://10.77.0.1:2379", "https://10.77.0.9:2379", "https://10.77.0.8:2379");
        // Name; other voters that are known; members; who is given up.
        type Row<'a> = (&'a str, &'a [&'a str], Vec<NodeValue>, Option<&'a str>);
        let rows: [Row<'_>; 6] = [
            ("the first", &[first], vec![node("1", first), node("2", "")], Some("node-1")),
            ("by its address", &[first], vec![node("1", first), node("3", other)], Some("node-1")),
            ("at another address", &[first], vec![node("1", at), node("2", "")], Some("node-1")),
            ("nobody is known", &[first], vec![], None),
            ("two that it could be", &[first], vec![node("1", at), node("3", other)], None),
            ("several voters", &[first, other], vec![node("1", first), node("3", other)], None),
        ];
        for (name, others, nodes, want) in rows {
            let must_not_run = others.iter().map(|url| (*url).to_owned()).collect();
            let plan = Plan { source: Source::Learner, must_not_run, lost: "all".into() };
            let found = given_up(&plan, &nodes, "2");
            assert_eq!(found.as_ref().map(|found| found.name.as_str()), want, "{name}");
        }
    }
}
