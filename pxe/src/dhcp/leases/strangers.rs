//! Who is known and who is a stranger, and how many strangers get an address when there are too many.

use std::net::Ipv4Addr;

use super::super::identity::Who;
use super::super::lease::{NEVER, OFFER_GRACE, OFFER_TIME, Record, Refusal, Seconds, State};
use super::{Holder, Leases};
use crate::hw::HwAddr;

/// Most hardware addresses that are remembered as those of an earlier stage of a machine.
const ALIASES: usize = 4096;
/// Most machines that are made known while running.
const KNOWN: usize = 1 << 16;

impl Leases {
    /// Makes `hw` no stranger, such as when its installation is approved before it has an address.
    pub fn know(&mut self, hw: HwAddr) {
        if self.known.len() < KNOWN {
            self.known.insert(hw);
        }
    }

    /// The client with the hardware address that its leases are kept by. Firmware with `SendGUID` asks under the machine's
    /// UUID; what it got goes on to the stage that comes with the UUID and another hardware address.
    pub(super) fn one_machine<'a>(&mut self, who: &Who<'a>, now: Seconds) -> Who<'a> {
        if let Some(hw) = self.aliases.get(&who.hw) {
            return Who { hw: *hw, ..*who };
        }
        let Some(earlier) = who.earlier_stage() else { return *who };
        for network in 0..self.areas.len() {
            let Some(lease) = self.clients.get(&(earlier, network)).copied() else { continue };
            if lease.state == State::Past {
                continue;
            }
            self.retire((earlier, network), now);
            let free = self.clients.get(&(who.hw, network)).is_none_or(|own| own.state != State::Bound);
            if free && self.may_hold(who, lease.ip).is_ok() {
                self.hold(who.hw, lease.ip, lease.state, lease.until, now);
                if lease.state == State::Bound {
                    self.records.push(Record::Bound { ip: lease.ip, hw: who.hw, until: lease.until });
                }
            } else if lease.state == State::Bound {
                self.records.push(Record::Freed { ip: lease.ip, hw: earlier });
            }
            if self.aliases.len() >= ALIASES {
                self.aliases.clear();
            }
            self.aliases.insert(earlier, who.hw);
        }
        *who
    }

    /// Whether a client is no stranger.
    pub(super) fn is_known(&self, who: &Who<'_>) -> bool {
        self.plan.known.contains(&who.hw)
            || self.known.contains(&who.hw)
            || self.plan.reservations.of(who).next().is_some()
            || self.lease(who.hw).is_some_and(|lease| lease.until == NEVER)
    }

    /// Whether `ip` is the client's without taking anything from the free ones.
    pub(super) fn is_owed(&self, who: &Who<'_>, ip: Ipv4Addr) -> bool {
        self.holder(ip) == Some(who.hw)
            || matches!(self.holders.get(&ip), Some(Holder::Quarantine { by: Some(by), .. }) if *by == who.hw)
            || self.plan.reservations.owner(ip).is_some()
            || self.is_known(who)
                && self.network_of(ip).is_some_and(|network| self.areas[network].free.contains(ip))
    }

    /// Makes sure that there is a free address for this client in a network, taking back an offer if need be.
    pub(super) fn admit(&mut self, who: &Who<'_>, network: usize, now: Seconds) -> Result<(), Refusal> {
        let known = self.is_known(who);
        let floor = if known { 0 } else { self.areas[network].kept };
        let had = self.clients.contains_key(&(who.hw, network));
        if !known && !had && !self.gate.admit(now) {
            return Err(Refusal::Crowded);
        }
        if self.areas[network].free.len() > floor || self.reclaim(network, now) {
            return Ok(());
        }
        Err(Refusal::Crowded)
    }

    /// When a pool is exhausted: frees the oldest offer nobody took, else the oldest quarantine.
    pub(super) fn reclaim(&mut self, network: usize, now: Seconds) -> bool {
        let area = &self.areas[network];
        // In the order of their ends, which is that of their beginnings.
        let reserved = |ip: &Ipv4Addr| self.plan.reservations.owner(*ip).is_some();
        let oldest = area.offers.iter().find(|(_, ip)| !reserved(ip)).copied();
        if let Some((until, ip)) = oldest.filter(|(until, _)| now + OFFER_TIME >= *until + OFFER_GRACE)
            && let Some(hw) = self.holder(ip)
        {
            self.retire((hw, network), until.min(now));
            return true;
        }
        self.reclaim_quarantined(network, now)
    }
}
