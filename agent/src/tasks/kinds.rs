//! What the steps of each kind of task are, and what they do.
//!
//! | module | job |
//! | --- | --- |
//! | [`backup`] | a copy of the record on every member |
//! | [`compare`] | the halves of a node's mirrors, byte by byte |
//! | [`drain`] | a node prepared for being switched off |
//! | [`power_cycle`] | a machine started anew |
//! | [`retire`] | a drive emptied, so that it can be pulled |

mod backup;
mod compare;
mod drain;
mod power_cycle;
mod retire;

use std::sync::Arc;
use std::time::{Duration, Instant};

use super::plan::Work;
use super::run::{Did, Hands, StepError, Tell};
use super::values::StepValue;
use crate::app::{App, Member};
use crate::http::client::Target;

/// Between two looks at what this node knows by itself: that asks nobody.
const LOOK: Duration = Duration::from_secs(1);

/// This node's hands.
pub(crate) struct Node {
    /// The agent.
    pub(crate) app: Arc<App>,
    /// What it has as a member.
    pub(crate) member: Arc<Member>,
}

impl Hands for Node {
    async fn plan(&self, work: &Work) -> Result<Vec<StepValue>, StepError> {
        match work {
            Work::Backup => backup::plan(self).await,
            Work::Compare { .. } => Ok(compare::plan()),
            Work::Drain { .. } => Ok(drain::plan()),
            Work::PowerCycle { node, .. } => Ok(power_cycle::plan(node)),
            Work::RetireDrive { .. } => Ok(retire::plan()),
        }
    }

    async fn step(&self, work: &Work, step: &StepValue, tell: &Tell) -> Result<Did, StepError> {
        match work {
            Work::Backup => backup::step_of(self, step).await,
            Work::Compare { .. } => compare::step_of(self, tell).await,
            Work::Drain { node: id, reason, force } => {
                drain::step_of(self, step, drain::Subject { id, reason, force: *force }, tell).await
            }
            Work::PowerCycle { mac, force, node } => {
                power_cycle::step_of(self, step, (mac, *force, node), tell).await
            }
            Work::RetireDrive { drive, reason, .. } => {
                retire::step_of(self, step, (drive, reason), tell).await
            }
        }
    }
}

/// A step.
fn step(name: &str, what: impl Into<String>) -> StepValue {
    StepValue { name: name.to_owned(), what: what.into(), once: false }
}

/// Another member, as we reach it with our certificate.
fn agent_of(app: &App, url: &str) -> Result<Target, StepError> {
    let bad = |why: String| StepError::failed(format!("this node cannot ask other members: {why}"), "");
    Target::member(app, url).map_err(bad)
}

/// Looks until there is something, at most for `limit`; `None` where there was nothing by then.
async fn until<T>(limit: Duration, mut look: impl FnMut(Duration) -> Option<T>) -> Option<T> {
    let begun = Instant::now();
    loop {
        if let Some(found) = look(begun.elapsed()) {
            return Some(found);
        }
        if begun.elapsed() >= limit {
            return None;
        }
        tokio::time::sleep(LOOK).await;
    }
}
