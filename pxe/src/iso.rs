//! Where the files of an ISO image lie in it, so that they can be served without mounting or unpacking it: ISO 9660
//! (ECMA-119) with the names of Rock Ridge (IEEE P1282). Every number in an image is bounded before it is used.

use std::collections::BTreeMap;
use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

/// Bytes of a sector.
const SECTOR: u64 = 2048;
/// Largest directory read, in bytes.
const MAX_DIR: u64 = 1 << 20;
/// Most files of a tree.
const MAX_FILES: usize = 4096;
/// Deepest directory.
const MAX_DEPTH: usize = 8;
/// Most continuations of one entry's names.
const MAX_CONTINUED: usize = 4;

/// Why an image cannot be read.
#[derive(Debug, thiserror::Error)]
#[error("cannot read the ISO image {}: {problem}", path.display())]
pub struct IsoError {
    /// The image.
    pub path: PathBuf,
    /// What is wrong.
    pub problem: String,
}

/// The bytes of a file, which are all in one piece.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Extent {
    /// Where they begin in the image.
    pub offset: u64,
    /// How many there are.
    pub len: u64,
}

/// The files below the directory `dir` of an image, by their paths from there.
///
/// # Errors
/// [`IsoError`] when it is no such image, or is damaged, or has no such directory.
pub fn extents(image: &Path, dir: &str) -> Result<BTreeMap<String, Extent>, IsoError> {
    let failed = |problem: String| IsoError { path: image.to_owned(), problem };
    let file = File::open(image).map_err(|e| failed(e.to_string()))?;
    let len = file.metadata().map_err(|e| failed(e.to_string()))?.len();
    tree(&file, len, dir).map_err(failed)
}

/// All bytes of a file of the image.
///
/// # Errors
/// [`IsoError`] when the image has become shorter, or cannot be read.
pub fn read(image: &Path, extent: Extent) -> Result<Vec<u8>, IsoError> {
    let bytes = File::open(image).and_then(|file| bytes_at(&file, extent));
    bytes.map_err(|e| IsoError { path: image.to_owned(), problem: e.to_string() })
}

fn bytes_at(file: &File, extent: Extent) -> io::Result<Vec<u8>> {
    let len = usize::try_from(extent.len).map_err(io::Error::other)?;
    let mut bytes = vec![0; len];
    file.read_exact_at(&mut bytes, extent.offset)?;
    Ok(bytes)
}

/// A directory's entry.
struct Entry {
    name: String,
    extent: Extent,
    is_dir: bool,
}

fn tree(file: &File, len: u64, dir: &str) -> Result<BTreeMap<String, Extent>, String> {
    let descriptor = bytes_at(file, Extent { offset: 16 * SECTOR, len: SECTOR })
        .map_err(|_| "it is too short".to_owned())?;
    if descriptor[0] != 1 || &descriptor[1..6] != b"CD001" {
        return Err("it is none (ISO 9660)".to_owned());
    }
    let root = extent(&descriptor[156..190], len).ok_or("its root directory lies outside of it")?;
    let start = entries(file, len, root)?.into_iter().find(|entry| entry.is_dir && entry.name == dir);
    let start = start.ok_or_else(|| format!("it has no directory {dir}, so it is no image of ours"))?;
    let mut files = BTreeMap::new();
    let mut todo = vec![(String::new(), start.extent, 0)];
    while let Some((prefix, at, depth)) = todo.pop() {
        for entry in entries(file, len, at)? {
            let path = format!("{prefix}{}", entry.name);
            if !entry.is_dir {
                files.insert(path, entry.extent);
            } else if depth < MAX_DEPTH {
                todo.push((format!("{path}/"), entry.extent, depth + 1));
            } else {
                return Err(format!("its directory {path} lies too deep"));
            }
            if files.len() + todo.len() > MAX_FILES {
                return Err(format!("it has more than {MAX_FILES} files"));
            }
        }
    }
    Ok(files)
}

/// What a directory lists, but for itself and the one above.
fn entries(file: &File, len: u64, at: Extent) -> Result<Vec<Entry>, String> {
    if at.len > MAX_DIR {
        return Err("one of its directories is too large".to_owned());
    }
    let bytes = bytes_at(file, at).map_err(|e| e.to_string())?;
    let mut found: Vec<Entry> = Vec::new();
    let mut goes_on = false;
    // ECMA-119 section 6.8.1.1: no record crosses a sector's end; what is left of the sector is zeros.
    for sector in bytes.chunks(2048) {
        let mut rest = sector;
        while let [size @ 34..=255, ..] = *rest {
            let (record, after) =
                rest.split_at_checked(usize::from(size)).ok_or("an entry of a directory is cut off")?;
            rest = after;
            let name_len = usize::from(record[32]);
            let id = record.get(33..33 + name_len).ok_or("a name in a directory is cut off")?;
            if matches!(id, [0 | 1]) {
                continue; // the directory itself, and the one above
            }
            let extent = extent(record, len).ok_or("a file of it lies outside of it")?;
            // ECMA-119 section 9.1.6: bit 1 marks a directory, bit 7 a file that goes on in the next record.
            let (is_dir, more) = (record[25] & 2 != 0, record[25] & 0x80 != 0);
            if std::mem::replace(&mut goes_on, more)
                && let Some(last) = found.last_mut()
            {
                if last.extent.offset + last.extent.len != extent.offset {
                    return Err(format!("its file {} is in several pieces", last.name));
                }
                last.extent.len += extent.len;
                continue;
            }
            let system_use = record.get(33 + name_len + (1 - name_len % 2)..).unwrap_or_default();
            let name = match rock_ridge(file, len, system_use) {
                Some(name) => name,
                None => String::from_utf8_lossy(id).trim_end_matches(";1").to_ascii_lowercase(),
            };
            if name.is_empty() || name.contains('/') || name == ".." {
                return Err("a name in a directory is none".to_owned());
            }
            found.push(Entry { name, extent, is_dir });
        }
    }
    Ok(found)
}

/// Where a directory record says that its bytes are; `None` outside of the image.
fn extent(record: &[u8], len: u64) -> Option<Extent> {
    let extent = Extent { offset: u64::from(le(record, 2)?) * SECTOR, len: le(record, 10)?.into() };
    (extent.offset + extent.len <= len).then_some(extent)
}

fn le(bytes: &[u8], at: usize) -> Option<u32> {
    bytes.get(at..at + 4)?.try_into().ok().map(u32::from_le_bytes)
}

/// The name in the NM entries of a record's system use area, and in its continuations (SUSP section 5.1).
fn rock_ridge(file: &File, len: u64, system_use: &[u8]) -> Option<String> {
    let mut name = Vec::new();
    let mut area = system_use.to_vec();
    for _ in 0..=MAX_CONTINUED {
        let mut next = None;
        let mut rest = area.as_slice();
        while let [a, b, size @ 4..=255, ..] = *rest {
            let Some((entry, after)) = rest.split_at_checked(usize::from(size)) else { break };
            match &[a, b] {
                b"NM" => name.extend_from_slice(entry.get(5..)?),
                b"CE" => {
                    let offset = u64::from(le(entry, 4)?) * SECTOR + u64::from(le(entry, 12)?);
                    next = Some(Extent { offset, len: le(entry, 20)?.into() });
                }
                b"ST" => break,
                _ => {}
            }
            rest = after;
        }
        match next.filter(|at| at.len <= SECTOR && at.offset + at.len <= len) {
            Some(at) => area = bytes_at(file, at).ok()?,
            None => break,
        }
    }
    String::from_utf8(name).ok().filter(|name| !name.is_empty())
}

#[cfg(test)]
mod tests;
