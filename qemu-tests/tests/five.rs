//! Five nodes, by every way in: the first from its stick, two by the network untouched, the fourth from a stick and by the
//! code on two consoles, the fifth by a join token. Then the one that leads and another one are killed while clients write,
//! and come back: the cluster is whole, and what the clients saw is one history.
#![allow(clippy::unwrap_used)] // a test fails by panicking

use std::time::{Duration, Instant};

use maekin_api::nodes::{NodeInfo, NodeState};
use maekin_api::trust::TokenState;
use maekin_lab::api::Api;
use maekin_lab::writer::Writers;
use maekin_qemu_tests::answer::Answer;
use maekin_qemu_tests::fixture::Fixture;
use maekin_qemu_tests::node::{BootFrom, Firmware, NodeSpec};
use maekin_qemu_tests::rack::{Firmwares, Plan, Rack, TestRack, Watch, at_once};
use maekin_qemu_tests::release::Release;
use maekin_qemu_tests::steps::Steps;
use maekin_qemu_tests::{pairing, ssh};

const TOOL: &str = env!("CARGO_BIN_EXE_rack");
/// By hardware virtualisation: power-on to ready, the installation included, beside four members.
const INSTALL: Duration = Duration::from_secs(5 * 60);
/// Power-on to ready of two that come back beside three that work.
const START: Duration = Duration::from_secs(4 * 60);
/// From a change to all members having seen it.
const NOTICE: Duration = Duration::from_secs(2 * 60);
/// How long a client waits for an answer; it goes on to another node then.
const ANSWER: Duration = Duration::from_secs(30);
/// What clients pause between two operations, and after one that was not answered: five translated guests share a host.
const PAUSES: [Duration; 2] = [Duration::from_secs(2), Duration::from_secs(1)];
/// How long some writes may take, on a host with nothing else to do.
const WRITES: Duration = Duration::from_secs(3 * 60);

#[test]
#[ignore = "long: four installations, and two more starts beside three members"]
fn assembly_three_by_network_a_fourth_by_code_and_a_fifth_by_token_survive_the_loss_of_two() {
    let steps = Steps::default();
    let fixture = Fixture::get(Firmware::Bios, TOOL.as_ref()).unwrap();
    let plan = Plan { nodes: 5, firmwares: Firmwares::Mixed, ..Plan::default() };
    let mut rack = fixture.clone_into("five", &plan, TOOL.as_ref()).unwrap();
    let mut watch = Watch::default();
    rack.boot_first(&mut watch, &mut |_| {}).unwrap();
    steps.done("the first node is a cluster");
    let nodes = rack.nodes().to_vec();
    let [first, by_network @ .., by_code, by_token] = nodes.as_slice() else { unreachable!() };

    rack.install(by_network, &mut watch, at_once(), &mut |_| {}).unwrap();
    whole(&rack, &nodes[..3]);
    steps.done("two more are installed over the network, members, and each votes");

    pairing::install(&mut rack, &by_code.name).unwrap();
    steps.done("the fourth is installed from a stick, and waits to be let in");
    pairing::let_in(&rack, first, by_code, &steps).unwrap();
    whole(&rack, &nodes[..4]);
    steps.done("yes on both consoles, and the fourth is a member");

    join_by_token(&mut rack, &mut watch, first, by_token);
    whole(&rack, &nodes);
    steps.done("the fifth is a member by its token");
    let clusters: Vec<_> = nodes.iter().map(|n| rack.api(n).unwrap().cluster().unwrap()).collect();
    for cluster in &clusters[1..] {
        assert_eq!((&cluster.id, &cluster.ca_sha256), (&clusters[0].id, &clusters[0].ca_sha256));
    }

    lose_two(&rack, &mut watch, &nodes, &steps);
}

/// Installs a node from a stick with a join token that the cluster of `member` made for it.
fn join_by_token(rack: &mut Rack, watch: &mut Watch, member: &NodeSpec, node: &NodeSpec) {
    let api = rack.api(member).unwrap();
    let made = api.make_join_token(1, 60, "from a stick").unwrap();
    let mut answer = Answer::new(rack.password(), vec![ssh::make_key(rack.dir()).unwrap()]);
    answer.token = Some(made.token.expose().to_owned());
    rack.insert_stick_into(&node.name, &Release::find().unwrap(), &answer).unwrap();
    watch.power_on(rack, &node.name, Some(BootFrom::Medium)).unwrap();
    watch.until_ready(rack.limit(INSTALL), |_| {}).unwrap();
    let token = api.join_tokens().unwrap().into_iter().find(|token| token.id == made.info.id).unwrap();
    assert_eq!(token.state, TokenState::Used, "it was for one node: {token:?}");
}

/// Kills two machines while clients write at all five, and has them come back.
fn lose_two(rack: &TestRack, watch: &mut Watch, nodes: &[NodeSpec], steps: &Steps) {
    let doomed = victims(&rack.api(&nodes[0]).unwrap().nodes().unwrap());
    let (lost, rest): (Vec<&NodeSpec>, Vec<&NodeSpec>) =
        nodes.iter().partition(|node| doomed.contains(&node.name));
    assert_eq!(lost.len(), 2, "{doomed:?} are to be killed");
    // One client begins at one that is lost, one at each of two that are not; they go on to the next.
    let order = [lost[0], rest[0], rest[1], rest[2], lost[1]];
    let writers = Writers::paced(3, &order.map(|node| client(rack, node)), 5, PAUSES);
    writers.progress(10, WRITES).unwrap();
    steps.done("clients write");

    let killed = Instant::now();
    for node in &lost {
        rack.machine(node).kill().unwrap();
    }
    // What was under way in that moment may count still; a few more cannot.
    writers.progress(10, WRITES).unwrap();
    println!("{doomed:?} killed: ten writes more {:.0} s after that", killed.elapsed().as_secs_f64());
    for (node, name) in rest.iter().flat_map(|node| doomed.iter().map(move |name| (node, name))) {
        let unreachable = || rack.seen(node, name) == Some(NodeState::Unreachable);
        rack.until(&format!("{} to miss {name}", node.name), NOTICE, unreachable).unwrap();
    }
    steps.done("the one that led and another one are dead, the others go on and say so");

    for node in &lost {
        watch.power_on(rack, &node.name, None).unwrap();
    }
    watch.until_ready(rack.limit(START), |_| {}).unwrap();
    whole(rack, nodes);
    println!("killed to whole again: {:.0} s", killed.elapsed().as_secs_f64());
    steps.done("both are back, and the cluster is whole");
    writers.progress(10, WRITES).unwrap();
    // Read at one that was away: it has to have all that was written meanwhile.
    let verdict = writers.finish(&client(rack, lost[0])).unwrap();
    println!("{verdict:?}");
    steps.done("what the clients saw is one history");
}

/// The one that leads and, where that votes, one that does not; else one that does. Two of three voters stay.
fn victims(nodes: &[NodeInfo]) -> [String; 2] {
    let leader = nodes.iter().find(|node| node.leader).unwrap();
    let other = nodes.iter().find(|node| node.voter != leader.voter).unwrap();
    [leader, other].map(|node| node.name.clone())
}

/// Waits until each of these nodes, asked by itself, lists them all as ready, with as many voters as they can have and one
/// of them leading.
fn whole(rack: &Rack, nodes: &[NodeSpec]) {
    for node in nodes {
        let what = format!("{} to list {} ready members, three of them voters", node.name, nodes.len());
        let mut last = String::new();
        let came = rack.until(&what, NOTICE, || {
            let listed = rack.api(node).and_then(|api| api.nodes());
            last = format!("{listed:?}");
            let listed = listed.unwrap_or_default();
            let count = |is: fn(&NodeInfo) -> bool| listed.iter().filter(|info| is(info)).count();
            listed.len() == nodes.len()
                && count(|info| info.state == NodeState::Ready) == nodes.len()
                && count(|info| info.voter) == 3
                && count(|info| info.leader) == 1
        });
        assert!(came.is_ok(), "{came:?}\n{} said last: {last}", node.name);
    }
}

/// A client of a node for the writers.
fn client(rack: &Rack, node: &NodeSpec) -> Api {
    Api::at(rack.api(node).unwrap().url(), rack.password(), ANSWER)
}
