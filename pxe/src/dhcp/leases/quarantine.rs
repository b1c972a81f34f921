//! Addresses that somebody uses who was not given them: set aside for a while, and never more than half a pool.

use std::net::Ipv4Addr;

use super::super::identity::Who;
use super::super::lease::{QUARANTINE, QUARANTINE_GRACE, Record, Seconds, State};
use super::{Holder, Leases};
use crate::hw::HwAddr;

/// What became of an address that was asked for, or heard of, on the wire.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// Nobody answered: it is given out next.
    Silent,
    /// Somebody uses it: it is set aside.
    Quarantined,
    /// Somebody uses it, but half of its pool is set aside already: somebody may be answering for all.
    TooMany,
    /// Somebody uses an address that we gave to another.
    Conflict(HwAddr),
    /// Nothing to be said: its holder answered, or it is not ours to give.
    Fine,
}

impl Leases {
    /// A client found `ip` in use by somebody: nobody gets it for a while. Ignored when it was not given to it.
    pub fn decline(&mut self, who: &Who<'_>, ip: Ipv4Addr, now: Seconds) -> bool {
        let hw = self.one_machine(who, now).hw;
        let Some(network) = self.network_of(ip) else { return false };
        let client = (hw, network);
        if !self.clients.get(&client).is_some_and(|lease| lease.ip == ip && lease.state != State::Past) {
            return false;
        }
        self.retire(client, now);
        self.clients.remove(&client);
        self.records.push(Record::Freed { ip, hw });
        if self.areas[network].may_quarantine() || self.plan.reservations.owner(ip).is_some() {
            self.quarantine(ip, None, now);
        } else {
            self.put_free(ip, now, None); // behind all others
        }
        true
    }

    /// Addresses of the first network that will be given out soon and were not found silent since `after`.
    #[must_use]
    pub fn unsure(&self, ahead: usize, most: usize, after: Seconds) -> Vec<Ipv4Addr> {
        self.areas.first().map(|area| area.free.unsure(ahead, most, after)).unwrap_or_default()
    }

    /// Takes in who answered at `ip`, if anybody did.
    pub fn heard(&mut self, ip: Ipv4Addr, answer: Option<HwAddr>, now: Seconds) -> Verdict {
        let Some(network) = self.network_of(ip) else { return Verdict::Fine };
        match (answer, self.holders.get(&ip)) {
            (Some(by), Some(Holder::Client(hw))) if by != *hw && hw.as_bytes().len() == 6 => {
                Verdict::Conflict(*hw)
            }
            (_, Some(_)) => Verdict::Fine,
            (_, None) if !self.areas[network].free.contains(ip) => Verdict::Fine,
            (None, None) => {
                self.areas[network].free.silent(ip, now);
                Verdict::Silent
            }
            (Some(_), None) if !self.areas[network].may_quarantine() => Verdict::TooMany,
            (Some(by), None) => {
                self.quarantine(ip, Some(by), now);
                Verdict::Quarantined
            }
        }
    }

    /// Sets a free address aside.
    pub(super) fn quarantine(&mut self, ip: Ipv4Addr, by: Option<HwAddr>, now: Seconds) {
        let Some(network) = self.network_of(ip) else { return };
        self.take_free(ip);
        self.holders.insert(ip, Holder::Quarantine { since: now, by });
        self.due.insert((now + QUARANTINE, ip));
        self.areas[network].quarantined.insert((now, ip));
    }

    /// Forgets that an address was set aside.
    pub(super) fn drop_quarantine(&mut self, ip: Ipv4Addr, since: Seconds) {
        self.holders.remove(&ip);
        self.due.remove(&(since + QUARANTINE, ip));
        if let Some(network) = self.network_of(ip) {
            self.areas[network].quarantined.remove(&(since, ip));
        }
    }

    /// An address that was set aside is free again.
    pub(super) fn end_quarantine(&mut self, ip: Ipv4Addr, since: Seconds, now: Seconds) {
        self.drop_quarantine(ip, since);
        self.put_free(ip, now, None);
    }

    /// Frees what was set aside first, if that is long enough ago.
    pub(super) fn reclaim_quarantined(&mut self, network: usize, now: Seconds) -> bool {
        let reserved = |ip: &Ipv4Addr| self.plan.reservations.owner(*ip).is_some();
        let oldest = self.areas[network].quarantined.iter().find(|(_, ip)| !reserved(ip)).copied();
        let Some((since, ip)) = oldest.filter(|(since, _)| now.saturating_sub(*since) >= QUARANTINE_GRACE)
        else {
            return false;
        };
        self.end_quarantine(ip, since, now);
        true
    }
}
