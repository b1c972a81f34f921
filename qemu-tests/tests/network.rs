//! A node's network as desired state: one that nobody confirms goes back by itself, one that is confirmed stays.
#![allow(clippy::unwrap_used)] // a test fails by panicking

use std::time::{Duration, Instant};

use maekin_host::wait;
use maekin_qemu_tests::api::Api;
use maekin_qemu_tests::fixture::Fixture;
use maekin_qemu_tests::node::Firmware;
use maekin_qemu_tests::rack::{Plan, TestRack, Watch};
use serde_json::{Value, json};

const TOOL: &str = env!("CARGO_BIN_EXE_rack");
/// What the product says: an unconfirmed network is there for no longer.
const LIMIT: Duration = Duration::from_secs(60);
/// How long a node may take to begin, and how often is looked.
const BEGIN: Duration = Duration::from_secs(60);
const LOOK: Duration = Duration::from_secs(1);

#[test]
fn network_that_nobody_confirms_goes_back_and_one_that_is_confirmed_stays() {
    let fixture = Fixture::get(Firmware::Bios, TOOL.as_ref()).unwrap();
    let plan = Plan { nodes: 1, ..Plan::default() };
    let rack = fixture.clone_into("network-trial", &plan, TOOL.as_ref()).unwrap();
    rack.boot_first(&mut Watch::default(), &mut |_| {}).unwrap();
    let name = rack.nodes()[0].name.clone();
    // The API is reached over an interface of its own, which stays.
    let api = rack.api(&rack.nodes()[0]).unwrap();
    let before = network(&api, &name);
    let first = address(&before);

    // An address where no other node is.
    want(&api, &name, &before, "10.99.0.9/24");
    let begun = Instant::now();
    until(&rack, "the trial to begin", BEGIN, || state(&api, &name).0 == "trying");
    until(&rack, "the address to be tried", BEGIN, || has(&api, "10.99.0.9/24"));
    let back = || state(&api, &name).0 == "reverted" && has(&api, &first) && !has(&api, "10.99.0.9/24");
    until(&rack, "the network before to come back", LIMIT, back);
    eprintln!("back after {} s in all", begun.elapsed().as_secs());
    assert!(state(&api, &name).1.contains("nobody confirmed"), "{:?}", state(&api, &name));
    assert_eq!(address(&network(&api, &name)), first);

    // Another address of the same network, confirmed.
    let second = "10.77.0.31/24";
    want(&api, &name, &before, second);
    until(&rack, "the second trial to begin", BEGIN, || state(&api, &name).0 == "trying");
    let path = format!("/v1/nodes/{name}/network/confirm");
    let confirm = || api.send::<Value>("POST", &path, &json!({})).is_ok();
    until(&rack, "the network to be confirmed", LIMIT, || confirm() || state(&api, &name).0 == "confirmed");
    until(&rack, "the node to be a member under its new address", BEGIN, || {
        api.cluster().is_ok_and(|cluster| cluster.nodes[0].address == "10.77.0.31")
    });

    rack.machine(&rack.nodes()[0]).power_off().unwrap();
    rack.boot_first(&mut Watch::default(), &mut |_| {}).unwrap();
    until(&rack, "the address to be there after a power cut", BEGIN, || has(&api, second));
    assert_eq!(state(&api, &name).0, "confirmed");
    assert_eq!(api.cluster().unwrap().nodes[0].address, "10.77.0.31");
}

fn network(api: &Api, name: &str) -> Value {
    api.get::<Value>(&format!("/v1/nodes/{name}/network")).unwrap()["network"].clone()
}

fn address(network: &Value) -> String {
    network["interface"][0]["addresses"][0].as_str().unwrap().to_owned()
}

/// State and reason of the last trial; empty while there is none, or the node is on its way.
fn state(api: &Api, name: &str) -> (String, String) {
    let now = api.get::<Value>(&format!("/v1/nodes/{name}/network")).unwrap_or_default();
    let text = |key: &str| now["trial"][key].as_str().unwrap_or_default().to_owned();
    (text("state"), text("why"))
}

/// Whether the kernel has the address.
fn has(api: &Api, address: &str) -> bool {
    let node = api.node();
    node.is_ok_and(|node| node.interfaces.iter().any(|i| i.addresses.iter().any(|a| a == address)))
}

/// Settings with another first address.
fn want(api: &Api, name: &str, network: &Value, address: &str) {
    let mut network = network.clone();
    network["interface"][0]["addresses"] = json!([address]);
    let path = format!("/v1/nodes/{name}/settings");
    api.send::<Value>("PATCH", &path, &json!({"network": network})).unwrap();
}

fn until(rack: &TestRack, what: &str, limit: Duration, mut ready: impl FnMut() -> bool) {
    let waited = wait::until(what, rack.limit(limit), LOOK, || ready().then_some(()));
    let diagnosis = || rack.machine(&rack.nodes()[0]).diagnosis();
    assert!(waited.is_ok(), "gave up waiting for {what}\n{}", diagnosis());
}
