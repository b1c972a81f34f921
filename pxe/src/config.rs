//! The configuration file: what the agent wrote, and what that means once it is checked.

mod beside;
mod dhcp;
mod reservations;
mod v6;

use std::net::{Ipv4Addr, SocketAddrV4};
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use crate::dhcp::foreign::{Mode, Timing};
use crate::dhcp::lease::Plan;
use crate::dhcp::server::Settings;
use crate::hw::HwAddr;
use crate::leading::Role;

pub use beside::BesideFile;
pub use dhcp::{DhcpFile, OptionFile, Range, Route, SubnetFile};
pub use v6::{V6, V6File};

/// Largest configuration file read, in bytes.
pub const LIMIT: u64 = 4 << 20;
/// Port of the HTTP server unless said otherwise.
pub const HTTP_PORT: u16 = 8480;
/// Length of a lease in seconds unless said otherwise. Long enough for the slowest download: firmware never renews.
pub const LEASE: u64 = 3600;

/// The file as written.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ConfigFile {
    /// The part of this master among those of its network.
    #[serde(default)]
    pub role: Role,
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
    /// The HTTP servers of the other masters of this network, such as `http://10.77.0.2:8480`.
    #[serde(default)]
    pub masters: Vec<String>,
    /// The addresses of all other masters there may be, alive or not.
    #[serde(default)]
    pub siblings: Vec<Ipv4Addr>,
    /// Whether addresses are written into the cluster's record, by way of the agent, before machines hear of them.
    #[serde(default)]
    pub ledger: bool,
    /// More of what DHCP gives and tells, and to whom.
    #[serde(default)]
    pub dhcp: DhcpFile,
    /// What is done about other DHCP servers.
    #[serde(default)]
    pub beside: BesideFile,
    /// Network boot over IPv6.
    pub ipv6: Option<V6File>,
    /// Fixed addresses. Those outside our networks, and our own, are left out.
    #[serde(default, rename = "reservation")]
    pub reservations: Vec<Reservation>,
}

/// A fixed address.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Reservation {
    /// Whose, by hardware address.
    pub mac: Option<HwAddr>,
    /// Whose, by client id (option 61), in hex digits.
    pub client_id: Option<String>,
    /// Whose, by the UUID of its SMBIOS.
    pub uuid: Option<uuid::Uuid>,
    /// Whose, by the port that its relay agent or switch names (option 82 sub-option 1); text, or `0x` and hex digits.
    pub circuit_id: Option<String>,
    /// Whose, by the relay agent or switch (option 82 sub-option 2); text, or `0x` and hex digits.
    pub remote_id: Option<String>,
    /// Which. Without one the machine is no stranger, and may have a name.
    pub address: Option<Ipv4Addr>,
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
    /// The part of this master among those of its network.
    pub role: Role,
    /// Whether addresses are written into the cluster's record first.
    pub ledger: bool,
    /// The only interface that is served.
    pub interface: String,
    /// Whether addresses are given.
    pub mode: Mode,
    /// How other DHCP servers are watched.
    pub timing: Timing,
    /// What is handed out.
    pub settings: Settings,
    /// Which addresses to whom.
    pub plan: Plan,
    /// Directory with the bundle (all but the root image).
    pub release_dir: PathBuf,
    /// File or block device that begins with the root image.
    pub root_path: PathBuf,
    /// ISO image with the bundle, in place of both.
    pub iso: Option<PathBuf>,
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
        let timing = file.beside.timing()?;
        if file.http_port == 0 {
            return wrong("http_port", "0 is no port; 8480 is usual");
        }
        if let Some(other) = file.masters.iter().find(|url| !is_master(url)) {
            return wrong("masters", format!("`{other}` is no master's address, like http://10.77.0.2:8480"));
        }
        let (subnets, plan) = dhcp::plan(&file, server, prefix)?;
        let settings = Settings {
            server,
            prefix,
            subnets,
            reservations: plan.reservations.clone(),
            http_port: file.http_port,
            masters: file.masters,
            siblings: file.siblings,
            proxy: file.beside.uefi,
            proxy_loader: file.beside.loader,
            v6: file.ipv6.map(|v6| v6.check(&file.interface)).transpose()?,
        };
        Ok(Self {
            role: file.role,
            ledger: file.ledger,
            interface: file.interface,
            mode: file.beside.mode,
            timing,
            settings,
            plan,
            release_dir: file.release_dir,
            root_path: file.root_path,
            iso: None,
            release_key: file.release_key,
            agent_socket: file.agent_socket,
            lease_file: file.lease_file,
        })
    }
}

/// Exactly an address and a port: it goes into scripts and command lines as it is.
fn is_master(url: &str) -> bool {
    url.strip_prefix("http://").is_some_and(|place| place.parse::<SocketAddrV4>().is_ok())
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

#[cfg(test)]
mod tests;
