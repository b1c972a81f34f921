//! One claimed task, step by step, until it is over, cancelled, or not ours any more. What the steps are and do is not
//! decided here: see [`super::kinds`].

use std::future::Future;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use maekin_api::tasks::State;
use tokio::sync::watch;

use super::claim::{Claim, Pace, Stop};
use super::plan::{self, Work};
use super::values::{DoneValue, OutcomeValue, StepValue, TaskValue, bounded};
use crate::clock::now;
use crate::errors::chain;
use crate::record::RecordError;

/// How often a step is tried while the record fails.
const TRIES: u32 = 5;
/// How long after a step that the record let down.
const AGAIN: Duration = Duration::from_secs(2);
/// Lines that wait to be written.
const WAITING: usize = 40;

/// A step did not work.
#[derive(Debug, thiserror::Error)]
pub(crate) enum StepError {
    /// And the task with it.
    #[error("{why}")]
    Failed {
        /// Why.
        why: String,
        /// What a person can do about it; empty: nothing.
        remedy: String,
    },
    /// The record gave no answer: it is tried again.
    #[error(transparent)]
    Record(#[from] RecordError),
}

impl StepError {
    /// The task fails.
    pub(crate) fn failed(why: impl Into<String>, remedy: impl Into<String>) -> Self {
        Self::Failed { why: why.into(), remedy: remedy.into() }
    }
}

/// What came of a step.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Did {
    /// For a person.
    pub(crate) text: String,
    /// It did not work; the steps behind it are done all the same, and the task fails then.
    pub(crate) failed: bool,
}

impl Did {
    /// It worked.
    pub(crate) fn well(text: impl Into<String>) -> Self {
        Self { text: text.into(), failed: false }
    }

    /// It did not.
    pub(crate) fn badly(text: impl Into<String>) -> Self {
        Self { text: text.into(), failed: true }
    }
}

/// Who does the steps.
pub(crate) trait Hands: Send + Sync + 'static {
    /// The steps of `work`, as things are now.
    fn plan(&self, work: &Work) -> impl Future<Output = Result<Vec<StepValue>, StepError>> + Send;
    /// Does one step. It may be dropped at any moment, unless the step must not be done twice; other steps may be done
    /// again by another node, and then find what was done.
    fn step(
        &self,
        work: &Work,
        step: &StepValue,
        tell: &Tell,
    ) -> impl Future<Output = Result<Did, StepError>> + Send;
}

/// What a step tells of itself while it goes on.
#[derive(Debug, Default)]
pub(crate) struct Tell {
    said: Mutex<Said>,
}

#[derive(Debug, Default)]
struct Said {
    part: u8,
    doing: String,
    lines: Vec<String>,
    news: bool,
}

impl Tell {
    /// How far the step is, percent of itself, and what is being done.
    pub(crate) fn say(&self, part: u8, doing: impl Into<String>) {
        let mut said = self.said.lock().unwrap_or_else(PoisonError::into_inner);
        let doing = doing.into();
        said.news |= said.part != part || said.doing != doing;
        (said.part, said.doing) = (part, doing);
    }

    /// A line for the log.
    pub(crate) fn log(&self, text: impl Into<String>) {
        let mut said = self.said.lock().unwrap_or_else(PoisonError::into_inner);
        if said.lines.len() < WAITING {
            said.lines.push(text.into());
        }
        said.news = true;
    }

    /// What was said since the last time; `None`: nothing.
    fn news(&self) -> Option<(u8, String, Vec<String>)> {
        let mut said = self.said.lock().unwrap_or_else(PoisonError::into_inner);
        std::mem::take(&mut said.news)
            .then(|| (said.part, said.doing.clone(), std::mem::take(&mut said.lines)))
    }
}

/// Works at `claim` for as long as it is ours. `changes`: revisions at which the task was changed, by whomever. How it
/// ended, where it did.
pub(crate) async fn run(
    claim: Claim,
    hands: Arc<impl Hands>,
    pace: Pace,
    mut changes: watch::Receiver<i64>,
) -> Option<State> {
    let work = work(&claim, &*hands, pace, &mut changes);
    let outcome = tokio::select! {
        biased;
        () = claim.hold() => Err(Stop::LostClaim),
        outcome = work => outcome,
    };
    match outcome {
        Ok(state) => {
            tracing::info!(state = state.word(), "task ended");
            Some(state)
        }
        Err(stop) => {
            tracing::warn!(error = %chain(&stop), "this node stops working at a task");
            None
        }
    }
}

async fn work(
    claim: &Claim,
    hands: &impl Hands,
    pace: Pace,
    changes: &mut watch::Receiver<i64>,
) -> Result<State, Stop> {
    let outcome = match steps(claim, hands, pace, changes).await? {
        Ok(outcome) => outcome,
        Err(StepError::Failed { why, remedy }) => OutcomeValue { state: State::Failed, text: why, remedy },
        Err(StepError::Record(e)) => OutcomeValue {
            state: State::Failed,
            text: chain(&e),
            remedy: "ask for it again when the record is well".to_owned(),
        },
    };
    let line = if outcome.text.is_empty() {
        outcome.state.word().to_owned()
    } else {
        format!("{}: {}", outcome.state.word(), outcome.text)
    };
    sure(claim, &[line], |task| task.end(&outcome, now())).await?;
    Ok(outcome.state)
}

async fn steps(
    claim: &Claim,
    hands: &impl Hands,
    pace: Pace,
    changes: &mut watch::Receiver<i64>,
) -> Result<Result<OutcomeValue, StepError>, Stop> {
    let task = claim.task().await;
    // Whoever claims has looked at that before.
    let Some(work) = task.wish().and_then(|wish| Work::of(&wish).ok()) else { return Err(Stop::LostClaim) };
    if task.plan.is_none() {
        let planned = match trying(|| hands.plan(&work)).await {
            Ok(planned) => planned,
            Err(e) => return Ok(Err(e)),
        };
        let first = planned.first().map(|step| step.what.clone()).unwrap_or_default();
        sure(claim, &[], |task| {
            task.plan = Some(planned.clone());
            task.doing = bounded(&first);
        })
        .await?;
    }
    loop {
        let task = claim.task().await;
        if !task.cancel.is_empty() {
            return Ok(Ok(plan::cancelled(&task)));
        }
        let Some(step) = task.next_step().cloned() else { return Ok(Ok(plan::finished(&task))) };
        if step.once || task.doing != step.what {
            sure(claim, &[], |task| {
                task.doing = bounded(&step.what);
                task.progress = task.percent(0);
                if step.once {
                    task.begun.clone_from(&step.name);
                }
            })
            .await?;
            if step.once && !claim.task().await.cancel.is_empty() {
                sure(claim, &[], |task| task.begun.clear()).await?;
                continue; // somebody was faster
            }
        }
        tracing::info!(step = step.name, "task: step begun");
        let tell = Tell::default();
        let doing = trying_unless(step.once, || hands.step(&work, &step, &tell));
        let did = tokio::select! {
            biased;
            stop = reporting(claim, &tell, pace) => return Err(stop),
            stopped = cancelled(claim, changes), if !step.once => { stopped?; continue; }
            did = doing => did,
        };
        let rest = tell.news().map(|(_, _, lines)| lines).unwrap_or_default();
        match did {
            Ok(did) => {
                tracing::info!(step = step.name, outcome = did.text, "task: step done");
                let done = DoneValue {
                    step: step.name.clone(),
                    at: now(),
                    by: claim.name().to_owned(),
                    text: bounded(&did.text),
                    failed: did.failed,
                };
                let lines: Vec<_> =
                    rest.into_iter().chain([format!("{}: {}", step.what, did.text)]).collect();
                sure(claim, &lines, |task| {
                    task.did(done.clone());
                    task.progress = task.percent(0);
                    if let Some(what) = task.next_step().map(|next| bounded(&next.what)) {
                        task.doing = what;
                    }
                })
                .await?;
            }
            Err(e) => {
                tracing::warn!(step = step.name, error = %chain(&e), "task: step failed");
                if !rest.is_empty() {
                    sure(claim, &rest, |_| ()).await?;
                }
                return Ok(Err(e));
            }
        }
    }
}

/// Writes what must be written, for as long as the task is ours.
async fn sure(
    claim: &Claim,
    lines: &[String],
    change: impl Fn(&mut TaskValue) + Send + Sync,
) -> Result<(), Stop> {
    loop {
        match claim.write(lines, &change).await {
            Err(Stop::Record(e @ (RecordError::Unreachable { .. } | RecordError::Refused { .. }))) => {
                tracing::info!(error = %chain(&e), "task: not written yet");
                tokio::time::sleep(AGAIN).await;
            }
            other => return other,
        }
    }
}

/// Tries what the record may let down.
async fn trying<T, F>(work: impl Fn() -> F) -> Result<T, StepError>
where
    F: Future<Output = Result<T, StepError>>,
{
    let mut tried = 1;
    loop {
        match work().await {
            Err(StepError::Record(e)) if tried < TRIES => {
                tracing::info!(error = %chain(&e), tried, "task: the record did not answer; tried again");
                tried += 1;
                tokio::time::sleep(AGAIN).await;
            }
            other => return other,
        }
    }
}

/// The same, but for what must not be done twice.
async fn trying_unless<T, F>(once: bool, work: impl Fn() -> F) -> Result<T, StepError>
where
    F: Future<Output = Result<T, StepError>>,
{
    if once { work().await } else { trying(work).await }
}

/// Writes now and then what a step says; ends where the task is not ours any more.
async fn reporting(claim: &Claim, tell: &Tell, pace: Pace) -> Stop {
    let mut turn = tokio::time::interval(pace.report);
    turn.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    turn.tick().await; // the first is at once
    loop {
        turn.tick().await;
        let Some((part, doing, lines)) = tell.news() else { continue };
        let write = claim.write(&lines, |task| {
            task.progress = task.percent(part);
            if !doing.is_empty() {
                task.doing = bounded(&doing);
            }
        });
        match write.await {
            Ok(()) => {}
            Err(Stop::LostClaim) => return Stop::LostClaim,
            // The claim's own clock says when that has lasted too long.
            Err(Stop::Record(e)) => tracing::info!(error = %chain(&e), "progress of a task not written"),
        }
    }
}

/// Waits until somebody wants the task to end.
async fn cancelled(claim: &Claim, changes: &mut watch::Receiver<i64>) -> Result<(), Stop> {
    loop {
        if changes.changed().await.is_err() {
            std::future::pending::<()>().await; // nobody tells any more: the agent ends
        }
        let revision = *changes.borrow_and_update();
        if !claim.task().await.cancel.is_empty() {
            return Ok(());
        }
        while !claim.is_own(revision) {
            match claim.reread().await {
                Ok(task) if !task.cancel.is_empty() => return Ok(()),
                Ok(_) => break,
                Err(Stop::LostClaim) => return Err(Stop::LostClaim),
                Err(Stop::Record(e)) => {
                    tracing::info!(error = %chain(&e), "a task that was changed was not read yet");
                    tokio::time::sleep(AGAIN).await;
                }
            }
        }
    }
}
