//! `/v1/power` and `/v1/machines/{machine}/power`: power of machines.

use std::sync::Arc;

use axum::extract::{Path, State};
use axum::response::Response;
use axum::{Extension, Json};
use maekin_api::power::{Act, Done, PowerInfo, SetPower};

use super::{Body, parse};
use crate::app::App;
use crate::http::error::ApiError;
use crate::http::etag::{IfMatch, tagged};
use crate::http::identity::Identity;
use crate::http::page::Page;
use crate::power::{self, store};

type Answer<T> = Result<Json<T>, ApiError>;

pub(super) async fn list(State(app): State<Arc<App>>, page: Page) -> Result<Response, ApiError> {
    let machines = store::list(&app.member()?.record).await?;
    Ok(page.of(maekin_api::POWER, machines, |machine| machine.mac.clone()))
}

pub(super) async fn get(State(app): State<Arc<App>>, Path(mac): Path<String>) -> Result<Response, ApiError> {
    let found = store::show(&app.member()?.record, &mac).await?;
    Ok(tagged(found.revision, &found.value))
}

pub(super) async fn set(
    State(app): State<Arc<App>>,
    Extension(asker): Extension<Identity>,
    Path(mac): Path<String>,
    wanted: IfMatch,
    body: Body,
) -> Answer<PowerInfo> {
    let set: SetPower = parse(body)?;
    let member = app.member()?;
    let info = store::set(&member, &mac, &set, &wanted.optional()).await?;
    let (method, address) = (info.settings.method, &info.settings.address);
    tracing::info!(mac, ?method, address, by = asker.words(&app.config.hostname), "power: settings changed");
    Ok(Json(info))
}

pub(super) async fn forget(
    State(app): State<Arc<App>>,
    Extension(asker): Extension<Identity>,
    Path(mac): Path<String>,
) -> Answer<()> {
    store::forget(&app.member()?.record, &mac).await?;
    tracing::info!(mac, by = asker.words(&app.config.hostname), "power: settings forgotten");
    Ok(Json(()))
}

pub(super) async fn act(
    State(app): State<Arc<App>>,
    Extension(asker): Extension<Identity>,
    Path(mac): Path<String>,
    body: Body,
) -> Answer<Done> {
    let act: Act = parse(body)?;
    let by = asker.words(&app.config.hostname);
    Ok(Json(power::act(&app, &mac, act, by).await?))
}
