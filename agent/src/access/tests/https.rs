//! Users, tokens and roles as somebody meets them over HTTPS, against a real record.

use std::sync::Arc;
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use maekin_api::access::{MadeToken, Role, User, WhoAmI};
use maekin_api::audit::AuditEvent;
use maekin_rootfs::node::ClusterIntent;

use crate::app::App;
use crate::audit;
use crate::http::routes::operations;
use crate::testing::{EndEtcd, PASSWORD, Reply, agent, ask, have_etcd, serve};

fn basic(user: &str, password: &str) -> String {
    format!("authorization: Basic {}", STANDARD.encode(format!("{user}:{password}")))
}

fn bearer(token: &str) -> String {
    format!("authorization: Bearer {token}")
}

/// A member whose audit log is kept.
async fn member(dir: &std::path::Path) -> Arc<App> {
    let app = agent(dir, 1, ClusterIntent::Create { name: "rack".into() });
    serve(&app).await;
    let joined = crate::membership::run(Arc::clone(&app));
    tokio::time::timeout(Duration::from_secs(60), joined).await.expect("a member in time");
    tokio::spawn(audit::keep(Arc::clone(&app), app.member().ok().unwrap()));
    app
}

async fn make_user(app: &App, name: &str, role: &str) -> Reply {
    let body = format!(r#"{{"name":"{name}","role":"{role}","password":"{name} password"}}"#);
    ask(app, "POST", "/v1/users", &[&basic("admin", PASSWORD)], &body).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn api_users_roles_and_tokens_over_https() {
    if !have_etcd("api_users_roles_and_tokens_over_https") {
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let _end = EndEtcd(dir.path().to_owned());
    let app = member(dir.path()).await;
    let admin = basic("admin", PASSWORD);
    for (name, role) in [("vera", "viewer"), ("olaf", "operator"), ("anna", "admin")] {
        let made = make_user(&app, name, role).await;
        assert_eq!(made.status, 200, "{name}: {}", made.body);
        assert!(!made.body.contains("argon2"), "no hash is told");
    }
    assert_eq!(make_user(&app, "vera", "viewer").await.kind(), "exists");
    assert_eq!(make_user(&app, "admin", "viewer").await.kind(), "bad-request", "it is the node file's");
    every_operation_takes_its_role(&app).await;
    passwords_change(&app).await;
    tokens_are_good_for_what_they_say(&app).await;
    the_last_admin_stays(&app, &admin).await;
    who_is_deleted_is_out_with_his_tokens(&app, &admin).await;
    guessers_are_locked_out(&app).await;
    it_is_all_written_down(&app, &admin).await;
}

async fn every_operation_takes_its_role(app: &App) {
    let askers = [
        ("nobody", None, None),
        ("vera", Some(basic("vera", "vera password")), Some(Role::Viewer)),
        ("olaf", Some(basic("olaf", "olaf password")), Some(Role::Operator)),
        ("anna", Some(basic("anna", "anna password")), Some(Role::Admin)),
    ];
    let mut count = 0;
    for op in operations() {
        let about = op.about;
        let path = about.path.split('/').map(|part| if part.starts_with('{') { "x" } else { part });
        let path = path.collect::<Vec<_>>().join("/");
        for (name, header, role) in &askers {
            let may = about.least.is_none() || about.least <= *role;
            if may && (about.method != axum::http::Method::GET || about.id == "watch") {
                continue; // it would be done, or would not end
            }
            let headers: Vec<&str> = header.iter().map(String::as_str).collect();
            let reply = ask(app, about.method.as_str(), &path, &headers, "").await;
            let want = match (may, role) {
                (true, _) => !matches!(reply.status, 401 | 403),
                (false, None) => reply.status == 401,
                (false, Some(_)) => reply.status == 403,
            };
            assert!(want, "{} {path} by {name}: {}", about.method, reply.status);
            count += 1;
        }
    }
    assert!(count > 100, "{count}");
}

async fn passwords_change(app: &App) {
    let (old, new) = (basic("vera", "vera password"), basic("vera", "a new password"));
    let rows = [
        ("wrong old one", r#"{"old":"x","new":"a new password"}"#, 403),
        ("too short", r#"{"old":"vera password","new":"short"}"#, 400),
        ("good", r#"{"old":"vera password","new":"a new password"}"#, 200),
    ];
    for (name, body, status) in rows {
        let reply = ask(app, "PUT", "/v1/whoami/password", &[&old], body).await;
        assert_eq!(reply.status, status, "{name}: {}", reply.body);
    }
    assert_eq!(ask(app, "GET", "/v1/whoami", &[&old], "").await.status, 401, "the old one is out");
    let who: WhoAmI = ask(app, "GET", "/v1/whoami", &[&new], "").await.json();
    assert_eq!((who.name.as_str(), who.role), ("vera", Role::Viewer));
    let body = r#"{"old":"right horse","new":"a new password"}"#;
    let own = ask(app, "PUT", "/v1/whoami/password", &[&basic("admin", PASSWORD)], body).await;
    assert_eq!(own.kind(), "no-password", "the node file's is elsewhere");
}

async fn tokens_are_good_for_what_they_say(app: &App) {
    let olaf = basic("olaf", "olaf password");
    let rows = [
        ("no such scope", r#"{"scopes":["secrets"]}"#, 400),
        ("more than himself", r#"{"role":"admin"}"#, 403),
        ("for ever", r#"{"days":0}"#, 400),
        ("unknown key", r#"{"forever":true}"#, 400),
    ];
    for (name, body, status) in rows {
        assert_eq!(ask(app, "POST", "/v1/tokens", &[&olaf], body).await.status, status, "{name}");
    }
    let body = r#"{"name":"backup","scopes":["power","access"]}"#;
    let made: MadeToken = ask(app, "POST", "/v1/tokens", &[&olaf], body).await.json();
    let token = bearer(made.token.expose());
    assert_eq!((made.about.role, made.about.user.as_str()), (Role::Operator, "olaf"));
    let who: WhoAmI = ask(app, "GET", "/v1/whoami", &[&token], "").await.json();
    assert_eq!((who.name.as_str(), who.token), ("olaf", Some(made.about.id.clone())));
    let listed = ask(app, "GET", "/v1/tokens", &[&token], "").await;
    assert!(listed.body.contains(&made.about.id) && !listed.body.contains(made.token.expose()));
    let rows = [
        ("in scope", "GET", "/v1/power", 200),
        ("not in scope", "GET", "/v1/cluster", 403),
        ("makes no others", "POST", "/v1/tokens", 403),
    ];
    for (name, method, path, status) in rows {
        assert_eq!(ask(app, method, path, &[&token], "{}").await.status, status, "{name}");
    }
    let path = format!("/v1/tokens/{}", made.about.id);
    let others = ask(app, "GET", &path, &[&basic("vera", "a new password")], "").await;
    assert_eq!(others.status, 404, "another's token is not there");
    assert_eq!(ask(app, "DELETE", &path, &[&olaf], "").await.status, 200);
    assert_eq!(ask(app, "GET", "/v1/whoami", &[&token], "").await.status, 401, "it ended at once");
}

async fn the_last_admin_stays(app: &App, admin: &str) {
    let read = async |name: &str| ask(app, "GET", &format!("/v1/users/{name}"), &[admin], "").await;
    let tag = |reply: &Reply| format!("if-match: {}", reply.header("etag").unwrap());
    assert_eq!(ask(app, "DELETE", "/v1/users/anna", &[admin], "").await.kind(), "last-admin");
    let stale = tag(&read("anna").await);
    let body = r#"{"role":"viewer"}"#;
    assert_eq!(ask(app, "PUT", "/v1/users/anna", &[admin], body).await.status, 428);
    assert_eq!(ask(app, "PUT", "/v1/users/anna", &[admin, &stale], body).await.kind(), "last-admin");
    let olaf = tag(&read("olaf").await);
    let promoted = ask(app, "PUT", "/v1/users/olaf", &[admin, &olaf], r#"{"role":"admin"}"#).await;
    assert_eq!(promoted.json::<User>().role, Role::Admin);
    assert_ne!(tag(&promoted), olaf, "the answer has the new tag");
    let lost = ask(app, "PUT", "/v1/users/olaf", &[admin, &olaf], r#"{"role":"viewer"}"#).await;
    assert_eq!(lost.status, 412, "who read it before does not undo it");
    assert_eq!(
        ask(app, "PUT", "/v1/users/anna", &[admin, &stale], body).await.status,
        200,
        "not the last now"
    );
    let page = ask(app, "GET", "/v1/users?limit=2", &[admin], "").await;
    assert_eq!(page.header("link").unwrap(), "</v1/users?after=olaf&limit=2>; rel=\"next\"");
    let rest = ask(app, "GET", "/v1/users?after=olaf&limit=2", &[admin], "").await;
    assert_eq!((rest.json::<Vec<User>>().len(), rest.header("link")), (1, None));
}

async fn who_is_deleted_is_out_with_his_tokens(app: &App, admin: &str) {
    let vera = basic("vera", "a new password");
    let made: MadeToken = ask(app, "POST", "/v1/tokens", &[&vera], "{}").await.json();
    let token = bearer(made.token.expose());
    assert_eq!(ask(app, "GET", "/v1/cluster", &[&token], "").await.status, 200);
    assert_eq!(ask(app, "DELETE", "/v1/users/vera", &[admin], "").await.status, 200);
    assert_eq!(ask(app, "GET", "/v1/cluster", &[&vera], "").await.status, 401);
    assert_eq!(make_user(app, "vera", "viewer").await.status, 200, "the name is free again");
    assert_eq!(ask(app, "GET", "/v1/cluster", &[&token], "").await.status, 401, "and is somebody else");
}

async fn guessers_are_locked_out(app: &App) {
    let guess = async || ask(app, "GET", "/v1/whoami", &[&basic("olaf", "a guess")], "").await.status;
    let mut statuses = Vec::new();
    for _ in 0..10 {
        statuses.push(guess().await);
    }
    assert!(statuses.contains(&429), "{statuses:?}");
    let forged = bearer("mk_0123456789ab_xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx");
    assert_eq!(ask(app, "GET", "/v1/whoami", &[&forged], "").await.status, 429, "not with tokens either");
    let right = ask(app, "GET", "/v1/whoami", &[&basic("olaf", "olaf password")], "").await;
    assert_eq!(right.status, 200, "a guesser does not lock him out of a session: {}", right.body);
}

async fn it_is_all_written_down(app: &App, admin: &str) {
    let done = async || {
        let events: Vec<AuditEvent> = ask(app, "GET", "/v1/audit?limit=1000", &[admin], "").await.json();
        let has = |kind: &str, text: &str| {
            let fits =
                |e: &&AuditEvent| e.kind == kind && format!("{} {} {}", e.operation, e.who, e.status) == text;
            events.iter().any(|event| fits(&event))
        };
        has("change", "createUser admin 200")
            && has("change", "changeOwnPassword vera 200")
            && has("change", "deleteUser admin 409")
            && has("forbidden", "setProvision olaf 403")
            && has("login-refused", " olaf 0")
            && events.iter().all(|e| !e.request_id.is_empty() && e.node == "node-1" && e.from == "127.0.0.1")
    };
    let seen = async {
        while !done().await {
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(20), seen).await.expect("the audit log has it");
}
