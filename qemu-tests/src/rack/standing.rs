//! How members are, as each node says it, and waiting until they are so.

use std::fmt::Write;
use std::time::Duration;

use anyhow::Context;
use maekin_api::nodes::NodeState;
use maekin_host::wait;

use super::Rack;
use crate::node::NodeSpec;

/// How often is looked: each time is a TLS handshake, which a translated guest feels.
const LOOK: Duration = Duration::from_secs(3);
/// What the agent and the record said last, for the end of an error.
const SAID: &str = "journalctl -u maekin-agent -u maekin-etcd -n 60 --no-pager | cut -c1-400";

impl Rack {
    /// Waits until `ready`; `limit` is by hardware virtualisation.
    ///
    /// # Errors
    /// After the limit, with what each node that runs said last.
    pub fn until(&self, what: &str, limit: Duration, mut ready: impl FnMut() -> bool) -> anyhow::Result<()> {
        let came = wait::until(what, self.limit(limit), LOOK, || ready().then_some(()));
        came.with_context(|| self.nodes().iter().map(|node| self.said(node)).collect::<String>())
    }

    /// How many vote in the record, as `node` says; `None` where it says nothing.
    #[must_use]
    pub fn voters(&self, node: &NodeSpec) -> Option<usize> {
        let cluster = self.api(node).ok()?.cluster().ok()?;
        Some(cluster.nodes.iter().filter(|member| member.voter).count())
    }

    /// How `node` says that the member `name` is.
    #[must_use]
    pub fn seen(&self, node: &NodeSpec, name: &str) -> Option<NodeState> {
        let all = self.api(node).ok()?.nodes().ok()?;
        all.into_iter().find(|info| info.name == name).map(|info| info.state)
    }

    /// What a node said last: its programs', and on its serial line.
    fn said(&self, node: &NodeSpec) -> String {
        let machine = self.machine(node);
        let mut text = format!("--- {}\n", node.name);
        if machine.is_on() {
            let log = self.ssh(node, SAID).unwrap_or_else(|e| format!("{e:#}"));
            let _ = writeln!(text, "{log}"); // writing to a string cannot fail
        }
        text + &machine.diagnosis() + "\n"
    }
}
