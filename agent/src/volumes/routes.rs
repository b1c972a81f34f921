//! `/v1/volumes`: from the record, so that every member gives the same answer.

use std::sync::Arc;

use axum::extract::{Path, Query, State};
use axum::http::{StatusCode, Uri};
use axum::response::Response;
use axum::{Extension, Json};
use maekin_api as api;
use maekin_api::volumes::{
    AttachVolume, Class, CloneVolume, DetachVolume, NewSnapshot, NewVolume, Snapshot, Volume,
};
use serde::Deserialize;
use serde_json::{Map, Value};

use super::edit::{self, Asked, Ending};
use super::view::{self, World};
use super::{VolumeError, check, store};
use crate::app::App;
use crate::clock::now;
use crate::errors::chain;
use crate::http::error::ApiError;
use crate::http::etag::{IfMatch, tagged};
use crate::http::identity::Identity;
use crate::http::page::Page;
use crate::http::routes::{Body, parse_bytes, read};
use crate::record::look::Overview;
use crate::record::{Expected, Record, Versioned};

/// What `GET /v1/volumes` may be asked besides its pages.
pub(crate) const QUERIES: &[(&str, &str)] = &[
    ("class", "Only volumes of this class: `local`, `mirror` or `pool`."),
    ("node", "Only volumes on the node of this host name or id."),
];
/// What `DELETE /v1/volumes/{name}` may be asked.
pub(crate) const DELETE_QUERIES: &[(&str, &str)] =
    &[("snapshots", "`delete`: its snapshots go, too; without it a volume that has some stays.")];

/// What a list may be asked for, and a deletion.
#[derive(Debug, Default, Deserialize)]
struct Asks {
    class: Option<String>,
    node: Option<String>,
    snapshots: Option<String>,
}

impl Asks {
    fn parse(uri: &Uri) -> Result<Self, ApiError> {
        Ok(Query::<Self>::try_from_uri(uri)
            .map_err(|e| ApiError::bad_request(format!("the query cannot be understood: {}", e.body_text())))?
            .0)
    }

    /// The class that is meant, if any. Pure.
    fn class(&self) -> Result<Option<Class>, ApiError> {
        let Some(word) = &self.class else { return Ok(None) };
        let found = Class::ALL.into_iter().find(|class| class.word() == word);
        found.map(Some).ok_or_else(|| ApiError::bad_request("class: may be local, mirror or pool"))
    }

    /// Whether snapshots go with their volume. Pure.
    fn with_snapshots(&self) -> Result<bool, ApiError> {
        match self.snapshots.as_deref() {
            None => Ok(false),
            Some("delete") => Ok(true),
            Some(_) => Err(ApiError::bad_request("snapshots: may be `delete`")),
        }
    }
}

fn asked(asker: &Identity) -> Asked {
    Asked { by: asker.name(), at: now() }
}

/// What volumes are told from.
///
/// # Errors
/// The answer to give instead.
pub(crate) async fn world(record: &Record, own: &str) -> Result<(World, Overview), ApiError> {
    let overview = record.overview(own).await?;
    let names = overview.nodes.iter().map(|node| (node.value.id.clone(), node.value.name.clone())).collect();
    let storage = store::storage(record).await?;
    Ok((World { names, alive: overview.alive.clone(), storage }, overview))
}

/// All volumes as they are told.
///
/// # Errors
/// The answer to give instead.
pub(crate) async fn all(record: &Record, world: &World) -> Result<Vec<Volume>, ApiError> {
    let volumes = store::list(record).await?;
    if volumes.is_empty() {
        return Ok(Vec::new());
    }
    let parts = store::parts(record, None).await?;
    let none = std::collections::BTreeMap::new();
    let told = |found: &Versioned<super::values::VolumeValue>| {
        view::volume(&found.value, parts.get(&found.value.name).unwrap_or(&none), world)
    };
    Ok(volumes.iter().map(told).collect())
}

pub(crate) async fn list(State(app): State<Arc<App>>, page: Page, uri: Uri) -> Result<Response, ApiError> {
    let asks = Asks::parse(&uri)?;
    let class = asks.class()?;
    let record = app.member()?.record.clone();
    let (world, _) = world(&record, &app.node_id).await?;
    let mut volumes = all(&record, &world).await?;
    volumes.retain(|volume| {
        let on = |wanted: &String| volume.nodes.iter().any(|node| node.name == *wanted || node.id == *wanted);
        class.is_none_or(|class| volume.class == class) && asks.node.as_ref().is_none_or(on)
    });
    Ok(page.of(api::VOLUMES, volumes, |volume| volume.name.clone()))
}

/// One volume, and its version.
async fn told(app: &App, name: &str) -> Result<(Volume, i64), ApiError> {
    let record = app.member()?.record.clone();
    let found = store::get(&record, name).await?;
    let parts = store::parts(&record, Some(name)).await?;
    let (world, _) = world(&record, &app.node_id).await?;
    let parts = parts.get(name).cloned().unwrap_or_default();
    Ok((view::volume(&found.value, &parts, &world), found.revision))
}

async fn answer(app: &App, name: &str) -> Result<Response, ApiError> {
    let (volume, revision) = told(app, name).await?;
    Ok(tagged(revision, &volume))
}

pub(crate) async fn create(
    State(app): State<Arc<App>>,
    Extension(asker): Extension<Identity>,
    body: Body,
) -> Result<Response, ApiError> {
    let new: NewVolume = parse_bytes(&read(body)?)?;
    store::create(&app.member()?.record, &app.node_id, &new, &asked(&asker)).await?;
    answer(&app, &new.name).await
}

pub(crate) async fn one(State(app): State<Arc<App>>, Path(name): Path<String>) -> Result<Response, ApiError> {
    answer(&app, &name).await
}

pub(crate) async fn change(
    State(app): State<Arc<App>>,
    Path(name): Path<String>,
    wanted: IfMatch,
    body: Body,
) -> Result<Response, ApiError> {
    let patch: Map<String, Value> = parse_bytes(&read(body)?)?;
    let plan = |old: &super::values::VolumeValue| edit::change(old, &patch);
    store::change(&app.member()?.record, &name, &wanted.optional(), plan).await?;
    answer(&app, &name).await
}

/// The volume on its way out; null where nothing of it is left.
pub(crate) async fn delete(
    State(app): State<Arc<App>>,
    Extension(asker): Extension<Identity>,
    Path(name): Path<String>,
    wanted: IfMatch,
    uri: Uri,
) -> Result<Json<Option<Volume>>, ApiError> {
    let with_snapshots = Asks::parse(&uri)?.with_snapshots()?;
    let record = app.member()?.record.clone();
    let expected = wanted.optional();
    let left = store::delete(&record, &app.node_id, &name, &expected, with_snapshots, &asked(&asker)).await?;
    if !left {
        return Ok(Json(None));
    }
    match told(&app, &name).await {
        Ok((volume, _)) => Ok(Json(Some(volume))),
        // Its node was faster than this answer.
        Err(e) if e.status() == StatusCode::NOT_FOUND => Ok(Json(None)),
        Err(e) => Err(e),
    }
}

pub(crate) async fn snapshots(
    State(app): State<Arc<App>>,
    Path(name): Path<String>,
    page: Page,
) -> Result<Response, ApiError> {
    let (volume, _) = told(&app, &name).await?;
    // The name is one of a volume, so of plain characters.
    let path = api::VOLUME_SNAPSHOTS.replace("{name}", &volume.name);
    Ok(page.of(&path, volume.snapshots, |snapshot| snapshot.name.clone()))
}

async fn snapshot_of(app: &App, name: &str, snapshot: &str) -> Result<Snapshot, ApiError> {
    let (volume, _) = told(app, name).await?;
    let found = volume.snapshots.into_iter().find(|found| found.name == snapshot);
    found.ok_or_else(|| {
        let (volume, snapshot) = (volume.name, crate::install::terms::shown(snapshot));
        VolumeError::NoSnapshot { volume, snapshot }.into()
    })
}

pub(crate) async fn create_snapshot(
    State(app): State<Arc<App>>,
    Extension(asker): Extension<Identity>,
    Path(name): Path<String>,
    body: Body,
) -> Result<Json<Snapshot>, ApiError> {
    let new: NewSnapshot = parse_bytes(&read(body)?)?;
    store::snapshot(&app.member()?.record, &app.node_id, &name, &new.name, &asked(&asker)).await?;
    snapshot_of(&app, &name, &new.name).await.map(Json)
}

pub(crate) async fn one_snapshot(
    State(app): State<Arc<App>>,
    Path((name, snapshot)): Path<(String, String)>,
) -> Result<Json<Snapshot>, ApiError> {
    snapshot_of(&app, &name, &snapshot).await.map(Json)
}

pub(crate) async fn delete_snapshot(
    State(app): State<Arc<App>>,
    Path((name, snapshot)): Path<(String, String)>,
) -> Result<Json<()>, ApiError> {
    let plan = |old: &super::values::VolumeValue| edit::drop_snapshot(old, &snapshot);
    store::change(&app.member()?.record, &name, &Expected::Whatever, plan).await?;
    Ok(Json(()))
}

pub(crate) async fn clone(
    State(app): State<Arc<App>>,
    Extension(asker): Extension<Identity>,
    Path(name): Path<String>,
    body: Body,
) -> Result<Response, ApiError> {
    let wish: CloneVolume = parse_bytes(&read(body)?)?;
    store::clone(&app.member()?.record, &app.node_id, &name, &wish, &asked(&asker)).await?;
    answer(&app, &wish.name).await
}

pub(crate) async fn attach(
    State(app): State<Arc<App>>,
    Extension(asker): Extension<Identity>,
    Path(name): Path<String>,
    wanted: IfMatch,
    body: Body,
) -> Result<Response, ApiError> {
    let body = read(body)?;
    let wish: AttachVolume = if body.is_empty() { AttachVolume::default() } else { parse_bytes(&body)? };
    check::purpose(&wish.purpose)?;
    let record = app.member()?.record.clone();
    let overview = record.overview(&app.node_id).await?;
    let named = wish.node.as_deref().map(|node| store::id_of(&overview, node)).transpose()?;
    let asked = asked(&asker);
    let name_of = |id: &str| store::name_of(&overview, id);
    let plan = |old: &super::values::VolumeValue| {
        let node = match (&named, old.nodes.as_slice()) {
            (Some(node), _) => node.clone(),
            (None, [only]) => only.clone(),
            (None, _) => {
                let text = "node: several nodes have this volume; say which one shall use it";
                return Err(VolumeError::Invalid(text.to_owned()));
            }
        };
        edit::attach(old, (&node, &name_of(&node)), &wish.purpose, &asked, name_of)
    };
    store::change(&record, &name, &wanted.optional(), plan).await?;
    answer(&app, &name).await
}

pub(crate) async fn detach(
    State(app): State<Arc<App>>,
    Path(name): Path<String>,
    wanted: IfMatch,
    body: Body,
) -> Result<Response, ApiError> {
    let body = read(body)?;
    let wish: DetachVolume = if body.is_empty() { DetachVolume::default() } else { parse_bytes(&body)? };
    let record = app.member()?.record.clone();
    let expected = wanted.optional();
    if wish.force {
        store::force_detach(&record, &app.node_id, &name, &expected, wish.token).await?;
    } else {
        let plan = |old: &super::values::VolumeValue| edit::detach(old, wish.token, Ending::Asked);
        store::change(&record, &name, &expected, plan).await?;
    }
    answer(&app, &name).await
}

impl From<VolumeError> for ApiError {
    fn from(error: VolumeError) -> Self {
        let detail = chain(&error);
        let conflict = |kind, title| Self::new(StatusCode::CONFLICT, kind, title, detail.clone());
        match error {
            VolumeError::Record(e) => e.into(),
            VolumeError::Invalid(_)
            | VolumeError::NoEngine(_)
            | VolumeError::NoLimits
            | VolumeError::Shrinks { .. } => Self::bad_request(detail),
            VolumeError::NoVolume(_) | VolumeError::NoSnapshot { .. } | VolumeError::NoNode(_) => {
                Self::new(StatusCode::NOT_FOUND, "not-found", "There is no such thing", detail)
            }
            VolumeError::Exists { .. } => conflict("exists", "There is one of that name already"),
            VolumeError::NoRoom(_) => conflict("no-room", "No node can take the volume"),
            VolumeError::Deleting(_) => conflict("deleting", "The volume is being deleted"),
            VolumeError::Attached { .. } => conflict("attached", "The volume is attached"),
            VolumeError::AnotherToken { .. } => {
                conflict("another-attachment", "The attachment is not the one that was meant")
            }
            VolumeError::NotThere { .. } => conflict("not-there", "The node does not have the volume"),
            VolumeError::HasSnapshots { .. } => conflict("has-snapshots", "The volume has snapshots"),
            VolumeError::Alive(_) => conflict("member-alive", "The node works"),
            VolumeError::Full { .. } => conflict("full", "There are too many"),
            VolumeError::Contended => {
                Self::new(StatusCode::SERVICE_UNAVAILABLE, "contended", "The record is busy", detail)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn volumes_are_listed_and_deleted_as_was_said() {
        let asks = |query: &str| Asks::parse(&format!("/v1/volumes{query}").parse().unwrap());
        let class = |query: &str| asks(query).and_then(|asks| asks.class()).ok();
        assert_eq!(class(""), Some(None));
        assert_eq!(class("?class=pool"), Some(Some(Class::Pool)));
        assert_eq!(class("?class=tape"), None);
        let with = |query: &str| asks(query).and_then(|asks| asks.with_snapshots()).ok();
        assert_eq!(
            [with(""), with("?snapshots=delete"), with("?snapshots=yes")],
            [Some(false), Some(true), None]
        );
    }
}
