//! The install master's questions.

use std::sync::Arc;

use axum::Json;
use axum::extract::{Path, State};
use axum::http::header;
use axum::response::IntoResponse;
use maekin_api::boot::{Decision, Machine, Report};
use maekin_rootfs::validate::is_mac;

use super::{Body, parse};
use crate::app::App;
use crate::clock::now;
use crate::http::error::ApiError;
use crate::install::answer::render_answer;
use crate::install::store;

pub(super) async fn decide(State(app): State<Arc<App>>, body: Body) -> Result<Json<Decision>, ApiError> {
    let machine: Machine = parse(body)?;
    if !is_mac(&machine.mac) {
        return Err(ApiError::bad_request("mac: must be written like aa:bb:cc:dd:ee:ff"));
    }
    let machine = Machine { uuid: machine.uuid.filter(|uuid| uuid.len() <= 64), ..machine };
    let decision = store::decide(&app.member()?.record, &machine, now()).await?;
    tracing::info!(mac = machine.mac, ?decision, "a machine asked to boot");
    Ok(Json(decision))
}

pub(super) async fn answer(
    State(app): State<Arc<App>>,
    Path(ticket): Path<String>,
) -> Result<impl IntoResponse, ApiError> {
    let member = app.member()?;
    let ticket = store::ticket(&member.record, &ticket).await?.value;
    let masters = member.masters(&app.node_id).await?;
    let text = render_answer(&ticket, &app.config, masters)?;
    Ok(([(header::CONTENT_TYPE, "application/toml")], text))
}

pub(super) async fn report(
    State(app): State<Arc<App>>,
    Path(ticket): Path<String>,
    body: Body,
) -> Result<(), ApiError> {
    let report: Report = parse(body)?;
    match &report {
        Report::Done { .. } => tracing::info!(ticket, "a machine is installed"),
        Report::Failed { reason } => tracing::warn!(ticket, reason, "an installation failed"),
        Report::Progress { .. } => {}
    }
    Ok(store::report(&app.member()?.record, &ticket, &report, now()).await?)
}
