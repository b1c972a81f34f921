//! Volumes and storage, from a command line.

use std::sync::atomic::{AtomicUsize, Ordering};

use serde_json::{Value, json};

use super::flows::bench;
use crate::fake::{Asked, Reply, no_path, ok, problem};

fn volume(ready: bool) -> Value {
    let status = if ready { "True" } else { "Unknown" };
    json!({"name": "db", "id": "1", "class": "local", "size": 21_474_836_480_u64, "used": 1_073_741_824,
           "nodes": [{"id": "a", "name": "node-1"}], "snapshots": [], "attachment": null,
           "limits": {"read_iops": 500}, "generation": 2, "observed_generation": 2,
           "health": {"state": "whole", "text": "whole \u{1b}[2J"}, "created": super::NOW - 60,
           "conditions": [{"type": "Ready", "status": status, "reason": "Working", "message": "soon"}]})
}

/// A volume that is ready at the second look.
fn agent() -> impl Fn(&Asked) -> Reply + Send + Sync {
    let looks = AtomicUsize::new(0);
    move |asked| match asked.line.as_str() {
        "GET /v1/nodes" => ok(&json!([{"name": "node-2", "id": "b"}])),
        "DELETE /v1/nodes/node-2" => problem(409, "The member cannot be removed now", "node-2 has 1 volume"),
        "DELETE /v1/nodes/node-2?force=true" => ok(&Value::Null),
        "GET /v1/volumes" => ok(&json!([volume(true)])),
        "GET /v1/volumes/db" => ok(&volume(looks.fetch_add(1, Ordering::SeqCst) > 0)),
        "POST /v1/volumes"
        | "PATCH /v1/volumes/db"
        | "POST /v1/volumes/db/clone"
        | "POST /v1/volumes/db/attach" => ok(&volume(false)),
        "POST /v1/volumes/db/detach" => ok(&volume(true)),
        "POST /v1/volumes/db/snapshots" => ok(&json!({"name": "monday", "state": "pending"})),
        "GET /v1/volumes/db/snapshots" => ok(
            &json!([{"name": "monday", "state": "ready", "size": 4096, "taken": super::NOW - 90, "created_by": "eva"}]),
        ),
        "GET /v1/volumes/db/snapshots/monday" => ok(&json!({"name": "monday", "state": "ready"})),
        "DELETE /v1/volumes/db" => problem(409, "The volume has snapshots", "volume db has 1 snapshots"),
        "DELETE /v1/volumes/db?snapshots=delete" | "DELETE /v1/volumes/db/snapshots/monday" => {
            ok(&Value::Null)
        }
        "GET /v1/storage" => ok(&json!({
            "classes": [
                {"class": "local", "available": true, "why": "", "capacity": 1_073_741_824, "used": 0, "promised": 0,
                 "volumes": 0, "worst": null, "nodes": [
                    {"name": "node-1", "pool": {"state": "ready", "size": 1}, "mode": "writable", "capacity": 1_073_741_824,
                     "used_share": 8123, "metadata_share": 150, "volumes": 3, "promised": 4096, "told": super::NOW - 5,
                     "copies": {"wanted": 2, "have": 1, "rebuilding": false}}]},
                {"class": "pool", "available": false, "why": "not yet", "nodes": []}],
            "alarms": [{"node": "node-1", "severity": "warning", "what": "81.23% full\u{7}"}]})),
        _ => no_path(),
    }
}

#[test]
fn cli_volumes_are_made_with_what_was_said() {
    let merge = "application/merge-patch+json";
    let rows = [
        (
            "volume create db --size 20G --class local",
            "POST /v1/volumes",
            json!({"name": "db", "size": 21_474_836_480_u64, "class": "local"}),
        ),
        (
            "volume create db --size 1G --on node-2 --iops 500 --write-iops 100 --read-bandwidth 10M",
            "POST /v1/volumes",
            json!({"name": "db", "size": 1_073_741_824, "class": "local", "node": "node-2",
                   "limits": {"read_iops": 500, "write_iops": 100, "read_bandwidth": 10_485_760}}),
        ),
        (
            "create volume db size=2G",
            "POST /v1/volumes",
            json!({"name": "db", "size": 2_147_483_648_u64, "class": "local"}),
        ),
        ("volume grow db --size 2G", "PATCH /v1/volumes/db", json!({"size": 2_147_483_648_u64})),
        (
            "volume limit db --read-iops 7 --none",
            "PATCH /v1/volumes/db",
            json!({"limits": {"read_iops": 7, "write_iops": null, "read_bandwidth": null, "write_bandwidth": null}}),
        ),
        ("volume snapshot db monday", "POST /v1/volumes/db/snapshots", json!({"name": "monday"})),
        (
            "volume clone db copy --snapshot monday --size 3G",
            "POST /v1/volumes/db/clone",
            json!({"name": "copy", "snapshot": "monday", "size": 3_221_225_472_u64}),
        ),
        (
            "volume attach db --on node-1 --purpose test",
            "POST /v1/volumes/db/attach",
            json!({"node": "node-1", "purpose": "test"}),
        ),
        ("volume detach db --force", "POST /v1/volumes/db/detach", json!({"force": true})),
    ];
    for (line, request, body) in rows {
        let (bench, fake) = bench(agent());
        let ended = bench.run(line, &[]);
        assert_eq!(ended.code, 0, "{line}: {}", ended.err);
        let asked = fake.asked();
        let found =
            asked.iter().find(|asked| asked.line == request).unwrap_or_else(|| panic!("{line}: {asked:?}"));
        assert_eq!(serde_json::from_str::<Value>(&found.body).unwrap(), body, "{line}");
        if request.starts_with("PATCH") {
            assert_eq!(found.header("content-type"), merge, "{line}");
        }
    }
}

#[test]
fn cli_volumes_are_shown_waited_for_and_deleted() {
    /// Command; answers; code; what the output has; what standard error has.
    type Row = (&'static str, &'static [&'static str], u8, &'static [&'static str], &'static str);
    let rows: [Row; 14] = [
        ("delete node node-2 --yes", &[], 5, &[], "node-2 has 1 volume"),
        ("delete node node-2 --yes --force", &[], 0, &["nodes/node-2 deleted"], ""),
        ("delete user eva --yes --force", &[], 2, &[], "--force is for nodes"),
        ("volume get", &[], 0, &["NAME", "db", "20 GiB", "1 GiB", "node-1", "whole"], ""),
        ("get volumes -o wide", &[], 0, &["500 reads/s", "\\x1b[2J"], ""),
        ("volume create db --size 1G --wait", &[], 0, &["volumes/db is there\n"], ""),
        ("volume detach db --wait", &[], 0, &["volumes/db is free\n"], ""),
        ("volume snapshot db", &[], 0, &["monday", "ready", "4 KiB", "1m30s", "eva"], ""),
        ("volume snapshot db monday --wait", &[], 0, &["snapshot monday of db is there\n"], ""),
        ("volume snapshot db monday --delete", &[], 0, &["deleted"], ""),
        ("volume delete db --yes", &[], 5, &[], "has 1 snapshots"),
        ("volume delete db --snapshots --yes", &[], 0, &["volumes/db deleted"], ""),
        ("volume limit db", &[], 2, &[], "no limit was said"),
        ("storage", &[], 0, &["local", "not yet", "node-1", "writable", "81%", "1 of 2", "81.23% full"], ""),
    ];
    for (line, typed, code, out, err) in rows {
        let (bench, _fake) = bench(agent());
        let ended = bench.run(line, typed);
        assert_eq!(ended.code, code, "{line}: {} {}", ended.out, ended.err);
        for text in out {
            assert!(ended.out.contains(text), "{line}: `{text}` is not in\n{}", ended.out);
        }
        assert!(ended.err.contains(err), "{line}: {}", ended.err);
        assert!(!ended.out.contains(['\u{1b}', '\u{7}']), "{line}: it reaches the terminal");
    }
    let (bench, _fake) = bench(agent());
    assert_eq!(bench.run("volume create db --size many", &[]).code, 2);
}
