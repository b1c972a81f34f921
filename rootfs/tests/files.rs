//! Our own files of the installed system hang together: nothing points to what is not there.

#![allow(clippy::unwrap_used)] // a test: what it reads is there, or it fails

use std::fs;
use std::path::{Component, Path, PathBuf};

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("files/root")
}

fn walk(dir: &Path, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        let kind = fs::symlink_metadata(&path).unwrap().file_type();
        if kind.is_dir() { walk(&path, found) } else { found.push(path) }
    }
}

fn files() -> Vec<PathBuf> {
    let mut found = Vec::new();
    walk(&root(), &mut found);
    assert!(found.len() > 20, "the tree is there");
    found
}

/// Where a relative link of the tree points to, without following anything.
fn resolve(link: &Path, target: &Path) -> PathBuf {
    let mut path = link.parent().unwrap().to_owned();
    for part in target.components() {
        match part {
            Component::ParentDir => drop(path.pop()),
            part => path.push(part),
        }
    }
    path
}

#[test]
fn links_mask_a_unit_or_lead_to_something_of_ours_or_of_this_boot() {
    for file in files() {
        let Ok(target) = fs::read_link(&file) else { continue };
        let resolved = resolve(&file, &target);
        let mask = target == Path::new("/dev/null") && file.starts_with(root().join("etc/systemd"));
        let run = resolved.starts_with(root().join("run"));
        assert!(mask || run || resolved.exists(), "{} -> {}", file.display(), target.display());
    }
}

#[test]
fn units_are_whole_and_start_what_the_image_has() {
    let programs = [
        "/usr/bin/maekin-agent",
        "/usr/bin/maekin-installer",
        "/usr/bin/maekin-pxe",
        "/usr/bin/etcd",
        "/usr/bin/ssh-keygen",
    ];
    let units: Vec<_> = files()
        .into_iter()
        .filter(|f| f.extension().is_some_and(|e| e == "service") && f.is_file() && !f.is_symlink())
        .collect();
    assert!(!units.is_empty());
    for unit in units {
        let (name, text) = (unit.display(), fs::read_to_string(&unit).unwrap());
        assert!(text.contains("[Unit]\n") && text.contains("\nDescription="), "{name}: no description");
        let starts: Vec<_> = text.lines().filter_map(|line| line.strip_prefix("ExecStart=")).collect();
        assert_eq!(starts.len(), 1, "{name}: one ExecStart");
        let program = starts[0].split(' ').next().unwrap_or_default();
        assert!(programs.contains(&program), "{name}: {program}");
        assert!(
            !text.contains("Restart=always") || text.contains("RestartSec="),
            "{name}: restarts without a pause"
        );
    }
}
