//! Holds a built bundle, and an ISO, against their manifest, its signature and `SHA256SUMS`.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, ensure};
use maekin_host::cmd::{self, Cmd};
use maekin_host::file;
use maekin_image::manifest::{MANIFEST, MANIFEST_LIMIT, Manifest, SIGNATURE};
use maekin_image::medium::RELEASE_DIR;
use maekin_image::sums::{self, SUMS};

use super::cache::remove;
use super::debs::digest;
use super::report::key_text;
use super::tools::Tools;

/// Verifies the bundle in `release` with the public key, and that `iso` carries the very same.
pub(crate) fn verify(release: &Path, key: &Path, iso: Option<&Path>) -> Result<()> {
    let key =
        file::read_text(key, 4096).context("the public key of the release is needed; name it with --key")?;
    let manifest = bundle(release, &key).with_context(|| format!("{} is not whole", release.display()))?;
    println!(
        "{}: version {}, {} files, all as signed with {}",
        release.display(),
        manifest.version,
        manifest.files.len(),
        key_text(manifest.key)
    );
    let Some(iso) = iso else { return Ok(()) };
    let out = release.parent().unwrap_or(Path::new("."));
    let copy = out.join(".verify.part");
    remove(&copy)?;
    let result = extract(iso, &copy, out).and_then(|()| {
        let theirs = bundle(&copy, &key).with_context(|| format!("{} is not whole", iso.display()))?;
        ensure!(theirs == manifest, "{} carries another release than {}", iso.display(), release.display());
        Ok(())
    });
    remove(&copy)?;
    result?;
    println!("{}: carries the same release", iso.display());
    Ok(())
}

/// Verifies the bundle in `dir`: signature, every file, and that there is no other.
fn bundle(dir: &Path, key: &str) -> Result<Manifest> {
    let json = file::read_bytes(&dir.join(MANIFEST), MANIFEST_LIMIT)?;
    let signature = file::read_text(&dir.join(SIGNATURE), 4096)?;
    let manifest = Manifest::verify(&json, &signature, key)?;
    let sums = file::read_text(&dir.join(SUMS), MANIFEST_LIMIT)?;
    let mut sums =
        sums::parse(&sums).map_err(|line| anyhow::anyhow!("line {line} of {SUMS} is no digest"))?;
    for (path, entry) in &manifest.files {
        let file = dir.join(path);
        let size = fs::metadata(&file).with_context(|| format!("{path} is missing"))?.len();
        ensure!(size == entry.size, "{path} has {size} bytes, and the manifest says {}", entry.size);
        ensure!(digest(&file)? == entry.sha256, "{path} is not the file of the manifest");
        ensure!(sums.remove(path).as_ref() == Some(&entry.sha256), "{SUMS} says something else of {path}");
    }
    for name in [MANIFEST, SIGNATURE] {
        ensure!(sums.remove(name) == Some(digest(&dir.join(name))?), "{SUMS} says something else of {name}");
    }
    ensure!(sums.is_empty(), "{SUMS} lists files that the manifest does not: {sums:?}");
    for path in files(dir)? {
        let known =
            manifest.files.contains_key(&path) || [MANIFEST, SIGNATURE, SUMS].contains(&path.as_str());
        ensure!(known, "{path} is not in the manifest");
    }
    Ok(manifest)
}

/// All files below `dir`.
fn files(dir: &Path) -> Result<Vec<String>> {
    let mut found = Vec::new();
    let mut dirs = vec![PathBuf::new()];
    while let Some(sub) = dirs.pop() {
        for entry in fs::read_dir(dir.join(&sub))? {
            let entry = entry?;
            let path = sub.join(entry.file_name());
            if entry.file_type()?.is_dir() {
                dirs.push(path);
            } else {
                found.push(path.to_string_lossy().into_owned());
            }
        }
    }
    Ok(found)
}

/// Takes the bundle out of an ISO.
fn extract(iso: &Path, to: &Path, out: &Path) -> Result<()> {
    let xorriso = if cmd::exists("xorriso") {
        Cmd::new("xorriso")
    } else {
        let tools = Tools::left_by_build(out).context("xorriso is not there; install the package xorriso")?;
        tools.cmd("usr/bin/xorriso")
    };
    xorriso
        .args(["-osirrox", "on", "-indev"])
        .arg(iso)
        .args(["-extract", &format!("/{RELEASE_DIR}")])
        .arg(to)
        .run()
        .with_context(|| format!("cannot read {}", iso.display()))
}
