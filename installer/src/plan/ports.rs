//! Whether the machine has the network interfaces that the answers name: a node that waits for a port which is not
//! there cannot be reached to be told so.

use maekin_rootfs::glob::name_matches;
use maekin_rootfs::node::Network;
use maekin_rootfs::validate::is_mac;

use super::Refusal;
use crate::facts::Nic;

/// What stands against this network on a machine with these interfaces.
#[must_use]
pub fn objections(nics: &[Nic], network: &Network) -> Vec<Refusal> {
    // As in the node file, a hardware address is matched before a name.
    let own = network.interfaces.iter().filter_map(|i| i.mac.as_deref().or(i.name.as_deref()));
    let below = network.vlans.iter().map(|vlan| vlan.on.as_str());
    let bonded = network.bonds.iter().flat_map(|bond| &bond.members).map(String::as_str);
    let plugged = network.bridges.iter().flat_map(|bridge| &bridge.members).map(String::as_str);
    let mut wanted: Vec<&str> =
        own.chain(bonded).chain(plugged).chain(below).filter(|port| !network.makes(port)).collect();
    wanted.sort_unstable();
    wanted.dedup();
    wanted
        .into_iter()
        .filter(|port| !nics.iter().any(|nic| is(nic, port)))
        .map(|port| missing(nics, port))
        .collect()
}

fn is(nic: &Nic, port: &str) -> bool {
    if is_mac(port) { nic.mac == port } else { name_matches(port, &nic.name) }
}

fn missing(nics: &[Nic], port: &str) -> Refusal {
    let what = if is_mac(port) { "with the hardware address" } else { "called" };
    let all: Vec<String> = nics.iter().map(|nic| format!("{} ({})", nic.name, nic.mac)).collect();
    let all = if all.is_empty() { "none".to_owned() } else { all.join(", ") };
    Refusal {
        disk: None,
        reason: format!("there is no network interface {what} {port}"),
        remedy: format!("name another one in the answers; the interfaces are: {all}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ports_that_are_not_there_are_named_once() {
        let nic = |name: &str, mac: &str| Nic { name: name.into(), mac: mac.into(), ..Nic::default() };
        let nics = [nic("eno1", "52:54:00:00:00:01"), nic("eno2", "52:54:00:00:00:02")];
        let rows: [(&str, &str, &[&str]); 7] = [
            ("all there", "[[interface]]\nmac = \"52:54:00:00:00:01\"\n[[interface]]\nname = \"e*\"", &[]),
            ("no such address", "[[interface]]\nmac = \"52:54:00:00:00:09\"", &["address 52:54:00:00:00:09"]),
            ("address before name", "[[interface]]\nmac = \"52:54:00:00:00:01\"\nname = \"x\"", &[]),
            ("no such name", "[[interface]]\nname = \"eth*\"", &["called eth*; name another"]),
            (
                "a bond is made, its ports are not",
                "[[interface]]\nname = \"bond0\"\n[[bond]]\nname = \"bond0\"\nmembers = [\"eno1\", \"eno7\"]",
                &["called eno7"],
            ),
            (
                "a bridge is made, what is plugged into it is not",
                "[[interface]]\nname = \"br0\"\n[[bridge]]\nname = \"br0\"\nmembers = [\"eno1\", \"eno8\"]",
                &["called eno8"],
            ),
            (
                "a VLAN is made, what it lies on is not",
                "[[interface]]\nname = \"v\"\n[[vlan]]\nname = \"v\"\nid = 5\non = \"eno9\"",
                &["called eno9"],
            ),
        ];
        for (name, text, want) in rows {
            let got = objections(&nics, &toml::from_str(text).unwrap());
            assert_eq!(got.len(), want.len(), "{name}");
            for (refusal, part) in got.iter().zip(want) {
                assert!(refusal.to_string().contains(part), "{name}: {refusal}");
            }
        }
    }
}
