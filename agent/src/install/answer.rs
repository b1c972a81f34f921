//! The answer file of a machine that is installed over the network: TOML, the same format that a person writes. Pure.

use std::net::IpAddr;

use maekin_rootfs::cidr::Cidr;
use maekin_rootfs::node::{Admin, ClusterIntent, Interface, NodeConfig, Time};
use serde::Serialize;

use super::InstallError;
use crate::record::values::TicketValue;

#[derive(Serialize)]
struct Answer<'a> {
    version: u32,
    node: Node<'a>,
    admin: &'a Admin,
    disks: Disks<'a>,
    network: Network<'a>,
    time: &'a Time,
    cluster: ClusterIntent,
    install: Install,
}

#[derive(Serialize)]
struct Node<'a> {
    hostname: &'a str,
}

#[derive(Serialize)]
struct Disks<'a> {
    mirror: Mirror<'a>,
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    consent: &'a [String],
}

#[derive(Serialize)]
#[serde(untagged)]
enum Mirror<'a> {
    Auto(&'static str),
    Named(&'a [String]),
}

#[derive(Serialize)]
struct Network<'a> {
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    dns: &'a [IpAddr],
    interface: Vec<Interface>,
}

#[derive(Serialize)]
struct Install {
    after: &'static str,
}

/// Where a new node is to ask to become a member.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Masters {
    /// `https://address:port`.
    pub(crate) urls: Vec<String>,
    /// Who they must prove to be.
    pub(crate) ca_sha256: String,
}

/// The answer for the machine of `ticket`, installed by the node of `own`.
///
/// # Errors
/// [`InstallError::Over`] when the ticket's secret was used, and so its machine is installed.
pub(crate) fn render_answer(
    ticket: &TicketValue,
    own: &NodeConfig,
    masters: Masters,
) -> Result<String, InstallError> {
    let over = || InstallError::Over(ticket.ticket.clone());
    let secret = ticket.secret.clone().filter(|_| !ticket.retired()).ok_or_else(over)?;
    let answer = Answer {
        version: 1,
        node: Node { hostname: &ticket.hostname },
        admin: &own.admin,
        disks: disks(&ticket.disks),
        network: Network { dns: &own.network.dns, interface: interfaces(ticket, own) },
        time: &own.time,
        cluster: ClusterIntent::Join { masters: masters.urls, ca_sha256: masters.ca_sha256, secret },
        install: Install { after: "reboot" },
    };
    toml::to_string(&answer).map_err(|e| InstallError::Invalid(format!("cannot write the answer file: {e}")))
}

fn disks(terms: &maekin_api::install::Disks) -> Disks<'_> {
    let mirror = match terms.mirror.as_slice() {
        [] => Mirror::Auto("auto"),
        named => Mirror::Named(named),
    };
    Disks { mirror, consent: &terms.consent }
}

/// The booting port keeps the address it was leased; every other one asks by DHCP, since nobody said otherwise. The
/// wildcard comes last: the first entry that matches a port counts.
fn interfaces(ticket: &TicketValue, own: &NodeConfig) -> Vec<Interface> {
    let net =
        own.network.interfaces.first().and_then(|i| i.addresses.first()).and_then(|a| a.parse::<Cidr>().ok());
    let fixed = ticket.address.zip(net).filter(|(ip, net)| net.contains(IpAddr::V4(*ip)));
    let cluster = match fixed {
        Some((ip, net)) => Interface {
            mac: Some(ticket.mac.clone()),
            addresses: vec![format!("{ip}/{}", net.prefix)],
            gateway: own.provision.as_ref().and_then(|p| p.router).map(IpAddr::V4),
            mtu: own.network.interfaces.first().and_then(|i| i.mtu),
            ..Interface::default()
        },
        None => Interface { mac: Some(ticket.mac.clone()), dhcp: true, ..Interface::default() },
    };
    vec![cluster, Interface { name: Some("e*".into()), dhcp: true, ..Interface::default() }]
}

#[cfg(test)]
mod tests {
    use super::*;
    use maekin_api::install::Progress;
    use maekin_rootfs::node::Provision;

    fn own() -> NodeConfig {
        let text = r#"
            version = 1
            install_id = "00000000-0000-0000-0000-000000000007"
            machine_id = "0123456789abcdef0123456789abcdef"
            hostname = "node-1"
            [admin]
            password_hash = "$argon2id$v=19$m=19456,t=2,p=1$c2FsdHNhbHQ$aGFzaA"
            ssh_keys = ["ssh-ed25519 AAAA me@desk"]
            [[network.interface]]
            mac = "52:54:00:00:00:01"
            addresses = ["10.77.0.1/24"]
            [time]
            ntp = ["10.77.0.9"]
            [cluster]
            mode = "create"
            name = "rack"
        "#;
        let mut own: NodeConfig = toml::from_str(text).unwrap();
        own.provision = Some(Provision {
            pool_start: "10.77.0.100".parse().unwrap(),
            pool_end: "10.77.0.199".parse().unwrap(),
            router: Some("10.77.0.254".parse().unwrap()),
        });
        own
    }

    fn ticket() -> TicketValue {
        TicketValue {
            ticket: "0".repeat(32),
            hostname: "node-2".into(),
            mac: "52:54:00:00:00:02".into(),
            uuid: None,
            address: Some("10.77.0.101".parse().unwrap()),
            secret: Some("s3cret".into()),
            progress: Progress::Booting,
            created_at: 0,
            updated_at: 0,
            ..TicketValue::default()
        }
    }

    fn masters() -> Masters {
        Masters { urls: vec!["https://10.77.0.1:8443".into()], ca_sha256: "a".repeat(64) }
    }

    #[test]
    fn the_answer_has_every_documented_key_and_no_other() {
        let text = render_answer(&ticket(), &own(), masters()).unwrap();
        let got: toml::Table = text.parse().unwrap();
        let want: toml::Table = format!(
            r#"
            version = 1
            node.hostname = "node-2"
            admin.password_hash = "$argon2id$v=19$m=19456,t=2,p=1$c2FsdHNhbHQ$aGFzaA"
            admin.ssh_keys = ["ssh-ed25519 AAAA me@desk"]
            disks.mirror = "auto"
            time.ntp = ["10.77.0.9"]
            install.after = "reboot"
            [cluster]
            mode = "join"
            masters = ["https://10.77.0.1:8443"]
            ca_sha256 = "{}"
            secret = "s3cret"
            [[network.interface]]
            mac = "52:54:00:00:00:02"
            dhcp = false
            addresses = ["10.77.0.101/24"]
            gateway = "10.77.0.254"
            [[network.interface]]
            name = "e*"
            dhcp = true
            "#,
            "a".repeat(64)
        )
        .parse()
        .unwrap();
        assert_eq!(got, want, "{text}");
    }

    #[test]
    fn the_address_is_kept_only_where_it_belongs_to_the_cluster() {
        let rows = [
            ("leased by us", Some("10.77.0.101"), false),
            ("from a foreign server", Some("192.168.1.4"), true),
            ("not known", None, true),
        ];
        for (name, address, dhcp) in rows {
            let ticket = TicketValue { address: address.map(|a| a.parse().unwrap()), ..ticket() };
            let first = &interfaces(&ticket, &own())[0];
            assert_eq!(first.dhcp, dhcp, "{name}");
            assert_eq!(first.addresses.is_empty(), dhcp, "{name}");
        }
    }

    #[test]
    fn a_ticket_that_is_over_gives_no_answer() {
        let text = render_answer(
            &TicketValue {
                disks: maekin_api::install::Disks {
                    mirror: vec!["serial:A".into()],
                    consent: vec!["0a1b-2c3d-4e5f-6071".into()],
                },
                ..ticket()
            },
            &own(),
            masters(),
        )
        .unwrap();
        assert!(text.contains("mirror = [\"serial:A\"]") && text.contains("0a1b-2c3d-4e5f-6071"), "{text}");
        let used = TicketValue { secret: None, ..ticket() };
        let installed = TicketValue { progress: Progress::Installed, ..ticket() };
        for (name, ticket) in [("secret used", used), ("installed", installed)] {
            assert!(
                matches!(render_answer(&ticket, &own(), masters()), Err(InstallError::Over(_))),
                "{name}"
            );
        }
    }
}
