use std::collections::BTreeMap;
use std::fs;

use super::plan::{Item, Source};
use super::*;

const HASH: &str = "$argon2id$v=19$m=19456,t=2,p=1$c2FsdHNhbHQ$aGFzaGhhc2hoYXNoaGFzaA";
const SECRET: &str = "5d41402abc4b2a76b9719d911017c592";
const KEY: &str = "MIGHAgEAMBMGByqGSM49AgEGCCqGSM49AwEHBG0wawIBAQQg0000KEYKEYKEY000";

/// A node's state with a secret in each place that has one.
fn node(dir: &Path) -> Settings {
    let settings = Settings::below(dir);
    fs::create_dir_all(settings.pki()).unwrap();
    let node = format!(
        "version = 1\ninstall_id = \"12f07768-21c8-5fbc-ba5c-2473ab2f6ef4\"\n\
         machine_id = \"0123456789abcdef0123456789abcdef\"\nhostname = \"node-1\"\n[admin]\npassword_hash = \"{HASH}\"\n\
         [cluster]\nmode = \"join\"\nmasters = [\"https://10.0.0.1:8443\"]\nca_sha256 = \"{}\"\nsecret = \"{SECRET}\"\n",
        "ab".repeat(32)
    );
    fs::write(settings.node_file(), node).unwrap();
    let title = "PRIVATE KEY";
    let key = format!("-----BEGIN {title}-----\n{KEY}\n-----END {title}-----\n");
    for name in ["node.key", "ca.key"] {
        fs::write(settings.pki().join(name), &key).unwrap();
    }
    fs::write(
        settings.pki().join("ca.crt"),
        "-----BEGIN CERTIFICATE-----\nMIIBcertificate\n-----END CERTIFICATE-----\n",
    )
    .unwrap();
    fs::write(settings.state.join("receipt.key"), "untrusted comment: x\nRWRTY0Iy0000RECEIPT0000\n").unwrap();
    settings
}

#[test]
fn console_support_no_secret_is_in_the_bundle() {
    let dir = tempfile::tempdir().unwrap();
    let settings = node(dir.path());
    // Each secret where it should not be: in files that go into the bundle.
    let leak = format!("{KEY} x RWRTY0Iy0000RECEIPT0000 y {SECRET} z {HASH} password=correct-horse\n");
    fs::create_dir_all(&settings.run).unwrap();
    fs::write(settings.boot_state(), &leak).unwrap();
    fs::write(settings.state.join("receipt.json"), leak.repeat(3)).unwrap();
    let out = dir.path().join("out");
    fs::create_dir(&out).unwrap();
    let mut steps = Vec::new();
    let report = run(&settings, Some(&out), |step| steps.push(step.to_owned())).unwrap();
    let items = archive::read(&report.written.path).unwrap();
    assert_eq!((items.len(), steps.len()), (report.written.items, report.written.items));
    for (name, text) in &items {
        for secret in [HASH, SECRET, KEY, "RECEIPT0000", "correct-horse", "PRIVATE KEY"] {
            assert!(!text.contains(secret), "{name} has {secret}");
        }
    }
    let items: BTreeMap<_, _> = items.into_iter().collect();
    let text = |end: &str| {
        items.iter().find(|(name, _)| name.ends_with(end)).map(|(_, text)| text.as_str()).unwrap()
    };
    assert!(text("/node.toml").contains("hostname = \"node-1\""), "{}", text("/node.toml"));
    assert!(text("/boot.json").contains("[removed]"));
    assert!(text("/node.json").contains("cannot reach the agent"), "what is not to be had says why");
    assert!(text("/README.txt").contains("support bundle"));
    assert_eq!(fs::read_dir(&out).unwrap().count(), 1, "nothing but the bundle is left");
    assert!(report.text().contains(" kB, "), "{}", report.text());
}

#[test]
fn console_support_a_program_that_fails_says_why() {
    let dir = tempfile::tempdir().unwrap();
    let text = |line: &[&'static str]| {
        let item = Item { name: "x".into(), source: Source::Command(line.to_vec()) };
        gather::gather(&Settings::below(dir.path()), &item)
    };
    assert_eq!(text(&["printf", "%s|%s", "a b", "$HOME;x"]), "a b|$HOME;x");
    assert!(text(&["ls", "/nowhere/at/all"]).contains("/nowhere/at/all"));
    assert!(text(&["no-such-program"]).contains("no-such-program"));
}

#[test]
fn console_support_keys_and_the_record_are_no_items() {
    let dir = tempfile::tempdir().unwrap();
    let settings = node(dir.path());
    let items = plan::items(&settings);
    let mut names: Vec<&str> = items.iter().map(|item| item.name.as_str()).collect();
    names.sort_unstable();
    names.dedup();
    assert_eq!(names.len(), items.len(), "each name once");
    for Item { name, source } in &items {
        assert!(!name.starts_with('/') && !name.contains(".."), "{name}");
        if let Source::File(path) = source {
            let secret =
                secret_files(&settings).contains(path) || path.starts_with(settings.state.join("etcd"));
            assert!(!secret && *path != settings.node_file(), "{name}");
        }
    }
}

#[test]
fn console_support_what_cannot_be_written_leaves_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let items = || [("a".to_owned(), "x".to_owned())].into_iter();
    fs::create_dir(dir.path().join("taken.tar.zst")).unwrap();
    let e = archive::write(dir.path(), "taken.tar.zst", items()).unwrap_err();
    assert!(e.to_string().contains("taken.tar.zst"), "{e}");
    assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 1, "no half of it");
    let written = archive::write(dir.path(), &archive::name("node-1", 1_795_212_000), items()).unwrap();
    assert_eq!(written.name, "maekin-support-node-1-20261120-220000.tar.zst");
}

#[test]
fn console_support_a_file_is_no_place() {
    let file = tempfile::NamedTempFile::new().unwrap();
    let dir = tempfile::tempdir().unwrap();
    let e = run(&node(dir.path()), Some(file.path()), |_| {}).unwrap_err();
    assert!(e.to_string().contains("is a file"), "{e}");
}
