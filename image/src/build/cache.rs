//! The cache: layers named by the digest of everything that went into them, so that what did not change is not made
//! again. A layer is a file or a directory, is whole or absent, and is never changed.

use std::fs::{self, File};
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use anyhow::{Context as _, Result, bail, ensure};
use maekin_host::mount;
use sha2::{Digest, Sha256};

use super::steps::Steps;

/// How many layers of one name are kept; the one in use and the one before it, to go back and forth between two.
const KEPT: usize = 2;

/// Bytes that a build needs where nothing is cached, and where everything is.
const SPACE_COLD: u64 = 6_000_000_000;
const SPACE_WARM: u64 = 2_000_000_000;

/// Digest of a layer's inputs.
#[derive(Clone)]
pub(crate) struct Key(Sha256);

impl Key {
    /// A key for layers of this name. `format` counts up when the code that makes them changes what they hold.
    pub(crate) fn new(name: &str, format: u32) -> Self {
        Self(Sha256::new()).with("name", name).with("format", format.to_string())
    }

    /// Adds an input. Lengths go in too, so that no two lists of inputs are the same bytes.
    pub(crate) fn with(mut self, name: &str, value: impl AsRef<[u8]>) -> Self {
        for part in [name.as_bytes(), value.as_ref()] {
            self.0.update((part.len() as u64).to_le_bytes());
            self.0.update(part);
        }
        self
    }

    fn text(&self) -> String {
        let digest: [u8; 32] = self.0.clone().finalize().into();
        maekin_image::manifest::hex(&digest[..12])
    }
}

/// The cache directory, held by one build at a time.
pub(crate) struct Cache {
    dir: PathBuf,
    layers: PathBuf,
    _lock: File,
}

impl Cache {
    /// Opens the cache, waiting for another build that uses it. With `fresh`, layers of earlier builds are not seen.
    pub(crate) fn open(dir: &Path, fresh: bool, steps: &Steps) -> Result<Self> {
        let layers = dir.join(if fresh { "layers-fresh" } else { "layers" });
        fs::create_dir_all(dir).with_context(|| {
            format!("cannot create the cache {}; name another with --cache", dir.display())
        })?;
        let dir = dir.canonicalize().context("cannot find the cache's real path")?;
        let lock = File::create(dir.join("lock")).context("cannot create the cache's lock file")?;
        if lock.try_lock().is_err() {
            steps.note(&format!("waiting for another build that uses {}", dir.display()));
            lock.lock().context("cannot lock the cache")?;
        }
        if fresh {
            remove(&layers)?;
        }
        let cache = Self { layers: dir.join(layers.file_name().unwrap_or_default()), dir, _lock: lock };
        for dir in [cache.debs(), cache.layers.clone()] {
            fs::create_dir_all(&dir).with_context(|| format!("cannot create {}", dir.display()))?;
        }
        refuse_mounts(&cache.work())?;
        remove(&cache.work())?;
        cache.check_space()?;
        fs::create_dir_all(cache.work()).context("cannot create the cache's work directory")?;
        Ok(cache)
    }

    fn check_space(&self) -> Result<()> {
        let cold = fs::read_dir(&self.layers)?.next().is_none();
        let need = if cold { SPACE_COLD } else { SPACE_WARM };
        let stat =
            nix::sys::statvfs::statvfs(&self.dir).context("cannot see how much space the cache has")?;
        let free = stat.blocks_available().saturating_mul(stat.fragment_size());
        let gb = |bytes: u64| bytes as f64 / 1e9;
        ensure!(
            free >= need,
            "{} has {:.1} GB free, and the build needs {:.1} GB; make room, or name another place with --cache",
            self.dir.display(),
            gb(free),
            gb(need)
        );
        Ok(())
    }

    /// The `.deb` files.
    pub(crate) fn debs(&self) -> PathBuf {
        self.dir.join("debs")
    }

    /// The private directories of apt.
    pub(crate) fn apt(&self) -> PathBuf {
        self.dir.join("apt")
    }

    /// For files that do not outlive this build.
    pub(crate) fn work(&self) -> PathBuf {
        self.dir.join("work")
    }

    /// The layer `name` for `key`: found, or made by `build` at the path that it is given.
    pub(crate) fn layer(
        &self,
        steps: &Steps,
        name: &str,
        waits: &str,
        key: &Key,
        build: impl FnOnce(&Path) -> Result<()>,
    ) -> Result<PathBuf> {
        let path = self.layers.join(format!("{name}.{}", key.text()));
        if path.exists() {
            steps.cached(name);
            touch(&path);
            return Ok(path);
        }
        let part = self.layers.join(format!(".{name}.part"));
        remove(&part)?;
        steps.run(name, waits, || build(&part))?;
        fs::rename(&part, &path).with_context(|| format!("cannot finish the layer {}", path.display()))?;
        touch(&path);
        self.drop_old(name)?;
        Ok(path)
    }

    fn drop_old(&self, name: &str) -> Result<()> {
        let prefix = format!("{name}.");
        let mut siblings: Vec<(SystemTime, PathBuf)> = fs::read_dir(&self.layers)?
            .filter_map(|entry| {
                let entry = entry.ok()?;
                let ours = entry.file_name().to_string_lossy().starts_with(&prefix);
                Some((entry.metadata().ok()?.modified().ok()?, entry.path())).filter(|_| ours)
            })
            .collect();
        siblings.sort();
        siblings.reverse();
        siblings.iter().skip(KEPT).try_for_each(|(_, path)| remove(path))
    }
}

impl Drop for Cache {
    fn drop(&mut self) {
        // The next build removes what is left, or says why it does not.
        let _ = refuse_mounts(&self.work()).and_then(|()| remove(&self.work()));
        if self.layers.ends_with("layers-fresh") {
            let _ = remove(&self.layers);
        }
    }
}

/// Notes that a layer was used, which decides what is kept; failing that, a layer may have to be made again.
fn touch(path: &Path) {
    let _ = File::open(path).and_then(|file| file.set_modified(SystemTime::now()));
}

/// Refuses to go on where something is mounted below `dir`: removing that would remove the machine's own files.
fn refuse_mounts(dir: &Path) -> Result<()> {
    let mounted = mount::mounts_of(|_| true).into_iter().find(|at| at.starts_with(dir));
    match mounted {
        None => Ok(()),
        Some(at) => bail!("{} is mounted, which a build must have left; unmount it first", at.display()),
    }
}

/// Removes a file or a directory with all that is in it; fine where there is none.
pub(crate) fn remove(path: &Path) -> Result<()> {
    let result = match fs::symlink_metadata(path) {
        Ok(meta) if meta.is_dir() => fs::remove_dir_all(path),
        Ok(_) => fs::remove_file(path),
        Err(e) if e.kind() == ErrorKind::NotFound => return Ok(()),
        Err(e) => Err(e),
    };
    result.with_context(|| format!("cannot remove {}", path.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_differ_with_every_input_and_their_borders() {
        let base = || Key::new("root", 1);
        let rows = [
            ("nothing more", base().text()),
            ("another name", Key::new("roof", 1).text()),
            ("another format", Key::new("root", 2).text()),
            ("an input", base().with("a", "bc").text()),
            ("the border moved", base().with("ab", "c").text()),
            ("two inputs", base().with("a", "b").with("", "c").text()),
        ];
        for (i, (name, key)) in rows.iter().enumerate() {
            assert!(rows[..i].iter().all(|(_, other)| other != key), "{name}");
        }
        assert_eq!(base().with("a", "b").text(), base().with("a", "b").text());
    }

    #[test]
    fn a_layer_is_made_once_and_a_failed_one_leaves_nothing() {
        let dir = tempfile::tempdir().unwrap();
        let steps = Steps::new();
        let cache = Cache::open(dir.path(), false, &steps).unwrap();
        let key = Key::new("x", 1);
        let failed = cache.layer(&steps, "x", "test", &key, |part| {
            fs::write(part, "half")?;
            anyhow::bail!("no power")
        });
        assert!(failed.is_err());
        let make = |part: &Path| fs::write(part, "whole").map_err(Into::into);
        let path = cache.layer(&steps, "x", "test", &key, make).unwrap();
        let again = cache.layer(&steps, "x", "test", &key, |_| panic!("made twice")).unwrap();
        assert_eq!(path, again);
        assert_eq!(fs::read_to_string(path).unwrap(), "whole");
    }

    #[test]
    fn what_is_mounted_is_not_removed() {
        assert!(refuse_mounts(Path::new("/proc")).unwrap_err().to_string().contains("/proc"));
        assert!(refuse_mounts(Path::new("/nonexistent")).is_ok());
    }

    #[test]
    fn old_layers_go() {
        let dir = tempfile::tempdir().unwrap();
        let steps = Steps::new();
        let cache = Cache::open(dir.path(), false, &steps).unwrap();
        for i in 0..5 {
            let key = Key::new("x", i);
            cache.layer(&steps, "x", "test", &key, |part| fs::create_dir(part).map_err(Into::into)).unwrap();
        }
        assert_eq!(fs::read_dir(dir.path().join("layers")).unwrap().count(), KEPT);
    }
}
