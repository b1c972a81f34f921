//! Which halves of the mirrors are taken. Pure: superblocks in, a decision out; nothing has been written before it.
//!
//! mdadm would take the member with the most events and add or leave out the others by rules of its own, array by
//! array. Here the halves of all arrays are judged together, by what each one says about the other:
//!
//! | drive 0 says of 1 | drive 1 says of 0 | | |
//! | --- | --- | --- | --- |
//! | in use | in use | same events, or one apart (a power cut while they were written) | both |
//! | in use | in use | further apart | the one with more events is newer |
//! | gone | in use | drive 0 has at least as many events | drive 0 is newer |
//! | gone | in use | drive 0 has fewer events | they lived apart: not decidable |
//! | gone | gone | both ran alone | not decidable |
//!
//! (While an array is whole its events go one up when it is written to and one down when it rests, so equal counts do
//! not make equal halves.) What is older is left out; it is brought up to date by the healing, from the newer one,
//! never the other way round. What is not decidable is left to a person, and nothing is touched.

mod words;

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use maekin_host::md::superblock::{Role, Superblock};
use maekin_image::ids::{self, Array};
use maekin_rootfs::boot_state::StaleHalf;
use uuid::Uuid;

pub use words::{keep, moment};

/// Halves whose counts of events are this close have seen the same.
const TORN: u64 = 1;

/// A partition that should be half of an array.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Half {
    /// The boot drive that it is on, 0 or 1.
    pub drive: u8,
    /// Its node.
    pub path: PathBuf,
    /// Its superblock, or why it has none.
    pub block: Result<Superblock, String>,
}

/// What was found.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Found {
    /// The installation.
    pub install: Uuid,
    /// The halves of each array that are here.
    pub halves: BTreeMap<Array, Vec<Half>>,
}

/// What is done with it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Decision {
    /// The members that each array is assembled from; an array that nothing is here for is not among them.
    pub take: BTreeMap<Array, Vec<PathBuf>>,
    /// What is left out, being older.
    pub stale: Vec<StaleHalf>,
    /// The boot drives in the order in which their ESPs are believed.
    pub believed: [u8; 2],
    /// What a person should know.
    pub notes: Vec<String>,
}

/// Why it cannot be decided which halves are right.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Undecidable {
    /// The arrays that it is about, and why.
    pub reasons: Vec<(Array, &'static str)>,
    /// Until when each boot drive was in use, seconds since 1970; `None`: nothing of it is here.
    pub used_until: [Option<u64>; 2],
}

/// Of one array.
enum Verdict<'a> {
    /// Nothing usable is here.
    Nothing,
    /// One half is here.
    One(&'a Half),
    /// Both are good, or one is and the other is being brought up to date from it.
    Both(&'a Half, &'a Half),
    /// The first is newer than the second.
    Newer(&'a Half, &'a Half, &'static str),
    /// It cannot be told.
    Open(&'static str),
}

/// Why a half is left out that a person has decided against.
pub const CHOSEN: &str = "a person has chosen the other";
const HALF_COPIED: &str = "it was not brought up to date completely";
const SAW_MORE: &str = "the other has seen more of the array's life";
const WENT_ON: &str = "the other was used without it";
const RAN_ALONE: &str = "each half was used without the other";
const APART: &str = "the halves contradict each other";
const COPIES: &str = "one half is a copy of the other";
const OLDER_LEFT: &str = "only a half of the drive that is older elsewhere is usable";
const NOT_WHOLE: &str =
    "the only half that is here was not brought up to date completely, the other has to come back";

/// Decides which halves are taken; `keep`: the drive that a person has chosen where it cannot be decided.
///
/// # Errors
/// [`Undecidable`].
pub fn decide(found: &Found, keep: Option<u8>) -> Result<Decision, Undecidable> {
    let mut decision = Decision::default();
    let mut verdicts = BTreeMap::new();
    for (&array, halves) in &found.halves {
        let good = usable(found.install, array, halves, &mut decision.notes);
        verdicts.insert(array, judge(&good));
    }
    let older: BTreeSet<u8> = verdicts
        .values()
        .filter_map(|v| if let Verdict::Newer(_, old, _) = v { Some(old.drive) } else { None })
        .collect();
    let open = |(array, verdict): (&Array, &Verdict<'_>)| match verdict {
        Verdict::Open(reason) => Some((*array, *reason)),
        // A system image is checked against the signed manifest, whatever half it comes from.
        Verdict::One(half) if older.contains(&half.drive) && !is_system(*array) => Some((*array, OLDER_LEFT)),
        _ => None,
    };
    let reasons: Vec<_> = verdicts.iter().filter_map(open).collect();
    let kept = if reasons.is_empty() { None } else { keep };
    if !reasons.is_empty() && kept.is_none_or(|drive| !can_keep(&verdicts, found, drive)) {
        return Err(Undecidable { reasons, used_until: [0, 1].map(|drive| used_until(found, drive)) });
    }
    if let Some(drive) = kept {
        decision.notes.push(format!("drive {drive} is kept, because a person says so"));
    } else if older.len() > 1 {
        let text = "each boot drive has failed in part: every mirror runs on its newer half, replace both drives soon";
        decision.notes.push(text.to_owned());
    }
    for (&array, verdict) in &verdicts {
        settle(found, array, verdict, kept, &mut decision);
    }
    decision.believed = believed(&verdicts, &older, kept);
    Ok(decision)
}

fn is_system(array: Array) -> bool {
    matches!(array, Array::SystemA | Array::SystemB)
}

/// The halves that belong to the array and have a role in it; the others are told.
fn usable<'a>(install: Uuid, array: Array, halves: &'a [Half], notes: &mut Vec<String>) -> Vec<&'a Half> {
    let mut good = Vec::new();
    for half in halves {
        let refusal = match &half.block {
            Err(reason) => reason.as_str(),
            Ok(block) if block.set_uuid != ids::md_uuid(install, array) => "it belongs to another array",
            Ok(block) if block.level != 1 || block.raid_disks != 2 => "its array is no mirror of two",
            Ok(block) => match block.role() {
                Role::Active(0 | 1) => {
                    good.push(half);
                    continue;
                }
                Role::Active(_) => "it has a role that a mirror of two does not have",
                Role::Faulty => "the array has given it up",
                Role::Spare => "it is not part of the array yet",
            },
        };
        notes.push(format!("{} is not taken for {}: {refusal}", half.path.display(), array.name()));
    }
    good
}

/// What a usable half says; [`usable`] lets none pass that has no superblock or no role.
fn view(half: &Half) -> Option<(&Superblock, u16)> {
    let block = half.block.as_ref().ok()?;
    match block.role() {
        Role::Active(role) => Some((block, role)),
        Role::Faulty | Role::Spare => None,
    }
}

fn judge<'a>(good: &[&'a Half]) -> Verdict<'a> {
    let (a, b) = match good {
        [] => return Verdict::Nothing,
        [one] if view(one).is_some_and(|(block, _)| block.recovery_offset.is_some()) => {
            return Verdict::Open(NOT_WHOLE);
        }
        [one] => return Verdict::One(one),
        [a, b, ..] => (*a, *b),
    };
    let (Some((in_a, role_a)), Some((in_b, role_b))) = (view(a), view(b)) else { return Verdict::Nothing };
    if role_a == role_b || in_a.device_uuid == in_b.device_uuid {
        return Verdict::Open(COPIES);
    }
    match relation(in_a, role_a, in_b, role_b) {
        Relation::Both => Verdict::Both(a, b),
        Relation::First(why) => Verdict::Newer(a, b, why),
        Relation::Second(why) => Verdict::Newer(b, a, why),
        Relation::Open(why) => Verdict::Open(why),
    }
}

/// How two halves stand to each other.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Relation {
    /// Both are good, or one is and the other is being brought up to date from it.
    Both,
    /// The first is newer.
    First(&'static str),
    /// The second is.
    Second(&'static str),
    /// It cannot be told.
    Open(&'static str),
}

/// How half `a` with `role_a` and half `b` with `role_b` of one array stand to each other.
#[must_use]
pub fn relation(a: &Superblock, role_a: u16, b: &Superblock, role_b: u16) -> Relation {
    use Relation::{Both, First, Open, Second};
    let close = a.events.abs_diff(b.events) <= TORN;
    match (a.recovery_offset.is_some(), b.recovery_offset.is_some()) {
        (true, true) => return Open(NOT_WHOLE),
        (false, true) if close && a.sees(role_b) => return Both,
        (true, false) if close && b.sees(role_a) => return Both,
        (false, true) => return First(HALF_COPIED),
        (true, false) => return Second(HALF_COPIED),
        (false, false) => {}
    }
    match (a.sees(role_b), b.sees(role_a)) {
        (true, true) if close => Both,
        (true, true) if a.events > b.events => First(SAW_MORE),
        (true, true) => Second(SAW_MORE),
        (false, true) if a.events >= b.events => First(WENT_ON),
        (true, false) if b.events >= a.events => Second(WENT_ON),
        (false, false) => Open(RAN_ALONE),
        _ => Open(APART),
    }
}

/// Whether every array that has anything here can be had from `drive`, or needs no choice.
fn can_keep(verdicts: &BTreeMap<Array, Verdict<'_>>, found: &Found, drive: u8) -> bool {
    let whole = |array: &Array| {
        let halves = found.halves.get(array).into_iter().flatten();
        halves
            .filter(|half| half.drive == drive)
            .filter_map(view)
            .any(|(block, _)| block.recovery_offset.is_none())
    };
    verdicts.iter().all(|(array, verdict)| match verdict {
        Verdict::Nothing | Verdict::Both(..) => true,
        Verdict::One(half) => half.drive == drive || is_system(*array),
        Verdict::Newer(..) | Verdict::Open(_) => whole(array),
    })
}

/// Takes the halves of one array, and tells which are left out.
fn settle(found: &Found, array: Array, verdict: &Verdict<'_>, kept: Option<u8>, decision: &mut Decision) {
    let halves = found.halves.get(&array).map(Vec::as_slice).unwrap_or_default();
    let (take, why): (Vec<&Half>, &str) = match (verdict, kept) {
        (Verdict::Nothing, _) => return,
        (Verdict::One(half), _) => (vec![half], ""),
        (Verdict::Both(a, b), _) => (vec![a, b], ""),
        (Verdict::Newer(..) | Verdict::Open(_), Some(drive)) => {
            (halves.iter().filter(|half| half.drive == drive).collect(), CHOSEN)
        }
        (Verdict::Newer(new, _, why), None) => (vec![new], why),
        (Verdict::Open(_), None) => return, // `decide` has refused
    };
    for half in halves.iter().filter(|half| !why.is_empty() && !take.contains(half)) {
        decision.stale.push(StaleHalf {
            array: array.name().to_owned(),
            drive: half.drive,
            member: half.path.display().to_string(),
            reason: why.to_owned(),
            last_used: half.block.as_ref().map_or(0, |block| block.utime),
        });
    }
    decision.take.insert(array, take.into_iter().map(|half| half.path.clone()).collect());
}

/// The drive that is newer is believed. Where each is newer somewhere, the one that has the newer settings: they are
/// written to in every run. Where none is, the first.
fn believed(verdicts: &BTreeMap<Array, Verdict<'_>>, older: &BTreeSet<u8>, kept: Option<u8>) -> [u8; 2] {
    let state = match verdicts.get(&Array::State) {
        Some(Verdict::Newer(half, ..) | Verdict::One(half)) => Some(half.drive),
        _ => None,
    };
    let newer = match (older.contains(&0), older.contains(&1)) {
        (true, false) => Some(1),
        (false, true) => Some(0),
        _ => None,
    };
    if kept.or(newer).or(state) == Some(1) { [1, 0] } else { [0, 1] }
}

/// When any half on `drive` was last in use.
fn used_until(found: &Found, drive: u8) -> Option<u64> {
    let halves = found.halves.values().flatten().filter(|half| half.drive == drive);
    halves.map(|half| half.block.as_ref().map_or(0, |block| block.utime)).max()
}

/// Reads the superblock of `path`, which should be half of `array`.
#[must_use]
pub fn probe(drive: u8, path: &Path, array: Array) -> Half {
    use maekin_host::{block, md};
    let metadata = if is_system(array) { md::Metadata::V1_0 } else { md::Metadata::V1_2 };
    let read = || -> Result<Superblock, md::superblock::SuperblockError> {
        let mut device = std::fs::File::open(path)?;
        let size = block::size(&mut device)?;
        md::superblock::read(&mut device, 0, size, metadata)
    };
    Half { drive, path: path.to_owned(), block: read().map_err(|e| format!("{:#}", anyhow::Error::from(e))) }
}

#[cfg(test)]
pub(crate) mod tests;
