//! `GET /v1/node`.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use maekin_api::node::Node;

use crate::app::App;
use crate::http::error::ApiError;
use crate::node_info;

pub(super) async fn get(State(app): State<Arc<App>>) -> Result<Json<Node>, ApiError> {
    tokio::task::spawn_blocking(move || node_info::collect(&app))
        .await
        .map(Json)
        .map_err(|e| ApiError::internal(format!("looking at the machine ended early: {e}")))
}
