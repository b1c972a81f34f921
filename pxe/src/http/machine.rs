//! Machines that wait on their own screens: they tell what they are, and ask whether they may install themselves. A
//! question is held while nothing changes, so that a machine goes on within seconds of a person's word, and a thousand
//! that wait cost little.

use std::net::SocketAddr;
use std::time::Duration;

use axum::body::{Body, to_bytes};
use axum::extract::State;
use axum::extract::connect_info::ConnectInfo;
use axum::http::StatusCode;
use axum::http::header::RETRY_AFTER;
use axum::response::{IntoResponse, Response};
use axum::{Json, Router};
use maekin_api::boot::Inventory;
use maekin_api::machine::{Ask, DISK, FACTS, HOLD, TELL, Told, Verdict, WAIT};
use serde::de::DeserializeOwned;
use tokio::sync::Semaphore;
use tokio::time::{Instant, sleep, timeout};

use super::routes::{Shared, refuse};
use super::who::{ToDisk, identify, verdict};
use crate::counters::count;
use crate::hw::HwAddr;

/// Most questions that are held at once; further ones are answered without delay.
const HELD: usize = 1024;
/// Most machines that tell what they are at once: each takes up to [`FACTS`] of memory.
const TELLERS: usize = 16;
/// How often the approver is asked for a machine that is held.
const EVERY: Duration = Duration::from_secs(2);
/// Largest question, bytes.
const ASK: usize = 8 << 10;
/// How long a body may take to come.
const BODY_LIMIT: Duration = Duration::from_secs(30);
/// Seconds after which a machine that found no place asks again.
const LATER: &str = "10";

/// What is shared by machines that wait.
#[derive(Debug)]
pub struct Waiting {
    held: Semaphore,
    tellers: Semaphore,
    /// Those that shall boot from their disk.
    pub to_disk: ToDisk,
}

impl Default for Waiting {
    fn default() -> Self {
        Self { held: Semaphore::new(HELD), tellers: Semaphore::new(TELLERS), to_disk: ToDisk::default() }
    }
}

/// The routes.
pub fn routes() -> Router<Shared> {
    use axum::routing::post;
    Router::new().route(WAIT, post(wait)).route(TELL, post(tell)).route(DISK, post(disk))
}

async fn wait(
    State(shared): State<Shared>,
    ConnectInfo(peer): ConnectInfo<SocketAddr>,
    body: Body,
) -> Response {
    count(&shared.counters.http_requests);
    let ask: Ask = match read(body, ASK).await {
        Ok(ask) => ask,
        Err(refused) => return refused,
    };
    let Ok(hw) = ask.mac.parse::<HwAddr>() else { return bad("mac: no hardware address") };
    let machine = match identify(&shared, hw, ask.uuid.as_deref(), ask.arch, peer) {
        Ok(machine) => machine,
        Err(e) => return (StatusCode::FORBIDDEN, format!("{e}\n")).into_response(),
    };
    let place = shared.waiting.held.try_acquire();
    let until = Instant::now() + Duration::from_secs(if place.is_ok() { HOLD } else { 0 });
    loop {
        match verdict(&shared, &machine, hw).await {
            Ok(verdict) if ask.known.as_ref() == Some(&verdict) && Instant::now() + EVERY <= until => {
                sleep(EVERY).await;
            }
            Ok(verdict) => {
                log(&machine.mac, ask.known.as_ref(), &verdict);
                return Json(verdict).into_response();
            }
            Err(e) => return refuse(&e),
        }
    }
}

fn log(client: &str, known: Option<&Verdict>, verdict: &Verdict) {
    if known == Some(verdict) {
        return;
    }
    match verdict {
        Verdict::Install { .. } => tracing::info!(%client, "is let in"),
        Verdict::Local => tracing::info!(%client, "is installed already"),
        Verdict::Wait { code, reason, .. } => tracing::info!(%client, %code, "waits: {reason}"),
        Verdict::Denied { code, reason } => tracing::info!(%client, %code, "is denied: {reason}"),
        Verdict::Expired { code, reason } => tracing::info!(%client, %code, "came too late: {reason}"),
    }
}

async fn tell(
    State(shared): State<Shared>,
    ConnectInfo(peer): ConnectInfo<SocketAddr>,
    body: Body,
) -> Response {
    count(&shared.counters.http_requests);
    let Ok(_place) = shared.waiting.tellers.try_acquire() else {
        return (StatusCode::SERVICE_UNAVAILABLE, [(RETRY_AFTER, LATER)], "too many tell at once\n")
            .into_response();
    };
    let inventory = match told(&shared, peer, body).await {
        Ok((_, inventory)) => inventory,
        Err(refused) => return refused,
    };
    match shared.approver.inventory(&inventory).await {
        Ok(()) => StatusCode::NO_CONTENT.into_response(),
        Err(e) => refuse(&e),
    }
}

/// What a machine tells of itself, and who it is.
pub(super) async fn told(
    shared: &Shared,
    peer: SocketAddr,
    body: Body,
) -> Result<(HwAddr, Inventory), Response> {
    let told: Told = read(body, FACTS).await?;
    let Ok(hw) = told.who.mac.parse::<HwAddr>() else { return Err(bad("mac: no hardware address")) };
    match identify(shared, hw, told.who.uuid.as_deref(), told.who.arch, peer) {
        Ok(machine) => Ok((hw, Inventory { machine, facts: told.facts })),
        Err(e) => Err((StatusCode::FORBIDDEN, format!("{e}\n")).into_response()),
    }
}

async fn disk(
    State(shared): State<Shared>,
    ConnectInfo(peer): ConnectInfo<SocketAddr>,
    body: Body,
) -> Response {
    count(&shared.counters.http_requests);
    let ask: Ask = match read(body, ASK).await {
        Ok(ask) => ask,
        Err(refused) => return refused,
    };
    let Ok(hw) = ask.mac.parse::<HwAddr>() else { return bad("mac: no hardware address") };
    match identify(&shared, hw, ask.uuid.as_deref(), ask.arch, peer) {
        Ok(_) => {
            tracing::info!(client = %hw, "shall boot from its disk the next time");
            shared.waiting.to_disk.wish(hw);
            StatusCode::NO_CONTENT.into_response()
        }
        Err(e) => (StatusCode::FORBIDDEN, format!("{e}\n")).into_response(),
    }
}

/// Reads a body of at most `most` bytes, or answers why not.
async fn read<T: DeserializeOwned>(body: Body, most: usize) -> Result<T, Response> {
    let bytes = match timeout(BODY_LIMIT, to_bytes(body, most)).await {
        Ok(Ok(bytes)) => bytes,
        Ok(Err(_)) => {
            return Err((StatusCode::PAYLOAD_TOO_LARGE, format!("at most {most} bytes\n")).into_response());
        }
        Err(_) => return Err(StatusCode::REQUEST_TIMEOUT.into_response()),
    };
    serde_json::from_slice(&bytes).map_err(|e| bad(&format!("cannot be understood: {e}")))
}

fn bad(why: &str) -> Response {
    (StatusCode::BAD_REQUEST, format!("{why}\n")).into_response()
}
