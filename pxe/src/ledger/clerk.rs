//! The clerk: writes into the ledger what the DHCP service promises, and lets the ACKs go when it is there. Also asks, all
//! the time, whether this master leads still.

use std::collections::BTreeMap;
use std::net::Ipv4Addr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use maekin_api::addresses::{AddressChange, Addresses, Held, MOST};
use tokio::sync::mpsc;

use super::{Fence, Known, Ledger, LedgerError, plan_sync};
use crate::dhcp::leases::Leases;
use crate::dhcp::options::MessageType;
use crate::dhcp::server::Reply;
use crate::dhcp::store::Store;
use crate::hw::HwAddr;

/// Most ACKs that wait; a client that finds no room asks again.
const WAITING: usize = 4096;
/// How often the ledger is brought up to date, and the fence put off.
const EVERY: Duration = Duration::from_secs(2);
/// Pause after a write that failed.
const BREATH: Duration = Duration::from_millis(500);

/// An ACK that waits until its address is in the ledger.
struct Waiting {
    reply: Reply,
    hw: HwAddr,
}

/// Where the DHCP service hands ACKs in. Without a ledger none has to wait.
#[derive(Debug, Clone, Default)]
pub struct Desk {
    fence: Fence,
    ledger: Option<(mpsc::Sender<Waiting>, Arc<Mutex<Known>>)>,
}

impl Desk {
    /// Whether anything may be answered now.
    #[must_use]
    pub fn is_open(&self) -> bool {
        self.fence.is_open(Instant::now())
    }

    /// Whether any ACK may have to wait.
    #[must_use]
    pub fn has_ledger(&self) -> bool {
        self.ledger.is_some()
    }

    /// Whether an answer may go; one that may not yet waits here. `leases` is locked meanwhile, so what is known of the
    /// ledger cannot change between the table and it.
    pub fn lets_go(&self, reply: &Reply, leases: &Leases) -> bool {
        let Some((sender, known)) = self.ledger.as_ref().filter(|_| reply.kind == MessageType::Ack) else {
            return true;
        };
        // Who only informs itself holds nothing.
        let Some(hw) = leases.holder(reply.ip) else { return true };
        if lock(known).has(reply.ip, hw) {
            return true;
        }
        if sender.try_send(Waiting { reply: reply.clone(), hw }).is_err() {
            tracing::debug!(client = %hw, "too many wait for the ledger; it is to ask again");
        }
        false
    }
}

/// How ACKs go out.
pub type Say = dyn Fn(&[Reply]) + Send + Sync;

/// The clerk of one leader's time.
pub struct Clerk {
    ledger: Arc<dyn Ledger>,
    epoch: i64,
    store: Store,
    fence: Fence,
    known: Arc<Mutex<Known>>,
    waiting: mpsc::Receiver<Waiting>,
    synced: Option<Instant>,
}

impl Clerk {
    /// A clerk that begins with what was loaded, and the desk before it.
    #[must_use]
    pub fn new(ledger: Arc<dyn Ledger>, loaded: &Addresses, store: Store) -> (Self, Desk) {
        let (sender, waiting) = mpsc::channel(WAITING);
        let (fence, known) = (Fence::closed(), Arc::new(Mutex::new(Known::of(&loaded.held))));
        let desk = Desk { fence: fence.clone(), ledger: Some((sender, known.clone())) };
        (Self { ledger, epoch: loaded.epoch, store, fence, known, waiting, synced: None }, desk)
    }

    /// Works until this master leads no longer, as far as the ledger goes; then nothing more is answered.
    pub async fn run(mut self, say: Arc<Say>) -> LedgerError {
        loop {
            match self.step(&say).await {
                Ok(()) => {}
                Err(LedgerError::NotLeading) => {
                    self.fence.open_until(None);
                    return LedgerError::NotLeading;
                }
                Err(e) => {
                    tracing::warn!("addresses cannot be written down, and so not be given: {e}");
                    tokio::time::sleep(BREATH).await;
                }
            }
        }
    }

    /// One write: of what waits, or of everything that is not as it should be.
    async fn step(&mut self, say: &Arc<Say>) -> Result<(), LedgerError> {
        if self.synced.is_none_or(|at| at.elapsed() >= EVERY) {
            let (held, freed) = {
                let inner = self.store.lock();
                plan_sync(&mut lock(&self.known), &inner.leases.snapshot(), MOST)
            };
            self.write(AddressChange { epoch: self.epoch, held, freed }).await?;
            self.synced = Some(Instant::now());
        }
        let Ok(first) = tokio::time::timeout(EVERY, self.waiting.recv()).await else { return Ok(()) };
        let Some(first) = first else {
            // The service has ended; whoever ended it ends us too.
            tokio::time::sleep(EVERY).await;
            return Ok(());
        };
        let mut batch = vec![first];
        while batch.len() < MOST
            && let Ok(next) = self.waiting.try_recv()
        {
            batch.push(next);
        }
        // A client that asked twice is written once: a transaction takes no key twice.
        let held: BTreeMap<Ipv4Addr, Held> = batch.iter().map(|w| (w.reply.ip, self.held(w))).collect();
        let held = held.into_values().collect();
        self.write(AddressChange { epoch: self.epoch, held, freed: Vec::new() }).await?;
        if self.fence.is_open(Instant::now()) {
            say(&batch.into_iter().map(|w| w.reply).collect::<Vec<_>>());
        }
        Ok(())
    }

    fn held(&self, waiting: &Waiting) -> Held {
        let lease = self.store.lock().leases.lease(waiting.hw);
        let kept = lease.is_some_and(|l| l.ip == waiting.reply.ip && l.until == crate::dhcp::lease::NEVER);
        Held { ip: waiting.reply.ip, mac: waiting.hw.to_string(), kept }
    }

    async fn write(&self, change: AddressChange) -> Result<(), LedgerError> {
        let sent = Instant::now();
        let hold = self.ledger.write(&change).await?;
        lock(&self.known).took(&change);
        self.fence.open_until(Some(sent + hold));
        Ok(())
    }
}

fn lock(known: &Mutex<Known>) -> MutexGuard<'_, Known> {
    known.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests;
