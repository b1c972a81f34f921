//! Drives, from a command line.

use serde_json::{Value, json};

use super::NOW;
use super::flows::bench;
use crate::fake::{Asked, Reply, no_path, ok, problem};

fn drive(id: &str, state: &str, content: &Value) -> Value {
    json!({"id": id, "node": "node-2", "device": "/dev/sdb", "serial": "S3Y9", "model": "Disk \u{1b}[2J", "size": 1_u64 << 40,
           "state": state, "use": {"by": "foreign"}, "since": NOW - 60, "why": "it holds ZFS", "content": content,
           "health": {"verdict": "well", "reason": ""}, "slot": {"bay": "Slot 04", "path": "pci-1"}})
}

fn agent(asked: &Asked) -> Reply {
    let zfs = json!({"what": ["member of the ZFS pool \"tank\""], "token": "0123-4567-89ab-cdef"});
    match asked.line.as_str() {
        "GET /v1/drives" => ok(&json!([drive("wwn-5000", "waiting-for-consent", &zfs)])),
        "GET /v1/drives/S3Y9" | "GET /v1/drives/wwn-5000" => {
            ok(&drive("wwn-5000", "waiting-for-consent", &zfs))
        }
        "GET /v1/drives/sn-b" => ok(&drive("sn-b", "retired", &json!({}))),
        "POST /v1/drives/wwn-5000/take" => ok(&drive("wwn-5000", "waiting-for-consent", &zfs)),
        "POST /v1/drives/sn-b/take" => ok(&drive("sn-b", "retired", &json!({}))),
        "POST /v1/drives/S3Y9/locate" => ok(
            &json!({"id": "wwn-5000", "node": "node-2", "on": true, "slot": {"bay": "Slot 04", "path": ""}}),
        ),
        "POST /v1/drives/sn-b/locate" => {
            problem(409, "The light of the drive's bay cannot be switched", "no enclosure")
        }
        "POST /v1/drives/S3Y9/retire" => ok(
            &json!({"id": "t1", "kind": "retire-drive", "subject": "wwn-5000", "state": "waiting", "progress": 0,
                       "doing": "waits", "by": "root", "created": NOW, "steps": []}),
        ),
        "GET /v1/storage/policy" => ok(&json!({"drives": "ask", "nodes": {"node-1": "never"}})),
        _ => no_path(),
    }
}

#[test]
fn drives_are_listed_with_their_state() {
    let (bench, _fake) = bench(agent);
    let listed = bench.run("get drives", &[]);
    assert_eq!(
        listed.out,
        "ID         NODE     DEVICE     SIZE    STATE                 USE       HEALTH   SINCE   WHY\n\
         wwn-5000   node-2   /dev/sdb   1 TiB   waiting-for-consent   foreign   well     1m0s    it holds ZFS\n",
        "{}",
        listed.err
    );
    let one = bench.run("describe drive wwn-5000", &[]);
    assert_eq!(one.code, 0, "{}", one.err);
    assert!(one.out.contains("tank") && !one.out.contains('\u{1b}'), "{}", one.out);
    let policy = bench.run("get storage-policy", &[]);
    assert_eq!(policy.out, "DRIVES   NODES\nask      node-1: never\n", "{}", policy.err);
}

#[test]
fn drives_are_taken_by_whoever_saw_what_is_lost() {
    /// Command; whether a person is there; what is typed; code; what is sent; what is said.
    type Row = (&'static str, bool, &'static [&'static str], u8, Option<Value>, &'static str);
    let yes = || Some(json!({"consent": "0123-4567-89ab-cdef"}));
    let rows: [Row; 5] = [
        ("drive take S3Y9", true, &["y"], 0, yes(), "wwn-5000 in node-2 may be taken"),
        ("drive take S3Y9", true, &["n"], 130, None, "nothing was done"),
        ("drive take S3Y9", false, &[], 1, None, "maekin drive take wwn-5000 --consent 0123-4567-89ab-cdef"),
        ("drive take S3Y9 --consent 0-1", false, &[], 0, Some(json!({"consent": "0-1"})), "may be taken"),
        ("drive take sn-b", false, &[], 0, Some(json!({"consent": ""})), "sn-b in node-2 may be taken"),
    ];
    for (line, person, typed, code, sent, said) in rows {
        let (mut bench, fake) = bench(agent);
        bench.person = person;
        let ended = bench.run(line, typed);
        assert_eq!(ended.code == 0, code == 0, "{line}: {}", ended.err);
        assert!(format!("{}{}", ended.out, ended.err).contains(said), "{line}: {} {}", ended.out, ended.err);
        if typed == ["y"] {
            assert!(ended.prompts[0].contains("tank"), "{:?}", ended.prompts);
        }
        let posts: Vec<Value> = fake
            .asked()
            .iter()
            .filter(|asked| asked.line.starts_with("POST"))
            .map(|asked| serde_json::from_str(&asked.body).unwrap())
            .collect();
        assert_eq!(posts, sent.into_iter().collect::<Vec<_>>(), "{line}");
    }
}

#[test]
fn drives_are_located_and_retired() {
    let (bench, fake) = bench(agent);
    let lit = bench.run("drive locate S3Y9", &[]);
    assert_eq!(lit.out, "the bay of wwn-5000, Slot 04, in node-2 blinks\n", "{}", lit.err);
    let dark = bench.run("drive locate sn-b --off", &[]);
    assert!(dark.code != 0 && dark.err.contains("no enclosure"), "{}", dark.err);
    let retired = bench.run("drive retire S3Y9 --reason old", &[]);
    assert!(
        retired.out.contains("retire-drive") && retired.err.contains("maekin task log -f t1"),
        "{retired:?}"
    );
    let bodies: Vec<Value> =
        fake.asked().iter().map(|asked| serde_json::from_str(&asked.body).unwrap()).collect();
    assert_eq!(bodies, [json!({"on": true}), json!({"on": false}), json!({"reason": "old"})]);
}
