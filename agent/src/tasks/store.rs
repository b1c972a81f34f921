//! Tasks in the record: made, listed, cancelled, dropped. What their owner writes goes through [`super::claim`].

use super::claim::{line_key, next_line};
use super::idempotency::{self, Once};
use super::plan::{self, OPEN};
use super::values::{KeyValue, LineValue, OutcomeValue, TaskValue};
use super::{TaskError, claim};
use crate::clock::now;
use crate::record::keys::{self, under};
use crate::record::{Change, Record, RecordError, Versioned};

/// How often a compare-and-swap is tried.
const TRIES: usize = 8;
/// Tasks that there are at most.
const ROOM: usize = plan::MOST + OPEN;
/// Most tasks that are dropped together: each has two keys, and etcd takes 128 writes at once.
const TOGETHER: usize = 50;

/// An id that grows with time. `random` keeps two of one second apart. Pure.
pub(crate) fn new_id(now: u64, random: u32) -> String {
    format!("{now:09x}-{random:06x}", random = random & 0x00ff_ffff)
}

/// Whether a text may be an id: it becomes part of a key. Pure.
pub(crate) fn is_id(text: &str) -> bool {
    (1..=32).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_hexdigit() || b == b'-')
}

fn random() -> Result<u32, TaskError> {
    let mut bytes = [0; 4];
    getrandom::fill(&mut bytes)
        .map_err(|e| TaskError::Invalid(format!("the kernel gave no random numbers: {e}")))?;
    Ok(u32::from_be_bytes(bytes))
}

/// All tasks that are not over, the oldest first; what a newer release wrote, and this one does not understand, is left
/// out.
///
/// # Errors
/// [`RecordError`].
pub(crate) async fn open(record: &Record) -> Result<Vec<TaskValue>, RecordError> {
    let mut open = Vec::new();
    let visit = |task: TaskValue| {
        if !task.over() {
            open.push(task);
        }
    };
    record.each(keys::TASKS, visit).await?;
    Ok(open)
}

/// Shows `visit` the tasks that are older than `before`, the newest first, until it says by `false` that it has seen
/// enough.
///
/// # Errors
/// [`RecordError`].
pub(crate) async fn newest(
    record: &Record,
    before: Option<&str>,
    visit: impl FnMut(TaskValue) -> bool,
) -> Result<(), RecordError> {
    record.each_newest(keys::TASKS, before, visit).await
}

/// One task, and whether a node works at it.
///
/// # Errors
/// [`TaskError`].
pub(crate) async fn get(record: &Record, id: &str) -> Result<(Versioned<TaskValue>, bool), TaskError> {
    let none = || TaskError::NoTask(id.chars().filter(|c| !c.is_control()).take(40).collect());
    if !is_id(id) {
        return Err(none());
    }
    let found = record.get::<TaskValue>(&under(keys::TASKS, id)).await?.ok_or_else(none)?;
    let claimed = !found.value.over() && claimed(record, id).await?;
    Ok((found, claimed))
}

/// Whether a node works at a task now.
///
/// # Errors
/// [`RecordError`].
pub(crate) async fn claimed(record: &Record, id: &str) -> Result<bool, RecordError> {
    Ok(record.get::<super::values::ClaimValue>(&under(keys::TASK_CLAIMS, id)).await?.is_some())
}

/// A task that was made, or the one that the same request made before.
#[derive(Debug)]
pub(crate) enum Made {
    /// A new one.
    New(Box<TaskValue>),
    /// That of the request with the same key.
    Before(String),
}

/// Makes a task. Its id, the time and what its log begins with are filled in.
///
/// # Errors
/// [`TaskError`].
pub(crate) async fn create(
    record: &Record,
    task: &TaskValue,
    node: &str,
    once: Option<&Once>,
) -> Result<Made, TaskError> {
    let open = open(record).await?.len();
    let key = once.map(|once| under(keys::TASK_KEYS, &once.name));
    if let (Some(once), Some(key)) = (once, &key) {
        if let Some(before) = record.get::<KeyValue>(key).await? {
            return remembered(before.value, once);
        }
        if record.count(keys::TASK_KEYS).await? >= idempotency::MOST {
            return Err(TaskError::TooManyKeys(idempotency::MOST));
        }
    }
    if open >= OPEN {
        return Err(TaskError::TooMany(open));
    }
    if record.count(keys::TASKS).await? >= ROOM {
        trim(record, now()).await?;
        let kept = record.count(keys::TASKS).await?;
        if kept >= ROOM {
            return Err(TaskError::Full(kept));
        }
    }
    let lease = match once {
        Some(_) => record.grant(idempotency::REMEMBERED).await?,
        None => 0,
    };
    for _ in 0..TRIES {
        let created = now();
        let mut task = TaskValue { id: new_id(created, random()?), created, ..task.clone() };
        let text = format!("asked for by {}", task.by);
        let line = next_line(&mut task, node, &text);
        let mut change = Change::default()
            .if_unchanged(&under(keys::TASKS, &task.id), 0)
            .put(&under(keys::TASKS, &task.id), &task)?
            .put(&line_key(&task.id, line.number), &line)?;
        if let (Some(once), Some(key)) = (once, &key) {
            let value = KeyValue { task: task.id.clone(), body: once.body.clone() };
            change = change.if_unchanged(key, 0).put_leased(key, &value, lease)?;
        }
        if record.commit(change).await? {
            return Ok(Made::New(Box::new(task)));
        }
        if let (Some(once), Some(key)) = (once, &key)
            && let Some(before) = record.get::<KeyValue>(key).await?
        {
            return remembered(before.value, once);
        }
    }
    Err(TaskError::Contended(TRIES))
}

fn remembered(before: KeyValue, once: &Once) -> Result<Made, TaskError> {
    if before.body == once.body {
        Ok(Made::Before(before.task))
    } else {
        Err(TaskError::KeyReused(before.task))
    }
}

/// The lines of a task's log behind number `after`, the oldest first.
///
/// # Errors
/// [`TaskError`].
pub(crate) async fn log(record: &Record, id: &str, after: Option<u32>) -> Result<Vec<LineValue>, TaskError> {
    get(record, id).await?;
    let most = usize::try_from(claim::LINES).unwrap_or(usize::MAX).saturating_add(TOGETHER);
    let mut lines = record.newest::<LineValue>(&format!("{}{id}/", keys::TASK_LOGS), None, most).await?;
    lines.retain(|line| after.is_none_or(|after| line.number > after));
    lines.sort_by_key(|line| line.number);
    Ok(lines)
}

/// Wants a task to end early: where a node works at it, that is told; else it is over at once.
///
/// # Errors
/// [`TaskError`].
pub(crate) async fn cancel(record: &Record, id: &str, by: &str, node: &str) -> Result<(), TaskError> {
    for _ in 0..TRIES {
        let (found, claimed) = get(record, id).await?;
        let mut task = found.value;
        if let Some(outcome) = &task.outcome {
            return Err(TaskError::Over { id: id.to_owned(), how: outcome.state.word() });
        }
        if claimed && !task.cancel.is_empty() {
            return Ok(()); // it was said before
        }
        by.clone_into(&mut task.cancel);
        let key = under(keys::TASKS, id);
        let mut change = Change::default().if_unchanged(&key, found.revision);
        let line = next_line(&mut task, node, &format!("cancelled by {by}"));
        if !claimed {
            let outcome = plan::cancelled(&task);
            task.end(&outcome, now());
            change = change.if_unchanged(&under(keys::TASK_CLAIMS, id), 0);
        }
        if record.commit(change.put(&key, &task)?.put(&line_key(id, line.number), &line)?).await? {
            return Ok(());
        }
    }
    Err(TaskError::Contended(TRIES))
}

/// Ends a task that nobody works at, as `how` says.
///
/// # Errors
/// [`RecordError`].
pub(crate) async fn end_unclaimed(
    record: &Record,
    id: &str,
    node: &str,
    how: impl Fn(&TaskValue) -> Option<OutcomeValue>,
) -> Result<(), RecordError> {
    let key = under(keys::TASKS, id);
    let Some(found) = record.get::<TaskValue>(&key).await? else { return Ok(()) };
    let mut task = found.value;
    let Some(outcome) = how(&task).filter(|_| !task.over()) else { return Ok(()) };
    let line = next_line(&mut task, node, &format!("{}: {}", outcome.state.word(), outcome.text));
    task.end(&outcome, now());
    let change = Change::default()
        .if_unchanged(&key, found.revision)
        .if_unchanged(&under(keys::TASK_CLAIMS, id), 0)
        .put(&key, &task)?
        .put(&line_key(id, line.number), &line)?;
    // Somebody took it meanwhile: then it is his.
    record.commit(change).await.map(drop)
}

/// Drops ended tasks that are kept no longer, and their logs.
///
/// # Errors
/// [`RecordError`].
pub(crate) async fn trim(record: &Record, now: u64) -> Result<usize, RecordError> {
    trim_to(record, plan::MOST, now).await
}

/// The same with another most.
///
/// # Errors
/// [`RecordError`].
pub(crate) async fn trim_to(record: &Record, most: usize, now: u64) -> Result<usize, RecordError> {
    let mut over = Vec::new();
    let visit = |task: TaskValue| {
        // What it did is not looked at, and may be long.
        if let Some(outcome) = task.outcome {
            let outcome = Some(OutcomeValue { state: outcome.state, ..OutcomeValue::default() });
            over.push(TaskValue { id: task.id, ended: task.ended, outcome, ..TaskValue::default() });
        }
    };
    record.each(keys::TASKS, visit).await?;
    let doomed = plan::doomed(&over, most, now);
    for ids in doomed.chunks(TOGETHER) {
        for id in ids {
            record.remove_oldest(&format!("{}{id}/", keys::TASK_LOGS), usize::MAX).await?;
        }
        let change = ids.iter().fold(Change::default(), |change, id| change.delete(&under(keys::TASKS, id)));
        record.commit(change).await?;
    }
    Ok(doomed.len())
}
