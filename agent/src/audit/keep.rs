//! From memory into the record; what is too old goes.

use std::sync::Arc;
use std::time::{Duration, Instant};

use maekin_api::audit::AuditEvent;

use super::Log;
use crate::app::{App, Member};
use crate::errors::chain;
use crate::record::keys::{self, under};
use crate::record::{Change, Record, RecordError};

/// Events that are kept in the record.
pub(super) const MOST: usize = 4096;
/// How many more there may be before the oldest go.
const SLACK: usize = 256;
/// How many are written together.
const TOGETHER: usize = 64;
/// How long further events are waited for, so that many are one write.
const GATHER: Duration = Duration::from_millis(500);
/// How long after a write that failed.
const AGAIN: Duration = Duration::from_secs(3);
/// How often the leader looks whether there are too many.
const TRIM: Duration = Duration::from_secs(30);

/// Writes events into the record, and takes the oldest out where this node leads, for as long as it is polled.
pub(crate) async fn keep(app: Arc<App>, member: Arc<Member>) {
    let mut trimmed = Instant::now();
    loop {
        let _ = tokio::time::timeout(TRIM, app.audit.more.notified()).await; // or it is time to trim
        tokio::time::sleep(GATHER).await;
        if let Err(e) = flush(&app.audit, &member.record).await {
            tracing::info!(error = %chain(&e), "audit log: not written yet");
            tokio::time::sleep(AGAIN).await;
            app.audit.more.notify_one();
        }
        if app.leads() && trimmed.elapsed() >= TRIM {
            trimmed = Instant::now();
            if let Err(e) = trim(&member.record, MOST).await {
                tracing::info!(error = %chain(&e), "audit log: not trimmed");
            }
        }
    }
}

/// Writes what waits. Twice does no harm: an event has its key from the beginning.
pub(super) async fn flush(log: &Log, record: &Record) -> Result<(), RecordError> {
    loop {
        let batch: Vec<AuditEvent> = log.lock().events.iter().take(TOGETHER).cloned().collect();
        if batch.is_empty() {
            return Ok(());
        }
        let write = |change: Change, event: &AuditEvent| change.put(&under(keys::AUDIT, &event.id), event);
        record.commit(batch.iter().try_fold(Change::default(), write)?).await?;
        let mut queue = log.lock();
        let written = batch.len().min(queue.events.len());
        queue.events.drain(..written); // only ever added to behind
    }
}

/// Takes the oldest events out where there are more than `most` and some.
pub(super) async fn trim(record: &Record, most: usize) -> Result<(), RecordError> {
    let count = record.count(keys::AUDIT).await?;
    if count <= most + SLACK {
        return Ok(());
    }
    record.remove_oldest(keys::AUDIT, count - most).await
}
