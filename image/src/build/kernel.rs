//! The kernel, its modules and their firmware.

use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, ensure};
use maekin_host::file;
use maekin_image::drivers::Drivers;
use maekin_rootfs::glob;
use maekin_rootfs::lock::Lock;
use maekin_rootfs::modules::{self, Rules};
use maekin_rootfs::packages::SetName;
use maekin_rootfs::tree::{Entry, Tree};

use super::cache::{Cache, remove};
use super::host_tree;
use super::steps::Steps;
use super::tools::{self, Tools};

/// Largest of the kernel's lists that is read.
const LIST_LIMIT: u64 = 16 << 20;
/// Where firmware lies in Debian's packages and in the images.
const FIRMWARE: &str = "usr/lib/firmware";
/// Lists of the kernel package that depmod and kmod need besides the modules.
const LISTS: [&str; 3] = ["modules.builtin", "modules.builtin.modinfo", "modules.order"];

/// The unpacked kernel and firmware.
pub(crate) struct Kernel {
    dir: PathBuf,
    firmware: PathBuf,
    /// Its release, e.g. `6.12.117+deb13-amd64`.
    pub(crate) release: String,
}

impl Kernel {
    /// The kernel and firmware of the lock.
    pub(crate) fn provide(lock: &Lock, tools: &Tools, cache: &Cache, steps: &Steps) -> Result<Self> {
        let dir = tools::unpack(lock, SetName::Kernel, cache, steps, |dir| {
            depmod(tools, dir, &release(dir)?)?;
            Ok(())
        })?;
        let firmware = tools::unpack(lock, SetName::Firmware, cache, steps, |_| Ok(()))?;
        Ok(Self { release: release(&dir)?, dir, firmware })
    }

    /// The kernel image.
    pub(crate) fn vmlinuz(&self) -> PathBuf {
        self.dir.join("boot").join(format!("vmlinuz-{}", self.release))
    }

    fn modules_dir(&self) -> PathBuf {
        self.dir.join("usr/lib/modules").join(&self.release)
    }

    /// The modules that `rules` choose, relative to the modules' directory.
    pub(crate) fn select(&self, rules: &Rules) -> Result<BTreeSet<String>> {
        let read = |name| file::read_text(&self.modules_dir().join(name), LIST_LIMIT);
        let dep = modules::parse_dep(&read("modules.dep")?);
        let builtin: Vec<String> = read("modules.builtin")?.lines().map(str::to_owned).collect();
        Ok(modules::select(rules, &dep, &builtin)?)
    }

    /// What these modules, and what is built in, serve.
    pub(crate) fn drivers(&self, modules: &BTreeSet<String>) -> Result<Drivers> {
        let path = |name| self.modules_dir().join(name);
        let alias = file::read_text(&path("modules.alias"), LIST_LIMIT)?;
        let builtin = file::read_text(&path("modules.builtin"), LIST_LIMIT)?;
        let modinfo = file::read_bytes(&path("modules.builtin.modinfo"), LIST_LIMIT)?;
        Ok(Drivers::collect(modules.iter().map(String::as_str), &alias, &builtin, &modinfo))
    }

    /// A tree with these modules and what they ask for of firmware. Uncompressed modules are better where the whole
    /// is compressed again, as in an initrd.
    pub(crate) fn tree(
        &self,
        modules: &BTreeSet<String>,
        uncompressed: bool,
        tools: &Tools,
        work: &Path,
    ) -> Result<Tree> {
        let stage = work.join("modules");
        remove(&stage)?;
        let to = stage.join("usr/lib/modules").join(&self.release);
        for path in LISTS.into_iter().chain(modules.iter().map(String::as_str)) {
            let target = to.join(path);
            fs::create_dir_all(target.parent().unwrap_or(&to))?;
            fs::copy(self.modules_dir().join(path), &target)
                .with_context(|| format!("cannot copy {path}"))?;
        }
        if uncompressed {
            let packed = modules.iter().filter(|path| path.ends_with(".xz")).map(|path| to.join(path));
            tools.cmd("usr/bin/xz").arg("--decompress").args(packed).run()?;
        }
        depmod(tools, &stage, &self.release)?;
        let mut tree = host_tree::read(&stage.join("usr"))?.under("usr");
        for (path, entry) in self.firmware_for(modules, tools)?.iter() {
            tree.insert(path, entry.clone());
        }
        remove(&stage)?;
        Ok(tree)
    }

    /// The firmware that modules ask for, as far as Debian has it.
    fn firmware_for(&self, modules: &BTreeSet<String>, tools: &Tools) -> Result<Tree> {
        let dir = self.firmware.join(FIRMWARE);
        let mut tree = Tree::default();
        if !dir.exists() {
            return Ok(tree);
        }
        let asked = tools
            .cmd("usr/sbin/modinfo")
            .args(["-F", "firmware"])
            .args(modules.iter().map(|path| self.modules_dir().join(path)))
            .text()?;
        let asked: BTreeSet<&str> = asked.lines().collect();
        let all = host_tree::read(&dir)?;
        let mut wanted: Vec<String> = all
            .iter()
            .map(|(path, _)| path)
            .filter(|path| asked.iter().any(|name| glob::covers(name, path)))
            .map(str::to_owned)
            .collect();
        while let Some(path) = wanted.pop() {
            let Some(entry) = all.get(&path) else { continue };
            wanted.extend(host_tree::link_target(&path, entry));
            tree.insert(format!("{FIRMWARE}/{path}"), entry.clone());
        }
        Ok(tree)
    }

    /// The processors' microcode as the kernel loads it before anything else (`Documentation/arch/x86/microcode.rst`):
    /// an uncompressed segment in front of the initrd.
    pub(crate) fn microcode(&self) -> Result<Tree> {
        let mut tree = Tree::default();
        let vendors = [("intel-ucode", "GenuineIntel.bin"), ("amd-ucode", "AuthenticAMD.bin")];
        for (dir, name) in vendors {
            let dir = self.firmware.join(FIRMWARE).join(dir);
            if !dir.exists() {
                continue;
            }
            let mut content = Vec::new();
            for (_, entry) in host_tree::read(&dir)?.iter() {
                if let maekin_rootfs::tree::Node::File(bytes) = &entry.node {
                    content.extend_from_slice(bytes);
                }
            }
            tree.insert(format!("kernel/x86/microcode/{name}"), Entry::file(content, 0o644));
        }
        Ok(tree)
    }
}

/// The release of the one kernel below `dir`.
fn release(dir: &Path) -> Result<String> {
    let names: Vec<String> = fs::read_dir(dir.join("usr/lib/modules"))
        .context("the kernel's package has no modules")?
        .flatten()
        .map(|entry| entry.file_name().to_string_lossy().into_owned())
        .collect();
    ensure!(names.len() == 1, "the kernel set must hold one kernel, and holds {}", names.join(", "));
    Ok(names.concat())
}

/// Runs depmod for the modules below `dir`, which looks for them in `lib/modules`.
fn depmod(tools: &Tools, dir: &Path, release: &str) -> Result<()> {
    if !dir.join("lib").exists() {
        symlink("usr/lib", dir.join("lib")).context("cannot link lib to usr/lib")?;
    }
    tools.cmd("usr/sbin/depmod").arg("-b").arg(dir).arg(release).run()?;
    Ok(())
}
