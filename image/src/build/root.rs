//! The root image: one squashfs with Debian's part, then ours appended, then the dm-verity hash tree.

use std::fs::{self, File};
use std::io::{self, BufReader, BufWriter};
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use maekin_host::{file, wait};
use maekin_image::manifest::RootImage;
use maekin_rootfs::glob;
use maekin_rootfs::packages::SetName;
use maekin_rootfs::tree::{Entry, Node, Tree, copy_tar};
use maekin_rootfs::var;
use uuid::Uuid;

use super::cache::{Key, remove};
use super::debs;
use super::ours::DIR;
use super::{Context, base};

/// How squashfs is compressed. Larger blocks than 256 KiB gain little and cost every small read a large one.
const COMPRESSION: [&str; 6] = ["-comp", "zstd", "-Xcompression-level", "15", "-b", "256K"];
/// Whose the root directory is, and its mode; else it would be the builder's.
const ROOT_DIR: [&str; 6] = ["-root-mode", "0755", "-root-uid", "0", "-root-gid", "0"];
/// Block size of data and hash tree.
const VERITY_BLOCK: u64 = 4096;
/// How long the compression may take.
const LIMIT: Duration = Duration::from_secs(3600);

/// Makes the root image.
pub(crate) struct Maker<'a> {
    pub(crate) context: &'a Context<'a>,
}

impl Maker<'_> {
    /// Writes the whole root image to `path` and says how it is opened.
    pub(crate) fn write(&self, path: &Path) -> Result<RootImage> {
        let debian = self.debian()?;
        self.context.steps.run("root", "adding our files and the hash tree", || {
            fs::copy(&debian, path).with_context(|| format!("cannot write {}", path.display()))?;
            self.append(path)?;
            self.add_hash_tree(path)
        })
    }

    /// The layer with Debian's part.
    fn debian(&self) -> Result<PathBuf> {
        let set = self.context.definition.set(SetName::Root);
        let tar = base::install(
            self.context.definition,
            self.context.lock,
            SetName::Root,
            self.context.cache,
            self.context.steps,
        )?;
        let modules = self.context.kernel.select(&self.context.definition.modules.root)?;
        let list: Vec<&str> = modules.iter().map(String::as_str).collect();
        let links = self.context.ours.links();
        let key = Key::new("root-debian", 5)
            .with("packages", debs::set_text(self.context.lock, SetName::Root))
            .with("epoch", self.context.lock.epoch.to_string())
            .with("kernel", debs::set_text(self.context.lock, SetName::Kernel))
            .with("firmware", debs::set_text(self.context.lock, SetName::Firmware))
            .with("tools", debs::set_text(self.context.lock, SetName::Tools))
            .with("modules", list.join("\n"))
            .with("remove", set.remove.join("\n"))
            .with("enable", set.enable.join("\n"))
            .with("links", format!("{links:?}"))
            .with("compression", COMPRESSION.concat());
        self.context.cache.layer(self.context.steps, "root-debian", "compressing", &key, |path| {
            let kernel =
                self.context.kernel.tree(&modules, false, self.context.tools, &self.context.cache.work())?;
            let removed = |path: &str| set.remove.iter().any(|pattern| glob::covers(pattern, path));
            let mut missing = String::new();
            self.compress(&tar, path, |builder| {
                let reader = BufReader::with_capacity(1 << 20, File::open(&tar)?);
                let replaced = |path: &str| links.get(path).is_some_and(|e| e.node != Node::Dir);
                let listing = copy_tar(reader, builder, self.context.lock.epoch, |path| {
                    removed(path) || replaced(path)
                })?;
                missing = set.missing_units(|path| listing.kept.contains_key(path)).join(", ");
                let mut more = self.additions(&var::tmpfiles(&listing.skipped));
                more.merge(kernel);
                more.merge(links);
                let is_there = |path: &str| listing.kept.get(path).is_some_and(|listed| listed.dir);
                more.retain(|path| !is_there(path));
                more.append_to(builder, self.context.lock.epoch)
            })?;
            ensure!(
                missing.is_empty(),
                "packages.toml enables {missing}, which Debian's packages do not have"
            );
            Ok(())
        })
    }

    /// What the image has of its own in Debian's part.
    fn additions(&self, tmpfiles: &str) -> Tree {
        let mut tree = Tree::default();
        tree.insert("usr/lib/tmpfiles.d/maekin-var.conf", Entry::file(tmpfiles, 0o644));
        tree.insert("etc/machine-id", Entry::file("", 0o444));
        // As old as everything else, so that systemd sees no reason to make caches anew on every boot.
        let stamp = format!("TIMESTAMP_NSEC={}000000000\n", self.context.lock.epoch);
        tree.insert("etc/.updated", Entry::file(stamp, 0o644));
        tree.insert("etc/resolv.conf", Entry::symlink("../run/systemd/resolve/stub-resolv.conf"));
        for dir in ["boot", "var"] {
            tree.insert(dir, Entry::dir());
        }
        tree.insert("tmp", Entry { mode: 0o1777, ..Entry::dir() });
        tree
    }

    /// Runs mksquashfs on the archive that `write` makes.
    fn compress(
        &self,
        tar: &Path,
        path: &Path,
        write: impl FnOnce(&mut tar::Builder<BufWriter<std::process::ChildStdin>>) -> io::Result<()>,
    ) -> Result<()> {
        let log = self.context.cache.work().join("mksquashfs.log");
        let output = File::create(&log).with_context(|| format!("cannot create {}", log.display()))?;
        let cmd = self
            .context
            .tools
            .cmd("usr/bin/mksquashfs")
            .arg("-")
            .arg(path)
            .args(["-tar", "-noappend", "-no-exports", "-quiet", "-no-progress"])
            .args(ROOT_DIR)
            .args(COMPRESSION)
            .env("SOURCE_DATE_EPOCH", self.context.lock.epoch.to_string());
        let mut child = cmd.spawn(Stdio::piped(), output.try_clone()?, output)?;
        let stdin = child.stdin.take().context("mksquashfs has no standard input")?;
        let mut builder = tar::Builder::new(BufWriter::with_capacity(1 << 20, stdin));
        let written = match write(&mut builder) {
            Ok(()) => builder.into_inner().and_then(|mut out| io::Write::flush(&mut out)),
            Err(e) => {
                drop(builder); // the end of its input is what mksquashfs waits for
                Err(e)
            }
        };
        let status =
            wait::until("mksquashfs", LIMIT, Duration::from_millis(100), || child.try_wait().transpose());
        if status.is_err() {
            let _ = child.kill(); // it may have ended in this very moment
        }
        let said = file::read_text(&log, 1 << 20).unwrap_or_default();
        let status = status??;
        written.with_context(|| format!("cannot pass {} to mksquashfs: {said}", tar.display()))?;
        ensure!(status.success(), "mksquashfs failed ({status}): {said}");
        Ok(())
    }

    /// Adds our files' contents behind Debian's part.
    fn append(&self, path: &Path) -> Result<()> {
        let stage = self.context.cache.work().join("ours");
        remove(&stage)?;
        unpack(&self.context.ours.contents(), &stage)?;
        self.context
            .tools
            .cmd("usr/bin/mksquashfs")
            .arg(&stage)
            .arg(path)
            .args(["-all-root", "-no-exports", "-no-recovery", "-quiet", "-no-progress"])
            .args(ROOT_DIR)
            .env("SOURCE_DATE_EPOCH", self.context.lock.epoch.to_string())
            .run()?;
        Ok(())
    }

    /// Adds the dm-verity hash tree. Salt and UUID come from the content, so the same content is the same image.
    fn add_hash_tree(&self, path: &Path) -> Result<RootImage> {
        let size = fs::metadata(path)?.len().next_multiple_of(VERITY_BLOCK);
        File::options().write(true).open(path)?.set_len(size)?;
        let salt = debs::digest(path)?;
        let uuid = Uuid::new_v5(&Uuid::NAMESPACE_OID, salt.as_bytes());
        let out = self
            .context
            .tools
            .cmd("usr/sbin/veritysetup")
            .arg("format")
            .args([path, path])
            .arg(format!("--data-block-size={VERITY_BLOCK}"))
            .arg(format!("--hash-block-size={VERITY_BLOCK}"))
            .arg(format!("--data-blocks={}", size / VERITY_BLOCK))
            .arg(format!("--hash-offset={size}"))
            .arg("--hash=sha256")
            .arg(format!("--salt={salt}"))
            .arg(format!("--uuid={uuid}"))
            .text()?;
        let hash = out.lines().find_map(|line| line.strip_prefix("Root hash:")).map(str::trim);
        let root_hash = hash.context("veritysetup did not say the root hash")?.to_owned();
        Ok(RootImage { hash_offset: size, root_hash })
    }
}

/// Writes a tree of regular files and directories below `stage`.
fn unpack(tree: &Tree, stage: &Path) -> Result<()> {
    use std::os::unix::fs::PermissionsExt as _;
    fs::create_dir_all(stage.join(DIR)).context("cannot create the staging directory")?;
    for (path, entry) in tree.iter() {
        let to = stage.join(path);
        match &entry.node {
            Node::Dir => fs::create_dir_all(&to)?,
            Node::File(content) => fs::write(&to, content)?,
            other => anyhow::bail!("{path} is {other:?}, and only files and directories are staged"),
        }
        fs::set_permissions(&to, fs::Permissions::from_mode(entry.mode))?;
    }
    Ok(())
}
