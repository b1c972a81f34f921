//! Either drive alone boots the node, with a firmware that remembers nothing.
#![allow(clippy::unwrap_used)] // a test fails by panicking

use maekin_api::node::Membership;
use maekin_qemu_tests::fixture::Fixture;
use maekin_qemu_tests::node::Firmware;
use maekin_qemu_tests::rack::{Plan, Watch};

const TOOL: &str = env!("CARGO_BIN_EXE_rack");

fn boots_with_only(kept: usize, firmware: Firmware) {
    let name = format!("only-{kept}-{firmware}").to_lowercase();
    let fixture = Fixture::get(firmware, TOOL.as_ref()).unwrap();
    let mut rack = fixture.clone_into(&name, &Plan::single(firmware), TOOL.as_ref()).unwrap();
    let spec = rack.nodes()[0].clone();
    rack.pull("node-1", 1 - kept).unwrap();
    rack.machine(&spec).forget_nvram(&spec).unwrap();

    let mut watch = Watch::default();
    rack.boot_first(&mut watch, &mut |_| {}).unwrap();

    let node = rack.api(&spec).unwrap().node().unwrap();
    assert!(!node.boot.arrays.is_empty());
    for array in &node.boot.arrays {
        assert!(array.degraded() && array.in_sync == 1, "one half is gone and the other whole: {array:?}");
    }
    assert!(matches!(node.membership, Membership::Member { .. }), "{:?}", node.membership);
}

#[test]
fn drive_a_bios() {
    boots_with_only(0, Firmware::Bios);
}

#[test]
fn drive_b_bios() {
    boots_with_only(1, Firmware::Bios);
}

#[test]
fn drive_a_uefi() {
    boots_with_only(0, Firmware::Uefi);
}

#[test]
fn drive_b_uefi() {
    boots_with_only(1, Firmware::Uefi);
}
