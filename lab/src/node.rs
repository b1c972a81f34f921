//! One node: its files, its cable, its power. Its processes live in a process namespace, so that cutting the power ends all
//! of them in one moment; what was in memory is gone with them, and what was written stays.
//!
//! What an agent configures is its own as well: a mount and a host name namespace, a root directory that it writes
//! configuration files below, and a `systemctl` that reaches no service of the machine.

use std::fs;
use std::net::Ipv4Addr;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::UnixDatagram;
use std::path::{Path, PathBuf};
use std::process::{Child, Stdio};
use std::thread;
use std::time::Duration;

use anyhow::Context;
use argon2::password_hash::{PasswordHasher, SaltString};
use argon2::{Algorithm, Argon2, Params, Version};
use maekin_host::cmd::Cmd;
use maekin_rootfs::node::{Admin, ClusterIntent, Interface, Network, NodeConfig, Time};
use nix::sched::{CloneFlags, unshare};
use uuid::Uuid;

use crate::api::{Api, PASSWORD};
use crate::namespace::Namespace;
use crate::pace;
use crate::switch::PREFIX;

/// How long one request may take: longer than the agent waits for a voter, shorter than a person.
const PATIENCE: Duration = Duration::from_secs(8);

/// The first process of a node. It ends with whoever started it, and everything of the node with it.
const INIT: &str = r#"mount -t proc proc /proc
mount -t sysfs -o ro sysfs /sys
# What settings change lies below a root of its own. The kernel is reached through it as well: proc tells each namespace
# its own host name.
mkdir -p "$DIR/root/proc"
mount -t proc proc "$DIR/root/proc"
cp "$DIR/hostname" /proc/sys/kernel/hostname
# As maekin-agent.service: started again when it ends.
while :; do
  "$@" & agent=$!
  echo $agent >"$DIR/run/agent.pid"
  wait $agent
  echo "the agent ended: $?"
  sleep 2
done >>"$DIR/agent.log" 2>&1 </dev/null &
read -r _
"#;

/// In place of systemctl(1). `maekin-etcd.service` notifies when it is ready, and is started again when it ends; so is the
/// agent. All other services are there in name only.
const SYSTEMCTL: &str = r#"#!/bin/sh
case "$1 $2" in
'start maekin-etcd.service')
  if [ ! -e "$DIR/run/etcd.wanted" ]; then
    : >"$DIR/run/etcd.wanted"; rm -f "$DIR/run/etcd.ready"
    setsid sh "$DIR/etcd.sh" >>"$DIR/etcd.log" 2>&1 </dev/null &
  fi
  tries=450
  while [ ! -e "$DIR/run/etcd.ready" ] && [ $tries -gt 0 ]; do tries=$((tries - 1)); sleep 0.2; done
  [ $tries -gt 0 ] || { echo 'Job for maekin-etcd.service failed: timeout' >&2; exit 1; };;
'stop maekin-etcd.service')
  [ -e "$DIR/run/etcd.wanted" ] || exit 0
  rm -f "$DIR/run/etcd.wanted"
  kill -9 "$(cat "$DIR/run/etcd.pid")" 2>/dev/null
  while [ -e "$DIR/run/etcd.pid" ]; do sleep 0.1; done;;
'--no-block try-restart')
  [ "$3" != maekin-agent.service ] || kill "$(cat "$DIR/run/agent.pid")";;
esac
exit 0
"#;

/// What keeps etcd running while it is wanted.
const ETCD: &str = r#"export NOTIFY_SOCKET="$DIR/run/notify"
while [ -e "$DIR/run/etcd.wanted" ]; do
  rm -f "$DIR/run/etcd.ready"
  (set -a; . "$DIR/run/etcd.env"; exec etcd) & pid=$!
  echo $pid >"$DIR/run/etcd.pid"
  wait $pid
  [ ! -e "$DIR/run/etcd.wanted" ] || sleep 2
done
rm -f "$DIR/run/etcd.pid"
"#;

/// See the module.
pub struct Node {
    /// Which one, from 0.
    pub index: usize,
    /// Host name.
    pub name: String,
    /// Its address.
    pub address: Ipv4Addr,
    /// Where it has its files.
    pub dir: PathBuf,
    net: Namespace,
    install: Uuid,
    running: Option<Child>,
}

impl Node {
    /// One that is off, and has no node file yet.
    ///
    /// # Errors
    /// When its namespace or files cannot be made.
    pub fn new(index: usize, seed: u64, dir: &Path, address: Ipv4Addr) -> anyhow::Result<Self> {
        let name = format!("node-{}", index + 1);
        let dir = dir.join(&name);
        for part in ["state", "run", "dmi", "root"] {
            fs::create_dir_all(dir.join(part))?;
        }
        let install = Uuid::from_u128((u128::from(seed) << 64) | (index as u128 + 1));
        fs::write(dir.join("hostname"), format!("{name}\n"))?;
        fs::write(dir.join("dmi/product_uuid"), format!("{}\n", Uuid::new_v5(&install, b"machine")))?;
        for (file, text) in [("init.sh", INIT), ("systemctl", SYSTEMCTL), ("etcd.sh", ETCD)] {
            fs::write(dir.join(file), text)?;
            fs::set_permissions(dir.join(file), fs::Permissions::from_mode(0o755))?;
        }
        Ok(Self { index, name, address, dir, net: Namespace::new()?, install, running: None })
    }

    /// Its network.
    #[must_use]
    pub fn net(&self) -> &Namespace {
        &self.net
    }

    /// A client of its API.
    #[must_use]
    pub fn api(&self) -> Api {
        Api::new(self.address, pace::limit(PATIENCE))
    }

    /// Writes its node file, as its installer would.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn install(&self, cluster: ClusterIntent) -> anyhow::Result<()> {
        let config = NodeConfig {
            version: 1,
            install_id: self.install,
            machine_id: self.install.simple().to_string(),
            hostname: self.name.clone(),
            admin: Admin { password_hash: Some(hash(PASSWORD)?), ssh_keys: vec![] },
            network: Network {
                interfaces: vec![Interface {
                    name: Some("e0".into()),
                    addresses: vec![format!("{}/{PREFIX}", self.address)],
                    ..Interface::default()
                }],
                ..Network::default()
            },
            time: Time::default(),
            cluster,
            provision: None,
            disks: vec![],
        };
        fs::write(self.node_file(), toml::to_string(&config)?).context("the node file")
    }

    /// Says in its node file that it has another address from its next start on.
    ///
    /// # Errors
    /// When there is none, or it cannot be written.
    pub fn readdress(&mut self, address: Ipv4Addr) -> anyhow::Result<()> {
        let mut config: NodeConfig = toml::from_str(&fs::read_to_string(self.node_file())?)?;
        if let Some(interface) = config.network.interfaces.first_mut() {
            interface.addresses = vec![format!("{address}/{PREFIX}")];
        }
        fs::write(self.node_file(), toml::to_string(&config)?)?;
        self.address = address;
        Ok(())
    }

    fn node_file(&self) -> PathBuf {
        self.dir.join("state/node.toml")
    }

    /// Whether it is on.
    #[must_use]
    pub fn is_on(&self) -> bool {
        self.running.is_some()
    }

    /// Switches it on.
    ///
    /// # Errors
    /// When its first process cannot be started.
    pub fn power_on(&mut self, agent: &Path) -> anyhow::Result<()> {
        if self.is_on() {
            return Ok(());
        }
        // Memory was lost with the power.
        let run = self.dir.join("run");
        let _ = fs::remove_dir_all(&run); // it may not be there
        fs::create_dir_all(&run)?;
        listen(&run)?;
        let dir = &self.dir;
        let cmd = Cmd::new("unshare")
            .args(["--mount", "--propagation", "private", "--uts", "sh"])
            .arg(dir.join("init.sh"))
            .arg(agent)
            .arg("--state")
            .arg(dir.join("state"))
            .arg("--run")
            .arg(dir.join("run"))
            .arg("--systemctl")
            .arg(dir.join("systemctl"))
            .arg("--dmi")
            .arg(dir.join("dmi"))
            .arg("--root")
            .arg(dir.join("root"))
            .arg("run")
            .env("DIR", dir);
        // Processes that a thread starts after unshare(2) are in the new namespace, the first of them as its first: the
        // thread is good for one.
        let start = move || {
            let thread = thread::spawn(move || {
                unshare(CloneFlags::CLONE_NEWPID)?;
                Ok(cmd.spawn(Stdio::piped(), Stdio::null(), Stdio::inherit())?)
            });
            thread.join().unwrap_or_else(|_| Err(anyhow::anyhow!("the thread of a node ended early")))
        };
        self.running = Some(self.net.run(start)?);
        Ok(())
    }

    /// Cuts its power: everything of it is gone when this returns.
    pub fn cut_power(&mut self) {
        if let Some(mut first) = self.running.take() {
            let _ = first.kill(); // it may have ended
            let _ = first.wait(); // returns when the last process of the namespace is gone
        }
    }

    /// The last lines that its agent said.
    #[must_use]
    pub fn said(&self, lines: usize) -> String {
        tail(&self.dir.join("agent.log"), lines)
    }

    /// The host name that its kernel has; `None` where it is off.
    #[must_use]
    pub fn host_name(&self) -> Option<String> {
        let first = self.running.as_ref()?.id().to_string();
        let name = Cmd::new("nsenter").args(["--uts", "--target", &first, "uname", "--nodename"]).text();
        Some(name.ok()?.trim().to_owned())
    }

    /// Ids of its processes of this program, as the test's own namespace has them.
    #[must_use]
    pub fn processes(&self, program: &str) -> Vec<u32> {
        let Some(first) = self.running.as_ref().map(Child::id) else { return Vec::new() };
        let of = |pid: u32| fs::read_link(format!("/proc/{pid}/ns/pid")).ok();
        let Some(own) = of(first) else { return Vec::new() };
        let is = |pid: &u32| {
            let name = fs::read_to_string(format!("/proc/{pid}/comm")).unwrap_or_default();
            name.trim() == program && of(*pid).as_ref() == Some(&own)
        };
        let all = fs::read_dir("/proc").into_iter().flatten();
        all.filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok()).filter(is).collect()
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        self.cut_power();
    }
}

/// Hears, as systemd would, when a service says that it is ready (sd_notify(3)), and notes that in a file.
fn listen(run: &Path) -> anyhow::Result<()> {
    let socket = UnixDatagram::bind(run.join("notify")).context("the socket that services notify")?;
    let ready = run.join("etcd.ready");
    thread::spawn(move || {
        let mut buf = [0; 1024];
        // It lasts as long as the test: a node that is switched on again has another socket, at the same place.
        while let Ok(length) = socket.recv(&mut buf) {
            if String::from_utf8_lossy(&buf[..length]).lines().any(|line| line == "READY=1") {
                let _ = fs::write(&ready, ""); // where it fails the service's start does too, and says so
            }
        }
    });
    Ok(())
}

/// A hash that is cheap to check: passwords are not what is under test, and fifty agents check them at once.
fn hash(password: &str) -> anyhow::Result<String> {
    let wrong = |e: argon2::Error| anyhow::anyhow!("parameters of Argon2: {e}");
    let cheap = Argon2::new(Algorithm::Argon2id, Version::V0x13, Params::new(8, 1, 1, None).map_err(wrong)?);
    let salt = SaltString::encode_b64(b"0123456789abcdef").map_err(|e| anyhow::anyhow!("a salt: {e}"))?;
    let hash = cheap.hash_password(password.as_bytes(), &salt);
    Ok(hash.map_err(|e| anyhow::anyhow!("a hash: {e}"))?.to_string())
}

fn tail(path: &Path, lines: usize) -> String {
    let text = fs::read_to_string(path).unwrap_or_default();
    let all: Vec<_> = text.lines().collect();
    all[all.len().saturating_sub(lines)..].join("\n")
}
