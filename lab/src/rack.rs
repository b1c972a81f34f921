//! A rack: nodes at a switch, raised as an installation raises them. The first makes the cluster; the others have a join
//! token in their node files.

use std::path::{Path, PathBuf};
use std::sync::mpsc::{self, Receiver};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, bail};
use maekin_api::cluster::{Cluster, MemberState};
use maekin_rootfs::node::ClusterIntent;

use crate::api::Api;
use crate::node::Node;
use crate::pace;
use crate::switch::{Switch, address};

/// How often is looked whether what is waited for is so.
pub const EVERY: Duration = Duration::from_millis(250);
/// How long one question may take that is asked again when it fails.
const SHORT: Duration = Duration::from_secs(3);
/// Up to so many nodes find each other by ARP; more of them are told, see [`Switch::introduce`].
const ARP: usize = 16;
/// How many lines of each agent's log an error carries.
const LINES: usize = 25;

/// See the module.
pub struct Rack {
    /// Its nodes.
    pub nodes: Vec<Node>,
    /// Its network.
    pub switch: Switch,
    agent: PathBuf,
    // Last: it is removed when all that writes into it has ended.
    dir: tempfile::TempDir,
}

impl Rack {
    /// So many nodes of the `agent` program, all off, none installed. The calling thread, and what it starts from now on, is
    /// in the rack's network.
    ///
    /// # Errors
    /// When there can be no namespaces, or no files.
    pub fn new(agent: &Path, nodes: usize, seed: u64) -> anyhow::Result<Self> {
        let dir = tempfile::tempdir().context("a directory for the rack")?;
        let switch = Switch::enter(dir.path())?;
        let mut rack = Self { nodes: Vec::new(), switch, agent: agent.to_owned(), dir };
        for n in 0..nodes {
            let node = Node::new(n, seed, rack.dir.path(), address(n))?;
            rack.switch.plug(n, node.net(), node.address)?;
            rack.nodes.push(node);
        }
        if nodes > ARP {
            let all: Vec<_> = (0..nodes).map(|n| (n, address(n))).collect();
            rack.nodes.iter().try_for_each(|node| rack.switch.introduce(node.index, node.net(), &all))?;
        }
        Ok(rack)
    }

    /// One that is raised and whole.
    ///
    /// # Errors
    /// When it does not become so within `limit`.
    pub fn raised(agent: &Path, nodes: usize, seed: u64, limit: Duration) -> anyhow::Result<Self> {
        let mut rack = Self::new(agent, nodes, seed)?;
        let invited = rack.begin(limit)?;
        let intent =
            pace::until("the first node to make a cluster", limit, EVERY, || invited.try_recv().ok())?;
        rack.join(&intent)?;
        rack.whole(limit)?;
        Ok(rack)
    }

    /// Switches the first node on, which makes the cluster; hears what lets the others in, as soon as that can be had.
    ///
    /// # Errors
    /// When it cannot be switched on.
    pub fn begin(&mut self, limit: Duration) -> anyhow::Result<Receiver<ClusterIntent>> {
        let first = self.nodes.first().context("a rack of no nodes")?;
        first.install(ClusterIntent::Create { name: "lab".into() })?;
        let (api, uses) = (Api::new(first.address, pace::limit(SHORT)), u32::try_from(self.nodes.len())?);
        let (told, invited) = mpsc::channel();
        thread::spawn(move || {
            let ask = || api.invite(uses).ok();
            if let Ok(intent) = pace::until("a join token", limit, EVERY, ask) {
                let _ = told.send(intent); // whoever waited may have given up
            }
        });
        self.power_on(0)?;
        Ok(invited)
    }

    /// Installs and switches on all nodes but the first.
    ///
    /// # Errors
    /// When one cannot be switched on.
    pub fn join(&mut self, intent: &ClusterIntent) -> anyhow::Result<()> {
        for n in 1..self.nodes.len() {
            self.nodes[n].install(intent.clone())?;
            self.power_on(n)?;
        }
        Ok(())
    }

    /// Switches a node on.
    ///
    /// # Errors
    /// When that cannot be done.
    pub fn power_on(&mut self, n: usize) -> anyhow::Result<()> {
        self.nodes[n].power_on(&self.agent)
    }

    /// Switches a node off, stops at nothing.
    pub fn cut_power(&mut self, n: usize) {
        self.nodes[n].cut_power();
    }

    /// Moves a node that is off to another address.
    ///
    /// # Errors
    /// When ip(8) does not work.
    pub fn readdress(&mut self, n: usize, place: usize) -> anyhow::Result<()> {
        let node = &mut self.nodes[n];
        node.readdress(address(place))?;
        self.switch.readdress(n, node.net(), address(place))
    }

    /// Clients of all nodes.
    #[must_use]
    pub fn apis(&self) -> Vec<Api> {
        self.nodes.iter().map(Node::api).collect()
    }

    /// Waits until every node that is on says the same: all are members and ready, as many vote as should, one leads.
    ///
    /// # Errors
    /// When it does not become so within `limit`: what was missing, and what the agents said last.
    pub fn whole(&self, limit: Duration) -> anyhow::Result<Duration> {
        self.agree(&self.nodes.iter().collect::<Vec<_>>(), limit)
    }

    /// The same of some of the nodes: they alone are asked, and it is enough that they are ready.
    ///
    /// # Errors
    /// As [`Rack::whole`].
    pub fn agree(&self, asked: &[&Node], limit: Duration) -> anyhow::Result<Duration> {
        let begun = Instant::now();
        let names: Vec<&str> = asked.iter().map(|node| node.name.as_str()).collect();
        let mut missing = String::new();
        let apis: Vec<_> =
            asked.iter().map(|node| (node, Api::new(node.address, pace::limit(SHORT)))).collect();
        let mut left: Vec<_> = apis.iter().collect();
        let outcome = pace::until("the cluster to be whole", limit, EVERY, || {
            // Those that said so are asked again when all have.
            while let Some((node, api)) = left.last() {
                let lacks = api
                    .cluster()
                    .map_or_else(|e| Some(format!("{e:#}")), |c| lacks(&c, &names, self.nodes.len()));
                if let Some(lacks) = lacks {
                    missing = format!("{}: {lacks}", node.name);
                    return None;
                }
                left.pop();
            }
            Some(())
        });
        match outcome {
            Ok(()) => Ok(begun.elapsed()),
            Err(e) => bail!("{e}: {missing}\n{}", self.said()),
        }
    }

    /// What the agents said last.
    #[must_use]
    pub fn said(&self) -> String {
        let words = |node: &Node| {
            format!("--- {} ({})\n{}", node.name, if node.is_on() { "on" } else { "off" }, node.said(LINES))
        };
        self.nodes.iter().map(words).collect::<Vec<_>>().join("\n")
    }
}

/// How many voters a cluster of so many members has: docs/cluster.md.
#[must_use]
pub fn voters(members: usize) -> usize {
    match members {
        0..=2 => 1,
        3..=6 => 3,
        _ => 5,
    }
}

/// What a cluster of `members` lacks to be whole, where those of these names are ready. Pure.
fn lacks(cluster: &Cluster, names: &[&str], members: usize) -> Option<String> {
    let ready = |name: &&str| cluster.nodes.iter().any(|n| n.name == **name && n.state == MemberState::Ready);
    if let Some(name) = names.iter().find(|name| !ready(name)) {
        return Some(format!("{name} is not ready"));
    }
    if cluster.nodes.len() != members {
        return Some(format!("there are {} members, not {members}", cluster.nodes.len()));
    }
    let votes = cluster.nodes.iter().filter(|node| node.voter).count();
    if votes != voters(members) {
        return Some(format!("{votes} vote, not {}", voters(members)));
    }
    cluster.leader.is_none().then(|| "nobody leads".to_owned())
}
