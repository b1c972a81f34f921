//! The list of machines that are let in without asking further: which rule fits a machine; checking and keeping it.

pub(crate) mod csv;

use std::collections::BTreeSet;

use maekin_api::install::{Rule, Terms};
use maekin_api::machine::canonical_uuid;
use maekin_rootfs::validate::is_mac;

use super::terms::{problems, shown};
use super::{InstallError, TRIES};
use crate::record::keys::APPROVALS;
use crate::record::values::ApprovalsValue;
use crate::record::{Change, Expected, Record};

/// Most rules.
pub(crate) const MOST: usize = 5000;
/// Longest list, bytes of JSON; etcd takes 1.5 MiB a request.
const LONGEST: usize = 1 << 20;
/// Longest pattern of a serial number, and most `*` in it.
const PATTERN: usize = 64;
const STARS: usize = 4;

/// What rules are held against.
#[derive(Debug, Default)]
pub(crate) struct Marks<'a> {
    /// Hardware addresses of all ports that are known.
    pub(crate) macs: BTreeSet<&'a str>,
    /// UUIDs, as firmware and installer told them.
    pub(crate) uuids: Vec<&'a str>,
    /// Serial number of the machine; empty where it is not known.
    pub(crate) serial: &'a str,
}

/// The first rule that fits, with its number from 1.
pub(crate) fn find<'a>(rules: &'a [Rule], marks: &Marks<'_>) -> Option<(usize, &'a Rule)> {
    (1..).zip(rules).find(|(_, rule)| fits(rule, marks))
}

fn fits(rule: &Rule, marks: &Marks<'_>) -> bool {
    let named = !(rule.mac.is_empty() && rule.uuid.is_empty() && rule.serial.is_empty());
    let board = |uuid: &&str| canonical_uuid(uuid).is_some_and(|is| Some(is) == canonical_uuid(&rule.uuid));
    named
        && (rule.mac.is_empty() || marks.macs.contains(rule.mac.as_str()))
        && (rule.uuid.is_empty() || marks.uuids.iter().any(board))
        && (rule.serial.is_empty() || (!marks.serial.is_empty() && glob(&rule.serial, marks.serial)))
}

/// Whether `text` is as `pattern` says; `*` stands for any characters, upper and lower case are the same.
fn glob(pattern: &str, text: &str) -> bool {
    let (pattern, text) = (pattern.to_lowercase(), text.to_lowercase());
    let mut parts = pattern.split('*');
    let first = parts.next().unwrap_or_default();
    let Some(mut rest) = text.strip_prefix(first) else { return false };
    let mut parts: Vec<&str> = parts.collect();
    let Some(last) = parts.pop() else { return rest.is_empty() };
    for part in parts {
        match rest.split_once(part) {
            Some((_, behind)) => rest = behind,
            None => return false,
        }
    }
    rest.ends_with(last)
}

/// The rule in the form that it is kept in; what is wrong with it.
pub(crate) fn checked(rule: &Rule) -> Result<Rule, Vec<String>> {
    let mut found = Vec::new();
    let mac = plain_mac(&rule.mac);
    if !rule.mac.is_empty() && !is_mac(&mac) {
        found.push(format!(
            "mac: `{}` is no hardware address; write it like aa:bb:cc:dd:ee:ff",
            shown(&rule.mac)
        ));
    }
    let uuid = rule.uuid.trim().to_lowercase();
    if !uuid.is_empty() && canonical_uuid(&uuid).is_none() {
        found.push(format!("uuid: `{}` is no UUID that names one machine", shown(&rule.uuid)));
    }
    let serial = rule.serial.trim().to_owned();
    if serial.len() > PATTERN || serial.matches('*').count() > STARS || serial.contains(char::is_control) {
        found.push(format!("serial: at most {PATTERN} characters, {STARS} of them *"));
    }
    if !serial.is_empty() && serial.bytes().all(|b| b == b'*') {
        found.push("serial: fits every machine; open the install window for that".to_owned());
    }
    if rule.mac.trim().is_empty() && uuid.is_empty() && serial.is_empty() {
        found.push("names no machine: give mac, uuid or serial".to_owned());
    }
    let rule = Rule { mac, uuid, serial, ..rule.clone() };
    found.extend(problems(&terms_of(&rule)));
    if found.is_empty() { Ok(rule) } else { Err(found) }
}

/// Any of the ways that hardware addresses are written in, as `aa:bb:cc:dd:ee:ff`.
pub(crate) fn plain_mac(text: &str) -> String {
    let digits: String = text.trim().chars().filter(|c| !":-.".contains(*c)).collect();
    if digits.len() != 12 || !digits.bytes().all(|b| b.is_ascii_hexdigit()) {
        return text.trim().to_lowercase();
    }
    let pairs: Vec<&str> = (0..6).filter_map(|i| digits.get(2 * i..2 * i + 2)).collect();
    pairs.join(":").to_lowercase()
}

/// The terms of a rule.
pub(crate) fn terms_of(rule: &Rule) -> Terms {
    let Rule { hostname, roles, disks, .. } = rule.clone();
    Terms { hostname, roles, disks, minutes: 0 }
}

/// The list with the revision that it is of; 0 while there is none.
///
/// # Errors
/// [`InstallError::Record`].
pub(crate) async fn read(record: &Record) -> Result<(Vec<Rule>, i64), InstallError> {
    let value = record.get::<ApprovalsValue>(APPROVALS).await?;
    Ok(value.map(|value| (value.value.rules, value.revision)).unwrap_or_default())
}

/// Puts another list in the place of the `expected` one; all of it or nothing.
///
/// # Errors
/// [`InstallError::Invalid`] with a line for each thing that is wrong.
pub(crate) async fn set(
    record: &Record,
    rules: &[Rule],
    expected: &Expected,
) -> Result<Vec<Rule>, InstallError> {
    let rules = check_all(rules, |i| format!("rule {i}"))?;
    let value = ApprovalsValue { rules };
    for _ in 0..TRIES {
        let old = record.get::<ApprovalsValue>(APPROVALS).await?.map_or(0, |old| old.revision);
        expected.check(old)?;
        let change = Change::default().if_unchanged(APPROVALS, old).put(APPROVALS, &value)?;
        if record.commit(change).await? {
            return Ok(value.rules);
        }
    }
    Err(InstallError::Contended)
}

/// Checks a whole list; `place` names the rule of a number from 1.
pub(crate) fn check_all(rules: &[Rule], place: impl Fn(usize) -> String) -> Result<Vec<Rule>, InstallError> {
    if rules.len() > MOST {
        return Err(InstallError::Invalid(format!("{} rules are more than {MOST}", rules.len())));
    }
    let (mut good, mut bad) = (Vec::new(), Vec::new());
    for (i, rule) in (1..).zip(rules) {
        match checked(rule) {
            Ok(rule) => good.push(rule),
            Err(problems) => bad.extend(problems.into_iter().map(|text| format!("{}: {text}", place(i)))),
        }
    }
    if !bad.is_empty() {
        let more = bad.len().saturating_sub(50);
        bad.truncate(50);
        if more > 0 {
            bad.push(format!("and {more} more"));
        }
        return Err(InstallError::Invalid(bad.join("\n")));
    }
    let size: usize = good.iter().map(|rule| 200 + rule.hostname.len() + rule.serial.len()).sum();
    if size > LONGEST * 2 {
        return Err(InstallError::Invalid(format!("the list is longer than {LONGEST} bytes")));
    }
    Ok(good)
}

#[cfg(test)]
mod tests;
