//! The builder: what the library plans and the packages hold, made into a bundle and an ISO.
//!
//! | module | job |
//! | --- | --- |
//! | [`apt`], [`debs`] | packages, locked and verified |
//! | [`cache`], [`steps`] | layers made once, and what is said meanwhile |
//! | [`tools`] | the programs that the build runs |
//! | [`etcd`] | the record's programs, for tests |
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
mod etcd;
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
use maekin_image::manifest::KeyKind;
use maekin_rootfs::lock::Lock;
use maekin_rootfs::packages::Definition;

pub(crate) use answer::put_answer;
use boot::Loaders;
use cache::{Cache, remove};
use debs::Source;
use kernel::Kernel;
use ours::Ours;
pub(crate) use ours::Programs;
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
    pub(crate) programs: Programs,
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
    let cache = Cache::open(&options.cache, options.fresh, &steps)?;
    let lock = debs::provide(&options.source(&definition, &options.lock_path()), |_| true, &cache, &steps)?;
    etcd::leave(&lock, &cache, &steps, &options.out)?;
    let files = options.repo.join("rootfs/files");
    let ours = Ours::collect(&files, &options.programs, &key.key.public_text(), version, &lock.text())?;
    let tools = Tools::provide(&lock, &cache, &steps)?;
    let loaders = Loaders::provide(&lock, &cache, &steps)?;
    let kernel = Kernel::provide(&lock, &tools, &cache, &steps)?;
    for rules in [&definition.modules.root, &definition.modules.initrd] {
        kernel.select(rules)?; // a rule for a driver that does not exist is said now, not in some minutes
    }
    let context = Context {
        version,
        definition: &definition,
        lock: &lock,
        tools: &tools,
        kernel: &kernel,
        loaders: &loaders,
        ours: &ours,
        key: &key,
        cache: &cache,
        steps: &steps,
    };
    let kind = context.write(&options.out)?;
    if !options.fresh {
        // A fresh build's tools go with its layers.
        let path = options.out.join(tools::PATH_FILE);
        file::write_atomic(&path, tools.path("").to_string_lossy().as_bytes(), 0o644)?;
    }
    steps.note(&format!("built {} with {}", options.out.display(), report::key_text(kind)));
    sizes(&options.repo, &options.out, version)
}

/// Leaves the record's programs in the output, and builds nothing.
pub(crate) fn etcd(options: &Options) -> Result<()> {
    let steps = Steps::new();
    let definition = options.definition()?;
    let cache = Cache::open(&options.cache, options.fresh, &steps)?;
    let lock =
        debs::provide(&options.source(&definition, &options.lock_path()), etcd::is_of, &cache, &steps)?;
    etcd::leave(&lock, &cache, &steps, &options.out)
}

/// What all parts of a build share.
pub(crate) struct Context<'a> {
    pub(crate) version: &'a str,
    pub(crate) definition: &'a Definition,
    pub(crate) lock: &'a Lock,
    pub(crate) tools: &'a Tools,
    pub(crate) kernel: &'a Kernel,
    pub(crate) loaders: &'a Loaders,
    pub(crate) ours: &'a Ours,
    pub(crate) key: &'a keys::Key,
    pub(crate) cache: &'a Cache,
    pub(crate) steps: &'a Steps,
}

impl Context<'_> {
    /// Writes bundle and ISO beside what is in `out`, and puts them in its place when both are whole.
    fn write(&self, out: &Path) -> Result<KeyKind> {
        fs::create_dir_all(out).with_context(|| format!("cannot create {}", out.display()))?;
        let out = out.canonicalize().context("cannot find the output directory's real path")?;
        let (part, iso_part) = (out.join(".release.part"), out.join(".iso.part"));
        remove(&part)?;
        remove(&iso_part)?;
        fs::create_dir(&part).context("cannot create the bundle's directory")?;
        let manifest = release::write(self, &part)?;
        self.steps.run("ISO", "writing", || iso::write(self, &part, &iso_part))?;
        let release = out.join("release");
        remove(&release)?;
        fs::rename(&part, &release).context("cannot finish the bundle")?;
        fs::rename(&iso_part, out.join(report::iso_name(self.version))).context("cannot finish the ISO")?;
        Ok(manifest.key)
    }
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
