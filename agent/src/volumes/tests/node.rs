//! The node follows, whatever becomes of its agent.

use std::time::Duration;

use maekin_api::settings::ConditionStatus;
use maekin_api::volumes::{AttachmentState, CloneVolume, HealthState, SnapshotState};
use serde_json::json;

use super::fake::Kill;
use super::{G, LIMIT, Rig, ready};
use crate::record::keys::{self, under};
use crate::record::{Change, Expected};
use crate::testing::{EndEtcd, have_etcd};
use crate::volumes::edit::{self, Ending};
use crate::volumes::engine::Step;
use crate::volumes::values::VolumeValue;
use crate::volumes::{VolumeError, store};

impl Rig {
    async fn change(
        &self,
        name: &str,
        plan: impl Fn(&VolumeValue) -> Result<VolumeValue, VolumeError>,
    ) -> VolumeValue {
        store::change(&self.member.record, name, &Expected::Whatever, plan).await.unwrap()
    }

    async fn grow(&self, name: &str, size: u64) {
        let patch = serde_json::from_value(json!({ "size": size })).unwrap();
        self.change(name, |old| edit::change(old, &patch)).await;
    }

    async fn snapshot(&self, name: &str, snapshot: &str) {
        let (record, own) = (&self.member.record, &self.app.node_id);
        store::snapshot(record, own, name, snapshot, &Self::asked()).await.unwrap();
    }

    async fn clone_of(&self, name: &str, snapshot: Option<&str>, new: &str) {
        let wish =
            CloneVolume { name: new.into(), snapshot: snapshot.map(str::to_owned), ..Default::default() };
        store::clone(&self.member.record, &self.app.node_id, name, &wish, &Self::asked()).await.unwrap();
    }

    async fn attach(&self, name: &str) -> u64 {
        let (node, asked) = (self.app.node_id.clone(), Self::asked());
        let plan = |old: &VolumeValue| edit::attach(old, (&node, "node-1"), "", &asked, str::to_owned);
        self.change(name, plan).await.fence
    }

    async fn detach(&self, name: &str) {
        self.change(name, |old| edit::detach(old, None, Ending::Asked)).await;
    }

    async fn delete(&self, name: &str) {
        let own = &self.app.node_id;
        let left =
            store::delete(&self.member.record, own, name, &Expected::Whatever, true, &Self::asked()).await;
        assert!(left.unwrap(), "its node is asked");
    }

    async fn until_attached(&self, name: &str, token: u64) {
        let is = |state| move |a: &maekin_api::volumes::Attachment| a.state == state && a.token == token;
        self.until(name, "attached", |volume| {
            volume
                .is_some_and(|v| ready(v) && v.attachment.as_ref().is_some_and(is(AttachmentState::Attached)))
        })
        .await;
    }

    async fn until_detached(&self, name: &str) {
        self.until(name, "detached", |volume| volume.is_some_and(|v| ready(v) && v.attachment.is_none()))
            .await;
    }

    /// Waits until the agent is stuck in a step, kills it there, and starts it anew.
    async fn killed(&mut self, at: usize) {
        let stuck = tokio::time::timeout(LIMIT, self.fake.stuck.notified()).await;
        assert!(stuck.is_ok(), "step {at} was not come to: {:?}", self.fake.did());
        self.kill().await;
        self.fake.spare();
        self.start();
    }

    async fn until_gone(&self, name: &str) {
        self.until(name, "gone", |volume| volume.is_none()).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn volumes_are_made_used_and_forgotten() {
    if !have_etcd("volumes_are_made_used_and_forgotten") {
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let _end = EndEtcd(dir.path().to_owned());
    let rig = Rig::new(dir.path()).await;
    rig.create("db").await;
    let made = rig.until_ready("db").await;
    assert_eq!((made.size, made.nodes[0].name.as_str(), made.generation), (G, "node-1", 1));
    rig.grow("db", 2 * G).await;
    rig.snapshot("db", "monday").await;
    let with = rig.until_ready("db").await;
    assert_eq!((with.snapshots[0].state, with.snapshots[0].size), (SnapshotState::Ready, 2 * G));
    rig.clone_of("db", Some("monday"), "copy").await;
    assert_eq!(rig.until_ready("copy").await.size, 2 * G);

    let token = rig.attach("db").await;
    rig.until_attached("db", token).await;
    assert!(rig.fake.seen().volumes[&made.id].device.is_some());
    rig.detach("db").await;
    rig.until_detached("db").await;
    assert!(rig.fake.seen().volumes[&made.id].device.is_none(), "it is free when its node says so");

    // What fails is said, and tried again.
    rig.fake.fail("no room");
    rig.grow("copy", 3 * G).await;
    let failed = |volume: Option<&maekin_api::volumes::Volume>| {
        volume.is_some_and(|v| v.conditions.iter().any(|c| c.message.contains("no room")))
    };
    rig.until("copy", "failed", failed).await;
    assert!(!rig.app.storage.alarms().is_empty() || ready(&rig.volume("copy").await.unwrap()));
    assert_eq!(rig.until_ready("copy").await.size, 3 * G);

    rig.delete("db").await;
    rig.until_gone("db").await;
    rig.delete("copy").await;
    rig.until_gone("copy").await;
    let seen = rig.fake.seen();
    assert!(seen.volumes.is_empty() && seen.snapshots.is_empty(), "{seen:?}");
    assert!(rig.member.record.names(keys::VOLUME_STATUS).await.unwrap().is_empty());
}

/// The agent is killed before or behind every step of a whole life of volumes, and goes on each time.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn volumes_go_on_after_a_kill_at_each_step() {
    if !have_etcd("volumes_go_on_after_a_kill_at_each_step") {
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let _end = EndEtcd(dir.path().to_owned());
    let mut rig = Rig::new(dir.path()).await;
    // create, snapshot, clone, attach; detach, drop, delete, delete
    for at in 0..8 {
        for kill in [Kill::Before, Kill::Behind] {
            let begun = rig.fake.did().len();
            rig.fake.kill(at, kill);
            rig.create("db").await;
            rig.snapshot("db", "monday").await;
            rig.clone_of("db", Some("monday"), "copy").await;
            let token = rig.attach("db").await;
            if at < 4 {
                rig.killed(at).await;
            }
            rig.until_attached("db", token).await;
            rig.until_ready("copy").await;
            rig.detach("db").await;
            if at == 4 {
                rig.killed(at).await;
            }
            rig.until_detached("db").await;
            rig.delete("db").await;
            rig.delete("copy").await;
            if at > 4 {
                rig.killed(at).await;
            }
            rig.until_gone("db").await;
            rig.until_gone("copy").await;
            let did: Vec<Step> = rig.fake.did().split_off(begun);
            let made =
                did.iter().filter(|step| matches!(step, Step::Create { .. } | Step::Clone { .. })).count();
            assert_eq!(made, 2, "step {at}, {kill:?}: nothing is made twice: {did:?}");
            assert!(rig.fake.seen().volumes.is_empty(), "step {at}, {kill:?}");
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn volumes_are_attached_only_by_a_node_that_others_know_to_be_there() {
    if !have_etcd("volumes_are_attached_only_by_a_node_that_others_know_to_be_there") {
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let _end = EndEtcd(dir.path().to_owned());
    let mut rig = Rig::new(dir.path()).await;
    rig.create("db").await;
    let made = rig.until_ready("db").await;
    let token = rig.attach("db").await;
    rig.until_attached("db", token).await;

    // While it gives signs of life nobody takes a volume from it.
    let (record, own) = (rig.member.record.clone(), rig.app.node_id.clone());
    let force = store::force_detach(&record, &own, "db", &Expected::Whatever, None).await;
    assert!(matches!(force, Err(VolumeError::Alive(_))), "{force:?}");
    rig.life.shutdown().await;
    rig.kill().await;
    rig.fake.change(|seen| {
        if let Some(volume) = seen.volumes.get_mut(&made.id) {
            volume.open = true;
        }
    });
    let gone = Change::default().delete(&under(keys::ALIVE, &own));
    assert!(record.commit(gone).await.unwrap());
    let other = store::force_detach(&record, &own, "db", &Expected::Whatever, Some(token + 1)).await;
    assert!(matches!(other, Err(VolumeError::AnotherToken { .. })), "{other:?}");
    store::force_detach(&record, &own, "db", &Expected::Whatever, Some(token)).await.unwrap();
    assert_eq!(store::get(&record, "db").await.unwrap().value.attachment, None);

    // It comes back: what uses the volume there is said, and is nobody's any more.
    rig.live();
    rig.start();
    let in_use = |volume: Option<&maekin_api::volumes::Volume>| {
        volume.is_some_and(|v| {
            v.conditions.iter().any(|c| c.reason == "InUse" && c.status == ConditionStatus::False)
        })
    };
    rig.until("db", "in use", in_use).await;
    let again = rig.attach("db").await;
    assert_eq!(again, token + 1);
    rig.fake.change(|seen| {
        if let Some(volume) = seen.volumes.get_mut(&made.id) {
            volume.open = false;
        }
    });
    rig.until_attached("db", again).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn volumes_that_cannot_be_seen_are_not_called_whole() {
    if !have_etcd("volumes_that_cannot_be_seen_are_not_called_whole") {
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let _end = EndEtcd(dir.path().to_owned());
    let rig = Rig::new(dir.path()).await;
    rig.create("db").await;
    rig.until_ready("db").await;
    rig.fake.blind(Some("lvs did not end"));
    rig.grow("db", 2 * G).await;
    let blind = |volume: Option<&maekin_api::volumes::Volume>| {
        volume.is_some_and(|v| {
            v.health.state == HealthState::Unavailable && v.health.text.contains("lvs did not end")
        })
    };
    rig.until("db", "unavailable", blind).await;
    let alarms = rig.app.storage.alarms();
    let found: Vec<_> = alarms.iter().map(|alarm| (alarm.id.as_str(), alarm.severity)).collect();
    assert_eq!(found, [("local-pool-unseen", maekin_api::alarm::Severity::Critical)]);
    assert!(rig.app.storage.report().unwrap().capacity > 0, "what was known stays");
    rig.fake.blind(None);
    rig.until_ready("db").await;
    assert!(!rig.app.storage.alarms().iter().any(|alarm| alarm.id == "local-pool-unseen"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn volumes_are_not_cloned_in_a_pool_that_is_nearly_full() {
    if !have_etcd("volumes_are_not_cloned_in_a_pool_that_is_nearly_full") {
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let _end = EndEtcd(dir.path().to_owned());
    let rig = Rig::new(dir.path()).await;
    rig.create("db").await;
    rig.until_ready("db").await;
    let record = &rig.member.record;
    let key = under(keys::STORAGE, &rig.app.node_id);
    let told = record.get::<maekin_api::storage::NodeStorage>(&key).await.unwrap().unwrap().value;
    // Its own hand says nothing more while nothing changes.
    let full = maekin_api::storage::NodeStorage { used_share: 9500, ..told };
    assert!(record.commit(Change::default().put(&key, &full).unwrap()).await.unwrap());
    let wish = CloneVolume { name: "copy".into(), ..CloneVolume::default() };
    let refused = store::clone(record, &rig.app.node_id, "db", &wish, &Rig::asked()).await;
    assert!(matches!(&refused, Err(VolumeError::NoRoom(why)) if why.contains("95% full")), "{refused:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn volumes_that_are_lost_are_not_made_anew() {
    if !have_etcd("volumes_that_are_lost_are_not_made_anew") {
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let _end = EndEtcd(dir.path().to_owned());
    let mut rig = Rig::new(dir.path()).await;
    rig.create("db").await;
    let made = rig.until_ready("db").await;
    rig.kill().await;
    rig.fake.change(|seen| {
        seen.volumes.remove(&made.id);
        seen.volumes.insert("f".repeat(32), Default::default());
    });
    rig.start();
    let lost = |volume: Option<&maekin_api::volumes::Volume>| {
        volume.is_some_and(|v| v.health.state == HealthState::Lost)
    };
    rig.until("db", "lost", lost).await;
    assert_eq!(rig.fake.did().len(), 1, "{:?}", rig.fake.did());
    let look = async {
        loop {
            let alarms: Vec<_> = rig.app.storage.alarms().into_iter().map(|alarm| alarm.id).collect();
            if alarms == ["local-volumes-unknown", "volume-db"] {
                return;
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    };
    let alarmed = tokio::time::timeout(LIMIT, look).await;
    assert!(alarmed.is_ok(), "waited for alarms: {:?}", rig.app.storage.alarms());
    rig.delete("db").await;
    rig.until_gone("db").await;
    assert_eq!(rig.fake.seen().volumes.len(), 1, "what nobody knows is left alone");
}
