//! A node that was installed from a stick with nothing said of a cluster is found by multicast DNS, and let in by a person
//! who compares the code on both consoles.
#![allow(clippy::unwrap_used)] // a test fails by panicking

use maekin_api::trust::TokenState;
use maekin_qemu_tests::fixture::Fixture;
use maekin_qemu_tests::node::Firmware;
use maekin_qemu_tests::pairing;
use maekin_qemu_tests::rack::{Firmwares, Plan, Watch};
use maekin_qemu_tests::steps::Steps;

const TOOL: &str = env!("CARGO_BIN_EXE_rack");

#[test]
#[ignore = "long: an installation and two starts"]
fn join_a_stick_without_a_token_is_found_and_let_in_by_a_code() {
    let steps = Steps::default();
    let fixture = Fixture::get(Firmware::Bios, TOOL.as_ref()).unwrap();
    let plan = Plan { nodes: 2, firmwares: Firmwares::Mixed, ..Plan::default() };
    let mut rack = fixture.clone_into("join-code", &plan, TOOL.as_ref()).unwrap();
    let mut watch = Watch::default();
    rack.boot_first(&mut watch, &mut |_| {}).unwrap();
    steps.done("the first node is a cluster");
    let nodes = rack.nodes().to_vec();
    let (first, second) = (&nodes[0], &nodes[1]);
    pairing::install(&mut rack, &second.name).unwrap();
    steps.done("the second is installed, and waits to be let in");

    pairing::let_in(&rack, first, second, &steps).unwrap();
    rack.wait_cluster_of(&nodes).unwrap();
    steps.done("yes on both, and it is a member");
    let clusters: Vec<_> = nodes.iter().map(|n| rack.api(n).unwrap().cluster().unwrap()).collect();
    assert_eq!(clusters[0].id, clusters[1].id);
    assert_eq!(clusters[0].ca_sha256, clusters[1].ca_sha256);
    let member = rack.api(first).unwrap();
    let tokens = member.join_tokens().unwrap();
    let [token] = tokens.as_slice() else { panic!("one token, of the pairing: {tokens:?}") };
    assert!(token.note.contains(&second.name) && token.state == TokenState::Used, "{token:?}");
    assert!(member.pairings().unwrap().is_empty(), "it is over");
}
