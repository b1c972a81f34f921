//! That one node works at a task, and nobody else. A claim is a key with a lease. Everything its owner writes about the
//! task holds only while the key is the one that it made; and the owner's own clock ends its work before the lease can
//! have run out, however long it was stopped meanwhile.

use std::sync::atomic::{AtomicI64, Ordering};
use std::time::{Duration, Instant};

use tokio::sync::Mutex;

use super::values::{ClaimValue, LineValue, OwnerValue, TaskValue, bounded};
use crate::clock::now;
use crate::errors::chain;
use crate::record::keys::{self, under};
use crate::record::{Change, Record, RecordError, Versioned};

/// Lines that are kept of a task's log.
pub(crate) const LINES: u32 = 200;
/// Lines that are written at once.
const TOGETHER: usize = 40;
/// How often a write is tried while somebody else changes the task.
const TRIES: usize = 8;
/// How long one voter may take to renew a lease.
const RENEW: Duration = Duration::from_secs(5);

/// How long a claim holds without its owner being heard of.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Pace {
    /// Seconds. The record makes at least half of three election times of it.
    pub(crate) ttl: i64,
    /// How long before its end the owner stops: for clocks that do not run at the same speed.
    pub(crate) margin: Duration,
    /// Between two reports of progress at least.
    pub(crate) report: Duration,
}

impl Default for Pace {
    fn default() -> Self {
        Self { ttl: 30, margin: Duration::from_secs(4), report: Duration::from_secs(3) }
    }
}

/// Why an owner stops.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Stop {
    /// The claim is another's, or nobody's.
    #[error("another node may work at it by now")]
    LostClaim,
    /// The record.
    #[error(transparent)]
    Record(#[from] RecordError),
}

/// The name of a line of a log, which grows with its number.
pub(crate) fn line_key(id: &str, number: u32) -> String {
    format!("{}{id}/{number:08}", keys::TASK_LOGS)
}

/// A task that is ours.
pub(crate) struct Claim {
    record: Record,
    pace: Pace,
    id: String,
    /// Host name of this node.
    name: String,
    lease: i64,
    /// Revision at which the claim was made.
    epoch: i64,
    granted: Instant,
    task: Mutex<Versioned<TaskValue>>,
    /// The last revision that we wrote, or read.
    known: AtomicI64,
}

impl Claim {
    /// Makes `id` ours, where nobody works at it; `None` where somebody does, or it is over.
    ///
    /// # Errors
    /// [`RecordError`]. A claim that was made unheard runs out.
    pub(crate) async fn take(
        record: &Record,
        pace: Pace,
        id: &str,
        owner: &OwnerValue,
    ) -> Result<Option<Self>, RecordError> {
        let key = under(keys::TASKS, id);
        let Some(found) = record.get::<TaskValue>(&key).await? else { return Ok(None) };
        if found.value.over() {
            return Ok(None);
        }
        let granted = Instant::now();
        let lease = record.grant(pace.ttl).await?;
        let mut value = found.value;
        // Whose it was is needed to say what became of a step that was begun.
        let before = value.clone();
        value.turns = value.turns.saturating_add(1);
        value.started = if value.started == 0 { owner.since } else { value.started };
        let text = match &before.owner {
            None => format!("{} works at it", owner.name),
            Some(old) => format!("{} goes on where {} left it", owner.name, old.name),
        };
        let interrupted = super::plan::interrupted(&before);
        value.owner = Some(owner.clone());
        let line = next_line(&mut value, &owner.name, &text);
        let mut change = Change::default()
            .if_unchanged(&key, found.revision)
            .if_unchanged(&under(keys::TASK_CLAIMS, id), 0)
            .put(&line_key(id, line.number), &line)?;
        if let Some(outcome) = interrupted {
            value.end(&outcome, now());
            let change = change.put(&key, &value)?;
            record.commit(change).await?;
            return Ok(None);
        }
        let claim = ClaimValue { node: owner.id.clone() };
        change = change.put(&key, &value)?.put_leased(&under(keys::TASK_CLAIMS, id), &claim, lease)?;
        let Some(epoch) = record.commit_at(change).await? else { return Ok(None) };
        Ok(Some(Self {
            record: record.clone(),
            pace,
            id: id.to_owned(),
            name: owner.name.clone(),
            lease,
            epoch,
            granted,
            task: Mutex::new(Versioned { value, revision: epoch, created: found.created, lease: 0 }),
            known: AtomicI64::new(epoch),
        }))
    }

    /// Host name of this node.
    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    /// The task, as we know it.
    pub(crate) async fn task(&self) -> TaskValue {
        self.task.lock().await.value.clone()
    }

    /// Whether we know how the task was at `revision`: we wrote it, or read it since.
    pub(crate) fn is_own(&self, revision: i64) -> bool {
        revision <= self.known.load(Ordering::Acquire)
    }

    /// Renews the lease; ends when it may have run out.
    pub(crate) async fn hold(&self) {
        let ttl = Duration::from_secs(self.pace.ttl.unsigned_abs());
        let (pause, life) = (ttl / 4, ttl.saturating_sub(self.pace.margin));
        let mut until = self.granted + life;
        let mut next = Instant::now() + pause;
        loop {
            let now = Instant::now();
            if now >= until {
                return;
            }
            tokio::time::sleep_until(next.min(until).into()).await;
            let sent = Instant::now();
            if sent >= until {
                return;
            }
            let renewal = self.record.renew(self.lease, RENEW.min(until - sent));
            match tokio::time::timeout_at(until.into(), renewal).await {
                Err(_) | Ok(Ok(false)) => return,
                Ok(Ok(true)) => {
                    until = sent + life;
                    next = sent + pause;
                }
                Ok(Err(e)) => {
                    tracing::info!(task = self.id, error = %chain(&e), "claim of a task not renewed yet");
                    next = Instant::now() + Duration::from_secs(1);
                }
            }
        }
    }

    /// Reads what others wrote about it.
    ///
    /// # Errors
    /// [`Stop`].
    pub(crate) async fn reread(&self) -> Result<TaskValue, Stop> {
        let mut task = self.task.lock().await;
        self.refresh(&mut task).await?;
        Ok(task.value.clone())
    }

    async fn refresh(&self, task: &mut Versioned<TaskValue>) -> Result<(), Stop> {
        let claim = self.record.get::<ClaimValue>(&under(keys::TASK_CLAIMS, &self.id)).await?;
        let found = self.record.get::<TaskValue>(&under(keys::TASKS, &self.id)).await?;
        match found.filter(|_| claim.is_some_and(|claim| claim.created == self.epoch)) {
            Some(found) => {
                self.known.store(found.revision, Ordering::Release);
                *task = found;
            }
            None => return Err(Stop::LostClaim),
        }
        Ok(())
    }

    /// Changes the task, with lines for its log, while it is ours.
    ///
    /// # Errors
    /// [`Stop`].
    pub(crate) async fn write(
        &self,
        lines: &[String],
        change: impl Fn(&mut TaskValue) + Send + Sync,
    ) -> Result<(), Stop> {
        let mut task = self.task.lock().await;
        for _ in 0..TRIES {
            let mut value = task.value.clone();
            change(&mut value);
            let mut write = Change::default()
                .if_unchanged(&under(keys::TASKS, &self.id), task.revision)
                .if_created_at(&under(keys::TASK_CLAIMS, &self.id), self.epoch);
            for text in lines.iter().rev().take(TOGETHER).rev() {
                let line = next_line(&mut value, &self.name, text);
                write = write.put(&line_key(&self.id, line.number), &line)?;
                if let Some(old) = line.number.checked_sub(LINES) {
                    write = write.delete(&line_key(&self.id, old));
                }
            }
            write = write.put(&under(keys::TASKS, &self.id), &value)?;
            if value.over() {
                write = write.delete(&under(keys::TASK_CLAIMS, &self.id));
            }
            match self.record.commit_at(write).await {
                Ok(Some(revision)) => {
                    self.known.store(revision, Ordering::Release);
                    task.value = value;
                    task.revision = revision;
                    return Ok(());
                }
                Ok(None) => self.refresh(&mut task).await?,
                Err(e) => {
                    // It may have been done unheard.
                    let over = value.over();
                    let found = self.record.get::<TaskValue>(&under(keys::TASKS, &self.id)).await?;
                    match found {
                        Some(found) if found.value == value => {
                            self.known.store(found.revision, Ordering::Release);
                            *task = found;
                            return Ok(());
                        }
                        _ if over => self.refresh(&mut task).await?,
                        _ => return Err(e.into()),
                    }
                }
            }
        }
        Err(Stop::LostClaim)
    }
}

/// The next line of a task's log.
pub(crate) fn next_line(task: &mut TaskValue, node: &str, text: &str) -> LineValue {
    let number = task.lines;
    task.lines = task.lines.saturating_add(1);
    LineValue { number, at: now(), node: node.to_owned(), text: bounded(text) }
}
