//! Tasks: long work that has an id, progress, a log, an owner and an outcome, and goes on on another node when its
//! owner is gone. All of it is in the record; what a node has in memory is only what it saw there.
//!
//! | module | job |
//! | --- | --- |
//! | [`values`] | what tasks are in the record |
//! | [`plan`] | who takes a task, what becomes of one that nobody works at, how long it is kept (pure) |
//! | [`store`] | made, listed, cancelled, trimmed |
//! | [`idempotency`] | a request that is sent twice makes one task |
//! | [`claim`] | that one node works at a task, and nobody else: a lease, and a fence for all it writes |
//! | [`mod@run`] | one claimed task, step by step |
//! | [`engine`] | which tasks this node takes; it hears of them by a watch and asks nothing while there are none |
//! | [`kinds`] | what the steps of each kind are and do |
//! | [`routes`] | all that in the API |
//!
//! Two nodes never do one step: the owner's claim is a key with a lease, every write of the owner holds only while that
//! key is the one it made, and its own clock ends its work before the lease can have run out. What a step does outside
//! of the record cannot be fenced, so a step that must not be done twice is written down before it is begun, and a task
//! that is found in the middle of one is not gone on with.

pub(crate) mod claim;
pub(crate) mod engine;
pub(crate) mod idempotency;
pub(crate) mod kinds;
pub(crate) mod plan;
pub(crate) mod routes;
pub(crate) mod run;
pub(crate) mod store;
pub(crate) mod values;

use std::sync::Arc;

use axum::http::StatusCode;
pub(crate) use engine::Keeper;

use crate::app::{App, Member};
use crate::errors::chain;
use crate::http::error::ApiError;
use crate::record::RecordError;

/// Works at the cluster's tasks for as long as it is polled.
pub(crate) async fn keep(app: &Arc<App>, member: &Arc<Member>) {
    let hands = Arc::new(kinds::Node { app: Arc::clone(app), member: Arc::clone(member) });
    engine::keep(Arc::clone(app), Arc::clone(member), hands, claim::Pace::default()).await;
}

/// A task could not be made, read or changed.
#[derive(Debug, thiserror::Error)]
pub(crate) enum TaskError {
    /// The record.
    #[error(transparent)]
    Record(#[from] RecordError),
    /// The request itself is wrong.
    #[error("{0}")]
    Invalid(String),
    /// No such task.
    #[error("there is no task {0}; `GET /v1/tasks` lists those that are kept")]
    NoTask(String),
    /// No such node.
    #[error("no member has the name or id {0}; `GET /v1/nodes` lists them")]
    NoNode(String),
    /// It has ended.
    #[error("the task {id} is over: it {how}")]
    Over {
        /// Which.
        id: String,
        /// How it ended.
        how: &'static str,
    },
    /// There are too many.
    #[error("{0} tasks are under way; wait until some have ended, or cancel them")]
    TooMany(usize),
    /// There are too many, and those that are over are not the reason.
    #[error(
        "{0} tasks are kept, and too few of them can be dropped: they are another release's; update this node, and ask again"
    )]
    Full(usize),
    /// Too many requests were named.
    #[error("{0} requests with an Idempotency-Key were made within a day; send this one without")]
    TooManyKeys(usize),
    /// The same key with another body.
    #[error("the Idempotency-Key was sent before with another body, and made task {0}; choose another key")]
    KeyReused(String),
    /// Others were faster every time.
    #[error("the record changed under every one of {0} tries; try again")]
    Contended(usize),
}

impl From<TaskError> for ApiError {
    fn from(error: TaskError) -> Self {
        let detail = chain(&error);
        let new = |status, kind, title| Self::new(status, kind, title, detail.clone());
        match error {
            TaskError::Record(e) => e.into(),
            TaskError::Invalid(_) => Self::bad_request(detail),
            TaskError::NoTask(_) | TaskError::NoNode(_) => {
                new(StatusCode::NOT_FOUND, "not-found", "There is no such thing")
            }
            TaskError::Over { .. } => new(StatusCode::CONFLICT, "task-over", "The task has ended"),
            TaskError::TooMany(_) | TaskError::Full(_) | TaskError::TooManyKeys(_) => {
                new(StatusCode::TOO_MANY_REQUESTS, "too-many-tasks", "Too much is asked for at once")
            }
            TaskError::KeyReused(_) => new(
                StatusCode::UNPROCESSABLE_ENTITY,
                "idempotency-key-reused",
                "The Idempotency-Key belongs to another request",
            ),
            TaskError::Contended(_) => {
                new(StatusCode::SERVICE_UNAVAILABLE, "contended", "The record is busy")
            }
        }
    }
}

#[cfg(test)]
mod tests;
