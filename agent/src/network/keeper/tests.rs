use std::fs;
use std::os::unix::fs::PermissionsExt;

use maekin_rootfs::node::ClusterIntent;

use super::*;
use crate::network::trial::Why;
use crate::testing::{agent, restarted};

fn network(n: u8) -> Network {
    toml::from_str(&format!("[[interface]]\nname = \"e0\"\naddresses = [\"10.0.0.{n}/24\"]\n")).unwrap()
}

fn links() -> Vec<Link> {
    vec![Link { name: "e0".into(), physical: true, ..Link::default() }]
}

/// An agent whose node file has network 1, and whose `systemctl` runs `script`.
fn node(dir: &std::path::Path, script: &str) -> Arc<App> {
    let app = agent(dir, 7, ClusterIntent::Create { name: "rack".into() });
    node_file::update(&app.settings, |config| config.network = network(1)).unwrap();
    fs::write(&app.settings.systemctl, format!("#!/bin/sh\n{script}\n")).unwrap();
    fs::set_permissions(&app.settings.systemctl, fs::Permissions::from_mode(0o755)).unwrap();
    restarted(&app)
}

async fn try_it(app: &App, n: u8, generation: u64) -> Result<Vec<String>, TrialError> {
    begin_on(app, &links(), network(n), generation, Origin::Settings).await
}

/// The address that the node file has, that is applied, and that networkd's unit has.
fn addresses(app: &App) -> [String; 3] {
    let of = |network: &Network| network.interfaces[0].addresses[0].clone();
    let file = of(&node_file::current(&app.settings).unwrap().network);
    let unit = app.settings.root.join("etc/systemd/network/10-maekin.network");
    let unit = fs::read_to_string(unit).unwrap_or_default();
    let unit = unit.lines().find_map(|line| line.strip_prefix("Address=")).unwrap_or("none");
    [file, of(&app.network.in_force()), unit.to_owned()]
        .map(|text| text.replace("10.0.0.", "").replace("/24", ""))
}

fn why(app: &App) -> Why {
    match app.network.trial().unwrap().phase {
        Phase::Reverted { why, .. } => why,
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn a_network_is_kept_when_it_is_confirmed_and_only_then() {
    let dir = tempfile::tempdir().unwrap();
    let app = node(dir.path(), "");
    let changes = try_it(&app, 2, 7).await.unwrap();
    assert!(changes[0].contains("10.0.0.1/24 on e0 -> 10.0.0.2/24 on e0"), "{changes:?}");
    assert_eq!(addresses(&app), ["1", "2", "2"]);
    assert_eq!(applied(&app.settings, app.config.clone()).network, network(2), "the firewall follows");
    let left = app.network.left_ms().unwrap();
    assert!((40_000..=48_000).contains(&left), "{left}");
    assert!(matches!(try_it(&app, 3, 8).await, Err(TrialError::Refused(Refused::Trying { generation: 7 }))));
    happen(&app, Event::Tick).await.unwrap();
    happen(&app, Event::Confirm { generation: Some(7), by: "anna".into() }).await.unwrap();
    assert_eq!(addresses(&app), ["2", "2", "2"]);
    assert!(!app.network.trying() && app.network.left_ms().is_none());
    assert_eq!(applied(&app.settings, app.config.clone()).network, app.config.network);

    try_it(&app, 3, 8).await.unwrap();
    happen(&app, Event::Revert { generation: None, by: "anna".into() }).await.unwrap();
    assert_eq!(addresses(&app), ["2", "2", "2"]);
    assert_eq!(why(&app), Why::Asked { by: "anna".into() });
    let error = try_it(&app, 3, 8).await.unwrap_err();
    assert!(matches!(error, TrialError::Refused(Refused::AlreadyReverted { generation: 8, .. })), "{error}");
    assert!(matches!(try_it(&app, 2, 9).await, Ok(changes) if changes.is_empty()), "it is so already");
}

#[tokio::test]
async fn an_agent_that_ended_in_the_middle_comes_back_with_the_network_before() {
    let dir = tempfile::tempdir().unwrap();
    let app = node(dir.path(), "");
    try_it(&app, 2, 7).await.unwrap();
    let app = restarted(&app);
    started(&app).await;
    assert_eq!(addresses(&app), ["1", "1", "1"]);
    assert_eq!(why(&app), Why::AgentEnded);

    // Another boot: what is kept says so.
    try_it(&app, 2, 8).await.unwrap();
    let path = file(&app.settings);
    let text = fs::read_to_string(&path).unwrap().replace(&boot_id(), "another");
    fs::write(&path, text).unwrap();
    let app = restarted(&app);
    started(&app).await;
    assert_eq!((addresses(&app), why(&app)), (["1", "1", "1"].map(str::to_owned), Why::Restarted));

    // Behind the decision, before it was written down.
    try_it(&app, 2, 9).await.unwrap();
    node_file::update(&app.settings, |config| config.network = network(2)).unwrap();
    let app = restarted(&app);
    started(&app).await;
    assert_eq!(addresses(&app), ["2", "2", "2"]);
    assert!(matches!(app.network.trial().unwrap().phase, Phase::Confirmed { .. }));

    // What nobody understands is no trial, and no reason not to start.
    fs::write(&path, "{").unwrap();
    let app = restarted(&app);
    started(&app).await;
    assert!(app.network.trial().is_none());
    assert_eq!(addresses(&app)[0], "2");
}

#[tokio::test]
async fn a_network_that_cannot_be_applied_goes_back_at_once() {
    let dir = tempfile::tempdir().unwrap();
    // networkd takes no address that ends in 2.
    let unit = "etc/systemd/network/10-maekin.network";
    let script =
        format!("case $1 in restart) ! grep -q 0.2/24 {}/{unit};; esac", dir.path().join("root").display());
    let app = node(dir.path(), &script);
    assert!(matches!(try_it(&app, 2, 7).await, Err(TrialError::Apply(_))));
    assert_eq!(addresses(&app), ["1", "1", "1"]);
    assert!(matches!(why(&app), Why::Failed { .. }), "{:?}", why(&app));
    try_it(&app, 3, 8).await.unwrap();
    assert_eq!(addresses(&app), ["1", "3", "3"]);
}

#[tokio::test]
async fn name_servers_need_no_trial() {
    let dir = tempfile::tempdir().unwrap();
    let app = node(dir.path(), "");
    let wanted = Network { dns: vec!["9.9.9.9".parse().unwrap()], ..network(1) };
    let changes = begin_on(&app, &links(), wanted.clone(), 7, Origin::Settings).await.unwrap();
    assert_eq!(changes, ["name servers: none -> 9.9.9.9"]);
    assert!(app.network.trial().is_none());
    assert_eq!(node_file::current(&app.settings).unwrap().network, wanted);
}

#[test]
fn a_network_that_does_not_go_back_is_put_back_at_growing_distances() {
    let mut pace = Pace::default();
    let mut turns = |trial: &str, ticks: u32| -> Vec<u32> {
        let fails = |_: &u32| {
            let due = pace.turn(trial);
            if due {
                pace.failed();
            }
            due
        };
        (0..ticks).filter(fails).collect()
    };
    assert_eq!(turns("a", 130), [0, 4, 12, 28, 60, 92, 124]);
    assert_eq!(turns("b", 5), [0, 4], "another trial is not kept waiting");
    let mut pace = Pace::default();
    assert!((0..100).all(|_| pace.turn("a")), "nothing fails");
}

#[test]
fn uptime_is_read_as_the_kernel_writes_it() {
    for (text, want) in
        [("12.34 5.0\n", Some(12_340)), ("0.00 0", Some(0)), ("12 5", None), ("", None), ("x.yz", None)]
    {
        assert_eq!(parse_uptime(text), want, "{text:?}");
    }
}
