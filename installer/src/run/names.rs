//! Name servers for the initrd, which has no resolver daemon: those that DHCP told networkd, written where the C library
//! looks.

use std::fmt::Write;
use std::fs;
use std::net::IpAddr;
use std::path::Path;

use maekin_host::file;

/// networkd's summary of all links (sd-network(3)).
const STATE: &str = "/run/systemd/netif/state";
const RESOLV_CONF: &str = "/etc/resolv.conf";
/// As many as the C library uses (resolv.conf(5), `MAXNS`).
const MOST: usize = 3;

/// The name servers in networkd's state: `DNS=10.0.2.3 10.0.2.4`.
fn parse(state: &str) -> Vec<IpAddr> {
    let all = state.lines().find_map(|line| line.strip_prefix("DNS=")).unwrap_or_default();
    all.split_whitespace().filter_map(|word| word.parse().ok()).take(MOST).collect()
}

/// Writes down the name servers that are known by now. What is missing shows when a name cannot be resolved.
pub fn refresh() {
    let servers = parse(&fs::read_to_string(STATE).unwrap_or_default());
    let mut text = String::new();
    for server in servers {
        let _ = writeln!(text, "nameserver {server}"); // a String takes all
    }
    if text.is_empty() || fs::read_to_string(RESOLV_CONF).is_ok_and(|old| old == text) {
        return;
    }
    if let Err(e) = file::write_atomic(Path::new(RESOLV_CONF), text.as_bytes(), 0o644) {
        tracing::warn!("names cannot be resolved: {e}");
    }
}

#[cfg(test)]
mod tests {
    use super::parse;

    #[test]
    fn name_servers_are_found_and_nothing_else_is_taken_for_one() {
        let state = "OPER_STATE=routable\nDNS=10.0.2.3 fe80::1 x 10.0.2.4 10.0.2.5\nNTP=10.9.9.9\n";
        let got: Vec<String> = parse(state).iter().map(ToString::to_string).collect();
        assert_eq!(got, ["10.0.2.3", "fe80::1", "10.0.2.4"]);
        assert!(parse("").is_empty() && parse("DNS=\n").is_empty());
    }
}
