//! Events that lie together in one value of the record: a key for each would cost the record as much as the change that
//! the event is about. Pure.
//!
//! A batch is of one node and of a few seconds, and lies under the greatest id in it, so that batches in the order of
//! their keys are in the order of their newest events. Earlier releases gave each event a key of its own, its id; such a
//! value is read as a batch of one.

use maekin_api::audit::AuditEvent;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::record::keys::{self, under};

/// Most events of a value.
pub(super) const TOGETHER: usize = 64;
/// Most bytes of a value, as far as more than one event is in it.
const BYTES: usize = 64 << 10;
/// Longest time between two events of a value, seconds: whoever reads from some event on finds it in a value whose key is
/// no further behind.
pub(super) const SPAN: u64 = 4;
/// Most values, and most bytes, of one write. etcd takes 128 and 1.5 MiB (`--max-txn-ops`, `--max-request-bytes`).
const VALUES: usize = 64;
const WRITE: usize = 512 << 10;

/// Events that are written together.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Batch {
    /// In the order in which they happened.
    pub(super) events: Vec<AuditEvent>,
}

impl Batch {
    /// The greatest id in it; empty where it has no events.
    pub(super) fn newest(&self) -> &str {
        self.events.iter().map(|event| event.id.as_str()).max().unwrap_or_default()
    }

    /// Where it lies. How many events there are is told by the name already: nobody has to read them to count them.
    pub(super) fn key(&self) -> String {
        under(keys::AUDIT, &format!("{}.{:02x}", self.newest(), self.events.len()))
    }
}

/// How many events there are in the value of this name: of one that tells no number, one.
fn count(name: &str) -> usize {
    let told = name.rsplit_once('.').and_then(|(_, count)| usize::from_str_radix(count, 16).ok());
    told.unwrap_or(1).clamp(1, TOGETHER)
}

/// The name of the last value to be removed, that `most` events are left, or a few more; `None` where that is so already,
/// or there are no more than `slack` too many. `names` are in order.
pub(super) fn plan_trim(names: &[String], most: usize, slack: usize) -> Option<&str> {
    let mut left: usize = names.iter().map(|name| count(name)).sum();
    if left <= most.saturating_add(slack) {
        return None;
    }
    let mut last = None;
    for name in names {
        left = left.saturating_sub(count(name));
        if left < most {
            break;
        }
        last = Some(name.as_str());
    }
    last
}

/// The most that an event can be as JSON, bytes: any byte of a text may be one that is escaped.
fn weight(event: &AuditEvent) -> usize {
    let AuditEvent { id, node, kind, who, token, from, method, path, operation, request_id, text, .. } =
        event;
    let texts = [id, node, kind, who, token, from, method, path, operation, request_id, text];
    texts.iter().map(|text| text.len()).sum::<usize>().saturating_mul(2).saturating_add(300)
}

/// A value that is being filled.
#[derive(Debug, Default)]
struct Open {
    events: usize,
    bytes: usize,
    /// When the first and the last of its events were. Clocks are set back at times.
    times: Option<(u64, u64)>,
}

impl Open {
    /// The same with one more; `None` where that does not fit.
    fn with(&self, at: u64, bytes: usize) -> Option<Self> {
        let (first, last) = self.times.map_or((at, at), |(first, last)| (first.min(at), last.max(at)));
        let more = Self { events: self.events + 1, bytes: self.bytes + bytes, times: Some((first, last)) };
        let fits = more.events <= TOGETHER && more.bytes <= BYTES && last - first <= SPAN;
        (fits || self.events == 0).then_some(more)
    }
}

/// How many of `events`, from the first on, each value of the next write has. None are left out in between, and where
/// there are events, there is one value at least.
pub(super) fn plan<'a>(events: impl IntoIterator<Item = &'a AuditEvent>) -> Vec<usize> {
    let (mut values, mut open, mut written) = (Vec::new(), Open::default(), 0);
    for event in events {
        let bytes = weight(event);
        written += bytes;
        if written > WRITE && open.events > 0 {
            break;
        }
        open = if let Some(more) = open.with(event.at, bytes) {
            more
        } else {
            values.push(std::mem::take(&mut open).events);
            if values.len() == VALUES {
                return values;
            }
            Open::default().with(event.at, bytes).unwrap_or_default()
        };
    }
    values.extend(Some(open.events).filter(|events| *events > 0));
    values
}

/// The step from an event under a key of its own: see [`crate::record`].
pub(crate) fn lift(event: &mut Map<String, Value>) {
    let mut event_of_its_own = std::mem::take(event);
    event_of_its_own.remove("v");
    event.insert("events".to_owned(), Value::Array(vec![Value::Object(event_of_its_own)]));
}

/// The keys of the events in the value at `key`, as if each had one of its own; `None` where it is no value of the audit
/// log, or one of a newer release.
pub(crate) fn apart(key: &str, value: &[u8]) -> Option<Vec<String>> {
    if !key.starts_with(keys::AUDIT) {
        return None;
    }
    let batch: Batch = crate::record::decode_value(key, value).ok()?;
    Some(batch.events.iter().map(|event| under(keys::AUDIT, &event.id)).collect())
}

#[cfg(test)]
mod tests;
