//! Answers that a hypervisor gives: SMBIOS OEM strings and fw_cfg, read by the real firmware tables and kernel.
#![allow(clippy::unwrap_used)] // a test fails by panicking

use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use maekin_host::wait;
use maekin_qemu_tests::answer::Answer;
use maekin_qemu_tests::disk;
use maekin_qemu_tests::node::{BootFrom, Firmware, Medium};
use maekin_qemu_tests::progress::INSTALLER;
use maekin_qemu_tests::rack::{Plan, Rack};
use maekin_qemu_tests::release::Release;

const TOOL: &str = env!("CARGO_BIN_EXE_rack");
const LIMIT: Duration = Duration::from_secs(120);
/// What `ceph-osd --mkfs` wrote at the start of a device.
const OSD: &[u8] = include_bytes!("../../installer/fixtures/bluestore-label.bin");
/// Longest OEM string that is used here: management controllers allow little.
const PIECE: usize = 100;

/// One boot shows that both sources are heard, which one wins, and that an OSD is recognised and left alone.
#[test]
fn oem_strings_win_over_fw_cfg_and_an_osd_is_kept() {
    let release = Release::find().unwrap();
    let plan = Plan { drives: vec![10 << 30; 2], ..Plan::single(Firmware::Bios) };
    let mut rack = Rack::for_test("answers-hypervisor", &plan, TOOL.as_ref()).unwrap();
    let node = rack.nodes()[0].clone();
    disk::create_with(&node.drives[1].file, node.drives[1].size, OSD).unwrap();
    let before = node.drives[1].file.with_extension("before");
    std::fs::copy(&node.drives[1].file, &before).unwrap();

    // Only the answers in the OEM strings name the OSD's drive, so whose refusal it is shows whose answers were used.
    let mut answer = Answer::new(rack.password(), Vec::new());
    let passed_over = rack.dir().join("answer.toml");
    std::fs::write(&passed_over, answer.toml(&node)).unwrap();
    answer.mirror = vec![format!("serial:{}", node.drives[1].serial)];
    let base64 = STANDARD.encode(answer.toml(&node));
    let pieces = base64.as_bytes().chunks(PIECE);
    let strings: Vec<String> =
        pieces.map(|piece| format!("maekin.answer=base64:{}", String::from_utf8_lossy(piece))).collect();
    assert!(strings.len() > 3, "the answer shall not fit into one string");
    rack.change("node-1", |node| {
        node.medium = Some(Medium::Cdrom(release.iso.clone()));
        node.oem_strings = [vec!["of the maker, not ours".to_owned()], strings].concat();
        node.fw_cfg = vec![("opt/maekin/answer".to_owned(), passed_over)];
    })
    .unwrap();
    rack.power_on_from("node-1", BootFrom::Medium).unwrap();

    let mut serial = rack.machine(&rack.nodes()[0]).serial();
    let limit = rack.limit(LIMIT);
    let outcomes = ["refused", "failed", "done", "writing"].map(|word| format!("{INSTALLER}{word}"));
    let (outcome, line) = serial
        .expect_any("the installer to decide", &outcomes.each_ref().map(String::as_str), limit)
        .unwrap();
    assert_eq!(outcome, 0, "it was not refused: {line}");
    let wanted = [
        "answers: from the SMBIOS OEM strings",
        "answers: passed over fw_cfg (opt/maekin/answer)",
        &format!("serial {}", node.drives[1].serial),
        "Ceph OSD 7 of cluster 0c0f3e7a-8a1d-4d5e-9f6a-1b2c3d4e5f60",
        "disks.consent",
    ];
    let mut text = String::new();
    let said = wait::until("all of it to be said", limit, Duration::from_millis(200), || {
        // From the log: part of it came before the refusal.
        text = std::fs::read_to_string(rack.machine(&rack.nodes()[0]).serial_log()).ok()?;
        wanted.iter().all(|part| text.contains(part)).then_some(())
    });
    assert!(said.is_ok(), "not all of {wanted:?} is said: {text}");
    disk::ensure_same(&node.drives[1].file, &before).unwrap();
    assert!(disk::is_untouched(&node.drives[0].file).unwrap(), "nor anything on the blank one");
}
