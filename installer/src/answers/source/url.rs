//! An answer file at an address. Whoever can alter it decides which drives die and who administers the node, so its
//! content must be known by its digest, or its server by its certificate; an address alone is refused.

use std::time::Duration;

use anyhow::{Context, Result, anyhow, bail};
use maekin_host::wait;
use maekin_image::manifest::sha256_hex;
use maekin_rootfs::validate::is_hex;
use ureq::Agent;
use ureq::http::Uri;

use super::pin;
use crate::answers;

/// How long a server may take to accept a connection, to answer, or to send the next bytes.
const PATIENCE: Duration = Duration::from_secs(20);
/// How long it is tried: link, DHCP lease and the server's own start included.
const LIMIT: Duration = Duration::from_secs(180);

/// An address to fetch an answer file from, and what vouches for it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AnswerUrl {
    /// `http://...` or `https://...`.
    pub url: String,
    /// SHA-256 of the file, 64 lower-case hex digits.
    pub sha256: Option<String>,
    /// SHA-256 of the server's certificate (DER), 64 lower-case hex digits.
    pub pin: Option<String>,
}

impl AnswerUrl {
    /// Checks what was given; `sha256` and `pin` may be written with `:` and in upper case, as openssl(1) prints them.
    ///
    /// # Errors
    /// What is wrong, and what would be right.
    pub fn new(url: &str, sha256: Option<&str>, pin: Option<&str>) -> Result<Self, String> {
        let parsed: Uri = url.parse().map_err(|e| format!("{url} is no address: {e}"))?;
        let https = match parsed.scheme_str() {
            Some("https") => true,
            Some("http") => false,
            _ => return Err(format!("{url} is neither an http:// nor an https:// address")),
        };
        if parsed.host().is_none_or(str::is_empty) {
            return Err(format!("{url} names no server"));
        }
        if parsed.authority().is_some_and(|authority| authority.as_str().contains('@')) {
            // It would be in the log, in the receipt and on every console.
            return Err(
                "the address of the answer file has a password in it; the installer sends none".to_owned()
            );
        }
        let sha256 = sha256.map(|text| digest("sha256", text)).transpose()?;
        let pin = pin.map(|text| digest("pin", text)).transpose()?;
        match (https, &sha256, &pin) {
            (false, _, Some(_)) => Err(format!("{url} has no certificate that a pin could be of; use https")),
            (false, None, None) => Err(format!(
                "{url} could be altered by anyone on the way; use https with maekin.answer.pin=, or add maekin.answer.sha256="
            )),
            (true, None, None) => Err(format!(
                "who serves {url} is not known: the installer trusts no certificate authority; add \
                 maekin.answer.pin= (SHA-256 of the server's certificate) or maekin.answer.sha256="
            )),
            _ => Ok(Self { url: url.to_owned(), sha256, pin }),
        }
    }

    /// Fetches the file, trying as long as a network takes to come up; `before` is called before each try.
    ///
    /// # Errors
    /// When it cannot be had, is not what the digest says, or the server is not the one of the pin.
    pub fn fetch(&self, before: &dyn Fn()) -> Result<String> {
        let agent = self.agent()?;
        let mut last = None;
        let what = format!("the answer file from {}", self.url);
        let got = wait::until(&what, LIMIT, Duration::from_secs(2), || {
            before();
            self.get(&agent).map_err(|e| last = Some(e)).ok()
        });
        let text = match (got, last) {
            (Ok(outcome), _) => outcome.map_err(anyhow::Error::msg)?,
            (Err(e), Some(last)) => return Err(last.context(e)),
            (Err(e), None) => return Err(e.into()),
        };
        self.verify(&text)?;
        Ok(text)
    }

    fn agent(&self) -> Result<Agent> {
        let config = Agent::config_builder()
            .http_status_as_error(false)
            // An https server must not be able to send us to an http one.
            .max_redirects(0)
            .timeout_connect(Some(PATIENCE))
            .timeout_recv_response(Some(PATIENCE))
            .timeout_per_read(Some(PATIENCE))
            .build();
        pin::agent(config, self.pin.clone())
    }

    /// The outer error is worth another try, the inner one is not.
    fn get(&self, agent: &Agent) -> Result<Result<String, String>> {
        let mut response = match agent.get(&self.url).call() {
            Ok(response) => response,
            Err(e) => {
                let error = anyhow!(e).context(format!("cannot reach {}", self.url));
                return match pin::mismatch(&error) {
                    Some(other) => {
                        Ok(Err(format!("{} is not served by whom it should be: {other}", self.url)))
                    }
                    None => Err(error),
                };
            }
        };
        let status = response.status();
        if status.is_redirection() || status.is_client_error() {
            return Ok(Err(format!("{} answered {status}, which is no answer file", self.url)));
        }
        if !status.is_success() {
            bail!("{} answered {status}", self.url);
        }
        let limit = response.body_mut().with_config().limit(answers::LIMIT);
        let text = limit.read_to_string().with_context(|| format!("cannot read {}", self.url))?;
        Ok(Ok(text))
    }

    fn verify(&self, text: &str) -> Result<()> {
        let got = sha256_hex(text.as_bytes());
        if let Some(want) = self.sha256.as_ref().filter(|want| **want != got) {
            bail!("{} is not the file that was meant: its SHA-256 is {got}, wanted is {want}", self.url);
        }
        Ok(())
    }
}

fn digest(what: &str, text: &str) -> Result<String, String> {
    let hex = text.replace(':', "").to_lowercase();
    if is_hex(&hex, 64) {
        return Ok(hex);
    }
    Err(format!("maekin.answer.{what}={text} is no SHA-256: write 64 hex digits"))
}

#[cfg(test)]
mod tests;
