use super::*;

fn link(name: &str, mac: &str, physical: bool) -> Link {
    Link { name: name.into(), mac: mac.into(), physical, ..Link::default() }
}

fn links() -> Vec<Link> {
    vec![
        link("bond0", "52:54:00:00:00:01", false),
        link("eno1", "52:54:00:00:00:01", true),
        link("eno2", "52:54:00:00:00:02", true),
    ]
}

fn parse(name: &str, text: &str) -> Network {
    toml::from_str(text).unwrap_or_else(|e| panic!("{name}: {e}"))
}

const FIXED: &str = "[[interface]]\nmac = \"52:54:00:00:00:01\"\naddresses = [\"10.0.0.1/24\"]\n";
const BOND: &str = "[[bond]]\nname = \"bond0\"\nmembers = [\"eno1\", \"eno2\"]\n\
    [[vlan]]\nname = \"v20\"\nid = 20\non = \"bond0\"\n\
    [[interface]]\nname = \"bond0\"\ndhcp = true\n[[interface]]\nname = \"v20\"\n";

#[test]
fn what_changes_is_said_and_what_has_to_go_is_named() {
    // Name, applied, wanted, changes, gone.
    type Row = (&'static str, &'static str, String, &'static [&'static str], &'static [&'static str]);
    let rows: Vec<Row> = vec![
        ("nothing", FIXED, FIXED.into(), &[], &[]),
        (
            "another address",
            FIXED,
            FIXED.replace("10.0.0.1", "10.0.0.9"),
            &["10.0.0.1/24 on 52:54:00:00:00:01 -> 10.0.0.9/24 on 52:54:00:00:00:01"],
            &[],
        ),
        ("all by DHCP", FIXED, String::new(), &["-> DHCP on every Ethernet interface"], &[]),
        (
            "a bond with a VLAN",
            FIXED,
            BOND.into(),
            &["DHCP on bond0", "new: no address on v20", "new: bond bond0: active-backup of eno1, eno2", "new: VLAN v20"],
            &[],
        ),
        ("and back", BOND, FIXED.into(), &["10.0.0.1/24", "gone: no address on v20", "gone: bond", "gone: VLAN"], &["v20", "bond0"]),
        (
            "another mode: made anew, and the VLAN on it with it",
            BOND,
            BOND.replace("eno2\"]", "eno2\"]\nmode = \"802.3ad\""),
            &["bond bond0: active-backup of eno1, eno2 -> bond bond0: 802.3ad of eno1, eno2"],
            &["v20", "bond0"],
        ),
        ("another number", BOND, BOND.replace("id = 20", "id = 21"), &["VLAN v20: number 20 on bond0 -> "], &["v20"]),
        ("a port more", BOND.trim_end(), BOND.replace("\"eno2\"]", "\"eno2\", \"eno3\"]"), &["eno1, eno2, eno3", "eno3 is not in this machine now"], &[]),
        (
            "a bridge",
            FIXED,
            "[[bridge]]\nname = \"br0\"\nmembers = [\"eno1\"]\nvlan_filtering = true\n[[interface]]\nname = \"br0\"\n\
             addresses = [\"10.0.0.1/24\"]\ngateway = \"10.0.0.254\"\nmtu = 9000\n"
                .into(),
            &["10.0.0.1/24 on br0, router 10.0.0.254, MTU 9000", "new: bridge br0: of eno1, VLANs kept apart"],
            &[],
        ),
        ("name servers", FIXED, format!("dns = [\"9.9.9.9\"]\n{FIXED}"), &["name servers: none -> 9.9.9.9"], &[]),
    ];
    for (name, applied, wanted, changes, gone) in rows {
        let got = plan(&parse(name, applied), &parse(name, &wanted), &links())
            .unwrap_or_else(|e| panic!("{name}: {e}"));
        assert_eq!(got.changes.len(), changes.len(), "{name}: {:#?}", got.changes);
        for (change, part) in got.changes.iter().zip(changes) {
            assert!(change.contains(part), "{name}: {change}");
        }
        assert_eq!(got.gone, gone, "{name}");
    }
}

#[test]
fn what_leaves_the_node_alone_is_refused_with_a_reason() {
    let rows = [
        (
            "no such port",
            "[[interface]]\nname = \"eno7\"\ndhcp = true\n",
            "would have no network interface: eno7",
        ),
        (
            "no such address",
            "[[interface]]\nmac = \"52:54:00:00:00:09\"\ndhcp = true\n",
            "eno1 (52:54:00:00:00:01)",
        ),
        (
            "a bond of ports that are not there",
            "[[bond]]\nname = \"b\"\nmembers = [\"x\", \"y\"]\n[[interface]]\nname = \"b\"\ndhcp = true\n",
            "x, y is not in this machine",
        ),
        (
            "a bridge of nothing",
            "[[bridge]]\nname = \"b\"\n[[interface]]\nname = \"b\"\ndhcp = true\n",
            "a port of b is not in this machine",
        ),
        (
            "a port that goes with the bond",
            "[[interface]]\nname = \"bond0\"\ndhcp = true\n",
            "would have no network interface: bond0",
        ),
        ("no address at all", "[[interface]]\nname = \"eno1\"\n", "carries the cluster and so needs"),
        (
            "router elsewhere",
            "[[interface]]\nname = \"eno1\"\naddresses = [\"10.0.0.1/24\"]\ngateway = \"10.9.0.1\"\n",
            "lies in no network",
        ),
        (
            "an address twice",
            "[[interface]]\nname = \"eno1\"\naddresses = [\"10.0.0.1/24\"]\n[[interface]]\nname = \"eno2\"\naddresses = [\"10.0.0.1/16\"]\n",
            "10.0.0.1 is given to two interfaces",
        ),
        (
            "link-local",
            "[[interface]]\nname = \"eno1\"\naddresses = [\"169.254.0.1/16\"]\n",
            "169.254.0.1 cannot carry the cluster",
        ),
    ];
    for (name, wanted, want) in rows {
        let error = plan(&parse(name, BOND), &parse(name, wanted), &links()).unwrap_err().to_string();
        assert!(error.contains(want), "{name}: {error}");
    }
    let none = plan(&parse("", FIXED), &Network::default(), &[]).unwrap_err();
    assert!(none.to_string().contains("its interfaces are none"), "{none}");
    // One port of two is enough.
    let one =
        "[[bond]]\nname = \"b\"\nmembers = [\"x\", \"eno2\"]\n[[interface]]\nname = \"b\"\ndhcp = true\n";
    assert!(plan(&parse("", FIXED), &parse("", one), &links()).is_ok());
}
