//! One exchange on one connection: read whole, bounded in size.

use axum::body::Body;
use axum::http::{HeaderMap, Request};
use hyper_util::rt::TokioIo;
use serde_json::Value;
use tokio::io::{AsyncRead, AsyncWrite};

use crate::errors::chain;

/// Largest answer that is read, bytes.
const LARGEST: usize = 1 << 20;

/// An answer, read whole.
#[derive(Debug, Default)]
pub(super) struct Answer {
    pub(super) status: u16,
    pub(super) etag: Option<String>,
    pub(super) location: Option<String>,
    pub(super) token: Option<String>,
    pub(super) retry_after: Option<u64>,
    /// Where it is JSON.
    pub(super) body: Option<Value>,
    /// Why it is not.
    pub(super) flaw: String,
}

impl Answer {
    /// Whether it was done, or will be.
    pub(super) fn good(&self) -> bool {
        (200..300).contains(&self.status)
    }
}

/// Sends `request` and reads the answer.
///
/// # Errors
/// What was wrong with the answer, in the words of whoever read it.
pub(super) async fn talk<S>(stream: S, request: Request<Body>) -> Result<Answer, String>
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let broken = |e: &dyn std::error::Error| chain(e);
    let (mut sender, connection) =
        hyper::client::conn::http1::handshake(TokioIo::new(stream)).await.map_err(|e| broken(&e))?;
    let driver = AbortOnDrop(tokio::spawn(connection));
    let response = sender.send_request(request).await.map_err(|e| broken(&e))?;
    let (head, body) = response.into_parts();
    let bytes = axum::body::to_bytes(Body::new(body), LARGEST).await.map_err(|e| broken(&e))?;
    drop(driver);
    let text = |name: &str| header_text(&head.headers, name);
    let parsed = serde_json::from_slice::<Value>(&bytes);
    let flaw = parsed.as_ref().err().map(|e| format!("no JSON: {e}")).unwrap_or_default();
    Ok(Answer {
        status: head.status.as_u16(),
        etag: text("etag"),
        location: text("location"),
        token: text("x-auth-token"),
        retry_after: text("retry-after").and_then(|t| t.parse().ok()),
        body: parsed.ok(),
        flaw,
    })
}

fn header_text(headers: &HeaderMap, name: &str) -> Option<String> {
    headers.get(name)?.to_str().ok().map(str::to_owned)
}

/// A connection's task does not outlive the question.
struct AbortOnDrop<T>(tokio::task::JoinHandle<T>);

impl<T> Drop for AbortOnDrop<T> {
    fn drop(&mut self) {
        self.0.abort();
    }
}
