//! Carrying a trial out. Whatever happens, the interfaces are put back as they were.

use std::collections::BTreeMap;
use std::fs;
use std::net::{IpAddr, Ipv4Addr, SocketAddr, UdpSocket};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use anyhow::{Context, Result};
use maekin_host::links::{Link, probe_links};
use maekin_host::{arp, bonding, file, ip, wait};

use super::judge;
use super::master;
use super::{Finding, Trial};
use crate::run::network;

const DIR: &str = "/run/systemd/network";
/// A switch with spanning tree lets nothing through for 30 seconds after a link came up.
const LINK_LIMIT: Duration = Duration::from_secs(20);
const LACP_LIMIT: Duration = Duration::from_secs(12);
const LEASE_LIMIT: Duration = Duration::from_secs(45);
const GATEWAY_LIMIT: Duration = Duration::from_secs(35);
/// RFC 5227 section 1.1 waits up to seven seconds in all for an address in use to be defended.
const PROBE_LIMIT: Duration = Duration::from_secs(4);
const LOOK: Duration = Duration::from_millis(250);

/// What an interface was before.
struct Before {
    running: bool,
    mtus: BTreeMap<String, u32>,
}

/// Tries the network, telling what it is about. It ends early when `stop` is set.
pub fn run(trial: &Trial, stop: &AtomicBool, tell: &dyn Fn(&str)) -> Vec<Finding> {
    let before = Before {
        running: network::runs(),
        mtus: trial.ports.iter().filter_map(|port| Some((port.name.clone(), mtu(&port.name)?))).collect(),
    };
    tell("configuring it");
    let mut findings = match configure(trial) {
        Ok(()) => Observer { trial, stop, tell, findings: Vec::new() }.observe(),
        Err(e) => vec![judge::trouble("configuring it", &format!("{e:#}"))],
    };
    tell("putting everything back as it was");
    if let Err(e) = put_back(trial, &before) {
        findings.push(judge::trouble("putting everything back", &format!("{e:#}")));
    }
    findings
}

fn unit_path(name: &str) -> PathBuf {
    Path::new(DIR).join(name)
}

fn configure(trial: &Trial) -> Result<()> {
    for (name, content) in &trial.units {
        file::write_atomic(&unit_path(name), content.as_bytes(), 0o644)?;
    }
    network::restart()
}

/// Takes away what was made, all of it even where a part fails; the first failure is told.
fn put_back(trial: &Trial, before: &Before) -> Result<()> {
    let mut outcomes: Vec<Result<()>> = Vec::new();
    for (name, _) in &trial.units {
        outcomes.push(fs::remove_file(unit_path(name)).context("cannot take the units away"));
    }
    // networkd first: it would make again what is taken away below.
    outcomes.push(network::stop());
    let exists = |name: &str| Path::new("/sys/class/net").join(name).exists();
    for name in trial.made.iter().filter(|name| exists(name)) {
        outcomes.push(ip::delete(name).map_err(Into::into));
    }
    for port in &trial.ports {
        outcomes.push(ip::flush(&port.name).map_err(Into::into));
        if let Some(mtu) = before.mtus.get(&port.name) {
            outcomes.push(ip::set_mtu(&port.name, *mtu).map_err(Into::into));
        }
        outcomes.push(ip::set_up(&port.name).map_err(Into::into)); // a bond leaves its ports down
    }
    if before.running {
        outcomes.push(network::restart());
    }
    outcomes.into_iter().collect()
}

fn mtu(name: &str) -> Option<u32> {
    fs::read_to_string(Path::new("/sys/class/net").join(name).join("mtu")).ok()?.trim().parse().ok()
}

struct Observer<'a> {
    trial: &'a Trial,
    stop: &'a AtomicBool,
    tell: &'a dyn Fn(&str),
    findings: Vec<Finding>,
}

impl Observer<'_> {
    /// From below to above; what depends on something that does not work is not waited for.
    fn observe(mut self) -> Vec<Finding> {
        if !self.links() {
            self.findings.push(judge::skipped("address, router", "without a link there is nothing to try"));
            return self.findings;
        }
        self.lacp();
        // A bond whose ports the kernel does not use has none, and whatever is asked over it gets no answer.
        if !self.link().is_some_and(|link| link.carrier) {
            let why = format!("{} has no link", self.trial.device);
            self.findings.push(judge::skipped("address, router", &why));
            return self.findings;
        }
        let address = self.address();
        if self.stopped() {
            return self.stop_here("router");
        }
        let Some(address) = address else {
            self.findings.push(judge::skipped("router", "without an address it cannot be asked"));
            return self.findings;
        };
        self.gateway(address);
        for url in &self.trial.masters {
            if self.stopped() {
                return self.stop_here(&format!("master {url}"));
            }
            (self.tell)(&format!("asking {url}"));
            let error = master::ask(url, &self.trial.ca_sha256).err().map(|e| format!("{e:#}"));
            self.findings.push(judge::master(url, error.as_deref()));
        }
        self.findings
    }

    /// What was seen until the person had enough; the last of it was not waited for.
    fn stop_here(mut self, what: &str) -> Vec<Finding> {
        self.findings.push(judge::skipped(what, "stopped"));
        self.findings
    }

    fn stopped(&self) -> bool {
        self.stop.load(Ordering::Relaxed)
    }

    /// Waits until `look` finds something, the time is over, or the person has had enough.
    fn until<T>(&self, what: &str, limit: Duration, mut look: impl FnMut() -> Option<T>) -> Option<T> {
        (self.tell)(what);
        let found =
            wait::until(what, limit, LOOK, || if self.stopped() { Some(None) } else { look().map(Some) });
        found.ok().flatten()
    }

    /// The cables; whether one at least has a link.
    fn links(&mut self) -> bool {
        let link = |name: &str| probe_links().ok()?.into_iter().find(|link| link.name == name);
        let carrier = |name: &str| link(name).is_some_and(|link| link.carrier);
        self.until("waiting for a link", LINK_LIMIT, || {
            self.trial.ports.iter().all(|port| carrier(&port.name)).then_some(())
        });
        let mut any = false;
        for port in &self.trial.ports {
            let up = carrier(&port.name);
            any |= up;
            self.findings.push(judge::link(port, up, speed(&port.name)));
        }
        any
    }

    fn lacp(&mut self) {
        let Some((name, mode)) = &self.trial.bond else { return };
        let read = || bonding::read(name).ok();
        let settled = || {
            read().filter(|bond| {
                judge::bond(*mode, Some(bond), &self.trial.ports).is_none_or(|f| f.remedy.is_empty())
            })
        };
        let state = self.until("waiting for the bond", LACP_LIMIT, settled).or_else(read);
        self.findings.extend(judge::bond(*mode, state.as_ref(), &self.trial.ports));
    }

    fn link(&self) -> Option<Link> {
        probe_links().ok()?.into_iter().find(|link| link.name == self.trial.device)
    }

    /// An address of ours; whether it is ours alone.
    fn address(&mut self) -> Option<IpAddr> {
        let first = self.trial.addresses.first().map(|cidr| cidr.address);
        let has = |link: Link| {
            let mut all = link.addresses.iter().map(|(ip, _)| *ip);
            first.map_or_else(|| all.clone().find(IpAddr::is_ipv4).or_else(|| all.next()), Some)
        };
        let address = self.until("waiting for an address", LEASE_LIMIT, || has(self.link()?));
        if first.is_none() {
            self.findings.push(match (address, self.stopped()) {
                (None, true) => judge::skipped("address by DHCP", "stopped"),
                _ => judge::lease(self.trial, address),
            });
            return address;
        }
        let own = self.link().and_then(|link| arp::parse_mac(&link.mac));
        for cidr in &self.trial.addresses {
            let (IpAddr::V4(target), Some(own)) = (cidr.address, own) else { continue };
            (self.tell)(&format!("asking whether somebody else has {target}"));
            let device = &self.trial.device;
            self.findings.push(match arp::who_has(device, own, Ipv4Addr::UNSPECIFIED, target, PROBE_LIMIT) {
                Ok(other) => judge::duplicate(cidr.address, other.map(arp::mac_text).as_deref()),
                Err(e) => {
                    // A bond without a usable port has no buffers (ENOBUFS): nobody was asked.
                    tracing::info!(device, error = %e, "the address cannot be asked for");
                    judge::skipped(
                        &format!("address {target}"),
                        &format!("nothing can be sent over {device}"),
                    )
                }
            });
        }
        address
    }

    fn gateway(&mut self, address: IpAddr) {
        let device = &self.trial.device;
        let gateway = self.trial.gateway.or_else(|| {
            let all = ip::gateways(device).unwrap_or_default();
            all.iter().find(|ip| ip.is_ipv4()).or(all.first()).copied()
        });
        let mac = gateway.and_then(|gateway| {
            self.until(&format!("asking the router {gateway}"), GATEWAY_LIMIT, || {
                poke(address, gateway);
                ip::neighbour(device, gateway).ok().flatten()
            })
        });
        self.findings.push(match (&mac, self.stopped()) {
            (None, true) => judge::skipped("router", "stopped"),
            _ => judge::gateway(self.trial, gateway, mac.as_deref()),
        });
    }
}

/// Sends the router something that it throws away (RFC 863), so that the kernel asks for its hardware address.
fn poke(from: IpAddr, to: IpAddr) {
    let sent = UdpSocket::bind(SocketAddr::new(from, 0))
        .and_then(|socket| socket.send_to(&[0], SocketAddr::new(to, 9)));
    if let Err(e) = sent {
        tracing::debug!(router = %to, error = %e, "not reached yet");
    }
}

fn speed(name: &str) -> Option<u32> {
    fs::read_to_string(Path::new("/sys/class/net").join(name).join("speed")).ok()?.trim().parse().ok()
}
