//! The whole of it: API, record, sealing, and what is logged and shown.

use std::io::Write;
use std::sync::{Arc, LazyLock};

use axum::body::Bytes;
use axum::http::Method;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use maekin_api::power::{Method as Means, PowerInfo, PowerSettings, SetPower};
use maekin_api::{MACHINE_POWER, POWER};
use maekin_rootfs::node::ClusterIntent;
use tracing_subscriber::fmt::MakeWriter;

use super::redfish::tests::mock::{self, Mock, PASSWORD, Quirks, USER};
use super::*;
use crate::http::client::Target;
use crate::record::Change;
use crate::record::values::{AliveValue, PowerValue};
use crate::testing::{EndEtcd, agent, have_etcd, serve};

const MAC: &str = "52:54:00:00:00:07";

/// Everything that is logged, at every level.
#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

static LOG: LazyLock<Log> = LazyLock::new(|| {
    let log = Log::default();
    let subscriber = tracing_subscriber::fmt().with_max_level(tracing::Level::TRACE).with_writer(log.clone());
    // A process has one; whoever set another one before would make the assertions on the text fail, not pass.
    let _ = subscriber.with_ansi(false).try_init();
    log
});

impl Log {
    fn text(&self) -> String {
        String::from_utf8_lossy(&self.0.lock().unwrap()).into_owned()
    }
}

impl Write for Log {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

impl MakeWriter<'_> for Log {
    type Writer = Self;

    fn make_writer(&self) -> Self {
        self.clone()
    }
}

fn path(mac: &str) -> String {
    MACHINE_POWER.replace("{machine}", mac)
}

fn set(mock: &Mock, password: &str) -> SetPower {
    let settings = PowerSettings {
        address: format!("127.0.0.1:{}", mock.port),
        user: USER.into(),
        plain_http: true,
        ..PowerSettings::new(Means::Redfish)
    };
    SetPower { settings, password: password.to_owned().into() }
}

async fn ask(own: &Target, action: Action, force: bool) -> Result<Done, String> {
    own.post_slow::<Done>(&path(MAC), &Act { action, force }).await.map_err(|e| e.to_string())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn power_of_a_machine_by_the_api() {
    if !have_etcd("power_of_a_machine_by_the_api") {
        return;
    }
    let log = LOG.clone();
    let dir = tempfile::tempdir().unwrap();
    let _end = EndEtcd(dir.path().to_owned());
    let app = agent(dir.path(), 1, ClusterIntent::Create { name: "rack".into() });
    serve(&app).await;
    let limit = Duration::from_secs(60);
    tokio::time::timeout(limit, crate::membership::run(Arc::clone(&app))).await.expect("a member in time");
    let record = app.member().ok().unwrap().record.clone();
    let own = Target::Socket(app.settings.socket());
    let bmc = mock::start(Quirks::default(), None).await;

    let unset = ask(&own, Action::On, false).await.unwrap_err();
    assert!(unset.contains("404") && unset.contains("maekin-agent power set"), "{unset}");
    for mac in ["52:54:00:00:00:0G", "52-54-00-00-00-07", "..%2Fnodes", "x"] {
        let answer = own.put::<PowerInfo>(&path(mac), &set(&bmc, PASSWORD)).await;
        assert!(answer.unwrap_err().to_string().contains("400"), "{mac}");
    }

    // One call from off into the network.
    let info: PowerInfo = own.put(&path(MAC), &set(&bmc, PASSWORD)).await.unwrap();
    assert!(info.has_password && info.last.is_none());
    let done = ask(&own, Action::Netboot, false).await.unwrap();
    assert_eq!(
        (done.power, done.outcome.as_str()),
        (Power::On, "switched on, to boot from the network once")
    );
    assert_eq!(bmc.machine().resets, ["On"]);

    // What is shown, and what the record has.
    let (_, shown) = own.exchange(Method::GET, &path(MAC), Bytes::new()).await.unwrap();
    let shown = String::from_utf8(shown.to_vec()).unwrap();
    let last = serde_json::from_str::<PowerInfo>(&shown).unwrap().last.unwrap();
    assert!(last.done && last.by == "root on node-1" && last.action == Action::Netboot, "{last:?}");
    assert_eq!(own.get::<Vec<PowerInfo>>(POWER).await.unwrap().len(), 1);
    let value = record.get::<PowerValue>(&under(keys::POWER, MAC)).await.unwrap().unwrap().value;
    assert!(value.sealed.starts_with("v1."));
    let kept = serde_json::to_string(&value).unwrap();

    a_member_that_works_is_left_alone(&record, &own).await;
    one_action_at_a_time(&app, &own).await;
    a_copied_seal_opens_nothing(&record, &own, &value).await;

    // A password that is wrong, and one that the controller throws back at us.
    own.put::<PowerInfo>(&path(MAC), &set(&bmc, "a-wrong-guess")).await.unwrap();
    let wrong = ask(&own, Action::Status, false).await.unwrap_err();
    assert!(wrong.contains("502") && wrong.contains("does not accept user root"), "{wrong}");
    let echo = mock::start(Quirks { echo: true, sessions: 0, ..Quirks::default() }, None).await;
    own.put::<PowerInfo>(&path(MAC), &set(&echo, PASSWORD)).await.unwrap();
    let echoed = ask(&own, Action::Netboot, true).await.unwrap_err();
    assert!(echoed.contains("(password) is not what was expected"), "{echoed}");
    let failed: PowerInfo = own.get(&path(MAC)).await.unwrap();
    assert!(failed.last.as_ref().is_some_and(|last| !last.done), "{failed:?}");
    own.delete::<()>(&path(MAC)).await.unwrap();
    assert!(own.get::<PowerInfo>(&path(MAC)).await.unwrap_err().to_string().contains("404"));

    let log = log.text();
    for asked in
        ["power: asked for", "power: done", "power: not done", "by=\"root on node-1\"", "settings changed"]
    {
        assert!(log.contains(asked), "{asked} is not in the log");
    }
    let debug = format!("{:?} {:?}", set(&bmc, PASSWORD), store::open(&app.member().ok().unwrap(), &value));
    for (place, text) in [
        ("log", &log),
        ("record", &kept),
        ("answer", &shown),
        ("answer", &wrong),
        ("answer", &echoed),
        ("debug output", &debug),
    ] {
        for secret in [PASSWORD, "a-wrong-guess"] {
            assert!(
                !text.contains(secret) && !text.contains(&STANDARD.encode(secret)),
                "{secret} is in the {place}"
            );
            let basic = STANDARD.encode(format!("{USER}:{secret}"));
            assert!(!text.contains(&basic), "{basic} is in the {place}");
        }
    }
}

async fn a_member_that_works_is_left_alone(record: &Record, own: &Target) {
    let node =
        NodeValue { id: "other".into(), name: "node-9".into(), mac: MAC.into(), ..NodeValue::default() };
    let (node_key, alive) = (under(keys::NODES, "other"), under(keys::ALIVE, "other"));
    let change = Change::default().put(&node_key, &node).unwrap();
    let change = change.put(&alive, &AliveValue { since: 1 }).unwrap();
    assert!(record.commit(change).await.unwrap());
    for action in [Action::Off, Action::Cycle, Action::Netboot] {
        let refused = ask(own, action, false).await.unwrap_err();
        assert!(refused.contains("409") && refused.contains("node-9, which is alive"), "{action}: {refused}");
    }
    assert!(ask(own, Action::Status, false).await.is_ok(), "asking harms nobody");
    assert!(ask(own, Action::Off, true).await.is_ok(), "a person who means it");
    assert!(record.commit(Change::default().delete(&alive)).await.unwrap());
    assert!(ask(own, Action::Cycle, false).await.is_ok(), "it is not alive any more");
}

async fn one_action_at_a_time(app: &App, own: &Target) {
    let busy = app.power.begin(MAC).unwrap();
    let refused = ask(own, Action::Status, false).await.unwrap_err();
    assert!(refused.contains("409") && refused.contains("something else is being done"), "{refused}");
    drop(busy);
    assert!(ask(own, Action::Status, false).await.is_ok());
}

/// Somebody who can write to the record, and has no sealing key, turns the settings to a host of his.
async fn a_copied_seal_opens_nothing(record: &Record, own: &Target, value: &PowerValue) {
    let thief = mock::start(Quirks::default(), None).await;
    let settings = PowerSettings { address: format!("127.0.0.1:{}", thief.port), ..value.settings.clone() };
    let forged = PowerValue { settings, ..value.clone() };
    let change = Change::default().put(&under(keys::POWER, MAC), &forged).unwrap();
    assert!(record.commit(change).await.unwrap());
    let refused = ask(own, Action::Status, false).await.unwrap_err();
    assert!(refused.contains("sealed for another place"), "{refused}");
    assert_eq!(thief.machine().requests, 0, "it heard nothing");
}
