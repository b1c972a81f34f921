//! Whole networks as answer files have them, compared with the units in `rootfs/networks/*.txt`, and given to networkd
//! itself. After a change that is meant, run with `MAEKIN_BLESS=1` and look at the difference.

use std::path::Path;
use std::time::{Duration, Instant};

use super::*;
use crate::validate::validate_network;

/// Name of the golden file, and the network in TOML.
const ROWS: &[(&str, &str)] = &[
    (
        "fixed",
        "dns = [\"9.9.9.9\"]\n[[interface]]\nmac = \"52:54:00:00:00:01\"\naddresses = [\"10.77.0.1/24\", \"fd00::1/64\"]\n\
         gateway = \"10.77.0.254\"\nmtu = 9000\n",
    ),
    ("dhcp-on-all", ""),
    (
        "vlan-on-port-without-entry",
        "[[vlan]]\nname = \"vlan20\"\nid = 20\non = \"52:54:00:00:00:01\"\n\
         [[vlan]]\nname = \"vlan30\"\nid = 30\non = \"52:54:00:00:00:01\"\n\
         [[interface]]\nname = \"vlan20\"\ndhcp = true\nmtu = 9000\n[[interface]]\nname = \"vlan30\"\n",
    ),
    (
        "vlan-on-port-with-entry",
        "[[interface]]\nmac = \"52:54:00:00:00:01\"\nname = \"enp1s0\"\naddresses = [\"10.77.0.1/24\"]\n\
         [[vlan]]\nname = \"store\"\nid = 4094\non = \"enp1s0\"\n[[interface]]\nname = \"store\"\naddresses = [\"10.78.0.1/24\"]\n",
    ),
    (
        "bond-active-backup",
        "[[bond]]\nname = \"bond0\"\nmembers = [\"52:54:00:00:00:01\", \"enp2s0\"]\n\
         [[interface]]\nname = \"bond0\"\ndhcp = true\n[[interface]]\nname = \"e*\"\ndhcp = true\n",
    ),
    (
        "bond-lacp-with-vlan-and-jumbo",
        "[[bond]]\nname = \"bond0\"\nmode = \"802.3ad\"\nlacp_rate = \"slow\"\n\
         members = [\"52:54:00:00:00:01\", \"52:54:00:00:00:02\"]\n\
         [[vlan]]\nname = \"vlan20\"\nid = 20\non = \"bond0\"\n[[vlan]]\nname = \"vlan30\"\nid = 30\non = \"bond0\"\n\
         [[interface]]\nname = \"vlan20\"\naddresses = [\"10.20.0.5/24\"]\ngateway = \"10.20.0.1\"\n\
         [[interface]]\nname = \"vlan30\"\naddresses = [\"10.30.0.5/24\"]\nmtu = 9000\n",
    ),
    (
        "bridge-of-bond-with-vlan",
        "[[bond]]\nname = \"bond0\"\nmembers = [\"52:54:00:00:00:01\", \"52:54:00:00:00:02\"]\n\
         [[bridge]]\nname = \"br0\"\nmembers = [\"bond0\"]\nvlan_filtering = true\nstp = true\n\
         [[vlan]]\nname = \"vlan20\"\nid = 20\non = \"br0\"\n[[bridge]]\nname = \"inner\"\n\
         [[interface]]\nname = \"br0\"\naddresses = [\"10.77.0.1/24\"]\nmtu = 9000\n\
         [[interface]]\nname = \"vlan20\"\naddresses = [\"10.20.0.5/24\"]\n",
    ),
    (
        "bridge-of-port-and-bridge-of-vlan",
        "[[vlan]]\nname = \"vlan20\"\nid = 20\non = \"enp2s0\"\n\
         [[bridge]]\nname = \"br0\"\nmembers = [\"52:54:00:00:00:01\"]\n[[bridge]]\nname = \"br20\"\nmembers = [\"vlan20\"]\n\
         [[interface]]\nname = \"br0\"\ndhcp = true\n",
    ),
    (
        "bond-balance-xor",
        "[[bond]]\nname = \"uplink\"\nmode = \"balance-xor\"\nmembers = [\"enp1s0\"]\n\
         [[interface]]\nname = \"uplink\"\naddresses = [\"10.77.0.1/24\"]\nmtu = 1400\n",
    ),
];

fn network(name: &str, toml: &str) -> Network {
    let network: Network = toml::from_str(toml).unwrap_or_else(|e| panic!("{name}: {e}"));
    let wrong = validate_network(&network);
    assert!(wrong.is_empty(), "{name}: {wrong:?}");
    let again: Network = toml::from_str(&toml::to_string(&network).unwrap()).unwrap();
    assert_eq!(again, network, "{name}: written and read again");
    network
}

#[test]
fn units_are_as_they_were_looked_at() {
    for (name, toml) in ROWS {
        let files = render(&network(name, toml));
        let got: String = files.iter().map(|f| format!("==> {} <==\n{}\n", f.path, f.content)).collect();
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("networks").join(format!("{name}.txt"));
        if std::env::var_os("MAEKIN_BLESS").is_some() {
            std::fs::write(&path, &got).unwrap();
        }
        let want = std::fs::read_to_string(&path).unwrap_or_default();
        assert!(got == want, "{name} has changed; if that is meant, run with MAEKIN_BLESS=1\n{got}");
    }
}

/// networkd reads the units, in namespaces of its own, and finds nothing to complain of; where it cannot run, the
/// reason is printed.
#[test]
fn networkd_understands_the_units() {
    let start = Instant::now();
    std::thread::scope(|scope| {
        for (name, toml) in ROWS {
            scope.spawn(move || judge(name, &network(name, toml)));
        }
    });
    assert!(start.elapsed() < Duration::from_secs(60), "networkd does not end");
}

#[allow(clippy::disallowed_types)] // a test's own oracle; `host` is above this room
fn judge(name: &str, network: &Network) {
    let script = "mount -t tmpfs none /run && mkdir -p /run/systemd/network /run/systemd/netif \
        && cp \"$1\"/* /run/systemd/network/ && mount -o remount,ro,bind /sys 2>/dev/null; \
        exec timeout 2 /usr/lib/systemd/systemd-networkd";
    let dir = std::env::temp_dir().join(format!("maekin-networkd-{}-{name}", std::process::id()));
    std::fs::create_dir_all(&dir).unwrap();
    for file in render(network).iter().filter(|f| f.path.starts_with(DIR)) {
        std::fs::write(dir.join(file.path.rsplit('/').next().unwrap()), &file.content).unwrap();
    }
    // A fault that networkd must tell: the oracle is alive.
    std::fs::write(dir.join("99-wrong.network"), "[Match]\nName=zz\n[Network]\nColour=blue\n").unwrap();
    let out = std::process::Command::new("unshare")
        .args(["-m", "-n", "sh", "-c", script, "sh"])
        .arg(&dir)
        .env("SYSTEMD_LOG_LEVEL", "debug")
        .env("SYSTEMD_LOG_TARGET", "console")
        .output();
    std::fs::remove_dir_all(&dir).unwrap();
    let text = match out {
        Ok(out) => String::from_utf8_lossy(&out.stderr).into_owned(),
        Err(e) => e.to_string(),
    };
    if !text.contains("Colour") {
        let last = text.lines().last().unwrap_or_default();
        eprintln!("skipped: networkd cannot judge {name} here: {last}");
        return;
    }
    // Where the kernel has bridges they are made, and networkd says by which file: no complaint.
    let says = ["99-wrong", "found matching network", "Configuring with"];
    let ours =
        |line: &&str| line.contains("/run/systemd/network/") && !says.iter().any(|word| line.contains(word));
    let complaints: Vec<&str> = text.lines().filter(ours).collect();
    assert!(complaints.is_empty(), "{name}: {complaints:#?}");
}
