//! A node that was installed from a stick, with a join token in its answers, is a member as soon as it starts, also where
//! its firmware asks the network first.
#![allow(clippy::unwrap_used)] // a test fails by panicking

use std::time::Duration;

use maekin_api::discovery::DiscoveredState;
use maekin_api::install::Standing;
use maekin_api::trust::TokenState;
use maekin_host::wait;
use maekin_qemu_tests::answer::Answer;
use maekin_qemu_tests::fixture::Fixture;
use maekin_qemu_tests::node::{BootFrom, Firmware};
use maekin_qemu_tests::progress::{INSTALLER, READY};
use maekin_qemu_tests::rack::{Firmwares, Plan, Watch};
use maekin_qemu_tests::release::Release;
use maekin_qemu_tests::terminal::Terminal;

const TOOL: &str = env!("CARGO_BIN_EXE_rack");
/// Power-on to ready, the installation included, by hardware virtualisation.
const INSTALL: Duration = Duration::from_secs(5 * 60);
/// Power-on to ready, by hardware virtualisation.
const RESTART: Duration = Duration::from_secs(2 * 60);
/// What a console may take to show something new: it looks every 5 s while somebody is there.
const SHOWN: Duration = Duration::from_secs(30);
/// How often is asked whether something came true.
const EVERY: Duration = Duration::from_secs(2);

#[test]
fn join_a_stick_with_a_token_makes_a_member() {
    let fixture = Fixture::get(Firmware::Bios, TOOL.as_ref()).unwrap();
    let plan = Plan { nodes: 2, firmwares: Firmwares::Mixed, ..Plan::default() };
    let mut rack = fixture.clone_into("join-token", &plan, TOOL.as_ref()).unwrap();
    let mut watch = Watch::default();
    rack.boot_first(&mut watch, &mut |_| {}).unwrap();
    let nodes = rack.nodes().to_vec();
    let (first, second) = (&nodes[0], &nodes[1]);

    let api = rack.api(first).unwrap();
    let made = api.make_join_token(1, 60, "the second, from a stick").unwrap();
    let mut answer = Answer::new(rack.password(), Vec::new());
    answer.token = Some(made.token.expose().to_owned());
    rack.insert_stick_into(&second.name, &Release::find().unwrap(), &answer).unwrap();
    assert_eq!(
        second.boot[0],
        BootFrom::Nic(0),
        "its firmware asks the network first, whatever is on its drives"
    );
    watch.power_on(&rack, &second.name, Some(BootFrom::Medium)).unwrap();
    watch.until_ready(rack.limit(INSTALL), |_| {}).unwrap();

    rack.wait_cluster_of(&nodes).unwrap();
    let clusters: Vec<_> = nodes.iter().map(|n| rack.api(n).unwrap().cluster().unwrap()).collect();
    assert_eq!(clusters[0].id, clusters[1].id);
    assert_eq!(clusters[0].ca_sha256, clusters[1].ca_sha256);
    let second_id = rack.api(second).unwrap().node().unwrap().id;
    let known = api.join_tokens().unwrap().into_iter().find(|t| t.id == made.info.id).unwrap();
    assert_eq!(known.state, TokenState::Used, "it was for one node: {known:?}");
    assert_eq!(known.used.iter().map(|used| used.node_id.as_str()).collect::<Vec<_>>(), [second_id.as_str()]);
    assert!(api.installs().unwrap().is_empty(), "the network installed nobody");
    let seen = api.machines().unwrap();
    let [seen] = seen.as_slice() else { panic!("it waited, and started what it has: {seen:?}") };
    assert!(
        matches!(&seen.standing, Standing::Installed { hostname } if *hostname == second.name),
        "{seen:?}"
    );

    // Of a member the network knows what to boot.
    rack.machine(second).power_off().unwrap();
    let mut serial = rack.machine(second).serial();
    serial.skip().unwrap();
    rack.power_on(&second.name).unwrap();
    let (line, _) = serial.expect_any("the node", &[READY, INSTALLER], rack.limit(RESTART)).unwrap();
    assert_eq!(line, 0, "a member starts from its drives at once");
}

/// The fourth way in: installed from a stick with nothing said of a cluster, found by multicast DNS, and let in by a person
/// who compares the code on both consoles.
#[test]
fn join_a_stick_without_a_token_is_found_and_let_in_by_a_code() {
    let fixture = Fixture::get(Firmware::Bios, TOOL.as_ref()).unwrap();
    let plan = Plan { nodes: 2, firmwares: Firmwares::Mixed, ..Plan::default() };
    let mut rack = fixture.clone_into("join-code", &plan, TOOL.as_ref()).unwrap();
    let mut watch = Watch::default();
    rack.boot_first(&mut watch, &mut |_| {}).unwrap();
    let nodes = rack.nodes().to_vec();
    let (first, second) = (&nodes[0], &nodes[1]);
    let mut answer = Answer::new(rack.password(), Vec::new());
    answer.waits = true;
    rack.insert_stick_into(&second.name, &Release::find().unwrap(), &answer).unwrap();
    rack.power_on_from(&second.name, BootFrom::Medium).unwrap();

    let member = rack.api(first).unwrap();
    let limit = rack.limit(INSTALL);
    let until = |what: &str, limit: Duration, ready: &mut dyn FnMut() -> bool| {
        wait::until(what, limit, EVERY, || ready().then_some(())).unwrap();
    };
    until("the node to be heard by the member", limit, &mut || {
        let heard = member.discovered().unwrap_or_default();
        heard.iter().any(|node| node.name == second.name && node.state == DiscoveredState::Waiting)
    });

    // At the member's console a person begins, and both consoles show the same.
    let consoles =
        [first, second].map(|node| (rack.machine(node), Terminal::new(rack.machine(node).serial_log())));
    let [(ours, mut our_screen), (its, mut its_screen)] = consoles;
    ours.serial().send("3b").unwrap();
    our_screen.see("the question which node", &["Let in which node"], rack.limit(SHOWN)).unwrap();
    ours.serial().send(&format!("{}\r", second.name)).unwrap();
    until("a code at the member", rack.limit(SHOWN), &mut || !member.pairings().unwrap().is_empty());
    let code = member.pairings().unwrap()[0].code.clone();
    its.serial().send("0").unwrap();
    its_screen.see("the code on the node's console", &[&code, "y  yes"], rack.limit(SHOWN)).unwrap();
    our_screen.see("the code on the member's console", &[&code, "let it in"], rack.limit(SHOWN)).unwrap();
    its.serial().send("y").unwrap();
    its_screen.see("the node's yes", &["you said yes"], rack.limit(SHOWN)).unwrap();
    ours.serial().send("y").unwrap();

    rack.wait_cluster_of(&nodes).unwrap();
    let clusters: Vec<_> = nodes.iter().map(|n| rack.api(n).unwrap().cluster().unwrap()).collect();
    assert_eq!(clusters[0].ca_sha256, clusters[1].ca_sha256);
    assert!(
        member.join_tokens().unwrap().iter().any(|token| token.note.contains(&second.name)),
        "by a token of the pairing"
    );
}
