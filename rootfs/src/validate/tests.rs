use super::*;
use crate::node::{Interface, Network, Time};
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
            ..Network::default()
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

/// A network in TOML, and the fields that are wrong in it.
const NETWORKS: &[(&str, &str, &[&str])] = &[
    (
        "good bond and VLAN",
        "[[bond]]\nname = \"bond0\"\nmembers = [\"52:54:00:00:00:01\", \"enp2s0\"]\n\
      [[vlan]]\nname = \"v20\"\nid = 20\non = \"bond0\"\n[[interface]]\nname = \"v20\"\ndhcp = true\n",
        &[],
    ),
    (
        "bond without ports",
        "[[bond]]\nname = \"bond0\"\nmembers = []\n[[interface]]\nname = \"bond0\"\ndhcp = true\n",
        &["network.bond[0].members"],
    ),
    (
        "bond of a wildcard",
        "[[bond]]\nname = \"bond0\"\nmembers = [\"e*\"]\n[[interface]]\nname = \"bond0\"\ndhcp = true\n",
        &["network.bond[0].members[0]"],
    ),
    (
        "a port twice",
        "[[bond]]\nname = \"bond0\"\nmembers = [\"a\", \"a\"]\n[[interface]]\nname = \"bond0\"\ndhcp = true\n",
        &["network.bond[0].members[1]"],
    ),
    (
        "a port in two bonds",
        "[[bond]]\nname = \"b0\"\nmembers = [\"a\"]\n[[bond]]\nname = \"b1\"\nmembers = [\"a\"]\n\
      [[interface]]\nname = \"b0\"\ndhcp = true\n[[interface]]\nname = \"b1\"\n",
        &["network.bond[1].members[0]"],
    ),
    (
        "a bond of a bond",
        "[[bond]]\nname = \"b0\"\nmembers = [\"a\"]\n[[bond]]\nname = \"b1\"\nmembers = [\"b0\"]\n\
      [[interface]]\nname = \"b0\"\n[[interface]]\nname = \"b1\"\ndhcp = true\n",
        &["network.interface[0]", "network.interface[0]", "network.bond[1].members[0]"],
    ),
    (
        "a port with addresses of its own",
        "[[bond]]\nname = \"b0\"\nmembers = [\"a\"]\n[[interface]]\nname = \"b0\"\n\
      dhcp = true\n[[interface]]\nname = \"a\"\ndhcp = true\n",
        &["network.interface[1]"],
    ),
    (
        "a port that carries a VLAN",
        "[[bond]]\nname = \"b0\"\nmembers = [\"a\"]\n[[vlan]]\nname = \"v\"\nid = 1\non = \"a\"\n\
      [[interface]]\nname = \"b0\"\ndhcp = true\n[[interface]]\nname = \"v\"\n",
        &["network.bond[0].members[0]"],
    ),
    (
        "LACP rate without LACP",
        "[[bond]]\nname = \"b0\"\nmembers = [\"a\"]\nlacp_rate = \"fast\"\n\
      [[interface]]\nname = \"b0\"\ndhcp = true\n",
        &["network.bond[0].lacp_rate"],
    ),
    (
        "a bond that nothing uses",
        "[[bond]]\nname = \"b0\"\nmembers = [\"a\"]\n[[interface]]\nname = \"c\"\ndhcp = true\n",
        &["network.bond[0].name"],
    ),
    (
        "names of bonds",
        "[[bond]]\nname = \"b*\"\nmembers = [\"a\"]\n[[bond]]\nname = \"lo\"\nmembers = [\"c\"]\n",
        &["network.bond[0].name", "network.bond[1].name"],
    ),
    (
        "a bond with a hardware address",
        "[[bond]]\nname = \"b0\"\nmembers = [\"a\"]\n[[interface]]\nname = \"b0\"\n\
      mac = \"52:54:00:00:00:01\"\ndhcp = true\n",
        &["network.interface[0].mac"],
    ),
    (
        "VLAN numbers",
        "[[vlan]]\nname = \"v0\"\nid = 0\non = \"a\"\n[[vlan]]\nname = \"v1\"\nid = 4095\non = \"a\"\n\
      [[interface]]\nname = \"v0\"\ndhcp = true\n[[interface]]\nname = \"v1\"\n",
        &["network.vlan[0].id", "network.vlan[1].id"],
    ),
    (
        "the same VLAN twice",
        "[[vlan]]\nname = \"v0\"\nid = 7\non = \"a\"\n[[vlan]]\nname = \"v1\"\nid = 7\non = \"a\"\n\
      [[interface]]\nname = \"v0\"\ndhcp = true\n[[interface]]\nname = \"v1\"\n",
        &["network.vlan[1].id"],
    ),
    (
        "a VLAN in a VLAN, itself even",
        "[[vlan]]\nname = \"v0\"\nid = 7\non = \"v0\"\n[[interface]]\nname = \"v0\"\ndhcp = true\n",
        &["network.vlan[0].on"],
    ),
    (
        "VLAN and bond of one name",
        "[[bond]]\nname = \"x\"\nmembers = [\"a\"]\n[[vlan]]\nname = \"x\"\nid = 7\non = \"c\"\n\
      [[interface]]\nname = \"x\"\ndhcp = true\n",
        &["network.vlan[0].name"],
    ),
    (
        "a VLAN greater than what carries it",
        "[[vlan]]\nname = \"v\"\nid = 7\non = \"a\"\n[[interface]]\nname = \"v\"\n\
      dhcp = true\nmtu = 9000\n[[interface]]\nname = \"a\"\nmtu = 1500\n",
        &["network.interface[0].mtu"],
    ),
    (
        "good bridges: of a bond, of a VLAN, without anything",
        "[[bond]]\nname = \"bond0\"\nmembers = [\"a\"]\n[[vlan]]\nname = \"v20\"\nid = 20\non = \"c\"\n\
      [[bridge]]\nname = \"br0\"\nmembers = [\"bond0\"]\nvlan_filtering = true\n\
      [[bridge]]\nname = \"br1\"\nmembers = [\"v20\"]\n[[bridge]]\nname = \"br2\"\n\
      [[vlan]]\nname = \"v30\"\nid = 30\non = \"br0\"\n\
      [[interface]]\nname = \"br0\"\ndhcp = true\n[[interface]]\nname = \"v30\"\n",
        &[],
    ),
    (
        "a bridge of a bridge, of nonsense",
        "[[bridge]]\nname = \"br0\"\nmembers = [\"br1\", \"br0\", \"e*\"]\n[[bridge]]\nname = \"br1\"\n",
        &["network.bridge[0].members[0]", "network.bridge[0].members[1]", "network.bridge[0].members[2]"],
    ),
    (
        "a port in two bridges, and one with addresses of its own",
        "[[bridge]]\nname = \"br0\"\nmembers = [\"a\"]\n[[bridge]]\nname = \"br1\"\nmembers = [\"a\"]\n\
      [[interface]]\nname = \"a\"\ndhcp = true\n",
        &["network.interface[0]", "network.bridge[1].members[0]"],
    ),
    (
        "a bond's port in a bridge, and a port that carries a VLAN",
        "[[bond]]\nname = \"b0\"\nmembers = [\"a\"]\n[[vlan]]\nname = \"v\"\nid = 7\non = \"c\"\n\
      [[bridge]]\nname = \"br0\"\nmembers = [\"a\", \"c\"]\n\
      [[interface]]\nname = \"b0\"\ndhcp = true\n[[interface]]\nname = \"v\"\n",
        &["network.bridge[0].members[0]", "network.bridge[0].members[1]"],
    ),
    (
        "a bridge of a VLAN that lies on it, at once and round about",
        "[[vlan]]\nname = \"v0\"\nid = 7\non = \"br0\"\n[[vlan]]\nname = \"v1\"\nid = 8\non = \"br1\"\n\
      [[vlan]]\nname = \"v2\"\nid = 9\non = \"br2\"\n[[bridge]]\nname = \"br0\"\nmembers = [\"v0\"]\n\
      [[bridge]]\nname = \"br1\"\nmembers = [\"v2\"]\n[[bridge]]\nname = \"br2\"\nmembers = [\"v1\"]\n",
        &["network.bridge[0].members[0]", "network.bridge[1].members[0]", "network.bridge[2].members[0]"],
    ),
    (
        "bridge and VLAN of one name",
        "[[vlan]]\nname = \"x\"\nid = 7\non = \"c\"\n[[bridge]]\nname = \"x\"\n\
      [[interface]]\nname = \"x\"\ndhcp = true\n",
        &["network.bridge[0].name"],
    ),
    (
        "section smuggled in by a VLAN's name",
        "[[vlan]]\nname = \"v\\n[Link]\"\nid = 7\non = \"a\\nb\"\n",
        &["network.vlan[0].name", "network.vlan[0].on"],
    ),
];

#[test]
fn what_is_wrong_with_a_network_is_named_by_field() {
    for (name, text, fields) in NETWORKS {
        let network: Network = toml::from_str(text).unwrap_or_else(|e| panic!("{name}: {e}"));
        let found: Vec<_> = validate_network(&network).into_iter().map(|i| i.field).collect();
        assert_eq!(&found, fields, "{name}: {:?}", validate_network(&network));
    }
}
