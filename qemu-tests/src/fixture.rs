//! An installed node, made once for an image and firmware, and cloned for each test that only needs one.
//!
//! It is made by the real path (stick, installer, first boot), switched off by its power button, and its drives then
//! never change again: clones are overlays. Tests run as processes of their own, so a lock file decides who makes it.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, ensure};
use maekin_host::wait;

use crate::answer::Answer;
use crate::node::Firmware;
use crate::rack::{Plan, Rack, TestRack, Watch};
use crate::release::{Release, out};
use crate::{disk, ssh};

/// Changes whenever what is made here changes, so that older ones are not taken for it.
const RECIPE: u32 = 1;
/// How long another test may take to make it, by hardware virtualisation.
const LOCK_LIMIT: Duration = Duration::from_secs(10 * 60);
/// From the power button to off.
const OFF_LIMIT: Duration = Duration::from_secs(45);

/// An installed node, switched off.
#[derive(Debug, Clone)]
pub struct Fixture {
    dir: PathBuf,
    firmware: Firmware,
}

impl Fixture {
    /// The installed node of this image and `firmware`, made now if there is none yet.
    ///
    /// # Errors
    /// When the image is missing, or the installation fails.
    pub fn get(firmware: Firmware, tool: &Path) -> anyhow::Result<Self> {
        let release = Release::find()?;
        let fixture = Self::of(&release, firmware)?;
        let _lock = fixture.lock()?;
        if !fixture.dir.exists() {
            let (rack, _) = install(&release, firmware, &format!("fixture-{firmware}").to_lowercase(), tool)?;
            fixture.publish(&rack)?;
        }
        Ok(fixture)
    }

    /// Installs a node in any case and hands it over, running; it becomes the fixture when `check` is content.
    ///
    /// # Errors
    /// As [`Fixture::get`], and what `check` says.
    pub fn make(
        firmware: Firmware,
        name: &str,
        tool: &Path,
        check: impl FnOnce(&Rack, &Watch) -> anyhow::Result<()>,
    ) -> anyhow::Result<()> {
        let release = Release::find()?;
        let fixture = Self::of(&release, firmware)?;
        let _lock = fixture.lock()?;
        let (rack, watch) = install(&release, firmware, name, tool)?;
        check(&rack, &watch)?;
        fixture.publish(&rack)
    }

    /// A rack of `plan` whose first node is a clone of this one, switched off. The plan's password and first
    /// firmware are the fixture's.
    ///
    /// # Errors
    /// When it cannot be made.
    pub fn clone_into(&self, name: &str, plan: &Plan, tool: &Path) -> anyhow::Result<TestRack> {
        ensure!(plan.firmwares.of(0) == self.firmware, "the fixture is a {} node", self.firmware);
        let original = Rack::open(&self.dir)?;
        let plan = Plan { password: original.password().to_owned(), ..plan.clone() };
        let rack = Rack::for_test(name, &plan, tool)?;
        let node = rack.nodes().first().context("the plan has no node")?;
        for drive in &node.drives {
            let file = drive.file.file_name().context("a drive has no file name")?;
            disk::overlay(&drive.file, &self.dir.join(&node.name).join(file))?;
        }
        let nvram = self.dir.join(&node.name).join("nvram.fd");
        if nvram.exists() {
            copy(&nvram, rack.machine(node).nvram())?;
        }
        let keys = [&self.dir, rack.dir()].map(ssh::key);
        copy(&keys[0], &keys[1])?;
        copy(&keys[0].with_extension("pub"), &keys[1].with_extension("pub"))?;
        Ok(rack)
    }

    fn of(release: &Release, firmware: Firmware) -> anyhow::Result<Self> {
        let digest = release.digest()?;
        let digest = digest.get(..16).context("the digest of the image is too short")?;
        let name = format!("{digest}-{firmware}-{RECIPE}").to_lowercase();
        Ok(Self { dir: cache().join(name), firmware })
    }

    fn lock(&self) -> anyhow::Result<File> {
        std::fs::create_dir_all(cache()).with_context(|| format!("cannot create {}", cache().display()))?;
        let path = self.dir.with_extension("lock");
        let file = File::create(&path).with_context(|| format!("cannot create {}", path.display()))?;
        let limit = LOCK_LIMIT * crate::accel::choose().0.slowness();
        let what = format!("another test to install the {} node", self.firmware);
        wait::until(&what, limit, Duration::from_millis(500), || file.try_lock().is_ok().then_some(()))?;
        Ok(file)
    }

    /// Switches the node off properly and keeps its files, unless there is one already.
    fn publish(&self, rack: &Rack) -> anyhow::Result<()> {
        let node = rack.nodes().first().context("the rack has no node")?;
        let machine = rack.machine(node);
        machine.qmp().power_button()?;
        machine.wait_off("the node to switch off by its power button", rack.limit(OFF_LIMIT))?;
        if self.dir.exists() {
            return Ok(());
        }
        remove_others(&self.dir)?;
        let part = self.dir.with_extension("part");
        if part.exists() {
            std::fs::remove_dir_all(&part).with_context(|| format!("cannot remove {}", part.display()))?;
        }
        let to = part.join(&node.name);
        std::fs::create_dir_all(&to).with_context(|| format!("cannot create {}", to.display()))?;
        for drive in &node.drives {
            rename(&drive.file, &to.join(drive.file.file_name().context("a drive has no file name")?))?;
        }
        if machine.nvram().exists() {
            rename(machine.nvram(), &to.join("nvram.fd"))?;
        }
        for file in ["rack.json", "ssh-key", "ssh-key.pub"] {
            rename(&rack.dir().join(file), &part.join(file))?;
        }
        rename(&part, &self.dir)
    }
}

fn cache() -> PathBuf {
    out().join("fixtures")
}

/// Installs a node from a stick and waits until it is a cluster of one.
fn install(
    release: &Release,
    firmware: Firmware,
    name: &str,
    tool: &Path,
) -> anyhow::Result<(TestRack, Watch)> {
    let mut rack = Rack::for_test(name, &Plan::single(firmware), tool)?;
    let answer = Answer::new(rack.password(), vec![ssh::make_key(rack.dir())?]);
    rack.insert_stick(release, &answer)?;
    let mut watch = Watch::default();
    rack.boot_first(&mut watch, &mut |_| {})?;
    Ok((rack, watch))
}

/// Removes fixtures of other images: an image that was built over is never tested again.
fn remove_others(keep: &Path) -> anyhow::Result<()> {
    let image = |path: &Path| {
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        name.split('-').next().unwrap_or_default().to_owned()
    };
    for entry in std::fs::read_dir(cache()).with_context(|| format!("cannot list {}", cache().display()))? {
        let path = entry?.path();
        if path.is_dir() && image(&path) != image(keep) {
            std::fs::remove_dir_all(&path).with_context(|| format!("cannot remove {}", path.display()))?;
        }
    }
    Ok(())
}

fn copy(from: &Path, to: &Path) -> anyhow::Result<()> {
    if let Some(dir) = to.parent() {
        std::fs::create_dir_all(dir).with_context(|| format!("cannot create {}", dir.display()))?;
    }
    let copied = std::fs::copy(from, to);
    copied.map(drop).with_context(|| format!("cannot copy {} to {}", from.display(), to.display()))
}

fn rename(from: &Path, to: &Path) -> anyhow::Result<()> {
    std::fs::rename(from, to).with_context(|| format!("cannot move {} to {}", from.display(), to.display()))
}
