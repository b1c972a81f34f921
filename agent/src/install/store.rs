//! Boot decisions and installations, against the record.

use maekin_api::boot::{Decision, Machine, Report};
use maekin_api::install::{Install, Progress, SeenMachine};

use super::decide::{Known, Plan, code, plan_boot, ticket_of};
use super::{InstallError, TICKET_VALIDITY, TRIES, invites};
use crate::pki::random_hex;
use crate::record::keys::{self, under};
use crate::record::values::{AgainValue, InviteValue, MachineValue, NodeValue, TicketValue, WindowValue};
use crate::record::{Change, Record, Versioned};

/// Largest receipt that is kept in the record, bytes; etcd takes 1.5 MiB a request.
const RECEIPT: usize = 512 << 10;
/// How often a waiting machine's last sign is written down, seconds: it asks every few.
const NOTE_EVERY: u64 = 30;

/// Decides what `machine` shall boot, and writes down what follows.
///
/// # Errors
/// [`InstallError`].
pub(crate) async fn decide(record: &Record, machine: &Machine, now: u64) -> Result<Decision, InstallError> {
    note(record, machine, now).await?;
    for _ in 0..TRIES {
        // The window first: whatever is read after it is at least as new, so a ticket that took a place meanwhile
        // is either seen below or has changed the window under us, and then nothing is written.
        let window = record.get::<WindowValue>(keys::WINDOW).await?;
        let tickets: Vec<_> = record.list::<TicketValue>(keys::TICKETS).await?;
        let again = record.list::<AgainValue>(keys::AGAIN).await?;
        let members: Vec<_> =
            record.list::<NodeValue>(keys::NODES).await?.into_iter().map(|n| n.value).collect();
        let known = Known {
            tickets: &tickets.iter().map(|t| t.value.clone()).collect::<Vec<_>>(),
            members: &members,
            alive: &record.names(keys::ALIVE).await?.into_iter().collect(),
            again: &again.iter().map(|a| a.value.clone()).collect::<Vec<_>>(),
            window: window.as_ref().map(|w| &w.value),
        };
        let (change, decision) = match plan_boot(machine, &known, now) {
            Plan::Say(decision) => return Ok(decision),
            Plan::Again { ticket } => {
                let Some(old) = tickets.into_iter().find(|t| t.value.ticket == ticket) else { continue };
                (resume(old, machine, now)?, Decision::Install { ticket })
            }
            Plan::Reinstall { member, hostname } => {
                let Some(wish) = again.into_iter().find(|a| a.value.id == member) else { continue };
                tracing::warn!(name = hostname, id = member, mac = machine.mac, "a member is installed anew");
                let old = ticket_of(machine, known.tickets);
                let old = old.and_then(|old| tickets.iter().find(|t| t.value.ticket == old.ticket));
                let (change, ticket) = reinstall(&wish, old, machine, hostname, now)?;
                (change, Decision::Install { ticket })
            }
            Plan::LetIn { hostname } => {
                let Some(window) = window else { continue };
                let (change, ticket) = let_in(&window, machine, hostname, now)?;
                (change, Decision::Install { ticket })
            }
        };
        if record.commit(change).await? {
            return Ok(decision);
        }
    }
    Err(InstallError::Contended)
}

/// A machine begins again with the ticket that it has: its time begins anew, and an address that changed is taken.
fn resume(old: Versioned<TicketValue>, machine: &Machine, now: u64) -> Result<Change, InstallError> {
    let key = under(keys::TICKETS, &old.value.ticket);
    let Some(secret) = old.value.secret.clone() else { return Err(InstallError::Over(old.value.ticket)) };
    let ticket = TicketValue {
        address: machine.address.or(old.value.address),
        progress: Progress::Booting,
        updated_at: now,
        ..old.value
    };
    let invite =
        InviteValue { expires: now + TICKET_VALIDITY, ticket: Some(ticket.ticket.clone()), used: None };
    // The ticket's revision guards the invite too: both change together whenever the secret is used.
    let change = Change::default().if_unchanged(&key, old.revision).put(&key, &ticket)?;
    Ok(change.put(&invites::key(&secret), &invite)?)
}

fn let_in(
    window: &Versioned<WindowValue>,
    machine: &Machine,
    hostname: String,
    now: u64,
) -> Result<(Change, String), InstallError> {
    let left = WindowValue { left: window.value.left.saturating_sub(1), ..window.value.clone() };
    let change = Change::default().if_unchanged(keys::WINDOW, window.revision).put(keys::WINDOW, &left)?;
    new_ticket(change, machine, hostname, None, now)
}

/// Gives the machine of a member that is not alive a new ticket in place of its `old` one; the wish is used up.
fn reinstall(
    wish: &Versioned<AgainValue>,
    old: Option<&Versioned<TicketValue>>,
    machine: &Machine,
    hostname: String,
    now: u64,
) -> Result<(Change, String), InstallError> {
    let member = &wish.value.id;
    let key = under(keys::AGAIN, member);
    let mut change = Change::default()
        .if_unchanged(&key, wish.revision)
        .delete(&key)
        .if_unchanged(&under(keys::ALIVE, member), 0);
    if let Some(old) = old {
        let key = under(keys::TICKETS, &old.value.ticket);
        change = change.if_unchanged(&key, old.revision).delete(&key);
        if let Some(secret) = &old.value.secret {
            change = change.delete(&invites::key(secret));
        }
    }
    new_ticket(change, machine, hostname, Some(member.clone()), now)
}

fn new_ticket(
    change: Change,
    machine: &Machine,
    hostname: String,
    replaces: Option<String>,
    now: u64,
) -> Result<(Change, String), InstallError> {
    let (ticket, secret) = (random_hex::<16>()?, random_hex::<16>()?);
    let key = under(keys::TICKETS, &ticket);
    let invite = InviteValue { expires: now + TICKET_VALIDITY, ticket: Some(ticket.clone()), used: None };
    let value = TicketValue {
        ticket: ticket.clone(),
        hostname,
        mac: machine.mac.clone(),
        uuid: machine.uuid.clone(),
        address: machine.address,
        secret: Some(secret.clone()),
        progress: Progress::Booting,
        created_at: now,
        updated_at: now,
        receipt: serde_json::Value::Null,
        replaces,
    };
    let change = change.if_unchanged(&key, 0).put(&key, &value)?.put(&invites::key(&secret), &invite)?;
    Ok((change, ticket))
}

/// Writes down that `machine` asked.
async fn note(record: &Record, machine: &Machine, now: u64) -> Result<(), InstallError> {
    let key = under(keys::MACHINES, &machine.mac);
    let old = record.get::<MachineValue>(&key).await?;
    if let Some(old) = &old
        && old.value.uuid == machine.uuid
        && now.saturating_sub(old.value.last_seen) < NOTE_EVERY
    {
        return Ok(());
    }
    let value = MachineValue {
        mac: machine.mac.clone(),
        uuid: machine.uuid.clone(),
        arch: machine.arch,
        first_seen: old.as_ref().map_or(now, |old| old.value.first_seen),
        last_seen: now,
    };
    let change = Change::default().if_unchanged(&key, old.map_or(0, |old| old.revision)).put(&key, &value)?;
    record.commit(change).await?; // another master that noted it in this moment knows as much as we do
    Ok(())
}

/// The machines that asked to boot.
///
/// # Errors
/// [`InstallError`].
pub(crate) async fn machines(record: &Record) -> Result<Vec<SeenMachine>, InstallError> {
    let values = record.list::<MachineValue>(keys::MACHINES).await?;
    let seen = |m: MachineValue| {
        let asked = Machine {
            mac: m.mac.clone(),
            uuid: m.uuid.clone(),
            arch: m.arch,
            address: None,
            server: std::net::Ipv4Addr::UNSPECIFIED,
        };
        let (first_seen, last_seen) = (m.first_seen, m.last_seen);
        SeenMachine { code: code(&asked), mac: m.mac, uuid: m.uuid, arch: m.arch, first_seen, last_seen }
    };
    Ok(values.into_iter().map(|m| seen(m.value)).collect())
}

/// The installations, newest first.
///
/// # Errors
/// [`InstallError`].
pub(crate) async fn installs(record: &Record) -> Result<Vec<Install>, InstallError> {
    let mut tickets = record.list::<TicketValue>(keys::TICKETS).await?;
    tickets.sort_by_key(|t| std::cmp::Reverse((t.value.created_at, t.value.hostname.clone())));
    let install = |t: TicketValue| Install {
        ticket: t.ticket,
        hostname: t.hostname,
        mac: t.mac,
        uuid: t.uuid,
        progress: t.progress,
        created_at: t.created_at,
        updated_at: t.updated_at,
    };
    Ok(tickets.into_iter().map(|t| install(t.value)).collect())
}

/// One installation.
///
/// # Errors
/// [`InstallError::NotFound`], or [`InstallError::Record`].
pub(crate) async fn ticket(record: &Record, name: &str) -> Result<Versioned<TicketValue>, InstallError> {
    let not_found = || InstallError::NotFound { what: "installation", name: name.to_owned() };
    if !maekin_rootfs::validate::is_hex(name, 32) {
        return Err(not_found()); // never let what a stranger sent into a key
    }
    record.get(&under(keys::TICKETS, name)).await?.ok_or_else(not_found)
}

/// Forgets an installation, and with it its secret: a machine that did not become a member may be installed again.
///
/// # Errors
/// [`InstallError`].
pub(crate) async fn forget(record: &Record, name: &str) -> Result<(), InstallError> {
    for _ in 0..TRIES {
        let old = ticket(record, name).await?;
        let key = under(keys::TICKETS, name);
        let mut change = Change::default().if_unchanged(&key, old.revision).delete(&key);
        if let Some(secret) = &old.value.secret {
            change = change.delete(&invites::key(secret));
        }
        if record.commit(change).await? {
            return Ok(());
        }
    }
    Err(InstallError::Contended)
}

/// Takes in what an installer tells.
///
/// # Errors
/// [`InstallError`]; a report about an installation that is over is [`InstallError::Over`].
pub(crate) async fn report(
    record: &Record,
    name: &str,
    report: &Report,
    now: u64,
) -> Result<(), InstallError> {
    for _ in 0..TRIES {
        let old = ticket(record, name).await?;
        let Some(value) = plan_report(old.value, report, now)? else { return Ok(()) };
        let key = under(keys::TICKETS, name);
        let change = Change::default().if_unchanged(&key, old.revision).put(&key, &value)?;
        if record.commit(change).await? {
            return Ok(());
        }
    }
    Err(InstallError::Contended)
}

/// A receipt as it is kept. One that is too long for the record is left out: the machine has its own copy, and must
/// not be installed for ever because its receipt is long.
fn bounded(receipt: &serde_json::Value) -> serde_json::Value {
    let size = receipt.to_string().len();
    if size <= RECEIPT {
        return receipt.clone();
    }
    serde_json::json!({ "left_out": format!("{size} bytes are more than the record takes; it is on the node") })
}

/// What a report makes of a ticket; `None` when nothing changes. Pure.
fn plan_report(old: TicketValue, report: &Report, now: u64) -> Result<Option<TicketValue>, InstallError> {
    let short = |text: &str| text.chars().filter(|c| !c.is_control()).take(300).collect::<String>();
    let over = old.retired();
    match report {
        Report::Done { .. } if over => Ok(None), // told twice
        _ if over => Err(InstallError::Over(old.ticket)),
        Report::Progress { step, percent } => {
            let progress = Progress::Installing { step: short(step), percent: (*percent).min(100) };
            Ok((progress != old.progress).then_some(TicketValue { progress, updated_at: now, ..old }))
        }
        Report::Done { receipt } => Ok(Some(TicketValue {
            progress: Progress::Installed,
            receipt: bounded(receipt),
            updated_at: now,
            ..old
        })),
        Report::Failed { reason } => {
            let progress = Progress::Failed { reason: short(reason) };
            Ok(Some(TicketValue { progress, updated_at: now, ..old }))
        }
    }
}

#[cfg(test)]
mod tests;
