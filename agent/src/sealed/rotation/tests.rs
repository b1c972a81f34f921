//! The sealing key is changed, with a real etcd, and the power goes after every step.

use std::path::Path;
use std::sync::Arc;

use maekin_api::SEAL_KEY;
use maekin_api::power::{Method, PowerSettings, SetPower};
use maekin_api::trust::{SealKeyReply, SealKeyRequest};
use maekin_host::pin;
use maekin_rootfs::node::ClusterIntent;

use super::super::keyring::Ring;
use super::super::{id_of, sealed_under};
use super::*;
use crate::clock::now;
use crate::http::client::{ClientError, Target};
use crate::membership::{ensure_node, signer};
use crate::pki::identity::Credentials;
use crate::power::store;
use crate::record::Expected;
use crate::record::values::{AliveValue, CaValue, NodeValue, PowerValue};
use crate::testing::{EndEtcd, agent, become_member, have_etcd, restarted, serve, serve_while};
use crate::tls;
use crate::trust::values::RemovedValue;

const MACS: [&str; 2] = ["52:54:00:00:00:01", "52:54:00:00:00:02"];

fn settings() -> PowerSettings {
    PowerSettings { address: "10.0.0.5".into(), user: "admin".into(), ..PowerSettings::new(Method::Redfish) }
}

/// A member that was, as far as the key goes.
async fn removed(record: &Record, id: &str) {
    let value = RemovedValue { id: id.into(), name: id.into(), ..RemovedValue::default() };
    let change = Change::default().put(&keys::under(keys::REMOVED, id), &value).unwrap();
    assert!(record.commit(change).await.unwrap());
}

/// What a look of a member does about its own entry and its key.
async fn look(app: &App, member: &Member) -> Look {
    let look = member.record.look(&app.node_id).await.unwrap();
    follow(app, member, &look).await.unwrap();
    let key = keys::under(keys::NODES, &app.node_id);
    let own = member.record.get::<NodeValue>(&key).await.unwrap().unwrap().value;
    let votes = !own.record_url.is_empty();
    ensure_node(app, &member.record, &member.own, votes, member.can_sign(), &member.seal).await.unwrap();
    member.record.look(&app.node_id).await.unwrap()
}

/// Everything sealed in the record, by the id of its key.
async fn sealed(record: &Record) -> Vec<String> {
    let ca = record.get::<CaValue>(keys::CA).await.unwrap().unwrap().value.sealed_key;
    let passwords = record.list::<PowerValue>(keys::POWER).await.unwrap();
    let all = std::iter::once(ca).chain(passwords.into_iter().map(|p| p.value.sealed));
    all.map(|text| sealed_under(&text).unwrap().to_owned()).collect()
}

async fn opens(app: &App, member: &Member) {
    for mac in MACS {
        let value = store::get(&member.record, mac).await.unwrap().value;
        store::open(member, &value).unwrap_or_else(|e| panic!("{mac}: {e}"));
    }
    let ca = member.record.get::<CaValue>(keys::CA).await.unwrap().unwrap().value;
    assert!(!member.seal.open(keys::CA, &ca.sealed_key).unwrap().is_empty());
    signer::authority(app, member).await.unwrap();
}

fn files(dir: &Path) -> Vec<String> {
    Ring::load(dir).unwrap().ids()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn record_the_sealing_key_is_changed_after_a_removal_whenever_the_power_goes() {
    if !have_etcd("record_the_sealing_key_is_changed_after_a_removal_whenever_the_power_goes") {
        return;
    }
    let dirs = [(); 2].map(|()| tempfile::tempdir().unwrap());
    let _end = EndEtcd(dirs[0].path().to_owned());
    let first = agent(dirs[0].path(), 1, ClusterIntent::Create { name: "rack".into() });
    let mut tasks = serve_while(&first).await;
    let mut member = become_member(&first).await;
    let own = Target::Socket(first.settings.socket());
    let new = maekin_api::join::NewInvite { minutes: 5 };
    let invite: maekin_api::join::Invite = own.post(maekin_api::INVITES, &new).await.unwrap();
    let intent = ClusterIntent::Join {
        masters: invite.masters.clone(),
        ca_sha256: invite.ca_sha256.clone(),
        secret: invite.secret.clone(),
    };
    let second = agent(dirs[1].path(), 2, intent);
    serve(&second).await;
    let other = become_member(&second).await;
    for mac in MACS {
        let set = SetPower { settings: settings(), password: "hunter2".to_owned().into() };
        store::set(&member, mac, &set, &Expected::Whatever).await.unwrap();
    }
    let old = member.seal.ids();
    for app in [&first, &second] {
        let value = AliveValue { since: 1 };
        let change = Change::default().put(&keys::under(keys::ALIVE, &app.node_id), &value).unwrap();
        assert!(member.record.commit(change).await.unwrap());
    }

    let seen = look(&first, &member).await;
    lead(&first, &member, &seen, now()).await.unwrap();
    let said = read(&member.record).await.unwrap().expect("says which key there is").value;
    assert_eq!((id_of(&said.current), said.epoch), (old[0].as_str(), 0));
    look(&second, &other).await;
    let seen = look(&first, &member).await;
    lead(&first, &member, &seen, now()).await.unwrap();
    assert_eq!(read(&member.record).await.unwrap().unwrap().value, said, "nobody was removed: nothing to do");
    removed(&member.record, "gone").await;

    // Every turn is one step; after each the leader loses power and begins anew with what it has on disk.
    let mut steps = Vec::new();
    let mut first = first;
    for turn in 0..40 {
        look(&second, &other).await;
        let seen = look(&first, &member).await;
        let at = now() + turn * plan::SETTLE;
        lead(&first, &member, &seen, at).await.unwrap();
        let value = read(&member.record).await.unwrap().unwrap().value;
        let state = (value.next.is_empty(), value.previous.is_empty());
        if steps.last() != Some(&state) {
            steps.push(state);
        }
        opens(&first, &member).await;
        opens(&second, &other).await;
        tasks.shutdown().await;
        first = restarted(&first);
        tasks = serve_while(&first).await;
        member = become_member(&first).await;
        if steps.len() == 3 {
            break;
        }
    }
    assert_eq!(
        steps,
        [(false, true), (true, false), (true, true)][..],
        "handed on, in use, the old one forgotten"
    );
    look(&second, &other).await;
    look(&first, &member).await;
    let new = member.seal.ids();
    assert!(new.len() == 1 && new != old, "{new:?}");
    assert_eq!(other.seal.ids(), new);
    for dir in [first.settings.pki(), second.settings.pki()] {
        assert_eq!(files(&dir), new, "on disk too");
    }
    assert!(
        sealed(&member.record).await.iter().all(|id| *id == new[0]),
        "{:?}",
        sealed(&member.record).await
    );
    let value = read(&member.record).await.unwrap().unwrap().value;
    assert_eq!((value.epoch, value.covered), (1, 1));

    strangers_get_no_key(&first, &member, &second, &value).await;
    drop(tasks);
}

async fn strangers_get_no_key(first: &Arc<App>, member: &Member, second: &App, value: &SealValue) {
    let request = SealKeyRequest { sha256: value.current.clone() };
    let ask = async |app: &App| {
        let credentials = Credentials::load(&app.settings.pki(), &app.key, &app.node_id).unwrap().unwrap();
        let (shown, key) = tls::shown(&app.key, &credentials).unwrap();
        let config = pin::client_config_as(&member.cluster.ca_sha256, shown, key).unwrap();
        let target = Target::Tls(format!("127.0.0.1:{}", first.settings.port), Arc::new(config));
        target.post::<SealKeyReply>(SEAL_KEY, &request).await
    };
    assert!(ask(second).await.is_ok());
    let root = Target::Socket(first.settings.socket());
    let refused = root.post::<SealKeyReply>(SEAL_KEY, &request).await;
    assert!(matches!(refused, Err(ClientError::Problem(_))), "also not root: {refused:?}");
    // Removed a moment ago, and nobody has looked since.
    let key = keys::under(keys::NODES, &second.node_id);
    let node = member.record.get::<NodeValue>(&key).await.unwrap().unwrap();
    removed(&member.record, &second.node_id).await;
    assert!(member.record.commit(Change::default().delete(&key)).await.unwrap());
    assert!(node.value.seals.iter().any(|id| id == id_of(&value.current)));
    let refused = ask(second).await.err().map(|e| e.to_string()).expect("is refused");
    assert!(refused.contains("removed"), "{refused}");
}
