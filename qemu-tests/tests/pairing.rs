//! A node that was installed from a stick with nothing said of a cluster is found by multicast DNS, and let in by a person
//! who compares the code on both consoles.
#![allow(clippy::unwrap_used)] // a test fails by panicking

use std::time::Duration;

use maekin_api::discovery::DiscoveredState;
use maekin_api::trust::TokenState;
use maekin_host::wait;
use maekin_qemu_tests::answer::Answer;
use maekin_qemu_tests::fixture::Fixture;
use maekin_qemu_tests::node::{BootFrom, Firmware};
use maekin_qemu_tests::rack::{Firmwares, Plan, Watch};
use maekin_qemu_tests::release::Release;
use maekin_qemu_tests::steps::Steps;
use maekin_qemu_tests::terminal::Terminal;

const TOOL: &str = env!("CARGO_BIN_EXE_rack");
/// By hardware virtualisation: power-on to installed.
const INSTALL: Duration = Duration::from_secs(5 * 60);
/// From the end of the installation to a node that is heard.
const RESTART: Duration = Duration::from_secs(2 * 60);
/// What a console may take to show something new: it looks every 5 s while somebody is there.
const SHOWN: Duration = Duration::from_secs(30);
/// How often is asked whether something came true.
const EVERY: Duration = Duration::from_secs(2);
/// A key that has the whole screen drawn anew (Ctrl-L): the kernel may have written over it.
const PAINT: &str = "\u{c}";

#[test]
#[ignore = "long: an installation and two starts"]
fn join_a_stick_without_a_token_is_found_and_let_in_by_a_code() {
    let steps = Steps::default();
    let fixture = Fixture::get(Firmware::Bios, TOOL.as_ref()).unwrap();
    let plan = Plan { nodes: 2, firmwares: Firmwares::Mixed, ..Plan::default() };
    let mut rack = fixture.clone_into("join-code", &plan, TOOL.as_ref()).unwrap();
    let mut watch = Watch::default();
    rack.boot_first(&mut watch, &mut |_| {}).unwrap();
    steps.done("the first node is a cluster");
    let nodes = rack.nodes().to_vec();
    let (first, second) = (&nodes[0], &nodes[1]);
    let mut answer = Answer::new(rack.password(), Vec::new());
    answer.waits = true;
    rack.insert_stick_into(&second.name, &Release::find().unwrap(), &answer).unwrap();
    rack.power_on_from(&second.name, BootFrom::Medium).unwrap();
    let mut serial = rack.machine(second).serial();
    serial.expect("the second to be installed", "maekin-install: done", rack.limit(INSTALL)).unwrap();
    steps.done("the second is installed, and waits to be let in");

    let member = rack.api(first).unwrap();
    let until = |what: &str, limit: Duration, ready: &mut dyn FnMut() -> bool| {
        let came = wait::until(what, rack.limit(limit), EVERY, || ready().then_some(()));
        let how = || nodes.iter().map(|n| format!("{}: {}\n", n.name, rack.machine(n).diagnosis()));
        assert!(came.is_ok(), "{came:?}\n{}", how().collect::<String>());
    };
    until("the node to be heard by the member", RESTART, &mut || {
        let heard = member.discovered().unwrap_or_default();
        heard.iter().any(|node| node.name == second.name && node.state == DiscoveredState::Waiting)
    });
    steps.done("the member has heard it");

    // At the member's console a person begins, and both consoles show the same.
    let consoles =
        [first, second].map(|node| (rack.machine(node), Terminal::new(rack.machine(node).serial_log())));
    let [(ours, mut our_screen), (its, mut its_screen)] = consoles;
    let shown = rack.limit(SHOWN);
    ours.serial().send(PAINT).unwrap();
    ours.serial().send("3").unwrap();
    our_screen.see("it on the member's console", &["Waiting", &second.name, "let one in"], shown).unwrap();
    ours.serial().send("b").unwrap();
    our_screen.see("the question which node", &["Let in which node"], shown).unwrap();
    ours.serial().send(&format!("{}\n", second.name)).unwrap();
    let mut code = String::new();
    until("a code at the member", SHOWN, &mut || {
        let open = member.pairings().unwrap_or_default();
        code = open.into_iter().next().map(|pairing| pairing.code).unwrap_or_default();
        !code.is_empty()
    });
    assert!(code.len() == 6 && code.chars().all(|c| c.is_ascii_digit()), "six digits: {code:?}");
    its.serial().send(PAINT).unwrap();
    its.serial().send("0").unwrap();
    its_screen.see("the code on the node's console", &[&code, "y  yes", "lets this node in"], shown).unwrap();
    our_screen.see("the code on the member's console", &[&code, "y  yes, let it in"], shown).unwrap();
    steps.done("the code is on both consoles");
    // One yes lets nobody in.
    ours.serial().send("y").unwrap();
    our_screen.see("that the node's yes is missing", &["approved"], shown).unwrap();
    its.serial().send("y").unwrap();
    its_screen.see("the node's yes", &["you said yes"], shown).unwrap();
    assert!(member.join_tokens().unwrap().is_empty(), "no token before both have said yes");
    ours.serial().send("y").unwrap();

    rack.wait_cluster_of(&nodes).unwrap();
    steps.done("yes on both, and it is a member");
    let clusters: Vec<_> = nodes.iter().map(|n| rack.api(n).unwrap().cluster().unwrap()).collect();
    assert_eq!(clusters[0].id, clusters[1].id);
    assert_eq!(clusters[0].ca_sha256, clusters[1].ca_sha256);
    let tokens = member.join_tokens().unwrap();
    let [token] = tokens.as_slice() else { panic!("one token, of the pairing: {tokens:?}") };
    assert!(token.note.contains(&second.name) && token.state == TokenState::Used, "{token:?}");
    assert!(member.pairings().unwrap().is_empty(), "it is over");
}
