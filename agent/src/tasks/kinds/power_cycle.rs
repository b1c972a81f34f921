//! A machine started anew by its management controller; where it is a member, until it is back.

use std::time::Duration;

use maekin_api::nodes::NodeState;
use maekin_api::power::{Act, Action};

use super::{Node, step, until};
use crate::clock::now;
use crate::errors::chain;
use crate::power;
use crate::tasks::run::{Did, StepError, Tell};
use crate::tasks::values::StepValue;

/// How long a member may take to come back.
const RETURN: Duration = Duration::from_secs(1800);
/// How long it may seem to be there still, after it was switched.
const SEEMS: Duration = Duration::from_secs(120);

/// Its steps; `node` is the member that the machine is, empty where it is none. Pure.
pub(super) fn plan(node: &str) -> Vec<StepValue> {
    let mut steps = vec![
        step("look", "ask its controller whether it is on"),
        StepValue { once: true, ..step("switch", "switch it off and on") },
    ];
    if !node.is_empty() {
        steps.push(step("return", "wait until it is back as a member"));
    }
    steps
}

pub(super) async fn step_of(
    node: &Node,
    step: &StepValue,
    (mac, force, id): (&str, bool, &str),
    tell: &Tell,
) -> Result<Did, StepError> {
    let action = match step.name.as_str() {
        "look" => Action::Status,
        "switch" => Action::Cycle,
        _ => return wait(node, id, tell).await,
    };
    let by = format!("a task on {}", node.app.config.hostname);
    let failed = |e: power::errors::PowerError| {
        StepError::failed(chain(&e), format!("see `maekin power status {mac}`"))
    };
    let done = power::act(&node.app, mac, Act { action, force }, by).await.map_err(failed)?;
    Ok(Did::well(done.outcome))
}

/// Waits until the member was away and is back, by what this node hears of it.
async fn wait(node: &Node, id: &str, tell: &Tell) -> Result<Did, StepError> {
    let begun = now();
    let mut away = false;
    let look = |passed: Duration| {
        let nodes = node.app.liveness.list(&node.app);
        let Some(info) = nodes.iter().find(|info| info.id == id && info.state != NodeState::Removed) else {
            return Some(Err(StepError::failed("it is not a member any more", "")));
        };
        let ready = info.state == NodeState::Ready;
        away |= !ready || info.since > begun;
        if ready && (away || passed >= SEEMS) {
            return Some(Ok(Did::well(format!("{} is back", info.name))));
        }
        let state = if ready { "not seen to go yet" } else { "not back yet" };
        tell.say(percent(passed), format!("{} is {state}", info.name));
        None
    };
    until(RETURN, look).await.unwrap_or_else(|| {
        let why = format!("it was not back within {} min", RETURN.as_secs() / 60);
        Err(StepError::failed(why, "look at its console, and at `maekin get nodes -o wide`"))
    })
}

/// How much of the time that it may take is over. Pure.
fn percent(passed: Duration) -> u8 {
    u8::try_from(passed.as_secs().saturating_mul(100) / RETURN.as_secs()).unwrap_or(99).min(99)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn api_a_power_cycle_switches_once() {
        let names = |node| plan(node).into_iter().map(|s| (s.name, s.once)).collect::<Vec<_>>();
        let (look, switch) = (("look".to_owned(), false), ("switch".to_owned(), true));
        assert_eq!(names(""), [look.clone(), switch.clone()]);
        assert_eq!(names("id"), [look, switch, ("return".to_owned(), false)]);
        assert_eq!(percent(Duration::from_secs(900)), 50);
        assert_eq!(percent(Duration::from_secs(90_000)), 99);
    }
}
