//! Who asks: the machine's own root over the unix socket, other members by certificate, a person by password.

use std::net::IpAddr;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use anyhow::anyhow;
use argon2::password_hash::SaltString;
use argon2::{Argon2, PasswordHash, PasswordHasher, PasswordVerifier};
use axum::http::{HeaderMap, StatusCode, header};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use sha2::{Digest, Sha256};
use tokio::sync::Semaphore;

use super::error::ApiError;
use super::identity::{BUILTIN, Identity, Who};
use super::limiter::Limiter;
use crate::app::App;
use crate::audit::{self, Event};
use crate::clock::now;
use crate::pki::peer::PeerNode;

/// Password checks at once: each takes 19 MiB and a good part of a core for a moment.
const CHECKS: usize = 2;
/// How long a password check may wait for its turn.
const TURN: Duration = Duration::from_secs(5);
/// Longest password that is looked at, bytes.
const LONGEST: usize = 1024;
/// Who is at the other end of a connection.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Peer {
    /// This machine's root, over the unix socket.
    Root,
    /// A member of the cluster, by its certificate.
    Member(PeerNode),
    /// Anybody.
    Stranger(IpAddr),
}

/// Checks passwords.
pub(crate) struct Auth {
    /// Argon2id hash, PHC string.
    hash: Option<String>,
    limiter: Mutex<Limiter>,
    turns: Semaphore,
    /// Salted digest of the password that was right last, so that a client that asks often costs little.
    known: Mutex<Option<[u8; 32]>>,
    salt: [u8; 32],
}

impl Auth {
    /// A checker for the password of `hash`; none: nobody gets in by password.
    ///
    /// # Errors
    /// When the kernel gives no random numbers.
    pub(crate) fn new(hash: Option<String>) -> Result<Self, getrandom::Error> {
        let mut salt = [0; 32];
        getrandom::fill(&mut salt)?;
        let (limiter, known) = (Mutex::default(), Mutex::default());
        Ok(Self { hash, limiter, turns: Semaphore::new(CHECKS), known, salt })
    }

    /// Who `peer` is, with these headers.
    ///
    /// # Errors
    /// The answer to give instead.
    pub(crate) async fn identify(
        &self,
        app: &App,
        peer: &Peer,
        headers: &HeaderMap,
    ) -> Result<Identity, ApiError> {
        let ip = match peer {
            Peer::Root => return Ok(Identity::trusted(Who::Root, None)),
            Peer::Member(node) => {
                crate::trust::known::check(app, node).await?;
                return Ok(Identity::trusted(Who::Member(node.clone()), None));
            }
            Peer::Stranger(ip) => *ip,
        };
        let Some((user, password)) = basic(headers) else {
            return Err(unauthorized(
                "give a user and the password (HTTP Basic), e.g. user `admin`, or a member's certificate",
            ));
        };
        if user != BUILTIN {
            return Err(unauthorized("there is no such user, or the password is another one"));
        }
        self.builtin(app, ip, password).await.map(|()| Identity::trusted(Who::Builtin, Some(ip)))
    }

    async fn builtin(&self, app: &App, ip: IpAddr, password: String) -> Result<(), ApiError> {
        let Some(hash) = &self.hash else {
            return Err(unauthorized(
                "this node has no admin password; set one in its answer file, `[admin] password`",
            ));
        };
        if self.is_known(&password) {
            return Ok(());
        }
        self.limit(|limiter| limiter.check(ip, now())).map_err(|wait| {
            let title = "Too many wrong passwords";
            let detail = format!("wait {wait} s before the next try");
            ApiError::new(StatusCode::TOO_MANY_REQUESTS, "too-many-failures", title, detail)
        })?;
        if self.verify(hash.clone(), password.clone()).await? {
            self.limit(|limiter| limiter.succeeded(ip));
            *self.known.lock().unwrap_or_else(PoisonError::into_inner) = Some(self.digest(&password));
            return Ok(());
        }
        audit::event(
            app,
            Event::refused("login-refused").as_user(BUILTIN).from(Some(ip)).text("wrong password"),
        );
        self.limit(|limiter| limiter.failed(ip, now()));
        Err(unauthorized("the password of user `admin` is another one"))
    }

    async fn verify(&self, hash: String, password: String) -> Result<bool, ApiError> {
        let busy = |_| {
            let title = "Too many logins at once";
            ApiError::new(StatusCode::SERVICE_UNAVAILABLE, "busy", title, "try again in a moment")
        };
        let _turn = tokio::time::timeout(TURN, self.turns.acquire()).await.map_err(busy)?;
        tokio::task::spawn_blocking(move || verify_password(&hash, &password))
            .await
            .map_err(|e| ApiError::internal(format!("the password check ended early: {e}")))
    }

    fn is_known(&self, password: &str) -> bool {
        let known = *self.known.lock().unwrap_or_else(PoisonError::into_inner);
        // Digests under a secret salt: comparing them tells an outsider nothing by its timing.
        known == Some(self.digest(password))
    }

    fn digest(&self, password: &str) -> [u8; 32] {
        Sha256::new().chain_update(self.salt).chain_update(password.as_bytes()).finalize().into()
    }

    fn limit<T>(&self, work: impl FnOnce(&mut Limiter) -> T) -> T {
        work(&mut self.limiter.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

/// Whether `password` is the one of `hash`. Takes a good part of a second.
pub(crate) fn verify_password(hash: &str, password: &str) -> bool {
    PasswordHash::new(hash)
        .is_ok_and(|hash| Argon2::default().verify_password(password.as_bytes(), &hash).is_ok())
}

/// The Argon2id hash of `password` with a new salt, as a PHC string.
///
/// # Errors
/// When the kernel gives no random numbers.
pub(crate) fn hash_password(password: &str) -> anyhow::Result<String> {
    let mut salt = [0; 16];
    getrandom::fill(&mut salt).map_err(|e| anyhow!("the kernel gave no random numbers: {e}"))?;
    let salt = SaltString::encode_b64(&salt).map_err(|e| anyhow!("cannot make a salt: {e}"))?;
    let hash = Argon2::default().hash_password(password.as_bytes(), &salt);
    Ok(hash.map_err(|e| anyhow!("cannot hash the password: {e}"))?.to_string())
}

fn unauthorized(detail: &str) -> ApiError {
    ApiError::new(StatusCode::UNAUTHORIZED, "unauthorized", "Who asks is not known", detail)
}

/// User and password in an `Authorization` header, RFC 7617.
fn basic(headers: &HeaderMap) -> Option<(String, String)> {
    let value = headers.get(header::AUTHORIZATION)?.to_str().ok()?;
    let (scheme, encoded) = value.split_once(' ')?;
    if !scheme.eq_ignore_ascii_case("basic") || encoded.len() > 2 * LONGEST {
        return None;
    }
    let text = String::from_utf8(STANDARD.decode(encoded.trim()).ok()?).ok()?;
    let (user, password) = text.split_once(':')?;
    (password.len() <= LONGEST).then(|| (user.to_owned(), password.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn headers_give_a_password_or_none() {
        let basic = |text: &str| format!("Basic {}", STANDARD.encode(text));
        let rows = [
            ("right", basic("admin:pass word"), Some(("admin", "pass word"))),
            ("colon in it", basic("admin:a:b"), Some(("admin", "a:b"))),
            ("scheme in small letters", basic("admin:x").replace("Basic", "basic"), Some(("admin", "x"))),
            ("other user", basic("root:x"), Some(("root", "x"))),
            ("no colon", basic("admin"), None),
            ("no base64", "Basic ###".to_owned(), None),
            ("bearer", "Bearer abc".to_owned(), None),
            ("not UTF-8", format!("Basic {}", STANDARD.encode([0xff, b':', 0xfe])), None),
            ("very long", basic(&format!("admin:{}", "x".repeat(5000))), None),
            ("empty", String::new(), None),
        ];
        for (name, value, want) in rows {
            let mut headers = HeaderMap::new();
            headers.insert(header::AUTHORIZATION, value.parse().unwrap());
            let got = super::basic(&headers);
            assert_eq!(got.as_ref().map(|(u, p)| (u.as_str(), p.as_str())), want, "{name}");
        }
        assert_eq!(super::basic(&HeaderMap::new()), None, "no header");
    }
}
