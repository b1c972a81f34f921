//! The virtual rack itself, with nothing installed: what the other tests stand on. Needs no image.
#![allow(clippy::unwrap_used)] // a test fails by panicking

use std::time::Duration;

use maekin_host::wait;
use maekin_qemu_tests::node::{BootFrom, Firmware, Nic};
use maekin_qemu_tests::rack::{Firmwares, Plan, Rack};

const TOOL: &str = env!("CARGO_BIN_EXE_rack");
const LIMIT: Duration = Duration::from_secs(120);

fn bare(name: &str, plan: &Plan) -> maekin_qemu_tests::rack::TestRack {
    Rack::for_test(name, plan, TOOL.as_ref()).unwrap()
}

/// Frames that the switch has received from a node.
fn received(rack: &Rack, node: &str) -> u64 {
    let status = rack.switch().status().unwrap();
    let line = status.lines().find(|line| line.starts_with(node)).unwrap();
    let field = line.split_whitespace().find_map(|field| field.strip_prefix("received=")).unwrap();
    field.parse().unwrap()
}

fn network_first(rack: &mut Rack, node: &str) {
    rack.change(node, |n| n.boot.insert(0, BootFrom::Nic(0))).unwrap();
}

#[test]
fn both_firmwares_ask_the_network_for_a_system() {
    let mut rack = bare(
        "harness-net",
        &Plan { nodes: 2, firmwares: Firmwares::Mixed, memory_mib: 256, ..Plan::default() },
    );
    network_first(&mut rack, "node-1");
    for node in ["node-1", "node-2"] {
        rack.power_on(node).unwrap();
    }
    wait::until("frames from both nodes", LIMIT, Duration::from_millis(200), || {
        (received(&rack, "node-1") > 0 && received(&rack, "node-2") > 0).then_some(())
    })
    .unwrap();
    let machine = rack.machine(rack.node("node-2").unwrap());
    machine.serial().expect("OVMF to name the network", "PXE", LIMIT).unwrap();

    rack.switch().set_up("node-1", false).unwrap();
    assert!(rack.switch().status().unwrap().contains("node-1 down connected"));
}

#[test]
fn power_screen_and_drives() {
    let mut rack =
        bare("harness-power", &Plan { memory_mib: 256, sector: 4096, ..Plan::single(Firmware::Uefi) });
    let node = rack.node("node-1").unwrap().clone();
    let machine = rack.machine(&node);
    assert!(!machine.is_on());
    rack.power_on("node-1").unwrap();
    assert!(rack.power_on("node-1").unwrap_err().to_string().contains("on already"));
    assert_eq!(machine.qmp().status().unwrap(), "running");

    machine.qmp().freeze().unwrap();
    assert_eq!(machine.qmp().status().unwrap(), "paused");
    machine.qmp().thaw().unwrap();

    let screen = rack.dir().join("screen.png");
    machine.qmp().screendump(&screen).unwrap();
    assert!(std::fs::read(&screen).unwrap().starts_with(b"\x89PNG"), "a screen dump is a PNG");

    assert!(machine.qmp().has_device("disk0").unwrap() && machine.qmp().has_device("disk1").unwrap());
    machine.qmp().set_link("nic0", false).unwrap();
    machine.qmp().reset().unwrap();
    machine.power_off().unwrap();
    assert!(!machine.is_on());

    rack.pull("node-1", 0).unwrap();
    rack.power_on("node-1").unwrap();
    assert!(!machine.qmp().has_device("disk0").unwrap(), "a pulled drive is not there");
    machine.power_off().unwrap();
    rack.plug("node-1", 0).unwrap();

    std::fs::write(machine.nvram(), b"not an NVRAM").unwrap();
    machine.forget_nvram(&node).unwrap();
    rack.power_on("node-1").unwrap();
    assert!(std::fs::metadata(machine.nvram()).unwrap().len() > 100_000, "it has an empty NVRAM again");
}

#[test]
fn a_rack_that_outlives_its_maker_is_found_and_ended() {
    /// Ends what a failed assertion, now or in an earlier run, would leave behind.
    struct Ended<'a>(&'a std::path::Path);
    impl Drop for Ended<'_> {
        fn drop(&mut self) {
            if let Ok(left) = Rack::open(self.0) {
                left.down().unwrap();
            }
        }
    }
    let dir = maekin_qemu_tests::release::out().join("t/harness-life");
    drop(Ended(&dir));
    let _ended = Ended(&dir);
    let plan = Plan { memory_mib: 128, ..Plan::single(Firmware::Bios) };
    let made = Rack::create(&dir, &plan, maekin_host::procs::Life::Detached, TOOL.as_ref()).unwrap();
    made.power_on("node-1").unwrap();
    drop(made);

    let found = Rack::open(&dir).unwrap();
    assert!(found.is_running());
    assert!(found.switch().status().unwrap().contains("node-1 up connected"));
    let again = Rack::create(&dir, &plan, maekin_host::procs::Life::Detached, TOOL.as_ref());
    assert!(again.is_err_and(|e| e.to_string().contains("cargo xtask down")));
    found.down().unwrap();
    assert!(!dir.exists(), "nothing is left behind");
}

#[test]
fn a_failure_to_start_is_told_in_qemus_words() {
    let mut rack = bare("harness-fail", &Plan { memory_mib: 128, ..Plan::single(Firmware::Bios) });
    rack.change("node-1", |node| {
        node.nics.push(Nic::Rack { mac: "nonsense".to_owned(), socket: "/nonexistent".into() });
    })
    .unwrap();
    let err = format!("{:#}", rack.power_on("node-1").unwrap_err());
    assert!(err.contains("node-1") && err.contains("nonsense"), "{err}");
}
