//! What the model is told, and what it wants done: the border between the screens and the rest of the program.

use crate::answers::After;
use crate::facts::Nic;
use crate::plan::Plan;
use crate::run::gather::Gathered;
use crate::run::wait::Waiting;
use crate::trial::{Finding, Trial};

/// What was told to the screens from outside.
pub enum Event {
    /// The machine was looked at.
    Gathered(Box<Gathered>),
    /// A step begins.
    Step {
        /// From 1.
        index: usize,
        /// How many there are.
        total: usize,
        /// What is done.
        label: String,
    },
    /// Work done so far.
    Work {
        /// Units done.
        done: u64,
        /// Of so many.
        total: u64,
    },
    /// Nobody has let this machine in yet.
    Waiting(Box<Waiting>),
    /// It was let in, and goes on.
    LetIn,
    /// Something worth knowing.
    Note(String),
    /// The network interfaces have changed: a cable, or a switch that announced itself.
    Nics(Vec<Nic>),
    /// What the network's trial is doing.
    Trying(String),
    /// What the network's trial found out.
    Tried(Vec<Finding>),
    /// The log was saved: where; or why not.
    Saved(Result<String, String>),
    /// It ended.
    Finished(Result<Done, Failure>),
}

/// Why nothing was installed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failure {
    /// It was refused before anything was written; else it failed on the way.
    pub refused: bool,
    /// The reason: one line, or a heading and a line for each reason.
    pub text: String,
}

impl Failure {
    /// Refused before anything was written.
    #[must_use]
    pub fn refused(text: String) -> Self {
        Self { refused: true, text }
    }

    /// Failed on the way.
    #[must_use]
    pub fn failed(text: String) -> Self {
        Self { refused: false, text }
    }

    /// The reasons without their heading.
    pub(super) fn reasons(&self) -> impl Iterator<Item = &str> {
        let heading = usize::from(self.text.lines().nth(1).is_some());
        self.text.lines().skip(heading).map(str::trim)
    }
}

/// A finished installation.
#[derive(Debug, Clone)]
pub struct Done {
    /// The receipt.
    pub receipt: serde_json::Value,
    /// What to do now.
    pub after: After,
    /// How long it took.
    pub seconds: f64,
    /// Where the receipt is, and where it could not be kept: a line for each place.
    pub places: Vec<String>,
}

/// What the program shall do.
pub enum Action {
    /// Look at the machine.
    Gather,
    /// Keep what was gathered.
    Gathered(Box<Gathered>),
    /// Install.
    Install(Box<Plan>),
    /// Tell the world about an event that came from the model itself.
    Tell(Event),
    /// Try the network.
    Try(Box<Trial>),
    /// Stop trying it.
    StopTrying,
    /// Save the log on a stick.
    SaveLog,
    /// Boot from the disk the next time, and restart.
    ToDisk,
    /// The same, because nobody is there who says otherwise: only where a master takes it.
    StartInstalled,
    /// A shell on the console that asked.
    Shell,
    /// Restart the machine.
    Reboot,
    /// Switch it off.
    PowerOff,
}

impl Event {
    /// The event in the log: lines that people and programs read.
    #[must_use]
    pub fn lines(&self) -> Vec<String> {
        match self {
            Self::Gathered(_) | Self::Work { .. } | Self::Nics(_) => Vec::new(),
            Self::Waiting(waiting) => vec![waiting.line()],
            Self::LetIn => vec!["let in, going on".to_owned()],
            Self::Trying(text) => vec![format!("trying the network: {text}")],
            Self::Tried(findings) => findings.iter().map(ToString::to_string).collect(),
            Self::Saved(Ok(place)) => vec![format!("the log is saved: {place}")],
            Self::Saved(Err(reason)) => vec![format!("the log is not saved: {reason}")],
            Self::Step { index, total, label } => vec![format!("{label}; step {index}/{total}")],
            Self::Note(text) => vec![text.clone()],
            Self::Finished(Ok(done)) => {
                let then = if done.after == After::Reboot { "rebooting" } else { "switching off" };
                vec![format!("done in {:.0} s, {then}", done.seconds)]
            }
            Self::Finished(Err(failure)) => {
                let word = if failure.refused { "refused" } else { "failed" };
                failure.reasons().map(|reason| format!("{word}: {reason}")).collect()
            }
        }
    }
}
