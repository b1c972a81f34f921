//! `/v1/whoami`, `/v1/audit` and the OpenAPI document: who asks, who asked for what, what can be asked.

use std::sync::Arc;

use axum::extract::State;
use axum::http::header;
use axum::response::{IntoResponse, Response};
use axum::{Extension, Json};
use maekin_api::access::WhoAmI;

use crate::app::App;
use crate::audit;
use crate::http::error::ApiError;
use crate::http::identity::Identity;
use crate::http::openapi;
use crate::http::page::Page;

pub(super) async fn whoami(
    State(app): State<Arc<App>>,
    Extension(asker): Extension<Identity>,
) -> Json<WhoAmI> {
    Json(asker.wire(&app.config.hostname))
}

/// Always in pages: the log is long, and mostly its newest part is wanted.
pub(super) async fn audit(State(app): State<Arc<App>>, page: Page) -> Result<Response, ApiError> {
    let limit = page.limit.unwrap_or(100);
    let events = audit::page(&app.member()?.record, page.after.as_deref(), limit).await?;
    let last = events.last().map(|event| event.id.clone());
    Ok(page.answer(maekin_api::AUDIT, &events, last.filter(|_| events.len() == limit).as_deref()))
}

pub(super) async fn openapi() -> impl IntoResponse {
    ([(header::CONTENT_TYPE, "application/json")], openapi::DOCUMENT.as_str())
}
