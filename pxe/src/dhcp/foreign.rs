//! Other DHCP servers on the network: noticing them, leaving the addresses to them, and taking over again when they are
//! gone. Pure: time and what was heard come in; what to do comes out.
//!
//! Two servers that do not know of each other give one address to two machines. So in mode `auto` addresses are given
//! only after nobody else was found to give them, and no longer from the moment somebody does. It is noticed by
//!
//! - a DISCOVER of our own every half minute, which is never followed by a REQUEST: an OFFER tells on its sender;
//! - broadcast OFFERs, ACKs and NAKs of others to their clients;
//! - clients' REQUESTs that name another server.
//!
//! From then on machines that hold an address of ours keep it and renew it with us, and nobody gets a new one. When
//! nothing was heard of the other server for five minutes, though it was asked ten times, and no address that it gave
//! away is held by a machine of ours, we give addresses again.
//!
//! Another Maekin master tells in its OFFER to our question that it is one: of two of them the one with the lower
//! address goes on.

use std::collections::BTreeMap;
use std::net::Ipv4Addr;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::options::{self, MessageType};
use super::packet::{BOOTREPLY, BOOTREQUEST, Packet, TooLong, Writer};
use super::server::Settings;
use crate::hw::HwAddr;

/// Vendor class of the question whether there are servers.
const PROBE_CLASS: &[u8] = b"Maekin-probe";
/// Vendor class of a master's answer to it.
const PEER_CLASS: &[u8] = b"Maekin-master";
/// The same, of one that was told not to step back.
const FIXED_PEER_CLASS: &[u8] = b"Maekin-master:fixed";
/// Most servers remembered. A flood of invented ones changes nothing more than the first did.
const MAX_SERVERS: usize = 32;
/// Most addresses remembered that others gave away.
const MAX_GIVEN: usize = 4096;
/// An address that another server gave away is not minded longer than this.
const LONGEST_GIVEN: Duration = Duration::from_secs(3600);
/// When the question is put while nobody may be served yet, in parts of the time.
const LOOK_PROBES: u32 = 3;

/// What the configuration asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Mode {
    /// Addresses where nobody else gives them, else ProxyDHCP.
    #[default]
    Auto,
    /// Addresses, whoever else gives them too.
    Server,
    /// ProxyDHCP only.
    Proxy,
    /// Nothing is answered on the DHCP ports.
    Off,
}

/// What is done now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    /// Nobody was found yet, nor is it certain that nobody is there: as `Proxy`.
    Looking,
    /// Addresses are given.
    Server,
    /// Boot firmware is told what to load; held addresses are renewed and no new ones given.
    Proxy,
    /// Nothing is answered.
    Off,
}

/// How long things take.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Timing {
    /// How long is looked before the first address is given. dnsmasq and dhcpd make sure of an address for up to 3 s
    /// before they offer it.
    pub look: Duration,
    /// How often it is asked whether there are other servers.
    pub probe: Duration,
    /// How long nothing must have been heard of another server.
    pub silence: Duration,
}

impl Default for Timing {
    fn default() -> Self {
        let secs = Duration::from_secs;
        Self { look: secs(4), probe: secs(30), silence: secs(300) }
    }
}

/// A sign of another server.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Sighting {
    /// Its identifier.
    pub server: Ipv4Addr,
    /// What it is.
    pub kind: Kind,
    /// An address that it gave away.
    pub given: Option<Given>,
}

/// An address that another server gave away.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Given {
    /// The address.
    pub ip: Ipv4Addr,
    /// Whose it is.
    pub hw: HwAddr,
    /// For how long.
    pub time: Duration,
}

/// What another server is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// A DHCP server.
    Server,
    /// A Maekin master, and whether it was told not to step back.
    Peer {
        /// It was told not to.
        fixed: bool,
    },
}

/// Why the role changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Change {
    /// Nobody else was found.
    Alone,
    /// This server was.
    Found(Ipv4Addr),
    /// Nothing was heard of others any more.
    Gone,
}

/// What a moment brings.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Tick {
    /// It is time to ask.
    pub probe: bool,
    /// The role changed.
    pub change: Option<Change>,
}

/// What is known of other servers.
#[derive(Debug)]
pub struct Foreign {
    us: Ipv4Addr,
    mode: Mode,
    timing: Timing,
    role: Role,
    next_probe: Duration,
    look_until: Duration,
    servers: BTreeMap<Ipv4Addr, Duration>,
    /// Masters that step back before us.
    lesser: BTreeMap<Ipv4Addr, Duration>,
    /// Whose an address is that another server gave away, and until when.
    given: BTreeMap<Ipv4Addr, (HwAddr, Duration)>,
}

impl Foreign {
    /// Nothing is known yet at `now`.
    #[must_use]
    pub fn new(us: Ipv4Addr, mode: Mode, timing: Timing, now: Duration) -> Self {
        let role = match mode {
            Mode::Auto if timing.look.is_zero() => Role::Server,
            Mode::Auto => Role::Looking,
            Mode::Server => Role::Server,
            Mode::Proxy => Role::Proxy,
            Mode::Off => Role::Off,
        };
        let (servers, lesser, given) = Default::default();
        Self {
            us,
            mode,
            timing,
            role,
            next_probe: now,
            look_until: now + timing.look,
            servers,
            lesser,
            given,
        }
    }

    /// What is done now.
    #[must_use]
    pub fn role(&self) -> Role {
        self.role
    }

    /// The servers that addresses are left to, the one heard of last first.
    #[must_use]
    pub fn servers(&self) -> Vec<Ipv4Addr> {
        let mut servers: Vec<_> = self.servers.iter().collect();
        servers.sort_by_key(|(_, at)| std::cmp::Reverse(**at));
        servers.into_iter().map(|(ip, _)| *ip).collect()
    }

    /// The addresses that others gave away and that are still those machines'.
    pub fn given(&self, now: Duration) -> impl Iterator<Item = (Ipv4Addr, HwAddr)> + '_ {
        self.given.iter().filter(move |(_, (_, until))| *until > now).map(|(ip, (hw, _))| (*ip, *hw))
    }

    /// Takes a sign of another server in. `None`: it changes nothing.
    pub fn seen(&mut self, now: Duration, sighting: Sighting) -> Option<Change> {
        let Sighting { server, kind, given } = sighting;
        if server == self.us || !could_be_server(server) {
            return None;
        }
        if let Some(Given { ip, hw, time }) = given
            && (self.given.len() < MAX_GIVEN || self.given.contains_key(&ip))
        {
            self.given.insert(ip, (hw, now + time.min(LONGEST_GIVEN)));
        }
        let yields = kind == (Kind::Peer { fixed: false }) && server > self.us;
        if yields {
            // It may have been taken for a stranger by a client's REQUEST before it answered us.
            self.servers.remove(&server);
            put(&mut self.lesser, server, now);
            return None;
        }
        if kind == Kind::Server && self.lesser.get(&server).is_some_and(|at| now < *at + self.timing.silence)
        {
            return None;
        }
        let news = self.servers.is_empty();
        put(&mut self.servers, server, now);
        if self.mode == Mode::Auto && matches!(self.role, Role::Looking | Role::Server) {
            self.role = Role::Proxy;
            // Asked at once, so that a peer can say what it is.
            self.next_probe = now;
            return Some(Change::Found(server));
        }
        (self.mode == Mode::Server && news).then_some(Change::Found(server))
    }

    /// Whether an address that another server gave away is held by another machine of ours.
    fn conflicts(&self, held: &impl Fn(Ipv4Addr) -> Option<HwAddr>) -> bool {
        self.given.iter().any(|(ip, (hw, _))| held(*ip).is_some_and(|holder| holder != *hw))
    }

    /// What is due at `now`. `held` tells which machine holds an address of ours.
    pub fn tick(&mut self, now: Duration, held: impl Fn(Ipv4Addr) -> Option<HwAddr>) -> Tick {
        if self.mode != Mode::Auto {
            return Tick::default();
        }
        self.servers.retain(|_, at| now < *at + self.timing.silence);
        self.lesser.retain(|_, at| now < *at + self.timing.silence);
        self.given.retain(|_, (_, until)| *until > now);
        let change = match self.role {
            Role::Looking if now >= self.look_until => Some(Change::Alone),
            Role::Proxy if self.servers.is_empty() && !self.conflicts(&held) => Some(Change::Gone),
            _ => None,
        };
        if change.is_some() {
            self.role = Role::Server;
        }
        let probe = now >= self.next_probe;
        if probe {
            let every = match self.role {
                Role::Looking => self.timing.look / LOOK_PROBES,
                _ => self.timing.probe,
            };
            self.next_probe = now + every;
        }
        Tick { probe, change }
    }
}

fn put(servers: &mut BTreeMap<Ipv4Addr, Duration>, server: Ipv4Addr, now: Duration) {
    if servers.len() < MAX_SERVERS || servers.contains_key(&server) {
        servers.insert(server, now);
    }
}

fn could_be_server(ip: Ipv4Addr) -> bool {
    !(ip.is_unspecified() || ip.is_broadcast() || ip.is_multicast() || ip.is_loopback())
}

/// What `packet` tells of another server. Of a relayed one: nothing, since it speaks of another network.
#[must_use]
pub fn sighting(packet: &Packet<'_>) -> Option<Sighting> {
    if !packet.giaddr.is_unspecified() {
        return None;
    }
    let server = packet.option_ip(options::SERVER_ID)?;
    let seen = |kind, given| Some(Sighting { server, kind, given });
    match (packet.op, packet.kind) {
        (BOOTREPLY, MessageType::Offer) => match packet.option(options::VENDOR_CLASS) {
            Some(PEER_CLASS) => seen(Kind::Peer { fixed: false }, None),
            Some(FIXED_PEER_CLASS) => seen(Kind::Peer { fixed: true }, None),
            // Without an address it is another ProxyDHCP server.
            _ => (!packet.yiaddr.is_unspecified()).then(|| seen(Kind::Server, None)).flatten(),
        },
        (BOOTREPLY, MessageType::Ack) if !packet.yiaddr.is_unspecified() => {
            let time = packet.option(options::LEASE_TIME).and_then(|v| <[u8; 4]>::try_from(v).ok());
            let time = Duration::from_secs(time.map_or(0, u32::from_be_bytes).into());
            seen(Kind::Server, Some(Given { ip: packet.yiaddr, hw: packet.hw, time }))
        }
        (BOOTREPLY, MessageType::Nak) => seen(Kind::Server, None),
        (BOOTREQUEST, MessageType::Request | MessageType::Decline) => seen(Kind::Server, None),
        _ => None,
    }
}

/// The hardware address that we ask under: locally administered, and another for each of our addresses.
#[must_use]
pub fn probe_hw(us: Ipv4Addr) -> HwAddr {
    let [_, b, c, d] = us.octets();
    HwAddr::ethernet([0x0a, b'M', b'k', b, c, d])
}

/// The question whether there are other servers.
///
/// # Errors
/// Never, as it is short.
pub fn probe(us: Ipv4Addr, xid: u32) -> Result<super::packet::Message, TooLong> {
    let mut writer = Writer::request(MessageType::Discover, xid, probe_hw(us), true);
    writer.option(options::VENDOR_CLASS, PROBE_CLASS);
    writer.option(options::PARAMETERS, &[options::SUBNET_MASK]);
    writer.finish()
}

/// Whether `packet` is such a question, of ours or of another master.
#[must_use]
pub fn is_probe(packet: &Packet<'_>) -> bool {
    packet.kind == MessageType::Discover && packet.option(options::VENDOR_CLASS) == Some(PROBE_CLASS)
}

/// A master's answer to another's question: no address of the pool is spent on it.
///
/// # Errors
/// Never, as it is short.
pub fn answer_probe(
    settings: &Settings,
    mode: Mode,
    packet: &Packet<'_>,
) -> Result<super::packet::Message, TooLong> {
    let mut writer = Writer::reply(packet, MessageType::Offer);
    writer.option(options::SERVER_ID, &settings.server.octets());
    let class = if mode == Mode::Server { FIXED_PEER_CLASS } else { PEER_CLASS };
    writer.option(options::VENDOR_CLASS, class);
    writer.finish()
}

#[cfg(test)]
mod tests;
