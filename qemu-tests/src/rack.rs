//! A rack: nodes, the switch between them, and the directory that all of it lives in.
//!
//! `DIR/rack.json` is the state; `DIR/switch/` the switch; `DIR/NAME/` a node: drives, NVRAM, sockets, logs, pid file.
//! Nothing is written anywhere else, and removing the directory after [`Rack::down`] leaves nothing behind.

mod bays;
mod plan;
mod raise;
mod standing;
mod watch;

use std::fs::File;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, bail, ensure};
use maekin_host::cmd::Cmd;
use maekin_host::procs::{self, Life, Process};
use maekin_host::{file, wait};
use serde::{Deserialize, Serialize};

pub use plan::{Firmwares, Plan, plan_specs};
pub use raise::at_once;
pub use watch::{Watch, Watched};

use crate::accel::{self, Accel};
use crate::api::Api;
use crate::machine::{self, Machine};
use crate::node::{BootFrom, NodeSpec};
use crate::switch::{self, Control, Switch};
use crate::{disk, ports, ssh};

/// The agent's port on a node.
const API_PORT: u16 = 8443;
/// The ssh server's port on a node.
const SSH_PORT: u16 = 22;
/// How long the switch may take to start and to end.
const SWITCH_LIMIT: Duration = Duration::from_secs(10);

/// How long another run of the same test may take to end: as long as a test may take (`.config/nextest.toml`).
const PLACE_LIMIT: Duration = Duration::from_secs(3600);

/// What is kept about a rack.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct State {
    version: u32,
    password: String,
    nodes: Vec<NodeSpec>,
}

/// A rack on this host.
pub struct Rack {
    dir: PathBuf,
    life: Life,
    accel: Accel,
    state: State,
}

/// A rack that ends with the process that made it: guests, switch and, where all went well, files.
///
/// After a panic the files stay for a look.
pub struct TestRack {
    rack: Rack,
    /// Let go last: another run of the same test may then begin.
    _place: File,
}

impl std::ops::Deref for TestRack {
    type Target = Rack;
    fn deref(&self) -> &Rack {
        &self.rack
    }
}

impl std::ops::DerefMut for TestRack {
    fn deref_mut(&mut self) -> &mut Rack {
        &mut self.rack
    }
}

impl Drop for TestRack {
    fn drop(&mut self) {
        if std::thread::panicking() {
            for node in self.rack.nodes() {
                eprintln!("--- {}\n{}", node.name, self.rack.machine(node).diagnosis());
            }
        }
        // The guests die with this process in any case; an error here has nobody to go to.
        let _ = self.rack.end_processes();
        if !std::thread::panicking() {
            let _ = std::fs::remove_dir_all(&self.rack.dir);
        }
    }
}

impl Rack {
    /// Makes the rack that `plan` describes in `dir`, with empty drives and everything switched off but the switch.
    /// `tool` is the `rack` program, which runs the switch of a rack that outlives this process.
    ///
    /// # Errors
    /// When a rack runs in `dir`, or something cannot be made.
    pub fn create(dir: &Path, plan: &Plan, life: Life, tool: &Path) -> anyhow::Result<Self> {
        if let Ok(old) = Self::open(dir) {
            ensure!(
                !old.is_running(),
                "a rack is running in {}: end it with `cargo xtask down`",
                dir.display()
            );
            old.remove()?;
        }
        std::fs::create_dir_all(dir).with_context(|| format!("cannot create {}", dir.display()))?;
        let dir = &dir.canonicalize().with_context(|| format!("cannot find {}", dir.display()))?;
        let nodes = plan_specs(dir, plan, &ports::free(plan.ports())?);
        let state = State { version: 1, password: plan.password.clone(), nodes };
        let rack = Self { dir: dir.clone(), life, accel: accel::choose().0, state };
        rack.save()?; // before anything that `down` would have to find
        for node in rack.nodes() {
            machine::check_socket(&dir.join(&node.name).join("serial.sock"))?;
            for drive in &node.drives {
                let parent = drive.file.parent().unwrap_or(dir);
                std::fs::create_dir_all(parent)
                    .with_context(|| format!("cannot create {}", parent.display()))?;
                disk::create(&drive.file, drive.size)?;
            }
        }
        rack.start_switch(tool)?;
        Ok(rack)
    }

    /// Like [`Rack::create`], for a test: in a directory named after it, ending with it. While another run of the tests
    /// has that directory, it is waited for.
    ///
    /// # Errors
    /// As [`Rack::create`], and when the other run does not end.
    pub fn for_test(name: &str, plan: &Plan, tool: &Path) -> anyhow::Result<TestRack> {
        let dir = crate::release::out().join("t").join(name);
        let place = place(&dir)?;
        if dir.exists() {
            std::fs::remove_dir_all(&dir).with_context(|| format!("cannot remove {}", dir.display()))?;
        }
        Self::create(&dir, plan, Life::WithUs, tool).map(|rack| TestRack { rack, _place: place })
    }

    /// Finds the rack in `dir`.
    ///
    /// # Errors
    /// When there is none, or its state cannot be read.
    pub fn open(dir: &Path) -> anyhow::Result<Self> {
        let path = dir.join("rack.json");
        ensure!(path.exists(), "there is no rack in {}: raise one with `cargo xtask up`", dir.display());
        let text = file::read_text(&path, 4 << 20)?;
        let state: State =
            serde_json::from_str(&text).with_context(|| format!("cannot understand {}", path.display()))?;
        ensure!(state.version == 1, "{} has version {}, this program knows 1", path.display(), state.version);
        Ok(Self { dir: dir.to_owned(), life: Life::Detached, accel: accel::choose().0, state })
    }

    /// Its directory.
    #[must_use]
    pub fn dir(&self) -> &Path {
        &self.dir
    }

    /// Password of user `admin`.
    #[must_use]
    pub fn password(&self) -> &str {
        &self.state.password
    }

    /// Its nodes.
    #[must_use]
    pub fn nodes(&self) -> &[NodeSpec] {
        &self.state.nodes
    }

    /// The node called `name`.
    ///
    /// # Errors
    /// Lists those there are.
    pub fn node(&self, name: &str) -> anyhow::Result<&NodeSpec> {
        let names = || self.state.nodes.iter().map(|n| n.name.as_str()).collect::<Vec<_>>().join(", ");
        let found = self.state.nodes.iter().find(|n| n.name == name);
        found.with_context(|| format!("there is no node {name:?}; nodes: {}", names()))
    }

    /// Changes a node, which shows at its next power-on.
    ///
    /// # Errors
    /// When there is no such node or the state cannot be written.
    pub fn change(&mut self, name: &str, change: impl FnOnce(&mut NodeSpec)) -> anyhow::Result<()> {
        self.node(name)?;
        if let Some(node) = self.state.nodes.iter_mut().find(|n| n.name == name) {
            change(node);
        }
        self.save()
    }

    /// How guests run.
    #[must_use]
    pub fn accel(&self) -> Accel {
        self.accel
    }

    /// The machine of a node.
    #[must_use]
    pub fn machine(&self, node: &NodeSpec) -> Machine {
        Machine::new(&self.dir.join(&node.name), self.life, self.accel)
    }

    /// The API of a node.
    ///
    /// # Errors
    /// When the node has no port that leads there.
    pub fn api(&self, node: &NodeSpec) -> anyhow::Result<Api> {
        let port = node.forwarded(API_PORT);
        let port = port.with_context(|| format!("{} has no forwarded port {API_PORT}", node.name))?;
        Ok(Api::new(port, &self.state.password))
    }

    /// What `command` prints when it is run on a node by ssh, as root.
    ///
    /// # Errors
    /// When it cannot be run, fails, or takes longer than two minutes by hardware virtualisation.
    pub fn ssh(&self, node: &NodeSpec, command: &str) -> anyhow::Result<String> {
        let port = node.forwarded(SSH_PORT);
        let port = port.with_context(|| format!("{} has no forwarded port {SSH_PORT}", node.name))?;
        let limit = self.limit(Duration::from_secs(120));
        ssh::command(&ssh::key(&self.dir), port, command, limit)
            .text()
            .with_context(|| format!("on {} by ssh", node.name))
    }

    /// The switch's control.
    #[must_use]
    pub fn switch(&self) -> Control {
        Control::new(&self.switch_dir())
    }

    /// A limit for what takes `base` by hardware virtualisation.
    #[must_use]
    pub fn limit(&self, base: Duration) -> Duration {
        base * self.accel.slowness()
    }

    /// Switches a node on.
    ///
    /// # Errors
    /// As [`Machine::power_on`].
    pub fn power_on(&self, name: &str) -> anyhow::Result<()> {
        let node = self.node(name)?;
        self.machine(node).power_on(node)
    }

    /// Switches a node on and boots `from` this once.
    ///
    /// # Errors
    /// As [`Machine::power_on_from`].
    pub fn power_on_from(&self, name: &str, from: BootFrom) -> anyhow::Result<()> {
        let node = self.node(name)?;
        self.machine(node).power_on_from(node, from)
    }

    /// Whether any of its processes runs.
    #[must_use]
    pub fn is_running(&self) -> bool {
        self.switch_process().is_some() || self.nodes().iter().any(|n| self.machine(n).is_on())
    }

    /// Ends everything and removes the directory.
    ///
    /// # Errors
    /// Names what could not be ended; nothing is removed then.
    pub fn down(self) -> anyhow::Result<()> {
        self.end_processes()?;
        self.remove()
    }

    /// Ends guests and switch; the files stay.
    ///
    /// # Errors
    /// Names what could not be ended.
    pub fn end_processes(&self) -> anyhow::Result<()> {
        for node in self.nodes() {
            self.machine(node).power_off().with_context(|| format!("cannot switch {} off", node.name))?;
        }
        if let Some(process) = self.switch_process() {
            process.end(SWITCH_LIMIT)?;
        }
        Ok(())
    }

    fn remove(&self) -> anyhow::Result<()> {
        std::fs::remove_dir_all(&self.dir).with_context(|| format!("cannot remove {}", self.dir.display()))
    }

    fn save(&self) -> anyhow::Result<()> {
        let text = serde_json::to_string_pretty(&self.state)?;
        // The password of a rack that is reachable from this host alone is still nobody else's business.
        file::write_atomic(&self.dir.join("rack.json"), text.as_bytes(), 0o600)?;
        Ok(())
    }

    fn switch_dir(&self) -> PathBuf {
        self.dir.join("switch")
    }

    fn switch_process(&self) -> Option<Process> {
        let (_, pid_file) = procs::files(&self.switch_dir(), "switch");
        Process::from_pid_file(&pid_file).filter(Process::is_alive)
    }

    fn start_switch(&self, tool: &Path) -> anyhow::Result<()> {
        let dir = self.switch_dir();
        let names: Vec<String> = self.nodes().iter().map(|n| n.name.clone()).collect();
        if self.life == Life::WithUs {
            return Switch::start(&dir, &names).map(drop); // in threads of this process
        }
        std::fs::create_dir_all(&dir).with_context(|| format!("cannot create {}", dir.display()))?;
        let (log, pid_file) = procs::files(&dir, "switch");
        let command = Cmd::new(tool).arg("switch").arg(&dir).args(&names);
        let process = procs::start(&command, self.life, &log, &pid_file)?;
        let up = wait::until("the switch", SWITCH_LIMIT, Duration::from_millis(20), || {
            let ready = switch::control_socket(&dir).exists();
            (ready || !process.is_alive()).then_some(ready)
        });
        if !matches!(up, Ok(true)) {
            let _ = process.end(SWITCH_LIMIT); // the reason to report is why it does not listen
            bail!("the switch did not start: {}", std::fs::read_to_string(&log).unwrap_or_default().trim());
        }
        Ok(())
    }
}

/// The right to use a test's directory, for as long as the file is open.
fn place(dir: &Path) -> anyhow::Result<File> {
    let all = dir.parent().unwrap_or(dir);
    std::fs::create_dir_all(all).with_context(|| format!("cannot create {}", all.display()))?;
    let path = dir.with_extension("lock");
    let file = File::create(&path).with_context(|| format!("cannot create {}", path.display()))?;
    let what = format!("another run of the test in {}", dir.display());
    let free = || file.try_lock().is_ok().then_some(());
    wait::until(&what, PLACE_LIMIT, Duration::from_millis(500), free)?;
    Ok(file)
}
