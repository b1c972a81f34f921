//! The table made from records, and carried over to another plan.

use std::net::Ipv4Addr;

use super::super::identity::Who;
use super::super::lease::{NEVER, Plan, Record, Seconds, State};
use super::super::reserve::Key;
use super::{Holder, Leases};
use crate::hw::HwAddr;

impl Leases {
    /// The same plan with these leases, and nothing of what was before.
    #[must_use]
    pub fn begin_with(&self, records: Vec<Record>, now: Seconds, longest: Seconds) -> Self {
        let mut leases = Self::new(self.plan.clone());
        leases.restore(records, now, longest);
        leases
    }

    /// The same table under another plan: leases, offers, what was set aside, and who had which address last. What
    /// it has no place for is dropped.
    #[must_use]
    pub fn replan(&self, plan: Plan, now: Seconds) -> Self {
        let mut leases = Self::new(plan);
        leases.known.clone_from(&self.known);
        leases.aliases.clone_from(&self.aliases);
        for (ip, since, last) in self.areas.iter().flat_map(|area| area.free.iter()) {
            let Some(network) = leases.network_of(ip).filter(|n| leases.areas[*n].free.contains(ip)) else {
                continue;
            };
            leases.put_free(ip, since, last);
            let had = last.and_then(|hw| self.lease_of(hw, ip).map(|lease| (hw, lease)));
            if let Some((hw, lease)) = had.filter(|(_, lease)| lease.state == State::Past) {
                leases.clients.insert((hw, network), lease);
            }
        }
        leases.restore(self.snapshot(), now, NEVER);
        let mut others: Vec<_> = self.holders.iter().collect();
        others.sort_by_key(|(ip, _)| **ip);
        for (ip, holder) in others {
            match holder {
                Holder::Client(hw) => {
                    let offer = self.lease_of(*hw, *ip).filter(|lease| lease.state == State::Offered);
                    if let Some(offer) = offer.filter(|_| leases.may_hold(&Who::from(*hw), *ip).is_ok()) {
                        leases.hold(*hw, *ip, State::Offered, offer.until, now);
                    }
                }
                Holder::Quarantine { since, by } => {
                    let free = leases.network_of(*ip).is_some_and(|n| leases.areas[n].free.contains(*ip));
                    if free {
                        leases.quarantine(*ip, *by, *since);
                    }
                }
            }
        }
        leases
    }

    /// Takes up what was recorded before, oldest first. No lease ends later than `longest` from now, whatever the
    /// clock was then, except pinned ones. What does not fit the plan (any more) is left out.
    pub fn restore(&mut self, records: impl IntoIterator<Item = Record>, now: Seconds, longest: Seconds) {
        for record in records {
            match record {
                Record::Bound { ip, hw, until } => {
                    let cap = if until == NEVER { NEVER } else { now.saturating_add(longest) };
                    if self.fits(hw, ip) {
                        // A later record of the same address tells that the earlier one had ended by then.
                        if let (Some(holder), Some(network)) = (self.holder(ip), self.network_of(ip))
                            && holder != hw
                        {
                            self.retire((holder, network), now);
                        }
                        self.hold(hw, ip, State::Bound, until.min(cap), now);
                    }
                }
                Record::Freed { ip, hw } => {
                    if let Some(network) = self.network_of(ip)
                        && self.clients.get(&(hw, network)).is_some_and(|lease| lease.ip == ip)
                    {
                        self.retire((hw, network), now);
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
        let record = |((hw, _), lease): (&(HwAddr, usize), &super::Lease)| Record::Bound {
            ip: lease.ip,
            hw: *hw,
            until: lease.until,
        };
        bound.into_iter().map(record).collect()
    }

    fn lease_of(&self, hw: HwAddr, ip: Ipv4Addr) -> Option<super::Lease> {
        let network = self.network_of(ip)?;
        self.clients.get(&(hw, network)).copied().filter(|lease| lease.ip == ip)
    }

    /// Whether the plan has a place for a lease that was granted before. Who got an address that is reserved by
    /// another mark than the hardware address had that mark, or was there before it was reserved. A machine that has
    /// another address than the one reserved for it moves when it renews.
    fn fits(&self, hw: HwAddr, ip: Ipv4Addr) -> bool {
        match (self.network_of(ip), self.plan.reservations.owner(ip)) {
            (None, _) => false,
            (_, Some(Key::Mac(_))) => self.planned(&Who::from(hw), ip).is_ok(),
            (_, Some(_)) => true,
            (Some(network), None) => self.in_pool(network, ip),
        }
    }
}
