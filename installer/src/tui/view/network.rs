//! The network: its ports with what is at the other end of their cables, its form, and its trial.

use ratatui::style::{Color, Style};
use ratatui::text::Line;

use super::choose::fields;
use super::{cut, item, problems, red};
use crate::facts::Nic;
use crate::trial::{Finding, Verdict};
use crate::tui::app::{App, TRIAL, Trying};

pub(super) fn form(app: &App, width: usize, height: usize) -> Vec<Line<'static>> {
    let (Some(draft), Some(facts)) = (&app.draft, &app.facts) else { return Vec::new() };
    let mut below = fields(&draft.network, width);
    let problems = problems(app);
    let room = |below: &[Line<'_>]| height.saturating_sub(below.len() + problems.len() + 3).max(1);
    // While ports are being chosen their list comes first; what is below goes out of sight.
    let choosing = draft.network.focused().is_some_and(|field| ["Port", "Ports"].contains(&field.label));
    if choosing && room(&below) < facts.nics.len() {
        let rest = below.split_off(2);
        below.push(Line::raw("   ..."));
        below.extend(rest.into_iter().rev().take(2).rev());
    }
    let room = room(&below);
    let chosen = draft.network.value("Port");
    let at =
        facts.nics.iter().position(|nic| !chosen.is_empty() && chosen.starts_with(&format!("{} ", nic.name)));
    let first = at.unwrap_or(0).saturating_sub(room.saturating_sub(1));
    let mut lines = vec![Line::raw(cut(
        &format!(
            " # {:<11} {:<9} {:<17} {:<7} {}",
            "port", "driver", "address", "link", "switch and its port"
        ),
        width,
    ))];
    for (i, nic) in facts.nics.iter().enumerate().skip(first).take(room) {
        lines.push(Line::raw(cut(&port(i + 1, nic), width)));
    }
    let hidden = facts.nics.len().saturating_sub(room);
    lines.push(Line::raw(if hidden > 0 { format!("    ... {hidden} more") } else { String::new() }));
    lines.extend(below);
    lines.extend(problems);
    lines
}

fn port(number: usize, nic: &Nic) -> String {
    let far = nic.lldp.as_ref().map_or_else(String::new, |far| {
        let who = if far.system.is_empty() { &far.chassis } else { &far.system };
        let vlan = far.vlan.map_or_else(String::new, |id| format!(" VLAN {id}"));
        format!("{who} {}{vlan}", far.port)
    });
    format!(
        "{number:>2} {:<11} {:<9} {:<17} {:<7} {far}",
        cut(&nic.name, 11),
        cut(&nic.driver, 9),
        nic.mac,
        link(nic)
    )
}

fn link(nic: &Nic) -> String {
    match (nic.link, nic.speed) {
        (None, _) => "?".to_owned(),
        (Some(false), _) => "NO LINK".to_owned(),
        (Some(true), Some(speed @ 1000..)) if speed % 1000 == 0 => format!("up {}G", speed / 1000),
        (Some(true), Some(speed @ 1000..)) => format!("up {}.{}G", speed / 1000, speed % 1000 / 100),
        (Some(true), Some(speed)) => format!("up {speed}M"),
        (Some(true), None) => "up".to_owned(),
    }
}

pub(super) fn trial(app: &App, width: usize, height: usize) -> Vec<Line<'static>> {
    let mut lines = vec![
        Line::raw("Does this network work? It is set up as it will be, looked at, and put back."),
        Line::raw("Nothing is written to a drive by that."),
        Line::raw(""),
    ];
    if let Trying::Now(text) = &app.trying {
        lines.push(Line::raw(format!("{text} ...")));
        return lines;
    }
    lines.extend(TRIAL.iter().enumerate().map(|(i, text)| item(text, i == app.cursor)));
    lines.push(Line::raw(""));
    lines.extend(problems(app));
    let results = results(app, width);
    let room = height.saturating_sub(lines.len() + 1);
    let first = app.scroll.min(results.len().saturating_sub(room));
    let hidden = results.len().saturating_sub(first + room);
    lines.extend(results.into_iter().skip(first).take(room));
    if hidden > 0 {
        lines.push(Line::raw(format!("-- {hidden} more lines: press PageDown --")));
    }
    lines
}

/// What was found out, a line or more for each thing.
pub(super) fn results(app: &App, width: usize) -> Vec<Line<'static>> {
    match &app.trying {
        Trying::Not | Trying::Now(_) => Vec::new(),
        Trying::Cannot(reason) => {
            let text = format!("It cannot be tried: {reason}.");
            super::wrapped(&text, width).into_iter().map(Line::raw).collect()
        }
        Trying::Tried(findings) => findings.iter().flat_map(|f| finding(f, width)).collect(),
    }
}

fn finding(finding: &Finding, width: usize) -> Vec<Line<'static>> {
    let text = |word: &str| cut(&format!("{word:<9} {}: {}", finding.what, finding.seen), width);
    let mut lines = vec![match finding.verdict {
        Verdict::Good => Line::styled(text("good"), Style::default().fg(Color::Green)),
        Verdict::Bad => red(text("BAD")),
        Verdict::Skipped => Line::raw(text("not tried")),
    }];
    if !finding.remedy.is_empty() {
        let remedy = super::wrapped(&finding.remedy, width.saturating_sub(12));
        lines.extend(remedy.into_iter().map(|line| Line::raw(format!("          {line}"))));
    }
    lines
}
