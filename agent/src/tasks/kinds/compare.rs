//! The halves of a node's mirrors, compared byte by byte: hours of slow reading, on that node.

use std::time::Duration;

use maekin_api::boot_drives::BootDrives;

use super::{Node, step, until};
use crate::tasks::run::{Did, StepError, Tell};
use crate::tasks::values::StepValue;

/// How long it may take to begin.
const BEGIN: Duration = Duration::from_secs(600);
/// How long the comparison may take.
const WHOLE: Duration = Duration::from_secs(2 * 86_400);

/// How a comparison goes.
#[derive(Debug, PartialEq, Eq)]
enum Course {
    /// It has not begun.
    Waits,
    /// It is under way.
    Goes,
    /// It was done.
    Done,
    /// It ended before that.
    Broken,
}

/// What is seen of it, where `before` is when the last one was finished. Pure.
fn course(report: &BootDrives, before: Option<u64>, begun: bool) -> Course {
    match (report.comparison.running, report.comparison.last > before, begun) {
        (true, ..) => Course::Goes,
        (false, true, _) => Course::Done,
        (false, false, true) => Course::Broken,
        (false, false, false) => Course::Waits,
    }
}

pub(super) fn plan() -> Vec<StepValue> {
    vec![step("compare", "compare the halves of the mirrors")]
}

/// Compares; again from the beginning where the agent was restarted in the middle.
pub(super) async fn step_of(node: &Node, tell: &Tell) -> Result<Did, StepError> {
    let app = &node.app;
    if app.boot.is_none() {
        let why =
            format!("{} has no boot drives of ours: it was not started by our initrd", app.config.hostname);
        return Err(StepError::failed(why, ""));
    }
    let before = app.boot_drives.report().comparison.last;
    app.boot_drives.compare();
    let mut begun = false;
    let look = |passed: Duration| {
        let report = app.boot_drives.report();
        let course = course(&report, before, begun);
        begun |= course == Course::Goes;
        match course {
            Course::Goes => tell.say(0, format!("compared for {} min", passed.as_secs() / 60)),
            Course::Waits if passed < BEGIN => tell.say(0, "waits until the mirrors are whole and idle"),
            Course::Waits | Course::Done | Course::Broken => return Some((course, report)),
        }
        None
    };
    match until(WHOLE, look).await {
        Some((Course::Done, report)) if report.comparison.differ.is_empty() => {
            Ok(Did::well("the halves of all mirrors are the same"))
        }
        Some((Course::Done, report)) => {
            let differ: Vec<_> =
                report.comparison.differ.iter().map(|(name, n)| format!("{name} in {n} sectors")).collect();
            let why = format!("the halves differ: {}", differ.join(", "));
            Err(StepError::failed(why, "see the alarms of the node, and docs/boot-drives.md"))
        }
        Some((Course::Broken, _)) => Err(StepError::failed(
            "the comparison ended early: a half is missing, or the mirrors are being rebuilt",
            "see `maekin describe boot-drives`, and ask again when both drives are there",
        )),
        Some((Course::Waits | Course::Goes, _)) => Err(StepError::failed(
            format!(
                "it did not begin within {} min: the mirrors are not whole, or busy",
                BEGIN.as_secs() / 60
            ),
            "see `maekin describe boot-drives`",
        )),
        None => Err(StepError::failed(format!("it was not done within {} h", WHOLE.as_secs() / 3600), "")),
    }
}

#[cfg(test)]
mod tests {
    use maekin_api::boot_drives::Comparison;

    use super::*;

    #[test]
    fn record_a_comparison_is_followed_from_its_beginning() {
        let report = |running, last| {
            let comparison = Comparison { running, last, ..Comparison::default() };
            BootDrives { comparison, ..BootDrives::default() }
        };
        let rows = [
            ("not begun", report(false, None), None, false, Course::Waits),
            ("one of last month", report(false, Some(5)), Some(5), false, Course::Waits),
            ("under way", report(true, Some(5)), Some(5), true, Course::Goes),
            ("done", report(false, Some(9)), Some(5), true, Course::Done),
            ("the first one, done", report(false, Some(9)), None, true, Course::Done),
            ("done between two looks", report(false, Some(9)), Some(5), false, Course::Done),
            ("ended early", report(false, Some(5)), Some(5), true, Course::Broken),
        ];
        for (name, report, before, begun, want) in rows {
            assert_eq!(course(&report, before, begun), want, "{name}");
        }
    }
}
