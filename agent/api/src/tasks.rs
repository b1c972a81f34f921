//! Tasks: long work that goes on when nobody waits for it, and when the node that began it is gone.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// What kind of work a task is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[schemars(rename = "TaskKind")]
#[serde(rename_all = "kebab-case")]
pub enum Kind {
    /// A fresh copy of the record on every member that answers.
    Backup,
    /// Compare the halves of the mirrors of a node, byte by byte.
    CompareBootDrives,
    /// Prepare a node for being switched off: put it into maintenance, and say when it is safe.
    Drain,
    /// Start a machine anew by its management controller, and wait until it is back where it is a member.
    PowerCycle,
    /// Empty a drive, so that it can be pulled.
    RetireDrive,
}

impl Kind {
    /// Every kind.
    pub const ALL: [Self; 5] =
        [Self::Backup, Self::CompareBootDrives, Self::Drain, Self::PowerCycle, Self::RetireDrive];

    /// Its name.
    pub fn word(self) -> &'static str {
        match self {
            Self::Backup => "backup",
            Self::CompareBootDrives => "compare-boot-drives",
            Self::Drain => "drain",
            Self::PowerCycle => "power-cycle",
            Self::RetireDrive => "retire-drive",
        }
    }
}

/// Body of `POST` [`crate::TASKS`]. Which parameters a kind takes: `drain` `node`, `reason` and `force`;
/// `compare-boot-drives` `node`; `power-cycle` `machine` and `force`; `retire-drive` `drive` and `reason`; `backup` none.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct NewTask {
    /// What shall be done.
    pub kind: Kind,
    /// Host name or id of the node that it is about.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub node: String,
    /// Hardware address of the machine that it is about.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub machine: String,
    /// Id or serial number of the drive that it is about.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub drive: String,
    /// Why, for others.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub reason: String,
    /// Also where it would be refused to keep people from harm.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub force: bool,
}

/// Answer of [`crate::TASK`], and an entry of [`crate::TASKS`].
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Task {
    /// Names it; later tasks have greater ids.
    pub id: String,
    /// What kind of work, as [`Kind`]; a newer release may have more of them.
    pub kind: String,
    /// What it is about: the name of a node, the hardware address of a machine, the id of a drive, or nothing.
    pub subject: String,
    /// Where it stands.
    pub state: State,
    /// How far it is, percent.
    pub progress: u8,
    /// What is being done, or what it waits for.
    pub doing: String,
    /// The node that works at it, or did last.
    #[serde(default)]
    pub owner: Option<Owner>,
    /// Who asked for it.
    pub by: String,
    /// The request that made it.
    pub request_id: String,
    /// Why, as who asked said.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub reason: String,
    /// When it was made.
    pub created: u64,
    /// When a node began to work at it; absent: none did yet.
    #[serde(default)]
    pub started: Option<u64>,
    /// When it ended; absent: it did not yet.
    #[serde(default)]
    pub ended: Option<u64>,
    /// What came of it; absent until it has ended.
    #[serde(default)]
    pub outcome: Option<Outcome>,
    /// Its steps, in order, as far as they are known.
    pub steps: Vec<Step>,
    /// Who wants it to end early; absent: nobody.
    #[serde(default)]
    pub cancelled_by: Option<String>,
    /// How often another node went on with it.
    pub taken_over: u32,
}

/// Where a task stands.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[schemars(rename = "TaskState")]
#[serde(rename_all = "kebab-case")]
pub enum State {
    /// No node works at it: not yet, or not any more.
    #[default]
    Waiting,
    /// A node works at it.
    Running,
    /// It is done.
    Succeeded,
    /// It could not be done.
    Failed,
    /// It was ended early because somebody wanted that.
    Cancelled,
    /// The node that worked at it is gone, and nobody knows how far it came.
    Lost,
}

impl State {
    /// Every state.
    pub const ALL: [Self; 6] =
        [Self::Waiting, Self::Running, Self::Succeeded, Self::Failed, Self::Cancelled, Self::Lost];

    /// Its name.
    pub fn word(self) -> &'static str {
        match self {
            Self::Waiting => "waiting",
            Self::Running => "running",
            Self::Succeeded => "succeeded",
            Self::Failed => "failed",
            Self::Cancelled => "cancelled",
            Self::Lost => "lost",
        }
    }

    /// Whether nothing more will come of it.
    pub fn over(self) -> bool {
        !matches!(self, Self::Waiting | Self::Running)
    }
}

/// The node that works at a task.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[schemars(rename = "TaskOwner")]
pub struct Owner {
    /// Its id.
    pub id: String,
    /// Its host name.
    pub name: String,
    /// Since when.
    pub since: u64,
}

/// What came of a task.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[schemars(rename = "TaskOutcome")]
pub struct Outcome {
    /// What was done, or why it was not.
    pub text: String,
    /// What a person can do about it; empty where nothing is to be done.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub remedy: String,
}

/// A step of a task.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[schemars(rename = "TaskStep")]
pub struct Step {
    /// Its name within the task.
    pub name: String,
    /// What it does.
    pub what: String,
    /// When it was done; absent: it was not yet.
    #[serde(default)]
    pub done: Option<u64>,
    /// Host name of the node that did it.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub node: String,
    /// What came of it.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub text: String,
}

/// A task that is under way, in a word.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[schemars(rename = "TaskUnderWay")]
pub struct UnderWay {
    /// Its id.
    pub id: String,
    /// What kind of work.
    pub kind: String,
    /// What it is about.
    pub subject: String,
    /// Host name of the node that works at it; empty while none does.
    pub owner: String,
}

/// A line of a task's log. An entry of [`crate::TASK_LOG`].
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[schemars(rename = "TaskLogLine")]
pub struct LogLine {
    /// Counts from 0 within the task; the oldest lines of a long log are dropped.
    pub number: u32,
    /// When, by the clock of the node.
    pub at: u64,
    /// Host name of the node that wrote it.
    pub node: String,
    /// What happened.
    pub text: String,
}
