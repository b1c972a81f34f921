//! One question to a controller at a time, each on a connection of its own: bounded in time and size, to that controller
//! alone, and no redirect leads anywhere else.

use std::sync::Arc;
use std::time::Duration;

use axum::body::{Body, Bytes};
use axum::http::{Request, header};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use maekin_api::power::Firmware;
use rustls::pki_types::ServerName;
use serde_json::{Value, json};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

use super::super::drive::Pace;
use super::super::errors::{BmcError, told};
use super::super::settings::{RedfishWay, authority};
use super::answers::message;
use super::tls::{self, Shown};
use super::wire::{Answer, talk};

/// How long connecting may take, the TLS handshake of a slow controller included.
const CONNECT: Duration = Duration::from_secs(8);
/// How long one question may take.
const LIMIT: Duration = Duration::from_secs(20);
/// Longest path that is followed, bytes.
const LONGEST_PATH: usize = 1024;
/// How often a controller that is busy is asked.
const BUSY_TRIES: u32 = 10;
/// Longest pause that a busy controller is granted.
const LONGEST_PAUSE: Duration = Duration::from_secs(5);

enum Login {
    None,
    Basic,
    Session { token: String, path: Option<String> },
}

/// A controller, and how we are known to it.
pub(super) struct Http {
    way: RedfishWay,
    tls: Option<(TlsConnector, Shown)>,
    login: Login,
    pace: Pace,
}

/// SHA-256 of the certificate that is shown at `way`; nothing is sent.
///
/// # Errors
/// [`BmcError`].
pub(super) async fn certificate(way: &RedfishWay) -> Result<String, BmcError> {
    let way = RedfishWay { certificate_sha256: None, ..way.clone() };
    let http = Http::new(&way, Pace::REAL)?;
    let Some((connector, shown)) = &http.tls else {
        return Err(BmcError::Local("there is no certificate in plain HTTP".to_owned()));
    };
    drop(http.connect_tls(connector, shown).await?);
    tls::shown(shown).ok_or_else(|| BmcError::Local("the handshake showed no certificate".to_owned()))
}

impl Http {
    /// A controller; nothing is asked yet.
    ///
    /// # Errors
    /// [`BmcError::Local`].
    pub(super) fn new(way: &RedfishWay, pace: Pace) -> Result<Self, BmcError> {
        let tls = if way.plain_http {
            None
        } else {
            let (config, shown) = tls::client_config(way.certificate_sha256.as_deref())
                .map_err(|e| BmcError::Local(e.to_string()))?;
            Some((TlsConnector::from(Arc::new(config)), shown))
        };
        Ok(Self { way: way.clone(), tls, login: Login::None, pace })
    }

    /// Its address, for a person.
    pub(super) fn address(&self) -> String {
        authority(&self.way.host, self.way.port)
    }

    pub(super) fn pace(&self) -> Pace {
        self.pace
    }

    pub(super) fn firmware(&self) -> Option<Firmware> {
        self.way.firmware
    }

    pub(super) fn wanted_system(&self) -> &str {
        &self.way.system
    }

    /// Whether the password was sent already.
    pub(super) fn logged_in(&self) -> bool {
        !matches!(self.login, Login::None)
    }

    /// From now on, the password goes with every question.
    pub(super) fn use_basic(&mut self) {
        self.login = Login::Basic;
    }

    /// Begins a session at `sessions`, or falls back on Basic where the controller has none to give.
    ///
    /// # Errors
    /// [`BmcError::Credentials`] and others.
    pub(super) async fn login(&mut self, sessions: &str) -> Result<(), BmcError> {
        let body = json!({ "UserName": self.way.user, "Password": self.way.password.expose() });
        let answer = self.send("POST", sessions, &body, None).await;
        self.login = match answer {
            Ok(Answer { status: 200..=299, token: Some(token), location, .. }) => {
                let path = location.map(|location| self.local(&location)).transpose()?;
                Login::Session { token, path }
            }
            Ok(answer) if matches!(answer.status, 200..=299 | 404 | 405 | 500 | 501 | 503) => Login::Basic,
            Ok(answer) => return Err(self.refusal("log in", &answer)),
            Err(BmcError::Refused { .. }) => Login::Basic, // busy for as long as we wait: no free session
            Err(e) => return Err(e),
        };
        Ok(())
    }

    /// Ends the session, as well as can be.
    pub(super) async fn logout(&mut self) {
        if let Login::Session { path: Some(path), .. } = &self.login {
            let ended = self.once("DELETE", &path.clone(), None, None).await;
            tracing::debug!(address = self.address(), ok = ended.is_ok(), "power: session ended");
        }
        self.login = Login::None;
    }

    /// Asks with `GET`, and follows a redirect to the same controller.
    ///
    /// # Errors
    /// [`BmcError`].
    pub(super) async fn get(&self, path: &str) -> Result<Answer, BmcError> {
        let mut path = path.to_owned();
        for _ in 0..3 {
            let answer = self.ask("GET", &path, None, None).await?;
            match (&answer.location, answer.status) {
                (Some(location), 301 | 302 | 303 | 307 | 308) => path = self.local(location)?,
                _ => return Ok(answer),
            }
        }
        Err(self.garbled(&format!("GET {path}"), "it sends us in a circle"))
    }

    /// Asks with a body.
    ///
    /// # Errors
    /// [`BmcError`].
    pub(super) async fn send(
        &self,
        method: &str,
        path: &str,
        body: &Value,
        if_match: Option<&str>,
    ) -> Result<Answer, BmcError> {
        let answer = self.ask(method, path, Some(body), if_match).await?;
        match (&answer.location, answer.status) {
            // Never followed: what was sent may be a password.
            (Some(location), 300..=399) => {
                Err(BmcError::Elsewhere { address: self.address(), target: told(location, &[]) })
            }
            _ => Ok(answer),
        }
    }

    /// The JSON of an answer that must have some.
    ///
    /// # Errors
    /// [`BmcError`].
    pub(super) fn json(&self, path: &str, answer: Answer) -> Result<Value, BmcError> {
        if !answer.good() {
            return Err(self.refusal(&format!("show {}", told(path, &[])), &answer));
        }
        answer.body.ok_or_else(|| self.garbled(&format!("GET {path}"), &answer.flaw))
    }

    /// The path at `pointer` of `value`, where there is one.
    ///
    /// # Errors
    /// [`BmcError::Elsewhere`] when it leads to somebody else.
    pub(super) fn link(&self, value: &Value, pointer: &str) -> Result<Option<String>, BmcError> {
        value.pointer(pointer).and_then(Value::as_str).map(|path| self.local(path)).transpose()
    }

    /// A path on this controller, of a link that may be a whole URL.
    ///
    /// # Errors
    /// [`BmcError::Elsewhere`].
    pub(super) fn local(&self, link: &str) -> Result<String, BmcError> {
        let elsewhere = || BmcError::Elsewhere { address: self.address(), target: told(link, &[]) };
        let scheme = if self.way.plain_http { "http://" } else { "https://" };
        let usual = if self.way.plain_http { 80 } else { 443 };
        let path = match link.strip_prefix(scheme) {
            None => link,
            Some(rest) => {
                let at = rest.find('/').unwrap_or(rest.len());
                let (host, path) = rest.split_at(at);
                let ours = host.eq_ignore_ascii_case(&self.address())
                    || (self.way.port == usual
                        && authority(host, usual).eq_ignore_ascii_case(&self.address()));
                if !ours {
                    return Err(elsewhere());
                }
                path
            }
        };
        let fit = path.starts_with('/') && !path.starts_with("//") && path.len() <= LONGEST_PATH;
        if !fit || !path.bytes().all(|b| b.is_ascii_graphic()) {
            return Err(elsewhere());
        }
        Ok(path.split('#').next().unwrap_or_default().to_owned())
    }

    /// Why it did not do `what`.
    pub(super) fn refusal(&self, what: &str, answer: &Answer) -> BmcError {
        let secrets = [self.way.password.expose()];
        let words = told(&message(answer.body.as_ref().unwrap_or(&Value::Null)), &secrets);
        let why = match (answer.status, words.is_empty()) {
            (200..=299, false) => words,
            (status, false) => format!("{words} (HTTP {status})"),
            (404, true) => {
                "it has no such resource (HTTP 404); is that Redfish, and is it turned on?".to_owned()
            }
            (status, true) => format!("HTTP {status}, without a word"),
        };
        let address = self.address();
        if answer.status == 401 {
            return BmcError::Credentials { address, user: self.way.user.clone(), why };
        }
        BmcError::Refused { address, what: what.to_owned(), why }
    }

    fn garbled(&self, what: &str, why: &str) -> BmcError {
        let secrets = [self.way.password.expose()];
        BmcError::Garbled { address: self.address(), what: told(what, &secrets), why: told(why, &secrets) }
    }

    /// Asks, again while the controller is busy.
    async fn ask(
        &self,
        method: &str,
        path: &str,
        body: Option<&Value>,
        if_match: Option<&str>,
    ) -> Result<Answer, BmcError> {
        for _ in 0..BUSY_TRIES {
            let answer = self.once(method, path, body, if_match).await?;
            if !matches!(answer.status, 503 | 429) {
                return Ok(answer);
            }
            let asked = answer.retry_after.map_or(self.pace.pause, Duration::from_secs);
            tokio::time::sleep(asked.min(LONGEST_PAUSE.min(self.pace.pause * 5))).await;
        }
        let why = format!("it is busy or still starting (HTTP 503, {BUSY_TRIES} times)");
        let what = format!("answer {method} {}", told(path, &[]));
        Err(BmcError::Refused { address: self.address(), what, why })
    }

    async fn once(
        &self,
        method: &str,
        path: &str,
        body: Option<&Value>,
        if_match: Option<&str>,
    ) -> Result<Answer, BmcError> {
        let what = format!("{method} {path}");
        let request = self.request(method, path, body, if_match).map_err(|e| self.garbled(&what, &e))?;
        let work = async {
            match &self.tls {
                None => talk(self.connect().await?, request).await,
                Some((connector, shown)) => talk(self.connect_tls(connector, shown).await?, request).await,
            }
            .map_err(|why| self.garbled(&what, &why))
        };
        let late = |_| {
            let (address, step) = (self.address(), format!("the answer to {}", told(&what, &[])));
            BmcError::TooSlow { address, step, seconds: LIMIT.as_secs() }
        };
        tokio::time::timeout(LIMIT, work).await.map_err(late)?
    }

    fn request(
        &self,
        method: &str,
        path: &str,
        body: Option<&Value>,
        if_match: Option<&str>,
    ) -> Result<Request<Body>, String> {
        let mut request = Request::builder()
            .method(method)
            .uri(path)
            .header(header::HOST, self.address())
            .header(header::ACCEPT, "application/json")
            .header(header::CONNECTION, "close")
            .header("OData-Version", "4.0");
        match &self.login {
            Login::None => {}
            Login::Basic => {
                let pair = format!("{}:{}", self.way.user, self.way.password.expose());
                let value = format!("Basic {}", STANDARD.encode(pair));
                request = request.header(header::AUTHORIZATION, value);
            }
            Login::Session { token, .. } => request = request.header("X-Auth-Token", token),
        }
        if let Some(etag) = if_match {
            request = request.header(header::IF_MATCH, etag);
        }
        let bytes = match body {
            None => Bytes::new(),
            Some(body) => {
                request = request.header(header::CONTENT_TYPE, "application/json");
                serde_json::to_vec(body).map_err(|e| e.to_string())?.into()
            }
        };
        request.body(Body::from(bytes)).map_err(|e| e.to_string())
    }

    fn unreachable(&self, why: &str) -> BmcError {
        BmcError::Unreachable { address: self.address(), why: why.to_owned() }
    }

    async fn connect(&self) -> Result<TcpStream, BmcError> {
        let connect = TcpStream::connect((self.way.host.as_str(), self.way.port));
        let stream = tokio::time::timeout(CONNECT, connect).await;
        let stream =
            stream.map_err(|_| self.unreachable(&format!("no answer in {} s", CONNECT.as_secs())))?;
        stream.map_err(|e| self.unreachable(&e.to_string()))
    }

    async fn connect_tls(
        &self,
        connector: &TlsConnector,
        shown: &Shown,
    ) -> Result<tokio_rustls::client::TlsStream<TcpStream>, BmcError> {
        let stream = self.connect().await?;
        let name = ServerName::try_from(self.way.host.clone()).map_err(|e| BmcError::Local(e.to_string()))?;
        let handshake = tokio::time::timeout(CONNECT, connector.connect(name, stream)).await;
        let late = |_| self.unreachable("it listens, but does not end the TLS handshake");
        handshake.map_err(late)?.map_err(|e| match (tls::shown(shown), &self.way.certificate_sha256) {
            (Some(shown), Some(known)) if shown != *known => {
                BmcError::Certificate { address: self.address(), shown, known: known.clone() }
            }
            _ => self.unreachable(&format!(
                "no TLS with it: {}; does it speak TLS 1.2, on this port?",
                told(&e.to_string(), &[])
            )),
        })
    }
}
