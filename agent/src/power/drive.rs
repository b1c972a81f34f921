//! What an action means, for a controller of any kind: look, set the boot device and read it back, switch, look again.

use std::future::Future;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use maekin_api::power::{Action, Done, Power};

use super::errors::BmcError;
use super::power_word;

/// What a controller can do to its machine at once.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Switch {
    /// On.
    On,
    /// Off, without asking its system.
    Off,
    /// Start anew, without asking its system.
    Restart,
}

/// A management controller.
pub(crate) trait Controller: Send {
    /// Its address, for a person.
    fn address(&self) -> String;
    /// Whether the machine is on.
    fn power(&mut self) -> impl Future<Output = Result<Power, BmcError>> + Send;
    /// Sets that the machine boots from the network once, and reads that back. Answers what a person should know.
    fn netboot_once(&mut self) -> impl Future<Output = Result<Vec<String>, BmcError>> + Send;
    /// Switches the machine.
    fn switch(&mut self, to: Switch) -> impl Future<Output = Result<(), BmcError>> + Send;
}

/// How long a machine may take to be seen in its new state, and how long to pause between looks.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Pace {
    /// Looks after switching.
    pub(crate) looks: u32,
    /// Pause between them, and before asking a controller that is busy once more.
    pub(crate) pause: Duration,
}

impl Pace {
    /// For real controllers.
    pub(crate) const REAL: Self = Self { looks: 12, pause: Duration::from_secs(1) };
}

/// What is being done, for the error when it takes too long.
#[derive(Debug, Default)]
pub(crate) struct Steps(Mutex<&'static str>);

impl Steps {
    /// From now on, this.
    pub(crate) fn set(&self, step: &'static str) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = step;
    }

    /// What is being done now.
    pub(crate) fn now(&self) -> String {
        let step = *self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if step.is_empty() { "waiting for its turn" } else { step }.to_owned()
    }
}

/// Does `action`.
///
/// # Errors
/// [`BmcError`].
pub(crate) async fn drive(
    bmc: &mut impl Controller,
    action: Action,
    pace: &Pace,
    steps: &Steps,
) -> Result<Done, BmcError> {
    steps.set("reading whether the machine is on");
    let before = bmc.power().await?;
    let mut notes = Vec::new();
    let to = match (action, before) {
        (Action::Status, _) => {
            return Ok(Done { power: before, outcome: format!("the machine is {}", power_word(before)) });
        }
        (Action::On, Power::On) | (Action::Off, Power::Off) => {
            let outcome = format!("the machine was {} already; nothing was done", power_word(before));
            return Ok(Done { power: before, outcome });
        }
        (Action::On, _) | (Action::Cycle | Action::Netboot, Power::Off) => Switch::On,
        (Action::Off, _) => Switch::Off,
        (Action::Cycle | Action::Netboot, _) => Switch::Restart,
    };
    if action == Action::Netboot {
        // Right before the switch: IPMI lets the wish lapse after a minute (IPMI 2.0 section 28.12, parameter 3).
        steps.set("setting the boot from the network");
        notes = bmc.netboot_once().await?;
    }
    steps.set("switching the machine");
    bmc.switch(to).await?;
    steps.set("looking whether the machine did it");
    let wanted = if to == Switch::Off { Power::Off } else { Power::On };
    let power = look(bmc, wanted, pace).await?;
    let done = match to {
        Switch::On => "switched on",
        Switch::Off => "switched off",
        Switch::Restart => "started anew",
    };
    let network = if action == Action::Netboot { ", to boot from the network once" } else { "" };
    let mut outcome = format!("{done}{network}");
    for note in notes {
        outcome.push_str("; ");
        outcome.push_str(&note);
    }
    Ok(Done { power, outcome })
}

/// Looks until the machine is as `wanted`.
async fn look(bmc: &mut impl Controller, wanted: Power, pace: &Pace) -> Result<Power, BmcError> {
    let mut found = Power::Unknown;
    for _ in 0..pace.looks {
        found = bmc.power().await?;
        if found == wanted {
            return Ok(found);
        }
        tokio::time::sleep(pace.pause).await;
    }
    let what = format!("switch the machine {}", power_word(wanted));
    let found = format!("the machine is still {} after {} looks", power_word(found), pace.looks);
    Err(BmcError::Lied { address: bmc.address(), what, found })
}

#[cfg(test)]
mod tests;
