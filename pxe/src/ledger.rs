//! The cluster's ledger of addresses: what the leading master promises is written there before it is said, so that the
//! master after it knows every promise, and never gives an address to a second machine.
//!
//! * An ACK of an address that the ledger does not have for that machine waits until it has ([`Clerk`]); everything
//!   else is answered at once. A renewal needs no writing: whoever takes over keeps every address for a whole lease from
//!   then on ([`take_over`]).
//! * Ends of leases, and addresses that are kept for ever, follow within seconds ([`plan_sync`]).
//! * Nothing at all is answered unless the agent said, not long ago, that this master leads still ([`Fence`]).
//!
//! | module | job |
//! | --- | --- |
//! | [`agent`] | the ledger, by way of the agent |
//! | [`clerk`] | the task that writes, and lets ACKs go |

pub mod agent;
pub mod clerk;

use std::collections::{HashMap, HashSet};
use std::future::Future;
use std::net::Ipv4Addr;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use maekin_api::addresses::{AddressChange, Addresses, Held};

use crate::dhcp::lease::{NEVER, Record, Seconds};
use crate::hw::HwAddr;

pub use agent::AgentLedger;
pub use clerk::Clerk;

/// A boxed future, so that tests can stand in for the agent.
pub type Answer<'a, T> = Pin<Box<dyn Future<Output = Result<T, LedgerError>> + Send + 'a>>;

/// The ledger did not take or give something.
#[derive(Debug, thiserror::Error)]
pub enum LedgerError {
    /// This master leads no longer, or anew: what it knows is not the truth any more.
    #[error("another master leads")]
    NotLeading,
    /// It cannot be asked.
    #[error("the agent does not answer: {0}")]
    Unavailable(String),
}

/// Where addresses are written down.
pub trait Ledger: Send + Sync {
    /// Everything that was promised before.
    fn load(&self) -> Answer<'_, Addresses>;

    /// Writes; how long this master may go on, counted from before the call.
    fn write<'a>(&'a self, change: &'a AddressChange) -> Answer<'a, Duration>;
}

/// Whether this master may answer: always when it is alone, else until a moment that has to be put off again and again.
#[derive(Debug, Clone, Default)]
pub struct Fence(Option<Arc<Mutex<Option<Instant>>>>);

impl Fence {
    /// One that is closed until it is opened.
    #[must_use]
    pub fn closed() -> Self {
        Self(Some(Arc::default()))
    }

    /// Lets answers out until then; `None`: no more.
    pub fn open_until(&self, until: Option<Instant>) {
        if let Some(fence) = &self.0 {
            *fence.lock().unwrap_or_else(PoisonError::into_inner) = until;
        }
    }

    /// Whether it is open at `now`.
    #[must_use]
    pub fn is_open(&self, now: Instant) -> bool {
        let Some(fence) = &self.0 else { return true };
        fence.lock().unwrap_or_else(PoisonError::into_inner).is_some_and(|until| now < until)
    }
}

/// What the ledger has for an address.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Entry {
    /// Whose it is.
    pub hw: HwAddr,
    /// For ever.
    pub kept: bool,
}

/// What we know that the ledger has.
#[derive(Debug, Default)]
pub struct Known {
    entries: HashMap<Ipv4Addr, Entry>,
    /// Addresses that are to be taken out, and perhaps are out already.
    doomed: HashSet<Ipv4Addr>,
}

impl Known {
    /// What was loaded. Entries that cannot be understood are left out, as if nobody had the address.
    #[must_use]
    pub fn of(held: &[Held]) -> Self {
        let entry = |h: &Held| Some((h.ip, Entry { hw: h.mac.parse().ok()?, kept: h.kept }));
        Self { entries: held.iter().filter_map(entry).collect(), doomed: HashSet::new() }
    }

    /// Whether `hw` may be told that it has `ip`.
    #[must_use]
    pub fn has(&self, ip: Ipv4Addr, hw: HwAddr) -> bool {
        self.entries.get(&ip).is_some_and(|entry| entry.hw == hw)
    }

    /// The ledger took these.
    pub fn took(&mut self, change: &AddressChange) {
        for held in &change.held {
            if let Ok(hw) = held.mac.parse() {
                self.entries.insert(held.ip, Entry { hw, kept: held.kept });
                self.doomed.remove(&held.ip);
            }
        }
        for ip in &change.freed {
            self.doomed.remove(ip);
        }
    }
}

/// What has to be written so that the ledger has what the table has, at most `most` of it. From now on, what is taken out
/// counts as unknown: a machine that gets the address back meanwhile waits until that is written. Pure.
pub fn plan_sync(known: &mut Known, bound: &[Record], most: usize) -> (Vec<Held>, Vec<Ipv4Addr>) {
    let bound: HashMap<_, _> = bound
        .iter()
        .filter_map(|record| match record {
            Record::Bound { ip, hw, until } => Some((*ip, Entry { hw: *hw, kept: *until == NEVER })),
            Record::Freed { .. } => None,
        })
        .collect();
    let changed = bound.iter().filter(|(ip, entry)| known.entries.get(ip) != Some(entry));
    let held: Vec<_> = changed
        .take(most)
        .map(|(ip, entry)| Held { ip: *ip, mac: entry.hw.to_string(), kept: entry.kept })
        .collect();
    let gone: Vec<_> = known.entries.keys().filter(|ip| !bound.contains_key(ip)).copied().collect();
    for ip in gone {
        known.entries.remove(&ip);
        known.doomed.insert(ip);
    }
    known.doomed.retain(|ip| !bound.contains_key(ip));
    let freed = known.doomed.iter().take(most - held.len()).copied().collect();
    (held, freed)
}

/// What a master that begins to lead puts into its table: every address that was ever promised is its machine's for a
/// whole lease from now on, since the leader before may have said so in its last moment. Pure.
#[must_use]
pub fn take_over(held: &[Held], now: Seconds, lease: Seconds) -> Vec<Record> {
    let until = |kept| if kept { NEVER } else { now.saturating_add(lease) };
    let record = |h: &Held| Some(Record::Bound { ip: h.ip, hw: h.mac.parse().ok()?, until: until(h.kept) });
    held.iter().filter_map(record).collect()
}

#[cfg(test)]
mod tests;
