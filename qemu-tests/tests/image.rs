//! The built image: its content, its size, and that another build of the same gives the same.
#![allow(clippy::unwrap_used)] // a test fails by panicking

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

use maekin_host::cmd::Cmd;
use maekin_qemu_tests::release::{Release, out};

fn digests(dir: &Path) -> BTreeMap<String, String> {
    let text = std::fs::read_to_string(dir.join("SHA256SUMS")).unwrap();
    let split = |line: &str| line.split_once("  ").map(|(digest, path)| (path.to_owned(), digest.to_owned()));
    text.lines().filter_map(split).collect()
}

#[test]
fn content_equals_the_manifest() {
    let release = Release::find().unwrap();
    release
        .tool("verify")
        .arg("--release")
        .arg(&release.bundle)
        .arg("--iso")
        .arg(&release.iso)
        .run()
        .unwrap();
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
    let verify = || release.tool("verify").arg("--release").arg(&bundle).run();
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
    Release::find().unwrap().tool("sizes").run().unwrap();
}

#[test]
#[ignore = "long: builds every layer of the image again"]
fn another_build_gives_the_same_bytes() {
    let release = Release::find().unwrap();
    let again = out().join("t/image-again");
    let build = release.tool("build").args(["--fresh", "--offline", "--out"]).arg(&again);
    build.limit(Duration::from_secs(3600)).run().unwrap();
    assert_eq!(digests(&again.join("release")), digests(&release.bundle), "the bundles differ");
    let name = release.iso.file_name().unwrap();
    Cmd::new("cmp").arg(&release.iso).arg(again.join(name)).run().unwrap();
    std::fs::remove_dir_all(&again).unwrap();
}
