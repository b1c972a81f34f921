//! The first node installs the rest of the rack over the network, all of them are one cluster, and when the first dies
//! in the middle of an installation another goes on with it (the latter among the long sweeps).
#![allow(clippy::unwrap_used)] // a test fails by panicking

use std::collections::BTreeSet;
use std::time::Duration;

use maekin_api::cluster::MemberState;
use maekin_api::install::Progress;
use maekin_qemu_tests::fixture::Fixture;
use maekin_qemu_tests::node::{Firmware, NodeSpec};
use maekin_qemu_tests::rack::{Firmwares, Plan, TestRack, Watch, at_once};

const TOOL: &str = env!("CARGO_BIN_EXE_rack");
/// Power-on to ready, by hardware virtualisation.
const INSTALL: Duration = Duration::from_secs(5 * 60);

/// A rack of `nodes`, of which the first is installed, and has installed the second and the third. They are one cluster.
fn three_of(nodes: usize, name: &str) -> (TestRack, Watch) {
    let fixture = Fixture::get(Firmware::Bios, TOOL.as_ref()).unwrap();
    let plan = Plan { nodes, firmwares: Firmwares::Mixed, ..Plan::default() };
    let rack = fixture.clone_into(name, &plan, TOOL.as_ref()).unwrap();
    let mut watch = Watch::default();
    rack.boot_first(&mut watch, &mut |_| {}).unwrap();
    rack.install(&rack.nodes()[1..3], &mut watch, at_once(), &mut |_| {}).unwrap();
    rack.wait_cluster_of(&rack.nodes()[..3]).unwrap();
    (rack, watch)
}

#[test]
fn a_bios_and_a_uefi_node_make_it_a_cluster_of_three() {
    let (rack, watch) = three_of(3, "pxe-three");
    let nodes = rack.nodes();
    for node in &watch.nodes()[1..] {
        let progress = &node.progress;
        assert!(
            progress.installer < progress.installed && progress.installed < progress.ready,
            "{} installed and came up from its drives, the network still first in its boot order: {progress:?}",
            node.spec.name
        );
    }
    for spec in nodes {
        assert_eq!(rack.api(spec).unwrap().node().unwrap().name, spec.name, "named in the order they came");
    }
    let clusters: Vec<_> = nodes.iter().map(|n| rack.api(n).unwrap().cluster().unwrap()).collect();
    for cluster in &clusters {
        assert_eq!(cluster.id, clusters[0].id);
        assert_eq!(cluster.ca_sha256, clusters[0].ca_sha256);
        assert!(!cluster.install_window.open, "the window closed behind the last machine it was opened for");
    }
    let keys: BTreeSet<&str> = clusters[0].nodes.iter().map(|n| n.key_sha256.as_str()).collect();
    assert_eq!(keys.len(), 3, "each node has a key of its own");
    let firmwares: BTreeSet<String> =
        nodes.iter().map(|n| rack.api(n).unwrap().node().unwrap().firmware).collect();
    assert_eq!(firmwares, BTreeSet::from(["bios", "uefi"].map(str::to_owned)));

    let api = rack.api(&nodes[0]).unwrap();
    let installs = api.installs().unwrap();
    assert_eq!(installs.len(), 2);
    assert!(installs.iter().all(|i| i.progress == Progress::Joined), "{installs:?}");
}

#[test]
#[ignore = "long: another installation, by four nodes that share the processors"]
fn another_node_goes_on_when_the_master_dies_in_the_middle_of_an_installation() {
    let (rack, mut watch) = three_of(4, "pxe-four");
    let [first, others @ .., fourth] = rack.nodes() else { unreachable!() };
    let api = rack.api(first).unwrap();
    api.open_window(60, 1).unwrap();
    watch.power_on(&rack, &fourth.name, None).unwrap();
    let another = rack.api(&others[0]).unwrap();
    let of_fourth =
        || another.installs().ok()?.into_iter().find(|i| fourth.rack_mac() == Some(i.mac.as_str()));
    let under_way =
        || matches!(of_fourth()?.progress, Progress::Installing { percent: 1.., .. }).then_some(());
    watch.until("the fourth to write", rack.limit(INSTALL), |_| under_way().is_some()).unwrap();
    let ticket = of_fourth().unwrap().ticket;
    rack.machine(first).power_off().unwrap();
    let heir = rack.wait_master_among(others).unwrap();
    watch.until_ready(rack.limit(INSTALL), |_| {}).unwrap();

    let rest: Vec<NodeSpec> = rack.nodes()[1..].to_vec();
    rack.wait_cluster_of(&rest).unwrap();
    let install =
        rack.api(heir).unwrap().installs().unwrap().into_iter().find(|i| i.ticket == ticket).unwrap();
    assert_eq!(install.progress, Progress::Joined, "the ticket that the first one cut: {install:?}");
    let named = rack.api(fourth).unwrap().node().unwrap().name;
    assert_eq!(named, fourth.name, "the name that the first one gave");
    let gone =
        rack.api(heir).unwrap().cluster().unwrap().nodes.into_iter().find(|n| n.name == first.name).unwrap();
    assert_eq!(gone.state, MemberState::Unreachable);
}
