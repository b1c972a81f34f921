//! A ticket's life: cut, bound to the machine that came with it, moved on by reports. Pure.

use maekin_api::boot::{Machine, Report};
use maekin_api::install::{Progress, Terms, What};
use maekin_api::machine::{Identity, canonical_uuid};

use super::{InstallError, TICKET_VALIDITY};
use crate::record::values::{MachineValue, TicketValue};

/// Most differences that are told.
const DIFFERENCES: usize = 8;

/// Who lets a machine in, and how.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Grant<'a> {
    /// In words.
    pub(crate) by: &'a str,
    /// On what terms.
    pub(crate) terms: &'a Terms,
    /// The member whose place it takes.
    pub(crate) replaces: Option<&'a str>,
}

/// A new ticket for `machine`, bound to all that is known of it.
pub(crate) fn cut(
    names: (String, String),
    machine: &Machine,
    told: &MachineValue,
    hostname: String,
    grant: Grant<'_>,
    now: u64,
) -> TicketValue {
    let (ticket, secret) = names;
    let minutes = u64::from(grant.terms.minutes);
    let validity = if minutes == 0 { TICKET_VALIDITY } else { minutes * 60 };
    // A member is installed anew because something in it was replaced: what it told in its earlier life is no measure. Such a
    // ticket is bound to what the machine is when it comes.
    let inventory = told.inventory.as_ref().filter(|_| grant.replaces.is_none());
    let mut value = TicketValue {
        ticket,
        hostname,
        mac: machine.mac.clone(),
        uuid: machine.uuid.clone().or_else(|| told.uuid.clone()),
        address: machine.address,
        secret: Some(secret),
        progress: Progress::Booting,
        created_at: now,
        updated_at: now,
        replaces: grant.replaces.map(str::to_owned),
        expires: now + validity,
        by: grant.by.to_owned(),
        identity: inventory.map(|i| i.identity()),
        roles: grant.terms.roles.clone(),
        disks: grant.terms.disks.clone(),
        ..TicketValue::default()
    };
    if told.first_seen != 0 {
        value.tell(told.first_seen, What::Seen, "");
    }
    if inventory.is_some() {
        value.tell(told.told_at, What::Waiting, "");
    }
    value.tell(now, What::Approved, grant.by);
    value
}

/// The ticket as it is held by a machine that says what it is: bound to that, or a refusal. `None`: nothing changes.
///
/// # Errors
/// [`InstallError::Over`], or [`InstallError::Unfit`] with what differs.
pub(crate) fn plan_bind(
    old: &TicketValue,
    machine: &Machine,
    identity: &Identity,
    now: u64,
) -> Result<Option<TicketValue>, InstallError> {
    if !old.lives(now) {
        return Err(InstallError::Over(old.ticket.clone()));
    }
    if let Some(own) = &old.identity {
        let mut differences = own.differences(identity);
        if differences.is_empty() {
            return Ok(None);
        }
        differences.truncate(DIFFERENCES);
        let what = differences.join("; ");
        return Err(InstallError::Unfit(format!(
            "it is not the machine that {} was let in for: {what}; if that is meant, let it in anew",
            old.hostname
        )));
    }
    if machine.mac != old.mac && !identity.macs.contains(&old.mac) {
        let mac = &old.mac;
        return Err(InstallError::Unfit(format!("it has no network port {mac}, for which it was let in")));
    }
    let boards = (old.uuid.as_deref().and_then(canonical_uuid), canonical_uuid(&identity.uuid));
    if let (Some(one), Some(other)) = boards
        && one != other
    {
        let was = old.uuid.as_deref().unwrap_or_default();
        return Err(InstallError::Unfit(format!("its UUID is {} instead of {was}", identity.uuid)));
    }
    let mut value = TicketValue { identity: Some(identity.clone()), updated_at: now, ..old.clone() };
    let (ports, drives) = (identity.macs.len(), identity.serials.len());
    value.tell(now, What::Bound, &format!("{ports} network ports, {drives} drives"));
    Ok(Some(value))
}

/// What a report makes of a ticket; `None` when nothing changes. Receipts are kept elsewhere.
///
/// # Errors
/// [`InstallError::Over`] for one whose installation is over or was taken back, [`InstallError::Unfit`] for a success
/// of a machine that never began.
pub(crate) fn plan_report(
    old: TicketValue,
    report: &Report,
    now: u64,
) -> Result<Option<TicketValue>, InstallError> {
    let short = |text: &str| text.chars().filter(|c| !c.is_control()).take(300).collect::<String>();
    let (over, taken_back) = (old.retired(), old.progress == Progress::Denied);
    let mut value = TicketValue { updated_at: now, ..old.clone() };
    match report {
        Report::Done { .. } if over => return Ok(None), // told twice
        _ if over || taken_back => return Err(InstallError::Over(old.ticket)),
        Report::Progress { step, percent } => {
            let step = short(step);
            let same = matches!(&old.progress, Progress::Installing { step: was, .. } if *was == step);
            value.progress = Progress::Installing { step: step.clone(), percent: (*percent).min(100) };
            if value.progress == old.progress {
                return Ok(None);
            }
            if !same {
                value.tell(now, What::Step, &step);
            }
        }
        Report::Done { .. } if old.identity.is_none() && old.expires != 0 => {
            return Err(InstallError::Unfit("its machine has never fetched its answers".to_owned()));
        }
        Report::Done { .. } => {
            value.progress = Progress::Installed;
            value.tell(now, What::Reported, "");
            value.tell(now, What::Retired, "it boots from its disk");
        }
        Report::Failed { reason } => {
            let reason = short(reason);
            value.tell(now, What::Failed, &reason);
            value.progress = Progress::Failed { reason };
        }
    }
    Ok(Some(value))
}

#[cfg(test)]
mod tests;
