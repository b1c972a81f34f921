//! Two nodes of one cluster with their own hands: one goes into maintenance, is drained, and has the record copied.

use maekin_api::cluster::Cluster;
use maekin_api::nodes::NodeInfo;

use super::*;
use crate::membership::voters;
use crate::record::{alive, backup};

/// A node with all that maintenance has to do with.
async fn whole(dir: &Path, seed: u128, cluster: ClusterIntent) -> Node {
    let etcd = EndEtcd(dir.to_owned());
    let app = agent(dir, seed, cluster);
    let mut tasks = serve_while(&app).await;
    let member = become_member(&app).await;
    tasks.spawn(alive::keep(member.record.clone(), app.node_id.clone(), |_| {}));
    tasks.spawn(leader::keep(Arc::clone(&app), Arc::clone(&member)));
    tasks.spawn(voters::keep(Arc::clone(&app), Arc::clone(&member)));
    let own = Arc::clone(&app);
    tasks.spawn(async move { crate::tasks::keep(&own, &member).await });
    Node { app, tasks, _etcd: etcd }
}

async fn done(node: &Node, id: &str) -> Task {
    until("the task to end", async || Some(node.see(id).await).filter(|task| task.state.over())).await
}

async fn maintain(node: &Node, whose: &str, patch: &str) {
    let reply = node.ask("PATCH", &format!("/v1/nodes/{whose}/settings"), &[], patch).await;
    assert_eq!(reply.status, 200, "{}", reply.body);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn record_maintenance_moves_the_leader_and_a_drain_says_what_would_stop() {
    if !have_etcd("record_maintenance_moves_the_leader_and_a_drain_says_what_would_stop") {
        return;
    }
    let dirs = [(); 2].map(|()| tempfile::tempdir().unwrap());
    let first = whole(dirs[0].path(), 1, ClusterIntent::Create { name: "rack".into() }).await;
    until("the first node to lead", async || first.app.leads().then_some(())).await;
    let second = whole(dirs[1].path(), 2, join(&first).await).await;
    until("both to be seen", async || (first.app.liveness.list(&first.app).len() == 2).then_some(())).await;

    maintain(&second, "node-1", r#"{"maintenance":{"reason":"a fan"}}"#).await;
    until("the other node to lead", async || second.app.leads().then_some(())).await;
    assert!(!first.app.leads());
    let own = |nodes: Vec<NodeInfo>| nodes.into_iter().find(|node| node.name == "node-1").unwrap();
    let told = until("it to be told", async || {
        own(second.ask("GET", "/v1/nodes", &[], "").await.json()).maintenance
    })
    .await;
    assert_eq!((&*told.reason, &*told.by), ("a fan", "admin"));
    let cluster: Cluster = second.ask("GET", "/v1/cluster", &[], "").await.json();
    let listed = cluster.nodes.iter().find(|node| node.name == "node-1").unwrap();
    assert_eq!(listed.maintenance, Some(told.clone()));
    maintain(&second, "node-1", r#"{"maintenance":{"reason":"two fans"}}"#).await;
    let again = until("the new reason", async || {
        own(second.ask("GET", "/v1/nodes", &[], "").await.json())
            .maintenance
            .filter(|m| m.reason == "two fans")
    })
    .await;
    assert_eq!(again.since, told.since, "since when stays");

    // The record is on the first node alone.
    let task = second.make(r#"{"kind":"drain","node":"node-1"}"#).await;
    let refused = done(&second, &task.id).await;
    let outcome = refused.outcome.unwrap();
    assert_eq!(refused.state, State::Failed, "{outcome:?}");
    assert!(outcome.text.contains("the only voter of the record"), "{outcome:?}");
    assert!(outcome.remedy.contains("--force"), "{outcome:?}");
    let task = second.make(r#"{"kind":"drain","node":"node-1","force":true}"#).await;
    let forced = done(&second, &task.id).await;
    let outcome = forced.outcome.clone().unwrap();
    assert_eq!(forced.state, State::Succeeded, "{outcome:?}");
    assert!(outcome.text.contains("as was forced; it has the only voter"), "{outcome:?}");
    assert_eq!(forced.steps.iter().filter(|step| step.done.is_some()).count(), 5, "{forced:?}");

    maintain(&second, "node-1", r#"{"maintenance":null}"#).await;
    let task = first.make(r#"{"kind":"drain","node":"node-2","reason":"a disk"}"#).await;
    let drained = done(&first, &task.id).await;
    let outcome = drained.outcome.clone().unwrap();
    assert_eq!(drained.state, State::Succeeded, "{outcome:?}");
    assert!(outcome.text.starts_with("node-2 may be switched off: it has no voter"), "{outcome:?}");
    assert!(!second.app.leads());
    until("the first node to lead", async || first.app.leads().then_some(())).await;

    // Every member has a copy then, made by the one that leads.
    let task = second.make(r#"{"kind":"backup"}"#).await;
    let copied = done(&second, &task.id).await;
    assert_eq!(copied.state, State::Succeeded, "{copied:?}");
    for node in [&first, &second] {
        let copies = backup::list(&backup::dir(&node.app.settings.state));
        assert!(!copies.is_empty(), "{} has a copy", node.app.config.hostname);
    }
    let node: maekin_api::node::Node = second.ask("GET", "/v1/node", &[], "").await.json();
    assert_eq!(node.maintenance.map(|m| m.reason), Some("a disk".to_owned()));
}
