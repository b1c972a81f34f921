//! The install window, machines that wait to be let in, installations.

use maekin_api::cluster::Cluster;
use maekin_api::install::{Progress, SeenMachine, Standing};

use super::super::model::Snapshot;
use super::pages::{field, problem, rule, wrap};
use super::{Line, Sheet, cut};
use crate::cli::machines::describe;
use crate::cli::{progress_text, window_text};

/// A machine that did not ask for so long is not in front of anybody, seconds.
const WAITING: u64 = 300;

/// The page.
pub(super) fn page(snapshot: &Snapshot, now: u64) -> Sheet {
    let Some(cluster) = &snapshot.cluster else {
        let text = if snapshot.problem.is_empty() {
            "This node is no member of a cluster yet."
        } else {
            &snapshot.problem
        };
        return Sheet { head: vec![], body: problem(text) };
    };
    let head = vec![
        window(cluster, now),
        Line::plain(field("", "o  open it, for so long and so many    c  close it")),
        Line::plain(field("", "a  let a machine in by its code        n  tell it no")),
        Line::plain(""),
    ];
    let mut body = waiting(snapshot, now);
    body.push(rule(&format!("{:<18} {:<18} {}", "Installation", "Hardware address", "Progress")));
    if snapshot.installs.is_empty() {
        body.push(Line::plain(" none yet"));
    }
    for install in &snapshot.installs {
        let name = cut(&install.hostname, 18);
        let text = format!(" {name:<18} {:<18} {}", cut(&install.mac, 18), progress_text(&install.progress));
        let failed = matches!(install.progress, Progress::Failed { .. });
        body.push(if failed { Line::bad(text) } else { Line::plain(text) });
        let remedy = (!install.remedy.is_empty()).then(|| wrap(&install.remedy, 74));
        body.extend(remedy.into_iter().flatten().take(3).map(|part| Line::warn(format!("    {part}"))));
    }
    Sheet { head, body }
}

/// How the window is.
pub(super) fn window(cluster: &Cluster, now: u64) -> Line {
    let line = field("Install window", &window_text(cluster.install_window, now));
    if cluster.install_window.open { Line::warn(line) } else { Line::plain(line) }
}

/// Machines that wait in front of somebody.
fn waiting(snapshot: &Snapshot, now: u64) -> Vec<Line> {
    let mut count = 0;
    let mut lines: Vec<Line> = snapshot
        .machines
        .iter()
        .filter(|m| now.saturating_sub(m.last_seen) < WAITING)
        .filter(|m| !matches!(m.standing, Standing::Approved { .. } | Standing::Installed { .. }))
        .inspect(|_| count += 1)
        .flat_map(machine)
        .collect();
    if count > 0 {
        lines.insert(0, rule(&format!("{count} waiting to be let in (the code is on their screens)")));
        lines.push(Line::plain(""));
    }
    lines
}

/// What a person needs to know it by, over as many lines as that takes.
fn machine(m: &SeenMachine) -> Vec<Line> {
    let what = m.inventory.as_ref().map(describe).unwrap_or_default();
    let no = if matches!(m.standing, Standing::Denied { .. }) { "DENIED " } else { "" };
    let mut parts = wrap(&format!("{no}{what}"), 49).into_iter().take(3);
    let first = parts.next().unwrap_or_default();
    let first = format!(" {:<8} {:<18} {first}", cut(&m.code, 8), cut(&m.mac, 18));
    let rest = parts.map(|part| format!("{:29}{part}", ""));
    std::iter::once(first).chain(rest).map(Line::warn).collect()
}
