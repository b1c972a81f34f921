//! Wrong passwords slow their sender down, and whoever guesses at one user from many places. Pure: the time is an
//! argument.

use std::collections::HashMap;
use std::hash::Hash;
use std::net::IpAddr;

/// Wrong passwords of one sender that cost nothing: a person mistypes.
pub(crate) const SENDER: u32 = 5;
/// Wrong passwords for one user that cost nothing, wherever they come from.
pub(crate) const USER: u32 = 20;
/// Longest time that a sender is shut out, seconds.
const LONGEST: u64 = 300;
/// Most senders that are remembered.
const MOST: usize = 4096;

#[derive(Debug, Clone, Copy)]
struct Sender {
    failures: u32,
    last: u64,
}

/// Who gave wrong passwords, and when.
#[derive(Debug)]
pub(crate) struct Limiter<K> {
    free: u32,
    senders: HashMap<K, Sender>,
}

impl<K: Clone + Eq + Hash> Limiter<K> {
    /// A limiter that lets so many failures pass.
    pub(crate) fn new(free: u32) -> Self {
        Self { free, senders: HashMap::new() }
    }

    /// Whether `who` may try at `now`.
    ///
    /// # Errors
    /// The seconds to wait.
    pub(crate) fn check(&self, who: &K, now: u64) -> Result<(), u64> {
        let Some(sender) = self.senders.get(who) else { return Ok(()) };
        let until = sender.last.saturating_add(penalty(sender.failures.saturating_sub(self.free)));
        if now < until { Err(until - now) } else { Ok(()) }
    }

    /// A wrong password came from `who`, or for him.
    pub(crate) fn failed(&mut self, who: &K, now: u64) {
        if self.senders.len() >= MOST && !self.senders.contains_key(who) {
            let oldest = self.senders.iter().min_by_key(|(_, s)| s.last).map(|(who, _)| who.clone());
            oldest.map(|who| self.senders.remove(&who));
        }
        let sender = self.senders.entry(who.clone()).or_insert(Sender { failures: 0, last: now });
        sender.failures = sender.failures.saturating_add(1);
        sender.last = now;
    }

    /// A right password came from `who`.
    pub(crate) fn succeeded(&mut self, who: &K) {
        self.senders.remove(who);
    }
}

fn penalty(over: u32) -> u64 {
    if over == 0 { 0 } else { 1_u64.checked_shl(over).unwrap_or(LONGEST).min(LONGEST) }
}

/// Whoever has one IPv6 address has the whole /64 of it.
pub(crate) fn group(ip: IpAddr) -> IpAddr {
    match ip.to_canonical() {
        IpAddr::V6(ip) => IpAddr::V6((u128::from(ip) >> 64 << 64).into()),
        v4 @ IpAddr::V4(_) => v4,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_wait_grows_with_each_failure_and_has_an_end() {
        let ip: IpAddr = "10.0.0.1".parse().unwrap();
        let rows = [
            ("none", 0, 0),
            ("free ones", 5, 0),
            ("one more", 6, 2),
            ("two more", 7, 4),
            ("hundred", 100, LONGEST),
        ];
        for (name, failures, wait) in rows {
            let mut limiter = Limiter::new(SENDER);
            for _ in 0..failures {
                limiter.failed(&ip, 1000);
            }
            let want = if wait == 0 { Ok(()) } else { Err(wait) };
            assert_eq!(limiter.check(&ip, 1000), want, "{name}");
            assert_eq!(limiter.check(&ip, 1000 + wait), Ok(()), "{name}: afterwards");
            assert_eq!(limiter.check(&"10.0.0.2".parse().unwrap(), 1000), Ok(()), "{name}: another sender");
            limiter.succeeded(&ip);
            assert_eq!(limiter.check(&ip, 1000), Ok(()), "{name}: after success");
        }
    }

    #[test]
    fn a_network_of_senders_counts_as_one_and_memory_is_bounded() {
        let mut limiter = Limiter::new(SENDER);
        for i in 0..20_u16 {
            limiter.failed(&group(format!("2001:db8::{i:x}").parse().unwrap()), 5);
        }
        assert!(limiter.check(&group("2001:db8::ffff".parse().unwrap()), 5).is_err());
        for i in 0..10_000_u32 {
            limiter.failed(&IpAddr::V4(i.into()), 6);
        }
        assert!(limiter.senders.len() <= MOST);
    }
}
