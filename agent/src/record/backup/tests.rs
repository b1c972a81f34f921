use super::*;
use crate::membership;
use crate::record::values::WindowValue;
use crate::record::{Change, keys};
use crate::testing::{EndEtcd, agent, have_etcd};

#[test]
fn record_members_copy_it_at_different_times() {
    let ids: Vec<_> = (0..50_u128).map(|n| crate::app::node_id(uuid::Uuid::from_u128(n))).collect();
    let times: std::collections::BTreeSet<_> =
        ids.iter().map(|id| spread(id, Duration::from_secs(60)).as_secs()).collect();
    assert!(times.len() > 20 && times.iter().all(|s| *s < 60), "{times:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn record_is_copied_where_it_has_changed() {
    if !have_etcd("record_is_copied_where_it_has_changed") {
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let end = EndEtcd(dir.path().to_owned());
    let cluster = maekin_rootfs::node::ClusterIntent::Create { name: "rack".into() };
    let app = agent(dir.path(), 1, cluster);
    membership::run(Arc::clone(&app)).await;
    let member = app.member().ok().unwrap();
    let (record, state, id) = (&member.record, &app.settings.state, member.cluster.id.as_str());
    let copies = super::dir(state);

    let made = once(state, record, id, 10_000).await.unwrap();
    let Done::Made { revision, size, dropped: 0 } = made else { panic!("the first: {made:?}") };
    let path = copies.join(format!("record-10000-{revision}.db"));
    assert_eq!(file::verify(&path).unwrap(), size);
    assert_eq!(once(state, record, id, 14_000).await.unwrap(), Done::Unchanged);
    assert_eq!(report(state, "").current_at, Some(14_000), "it is as new as the last look");
    let window = WindowValue { until: 1, left: 1 };
    record.commit(Change::default().put(keys::WINDOW, &window).unwrap()).await.unwrap();
    let again = once(state, record, id, 14_001).await.unwrap();
    assert!(matches!(again, Done::Made { .. }), "{again:?}");
    assert_eq!(list(&copies).len(), 2);

    // A copy that somebody removed is made anew, and what a power cut left is swept away.
    std::fs::remove_file(copies.join(list(&copies)[0].name())).unwrap();
    std::fs::write(copies.join(".record-1-1.db.part"), "half").unwrap();
    let again = once(state, record, id, 14_002).await.unwrap();
    assert!(matches!(again, Done::Made { .. }), "{again:?}");
    assert!(!copies.join(".record-1-1.db.part").exists());

    drop(end);
    let error = chain(&once(state, record, id, 20_000).await.unwrap_err());
    assert!(error.contains("cannot be reached"), "{error}");
    assert_eq!(report(state, "").current_at, Some(14_002));
}
