//! The built image: its content, its size, and that another build of the same gives the same.
#![allow(clippy::unwrap_used)] // a test fails by panicking

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

use maekin_host::cmd::Cmd;
use maekin_qemu_tests::release::{Release, out};

/// What the ISO may have, in bytes.
const ISO_BUDGET: u64 = 450_000_000;
/// What kernel and initrd may have together, in bytes.
const BOOT_BUDGET: u64 = 90_000_000;

fn digests(dir: &Path) -> BTreeMap<String, String> {
    let text = std::fs::read_to_string(dir.join("SHA256SUMS")).unwrap();
    let split = |line: &str| line.split_once("  ").map(|(digest, path)| (path.to_owned(), digest.to_owned()));
    text.lines().filter_map(split).collect()
}

#[test]
fn content_equals_the_manifest() {
    let release = Release::find().unwrap();
    let verify = Cmd::new(&release.tool).arg("verify").arg("--iso").arg(&release.iso);
    verify.limit(Duration::from_secs(600)).run().unwrap();
}

#[test]
fn an_altered_image_is_not_verified() {
    let release = Release::find().unwrap();
    let bundle = out().join("t/image-altered");
    if bundle.exists() {
        std::fs::remove_dir_all(&bundle).unwrap();
    }
    std::fs::create_dir_all(bundle.parent().unwrap()).unwrap();
    Cmd::new("cp").args(["-r", "--reflink=auto"]).arg(&release.bundle).arg(&bundle).run().unwrap();
    let verify = || Cmd::new(&release.tool).arg("verify").arg(&bundle).limit(Duration::from_secs(600)).run();
    verify().unwrap();
    let kernel = bundle.join("vmlinuz");
    let mut bytes = std::fs::read(&kernel).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    std::fs::write(&kernel, bytes).unwrap();
    let err = verify().unwrap_err().to_string();
    assert!(err.contains("vmlinuz"), "it names what was altered: {err}");
    std::fs::remove_dir_all(&bundle).unwrap();
}

#[test]
fn sizes_are_within_their_budget() {
    let release = Release::find().unwrap();
    let size = |path: &Path| std::fs::metadata(path).unwrap().len();
    let iso = size(&release.iso);
    assert!(iso <= ISO_BUDGET, "the ISO has {iso} bytes, its budget is {ISO_BUDGET}");
    let boot = size(&release.bundle.join("vmlinuz")) + size(&release.bundle.join("initrd"));
    assert!(boot <= BOOT_BUDGET, "kernel and initrd have {boot} bytes, their budget is {BOOT_BUDGET}");
}

#[test]
fn another_build_gives_the_same_bytes() {
    let release = Release::find().unwrap();
    let again = out().join("t/image-again");
    let build = Cmd::new(&release.tool).args(["build", "--fresh", "--out"]).arg(&again);
    build.limit(Duration::from_secs(3600)).run().unwrap();
    assert_eq!(digests(&again.join("release")), digests(&release.bundle), "the bundles differ");
    let name = release.iso.file_name().unwrap();
    Cmd::new("cmp").arg(&release.iso).arg(again.join(name)).run().unwrap();
    std::fs::remove_dir_all(&again).unwrap();
}
