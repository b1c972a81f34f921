//! The configuration file: what the agent wrote, and what that means once it is checked.

use std::collections::HashMap;
use std::net::Ipv4Addr;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use crate::dhcp::lease::Plan;
use crate::dhcp::server::Settings;
use crate::hw::HwAddr;

/// Largest configuration file read, in bytes.
pub const LIMIT: u64 = 4 << 20;
/// Port of the HTTP server unless said otherwise.
pub const HTTP_PORT: u16 = 8480;
/// Length of a lease in seconds unless said otherwise. Long enough for the slowest download: firmware never renews.
pub const LEASE: u64 = 3600;
/// Most addresses of a pool: a /16.
const MAX_POOL: u32 = 1 << 16;

/// The file as written.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ConfigFile {
    /// The only interface that is served.
    pub interface: String,
    /// Our address on it with its prefix length, e.g. `10.77.0.1/24`.
    pub address: String,
    /// First address given out.
    pub pool_start: Ipv4Addr,
    /// Last address given out.
    pub pool_end: Ipv4Addr,
    /// Default router told to clients.
    pub router: Option<Ipv4Addr>,
    /// Name servers told to clients.
    #[serde(default)]
    pub dns: Vec<Ipv4Addr>,
    /// Domain told to clients.
    pub domain: Option<String>,
    /// NTP servers told to clients.
    #[serde(default)]
    pub ntp: Vec<Ipv4Addr>,
    /// MTU told to clients.
    pub mtu: Option<u16>,
    /// Length of a lease, seconds.
    #[serde(default = "default_lease")]
    pub lease_seconds: u64,
    /// Directory with the bundle (all but the root image).
    pub release_dir: PathBuf,
    /// File or block device that begins with the root image.
    pub root_path: PathBuf,
    /// Public key the manifest must be signed with, minisign format. Not checked when absent: installers check.
    pub release_key: Option<PathBuf>,
    /// The agent's socket.
    pub agent_socket: PathBuf,
    /// Where leases are kept.
    pub lease_file: PathBuf,
    /// Port of the HTTP server.
    #[serde(default = "default_http_port")]
    pub http_port: u16,
    /// Fixed addresses. Those outside our network, and our own, are left out.
    #[serde(default, rename = "reservation")]
    pub reservations: Vec<Reservation>,
}

/// A fixed address.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Reservation {
    /// Whose.
    pub mac: HwAddr,
    /// Which.
    pub address: Ipv4Addr,
    /// Host name told to it.
    pub hostname: Option<String>,
}

fn default_lease() -> u64 {
    LEASE
}

fn default_http_port() -> u16 {
    HTTP_PORT
}

/// What to serve, checked.
#[derive(Debug, Clone)]
pub struct Config {
    /// The only interface that is served.
    pub interface: String,
    /// What is handed out.
    pub settings: Settings,
    /// Which addresses to whom.
    pub plan: Plan,
    /// Directory with the bundle (all but the root image).
    pub release_dir: PathBuf,
    /// File or block device that begins with the root image.
    pub root_path: PathBuf,
    /// Public key the manifest must be signed with.
    pub release_key: Option<PathBuf>,
    /// The agent's socket.
    pub agent_socket: PathBuf,
    /// Where leases are kept.
    pub lease_file: PathBuf,
}

/// The file is not one that can be served by.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// Not TOML, an unknown key, or a wrong type; the text names line and key.
    #[error("{0}")]
    Toml(#[from] toml::de::Error),
    /// A value that cannot be right.
    #[error("`{key}`: {reason}")]
    Value {
        /// The key.
        key: &'static str,
        /// What is wrong and what would be right.
        reason: String,
    },
}

fn wrong<T>(key: &'static str, reason: impl Into<String>) -> Result<T, ConfigError> {
    Err(ConfigError::Value { key, reason: reason.into() })
}

/// Parses and checks a configuration file.
///
/// # Errors
/// [`ConfigError`] naming the key and what is wrong with it.
pub fn parse_config(text: &str) -> Result<Config, ConfigError> {
    Config::try_from(toml::from_str::<ConfigFile>(text)?)
}

impl TryFrom<ConfigFile> for Config {
    type Error = ConfigError;

    fn try_from(file: ConfigFile) -> Result<Self, ConfigError> {
        let name = file.interface.as_bytes();
        // IFNAMSIZ is 16 with its NUL (netdevice(7)).
        if name.is_empty() || name.len() > 15 || name.iter().any(|b| b.is_ascii_whitespace() || *b == b'/') {
            return wrong("interface", format!("`{}` cannot be an interface's name", file.interface));
        }
        let (server, prefix) = parse_address(&file.address)?;
        if !(60..=u64::from(u32::MAX)).contains(&file.lease_seconds) {
            return wrong(
                "lease_seconds",
                format!("{} is not between 60 and 4294967295", file.lease_seconds),
            );
        }
        if file.http_port == 0 {
            return wrong("http_port", "0 is no port; 8480 is usual");
        }
        if file.mtu.is_some_and(|mtu| mtu < 576) {
            return wrong("mtu", "below 576, which is the least that IPv4 works with");
        }
        if file.domain.as_ref().is_some_and(|d| d.is_empty() || d.len() > 253 || !d.is_ascii()) {
            return wrong("domain", "not a domain name of 1 to 253 ASCII characters");
        }
        if let Some(name) =
            file.reservations.iter().filter_map(|r| r.hostname.as_ref()).find(|n| !is_label(n))
        {
            return wrong(
                "reservation",
                format!("`{name}` is not a host name: 1 to 63 letters, digits and hyphens"),
            );
        }
        let names = file.reservations.iter().filter_map(|r| Some((r.mac, r.hostname.clone()?))).collect();
        let settings = Settings {
            names,
            server,
            prefix,
            router: file.router,
            dns: file.dns,
            domain: file.domain,
            ntp: file.ntp,
            mtu: file.mtu,
            lease: file.lease_seconds,
            http_port: file.http_port,
        };
        let plan = plan_addresses(&settings, (file.pool_start, file.pool_end), &file.reservations)?;
        Ok(Self {
            interface: file.interface,
            settings,
            plan,
            release_dir: file.release_dir,
            root_path: file.root_path,
            release_key: file.release_key,
            agent_socket: file.agent_socket,
            lease_file: file.lease_file,
        })
    }
}

/// RFC 1123 section 2.1.
fn is_label(name: &str) -> bool {
    (1..=63).contains(&name.len()) && name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-')
}

/// Reads `10.77.0.1/24`.
///
/// # Errors
/// [`ConfigError`] for key `address`.
pub fn parse_address(text: &str) -> Result<(Ipv4Addr, u8), ConfigError> {
    let parsed = text.split_once('/').and_then(|(ip, prefix)| {
        let prefix = prefix.parse::<u8>().ok().filter(|p| (8..=30).contains(p))?;
        Some((ip.parse::<Ipv4Addr>().ok()?, prefix))
    });
    match parsed {
        Some(found) => Ok(found),
        None => wrong(
            "address",
            format!("`{text}` is not an address with a prefix of 8 to 30, like 10.77.0.1/24"),
        ),
    }
}

/// The pool a network has when none is named: its addresses 100 to 199, or the upper half of a small one.
#[must_use]
pub fn default_pool(server: Ipv4Addr, prefix: u8) -> (Ipv4Addr, Ipv4Addr) {
    let size = 1u32 << (32 - u32::from(prefix.clamp(8, 30)));
    let network = server.to_bits() & !(size - 1);
    let (first, last) = if size >= 256 { (100, 199) } else { (size / 2, size - 2) };
    (Ipv4Addr::from_bits(network + first), Ipv4Addr::from_bits(network + last))
}

/// Checks which addresses are given to whom.
fn plan_addresses(
    settings: &Settings,
    (first, last): (Ipv4Addr, Ipv4Addr),
    reservations: &[Reservation],
) -> Result<Plan, ConfigError> {
    let size = 1u32 << (32 - u32::from(settings.prefix));
    let network = settings.server.to_bits() & !(size - 1);
    let (network, broadcast) = (Ipv4Addr::from_bits(network), Ipv4Addr::from_bits(network | (size - 1)));
    let usable = |key: &'static str, ip: Ipv4Addr| {
        if !settings.on_link(ip) {
            return wrong(
                key,
                format!("{ip} is not in {network}/{}; give an address of that network", settings.prefix),
            );
        }
        if ip == network || ip == broadcast {
            return wrong(key, format!("{ip} is the network's own or broadcast address; give one between"));
        }
        Ok(())
    };
    usable("address", settings.server)?;
    usable("pool_start", first)?;
    usable("pool_end", last)?;
    if let Some(router) = settings.router {
        usable("router", router)?;
    }
    if first > last {
        return wrong("pool_end", format!("{last} lies before pool_start, {first}; exchange them"));
    }
    if last.to_bits() - first.to_bits() >= MAX_POOL {
        return wrong("pool_end", format!("the pool has more than {MAX_POOL} addresses; make it smaller"));
    }
    let excluded: Vec<_> = std::iter::once(settings.server).chain(settings.router).collect();
    let mut by_mac = HashMap::new();
    let mut seen = HashMap::new();
    for Reservation { mac, address, .. } in reservations {
        // The agent lists every node of the cluster, this one and those on other networks too.
        if *address == settings.server || !settings.on_link(*address) {
            continue;
        }
        usable("reservation", *address)?;
        // Ethernet, or the UUID that EDK2 with SendGUID puts there.
        if !matches!(mac.as_bytes().len(), 6 | 16) {
            return wrong("reservation", format!("{mac} has {} bytes; a MAC has 6", mac.as_bytes().len()));
        }
        if excluded.contains(address) {
            return wrong("reservation", format!("{address} (for {mac}) is the router's address"));
        }
        if by_mac.insert(*mac, *address).is_some() {
            return wrong("reservation", format!("{mac} has two addresses; keep one"));
        }
        if let Some(other) = seen.insert(*address, *mac) {
            return wrong(
                "reservation",
                format!("{address} is reserved for {other} and for {mac}; keep one"),
            );
        }
    }
    Ok(Plan { pool: Some((first, last)), excluded, reservations: by_mac })
}

#[cfg(test)]
mod tests;
