//! `/v1/record`: the record as a store.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use maekin_api::record::{Backups, Record};

use crate::app::App;
use crate::clock::now;
use crate::errors::chain;
use crate::http::error::ApiError;
use crate::record::{backup, care};

pub(super) async fn get(State(app): State<Arc<App>>) -> Json<Record> {
    let member = app.member().ok();
    Json(care::report(&app, member.as_deref()).await)
}

/// Makes a copy now, on this node.
pub(super) async fn backup(State(app): State<Arc<App>>) -> Result<Json<Backups>, ApiError> {
    let member = app.member()?;
    let state = &app.settings.state;
    backup::once(state, &member.record, &member.cluster.id, now()).await.map_err(|e| {
        let title = "The record was not copied";
        ApiError::new(StatusCode::SERVICE_UNAVAILABLE, "record-backup", title, chain(&e))
    })?;
    Ok(Json(backup::report(state, "")))
}
