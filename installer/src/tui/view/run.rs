//! The screens while it is installed, and at its end.

use ratatui::style::{Color, Modifier, Style};
use ratatui::text::Line;

use super::{cut, red, wrapped};
use crate::plan::describe;
use crate::tui::app::App;
use crate::tui::meter::seconds_text;

/// Characters of the bar.
const BAR: usize = 50;

pub(super) fn progress(app: &App, width: usize) -> Vec<Line<'static>> {
    let mut lines = Vec::new();
    if let Some(plan) = &app.plan {
        lines.extend(describe::summary(plan).into_iter().map(Line::raw));
        lines.extend(plan.drives.iter().map(|d| Line::raw(cut(&format!("  {}", d.title), width))));
    }
    if app.throw_away() {
        lines.push(red("! signed with a throw-away key: for trying out only"));
    }
    let (index, total, label) = &app.step;
    let shown = app.meter.shown();
    let filled = usize::from(shown.percent) * BAR / 100;
    lines.push(Line::raw(""));
    lines.push(Line::raw(cut(&format!("Step {index} of {total}: {label}"), width)));
    lines.push(Line::raw(match (shown.rate, shown.step_left) {
        (Some(rate), Some(left)) => {
            format!("  {}, {} left of this step", rate_text(rate), seconds_text(left))
        }
        _ => String::new(),
    }));
    lines.push(Line::raw(""));
    lines.push(Line::raw(format!(
        "[{}{}] {:>3} %",
        "#".repeat(filled),
        ".".repeat(BAR - filled),
        shown.percent
    )));
    let left = shown.left.map_or_else(String::new, |left| format!(", about {} left", seconds_text(left)));
    lines.push(Line::raw(format!(" {} so far{left}", seconds_text(shown.elapsed))));
    lines
}

fn rate_text(rate: u64) -> String {
    let tenths = rate / 100_000;
    format!("{}.{} MB/s", tenths / 10, tenths % 10)
}

pub(super) fn done(app: &App, width: usize) -> Vec<Line<'static>> {
    let mut lines: Vec<Line<'static>> =
        app.plan.iter().flat_map(|plan| describe::summary(plan).into_iter().map(Line::raw)).collect();
    lines.push(Line::raw(""));
    if let Some(done) = &app.done {
        let style = Style::default().fg(Color::Green).add_modifier(Modifier::BOLD);
        lines.push(Line::styled(format!("Installed in {:.0} seconds.", done.seconds), style));
        lines.push(Line::raw(""));
        lines.push(Line::raw("The receipt with everything that was done:"));
        let places = done.places.iter().flat_map(|place| wrapped(place, width - 2));
        lines.extend(places.map(|line| Line::raw(format!("  {line}"))));
        lines.push(Line::raw(""));
    }
    lines.push(Line::raw("The install medium can be taken out."));
    lines.push(Line::raw(if app.stay {
        "This screen stays: b reboots into the installed system."
    } else {
        "The machine goes on by itself in a few seconds; any key keeps this screen."
    }));
    lines.extend(saved(app, width));
    lines
}

pub(super) fn failed(app: &App, width: usize, height: usize) -> Vec<Line<'static>> {
    let Some(failure) = &app.failure else { return Vec::new() };
    let (heading, rest) = if failure.refused {
        ("The installation was refused.", "Nothing was written.")
    } else {
        ("The installation failed.", "Nothing half installed will boot.")
    };
    let mut lines = vec![red(format!("! {heading}")), Line::raw("")];
    let end =
        [vec![Line::raw(""), Line::raw(format!("{rest} r begins anew, from the start."))], saved(app, width)]
            .concat();
    let reason: Vec<String> = failure.reasons().flat_map(|line| wrapped(line, width)).collect();
    let room = height.saturating_sub(lines.len() + end.len() + 1);
    let hidden = reason.len().saturating_sub(room);
    lines.extend(reason.into_iter().take(room).map(Line::raw));
    if hidden > 0 {
        lines.push(Line::raw(format!("... {hidden} more lines: l shows the log")));
    }
    lines.extend(end);
    lines
}

/// What became of saving the log.
fn saved(app: &App, width: usize) -> Vec<Line<'static>> {
    let (text, good) = match &app.saved {
        None => return Vec::new(),
        Some(Ok(place)) => (format!("The log is saved: {place}"), true),
        Some(Err(reason)) => (format!("! The log is not saved: {reason}"), false),
    };
    let lines = wrapped(&text, width).into_iter().map(|line| if good { Line::raw(line) } else { red(line) });
    std::iter::once(Line::raw("")).chain(lines).collect()
}
