//! This node's inventory, kept up to date in the record: made anew whenever something else was seen, or somebody wants
//! something else of a drive, and written only where that changed it.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use maekin_api::alarm::Severity;
use maekin_api::boot_drives::{BootDrives, Heal, State as BootState};
use maekin_api::drives::{Drive, DrivePolicy, State};

use super::ends::{self, Wishes};
use super::inventory::{self, Around};
use super::others::{Elsewhere, Others};
use super::plan::Boot;
use super::users::{self, User};
use super::values::{ConsentValue, DrivesValue, PolicyValue, WishValue};
use super::{observe::Seen, store};
use crate::app::{App, Member};
use crate::boot_drives::{alarms, boot_id};
use crate::clock::now;
use crate::errors::chain;
use crate::record::keys::{self, under};
use crate::record::values::NodeValue;
use crate::record::{Change, Record, RecordError};

/// How often it is looked at though nobody told anything: how the boot drives are, and how long drives are gone.
const RESYNC: Duration = Duration::from_secs(600);
/// How soon a record that was not reached is asked again, at first and at most.
const FIRST_PAUSE: Duration = Duration::from_secs(2);
const LONGEST_PAUSE: Duration = Duration::from_secs(60);

/// Does so for as long as it is polled, on an installed node: elsewhere the drives are somebody else's.
pub(crate) async fn keep(app: Arc<App>, member: Arc<Member>) {
    if app.boot.is_some() {
        super::start(&app);
        run(&app, &member.record).await;
    }
}

/// The same on any node.
pub(super) async fn run(app: &Arc<App>, record: &Record) {
    // Before the first look nothing is known, and nothing is asked: a node that starts has other questions.
    if app.drives.seen().is_none() {
        app.drives.news.notified().await;
    }
    let users = users::all(app);
    let mut told = Told::default();
    let mut pause = FIRST_PAUSE;
    loop {
        if let Err(e) = follow(app, record, &users, &mut told, &mut pause).await {
            tracing::debug!(error = %chain(&e), "the drives of this node are not told to the record");
        }
        go_on_alone(app, &users, &mut told, pause).await;
        pause = (pause * 2).min(LONGEST_PAUSE);
    }
}

/// What was told last.
#[derive(Debug, Default)]
struct Told {
    /// The inventory; `None`: not yet.
    drives: Option<Vec<Drive>>,
    /// The same as this node knows it since, while the record is not reached.
    alone: Option<Vec<Drive>>,
    /// It is what the record has.
    sure: bool,
    /// The look that further consents wait for; 0: none is known of.
    due: u64,
    /// Consents that were weighed against what such a look saw, by the drive.
    weighed: BTreeMap<String, ConsentValue>,
    /// What other nodes tell.
    others: Others,
    /// What drives were decided by last.
    known: Known,
}

/// What the record says that drives are decided by.
#[derive(Debug, Clone, Default)]
struct Known {
    policy: PolicyValue,
    /// What can be weighed of what people want, by the id of the drive.
    wishes: BTreeMap<String, WishValue>,
    /// Drives of which they want something that is not understood.
    unclear: BTreeSet<String>,
    elsewhere: Elsewhere,
}

/// Leaves of what people want what can be weighed now: a consent that came after the drives were looked at waits for the
/// next look, since it may be to something that is not there any more. Pure.
fn weigh(
    wishes: &mut BTreeMap<String, WishValue>,
    weighed: &mut BTreeMap<String, ConsentValue>,
    fresh: bool,
) {
    for (id, wish) in wishes.iter_mut().filter(|_| !fresh) {
        wish.consent = wish.consent.take().filter(|consent| weighed.get(id) == Some(consent));
    }
    let consents = wishes.iter().filter_map(|(id, wish)| Some((id.clone(), wish.consent.clone()?)));
    *weighed = consents.collect();
}

/// Consents that this node weighed before the agent started: by them drives were spare that hold the same still. Pure.
fn weighed_before(said: &[Drive], wishes: &BTreeMap<String, WishValue>) -> BTreeMap<String, ConsentValue> {
    let spare = said.iter().filter(|drive| drive.state == State::Spare && !drive.content.token.is_empty());
    let weighed = spare.filter_map(|drive| {
        let consent = wishes.get(&drive.id)?.consent.as_ref()?;
        (consent.token == drive.content.token).then(|| (drive.id.clone(), consent.clone()))
    });
    weighed.collect()
}

/// Follows what people want until the watch breaks off.
async fn follow(
    app: &App,
    record: &Record,
    users: &[Box<dyn User>],
    told: &mut Told,
    pause: &mut Duration,
) -> Result<(), RecordError> {
    let at = record.revision().await?;
    // It may be another record than before, as one that was put back from a copy.
    told.sure = false;
    told.others.forget();
    told.due = if told.drives.is_some() { app.drives.look() } else { 0 };
    // What is behind `at` is told by the watch; what is before it is read at the first turn.
    let mut watch = record.watch(keys::DRIVE_ORDERS, at.saturating_add(1)).await?;
    loop {
        turn(app, record, users, told).await?;
        *pause = FIRST_PAUSE;
        tokio::select! {
            heard = watch.next() => {
                if heard.is_none() {
                    return Ok(());
                }
                // What people say of a drive is weighed against what is on it now, and not an hour ago.
                told.due = app.drives.look();
            }
            () = app.drives.news.notified() => {}
            () = tokio::time::sleep(RESYNC) => {}
        }
    }
}

/// What is seen while the record is not reached is shown by this node all the same, with its alarms, and decided no better
/// than before.
async fn go_on_alone(app: &App, users: &[Box<dyn User>], told: &mut Told, pause: Duration) {
    let end = tokio::time::Instant::now() + pause;
    loop {
        alone(app, users, told);
        tokio::select! {
            () = tokio::time::sleep_until(end) => return,
            () = app.drives.news.notified() => {}
        }
    }
}

fn alone(app: &App, users: &[Box<dyn User>], told: &mut Told) {
    let Some((seen, _)) = app.drives.seen_at() else { return };
    let before = told.alone.clone().or_else(|| told.drives.clone()).unwrap_or_default();
    let mut known = told.known.clone();
    end(&mut known.wishes, &app.drives.interrupted(), &seen, users);
    let drives = decided(app, users, &known, (&before, &seen), Some("the cluster's record is not reached"));
    log(&before, &drives);
    remember(app, &drives, told.drives.is_some());
    told.alone = Some(drives);
}

/// The inventory by what is known.
fn decided(
    app: &App,
    users: &[Box<dyn User>],
    known: &Known,
    (before, seen): (&[Drive], &[Seen]),
    doubt: Option<&str>,
) -> Vec<Drive> {
    let around = Around {
        node: &app.config.hostname,
        node_id: &app.node_id,
        policy: known.policy.of(&app.node_id),
        wishes: &known.wishes,
        unclear: &known.unclear,
        boot: boot(&app.boot_drives.report()),
        elsewhere: &known.elsewhere.drives,
        doubt,
        used: &|seen: &Seen| users::usage(users, seen),
    };
    inventory::update(before, seen, &around, now())
}

/// Leaves no consent to a drive that went away, or that somebody had for himself: what is on it may have gone elsewhere, been
/// used, and come back.
fn end(
    wishes: &mut BTreeMap<String, WishValue>,
    interrupted: &BTreeMap<String, u64>,
    seen: &[Seen],
    users: &[Box<dyn User>],
) {
    let used = |id: &str| seen.iter().any(|seen| seen.id == id && users::usage(users, seen).is_some());
    for (id, wish) in wishes.iter_mut().filter(|(id, _)| interrupted.contains_key(*id)) {
        wish.consent = wish.consent.take().filter(|_| used(id));
    }
}

async fn turn(
    app: &App,
    record: &Record,
    users: &[Box<dyn User>],
    told: &mut Told,
) -> Result<(), RecordError> {
    // Before the first look nothing is known: then drives that are told of are not gone.
    let Some((seen, looked)) = app.drives.seen_at() else { return Ok(()) };
    let interrupted = app.drives.interrupted();
    let (key, boot_id) = (under(keys::DRIVES, &app.node_id), boot_id());
    let said = match told.sure {
        true => None,
        false => Some(store::told(record, &app.node_id).await?.unwrap_or_default()),
    };
    // What this node knows, as of drives that are gone, is worth more than what the record says of it.
    let recorded =
        told.drives.clone().or_else(|| said.as_ref().map(|said| said.drives.clone())).unwrap_or_default();
    let policy = policy(record).await?;
    let wishes = Wishes::read(record, &app.node_id).await?;
    // Afterwards: one that joins meanwhile is a member before anybody wants anything of its drives.
    let members: BTreeSet<String> = record.names(keys::NODES).await?.into_iter().collect();
    let mut by_id = wishes.standing(&boot_id);
    end(&mut by_id, &interrupted, &seen, users);
    if told.drives.is_none() && told.due == 0 {
        // What was looked at when the agent started may be long ago: what is new is weighed against what is there now.
        told.weighed = weighed_before(&recorded, &by_id);
        let new = |(id, wish): (&String, &WishValue)| wish.consent.as_ref() != told.weighed.get(id);
        told.due = if by_id.iter().any(new) { app.drives.look() } else { 0 };
    }
    weigh(&mut by_id, &mut told.weighed, looked >= told.due);
    let around = (app.node_id.as_str(), &members);
    let elsewhere = told.others.of(record, around, &seen).await?;
    let doubt = "what another node tells of its drives is of a newer release; upgrade this node";
    let doubt = elsewhere.unclear.then_some(doubt);
    let unclear = wishes.unclear.clone();
    let known = Known { policy, wishes: by_id, unclear, elsewhere };
    let before = told.alone.as_ref().filter(|_| told.drives.is_some()).unwrap_or(&recorded);
    let drives = decided(app, users, &known, (before, &seen), doubt);
    log(before, &drives);
    remember(app, &drives, true);
    told.known = known;
    if !members.contains(&app.node_id) {
        return Ok(()); // removed: nobody wants to know, and nobody would take it back
    }
    let other = said.is_some_and(|said| said.drives != recorded || said.boot != boot_id);
    if other || inventory::differs(&recorded, &drives) {
        let node = under(keys::NODES, &app.node_id);
        let Some(own) = record.get::<NodeValue>(&node).await? else { return Ok(()) };
        let value = DrivesValue { drives: drives.clone(), boot: boot_id.clone() };
        let change = Change::default().if_created_at(&node, own.created).put(&key, &value)?;
        if !record.commit(change).await? {
            return Ok(());
        }
        // Of two nodes that tell of a drive at the same moment one at least sees that the other does.
        if told.others.of(record, around, &seen).await? != told.known.elsewhere {
            app.drives.news.notify_one();
        }
        told.drives = Some(value.drives);
    } else {
        told.drives = Some(recorded); // and from there it is counted how much warmer a drive became
    }
    told.alone = None;
    told.sure = true;
    wishes.forget(record, &drives, &members).await?;
    let seen = ends::Case { boot: &boot_id, interrupted: &interrupted, seen: &seen, drives: &drives };
    if wishes.end(record, &seen, &mut told.weighed).await? {
        app.drives.followed(&interrupted);
    }
    Ok(())
}

/// The policy. One that a newer release has a word for counts as the most careful there is.
async fn policy(record: &Record) -> Result<PolicyValue, RecordError> {
    match record.get::<PolicyValue>(keys::DRIVE_POLICY).await {
        Ok(found) => Ok(found.map(|found| found.value).unwrap_or_default()),
        Err(e @ (RecordError::Value { .. } | RecordError::Newer { .. })) => {
            tracing::warn!(error = %chain(&e), "the policy of drives is not understood: none is taken");
            Ok(PolicyValue { drives: DrivePolicy::Never, ..PolicyValue::default() })
        }
        Err(e) => Err(e),
    }
}

/// How the boot drives are, as far as it matters here. Pure.
pub(super) fn boot(report: &BootDrives) -> Boot {
    let missing = report.drives.iter().any(|drive| drive.device.is_none());
    Boot {
        lacks: missing || matches!(report.state, BootState::Degraded | BootState::Unknown),
        healing: matches!(report.heal, Heal::Running { .. }),
        needed: users::needed(report),
        retired: [false; 2], // people say that, and not the mirror
    }
}

/// What the API, the console and the metrics tell from now on.
/// `known`: those that are gone are among them.
fn remember(app: &App, drives: &[Drive], known: bool) {
    let mut shared = app.drives.lock();
    let change = alarms::follow(&mut shared.since, inventory::alarms(drives), now());
    for alarm in change.alarms.iter().filter(|alarm| change.raised.contains(&alarm.id)) {
        let (id, what, remedy) = (&alarm.id, &alarm.what, &alarm.remedy);
        match alarm.severity {
            Severity::Critical => tracing::error!(alarm = id, "ALARM: {what} {remedy}"),
            Severity::Warning => tracing::warn!(alarm = id, "ALARM: {what} {remedy}"),
        }
    }
    for id in &change.cleared {
        tracing::info!(alarm = id, "alarm over");
    }
    shared.alarms = change.alarms;
    shared.drives = drives.to_vec();
    shared.told |= known;
}

/// Drives that are in another state than before, for the journal.
fn log(before: &[Drive], now: &[Drive]) {
    let prior =
        |id: &str| before.iter().find(|drive| drive.id == id).map(|drive| (drive.state, &drive.usage));
    for drive in now.iter().filter(|drive| prior(&drive.id) != Some((drive.state, &drive.usage))) {
        let (id, state, usage) = (&drive.id, drive.state, drive.usage.words());
        tracing::info!(id, %state, usage, device = drive.device, why = drive.why, "drive");
    }
}

#[cfg(test)]
mod tests {
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
        let count = async || {
            record.get::<DrivesValue>(&key).await.unwrap().map_or(0, |found| found.value.drives.len())
        };
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
        let wish = WishValue {
            drive: "sn-a".into(),
            node: node.into(),
            consent: Some(consent),
            ..WishValue::default()
        };
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
            let value =
                DrivesValue { drives: vec![Drive { state, ..other.clone() }], ..DrivesValue::default() };
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
        let later =
            |id: &str| serde_json::json!({"drives": [{"id": id, "node": "node-2", "state": "blessed"}]});
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
            assert!(
                record.names(keys::DRIVE_WISHES).await.unwrap().is_empty(),
                "{name}: it is asked for again"
            );
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
            (
                "one drive by design",
                BootState::Single,
                vec![drive(Some("/dev/vda"))],
                Heal::Idle,
                (false, false),
            ),
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
}
