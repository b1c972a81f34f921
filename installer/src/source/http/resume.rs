//! A download that goes on where it was cut: by range (RFC 9110 section 14), and only while the master has the same file
//! (If-Range, section 13.1.5). It is given up after bounded tries, and at once where going on makes no sense.

use std::io::{self, Read};
use std::time::Duration;

use anyhow::{Context, Result, bail};
use maekin_host::wait;
use ureq::Agent;
use ureq::http::{HeaderMap, header};

use super::Bases;
use crate::source::Stream;

/// How long a cut transfer may take to go on.
const RESUME_LIMIT: Duration = Duration::from_secs(60);
/// How often a transfer is resumed without a single byte gained.
pub(super) const FRUITLESS: u32 = 5;
/// How often it is resumed at all: a master that is cut off this often is not to be had.
pub(super) const CUTS: u32 = 200;

/// See the module.
pub(super) struct Resuming {
    agent: Agent,
    masters: Bases,
    path: String,
    /// Where it is being fetched from: a master's address and the path.
    url: String,
    at: u64,
    size: Option<u64>,
    tag: Option<String>,
    body: Option<Stream>,
    fruitless: u32,
    cuts: u32,
}

impl Resuming {
    /// Asks the masters for `path`, which has `size` bytes where that is known.
    ///
    /// # Errors
    /// When it is not to be had.
    pub(super) fn begin(agent: Agent, masters: Bases, path: String, size: Option<u64>) -> Result<Self> {
        let url = String::new();
        let mut begun =
            Self { agent, masters, path, url, at: 0, size, tag: None, body: None, fruitless: 0, cuts: 0 };
        begun.connect()?;
        Ok(begun)
    }

    fn connect(&mut self) -> Result<()> {
        let mut last = None;
        let what = format!("{} to be sent from byte {}", self.path, self.at);
        let body = wait::until(&what, RESUME_LIMIT, Duration::from_secs(2), || {
            // One after another at once; only then is there a pause.
            for _ in 0..self.masters.all.len() {
                let base = self.masters.current().to_owned();
                self.url = format!("{base}{}", self.path);
                match self.request() {
                    Ok(outcome) => return Some(outcome),
                    Err(e) => last = Some(e),
                }
                self.masters.leave(&base);
            }
            None
        });
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
    fn request(&mut self) -> Result<std::result::Result<Stream, String>> {
        let mut request = self.agent.get(&self.url);
        if self.at > 0 {
            request = request.header(header::RANGE, format!("bytes={}-", self.at));
            if let Some(tag) = &self.tag {
                request = request.header(header::IF_RANGE, tag);
            }
        }
        let response = request.call().with_context(|| format!("cannot reach {}", self.url))?;
        let headers = response.headers();
        match response.status().as_u16() {
            200 if self.at == 0 => {
                self.tag =
                    text(headers, header::ETAG).filter(|tag| !tag.starts_with("W/")).map(str::to_owned);
            }
            206 if self.at > 0 => {
                let part = text(headers, header::CONTENT_RANGE).unwrap_or_default();
                if first_byte(part) != Some(self.at) {
                    return Ok(Err(format!(
                        "{} cannot be resumed: the master was asked for it from byte {}, and sends {part:?}",
                        self.url, self.at
                    )));
                }
            }
            200 if self.tag.is_some() => {
                return Ok(Err(format!(
                    "{} was changed on the master while it was transferred: install from the release that it has now",
                    self.url
                )));
            }
            200 => return Ok(Err(format!("{} cannot be resumed: the master sends it only whole", self.url))),
            status @ 400..500 => return Ok(Err(format!("{} is refused by the master ({status})", self.url))),
            status => bail!("{} answered {status}", self.url),
        }
        Ok(Ok(Box::new(response.into_body().into_reader())))
    }

    fn is_whole(&self) -> bool {
        self.size.is_some_and(|size| self.at >= size)
    }
}

fn text(headers: &HeaderMap, name: header::HeaderName) -> Option<&str> {
    headers.get(name)?.to_str().ok()
}

/// The first byte of a part, from `bytes 5-9/10` (RFC 9110 section 14.4).
fn first_byte(content_range: &str) -> Option<u64> {
    content_range.strip_prefix("bytes ")?.split_once('-')?.0.trim().parse().ok()
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
            self.cuts += 1;
            tracing::warn!(url = %self.url, at = self.at, error = %failure, "transfer cut, resuming");
            let times = if self.fruitless >= FRUITLESS { self.fruitless } else { self.cuts };
            if self.fruitless >= FRUITLESS || self.cuts >= CUTS {
                let text = format!(
                    "{} was cut {times} times, now at byte {}: {failure}; look at the master and the cables between",
                    self.url, self.at
                );
                return Err(io::Error::new(failure.kind(), text));
            }
        }
    }
}
