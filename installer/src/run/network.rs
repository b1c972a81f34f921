//! The network of the initrd: an address by DHCP on the interface that the network boot came from (or on all of them).

use std::path::Path;
use std::time::Duration;

use anyhow::{Context, Result};
use maekin_host::cmd::Cmd;
use maekin_host::file;

/// systemd-networkd runs in the initrd where this is there, or where an install master is on the command line.
const WANTED: &str = "/run/maekin/network";
const SERVICE: &str = "systemd-networkd.service";
const UNIT: &str = "/run/systemd/network/05-maekin-install.network";

/// The networkd unit. The client identifier is the hardware address, as that of boot firmware, so that the lease is
/// the same one.
fn unit(mac: Option<&str>) -> String {
    let which = match mac {
        Some(mac) => format!("MACAddress={mac}"),
        None => "Type=ether\nKind=!*".to_owned(),
    };
    format!(
        "[Match]\n{which}\n\n[Network]\nDHCP=ipv4\nLinkLocalAddressing=no\nIPv6AcceptRA=no\n\n\
         [DHCPv4]\nClientIdentifier=mac\nUseDNS=yes\n"
    )
}

/// Starts asking for an address. Whether one came shows when it is used.
///
/// # Errors
/// When systemd-networkd cannot be started.
pub fn start(mac: Option<&str>) -> Result<()> {
    file::write_atomic(Path::new(UNIT), unit(mac).as_bytes(), 0o644)?;
    restart()
}

/// Starts systemd-networkd, or has it look at its files again.
///
/// # Errors
/// When it cannot be started.
pub fn restart() -> Result<()> {
    file::write_atomic(Path::new(WANTED), b"", 0o644)?;
    Cmd::new("systemctl")
        .args(["restart", SERVICE])
        .limit(Duration::from_secs(60))
        .run()
        .context("cannot start the network")
}

/// Whether systemd-networkd runs.
#[must_use]
pub fn runs() -> bool {
    Cmd::new("systemctl").args(["is-active", "--quiet", SERVICE]).run().is_ok()
}

/// Stops systemd-networkd. Interfaces keep what they have.
///
/// # Errors
/// When it cannot be stopped.
pub fn stop() -> Result<()> {
    let stop = Cmd::new("systemctl").args(["stop", SERVICE]).limit(Duration::from_secs(60));
    stop.run().context("cannot stop the network")
}

#[cfg(test)]
mod tests {
    use super::unit;

    #[test]
    fn the_booting_interface_alone_is_asked_on() {
        assert!(unit(Some("52:54:00:00:00:01")).contains("MACAddress=52:54:00:00:00:01\n"));
        assert!(unit(None).contains("Type=ether\n") && !unit(None).contains("MACAddress"));
    }
}
