//! Long work and maintenance, from a command line.

use std::sync::atomic::{AtomicUsize, Ordering};

use serde_json::{Value, json};

use super::flows::bench;
use crate::fake::{Asked, Reply, no_path, ok, problem};

fn task(state: &str, ended: Option<u64>, text: &str, remedy: &str) -> Value {
    let outcome = ended.map(|_| json!({"text": text, "remedy": remedy}));
    json!({"id": "t1", "kind": "drain", "subject": "node-2", "state": state, "progress": 40, "doing": "waits \u{1b}[2J",
           "owner": {"id": "x", "name": "node-1", "since": 1}, "by": "root", "request_id": "r", "created": super::NOW - 60,
           "ended": ended, "outcome": outcome, "steps": [], "taken_over": 0})
}

/// A task that ends at the second look.
fn agent(state: &'static str, remedy: &'static str) -> impl Fn(&Asked) -> Reply + Send + Sync {
    let looks = AtomicUsize::new(0);
    move |asked| match asked.line.as_str() {
        "POST /v1/tasks" => {
            let body = task("waiting", None, "", "").to_string();
            Reply::Whole(202, "location: /v1/tasks/t1\r\n".into(), body)
        }
        "GET /v1/tasks" => ok(&json!([task("running", None, "", "")])),
        "GET /v1/tasks/t1" => match looks.fetch_add(1, Ordering::SeqCst) {
            0 => ok(&task("running", None, "", "")),
            _ => ok(&task(state, Some(super::NOW), "it may be switched off", remedy)),
        },
        "GET /v1/tasks/t1/log" => {
            ok(&json!([{"number": 0, "at": super::NOW - 60, "node": "node-1", "text": "begun"}]))
        }
        "GET /v1/tasks/t1/log?after=0" => {
            ok(&json!([{"number": 1, "at": super::NOW, "node": "node-1", "text": "done\u{9b}"}]))
        }
        "GET /v1/watch?kinds=tasks" => {
            let other = r#"{"kind":"tasks","name":"t0","deleted":false,"revision":8}"#;
            let data = r#"{"kind":"tasks","name":"t1","deleted":false,"revision":9}"#;
            let head = "HTTP/1.1 200 X\r\ncontent-type: text/event-stream\r\nconnection: close\r\n\r\n";
            Reply::Bytes(
                format!("{head}event: change\ndata: {other}\n\nevent: change\ndata: {data}\n\n").into(),
            )
        }
        "POST /v1/tasks/t1/cancel" => ok(&task("running", None, "", "")),
        "PATCH /v1/nodes/node-2/settings" => ok(&json!({"name": "node-2"})),
        "POST /v1/tasks/t9/cancel" => problem(404, "There is no such thing", "there is no task t9"),
        _ => no_path(),
    }
}

const LOG: &str = "2026-11-20 22:00:40Z  node-1  begun\n2026-11-20 22:01:40Z  node-1  done\\u{9b}\n";

#[test]
fn cli_tasks_are_followed_to_their_end() {
    /// Command; how the task ends; code; output; what standard error has.
    type Row = (&'static str, &'static str, u8, &'static str, &'static str);
    let rows: [Row; 7] = [
        ("drain node-2 --wait", "succeeded", 0, LOG, ""),
        ("drain node-2 --wait", "failed", 1, LOG, "do something"),
        ("task log -f t1", "failed", 0, LOG, ""),
        ("task wait t1", "succeeded", 0, "succeeded: it may be switched off\n", ""),
        ("task wait t1", "lost", 1, "", "task t1 lost"),
        ("task cancel t1", "cancelled", 0, "task t1 is told to end\n", ""),
        ("task cancel t9", "cancelled", 3, "", "there is no task t9"),
    ];
    for (line, state, code, out, err) in rows {
        let (bench, _fake) = bench(agent(state, "do something"));
        let ended = bench.run(line, &[]);
        assert_eq!((ended.code, ended.out.as_str()), (code, out), "{line}, {state}: {}", ended.err);
        assert!(ended.err.contains(err), "{line}, {state}: {}", ended.err);
    }
}

#[test]
fn cli_tasks_are_made_with_what_was_said() {
    let rows = [
        ("drain node-2", json!({"kind": "drain", "node": "node-2"})),
        (
            "drain node-2 --reason fan --force",
            json!({"kind": "drain", "node": "node-2", "reason": "fan", "force": true}),
        ),
        ("task run backup", json!({"kind": "backup"})),
        (
            "task run power-cycle --machine 52:54:00:00:00:01",
            json!({"kind": "power-cycle", "machine": "52:54:00:00:00:01"}),
        ),
        (
            "task run compare-boot-drives --of node-2",
            json!({"kind": "compare-boot-drives", "node": "node-2"}),
        ),
        ("create task kind=backup", json!({"kind": "backup"})),
    ];
    for (line, want) in rows {
        let (bench, fake) = bench(agent("succeeded", ""));
        let ended = bench.run(line, &[]);
        assert_eq!(ended.code, 0, "{line}: {}", ended.err);
        let asked = fake.asked();
        let made = asked.iter().find(|asked| asked.line == "POST /v1/tasks").unwrap();
        assert_eq!(serde_json::from_str::<Value>(&made.body).unwrap(), want, "{line}");
    }
    let (bench, fake) = bench(agent("succeeded", ""));
    assert_eq!(bench.run("task run fly", &[]).code, 2);
    assert!(fake.asked().is_empty());
}

#[test]
fn cli_maintenance_is_a_setting_of_the_node() {
    let (bench, fake) = bench(agent("succeeded", ""));
    let ended = bench.run("maintenance on node-2 --reason fan", &[]);
    assert_eq!((ended.code, ended.out.as_str()), (0, "node-2 is in maintenance\n"), "{}", ended.err);
    let ended = bench.run("maintenance off node-2", &[]);
    assert_eq!((ended.code, ended.out.as_str()), (0, "node-2 is not in maintenance\n"), "{}", ended.err);
    let bodies: Vec<Value> =
        fake.asked().iter().map(|asked| serde_json::from_str(&asked.body).unwrap()).collect();
    assert_eq!(bodies, [json!({"maintenance": {"reason": "fan"}}), json!({"maintenance": null})]);
    let listed = bench.run("get tasks", &[]);
    assert_eq!(
        listed.out,
        "ID   KIND    SUBJECT   STATE     %    BY       AGE    WHAT\n\
         t1   drain   node-2    running   40   node-1   1m0s   waits \\x1b[2J\n",
        "{}",
        listed.err
    );
}
