//! Lists in which values may be of a newer release: who reads them has to know that there is something he does not know.

use etcd_client::{GetOptions, KeyValue};
use serde::de::DeserializeOwned;

use super::voters::{Client, LIMIT};
use super::{Record, RecordError, decode, kv};

/// An entry of such a list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Keyed<T> {
    /// The last part of its key.
    pub(crate) name: String,
    /// etcd's `mod_revision`.
    pub(crate) revision: i64,
    /// `None`: this release does not understand it.
    pub(crate) value: Option<T>,
}

impl Record {
    /// Reads all values under `prefix`, by key.
    ///
    /// # Errors
    /// [`RecordError`], but not for a value that is not understood.
    pub(crate) async fn list_keyed_known<T: DeserializeOwned>(
        &self,
        prefix: &str,
    ) -> Result<Vec<Keyed<T>>, RecordError> {
        let read = |found: &KeyValue| match decode(found) {
            Ok(found) => Some(found.value),
            Err(e) => {
                tracing::debug!(error = %e, "a value of the record is not understood");
                None
            }
        };
        self.keyed(prefix, GetOptions::new().with_prefix(), read).await
    }

    /// When each of them was changed last: a small question about values that are large.
    ///
    /// # Errors
    /// [`RecordError`].
    pub(crate) async fn revisions(&self, prefix: &str) -> Result<Vec<(String, i64)>, RecordError> {
        let options = GetOptions::new().with_prefix().with_keys_only();
        let found = self.keyed(prefix, options, |_| None::<()>).await?;
        Ok(found.into_iter().map(|found| (found.name, found.revision)).collect())
    }

    async fn keyed<T>(
        &self,
        prefix: &str,
        options: GetOptions,
        read: impl Fn(&KeyValue) -> Option<T>,
    ) -> Result<Vec<Keyed<T>>, RecordError> {
        let work = async |client: Client| kv(&client).get(prefix, Some(options.clone())).await;
        let response = self.voters.ask(&format!("list {prefix}"), LIMIT, work).await?;
        let name =
            |found: &KeyValue| String::from_utf8_lossy(found.key()).trim_start_matches(prefix).to_owned();
        let keyed = |found: &KeyValue| Keyed {
            name: name(found),
            revision: found.mod_revision(),
            value: read(found),
        };
        Ok(response.kvs().iter().map(keyed).collect())
    }
}
