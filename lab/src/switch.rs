//! The network between nodes: a bridge in a namespace of its own, in which the test lives too. Every node has a port; from
//! any port to any other the way can be cut, in one direction or in both. What goes over it is counted by kind.
//!
//! The test itself reaches every node whatever is cut: it is at the bridge, not behind a port.

use std::net::Ipv4Addr;
use std::path::{Path, PathBuf};

use anyhow::Context;
use maekin_host::cmd::Cmd;
use serde::Deserialize;

use crate::namespace::{self, Namespace};

/// The test's own address.
pub const OWN: Ipv4Addr = Ipv4Addr::new(10, 99, 255, 254);
/// Bits of the network's prefix.
pub const PREFIX: u8 = 16;

/// The ports of agent and record, as installed nodes have them.
const RULES: &str = "table bridge lab {
  set cut { type ifname . ifname; }
  counter gossip { }
  counter record { }
  counter api { }
  counter other { }
  chain forward { type filter hook forward priority 0; policy accept;
    iifname . oifname @cut drop
    udp dport 8946 counter name gossip accept
    tcp dport { 2379, 2380 } counter name record accept
    tcp sport { 2379, 2380 } counter name record accept
    tcp dport 8443 counter name api accept
    tcp sport 8443 counter name api accept
    counter name other
  }
}
";

/// The hardware address of node `n`.
fn mac(n: usize) -> String {
    let [high, low] = u16::try_from(n).unwrap_or(u16::MAX).to_be_bytes();
    format!("02:6c:61:62:{high:02x}:{low:02x}")
}

/// See the module.
pub struct Switch {
    dir: PathBuf,
}

/// Bytes that went from node to node.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Traffic {
    /// Gossip.
    pub gossip: u64,
    /// The record, among its voters and with those who ask it.
    pub record: u64,
    /// The API.
    pub api: u64,
    /// All else: ARP, neighbour discovery.
    pub other: u64,
}

impl Traffic {
    /// What was added since `before`.
    #[must_use]
    pub fn since(&self, before: &Self) -> Self {
        Self {
            gossip: self.gossip.saturating_sub(before.gossip),
            record: self.record.saturating_sub(before.record),
            api: self.api.saturating_sub(before.api),
            other: self.other.saturating_sub(before.other),
        }
    }
}

/// The address of node `n`, from 0.
#[must_use]
pub fn address(n: usize) -> Ipv4Addr {
    let n = u16::try_from(n + 1).unwrap_or(u16::MAX);
    let [high, low] = n.to_be_bytes();
    Ipv4Addr::new(10, 99, high, low)
}

fn port(n: usize) -> String {
    format!("p{n}")
}

impl Switch {
    /// Moves the calling thread into a new network and makes a bridge there; `dir` is for files.
    ///
    /// # Errors
    /// When there can be no namespaces, or ip(8) or nft(8) do not work.
    pub fn enter(dir: &Path) -> anyhow::Result<Self> {
        namespace::enter()?;
        let switch = Self { dir: dir.to_owned() };
        switch.ip(&[
            "link set lo up".to_owned(),
            "link add b0 type bridge".to_owned(),
            format!("address add {OWN}/{PREFIX} dev b0"),
            "link set b0 up".to_owned(),
        ])?;
        switch.nft(RULES)?;
        Ok(switch)
    }

    /// Plugs node `n` in, as `e0` of its network.
    ///
    /// # Errors
    /// When ip(8) does not work.
    pub fn plug(&self, n: usize, node: &Namespace, at: Ipv4Addr) -> anyhow::Result<()> {
        let (port, id) = (port(n), node.id());
        self.ip(&[
            format!("link add {port} type veth peer name e0 address {} netns {id}", mac(n)),
            format!("link set {port} master b0 up"),
        ])?;
        let lines = ["link set lo up".to_owned(), "link set e0 up".to_owned(), move_to(at)];
        let path = self.dir.join(format!("ip-{n}"));
        node.run(move || batch(&path, &lines))
    }

    /// Tells node `n` the hardware addresses of these others. The kernel keeps what it finds out by ARP in one table for all
    /// networks, of 1,024 entries (`gc_thresh3`, arp(7)), and fifty nodes that all know each other are more; what it was told
    /// does not count.
    ///
    /// # Errors
    /// When ip(8) does not work.
    pub fn introduce(&self, n: usize, node: &Namespace, others: &[(usize, Ipv4Addr)]) -> anyhow::Result<()> {
        let line = |(other, at): &(usize, Ipv4Addr)| {
            format!("neighbour replace {at} lladdr {} dev e0 nud permanent", mac(*other))
        };
        let lines: Vec<_> = others.iter().filter(|(other, _)| *other != n).map(line).collect();
        let path = self.dir.join(format!("ip-{n}"));
        node.run(move || batch(&path, &lines))
    }

    /// Gives node `n` another address.
    ///
    /// # Errors
    /// When ip(8) does not work.
    pub fn readdress(&self, n: usize, node: &Namespace, at: Ipv4Addr) -> anyhow::Result<()> {
        let path = self.dir.join(format!("ip-{n}"));
        node.run(move || batch(&path, &["address flush dev e0".to_owned(), move_to(at)]))
    }

    /// Cuts the way from each of these to each of those, in this direction only, beside what is cut already.
    ///
    /// # Errors
    /// When nft(8) does not work.
    pub fn cut_one_way(&self, from: &[usize], to: &[usize]) -> anyhow::Result<()> {
        let pairs = from.iter().flat_map(|from| to.iter().map(move |to| (port(*from), port(*to))));
        let pairs: Vec<_> = pairs.map(|(from, to)| format!("\"{from}\" . \"{to}\"")).collect();
        if pairs.is_empty() {
            return Ok(());
        }
        self.nft(&format!("add element bridge lab cut {{ {} }}\n", pairs.join(", ")))
    }

    /// Cuts all ways between these and those, beside what is cut already.
    ///
    /// # Errors
    /// When nft(8) does not work.
    pub fn cut(&self, these: &[usize], those: &[usize]) -> anyhow::Result<()> {
        self.cut_one_way(these, those)?;
        self.cut_one_way(those, these)
    }

    /// Opens every way again.
    ///
    /// # Errors
    /// When nft(8) does not work.
    pub fn heal(&self) -> anyhow::Result<()> {
        self.nft("flush set bridge lab cut\n")
    }

    /// What went over it since it was made.
    ///
    /// # Errors
    /// When nft(8) does not work.
    pub fn traffic(&self) -> anyhow::Result<Traffic> {
        #[derive(Deserialize)]
        struct Listing {
            nftables: Vec<Entry>,
        }
        #[derive(Deserialize)]
        struct Entry {
            counter: Option<Counter>,
        }
        #[derive(Deserialize)]
        struct Counter {
            name: String,
            bytes: u64,
        }
        let list: Listing =
            Cmd::new("nft").args(["-j", "list", "counters", "table", "bridge", "lab"]).json()?;
        let mut traffic = Traffic::default();
        for counter in list.nftables.into_iter().filter_map(|entry| entry.counter) {
            match counter.name.as_str() {
                "gossip" => traffic.gossip = counter.bytes,
                "record" => traffic.record = counter.bytes,
                "api" => traffic.api = counter.bytes,
                _ => traffic.other = counter.bytes,
            }
        }
        Ok(traffic)
    }

    fn ip(&self, lines: &[String]) -> anyhow::Result<()> {
        batch(&self.dir.join("ip-switch"), lines)
    }

    fn nft(&self, text: &str) -> anyhow::Result<()> {
        let path = self.dir.join("rules.nft");
        std::fs::write(&path, text).context("the switch's rules")?;
        Ok(Cmd::new("nft").arg("-f").arg(&path).run()?)
    }
}

fn move_to(at: Ipv4Addr) -> String {
    format!("address add {at}/{PREFIX} brd + dev e0")
}

fn batch(path: &Path, lines: &[String]) -> anyhow::Result<()> {
    std::fs::write(path, lines.join("\n") + "\n").context("lines for ip(8)")?;
    Ok(Cmd::new("ip").arg("-batch").arg(path).run()?)
}
