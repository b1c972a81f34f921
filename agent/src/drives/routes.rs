//! `/v1/drives` and `/v1/storage/policy`: the drives of the rack, and what nodes do about them by themselves.

use std::path::PathBuf;
use std::sync::Arc;

use axum::extract::{Path, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::Response;
use axum::{Extension, Json};
use maekin_api as api;
use maekin_api::drives::{Drive, Locate, Located, Retire, State as DriveState, StoragePolicy, Take};
use maekin_api::tasks::{Kind, NewTask};
use maekin_host::enclosure::{self, LightError};

use super::{DriveError, store};
use crate::app::{App, Member};
use crate::errors::chain;
use crate::http::client::{ClientError, Target};
use crate::http::error::ApiError;
use crate::http::etag::{IfMatch, tagged};
use crate::http::identity::{Identity, Who};
use crate::http::page::Page;
use crate::http::routes::{Body, parse, parse_bytes, read};
use crate::record::keys::{self, under};
use crate::record::values::NodeValue;
use crate::tasks::routes as tasks;

/// The drives of the rack.
async fn all(app: &App) -> Result<(Arc<Member>, Vec<Drive>), ApiError> {
    let member = app.member()?;
    let drives = store::list(&member.record, &app.node_id, app.drives.drives()).await?;
    Ok((member, drives))
}

/// One of them.
pub(crate) async fn find(app: &App, name: &str) -> Result<(Arc<Member>, Drive), ApiError> {
    let (member, drives) = all(app).await?;
    Ok((member, store::find(&drives, name)?))
}

pub(crate) async fn list(State(app): State<Arc<App>>, page: Page) -> Result<Response, ApiError> {
    // In pages they are in the order of their ids; two nodes may tell of twins.
    let name = |drive: &Drive| format!("{}:{}", drive.id, drive.node_id);
    Ok(page.of(api::DRIVES, all(&app).await?.1, name))
}

pub(crate) async fn one(
    State(app): State<Arc<App>>,
    Path(name): Path<String>,
) -> Result<Json<Drive>, ApiError> {
    Ok(Json(find(&app, &name).await?.1))
}

/// The node that has the drive hears of it by the record, and follows.
pub(crate) async fn take(
    State(app): State<Arc<App>>,
    Extension(asker): Extension<Identity>,
    Path(name): Path<String>,
    body: Body,
) -> Result<Json<Drive>, ApiError> {
    let wish: Take = parse(body)?;
    let (member, drive) = find(&app, &name).await?;
    let by = asker.words(&app.config.hostname);
    store::take(&member.record, &drive, &wish.consent, &by).await?;
    tracing::info!(id = drive.id, node = drive.node, by, "a drive may be taken");
    Ok(Json(drive))
}

pub(crate) async fn retire(
    State(app): State<Arc<App>>,
    Extension(asker): Extension<Identity>,
    Path(name): Path<String>,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, ApiError> {
    let body = read(body)?;
    let Retire { reason } = parse_bytes(&body)?;
    let wish = NewTask {
        kind: Kind::RetireDrive,
        node: String::new(),
        machine: String::new(),
        drive: name,
        reason,
        force: false,
    };
    tasks::make(&app, &asker, &headers, &body, wish).await
}

/// A light is switched by the node that has the drive.
pub(crate) async fn locate(
    State(app): State<Arc<App>>,
    Extension(asker): Extension<Identity>,
    Path(name): Path<String>,
    body: Body,
) -> Result<Json<Located>, ApiError> {
    let wish: Locate = parse(body)?;
    let (member, drive) = find(&app, &name).await?;
    let conflict = |kind, title, detail| ApiError::new(StatusCode::CONFLICT, kind, title, detail);
    if drive.state == DriveState::Gone {
        let detail = format!("{} is not in {} any more", drive.id, drive.node);
        return Err(conflict("drive-gone", "The drive is not there", detail));
    }
    if drive.node_id == app.node_id {
        // The record may tell of the last start, when another drive had that device node.
        let Some(drive) = app.drives.find(&drive.id).filter(|drive| !drive.device.is_empty()) else {
            let detail = format!("{} has not looked at its drives yet; ask again in a minute", drive.node);
            return Err(conflict("not-looked-at", "The drive is not known to be there", detail));
        };
        return switch(&app, drive, wish).await.map(Json);
    }
    if matches!(asker.who, Who::Member(_)) {
        let detail = format!("{} is in {}, as far as this node knows", drive.id, drive.node);
        return Err(conflict("drive-elsewhere", "The drive is not in this node", detail));
    }
    elsewhere(&app, &member, &drive, wish).await.map(Json)
}

/// Has the node that has the drive do it.
async fn elsewhere(app: &App, member: &Member, drive: &Drive, wish: Locate) -> Result<Located, ApiError> {
    let node = member.record.get::<NodeValue>(&under(keys::NODES, &drive.node_id)).await?;
    let unreached = |why: String| {
        let detail = format!("{} has the drive, and was not asked: {why}", drive.node);
        let title = "The node that has the drive was not reached";
        ApiError::new(StatusCode::BAD_GATEWAY, "node-unreached", title, detail)
    };
    let node = node.ok_or_else(|| unreached("it is not a member any more".to_owned()))?.value;
    let path = api::DRIVE_LOCATE.replace("{id}", &drive.id); // plain characters by `store::merge`
    let target = Target::member(app, &node.url).map_err(unreached)?;
    target.post::<Located>(&path, &wish).await.map_err(|e| match e {
        ClientError::Problem(problem) => ApiError::passed_on(problem),
        e => unreached(chain(&e)),
    })
}

async fn switch(app: &App, drive: Drive, wish: Locate) -> Result<Located, ApiError> {
    let device = PathBuf::from(&drive.device);
    let work = tokio::task::spawn_blocking(move || enclosure::locate(&device, wish.on));
    let done = work.await.map_err(|e| ApiError::internal(format!("the light was not switched: {e}")))?;
    done.map_err(|e| unlit(app, &drive, &e))?;
    tracing::info!(id = drive.id, on = wish.on, "the light of a drive's bay was switched");
    Ok(Located { id: drive.id, node: app.config.hostname.clone(), on: wish.on, slot: drive.slot })
}

fn unlit(app: &App, drive: &Drive, error: &LightError) -> ApiError {
    let place = [&drive.slot.bay, &drive.slot.path].into_iter().find(|place| !place.is_empty());
    let place = place.map_or_else(String::new, |place| format!(" at {place}"));
    let serial = if drive.serial.is_empty() { "no serial number" } else { &drive.serial };
    let find = format!("look in {}{place} for {} {serial}", app.config.hostname, drive.model);
    let detail = format!("{}; {find}", chain(error));
    let title = "The light of the drive's bay cannot be switched";
    match error {
        LightError::NoLight { .. } => ApiError::new(StatusCode::CONFLICT, "no-light", title, detail),
        LightError::NoProgram { .. } => {
            ApiError::new(StatusCode::NOT_IMPLEMENTED, "no-ledctl", title, detail)
        }
        LightError::Failed { .. } | LightError::Refused { .. } => {
            ApiError::new(StatusCode::BAD_GATEWAY, "light-failed", title, detail)
        }
    }
}

pub(crate) async fn policy(State(app): State<Arc<App>>) -> Result<Response, ApiError> {
    let (policy, revision) = store::policy(&app.member()?.record).await?;
    Ok(tagged(revision, &policy))
}

pub(crate) async fn set_policy(
    State(app): State<Arc<App>>,
    Extension(asker): Extension<Identity>,
    wanted: IfMatch,
    body: Body,
) -> Result<Response, ApiError> {
    let wish: StoragePolicy = parse(body)?;
    store::set_policy(&app.member()?.record, &wish, &wanted.optional()).await?;
    let by = asker.words(&app.config.hostname);
    tracing::info!(
        policy = wish.drives.word(),
        nodes = wish.nodes.len(),
        by,
        "the policy of drives was changed"
    );
    policy(State(app)).await
}

impl From<DriveError> for ApiError {
    fn from(error: DriveError) -> Self {
        let detail = chain(&error);
        let new = |status, kind, title| Self::new(status, kind, title, detail.clone());
        match error {
            DriveError::Record(e) => e.into(),
            DriveError::NoDrive(_) => new(StatusCode::NOT_FOUND, "not-found", "There is no such drive"),
            DriveError::NoNode(_) => Self::bad_request(detail),
            DriveError::Ambiguous { .. } => {
                new(StatusCode::CONFLICT, "ambiguous", "Several drives are called so")
            }
            DriveError::OtherRetires { .. } => {
                new(StatusCode::CONFLICT, "drive-unfit", "The drive cannot be done without")
            }
            DriveError::Unfit { .. } => new(StatusCode::CONFLICT, "drive-unfit", "The drive cannot be taken"),
            DriveError::ConsentNeeded { .. } => {
                new(StatusCode::CONFLICT, "consent-needed", "Something on the drive would be lost")
            }
            DriveError::ConsentOutdated { .. } => {
                new(StatusCode::CONFLICT, "consent-outdated", "The drive holds something else")
            }
            DriveError::Contended(_) => {
                new(StatusCode::SERVICE_UNAVAILABLE, "contended", "The record is busy")
            }
            DriveError::Full(_) => new(StatusCode::CONFLICT, "full", "There are too many"),
        }
    }
}
