//! The network: ports and switches, bond and VLAN, the trial.

use maekin_host::tty::Key;

use super::*;
use crate::facts::{Neighbour, Nic};
use crate::trial::on_screens::{findings_of_a_bad_bond, findings_of_a_good_port};
use crate::tui::app::Trying;
use crate::tui::event::Event;

fn nics() -> Vec<Nic> {
    let nic = |i: u8, driver: &str, link, speed| Nic {
        name: format!("enp{i}s0f{i}np{i}"),
        mac: format!("52:54:00:00:00:0{i}"),
        driver: driver.to_owned(),
        link,
        speed,
        lldp: None,
    };
    let switch = |port: &str| {
        let vlan = Some(20);
        Some(Neighbour { system: "leaf-3a".into(), port: port.into(), vlan, ..Neighbour::default() })
    };
    let mut nics = vec![
        nic(1, "mlx5_core", Some(true), Some(25_000)),
        nic(2, "mlx5_core", Some(true), Some(25_000)),
        nic(3, "igb", Some(false), None),
        nic(4, "igb", None, None),
    ];
    nics[0].lldp = switch("Ethernet1/7");
    nics[1].lldp = switch("Ethernet1/8");
    nics
}

/// At the network screen of a machine with four ports.
fn at_ports() -> App {
    let mut app = App::new(Uuid::from_u128(9));
    let mut facts = facts();
    facts.nics = nics().into_iter().map(|nic| Nic { link: None, speed: None, lldp: None, ..nic }).collect();
    app.gathered(facts, &manifest(), None);
    to_network(&mut app);
    app
}

#[test]
fn ports_show_their_cables_and_switches_as_they_come() {
    let mut app = at_ports();
    golden("network-ports-at-first", &app);
    app.dirty = false;
    app.update(Event::Nics(nics()));
    assert!(app.dirty, "it is drawn at once");
    golden("network-ports", &app);
    golden_large("network-ports", &app);
}

#[test]
fn a_bond_with_lacp_and_a_vlan() {
    let mut app = at_ports();
    app.update(Event::Nics(nics()));
    press(&mut app, &[Key::Right]);
    golden("network-bond", &app);
    press(&mut app, &[Key::Down; 4]);
    enter_text(&mut app, "20");
    press(&mut app, &[Key::Down]);
    enter_text(&mut app, "9000");
    press(&mut app, &[Key::Down, Key::Right]);
    golden("network-bond-fixed", &app);
}

#[test]
fn a_trial_that_works_leads_on() {
    let mut app = at_ports();
    to_trial(&mut app);
    golden("trial", &app);
    assert!(matches!(press(&mut app, &[Key::Enter]), Some(Action::Try(_))));
    app.update(Event::Trying("waiting for an address".to_owned()));
    golden("trial-running", &app);
    assert!(press(&mut app, &[Key::Enter, Key::Char('q')]).is_none());
    assert!(matches!(press(&mut app, &[Key::Esc]), Some(Action::StopTrying)));
    app.update(Event::Tried(findings_of_a_good_port()));
    golden("trial-good", &app);
    press(&mut app, &[Key::Enter]);
    assert_eq!(app.page, Page::Plan, "{:?}", app.problems);
    golden("plan-tried", &app);
}

#[test]
fn a_trial_that_fails_leads_back_and_is_forgotten_when_the_network_changes() {
    let mut app = at_ports();
    to_trial(&mut app);
    app.update(Event::Tried(findings_of_a_bad_bond()));
    golden("trial-bad", &app);
    press(&mut app, &[Key::Enter]);
    assert_eq!(app.page, Page::Network);
    press(&mut app, &[Key::Right]);
    assert_eq!(app.trying, Trying::Not, "that was another network");
}

#[test]
fn a_port_that_carries_the_installation_is_not_tried() {
    let mut app = at_ports();
    app.carrier = crate::trial::Carrier::Port("52:54:00:00:00:01".to_owned());
    to_trial(&mut app);
    assert!(press(&mut app, &[Key::Enter]).is_none());
    golden("trial-cannot", &app);
}

#[test]
fn many_ports_are_all_in_sight_while_they_are_chosen() {
    let mut app = App::new(Uuid::from_u128(9));
    let mut facts = facts();
    facts.nics = (1..=12)
        .map(|i| Nic { name: format!("ens{i}"), mac: format!("52:54:00:00:00:{i:02x}"), ..Nic::default() })
        .collect();
    app.gathered(facts, &manifest(), None);
    to_network(&mut app);
    press(&mut app, &[Key::Right, Key::Down, Key::Down]);
    golden("network-many", &app);
    press(&mut app, &[Key::Up]);
    golden("network-many-choosing", &app);
}
