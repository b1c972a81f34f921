//! The file: `tar.zst`, written beside its name, flushed, and named only when it is whole.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

/// Most bytes that a bundle may take.
const MOST: u64 = 256 << 20;
/// How well it is packed: text shrinks to a tenth, and a slow processor keeps up.
const LEVEL: i32 = 6;

/// A bundle that is whole.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Written {
    pub(crate) path: PathBuf,
    /// The name of the file.
    pub(crate) name: String,
    pub(crate) bytes: u64,
    pub(crate) items: usize,
}

/// The name of the bundle of `node` at `now`.
pub(super) fn name(node: &str, now: u64) -> String {
    let time = i64::try_from(now).ok().and_then(|at| jiff::Timestamp::from_second(at).ok());
    let time = time.map_or_else(|| now.to_string(), |t| t.strftime("%Y%m%d-%H%M%S").to_string());
    format!("maekin-support-{node}-{time}.tar.zst")
}

/// Writes `items` into `dir` under `name`.
///
/// # Errors
/// Why not; nothing half is left.
pub(super) fn write(
    dir: &Path,
    name: &str,
    items: impl Iterator<Item = (String, String)>,
) -> anyhow::Result<Written> {
    let (path, part) = (dir.join(name), dir.join(format!("{name}.part")));
    let written = write_part(&part, name, items).and_then(|(bytes, items)| {
        fs::rename(&part, &path)?;
        File::open(dir)?.sync_all()?;
        Ok(Written { path: path.clone(), name: name.to_owned(), bytes, items })
    });
    written.map_err(|e| {
        let _ = fs::remove_file(&part); // what went wrong before is the one to report
        let remedy = if e.kind() == io::ErrorKind::StorageFull { "; make room there" } else { "" };
        anyhow::Error::new(e).context(format!("cannot write {}{remedy}", path.display()))
    })
}

fn write_part(
    part: &Path,
    name: &str,
    items: impl Iterator<Item = (String, String)>,
) -> io::Result<(u64, usize)> {
    let file = OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(part)?;
    let bounded = Bounded { file, left: MOST };
    let mut builder = tar::Builder::new(zstd::Encoder::new(bounded, LEVEL)?);
    let root = name.strip_suffix(".tar.zst").unwrap_or(name);
    let mut count = 0;
    for (item, text) in items {
        let mut header = tar::Header::new_gnu();
        header.set_size(text.len() as u64);
        header.set_mode(0o644);
        header.set_cksum();
        builder.append_data(&mut header, format!("{root}/{item}"), text.as_bytes())?;
        count += 1;
    }
    let bounded = builder.into_inner()?.finish()?;
    bounded.file.sync_all()?;
    Ok((MOST - bounded.left, count))
}

/// A file that does not grow without end.
struct Bounded {
    file: File,
    left: u64,
}

impl Write for Bounded {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let n = self.file.write(bytes)?;
        let too_large = || io::Error::new(io::ErrorKind::FileTooLarge, format!("larger than {MOST} bytes"));
        self.left = self.left.checked_sub(n as u64).ok_or_else(too_large)?;
        Ok(n)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.flush()
    }
}

/// Reads a bundle: name and text of each item. For tests, and nobody else needs it.
#[cfg(test)]
pub(super) fn read(path: &Path) -> anyhow::Result<Vec<(String, String)>> {
    use std::io::Read;

    use anyhow::Context;

    let mut archive = tar::Archive::new(zstd::Decoder::new(File::open(path)?)?);
    let mut items = Vec::new();
    for entry in archive.entries()? {
        let mut entry = entry?;
        let name = entry.path()?.display().to_string();
        let mut text = String::new();
        entry.read_to_string(&mut text).context("an item is no text")?;
        items.push((name, text));
    }
    Ok(items)
}
