//! The agent as approver: HTTP/1.1 with JSON over its unix socket, one connection a question.

use std::path::PathBuf;
use std::time::Duration;

use axum::body::{Body, Bytes};
use hyper::header::{CONTENT_TYPE, HOST};
use hyper::{Method, Request, StatusCode};
use hyper_util::rt::TokioIo;
use maekin_api::boot::{ANSWER, DECIDE, Decision, Machine, REPORT, Report};
use tokio::net::UnixStream;
use tokio::time::timeout;

use super::{Answer, Approver, ApproverError};

/// How long the agent may take.
const LIMIT: Duration = Duration::from_secs(10);
/// Longest answer taken, in bytes.
const MAX_ANSWER: usize = 1 << 20;

/// Asks the agent.
#[derive(Debug)]
pub struct AgentApprover {
    socket: PathBuf,
}

impl AgentApprover {
    /// An approver that asks at this socket.
    #[must_use]
    pub fn new(socket: PathBuf) -> Self {
        Self { socket }
    }

    async fn call(&self, method: Method, path: &str, json: Option<Vec<u8>>) -> Result<Bytes, ApproverError> {
        let socket = self.socket.display();
        match timeout(LIMIT, self.exchange(method, path, json)).await {
            Ok(Ok((status, bytes))) if status.is_success() => Ok(bytes),
            Ok(Ok((StatusCode::NOT_FOUND | StatusCode::GONE | StatusCode::CONFLICT, _))) => {
                Err(ApproverError::NoTicket)
            }
            Ok(Ok((status, _))) => {
                Err(ApproverError::Unavailable(format!("the agent answered {path} with {status}")))
            }
            Ok(Err(e)) => {
                Err(ApproverError::Unavailable(format!("the agent does not answer at {socket}: {e}")))
            }
            Err(_) => Err(ApproverError::Unavailable(format!(
                "the agent took more than {} s to answer at {socket}",
                LIMIT.as_secs()
            ))),
        }
    }

    async fn exchange(
        &self,
        method: Method,
        path: &str,
        json: Option<Vec<u8>>,
    ) -> Result<(StatusCode, Bytes), Box<dyn std::error::Error + Send + Sync>> {
        let stream = UnixStream::connect(&self.socket).await?;
        let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream)).await?;
        // It ends with the sender, which lives no longer than this call.
        let connection = tokio::spawn(connection);
        let mut request = Request::builder().method(method).uri(path).header(HOST, "agent");
        if json.is_some() {
            request = request.header(CONTENT_TYPE, "application/json");
        }
        let body = json.map_or_else(Body::empty, Body::from);
        let response = sender.send_request(request.body(body)?).await?;
        let status = response.status();
        let bytes = axum::body::to_bytes(Body::new(response.into_body()), MAX_ANSWER).await?;
        connection.abort();
        Ok((status, bytes))
    }
}

fn json(value: &impl serde::Serialize) -> Result<Option<Vec<u8>>, ApproverError> {
    serde_json::to_vec(value).map(Some).map_err(|e| ApproverError::Unavailable(e.to_string()))
}

impl Approver for AgentApprover {
    fn decide<'a>(&'a self, machine: &'a Machine) -> Answer<'a, Decision> {
        Box::pin(async move {
            let bytes = self.call(Method::POST, DECIDE, json(machine)?).await?;
            serde_json::from_slice(&bytes).map_err(|e| {
                ApproverError::Unavailable(format!("the agent's decision cannot be understood: {e}"))
            })
        })
    }

    fn answer<'a>(&'a self, ticket: &'a str) -> Answer<'a, Bytes> {
        Box::pin(async move { self.call(Method::GET, &ANSWER.replace("{ticket}", ticket), None).await })
    }

    fn report<'a>(&'a self, ticket: &'a str, report: &'a Report) -> Answer<'a, ()> {
        Box::pin(async move {
            let path = REPORT.replace("{ticket}", ticket);
            self.call(Method::POST, &path, json(report)?).await.map(drop)
        })
    }
}
