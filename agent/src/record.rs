//! The cluster's record: what its members agree on, kept in etcd. Typed values, JSON with a version, under
//! `/maekin/v1/`; every change that depends on what was read is a compare-and-swap.
//!
//! | module | job |
//! | --- | --- |
//! | [`keys`] | where things lie |
//! | [`values`] | what lies there |
//! | [`alive`] | this node's sign of life |

pub(crate) mod alive;
pub(crate) mod keys;
pub(crate) mod values;

use std::future::Future;
use std::time::Duration;

use etcd_client::{
    Certificate, Client, Compare, CompareOp, ConnectOptions, GetOptions, Identity, KeyValue, PutOptions,
    TlsOptions, Txn, TxnOp,
};
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::pki::SERVER_NAME;
use crate::pki::identity::{Credentials, NodeKey};

/// How long one question to the record may take.
const LIMIT: Duration = Duration::from_secs(5);
/// gRPC's status code for a server that cannot be reached or has no leader (grpc/status codes, `UNAVAILABLE`).
const UNAVAILABLE: i32 = 14;
/// Version of every value that this release writes.
const VERSION: u32 = 1;

/// The record could not be used.
#[derive(Debug, thiserror::Error)]
pub(crate) enum RecordError {
    /// It gave no answer.
    #[error(
        "the cluster's record cannot be reached ({why}); are its voters ({voters}) up and on this network?"
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
    /// A value is newer than this program.
    #[error(
        "the record's value {key} has version {version}, and this release knows {VERSION}; upgrade this node"
    )]
    Newer {
        /// Its key.
        key: String,
        /// Its version.
        version: u32,
    },
}

/// A value with the revision of its last change.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Versioned<T> {
    /// The value.
    pub(crate) value: T,
    /// etcd's `mod_revision`, for [`Change::if_unchanged`].
    pub(crate) revision: i64,
}

/// Several writes that happen together or not at all.
#[derive(Debug, Default)]
pub(crate) struct Change {
    compares: Vec<Compare>,
    ops: Vec<TxnOp>,
}

impl Change {
    /// Only if `key` was last changed at `revision` (0: only if it does not exist).
    #[must_use]
    pub(crate) fn if_unchanged(mut self, key: &str, revision: i64) -> Self {
        self.compares.push(Compare::mod_revision(key, CompareOp::Equal, revision));
        self
    }

    /// Writes `value` at `key`.
    ///
    /// # Errors
    /// [`RecordError::Value`].
    pub(crate) fn put<T: Serialize>(mut self, key: &str, value: &T) -> Result<Self, RecordError> {
        self.ops.push(TxnOp::put(key, encode(key, value)?, None));
        Ok(self)
    }

    /// Removes `key`.
    #[must_use]
    pub(crate) fn delete(mut self, key: &str) -> Self {
        self.ops.push(TxnOp::delete(key, None));
        self
    }
}

/// A connection to the record.
#[derive(Clone)]
pub(crate) struct Record {
    client: Client,
    voters: String,
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
        let tls = TlsOptions::new()
            .ca_certificate(Certificate::from_pem(&credentials.ca))
            .identity(Identity::from_pem(&credentials.cert, key.private_pem()))
            .domain_name(SERVER_NAME);
        let options = ConnectOptions::new()
            .with_tls(tls)
            .with_connect_timeout(LIMIT)
            .with_keep_alive(Duration::from_secs(10), LIMIT)
            .with_keep_alive_while_idle(true);
        let voters = endpoints.join(", ");
        let client = bounded(&voters, "connect", Client::connect(endpoints, Some(options))).await?;
        Ok(Self { client, voters })
    }

    /// Reads one value.
    ///
    /// # Errors
    /// [`RecordError`].
    pub(crate) async fn get<T: DeserializeOwned>(
        &self,
        key: &str,
    ) -> Result<Option<Versioned<T>>, RecordError> {
        let mut kv = self.client.kv_client();
        let response = self.ask(&format!("read {key}"), kv.get(key, None)).await?;
        response.kvs().first().map(decode).transpose()
    }

    /// Reads all values under `prefix`, by key.
    ///
    /// # Errors
    /// [`RecordError`].
    pub(crate) async fn list<T: DeserializeOwned>(
        &self,
        prefix: &str,
    ) -> Result<Vec<Versioned<T>>, RecordError> {
        let mut kv = self.client.kv_client();
        let options = GetOptions::new().with_prefix();
        let response = self.ask(&format!("list {prefix}"), kv.get(prefix, Some(options))).await?;
        response.kvs().iter().map(decode).collect()
    }

    /// The last parts of all keys under `prefix`.
    ///
    /// # Errors
    /// [`RecordError`].
    pub(crate) async fn names(&self, prefix: &str) -> Result<Vec<String>, RecordError> {
        let mut kv = self.client.kv_client();
        let options = GetOptions::new().with_prefix().with_keys_only();
        let response = self.ask(&format!("list {prefix}"), kv.get(prefix, Some(options))).await?;
        let name = |kv: &KeyValue| String::from_utf8_lossy(kv.key()).trim_start_matches(prefix).to_owned();
        Ok(response.kvs().iter().map(name).collect())
    }

    /// Carries out `change`; false when one of its conditions did not hold, and then nothing was written.
    ///
    /// # Errors
    /// [`RecordError`]. It may then have been carried out or not.
    pub(crate) async fn commit(&self, change: Change) -> Result<bool, RecordError> {
        let mut kv = self.client.kv_client();
        let txn = Txn::new().when(change.compares).and_then(change.ops);
        Ok(self.ask("commit", kv.txn(txn)).await?.succeeded())
    }

    /// A lease of `ttl` seconds.
    async fn grant(&self, ttl: i64) -> Result<i64, RecordError> {
        let mut lease = self.client.lease_client();
        Ok(self.ask("grant a lease", lease.grant(ttl, None)).await?.id())
    }

    /// Writes `value` at `key`, to vanish with `lease`.
    async fn put_leased<T: Serialize>(&self, key: &str, value: &T, lease: i64) -> Result<(), RecordError> {
        let mut kv = self.client.kv_client();
        let options = PutOptions::new().with_lease(lease);
        self.ask(&format!("write {key}"), kv.put(key, encode(key, value)?, Some(options))).await.map(drop)
    }

    /// Renews `lease` once; false when it has run out already.
    async fn renew(&self, lease: i64) -> Result<bool, RecordError> {
        let mut client = self.client.lease_client();
        let (mut keeper, mut answers) = self.ask("renew a lease", client.keep_alive(lease)).await?;
        self.ask("renew a lease", keeper.keep_alive()).await?;
        let answer = self.ask("renew a lease", answers.message()).await?;
        Ok(answer.is_some_and(|answer| answer.ttl() > 0))
    }

    async fn ask<T>(
        &self,
        what: &str,
        work: impl Future<Output = Result<T, etcd_client::Error>>,
    ) -> Result<T, RecordError> {
        bounded(&self.voters, what, work).await
    }
}

async fn bounded<T>(
    voters: &str,
    what: &str,
    work: impl Future<Output = Result<T, etcd_client::Error>>,
) -> Result<T, RecordError> {
    let unreachable = |why| RecordError::Unreachable { voters: voters.to_owned(), why };
    match tokio::time::timeout(LIMIT, work).await {
        Err(_) => Err(unreachable(format!("no answer within {} s", LIMIT.as_secs()))),
        Ok(Err(etcd_client::Error::GRpcStatus(status))) if status.code() as i32 == UNAVAILABLE => {
            Err(unreachable(status.message().to_owned()))
        }
        Ok(Err(source)) => Err(RecordError::Refused { message: what.to_owned(), source: Box::new(source) }),
        Ok(Ok(value)) => Ok(value),
    }
}

#[derive(serde::Serialize, serde::Deserialize)]
struct Stored<T> {
    v: u32,
    #[serde(flatten)]
    value: T,
}

fn encode<T: Serialize>(key: &str, value: &T) -> Result<Vec<u8>, RecordError> {
    serde_json::to_vec(&Stored { v: VERSION, value })
        .map_err(|source| RecordError::Value { key: key.to_owned(), source })
}

fn decode<T: DeserializeOwned>(kv: &KeyValue) -> Result<Versioned<T>, RecordError> {
    decode_value(&String::from_utf8_lossy(kv.key()), kv.value())
        .map(|value| Versioned { value, revision: kv.mod_revision() })
}

fn decode_value<T: DeserializeOwned>(key: &str, bytes: &[u8]) -> Result<T, RecordError> {
    #[derive(serde::Deserialize)]
    struct Head {
        v: u32,
    }
    let wrong = |source| RecordError::Value { key: key.to_owned(), source };
    let head: Head = serde_json::from_slice(bytes).map_err(wrong)?;
    if head.v > VERSION {
        return Err(RecordError::Newer { key: key.to_owned(), version: head.v });
    }
    serde_json::from_slice::<Stored<T>>(bytes).map(|stored| stored.value).map_err(wrong)
}

#[cfg(test)]
pub(crate) mod tests;
