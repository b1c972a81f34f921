//! A node as a machine on this host: power, and everything that hangs on it.

use std::path::Path;
use std::time::Duration;

use anyhow::{Context, bail, ensure};
use maekin_host::cmd::Cmd;
use maekin_host::procs::{self, Life, Process};
use maekin_host::wait;

use crate::QEMU;
use crate::accel::Accel;
use crate::args::{NodeFiles, boot_first_from, boot_index_between, device_id, plan_args};
use crate::firmware;
use crate::node::{BootFrom, NodeSpec};
use crate::qmp::Qmp;
use crate::serial::Serial;

/// How long QEMU may take to be ready.
const START_LIMIT: Duration = Duration::from_secs(30);
/// How long QEMU may take to end once told to.
const END_LIMIT: Duration = Duration::from_secs(20);
/// How often a condition is looked at.
const LOOK: Duration = Duration::from_millis(50);
/// Longest path of a unix socket, unix(7), without its closing nul.
const MAX_SOCKET: usize = 107;
/// A file of the guest may grow this much past its drive before QEMU is stopped: metadata of qcow2, and logs.
const FILE_SLACK: u64 = 1 << 30;

/// A node's directory and what runs from it. The [`NodeSpec`] is kept by the rack.
#[derive(Debug, Clone)]
pub struct Machine {
    files: NodeFiles,
    life: Life,
    accel: Accel,
}

impl Machine {
    /// The machine that lives in `dir`.
    #[must_use]
    pub fn new(dir: &Path, life: Life, accel: Accel) -> Self {
        Self { files: NodeFiles::new(dir), life, accel }
    }

    /// Its directory.
    #[must_use]
    pub fn dir(&self) -> &Path {
        &self.files.dir
    }

    /// Its machine protocol.
    #[must_use]
    pub fn qmp(&self) -> Qmp {
        Qmp::new(&self.files.qmp_socket)
    }

    /// Its serial line, read from the first power-on.
    #[must_use]
    pub fn serial(&self) -> Serial {
        Serial::new(&self.files.serial_log, &self.files.serial_socket)
    }

    /// Where its serial socket is.
    #[must_use]
    pub fn serial_socket(&self) -> &Path {
        &self.files.serial_socket
    }

    /// Where its serial log is.
    #[must_use]
    pub fn serial_log(&self) -> &Path {
        &self.files.serial_log
    }

    /// Its UEFI variables.
    #[must_use]
    pub fn nvram(&self) -> &Path {
        &self.files.nvram
    }

    /// Whether QEMU runs.
    #[must_use]
    pub fn is_on(&self) -> bool {
        self.process().is_some_and(|p| p.is_alive())
    }

    fn process(&self) -> Option<Process> {
        let (_, pid_file) = procs::files(&self.files.dir, "qemu");
        Process::from_pid_file(&pid_file)
    }

    /// Switches it on.
    ///
    /// # Errors
    /// When it is on already, a file is missing, or QEMU does not start; then with what QEMU said.
    pub fn power_on(&self, spec: &NodeSpec) -> anyhow::Result<()> {
        ensure!(!self.is_on(), "{} is on already", spec.name);
        let dir = &self.files.dir;
        std::fs::create_dir_all(dir).with_context(|| format!("cannot create {}", dir.display()))?;
        check_socket(&self.files.serial_socket)?;
        let ovmf = firmware::find(spec.firmware)?;
        if let Some(ovmf) = ovmf.as_ref().filter(|_| !self.files.nvram.exists()) {
            firmware::empty_nvram(ovmf, &self.files.nvram)?;
        }
        for socket in [&self.files.serial_socket, &self.files.qmp_socket] {
            let _ = std::fs::remove_file(socket); // of an earlier run; QEMU says so if it cannot listen
        }
        let (log, pid_file) = procs::files(dir, "qemu");
        procs::start(
            &self.command(spec, ovmf.as_ref().map(|o| o.code.as_path())),
            self.life,
            &log,
            &pid_file,
        )?;
        let said = || std::fs::read_to_string(&log).unwrap_or_default();
        // The sockets are there before the devices are made; QEMU answers only after that.
        let up = wait::until("QEMU to answer", START_LIMIT, LOOK, || {
            let ready = self.qmp().status().is_ok();
            (ready || !self.is_on()).then_some(ready)
        });
        match up {
            Ok(true) => Ok(()),
            Ok(false) => bail!("QEMU of {} ended at once: {}", spec.name, said().trim()),
            Err(e) => Err(e).with_context(|| format!("QEMU of {} said: {}", spec.name, said().trim())),
        }
    }

    /// Switches it on and boots `from` this once, as by the firmware's boot menu; restarts follow the boot order.
    ///
    /// # Errors
    /// As [`Machine::power_on`].
    pub fn power_on_from(&self, spec: &NodeSpec, from: BootFrom) -> anyhow::Result<()> {
        let once = NodeSpec { boot: boot_first_from(spec, from), ..spec.clone() };
        self.power_on(&once)?;
        // QEMU hands the order over at each reset, and the first one is behind us.
        self.qmp().set_boot_index(&device_id(spec, from), boot_index_between(spec, from))
    }

    /// QEMU by way of `prlimit`, which becomes QEMU: a guest gone wild cannot fill the host's disk through one file.
    fn command(&self, spec: &NodeSpec, code: Option<&Path>) -> Cmd {
        let largest = spec.drives.iter().map(|d| d.size).max().unwrap_or(0);
        let args = plan_args(spec, &self.files, self.accel, code);
        let limit = format!("--fsize={}", largest + FILE_SLACK);
        match spec.namespace() {
            Some(name) => Cmd::new("ip").args(["netns", "exec", name, "prlimit"]).arg(limit),
            None => Cmd::new("prlimit").arg(limit),
        }
        .arg(QEMU)
        .args(args)
    }

    /// Cuts the power.
    ///
    /// # Errors
    /// When QEMU cannot be ended.
    pub fn power_off(&self) -> anyhow::Result<()> {
        let Some(process) = self.process().filter(Process::is_alive) else { return Ok(()) };
        if self.qmp().quit().is_ok() {
            let gone = || (!process.is_alive()).then_some(());
            if wait::until("QEMU to end", END_LIMIT, LOOK, gone).is_ok() {
                return Ok(());
            }
        }
        process.end(END_LIMIT)?;
        Ok(())
    }

    /// Cuts the power by SIGKILL: what QEMU itself had not written out yet is gone, too.
    ///
    /// # Errors
    /// When it is off already, or cannot be killed.
    pub fn kill(&self) -> anyhow::Result<()> {
        self.process().filter(Process::is_alive).context("it is off already")?.kill()?;
        Ok(())
    }

    /// Waits until it has switched itself off.
    ///
    /// # Errors
    /// After `limit`, with the tail of the serial log.
    pub fn wait_off(&self, what: &str, limit: Duration) -> anyhow::Result<()> {
        let off = wait::until(what, limit, LOOK, || (!self.is_on()).then_some(()));
        off.with_context(|| format!("serial log:\n{}", self.serial().tail()))
    }

    /// Takes its UEFI variables away, as a replaced board would: the next start has none.
    ///
    /// # Errors
    /// When it is on, or the file cannot be removed.
    pub fn forget_nvram(&self, spec: &NodeSpec) -> anyhow::Result<()> {
        ensure!(!self.is_on(), "{} is on", spec.name);
        match (spec.firmware.is_uefi(), std::fs::remove_file(&self.files.nvram)) {
            (true, Err(e)) if e.kind() != std::io::ErrorKind::NotFound => {
                Err(e).with_context(|| format!("cannot remove {}", self.files.nvram.display()))
            }
            _ => Ok(()),
        }
    }

    /// For the end of an error message: the tail of the serial line, a screen dump taken now, where the logs are.
    #[must_use]
    pub fn diagnosis(&self) -> String {
        let screen = self.files.dir.join("failure.png");
        let screen = match self.qmp().screendump(&screen) {
            Ok(()) => screen.display().to_string(),
            Err(_) if !self.is_on() => "none, it is off".to_owned(),
            Err(e) => format!("none: {e:#}"),
        };
        format!(
            "serial log {}:\n{}screen: {screen}\nQEMU's own words: {}",
            self.files.serial_log.display(),
            self.serial().tail(),
            self.files.dir.join("qemu.log").display(),
        )
    }
}

/// Refuses a directory so deep that its sockets cannot be listened on.
///
/// # Errors
/// Names the path and the figures.
pub fn check_socket(path: &Path) -> anyhow::Result<()> {
    let length = path.as_os_str().len();
    ensure!(
        length <= MAX_SOCKET,
        "the path {} has {length} bytes, and a unix socket's may have {MAX_SOCKET}: \
         move the checkout to a shorter path",
        path.display()
    );
    Ok(())
}
