//! The loop: follows this node's settings in the record, asks every applier for its part, and tells what became of it.
//! What is decided lies in [`super::plan`] and [`super::conditions`].

use std::sync::Arc;
use std::time::Duration;

use maekin_api::settings::{ConditionStatus, SettingsStatus, condition};
use tokio::sync::watch;
use tokio::task::JoinSet;

use super::applier::{Applier, Outcome, Wanted};
use super::node_file::{self, NodeFileError};
use super::{appliers, check, conditions};
use crate::app::{App, Member};
use crate::clock::now;
use crate::errors::chain;
use crate::record::keys::{self, under};
use crate::record::values::SettingsValue;
use crate::record::watch::Watch;
use crate::record::{Change, Record, RecordError};

/// How often everything is looked at though nothing has changed: somebody may have changed a file by hand.
const RESYNC: Duration = Duration::from_secs(600);
/// How soon what failed is tried again, at first and at most.
const FIRST_PAUSE: Duration = Duration::from_secs(2);
const LONGEST_PAUSE: Duration = Duration::from_secs(300);
/// How often a record that was not reached is asked again, at least.
const RECORD_PAUSE: Duration = Duration::from_secs(30);
/// How long the status may still change before it is told: several parts end at about the same time.
const SETTLE: Duration = Duration::from_millis(250);
/// The settings in the record cannot be read by this release.
const NOT_UNDERSTOOD: &str = "NotUnderstood";

/// It cannot be told how this node shall be.
#[derive(Debug, thiserror::Error)]
enum PlanError {
    /// The node file.
    #[error(transparent)]
    NodeFile(#[from] NodeFileError),
    /// Whoever wrote the settings did not check them as this release does.
    #[error(
        "the settings in the record cannot be used by this release: {0}; write others, or upgrade this node"
    )]
    Unusable(String),
}

/// What is wanted now; `None`: there never were settings, and nothing is touched.
type Target = watch::Receiver<Option<Arc<Wanted>>>;

/// Keeps this node as its settings say for as long as this future is polled.
pub(crate) async fn keep(app: Arc<App>, member: Arc<Member>) {
    let all = appliers::all(&app, &member);
    run(app, member, all).await;
}

/// The same with these appliers.
pub(super) async fn run(app: Arc<App>, member: Arc<Member>, appliers: Vec<Arc<dyn Applier>>) {
    let (wanted, target) = watch::channel(None);
    let parts: Arc<[&'static str]> = appliers.iter().map(|applier| applier.condition()).collect();
    let mut tasks = JoinSet::new();
    for applier in appliers {
        // Each by itself: one that waits, or panics, stops no other.
        tasks.spawn(drive(Arc::clone(&app), applier, Arc::clone(&parts), target.clone()));
    }
    tokio::join!(follow(&app, &member.record, &wanted), tell(&app, &member.record));
}

/// Reads the settings whenever they change.
async fn follow(app: &App, record: &Record, wanted: &watch::Sender<Option<Arc<Wanted>>>) {
    let key = under(keys::NODE_SETTINGS, &app.node_id);
    let mut pause = FIRST_PAUSE;
    loop {
        let opened = async {
            let at = record.revision().await?;
            // What is behind `at` is told by the watch; what is before it is read now.
            let watch = record.watch(&key, at.saturating_add(1)).await?;
            look(app, record, &key, wanted).await?;
            Ok::<Watch, RecordError>(watch)
        };
        match opened.await {
            Ok(mut watch) => {
                pause = FIRST_PAUSE;
                // Until it breaks off, or it is time to look without being told.
                while let Ok(Some(_)) = tokio::time::timeout(RESYNC, watch.next()).await {
                    if let Err(e) = look(app, record, &key, wanted).await {
                        tracing::debug!(error = %chain(&e), "the settings of this node are not read");
                        break;
                    }
                }
            }
            // The node keeps what it has applied.
            Err(e) => tracing::debug!(error = %chain(&e), "the settings of this node are not read"),
        }
        tokio::time::sleep(pause).await;
        pause = (pause * 2).min(RECORD_PAUSE);
    }
}

/// Reads the settings once. Settings that are not understood change nothing, and are said to be so.
async fn look(
    app: &App,
    record: &Record,
    key: &str,
    wanted: &watch::Sender<Option<Arc<Wanted>>>,
) -> Result<(), RecordError> {
    let found = match record.get::<SettingsValue>(key).await {
        Ok(found) => found.map(|found| found.value),
        Err(e @ (RecordError::Value { .. } | RecordError::Newer { .. })) => {
            seed_once(app, record).await?;
            trouble(app, &chain(&e));
            return Ok(());
        }
        Err(e) => return Err(e),
    };
    match plan(app, found) {
        Ok(None) => {}
        Ok(Some(next)) => {
            if wanted.borrow().is_none() {
                seed(app, record).await?;
            }
            wanted.send_if_modified(|now| {
                let new = now.as_deref() != Some(&next);
                if new {
                    *now = Some(Arc::new(next));
                }
                new
            });
        }
        Err(e) => {
            seed_once(app, record).await?;
            trouble(app, &chain(&e));
        }
    }
    Ok(())
}

/// What is wanted, where there are settings or were some.
fn plan(app: &App, found: Option<SettingsValue>) -> Result<Option<Wanted>, PlanError> {
    if found.is_none() && !node_file::touched(&app.settings)? {
        return Ok(None);
    }
    let value = found.unwrap_or_default();
    let problems = check::problems(&value.spec);
    if !problems.is_empty() {
        return Err(PlanError::Unusable(problems.join("; ")));
    }
    let installed = node_file::installed(&app.settings)?;
    Ok(Some(Wanted {
        generation: value.generation,
        network_generation: value.network_generation,
        spec: value.spec,
        installed,
    }))
}

/// The same where nothing was read yet: what is known of parts is not forgotten for settings that cannot be used.
async fn seed_once(app: &App, record: &Record) -> Result<(), RecordError> {
    if app.desired.seeded.get().is_some() { Ok(()) } else { seed(app, record).await }
}

/// What this node told before it was started: since when things are as they are.
async fn seed(app: &App, record: &Record) -> Result<(), RecordError> {
    let key = under(keys::NODE_STATUS, &app.node_id);
    let told = match record.get::<SettingsStatus>(&key).await {
        Ok(told) => told.map(|told| told.value).unwrap_or_default(),
        Err(RecordError::Value { .. } | RecordError::Newer { .. }) => SettingsStatus::default(),
        Err(e) => return Err(e),
    };
    app.desired.seeded.get_or_init(|| told.clone());
    app.desired.status.send_replace(told);
    Ok(())
}

fn trouble(app: &App, why: &str) {
    tracing::warn!(error = why, "the settings of this node are not applied");
    app.desired.status.send_modify(|status| {
        let outcome = Outcome::failed(NOT_UNDERSTOOD, why);
        let generation = status.observed_generation;
        conditions::note(status, condition::READY, &outcome, generation, now());
    });
}

/// Asks an applier whenever something else is wanted, and again when it failed.
async fn drive(app: Arc<App>, applier: Arc<dyn Applier>, parts: Arc<[&'static str]>, mut target: Target) {
    let mut pause = FIRST_PAUSE;
    loop {
        let wanted = target.borrow_and_update().clone();
        let wait = match &wanted {
            None => RESYNC,
            Some(wanted) => {
                let outcome = applier.apply(wanted).await;
                note(&app, &*applier, &parts, &outcome, wanted.generation);
                let failed = outcome.status == ConditionStatus::False;
                let wait = outcome.again.unwrap_or(if failed { pause } else { RESYNC });
                pause = if failed { (pause * 2).min(LONGEST_PAUSE) } else { FIRST_PAUSE };
                wait
            }
        };
        match tokio::time::timeout(wait, target.changed()).await {
            Ok(Ok(())) => pause = FIRST_PAUSE,
            Ok(Err(_)) => return, // the reconciler has ended
            Err(_) => {}
        }
    }
}

fn note(app: &App, applier: &dyn Applier, parts: &[&str], outcome: &Outcome, generation: u64) {
    let kind = applier.condition();
    app.desired.status.send_if_modified(|status| {
        let before = status.clone();
        conditions::note(status, kind, outcome, generation, now());
        conditions::sum(status, parts, generation, now());
        *status != before
    });
    if outcome.status == ConditionStatus::False {
        let (reason, message) = (outcome.reason, &outcome.message);
        tracing::warn!(
            part = kind,
            reason,
            message,
            generation,
            "a setting is not applied; it is tried again"
        );
    }
}

/// Writes the status into the record, when it has changed.
async fn tell(app: &App, record: &Record) {
    let key = under(keys::NODE_STATUS, &app.node_id);
    let mut status = app.desired.status.subscribe();
    // What an earlier run of this could not tell any more is told now.
    status.mark_changed();
    let nothing = SettingsStatus::default();
    let mut told = None;
    let mut pause = FIRST_PAUSE;
    loop {
        if status.changed().await.is_err() {
            return; // the agent has ended
        }
        loop {
            tokio::time::sleep(SETTLE).await;
            let now = status.borrow_and_update().clone();
            if *told.as_ref().or(app.desired.seeded.get()).unwrap_or(&nothing) == now {
                break;
            }
            let write = async { record.commit(Change::default().put(&key, &now)?).await };
            match write.await {
                Ok(_) => {
                    told = Some(now);
                    pause = FIRST_PAUSE;
                    break;
                }
                Err(e) => {
                    tracing::debug!(error = %chain(&e), "the status of the settings is not told");
                    tokio::time::sleep(pause).await;
                    pause = (pause * 2).min(RECORD_PAUSE);
                }
            }
        }
    }
}
