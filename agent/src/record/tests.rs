use super::*;
use maekin_api::install::WindowState;

use super::values::{AliveValue, MachineValue, NodeValue, RestoredValue, WindowValue};
use crate::testing::{EndEtcd, agent, have_etcd, serve};

impl Record {
    /// Writes these very bytes, as another release may have.
    pub(crate) async fn put_raw(&self, key: &str, value: &[u8]) {
        let work = async |client: Client| client.kv_client().put(key, value, None).await;
        self.voters.ask(&format!("write {key}"), LIMIT, work).await.unwrap();
    }
}

#[test]
fn values_carry_their_version() {
    let window = WindowValue { until: 5, left: 2 };
    let bytes = encode("k", &window).unwrap();
    assert_eq!(String::from_utf8_lossy(&bytes), r#"{"v":1,"until":5,"left":2}"#);
    assert_eq!(decode_value::<WindowValue>("k", &bytes).unwrap(), window);
}

#[test]
fn what_cannot_be_understood_is_named() {
    let rows = [
        ("no JSON", "{", "k1 cannot be understood"),
        ("no version", r#"{"until":5,"left":2}"#, "k1 cannot be understood"),
        ("field missing", r#"{"v":1,"until":5}"#, "k1 cannot be understood"),
        ("from the future", r#"{"v":2,"until":5,"left":2}"#, "k1 has version 2"),
        ("wrong type", r#"{"v":1,"until":"x","left":2}"#, "k1 cannot be understood"),
    ];
    for (name, text, want) in rows {
        let error = decode_value::<WindowValue>("k1", text.as_bytes()).unwrap_err().to_string();
        assert!(error.contains(want), "{name}: {error}");
    }
    let more = r#"{"v":1,"mac":"a","uuid":null,"arch":7,"first_seen":1,"last_seen":2,"added_later":true}"#;
    assert!(
        decode_value::<MachineValue>("k", more.as_bytes()).is_ok(),
        "fields of a newer release are skipped"
    );
    assert!(!WindowState::default().open);
}

/// A leader, or a member's sign of life, that took a lease that ran out for a record that does not answer would try to renew
/// it for ever.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn netboot_a_lease_that_ran_out_is_known_as_such() {
    if !have_etcd("netboot_a_lease_that_ran_out_is_known_as_such") {
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let _end = EndEtcd(dir.path().to_owned());
    let cluster = maekin_rootfs::node::ClusterIntent::Create { name: "rack".into() };
    let app = agent(dir.path(), 1, cluster);
    serve(&app).await;
    let joined = crate::membership::run(Arc::clone(&app));
    tokio::time::timeout(Duration::from_secs(60), joined).await.expect("a member in time");
    let record = app.member().ok().unwrap().record.clone();
    let lease = record.grant(60).await.unwrap();
    assert!(record.renew(lease, LIMIT).await.unwrap());
    assert!(!record.renew(lease + 1, LIMIT).await.unwrap(), "nobody ever had this one");
}

/// An older agent changes a value into which a newer one wrote more.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn record_a_change_by_an_older_agent_keeps_what_a_newer_one_wrote() {
    #[derive(Debug, Clone, PartialEq, serde::Serialize, serde::Deserialize)]
    struct Newer {
        until: u64,
        left: u32,
        reason: String,
    }
    if !have_etcd("record_a_change_by_an_older_agent_keeps_what_a_newer_one_wrote") {
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let _end = EndEtcd(dir.path().to_owned());
    let cluster = maekin_rootfs::node::ClusterIntent::Create { name: "rack".into() };
    let app = agent(dir.path(), 1, cluster);
    tokio::time::timeout(Duration::from_secs(60), crate::membership::run(Arc::clone(&app))).await.unwrap();
    let record = app.member().ok().unwrap().record.clone();
    let newer = Newer { until: 5, left: 3, reason: "rack two".into() };
    assert!(record.commit(Change::default().put(keys::WINDOW, &newer).unwrap()).await.unwrap());

    let seen = record.get::<WindowValue>(keys::WINDOW).await.unwrap().unwrap();
    let less = WindowValue { left: 2, ..seen.value };
    let change = Change::default().if_unchanged(keys::WINDOW, seen.revision);
    assert!(record.commit(change.put(keys::WINDOW, &less).unwrap()).await.unwrap());
    let found = record.get::<Newer>(keys::WINDOW).await.unwrap().unwrap().value;
    assert_eq!(found, Newer { left: 2, ..newer });
}

/// What a node saw last is what it changes first; where another one was faster, what that one wrote is not lost.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn record_a_value_that_is_known_is_replaced_in_one_question_and_no_other_is_lost() {
    if !have_etcd("record_a_value_that_is_known_is_replaced_in_one_question_and_no_other_is_lost") {
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let _end = EndEtcd(dir.path().to_owned());
    let app = agent(dir.path(), 1, maekin_rootfs::node::ClusterIntent::Create { name: "rack".into() });
    let record = crate::testing::become_member(&app).await.record.clone();
    let (keys, bound) = (["/maekin/v1/t/value", "/maekin/v1/t/beside"], "/maekin/v1/t/bound");
    let window = |left| WindowValue { until: 5, left };
    let more = |old: Option<&Versioned<WindowValue>>| {
        Ok::<_, RecordError>(Some(window(old.map_or(1, |old| old.value.left + 1))))
    };
    let put = async |key: &str, left| {
        assert!(record.commit(Change::default().put(key, &window(left)).unwrap()).await.unwrap());
    };
    let left = async || record.get::<WindowValue>(keys[0]).await.unwrap().map(|found| found.value.left);
    let replace = async |bound, plan: &dyn Fn(Option<&Versioned<WindowValue>>) -> _| {
        let asked = record.asked();
        let beside = record.replace::<_, WindowValue, RecordError>(keys, bound, plan).await;
        (beside.map(|b| b.map(|b| b.map(|b| b.left))), record.asked() - asked)
    };
    let done = |(beside, asked): (Result<_, RecordError>, u64)| (beside.unwrap(), asked);

    assert_eq!(done(replace(None, &more).await), (Some(None), 2), "never seen: read, written");
    assert_eq!(done(replace(None, &more).await), (Some(None), 1), "known: written");
    assert_eq!(left().await, Some(2));
    put(keys[1], 7).await;
    assert_eq!(done(replace(None, &more).await), (Some(Some(7)), 1), "what is beside it is told");
    put(keys[0], 40).await;
    assert_eq!(done(replace(None, &more).await), (Some(Some(7)), 2), "another one was faster");
    assert_eq!(left().await, Some(41), "and is not lost");

    // A no that rests on what was there once is none.
    let only_50 = |old: Option<&Versioned<WindowValue>>| match old {
        Some(old) if old.value.left == 50 => more(Some(old)),
        other => Err(RecordError::Changed { now: other.map_or(0, |old| old.revision) }),
    };
    put(keys[0], 50).await;
    assert_eq!(done(replace(None, &only_50).await), (Some(Some(7)), 2));
    let (refused, asked) = replace(None, &only_50).await;
    assert!(matches!(refused, Err(RecordError::Changed { now: 1.. })) && asked == 1, "{refused:?}, {asked}");

    let (none, _) = replace(Some((bound, 99)), &more).await;
    assert_eq!(none.unwrap(), None, "what it is bound to is not so, and stays not so");
    assert_eq!(left().await, Some(51));
    let gone = |_: Option<&Versioned<WindowValue>>| Ok(None);
    assert_eq!(done(replace(None, &gone).await), (Some(Some(7)), 1));
    assert_eq!(left().await, None);
    assert_eq!(done(replace(None, &gone).await), (Some(Some(7)), 1), "nothing to do");
    assert_eq!(done(replace(None, &more).await), (Some(Some(7)), 2));
    let now = record.get::<WindowValue>(keys[0]).await.unwrap().unwrap();
    assert_eq!((now.value.left, now.revision == now.created), (1, true), "made anew");
}

/// A look by one who looks all the time sees what one sees who looks for the first time, whatever happened in between.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn record_a_look_that_carries_only_news_misses_none() {
    if !have_etcd("record_a_look_that_carries_only_news_misses_none") {
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let _end = EndEtcd(dir.path().to_owned());
    let app = agent(dir.path(), 1, maekin_rootfs::node::ClusterIntent::Create { name: "rack".into() });
    let record = crate::testing::become_member(&app).await.record.clone();
    let mut before = look::Before::default();
    let first = record.look_again(&app.node_id, &mut before).await.unwrap();
    let member = |id: &str| NodeValue { id: id.to_owned(), ..first.nodes[0].value.clone() };
    let at = |id: &str| keys::under(keys::NODES, id);
    let alive = keys::under(keys::ALIVE, "b");
    let restored = |count| RestoredValue { count, ..RestoredValue::default() };
    let window = WindowValue { until: 5, left: 2 };
    let rows = [
        ("nothing", Change::default(), 2),
        ("somewhere else", Change::default().put("/maekin/v1/elsewhere", &window).unwrap(), 2),
        ("a member more", Change::default().put(&at("b"), &member("b")).unwrap(), 2),
        ("nothing again", Change::default(), 2),
        ("a window", Change::default().put(keys::WINDOW, &window).unwrap(), 2),
        ("a member is gone", Change::default().delete(&at("b")), 4),
        ("one for another", Change::default().put(&at("c"), &member("c")).unwrap(), 2),
        ("the window is gone", Change::default().delete(keys::WINDOW), 4),
        ("a sign of life", Change::default().put(&alive, &AliveValue { since: 1 }).unwrap(), 2),
        ("which ends", Change::default().delete(&alive), 4),
        ("it was put back", Change::default().put(keys::RESTORED, &restored(1)).unwrap(), 2),
        ("and again", Change::default().put(keys::RESTORED, &restored(2)).unwrap(), 2),
        ("nothing at last", Change::default(), 2),
    ];
    for (what, change, questions) in rows {
        if change.len() > 0 {
            assert!(record.commit(change).await.unwrap(), "{what}");
        }
        let asked = record.asked();
        let seen = record.look_again(&app.node_id, &mut before).await.unwrap();
        assert_eq!(record.asked() - asked, questions, "{what}: questions");
        let whole = record.look(&app.node_id).await.unwrap();
        assert_eq!(format!("{seen:?}"), format!("{whole:?}"), "{what}");
    }
}

/// A member is removed while somebody makes a volume there: whoever counted before does not know of it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn record_a_change_sees_what_was_made_meanwhile_under_a_prefix() {
    if !have_etcd("record_a_change_sees_what_was_made_meanwhile_under_a_prefix") {
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let _end = EndEtcd(dir.path().to_owned());
    let cluster = maekin_rootfs::node::ClusterIntent::Create { name: "rack".into() };
    let app = agent(dir.path(), 1, cluster);
    tokio::time::timeout(Duration::from_secs(60), crate::membership::run(Arc::clone(&app))).await.unwrap();
    let record = app.member().ok().unwrap().record.clone();
    let (one, two) = (keys::under(keys::VOLUMES, "one"), keys::under(keys::VOLUMES, "two"));
    let value = AliveValue { since: 1 };
    let put = |key: &str| Change::default().put(key, &value).unwrap();
    let guarded = |at| put(keys::WINDOW).if_none_changed_since(keys::VOLUMES, at);
    let at = record.revision().await.unwrap();
    assert!(record.commit(guarded(at)).await.unwrap(), "there are none");
    assert!(record.commit(put(&keys::under(keys::STORAGE, "one"))).await.unwrap());
    assert!(record.commit(guarded(at)).await.unwrap(), "what lies elsewhere is not meant");
    assert!(record.commit(put(&one)).await.unwrap());
    assert!(!record.commit(guarded(at)).await.unwrap(), "one was made");
    let at = record.revision().await.unwrap();
    assert!(record.commit(guarded(at)).await.unwrap(), "it was made before");
    assert!(record.commit(put(&two)).await.unwrap() && !record.commit(guarded(at)).await.unwrap());
}
