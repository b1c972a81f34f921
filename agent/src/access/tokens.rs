//! API tokens: form, plans (pure) and the record. A token is `mk_` + its id (12 hex digits) + `_` + 32 random bytes
//! (base64url): a digest without salt is enough for that many, and the record keeps no more.

use std::collections::BTreeSet;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use maekin_api::access::{MadeToken, NewToken, Role, Token};
use maekin_image::manifest::sha256_hex;

use super::{AccessError, Moment, change, random_hex};
use crate::http::identity::{BUILTIN, Identity, Who};
use crate::record::keys::{self, under};
use crate::record::values::{TokenValue, UserValue};
use crate::record::{Record, Versioned};

/// Most tokens of one user: all of them end in one transaction, and etcd takes 128 writes in it.
const MOST: usize = 50;
/// Most tokens in all.
const IN_ALL: usize = 2000;
/// Longest name, characters.
const NAME: usize = 64;
/// Days that a token is good for, unless said otherwise; most.
const DAYS: u32 = 90;
const MOST_DAYS: u32 = 3660;
/// Length of an id, and longest token, bytes.
const ID: usize = 12;
const LONGEST: usize = 128;

/// The id in a token, or in a path; `None` for what cannot be one. Pure.
pub(crate) fn parse_id(token: &str) -> Option<&str> {
    let id = token.strip_prefix("mk_")?.split('_').next()?;
    (token.len() <= LONGEST && is_id(id)).then_some(id)
}

fn is_id(id: &str) -> bool {
    id.len() == ID && id.bytes().all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b))
}

/// Why a token is not good. What is told outside is the same for all.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Bad {
    /// There is none of this id.
    Unknown,
    /// The id is one, the rest is not.
    Forged,
    /// Its time is over.
    Expired,
    /// Its user is gone.
    Orphan,
}

impl Bad {
    /// In words, for the audit log.
    pub(crate) fn words(self) -> &'static str {
        match self {
            Self::Unknown => "there is no such token",
            Self::Forged => "the token's secret is another one",
            Self::Expired => "the token has expired",
            Self::Orphan => "the token's user is gone",
        }
    }
}

/// What the bearer of `token` may do; `owner` is its user as the record has him. Pure.
pub(crate) fn judge(
    token: &str,
    value: Option<&TokenValue>,
    owner: Option<&UserValue>,
    now: u64,
) -> Result<(Role, Vec<String>), Bad> {
    let value = value.ok_or(Bad::Unknown)?;
    if sha256_hex(token.as_bytes()) != value.sha256 {
        return Err(Bad::Forged);
    }
    if now >= value.expires {
        return Err(Bad::Expired);
    }
    let most = match owner {
        _ if value.user_id.is_empty() => Role::Admin,
        Some(owner) if owner.id == value.user_id => owner.role,
        _ => return Err(Bad::Orphan),
    };
    Ok((value.role.min(most), value.scopes.clone()))
}

/// What may be shown.
fn wire(value: &TokenValue) -> Token {
    Token {
        id: value.id.clone(),
        name: value.name.clone(),
        user: value.user.clone(),
        role: value.role,
        scopes: value.scopes.clone(),
        created_at: value.created_at,
        expires: value.expires,
    }
}

/// Whether `asker` may see and end a token: his own; as a token that is no admin's, itself only.
fn sees(asker: &Identity, value: &TokenValue) -> bool {
    let itself = asker.token().is_none_or(|id| id == value.id);
    asker.role == Role::Admin || (asker.name() == value.user && itself)
}

/// Those that `asker` may see.
///
/// # Errors
/// [`AccessError`].
pub(crate) async fn list(record: &Record, asker: &Identity) -> Result<Vec<Token>, AccessError> {
    let tokens = record.list::<TokenValue>(keys::TOKENS).await?;
    Ok(tokens.iter().map(|t| &t.value).filter(|value| sees(asker, value)).map(wire).collect())
}

/// One of them.
///
/// # Errors
/// [`AccessError`].
pub(crate) async fn get(record: &Record, asker: &Identity, id: &str) -> Result<Token, AccessError> {
    find(record, asker, id).await.map(|found| wire(&found.value))
}

async fn find(record: &Record, asker: &Identity, id: &str) -> Result<Versioned<TokenValue>, AccessError> {
    let none = || AccessError::NoToken(id.chars().filter(|c| !c.is_control()).take(ID).collect());
    if !is_id(id) {
        return Err(none()); // never let what a stranger sent into a key
    }
    let found = record.get::<TokenValue>(&under(keys::TOKENS, id)).await?;
    found.filter(|found| sees(asker, &found.value)).ok_or_else(none)
}

/// Makes a token for `asker`. `groups` are the scopes that there are.
///
/// # Errors
/// [`AccessError`].
pub(crate) async fn create(
    record: &Record,
    asker: &Identity,
    wish: &NewToken,
    groups: &BTreeSet<&str>,
    now: u64,
) -> Result<MadeToken, AccessError> {
    let mut secret = [0; 32];
    getrandom::fill(&mut secret)
        .map_err(|e| AccessError::Internal(format!("the kernel gave no random numbers: {e}")))?;
    let id = random_hex::<6>()?;
    let token = format!("mk_{id}_{}", URL_SAFE_NO_PAD.encode(secret));
    let about = change(record, |moment| {
        let value = plan(&moment, asker, wish, groups, &id, &token, now)?;
        let over = moment.tokens.iter().filter(|t| t.value.user == value.user && now >= t.value.expires);
        let over: Vec<_> = over.map(|t| under(keys::TOKENS, &t.value.id)).collect();
        let change = moment.change.put(&under(keys::TOKENS, &id), &value)?;
        Ok((over.iter().fold(change, |change, key| change.delete(key)), wire(&value)))
    })
    .await?;
    Ok(MadeToken { token: token.into(), about })
}

fn plan(
    moment: &Moment,
    asker: &Identity,
    wish: &NewToken,
    groups: &BTreeSet<&str>,
    id: &str,
    token: &str,
    now: u64,
) -> Result<TokenValue, AccessError> {
    let invalid = |text: String| Err(AccessError::Invalid(text));
    let (user, user_id) = match &asker.who {
        Who::User(name) => (name.clone(), moment.user(name)?.value.id.clone()),
        Who::Builtin | Who::Root => (BUILTIN.to_owned(), String::new()),
        Who::Token { .. } | Who::Member(_) => {
            let text = "tokens are made by users: log in with a password".to_owned();
            return Err(AccessError::NotYours(text));
        }
    };
    let role = wish.role.unwrap_or(asker.role);
    if role > asker.role {
        let text = format!("role: who has the role {} makes no token for {}", asker.role.word(), role.word());
        return Err(AccessError::NotYours(text));
    }
    if wish.name.chars().count() > NAME || wish.name.contains(char::is_control) {
        return invalid(format!("name: at most {NAME} characters"));
    }
    if let Some(scope) = wish.scopes.iter().find(|scope| !groups.contains(scope.as_str())) {
        let scope: String = scope.chars().filter(|c| !c.is_control()).take(NAME).collect();
        let all: Vec<_> = groups.iter().copied().collect();
        return invalid(format!("scopes: there is no group `{scope}`; there are {}", all.join(", ")));
    }
    let days = wish.days.unwrap_or(DAYS);
    if !(1..=MOST_DAYS).contains(&days) {
        return invalid(format!("days: must be 1 to {MOST_DAYS}"));
    }
    let lives = |t: &&Versioned<TokenValue>| t.value.user == user && now < t.value.expires;
    let his = moment.tokens.iter().filter(lives).count();
    if his >= MOST || moment.tokens.len() >= IN_ALL {
        return Err(AccessError::Full(format!("{MOST} tokens of one user, or {IN_ALL} in all,")));
    }
    let scopes: BTreeSet<_> = wish.scopes.iter().cloned().collect();
    Ok(TokenValue {
        id: id.to_owned(),
        name: wish.name.clone(),
        user,
        user_id,
        role,
        scopes: scopes.into_iter().collect(),
        sha256: sha256_hex(token.as_bytes()),
        created_at: now,
        expires: now.saturating_add(u64::from(days) * 24 * 3600),
    })
}

/// Ends a token.
///
/// # Errors
/// [`AccessError`].
pub(crate) async fn delete(record: &Record, asker: &Identity, id: &str) -> Result<(), AccessError> {
    let found = find(record, asker, id).await?;
    change(record, |moment| {
        if !moment.tokens.iter().any(|token| token.value.id == found.value.id) {
            return Err(AccessError::NoToken(found.value.id.clone()));
        }
        Ok((moment.change.delete(&under(keys::TOKENS, &found.value.id)), ()))
    })
    .await
}
