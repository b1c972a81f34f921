//! What the record says about who is let in, read at once; and kept for a moment, because machines that wait ask often.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::{Duration, Instant};

use maekin_api::install::Rule;
use tokio::sync::Mutex;

use super::decide::Known;
use crate::record::values::{AgainValue, ApprovalsValue, CutValue, NodeValue, TicketValue, WindowValue};
use crate::record::{Record, RecordError, Versioned, keys};

/// How old what is kept may be.
const FRESH: Duration = Duration::from_secs(1);

/// What the record said.
pub(crate) struct Snapshot {
    cut: Option<Versioned<CutValue>>,
    pub(crate) window: Option<Versioned<WindowValue>>,
    pub(crate) tickets: Vec<Versioned<TicketValue>>,
    again: Vec<Versioned<AgainValue>>,
    members: Vec<NodeValue>,
    alive: BTreeSet<String>,
    rules: Vec<Rule>,
    // The same again without revisions, as decisions want it.
    plain_tickets: Vec<TicketValue>,
    plain_again: Vec<AgainValue>,
}

impl Snapshot {
    /// Reads it.
    ///
    /// # Errors
    /// [`RecordError`].
    pub(crate) async fn read(record: &Record) -> Result<Self, RecordError> {
        // What guards a new ticket first: whatever is read after it is at least as new, so a ticket that was cut
        // meanwhile is either seen below or has changed the guard under us, and then nothing is written.
        let cut = record.get::<CutValue>(keys::CUT).await?;
        let window = record.get::<WindowValue>(keys::WINDOW).await?;
        let rules = record.get::<ApprovalsValue>(keys::APPROVALS).await?;
        let tickets = record.list::<TicketValue>(keys::TICKETS).await?;
        let again = record.list::<AgainValue>(keys::AGAIN).await?;
        let members = record.list::<NodeValue>(keys::NODES).await?.into_iter().map(|n| n.value).collect();
        let alive = record.names(keys::ALIVE).await?.into_iter().collect();
        let plain_tickets = tickets.iter().map(|t| t.value.clone()).collect();
        let plain_again = again.iter().map(|a| a.value.clone()).collect();
        let rules = rules.map(|rules| rules.value.rules).unwrap_or_default();
        Ok(Self { cut, window, tickets, again, members, alive, rules, plain_tickets, plain_again })
    }

    /// For a decision.
    pub(crate) fn known(&self) -> Known<'_> {
        Known {
            tickets: &self.plain_tickets,
            members: &self.members,
            alive: &self.alive,
            again: &self.plain_again,
            rules: &self.rules,
            window: self.window.as_ref().map(|w| &w.value),
        }
    }

    /// How many tickets were cut, and the revision that guards it.
    pub(crate) fn cut(&self) -> (u64, i64) {
        self.cut.as_ref().map_or((0, 0), |cut| (cut.value.count, cut.revision))
    }

    /// A ticket by its name.
    pub(crate) fn ticket(&self, name: &str) -> Option<&Versioned<TicketValue>> {
        self.tickets.iter().find(|t| t.value.ticket == name)
    }

    /// The host name of a machine that is installed.
    pub(crate) fn host_name(&self, machine: &maekin_api::boot::Machine) -> String {
        let member = super::identity::member_of(machine, &self.members).map(|m| m.name.clone());
        let ticket =
            || super::decide::ticket_of(machine, &self.plain_tickets).map(|(t, _)| t.hostname.clone());
        member.or_else(ticket).unwrap_or_default()
    }

    /// The wish that a member be installed anew.
    pub(crate) fn wish(&self, member: &str) -> Option<&Versioned<AgainValue>> {
        self.again.iter().find(|a| a.value.id == member)
    }
}

/// The last one that was read.
#[derive(Default)]
pub(crate) struct Cache(Mutex<Option<(Instant, Arc<Snapshot>)>>);

impl Cache {
    /// One that is at most a second old. Many who ask at once wait for the same answer.
    ///
    /// # Errors
    /// [`RecordError`].
    pub(crate) async fn get(&self, record: &Record) -> Result<Arc<Snapshot>, RecordError> {
        let mut kept = self.0.lock().await;
        if let Some((at, snapshot)) = &*kept
            && at.elapsed() < FRESH
        {
            return Ok(Arc::clone(snapshot));
        }
        let snapshot = Arc::new(Snapshot::read(record).await?);
        *kept = Some((Instant::now(), Arc::clone(&snapshot)));
        Ok(snapshot)
    }
}
