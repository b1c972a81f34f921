//! The page of the network while another one is tried, and the questions before it.

use maekin_api::network::{NodeNetwork, Trial, TrialState};

use super::*;
use crate::console::update::{Event, update};
use maekin_host::tty::Key;

fn own(state: Option<TrialState>) -> NodeNetwork {
    let trial = state.map(|state| Trial {
        generation: 7,
        state,
        changes: vec!["the cluster's network: 10.77.0.1/24 on ens3 -> 10.77.0.9/24 on ens3".into()],
        began: 999_990,
        seconds_left: (state == TrialState::Trying).then_some(38),
        why: match state {
            TrialState::Trying => String::new(),
            TrialState::Confirmed => "confirmed by root on node-1".into(),
            TrialState::Reverted => {
                "nobody confirmed the network within 48 s, so the one before was put back".into()
            }
        },
        ..Trial::default()
    });
    let network = "[[interface]]\nname = \"ens3\"\naddresses = [\"10.77.0.1/24\"]\n";
    NodeNetwork {
        name: "node-1".into(),
        id: "id-1".into(),
        address: "10.77.0.1".into(),
        network: toml::from_str(network).unwrap(),
        trial,
    }
}

fn page(state: Option<TrialState>, locked: bool) -> Model {
    let mut model = Model { page: Page::Network, selected: 1, ..whole() };
    model.snapshot.network = Some(own(state));
    model.snapshot.locked = locked;
    model
}

fn press(model: &mut Model, keys: &str) -> Vec<String> {
    let key = |c| if c == '\n' { Key::Enter } else { Key::Char(c) };
    let all: Vec<_> =
        keys.chars().flat_map(|c| update(model, Event::Key { console: 0, key: key(c) })).collect();
    all.iter().map(|effect| format!("{effect:?}")).collect()
}

#[test]
fn console_a_network_that_is_tried_says_how_long_and_which_keys_decide() {
    check("network-idle", &page(None, true));
    check("network-trial", &page(Some(TrialState::Trying), true));
    check("network-reverted", &page(Some(TrialState::Reverted), true));
    check("network-confirmed", &page(Some(TrialState::Confirmed), true));
    let mut asked = page(None, false);
    press(&mut asked, "e10.77.0.9/24\n");
    check("network-router", &asked);
    press(&mut asked, "10.77.0.254\n");
    check("network-ask", &asked);
}

#[test]
fn console_another_network_takes_the_password_an_address_a_router_and_a_word() {
    let mut model = page(None, true);
    assert_eq!(press(&mut model, "epw\n"), ["Ask(Unlock { console: 0, password: \"pw\" })"]);
    update(&mut model, Event::Unlocked { console: 0, right: false });
    assert!(model.prompt.is_none() && model.message.contains("another one"));
    update(&mut model, Event::Unlocked { console: 0, right: true });
    let done = press(&mut model, "10.77.0.9/24\n\ntry\n").concat();
    assert!(done.starts_with("Ask(SetNetwork") && done.contains("\"10.77.0.9/24\""), "{done}");

    // Name, keys, what is said; nothing is asked of the agent.
    let rows = [
        ("no address", "e10.77.0.9\n", "as 10.77.0.5/24"),
        ("no router", "edhcp\nx\n", "as 10.77.0.254"),
        ("as it is", "e\n\n", "it is so already"),
        ("another word", "edhcp\n\nyes\n", "`try` was not typed"),
        ("nothing to keep", "c", "No network is being tried"),
    ];
    for (name, keys, want) in rows {
        let mut model = page(None, false);
        let done = press(&mut model, keys);
        assert!(done.is_empty() && model.message.contains(want), "{name}: {done:?} {}", model.message);
    }
    let mut model = page(Some(TrialState::Trying), true);
    assert!(press(&mut model, "e").is_empty() && model.message.contains("c keeps it"));
    let decide =
        |confirm| format!("Ask(DecideNetwork {{ id: \"id-1\", generation: Some(7), confirm: {confirm} }})");
    assert_eq!(press(&mut model, "cv"), [decide(true), decide(false)]);
}
