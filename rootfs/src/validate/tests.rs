use super::*;
use crate::node::{Network, Time};
use uuid::Uuid;

pub(crate) fn sample() -> NodeConfig {
    NodeConfig {
        version: 1,
        install_id: Uuid::from_u128(7),
        machine_id: "0123456789abcdef0123456789abcdef".into(),
        hostname: "node-1".into(),
        admin: Admin { password_hash: None, ssh_keys: vec!["ssh-ed25519 AAAA me@desk".into()] },
        network: Network {
            interfaces: vec![Interface {
                mac: Some("52:54:00:00:00:01".into()),
                addresses: vec!["10.77.0.1/24".into()],
                ..Interface::default()
            }],
            dns: vec![],
        },
        time: Time::default(),
        cluster: ClusterIntent::Create { name: "rack".into() },
        provision: Some(Provision {
            pool_start: "10.77.0.100".parse().unwrap(),
            pool_end: "10.77.0.199".parse().unwrap(),
            router: None,
        }),
        disks: vec![],
    }
}

type Change = fn(&mut NodeConfig);

#[test]
fn what_is_wrong_is_named_by_field() {
    let rows: &[(&str, Change, &[&str])] = &[
        ("as it is", |_| {}, &[]),
        ("version", |c| c.version = 2, &["version"]),
        ("machine id of zeros", |c| c.machine_id = "0".repeat(32), &["machine_id"]),
        ("machine id in capitals", |c| c.machine_id = "A".repeat(32), &["machine_id"]),
        ("host name with dot", |c| c.hostname = "a.b".into(), &["hostname"]),
        ("host name with line break", |c| c.hostname = "a\nb".into(), &["hostname"]),
        ("empty host name", |c| c.hostname.clear(), &["hostname"]),
        (
            "plain password as hash",
            |c| c.admin.password_hash = Some("secret".into()),
            &["admin.password_hash"],
        ),
        (
            "ssh key with options smuggled in",
            |c| c.admin.ssh_keys.push("a\nssh-rsa b".into()),
            &["admin.ssh_keys[1]"],
        ),
        ("ssh private key", |c| c.admin.ssh_keys[0] = "-----BEGIN".into(), &["admin.ssh_keys[0]"]),
        (
            "mac in capitals",
            |c| c.network.interfaces[0].mac = Some("52:54:00:00:00:AA".into()),
            &["network.interface[0].mac"],
        ),
        ("no mac, no name", |c| c.network.interfaces[0].mac = None, &["network.interface[0]"]),
        (
            "name with section smuggled in",
            |c| {
                c.network
                    .interfaces
                    .push(Interface { name: Some("e\n[Link]".into()), ..Interface::default() });
            },
            &["network.interface[1].name"],
        ),
        (
            "name with wildcard",
            |c| {
                c.network.interfaces.push(Interface {
                    name: Some("en*".into()),
                    dhcp: true,
                    ..Interface::default()
                });
            },
            &[],
        ),
        (
            "address without prefix",
            |c| c.network.interfaces[0].addresses.push("1.2.3.4".into()),
            &["network.interface[0].addresses"],
        ),
        (
            "gateway elsewhere",
            |c| c.network.interfaces[0].gateway = Some("10.78.0.1".parse().unwrap()),
            &["network.interface[0].gateway"],
        ),
        ("tiny mtu", |c| c.network.interfaces[0].mtu = Some(100), &["network.interface[0].mtu"]),
        ("ntp with blank", |c| c.time.ntp.push("a b".into()), &["time.ntp"]),
        ("ntp by address and name", |c| c.time.ntp = vec!["fd00::1".into(), "Pool.ntp.org".into()], &[]),
        (
            "pool elsewhere",
            |c| c.provision.as_mut().unwrap().pool_end = "10.78.0.9".parse().unwrap(),
            &["provision.pool_end"],
        ),
        (
            "pool backwards",
            |c| c.provision.as_mut().unwrap().pool_end = "10.77.0.99".parse().unwrap(),
            &["provision.pool_end"],
        ),
        (
            "pool over ourselves",
            |c| c.provision.as_mut().unwrap().pool_start = "10.77.0.1".parse().unwrap(),
            &["provision"],
        ),
        (
            "provision on DHCP",
            |c| {
                c.network.interfaces[0].addresses.clear();
                c.network.interfaces[0].dhcp = true;
            },
            &["provision"],
        ),
        (
            "join with nonsense",
            |c| {
                c.cluster = ClusterIntent::Join {
                    masters: vec!["http://10.77.0.1".into()],
                    ca_sha256: "xyz".into(),
                    secret: "a b".into(),
                };
            },
            &["cluster.masters", "cluster.ca_sha256", "cluster.secret"],
        ),
    ];
    for (name, change, fields) in rows {
        let mut config = sample();
        change(&mut config);
        let found: Vec<_> = validate(&config).into_iter().map(|i| i.field).collect();
        assert_eq!(&found, fields, "{name}");
    }
}
