//! The mirror, proved: each boot drive is lost in turn, while the node runs and across a power cut, and made whole again
//! with no command typed.
//!
//! A *cell* is {drive lost} x {firmware} x {NVRAM} x {bytes of a sector}. It passes when the drive was pulled out of the
//! running node (the node goes on: its API answers, `/var` takes a write, an alarm is in the API within ten seconds of the
//! node's clock and on the console), and the node then started from the other drive alone, with its NVRAM as it was or
//! empty. BIOS has no NVRAM, so one start counts for both. BIOS with 4096-byte sectors is refused by the installer.
//!
//! | chain (one test, one guest) | drive 1: kept, empty | drive 2: kept, empty | besides |
//! | --- | --- | --- | --- |
//! | [`bios_512`] | pull, start | pull, start | a drive that dies where it is; halves that differ; a blank drive healed |
//! | [`uefi_512`] | pull, start, start | pull, start, start | a trial boot; a blank drive healed; boot entries back in an empty NVRAM; among the long sweeps |
//! | [`uefi_4096`] | pull, start, start | pull, start, start | NVMe; from the installation on; among the long sweeps |
//!
//! Every run has the first chain, and the first half of the second.
//!
//! In each chain drive 2 is lost after a blank drive took the place of drive 1: what starts then is the healed drive.
#![allow(clippy::unwrap_used)] // a test fails by panicking

mod cells;
mod chain;

use std::collections::BTreeSet;
use std::time::Duration;

use cells::{Cell, Nvram, matrix};
use chain::Chain;
use maekin_api::boot_drives::State;
use maekin_host::wait;
use maekin_qemu_tests::answer::Answer;
use maekin_qemu_tests::fixture::Fixture;
use maekin_qemu_tests::node::{BootFrom, Bus, Firmware};
use maekin_qemu_tests::progress::INSTALLER;
use maekin_qemu_tests::rack::{Plan, Rack};
use maekin_qemu_tests::release::Release;

const TOOL: &str = env!("CARGO_BIN_EXE_rack");

fn cloned(name: &str, firmware: Firmware) -> Chain {
    let fixture = Fixture::get(firmware, TOOL.as_ref()).unwrap();
    let rack = fixture.clone_into(name, &Plan::single(firmware), TOOL.as_ref()).unwrap();
    let mut chain = Chain::new(rack);
    chain.start();
    chain
}

fn installed(name: &str, plan: &Plan, prepare: impl FnOnce(&mut Rack)) -> Chain {
    let release = Release::find().unwrap();
    let mut rack = Rack::for_test(name, plan, TOOL.as_ref()).unwrap();
    prepare(&mut rack);
    let key = maekin_qemu_tests::ssh::make_key(rack.dir()).unwrap();
    let answer = Answer::new(rack.password(), vec![key]);
    rack.insert_stick(&release, &answer).unwrap();
    let mut chain = Chain::new(rack);
    chain.start();
    chain.rack.change("node-1", |node| node.medium = None).unwrap();
    chain
}

#[test]
fn bios_512() {
    let mut chain = cloned("mirror-bios", Firmware::Bios);
    chain.is_whole();
    chain.halves_that_differ_are_told();
    chain.pull(1);
    chain.starts_without(1, Nvram::Kept);
    chain.replace(1, "NEW1");
    chain.dies_in_place(2);
    chain.pull(2);
    chain.starts_without(2, Nvram::Kept);
    chain.passed(&[1, 2]);
}

/// Of what [`uefi_512`] shows, the part without which nothing else holds; with Secure Boot, as most servers have it.
#[test]
fn uefi_starts_without_its_first_drive_and_its_variables() {
    let mut chain = cloned("mirror-uefi-short", Firmware::SecureBoot);
    chain.is_whole();
    chain.pull(1);
    chain.starts_without(1, Nvram::Empty);
}

#[test]
#[ignore = "long: seven starts"]
fn uefi_512() {
    let mut chain = cloned("mirror-uefi", Firmware::Uefi);
    chain.is_whole();
    chain.tries_the_other_drive();
    both_by_uefi(&mut chain);
}

#[test]
#[ignore = "long: the four cells of 4096-byte sectors, from an installation of their own"]
fn uefi_4096() {
    let plan = Plan { bus: Bus::Nvme, sector: 4096, ..Plan::single(Firmware::Uefi) };
    let mut chain = installed("mirror-4k", &plan, |_| {});
    chain.is_whole();
    both_by_uefi(&mut chain);
}

fn both_by_uefi(chain: &mut Chain) {
    chain.pull(1);
    chain.starts_without(1, Nvram::Kept);
    chain.starts_without(1, Nvram::Empty);
    chain.replace(1, "NEW1");
    chain.pull(2);
    chain.starts_without(2, Nvram::Kept);
    chain.starts_without(2, Nvram::Empty);
    chain.passed(&[1, 2]);
}

/// A node made for one drive is given a second one, which takes everything and starts the node alone.
#[test]
#[ignore = "long: an installation of its own and two starts"]
fn a_single_drive_becomes_a_mirror() {
    let mut chain =
        installed("mirror-single", &Plan::single(Firmware::Bios), |rack| rack.pull("node-1", 1).unwrap());
    let boot = chain.boot_drives();
    assert_eq!((boot.state, boot.drives.len()), (State::Single, 1), "{boot:?}");
    assert!(boot.alarms.is_empty(), "one drive was asked for, and that is no trouble: {:?}", boot.alarms);
    chain.rack.plug("node-1", 1).unwrap();
    chain.heals(2);
    chain.pull(1);
    chain.starts_without(1, Nvram::Kept);
}

#[test]
fn bios_refuses_sectors_of_4096_bytes() {
    let release = Release::find().unwrap();
    let plan = Plan { sector: 4096, ..Plan::single(Firmware::Bios) };
    let mut rack = Rack::for_test("mirror-4k-bios", &plan, TOOL.as_ref()).unwrap();
    let answer = Answer::new(rack.password(), Vec::new());
    rack.insert_stick(&release, &answer).unwrap();
    rack.power_on_from("node-1", BootFrom::Medium).unwrap();
    let mut serial = rack.machine(&rack.nodes()[0]).serial();
    let outcomes = [format!("{INSTALLER}refused"), format!("{INSTALLER}done")];
    let outcomes: Vec<&str> = outcomes.iter().map(String::as_str).collect();
    let limit = rack.limit(Duration::from_secs(120));
    let (outcome, mut text) = serial.expect_any("the installer to decide", &outcomes, limit).unwrap();
    assert_eq!(outcome, 0, "it was installed: {text}");
    let said = wait::until("the reason", limit, Duration::from_millis(200), || {
        while let Some(line) = serial.line().unwrap() {
            text.push_str(&line);
        }
        (text.contains("4096") && text.contains("BIOS") && text.contains("UEFI")).then_some(())
    });
    assert!(said.is_ok(), "the refusal says neither why nor what to do: {text}");
}

#[test]
fn every_cell_of_the_matrix_is_in_a_chain() {
    let covered: BTreeSet<Cell> = [
        (Firmware::Bios, 512), // bios_512
        (Firmware::Uefi, 512),
        (Firmware::Uefi, 4096),
    ]
    .iter()
    .flat_map(|(firmware, sector)| [1, 2].map(|lost| (*firmware, *sector, lost)))
    .flat_map(|(firmware, sector, lost)| cells::of_chain(firmware, sector, &[lost]))
    .collect();
    let all = matrix();
    let missing: Vec<&Cell> = all.iter().filter(|cell| !covered.contains(cell)).collect();
    assert!(missing.is_empty(), "{missing:?}");
    println!("mirror matrix: {} of {} cells have a chain", covered.len(), all.len());
}
