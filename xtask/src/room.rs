//! Disk and memory that a command takes: said before it starts, refused where there is too little.

use std::path::Path;

use anyhow::{Context, bail};
use maekin_host::cmd::Cmd;
use maekin_host::file;

use crate::workspace;

const MIB: u64 = 1 << 20;
/// What QEMU takes beside a node's own memory: translated code, above all (`Accel::option`).
const QEMU_MIB: u64 = 450;
/// What a node's drives and stick come to on the host after an install.
const NODE_DISK_MIB: u64 = 2500;

/// What something takes, in MiB, at its most.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Need {
    pub(crate) what: &'static str,
    pub(crate) disk: u64,
    pub(crate) memory: u64,
}

/// Building the image from nothing, with compiled dependencies.
pub(crate) const IMAGE: Need = Need { what: "building the image", disk: 9000, memory: 1500 };

/// Every test: two racks at a time, one of them of three nodes, while the other test runs a node or two; and the two
/// recorded installations that power cuts are tried on.
pub(crate) const TESTS: Need = Need { what: "the tests", disk: 24_000, memory: 10_500 };

/// What a third rack beside those two takes.
const THIRD_RACK_MIB: u64 = 2 * (2048 + QEMU_MIB);

/// How many tests may run at a time with the memory there is.
///
/// # Errors
/// When that cannot be found out.
pub(crate) fn tests_at_once() -> anyhow::Result<u8> {
    Ok(at_once(available()?))
}

/// By MiB of memory. Pure.
fn at_once(memory: u64) -> u8 {
    if memory >= TESTS.memory + THIRD_RACK_MIB { 3 } else { 2 }
}

/// MiB of memory that can be had.
fn available() -> anyhow::Result<u64> {
    let meminfo = file::read_text(Path::new("/proc/meminfo"), 1 << 20)?;
    Ok(parse_available(&meminfo).context("/proc/meminfo has no MemAvailable")? / 1024)
}

/// A rack of so many nodes of so many MiB, with the image built first.
pub(crate) fn rack(nodes: u64, memory: u64) -> Need {
    Need {
        what: "the rack",
        disk: IMAGE.disk + nodes * NODE_DISK_MIB,
        memory: IMAGE.memory.max(nodes * (memory + QEMU_MIB)),
    }
}

/// Says what `need` takes, and whether there is as much.
///
/// # Errors
/// With both figures when there is too little.
pub(crate) fn check(need: &Need) -> anyhow::Result<()> {
    let free = Cmd::new("df").args(["--output=avail", "-B1"]).arg(workspace()).text()?;
    let disk = parse_df(&free).context("cannot understand df")? / MIB + taken().min(IMAGE.disk);
    let memory = available()?;
    println!(
        "{} takes up to {} of disk and {} of memory; there are {} and {}",
        need.what,
        gib(need.disk),
        gib(need.memory),
        gib(disk),
        gib(memory)
    );
    for (name, want, have) in [("disk space", need.disk, disk), ("free memory", need.memory, memory)] {
        if want > have {
            bail!("too little {name}: {} needs {}, there are {}", need.what, gib(want), gib(have));
        }
    }
    Ok(())
}

/// What earlier builds have taken of it already, in MiB: it is not taken twice.
fn taken() -> u64 {
    let dirs = ["out", "target"].map(|d| workspace().join(d)).into_iter().filter(|d| d.exists());
    let text = Cmd::new("du").args(["-sm", "-c"]).args(dirs).text().unwrap_or_default();
    text.lines()
        .filter_map(|l| l.strip_suffix("total"))
        .filter_map(|n| n.trim().parse().ok())
        .next()
        .unwrap_or(0)
}

fn gib(mib: u64) -> String {
    format!("{}.{} GiB", mib / 1024, mib % 1024 * 10 / 1024)
}

fn parse_df(text: &str) -> Option<u64> {
    text.lines().nth(1)?.trim().parse().ok()
}

/// KiB that programs may take without swapping, proc(5).
fn parse_available(meminfo: &str) -> Option<u64> {
    meminfo.lines().find_map(|l| l.strip_prefix("MemAvailable:"))?.trim().strip_suffix(" kB")?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figures_are_read() {
        assert_eq!(parse_df("Avail\n83751800832\n"), Some(83_751_800_832));
        assert_eq!(parse_df("df: no such file\n"), None);
        assert_eq!(parse_available("MemTotal: 1 kB\nMemAvailable:   23068672 kB\n"), Some(23_068_672));
        assert_eq!(parse_available("MemTotal: 1 kB\n"), None);
        assert_eq!(gib(1536), "1.5 GiB");
    }

    #[test]
    fn memory_decides_how_many_tests_run_at_a_time() {
        for (memory, want) in [(TESTS.memory, 2), (TESTS.memory + THIRD_RACK_MIB, 3), (1 << 20, 3), (0, 2)] {
            assert_eq!(at_once(memory), want, "{memory} MiB");
        }
    }

    #[test]
    fn a_larger_rack_takes_more() {
        let (small, large) = (rack(1, 2048), rack(8, 4096));
        assert!(large.disk > small.disk && large.memory == 8 * (4096 + QEMU_MIB));
    }
}
