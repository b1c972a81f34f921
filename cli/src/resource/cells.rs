//! What stands in a column, where that is no plain field.

use serde_json::Value;

use super::plain;
use crate::show::time;

fn text(value: &Value, at: &str) -> String {
    value.pointer(at).map(plain).unwrap_or_default()
}

/// Where a machine stands, and what belongs to that.
pub(super) fn standing(machine: &Value) -> String {
    let about = ["/standing/hostname", "/standing/reason"].map(|at| text(machine, at)).concat();
    match text(machine, "/standing/standing").as_str() {
        "installed" => format!("is {about}"),
        "approved" => format!("ticket {}", text(machine, "/standing/ticket")),
        _ => about,
    }
}

/// Maker and model.
pub(super) fn model(machine: &Value) -> String {
    let words = ["vendor", "product"].map(|field| text(machine, &format!("/inventory/dmi/{field}")));
    words.join(" ").trim().to_owned()
}

/// Drives of its own: how many, how large.
pub(super) fn drives(machine: &Value) -> String {
    let Some(disks) = machine.pointer("/inventory/disks").and_then(Value::as_array) else {
        return String::new();
    };
    let own = |disk: &&Value| disk["removable"] != true && disk["virtual_media"].is_null();
    let sizes: Vec<u64> = disks.iter().filter(own).filter_map(|disk| disk["size"].as_u64()).collect();
    let all = sizes.iter().fold(0_u64, |sum, size| sum.saturating_add(*size));
    format!("{} ({})", sizes.len(), time::bytes(all))
}

/// How far an installation is.
pub(super) fn progress(install: &Value) -> String {
    let stage = text(install, "/progress/stage");
    match stage.as_str() {
        "installing" => {
            format!("{} % {}", text(install, "/progress/percent"), text(install, "/progress/step"))
        }
        "failed" => format!("FAILED: {}", text(install, "/progress/reason")),
        _ => stage,
    }
}

/// What was done last to a machine's power.
pub(super) fn power_last(info: &Value) -> String {
    if info["last"].is_null() {
        return String::new();
    }
    let word = if info.pointer("/last/done") == Some(&Value::Bool(true)) { "" } else { "NOT DONE: " };
    format!("{}: {word}{}", text(info, "/last/action"), text(info, "/last/outcome"))
}

/// How a drive's halves of the mirrors are.
pub(super) fn halves(drive: &Value) -> String {
    let Some(halves) = drive["halves"].as_array() else { return String::new() };
    let out: Vec<String> = halves
        .iter()
        .filter(|half| half["state"] != "in-sync")
        .map(|half| {
            format!("{} {}", text(half, "/array").trim_start_matches("maekin-"), text(half, "/state"))
        })
        .collect();
    if out.is_empty() { "in sync".to_owned() } else { out.join(", ") }
}

/// Whether a boot drive is there.
pub(super) fn device(drive: &Value) -> String {
    let device = text(drive, "/device");
    if device.is_empty() { "GONE".to_owned() } else { device }
}

/// Where a node stands with its cluster.
pub(super) fn membership(node: &Value) -> String {
    match text(node, "/membership/state").as_str() {
        "member" => format!("member of {}", text(node, "/membership/cluster")),
        _ => text(node, "/membership/step"),
    }
}

/// How many of a cluster's members are there.
pub(super) fn ready(cluster: &Value) -> String {
    let Some(nodes) = cluster["nodes"].as_array() else { return String::new() };
    let ready = nodes.iter().filter(|node| node["state"] == "ready").count();
    format!("{ready}/{}", nodes.len())
}

/// Whether a node is there, and whether it is in maintenance.
pub(super) fn node_state(node: &Value) -> String {
    let state = text(node, "/state");
    if node["maintenance"].is_object() { format!("{state},maintenance") } else { state }
}

/// What a task does, or what came of it.
pub(super) fn task(task: &Value) -> String {
    let outcome = text(task, "/outcome/text");
    if outcome.is_empty() { text(task, "/doing") } else { outcome }
}

/// How far a change of the cluster's CA is, and whom it waits for; empty where none is under way.
pub(super) fn ca_change(cluster: &Value) -> String {
    let phase = match text(cluster, "/ca_change/phase").as_str() {
        "" => return String::new(),
        "due" => "is to be changed".to_owned(),
        "trust" => "members trust a new one".to_owned(),
        "issue" => "members get certificates of the new one".to_owned(),
        "drop" => "the old one goes".to_owned(),
        other => other.to_owned(),
    };
    let names = cluster.pointer("/ca_change/waits_for").and_then(Value::as_array);
    let names: Vec<String> = names.into_iter().flatten().map(plain).collect();
    if names.is_empty() { phase } else { format!("{phase}; waits for {}", names.join(", ")) }
}

/// The member that leads, by its name.
pub(super) fn leader(cluster: &Value) -> String {
    let nodes = cluster["nodes"].as_array().map(Vec::as_slice).unwrap_or_default();
    let leads = |node: &&Value| !node["id"].is_null() && node["id"] == cluster["leader"];
    nodes.iter().find(leads).map(|node| text(node, "/name")).unwrap_or_default()
}

/// `left of all` uses of a join token.
pub(super) fn uses(token: &Value) -> String {
    let used = token["used"].as_array().map_or(0, Vec::len);
    format!("{used} of {}", text(token, "/uses"))
}

/// What an audit event was about.
pub(super) fn event(event: &Value) -> String {
    let (kind, method) = (text(event, "/kind"), text(event, "/method"));
    if method.is_empty() { kind } else { format!("{method} {}", text(event, "/path")) }
}

/// The record's voters by the names of their nodes, learners marked.
pub(super) fn voters(record: &Value) -> String {
    let voters = record["voters"].as_array().map(Vec::as_slice).unwrap_or_default();
    let name = |voter: &Value| {
        let name = [text(voter, "/name"), text(voter, "/id")].into_iter().find(|name| !name.is_empty());
        let learns = if voter["learner"] == true { " (learns)" } else { "" };
        name.unwrap_or_default() + learns
    };
    voters.iter().map(name).collect::<Vec<_>>().join(", ")
}

fn condition<'a>(object: &'a Value, kind: &str) -> Option<&'a Value> {
    object.pointer("/status/conditions")?.as_array()?.iter().find(|condition| condition["type"] == kind)
}

/// Whether a node is as its settings say: of the generation that holds now.
pub(super) fn settled(object: &Value) -> String {
    if object["generation"] == 0 {
        return "as installed".to_owned();
    }
    if object.pointer("/status/observed_generation") != object.get("generation") {
        return "not taken up".to_owned();
    }
    condition(object, "Ready").map(|ready| text(ready, "/status")).unwrap_or_default()
}

/// Why it is not.
pub(super) fn unsettled(object: &Value) -> String {
    let wrong = |ready: &&Value| ready["status"] != "True";
    let why = |ready: &Value| format!("{}: {}", text(ready, "/reason"), text(ready, "/message"));
    condition(object, "Ready").filter(wrong).map(why).unwrap_or_default()
}

/// Which settings a node has.
pub(super) fn set(object: &Value) -> String {
    let fields = object["spec"].as_object();
    fields.map(|fields| fields.keys().cloned().collect::<Vec<_>>().join(",")).unwrap_or_default()
}

/// Where a drive is found on its node.
pub(super) fn drive_device(drive: &Value) -> String {
    if drive["state"] == "gone" { "GONE".to_owned() } else { text(drive, "/device") }
}

/// Who uses a drive.
pub(super) fn drive_use(drive: &Value) -> String {
    let number = ["/use/number", "/use/id"].map(|at| text(drive, at)).concat();
    format!("{} {number}", text(drive, "/use/by")).trim().to_owned()
}

/// How a drive is, by its own word.
pub(super) fn drive_health(drive: &Value) -> String {
    match (text(drive, "/health/verdict"), text(drive, "/health/reason")) {
        (verdict, _) if verdict == "unknown" => String::new(),
        (verdict, reason) if reason.is_empty() => verdict,
        (verdict, reason) => format!("{verdict}: {reason}"),
    }
}

/// What is on a drive.
pub(super) fn drive_content(drive: &Value) -> String {
    let unreadable = text(drive, "/content/unreadable");
    if !unreadable.is_empty() {
        return format!("unreadable: {unreadable}");
    }
    let what = drive.pointer("/content/what").and_then(Value::as_array);
    what.map(|lines| lines.iter().map(plain).collect::<Vec<_>>().join("; ")).unwrap_or_default()
}

/// Where a drive is plugged in.
pub(super) fn drive_bay(drive: &Value) -> String {
    ["/slot/bay", "/slot/path"]
        .map(|at| text(drive, at))
        .into_iter()
        .find(|t| !t.is_empty())
        .unwrap_or_default()
}

/// Nodes with a policy of their own.
pub(super) fn policy_nodes(policy: &Value) -> String {
    let nodes = policy["nodes"].as_object();
    let one = |(name, policy): (&String, &Value)| format!("{name}: {}", plain(policy));
    nodes.map(|nodes| nodes.iter().map(one).collect::<Vec<_>>().join(", ")).unwrap_or_default()
}

/// The nodes that a volume is on.
pub(super) fn places(volume: &Value) -> String {
    let nodes = volume["nodes"].as_array().map(Vec::as_slice).unwrap_or_default();
    nodes.iter().map(|node| text(node, "/name")).collect::<Vec<_>>().join(",")
}

/// Who uses a volume; in brackets how far that is, where it is under way.
pub(super) fn attached(volume: &Value) -> String {
    let node = text(volume, "/attachment/node/name");
    match text(volume, "/attachment/state").as_str() {
        "" | "attached" => node,
        state => format!("{node} ({state})"),
    }
}

/// Whether everything that was asked of a volume is so; else what is not.
pub(super) fn volume_ready(volume: &Value) -> String {
    let conditions = volume["conditions"].as_array().map(Vec::as_slice).unwrap_or_default();
    let Some(ready) = conditions.iter().find(|condition| condition["type"] == "Ready") else {
        return String::new();
    };
    match text(ready, "/status").as_str() {
        "True" => "yes".to_owned(),
        _ => format!("{}: {}", text(ready, "/reason"), text(ready, "/message")),
    }
}

/// How fast a volume may be used.
pub(super) fn limits(volume: &Value) -> String {
    let limit = |field: &str| volume.pointer(&format!("/limits/{field}")).and_then(Value::as_u64);
    let rows = [
        limit("read_iops").map(|n| format!("{n} reads/s")),
        limit("write_iops").map(|n| format!("{n} writes/s")),
        limit("read_bandwidth").map(|n| format!("read {}/s", time::bytes(n))),
        limit("write_bandwidth").map(|n| format!("write {}/s", time::bytes(n))),
    ];
    rows.into_iter().flatten().collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn cli_a_change_of_the_ca_says_how_far_it_is() {
        let change = |phase: &str, waits: &[&str]| json!({"ca_change": {"phase": phase, "waits_for": waits}});
        let rows = [
            ("none", json!({"ca_change": null}), ""),
            ("an older release", json!({}), ""),
            ("due", change("due", &[]), "is to be changed"),
            ("it waits", change("trust", &["a", "b"]), "members trust a new one; waits for a, b"),
            ("a newer release", change("more", &[]), "more"),
        ];
        for (name, cluster, want) in rows {
            assert_eq!(ca_change(&cluster), want, "{name}");
        }
    }

    #[test]
    fn drives_say_in_cells_what_they_are() {
        let drive = json!({"state": "in-use", "device": "/dev/sdb", "use": {"by": "osd", "id": 7},
                           "health": {"verdict": "worn", "reason": "97% of its life are used up"},
                           "slot": {"path": "pci-1", "bay": ""}, "content": {"what": ["GPT", "ZFS"]}});
        let cells =
            [drive_device, drive_use, drive_health, drive_content, drive_bay].map(|cell| cell(&drive));
        assert_eq!(cells, ["/dev/sdb", "osd 7", "worn: 97% of its life are used up", "GPT; ZFS", "pci-1"]);
        let gone = json!({"state": "gone", "device": "", "use": {"by": "boot-mirror", "number": 2},
                          "health": {"verdict": "unknown", "reason": ""}, "slot": {"bay": "Slot 04"},
                          "content": {"what": [], "unreadable": "I/O error"}});
        let cells = [drive_device, drive_use, drive_health, drive_content, drive_bay].map(|cell| cell(&gone));
        assert_eq!(cells, ["GONE", "boot-mirror 2", "", "unreadable: I/O error", "Slot 04"]);
        let policy = json!({"drives": "ask", "nodes": {"node-1": "never", "node-2": "ask"}});
        assert_eq!(policy_nodes(&policy), "node-1: never, node-2: ask");
        assert_eq!(policy_nodes(&json!({"drives": "ask"})), "");
    }

    #[test]
    fn cli_settings_say_whether_they_hold() {
        let ready = |status: &str, reason: &str, message: &str| json!({"type": "Ready", "status": status, "reason": reason, "message": message});
        let rows = [
            (
                "none",
                json!({"generation": 0, "spec": {}, "status": {"observed_generation": 0, "conditions": []}}),
                "as installed",
                "",
                "",
            ),
            (
                "not seen yet",
                json!({"generation": 2, "spec": {"ntp": [], "hostname": "a"}, "status": {"observed_generation": 1, "conditions": [ready("True", "Applied", "")]}}),
                "not taken up",
                "",
                "hostname,ntp",
            ),
            (
                "done",
                json!({"generation": 2, "spec": {"ntp": []}, "status": {"observed_generation": 2, "conditions": [ready("True", "Applied", "")]}}),
                "True",
                "",
                "ntp",
            ),
            (
                "wrong",
                json!({"generation": 2, "spec": {"ntp": []}, "status": {"observed_generation": 2, "conditions": [ready("False", "Syslog", "no answer")]}}),
                "False",
                "Syslog: no answer",
                "ntp",
            ),
            ("another release", json!({"generation": 1}), "not taken up", "", ""),
        ];
        for (name, object, is, why, fields) in rows {
            assert_eq!(
                (settled(&object).as_str(), unsettled(&object).as_str(), set(&object).as_str()),
                (is, why, fields),
                "{name}"
            );
        }
    }
}
