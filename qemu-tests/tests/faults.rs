//! What a whole cluster of three survives: its leader is cut off by the rack's own switch, all lose their power at once,
//! and the leader dies while a fourth is being installed.
#![allow(clippy::unwrap_used)] // a test fails by panicking

use std::time::{Duration, Instant};

use maekin_api::cluster::MemberState;
use maekin_api::install::Progress;
use maekin_api::node::InstallMaster;
use maekin_api::nodes::NodeState;
use maekin_qemu_tests::fixture::Fixture;
use maekin_qemu_tests::node::{Firmware, NodeSpec};
use maekin_qemu_tests::rack::{Firmwares, Plan, TestRack, Watch, at_once};
use maekin_qemu_tests::steps::Steps;

const TOOL: &str = env!("CARGO_BIN_EXE_rack");
/// By hardware virtualisation: power-on to ready, the installation included.
const INSTALL: Duration = Duration::from_secs(5 * 60);
/// Power-on to ready of nodes that start side by side, two of which ask the network first, where nobody answers.
const START: Duration = Duration::from_secs(3 * 60);
/// From a fault to what follows from it.
const NOTICE: Duration = Duration::from_secs(60);
/// How often is looked: each time is a TLS handshake, which a translated guest feels.
const LOOK: Duration = Duration::from_secs(3);

#[test]
#[ignore = "long: three installations, and three more starts side by side"]
fn partition_power_cut_and_loss_of_the_leader_leave_one_cluster() {
    let steps = Steps::default();
    let fixture = Fixture::get(Firmware::Bios, TOOL.as_ref()).unwrap();
    let plan = Plan { nodes: 4, firmwares: Firmwares::Mixed, ..Plan::default() };
    let rack = fixture.clone_into("faults", &plan, TOOL.as_ref()).unwrap();
    let mut watch = Watch::default();
    rack.boot_first(&mut watch, &mut |_| {}).unwrap();
    steps.done("the first node is a cluster");
    let [three @ .., fourth] = rack.nodes() else { unreachable!() };

    rack.install(&three[1..], &mut watch, at_once(), &mut |_| {}).unwrap();
    rack.wait_cluster_of(three).unwrap();
    steps.done("two more are installed over the network and members");
    cluster_ready("with their installation", &watch);
    // A voter is one only when it has copied the record; two of two are no more than one.
    until(&rack, "each to vote", || three.iter().all(|node| rack.voters(node) == Some(3)));
    steps.done("each votes in the record");

    partition(&rack, three, &steps);
    power_cut(&rack, &mut watch, three, &steps);
    leader_dies(&rack, &mut watch, three, fourth, &steps);
}

/// The figure: from the power-on of the last node to a cluster whose members all list all as ready.
fn cluster_ready(how: &str, watch: &Watch) {
    let last = watch.last_on().unwrap();
    println!("power-on of the last of three to cluster ready, {how}: {:.0} s", last.as_secs_f64());
}

/// The rack's switch cuts the leader off: it says so, takes nothing and leads nothing; the others go on. When the network
/// is whole again, so is the cluster.
fn partition(rack: &TestRack, three: &[NodeSpec], steps: &Steps) {
    let minority = rack.wait_master_among(three).unwrap();
    let majority: Vec<&NodeSpec> = three.iter().filter(|node| node.name != minority.name).collect();
    for node in three {
        write(rack, node, "before the cut").unwrap();
    }
    steps.done("each has taken a write");

    let cut = Instant::now();
    rack.switch().partition(&[&[minority.name.as_str()]]).unwrap();
    for node in &majority {
        let note = format!("meanwhile by {}", node.name);
        until(rack, &format!("{} to take a write", node.name), || write(rack, node, &note).is_ok());
    }
    println!("partition: the majority took writes {:.0} s after the cut", cut.elapsed().as_secs_f64());
    until(rack, "the one that is cut off to say so", || alarmed(rack, minority) == Some(true));
    println!("partition: the leader said that it is cut off after {:.0} s", cut.elapsed().as_secs_f64());
    let refused = format!("{:#}", write(rack, minority, "by the minority").unwrap_err());
    assert!(refused.contains("503"), "{refused}");
    until(rack, "it to lead nothing", || {
        rack.api(minority).unwrap().node().is_ok_and(|node| node.install_master == InstallMaster::Standby)
    });
    let heirs: Vec<NodeSpec> = majority.iter().map(|node| (*node).clone()).collect();
    let heir = rack.wait_master_among(&heirs).unwrap();
    println!("partition: {} leads after {:.0} s", heir.name, cut.elapsed().as_secs_f64());
    until(rack, "the majority to miss it", || {
        majority.iter().all(|node| rack.seen(node, &minority.name) == Some(NodeState::Unreachable))
    });
    for node in &majority {
        until(rack, "the majority to have its quorum", || alarmed(rack, node) == Some(false));
    }
    steps.done("a partition: the leader stopped, the others went on");

    rack.switch().heal().unwrap();
    rack.wait_cluster_of(three).unwrap();
    until(rack, "nobody to miss the quorum", || three.iter().all(|node| alarmed(rack, node) == Some(false)));
    steps.done("the network is whole again, and so is the cluster");
    for node in three {
        let notes = written(rack, node);
        let count = |wanted: &str| notes.iter().filter(|note| *note == wanted).count();
        assert_eq!(count("before the cut"), 3, "{}: {notes:?}", node.name);
        assert_eq!(count("by the minority"), 0, "{}: {notes:?}", node.name);
        for by in &majority {
            assert!(count(&format!("meanwhile by {}", by.name)) > 0, "{}: {notes:?}", node.name);
        }
    }
}

/// All lose their power at once, and come back in another order than they came: one asks the network first, where nobody
/// answers before there is a leader again.
fn power_cut(rack: &TestRack, watch: &mut Watch, three: &[NodeSpec], steps: &Steps) {
    for node in three {
        write(rack, node, "just before the lights went out").unwrap();
    }
    for node in three {
        rack.machine(node).power_off().unwrap();
    }
    steps.done("each has taken a write, and all are off");
    for node in three.iter().rev() {
        watch.power_on(rack, &node.name, None).unwrap();
    }
    watch.until_ready(rack.limit(START), |_| {}).unwrap();
    rack.wait_cluster_of(three).unwrap();
    steps.done("all are back after a power cut");
    cluster_ready("after a power cut of all", watch);
    let ready = watch.nodes().iter().map(|n| (n.spec.name.as_str(), n.elapsed().as_secs()));
    println!("power-on to ready, s: {:?}", ready.collect::<Vec<_>>());
    for node in three {
        let notes = written(rack, node);
        let kept = notes.iter().filter(|note| *note == "just before the lights went out").count();
        assert_eq!(kept, 3, "{} lost an acknowledged write: {notes:?}", node.name);
        until(rack, "nobody to miss the quorum", || alarmed(rack, node) == Some(false));
    }
}

/// The leader dies in the middle of an installation, and another goes on with it.
fn leader_dies(rack: &TestRack, watch: &mut Watch, three: &[NodeSpec], fourth: &NodeSpec, steps: &Steps) {
    let leader = rack.wait_master_among(three).unwrap();
    let others: Vec<NodeSpec> = three.iter().filter(|node| node.name != leader.name).cloned().collect();
    until(rack, "the install window to be opened", || rack.api(leader).unwrap().open_window(60, 1).is_ok());
    watch.power_on(rack, &fourth.name, None).unwrap();
    let another = rack.api(&others[0]).unwrap();
    let of_fourth =
        || another.installs().ok()?.into_iter().find(|i| fourth.rack_mac() == Some(i.mac.as_str()));
    let mut asked = Instant::now();
    let mut under_way = || {
        if asked.elapsed() < LOOK {
            return false;
        }
        asked = Instant::now();
        of_fourth().is_some_and(|i| matches!(i.progress, Progress::Installing { percent: 1.., .. }))
    };
    watch.until("the fourth to write", rack.limit(INSTALL), |_| under_way()).unwrap();
    let ticket = of_fourth().unwrap().ticket;
    steps.done("the fourth writes its drives");
    rack.machine(leader).power_off().unwrap();
    let heir = rack.wait_master_among(&others).unwrap();
    steps.done("the leader is dead, another one leads");
    watch.until_ready(rack.limit(INSTALL), |_| {}).unwrap();

    let rest: Vec<NodeSpec> = others.iter().chain([fourth]).cloned().collect();
    rack.wait_cluster_of(&rest).unwrap();
    steps.done("the fourth is a member");
    let api = rack.api(heir).unwrap();
    let install = api.installs().unwrap().into_iter().find(|i| i.ticket == ticket).unwrap();
    assert_eq!(install.progress, Progress::Joined, "the ticket that the dead one cut: {install:?}");
    assert_eq!(
        rack.api(fourth).unwrap().node().unwrap().name,
        fourth.name,
        "the name that the dead one gave"
    );
    let gone = api.cluster().unwrap().nodes.into_iter().find(|node| node.name == leader.name).unwrap();
    assert_eq!(gone.state, MemberState::Unreachable);
}

/// Whether a node says that it reaches no quorum; `None` where it says nothing.
fn alarmed(rack: &TestRack, node: &NodeSpec) -> Option<bool> {
    let said = rack.api(node).unwrap().node().ok()?;
    Some(said.alarms.iter().any(|alarm| alarm.id == "quorum-lost"))
}

/// Writes, and takes the write for done when it is acknowledged.
fn write(rack: &TestRack, node: &NodeSpec, note: &str) -> anyhow::Result<()> {
    rack.api(node)?.make_join_token(1, 600, note).map(drop)
}

fn written(rack: &TestRack, node: &NodeSpec) -> Vec<String> {
    rack.api(node).unwrap().join_tokens().unwrap().into_iter().map(|token| token.note).collect()
}

fn until(rack: &TestRack, what: &str, done: impl FnMut() -> bool) {
    rack.until(what, NOTICE, done).unwrap();
}
