//! Which tasks this node takes. It hears of tasks and of who works at them by one watch on the record, and asks nothing
//! while there are none.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use maekin_api::tasks::{State, UnderWay};
use tokio::sync::watch;
use tokio::task::JoinSet;
use tracing::Instrument;

use super::claim::{Claim, Pace};
use super::plan::{self, Take, Us};
use super::run::{self, Hands};
use super::store;
use super::values::{OwnerValue, TaskValue};
use crate::app::{App, Member};
use crate::clock::now;
use crate::errors::chain;
use crate::record::keys::{self, under};
use crate::record::watch::{Heard, Touched};
use crate::record::{Record, RecordError};

/// How soon a watch that broke off is opened again.
const AGAIN: Duration = Duration::from_secs(2);
/// How often the leader looks at tasks that nobody works at, while there are some.
const LOOK: Duration = Duration::from_secs(60);
/// How often the leader drops what is kept no longer.
const TRIM: Duration = Duration::from_secs(3600);
/// How long after others were faster, or the record let us down, a task is tried again.
const PAUSE: Duration = Duration::from_secs(3);
/// Tasks under way that a node tells of.
const TOLD: usize = 20;

/// What a node knows of the cluster's tasks.
#[derive(Debug, Default)]
pub(crate) struct Keeper {
    shared: Mutex<Shared>,
}

#[derive(Debug, Default)]
struct Shared {
    open: BTreeMap<String, Open>,
    /// How the tasks ended that this node worked at.
    ended: BTreeMap<State, u64>,
}

/// A task that is not over.
#[derive(Debug)]
struct Open {
    task: TaskValue,
    claimed: bool,
    /// Since when nobody works at it, as far as we know.
    since: Instant,
    /// Not before then.
    not_before: Option<Instant>,
    /// We work at it: who is told of changes, by their revision.
    ours: Option<watch::Sender<i64>>,
}

impl Keeper {
    fn lock(&self) -> MutexGuard<'_, Shared> {
        self.shared.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Tasks of the cluster that are under way, the oldest first.
    pub(crate) fn under_way(&self) -> Vec<UnderWay> {
        let shared = self.lock();
        let told = |open: &Open| {
            let task = open.task.show(open.claimed);
            let owner = task.owner.filter(|_| open.claimed).map(|owner| owner.name).unwrap_or_default();
            UnderWay { id: task.id, kind: task.kind, subject: task.subject, owner }
        };
        shared.open.values().take(TOLD).map(told).collect()
    }

    /// How many tasks a node works at.
    pub(crate) fn works_at(&self, node: &str) -> usize {
        let is_its = |open: &&Open| open.claimed && open.task.owner.as_ref().is_some_and(|o| o.id == node);
        self.lock().open.values().filter(is_its).count()
    }

    /// How many tasks of the cluster wait and run, and how those ended that this node worked at.
    pub(crate) fn counts(&self) -> BTreeMap<State, u64> {
        let shared = self.lock();
        let mut counts = shared.ended.clone();
        for open in shared.open.values() {
            let state = if open.claimed { State::Running } else { State::Waiting };
            *counts.entry(state).or_default() += 1;
        }
        counts
    }
}

/// Works at the cluster's tasks for as long as it is polled.
pub(crate) async fn keep<H: Hands>(app: Arc<App>, member: Arc<Member>, hands: Arc<H>, pace: Pace) {
    let engine = Engine { app, member, hands, pace };
    // What an earlier run worked at ended with it: this node was away, and has another address now.
    engine.app.tasks.lock().open.clear();
    let mut runs = JoinSet::new(); // ended with us
    let mut trimmed = None;
    loop {
        if let Err(e) = engine.follow(&mut runs, &mut trimmed).await {
            tracing::info!(error = %chain(&e), "tasks");
        }
        tokio::time::sleep(AGAIN).await;
    }
}

struct Engine<H> {
    app: Arc<App>,
    member: Arc<Member>,
    hands: Arc<H>,
    pace: Pace,
}

/// A run that ended: which task, and how, where this node ended it.
type Ended = (String, Option<State>);

impl<H: Hands> Engine<H> {
    fn record(&self) -> &Record {
        &self.member.record
    }

    /// Until the watch breaks off. `trimmed` is when this node last dropped what is kept no longer.
    async fn follow(
        &self,
        runs: &mut JoinSet<Ended>,
        trimmed: &mut Option<Instant>,
    ) -> Result<(), RecordError> {
        let at = self.record().revision().await?;
        let mut watch = self.record().watch(keys::TASKS_AND_CLAIMS, at.saturating_add(1)).await?;
        self.load().await?;
        let mut standing = self.app.watch_standing();
        let mut looked = None;
        loop {
            let mut next = self.turn(runs);
            if self.app.leads() {
                if looked.is_none_or(|at: Instant| at.elapsed() >= LOOK) && self.waits() {
                    looked = Some(Instant::now());
                    self.end_abandoned().await?;
                }
                if trimmed.is_none_or(|at| at.elapsed() >= TRIM) {
                    *trimmed = Some(Instant::now());
                    // Where that fails, work goes on, and whoever makes a task where there is no room tries it too.
                    if let Err(e) = store::trim(self.record(), now()).await {
                        tracing::warn!(error = %chain(&e), "tasks that are kept no longer");
                    }
                }
                if self.waits() {
                    next = next.min(LOOK);
                }
            }
            let leads = self.app.leads();
            let changed = async {
                while self.app.leads() == leads {
                    // Its sender lives as long as `app`.
                    let _ = standing.changed().await;
                }
            };
            tokio::select! {
                heard = watch.next() => match heard {
                    Some(Heard::Changes(changes)) => self.heard(&changes).await?,
                    Some(Heard::Forgotten) | None => return Ok(()),
                },
                ended = runs.join_next(), if !runs.is_empty() => self.ended(ended),
                () = changed => {}
                () = tokio::time::sleep(next) => {}
            }
        }
    }

    /// Whether there is a task that nobody works at.
    fn waits(&self) -> bool {
        self.app.tasks.lock().open.values().any(|open| !open.claimed)
    }

    /// Everything anew.
    async fn load(&self) -> Result<(), RecordError> {
        let tasks = store::open(self.record()).await?;
        let claims = self.record().names(keys::TASK_CLAIMS).await?;
        let mut shared = self.app.tasks.lock();
        let mut old = std::mem::take(&mut shared.open);
        for task in tasks {
            let claimed = claims.contains(&task.id);
            let (since, ours) = match old.remove(&task.id) {
                Some(open) => (if open.claimed == claimed { open.since } else { Instant::now() }, open.ours),
                None => (Instant::now(), None),
            };
            let id = task.id.clone();
            shared.open.insert(id, Open { task, claimed, since, not_before: None, ours });
        }
        for open in shared.open.values() {
            if let Some(ours) = &open.ours {
                ours.send_replace(i64::MAX); // what was not heard may have been meant for us
            }
        }
        Ok(())
    }

    async fn heard(&self, changes: &[Touched]) -> Result<(), RecordError> {
        for change in changes {
            if let Some(id) = change.key.strip_prefix(keys::TASK_CLAIMS) {
                self.claim_changed(id, change.deleted).await?;
            } else if let Some(id) = change.key.strip_prefix(keys::TASKS) {
                self.task_changed(id, change).await?;
            }
        }
        Ok(())
    }

    async fn claim_changed(&self, id: &str, deleted: bool) -> Result<(), RecordError> {
        let known = match self.app.tasks.lock().open.get_mut(id) {
            Some(open) => {
                open.claimed |= !deleted;
                true
            }
            None => false,
        };
        // Who took it is told where tasks are named.
        if known { self.look(id).await } else { Ok(()) }
    }

    /// Most changes of a task are its owner's reports, which are nobody else's business.
    async fn task_changed(&self, id: &str, change: &Touched) -> Result<(), RecordError> {
        if change.deleted {
            self.app.tasks.lock().open.remove(id);
            return Ok(());
        }
        let known = {
            let shared = self.app.tasks.lock();
            match shared.open.get(id) {
                Some(Open { ours: Some(ours), .. }) => {
                    ours.send_replace(change.revision);
                    true
                }
                Some(open) => open.claimed,
                None => false,
            }
        };
        if known { Ok(()) } else { self.look(id).await }
    }

    /// Reads one task.
    async fn look(&self, id: &str) -> Result<(), RecordError> {
        let found = self.record().get::<TaskValue>(&under(keys::TASKS, id)).await;
        let task = match found {
            Ok(Some(found)) => found.value,
            Ok(None) => {
                self.app.tasks.lock().open.remove(id);
                return Ok(());
            }
            // A newer release's, or what is none: it is not ours to work at.
            Err(e @ (RecordError::Value { .. } | RecordError::Newer { .. })) => {
                tracing::debug!(error = %chain(&e), "a task is left to others");
                return Ok(());
            }
            Err(e) => return Err(e),
        };
        let claimed = store::claimed(self.record(), id).await?;
        let mut shared = self.app.tasks.lock();
        if task.over() {
            shared.open.remove(id);
            return Ok(());
        }
        let fresh = || Open {
            task: TaskValue::default(),
            claimed,
            since: Instant::now(),
            not_before: None,
            ours: None,
        };
        let open = shared.open.entry(id.to_owned()).or_insert_with(fresh);
        if open.claimed && !claimed {
            open.since = Instant::now();
        }
        (open.task, open.claimed) = (task, claimed);
        Ok(())
    }

    /// Takes what is ours to take; how long until something is to be looked at again.
    fn turn(&self, runs: &mut JoinSet<Ended>) -> Duration {
        let us = Us {
            id: &self.app.node_id,
            leads: self.app.leads(),
            maintenance: self.app.maintenance.of(&self.app.node_id).is_some(),
        };
        let mut next = TRIM;
        let mut shared = self.app.tasks.lock();
        let busy = shared.open.values().filter(|open| open.ours.is_some()).count();
        let mut places = plan::AT_ONCE.saturating_sub(busy);
        let waiting = shared.open.iter_mut().filter(|(_, open)| !open.claimed && open.ours.is_none());
        for (id, open) in waiting {
            let pause =
                open.not_before.map_or(Duration::ZERO, |at| at.saturating_duration_since(Instant::now()));
            match plan::take(&open.task, us, open.since.elapsed()) {
                Take::Never => {}
                Take::In(left) => next = next.min(left.max(pause)),
                Take::Now if !pause.is_zero() => next = next.min(pause),
                Take::Now if places == 0 => {} // one that ends wakes us
                Take::Now => {
                    places -= 1;
                    let (told, ours) = watch::channel(0);
                    open.ours = Some(told);
                    open.not_before = Some(Instant::now() + PAUSE);
                    runs.spawn(self.work(id.clone(), &open.task, ours));
                }
            }
        }
        next.max(Duration::from_millis(50))
    }

    fn work(
        &self,
        id: String,
        task: &TaskValue,
        ours: watch::Receiver<i64>,
    ) -> impl Future<Output = Ended> + Send + 'static {
        let (record, hands, pace) = (self.record().clone(), Arc::clone(&self.hands), self.pace);
        let owner =
            OwnerValue { id: self.app.node_id.clone(), name: self.app.config.hostname.clone(), since: now() };
        let span = tracing::info_span!("task", task = id, kind = task.kind, request = task.request_id);
        let work = async move {
            match Claim::take(&record, pace, &id, &owner).await {
                Ok(Some(claim)) => {
                    let subject = claim.task().await.show(true).subject;
                    tracing::info!(subject, "task begun");
                    (id, run::run(claim, hands, pace, ours).await)
                }
                Ok(None) => (id, None),
                Err(e) => {
                    tracing::info!(error = %chain(&e), "task not taken");
                    (id, None)
                }
            }
        };
        work.instrument(span)
    }

    fn ended(&self, ended: Option<Result<Ended, tokio::task::JoinError>>) {
        let mut shared = self.app.tasks.lock();
        match ended {
            Some(Ok((id, state))) => {
                if let Some(state) = state {
                    *shared.ended.entry(state).or_default() += 1;
                }
                if let Some(open) = shared.open.get_mut(&id) {
                    open.ours = None;
                    open.since = Instant::now();
                }
            }
            Some(Err(e)) => {
                // A panic of a step: its task is taken again when the claim has run out.
                tracing::error!(error = %e, "the work at a task ended early");
                for open in shared.open.values_mut() {
                    if open.ours.as_ref().is_some_and(|ours| ours.receiver_count() == 0) {
                        open.ours = None;
                    }
                }
            }
            None => {}
        }
    }

    /// Ends the tasks that nobody will work at any more.
    async fn end_abandoned(&self) -> Result<(), RecordError> {
        let members = self.record().names(keys::NODES).await?.into_iter().collect();
        let waiting: Vec<TaskValue> = {
            let shared = self.app.tasks.lock();
            shared.open.values().filter(|open| !open.claimed).map(|open| open.task.clone()).collect()
        };
        for task in waiting {
            if let Some(outcome) = plan::abandoned(&task, &members, now()) {
                tracing::warn!(
                    task = task.id,
                    outcome = outcome.text,
                    "a task that nobody works at is ended"
                );
                store::end_unclaimed(self.record(), &task.id, &self.app.config.hostname, |_| {
                    Some(outcome.clone())
                })
                .await?;
            }
        }
        Ok(())
    }
}
