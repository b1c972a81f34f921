//! `/swarm/announce` and `/swarm/chunk`.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use axum::Router;
use axum::body::{Body, to_bytes};
use axum::extract::State;
use axum::extract::connect_info::ConnectInfo;
use axum::http::StatusCode;
use axum::http::header::RETRY_AFTER;
use axum::response::{IntoResponse, Response};
use axum::routing::post;
use maekin_swarm::tracker::Grant;
use maekin_swarm::wire::{AGAIN_HEAD, ANNOUNCE, CHUNK, CHUNK_HEAD, LIMIT, Report, Told};
use tokio::time::timeout;

use super::Swarm;
use crate::counters::{Counters, count};
use crate::http::routes::Shared;

/// How long a report may take to come.
const BODY_LIMIT: Duration = Duration::from_secs(10);
/// Most liars of one report that are logged.
const MOST_LIARS: usize = 8;

/// The routes.
pub fn routes() -> Router<Shared> {
    Router::new().route(ANNOUNCE, post(announce)).route(CHUNK, post(chunk))
}

async fn announce(
    State(shared): State<Shared>,
    ConnectInfo(peer): ConnectInfo<SocketAddr>,
    body: Body,
) -> Response {
    count(&shared.counters.http_requests);
    let (swarm, told) = match read(&shared, peer, body).await {
        Ok(read) => read,
        Err(refused) => return refused.into_response(),
    };
    let sources = shared.other_masters();
    let mut tracker = swarm.tracker();
    tracker.set_sources(sources);
    axum::Json(tracker.announce(swarm.now(), peer.ip(), &told)).into_response()
}

async fn chunk(
    State(shared): State<Shared>,
    ConnectInfo(peer): ConnectInfo<SocketAddr>,
    body: Body,
) -> Response {
    count(&shared.counters.http_requests);
    let (swarm, told) = match read(&shared, peer, body).await {
        Ok(read) => read,
        Err(refused) => return refused.into_response(),
    };
    let grant = swarm.tracker().grant(swarm.now(), peer.ip(), &told);
    match grant {
        Grant::Nothing => StatusCode::NO_CONTENT.into_response(),
        Grant::Later(ms) => {
            let heads = [(AGAIN_HEAD, ms.to_string()), (RETRY_AFTER.as_str(), ms.div_ceil(1000).to_string())];
            (StatusCode::SERVICE_UNAVAILABLE, heads, "ask your neighbours\n").into_response()
        }
        Grant::Chunk(index) => send(swarm, index, peer, &shared.counters).await,
    }
}

async fn send(swarm: Arc<Swarm>, index: usize, peer: SocketAddr, counters: &Counters) -> Response {
    let reader = swarm.clone();
    let read = tokio::task::spawn_blocking(move || reader.read(index)).await;
    match read.map_err(std::io::Error::other).and_then(|read| read) {
        Ok(bytes) => {
            counters.http_bytes.fetch_add(bytes.len() as u64, Ordering::Relaxed);
            counters.swarm_bytes.fetch_add(bytes.len() as u64, Ordering::Relaxed);
            ([(CHUNK_HEAD, index.to_string())], bytes).into_response()
        }
        Err(e) => {
            swarm.tracker().failed(peer.ip(), index);
            tracing::error!("cannot read chunk {index} of the root image: {e}");
            (StatusCode::INTERNAL_SERVER_ERROR, "the master cannot read this chunk\n").into_response()
        }
    }
}

/// Why a report was not taken.
type Refusal = (StatusCode, &'static str);

/// The report of a machine about the image that we have.
async fn read(shared: &Shared, peer: SocketAddr, body: Body) -> Result<(Arc<Swarm>, Told), Refusal> {
    let refuse = |status: StatusCode, words: &'static str| Err((status, words));
    let Some(swarm) = shared.swarm.clone() else {
        return refuse(StatusCode::NOT_FOUND, "this master hands out no chunks\n");
    };
    let body = match timeout(BODY_LIMIT, to_bytes(body, LIMIT)).await {
        Ok(Ok(body)) => body,
        Ok(Err(_)) => return refuse(StatusCode::PAYLOAD_TOO_LARGE, "a report has at most 256 KiB\n"),
        Err(_) => return refuse(StatusCode::REQUEST_TIMEOUT, "the report did not come\n"),
    };
    let Ok(report) = serde_json::from_slice::<Report>(&body) else {
        return refuse(StatusCode::BAD_REQUEST, "not a report\n");
    };
    if report.image != swarm.image {
        return refuse(StatusCode::CONFLICT, "this master has another release\n");
    }
    let Some(told) = report.read(swarm.list.count()) else {
        return refuse(StatusCode::BAD_REQUEST, "not a bitmap of this image's chunks\n");
    };
    for liar in report.liars.iter().take(MOST_LIARS) {
        tracing::debug!(machine = %peer.ip(), %liar, "says that it was sent something else than a chunk");
    }
    Ok((swarm, told))
}

#[cfg(test)]
mod tests;
