//! What is served under which path.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::atomic::Ordering;
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use axum::Router;
use axum::body::{Body, to_bytes};
use axum::extract::connect_info::ConnectInfo;
use axum::extract::{Path, Query, State};
use axum::http::header::{CONTENT_TYPE, RETRY_AFTER};
use axum::http::{HeaderMap, Method, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use maekin_api::boot::{Decision, Machine, Report};
use serde::Deserialize;
use tokio::time::timeout;
use uuid::Uuid;

use super::file;
use crate::approver::{Approver, ApproverError, is_ticket};
use crate::counters::{Counters, count};
use crate::dhcp::lease::State as LeaseState;
use crate::dhcp::server::Settings;
use crate::dhcp::store::Store;
use crate::hw::HwAddr;
use crate::release::Release;
use crate::script::{self, Target};
use crate::tftp::catalog::AUTOEXEC;

/// Largest report taken, in bytes: the installer's receipt with its log.
const MAX_REPORT: usize = 4 << 20;
/// How long a report may take to come.
const REPORT_LIMIT: Duration = Duration::from_secs(30);

/// What the handlers share.
#[derive(Clone)]
pub struct Shared {
    /// The release served.
    pub release: Arc<Release>,
    /// Who decides.
    pub approver: Arc<dyn Approver>,
    /// Leases, to know machines by their addresses.
    pub store: Store,
    /// Our addresses.
    pub settings: Arc<RwLock<Settings>>,
    /// What happened.
    pub counters: Arc<Counters>,
}

impl Shared {
    fn settings(&self) -> Settings {
        self.settings.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// The script that iPXE finds by name, for the client at an address.
    #[must_use]
    pub fn autoexec(&self, client: Ipv4Addr, arch: u16) -> String {
        let http = self.settings().http();
        let hw = self.store.lock().leases.holder(client);
        script::autoexec(hw.map(|hw| Target { http: &http, hw, arch }).as_ref())
    }
}

/// All routes.
pub fn router(shared: Shared) -> Router {
    Router::new()
        .route("/boot.ipxe", get(boot))
        .route("/release/{*path}", get(release))
        .route("/install/{ticket}/answer", get(answer))
        .route("/install/{ticket}/report", post(report))
        .route("/metrics", get(metrics))
        .with_state(shared)
}

/// The query of `/boot.ipxe`.
#[derive(Debug, Deserialize)]
struct BootQuery {
    mac: HwAddr,
    uuid: Option<String>,
    #[serde(default)]
    arch: u16,
}

async fn boot(
    State(shared): State<Shared>,
    ConnectInfo(peer): ConnectInfo<SocketAddr>,
    query: Result<Query<BootQuery>, axum::extract::rejection::QueryRejection>,
) -> Response {
    count(&shared.counters.http_requests);
    let query = match query {
        Ok(Query(query)) => query,
        Err(e) => return (StatusCode::BAD_REQUEST, format!("{}\n", e.body_text())).into_response(),
    };
    let settings = shared.settings();
    let http = settings.http();
    let target = Target { http: &http, hw: query.mac, arch: query.arch };
    let lease = shared.store.lock().leases.lease(query.mac).filter(|lease| lease.state == LeaseState::Bound);
    // One machine must not fetch another's ticket by naming its MAC: where we leased the address, we know it.
    if let Some(lease) = lease.filter(|lease| IpAddr::V4(lease.ip) != peer.ip()) {
        tracing::warn!(client = %query.mac, leased = %lease.ip, from = %peer.ip(), "asks from another address; refused");
        return text(script::unavailable(
            "The request did not come from the address leased to this machine.",
            &target,
        ));
    }
    let machine = Machine {
        mac: query.mac.to_string(),
        uuid: query.uuid.as_deref().and_then(known_uuid),
        arch: query.arch,
        address: lease.map(|lease| lease.ip),
        server: settings.server,
    };
    match decide(&shared, &machine, query.mac).await {
        Ok(decision) => {
            log(&machine, &decision);
            text(script::boot_script(&decision, &target))
        }
        Err(e) => {
            tracing::error!(client = %query.mac, "cannot decide what it shall boot: {e}");
            text(script::unavailable(&e.to_string(), &target))
        }
    }
}

async fn decide(shared: &Shared, machine: &Machine, hw: HwAddr) -> Result<Decision, ApproverError> {
    let decision = shared.approver.decide(machine).await?;
    if let Decision::Install { ticket } = &decision {
        if !is_ticket(ticket) {
            return Err(ApproverError::Unavailable("the approver's ticket is not 32 hex digits".to_owned()));
        }
        // The installed node keeps this address as its own, so nobody else may ever be leased it.
        shared.store.pin(hw).map_err(|e| ApproverError::Unavailable(e.to_string()))?;
    }
    Ok(decision)
}

/// A UUID that tells machines apart: boards without one say all zeros or all ones.
fn known_uuid(text: &str) -> Option<String> {
    Uuid::parse_str(text).ok().filter(|uuid| !uuid.is_nil() && !uuid.is_max()).map(|uuid| uuid.to_string())
}

fn log(machine: &Machine, decision: &Decision) {
    let client = &machine.mac;
    match decision {
        Decision::Install { .. } => tracing::info!(%client, "boots the installer"),
        Decision::Local => tracing::info!(%client, "boots from its disk"),
        Decision::Wait { code, reason } => tracing::info!(%client, %code, "waits: {reason}"),
    }
}

async fn release(
    State(shared): State<Shared>,
    ConnectInfo(peer): ConnectInfo<SocketAddr>,
    Path(path): Path<String>,
    method: Method,
    headers: HeaderMap,
) -> Response {
    count(&shared.counters.http_requests);
    // iPXE that firmware loaded over HTTP looks for its script beside itself.
    if let (Some(AUTOEXEC), IpAddr::V4(client)) = (path.strip_prefix("boot/net/"), peer.ip()) {
        return text(shared.autoexec(client, 16));
    }
    match shared.release.find(&path) {
        Some(served) => {
            tracing::debug!(client = %peer.ip(), %method, file = %path, "HTTP");
            file::respond(served, &method, &headers, &shared.counters).await
        }
        None => (StatusCode::NOT_FOUND, "not a file of this release\n").into_response(),
    }
}

async fn answer(State(shared): State<Shared>, Path(ticket): Path<String>) -> Response {
    count(&shared.counters.http_requests);
    if !is_ticket(&ticket) {
        return refuse(&ApproverError::NoTicket);
    }
    match shared.approver.answer(&ticket).await {
        Ok(answer) => ([(CONTENT_TYPE, "application/toml")], answer).into_response(),
        Err(e) => refuse(&e),
    }
}

async fn report(State(shared): State<Shared>, Path(ticket): Path<String>, body: Body) -> Response {
    count(&shared.counters.http_requests);
    if !is_ticket(&ticket) {
        return refuse(&ApproverError::NoTicket);
    }
    let body = match timeout(REPORT_LIMIT, to_bytes(body, MAX_REPORT)).await {
        Ok(Ok(body)) => body,
        Ok(Err(_)) => return (StatusCode::PAYLOAD_TOO_LARGE, "a report has at most 4 MiB\n").into_response(),
        Err(_) => return StatusCode::REQUEST_TIMEOUT.into_response(),
    };
    let report: Report = match serde_json::from_slice(&body) {
        Ok(report) => report,
        Err(e) => return (StatusCode::BAD_REQUEST, format!("not a report: {e}\n")).into_response(),
    };
    match shared.approver.report(&ticket, &report).await {
        Ok(()) => StatusCode::NO_CONTENT.into_response(),
        Err(e) => refuse(&e),
    }
}

fn refuse(e: &ApproverError) -> Response {
    match e {
        ApproverError::NoTicket => (StatusCode::NOT_FOUND, format!("{e}\n")).into_response(),
        ApproverError::Unavailable(why) => {
            tracing::error!("cannot ask the approver: {why}");
            (StatusCode::SERVICE_UNAVAILABLE, [(RETRY_AFTER, "5")], format!("{e}\n")).into_response()
        }
    }
}

async fn metrics(State(shared): State<Shared>) -> Response {
    let (used, free) = shared.store.lock().leases.usage();
    let gauges = format!(
        "# TYPE maekin_pxe_addresses gauge\n\
         maekin_pxe_addresses{{state=\"held\"}} {used}\nmaekin_pxe_addresses{{state=\"free\"}} {free}\n"
    );
    shared.counters.http_requests.fetch_add(1, Ordering::Relaxed);
    text(shared.counters.text() + &gauges)
}

fn text(body: String) -> Response {
    ([(CONTENT_TYPE, "text/plain; charset=utf-8")], body).into_response()
}

#[cfg(test)]
mod tests;
