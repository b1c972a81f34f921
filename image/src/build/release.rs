//! The release bundle: its files in one directory, their manifest, its signature, and `SHA256SUMS`.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use anyhow::{Context as _, Result};
use maekin_host::file;
use maekin_image::chunks::{CHUNK, ChunkList, ROOT_CHUNKS};
use maekin_image::drivers::DRIVERS;
use maekin_image::manifest::{
    FileEntry, INITRD, KeyKind, MANIFEST, Manifest, ROOT, RootImage, SIGNATURE, VMLINUZ,
};
use maekin_image::sums::{self, SUMS};

use super::debs::digest;
use super::{Context, initrd, root};

/// Writes the bundle into the empty directory `dir` and returns its manifest.
pub(crate) fn write(context: &Context<'_>, dir: &Path) -> Result<Manifest> {
    let vmlinuz = context.kernel.vmlinuz();
    fs::copy(vmlinuz, dir.join(VMLINUZ)).context("the kernel's package has no vmlinuz")?;
    initrd::Maker { context }.write(&dir.join(INITRD))?;
    let root = root::Maker { context }.write(&dir.join(ROOT))?;
    let chunks = File::open(dir.join(ROOT)).and_then(|image| ChunkList::of(image, CHUNK));
    let chunks = chunks.context("cannot read the root image")?.text();
    file::write_atomic(&dir.join(ROOT_CHUNKS), chunks.as_bytes(), 0o644)?;
    context.loaders.write(context.tools, dir)?;
    let modules = context.kernel.select(&context.definition.modules.initrd)?;
    let drivers = context.kernel.drivers(&modules)?.text();
    file::write_atomic(&dir.join(DRIVERS), drivers.as_bytes(), 0o644)?;
    context.steps.run("manifest", "reading and signing everything", || sign(context, dir, root))
}

fn sign(context: &Context<'_>, dir: &Path, root: RootImage) -> Result<Manifest> {
    let (version, epoch, key) = (context.version, context.lock.epoch, context.key);
    let manifest = Manifest {
        format: 1,
        version: version.to_owned(),
        epoch,
        kernel: context.kernel.release.clone(),
        key: key.kind,
        root,
        files: entries(dir)?,
    };
    let json = serde_json::to_string_pretty(&manifest)? + "\n";
    let kind = if key.kind == KeyKind::Release { "" } else { ", throw-away key" };
    let signature = key.key.sign(json.as_bytes(), &format!("maekin {version}, epoch {epoch}{kind}"));
    file::write_atomic(&dir.join(MANIFEST), json.as_bytes(), 0o644)?;
    file::write_atomic(&dir.join(SIGNATURE), signature.as_bytes(), 0o644)?;
    let extra = [MANIFEST, SIGNATURE].map(|name| digest(&dir.join(name)).map(|sum| (name, sum)));
    let extra: Vec<(&str, String)> = extra.into_iter().collect::<Result<_>>()?;
    let all = manifest.files.iter().map(|(path, entry)| (path.as_str(), entry.sha256.as_str()));
    let text = sums::text(all.chain(extra.iter().map(|(name, sum)| (*name, sum.as_str()))));
    file::write_atomic(&dir.join(SUMS), text.as_bytes(), 0o644)?;
    Ok(manifest)
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
