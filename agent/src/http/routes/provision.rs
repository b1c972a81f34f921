//! What install masters hand out.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use maekin_api::provision::Provision;

use super::{Body, parse};
use crate::app::App;
use crate::http::error::ApiError;
use crate::http::etag::{IfMatch, tagged};
use crate::provision::{self, SettingsError};

pub(super) async fn get(State(app): State<Arc<App>>) -> Result<Response, ApiError> {
    let found = provision::read(&app.member()?.record).await?.ok_or_else(|| {
        let title = "Nothing is handed out";
        ApiError::new(StatusCode::NOT_FOUND, "not-found", title, "set it with PUT /v1/provision")
    })?;
    let value = found.value;
    let wire = Provision { pool_start: value.pool_start, pool_end: value.pool_end, router: value.router };
    Ok(tagged(found.revision, &wire))
}

pub(super) async fn put(
    State(app): State<Arc<App>>,
    wanted: IfMatch,
    body: Body,
) -> Result<Json<Provision>, ApiError> {
    let wish: Provision = parse(body)?;
    let network = app.network.in_force();
    let fixed = network.interfaces.first().and_then(|i| i.addresses.first());
    let network = fixed.and_then(|address| address.parse().ok());
    match provision::set(&app.member()?.record, &wish, network, &wanted.optional()).await {
        Ok(()) => Ok(Json(wish)),
        Err(SettingsError::Invalid(text)) => Err(ApiError::bad_request(text)),
        Err(SettingsError::Record(e)) => Err(e.into()),
    }
}
