//! Images made by xorriso, as the builder makes ours, and images that nobody should have made.

use super::*;
use maekin_host::cmd::Cmd;
use std::fs;

/// An image with a bundle-like tree below `release`; what is in its files by path.
fn image(dir: &Path) -> (PathBuf, BTreeMap<String, Vec<u8>>) {
    let long = "a-name-that-is-much-longer-than-the-255-bytes-of-one-record-would-allow".repeat(3);
    let mut files: BTreeMap<String, Vec<u8>> = BTreeMap::new();
    for (name, len) in
        [("vmlinuz", 5000), ("manifest.json.minisig", 1), ("boot/net/ipxe.efi", 2048), ("empty", 0)]
    {
        files.insert(name.to_owned(), name.bytes().cycle().take(len).collect());
    }
    files.insert(format!("boot/{long}"), b"long".to_vec());
    for n in 0..120 {
        files.insert(format!("boot/many/File-{n}.With.Dots"), n.to_string().into_bytes());
    }
    let tree = dir.join("tree");
    for (name, bytes) in &files {
        let path = tree.join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, bytes).unwrap();
    }
    let iso = dir.join("x.iso");
    Cmd::new("xorriso")
        .args(["-as", "mkisofs", "-quiet", "-graft-points", "-rational-rock", "-volid", "X", "-output"])
        .arg(&iso)
        .args(["-partition_offset", "16"])
        .arg(format!("release={}", tree.display()))
        .run()
        .unwrap();
    (iso, files)
}

#[test]
fn all_files_of_an_image_are_found_with_their_names_and_bytes() {
    let dir = tempfile::tempdir().unwrap();
    let (iso, files) = image(dir.path());
    let found = extents(&iso, "release").unwrap();
    assert_eq!(found.keys().collect::<Vec<_>>(), files.keys().collect::<Vec<_>>());
    for (name, bytes) in &files {
        assert_eq!(&read(&iso, found[name]).unwrap(), bytes, "{name}");
    }
    let err = extents(&iso, "other").unwrap_err().to_string();
    assert!(err.contains("x.iso") && err.contains("no directory other"), "{err}");
}

#[test]
fn what_is_no_image_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("none");
    assert!(extents(&path, "release").unwrap_err().to_string().contains("No such file"));
    fs::write(&path, "short").unwrap();
    assert!(extents(&path, "release").unwrap_err().to_string().contains("too short"));
    fs::write(&path, vec![0; 100_000]).unwrap();
    assert!(extents(&path, "release").unwrap_err().to_string().contains("it is none"));
}

/// No change to an image makes the reader panic, loop, or find a file outside of the image.
#[test]
fn hostile_images_are_read_within_bounds() {
    let dir = tempfile::tempdir().unwrap();
    let (iso, _) = image(dir.path());
    let good = fs::read(&iso).unwrap();
    let root = usize::try_from(le(&good[16 * 2048 + 156..], 2).unwrap()).unwrap() * 2048;
    let hostile = dir.path().join("hostile.iso");
    let mut seed = 1u32;
    let mut next = || {
        seed = seed.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        usize::try_from(seed >> 8).unwrap()
    };
    for round in 0..300 {
        let mut bytes = good.clone();
        for _ in 0..=next() % 6 {
            // In the descriptor's root record, and in the directories behind it.
            let at = if next() % 4 == 0 { 16 * 2048 + 156 + next() % 34 } else { root + next() % 16_384 };
            if let Some(byte) = bytes.get_mut(at) {
                *byte = u8::try_from(next() % 256).unwrap();
            }
        }
        if round % 10 == 0 {
            bytes.truncate(next() % bytes.len());
        }
        fs::write(&hostile, &bytes).unwrap();
        if let Ok(found) = extents(&hostile, "release") {
            assert!(found.len() <= MAX_FILES, "round {round}");
            for (name, extent) in found {
                assert!(extent.offset + extent.len <= bytes.len() as u64, "round {round}: {name}");
            }
        }
    }
}
