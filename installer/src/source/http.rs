//! The install master over HTTP: release files with resumption by range, the answer file, and reports. Plain HTTP: what
//! is fetched is checked by signature and digest, and the answer's secret is a one-time one (see `docs/security.md`).

use std::io::{self, Read};
use std::time::Duration;

use anyhow::{Context, Result, bail};
use maekin_api::boot::Report;
use maekin_host::wait;
use ureq::Agent;

use super::{Source, Stream};
use crate::answers;

/// How long a master may take to accept a connection, to answer, or to send the next bytes.
const PATIENCE: Duration = Duration::from_secs(20);
/// How long a cut transfer may take to go on.
const RESUME_LIMIT: Duration = Duration::from_secs(60);
/// How often a transfer is resumed without a single byte gained.
const FRUITLESS: u32 = 5;

/// The install master, and the ticket that this installation runs under.
#[derive(Debug, Clone)]
pub struct Master {
    base: String,
    ticket: String,
    agent: Agent,
}

impl Master {
    /// A master at `base` (`http://10.77.0.1:8480`). Nothing is sent yet.
    ///
    /// # Errors
    /// When the address or the ticket cannot be one.
    pub fn new(base: &str, ticket: &str) -> Result<Self> {
        let base = base.trim_end_matches('/');
        if !base.starts_with("http://") || base.len() > 200 {
            bail!(
                "maekin.master={base} is no http:// address; it is like maekin.master=http://10.77.0.1:8480"
            );
        }
        if ticket.is_empty() || !ticket.bytes().all(|b| b.is_ascii_alphanumeric()) {
            bail!("maekin.ticket={ticket} is no ticket: a ticket consists of letters and digits");
        }
        let agent = Agent::config_builder()
            .http_status_as_error(false)
            .timeout_connect(Some(PATIENCE))
            .timeout_recv_response(Some(PATIENCE))
            .timeout_per_read(Some(PATIENCE))
            .build()
            .into();
        Ok(Self { base: base.to_owned(), ticket: ticket.to_owned(), agent })
    }

    /// Its address.
    #[must_use]
    pub fn address(&self) -> &str {
        &self.base
    }

    /// Fetches the answer file, waiting for the master at most `limit`.
    ///
    /// # Errors
    /// When it does not answer in time, or refuses the ticket.
    pub fn answer(&self, limit: Duration) -> Result<String> {
        let url = format!("{}/install/{}/answer", self.base, self.ticket);
        let mut last = None;
        let got = wait::until(
            &format!("the answer file from {}", self.base),
            limit,
            Duration::from_secs(1),
            || match self.get_text(&url) {
                Ok(outcome) => Some(outcome),
                Err(e) => {
                    last = Some(e);
                    None
                }
            },
        );
        match got {
            Ok(outcome) => outcome.map_err(anyhow::Error::msg),
            Err(e) => Err(match last {
                Some(last) => last.context(e),
                None => e.into(),
            }),
        }
    }

    /// The outer error is worth another try, the inner one is the master's last word.
    fn get_text(&self, url: &str) -> Result<std::result::Result<String, String>> {
        let mut response = self.agent.get(url).call().with_context(|| format!("cannot reach {url}"))?;
        let status = response.status();
        if status.is_client_error() {
            return Ok(Err(format!("{} does not know this installation's ticket ({status})", self.base)));
        }
        if !status.is_success() {
            bail!("{url} answered {status}");
        }
        let body = response.body_mut().with_config().limit(answers::LIMIT).read_to_string()?;
        Ok(Ok(body))
    }

    /// Tells the master how it goes.
    ///
    /// # Errors
    /// When it could not be told.
    pub fn report(&self, report: &Report) -> Result<()> {
        let url = format!("{}/install/{}/report", self.base, self.ticket);
        let response =
            self.agent.post(&url).send_json(report).with_context(|| format!("cannot reach {url}"))?;
        if !response.status().is_success() {
            bail!("{url} answered {}", response.status());
        }
        Ok(())
    }
}

impl Source for Master {
    fn open(&self, path: &str, size: Option<u64>) -> Result<Stream> {
        let url = format!("{}/release/{path}", self.base);
        let mut reader = Resuming { agent: self.agent.clone(), url, at: 0, size, body: None, fruitless: 0 };
        reader.connect()?;
        Ok(Box::new(reader))
    }

    fn describe(&self) -> String {
        self.base.clone()
    }
}

/// A download that goes on where it was cut.
struct Resuming {
    agent: Agent,
    url: String,
    at: u64,
    size: Option<u64>,
    body: Option<Stream>,
    fruitless: u32,
}

impl Resuming {
    fn connect(&mut self) -> Result<()> {
        let mut last = None;
        let body = wait::until(
            &format!("{} to be sent from byte {}", self.url, self.at),
            RESUME_LIMIT,
            Duration::from_secs(2),
            || match self.request() {
                Ok(outcome) => Some(outcome),
                Err(e) => {
                    last = Some(e);
                    None
                }
            },
        );
        match body {
            Ok(outcome) => {
                self.body = Some(outcome.map_err(anyhow::Error::msg)?);
                Ok(())
            }
            Err(e) => Err(match last {
                Some(last) => last.context(e),
                None => e.into(),
            }),
        }
    }

    /// The outer error is worth another try, the inner one is not.
    fn request(&self) -> Result<std::result::Result<Stream, String>> {
        let mut request = self.agent.get(&self.url);
        if self.at > 0 {
            request = request.header("Range", format!("bytes={}-", self.at));
        }
        let response = request.call().with_context(|| format!("cannot reach {}", self.url))?;
        match response.status().as_u16() {
            200 if self.at == 0 => Ok(Ok(Box::new(response.into_body().into_reader()))),
            206 if self.at > 0 => Ok(Ok(Box::new(response.into_body().into_reader()))),
            200 => Ok(Err(format!("{} cannot be resumed: the master sends it only whole", self.url))),
            status @ 400..500 => Ok(Err(format!("{} is refused by the master ({status})", self.url))),
            status => bail!("{} answered {status}", self.url),
        }
    }

    fn is_whole(&self) -> bool {
        self.size.is_some_and(|size| self.at >= size)
    }
}

impl Read for Resuming {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        loop {
            let Some(body) = &mut self.body else {
                self.connect().map_err(|e| io::Error::other(format!("{e:#}")))?;
                continue;
            };
            let failure = match body.read(buffer) {
                Ok(0) if self.size.is_none() || self.is_whole() => return Ok(0),
                Ok(0) => io::Error::new(io::ErrorKind::UnexpectedEof, "the connection was closed"),
                Ok(n) => {
                    self.at += n as u64;
                    self.fruitless = 0;
                    return Ok(n);
                }
                Err(e) if self.size.is_none() => return Err(e),
                Err(e) => e,
            };
            if self.is_whole() {
                return Ok(0);
            }
            self.body = None;
            self.fruitless += 1;
            tracing::warn!(url = %self.url, at = self.at, error = %failure, "transfer cut, resuming");
            if self.fruitless >= FRUITLESS {
                let text = format!("{} was cut {FRUITLESS} times at byte {}: {failure}", self.url, self.at);
                return Err(io::Error::new(failure.kind(), text));
            }
        }
    }
}

#[cfg(test)]
mod tests;
