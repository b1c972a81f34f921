//! The system image together with the machines that install at the same time: chunks from the install master and from
//! neighbours, each held against the signed release before it is written; and what is written given to neighbours for
//! as long as the installer runs.

use std::sync::{Arc, Mutex, PoisonError};

use anyhow::{Context, Result, bail};
use maekin_image::chunks::{ChunkList, ROOT_CHUNKS};
use maekin_image::manifest::{FileEntry, ROOT};
use maekin_swarm::client::{FetchError, Options, Seeder, address_towards, fetch};
use maekin_swarm::store::{Image, Store};

use super::Release;

/// The machines that install at the same time, behind one install master or several.
#[derive(Clone)]
pub struct Rack {
    masters: Vec<String>,
    /// What keeps on giving to neighbours.
    seeder: Arc<Mutex<Option<Seeder>>>,
}

impl std::fmt::Debug for Rack {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Rack({:?})", self.masters)
    }
}

impl Rack {
    /// Of these masters, `http://address:port`. Nothing is sent yet.
    #[must_use]
    pub fn new(masters: Vec<String>) -> Self {
        Self { masters, seeder: Arc::default() }
    }

    /// Fetches the image of `list` into `store`; `moved` is told the bytes that are there. Says where they came from.
    ///
    /// # Errors
    /// [`FetchError`]: all but [`FetchError::Store`] leave the image to be had as a whole.
    pub fn fetch(
        &self,
        list: ChunkList,
        entry: &FileEntry,
        store: Box<dyn Store>,
        moved: &mut dyn FnMut(u64),
    ) -> Result<Vec<String>, FetchError> {
        let image = Arc::new(Image::new(list, &entry.sha256, store));
        let towards = self.masters.first().and_then(|master| address_towards(master).ok());
        let mut seed = [0; 8];
        if getrandom::fill(&mut seed).is_err() {
            tracing::debug!("choices are made as by every other machine without randomness");
        }
        let options = Options::new(self.masters.clone(), towards, u64::from_le_bytes(seed));
        let seeder = fetch(&image, &options, moved)?;
        let mut notes: Vec<String> = seeder
            .liars
            .iter()
            .map(|liar| format!("{liar} sent something else than the system image; nothing of it was used"))
            .collect();
        let tally = seeder.tally;
        if tally.neighbours > 0 {
            let (all, master) = (tally.master + tally.neighbours, tally.master);
            notes.push(format!(
                "of {all} pieces {master} came from the install master, the others from neighbours"
            ));
        }
        *self.seeder.lock().unwrap_or_else(PoisonError::into_inner) = Some(seeder);
        Ok(notes)
    }
}

/// The chunk list of the system image; `None` where the release has none.
///
/// # Errors
/// When it cannot be read, is not the manifest's, or is not of the image that `entry` promises.
pub fn chunk_list(release: &Release, source: &str, entry: &FileEntry) -> Result<Option<ChunkList>> {
    let Some(listed) = release.manifest.file(ROOT_CHUNKS).filter(|_| source == ROOT) else { return Ok(None) };
    let text = release.read(ROOT_CHUNKS, listed)?;
    let text = std::str::from_utf8(&text).context("the chunk list is no text")?;
    let list = ChunkList::parse(text)?;
    if list.size() != entry.size {
        bail!("the chunk list is of an image of {} bytes, and the system's has {}", list.size(), entry.size);
    }
    Ok(Some(list))
}
