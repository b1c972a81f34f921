//! A node that was installed from a stick, with a join token in its answers, is a member as soon as it starts, also where
//! its firmware asks the network first.
#![allow(clippy::unwrap_used)] // a test fails by panicking

use std::time::Duration;

use maekin_api::install::Standing;
use maekin_api::trust::TokenState;
use maekin_qemu_tests::answer::Answer;
use maekin_qemu_tests::fixture::Fixture;
use maekin_qemu_tests::node::{BootFrom, Firmware};
use maekin_qemu_tests::progress::{INSTALLER, READY};
use maekin_qemu_tests::rack::{Firmwares, Plan, Watch};
use maekin_qemu_tests::release::Release;

const TOOL: &str = env!("CARGO_BIN_EXE_rack");
/// Power-on to ready, the installation included, by hardware virtualisation.
const INSTALL: Duration = Duration::from_secs(5 * 60);
/// Power-on to ready, by hardware virtualisation.
const RESTART: Duration = Duration::from_secs(2 * 60);

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
