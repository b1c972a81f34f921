//! Install window, installations, invites, joining.

use std::net::IpAddr;
use std::sync::Arc;

use axum::extract::{Path, State};
use axum::http::{StatusCode, Uri};
use axum::response::Response;
use axum::{Extension, Json};
use maekin_api as api;
use maekin_api::access::Role;
use maekin_api::install::{Install, OpenWindow, Reinstall, WindowState};
use maekin_api::join::{Invite, JoinReply, JoinRequest, NewInvite};
use maekin_image::manifest::sha256_hex;

use super::{Body, parse};
use crate::app::App;
use crate::clock::now;
use crate::errors::chain;
use crate::http::auth::Peer;
use crate::http::error::ApiError;
use crate::http::identity::Identity;
use crate::http::page::Page;
use crate::install::admit::Refusal;
use crate::install::decide::window_state;
use crate::install::{InstallError, again, invites, store, window};
use crate::membership::signer;
use crate::pki::ca::Subject;
use crate::pki::identity::Credentials;
use crate::record::values::NodeValue;
use crate::record::{Record, keys};
use crate::trust::known::find_removed;
use crate::trust::values::RemovedValue;
use crate::trust::{events, issue, tokens};

type Answer<T> = Result<Json<T>, ApiError>;

/// Most addresses that a joining node may have certified.
const ADDRESSES: usize = 32;

pub(super) async fn window(State(app): State<Arc<App>>) -> Answer<WindowState> {
    Ok(Json(window::state(&app.member()?.record, now()).await?))
}

pub(super) async fn open_window(State(app): State<Arc<App>>, body: Body) -> Answer<WindowState> {
    let value = window::plan_window(parse::<OpenWindow>(body)?, now())?;
    window::set(&app.member()?.record, Some(value.clone())).await?;
    tracing::info!(until = value.until, left = value.left, "install window opened");
    Ok(Json(window_state(Some(&value), now())))
}

pub(super) async fn close_window(State(app): State<Arc<App>>) -> Answer<WindowState> {
    window::set(&app.member()?.record, None).await?;
    tracing::info!("install window closed");
    Ok(Json(WindowState::default()))
}

pub(super) async fn list(
    State(app): State<Arc<App>>,
    Extension(asker): Extension<Identity>,
    page: Page,
) -> Result<Response, ApiError> {
    let mut installs = store::installs(&app.member()?.record, now()).await?;
    if asker.role < Role::Operator {
        // With a ticket one could be the machine: who only looks is told of it by another name.
        installs.iter_mut().for_each(|install| install.ticket = veiled(&install.ticket));
    }
    Ok(page.of(api::INSTALLS, installs, |install| install.ticket.clone()))
}

/// A name for a ticket that is good for nothing else.
pub(super) fn veiled(ticket: &str) -> String {
    format!("hidden-{}", &sha256_hex(ticket.as_bytes())[..12])
}

pub(super) async fn one(State(app): State<Arc<App>>, Path(ticket): Path<String>) -> Answer<Install> {
    let ticket = store::ticket(&app.member()?.record, &ticket).await?;
    Ok(Json(store::install(ticket.value, now())))
}

pub(super) async fn forget(State(app): State<Arc<App>>, Path(ticket): Path<String>) -> Answer<()> {
    store::forget(&app.member()?.record, &ticket).await?;
    tracing::info!(ticket, "installation forgotten");
    Ok(Json(()))
}

pub(super) async fn receipt(
    State(app): State<Arc<App>>,
    Path(ticket): Path<String>,
) -> Answer<serde_json::Value> {
    Ok(Json(store::receipt(&app.member()?.record, &ticket).await?))
}

pub(super) async fn reinstall(
    State(app): State<Arc<App>>,
    Path(name): Path<String>,
    uri: Uri,
) -> Answer<Reinstall> {
    let forced = crate::trust::routes::forced(&uri)?;
    Ok(Json(again::wish(&app.member()?.record, &name, forced, now()).await?))
}

pub(super) async fn withdraw(State(app): State<Arc<App>>, Path(name): Path<String>) -> Answer<()> {
    again::withdraw(&app.member()?.record, &name).await?;
    Ok(Json(()))
}

pub(super) async fn invite(State(app): State<Arc<App>>, body: Body) -> Answer<Invite> {
    let request: NewInvite = parse(body)?;
    let member = app.member()?;
    let masters = member.masters(&app.node_id).await?;
    Ok(Json(invites::create(&member.record, request.minutes, masters, now()).await?))
}

pub(super) async fn join(
    State(app): State<Arc<App>>,
    Extension(peer): Extension<Peer>,
    body: Body,
) -> Answer<JoinReply> {
    let request: JoinRequest = parse(body)?;
    let member = app.member()?;
    let ca = signer::authority(&app, &member).await.map_err(|e| ApiError::internal(chain(&e)))?;
    let ca = ca.ok_or_else(|| {
        let title = "This node cannot sign members in";
        let detail = "it has no voter of the record; `GET /v1/cluster` lists those that have";
        ApiError::new(StatusCode::SERVICE_UNAVAILABLE, "not-a-signer", title, detail)
    })?;
    let addresses = parse_addresses(&request.addresses)?;
    let nodes = member.record.list::<NodeValue>(keys::NODES).await?;
    if let Some(removed) = removed(&member.record, &request).await? {
        let refusal = Refusal::Removed;
        events::refused(&app, events::JOIN_REFUSED, &peer, &bearer_text(&request), &refusal.to_string());
        tracing::warn!(name = removed.name, "a removed node asked to join");
        return Err(InstallError::Refused(refusal).into());
    }
    let admitted = match &request.token {
        Some(proof) => tokens::admit(&member.record, &ca, &request, proof, now()).await,
        None => invites::admit(&member.record, &ca, &request, now()).await,
    };
    if let Err(InstallError::Refused(refusal)) = &admitted {
        let who = bearer_text(&request);
        events::refused(&app, events::JOIN_REFUSED, &peer, &who, &refusal.to_string());
    }
    let admitted = admitted?;
    if let Some(words) = &admitted.replaced {
        events::done(&app, events::MEMBER_REPLACED, &peer, &bearer_text(&request), words);
    }
    let subject = Subject { node_id: &request.node_id, name: &request.name, addresses: &addresses };
    let issued = issue::issue(&member.record, &ca, &admitted.key, &subject, now()).await?;
    let own = Credentials::load(&app.settings.pki(), &app.key, &app.node_id);
    let trusted = own.map_err(InstallError::from)?.map_or_else(|| ca.pem.clone(), |own| own.ca);
    tracing::info!(name = request.name, id = request.node_id, "a node was signed in");
    Ok(Json(JoinReply {
        ca: trusted,
        cert: issued.pem,
        cluster_id: member.cluster.id.clone(),
        cluster: member.cluster.name.clone(),
        endpoints: nodes.into_iter().map(|n| n.value.record_url).filter(|url| !url.is_empty()).collect(),
        seal: member.seal.current().map(|key| key.to_secret()).unwrap_or_default(),
        time: now(),
    }))
}

/// The tombstone of the node, or of its key.
async fn removed(record: &Record, request: &JoinRequest) -> Result<Option<RemovedValue>, ApiError> {
    let (_, bearer) = invites::bearer(request)?;
    let all: Vec<_> =
        record.list::<RemovedValue>(keys::REMOVED).await?.into_iter().map(|found| found.value).collect();
    Ok(find_removed(&all, &bearer.node_id, &bearer.key_sha256).cloned())
}

/// A node that asks to be let in, as it calls itself: shortened, since anybody may ask.
fn bearer_text(request: &JoinRequest) -> String {
    let shown = |text: &str| text.chars().filter(|c| !c.is_control()).take(64).collect::<String>();
    format!("{} ({})", shown(&request.name), shown(&request.node_id))
}

pub(crate) fn parse_addresses(texts: &[String]) -> Result<Vec<IpAddr>, ApiError> {
    if texts.len() > ADDRESSES {
        return Err(ApiError::bad_request(format!("addresses: more than {ADDRESSES}")));
    }
    let parse = |text: &String| {
        text.parse().map_err(|_| ApiError::bad_request("addresses: one is no IP address".to_owned()))
    };
    texts.iter().map(parse).collect()
}
