//! The figures of `docs/performance.md`: measured here and now, and written there as tables.

mod api;
mod cluster;
mod dhcp;
mod http;
mod lab;
mod page;
mod rack;
mod tftp;

use std::fmt::Write;
use std::path::{Path, PathBuf};

use anyhow::{Context, ensure};
use clap::ValueEnum;
use maekin_host::cmd::Cmd;
use maekin_host::file;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use crate::packages::{self, Purpose};
use crate::{build, cargo, etcd, room, shown, step, workspace};

/// The install's data path may take this many times what `dd` and `sha256sum` take for the same job.
const DATA_PATH_LIMIT: f64 = 1.15;
/// How many installs are timed one after the other.
const INSTALLS: usize = 20;

/// What `rack bench` measured; see `qemu-tests/src/bench.rs`.
#[derive(Deserialize)]
struct Racks {
    accel: String,
    installs: Vec<Install>,
    cluster: f64,
    data_path: DataPath,
    idle: Idle,
}

#[derive(Deserialize)]
struct Install {
    way: String,
    installer: f64,
    installed: f64,
    ready: f64,
}

#[derive(Deserialize)]
struct DataPath {
    bytes: u64,
    installer: f64,
    dd: f64,
    dd_digest: f64,
    read_back: f64,
}

#[derive(Deserialize)]
struct Idle {
    total: u64,
    used: u64,
    agent: u64,
    etcd: u64,
}

/// Many installs.
#[derive(Serialize, Deserialize)]
struct Many {
    /// Seconds from power-on to installed, of each.
    seconds: Vec<f64>,
    memory: Memory,
}

/// The least memory that an installation takes.
#[derive(Serialize, Deserialize)]
struct Memory {
    mib: u32,
    /// What is said with less.
    below: String,
}

/// Seconds that builds took.
#[derive(Serialize, Deserialize)]
struct Builds {
    cold: f64,
    agent: f64,
    warm: f64,
}

/// One half of the measurements.
#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Part {
    /// Image builds.
    Builds,
    /// Installs, data path and idle node.
    Racks,
    /// Many installs, and the least memory that one takes.
    Installs,
    /// TFTP, beside other servers.
    Tftp,
    /// HTTP, beside nginx.
    Http,
    /// DHCP, beside Kea and others.
    Dhcp,
    /// A rack that installs at once, beside plain HTTP and multicast.
    Rack,
    /// A cluster at rest: traffic, memory, processor; how soon a death is noticed.
    Cluster,
    /// Reads and writes through the API, beside etcd.
    Api,
}

/// Measures, and writes the page. Where only one part is measured, the other's figures are those of its last time.
pub(crate) fn run(only: Option<Part>) -> anyhow::Result<()> {
    match only {
        Some(Part::Tftp) => return tftp::run(),
        Some(Part::Http) => return http::run(),
        Some(Part::Dhcp) => return dhcp::run(),
        Some(Part::Rack) => return rack::run(),
        Some(Part::Cluster) => return cluster::run(),
        Some(Part::Api) => return api::run(),
        None => {
            for part in [tftp::run, http::run, dhcp::run, rack::run, cluster::run, api::run] {
                part()?;
            }
        }
        _ => {}
    }
    packages::ensure(&[Purpose::Compile, Purpose::Image, Purpose::Rack])?;
    room::check(&room::rack(3, 2048))?;
    build::image(&[])?;
    build::rack()?;
    let out = workspace().join("out");
    let (builds, racks) = (out.join("bench-builds.json"), out.join("bench-racks.json"));
    if only.is_none_or(|part| part == Part::Builds) {
        let text = serde_json::to_vec_pretty(&measure_builds()?)?;
        file::write_atomic(&builds, &text, 0o644)?;
    }
    if only.is_none_or(|part| part == Part::Racks) {
        step::run("racks", || Ok(shown(build::program("rack")).arg("bench").arg(&racks).run()?))?;
    }
    let many = out.join("bench-installs.json");
    if only.is_none_or(|part| part == Part::Installs) {
        file::write_atomic(&many, &serde_json::to_vec_pretty(&measure_installs(&out)?)?, 0o644)?;
    }
    let many: Many = figures(&many)?;
    let (builds, racks): (Builds, Racks) = (figures(&builds)?, figures(&racks)?);
    page::write(&render(&machine()?, &sizes()?, &builds, &racks, &many))?;
    let ratio = racks.data_path.installer / racks.data_path.dd_digest;
    ensure!(
        ratio <= DATA_PATH_LIMIT,
        "the data path takes {ratio:.2} times what dd and sha256sum take, over {DATA_PATH_LIMIT}"
    );
    Ok(())
}

/// Runs a bench of the agent beside the etcd that ships; what it measured.
fn of_agent<T: DeserializeOwned>(name: &str, title: &str) -> anyhow::Result<T> {
    packages::ensure(&[Purpose::Compile, Purpose::Test])?;
    etcd::provide();
    let out = workspace().join("out");
    std::fs::create_dir_all(&out).context("cannot create out")?;
    let file = out.join(format!("bench-{name}.json"));
    step::run(title, || {
        let bench = cargo().args(["bench", "--locked", "-p", "maekin-agent", "--bench", name, "--"]);
        Ok(etcd::first(bench.arg(&file))?.run()?)
    })?;
    figures(&file)
}

fn figures<T: DeserializeOwned>(file: &Path) -> anyhow::Result<T> {
    ensure!(file.exists(), "{} is missing: measure it with `cargo xtask bench`", file.display());
    let text = file::read_text(file, 1 << 20)?;
    serde_json::from_str(&text).with_context(|| format!("cannot understand {}", file.display()))
}

/// What it was measured on.
fn machine() -> anyhow::Result<String> {
    let cores = std::thread::available_parallelism().context("cannot count the processors")?;
    let meminfo = file::read_text(Path::new("/proc/meminfo"), 1 << 20)?;
    let kib = meminfo
        .lines()
        .find_map(|l| l.strip_prefix("MemTotal:")?.trim().strip_suffix(" kB")?.parse::<u64>().ok());
    Ok(format!("{cores} cores, {} GiB of memory", kib.context("/proc/meminfo has no MemTotal")? >> 20))
}

fn iso_name() -> String {
    format!("maekin-{}-amd64.iso", env!("CARGO_PKG_VERSION"))
}

fn sizes() -> anyhow::Result<Vec<(String, u64)>> {
    let out = workspace().join("out");
    let bundle = out.join("release");
    let size = |name: &str, path: PathBuf| -> anyhow::Result<(String, u64)> {
        let meta = std::fs::metadata(&path).with_context(|| format!("cannot find {}", path.display()))?;
        Ok((name.to_owned(), meta.len()))
    };
    let boot = Cmd::new("du").args(["-sb"]).arg(bundle.join("boot")).text()?;
    let boot = boot.split_whitespace().next().and_then(|n| n.parse().ok()).context("cannot understand du")?;
    Ok(vec![
        size("ISO", out.join(iso_name()))?,
        size("root (squashfs and hash tree)", bundle.join("root"))?,
        size("initrd", bundle.join("initrd"))?,
        size("kernel", bundle.join("vmlinuz"))?,
        ("boot loaders".to_owned(), boot),
    ])
}

/// Times three builds: nothing cached but packages, a changed agent, and nothing changed.
fn measure_builds() -> anyhow::Result<Builds> {
    let out = workspace().join("out/bench");
    let remove = || match std::fs::remove_dir_all(&out) {
        Err(e) if e.kind() != std::io::ErrorKind::NotFound => {
            Err(e).with_context(|| format!("cannot remove {}", out.display()))
        }
        _ => Ok(()),
    };
    remove()?;
    std::fs::create_dir_all(&out).with_context(|| format!("cannot create {}", out.display()))?;
    let image = || shown(build::program("maekin-image")).arg("build").arg("--out").arg(&out);
    let cold = step::timed("image, cold", || Ok(image().args(["--fresh", "--offline"]).run()?))?;
    let agent = out.join("maekin-agent");
    let mut changed = std::fs::read(build::program("maekin-agent")).context("cannot read the agent")?;
    changed.push(0); // behind the end of an ELF file: another file, the same program
    file::write_atomic(&agent, &changed, 0o755)?;
    let agent = step::timed("image, agent changed", || Ok(image().arg("--agent").arg(&agent).run()?))?;
    let warm = step::timed("image, nothing changed", build_once)?;
    remove()?;
    let [cold, agent, warm] = [cold, agent, warm].map(|took| took.as_secs_f64());
    Ok(Builds { cold, agent, warm })
}

fn measure_installs(out: &Path) -> anyhow::Result<Many> {
    let (installs, memory) = (out.join("bench-installs.part"), out.join("bench-memory.part"));
    let rack = |command: &str, file: &Path| shown(build::program("rack")).arg(command).arg(file);
    let count = INSTALLS.to_string();
    step::run("installs", || Ok(rack("bench-installs", &installs).args(["--count", &count]).run()?))?;
    step::run("memory", || Ok(rack("bench-memory", &memory).run()?))?;
    Ok(Many { seconds: figures(&installs)?, memory: figures(&memory)? })
}

/// The value that `percent` of them are at most (nearest rank); 0 of none.
fn percentile(values: &[f64], percent: usize) -> f64 {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    let rank = (sorted.len() * percent).div_ceil(100).max(1);
    sorted.get(rank - 1).copied().unwrap_or_default()
}

fn build_once() -> anyhow::Result<()> {
    Ok(shown(build::program("maekin-image")).arg("build").run()?)
}

fn render(machine: &str, sizes: &[(String, u64)], builds: &Builds, racks: &Racks, many: &Many) -> String {
    let mut page = format!(
        "# Performance\n\nWritten by `cargo xtask bench`; do not edit. Measured on {machine}. Guests run by {}.\n\
         Times are of single runs.\n\n## Sizes\n\n| artifact | MB |\n| --- | ---: |\n",
        racks.accel
    );
    // Writing to a string cannot fail.
    for (name, bytes) in sizes {
        let _ = writeln!(page, "| {name} | {} |", megabytes(*bytes));
    }
    let _ = write!(
        page,
        "\nThe budget is in `image/budget.toml`; a build over it fails.\n\n## Building the image\n\n\
         Compiling is not in it, nor is fetching packages.\n\n\
         | what changed | seconds |\n| --- | ---: |\n| everything | {:.0} |\n| the agent | {:.0} |\n| nothing | {:.1} |\n",
        builds.cold, builds.agent, builds.warm
    );
    page.push_str(
        "\n## Installing a node\n\nSeconds from power-on, one node at a time, with 2 GiB and two drives; one virtual CPU where guests are translated.\n\n\
         | by | installer | installed | agent answers as a member |\n| --- | ---: | ---: | ---: |\n",
    );
    for i in &racks.installs {
        let _ = writeln!(page, "| {} | {:.0} | {:.0} | {:.0} |", i.way, i.installer, i.installed, i.ready);
    }
    let _ = writeln!(
        page,
        "\nFrom the third node's power-on, its installation by network and all, to a cluster of three that each of them lists whole: \
         {:.0} s.",
        racks.cluster
    );
    render_many(many, &mut page);
    render_data_path(&racks.data_path, &mut page);
    let Idle { total, used, agent, etcd } = racks.idle;
    let _ = write!(
        page,
        "\n## Memory of an idle node\n\nThe first node of three, left alone for a minute.\n\n\
         | what | MiB |\n| --- | ---: |\n| used, of {} | {} |\n| of that: agent, resident | {} |\n| of that: etcd, resident | {} |\n",
        total / 1024,
        used / 1024,
        agent / 1024,
        etcd / 1024
    );
    page
}

fn render_many(many: &Many, page: &mut String) {
    let _ = write!(
        page,
        "\n{} installs by USB, one after the other, by turns under BIOS and UEFI, from power-on to installed: median \
         {:.0} s, 95 of 100 within {:.0} s. The least memory that an installation takes is {} MiB; with less: {}.\n",
        many.seconds.len(),
        percentile(&many.seconds, 50),
        percentile(&many.seconds, 95),
        many.memory.mib,
        many.memory.below
    );
}

fn render_data_path(path: &DataPath, page: &mut String) {
    let DataPath { bytes, installer, dd, dd_digest, read_back } = path;
    let _ = write!(
        page,
        "\n## The install's data path\n\nThe root image ({} MB) from the stick to both drives, flushed. `dd` only \
         copies, on the same node, from the same stick, to the same drives. The installer also computes the digest of \
         every byte; `dd` and `sha256sum` together (`dd | tee FIFO | dd`, and `sha256sum < FIFO`) do the same job as \
         the installer.\n\n\
         | by | seconds |\n| --- | ---: |\n| installer | {installer:.1} |\n| `dd` and `sha256sum` | {dd_digest:.1} |\n\
         | ratio (at most {DATA_PATH_LIMIT}) | {:.2} |\n| `dd` alone | {dd:.1} |\n| ratio to that | {:.2} |\n\
         | reading both halves back and comparing (not in the ratios) | {read_back:.1} |\n",
        megabytes(*bytes),
        installer / dd_digest,
        installer / dd
    );
}

fn megabytes(bytes: u64) -> String {
    format!("{}.{}", bytes / 1_000_000, bytes % 1_000_000 / 100_000)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_page_holds_every_figure() {
        let text = r#"{"accel": "TCG: why", "installs": [{"way": "USB, BIOS", "installer": 21.4, "installed": 88.0,
            "ready": 131.6}], "cluster": 171.4, "data_path": {"bytes": 399000000, "installer": 12.0, "dd": 8.0, "dd_digest": 11.0, "read_back": 7.0},
            "idle": {"total": 2048000, "used": 512000, "agent": 22528, "etcd": 51200}}"#;
        let builds = Builds { cold: 300.0, agent: 40.0, warm: 0.9 };
        let racks = serde_json::from_str(text).unwrap();
        let memory = Memory { mib: 1024, below: "refused".to_owned() };
        let many = Many { seconds: vec![60.0, 70.0, 80.0, 90.0], memory };
        let page = render("2 cores", &[("ISO".to_owned(), 431_250_000)], &builds, &racks, &many);
        for line in [
            "| ISO | 431.2 |",
            "| everything | 300 |",
            "| nothing | 0.9 |",
            "| USB, BIOS | 21 | 88 | 132 |",
            "that each of them lists whole: 171 s.",
            "| ratio (at most 1.15) | 1.09 |",
            "| ratio to that | 1.50 |",
            "4 installs",
            "median 70 s, 95 of 100 within 90 s",
            "takes is 1024 MiB; with less: refused.",
            "| used, of 2000 | 500 |",
            "| of that: agent, resident | 22 |",
        ] {
            assert!(page.contains(line), "no {line:?} in\n{page}");
        }
    }
}
