//! The loop: follows this node's volumes in the record, has the engine of each class make them so, and tells what became of
//! them. What is decided lies in [`super::plan`] and [`super::tell`].

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use maekin_api::storage::NodeStorage;
use tokio::sync::watch;
use tokio::task::JoinSet;

use super::engine::{Engine, EngineError, Seen, Step};
use super::plan::{self, Own, Plan, concerns};
use super::tell::{self, Failure};
use super::values::{AttachedValue, PartValue, VolumeValue};
use crate::app::{App, Member};
use crate::clock::now;
use crate::errors::chain;
use crate::record::keys::{self, under};
use crate::record::watch::{Heard, Watch};
use crate::record::{Record, RecordError, Versioned};

/// How often everything is looked at though nothing has changed, while there are volumes.
const RESYNC: Duration = Duration::from_secs(600);
/// How often it is looked how much room there is, while there are volumes; and while there is little.
const GLANCE: Duration = Duration::from_secs(60);
const GLANCE_FULL: Duration = Duration::from_secs(10);
/// Hundredths of a percent in use that are little room: a writer can fill what is left soon.
const LITTLE: u16 = 7000;
/// How soon what waits for something else on this node is looked at again, at first and at most: what has a volume open may
/// have it for months.
const WAITS: Duration = Duration::from_secs(10);
const LONGEST_WAIT: Duration = Duration::from_secs(60);
/// How soon what failed is tried again, at first and at most.
const FIRST_PAUSE: Duration = Duration::from_secs(2);
const LONGEST_PAUSE: Duration = Duration::from_secs(300);
/// How often a record that was not reached is asked again, at least.
const RECORD_PAUSE: Duration = Duration::from_secs(30);
/// How long further changes are waited for before volumes are read again: several come together.
const SETTLE: Duration = Duration::from_millis(100);
/// Most of those.
const TOGETHER: usize = 20;
/// Most times that one pass looks, plans and applies.
const ROUNDS: usize = 8;
/// How long what was seen is believed: nobody else changes it, and each look takes its time.
const FRESH: Duration = Duration::from_secs(2);

/// A pass ended early.
#[derive(Debug, thiserror::Error)]
enum PassError {
    /// The record.
    #[error(transparent)]
    Record(#[from] RecordError),
    /// The engine.
    #[error(transparent)]
    Engine(#[from] EngineError),
}

/// What this node is to have.
#[derive(Debug, Clone, Default)]
struct Target {
    /// Another one where the record may be another one than before, as one that was put back from a copy: what this node
    /// told the one before means nothing then.
    epoch: u64,
    /// The volumes that this node has something of; `None`: they were not read yet.
    volumes: Option<Arc<Vec<Versioned<VolumeValue>>>>,
}

/// Keeps this node's volumes as they shall be for as long as this future is polled.
pub(crate) async fn keep(app: Arc<App>, member: Arc<Member>) {
    if app.boot.is_none() {
        return; // not on an installed node: nothing here keeps volumes
    }
    let local = crate::storage::local::Local::new(Arc::clone(&app));
    run(app, member, vec![Arc::new(local)]).await;
}

/// The same with these engines.
pub(super) async fn run(app: Arc<App>, member: Arc<Member>, engines: Vec<Arc<dyn Engine>>) {
    let (sender, target) = watch::channel(Target::default());
    let mut hands = JoinSet::new();
    for engine in engines {
        // Each by itself: one that waits, or panics, stops no other.
        hands.spawn(Hand::new(&app, &member, engine).drive(target.clone()));
    }
    follow(&app, &member.record, &sender).await;
}

/// Reads this node's volumes whenever volumes change.
async fn follow(app: &App, record: &Record, target: &watch::Sender<Target>) {
    let mut pause = FIRST_PAUSE;
    let (mut epoch, mut last) = (0, 0);
    loop {
        let opened = async {
            let at = record.revision().await?;
            if at < last {
                epoch += 1; // an earlier record
            }
            last = at;
            // What is behind `at` is told by the watch; what is before it is read now.
            let watch = record.watch(keys::VOLUMES, at.saturating_add(1)).await?;
            look(app, record, target, epoch).await?;
            Ok::<Watch, RecordError>(watch)
        };
        match opened.await {
            Ok(mut watch) => {
                pause = FIRST_PAUSE;
                while let Ok(heard) = tokio::time::timeout(RESYNC, watch.next()).await {
                    if !matches!(heard, Some(Heard::Changes(_))) {
                        epoch += 1; // who knows which record answers next
                        break;
                    }
                    for _ in 0..TOGETHER {
                        let Ok(Some(_)) = tokio::time::timeout(SETTLE, watch.next()).await else { break };
                    }
                    if let Err(e) = look(app, record, target, epoch).await {
                        tracing::debug!(error = %chain(&e), "the volumes are not read");
                        epoch += 1;
                        break;
                    }
                }
            }
            // What is attached stays so, and nothing new is.
            Err(e) => tracing::debug!(error = %chain(&e), "the volumes are not read"),
        }
        tokio::time::sleep(pause).await;
        pause = (pause * 2).min(RECORD_PAUSE);
    }
}

async fn look(
    app: &App,
    record: &Record,
    target: &watch::Sender<Target>,
    epoch: u64,
) -> Result<(), RecordError> {
    let mut all = super::store::list(record).await?;
    all.retain(|found| found.value.holders.contains(&app.node_id));
    target.send_if_modified(|now| {
        let new = now.epoch != epoch || now.volumes.as_deref() != Some(&all);
        if new {
            *now = Target { epoch, volumes: Some(Arc::new(all)) };
        }
        new
    });
    Ok(())
}

/// What is to be done after a pass.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum After {
    /// Something failed: again, at growing distances.
    Again,
    /// Something waits for what only the engine sees.
    Waits,
    /// Everything is as it shall be.
    Settled,
}

/// How long it is waited until the next look.
#[derive(Debug)]
struct Pauses {
    again: Duration,
    waits: Duration,
}

impl Default for Pauses {
    fn default() -> Self {
        Self { again: FIRST_PAUSE, waits: WAITS }
    }
}

impl Pauses {
    /// After a pass that came to this.
    fn next(&mut self, after: After) -> Duration {
        let Self { again, waits } = std::mem::take(self);
        match after {
            After::Again => {
                self.again = (again * 2).min(LONGEST_PAUSE);
                again
            }
            After::Waits => {
                self.waits = (waits * 2).min(LONGEST_WAIT);
                waits
            }
            After::Settled => RESYNC,
        }
    }
}

/// An engine, and what this node has told of its volumes.
struct Hand {
    app: Arc<App>,
    member: Arc<Member>,
    engine: Arc<dyn Engine>,
    /// See [`Target::epoch`].
    epoch: u64,
    /// What the record has of it, by the volume's name; `None`: not read yet.
    told: Option<BTreeMap<String, PartValue>>,
    /// Attachments that were carried out and are not told yet, by the volume's id.
    carried: BTreeMap<String, AttachedValue>,
    /// What was seen last.
    last: Option<(Instant, Seen)>,
}

impl Hand {
    fn new(app: &Arc<App>, member: &Arc<Member>, engine: Arc<dyn Engine>) -> Self {
        let (app, member) = (Arc::clone(app), Arc::clone(member));
        Self { app, member, engine, epoch: 0, told: None, carried: BTreeMap::new(), last: None }
    }

    async fn drive(mut self, mut target: watch::Receiver<Target>) {
        let mut pauses = Pauses::default();
        loop {
            let Target { epoch, volumes } = target.borrow_and_update().clone();
            if std::mem::replace(&mut self.epoch, epoch) != epoch {
                // A volume that was deleted, and that this record has again, is lost: it is not made anew, empty.
                self.told = None;
                self.carried.clear();
                self.app.storage.untold();
            }
            let Some(volumes) = volumes else {
                // Volumes of before may be in use while the record does not say what they are: the pool is theirs, too.
                match tokio::time::timeout(self.next_glance(), target.changed()).await {
                    Ok(Err(_)) => return, // the reconciler has ended
                    Ok(Ok(())) => {}
                    Err(_) => self.watch_pool().await,
                }
                continue;
            };
            let class = self.engine.class();
            let volumes: Vec<_> =
                volumes.iter().filter(|found| found.value.class == class).cloned().collect();
            let after = match self.pass(&volumes).await {
                Ok(after) => after,
                Err(e) => {
                    tracing::debug!(class = class.word(), error = %chain(&e), "volumes are not looked at");
                    if let PassError::Engine(e) = &e {
                        let (app, member, told) = (&self.app, &self.member, self.told.as_ref());
                        app.storage.unusable(app, member, &chain(e), &volumes, told).await;
                    }
                    After::Again
                }
            };
            let wait = pauses.next(after);
            if !self.rest(&mut target, wait, &volumes).await {
                return;
            }
        }
    }

    /// Waits until there is something to do, and looks meanwhile how much room there is; false when the reconciler has
    /// ended.
    async fn rest(
        &mut self,
        target: &mut watch::Receiver<Target>,
        wait: Duration,
        volumes: &[Versioned<VolumeValue>],
    ) -> bool {
        let begun = Instant::now();
        loop {
            let left = wait.saturating_sub(begun.elapsed());
            let next = next_look(left, wait, !volumes.is_empty(), self.next_glance());
            let app = Arc::clone(&self.app);
            tokio::select! {
                changed = target.changed() => return changed.is_ok(),
                () = app.storage.called() => return true,
                () = tokio::time::sleep(next.unwrap_or_default()), if next.is_some() => {
                    if begun.elapsed() >= wait {
                        return true;
                    }
                    if self.glance(volumes, wait).await {
                        return true;
                    }
                }
            }
        }
    }

    /// How long it is until the next look how much room there is.
    fn next_glance(&self) -> Duration {
        let little = |storage: &NodeStorage| storage.used_share >= LITTLE || storage.metadata_share >= LITTLE;
        let seen = self.last.as_ref().is_some_and(|(_, seen)| little(&seen.storage));
        if seen || self.app.storage.report().is_some_and(|storage| little(&storage)) {
            GLANCE_FULL
        } else {
            GLANCE
        }
    }

    /// Looks after the pool, where nothing else is known of what this node is to have.
    async fn watch_pool(&mut self) {
        let call = match (self.engine.glance().await, &self.last) {
            (Ok(Some(storage)), Some((_, before))) => crate::storage::calls(&before.storage, &storage),
            // It was not looked at yet, or is not there any more.
            _ => true,
        };
        if call {
            self.last = None;
            if let Err(e) = self.observe_tended().await {
                tracing::debug!(error = %chain(&e), "the pool is not looked after");
            }
        }
    }

    /// Looks how much room there is; true where more is to be done than to say so.
    async fn glance(&mut self, volumes: &[Versioned<VolumeValue>], wait: Duration) -> bool {
        let seen = match self.engine.glance().await {
            Ok(Some(storage)) => storage,
            Ok(None) => return false,
            Err(e) => {
                tracing::debug!(error = %chain(&e), "it is not known how much room there is");
                // What fails is looked at soon as it is, at its own distances.
                return wait == RESYNC;
            }
        };
        let before = self.last.as_ref().map(|(_, seen)| seen.storage.clone()).unwrap_or_default();
        // The engine looks after the pool whenever it looks at all of it.
        let call = crate::storage::calls(&before, &seen);
        if let Some((_, last)) = &mut self.last {
            last.storage = seen;
            let last = last.clone();
            self.app.storage.looked(&self.app, &self.member, &last, volumes, self.told.as_ref()).await;
        }
        call
    }

    async fn observe(&mut self) -> Result<Seen, EngineError> {
        if let Some((at, seen)) = &self.last
            && at.elapsed() < FRESH
        {
            return Ok(seen.clone());
        }
        let seen = self.engine.observe().await?;
        self.last = Some((Instant::now(), seen.clone()));
        Ok(seen)
    }

    /// The same, after the engine has done what it needs for itself.
    async fn observe_tended(&mut self) -> Result<Seen, EngineError> {
        let seen = self.observe().await?;
        match self.engine.tend(&seen).await {
            Ok(false) => Ok(seen),
            Ok(true) => {
                self.last = None;
                self.observe().await
            }
            // What is there is not worse for it; the pool's alarms say how it is.
            Err(e) => {
                tracing::warn!(error = %chain(&e), "the pool is not looked after");
                Ok(seen)
            }
        }
    }

    /// Observes, plans, applies, and observes again, until nothing is left to do.
    async fn pass(&mut self, volumes: &[Versioned<VolumeValue>]) -> Result<After, PassError> {
        if let Err(e) = self.seed(volumes).await {
            // What the pool needs, it needs whether the record is reached or not.
            self.observe_tended().await?;
            return Err(e.into());
        }
        let mut failures: BTreeMap<String, Failure> = BTreeMap::new();
        let mut plans = Vec::new();
        for _ in 0..ROUNDS {
            let seen = self.observe_tended().await?;
            plans = self.plan(volumes, &seen);
            let mut applied = false;
            for (found, plan) in volumes.iter().zip(&plans) {
                if failures.contains_key(&found.value.name) {
                    continue;
                }
                for step in &plan.steps {
                    match self.apply(&found.value, step).await {
                        Ok(()) => applied = true,
                        Err(failure) => {
                            failures.insert(found.value.name.clone(), failure);
                            break;
                        }
                    }
                }
            }
            if !applied {
                break;
            }
            self.last = None;
        }
        let after = self.tell(volumes, &plans, &failures).await;
        // A record that is not reached keeps no alarm of this node's from being up to date.
        if let Some((_, seen)) = self.last.clone() {
            self.app.storage.looked(&self.app, &self.member, &seen, volumes, self.told.as_ref()).await;
        }
        Ok(after?)
    }

    /// Reads once, of each record, what this node has told, and drops what is of no volume any more.
    async fn seed(&mut self, volumes: &[Versioned<VolumeValue>]) -> Result<(), RecordError> {
        if self.told.is_none() {
            // Of a cluster without volumes there is nothing to be read.
            let parts = match volumes.is_empty() {
                true => Vec::new(),
                false => self.member.record.list_known::<PartValue>(keys::VOLUME_STATUS).await?,
            };
            let own = parts.into_iter().map(|part| part.value).filter(|part| part.node == self.app.node_id);
            self.told = Some(own.map(|part| (part.name.clone(), part)).collect());
        }
        if let Some(told) = &mut self.told {
            told.retain(|name, part| {
                volumes.iter().any(|found| found.value.name == *name && found.value.id == part.volume)
            });
        }
        self.carried.retain(|id, _| volumes.iter().any(|found| found.value.id == *id));
        Ok(())
    }

    fn plan(&self, volumes: &[Versioned<VolumeValue>], seen: &Seen) -> Vec<Plan> {
        let mut all = Vec::with_capacity(volumes.len());
        for Versioned { value, .. } in volumes {
            let mut told = self.told(&value.name).cloned().unwrap_or_default();
            if let Some(carried) = self.carried.get(&value.id) {
                told.attached = Some(carried.clone());
            }
            all.push(Own { value, told });
        }
        let bonds = plan::bonds(&all, seen);
        let now = now();
        all.iter().map(|own| plan::plan(&self.app.node_id, own, seen, &bonds, now)).collect()
    }

    fn told(&self, name: &str) -> Option<&PartValue> {
        self.told.as_ref()?.get(name)
    }

    async fn apply(&mut self, value: &VolumeValue, step: &Step) -> Result<(), Failure> {
        let kind = concerns(step, value.deleting.is_some());
        let failed = |reason: &'static str, message: String| {
            tracing::warn!(volume = value.name, ?step, reason, message, "a volume is not as it shall be");
            Failure { kind, reason, message }
        };
        let Step::Attach { id, token } = step else {
            tracing::info!(volume = value.name, ?step, "volumes");
            return self.engine.apply(step).await.map_err(|e| failed("Failed", chain(&e)));
        };
        // Nothing new is attached by a node that others may think gone: it has a quorum, and the attachment is still its
        // own, before and after.
        let no_quorum = "this node does not reach a quorum of the record, and attaches nothing until it does";
        if !self.holds() {
            return Err(failed("NoQuorum", no_quorum.to_owned()));
        }
        let key = under(keys::VOLUMES, &value.name);
        let found = self.member.record.get::<VolumeValue>(&key).await;
        let now = found.map_err(|e| failed("NoQuorum", chain(&e)))?.map(|found| found.value);
        let own = |now: &VolumeValue| {
            let attachment = now.attached_to(&self.app.node_id);
            now.id == *id && attachment.is_some_and(|a| a.token == *token && !a.releasing)
        };
        if !now.as_ref().is_some_and(own) {
            return Err(failed("Changed", "the attachment was taken back meanwhile".to_owned()));
        }
        tracing::info!(volume = value.name, ?step, "volumes");
        self.engine.apply(step).await.map_err(|e| failed("Failed", chain(&e)))?;
        if !self.holds() {
            let back = self.engine.apply(&Step::Detach { id: id.clone() }).await;
            let why =
                back.err().map(|e| format!("; it is not taken back: {}", chain(&e))).unwrap_or_default();
            return Err(failed("NoQuorum", format!("{no_quorum}{why}")));
        }
        self.carried.insert(id.clone(), AttachedValue { token: *token, device: String::new() });
        Ok(())
    }

    fn holds(&self) -> bool {
        self.app.quorum().borrow().holds(Instant::now())
    }

    /// Tells the record what is there, and what it may forget.
    async fn tell(
        &mut self,
        volumes: &[Versioned<VolumeValue>],
        plans: &[Plan],
        failures: &BTreeMap<String, Failure>,
    ) -> Result<After, RecordError> {
        let mut after = if failures.is_empty() { After::Settled } else { After::Again };
        let (record, node) = (self.member.record.clone(), self.app.node_id.clone());
        for (found, plan) in volumes.iter().zip(plans) {
            let name = &found.value.name;
            if !plan.forget.is_empty() && !tell::forget(&record, found, &node, &plan.forget).await? {
                continue; // changed meanwhile: word of that is on its way
            }
            if plan.forget.volume {
                tracing::info!(
                    volume = name,
                    id = found.value.id,
                    "nothing of a deleted volume is left here"
                );
                self.told.get_or_insert_default().remove(name);
                continue;
            }
            let before = self.told(name).cloned().unwrap_or_default();
            let part = tell::plan_part(plan, &before, failures.get(name), now());
            if waits(plan, &part) && after == After::Settled {
                after = After::Waits;
            }
            if part != before && tell::part(&record, found, &part).await? {
                self.told.get_or_insert_default().insert(name.clone(), part);
            }
        }
        Ok(after)
    }
}

/// Whether something about a volume changes without a word of the record: who has it open does not say when he has done,
/// and what is left to be done is gone on with. What waits for another volume is seen when that is made. Pure.
fn waits(plan: &Plan, part: &PartValue) -> bool {
    !plan.steps.is_empty() || part.conditions.iter().any(|c| c.reason == plan::IN_USE)
}

/// How long it is until something is looked at, where `left` of a `wait` is: all of it at its end, and before that how much
/// room there is. `None`: nothing is, until somebody says so. Pure.
fn next_look(left: Duration, wait: Duration, volumes: bool, glance: Duration) -> Option<Duration> {
    match volumes {
        // Whatever failed, or waits: what is in use goes on to fill the pool.
        true => Some(left.min(glance)),
        // Without volumes nothing changes by itself.
        false if wait == RESYNC => None,
        false => Some(left),
    }
}

#[cfg(test)]
mod tests;
