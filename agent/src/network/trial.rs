//! The trial of a network, as a state machine: what is kept, what happens, and what is to be done. Pure.
//!
//! What is kept is written down before anything is applied, and the node file, which the next start renders, changes on
//! confirmation alone: whatever stops in the middle comes back with the network of before. The change of the node file
//! is the one point at which a trial is decided; a stop right behind it is found by comparing the two.
//!
//! Time is that of the boot clock (`CLOCK_BOOTTIME`): setting the wall clock moves no deadline. Another boot has another
//! clock, and has rendered the network of before.

use maekin_rootfs::node::Network;
use serde::{Deserialize, Serialize};

/// How long an unconfirmed network is there at most, milliseconds.
pub(super) const LIMIT: u64 = 60_000;
/// How much of that is for putting back the one before, milliseconds.
pub(super) const PUT_BACK: u64 = 12_000;

/// How a person has the same network tried again.
const ONCE_MORE: &str = "to try the same one again, write the one before into the settings, then this one";

/// Who wants a network.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Origin {
    /// The node's settings, of that generation.
    Settings,
    /// A person at the node itself; the settings were of that generation then.
    Console,
}

/// A trial, as it is kept.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Trial {
    /// Names this trial and no other.
    pub(crate) id: String,
    /// Which one of the settings changed their network last.
    pub(crate) generation: u64,
    /// Who wants it.
    pub(crate) origin: Origin,
    /// The network that is tried.
    pub(crate) wanted: Network,
    /// The one before, which the node file has.
    pub(crate) previous: Network,
    /// When it began, seconds since 1970; for people.
    pub(crate) began: u64,
    /// How far it is.
    pub(crate) phase: Phase,
}

/// How far a trial is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "phase", rename_all = "kebab-case")]
pub(crate) enum Phase {
    /// The network is applied, or is being applied.
    Trying {
        /// Of which boot the deadline is.
        boot_id: String,
        /// Until when it has to be confirmed, milliseconds of the boot clock.
        deadline: u64,
    },
    /// It is the node's network.
    Confirmed {
        /// When, seconds since 1970.
        at: u64,
        /// Who said so.
        by: String,
    },
    /// The one before is the node's network again.
    Reverted {
        /// When, seconds since 1970.
        at: u64,
        /// Why.
        why: Why,
    },
}

/// Why a network was put back.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "why", rename_all = "kebab-case")]
pub(crate) enum Why {
    /// Nobody confirmed it in time.
    Unconfirmed,
    /// A person wanted it.
    Asked {
        /// Who.
        by: String,
    },
    /// It could not be applied.
    Failed {
        /// What went wrong.
        error: String,
    },
    /// The agent ended in the middle.
    AgentEnded,
    /// The machine restarted in the middle.
    Restarted,
}

impl Why {
    /// In words, with a remedy.
    pub(crate) fn words(&self) -> String {
        match self {
            Self::Unconfirmed => format!(
                "nobody confirmed the network within {} s, so the one before was put back; look at cable, switch, VLAN \
                 and address, then change the network in the settings ({ONCE_MORE})",
                (LIMIT - PUT_BACK) / 1000
            ),
            Self::Asked { by } => format!("{by} had the network before put back"),
            Self::Failed { error } => {
                format!("the network could not be applied, and the one before was put back: {error}")
            }
            Self::AgentEnded => {
                format!("the agent ended during the trial, so the network before was put back; {ONCE_MORE}")
            }
            Self::Restarted => {
                format!(
                    "the machine restarted during the trial, and came up with the network before; {ONCE_MORE}"
                )
            }
        }
    }
}

/// This moment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Moment {
    /// Of which boot.
    pub(crate) boot_id: String,
    /// Boot clock, milliseconds.
    pub(crate) boot_ms: u64,
    /// Wall clock, seconds since 1970; for people only.
    pub(crate) wall: u64,
}

/// What a trial is begun with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Begin {
    /// Which one of the settings changed their network last.
    pub(crate) generation: u64,
    /// Who wants it.
    pub(crate) origin: Origin,
    /// The network to try.
    pub(crate) wanted: Network,
    /// The one of the node file.
    pub(crate) previous: Network,
}

/// Something happens.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Event {
    /// A network is to be tried.
    Begin(Begin),
    /// Time goes by.
    Tick,
    /// The agent has started; the node file has this network.
    Started(Network),
    /// The network could not be applied.
    Failed(String),
    /// A person says that it is good.
    Confirm {
        /// Which generation; none: whichever is tried.
        generation: Option<u64>,
        /// Who.
        by: String,
    },
    /// A person says that it is not.
    Revert {
        /// Which generation; none: whichever is tried.
        generation: Option<u64>,
        /// Who.
        by: String,
    },
}

/// Something to do, in this order; what fails stops the rest, and is tried again with the next tick.
#[derive(Debug, Clone, PartialEq, Eq)]
#[allow(clippy::large_enum_variant)] // there are two of them at a time
pub(crate) enum Effect {
    /// Write down what is kept, durably.
    Keep(Trial),
    /// Make the machine's network this one.
    Apply(Network),
    /// Write it into the node file, durably.
    Commit(Network),
}

/// Why nothing was done.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Refused {
    /// One trial at a time.
    #[error("a network of generation {generation} is being tried; confirm or revert it first")]
    Trying {
        /// Which.
        generation: u64,
    },
    /// It was tried, and did not hold.
    #[error("generation {generation} was tried already and put back: {why}")]
    AlreadyReverted {
        /// Which.
        generation: u64,
        /// Why.
        why: String,
    },
    /// There is no trial.
    #[error("no network is being tried on this node")]
    Nothing,
    /// Another one is tried than the one meant.
    #[error("generation {trying} is being tried, not {meant}; look at it again before you decide")]
    Another {
        /// The one tried.
        trying: u64,
        /// The one meant.
        meant: u64,
    },
    /// It is over.
    #[error("the time for the trial is over, and the network before is being put back")]
    Late,
}

/// How long a trial can still be confirmed, milliseconds; `None` where none is under way.
pub(crate) fn left(trial: Option<&Trial>, now: &Moment) -> Option<u64> {
    match &trial?.phase {
        Phase::Trying { boot_id, deadline } if *boot_id == now.boot_id => {
            Some(deadline.saturating_sub(now.boot_ms))
        }
        Phase::Trying { .. } => Some(0),
        Phase::Confirmed { .. } | Phase::Reverted { .. } => None,
    }
}

/// What follows from what happens: what is to be done, none where nothing is. `kept` is what was written down last.
///
/// # Errors
/// [`Refused`]; nothing is to be done then.
pub(crate) fn step(kept: Option<&Trial>, event: Event, now: &Moment) -> Result<Vec<Effect>, Refused> {
    let trying = kept.filter(|trial| matches!(trial.phase, Phase::Trying { .. }));
    let late = left(kept, now).is_none_or(|left| left == 0);
    match (event, trying) {
        (Event::Begin(_), Some(trial)) => Err(Refused::Trying { generation: trial.generation }),
        (Event::Begin(begin), None) => {
            if let Some(why) = refused_before(kept, &begin) {
                return Err(Refused::AlreadyReverted { generation: begin.generation, why });
            }
            let Begin { generation, origin, wanted, previous } = begin;
            let phase = Phase::Trying {
                boot_id: now.boot_id.clone(),
                deadline: now.boot_ms.saturating_add(LIMIT - PUT_BACK),
            };
            let id = format!("{}-{}", now.boot_id, now.boot_ms);
            let trial =
                Trial { id, generation, origin, wanted: wanted.clone(), previous, began: now.wall, phase };
            Ok(vec![Effect::Keep(trial), Effect::Apply(wanted)])
        }
        (Event::Tick, Some(trial)) if late => Ok(revert(trial, Why::Unconfirmed, now)),
        (Event::Tick | Event::Started(_) | Event::Failed(_), None) | (Event::Tick, Some(_)) => Ok(vec![]),
        // The node file was changed, and there was no time to write that down.
        (Event::Started(file), Some(trial)) if file == trial.wanted => {
            Ok(vec![keep(trial, Phase::Confirmed { at: now.wall, by: "unknown".to_owned() })])
        }
        (Event::Started(_), Some(trial)) => {
            let same = matches!(&trial.phase, Phase::Trying { boot_id, .. } if *boot_id == now.boot_id);
            Ok(revert(trial, if same { Why::AgentEnded } else { Why::Restarted }, now))
        }
        (Event::Failed(error), Some(trial)) => Ok(revert(trial, Why::Failed { error }, now)),
        (Event::Confirm { .. } | Event::Revert { .. }, None) => Err(Refused::Nothing),
        (
            Event::Confirm { generation: Some(meant), .. } | Event::Revert { generation: Some(meant), .. },
            Some(trial),
        ) if meant != trial.generation => Err(Refused::Another { trying: trial.generation, meant }),
        (Event::Confirm { .. }, Some(_)) if late => Err(Refused::Late),
        (Event::Confirm { by, .. }, Some(trial)) => {
            Ok(vec![Effect::Commit(trial.wanted.clone()), keep(trial, Phase::Confirmed { at: now.wall, by })])
        }
        (Event::Revert { by, .. }, Some(trial)) => Ok(revert(trial, Why::Asked { by }, now)),
    }
}

/// Why this generation of the settings' network is not tried again by itself. What a person at the node asks for is.
fn refused_before(kept: Option<&Trial>, begin: &Begin) -> Option<String> {
    let kept = kept.filter(|kept| {
        begin.origin == Origin::Settings
            && kept.origin == Origin::Settings
            && kept.generation == begin.generation
            && kept.wanted == begin.wanted
    })?;
    match &kept.phase {
        Phase::Reverted { why, .. } => Some(why.words()),
        _ => None,
    }
}

fn keep(trial: &Trial, phase: Phase) -> Effect {
    Effect::Keep(Trial { phase, ..trial.clone() })
}

/// Written down last: whatever stops before finds a trial that is not over, and puts back again.
fn revert(trial: &Trial, why: Why, now: &Moment) -> Vec<Effect> {
    vec![Effect::Apply(trial.previous.clone()), keep(trial, Phase::Reverted { at: now.wall, why })]
}

#[cfg(test)]
mod tests;
