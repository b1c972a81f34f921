//! What will happen, what dies by it and what is kept; and the word that it is consented to by.

use ratatui::text::Line;

use super::{problems, red, wrapped};
use crate::plan::{Plan, describe};
use crate::trial::Verdict;
use crate::tui::app::{App, Trying};

/// Lines of the plan that the smallest console shows at once.
pub const ROOM: usize = 15;
/// Columns of a line of it, on the smallest console and before its sign.
const WIDTH: usize = 76;

/// How many lines the plan has, and how many it has until the last thing that is lost.
#[must_use]
pub fn lengths(plan: &Plan) -> (usize, usize) {
    let (fate, rest) = (fate(plan), rest(plan));
    (fate.len() + rest.len(), fate.len())
}

/// What will happen and what is lost: what must have been seen. Wrapped for the smallest console, so that what was
/// counted is what was seen.
fn fate(plan: &Plan) -> Vec<Line<'static>> {
    let mut lines: Vec<Line<'static>> = plain(&describe::summary(plan));
    lines.extend(plain(&plan.drives.iter().map(|drive| format!("  {}", drive.title)).collect::<Vec<_>>()));
    lines.push(Line::raw(""));
    if plan.drives.iter().all(|drive| drive.dies.is_empty()) {
        lines.push(Line::raw("Nothing is lost: the drives are blank."));
        return lines;
    }
    lines.push(red("! THIS WILL BE LOST FOR EVER:"));
    for drive in plan.drives.iter().filter(|drive| !drive.dies.is_empty()) {
        lines.extend(listed(&drive.title, &drive.dies).into_iter().map(|line| red(format!("! {line}"))));
    }
    lines
}

fn rest(plan: &Plan) -> Vec<Line<'static>> {
    if plan.kept.is_empty() {
        return Vec::new();
    }
    let mut lines = vec![Line::raw(""), Line::raw("Kept as it is:")];
    let kept = plan.kept.iter().flat_map(|kept| listed(&kept.title, &kept.what));
    lines.extend(kept.map(|line| Line::raw(format!("  {line}"))));
    lines
}

/// A drive, and what is on it: behind its name where that is one thing that fits, else below.
fn listed(title: &str, what: &[String]) -> Vec<String> {
    let short = format!("{title}: {}", what.join(""));
    if what.len() == 1 && short.chars().count() <= WIDTH {
        return vec![short];
    }
    let below =
        what.iter().flat_map(|thing| wrapped(thing, WIDTH - 4).into_iter().map(|line| format!("    {line}")));
    wrapped(title, WIDTH - 1).into_iter().chain(below).collect()
}

fn plain(lines: &[String]) -> Vec<Line<'static>> {
    lines.iter().flat_map(|line| wrapped(line, WIDTH)).map(Line::raw).collect()
}

pub(super) fn page(app: &App, height: usize) -> Vec<Line<'static>> {
    let (Some(plan), Some(draft)) = (&app.plan, &app.draft) else { return Vec::new() };
    let all: Vec<Line<'static>> = fate(plan).into_iter().chain(rest(plan)).collect();
    let room = height.saturating_sub(5).max(ROOM);
    let first = app.scroll.min(all.len().saturating_sub(room));
    let hidden = all.len().saturating_sub(first + room);
    let mut lines: Vec<Line<'static>> = all.into_iter().skip(first).take(room).collect();
    lines.push(if hidden > 0 {
        red(format!("-- {hidden} more lines: press Down --"))
    } else {
        Line::raw("")
    });
    lines.push(Line::raw(network(app)));
    lines.push(Line::raw(""));
    lines.push(Line::raw(format!("Type the word {} to go on: {}_", app.consent_word(), draft.word)));
    lines.extend(problems(app));
    lines
}

fn network(app: &App) -> String {
    let Trying::Tried(findings) = &app.trying else { return "The network has not been tried.".to_owned() };
    let bad = findings.iter().filter(|finding| finding.verdict == Verdict::Bad).count();
    if bad == 0 {
        "The network was tried, and works.".to_owned()
    } else {
        "! The network was tried, and does NOT work as given.".to_owned()
    }
}
