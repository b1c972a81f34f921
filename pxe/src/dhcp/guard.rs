//! What is done about other DHCP servers, shared by the threads that hear of them: the state of [`super::foreign`] with
//! a clock, its words in the log, and its counts.

use std::net::Ipv4Addr;
use std::sync::atomic::{AtomicU8, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use super::foreign::{self, Change, Foreign, Mode, Role, Timing};
use super::packet::Packet;
use crate::counters::{Counters, count};
use crate::hw::HwAddr;

/// A shared handle.
#[derive(Debug, Clone)]
pub struct Guard(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    us: Ipv4Addr,
    start: Instant,
    /// As in `foreign`, for those who have no time to wait for the lock.
    role: AtomicU8,
    state: Mutex<State>,
    counters: Arc<Counters>,
}

#[derive(Debug)]
struct State {
    mode: Mode,
    timing: Timing,
    foreign: Foreign,
}

impl Guard {
    /// Nothing is known yet.
    #[must_use]
    pub fn new(us: Ipv4Addr, mode: Mode, timing: Timing, counters: Arc<Counters>) -> Self {
        let foreign = Foreign::new(us, mode, timing, Duration::ZERO);
        let role = AtomicU8::new(foreign.role() as u8);
        let state = Mutex::new(State { mode, timing, foreign });
        let inner = Inner { us, start: Instant::now(), role, state, counters };
        Self(Arc::new(inner))
    }

    /// Forgets everything, and looks again before an address is given.
    pub fn begin(&self) {
        let mut state = self.lock();
        let (us, now) = (self.0.us, self.0.start.elapsed());
        state.foreign = Foreign::new(us, state.mode, state.timing, now);
        self.publish(&state.foreign, None);
    }

    /// Takes up what a changed configuration asks for; nothing happens when it asks for the same.
    pub fn set(&self, mode: Mode, timing: Timing) {
        let mut state = self.lock();
        if (state.mode, state.timing) != (mode, timing) {
            (state.mode, state.timing) = (mode, timing);
            drop(state);
            self.begin();
        }
    }

    /// What the configuration asks for.
    #[must_use]
    pub fn mode(&self) -> Mode {
        self.lock().mode
    }

    /// Our address.
    #[must_use]
    pub fn us(&self) -> Ipv4Addr {
        self.0.us
    }

    /// What is done now.
    #[must_use]
    pub fn role(&self) -> Role {
        const ROLES: [Role; 4] = [Role::Looking, Role::Server, Role::Proxy, Role::Off];
        let role = self.0.role.load(Ordering::Relaxed);
        ROLES.into_iter().find(|r| *r as u8 == role).unwrap_or(Role::Off)
    }

    /// The servers that addresses are left to.
    #[must_use]
    pub fn servers(&self) -> Vec<Ipv4Addr> {
        self.lock().foreign.servers()
    }

    /// Looks whether `packet`, heard on either DHCP port, tells of another server.
    pub fn heard(&self, packet: &Packet<'_>) {
        let Some(sighting) = foreign::sighting(packet).filter(|seen| seen.server != self.0.us) else {
            return;
        };
        count(&self.0.counters.dhcp_foreign);
        let mut state = self.lock();
        let change = state.foreign.seen(self.0.start.elapsed(), sighting);
        self.publish(&state.foreign, change);
    }

    /// What is due now: whether to ask, and with a change to `Server` the addresses that others gave away lately, and
    /// to whom.
    pub fn tick(&self, held: impl Fn(Ipv4Addr) -> Option<HwAddr>) -> (bool, Vec<(Ipv4Addr, HwAddr)>) {
        let now = self.0.start.elapsed();
        let mut state = self.lock();
        let tick = state.foreign.tick(now, held);
        self.publish(&state.foreign, tick.change);
        let given = if tick.change.is_some() { state.foreign.given(now).collect() } else { Vec::new() };
        (tick.probe, given)
    }

    fn publish(&self, foreign: &Foreign, change: Option<Change>) {
        self.0.role.store(foreign.role() as u8, Ordering::Relaxed);
        match change {
            None => {}
            Some(Change::Alone) => {
                tracing::info!("no other DHCP server was found; addresses are given from here");
            }
            Some(Change::Gone) => {
                count(&self.0.counters.dhcp_returns);
                tracing::warn!(
                    "nothing was heard of the other DHCP server any more; addresses are given again"
                );
            }
            Some(Change::Found(server)) if foreign.role() == Role::Server => {
                tracing::error!(
                    %server,
                    "another DHCP server gives addresses on this network, and this one was told to do so too; \
                     machines may get the same address twice: switch one off, or set `mode = \"auto\"`"
                );
            }
            Some(Change::Found(server)) => {
                count(&self.0.counters.dhcp_fallbacks);
                tracing::warn!(
                    %server,
                    "another DHCP server gives addresses on this network; they are left to it, and from here \
                     machines are only told what to boot (ProxyDHCP)"
                );
            }
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // A panic while it was held leaves a state that is still whole: it is changed a field at a time.
        self.0.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
