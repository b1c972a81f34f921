//! What a whole cluster of three survives: a voter that is cut off, and a power cut of all at once.

use std::time::{Duration, Instant};

use maekin_api::nodes::NodeInfo;
use maekin_host::wait;
use maekin_qemu_tests::node::NodeSpec;
use maekin_qemu_tests::rack::{TestRack, Watch};

/// By hardware virtualisation: from the cut to the alarm, and from the healing to its end.
const NOTICE: Duration = Duration::from_secs(60);
/// The same for nodes that start side by side.
const START: Duration = Duration::from_secs(3 * 60);
const LOOK: Duration = Duration::from_secs(2);

/// Whether a node says that it reaches no quorum.
fn alarmed(rack: &TestRack, node: &NodeSpec) -> bool {
    let said = rack.api(node).and_then(|api| api.node());
    said.is_ok_and(|node| node.alarms.iter().any(|alarm| alarm.id == "quorum-lost"))
}

fn until(rack: &TestRack, what: &str, done: impl Fn() -> bool) {
    let limit = rack.limit(NOTICE);
    let came = wait::until(what, limit, LOOK, || done().then_some(()));
    let how = || {
        let nodes = rack.nodes().iter();
        nodes.map(|n| format!("{}: {}\n", n.name, rack.machine(n).diagnosis())).collect::<String>()
    };
    assert!(came.is_ok(), "{came:?}\n{}", how());
}

/// Writes, and takes the write for done when it is acknowledged.
fn write(rack: &TestRack, node: &NodeSpec, note: &str) -> anyhow::Result<()> {
    rack.api(node)?.make_join_token(1, 600, note).map(drop)
}

fn written(rack: &TestRack, node: &NodeSpec) -> Vec<String> {
    rack.api(node).unwrap().join_tokens().unwrap().into_iter().map(|token| token.note).collect()
}

/// The rack's switch separates one voter: it says so and takes nothing, the others go on, and when the network is whole
/// again, so is the cluster.
pub(crate) fn partition(rack: &TestRack, three: &[NodeSpec]) {
    let [majority @ .., minority] = three else { unreachable!() };
    write(rack, minority, "before the cut").unwrap();
    let began = Instant::now();
    rack.switch().partition(&[&[minority.name.as_str()]]).unwrap();
    until(rack, "the node that is cut off to say so", || alarmed(rack, minority));
    let refused = write(rack, minority, "by the minority").unwrap_err();
    println!("partition: said after {:.0} s; a write there: {refused:#}", began.elapsed().as_secs_f64());
    for node in majority {
        assert!(!alarmed(rack, node), "{} has a quorum", node.name);
        write(rack, node, &format!("meanwhile by {}", node.name)).unwrap();
    }
    let path = maekin_api::NODES;
    let lost = |node: &NodeSpec| {
        let seen: anyhow::Result<Vec<NodeInfo>> = rack.api(node).and_then(|api| api.get(path));
        let state = |all: Vec<NodeInfo>| all.into_iter().find(|n| n.name == minority.name).map(|n| n.state);
        seen.ok().and_then(state) == Some(maekin_api::nodes::NodeState::Unreachable)
    };
    until(rack, "the majority to miss it", || majority.iter().all(lost));

    let began = Instant::now();
    rack.switch().heal().unwrap();
    rack.wait_cluster_of(three).unwrap();
    until(rack, "nobody to miss the quorum", || three.iter().all(|node| !alarmed(rack, node)));
    println!("partition: whole {:.0} s after the network was", began.elapsed().as_secs_f64());
    for node in three {
        let notes = written(rack, node);
        assert!(notes.iter().any(|note| note == "before the cut"), "{}: {notes:?}", node.name);
        assert!(!notes.iter().any(|note| note == "by the minority"), "{}: {notes:?}", node.name);
        for by in majority {
            let note = format!("meanwhile by {}", by.name);
            assert!(notes.contains(&note), "{}: {note:?} is missing of {notes:?}", node.name);
        }
    }
}

/// All lose their power at once, and come back in another order than they came.
pub(crate) fn power_cut(rack: &TestRack, watch: &mut Watch, three: &[NodeSpec]) {
    write(rack, &three[1], "just before the lights went out").unwrap();
    for node in three {
        rack.machine(node).power_off().unwrap();
    }
    for node in three.iter().rev() {
        watch.power_on(rack, &node.name, None).unwrap();
    }
    let last = Instant::now();
    watch.until_ready(rack.limit(START), |_| {}).unwrap();
    rack.wait_cluster_of(three).unwrap();
    println!("power cut: power-on of the last node to cluster ready {:.0} s", last.elapsed().as_secs_f64());
    for node in three {
        let notes = written(rack, node);
        let kept = notes.iter().any(|note| note == "just before the lights went out");
        assert!(kept, "{} lost an acknowledged write: {notes:?}", node.name);
        assert!(!alarmed(rack, node), "{}", node.name);
    }
}
