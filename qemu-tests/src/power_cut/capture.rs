//! Two recorded installations, made once for an image: one onto blank drives, and one over the node that it left. Both
//! by the real path (stick, installer), under UEFI; what they write is the same under BIOS but for boot entries, and is
//! judged and booted under both.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, bail, ensure};
use maekin_host::wait;

use super::copy_image;
use crate::answer::Answer;
use crate::node::{BootFrom, Firmware, NodeSpec};
use crate::progress::INSTALLER;
use crate::rack::{Plan, Rack, TestRack};
use crate::recorder::Recorder;
use crate::recorder::log::Log;
use crate::release::{Release, out};
use crate::ssh;

/// Changes whenever what is made here changes.
const RECIPE: u32 = 2;
/// How long a failed recording counts for the tests of the same run.
const FAILED_LIMIT: Duration = Duration::from_secs(30 * 60);
/// How long a test may wait for another one to make it, and an installation may take, by hardware virtualisation.
const LIMIT: Duration = Duration::from_secs(5 * 60);
/// Down, then Return: the menu's second entry.
const SECOND_ENTRY: &str = "\x1b[B\n";

/// Which of the two installations.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Which {
    /// Onto blank drives.
    Fresh,
    /// Over an installed node.
    Again,
}

/// The recorded installations.
#[derive(Debug, Clone)]
pub struct Capture {
    dir: PathBuf,
}

impl Capture {
    /// The recording for this image, made now if there is none yet.
    ///
    /// # Errors
    /// When the image is missing, or an installation fails.
    pub fn get(tool: &Path) -> anyhow::Result<Self> {
        let digest = Release::find()?.digest()?;
        let digest = digest.get(..16).context("the digest of the image is too short")?;
        let captures = out().join("captures");
        std::fs::create_dir_all(&captures)
            .with_context(|| format!("cannot create {}", captures.display()))?;
        let capture = Self { dir: captures.join(format!("{digest}-{RECIPE}")) };
        let path = capture.dir.with_extension("lock");
        let lock = File::create(&path).with_context(|| format!("cannot create {}", path.display()))?;
        let limit = LIMIT * crate::accel::choose().0.slowness();
        let free = || lock.try_lock().is_ok().then_some(());
        wait::until("another test to record the installations", limit, Duration::from_millis(500), free)?;
        if !capture.dir.exists() {
            for entry in std::fs::read_dir(&captures).context("cannot list the recordings")? {
                let old = entry?.path();
                if old.is_dir() {
                    std::fs::remove_dir_all(&old)
                        .with_context(|| format!("cannot remove {}", old.display()))?;
                }
            }
            capture.make_once(tool)?;
        }
        Ok(capture)
    }

    /// What failed is not tried again by every test that needs it.
    fn make_once(&self, tool: &Path) -> anyhow::Result<()> {
        let failed = self.dir.with_extension("failed");
        let age = std::fs::metadata(&failed).and_then(|meta| meta.modified()).ok();
        if age.and_then(|at| at.elapsed().ok()).is_some_and(|age| age < FAILED_LIMIT) {
            let reason = std::fs::read_to_string(&failed).unwrap_or_default();
            bail!("the recording failed a while ago ({} says so): {reason}", failed.display());
        }
        let part = self.dir.with_extension("part");
        let made = make(&part, tool);
        if let Err(e) = &made {
            std::fs::write(&failed, format!("{e:#}"))
                .with_context(|| format!("cannot write {}", failed.display()))?;
        }
        made?;
        std::fs::rename(&part, &self.dir).context("cannot keep the recording")
    }

    /// The log of an installation.
    ///
    /// # Errors
    /// When it cannot be read.
    pub fn log(&self, which: Which) -> anyhow::Result<Log> {
        Log::open(&self.dir.join(which.name()))
    }

    /// Makes the drives as they were before an installation, in `dir`.
    ///
    /// # Errors
    /// When they cannot be copied.
    pub fn drives_before(&self, which: Which, dir: &Path) -> anyhow::Result<Vec<PathBuf>> {
        let mut drives = Vec::new();
        for (i, size) in Plan::single(Firmware::Uefi).drives.iter().enumerate() {
            let to = dir.join(format!("cut-{i}.raw"));
            match which {
                Which::Fresh => {
                    let file =
                        File::create(&to).with_context(|| format!("cannot create {}", to.display()))?;
                    file.set_len(*size)?;
                }
                Which::Again => copy_image(&self.image(i), &to)?,
            }
            drives.push(to);
        }
        Ok(drives)
    }

    /// A rack as the recorded one was, in which these drives hang; its stick has the same answers. The variables of
    /// its firmware are those from before the installation.
    ///
    /// # Errors
    /// When it cannot be made.
    pub fn rack(
        &self,
        which: Which,
        firmware: Firmware,
        name: &str,
        tool: &Path,
    ) -> anyhow::Result<TestRack> {
        let original = Rack::open(&self.dir)?;
        let plan = Plan { password: original.password().to_owned(), ..Plan::single(firmware) };
        let mut rack = Rack::for_test(name, &plan, tool)?;
        let read = |name: &str| {
            let path = self.dir.join(name);
            std::fs::read_to_string(&path).with_context(|| format!("cannot read {}", path.display()))
        };
        for name in ["ssh-key", "ssh-key.pub"] {
            std::fs::copy(self.dir.join(name), rack.dir().join(name)).context("cannot copy the ssh key")?;
        }
        let mut answer = Answer::new(rack.password(), vec![read("ssh-key.pub")?.trim().to_owned()]);
        answer.consent = read("tokens")?.lines().map(str::to_owned).collect();
        if which == Which::Fresh {
            answer.consent.clear();
        }
        rack.insert_stick(&Release::find()?, &answer)?;
        let dir = rack.machine(&rack.nodes()[0]).dir().to_owned();
        if firmware == Firmware::Uefi && which == Which::Again {
            std::fs::copy(self.dir.join("nvram.fd"), dir.join("nvram.fd"))
                .context("cannot copy variables")?;
        }
        rack.change("node-1", |node| {
            for (i, drive) in node.drives.iter_mut().enumerate() {
                drive.file = dir.join(format!("cut-{i}.raw"));
            }
            node.boot.push(BootFrom::Medium);
        })?;
        Ok(rack)
    }

    fn image(&self, i: usize) -> PathBuf {
        self.dir.join(format!("installed-{i}.raw"))
    }
}

impl Which {
    fn name(self) -> &'static str {
        match self {
            Self::Fresh => "fresh",
            Self::Again => "again",
        }
    }
}

fn make(dir: &Path, tool: &Path) -> anyhow::Result<()> {
    if dir.exists() {
        std::fs::remove_dir_all(dir).with_context(|| format!("cannot remove {}", dir.display()))?;
    }
    std::fs::create_dir_all(dir).with_context(|| format!("cannot create {}", dir.display()))?;
    let release = Release::find()?;
    let mut rack = Rack::for_test("power-cut-capture", &Plan::single(Firmware::Uefi), tool)?;
    let mut answer = Answer::new(rack.password(), vec![ssh::make_key(rack.dir())?]);
    answer.after = "poweroff".to_owned();
    let drives: Vec<(PathBuf, u64)> =
        rack.nodes()[0].drives.iter().map(|drive| (drive.file.with_extension("raw"), drive.size)).collect();

    rack.insert_stick(&release, &answer)?;
    let recorder = record(&mut rack, &dir.join(Which::Fresh.name()), &drives)?;
    let spec = install(&rack, "blank drives")?;
    recorder.sync()?;
    for (i, (path, _)) in drives.iter().enumerate() {
        copy_image(path, &dir.join(format!("installed-{i}.raw")))?;
    }
    let machine = rack.machine(&spec);
    std::fs::copy(machine.nvram(), dir.join("nvram.fd")).context("cannot keep the firmware's variables")?;
    for file in ["rack.json", "ssh-key", "ssh-key.pub"] {
        std::fs::copy(rack.dir().join(file), dir.join(file))
            .with_context(|| format!("cannot keep {file}"))?;
    }

    answer.consent = refused_tokens(&rack)?;
    std::fs::write(dir.join("tokens"), answer.consent.join("\n")).context("cannot keep the tokens")?;
    machine.power_off()?;
    rack.insert_stick(&release, &answer)?;
    let recorder = record(&mut rack, &dir.join(Which::Again.name()), &drives)?;
    install(&rack, "an installed node")?;
    recorder.sync()
}

fn record(rack: &mut TestRack, log: &Path, drives: &[(PathBuf, u64)]) -> anyhow::Result<Recorder> {
    let recorder = Recorder::start(log, drives)?;
    rack.change("node-1", |node| {
        for (drive, socket) in node.drives.iter_mut().zip(recorder.sockets()) {
            drive.socket = Some(socket.clone());
        }
    })?;
    Ok(recorder)
}

/// Starts the stick and its installer, whatever the drives hold; returns what the installer said first of `outcomes`.
fn start_installer(rack: &Rack, outcomes: &[&str]) -> anyhow::Result<(usize, String)> {
    let spec = &rack.nodes()[0];
    let mut serial = rack.machine(spec).serial();
    serial.skip()?;
    rack.power_on_from(&spec.name, BootFrom::Medium)?;
    let limit = rack.limit(LIMIT);
    let menu = ["Start the installed system", "Loading the kernel", INSTALLER];
    let (entry, _) = serial.expect_any("the stick's menu", &menu, limit)?;
    if entry == 0 {
        serial.send(SECOND_ENTRY)?;
    }
    let outcomes: Vec<String> = outcomes.iter().map(|o| format!("{INSTALLER}{o}")).collect();
    let outcomes: Vec<&str> = outcomes.iter().map(String::as_str).collect();
    serial.expect_any("the installer", &outcomes, limit)
}

fn install(rack: &Rack, what: &str) -> anyhow::Result<NodeSpec> {
    let (outcome, line) = start_installer(rack, &["done", "refused", "failed"])?;
    let spec = rack.nodes()[0].clone();
    ensure!(outcome == 0, "onto {what}: {line}\n{}", rack.machine(&spec).diagnosis());
    rack.machine(&spec).wait_off("the installer to switch off", rack.limit(Duration::from_secs(60)))?;
    Ok(spec)
}

/// The tokens that the installer asks for when it has none.
fn refused_tokens(rack: &Rack) -> anyhow::Result<Vec<String>> {
    let spec = &rack.nodes()[0];
    let (outcome, line) = start_installer(rack, &["refused", "done", "failed"])?;
    ensure!(outcome == 0, "a node was installed over without consent: {line}");
    let mut text = format!("{line}\n");
    let mut serial = rack.machine(spec).serial();
    let serials: Vec<&str> = spec.drives.iter().map(|drive| drive.serial.as_str()).collect();
    let both =
        wait::until("both tokens", rack.limit(Duration::from_secs(30)), Duration::from_millis(200), || {
            while let Ok(Some(line)) = serial.line() {
                text.push_str(&line);
                text.push('\n');
            }
            tokens(&text, &serials)
        });
    both.with_context(|| format!("no two tokens in {text}"))
}

/// The consent token (`0123-4567-89ab-cdef`, in quotes) that the installer's own lines name for each of the drives with
/// these serial numbers. What its screens draw beside that is no line, and may be half of one.
fn tokens(text: &str, serials: &[&str]) -> Option<Vec<String>> {
    let refused = format!("{INSTALLER}refused: ");
    let lines: Vec<&str> =
        text.lines().filter_map(|line| line.split_once(&refused)).map(|(_, l)| l).collect();
    let hex = |group: &str| group.len() == 4 && group.bytes().all(|b| b.is_ascii_hexdigit());
    let is_token = |word: &&str| word.split('-').count() == 4 && word.split('-').all(hex);
    let token = |serial: &&str| {
        let named = format!("serial {serial},");
        let mut of_drive = lines.iter().filter(|line| line.contains(&named));
        of_drive.find_map(|line| line.split('"').find(is_token)).map(str::to_owned)
    };
    serials.iter().map(token).collect()
}

#[cfg(test)]
mod tests {
    use super::tokens;

    #[test]
    fn each_drive_has_its_token_and_screens_have_none() {
        let text = "maekin-install: refused: sda (X, serial S, 1 GiB): the installer was started from it\n\
            maekin-install: refused: vda (serial N01D0, 10.0 GiB): a node \"node-1\"; add \"0123-4567-89ab-cdef\" to x\n\
            exactly this, add \"9999-acd0-9b44-aa7c\" to vdb (serial N01D1, 10.0 GiB)\n";
        assert_eq!(tokens(text, &["N01D0", "N01D1"]), None);
        let more = "Maekin maekin-install: refused: vdb (serial N01D1, 10.0 GiB): to lose it, add \"760c-acd0-9b44-aa7c\"\n";
        let want = ["0123-4567-89ab-cdef", "760c-acd0-9b44-aa7c"].map(str::to_owned);
        assert_eq!(tokens(&format!("{text}{more}"), &["N01D0", "N01D1"]), Some(want.to_vec()));
    }
}
