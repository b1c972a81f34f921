//! The install master over HTTP: release files with resumption by range, the answer file, and reports. Plain HTTP: what
//! is fetched is checked by signature and digest, and the answer's secret is a one-time one (see `docs/security.md`).

//!
//! There may be several masters, all with the same release and the same tickets: the one that answers is asked until it does
//! not, and then the next.

mod resume;

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use anyhow::{Context, Result, bail};
use maekin_api::boot::Report;
use maekin_api::machine::Told;
use maekin_host::wait;
use ureq::Agent;
use ureq::http::StatusCode;

use resume::Resuming;

use super::rack::Rack;
use super::{Source, Stream};
use crate::answers;
use crate::facts::detail::printable;

/// Longest reason of a refusal that is shown, bytes.
const REFUSAL: usize = 2000;
/// How long a master may take to accept a connection, to answer, or to send the next bytes.
const PATIENCE: Duration = Duration::from_secs(20);

/// The same where there are other masters: one that is dead does not say so.
const IMPATIENCE: Duration = Duration::from_secs(5);

/// The masters, and which of them is asked. Clones ask the same one.
#[derive(Debug, Clone)]
struct Bases {
    all: Arc<[String]>,
    asked: Arc<AtomicUsize>,
}

impl Bases {
    fn place(&self) -> usize {
        self.asked.load(Ordering::Relaxed) % self.all.len().max(1)
    }

    /// The one that is asked now.
    fn current(&self) -> &str {
        self.all.get(self.place()).map_or("", String::as_str)
    }

    /// Asks the next one from now on, if it is still `failed` that is asked.
    fn leave(&self, failed: &str) {
        if self.all.len() > 1 && self.current() == failed {
            self.asked.store((self.place() + 1) % self.all.len(), Ordering::Relaxed);
            tracing::warn!(failed, next = self.current(), "another install master is asked");
        }
    }

    /// Asks the current one; one that fails is not asked first the next time.
    fn ask<T>(&self, work: impl FnOnce(&str) -> Result<T>) -> Result<T> {
        let base = self.current();
        work(base).inspect_err(|_| self.leave(base))
    }
}

/// The install masters, and the ticket that this installation runs under.
#[derive(Debug, Clone)]
pub struct Master {
    bases: Bases,
    ticket: String,
    agent: Agent,
    rack: Rack,
}

impl Master {
    /// Masters at `bases` (`http://10.77.0.1:8480`, several separated by commas). Nothing is sent yet.
    ///
    /// # Errors
    /// When an address or the ticket cannot be one.
    pub fn new(bases: &str, ticket: &str) -> Result<Self> {
        Self::patient(bases, ticket, PATIENCE)
    }

    fn patient(bases: &str, ticket: &str, patience: Duration) -> Result<Self> {
        let all: Arc<[String]> = bases.split(',').map(|base| base.trim_end_matches('/').to_owned()).collect();
        all.iter().try_for_each(|base| check_base(base))?;
        let connect = if all.len() > 1 { patience.min(IMPATIENCE) } else { patience };
        if ticket.is_empty() || !ticket.bytes().all(|b| b.is_ascii_alphanumeric()) {
            bail!("maekin.ticket={ticket} is no ticket: a ticket consists of letters and digits");
        }
        let agent = Agent::config_builder()
            .http_status_as_error(false)
            .timeout_connect(Some(connect))
            .timeout_recv_response(Some(patience))
            .timeout_per_read(Some(patience))
            .build()
            .into();
        let rack = Rack::new(all.to_vec());
        let bases = Bases { all, asked: Arc::default() };
        Ok(Self { bases, ticket: ticket.to_owned(), agent, rack })
    }

    /// The address of the one that is asked now.
    #[must_use]
    pub fn address(&self) -> &str {
        self.bases.current()
    }

    /// Fetches the answer file for the machine that is what it tells, waiting for the master at most `limit`.
    ///
    /// # Errors
    /// When it does not answer in time, or refuses the ticket or the machine.
    pub fn answer(&self, told: &Told, limit: Duration) -> Result<String> {
        let mut last = None;
        let got = wait::until(
            &format!("the answer file from {}", self.bases.all.join(", ")),
            limit,
            Duration::from_secs(1),
            || match self.bases.ask(|base| self.ask_text(base, told)) {
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
    fn ask_text(&self, base: &str, told: &Told) -> Result<std::result::Result<String, String>> {
        let url = format!("{base}/install/{}/answer", self.ticket);
        let mut response =
            self.agent.post(&url).send_json(told).with_context(|| format!("cannot reach {url}"))?;
        let status = response.status();
        if status == StatusCode::UNPROCESSABLE_ENTITY {
            let why = response.body_mut().with_config().limit(REFUSAL as u64).read_to_string()?;
            let why = printable(why.trim(), REFUSAL);
            return Ok(Err(format!("the install master {base} refuses this machine: {why}")));
        }
        if status.is_client_error() {
            return Ok(Err(format!("{base} does not know this installation's ticket ({status})")));
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
        self.bases.ask(|base| {
            let url = format!("{base}/install/{}/report", self.ticket);
            let response =
                self.agent.post(&url).send_json(report).with_context(|| format!("cannot reach {url}"))?;
            if !response.status().is_success() {
                bail!("{url} answered {}", response.status());
            }
            Ok(())
        })
    }
}

/// Whether this can be a master's address.
///
/// # Errors
/// What is wrong with it.
pub fn check_base(base: &str) -> Result<()> {
    if !base.starts_with("http://") || base.len() > 200 {
        bail!("maekin.master={base} is no http:// address; it is like maekin.master=http://10.77.0.1:8480");
    }
    Ok(())
}

impl Source for Master {
    fn open(&self, path: &str, size: Option<u64>) -> Result<Stream> {
        let path = format!("/release/{path}");
        Ok(Box::new(Resuming::begin(self.agent.clone(), self.bases.clone(), path, size)?))
    }

    fn describe(&self) -> String {
        self.address().to_owned()
    }

    fn rack(&self) -> Option<&Rack> {
        Some(&self.rack)
    }
}

#[cfg(test)]
mod tests;
