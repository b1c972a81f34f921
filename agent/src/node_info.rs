//! This node about itself: what the kernel, the boot state and the node file say.

use std::fs;
use std::net::IpAddr;
use std::path::Path;

use maekin_api::alarm::Alarm;
use maekin_api::node::{Array, Boot, Disk, Interface, Node};
use maekin_host::links::{Link, probe_links};
use maekin_host::md;
use maekin_image::ids::Array as Mirror;
use maekin_rootfs::boot_state::Firmware;
use maekin_rootfs::cidr::Cidr;
use maekin_rootfs::glob::name_matches;
use maekin_rootfs::node::Interface as Wanted;
use maekin_rootfs::node::Network;

use crate::app::App;
use crate::clock::now;

/// Everything `GET /v1/node` tells.
pub(crate) fn collect(app: &App) -> Node {
    let links = probe_links().unwrap_or_default();
    let own = own_address(&app.network.in_force(), &links).map(|own| own.address);
    let boot = app.boot.as_ref();
    let text =
        |pick: fn(&maekin_rootfs::boot_state::BootState) -> &str| boot.map_or("unknown", pick).to_owned();
    Node {
        install_master: crate::provision::part(app),
        quorum: app.liveness.quorum(),
        id: app.node_id.clone(),
        name: app.config.hostname.clone(),
        version: boot.map_or(env!("CARGO_PKG_VERSION"), |b| &b.version).to_owned(),
        key: text(|b| &b.key),
        slot: text(|b| &b.slot),
        firmware: text(|b| match b.firmware {
            Firmware::Bios => "bios",
            Firmware::Uefi => "uefi",
        }),
        secure_boot: boot.and_then(|b| b.secure_boot),
        urls: urls(own, &links, app.settings.port),
        interfaces: links.iter().map(interface).collect(),
        alarms: alarms(app),
        boot_drives: app.boot_drives.report(),
        boot: Boot { disks: app.config.disks.iter().map(disk).collect(), arrays: arrays() },
        local_pool: app.local_pool(),
        storage: app.storage.report(),
        membership: app.membership(),
        maintenance: app.maintenance.of(&app.node_id),
        tasks: app.tasks.under_way(),
        uptime_s: uptime_s(),
        time: now(),
    }
}

/// What is wrong, the worst first.
fn alarms(app: &App) -> Vec<Alarm> {
    let mut alarms = app.boot_drives.report().alarms;
    alarms.extend(app.record_care.alarms());
    alarms.extend(crate::reset::alarms(&app.settings, now()));
    alarms.extend(app.liveness.alarm().map(|mut alarm| {
        if crate::membership::voters::is_learner(app) {
            alarm.remedy.push_str(
                " If the node that votes is gone for good, `maekin-agent record promote` on this one says what would \
                 be lost, and lets it go on alone.",
            );
        }
        alarm
    }));
    alarms.extend(app.drives.alarms());
    alarms.extend(app.desired.alarms());
    alarms.extend(app.storage.alarms());
    alarms.sort_by_key(|alarm| std::cmp::Reverse(alarm.severity)); // stable: each part has its own order
    alarms
}

/// Most ports that are written down.
const PORTS: usize = 32;

/// A node's place on the cluster's network.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Own {
    /// The address that peers are told.
    pub(crate) address: IpAddr,
    /// Hardware address there; empty where it is not known.
    pub(crate) mac: String,
    /// Kernel name of the interface; empty where it is not known.
    pub(crate) interface: String,
}

/// Our place on the cluster's network: the first interface of that; without one, the first that has an
/// address. `None` while it has no address. Pure.
pub(crate) fn own_address(network: &Network, links: &[Link]) -> Option<Own> {
    let first = network.interfaces.first();
    let mut candidates = links.iter().filter(|link| first.is_none_or(|wanted| matches(wanted, link)));
    if let Some(fixed) = first.and_then(|i| i.addresses.first()).and_then(|a| a.parse::<Cidr>().ok()) {
        let link = candidates.next().cloned().unwrap_or_default();
        return Some(Own { address: fixed.address, mac: link.mac, interface: link.name });
    }
    let link = candidates.find(|link| best(link).is_some())?;
    Some(Own { address: best(link)?, mac: link.mac.clone(), interface: link.name.clone() })
}

/// The hardware addresses of a machine's network ports, in order. Pure.
pub(crate) fn ports(links: &[Link]) -> Vec<String> {
    let mut macs: Vec<String> =
        links.iter().filter(|link| link.physical && !link.mac.is_empty()).map(|l| l.mac.clone()).collect();
    macs.sort_unstable();
    macs.dedup();
    macs.truncate(PORTS);
    macs
}

/// IPv4 before IPv6: machines that boot from the network know no other.
fn best(link: &Link) -> Option<IpAddr> {
    let mut addresses = link.addresses.iter().map(|(ip, _)| *ip);
    addresses.clone().find(IpAddr::is_ipv4).or_else(|| addresses.next())
}

fn matches(wanted: &Wanted, link: &Link) -> bool {
    match (&wanted.mac, &wanted.name) {
        (Some(mac), _) => *mac == link.mac,
        (None, Some(name)) => name_matches(name, &link.name),
        (None, None) => false,
    }
}

/// `https://address:port`.
pub(crate) fn url(address: IpAddr, port: u16) -> String {
    format!("https://{}", std::net::SocketAddr::new(address, port))
}

fn urls(own: Option<IpAddr>, links: &[Link], port: u16) -> Vec<String> {
    let all = links.iter().flat_map(|link| link.addresses.iter().map(|(ip, _)| *ip));
    let mut urls = Vec::new();
    for ip in own.into_iter().chain(all) {
        let url = url(ip, port);
        if !urls.contains(&url) {
            urls.push(url);
        }
    }
    urls
}

fn interface(link: &Link) -> Interface {
    Interface {
        name: link.name.clone(),
        mac: link.mac.clone(),
        up: link.carrier,
        addresses: link.addresses.iter().map(|(ip, prefix)| format!("{ip}/{prefix}")).collect(),
    }
}

fn disk(disk: &maekin_rootfs::node::BootDisk) -> Disk {
    Disk { serial: disk.serial.clone(), model: disk.model.clone(), size: disk.size }
}

/// The mirrors that there are, as the kernel has them at this moment.
fn arrays() -> Vec<Array> {
    Mirror::ALL.iter().filter_map(|mirror| array(mirror.name(), Path::new("/sys/block"))).collect()
}

fn array(name: &str, sys_block: &Path) -> Option<Array> {
    let kernel = md::kernel_name(&md::device(name))?;
    Some(read_array(name, &sys_block.join(kernel)))
}

fn read_array(name: &str, dir: &Path) -> Array {
    let text = |file: &str| fs::read_to_string(dir.join("md").join(file)).unwrap_or_default();
    let number = |file: &str| text(file).split_whitespace().next().and_then(|n| n.parse::<u32>().ok());
    // What the kernel does not say counts as missing: a mirror is whole only when it was seen to be.
    let wanted = number("raid_disks").unwrap_or(2);
    let in_sync = wanted.saturating_sub(number("degraded").unwrap_or(wanted));
    Array { name: name.to_owned(), wanted, in_sync, action: text("sync_action").trim().to_owned() }
}

/// Seconds since the kernel started.
pub(crate) fn uptime_s() -> u64 {
    uptime(&fs::read_to_string("/proc/uptime").unwrap_or_default())
}

fn uptime(proc_uptime: &str) -> u64 {
    proc_uptime.split('.').next().and_then(|s| s.trim().parse().ok()).unwrap_or(0)
}

#[cfg(test)]
mod tests;
