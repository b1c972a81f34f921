//! Who has which address, for how long. Pure: time is an argument, and what must be remembered across a restart
//! comes out as [`Record`]s.
//!
//! A client is its hardware address: firmware, iPXE and operating system send different client ids and are the same
//! machine. An address is reserved from the offer on, so no two clients are ever offered the same one. The table
//! cannot outgrow the pool: every entry holds an address.

use std::collections::{BTreeSet, HashMap};
use std::net::Ipv4Addr;

use super::lease::{
    Lease, NEVER, OFFER_GRACE, OFFER_TIME, Plan, QUARANTINE, QUARANTINE_GRACE, Record, Refusal, Seconds,
    State,
};
use super::pool::Free;
use crate::hw::HwAddr;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Holder {
    Client(HwAddr),
    Quarantine { since: Seconds },
}

/// The table.
#[derive(Debug, Default)]
pub struct Leases {
    plan: Plan,
    clients: HashMap<HwAddr, Lease>,
    holders: HashMap<Ipv4Addr, Holder>,
    /// Reserved addresses and for whom.
    reserved: HashMap<Ipv4Addr, HwAddr>,
    free: Free,
    /// What ends when: offers, leases, quarantines.
    due: BTreeSet<(Seconds, Ipv4Addr)>,
    records: Vec<Record>,
}

impl Leases {
    /// A table in which every address of the plan is free.
    #[must_use]
    pub fn new(plan: Plan) -> Self {
        let reserved = plan.reservations.iter().map(|(hw, ip)| (*ip, *hw)).collect();
        let mut leases = Self { plan, reserved, ..Self::default() };
        if let Some((first, last)) = leases.plan.pool {
            for ip in (first.to_bits()..=last.to_bits()).map(Ipv4Addr::from_bits) {
                leases.put_free(ip, 0, None);
            }
        }
        leases
    }

    /// The same leases under another plan; those it has no place for are dropped.
    #[must_use]
    pub fn replan(&self, plan: Plan, now: Seconds) -> Self {
        let mut leases = Self::new(plan);
        leases.restore(self.snapshot(), now, NEVER);
        leases
    }

    /// Takes up what was recorded before, oldest first. No lease ends later than `longest` from now, whatever the
    /// clock was then, except pinned ones. What does not fit the plan (any more) is left out.
    pub fn restore(&mut self, records: impl IntoIterator<Item = Record>, now: Seconds, longest: Seconds) {
        for record in records {
            match record {
                Record::Bound { ip, hw, until } => {
                    let cap = if until == NEVER { NEVER } else { now.saturating_add(longest) };
                    if self.planned(hw, ip).is_ok() {
                        // A later record of the same address tells that the earlier one had ended by then.
                        if let Some(holder) = self.holder(ip).filter(|holder| *holder != hw) {
                            self.retire(holder, now);
                        }
                        self.hold(hw, ip, State::Bound, until.min(cap), now);
                    }
                }
                Record::Freed { ip, hw } => {
                    if self.clients.get(&hw).is_some_and(|lease| lease.ip == ip) {
                        self.retire(hw, now);
                    }
                }
            }
        }
        self.sweep(now);
        self.records.clear();
    }

    /// Records that [`Leases::restore`] makes this table from.
    #[must_use]
    pub fn snapshot(&self) -> Vec<Record> {
        let mut bound: Vec<_> =
            self.clients.iter().filter(|(_, lease)| lease.state == State::Bound).collect();
        bound.sort_by_key(|(_, lease)| lease.ip);
        bound
            .into_iter()
            .map(|(hw, lease)| Record::Bound { ip: lease.ip, hw: *hw, until: lease.until })
            .collect()
    }

    /// What has to be written down since the last call.
    pub fn take_records(&mut self) -> Vec<Record> {
        std::mem::take(&mut self.records)
    }

    /// What `hw` has, or had.
    #[must_use]
    pub fn lease(&self, hw: HwAddr) -> Option<Lease> {
        self.clients.get(&hw).copied()
    }

    /// Whose `ip` is, while it is.
    #[must_use]
    pub fn holder(&self, ip: Ipv4Addr) -> Option<HwAddr> {
        match self.holders.get(&ip)? {
            Holder::Client(hw) => Some(*hw),
            Holder::Quarantine { .. } => None,
        }
    }

    /// Number of clients with an offer or a lease, and of free addresses.
    #[must_use]
    pub fn usage(&self) -> (usize, usize) {
        (self.holders.len(), self.free.len())
    }

    /// Reserves an address for `hw`: its reservation, else what it has or had, else what it asks for, else the one
    /// longest unused, else the oldest offer nobody took. `None` when there is none.
    pub fn offer(&mut self, hw: HwAddr, wanted: Option<Ipv4Addr>, now: Seconds) -> Option<Ipv4Addr> {
        self.sweep(now);
        if let Some(lease) = self.clients.get(&hw).copied()
            && lease.state == State::Bound
            && self.may_hold(hw, lease.ip).is_ok()
        {
            return Some(lease.ip); // the lease goes on as it is: a second boot stage of the same machine
        }
        let known = self.clients.get(&hw).map(|lease| lease.ip);
        let ip = match self.plan.reservations.get(&hw) {
            Some(ip) => self.may_hold(hw, *ip).is_ok().then_some(*ip),
            None => [known, wanted]
                .into_iter()
                .flatten()
                .find(|ip| self.may_hold(hw, *ip).is_ok())
                .or_else(|| self.free.next())
                .or_else(|| self.reclaim(now)),
        }?;
        self.hold(hw, ip, State::Offered, now + OFFER_TIME, now);
        Some(ip)
    }

    /// Grants `ip` to `hw` for `seconds`.
    ///
    /// # Errors
    /// [`Refusal`] when it may not have it; what it had stays as it was.
    pub fn bind(&mut self, hw: HwAddr, ip: Ipv4Addr, seconds: Seconds, now: Seconds) -> Result<(), Refusal> {
        self.sweep(now);
        self.may_hold(hw, ip)?;
        let pinned = self.clients.get(&hw).is_some_and(|lease| lease.ip == ip && lease.until == NEVER);
        let until = if pinned { NEVER } else { now.saturating_add(seconds) };
        self.hold(hw, ip, State::Bound, until, now);
        self.records.push(Record::Bound { ip, hw, until });
        Ok(())
    }

    /// Keeps what `hw` has for ever: the machine will use it as its own. False when it has nothing.
    pub fn pin(&mut self, hw: HwAddr, now: Seconds) -> bool {
        self.sweep(now);
        match self.clients.get(&hw).copied() {
            Some(Lease { until: NEVER, .. }) => true,
            Some(lease) if lease.state != State::Past => {
                self.hold(hw, lease.ip, State::Bound, NEVER, now);
                self.records.push(Record::Bound { ip: lease.ip, hw, until: NEVER });
                true
            }
            _ => false,
        }
    }

    /// `hw` gives `ip` back. A pinned address is kept: a machine that shuts down still owns it.
    pub fn release(&mut self, hw: HwAddr, ip: Ipv4Addr, now: Seconds) {
        let current = self.clients.get(&hw);
        if current.is_some_and(|lease| lease.ip == ip && lease.until != NEVER && lease.state != State::Past) {
            self.retire(hw, now);
            self.records.push(Record::Freed { ip, hw });
        }
    }

    /// `hw` turned to another server: an offer of ours is free again.
    pub fn withdraw(&mut self, hw: HwAddr, now: Seconds) {
        if self.clients.get(&hw).is_some_and(|lease| lease.state == State::Offered) {
            self.retire(hw, now);
        }
    }

    /// `hw` found `ip` in use by somebody: nobody gets it for a while. Ignored when it was not given to `hw`.
    pub fn decline(&mut self, hw: HwAddr, ip: Ipv4Addr, now: Seconds) -> bool {
        if !self.clients.get(&hw).is_some_and(|lease| lease.ip == ip && lease.state != State::Past) {
            return false;
        }
        self.retire(hw, now);
        self.clients.remove(&hw);
        self.records.push(Record::Freed { ip, hw });
        self.take_free(ip);
        self.holders.insert(ip, Holder::Quarantine { since: now });
        self.due.insert((now + QUARANTINE, ip));
        true
    }

    /// Whether `hw` may have `ip` now.
    fn may_hold(&self, hw: HwAddr, ip: Ipv4Addr) -> Result<(), Refusal> {
        self.planned(hw, ip)?;
        match self.holders.get(&ip) {
            None => Ok(()),
            Some(Holder::Client(holder)) if *holder == hw => Ok(()),
            Some(_) => Err(Refusal::Taken),
        }
    }

    /// Whether the plan lets `hw` have `ip`, whoever has it now.
    fn planned(&self, hw: HwAddr, ip: Ipv4Addr) -> Result<(), Refusal> {
        if let Some(reserved) = self.plan.reservations.get(&hw) {
            if *reserved != ip {
                return Err(Refusal::Reserved);
            }
        } else if self.reserved.contains_key(&ip) {
            return Err(Refusal::Taken);
        } else if !self.in_pool(ip) {
            return Err(Refusal::NotOurs);
        }
        Ok(())
    }

    /// Gives `ip` to `hw` and forgets what it had.
    fn hold(&mut self, hw: HwAddr, ip: Ipv4Addr, state: State, until: Seconds, now: Seconds) {
        self.retire(hw, now);
        self.take_free(ip);
        self.holders.insert(ip, Holder::Client(hw));
        self.due.insert((until, ip));
        self.clients.insert(hw, Lease { ip, state, until });
    }

    /// Makes a client's lease a past one; its address is free again.
    fn retire(&mut self, hw: HwAddr, now: Seconds) {
        let Some(lease) = self.clients.get_mut(&hw).filter(|lease| lease.state != State::Past) else {
            return;
        };
        let was = std::mem::replace(lease, Lease { state: State::Past, until: now, ..*lease });
        self.due.remove(&(was.until, was.ip));
        self.holders.remove(&was.ip);
        if was.state == State::Offered {
            self.clients.remove(&hw); // an offer that was not taken leaves no trace, or a flood would fill the table
        }
        self.put_free(was.ip, now, (was.state == State::Bound).then_some(hw));
    }

    /// Ends what is due.
    fn sweep(&mut self, now: Seconds) {
        while let Some((until, ip)) = self.due.first().copied().filter(|(until, _)| *until <= now) {
            match self.holders.get(&ip).copied() {
                Some(Holder::Client(hw)) => self.retire(hw, until),
                Some(Holder::Quarantine { .. }) => self.end_quarantine(ip, until),
                None => {}
            }
            self.due.remove(&(until, ip));
        }
    }

    /// When the pool is exhausted: the address of the oldest offer nobody took, else of the oldest quarantine.
    fn reclaim(&mut self, now: Seconds) -> Option<Ipv4Addr> {
        let age = |since: Seconds| now.saturating_sub(since);
        // In the order of their ends, which for offers is that of their beginnings; leases end later than these.
        let mut offers =
            self.due.range(..(now + OFFER_TIME + 1, Ipv4Addr::UNSPECIFIED)).filter_map(|(until, ip)| {
                match self.holders.get(ip)? {
                    Holder::Client(hw) if self.clients.get(hw)?.state == State::Offered => {
                        Some((*until, *ip, *hw))
                    }
                    _ => None,
                }
            });
        let oldest = offers.find(|(_, ip, _)| !self.reserved.contains_key(ip));
        if let Some((until, ip, hw)) = oldest.filter(|(until, ..)| age(until - OFFER_TIME) >= OFFER_GRACE) {
            self.retire(hw, until.min(now));
            return Some(ip);
        }
        let quarantined = self.holders.iter().filter_map(|(ip, holder)| match holder {
            Holder::Quarantine { since } => Some((*since, *ip)),
            Holder::Client(_) => None,
        });
        let (since, ip) = quarantined.min().filter(|(since, ip)| {
            age(*since) >= QUARANTINE_GRACE && self.in_pool(*ip) && !self.reserved.contains_key(ip)
        })?;
        self.due.remove(&(since + QUARANTINE, ip));
        self.end_quarantine(ip, now);
        Some(ip)
    }

    fn end_quarantine(&mut self, ip: Ipv4Addr, now: Seconds) {
        self.holders.remove(&ip);
        self.put_free(ip, now, None);
    }

    fn in_pool(&self, ip: Ipv4Addr) -> bool {
        self.plan.pool.is_some_and(|(first, last)| (first..=last).contains(&ip))
            && !self.plan.excluded.contains(&ip)
    }

    fn put_free(&mut self, ip: Ipv4Addr, since: Seconds, last: Option<HwAddr>) {
        if self.in_pool(ip) && !self.reserved.contains_key(&ip) {
            self.free.put(ip, since, last);
        }
    }

    fn take_free(&mut self, ip: Ipv4Addr) {
        // Whoever is remembered to have had it is no longer promised it.
        if let Some(hw) = self.free.take(ip)
            && self.clients.get(&hw).is_some_and(|lease| lease.ip == ip && lease.state == State::Past)
        {
            self.clients.remove(&hw);
        }
    }
}

#[cfg(test)]
mod tests;
