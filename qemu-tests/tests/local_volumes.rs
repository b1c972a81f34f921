//! Local volumes on one node: made, written, copied, through a power cut, and a pool that is full.
#![allow(clippy::unwrap_used)] // a test fails by panicking

use std::time::Duration;

use maekin_api::storage::{PoolMode, Storage};
use maekin_api::volumes::{AttachmentState, HealthState, Volume};
use maekin_host::wait;
use maekin_qemu_tests::fixture::Fixture;
use maekin_qemu_tests::node::Firmware;
use maekin_qemu_tests::rack::{Plan, TestRack, Watch};

const TOOL: &str = env!("CARGO_BIN_EXE_rack");
/// For a step of the agent, and what it takes of LVM.
const STEP: Duration = Duration::from_secs(60);
/// For a pool of some gigabytes to be filled.
const FILL: Duration = Duration::from_secs(240);

fn run(rack: &TestRack, command: &str) -> String {
    rack.ssh(&rack.nodes()[0], command).unwrap()
}

fn volume(rack: &TestRack, name: &str) -> Volume {
    rack.api(&rack.nodes()[0]).unwrap().get(&format!("/v1/volumes/{name}")).unwrap()
}

fn storage(rack: &TestRack) -> Storage {
    rack.api(&rack.nodes()[0]).unwrap().get("/v1/storage").unwrap()
}

/// Attaches a volume; its device.
fn attach(rack: &TestRack, name: &str) -> String {
    run(rack, &format!("maekin volume attach {name} --purpose test --wait"));
    volume(rack, name).attachment.unwrap().device.unwrap()
}

/// Waits until something is so.
fn until(rack: &TestRack, what: &str, limit: Duration, is: impl Fn() -> bool) {
    let waited = wait::until(what, rack.limit(limit), Duration::from_secs(1), || is().then_some(()));
    assert!(waited.is_ok(), "{what}: {:#?}", storage(rack));
}

#[test]
#[ignore = "long: fills a pool"]
fn local_volumes_keep_what_was_written_through_a_power_cut_and_a_full_pool() {
    let fixture = Fixture::get(Firmware::Bios, TOOL.as_ref()).unwrap();
    let rack = fixture.clone_into("local-volumes", &Plan::single(Firmware::Bios), TOOL.as_ref()).unwrap();
    rack.boot_first(&mut Watch::default(), &mut |_| {}).unwrap();
    until(&rack, "room for local volumes", STEP, || {
        storage(&rack).classes.iter().any(|class| class.available)
    });
    run(&rack, "maekin volume create db --size 256M --wait");
    assert_eq!(volume(&rack, "db").health.state, HealthState::Whole);

    // Written, kept by a snapshot, written on; the clone has the former alone.
    let device = attach(&rack, "db");
    run(&rack, &format!("mkfs.ext4 -q {device} && mkdir -p /run/db && mount {device} /run/db"));
    run(&rack, "head -c 20M /dev/urandom > /run/db/one && sync -f /run/db");
    let sum = run(&rack, "sha256sum < /run/db/one");
    run(&rack, "maekin volume snapshot db monday --wait");
    run(&rack, "echo later > /run/db/two && sync -f /run/db");
    run(&rack, "maekin volume clone db copy --snapshot monday --size 512M --wait");
    let copy = attach(&rack, "copy");
    run(&rack, &format!("mkdir -p /run/copy && mount {copy} /run/copy"));
    assert_eq!(run(&rack, "sha256sum < /run/copy/one"), sum);
    run(&rack, "test ! -e /run/copy/two && umount /run/copy");
    assert_eq!(run(&rack, &format!("blockdev --getsize64 {copy}")).trim(), "536870912");
    run(&rack, "maekin volume detach copy --wait");
    run(&rack, "maekin volume detach db");
    assert_eq!(volume(&rack, "db").attachment.unwrap().state, AttachmentState::Detaching, "it is mounted");
    run(&rack, "umount /run/db");
    until(&rack, "the volume to be given up", STEP, || volume(&rack, "db").attachment.is_none());
    attach(&rack, "db");
    run(&rack, &format!("mount {device} /run/db && echo last > /run/db/three && sync -f /run/db"));

    // The power fails while it is mounted.
    rack.machine(&rack.nodes()[0]).power_off().unwrap();
    rack.boot_first(&mut Watch::default(), &mut |_| {}).unwrap();
    until(&rack, "the volume to be attached again", STEP, || {
        let now = volume(&rack, "db");
        now.attachment.is_some_and(|a| a.state == AttachmentState::Attached)
            && now.health.state == HealthState::Whole
    });
    run(&rack, &format!("mkdir -p /run/db && mount {device} /run/db"));
    assert_eq!(run(&rack, "sha256sum < /run/db/one"), sum);
    assert_eq!(run(&rack, "cat /run/db/two /run/db/three"), "later\nlast\n");

    // A pool that is full says no, at once, and loses nothing; before that it grows into what its group has left.
    let node = storage(&rack).classes[0].nodes[0].clone();
    let room = node.capacity + node.growable;
    run(&rack, &format!("maekin volume create big --size {room} --wait"));
    let big = attach(&rack, "big");
    let (mut done, mut before) = (0, node);
    loop {
        let said = run(&rack, &format!("dd if=/dev/zero of={big} bs=4M seek={done} oflag=direct 2>&1; true"));
        assert!(said.contains("No space left") || said.contains("Input/output error"), "{said}");
        let bytes = said.lines().find_map(|line| line.split_once(" bytes")?.0.parse::<u64>().ok());
        done += bytes.unwrap() / (4 << 20);
        if before.growable == 0 {
            break;
        }
        until(&rack, "the pool to grow", FILL, || {
            storage(&rack).classes[0].nodes[0].capacity > before.capacity
        });
        before = storage(&rack).classes[0].nodes[0].clone();
    }
    until(&rack, "the pool to be called full", FILL, || {
        let now = storage(&rack);
        now.classes[0].nodes[0].mode == PoolMode::Full
            && now.alarms.iter().any(|told| told.alarm.id == "local-pool-room")
    });
    assert_eq!(volume(&rack, "db").health.state, HealthState::AtRisk);
    run(&rack, "echo 3 > /proc/sys/vm/drop_caches");
    assert_eq!(run(&rack, "sha256sum < /run/db/one"), sum);
    run(&rack, "maekin volume detach big --wait && maekin volume delete big --yes");
    until(&rack, "the pool to have room again", STEP, || {
        let now = storage(&rack);
        now.alarms.is_empty() && volume(&rack, "db").health.state == HealthState::Whole
    });
    run(&rack, "echo more > /run/db/four && sync -f /run/db && umount /run/db");
    run(&rack, "maekin volume detach db --wait && maekin volume delete db --snapshots --yes");
    run(&rack, "maekin volume delete copy --yes");
    until(&rack, "nothing to be left", STEP, || storage(&rack).classes[0].volumes == 0);
    let left = run(&rack, "lvs --noheadings --options lv_name maekin");
    assert_eq!(left.trim(), "local", "{left}");
}
