//! The cluster's record: what its members agree on, kept in etcd. Typed values, JSON with a version, under
//! `/maekin/v1/`; every change that depends on what was read is a compare-and-swap.
//!
//! | module | job |
//! | --- | --- |
//! | [`backup`] | copies of it on every member |
//! | [`both`] | two values in one question |
//! | [`care`] | how it is as a store: told, and looked after |
//! | [`housekeeping`] | compaction, defragmentation, room |
//! | [`keys`] | where things lie |
//! | [`known`] | lists in which values may be of a newer release |
//! | [`snapshot`] | what etcd tells of itself as a store |
//! | [`upward`] | values through releases |
//! | [`values`] | what lies there |
//! | [`alive`] | this node's sign of life |
//! | [`look`] | all that a member follows, in two questions |
//! | [`news`] | what of its state people watch |
//! | [`pages`] | long lists, piece by piece |
//! | [`replace`] | a value replaced, in one question where it is known |
//! | [`voters`] | who is asked, and who votes |
//! | [`watch`] | word of every change |

pub(crate) mod alive;
pub(crate) mod backup;
mod both;
pub(crate) mod care;
pub(crate) mod housekeeping;
pub(crate) mod keys;
mod known;
pub(crate) mod look;
pub(crate) mod news;
mod pages;
mod replace;
pub(crate) mod snapshot;
mod upward;
pub(crate) mod values;
pub(crate) mod voters;
pub(crate) mod watch;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use etcd_client::{
    Certificate, Compare, CompareOp, ConnectOptions, GetOptions, Identity, KeyValue, KvClient, PutOptions,
    TlsOptions, Txn, TxnOp,
};
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::pki::SERVER_NAME;
use crate::pki::identity::{Credentials, NodeKey};
use voters::{Client, LIMIT, Voters};

/// How long a connection to a voter may take to be made, and how long one that is idle may be silent.
const CONNECT: Duration = Duration::from_secs(2);

/// Largest answer that is taken, bytes. etcd bounds a value and not a list of them, and 4 MiB, which the client takes where
/// it is not told, are some hundred machines or tasks.
const ANSWER: usize = 64 << 20;

/// Who is asked for values that may be many.
fn kv(client: &Client) -> KvClient {
    client.kv_client().max_decoding_message_size(ANSWER)
}

/// The record could not be used.
#[derive(Debug, thiserror::Error)]
pub(crate) enum RecordError {
    /// It gave no answer.
    #[error(
        "the cluster's record cannot be reached ({why}); are its voters ({voters}) up and on this network? where it was put back on another node: `maekin-agent record find`"
    )]
    Unreachable {
        /// Where it was asked.
        voters: String,
        /// What happened instead of an answer.
        why: String,
    },
    /// It answered with an error.
    #[error("the cluster's record refused: {message}")]
    Refused {
        /// What was asked.
        message: String,
        /// The error.
        #[source]
        source: Box<etcd_client::Error>,
    },
    /// A value is not what it should be.
    #[error("the record's value {key} cannot be understood")]
    Value {
        /// Its key.
        key: String,
        /// Why.
        #[source]
        source: serde_json::Error,
    },
    /// A value is not the one that was meant any more.
    #[error("it was changed meanwhile, and is at r{now} now; read it again, and change that")]
    Changed {
        /// Its revision now; 0 where it is gone.
        now: i64,
    },
    /// A value is newer than this program.
    #[error(
        "the record's value {key} has version {version}, and this release knows {known}; upgrade this node: another member runs a newer release"
    )]
    Newer {
        /// Its key.
        key: String,
        /// Its version.
        version: u32,
        /// The version that we know.
        known: u32,
    },
}

/// A value with the revision of its last change.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Versioned<T> {
    /// The value.
    pub(crate) value: T,
    /// etcd's `mod_revision`, for [`Change::if_unchanged`].
    pub(crate) revision: i64,
    /// etcd's `create_revision`, for [`Change::if_created_at`].
    pub(crate) created: i64,
    /// The lease that it vanishes with; 0 for none.
    pub(crate) lease: i64,
}

/// Which version of a value is to be changed.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) enum Expected {
    /// Whatever is there, or nothing.
    #[default]
    Whatever,
    /// Whatever is there.
    Existing,
    /// The one of one of these revisions.
    Revisions(Vec<i64>),
}

impl Expected {
    /// Whether a value of `revision` (0: none) is meant. What is written then must be bound to that revision.
    ///
    /// # Errors
    /// [`RecordError::Changed`].
    pub(crate) fn check(&self, revision: i64) -> Result<(), RecordError> {
        let holds = match self {
            Self::Whatever => true,
            Self::Existing => revision != 0,
            Self::Revisions(wanted) => revision != 0 && wanted.contains(&revision),
        };
        if holds { Ok(()) } else { Err(RecordError::Changed { now: revision }) }
    }
}

/// Several writes that happen together or not at all.
#[derive(Debug, Default)]
pub(crate) struct Change {
    compares: Vec<Compare>,
    unchanged: BTreeMap<String, i64>,
    ops: Vec<Write>,
}

#[derive(Debug)]
enum Write {
    Put { key: String, value: Vec<u8>, lease: i64 },
    Delete(String),
}

impl Change {
    /// Only if `key` was last changed at `revision` (0: only if it does not exist).
    #[must_use]
    pub(crate) fn if_unchanged(mut self, key: &str, revision: i64) -> Self {
        self.compares.push(Compare::mod_revision(key, CompareOp::Equal, revision));
        self.unchanged.insert(key.to_owned(), revision);
        self
    }

    /// Only if `key` is the one that was made at `revision`, whatever was written to it since.
    #[must_use]
    pub(crate) fn if_created_at(mut self, key: &str, revision: i64) -> Self {
        self.compares.push(Compare::create_revision(key, CompareOp::Equal, revision));
        self
    }

    /// Only if nothing that begins with `prefix` was made or changed after `revision`; what was removed is not seen.
    #[must_use]
    pub(crate) fn if_none_changed_since(mut self, prefix: &str, revision: i64) -> Self {
        let compare = Compare::mod_revision(prefix, CompareOp::Less, revision.saturating_add(1));
        self.compares.push(compare.with_prefix());
        self
    }

    /// Writes `value` at `key`, to vanish with `lease`.
    ///
    /// # Errors
    /// [`RecordError::Value`].
    pub(crate) fn put_leased<T: Serialize>(
        mut self,
        key: &str,
        value: &T,
        lease: i64,
    ) -> Result<Self, RecordError> {
        self.ops.push(Write::Put { key: key.to_owned(), value: encode(key, value)?, lease });
        Ok(self)
    }

    /// How many writes there are in it; etcd takes 128 at once (`--max-txn-ops`).
    pub(crate) fn len(&self) -> usize {
        self.ops.len()
    }

    /// Writes `value` at `key`.
    ///
    /// # Errors
    /// [`RecordError::Value`].
    pub(crate) fn put<T: Serialize>(mut self, key: &str, value: &T) -> Result<Self, RecordError> {
        self.ops.push(Write::Put { key: key.to_owned(), value: encode(key, value)?, lease: 0 });
        Ok(self)
    }

    /// Removes `key`.
    #[must_use]
    pub(crate) fn delete(mut self, key: &str) -> Self {
        self.ops.push(Write::Delete(key.to_owned()));
        self
    }
}

/// A connection to the record.
#[derive(Clone)]
pub(crate) struct Record {
    voters: Voters,
    /// What newer releases wrote into values that we may change.
    unknown: Arc<upward::Unknown>,
    /// What may still be as it was when we saw it last.
    guesses: Arc<replace::Guesses>,
}

impl Record {
    /// Makes a connection; it is opened at first use, and again whenever it broke.
    ///
    /// # Errors
    /// [`RecordError`] when `endpoints` or the credentials are unusable.
    pub(crate) async fn connect(
        endpoints: &[String],
        key: &NodeKey,
        credentials: &Credentials,
    ) -> Result<Self, RecordError> {
        let voters = Voters::new(endpoints, options(key, credentials)).await?;
        Ok(Self { voters, unknown: Arc::default(), guesses: Arc::default() })
    }

    /// From now on, connections are made with these credentials.
    ///
    /// # Errors
    /// [`RecordError`] when they are unusable.
    pub(crate) async fn set_credentials(
        &self,
        key: &NodeKey,
        credentials: &Credentials,
    ) -> Result<(), RecordError> {
        self.voters.set_options(options(key, credentials)).await
    }

    /// Reads one value.
    ///
    /// # Errors
    /// [`RecordError`].
    pub(crate) async fn get<T: DeserializeOwned + Serialize>(
        &self,
        key: &str,
    ) -> Result<Option<Versioned<T>>, RecordError> {
        let work = async |client: Client| client.kv_client().get(key, None).await;
        let response = self.voters.ask(&format!("read {key}"), LIMIT, work).await?;
        let Some(kv) = response.kvs().first() else { return Ok(None) };
        self.noted(key, kv.value(), decode(kv)?).map(Some)
    }

    /// `found` at `key` in these bytes, of which the fields that this release does not know are remembered.
    fn noted<T: Serialize>(
        &self,
        key: &str,
        bytes: &[u8],
        found: Versioned<T>,
    ) -> Result<Versioned<T>, RecordError> {
        self.unknown.note(key, found.revision, bytes, &encode(key, &found.value)?);
        Ok(found)
    }

    /// Reads all values under `prefix`, by key.
    ///
    /// # Errors
    /// [`RecordError`].
    pub(crate) async fn list<T: DeserializeOwned>(
        &self,
        prefix: &str,
    ) -> Result<Vec<Versioned<T>>, RecordError> {
        let options = GetOptions::new().with_prefix();
        let work = async |client: Client| kv(&client).get(prefix, Some(options.clone())).await;
        let response = self.voters.ask(&format!("list {prefix}"), LIMIT, work).await?;
        response.kvs().iter().map(decode).collect()
    }

    /// The same, without those that this release does not understand: one that a newer release wrote is not for it.
    ///
    /// # Errors
    /// [`RecordError`].
    pub(crate) async fn list_known<T: DeserializeOwned>(
        &self,
        prefix: &str,
    ) -> Result<Vec<Versioned<T>>, RecordError> {
        let options = GetOptions::new().with_prefix();
        let work = async |client: Client| kv(&client).get(prefix, Some(options.clone())).await;
        let response = self.voters.ask(&format!("list {prefix}"), LIMIT, work).await?;
        let known = |kv: &KeyValue| match decode(kv) {
            Ok(found) => Some(found),
            Err(e) => {
                tracing::debug!(error = %e, "left out of a list");
                None
            }
        };
        Ok(response.kvs().iter().filter_map(known).collect())
    }

    /// The same, each with the last part of its key.
    ///
    /// # Errors
    /// [`RecordError`].
    pub(crate) async fn list_keyed<T: DeserializeOwned>(
        &self,
        prefix: &str,
    ) -> Result<Vec<(String, T)>, RecordError> {
        let options = GetOptions::new().with_prefix();
        let work = async |client: Client| kv(&client).get(prefix, Some(options.clone())).await;
        let response = self.voters.ask(&format!("list {prefix}"), LIMIT, work).await?;
        let name = |kv: &KeyValue| String::from_utf8_lossy(kv.key()).trim_start_matches(prefix).to_owned();
        response.kvs().iter().map(|kv| Ok((name(kv), decode(kv)?.value))).collect()
    }

    /// The last parts of all keys under `prefix`.
    ///
    /// # Errors
    /// [`RecordError`].
    pub(crate) async fn names(&self, prefix: &str) -> Result<Vec<String>, RecordError> {
        let options = GetOptions::new().with_prefix().with_keys_only();
        let work = async |client: Client| kv(&client).get(prefix, Some(options.clone())).await;
        let response = self.voters.ask(&format!("list {prefix}"), LIMIT, work).await?;
        let name = |kv: &KeyValue| String::from_utf8_lossy(kv.key()).trim_start_matches(prefix).to_owned();
        Ok(response.kvs().iter().map(name).collect())
    }

    /// Carries out `change`; false when one of its conditions did not hold, and then nothing was written.
    ///
    /// # Errors
    /// [`RecordError`]. It may then have been carried out or not.
    pub(crate) async fn commit(&self, change: Change) -> Result<bool, RecordError> {
        Ok(self.commit_at(change).await?.is_some())
    }

    /// The same; the revision at which it was written, or `None`.
    ///
    /// # Errors
    /// [`RecordError`]. It may then have been carried out or not.
    pub(crate) async fn commit_at(&self, change: Change) -> Result<Option<i64>, RecordError> {
        let Change { compares, unchanged, ops } = change;
        let op = |write| match write {
            Write::Delete(key) => TxnOp::delete(key, None),
            Write::Put { key, value, lease } => {
                let value = match unchanged.get(&key) {
                    Some(revision) => self.unknown.restore(&key, *revision, value),
                    None => value,
                };
                let options = (lease != 0).then(|| PutOptions::new().with_lease(lease));
                TxnOp::put(key, value, options)
            }
        };
        let txn = Txn::new().when(compares).and_then(ops.into_iter().map(op).collect::<Vec<_>>());
        let work = async |client: Client| client.kv_client().txn(txn).await;
        let answer = self.voters.ask_once("commit", work).await?;
        Ok(answer.succeeded().then(|| answer.header().map_or(0, |header| header.revision())))
    }

    /// A lease of `ttl` seconds. One that was granted unheard runs out by itself.
    pub(crate) async fn grant(&self, ttl: i64) -> Result<i64, RecordError> {
        let work = async |client: Client| client.lease_client().grant(ttl, None).await;
        Ok(self.voters.ask("grant a lease", LIMIT, work).await?.id())
    }

    /// Writes `value` at `key`, to vanish with `lease`.
    async fn put_leased<T: Serialize>(&self, key: &str, value: &T, lease: i64) -> Result<(), RecordError> {
        let options = PutOptions::new().with_lease(lease);
        let value = encode(key, value)?;
        let work =
            async |client: Client| client.kv_client().put(key, value.clone(), Some(options.clone())).await;
        self.voters.ask(&format!("write {key}"), LIMIT, work).await.map(drop)
    }

    /// Renews `lease` once; false when it has run out already.
    pub(crate) async fn renew(&self, lease: i64, limit: Duration) -> Result<bool, RecordError> {
        let work = async |client: Client| match client.lease_client().keep_alive(lease).await {
            Ok(_) => Ok(true), // to begin with it is a renewal
            // Either the lease is gone, or the way to it: the client has one word for both.
            Err(e @ etcd_client::Error::LeaseKeepAliveError(_)) => {
                let left = client.lease_client().time_to_live(lease, None).await?.ttl();
                if left > 0 { Err(e) } else { Ok(false) }
            }
            Err(e) => Err(e),
        };
        self.voters.ask("renew a lease", limit, work).await
    }
}

fn options(key: &NodeKey, credentials: &Credentials) -> ConnectOptions {
    let tls = TlsOptions::new()
        .ca_certificate(Certificate::from_pem(&credentials.ca))
        .identity(Identity::from_pem(&credentials.cert, key.private_pem()))
        .domain_name(SERVER_NAME);
    ConnectOptions::new()
        .with_tls(tls)
        .with_connect_timeout(CONNECT)
        .with_keep_alive(Duration::from_secs(5), CONNECT)
        .with_keep_alive_while_idle(true)
}

#[derive(serde::Serialize, serde::Deserialize)]
struct Stored<T> {
    v: u32,
    #[serde(flatten)]
    value: T,
}

/// What is written as the value at `key`.
///
/// # Errors
/// [`RecordError::Value`].
pub(crate) fn encode<T: Serialize>(key: &str, value: &T) -> Result<Vec<u8>, RecordError> {
    serde_json::to_vec(&Stored { v: upward::version(key), value })
        .map_err(|source| RecordError::Value { key: key.to_owned(), source })
}

fn decode<T: DeserializeOwned>(kv: &KeyValue) -> Result<Versioned<T>, RecordError> {
    decode_value(&String::from_utf8_lossy(kv.key()), kv.value()).map(|value| Versioned {
        value,
        revision: kv.mod_revision(),
        created: kv.create_revision(),
        lease: kv.lease(),
    })
}

/// What the value at `key` is, in these bytes.
///
/// # Errors
/// [`RecordError::Value`], [`RecordError::Newer`].
pub(crate) fn decode_value<T: DeserializeOwned>(key: &str, bytes: &[u8]) -> Result<T, RecordError> {
    #[derive(serde::Deserialize)]
    struct Head {
        v: u32,
    }
    let wrong = |source| RecordError::Value { key: key.to_owned(), source };
    let head: Head = serde_json::from_slice(bytes).map_err(wrong)?;
    let known = upward::version(key);
    if head.v > known {
        return Err(RecordError::Newer { key: key.to_owned(), version: head.v, known });
    }
    if head.v < known {
        let mut value = serde_json::from_slice(bytes).map_err(wrong)?;
        upward::lift(key, head.v, &mut value);
        return serde_json::from_value(value.into()).map_err(wrong);
    }
    serde_json::from_slice::<Stored<T>>(bytes).map(|stored| stored.value).map_err(wrong)
}

#[cfg(test)]
mod tests;
