//! `/v1/settings` and `/v1/nodes/{name}/settings`: how members shall be, and how far that is so. From the record, so
//! that every member gives the same answer.

use std::sync::Arc;

use axum::Extension;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::response::Response;
use serde_json::{Map, Value};

use super::{Body, parse};
use crate::app::App;
use crate::clock::now;
use crate::desired::change::Edit;
use crate::desired::store::{self, Asker, DesiredError, Meant};
use crate::errors::chain;
use crate::http::error::ApiError;
use crate::http::etag::{IfMatch, tagged};
use crate::http::identity::Identity;
use crate::http::page::Page;
use crate::record::Expected;

pub(super) async fn list(State(app): State<Arc<App>>, page: Page) -> Result<Response, ApiError> {
    let all = store::list(&app.member()?.record).await?;
    Ok(page.of(maekin_api::SETTINGS, all, |node| node.id.clone()))
}

pub(super) async fn get(State(app): State<Arc<App>>, Path(name): Path<String>) -> Result<Response, ApiError> {
    let (object, revision) = store::get(&app.member()?.record, &name).await?;
    Ok(tagged(revision, &object))
}

/// Whoever replaces settings says which ones he has read; where there are none yet there is nothing to say.
pub(super) async fn put(
    State(app): State<Arc<App>>,
    Extension(asker): Extension<Identity>,
    Path(name): Path<String>,
    wanted: IfMatch,
    body: Body,
) -> Result<Response, ApiError> {
    let fields: Map<String, Value> = parse(body)?;
    let meant = wanted.required().map_or(Meant::Nothing, Meant::Named);
    change(app, &asker, name, &Edit::Replace(fields), &meant).await
}

/// A patch says by itself what it means to change.
pub(super) async fn patch(
    State(app): State<Arc<App>>,
    Extension(asker): Extension<Identity>,
    Path(name): Path<String>,
    wanted: IfMatch,
    body: Body,
) -> Result<Response, ApiError> {
    let fields: Map<String, Value> = parse(body)?;
    let expected: Expected = wanted.optional();
    change(app, &asker, name, &Edit::Merge(fields), &Meant::Named(expected)).await
}

async fn change(
    app: Arc<App>,
    asker: &Identity,
    name: String,
    edit: &Edit,
    meant: &Meant,
) -> Result<Response, ApiError> {
    let asker = Asker { role: asker.role, name: asker.name() };
    store::set(&app.member()?.record, &name, edit, meant, &asker, now()).await?;
    get(State(app), Path(name)).await
}

impl From<DesiredError> for ApiError {
    fn from(error: DesiredError) -> Self {
        let detail = chain(&error);
        let new = |status, kind, title| Self::new(status, kind, title, detail.clone());
        match error {
            DesiredError::Record(e) => e.into(),
            DesiredError::NoNode(_) => new(StatusCode::NOT_FOUND, "not-found", "There is no such node"),
            DesiredError::Invalid(_) => Self::bad_request(detail),
            DesiredError::NameTaken(_) => new(StatusCode::CONFLICT, "name-taken", "The name is taken"),
            DesiredError::NotAllowed(_) => {
                new(StatusCode::FORBIDDEN, "forbidden", "Who asks may not do this")
            }
            DesiredError::Unsaid => {
                let title = "The request must say which version it means";
                new(StatusCode::PRECONDITION_REQUIRED, "if-match-required", title)
            }
            DesiredError::Contended => {
                new(StatusCode::SERVICE_UNAVAILABLE, "contended", "The record is busy")
            }
        }
    }
}
