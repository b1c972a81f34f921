//! Files that are whole or absent: atomic replacement, durable before return.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::fs::{FileExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

use nix::fcntl::{FallocateFlags, fallocate};
use nix::unistd::{Whence, lseek};

/// A file operation failed; the message names the file.
#[derive(Debug, thiserror::Error)]
#[error("{action} {}", path.display())]
pub struct FileError {
    /// What was being done, e.g. `cannot write`.
    pub action: &'static str,
    /// The file.
    pub path: PathBuf,
    /// Why it failed.
    #[source]
    pub source: io::Error,
}

fn error(action: &'static str, path: &Path) -> impl FnOnce(io::Error) -> FileError {
    let path = path.to_owned();
    move |source| FileError { action, path, source }
}

/// Replaces `path` by `content` so that after a crash at any instant it holds the old or the new content, never a
/// mixture: written beside it, flushed, renamed, and the directory flushed. `mode` is the file's permission bits.
///
/// # Errors
/// [`FileError`] naming the file; the old content is then still there.
pub fn write_atomic(path: &Path, content: &[u8], mode: u32) -> Result<(), FileError> {
    let dir = path.parent().filter(|dir| !dir.as_os_str().is_empty()).unwrap_or(Path::new("."));
    fs::create_dir_all(dir).map_err(error("cannot create directory", dir))?;
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    let part = dir.join(format!(".{name}.{}.part", std::process::id()));
    let write = || -> io::Result<()> {
        let mut file = OpenOptions::new().write(true).create(true).truncate(true).mode(mode).open(&part)?;
        // Whatever the process's umask is: other users read some of these files.
        file.set_permissions(fs::Permissions::from_mode(mode))?;
        file.write_all(content)?;
        file.sync_all()?;
        fs::rename(&part, path)?;
        File::open(dir)?.sync_all()
    };
    write().map_err(|source| {
        let _ = fs::remove_file(&part); // best effort: the write error is the one to report
        error("cannot write", path)(source)
    })
}

/// Reads a text file of at most `limit` bytes.
///
/// # Errors
/// [`FileError`] naming the file when it cannot be read, is longer than `limit`, or is not UTF-8.
pub fn read_text(path: &Path, limit: u64) -> Result<String, FileError> {
    let bytes = read_bytes(path, limit)?;
    String::from_utf8(bytes)
        .map_err(|e| error("cannot read as UTF-8", path)(io::Error::new(io::ErrorKind::InvalidData, e)))
}

/// Reads a file of at most `limit` bytes.
///
/// # Errors
/// [`FileError`] naming the file when it cannot be read or is longer than `limit`.
pub fn read_bytes(path: &Path, limit: u64) -> Result<Vec<u8>, FileError> {
    let file = File::open(path).map_err(error("cannot open", path))?;
    let mut bytes = Vec::new();
    file.take(limit.saturating_add(1)).read_to_end(&mut bytes).map_err(error("cannot read", path))?;
    if bytes.len() as u64 > limit {
        return Err(error("cannot read", path)(io::Error::new(
            io::ErrorKind::FileTooLarge,
            format!("longer than {limit} bytes"),
        )));
    }
    Ok(bytes)
}

/// Bytes that are free for us on the file system of `path`.
///
/// # Errors
/// [`FileError`] naming it.
pub fn free_bytes(path: &Path) -> Result<u64, FileError> {
    let stat = nix::sys::statvfs::statvfs(path).map_err(|e| error("cannot measure", path)(e.into()))?;
    Ok(stat.blocks_available().saturating_mul(stat.fragment_size()))
}

/// Exchanges two files or directories of one file system: after a crash at any instant, both have their old place or
/// both their new one.
///
/// # Errors
/// [`FileError`] naming the second.
pub fn exchange(a: &Path, b: &Path) -> Result<(), FileError> {
    let flags = nix::fcntl::RenameFlags::RENAME_EXCHANGE;
    nix::fcntl::renameat2(nix::fcntl::AT_FDCWD, a, nix::fcntl::AT_FDCWD, b, flags)
        .map_err(|e| error("cannot exchange", b)(e.into()))?;
    for dir in [a, b].into_iter().filter_map(Path::parent) {
        File::open(dir).and_then(|d| d.sync_all()).map_err(error("cannot flush", dir))?;
    }
    Ok(())
}

/// Copies a directory with everything in it, and flushes it. Files and directories only; `to` must not be there.
///
/// # Errors
/// [`FileError`] naming what failed; what was copied so far is left.
pub fn copy_tree(from: &Path, to: &Path) -> Result<(), FileError> {
    use std::os::unix::fs::DirBuilderExt;
    fs::DirBuilder::new().mode(0o700).create(to).map_err(error("cannot create directory", to))?;
    for entry in fs::read_dir(from).map_err(error("cannot read", from))? {
        let entry = entry.map_err(error("cannot read", from))?;
        let (path, target) = (entry.path(), to.join(entry.file_name()));
        let kind = entry.file_type().map_err(error("cannot read", &path))?;
        if kind.is_dir() {
            copy_tree(&path, &target)?;
        } else if kind.is_file() {
            fs::copy(&path, &target).map_err(error("cannot copy", &path))?;
            File::open(&target).and_then(|f| f.sync_all()).map_err(error("cannot flush", &target))?;
        }
    }
    File::open(to).and_then(|d| d.sync_all()).map_err(error("cannot flush", to))
}

/// Makes `len` bytes from `offset` of a file read as zeros and take no room.
///
/// # Errors
/// The system's error, also where the file system cannot do it.
pub fn punch(file: &File, offset: u64, len: u64) -> io::Result<()> {
    let (Ok(from), Ok(count)) = (i64::try_from(offset), i64::try_from(len)) else {
        return Err(io::ErrorKind::InvalidInput.into());
    };
    let how = FallocateFlags::FALLOC_FL_PUNCH_HOLE | FallocateFlags::FALLOC_FL_KEEP_SIZE;
    Ok(fallocate(file, how, from, count)?)
}

/// Copies `len` bytes from `offset` of `from` to the beginning of `to`, which must be empty, and gives it that length.
/// Holes stay holes.
///
/// # Errors
/// The system's error.
pub fn copy_sparse(from: &File, offset: u64, len: u64, to: &File) -> io::Result<()> {
    let end = offset.checked_add(len).ok_or(io::ErrorKind::InvalidInput)?;
    to.set_len(len)?;
    let find = |at: u64, whence| -> io::Result<Option<u64>> {
        let at = i64::try_from(at).map_err(|_| io::ErrorKind::InvalidInput)?;
        match lseek(from, at, whence) {
            Ok(found) => Ok(u64::try_from(found).ok()),
            Err(nix::errno::Errno::ENXIO) => Ok(None), // nothing more
            Err(e) => Err(e.into()),
        }
    };
    let mut at = offset;
    let mut chunk = vec![0; 1 << 20];
    while let Some(data) = find(at, Whence::SeekData)?.filter(|data| *data < end) {
        let hole = find(data, Whence::SeekHole)?.unwrap_or(end).min(end);
        at = data;
        while at < hole {
            let n = usize::try_from((hole - at).min(1 << 20)).unwrap_or(1 << 20);
            from.read_exact_at(&mut chunk[..n], at)?;
            to.write_all_at(&chunk[..n], at - offset)?;
            at += n as u64;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn replaces_whole_and_sets_the_mode() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("sub/key");
        write_atomic(&path, b"old", 0o600).unwrap();
        write_atomic(&path, b"new", 0o600).unwrap();
        assert_eq!(read_text(&path, 10).unwrap(), "new");
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        assert_eq!(fs::read_dir(path.parent().unwrap()).unwrap().count(), 1, "no part file is left");
    }

    #[test]
    fn punched_bytes_are_zeros_and_take_no_room() {
        use std::os::unix::fs::{FileExt, MetadataExt};
        let file = tempfile::tempfile().unwrap();
        file.write_all_at(&[7; 1 << 20], 0).unwrap();
        punch(&file, 4096, (1 << 20) - 8192).unwrap();
        let mut ends = [1; 3];
        file.read_exact_at(&mut ends, 4095).unwrap();
        assert_eq!(ends, [7, 0, 0]);
        let meta = file.metadata().unwrap();
        assert!(meta.len() == 1 << 20 && meta.blocks() * 512 < 1 << 19);
    }

    #[test]
    fn copies_keep_content_and_holes() {
        use std::os::unix::fs::MetadataExt;
        let (from, to) = (tempfile::tempfile().unwrap(), tempfile::tempfile().unwrap());
        from.set_len(64 << 20).unwrap();
        from.write_all_at(b"begin", 1 << 20).unwrap();
        from.write_all_at(b"end", (33 << 20) - 3).unwrap();
        copy_sparse(&from, 1 << 20, 32 << 20, &to).unwrap();
        let mut ends = [0; 8];
        to.read_exact_at(&mut ends[..5], 0).unwrap();
        to.read_exact_at(&mut ends[5..], (32 << 20) - 3).unwrap();
        assert_eq!(&ends, b"beginend");
        let meta = to.metadata().unwrap();
        assert!(meta.len() == 32 << 20 && meta.blocks() * 512 < 4 << 20);
    }

    #[test]
    fn directories_are_copied_and_change_places() {
        let dir = tempfile::tempdir().unwrap();
        let (a, b) = (dir.path().join("a"), dir.path().join("b"));
        write_atomic(&a.join("deep/er/file"), b"a", 0o600).unwrap();
        copy_tree(&a, &b).unwrap();
        assert_eq!(read_text(&b.join("deep/er/file"), 10).unwrap(), "a");
        assert!(copy_tree(&a, &b).is_err(), "never into what is there");
        write_atomic(&b.join("only"), b"b", 0o600).unwrap();
        exchange(&a, &b).unwrap();
        assert!(a.join("only").exists() && !b.join("only").exists());
        assert!(exchange(&a, &dir.path().join("none")).is_err());
        assert!(a.join("only").exists(), "nothing has moved");
        assert!(free_bytes(dir.path()).unwrap() > 0);
    }

    #[test]
    fn refuses_a_longer_file_by_name() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("long");
        write_atomic(&path, b"12345", 0o644).unwrap();
        let err = read_bytes(&path, 4).unwrap_err();
        assert!(err.to_string().contains("long"), "{err}");
        assert_eq!(read_bytes(&path, 5).unwrap(), b"12345");
    }
}
