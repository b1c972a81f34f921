//! The screens on which a person chooses: welcome, drives, forms.

use ratatui::style::{Color, Style};
use ratatui::text::{Line, Span};

use super::{cut, item, marked, problems, red, wrapped};
use crate::facts::{Disk, Facts};
use crate::plan::select;
use crate::tui::app::{App, WELCOME};
use crate::tui::draft::Draft;
use crate::tui::form::{Form, Kind};

pub(super) fn welcome(app: &App, width: usize) -> Vec<Line<'static>> {
    let mut lines = vec![
        Line::raw("This makes the machine a node of Maekin, a cluster for virtual machines."),
        Line::raw("Nothing is written before you have seen and confirmed what will be lost."),
        Line::raw(""),
    ];
    if app.throw_away() {
        lines.push(red("! This release is signed with a throw-away key: for trying out only."));
        lines.push(Line::raw(""));
    }
    if let Some(facts) = &app.facts {
        let machine = format!("{} {}", facts.dmi.vendor, facts.dmi.product);
        lines.push(Line::raw(cut(&format!("Machine: {}", machine.trim()), width)));
        lines.push(Line::raw(format!(
            "Drives: {}   Network interfaces: {}",
            facts.disks.iter().filter(|d| !d.holds_medium).count(),
            facts.nics.len()
        )));
    }
    if let Some(previous) = app.draft.as_ref().and_then(|draft| draft.previous.as_ref()) {
        lines.extend(wrapped(&format!("This machine was {previous}."), width).into_iter().map(Line::raw));
    }
    lines.push(Line::raw(""));
    lines.extend(WELCOME.iter().enumerate().map(|(i, text)| item(text, i == app.cursor)));
    lines
}

pub(super) fn drives(app: &App, width: usize, height: usize) -> Vec<Line<'static>> {
    let (Some(facts), Some(draft)) = (&app.facts, &app.draft) else { return Vec::new() };
    let mut lines = vec![
        Line::raw("Which drives? Two become a mirror, and either one alone boots the machine."),
        Line::raw("Drives that are not chosen are kept as they are."),
        Line::raw(""),
    ];
    // Up to three lines a drive; the one under the cursor is always in sight, and the room for problems is kept.
    let room = (height.saturating_sub(lines.len() + 3) / 3).max(1);
    let first = draft.cursor.saturating_sub(room.saturating_sub(1));
    for (i, disk) in facts.disks.iter().enumerate().skip(first).take(room) {
        let order = draft.drives.iter().position(|d| *d == i);
        let mark = order.map_or_else(|| "[ ]".to_owned(), |n| format!("[{}]", n + 1));
        lines.push(marked(cut(&format!(" {mark} {} ", disk.title()), width), i == draft.cursor));
        lines.push(contents(facts, disk, order.is_some(), width));
        lines.extend(health(disk, width));
    }
    let below = facts.disks.len().saturating_sub(first + room);
    if below > 0 {
        lines.push(Line::raw(format!(" ... {below} more below")));
    }
    if facts.disks.is_empty() {
        lines.push(red("! No drive was found: is its controller in RAID mode, or its driver unknown?"));
    }
    lines.push(Line::raw(""));
    lines.extend(problems(app));
    lines
}

/// What is on a drive, and what becomes of it.
fn contents(facts: &Facts, disk: &Disk, chosen: bool, width: usize) -> Line<'static> {
    let words = disk.contents.brief();
    if let Some(first) = select::objections(facts, disk).first() {
        return Line::raw(cut(&format!("       cannot be used: {}", first.reason), width));
    }
    match (disk.contents.is_free(), chosen) {
        (true, _) => Line::raw(format!("       {words}")),
        (false, true) => {
            let style = Style::default().fg(Color::Red);
            Line::from(vec![
                Span::raw("       "),
                Span::styled(cut(&format!("WILL BE LOST: {words}"), width.saturating_sub(7)), style),
            ])
        }
        (false, false) => Line::raw(cut(&format!("       kept: {words}"), width)),
    }
}

/// What a drive says of its own health, where there is something to say.
fn health(disk: &Disk, width: usize) -> Option<Line<'static>> {
    let health = disk.health.as_ref()?;
    let mut words = health.complaints.clone();
    if !health.passed && words.is_empty() {
        words.push("it says that it is failing".to_owned());
    }
    if let Some(worn) = health.worn.filter(|worn| *worn >= 80) {
        words.push(format!("{worn} % of its life is used up"));
    }
    if !health.passed {
        return Some(red(cut(&format!("     ! SMART: FAILING: {}", words.join(", ")), width)));
    }
    let hours = health.hours.map(|hours| format!("{hours} hours"));
    let all: Vec<String> = words.into_iter().chain(hours).collect();
    let text = if all.is_empty() { "good".to_owned() } else { format!("good, {}", all.join(", ")) };
    Some(Line::raw(cut(&format!("       SMART: {text}"), width)))
}

pub(super) fn node(app: &App, width: usize) -> Vec<Line<'static>> {
    let mut lines = form(app, "How is this node called, and who may administer it?", |d| &d.node, width);
    if let Some(previous) = app.draft.as_ref().and_then(|draft| draft.previous.as_ref()) {
        lines.insert(1, Line::raw("The host name proposed is its old one. This machine was"));
        lines.insert(2, Line::raw(cut(&format!("{previous}."), width)));
    }
    lines
}

pub(super) fn form(
    app: &App,
    question: &'static str,
    pick: fn(&Draft) -> &Form,
    width: usize,
) -> Vec<Line<'static>> {
    let Some(draft) = &app.draft else { return Vec::new() };
    let mut lines = vec![Line::raw(question), Line::raw("")];
    lines.extend(fields(pick(draft), width));
    lines.push(Line::raw(""));
    lines.extend(problems(app));
    lines
}

/// The fields of a form, and a line of help for the one with the cursor.
pub(super) fn fields(form: &Form, width: usize) -> Vec<Line<'static>> {
    let room = width.saturating_sub(23);
    let mut lines = Vec::new();
    for (field, focus) in form.shown() {
        let value = match &field.kind {
            Kind::Text => format!("{}_", tail(&field.value, room)),
            Kind::Secret => format!("{}_", "*".repeat(field.value.chars().count().min(room))),
            Kind::Choice(_) => format!("< {} >", field.value),
        };
        lines.push(item(&format!("{:<16} {value}", field.label), focus));
    }
    lines.push(Line::raw(""));
    if let Some(field) = form.focused() {
        lines.push(Line::raw(format!("{}: {}", field.label, field.help)));
    }
    lines
}

/// The last `width` characters: where the cursor is.
fn tail(text: &str, width: usize) -> String {
    let skip = text.chars().count().saturating_sub(width);
    text.chars().skip(skip).collect()
}
