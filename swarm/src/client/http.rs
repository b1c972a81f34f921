//! The requests of a machine, each bounded in time, size and the number of connections kept.

use std::io::Read;
use std::sync::atomic::{AtomicU32, AtomicUsize, Ordering};
use std::time::Duration;

use ureq::Agent;
use ureq::http::{HeaderMap, Response, header};

use super::Options;
use crate::picker::Where;
use crate::server::PORT_HEAD;
use crate::wire::{AGAIN_HEAD, ANNOUNCE, CHUNK, CHUNK_HEAD, HAVE, HAVE_HEAD, LIMIT, Neighbours, Report};

/// How long a connection may take to be made: neighbours are near.
const CONNECT: Duration = Duration::from_millis(1500);

#[derive(Debug, thiserror::Error)]
pub(super) enum HttpError {
    #[error(transparent)]
    Http(#[from] ureq::Error),
    #[error("it broke off")]
    Body(#[from] std::io::Error),
    #[error("it answered {0}")]
    Status(u16),
    #[error("it answered nonsense")]
    Nonsense,
}

pub(super) struct Http {
    agent: Agent,
    masters: Vec<String>,
    master: AtomicUsize,
    wrong: AtomicU32,
    path: String,
    port: u16,
}

/// The master's answer to a machine that asks for a chunk.
pub(super) enum Granted {
    Chunk(usize, Rest),
    Later(u64),
    Nothing,
}

/// A body that has not been read yet.
pub(super) struct Rest(Response<ureq::Body>);

pub(super) enum Body {
    Bytes(Vec<u8>),
    NotHere,
    Busy,
}

/// A neighbour's answer.
pub(super) struct Answer {
    pub(super) bytes: Body,
    pub(super) have: Option<String>,
}

fn text(headers: &HeaderMap, name: &str) -> Option<String> {
    headers.get(name)?.to_str().ok().map(str::to_owned)
}

fn number(headers: &HeaderMap, name: &str) -> Option<u64> {
    text(headers, name)?.parse().ok()
}

impl Rest {
    /// Exactly `len` bytes, or none.
    pub(super) fn read(self, len: usize) -> Result<Vec<u8>, HttpError> {
        let mut bytes = Vec::with_capacity(len + 1);
        self.0.into_body().into_reader().take(len as u64 + 1).read_to_end(&mut bytes)?;
        if bytes.len() == len { Ok(bytes) } else { Err(HttpError::Nonsense) }
    }
}

impl Http {
    pub(super) fn new(options: &Options, port: u16) -> Self {
        let agent = Agent::config_builder()
            .http_status_as_error(false)
            .max_redirects(0)
            .max_redirects_will_error(false)
            .proxy(None)
            .timeout_connect(Some(CONNECT))
            .max_response_header_size(16 << 10)
            .max_idle_connections(48)
            .max_idle_connections_per_host(4)
            .max_idle_age(Duration::from_secs(10))
            .build()
            .into();
        let masters = options.masters.iter().map(|m| m.trim_end_matches('/').to_owned()).collect();
        let (master, wrong) = (AtomicUsize::new(0), AtomicU32::new(0));
        Self { agent, masters, master, wrong, path: options.path.clone(), port }
    }

    /// The master asked now.
    pub(super) fn master(&self) -> String {
        let turn = self.master.load(Ordering::Relaxed);
        self.masters.get(turn % self.masters.len().max(1)).cloned().unwrap_or_default()
    }

    pub(super) fn another_master(&self) {
        self.master.fetch_add(1, Ordering::Relaxed);
    }

    /// Counts wrong chunks of masters.
    pub(super) fn master_was_wrong(&self) -> u32 {
        self.another_master();
        self.wrong.fetch_add(1, Ordering::Relaxed) + 1
    }

    fn post(&self, path: &str, report: &Report, limit: Duration) -> Result<Response<ureq::Body>, HttpError> {
        let url = format!("{}{path}", self.master());
        let request = self.agent.post(&url).config().timeout_global(Some(limit)).build();
        Ok(request.send_json(report)?)
    }

    pub(super) fn announce(&self, report: &Report, limit: Duration) -> Result<Neighbours, HttpError> {
        let mut response = self.post(ANNOUNCE, report, limit)?;
        match response.status().as_u16() {
            200 => Ok(response.body_mut().with_config().limit(LIMIT as u64).read_json()?),
            status => Err(HttpError::Status(status)),
        }
    }

    pub(super) fn master_chunk(&self, report: &Report, limit: Duration) -> Result<Granted, HttpError> {
        let response = self.post(CHUNK, report, limit)?;
        match response.status().as_u16() {
            200 => {
                let index = number(response.headers(), CHUNK_HEAD).and_then(|n| usize::try_from(n).ok());
                Ok(Granted::Chunk(index.ok_or(HttpError::Nonsense)?, Rest(response)))
            }
            204 => Ok(Granted::Nothing),
            503 => {
                let again = number(response.headers(), AGAIN_HEAD).unwrap_or(500);
                drain(response);
                Ok(Granted::Later(again))
            }
            status => Err(HttpError::Status(status)),
        }
    }

    /// Asks `place` for chunk `index`, `len` bytes from byte `from` of the image.
    pub(super) fn neighbour_chunk(
        &self,
        place: &Where,
        index: usize,
        (from, len): (u64, usize),
        have: &str,
        limit: Duration,
    ) -> Result<Answer, HttpError> {
        let request = match place {
            Where::Machine(address) => {
                let request = self.agent.get(format!("http://{address}{CHUNK}/{index}"));
                self.known(request.header(HAVE_HEAD, have))
            }
            Where::Source(url) => {
                let range = format!("bytes={from}-{}", from + len as u64 - 1);
                self.agent.get(format!("{url}{}", self.path)).header(header::RANGE, range)
            }
        };
        let response = request.config().timeout_global(Some(limit)).build().call()?;
        let have = text(response.headers(), HAVE_HEAD);
        let bytes = match (response.status().as_u16(), place) {
            (200, Where::Machine(_)) | (206, Where::Source(_)) => Body::Bytes(Rest(response).read(len)?),
            (404, _) => {
                drain(response);
                Body::NotHere
            }
            (503, _) => {
                drain(response);
                Body::Busy
            }
            (status, _) => return Err(HttpError::Status(status)),
        };
        Ok(Answer { bytes, have })
    }

    /// Waits a little for `place` to have more than `count` chunks; what it has.
    pub(super) fn question(
        &self,
        place: &Where,
        count: usize,
        limit: Duration,
    ) -> Result<Option<String>, HttpError> {
        let Where::Machine(address) = place else { return Ok(None) };
        let request = self.agent.get(format!("http://{address}{HAVE}?count={count}"));
        let response = self.known(request).config().timeout_global(Some(limit)).build().call()?;
        let have = text(response.headers(), HAVE_HEAD);
        drain(response);
        Ok(have)
    }

    fn known<B>(&self, request: ureq::RequestBuilder<B>) -> ureq::RequestBuilder<B> {
        if self.port == 0 { request } else { request.header(PORT_HEAD, self.port.to_string()) }
    }
}

/// Reads a short body to its end, so that the connection can be used again.
fn drain(response: Response<ureq::Body>) {
    let _ = response.into_body().into_reader().take(4096).read_to_end(&mut Vec::new());
}
