//! One file of the release as a response: ranges, entity tag, exact length.

use std::fs::File;
use std::io;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use axum::http::header::{
    ACCEPT_RANGES, CONTENT_LENGTH, CONTENT_RANGE, CONTENT_TYPE, ETAG, IF_NONE_MATCH, IF_RANGE, RANGE,
};
use axum::http::{HeaderMap, HeaderName, Method, StatusCode};
use axum::response::{IntoResponse, Response};

use super::outgoing::FileBody;
use super::range::{Wanted, parse_range};
use crate::counters::Counters;
use crate::release::Served;

/// Answers GET and HEAD of `served`.
pub async fn respond(
    served: Served,
    method: &Method,
    headers: &HeaderMap,
    counters: &Arc<Counters>,
) -> Response {
    let etag = format!("\"{}\"", served.sha256);
    let header = |name: HeaderName| headers.get(name).and_then(|value| value.to_str().ok());
    if header(IF_NONE_MATCH).is_some_and(|tags| tags == "*" || tags.split(',').any(|tag| tag.trim() == etag))
    {
        return (StatusCode::NOT_MODIFIED, [(ETAG, etag)]).into_response();
    }
    let fresh = header(IF_RANGE).is_none_or(|tag| tag == etag);
    let wanted = match header(RANGE) {
        Some(value) if fresh && method == Method::GET => parse_range(value, served.size),
        _ => Wanted::Whole,
    };
    let (status, from, len) = match wanted {
        Wanted::Whole => (StatusCode::OK, 0, served.size),
        Wanted::Part { from, len } => (StatusCode::PARTIAL_CONTENT, from, len),
        Wanted::Unsatisfiable => {
            let range = format!("bytes */{}", served.size);
            return (StatusCode::RANGE_NOT_SATISFIABLE, [(CONTENT_RANGE, range)]).into_response();
        }
    };
    let file = if method == Method::HEAD {
        None
    } else {
        match open(&served).await {
            Ok(file) => {
                counters.http_bytes.fetch_add(len, Ordering::Relaxed);
                Some(FileBody { file: Arc::new(file), from: served.offset + from, len })
            }
            Err(e) => {
                tracing::error!("cannot serve {}: {e}", served.path.display());
                return (StatusCode::INTERNAL_SERVER_ERROR, "the master cannot read this file\n")
                    .into_response();
            }
        }
    };
    let mut response = (
        status,
        [
            (ETAG, etag),
            (ACCEPT_RANGES, "bytes".to_owned()),
            (CONTENT_TYPE, "application/octet-stream".to_owned()),
            (CONTENT_LENGTH, len.to_string()),
        ],
    )
        .into_response();
    if let Some(file) = file {
        response.extensions_mut().insert(file); // the connection sends it
    }
    let range = format!("bytes {from}-{}/{}", (from + len).saturating_sub(1), served.size);
    if status == StatusCode::PARTIAL_CONTENT
        && let Ok(value) = range.parse()
    {
        response.headers_mut().insert(CONTENT_RANGE, value);
    }
    response
}

async fn open(served: &Served) -> io::Result<File> {
    let file = tokio::fs::File::open(&served.path).await?.into_std().await;
    let metadata = file.metadata()?;
    // A device has no length of its own, and the root image may have something behind it.
    if metadata.is_file() && metadata.len() < served.offset + served.size {
        return Err(io::Error::other("it is shorter than when the server started; restart maekin-pxe"));
    }
    Ok(file)
}
