use super::*;
use crate::config::parse_config;
use crate::dhcp::reserve::Key;

const HEAD: &str = r#"
interface = "eno1"
address = "10.77.0.1/24"
pool_start = "10.77.0.100"
pool_end = "10.77.0.149"
router = "10.77.0.254"
release_dir = "/r"
root_path = "/r/root"
agent_socket = "/a"
lease_file = "/l"
"#;

const FULL: &str = r#"
[dhcp]
known = ["02:00:00:00:00:07"]
kept_for_known = 25
strangers_per_second = 50
search = ["a.test", "b.test"]

[[dhcp.route]]
to = "10.0.0.0/8"
via = "10.77.0.254"

[[dhcp.pool]]
first = "10.77.0.160"
last = "10.77.0.169"

[[dhcp.option]]
code = 150
ip = ["10.77.0.2", "10.77.0.3"]
always = true

[[dhcp.option]]
code = 224
hex = "01:02 ff"

[[dhcp.subnet]]
network = "10.78.0.0/24"
router = "10.78.0.1"
lease_seconds = 600
domain = "far.test"

[[dhcp.subnet.pool]]
first = "10.78.0.10"
last = "10.78.0.19"

[[dhcp.subnet.option]]
code = 67
text = "phone.cfg"

[[reservation]]
uuid = "13121110-1514-1716-1819-1a1b1c1d1e1f"
address = "10.78.0.77"

[[reservation]]
circuit_id = "Ethernet1/7"
remote_id = "0x0102"
address = "10.77.0.120"

[[reservation]]
client_id = "ff:01:02"
hostname = "by-id"
"#;

#[test]
fn all_of_it_is_taken() {
    let config = parse_config(&format!("{HEAD}{FULL}")).unwrap();
    let plan = &config.plan;
    assert_eq!((plan.networks.len(), plan.kept_percent, plan.strangers_per_second), (2, 25, 50));
    assert_eq!(plan.networks[0].pools.len(), 2);
    assert_eq!(plan.networks[1].cidr.to_string(), "10.78.0.0/24");
    assert_eq!((plan.reservations.len(), plan.known.len()), (2, 1));
    assert!(plan.excluded.contains(&[10, 78, 0, 1].into()));
    let [here, far] = config.settings.subnets.as_slice() else { panic!("two networks") };
    assert_eq!((here.lease, far.lease, config.settings.longest()), (3600, 600, 3600));
    let told = |subnet: &Subnet| subnet.told.iter().map(|t| (t.code, t.always)).collect::<Vec<_>>();
    let all = [(1, true), (3, true), (28, true), (119, false), (121, false), (150, true), (224, false)];
    assert_eq!(told(here), all);
    assert_eq!(told(far), [(1, true), (3, true), (15, false), (28, true), (67, false)]);
    assert_eq!(here.told[6].value, [1, 2, 255]);
    let port = Key::Port { circuit: Some(b"Ethernet1/7".to_vec()), remote: Some(vec![1, 2]) };
    assert_eq!(plan.reservations.owner([10, 77, 0, 120].into()), Some(&port));
}

#[test]
fn what_is_wrong_is_refused_by_key_and_reason() {
    let rows: &[(&str, &str, &[&str])] = &[
        ("unknown key", "[dhcp]\ncolour = 1", &["colour"]),
        ("percent", "[dhcp]\nkept_for_known = 101", &["`dhcp.kept_for_known`", "101"]),
        ("search", "[dhcp]\nsearch = [\"a b\"]", &["`search`", "a b"]),
        (
            "option of the protocol",
            "[[dhcp.option]]\ncode = 53\nhex = \"01\"",
            &["`option`", "option 53 belongs"],
        ),
        (
            "option with two values",
            "[[dhcp.option]]\ncode = 150\nhex = \"01\"\ntext = \"a\"",
            &["takes one of"],
        ),
        ("option without value", "[[dhcp.option]]\ncode = 150\nip = []", &["option 150 has no value"]),
        ("odd hex", "[[dhcp.option]]\ncode = 150\nhex = \"012\"", &["not hex digits in pairs"]),
        ("option twice", "[[dhcp.option]]\ncode = 3\nip = [\"10.77.0.9\"]", &["option 3", "set twice"]),
        ("too much", "[[dhcp.option]]\ncode = 224\ntext = \"{LONG}\"", &["over 640"]),
        ("pools overlap", "[[dhcp.pool]]\nfirst = \"10.77.0.149\"\nlast = \"10.77.0.150\"", &["overlap"]),
        (
            "pool elsewhere",
            "[[dhcp.pool]]\nfirst = \"10.78.0.1\"\nlast = \"10.78.0.2\"",
            &["not in 10.77.0.0/24"],
        ),
        ("subnet is ours", "[[dhcp.subnet]]\nnetwork = \"10.77.0.0/16\"", &["`dhcp.subnet`", "overlap"]),
        ("host bits", "[[dhcp.subnet]]\nnetwork = \"10.78.0.1/24\"", &["`dhcp.subnet`", "10.78.0.1/24"]),
        (
            "pools too large",
            "[[dhcp.subnet]]\nnetwork = \"11.0.0.0/8\"\n[[dhcp.subnet.pool]]\nfirst = \"11.0.0.1\"\nlast = \"11.1.0.0\"",
            &["more than 65536"],
        ),
        ("lease", "[[dhcp.subnet]]\nnetwork = \"10.78.0.0/24\"\nlease_seconds = 1", &["`lease_seconds`"]),
        ("no mark", "[[reservation]]\naddress = \"10.77.0.9\"", &["known by one of"]),
        (
            "two marks",
            "[[reservation]]\nmac = \"02:00:00:00:00:01\"\nclient_id = \"01\"\naddress = \"10.77.0.9\"",
            &["known by one of"],
        ),
        ("client id", "[[reservation]]\nclient_id = \"x\"\naddress = \"10.77.0.9\"", &["`x` is not"]),
    ];
    for (name, more, wanted) in rows {
        let text = format!("{HEAD}{}", more.replace("{LONG}", &"x".repeat(700)));
        let err = parse_config(&text).expect_err(name).to_string();
        for part in *wanted {
            assert!(err.contains(part), "{name}: {err}");
        }
    }
}
