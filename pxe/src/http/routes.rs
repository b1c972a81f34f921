//! What is served under which path.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use axum::Router;
use axum::body::{Body, to_bytes};
use axum::extract::connect_info::ConnectInfo;
use axum::extract::{Path, Query, Request, State};
use axum::http::header::{CONTENT_TYPE, RETRY_AFTER};
use axum::http::{HeaderMap, Method, StatusCode};
use axum::middleware::{Next, from_fn_with_state};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use maekin_api::boot::{Decision, Machine, Report};
use serde::Deserialize;
use tokio::time::timeout;

use super::file;
use super::machine::{self, Waiting};
use super::who::{decide, identify};
use crate::approver::{Approver, ApproverError, is_ticket};
use crate::counters::{Counters, count};
use crate::dhcp::guard::Guard;
use crate::dhcp::server::Settings;
use crate::dhcp::store::Store;
use crate::hw::HwAddr;
use crate::release::Release;
use crate::script::{self, Target};
use crate::swarm::Swarm;
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
    /// Who gives the addresses.
    pub guard: Guard,
    /// What happened.
    pub counters: Arc<Counters>,
    /// Whether this master leads: only then it knows the leases, and decides.
    pub leads: Arc<AtomicBool>,
    /// Machines that wait.
    pub waiting: Arc<Waiting>,
    /// What machines that install together share; `None`: the release has no chunk list.
    pub swarm: Option<Arc<Swarm>>,
}

impl Shared {
    pub(super) fn settings(&self) -> Settings {
        self.settings.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// The HTTP servers of the other masters: they have the release as well.
    pub(crate) fn other_masters(&self) -> Vec<String> {
        self.settings().masters
    }

    /// The script that iPXE finds by name, for the client at an address.
    #[must_use]
    pub fn autoexec(&self, client: Ipv4Addr, arch: u16) -> String {
        let settings = self.settings();
        let http = settings.http();
        let hw = self.store.lock().leases.holder(client);
        script::autoexec(hw.map(|hw| Target { http: &http, others: &settings.masters, hw, arch }).as_ref())
    }
}

/// All routes. What needs the leases, or decides what a machine boots, goes into the first group.
pub fn router(shared: Shared) -> Router {
    let leader = Router::new()
        .route("/boot.ipxe", get(boot))
        .merge(super::grub::router())
        .merge(machine::routes())
        .route_layer(from_fn_with_state(shared.clone(), only_leading));
    Router::new()
        .merge(leader)
        .route("/release/{*path}", get(release))
        .route("/install/{ticket}/answer", post(answer))
        .route("/install/{ticket}/report", post(report))
        .merge(super::metrics::routes())
        .merge(crate::swarm::routes::routes())
        .with_state(shared)
}

/// A standby sends whoever wants a decision on: what it does not know (leases) guards the tickets.
async fn only_leading(State(shared): State<Shared>, request: Request, next: Next) -> Response {
    if shared.leads.load(Ordering::Relaxed) {
        return next.run(request).await;
    }
    let words = "this master stands by; ask the one that leads\n";
    (StatusCode::SERVICE_UNAVAILABLE, [(RETRY_AFTER, "2")], words).into_response()
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
    let (http, others) = shared.masters(peer);
    let target = Target { http: &http, others: &others, hw: query.mac, arch: query.arch };
    match shared.decide(&target, query.uuid.as_deref(), peer).await {
        Ok(decision) => text(script::boot_script(&decision, &target)),
        Err(why) => text(script::unavailable(&why, &target)),
    }
}

impl Shared {
    /// Our HTTP server as `peer` reaches it, and the other servers that its installer can go to.
    pub(super) fn masters(&self, peer: SocketAddr) -> (String, Vec<String>) {
        let settings = self.settings();
        let http = settings.http();
        match settings.http6().filter(|_| peer.is_ipv6()) {
            Some(http6) => (http6, std::iter::once(http).chain(settings.masters).collect()),
            None => (http, settings.masters),
        }
    }

    /// What the machine that asks from `peer` shall boot; why nobody can say, for the person in front of it.
    pub(super) async fn decide(
        &self,
        target: &Target<'_>,
        uuid: Option<&str>,
        peer: SocketAddr,
    ) -> Result<Decision, String> {
        let machine = identify(self, target.hw, uuid, target.arch, peer).map_err(|e| e.to_string())?;
        match decide(self, &machine, target.hw).await {
            Ok(decision) => {
                log(&machine, &decision);
                Ok(decision)
            }
            Err(e) => {
                tracing::error!(client = %target.hw, "cannot decide what it shall boot: {e}");
                Err(e.to_string())
            }
        }
    }
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

async fn answer(
    State(shared): State<Shared>,
    ConnectInfo(peer): ConnectInfo<SocketAddr>,
    Path(ticket): Path<String>,
    body: Body,
) -> Response {
    count(&shared.counters.http_requests);
    if !is_ticket(&ticket) {
        return refuse(&ApproverError::NoTicket);
    }
    let inventory = match machine::told(&shared, peer, body).await {
        Ok((_, inventory)) => inventory,
        Err(refused) => return refused,
    };
    match shared.approver.answer(&ticket, &inventory).await {
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

pub(super) fn refuse(e: &ApproverError) -> Response {
    match e {
        ApproverError::Refused(why) => (StatusCode::UNPROCESSABLE_ENTITY, format!("{why}\n")).into_response(),
        ApproverError::NoTicket => (StatusCode::NOT_FOUND, format!("{e}\n")).into_response(),
        ApproverError::Unavailable(why) => {
            tracing::error!("cannot ask the approver: {why}");
            (StatusCode::SERVICE_UNAVAILABLE, [(RETRY_AFTER, "5")], format!("{e}\n")).into_response()
        }
    }
}

pub(super) fn text(body: String) -> Response {
    ([(CONTENT_TYPE, "text/plain; charset=utf-8")], body).into_response()
}

#[cfg(test)]
pub(crate) mod tests;
