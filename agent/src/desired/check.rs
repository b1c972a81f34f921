//! What makes settings usable, whoever sends them and whichever node they are for. Pure. What only the node itself can
//! tell (whether a port is there, whether a server answers) it says in its status.

use std::collections::BTreeSet;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use maekin_api::settings::{NodeSettings, Syslog, Transport};
use maekin_rootfs::node::{Admin, ClusterIntent, Network, NodeConfig, Time};
use maekin_rootfs::validate::{is_label, validate};

use crate::install::terms::shown;

/// Most interfaces, bonds or VLANs each; most ports of a bond, addresses of an interface.
const MOST_LINKS: usize = 64;
/// Most name servers; the resolver asks no more than the first three in turn.
const MOST_DNS: usize = 8;
/// Most NTP servers.
const MOST_NTP: usize = 16;
/// Most ssh keys, and the longest, bytes: an RSA key of 16,384 bits has 2,800.
const MOST_KEYS: usize = 64;
const LONGEST_KEY: usize = 4096;
/// Most roles, most labels.
const MOST_LABELS: usize = 32;
/// Longest name of a label, and longest value, as Kubernetes has them.
const LONGEST_LABEL: usize = 63;
const LONGEST_PREFIX: usize = 253;
/// Longest reason of a maintenance, characters.
pub(crate) const LONGEST_REASON: usize = 200;
/// Largest CA, bytes.
const LARGEST_CA: usize = 16 << 10;
/// All of it together, bytes of JSON.
const LARGEST: usize = 48 << 10;
/// How many things wrong are told.
const TOLD: usize = 16;

/// What is wrong with `spec`, one line each, with the field's name first.
pub(crate) fn problems(spec: &NodeSettings) -> Vec<String> {
    let mut found = Vec::new();
    if serde_json::to_vec(spec).map_or(true, |text| text.len() > LARGEST) {
        return vec![format!("the settings are longer than {LARGEST} bytes")];
    }
    counts(spec, &mut found);
    if !found.is_empty() {
        return found;
    }
    found.extend(as_node_file(spec));
    for (i, key) in spec.ssh_keys.iter().flatten().enumerate() {
        check_key(i, key, &mut found);
    }
    let roles = spec.roles.iter().flatten();
    for role in roles.clone().filter(|role| !is_label(role)) {
        found.push(format!("roles: `{}` is no label: 1 to 63 of a-z, 0-9 and -", shown(role)));
    }
    if roles.clone().collect::<BTreeSet<_>>().len() != roles.count() {
        found.push("roles: one is named twice".to_owned());
    }
    for (name, value) in spec.labels.iter().flatten() {
        check_label(name, value, &mut found);
    }
    if let Some(syslog) = &spec.syslog {
        check_syslog(syslog, &mut found);
    }
    if let Some(maintenance) = &spec.maintenance {
        let reason = &maintenance.reason;
        if reason.chars().count() > LONGEST_REASON || reason.contains(char::is_control) {
            found
                .push(format!("maintenance.reason: must be one line of at most {LONGEST_REASON} characters"));
        }
    }
    found.truncate(TOLD);
    found
}

fn counts(spec: &NodeSettings, found: &mut Vec<String>) {
    let count = |list: Option<usize>| list.unwrap_or(0);
    let rows = [
        ("dns", count(spec.dns.as_ref().map(Vec::len)), MOST_DNS),
        ("ntp", count(spec.ntp.as_ref().map(Vec::len)), MOST_NTP),
        ("ssh_keys", count(spec.ssh_keys.as_ref().map(Vec::len)), MOST_KEYS),
        ("roles", count(spec.roles.as_ref().map(Vec::len)), MOST_LABELS),
        ("labels", count(spec.labels.as_ref().map(|l| l.len())), MOST_LABELS),
    ];
    let network = spec.network.clone().unwrap_or_default();
    let links = [
        ("network.interface", network.interfaces.len(), MOST_LINKS),
        ("network.bond", network.bonds.len(), MOST_LINKS),
        ("network.vlan", network.vlans.len(), MOST_LINKS),
        ("network.dns", network.dns.len(), MOST_DNS),
        ("addresses", most(network.interfaces.iter().map(|i| i.addresses.len())), MOST_LINKS),
        ("members", most(network.bonds.iter().map(|b| b.members.len())), MOST_LINKS),
    ];
    for (name, count, most) in rows.into_iter().chain(links) {
        if count > most {
            found.push(format!("{name}: {count} are too many; at most {most}"));
        }
    }
}

fn most(counts: impl Iterator<Item = usize>) -> usize {
    counts.max().unwrap_or(0)
}

/// What a node file with these settings would be refused for: it is what they become.
fn as_node_file(spec: &NodeSettings) -> Vec<String> {
    let config = NodeConfig {
        version: 1,
        install_id: uuid::Uuid::nil(),
        machine_id: "0123456789abcdef0123456789abcdef".to_owned(),
        hostname: spec.hostname.clone().unwrap_or_else(|| "x".to_owned()),
        admin: Admin { password_hash: None, ssh_keys: spec.ssh_keys.clone().unwrap_or_default() },
        network: Network {
            dns: spec.dns.clone().unwrap_or_default(),
            ..spec.network.clone().unwrap_or_default()
        },
        time: Time { ntp: spec.ntp.clone().unwrap_or_default() },
        cluster: ClusterIntent::Wait,
        provision: None,
        disks: vec![],
    };
    let field = |name: &str| name.trim_start_matches("admin.").trim_start_matches("time.").to_owned();
    validate(&config)
        .into_iter()
        .map(|wrong| format!("{}: {}", field(&wrong.field), shown_long(&wrong.reason)))
        .collect()
}

fn shown_long(text: &str) -> String {
    text.chars().filter(|c| !c.is_control()).take(300).collect()
}

fn check_key(i: usize, key: &str, found: &mut Vec<String>) {
    let mut parts = key.split(' ');
    let (kind, blob) = (parts.next().unwrap_or_default(), parts.next().unwrap_or_default());
    // RFC 4253 section 6.6: the key begins with its own kind, as a counted string.
    let bytes = STANDARD.decode(blob).unwrap_or_default();
    let inner = bytes.get(4..).and_then(|rest| rest.get(..kind.len()));
    if key.len() > LONGEST_KEY || inner != Some(kind.as_bytes()) {
        found.push(format!(
            "ssh_keys[{i}]: is no public key as ssh-keygen writes it, like `ssh-ed25519 AAAA... name`"
        ));
    }
}

/// `[prefix/]name`, as Kubernetes has labels.
fn check_label(name: &str, value: &str, found: &mut Vec<String>) {
    let edge = |text: &str| {
        let ends = [text.chars().next(), text.chars().next_back()];
        ends.iter().all(|c| c.is_some_and(|c| c.is_ascii_alphanumeric()))
    };
    let word = |text: &str| {
        text.len() <= LONGEST_LABEL
            && edge(text)
            && text.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_.".contains(&b))
    };
    let (prefix, own) = name.split_once('/').map_or((None, name), |(prefix, own)| (Some(prefix), own));
    let domain = |text: &str| text.len() <= LONGEST_PREFIX && text.split('.').all(is_label);
    if !word(own) || prefix.is_some_and(|prefix| !domain(prefix)) {
        found.push(format!("labels: `{}` is no name of a label, like rack or example.org/rack", shown(name)));
    }
    if !value.is_empty() && !word(value) {
        found.push(format!(
            "labels.{}: `{}` is no value: at most 63 of A-Z, a-z, 0-9 and -_. between letters or digits",
            shown(name),
            shown(value)
        ));
    }
}

fn check_syslog(syslog: &Syslog, found: &mut Vec<String>) {
    let server = &syslog.server;
    let host =
        |text: &str| text.len() <= 253 && text.split('.').all(|part| is_label(&part.to_ascii_lowercase()));
    if server.parse::<std::net::IpAddr>().is_err() && !host(server) {
        found.push(format!("syslog.server: `{}` is neither a host name nor an address", shown(server)));
    }
    if syslog.port == Some(0) {
        found.push("syslog.port: must be from 1 to 65535".to_owned());
    }
    if syslog.priority.is_some_and(|priority| priority > 7) {
        found.push("syslog.priority: must be from 0 (emergency) to 7 (debug)".to_owned());
    }
    match &syslog.ca {
        Some(_) if syslog.transport != Transport::Tls => {
            found.push("syslog.ca: is for `transport: tls` only".to_owned());
        }
        Some(ca) if ca.len() > LARGEST_CA => {
            found.push(format!("syslog.ca: longer than {LARGEST_CA} bytes"));
        }
        Some(ca) => {
            if let Err(why) = crate::syslog::send::roots(Some(ca)) {
                found.push(format!("syslog.ca: {why}"));
            }
        }
        None => {}
    }
}

#[cfg(test)]
mod tests;
