//! Long lists in the record, piece by piece: what is kept under keys that grow with time.

use etcd_client::{DeleteOptions, GetOptions, SortOrder, SortTarget};
use serde::de::DeserializeOwned;

use super::keys::under;
use super::voters::{Client, LIMIT};
use super::{Record, RecordError, decode, kv};

/// Most keys that are looked at to find the last one to remove.
const REMOVE: i64 = 10_000;
/// Values that are read at once.
const PAGE: usize = 100;

/// The order of keys in which values are read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Order {
    Up,
    Down,
}

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
        let mut found = Vec::new();
        if limit == 0 {
            return Ok(found);
        }
        let visit = |value| {
            found.push(value);
            found.len() < limit
        };
        self.walk(prefix, before, Order::Down, limit.min(PAGE), visit).await?;
        Ok(found)
    }

    /// Shows `visit` the values under `prefix` whose keys come before that of `before`, the greatest key first, until it
    /// says that it has seen enough by `false`. A value of a newer release is left out.
    ///
    /// # Errors
    /// [`RecordError`].
    pub(crate) async fn each_newest<T: DeserializeOwned>(
        &self,
        prefix: &str,
        before: Option<&str>,
        visit: impl FnMut(T) -> bool,
    ) -> Result<(), RecordError> {
        self.each_newest_by(prefix, before, PAGE, visit).await
    }

    /// The same. The first answer has `first` values at most, each one after it twice as many, up to a number: for values
    /// of which a few may be enough.
    ///
    /// # Errors
    /// [`RecordError`].
    pub(crate) async fn each_newest_by<T: DeserializeOwned>(
        &self,
        prefix: &str,
        before: Option<&str>,
        first: usize,
        visit: impl FnMut(T) -> bool,
    ) -> Result<(), RecordError> {
        self.walk(prefix, before, Order::Down, first.clamp(1, PAGE), visit).await
    }

    /// Shows `visit` every value under `prefix`, the least key first. A value of a newer release is left out.
    ///
    /// # Errors
    /// [`RecordError`].
    pub(crate) async fn each<T: DeserializeOwned>(
        &self,
        prefix: &str,
        mut visit: impl FnMut(T),
    ) -> Result<(), RecordError> {
        let visit = |value| {
            visit(value);
            true
        };
        self.walk(prefix, None, Order::Up, PAGE, visit).await
    }

    /// Reads `page` values, and then twice as many each time, up to [`PAGE`]: however many there are, no answer is larger
    /// than that many.
    async fn walk<T: DeserializeOwned>(
        &self,
        prefix: &str,
        before: Option<&str>,
        order: Order,
        mut page: usize,
        mut visit: impl FnMut(T) -> bool,
    ) -> Result<(), RecordError> {
        let mut from = prefix.as_bytes().to_vec();
        let mut end = before.map_or_else(|| prefix_end(prefix), |name| under(prefix, name).into_bytes());
        let sort = if order == Order::Up { SortOrder::Ascend } else { SortOrder::Descend };
        loop {
            let options = GetOptions::new()
                .with_range(end.clone())
                .with_sort(SortTarget::Key, sort)
                .with_limit(i64::try_from(page).unwrap_or(i64::MAX));
            let first = &from;
            let work = async |client: Client| kv(&client).get(first.clone(), Some(options.clone())).await;
            let response = self.voters.ask(&format!("list {prefix}"), LIMIT, work).await?;
            for found in response.kvs() {
                match decode(found) {
                    Ok(found) => {
                        if !visit(found.value) {
                            return Ok(());
                        }
                    }
                    Err(e) => tracing::debug!(error = %e, "left out of a list"),
                }
            }
            let Some(last) = response.kvs().last().filter(|_| response.more()) else { return Ok(()) };
            page = page.saturating_mul(2).min(PAGE);
            match order {
                Order::Up => from = [last.key(), b"\0"].concat(),
                Order::Down => end = last.key().to_vec(),
            }
        }
    }

    /// How many keys there are under `prefix`.
    ///
    /// # Errors
    /// [`RecordError`].
    pub(crate) async fn count(&self, prefix: &str) -> Result<usize, RecordError> {
        let options = GetOptions::new().with_prefix().with_count_only();
        let work = async |client: Client| kv(&client).get(prefix, Some(options.clone())).await;
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
        let work = async |client: Client| kv(&client).get(prefix, Some(options.clone())).await;
        let response = self.voters.ask(&format!("list {prefix}"), LIMIT, work).await?;
        let Some(last) = response.kvs().last() else { return Ok(()) };
        self.remove_to_key(prefix, last.key()).await
    }

    /// Removes what lies under `prefix` up to the name `last`, that included.
    ///
    /// # Errors
    /// [`RecordError`].
    pub(crate) async fn remove_to(&self, prefix: &str, last: &str) -> Result<(), RecordError> {
        self.remove_to_key(prefix, under(prefix, last).as_bytes()).await
    }

    async fn remove_to_key(&self, prefix: &str, last: &[u8]) -> Result<(), RecordError> {
        let end = [last, b"\0"].concat();
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
