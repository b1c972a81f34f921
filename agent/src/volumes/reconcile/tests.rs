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

#[test]
fn volumes_in_use_have_their_pool_watched_whatever_else_fails() {
    let (again, s) = (LONGEST_PAUSE, Duration::from_secs);
    // Name; what is left of the wait; the wait; are there volumes; how soon room is looked at; the next look.
    let rows = [
        ("all is well", RESYNC, RESYNC, true, GLANCE, Some(GLANCE)),
        ("all is well, and little room", RESYNC, RESYNC, true, GLANCE_FULL, Some(GLANCE_FULL)),
        ("one fails for good", again, again, true, GLANCE, Some(GLANCE)),
        ("one fails for good, and little room", again, again, true, GLANCE_FULL, Some(GLANCE_FULL)),
        ("one waits, and little room", s(45), LONGEST_WAIT, true, GLANCE_FULL, Some(GLANCE_FULL)),
        ("soon it is tried again", s(2), again, true, GLANCE, Some(s(2))),
        ("no volumes", RESYNC, RESYNC, false, GLANCE, None),
        ("no volumes, and something fails", again, again, false, GLANCE, Some(again)),
    ];
    for (name, left, wait, volumes, glance, want) in rows {
        assert_eq!(next_look(left, wait, volumes, glance), want, "{name}");
    }
}

#[test]
fn volumes_wait_for_nothing_but_what_only_the_engine_sees() {
    let said = |reason: &str, status| maekin_api::settings::Condition {
        kind: condition::ATTACHED.into(),
        status,
        reason: reason.into(),
        ..Default::default()
    };
    use maekin_api::settings::ConditionStatus::{False, Unknown};
    let idle = Plan::default();
    let busy = Plan { steps: vec![Step::Detach { id: "a".repeat(32) }], ..Plan::default() };
    let rows = [
        ("in use", &idle, plan::IN_USE, False, true),
        ("in use, and going", &idle, plan::IN_USE, Unknown, true),
        ("something is left to be done", &busy, "Detaching", Unknown, true),
        ("attached, and lost", &idle, "WaitsForVolume", Unknown, false),
        ("given up, and told", &idle, "Detaching", Unknown, false),
    ];
    for (name, plan, reason, status, want) in rows {
        let part = PartValue { conditions: vec![said(reason, status)], ..PartValue::default() };
        assert_eq!(waits(plan, &part), want, "{name}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn volumes_without_a_record_have_their_pool_looked_after() {
    if !have_etcd("volumes_without_a_record_have_their_pool_looked_after") {
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let end = EndEtcd(dir.path().to_owned());
    let app = agent(dir.path(), 1, ClusterIntent::Create { name: "rack".into() });
    let member = become_member(&app).await;
    app.set_local_pool(LocalPool::Ready { size: 100 << 30 });
    let (fake, value) = (Fake::new(), volume("a", "db", &app.node_id));
    let change = Change::default().put(&under(keys::VOLUMES, "db"), &value).unwrap();
    assert!(member.record.commit(change).await.unwrap());
    let volumes = crate::volumes::store::list(&member.record).await.unwrap();
    let mut hand = Hand::new(&app, &member, fake.clone());
    hand.pass(&volumes).await.unwrap();
    assert!(app.storage.alarms().is_empty());
    let tended = fake.tended();

    // The voters are gone, and a writer goes on: what is to be told cannot be, and the pool needs room.
    drop(end);
    fake.change(|seen| {
        seen.volumes.values_mut().for_each(|volume| volume.used = Some(1 << 30));
        seen.storage.used_share = 9600;
    });
    assert!(hand.glance(&volumes, LONGEST_PAUSE).await, "it is seen while something else fails");
    hand.last = None;
    let failed = hand.pass(&volumes).await;
    assert!(matches!(failed, Err(PassError::Record(_))), "{failed:?}");
    assert!(fake.tended() > tended, "it is looked after");
    let alarms = app.storage.alarms();
    assert!(alarms.iter().any(|alarm| alarm.id == "local-pool-room"), "{alarms:?}");
    // Nothing is known at all, as after a start without the others.
    let tended = fake.tended();
    hand.told = None;
    assert!(matches!(hand.pass(&volumes).await, Err(PassError::Record(_))));
    assert!(fake.tended() > tended, "nor does that keep it waiting");
    let mut new = Hand::new(&app, &member, fake.clone());
    new.watch_pool().await;
    let tended = fake.tended();
    new.watch_pool().await;
    assert_eq!(fake.tended(), tended, "nothing has changed");
    fake.change(|seen| seen.storage.used_share = 9700);
    new.watch_pool().await;
    assert!(fake.tended() > tended);
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
