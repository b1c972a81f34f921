//! The machines that asked to boot, and what they told: as many as there is room for, and no more a minute than the
//! record can bear, whoever they are.

use std::net::Ipv4Addr;
use std::sync::{Mutex, PoisonError};

use maekin_api::boot::{Inventory, Machine};
use maekin_api::install::{MachineDetail, SeenMachine, Standing};
use maekin_api::machine::code;
use maekin_image::manifest::sha256_hex;

use super::cache::Snapshot;
use super::decide::{Plan, Say, plan_boot, ticket_of};
use super::list::plain_mac;
use super::{InstallError, TRIES, terms};
use crate::record::keys::{self, under};
use crate::record::values::{FactsValue, MachineValue};
use crate::record::{Change, Record, Versioned};

/// How often a machine's last sign is written down, seconds: one that waits asks every few.
const NOTE_EVERY: u64 = 30;
/// Most machines that are remembered; of those that were not let in, the ones seen longest ago go.
pub(crate) const MOST: usize = 1000;
/// How many go at once, so that a flood does not have all of them read for each stranger; etcd takes 128 changes at once,
/// and each is two.
const GO: usize = 50;
/// Longest facts that are kept whole, bytes.
const WHOLE: usize = 128 << 10;
/// Bytes of facts that are taken at once, and in a second on average: a rack that is switched on, but no flood.
const BURST: u64 = 32 << 20;
const RATE: u64 = 64 << 10;

/// How much may be written.
#[derive(Debug)]
pub(crate) struct Budget(Mutex<(u64, u64)>);

impl Default for Budget {
    fn default() -> Self {
        Self(Mutex::new((BURST, 0)))
    }
}

impl Budget {
    /// Takes `bytes` from it; false when there is not so much.
    fn take(&self, bytes: u64, now: u64) -> bool {
        let mut state = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let (left, at) = *state;
        let left = left.saturating_add(now.saturating_sub(at).saturating_mul(RATE)).min(BURST);
        let enough = left >= bytes;
        *state = (if enough { left - bytes } else { left }, now.max(at));
        enough
    }
}

/// Writes down that `machine` asked; returns what is known of it.
///
/// # Errors
/// [`InstallError`].
pub(crate) async fn note(record: &Record, machine: &Machine, now: u64) -> Result<MachineValue, InstallError> {
    let key = under(keys::MACHINES, &machine.mac);
    let old = record.get::<MachineValue>(&key).await?;
    let news = |old: &MachineValue| machine.uuid.is_some() && old.uuid != machine.uuid;
    if let Some(old) = &old
        && !news(&old.value)
        && now.saturating_sub(old.value.last_seen) < NOTE_EVERY
    {
        return Ok(old.value.clone());
    }
    let revision = old.as_ref().map_or(0, |old| old.revision);
    let before = old.map(|old| old.value);
    if before.is_none() {
        make_room(record, now).await?;
    }
    let value = MachineValue {
        mac: machine.mac.clone(),
        uuid: machine.uuid.clone().or_else(|| before.as_ref().and_then(|b| b.uuid.clone())),
        arch: machine.arch,
        first_seen: before.as_ref().map_or(now, |b| b.first_seen),
        last_seen: now,
        ..before.unwrap_or_default()
    };
    let change = Change::default().if_unchanged(&key, revision).put(&key, &value)?;
    record.commit(change).await?; // another master that noted it in this moment knows as much as we do
    Ok(value)
}

/// Forgets machines, where there is no room for another one.
async fn make_room(record: &Record, now: u64) -> Result<(), InstallError> {
    if record.names(keys::MACHINES).await?.len() < MOST {
        return Ok(());
    }
    let machines = record.list::<MachineValue>(keys::MACHINES).await?;
    let known = Snapshot::read(record).await?;
    let mut change = Change::default();
    for old in plan_room(&machines, &known, now) {
        let key = under(keys::MACHINES, &old.value.mac);
        change =
            change.if_unchanged(&key, old.revision).delete(&key).delete(&under(keys::FACTS, &old.value.mac));
    }
    tracing::warn!("more than {MOST} machines asked to boot; those seen longest ago are forgotten");
    record.commit(change).await?; // where they changed in this moment, the next one makes room
    Ok(())
}

/// Which machines are forgotten: strangers first, then those that were told no, never those with a ticket.
fn plan_room<'a>(
    machines: &'a [Versioned<MachineValue>],
    known: &Snapshot,
    now: u64,
) -> Vec<&'a Versioned<MachineValue>> {
    let tickets: Vec<_> = known.tickets.iter().map(|t| t.value.clone()).collect();
    let stranger = |m: &&Versioned<MachineValue>| ticket_of(&as_machine(&m.value), &tickets).is_none();
    let mut go: Vec<_> = machines.iter().filter(stranger).collect();
    go.sort_by_key(|m| (m.value.denied(now).is_some(), m.value.last_seen));
    go.truncate((machines.len() + GO).saturating_sub(MOST).min(GO));
    go
}

/// Takes what a machine told of itself.
///
/// # Errors
/// [`InstallError::Unfit`] for what are no facts, [`InstallError::Flooded`] when too much is told.
pub(crate) async fn take(
    record: &Record,
    budget: &Budget,
    told: &Inventory,
    now: u64,
) -> Result<(), InstallError> {
    let inventory = maekin_api::machine::Inventory::parse(&told.facts).map_err(InstallError::Unfit)?;
    let text = told.facts.to_string();
    let sha256 = sha256_hex(text.as_bytes());
    let key = under(keys::MACHINES, &told.machine.mac);
    let mut paid = false;
    for _ in 0..TRIES {
        note(record, &told.machine, now).await?;
        let Some(old) = record.get::<MachineValue>(&key).await? else { continue };
        if old.value.sha256 == sha256 {
            return Ok(());
        }
        if !paid && !budget.take(text.len().min(WHOLE) as u64, now) {
            return Err(InstallError::Flooded);
        }
        paid = true;
        let facts = match text.len() {
            0..=WHOLE => told.facts.clone(),
            size => serde_json::json!({ "left_out": format!("{size} bytes are more than the record takes") }),
        };
        let value = MachineValue {
            inventory: Some(inventory.clone()),
            told_at: now,
            sha256: sha256.clone(),
            ..old.value
        };
        let change = Change::default()
            .if_unchanged(&key, old.revision)
            .put(&key, &value)?
            .put(&under(keys::FACTS, &told.machine.mac), &FactsValue { facts })?;
        if record.commit(change).await? {
            tracing::info!(mac = told.machine.mac, "a machine told what it is");
            return Ok(());
        }
    }
    Err(InstallError::Contended)
}

/// The machines that asked to boot, those that wait first.
///
/// # Errors
/// [`InstallError`].
pub(crate) async fn machines(record: &Record, now: u64) -> Result<Vec<SeenMachine>, InstallError> {
    let known = Snapshot::read(record).await?;
    let values = record.list::<MachineValue>(keys::MACHINES).await?;
    let mut machines: Vec<_> = values.into_iter().map(|m| seen(m.value, &known, now)).collect();
    machines.sort_by_key(|m| (!matches!(m.standing, Standing::Waiting { .. }), m.first_seen));
    Ok(machines)
}

/// A machine as it is shown.
pub(crate) fn seen(m: MachineValue, known: &Snapshot, now: u64) -> SeenMachine {
    let machine = as_machine(&m);
    let later = "it is let in as soon as it asks again";
    let standing = match plan_boot(&machine, &m, &known.known(), now) {
        Plan::Again { ticket } => Standing::Approved { ticket },
        Plan::LetIn { .. } | Plan::Reinstall { .. } => Standing::Waiting { reason: later.to_owned() },
        Plan::Say(Say::Local) => Standing::Installed { hostname: known.host_name(&machine) },
        Plan::Say(Say::Wait(reason) | Say::Idle(reason)) => Standing::Waiting { reason },
        Plan::Say(Say::Denied(reason)) => Standing::Denied { reason },
        Plan::Say(Say::Expired(reason)) => Standing::Expired { reason },
    };
    SeenMachine {
        code: code(&m.mac, m.uuid.as_deref()),
        mac: m.mac,
        uuid: m.uuid,
        arch: m.arch,
        first_seen: m.first_seen,
        last_seen: m.last_seen,
        standing,
        inventory: m.inventory,
    }
}

/// The machine as if it asked now, from nowhere.
pub(crate) fn as_machine(m: &MachineValue) -> Machine {
    Machine {
        mac: m.mac.clone(),
        uuid: m.uuid.clone(),
        arch: m.arch,
        address: None,
        server: Ipv4Addr::UNSPECIFIED,
    }
}

/// The machine that a person means: by its hardware address, or by the code on its screen.
///
/// # Errors
/// [`InstallError::NoMachine`], or [`InstallError::Invalid`] where several have that code.
pub(crate) async fn find(record: &Record, name: &str) -> Result<Versioned<MachineValue>, InstallError> {
    let none = || InstallError::NoMachine(terms::shown(name));
    let mac = plain_mac(name);
    if maekin_rootfs::validate::is_mac(&mac) {
        return record.get(&under(keys::MACHINES, &mac)).await?.ok_or_else(none);
    }
    let wanted: String = name.chars().filter(char::is_ascii_digit).collect();
    if wanted.len() != 6 || name.len() > 16 {
        return Err(none());
    }
    let digits = |m: &MachineValue| code(&m.mac, m.uuid.as_deref()).replace('-', "");
    let all = record.list::<MachineValue>(keys::MACHINES).await?;
    let mut found: Vec<_> = all.into_iter().filter(|m| digits(&m.value) == wanted).collect();
    match found.len() {
        0 => Err(none()),
        1 => Ok(found.remove(0)),
        _ => {
            let macs: Vec<_> = found.iter().map(|m| m.value.mac.as_str()).collect();
            let macs = macs.join(", ");
            Err(InstallError::Invalid(format!("{macs} have this code; name one of them by its address")))
        }
    }
}

/// One machine with its facts.
///
/// # Errors
/// As [`find`].
pub(crate) async fn detail(record: &Record, name: &str, now: u64) -> Result<MachineDetail, InstallError> {
    let found = find(record, name).await?;
    let facts = record.get::<FactsValue>(&under(keys::FACTS, &found.value.mac)).await?;
    let known = Snapshot::read(record).await?;
    Ok(MachineDetail {
        machine: seen(found.value, &known, now),
        facts: facts.map(|facts| facts.value.facts).unwrap_or_default(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tickets_facts_are_taken_from_a_rack_but_not_from_a_flood() {
        let budget = Budget::default();
        let usual = 20 << 10;
        assert!((0..1000).all(|_| budget.take(usual, 1000)), "a thousand machines at once");
        let taken = (0..10_000).filter(|_| budget.take(WHOLE as u64, 1000)).count();
        assert!(taken < 150, "{taken}");
        assert!(!budget.take(WHOLE as u64, 1000) && budget.take(WHOLE as u64, 1002), "two seconds later");
        assert!(!budget.take(1 << 20, 500), "a clock that goes back gives nothing");
    }
}
