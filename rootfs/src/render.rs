//! The node file becomes the configuration files of the running system. Pure: the initrd writes what is returned here
//! into the volatile `/etc` at every boot, so nothing on a node is configured by hand and nothing drifts.
//!
//! | module | job |
//! | --- | --- |
//! | `network` | systemd-networkd units, name servers |
//! | `firewall` | nftables: closed, but for what the node serves |

mod firewall;
mod network;

use std::fmt::Write;

use crate::node::{Network, NodeConfig};
use crate::validate::{Invalid, validate};

/// Authorized keys of root; sshd runs only where this file exists.
pub const AUTHORIZED_KEYS: &str = "/etc/ssh/authorized_keys.d/root";

/// NTP servers; systemd-timesyncd has Debian's pool where this file is absent.
pub const TIMESYNCD: &str = "/etc/systemd/timesyncd.conf.d/50-maekin.conf";
/// Rules of the firewall, for nftables.service.
pub const FIREWALL: &str = "/etc/nftables.conf";

/// A file of the running system.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RenderedFile {
    /// Absolute path in the root file system.
    pub path: String,
    /// Permission bits.
    pub mode: u32,
    /// The whole content.
    pub content: String,
}

impl RenderedFile {
    fn new(path: impl Into<String>, content: impl Into<String>) -> Self {
        Self { path: path.into(), mode: 0o644, content: content.into() }
    }
}

/// The node file cannot be used; nothing was rendered.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the node file cannot be used: {}", .0.iter().map(ToString::to_string).collect::<Vec<_>>().join("; "))]
pub struct Unusable(pub Vec<Invalid>);

/// Every file that follows from `config`.
///
/// # Errors
/// [`Unusable`] with everything that [`validate`] found.
pub fn render(config: &NodeConfig) -> Result<Vec<RenderedFile>, Unusable> {
    let invalid = validate(config);
    if !invalid.is_empty() {
        return Err(Unusable(invalid));
    }
    let mut files = identity(config);
    files.extend(network::render(&config.network));
    files.push(RenderedFile { mode: 0o600, ..RenderedFile::new(FIREWALL, firewall::render(config)) });
    if !config.admin.ssh_keys.is_empty() {
        let keys = config.admin.ssh_keys.iter().map(|key| format!("{key}\n")).collect::<String>();
        files.push(RenderedFile { mode: 0o600, ..RenderedFile::new(AUTHORIZED_KEYS, keys) });
    }
    if !config.time.ntp.is_empty() {
        let text = format!("[Time]\nNTP={}\nFallbackNTP=\n", config.time.ntp.join(" "));
        files.push(RenderedFile::new(TIMESYNCD, text));
    }
    Ok(files)
}

/// The files of the network alone: for trying it before there is a node. The caller has found nothing wrong with it
/// (see [`crate::validate::validate_network`]).
#[must_use]
pub fn render_network(network: &Network) -> Vec<RenderedFile> {
    network::render(network)
}

fn identity(config: &NodeConfig) -> Vec<RenderedFile> {
    let name = &config.hostname;
    let mut hosts = String::from("127.0.0.1 localhost\n");
    // The name resolves even when no interface is up (hosts(5); Debian's own convention for 127.0.1.1).
    let _ = writeln!(hosts, "127.0.1.1 {name}");
    hosts.push_str("::1 localhost ip6-localhost ip6-loopback\n");
    vec![
        RenderedFile {
            mode: 0o444,
            ..RenderedFile::new("/etc/machine-id", format!("{}\n", config.machine_id))
        },
        RenderedFile::new("/etc/hostname", format!("{name}\n")),
        RenderedFile::new("/etc/hosts", hosts),
    ]
}

#[cfg(test)]
mod tests;
