use super::*;

mod bad;

use bad::{Bad, bad, bad_networks, bad_rules};

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
fn drives_are_taken_by_rules_alone_and_in_lists() {
    let mirror = |value: &str| parse(&format!("{}[disks]\nmirror = {value}\n", good())).unwrap().mirror;
    let intel = Rules {
        model: Some("INTEL*".to_owned()),
        transport: Some(Transport::Nvme),
        min: Some(200_000_000_000),
        max: Some(1_000_000_000_000),
        count: 2,
        ..Rules::default()
    };
    assert_eq!(
        mirror("{ model = \"INTEL*\", min = \"200GB\", max = \"1TB\", transport = \"nvme\", count = 2 }"),
        Mirror::Named(vec![Selector::Rules(Box::new(intel))])
    );
    let small = Rules { max: Some(500 << 30), count: 1, ..Rules::default() };
    let both = vec![Selector::Serial("a".to_owned()), Selector::Rules(Box::new(small))];
    assert_eq!(mirror("[\"serial:a\", { max = \"500GiB\" }]"), Mirror::Named(both));
}

#[test]
fn a_join_needs_no_password() {
    let text = format!(
        "{HEAD}[cluster]\nmode = \"join\"\nmasters = [\"https://10.77.0.1:8443\"]\nca_sha256 = \"{}\"\nsecret = \"s\"\n",
        "ab".repeat(32)
    );
    assert!(matches!(parse(&text).unwrap().cluster, ClusterIntent::Join { .. }));
}

#[test]
fn join_a_token_stands_for_master_ca_and_secret() {
    let token = maekin_api::trust::token::Token {
        id: "0123456789".into(),
        secret: [7; 16],
        ca_sha256: "ab".repeat(32),
        made: 1_790_000_000,
        minutes: 60,
        masters: vec!["10.77.0.1:8443".parse().unwrap()],
    };
    let text = token.render().unwrap();
    let file = |lines: &str| format!("{HEAD}[cluster]\nmode = \"join\"\n{lines}");
    let want = ClusterIntent::Join {
        masters: vec!["https://10.77.0.1:8443".into()],
        ca_sha256: token.ca_sha256,
        secret: text.clone(),
    };
    assert_eq!(parse(&file(&format!("token = \"{text}\"\n"))).unwrap().cluster, want);
    assert_eq!(parse(&format!("{HEAD}[cluster]\nmode = \"wait\"\n")).unwrap().cluster, ClusterIntent::Wait);
    let mistyped = text.replacen(&text[5..6], if &text[5..6] == "0" { "1" } else { "0" }, 1);
    let rows = [
        ("mistyped", file(&format!("token = \"{mistyped}\"\n")), "cluster.token", "character 1 of group 1"),
        (
            "secret as well",
            file(&format!("token = \"{text}\"\nsecret = \"s\"\n")),
            "cluster.secret",
            "contradicts",
        ),
        ("neither", file(""), "cluster.secret", "or a token"),
        (
            "to make one",
            file(&format!("token = \"{text}\"\n")).replace("join", "create"),
            "cluster.token",
            "contradicts",
        ),
        (
            "to wait",
            file(&format!("token = \"{text}\"\n")).replace("join", "wait"),
            "cluster.token",
            "contradicts",
        ),
    ];
    for (name, text, key, reason) in rows {
        let problems = parse(&text).expect_err(name);
        assert!(problems.0.iter().any(|p| p.key == key && p.reason.contains(reason)), "{name}: {problems}");
    }
}

#[test]
fn bad_files_are_refused_by_line_key_and_reason() {
    let mut wrong = Vec::new();
    let all: Vec<Bad> = [bad(), bad_rules(), bad_networks()].concat();
    assert!(all.len() >= 75, "{}", all.len());
    for (name, text, line, key, reason) in all {
        let Err(problems) = parse(&text) else {
            wrong.push(format!("{name}: taken"));
            continue;
        };
        let fits = |p: &Problem| p.line.unwrap_or(0) == line && p.key == key && p.reason.contains(reason);
        let untold = problems.0.iter().find(|p| !p.key.is_empty() && p.allowed().is_empty());
        if let Some(problem) = untold {
            wrong.push(format!("{name}: what is allowed at {} is not told", problem.key));
        }
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
fn what_has_the_wrong_form_hides_nothing_else() {
    let text = good()
        .replace("\"node-1\"", "7")
        .replace("addresses = [\"10.77.0.1/24\"]", "addresses = [\"10.77.0.1\"]\nvlan = 5\ndhcp = \"yes\"")
        .replace("correct horse", "short")
        .replace("\"create\"", "\"found\"");
    let problems = parse(&format!("{text}[disks]\nmirror = [1]\ncolour = \"red\"\n")).unwrap_err();
    let got: Vec<(usize, &str)> = problems.0.iter().map(|p| (p.line.unwrap_or(0), p.key.as_str())).collect();
    let want = [
        (3, "node.hostname"),
        (5, "admin.password"),
        (8, "network.interface[0].addresses"),
        (9, "network.interface[0].vlan"),
        (10, "network.interface[0].dhcp"),
        (12, "cluster.mode"),
        (15, "disks.mirror[0]"),
        (16, "disks.colour"),
    ];
    assert_eq!(got, want, "{problems}");

    let text =
        good().replace("correct horse", "short").replace("[[network", "ssh_keys = 1\ncolour = 1\n[[network");
    let problems = parse(&format!("{text}[disks]\nmirror = [1]\n")).unwrap_err();
    let got: Vec<&str> = problems.0.iter().map(|p| p.key.as_str()).collect();
    assert_eq!(got, ["admin.password", "admin.ssh_keys", "admin.colour", "disks.mirror[0]"], "{problems}");

    // What follows from an entry that is left out is not told as well.
    let text = good().replace("password = \"correct horse\"", "ssh_keys = \"ssh-ed25519 AAAA x\"");
    let problems = parse(&text).unwrap_err();
    assert_eq!(problems.0.len(), 1, "{problems}");
}

#[test]
fn a_password_does_not_show_in_debug_output() {
    let answers = parse(&good()).unwrap();
    assert!(!format!("{answers:?}").contains("horse"));
}
