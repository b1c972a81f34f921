//! The pool of one network: its free addresses in the order in which they are given out, and what of it is promised
//! or set aside.

use std::collections::{BTreeSet, HashMap};
use std::net::Ipv4Addr;

use super::lease::Seconds;
use crate::hw::HwAddr;

/// A free address.
#[derive(Debug, Clone, Copy)]
struct Entry {
    /// When it was last in use; 0: never.
    since: Seconds,
    /// By whom, when that is remembered.
    last: Option<HwAddr>,
    /// When nobody answered at it.
    probed: Option<Seconds>,
}

/// Addresses that nobody has. Given out first are those that are known to be silent, then those never used, then
/// the longest unused.
#[derive(Debug, Default)]
pub(super) struct Free {
    order: BTreeSet<(Seconds, Ipv4Addr)>,
    ready: BTreeSet<(Seconds, Ipv4Addr)>,
    entries: HashMap<Ipv4Addr, Entry>,
}

impl Free {
    /// Takes in an address that was in use until `since`, by `last` when that shall be remembered.
    pub(super) fn put(&mut self, ip: Ipv4Addr, since: Seconds, last: Option<HwAddr>) {
        self.take(ip);
        self.order.insert((since, ip));
        self.entries.insert(ip, Entry { since, last, probed: None });
    }

    /// Gives an address out; returns who had it last.
    pub(super) fn take(&mut self, ip: Ipv4Addr) -> Option<HwAddr> {
        let entry = self.entries.remove(&ip)?;
        self.order.remove(&(entry.since, ip));
        self.ready.remove(&(entry.since, ip));
        entry.last
    }

    /// The next to be given out.
    pub(super) fn next(&self) -> Option<Ipv4Addr> {
        self.ready.first().or_else(|| self.order.first()).map(|(_, ip)| *ip)
    }

    /// Whether it is free.
    pub(super) fn contains(&self, ip: Ipv4Addr) -> bool {
        self.entries.contains_key(&ip)
    }

    /// Nobody answered at `ip`.
    pub(super) fn silent(&mut self, ip: Ipv4Addr, now: Seconds) {
        if let Some(entry) = self.entries.get_mut(&ip) {
            entry.probed = Some(now);
            self.ready.insert((entry.since, ip));
        }
    }

    /// Of the next `ahead` addresses, at most `most` that were not found silent since `after`.
    pub(super) fn unsure(&self, ahead: usize, most: usize, after: Seconds) -> Vec<Ipv4Addr> {
        let stale =
            |ip: &Ipv4Addr| self.entries.get(ip).is_some_and(|e| e.probed.is_none_or(|at| at < after));
        self.order.iter().map(|(_, ip)| *ip).take(ahead).filter(stale).take(most).collect()
    }

    /// How many there are.
    pub(super) fn len(&self) -> usize {
        self.order.len()
    }

    /// All of them, with when and by whom they were last used.
    pub(super) fn iter(&self) -> impl Iterator<Item = (Ipv4Addr, Seconds, Option<HwAddr>)> + '_ {
        self.order.iter().map(|(since, ip)| (*ip, *since, self.entries.get(ip).and_then(|e| e.last)))
    }
}

/// One network's addresses.
#[derive(Debug, Default)]
pub(super) struct Area {
    /// Those that nobody has.
    pub(super) free: Free,
    /// Those offered and not yet taken, by the end of the offer.
    pub(super) offers: BTreeSet<(Seconds, Ipv4Addr)>,
    /// Those set aside, by since when.
    pub(super) quarantined: BTreeSet<(Seconds, Ipv4Addr)>,
    /// How many there are in all, reserved ones left out.
    pub(super) size: usize,
    /// How many of the last free ones are for known machines only.
    pub(super) kept: usize,
}

impl Area {
    /// Whether one more may be set aside: never more than half, or one liar could empty the pool.
    pub(super) fn may_quarantine(&self) -> bool {
        2 * (self.quarantined.len() + 1) <= self.size
    }
}

/// How many strangers are let in: a bucket that holds sixteen seconds' worth.
#[derive(Debug)]
pub(super) struct Gate {
    per_second: u32,
    left: u32,
    at: Seconds,
}

impl Gate {
    /// A full one. `per_second` 0 lets all in.
    pub(super) fn new(per_second: u32) -> Self {
        Self { per_second, left: per_second.saturating_mul(16), at: 0 }
    }

    /// Lets one in, or not.
    pub(super) fn admit(&mut self, now: Seconds) -> bool {
        if self.per_second == 0 {
            return true;
        }
        let passed = u32::try_from(now.saturating_sub(self.at)).unwrap_or(u32::MAX);
        self.at = self.at.max(now);
        let gained = self.per_second.saturating_mul(passed);
        self.left = self.left.saturating_add(gained).min(self.per_second.saturating_mul(16));
        let admitted = self.left > 0;
        self.left -= u32::from(admitted);
        admitted
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ip(n: u8) -> Ipv4Addr {
        Ipv4Addr::new(10, 0, 0, n)
    }

    #[test]
    fn never_used_addresses_come_first_and_then_the_longest_unused() {
        let hw = HwAddr::new(&[1; 6]);
        let mut free = Free::default();
        for (n, since) in [(5, 70), (3, 0), (4, 0), (9, 60)] {
            free.put(ip(n), since, hw);
        }
        free.put(ip(4), 80, None);
        let order: Vec<_> = std::iter::from_fn(|| {
            let next = free.next()?;
            Some((next, free.take(next)))
        })
        .collect();
        assert_eq!(order, [(ip(3), hw), (ip(9), hw), (ip(5), hw), (ip(4), None)]);
        assert_eq!((free.len(), free.take(ip(3))), (0, None));
    }

    #[test]
    fn addresses_found_silent_are_given_out_before_others() {
        let mut free = Free::default();
        for n in 1..=6 {
            free.put(ip(n), 0, None);
        }
        assert_eq!(free.unsure(4, 2, 0), [ip(1), ip(2)]);
        free.silent(ip(2), 10);
        assert_eq!((free.next(), free.unsure(4, 9, 5)), (Some(ip(2)), vec![ip(1), ip(3), ip(4)]));
        assert_eq!(free.unsure(4, 1, 11), [ip(1)], "what was found long ago is asked again");
        assert_eq!(free.unsure(4, 9, 11).len(), 4);
        free.take(ip(2));
        free.put(ip(2), 90, None);
        assert_eq!(free.next(), Some(ip(1)), "after use it has to be asked again");
        free.silent(ip(99), 10);
        assert_eq!(free.len(), 6, "an address that is not free stays what it is");
    }

    #[test]
    fn the_gate_lets_a_rack_in_at_once_and_a_flood_by_and_by() {
        let mut gate = Gate::new(10);
        let mut at = |now, tries: u32| (0..tries).filter(|_| gate.admit(now)).count();
        let rows =
            [(1000, 500, 160), (1000, 5, 0), (1001, 50, 10), (1000, 5, 0), (1004, 50, 30), (9000, 999, 160)];
        for (now, tries, admitted) in rows {
            assert_eq!(at(now, tries), admitted, "at {now}");
        }
        let mut open = Gate::new(0);
        assert!((0..10_000).all(|_| open.admit(0)));
    }
}
