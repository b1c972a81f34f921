//! `/v1/tasks`: long work, asked for and looked at.

use std::sync::Arc;

use axum::extract::{Path, Query, State as Shared};
use axum::http::{HeaderMap, HeaderValue, StatusCode, Uri, header};
use axum::response::{IntoResponse, Response};
use axum::{Extension, Json};
use maekin_api as api;
use maekin_api::access::Role;
use maekin_api::tasks::{Kind, LogLine, NewTask, State, Task};
use serde::Deserialize;

use super::plan::Work;
use super::store::{self, Made};
use super::values::{TaskValue, bounded};
use super::{TaskError, idempotency};
use crate::app::App;
use crate::http::error::ApiError;
use crate::http::identity::Identity;
use crate::http::page::Page;
use crate::http::request;
use crate::http::routes::{Body, parse_bytes, read};
use crate::power;
use crate::record::values::NodeValue;
use crate::record::{Record, keys};

/// Entries of a page where nobody says how many.
const PAGE: usize = 100;

/// What a list may be asked for besides its pages.
#[derive(Debug, Default, Deserialize)]
struct Filter {
    state: Option<String>,
}

impl Filter {
    /// Checks `?state=`: states with commas between. Pure.
    fn parse(uri: &Uri) -> Result<Option<Vec<State>>, ApiError> {
        let query = Query::<Self>::try_from_uri(uri).map_err(|e| {
            ApiError::bad_request(format!("the query cannot be understood: {}", e.body_text()))
        })?;
        let Some(text) = &query.state else { return Ok(None) };
        let wrong = || {
            let words: Vec<_> = State::ALL.iter().map(|state| state.word()).collect();
            ApiError::bad_request(format!("state: may be of {}", words.join(", ")))
        };
        let state = |word: &str| State::ALL.into_iter().find(|state| state.word() == word).ok_or_else(wrong);
        if text.split(',').count() > State::ALL.len() {
            return Err(wrong());
        }
        text.split(',').map(state).collect::<Result<_, _>>().map(Some)
    }
}

pub(crate) async fn list(Shared(app): Shared<Arc<App>>, page: Page, uri: Uri) -> Result<Response, ApiError> {
    let states = Filter::parse(&uri)?;
    let record = app.member()?.record.clone();
    let claims = record.names(keys::TASK_CLAIMS).await?;
    let limit = page.limit.unwrap_or(PAGE);
    let mut tasks: Vec<Task> = Vec::new();
    let visit = |task: TaskValue| {
        let task = task.show(claims.contains(&task.id));
        if states.as_ref().is_none_or(|states| states.contains(&task.state)) {
            tasks.push(task);
        }
        tasks.len() <= limit // one more says that there is another page
    };
    store::newest(&record, page.after.as_deref(), visit).await?;
    let more = tasks.len() > limit;
    tasks.truncate(limit);
    let next = tasks.last().map(|task| task.id.clone()).filter(|_| more);
    let query = states.map(|states| {
        let words: Vec<_> = states.into_iter().map(State::word).collect();
        format!("&state={}", words.join(","))
    });
    Ok(page.answer_with(api::TASKS, &tasks, next.as_deref(), &query.unwrap_or_default()))
}

pub(crate) async fn one(
    Shared(app): Shared<Arc<App>>,
    Path(id): Path<String>,
) -> Result<Json<Task>, ApiError> {
    let (found, claimed) = store::get(&app.member()?.record, &id).await?;
    Ok(Json(found.value.show(claimed)))
}

pub(crate) async fn log(
    Shared(app): Shared<Arc<App>>,
    Path(id): Path<String>,
    page: Page,
) -> Result<Response, ApiError> {
    let wrong = || ApiError::bad_request("after: must be the number of a line");
    let after = page.after.as_deref().map(|text| text.parse::<u32>().map_err(|_| wrong())).transpose()?;
    let mut lines: Vec<LogLine> =
        store::log(&app.member()?.record, &id, after).await?.into_iter().map(|line| line.show()).collect();
    let limit = page.limit.unwrap_or(usize::MAX);
    let more = lines.len() > limit;
    lines.truncate(limit);
    let next = lines.last().map(|line| line.number.to_string()).filter(|_| more);
    let path = api::TASK_LOG.replace("{id}", &id); // an id, or it would not have been found
    Ok(page.answer(&path, &lines, next.as_deref()))
}

pub(crate) async fn create(
    Shared(app): Shared<Arc<App>>,
    Extension(asker): Extension<Identity>,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, ApiError> {
    let body = read(body)?;
    let wish: NewTask = parse_bytes(&body)?;
    make(&app, &asker, &headers, &body, wish).await
}

/// Makes the task that a request asks for: by `body`, or by where it was sent.
///
/// # Errors
/// The answer to give instead.
pub(crate) async fn make(
    app: &App,
    asker: &Identity,
    headers: &HeaderMap,
    body: &[u8],
    wish: NewTask,
) -> Result<Response, ApiError> {
    // A token that may not switch machines may not have them switched.
    asker.may(Role::Operator, Work::group(wish.kind))?;
    let once = idempotency::parse(headers, &asker.name(), body)?;
    let task = prepare(app, wish, asker.words(&app.config.hostname)).await?;
    let record = app.member()?.record.clone();
    let task = match store::create(&record, &task, &app.config.hostname, once.as_ref()).await? {
        Made::New(task) => {
            tracing::info!(task = task.id, kind = task.kind, by = task.by, "task made");
            task.show(false)
        }
        Made::Before(id) => {
            let (found, claimed) = store::get(&record, &id).await?;
            found.value.show(claimed)
        }
    };
    let place = api::TASK.replace("{id}", &task.id);
    let mut response = (StatusCode::ACCEPTED, Json(task)).into_response();
    if let Ok(place) = HeaderValue::from_str(&place) {
        response.headers_mut().insert(header::LOCATION, place);
    }
    Ok(response)
}

pub(crate) async fn cancel(
    Shared(app): Shared<Arc<App>>,
    Extension(asker): Extension<Identity>,
    Path(id): Path<String>,
) -> Result<Json<Task>, ApiError> {
    let record = app.member()?.record.clone();
    let by = bounded(&asker.words(&app.config.hostname));
    store::cancel(&record, &id, &by, &app.config.hostname).await?;
    tracing::info!(task = id, by, "task cancelled");
    let (found, claimed) = store::get(&record, &id).await?;
    Ok(Json(found.value.show(claimed)))
}

/// Names become ids, and what was asked for is checked.
async fn prepare(app: &App, mut wish: NewTask, by: String) -> Result<TaskValue, ApiError> {
    let record = app.member()?.record.clone();
    let mut node_name = String::new();
    match wish.kind {
        Kind::PowerCycle => {
            if !wish.node.is_empty() {
                let why = "node: a task of kind power-cycle takes `machine`, a hardware address";
                return Err(TaskError::Invalid(why.to_owned()).into());
            }
            wish.machine = wish.machine.to_ascii_lowercase();
            Work::of(&wish)?;
            power::store::get(&record, &wish.machine).await?; // which says where it cannot be switched
            if let Some(node) = power::member_at(&record, &wish.machine).await? {
                (wish.node, node_name) = (node.id, node.name);
            }
        }
        Kind::RetireDrive => {
            if !wish.node.is_empty() {
                let why = "node: a task of kind retire-drive takes `drive`; the node is the one that has it";
                return Err(TaskError::Invalid(why.to_owned()).into());
            }
            let (_, drive) = crate::drives::routes::find(app, &wish.drive).await?;
            (wish.drive, wish.node, node_name) = (drive.id, drive.node_id, drive.node);
        }
        _ if wish.node.is_empty() => {}
        _ => {
            Work::of(&wish)?; // before what it says is looked for
            let node = find(&record, &wish.node).await?;
            (wish.node, node_name) = (node.id, node.name);
        }
    }
    Work::of(&wish)?;
    Ok(TaskValue {
        kind: wish.kind.word().to_owned(),
        node: wish.node,
        node_name,
        machine: wish.machine,
        drive: wish.drive,
        reason: wish.reason,
        force: wish.force,
        by: bounded(&by),
        request_id: request::current(),
        asked: app.node_id.clone(),
        ..TaskValue::default()
    })
}

/// A member by its host name or id.
async fn find(record: &Record, name: &str) -> Result<NodeValue, TaskError> {
    let nodes = record.list::<NodeValue>(keys::NODES).await?;
    let found = nodes.into_iter().map(|node| node.value).find(|node| node.name == name || node.id == name);
    found.ok_or_else(|| TaskError::NoNode(bounded(name)))
}
