//! Join tokens in the API.

use std::sync::Arc;

use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::response::Response;
use axum::{Extension, Json};
use maekin_api::JOIN_TOKENS;
use maekin_api::trust::{JoinWith, MadeToken, NewToken};
use maekin_rootfs::node::ClusterIntent;

use super::invitation::Invitation;
use super::tokens;
use crate::app::App;
use crate::clock::now;
use crate::http::error::ApiError;
use crate::http::identity::Identity;
use crate::http::page::Page;
use crate::http::routes::{Body, parse, who};

type Answer<T> = Result<Json<T>, ApiError>;

/// `POST` [`maekin_api::JOIN_TOKENS`].
pub(crate) async fn create(
    State(app): State<Arc<App>>,
    Extension(asker): Extension<Identity>,
    body: Body,
) -> Answer<MadeToken> {
    let new: NewToken = parse(body)?;
    let member = app.member()?;
    let (by, masters) = (who(&app, &asker).await?, member.masters(&app.node_id).await?);
    Ok(Json(tokens::create(&member.record, &new, &masters, &by, now()).await?))
}

/// `GET` [`maekin_api::JOIN_TOKENS`].
pub(crate) async fn list(State(app): State<Arc<App>>, page: Page) -> Result<Response, ApiError> {
    let tokens = tokens::list(&app.member()?.record, now()).await?;
    Ok(page.of(JOIN_TOKENS, tokens, |token| token.id.clone()))
}

/// `DELETE` [`maekin_api::JOIN_TOKEN`].
pub(crate) async fn delete(State(app): State<Arc<App>>, Path(id): Path<String>) -> Answer<()> {
    tokens::delete(&app.member()?.record, &id).await?;
    Ok(Json(()))
}

/// `POST` [`maekin_api::NODE_JOIN`].
pub(crate) async fn join(State(app): State<Arc<App>>, body: Body) -> Answer<()> {
    let with: JoinWith = parse(body)?;
    let conflict = |kind, detail: &str| {
        Err(ApiError::new(StatusCode::CONFLICT, kind, "This node cannot join a cluster", detail))
    };
    if app.member().is_ok() {
        return conflict("already-member", "it is a member already; remove it there and reinstall it first");
    }
    if matches!(app.config.cluster, ClusterIntent::Create { .. }) {
        return conflict(
            "makes-cluster",
            "it was installed to make a cluster of its own; reinstall it to join",
        );
    }
    let given = Invitation::of_token(with.token.expose())
        .map_err(|e| ApiError::bad_request(format!("token: {e}")))?;
    given.store(&app.settings).map_err(|e| ApiError::internal(crate::errors::chain(&e)))?;
    app.trust.invited.notify_one();
    Ok(Json(()))
}
