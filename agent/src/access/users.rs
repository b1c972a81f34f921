//! Users: plans (pure) and the record.

use maekin_api::access::{NewUser, Role, SetUser, User};
use maekin_api::secret::Secret;

use super::{AccessError, Moment, change, random_hex};
use crate::record::keys::{self, under};
use crate::record::values::UserValue;
use crate::record::{Change, Expected, Record, Versioned};

/// Most users.
const MOST: usize = 500;
/// Shortest and longest password, bytes.
const SHORTEST: usize = 8;
const LONGEST: usize = 1024;
/// Longest name, bytes.
const NAME: usize = 32;
/// Names that mean somebody else.
const TAKEN: [&str; 2] = ["admin", "root"];

/// Whether `name` can be a user's. Pure.
pub(crate) fn is_name(name: &str) -> bool {
    let plain = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b"._-".contains(&b);
    (1..=NAME).contains(&name.len())
        && name.starts_with(|c: char| c.is_ascii_lowercase())
        && name.bytes().all(plain)
        && !TAKEN.contains(&name)
}

/// Whether a password is long enough. Pure.
///
/// # Errors
/// [`AccessError::Invalid`].
pub(crate) fn check_password(password: &Secret) -> Result<(), AccessError> {
    if (SHORTEST..=LONGEST).contains(&password.expose().len()) {
        return Ok(());
    }
    Err(AccessError::Invalid(format!("password: must have {SHORTEST} to {LONGEST} bytes")))
}

/// What may be shown.
pub(crate) fn wire(value: &UserValue) -> User {
    User {
        name: value.name.clone(),
        role: value.role,
        created_at: value.created_at,
        changed_at: value.changed_at,
        by: value.by.clone(),
    }
}

/// All of them.
///
/// # Errors
/// [`AccessError`].
pub(crate) async fn list(record: &Record) -> Result<Vec<User>, AccessError> {
    let users = record.list::<UserValue>(keys::USERS).await?;
    Ok(users.iter().map(|user| wire(&user.value)).collect())
}

/// One of them.
///
/// # Errors
/// [`AccessError`].
pub(crate) async fn get(record: &Record, name: &str) -> Result<Versioned<UserValue>, AccessError> {
    let none = || AccessError::NoUser(name.chars().filter(|c| !c.is_control()).take(NAME).collect());
    if !is_name(name) {
        return Err(none()); // never let what a stranger sent into a key
    }
    record.get(&under(keys::USERS, name)).await?.ok_or_else(none)
}

/// Makes a user. `hash` is that of the password.
///
/// # Errors
/// [`AccessError`].
pub(crate) async fn create(
    record: &Record,
    new: &NewUser,
    hash: &str,
    by: &str,
    now: u64,
) -> Result<User, AccessError> {
    let id = random_hex::<8>()?;
    change(record, |moment| {
        let user = plan_create(&moment, new, &id, hash, by, now)?;
        Ok((moment.change.put(&under(keys::USERS, &user.name), &user)?, wire(&user)))
    })
    .await
}

fn plan_create(
    moment: &Moment,
    new: &NewUser,
    id: &str,
    hash: &str,
    by: &str,
    now: u64,
) -> Result<UserValue, AccessError> {
    if !is_name(&new.name) {
        let text = "name: must be 1 to 32 of small letters, digits, `.`, `_` and `-`, a letter first, and not `admin` or `root`";
        return Err(AccessError::Invalid(text.to_owned()));
    }
    if moment.user(&new.name).is_ok() {
        return Err(AccessError::Exists(new.name.clone()));
    }
    if moment.users.len() >= MOST {
        return Err(AccessError::Full(format!("{MOST} users")));
    }
    Ok(UserValue {
        name: new.name.clone(),
        id: id.to_owned(),
        role: new.role,
        hash: hash.to_owned(),
        created_at: now,
        changed_at: now,
        by: by.to_owned(),
    })
}

/// Changes a user; `hash` is that of a new password. `root` may take the role from the last admin.
///
/// # Errors
/// [`AccessError`].
pub(crate) async fn set(
    record: &Record,
    name: &str,
    wish: &SetUser,
    hash: Option<&str>,
    expected: &Expected,
    root: bool,
    now: u64,
) -> Result<(), AccessError> {
    change(record, |moment| {
        let old = moment.user(name)?;
        expected.check(old.revision)?;
        let new = plan_set(&moment, &old.value, wish, hash, root, now)?;
        Ok((moment.change.put(&under(keys::USERS, name), &new)?, ()))
    })
    .await
}

fn plan_set(
    moment: &Moment,
    old: &UserValue,
    wish: &SetUser,
    hash: Option<&str>,
    root: bool,
    now: u64,
) -> Result<UserValue, AccessError> {
    if wish.name.as_ref().is_some_and(|name| *name != old.name) {
        return Err(AccessError::Invalid("name: a user keeps his name; make another one".to_owned()));
    }
    let role = wish.role.unwrap_or(old.role);
    if role != Role::Admin && !root {
        others(moment, old)?;
    }
    let hash = hash.unwrap_or(&old.hash).to_owned();
    Ok(UserValue { role, hash, changed_at: now, ..old.clone() })
}

/// Changes the password of a user to the one of `hash`, unless the user was changed meanwhile.
///
/// # Errors
/// [`AccessError`].
pub(crate) async fn set_password(
    record: &Record,
    old: &Versioned<UserValue>,
    hash: &str,
    now: u64,
) -> Result<(), AccessError> {
    let wish = SetUser::default();
    let expected = Expected::Revisions(vec![old.revision]);
    set(record, &old.value.name, &wish, Some(hash), &expected, true, now).await
}

/// Deletes a user and all his tokens. `root` may delete the last admin.
///
/// # Errors
/// [`AccessError`].
pub(crate) async fn delete(
    record: &Record,
    name: &str,
    expected: &Expected,
    root: bool,
) -> Result<(), AccessError> {
    change(record, |moment| {
        let old = moment.user(name)?;
        expected.check(old.revision)?;
        if !root {
            others(&moment, &old.value)?;
        }
        let (name, id) = (old.value.name.clone(), old.value.id.clone());
        let his = moment.tokens.iter().filter(|token| token.value.user_id == id);
        let keys: Vec<_> = his.map(|token| under(keys::TOKENS, &token.value.id)).collect();
        let change = moment.change.delete(&under(keys::USERS, &name));
        Ok((keys.iter().fold(change, |change: Change, key| change.delete(key)), ()))
    })
    .await
}

/// Whether there are other admins, where `user` is one. The users of node files do not count: a node may have none.
fn others(moment: &Moment, user: &UserValue) -> Result<(), AccessError> {
    let other = |other: &Versioned<UserValue>| other.value.role == Role::Admin && other.value.id != user.id;
    if user.role != Role::Admin || moment.users.iter().any(other) {
        return Ok(());
    }
    Err(AccessError::LastAdmin(user.name.clone()))
}
