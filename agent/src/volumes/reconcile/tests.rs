//! A record that was put back from a copy, as an agent meets it that goes on.

use maekin_api::node::LocalPool;
use maekin_api::volumes::condition;
use maekin_rootfs::node::ClusterIntent;

use super::*;
use crate::record::Change;
use crate::testing::{EndEtcd, agent, become_member, have_etcd};
use crate::volumes::tests::fake::Fake;

/// How long anything is waited for.
const LIMIT: Duration = Duration::from_secs(30);

fn volume(id: &str, name: &str, node: &str) -> VolumeValue {
    VolumeValue {
        id: id.repeat(32),
        name: name.into(),
        size: 1 << 30,
        nodes: vec![node.into()],
        holders: vec![node.into()],
        generation: 1,
        ..VolumeValue::default()
    }
}

/// Waits until this node says of a volume what `is` asks for.
async fn until(record: &Record, what: &str, is: impl Fn(&PartValue) -> bool) -> PartValue {
    let look = async {
        loop {
            let parts = record.list_known::<PartValue>(keys::VOLUME_STATUS).await.unwrap();
            if let Some(found) = parts.into_iter().find(|part| is(&part.value)) {
                return found.value;
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    };
    let Ok(part) = tokio::time::timeout(LIMIT, look).await else { panic!("waited for {what}") };
    part
}

#[test]
fn volumes_that_stay_open_are_looked_at_less_and_less_often() {
    let mut pauses = Pauses::default();
    let mut next = |after| pauses.next(after).as_secs();
    assert_eq!([After::Waits; 5].map(&mut next), [10, 20, 40, 60, 60]);
    assert_eq!([After::Again; 3].map(&mut next), [2, 4, 8]);
    assert_eq!([After::Waits, After::Settled, After::Waits].map(&mut next), [10, 600, 10]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn volumes_that_a_restored_record_has_again_are_lost_and_not_made_anew() {
    if !have_etcd("volumes_that_a_restored_record_has_again_are_lost_and_not_made_anew") {
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let _end = EndEtcd(dir.path().to_owned());
    let app = agent(dir.path(), 1, ClusterIntent::Create { name: "rack".into() });
    let member = become_member(&app).await;
    app.set_local_pool(LocalPool::Ready { size: 100 << 30 });
    let (record, node, fake) = (member.record.clone(), app.node_id.clone(), Fake::new());
    let (sender, target) = watch::channel(Target::default());
    let engine: Arc<dyn Engine> = fake.clone();
    let hand = tokio::spawn(Hand::new(&app, &member, engine).drive(target));
    let (kept, back) = (volume("a", "kept", &node), volume("b", "back", &node));
    let write = async |value: &VolumeValue| {
        let change = Change::default().put(&under(keys::VOLUMES, &value.name), value).unwrap();
        assert!(record.commit(change).await.unwrap());
    };
    let read = async || Some(Arc::new(crate::volumes::store::list(&record).await.unwrap()));
    write(&kept).await;
    sender.send(Target { epoch: 0, volumes: read().await }).unwrap();
    until(&record, "the first volume", |part| part.name == "kept" && part.made).await;

    // The copy is of a time when the node had another volume, too, and had said so.
    write(&back).await;
    let said = PartValue {
        volume: back.id.clone(),
        name: back.name.clone(),
        node: node.clone(),
        made: true,
        ..PartValue::default()
    };
    let change = Change::default().put(&tell::part_key(&back.name, &node), &said).unwrap();
    assert!(record.commit(change).await.unwrap());
    sender.send(Target { epoch: 1, volumes: read().await }).unwrap();
    let lost = |part: &PartValue| {
        part.name == "back"
            && part.conditions.iter().any(|c| c.kind == condition::PROVISIONED && c.reason == "Lost")
    };
    until(&record, "the volume to be called lost", lost).await;
    assert_eq!(fake.did().len(), 1, "nothing is made anew: {:?}", fake.did());
    hand.abort();
}
