//! The inventory against a real record, and over HTTPS.

use std::sync::Arc;
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use maekin_api::drives::{Drive, State, StoragePolicy, Usage};
use maekin_api::tasks::{State as TaskState, Task};
use maekin_rootfs::drives::Found;
use maekin_rootfs::node::ClusterIntent;

use super::observe::Seen;
use super::values::{DrivesValue, WishValue};
use super::{DriveError, store};
use crate::app::{App, Member};
use crate::record::keys::{self, under};
use crate::testing::{EndEtcd, PASSWORD, Reply, agent, ask, become_member, have_etcd, serve};

/// How long something may take to be so, and between two looks.
const LIMIT: Duration = Duration::from_secs(30);
const LOOK: Duration = Duration::from_millis(100);

fn admin() -> String {
    format!("authorization: Basic {}", STANDARD.encode(format!("admin:{PASSWORD}")))
}

fn seen(name: &str, found: Found) -> Seen {
    Seen {
        id: format!("sn-{name}"),
        stable: true,
        device: format!("/dev/{name}").into(),
        serial: name.to_owned(),
        size: 1 << 40,
        found: Some(found),
        ..Seen::default()
    }
}

fn blank() -> Found {
    Found { blank: true, what: vec!["blank".into()], token: "t-blank".into(), ..Found::default() }
}

fn zfs(token: &str) -> Found {
    Found { what: vec!["member of the ZFS pool".into()], token: token.into(), ..Found::default() }
}

async fn until<T>(what: &str, mut look: impl AsyncFnMut() -> Option<T>) -> T {
    let work = async {
        loop {
            if let Some(found) = look().await {
                return found;
            }
            tokio::time::sleep(LOOK).await;
        }
    };
    tokio::time::timeout(LIMIT, work).await.unwrap_or_else(|_| panic!("not in time: {what}"))
}

/// Waits until a drive is in a state, by the word of the API.
async fn stands(app: &App, id: &str, state: State) -> Drive {
    until(&format!("{id} {state}"), async || {
        let reply = ask(app, "GET", &format!("/v1/drives/{id}"), &[&admin()], "").await;
        (reply.status == 200).then(|| reply.json::<Drive>()).filter(|drive| drive.state == state)
    })
    .await
}

async fn post(app: &App, path: &str, body: &str) -> Reply {
    ask(app, "POST", path, &[&admin()], body).await
}

/// Looks whenever somebody wants that, and sees what was seen before.
async fn look(app: Arc<App>) {
    loop {
        app.drives.look_again();
        tokio::time::sleep(LOOK).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn drives_are_told_taken_by_consent_and_retired() {
    if !have_etcd("drives_are_told_taken_by_consent_and_retired") {
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let _end = EndEtcd(dir.path().to_owned());
    let app = agent(dir.path(), 1, ClusterIntent::Create { name: "rack".into() });
    serve(&app).await;
    let member = become_member(&app).await;
    let (part, record) = (Arc::clone(&app), member.record.clone());
    tokio::spawn(async move { super::share::run(&part, &record).await });
    tokio::spawn(look(Arc::clone(&app)));
    let (part, whole) = (Arc::clone(&app), Arc::clone(&member));
    tokio::spawn(async move { crate::tasks::keep(&part, &whole).await });
    {
        // Not on an installed node: what the boot drives are like is not known, and would keep blank drives back.
        let report = ask(&app, "GET", "/v1/drives", &[&admin()], "").await;
        assert_eq!((report.status, report.body.as_str()), (200, "[]"), "nothing was looked at yet");
    }
    let mut mirror = seen("boot", blank());
    mirror.boot = Some(0);
    app.drives.saw(vec![mirror.clone(), seen("old", zfs("t-1"))]);
    let boot = stands(&app, "sn-boot", State::InUse).await;
    assert_eq!((boot.usage, boot.node.as_str()), (Usage::BootMirror { number: 1 }, "node-1"));
    let old = stands(&app, "sn-old", State::WaitingForConsent).await;
    assert_eq!((old.content.token.as_str(), old.usage), ("t-1", Usage::Foreign));
    consent(&app, &mirror).await;
    policy(&app, &mirror).await;
    retire(&app, &member, &mirror).await;
    refusals(&app).await;
}

/// Consent is to what is on the drive, and ends when that changes.
async fn consent(app: &App, mirror: &Seen) {
    let rows = [
        ("nothing said", "{}", 409, "consent-needed"),
        ("to another content", r#"{"consent":"t-0"}"#, 409, "consent-outdated"),
        ("nonsense", r#"{"consent":1}"#, 400, "bad-request"),
    ];
    for (name, body, status, kind) in rows {
        let reply = post(app, "/v1/drives/sn-old/take", body).await;
        assert_eq!((reply.status, reply.kind().as_str()), (status, kind), "{name}");
    }
    let reply = post(app, "/v1/drives/OLD/take", r#"{"consent":"t-1"}"#).await;
    assert_eq!(reply.status, 200, "by its serial number: {}", reply.body);
    let spare = stands(app, "sn-old", State::Spare).await;
    assert!(spare.why.contains("consented"), "{}", spare.why);
    app.drives.saw(vec![mirror.clone(), seen("old", zfs("t-2"))]);
    let again = stands(app, "sn-old", State::WaitingForConsent).await;
    assert!(again.why.contains("something else"), "{}", again.why);
}

/// A policy of the cluster, and one of the node.
async fn policy(app: &App, mirror: &Seen) {
    let get = ask(app, "GET", "/v1/storage/policy", &[&admin()], "").await;
    assert_eq!(get.json::<StoragePolicy>(), StoragePolicy::default());
    let put = async |body: &str| ask(app, "PUT", "/v1/storage/policy", &[&admin()], body).await;
    assert_eq!(put(r#"{"drives":"sometimes"}"#).await.status, 400);
    assert_eq!(put(r#"{"nodes":{"node-9":"ask"}}"#).await.status, 400, "no such member");
    let said = put(r#"{"drives":"auto-blank","nodes":{"node-1":"never"}}"#).await;
    assert_eq!(said.status, 200, "{}", said.body);
    let refused = stands(app, "sn-old", State::Refused).await;
    assert!(refused.why.contains("to take no drive"), "{}", refused.why);
    let tag = format!("if-match: {}", said.header("etag").unwrap());
    let stale = r#"if-match: "r1""#;
    assert_eq!(ask(app, "PUT", "/v1/storage/policy", &[&admin(), stale], "{}").await.status, 412);
    assert_eq!(ask(app, "PUT", "/v1/storage/policy", &[&admin(), &tag], "{}").await.status, 200);
    stands(app, "sn-old", State::WaitingForConsent).await;
    app.drives.saw(vec![mirror.clone(), seen("old", zfs("t-2")), seen("used", zfs("t-3"))]);
    stands(app, "sn-used", State::WaitingForConsent).await;
}

/// A drive that nobody uses is retired at once, forgotten when it is pulled, and a boot drive that is alone stays.
async fn retire(app: &App, member: &Member, mirror: &Seen) {
    let begin = async |id: &str| {
        let made = post(app, &format!("/v1/drives/{id}/retire"), r#"{"reason":"old"}"#).await;
        assert_eq!(made.status, 202, "{}", made.body);
        let place = made.header("location").unwrap();
        until(&place.clone(), async || {
            let task: Task = ask(app, "GET", &place, &[&admin()], "").await.json();
            task.ended.is_some().then_some(task)
        })
        .await
    };
    let done = begin("sn-used").await;
    assert_eq!((done.state, done.subject.as_str()), (TaskState::Succeeded, "sn-used"), "{done:?}");
    let retired = stands(app, "sn-used", State::Retired).await;
    assert!(retired.why.contains("nothing is lost"), "{}", retired.why);
    let wishes = async || member.record.list::<WishValue>(keys::DRIVE_WISHES).await.unwrap().len();
    assert_eq!(wishes().await, 2);
    app.drives.saw(vec![mirror.clone(), seen("old", zfs("t-2"))]);
    until("it is forgotten", async || {
        let reply = ask(app, "GET", "/v1/drives/sn-used", &[&admin()], "").await;
        (reply.status == 404).then_some(())
    })
    .await;
    until("what was wanted of it is forgotten", async || (wishes().await == 1).then_some(())).await;
    let kept = begin("sn-boot").await;
    assert_eq!(kept.state, TaskState::Failed);
    assert!(kept.outcome.unwrap().text.contains("only boot drive"));
    app.drives.saw(vec![mirror.clone()]);
    stands(app, "sn-old", State::Gone).await;
    let value = member.record.get::<DrivesValue>(&under(keys::DRIVES, &app.node_id)).await.unwrap().unwrap();
    assert_eq!(value.value.drives.len(), 2);
    let mut warm = mirror.clone();
    warm.smart = Some(maekin_host::smart::Smart {
        passed: Some(true),
        temperature: Some(40),
        ..maekin_host::smart::Smart::default()
    });
    app.drives.saw(vec![warm.clone()]);
    let told = until("its health is told", async || {
        let value =
            member.record.get::<DrivesValue>(&under(keys::DRIVES, &app.node_id)).await.unwrap().unwrap();
        let health = &value.value.drives[0].health;
        (health.temperature == Some(40)).then_some(value.revision)
    })
    .await;
    warm.smart.iter_mut().for_each(|smart| smart.temperature = Some(45));
    app.drives.saw(vec![warm]);
    until("this node knows it", async || {
        (app.drives.find("sn-boot")?.health.temperature == Some(45)).then_some(())
    })
    .await;
    let value = member.record.get::<DrivesValue>(&under(keys::DRIVES, &app.node_id)).await.unwrap().unwrap();
    assert_eq!(value.revision, told, "a drive that warms up a little is not written");
}

async fn refusals(app: &App) {
    let rows = [
        ("no such drive", "GET", "/v1/drives/sn-nothing", "", 404, "not-found"),
        ("a path", "GET", "/v1/drives/..%2Fusers", "", 404, "not-found"),
        ("take one in use", "POST", "/v1/drives/sn-boot/take", "{}", 409, "drive-unfit"),
        ("take one that is gone", "POST", "/v1/drives/sn-old/take", "{}", 409, "drive-unfit"),
        (
            "light of one that is gone",
            "POST",
            "/v1/drives/sn-old/locate",
            r#"{"on":true}"#,
            409,
            "drive-gone",
        ),
        ("light, on or off", "POST", "/v1/drives/sn-boot/locate", "{}", 400, "bad-request"),
        ("retire what is not there", "POST", "/v1/drives/sn-nothing/retire", "{}", 404, "not-found"),
        (
            "a task with another node",
            "POST",
            "/v1/tasks",
            r#"{"kind":"retire-drive","drive":"sn-boot","node":"node-1"}"#,
            400,
            "bad-request",
        ),
    ];
    for (name, method, path, body, status, kind) in rows {
        let reply = ask(app, method, path, &[&admin()], body).await;
        assert_eq!((reply.status, reply.kind().as_str()), (status, kind), "{name}: {}", reply.body);
    }
    let dark = post(app, "/v1/drives/sn-boot/locate", r#"{"on":true}"#).await;
    assert!([409, 501, 502].contains(&dark.status), "{}", dark.body);
    assert!(dark.body.contains("look in node-1"), "{}", dark.body);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn drives_of_a_boot_mirror_are_retired_one_at_a_time() {
    if !have_etcd("drives_of_a_boot_mirror_are_retired_one_at_a_time") {
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let _end = EndEtcd(dir.path().to_owned());
    let app = agent(dir.path(), 1, ClusterIntent::Create { name: "rack".into() });
    let record = become_member(&app).await.record.clone();
    let half = |id: &str, state| Drive {
        id: id.into(),
        node_id: app.node_id.clone(),
        node: "node-1".into(),
        state,
        ..Drive::default()
    };
    let (one, two) = (half("sn-m", State::InUse), half("sn-n", State::InUse));
    let (with_two, with_one) = (["sn-n".to_owned()], ["sn-m".to_owned()]);
    let retire =
        async |drive: &Drive, others: &[String]| store::retire(&record, drive, others, "", "eva").await;
    let goes = |result: Result<(), DriveError>| matches!(result, Err(DriveError::OtherRetires { other, .. }) if other == "sn-m");
    retire(&one, &with_two).await.unwrap();
    store::others_stay(&record, &one, &with_two).await.unwrap();
    assert!(goes(store::others_stay(&record, &two, &with_one).await), "while it is being retired");
    assert!(goes(retire(&two, &with_one).await));
    assert!(store::retired(&record, &one, &with_two).await.unwrap());
    assert!(goes(retire(&two, &with_one).await), "and when it was");
    // An older member wanted both: then the second is not said to be empty.
    retire(&two, &[]).await.unwrap();
    assert!(goes(store::retired(&record, &two, &with_one).await.map(drop)));
    let text = retire(&two, &with_one).await.unwrap_err().to_string();
    assert!(text.contains("maekin drive take sn-m"), "{text}");
    store::take(&record, &half("sn-m", State::Retired), "", "eva").await.unwrap();
    assert!(store::retired(&record, &two, &with_one).await.unwrap(), "the first one stays");
}
