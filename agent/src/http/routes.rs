//! What can be asked.
//!
//! | module | job |
//! | --- | --- |
//! | [`node`] | this node |
//! | [`boot_drives`] | this node's boot drives |
//! | [`cluster`] | the cluster and its members |
//! | [`install`] | install window, installations, invites, joining |
//! | [`provision`] | what install masters hand out |
//! | [`addresses`] | the install master's addresses, on the socket only |
//! | [`power`] | power of machines |
//! | [`machines`] | machines that asked to boot: seen, let in, told no |
//! | [`boot`] | the install master's questions, on the socket only |

mod addresses;
mod boot;
mod boot_drives;
mod cluster;
mod install;
mod machines;
mod node;
mod power;
mod provision;

use std::sync::Arc;
use std::time::Duration;

use axum::body::Bytes;
use axum::extract::rejection::BytesRejection;
use axum::extract::{DefaultBodyLimit, Request, State};
use axum::http::StatusCode;
use axum::middleware::{Next, from_fn, from_fn_with_state};
use axum::response::Response;
use axum::routing::{get, post};
use axum::{Extension, Router};
use maekin_api as api;
use serde::de::DeserializeOwned;

use super::auth::Peer;
use super::error::ApiError;
use crate::app::App;

/// Largest body of a request, bytes.
const BODY: usize = 64 << 10;
/// Largest report of an installer (it carries a receipt with its log), bytes; the install master passes on no more.
const REPORT: usize = 4 << 20;
/// Largest facts of a machine, bytes, with who it is around them.
const FACTS: usize = api::machine::FACTS + (64 << 10);
/// Largest list of machines that are let in, bytes.
const LIST: usize = 1 << 20;
/// How long a request may take, its body included.
const LIMIT: Duration = Duration::from_secs(60);

/// What is served over HTTPS.
pub(crate) fn public(app: Arc<App>) -> Router {
    finish(v1(app))
}

/// What is served over the unix socket: the same, and what only this machine's own programs may ask.
pub(crate) fn socket(app: Arc<App>) -> Router {
    let internal = Router::new()
        .route(api::boot::DECIDE, post(boot::decide))
        .route(
            api::addresses::ADDRESSES,
            get(addresses::get).post(addresses::write).layer(DefaultBodyLimit::max(REPORT)),
        )
        .route(api::boot::VERDICT, post(boot::verdict))
        .route(api::boot::INVENTORY, post(boot::inventory).layer(DefaultBodyLimit::max(FACTS)))
        .route(api::boot::ANSWER, post(boot::answer).layer(DefaultBodyLimit::max(FACTS)))
        .route(api::boot::REPORT, post(boot::report).layer(DefaultBodyLimit::max(REPORT)))
        .with_state(Arc::clone(&app));
    finish(v1(app).merge(internal))
}

fn v1(app: Arc<App>) -> Router {
    let guarded = Router::new()
        .route(api::NODE, get(node::get))
        .route(api::NODE_BOOT, get(boot_drives::get))
        .route(api::NODE_BOOT_SETTINGS, get(boot_drives::settings).put(boot_drives::set))
        .route(api::NODE_BOOT_HEAL, post(boot_drives::heal))
        .route(api::NODE_BOOT_COMPARE, post(boot_drives::compare))
        .route(api::NODE_BOOT_TRIAL, post(boot_drives::try_boot))
        .route(api::CLUSTER, get(cluster::get))
        .route(api::PROVISION, get(provision::get).put(provision::put))
        .route(
            api::INSTALL_WINDOW,
            get(install::window).post(install::open_window).delete(install::close_window),
        )
        .route(api::INSTALLS, get(install::list))
        .route(api::INSTALL, get(install::one).delete(install::forget))
        .route(api::INSTALL_RECEIPT, get(install::receipt))
        .route(api::REINSTALL, post(install::reinstall).delete(install::withdraw))
        .route(api::POWER, get(power::list))
        .route(api::MACHINE_POWER, get(power::get).put(power::set).delete(power::forget).post(power::act))
        .route(api::MACHINES, get(machines::list))
        .route(api::MACHINE, get(machines::one))
        .route(api::MACHINE_APPROVE, post(machines::approve))
        .route(api::MACHINE_DENY, post(machines::deny))
        .route(
            api::APPROVALS,
            get(machines::rules).put(machines::set_rules).layer(DefaultBodyLimit::max(LIST)),
        )
        .route(
            api::APPROVALS_CSV,
            get(machines::csv).put(machines::set_csv).layer(DefaultBodyLimit::max(LIST)),
        )
        .route(api::INVITES, post(install::invite))
        .route_layer(from_fn_with_state(Arc::clone(&app), guard));
    let open = Router::new().route(api::JOIN, post(install::join)).route(api::HEALTH, get(async || "ok\n"));
    guarded.merge(open).with_state(app)
}

fn finish(router: Router) -> Router {
    router
        .fallback(async || {
            ApiError::new(
                StatusCode::NOT_FOUND,
                "not-found",
                "There is no such resource",
                "see /v1/node, /v1/cluster",
            )
        })
        .method_not_allowed_fallback(async || {
            let title = "The resource does not take this method";
            ApiError::new(StatusCode::METHOD_NOT_ALLOWED, "method-not-allowed", title, "see the Allow header")
        })
        .layer(DefaultBodyLimit::max(BODY))
        .layer(from_fn(limit))
}

async fn guard(
    State(app): State<Arc<App>>,
    Extension(peer): Extension<Peer>,
    request: Request,
    next: Next,
) -> Result<Response, ApiError> {
    app.auth.check(&peer, request.headers()).await?;
    Ok(next.run(request).await)
}

async fn limit(request: Request, next: Next) -> Result<Response, ApiError> {
    tokio::time::timeout(LIMIT, next.run(request)).await.map_err(|_| {
        let detail = format!("it took longer than {} s", LIMIT.as_secs());
        ApiError::new(StatusCode::GATEWAY_TIMEOUT, "timed-out", "The request took too long", detail)
    })
}

/// The body of a request, or why it was not read.
type Body = Result<Bytes, BytesRejection>;

#[allow(clippy::needless_pass_by_value)] // as map_err hands it over
fn unread(e: BytesRejection) -> ApiError {
    let kind = if e.status() == StatusCode::PAYLOAD_TOO_LARGE { "too-large" } else { "bad-request" };
    ApiError::new(e.status(), kind, "The body of the request was not read", e.body_text())
}

fn parse<T: DeserializeOwned>(body: Body) -> Result<T, ApiError> {
    let body = body.map_err(unread)?;
    serde_json::from_slice(&body)
        .map_err(|e| ApiError::bad_request(format!("the body is not what was expected: {e}")))
}
