//! Who asks (`/v1/whoami`), users, API tokens, the audit log, and what can be asked at all.

use std::collections::BTreeSet;
use std::sync::Arc;

use axum::extract::{Path, State};
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::{Extension, Json};
use maekin_api as api;
use maekin_api::access::{ChangePassword, MadeToken, NewToken, NewUser, SetUser, Token, WhoAmI};

use super::{Body, operations, parse};
use crate::access::{AccessError, tokens as token_store, users as user_store};
use crate::app::App;
use crate::audit;
use crate::clock::now;
use crate::http::error::ApiError;
use crate::http::etag::{IfMatch, tagged};
use crate::http::identity::{Identity, Who};
use crate::http::openapi;
use crate::http::page::Page;
use crate::metrics::render;

type Answer<T> = Result<Json<T>, ApiError>;

pub(super) async fn whoami(
    State(app): State<Arc<App>>,
    Extension(asker): Extension<Identity>,
) -> Json<WhoAmI> {
    Json(asker.wire(&app.config.hostname))
}

/// Always in pages: the log is long, and mostly its newest part is wanted.
pub(super) async fn audit(State(app): State<Arc<App>>, page: Page) -> Result<Response, ApiError> {
    let limit = page.limit.unwrap_or(100);
    let events = audit::page(&app.member()?.record, page.after.as_deref(), limit).await?;
    let last = events.last().map(|event| event.id.clone());
    Ok(page.answer(api::AUDIT, &events, last.filter(|_| events.len() == limit).as_deref()))
}

pub(super) async fn openapi() -> impl IntoResponse {
    ([(header::CONTENT_TYPE, "application/json")], openapi::DOCUMENT.as_str())
}

pub(super) async fn own_password(
    State(app): State<Arc<App>>,
    Extension(asker): Extension<Identity>,
    body: Body,
) -> Answer<()> {
    let wish: ChangePassword = parse(body)?;
    let Who::User(name) = &asker.who else {
        let title = "This password is not the cluster's";
        let detail = "only who logs in as a user of the cluster can change the password; that of `admin` is the node \
            file's, and a token has none";
        return Err(ApiError::new(StatusCode::CONFLICT, "no-password", title, detail));
    };
    user_store::check_password(&wish.new)?;
    let record = app.member()?.record.clone();
    let user = user_store::get(&record, name).await?;
    app.auth.confirm(&asker, &user.value.hash, &wish.old).await?;
    let hash = app.auth.hash(&wish.new).await?;
    user_store::set_password(&record, &user, &hash, now()).await?;
    app.auth.known.forget();
    Ok(Json(()))
}

pub(super) async fn users(State(app): State<Arc<App>>, page: Page) -> Result<Response, ApiError> {
    let users = user_store::list(&app.member()?.record).await?;
    Ok(page.of(api::USERS, users, |user| user.name.clone()))
}

pub(super) async fn create_user(
    State(app): State<Arc<App>>,
    Extension(asker): Extension<Identity>,
    body: Body,
) -> Answer<api::access::User> {
    let new: NewUser = parse(body)?;
    user_store::check_password(&new.password)?;
    let record = app.member()?.record.clone();
    let hash = app.auth.hash(&new.password).await?;
    let made = user_store::create(&record, &new, &hash, &asker.name(), now()).await?;
    app.auth.known.forget();
    Ok(Json(made))
}

pub(super) async fn user(
    State(app): State<Arc<App>>,
    Path(name): Path<String>,
) -> Result<Response, ApiError> {
    let found = user_store::get(&app.member()?.record, &name).await?;
    Ok(tagged(found.revision, &user_store::wire(&found.value)))
}

pub(super) async fn set_user(
    State(app): State<Arc<App>>,
    Extension(asker): Extension<Identity>,
    Path(name): Path<String>,
    wanted: IfMatch,
    body: Body,
) -> Result<Response, ApiError> {
    let expected = wanted.required()?;
    let wish: SetUser = parse(body)?;
    let record = app.member()?.record.clone();
    user_store::get(&record, &name).await?; // before a password is hashed for nobody
    let hash = match &wish.password {
        Some(password) => {
            user_store::check_password(password)?;
            Some(app.auth.hash(password).await?)
        }
        None => None,
    };
    let root = asker.who == Who::Root;
    user_store::set(&record, &name, &wish, hash.as_deref(), &expected, root, now()).await?;
    app.auth.known.forget();
    user(State(app), Path(name)).await
}

pub(super) async fn delete_user(
    State(app): State<Arc<App>>,
    Extension(asker): Extension<Identity>,
    Path(name): Path<String>,
    wanted: IfMatch,
) -> Answer<()> {
    let root = asker.who == Who::Root;
    user_store::delete(&app.member()?.record, &name, &wanted.optional(), root).await?;
    app.auth.known.forget();
    Ok(Json(()))
}

pub(super) async fn tokens(
    State(app): State<Arc<App>>,
    Extension(asker): Extension<Identity>,
    page: Page,
) -> Result<Response, ApiError> {
    let tokens = token_store::list(&app.member()?.record, &asker).await?;
    Ok(page.of(api::TOKENS, tokens, |token| token.id.clone()))
}

pub(super) async fn create_token(
    State(app): State<Arc<App>>,
    Extension(asker): Extension<Identity>,
    body: Body,
) -> Answer<MadeToken> {
    let wish: NewToken = parse(body)?;
    let operations = operations();
    let groups: BTreeSet<&str> = operations.iter().map(|op| op.about.group).collect();
    let made = token_store::create(&app.member()?.record, &asker, &wish, &groups, now()).await?;
    app.auth.known.forget();
    Ok(Json(made))
}

pub(super) async fn token(
    State(app): State<Arc<App>>,
    Extension(asker): Extension<Identity>,
    Path(id): Path<String>,
) -> Answer<Token> {
    Ok(Json(token_store::get(&app.member()?.record, &asker, &id).await?))
}

pub(super) async fn delete_token(
    State(app): State<Arc<App>>,
    Extension(asker): Extension<Identity>,
    Path(id): Path<String>,
) -> Result<Json<()>, ApiError> {
    let ended: Result<(), AccessError> = token_store::delete(&app.member()?.record, &asker, &id).await;
    app.auth.known.forget();
    Ok(Json(ended?))
}

pub(super) async fn metrics(State(app): State<Arc<App>>) -> Result<impl IntoResponse, ApiError> {
    let text = tokio::task::spawn_blocking(move || render(&app))
        .await
        .map_err(|e| ApiError::internal(format!("counting ended early: {e}")))?;
    Ok(([(header::CONTENT_TYPE, "text/plain; version=0.0.4; charset=utf-8")], text))
}
