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
mod tests;
