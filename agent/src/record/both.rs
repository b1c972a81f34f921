//! Two values in one question.

use etcd_client::{KeyValue, Txn, TxnOp, TxnOpResponse};
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::voters::{Client, LIMIT};
use super::{Record, RecordError, Versioned, decode};

impl Record {
    /// Reads the values at two keys, as they are at one moment.
    ///
    /// # Errors
    /// As [`Record::get`].
    pub(crate) async fn get_both<A, B>(
        &self,
        one: &str,
        other: &str,
    ) -> Result<(Option<Versioned<A>>, Option<Versioned<B>>), RecordError>
    where
        A: DeserializeOwned + Serialize,
        B: DeserializeOwned + Serialize,
    {
        let parts = self.read_both([one, other]).await?;
        Ok((self.taken(one, parts.first())?, self.taken(other, parts.get(1))?))
    }

    /// What etcd answers about both keys, a part for each.
    pub(super) async fn read_both(&self, keys: [&str; 2]) -> Result<Vec<TxnOpResponse>, RecordError> {
        let txn = Txn::new().and_then(looks(keys));
        let work = async |client: Client| super::kv(&client).txn(txn.clone()).await;
        let answer = self.voters.ask(&format!("read {} and {}", keys[0], keys[1]), LIMIT, work).await?;
        Ok(answer.op_responses())
    }

    /// The value in the part of an answer that is about `key`.
    fn taken<T>(&self, key: &str, part: Option<&TxnOpResponse>) -> Result<Option<Versioned<T>>, RecordError>
    where
        T: DeserializeOwned + Serialize,
    {
        first(part).map(|kv| self.noted(key, kv.value(), decode(kv)?)).transpose()
    }
}

/// The questions about both.
pub(super) fn looks([one, other]: [&str; 2]) -> [TxnOp; 2] {
    [TxnOp::get(one, None), TxnOp::get(other, None)]
}

/// What lies at the key that a part of an answer is about.
pub(super) fn first(part: Option<&TxnOpResponse>) -> Option<&KeyValue> {
    let Some(TxnOpResponse::Get(found)) = part else { return None };
    found.kvs().first()
}
