//! `/v1/node/boot`: the boot drives of this node.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use maekin_api::boot_drives::{BootDrives, Settings, StartHeal};

use super::{Body, parse};
use crate::app::App;
use crate::errors::chain;
use crate::http::error::ApiError;

type Answer<T> = Result<Json<T>, ApiError>;

pub(super) async fn get(State(app): State<Arc<App>>) -> Json<BootDrives> {
    Json(app.boot_drives.report())
}

pub(super) async fn settings(State(app): State<Arc<App>>) -> Json<Settings> {
    Json(app.boot_drives.report().settings)
}

pub(super) async fn set(State(app): State<Arc<App>>, body: Body) -> Answer<Settings> {
    let settings: Settings = parse(body)?;
    app.boot_drives.set(settings).map_err(|e| ApiError::internal(chain(&e)))?;
    tracing::info!(?settings, "settings of the boot drives changed");
    Ok(Json(settings))
}

pub(super) async fn heal(State(app): State<Arc<App>>, body: Body) -> Answer<()> {
    let start: StartHeal = parse(body)?;
    installed(&app)?;
    tracing::info!(?start, "healing asked for");
    let title = "The boot drives cannot be healed now";
    app.boot_drives.ask(start).map_err(|e| ApiError::new(StatusCode::CONFLICT, "heal-refused", title, e))?;
    Ok(Json(()))
}

pub(super) async fn compare(State(app): State<Arc<App>>) -> Answer<()> {
    installed(&app)?;
    app.boot_drives.compare();
    Ok(Json(()))
}

pub(super) async fn try_boot(State(app): State<Arc<App>>) -> Answer<()> {
    installed(&app)?;
    let title = "There can be no trial boot now";
    app.boot_drives.try_boot().map_err(|e| ApiError::new(StatusCode::CONFLICT, "trial-refused", title, e))?;
    Ok(Json(()))
}

fn installed(app: &App) -> Result<(), ApiError> {
    let title = "This node has no boot drives of ours";
    let refuse =
        || ApiError::new(StatusCode::CONFLICT, "not-installed", title, "it was not started by our initrd");
    app.boot.as_ref().map(drop).ok_or_else(refuse)
}
