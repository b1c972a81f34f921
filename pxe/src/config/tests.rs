use super::*;

const GOOD: &str = r#"
interface = "eno1"
address = "10.77.0.1/24"
pool_start = "10.77.0.100"
pool_end = "10.77.0.199"
dns = ["10.77.0.1"]
release_dir = "/boot/maekin/a"
root_path = "/dev/md/maekin-a"
agent_socket = "/run/maekin/agent.sock"
lease_file = "/var/lib/maekin/pxe/leases"

[[reservation]]
mac = "52:54:00:00:00:01"
address = "10.77.0.150"
"#;

#[test]
fn a_good_file_is_taken() {
    let config = parse_config(GOOD).unwrap();
    assert_eq!(config.settings.http(), "http://10.77.0.1:8480");
    assert_eq!(config.settings.subnets[0].lease, 3600);
    assert_eq!(config.plan.reservations.len(), 1);
    assert!(config.settings.on_link(Ipv4Addr::new(10, 77, 0, 254)));
    assert!(!config.settings.on_link(Ipv4Addr::new(10, 77, 1, 1)));
}

#[test]
fn what_is_wrong_is_refused_by_key_and_reason() {
    let rows: &[(&str, &str, &str, &[&str])] = &[
        ("unknown key", "dns =", "colour = 1\ndns =", &["colour", "line 6"]),
        ("wrong type", "\"10.77.0.100\"", "7", &["pool_start"]),
        ("missing key", "interface = \"eno1\"", "", &["interface"]),
        ("no prefix", "0.1/24", "0.1", &["`address`", "like 10.77.0.1/24"]),
        ("silly prefix", "0.1/24", "0.1/31", &["`address`"]),
        ("pool elsewhere", "0.199", "9.199", &["`pool_end`", "not in 10.77.0.0/24"]),
        ("pool reversed", "0.199", "0.9", &["`pool_end`", "before pool_start"]),
        ("pool up to broadcast", "0.199", "0.255", &["`pool_end`", "broadcast"]),
        ("interface name", "eno1", "a/b", &["`interface`"]),
        ("reservation of the broadcast address", "0.150", "0.255", &["`reservation`", "broadcast"]),
        ("not a MAC", "52:54:00:00:00:01", "52:5x", &["mac", "is not a hardware address"]),
        ("a MAC cut short", "52:54:00:00:00:01", "52:54", &["`reservation`", "has 2 bytes"]),
        (
            "host name",
            "address = \"10.77.0.150\"",
            "address = \"10.77.0.150\"\nhostname = \"a b\"",
            &["`reservation`", "`a b`"],
        ),
        (
            "a master that is none",
            "dns =",
            "masters = [\"http://10.77.0.2:8480/ x\"]\ndns =",
            &["`masters`", "http://10.77.0.2:8480"],
        ),
        ("lease", "dns =", "lease_seconds = 5\ndns =", &["`lease_seconds`"]),
        ("router elsewhere", "dns =", "router = \"10.0.0.1\"\ndns =", &["`router`"]),
    ];
    for (name, from, to, wanted) in rows {
        assert!(GOOD.contains(from), "{name}");
        let err = parse_config(&GOOD.replacen(from, to, 1)).unwrap_err().to_string();
        for part in *wanted {
            assert!(err.contains(part), "{name}: {err}");
        }
    }
}

#[test]
fn reservations_that_do_not_concern_this_network_are_left_out() {
    for address in ["10.77.1.150", "10.77.0.1"] {
        let config = parse_config(&GOOD.replace("10.77.0.150", address)).unwrap();
        assert!(config.plan.reservations.is_empty(), "{address}");
    }
}

#[test]
fn two_reservations_of_one_address_or_one_machine_are_refused() {
    let again =
        |mac: &str, ip: &str| format!("{GOOD}\n[[reservation]]\nmac = \"{mac}\"\naddress = \"{ip}\"\n");
    for (mac, ip) in [("52:54:00:00:00:01", "10.77.0.151"), ("52:54:00:00:00:02", "10.77.0.150")] {
        assert!(parse_config(&again(mac, ip)).unwrap_err().to_string().contains("keep one"));
    }
}

#[test]
fn a_network_has_a_pool_when_none_is_named() {
    let rows = [([10, 0, 0, 1], 24, 100, 199), ([10, 0, 0, 1], 16, 100, 199), ([10, 0, 0, 65], 26, 96, 126)];
    for (server, prefix, first, last) in rows {
        let pool = default_pool(server.into(), prefix);
        assert_eq!((pool.0.octets()[3], pool.1.octets()[3]), (first, last), "/{prefix}");
    }
}
