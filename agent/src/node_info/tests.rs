use super::*;
use maekin_rootfs::node::NodeConfig;
use maekin_rootfs::node::{ClusterIntent, Network};

fn config(interfaces: Vec<Wanted>) -> NodeConfig {
    NodeConfig {
        version: 1,
        install_id: uuid::Uuid::nil(),
        machine_id: String::new(),
        hostname: "node-1".into(),
        admin: maekin_rootfs::node::Admin::default(),
        network: Network { interfaces, ..Network::default() },
        time: maekin_rootfs::node::Time::default(),
        cluster: ClusterIntent::Create { name: "rack".into() },
        provision: None,
        disks: vec![],
    }
}

fn link(name: &str, mac: &str, addresses: &[&str]) -> Link {
    let address = |text: &&str| {
        let cidr: Cidr = text.parse().unwrap();
        (cidr.address, cidr.prefix)
    };
    Link {
        name: name.into(),
        mac: mac.into(),
        carrier: true,
        physical: true,
        addresses: addresses.iter().map(address).collect(),
    }
}

#[test]
fn ports_are_hardware_each_once() {
    let link = |mac: &str, physical| Link { mac: mac.into(), physical, ..Link::default() };
    let links = [link("b", true), link("a", true), link("b", true), link("bridge", false), link("", true)];
    assert_eq!(ports(&links), ["a", "b"]);
    let many: Vec<Link> = (0..100).map(|n| link(&format!("{n:03}"), true)).collect();
    assert_eq!(ports(&many).len(), PORTS);
}

#[test]
fn the_first_interface_carries_the_cluster() {
    let a = || link("ens3", "52:54:00:00:00:01", &["fd00::1/64", "10.77.0.101/24"]);
    let b = || link("ens4", "52:54:00:00:00:02", &["192.168.0.5/24"]);
    let empty = || link("ens2", "52:54:00:00:00:00", &[]);
    let mac = |mac: &str| Wanted { mac: Some(mac.into()), dhcp: true, ..Wanted::default() };
    let name = |name: &str| Wanted { name: Some(name.into()), dhcp: true, ..Wanted::default() };
    let fixed = Wanted { addresses: vec!["10.9.9.9/24".into()], ..mac("52:54:00:00:00:02") };
    type Row = (&'static str, Vec<Wanted>, Vec<Link>, Option<(&'static str, &'static str)>);
    let rows: Vec<Row> = vec![
        ("fixed, before it is up", vec![fixed.clone()], vec![], Some(("10.9.9.9", ""))),
        ("fixed", vec![fixed], vec![a(), b()], Some(("10.9.9.9", "ens4"))),
        (
            "by hardware address",
            vec![mac("52:54:00:00:00:02")],
            vec![a(), b()],
            Some(("192.168.0.5", "ens4")),
        ),
        ("by name", vec![name("ens3"), name("ens4")], vec![a(), b()], Some(("10.77.0.101", "ens3"))),
        (
            "by wildcard, skipping what has no address",
            vec![name("en*")],
            vec![empty(), b()],
            Some(("192.168.0.5", "ens4")),
        ),
        ("no lease yet", vec![mac("52:54:00:00:00:00")], vec![empty(), b()], None),
        ("not given", vec![], vec![empty(), b(), a()], Some(("192.168.0.5", "ens4"))),
        ("no such interface", vec![name("eth7")], vec![a()], None),
    ];
    for (label, interfaces, links, want) in rows {
        let got = own_address(&config(interfaces).network, &links);
        let want = want.map(|(ip, name)| (ip.parse::<IpAddr>().unwrap(), name.to_owned()));
        assert_eq!(got.map(|own| (own.address, own.interface)), want, "{label}");
    }
}

#[test]
fn a_mirror_is_whole_only_when_the_kernel_says_so() {
    let rows = [
        ("whole", Some("2\n"), Some("0\n"), "idle", (2, 2)),
        ("half", Some("2\n"), Some("1\n"), "recover", (2, 1)),
        ("being reshaped", Some("2 (1)\n"), Some("0\n"), "reshape", (2, 2)),
        ("nothing said", None, None, "", (2, 0)),
    ];
    for (name, disks, degraded, action, want) in rows {
        let dir = tempfile::tempdir().unwrap();
        fs::create_dir(dir.path().join("md")).unwrap();
        for (file, text) in [("raid_disks", disks), ("degraded", degraded), ("sync_action", Some(action))] {
            if let Some(text) = text {
                fs::write(dir.path().join("md").join(file), text).unwrap();
            }
        }
        let array = read_array("maekin-state", dir.path());
        assert_eq!((array.wanted, array.in_sync), want, "{name}");
        assert_eq!(array.degraded(), want.0 != want.1, "{name}");
        assert_eq!(array.action, action, "{name}");
    }
}

#[test]
fn uptime_is_whole_seconds() {
    assert_eq!(uptime("1234.56 2000.00\n"), 1234);
    assert_eq!(uptime(""), 0);
}
