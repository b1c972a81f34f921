//! Users and tokens that were just read, kept for a moment: a client that asks often costs the record little, and one
//! whose user or token was ended elsewhere is out a moment later.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::record::keys::{self, under};
use crate::record::values::{TokenValue, UserValue};
use crate::record::{Record, RecordError};

/// How long what was read is good for.
const FRESH: Duration = Duration::from_secs(2);
/// Most that are kept of each kind.
const MOST: usize = 512;

type Found<T> = HashMap<String, (Instant, Option<T>)>;

/// What was read.
#[derive(Debug, Default)]
pub(crate) struct Known {
    users: Mutex<Found<UserValue>>,
    tokens: Mutex<Found<TokenValue>>,
}

impl Known {
    /// The user of `name`, which is a name.
    ///
    /// # Errors
    /// [`RecordError`].
    pub(crate) async fn user(&self, record: &Record, name: &str) -> Result<Option<UserValue>, RecordError> {
        look(&self.users, record, keys::USERS, name).await
    }

    /// The token of `id`, which is an id.
    ///
    /// # Errors
    /// [`RecordError`].
    pub(crate) async fn token(&self, record: &Record, id: &str) -> Result<Option<TokenValue>, RecordError> {
        look(&self.tokens, record, keys::TOKENS, id).await
    }

    /// The token of `id` as it was known last, however long ago.
    pub(crate) fn last_token(&self, id: &str) -> Option<TokenValue> {
        lock(&self.tokens).get(id).and_then(|(_, token)| token.clone())
    }

    /// Everything is read anew: something was changed here.
    pub(crate) fn forget(&self) {
        lock(&self.users).clear();
        lock(&self.tokens).clear();
    }
}

fn lock<T>(found: &Mutex<Found<T>>) -> std::sync::MutexGuard<'_, Found<T>> {
    found.lock().unwrap_or_else(PoisonError::into_inner)
}

async fn look<T: Clone + DeserializeOwned + Serialize>(
    found: &Mutex<Found<T>>,
    record: &Record,
    prefix: &str,
    name: &str,
) -> Result<Option<T>, RecordError> {
    let fresh = |(at, value): &(Instant, Option<T>)| (at.elapsed() < FRESH).then(|| value.clone());
    if let Some(value) = lock(found).get(name).and_then(fresh) {
        return Ok(value);
    }
    let asked = Instant::now();
    let value = record.get::<T>(&under(prefix, name)).await?.map(|value| value.value);
    let mut found = lock(found);
    if found.len() >= MOST && !found.contains_key(name) {
        found.clear(); // it fills again at once with those that ask
    }
    found.insert(name.to_owned(), (asked, value.clone()));
    Ok(value)
}
