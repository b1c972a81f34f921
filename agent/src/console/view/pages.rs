//! Status, network and logs, and what all pages are made of.

use maekin_api::cluster::{Cluster, MemberState};
use maekin_api::install::Progress;
use maekin_api::network::{NodeNetwork, TrialState};
use maekin_api::node::{LocalPool, Node};
use maekin_api::storage::{CRITICAL_PERCENT, NodeStorage, WARN_PERCENT};
use maekin_api::tasks::UnderWay;

use super::super::model::Snapshot;
use super::cluster::ago;
use super::{Line, Sheet, boot, cut, install};
use crate::cli::progress_text;
use crate::run::membership_text;

/// Where the values of a page begin.
pub(super) const INDENT: usize = 16;
/// Columns for a value.
const VALUE: usize = 78 - INDENT;
/// Columns of a line of the journal.
const LOG: usize = 79;
/// Members that are named when they are not ready.
const NAMED: usize = 8;
/// Tasks that are named.
const TASKS: usize = 3;

pub(super) fn field(name: &str, value: &str) -> String {
    format!(" {name:<width$}{value}", width = INDENT - 1)
}

/// The same over as many lines as it takes.
pub(super) fn fields(name: &str, value: &str, style: fn(String) -> Line) -> Vec<Line> {
    let parts = wrap(value, VALUE).into_iter().enumerate();
    parts.map(|(i, part)| style(field(if i == 0 { name } else { "" }, &part))).collect()
}

pub(super) fn rule(title: &str) -> Line {
    Line::bold(format!(" {title}"))
}

/// Why there is nothing to show.
pub(super) fn problem(text: &str) -> Vec<Line> {
    let lines = wrap(text, 78).into_iter().map(|part| Line::bad(format!(" {part}")));
    std::iter::once(Line::plain("")).chain(lines).collect()
}

/// What this node is, and whether it is well: what is wrong comes first.
pub(super) fn status(snapshot: &Snapshot, now: u64) -> Sheet {
    let Some(node) = &snapshot.node else { return Sheet { head: vec![], body: problem(&snapshot.problem) } };
    let mut lines = boot::alarms(&node.alarms);
    let alarmed = !lines.is_empty();
    let release = format!("{}, slot {}, {}", node.version, node.slot, node.firmware);
    lines.extend([
        Line::plain(field("Node", &format!("{}  {}", cut(&node.name, 24), node.id))),
        Line::plain(field("Release", &release)),
    ]);
    // The line at the top says so too; while something is wrong, that has the room.
    if node.key == "throw-away" && !alarmed {
        lines.push(Line::warn(field("Key", "throw-away: proves only that all came from one build")));
    }
    lines.extend(boot::drives(&node.boot_drives));
    lines.extend(pool(&node.local_pool, node.storage.as_ref()));
    let urls = node.urls.iter().take(if alarmed { 1 } else { 4 }).enumerate();
    lines.extend(urls.map(|(i, url)| Line::plain(field(if i == 0 { "Address" } else { "" }, url))));
    if node.urls.is_empty() {
        lines.push(Line::warn(field("Address", "none yet")));
    }
    lines.push(Line::plain(""));
    lines.extend(membership(node, snapshot, now));
    Sheet { head: vec![], body: lines }
}

#[allow(clippy::cast_precision_loss)] // a size for people
fn pool(pool: &LocalPool, storage: Option<&NodeStorage>) -> Vec<Line> {
    match pool {
        LocalPool::Pending => fields("Local pool", "not looked at yet", Line::plain),
        LocalPool::Ready { size } => {
            let mut text = format!("ready, {:.1} GiB", *size as f64 / f64::from(1 << 30));
            let mut style: fn(String) -> Line = Line::plain;
            // Until there are volumes there is nothing in it.
            if let Some(storage) = storage.filter(|storage| storage.volumes > 0) {
                let (used, volumes) = (storage.used_share / 100, storage.volumes);
                let s = if volumes == 1 { "" } else { "s" };
                text.push_str(&format!(", {used}% used, {volumes} volume{s}"));
                style = match used {
                    full if full >= u16::from(CRITICAL_PERCENT) => Line::bad,
                    full if full >= u16::from(WARN_PERCENT) => Line::warn,
                    _ => Line::plain,
                };
            }
            fields("Local pool", &text, style)
        }
        LocalPool::Failed { reason } => fields("Local pool", reason, Line::bad),
    }
}

fn membership(node: &Node, snapshot: &Snapshot, now: u64) -> Vec<Line> {
    let Some(cluster) = &snapshot.cluster else {
        let mut lines = fields("Cluster", &membership_text(&node.membership), Line::warn);
        lines.extend(fields("", &snapshot.problem, Line::bad));
        return lines;
    };
    let mut lines = members(cluster);
    lines.push(install::window(cluster, now));
    if let Some(maintenance) = &node.maintenance {
        let reason = if maintenance.reason.is_empty() { "no reason was said" } else { &maintenance.reason };
        let text = format!("since {}: {reason}", ago(now.saturating_sub(maintenance.since)));
        lines.extend(fields("Maintenance", &text, Line::warn));
    }
    for task in node.tasks.iter().take(TASKS) {
        lines.push(Line::plain(field("Task", &under_way(task))));
    }
    if let more @ 1.. = node.tasks.len().saturating_sub(TASKS) {
        lines.push(Line::plain(field("", &format!("and {more} more: `maekin get tasks`"))));
    }
    let running = |p: &Progress| !matches!(p, Progress::Joined);
    for install in snapshot.installs.iter().filter(|i| running(&i.progress)).take(4) {
        let name = cut(&install.hostname, 20);
        let text = format!("{name:<12} {}", progress_text(&install.progress));
        lines.push(Line::plain(field("Installing", &text)));
    }
    lines
}

/// A task in a line.
fn under_way(task: &UnderWay) -> String {
    let subject =
        if task.subject.is_empty() { String::new() } else { format!(" of {}", cut(&task.subject, 18)) };
    let owner = match task.owner.as_str() {
        "" => "waits".to_owned(),
        owner => format!("by {}", cut(owner, 14)),
    };
    format!("{}{subject}, {owner}", cut(&task.kind, 20))
}

/// How many members there are, and which of them are not ready.
fn members(cluster: &Cluster) -> Vec<Line> {
    // One in maintenance may be away.
    let away: Vec<_> = cluster.nodes.iter().filter(|n| n.state != MemberState::Ready).collect();
    let planned = away.iter().filter(|n| n.maintenance.is_some()).count();
    let lost: Vec<&str> = away.iter().filter(|n| n.maintenance.is_none()).map(|n| n.name.as_str()).collect();
    let all = cluster.nodes.len();
    let planned = if planned > 0 { format!(", {planned} away in maintenance") } else { String::new() };
    let text = format!("{}: {all} members, {} ready{planned}", cut(&cluster.name, 24), all - away.len());
    if lost.is_empty() {
        return vec![Line::plain(field("Cluster", &text))];
    }
    let mut lines = vec![Line::warn(field("Cluster", &text))];
    let names: Vec<String> = lost.iter().take(NAMED).map(|name| cut(name, 24)).collect();
    let more = lost.len().saturating_sub(NAMED);
    let more = if more > 0 { format!(" and {more} more") } else { String::new() };
    lines.extend(fields("  not ready", &format!("{}{more}", names.join(", ")), Line::bad));
    lines
}

/// Interfaces and addresses.
pub(super) fn network(snapshot: &Snapshot, now: u64) -> Sheet {
    let Some(node) = &snapshot.node else { return Sheet { head: vec![], body: problem(&snapshot.problem) } };
    let head =
        vec![rule(&format!("{:<16} {:<18} {:<6} {}", "Interface", "Hardware address", "Link", "Addresses"))];
    let mut body = Vec::new();
    for interface in &node.interfaces {
        let link = if interface.up { "up" } else { "down" };
        let first = interface.addresses.first().map_or("-", String::as_str);
        let (name, mac) = (cut(&interface.name, 16), cut(&interface.mac, 18));
        // An IPv6 address may need more than what is left of a line.
        let long = first.chars().count() > 35;
        let beside = if long { "" } else { first };
        body.push(Line::plain(format!(" {name:<16} {mac:<18} {link:<6} {beside}")));
        let below = interface.addresses.iter().skip(usize::from(!long));
        body.extend(below.map(|a| Line::plain(format!("{:>width$}", a, width = (44 + a.len()).min(79)))));
    }
    body.push(Line::plain(""));
    body.extend(snapshot.network.iter().flat_map(|own| trial(own, node.time, now)));
    body.push(rule("The API of this node"));
    body.extend(node.urls.iter().map(|url| Line::plain(format!(" {url}"))));
    if node.urls.is_empty() {
        body.push(Line::warn(" no address yet"));
    }
    Sheet { head, body }
}

/// The trial of another network; how one is begun.
fn trial(own: &NodeNetwork, read: u64, now: u64) -> Vec<Line> {
    let mut lines = Vec::new();
    let Some(trial) = &own.trial else {
        let text = "another address (e): it goes back by itself unless it is confirmed";
        return vec![Line::plain(field("Change", text)), Line::plain("")];
    };
    let changes = |lines: &mut Vec<Line>| {
        for change in trial.changes.iter().take(4) {
            lines.extend(fields("", change, Line::plain));
        }
    };
    match trial.state {
        TrialState::Trying => {
            let left = trial.seconds_left.unwrap_or(0).saturating_sub(now.saturating_sub(read)).min(60);
            let text = format!("a network is being tried; it goes back in {left} s: c keeps it, v does not");
            lines.extend(fields("TRIAL", &text, Line::warn));
            changes(&mut lines);
        }
        TrialState::Confirmed => {
            lines.extend(fields("Change", &format!("{}; another one: e", trial.why), Line::plain));
        }
        TrialState::Reverted => {
            lines.extend(fields("Put back", &trial.why, Line::bad));
            changes(&mut lines);
            lines.extend(fields("", "another one: e", Line::plain));
        }
    }
    lines.push(Line::plain(""));
    lines
}

/// The end of the journal; what is longer than a line goes on below it, indented.
pub(super) fn logs(logs: &[String]) -> Sheet {
    let body = logs.iter().flat_map(|line| {
        let letters: Vec<char> = line.chars().collect();
        let (first, rest) = letters.split_at(letters.len().min(LOG));
        let rest = rest.chunks(LOG - 4).map(|part| format!("    {}", part.iter().collect::<String>()));
        let first: String = first.iter().collect();
        std::iter::once(first).chain(rest).map(Line::plain).collect::<Vec<_>>()
    });
    let head = vec![rule("Journal (arrows and page keys scroll, r reads it again)")];
    Sheet { head, body: body.collect() }
}

/// Breaks a text between words into lines of at most `width` characters; a longer word is broken too.
pub(super) fn wrap(text: &str, width: usize) -> Vec<String> {
    let width = width.max(1);
    let mut lines: Vec<String> = Vec::new();
    for word in text.split_whitespace() {
        let letters: Vec<char> = word.chars().collect();
        for (i, part) in letters.chunks(width).enumerate() {
            match lines.last_mut() {
                Some(line) if i == 0 && line.chars().count() + 1 + part.len() <= width => {
                    line.push(' ');
                    line.extend(part);
                }
                _ => lines.push(part.iter().collect()),
            }
        }
    }
    lines
}
