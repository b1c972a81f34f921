//! Boot decisions and installations, against the record.

use maekin_api::boot::{Decision, Inventory, Machine, Report};
use maekin_api::install::{Install, Terms, What};
use maekin_api::machine::Verdict;

use super::cache::{Cache, Snapshot};
use super::decide::{By, Plan, plan_boot, ticket_of};
use super::ticket::{self, Grant, plan_bind, plan_report};
use super::{InstallError, TICKET_VALIDITY, TRIES, inventory, invites};
use crate::pki::random_hex;
use crate::record::keys::{self, under};
use crate::record::values::{
    AgainValue, CutValue, InviteValue, MachineValue, NodeValue, ReceiptValue, TicketValue, WindowValue,
};
use crate::record::{Change, Record, Versioned};
use crate::trust::removal::volumes_of;

/// Largest receipt that is kept in the record, bytes; etcd takes 1.5 MiB a request.
const RECEIPT: usize = 512 << 10;
/// Most tickets: of those whose machines are members the oldest go.
const MOST: usize = 2000;

/// Decides what `machine` shall boot, and writes down what follows.
///
/// # Errors
/// [`InstallError`].
pub(crate) async fn decide(record: &Record, machine: &Machine, now: u64) -> Result<Decision, InstallError> {
    let told = inventory::note(record, machine, now).await?;
    for _ in 0..TRIES {
        let known = Snapshot::read(record).await?;
        let plan = plan_boot(machine, &told, &known.known(), now);
        let Plan::Say(say) = plan else {
            match carry_out(record, machine, &told, &known, plan, now).await? {
                Some(ticket) => return Ok(Decision::Install { ticket }),
                None => continue,
            }
        };
        return Ok(say.decision(machine));
    }
    Err(InstallError::Contended)
}

/// What `machine` is told while it waits. Asked by each of them every few seconds: what does not let it in is decided
/// by what the record said a moment ago.
///
/// # Errors
/// [`InstallError`].
pub(crate) async fn verdict(
    record: &Record,
    cache: &Cache,
    machine: &Machine,
    now: u64,
) -> Result<Verdict, InstallError> {
    let told = inventory::note(record, machine, now).await?;
    let mut known = cache.get(record).await?;
    for _ in 0..TRIES {
        let plan = plan_boot(machine, &told, &known.known(), now);
        let Plan::Say(say) = plan else {
            known = Snapshot::read(record).await?.into();
            let plan = plan_boot(machine, &told, &known.known(), now);
            match carry_out(record, machine, &told, &known, plan, now).await? {
                Some(ticket) => return Ok(Verdict::Install { ticket }),
                None => continue,
            }
        };
        return Ok(say.verdict(machine, told.inventory.is_none()));
    }
    Err(InstallError::Contended)
}

/// Writes down that a machine is let in; its ticket, or `None` when the record changed meanwhile.
async fn carry_out(
    record: &Record,
    machine: &Machine,
    told: &MachineValue,
    known: &Snapshot,
    plan: Plan,
    now: u64,
) -> Result<Option<String>, InstallError> {
    let (change, name) = match plan {
        Plan::Say(_) => return Ok(None),
        Plan::Again { ticket } => {
            let Some(old) = known.ticket(&ticket) else { return Ok(None) };
            (resume(old, machine, now)?, ticket)
        }
        Plan::Reinstall { member, hostname } => {
            let Some(wish) = known.wish(&member) else { return Ok(None) };
            // A volume that was made since is not lost by a wish from before.
            if !wish.value.forced && !volumes_of(record, &member).await?.is_empty() {
                tracing::warn!(
                    name = hostname,
                    id = member,
                    "a member has volumes now, and is not installed anew"
                );
                record.commit(forget_wish(known, wish, &member)).await?;
                return Ok(None);
            }
            tracing::warn!(name = hostname, id = member, mac = machine.mac, "a member is installed anew");
            let terms = Terms::default();
            let grant =
                Grant { by: "a wish to reinstall the member", terms: &terms, replaces: Some(&member) };
            let change = forget_wish(known, wish, &member);
            cut(change, known, machine, told, hostname, grant, now)?
        }
        Plan::LetIn { hostname, by, terms } => {
            let (change, by) = match by {
                By::Window => {
                    let Some(window) = &known.window else { return Ok(None) };
                    (take_place(window)?, "the open window".to_owned())
                }
                By::List(number) => (Change::default(), format!("rule {number} of the list")),
            };
            let grant = Grant { by: &by, terms: &terms, replaces: None };
            cut(change, known, machine, told, hostname, grant, now)?
        }
    };
    Ok(record.commit(change).await?.then_some(name))
}

/// A machine begins again with the ticket that it has: an address that changed is taken.
fn resume(old: &Versioned<TicketValue>, machine: &Machine, now: u64) -> Result<Change, InstallError> {
    let key = under(keys::TICKETS, &old.value.ticket);
    let Some(secret) = old.value.secret.clone() else {
        return Err(InstallError::Over(old.value.ticket.clone()));
    };
    let mut ticket = TicketValue {
        address: machine.address.or(old.value.address),
        progress: maekin_api::install::Progress::Booting,
        updated_at: now,
        ..old.value.clone()
    };
    ticket.tell(now, What::Booting, &machine.mac);
    let invite = InviteValue {
        expires: now + TICKET_VALIDITY,
        ticket: Some(ticket.ticket.clone()),
        used: None,
        ca: String::new(),
    };
    // The ticket's revision guards the invite too: both change together whenever the secret is used.
    let change = Change::default().if_unchanged(&key, old.revision).put(&key, &ticket)?;
    Ok(change.put(&invites::key(&secret), &invite)?)
}

fn take_place(window: &Versioned<WindowValue>) -> Result<Change, InstallError> {
    let left = WindowValue { left: window.value.left.saturating_sub(1), ..window.value.clone() };
    Ok(Change::default().if_unchanged(keys::WINDOW, window.revision).put(keys::WINDOW, &left)?)
}

fn forget_wish(known: &Snapshot, wish: &Versioned<AgainValue>, member: &str) -> Change {
    let key = under(keys::AGAIN, member);
    let mut change = Change::default()
        .if_unchanged(&key, wish.revision)
        .delete(&key)
        .if_unchanged(&under(keys::ALIVE, member), 0);
    for old in known.tickets.iter().filter(|t| t.value.replaces.as_deref() == Some(member)) {
        change = drop_ticket(change, old);
    }
    change
}

/// Adds to `change` that `machine` gets a new ticket in place of those that it had; returns the ticket's name too.
pub(super) fn cut(
    mut change: Change,
    known: &Snapshot,
    machine: &Machine,
    told: &MachineValue,
    hostname: String,
    grant: Grant<'_>,
    now: u64,
) -> Result<(Change, String), InstallError> {
    let (name, secret) = (random_hex::<16>()?, random_hex::<16>()?);
    let replaced = |t: &&Versioned<TicketValue>| {
        let one = std::slice::from_ref(&t.value);
        let again = grant.replaces.is_some() && t.value.replaces.as_deref() == grant.replaces;
        let own = ticket_of(machine, one).is_some_and(|(_, fit)| fit == super::decide::Fit::Own);
        own && !again
    };
    for old in known.tickets.iter().filter(replaced).chain(surplus(known)) {
        change = drop_ticket(change, old);
    }
    let key = under(keys::TICKETS, &name);
    let mut value = ticket::cut((name.clone(), secret.clone()), machine, told, hostname, grant, now);
    if machine.server != std::net::Ipv4Addr::UNSPECIFIED {
        value.tell(now, What::Booting, &machine.mac); // it asks in this very moment
    }
    let expires = value.expires.max(now + TICKET_VALIDITY);
    let invite = InviteValue { expires, ticket: Some(name.clone()), used: None, ca: String::new() };
    let (count, revision) = known.cut();
    let count = CutValue { count: count + 1 };
    let change = change
        .if_unchanged(keys::CUT, revision)
        .put(keys::CUT, &count)?
        .if_unchanged(&key, 0)
        .put(&key, &value)?
        .put(&invites::key(&secret), &invite)?;
    Ok((change, name))
}

/// The oldest tickets of members, where there are too many.
fn surplus(known: &Snapshot) -> Vec<&Versioned<TicketValue>> {
    let joined = |t: &&Versioned<TicketValue>| {
        t.value.progress == maekin_api::install::Progress::Joined && t.value.replaces.is_none()
    };
    let mut old: Vec<_> = known.tickets.iter().filter(joined).collect();
    old.sort_by_key(|t| t.value.updated_at);
    old.truncate((known.tickets.len() + 1).saturating_sub(MOST).min(16));
    old
}

/// Adds that a ticket is no more, with its secret and its receipt.
pub(super) fn drop_ticket(change: Change, old: &Versioned<TicketValue>) -> Change {
    let key = under(keys::TICKETS, &old.value.ticket);
    let change = change
        .if_unchanged(&key, old.revision)
        .delete(&key)
        .delete(&under(keys::RECEIPTS, &old.value.ticket));
    match &old.value.secret {
        Some(secret) => change.delete(&invites::key(secret)),
        None => change,
    }
}

/// The installations, newest first.
///
/// # Errors
/// [`InstallError`].
pub(crate) async fn installs(record: &Record, now: u64) -> Result<Vec<Install>, InstallError> {
    let mut tickets = record.list::<TicketValue>(keys::TICKETS).await?;
    if tickets.iter().any(|t| !t.value.remedy.is_empty()) {
        let nodes = record.list::<NodeValue>(keys::NODES).await?;
        let nodes: Vec<_> = nodes.into_iter().map(|node| node.value).collect();
        tickets.iter_mut().for_each(|t| helped(&mut t.value, &nodes));
    }
    tickets.sort_by_key(|t| std::cmp::Reverse((t.value.created_at, t.value.hostname.clone())));
    Ok(tickets.into_iter().map(|t| install(t.value, now)).collect())
}

/// A machine that was helped on, by a token, has become a member meanwhile. Pure.
fn helped(ticket: &mut TicketValue, nodes: &[NodeValue]) {
    if nodes.iter().any(|node| node.name == ticket.hostname && node.joined_at >= ticket.updated_at) {
        ticket.remedy.clear();
    }
}

/// A ticket as it is shown. That it has expired is nobody's deed, and written nowhere.
pub(crate) fn install(mut t: TicketValue, now: u64) -> Install {
    if t.expired(now) {
        t.tell(t.expires, What::Expired, "");
    }
    Install {
        ticket: t.ticket,
        hostname: t.hostname,
        mac: t.mac,
        uuid: t.uuid,
        progress: t.progress,
        created_at: t.created_at,
        updated_at: t.updated_at,
        expires: t.expires,
        by: t.by,
        identity: t.identity,
        roles: t.roles,
        story: t.story,
        left_out: t.left_out,
        remedy: t.remedy,
    }
}

/// One installation.
///
/// # Errors
/// [`InstallError::NotFound`], or [`InstallError::Record`].
pub(crate) async fn ticket(record: &Record, name: &str) -> Result<Versioned<TicketValue>, InstallError> {
    let not_found = || InstallError::NotFound { what: "installation", name: super::terms::shown(name) };
    if !maekin_rootfs::validate::is_hex(name, 32) {
        return Err(not_found()); // never let what a stranger sent into a key
    }
    record.get(&under(keys::TICKETS, name)).await?.ok_or_else(not_found)
}

/// What its installer left; null while there is nothing.
///
/// # Errors
/// As [`ticket()`].
pub(crate) async fn receipt(record: &Record, name: &str) -> Result<serde_json::Value, InstallError> {
    let old = ticket(record, name).await?.value.receipt; // a release before this one kept it there
    let kept = record.get::<ReceiptValue>(&under(keys::RECEIPTS, name)).await?;
    Ok(kept.map_or(old, |kept| kept.value.receipt))
}

/// Holds a ticket against the machine that came with it, and binds it; the machine is about to be told to trust `ca`.
///
/// # Errors
/// [`InstallError::Unfit`] where it is another machine, or what it tells is no good; the ticket's story says so.
pub(crate) async fn bind(
    record: &Record,
    name: &str,
    told: &Inventory,
    ca: &str,
    now: u64,
) -> Result<TicketValue, InstallError> {
    let parsed = maekin_api::machine::Inventory::parse(&told.facts).map_err(InstallError::Unfit)?;
    let identity = parsed.identity();
    for _ in 0..TRIES {
        let old = ticket(record, name).await?;
        let (value, refused) = match plan_bind(&old.value, &told.machine, &identity, now) {
            Ok(None) if old.value.ca == ca => return Ok(old.value),
            Ok(bound) => {
                let value = bound.unwrap_or_else(|| old.value.clone());
                (TicketValue { ca: ca.to_owned(), ..value }, None)
            }
            Err(InstallError::Unfit(why)) => {
                tracing::warn!(
                    ticket = name,
                    mac = told.machine.mac,
                    why,
                    "a machine came with another's ticket"
                );
                let mut value = old.value.clone();
                value.tell(now, What::Refused, &format!("{}: {why}", told.machine.mac));
                (value, Some(why))
            }
            Err(e) => return Err(e),
        };
        let key = under(keys::TICKETS, name);
        let change = Change::default().if_unchanged(&key, old.revision).put(&key, &value)?;
        if record.commit(change).await? {
            return match refused {
                Some(why) => Err(InstallError::Unfit(why)),
                None => Ok(value),
            };
        }
    }
    Err(InstallError::Contended)
}

/// Forgets an installation, and with it its secret: a machine that did not become a member may be installed again.
///
/// # Errors
/// [`InstallError`].
pub(crate) async fn forget(record: &Record, name: &str) -> Result<(), InstallError> {
    for _ in 0..TRIES {
        let old = ticket(record, name).await?;
        if record.commit(drop_ticket(Change::default(), &old)).await? {
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
        let mut change = Change::default().if_unchanged(&key, old.revision).put(&key, &value)?;
        if let Report::Done { receipt } = report {
            change = change.put(&under(keys::RECEIPTS, name), &ReceiptValue { receipt: bounded(receipt) })?;
        }
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn join_a_remedy_is_told_until_the_machine_is_a_member() {
        let node = |name: &str, joined_at| NodeValue { name: name.into(), joined_at, ..NodeValue::default() };
        let rows = [
            ("nobody of that name", node("db-2", 99), "help"),
            ("the one whose machine it was", node("db-1", 9), "help"),
            ("it has joined", node("db-1", 11), ""),
        ];
        for (name, node, want) in rows {
            let mut ticket = TicketValue {
                hostname: "db-1".into(),
                remedy: "help".into(),
                updated_at: 10,
                ..TicketValue::default()
            };
            helped(&mut ticket, &[node]);
            assert_eq!(ticket.remedy, want, "{name}");
        }
    }

    #[test]
    fn tickets_a_receipt_that_is_too_long_does_not_keep_a_machine_from_being_installed() {
        let receipt = serde_json::json!({ "log": "x".repeat(2 << 20) });
        assert!(bounded(&receipt).to_string().len() < RECEIPT);
    }
}
