//! Who has which address, for how long. Pure: time is an argument, and what must be remembered across a restart
//! comes out as [`Record`]s.
//!
//! A client is its hardware address: firmware, iPXE and operating system send different client ids and are the same
//! machine; in each network it has one address. An address is reserved from the offer on, so no two clients are ever
//! offered the same one. The table cannot outgrow the pools: every entry holds an address, or is the last that did.

mod quarantine;
mod restore;
mod strangers;

use std::collections::{BTreeSet, HashMap, HashSet};
use std::net::Ipv4Addr;

use super::identity::Who;
use super::lease::{Lease, NEVER, OFFER_TIME, Plan, Record, Refusal, Seconds, State};
use super::pool::{Area, Gate};
use super::reserve::Key;
use crate::hw::HwAddr;

pub use quarantine::Verdict;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Holder {
    Client(HwAddr),
    /// Somebody uses it: `by`, when that is known, who alone may ask for it.
    Quarantine {
        since: Seconds,
        by: Option<HwAddr>,
    },
}

/// A client in the network with that place in the plan.
type ClientKey = (HwAddr, usize);

/// The table.
#[derive(Debug)]
pub struct Leases {
    plan: Plan,
    clients: HashMap<ClientKey, Lease>,
    holders: HashMap<Ipv4Addr, Holder>,
    /// One for each network of the plan.
    areas: Vec<Area>,
    /// Who had a reserved address last; pools remember theirs themselves.
    last_reserved: HashMap<Ipv4Addr, HwAddr>,
    /// What ends when: offers, leases, quarantines.
    due: BTreeSet<(Seconds, Ipv4Addr)>,
    /// The address that firmware asks under, and the one of the same machine's next stages.
    aliases: HashMap<HwAddr, HwAddr>,
    /// Machines that became known while running.
    known: HashSet<HwAddr>,
    gate: Gate,
    records: Vec<Record>,
}

impl Leases {
    /// A table in which every address of the plan is free.
    #[must_use]
    pub fn new(plan: Plan) -> Self {
        let areas = plan.networks.iter().map(|_| Area::default()).collect();
        let mut leases = Self {
            clients: HashMap::new(),
            holders: HashMap::new(),
            areas,
            last_reserved: HashMap::new(),
            due: BTreeSet::new(),
            aliases: HashMap::new(),
            known: HashSet::new(),
            gate: Gate::new(plan.strangers_per_second),
            records: Vec::new(),
            plan,
        };
        let pools: Vec<_> = leases.plan.networks.iter().flat_map(|network| network.pools.clone()).collect();
        for (first, last) in pools {
            for ip in (first.to_bits()..=last.to_bits()).map(Ipv4Addr::from_bits) {
                leases.put_free(ip, 0, None);
            }
        }
        for area in &mut leases.areas {
            area.size = area.free.len();
            area.kept = area.size * leases.plan.kept_percent.min(100) / 100;
        }
        leases
    }

    /// What has to be written down since the last call.
    pub fn take_records(&mut self) -> Vec<Record> {
        std::mem::take(&mut self.records)
    }

    /// What `hw` has, or had; in the first network where it has something rather than had.
    #[must_use]
    pub fn lease(&self, hw: HwAddr) -> Option<Lease> {
        let all = || (0..self.areas.len()).filter_map(|network| self.clients.get(&(hw, network)));
        all().find(|lease| lease.state != State::Past).or_else(|| all().next()).copied()
    }

    /// What `hw` has, or had, in the network with that place in the plan.
    #[must_use]
    pub fn lease_in(&self, hw: HwAddr, network: usize) -> Option<Lease> {
        self.clients.get(&(hw, network)).copied()
    }

    /// Whose `ip` is, while it is.
    #[must_use]
    pub fn holder(&self, ip: Ipv4Addr) -> Option<HwAddr> {
        match self.holders.get(&ip)? {
            Holder::Client(hw) => Some(*hw),
            Holder::Quarantine { .. } => None,
        }
    }

    /// Whether `ip` is somebody else's, by lease or by reservation.
    #[must_use]
    pub fn is_anothers(&self, who: &Who<'_>, ip: Ipv4Addr) -> bool {
        self.may_hold(who, ip) == Err(Refusal::Taken)
    }

    /// Number of clients with an offer or a lease, and of free addresses.
    #[must_use]
    pub fn usage(&self) -> (usize, usize) {
        (self.holders.len(), self.areas.iter().map(|area| area.free.len()).sum())
    }

    /// Reserves an address of one network for a client: its reservation, else what it has or had, else what it asks
    /// for, else the one longest unused, else the oldest offer nobody took. `None` when there is none for it.
    pub fn offer(
        &mut self,
        who: &Who<'_>,
        network: usize,
        wanted: Option<Ipv4Addr>,
        now: Seconds,
    ) -> Option<Ipv4Addr> {
        self.sweep(now);
        let who = &self.one_machine(who, now);
        let hw = who.hw;
        let here = self.plan.networks.get(network)?.cidr;
        let had = self.clients.get(&(hw, network)).copied();
        if let Some(lease) = had
            && lease.state == State::Bound
            && self.may_hold(who, lease.ip).is_ok()
        {
            return Some(lease.ip); // the lease goes on as it is: a second boot stage of the same machine
        }
        let fixed = self.plan.reservations.address(who, here);
        let known = [fixed, had.map(|lease| lease.ip), wanted.filter(|ip| here.contains(*ip))];
        let found = known.into_iter().flatten().find(|ip| self.may_hold(who, *ip).is_ok());
        let ip = match found {
            Some(ip) if self.is_owed(who, ip) => ip,
            found => self.admit(who, network, now).ok().and_then(|()| {
                let area = &self.areas[network];
                found.filter(|ip| area.free.contains(*ip)).or_else(|| area.free.next())
            })?,
        };
        self.hold(hw, ip, State::Offered, now + OFFER_TIME, now);
        Some(ip)
    }

    /// Grants `ip` to a client for `seconds`.
    ///
    /// # Errors
    /// [`Refusal`] when it may not have it; what it had stays as it was.
    pub fn bind(
        &mut self,
        who: &Who<'_>,
        ip: Ipv4Addr,
        seconds: Seconds,
        now: Seconds,
    ) -> Result<(), Refusal> {
        self.sweep(now);
        let who = &self.one_machine(who, now);
        let hw = who.hw;
        self.may_hold(who, ip)?;
        let network = self.network_of(ip).ok_or(Refusal::NotOurs)?;
        if !self.is_owed(who, ip) {
            self.admit(who, network, now)?;
            // To make room an offer may have been taken back, but not this address from under somebody.
            self.may_hold(who, ip)?;
        }
        let had = self.clients.get(&(hw, network));
        let pinned = had.is_some_and(|lease| lease.ip == ip && lease.until == NEVER);
        let until = if pinned { NEVER } else { now.saturating_add(seconds) };
        self.hold(hw, ip, State::Bound, until, now);
        self.records.push(Record::Bound { ip, hw, until });
        Ok(())
    }

    /// Keeps what `hw` has for ever: the machine will use it as its own. False when it has nothing.
    pub fn pin(&mut self, hw: HwAddr, now: Seconds) -> bool {
        self.sweep(now);
        match self.lease(hw) {
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
        let Some(network) = self.network_of(ip) else { return };
        let current = self.clients.get(&(hw, network));
        if current.is_some_and(|lease| lease.ip == ip && lease.until != NEVER && lease.state != State::Past) {
            self.retire((hw, network), now);
            self.records.push(Record::Freed { ip, hw });
        }
    }

    /// `hw` turned to another server: an offer of ours is free again.
    pub fn withdraw(&mut self, hw: HwAddr, network: usize, now: Seconds) {
        if self.clients.get(&(hw, network)).is_some_and(|lease| lease.state == State::Offered) {
            self.retire((hw, network), now);
        }
    }

    /// Whether a client may have `ip` now.
    fn may_hold(&self, who: &Who<'_>, ip: Ipv4Addr) -> Result<(), Refusal> {
        self.planned(who, ip)?;
        if self.is_free_for(who.hw, ip) { Ok(()) } else { Err(Refusal::Taken) }
    }

    /// Whether nobody else has `ip`.
    fn is_free_for(&self, hw: HwAddr, ip: Ipv4Addr) -> bool {
        match self.holders.get(&ip) {
            None => true,
            Some(Holder::Client(holder)) => *holder == hw,
            Some(Holder::Quarantine { by, .. }) => *by == Some(hw),
        }
    }

    /// Whether the plan lets a client have `ip`, whoever has it now.
    fn planned(&self, who: &Who<'_>, ip: Ipv4Addr) -> Result<(), Refusal> {
        let network = self.network_of(ip).ok_or(Refusal::NotOurs)?;
        let reservations = &self.plan.reservations;
        match reservations.address(who, self.plan.networks[network].cidr) {
            Some(fixed) if fixed == ip => return Ok(()),
            // While somebody else still has the fixed one, another is better than none.
            Some(fixed) if self.is_free_for(who.hw, fixed) => return Err(Refusal::Reserved),
            _ => {}
        }
        match reservations.owner(ip) {
            None => self.in_pool(network, ip).then_some(()).ok_or(Refusal::NotOurs),
            Some(Key::Mac(_)) => Err(Refusal::Taken),
            // The system does not send the UUID by which its firmware got the address: what it has, it keeps.
            Some(_) => {
                let has = self.clients.get(&(who.hw, network)).is_some_and(|lease| lease.ip == ip);
                has.then_some(()).ok_or(Refusal::Taken)
            }
        }
    }

    /// Gives `ip` to `hw` and forgets what it had in that network.
    fn hold(&mut self, hw: HwAddr, ip: Ipv4Addr, state: State, until: Seconds, now: Seconds) {
        let Some(network) = self.network_of(ip) else { return };
        self.retire((hw, network), now);
        if let Some(Holder::Quarantine { since, .. }) = self.holders.get(&ip).copied() {
            self.drop_quarantine(ip, since);
        }
        self.take_free(ip);
        self.holders.insert(ip, Holder::Client(hw));
        self.due.insert((until, ip));
        if state == State::Offered {
            self.areas[network].offers.insert((until, ip));
        }
        self.clients.insert((hw, network), Lease { ip, state, until });
    }

    /// Makes a client's lease a past one; its address is free again.
    fn retire(&mut self, client: ClientKey, now: Seconds) {
        let Some(lease) = self.clients.get_mut(&client).filter(|lease| lease.state != State::Past) else {
            return;
        };
        let was = std::mem::replace(lease, Lease { state: State::Past, until: now, ..*lease });
        self.due.remove(&(was.until, was.ip));
        self.holders.remove(&was.ip);
        if was.state == State::Offered {
            self.areas[client.1].offers.remove(&(was.until, was.ip));
            self.clients.remove(&client); // an offer that was not taken leaves no trace, or a flood would fill the table
        }
        self.put_free(was.ip, now, (was.state == State::Bound).then_some(client.0));
    }

    /// Ends what is due.
    fn sweep(&mut self, now: Seconds) {
        while let Some((until, ip)) = self.due.first().copied().filter(|(until, _)| *until <= now) {
            match (self.holders.get(&ip).copied(), self.network_of(ip)) {
                (Some(Holder::Client(hw)), Some(network)) => self.retire((hw, network), until),
                (Some(Holder::Quarantine { since, .. }), _) => self.end_quarantine(ip, since, until),
                _ => {}
            }
            self.due.remove(&(until, ip));
        }
    }

    fn network_of(&self, ip: Ipv4Addr) -> Option<usize> {
        self.plan.networks.iter().position(|network| network.cidr.contains(ip))
    }

    fn in_pool(&self, network: usize, ip: Ipv4Addr) -> bool {
        let pools = &self.plan.networks[network].pools;
        pools.iter().any(|(first, last)| (*first..=*last).contains(&ip)) && !self.plan.excluded.contains(&ip)
    }

    fn put_free(&mut self, ip: Ipv4Addr, since: Seconds, last: Option<HwAddr>) {
        let Some(network) = self.network_of(ip) else { return };
        if self.plan.reservations.owner(ip).is_some() {
            if let Some(hw) = last {
                self.last_reserved.insert(ip, hw);
            }
        } else if self.in_pool(network, ip) {
            self.areas[network].free.put(ip, since, last);
        }
    }

    fn take_free(&mut self, ip: Ipv4Addr) {
        let Some(network) = self.network_of(ip) else { return };
        let last = self.areas[network].free.take(ip).or_else(|| self.last_reserved.remove(&ip));
        // Whoever is remembered to have had it is no longer promised it.
        if let Some(hw) = last
            && self.clients.get(&(hw, network)).is_some_and(|l| l.ip == ip && l.state == State::Past)
        {
            self.clients.remove(&(hw, network));
        }
    }
}

#[cfg(test)]
mod tests;
