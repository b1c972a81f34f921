//! Word of every change in the record, in order.

use etcd_client::{Event, EventType, KeyValue, WatchOptions, WatchStream};

use super::voters::{Client, LIMIT};
use super::{Record, RecordError};

/// A value was written or removed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Touched {
    /// Its key.
    pub(crate) key: String,
    /// Whether it was removed.
    pub(crate) deleted: bool,
    /// At which revision.
    pub(crate) revision: i64,
}

/// What a watch hears.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Heard {
    /// Changes in order, all of a revision together.
    Changes(Vec<Touched>),
    /// The changes that were asked for are not known any more.
    Forgotten,
}

/// The keys of the things that lie together in the value at a key, as if each had its own; `None` where it is one thing.
pub(crate) type Apart = fn(&str, &[u8]) -> Option<Vec<String>>;

/// An open watch.
pub(crate) struct Watch {
    stream: WatchStream,
    apart: Option<Apart>,
}

impl Record {
    /// Every change of keys under `prefix` from revision `from` on.
    ///
    /// # Errors
    /// [`RecordError`].
    pub(crate) async fn watch(&self, prefix: &str, from: i64) -> Result<Watch, RecordError> {
        self.open(prefix, WatchOptions::new().with_start_revision(from), None).await
    }

    /// The same, and things that lie together are told one by one. A value that was written once more as it was is not
    /// told of again.
    ///
    /// # Errors
    /// [`RecordError`].
    pub(crate) async fn watch_apart(
        &self,
        prefix: &str,
        from: i64,
        apart: Apart,
    ) -> Result<Watch, RecordError> {
        // What is removed is known by what it was.
        let options = WatchOptions::new().with_start_revision(from).with_prev_key();
        self.open(prefix, options, Some(apart)).await
    }

    async fn open(
        &self,
        prefix: &str,
        options: WatchOptions,
        apart: Option<Apart>,
    ) -> Result<Watch, RecordError> {
        let options = options.with_prefix();
        let work = async |client: Client| {
            let mut watch = client.watch_client().max_decoding_message_size(super::ANSWER);
            watch.watch(prefix, Some(options.clone())).await
        };
        self.voters.ask(&format!("watch {prefix}"), LIMIT, work).await.map(|stream| Watch { stream, apart })
    }
}

impl Watch {
    /// What is heard next; `None` where nothing more will be: the voter is gone, or the way to it.
    pub(crate) async fn next(&mut self) -> Option<Heard> {
        loop {
            let response = match self.stream.message().await {
                Ok(Some(response)) => response,
                Ok(None) => return None,
                Err(e) => {
                    tracing::debug!(error = %e, "a watch broke off");
                    return None;
                }
            };
            if response.compact_revision() != 0 {
                return Some(Heard::Forgotten);
            }
            if response.canceled() {
                return None;
            }
            let touched: Vec<_> = response.events().iter().flat_map(|event| self.told(event)).collect();
            if !touched.is_empty() {
                return Some(Heard::Changes(touched));
            }
        }
    }

    /// What an event of etcd is about.
    fn told(&self, event: &Event) -> Vec<Touched> {
        let Some(kv) = event.kv() else { return Vec::new() };
        let (key, revision) = (String::from_utf8_lossy(kv.key()).into_owned(), kv.mod_revision());
        let deleted = event.event_type() == EventType::Delete;
        let before = event.prev_kv().map(KeyValue::value);
        let value = if deleted { before } else { Some(kv.value()) };
        let apart = self.apart.zip(value).and_then(|(apart, value)| apart(&key, value));
        let keys = match apart {
            Some(_) if !deleted && before == Some(kv.value()) => Vec::new(),
            Some(keys) => keys,
            None => vec![key],
        };
        keys.into_iter().map(|key| Touched { key, deleted, revision }).collect()
    }
}
