//! What makes a node file usable. Everything is checked before anything is rendered, so that [`crate::render`] can
//! put values into configuration files of other programs without quoting.

mod network;

use std::net::IpAddr;

use crate::cidr::Cidr;
use crate::node::{Admin, ClusterIntent, Network, NodeConfig, Provision};

/// Longest secret that a node joins with; a join token is one.
const SECRET: usize = 512;

/// One thing wrong with a node file.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{field}: {reason}")]
pub struct Invalid {
    /// Which value, as a path into the file, e.g. `network.interface[0].mac`.
    pub field: String,
    /// What is wrong with it, and what would be right.
    pub reason: String,
}

/// Everything wrong with `config`; empty when it can be used.
#[must_use]
pub fn validate(config: &NodeConfig) -> Vec<Invalid> {
    let mut found = Found::default();
    if config.version != 1 {
        found.add("version", format!("{} is not known; this release knows 1", config.version));
    }
    if !is_machine_id(&config.machine_id) {
        found.add("machine_id", "must be 32 lower-case hex digits, not all zero");
    }
    if !is_label(&config.hostname) {
        found.add("hostname", format!("`{}` {LABEL_RULE}", config.hostname.escape_debug()));
    }
    check_admin(&config.admin, &mut found);
    network::check(&config.network, &mut found);
    for server in &config.time.ntp {
        if !is_host(server) {
            found.add(
                "time.ntp",
                format!("`{}` is neither a host name nor an address", server.escape_debug()),
            );
        }
    }
    check_cluster(&config.cluster, &mut found);
    if let Some(provision) = &config.provision {
        check_provision(provision, config, &mut found);
    }
    found.0
}

/// Everything wrong with a network by itself.
#[must_use]
pub fn validate_network(config: &Network) -> Vec<Invalid> {
    let mut found = Found::default();
    network::check(config, &mut found);
    found.0
}

const LABEL_RULE: &str = "is no host name: write 1 to 63 of a-z, 0-9 and -, not beginning or ending with -";

#[derive(Default)]
struct Found(Vec<Invalid>);

impl Found {
    fn add(&mut self, field: impl Into<String>, reason: impl Into<String>) {
        self.0.push(Invalid { field: field.into(), reason: reason.into() });
    }
}

/// One DNS label as RFC 1123 section 2.1 has it, in lower case.
#[must_use]
pub fn is_label(text: &str) -> bool {
    let inner = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-';
    (1..=63).contains(&text.len())
        && text.bytes().all(inner)
        && !text.starts_with('-')
        && !text.ends_with('-')
}

/// A hardware address, `aa:bb:cc:dd:ee:ff` in lower case.
#[must_use]
pub fn is_mac(text: &str) -> bool {
    let digit = |b: u8| b.is_ascii_digit() || (b'a'..=b'f').contains(&b);
    text.len() == 17 && text.bytes().enumerate().all(|(i, b)| if i % 3 == 2 { b == b':' } else { digit(b) })
}

/// `count` lower-case hex digits.
#[must_use]
pub fn is_hex(text: &str, count: usize) -> bool {
    text.len() == count && text.bytes().all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b))
}

fn is_machine_id(text: &str) -> bool {
    is_hex(text, 32) && text.bytes().any(|b| b != b'0')
}

fn is_host(text: &str) -> bool {
    text.parse::<IpAddr>().is_ok()
        || (text.len() <= 253 && text.split('.').all(|part| is_label(&part.to_ascii_lowercase())))
}

/// A kernel interface name (at most 15 bytes), where `*` stands for any characters.
fn is_interface_name(text: &str) -> bool {
    (1..=15).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_.*".contains(&b))
}

fn check_admin(admin: &Admin, found: &mut Found) {
    if let Some(hash) = &admin.password_hash
        && (!hash.starts_with("$argon2id$") || !hash.bytes().all(|b| b.is_ascii_graphic()))
    {
        found.add("admin.password_hash", "must be an Argon2id hash in PHC format: $argon2id$v=19$...");
    }
    for (i, key) in admin.ssh_keys.iter().enumerate() {
        let kind = key.split(' ').next().unwrap_or_default();
        let known = ["ssh-ed25519", "ssh-rsa", "ecdsa-sha2-", "sk-ssh-ed25519@", "sk-ecdsa-sha2-"];
        let printable = key.chars().all(|c| !c.is_control());
        if !printable || !key.contains(' ') || !known.iter().any(|k| kind.starts_with(k)) {
            found.add(format!("admin.ssh_keys[{i}]"), "must be one line like `ssh-ed25519 AAAA... name`");
        }
    }
}

fn check_cluster(cluster: &ClusterIntent, found: &mut Found) {
    match cluster {
        ClusterIntent::Create { name } => {
            if !is_label(name) {
                found.add("cluster.name", format!("`{}` {LABEL_RULE}", name.escape_debug()));
            }
        }
        ClusterIntent::Wait => {}
        ClusterIntent::Join { masters, ca_sha256, secret } => {
            if masters.is_empty() {
                found.add("cluster.masters", "name at least one node to ask, like https://10.77.0.1:8443");
            }
            for master in masters {
                let rest = master.strip_prefix("https://").unwrap_or_default();
                if rest.is_empty()
                    || !rest.bytes().all(|b| b.is_ascii_alphanumeric() || b".:-[]".contains(&b))
                {
                    let text = master.escape_debug();
                    found.add(
                        "cluster.masters",
                        format!("`{text}` is not written like https://10.77.0.1:8443"),
                    );
                }
            }
            if !is_hex(ca_sha256, 64) {
                found.add("cluster.ca_sha256", "must be 64 lower-case hex digits");
            }
            // Empty once it was used: the agent erases it after joining.
            if secret.len() > SECRET || !secret.bytes().all(|b| b.is_ascii_graphic()) {
                let rule = format!("must be printable, without blanks, at most {SECRET} characters");
                found.add("cluster.secret", rule);
            }
        }
    }
}

fn check_provision(provision: &Provision, config: &NodeConfig, found: &mut Found) {
    let first = config.network.interfaces.first();
    let own = first.and_then(|i| i.addresses.first()).and_then(|a| a.parse::<Cidr>().ok());
    let Some(own) = own.filter(|own| own.address.is_ipv4()) else {
        found.add(
            "provision",
            "needs a fixed IPv4 address on the first interface: machines are installed from it",
        );
        return;
    };
    let (start, end) = (provision.pool_start, provision.pool_end);
    for (name, ip) in [("pool_start", Some(start)), ("pool_end", Some(end)), ("router", provision.router)] {
        if let Some(ip) = ip
            && !own.contains(IpAddr::V4(ip))
        {
            found.add(format!("provision.{name}"), format!("{ip} does not lie in {}", own.network()));
        }
    }
    if start > end {
        found.add("provision.pool_end", format!("{end} comes before pool_start {start}"));
    }
    if let IpAddr::V4(ip) = own.address
        && (start..=end).contains(&ip)
    {
        found.add("provision", format!("this node's own address {ip} lies between pool_start and pool_end"));
    }
}

#[cfg(test)]
pub(crate) mod tests;
