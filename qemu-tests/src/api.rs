//! The API of a node, as a person's program would use it: HTTPS through a forwarded port, user `admin`.

use std::sync::Once;
use std::time::Duration;

use anyhow::{Context, bail};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use maekin_api::boot_drives::BootDrives;
use maekin_api::cluster::Cluster;
use maekin_api::discovery::Discovered;
use maekin_api::install::{Deny, Install, OpenWindow, Reinstall, SeenMachine, Terms, WindowState};
use maekin_api::node::Node;
use maekin_api::nodes::NodeInfo;
use maekin_api::trust::{MadeToken, NewPairing, NewToken, PairingInfo, TokenInfo};
use maekin_host::wait;
use serde::Serialize;
use serde::de::DeserializeOwned;
use ureq::tls::{TlsConfig, TlsProvider};

/// How long a node may take to answer a request; translated guests check passwords slowly.
const LIMIT: Duration = Duration::from_secs(60);
/// How long a node may say that it cannot answer at the moment, and how long it is left alone in between.
const BUSY_LIMIT: Duration = Duration::from_secs(60);
const BUSY_PAUSE: Duration = Duration::from_secs(2);
/// The longest answer taken.
const MAX_ANSWER: u64 = 4 << 20;

/// A client of one node.
#[derive(Debug, Clone)]
pub struct Api {
    agent: ureq::Agent,
    url: String,
    authorization: String,
}

impl Api {
    /// The node behind `port` of 127.0.0.1.
    ///
    /// Any server certificate is taken: the cluster's CA does not exist before the first node has booted, and what is
    /// under test is reached through QEMU's own port, where nobody is in between. That nodes check each other's
    /// certificates is tested between the nodes.
    #[must_use]
    pub fn new(port: u16, password: &str) -> Self {
        static PROVIDER: Once = Once::new();
        PROVIDER.call_once(|| {
            // Fails only where a provider is installed already, which then serves as well.
            let _ = rustls::crypto::ring::default_provider().install_default();
        });
        let tls = TlsConfig::builder().provider(TlsProvider::Rustls).disable_verification(true).build();
        let agent = ureq::Agent::config_builder()
            .tls_config(tls)
            .timeout_global(Some(LIMIT))
            .http_status_as_error(false)
            .proxy(None)
            .build()
            .into();
        let authorization = format!("Basic {}", STANDARD.encode(format!("admin:{password}")));
        Self { agent, url: format!("https://127.0.0.1:{port}"), authorization }
    }

    /// Where the node's API is, for a person.
    #[must_use]
    pub fn url(&self) -> &str {
        &self.url
    }

    /// `GET /v1/node`.
    ///
    /// # Errors
    /// When the node does not answer, or not so.
    pub fn node(&self) -> anyhow::Result<Node> {
        self.get(maekin_api::NODE)
    }

    /// `GET /v1/node/boot`.
    ///
    /// # Errors
    /// As [`Api::node`].
    pub fn boot_drives(&self) -> anyhow::Result<BootDrives> {
        self.get(maekin_api::NODE_BOOT)
    }

    /// `POST /v1/node/boot/compare`.
    ///
    /// # Errors
    /// As [`Api::node`].
    pub fn compare_halves(&self) -> anyhow::Result<()> {
        self.post(maekin_api::NODE_BOOT_COMPARE, &())
    }

    /// `POST /v1/node/boot/trial`.
    ///
    /// # Errors
    /// As [`Api::node`].
    pub fn try_boot(&self) -> anyhow::Result<()> {
        self.post(maekin_api::NODE_BOOT_TRIAL, &())
    }

    /// `GET /v1/cluster`.
    ///
    /// # Errors
    /// As [`Api::node`].
    pub fn cluster(&self) -> anyhow::Result<Cluster> {
        self.get(maekin_api::CLUSTER)
    }

    /// `GET /v1/nodes`.
    ///
    /// # Errors
    /// As [`Api::node`].
    pub fn nodes(&self) -> anyhow::Result<Vec<NodeInfo>> {
        self.get(maekin_api::NODES)
    }

    /// `GET /v1/installs`.
    ///
    /// # Errors
    /// As [`Api::node`].
    pub fn installs(&self) -> anyhow::Result<Vec<Install>> {
        self.get(maekin_api::INSTALLS)
    }

    /// `POST /v1/install-window`.
    ///
    /// # Errors
    /// As [`Api::node`].
    pub fn open_window(&self, minutes: u32, count: u32) -> anyhow::Result<WindowState> {
        self.post(maekin_api::INSTALL_WINDOW, &OpenWindow { minutes, count })
    }

    /// `GET /v1/machines`.
    ///
    /// # Errors
    /// As [`Api::node`].
    pub fn machines(&self) -> anyhow::Result<Vec<SeenMachine>> {
        self.get(maekin_api::MACHINES)
    }

    /// `POST /v1/machines/{machine}/approve`.
    ///
    /// # Errors
    /// As [`Api::node`].
    pub fn approve(&self, machine: &str, terms: &Terms) -> anyhow::Result<Install> {
        self.post(&maekin_api::MACHINE_APPROVE.replace("{machine}", machine), terms)
    }

    /// `POST /v1/machines/{machine}/deny`.
    ///
    /// # Errors
    /// As [`Api::node`].
    pub fn deny(&self, machine: &str, deny: &Deny) -> anyhow::Result<SeenMachine> {
        self.post(&maekin_api::MACHINE_DENY.replace("{machine}", machine), deny)
    }

    /// `POST /v1/join-tokens`.
    ///
    /// # Errors
    /// As [`Api::node`].
    pub fn make_join_token(&self, uses: u32, minutes: u32, note: &str) -> anyhow::Result<MadeToken> {
        let note = note.to_owned();
        self.post(maekin_api::JOIN_TOKENS, &NewToken { uses, minutes, note })
    }

    /// `GET /v1/join-tokens`.
    ///
    /// # Errors
    /// As [`Api::node`].
    pub fn join_tokens(&self) -> anyhow::Result<Vec<TokenInfo>> {
        self.get(maekin_api::JOIN_TOKENS)
    }

    /// `GET /v1/discovered`.
    ///
    /// # Errors
    /// As [`Api::node`].
    pub fn discovered(&self) -> anyhow::Result<Vec<Discovered>> {
        self.get(maekin_api::DISCOVERED)
    }

    /// `GET /v1/pairings`.
    ///
    /// # Errors
    /// As [`Api::node`].
    pub fn pairings(&self) -> anyhow::Result<Vec<PairingInfo>> {
        self.get(maekin_api::PAIRINGS)
    }

    /// `POST /v1/pairings`, with a node by its name.
    ///
    /// # Errors
    /// As [`Api::node`].
    pub fn begin_pairing(&self, node: &str) -> anyhow::Result<PairingInfo> {
        let new = NewPairing { node: node.to_owned(), ..NewPairing::default() };
        self.post(maekin_api::PAIRINGS, &new)
    }

    /// `POST /v1/pairings/{code}/approve`.
    ///
    /// # Errors
    /// As [`Api::node`].
    pub fn approve_pairing(&self, code: &str) -> anyhow::Result<()> {
        self.post(&maekin_api::PAIRING_APPROVE.replace("{code}", code), &())
    }

    /// `POST /v1/nodes/{name}/reinstall`.
    ///
    /// # Errors
    /// As [`Api::node`].
    pub fn reinstall(&self, name: &str) -> anyhow::Result<Reinstall> {
        self.post(&maekin_api::REINSTALL.replace("{name}", name), &())
    }

    /// The status of a `GET` with no password or, where given, with that one.
    ///
    /// # Errors
    /// When the node does not answer at all.
    pub fn status(&self, path: &str, password: Option<&str>) -> anyhow::Result<u16> {
        let mut request = self.agent.get(format!("{}{path}", self.url));
        if let Some(password) = password {
            let basic = format!("Basic {}", STANDARD.encode(format!("admin:{password}")));
            request = request.header("Authorization", basic);
        }
        let response = request.call().with_context(|| format!("GET {}{path}", self.url))?;
        Ok(response.status().as_u16())
    }

    /// `GET` of any path. A node that says that it cannot answer at the moment (503) is asked again for a while, as any
    /// client would: on a host with many translated guests the record may take its time.
    ///
    /// # Errors
    /// As [`Api::node`].
    pub fn get<T: DeserializeOwned>(&self, path: &str) -> anyhow::Result<T> {
        let what = format!("GET {}{path}", self.url);
        let ask = || {
            let request =
                self.agent.get(format!("{}{path}", self.url)).header("Authorization", &self.authorization);
            request.call()
        };
        let busy = |answer: &Result<ureq::http::Response<ureq::Body>, ureq::Error>| {
            answer.as_ref().is_ok_and(|answer| answer.status().as_u16() == 503)
        };
        let mut last = None;
        let settled = wait::until(&what, BUSY_LIMIT, BUSY_PAUSE, || {
            let answer = ask();
            if busy(&answer) {
                last = Some(answer);
                return None;
            }
            Some(answer)
        });
        let answer = match (settled, last) {
            (Ok(answer), _) | (Err(_), Some(answer)) => answer,
            (Err(e), None) => return Err(e.into()),
        };
        read(answer).context(what)
    }

    /// Any request with a JSON body.
    ///
    /// # Errors
    /// When the node does not answer, refuses, or answers something that is no `T`.
    pub fn send<T: DeserializeOwned>(
        &self,
        method: &str,
        path: &str,
        body: &impl Serialize,
    ) -> anyhow::Result<T> {
        let url = format!("{}{path}", self.url);
        let request = match method {
            "PATCH" => self.agent.patch(url),
            "PUT" => self.agent.put(url),
            _ => self.agent.post(url),
        };
        let request = request.header("Authorization", &self.authorization);
        read(request.send_json(body)).with_context(|| format!("{method} {}{path}", self.url))
    }

    fn post<T: DeserializeOwned>(&self, path: &str, body: &impl Serialize) -> anyhow::Result<T> {
        let request =
            self.agent.post(format!("{}{path}", self.url)).header("Authorization", &self.authorization);
        read(request.send_json(body)).with_context(|| format!("POST {}{path}", self.url))
    }
}

fn read<T: DeserializeOwned>(
    response: Result<ureq::http::Response<ureq::Body>, ureq::Error>,
) -> anyhow::Result<T> {
    let mut response = response?;
    let status = response.status();
    let text = response.body_mut().with_config().limit(MAX_ANSWER).read_to_string()?;
    if !status.is_success() {
        bail!("{status}: {text}");
    }
    serde_json::from_str(&text).with_context(|| format!("cannot understand {text}"))
}
