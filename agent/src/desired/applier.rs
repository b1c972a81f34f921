//! The seam between the reconciler and the parts of a node: what is wanted, and what became of it.

use std::future::Future;
use std::net::IpAddr;
use std::pin::Pin;
use std::time::Duration;

use maekin_api::settings::{ConditionStatus, NodeSettings};
use maekin_rootfs::node::Network;

use super::node_file::Installed;

/// How this node shall be, all of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Wanted {
    /// Which generation of the settings this is.
    pub(crate) generation: u64,
    /// The generation that changed network or name servers last.
    pub(crate) network_generation: u64,
    /// The settings; what is absent is as installed.
    pub(crate) spec: NodeSettings,
    /// The node as it was installed.
    pub(crate) installed: Installed,
}

impl Wanted {
    /// The host name.
    pub(crate) fn hostname(&self) -> &str {
        self.spec.hostname.as_deref().unwrap_or(&self.installed.hostname)
    }

    /// Interfaces, addresses and name servers.
    pub(crate) fn network(&self) -> Network {
        let network = self.spec.network.as_ref().unwrap_or(&self.installed.network).clone();
        let dns: Vec<IpAddr> = self.spec.dns.clone().unwrap_or_else(|| network.dns.clone());
        Network { dns, ..network }
    }

    /// NTP servers.
    pub(crate) fn ntp(&self) -> &[String] {
        self.spec.ntp.as_ref().unwrap_or(&self.installed.ntp)
    }

    /// Who may log in by ssh.
    pub(crate) fn ssh_keys(&self) -> &[String] {
        self.spec.ssh_keys.as_ref().unwrap_or(&self.installed.ssh_keys)
    }
}

/// What became of a part.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Outcome {
    /// Whether it is as it shall be.
    pub(crate) status: ConditionStatus,
    /// Why, in one word for programs.
    pub(crate) reason: &'static str,
    /// Why, for people.
    pub(crate) message: String,
    /// When it is to be looked at again, whatever the reconciler's own pauses are.
    pub(crate) again: Option<Duration>,
}

/// The node does what the settings say.
pub(crate) const APPLIED: &str = "Applied";
/// The settings say nothing of it: it is as installed.
pub(crate) const AS_INSTALLED: &str = "AsInstalled";
/// Something could not be done; it is tried again.
pub(crate) const FAILED: &str = "Failed";
/// A program was told, and has not done it yet.
pub(crate) const WORKING: &str = "Working";

impl Outcome {
    fn new(status: ConditionStatus, reason: &'static str, message: impl Into<String>) -> Self {
        Self { status, reason, message: message.into(), again: None }
    }

    /// It is as it shall be: as the settings say where they say something (`set`), else as installed.
    pub(crate) fn is(set: bool) -> Self {
        Self::new(ConditionStatus::True, if set { APPLIED } else { AS_INSTALLED }, "")
    }

    /// It is as it shall be, for a reason of its own.
    pub(crate) fn holds(reason: &'static str, message: impl Into<String>) -> Self {
        Self::new(ConditionStatus::True, reason, message)
    }

    /// It is under way.
    pub(crate) fn working(reason: &'static str, message: impl Into<String>, again: Duration) -> Self {
        Self { again: Some(again), ..Self::new(ConditionStatus::Unknown, reason, message) }
    }

    /// It is not as it shall be; it is tried again, at growing distances.
    pub(crate) fn failed(reason: &'static str, message: impl Into<String>) -> Self {
        Self::new(ConditionStatus::False, reason, message)
    }

    /// It is looked at again after so long.
    #[must_use]
    pub(crate) fn again(self, after: Duration) -> Self {
        Self { again: Some(after), ..self }
    }
}

/// What an applier does, under way.
pub(crate) type Work<'a> = Pin<Box<dyn Future<Output = Outcome> + Send + 'a>>;

/// A part of the node that settings can change. It looks how the part is, does what is missing, and says what became of
/// it; where nothing is missing it changes nothing. It may be stopped at any moment, by the end of the agent or of the
/// machine, and has to go on from there when it is asked again. It is never asked twice at once.
pub(crate) trait Applier: Send + Sync {
    /// The condition that it answers for, one of [`maekin_api::settings::condition`].
    fn condition(&self) -> &'static str;

    /// Makes the part as it is wanted.
    fn apply<'a>(&'a self, wanted: &'a Wanted) -> Work<'a>;
}
