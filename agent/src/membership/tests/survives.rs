//! Three nodes, each with an agent and an etcd of its own; the first one dies.

use tokio::task::JoinSet;

use super::*;
use crate::leader;
use crate::membership::{signer, voters};
use crate::record::values::{CaValue, ProvisionValue};
use crate::record::{alive, voters::Voter};
use crate::testing::serve_while;

/// How long the cluster may take to come to where it shall be: two elections, and some looks of everybody.
const SETTLE: Duration = Duration::from_secs(180);

/// A node that runs.
pub(super) struct Node {
    pub(super) app: Arc<App>,
    pub(super) tasks: JoinSet<()>,
    pub(super) etcd: Option<EndEtcd>,
}

impl Node {
    pub(super) async fn start(app: Arc<App>, dir: &Path) -> Self {
        let etcd = Some(EndEtcd(dir.to_owned()));
        let mut tasks = serve_while(&app).await;
        let member = become_member(&app).await;
        let own = Arc::clone(&app);
        tasks.spawn(alive::keep(member.record.clone(), app.node_id.clone(), move |sent| own.reached(sent)));
        tasks.spawn(leader::keep(Arc::clone(&app), Arc::clone(&member)));
        tasks.spawn(voters::keep(Arc::clone(&app), member));
        Self { app, tasks, etcd }
    }

    /// Ends everything of it at once, as a power cut does.
    pub(super) async fn die(&mut self) {
        self.etcd = None;
        self.tasks.shutdown().await;
    }

    pub(super) fn record(&self) -> Record {
        self.app.member().expect("is a member").record.clone()
    }
}

pub(super) async fn until<T>(what: &str, mut ready: impl AsyncFnMut() -> Option<T>) -> T {
    let poll = async {
        loop {
            if let Some(value) = ready().await {
                return value;
            }
            tokio::time::sleep(Duration::from_millis(200)).await;
        }
    };
    tokio::time::timeout(SETTLE, poll).await.unwrap_or_else(|_| panic!("gave up waiting for {what}"))
}

pub(super) async fn three_vote(record: &Record) -> Vec<Voter> {
    until("three voters", async || {
        let voters = record.members().await.ok()?;
        let nodes = record.list::<NodeValue>(keys::NODES).await.ok()?;
        let known = nodes.iter().filter(|n| !n.value.record_url.is_empty() && n.value.signer).count();
        (voters.iter().filter(|v| !v.learner && !v.name.is_empty()).count() == 3 && known == 3)
            .then_some(voters)
    })
    .await
}

/// A cluster of three in the first three of `dirs`: the first, which leads, made it, and let the others in.
pub(super) async fn three(dirs: &[tempfile::TempDir]) -> Vec<Node> {
    let first = agent(dirs[0].path(), 1, ClusterIntent::Create { name: "rack".into() });
    let mut nodes = vec![Node::start(first, dirs[0].path()).await];
    until("the first node to lead", async || nodes[0].app.leads().then_some(())).await;
    for (seed, dir) in [(2, &dirs[1]), (3, &dirs[2])] {
        let secret = invite(&nodes[0]).await;
        let app = agent(dir.path(), seed, joining(&secret, &secret.ca_sha256));
        nodes.push(Node::start(app, dir.path()).await);
    }
    nodes
}

pub(super) async fn invite(node: &Node) -> Invite {
    let own = Target::Socket(node.app.settings.socket());
    own.post(INVITES, &NewInvite { minutes: 5 }).await.unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn netboot_the_cluster_survives_the_node_that_made_it() {
    if !have_etcd("netboot_the_cluster_survives_the_node_that_made_it") {
        return;
    }
    let dirs = [(); 4].map(|()| tempfile::tempdir().unwrap());
    let mut nodes = three(&dirs).await;
    let record = nodes[2].record();
    let before = three_vote(&record).await;
    let provision = ProvisionValue {
        pool_start: "10.77.0.100".parse().unwrap(),
        pool_end: "10.77.0.199".parse().unwrap(),
        router: None,
    };
    assert!(record.commit(Change::default().put(keys::PROVISION, &provision).unwrap()).await.unwrap());
    let secret = invite(&nodes[2]).await;
    let sealed = record.get::<CaValue>(keys::CA).await.unwrap().unwrap().value;
    assert!(!sealed.sealed_key.contains("PRIVATE") && sealed.cert.contains("CERTIFICATE"));
    let epoch = nodes[0].app.standing().tenure.unwrap().epoch;

    nodes[0].die().await;
    assert!(nodes[1..].iter().all(|n| !n.app.leads()), "not before the first one's time is over");
    let next =
        until("another node to lead", async || nodes[1..].iter().position(|n| n.app.leads())).await + 1;
    let tenure = nodes[next].app.standing().tenure.unwrap();
    assert!(tenure.epoch > epoch, "a new tenure has a later epoch");
    let stale =
        Change::default().if_created_at(keys::LEADER, epoch).put(keys::PROVISION, &provision).unwrap();
    assert!(!nodes[next].record().commit(stale).await.unwrap(), "the dead leader's late writes are void");
    let other = &nodes[3 - next];
    until("everybody to know who leads", async || {
        (other.app.standing().leader?.id == nodes[next].app.node_id).then_some(())
    })
    .await;
    let kept = nodes[next].record().get::<ProvisionValue>(keys::PROVISION).await.unwrap().unwrap();
    assert_eq!(kept.value, provision);

    // Its invitation names the dead node too, perhaps first.
    let fourth = agent(dirs[3].path(), 4, joining(&secret, &secret.ca_sha256));
    let fourth = Node::start(fourth, dirs[3].path()).await;
    let far = fourth.app.member().ok().unwrap();
    assert!(
        signer::authority(&fourth.app, &far).await.unwrap().is_none(),
        "without a voter it signs nobody in"
    );

    let app = restarted(&nodes[0].app);
    nodes[0] = Node::start(app, dirs[0].path()).await;
    assert_eq!(three_vote(&nodes[0].record()).await, before, "it is the voter that it was");
    until("the first node to follow", async || nodes[0].app.standing().leader).await;
    assert!(!nodes[0].app.leads(), "it does not take the post back");
    drop(fourth);
}
