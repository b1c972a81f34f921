//! The initrd: segments one behind the other, each made anew only when its own inputs change. Microcode comes first and
//! uncompressed, where the kernel looks for it.

use std::fs::{self, File};
use std::io::{BufReader, Write as _};
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, ensure};
use maekin_rootfs::cpio;
use maekin_rootfs::glob;
use maekin_rootfs::packages::SetName;
use maekin_rootfs::tree::{Entry, Node, Tree};

use super::cache::Key;
use super::debs;
use super::{Context, base};

/// zstd's level: the initrd is read by slow firmware and over the network, and made seldom.
const LEVEL: i32 = 19;
/// Threads of the compressor; part of the format, since the result depends on there being any.
const THREADS: u32 = 2;

/// Makes the initrd.
pub(crate) struct Maker<'a> {
    pub(crate) context: &'a Context<'a>,
}

impl Maker<'_> {
    fn epoch(&self) -> Result<u32> {
        u32::try_from(self.context.lock.epoch).context("the epoch of packages.lock is past the year 2106")
    }

    /// Writes the whole initrd to `path`.
    pub(crate) fn write(&self, path: &Path) -> Result<()> {
        let segments = [self.microcode()?, self.base()?, self.modules()?, self.ours()?];
        let mut initrd = File::create(path).with_context(|| format!("cannot create {}", path.display()))?;
        for segment in segments {
            initrd
                .write_all(&fs::read(&segment)?)
                .with_context(|| format!("cannot write {}", path.display()))?;
        }
        Ok(())
    }

    fn microcode(&self) -> Result<PathBuf> {
        let key = self.key("initrd-microcode", 1, SetName::Firmware);
        self.context.cache.layer(self.context.steps, "initrd-microcode", "packing", &key, |path| {
            let mut bytes = Vec::new();
            cpio::write(&self.context.kernel.microcode()?, self.epoch()?, &mut bytes)?;
            cpio::pad(&mut bytes);
            Ok(fs::write(path, bytes)?)
        })
    }

    fn base(&self) -> Result<PathBuf> {
        let set = self.context.definition.set(SetName::Initrd);
        let tar = base::install(
            self.context.definition,
            self.context.lock,
            SetName::Initrd,
            self.context.cache,
            self.context.steps,
        )?;
        let key = self
            .key("initrd-base", 2, SetName::Initrd)
            .with("remove", set.remove.join("\n"))
            .with("enable", set.enable.join("\n"));
        self.context.cache.layer(self.context.steps, "initrd-base", "compressing", &key, |path| {
            let removed = |path: &str| set.remove.iter().any(|pattern| glob::covers(pattern, path));
            let reader = BufReader::new(File::open(&tar)?);
            let mut tree = Tree::read_tar(reader, removed).context("cannot read the initrd's tree")?;
            let missing = set.missing_units(|path| tree.get(path).is_some()).join(", ");
            ensure!(
                missing.is_empty(),
                "packages.toml enables {missing}, which Debian's packages do not have"
            );
            complete(&mut tree);
            self.pack(&tree, path)
        })
    }

    fn modules(&self) -> Result<PathBuf> {
        let modules = self.context.kernel.select(&self.context.definition.modules.initrd)?;
        let list: Vec<&str> = modules.iter().map(String::as_str).collect();
        let key = self
            .key("initrd-modules", 1, SetName::Kernel)
            .with("firmware", debs::set_text(self.context.lock, SetName::Firmware))
            .with("modules", list.join("\n"));
        self.context.cache.layer(self.context.steps, "initrd-modules", "compressing", &key, |path| {
            let tree =
                self.context.kernel.tree(&modules, true, self.context.tools, &self.context.cache.work())?;
            self.pack(&tree, path)
        })
    }

    fn ours(&self) -> Result<PathBuf> {
        let tree = &self.context.ours.initrd;
        let mut plain = Vec::new();
        cpio::write(tree, self.epoch()?, &mut plain)?;
        let key = Key::new("initrd-ours", 1).with("cpio", &plain);
        self.context
            .cache
            .layer(self.context.steps, "initrd-ours", "compressing", &key, |path| self.pack(tree, path))
    }

    fn key(&self, name: &str, format: u32, set: SetName) -> Key {
        Key::new(name, format)
            .with("packages", debs::set_text(self.context.lock, set))
            .with("epoch", self.context.lock.epoch.to_string())
    }

    fn pack(&self, tree: &Tree, path: &Path) -> Result<()> {
        let mut encoder = zstd::Encoder::new(Vec::new(), LEVEL)?;
        encoder.multithread(THREADS)?;
        encoder.include_checksum(true)?;
        cpio::write(tree, self.epoch()?, &mut encoder)?;
        let mut bytes = encoder.finish()?;
        cpio::pad(&mut bytes);
        fs::write(path, bytes).with_context(|| format!("cannot write {}", path.display()))
    }
}

/// What makes a tree of Debian packages an initramfs.
fn complete(tree: &mut Tree) {
    tree.insert("init", Entry::symlink("usr/lib/systemd/systemd"));
    tree.insert("etc/machine-id", Entry::file("", 0o444));
    let os_release = tree.get("usr/lib/os-release").map(|entry| entry.node.clone());
    if let Some(node @ Node::File(_)) = os_release {
        // Its being there is what tells systemd that it runs in an initrd.
        tree.insert("etc/initrd-release", Entry { node, mode: 0o644, uid: 0, gid: 0 });
    }
    // The kernel opens the console before anything mounts devtmpfs.
    tree.insert("dev/console", Entry { node: Node::Char(5, 1), mode: 0o600, uid: 0, gid: 0 });
    for dir in ["dev", "proc", "sys", "run", "tmp", "var", "sysroot"] {
        if tree.get(dir).is_none() {
            tree.insert(dir, Entry::dir());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tree_becomes_an_initramfs() {
        let mut tree = Tree::default();
        tree.insert("usr/lib/os-release", Entry::file("ID=debian\n", 0o644));
        complete(&mut tree);
        assert_eq!(tree.get("etc/initrd-release"), Some(&Entry::file("ID=debian\n", 0o644)));
        for path in ["init", "dev/console", "sysroot", "proc", "run"] {
            assert!(tree.get(path).is_some(), "{path}");
        }
    }
}
