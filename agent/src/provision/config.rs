//! The configuration file of `maekin-pxe`: what follows from the record and this node's place. Pure.

use std::collections::BTreeSet;
use std::net::{IpAddr, Ipv4Addr};
use std::path::{Path, PathBuf};

use maekin_host::links::Link;
use maekin_image::manifest::PUBLIC_KEY_PATH;
use maekin_rootfs::cidr::Cidr;
use maekin_rootfs::node::Network;
use serde::Serialize;

use crate::node_info::Own;
use crate::record::values::{NodeValue, ProvisionValue};

/// Where leases outlive the master.
const LEASES: &str = "pxe/leases";
/// Port of every master's HTTP server.
const HTTP_PORT: u16 = 8480;
/// Most other masters that machines are told.
const MASTERS: usize = 4;

/// The configuration file as `maekin-pxe` reads it.
#[derive(Debug, Serialize)]
pub(super) struct PxeConfig {
    role: &'static str,
    interface: String,
    address: String,
    pool_start: Ipv4Addr,
    pool_end: Ipv4Addr,
    #[serde(skip_serializing_if = "Option::is_none")]
    router: Option<Ipv4Addr>,
    dns: Vec<Ipv4Addr>,
    masters: Vec<String>,
    release_dir: PathBuf,
    root_path: PathBuf,
    release_key: &'static str,
    agent_socket: PathBuf,
    lease_file: PathBuf,
    reservation: Vec<Reservation>,
}

#[derive(Debug, Serialize)]
struct Reservation {
    mac: String,
    address: Ipv4Addr,
}

/// Where the release of this node can be read.
#[derive(Debug, Clone)]
pub(super) struct Release {
    pub(super) dir: PathBuf,
    pub(super) root: PathBuf,
}

/// Where this node is.
pub(super) struct Place<'a> {
    pub(super) own: &'a Own,
    pub(super) links: &'a [Link],
    pub(super) node_id: &'a str,
    pub(super) release: &'a Release,
    pub(super) agent_socket: PathBuf,
    pub(super) state: &'a Path,
}

/// What the record says.
pub(super) struct Wanted<'a> {
    pub(super) settings: &'a ProvisionValue,
    pub(super) nodes: &'a [NodeValue],
    /// Ids of the members that give signs of life.
    pub(super) alive: &'a BTreeSet<String>,
    /// Whether this node leads.
    pub(super) leads: bool,
}

/// The configuration; `None` where this node is not on the network that is served.
pub(super) fn plan_config(network: &Network, place: &Place<'_>, wanted: &Wanted<'_>) -> Option<PxeConfig> {
    let settings = wanted.settings;
    let own = own_network(network, place)?;
    let pool = [settings.pool_start, settings.pool_end];
    if !pool.iter().all(|ip| own.contains(IpAddr::V4(*ip))) {
        return None;
    }
    let reservation = wanted
        .nodes
        .iter()
        .filter(|node| !node.mac.is_empty())
        .filter_map(|node| Some(Reservation { mac: node.mac.clone(), address: node.address.parse().ok()? }))
        .collect();
    Some(PxeConfig {
        role: if wanted.leads { "leader" } else { "standby" },
        interface: place.own.interface.clone(),
        address: format!("{}/{}", own.address, own.prefix),
        pool_start: settings.pool_start,
        pool_end: settings.pool_end,
        router: settings.router,
        dns: network.dns.iter().filter_map(v4).collect(),
        masters: masters(place.node_id, own, wanted),
        release_dir: place.release.dir.clone(),
        root_path: place.release.root.clone(),
        release_key: PUBLIC_KEY_PATH,
        agent_socket: place.agent_socket.clone(),
        lease_file: place.state.join(LEASES),
        reservation,
    })
}

/// Our address on the cluster's network with its prefix: as the node file has it, else as the kernel has it.
fn own_network(network: &Network, place: &Place<'_>) -> Option<Cidr> {
    let fixed = network.interfaces.first().and_then(|i| i.addresses.first());
    if let Some(fixed) = fixed {
        return fixed.parse().ok();
    }
    let link = place.links.iter().find(|link| link.name == place.own.interface)?;
    let (address, prefix) = link.addresses.iter().find(|(ip, _)| *ip == place.own.address)?;
    Some(Cidr { address: *address, prefix: *prefix })
}

/// The other masters that a machine of this network can ask, those with a voter first: they lead first.
fn masters(own_id: &str, own: Cidr, wanted: &Wanted<'_>) -> Vec<String> {
    let near = |n: &&NodeValue| {
        n.id != own_id && wanted.alive.contains(&n.id) && n.address.parse().is_ok_and(|ip| own.contains(ip))
    };
    let mut nodes: Vec<_> = wanted.nodes.iter().filter(near).collect();
    nodes.sort_by_key(|n| (n.record_url.is_empty(), n.joined_at, n.id.clone()));
    nodes.into_iter().take(MASTERS).map(|n| format!("http://{}:{HTTP_PORT}", n.address)).collect()
}

fn v4(ip: &IpAddr) -> Option<Ipv4Addr> {
    match ip {
        IpAddr::V4(ip) => Some(*ip),
        IpAddr::V6(_) => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use maekin_rootfs::node::NodeConfig;

    fn config() -> NodeConfig {
        toml::from_str(
            r#"
            version = 1
            install_id = "00000000-0000-0000-0000-000000000007"
            machine_id = "0123456789abcdef0123456789abcdef"
            hostname = "node-1"
            network = { interface = [{ name = "ens3", addresses = ["10.77.0.1/24"] }], dns = ["9.9.9.9", "fd00::9"] }
            cluster = { mode = "create", name = "rack" }
            "#,
        )
        .unwrap()
    }

    fn settings() -> ProvisionValue {
        let [pool_start, pool_end] = ["10.77.0.100", "10.77.0.199"].map(|ip| ip.parse().unwrap());
        ProvisionValue { pool_start, pool_end, router: None }
    }

    fn node(id: &str, mac: &str, address: &str) -> NodeValue {
        NodeValue { id: id.into(), address: address.into(), mac: mac.into(), ..NodeValue::default() }
    }

    fn plan(config: &NodeConfig, links: &[Link], nodes: &[NodeValue], leads: bool) -> Option<toml::Table> {
        let own = Own {
            address: "10.77.0.1".parse().unwrap(),
            mac: "52:54:00:00:00:01".into(),
            interface: "ens3".into(),
        };
        let release = Release { dir: "/run/maekin/esp/maekin/a".into(), root: "/dev/md/maekin-a".into() };
        let place = Place {
            own: &own,
            links,
            node_id: "n1",
            release: &release,
            agent_socket: "/run/a.sock".into(),
            state: Path::new("/var/lib/maekin"),
        };
        let alive = nodes.iter().map(|n| n.id.clone()).filter(|id| id != "dead").collect();
        let settings = settings();
        let wanted = Wanted { settings: &settings, nodes, alive: &alive, leads };
        let config = plan_config(&config.network, &place, &wanted)?;
        Some(toml::to_string(&config).unwrap().parse().unwrap())
    }

    #[test]
    fn the_configuration_has_the_documented_keys() {
        let nodes = [
            node("n1", "52:54:00:00:00:01", "10.77.0.1"),
            node("n2", "52:54:00:00:00:02", "10.77.0.100"),
            node("dead", "", "10.77.0.3"),
            node("n4", "a", "fd00::1"),
            NodeValue { record_url: "https://10.77.0.101:2379".into(), ..node("n5", "", "10.77.0.101") },
        ];
        let got = plan(&config(), &[], &nodes, true).unwrap();
        let want: toml::Table = r#"
            role = "leader"
            interface = "ens3"
            address = "10.77.0.1/24"
            pool_start = "10.77.0.100"
            pool_end = "10.77.0.199"
            dns = ["9.9.9.9"]
            masters = ["http://10.77.0.101:8480", "http://10.77.0.100:8480"]
            release_dir = "/run/maekin/esp/maekin/a"
            root_path = "/dev/md/maekin-a"
            release_key = "/usr/share/maekin/release.pub"
            agent_socket = "/run/a.sock"
            lease_file = "/var/lib/maekin/pxe/leases"
            [[reservation]]
            mac = "52:54:00:00:00:01"
            address = "10.77.0.1"
            [[reservation]]
            mac = "52:54:00:00:00:02"
            address = "10.77.0.100"
        "#
        .parse()
        .unwrap();
        assert_eq!(got, want);
    }

    #[test]
    fn netboot_a_member_serves_by_the_address_that_it_has_and_only_on_that_network() {
        let mut dhcp = config();
        dhcp.network.interfaces[0].addresses.clear();
        let link = |prefix| Link {
            name: "ens3".into(),
            addresses: vec![("10.77.0.1".parse().unwrap(), prefix)],
            ..Link::default()
        };
        let by_lease = plan(&dhcp, &[link(24)], &[], false).unwrap();
        assert_eq!(by_lease["address"].as_str(), Some("10.77.0.1/24"));
        assert_eq!(by_lease["role"].as_str(), Some("standby"));
        assert!(plan(&dhcp, &[link(26)], &[], true).is_none(), "the pool is on another network");
        assert!(plan(&dhcp, &[], &[], true).is_none(), "it has no address");
    }
}
