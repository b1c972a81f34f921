//! Leases and their journal together, shared between the DHCP service and the HTTP server. Effects: one file, one
//! clock.

use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Instant, SystemTime, UNIX_EPOCH};

use maekin_host::file::FileError;

use super::journal::Journal;
use super::lease::{Plan, Record, Seconds};
use super::leases::Leases;
use crate::hw::HwAddr;

/// The lease clock: real time when the program started, monotonic from then on, so that a clock being set neither
/// ends leases nor prolongs them.
#[derive(Debug, Clone, Copy)]
pub struct Clock {
    start: Instant,
    wall: Seconds,
}

impl Clock {
    /// A clock that starts now.
    #[must_use]
    pub fn start() -> Self {
        let wall = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |d| d.as_secs());
        Self { start: Instant::now(), wall }
    }

    /// Now.
    #[must_use]
    pub fn now(&self) -> Seconds {
        self.wall + self.start.elapsed().as_secs()
    }
}

/// The table with its journal.
#[derive(Debug)]
pub struct Inner {
    /// The table.
    pub leases: Leases,
    journal: Option<Journal>,
}

impl Inner {
    /// Makes what was promised durable.
    ///
    /// # Errors
    /// [`FileError`] when it is not; what was promised must then not be sent.
    pub fn commit(&mut self) -> Result<(), FileError> {
        let records = self.leases.take_records();
        match &mut self.journal {
            Some(journal) => journal.append(&records, || self.leases.snapshot()),
            None => Ok(()),
        }
    }
}

/// A shared handle.
#[derive(Debug, Clone)]
pub struct Store {
    inner: Arc<Mutex<Inner>>,
    clock: Clock,
}

impl Store {
    /// Opens the journal at `path` and takes up what it holds. No lease is taken to last longer than `longest`.
    ///
    /// # Errors
    /// [`FileError`] naming the journal.
    pub fn open(path: &Path, plan: Plan, longest: Seconds) -> Result<Self, FileError> {
        let clock = Clock::start();
        let replay = Journal::read(path)?;
        if replay.damaged > 0 {
            tracing::warn!(file = %path.display(), lines = replay.damaged, "damaged lines of the lease journal left out");
        }
        let mut leases = Leases::new(plan);
        leases.restore(replay.records, clock.now(), longest);
        let journal = Some(Journal::start(path, &leases.snapshot())?);
        Ok(Self { inner: Arc::new(Mutex::new(Inner { leases, journal })), clock })
    }

    /// A store that forgets.
    #[must_use]
    pub fn in_memory(plan: Plan) -> Self {
        let inner = Inner { leases: Leases::new(plan), journal: None };
        Self { inner: Arc::new(Mutex::new(inner)), clock: Clock::start() }
    }

    /// Now, on the lease clock.
    #[must_use]
    pub fn now(&self) -> Seconds {
        self.clock.now()
    }

    /// The table, for as long as the guard lives.
    pub fn lock(&self) -> MutexGuard<'_, Inner> {
        // A panic while it was held leaves a table that is still better than none: nothing in it is half done for
        // longer than one call.
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Begins anew with these leases, and with nothing of what was before.
    ///
    /// # Errors
    /// [`FileError`] when they cannot be written down.
    pub fn begin_with(&self, records: Vec<Record>, longest: Seconds) -> Result<(), FileError> {
        let mut inner = self.lock();
        inner.leases = inner.leases.begin_with(records, self.now(), longest);
        let live = inner.leases.snapshot();
        match &mut inner.journal {
            Some(journal) => journal.begin_with(&live),
            None => Ok(()),
        }
    }

    /// Takes up another plan.
    pub fn replan(&self, plan: Plan) {
        let mut inner = self.lock();
        inner.leases = inner.leases.replan(plan, self.now());
    }

    /// Makes `hw` no stranger: it gets an address though a flood took all that strangers may have.
    pub fn know(&self, hw: HwAddr) {
        self.lock().leases.know(hw);
    }

    /// Keeps what `hw` has for ever, durably: the machine is being installed with it as its own address.
    ///
    /// # Errors
    /// [`FileError`] when that cannot be written down.
    pub fn pin(&self, hw: HwAddr) -> Result<bool, FileError> {
        let mut inner = self.lock();
        let pinned = inner.leases.pin(hw, self.now());
        inner.commit()?;
        Ok(pinned)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::Ipv4Addr;

    fn plan() -> Plan {
        Plan::of(Ipv4Addr::new(10, 0, 0, 1), Ipv4Addr::new(10, 0, 0, 9))
    }

    #[test]
    fn leases_and_pins_are_there_after_a_restart() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("leases");
        let [one, two]: [HwAddr; 2] =
            ["02:00:00:00:00:01", "02:00:00:00:00:02"].map(|hw| hw.parse().unwrap());
        let store = Store::open(&path, plan(), 3600).unwrap();
        let now = store.now();
        let mut inner = store.lock();
        let ip = inner.leases.offer(&one.into(), 0, None, now).unwrap();
        inner.leases.bind(&one.into(), ip, 3600, now).unwrap();
        inner.leases.bind(&two.into(), Ipv4Addr::new(10, 0, 0, 5), 3600, now).unwrap();
        inner.commit().unwrap();
        drop(inner);
        assert!(store.pin(two).unwrap());
        let before = store.lock().leases.snapshot();
        drop(store);
        let again = Store::open(&path, plan(), 3600).unwrap();
        assert_eq!(again.lock().leases.snapshot(), before);
    }

    #[test]
    fn a_journal_that_cannot_be_written_fails_the_commit() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("file/leases");
        std::fs::write(dir.path().join("file"), "in the way").unwrap();
        let err = Store::open(&path, plan(), 3600).unwrap_err();
        assert!(err.to_string().contains("file"), "{err}");
    }
}
