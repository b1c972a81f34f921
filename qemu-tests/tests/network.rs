//! A node's network as desired state: one that cuts the node off goes back by itself, one that is confirmed stays.
#![allow(clippy::unwrap_used)] // a test fails by panicking

use std::time::Duration;

use maekin_api::network::{NodeNetwork, Trial, TrialState};
use maekin_host::wait;
use maekin_qemu_tests::api::Api;
use maekin_qemu_tests::fixture::Fixture;
use maekin_qemu_tests::node::{Firmware, NodeSpec};
use maekin_qemu_tests::rack::{Plan, TestRack, Watch};
use maekin_qemu_tests::steps::Steps;
use serde_json::{Value, json};

const TOOL: &str = env!("CARGO_BIN_EXE_rack");
/// What the product says: an unconfirmed network is there for no longer, by the node's own clock.
const LIMIT: Duration = Duration::from_secs(60);
/// By hardware virtualisation: how long a node may take to begin, and to become a member anew under another address.
const BEGIN: Duration = Duration::from_secs(60);
/// How often is looked.
const LOOK: Duration = Duration::from_secs(2);

/// A network where no other node is, and another address of the one where the others are.
const NOWHERE: &str = "10.99.0.9/24";
const OTHER: &str = "10.77.0.31/24";

struct Node<'a> {
    rack: &'a TestRack,
    spec: &'a NodeSpec,
    /// Over an interface of its own, which stays.
    api: Api,
}

#[test]
#[ignore = "long: two starts and two trials of a network"]
fn network_that_nobody_confirms_goes_back_and_one_that_is_confirmed_stays() {
    let steps = Steps::default();
    let fixture = Fixture::get(Firmware::Bios, TOOL.as_ref()).unwrap();
    let plan = Plan { nodes: 1, ..Plan::default() };
    let rack = fixture.clone_into("network-trial", &plan, TOOL.as_ref()).unwrap();
    rack.boot_first(&mut Watch::default(), &mut |_| {}).unwrap();
    steps.done("the node is a cluster");
    let spec = &rack.nodes()[0];
    let node = Node { rack: &rack, spec, api: rack.api(spec).unwrap() };
    let before = node.network().unwrap().network;
    let first = before.interfaces[0].addresses[0].clone();

    node.want(&json!(before), NOWHERE);
    node.until("the trial to begin", BEGIN, || node.trial(TrialState::Trying).is_some() && node.has(NOWHERE));
    steps.done("it has an address that cuts it off from all others");
    node.until("the network before to come back", LIMIT, || {
        node.trial(TrialState::Reverted).is_some() && node.has(&first) && !node.has(NOWHERE)
    });
    let trial = node.trial(TrialState::Reverted).unwrap();
    println!("the network before was back {} s after the trial began", trial.at - trial.began);
    assert!(trial.at - trial.began <= LIMIT.as_secs(), "{trial:?}");
    assert!(trial.why.contains("nobody confirmed"), "{trial:?}");
    assert_eq!(node.network().unwrap().network, before);
    node.until("the node to be a member where it was", BEGIN, || node.is_member_at(&first));
    steps.done("the network before is back");

    node.want(&json!(before), OTHER);
    let reverted = trial.began;
    let path = format!("/v1/nodes/{}/network/confirm", spec.name);
    node.until("the second trial to be confirmed", LIMIT, || {
        let said = node.api.send::<Value>("POST", &path, &json!({}));
        let lost = node.trial(TrialState::Reverted).is_some_and(|trial| trial.began != reverted);
        assert!(!lost, "nobody could confirm it in time: {said:?}\n{}", node.words());
        node.trial(TrialState::Confirmed).is_some()
    });
    let trial = node.trial(TrialState::Confirmed).unwrap();
    println!("confirmed {} s after the trial began", trial.at - trial.began);
    node.until("the node to be a member under its new address", BEGIN, || node.is_member_at(OTHER));
    steps.done("another address is confirmed, and the cluster knows it");

    rack.machine(spec).power_off().unwrap();
    rack.boot_first(&mut Watch::default(), &mut |_| {}).unwrap();
    node.until("the address to be there after a power cut", BEGIN, || {
        node.has(OTHER) && !node.has(&first) && node.is_member_at(OTHER)
    });
    assert!(node.trial(TrialState::Confirmed).is_some(), "{:?}", node.network());
    steps.done("it stays over a power cut");
}

impl Node<'_> {
    fn network(&self) -> anyhow::Result<NodeNetwork> {
        self.api.get(&format!("/v1/nodes/{}/network", self.spec.name))
    }

    /// The last trial, where it is as far as `state`; none while the node does not answer.
    fn trial(&self, state: TrialState) -> Option<Trial> {
        self.network().ok()?.trial.filter(|trial| trial.state == state)
    }

    /// Whether the kernel has the address.
    fn has(&self, address: &str) -> bool {
        let node = self.api.node();
        node.is_ok_and(|node| node.interfaces.iter().any(|i| i.addresses.iter().any(|a| a == address)))
    }

    fn is_member_at(&self, address: &str) -> bool {
        let (ip, _) = address.split_once('/').unwrap();
        self.api.cluster().is_ok_and(|cluster| cluster.nodes[0].address == ip)
    }

    /// Settings with another first address.
    fn want(&self, network: &Value, address: &str) {
        let mut network = network.clone();
        network["interface"][0]["addresses"] = json!([address]);
        let path = format!("/v1/nodes/{}/settings", self.spec.name);
        let wanted = json!({ "network": network });
        self.until("the settings to be taken", BEGIN, || {
            self.api.send::<Value>("PATCH", &path, &wanted).is_ok()
        });
    }

    fn until(&self, what: &str, limit: Duration, mut ready: impl FnMut() -> bool) {
        let waited = wait::until(what, self.rack.limit(limit), LOOK, || ready().then_some(()));
        assert!(waited.is_ok(), "gave up waiting for {what}: {:?}\n{}", self.network(), self.words());
    }

    fn words(&self) -> String {
        let log = self.rack.ssh(self.spec, "journalctl -n 200 --no-pager; ip addr");
        log.unwrap_or_else(|e| format!("{e:#}"))
    }
}
