use super::*;
use std::path::Path;

/// Compares with the file kept, or with `MAEKIN_BLESS=1` takes a change that is meant.
fn kept(path: &str, text: &str) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(path);
    if std::env::var_os("MAEKIN_BLESS").is_some() {
        std::fs::write(&path, text).unwrap();
    }
    let old = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(old == text, "{} is not what the types say; MAEKIN_BLESS=1 takes this:\n{text}", path.display());
}

#[test]
fn the_schema_that_is_kept_is_the_one_of_the_types() {
    kept("schema/answer.schema.json", &json());
}

#[test]
fn the_reference_page_is_the_one_of_the_types() {
    kept("../docs/answers.md", &reference(include_str!("../../../schema/intro.md")));
}

#[test]
fn what_is_allowed_at_a_key_is_told() {
    let rows = [
        ("", ""),
        ("install.after", "`\"reboot\"`, `\"poweroff\"`"),
        ("cluster.mode", "`\"create\"`, `\"join\"`"),
        ("version", "a number 1"),
        ("network.interface[3].mtu", "a number of 576 to 65535"),
        ("network.interface[0].dhcp", "`true` or `false`"),
        ("network.bond[0].mode", "`\"802.3ad\"`"),
        ("disks.mirror", "`\"auto\"`, or a list of 1 to 2 of: text that"),
        ("disks.mirror[1].transport", "`\"nvme\"`"),
        ("disks.mirror.min", "text that matches"),
        ("disks.mirror.colour", "the keys `count`"),
        ("node.host_name", "the keys `hostname`"),
        ("colour", "`admin`"),
        ("admin", "a table with the keys `password`"),
    ];
    for (key, want) in rows {
        let got = allowed(key);
        assert!(got.contains(want) && got.is_empty() == want.is_empty(), "{key}: {got}");
    }
}

/// The least that a schema is for: every key that the example uses is in it.
#[test]
fn every_key_of_the_example_is_in_the_schema() {
    fn walk(path: &str, value: &toml::Value, keys: &mut Vec<String>) {
        match value {
            toml::Value::Table(table) => {
                for (name, value) in table {
                    let path = if path.is_empty() { name.clone() } else { format!("{path}.{name}") };
                    keys.push(path.clone());
                    walk(&path, value, keys);
                }
            }
            toml::Value::Array(list) => {
                list.iter().enumerate().for_each(|(i, item)| walk(&format!("{path}[{i}]"), item, keys));
            }
            _ => {}
        }
    }
    let example: toml::Table = include_str!("../../../examples/answer.toml").parse().unwrap();
    let mut keys = Vec::new();
    walk("", &toml::Value::Table(example), &mut keys);
    assert!(keys.len() > 20);
    for key in keys {
        let allowed = allowed(&key);
        assert!(!allowed.is_empty() && !allowed.starts_with("the keys"), "{key}: {allowed}");
    }
}
