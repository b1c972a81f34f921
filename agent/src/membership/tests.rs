//! Whole nodes against a real etcd, on ports of their own.

use std::collections::BTreeSet;
use std::fs;
use std::sync::Arc;
use std::time::Duration;

use maekin_api::boot::{Decision, Machine, Report};
use maekin_api::cluster::{Cluster, MemberState};
use maekin_api::install::OpenWindow;
use maekin_api::join::{Invite, JoinReply, JoinRequest, NewInvite};
use maekin_api::{CLUSTER, INSTALL_WINDOW, INVITES, JOIN};
use maekin_rootfs::node::ClusterIntent;

use super::*;
use crate::http::client::Target;
use crate::install::{TICKET_VALIDITY, store};
use crate::record::values::{AliveValue, WindowValue};
use crate::testing::{EndEtcd, agent, have_etcd, restarted, serve};
use maekin_host::pin;

mod ca_changed;
mod first;
mod killed;
mod lost;
mod reinstall;
mod removed;
mod replaced;
mod survives;
mod tickets;
mod two;

/// Longest time that a node may take to become a member.
const LIMIT: Duration = Duration::from_secs(60);

async fn become_member(app: &Arc<App>) -> Arc<Member> {
    tokio::time::timeout(LIMIT, run(Arc::clone(app))).await.expect("becomes a member in time");
    match app.member() {
        Ok(member) => member,
        Err(problem) => panic!("is no member: {problem:?}"),
    }
}

fn joining(invite: &Invite, ca_sha256: &str) -> ClusterIntent {
    ClusterIntent::Join {
        masters: invite.masters.clone(),
        ca_sha256: ca_sha256.to_owned(),
        secret: invite.secret.clone(),
    }
}

fn machine(n: usize) -> Machine {
    Machine {
        mac: format!("52:54:00:00:00:{n:02x}"),
        uuid: None,
        arch: 7,
        address: Some(format!("10.77.0.{}", 100 + n).parse().unwrap()),
        server: "10.77.0.1".parse().unwrap(),
    }
}

/// The machine says what it is, as before it fetches its answers.
async fn bind(record: &Record, ticket: &str, n: usize, now: u64) {
    let machine = machine(n);
    let facts = serde_json::json!({ "nics": [{ "mac": machine.mac }] });
    let told = maekin_api::boot::Inventory { machine, facts };
    store::bind(record, ticket, &told, "ca", now).await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_cluster_is_made_joined_and_survives_restarts() {
    if !have_etcd("a_cluster_is_made_joined_and_survives_restarts") {
        return;
    }
    let dirs = [(); 3].map(|()| tempfile::tempdir().unwrap());
    let _end = EndEtcd(dirs[0].path().to_owned());
    let first = agent(dirs[0].path(), 1, ClusterIntent::Create { name: "rack".into() });
    serve(&first).await;
    let member = become_member(&first).await;
    let own = Target::Socket(first.settings.socket());

    let invite: Invite = own.post(INVITES, &NewInvite { minutes: 5 }).await.unwrap();
    assert_eq!(invite.ca_sha256, member.cluster.ca_sha256);
    a_wrong_fingerprint_is_refused(dirs[2].path(), &invite).await;

    let second = agent(dirs[1].path(), 2, joining(&invite, &invite.ca_sha256));
    serve(&second).await;
    become_member(&second).await;
    assert!(
        !fs::read_to_string(second.settings.node_file()).unwrap().contains(&invite.secret),
        "secret is erased"
    );
    assert!(!dirs[1].path().join("state/pki/ca.key").exists(), "the CA's key stays where it is");
    let seals = [&first, &second].map(|app| app.member().ok().unwrap());
    let [near, far] = seals.each_ref().map(|member| &member.seal);
    assert_eq!(far.open("key", &near.seal("key", b"both").unwrap()).unwrap().as_slice(), b"both");
    a_used_secret_admits_nobody_else(&first, &second, &invite).await;
    signs_of_life_decide_the_state(&member, &second, &own).await;

    // Every one of these is what a power cut between two steps leaves behind.
    for lost in ["state/membership.json", "state/pki/node.crt", "state/pki/ca.crt", "state/pki/seal.key"] {
        let again = agent_with_secret_again(&second, &invite);
        fs::remove_file(dirs[1].path().join(lost)).unwrap();
        become_member(&again).await;
        assert!(dirs[1].path().join(lost).exists(), "{lost}");
    }
    for app in [&first, &second] {
        become_member(&restarted(app)).await;
    }
    let nodes = member.record.list::<NodeValue>(keys::NODES).await.unwrap();
    assert_eq!(nodes.len(), 2, "restarts add nobody");
}

/// The node file as it was before the secret was erased: a crash came before that last step.
fn agent_with_secret_again(app: &App, invite: &Invite) -> Arc<App> {
    let text = fs::read_to_string(app.settings.node_file()).unwrap();
    let mut config: NodeConfig = toml::from_str(&text).unwrap();
    config.cluster = joining(invite, &invite.ca_sha256);
    fs::write(app.settings.node_file(), toml::to_string(&config).unwrap()).unwrap();
    restarted(app)
}

async fn a_wrong_fingerprint_is_refused(dir: &Path, invite: &Invite) {
    let stranger = agent(dir, 3, joining(invite, &"0".repeat(64)));
    let error = chain(&attempt(&stranger).await.err().expect("is refused"));
    assert!(error.contains(&invite.masters[0]) && error.contains("UnknownIssuer"), "{error}");
}

async fn a_used_secret_admits_nobody_else(first: &App, second: &App, invite: &Invite) {
    let tls = Arc::new(pin::client_config(&invite.ca_sha256).unwrap());
    let master = Target::Tls(format!("127.0.0.1:{}", first.settings.port), tls);
    let dir = tempfile::tempdir().unwrap();
    let other = agent(dir.path(), 9, ClusterIntent::Create { name: "x".into() });
    let request = |app: &App, secret: &str| JoinRequest {
        secret: secret.to_owned(),
        csr: app.key.request().unwrap(),
        node_id: app.node_id.clone(),
        name: app.config.hostname.clone(),
        addresses: vec![],
        machine: String::new(),
        token: None,
    };
    let good = master.post::<JoinReply>(JOIN, &request(second, &invite.secret)).await;
    assert!(good.is_ok(), "the same node may ask again: {good:?}");
    let stolen =
        master.post::<JoinReply>(JOIN, &request(&other, &invite.secret)).await.unwrap_err().to_string();
    assert!(stolen.contains("used already"), "{stolen}");
    let guessed = master.post::<JoinReply>(JOIN, &request(&other, "")).await.unwrap_err().to_string();
    assert!(guessed.contains("not one of this cluster's"), "{guessed}");
    let as_second = JoinRequest { node_id: second.node_id.clone(), ..request(&other, &invite.secret) };
    assert!(master.post::<JoinReply>(JOIN, &as_second).await.is_err(), "same id, another key");
}

async fn signs_of_life_decide_the_state(member: &Member, second: &App, own: &Target) {
    let state = async || {
        let cluster: Cluster = own.get(CLUSTER).await.unwrap();
        cluster.nodes.iter().find(|n| n.id == second.node_id).unwrap().state
    };
    assert_eq!(state().await, MemberState::Unreachable, "no sign of life yet");
    let key = under(keys::ALIVE, &second.node_id);
    let change = Change::default().put(&key, &AliveValue { since: 1 }).unwrap();
    assert!(member.record.commit(change).await.unwrap());
    assert_eq!(state().await, MemberState::Ready);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn places_in_the_window_are_handed_out_once() {
    if !have_etcd("places_in_the_window_are_handed_out_once") {
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let _end = EndEtcd(dir.path().to_owned());
    let app = agent(dir.path(), 1, ClusterIntent::Create { name: "rack".into() });
    serve(&app).await;
    let record = become_member(&app).await.record.clone();
    let own = Target::Socket(app.settings.socket());
    let now = now();

    let closed = store::decide(&record, &machine(1), now).await.unwrap();
    assert!(matches!(closed, Decision::Wait { .. }), "closed by default: {closed:?}");
    own.post::<maekin_api::install::WindowState>(INSTALL_WINDOW, &OpenWindow { minutes: 5, count: 3 })
        .await
        .unwrap();

    // Six machines, each asking twice at the same time as all others, for three places.
    let asking = (0..12).map(|n| {
        let record = record.clone();
        tokio::spawn(async move { (n % 6, store::decide(&record, &machine(n % 6), now).await.unwrap()) })
    });
    let mut tickets = BTreeSet::new();
    for answer in asking.collect::<Vec<_>>() {
        if let (n, Decision::Install { ticket }) = answer.await.unwrap() {
            tickets.insert((n, ticket));
        }
    }
    assert_eq!(tickets.len(), 3, "three places, one ticket a machine: {tickets:?}");
    assert_eq!(tickets.iter().map(|(n, _)| n).collect::<BTreeSet<_>>().len(), 3);
    let installs = store::installs(&record, now).await.unwrap();
    let names: BTreeSet<_> = installs.iter().map(|i| i.hostname.as_str()).collect();
    assert_eq!(names, BTreeSet::from(["node-2", "node-3", "node-4"]));
    let window = record.get::<WindowValue>(keys::WINDOW).await.unwrap().unwrap();
    assert_eq!(window.value.left, 0);

    let (n, ticket) = tickets.first().unwrap().clone();
    let again = store::decide(&record, &machine(n), now).await.unwrap();
    assert_eq!(again, Decision::Install { ticket: ticket.clone() }, "a machine that was reset goes on");
    let late = store::ticket(&record, &ticket).await.unwrap().value;
    assert!(late.secret.is_some() && TICKET_VALIDITY > 0);
    bind(&record, &ticket, n, now).await;
    let receipt = serde_json::json!({ "receipt": "{}", "signature": "s", "public_key": "k" });
    store::report(&record, &ticket, &Report::Done { receipt: receipt.clone() }, now).await.unwrap();
    assert_eq!(store::receipt(&record, &ticket).await.unwrap(), receipt, "it is kept as it came");
    assert_eq!(store::decide(&record, &machine(n), now).await.unwrap(), Decision::Local, "installed once");
    store::forget(&record, &ticket).await.unwrap();
    let forgotten = store::decide(&record, &machine(n), now).await.unwrap();
    assert!(
        matches!(forgotten, Decision::Wait { .. }),
        "forgotten, and the window is used up: {forgotten:?}"
    );
    for bad in ["", "../x", &"g".repeat(32)] {
        assert!(store::ticket(&record, bad).await.is_err(), "{bad}");
    }

    let stale = Change::default().if_unchanged(keys::WINDOW, 1).put(keys::WINDOW, &window.value).unwrap();
    assert!(!record.commit(stale).await.unwrap(), "a stale revision writes nothing");
}
