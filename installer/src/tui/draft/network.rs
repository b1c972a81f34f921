//! The network as a person types it: one port or a bond of several, a VLAN on it, and the address.

use maekin_rootfs::node::{Bond, BondMode, Interface, LacpRate, Network, Vlan};

use super::{parsed, problem};
use crate::answers::Problems;
use crate::facts::Nic;
use crate::tui::form::{Field, Form, Kind};

const ONE: &str = "one port";
const SEVERAL: &str = "several ports as one (bond)";
const DHCP: &str = "automatic (DHCP)";
const FIXED: &str = "fixed";
const FAST: &str = "fast";
const SLOW: &str = "slow";
/// Name that a bond gets.
const BOND: &str = "bond0";

/// The modes in the order in which they are wanted.
const MODES: [(&str, BondMode); 6] = [
    ("LACP (802.3ad)", BondMode::Lacp),
    ("active-backup", BondMode::ActiveBackup),
    ("balance-xor", BondMode::BalanceXor),
    ("balance-rr", BondMode::BalanceRr),
    ("balance-tlb", BondMode::BalanceTlb),
    ("balance-alb", BondMode::BalanceAlb),
];

pub(super) fn form(nics: &[Nic]) -> Form {
    let ports: Vec<String> = nics.iter().map(title).collect();
    let ports: Vec<&str> = ports.iter().map(String::as_str).collect();
    let uplinks: &[&str] = if nics.len() > 1 { &[ONE, SEVERAL] } else { &[ONE] };
    let modes = MODES.map(|(words, _)| words);
    let choose = "left and right choose";
    Form::new(vec![
        Field::choice("Uplink", uplinks, choose),
        Field::choice("Port", &ports, "the one that carries the cluster; left and right choose")
            .when("Uplink", ONE),
        Field::text("Ports", &with_link(nics), "their numbers in the list above, like: 1 2")
            .when("Uplink", SEVERAL),
        Field::choice(
            "Mode",
            &modes,
            "LACP and balance-xor/rr need a group on the switch, the others do not",
        )
        .when("Uplink", SEVERAL),
        Field::choice("LACP rate", &[FAST, SLOW], "fast notices a dead port after 3 seconds, slow after 90")
            .when("Mode", MODES[0].0),
        Field::text("VLAN", "", "1 to 4094 where the switch wants frames tagged; empty: none"),
        Field::text("MTU", "", "like 9000 where the whole network has it; empty: 1500"),
        Field::choice("Address", &[DHCP, FIXED], choose),
        Field::text("IP and prefix", "", "like 10.77.0.1/24").when("Address", FIXED),
        Field::text("Router", "", "like 10.77.0.254; empty: none").when("Address", FIXED),
        Field::text("Name server", "", "like 10.77.0.254; empty: none").when("Address", FIXED),
    ])
}

fn title(nic: &Nic) -> String {
    format!("{} {}", nic.name, nic.mac)
}

/// The numbers of the ports with a link; of the first two where that leaves less than two.
fn with_link(nics: &[Nic]) -> String {
    let mut numbers: Vec<usize> =
        (1..).zip(nics).filter(|(_, nic)| nic.link == Some(true)).map(|(i, _)| i).collect();
    if numbers.len() < 2 {
        numbers = (1..=nics.len().min(2)).collect();
    }
    numbers.iter().map(ToString::to_string).collect::<Vec<_>>().join(" ")
}

/// Until a person touches them, the ports with a link are the ones proposed.
pub(super) fn see(form: &mut Form, nics: &[Nic]) {
    if form.touched {
        return;
    }
    let linked = nics.iter().find(|nic| nic.link == Some(true)).map(title);
    for field in &mut form.fields {
        match (&field.kind, field.label) {
            (Kind::Text, "Ports") => field.value = with_link(nics),
            (Kind::Choice(options), "Port") => {
                if let Some(linked) = linked.as_ref().filter(|linked| options.contains(linked)) {
                    field.value.clone_from(linked);
                }
            }
            _ => {}
        }
    }
}

/// The network that follows from the form.
pub(super) fn network(form: &Form, nics: &[Nic]) -> Result<Network, Problems> {
    let (bonds, mut below) = match form.value("Uplink") {
        SEVERAL => (vec![bond(form, nics)?], BOND.to_owned()),
        _ => match form.value("Port").split(' ').nth(1) {
            Some(mac) => (Vec::new(), mac.to_owned()),
            None => return Ok(Network::default()), // no interface that we know: DHCP on whatever comes
        },
    };
    let vlans: Vec<Vlan> = number::<u16>(form, "VLAN")?
        .map(|id| Vlan { name: format!("vlan{id}"), id, on: below.clone() })
        .into_iter()
        .collect();
    if let Some(vlan) = vlans.first() {
        below.clone_from(&vlan.name);
    }
    let named = !bonds.is_empty() || !vlans.is_empty();
    let interface = Interface {
        mac: (!named).then(|| below.clone()),
        name: named.then_some(below),
        dhcp: form.value("Address") == DHCP,
        addresses: Some(form.value("IP and prefix").to_owned())
            .filter(|a| !a.is_empty())
            .into_iter()
            .collect(),
        gateway: parsed(form, "Router")?,
        mtu: number(form, "MTU")?,
    };
    let dns = parsed(form, "Name server")?.into_iter().collect();
    Ok(Network { interfaces: vec![interface], bonds, vlans, bridges: Vec::new(), dns })
}

fn bond(form: &Form, nics: &[Nic]) -> Result<Bond, Problems> {
    let text = form.value("Ports");
    let mut members = Vec::new();
    for word in text.split([' ', ',']).filter(|word| !word.is_empty()) {
        let nic = word.parse::<usize>().ok().and_then(|n| nics.get(n.checked_sub(1)?));
        let nic = nic.or_else(|| nics.iter().find(|nic| nic.name == word));
        let reason = || format!("there is no port {word}: write numbers of the list, 1 to {}", nics.len());
        members.push(nic.ok_or_else(|| problem("Ports", &reason()))?.mac.clone());
    }
    let mode = MODES
        .iter()
        .find(|(words, _)| *words == form.value("Mode"))
        .map_or(BondMode::Lacp, |(_, mode)| *mode);
    let lacp_rate = (form.value("LACP rate") == SLOW).then_some(LacpRate::Slow);
    Ok(Bond { name: BOND.to_owned(), mode, members, lacp_rate })
}

/// A number in a field; `None` where it is empty.
fn number<T: std::str::FromStr>(form: &Form, label: &str) -> Result<Option<T>, Problems> {
    let text = form.value(label);
    if text.is_empty() {
        return Ok(None);
    }
    text.parse().map(Some).map_err(|_| problem(label, &format!("`{text}` is no such number")))
}

#[cfg(test)]
mod tests {
    use maekin_rootfs::validate::validate_network;

    use super::*;

    fn nics() -> Vec<Nic> {
        (1..4)
            .map(|i| Nic { name: format!("enp{i}s0"), mac: format!("52:54:00:00:00:0{i}"), ..Nic::default() })
            .collect()
    }

    fn filled(values: &[(&str, &str)]) -> Form {
        let mut form = form(&nics());
        for (label, value) in values {
            let field = form.fields.iter_mut().find(|field| field.label == *label).unwrap();
            (*value).clone_into(&mut field.value);
        }
        form
    }

    #[test]
    fn what_is_typed_becomes_a_network_that_can_be_used() {
        type Values = &'static [(&'static str, &'static str)];
        let rows: &[(&str, Values, &str)] = &[
            ("one port", &[], "[[interface]]\nmac = \"52:54:00:00:00:01\"\ndhcp = true\n"),
            (
                "a VLAN with a fixed address",
                &[
                    ("VLAN", "20"),
                    ("MTU", "9000"),
                    ("Address", FIXED),
                    ("IP and prefix", "10.2.0.5/24"),
                    ("Router", "10.2.0.1"),
                ],
                "[[interface]]\nname = \"vlan20\"\ndhcp = false\naddresses = [\"10.2.0.5/24\"]\ngateway = \"10.2.0.1\"\n\
                 mtu = 9000\n\n[[vlan]]\nname = \"vlan20\"\nid = 20\non = \"52:54:00:00:00:01\"\n",
            ),
            (
                "LACP on two ports by number and name",
                &[("Uplink", SEVERAL), ("Ports", "3, enp1s0"), ("LACP rate", SLOW)],
                "[[interface]]\nname = \"bond0\"\ndhcp = true\n\n[[bond]]\nname = \"bond0\"\nmode = \"802.3ad\"\n\
                 members = [\"52:54:00:00:00:03\", \"52:54:00:00:00:01\"]\nlacp_rate = \"slow\"\n",
            ),
            (
                "a VLAN on active-backup; the rate of a hidden field is none",
                &[("Uplink", SEVERAL), ("Mode", "active-backup"), ("LACP rate", SLOW), ("VLAN", "7")],
                "[[interface]]\nname = \"vlan7\"\ndhcp = true\n\n[[bond]]\nname = \"bond0\"\nmode = \"active-backup\"\n\
                 members = [\"52:54:00:00:00:01\", \"52:54:00:00:00:02\"]\n\n[[vlan]]\nname = \"vlan7\"\nid = 7\non = \"bond0\"\n",
            ),
        ];
        for (name, values, want) in rows {
            let network = network(&filled(values), &nics()).unwrap_or_else(|e| panic!("{name}: {e}"));
            assert_eq!(&toml::to_string(&network).unwrap(), want, "{name}");
            assert_eq!(validate_network(&network), [], "{name}");
        }
    }

    #[test]
    fn what_cannot_be_is_told_at_its_field() {
        for (name, values, key) in [
            ("a port that is not there", [("Uplink", SEVERAL), ("Ports", "1 9")], "Ports"),
            ("port 0", [("Uplink", SEVERAL), ("Ports", "0")], "Ports"),
            ("a VLAN in letters", [("Uplink", ONE), ("VLAN", "blue")], "VLAN"),
            ("an MTU that is none", [("Uplink", ONE), ("MTU", "9k")], "MTU"),
        ] {
            let problems = network(&filled(&values), &nics()).unwrap_err();
            assert_eq!(problems.0[0].key, key, "{name}");
        }
    }

    #[test]
    fn ports_with_a_link_are_proposed_until_a_person_chooses() {
        let mut nics = nics();
        let mut form = form(&nics);
        nics[1].link = Some(true);
        nics[2].link = Some(true);
        see(&mut form, &nics);
        assert_eq!(form.value("Port"), "enp2s0 52:54:00:00:00:02");
        form.key(maekin_host::tty::Key::Down);
        form.key(maekin_host::tty::Key::Left);
        nics[1].link = Some(false);
        see(&mut form, &nics);
        assert_eq!(form.value("Port"), "enp1s0 52:54:00:00:00:01", "as chosen");
    }

    #[test]
    fn a_machine_with_one_port_is_not_asked_about_bonds() {
        let form = form(&nics()[..1]);
        assert!(matches!(&form.fields[0].kind, Kind::Choice(options) if options.len() == 1));
    }
}
