//! Agents that gossip over real sockets.

use std::path::Path;
use std::time::Duration;

use maekin_api::join::{Invite, NewInvite};
use maekin_api::nodes::NodeState;
use maekin_api::{INVITES, NODES};
use maekin_rootfs::node::ClusterIntent;
use tokio::task::JoinSet;

use super::*;
use crate::app::Member;
use crate::http::client::Target;
use crate::leader;
use crate::membership::{self, voters};
use crate::record::alive;
use crate::testing::{EndEtcd, agent, have_etcd, restarted, serve_while};

/// Longest time that any of them may take for anything: tests run beside others on few processors.
const LIMIT: Duration = Duration::from_secs(120);

/// A node that runs.
struct Node {
    app: Arc<App>,
    tasks: JoinSet<()>,
    etcd: Option<EndEtcd>,
}

impl Node {
    async fn start(app: Arc<App>, dir: &Path) -> Self {
        let etcd = Some(EndEtcd(dir.to_owned()));
        let mut node = Self { tasks: serve_while(&app).await, app, etcd };
        node.tasks.spawn(run(Arc::clone(&node.app)));
        let member = node.become_member().await;
        node.tasks.spawn(alive::keep(member.record.clone(), node.app.node_id.clone(), |_| {}));
        node.tasks.spawn(leader::keep(Arc::clone(&node.app), Arc::clone(&member)));
        node.tasks.spawn(voters::keep(Arc::clone(&node.app), member));
        node
    }

    async fn become_member(&self) -> Arc<Member> {
        let work = membership::run(Arc::clone(&self.app));
        tokio::time::timeout(LIMIT, work).await.expect("becomes a member in time");
        self.app.member().expect("is a member")
    }

    /// Ends its agent at once, as `kill -9` does; its voter goes on.
    async fn kill_agent(&mut self) {
        self.tasks.shutdown().await;
    }

    fn own(&self) -> Target {
        Target::Socket(self.app.settings.socket())
    }

    /// What its API says of the nodes.
    async fn nodes(&self) -> Vec<NodeInfo> {
        self.own().get(NODES).await.expect("the list of nodes")
    }

    async fn state_of(&self, other: &App) -> Option<NodeState> {
        self.nodes().await.into_iter().find(|node| node.id == other.node_id).map(|node| node.state)
    }

    async fn until_state(&self, other: &App, want: NodeState) {
        let what = format!("{} to be {want:?}", other.config.hostname);
        until(&what, async || (self.state_of(other).await == Some(want)).then_some(())).await;
    }
}

async fn until<T>(what: &str, mut ready: impl AsyncFnMut() -> Option<T>) -> T {
    let poll = async {
        loop {
            if let Some(value) = ready().await {
                return value;
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    };
    tokio::time::timeout(LIMIT, poll).await.unwrap_or_else(|_| panic!("gave up waiting for {what}"))
}

async fn cluster(dirs: &[tempfile::TempDir]) -> Vec<Node> {
    let first = agent(dirs[0].path(), 1, ClusterIntent::Create { name: "rack".into() });
    let mut nodes = vec![Node::start(first, dirs[0].path()).await];
    for (seed, dir) in (2..).zip(&dirs[1..]) {
        let invite: Invite = nodes[0].own().post(INVITES, &NewInvite { minutes: 5 }).await.unwrap();
        let cluster = ClusterIntent::Join {
            masters: invite.masters.clone(),
            ca_sha256: invite.ca_sha256.clone(),
            secret: invite.secret.clone(),
        };
        nodes.push(Node::start(agent(dir.path(), seed, cluster), dir.path()).await);
    }
    for node in &nodes {
        for other in &nodes {
            node.until_state(&other.app, NodeState::Ready).await;
            if node.app.node_id != other.app.node_id {
                until("all to be heard", async || node.hears(other).then_some(())).await;
            }
        }
    }
    nodes
}

impl Node {
    fn hears(&self, other: &Self) -> bool {
        let heard = self.app.liveness.lock().heard(now());
        let heard = node_id(&other.app.node_id).and_then(|id| heard.get(&id).cloned());
        heard.is_some_and(|heard| heard.liveness == Liveness::Alive && heard.status.is_some())
    }

    /// How often this node was taken for dead while it was not.
    fn buried(&self) -> u64 {
        self.app.liveness.lock().running.as_ref().map_or(0, |running| running.gossip.counters().buried)
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn gossip_a_node_whose_agent_was_killed_is_noticed_and_comes_back() {
    if !have_etcd("gossip_a_node_whose_agent_was_killed_is_noticed_and_comes_back") {
        return;
    }
    let dirs = [(); 3].map(|()| tempfile::tempdir().unwrap());
    let mut nodes = cluster(&dirs).await;
    let all = nodes[1].nodes().await;
    assert_eq!(all.iter().map(|n| n.name.as_str()).collect::<Vec<_>>(), ["node-1", "node-2", "node-3"]);
    assert!(all.iter().all(|n| !n.why.is_empty() && n.memory.is_some() && n.heard.is_some()), "{all:?}");
    assert_eq!(all.iter().filter(|n| n.own).count(), 1);
    let one: NodeInfo = nodes[0].own().get(&format!("{NODES}/node-3")).await.unwrap();
    assert_eq!(one.id, nodes[2].app.node_id);
    let none = nodes[0].own().get::<NodeInfo>(&format!("{NODES}/node-9")).await.unwrap_err().to_string();
    assert!(none.contains("node-9"), "{none}");

    let mut dead = nodes.pop().unwrap();
    let killed_at = Instant::now();
    dead.kill_agent().await;
    for node in &nodes {
        node.until_state(&dead.app, NodeState::Unreachable).await;
    }
    println!("noticed by both after {:.1} s", killed_at.elapsed().as_secs_f64());
    for node in &nodes {
        let buried = node.buried();
        for other in &nodes {
            assert_eq!(node.state_of(&other.app).await, Some(NodeState::Ready), "nobody else is accused");
        }
        assert_eq!(buried, 0);
    }
    let back = Node::start(restarted(&dead.app), dirs[2].path()).await;
    for node in &nodes {
        node.until_state(&back.app, NodeState::Ready).await;
        until("it to be heard again", async || node.hears(&back).then_some(())).await;
        until("it to hear again", async || back.hears(node).then_some(())).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn partition_a_leader_without_a_quorum_stops_leading_and_says_so() {
    if !have_etcd("partition_a_leader_without_a_quorum_stops_leading_and_says_so") {
        return;
    }
    let dirs = [(); 3].map(|()| tempfile::tempdir().unwrap());
    let mut nodes = cluster(&dirs).await;
    until("three voters", async || (nodes[0].app.liveness.lock().voters == 3).then_some(())).await;
    until("the first node to lead", async || nodes[0].app.leads().then_some(())).await;
    let mut others = nodes.split_off(1);
    for other in &mut others {
        other.kill_agent().await;
        other.etcd = None;
    }
    let alone = &nodes[0];
    until("it to lead no longer", async || (!alone.app.leads()).then_some(())).await;
    let alarm = until("the alarm", async || alone.app.liveness.alarm()).await;
    assert_eq!(alarm.id, "quorum-lost");
    assert!(alarm.what.contains("3 voters, 2 of them"), "{}", alarm.what);
    // Its own list answers all the same, and says how all are.
    for other in &others {
        alone.until_state(&other.app, NodeState::Unreachable).await;
    }
    let own = alone.nodes().await.into_iter().find(|node| node.own).unwrap();
    assert_eq!((own.state, own.since), (NodeState::Suspect, alarm.since), "{}", own.why);

    // An agent that starts while the record is away knows the others of the last time.
    let again = restarted(&alone.app);
    assert_eq!(Memory::load(&again.settings.peers()).nodes.len(), 3);
}
