use super::*;
use crate::testing::agent;
use maekin_rootfs::node::ClusterIntent;
use std::os::unix::fs::PermissionsExt;

/// A file system in a directory; `systemctl` writes down what it is told.
struct Rig {
    dir: tempfile::TempDir,
    settings: Settings,
    config: NodeConfig,
}

impl Rig {
    fn new(script: &str) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let app = agent(dir.path(), 7, ClusterIntent::Create { name: "rack".into() });
        let settings =
            Settings { systemctl: dir.path().join("told").display().to_string(), ..app.settings.clone() };
        let log = dir.path().join("log");
        fs::write(&settings.systemctl, format!("#!/bin/sh\necho \"$*\" >>{}\n{script}\n", log.display()))
            .unwrap();
        fs::set_permissions(&settings.systemctl, fs::Permissions::from_mode(0o755)).unwrap();
        Self { dir, settings, config: app.config.clone() }
    }

    fn etc(&self, path: &str) -> PathBuf {
        self.settings.root.join("etc").join(path)
    }

    fn apply(&self, network: &str) -> Result<(), ApplyError> {
        let network = toml::from_str(network).unwrap();
        apply(&self.settings, &NodeConfig { network, ..self.config.clone() }, &["no-such-if".to_owned()])
    }

    fn units(&self) -> Vec<String> {
        let mut names: Vec<String> = units(&self.settings.root.join("etc"))
            .iter()
            .map(|p| p.file_name().unwrap().to_string_lossy().into())
            .collect();
        names.sort();
        names
    }

    fn told(&self) -> String {
        fs::read_to_string(self.dir.path().join("log")).unwrap_or_default()
    }
}

const VLAN: &str = "dns = [\"9.9.9.9\"]\n[[vlan]]\nname = \"v20\"\nid = 20\non = \"e0\"\n\
    [[interface]]\nname = \"v20\"\naddresses = [\"10.20.0.5/24\"]\n";

#[test]
fn files_are_those_that_a_start_would_render_and_no_others() {
    let rig = Rig::new("");
    fs::create_dir_all(rig.etc("systemd/network")).unwrap();
    fs::write(rig.etc("systemd/network/50-somebody.network"), "[Match]\nName=x\n").unwrap();
    fs::write(rig.etc("hostname"), "before\n").unwrap();
    rig.apply(VLAN).unwrap();
    assert_eq!(rig.units(), ["05-maekin-v20.netdev", "07-maekin-00.network", "10-maekin.network"]);
    assert_eq!(fs::read_to_string(rig.etc("resolv.conf")).unwrap(), "nameserver 9.9.9.9\n");
    let rules = fs::read_to_string(rig.etc("nftables.conf")).unwrap();
    assert!(rules.contains("ip saddr 10.20.0.0/24 tcp dport"), "{rules}");
    assert_eq!(rig.told(), "reload-or-restart nftables.service\nrestart systemd-networkd.service\n");

    rig.apply("[[interface]]\nname = \"e0\"\ndhcp = true\n").unwrap();
    assert_eq!(rig.units(), ["10-maekin.network"]);
    assert_eq!(fs::read_link(rig.etc("resolv.conf")).unwrap(), Path::new(STUB), "as the image has it");
    rig.apply("[[interface]]\nname = \"e0\"\ndhcp = true\n").unwrap();
    assert_eq!(rig.units(), ["10-maekin.network"]);
    assert!(rig.etc("systemd/network/50-somebody.network").exists(), "what is not ours stays");
    assert_eq!(
        fs::read_to_string(rig.etc("hostname")).unwrap(),
        "before\n",
        "and what is not of the network"
    );
}

#[test]
fn what_fails_does_not_stop_what_comes_behind_it() {
    let rig = Rig::new("case \"$1\" in reload-or-restart) echo no rules today >&2; exit 1;; esac");
    // What cannot be removed, and what cannot be written.
    fs::create_dir_all(rig.etc("systemd/network/99-maekin-x.network/in")).unwrap();
    let error = rig.apply(VLAN).unwrap_err();
    assert!(matches!(&error, ApplyError::File(e) if e.path.ends_with("99-maekin-x.network")), "{error}");
    assert!(rig.etc("systemd/network/05-maekin-v20.netdev").exists() && rig.etc("resolv.conf").exists());
    assert_eq!(rig.told(), "reload-or-restart nftables.service\nrestart systemd-networkd.service\n");
    fs::remove_dir_all(rig.etc("systemd/network/99-maekin-x.network")).unwrap();
    let error = rig.apply(VLAN).unwrap_err();
    assert!(matches!(&error, ApplyError::Cmd(e) if e.to_string().contains("no rules today")), "{error}");
    assert!(rig.told().ends_with("restart systemd-networkd.service\n"), "{}", rig.told());
}

#[test]
fn an_interface_that_goes_by_itself_meanwhile_is_no_error() {
    let times = std::cell::Cell::new(0);
    let goes = || times.replace(times.get() + 1) == 0;
    assert!(delete("no-such-if", goes).is_ok());
    assert_eq!(times.get(), 2, "it was there, and then it was not");
    assert!(delete("no-such-if", || false).is_ok());
    assert!(delete("no-such-if", || true).is_err(), "it stays, and cannot be deleted");
}

#[test]
fn what_cannot_be_used_is_not_begun_and_what_fails_is_told() {
    let rig = Rig::new("");
    assert!(matches!(rig.apply("[[interface]]\nname = \"e0\"\n"), Err(ApplyError::Unusable(_))));
    assert!(rig.units().is_empty() && rig.told().is_empty());
    let rig = Rig::new("case \"$1\" in restart) echo no network today >&2; exit 1;; esac");
    let error = rig.apply(VLAN).unwrap_err().to_string();
    assert!(error.contains("no network today"), "{error}");
}
