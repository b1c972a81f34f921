//! Join tokens in the record: made, listed, used (counted by compare-and-swap), taken back.

mod plan;

use maekin_api::join::JoinRequest;
use maekin_api::trust::token::{MOST_MASTERS, Token};
use maekin_api::trust::{
    LONGEST_NOTE, MOST_MINUTES, MOST_USES, MadeToken, NewToken, TokenInfo, TokenProof, TokenUse,
};

use super::proof;
use super::values::{TokenValue, UseValue};
use crate::install::admit::{Admission, Refusal};
use crate::install::answer::Masters;
use crate::install::invites::{self, Admitted};
use crate::install::{InstallError, TRIES};
use crate::pki::ca::Ca;
use crate::pki::random_hex;
use crate::record::keys::{self, under};
use crate::record::values::NodeValue;
use crate::record::{Change, Record, RecordError};

/// Most tokens that are kept.
const MOST: usize = 200;
/// How long one that lets nobody in any more is still shown, seconds: a week.
const SHOWN: u64 = 7 * 24 * 3600;

/// Checks what is asked for. Pure.
///
/// # Errors
/// [`InstallError::Invalid`] naming the field and its bounds.
fn check(new: &NewToken) -> Result<u16, InstallError> {
    if !(1..=MOST_USES).contains(&new.uses) {
        return Err(InstallError::Invalid(format!("uses: {} is not within 1 to {MOST_USES}", new.uses)));
    }
    if new.note.chars().count() > LONGEST_NOTE || new.note.chars().any(char::is_control) {
        let rule = format!("note: at most {LONGEST_NOTE} characters, all of them printable");
        return Err(InstallError::Invalid(rule));
    }
    let minutes =
        (1..=MOST_MINUTES).contains(&new.minutes).then(|| u16::try_from(new.minutes).ok()).flatten();
    let wrong =
        || InstallError::Invalid(format!("minutes: {} is not within 1 to {MOST_MINUTES}", new.minutes));
    minutes.ok_or_else(wrong)
}

/// Makes a token.
///
/// # Errors
/// [`InstallError`].
pub(crate) async fn create(
    record: &Record,
    new: &NewToken,
    masters: &Masters,
    by: &str,
    now: u64,
) -> Result<MadeToken, InstallError> {
    let minutes = check(new)?;
    clean(record, now).await?;
    let mut secret = [0; 16];
    getrandom::fill(&mut secret).map_err(crate::pki::PkiError::Random)?;
    let addresses = masters.urls.iter().filter_map(|url| url.strip_prefix("https://")?.parse().ok());
    let token = Token {
        id: random_hex::<5>()?,
        secret,
        ca_sha256: masters.ca_sha256.clone(),
        made: u32::try_from(now).unwrap_or(u32::MAX), // until 2106
        minutes,
        masters: addresses.take(MOST_MASTERS).collect(),
    };
    let invalid = |e: maekin_api::trust::token::TokenError| InstallError::Invalid(e.to_string());
    let text = token.render().map_err(invalid)?;
    let value = TokenValue {
        id: token.id.clone(),
        proof_sha256: proof::digest(&token.id, &token.secret).unwrap_or_default(),
        note: new.note.clone(),
        by: by.to_owned(),
        created_at: now,
        expires: token.expires(),
        uses: new.uses,
        used: vec![],
    };
    let key = under(keys::JOIN_TOKENS, &value.id);
    if !record.commit(Change::default().if_unchanged(&key, 0).put(&key, &value)?).await? {
        return Err(InstallError::Contended); // its name is random: it never happens
    }
    Ok(MadeToken { token: text.into(), info: info(value, now) })
}

/// Takes out those that nobody needs to see any more, and refuses to keep too many.
async fn clean(record: &Record, now: u64) -> Result<(), InstallError> {
    let tokens = record.list::<TokenValue>(keys::JOIN_TOKENS).await?;
    let (old, kept): (Vec<_>, Vec<_>) =
        tokens.into_iter().partition(|token| now >= token.value.expires.saturating_add(SHOWN));
    for token in old {
        let key = under(keys::JOIN_TOKENS, &token.value.id);
        record.commit(Change::default().if_unchanged(&key, token.revision).delete(&key)).await?;
    }
    if kept.len() >= MOST {
        let text = format!("there are {MOST} join tokens; delete some with `maekin-agent token delete`");
        return Err(InstallError::Invalid(text));
    }
    Ok(())
}

/// All of them, the newest first.
///
/// # Errors
/// [`RecordError`].
pub(crate) async fn list(record: &Record, now: u64) -> Result<Vec<TokenInfo>, RecordError> {
    let tokens = record.list::<TokenValue>(keys::JOIN_TOKENS).await?;
    let mut tokens: Vec<_> = tokens.into_iter().map(|token| info(token.value, now)).collect();
    tokens.sort_by_key(|token| (std::cmp::Reverse(token.created_at), token.id.clone()));
    Ok(tokens)
}

/// Takes a token back. What it let in stays.
///
/// # Errors
/// [`InstallError::NotFound`] and others.
pub(crate) async fn delete(record: &Record, id: &str) -> Result<(), InstallError> {
    let missing = || InstallError::NotFound { what: "join token", name: id.chars().take(32).collect() };
    if !is_id(id) {
        return Err(missing());
    }
    let key = under(keys::JOIN_TOKENS, id);
    record.get::<TokenValue>(&key).await?.ok_or_else(missing)?;
    record.commit(Change::default().delete(&key)).await?;
    Ok(())
}

/// Lets the bearer of a token in; a node that it let in already may ask again.
///
/// # Errors
/// [`InstallError::Refused`] and others.
pub(crate) async fn admit(
    record: &Record,
    ca: &Ca,
    request: &JoinRequest,
    proof: &TokenProof,
    now: u64,
) -> Result<Admitted, InstallError> {
    let (key_info, bearer) = invites::bearer(request)?;
    if !is_id(&proof.id) {
        return Err(InstallError::Refused(Refusal::TokenUnknown));
    }
    let shown =
        proof::check(proof, request, &ca.fingerprint()?).ok_or(InstallError::Refused(Refusal::Proof))?;
    let key = under(keys::JOIN_TOKENS, &proof.id);
    for _ in 0..TRIES {
        let token = record.get::<TokenValue>(&key).await?;
        let member = record.get::<NodeValue>(&under(keys::NODES, &request.node_id)).await?;
        let member = member.as_ref().map(|m| &m.value);
        let plan = plan::plan_use(token.as_ref().map(|t| &t.value), &shown, member, &bearer, now);
        let used = match plan.map_err(InstallError::Refused)? {
            Admission::Again => return Ok(Admitted::again(key_info)),
            Admission::First(used) => used,
        };
        let Some(token) = token else { return Err(InstallError::Refused(Refusal::TokenUnknown)) };
        let mut value = token.value;
        value.used.push(UseValue { by: used, name: request.name.clone(), at: now });
        let change = Change::default().if_unchanged(&key, token.revision).put(&key, &value)?;
        let (change, replaced) = invites::take_place(record, ca, request, None, change, now).await?;
        if record.commit(change).await? {
            return Ok(Admitted { key: key_info, replaced });
        }
    }
    Err(InstallError::Contended)
}

fn is_id(text: &str) -> bool {
    maekin_rootfs::validate::is_hex(text, 10)
}

fn info(value: TokenValue, now: u64) -> TokenInfo {
    let state = value.state(now);
    let used = |u: UseValue| TokenUse { node_id: u.by.node_id, name: u.name, at: u.at };
    TokenInfo {
        id: value.id,
        note: value.note,
        by: value.by,
        created_at: value.created_at,
        expires: value.expires,
        uses: value.uses,
        used: value.used.into_iter().map(used).collect(),
        state,
    }
}

#[cfg(test)]
mod tests;
