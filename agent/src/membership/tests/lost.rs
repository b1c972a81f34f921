//! Two of three voters are lost for good; the third one's record is put back, and grows again.

use super::survives::{Node, invite, three_vote, until};
use super::*;
use crate::membership::restore;
use crate::membership::restore::plan::{Refusal, Source, plan_restore};
use crate::record::values::{RestoredValue, WindowValue};
use crate::record::voters::Voter;
use crate::record::watch::Heard;
use crate::testing::have_etcdutl;

async fn join(node: &Node, dir: &Path, seed: u128) -> Node {
    let secret = invite(node).await;
    Node::start(agent(dir, seed, joining(&secret, &secret.ca_sha256)), dir).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn record_is_put_back_from_the_voter_that_is_left_and_grows_again() {
    if !have_etcdutl("record_is_put_back_from_the_voter_that_is_left_and_grows_again") {
        return;
    }
    let dirs = [(); 5].map(|()| tempfile::tempdir().unwrap());
    let first = agent(dirs[0].path(), 1, ClusterIntent::Create { name: "rack".into() });
    let mut nodes = vec![Node::start(first, dirs[0].path()).await];
    until("the first node to lead", async || nodes[0].app.leads().then_some(())).await;
    for n in [1, 2] {
        let node = join(&nodes[0], dirs[n].path(), n as u128 + 1).await;
        nodes.push(node);
    }
    let record = nodes[2].record();
    three_vote(&record).await;
    for node in &nodes {
        until("everybody to know three voters", async || {
            let known = MembershipFile::load(&node.app.settings.membership()).ok()??;
            (known.endpoints.len() == 3).then_some(())
        })
        .await;
    }
    let kept = WindowValue { until: 9, left: 3 };
    assert!(record.commit(Change::default().put(keys::WINDOW, &kept).unwrap()).await.unwrap());
    let last = record.revision().await.unwrap();
    let (seen, _) = restore::look(&nodes[2].app, None).await.unwrap();
    assert!(matches!(plan_restore(&seen, now()), Err(Refusal::Quorum(_))), "nothing is lost yet");
    nodes[0].die().await;
    let (seen, _) = restore::look(&nodes[2].app, None).await.unwrap();
    assert!(matches!(plan_restore(&seen, now()), Err(Refusal::Quorum(_))), "two of three answer");
    nodes[1].die().await;
    until("the quorum to be gone", async || record.revision().await.is_err().then_some(())).await;

    let (seen, _) = restore::look(&nodes[2].app, None).await.unwrap();
    let plan = plan_restore(&seen, now()).unwrap();
    assert_eq!(plan.source, Source::Voter);
    assert_eq!(plan.must_not_run.len(), 2, "{plan}");
    assert!(plan.to_string().contains("up to revision"), "{plan}");
    nodes[2].tasks.shutdown().await; // the agent ends, as the verb does it
    restore::apply(&nodes[2].app, &plan, now()).await.unwrap();
    nodes[2].tasks.shutdown().await;
    let app = restarted(&nodes[2].app);
    nodes[2].etcd = None;
    nodes[2] = Node::start(app, dirs[2].path()).await;
    let record = nodes[2].record();
    assert_eq!(record.get::<WindowValue>(keys::WINDOW).await.unwrap().unwrap().value, kept);
    assert_eq!(record.get::<RestoredValue>(keys::RESTORED).await.unwrap().unwrap().value.count, 1);
    let voters = record.members().await.unwrap();
    assert!(matches!(&voters[..], [Voter { learner: false, name, .. }] if *name == nodes[2].app.node_id));
    assert!(dirs[2].path().join("state/etcd.before").exists(), "what was there is kept");
    assert!(record.revision().await.unwrap() > last + 1_000_000, "no revision is seen twice");
    let mut watch = record.watch(keys::ALL, last + 1).await.unwrap();
    let heard =
        tokio::time::timeout(Duration::from_secs(20), watch.next()).await.expect("word of it in time");
    assert!(
        matches!(heard, Some(Heard::Forgotten)),
        "who watched the old one is told to read anew: {heard:?}"
    );

    until("the third node to lead", async || nodes[2].app.leads().then_some(())).await;
    for n in [3, 4] {
        let node = join(&nodes[2], dirs[n].path(), n as u128 + 1).await;
        nodes.push(node);
    }
    let voters = until("three voters again", async || {
        let voters = record.members().await.ok()?;
        (voters.iter().filter(|v| !v.learner && !v.name.is_empty()).count() == 3).then_some(voters)
    })
    .await;
    let lost = [&nodes[0].app.node_id, &nodes[1].app.node_id];
    assert!(voters.iter().all(|v| !lost.contains(&&v.name)), "{voters:?}");

    // One of the lost ones comes back after all: it finds the new record by itself, and gives its old voter up.
    let restored = async |node: &Node| {
        let found = until("the new record to be read", async || {
            node.record().get::<RestoredValue>(keys::RESTORED).await.ok().flatten()
        });
        assert_eq!(found.await.value.count, 1);
    };
    let gone = async |dir: &Path| {
        let voter = dir.join("state/voter.json");
        until("its old voter to be gone", async || (!voter.exists()).then_some(())).await;
    };
    let saved = [0, 1].map(|n| tempfile::tempdir().map(|to| (dirs[n].path().join("state"), to)).unwrap());
    for (from, to) in &saved {
        maekin_host::file::copy_tree(from, &to.path().join("state")).unwrap();
    }
    let mut back = Node::start(restarted(&nodes[1].app), dirs[1].path()).await;
    restored(&back).await;
    gone(dirs[1].path()).await;
    back.die().await;

    // Both come back together, as they were: they have a quorum of the old record, until they hear of the new one.
    for (from, to) in &saved {
        fs::remove_dir_all(from).unwrap();
        maekin_host::file::copy_tree(&to.path().join("state"), from).unwrap();
    }
    let [a, b] = [0, 1].map(|n| {
        let (app, dir) = (restarted(&nodes[n].app), dirs[n].path().to_owned());
        tokio::spawn(async move { Node::start(app, &dir).await })
    });
    let pair = [a.await.unwrap(), b.await.unwrap()];
    for node in &pair {
        let (app, record) = (Arc::clone(&node.app), node.record());
        until("the old record to be given up", async || {
            crate::record::care::yield_to_restored(&app, &record).await;
            let read = record.get::<RestoredValue>(keys::RESTORED).await.ok().flatten();
            read.filter(|read| read.value.count == 1).map(drop)
        })
        .await;
    }
    for (n, node) in pair.iter().enumerate() {
        restored(node).await;
        gone(dirs[n].path()).await;
    }
}
