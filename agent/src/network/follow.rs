//! A member whose address on the cluster's network has changed becomes one anew, as after a start: certificate, the
//! record's list of voters, its own entry.

use std::time::Duration;

use maekin_host::links::{Link, probe_links};
use maekin_rootfs::node::Network;

use super::keeper::is_up;
use super::plan::first_address;
use crate::app::{App, Member};
use crate::node_info::{Own, own_address};

/// How often is looked.
const EVERY: Duration = Duration::from_secs(3);

/// Waits until this node's address is another one than it has as a member.
pub(crate) async fn moved(app: &App, member: &Member) {
    loop {
        tokio::time::sleep(EVERY).await;
        let network = app.network.in_force();
        let links = probe_links().unwrap_or_default();
        if let Some(own) = plan_move(&network, &links, &member.own) {
            tracing::warn!(from = %member.own.address, to = %own.address, "this node's address has changed");
            return;
        }
    }
}

/// Where this node is reached now; `None` while that is where it was. An address that is one of several, and was not
/// given by hand, changes only when it is gone. Pure.
pub(super) fn plan_move(network: &Network, links: &[Link], old: &Own) -> Option<Own> {
    let own = own_address(network, links).filter(|own| own.address != old.address)?;
    let given = first_address(network).is_some();
    let there = links.iter().any(|link| link.addresses.iter().any(|(ip, _)| *ip == old.address));
    (is_up(network, links) && (given || !there)).then_some(own)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_member_moves_when_its_address_is_gone_or_another_one_was_given() {
        let by_hand = "[[interface]]\nname = \"e0\"\naddresses = [\"10.0.0.2/24\"]\n";
        let dhcp = "[[interface]]\nname = \"e0\"\ndhcp = true\n";
        let rows: [(&str, &str, &[&str], Option<&str>); 7] = [
            ("as it was", dhcp, &["10.0.0.1"], None),
            ("another lease", dhcp, &["10.0.0.9"], Some("10.0.0.9")),
            ("a second address before the first", dhcp, &["10.0.0.9", "10.0.0.1"], None),
            ("no address at all", dhcp, &[], None),
            ("given, and there", by_hand, &["10.0.0.2"], Some("10.0.0.2")),
            ("given, and the old one is there too", by_hand, &["10.0.0.1", "10.0.0.2"], Some("10.0.0.2")),
            ("given, and not there yet", by_hand, &["10.0.0.1"], None),
        ];
        let old = Own { address: "10.0.0.1".parse().unwrap(), mac: String::new(), interface: "e0".into() };
        for (name, network, addresses, want) in rows {
            let addresses = addresses.iter().map(|ip| (ip.parse().unwrap(), 24)).collect();
            let link = Link { name: "e0".into(), addresses, ..Link::default() };
            let got = plan_move(&toml::from_str(network).unwrap(), &[link], &old);
            assert_eq!(got.map(|own| own.address.to_string()).as_deref(), want, "{name}");
        }
    }
}
