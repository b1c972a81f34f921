//! What a lease is: plain data that the table, its journal and the server speak of.

use std::collections::HashSet;
use std::net::Ipv4Addr;
use std::sync::Arc;

use super::cidr::Cidr;
use super::reserve::Reservations;
use crate::hw::HwAddr;

/// Seconds on the lease clock: real time at start, from then on counted monotonically.
pub type Seconds = u64;

/// How long an offer is kept for its client. UEFI firmware waits 4 s for other offers, and 32 s between retries.
pub const OFFER_TIME: Seconds = 60;
/// An offer younger than this is not taken away from its client when the pool is exhausted.
pub const OFFER_GRACE: Seconds = 8;
/// How long an address that a client found in use is not given out.
pub const QUARANTINE: Seconds = 600;
/// A quarantined address may be used again after this long when there is no other.
pub const QUARANTINE_GRACE: Seconds = 60;
/// The end of a pinned lease.
pub const NEVER: Seconds = Seconds::MAX;

/// A network and the addresses in it that are given out.
#[derive(Debug, Clone)]
pub struct Network {
    /// Where it is.
    pub cidr: Cidr,
    /// First and last address of each pool; none, where only reservations are served.
    pub pools: Vec<(Ipv4Addr, Ipv4Addr)>,
}

/// Which addresses are given to whom.
#[derive(Debug, Clone, Default)]
pub struct Plan {
    /// The networks, that of our own interface first; no two overlap.
    pub networks: Vec<Network>,
    /// Addresses of ours and of routers, never given out though they lie in a pool.
    pub excluded: HashSet<Ipv4Addr>,
    /// Fixed addresses, in a pool or outside.
    pub reservations: Arc<Reservations>,
    /// Machines that are no strangers though nothing is reserved for them.
    pub known: HashSet<HwAddr>,
    /// How much of a pool only known machines get, in percent.
    pub kept_percent: usize,
    /// How many strangers a second get an address; sixteen times as many at once. 0: as many as ask.
    pub strangers_per_second: u32,
}

impl Plan {
    /// One network of 256 addresses with one pool.
    #[must_use]
    pub fn of(first: Ipv4Addr, last: Ipv4Addr) -> Self {
        let network = Network { cidr: Cidr::around(first, 24), pools: vec![(first, last)] };
        Self { networks: vec![network], ..Self::default() }
    }
}

/// A fact that must survive a restart.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Record {
    /// A client has an address until then.
    Bound {
        /// The address.
        ip: Ipv4Addr,
        /// The client.
        hw: HwAddr,
        /// The end, on the lease clock.
        until: Seconds,
    },
    /// A client gave its address back, or lost it; it would get the same one again while that is free.
    Freed {
        /// The address.
        ip: Ipv4Addr,
        /// The client.
        hw: HwAddr,
    },
}

/// What a client has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Lease {
    /// The address.
    pub ip: Ipv4Addr,
    /// How firmly.
    pub state: State,
    /// When that ends.
    pub until: Seconds,
}

/// How firmly an address is held.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum State {
    /// Offered, and kept for the client until it asks for it.
    Offered,
    /// Granted.
    Bound,
    /// No longer: remembered, so that the client gets the same one again while nobody else needs it.
    Past,
}

/// Why an address was not granted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// It is another client's.
    #[error("the address belongs to another client")]
    Taken,
    /// It is not one that we give out.
    #[error("the address is not one of this server's")]
    NotOurs,
    /// This client has another one by reservation.
    #[error("another address is reserved for this client")]
    Reserved,
    /// What is left is kept for known machines, or too many strangers came at once.
    #[error("no address is left for strangers")]
    Crowded,
}
