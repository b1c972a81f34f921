//! A person's word about a machine: yes on some terms, or no.

use maekin_api::install::{Deny, Install, Progress, SeenMachine, Terms, What};

use super::cache::Snapshot;
use super::decide::{Fit, name_for, ticket_of};
use super::identity::member_of;
use super::inventory::{as_machine, find, seen};
use super::store::{cut, drop_ticket, install, ticket};
use super::ticket::Grant;
use super::{InstallError, TRIES, invites, terms};
use crate::record::keys::{self, under};
use crate::record::values::{DeniedValue, MachineValue};
use crate::record::{Change, Record};

/// Longest reason of a no, characters.
const REASON: usize = 200;

/// Lets the machine in that `name` (its code or hardware address) means. A ticket that it has is replaced: this is how
/// one is cut anew.
///
/// # Errors
/// [`InstallError`]: the terms are no good, there is no such machine, it is a member, or its name is taken.
pub(crate) async fn approve(
    record: &Record,
    name: &str,
    terms: &Terms,
    by: &str,
    now: u64,
) -> Result<Install, InstallError> {
    let problems = terms::problems(terms);
    if !problems.is_empty() {
        return Err(InstallError::Invalid(problems.join("\n")));
    }
    for _ in 0..TRIES {
        let found = find(record, name).await?;
        let machine = as_machine(&found.value);
        let known = Snapshot::read(record).await?;
        if let Some(member) = member_of(&machine, known.known().members) {
            let name = &member.name;
            return Err(InstallError::Invalid(format!(
                "this machine is the member {name}; to install it anew, switch it off and say `maekin-agent \
                 reinstall {name}`"
            )));
        }
        // A ticket that is replaced gives its name back.
        let own = ticket_of(&machine, known.known().tickets).filter(|(_, fit)| *fit == Fit::Own);
        let mut names = known.known().names(now);
        if let Some((old, _)) = own {
            names.remove(old.hostname.as_str());
        }
        let hostname = name_for(&terms.hostname, &machine, &found.value, &names)
            .map_err(|why| InstallError::Invalid(format!("hostname: {why}")))?;
        let key = under(keys::MACHINES, &found.value.mac);
        let told = MachineValue { denied: None, ..found.value.clone() };
        let change = Change::default().if_unchanged(&key, found.revision).put(&key, &told)?;
        let grant = Grant { by, terms, replaces: None };
        let (change, name) = cut(change, &known, &machine, &told, hostname, grant, now)?;
        if record.commit(change).await? {
            let value = ticket(record, &name).await?.value;
            tracing::info!(mac = value.mac, name = value.hostname, by, "a machine is let in");
            return Ok(install(value, now));
        }
    }
    Err(InstallError::Contended)
}

/// Tells the machine that `name` means no, and takes back a ticket that it has not used.
///
/// # Errors
/// [`InstallError`].
pub(crate) async fn deny(
    record: &Record,
    name: &str,
    deny: &Deny,
    by: &str,
    now: u64,
) -> Result<SeenMachine, InstallError> {
    let reason: String = deny.reason.chars().filter(|c| !c.is_control()).take(REASON).collect();
    let until = if deny.minutes == 0 { 0 } else { now + u64::from(deny.minutes) * 60 };
    for _ in 0..TRIES {
        let found = find(record, name).await?;
        let machine = as_machine(&found.value);
        let known = Snapshot::read(record).await?;
        let denied = DeniedValue { by: by.to_owned(), reason: reason.clone(), at: now, until };
        let key = under(keys::MACHINES, &found.value.mac);
        let value = MachineValue { denied: Some(denied), ..found.value };
        let mut change = Change::default().if_unchanged(&key, found.revision).put(&key, &value)?;
        let live = |(t, fit): &(&_, Fit)| *fit == Fit::Own && !crate::record::values::TicketValue::retired(t);
        if let Some((old, _)) = ticket_of(&machine, known.known().tickets).filter(live)
            && let Some(old) = known.ticket(&old.ticket)
        {
            let key = under(keys::TICKETS, &old.value.ticket);
            let mut back = old.value.clone();
            if let Some(secret) = back.secret.take() {
                change = change.delete(&invites::key(&secret));
            }
            (back.progress, back.updated_at) = (Progress::Denied, now);
            back.tell(now, What::Denied, &format!("{by}: {reason}"));
            change = change.if_unchanged(&key, old.revision).put(&key, &back)?;
        }
        // Tickets that were taken back before say nothing that this one does not.
        let stale = |t: &&crate::record::Versioned<crate::record::values::TicketValue>| {
            t.value.progress == Progress::Denied && t.value.mac == machine.mac
        };
        for old in known.tickets.iter().filter(stale) {
            change = drop_ticket(change, old);
        }
        if record.commit(change).await? {
            tracing::info!(mac = value.mac, by, reason, "a machine is told no");
            return Ok(seen(value, &Snapshot::read(record).await?, now));
        }
    }
    Err(InstallError::Contended)
}
