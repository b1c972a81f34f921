//! The network as a part of the node's settings: a change begins a trial, and the condition says how it goes.

use std::sync::Arc;
use std::time::Duration;

use maekin_api::settings::{Condition, ConditionStatus, condition};
use maekin_host::links::{Link, probe_links};
use maekin_rootfs::node::Network;

use super::keeper::{self, TrialError};
use super::trial::{Event, Origin, Phase, Refused, Trial};
use crate::app::App;
use crate::desired::applier::{Applier, FAILED, Outcome, Wanted, Work};
use crate::desired::node_file;
use crate::errors::chain;

/// A network is being tried.
const TRYING: &str = "Trying";
/// It was tried, and the one before was put back.
const REVERTED: &str = "Reverted";
/// It cannot be tried.
const REFUSED: &str = "Refused";
/// Another one was set at the node itself.
const SET_AT_NODE: &str = "SetAtNode";
/// How soon a trial is looked at again.
const SOON: Duration = Duration::from_secs(2);

/// The applier of the network.
pub(crate) struct NetworkApplier {
    /// This node.
    pub(crate) app: Arc<App>,
}

impl Applier for NetworkApplier {
    fn condition(&self) -> &'static str {
        condition::NETWORK
    }

    fn apply<'a>(&'a self, wanted: &'a Wanted) -> Work<'a> {
        Box::pin(async move { apply_on(&self.app, &probe_links().unwrap_or_default(), wanted).await })
    }
}

/// The same on a machine with these interfaces.
async fn apply_on(app: &App, links: &[Link], wanted: &Wanted) -> Outcome {
    apply(app, links, wanted).await.unwrap_or_else(|e| match e {
        TrialError::Refusal(refusal) => Outcome::failed(REFUSED, refusal.to_string()),
        TrialError::Refused(Refused::AlreadyReverted { why, .. }) => Outcome::failed(REVERTED, why),
        other => Outcome::failed(FAILED, chain(&other)),
    })
}

async fn apply(app: &App, links: &[Link], wanted: &Wanted) -> Result<Outcome, TrialError> {
    keeper::note_seen(app, wanted.network_generation)?;
    let file = node_file::current(&app.settings)?.network;
    let trial = app.network.trial();
    let network = plan_wanted(wanted, &file, trial.as_ref());
    if let Some(trial) = trial.as_ref().filter(|_| app.network.trying()) {
        // Whoever changed his mind need not wait until the time of the first trial is over.
        if trial.origin == Origin::Settings && trial.wanted != network {
            let by = "a newer generation of the settings".to_owned();
            keeper::happen(app, Event::Revert { generation: None, by }).await?;
        } else {
            return Ok(under_way(app, trial));
        }
    }
    if file == network {
        return Ok(Outcome::is(wanted.spec.network.is_some() || wanted.spec.dns.is_some()));
    }
    if let Some(Trial { generation, origin: Origin::Console, phase: Phase::Confirmed { .. }, .. }) = &trial
        && *generation == wanted.network_generation
    {
        let text = "the network was set at the node itself, and stays; write it into the settings, or change their \
                    network to have another one";
        return Ok(Outcome::failed(SET_AT_NODE, text));
    }
    keeper::begin_on(app, links, network, wanted.network_generation, Origin::Settings).await?;
    Ok(match app.network.trial().filter(|_| app.network.trying()) {
        Some(trial) => under_way(app, &trial),
        None => Outcome::is(true),
    })
}

/// The network that the settings want. Where they say nothing of it, what a person has set at the node is as good as
/// what was said at installation. Pure.
fn plan_wanted(wanted: &Wanted, file: &Network, trial: Option<&Trial>) -> Network {
    let at_node = trial.is_some_and(|trial| {
        let confirmed = matches!(trial.phase, Phase::Confirmed { .. });
        let same = Network { dns: Vec::new(), ..trial.wanted.clone() };
        trial.origin == Origin::Console && confirmed && same == Network { dns: Vec::new(), ..file.clone() }
    });
    match (&wanted.spec.network, trial) {
        (None, Some(trial)) if at_node => {
            let dns = wanted.spec.dns.as_ref().unwrap_or(&trial.wanted.dns).clone();
            Network { dns, ..trial.wanted.clone() }
        }
        _ => wanted.network(),
    }
}

/// Whether a network is tried, or is about to be: `differs` says that the node file has another one than is wanted, `told`
/// what became of it as far as is known. Pure.
pub(crate) fn undecided(trying: bool, differs: bool, told: Option<&Condition>, generation: u64) -> bool {
    let decided =
        |told: &Condition| told.observed_generation == generation && told.status != ConditionStatus::Unknown;
    trying || (differs && !told.is_some_and(decided))
}

fn under_way(app: &App, trial: &Trial) -> Outcome {
    let text = format!(
        "the network of generation {} is being tried, and goes back within a minute unless it is confirmed: `maekin \
         network confirm {}`, or key c on page 2 of the node's console",
        trial.generation, app.config.hostname
    );
    Outcome::working(TRYING, text, SOON)
}

#[cfg(test)]
mod tests;
