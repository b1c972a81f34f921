//! A drive emptied, so that it can be pulled: by the node that has it, since its users are there.

use maekin_api::drives::{Drive, State, Usage};

use std::time::Duration;

use super::{Node, step, until};
use crate::drives::observe::Seen;
use crate::drives::{DriveError, inventory, store, users};
use crate::errors::chain;
use crate::tasks::run::{Did, StepError, Tell};
use crate::tasks::values::StepValue;

/// How long an agent that has just started may take to look at its drives.
const LOOKED: Duration = Duration::from_secs(180);

const CHECK: &str = "check";
const MARK: &str = "mark";
const EMPTY: &str = "empty";
const DONE: &str = "done";

/// Its steps.
pub(super) fn plan() -> Vec<StepValue> {
    vec![
        step(CHECK, "see whether it can be done without"),
        step(MARK, "have nothing new put on it"),
        step(EMPTY, "move what is on it elsewhere"),
        step(DONE, "say that it may be pulled"),
    ]
}

pub(super) async fn step_of(
    node: &Node,
    step: &StepValue,
    (id, reason): (&str, &str),
    tell: &Tell,
) -> Result<Did, StepError> {
    let record = &node.member.record;
    let known = until(LOOKED, |_| node.app.drives.found(id)).await.flatten();
    let Some(drive) = known else {
        let why = format!("{} does not know the drive {id} any more", node.app.config.hostname);
        return Err(StepError::failed(why, "see `maekin get drives`"));
    };
    let others = others(&node.app.drives.seen().unwrap_or_default(), &drive);
    let users = users::all(&node.app);
    let user = users.iter().find(|user| user.is_it(&drive.usage));
    match step.name.as_str() {
        CHECK => match user {
            _ if is_twin(&node.app.drives.seen().unwrap_or_default(), id) => Err(StepError::failed(
                format!(
                    "two drives of this node say that they are {id}, and it is not known which of them is meant"
                ),
                "pull the one that is a clone, or cable each drive once; then ask for it again",
            )),
            _ if drive.state == State::Gone => Ok(Did::well("it is gone already; what it held is not")),
            Some(user) => {
                store::others_stay(record, &drive, &others).await.map_err(failed)?;
                user.can_go(&drive).await.map(Did::well)
            }
            None => Ok(Did::well(format!("nothing of ours is on it ({})", drive.usage.words()))),
        },
        MARK => {
            let by = format!("a task on {}", node.app.config.hostname);
            store::retire(record, &drive, &others, reason, &by).await.map_err(failed)?;
            Ok(Did::well("`maekin drive take` takes it back"))
        }
        EMPTY => match user {
            Some(user) => {
                store::others_stay(record, &drive, &others).await.map_err(failed)?;
                user.empty(&drive, tell).await.map(Did::well)
            }
            None => Ok(Did::well("there is nothing to move")),
        },
        DONE => {
            // As things are now: it may be a while since it was emptied.
            if let Some(user) = user {
                user.can_go(&drive).await?;
            }
            match store::retired(record, &drive, &others).await.map_err(failed)? {
                true => Ok(Did::well(said(&drive))),
                false => Err(StepError::failed("somebody took it back meanwhile", "")),
            }
        }
        // A newer release's: it was planned before this node took over.
        other => Err(StepError::failed(
            format!("{} does not know the step {other}", node.app.config.hostname),
            "upgrade all nodes, and ask for it again",
        )),
    }
}

/// The other boot drives of its node, where a drive is one: the node needs one of them. One that is gone takes nothing along.
/// Pure.
fn others(seen: &[Seen], drive: &Drive) -> Vec<String> {
    let boot = matches!(drive.usage, Usage::BootMirror { .. }) && drive.state != State::Gone;
    let others = seen.iter().filter(|other| boot && other.boot.is_some() && other.id != drive.id);
    others.map(|other| other.id.clone()).collect()
}

/// Whether another drive says that it is this one. Pure.
fn is_twin(seen: &[Seen], id: &str) -> bool {
    seen.iter().any(|drive| drive.id == id && drive.twin)
}

/// What came of it, for a person in front of the rack. Pure.
fn said(drive: &Drive) -> String {
    if drive.state == State::Gone {
        return format!("{} is forgotten", inventory::title(drive));
    }
    format!(
        "{} in {} may be pulled; `maekin drive locate {}` lets its bay blink",
        inventory::title(drive),
        drive.node,
        drive.id
    )
}

fn failed(error: DriveError) -> StepError {
    match error {
        DriveError::Record(e) => e.into(),
        e => StepError::failed(chain(&e), "see `maekin get drives`"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn drives_are_retired_in_steps_that_can_be_done_again() {
        let names: Vec<_> = plan().into_iter().map(|step| (step.name, step.once)).collect();
        let want = [CHECK, MARK, EMPTY, DONE].map(|name| (name.to_owned(), false));
        assert_eq!(names, want);
        let drive =
            Drive { id: "sn-a1".into(), serial: "A1".into(), node: "node-2".into(), ..Drive::default() };
        assert_eq!(
            said(&drive),
            "drive A1 in node-2 may be pulled; `maekin drive locate sn-a1` lets its bay blink"
        );
        assert_eq!(said(&Drive { state: State::Gone, ..drive.clone() }), "drive A1 is forgotten");
        let seen = [("sn-a1", true), ("sn-b1", false)].map(|(id, twin)| Seen {
            id: id.into(),
            twin,
            ..Seen::default()
        });
        let pair = [("sn-a1", Some(0)), ("sn-b1", Some(1)), ("sn-c1", None)].map(|(id, boot)| Seen {
            id: id.into(),
            boot,
            ..Seen::default()
        });
        let boot = Drive { usage: Usage::BootMirror { number: 1 }, ..drive.clone() };
        assert_eq!(others(&pair, &boot), ["sn-b1"]);
        assert!(
            others(&pair, &Drive { state: State::Gone, ..boot }).is_empty(),
            "it is not there to be pulled"
        );
        assert!(others(&pair, &drive).is_empty(), "no boot drive");
        assert_eq!(["sn-a1", "sn-b1", "sn-c1"].map(|id| is_twin(&seen, id)), [true, false, false]);
    }
}
