//! The network that a person types in: another address and router of the interface that carries the cluster. Everything
//! else of the network stays. Pure.

use maekin_api::node::Interface as Seen;
use maekin_rootfs::cidr::Cidr;
use maekin_rootfs::node::{Interface, Network};

/// What asks for an address by DHCP.
pub(super) const DHCP: &str = "dhcp";
/// What takes the router away.
pub(super) const NONE: &str = "-";

/// Whether this can be answered to the question for an address.
///
/// # Errors
/// What is wrong, in words.
pub(super) fn check_address(typed: &str) -> Result<(), String> {
    if typed.is_empty() || typed == DHCP {
        return Ok(());
    }
    typed.parse::<Cidr>().map(drop).map_err(|_| {
        format!("Nothing was changed: write the address with its prefix, as 10.77.0.5/24, or `{DHCP}`.")
    })
}

/// Whether this can be answered to the question for a router.
///
/// # Errors
/// What is wrong, in words.
pub(super) fn check_router(typed: &str) -> Result<(), String> {
    if typed.is_empty() || typed == NONE || typed.parse::<std::net::IpAddr>().is_ok() {
        return Ok(());
    }
    Err(format!("Nothing was changed: write the router's address, as 10.77.0.254, or `{NONE}` for none."))
}

/// The network with what was typed; nothing typed leaves that part as it is.
///
/// # Errors
/// What is wrong, in words.
pub(super) fn plan(network: &Network, seen: &[Seen], address: &str, router: &str) -> Result<Network, String> {
    check_address(address)?;
    check_router(router)?;
    let mut wanted = network.clone();
    if wanted.interfaces.is_empty() {
        // So far every interface asks by DHCP; from now on the one that has the node's address is named.
        let own = seen.iter().find(|i| i.up && !i.addresses.is_empty());
        let own = own.or_else(|| seen.iter().find(|i| i.up)).or_else(|| seen.first());
        let own = own.ok_or("Nothing was changed: this machine has no network interface.")?;
        let mac = Some(own.mac.clone()).filter(|mac| !mac.is_empty());
        let name = if mac.is_some() { None } else { Some(own.name.clone()) };
        wanted.interfaces.push(Interface { mac, name, dhcp: true, ..Interface::default() });
    }
    let Some(first) = wanted.interfaces.first_mut() else { return Ok(wanted) };
    match address {
        "" => {}
        DHCP => {
            first.dhcp = true;
            first.addresses.clear();
            first.gateway = None;
        }
        address => {
            first.dhcp = false;
            // Further addresses are not this question's.
            first.addresses.splice(..first.addresses.len().min(1), [address.to_owned()]);
            let near = |cidr: &str| {
                let router = first.gateway;
                router.is_none_or(|ip| cidr.parse::<Cidr>().is_ok_and(|cidr| cidr.contains(ip)))
            };
            if !first.addresses.iter().any(|cidr| near(cidr)) {
                first.gateway = None; // it was one of the network before
            }
        }
    }
    match router {
        "" => {}
        NONE => first.gateway = None,
        router => first.gateway = router.parse().ok(),
    }
    Ok(wanted)
}

/// What the interface has now, for the questions: address and router.
pub(super) fn now(network: &Network) -> (String, String) {
    let Some(first) = network.interfaces.first() else { return (DHCP.to_owned(), "by DHCP".to_owned()) };
    let address = match first.addresses.first() {
        Some(address) => address.clone(),
        None => DHCP.to_owned(),
    };
    let router = match first.gateway {
        Some(router) => router.to_string(),
        None if first.dhcp => "by DHCP".to_owned(),
        None => "none".to_owned(),
    };
    (address, router)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn console_what_is_typed_changes_the_first_interface_alone() {
        let seen = |addresses: &[&str]| {
            let other = Seen { name: "ens3".into(), mac: String::new(), up: false, addresses: vec![] };
            let addresses = addresses.iter().map(|&a| a.to_owned()).collect();
            vec![other, Seen { name: "ens4".into(), mac: "52:54:00:00:00:04".into(), up: true, addresses }]
        };
        let fixed = "[[interface]]\nname = \"ens3\"\naddresses = [\"10.0.0.1/24\", \"fd00::1/64\"]\ngateway = \"10.0.0.254\"\n\
                     [[interface]]\nname = \"ens4\"\ndhcp = true\n";
        // Name, network, address and router typed; first interface then: DHCP, addresses, router.
        type Row = (&'static str, &'static str, &'static str, &'static str, &'static str);
        let rows: [Row; 7] = [
            ("nothing", fixed, "", "", "false 10.0.0.1/24,fd00::1/64 Some(10.0.0.254)"),
            ("address", fixed, "10.0.0.9/24", "", "false 10.0.0.9/24,fd00::1/64 Some(10.0.0.254)"),
            (
                "address elsewhere: the old router goes",
                fixed,
                "10.1.0.9/24",
                "",
                "false 10.1.0.9/24,fd00::1/64 None",
            ),
            ("both", fixed, "10.1.0.9/24", "10.1.0.1", "false 10.1.0.9/24,fd00::1/64 Some(10.1.0.1)"),
            ("no router", fixed, "", "-", "false 10.0.0.1/24,fd00::1/64 None"),
            ("DHCP", fixed, "dhcp", "", "true  None"),
            ("no entry so far", "", "10.0.0.9/24", "", "false 10.0.0.9/24 None"),
        ];
        for (name, network, address, router, want) in rows {
            let network: Network = toml::from_str(network).unwrap();
            let got = plan(&network, &seen(&["10.0.0.1/24"]), address, router).unwrap();
            let first = &got.interfaces[0];
            assert_eq!(
                format!("{} {} {:?}", first.dhcp, first.addresses.join(","), first.gateway),
                want,
                "{name}"
            );
            assert_eq!(got.interfaces.get(1), network.interfaces.get(1), "{name}");
        }
        let none: Network = toml::from_str("").unwrap();
        let got = plan(&none, &seen(&[]), "10.0.0.9/24", "").unwrap();
        assert_eq!(got.interfaces[0].mac.as_deref(), Some("52:54:00:00:00:04"), "the one with a link");
        for (address, router) in [("10.0.0.9", ""), ("x", ""), ("", "router"), ("10.0.0.1/33", "")] {
            let error = plan(&none, &seen(&[]), address, router).unwrap_err();
            assert!(error.starts_with("Nothing was changed"), "{error}");
        }
        assert!(plan(&none, &[], "dhcp", "").is_err());
    }
}
