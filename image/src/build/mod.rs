//! The builder: what the library plans and the packages hold, made into a bundle and an ISO.
//!
//! | module | job |
//! | --- | --- |
//! | [`apt`], [`debs`] | packages, locked and verified |
//! | [`cache`], [`steps`] | layers made once, and what is said meanwhile |
//! | [`tools`] | the programs that the build runs |
//! | [`base`] | packages installed into a tree |
//! | [`kernel`], [`boot`] | kernel, modules, firmware; boot loaders |
//! | [`ours`], [`host_tree`] | our own files |
//! | [`root`], [`initrd`] | the two large images |
//! | [`keys`], [`release`] | the signed bundle |
//! | [`fat`], [`iso`] | the medium |
//! | [`answer`], [`verify`], [`report`] | the other commands |

mod answer;
mod apt;
mod base;
mod boot;
mod cache;
mod debs;
mod fat;
mod host_tree;
mod initrd;
mod iso;
mod kernel;
mod keys;
mod ours;
mod release;
mod report;
mod root;
mod steps;
mod tools;
mod verify;

use std::fs;
use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

use anyhow::{Context as _, Result, ensure};
use maekin_host::file;
use maekin_rootfs::packages::Definition;

pub(crate) use answer::put_answer;
use boot::Loaders;
use cache::{Cache, remove};
use debs::Source;
use kernel::Kernel;
use ours::{Ours, Programs};
pub(crate) use report::sizes;
use steps::Steps;
use tools::Tools;
pub(crate) use verify::verify;

/// Largest definition that is read.
const DEFINITION_LIMIT: u64 = 1 << 20;

/// What a build is told.
#[derive(Debug, Clone)]
pub(crate) struct Options {
    /// The checkout.
    pub(crate) repo: PathBuf,
    pub(crate) out: PathBuf,
    pub(crate) cache: PathBuf,
    pub(crate) mirror: Option<String>,
    pub(crate) locked: bool,
    pub(crate) offline: bool,
    /// Layers of earlier builds are not used; packages are.
    pub(crate) fresh: bool,
    pub(crate) key: Option<PathBuf>,
    pub(crate) installer: PathBuf,
    pub(crate) agent: PathBuf,
    pub(crate) pxe: PathBuf,
}

impl Options {
    fn definition(&self) -> Result<Definition> {
        let path = self.repo.join("rootfs/packages.toml");
        let text = file::read_text(&path, DEFINITION_LIMIT)?;
        Definition::parse(&text).with_context(|| format!("{} cannot be understood", path.display()))
    }

    fn lock_path(&self) -> PathBuf {
        self.repo.join("rootfs/packages.lock")
    }

    fn source<'a>(&'a self, definition: &'a Definition, lock_path: &'a Path) -> Source<'a> {
        let mirror = self.mirror.as_deref();
        Source { definition, lock_path, mirror, locked: self.locked, offline: self.offline }
    }
}

/// Builds bundle and ISO into `out`.
pub(crate) fn build(options: &Options, version: &str) -> Result<()> {
    let steps = Steps::new();
    let definition = options.definition()?;
    let key = keys::provide(options.key.as_deref(), &options.repo.join("keys"))?;
    let programs = Programs {
        installer: options.installer.clone(),
        agent: options.agent.clone(),
        pxe: options.pxe.clone(),
    };
    let ours = Ours::collect(&options.repo.join("rootfs/files"), &programs, &key.key.public_text(), version)?;
    let cache = Cache::open(&options.cache, options.fresh, &steps)?;
    let lock = debs::provide(&options.source(&definition, &options.lock_path()), &cache, &steps)?;
    let lock_text = lock.text();
    let tools = Tools::provide(&lock, &cache, &steps)?;
    let loaders = Loaders::provide(&lock, &cache, &steps)?;
    let kernel = Kernel::provide(&lock, &tools, &cache, &steps)?;
    for rules in [&definition.modules.root, &definition.modules.initrd] {
        kernel.select(rules)?; // a rule for a driver that does not exist is said now, not in some minutes
    }

    fs::create_dir_all(&options.out).with_context(|| format!("cannot create {}", options.out.display()))?;
    let out = options.out.canonicalize().context("cannot find the output directory's real path")?;
    let part = out.join(".release.part");
    remove(&part)?;
    fs::create_dir(&part).context("cannot create the bundle's directory")?;
    let bundle = release::Inputs {
        version,
        root: root::Inputs {
            definition: &definition,
            lock: &lock,
            lock_text: &lock_text,
            tools: &tools,
            kernel: &kernel,
            ours: &ours,
            cache: &cache,
            steps: &steps,
        },
        initrd: initrd::Inputs {
            definition: &definition,
            lock: &lock,
            tools: &tools,
            kernel: &kernel,
            ours: &ours,
            cache: &cache,
            steps: &steps,
        },
        loaders: &loaders,
        tools: &tools,
        key: &key,
    };
    let manifest = bundle.write(&part)?;
    let iso_part = out.join(".iso.part");
    remove(&iso_part)?;
    steps.run("ISO", "writing", || {
        let inputs = iso::Inputs {
            version,
            epoch: lock.epoch,
            release: &part,
            loaders: &loaders,
            tools: &tools,
            cache: &cache,
        };
        inputs.write(&iso_part)
    })?;
    let release = out.join("release");
    remove(&release)?;
    fs::rename(&part, &release).context("cannot finish the bundle")?;
    fs::rename(&iso_part, out.join(report::iso_name(version))).context("cannot finish the ISO")?;
    file::write_atomic(&out.join("tools.path"), tools.path("").to_string_lossy().as_bytes(), 0o644)?;
    steps.note(&format!("built {} with {}", out.display(), report::key_text(manifest.key)));
    sizes(&options.repo, &out, version)
}

/// Renews `packages.lock`.
pub(crate) fn relock(options: &Options) -> Result<()> {
    ensure!(!options.offline, "relock asks the archive, so it cannot be --offline");
    let steps = Steps::new();
    let definition = options.definition()?;
    let cache = Cache::open(&options.cache, false, &steps)?;
    let now = SystemTime::now().duration_since(UNIX_EPOCH).context("the clock is before 1970")?.as_secs();
    debs::relock(&options.source(&definition, &options.lock_path()), &cache, now, &steps)
}
