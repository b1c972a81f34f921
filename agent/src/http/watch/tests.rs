//! A watch over HTTPS, against a real record.

use std::sync::Arc;
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use maekin_rootfs::node::ClusterIntent;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use crate::app::App;
use crate::record::keys::{self, under};
use crate::testing::{EndEtcd, PASSWORD, agent, ask, connect, have_etcd, serve};

fn admin() -> String {
    format!("authorization: Basic {}", STANDARD.encode(format!("admin:{PASSWORD}")))
}

/// Listens until `enough` events have come, and returns them.
async fn listen(app: &App, query: &str, last: Option<&str>, enough: usize) -> Vec<(String, String, String)> {
    let mut stream = connect(app).await;
    let last = last.map(|id| format!("last-event-id: {id}\r\n")).unwrap_or_default();
    let head = format!("GET /v1/watch{query} HTTP/1.1\r\nhost: x\r\n{}\r\n{last}\r\n", admin());
    stream.write_all(head.as_bytes()).await.unwrap();
    let mut text = String::new();
    let read = async {
        loop {
            let events = parse(&text);
            if events.len() >= enough {
                return events;
            }
            let mut bytes = [0; 4096];
            let n = stream.read(&mut bytes).await.unwrap();
            assert!(n > 0, "the stream ended: {text}");
            text.push_str(&String::from_utf8_lossy(&bytes[..n]));
        }
    };
    tokio::time::timeout(Duration::from_secs(20), read).await.expect("events in time")
}

/// Event, id and data of each whole event; chunk lengths of the transfer coding are lines of their own.
fn parse(text: &str) -> Vec<(String, String, String)> {
    let body = text.split_once("\r\n\r\n").map_or("", |(_, body)| body);
    let whole = body.rfind("\n\n").map_or("", |end| &body[..end]);
    let field = |event: &str, name: &str| {
        event.lines().find_map(|line| line.strip_prefix(name)).unwrap_or_default().trim().to_owned()
    };
    let events = whole.split("\n\n").filter(|event| event.contains("event: "));
    events.map(|event| (field(event, "event: "), field(event, "id: "), field(event, "data: "))).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn api_watches_tell_every_change_and_go_on_where_they_were() {
    if !have_etcd("api_watches_tell_every_change_and_go_on_where_they_were") {
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let _end = EndEtcd(dir.path().to_owned());
    let app = agent(dir.path(), 1, ClusterIntent::Create { name: "rack".into() });
    serve(&app).await;
    let joined = crate::membership::run(Arc::clone(&app));
    tokio::time::timeout(Duration::from_secs(60), joined).await.expect("a member in time");
    let ready = listen(&app, "?kinds=approvals", None, 1).await.remove(0);
    assert_eq!(ready.0, "ready");

    let put = async |n: u8| {
        let body = format!(r#"[{{"mac":"52:54:00:00:00:{n:02x}"}}]"#);
        assert_eq!(ask(&app, "PUT", "/v1/approvals", &[&admin()], &body).await.status, 200);
    };
    for n in 0..3 {
        put(n).await;
        let window = r#"{"minutes":5,"count":1}"#;
        let opened = ask(&app, "POST", "/v1/install-window", &[&admin()], window).await;
        assert_eq!(opened.status, 200, "another kind");
    }
    let seen = listen(&app, "?kinds=approvals", Some(&ready.1), 4).await;
    let names: Vec<_> = seen.iter().map(|event| event.0.as_str()).collect();
    assert_eq!(names, ["ready", "change", "change", "change"]);
    assert!(seen[1..].iter().all(|event| event.2.contains(r#""kind":"approvals""#)), "{seen:?}");
    let again = listen(&app, "?kinds=approvals", Some(&seen[2].1), 2).await;
    assert_eq!(again[1], seen[3], "the one behind, and not the ones before");

    let future = listen(&app, "", Some("999999999"), 1).await;
    assert_eq!(future[0].0, "reset", "a place of another cluster");
    let refused = ask(&app, "GET", "/v1/watch", &[&admin(), "last-event-id: x"], "").await;
    assert_eq!((refused.status, refused.kind()), (400, "bad-request".into()));
    events_that_lie_together_are_told_one_by_one(&app).await;
    lists_are_not_lost_to_who_read_them_before(&app).await;
    metrics_are_told(&app).await;
    hostile_heads_are_problems(&app).await;
}

/// The audit log has several events in a value; whoever watches it hears of each, once, and of each that goes.
async fn events_that_lie_together_are_told_one_by_one(app: &Arc<App>) {
    let ready = listen(app, "?kinds=audit", None, 1).await.remove(0);
    let member = app.member().ok().unwrap();
    let waiting: Vec<String> = crate::audit::waiting(app).into_iter().map(|event| event.id).collect();
    assert!(waiting.len() > 3, "the changes before were written down: {waiting:?}");
    crate::audit::write_waiting(app, &member.record, true).await; // and once more, as if nobody had heard that it was
    member.record.remove_oldest(keys::AUDIT, usize::MAX).await.unwrap();
    member
        .record
        .put_raw(
            &under(keys::AUDIT, "0000000007-01234567-00000001"),
            br#"{"v":1,"id":"0000000007-01234567-00000001"}"#,
        )
        .await;
    let seen = listen(app, "?kinds=audit", Some(&ready.1), 2 * waiting.len() + 2).await;
    let told: Vec<maekin_api::watch::Change> =
        seen[1..].iter().map(|event| serde_json::from_str(&event.2).unwrap()).collect();
    let names = |deleted| {
        let of = told.iter().filter(move |change| change.deleted == deleted);
        of.map(|change| change.name.clone()).collect::<Vec<_>>()
    };
    let old = "0000000007-01234567-00000001".to_owned();
    assert_eq!(names(false), [waiting.clone(), vec![old]].concat(), "and what an earlier release writes");
    assert_eq!(names(true), waiting);
    let ids = seen[1..].iter().filter(|event| !event.1.is_empty()).count();
    assert_eq!(ids, 3, "the last of what was written together has a place to go on from: {seen:?}");
    let place = seen.iter().skip(1).find(|event| !event.1.is_empty()).unwrap().1.clone();
    let rest = listen(app, "?kinds=audit", Some(&place), waiting.len() + 2).await;
    assert_eq!(rest[1..], seen[1 + waiting.len()..], "nothing twice, nothing left out");
}

/// Two who read the same list and change it: one of them is told.
async fn lists_are_not_lost_to_who_read_them_before(app: &App) {
    let admin = admin();
    let tag = ask(app, "GET", "/v1/approvals", &[&admin], "").await.header("etag").unwrap();
    let tag = format!("if-match: {tag}");
    let write = async |n: u8| {
        let body = format!(r#"[{{"mac":"52:54:00:00:01:{n:02x}"}}]"#);
        ask(app, "PUT", "/v1/approvals", &[&admin, &tag], &body).await.status
    };
    let (one, two, three) = tokio::join!(write(1), write(2), write(3));
    let mut statuses = [one, two, three];
    statuses.sort_unstable();
    assert_eq!(statuses, [200, 412, 412]);
}

async fn metrics_are_told(app: &App) {
    let text = ask(app, "GET", "/metrics", &[&admin()], "").await.body;
    for line in [
        "maekin_member 1",
        "maekin_http_request_duration_seconds_count{operation=\"setApprovals\",status=\"412\"} 2",
        "# TYPE maekin_record_duration_seconds histogram",
        "process_resident_memory_bytes ",
        "maekin_boot_drives_state{state=\"unknown\"} 1",
    ] {
        assert!(text.contains(line), "{line} is missing:\n{text}");
    }
}

async fn hostile_heads_are_problems(app: &App) {
    let admin = admin();
    let rows = [
        ("limit is no number", "/v1/machines?limit=x", "accept: */*", 400),
        ("limit twice", "/v1/machines?limit=1&limit=2", "accept: */*", 400),
        ("another place", "/v1/machines?after=..%2Fx", "accept: */*", 400),
        ("kinds with more in them", "/v1/watch?kinds=nodes%0d%0aid:%201", "accept: */*", 400),
        ("tag that is none", "/v1/users/eva", "if-match: eva", 404),
        ("request id that breaks lines", "/v1/node", "x-request-id: a b", 200),
        ("request id that is taken over", "/v1/node", "x-request-id: a-b", 200),
    ];
    for (name, path, header, status) in rows {
        let reply = ask(app, "GET", path, &[&admin, header], "").await;
        assert_eq!(reply.status, status, "{name}: {}", reply.body);
        let id = reply.header("x-request-id").unwrap();
        assert_eq!(id == "a-b", name.ends_with("taken over"), "{name}: {id}");
        assert!(status == 200 || reply.body.contains(&id), "{name}: the problem names the request");
    }
    for scheme in ["Basic", "Basic ", "Basic ####", "Bearer", "Bearer mk_", "Bearer \u{7f}", "Negotiate x"] {
        let reply = ask(app, "GET", "/v1/node", &[&format!("authorization: {scheme}")], "").await;
        assert!([400, 401, 429].contains(&reply.status), "{scheme}: {}", reply.status);
    }
}
