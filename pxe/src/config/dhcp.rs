//! The `[dhcp]` part of the configuration file: further pools, networks behind relay agents, options, and how many
//! strangers are let in; and what all that means once it is checked.

use std::collections::HashSet;
use std::net::Ipv4Addr;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::{ConfigError, ConfigFile, wrong};
use crate::dhcp::cidr::Cidr;
use crate::dhcp::lease::{Network, Plan};
use crate::dhcp::options;
use crate::dhcp::told::{self, Subnet};
use crate::hw::HwAddr;

/// Most addresses of all pools together: a /16.
const MAX_POOL: u32 = 1 << 16;
/// Most networks.
const MAX_SUBNETS: usize = 256;
/// How much of each pool only known machines get unless said otherwise, in percent.
const KEPT: usize = 10;
/// How many strangers a second get an address unless said otherwise; sixteen times as many at once.
const STRANGERS: u32 = 1024;

/// The part as written.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct DhcpFile {
    /// Machines that are no strangers though no address is reserved for them.
    pub known: Vec<HwAddr>,
    /// How much of each pool only known machines get, in percent.
    pub kept_for_known: Option<usize>,
    /// How many strangers a second get an address; sixteen times as many at once. 0: as many as ask.
    pub strangers_per_second: Option<u32>,
    /// Domain search list of our own network, option 119.
    pub search: Vec<String>,
    /// Routes told to clients of our own network, option 121.
    #[serde(rename = "route")]
    pub routes: Vec<Route>,
    /// Options of our own network by their numbers.
    #[serde(rename = "option")]
    pub options: Vec<OptionFile>,
    /// More pools of our own network.
    #[serde(rename = "pool")]
    pub pools: Vec<Range>,
    /// Networks behind relay agents.
    #[serde(rename = "subnet")]
    pub subnets: Vec<SubnetFile>,
}

/// A pool.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Range {
    /// First address given out.
    pub first: Ipv4Addr,
    /// Last address given out.
    pub last: Ipv4Addr,
}

/// A classless static route.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Route {
    /// Where to, e.g. `10.0.0.0/8`.
    pub to: String,
    /// By which router.
    pub via: Ipv4Addr,
}

/// An option by its number, with its value in one of three forms.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct OptionFile {
    /// Its number.
    pub code: u8,
    /// Bytes as hex digits.
    pub hex: Option<String>,
    /// Text.
    pub text: Option<String>,
    /// Addresses.
    pub ip: Option<Vec<Ipv4Addr>>,
    /// Whether clients that do not ask for it are told too.
    #[serde(default)]
    pub always: bool,
}

/// A network behind a relay agent.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SubnetFile {
    /// Where it is, e.g. `10.78.0.0/24`. The relay agent's address, or the link it selects, tells who is on it.
    pub network: String,
    /// Its pools; none, where only reservations are served.
    #[serde(default, rename = "pool")]
    pub pools: Vec<Range>,
    /// Default router.
    pub router: Option<Ipv4Addr>,
    /// Name servers.
    #[serde(default)]
    pub dns: Vec<Ipv4Addr>,
    /// Domain.
    pub domain: Option<String>,
    /// Domain search list.
    #[serde(default)]
    pub search: Vec<String>,
    /// NTP servers.
    #[serde(default)]
    pub ntp: Vec<Ipv4Addr>,
    /// MTU.
    pub mtu: Option<u16>,
    /// Length of a lease, seconds; that of our own network when absent.
    pub lease_seconds: Option<u64>,
    /// Routes.
    #[serde(default, rename = "route")]
    pub routes: Vec<Route>,
    /// Options by their numbers.
    #[serde(default, rename = "option")]
    pub options: Vec<OptionFile>,
}

/// Our own network in the shape of the others.
fn own(file: &ConfigFile, cidr: Cidr) -> SubnetFile {
    let first = Range { first: file.pool_start, last: file.pool_end };
    SubnetFile {
        network: cidr.to_string(),
        pools: std::iter::once(first).chain(file.dhcp.pools.clone()).collect(),
        router: file.router,
        dns: file.dns.clone(),
        domain: file.domain.clone(),
        search: file.dhcp.search.clone(),
        ntp: file.ntp.clone(),
        mtu: file.mtu,
        lease_seconds: None,
        routes: file.dhcp.routes.clone(),
        options: file.dhcp.options.clone(),
    }
}

/// Checks what is told to whom, and which addresses are given out.
pub(super) fn plan(
    file: &ConfigFile,
    server: Ipv4Addr,
    prefix: u8,
) -> Result<(Vec<Subnet>, Plan), ConfigError> {
    let here = Cidr::around(server, prefix);
    usable("address", here, server)?;
    usable("pool_start", here, file.pool_start)?;
    usable("pool_end", here, file.pool_end)?;
    if file.pool_start > file.pool_end {
        let (first, last) = (file.pool_start, file.pool_end);
        return wrong("pool_end", format!("{last} lies before pool_start, {first}; exchange them"));
    }
    if file.dhcp.subnets.len() >= MAX_SUBNETS {
        return wrong("dhcp.subnet", format!("more than {MAX_SUBNETS} networks"));
    }
    let (mut subnets, mut networks) = (Vec::new(), Vec::<Network>::new());
    let mut excluded = HashSet::from([server]);
    for (n, subnet) in std::iter::once(&own(file, here)).chain(&file.dhcp.subnets).enumerate() {
        let key = if n == 0 { "router" } else { "dhcp.subnet" };
        let cidr: Cidr = match subnet.network.parse() {
            Ok(cidr) => cidr,
            Err(e) => return wrong("dhcp.subnet", format!("{e}")),
        };
        if let Some(other) = networks.iter().find(|other| other.cidr.overlaps(cidr)) {
            return wrong("dhcp.subnet", format!("{cidr} and {} overlap; keep one", other.cidr));
        }
        if let Some(router) = subnet.router {
            usable(key, cidr, router)?;
            excluded.insert(router);
        }
        networks.push(Network { cidr, pools: pools(cidr, &subnet.pools)? });
        subnets.push(tell(cidr, subnet, file.lease_seconds)?);
    }
    let size: u64 =
        networks.iter().flat_map(|n| &n.pools).map(|(a, b)| u64::from(b.to_bits() - a.to_bits()) + 1).sum();
    if size > u64::from(MAX_POOL) {
        return wrong(
            "pool_end",
            format!("the pools have more than {MAX_POOL} addresses; make them smaller"),
        );
    }
    let kept_percent = file.dhcp.kept_for_known.unwrap_or(KEPT);
    if kept_percent > 100 {
        return wrong("dhcp.kept_for_known", format!("{kept_percent} is more than 100 percent"));
    }
    let plan = Plan {
        reservations: Arc::new(super::reservations::check(&file.reservations, server, &networks, &excluded)?),
        networks,
        excluded,
        known: file.dhcp.known.iter().copied().collect(),
        kept_percent,
        strangers_per_second: file.dhcp.strangers_per_second.unwrap_or(STRANGERS),
    };
    Ok((subnets, plan))
}

/// An address that a machine of this network may have.
pub(super) fn usable(key: &'static str, cidr: Cidr, ip: Ipv4Addr) -> Result<(), ConfigError> {
    if !cidr.contains(ip) {
        return wrong(key, format!("{ip} is not in {cidr}; give an address of that network"));
    }
    if ip == cidr.network() || ip == cidr.broadcast() {
        return wrong(key, format!("{ip} is the network's own or broadcast address; give one between"));
    }
    Ok(())
}

fn pools(cidr: Cidr, ranges: &[Range]) -> Result<Vec<(Ipv4Addr, Ipv4Addr)>, ConfigError> {
    let mut pools: Vec<(Ipv4Addr, Ipv4Addr)> = Vec::new();
    for Range { first, last } in ranges {
        usable("dhcp.pool", cidr, *first)?;
        usable("dhcp.pool", cidr, *last)?;
        if first > last {
            return wrong("dhcp.pool", format!("{last} lies before {first}; exchange them"));
        }
        if let Some((a, b)) = pools.iter().find(|(a, b)| first <= b && a <= last) {
            return wrong("dhcp.pool", format!("{first} to {last} and {a} to {b} overlap; join them"));
        }
        pools.push((*first, *last));
    }
    Ok(pools)
}

/// The options of a network, as they go on the wire.
fn tell(cidr: Cidr, file: &SubnetFile, lease: u64) -> Result<Subnet, ConfigError> {
    let lease = file.lease_seconds.unwrap_or(lease);
    if !(60..=u64::from(u32::MAX)).contains(&lease) {
        return wrong("lease_seconds", format!("{lease} is not between 60 and 4294967295"));
    }
    if file.mtu.is_some_and(|mtu| mtu < 576) {
        return wrong("mtu", "below 576, which is the least that IPv4 works with");
    }
    if file.domain.as_ref().is_some_and(|d| d.is_empty() || d.len() > 253 || !d.is_ascii()) {
        return wrong("domain", "not a domain name of 1 to 253 ASCII characters");
    }
    let Some(search) = told::search(&file.search) else {
        return wrong("search", format!("{:?} are not all domain names", file.search));
    };
    let mut routes = Vec::new();
    for Route { to, via } in &file.routes {
        match to.parse() {
            Ok(to) => routes.push((to, *via)),
            Err(e) => return wrong("route", format!("{e}")),
        }
    }
    let mut subnet = Subnet::new(cidr, lease);
    subnet.tell(options::ROUTER, told::ips(file.router.as_slice()), true);
    subnet.tell(options::DNS, told::ips(&file.dns), true);
    subnet.tell(options::DOMAIN, file.domain.clone().unwrap_or_default().into_bytes(), false);
    subnet.tell(options::MTU, file.mtu.map(u16::to_be_bytes).into_iter().flatten().collect(), false);
    subnet.tell(options::NTP, told::ips(&file.ntp), false);
    subnet.tell(options::SEARCH, search, false);
    subnet.tell(options::ROUTES, told::routes(&routes), false);
    for option in &file.options {
        let (code, value) = (option.code, option_value(option)?);
        if !subnet.tell(code, value, option.always) {
            return wrong("option", format!("option {code} of {cidr} is set twice; keep one"));
        }
    }
    if subnet.size() > told::LIMIT {
        let size = subnet.size();
        return wrong("option", format!("the options of {cidr} take {size} bytes, over {}", told::LIMIT));
    }
    Ok(subnet)
}

fn option_value(option: &OptionFile) -> Result<Vec<u8>, ConfigError> {
    let code = option.code;
    if !options::may_be_set(code) {
        return wrong(
            "option",
            format!("option {code} belongs to the protocol, which sets it as it must be"),
        );
    }
    let value = match (&option.hex, &option.text, &option.ip) {
        (Some(hex), None, None) => told::hex(hex),
        (None, Some(text), None) => Some(text.clone().into_bytes()),
        (None, None, Some(ips)) => Some(told::ips(ips)),
        _ => return wrong("option", format!("option {code} takes one of `hex`, `text` and `ip`")),
    };
    match value.filter(|value| !value.is_empty()) {
        Some(value) => Ok(value),
        None => {
            wrong("option", format!("option {code} has no value, or one that is not hex digits in pairs"))
        }
    }
}

#[cfg(test)]
mod tests;
