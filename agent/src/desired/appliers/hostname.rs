//! The host name, and with it the member's. The agent knows its name from the node file alone: once that says another
//! one, it starts anew, and writes its entry of the record under the new name; certificates follow when they are renewed.
//! A network that is being tried goes back when the agent starts anew, so the name waits until that is decided.

use std::fs;
use std::sync::Arc;
use std::time::Duration;

use maekin_api::settings::{Condition, ConditionStatus, condition};

use super::{blocking, of_record, systemctl};
use crate::app::{App, Member};
use crate::desired::applier::{Applier, FAILED, Outcome, Wanted, Work};
use crate::desired::files::{ApplyError, below, follow_node_file, observe};
use crate::desired::node_file::{self, NodeFileError};
use crate::errors::chain;
use crate::record::values::NodeValue;
use crate::record::{RecordError, keys};
use crate::settings::Settings;

/// Where the kernel has it (proc_sys_kernel(5)).
const KERNEL: &str = "/proc/sys/kernel/hostname";
/// Files that have it.
const FILES: [&str; 2] = ["/etc/hostname", "/etc/hosts"];
/// Another member has that name.
const TAKEN: &str = "NameTaken";
/// A network is tried first.
const WAITS: &str = "Waits";
/// How soon it is looked again whether it is decided.
const SOON: Duration = Duration::from_secs(2);
/// The agent starts anew to take it up.
const RESTARTING: &str = "Restarting";
/// How soon the agent is told again to start anew.
const AGAIN: Duration = Duration::from_secs(30);
/// This service.
const AGENT: &str = "maekin-agent.service";

pub(super) struct Hostname {
    pub(super) app: Arc<App>,
    pub(super) member: Arc<Member>,
}

impl Hostname {
    /// Whether another member has that name: the API refuses that, and machines are let in all the time.
    async fn taken(&self, name: &str) -> Result<bool, RecordError> {
        let nodes = self.member.record.list::<NodeValue>(keys::NODES).await?;
        Ok(nodes.iter().any(|node| node.value.id != self.app.node_id && node.value.name == name))
    }

    /// Whether the agent must not start anew yet.
    fn waits(&self, wanted: &Wanted) -> Result<bool, NodeFileError> {
        let trying = self.app.network.trying();
        let differs = node_file::current(&self.app.settings)?.network != wanted.network();
        let status = self.app.desired.status.borrow();
        Ok(undecided(trying, differs, status.condition(condition::NETWORK), wanted.generation))
    }
}

/// Whether the network of this generation is tried, or is about to be: `differs` says that the node file has another
/// one, `told` what became of it as far as is known. Pure.
fn undecided(trying: bool, differs: bool, told: Option<&Condition>, generation: u64) -> bool {
    let decided =
        |told: &Condition| told.observed_generation == generation && told.status != ConditionStatus::Unknown;
    trying || (differs && !told.is_some_and(decided))
}

fn settle(settings: &Settings, name: &str) -> Result<(), ApplyError> {
    node_file::update(settings, |config| name.clone_into(&mut config.hostname))?;
    follow_node_file(settings, "hostname", &FILES, || Ok(()))?;
    let kernel = observe(settings, KERNEL)?.unwrap_or_default();
    if kernel.trim_end() != name {
        let path = below(settings, KERNEL);
        let write = fs::write(&path, format!("{name}\n"));
        write.map_err(|source| ApplyError::Io { what: "cannot set the host name by", path, source })?;
        tracing::warn!(name, "the host name was changed");
    }
    Ok(())
}

/// Whether the agent must not start anew yet: a network that is being tried would be put back by that, for good.
fn waits_for_network(app: &App, wanted: &Wanted) -> Result<bool, ApplyError> {
    let differs = node_file::current(&app.settings)?.network != wanted.network();
    let status = app.desired.status.borrow();
    let told = status.condition(condition::NETWORK);
    Ok(crate::network::undecided(app.network.trying(), differs, told, wanted.generation))
}

impl Applier for Hostname {
    fn condition(&self) -> &'static str {
        condition::HOSTNAME
    }

    fn apply<'a>(&'a self, wanted: &'a Wanted) -> Work<'a> {
        Box::pin(async move {
            let (name, own) = (wanted.hostname().to_owned(), &self.app.config.hostname);
            if name != *own {
                match self.taken(&name).await {
                    Ok(false) => {}
                    Ok(true) => {
                        return Outcome::failed(
                            TAKEN,
                            format!("{name} is the name of another member; choose another"),
                        );
                    }
                    Err(e) => return of_record(&e),
                }
                match self.waits(wanted) {
                    Ok(false) => {}
                    Ok(true) => {
                        return Outcome::working(WAITS, "until it is decided which network holds", SOON);
                    }
                    Err(e) => return Outcome::failed(FAILED, chain(&e)),
                }
            }
            let (settings, set) = (self.app.settings.clone(), wanted.spec.hostname.is_some());
            let restart = name != *own;
            match waits_for_network(&self.app, wanted) {
                Ok(waits) if waits && restart => {
                    let soon = Duration::from_secs(2);
                    return Outcome::working("Waits", "until it is decided which network holds", soon);
                }
                Ok(_) => {}
                Err(e) => return Outcome::failed(FAILED, chain(&e)),
            }
            blocking(move || {
                settle(&settings, &name)?;
                if !restart {
                    return Ok(Outcome::is(set));
                }
                systemctl(&settings, &["--no-block", "try-restart", AGENT])?;
                Ok(Outcome::working(RESTARTING, "the agent starts anew under the new name", AGAIN))
            })
            .await
        })
    }
}

#[cfg(test)]
mod tests {
    use ConditionStatus::{False, True, Unknown};

    use super::*;

    #[test]
    fn api_settings_a_host_name_waits_until_the_network_is_decided() {
        let told = |status, observed_generation| {
            Some(Condition { status, observed_generation, ..Condition::default() })
        };
        let rows = [
            ("the network stays", false, false, None, false),
            ("it is tried", true, true, told(Unknown, 2), true),
            ("another one is tried, from the console", true, false, told(True, 2), true),
            ("it is about to be tried", false, true, None, true),
            ("the one before was told of", false, true, told(True, 1), true),
            ("it is under way", false, true, told(Unknown, 2), true),
            ("it went back", false, true, told(False, 2), false),
            ("it holds, as it was set at the node", false, true, told(True, 2), false),
        ];
        for (name, trying, differs, told, want) in rows {
            assert_eq!(undecided(trying, differs, told.as_ref(), 2), want, "{name}");
        }
    }
}
