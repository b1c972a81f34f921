//! Answer files that are wrong, each in one way.

use super::{ADMIN, CREATE, HEAD, NIC, good};

/// Name, file, and what its refusal must say: line, key, reason.
pub(super) type Bad = (&'static str, String, usize, &'static str, &'static str);

/// What is wrong with rules for drives.
pub(super) fn bad_rules() -> Vec<Bad> {
    let rules = |value: &str| format!("{}[disks]\nmirror = {value}\n", good());
    let own = |table: &str| format!("{}[disks.mirror]\n{table}\n", good());
    vec![
        ("no rules", rules("{}"), 13, "disks.mirror", "has no rule"),
        ("a count alone", rules("{ count = 2 }"), 13, "disks.mirror", "has no rule"),
        ("unknown rule", rules("{ colour = \"red\" }"), 13, "disks.mirror.colour", "unknown field `colour`"),
        ("unknown rule in a table", own("model = \"X\"\ncolour = 1"), 14, "disks.mirror.colour", "unknown"),
        ("model as number", rules("{ model = 7 }"), 13, "disks.mirror.model", "expected a string"),
        ("empty model", rules("{ model = \" \" }"), 13, "disks.mirror.model", "is empty"),
        ("many stars", rules("{ model = \"*a*b*c*d*\" }"), 13, "disks.mirror.model", "4 of them *"),
        ("empty serial", rules("{ serial = \"\" }"), 13, "disks.mirror.serial", "is empty"),
        ("size without unit", rules("{ min = \"200\" }"), 13, "disks.mirror.min", "200GB"),
        ("size as number", rules("{ min = 200 }"), 13, "disks.mirror.min", "expected a string"),
        ("size with a point", rules("{ max = \"1.5TB\" }"), 13, "disks.mirror.max", "1TB"),
        ("sizes upside down", own("min = \"2TB\"\nmax = \"1TB\""), 14, "disks.mirror.max", "less than min"),
        ("unknown transport", rules("{ transport = \"scsi\" }"), 13, "disks.mirror.transport", "`sata`"),
        ("path elsewhere", rules("{ path = \"/etc\" }"), 13, "disks.mirror.path", "/dev/"),
        ("three drives by rules", rules("{ model = \"X\", count = 3 }"), 13, "disks.mirror.count", "1 or 2"),
        ("no drive by rules", rules("{ model = \"X\", count = 0 }"), 13, "disks.mirror.count", "1 or 2"),
        ("count as text", rules("{ model = \"X\", count = \"2\" }"), 13, "disks.mirror.count", "expected u8"),
        (
            "two drives by one entry of a list",
            rules("[\"serial:a\", { model = \"X\", count = 2 }]"),
            13,
            "disks.mirror[1].count",
            "must be 1",
        ),
        (
            "rules twice",
            rules("[{ model = \"X\" }, { model = \"X\" }]"),
            13,
            "disks.mirror[1]",
            "named twice",
        ),
        ("a number in a list", rules("[\"serial:a\", 2]"), 13, "disks.mirror[1]", "cannot be 2"),
        ("a list in a list", rules("[[\"serial:a\"]]"), 13, "disks.mirror[0]", "serial:XYZ"),
    ]
}

/// What is wrong with bonds and VLANs.
pub(super) fn bad_networks() -> Vec<Bad> {
    let bond = |more: &str| {
        format!("{HEAD}{ADMIN}{CREATE}[[network.interface]]\nname = \"bond0\"\ndhcp = true\n{more}")
    };
    vec![
        (
            "bond of unknown mode",
            bond("[[network.bond]]\nname = \"bond0\"\nmode = \"lacp\"\nmembers = [\"eth0\"]\n"),
            14,
            "network.bond[0].mode",
            "`802.3ad`",
        ),
        (
            "bond without ports",
            bond("[[network.bond]]\nname = \"bond0\"\nmembers = []\n"),
            14,
            "network.bond[0].members",
            "at least one port",
        ),
        (
            "VLAN of impossible number",
            bond("[[network.vlan]]\nname = \"v\"\nid = 4095\non = \"bond0\"\n"),
            14,
            "network.vlan[0].id",
            "1 to 4094",
        ),
        (
            "VLAN on nothing",
            bond("[[network.vlan]]\nname = \"v\"\nid = 5\n"),
            12,
            "network.vlan[0]",
            "missing field `on`",
        ),
    ]
}

/// What is wrong with everything else.
pub(super) fn bad() -> Vec<Bad> {
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
        (
            "no hostname",
            good().replace("hostname = \"node-1\"\n", ""),
            2,
            "node.hostname",
            "identity = \"keep\"",
        ),
        (
            "hostname given and kept",
            good() + "[install]\nidentity = \"keep\"\n",
            3,
            "node.hostname",
            "contradicts install.identity",
        ),
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
            "`create`, `join`, `wait`",
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
