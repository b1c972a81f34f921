//! Two values in one question.

use etcd_client::{Client, Txn, TxnOp, TxnOpResponse};
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::voters::LIMIT;
use super::{Record, RecordError, Versioned, decode, encode};

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
        let txn = Txn::new().and_then([TxnOp::get(one, None), TxnOp::get(other, None)]);
        let work = async |client: Client| super::kv(&client).txn(txn.clone()).await;
        let response = self.voters.ask(&format!("read {one} and {other}"), LIMIT, work).await?;
        let mut answers = response.op_responses().into_iter();
        Ok((self.taken(one, answers.next())?, self.taken(other, answers.next())?))
    }

    /// The value in the part of an answer that is about `key`.
    fn taken<T>(&self, key: &str, part: Option<TxnOpResponse>) -> Result<Option<Versioned<T>>, RecordError>
    where
        T: DeserializeOwned + Serialize,
    {
        let Some(TxnOpResponse::Get(found)) = part else { return Ok(None) };
        let Some(kv) = found.kvs().first() else { return Ok(None) };
        let value = decode::<T>(kv)?;
        self.unknown.note(key, value.revision, kv.value(), &encode(key, &value.value)?);
        Ok(Some(value))
    }
}
