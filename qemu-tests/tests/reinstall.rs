//! A machine is installed once, whatever it starts from; and when it is installed again, what matters stays.
#![allow(clippy::unwrap_used)] // a test fails by panicking

use std::collections::BTreeSet;
use std::time::Duration;

use maekin_api::cluster::MemberState;
use maekin_host::wait;
use maekin_qemu_tests::answer::Answer;
use maekin_qemu_tests::disk;
use maekin_qemu_tests::fixture::Fixture;
use maekin_qemu_tests::node::{BootFrom, Bus, Drive, Firmware};
use maekin_qemu_tests::progress::{INSTALLER, READY};
use maekin_qemu_tests::rack::{Firmwares, Plan, Watch, at_once};
use maekin_qemu_tests::release::Release;
use maekin_qemu_tests::serial::Serial;

const TOOL: &str = env!("CARGO_BIN_EXE_rack");
/// By hardware virtualisation.
const MENU_LIMIT: Duration = Duration::from_secs(30);
const INSTALLER_LIMIT: Duration = Duration::from_secs(60);
const NODE_LIMIT: Duration = Duration::from_secs(300);

/// Makes an OSD of the drive with serial number `N02D2`, with Ceph's own program and no cluster behind it.
const MAKE_OSD: &str =
    "set -e; mkdir -p /run/osd /var/run/ceph; ln -s $(readlink -f /dev/disk/by-id/virtio-N02D2) /run/osd/block
    ceph-osd -i 7 --mkfs --no-mon-config --osd-objectstore bluestore --osd-data /run/osd \
      --fsid 5a2f8c1e-6d0b-4d55-9b1f-7f1f3a1c0d07 --osd-uuid 0f6a1c1e-3b7e-4c3a-8f0e-2d9b7a5c4e07 2>&1
    ceph-bluestore-tool show-label --dev /run/osd/block; sync";

#[test]
fn a_node_with_new_boot_drives_comes_back_as_itself_and_keeps_its_osd() {
    let fixture = Fixture::get(Firmware::Bios, TOOL.as_ref()).unwrap();
    let plan = Plan { nodes: 2, firmwares: Firmwares::All(Firmware::Bios), ..Plan::default() };
    let mut rack = fixture.clone_into("reinstall-osd", &plan, TOOL.as_ref()).unwrap();
    let spare = Drive {
        file: rack.dir().join("node-2/spare.qcow2"),
        size: 12 << 30,
        sector: 512,
        serial: "N02D2".to_owned(),
        bus: Bus::Virtio,
        plugged: true,
        socket: None,
    };
    disk::create(&spare.file, spare.size).unwrap();
    rack.change("node-2", |node| node.drives.push(spare.clone())).unwrap();
    let mut watch = Watch::default();
    rack.boot_first(&mut watch, &mut |_| {}).unwrap();
    rack.install_others(&mut watch, at_once(), &mut |_| {}).unwrap();
    rack.wait_one_cluster().unwrap();
    let (first, second) = (rack.nodes()[0].clone(), rack.nodes()[1].clone());
    let api = rack.api(&first).unwrap();
    let member = |name: &str| {
        let all = api.cluster().unwrap().nodes;
        let found: Vec<_> = all.into_iter().filter(|n| n.name == name).collect();
        assert_eq!(found.len(), 1, "one member of that name: {found:?}");
        found[0].clone()
    };
    let before = member("node-2");
    let made = rack.ssh(&second, MAKE_OSD).unwrap();
    assert!(made.contains("\"whoami\": \"7\""), "Ceph made an OSD: {made}");

    // The boot drives die; the drive with the OSD stays. Nobody asked for anything yet.
    rack.machine(&second).power_off().unwrap();
    let kept = spare.file.with_extension("before");
    std::fs::copy(&spare.file, &kept).unwrap();
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
    watch.until_ready(rack.limit(NODE_LIMIT), |_| {}).unwrap();
    rack.wait_one_cluster().unwrap();
    disk::ensure_same(&spare.file, &kept).unwrap();
    let after = member("node-2");
    assert_eq!((after.state, after.address.clone()), (MemberState::Ready, before.address));
    assert!(after.id != before.id && after.key_sha256 != before.key_sha256, "with a key of its own");
    assert_eq!(rack.api(&second).unwrap().node().unwrap().name, "node-2");
    assert_eq!(api.installs().unwrap().len(), 1, "the old installation is forgotten");
    let receipt = rack.ssh(&second, "cat /var/lib/maekin/receipt.json").unwrap();
    let receipt: serde_json::Value = serde_json::from_str(&receipt).unwrap();
    let named = receipt["kept"].to_string();
    assert!(named.contains("N02D2") && named.contains("OSD 7"), "the receipt names what was kept: {named}");
    assert_eq!(receipt["lost"], serde_json::json!([]), "and nothing was lost");
}

/// Waits until the medium's menu is there as it is where the machine is installed, and chooses its second entry.
fn choose_install(serial: &mut Serial, limit: Duration) {
    serial.expect("the medium's menu", "anew, over what is there", limit).unwrap();
    serial.send("\x0e\n").unwrap(); // Ctrl-N is one entry down (GRUB manual, "The menu interface")
}

/// Takes in whole lines until `enough` was said; returns them.
fn said_until(serial: &mut Serial, what: &str, limit: Duration, enough: impl Fn(&str) -> bool) -> String {
    let mut said = String::new();
    let heard = wait::until(what, limit, Duration::from_millis(200), || {
        while let Some(line) = serial.line().unwrap() {
            said += &line;
            said.push('\n');
        }
        enough(&said).then_some(())
    });
    assert!(heard.is_ok(), "{heard:?}; it said: {said}");
    said
}

/// The words of `text` that have `length` characters in `groups` groups.
fn grouped(text: &str, length: usize, groups: usize) -> BTreeSet<String> {
    let words = text.split(|c: char| c.is_whitespace() || "\";,()".contains(c));
    let fits = |word: &&str| word.len() == length && word.split('-').count() == groups;
    words.filter(fits).map(str::to_owned).collect()
}

/// The consent tokens of the node's own drives.
fn tokens(text: &str) -> BTreeSet<String> {
    text.lines().filter(|line| line.contains("serial N01D")).flat_map(|line| grouped(line, 19, 4)).collect()
}

#[test]
#[ignore = "long: an installation and four starts"]
fn a_forgotten_stick_starts_what_is_installed_and_a_wish_is_fulfilled_once() {
    let fixture = Fixture::get(Firmware::Bios, TOOL.as_ref()).unwrap();
    let plan = Plan::single(Firmware::Bios);
    let mut rack = fixture.clone_into("reinstall-stick", &plan, TOOL.as_ref()).unwrap();
    let release = Release::find().unwrap();
    let mut answer = Answer::new(rack.password(), Vec::new());
    rack.insert_stick(&release, &answer).unwrap();
    rack.change("node-1", |node| node.boot.insert(0, BootFrom::Medium)).unwrap();
    let spec = rack.nodes()[0].clone();
    let machine = rack.machine(&spec);
    let limits = [MENU_LIMIT, INSTALLER_LIMIT, NODE_LIMIT].map(|limit| rack.limit(limit));

    // Somebody chooses to install, and has not consented to what would be lost.
    let mut serial = machine.serial();
    serial.skip().unwrap();
    rack.power_on("node-1").unwrap();
    choose_install(&mut serial, limits[0]);
    let said = said_until(&mut serial, "a token for each drive", limits[1], |said| tokens(said).len() == 2);
    machine.power_off().unwrap();
    let shown = std::fs::read(machine.serial_log()).unwrap(); // firmware says what is no UTF-8
    let shown = String::from_utf8_lossy(&shown);
    assert!(shown.contains("Start the installed system: node-1"), "the first choice");
    answer.consent = tokens(&said).into_iter().collect();
    let ids = grouped(&said, 36, 5);
    let id = ids.first().expect("the installation is named");

    // The wish names this installation; nobody touches a key. What comes of it is another installation.
    let stick = spec.drives[0].file.with_file_name("stick.iso");
    release.write_answer(&answer.toml(&spec), Some(id), &stick).unwrap();
    serial.skip().unwrap();
    rack.power_on("node-1").unwrap();
    serial.expect("the installation", "maekin-install: done", limits[2]).unwrap();
    serial.expect("the menu to start it", "Starting the installed system", limits[1]).unwrap();
    let lines = serial.expect_any("the node", &[READY, INSTALLER], limits[2]).unwrap();
    assert_eq!(
        lines.0, 0,
        "the stick and its wish are still there, and it is not installed again: {lines:?}"
    );
    machine.power_off().unwrap();

    // Started once more, as where the menu does not see the drives: the installer says that its work is done, and when
    // nobody is there to press a key, it starts what is installed.
    serial.skip().unwrap();
    rack.power_on("node-1").unwrap();
    choose_install(&mut serial, limits[0]);
    let done = "this medium has installed this machine already";
    let said = said_until(&mut serial, done, limits[1], |said| said.contains(done));
    assert!(said.contains("node-1") && !said.contains(id), "it names the new installation: {said}");
    serial.expect("the node", READY, limits[2]).unwrap();
    let node = rack.api(&spec).unwrap().node().unwrap();
    assert!(node.boot.arrays.iter().all(|array| !array.degraded()), "with all that it has: {node:?}");
}
