use super::*;
use serde_json::json;

#[test]
fn api_settings_are_checked_field_by_field() {
    let key = format!("ssh-ed25519 {} me", STANDARD.encode(b"\0\0\0\x0bssh-ed25519\0\0\0\x20xx"));
    let good = json!({
        "hostname": "node-9",
        "network": {"interface": [{"name": "eth0", "addresses": ["10.0.0.1/24"], "gateway": "10.0.0.254"}]},
        "dns": ["10.0.0.53", "fd00::1"],
        "ntp": ["ntp.example.org", "10.0.0.1", "fd00::2"],
        "ssh_keys": [key],
        "syslog": {"server": "log.example.org", "transport": "tcp", "priority": 6},
        "roles": ["compute", "rack-1"],
        "labels": {"rack": "r1", "example.org/Row": "A_1.b-c", "empty": ""},
        "maintenance": {"reason": "memory is changed"},
        "console_shell": false,
    });
    assert_eq!(problems(&serde_json::from_value(good).unwrap()), Vec::<String>::new());
    assert_eq!(problems(&NodeSettings::default()), Vec::<String>::new());
    let many = |n: usize, text: &str| (0..n).map(|i| format!("{text}{i}")).collect::<Vec<_>>();
    let ca = "x".repeat(LARGEST_CA + 1);
    let rows = [
        ("a name with a dot", json!({"hostname": "a.b"}), "hostname: "),
        ("upper case", json!({"hostname": "Node"}), "hostname: "),
        ("no name", json!({"hostname": ""}), "hostname: "),
        ("a long name", json!({"hostname": "a".repeat(64)}), "hostname: "),
        ("a name that breaks a line", json!({"hostname": "a\nb"}), "hostname: "),
        (
            "an address without prefix",
            json!({"network": {"interface": [{"name": "e", "addresses": ["10.0.0.1"]}]}}),
            "network.interface[0]",
        ),
        (
            "a VLAN too large",
            json!({"network": {"vlan": [{"name": "v", "id": 4095, "on": "e"}]}}),
            "network.vlan",
        ),
        (
            "many interfaces",
            json!({"network": {"interface": vec![json!({"name": "e"}); 65]}}),
            "network.interface: 65",
        ),
        (
            "many ports",
            json!({"network": {"bond": [{"name": "b", "members": many(65, "e")}]}}),
            "members: 65",
        ),
        ("many name servers", json!({"dns": vec!["10.0.0.1"; 9]}), "dns: 9"),
        ("no NTP server", json!({"ntp": ["a b"]}), "ntp: "),
        ("an NTP server with an option", json!({"ntp": ["a\nFallbackNTP=evil"]}), "ntp: "),
        ("many NTP servers", json!({"ntp": many(17, "n")}), "ntp: 17"),
        ("no key", json!({"ssh_keys": ["ssh-ed25519 AAAA me"]}), "ssh_keys[0]: "),
        ("a key with options", json!({"ssh_keys": [format!("command=\"x\" {key}")]}), "ssh_keys[0]: "),
        ("two keys in one", json!({"ssh_keys": [format!("{key}\n{key}")]}), "ssh_keys[0]: "),
        (
            "another kind than the key says",
            json!({"ssh_keys": [key.replace("ssh-ed25519 ", "ssh-rsa ")]}),
            "ssh_keys[0]: ",
        ),
        ("many keys", json!({"ssh_keys": vec![key.clone(); 65]}), "ssh_keys: 65"),
        (
            "an endless key",
            json!({"ssh_keys": [format!("{key}{}", "x".repeat(LONGEST_KEY))]}),
            "ssh_keys[0]: ",
        ),
        ("no server", json!({"syslog": {"server": "a b"}}), "syslog.server: "),
        ("port 0", json!({"syslog": {"server": "a", "port": 0}}), "syslog.port: "),
        ("priority 8", json!({"syslog": {"server": "a", "priority": 8}}), "syslog.priority: "),
        ("a CA without TLS", json!({"syslog": {"server": "a", "ca": "x"}}), "syslog.ca: is for"),
        (
            "no CA",
            json!({"syslog": {"server": "a", "transport": "tls", "ca": "x"}}),
            "syslog.ca: there is no certificate",
        ),
        ("a large CA", json!({"syslog": {"server": "a", "transport": "tls", "ca": ca}}), "syslog.ca: longer"),
        ("no role", json!({"roles": ["Compute"]}), "roles: `Compute`"),
        ("a role twice", json!({"roles": ["a", "a"]}), "roles: one"),
        ("many roles", json!({"roles": many(33, "r")}), "roles: 33"),
        ("no name of a label", json!({"labels": {"-a": "x"}}), "labels: `-a`"),
        ("no prefix of a label", json!({"labels": {"A/b": "x"}}), "labels: `A/b`"),
        ("two prefixes", json!({"labels": {"a/b/c": "x"}}), "labels: `a/b/c`"),
        ("no value", json!({"labels": {"a": "x y"}}), "labels.a: "),
        ("a value of more than ASCII", json!({"labels": {"a": "ä"}}), "labels.a: "),
        ("a reason of two lines", json!({"maintenance": {"reason": "a\nb"}}), "maintenance.reason: "),
        ("a long reason", json!({"maintenance": {"reason": "a".repeat(201)}}), "maintenance.reason: "),
        (
            "all of it is too much",
            json!({"maintenance": {"reason": "a".repeat(LARGEST)}}),
            "the settings are longer",
        ),
    ];
    for (name, bad, want) in rows {
        let found = problems(&serde_json::from_value(bad).unwrap());
        assert!(found.iter().any(|line| line.contains(want)), "{name}: {found:?}");
        assert!(found.iter().all(|line| !line.contains(char::is_control)), "{name}: {found:?}");
    }
}
