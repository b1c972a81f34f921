//! From memory into the record; what is too old goes.

use std::sync::Arc;
use std::time::{Duration, Instant};

use super::Log;
use super::batch::{Batch, TOGETHER, plan_trim};
use crate::app::{App, Member};
use crate::errors::chain;
use crate::record::keys;
use crate::record::{Change, Record, RecordError};

/// Events that are kept in the record.
pub(super) const MOST: usize = 4096;
/// How many more there may be before the oldest go.
const SLACK: usize = 256;
/// How long further events are waited for, so that many are one write.
const GATHER: Duration = Duration::from_millis(500);
/// How long after a write that failed.
const AGAIN: Duration = Duration::from_secs(3);
/// How often the leader looks whether there are too many.
const TRIM: Duration = Duration::from_secs(30);

/// Writes events into the record, and takes the oldest out where this node leads, for as long as it is polled.
pub(crate) async fn keep(app: Arc<App>, member: Arc<Member>) {
    let (mut trimmed, mut quiet) = (Instant::now(), None);
    loop {
        let _ = tokio::time::timeout(TRIM, app.audit.more.notified()).await; // or it is time to trim
        let _ = tokio::time::timeout(GATHER, app.audit.many.notified()).await; // or there are not many
        if let Err(e) = flush(&app.audit, &member.record).await {
            tracing::info!(error = %chain(&e), "audit log: not written yet");
            tokio::time::sleep(AGAIN).await;
            app.audit.more.notify_one();
        }
        if app.leads() && trimmed.elapsed() >= TRIM {
            trimmed = Instant::now();
            if let Err(e) = trim(&member.record, MOST, &mut quiet).await {
                tracing::info!(error = %chain(&e), "audit log: not trimmed");
            }
        }
    }
}

/// Writes what waits. What comes meanwhile is gathered for the next time. Twice does no harm: what was once tried to be
/// written together is so again, under the same key.
pub(super) async fn flush(log: &Log, record: &Record) -> Result<(), RecordError> {
    let mut left = log.waiting();
    while left > 0 {
        let batches = log.to_write();
        if batches.is_empty() {
            break; // somebody else has written it
        }
        write(record, &batches).await?;
        left = left.saturating_sub(log.written());
    }
    Ok(())
}

/// Writes `batches`.
pub(super) async fn write(record: &Record, batches: &[Batch]) -> Result<(), RecordError> {
    let put = |change: Change, batch: &Batch| change.put(&batch.key(), batch);
    record.commit(batches.iter().try_fold(Change::default(), put)?).await.map(drop)
}

/// Takes the oldest events out where there are more than `most` and some. `quiet` is at how many values there was nothing
/// to do last: while there are as many, nothing was written.
pub(super) async fn trim(record: &Record, most: usize, quiet: &mut Option<usize>) -> Result<(), RecordError> {
    let values = record.count(keys::AUDIT).await?;
    if values.saturating_mul(TOGETHER) <= most || *quiet == Some(values) {
        return Ok(());
    }
    let names = record.names(keys::AUDIT).await?;
    *quiet = None;
    match plan_trim(&names, most, SLACK) {
        Some(last) => record.remove_to(keys::AUDIT, last).await,
        None => {
            *quiet = Some(names.len());
            Ok(())
        }
    }
}
