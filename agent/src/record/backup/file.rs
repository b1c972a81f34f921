//! One copy as a file: written as it comes, and given its name when it is whole; checked again before it is used.

use std::fs::{self, File};
use std::io::{self, Read, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::time::Duration;

use maekin_host::file::{FileError, free_bytes};
use sha2::{Digest, Sha256};

use super::BackupError;
use crate::record::RecordError;
use crate::record::snapshot::Snapshot;

/// Largest copy, bytes: the record's quota, and what etcd may take beyond.
pub(crate) const LARGEST: u64 = 512 << 20;
/// What stays free beside a copy, bytes.
const RESERVE: u64 = 128 << 20;
/// How long a stream may be silent.
const SILENCE: Duration = Duration::from_secs(30);
/// Bytes of the digest that etcd puts at the end.
const DIGEST: usize = 32;
/// A page of etcd's file; its length is a multiple of this.
const PAGE: u64 = 512;

fn failed(action: &'static str, path: &Path) -> impl FnOnce(io::Error) -> FileError {
    let path = path.to_owned();
    move |source| FileError { action, path, source }
}

/// Writes what comes as `name` into `dir`; the bytes. Whatever happens, a file of that name is whole.
pub(super) async fn write(dir: &Path, name: &str, stream: Snapshot) -> Result<u64, BackupError> {
    fs::create_dir_all(dir).map_err(failed("cannot create directory", dir))?;
    sweep(dir);
    let part = dir.join(format!(".{name}.part"));
    let outcome = receive(dir, &part, stream).await;
    let outcome = outcome.and_then(|size| {
        let path = dir.join(name);
        fs::rename(&part, &path).map_err(failed("cannot write", &path))?;
        File::open(dir).and_then(|d| d.sync_all()).map_err(failed("cannot flush", dir))?;
        Ok(size)
    });
    if outcome.is_err() {
        let _ = fs::remove_file(&part); // the error is the one to report
    }
    outcome
}

/// Removes what a power cut left of a copy that was being written.
fn sweep(dir: &Path) {
    for entry in fs::read_dir(dir).into_iter().flatten().flatten() {
        let name = entry.file_name();
        if name.to_str().is_some_and(|n| n.starts_with(".record-") && n.ends_with(".part")) {
            let _ = fs::remove_file(entry.path()); // the next one tries again
        }
    }
}

async fn receive(dir: &Path, part: &Path, mut stream: Snapshot) -> Result<u64, BackupError> {
    let free = free_bytes(dir)?;
    let mut file = fs::OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(true)
        .mode(0o600)
        .open(part)
        .map_err(failed("cannot create", part))?;
    let mut check = Check::default();
    loop {
        let next = tokio::time::timeout(SILENCE, stream.next()).await;
        let Some(bytes) = next.map_err(|_| RecordError::Unreachable {
            voters: stream.from.clone(),
            why: format!("the snapshot stood still for {} s", SILENCE.as_secs()),
        })??
        else {
            break;
        };
        check.take(&bytes);
        if check.len > LARGEST {
            return Err(BackupError::Damaged { path: part.to_owned(), why: "it does not end" });
        }
        if check.len.saturating_add(RESERVE) > free {
            return Err(BackupError::Full { path: dir.to_owned(), free });
        }
        file.write_all(&bytes).map_err(failed("cannot write", part))?;
    }
    check.end().map_err(|why| BackupError::Damaged { path: part.to_owned(), why })?;
    let part = part.to_owned();
    let flush = tokio::task::spawn_blocking(move || file.sync_all().map_err(failed("cannot flush", &part)));
    flush.await.unwrap_or(Ok(()))?;
    Ok(check.len)
}

/// Reads a copy to its end.
///
/// # Errors
/// [`BackupError::Damaged`] where it is not what etcd sent.
pub(crate) fn verify(path: &Path) -> Result<u64, BackupError> {
    let mut file = File::open(path).map_err(failed("cannot open", path))?;
    let mut check = Check::default();
    let mut chunk = vec![0; 1 << 18];
    loop {
        let n = file.read(&mut chunk).map_err(failed("cannot read", path))?;
        if n == 0 {
            break;
        }
        check.take(&chunk[..n]);
        if check.len > LARGEST {
            return Err(BackupError::Damaged { path: path.to_owned(), why: "it is too long" });
        }
    }
    check.end().map_err(|why| BackupError::Damaged { path: path.to_owned(), why })?;
    Ok(check.len)
}

/// Removes a copy that is kept no longer.
pub(super) fn remove(path: &Path) -> Result<(), FileError> {
    fs::remove_file(path).map_err(failed("cannot remove", path))
}

/// Compares the end of what comes with the digest of all before it.
#[derive(Default)]
struct Check {
    digest: Sha256,
    tail: Vec<u8>,
    len: u64,
}

impl Check {
    fn take(&mut self, bytes: &[u8]) {
        self.len += bytes.len() as u64;
        self.tail.extend_from_slice(bytes);
        let sure = self.tail.len().saturating_sub(DIGEST);
        self.digest.update(&self.tail[..sure]);
        self.tail.drain(..sure);
    }

    fn end(&mut self) -> Result<(), &'static str> {
        if self.len % PAGE != DIGEST as u64 || self.len < PAGE {
            return Err("it does not end with a digest");
        }
        let digest = std::mem::take(&mut self.digest).finalize();
        if digest.as_slice() == self.tail { Ok(()) } else { Err("its digest is another") }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// A copy as etcd would send it.
    fn whole(content: &[u8]) -> Vec<u8> {
        let digest = Sha256::digest(content);
        [content, digest.as_slice()].concat()
    }

    #[test]
    fn record_a_damaged_copy_is_known_as_such() {
        let good = whole(&[7; 2048]);
        let edit = |change: &dyn Fn(&mut Vec<u8>)| {
            let mut bytes = good.clone();
            change(&mut bytes);
            bytes
        };
        let rows = [
            ("whole", good.clone(), ""),
            ("empty", vec![], "does not end with a digest"),
            ("cut", edit(&|b| b.truncate(1000)), "does not end with a digest"),
            ("cut at a page", edit(&|b| b.truncate(1024)), "does not end with a digest"),
            ("cut by a page", edit(&|b| b.truncate(b.len() - 512)), "its digest is another"),
            ("a bit", edit(&|b| b[100] ^= 1), "its digest is another"),
            ("a bit of the digest", edit(&|b| *b.last_mut().unwrap() ^= 1), "its digest is another"),
            ("only a digest", whole(&[]), "does not end with a digest"),
        ];
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("copy");
        for (name, bytes, want) in rows {
            fs::write(&path, bytes).unwrap();
            let said = verify(&path).err().map(|e| e.to_string()).unwrap_or_default();
            assert!(said.contains(want) && said.is_empty() == want.is_empty(), "{name}: {said}");
        }
    }

    proptest! {
        #[test]
        fn record_the_digest_is_the_same_however_the_bytes_come(
            content in proptest::collection::vec(any::<u8>(), 1..4).prop_map(|seed| seed.repeat(1536)),
            cuts in proptest::collection::vec(1..700_usize, 1..40),
        ) {
            let content = &content[..content.len() / 512 * 512];
            let bytes = whole(content);
            let (mut check, mut at) = (Check::default(), 0);
            for cut in cuts.iter().cycle() {
                let end = (at + cut).min(bytes.len());
                check.take(&bytes[at..end]);
                at = end;
                if at == bytes.len() {
                    break;
                }
            }
            prop_assert_eq!(check.end(), Ok(()));
        }
    }
}
