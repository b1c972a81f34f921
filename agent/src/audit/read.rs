//! The log, read from the newest event on. Batches of several nodes overlap in time: an event is handed out when nothing
//! that is still to be read can be newer.

use std::collections::BTreeMap;

use maekin_api::audit::AuditEvent;

use super::batch::{Batch, SPAN};
use crate::record::{Record, RecordError, keys};

/// Values that are read at first: those of a busy cluster have a page of events in a few.
const FIRST: usize = 8;

/// Up to `limit` events that came before `after` (an id), the newest first.
///
/// # Errors
/// [`RecordError`].
pub(crate) async fn page(
    record: &Record,
    after: Option<&str>,
    limit: usize,
) -> Result<Vec<AuditEvent>, RecordError> {
    let mut merged = Merged::new(after, limit);
    let before = after.and_then(before);
    record.each_newest_by(keys::AUDIT, before.as_deref(), FIRST, |batch| merged.take(batch)).await?;
    Ok(merged.page())
}

/// What the names of all values come before that may have an event from before `after`; `None` where that cannot be told
/// from it.
fn before(after: &str) -> Option<String> {
    let (at, _) = after.split_once('-')?;
    let plain = at.len() == 10 && at.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'));
    let at = u64::from_str_radix(at, 16).ok().filter(|_| plain)?;
    Some(format!("{:010x}", at + SPAN + 1)).filter(|before| before.len() == 10)
}

/// The newest events of batches that are shown to it, those with the greatest keys first.
struct Merged<'a> {
    after: Option<&'a str>,
    limit: usize,
    /// No more than `limit`, by id: an event that was written twice is one.
    found: BTreeMap<String, AuditEvent>,
}

impl<'a> Merged<'a> {
    fn new(after: Option<&'a str>, limit: usize) -> Self {
        Self { after, limit, found: BTreeMap::new() }
    }

    /// Whether more has to be read.
    fn take(&mut self, batch: Batch) -> bool {
        let full = self.found.len() >= self.limit;
        if full && self.found.keys().next().is_none_or(|oldest| batch.newest() <= oldest.as_str()) {
            return false; // and so are all that follow
        }
        for event in batch.events {
            if self.after.is_none_or(|after| event.id.as_str() < after) {
                self.found.insert(event.id.clone(), event);
            }
            if self.found.len() > self.limit {
                self.found.pop_first();
            }
        }
        true
    }

    fn page(self) -> Vec<AuditEvent> {
        self.found.into_values().rev().collect()
    }
}

#[cfg(test)]
mod tests;
