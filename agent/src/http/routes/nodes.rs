//! `GET /v1/nodes` and `GET /v1/nodes/{name}`: the members and how they are, as this node sees them. Also while the
//! record is away, when a person needs it most.

use std::sync::Arc;

use axum::Json;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::response::Response;
use maekin_api::nodes::NodeInfo;

use crate::app::App;
use crate::http::error::ApiError;
use crate::http::page::Page;

pub(super) async fn list(State(app): State<Arc<App>>, page: Page) -> Result<Response, ApiError> {
    Ok(page.of(maekin_api::NODES, all(&app)?, |node| node.id.clone()))
}

pub(super) async fn one(
    State(app): State<Arc<App>>,
    Path(name): Path<String>,
) -> Result<Json<NodeInfo>, ApiError> {
    let mut nodes = all(&app)?;
    // A member goes before one that was, and had its name.
    let found = nodes.iter().position(|node| node.name == name || node.id == name);
    found.map(|at| Json(nodes.swap_remove(at))).ok_or_else(|| {
        let detail = format!("no member has the name or id {name}; `GET /v1/nodes` lists them");
        ApiError::new(StatusCode::NOT_FOUND, "not-found", "There is no such node", detail)
    })
}

fn all(app: &App) -> Result<Vec<NodeInfo>, ApiError> {
    let nodes = app.liveness.list(app);
    if nodes.is_empty() {
        app.member()?; // which says how far it is
    }
    Ok(nodes)
}
