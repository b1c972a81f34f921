//! What tasks are in the record. Times are seconds since 1970; 0 is never. Fields may be added with a default.

use std::collections::BTreeSet;

use maekin_api::tasks::{LogLine, NewTask, Outcome, Owner, State, Step, Task};
use serde::{Deserialize, Serialize};

/// Most characters of any text in a task.
pub(crate) const TEXT: usize = 300;

/// A task.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct TaskValue {
    pub(crate) id: String,
    /// As `maekin_api::tasks::Kind`; a word that this release does not know is another release's to work at.
    pub(crate) kind: String,
    /// Id of the node that it is about; empty: none.
    pub(crate) node: String,
    /// Its host name.
    pub(crate) node_name: String,
    /// Hardware address of the machine that it is about; empty: none.
    pub(crate) machine: String,
    /// Id of the drive that it is about; empty: none.
    pub(crate) drive: String,
    pub(crate) reason: String,
    pub(crate) force: bool,
    pub(crate) by: String,
    pub(crate) request_id: String,
    /// Id of the node that was asked for it.
    pub(crate) asked: String,
    pub(crate) created: u64,
    pub(crate) started: u64,
    pub(crate) ended: u64,
    /// Who works at it, or did last.
    pub(crate) owner: Option<OwnerValue>,
    /// How many nodes worked at it, one after another.
    pub(crate) turns: u32,
    pub(crate) progress: u8,
    pub(crate) doing: String,
    /// Its steps; `None` until the first owner has planned them.
    pub(crate) plan: Option<Vec<StepValue>>,
    pub(crate) done: Vec<DoneValue>,
    /// The step that must not be done twice and was begun; empty: none.
    pub(crate) begun: String,
    /// Who wants it to end early; empty: nobody.
    pub(crate) cancel: String,
    pub(crate) outcome: Option<OutcomeValue>,
    /// How many lines its log got.
    pub(crate) lines: u32,
}

/// The node that works at a task.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct OwnerValue {
    pub(crate) id: String,
    pub(crate) name: String,
    pub(crate) since: u64,
}

/// A step of a task. Whoever does it needs nothing else to know what to do.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct StepValue {
    /// Its name within the task, with what it is about behind a colon where there is something: `copy:node-2`.
    pub(crate) name: String,
    /// What it does, for a person.
    pub(crate) what: String,
    /// It must not be done twice: where nobody knows whether it was done, the task is lost.
    #[serde(default)]
    pub(crate) once: bool,
}

/// A step that was done.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct DoneValue {
    pub(crate) step: String,
    pub(crate) at: u64,
    /// Host name of the node that did it.
    pub(crate) by: String,
    pub(crate) text: String,
    /// It did not work, and the task went on.
    #[serde(default)]
    pub(crate) failed: bool,
}

/// What came of a task.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct OutcomeValue {
    pub(crate) state: State,
    pub(crate) text: String,
    #[serde(default)]
    pub(crate) remedy: String,
}

/// Which node works at a task. What its owner writes holds only while this key is the one that it made.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct ClaimValue {
    pub(crate) node: String,
}

/// A line of a task's log.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct LineValue {
    pub(crate) number: u32,
    pub(crate) at: u64,
    pub(crate) node: String,
    pub(crate) text: String,
}

/// Which task a request made.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct KeyValue {
    pub(crate) task: String,
    /// SHA-256 of the body.
    pub(crate) body: String,
}

/// A text as it may stand in a task: one line, bounded. Pure.
pub(crate) fn bounded(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { ' ' } else { c }).take(TEXT).collect()
}

impl TaskValue {
    /// What was asked for, in the words of the API.
    pub(crate) fn wish(&self) -> Option<NewTask> {
        let kind = maekin_api::tasks::Kind::ALL.into_iter().find(|kind| kind.word() == self.kind)?;
        Some(NewTask {
            kind,
            node: self.node.clone(),
            machine: self.machine.clone(),
            drive: self.drive.clone(),
            reason: self.reason.clone(),
            force: self.force,
        })
    }

    /// Whether nothing more will come of it.
    pub(crate) fn over(&self) -> bool {
        self.outcome.is_some()
    }

    /// The first step that was not done.
    pub(crate) fn next_step(&self) -> Option<&StepValue> {
        let done: BTreeSet<&str> = self.done.iter().map(|done| done.step.as_str()).collect();
        self.plan.iter().flatten().find(|step| !done.contains(step.name.as_str()))
    }

    /// Writes down that a step was done; a second time changes nothing.
    pub(crate) fn did(&mut self, done: DoneValue) {
        if self.done.iter().all(|have| have.step != done.step) {
            self.done.push(done);
        }
        self.begun.clear();
    }

    /// How far it is, percent, where the step under way is at `part` percent of itself.
    pub(crate) fn percent(&self, part: u8) -> u8 {
        let all = self.plan.as_ref().map_or(0, Vec::len).max(1);
        let hundredths = self.done.len().min(all) * 100 + usize::from(part.min(99));
        u8::try_from((hundredths / all).min(100)).unwrap_or(100)
    }

    /// Ends it.
    pub(crate) fn end(&mut self, outcome: &OutcomeValue, now: u64) {
        if outcome.state == State::Succeeded {
            self.progress = 100;
        }
        self.doing.clear();
        self.ended = now;
        let (text, remedy) = (bounded(&outcome.text), bounded(&outcome.remedy));
        self.outcome = Some(OutcomeValue { state: outcome.state, text, remedy });
    }

    /// What is told of it; `claimed` is whether a node works at it now.
    pub(crate) fn show(&self, claimed: bool) -> Task {
        let state = match &self.outcome {
            Some(outcome) => outcome.state,
            None if claimed => State::Running,
            None => State::Waiting,
        };
        let time = |at: u64| (at > 0).then_some(at);
        let step = |step: &StepValue| {
            let done = self.done.iter().find(|done| done.step == step.name);
            Step {
                name: step.name.clone(),
                what: step.what.clone(),
                done: done.map(|done| done.at),
                node: done.map(|done| done.by.clone()).unwrap_or_default(),
                text: done.map(|done| done.text.clone()).unwrap_or_default(),
            }
        };
        let waits = match (&self.owner, state) {
            (Some(owner), State::Waiting) => format!("{} is gone; waits for a node to go on", owner.name),
            (None, State::Waiting) => "waits for a node to take it".to_owned(),
            _ => self.doing.clone(),
        };
        Task {
            id: self.id.clone(),
            kind: self.kind.clone(),
            subject: [&self.machine, &self.drive, &self.node_name]
                .into_iter()
                .find(|subject| !subject.is_empty())
                .cloned()
                .unwrap_or_default(),
            state,
            progress: self.progress,
            doing: waits,
            owner: self.owner.as_ref().map(|owner| Owner {
                id: owner.id.clone(),
                name: owner.name.clone(),
                since: owner.since,
            }),
            by: self.by.clone(),
            request_id: self.request_id.clone(),
            reason: self.reason.clone(),
            created: self.created,
            started: time(self.started),
            ended: time(self.ended),
            outcome: self
                .outcome
                .as_ref()
                .map(|outcome| Outcome { text: outcome.text.clone(), remedy: outcome.remedy.clone() }),
            steps: self.plan.iter().flatten().map(step).collect(),
            cancelled_by: (!self.cancel.is_empty()).then(|| self.cancel.clone()),
            taken_over: self.turns.saturating_sub(1),
        }
    }
}

impl LineValue {
    /// What is told of it.
    pub(crate) fn show(self) -> LogLine {
        LogLine { number: self.number, at: self.at, node: self.node, text: self.text }
    }
}
