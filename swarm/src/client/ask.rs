//! Asking the master and neighbours, and what their answers come to.

use std::time::Duration;

use super::{FetchError, MASTER_WRONG, Shared, http};
use crate::bitmap::Bitmap;
use crate::picker::{Outcome, Where};

impl Shared {
    pub(super) fn learn(&self, place: &Where, have: Option<&str>) {
        if let Some(have) = have.and_then(|text| Bitmap::parse(text, self.image.list().count())) {
            self.picker().learn(place, have);
        }
    }

    pub(super) fn master_failed(&self, e: &http::HttpError) -> Outcome {
        tracing::debug!("the install master: {e}");
        self.http.another_master();
        Outcome::Failed
    }

    pub(super) fn ask_master(&self, id: u64, limit: Duration) -> Outcome {
        let report = self.picker().report(self.now());
        let (index, body) = match self.http.master_chunk(&report, limit) {
            Ok(http::Granted::Chunk(index, body)) => (index, body),
            Ok(http::Granted::Later(ms)) => return Outcome::Busy(ms),
            Ok(http::Granted::Nothing) => return Outcome::NotHere,
            Err(e) => return self.master_failed(&e),
        };
        let Some((_, len)) = self.image.list().place(index) else { return Outcome::Failed };
        self.picker().master_sends(id, index);
        let bytes = match body.read(len) {
            Ok(bytes) => bytes,
            Err(e) => return self.master_failed(&e),
        };
        match self.image.put(index, bytes) {
            Ok(true) => Outcome::Got(index),
            Ok(false) => {
                let master = self.http.master();
                tracing::warn!(%master, index, "the install master sent a chunk that is not the release's");
                if self.http.master_was_wrong() >= MASTER_WRONG {
                    self.fail(FetchError::Damaged(master));
                }
                Outcome::Failed
            }
            Err(e) => self.cannot_write(e),
        }
    }

    pub(super) fn ask_neighbour(&self, place: &Where, index: usize, limit: Duration) -> Outcome {
        let Some((from, len)) = self.image.list().place(index) else { return Outcome::Failed };
        let have = self.picker().have().hex();
        let answer = match self.http.neighbour_chunk(place, index, (from, len), &have, limit) {
            Ok(answer) => answer,
            Err(_) => return Outcome::Failed,
        };
        self.learn(place, answer.have.as_deref());
        match answer.bytes {
            http::Body::Bytes(bytes) => match self.image.put(index, bytes) {
                Ok(true) => Outcome::Got(index),
                Ok(false) => {
                    tracing::warn!(
                        ?place,
                        index,
                        "sent something else than the chunk; it is not asked again"
                    );
                    Outcome::Lied
                }
                Err(e) => self.cannot_write(e),
            },
            http::Body::NotHere => Outcome::NotHere,
            http::Body::Busy => Outcome::Busy(25),
        }
    }

    fn cannot_write(&self, e: std::io::Error) -> Outcome {
        self.fail(FetchError::Store(e));
        Outcome::Failed
    }
}
