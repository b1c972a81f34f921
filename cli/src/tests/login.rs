//! Logging in and out: what is compared, what is kept, what a stranger is told.

use std::os::unix::fs::PermissionsExt;

use serde_json::{Value, json};

use super::flows::{agent, logged_in};
use super::{Bench, NOW};
use crate::context::Config;
use crate::fake::{Asked, Fake, Reply, TestCa, no_path, ok, problem};

/// An agent that gives tokens.
fn newer(asked: &Asked) -> Reply {
    let basic = asked.header("authorization") == "Basic YW5uYTpodW50ZXIy"; // anna:hunter2
    let bearer = asked.header("authorization") == "Bearer mk_t1_secret";
    match asked.line.as_str() {
        _ if !basic && !bearer => problem(401, "Who asks is not known", "the password is another one"),
        "POST /v1/tokens" => ok(&json!({"token": "mk_t1_secret", "id": "t1", "expires": NOW + 2_592_000})),
        "DELETE /v1/tokens/t1" => ok(&Value::Null),
        "GET /v1/whoami" => {
            ok(&json!({"name": "anna", "role": "operator", "means": "token", "node": "node-1"}))
        }
        _ => agent(asked),
    }
}

fn config(bench: &Bench) -> Config {
    Config::load(&bench.home.path().join(".config/maekin/config.toml")).unwrap()
}

#[test]
fn cli_a_login_compares_the_ca_and_keeps_a_token() {
    let ca = TestCa::new();
    let server = Fake::new(newer);
    let (bench, at) = (Bench::new(), server.tls(&ca));
    let ended = bench.run(&format!("login https://{at} --user anna"), &["y", "hunter2"]);
    assert_eq!(ended.code, 0, "{}", ended.err);
    let shown = ended.err.replace(' ', "");
    assert!(shown.contains(&ca.fingerprint()), "the fingerprint is shown: {}", ended.err);
    assert_eq!(ended.prompts, ["is it the same? [y/N] ", "password of anna: "]);
    let kept = config(&bench);
    let (name, context) = kept.pick(None).unwrap();
    assert_eq!(
        (name.as_str(), context.token.as_str(), context.user.as_str()),
        ("rack", "mk_t1_secret", "anna")
    );
    assert_eq!(context.endpoints, [format!("https://{at}"), "https://10.0.0.1:8443".to_owned()]);
    let file = bench.home.path().join(".config/maekin/config.toml");
    assert_eq!(std::fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o600);
    assert!(!std::fs::read_to_string(&file).unwrap().contains("hunter2"));
    let token = server.asked().into_iter().find(|asked| asked.line == "POST /v1/tokens").unwrap();
    assert_eq!(serde_json::from_str::<Value>(&token.body).unwrap(), json!({"name": "maekin", "days": 30}));

    // From now on nobody is asked anything.
    let mut bench = bench;
    bench.env.insert("MAEKIN_CONTEXT", "rack".to_owned());
    let ended = bench.run("whoami", &[]);
    assert_eq!((ended.code, ended.prompts.len()), (0, 0), "{}", ended.err);
    assert!(ended.out.contains("anna   operator   token   node-1"), "{}", ended.out);
    let ended = bench.run("context", &[]);
    assert!(ended.out.contains("in 30d") && !ended.out.contains("mk_t1"), "{}", ended.out);

    let ended = bench.run("logout", &[]);
    assert_eq!(ended.code, 0, "{}", ended.err);
    assert_eq!(server.lines().last().unwrap(), "DELETE /v1/tokens/t1");
    assert!(config(&bench).contexts.is_empty());
}

#[test]
fn cli_a_login_to_the_wrong_cluster_gives_no_password_away() {
    let (ca, other) = (TestCa::new(), TestCa::new());
    let server = Fake::new(newer);
    let at = server.tls(&ca);
    type Row = (&'static str, String, bool, &'static [&'static str], u8, &'static str);
    let rows: [Row; 5] = [
        (
            "another fingerprint",
            format!("login {at} --ca-sha256 {}", other.fingerprint()),
            true,
            &["hunter2"],
            4,
            "another cluster",
        ),
        ("the person says no", format!("login {at}"), true, &["n", "hunter2"], 130, "nothing was done"),
        ("nobody to compare", format!("login {at}"), false, &["hunter2"], 2, "--ca-sha256"),
        ("nobody there", "login 127.0.0.1:1".to_owned(), true, &["y", "hunter2"], 6, "does not answer"),
        ("no address", "login http://10.0.0.1".to_owned(), true, &[], 2, "not https"),
    ];
    for (name, line, person, typed, code, text) in rows {
        let mut bench = Bench::new();
        bench.person = person;
        let ended = bench.run(&line, typed);
        assert_eq!(ended.code, code, "{name}: {}", ended.err);
        assert!(ended.err.contains(text), "{name}: {}", ended.err);
        assert!(server.asked().is_empty(), "{name}: not a byte of a request went out");
        assert!(config(&bench).contexts.is_empty(), "{name}");
    }
}

#[test]
fn cli_a_login_without_a_person_takes_the_password_from_its_input() {
    let ca = TestCa::new();
    let server = Fake::new(newer);
    let at = server.tls(&ca);
    let fingerprint = ca.fingerprint().to_uppercase();
    let mut bench = Bench::new();
    bench.person = false;
    let ended = bench.run(&format!("login {at} --user anna --ca-sha256 {fingerprint}"), &["hunter2"]);
    assert_eq!(ended.code, 0, "{}", ended.err);
    let ended = bench.run(&format!("login {at} --user anna --ca-sha256 {fingerprint}"), &["wrong"]);
    assert_eq!(ended.code, 4, "{}", ended.err);
}

#[test]
fn cli_a_node_without_tokens_is_used_with_the_password() {
    let ca = TestCa::new();
    let server = Fake::new(|asked| if asked.line == "POST /v1/tokens" { no_path() } else { agent(asked) });
    let mut bench = Bench::new();
    let line = format!("login {} --ca-sha256 {}", server.tls(&ca), ca.fingerprint());
    let ended = bench.run(&line, &["hunter2"]);
    assert_eq!(ended.code, 0, "{}", ended.err);
    assert!(ended.err.contains("the password will be asked for each time"), "{}", ended.err);
    bench.env.insert("MAEKIN_CONTEXT", "rack".to_owned());
    let ended = bench.run("get machines -o name", &["hunter2"]);
    assert_eq!((ended.code, ended.out.as_str()), (0, "machines/123-456\n"), "{}", ended.err);
}

#[test]
fn cli_an_expired_token_says_how_to_go_on() {
    let ca = TestCa::new();
    let server = Fake::new(newer);
    let bench = logged_in(&ca, &[&server.tls(&ca)], "mk_t0_old");
    let ended = bench.run("get nodes", &[]);
    assert_eq!(ended.code, 4);
    assert!(ended.err.contains("remedy: log in: `maekin login`"), "{}", ended.err);
}

#[test]
fn cli_one_node_can_be_named() {
    let (ca, first, second) = (TestCa::new(), Fake::new(agent), Fake::new(agent));
    let (one, two) = (first.tls(&ca), second.tls(&ca));
    let bench = logged_in(&ca, &[&one], "t");
    let ended = bench.run(&format!("get machines -o name --node {two}"), &[]);
    assert_eq!((ended.code, first.asked().len(), second.asked().len()), (0, 0, 1), "{}", ended.err);
    let ended = bench.run("get machines --node node-9", &[]);
    assert_eq!(ended.code, 3, "{}", ended.err);
}
