//! Drawing. Plain characters and few colours: it must be readable on any terminal, and cheap on a serial line.

use maekin_image::manifest::Manifest;
use ratatui::Frame;
use ratatui::layout::Rect;
use ratatui::style::{Color, Modifier, Style};
use ratatui::text::{Line, Span};
use ratatui::widgets::{Paragraph, Wrap};

use super::app::{App, LOG_PAGE, Page, WELCOME};
use super::form::{Form, Kind};
use crate::facts::{Disk, Facts, size_text};
use crate::plan::{describe, select};

const WIDTH: usize = 80;
/// Lines between title and footer.
const BODY: Rect = Rect { x: 1, y: 2, width: 78, height: 20 };
/// Lines between title and log, on screens that leave their lower part to the log.
const SHORT_BODY: Rect = Rect { x: 1, y: 2, width: 78, height: 16 };

/// Draws the screen that `app` is on.
pub fn draw(app: &App, frame: &mut Frame<'_>) {
    let (title, keys) = title_and_keys(app);
    text(frame, Rect { x: 0, y: 0, width: 80, height: 1 }, vec![title_line(app, title)]);
    let (body, footer) = if app.shows_log_lines() { (SHORT_BODY, 18) } else { (BODY, 23) };
    text(frame, body, lines(app));
    let style = Style::default().add_modifier(Modifier::DIM);
    text(frame, Rect { x: 1, y: footer, width: 78, height: 1 }, vec![Line::styled(keys, style)]);
}

fn text(frame: &mut Frame<'_>, area: Rect, lines: Vec<Line<'_>>) {
    frame.render_widget(Paragraph::new(lines).wrap(Wrap { trim: false }), area);
}

fn title_line(app: &App, title: &str) -> Line<'static> {
    let left = format!(" Maekin{} | {title}", version(app.manifest.as_ref()));
    let right = app.facts.as_ref().map_or_else(String::new, |facts| {
        format!("{}, {} of memory ", facts.firmware, size_text(facts.memory))
    });
    let gap = WIDTH.saturating_sub(left.chars().count() + right.chars().count());
    let style = Style::default().add_modifier(Modifier::REVERSED);
    Line::styled(format!("{left}{}{right}", " ".repeat(gap)), style)
}

fn version(manifest: Option<&Manifest>) -> String {
    manifest.map_or_else(String::new, |m| format!(" {}", m.version))
}

fn title_and_keys(app: &App) -> (&'static str, &'static str) {
    let form = "Up Down: field   Left Right: choose   Enter: next   Esc: back";
    match app.page {
        Page::Starting => ("starting the installer", ""),
        Page::Welcome => ("installer", "Up Down: move   Enter: choose"),
        Page::Drives => {
            ("drives", "Up Down: move   Space: take or leave   r: look again   Enter: next   Esc: back")
        }
        Page::Node => ("this node", form),
        Page::Network => ("network", form),
        Page::Cluster => ("cluster", form),
        Page::Plan => ("what will happen", "Enter: do it   Esc: back"),
        Page::Progress => ("installing", ""),
        Page::Done => ("installed", ""),
        Page::Failed => ("failed", "r: try again   l: log   s: shell   b: reboot   p: power off"),
        Page::Log => ("log", "Up Down PageUp PageDown: move   q: back"),
    }
}

fn lines(app: &App) -> Vec<Line<'static>> {
    match app.page {
        Page::Starting => vec![Line::raw("Looking at this machine ...")],
        Page::Welcome => welcome(app),
        Page::Drives => drives(app),
        Page::Node => form(app, "How is this node called, and who may administer it?", |d| &d.node),
        Page::Network => form(app, "Its first network interface, which carries the cluster:", |d| &d.network),
        Page::Cluster => form(app, "Is it the first node of a new cluster?", |d| &d.cluster),
        Page::Plan => plan(app),
        Page::Progress => progress(app),
        Page::Done => done(app),
        Page::Failed => failed(app),
        Page::Log => app.log.iter().skip(app.scroll).take(LOG_PAGE).map(|l| Line::raw(cut(l, 78))).collect(),
    }
}

fn red(text: String) -> Line<'static> {
    Line::styled(text, Style::default().fg(Color::Red).add_modifier(Modifier::BOLD))
}

fn marked(text: String, focus: bool) -> Line<'static> {
    if focus {
        Line::styled(text, Style::default().add_modifier(Modifier::REVERSED))
    } else {
        Line::raw(text)
    }
}

/// The first `width` characters, with a sign where something is missing.
fn cut(text: &str, width: usize) -> String {
    if text.chars().count() <= width {
        return text.to_owned();
    }
    text.chars().take(width.saturating_sub(1)).chain(['~']).collect()
}

fn welcome(app: &App) -> Vec<Line<'static>> {
    let mut lines = vec![
        Line::raw("This makes the machine a node of Maekin, a cluster for virtual machines."),
        Line::raw("Nothing is written before you have seen and confirmed what will be lost."),
        Line::raw(""),
    ];
    if app.throw_away() {
        lines.push(red("This release is signed with a throw-away key: for trying out only.".to_owned()));
        lines.push(Line::raw(""));
    }
    if let Some(facts) = &app.facts {
        let machine = format!("{} {}", facts.dmi.vendor, facts.dmi.product);
        lines.push(Line::raw(cut(format!("Machine: {}", machine.trim()).as_str(), 78)));
        lines.push(Line::raw(format!(
            "Drives: {}   Network interfaces: {}",
            facts.disks.iter().filter(|d| !d.holds_medium).count(),
            facts.nics.len()
        )));
        lines.push(Line::raw(""));
    }
    for (i, item) in WELCOME.iter().enumerate() {
        lines.push(marked(format!(" {item} "), i == app.cursor));
    }
    lines
}

fn drives(app: &App) -> Vec<Line<'static>> {
    let (Some(facts), Some(draft)) = (&app.facts, &app.draft) else { return Vec::new() };
    let mut lines = vec![
        Line::raw("Which drives? Two become a mirror, and either one alone boots the machine."),
        Line::raw(""),
    ];
    // Two lines a drive; the one under the cursor is always in sight.
    let first = draft.cursor.saturating_sub(5);
    for (i, disk) in facts.disks.iter().enumerate().skip(first).take(7) {
        let order = draft.drives.iter().position(|d| *d == i);
        let mark = order.map_or_else(|| "[ ]".to_owned(), |n| format!("[{}]", n + 1));
        lines.push(marked(cut(&format!(" {mark} {} ", disk.title()), 78), i == draft.cursor));
        lines.push(drive_detail(facts, disk));
    }
    if facts.disks.is_empty() {
        lines.push(red("No drive was found.".to_owned()));
    }
    lines.push(Line::raw(""));
    lines.extend(app.problems.iter().map(|p| red(p.clone())));
    lines
}

fn drive_detail(facts: &Facts, disk: &Disk) -> Line<'static> {
    let objections = select::objections(facts, disk);
    if let Some(first) = objections.first() {
        return Line::styled(
            cut(&format!("       cannot be used: {}", first.reason), 78),
            Style::default().add_modifier(Modifier::DIM),
        );
    }
    let words = disk.contents.brief();
    if disk.contents.is_free() {
        return Line::raw(format!("       {words}"));
    }
    let style = Style::default().fg(Color::Red);
    Line::from(vec![Span::raw("       holds: "), Span::styled(cut(&words, 60), style)])
}

fn form(app: &App, question: &'static str, pick: fn(&super::draft::Draft) -> &Form) -> Vec<Line<'static>> {
    let Some(draft) = &app.draft else { return Vec::new() };
    let form = pick(draft);
    let mut lines = vec![Line::raw(question), Line::raw("")];
    for (field, focus) in form.shown() {
        let value = match &field.kind {
            Kind::Text => format!("{}_", tail(&field.value, 55)),
            Kind::Secret => format!("{}_", "*".repeat(field.value.chars().count().min(55))),
            Kind::Choice(_) => format!("< {} >", field.value),
        };
        lines.push(marked(format!(" {:<16} {value} ", field.label), focus));
    }
    lines.push(Line::raw(""));
    if let Some(field) = form.focused() {
        lines.push(Line::raw(format!("{}: {}", field.label, field.help)));
    }
    lines.push(Line::raw(""));
    lines.extend(app.problems.iter().map(|p| red(p.clone())));
    lines
}

/// The last `width` characters: where the cursor is.
fn tail(text: &str, width: usize) -> String {
    let skip = text.chars().count().saturating_sub(width);
    text.chars().skip(skip).collect()
}

fn plan(app: &App) -> Vec<Line<'static>> {
    let (Some(plan), Some(draft)) = (&app.plan, &app.draft) else { return Vec::new() };
    let mut lines: Vec<Line<'static>> = describe::summary(plan).into_iter().map(Line::raw).collect();
    for drive in &plan.drives {
        lines.push(Line::raw(cut(&format!("  {}", drive.title), 78)));
    }
    lines.push(Line::raw(""));
    let losses = describe::losses(plan);
    if losses.is_empty() {
        lines.push(Line::raw("Nothing is lost: the drives are blank."));
    } else {
        lines.push(red("THIS WILL BE LOST FOR EVER:".to_owned()));
        let room = 9;
        for loss in losses.iter().take(room) {
            lines.push(red(format!("  {}", cut(loss, 74))));
        }
        if losses.len() > room {
            lines.push(red(format!("  ... and {} things more", losses.len() - room)));
        }
    }
    lines.push(Line::raw(""));
    lines.push(Line::raw(format!("Type the word {} to go on: {}_", app.consent_word(), draft.word)));
    lines.extend(app.problems.iter().map(|p| red(p.clone())));
    lines
}

fn progress(app: &App) -> Vec<Line<'static>> {
    let mut lines = Vec::new();
    if let Some(plan) = &app.plan {
        lines.extend(describe::summary(plan).into_iter().map(Line::raw));
        lines.extend(plan.drives.iter().map(|d| Line::raw(cut(&format!("  {}", d.title), 78))));
    }
    if app.throw_away() {
        lines.push(red("signed with a throw-away key: for trying out only".to_owned()));
    }
    let (index, total, label) = &app.step;
    let filled = usize::from(app.percent) / 2;
    lines.push(Line::raw(""));
    lines.push(Line::raw(format!("Step {index} of {total}: {label}")));
    lines.push(Line::raw(""));
    lines.push(Line::raw(format!(
        "[{}{}] {:>3} %",
        "#".repeat(filled),
        ".".repeat(50 - filled),
        app.percent
    )));
    lines
}

fn done(app: &App) -> Vec<Line<'static>> {
    let mut lines: Vec<Line<'static>> =
        app.plan.iter().flat_map(|plan| describe::summary(plan).into_iter().map(Line::raw)).collect();
    lines.push(Line::raw(""));
    let style = Style::default().fg(Color::Green).add_modifier(Modifier::BOLD);
    let last = app.log.iter().rev().find(|l| l.starts_with("done in"));
    lines.push(Line::styled(last.cloned().unwrap_or_default(), style));
    lines.push(Line::raw("The install medium can be taken out."));
    lines
}

fn failed(app: &App) -> Vec<Line<'static>> {
    let Some(failure) = &app.failure else { return Vec::new() };
    let (heading, rest) = if failure.refused {
        ("The installation was refused.", "Nothing was written.")
    } else {
        ("The installation failed.", "Nothing half installed will boot.")
    };
    let mut lines = vec![red(heading.to_owned()), Line::raw("")];
    lines.extend(failure.text.lines().take(12).map(|l| Line::raw(l.to_owned())));
    lines.push(Line::raw(""));
    lines.push(Line::raw(format!("{rest} This screen stays until a key is pressed.")));
    lines
}
