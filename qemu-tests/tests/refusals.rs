//! What the installer will not do, and that it says why on the console.
#![allow(clippy::unwrap_used)] // a test fails by panicking

use std::time::Duration;

use maekin_host::wait;
use maekin_qemu_tests::answer::Answer;
use maekin_qemu_tests::disk;
use maekin_qemu_tests::node::{BootFrom, Firmware};
use maekin_qemu_tests::progress::INSTALLER;
use maekin_qemu_tests::rack::{Plan, Rack, TestRack};
use maekin_qemu_tests::release::Release;

const TOOL: &str = env!("CARGO_BIN_EXE_rack");
const LIMIT: Duration = Duration::from_secs(120);

/// Boots a node from a stick; the refusal must name every one of `parts`.
fn is_refused(rack: &mut TestRack, change: impl FnOnce(&mut Answer), parts: &[&str]) {
    let release = Release::find().unwrap();
    let mut answer = Answer::new(rack.password(), Vec::new());
    change(&mut answer);
    rack.insert_stick(&release, &answer).unwrap();
    rack.power_on_from("node-1", BootFrom::Medium).unwrap();
    let mut serial = rack.machine(&rack.nodes()[0]).serial();
    let limit = rack.limit(LIMIT);
    let outcomes = [format!("{INSTALLER}refused"), format!("{INSTALLER}done")];
    let outcomes: Vec<&str> = outcomes.iter().map(String::as_str).collect();
    let (outcome, line) = serial.expect_any("the installer to decide", &outcomes, limit).unwrap();
    assert_eq!(outcome, 0, "it was installed: {line}");
    let mut text = line;
    let said = wait::until("the whole refusal", limit, Duration::from_millis(200), || {
        while let Some(line) = serial.line().unwrap() {
            text.push_str(&line);
        }
        parts.iter().all(|part| text.contains(part)).then_some(())
    });
    assert!(said.is_ok(), "the refusal does not say all of {parts:?}: {text}");
}

fn rack(name: &str, drives: Vec<u64>) -> TestRack {
    Rack::for_test(name, &Plan { drives, ..Plan::single(Firmware::Bios) }, TOOL.as_ref()).unwrap()
}

#[test]
fn a_disk_that_is_not_blank() {
    let mut rack = rack("refuse-used", vec![10 << 30; 2]);
    let drives = rack.nodes()[0].drives.clone();
    disk::create_in_use(&drives[1].file, drives[1].size, "precious").unwrap();
    let before = drives[1].file.with_extension("before");
    std::fs::copy(&drives[1].file, &before).unwrap();
    is_refused(&mut rack, |_| {}, &[&drives[1].serial, "ext4", "precious"]);
    disk::ensure_same(&drives[1].file, &before).unwrap();
    assert!(disk::is_untouched(&drives[0].file).unwrap(), "nor to the blank one");
}

#[test]
fn disks_that_are_too_small() {
    let mut rack = rack("refuse-small", vec![4 << 30; 2]);
    is_refused(&mut rack, |_| {}, &["4.0 GiB", "8 GiB"]);
}

#[test]
fn an_answer_with_an_unknown_key() {
    let mut rack = rack("refuse-answer", vec![10 << 30; 2]);
    is_refused(&mut rack, |answer| answer.extra = "colour = \"blue\"\n".to_owned(), &["colour", "line"]);
}
