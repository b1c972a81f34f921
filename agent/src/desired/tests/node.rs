//! The node follows its settings: files, services, restarts in between, failures.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use maekin_api::settings::ConditionStatus::{False, True, Unknown};
use maekin_rootfs::render::{AUTHORIZED_KEYS, FIREWALL, TIMESYNCD};
use serde_json::json;

use super::{LIMIT, file, installed, key, member, patch, told, until, wanted};
use crate::console::policy::of_settings;
use crate::desired::applier::{Applier, Outcome, Wanted, Work};
use crate::desired::{appliers, node_file, reconcile};
use crate::testing::{EndEtcd, have_etcd, restarted};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn api_settings_are_followed_and_go_back_to_as_installed() {
    if !have_etcd("api_settings_are_followed_and_go_back_to_as_installed") {
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let _end = EndEtcd(dir.path().to_owned());
    let (app, member) = member(dir.path()).await;
    let before = fs::read_to_string(app.settings.node_file()).unwrap();
    let firewall = file(&app, FIREWALL);
    let id = app.node_id.clone();
    let work = tokio::spawn(reconcile::keep(Arc::clone(&app), Arc::clone(&member)));

    let spec =
        json!({"ntp": ["ntp.example"], "ssh_keys": [key("eva")], "console_shell": false, "roles": ["a"]});
    patch(&member, &id, spec).await.unwrap();
    let status = until(&member, &id, 1, True).await;
    assert!(status.conditions.iter().all(|c| c.observed_generation == 1), "{status:?}");
    assert_eq!(status.condition("Time").unwrap().reason, "Applied");
    assert_eq!(status.condition("Hostname").unwrap().reason, "AsInstalled");
    assert_eq!(file(&app, TIMESYNCD).unwrap(), "[Time]\nNTP=ntp.example\nFallbackNTP=\n");
    assert_eq!(file(&app, AUTHORIZED_KEYS).unwrap(), format!("{}\n", key("eva")));
    // The services that read them are not all root's.
    for (path, mode) in
        [(TIMESYNCD, 0o644), (AUTHORIZED_KEYS, 0o600), ("/etc/systemd/timesyncd.conf.d", 0o755)]
    {
        let meta = fs::metadata(app.settings.root.join(path.trim_start_matches('/'))).unwrap();
        assert_eq!(meta.permissions().mode() & 0o777, mode, "{path}");
    }
    assert!(file(&app, FIREWALL).unwrap().contains("tcp dport 22 accept"));
    assert_eq!(fs::read_to_string(of_settings(&app.settings)).unwrap(), "{\"shell\":false}\n");
    let services =
        ["reload-or-restart nftables.service", "start ssh.service", "try-restart systemd-timesyncd.service"];
    assert_eq!(told(&app), services);
    // What the next start renders is what is there now.
    let config = node_file::current(&app.settings).unwrap();
    assert_eq!((config.time.ntp.len(), config.admin.ssh_keys.len()), (1, 1));

    // Another key: sshd reads it at the next login, and nothing else is touched.
    patch(&member, &id, json!({"ssh_keys": [key("otto")]})).await.unwrap();
    until(&member, &id, 2, True).await;
    assert_eq!(told(&app), ["start ssh.service"]);

    // A shell that nobody could bring back: said, an alarm, and the rest is done all the same.
    patch(&member, &id, json!({"ssh_keys": null, "ntp": null})).await.unwrap();
    let status = until(&member, &id, 3, False).await;
    let console = status.condition("ConsoleShell").unwrap();
    assert_eq!((console.status, console.reason.as_str()), (False, "NoOtherWayIn"));
    assert_eq!(app.desired.alarms()[0].id, "settings-consoleshell");
    assert!(!of_settings(&app.settings).exists(), "the shell is there");

    patch(&member, &id, json!({"console_shell": null, "roles": null})).await.unwrap();
    until(&member, &id, 4, True).await;
    assert!(app.desired.alarms().is_empty());
    assert_eq!((file(&app, TIMESYNCD), file(&app, AUTHORIZED_KEYS)), (None, None));
    assert_eq!(file(&app, FIREWALL), firewall);
    assert_eq!(fs::read_to_string(app.settings.node_file()).unwrap(), before, "as installed, to the byte");
    assert!(told(&app).contains(&"stop ssh.service".to_owned()));
    work.abort();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn api_settings_of_a_node_that_has_none_touch_nothing() {
    if !have_etcd("api_settings_of_a_node_that_has_none_touch_nothing") {
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let _end = EndEtcd(dir.path().to_owned());
    let (app, member) = member(dir.path()).await;
    let asked = Arc::new(AtomicU64::new(0));
    let probe = Arc::new(Probe { asked: Arc::clone(&asked), ..Probe::default() });
    fs::write(app.settings.root.join("etc/hosts"), "mine\n").unwrap();
    let before = member.record.asked();
    let work = tokio::spawn(reconcile::run(Arc::clone(&app), Arc::clone(&member), vec![probe]));
    // The watch is open once a change is heard.
    patch(&member, &app.node_id, json!({"labels": {"a": "b"}})).await.unwrap();
    until(&member, &app.node_id, 1, True).await;
    assert_eq!(asked.load(Ordering::SeqCst), 1, "only for the change");
    assert_eq!(file(&app, "/etc/hosts").unwrap(), "mine\n");
    assert!(told(&app).is_empty());
    assert!(member.record.asked() - before < 200, "it is told of changes, and does not ask");
    work.abort();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn api_settings_an_apply_that_was_cut_off_goes_on() {
    if !have_etcd("api_settings_an_apply_that_was_cut_off_goes_on") {
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let _end = EndEtcd(dir.path().to_owned());
    let (app, member) = member(dir.path()).await;
    let all = appliers::all(&app, &member);
    let want =
        wanted(&app, 1, json!({"ntp": ["ntp.example"], "ssh_keys": [key("eva")], "hostname": "alpha"}));
    // The services cannot be told: files are written, and nothing is said to be done.
    fs::write(app.settings.root.join("broken"), "").unwrap();
    for kind in ["Time", "SshKeys", "Hostname"] {
        let outcome = apply(&all, kind, &want).await;
        assert_eq!((outcome.status, outcome.reason), (False, "Failed"), "{kind}: {outcome:?}");
        assert!(outcome.message.contains("no bus"), "{kind}: {outcome:?}");
    }
    assert!(file(&app, TIMESYNCD).is_some() && told(&app).is_empty());
    // The agent starts anew, and finds all files as they shall be: the services are told all the same.
    fs::remove_file(app.settings.root.join("broken")).unwrap();
    let again = restarted(&app);
    let all = appliers::all(&again, &member);
    assert_eq!(again.config.hostname, "alpha", "it is what the node file says");
    for kind in ["Time", "SshKeys", "Hostname"] {
        let outcome = apply(&all, kind, &want).await;
        assert_eq!((outcome.status, outcome.reason), (True, "Applied"), "{kind}: {outcome:?}");
    }
    let services =
        ["reload-or-restart nftables.service", "start ssh.service", "try-restart systemd-timesyncd.service"];
    assert_eq!(told(&app), services);
    for kind in ["Time", "SshKeys", "Hostname"] {
        assert_eq!(apply(&all, kind, &want).await.status, True, "{kind}");
    }
    assert!(told(&app).is_empty(), "once is enough");
    // After a restart of the machine, too.
    installed(&restarted(&again));
    for kind in ["Time", "SshKeys", "Hostname"] {
        assert_eq!(apply(&all, kind, &want).await.status, True, "{kind}");
    }
    assert!(told(&app).is_empty(), "the start rendered it all");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn api_settings_a_new_host_name_is_taken_up_by_a_new_start() {
    if !have_etcd("api_settings_a_new_host_name_is_taken_up_by_a_new_start") {
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let _end = EndEtcd(dir.path().to_owned());
    let (app, member) = member(dir.path()).await;
    let id = app.node_id.clone();
    let work = tokio::spawn(reconcile::keep(Arc::clone(&app), Arc::clone(&member)));
    patch(&member, "node-1", json!({"hostname": "alpha"})).await.unwrap();
    let status = until(&member, &id, 1, Unknown).await;
    let told_of = |status: &maekin_api::settings::SettingsStatus| status.condition("Hostname").cloned();
    if told_of(&status).is_none_or(|c| c.reason != "Restarting") {
        let heard = app
            .desired
            .status
            .subscribe()
            .wait_for(|s| told_of(s).is_some_and(|c| c.reason == "Restarting"))
            .await
            .is_ok();
        assert!(heard, "{status:?}");
    }
    assert_eq!(file(&app, "/etc/hostname").unwrap(), "alpha\n");
    assert!(file(&app, "/etc/hosts").unwrap().contains("127.0.1.1 alpha"));
    assert_eq!(file(&app, "/proc/sys/kernel/hostname").unwrap(), "alpha\n");
    assert_eq!(told(&app), ["--no-block try-restart maekin-agent.service"]);
    work.abort();

    let again = restarted(&app);
    let member = crate::testing::become_member(&again).await;
    let work = tokio::spawn(reconcile::keep(Arc::clone(&again), Arc::clone(&member)));
    let status = until(&member, &id, 1, True).await;
    assert_eq!(told_of(&status).unwrap().reason, "Applied");
    let (object, _) = crate::desired::store::get(&member.record, "alpha").await.unwrap();
    assert_eq!(
        (object.id.as_str(), object.name.as_str()),
        (id.as_str(), "alpha"),
        "the member's name follows"
    );
    assert!(told(&again).is_empty(), "it starts anew once");
    work.abort();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn api_settings_a_host_name_cuts_no_trial_of_a_network_off() {
    if !have_etcd("api_settings_a_host_name_cuts_no_trial_of_a_network_off") {
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let _end = EndEtcd(dir.path().to_owned());
    let (app, member) = member(dir.path()).await;
    let all = appliers::all(&app, &member);
    let network = json!({"interface": [{"name": "lo", "addresses": ["127.0.0.2/8"]}]});
    let want = wanted(&app, 1, json!({"hostname": "alpha", "network": network}));
    // Nobody has looked at the network yet: the name does not come first.
    let outcome = apply(&all, "Hostname", &want).await;
    assert_eq!((outcome.status, outcome.reason), (Unknown, "Waits"), "{outcome:?}");
    assert_eq!(node_file::current(&app.settings).unwrap().hostname, "node-1");
    assert!(told(&app).is_empty());
    // The network went back: the name is no reason to wait any longer.
    app.desired.status.send_modify(|status| {
        let reverted = Outcome::failed("Reverted", "nobody confirmed it");
        crate::desired::conditions::note(status, "Network", &reverted, 1, 1);
    });
    assert_eq!(apply(&all, "Hostname", &want).await.reason, "Restarting");
    assert_eq!(told(&app), ["--no-block try-restart maekin-agent.service"]);
}

async fn apply(all: &[Arc<dyn Applier>], kind: &str, want: &Wanted) -> Outcome {
    let applier = all.iter().find(|applier| applier.condition() == kind).expect("there is one");
    tokio::time::timeout(LIMIT, applier.apply(want)).await.expect("it ends in time")
}

/// An applier that counts, and fails while it is told to.
#[derive(Default)]
struct Probe {
    asked: Arc<AtomicU64>,
    fails: Arc<AtomicBool>,
}

impl Applier for Probe {
    fn condition(&self) -> &'static str {
        "Probe"
    }

    fn apply<'a>(&'a self, _: &'a Wanted) -> Work<'a> {
        Box::pin(async {
            self.asked.fetch_add(1, Ordering::SeqCst);
            if self.fails.load(Ordering::SeqCst) {
                return Outcome::failed("Failed", "as it was told to");
            }
            Outcome::is(true)
        })
    }
}

/// An applier that panics.
struct Broken;

impl Applier for Broken {
    fn condition(&self) -> &'static str {
        "Broken"
    }

    fn apply<'a>(&'a self, _: &'a Wanted) -> Work<'a> {
        Box::pin(async { panic!("as it was told to") })
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn api_settings_that_fail_are_tried_again_and_stop_no_others() {
    if !have_etcd("api_settings_that_fail_are_tried_again_and_stop_no_others") {
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let _end = EndEtcd(dir.path().to_owned());
    let (app, member) = member(dir.path()).await;
    let probe = Probe::default();
    let (asked, fails) = (Arc::clone(&probe.asked), Arc::clone(&probe.fails));
    fails.store(true, Ordering::SeqCst);
    let work = tokio::spawn(reconcile::run(Arc::clone(&app), Arc::clone(&member), vec![Arc::new(probe)]));
    patch(&member, &app.node_id, json!({"labels": {"a": "b"}})).await.unwrap();
    let failed = until(&member, &app.node_id, 1, False).await;
    assert_eq!(failed.condition("Ready").unwrap().reason, "Probe");
    fails.store(false, Ordering::SeqCst);
    let mended = until(&member, &app.node_id, 1, True).await;
    assert!(asked.load(Ordering::SeqCst) >= 2, "without being told anew");
    assert_eq!(mended.condition("Probe").unwrap().message, "");
    work.abort();

    // One that panics is never done, and holds up no other. Settings that nobody understands change nothing.
    let probe = Probe { asked: Arc::clone(&asked), ..Probe::default() };
    let both: Vec<Arc<dyn Applier>> = vec![Arc::new(Broken), Arc::new(probe)];
    let work = tokio::spawn(reconcile::run(Arc::clone(&app), Arc::clone(&member), both));
    patch(&member, &app.node_id, json!({"labels": {"a": "c"}})).await.unwrap();
    let status = until(&member, &app.node_id, 2, Unknown).await;
    assert!(status.condition("Broken").is_none(), "{status:?}");
    let before = asked.load(Ordering::SeqCst);
    let strange =
        json!({"generation": 3, "changed_at": 0, "spec": {"syslog": {"server": "a", "compress": true}}});
    let key = crate::record::keys::under(crate::record::keys::NODE_SETTINGS, &app.node_id);
    let change = crate::record::Change::default().put(&key, &strange).unwrap();
    assert!(member.record.commit(change).await.unwrap());
    let status = until(&member, &app.node_id, 2, False).await;
    assert_eq!(status.condition("Ready").unwrap().reason, "NotUnderstood");
    assert_eq!(asked.load(Ordering::SeqCst), before, "nothing is touched");
    // Nor do settings that no member would have written.
    let many: Vec<_> = (0..1000).map(|n| format!("r{n}")).collect();
    let hostile = [
        (
            "ssh_keys",
            json!({"ssh_keys": [format!("{}\ncommand=\"x\" {}", super::key("eva"), super::key("evil"))]}),
        ),
        ("roles", json!({"roles": many})),
        ("syslog.server", json!({"syslog": {"server": "a b"}})),
    ];
    for (at, (field, spec)) in hostile.into_iter().enumerate() {
        let value = json!({"generation": 4 + at, "changed_at": 0, "spec": spec});
        let change = crate::record::Change::default().put(&key, &value).unwrap();
        assert!(member.record.commit(change).await.unwrap());
        let mut status = app.desired.status.subscribe();
        let told = status.wait_for(|status| {
            status
                .condition("Ready")
                .is_some_and(|c| c.reason == "NotUnderstood" && c.message.contains(field))
        });
        tokio::time::timeout(LIMIT, told).await.expect("it says what is wrong").unwrap();
        assert_eq!(asked.load(Ordering::SeqCst), before, "{field}: nothing is touched");
    }
    work.abort();
}
