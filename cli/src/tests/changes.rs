//! What changes something, and what tells of changes.

use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use serde_json::{Value, json};

use super::flows::{agent, bench, cluster};
use crate::fake::{Asked, Reply, no_path, ok, problem};

/// Provision with a version, a user, a list.
fn stateful(asked: &Asked) -> Reply {
    let tagged = |value: Value| Reply::Whole(200, "etag: \"r17\"\r\n".into(), value.to_string());
    match (asked.line.as_str(), asked.header("if-match")) {
        ("GET /v1/provision", _) => {
            tagged(json!({"pool_start": "10.0.0.100", "pool_end": "10.0.0.199", "router": null}))
        }
        ("PUT /v1/provision", "\"r17\"") => ok(&Value::Null),
        ("PUT /v1/provision", _) => problem(412, "It was changed meanwhile", "it is r18 now"),
        ("GET /v1/approvals", _) => ok(&json!([{"mac": "m1"}])),
        ("GET /v1/users/anna", _) => problem(404, "There is no such thing", "no user anna"),
        ("POST /v1/users", _) => ok(&json!({"name": "anna", "role": "viewer"})),
        _ => no_path(),
    }
}

fn write(bench: &super::Bench, text: &str) -> String {
    let path = bench.home.path().join("file.yaml");
    std::fs::write(&path, text).unwrap();
    path.display().to_string()
}

#[test]
fn cli_apply_sends_what_differs_and_only_over_what_it_saw() {
    let (bench, fake) = bench(stateful);
    let same = "kind: provision\nspec:\n  pool_start: 10.0.0.100\n  pool_end: 10.0.0.199\n";
    let other = "kind: provision\nspec:\n  pool_start: 10.0.0.50\n  pool_end: 10.0.0.199\n";
    let file = write(&bench, same);
    let ended = bench.run(&format!("apply -f {file}"), &[]);
    assert_eq!((ended.code, ended.out.as_str()), (0, "provision unchanged\n"), "{}", ended.err);

    let file = write(&bench, &format!("{other}---\nkind: approvals\nspec: [{{mac: m1}}, {{mac: m2}}]\n"));
    let ended = bench.run(&format!("apply --dry-run -f {file}"), &[]);
    let want = "provision would change:\n  - pool_start: \"10.0.0.100\"\n  + pool_start: \"10.0.0.50\"\n\
                approvals would change:\n  + 1: {\"mac\":\"m2\"}\n";
    assert_eq!((ended.code, ended.out.as_str()), (0, want), "{}", ended.err);
    assert!(!fake.lines().iter().any(|line| line.starts_with("PUT")));

    let file = write(&bench, other);
    let ended = bench.run(&format!("apply -f {file}"), &[]);
    assert_eq!((ended.code, ended.out.as_str()), (0, "provision changed\n"), "{}", ended.err);
    assert_eq!(fake.asked().last().unwrap().header("if-match"), "\"r17\"");

    let ended = bench.run("apply provision -f -", &["{\"pool_start\": \"10.0.0.50\"}"]);
    assert_eq!((ended.code, ended.out.as_str()), (0, "provision changed\n"), "{}", ended.err);
    let ended = bench.run("apply user/anna -f -", &["password: hunter2hunter2\n"]);
    assert_eq!((ended.code, ended.out.as_str()), (0, "users/anna created\n"), "{}", ended.err);
    assert_eq!(fake.lines().last().unwrap(), "POST /v1/users");
}

#[test]
fn cli_apply_does_not_write_over_what_somebody_changed_meanwhile() {
    let (bench, _fake) = bench(|asked| match stateful(asked) {
        Reply::Whole(200, head, body) => Reply::Whole(200, head.replace("r17", "r16"), body),
        other => other,
    });
    let ended = bench.run("apply provision -f -", &["{\"pool_start\": \"10.0.0.50\"}"]);
    assert_eq!(ended.code, 5);
    assert!(ended.err.contains("read it again"), "{}", ended.err);
}

#[test]
fn cli_a_file_with_a_slip_changes_nothing() {
    let (bench, fake) = bench(stateful);
    let rows = [
        "kind: provision\nspec: {pool_start: 10.0.0.50}\n---\nkind: pods\nspec: {}\n",
        "kind: provision\nspec: {pool_start: 10.0.0.50}\n---\n{",
        "- 1\n",
        "",
    ];
    for text in rows {
        let file = write(&bench, text);
        let ended = bench.run(&format!("apply -f {file}"), &[]);
        assert_eq!((ended.code, fake.asked().len()), (2, 0), "{text}: {}", ended.err);
    }
    assert_eq!(bench.run("apply -f /nowhere/file", &[]).code, 2);
}

#[test]
fn cli_tokens_are_told_once_on_standard_output() {
    let (bench, fake) = bench(|asked| match asked.line.as_str() {
        "POST /v1/join-tokens" => ok(&json!({"token": "mjt1-abc", "info": {"id": "a1"}})),
        "POST /v1/users" => ok(&json!({"name": "anna", "role": "operator"})),
        _ => no_path(),
    });
    let ended = bench.run("create join-token uses=3", &[]);
    assert_eq!((ended.code, ended.out.as_str()), (0, "mjt1-abc\n"), "{}", ended.err);
    let body: Value = serde_json::from_str(&fake.asked()[0].body).unwrap();
    assert_eq!(body, json!({"minutes": 60, "uses": 3}));
    let ended = bench.run("create user anna role=operator", &["hunter2hunter2", "other"]);
    assert_eq!(ended.code, 2, "{}", ended.err);
    let ended = bench.run("create user anna role=operator", &["hunter2hunter2", "hunter2hunter2"]);
    assert_eq!((ended.code, ended.out.as_str()), (0, "users/anna created\n"), "{}", ended.err);
    let body: Value = serde_json::from_str(&fake.asked()[1].body).unwrap();
    assert_eq!(body, json!({"name": "anna", "role": "operator", "password": "hunter2hunter2"}));
    let ended = bench.run("create token laptop", &[]);
    assert_eq!(ended.code, 8, "{}", ended.err);
    assert!(ended.err.contains("does not know a new token"), "{}", ended.err);
}

#[test]
fn cli_watching_tells_changes_by_asking_again() {
    let times = AtomicUsize::new(0);
    let (bench, _fake) = bench(move |asked| match asked.line.as_str() {
        "GET /v1/installs" => {
            let n = times.fetch_add(1, Ordering::SeqCst);
            let one = json!({"ticket": "t1", "hostname": "node-7", "mac": "m", "progress": {"stage": if n < 2 { "booting" } else { "installed" }}});
            ok(&if n < 3 { json!([one]) } else { json!([]) })
        }
        _ => no_path(),
    });
    let ended = bench.run("watch installs --interval 0.01 --for 3", &[]);
    let words = |line: &str| line.split_whitespace().map(str::to_owned).collect::<Vec<_>>();
    let lines: Vec<Vec<String>> = ended.out.lines().map(words).collect();
    let want = [
        vec!["EVENT", "HOSTNAME", "MAC", "PROGRESS", "AGE"],
        vec!["is", "node-7", "m", "booting", "-"],
        vec!["changed", "node-7", "m", "installed", "-"],
        vec!["gone", "node-7", "m", "installed", "-"],
    ];
    assert_eq!(
        (ended.code, lines),
        (0, want.map(|line| line.iter().map(|w| (*w).to_owned()).collect()).to_vec()),
        "{}",
        ended.err
    );
}

#[test]
fn cli_watching_follows_the_servers_events() {
    let state = Mutex::new(0);
    let (bench, fake) = bench(move |asked| match asked.line.as_str() {
        "GET /v1/machines" => {
            let mut n = state.lock().unwrap();
            *n += 1;
            ok(&json!([{"code": "123-456", "mac": "m", "last_seen": *n}]))
        }
        "GET /v1/watch?kinds=machines" => {
            let body = "HTTP/1.1 200 X\r\ncontent-type: text/event-stream\r\nconnection: close\r\n\r\n: hello\n\nevent: machines\ndata: {}\n\n";
            Reply::Bytes(body.into())
        }
        _ => no_path(),
    });
    let ended = bench.run("watch machines -o name --interval 60 --for 1", &[]);
    assert_eq!(
        (ended.code, ended.out.as_str()),
        (0, "is machines/123-456\nchanged machines/123-456\n"),
        "{}",
        ended.err
    );
    assert!(fake.lines().len() >= 3, "{:?}", fake.lines());
}

#[test]
fn cli_a_change_of_the_ca_is_followed() {
    let state = Mutex::new(0);
    let (bench, fake) = bench(move |asked| match asked.line.as_str() {
        "GET /v1/cluster" => {
            let mut n = state.lock().unwrap();
            // The page reads it twice: for its members, too.
            let phase = ["trust", "trust", "issue", "drop"][*n];
            *n = (*n + 1).min(3);
            let mut cluster = cluster();
            cluster["ca_change"] = json!({"phase": phase, "since": super::NOW - 90, "new_sha256": "cd", "waits_for": ["node-1"]});
            ok(&cluster)
        }
        line if line.starts_with("GET /v1/watch?kinds=") && line.contains("ca-change") => {
            let body = "HTTP/1.1 200 X\r\ncontent-type: text/event-stream\r\nconnection: close\r\n\r\n: hello\n\nevent: change\ndata: {}\n\n";
            Reply::Bytes(body.into())
        }
        _ => agent(asked),
    });
    let page = bench.run("status", &[]).out;
    let line = page.lines().find(|line| line.starts_with("CA ")).unwrap_or_default();
    assert_eq!(line, "CA        members trust a new one; waits for node-1, for 1m30s", "{page}");
    let ended = bench.run("watch cluster -o wide --interval 60 --for 1", &[]);
    assert_eq!(ended.code, 0, "{}", ended.err);
    for phase in ["members get certificates of the new one", "the old one goes"] {
        assert!(ended.out.contains(phase), "{phase}: {}", ended.out);
    }
    assert!(
        fake.lines().iter().any(|line| line.contains("kinds=cluster,ca-change,nodes")),
        "{:?}",
        fake.lines()
    );
}

#[test]
fn cli_daily_verbs_are_requests_of_the_api() {
    let (bench, fake) = bench(|asked| match asked.line.as_str() {
        "POST /v1/machines/123-456/approve" => {
            ok(&json!({"mac": "m1", "hostname": "node-7", "ticket": "t1"}))
        }
        "POST /v1/machines/123-456/deny" => ok(&json!({"mac": "m1"})),
        "POST /v1/nodes/node-7/reinstall" | "POST /v1/nodes/node-7/reinstall?force=true" => {
            ok(&json!({"name": "node-7", "id": "x", "until": super::NOW + 3600}))
        }
        "POST /v1/machines/52:54:00:00:00:01/power" => ok(&json!({"power": "on", "outcome": "it is on"})),
        "POST /v1/machines/52:54:00:00:00:02/power" => {
            problem(504, "The management controller does not answer", "10.0.0.9")
        }
        "POST /v1/pairings" => ok(
            &json!({"code": "321-654", "side": "member", "name": "node-9", "address": "10.0.0.9:8443", "approved": false, "at": super::NOW - 5}),
        ),
        "POST /v1/pairings/321-654/approve" => ok(&Value::Null),
        "POST /v1/install-window" => ok(&json!({"open": true, "until": super::NOW + 600, "left": 2})),
        _ => agent(asked),
    });
    type Row = (&'static str, &'static [&'static str], u8, &'static str, &'static str, Value);
    let rows: [Row; 11] = [
        (
            "reinstall node-7 --force",
            &["y"],
            0,
            "node-7 is installed anew when it next boots from the network, within 1h0m, and only if it is off now\n",
            "POST /v1/nodes/node-7/reinstall?force=true",
            Value::Null,
        ),
        (
            "pair begin node-9",
            &[],
            0,
            "CODE      SIDE     NAME     ADDRESS         APPROVED   AGE\n321-654   member   node-9   10.0.0.9:8443   no         5s\n",
            "POST /v1/pairings",
            json!({"node": "node-9"}),
        ),
        (
            "pair begin 10.0.0.9:8443",
            &[],
            0,
            "CODE      SIDE     NAME     ADDRESS         APPROVED   AGE\n321-654   member   node-9   10.0.0.9:8443   no         5s\n",
            "POST /v1/pairings",
            json!({"address": "10.0.0.9:8443"}),
        ),
        (
            "pair approve 321-654",
            &[],
            0,
            "321-654 is let in, once the node's console says yes too\n",
            "POST /v1/pairings/321-654/approve",
            Value::Null,
        ),
        (
            "approve 123-456 --hostname n{n} --role a --role b",
            &[],
            0,
            "m1 is let in as node-7, ticket t1\n",
            "POST /v1/machines/123-456/approve",
            json!({"hostname": "n{n}", "roles": ["a", "b"], "disks": {"mirror": [], "consent": []}, "minutes": 0}),
        ),
        (
            "deny 123-456 --reason no",
            &[],
            0,
            "m1 is told no\n",
            "POST /v1/machines/123-456/deny",
            json!({"reason": "no", "minutes": 0}),
        ),
        (
            "reinstall node-7",
            &["y"],
            0,
            "node-7 is installed anew when it next boots from the network, within 1h0m, and only if it is off now\n",
            "POST /v1/nodes/node-7/reinstall",
            Value::Null,
        ),
        (
            "window open --minutes 10 --count 2",
            &[],
            0,
            "OPEN   UNTIL    LEFT\nyes    in 10m   2\n",
            "POST /v1/install-window",
            json!({"minutes": 10, "count": 2}),
        ),
        (
            "power status 52:54:00:00:00:01",
            &[],
            0,
            "52:54:00:00:00:01   on      it is on\n",
            "POST /v1/machines/52:54:00:00:00:01/power",
            json!({"action": "status", "force": false}),
        ),
        (
            "power off 123-456 --yes --force",
            &[],
            0,
            "52:54:00:00:00:01   on      it is on\n",
            "POST /v1/machines/52:54:00:00:00:01/power",
            json!({"action": "off", "force": true}),
        ),
        (
            "power cycle 52:54:00:00:00:02 52:54:00:00:00:01",
            &["y"],
            7,
            "52:54:00:00:00:01   on      it is on\n",
            "POST /v1/machines/52:54:00:00:00:01/power",
            json!({"action": "cycle", "force": false}),
        ),
    ];
    for (line, typed, code, out, asked, body) in rows {
        let ended = bench.run(line, typed);
        assert_eq!((ended.code, ended.out.as_str()), (code, out), "{line}: {}", ended.err);
        let last = fake.asked().pop().unwrap();
        assert_eq!(last.line, asked, "{line}");
        assert_eq!(serde_json::from_str::<Value>(&last.body).unwrap(), body, "{line}");
    }
    let before = fake.asked().len();
    assert_eq!(bench.run("power off 52:54:00:00:00:01", &["n"]).code, 130);
    assert_eq!(fake.asked().len(), before, "no is no");
}

#[test]
fn cli_commands_can_be_given_to_the_shell_in_a_file() {
    let (mut bench, fake) = bench(agent);
    bench.person = false;
    let ended =
        bench.run("shell", &["# a comment\nget machines -o name\n\nget cluster -o name\nexit\nget nodes\n"]);
    assert_eq!((ended.code, ended.out.as_str()), (0, "machines/123-456\ncluster/rack\n"), "{}", ended.err);
    assert!(!fake.lines().contains(&"GET /v1/nodes".to_owned()));
    let ended = bench.run("shell", &["get machine nobody\nget cluster\n"]);
    assert_eq!((ended.code, ended.out.as_str()), (3, ""), "{}", ended.err);
}

#[test]
fn cli_names_are_completed_from_the_cluster() {
    let (bench, _fake) = bench(agent);
    assert_eq!(bench.run("complete -- describe machine 1", &[]).out, "123-456\n");
    // A name with an escape character is not offered: it could not be typed, and must not be printed.
    assert_eq!(bench.run("complete -- get nodes node", &[]).out, "node-1\n");
    let ended = super::Bench::new().run("complete --socket /nowhere -- get machines 1", &[]);
    assert_eq!((ended.code, ended.out.as_str(), ended.err.as_str()), (0, "", ""));
    assert!(bench.run("completion bash", &[]).out.contains("complete -F _maekin maekin"));
    assert!(bench.run("explain join-token", &[]).out.contains("how many nodes it lets in"));
    assert!(bench.run("resources", &[]).out.contains("machines that asked to boot"));
    assert_eq!(bench.run("raw get /v1/machines", &[]).code, 0);
    assert_eq!(bench.run("raw get v1", &[]).code, 2);
}
