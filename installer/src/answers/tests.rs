use super::*;

const HEAD: &str = "version = 1\n[node]\nhostname = \"node-1\"\n";
const ADMIN: &str = "[admin]\npassword = \"correct horse\"\n";
const CREATE: &str = "[cluster]\nmode = \"create\"\nname = \"rack\"\n";
const NIC: &str = "[[network.interface]]\nmac = \"52:54:00:00:00:01\"\naddresses = [\"10.77.0.1/24\"]\n";

fn good() -> String {
    format!("{HEAD}{ADMIN}{NIC}{CREATE}")
}

#[test]
fn a_whole_file_is_taken() {
    let text = format!(
        "{HEAD}{ADMIN}ssh_keys = [\"ssh-ed25519 AAAA me\"]\n[disks]\nmirror = [\"serial:A 1\", \"path:/dev/vdb\"]\n\
         consent = [\"0123-4567-89ab-cdef\"]\n{NIC}[network]\ndns = [\"10.77.0.2\"]\n[time]\nntp = [\"pool.ntp.org\"]\n\
         {CREATE}[provision]\npool_start = \"10.77.0.100\"\npool_end = \"10.77.0.199\"\n[install]\nafter = \"poweroff\"\n"
    );
    let answers = parse(&text).unwrap();
    assert_eq!(answers.after, After::Poweroff);
    let drives = [Selector::Serial("A 1".to_owned()), Selector::Path("/dev/vdb".to_owned())];
    assert_eq!(answers.mirror, Mirror::Named(drives.to_vec()));
    assert_eq!(answers.network.interfaces.len(), 1);
    assert!(answers.provision.is_some() && answers.consent.len() == 1);
}

#[test]
fn the_example_is_taken() {
    let answers = parse(include_str!("../../examples/answer.toml")).unwrap();
    assert!(answers.provision.is_some() && answers.consent.len() == 1);
}

#[test]
fn the_shortest_file_is_taken_and_means_auto() {
    assert_eq!(parse(&good()).unwrap().mirror, Mirror::Auto);
}

#[test]
fn a_join_needs_no_password() {
    let text = format!(
        "{HEAD}[cluster]\nmode = \"join\"\nmasters = [\"https://10.77.0.1:8443\"]\nca_sha256 = \"{}\"\nsecret = \"s\"\n",
        "ab".repeat(32)
    );
    assert!(matches!(parse(&text).unwrap().cluster, ClusterIntent::Join { .. }));
}

/// Name, file, and what its refusal must say: line, key, reason.
fn bad() -> Vec<(&'static str, String, usize, &'static str, &'static str)> {
    let joined = |rest: &str| format!("{HEAD}[cluster]\nmode = \"join\"\n{rest}");
    let ca = "ab".repeat(32);
    vec![
        ("empty file", String::new(), 1, "", "missing field `version`"),
        ("no TOML", "version = \n".into(), 1, "", ""),
        ("other version", good().replace("version = 1", "version = 2"), 1, "version", "knows 1"),
        ("version as text", good().replace("version = 1", "version = \"1\""), 1, "version", "expected u32"),
        ("unknown key at top", format!("colour = 1\n{}", good()), 1, "colour", "unknown field"),
        (
            "unknown key in a table",
            good().replace("hostname", "host_name"),
            3,
            "node.host_name",
            "expected `hostname`",
        ),
        ("no hostname", good().replace("hostname = \"node-1\"\n", ""), 2, "node", "missing field `hostname`"),
        ("hostname as number", good().replace("\"node-1\"", "7"), 3, "node.hostname", "expected a string"),
        ("upper-case hostname", good().replace("node-1", "Node"), 3, "node.hostname", "a-z"),
        ("hostname with a dot", good().replace("node-1", "a.b"), 3, "node.hostname", "a-z"),
        ("empty hostname", good().replace("node-1", ""), 3, "node.hostname", "1 to 63"),
        ("nobody may administer", format!("{HEAD}{NIC}{CREATE}"), 0, "admin", "password_hash or ssh_keys"),
        (
            "password and its hash",
            good().replace("[[network", "password_hash = \"$argon2id$v=19$x\"\n[[network"),
            5,
            "admin.password",
            "contradicts password_hash",
        ),
        ("short password", good().replace("correct horse", "short"), 5, "admin.password", "at least 8"),
        (
            "hash of another kind",
            good().replace("password = \"correct horse\"", "password_hash = \"$6$abc\""),
            5,
            "admin.password_hash",
            "Argon2id",
        ),
        (
            "ssh key that is none",
            good().replace("password = \"correct horse\"", "ssh_keys = [\"ssh-ed25519 AAAA a\", \"hello\"]"),
            5,
            "admin.ssh_keys[1]",
            "ssh-ed25519",
        ),
        (
            "ssh keys as text",
            good().replace("password = ", "ssh_keys = "),
            5,
            "admin.ssh_keys",
            "expected a sequence",
        ),
        ("mirror as number", format!("{}[disks]\nmirror = 2\n", good()), 13, "disks.mirror", "\"auto\""),
        (
            "mirror as other word",
            format!("{}[disks]\nmirror = \"all\"\n", good()),
            13,
            "disks.mirror",
            "\"auto\"",
        ),
        ("no drive", format!("{}[disks]\nmirror = []\n", good()), 13, "disks.mirror", "names 0 drives"),
        (
            "three drives",
            format!("{}[disks]\nmirror = [\"serial:a\", \"serial:b\", \"serial:c\"]\n", good()),
            13,
            "disks.mirror",
            "names 3 drives",
        ),
        (
            "drive without kind",
            format!("{}[disks]\nmirror = [\"sda\"]\n", good()),
            13,
            "disks.mirror[0]",
            "serial:XYZ",
        ),
        (
            "drive of unknown kind",
            format!("{}[disks]\nmirror = [\"model:x\"]\n", good()),
            13,
            "disks.mirror[0]",
            "serial:XYZ",
        ),
        (
            "path outside /dev",
            format!("{}[disks]\nmirror = [\"path:/etc/passwd\"]\n", good()),
            13,
            "disks.mirror[0]",
            "path:/dev/",
        ),
        (
            "the same drive twice",
            format!("{}[disks]\nmirror = [\"serial:a\", \"serial:a\"]\n", good()),
            13,
            "disks.mirror[1]",
            "named twice",
        ),
        (
            "consent that is no token",
            format!("{}[disks]\nconsent = [\"yes\"]\n", good()),
            13,
            "disks.consent[0]",
            "maekin-installer plan",
        ),
        (
            "consent as boolean",
            format!("{}[disks]\nconsent = true\n", good()),
            13,
            "disks.consent",
            "a sequence",
        ),
        (
            "unknown key of drives",
            format!("{}[disks]\nwipe = true\n", good()),
            13,
            "disks.wipe",
            "unknown field",
        ),
        (
            "address without prefix",
            good().replace("10.77.0.1/24", "10.77.0.1"),
            8,
            "network.interface[0].addresses",
            "10.77.0.1/24",
        ),
        (
            "prefix too long",
            good().replace("10.77.0.1/24", "10.77.0.1/33"),
            8,
            "network.interface[0].addresses",
            "10.77.0.1/24",
        ),
        (
            "mac with dashes",
            good().replace("52:54:00:00:00:01", "52-54-00-00-00-01"),
            7,
            "network.interface[0].mac",
            "aa:bb",
        ),
        (
            "interface without name",
            good().replace("mac = \"52:54:00:00:00:01\"\n", ""),
            6,
            "network.interface[0]",
            "`mac` or `name`",
        ),
        (
            "first interface without address",
            good().replace("addresses = [\"10.77.0.1/24\"]\n", ""),
            6,
            "network.interface[0]",
            "dhcp",
        ),
        (
            "interface twice",
            good().replace(CREATE, &format!("{NIC}{CREATE}")),
            10,
            "network.interface[1].mac",
            "interface 1",
        ),
        (
            "address twice",
            good().replace(CREATE, &format!("{}{CREATE}", NIC.replace("00:01", "00:02"))),
            11,
            "network.interface[1].addresses",
            "twice",
        ),
        (
            "gateway elsewhere",
            good().replace(CREATE, &format!("gateway = \"10.78.0.1\"\n{CREATE}")),
            9,
            "network.interface[0].gateway",
            "no network",
        ),
        (
            "tiny mtu",
            good().replace(CREATE, &format!("mtu = 60\n{CREATE}")),
            9,
            "network.interface[0].mtu",
            "576",
        ),
        (
            "unknown key of an interface",
            good().replace(CREATE, &format!("vlan = 5\n{CREATE}")),
            9,
            "network.interface[0].vlan",
            "unknown",
        ),
        (
            "dns that is no address",
            format!("{}[network]\ndns = [\"x\"]\n", good()),
            13,
            "network.dns[0]",
            "address",
        ),
        ("ntp that is no host", format!("{}[time]\nntp = [\"a b\"]\n", good()), 13, "time.ntp", "host name"),
        ("no cluster", format!("{HEAD}{ADMIN}"), 1, "", "missing field `cluster`"),
        (
            "cluster of unknown mode",
            good().replace("\"create\"", "\"found\""),
            10,
            "cluster.mode",
            "`create` or `join`",
        ),
        ("create without a name", good().replace("name = \"rack\"\n", ""), 9, "cluster.name", "is missing"),
        (
            "create with a secret",
            good().replace("name = \"rack\"", "name = \"rack\"\nsecret = \"x\""),
            12,
            "cluster.secret",
            "contradicts",
        ),
        (
            "create with masters",
            good().replace("name = \"rack\"", "name = \"rack\"\nmasters = []"),
            12,
            "cluster.masters",
            "contradicts",
        ),
        ("cluster name with blank", good().replace("\"rack\"", "\"my rack\""), 11, "cluster.name", "a-z"),
        (
            "join without a secret",
            joined(&format!("masters = [\"https://10.0.0.1:8443\"]\nca_sha256 = \"{ca}\"\n")),
            4,
            "cluster.secret",
            "is missing",
        ),
        (
            "join without masters",
            joined(&format!("ca_sha256 = \"{ca}\"\nsecret = \"s\"\n")),
            4,
            "cluster.masters",
            "is missing",
        ),
        (
            "join without the CA",
            joined("masters = [\"https://10.0.0.1:8443\"]\nsecret = \"s\"\n"),
            4,
            "cluster.ca_sha256",
            "is missing",
        ),
        (
            "join with a name",
            joined(&format!(
                "name = \"x\"\nmasters = [\"https://10.0.0.1:8443\"]\nca_sha256 = \"{ca}\"\nsecret = \"s\"\n"
            )),
            6,
            "cluster.name",
            "contradicts",
        ),
        (
            "master without https",
            joined(&format!("masters = [\"10.0.0.1\"]\nca_sha256 = \"{ca}\"\nsecret = \"s\"\n")),
            6,
            "cluster.masters",
            "https://",
        ),
        (
            "short digest of the CA",
            joined("masters = [\"https://10.0.0.1:8443\"]\nca_sha256 = \"ab\"\nsecret = \"s\"\n"),
            7,
            "cluster.ca_sha256",
            "64",
        ),
        (
            "pool outside the subnet",
            format!("{}[provision]\npool_start = \"10.78.0.1\"\npool_end = \"10.77.0.9\"\n", good()),
            13,
            "provision.pool_start",
            "10.77.0.0/24",
        ),
        (
            "pool upside down",
            format!("{}[provision]\npool_start = \"10.77.0.20\"\npool_end = \"10.77.0.10\"\n", good()),
            14,
            "provision.pool_end",
            "before",
        ),
        (
            "pool over our own address",
            format!("{}[provision]\npool_start = \"10.77.0.1\"\npool_end = \"10.77.0.9\"\n", good()),
            12,
            "provision",
            "own address",
        ),
        (
            "pool with DHCP",
            good().replace("addresses = [\"10.77.0.1/24\"]", "dhcp = true")
                + "[provision]\npool_start = \"10.77.0.20\"\npool_end = \"10.77.0.30\"\n",
            12,
            "provision",
            "fixed IPv4 address",
        ),
        (
            "pool without an end",
            format!("{}[provision]\npool_start = \"10.77.0.2\"\n", good()),
            12,
            "provision",
            "`pool_end`",
        ),
        (
            "unknown end",
            format!("{}[install]\nafter = \"halt\"\n", good()),
            13,
            "install.after",
            "`reboot` or `poweroff`",
        ),
        (
            "key twice",
            good().replace("name = \"rack\"", "name = \"rack\"\nname = \"rack\""),
            12,
            "",
            "duplicate key",
        ),
        ("file in another format", "{\"version\": 1}".into(), 1, "", ""),
    ]
}

#[test]
fn bad_files_are_refused_by_line_key_and_reason() {
    let mut wrong = Vec::new();
    for (name, text, line, key, reason) in bad() {
        let Err(problems) = parse(&text) else {
            wrong.push(format!("{name}: taken"));
            continue;
        };
        let fits = |p: &Problem| p.line.unwrap_or(0) == line && p.key == key && p.reason.contains(reason);
        if !problems.0.iter().any(fits) {
            wrong.push(format!("{name}: want line {line}, {key}: {reason}\n{problems}"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn all_problems_are_told_at_once_in_order_of_lines() {
    let text = good().replace("node-1", "NODE").replace("correct horse", "short").replace("rack", "RACK");
    let problems = parse(&text).unwrap_err();
    let lines: Vec<Option<usize>> = problems.0.iter().map(|p| p.line).collect();
    assert_eq!(lines, [Some(3), Some(5), Some(11)], "{problems}");
}

#[test]
fn a_password_does_not_show_in_debug_output() {
    let answers = parse(&good()).unwrap();
    assert!(!format!("{answers:?}").contains("horse"));
}
