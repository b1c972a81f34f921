//! The release bundle: its files in one directory, their manifest, its signature, and `SHA256SUMS`.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use anyhow::{Context as _, Result};
use maekin_host::file;
use maekin_image::manifest::{
    FileEntry, INITRD, KeyKind, MANIFEST, Manifest, ROOT, RootImage, SIGNATURE, VMLINUZ,
};
use maekin_image::sums::{self, SUMS};

use super::boot::Loaders;
use super::debs::digest;
use super::keys::Key;
use super::tools::Tools;
use super::{initrd, root};

/// What a bundle is made from.
pub(crate) struct Inputs<'a> {
    pub(crate) version: &'a str,
    pub(crate) root: root::Inputs<'a>,
    pub(crate) initrd: initrd::Inputs<'a>,
    pub(crate) loaders: &'a Loaders,
    pub(crate) tools: &'a Tools,
    pub(crate) key: &'a Key,
}

impl Inputs<'_> {
    /// Writes the bundle into the empty directory `dir` and returns its manifest.
    pub(crate) fn write(&self, dir: &Path) -> Result<Manifest> {
        let kernel = self.root.kernel;
        fs::copy(kernel.vmlinuz(), dir.join(VMLINUZ)).context("the kernel's package has no vmlinuz")?;
        self.initrd.write(&dir.join(INITRD))?;
        let root = self.root.write(&dir.join(ROOT))?;
        self.loaders.write(self.tools, dir)?;
        self.root.steps.run("manifest", "reading and signing everything", || self.sign(dir, root))
    }

    fn sign(&self, dir: &Path, root: RootImage) -> Result<Manifest> {
        let epoch = self.root.lock.epoch;
        let manifest = Manifest {
            format: 1,
            version: self.version.to_owned(),
            epoch,
            kernel: self.root.kernel.release.clone(),
            key: self.key.kind,
            root,
            files: entries(dir)?,
        };
        let json = serde_json::to_string_pretty(&manifest)? + "\n";
        let kind = if self.key.kind == KeyKind::Release { "" } else { ", throw-away key" };
        let signature =
            self.key.key.sign(json.as_bytes(), &format!("maekin {}, epoch {epoch}{kind}", self.version));
        file::write_atomic(&dir.join(MANIFEST), json.as_bytes(), 0o644)?;
        file::write_atomic(&dir.join(SIGNATURE), signature.as_bytes(), 0o644)?;
        let extra = [MANIFEST, SIGNATURE].map(|name| digest(&dir.join(name)).map(|sum| (name, sum)));
        let extra: Vec<(&str, String)> = extra.into_iter().collect::<Result<_>>()?;
        let all = manifest.files.iter().map(|(path, entry)| (path.as_str(), entry.sha256.as_str()));
        let text = sums::text(all.chain(extra.iter().map(|(name, sum)| (*name, sum.as_str()))));
        file::write_atomic(&dir.join(SUMS), text.as_bytes(), 0o644)?;
        Ok(manifest)
    }
}

/// Sizes and digests of all files below `dir`; makes them readable for everyone on the way.
fn entries(dir: &Path) -> Result<BTreeMap<String, FileEntry>> {
    let mut found = BTreeMap::new();
    let mut dirs = vec![(dir.to_owned(), String::new())];
    while let Some((dir, prefix)) = dirs.pop() {
        for entry in fs::read_dir(&dir).with_context(|| format!("cannot read {}", dir.display()))? {
            let entry = entry?;
            let path = format!("{prefix}{}", entry.file_name().to_string_lossy());
            if entry.file_type()?.is_dir() {
                dirs.push((entry.path(), format!("{path}/")));
                continue;
            }
            fs::set_permissions(entry.path(), fs::Permissions::from_mode(0o644))?;
            let (size, sha256) = (entry.metadata()?.len(), digest(&entry.path())?);
            found.insert(path, FileEntry { size, sha256 });
        }
    }
    Ok(found)
}
