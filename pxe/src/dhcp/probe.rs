//! Conflicts found before they happen: the addresses that will be given out next are asked for on the wire ahead of
//! time, so that no OFFER ever waits for it, and whoever speaks up for a free address has it set aside.
//!
//! Networks behind relay agents cannot be asked: there the clients' own check, and DECLINE, has to do.

use std::collections::HashMap;
use std::io;
use std::net::Ipv4Addr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use maekin_host::arp::{Asker, Mac};

use super::leases::Verdict;
use super::store::Store;
use crate::counters::{Counters, count};
use crate::hw::HwAddr;

/// How many of the next addresses are kept asked for.
const AHEAD: usize = 256;
/// How many are asked for together.
const TOGETHER: usize = 32;
/// How long an answer may take. RFC 5227 waits 2 s, but then it is a host that comes up, not one that is up.
const PATIENCE: Duration = Duration::from_millis(800);
/// How often each is asked for within that: a question may be lost.
const TIMES: u32 = 2;
/// How long silence is believed, in seconds.
const FRESH: u64 = 600;
/// How long to listen when there is nothing to ask.
const IDLE: Duration = Duration::from_millis(400);
/// How often the same trouble is said.
const SAY_EVERY: Duration = Duration::from_secs(60);

/// The prober, ready to run.
#[derive(Debug)]
pub struct Prober {
    asker: Asker,
    store: Store,
    counters: Arc<Counters>,
    said: Option<Instant>,
}

impl Prober {
    /// Opens it on `interface`.
    ///
    /// # Errors
    /// Where there is no right to raw sockets, or no Ethernet.
    pub fn open(interface: &str, store: Store, counters: Arc<Counters>) -> io::Result<Self> {
        Ok(Self { asker: Asker::open(interface)?, store, counters, said: None })
    }

    /// Probes and listens until `stop` is set.
    ///
    /// # Errors
    /// When the interface is gone or goes down.
    pub fn run(mut self, stop: &AtomicBool) -> io::Result<()> {
        while !stop.load(Ordering::Relaxed) {
            let now = self.store.now();
            let unsure = self.store.lock().leases.unsure(AHEAD, TOGETHER, now.saturating_sub(FRESH));
            if unsure.is_empty() {
                self.listen(IDLE)?;
                continue;
            }
            let mut answered = HashMap::new();
            for _ in 0..TIMES {
                for ip in unsure.iter().filter(|ip| !answered.contains_key(*ip)) {
                    self.asker.ask(Ipv4Addr::UNSPECIFIED, *ip)?;
                }
                answered.extend(self.listen(PATIENCE / TIMES)?);
            }
            let now = self.store.now();
            let mut inner = self.store.lock();
            for ip in unsure.iter().filter(|ip| !answered.contains_key(*ip)) {
                inner.leases.heard(*ip, None, now);
            }
        }
        Ok(())
    }

    /// Takes in whatever is said for `limit`; returns it.
    fn listen(&mut self, limit: Duration) -> io::Result<HashMap<Ipv4Addr, Mac>> {
        let mut heard = HashMap::new();
        let end = Instant::now() + limit;
        loop {
            let left = end.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Ok(heard);
            }
            if let Some((mac, ip)) = self.asker.hear(left)? {
                heard.insert(ip, mac);
                self.take_in(mac, ip);
            }
        }
    }

    fn take_in(&mut self, mac: Mac, ip: Ipv4Addr) {
        let Some(by) = HwAddr::new(&mac) else { return };
        let verdict = self.store.lock().leases.heard(ip, Some(by), self.store.now());
        match verdict {
            Verdict::Fine | Verdict::Silent => {}
            Verdict::Quarantined => {
                count(&self.counters.dhcp_in_use);
                tracing::warn!(%ip, %by, "address is in use though nobody was given it; it is set aside");
            }
            Verdict::TooMany => self.say(|| {
                tracing::warn!(
                    %ip, %by,
                    "address is in use too, but half of the pool is set aside already: does somebody answer for all of it?"
                );
            }),
            Verdict::Conflict(hw) => self.say(|| {
                tracing::warn!(%ip, %by, leased_to = %hw, "two machines use one address");
            }),
        }
    }

    /// Says it, unless something of the kind was said just now: whoever can send ARP could fill the log.
    fn say(&mut self, it: impl FnOnce()) {
        if self.said.is_none_or(|at| at.elapsed() >= SAY_EVERY) {
            self.said = Some(Instant::now());
            it();
        }
    }
}
