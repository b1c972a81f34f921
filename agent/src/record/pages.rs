//! Long lists in the record, piece by piece: what is kept under keys that grow with time.

use etcd_client::{Client, DeleteOptions, GetOptions, KeyValue, SortOrder, SortTarget};
use serde::de::DeserializeOwned;

use super::keys::under;
use super::voters::LIMIT;
use super::{Record, RecordError, decode};

/// Most keys that are looked at to find the last one to remove.
const REMOVE: i64 = 10_000;

impl Record {
    /// Up to `limit` values under `prefix` whose keys come before that of `before`, the greatest key first. A value of a
    /// newer release is left out: a log is read on.
    ///
    /// # Errors
    /// [`RecordError`].
    pub(crate) async fn newest<T: DeserializeOwned>(
        &self,
        prefix: &str,
        before: Option<&str>,
        limit: usize,
    ) -> Result<Vec<T>, RecordError> {
        let end = before.map_or_else(|| prefix_end(prefix), |name| under(prefix, name).into_bytes());
        let options = GetOptions::new()
            .with_range(end)
            .with_sort(SortTarget::Key, SortOrder::Descend)
            .with_limit(i64::try_from(limit).unwrap_or(i64::MAX));
        let work = async |client: Client| client.kv_client().get(prefix, Some(options.clone())).await;
        let response = self.voters.ask(&format!("list {prefix}"), LIMIT, work).await?;
        let understood = |kv: &KeyValue| {
            decode(kv).inspect_err(|e| tracing::debug!(error = %e, "left out of a list")).ok()
        };
        Ok(response.kvs().iter().filter_map(understood).map(|found| found.value).collect())
    }

    /// How many keys there are under `prefix`.
    ///
    /// # Errors
    /// [`RecordError`].
    pub(crate) async fn count(&self, prefix: &str) -> Result<usize, RecordError> {
        let options = GetOptions::new().with_prefix().with_count_only();
        let work = async |client: Client| client.kv_client().get(prefix, Some(options.clone())).await;
        let response = self.voters.ask(&format!("count {prefix}"), LIMIT, work).await?;
        Ok(usize::try_from(response.count()).unwrap_or_default())
    }

    /// Removes the `count` least keys under `prefix`, or as many of them as are removed at once.
    ///
    /// # Errors
    /// [`RecordError`].
    pub(crate) async fn remove_oldest(&self, prefix: &str, count: usize) -> Result<(), RecordError> {
        let limit = i64::try_from(count).unwrap_or(REMOVE).min(REMOVE);
        let options = GetOptions::new()
            .with_prefix()
            .with_keys_only()
            .with_sort(SortTarget::Key, SortOrder::Ascend)
            .with_limit(limit);
        let work = async |client: Client| client.kv_client().get(prefix, Some(options.clone())).await;
        let response = self.voters.ask(&format!("list {prefix}"), LIMIT, work).await?;
        let Some(last) = response.kvs().last() else { return Ok(()) };
        let end = [last.key(), b"\0"].concat();
        let options = DeleteOptions::new().with_range(end);
        // To remove the same keys twice is to remove them once.
        let work = async |client: Client| client.kv_client().delete(prefix, Some(options.clone())).await;
        self.voters.ask(&format!("trim {prefix}"), LIMIT, work).await.map(drop)
    }
}

/// The first key behind all that begin with `prefix`, which ends with a slash.
fn prefix_end(prefix: &str) -> Vec<u8> {
    let mut end = prefix.as_bytes().to_vec();
    if let Some(last) = end.last_mut() {
        *last = last.saturating_add(1);
    }
    end
}
