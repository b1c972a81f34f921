//! Word of every change in the record, in order.

use etcd_client::{EventType, WatchOptions, WatchStream};

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

/// An open watch.
pub(crate) struct Watch(WatchStream);

impl Record {
    /// Every change of keys under `prefix` from revision `from` on.
    ///
    /// # Errors
    /// [`RecordError`].
    pub(crate) async fn watch(&self, prefix: &str, from: i64) -> Result<Watch, RecordError> {
        let options = WatchOptions::new().with_prefix().with_start_revision(from);
        let work = async |client: Client| {
            let mut watch = client.watch_client().max_decoding_message_size(super::ANSWER);
            watch.watch(prefix, Some(options.clone())).await
        };
        self.voters.ask(&format!("watch {prefix}"), LIMIT, work).await.map(Watch)
    }
}

impl Watch {
    /// What is heard next; `None` where nothing more will be: the voter is gone, or the way to it.
    pub(crate) async fn next(&mut self) -> Option<Heard> {
        loop {
            let response = match self.0.message().await {
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
            let touched = response.events().iter().filter_map(|event| {
                let kv = event.kv()?;
                Some(Touched {
                    key: String::from_utf8_lossy(kv.key()).into_owned(),
                    deleted: event.event_type() == EventType::Delete,
                    revision: kv.mod_revision(),
                })
            });
            let touched: Vec<_> = touched.collect();
            if !touched.is_empty() {
                return Some(Heard::Changes(touched));
            }
        }
    }
}
