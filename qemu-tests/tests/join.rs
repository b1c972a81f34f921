//! A node that was installed from a stick, with a join token in its answers, is a member as soon as it starts, also where
//! its firmware asks the network first. When its boot drives are replaced, the network installs it again: it comes back as
//! itself, and what matters on its other drives stays.
#![allow(clippy::unwrap_used)] // a test fails by panicking

use std::time::Duration;

use maekin_api::cluster::MemberState;
use maekin_api::install::{Progress, Standing};
use maekin_api::trust::TokenState;
use maekin_qemu_tests::answer::Answer;
use maekin_qemu_tests::fixture::Fixture;
use maekin_qemu_tests::node::{BootFrom, Bus, Drive, Firmware};
use maekin_qemu_tests::rack::{Firmwares, Plan, Rack, Watch};
use maekin_qemu_tests::release::Release;
use maekin_qemu_tests::{disk, ssh};

const TOOL: &str = env!("CARGO_BIN_EXE_rack");
/// Power-on to ready, the installation included, by hardware virtualisation.
const INSTALL: Duration = Duration::from_secs(5 * 60);

/// Makes an OSD of the drive with serial number `N02D2`, with Ceph's own program and no cluster behind it.
const MAKE_OSD: &str =
    "set -e; mkdir -p /run/osd /var/run/ceph; ln -s $(readlink -f /dev/disk/by-id/virtio-N02D2) /run/osd/block
    ceph-osd -i 7 --mkfs --no-mon-config --osd-objectstore bluestore --osd-data /run/osd \
      --fsid 5a2f8c1e-6d0b-4d55-9b1f-7f1f3a1c0d07 --osd-uuid 0f6a1c1e-3b7e-4c3a-8f0e-2d9b7a5c4e07 2>&1
    ceph-bluestore-tool show-label --dev /run/osd/block; sync";

/// Gives a node a third drive, which nobody installs anything on.
fn give_spare(rack: &mut Rack, name: &str) -> Drive {
    let spare = Drive {
        file: rack.dir().join(name).join("spare.qcow2"),
        size: 12 << 30,
        sector: 512,
        serial: "N02D2".to_owned(),
        bus: Bus::Virtio,
        plugged: true,
        socket: None,
    };
    disk::create(&spare.file, spare.size).unwrap();
    rack.change(name, |node| node.drives.push(spare.clone())).unwrap();
    spare
}

#[test]
fn join_a_stick_with_a_token_makes_a_member_that_comes_back_with_new_boot_drives_and_keeps_its_osd() {
    let fixture = Fixture::get(Firmware::Bios, TOOL.as_ref()).unwrap();
    let plan = Plan { nodes: 2, firmwares: Firmwares::Mixed, ..Plan::default() };
    let mut rack = fixture.clone_into("join-token", &plan, TOOL.as_ref()).unwrap();
    let spare = give_spare(&mut rack, "node-2");
    let mut watch = Watch::default();
    rack.boot_first(&mut watch, &mut |_| {}).unwrap();
    let nodes = rack.nodes().to_vec();
    let (first, second) = (&nodes[0], &nodes[1]);

    let api = rack.api(first).unwrap();
    let made = api.make_join_token(1, 60, "the second, from a stick").unwrap();
    let mut answer = Answer::new(rack.password(), vec![ssh::make_key(rack.dir()).unwrap()]);
    answer.token = Some(made.token.expose().to_owned());
    answer.mirror = second.drives[..2].iter().map(|drive| format!("serial:{}", drive.serial)).collect();
    rack.insert_stick_into(&second.name, &Release::find().unwrap(), &answer).unwrap();
    assert_eq!(
        second.boot[0],
        BootFrom::Nic(0),
        "its firmware asks the network first, whatever is on its drives"
    );
    watch.power_on(&rack, &second.name, Some(BootFrom::Medium)).unwrap();
    watch.until_ready(rack.limit(INSTALL), |_| {}).unwrap();

    rack.wait_cluster_of(&nodes).unwrap();
    let clusters: Vec<_> = nodes.iter().map(|n| rack.api(n).unwrap().cluster().unwrap()).collect();
    assert_eq!(clusters[0].id, clusters[1].id);
    assert_eq!(clusters[0].ca_sha256, clusters[1].ca_sha256);
    let second_id = rack.api(second).unwrap().node().unwrap().id;
    let known = api.join_tokens().unwrap().into_iter().find(|t| t.id == made.info.id).unwrap();
    assert_eq!(known.state, TokenState::Used, "it was for one node: {known:?}");
    assert_eq!(known.used.iter().map(|used| used.node_id.as_str()).collect::<Vec<_>>(), [second_id.as_str()]);
    assert!(api.installs().unwrap().is_empty(), "the network installed nobody");
    let seen = api.machines().unwrap();
    let [seen] = seen.as_slice() else { panic!("it waited, and started what it has: {seen:?}") };
    assert!(
        matches!(&seen.standing, Standing::Installed { hostname } if *hostname == second.name),
        "{seen:?}"
    );

    let member = |name: &str| {
        let all = api.cluster().unwrap().nodes;
        let found: Vec<_> = all.into_iter().filter(|n| n.name == name).collect();
        assert_eq!(found.len(), 1, "one member of that name: {found:?}");
        found[0].clone()
    };
    let before = member("node-2");
    let made = rack.ssh(second, MAKE_OSD).unwrap();
    assert!(made.contains("\"whoami\": \"7\""), "Ceph made an OSD: {made}");

    // The boot drives die; the drive with the OSD stays. Nobody asked for anything yet, and the stick is gone.
    rack.machine(second).power_off().unwrap();
    let kept = spare.file.with_extension("before");
    std::fs::copy(&spare.file, &kept).unwrap();
    rack.change("node-2", |node| node.medium = None).unwrap();
    for bay in 0..2 {
        let blank = rack.blank_drive("node-2", bay, &format!("NEW{bay}")).unwrap();
        rack.pull("node-2", bay).unwrap();
        rack.insert("node-2", bay, blank).unwrap();
    }
    let nobody = format!("{:#}", api.reinstall("node-9").unwrap_err());
    assert!(nobody.contains("there is no member"), "{nobody}");
    let own = format!("{:#}", api.reinstall("node-1").unwrap_err());
    assert!(own.contains("holds the cluster's record"), "{own}");
    assert_eq!(api.reinstall("node-2").unwrap().id, before.id);

    watch.power_on(&rack, "node-2", None).unwrap();
    watch.until_ready(rack.limit(INSTALL), |_| {}).unwrap();
    rack.wait_one_cluster().unwrap();
    disk::ensure_same(&spare.file, &kept).unwrap();
    let after = member("node-2");
    assert_eq!((after.state, after.address.clone()), (MemberState::Ready, before.address));
    assert!(after.id != before.id && after.key_sha256 != before.key_sha256, "with a key of its own");
    assert_eq!(rack.api(second).unwrap().node().unwrap().name, "node-2");
    let installs = api.installs().unwrap();
    let [install] = installs.as_slice() else { panic!("the network installed it once: {installs:?}") };
    assert_eq!(install.progress, Progress::Joined, "{install:?}");
    let receipt = rack.ssh(second, "cat /var/lib/maekin/receipt.json").unwrap();
    let receipt: serde_json::Value = serde_json::from_str(&receipt).unwrap();
    let named = receipt["kept"].to_string();
    assert!(named.contains("N02D2") && named.contains("OSD 7"), "the receipt names what was kept: {named}");
    assert_eq!(receipt["lost"], serde_json::json!([]), "and nothing was lost");
}
