//! More tasks than there should be, and an engine that begins anew.

use super::*;
use crate::tasks::plan::{MOST, OPEN};
use crate::tasks::values::OutcomeValue;

/// More than fits into one answer of the record by the client's own bound, with one that is open behind all others.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn record_tasks_without_end_are_read_trimmed_and_made_room_in() {
    if !have_etcd("record_tasks_without_end_are_read_trimmed_and_made_room_in") {
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let _end = EndEtcd(dir.path().to_owned());
    let app = agent(dir.path(), 1, ClusterIntent::Create { name: "rack".into() });
    let record = become_member(&app).await.record.clone();
    let ended = crate::clock::now();
    let base = TaskValue { kind: "backup".into(), by: "eva".into(), ..TaskValue::default() };
    let old = TaskValue { id: "000000000-000000".into(), ..base.clone() };
    let outcome = Some(OutcomeValue { text: "x".repeat(4000), ..OutcomeValue::default() });
    let over = |n: usize| TaskValue {
        id: format!("{:09x}-000000", n + 1),
        ended,
        outcome: outcome.clone(),
        ..base.clone()
    };
    let many = MOST + OPEN + 500;
    let all: Vec<TaskValue> = std::iter::once(old.clone()).chain((0..many).map(over)).collect();
    for some in all.chunks(100) {
        let change = some.iter().fold(Change::default(), |change, task| {
            change.put(&keys::under(keys::TASKS, &task.id), task).unwrap()
        });
        assert!(record.commit(change).await.unwrap());
    }
    let listed = record.list::<TaskValue>(keys::TASKS).await.unwrap();
    assert_eq!(listed.len(), many + 1, "a list of more than 4 MiB");
    let newest = record.newest::<TaskValue>(keys::TASKS, None, 250).await.unwrap();
    let ids: Vec<_> = newest.iter().map(|task| task.id.clone()).collect();
    let want: Vec<_> = (0..250).map(|n| over(many - 1 - n).id).collect();
    assert_eq!(ids, want, "the newest first, page by page");
    let open = store::open(&record).await.unwrap();
    assert_eq!(open, [old], "the oldest of all is seen");

    let made = store::create(&record, &base, "node-1", None).await.unwrap();
    assert!(matches!(made, store::Made::New(_)), "{made:?}");
    assert_eq!(record.count(keys::TASKS).await.unwrap(), MOST + 2, "those that are over made room");
    assert_eq!(store::open(&record).await.unwrap().len(), 2);
}

/// A node that has another address begins anew as a member, in the same process.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn record_a_task_goes_on_when_its_engine_begins_anew() {
    if !have_etcd("record_a_task_goes_on_when_its_engine_begins_anew") {
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let _end = EndEtcd(dir.path().to_owned());
    let stage = Arc::new(Stage::default());
    let app = agent(dir.path(), 1, ClusterIntent::Create { name: "rack".into() });
    let mut tasks = serve_while(&app).await;
    let member = become_member(&app).await;
    tasks.spawn(leader::keep(Arc::clone(&app), Arc::clone(&member)));
    until("the node to lead", async || app.leads().then_some(())).await;
    let engine = || {
        let hands = Fake { name: "node-1".into(), stage: Arc::clone(&stage) };
        tokio::spawn(engine::keep(Arc::clone(&app), Arc::clone(&member), Arc::new(hands), PACE))
    };
    let first = engine();
    let task = TaskValue { kind: "backup".into(), by: "eva".into(), ..TaskValue::default() };
    let store::Made::New(task) = store::create(&member.record, &task, "node-1", None).await.unwrap() else {
        panic!("made before")
    };
    until("the step to begin", async || stage.begun("one")).await;
    first.abort();
    assert!(first.await.unwrap_err().is_cancelled());
    for step in ["one", "two", "three"] {
        stage.let_do(step);
    }
    let second = engine();
    until("the task to end", async || {
        let (found, _) = store::get(&member.record, &task.id).await.unwrap();
        found.value.over().then_some(())
    })
    .await;
    let (found, _) = store::get(&member.record, &task.id).await.unwrap();
    assert_eq!(found.value.outcome.unwrap().state, State::Succeeded);
    second.abort();
}
