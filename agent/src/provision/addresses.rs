//! Which machine has which address, in the record. The install master answers a machine only after its address is here,
//! and only the leader writes: a leader that was deposed unheard changes nothing, and its successor finds everything that
//! was ever promised.

use std::collections::BTreeMap;
use std::net::Ipv4Addr;
use std::time::Instant;

use maekin_api::addresses::{AddressChange, Addresses, Held, Hold, MOST};
use maekin_rootfs::validate::is_mac;

use crate::app::App;
use crate::clock::now;
use crate::leader::Tenure;
use crate::record::keys::{self, under};
use crate::record::values::{AddressValue, TicketValue};
use crate::record::{Change, Record, RecordError};

/// Writes in one transaction; etcd takes 128 (`--max-txn-ops`).
const AT_ONCE: usize = 100;

/// Addresses were not read or written.
#[derive(Debug, thiserror::Error)]
pub(crate) enum AddressError {
    /// Only the leader does that.
    #[error("this node does not lead, or leads anew; ask again what is held")]
    NotLeading,
    /// It cannot be.
    #[error("{0}")]
    Invalid(String),
    /// The record.
    #[error(transparent)]
    Record(#[from] RecordError),
}

/// Everything that was given so far.
///
/// # Errors
/// [`AddressError`].
pub(crate) async fn load(app: &App, record: &Record) -> Result<Addresses, AddressError> {
    let tenure = tenure(app, None)?;
    let mut given = Vec::new();
    for found in record.list_keyed::<AddressValue>(keys::ADDRESSES).await? {
        let (name, value) = found;
        if let Ok(ip) = name.parse::<Ipv4Addr>() {
            given.push((ip, value));
        }
    }
    let tickets = record.list::<TicketValue>(keys::TICKETS).await?;
    let tickets: Vec<_> = tickets.into_iter().map(|t| t.value).collect();
    // We led before this was read, and lead still: nobody wrote in between.
    let same = self::tenure(app, Some(tenure.epoch))?;
    Ok(Addresses { epoch: same.epoch, held: plan_held(given, &tickets) })
}

/// What is held: a machine that has a ticket keeps its address, also when the leader died before it wrote that down.
/// Pure.
fn plan_held(given: Vec<(Ipv4Addr, AddressValue)>, tickets: &[TicketValue]) -> Vec<Held> {
    let mut held: BTreeMap<Ipv4Addr, Held> =
        given.into_iter().map(|(ip, value)| (ip, Held { ip, mac: value.mac, kept: value.kept })).collect();
    for (ip, mac) in tickets.iter().filter_map(|t| Some((t.address?, &t.mac))) {
        let entry = held.entry(ip).or_insert_with(|| Held { ip, mac: mac.clone(), kept: true });
        entry.kept |= entry.mac == *mac;
    }
    held.into_values().collect()
}

/// Writes what changed.
///
/// # Errors
/// [`AddressError`]; then any part of it may have been written.
pub(crate) async fn write(app: &App, record: &Record, change: &AddressChange) -> Result<Hold, AddressError> {
    let tenure = tenure(app, Some(change.epoch))?;
    if change.held.len() + change.freed.len() > MOST {
        return Err(AddressError::Invalid(format!("more than {MOST} addresses at once")));
    }
    for transaction in plan_write(change, now())? {
        if !record.commit(transaction).await? {
            return Err(AddressError::NotLeading);
        }
    }
    let left = self::tenure(app, Some(tenure.epoch))?.until.saturating_duration_since(Instant::now());
    Ok(Hold { for_ms: u64::try_from(left.as_millis()).unwrap_or(0) })
}

/// The transactions, each of which holds only for the leader of the change's epoch. Pure.
fn plan_write(change: &AddressChange, now: u64) -> Result<Vec<Change>, AddressError> {
    let fenced = || Change::default().if_created_at(keys::LEADER, change.epoch);
    let mut done = Vec::new();
    let mut next = fenced();
    for held in &change.held {
        // Firmware that names itself by its UUID has 16 bytes, which is_mac does not take.
        if !is_mac(&held.mac) && !is_long(&held.mac) {
            return Err(AddressError::Invalid(format!("{} is no hardware address", held.mac)));
        }
        let value = AddressValue { mac: held.mac.clone(), kept: held.kept, at: now };
        next = next.put(&under(keys::ADDRESSES, &held.ip.to_string()), &value)?;
        if next.len() >= AT_ONCE {
            done.push(std::mem::replace(&mut next, fenced()));
        }
    }
    for ip in &change.freed {
        next = next.delete(&under(keys::ADDRESSES, &ip.to_string()));
        if next.len() >= AT_ONCE {
            done.push(std::mem::replace(&mut next, fenced()));
        }
    }
    if next.len() > 0 {
        done.push(next);
    }
    Ok(done)
}

/// Up to 16 pairs of hex digits.
fn is_long(mac: &str) -> bool {
    let mut parts = mac.split(':');
    mac.len() <= 47 && parts.all(|p| p.len() == 2 && p.bytes().all(|b| b.is_ascii_hexdigit()))
}

/// Our tenure, which is that of `epoch` where one is given.
fn tenure(app: &App, epoch: Option<i64>) -> Result<Tenure, AddressError> {
    let tenure = app.standing().tenure(Instant::now());
    tenure.filter(|t| epoch.is_none_or(|epoch| t.epoch == epoch)).ok_or(AddressError::NotLeading)
}

#[cfg(test)]
mod tests {
    use super::*;
    use maekin_api::install::Progress;

    fn ip(n: u8) -> Ipv4Addr {
        Ipv4Addr::new(10, 77, 0, n)
    }

    fn ticket(n: u8, mac: &str) -> TicketValue {
        let value = serde_json::json!({
            "ticket": "t", "hostname": "h", "mac": mac, "uuid": null, "address": ip(n), "secret": null,
            "progress": Progress::Booting, "created_at": 0, "updated_at": 0,
        });
        serde_json::from_value(value).unwrap()
    }

    #[test]
    fn tickets_keep_addresses_that_the_last_leader_did_not_live_to_keep() {
        let given = |n, mac: &str, kept| (ip(n), AddressValue { mac: mac.into(), kept, at: 0 });
        let held = |n, mac: &str, kept| Held { ip: ip(n), mac: mac.into(), kept };
        let got = plan_held(
            vec![given(1, "a", false), given(2, "b", false), given(3, "c", true), given(4, "d", false)],
            &[ticket(2, "b"), ticket(4, "another"), ticket(9, "e")],
        );
        let want = [
            held(1, "a", false),
            held(2, "b", true),
            held(3, "c", true),
            held(4, "d", false), // given to d since; the ticket's machine asks again
            held(9, "e", true),
        ];
        assert_eq!(got, want);
    }

    #[test]
    fn every_transaction_is_bounded_and_nonsense_is_refused() {
        let held: Vec<_> =
            (0..150).map(|n| Held { ip: ip(n), mac: "02:00:00:00:00:01".into(), kept: false }).collect();
        let change = AddressChange { epoch: 3, held, freed: (150..=255).map(ip).collect() };
        let sizes: Vec<_> = plan_write(&change, 0).unwrap().iter().map(Change::len).collect();
        assert_eq!(sizes, [100, 100, 56]);
        assert!(plan_write(&AddressChange::default(), 0).unwrap().is_empty());
        for mac in ["", "x", "02:00:00:00:00:0g", "../nodes/1"] {
            let held = vec![Held { ip: ip(1), mac: mac.into(), kept: false }];
            let change = AddressChange { held, ..AddressChange::default() };
            assert!(plan_write(&change, 0).is_err(), "{mac}");
        }
        let long = vec![Held { ip: ip(1), mac: "02:".repeat(15) + "02", kept: false }];
        assert!(plan_write(&AddressChange { held: long, ..AddressChange::default() }, 0).is_ok());
    }
}
