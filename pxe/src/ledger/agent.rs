//! The ledger by way of the agent: HTTP/1.1 with JSON over its unix socket, one connection a question.

use std::path::PathBuf;
use std::time::Duration;

use axum::body::{Body, Bytes};
use hyper::header::{CONTENT_TYPE, HOST};
use hyper::{Method, Request, StatusCode};
use hyper_util::rt::TokioIo;
use maekin_api::addresses::{ADDRESSES, AddressChange, Addresses, Hold};
use serde::de::DeserializeOwned;
use tokio::net::UnixStream;
use tokio::time::timeout;

use super::{Answer, Ledger, LedgerError};

/// How long the agent may take: less than it lets us go on for, so that a slow record is tried again in time.
const LIMIT: Duration = Duration::from_secs(4);
/// Longest answer taken, in bytes: a /16 of addresses.
const MAX_ANSWER: usize = 16 << 20;

/// Writes through the agent.
#[derive(Debug)]
pub struct AgentLedger {
    socket: PathBuf,
}

impl AgentLedger {
    /// A ledger that is reached at this socket.
    #[must_use]
    pub fn new(socket: PathBuf) -> Self {
        Self { socket }
    }

    async fn call<T: DeserializeOwned>(&self, method: Method, body: Vec<u8>) -> Result<T, LedgerError> {
        let unavailable = |why: String| LedgerError::Unavailable(why);
        match timeout(LIMIT, self.exchange(method, body)).await {
            Ok(Ok((StatusCode::OK, bytes))) => {
                serde_json::from_slice(&bytes).map_err(|e| unavailable(e.to_string()))
            }
            Ok(Ok((StatusCode::CONFLICT, _))) => Err(LedgerError::NotLeading),
            Ok(Ok((status, _))) => Err(unavailable(status.to_string())),
            Ok(Err(e)) => Err(unavailable(e.to_string())),
            Err(_) => Err(unavailable(format!("nothing within {} s", LIMIT.as_secs()))),
        }
    }

    async fn exchange(
        &self,
        method: Method,
        body: Vec<u8>,
    ) -> Result<(StatusCode, Bytes), Box<dyn std::error::Error + Send + Sync>> {
        let stream = UnixStream::connect(&self.socket).await?;
        let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream)).await?;
        let connection = tokio::spawn(connection); // it ends with the sender, which lives no longer than this call
        let request = Request::builder().method(method).uri(ADDRESSES).header(HOST, "agent");
        let request = request.header(CONTENT_TYPE, "application/json").body(Body::from(body))?;
        let response = sender.send_request(request).await?;
        let status = response.status();
        let bytes = axum::body::to_bytes(Body::new(response.into_body()), MAX_ANSWER).await?;
        connection.abort();
        Ok((status, bytes))
    }
}

impl Ledger for AgentLedger {
    fn load(&self) -> Answer<'_, Addresses> {
        Box::pin(self.call(Method::GET, Vec::new()))
    }

    fn write<'a>(&'a self, change: &'a AddressChange) -> Answer<'a, Duration> {
        Box::pin(async move {
            let body = serde_json::to_vec(change).map_err(|e| LedgerError::Unavailable(e.to_string()))?;
            let hold: Hold = self.call(Method::POST, body).await?;
            Ok(Duration::from_millis(hold.for_ms))
        })
    }
}
