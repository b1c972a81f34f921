//! The agent as approver: HTTP/1.1 with JSON over its unix socket, one connection a question.

use std::path::PathBuf;
use std::time::Duration;

use axum::body::{Body, Bytes};
use hyper::header::{CONTENT_TYPE, HOST};
use hyper::{Method, Request, StatusCode};
use hyper_util::rt::TokioIo;
use maekin_api::boot::{ANSWER, DECIDE, Decision, INVENTORY, Inventory, Machine, REPORT, Report, VERDICT};
use maekin_api::machine::Verdict;
use maekin_api::problem::Problem;
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
            Ok(Ok((StatusCode::UNPROCESSABLE_ENTITY, bytes))) => {
                let why = serde_json::from_slice::<Problem>(&bytes).map(|problem| problem.detail);
                Err(ApproverError::Refused(why.unwrap_or_else(|_| "the machine is refused".to_owned())))
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

    fn verdict<'a>(&'a self, machine: &'a Machine) -> Answer<'a, Verdict> {
        Box::pin(async move {
            let bytes = self.call(Method::POST, VERDICT, json(machine)?).await?;
            serde_json::from_slice(&bytes).map_err(|e| {
                ApproverError::Unavailable(format!("the agent's verdict cannot be understood: {e}"))
            })
        })
    }

    fn inventory<'a>(&'a self, inventory: &'a Inventory) -> Answer<'a, ()> {
        Box::pin(async move { self.call(Method::POST, INVENTORY, json(inventory)?).await.map(drop) })
    }

    fn answer<'a>(&'a self, ticket: &'a str, inventory: &'a Inventory) -> Answer<'a, Bytes> {
        Box::pin(async move {
            let path = ANSWER.replace("{ticket}", ticket);
            self.call(Method::POST, &path, json(inventory)?).await
        })
    }

    fn report<'a>(&'a self, ticket: &'a str, report: &'a Report) -> Answer<'a, ()> {
        Box::pin(async move {
            let path = REPORT.replace("{ticket}", ticket);
            self.call(Method::POST, &path, json(report)?).await.map(drop)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::Ipv4Addr;
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::UnixListener;

    /// An agent that gives one canned answer; returns what it was asked.
    async fn agent(listener: UnixListener, status: &str, body: &str) -> String {
        let (mut stream, _) = listener.accept().await.unwrap();
        let mut asked = vec![0; 4096];
        let len = stream.read(&mut asked).await.unwrap();
        let answer = format!("HTTP/1.1 {status}\r\nContent-Length: {}\r\n\r\n{body}", body.len());
        stream.write_all(answer.as_bytes()).await.unwrap();
        String::from_utf8_lossy(&asked[..len]).into_owned()
    }

    fn machine() -> Machine {
        let mac = "52:54:00:00:00:01".to_owned();
        Machine { mac, uuid: None, arch: 7, address: None, server: Ipv4Addr::new(10, 0, 0, 1) }
    }

    #[tokio::test]
    async fn the_agents_answers_are_understood_or_said_to_be_wrong() {
        let rows: &[(&str, &str, &str, Result<Decision, &str>)] = &[
            ("local", "200 OK", r#"{"decision":"local"}"#, Ok(Decision::Local)),
            ("gone", "410 Gone", "", Err("there is no such ticket")),
            ("broken", "500 Internal Server Error", "", Err("answered /internal/boot/decide with 500")),
            ("nonsense", "200 OK", "{}", Err("cannot be understood")),
        ];
        for (name, status, body, wanted) in rows {
            let dir = tempfile::tempdir().unwrap();
            let path = dir.path().join("agent.sock");
            let listener = UnixListener::bind(&path).unwrap();
            let approver = AgentApprover::new(path);
            let machine = machine();
            let (got, asked) = tokio::join!(approver.decide(&machine), agent(listener, status, body));
            assert!(asked.starts_with("POST /internal/boot/decide HTTP/1.1\r\n"), "{name}: {asked}");
            match (got, wanted) {
                (Ok(got), Ok(wanted)) => assert_eq!(got, *wanted, "{name}"),
                (Err(got), Err(wanted)) => assert!(got.to_string().contains(wanted), "{name}: {got}"),
                (got, _) => panic!("{name}: {got:?}"),
            }
        }
    }

    #[tokio::test]
    async fn an_agent_that_is_not_there_is_named() {
        let approver = AgentApprover::new("/nowhere/agent.sock".into());
        let err = approver.decide(&machine()).await.unwrap_err().to_string();
        assert!(err.contains("/nowhere/agent.sock"), "{err}");
    }
}
