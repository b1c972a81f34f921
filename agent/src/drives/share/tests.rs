use maekin_api::boot_drives::Drive as BootDrive;
use maekin_api::drives::Usage;

use maekin_rootfs::drives::Found;
use maekin_rootfs::node::ClusterIntent;

use super::super::attached::Attached;
use super::*;
use crate::testing::{EndEtcd, agent, become_member, have_etcd};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn drives_are_told_anew_to_a_record_that_was_put_back() {
    if !have_etcd("drives_are_told_anew_to_a_record_that_was_put_back") {
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let _end = EndEtcd(dir.path().to_owned());
    let app = agent(dir.path(), 1, ClusterIntent::Create { name: "rack".into() });
    let record = become_member(&app).await.record.clone();
    let (users, key) = (users::all(&app), under(keys::DRIVES, &app.node_id));
    let count =
        async || record.get::<DrivesValue>(&key).await.unwrap().map_or(0, |found| found.value.drives.len());
    app.drives.saw(vec![Seen { id: "sn-a".into(), ..Seen::default() }]);
    let mut told = Told::default();
    turn(&app, &record, &users, &mut told).await.unwrap();
    assert_eq!(count().await, 1);
    let older = Change::default().put(&key, &DrivesValue::default()).unwrap();
    assert!(record.commit(older).await.unwrap());
    told.sure = false; // as whoever follows the record says when his watch broke off
    turn(&app, &record, &users, &mut told).await.unwrap();
    assert_eq!(count().await, 1);
}

fn holding(token: &str) -> Vec<Seen> {
    let found = Found { what: vec!["ZFS".into()], token: token.into(), ..Found::default() };
    let (id, size) = ("sn-a".to_owned(), 1 << 40);
    vec![Seen { id, size, stable: true, found: Some(found), ..Seen::default() }]
}

async fn consent(record: &Record, node: &str, token: &str) {
    let consent = ConsentValue { token: token.into(), by: "eva".into(), ..ConsentValue::default() };
    let wish =
        WishValue { drive: "sn-a".into(), node: node.into(), consent: Some(consent), ..WishValue::default() };
    let change = Change::default().put(&store::wish_key("sn-a"), &wish).unwrap();
    assert!(record.commit(change).await.unwrap());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn drives_are_given_away_by_what_is_on_them_after_the_consent() {
    use maekin_api::drives::State::{Spare, WaitingForConsent};
    if !have_etcd("drives_are_given_away_by_what_is_on_them_after_the_consent") {
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let _end = EndEtcd(dir.path().to_owned());
    let app = agent(dir.path(), 1, ClusterIntent::Create { name: "rack".into() });
    let record = become_member(&app).await.record.clone();
    let (users, drives) = (users::all(&app), &app.drives);
    let mut told = Told::default();
    let state = async |told: &mut Told| {
        turn(&app, &record, &users, told).await.unwrap();
        app.drives.find("sn-a").unwrap().state
    };
    drives.saw(holding("t-1"));
    assert_eq!(state(&mut told).await, WaitingForConsent);
    // Somebody wrote to it since it was looked at, and then somebody consents to what it held.
    consent(&record, &app.node_id, "t-1").await;
    told.due = drives.look();
    assert_eq!(state(&mut told).await, WaitingForConsent, "what it holds now is not known");
    assert!(drives.wanted());
    drives.saw(holding("t-2"));
    assert_eq!(state(&mut told).await, WaitingForConsent);
    consent(&record, &app.node_id, "t-2").await;
    told.due = drives.look();
    assert!(drives.wanted());
    let news = async |what: &str| {
        let heard = tokio::time::timeout(Duration::from_secs(30), drives.news.notified()).await;
        assert!(heard.is_ok(), "waited for the end of {what}");
    };
    news("the look before").await;
    drives.saw(holding("t-2"));
    news("a look that was wanted, and saw nothing new").await;
    assert_eq!(state(&mut told).await, Spare);
    told.due = drives.look();
    assert_eq!(state(&mut told).await, Spare, "what was weighed is not weighed anew before it is looked");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn drives_that_two_nodes_reach_are_taken_by_neither() {
    if !have_etcd("drives_that_two_nodes_reach_are_taken_by_neither") {
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let _end = EndEtcd(dir.path().to_owned());
    let app = agent(dir.path(), 1, ClusterIntent::Create { name: "rack".into() });
    let record = become_member(&app).await.record.clone();
    let other = Drive {
        id: "sn-a".into(),
        node: "node-2".into(),
        node_id: "n2".into(),
        state: State::Spare,
        ..Drive::default()
    };
    let tell = async |state| {
        let value = DrivesValue { drives: vec![Drive { state, ..other.clone() }], ..DrivesValue::default() };
        let change = Change::default().put(&under(keys::DRIVES, "n2"), &value).unwrap();
        assert!(record.commit(change).await.unwrap());
    };
    let member = async |id: &str| {
        let node = NodeValue { id: id.into(), name: id.into(), ..NodeValue::default() };
        let change = Change::default().put(&under(keys::NODES, id), &node).unwrap();
        assert!(record.commit(change).await.unwrap());
    };
    member("n2").await;
    tell(State::Spare).await;
    app.drives.saw(holding("t-1"));
    let (users, mut told) = (users::all(&app), Told::default());
    for (state, want) in [
        (State::Spare, State::Refused),
        (State::Gone, State::WaitingForConsent),
        (State::InUse, State::Refused),
    ] {
        tell(state).await;
        turn(&app, &record, &users, &mut told).await.unwrap();
        let drive = app.drives.find("sn-a").unwrap();
        assert_eq!(drive.state, want, "the other says {state}: {}", drive.why);
    }
    // One that was removed tells of nothing, though its inventory came back after that.
    let gone = Change::default().delete(&under(keys::NODES, "n2"));
    assert!(record.commit(gone).await.unwrap());
    turn(&app, &record, &users, &mut told).await.unwrap();
    assert_eq!(app.drives.find("sn-a").unwrap().state, State::WaitingForConsent);
    let rack = store::list(&record, &app.node_id, app.drives.drives()).await.unwrap();
    assert_eq!(rack.len(), 1, "{rack:?}");
    member("n2").await;
    turn(&app, &record, &users, &mut told).await.unwrap();
    assert_eq!(app.drives.find("sn-a").unwrap().state, State::Refused);
}

fn blank(id: &str) -> Seen {
    let found = Found { blank: true, token: "t-blank".into(), ..Found::default() };
    let (size, attached) = (1 << 40, Attached::Direct);
    Seen { id: id.into(), size, attached, stable: true, found: Some(found), ..Seen::default() }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn drives_are_told_by_nodes_that_do_not_understand_all_that_the_record_says() {
    if !have_etcd("drives_are_told_by_nodes_that_do_not_understand_all_that_the_record_says") {
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let _end = EndEtcd(dir.path().to_owned());
    let app = agent(dir.path(), 1, ClusterIntent::Create { name: "rack".into() });
    let record = become_member(&app).await.record.clone();
    let users = users::all(&app);
    let put = async |key: &str, value: serde_json::Value| {
        assert!(record.commit(Change::default().put(key, &value).unwrap()).await.unwrap());
    };
    put(&under(keys::NODES, "n2"), serde_json::to_value(NodeValue::default()).unwrap()).await;
    let (others, wish) = (under(keys::DRIVES, "n2"), store::wish_key("sn-a"));
    let later = |id: &str| serde_json::json!({"drives": [{"id": id, "node": "node-2", "state": "blessed"}]});
    let nothing = || serde_json::json!({"drives": []});
    let rows = [
        ("nothing of later", others.as_str(), nothing(), State::Spare, "consented"),
        ("another drive in a state of later", &others, later("sn-z"), State::Spare, "consented"),
        ("this drive in a state of later", &others, later("sn-a"), State::Refused, "node-2 tells"),
        (
            "no inventory that is understood",
            &others,
            serde_json::json!({"drives": 7}),
            State::Refused,
            "it waits",
        ),
        (
            "a wish of later",
            &wish,
            serde_json::json!({"drive": "sn-a", "retire": 7}),
            State::Refused,
            "does not understand",
        ),
        (
            "a policy of later",
            keys::DRIVE_POLICY,
            serde_json::json!({"drives": "bold"}),
            State::Refused,
            "take no drive",
        ),
    ];
    for (name, key, value, want, why) in rows {
        put(&others, nothing()).await;
        consent(&record, &app.node_id, "t-1").await;
        put(key, value).await;
        app.drives.saw(holding("t-1"));
        // It was not a spare before.
        let mut told = Told { drives: Some(Vec::new()), ..Told::default() };
        turn(&app, &record, &users, &mut told).await.unwrap_or_else(|e| panic!("{name}: {e}"));
        let drive = app.drives.find("sn-a").unwrap();
        assert_eq!(drive.state, want, "{name}: {}", drive.why);
        assert!(drive.why.contains(why), "{name}: {}", drive.why);
        let rack = store::list(&record, &app.node_id, app.drives.drives()).await;
        assert!(rack.is_ok_and(|rack| rack.contains(&drive)), "{name}: the API tells of it");
        let tidy = Change::default().delete(&wish).delete(keys::DRIVE_POLICY);
        assert!(record.commit(tidy).await.unwrap());
    }
}

#[tokio::test]
async fn drives_raise_alarms_while_the_record_is_not_reached() {
    let dir = tempfile::tempdir().unwrap();
    let app = agent(dir.path(), 1, ClusterIntent::Create { name: "rack".into() });
    let (users, mut told) = (users::all(&app), Told::default());
    let consent = ConsentValue { token: "t-1".into(), ..ConsentValue::default() };
    let wish = WishValue { consent: Some(consent), ..WishValue::default() };
    told.known.wishes.insert("sn-a".into(), wish);
    let seen = |passed| {
        let smart = maekin_host::smart::Smart { passed: Some(passed), ..Default::default() };
        let boot = Seen { boot: Some(0), smart: Some(smart), ..blank("sn-m") };
        [holding("t-1"), vec![boot]].concat()
    };
    app.drives.saw(seen(true));
    alone(&app, &users, &mut told);
    assert!(app.drives.alarms().is_empty());
    let waits = app.drives.find("sn-a").unwrap();
    assert_eq!((waits.state, waits.usage), (State::Refused, Usage::Foreign), "{}", waits.why);
    assert!(waits.why.contains("record is not reached"), "{}", waits.why);
    assert_eq!(app.drives.found("sn-b"), None, "of those that are gone nothing is known");
    app.drives.saw(seen(false));
    alone(&app, &users, &mut told);
    let alarms: Vec<_> = app.drives.alarms().into_iter().map(|alarm| alarm.id).collect();
    assert_eq!(alarms, ["drive-failing-sn-m"]);
    assert_eq!(app.drives.find("sn-a").unwrap().state, State::Refused, "and not at the second time");
    // One that was a spare when the record was reached stays one until it was away, and is missed when it goes.
    let spare = |id: &str| Drive { id: id.into(), state: State::Spare, ..Drive::default() };
    let mut told =
        Told { drives: Some(vec![spare("sn-a"), spare("sn-b")]), known: told.known, ..Told::default() };
    let states = |told: &mut Told| {
        alone(&app, &users, told);
        ["sn-a", "sn-b"].map(|id| app.drives.find(id).unwrap().state)
    };
    assert_eq!(states(&mut told), [State::Spare, State::Gone]);
    app.drives.saw(vec![]);
    app.drives.saw(seen(true));
    assert_eq!(states(&mut told), [State::WaitingForConsent, State::Gone]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn drives_of_removed_nodes_are_not_told_and_nothing_is_wanted_of_them() {
    if !have_etcd("drives_of_removed_nodes_are_not_told_and_nothing_is_wanted_of_them") {
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let _end = EndEtcd(dir.path().to_owned());
    let app = agent(dir.path(), 1, ClusterIntent::Create { name: "rack".into() });
    let record = become_member(&app).await.record.clone();
    let (users, mut told) = (users::all(&app), Told::default());
    let wish =
        |node: &str| WishValue { drive: format!("sn-{node}"), node: node.into(), ..WishValue::default() };
    let node = NodeValue { id: "n2".into(), ..NodeValue::default() };
    let mut change = Change::default().put(&under(keys::NODES, "n2"), &node).unwrap();
    for node in ["n2", "n9"] {
        change = change.put(&store::wish_key(&format!("sn-{node}")), &wish(node)).unwrap();
    }
    assert!(record.commit(change).await.unwrap());
    app.drives.saw(vec![blank("sn-a")]);
    turn(&app, &record, &users, &mut told).await.unwrap();
    assert_eq!(record.names(keys::DRIVE_WISHES).await.unwrap(), ["sn-n2"], "n9 is no member");
    let (own, key) = (under(keys::NODES, &app.node_id), under(keys::DRIVES, &app.node_id));
    assert!(record.get::<DrivesValue>(&key).await.unwrap().is_some());
    assert!(record.commit(Change::default().delete(&own).delete(&key)).await.unwrap());
    for mut told in [told, Told::default()] {
        told.sure = false; // its watch broke when it was removed
        app.drives.saw(vec![blank("sn-a"), blank("sn-b")]);
        turn(&app, &record, &users, &mut told).await.unwrap();
        assert!(record.get::<DrivesValue>(&key).await.unwrap().is_none(), "a ghost");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn drives_are_weighed_anew_where_a_consent_came_before_the_first_turn() {
    use maekin_api::drives::State::{Spare, WaitingForConsent};
    if !have_etcd("drives_are_weighed_anew_where_a_consent_came_before_the_first_turn") {
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let _end = EndEtcd(dir.path().to_owned());
    let app = agent(dir.path(), 1, ClusterIntent::Create { name: "rack".into() });
    let record = become_member(&app).await.record.clone();
    let (users, drives) = (users::all(&app), &app.drives);
    let state = async |told: &mut Told| {
        turn(&app, &record, &users, told).await.unwrap();
        app.drives.find("sn-a").unwrap().state
    };
    // It was looked at long ago, the record was not reached since, and now somebody has consented.
    drives.saw(holding("t-1"));
    consent(&record, &app.node_id, "t-1").await;
    let mut told = Told::default();
    assert_eq!(state(&mut told).await, WaitingForConsent);
    assert!(drives.wanted(), "it is looked at anew");
    drives.saw(holding("t-1"));
    assert_eq!(state(&mut told).await, Spare);
    // The agent starts anew, and has weighed that before: it holds the same.
    let mut told = Told::default();
    assert_eq!(state(&mut told).await, Spare);
    assert!(!drives.wanted());
    // The machine starts anew.
    let key = store::wish_key("sn-a");
    let mut wish = record.get::<WishValue>(&key).await.unwrap().unwrap().value;
    let given = wish.consent.as_mut().unwrap();
    assert_eq!(given.boot, boot_id(), "it is bound to this start");
    given.boot = "another".into();
    assert!(record.commit(Change::default().put(&key, &wish).unwrap()).await.unwrap());
    assert_eq!(state(&mut Told::default()).await, WaitingForConsent);
    assert!(record.names(keys::DRIVE_WISHES).await.unwrap().is_empty(), "it ended");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn drives_that_were_away_are_asked_for_again() {
    if !have_etcd("drives_that_were_away_are_asked_for_again") {
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let _end = EndEtcd(dir.path().to_owned());
    let app = agent(dir.path(), 1, ClusterIntent::Create { name: "rack".into() });
    let record = become_member(&app).await.record.clone();
    let (users, mut told) = (users::all(&app), Told::default());
    let held = || {
        let mut seen = holding("t-1");
        seen[0].held = "it is mounted on /srv".into();
        seen
    };
    app.drives.saw(holding("t-1"));
    turn(&app, &record, &users, &mut told).await.unwrap();
    for (name, away, state) in [("pulled", vec![], State::Gone), ("mounted", held(), State::Refused)] {
        consent(&record, &app.node_id, "t-1").await;
        for (seen, want) in
            [(holding("t-1"), State::Spare), (away, state), (holding("t-1"), State::WaitingForConsent)]
        {
            app.drives.saw(seen);
            turn(&app, &record, &users, &mut told).await.unwrap();
            assert_eq!(app.drives.find("sn-a").unwrap().state, want, "{name}");
        }
        assert!(record.names(keys::DRIVE_WISHES).await.unwrap().is_empty(), "{name}: nothing is wanted");
    }
    for (name, away) in [("pulled", vec![]), ("mounted", held())] {
        consent(&record, &app.node_id, "t-1").await;
        turn(&app, &record, &users, &mut told).await.unwrap();
        assert_eq!(app.drives.find("sn-a").unwrap().state, State::Spare, "{name}");
        // The record was not reached, or somebody was faster: it is back when it is decided again.
        app.drives.saw(away);
        app.drives.saw(holding("t-1"));
        turn(&app, &record, &users, &mut told).await.unwrap();
        assert_eq!(app.drives.find("sn-a").unwrap().state, State::WaitingForConsent, "{name}, and back");
        assert!(record.names(keys::DRIVE_WISHES).await.unwrap().is_empty(), "{name}: it is asked for again");
    }
}

#[test]
fn drives_wait_for_the_boot_mirror() {
    let drive =
        |device: Option<&str>| BootDrive { device: device.map(str::to_owned), ..BootDrive::default() };
    let both = || vec![drive(Some("/dev/vda")), drive(Some("/dev/vdb"))];
    let running = Heal::Running { step: "x".into(), percent: 1, since: 1 };
    let rows = [
        ("whole", BootState::Whole, both(), Heal::Idle, (false, false)),
        ("one drive by design", BootState::Single, vec![drive(Some("/dev/vda"))], Heal::Idle, (false, false)),
        (
            "one is gone",
            BootState::Degraded,
            vec![drive(Some("/dev/vda")), drive(None)],
            Heal::Idle,
            (true, false),
        ),
        ("one is out", BootState::Degraded, both(), Heal::Idle, (true, false)),
        ("being healed", BootState::Healing, both(), running, (false, true)),
        ("not looked at", BootState::Unknown, vec![], Heal::Idle, (true, false)),
    ];
    for (name, state, drives, heal, (lacks, healing)) in rows {
        let report = BootDrives { state, drives, heal, ..BootDrives::default() };
        let got = boot(&report);
        assert_eq!((got.lacks, got.healing), (lacks, healing), "{name}");
    }
}
