//! The free addresses, in the order in which they are given out: never used ones first, then the longest unused.

use std::collections::{BTreeSet, HashMap};
use std::net::Ipv4Addr;

use super::lease::Seconds;
use crate::hw::HwAddr;

/// Addresses that nobody has.
#[derive(Debug, Default)]
pub(super) struct Free {
    order: BTreeSet<(Seconds, Ipv4Addr)>,
    /// For each of them, when it was last in use, and by whom.
    last: HashMap<Ipv4Addr, (Seconds, Option<HwAddr>)>,
}

impl Free {
    /// Takes in an address that was in use until `since` (0: never), by `last` when that shall be remembered.
    pub(super) fn put(&mut self, ip: Ipv4Addr, since: Seconds, last: Option<HwAddr>) {
        self.take(ip);
        self.order.insert((since, ip));
        self.last.insert(ip, (since, last));
    }

    /// Gives an address out; returns who had it last.
    pub(super) fn take(&mut self, ip: Ipv4Addr) -> Option<HwAddr> {
        let (since, last) = self.last.remove(&ip)?;
        self.order.remove(&(since, ip));
        last
    }

    /// The next to be given out.
    pub(super) fn next(&self) -> Option<Ipv4Addr> {
        self.order.first().map(|(_, ip)| *ip)
    }

    /// How many there are.
    pub(super) fn len(&self) -> usize {
        self.order.len()
    }

    #[cfg(test)]
    pub(super) fn iter(&self) -> impl Iterator<Item = Ipv4Addr> + '_ {
        self.order.iter().map(|(_, ip)| *ip)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn never_used_addresses_come_first_and_then_the_longest_unused() {
        let ip = |n| Ipv4Addr::new(10, 0, 0, n);
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
}
