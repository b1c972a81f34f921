//! The first node installs the rest of the rack over the network, and all of them are one cluster.
#![allow(clippy::unwrap_used)] // a test fails by panicking

use std::collections::BTreeSet;
use std::time::Duration;

use maekin_api::install::Progress;
use maekin_host::wait;
use maekin_qemu_tests::fixture::Fixture;
use maekin_qemu_tests::node::Firmware;
use maekin_qemu_tests::rack::{Firmwares, Plan, Watch, at_once};

const TOOL: &str = env!("CARGO_BIN_EXE_rack");

#[test]
fn a_bios_and_a_uefi_node_make_it_a_cluster_of_three() {
    let fixture = Fixture::get(Firmware::Bios, TOOL.as_ref()).unwrap();
    let plan = Plan { firmwares: Firmwares::Mixed, ..Plan::default() };
    let rack = fixture.clone_into("pxe-three", &plan, TOOL.as_ref()).unwrap();
    let mut watch = Watch::default();
    rack.boot_first(&mut watch, &mut |_| {}).unwrap();

    rack.install_others(&mut watch, at_once(), &mut |_| {}).unwrap();
    for node in &watch.nodes()[1..] {
        let progress = &node.progress;
        assert!(
            progress.installer < progress.installed && progress.installed < progress.ready,
            "{} installed and came up from its drives, the network still first in its boot order: {progress:?}",
            node.spec.name
        );
    }

    rack.wait_one_cluster().unwrap();
    for spec in rack.nodes() {
        assert_eq!(rack.api(spec).unwrap().node().unwrap().name, spec.name, "named in the order they came");
    }
    let clusters: Vec<_> = rack.nodes().iter().map(|n| rack.api(n).unwrap().cluster().unwrap()).collect();
    for cluster in &clusters {
        assert_eq!(cluster.id, clusters[0].id);
        assert_eq!(cluster.ca_sha256, clusters[0].ca_sha256);
        assert!(!cluster.install_window.open, "the window closed behind the last machine it was opened for");
    }
    let keys: BTreeSet<&str> = clusters[0].nodes.iter().map(|n| n.key_sha256.as_str()).collect();
    assert_eq!(keys.len(), 3, "each node has a key of its own");
    let firmwares: BTreeSet<String> =
        rack.nodes().iter().map(|n| rack.api(n).unwrap().node().unwrap().firmware).collect();
    assert_eq!(firmwares, BTreeSet::from(["bios", "uefi"].map(str::to_owned)));

    let installs = rack.api(&rack.nodes()[0]).unwrap().installs().unwrap();
    assert_eq!(installs.len(), 2);
    assert!(installs.iter().all(|i| i.progress == Progress::Joined), "{installs:?}");
}

#[test]
fn nobody_is_installed_while_the_window_is_closed() {
    let fixture = Fixture::get(Firmware::Bios, TOOL.as_ref()).unwrap();
    let plan = Plan { nodes: 2, firmwares: Firmwares::All(Firmware::Bios), ..Plan::default() };
    let rack = fixture.clone_into("pxe-closed", &plan, TOOL.as_ref()).unwrap();
    let mut watch = Watch::default();
    rack.boot_first(&mut watch, &mut |_| {}).unwrap();
    let api = rack.api(&rack.nodes()[0]).unwrap();

    rack.wait_master().unwrap();
    rack.power_on("node-2").unwrap();
    let stranger = rack.node("node-2").unwrap();
    let seen = wait::until(
        "the first node to see the stranger",
        rack.limit(Duration::from_secs(60)),
        Duration::from_secs(1),
        || api.get::<Vec<maekin_api::install::SeenMachine>>(maekin_api::MACHINES).ok()?.pop(),
    )
    .unwrap();
    assert_eq!(Some(seen.mac.as_str()), stranger.rack_mac());
    assert_eq!(api.installs().unwrap(), []);
    let first_drive = &stranger.drives[0].file;
    assert!(maekin_qemu_tests::disk::is_untouched(first_drive).unwrap(), "not a sector was written");
}
