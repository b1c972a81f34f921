//! Desired state of nodes: settings in the record, and this node made to follow its own.
//!
//! The node observes (what the record wants, what files and services are), plans (pure), applies, and observes again. Each
//! part has an applier of its own, which is never asked twice at once and may be stopped at any moment; what became of
//! each is a condition in the node's status, in the record and in its alarms. A node without the record keeps what it has
//! applied, over restarts too: all of it lies in its own files.
//!
//! | module | job |
//! | --- | --- |
//! | [`check`] | which settings can be used (pure) |
//! | [`change`] | what a change of them is, and who may ask for it (pure) |
//! | [`store`] | settings in the record |
//! | [`applier`] | the seam: what is wanted, what became of it |
//! | [`plan`] | which files differ from how they shall be (pure) |
//! | [`files`] | configuration files made so, and the services that read them told |
//! | [`node_file`] | the node file, and what it said at installation |
//! | [`conditions`] | outcomes as the node's status (pure) |
//! | [`reconcile`] | the loop |
//! | [`appliers`] | host name, NTP, ssh, roles, syslog, maintenance, console |
//!
//! The network's applier is `crate::network`'s. Labels hold as soon as they are written: nothing applies them.

pub(crate) mod applier;
mod appliers;
pub(crate) mod change;
pub(crate) mod check;
pub(crate) mod conditions;
mod files;
pub(crate) mod node_file;
mod plan;
mod reconcile;
pub(crate) mod store;

use std::sync::OnceLock;

use maekin_api::alarm::Alarm;
use maekin_api::settings::SettingsStatus;
use tokio::sync::watch;

pub(crate) use reconcile::keep;

/// How far this node is with its settings.
#[derive(Debug, Default)]
pub(crate) struct Keeper {
    status: watch::Sender<SettingsStatus>,
    /// What it had told when it was started.
    seeded: OnceLock<SettingsStatus>,
}

impl Keeper {
    /// What a person should know of.
    pub(crate) fn alarms(&self) -> Vec<Alarm> {
        conditions::alarms(&self.status.borrow())
    }
}

#[cfg(test)]
mod tests;
