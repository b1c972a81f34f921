//! What a trial does, and what it says.

use maekin_host::bonding::{self, Bonding};

use super::*;

const SEVERAL: &str = "[[bond]]\nname = \"bond0\"\nmode = \"802.3ad\"\n\
    members = [\"52:54:00:00:00:01\", \"enp2s0\", \"52:54:00:00:00:03\"]\n\
    [[vlan]]\nname = \"vlan20\"\nid = 20\non = \"bond0\"\n\
    [[interface]]\nname = \"vlan20\"\naddresses = [\"10.2.0.5/24\"]\ngateway = \"10.2.0.1\"\n";
const ONE: &str = "[[interface]]\nmac = \"52:54:00:00:00:01\"\ndhcp = true\n";

fn nics() -> Vec<Nic> {
    let lldp = |i| {
        Some(Neighbour { system: "leaf-3a".into(), port: format!("Ethernet1/{i}"), ..Neighbour::default() })
    };
    (1..4)
        .map(|i| Nic {
            name: format!("enp{i}s0"),
            mac: format!("52:54:00:00:00:0{i}"),
            lldp: lldp(i),
            ..Nic::default()
        })
        .collect()
}

fn planned(toml: &str, carrier: &Carrier) -> Result<Trial, String> {
    let join = ClusterIntent::Join {
        masters: vec!["https://10.2.0.9:8443".into()],
        ca_sha256: "a".repeat(64),
        secret: "s".into(),
    };
    plan_trial(&toml::from_str(toml).unwrap(), &join, &nics(), carrier)
}

fn lacp() -> Bonding {
    bonding::parse(include_str!("../../../host/fixtures/bonding-lacp.txt"))
}

/// As the screens show it.
pub(crate) fn findings_of_a_good_port() -> Vec<Finding> {
    let trial = planned(ONE, &Carrier::Nobody).unwrap();
    let ip = |text: &str| Some(text.parse().unwrap());
    vec![
        judge::link(&trial.ports[0], true, Some(10_000)),
        judge::lease(&trial, ip("10.77.0.23")),
        judge::gateway(&trial, ip("10.77.0.1"), Some("00:1c:73:00:00:99")),
        judge::master("https://10.77.0.1:8443", None),
    ]
}

/// As the screens show it.
pub(crate) fn findings_of_a_bad_bond() -> Vec<Finding> {
    let trial = planned(SEVERAL, &Carrier::Nobody).unwrap();
    let mut findings: Vec<Finding> =
        (0..).zip(&trial.ports).map(|(i, p)| judge::link(p, i < 2, None)).collect();
    findings.extend(judge::bond(BondMode::Lacp, Some(&lacp()), &trial.ports));
    findings.push(judge::duplicate("10.2.0.5".parse().unwrap(), Some("52:54:00:99:00:01")));
    findings.push(judge::gateway(&trial, trial.gateway, None));
    findings
}

#[test]
fn a_trial_of_a_vlan_on_a_bond_makes_both_and_takes_them_away_from_above() {
    let trial = planned(SEVERAL, &Carrier::Nobody).unwrap();
    assert_eq!(trial.made, ["vlan20", "bond0"]);
    assert_eq!(
        trial.ports.iter().map(|p| p.name.as_str()).collect::<Vec<_>>(),
        ["enp1s0", "enp2s0", "enp3s0"]
    );
    assert_eq!((trial.device.as_str(), trial.vlan), ("vlan20", Some(20)));
    assert_eq!(trial.bond, Some(("bond0".to_owned(), BondMode::Lacp)));
    assert!(trial.units.iter().any(|(name, text)| name.ends_with(".netdev") && text.contains("Id=20")));
    assert!(trial.units.iter().all(|(name, _)| !name.contains('/')), "file names only: {:?}", trial.units);
    let trial = planned(ONE, &Carrier::Nobody).unwrap();
    assert_eq!((trial.device.as_str(), trial.made.len(), trial.bond), ("enp1s0", 0, None));
}

#[test]
fn what_carries_the_installation_is_left_alone() {
    let port = |mac: &str| Carrier::Port(mac.to_owned());
    for (name, toml, carrier, may) in [
        ("another port", ONE, port("52:54:00:00:00:02"), true),
        ("the port itself", ONE, port("52:54:00:00:00:01"), false),
        ("a port of the bond, by name", SEVERAL, port("52:54:00:00:00:02"), false),
        ("nobody knows which", ONE, Carrier::Unknown, false),
    ] {
        assert_eq!(planned(toml, &carrier).is_ok(), may, "{name}");
    }
    let missing = planned("[[interface]]\nname = \"eth9\"\ndhcp = true\n", &Carrier::Nobody).unwrap_err();
    assert!(missing.contains("eth9"), "{missing}");
}

#[test]
fn lacp_says_which_cable_of_the_switch_is_wrong() {
    let trial = planned(SEVERAL, &Carrier::Nobody).unwrap();
    let say = |bond: &Bonding| judge::bond(BondMode::Lacp, Some(bond), &trial.ports).unwrap();
    let some = say(&lacp());
    assert_eq!((some.verdict, some.seen.as_str()), (Verdict::Bad, "not in the group: enp2s0, enp3s0"));
    assert!(
        some.remedy.contains("leaf-3a Ethernet1/2 (enp2s0) and leaf-3a Ethernet1/3 (enp3s0)"),
        "{}",
        some.remedy
    );
    let none = say(&Bonding { partner: None, ..lacp() });
    assert!(none.remedy.contains("leaf-3a Ethernet1/1 (enp1s0)"), "{}", none.remedy);
    let mut all = lacp();
    all.members.truncate(1);
    assert_eq!(say(&all).verdict, Verdict::Good);
    assert_eq!(
        judge::bond(BondMode::ActiveBackup, Some(&all), &trial.ports),
        None,
        "the switch has no part in it"
    );
    assert_eq!(judge::bond(BondMode::Lacp, None, &trial.ports).unwrap().verdict, Verdict::Bad);
}

#[test]
fn whatever_is_bad_has_a_remedy() {
    let trial = planned(SEVERAL, &Carrier::Nobody).unwrap();
    let plain = planned(ONE, &Carrier::Nobody).unwrap();
    let mut all = findings_of_a_bad_bond();
    all.extend([
        judge::lease(&trial, None),
        judge::lease(&plain, None),
        judge::gateway(&plain, trial.gateway, None),
        judge::master("https://10.2.0.9:8443", Some("it takes no connection: refused")),
        judge::master("https://10.2.0.9:8443", Some("invalid peer certificate: UnknownIssuer")),
        judge::trouble("configuring it", "no space"),
    ]);
    for finding in all.iter().filter(|finding| finding.verdict == Verdict::Bad) {
        assert!(!finding.remedy.is_empty() && !finding.seen.is_empty(), "{finding}");
    }
    assert!(all[all.len() - 2].seen.contains("CA"), "the wrong cluster is told from no answer");
}
