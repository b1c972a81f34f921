//! Over HTTPS: versions, patches, who may, names that are taken.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use maekin_api::settings::NodeSettingsObject;
use serde_json::json;

use super::{key, member, patch};
use crate::app::App;
use crate::desired::store::{self, DesiredError};
use crate::record::Change;
use crate::record::keys::{self, under};
use crate::record::values::{NodeValue, RolesValue, SettingsValue, TicketValue};
use crate::testing::{EndEtcd, PASSWORD, Reply, ask, have_etcd, serve};

const PATH: &str = "/v1/nodes/node-1/settings";

fn basic(user: &str, password: &str) -> String {
    format!("authorization: Basic {}", STANDARD.encode(format!("{user}:{password}")))
}

async fn send(app: &App, method: &str, tag: Option<&str>, body: &str) -> Reply {
    let mut headers = vec![basic("admin", PASSWORD)];
    headers.extend(tag.map(|tag| format!("if-match: {tag}")));
    let headers: Vec<_> = headers.iter().map(String::as_str).collect();
    ask(app, method, PATH, &headers, body).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn api_settings_are_changed_by_version_and_by_who_may() {
    if !have_etcd("api_settings_are_changed_by_version_and_by_who_may") {
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let _end = EndEtcd(dir.path().to_owned());
    let (app, member) = member(dir.path()).await;
    serve(&app).await;
    let none = send(&app, "GET", None, "").await;
    let object: NodeSettingsObject = none.json();
    assert_eq!((object.generation, object.name.as_str(), none.header("etag")), (0, "node-1", None));

    let made = send(&app, "PUT", None, r#"{"ntp":["a.example"],"labels":{"rack":"r1"}}"#).await;
    assert_eq!(made.status, 200, "{}", made.body);
    let first = made.header("etag").unwrap();
    let object: NodeSettingsObject = made.json();
    assert_eq!((object.generation, object.changed_by.as_str()), (1, "admin"));

    // An update is never lost: whoever replaces says what he has read.
    let rows = [
        ("nothing said", "PUT", None, r#"{"ntp":["b.example"]}"#, 428, 1),
        ("the one that was read", "PUT", Some(first.as_str()), r#"{"ntp":["b.example"]}"#, 200, 2),
        ("the old one again", "PUT", Some(first.as_str()), r#"{"ntp":["c.example"]}"#, 412, 2),
        ("a patch of the old one", "PATCH", Some(first.as_str()), r#"{"ntp":["c.example"]}"#, 412, 2),
        ("a patch", "PATCH", None, r#"{"labels":{"row":"2"}}"#, 200, 3),
        ("the same again", "PATCH", None, r#"{"labels":{"row":"2"}}"#, 200, 3),
        ("back to as installed", "PATCH", None, r#"{"ntp":null}"#, 200, 4),
        ("whatever is there", "PUT", Some("*"), r#"{"labels":{"row":"2"}}"#, 200, 4),
        ("no setting", "PATCH", None, r#"{"hostnme":"x"}"#, 400, 4),
        ("no name", "PATCH", None, r#"{"hostname":"X Y"}"#, 400, 4),
        ("no object", "PUT", Some("*"), "[]", 400, 4),
        ("no tag", "PUT", Some("r1"), "{}", 400, 4),
    ];
    for (name, method, tag, body, status, generation) in rows {
        let reply = send(&app, method, tag, body).await;
        assert_eq!(reply.status, status, "{name}: {}", reply.body);
        let now: NodeSettingsObject = send(&app, "GET", None, "").await.json();
        assert_eq!(now.generation, generation, "{name}");
    }
    let now: NodeSettingsObject = send(&app, "GET", None, "").await.json();
    assert_eq!(serde_json::to_value(&now.spec).unwrap(), json!({"labels": {"row": "2"}}));

    let body = r#"{"name":"olaf","role":"operator","password":"olaf password"}"#;
    let admin = basic("admin", PASSWORD);
    assert_eq!(ask(&app, "POST", "/v1/users", &[&admin], body).await.status, 200);
    let olaf = basic("olaf", "olaf password");
    let keys = format!(r#"{{"ssh_keys":["{}"]}}"#, key("evil"));
    for (name, body, status) in [
        ("maintenance", r#"{"maintenance":{"reason":"fans"}}"#, 200),
        ("keys", keys.as_str(), 403),
        ("syslog", r#"{"syslog":{"server":"evil"}}"#, 403),
    ] {
        assert_eq!(ask(&app, "PATCH", PATH, &[&olaf], body).await.status, status, "{name}");
    }
    assert_eq!(ask(&app, "GET", "/v1/nodes/nobody/settings", &[&olaf], "").await.status, 404);
    let by_id = format!("/v1/nodes/{}/settings", app.node_id);
    let by_id: NodeSettingsObject = ask(&app, "GET", &by_id, &[&olaf], "").await.json();
    let all: Vec<NodeSettingsObject> = ask(&app, "GET", "/v1/settings", &[&olaf], "").await.json();
    assert_eq!((all.len(), &all[0]), (1, &by_id));
    names_are_taken_once(&app, &member).await;
    roles_come_and_go(&app, &member).await;
}

async fn names_are_taken_once(app: &App, member: &crate::app::Member) {
    let other = NodeValue { id: "b".into(), name: "node-2".into(), ..NodeValue::default() };
    let ticket = TicketValue {
        ticket: "t".into(),
        hostname: "node-3".into(),
        mac: "m".into(),
        ..TicketValue::default()
    };
    let wish = SettingsValue {
        spec: serde_json::from_value(json!({"hostname": "node-4"})).unwrap(),
        ..SettingsValue::default()
    };
    let change = Change::default()
        .put(&under(keys::NODES, "b"), &other)
        .and_then(|c| c.put(&under(keys::TICKETS, "t"), &ticket))
        .and_then(|c| c.put(&under(keys::NODE_SETTINGS, "b"), &wish));
    assert!(member.record.commit(change.unwrap()).await.unwrap());
    for (name, taken) in
        [("node-2", true), ("node-3", true), ("node-4", true), ("node-5", false), ("node-1", false)]
    {
        let set = patch(member, &app.node_id, json!({"hostname": name})).await;
        assert_eq!(matches!(set, Err(DesiredError::NameTaken(_))), taken, "{name}: {set:?}");
        assert_eq!(set.is_ok(), !taken, "{name}");
    }
    // Two that want one name at the same time: one gets it.
    let both = tokio::join!(
        patch(member, &app.node_id, json!({"hostname": "alpha"})),
        patch(member, "b", json!({"hostname": "alpha"})),
    );
    assert_eq!([both.0.is_ok(), both.1.is_ok()].iter().filter(|ok| **ok).count(), 1, "{both:?}");
}

async fn roles_come_and_go(app: &App, member: &crate::app::Member) {
    let key = under(keys::ROLES, &app.node_id);
    let before = RolesValue { roles: vec!["rack-1".into()] };
    assert!(member.record.commit(Change::default().put(&key, &before).unwrap()).await.unwrap());
    let rows = [
        (json!({"roles": ["rack-2"]}), Some(vec!["rack-2"])),
        (json!({"roles": ["rack-3", "compute"]}), Some(vec!["rack-3", "compute"])),
        (json!({"roles": []}), Some(vec![])),
        (json!({"roles": null}), Some(vec!["rack-1"])),
    ];
    for (change, want) in rows {
        patch(member, &app.node_id, change.clone()).await.unwrap();
        let roles = member.record.get::<RolesValue>(&key).await.unwrap().map(|found| found.value.roles);
        assert_eq!(roles, want.map(|all| all.into_iter().map(str::to_owned).collect()), "{change}");
    }
    let (object, _) = store::get(&member.record, &app.node_id).await.unwrap();
    assert_eq!(object.spec.roles, None);
}
