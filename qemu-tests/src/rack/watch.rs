//! Following several nodes at once by their serial lines.

use std::time::{Duration, Instant};

use anyhow::{Context, bail};
use maekin_host::wait;

use super::Rack;
use crate::machine::Machine;
use crate::node::{BootFrom, NodeSpec};
use crate::progress::Progress;
use crate::serial::Serial;

/// How often the serial logs are looked at.
const LOOK: Duration = Duration::from_millis(200);

/// A node that is followed.
pub struct Watched {
    /// The node.
    pub spec: NodeSpec,
    /// What it did so far.
    pub progress: Progress,
    /// A figure or a word about the current step, from elsewhere (the install master).
    pub detail: String,
    machine: Machine,
    serial: Serial,
    since: Instant,
    /// Fixed once the node is ready or lost, so that the clock shown stops.
    ended: Option<Duration>,
}

impl Watched {
    /// Time since power-on, up to the end if there was one.
    #[must_use]
    pub fn elapsed(&self) -> Duration {
        self.ended.unwrap_or_else(|| self.since.elapsed())
    }
}

/// Nodes that are followed.
#[derive(Default)]
pub struct Watch {
    nodes: Vec<Watched>,
}

impl Watch {
    /// How long ago the last of them was switched on; `None` where none is followed.
    #[must_use]
    pub fn last_on(&self) -> Option<Duration> {
        self.nodes.iter().map(|node| node.since.elapsed()).min()
    }

    /// Switches a node on and follows it from there; `from` is a choice in its boot menu. What it said before does
    /// not count.
    ///
    /// # Errors
    /// As [`Machine::power_on`].
    pub fn power_on(&mut self, rack: &Rack, name: &str, from: Option<BootFrom>) -> anyhow::Result<()> {
        let spec = rack.node(name)?.clone();
        let machine = rack.machine(&spec);
        let mut serial = machine.serial();
        serial.skip()?;
        match from {
            Some(from) => machine.power_on_from(&spec, from)?,
            None => machine.power_on(&spec)?,
        }
        self.nodes.retain(|n| n.spec.name != name);
        self.nodes.push(Watched {
            spec,
            progress: Progress::start(),
            detail: String::new(),
            machine,
            serial,
            since: Instant::now(),
            ended: None,
        });
        Ok(())
    }

    /// The nodes followed.
    #[must_use]
    pub fn nodes(&self) -> &[Watched] {
        &self.nodes
    }

    /// The nodes followed, to put a detail in.
    pub fn nodes_mut(&mut self) -> &mut [Watched] {
        &mut self.nodes
    }

    /// Reads what the nodes have said since.
    ///
    /// # Errors
    /// When a node failed, was lost, or switched itself off; with its diagnosis.
    pub fn poll(&mut self) -> anyhow::Result<()> {
        for node in self.nodes.iter_mut().filter(|n| n.ended.is_none()) {
            let on = node.machine.is_on(); // asked before reading, so that its last words are read
            while let Some(line) = node.serial.line()? {
                if node.progress.line(&line, node.since.elapsed()) {
                    node.detail.clear();
                }
            }
            if let Some(reason) = &node.progress.failed {
                bail!("{}: {reason}\n{}", node.spec.name, node.machine.diagnosis());
            }
            if node.progress.ready.is_some() {
                node.ended = node.progress.ready;
            } else if !on {
                bail!("{} switched itself off\n{}", node.spec.name, node.machine.diagnosis());
            }
        }
        Ok(())
    }

    /// Follows until all nodes are ready, calling `show` at every look.
    ///
    /// # Errors
    /// As [`Watch::until`].
    pub fn until_ready(&mut self, limit: Duration, mut show: impl FnMut(&mut Self)) -> anyhow::Result<()> {
        self.until("all nodes to be ready", limit, |watch| {
            show(watch);
            watch.nodes.iter().all(|n| n.progress.ready.is_some())
        })
    }

    /// Follows until `done`, asked at every look, says so.
    ///
    /// # Errors
    /// As [`Watch::poll`], and after `limit` with the diagnosis of every node that is not ready.
    pub fn until(
        &mut self,
        what: &str,
        limit: Duration,
        mut done: impl FnMut(&mut Self) -> bool,
    ) -> anyhow::Result<()> {
        let waited = wait::until(what, limit, LOOK, || match self.poll() {
            Err(e) => Some(Err(e)),
            Ok(()) => done(self).then_some(Ok(())),
        });
        match waited {
            Ok(result) => result,
            Err(timeout) => {
                let late = self.nodes.iter().filter(|n| n.progress.ready.is_none());
                let text: Vec<String> = late
                    .map(|n| {
                        format!("{} was at: {}\n{}", n.spec.name, n.progress.current(), n.machine.diagnosis())
                    })
                    .collect();
                Err(timeout).with_context(|| text.join("\n"))
            }
        }
    }
}
