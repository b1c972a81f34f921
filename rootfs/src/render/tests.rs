use std::collections::BTreeMap;
use std::process::Stdio;

use super::*;
use crate::node::Interface;
use crate::validate::tests::sample;

fn tree(config: &NodeConfig) -> BTreeMap<String, String> {
    render(config).unwrap().into_iter().map(|f| (f.path, f.content)).collect()
}

type Change = fn(&mut NodeConfig);
type Texts = &'static [&'static str];
/// Name, change, path, texts that must be there, texts that must not.
type Row = (&'static str, Change, &'static str, Texts, Texts);

#[test]
fn files_say_what_the_node_file_says() {
    let rows: &[Row] = &[
        ("machine id", |_| {}, "/etc/machine-id", &["0123456789abcdef0123456789abcdef\n"], &[]),
        ("host name", |_| {}, "/etc/hostname", &["node-1\n"], &[]),
        ("hosts", |_| {}, "/etc/hosts", &["127.0.1.1 node-1\n", "::1 localhost"], &[]),
        (
            "fixed address",
            |_| {},
            "/etc/systemd/network/10-maekin.network",
            &["MACAddress=52:54:00:00:00:01\nType=ether", "DHCP=no", "[Address]\nAddress=10.77.0.1/24"],
            &["[DHCPv4]", "Gateway="],
        ),
        (
            "gateway, DNS, MTU",
            |c| {
                c.network.interfaces[0].gateway = Some("10.77.0.254".parse().unwrap());
                c.network.interfaces[0].mtu = Some(9000);
                c.network.dns = vec!["9.9.9.9".parse().unwrap()];
            },
            "/etc/systemd/network/10-maekin.network",
            &["[Route]\nGateway=10.77.0.254\nMetric=100", "MTUBytes=9000", "DNS=9.9.9.9"],
            &[],
        ),
        (
            "a wildcard comes after the interface it also matches",
            |c| {
                c.network.interfaces.push(Interface {
                    name: Some("en*".into()),
                    dhcp: true,
                    ..Interface::default()
                });
            },
            "/etc/systemd/network/11-maekin.network",
            &["Name=en*", "DHCP=yes", "RequiredForOnline=no", "RouteMetric=200", "ClientIdentifier=mac"],
            &["MACAddress"],
        ),
        (
            "no interface given: DHCP on all Ethernet",
            |c| {
                c.network.interfaces.clear();
                c.provision = None;
            },
            "/etc/systemd/network/90-maekin-any.network",
            &["Name=*\nType=ether\nKind=!*", "DHCP=yes"],
            &[],
        ),
        ("ssh keys", |_| {}, AUTHORIZED_KEYS, &["ssh-ed25519 AAAA me@desk\n"], &[]),
        (
            "time servers",
            |c| c.time.ntp = vec!["a.example".into(), "10.0.0.1".into()],
            "/etc/systemd/timesyncd.conf.d/50-maekin.conf",
            &["NTP=a.example 10.0.0.1\n", "FallbackNTP=\n"],
            &[],
        ),
        (
            "firewall of a master",
            |_| {},
            "/etc/nftables.conf",
            &[
                "policy drop",
                "tcp dport 22 ",
                "tcp dport 8443 ",
                "ip saddr 10.77.0.0/24 tcp dport { 2379, 2380 }",
                "ip saddr 10.77.0.0/24 udp dport 8946 accept",
                "udp dport { 67, 4011 }",
                "ip daddr 10.77.0.1 udp dport 69",
                "ip daddr 10.77.0.1 tcp dport 8480",
            ],
            &[],
        ),
        (
            "firewall of a plain node without keys",
            |c| {
                c.provision = None;
                c.admin.ssh_keys.clear();
            },
            "/etc/nftables.conf",
            // It may have to install others when the node that did so is gone.
            &["tcp dport 8443 ", "udp dport { 67, 4011 }", "ip daddr 10.77.0.1 tcp dport 8480"],
            &["dport 22 "],
        ),
    ];
    for (name, change, path, wanted, unwanted) in rows {
        let mut config = sample();
        change(&mut config);
        let files = tree(&config);
        let content =
            files.get(*path).unwrap_or_else(|| panic!("{name}: {path} is missing: {:?}", files.keys()));
        for text in *wanted {
            assert!(content.contains(text), "{name}: no `{text}` in\n{content}");
        }
        for text in *unwanted {
            assert!(!content.contains(text), "{name}: `{text}` in\n{content}");
        }
    }
}

#[test]
fn files_that_switch_something_on_are_absent_without_a_reason() {
    let mut config = sample();
    config.admin.ssh_keys.clear();
    let files = tree(&config);
    for path in [AUTHORIZED_KEYS, "/etc/systemd/timesyncd.conf.d/50-maekin.conf", "/etc/resolv.conf"] {
        assert!(!files.contains_key(path), "{path}");
    }
}

#[test]
fn an_unusable_node_file_renders_nothing_and_says_everything() {
    let mut config = sample();
    config.hostname = "a\nb".into();
    config.machine_id.clear();
    let text = render(&config).unwrap_err().to_string();
    assert!(text.contains("hostname") && text.contains("machine_id"), "{text}");
}

#[test]
fn paths_are_absolute_and_unique() {
    let files = render(&sample()).unwrap();
    let paths: std::collections::BTreeSet<_> = files.iter().map(|f| &f.path).collect();
    assert_eq!(paths.len(), files.len());
    assert!(paths.iter().all(|p| p.starts_with("/etc/")), "{paths:?}");
}

/// nft itself judges the rules, in a network namespace of its own; where it cannot, the reason is printed.
#[test]
#[allow(clippy::disallowed_types)] // a test's own oracle; `host` is above this room
fn nft_takes_the_rules() {
    for (name, provision) in [("master", true), ("plain", false)] {
        let mut config = sample();
        if !provision {
            config.provision = None;
            config.network.interfaces[0].addresses = vec!["fd00::1/64".into()];
        }
        let rules = tree(&config)["/etc/nftables.conf"].clone();
        let dir = std::env::temp_dir().join(format!("maekin-nft-{}-{name}", std::process::id()));
        std::fs::write(&dir, rules).unwrap();
        let out = std::process::Command::new("unshare")
            .args(["-r", "-n", "nft", "-c", "-f"])
            .arg(&dir)
            .stdin(Stdio::null())
            .output();
        std::fs::remove_file(&dir).unwrap();
        match out {
            Ok(out) if out.status.success() => {}
            Ok(out) => {
                let text = String::from_utf8_lossy(&out.stderr).into_owned();
                let cannot = [
                    "failed to execute nft",
                    "unshare failed",
                    "Operation not permitted",
                    "cache initialization failed",
                ];
                assert!(cannot.iter().any(|c| text.contains(c)), "{name}: {text}");
                eprintln!("skipped: nft cannot judge here: {}", text.trim());
            }
            Err(e) => eprintln!("skipped: no unshare(1) here: {e}"),
        }
    }
}
