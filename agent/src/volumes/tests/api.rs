//! Over HTTPS: versions, who may, what is refused.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use maekin_api::storage::Storage;
use maekin_api::volumes::{HealthState, Snapshot, Volume};

use super::{G, Rig};
use crate::testing::{EndEtcd, PASSWORD, Reply, ask, have_etcd, serve};

fn basic(user: &str, password: &str) -> String {
    format!("authorization: Basic {}", STANDARD.encode(format!("{user}:{password}")))
}

async fn send(rig: &Rig, method: &str, path: &str, more: &[&str], body: &str) -> Reply {
    let admin = basic("admin", PASSWORD);
    let headers: Vec<&str> = std::iter::once(admin.as_str()).chain(more.iter().copied()).collect();
    ask(&rig.app, method, path, &headers, body).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn volumes_api_from_the_first_word_to_the_last() {
    if !have_etcd("volumes_api_from_the_first_word_to_the_last") {
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let _end = EndEtcd(dir.path().to_owned());
    let rig = Rig::new(dir.path()).await;
    serve(&rig.app).await;
    let limits = r#"{"name":"db","size":1073741824,"limits":{"read_iops":500}}"#;
    let db = r#"{"name":"db","size":1073741824,"limits":{}}"#;
    // Method, path, body, status, and what is in the answer.
    let rows = [
        ("POST", "/v1/volumes", limits, 400, "takes none"),
        ("POST", "/v1/volumes", db, 200, "\"name\":\"db\""),
        ("POST", "/v1/volumes", db, 409, "choose another name"),
        ("PATCH", "/v1/volumes/db", r#"{"limits":{"write_iops":5}}"#, 400, "takes none"),
        ("POST", "/v1/volumes", r#"{"name":"x","size":1,"class":"pool"}"#, 400, "this release cannot"),
        ("POST", "/v1/volumes", r#"{"name":"x","size":1,"class":"mirror"}"#, 400, "this release cannot"),
        ("POST", "/v1/volumes", r#"{"name":"No","size":1}"#, 400, "no label"),
        ("POST", "/v1/volumes", r#"{"name":"x","size":0}"#, 400, "size"),
        ("POST", "/v1/volumes", r#"{"name":"x","size":1,"node":"nobody"}"#, 404, "no member"),
        ("POST", "/v1/volumes", r#"{"name":"x","size":1125899906842624}"#, 409, "bytes in all"),
        ("POST", "/v1/volumes", r#"{"name":"x","size":1,"node":"node-1"}"#, 200, "\"size\":4194304"),
        ("GET", "/v1/volumes/nobody", "", 404, "GET /v1/volumes"),
        ("GET", "/v1/volumes/..%2Fnodes", "", 404, "no volume"),
        ("GET", "/v1/volumes?class=tape", "", 400, "class"),
        ("PATCH", "/v1/volumes/db", r#"{"size":1}"#, 400, "never shrinks"),
        ("PATCH", "/v1/volumes/db", r#"{"name":"x"}"#, 400, "name"),
        ("POST", "/v1/volumes/db/attach", r#"{"node":"node-1","purpose":"machine m"}"#, 200, "\"token\":1"),
        ("POST", "/v1/volumes/db/attach", "", 200, "\"token\":1"),
        ("DELETE", "/v1/volumes/db", "", 409, "detach it first"),
        ("POST", "/v1/volumes/db/detach", r#"{"token":7}"#, 409, "7 was meant"),
        ("POST", "/v1/volumes/db/detach", r#"{"force":true}"#, 409, "signs of life"),
        ("POST", "/v1/volumes/db/detach", r#"{"token":1}"#, 200, "\"name\":\"db\""),
        ("POST", "/v1/volumes/db/snapshots", r#"{"name":"monday"}"#, 200, "\"name\":\"monday\""),
        ("POST", "/v1/volumes/db/snapshots", r#"{"name":"monday"}"#, 409, "already"),
        ("GET", "/v1/volumes/db/snapshots/friday", "", 404, "friday"),
        (
            "POST",
            "/v1/volumes/db/clone",
            r#"{"name":"copy","snapshot":"monday"}"#,
            200,
            "\"snapshot\":\"monday\"",
        ),
        ("POST", "/v1/volumes/db/clone", r#"{"name":"small","size":1}"#, 400, "never shrinks"),
        ("POST", "/v1/volumes/db/clone", r#"{"name":"other","snapshot":"friday"}"#, 404, "friday"),
    ];
    for (method, path, body, status, text) in rows {
        let reply = send(&rig, method, path, &[], body).await;
        assert_eq!(reply.status, status, "{method} {path} {body}: {}", reply.body);
        assert!(reply.body.contains(text), "{method} {path} {body}: {}", reply.body);
    }
    for name in ["db", "x", "copy"] {
        rig.until_ready(name).await;
    }
    // Whoever says which version he means changes that one or none.
    let db = send(&rig, "GET", "/v1/volumes/db", &[], "").await;
    let tag = format!("if-match: {}", db.header("etag").unwrap());
    let grow = format!("{{\"size\":{}}}", 2 * G);
    assert_eq!(send(&rig, "PATCH", "/v1/volumes/db", &[&tag], &grow).await.status, 200);
    assert_eq!(send(&rig, "PATCH", "/v1/volumes/db", &[&tag], &grow).await.status, 412);
    assert_eq!(send(&rig, "DELETE", "/v1/volumes/db", &[&tag], "").await.status, 412);
    assert_eq!(rig.until_ready("db").await.size, 2 * G);

    let page = send(&rig, "GET", "/v1/volumes?limit=2", &[], "").await;
    let names: Vec<String> = page.json::<Vec<Volume>>().into_iter().map(|v| v.name).collect();
    assert_eq!(names, ["copy", "db"]);
    assert!(page.header("link").unwrap().contains("after=db"), "{:?}", page.header("link"));
    let none: Vec<Volume> = send(&rig, "GET", "/v1/volumes?class=pool", &[], "").await.json();
    assert!(none.is_empty());
    let snapshots: Vec<Snapshot> = send(&rig, "GET", "/v1/volumes/db/snapshots", &[], "").await.json();
    assert_eq!(snapshots.len(), 1);
    let storage: Storage = send(&rig, "GET", "/v1/storage", &[], "").await.json();
    let local = &storage.classes[0];
    assert_eq!((local.available, local.volumes, local.worst), (true, 3, Some(HealthState::Whole)));
    assert_eq!((local.nodes[0].name.as_str(), local.promised), ("node-1", 3 * G + (4 << 20)));

    // Who only looks.
    let body = r#"{"name":"vera","role":"viewer","password":"vera password"}"#;
    assert_eq!(send(&rig, "POST", "/v1/users", &[], body).await.status, 200);
    let vera = basic("vera", "vera password");
    assert_eq!(ask(&rig.app, "GET", "/v1/volumes/db", &[&vera], "").await.status, 200);
    assert_eq!(ask(&rig.app, "DELETE", "/v1/volumes/db", &[&vera], "").await.status, 403);

    assert_eq!(send(&rig, "DELETE", "/v1/volumes/db", &[], "").await.kind(), "has-snapshots");
    assert_eq!(send(&rig, "DELETE", "/v1/volumes/db?snapshots=all", &[], "").await.status, 400);
    for path in ["/v1/volumes/db?snapshots=delete", "/v1/volumes/x", "/v1/volumes/copy"] {
        assert_eq!(send(&rig, "DELETE", path, &[], "").await.status, 200, "{path}");
    }
    for name in ["db", "x", "copy"] {
        rig.until(name, "gone", |volume| volume.is_none()).await;
    }
    assert_eq!(send(&rig, "DELETE", "/v1/volumes/db", &[], "").await.status, 404);
}
