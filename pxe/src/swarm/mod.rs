//! The master's part in giving the root image to a rack at once: it keeps track of who is there, and sends each chunk
//! about once (see `maekin-swarm`). At most [`maekin_swarm::tracker::Limits::sending`] chunks are on their way at a
//! time, whatever machines ask for; who finds no neighbour may always fetch the release as a whole.
//!
//! What is kept of strangers' words: a bitmap for each of at most 4096 addresses, for as long as they speak.
//!
//! | module | job |
//! | --- | --- |
//! | [`routes`] | `/swarm/...` over HTTP |

pub mod routes;

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::Instant;

use maekin_image::chunks::{ChunkList, LIST_LIMIT, ROOT_CHUNKS};
use maekin_image::manifest::{ROOT, sha256_hex};
use maekin_swarm::tracker::{Limits, Tracker};

use crate::release::Release;

/// What machines that install from us together share.
#[derive(Debug)]
pub struct Swarm {
    list: ChunkList,
    /// Digest of the image, hex.
    image: String,
    /// The file or device that it is in, and where it begins there.
    root: (PathBuf, u64),
    file: OnceLock<File>,
    tracker: Mutex<Tracker>,
    start: Instant,
}

impl Swarm {
    /// Of the root image of `release`; `None` with a warning where its chunk list cannot be used: machines then fetch it
    /// as a whole.
    #[must_use]
    pub fn open(release: &Release) -> Option<Arc<Self>> {
        let served = release.find(ROOT_CHUNKS)?;
        let root = release.find(ROOT)?;
        let read = || -> Result<ChunkList, String> {
            let len = usize::try_from(served.size.min(LIST_LIMIT)).unwrap_or(0);
            let mut text = vec![0; len];
            File::open(&served.path)
                .and_then(|file| file.read_exact_at(&mut text, served.offset))
                .map_err(|e| format!("cannot read {ROOT_CHUNKS} in {}: {e}", served.path.display()))?;
            if sha256_hex(&text) != served.sha256 {
                return Err(format!("{ROOT_CHUNKS} has another digest than in the manifest"));
            }
            let text = String::from_utf8(text).map_err(|_| format!("{ROOT_CHUNKS} is no text"))?;
            let list = ChunkList::parse(&text).map_err(|e| e.to_string())?;
            if list.size() != root.size {
                return Err(format!("{ROOT_CHUNKS} is of an image of another size"));
            }
            Ok(list)
        };
        match read() {
            Ok(list) => {
                let seed = u64::from(std::process::id());
                let tracker = Mutex::new(Tracker::new(list.count(), Limits::default(), seed));
                let (image, root, start) = (root.sha256, (root.path, root.offset), Instant::now());
                let file = OnceLock::new();
                Some(Arc::new(Self { list, image, root, file, tracker, start }))
            }
            Err(e) => {
                tracing::warn!("every machine will fetch the whole image from here: {e}");
                None
            }
        }
    }

    fn tracker(&self) -> MutexGuard<'_, Tracker> {
        self.tracker.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn now(&self) -> u64 {
        u64::try_from(self.start.elapsed().as_millis()).unwrap_or(u64::MAX)
    }

    /// Reads a chunk; blocks.
    fn read(&self, index: usize) -> io::Result<Vec<u8>> {
        let Some((offset, len)) = self.list.place(index) else { return Err(io::ErrorKind::NotFound.into()) };
        let file = match self.file.get() {
            Some(file) => file,
            None => {
                let opened = File::open(&self.root.0)?;
                self.file.get_or_init(|| opened)
            }
        };
        let mut bytes = vec![0; len];
        file.read_exact_at(&mut bytes, self.root.1 + offset)?;
        Ok(bytes)
    }

    /// Machines known, those of them that lack something, and chunks on their way, in the Prometheus text format.
    #[must_use]
    pub fn gauges(&self) -> String {
        let tracker = self.tracker();
        let (machines, lacking) = tracker.machines();
        let sending = tracker.sending();
        format!(
            "# HELP maekin_pxe_swarm_machines Machines that install together.\n\
             # TYPE maekin_pxe_swarm_machines gauge\n\
             maekin_pxe_swarm_machines{{state=\"fetching\"}} {lacking}\n\
             maekin_pxe_swarm_machines{{state=\"whole\"}} {}\n\
             # HELP maekin_pxe_swarm_sending Chunks on their way to them.\n\
             # TYPE maekin_pxe_swarm_sending gauge\nmaekin_pxe_swarm_sending {sending}\n",
            machines.saturating_sub(lacking)
        )
    }
}
