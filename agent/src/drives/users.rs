//! Who uses drives, and whether they can do without one. Engines of storage are users, each in a room of its own; here
//! are those that every node has.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;

use maekin_api::boot_drives::{BootDrives, HalfState, State as BootState};
use maekin_api::drives::{Drive, Usage};

use super::observe::Seen;
use crate::app::App;
use crate::tasks::run::{StepError, Tell};

/// Work of a user.
pub(crate) type Work<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// Somebody who uses drives.
pub(crate) trait User: Send + Sync {
    /// How it uses this drive; `None`: it does not. Asked at every look: it answers from what it knows.
    fn uses(&self, seen: &Seen) -> Option<Usage>;

    /// Whether it is the one that uses a drive so.
    fn is_it(&self, usage: &Usage) -> bool;

    /// Whether it could do without this drive, as things are: why, or why not and what to do.
    fn can_go<'a>(&'a self, drive: &'a Drive) -> Work<'a, Result<String, StepError>>;

    /// Does without this drive from now on: moves what is on it elsewhere, and returns when nothing is lost by pulling it.
    /// May be dropped at any moment and asked again.
    fn empty<'a>(&'a self, drive: &'a Drive, tell: &'a Tell) -> Work<'a, Result<String, StepError>>;
}

/// All users there are on this node.
pub(crate) fn all(app: &Arc<App>) -> Vec<Box<dyn User>> {
    vec![Box::new(BootMirror { app: Arc::clone(app) })]
}

/// How a drive is used, by the first that says so.
pub(crate) fn usage(users: &[Box<dyn User>], seen: &Seen) -> Option<Usage> {
    users.iter().find_map(|user| user.uses(seen))
}

/// The mirror that the node starts from, with the pool of `local` volumes on it.
struct BootMirror {
    app: Arc<App>,
}

impl User for BootMirror {
    fn uses(&self, seen: &Seen) -> Option<Usage> {
        seen.boot.map(|place| Usage::BootMirror { number: place + 1 })
    }

    fn is_it(&self, usage: &Usage) -> bool {
        matches!(usage, Usage::BootMirror { .. } | Usage::LocalPool)
    }

    fn can_go<'a>(&'a self, drive: &'a Drive) -> Work<'a, Result<String, StepError>> {
        Box::pin(async move { spare_half(&self.app.boot_drives.report(), &drive.usage) })
    }

    /// The other half has everything already: there is nothing to move.
    fn empty<'a>(&'a self, drive: &'a Drive, _: &'a Tell) -> Work<'a, Result<String, StepError>> {
        self.can_go(drive)
    }
}

/// Whether the node goes on, and starts, without this one of its boot drives. Pure.
fn spare_half(report: &BootDrives, usage: &Usage) -> Result<String, StepError> {
    let Usage::BootMirror { number } = *usage else {
        let remedy = "move its volumes to another class first";
        return Err(StepError::failed("the pool of local volumes lies on it", remedy));
    };
    let other = report.drives.iter().find(|other| other.number != number);
    let Some(other) = other.filter(|other| other.device.is_some()) else {
        let remedy = "put in a second drive first, and wait until the mirror is whole";
        return Err(StepError::failed("it is the only boot drive of this node", remedy));
    };
    let synced = !other.halves.is_empty() && other.halves.iter().all(|half| half.state == HalfState::InSync);
    let sound = matches!(report.state, BootState::Whole | BootState::AtRisk | BootState::Degraded);
    if !(synced && other.answers && sound) {
        let why = format!("boot drive {} does not have everything: {:?}", other.number, report.state);
        return Err(StepError::failed(
            why.to_lowercase(),
            "see `maekin get boot-drives`, and wait until it is whole",
        ));
    }
    let proof = if other.proved.is_some() { ", and the node has started from it" } else { "" };
    Ok(format!("boot drive {} has everything that is on it{proof}", other.number))
}

/// Whether the node cannot do without its boot drive 1 or 2. Pure.
pub(super) fn needed(report: &BootDrives) -> [bool; 2] {
    [1, 2].map(|number| spare_half(report, &Usage::BootMirror { number }).is_err())
}

#[cfg(test)]
mod tests {
    use maekin_api::boot_drives::{Drive as BootDrive, Half};

    use super::*;

    #[test]
    fn drives_of_a_mirror_can_go_while_the_other_half_has_everything() {
        let half = |state| Half { array: "maekin-state".into(), state };
        let other = |state, device: Option<&str>, answers| BootDrive {
            number: 2,
            device: device.map(str::to_owned),
            answers,
            halves: vec![half(state)],
            ..BootDrive::default()
        };
        let vdb = Some("/dev/vdb");
        let rows = [
            (
                "whole",
                BootState::Whole,
                vec![other(HalfState::InSync, vdb, true)],
                Ok("boot drive 2 has everything"),
            ),
            (
                "this half is out already",
                BootState::Degraded,
                vec![other(HalfState::InSync, vdb, true)],
                Ok("drive 2"),
            ),
            (
                "rebuilding",
                BootState::Healing,
                vec![other(HalfState::Rebuilding, vdb, true)],
                Err("does not have"),
            ),
            (
                "says nothing",
                BootState::Degraded,
                vec![other(HalfState::InSync, vdb, false)],
                Err("does not have"),
            ),
            (
                "gone",
                BootState::Degraded,
                vec![other(HalfState::Missing, None, false)],
                Err("the only boot drive"),
            ),
            ("single", BootState::Single, vec![], Err("the only boot drive")),
            (
                "not looked at",
                BootState::Unknown,
                vec![other(HalfState::InSync, vdb, true)],
                Err("does not have"),
            ),
        ];
        for (name, state, mut drives, want) in rows {
            drives.push(BootDrive { number: 1, device: Some("/dev/vda".into()), ..BootDrive::default() });
            let report = BootDrives { state, drives, ..BootDrives::default() };
            let got = spare_half(&report, &Usage::BootMirror { number: 1 }).map_err(|e| e.to_string());
            assert_eq!(needed(&report)[0], want.is_err(), "{name}");
            match want {
                Ok(part) => assert!(got.as_ref().is_ok_and(|text| text.contains(part)), "{name}: {got:?}"),
                Err(part) => assert!(got.as_ref().is_err_and(|text| text.contains(part)), "{name}: {got:?}"),
            }
        }
        assert!(spare_half(&BootDrives::default(), &Usage::LocalPool).is_err());
    }
}
