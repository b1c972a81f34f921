//! A cluster on paper: nodes of [`crate::node`] on a network that delays, loses and parts, in hours that take seconds.
//! The same seed gives the same hours.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, HashMap};
use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

use rand::rngs::SmallRng;
use rand::{RngExt, SeedableRng};

use crate::node::{Counters, Event, Gossip, Identity, Liveness};
use crate::peer::NodeId;
use crate::status::{BootHealth, Status};

/// How the network is.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Network {
    /// Share of packets that are lost.
    pub loss: f64,
    /// Shortest and longest time that a packet takes.
    pub delay: (Duration, Duration),
}

impl Network {
    /// A rack's: nothing is lost.
    pub const GOOD: Self = Self { loss: 0.0, delay: (Duration::from_micros(100), Duration::from_millis(1)) };
    /// One packet of a hundred is lost.
    pub const LOSSY: Self = Self { loss: 0.01, ..Self::GOOD };
}

/// What a node noticed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Noticed {
    /// When.
    pub at: Duration,
    /// Who noticed.
    pub by: usize,
    /// Whom.
    pub of: usize,
    /// That it is there, or that it is not.
    pub up: bool,
}

/// A cluster.
pub struct Sim {
    now: Duration,
    network: Network,
    nodes: Vec<Machine>,
    /// Who has which address.
    at: HashMap<SocketAddr, usize>,
    queue: BinaryHeap<Reverse<(Duration, u64)>>,
    /// What the queue's numbers stand for.
    what: HashMap<u64, What>,
    made: u64,
    rng: SmallRng,
    noticed: Vec<Noticed>,
}

struct Machine {
    gossip: Option<Gossip>,
    lives: u64,
    island: u8,
    address: SocketAddr,
    woken_at: Option<Duration>,
}

enum What {
    Wake(usize),
    Packet { from: usize, to: SocketAddr, bytes: Vec<u8> },
}

const CLUSTER: [u8; 16] = *b"a cluster's  id.";
const KEY: [u8; 32] = [42; 32];

/// Id of the node `index` in a simulation.
#[must_use]
pub fn id(index: usize) -> NodeId {
    let mut bytes = [0xa5; 16];
    bytes[..8].copy_from_slice(&(index as u64).to_be_bytes());
    NodeId(bytes)
}

fn index(id: NodeId) -> usize {
    let bytes = id.0.first_chunk().copied().unwrap_or_default();
    usize::try_from(u64::from_be_bytes(bytes)).unwrap_or(usize::MAX)
}

impl Sim {
    /// `nodes` nodes that are switched on within the first second.
    #[must_use]
    pub fn new(nodes: usize, network: Network, seed: u64) -> Self {
        let machines = (0..nodes).map(|index| Machine {
            gossip: None,
            lives: 0,
            island: 0,
            address: address(index),
            woken_at: None,
        });
        let mut sim = Self {
            now: Duration::ZERO,
            network,
            nodes: machines.collect(),
            at: (0..nodes).map(|index| (address(index), index)).collect(),
            queue: BinaryHeap::new(),
            what: HashMap::new(),
            made: 0,
            rng: SmallRng::seed_from_u64(seed),
            noticed: Vec::new(),
        };
        for index in 0..nodes {
            let wait = Duration::from_millis(sim.rng.random_range(0..1000));
            sim.start_after(index, wait);
        }
        sim
    }

    /// The time since the beginning.
    #[must_use]
    pub fn now(&self) -> Duration {
        self.now
    }

    /// Switches a node on, knowing where all the others are.
    pub fn start(&mut self, index: usize) {
        self.start_after(index, Duration::ZERO);
    }

    fn start_after(&mut self, index: usize, wait: Duration) {
        let seeds = self.nodes.iter().enumerate().map(|(index, node)| (id(index), node.address)).collect();
        let seed = self.rng.random();
        let at = self.now + wait;
        let node = &mut self.nodes[index];
        node.lives += 1;
        let identity =
            Identity { cluster: CLUSTER, id: id(index), generation: node.lives << 20, address: node.address };
        let mut gossip = Gossip::new(&identity, &KEY, seed, at);
        gossip.set_seeds(seeds);
        gossip.set_status(Status {
            load: 100,
            memory: Some(30),
            boot: BootHealth::Whole,
            quorum: Some(true),
            version: "0.1.0".to_owned(),
        });
        node.gossip = Some(gossip);
        node.woken_at = None;
        self.wake(index, at);
    }

    /// Switches a node off, or kills it: it says nothing more.
    pub fn kill(&mut self, index: usize) {
        self.nodes[index].gossip = None;
    }

    /// Gives a node another address; the others are not told but by itself.
    pub fn move_to(&mut self, index: usize, address: SocketAddr) {
        self.at.remove(&self.nodes[index].address);
        self.at.insert(address, index);
        self.nodes[index].address = address;
        let now = self.now;
        if let Some(gossip) = &mut self.nodes[index].gossip {
            gossip.set_address(address, now);
        }
        self.drain(index);
    }

    /// Puts a node onto an island: packets pass within islands only.
    pub fn part(&mut self, index: usize, island: u8) {
        self.nodes[index].island = island;
    }

    /// Changes the network.
    pub fn set_network(&mut self, network: Network) {
        self.network = network;
    }

    /// The node, while it runs.
    pub fn gossip(&mut self, index: usize) -> Option<&mut Gossip> {
        self.nodes[index].gossip.as_mut()
    }

    /// Sends a packet from outside to a node.
    pub fn inject(&mut self, to: usize, bytes: Vec<u8>) {
        let (at, to) = (self.now, self.nodes[to].address);
        self.push(at, What::Packet { from: usize::MAX, to, bytes });
    }

    /// What was noticed since it was asked last.
    pub fn noticed(&mut self) -> Vec<Noticed> {
        std::mem::take(&mut self.noticed)
    }

    /// Sum of what all nodes that run have counted.
    #[must_use]
    pub fn counters(&self) -> Counters {
        let all = self.nodes.iter().filter_map(|node| node.gossip.as_ref()).map(Gossip::counters);
        all.fold(Counters::default(), |sum, one| Counters {
            sent: sum.sent + one.sent,
            sent_bytes: sum.sent_bytes + one.sent_bytes,
            received: sum.received + one.received,
            received_bytes: sum.received_bytes + one.received_bytes,
            malformed: sum.malformed + one.malformed,
            strangers: sum.strangers + one.strangers,
            replayed: sum.replayed + one.replayed,
            removed: sum.removed + one.removed,
            misunderstood: sum.misunderstood + one.misunderstood,
            buried: sum.buried + one.buried,
        })
    }

    /// Whether every node that runs knows exactly which run on its island.
    #[must_use]
    pub fn agreed(&self) -> bool {
        let running = |node: &Machine, island| node.gossip.is_some() && node.island == island;
        self.nodes.iter().enumerate().all(|(own, node)| {
            let Some(gossip) = &node.gossip else { return true };
            let there = self.nodes.iter().filter(|other| running(other, node.island)).count();
            gossip.alive() + 1 == there
                && gossip.peers().iter().all(|peer| {
                    let runs = self.nodes.get(index(peer.id)).is_some_and(|n| running(n, node.island));
                    index(peer.id) != own && runs == (peer.liveness != Liveness::Dead)
                })
        })
    }

    /// Lets `time` pass.
    pub fn run(&mut self, time: Duration) {
        let end = self.now + time;
        while let Some(Reverse((at, number))) = self.queue.peek().copied() {
            if at > end {
                break;
            }
            self.queue.pop();
            self.now = self.now.max(at);
            match self.what.remove(&number) {
                Some(What::Wake(index)) => self.on_wake(index),
                Some(What::Packet { from, to, bytes }) => self.deliver(from, to, &bytes),
                None => {}
            }
        }
        self.now = end;
    }

    /// Lets time pass until all agree; how long it took, or `None` after `limit`.
    pub fn run_until_agreed(&mut self, limit: Duration) -> Option<Duration> {
        let begin = self.now;
        while self.now - begin < limit {
            self.run(Duration::from_millis(250));
            if self.agreed() {
                return Some(self.now - begin);
            }
        }
        None
    }

    fn push(&mut self, at: Duration, what: What) {
        self.made += 1;
        self.what.insert(self.made, what);
        self.queue.push(Reverse((at, self.made)));
    }

    fn wake(&mut self, index: usize, at: Duration) {
        // Of several wake-ups the earliest makes the others: one that comes for nothing does no harm.
        if self.nodes[index].woken_at.is_none_or(|old| at < old || old <= self.now) {
            self.nodes[index].woken_at = Some(at);
            self.push(at, What::Wake(index));
        }
    }

    fn on_wake(&mut self, index: usize) {
        let now = self.now;
        if let Some(gossip) = &mut self.nodes[index].gossip
            && gossip.next_due() <= now
        {
            gossip.tick(now);
        }
        self.drain(index);
    }

    fn deliver(&mut self, from: usize, to: SocketAddr, bytes: &[u8]) {
        let Some(to) = self.at.get(&to).copied() else { return };
        let parted = self.nodes.get(from).is_some_and(|node| node.island != self.nodes[to].island);
        let now = self.now;
        if let Some(gossip) = self.nodes[to].gossip.as_mut().filter(|_| !parted) {
            gossip.receive(bytes, now);
        }
        self.drain(to);
    }

    fn drain(&mut self, index: usize) {
        let (now, (shortest, longest)) = (self.now, self.network.delay);
        let Some(gossip) = &mut self.nodes[index].gossip else { return };
        let mut packets = Vec::new();
        while let Some(packet) = gossip.poll_packet() {
            packets.push(packet);
        }
        while let Some(event) = gossip.poll_event() {
            let (of, up) = match event {
                Event::Up(id) => (self::index(id), true),
                Event::Down(id) => (self::index(id), false),
            };
            self.noticed.push(Noticed { at: now, by: index, of, up });
        }
        let next = gossip.next_due();
        for (to, bytes) in packets {
            if !self.rng.random_bool(self.network.loss) {
                let delay = self.rng.random_range(shortest..=longest);
                self.push(now + delay, What::Packet { from: index, to, bytes });
            }
        }
        self.wake(index, next.max(now));
    }
}

fn address(index: usize) -> SocketAddr {
    let host = 0x0a00_0001 + u32::try_from(index).unwrap_or(0); // 10.0.0.1 and on
    SocketAddr::from((Ipv4Addr::from_bits(host), 8946))
}

#[cfg(test)]
mod tests;
