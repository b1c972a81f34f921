//! The install master over HTTP: release files with resumption by range, the answer file, and reports. Plain HTTP: what
//! is fetched is checked by signature and digest, and the answer's secret is a one-time one (see `docs/security.md`).

mod resume;

use std::time::Duration;

use anyhow::{Context, Result, bail};
use maekin_api::boot::Report;
use maekin_host::wait;
use ureq::Agent;

use resume::Resuming;

use super::{Source, Stream};
use crate::answers;

/// How long a master may take to accept a connection, to answer, or to send the next bytes.
const PATIENCE: Duration = Duration::from_secs(20);

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
        Self::patient(base, ticket, PATIENCE)
    }

    fn patient(base: &str, ticket: &str, patience: Duration) -> Result<Self> {
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
            .timeout_connect(Some(patience))
            .timeout_recv_response(Some(patience))
            .timeout_per_read(Some(patience))
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
        Ok(Box::new(Resuming::begin(self.agent.clone(), url, size)?))
    }

    fn describe(&self) -> String {
        self.base.clone()
    }
}

#[cfg(test)]
mod tests;
