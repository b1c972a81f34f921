//! The host name, and with it the member's. The agent knows its name from the node file alone: once that says another
//! one, it starts anew, and writes its entry of the record under the new name; certificates follow when they are renewed.
//! A network that is being tried goes back when the agent starts anew, so the name waits until that is decided.

use std::fs;
use std::sync::Arc;
use std::time::Duration;

use maekin_api::settings::condition;

use super::{blocking, of_record, systemctl};
use crate::app::{App, Member};
use crate::desired::applier::{Applier, FAILED, Outcome, Wanted, Work};
use crate::desired::files::{ApplyError, below, follow_node_file, observe};
use crate::desired::node_file;
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
            }
            let (settings, set) = (self.app.settings.clone(), wanted.spec.hostname.is_some());
            let restart = name != *own;
            match waits_for_network(&self.app, wanted) {
                Ok(waits) if waits && restart => {
                    return Outcome::working(WAITS, "until it is decided which network holds", SOON);
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
