//! Nodes in namespaces do not touch the machine that they run on, whatever is set on them.

#![allow(clippy::expect_used, clippy::panic)] // a test says by panicking that it failed

use std::fs;
use std::path::Path;
use std::time::Duration;

use maekin_lab::pace;
use maekin_lab::rack::{EVERY, Rack};

/// How long anything may take where the machine does nothing else.
const LIMIT: Duration = Duration::from_secs(90);
/// What the machine has of its own, and settings of a node are written to.
const HOST: [&str; 6] = [
    "/proc/sys/kernel/hostname",
    "/etc/hostname",
    "/etc/hosts",
    "/etc/ssh/authorized_keys.d/root",
    "/etc/systemd/timesyncd.conf",
    "/etc/systemd/timesyncd.conf.d/50-maekin.conf",
];
/// A line of authorized_keys(5).
const KEY: &str = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIKbqAjMGPAbDHvlmUDxZJ3vsgBJPcm/nJeYZBrEu4Qyq nobody";

fn host() -> Vec<Option<Vec<u8>>> {
    HOST.iter().map(|path| fs::read(path).ok()).collect()
}

#[test]
fn assembly_settings_of_a_node_do_not_touch_the_machine() {
    if !maekin_lab::possible("assembly_settings_of_a_node_do_not_touch_the_machine") {
        return;
    }
    let before = host();
    let agent = Path::new(env!("CARGO_BIN_EXE_maekin-agent"));
    let rack = Rack::raised(agent, 1, 41, LIMIT).expect("a node");
    let (node, api) = (&rack.nodes[0], rack.nodes[0].api());
    let path = maekin_api::NODE_SETTINGS.replace("{name}", &node.name);
    let body = format!(r#"{{"hostname":"elsewhere","ntp":["a.example"],"ssh_keys":["{KEY}"]}}"#);
    let answer = api.ask("PUT", &path, None, &body).expect("an answer");
    assert_eq!(answer.status, 200, "{}", answer.body);
    // The agent has started anew under the name, and has written everything.
    let own = |file: &str| fs::read_to_string(node.dir.join("root").join(file)).unwrap_or_default();
    let set = || {
        let named = api.node().ok()?.name == "elsewhere" && own("etc/hostname").trim() == "elsewhere";
        let told = own("etc/ssh/authorized_keys.d/root").contains(KEY)
            && own("etc/systemd/timesyncd.conf.d/50-maekin.conf").contains("a.example");
        (named && told && node.host_name().as_deref() == Some("elsewhere")).then_some(())
    };
    pace::until("the node to have its new name", LIMIT, EVERY, set)
        .unwrap_or_else(|e| panic!("{e}\n{}", rack.said()));
    assert_eq!(host(), before, "the machine is as it was");
}
