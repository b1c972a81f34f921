//! Installs from a stick on further kinds of drives, with `--long`. Sectors of 4096 bytes on NVMe, and a single drive, are
//! installed on and lived with in `mirror`.
#![allow(clippy::unwrap_used)] // a test fails by panicking

use maekin_qemu_tests::answer::Answer;
use maekin_qemu_tests::node::{Bus, Firmware};
use maekin_qemu_tests::rack::{Plan, Rack, Watch};
use maekin_qemu_tests::release::Release;

const TOOL: &str = env!("CARGO_BIN_EXE_rack");

fn installs_on(name: &str, plan: &Plan) {
    let release = Release::find().unwrap();
    let mut rack = Rack::for_test(name, plan, TOOL.as_ref()).unwrap();
    let answer = Answer::new(rack.password(), Vec::new());
    rack.insert_stick(&release, &answer).unwrap();
    rack.boot_first(&mut Watch::default(), &mut |_| {}).unwrap();
    let node = rack.api(&rack.nodes()[0]).unwrap().node().unwrap();
    assert_eq!(node.boot.disks.len(), plan.drives.len(), "{:?}", node.boot.disks);
    for array in &node.boot.arrays {
        assert_eq!(array.in_sync as usize, plan.drives.len(), "{array:?}");
    }
}

#[test]
#[ignore = "long: sweep over kinds of drives"]
fn nvme_by_bios() {
    installs_on("drives-nvme", &Plan { bus: Bus::Nvme, ..Plan::single(Firmware::Bios) });
}

#[test]
#[ignore = "long: sweep over kinds of drives"]
fn scsi_by_uefi() {
    installs_on("drives-scsi", &Plan { bus: Bus::Scsi, ..Plan::single(Firmware::Uefi) });
}

#[test]
#[ignore = "long: sweep over kinds of drives"]
fn drives_of_unequal_size() {
    installs_on("drives-unequal", &Plan { drives: vec![10 << 30, 12 << 30], ..Plan::single(Firmware::Uefi) });
}
