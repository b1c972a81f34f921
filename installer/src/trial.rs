//! Trying the network that a node is to have, before anything is written: it is really configured, by the same units
//! that the installed system renders, and looked at from below to above: cable, LACP, address, router, master. Then
//! everything is as it was before.
//!
//! | module | job |
//! | --- | --- |
//! | `judge` | what was observed, in words with a remedy; pure |
//! | [`run`] | configuring, looking, putting back |
//! | `master` | whether a master answers, and is the one meant |

mod judge;
mod master;
pub mod run;

use std::fmt;
use std::net::IpAddr;

use maekin_rootfs::cidr::Cidr;
use maekin_rootfs::node::{BondMode, ClusterIntent, Network};
use maekin_rootfs::render::{RenderedFile, render_network};

use crate::facts::{Neighbour, Nic};

/// How one thing was found to be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// It works.
    Good,
    /// It does not.
    Bad,
    /// It could not be looked at.
    Skipped,
}

/// One thing that was looked at.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// What was looked at.
    pub what: String,
    /// How it is.
    pub verdict: Verdict,
    /// What was seen.
    pub seen: String,
    /// What a person can do; empty where nothing needs to be done.
    pub remedy: String,
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let word = match self.verdict {
            Verdict::Good => "good",
            Verdict::Bad => "bad",
            Verdict::Skipped => "not tried",
        };
        write!(f, "network: {}: {word}: {}", self.what, self.seen)?;
        if self.remedy.is_empty() { Ok(()) } else { write!(f, "; {}", self.remedy) }
    }
}

/// The interface that an installation needs until its end: a trial would cut it off.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum Carrier {
    /// It is installed from a medium.
    #[default]
    Nobody,
    /// The port with this hardware address.
    Port(String),
    /// One of them.
    Unknown,
}

/// A port of the machine that takes part.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Port {
    /// Kernel name.
    pub name: String,
    /// Hardware address.
    pub mac: String,
    /// The other end of its cable, where it was heard.
    pub neighbour: Option<Neighbour>,
}

/// Everything that a trial does.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Trial {
    /// networkd's units: name and content.
    pub units: Vec<(String, String)>,
    /// The ports that are configured.
    pub ports: Vec<Port>,
    /// Interfaces that are made, and taken away in this order.
    pub made: Vec<String>,
    /// The bond among them that carries the first address, and its mode.
    pub bond: Option<(String, BondMode)>,
    /// The VLAN that carries the first address.
    pub vlan: Option<u16>,
    /// The interface that carries the first address.
    pub device: String,
    /// Its addresses; none: DHCP.
    pub addresses: Vec<Cidr>,
    /// The router that was given.
    pub gateway: Option<IpAddr>,
    /// Masters to ask, and the digest of their CA's certificate.
    pub masters: Vec<String>,
    /// See `masters`.
    pub ca_sha256: String,
}

/// Plans the trial of a network on this machine's ports.
///
/// # Errors
/// Why it cannot be tried, in words.
pub fn plan_trial(
    network: &Network,
    cluster: &ClusterIntent,
    nics: &[Nic],
    carrier: &Carrier,
) -> Result<Trial, String> {
    let first = network.interfaces.first().ok_or("there is no network interface to try")?;
    let key = first.mac.as_deref().or(first.name.as_deref()).unwrap_or_default();
    let vlan = network.vlan(key);
    let below = vlan.map_or(key, |vlan| &vlan.on);
    // Through a bridge what is looked at is what its first member is made of.
    let under = network.bridge(below).and_then(|bridge| bridge.members.first()).map_or(below, |first| first);
    let bond = network.bond(under);
    let wanted = network.ports_of(key);
    if wanted.is_empty() {
        return Err(format!("{below} has no port of this machine"));
    }
    let mut ports = Vec::new();
    for wanted in wanted {
        let nic = nics.iter().find(|nic| nic.mac == wanted || nic.name == wanted);
        let nic = nic.ok_or_else(|| format!("this machine has no network interface {wanted}"))?;
        if *carrier == Carrier::Unknown || *carrier == Carrier::Port(nic.mac.clone()) {
            return Err(format!(
                "the installation may come over {}, and another configuration on it would cut it off",
                nic.name
            ));
        }
        let neighbour = nic.lldp.clone();
        ports.push(Port { name: nic.name.clone(), mac: nic.mac.clone(), neighbour });
    }
    let device = if network.makes(key) {
        key.to_owned()
    } else {
        ports.first().map(|port| port.name.clone()).unwrap_or_default()
    };
    let (masters, ca_sha256) = match cluster {
        ClusterIntent::Join { masters, ca_sha256, .. } => (masters.clone(), ca_sha256.clone()),
        ClusterIntent::Create { .. } | ClusterIntent::Wait => (Vec::new(), String::new()),
    };
    Ok(Trial {
        units: render_network(network).into_iter().filter_map(unit).collect(),
        ports,
        made: network.made().into_iter().map(str::to_owned).collect(),
        bond: bond.map(|bond| (bond.name.clone(), bond.mode)),
        vlan: vlan.map(|vlan| vlan.id),
        device,
        addresses: first.addresses.iter().filter_map(|text| text.parse().ok()).collect(),
        gateway: first.gateway,
        masters,
        ca_sha256,
    })
}

/// The file name and content of a networkd unit; other files are not needed for a trial.
fn unit(file: RenderedFile) -> Option<(String, String)> {
    let name = file.path.strip_prefix("/etc/systemd/network/")?;
    Some((name.to_owned(), file.content))
}

#[cfg(test)]
pub(crate) mod on_screens;
