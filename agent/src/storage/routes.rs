//! `GET /v1/storage`: from the record, so that every member gives the same answer.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use maekin_api::storage::{NodeStorage, Storage};

use super::classes;
use crate::app::App;
use crate::http::error::ApiError;
use crate::volumes::routes::{all, world};

pub(crate) async fn get(State(app): State<Arc<App>>) -> Result<Json<Storage>, ApiError> {
    let record = app.member()?.record.clone();
    let (world, _) = world(&record, &app.node_id).await?;
    let volumes = all(&record, &world).await?;
    let mut nodes: Vec<NodeStorage> = world.storage.values().cloned().collect();
    for node in &mut nodes {
        // Its name now: it may have been given another one since it said so.
        node.name = world.place(&node.id).name;
    }
    nodes.sort_by(|a, b| a.name.cmp(&b.name));
    Ok(Json(classes::storage(&nodes, &volumes)))
}
