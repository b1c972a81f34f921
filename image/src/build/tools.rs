//! The programs that the build runs, from Debian trixie, unpacked into the cache. They are started through their own
//! dynamic linker, so they need neither a chroot nor privileges, and the host's versions do not matter.

use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context as _, Result};
use maekin_host::cmd::Cmd;
use maekin_rootfs::lock::Lock;
use maekin_rootfs::packages::SetName;

use super::cache::{Cache, Key};
use super::debs;
use super::steps::Steps;

/// How long a tool may take; compressing the root image takes minutes on a small machine.
const LIMIT: Duration = Duration::from_secs(3600);

/// File of the output in which a build leaves word where its tools are.
pub(crate) const PATH_FILE: &str = "tools.path";

/// The unpacked tools.
#[derive(Debug, Clone)]
pub(crate) struct Tools {
    dir: PathBuf,
}

impl Tools {
    /// The tools of the lock.
    pub(crate) fn provide(lock: &Lock, cache: &Cache, steps: &Steps) -> Result<Self> {
        let dir = unpack(lock, SetName::Tools, cache, steps, |_| Ok(()))?;
        Ok(Self { dir })
    }

    /// The tools of the build whose output is in `out`, if they are still there.
    pub(crate) fn left_by_build(out: &Path) -> Option<Self> {
        let dir = PathBuf::from(std::fs::read_to_string(out.join(PATH_FILE)).ok()?);
        dir.exists().then_some(Self { dir })
    }

    /// A command that runs the program at `path`, e.g. `usr/bin/mksquashfs`.
    pub(crate) fn cmd(&self, path: &str) -> Cmd {
        Cmd::new(self.dir.join("usr/lib64/ld-linux-x86-64.so.2"))
            .arg("--library-path")
            .arg(self.dir.join("usr/lib/x86_64-linux-gnu"))
            .arg(self.dir.join(path))
            .env("LC_ALL", "C")
            .env("TZ", "UTC")
            .limit(LIMIT)
    }

    /// Where a file of the tools lies.
    pub(crate) fn path(&self, path: &str) -> PathBuf {
        self.dir.join(path)
    }
}

/// The layer with the packages of a set unpacked into one directory, then `finish`ed.
pub(crate) fn unpack(
    lock: &Lock,
    set: SetName,
    cache: &Cache,
    steps: &Steps,
    finish: impl FnOnce(&Path) -> Result<()>,
) -> Result<PathBuf> {
    let name = format!("{}-unpacked", set.text());
    let key = Key::new(&name, 1).with("packages", debs::set_text(lock, set));
    cache.layer(steps, &name, "unpacking packages", &key, |dir| {
        std::fs::create_dir(dir).context("cannot create the layer's directory")?;
        for deb in debs::verified(lock, set, cache)? {
            Cmd::new("dpkg-deb").arg("-x").arg(deb).arg(dir).limit(LIMIT).run()?;
        }
        finish(dir)
    })
}
