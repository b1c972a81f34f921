//! Where chunks are written and read back: verified before they are written, and once more after they were read.

use std::collections::VecDeque;
use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use maekin_image::chunks::ChunkList;

use crate::bitmap::Bitmap;

/// Bytes of chunks kept in memory: neighbours want what came last.
const RECENT: usize = 24 << 20;

/// The bytes of an image on some medium.
pub trait Store: Send + Sync {
    /// Writes `bytes` at `offset`.
    ///
    /// # Errors
    /// The medium's.
    fn write(&self, offset: u64, bytes: &[u8]) -> io::Result<()>;
    /// Reads `len` bytes at `offset`.
    ///
    /// # Errors
    /// The medium's.
    fn read(&self, offset: u64, len: usize) -> io::Result<Vec<u8>>;
}

impl Store for File {
    fn write(&self, offset: u64, bytes: &[u8]) -> io::Result<()> {
        self.write_all_at(bytes, offset)
    }

    fn read(&self, offset: u64, len: usize) -> io::Result<Vec<u8>> {
        let mut bytes = vec![0; len];
        self.read_exact_at(&mut bytes, offset)?;
        Ok(bytes)
    }
}

impl<S: Store + ?Sized> Store for Arc<S> {
    fn write(&self, offset: u64, bytes: &[u8]) -> io::Result<()> {
        (**self).write(offset, bytes)
    }

    fn read(&self, offset: u64, len: usize) -> io::Result<Vec<u8>> {
        (**self).read(offset, len)
    }
}

/// An image of which some chunks are there.
pub struct Image {
    list: ChunkList,
    digest: String,
    store: Box<dyn Store>,
    state: Mutex<State>,
    news: Condvar,
}

struct State {
    have: Bitmap,
    recent: VecDeque<(usize, Arc<Vec<u8>>)>,
}

impl Image {
    /// The image of `digest` (SHA-256, hex) with the chunks of `list`; nothing of it is in `store` yet.
    #[must_use]
    pub fn new(list: ChunkList, digest: &str, store: Box<dyn Store>) -> Self {
        let have = Bitmap::new(list.count());
        let state = Mutex::new(State { have, recent: VecDeque::new() });
        Self { list, digest: digest.to_owned(), store, state, news: Condvar::new() }
    }

    /// Its chunks.
    #[must_use]
    pub fn list(&self) -> &ChunkList {
        &self.list
    }

    /// Its digest, hex.
    #[must_use]
    pub fn digest(&self) -> &str {
        &self.digest
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What is there.
    #[must_use]
    pub fn have(&self) -> Bitmap {
        self.state().have.clone()
    }

    /// Takes chunk `index`, when `bytes` are that; whether they were.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn put(&self, index: usize, bytes: Vec<u8>) -> io::Result<bool> {
        if !self.list.holds(index, &bytes) {
            return Ok(false);
        }
        let Some((offset, _)) = self.list.place(index) else { return Ok(false) };
        if self.state().have.has(index) {
            return Ok(true);
        }
        self.store.write(offset, &bytes)?;
        let mut state = self.state();
        state.have.set(index);
        state.recent.push_back((index, Arc::new(bytes)));
        while state.recent.len() * self.list.chunk() as usize > RECENT {
            state.recent.pop_front();
        }
        drop(state);
        self.news.notify_all();
        Ok(true)
    }

    /// Chunk `index`, verified; `None` where it is not there (any more).
    #[must_use]
    pub fn get(&self, index: usize) -> Option<Arc<Vec<u8>>> {
        {
            let state = self.state();
            if !state.have.has(index) {
                return None;
            }
            if let Some((_, bytes)) = state.recent.iter().find(|(i, _)| *i == index) {
                return Some(bytes.clone());
            }
        }
        let (offset, len) = self.list.place(index)?;
        match self.store.read(offset, len) {
            // A drive may forget. Whether this installation can be relied on is decided when it is read back.
            Ok(bytes) if self.list.holds(index, &bytes) => Some(Arc::new(bytes)),
            Ok(_) => {
                tracing::warn!(index, "a chunk is not what was written; it is not passed on");
                self.state().have.clear(index);
                None
            }
            Err(e) => {
                tracing::debug!(index, "a chunk cannot be passed on: {e}");
                None
            }
        }
    }

    /// Waits until there are more than `count` chunks, or `limit` is over.
    pub fn wait_for_more(&self, count: usize, limit: Duration) {
        let waiting = |state: &mut State| state.have.count() <= count;
        drop(self.news.wait_timeout_while(self.state(), limit, waiting));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn image(bytes: &[u8]) -> (Image, tempfile::TempDir) {
        let list = ChunkList::of(bytes, 4096).unwrap();
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("image");
        let file = File::options().read(true).write(true).create_new(true).open(path).unwrap();
        (Image::new(list, "d", Box::new(file)), dir)
    }

    #[test]
    fn rack_only_what_was_promised_is_taken_and_given() {
        let bytes: Vec<u8> = (0..9000_u32).map(|i| i.to_le_bytes()[1]).collect();
        let (image, dir) = image(&bytes);
        assert!(!image.put(0, bytes[1..4097].to_vec()).unwrap(), "another content");
        assert!(!image.put(1, bytes[..4096].to_vec()).unwrap(), "another place");
        assert!(!image.put(9, Vec::new()).unwrap(), "beyond the end");
        assert!(image.get(0).is_none());
        assert!(image.put(2, bytes[8192..].to_vec()).unwrap());
        assert_eq!(image.get(2).unwrap()[..], bytes[8192..]);
        // What a drive gives back is held against the list once it is not in memory any more.
        image.state().recent.clear();
        assert_eq!(image.get(2).unwrap()[..], bytes[8192..]);
        let file = File::options().write(true).open(dir.path().join("image")).unwrap();
        file.write_all_at(b"x", 8200).unwrap();
        assert!(image.get(2).is_none());
        assert!(image.have().is_empty(), "and it does not claim to have it any longer");
    }
}
