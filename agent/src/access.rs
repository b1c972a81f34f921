//! Users and API tokens, in the record: what they are, how they are made and end. Each node also has the user of its
//! node file, which is not in the record and works without it.
//!
//! | module | job |
//! | --- | --- |
//! | [`users`] | users: plans (pure) and the record |
//! | [`tokens`] | API tokens: form, plans (pure) and the record |
//! | [`known`] | what was just read, for a moment |

pub(crate) mod known;
pub(crate) mod tokens;
pub(crate) mod users;

use crate::record::values::{CutValue, TokenValue, UserValue};
use crate::record::{Change, Record, RecordError, Versioned, keys};

/// How often a compare-and-swap is tried.
const TRIES: usize = 8;

/// Users or tokens could not be read or changed. No variant carries a secret.
#[derive(Debug, thiserror::Error)]
pub(crate) enum AccessError {
    /// The record.
    #[error(transparent)]
    Record(#[from] RecordError),
    /// The request itself is wrong.
    #[error("{0}")]
    Invalid(String),
    /// No such user.
    #[error("there is no user {0}; `GET /v1/users` lists those that there are")]
    NoUser(String),
    /// No such token.
    #[error("there is no token {0}; `GET /v1/tokens` lists those that there are")]
    NoToken(String),
    /// The name is taken.
    #[error("there is a user {0} already; change it with PUT, or choose another name")]
    Exists(String),
    /// Nobody would be left who may do everything.
    #[error("{0} is the last admin; make another one first, or do it as root on a node")]
    LastAdmin(String),
    /// There is no room.
    #[error("{0} are there already; delete some")]
    Full(String),
    /// It belongs to somebody else, or takes a person.
    #[error("{0}")]
    NotYours(String),
    /// Others were faster every time.
    #[error("the record changed under every one of {TRIES} tries; try again")]
    Contended,
    /// Something of ours failed.
    #[error("{0}")]
    Internal(String),
}

/// Users and tokens at one moment: what is planned on them is written only if it is still so.
struct Moment {
    change: Change,
    users: Vec<Versioned<UserValue>>,
    tokens: Vec<Versioned<TokenValue>>,
}

impl Moment {
    async fn read(record: &Record) -> Result<Self, AccessError> {
        let counter = record.get::<CutValue>(keys::ACCESS).await?;
        let (revision, count) = counter.map_or((0, 0), |found| (found.revision, found.value.count));
        // Whoever changes users or tokens after the counter was read, changes the counter.
        let users = record.list::<UserValue>(keys::USERS).await?;
        let tokens = record.list::<TokenValue>(keys::TOKENS).await?;
        let next = CutValue { count: count.wrapping_add(1) };
        let change = Change::default().if_unchanged(keys::ACCESS, revision).put(keys::ACCESS, &next)?;
        Ok(Self { change, users, tokens })
    }

    fn user(&self, name: &str) -> Result<&Versioned<UserValue>, AccessError> {
        let found = self.users.iter().find(|user| user.value.name == name);
        found.ok_or_else(|| AccessError::NoUser(name.to_owned()))
    }
}

/// Reads, plans, writes; again where somebody else was faster.
async fn change<T>(
    record: &Record,
    plan: impl Fn(Moment) -> Result<(Change, T), AccessError>,
) -> Result<T, AccessError> {
    for _ in 0..TRIES {
        let (change, outcome) = plan(Moment::read(record).await?)?;
        if record.commit(change).await? {
            return Ok(outcome);
        }
    }
    Err(AccessError::Contended)
}

/// Random bytes as hex digits.
fn random_hex<const N: usize>() -> Result<String, AccessError> {
    let mut bytes = [0_u8; N];
    getrandom::fill(&mut bytes)
        .map_err(|e| AccessError::Internal(format!("the kernel gave no random numbers: {e}")))?;
    Ok(bytes.iter().map(|byte| format!("{byte:02x}")).collect())
}

#[cfg(test)]
mod tests;
