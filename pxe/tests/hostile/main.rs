//! Hostile bytes against every parser that strangers on the wire reach: the kept corpus of `pxe/fuzz`, replayed and
//! mutated by a seed, on the stable compiler and in seconds; and what encoders write, read back.

#![allow(clippy::expect_used, clippy::panic)] // a test says by panicking that it failed

#[allow(unreachable_pub)] // it is a library under libFuzzer
#[path = "../../fuzz/src/lib.rs"]
mod entries;
mod mutate;
mod properties;

use std::fs;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};

use entries::TARGETS;
use mutate::Mutator;

/// Mutations of a target in one run.
const RUNS: usize = 20_000;
/// The process may grow by this much over all mutations of all targets, in KiB.
const GROWTH: u64 = 64 << 10;

fn fuzz_dir() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz")
}

/// The kept inputs of a target, by name.
fn corpus(target: &str) -> Vec<(String, Vec<u8>)> {
    let dir = fuzz_dir().join("corpus").join(target);
    let entries =
        fs::read_dir(&dir).unwrap_or_else(|e| panic!("keep inputs of {target} in {}: {e}", dir.display()));
    let mut files: Vec<_> = entries
        .map(|entry| {
            let entry = entry.expect("an entry");
            (entry.file_name().to_string_lossy().into_owned(), fs::read(entry.path()).expect("a file"))
        })
        .collect();
    files.sort();
    files
}

/// Runs one input; on a panic says how to keep it.
fn run(target: &str, entry: fn(&[u8]), what: &str, bytes: &[u8]) {
    if let Err(panic) = catch_unwind(AssertUnwindSafe(|| entry(bytes))) {
        let hex: String = bytes.iter().map(|b| format!("{b:02x}")).collect();
        eprintln!("{target}, {what}: keep this in pxe/fuzz/corpus/{target}/ (xxd -r -p): {hex}");
        std::panic::resume_unwind(panic);
    }
}

/// The most memory this process ever held, in KiB.
fn peak() -> u64 {
    let status = fs::read_to_string("/proc/self/status").expect("proc");
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).expect("VmHWM");
    line.trim().trim_end_matches(" kB").parse().expect("a number")
}

#[test]
fn every_target_has_a_program_and_a_corpus() {
    let manifest = fs::read_to_string(fuzz_dir().join("Cargo.toml")).expect("a manifest");
    for (name, _) in TARGETS {
        let program = fuzz_dir().join(format!("fuzz_targets/{name}.rs"));
        assert!(program.exists(), "{name} has no program: write {}", program.display());
        assert!(
            manifest.contains(&format!("name = \"{name}\"\n")),
            "{name} has no [[bin]] in pxe/fuzz/Cargo.toml"
        );
        assert!(!corpus(name).is_empty(), "{name} has no kept input in pxe/fuzz/corpus/{name}/");
    }
}

#[test]
fn the_corpus_and_all_that_it_mutates_to_break_nothing() {
    let start = peak();
    for (target, entry) in TARGETS {
        let files = corpus(target);
        for (name, bytes) in &files {
            run(target, *entry, name, bytes);
            for len in 0..bytes.len() {
                run(target, *entry, &format!("{name}, first {len} bytes"), &bytes[..len]);
            }
        }
        let inputs: Vec<_> = files.into_iter().map(|(_, bytes)| bytes).collect();
        let mut mutator = Mutator::new(1, &inputs);
        for n in 0..RUNS {
            run(target, *entry, &format!("mutation {n}"), mutator.next());
        }
    }
    let grown = peak() - start;
    assert!(grown < GROWTH, "memory grew by {grown} KiB");
}
