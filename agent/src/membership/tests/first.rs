//! Power cuts of the first node, and what its steady state costs.

use super::*;
use crate::membership::{etcd, voters};
use crate::record::values::WindowValue;

/// Ends its etcd and empties its run directory, as a power cut does.
fn power_cut(app: &App, end: EndEtcd) {
    drop(end);
    fs::remove_file(app.settings.etcd_env()).unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn record_the_first_node_comes_back_from_a_power_cut_at_any_step() {
    if !have_etcd("record_the_first_node_comes_back_from_a_power_cut_at_any_step") {
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path();
    let app = agent(path, 1, ClusterIntent::Create { name: "rack".into() });
    let voter = path.join("state/voter.json");
    let end = EndEtcd(path.to_owned());
    let member = become_member(&app).await;
    assert!(voter.exists(), "its voter is written down as soon as it is a member");
    let kept = WindowValue { until: 7, left: 1 };
    assert!(member.record.commit(Change::default().put(keys::WINDOW, &kept).unwrap()).await.unwrap());
    drop(member);
    power_cut(&app, end);

    // Each of these is what a power cut leaves: the record made, and nothing written down about it yet.
    for lost in [
        &["state/voter.json"][..],
        &["state/membership.json"],
        &["state/voter.json", "state/membership.json"],
    ] {
        lost.iter().for_each(|file| fs::remove_file(path.join(file)).unwrap());
        let end = EndEtcd(path.to_owned());
        let again = restarted(&app);
        let member = become_member(&again).await;
        let found = member.record.get::<WindowValue>(keys::WINDOW).await.unwrap();
        assert_eq!(found.map(|w| w.value), Some(kept.clone()), "{lost:?}: the record that it made");
        assert!(voter.exists(), "{lost:?}");
        power_cut(&again, end);
    }

    fs::remove_dir_all(path.join("state/etcd")).unwrap();
    let error = attempt(&restarted(&app)).await.err().expect("no empty record takes its place");
    assert!(matches!(error, MembershipError::RecordLost), "{error:?}");
    assert!(!etcd::has_data(&app), "nothing was started");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn record_a_settled_member_asks_twice_at_each_look() {
    if !have_etcd("record_a_settled_member_asks_twice_at_each_look") {
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let _end = EndEtcd(dir.path().to_owned());
    let app = agent(dir.path(), 1, ClusterIntent::Create { name: "rack".into() });
    let member = become_member(&app).await;
    let mut started = None;
    voters::once(&app, &member, &mut started).await.unwrap();
    let before = member.record.asked();
    for _ in 0..5 {
        voters::once(&app, &member, &mut started).await.unwrap();
    }
    assert_eq!(member.record.asked() - before, 2 * 5, "one transaction and the list of voters, each time");
}
