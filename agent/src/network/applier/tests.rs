use std::fs;
use std::os::unix::fs::PermissionsExt;

use maekin_api::settings::ConditionStatus::{False, True, Unknown};
use maekin_api::settings::NodeSettings;
use maekin_rootfs::node::ClusterIntent;

use super::*;
use crate::desired::node_file::Installed;
use crate::testing::{agent, restarted};

fn network(n: u8) -> Network {
    toml::from_str(&format!("[[interface]]\nname = \"e0\"\naddresses = [\"10.0.0.{n}/24\"]\n")).unwrap()
}

/// Settings of that generation, whose network is of another one.
fn wanted(app: &App, generation: u64, network_generation: u64, n: u8) -> Wanted {
    let spec = NodeSettings { network: Some(network(n)), ..NodeSettings::default() };
    Wanted { generation, network_generation, spec, installed: Installed::from(&app.config) }
}

#[tokio::test]
async fn api_settings_of_something_else_try_no_network_again_and_undo_none_of_the_console() {
    let dir = tempfile::tempdir().unwrap();
    let app = agent(dir.path(), 7, ClusterIntent::Create { name: "rack".into() });
    node_file::update(&app.settings, |config| config.network = network(1)).unwrap();
    fs::write(&app.settings.systemctl, "#!/bin/sh\n").unwrap();
    fs::set_permissions(&app.settings.systemctl, fs::Permissions::from_mode(0o755)).unwrap();
    let app = restarted(&app);
    let links = [Link { name: "e0".into(), physical: true, ..Link::default() }];
    let revert = || Event::Revert { generation: None, by: "anna".into() };
    // Generation of the settings and of their network, the address they want; what becomes of it, which trial there is.
    type Row = (&'static str, [u64; 2], u8, ConditionStatus, &'static str, u64);
    let check = async |rows: &[Row]| {
        for &(name, [generation, of_network], n, status, reason, tried) in rows {
            let outcome = apply_on(&app, &links, &wanted(&app, generation, of_network, n)).await;
            assert_eq!((outcome.status, outcome.reason), (status, reason), "{name}: {}", outcome.message);
            assert_eq!(app.network.trial().map_or(0, |trial| trial.generation), tried, "{name}");
            assert_eq!(app.network.trying(), status == Unknown, "{name}");
        }
    };
    check(&[
        ("as it is", [1, 1], 1, True, "Applied", 0),
        ("another network", [2, 2], 2, Unknown, TRYING, 2),
        ("a label meanwhile", [3, 2], 2, Unknown, TRYING, 2),
    ])
    .await;
    keeper::happen(&app, revert()).await.unwrap();
    check(&[
        ("put back", [3, 2], 2, False, REVERTED, 2),
        ("a label after that", [4, 2], 2, False, REVERTED, 2),
        ("once more by a person", [5, 5], 2, Unknown, TRYING, 5),
    ])
    .await;
    keeper::happen(&app, revert()).await.unwrap();

    // One that is set at the node itself.
    keeper::begin_on(&app, &links, network(9), app.network.seen(), Origin::Console).await.unwrap();
    keeper::happen(&app, Event::Confirm { generation: Some(5), by: "eva".into() }).await.unwrap();
    check(&[
        ("set at the node", [5, 5], 2, False, SET_AT_NODE, 5),
        ("maintenance after that", [6, 5], 2, False, SET_AT_NODE, 5),
    ])
    .await;
    assert_eq!(node_file::current(&app.settings).unwrap().network, network(9));
    check(&[("the settings say another one", [7, 7], 3, Unknown, TRYING, 7)]).await;
}

#[test]
fn api_settings_an_agent_starts_anew_for_its_name_when_the_network_is_decided() {
    let told =
        |status, observed_generation| Some(Condition { status, observed_generation, ..Condition::default() });
    let rows = [
        ("the network stays", false, false, None, false),
        ("it is tried", true, true, told(Unknown, 2), true),
        ("one is tried that was set at the console", true, false, told(True, 2), true),
        ("it is about to be tried", false, true, None, true),
        ("what is told is of the generation before", false, true, told(True, 1), true),
        ("it is under way", false, true, told(Unknown, 2), true),
        ("it was put back", false, true, told(False, 2), false),
        ("another one stays", false, true, told(True, 2), false),
    ];
    for (name, trying, differs, told, want) in rows {
        assert_eq!(undecided(trying, differs, told.as_ref(), 2), want, "{name}");
    }
}
