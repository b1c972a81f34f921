//! Quorum lost for good, with a real etcd.

use std::sync::Arc;

use maekin_rootfs::node::ClusterIntent;

use super::plan::plan_restore;
use super::*;
use crate::clock::now;
use crate::membership;
use crate::record::values::WindowValue;
use crate::testing::{EndEtcd, agent, have_etcdutl, restarted};
use maekin_host::file::write_atomic;

const LIMIT: Duration = Duration::from_secs(60);

async fn member(app: &Arc<App>) -> Record {
    tokio::time::timeout(LIMIT, membership::run(Arc::clone(app))).await.expect("a member in time");
    app.member().ok().unwrap().record.clone()
}

async fn set(record: &Record, left: u32) {
    let window = WindowValue { until: 1, left };
    assert!(record.commit(Change::default().put(keys::WINDOW, &window).unwrap()).await.unwrap());
}

async fn left(record: &Record) -> u32 {
    record.get::<WindowValue>(keys::WINDOW).await.unwrap().expect("is there").value.left
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn record_is_put_back_from_a_copy_and_a_power_cut_leaves_the_old_or_the_new() {
    if !have_etcdutl("record_is_put_back_from_a_copy_and_a_power_cut_leaves_the_old_or_the_new") {
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let state = dir.path().join("state");
    let end = EndEtcd(dir.path().to_owned());
    let app = agent(dir.path(), 1, ClusterIntent::Create { name: "rack".into() });
    let record = member(&app).await;
    set(&record, 11).await;
    let id = app.member().ok().unwrap().cluster.id.clone();
    backup::once(&state, &record, &id, now()).await.unwrap();
    set(&record, 12).await;
    let (seen, _) = look(&app, None).await.unwrap();
    assert!(matches!(plan_restore(&seen, now()), Err(Refusal::Quorum(_))), "it is not lost: {seen:?}");

    // Its file is gone: the agent makes no empty one in its place.
    drop(end);
    fs::remove_dir_all(state.join("etcd")).unwrap();
    let (seen, _) = look(&app, None).await.unwrap();
    let plan = plan_restore(&seen, now()).unwrap();
    let Source::Copy { path, .. } = &plan.source else { panic!("from its copy: {plan:?}") };
    assert!(inspect(path).unwrap() > 1);
    let whole = fs::read(path).unwrap();
    let mut torn = whole.clone();
    torn[700] ^= 1;
    fs::write(path, &torn).unwrap();
    let error = prepare(&app, &plan, now()).await.err().expect("a damaged copy is refused").to_string();
    assert!(error.contains("is damaged") && !state.join("etcd.new").exists(), "{error}");
    fs::write(path, &whole).unwrap();

    let end = EndEtcd(dir.path().to_owned());
    let prepared = prepare(&app, &plan, now()).await.unwrap();
    assert_eq!(prepared.note.restored, 1);
    // A power cut here leaves everything as it was, and it can be done again.
    assert!(!state.join("etcd").exists() && state.join("etcd.new").exists());
    drop(prepared);
    prepare(&app, &plan, now()).await.unwrap();
    swap(&app).unwrap();
    // A power cut here leaves the new one, and a start that goes by the data.
    let again = restarted(&app);
    let record = member(&again).await;
    let known = MembershipFile::load(&again.settings.membership()).unwrap().unwrap();
    assert_eq!(known.restored, 1, "and knows at once that it is the newest");
    assert_eq!(left(&record).await, 11, "as it was when it was copied");
    let told = record.get::<RestoredValue>(keys::RESTORED).await.unwrap().unwrap().value;
    assert_eq!((told.count, told.by.as_str()), (1, app.node_id.as_str()));
    assert!(record.revision().await.unwrap() > 1_000_000, "no revision is seen twice");
    set(&record, 13).await;
    drop(end);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn record_of_another_cluster_is_not_put_back() {
    if !have_etcdutl("record_of_another_cluster_is_not_put_back") {
        return;
    }
    let dirs = [(); 2].map(|()| tempfile::tempdir().unwrap());
    let ends = dirs.each_ref().map(|dir| EndEtcd(dir.path().to_owned()));
    let apps =
        [0, 1].map(|n| agent(dirs[n].path(), n as u128 + 1, ClusterIntent::Create { name: "rack".into() }));
    for app in &apps {
        let record = member(app).await;
        set(&record, 5).await;
        let id = app.member().ok().unwrap().cluster.id.clone();
        backup::once(&app.settings.state, &record, &id, now()).await.unwrap();
    }
    let theirs = backup::dir(&apps[1].settings.state);
    let theirs = theirs.join(backup::list(&theirs)[0].name());
    let [end, other] = ends;
    drop(end);
    drop(other);
    let _end = EndEtcd(dirs[0].path().to_owned());
    let (seen, _) = look(&apps[0], Some(&theirs)).await.unwrap();
    let plan = plan_restore(&seen, now()).unwrap();
    let error = prepare(&apps[0], &plan, now()).await.err().expect("is refused").to_string();
    // Its certificates are ours; only what it holds tells.
    assert!(error.contains("not this cluster's record"), "{error}");
    assert!(!dirs[0].path().join("state/etcd.new").exists());
    assert_eq!(left(&member(&restarted(&apps[0])).await).await, 5, "what was there is there");
}

#[tokio::test]
async fn record_an_interrupted_restoration_leaves_no_voter_on_its_data() {
    let dir = tempfile::tempdir().unwrap();
    let app = agent(dir.path(), 1, ClusterIntent::Create { name: "rack".into() });
    let (env, new) = (app.settings.etcd_env(), new_dir(&app));
    let data = etcd::data(&app);
    let line = |dir: &Path| format!("ETCD_DATA_DIR={}\n", dir.display());
    // Name; environment; whether its voter is ended.
    let rows = [
        ("its own", line(&data), false),
        ("the new one", line(&data) + &line(&new), true),
        ("its own again", line(&new) + &line(&data), false),
    ];
    for (name, text, ends) in rows {
        fs::create_dir_all(&new).unwrap();
        write_atomic(&env, text.as_bytes(), 0o600).unwrap();
        resume(&app).await.unwrap();
        assert_eq!((env.exists(), new.exists()), (!ends, !ends), "{name}");
    }
}

#[tokio::test]
async fn record_what_there_was_is_kept_also_where_the_power_went_in_the_middle_of_the_swap() {
    // Name; a power cut after both changed places; there was something before; what `etcd.before` has then.
    let rows = [
        ("no power cut", false, true, Some("old")),
        ("a power cut", true, true, Some("old")),
        ("there was nothing", false, false, None),
    ];
    for (name, cut, before, want) in rows {
        let dir = tempfile::tempdir().unwrap();
        let app = agent(dir.path(), 1, ClusterIntent::Create { name: "rack".into() });
        let (data, new) = (etcd::data(&app), new_dir(&app));
        let voter = VoterFile { id: "1".into(), initial: String::new(), learner: false };
        let known = serde_json::json!({ "cluster_id": "c", "cluster": "rack", "endpoints": [] });
        store_file(&app.settings.membership(), &known).unwrap();
        for (dir, what) in [(&data, "old"), (&new, "new")].iter().filter(|(dir, _)| before || *dir == &new) {
            fs::create_dir_all(dir).unwrap();
            fs::write(dir.join("what"), what).unwrap();
        }
        store_file(&new.join(NOTE), &Note { voter, restored: 1 }).unwrap();
        if cut {
            exchange(&new, &data).unwrap();
        } else {
            swap(&app).unwrap();
        }
        resume(&app).await.unwrap();
        let found = |dir: &Path| fs::read_to_string(dir.join("what")).ok();
        assert_eq!(found(&data).as_deref(), Some("new"), "{name}");
        assert_eq!(found(&app.settings.state.join("etcd.before")).as_deref(), want, "{name}");
        assert!(!new.exists() && !data.join(NOTE).exists(), "{name}");
    }
}
