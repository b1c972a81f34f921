//! The install master's questions.

use std::sync::Arc;

use axum::Json;
use axum::extract::{Path, State};
use axum::http::header;
use axum::response::IntoResponse;
use maekin_api::boot::{Decision, Inventory, Machine, Report};
use maekin_api::machine::Verdict;
use maekin_rootfs::node::NodeConfig;
use maekin_rootfs::validate::is_mac;

use super::{Body, parse};
use crate::app::App;
use crate::clock::now;
use crate::http::error::ApiError;
use crate::install::answer::render_answer;
use crate::install::{inventory, store};
use crate::provision;

pub(super) async fn decide(State(app): State<Arc<App>>, body: Body) -> Result<Json<Decision>, ApiError> {
    let machine = checked(parse(body)?)?;
    let decision = store::decide(&app.member()?.record, &machine, now()).await?;
    tracing::info!(mac = machine.mac, ?decision, "a machine asked to boot");
    Ok(Json(decision))
}

/// Never let what a stranger sent into a key.
fn checked(machine: Machine) -> Result<Machine, ApiError> {
    if !is_mac(&machine.mac) {
        return Err(ApiError::bad_request("mac: must be written like aa:bb:cc:dd:ee:ff"));
    }
    Ok(Machine { uuid: machine.uuid.filter(|uuid| uuid.len() <= 64), ..machine })
}

pub(super) async fn verdict(State(app): State<Arc<App>>, body: Body) -> Result<Json<Verdict>, ApiError> {
    let machine = checked(parse(body)?)?;
    Ok(Json(store::verdict(&app.member()?.record, &app.known, &machine, now()).await?))
}

pub(super) async fn inventory(State(app): State<Arc<App>>, body: Body) -> Result<(), ApiError> {
    let told: Inventory = parse(body)?;
    let told = Inventory { machine: checked(told.machine)?, ..told };
    Ok(inventory::take(&app.member()?.record, &app.budget, &told, now()).await?)
}

pub(super) async fn answer(
    State(app): State<Arc<App>>,
    Path(ticket): Path<String>,
    body: Body,
) -> Result<impl IntoResponse, ApiError> {
    let told: Inventory = parse(body)?;
    let told = Inventory { machine: checked(told.machine)?, ..told };
    let member = app.member()?;
    let masters = member.masters(&app.node_id).await?;
    let ticket = store::bind(&member.record, &ticket, &told, &masters.ca_sha256, now()).await?;
    // The node file is this node's; what is handed out is the cluster's, whichever member serves this machine.
    let provision = provision::get(&member.record).await?;
    let own = NodeConfig { provision, ..app.config.clone() };
    let text = render_answer(&ticket, &own, masters)?;
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
