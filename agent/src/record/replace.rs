//! A value replaced by what is made of it. What this node read or wrote last is taken for what is there: where it is, the
//! change is one question; where it is not, the answer says what is, and the change is made of that. A guess never
//! decides anything but that: what cannot be made of it is tried with what is there before anybody is told no.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

use etcd_client::{Compare, CompareOp, Txn, TxnOp, TxnOpResponse};
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::both::{first, looks};
use super::voters::Client;
use super::{Record, RecordError, Versioned, decode, decode_value, encode};

/// How often others may have been faster.
const TRIES: usize = 8;
/// Most values that are remembered, and most bytes of each.
const REMEMBERED: usize = 256;
const LONGEST: usize = 16 << 10;

/// A value as it lies there.
#[derive(Debug, Clone)]
struct Raw {
    bytes: Vec<u8>,
    revision: i64,
    created: i64,
    lease: i64,
}

/// Values as this node read or wrote them last.
#[derive(Debug, Default)]
pub(super) struct Guesses {
    by_key: Mutex<BTreeMap<String, Raw>>,
}

impl Guesses {
    fn of(&self, key: &str) -> Option<Raw> {
        self.by_key.lock().unwrap_or_else(PoisonError::into_inner).get(key).cloned()
    }

    fn note(&self, key: &str, raw: Option<&Raw>) {
        let mut by_key = self.by_key.lock().unwrap_or_else(PoisonError::into_inner);
        by_key.remove(key);
        let Some(raw) = raw.filter(|raw| raw.bytes.len() <= LONGEST) else { return };
        if by_key.len() >= REMEMBERED {
            by_key.pop_first();
        }
        by_key.insert(key.to_owned(), raw.clone());
    }
}

/// What was found: the value, and the one beside it.
struct Found<B> {
    raw: Option<Raw>,
    beside: Option<B>,
    guessed: bool,
}

impl Record {
    /// Replaces the value at the first of `keys` by what `plan` makes of it (`None`: no value), only while the key of
    /// `bound` is as it was at that revision. Answers the value at the second of `keys` as it was at that moment; `None`
    /// where others were faster all the time.
    ///
    /// `plan` may be asked more than once, each time about another value.
    ///
    /// # Errors
    /// Those of `plan` about what is there; [`RecordError`], and then it was done or not.
    pub(crate) async fn replace<T, B, E>(
        &self,
        keys: [&str; 2],
        bound: Option<(&str, i64)>,
        plan: impl Fn(Option<&Versioned<T>>) -> Result<Option<T>, E>,
    ) -> Result<Option<Option<B>>, E>
    where
        T: DeserializeOwned + Serialize,
        B: DeserializeOwned,
        E: From<RecordError>,
    {
        let key = keys[0];
        let mut found = match self.guesses.of(key) {
            Some(raw) => Found { raw: Some(raw), beside: None, guessed: true },
            None => self.found(keys).await?,
        };
        for _ in 0..TRIES {
            let planned =
                self.old(key, found.raw.as_ref()).map_err(E::from).and_then(|old| plan(old.as_ref()));
            let new = match planned {
                Ok(new) => new,
                Err(_) if found.guessed => {
                    found = self.found(keys).await?;
                    continue;
                }
                Err(e) => return Err(e),
            };
            if new.is_none() && found.raw.is_none() {
                return Ok(Some(found.beside));
            }
            match self.try_replace(keys, bound, found.raw.as_ref(), new.as_ref()).await? {
                Ok(beside) => return Ok(Some(beside)),
                Err(is) => found = is,
            }
        }
        Ok(None)
    }

    /// Writes `new` in place of `old`; or what is there instead.
    async fn try_replace<T: Serialize, B: DeserializeOwned>(
        &self,
        keys @ [key, beside]: [&str; 2],
        bound: Option<(&str, i64)>,
        old: Option<&Raw>,
        new: Option<&T>,
    ) -> Result<Result<Option<B>, Found<B>>, RecordError> {
        let revision = old.map_or(0, |old| old.revision);
        let unchanged = |(key, revision)| Compare::mod_revision(key, CompareOp::Equal, revision);
        let compares: Vec<Compare> = [(key, revision)].into_iter().chain(bound).map(unchanged).collect();
        let bytes = match new {
            Some(new) => Some(self.unknown.restore(key, revision, encode(key, new)?)),
            None => None,
        };
        let write = match &bytes {
            Some(bytes) => TxnOp::put(key, bytes.clone(), None),
            None => TxnOp::delete(key, None),
        };
        let txn = Txn::new().when(compares).and_then([write, TxnOp::get(beside, None)]).or_else(looks(keys));
        let work = async |client: Client| super::kv(&client).txn(txn).await;
        let answer = self.voters.ask_once(&format!("write {key}"), work).await?;
        if !answer.succeeded() {
            return Ok(Err(self.took(key, &answer.op_responses())?));
        }
        let now = answer.header().map_or(0, |header| header.revision());
        let created = old.map_or(now, |old| old.created);
        let raw = bytes.filter(|_| now != 0).map(|bytes| Raw { bytes, revision: now, created, lease: 0 });
        self.guesses.note(key, raw.as_ref());
        Ok(Ok(value(answer.op_responses().get(1))?))
    }

    /// Reads both.
    async fn found<B: DeserializeOwned>(&self, keys: [&str; 2]) -> Result<Found<B>, RecordError> {
        self.took(keys[0], &self.read_both(keys).await?)
    }

    fn took<B: DeserializeOwned>(
        &self,
        key: &str,
        answers: &[TxnOpResponse],
    ) -> Result<Found<B>, RecordError> {
        let raw = first(answers.first()).map(|kv| Raw {
            bytes: kv.value().to_vec(),
            revision: kv.mod_revision(),
            created: kv.create_revision(),
            lease: kv.lease(),
        });
        self.guesses.note(key, raw.as_ref());
        Ok(Found { raw, beside: value(answers.get(1))?, guessed: false })
    }

    /// The value, of which the fields that this release does not know are remembered.
    fn old<T: DeserializeOwned + Serialize>(
        &self,
        key: &str,
        raw: Option<&Raw>,
    ) -> Result<Option<Versioned<T>>, RecordError> {
        let Some(raw) = raw else { return Ok(None) };
        let value = decode_value(key, &raw.bytes)?;
        let found = Versioned { value, revision: raw.revision, created: raw.created, lease: raw.lease };
        self.noted(key, &raw.bytes, found).map(Some)
    }
}

fn value<B: DeserializeOwned>(part: Option<&TxnOpResponse>) -> Result<Option<B>, RecordError> {
    Ok(first(part).map(decode).transpose()?.map(|found| found.value))
}
