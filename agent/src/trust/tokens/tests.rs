//! Join tokens among real agents, against a real etcd.

use std::fs;
use std::sync::Arc;

use maekin_api::join::JoinReply;
use maekin_api::trust::token::parse_token;
use maekin_api::trust::{JoinWith, TokenState};
use maekin_api::{JOIN, JOIN_TOKEN, JOIN_TOKENS, NODE, NODE_JOIN};
use maekin_host::pin;
use maekin_rootfs::node::ClusterIntent;

use super::*;
use crate::app::App;
use crate::clock::now;
use crate::http::client::Target;
use crate::testing::{EndEtcd, agent, become_member, have_etcd, restarted, serve};

#[test]
fn join_bounds_of_tokens_are_kept() {
    let new = |uses, minutes, note: &str| NewToken { uses, minutes, note: note.into() };
    let rows = [
        ("least", new(1, 1, ""), ""),
        ("most", new(MOST_USES, MOST_MINUTES, "rack 3"), ""),
        ("nobody", new(0, 1, ""), "uses: 0"),
        ("too many", new(MOST_USES + 1, 1, ""), "uses: 501"),
        ("no time", new(1, 0, ""), "minutes: 0"),
        ("for ever", new(1, u32::MAX, ""), "minutes: 4294967295"),
        ("a long note", new(1, 1, &"x".repeat(121)), "note: "),
        ("a note with an escape", new(1, 1, "a\u{1b}[2J"), "note: "),
    ];
    for (name, new, want) in rows {
        let got = check(&new).map_err(|e| e.to_string());
        assert_eq!(got.is_ok(), want.is_empty(), "{name}: {got:?}");
        assert!(got.err().unwrap_or_default().contains(want), "{name}");
    }
}

async fn make(own: &Target, uses: u32) -> MadeToken {
    own.post(JOIN_TOKENS, &NewToken { uses, minutes: 5, note: "test".into() }).await.unwrap()
}

/// What `app` would send with a token's text.
fn request(app: &App, text: &str) -> JoinRequest {
    let mut request = JoinRequest {
        secret: String::new(),
        csr: app.key.request().unwrap(),
        node_id: app.node_id.clone(),
        name: app.config.hostname.clone(),
        addresses: vec!["127.0.0.1".into()],
        machine: String::new(),
        token: None,
    };
    request.token = proof::prove(&parse_token(text).unwrap(), &request);
    request
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn join_by_token_counts_expires_and_is_refused_to_others() {
    if !have_etcd("join_by_token_counts_expires_and_is_refused_to_others") {
        return;
    }
    let dirs = [(); 5].map(|()| tempfile::tempdir().unwrap());
    let _end = EndEtcd(dirs[0].path().to_owned());
    let first = agent(dirs[0].path(), 1, ClusterIntent::Create { name: "rack".into() });
    serve(&first).await;
    let member = become_member(&first).await;
    let own = Target::Socket(first.settings.socket());
    let made = make(&own, 2).await;
    let text = made.token.expose().to_owned();
    let token = parse_token(&text).unwrap();
    assert_eq!(token.ca_sha256, member.cluster.ca_sha256);

    // One is told by its answer file, the other is given the token while it runs.
    let by_file = ClusterIntent::Join {
        masters: token.urls(),
        ca_sha256: token.ca_sha256.clone(),
        secret: text.clone(),
    };
    let second = agent(dirs[1].path(), 2, by_file);
    serve(&second).await;
    become_member(&second).await;
    assert!(!fs::read_to_string(second.settings.node_file()).unwrap().contains(&text), "it is erased");
    let third = agent(dirs[2].path(), 3, ClusterIntent::Wait);
    serve(&third).await;
    given_while_it_runs(&third, &text).await;

    let tokens: Vec<TokenInfo> = own.get(JOIN_TOKENS).await.unwrap();
    let names: Vec<_> = tokens[0].used.iter().map(|used| used.name.as_str()).collect();
    assert_eq!((names, tokens[0].state), (vec!["node-2", "node-3"], TokenState::Used));
    let kept = member.record.get::<serde_json::Value>(&under(keys::JOIN_TOKENS, &token.id)).await.unwrap();
    let kept = kept.unwrap().value.to_string();
    let secret = maekin_image::manifest::hex(&token.secret);
    assert!(!kept.contains(&text) && !kept.contains(&secret), "the record has a digest only: {kept}");

    let master = |ca: &str| {
        let tls = Arc::new(pin::client_config(ca).unwrap());
        Target::Tls(format!("127.0.0.1:{}", first.settings.port), tls)
    };
    let other = agent(dirs[3].path(), 4, ClusterIntent::Wait);
    let ask = async |request: &JoinRequest| {
        let answer = master(&token.ca_sha256).post::<JoinReply>(JOIN, request).await;
        answer.map(drop).map_err(|e| e.to_string())
    };
    assert_eq!(ask(&request(&third, &text)).await, Ok(()), "the same node may ask again");
    let recorded = request(&second, &text);
    let one = make(&own, 1).await;
    let gone = make(&own, 1).await;
    own.delete::<()>(&JOIN_TOKEN.replace("{id}", &gone.info.id)).await.unwrap();
    let late = make(&own, 1).await;
    expire(&member.record, &late.info.id).await;
    let stolen = JoinRequest { token: recorded.token.clone(), ..request(&other, one.token.expose()) };
    let impostor = JoinRequest { node_id: first.node_id.clone(), ..request(&other, one.token.expose()) };
    let impostor =
        JoinRequest { token: proof::prove(&parse_token(one.token.expose()).unwrap(), &impostor), ..impostor };
    let mut invented = token.clone();
    invented.secret = [9; 16];
    let rows = [
        ("a token that is used up", request(&other, &text), "as many nodes as it is for"),
        ("a recorded proof with another key", stolen, "does not prove"),
        ("an expired one", request(&other, late.token.expose()), "has expired"),
        ("one that was taken back", request(&other, gone.token.expose()), "was taken back"),
        ("a secret that was guessed", request(&other, &invented.render().unwrap()), "does not prove"),
        ("a member's id", impostor, "another key"),
        (
            "no proof at all",
            JoinRequest { token: None, ..request(&other, &text) },
            "not one of this cluster's",
        ),
    ];
    for (name, request, want) in &rows {
        let refused = ask(request).await.expect_err(name);
        assert!(refused.contains(want), "{name}: {refused}");
    }
    let written = crate::audit::waiting(&first);
    for (name, _, want) in &rows {
        let found =
            written.iter().any(|e| e.kind == "join-refused" && e.text.contains(want) && !e.from.is_empty());
        assert!(found, "{name}: in the audit log: {written:#?}");
    }
    assert_eq!(
        ask(&recorded).await,
        Ok(()),
        "a replay gives the node's own key a certificate again, and nobody else"
    );
    at_once(&own, &dirs[4], ask).await;
}

async fn given_while_it_runs(third: &Arc<App>, text: &str) {
    let own = Target::Socket(third.settings.socket());
    let waits = tokio::spawn(crate::membership::run(Arc::clone(third)));
    let waiting = async {
        while !serde_json::to_string(&own.get::<serde_json::Value>(NODE).await.unwrap()["membership"])
            .unwrap()
            .contains("waiting to be let into a cluster")
        {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(std::time::Duration::from_secs(30), waiting).await.expect("it says that it waits");
    let bad = own.post::<()>(NODE_JOIN, &JoinWith { token: text.replace('a', "b").into() }).await;
    let bad = bad.expect_err("mistyped").to_string();
    assert!(bad.contains("group"), "{bad}");
    own.post::<()>(NODE_JOIN, &JoinWith { token: text.to_owned().into() }).await.unwrap();
    tokio::time::timeout(std::time::Duration::from_secs(60), waits).await.expect("joins in time").unwrap();
    assert!(third.member().is_ok());
    assert!(!third.settings.state.join("join.json").exists(), "the token is erased");
    let again = own.post::<()>(NODE_JOIN, &JoinWith { token: text.to_owned().into() }).await;
    assert!(again.expect_err("a member").to_string().contains("a member already"));
    become_member(&restarted(third)).await;
}

async fn expire(record: &Record, id: &str) {
    let key = under(keys::JOIN_TOKENS, id);
    let mut value = record.get::<TokenValue>(&key).await.unwrap().unwrap().value;
    value.expires = now() - 1;
    assert!(record.commit(Change::default().put(&key, &value).unwrap()).await.unwrap());
}

/// Six nodes ask with a token for three at the same time.
async fn at_once(
    own: &Target,
    dir: &tempfile::TempDir,
    ask: impl AsyncFn(&JoinRequest) -> Result<(), String>,
) {
    let made = make(own, 3).await;
    let apps: Vec<_> =
        (10..16_u128).map(|n| agent(&dir.path().join(n.to_string()), n, ClusterIntent::Wait)).collect();
    let requests: Vec<_> = apps.iter().map(|app| request(app, made.token.expose())).collect();
    let (a, b, c, d, e, f) = tokio::join!(
        ask(&requests[0]),
        ask(&requests[1]),
        ask(&requests[2]),
        ask(&requests[3]),
        ask(&requests[4]),
        ask(&requests[5]),
    );
    let answers = [a, b, c, d, e, f];
    assert_eq!(answers.iter().filter(|answer| answer.is_ok()).count(), 3, "{answers:?}");
}
