//! The API of a node, as a person's program would use it: HTTPS, user `admin`, one connection kept.

use std::net::Ipv4Addr;
use std::sync::Once;
use std::time::Duration;

use anyhow::{Context, bail};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use maekin_api::audit::AuditEvent;
use maekin_api::cluster::Cluster;
use maekin_api::node::Node;
use maekin_api::nodes::NodeInfo;
use maekin_api::trust::token::parse_token;
use maekin_api::trust::{MadeToken, NewToken};
use maekin_rootfs::node::ClusterIntent;
use serde::Serialize;
use serde::de::DeserializeOwned;
use ureq::http::{Request, Response, header};
use ureq::tls::{Certificate, ClientCert, PrivateKey, TlsConfig, TlsProvider};
use ureq::{Agent, Body};

/// The password of user `admin` on every node.
pub const PASSWORD: &str = "right horse";
/// How long a connection may take to be made.
const CONNECT: Duration = Duration::from_secs(1);
/// The longest answer taken.
const MOST: u64 = 4 << 20;

/// A client of one node.
#[derive(Debug, Clone)]
pub struct Api {
    agent: Agent,
    url: String,
    authorization: String,
}

/// An answer, whatever its status.
#[derive(Debug, Clone)]
pub struct Answer {
    /// HTTP status.
    pub status: u16,
    /// Its version tag, where it has one.
    pub etag: Option<String>,
    /// The body.
    pub body: String,
}

impl Api {
    /// The node at `address`, whose answers may take as long as `limit`.
    ///
    /// Any certificate is taken: the cluster's CA is not there before its first node is, and in between is the lab's own
    /// switch. That nodes check each other's is seen in what they do.
    #[must_use]
    pub fn new(address: Ipv4Addr, limit: Duration) -> Self {
        Self::at(&node_url(address), PASSWORD, limit)
    }

    /// The same for a node of another rack, at `url` and with that password.
    #[must_use]
    pub fn at(url: &str, password: &str, limit: Duration) -> Self {
        let authorization = format!("Basic {}", STANDARD.encode(format!("admin:{password}")));
        Self { authorization, ..Self::with(url, limit, None) }
    }

    /// The same, for somebody who shows a certificate (PEM) in place of a password.
    ///
    /// # Errors
    /// When these are none.
    pub fn showing(address: Ipv4Addr, limit: Duration, cert: &[u8], key: &[u8]) -> anyhow::Result<Self> {
        let shown = ClientCert::new_with_certs(&[Certificate::from_pem(cert)?], PrivateKey::from_pem(key)?);
        Ok(Self::with(&node_url(address), limit, Some(shown)))
    }

    fn with(url: &str, limit: Duration, shown: Option<ClientCert>) -> Self {
        static PROVIDER: Once = Once::new();
        PROVIDER.call_once(|| {
            // Fails only where a provider is installed already, which then serves as well.
            let _ = rustls::crypto::ring::default_provider().install_default();
        });
        let tls = TlsConfig::builder().provider(TlsProvider::Rustls).disable_verification(true);
        let tls = tls.client_cert(shown).build();
        let agent = Agent::config_builder()
            .tls_config(tls)
            .timeout_global(Some(limit))
            .timeout_connect(Some(CONNECT.min(limit)))
            .http_status_as_error(false)
            .proxy(None)
            .build()
            .into();
        Self { agent, url: url.to_owned(), authorization: String::new() }
    }

    /// Asks, and takes what comes.
    ///
    /// # Errors
    /// When no answer comes, or not whole.
    pub fn ask(
        &self,
        method: &str,
        path: &str,
        if_match: Option<&str>,
        body: &str,
    ) -> anyhow::Result<Answer> {
        let mut request = Request::builder().method(method).uri(format!("{}{path}", self.url));
        if !self.authorization.is_empty() {
            request = request.header(header::AUTHORIZATION, &self.authorization);
        }
        if let Some(tag) = if_match {
            request = request.header(header::IF_MATCH, tag);
        }
        let what = || format!("{method} {}{path}", self.url);
        let outcome = if body.is_empty() {
            self.agent.run(request.body(())?)
        } else {
            let request = request.header(header::CONTENT_TYPE, "application/json");
            self.agent.run(request.body(body.to_owned())?)
        };
        read(outcome.with_context(what)?).with_context(what)
    }

    /// `GET`.
    ///
    /// # Errors
    /// When it is not answered, or not with that.
    pub fn get<T: DeserializeOwned>(&self, path: &str) -> anyhow::Result<T> {
        understand(path, &self.ask("GET", path, None, "")?)
    }

    /// `POST`.
    ///
    /// # Errors
    /// When it is not answered, or not with that.
    pub fn post<T: DeserializeOwned>(&self, path: &str, body: &impl Serialize) -> anyhow::Result<T> {
        understand(path, &self.ask("POST", path, None, &serde_json::to_string(body)?)?)
    }

    /// The node about itself.
    ///
    /// # Errors
    /// As [`Api::get`].
    pub fn node(&self) -> anyhow::Result<Node> {
        self.get(maekin_api::NODE)
    }

    /// The cluster as the record has it.
    ///
    /// # Errors
    /// As [`Api::get`].
    pub fn cluster(&self) -> anyhow::Result<Cluster> {
        self.get(maekin_api::CLUSTER)
    }

    /// The members as this node sees them.
    ///
    /// # Errors
    /// As [`Api::get`].
    pub fn nodes(&self) -> anyhow::Result<Vec<NodeInfo>> {
        self.get(maekin_api::NODES)
    }

    /// The newest events of the audit log.
    ///
    /// # Errors
    /// As [`Api::get`].
    pub fn audit(&self) -> anyhow::Result<Vec<AuditEvent>> {
        self.get(maekin_api::AUDIT)
    }

    /// Makes a join token; what a node file says that lets its node in by it.
    ///
    /// # Errors
    /// As [`Api::post`], and where the token cannot be read.
    pub fn invite(&self, uses: u32) -> anyhow::Result<ClusterIntent> {
        let new = NewToken { uses, minutes: 60, note: "lab".to_owned() };
        let made: MadeToken = self.post(maekin_api::JOIN_TOKENS, &new)?;
        joining(made.token.expose())
    }
}

/// Where the node at `address` is asked.
fn node_url(address: Ipv4Addr) -> String {
    format!("https://{address}:8443")
}

/// What a node file says that joins by the token of this text.
///
/// # Errors
/// When that is none.
pub fn joining(text: &str) -> anyhow::Result<ClusterIntent> {
    let token = parse_token(text).context("the join token")?;
    Ok(ClusterIntent::Join { masters: token.urls(), ca_sha256: token.ca_sha256, secret: text.to_owned() })
}

fn read(mut response: Response<Body>) -> anyhow::Result<Answer> {
    let etag = response.headers().get(header::ETAG).and_then(|tag| Some(tag.to_str().ok()?.to_owned()));
    let status = response.status().as_u16();
    let body = response.body_mut().with_config().limit(MOST).read_to_string()?;
    Ok(Answer { status, etag, body })
}

fn understand<T: DeserializeOwned>(path: &str, answer: &Answer) -> anyhow::Result<T> {
    if !(200..300).contains(&answer.status) {
        bail!("{path}: {}: {}", answer.status, answer.body);
    }
    serde_json::from_str(&answer.body).with_context(|| format!("{path}: cannot understand {}", answer.body))
}
