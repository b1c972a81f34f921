//! The nodes that were heard of: a list with bounds, in which everything grows old. Pure: times are arguments, seconds of a
//! clock that only goes forward.
//!
//! Anybody on the wire can say anything, as often as he likes. A node is known by all that it says of itself, so that two
//! that say different things under one id are two entries. What was heard once gives way to what comes; what was heard
//! again after a second keeps its place, so a flood pushes out nobody who is really there. Where a node is, says nobody:
//! its address is the one that its packet came from.

use std::collections::BTreeMap;
use std::net::SocketAddr;

use maekin_api::discovery::DiscoveredState;

use super::notice::Notice;
use super::packet::{STAYS, Said, WAITS};

/// Most entries.
pub(super) const MOST: usize = 256;
/// Most entries that one sender makes.
const OF_SENDER: usize = 8;
/// Most addresses of an entry.
const ADDRESSES: usize = 4;

/// Where a node was heard.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Place {
    /// Where its API is.
    pub(super) address: SocketAddr,
    /// On which interface of ours.
    pub(super) interface: String,
    /// Until when that holds.
    until: u64,
}

/// A node that was heard of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Entry {
    /// What it says of itself.
    pub(super) notice: Notice,
    /// Where it is: IPv4 first, then what was heard first.
    pub(super) places: Vec<Place>,
    /// When it was heard of first.
    pub(super) since: u64,
    /// When last.
    pub(super) last: u64,
    /// Whether it was heard of again after a while.
    stands: bool,
}

/// Why nobody is meant by a name.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Unfound {
    /// Nobody.
    #[error(
        "no node that waits is called {0}; `maekin-agent pair list` lists those that were heard, and one on another wire \
         is paired with by its address"
    )]
    Nobody(String),
    /// Several.
    #[error("several nodes that wait are meant by {name}; name one by its id or address: {}", which.join(", "))]
    Several {
        /// What was said.
        name: String,
        /// Ids and addresses.
        which: Vec<String>,
    },
}

/// All of them.
#[derive(Debug, Default)]
pub(super) struct Seen {
    entries: BTreeMap<Notice, Entry>,
}

impl Seen {
    /// Takes in what was said, from where, on which interface. Says whether the list is another one thereby.
    pub(super) fn heard(&mut self, said: Said, from: SocketAddr, interface: &str, now: u64) -> bool {
        let mut address = from;
        address.set_port(said.port);
        let most = if said.notice.state == DiscoveredState::Waiting { WAITS } else { STAYS };
        let until = now.saturating_add(u64::from(said.ttl.min(most)));
        // Whatever it said before under this id, from there, holds no more.
        let mut changed = self.forget(|entry, place| {
            entry.notice.id == said.notice.id
                && place.address.ip() == address.ip()
                && (entry.notice != said.notice || place.address != address || said.ttl == 0)
        });
        if said.ttl == 0 {
            return changed;
        }
        if let Some(entry) = self.entries.get_mut(&said.notice) {
            entry.stands |= now > entry.last;
            entry.last = now;
            return changed | entry.place(Place { address, interface: interface.to_owned(), until });
        }
        let of_sender = |entry: &&Entry| entry.places.iter().any(|place| place.address.ip() == address.ip());
        if self.entries.values().filter(of_sender).count() >= OF_SENDER || !self.room() {
            return changed;
        }
        changed = true;
        let places = vec![Place { address, interface: interface.to_owned(), until }];
        let entry = Entry { notice: said.notice.clone(), places, since: now, last: now, stands: false };
        self.entries.insert(said.notice, entry);
        changed
    }

    /// Makes room for one more, where there is none and one of those that were heard once can go.
    fn room(&mut self) -> bool {
        if self.entries.len() < MOST {
            return true;
        }
        let once = self.entries.values().filter(|entry| !entry.stands).min_by_key(|entry| entry.since);
        let Some(oldest) = once.map(|entry| entry.notice.clone()) else { return false };
        self.entries.remove(&oldest).is_some()
    }

    /// Forgets what holds no more; says whether that was anything.
    pub(super) fn age(&mut self, now: u64) -> bool {
        self.forget(|_, place| place.until <= now)
    }

    fn forget(&mut self, gone: impl Fn(&Entry, &Place) -> bool) -> bool {
        let mut changed = false;
        for entry in self.entries.values_mut() {
            let going: Vec<bool> = entry.places.iter().map(|place| gone(entry, place)).collect();
            changed |= going.contains(&true);
            let mut going = going.into_iter();
            entry.places.retain(|_| !going.next().unwrap_or(false));
        }
        self.entries.retain(|_, entry| !entry.places.is_empty());
        changed
    }

    /// All of them but the members of the cluster with this CA, those that wait first, by name.
    pub(super) fn list(&self, own_ca: &str) -> Vec<Entry> {
        let foreign =
            |entry: &&Entry| entry.notice.state == DiscoveredState::Waiting || entry.notice.ca != own_ca;
        let mut all: Vec<Entry> = self.entries.values().filter(foreign).cloned().collect();
        all.sort_by(|a, b| {
            let key = |e: &Entry| (e.notice.state, e.notice.cluster.clone(), e.notice.name.clone());
            key(a).cmp(&key(b))
        });
        all
    }

    /// All members, whatever their cluster, by the first digits of their ids, and where each may be.
    pub(super) fn members(&self) -> Vec<(String, SocketAddr)> {
        let members = self.entries.values().filter(|entry| entry.notice.state == DiscoveredState::Member);
        let places = |entry: &Entry| {
            entry.places.iter().map(|place| (entry.notice.id.clone(), place.address)).collect::<Vec<_>>()
        };
        members.flat_map(places).collect()
    }

    /// The one that waits and is called so, or has that id, or one that begins so.
    ///
    /// # Errors
    /// [`Unfound`].
    pub(super) fn find(&self, name: &str) -> Result<&Entry, Unfound> {
        let waits = || self.entries.values().filter(|entry| entry.notice.state == DiscoveredState::Waiting);
        let by_id = |entry: &&Entry| name.len() >= 4 && entry.notice.id.starts_with(name);
        let mut found: Vec<&Entry> = waits().filter(by_id).collect();
        if found.is_empty() {
            found = waits().filter(|entry| entry.notice.name == name).collect();
        }
        match found.as_slice() {
            [one] => Ok(one),
            [] => Err(Unfound::Nobody(name.chars().take(64).collect())),
            several => {
                let place = |entry: &Entry| entry.places.first().map(|place| place.address.to_string());
                let words = |e: &&Entry| format!("{} at {}", e.notice.id, place(e).unwrap_or_default());
                let which = several.iter().take(8).map(words).collect();
                Err(Unfound::Several { name: name.chars().take(64).collect(), which })
            }
        }
    }
}

impl Entry {
    /// Takes in where it is; says whether that is new.
    fn place(&mut self, new: Place) -> bool {
        if let Some(place) = self.places.iter_mut().find(|place| place.address == new.address) {
            place.until = new.until;
            return false;
        }
        if self.places.len() >= ADDRESSES {
            return false;
        }
        self.places.push(new);
        self.places.sort_by_key(|place| place.address.is_ipv6()); // stable
        true
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::packet::tests::{member, waiting};
    use super::*;

    fn from(n: u32) -> SocketAddr {
        SocketAddr::new(std::net::Ipv4Addr::from(0x0a4d_0000 + n).into(), 5353)
    }

    fn say(notice: Notice) -> Said {
        let ttl = if notice.state == DiscoveredState::Waiting { WAITS } else { STAYS };
        Said { ttl, port: 8443, notice }
    }

    fn names(seen: &Seen) -> Vec<String> {
        seen.list("none").into_iter().map(|entry| entry.notice.name).collect()
    }

    #[test]
    fn join_nodes_that_wait_come_and_go() {
        let mut seen = Seen::default();
        let node = waiting(0xabcd_ef01_2345, "node-9");
        assert!(seen.heard(say(node.clone()), from(9), "ens3", 10));
        assert!(!seen.heard(say(node.clone()), from(9), "ens3", 11), "again");
        let six: SocketAddr = "[fe80::9%3]:5353".parse().unwrap();
        assert!(seen.heard(say(node.clone()), six, "ens3", 12), "by IPv6 as well");
        let entry = seen.find("node-9").unwrap();
        let places: Vec<_> = entry.places.iter().map(|place| place.address.to_string()).collect();
        assert_eq!(
            (places, entry.since, entry.last),
            (vec!["10.77.0.9:8443".into(), "[fe80::9%3]:8443".into()], 10, 12)
        );
        assert_eq!(seen.find("abcd").unwrap().notice, node);
        assert!(seen.age(131) && !seen.age(131), "its first address grew old");
        assert_eq!(seen.find("node-9").unwrap().places.len(), 1);
        assert!(seen.age(132) && names(&seen).is_empty());

        assert!(seen.heard(say(node.clone()), from(9), "ens3", 200));
        let bye = Said { ttl: 0, ..say(node.clone()) };
        assert!(!seen.heard(bye.clone(), from(8), "ens3", 201), "another one cannot say that it is gone");
        assert!(seen.heard(bye, from(9), "ens3", 201) && names(&seen).is_empty());

        assert!(seen.heard(say(node), from(9), "ens3", 300));
        let joined = member(0xabcd_ef01_2345, "node-9", "rack");
        let ca = joined.ca.clone();
        assert!(seen.heard(say(joined), from(9), "ens3", 301));
        assert!(seen.find("node-9").is_err() && seen.list(&ca).is_empty(), "it is one of us now");
    }

    #[test]
    fn join_another_cluster_on_the_wire_is_listed_apart() {
        let mut seen = Seen::default();
        seen.heard(say(member(1, "node-1", "rack")), from(1), "ens3", 1);
        seen.heard(say(member(2, "node-1", "other")), from(2), "ens3", 1);
        seen.heard(say(waiting(3, "node-2")), from(3), "ens3", 1);
        let list = seen.list(&member(1, "", "rack").ca);
        let words: Vec<_> = list.iter().map(|e| (e.notice.state, e.notice.cluster.as_str())).collect();
        assert_eq!(words, [(DiscoveredState::Waiting, ""), (DiscoveredState::Member, "other")]);
        assert_eq!(seen.find("node-1"), Err(Unfound::Nobody("node-1".into())), "a member does not wait");
        let members: Vec<_> = seen.members().into_iter().map(|(id, at)| format!("{id} {at}")).collect();
        assert_eq!(members.len(), 2, "{members:?}");
        assert!(members.contains(&"000000000001 10.77.0.1:8443".to_owned()), "{members:?}");
    }

    #[test]
    fn join_two_under_one_name_have_to_be_told_apart() {
        let mut seen = Seen::default();
        seen.heard(say(waiting(1, "node-9")), from(1), "ens3", 1);
        seen.heard(say(waiting(2, "node-9")), from(2), "ens3", 1);
        let e = seen.find("node-9").unwrap_err().to_string();
        assert!(e.contains("000000000001 at 10.77.0.1:8443, 000000000002 at 10.77.0.2:8443"), "{e}");
        assert_eq!(seen.find("000000000002").unwrap().places[0].address, "10.77.0.2:8443".parse().unwrap());
    }

    #[test]
    fn join_a_flood_pushes_out_nobody_who_is_there() {
        let mut seen = Seen::default();
        let real = waiting(0xfff_ffff, "real");
        seen.heard(say(real.clone()), from(0xffff), "ens3", 1);
        seen.heard(say(real), from(0xffff), "ens3", 2);
        for n in 0..20_000 {
            seen.heard(say(waiting(u64::from(n), &format!("fake-{n}"))), from(n % 5000), "ens3", 3);
        }
        let list = names(&seen);
        assert!(list.len() <= MOST && list.contains(&"real".to_owned()), "{}", list.len());
        let new = waiting(0xeee_eeee, "new");
        seen.heard(say(new), from(0xfffe), "ens3", 4);
        assert!(names(&seen).contains(&"new".to_owned()), "and one that comes finds room");
        let mut one = Seen::default();
        for n in 0..1000 {
            one.heard(say(waiting(n, "x")), from(1), "ens3", 5);
        }
        assert_eq!(names(&one).len(), OF_SENDER, "one sender");
    }

    proptest! {
        #[test]
        fn join_the_list_stays_within_its_bounds(
            said in proptest::collection::vec((0_u64..400, 0_u32..40, 0_u64..300, 0_u32..3, any::<bool>()), 0..1500),
        ) {
            let mut seen = Seen::default();
            let mut now = 0;
            for (id, sender, later, ttl, stays) in said {
                now += later / 100;
                let notice = if stays { member(id, "m", "rack") } else { waiting(id, "w") };
                seen.heard(Said { ttl: ttl * 4000, port: 1, notice }, from(sender), "ens3", now);
                seen.age(now);
                prop_assert!(seen.entries.len() <= MOST);
                for entry in seen.entries.values() {
                    prop_assert!((1..=ADDRESSES).contains(&entry.places.len()));
                    prop_assert!(entry.places.iter().all(|p| p.until > now && p.until <= now + u64::from(STAYS)));
                }
            }
            seen.age(now + u64::from(STAYS));
            prop_assert!(seen.entries.is_empty());
        }
    }
}
