//! The figures that only a running rack gives: times of an install by stick and by network, its data path against
//! what the drives can do, and what an idle node takes.

use std::path::Path;
use std::time::Duration;

use anyhow::{Context, ensure};
use serde::{Deserialize, Serialize};

use crate::accel;
use crate::answer::Answer;
use crate::node::{BootFrom, Firmware, NodeSpec};
use crate::rack::{Firmwares, Plan, Rack, TestRack, Watch, Watched};
use crate::release::Release;
use crate::ssh;
use crate::view::View;

/// The installer's word for the step whose speed is compared.
const WRITE_STEP: &str = "writing the system to";
/// And for the one that reads it back.
const READ_BACK_STEP: &str = "reading the system back";
/// How long an installation may take, by hardware virtualisation.
const INSTALL_LIMIT: Duration = Duration::from_secs(5 * 60);
/// How long a node is left alone before its idle memory is read.
const SETTLE: Duration = Duration::from_secs(60);

/// All of them.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Figures {
    /// How guests ran.
    pub accel: String,
    /// One for each way to install.
    pub installs: Vec<InstallFigures>,
    /// Seconds from the third node's power-on, by network, to a cluster of three that each of them lists whole.
    pub cluster: f64,
    /// The data path.
    pub data_path: DataPath,
    /// An idle node that is a cluster of three's first.
    pub idle: Idle,
}

/// Seconds from power-on.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct InstallFigures {
    /// e.g. `USB, BIOS`.
    pub way: String,
    /// To the installer's first word.
    pub installer: f64,
    /// To installed.
    pub installed: f64,
    /// To the agent's API as a member of the cluster.
    pub ready: f64,
}

/// Writing the system to both drives, in seconds.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct DataPath {
    /// Bytes of the root image.
    pub bytes: u64,
    /// By the installer: read from the stick, checked against the manifest, written to the mirror, flushed.
    pub installer: f64,
    /// By `dd` from the same stick to the same mirror on the same drives.
    pub dd: f64,
    /// By `dd` and `sha256sum` at once: the same job as the installer's.
    pub dd_digest: f64,
    /// Both halves read back and compared, by the installer.
    pub read_back: f64,
}

/// Memory in KiB.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Idle {
    /// Of the node.
    pub total: u64,
    /// Used: total less available, proc(5).
    pub used: u64,
    /// Resident set of the agent.
    pub agent: u64,
    /// Resident set of etcd.
    pub etcd: u64,
}

/// How much memory an installation takes.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct LeastMemory {
    /// Of the smallest node that is installed, MiB.
    pub mib: u32,
    /// What the next smaller one said.
    pub below: String,
}

/// Measures, one node at a time so that none slows another.
///
/// # Errors
/// With the diagnosis of the node that failed.
pub fn measure(tool: &Path) -> anyhow::Result<Figures> {
    let release = Release::find()?;
    let accel = accel::choose().1.to_owned();
    let mut installs = Vec::new();

    let (rack, watch) = from_stick(&release, &Plan::single(Firmware::Uefi), "bench-uefi", tool)?;
    installs.push(figures("USB, UEFI", &watch.nodes()[0])?);
    drop(rack);

    let plan = Plan { firmwares: Firmwares::Mixed, ..Plan::default() };
    let (rack, mut watch) = from_stick(&release, &plan, "bench-rack", tool)?;
    let first = rack.nodes()[0].clone();
    installs.push(figures("USB, BIOS", &watch.nodes()[0])?);
    let data_path = data_path(&rack, &first, &watch.nodes()[0])?;
    let mut view = View::new();
    rack.install_others(&mut watch, 1, &mut |watch| view.show(watch))?;
    rack.wait_one_cluster()?;
    let cluster = watch.last_on().context("no node was followed")?.as_secs_f64();
    for node in &watch.nodes()[1..] {
        installs.push(figures(&format!("network, {}", node.spec.firmware), node)?);
    }
    let idle = idle(&rack, &first)?;
    Ok(Figures { accel, installs, cluster, data_path, idle })
}

fn from_stick(release: &Release, plan: &Plan, name: &str, tool: &Path) -> anyhow::Result<(TestRack, Watch)> {
    println!("{name}");
    let mut rack = Rack::for_test(name, plan, tool)?;
    let answer = Answer::new(rack.password(), vec![ssh::make_key(rack.dir())?]);
    rack.insert_stick(release, &answer)?;
    let mut watch = Watch::default();
    let mut view = View::new();
    rack.boot_first(&mut watch, &mut |watch| view.show(watch))?;
    Ok((rack, watch))
}

fn figures(way: &str, node: &Watched) -> anyhow::Result<InstallFigures> {
    let progress = &node.progress;
    let seconds = |at: Option<Duration>, what: &str| {
        at.map(|at| at.as_secs_f64()).with_context(|| format!("{way}: the serial line does not show {what}"))
    };
    Ok(InstallFigures {
        way: way.to_owned(),
        installer: seconds(progress.installer, "the installer")?,
        installed: seconds(progress.installed, "the end of the installation")?,
        ready: seconds(progress.ready, "the agent")?,
    })
}

/// `dd` runs on the installed node: the stick is still in, and slot B is as large, on the same drives, and empty.
fn data_path(rack: &Rack, node: &NodeSpec, watched: &Watched) -> anyhow::Result<DataPath> {
    let steps = watched.progress.durations(watched.elapsed());
    let step = |name: &str| {
        let found = steps.iter().filter(|(step, _)| step.contains(name));
        let total: Duration = found.map(|(_, took)| *took).sum();
        ensure!(!total.is_zero(), "the installer's step {name:?} is not on the serial line");
        Ok(total.as_secs_f64())
    };
    // The better of two ways: through the page cache and, where writing is concerned, around it (iso9660 has no direct I/O).
    let script = "set -e; mkdir -p /run/bench; \
        mount -o ro \"$(blkid -L MAEKIN_ISO)\" /run/bench; \
        stat -c %s /run/bench/release/root; \
        for flags in '' 'oflag=direct'; do \
        echo 3 > /proc/sys/vm/drop_caches; \
        date +%s.%N; \
        dd if=/run/bench/release/root of=/dev/md/maekin-b bs=4M conv=fsync status=none $flags; \
        date +%s.%N; \
        done; \
        echo 3 > /proc/sys/vm/drop_caches; \
        mkfifo /run/bench.fifo; \
        date +%s.%N; \
        sha256sum < /run/bench.fifo > /run/bench.sum & \
        dd if=/run/bench/release/root bs=4M status=none | tee /run/bench.fifo \
        | dd of=/dev/md/maekin-b bs=4M iflag=fullblock oflag=direct conv=fsync status=none; \
        wait; \
        date +%s.%N; \
        umount /run/bench";
    let text = rack.ssh(node, script)?;
    let numbers: Vec<f64> = text.split_whitespace().filter_map(|n| n.parse().ok()).collect();
    let [bytes, begin, end, begin_direct, end_direct, begin_digest, end_digest] = numbers[..] else {
        anyhow::bail!("cannot understand {text:?}")
    };
    let dd = (end - begin).min(end_direct - begin_direct);
    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)] // a file's size, far below 2^53
    let bytes = bytes as u64;
    let dd_digest = end_digest - begin_digest;
    Ok(DataPath { bytes, installer: step(WRITE_STEP)?, dd, dd_digest, read_back: step(READ_BACK_STEP)? })
}

/// Installs `count` nodes one after the other, by turns under BIOS and UEFI; the seconds from power-on to installed.
///
/// # Errors
/// With the diagnosis of the node that failed.
pub fn installs(count: usize, tool: &Path) -> anyhow::Result<Vec<f64>> {
    let release = Release::find()?;
    let mut seconds = Vec::new();
    for number in 0..count {
        let firmware = if number.is_multiple_of(2) { Firmware::Bios } else { Firmware::Uefi };
        let mut rack = Rack::for_test("bench-install", &Plan::single(firmware), tool)?;
        let answer = Answer::new(rack.password(), Vec::new());
        rack.insert_stick(&release, &answer)?;
        let took = installed_after(&rack)?;
        println!("{firmware}: {took:.1} s");
        seconds.push(took);
    }
    Ok(seconds)
}

/// The smallest node that is installed. Steps down by `step`.
///
/// # Errors
/// When not even the largest is installed.
pub fn least_memory(from: u32, step: u32, tool: &Path) -> anyhow::Result<LeastMemory> {
    let release = Release::find()?;
    let mut least = None;
    let mut memory_mib = from;
    loop {
        let plan = Plan { memory_mib, ..Plan::single(Firmware::Bios) };
        let mut rack = Rack::for_test("bench-memory", &plan, tool)?;
        let answer = Answer::new(rack.password(), Vec::new());
        rack.insert_stick(&release, &answer)?;
        match installed_after(&rack) {
            Ok(took) => println!("{memory_mib} MiB: installed after {took:.1} s"),
            Err(e) => {
                let said = format!("{e:#}").lines().next().unwrap_or_default().to_owned();
                println!("{memory_mib} MiB: {said}");
                let mib = least.context("not even the largest is installed")?;
                return Ok(LeastMemory { mib, below: said });
            }
        }
        least = Some(memory_mib);
        memory_mib = memory_mib.checked_sub(step).context("no memory is left to take away")?;
    }
}

fn installed_after(rack: &Rack) -> anyhow::Result<f64> {
    let first = rack.nodes().first().context("the rack has no node")?.clone();
    let mut watch = Watch::default();
    watch.power_on(rack, &first.name, Some(BootFrom::Medium))?;
    watch.until("the node to be installed", rack.limit(INSTALL_LIMIT), |watch| {
        watch.nodes().iter().all(|node| node.progress.installed.is_some())
    })?;
    let took = watch.nodes().first().and_then(|node| node.progress.installed);
    Ok(took.context("the node was not followed")?.as_secs_f64())
}

fn idle(rack: &Rack, node: &NodeSpec) -> anyhow::Result<Idle> {
    // Not a wait for a condition: an idle node is one that was left alone for a while, and the node does the counting.
    let script = format!(
        "sleep {}; awk '/^MemTotal|^MemAvailable/ {{ print $2 }}' /proc/meminfo; \
         for unit in maekin-agent maekin-etcd; do \
         awk '/^VmRSS/ {{ print $2 }}' /proc/$(systemctl show -p MainPID --value $unit)/status; done",
        SETTLE.as_secs()
    );
    let text = rack.ssh(node, &script)?;
    let numbers: Vec<u64> = text.split_whitespace().filter_map(|n| n.parse().ok()).collect();
    let [total, available, agent, etcd] = numbers[..] else { anyhow::bail!("cannot understand {text:?}") };
    Ok(Idle { total, used: total.saturating_sub(available), agent, etcd })
}
