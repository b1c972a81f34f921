use super::*;
use crate::facts::ondisk::bytes::DeviceRange;
use crate::facts::ondisk::md::tests::superblock_at;
use maekin_host::cmd::{self, Cmd};
use std::fs;
use std::os::unix::fs::FileExt;
use std::path::Path;
use uuid::Uuid;

const MIB: u64 = 1 << 20;
const NODE: &str = "version = 1\ninstall_id = \"00000000-0000-0000-0000-000000000007\"\n\
    machine_id = \"11111111111111111111111111111111\"\nhostname = \"node-1\"\n";

/// A state partition: a member of a mirror whose data, from its second MiB on, is an ext4 file system.
fn partition(dir: &Path, node: &str, membership: Option<&str>) -> std::path::PathBuf {
    let tree = dir.join("tree");
    fs::create_dir_all(tree.join("lib/maekin")).unwrap();
    fs::write(tree.join(NODE_FILE), node).unwrap();
    if let Some(text) = membership {
        fs::write(tree.join(MEMBERSHIP), text).unwrap();
    }
    let image = dir.join("state");
    fs::File::create(&image).unwrap().set_len(17 * MIB).unwrap();
    Cmd::new("mkfs.ext4")
        .args(["-q", "-F", "-E", &format!("offset={MIB}"), "-d"])
        .arg(&tree)
        .arg(&image)
        .arg("16M")
        .run()
        .unwrap();
    let superblock = superblock_at(4096, "maekin:state", MIB);
    fs::OpenOptions::new().write(true).open(&image).unwrap().write_all_at(&superblock, 4096).unwrap();
    image
}

fn node(image: &Path) -> Option<PreviousNode> {
    let size = fs::metadata(image).unwrap().len();
    read(Box::new(DeviceRange::open(image, 0, size).unwrap())).unwrap()
}

#[test]
fn the_old_node_is_read_and_not_one_byte_is_written() {
    assert!(
        cmd::exists("mkfs.ext4") || cmd::exists("/usr/sbin/mkfs.ext4"),
        "e2fsprogs is needed for this test"
    );
    let create = format!("{NODE}[cluster]\nmode = \"create\"\nname = \"rack\"\n");
    let join = format!(
        "{NODE}[cluster]\nmode = \"join\"\nmasters = [\"https://10.0.0.1:8443\"]\nca_sha256 = \"{}\"\nsecret = \"\"\n",
        "ab".repeat(32)
    );
    let newer = format!("{NODE}colour = \"red\"\n[cluster]\nmode = \"unheard-of\"\n");
    let member = "{\"cluster_id\": \"x\", \"cluster\": \"rack\", \"endpoints\": []}";
    // Name, node file, file about the cluster; what is told: nobody, or a node and maybe its cluster.
    type Row<'a> = (&'a str, &'a str, Option<&'a str>, Option<Option<&'a str>>);
    let rows: [Row<'_>; 6] = [
        ("the first node", &create, None, Some(Some("rack"))),
        ("a member", &join, Some(member), Some(Some("rack"))),
        ("one that has not joined yet", &join, None, Some(None)),
        ("one of a later version", &newer, None, Some(None)),
        ("damaged settings", "hostname = ", None, None),
        ("too long", &format!("{create}#{}", "x".repeat(1 << 20)), None, None),
    ];
    for (name, text, membership, want) in rows {
        let dir = tempfile::tempdir().unwrap();
        let image = partition(dir.path(), text, membership);
        let before = fs::read(&image).unwrap();
        let want = want.map(|cluster| PreviousNode {
            hostname: "node-1".to_owned(),
            cluster: cluster.map(ToOwned::to_owned),
            install_id: Uuid::from_u128(7),
        });
        assert_eq!(node(&image), want, "{name}");
        assert!(fs::read(&image).unwrap() == before, "{name}: something was written");
    }
}

#[test]
fn a_damaged_state_file_system_is_nobody_and_no_panic() {
    let dir = tempfile::tempdir().unwrap();
    let image = partition(dir.path(), NODE, None);
    let whole = fs::read(&image).unwrap();
    let first = usize::try_from(MIB).unwrap() + 1024;
    let mut seed = 1u32;
    let file = fs::OpenOptions::new().write(true).open(&image).unwrap();
    for _ in 0..300 {
        let mut spots = Vec::new();
        for _ in 0..4 {
            seed = seed.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            let at = first + (seed >> 8) as usize % (64 << 10);
            file.write_all_at(&[seed.to_le_bytes()[3]], at as u64).unwrap();
            spots.push(at);
        }
        let _ = node(&image);
        spots.iter().for_each(|at| file.write_all_at(&whole[*at..=*at], *at as u64).unwrap());
    }
}
