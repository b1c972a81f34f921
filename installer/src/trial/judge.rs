//! What was observed of a network becomes findings: plain words, and what a person can do. Pure.

use std::net::IpAddr;

use maekin_host::bonding::Bonding;
use maekin_rootfs::node::BondMode;

use super::{Finding, Port, Trial, Verdict};

fn finding(what: impl Into<String>, verdict: Verdict, seen: impl Into<String>, remedy: &str) -> Finding {
    Finding { what: what.into(), verdict, seen: seen.into(), remedy: remedy.to_owned() }
}

/// `leaf-3a Ethernet1/7`, or what there is of it.
pub(super) fn far_end(port: &Port) -> String {
    match &port.neighbour {
        Some(neighbour) => {
            let who = if neighbour.system.is_empty() { &neighbour.chassis } else { &neighbour.system };
            format!("{who} {}", neighbour.port)
        }
        None => "the switch".to_owned(),
    }
}

/// A port's cable.
pub(super) fn link(port: &Port, carrier: bool, speed: Option<u32>) -> Finding {
    let what = format!("cable of {}", port.name);
    if !carrier {
        let remedy = "plug its cable in, or switch its port of the switch on; or choose another port";
        return finding(what, Verdict::Bad, "no link", remedy);
    }
    let speed = speed.map_or_else(|| "link".to_owned(), |speed| format!("link, {speed} Mbit/s"));
    let to = port.neighbour.as_ref().map_or_else(String::new, |_| format!(", to {}", far_end(port)));
    finding(what, Verdict::Good, format!("{speed}{to}"), "")
}

/// The switch's part in a bond; `None` for modes in which it has none.
pub(super) fn bond(mode: BondMode, state: Option<&Bonding>, ports: &[Port]) -> Option<Finding> {
    if mode != BondMode::Lacp {
        return None;
    }
    let what = "LACP with the switch";
    let Some(state) = state else {
        return Some(finding(
            what,
            Verdict::Bad,
            "the bond was not made",
            "look into the log for the reason",
        ));
    };
    let ends = |names: &[&str]| {
        let mine = ports.iter().filter(|port| names.contains(&port.name.as_str()));
        mine.map(|port| format!("{} ({})", far_end(port), port.name)).collect::<Vec<_>>().join(" and ")
    };
    let all: Vec<&str> = state.members.iter().map(|member| member.name.as_str()).collect();
    if state.partner.is_none() {
        return Some(finding(
            what,
            Verdict::Bad,
            "the switch does not answer LACP",
            &format!(
                "put {} into one LACP group (port-channel, mode active); or choose active-backup",
                ends(&all)
            ),
        ));
    }
    let outside: Vec<&str> = state
        .members
        .iter()
        .filter(|member| !member.up || member.aggregator != state.aggregator)
        .map(|member| member.name.as_str())
        .collect();
    if outside.is_empty() {
        return Some(finding(what, Verdict::Good, format!("{} ports in one group", all.len()), ""));
    }
    Some(finding(
        what,
        Verdict::Bad,
        format!("not in the group: {}", outside.join(", ")),
        &format!("put {} into the group of the others, or take it out of the bond", ends(&outside)),
    ))
}

/// The address by DHCP.
pub(super) fn lease(trial: &Trial, address: Option<IpAddr>) -> Finding {
    let what = "address by DHCP";
    match (address, trial.vlan) {
        (Some(ip), _) => finding(what, Verdict::Good, format!("{ip} on {}", trial.device), ""),
        (None, Some(id)) => finding(
            what,
            Verdict::Bad,
            "nobody gave one",
            &format!("allow VLAN {id}, tagged, on the switch's port; or give a fixed address"),
        ),
        (None, None) => finding(
            what,
            Verdict::Bad,
            "nobody gave one",
            "is a DHCP server in this network? does the port want a VLAN number? or give a fixed address",
        ),
    }
}

/// A fixed address that must be ours alone; `other`: who else has it.
pub(super) fn duplicate(address: IpAddr, other: Option<&str>) -> Finding {
    let what = format!("address {address}");
    match other {
        None => finding(what, Verdict::Good, "nobody else has it", ""),
        Some(mac) => finding(
            what,
            Verdict::Bad,
            format!("in use already, by {mac}"),
            "give this node another address, or find that machine and change it",
        ),
    }
}

/// The router; `mac`: who answered for it.
pub(super) fn gateway(trial: &Trial, gateway: Option<IpAddr>, mac: Option<&str>) -> Finding {
    let Some(ip) = gateway else {
        return finding(
            "router",
            Verdict::Skipped,
            "there is none",
            "without one only its own network is reached",
        );
    };
    let what = format!("router {ip}");
    match (mac, trial.vlan) {
        (Some(mac), _) => finding(what, Verdict::Good, format!("answers ({mac})"), ""),
        (None, Some(id)) => {
            let remedy =
                format!("is its address right, and VLAN {id} allowed, tagged, on the switch's port?");
            finding(what, Verdict::Bad, "does not answer", &remedy)
        }
        (None, None) => finding(
            what,
            Verdict::Bad,
            "does not answer",
            "is its address right, and the cable in the right network? does the port want a VLAN number?",
        ),
    }
}

/// A master to join; `error`: why it cannot be talked to.
pub(super) fn master(url: &str, error: Option<&str>) -> Finding {
    let what = format!("master {url}");
    match error {
        None => finding(what, Verdict::Good, "answers, and is the one meant", ""),
        Some(error) if error.contains("UnknownIssuer") => finding(
            what,
            Verdict::Bad,
            "answers, but its CA is not the one whose digest was given",
            "compare the digest with the one that a node of the cluster shows",
        ),
        Some(error) => finding(
            what,
            Verdict::Bad,
            error,
            "is its address right, the node running, and port 8443 let through?",
        ),
    }
}

/// Something on the way that has nothing to do with what was asked.
pub(super) fn trouble(what: &str, error: &str) -> Finding {
    finding(what, Verdict::Bad, error, "look into the log")
}

/// What is not looked at because something below it does not work.
pub(super) fn skipped(what: &str, why: &str) -> Finding {
    finding(what, Verdict::Skipped, why, "")
}
