//! Raising a rack by the path a person with real servers goes: a stick in the first, network boot for the rest.

use std::time::{Duration, Instant};

use anyhow::{Context, bail};
use maekin_api::install::Progress as Stage;
use maekin_api::node::InstallMaster;
use maekin_host::wait;

use super::{Rack, Watch};
use crate::answer::Answer;
use crate::node::{BootFrom, Medium, NodeSpec};
use crate::release::Release;

/// Power-on to ready, by hardware virtualisation, with little else running.
const NODE_LIMIT: Duration = Duration::from_secs(5 * 60);
/// From the agent's word that it is ready to its API's answer.
const API_LIMIT: Duration = Duration::from_secs(30);
/// How often a node is asked how far it is: each time is a TLS handshake, which a translated guest feels.
const ASK_EVERY: Duration = Duration::from_secs(3);
/// From the first node's readiness to its install master's.
const MASTER_LIMIT: Duration = Duration::from_secs(60);
/// From the last node's readiness to every node knowing of it.
const SETTLE_LIMIT: Duration = Duration::from_secs(30);
/// How long the install window is opened for, in minutes.
const WINDOW_MINUTES: u32 = 60;
/// How often the first node is asked how the others' installations go.
const ASK: Duration = Duration::from_secs(2);

/// How many nodes to install at a time: it is bound by the processor, and beyond the host's cores more at once only
/// makes all of them late.
#[must_use]
pub fn at_once() -> usize {
    std::thread::available_parallelism().map_or(2, |n| n.get().max(2))
}

impl Rack {
    /// Puts a copy of the image with `answer` in it into the first node as a USB stick.
    ///
    /// # Errors
    /// When the copy cannot be made.
    pub fn insert_stick(&mut self, release: &Release, answer: &Answer) -> anyhow::Result<()> {
        let first = self.nodes().first().context("the rack has no node")?.name.clone();
        self.insert_stick_into(&first, release, answer)
    }

    /// The same for the node `name`.
    ///
    /// # Errors
    /// As [`Rack::insert_stick`].
    pub fn insert_stick_into(
        &mut self,
        name: &str,
        release: &Release,
        answer: &Answer,
    ) -> anyhow::Result<()> {
        let spec = self.nodes().iter().find(|n| n.name == name).context("the rack has no such node")?;
        let stick = self.dir().join(name).join("stick.iso");
        release.copy_with_answer(&answer.toml(spec), &stick)?;
        self.change(name, |node| node.medium = Some(Medium::Usb(stick)))
    }

    /// Switches the first node on and waits until its agent answers as the cluster's only member. If it has a stick,
    /// that is booted first, which installs it.
    ///
    /// # Errors
    /// With the diagnosis of the node.
    pub fn boot_first(&self, watch: &mut Watch, show: &mut dyn FnMut(&Watch)) -> anyhow::Result<()> {
        let first = self.nodes().first().context("the rack has no node")?;
        watch.power_on(self, &first.name, first.medium.as_ref().map(|_| BootFrom::Medium))?;
        watch.until_ready(self.limit(NODE_LIMIT), |watch| show(watch))?;
        self.wait_members(&[&first.name], API_LIMIT)
    }

    /// Opens the install window on the first node and installs all others over the network, `at_once` at a time.
    ///
    /// # Errors
    /// With the diagnosis of the node that failed.
    pub fn install_others(
        &self,
        watch: &mut Watch,
        at_once: usize,
        show: &mut dyn FnMut(&Watch),
    ) -> anyhow::Result<()> {
        let [_, others @ ..] = self.nodes() else { bail!("the rack has no node") };
        self.install(others, watch, at_once, show)
    }

    /// Opens the install window on the first node for these, and installs them over the network, `at_once` at a time.
    ///
    /// # Errors
    /// With the diagnosis of the node that failed.
    pub fn install(
        &self,
        others: &[NodeSpec],
        watch: &mut Watch,
        at_once: usize,
        show: &mut dyn FnMut(&Watch),
    ) -> anyhow::Result<()> {
        let first = self.nodes().first().context("the rack has no node")?;
        let api = self.api(first)?;
        self.wait_master()?;
        let count = u32::try_from(others.len()).context("too many nodes")?;
        api.open_window(WINDOW_MINUTES, count).context("cannot open the install window")?;
        let mut asked = Instant::now();
        let mut ask = |watch: &mut Watch| {
            show(watch);
            if asked.elapsed() < ASK {
                return None;
            }
            asked = Instant::now();
            let installs = api.installs().ok()?; // a busy master may be late; the serial lines tell the rest
            take_details(watch, &installs);
            Some(installs)
        };
        for group in others.chunks(at_once.max(1)) {
            for node in group {
                watch.power_on(self, &node.name, None)?;
                // One after the other, so that the names the first node gives are the ones the rack uses.
                let what = format!("{} to be let in", node.name);
                watch.until(&what, self.limit(NODE_LIMIT), |watch| {
                    ask(watch).is_some_and(|i| i.iter().any(|i| node.rack_mac() == Some(i.mac.as_str())))
                })?;
            }
            watch.until_ready(self.limit(NODE_LIMIT), |watch| drop(ask(watch)))?;
        }
        Ok(())
    }

    /// Waits until every node, asked by itself, lists all nodes as ready members.
    ///
    /// # Errors
    /// With what each node answered last.
    pub fn wait_one_cluster(&self) -> anyhow::Result<()> {
        self.wait_cluster_of(self.nodes())
    }

    /// Waits until each of these nodes, asked by itself, lists as many ready members as these are.
    ///
    /// # Errors
    /// With what each node answered last.
    pub fn wait_cluster_of(&self, nodes: &[NodeSpec]) -> anyhow::Result<()> {
        let names: Vec<&str> = nodes.iter().map(|n| n.name.as_str()).collect();
        self.wait_members(&names, SETTLE_LIMIT)
    }

    /// Waits until the first node's install master answers machines: a BIOS asks for an address for half a minute, and
    /// then gives up for good.
    ///
    /// # Errors
    /// With what the node says of it.
    pub fn wait_master(&self) -> anyhow::Result<()> {
        self.wait_master_among(self.nodes().get(..1).unwrap_or_default()).map(drop)
    }

    /// Waits until the install master of one of these nodes answers machines, and says which.
    ///
    /// # Errors
    /// With what each says of it.
    pub fn wait_master_among<'a>(&self, nodes: &'a [NodeSpec]) -> anyhow::Result<&'a NodeSpec> {
        let names: Vec<&str> = nodes.iter().map(|n| n.name.as_str()).collect();
        let what = format!("the install master of {} to serve", names.join(" or "));
        let mut last = Vec::new();
        let served = wait::until(&what, self.limit(MASTER_LIMIT), ASK_EVERY, || {
            last.clear();
            nodes.iter().find(|node| match self.api(node).and_then(|api| api.node()) {
                Ok(said) if said.install_master == InstallMaster::Serving => true,
                Ok(said) => {
                    last.push(format!("{} says {:?}", node.name, said.install_master));
                    false
                }
                Err(e) => {
                    last.push(format!("{}: {e:#}", node.name));
                    false
                }
            })
        });
        served.with_context(|| last.join("; ")).with_context(|| {
            nodes.iter().map(|n| format!("{}: {}\n", n.name, self.machine(n).diagnosis())).collect::<String>()
        })
    }

    /// Waits until each of the nodes `names` lists that many ready members.
    fn wait_members(&self, names: &[&str], limit: Duration) -> anyhow::Result<()> {
        let what = format!("each of {} to list {} ready members", names.join(", "), names.len());
        let mut last = String::new();
        let all = wait::until(&what, self.limit(limit), ASK_EVERY, || {
            for name in names {
                match self.ready_members(name) {
                    Ok(count) if count == names.len() => {}
                    Ok(count) => {
                        last = format!("{name} lists {count} ready members");
                        return None;
                    }
                    Err(e) => {
                        last = format!("{name}: {e:#}");
                        return None;
                    }
                }
            }
            Some(())
        });
        all.with_context(|| last).with_context(|| {
            let diagnoses = self.nodes().iter().filter(|n| names.contains(&n.name.as_str()));
            diagnoses.map(|n| format!("{}: {}\n", n.name, self.machine(n).diagnosis())).collect::<String>()
        })
    }

    fn ready_members(&self, name: &str) -> anyhow::Result<usize> {
        let cluster = self.api(self.node(name)?)?.cluster()?;
        let ready = maekin_api::cluster::MemberState::Ready;
        Ok(cluster.nodes.iter().filter(|n| n.state == ready).count())
    }
}

fn take_details(watch: &mut Watch, installs: &[maekin_api::install::Install]) {
    for node in watch.nodes_mut() {
        let ours = installs.iter().find(|i| node.spec.rack_mac().is_some_and(|mac| mac == i.mac));
        match ours.map(|i| &i.progress) {
            Some(Stage::Booting) => "let in by the first node".clone_into(&mut node.detail),
            Some(Stage::Installing { percent, .. }) => node.detail = format!("{percent} %"),
            _ => node.detail.clear(),
        }
    }
}
