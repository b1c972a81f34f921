use super::*;
use crate::membership;
use crate::record::Change;
use crate::record::values::{FactsValue, WindowValue};
use crate::testing::{EndEtcd, agent, have_etcd};

#[test]
fn record_a_person_is_told_what_is_wrong_with_it() {
    let none = BTreeSet::new();
    let (full, corrupt) =
        (BTreeSet::from([StoreAlarm::NoSpace(1)]), BTreeSet::from([StoreAlarm::Corrupt(2)]));
    /// Name, alarms of voters, age of the newest copy or for how long there is none, alarms.
    type Row<'a> = (&'a str, &'a BTreeSet<StoreAlarm>, Result<u64, u64>, &'a [&'a str]);
    let rows: [Row<'_>; 7] = [
        ("well", &none, Ok(0), &[]),
        ("an hour old", &none, Ok(3700), &[]),
        ("too old", &none, Ok(OLD + 1), &["record-backup-old"]),
        ("none yet", &none, Err(100), &[]),
        ("none for long", &none, Err(OLD + 1), &["record-backup-old"]),
        ("full", &full, Ok(0), &["record-full"]),
        ("corrupt, and too old", &corrupt, Ok(OLD + 1), &["record-corrupt", "record-backup-old"]),
    ];
    for (name, alarms, backup, want) in rows {
        let ids: Vec<_> = judge(alarms, backup, "").into_iter().map(|f| f.id).collect();
        assert_eq!(ids, want, "{name}");
    }
}

#[test]
fn record_an_old_voter_yields_to_the_record_that_was_put_back() {
    /// Name, how often each voter says that the record was put back, to which one ours yields.
    type Row<'a> = (&'a str, &'a [(&'a str, u64)], Option<&'a str>);
    let rows: [Row<'_>; 6] = [
        ("nobody answers", &[], None),
        ("never put back", &[("own", 0), ("b", 0), ("c", 0)], None),
        ("put back elsewhere", &[("own", 0), ("b", 0), ("c", 1)], Some("c")),
        ("put back here", &[("own", 1), ("b", 0), ("c", 0)], None),
        ("put back twice", &[("own", 1), ("b", 1), ("c", 2)], Some("c")),
        ("no voter of our own", &[("b", 0), ("c", 1)], None),
    ];
    for (name, counts, want) in rows {
        let counts: Vec<_> = counts.iter().map(|(url, n)| ((*url).to_owned(), *n)).collect();
        assert_eq!(plan_superseded("own", &counts), want, "{name}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn record_it_is_told_as_it_is_and_without_a_quorum() {
    if !have_etcd("record_it_is_told_as_it_is_and_without_a_quorum") {
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let end = EndEtcd(dir.path().to_owned());
    let cluster = maekin_rootfs::node::ClusterIntent::Create { name: "rack".into() };
    let app = agent(dir.path(), 1, cluster);
    assert!(report(&app, None).await.problem.contains("not a member"));
    membership::run(Arc::clone(&app)).await;
    let member = app.member().ok().unwrap();
    backup::once(&app.settings.state, &member.record, &member.cluster.id, 1000).await.unwrap();
    let told = report(&app, Some(&member)).await;
    assert!(told.quorum && told.problem.is_empty() && told.revision > 1, "{told:?}");
    assert_eq!(told.leader.as_deref(), Some(app.node_id.as_str()));
    let [voter] = &told.voters[..] else { panic!("one voter: {told:?}") };
    assert_eq!((voter.name.as_str(), voter.learner), ("node-1", false));
    let state = voter.state.as_ref().expect("it answers");
    assert!(state.size >= state.used && state.used > 0 && !state.version.is_empty(), "{state:?}");
    assert_eq!((told.quota, told.backups.kept.len()), (256 << 20, 1));

    drop(end);
    let told = report(&app, Some(&member)).await;
    assert!(!told.quorum && told.problem.contains("cannot be reached"), "{told:?}");
    assert_eq!(told.backups.kept.len(), 1, "what the node has itself it tells all the same");
}

/// Writes until the quota is reached; old values fill it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn record_full_of_old_values_takes_writes_again() {
    if !have_etcd("record_full_of_old_values_takes_writes_again") {
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let _end = EndEtcd(dir.path().to_owned());
    let cluster = maekin_rootfs::node::ClusterIntent::Create { name: "rack".into() };
    let app = crate::testing::agent_with(dir.path(), 1, cluster, |settings| settings.record_quota = 8 << 20);
    membership::run(Arc::clone(&app)).await;
    let record = app.member().ok().unwrap().record.clone();
    let facts = FactsValue { facts: serde_json::Value::String("x".repeat(256 << 10)) };
    let write = async || record.commit(Change::default().put("/maekin/v1/test", &facts).unwrap()).await;
    let mut writes = 0;
    while write().await.is_ok() {
        writes += 1;
        assert!(writes < 200, "the quota holds");
    }
    look(&app, &record, now()).await;
    let alarms: Vec<_> = app.record_care.alarms().into_iter().map(|a| a.id).collect();
    assert!(alarms.contains(&"record-full".to_owned()), "{alarms:?}");
    // etcd raises its alarm beside its answer: it may come after it was taken back for the first time.
    let mut turns = 0;
    loop {
        tidy(&app, &record).await.unwrap();
        let Err(e) = write().await else { break };
        turns += 1;
        assert!(turns < 10, "there is room again: {e}");
    }
    look(&app, &record, now()).await;
    assert!(app.record_care.alarms().is_empty(), "{:?}", app.record_care.alarms());
    let kept = WindowValue { until: 1, left: 2 };
    assert!(record.commit(Change::default().put(keys::WINDOW, &kept).unwrap()).await.unwrap());
    let state = &record.statuses().await[0].1.state;
    assert!(state.size < 4 << 20, "its file is small again: {state:?}");
}
