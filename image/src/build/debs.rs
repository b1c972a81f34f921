//! The packages of a build: the lock's where they can be had, and what moved where they cannot.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, File};
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, bail, ensure};
use maekin_host::cmd::Cmd;
use maekin_host::file;
use maekin_image::manifest;
use maekin_rootfs::archive::Offer;
use maekin_rootfs::glob;
use maekin_rootfs::lock::{Lock, Locked, diff};
use maekin_rootfs::packages::{Definition, SetName};

use super::apt::Apt;
use super::cache::{Cache, remove};
use super::steps::Steps;

/// Largest lock file that is read.
const LOCK_LIMIT: u64 = 4 << 20;

/// Where packages come from, and how strictly the lock is taken.
pub(crate) struct Source<'a> {
    pub(crate) definition: &'a Definition,
    pub(crate) lock_path: &'a Path,
    pub(crate) mirror: Option<&'a str>,
    /// A package that is not to be had in its locked version is an error.
    pub(crate) locked: bool,
    /// Nothing is fetched.
    pub(crate) offline: bool,
}

impl Source<'_> {
    fn inputs(&self) -> String {
        manifest::sha256_hex(self.definition.resolution_inputs().as_bytes())
    }

    fn read_lock(&self) -> Result<Option<Lock>> {
        if !self.lock_path.exists() {
            return Ok(None);
        }
        let text = file::read_text(self.lock_path, LOCK_LIMIT)?;
        Lock::parse(&text).map(Some).with_context(|| {
            format!("{} is damaged; restore it, or renew it with relock", self.lock_path.display())
        })
    }
}

/// Those of the packages to build from that are `wanted`, every one of them in the cache. Says which are not as the lock has
/// them.
pub(crate) fn provide(
    source: &Source<'_>,
    wanted: impl Fn(&Locked) -> bool,
    cache: &Cache,
    steps: &Steps,
) -> Result<Lock> {
    let whole = source.read_lock()?.context(
        "there is no rootfs/packages.lock; it belongs to the sources, and `maekin-image relock` makes it",
    )?;
    let lock = whole.only(&wanted);
    let fits = lock.inputs == source.inputs();
    if fits && lock.packages.iter().all(|p| cache.debs().join(p.file_name()).exists()) {
        steps.cached("packages");
        return Ok(lock);
    }
    ensure!(
        !source.offline,
        "packages are missing in the cache ({}); build without --offline",
        missing(&lock, cache)
    );
    ensure!(
        fits || !source.locked,
        "packages.lock was not made from this packages.toml; run `maekin-image relock`"
    );
    if !fits {
        steps.note(
            "packages.toml has changed since packages.lock was made; `maekin-image relock` writes it down",
        );
    }
    steps.run("packages", "fetching what the cache lacks from Debian's archive", || {
        let held = held_repository(&lock, cache)?;
        let apt = Apt::set_up(&cache.apt(), source.definition, source.mirror, Some(&held))?;
        apt.update()?;
        let offers = apt.offers()?;
        let have = |p: &Locked| offers.iter().any(|o| is_offer_of(o, p));
        let lost: Vec<&Locked> = lock.packages.iter().filter(|p| !have(p)).collect();
        let found = if fits && lost.is_empty() {
            lock
        } else {
            let names: Vec<_> = lost.iter().map(|p| format!("{} {}", p.name, p.version)).collect();
            ensure!(
                !source.locked,
                "the archive no longer has {}; build without --locked, or renew the lock with `maekin-image relock`",
                names.join(", ")
            );
            let new = resolve(source.definition, &apt, &offers, Some(&whole), source.inputs())?;
            let new = new.only(&wanted);
            for change in diff(&lock, &new) {
                steps.note(&format!("not as locked: {change}"));
            }
            new
        };
        fetch(&found, &apt, cache)?;
        Ok(found)
    })
}

/// Resolves everything anew and writes the lock.
pub(crate) fn relock(source: &Source<'_>, cache: &Cache, epoch: u64, steps: &Steps) -> Result<()> {
    let old = source.read_lock().unwrap_or_default().unwrap_or_default();
    let new = steps.run("packages", "resolving against Debian's archive", || {
        let apt = Apt::set_up(&cache.apt(), source.definition, source.mirror, None)?;
        apt.update()?;
        let offers = apt.offers()?;
        let mut lock = resolve(source.definition, &apt, &offers, None, source.inputs())?;
        // The time of the files changes only with the packages, or everything would be made anew for nothing.
        lock.epoch = if diff(&old, &lock).is_empty() { old.epoch } else { epoch };
        fetch(&lock, &apt, cache)?;
        Ok(lock)
    })?;
    for change in diff(&old, &new) {
        println!("{change}");
    }
    file::write_atomic(source.lock_path, new.text().as_bytes(), 0o644)?;
    println!("{} packages in {}", new.packages.len(), source.lock_path.display());
    Ok(())
}

/// Checks that the packages of a set have the digests of the lock; they are about to be used.
pub(crate) fn verified(lock: &Lock, set: SetName, cache: &Cache) -> Result<Vec<PathBuf>> {
    lock.set(set)
        .map(|p| {
            let path = cache.debs().join(p.file_name());
            let digest = digest(&path)?;
            ensure!(
                digest == p.sha256,
                "{} has not the digest of the lock; remove it, and the next build fetches it again",
                path.display()
            );
            Ok(path)
        })
        .collect()
}

/// The lines of the lock that make up a set, as input of a layer's key.
pub(crate) fn set_text(lock: &Lock, set: SetName) -> String {
    lock.set(set).map(|p| format!("{} {}\n", p.file_name(), p.sha256)).collect()
}

/// Makes `dir` a repository of exactly these packages, as `deb copy:dir ./` reads it.
pub(crate) fn flat_repository(dir: &Path, debs: &[PathBuf]) -> Result<()> {
    fs::create_dir_all(dir).with_context(|| format!("cannot create {}", dir.display()))?;
    let mut index = String::new();
    for deb in debs {
        let name = deb.file_name().unwrap_or_default().to_string_lossy();
        let target = dir.join(&*name);
        if fs::hard_link(deb, &target).is_err() {
            fs::copy(deb, &target).with_context(|| format!("cannot copy {}", deb.display()))?;
        }
        let control = Cmd::new("dpkg-deb").arg("-f").arg(deb).text()?;
        let (size, digest) = (fs::metadata(deb)?.len(), digest(deb)?);
        index += &format!("{}\nFilename: ./{name}\nSize: {size}\nSHA256: {digest}\n\n", control.trim_end());
    }
    file::write_atomic(&dir.join("Packages"), index.as_bytes(), 0o644)?;
    Ok(())
}

/// A repository of the locked packages that the cache has: the archive may have dropped them.
fn held_repository(lock: &Lock, cache: &Cache) -> Result<PathBuf> {
    let dir = cache.work().join("held");
    remove(&dir)?;
    let whole = |p: &&Locked| digest(&cache.debs().join(p.file_name())).is_ok_and(|d| d == p.sha256);
    let debs: Vec<_> = lock.packages.iter().filter(whole).map(|p| cache.debs().join(p.file_name())).collect();
    flat_repository(&dir, &debs)?;
    Ok(dir)
}

/// Resolves every set; the packages of `keep` stay at their versions where those are offered.
fn resolve(
    definition: &Definition,
    apt: &Apt,
    offers: &[Offer],
    keep: Option<&Lock>,
    inputs: String,
) -> Result<Lock> {
    let mut found = BTreeMap::<Offer, BTreeSet<SetName>>::new();
    for name in SetName::ALL {
        let set = definition.set(name);
        if set.packages.is_empty() {
            continue;
        }
        let pins: Vec<String> = keep
            .iter()
            .flat_map(|lock| lock.set(name))
            .filter(|p| offers.iter().any(|o| is_offer_of(o, p)))
            .map(|p| format!("{}={}", p.name, p.version))
            .collect();
        let resolved = apt
            .resolve(&[set.packages.clone(), pins].concat(), name.installed())
            .or_else(|_| apt.resolve(&set.packages, name.installed())) // the old versions do not go together any more
            .with_context(|| format!("cannot resolve the package set {}", name.text()))?;
        for (package, version, arch) in resolved {
            let taken =
                set.only.as_ref().is_none_or(|only| only.iter().any(|o| glob::name_matches(o, &package)));
            if !taken {
                continue;
            }
            let is_it = |o: &&Offer| o.name == package && o.version == version && o.arch == arch;
            let Some(offer) = offers.iter().find(is_it) else {
                bail!("apt resolved {package} {version}, which the archive's indices do not have")
            };
            found.entry(offer.clone()).or_default().insert(name);
        }
    }
    let packages = found
        .into_iter()
        .map(|(o, sets)| Locked {
            name: o.name,
            version: o.version,
            arch: o.arch,
            sha256: o.sha256,
            path: o.path,
            sets,
        })
        .collect();
    Ok(Lock { inputs, epoch: keep.map_or(0, |lock| lock.epoch), packages })
}

fn is_offer_of(offer: &Offer, p: &Locked) -> bool {
    offer.name == p.name && offer.version == p.version && offer.sha256 == p.sha256
}

/// Downloads what the cache lacks, or has damaged.
fn fetch(lock: &Lock, apt: &Apt, cache: &Cache) -> Result<()> {
    let whole = |p: &Locked| digest(&cache.debs().join(p.file_name())).is_ok_and(|d| d == p.sha256);
    let lacking: Vec<&Locked> = lock.packages.iter().filter(|p| !whole(p)).collect();
    if lacking.is_empty() {
        return Ok(());
    }
    let dir = cache.work().join("download");
    fs::create_dir_all(&dir).context("cannot create the download directory")?;
    let names: Vec<_> = lacking.iter().map(|p| format!("{}={}", p.name, p.version)).collect();
    apt.download(&names, &dir)?;
    for p in lacking {
        let from = dir.join(p.file_name());
        ensure!(digest(&from)? == p.sha256, "{} came with another digest than its index has", p.file_name());
        fs::rename(&from, cache.debs().join(p.file_name()))
            .context("cannot move a package into the cache")?;
    }
    Ok(())
}

fn missing(lock: &Lock, cache: &Cache) -> String {
    let lacking = lock.packages.iter().filter(|p| !cache.debs().join(p.file_name()).exists());
    let names: Vec<&str> = lacking.map(|p| p.name.as_str()).collect();
    match names.len() {
        0 => "packages.lock is not of this packages.toml".to_owned(),
        n @ 1..=5 => format!("{n}: {}", names.join(", ")),
        n => format!("{n}: {} and more", names[..5].join(", ")),
    }
}

/// SHA-256 of a file, hex.
pub(crate) fn digest(path: &Path) -> Result<String> {
    let file = File::open(path).with_context(|| format!("cannot open {}", path.display()))?;
    manifest::sha256_read(file).with_context(|| format!("cannot read {}", path.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A package of its own making, as dpkg makes them.
    fn deb(dir: &Path, name: &str) -> PathBuf {
        let tree = dir.join(name);
        fs::create_dir_all(tree.join("DEBIAN")).unwrap();
        let control = format!(
            "Package: {name}\nVersion: 1:2-3\nArchitecture: all\nMaintainer: a <a@b.test>\nDescription: test\n"
        );
        fs::write(tree.join("DEBIAN/control"), control).unwrap();
        let path = dir.join(format!("{name}_1%3a2-3_all.deb"));
        Cmd::new("dpkg-deb").args(["--root-owner-group", "-b"]).args([&tree, &path]).run().unwrap();
        path
    }

    fn locked(path: &Path) -> Lock {
        let package = Locked {
            name: "one".to_owned(),
            version: "1:2-3".to_owned(),
            arch: "all".to_owned(),
            sha256: digest(path).unwrap(),
            path: "pool/one.deb".to_owned(),
            sets: BTreeSet::from([SetName::Boot]),
        };
        Lock { inputs: String::new(), epoch: 1, packages: vec![package] }
    }

    #[test]
    fn a_repository_lists_its_packages_with_digests() {
        let dir = tempfile::tempdir().unwrap();
        let path = deb(dir.path(), "one");
        let repository = dir.path().join("repository");
        flat_repository(&repository, std::slice::from_ref(&path)).unwrap();
        let offers =
            maekin_rootfs::archive::parse_packages(&fs::read_to_string(repository.join("Packages")).unwrap());
        assert_eq!(offers.len(), 1);
        assert!(is_offer_of(&offers[0], &locked(&path).packages[0]));
        assert!(repository.join(&offers[0].path).exists());
    }

    #[test]
    fn a_damaged_package_is_refused_by_name() {
        let dir = tempfile::tempdir().unwrap();
        let cache = Cache::open(&dir.path().join("cache"), false, &Steps::new()).unwrap();
        let path = deb(dir.path(), "one");
        let lock = locked(&path);
        let at = cache.debs().join(lock.packages[0].file_name());
        fs::copy(&path, &at).unwrap();
        assert_eq!(verified(&lock, SetName::Boot, &cache).unwrap(), std::slice::from_ref(&at));
        assert!(verified(&lock, SetName::Tools, &cache).unwrap().is_empty());
        fs::write(&at, "damaged").unwrap();
        let error = verified(&lock, SetName::Boot, &cache).unwrap_err().to_string();
        assert!(error.contains("one_1%3a2-3_all.deb"), "{error}");
    }

    #[test]
    fn what_is_missing_is_named_but_not_at_length() {
        let dir = tempfile::tempdir().unwrap();
        let cache = Cache::open(dir.path(), false, &Steps::new()).unwrap();
        let mut lock = locked(&deb(dir.path(), "one"));
        assert_eq!(missing(&lock, &cache), "1: one");
        lock.packages =
            (0..9).map(|i| Locked { name: format!("p{i}"), ..lock.packages[0].clone() }).collect();
        assert_eq!(missing(&lock, &cache), "9: p0, p1, p2, p3, p4 and more");
    }
}
