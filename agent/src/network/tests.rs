//! A trial and a move with a real record.

use std::sync::Arc;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use maekin_api::access::Role;
use maekin_api::network::{NodeNetwork, TrialState};
use maekin_rootfs::node::{ClusterIntent, Network};
use serde_json::json;

use super::keeper::{begin_on, happen};
use super::trial::{Event, Origin};
use super::{follow, share};
use crate::app::App;
use crate::desired::change::Edit;
use crate::desired::node_file;
use crate::desired::store::{self, Asker, Meant};
use crate::pki::identity::Credentials;
use crate::record::values::NodeValue;
use crate::record::{Expected, keys};
use crate::testing::{EndEtcd, PASSWORD, Reply, agent, ask, become_member, have_etcd, serve};
use crate::trust::renew;

fn network(addresses: &str) -> Network {
    toml::from_str(&format!("[[interface]]\nname = \"lo\"\naddresses = [{addresses}]\n")).unwrap()
}

async fn post(app: &App, verb: &str, body: &str) -> Reply {
    let admin = format!("authorization: Basic {}", STANDARD.encode(format!("admin:{PASSWORD}")));
    let path = format!("/v1/nodes/{}/network/{verb}", app.config.hostname);
    let method = if verb.is_empty() { "GET" } else { "POST" };
    ask(app, method, path.trim_end_matches('/'), &[&admin], body).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn api_a_network_is_confirmed_and_put_back_through_the_record() {
    if !have_etcd("api_a_network_is_confirmed_and_put_back_through_the_record") {
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let _end = EndEtcd(dir.path().to_owned());
    let app = agent(dir.path(), 7, ClusterIntent::Create { name: "rack".into() });
    serve(&app).await;
    let member = become_member(&app).await;
    tokio::spawn(share(Arc::clone(&app), member));
    let loopback = [maekin_host::links::Link { name: "lo".into(), ..Default::default() }];
    let wanted = network("\"127.0.0.1/8\", \"127.0.0.9/8\"");

    assert_eq!(post(&app, "confirm", "{}").await.status, 409, "nothing is tried");
    begin_on(&app, &loopback, wanted.clone(), 7, Origin::Settings).await.unwrap();
    // Until the node has told the record, nobody can mean its trial.
    let told = async {
        while post(&app, "confirm", "{\"generation\": 6}").await.kind() != "no-trial"
            || post(&app, "confirm", "{\"generation\": 7}").await.status != 200
        {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(std::time::Duration::from_secs(30), told).await.expect("the confirmation arrives");
    let now: NodeNetwork = post(&app, "", "").await.json();
    let trial = now.trial.unwrap();
    assert_eq!((trial.state, trial.generation, trial.seconds_left), (TrialState::Confirmed, 7, None));
    assert!(trial.why.contains("admin"), "{}", trial.why);
    assert_eq!(node_file::current(&app.settings).unwrap().network, wanted);
    assert_eq!((now.network, now.address.as_str()), (wanted, "127.0.0.1"));

    begin_on(&app, &loopback, network("\"127.0.0.1/8\""), 8, Origin::Settings).await.unwrap();
    let told = async {
        while post(&app, "revert", "{}").await.status != 200 {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(std::time::Duration::from_secs(30), told).await.expect("the no arrives");
    let trial = post(&app, "", "").await.json::<NodeNetwork>().trial.unwrap();
    assert_eq!(trial.state, TrialState::Reverted);
    assert!(!app.network.trying());
    assert_eq!(post(&app, "confirm", "{\"generation\": \"x\"}").await.status, 400);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn join_a_member_that_moves_takes_its_voter_certificate_and_entry_along() {
    if !have_etcd("join_a_member_that_moves_takes_its_voter_certificate_and_entry_along") {
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let _end = EndEtcd(dir.path().to_owned());
    let app = agent(dir.path(), 7, ClusterIntent::Create { name: "rack".into() });
    serve(&app).await;
    let member = become_member(&app).await;
    let loopback = [maekin_host::links::Link { name: "lo".into(), ..Default::default() }];
    let (before, after) = (app.network.in_force(), network("\"127.0.0.2/8\""));
    assert_eq!(follow::plan_move(&before, &loopback, &member.own), None);
    begin_on(&app, &loopback, after, 7, Origin::Settings).await.unwrap();
    for (event, address) in
        [(None, "127.0.0.2"), (Some(Event::Revert { generation: None, by: "anna".into() }), "127.0.0.1")]
    {
        if let Some(event) = event {
            happen(&app, event).await.unwrap();
        }
        app.set_away("its address has changed");
        let member = become_member(&app).await;
        assert_eq!(member.own.address.to_string(), address);
        let voters = member.record.members().await.unwrap();
        let [voter] = &voters[..] else { panic!("{voters:?}") };
        assert!(voter.peer_url.contains(address), "{voter:?}");
        let nodes = member.record.list::<NodeValue>(keys::NODES).await.unwrap();
        let entry = &nodes[0].value;
        assert!(nodes.len() == 1 && entry.address == address && entry.gossip.contains(address), "{entry:?}");
        assert!(entry.peer_url == voter.peer_url && entry.record_url.contains(address), "{entry:?}");
        renew::turn(&app, &member, false).await.unwrap();
        let credentials = Credentials::load(&app.settings.pki(), &app.key, &app.node_id).unwrap().unwrap();
        assert!(credentials.names(member.own.address));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn api_settings_say_which_of_their_changes_was_one_of_the_network() {
    if !have_etcd("api_settings_say_which_of_their_changes_was_one_of_the_network") {
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let _end = EndEtcd(dir.path().to_owned());
    let app = agent(dir.path(), 7, ClusterIntent::Create { name: "rack".into() });
    let member = become_member(&app).await;
    let asker = Asker { role: Role::Admin, name: "anna".into() };
    let wanted = serde_json::to_value(network("\"127.0.0.9/8\"")).unwrap();
    // A patch, and the generations of the settings and of their network behind it.
    let rows = [
        (json!({"labels": {"rack": "1"}}), (1, 0)),
        (json!({"network": wanted}), (2, 2)),
        (json!({"maintenance": {"reason": "fan"}}), (3, 2)),
        (json!({"network": wanted}), (3, 2)),
        (json!({"dns": ["9.9.9.9"], "maintenance": null}), (4, 4)),
        (json!({"labels": null}), (5, 4)),
        (json!({"network": null}), (6, 6)),
    ];
    for (patch, want) in rows {
        let edit = Edit::Merge(serde_json::from_value(patch.clone()).unwrap());
        let meant = Meant::Named(Expected::Whatever);
        store::set(&member.record, &app.node_id, &edit, &meant, &asker, 1).await.unwrap();
        let (object, _) = store::get(&member.record, &app.node_id).await.unwrap();
        assert_eq!((object.generation, object.network_generation), want, "{patch}");
    }
}
