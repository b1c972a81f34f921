//! A machine is installed once, whatever it starts from. (What stays when it is installed again: `join.rs`.)
#![allow(clippy::unwrap_used)] // a test fails by panicking

use std::collections::BTreeSet;
use std::time::Duration;

use maekin_host::wait;
use maekin_qemu_tests::answer::Answer;
use maekin_qemu_tests::fixture::Fixture;
use maekin_qemu_tests::node::{BootFrom, Firmware};
use maekin_qemu_tests::progress::{INSTALLER, READY};
use maekin_qemu_tests::rack::Plan;
use maekin_qemu_tests::release::Release;
use maekin_qemu_tests::serial::Serial;

const TOOL: &str = env!("CARGO_BIN_EXE_rack");
/// By hardware virtualisation.
const MENU_LIMIT: Duration = Duration::from_secs(30);
const INSTALLER_LIMIT: Duration = Duration::from_secs(60);
const NODE_LIMIT: Duration = Duration::from_secs(300);

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
