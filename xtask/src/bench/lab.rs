//! A wire for measurements: two network namespaces with a pair of interfaces between, a server in one and its clients
//! in the other; and what a server's processes take of processor and memory.

use std::path::{Path, PathBuf};
use std::process::{Child, Stdio};
use std::time::Duration;

use anyhow::{Context, ensure};
use maekin_host::cmd::Cmd;
use maekin_host::wait;
use serde::Deserialize;

use crate::{build, cargo, shown, step, workspace};

/// The server's namespace.
const SERVER: &str = "maekin-bench-s";
/// The clients' namespace.
const CLIENTS: &str = "maekin-bench-c";
/// The server's interface.
pub(super) const INTERFACE: &str = "bench0";
/// The server's address.
pub(super) const ADDRESS: &str = "10.77.0.1";
/// Addresses of clients, from 10.77.0.100 on.
const ADDRESSES: std::ops::Range<u8> = 100..200;

/// Two namespaces and a wire; gone when dropped.
pub(super) struct Lab;

impl Lab {
    pub(super) fn new() -> anyhow::Result<Self> {
        ensure!(
            Cmd::new("id").arg("-u").text()?.trim() == "0",
            "network namespaces take root: run it with sudo"
        );
        remove();
        let lab = Self;
        let ip = |args: String| Cmd::new("ip").args(args.split(' ')).run();
        ip(format!("netns add {SERVER}"))?;
        ip(format!("netns add {CLIENTS}"))?;
        ip(format!("-n {SERVER} link add {INTERFACE} type veth peer name bench1 netns {CLIENTS}"))?;
        ip(format!("-n {SERVER} address add {ADDRESS}/24 dev {INTERFACE}"))?;
        for n in ADDRESSES {
            ip(format!("-n {CLIENTS} address add 10.77.0.{n}/24 dev bench1"))?;
        }
        ip(format!("-n {SERVER} link set {INTERFACE} up"))?;
        ip(format!("-n {CLIENTS} link set bench1 up"))?;
        Ok(lab)
    }

    /// Starts a server, and waits until it listens.
    pub(super) fn serve(&self, name: &str, server: &Cmd, port: Port) -> anyhow::Result<Server> {
        let line = server.line();
        let words = line.split(' ').map(|word| word.trim_matches('\''));
        let log = std::fs::File::create(workspace().join("out/bench-server.log"))?;
        let errors = log.try_clone()?;
        let child = Cmd::new("ip")
            .args(["netns", "exec", SERVER])
            .args(words)
            .env("RUST_LOG", "warn")
            .spawn(Stdio::null(), log, errors)?;
        let server = Server(child);
        let (table, needle) = match port {
            Port::Udp(port) => ("/proc/net/udp", format!(":{port:04X} ")),
            Port::Tcp(port) => ("/proc/net/tcp", format!(":{port:04X} ")),
        };
        let show = Cmd::new("ip").args(["netns", "exec", SERVER, "cat", table]);
        let listens = || show.text().is_ok_and(|text| text.contains(&needle)).then_some(());
        wait::until(
            &format!("{name} to listen"),
            Duration::from_secs(30),
            Duration::from_millis(50),
            listens,
        )
        .context("out/bench-server.log has what it said")?;
        Ok(server)
    }

    /// A command in the server's namespace.
    pub(super) fn on_server(&self, words: &[&str]) -> Cmd {
        Cmd::new("ip").args(["netns", "exec", SERVER]).args(words)
    }

    /// A command in the clients' namespace.
    pub(super) fn on_clients(&self, words: &[&str]) -> Cmd {
        Cmd::new("ip").args(["netns", "exec", CLIENTS]).args(words)
    }

    fn load(&self) -> Cmd {
        let program = build::program("examples/wire-load");
        Cmd::new("ip").args(["netns", "exec", CLIENTS]).arg(program).limit(Duration::from_secs(1800))
    }

    /// Runs clients; what they took.
    pub(super) fn run(&self, args: &[&str]) -> anyhow::Result<Took> {
        Ok(self.load().args(args).json()?)
    }

    /// Runs `measure` while clients hold transfers.
    pub(super) fn hold<T>(&self, args: &[&str], measure: impl FnOnce() -> T) -> anyhow::Result<T> {
        let mut clients = self.load().args(args).spawn(Stdio::piped(), Stdio::piped(), Stdio::inherit())?;
        let mut said = [0; 4];
        let out = clients.stdout.as_mut().context("a pipe")?;
        std::io::Read::read_exact(out, &mut said).context("the clients did not begin")?;
        let measured = measure();
        drop(clients.stdin.take());
        clients.wait()?;
        Ok(measured)
    }
}

impl Drop for Lab {
    fn drop(&mut self) {
        remove();
    }
}

fn remove() {
    for name in [SERVER, CLIENTS] {
        let _ = Cmd::new("ip").args(["netns", "del", name]).run(); // it need not be there
    }
}

/// Where a server listens.
#[derive(Clone, Copy)]
pub(super) enum Port {
    Udp(u16),
    Tcp(u16),
}

/// What clients took together.
#[derive(Deserialize)]
pub(super) struct Took {
    pub(super) seconds: f64,
    pub(super) bytes: u64,
}

impl Took {
    /// Megabytes a second.
    #[allow(clippy::cast_precision_loss)] // it is a figure for people
    pub(super) fn rate(&self) -> f64 {
        self.bytes as f64 / 1e6 / self.seconds
    }
}

/// A running server with its children; ended when dropped.
pub(super) struct Server(Child);

impl Server {
    /// Seconds of processor time that it and its children, dead or alive, have taken.
    #[allow(clippy::cast_precision_loss)] // small numbers
    pub(super) fn cpu(&self) -> f64 {
        let ticks: u64 = self.processes().iter().map(|pid| ticks(*pid)).sum();
        ticks as f64 / 100.0 // USER_HZ, the same on every architecture we know
    }

    /// KiB of memory that are its own, or its share.
    pub(super) fn memory(&self) -> u64 {
        self.processes().iter().map(|pid| share(*pid)).sum()
    }

    fn processes(&self) -> Vec<u32> {
        let mut family = vec![self.0.id()];
        let all: Vec<(u32, u32)> = std::fs::read_dir("/proc")
            .into_iter()
            .flatten()
            .filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok())
            .filter_map(|pid| Some((pid, stat(pid)?.get(1)?.parse().ok()?)))
            .collect();
        let mut next = 0;
        while let Some(parent) = family.get(next).copied() {
            family.extend(all.iter().filter(|(_, of)| *of == parent).map(|(pid, _)| pid));
            next += 1;
        }
        family
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        for pid in self.processes().into_iter().rev() {
            let _ = Cmd::new("kill").arg(pid.to_string()).run(); // it may have ended
        }
        let _ = self.0.wait();
    }
}

/// The fields of /proc/PID/stat behind the program's name; the first is the state.
fn stat(pid: u32) -> Option<Vec<String>> {
    let text = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    Some(text.rsplit_once(')')?.1.split_whitespace().map(str::to_owned).collect())
}

fn ticks(pid: u32) -> u64 {
    let fields = stat(pid).unwrap_or_default();
    // utime, stime, cutime, cstime: fields 14 to 17 of proc(5).
    fields.iter().skip(11).take(4).filter_map(|field| field.parse::<u64>().ok()).sum()
}

fn share(pid: u32) -> u64 {
    let text = std::fs::read_to_string(format!("/proc/{pid}/smaps_rollup")).unwrap_or_default();
    let line = text.lines().find_map(|line| line.strip_prefix("Pss:"));
    line.and_then(|rest| rest.trim().trim_end_matches(" kB").parse().ok()).unwrap_or(0)
}

/// The middle one of them; 0 of none.
pub(super) fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or_default()
}

/// A directory of files to be served, and the configuration of ours.
pub(super) struct Files {
    pub(super) dir: PathBuf,
}

impl Files {
    /// Makes a release of files with these names and sizes, out of random bytes.
    pub(super) fn make(files: &[(&str, u64)]) -> anyhow::Result<Self> {
        let dir = workspace().join("out/bench-wire");
        std::fs::create_dir_all(dir.join("boot/net"))?;
        std::fs::create_dir_all(dir.join("boot/efi"))?;
        let mut listed = serde_json::Map::new();
        let loaders = [
            "boot/net/undionly.kpxe",
            "boot/net/ipxe.efi",
            "boot/net/grubnetx64.efi",
            "boot/efi/shimx64.efi",
        ];
        let loaders = loaders.map(|name| (name, 1 << 16));
        for (name, size) in
            loaders.iter().chain([("vmlinuz", 1 << 16), ("initrd", 1 << 16)].iter()).chain(files)
        {
            let path = dir.join(name);
            let mut source = std::io::Read::take(std::fs::File::open("/dev/urandom")?, *size);
            std::io::copy(&mut source, &mut std::fs::File::create(&path)?)?;
            let digest = Cmd::new("sha256sum").arg(&path).text()?;
            let digest = digest.split_whitespace().next().context("sha256sum says nothing")?;
            listed.insert((*name).to_owned(), serde_json::json!({"size": size, "sha256": digest}));
        }
        let manifest = serde_json::json!({
            "format": 1, "version": "0.0.0", "epoch": 0, "kernel": "none", "key": "throw-away",
            "root": {"hash_offset": 0, "root_hash": ""}, "files": listed,
        });
        std::fs::write(dir.join("manifest.json"), manifest.to_string())?;
        std::fs::write(dir.join("manifest.json.minisig"), "none\n")?;
        let here = dir.display();
        let config = format!(
            "interface = \"{INTERFACE}\"\naddress = \"{ADDRESS}/24\"\npool_start = \"10.77.0.200\"\n\
             pool_end = \"10.77.0.250\"\nrelease_dir = \"{here}\"\nroot_path = \"{here}/root\"\n\
             agent_socket = \"{here}/none.sock\"\nlease_file = \"{here}/leases\"\n"
        );
        std::fs::write(dir.join("pxe.toml"), config)?;
        Ok(Self { dir })
    }

    /// Our server, as it is shipped.
    pub(super) fn ours(&self) -> Cmd {
        Cmd::new(build::program("maekin-pxe")).args(["serve", "--config"]).arg(self.dir.join("pxe.toml"))
    }
}

impl Drop for Files {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.dir); // half a gigabyte that can be made again
    }
}

/// Where programs of others are kept that are not installed: most of them would begin to serve by themselves, and two
/// of them exclude each other.
fn peers() -> PathBuf {
    workspace().join("target/bench-peers")
}

/// A server of Debian's, unpacked from `package` and not installed.
pub(super) fn debian(package: &str, program: &str) -> anyhow::Result<PathBuf> {
    let path = peers().join(program);
    if !path.exists() {
        let dir = peers().join("download");
        std::fs::create_dir_all(&dir)?;
        step::run(&format!("fetch {package}"), || {
            Cmd::new("apt-get").args(["download", package]).dir(&dir).run()?;
            let debs = std::fs::read_dir(&dir)?.filter_map(|entry| Some(entry.ok()?.path()));
            for deb in debs.filter(|deb| starts_with(deb, &format!("{package}_"))) {
                Cmd::new("dpkg").arg("-x").arg(deb).arg(peers()).run()?;
            }
            Ok(())
        })?;
    }
    Ok(path)
}

fn starts_with(path: &Path, prefix: &str) -> bool {
    path.file_name().is_some_and(|name| name.to_string_lossy().starts_with(prefix))
}

/// A server from the crate registry.
pub(super) fn registry(name: &str, version: &str) -> anyhow::Result<PathBuf> {
    let path = peers().join("bin").join(name);
    if !path.exists() {
        let install = shown(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
        let install =
            install.args(["install", "--locked", "--version", version, "--root"]).arg(peers()).arg(name);
        step::run(&format!("build {name} {version}"), || Ok(install.run()?))?;
    }
    Ok(path)
}

/// Compiles our server and the clients.
pub(super) fn compile() -> anyhow::Result<()> {
    step::run("compile", || {
        let build = cargo().args(["build", "--release", "--locked", "-q", "-p", "maekin-pxe"]);
        Ok(build.args(["--bin", "maekin-pxe", "--example", "wire-load"]).run()?)
    })
}
