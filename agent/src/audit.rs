//! The audit log: who asked for which change and what came of it, and what has to do with who may ask (a wrong password,
//! a refused token). Everything goes to the journal at once and to the record a moment later, several together, where
//! it is kept up to a number that the leader sees to.
//!
//! What the record did not take yet is kept here, bounded: a node that is cut off writes it down when it is back, and
//! what was lost meanwhile is counted. A flood of refusals is counted too, not written out.
//!
//! | module | job |
//! | --- | --- |
//! | [`batch`] | which events are one value there, and what of them goes (pure) |
//! | [`pending`] | the entry of one request |
//! | [`mod@keep`] | from memory into the record; what is too old goes |
//! | [`read`] | page by page |

mod batch;
mod keep;
mod pending;
mod read;

use std::collections::{BTreeMap, VecDeque};
use std::net::IpAddr;
use std::sync::{Mutex, PoisonError};

use maekin_api::audit::{AuditEvent, Outcome};
use tokio::sync::Notify;

use crate::app::App;
use crate::clock::now;
use crate::http::identity::Identity;
use crate::http::request;
use batch::Batch;
pub(crate) use batch::{apart, lift};
pub(crate) use keep::keep;
pub(crate) use pending::Pending;
pub(crate) use read::page;

/// Most events that wait for the record: at 2,000 a second it may take two to answer.
const WAITING: usize = 4096;
/// How many events do not wait for further ones any more.
const MANY: usize = 256;
/// Longest text of a field, characters.
const LONGEST: usize = 200;
/// Most refusals of one user, and of all strangers together, that a node writes into the record in a minute.
const REFUSALS: u32 = 60;
/// Most users whose refusals are counted one by one.
const COUNTED: usize = 64;

/// What waits to be written.
#[derive(Debug)]
pub(crate) struct Log {
    queue: Mutex<Queue>,
    /// Something waits.
    more: Notify,
    /// [`MANY`] wait.
    many: Notify,
}

#[derive(Debug, Default)]
struct Queue {
    events: VecDeque<AuditEvent>,
    /// How many of them, from the first on, are in each value that is being written: they stay together, since it may have
    /// been written although nobody heard so.
    sent: Vec<usize>,
    next: u32,
    /// Events that there was no room for since the last one that was written.
    lost: u64,
    /// Minute, and refusals in it by user; strangers are the empty name.
    refusals: (u64, BTreeMap<String, u32>),
}

impl Default for Log {
    fn default() -> Self {
        let mut start = [0; 2];
        // A restart within one second continues elsewhere; without random numbers two events of it may be one.
        let _ = getrandom::fill(&mut start);
        let next = u32::from(u16::from_be_bytes(start)) << 12;
        let queue = Mutex::new(Queue { next, ..Queue::default() });
        Self { queue, more: Notify::new(), many: Notify::new() }
    }
}

/// Something that happened, to be written down with [`event`].
#[derive(Debug, Clone, Default)]
pub(crate) struct Event(AuditEvent);

impl Event {
    /// Something of `kind` (kebab-case, stable, e.g. `token-refused`) that was refused.
    pub(crate) fn refused(kind: &str) -> Self {
        Self(AuditEvent { kind: kind.to_owned(), ..AuditEvent::default() })
    }

    /// Something of `kind` that was done.
    pub(crate) fn done(kind: &str) -> Self {
        Self(AuditEvent { kind: kind.to_owned(), outcome: Outcome::Done, ..AuditEvent::default() })
    }

    /// Who did it.
    #[must_use]
    pub(crate) fn by(mut self, identity: &Identity) -> Self {
        self.0.who = identity.name();
        self.0.token = identity.token().unwrap_or_default().to_owned();
        self.from(identity.from)
    }

    /// The name that was given by somebody who did not prove it.
    #[must_use]
    pub(crate) fn named(mut self, name: &str) -> Self {
        name.clone_into(&mut self.0.who);
        self
    }

    /// The id of the token that was shown.
    #[must_use]
    pub(crate) fn showing(mut self, id: &str) -> Self {
        id.clone_into(&mut self.0.token);
        self
    }

    /// From where.
    #[must_use]
    pub(crate) fn from(mut self, from: Option<IpAddr>) -> Self {
        self.0.from = from.map(|ip| ip.to_string()).unwrap_or_default();
        self
    }

    /// More about it, in words.
    #[must_use]
    pub(crate) fn text(mut self, text: impl Into<String>) -> Self {
        self.0.text = text.into();
        self
    }
}

/// Writes down that something happened that has to do with who may ask. Never fails, never waits.
pub(crate) fn event(app: &App, event: Event) {
    write(app, event.0);
}

/// Writes an event down: to the journal at once, to the record by [`mod@keep`].
fn write(app: &App, mut event: AuditEvent) {
    event.at = now();
    event.node.clone_from(&app.config.hostname);
    event.request_id = request::current();
    for text in [&mut event.who, &mut event.token, &mut event.path, &mut event.text] {
        *text = text.chars().filter(|c| !c.is_control()).take(LONGEST).collect();
    }
    let AuditEvent { kind, who, token, from, method, path, status, outcome, text, request_id, .. } = &event;
    tracing::info!(
        target: "audit", kind, who, token, from, method, path, status, ?outcome, text, request = request_id, "audit"
    );
    app.audit.push(event, &app.node_id);
}

impl Log {
    fn lock(&self) -> std::sync::MutexGuard<'_, Queue> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// How many events the record did not take yet.
    pub(crate) fn waiting(&self) -> usize {
        self.lock().events.len()
    }

    fn push(&self, mut event: AuditEvent, node_id: &str) {
        let mut queue = self.lock();
        // What costs the asker nothing must not push out of the log what was done.
        let stranger = event.who.is_empty() && event.outcome != Outcome::Done;
        let cheap = stranger || event.outcome == Outcome::Refused;
        // An event without a status comes before anybody is known: its name is only what a stranger said.
        let who = if event.status == 0 { "" } else { &event.who };
        if (cheap && !queue.admits_refusal(who, event.at / 60)) || queue.events.len() >= WAITING {
            queue.lost = queue.lost.saturating_add(1);
            return;
        }
        if queue.lost > 0 {
            let more = format!("{} before it were not kept", queue.lost);
            event.text = if event.text.is_empty() { more } else { format!("{}; {more}", event.text) };
            queue.lost = 0;
        }
        queue.next = queue.next.wrapping_add(1);
        let node = node_id.get(..8).unwrap_or(node_id);
        event.id = format!("{:010x}-{node}-{:08x}", event.at, queue.next);
        queue.events.push_back(event);
        let many = queue.events.len() >= MANY;
        drop(queue);
        self.more.notify_one();
        if many {
            self.many.notify_one();
        }
    }

    /// What is to be written next, and again until it is [`Log::written`].
    fn to_write(&self) -> Vec<Batch> {
        let mut queue = self.lock();
        if queue.sent.is_empty() {
            queue.sent = batch::plan(&queue.events);
        }
        let mut events = queue.events.iter().cloned();
        queue.sent.iter().map(|count| Batch { events: events.by_ref().take(*count).collect() }).collect()
    }

    /// It was written; how many events that were.
    fn written(&self) -> usize {
        let mut queue = self.lock();
        let written = std::mem::take(&mut queue.sent).iter().sum::<usize>().min(queue.events.len());
        queue.events.drain(..written); // only ever added to behind
        written
    }
}

impl Queue {
    fn admits_refusal(&mut self, who: &str, minute: u64) -> bool {
        if self.refusals.0 != minute {
            self.refusals = (minute, BTreeMap::new());
        }
        let counts = &mut self.refusals.1;
        let who = if counts.len() < COUNTED || counts.contains_key(who) { who } else { "" };
        let count = counts.entry(who.to_owned()).or_default();
        *count = count.saturating_add(1);
        *count <= REFUSALS
    }
}

/// What waits to be written: what happened, where nothing writes it into the record.
#[cfg(test)]
pub(crate) fn waiting(app: &App) -> Vec<AuditEvent> {
    app.audit.lock().events.iter().cloned().collect()
}

/// Writes that into the record, `again` also a second time, as where nobody heard that it was written.
#[cfg(test)]
pub(crate) async fn write_waiting(app: &App, record: &crate::record::Record, again: bool) {
    if again {
        keep::write(record, &app.audit.to_write()).await.unwrap();
    }
    keep::flush(&app.audit, record).await.unwrap();
}

#[cfg(test)]
mod tests;
