//! Who asks, and what is decided about him: a machine names itself by its hardware address, and where we leased it one,
//! the question must come from there.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv6Addr, SocketAddr};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use maekin_api::boot::{Decision, Machine};
use maekin_api::machine::Verdict;
use maekin_host::ip;
use uuid::Uuid;

use super::routes::Shared;
use crate::approver::{ApproverError, is_ticket};
use crate::dhcp::foreign::Role;
use crate::dhcp::lease::State as LeaseState;
use crate::hw::HwAddr;

/// How long a wish to boot from the disk stands: as long as the slowest server takes to restart.
const TO_DISK: Duration = Duration::from_secs(1200);
/// Most such wishes at once.
const MOST: usize = 1024;

/// The question came from elsewhere than the machine that it is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("The request did not come from the address leased to this machine.")]
pub struct Impostor;

/// The machine with interface `hw`, asking from `peer`.
///
/// # Errors
/// [`Impostor`]: one machine must not fetch another's ticket, nor speak for it, by naming its MAC. Where we leased the
/// address, we know it.
pub fn identify(
    shared: &Shared,
    hw: HwAddr,
    uuid: Option<&str>,
    arch: u16,
    peer: SocketAddr,
) -> Result<Machine, Impostor> {
    if let IpAddr::V6(address) = peer.ip() {
        neighbour(shared, hw, address)?;
    }
    let lease = shared.store.lock().leases.lease(hw).filter(|lease| lease.state == LeaseState::Bound);
    // Beside another DHCP server a machine has its address from there, whatever it had from us before.
    let lease = lease.filter(|_| shared.guard.role() == Role::Server);
    if let Some(lease) = lease.filter(|lease| peer.is_ipv4() && IpAddr::V4(lease.ip) != peer.ip()) {
        tracing::warn!(client = %hw, leased = %lease.ip, from = %peer.ip(), "asks from another address; refused");
        return Err(Impostor);
    }
    Ok(Machine {
        mac: hw.to_string(),
        uuid: uuid.and_then(known_uuid),
        arch,
        address: lease.map(|lease| lease.ip),
        server: shared.settings().server,
    })
}

/// Nobody keeps a table of who has which IPv6 address; but who asks is on our own link, and the kernel has just learnt
/// its hardware address.
fn neighbour(shared: &Shared, hw: HwAddr, address: Ipv6Addr) -> Result<(), Impostor> {
    let interface = shared.settings().v6.map(|v6| v6.interface).ok_or(Impostor)?;
    let found = ip::neighbour(&interface, IpAddr::V6(address)).inspect_err(|e| {
        tracing::error!(client = %hw, from = %address, "cannot learn whose address that is: {e}");
    });
    match found {
        Ok(Some(mac)) if mac.parse() == Ok(hw) => Ok(()),
        found => {
            let found = found.ok().flatten().unwrap_or_else(|| "an interface unknown to us".to_owned());
            tracing::warn!(client = %hw, from = %address, "asks from {found}; refused");
            Err(Impostor)
        }
    }
}

/// A UUID that tells machines apart: boards without one say all zeros or all ones.
fn known_uuid(text: &str) -> Option<String> {
    Uuid::parse_str(text).ok().filter(|uuid| !uuid.is_nil() && !uuid.is_max()).map(|uuid| uuid.to_string())
}

/// What `machine` shall boot.
///
/// # Errors
/// [`ApproverError`] when nobody can decide.
pub async fn decide(shared: &Shared, machine: &Machine, hw: HwAddr) -> Result<Decision, ApproverError> {
    let decision = shared.approver.decide(machine).await?;
    match &decision {
        Decision::Install { ticket } => take_in(shared, ticket, hw)?,
        // Somebody in front of it wants what is on its disk, and it is nobody's business of ours yet.
        Decision::Wait { .. } if shared.waiting.to_disk.take(hw) => return Ok(Decision::Local),
        Decision::Wait { .. } | Decision::Local => {}
    }
    Ok(decision)
}

/// What `machine` is told while it waits.
///
/// # Errors
/// As [`decide`].
pub async fn verdict(shared: &Shared, machine: &Machine, hw: HwAddr) -> Result<Verdict, ApproverError> {
    let verdict = shared.approver.verdict(machine).await?;
    if let Verdict::Install { ticket } = &verdict {
        take_in(shared, ticket, hw)?;
    }
    Ok(verdict)
}

fn take_in(shared: &Shared, ticket: &str, hw: HwAddr) -> Result<(), ApproverError> {
    if !is_ticket(ticket) {
        return Err(ApproverError::Unavailable("the approver's ticket is not 32 hex digits".to_owned()));
    }
    // The installed node keeps this address as its own, so nobody else may ever be leased it.
    shared.store.pin(hw).map(drop).map_err(|e| ApproverError::Unavailable(e.to_string()))
}

/// Machines whose person wants them to boot from their disk the next time.
#[derive(Debug, Default)]
pub struct ToDisk(Mutex<HashMap<HwAddr, Instant>>);

impl ToDisk {
    /// Notes the wish.
    pub fn wish(&self, hw: HwAddr) {
        let mut wishes = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        wishes.retain(|_, at| at.elapsed() < TO_DISK);
        if wishes.len() < MOST {
            wishes.insert(hw, Instant::now());
        }
    }

    /// Whether there was one; it is used up.
    pub fn take(&self, hw: HwAddr) -> bool {
        let mut wishes = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        wishes.remove(&hw).is_some_and(|at| at.elapsed() < TO_DISK)
    }
}
