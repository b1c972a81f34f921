//! This node's inventory, kept up to date in the record: made anew whenever something else was seen, or somebody wants
//! something else of a drive, and written only where that changed it.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use maekin_api::alarm::Severity;
use maekin_api::boot_drives::{BootDrives, Heal, State as BootState};
use maekin_api::drives::{Drive, State};

use super::inventory::{self, Around};
use super::plan::Boot;
use super::users::{self, User};
use super::values::{ConsentValue, DrivesValue, PolicyValue, WishValue};
use super::{observe::Seen, store};
use crate::app::{App, Member};
use crate::boot_drives::alarms;
use crate::clock::now;
use crate::errors::chain;
use crate::record::keys::{self, under};
use crate::record::{Change, Record, RecordError, Versioned};

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
        tokio::time::sleep(pause).await;
        pause = (pause * 2).min(LONGEST_PAUSE);
    }
}

/// What was told last.
#[derive(Debug, Default)]
struct Told {
    /// The inventory; `None`: not yet.
    drives: Option<Vec<Drive>>,
    /// It is what the record has.
    sure: bool,
    /// The look that further consents wait for.
    due: u64,
    /// Consents that were weighed against what such a look saw, by the drive.
    weighed: BTreeMap<String, ConsentValue>,
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
    if told.drives.is_some() {
        told.due = app.drives.look();
    }
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

async fn turn(
    app: &App,
    record: &Record,
    users: &[Box<dyn User>],
    told: &mut Told,
) -> Result<(), RecordError> {
    // Before the first look nothing is known: then drives that are told of are not gone.
    let Some((seen, looked)) = app.drives.seen_at() else { return Ok(()) };
    let key = under(keys::DRIVES, &app.node_id);
    let said = match told.sure {
        true => None,
        false => record.get::<DrivesValue>(&key).await?.map(|found| found.value.drives).or(Some(Vec::new())),
    };
    // What this node knows, as of drives that are gone, is worth more than what the record says of it.
    let before = told.drives.clone().or_else(|| said.clone()).unwrap_or_default();
    let policy = record.get::<PolicyValue>(keys::DRIVE_POLICY).await?.map(|found| found.value);
    let wishes = wishes(record, &app.node_id).await?;
    let mut by_id: BTreeMap<String, WishValue> =
        wishes.iter().map(|wish| (wish.value.drive.clone(), wish.value.clone())).collect();
    weigh(&mut by_id, &mut told.weighed, looked >= told.due);
    let shared = elsewhere(record, &app.node_id, &seen).await?;
    let around = Around {
        node: &app.config.hostname,
        node_id: &app.node_id,
        policy: policy.unwrap_or_default().of(&app.node_id),
        wishes: &by_id,
        boot: boot(&app.boot_drives.report()),
        elsewhere: &shared,
        used: &|seen: &Seen| users::usage(users, seen),
    };
    let drives = inventory::update(&before, &seen, &around, now());
    log(&before, &drives);
    remember(app, &drives);
    let other = said.is_some_and(|said| said != before);
    if other || inventory::differs(&before, &drives) {
        let value = DrivesValue { drives: drives.clone() };
        record.commit(Change::default().put(&key, &value)?).await?;
        // Of two nodes that tell of a drive at the same moment one at least sees that the other does.
        if elsewhere(record, &app.node_id, &seen).await? != shared {
            app.drives.news.notify_one();
        }
        told.drives = Some(value.drives);
    } else {
        told.drives = Some(before); // and from there it is counted how much warmer a drive became
    }
    told.sure = true;
    forget(record, &wishes, &drives).await?;
    revoke(record, &wishes, &seen, &drives).await
}

/// Which of the drives that were seen another node tells of, too, as one that both reach: by id, the name of that node.
async fn elsewhere(
    record: &Record,
    own: &str,
    seen: &[Seen],
) -> Result<BTreeMap<String, String>, RecordError> {
    // Those that the node starts from are its own.
    let may: BTreeSet<&str> =
        seen.iter().filter(|drive| drive.boot.is_none()).map(|drive| drive.id.as_str()).collect();
    if may.is_empty() {
        return Ok(BTreeMap::new());
    }
    let told = record.list_keyed::<DrivesValue>(keys::DRIVES).await?;
    let others = told.into_iter().filter(|(id, _)| id != own).flat_map(|(_, value)| value.drives);
    let both = others.filter(|drive| drive.state != State::Gone && may.contains(drive.id.as_str()));
    Ok(both.map(|drive| (drive.id, drive.node)).collect())
}

/// What people want of drives in this node.
async fn wishes(record: &Record, node: &str) -> Result<Vec<Versioned<WishValue>>, RecordError> {
    let mut all = record.list::<WishValue>(keys::DRIVE_WISHES).await?;
    all.retain(|wish| wish.value.node == node);
    Ok(all)
}

/// Takes wishes back that are about drives which need not be remembered any more.
async fn forget(
    record: &Record,
    wishes: &[Versioned<WishValue>],
    drives: &[Drive],
) -> Result<(), RecordError> {
    let stale = |wish: &&Versioned<WishValue>| drives.iter().all(|drive| drive.id != wish.value.drive);
    for wish in wishes.iter().filter(stale) {
        let key = store::wish_key(&wish.value.drive);
        // Somebody may want something else of it at this moment: that stays.
        record.commit(Change::default().if_unchanged(&key, wish.revision).delete(&key)).await?;
    }
    Ok(())
}

/// Takes consents back that have outlived what they were given to.
async fn revoke(
    record: &Record,
    wishes: &[Versioned<WishValue>],
    seen: &[Seen],
    drives: &[Drive],
) -> Result<(), RecordError> {
    for wish in wishes {
        let drive = drives.iter().find(|drive| drive.id == wish.value.drive);
        let seen = seen.iter().find(|seen| seen.id == wish.value.drive);
        if !drive.is_some_and(|drive| outlived(&wish.value, drive, seen)) {
            continue;
        }
        let key = store::wish_key(&wish.value.drive);
        let left = WishValue { consent: None, ..wish.value.clone() };
        let change = Change::default().if_unchanged(&key, wish.revision);
        let change = if left.retire.is_some() { change.put(&key, &left)? } else { change.delete(&key) };
        if record.commit(change).await? {
            tracing::info!(id = wish.value.drive, "consent to take a drive has ended");
        }
    }
    Ok(())
}

/// Whether a consent counts no longer: the drive was away, or somebody else has had it for himself. What is on it may have
/// gone elsewhere, been used, and come back. Pure.
fn outlived(wish: &WishValue, drive: &Drive, seen: Option<&Seen>) -> bool {
    let held = seen.is_some_and(|seen| !seen.held.is_empty());
    wish.consent.is_some() && (drive.state == State::Gone || (held && drive.state == State::Refused))
}

/// How the boot drives are, as far as it matters here. Pure.
pub(super) fn boot(report: &BootDrives) -> Boot {
    let missing = report.drives.iter().any(|drive| drive.device.is_none());
    Boot {
        lacks: missing || matches!(report.state, BootState::Degraded | BootState::Unknown),
        healing: matches!(report.heal, Heal::Running { .. }),
        needed: users::needed(report),
    }
}

/// What the API, the console and the metrics tell from now on.
fn remember(app: &App, drives: &[Drive]) {
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
    shared.told = true;
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

    use maekin_rootfs::drives::Found;
    use maekin_rootfs::node::ClusterIntent;

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
        let consent = ConsentValue { token: token.into(), by: "eva".into(), at: 1 };
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
            let value = DrivesValue { drives: vec![Drive { state, ..other.clone() }] };
            let change = Change::default().put(&under(keys::DRIVES, "n2"), &value).unwrap();
            assert!(record.commit(change).await.unwrap());
        };
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
