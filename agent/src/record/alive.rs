//! This node's sign of life: a key that vanishes when the node stops renewing its lease.

use std::time::{Duration, Instant};

use super::keys::{ALIVE, under};
use super::values::AliveValue;
use super::{Record, RecordError};
use crate::clock::now;
use crate::liveness::fence::TTL;

/// How often the lease is renewed: three tries in its time.
const EVERY: Duration = Duration::from_secs(5);
/// How long one voter may take for it.
const RENEW: Duration = Duration::from_secs(3);
/// How soon a try that failed is repeated.
const AGAIN: Duration = Duration::from_secs(1);

/// Keeps the sign of life of `node_id` up for as long as this future is polled. `taken` hears of each one that the record
/// took: when it was sent.
pub(crate) async fn keep(record: Record, node_id: String, taken: impl Fn(Instant)) {
    let key = under(ALIVE, &node_id);
    let value = AliveValue { since: now() };
    let mut lease = None;
    loop {
        let sent = Instant::now();
        let pause = match beat(&record, &key, &value, lease).await {
            Ok(held) => {
                taken(sent);
                lease = Some(held);
                EVERY
            }
            Err(e) => {
                tracing::warn!(error = %crate::errors::chain(&e), "sign of life not renewed");
                lease = None;
                AGAIN
            }
        };
        tokio::time::sleep(pause).await;
    }
}

async fn beat(
    record: &Record,
    key: &str,
    value: &AliveValue,
    lease: Option<i64>,
) -> Result<i64, RecordError> {
    if let Some(lease) = lease
        && record.renew(lease, RENEW).await?
    {
        return Ok(lease);
    }
    let lease = record.grant(TTL).await?;
    record.put_leased(key, value, lease).await?;
    Ok(lease)
}
