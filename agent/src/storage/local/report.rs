//! What lvs(8) and dmsetup(8) tell of the pool and its volumes. Parsers take text: what is on the drives may be anything.

use std::collections::BTreeMap;

use maekin_api::storage::{NodeStorage, PoolMode};
use serde::Deserialize;

use super::{GROUP, POOL};
use crate::volumes::engine::{Seen, SeenSnapshot, SeenVolume, is_id};

/// What lvs is asked for, of all groups that it sees.
pub(super) const FIELDS: &str = "vg_name,lv_name,lv_size,pool_lv,data_percent,metadata_percent,lv_metadata_size,lv_when_full,\
    lv_active,lv_suspended,lv_device_open,lv_health_status,vg_free,vg_extent_size,vg_mda_size";
/// How volumes are named; an id of 32 hex digits follows.
const VOLUME: &str = "vol-";
/// How snapshots are named.
const SNAPSHOT: &str = "snap-";
/// What lvs says of an LV that stands still; of one that is not active it says `unknown`.
const SUSPENDED: &str = "suspended";
/// Hundredths of a percent in all.
const WHOLE: u64 = 10_000;

/// Name of a volume's LV.
pub(super) fn volume(id: &str) -> String {
    format!("{VOLUME}{id}")
}

/// Name of a snapshot's LV.
pub(super) fn snapshot(id: &str) -> String {
    format!("{SNAPSHOT}{id}")
}

/// Device of a volume that is active.
pub(super) fn device(id: &str) -> String {
    format!("/dev/{GROUP}/{VOLUME}{id}")
}

/// An id out of the name of an LV.
fn id<'a>(name: &'a str, kind: &str) -> Option<&'a str> {
    name.strip_prefix(kind).filter(|id| is_id(id))
}

/// The group as it is.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Report {
    /// Names of all LVs.
    pub(super) names: Vec<String>,
    /// The pool.
    pub(super) pool: Option<Pool>,
    /// What it holds.
    pub(super) volumes: BTreeMap<String, SeenVolume>,
    /// What it holds.
    pub(super) snapshots: BTreeMap<String, SeenSnapshot>,
}

/// The pool as it is.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Pool {
    /// Bytes in all.
    pub(super) size: u64,
    /// Hundredths of a percent of that in use.
    pub(super) used_share: u16,
    /// Bytes of its tables.
    pub(super) metadata: u64,
    /// Hundredths of a percent of that in use.
    pub(super) metadata_share: u16,
    /// Whether writes fail when it is full; else they wait.
    pub(super) errors_when_full: bool,
    /// Whether the kernel has it.
    pub(super) active: bool,
    /// What it takes.
    pub(super) mode: PoolMode,
    /// Bytes of the group that nothing has.
    pub(super) free: u64,
    /// Bytes that sizes in the group are multiples of.
    pub(super) extent: u64,
    /// Bytes of the area that LVM describes the group in.
    pub(super) area: u64,
    /// Names of LVs of ours, this one too, that stand still: nothing that is read or written there comes to an end.
    pub(super) suspended: Vec<String>,
}

#[derive(Deserialize)]
struct Reports {
    report: Vec<Rows>,
}

#[derive(Deserialize)]
struct Rows {
    #[serde(default)]
    lv: Vec<Lv>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Lv {
    vg_name: String,
    lv_name: String,
    lv_size: String,
    pool_lv: String,
    data_percent: String,
    metadata_percent: String,
    lv_metadata_size: String,
    lv_when_full: String,
    lv_active: String,
    lv_suspended: String,
    lv_device_open: String,
    lv_health_status: String,
    vg_free: String,
    vg_extent_size: String,
    vg_mda_size: String,
}

/// Understands `lvs --reportformat json --units b --nosuffix`.
///
/// # Errors
/// It is no such report.
pub(super) fn parse_report(text: &[u8]) -> Result<Report, serde_json::Error> {
    let reports: Reports = serde_json::from_slice(text)?;
    let mut report = Report::default();
    let mut suspended = Vec::new();
    let rows = reports.report.into_iter().flat_map(|rows| rows.lv);
    for lv in rows.filter(|lv| lv.vg_name == GROUP) {
        let name = lv.lv_name.trim_matches(['[', ']']).to_owned();
        if name == POOL {
            report.pool = Some(pool(&lv));
            if lv.lv_suspended == SUSPENDED {
                suspended.insert(0, name.clone()); // its volumes wait for it
            }
        } else if lv.pool_lv == POOL {
            let (size, used) = (number(&lv.lv_size), used(&lv));
            if lv.lv_suspended == SUSPENDED && [VOLUME, SNAPSHOT].iter().any(|kind| id(&name, kind).is_some())
            {
                suspended.push(name.clone());
            }
            if let Some(id) = id(&name, VOLUME) {
                let active = !lv.lv_active.is_empty();
                let seen = SeenVolume {
                    size,
                    used,
                    device: active.then(|| device(id)),
                    open: active && lv.lv_device_open == "open",
                };
                report.volumes.insert(id.to_owned(), seen);
            } else if let Some(id) = id(&name, SNAPSHOT) {
                report.snapshots.insert(id.to_owned(), SeenSnapshot { size, used });
            }
        }
        report.names.push(name);
    }
    if let Some(pool) = &mut report.pool {
        pool.suspended = suspended;
    }
    Ok(report)
}

fn pool(lv: &Lv) -> Pool {
    Pool {
        size: number(&lv.lv_size),
        used_share: share(&lv.data_percent).unwrap_or(0),
        metadata: number(&lv.lv_metadata_size),
        metadata_share: share(&lv.metadata_percent).unwrap_or(0),
        errors_when_full: lv.lv_when_full == "error",
        active: !lv.lv_active.is_empty(),
        mode: match lv.lv_health_status.as_str() {
            _ if lv.lv_active.is_empty() => PoolMode::Unknown,
            "" => PoolMode::Writable,
            "out_of_data" => PoolMode::Full,
            "metadata_read_only" => PoolMode::ReadOnly,
            "failed" => PoolMode::Failed,
            _ => PoolMode::Unknown,
        },
        free: number(&lv.vg_free),
        extent: number(&lv.vg_extent_size),
        area: number(&lv.vg_mda_size),
        suspended: Vec::new(),
    }
}

/// A number of bytes; what is none is 0.
fn number(text: &str) -> u64 {
    text.trim().parse().unwrap_or(0)
}

/// `12.34` as hundredths of a percent; never more than all.
fn share(text: &str) -> Option<u16> {
    let (whole, part) = text.trim().split_once('.').unwrap_or((text.trim(), ""));
    let whole: u64 = whole.parse().ok()?;
    let digits: String = part.chars().chain("00".chars()).take(2).collect();
    let part: u64 = digits.parse().ok()?;
    u16::try_from(whole.saturating_mul(100).saturating_add(part).min(WHOLE)).ok()
}

/// So many hundredths of a percent of `size`.
fn part_of(size: u64, share: u16) -> u64 {
    let bytes = u128::from(size) * u128::from(share) / u128::from(WHOLE);
    u64::try_from(bytes).unwrap_or(size)
}

fn used(lv: &Lv) -> Option<u64> {
    // An LV that is not active does not say.
    share(&lv.data_percent).map(|share| part_of(number(&lv.lv_size), share))
}

impl Pool {
    /// As nodes tell of it; names, counts and the mirror below are filled in by others.
    pub(super) fn told(&self) -> NodeStorage {
        NodeStorage {
            capacity: self.size,
            used: part_of(self.size, self.used_share),
            growable: super::care::growable(self),
            used_share: self.used_share,
            metadata_share: self.metadata_share,
            mode: self.mode,
            most: super::text::most(self.area),
            ..NodeStorage::default()
        }
    }
}

impl Report {
    /// As the planner sees it.
    pub(super) fn seen(self) -> Seen {
        let storage = self.pool.as_ref().map(Pool::told).unwrap_or_default();
        Seen { volumes: self.volumes, snapshots: self.snapshots, storage }
    }
}

/// What the kernel says of the pool.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Status {
    /// Hundredths of a percent in use.
    pub(super) used_share: u16,
    /// Of its tables.
    pub(super) metadata_share: u16,
    /// What it takes.
    pub(super) mode: PoolMode,
}

/// Understands `dmsetup status --target thin-pool` (the kernel's Documentation/admin-guide/device-mapper/
/// thin-provisioning.rst): the line of our pool; `None` where there is none.
pub(super) fn parse_status(text: &str) -> Option<Status> {
    text.lines().find_map(|line| {
        let (name, rest) = line.split_once(": ")?;
        // With volumes in it, the pool itself is a layer below.
        let names = [format!("{GROUP}-{POOL}-tpool"), format!("{GROUP}-{POOL}")];
        names.iter().any(|own| own == name).then(|| status(rest))?
    })
}

fn status(rest: &str) -> Option<Status> {
    let mut words = rest.split_whitespace().skip(2);
    if words.next()? != "thin-pool" {
        return None;
    }
    let first = words.next()?;
    if first == "Fail" || first == "Error" {
        return Some(Status { mode: PoolMode::Failed, ..Status::default() });
    }
    let metadata_share = fraction(words.next()?)?;
    let used_share = fraction(words.next()?)?;
    let _held_root = words.next()?;
    let mode = match words.next()? {
        "rw" => PoolMode::Writable,
        "out_of_data_space" => PoolMode::Full,
        "ro" => PoolMode::ReadOnly,
        _ => PoolMode::Unknown,
    };
    Some(Status { used_share, metadata_share, mode })
}

/// `used/total` as hundredths of a percent.
fn fraction(text: &str) -> Option<u16> {
    let (used, total) = text.split_once('/')?;
    let (used, total): (u64, u64) = (used.parse().ok()?, total.parse().ok()?);
    let share = u128::from(used) * u128::from(WHOLE) / u128::from(total.max(1));
    u16::try_from(share.min(u128::from(WHOLE))).ok()
}

#[cfg(test)]
mod tests;
