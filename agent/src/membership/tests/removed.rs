//! A member with a voter is removed, while everything runs.

use maekin_api::CLUSTER_NODE;
use maekin_api::node::Membership;
use maekin_api::trust::RemovedNode;

use super::survives::{Node, three, three_vote, until};
use super::*;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn join_a_voter_is_removed_and_the_record_goes_on() {
    if !have_etcd("join_a_voter_is_removed_and_the_record_goes_on") {
        return;
    }
    let dirs = [(); 3].map(|()| tempfile::tempdir().unwrap());
    let nodes = three(&dirs).await;
    let record = nodes[0].record();
    three_vote(&record).await;
    for node in &nodes {
        let member = node.app.member().ok().unwrap();
        renew::enlist_own(&node.app, &member).await.unwrap();
    }

    // Asked of the second: each that can sign may do it.
    let second = Target::Socket(nodes[1].app.settings.socket());
    until("every node to be seen alive", async || {
        (record.names(keys::ALIVE).await.ok()?.len() == 3).then_some(())
    })
    .await;
    let removed: RemovedNode = second.delete(&CLUSTER_NODE.replace("{name}", "node-3")).await.unwrap();
    assert_eq!(removed.id, nodes[2].app.node_id);
    until("the node to know that it was removed", async || match nodes[2].app.membership() {
        Membership::Working { last_error, .. } if last_error.contains("by root on node-2") => Some(()),
        _ => None,
    })
    .await;
    until("both other voters to follow", async || {
        let follow = |node: &Node| node.app.settings.run.join("removed.crl.started").exists();
        nodes[..2].iter().all(follow).then_some(())
    })
    .await;
    for node in &nodes[..2] {
        // It may have been made a learner anew in the moment before it was removed; that goes with the next look.
        until("its voter to be gone", async || {
            let voters = node.record().members().await.ok()?;
            voters.iter().all(|v| v.name != removed.id).then_some(())
        })
        .await;
        let write = async || {
            let value = WindowValue { until: 0, left: 0 };
            node.record().commit(Change::default().put(keys::WINDOW, &value).unwrap()).await.ok()
        };
        assert!(until("a write", write).await);
    }
    let gone = nodes[2].app.key.sha256();
    assert!(!record.list::<NodeValue>(keys::NODES).await.unwrap().iter().any(|n| n.value.key_sha256 == gone));
}
