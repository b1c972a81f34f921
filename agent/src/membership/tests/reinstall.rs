//! A member's machine that is installed anew, from the wish to the end of what was there before.

use maekin_api::install::Reinstall;

use maekin_api::storage::NodeStorage;

use super::*;
use crate::record::values::ReplacedValue;
use crate::volumes::values::VolumeValue;

async fn set_alive(record: &Record, id: &str, alive: bool) {
    let key = under(keys::ALIVE, id);
    let change = if alive {
        Change::default().put(&key, &AliveValue { since: 1 }).unwrap()
    } else {
        Change::default().delete(&key)
    };
    assert!(record.commit(change).await.unwrap());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_member_that_is_named_comes_back_as_itself_and_its_old_self_does_not() {
    if !have_etcd("a_member_that_is_named_comes_back_as_itself_and_its_old_self_does_not") {
        return;
    }
    let dirs = [(); 3].map(|()| tempfile::tempdir().unwrap());
    let _end = EndEtcd(dirs[0].path().to_owned());
    let first = agent(dirs[0].path(), 1, ClusterIntent::Create { name: "rack".into() });
    serve(&first).await;
    let record = become_member(&first).await.record.clone();
    let own = Target::Socket(first.settings.socket());
    let invite: Invite = own.post(INVITES, &NewInvite { minutes: 5 }).await.unwrap();
    let old = agent(dirs[1].path(), 2, joining(&invite, &invite.ca_sha256));
    become_member(&old).await;
    let key = under(keys::NODES, &old.node_id);
    let entry = record.get::<NodeValue>(&key).await.unwrap().unwrap().value;
    let entry = NodeValue { mac: machine(2).mac, ..entry };
    assert!(record.commit(Change::default().put(&key, &entry).unwrap()).await.unwrap());

    // It joined by hand and boots from the network first: while others are let in, it goes to its disk.
    let now = now();
    own.post::<maekin_api::install::WindowState>(INSTALL_WINDOW, &OpenWindow { minutes: 5, count: 3 })
        .await
        .unwrap();
    let decide = async || store::decide(&record, &machine(2), now).await.unwrap();
    assert_eq!(decide().await, Decision::Local);

    let path = maekin_api::REINSTALL.replace("{name}", "node-2");
    let wish: Reinstall = own.post(&path, &()).await.unwrap();
    assert_eq!((wish.name.as_str(), &wish.id), ("node-2", &old.node_id));
    own.delete::<()>(&path).await.unwrap();
    assert_eq!(decide().await, Decision::Local, "the wish was taken back");
    own.post::<Reinstall>(&path, &()).await.unwrap();
    for name in ["node-1", "node-9"] {
        let path = maekin_api::REINSTALL.replace("{name}", name);
        assert!(own.post::<Reinstall>(&path, &()).await.is_err(), "{name}");
    }
    // What only it has is not lost unasked: neither by the wish, nor by one from before there was anything.
    let db = VolumeValue {
        id: "a".repeat(32),
        name: "db".into(),
        holders: vec![old.node_id.clone()],
        ..VolumeValue::default()
    };
    let volume = under(keys::VOLUMES, "db");
    assert!(record.commit(Change::default().put(&volume, &db).unwrap()).await.unwrap());
    assert_eq!(decide().await, Decision::Local, "a volume was made since");
    let refused = own.post::<Reinstall>(&path, &()).await.expect_err("it has a volume").to_string();
    assert!(refused.contains("1 volume (db)") && refused.contains("--force"), "{refused}");
    own.post::<Reinstall>(&format!("{path}?force=true"), &()).await.unwrap();
    let ghost = NodeStorage { id: old.node_id.clone(), ..NodeStorage::default() };
    let storage = under(keys::STORAGE, &old.node_id);
    assert!(record.commit(Change::default().put(&storage, &ghost).unwrap()).await.unwrap());
    set_alive(&record, &old.node_id, true).await;
    assert!(matches!(decide().await, Decision::Wait { .. }), "never while it is alive");
    set_alive(&record, &old.node_id, false).await;
    let Decision::Install { ticket } = decide().await else { panic!("it is installed anew") };
    assert_eq!(decide().await, Decision::Install { ticket: ticket.clone() }, "and goes on after a reset");
    let given = store::ticket(&record, &ticket).await.unwrap().value;
    assert_eq!((given.hostname.as_str(), given.replaces.as_ref()), ("node-2", Some(&old.node_id)));
    bind(&record, &ticket, 2, now).await;
    store::report(&record, &ticket, &Report::Done { receipt: serde_json::json!({}) }, now).await.unwrap();
    assert_eq!(decide().await, Decision::Local, "the wish is used up");

    let again = Invite { secret: given.secret.unwrap(), ..invite };
    let new = agent(dirs[2].path(), 3, joining(&again, &again.ca_sha256));
    set_alive(&record, &old.node_id, true).await;
    let refused = chain(&attempt(&new).await.err().expect("its place is taken"));
    assert!(refused.contains("belongs to a member that is alive"), "{refused}");
    set_alive(&record, &old.node_id, false).await;
    become_member(&new).await;
    let ids: Vec<_> = record.names(keys::NODES).await.unwrap();
    assert!(!ids.contains(&old.node_id) && ids.contains(&new.node_id), "{ids:?}");
    assert!(record.get::<NodeStorage>(&storage).await.unwrap().is_none(), "its storage goes with it");
    let replaced = record.get::<ReplacedValue>(&under(keys::REPLACED, &old.node_id)).await.unwrap().unwrap();
    assert_eq!((replaced.value.name.as_str(), &replaced.value.by), ("node-2", &new.node_id));
    let back = chain(&attempt(&restarted(&old)).await.err().expect("it was replaced"));
    assert!(back.contains("installed anew"), "{back}");
    assert!(!record.names(keys::NODES).await.unwrap().contains(&old.node_id), "and stays out");
}
