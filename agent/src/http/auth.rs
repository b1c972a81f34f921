//! Who asks: the machine's own root over the unix socket, other members by certificate, a person by password.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv4Addr};
use std::sync::{LazyLock, Mutex, PoisonError};
use std::time::Duration;

use anyhow::anyhow;
use argon2::password_hash::SaltString;
use argon2::{Argon2, PasswordHash, PasswordHasher, PasswordVerifier};
use axum::http::{HeaderMap, StatusCode, header};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use maekin_api::access::Role;
use maekin_api::secret::Secret;
use maekin_image::manifest::sha256_hex;
use sha2::{Digest, Sha256};
use tokio::sync::Semaphore;

use super::error::ApiError;
use super::identity::{BUILTIN, Identity, Who};
use super::limiter::{self, Limiter, group};
use crate::access::known::Known;
use crate::access::tokens::{self, Bad};
use crate::access::users;
use crate::app::App;
use crate::audit::{self, Event};
use crate::clock::now;
use crate::errors::chain;
use crate::pki::peer::PeerNode;
use crate::record::values::UserValue;
use crate::record::{Record, RecordError};

/// Password checks at once: each takes 19 MiB and a good part of a core for a moment.
const CHECKS: usize = 2;
/// How long a password check may wait for its turn.
const TURN: Duration = Duration::from_secs(5);
/// Longest password that is looked at, bytes.
const LONGEST: usize = 1024;
/// Passwords that were right and are remembered.
const REMEMBERED: usize = 256;
/// Told for a user that there is not as for a wrong password.
const OTHER: &str = "there is no such user, or the password is another one";
/// A hash that no password has: a check against it takes as long as any.
static NOBODY: LazyLock<String> = LazyLock::new(|| {
    let mut bytes = [0_u8; 16];
    // Without random numbers the password is sixteen zeros, and a user that there is not gets in with no password.
    let _ = getrandom::fill(&mut bytes);
    hash_password(&sha256_hex(&bytes)).unwrap_or_default()
});

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

/// Finds out who asks.
pub(crate) struct Auth {
    /// Argon2id hash of the node file's user, PHC string.
    hash: Option<String>,
    senders: Mutex<Limiter<IpAddr>>,
    users: Mutex<Limiter<String>>,
    turns: Semaphore,
    /// Passwords that were right, by user, so that a client that asks often costs little.
    right: Mutex<HashMap<String, Right>>,
    salt: [u8; 32],
    /// Users and tokens of the record.
    pub(crate) known: Known,
}

/// A password that was right.
struct Right {
    /// Salted digest of it.
    digest: [u8; 32],
    /// For this hash.
    hash: String,
}

/// What somebody shows.
#[derive(Debug, PartialEq, Eq)]
enum Shown {
    Password { user: String, password: String },
    Token(String),
}

impl Auth {
    /// A checker for the password of `hash`; none: nobody gets in as the node file's user.
    ///
    /// # Errors
    /// When the kernel gives no random numbers.
    pub(crate) fn new(hash: Option<String>) -> Result<Self, getrandom::Error> {
        let mut salt = [0; 32];
        getrandom::fill(&mut salt)?;
        Ok(Self {
            hash,
            senders: Mutex::new(Limiter::new(limiter::SENDER)),
            users: Mutex::new(Limiter::new(limiter::USER)),
            turns: Semaphore::new(CHECKS),
            right: Mutex::default(),
            salt,
            known: Known::default(),
        })
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
        match shown(headers) {
            Some(Shown::Password { user, password }) => self.login(app, ip, &user, password).await,
            Some(Shown::Token(token)) => self.bearer(app, ip, &token).await,
            None => Err(unauthorized(
                "give a user and the password (HTTP Basic), e.g. user `admin`; an API token (Bearer); or a member's certificate",
            )),
        }
    }

    async fn login(&self, app: &App, ip: IpAddr, user: &str, password: String) -> Result<Identity, ApiError> {
        let builtin = user == BUILTIN;
        if builtin && self.hash.is_none() {
            return Err(unauthorized(
                "this node has no admin password; set one in its answer file, `[admin] password`",
            ));
        }
        if !builtin && !users::is_name(user) {
            return Err(unauthorized(OTHER));
        }
        let found = |value: Option<UserValue>| value.map(|value| (value.hash, value.role));
        let read = async || {
            if builtin {
                return Ok(self.hash.clone().map(|hash| (hash, Role::Admin)));
            }
            let record = record(app)?;
            self.known.user(&record, user).await.map(found).map_err(|e| unreachable(&e))
        };
        let identity = |role| {
            let who = if builtin { Who::Builtin } else { Who::User(user.to_owned()) };
            Identity { who, role, scopes: Vec::new(), from: Some(ip) }
        };
        // Whoever was right before is not kept out by others who guess.
        if let Some(hash) = self.was_right(user, &password)
            && let Some((now_hash, role)) = read().await?
            && hash == now_hash
        {
            return Ok(identity(role));
        }
        self.check_limits(ip, Some(user))?;
        let _turn = tokio::time::timeout(TURN, self.turns.acquire()).await.map_err(busy)?;
        self.check_limits(ip, Some(user))?; // others of the same sender were looked at while it waited
        let value = read().await?;
        // A user that there is not takes as long as one that there is.
        let hash = value.as_ref().map_or_else(|| NOBODY.clone(), |(hash, _)| hash.clone());
        if verify(hash.clone(), password.clone()).await?
            && let Some((_, role)) = value
        {
            lock(&self.senders).succeeded(&group(ip));
            lock(&self.users).succeeded(&user.to_owned());
            self.remember(user, &password, hash);
            return Ok(identity(role));
        }
        audit::event(
            app,
            Event::refused("login-refused").named(user).from(Some(ip)).text("wrong user or password"),
        );
        lock(&self.senders).failed(&group(ip), now());
        lock(&self.users).failed(&user.to_owned(), now());
        Err(unauthorized(if builtin { "the password of user `admin` is another one" } else { OTHER }))
    }

    async fn bearer(&self, app: &App, ip: IpAddr, token: &str) -> Result<Identity, ApiError> {
        let refuse = |bad: Bad, id: &str| {
            let event = Event::refused("token-refused").from(Some(ip)).text(bad.words());
            audit::event(app, event.showing(id));
            if matches!(bad, Bad::Unknown | Bad::Forged) {
                lock(&self.senders).failed(&group(ip), now());
            }
            unauthorized("the token is not one that is good here; it may have expired or been deleted")
        };
        let digest = sha256_hex(token.as_bytes());
        let id = tokens::parse_id(token).unwrap_or_default();
        if self.known.last_token(id).is_none_or(|last| last.sha256 != digest) {
            self.check_limits(ip, None)?;
        }
        if id.is_empty() {
            return Err(refuse(Bad::Unknown, ""));
        }
        let record = record(app)?;
        let value = self.known.token(&record, id).await.map_err(|e| unreachable(&e))?;
        let owner = match &value {
            Some(value) if !value.user_id.is_empty() => {
                self.known.user(&record, &value.user).await.map_err(|e| unreachable(&e))?
            }
            _ => None,
        };
        match (tokens::judge(token, value.as_ref(), owner.as_ref(), now()), value) {
            (Ok((role, scopes)), Some(value)) => {
                let who = Who::Token { id: value.id, owner: value.user };
                Ok(Identity { who, role, scopes, from: Some(ip) })
            }
            (outcome, _) => Err(refuse(outcome.err().unwrap_or(Bad::Unknown), id)),
        }
    }

    /// Whether `password` is the one of `hash`, a user's who changes his own; guessing is limited as at the door.
    ///
    /// # Errors
    /// The answer to give instead.
    pub(crate) async fn confirm(
        &self,
        asker: &Identity,
        hash: &str,
        password: &Secret,
    ) -> Result<(), ApiError> {
        let user = asker.name();
        self.check_limits(asker.from.unwrap_or(IpAddr::V4(Ipv4Addr::UNSPECIFIED)), Some(&user))?;
        if self.verify_in_turn(hash.to_owned(), password.expose().to_owned()).await? {
            return Ok(());
        }
        lock(&self.users).failed(&user, now());
        let title = "The password is another one";
        Err(ApiError::new(
            StatusCode::FORBIDDEN,
            "wrong-password",
            title,
            "old: is not the password as it is now",
        ))
    }

    /// The hash of a new password. Takes its turn: each costs as much as a login.
    ///
    /// # Errors
    /// The answer to give instead.
    pub(crate) async fn hash(&self, password: &Secret) -> Result<String, ApiError> {
        let _turn = tokio::time::timeout(TURN, self.turns.acquire()).await.map_err(busy)?;
        let password = password.expose().to_owned();
        let work = tokio::task::spawn_blocking(move || hash_password(&password)).await;
        work.map_err(|e| ApiError::internal(format!("hashing the password ended early: {e}")))?
            .map_err(|e| ApiError::internal(format!("{e:#}")))
    }

    async fn verify_in_turn(&self, hash: String, password: String) -> Result<bool, ApiError> {
        let _turn = tokio::time::timeout(TURN, self.turns.acquire()).await.map_err(busy)?;
        verify(hash, password).await
    }

    fn check_limits(&self, ip: IpAddr, user: Option<&str>) -> Result<(), ApiError> {
        let now = now();
        let sender = lock(&self.senders).check(&group(ip), now);
        let user = user.map_or(Ok(()), |user| lock(&self.users).check(&user.to_owned(), now));
        sender.and(user).map_err(|wait| {
            let title = "Too many wrong passwords";
            let detail = format!("wait {wait} s before the next try");
            ApiError::new(StatusCode::TOO_MANY_REQUESTS, "too-many-failures", title, detail)
        })
    }

    /// The hash that `password` was right for, as far as this node remembers.
    fn was_right(&self, user: &str, password: &str) -> Option<String> {
        let right = lock(&self.right);
        // Digests under a secret salt: comparing them tells an outsider nothing by its timing.
        right.get(user).filter(|right| right.digest == self.digest(password)).map(|right| right.hash.clone())
    }

    fn remember(&self, user: &str, password: &str, hash: String) {
        let mut right = lock(&self.right);
        if right.len() >= REMEMBERED && !right.contains_key(user) {
            right.clear();
        }
        right.insert(user.to_owned(), Right { digest: self.digest(password), hash });
    }

    fn digest(&self, password: &str) -> [u8; 32] {
        Sha256::new().chain_update(self.salt).chain_update(password.as_bytes()).finalize().into()
    }
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

fn busy(_: tokio::time::error::Elapsed) -> ApiError {
    let title = "Too many logins at once";
    ApiError::new(StatusCode::SERVICE_UNAVAILABLE, "busy", title, "try again in a moment")
}

/// The record, for who wants to be looked up in it.
fn record(app: &App) -> Result<Record, ApiError> {
    let none = |_| unauthorized("this node is in no cluster yet, and knows user `admin` of its own only");
    app.member().map(|member| member.record.clone()).map_err(none)
}

/// To somebody who is not known yet, nothing about the record's insides.
fn unreachable(e: &RecordError) -> ApiError {
    tracing::info!(error = %chain(e), "somebody cannot be looked up");
    let title = "The cluster's record cannot be used";
    let detail = "users and tokens cannot be looked up now; user `admin` of the node can log in";
    ApiError::new(StatusCode::SERVICE_UNAVAILABLE, "record-unreachable", title, detail)
}

async fn verify(hash: String, password: String) -> Result<bool, ApiError> {
    tokio::task::spawn_blocking(move || verify_password(&hash, &password))
        .await
        .map_err(|e| ApiError::internal(format!("the password check ended early: {e}")))
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

/// What an `Authorization` header shows: RFC 7617, RFC 6750.
fn shown(headers: &HeaderMap) -> Option<Shown> {
    let value = headers.get(header::AUTHORIZATION)?.to_str().ok()?;
    let (scheme, rest) = value.split_once(' ')?;
    if rest.len() > 2 * LONGEST {
        return None;
    }
    if scheme.eq_ignore_ascii_case("bearer") {
        return Some(Shown::Token(rest.trim().to_owned()));
    }
    if !scheme.eq_ignore_ascii_case("basic") {
        return None;
    }
    let text = String::from_utf8(STANDARD.decode(rest.trim()).ok()?).ok()?;
    let (user, password) = text.split_once(':')?;
    let (user, password) = (user.to_owned(), password.to_owned());
    (password.len() <= LONGEST).then_some(Shown::Password { user, password })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn api_headers_show_a_password_a_token_or_nothing() {
        let basic = |text: &str| format!("Basic {}", STANDARD.encode(text));
        let rows = [
            ("right", basic("admin:pass word"), Some(("admin", "pass word"))),
            ("colon in it", basic("admin:a:b"), Some(("admin", "a:b"))),
            ("scheme in small letters", basic("admin:x").replace("Basic", "basic"), Some(("admin", "x"))),
            ("other user", basic("root:x"), Some(("root", "x"))),
            ("no colon", basic("admin"), None),
            ("no base64", "Basic ###".to_owned(), None),
            ("another scheme", "Digest abc".to_owned(), None),
            ("not UTF-8", format!("Basic {}", STANDARD.encode([0xff, b':', 0xfe])), None),
            ("very long", basic(&format!("admin:{}", "x".repeat(5000))), None),
            ("empty", String::new(), None),
        ];
        for (name, value, want) in rows {
            let mut headers = HeaderMap::new();
            headers.insert(header::AUTHORIZATION, value.parse().unwrap());
            let want = want.map(|(user, password): (&str, &str)| Shown::Password {
                user: user.into(),
                password: password.into(),
            });
            assert_eq!(shown(&headers), want, "{name}");
        }
        assert_eq!(shown(&HeaderMap::new()), None, "no header");
        let mut headers = HeaderMap::new();
        headers.insert(header::AUTHORIZATION, "bearer mk_a_b".parse().unwrap());
        assert_eq!(shown(&headers), Some(Shown::Token("mk_a_b".into())));
    }
}
