//! The pages of the menu.

use maekin_api::cluster::{Cluster, MemberState};
use maekin_api::install::{Progress, SeenMachine, Standing};
use maekin_api::node::{LocalPool, Node};

use super::super::model::Snapshot;
use super::{BODY_LINES, Line, boot};
use crate::cli::machines::describe;
use crate::cli::{progress_text, window_text};
use crate::run::membership_text;

/// A machine that did not ask for so long is not in front of anybody, seconds.
const WAITING: u64 = 300;
/// Where the values of the status page begin.
pub(super) const INDENT: usize = 16;

pub(super) fn field(name: &str, value: &str) -> String {
    format!(" {name:<width$}{value}", width = INDENT - 1)
}

fn rule(title: &str) -> Line {
    Line::bold(format!(" {title}"))
}

/// What this node is, and whether it is well.
pub(super) fn status(snapshot: &Snapshot, now: u64) -> Vec<Line> {
    let Some(node) = &snapshot.node else {
        return vec![Line::plain(""), Line::bad(format!(" {}", snapshot.problem))];
    };
    let mut lines = boot::alarms(&node.alarms);
    let alarmed = !lines.is_empty();
    lines.extend([
        Line::plain(field("Node", &format!("{}  {}", node.name, node.id))),
        Line::plain(field("Release", &format!("{}, slot {}, {}", node.version, node.slot, node.firmware))),
    ]);
    // The line at the top says so too; while something is wrong, that has the room.
    if node.key == "throw-away" && !alarmed {
        lines.push(Line::warn(field("Key", "throw-away: proves only that all came from one build")));
    }
    lines.extend(boot::drives(&node.boot_drives));
    lines.push(pool(&node.local_pool));
    let urls = node.urls.iter().take(if alarmed { 1 } else { 4 }).enumerate();
    lines.extend(urls.map(|(i, url)| Line::plain(field(if i == 0 { "Address" } else { "" }, url))));
    if node.urls.is_empty() {
        lines.push(Line::warn(field("Address", "none yet")));
    }
    lines.push(Line::plain(""));
    lines.extend(membership(node, snapshot, now));
    lines
}

#[allow(clippy::cast_precision_loss)] // a size for people
fn pool(pool: &LocalPool) -> Line {
    match pool {
        LocalPool::Pending => Line::plain(field("Local pool", "not looked at yet")),
        LocalPool::Ready { size } => {
            Line::plain(field("Local pool", &format!("ready, {:.1} GiB", *size as f64 / f64::from(1 << 30))))
        }
        LocalPool::Failed { reason } => Line::bad(field("Local pool", reason)),
    }
}

fn membership(node: &Node, snapshot: &Snapshot, now: u64) -> Vec<Line> {
    let Some(cluster) = &snapshot.cluster else {
        let text = wrap(&membership_text(&node.membership), 78 - INDENT);
        let named = text.iter().enumerate().map(|(i, part)| field(if i == 0 { "Cluster" } else { "" }, part));
        let mut lines: Vec<_> = named.map(Line::warn).collect();
        lines
            .extend(wrap(&snapshot.problem, 78 - INDENT).into_iter().map(|part| Line::bad(field("", &part))));
        return lines;
    };
    let ready = cluster.nodes.iter().filter(|n| n.state == MemberState::Ready).count();
    let text = format!("{}: {} members, {ready} ready", cluster.name, cluster.nodes.len());
    let line = field("Cluster", &text);
    let mut lines = vec![
        if ready == cluster.nodes.len() { Line::plain(line) } else { Line::warn(line) },
        window(cluster, now),
    ];
    let running = |p: &Progress| !matches!(p, Progress::Joined);
    for install in snapshot.installs.iter().filter(|i| running(&i.progress)).take(4) {
        lines.push(Line::plain(field(
            "Installing",
            &format!("{:<12} {}", install.hostname, progress_text(&install.progress)),
        )));
    }
    lines
}

fn window(cluster: &Cluster, now: u64) -> Line {
    let line = field("Install window", &window_text(cluster.install_window, now));
    if cluster.install_window.open { Line::warn(line) } else { Line::plain(line) }
}

/// Interfaces and addresses.
pub(super) fn network(snapshot: &Snapshot) -> Vec<Line> {
    let Some(node) = &snapshot.node else { return vec![Line::bad(format!(" {}", snapshot.problem))] };
    let mut lines =
        vec![rule(&format!("{:<16} {:<18} {:<6} {}", "Interface", "Hardware address", "Link", "Addresses"))];
    for interface in &node.interfaces {
        let link = if interface.up { "up" } else { "down" };
        let first = interface.addresses.first().map_or("-", String::as_str);
        lines.push(Line::plain(format!(" {:<16} {:<18} {link:<6} {first}", interface.name, interface.mac)));
        lines.extend(interface.addresses.iter().skip(1).map(|a| Line::plain(format!("{:44}{a}", ""))));
    }
    lines.push(Line::plain(""));
    lines.push(rule("The API of this node"));
    lines.extend(node.urls.iter().map(|url| Line::plain(format!(" {url}"))));
    lines
}

/// Members.
pub(super) fn cluster(snapshot: &Snapshot, scroll: usize) -> Vec<Line> {
    let Some(cluster) = &snapshot.cluster else { return vec![Line::bad(format!(" {}", snapshot.problem))] };
    let mut lines = vec![
        Line::plain(field("Cluster", &format!("{}  {}", cluster.name, cluster.id))),
        Line::plain(field("CA SHA-256", &cluster.ca_sha256)),
        Line::plain(""),
        rule(&format!("{:<18} {:<18} {:<13} {:<10} {}", "Member", "Address", "State", "Version", "Record")),
    ];
    for member in cluster.nodes.iter().skip(scroll) {
        let ready = member.state == MemberState::Ready;
        let state = if ready { "ready" } else { "UNREACHABLE" };
        let voter = if member.voter { "voter" } else { "" };
        let text =
            format!(" {:<18} {:<18} {state:<13} {:<10} {voter}", member.name, member.address, member.version);
        lines.push(if ready { Line::plain(text) } else { Line::bad(text) });
    }
    lines
}

/// Install window and installations.
pub(super) fn install(snapshot: &Snapshot, scroll: usize, now: u64) -> Vec<Line> {
    let Some(cluster) = &snapshot.cluster else { return vec![Line::bad(format!(" {}", snapshot.problem))] };
    let mut lines = vec![
        window(cluster, now),
        Line::plain(field("", "o  open for 1 hour, 16 machines")),
        Line::plain(field("", "d  open for 1 day, 1000 machines")),
        Line::plain(field("", "c  close   a  let a machine in by its code   n  tell it no")),
        Line::plain(""),
    ];
    let waiting: Vec<&SeenMachine> = snapshot
        .machines
        .iter()
        .filter(|m| now.saturating_sub(m.last_seen) < WAITING)
        .filter(|m| !matches!(m.standing, Standing::Approved { .. } | Standing::Installed { .. }))
        .collect();
    if !waiting.is_empty() {
        lines.push(rule("Waiting to be let in (the code is on their screens)"));
        for m in waiting.iter().take(4) {
            let what = m.inventory.as_ref().map(describe).unwrap_or_default();
            let no = if matches!(m.standing, Standing::Denied { .. }) { "DENIED  " } else { "" };
            lines.push(Line::warn(format!(" {}  {}  {no}{what}", m.code, m.mac)));
        }
        if waiting.len() > 4 {
            lines.push(Line::plain(format!(" and {} more: maekin-agent machines", waiting.len() - 4)));
        }
        lines.push(Line::plain(""));
    }
    lines.push(rule(&format!("{:<18} {:<18} {}", "Installation", "Hardware address", "Progress")));
    if snapshot.installs.is_empty() {
        lines.push(Line::plain(" none yet"));
    }
    for install in snapshot.installs.iter().skip(scroll) {
        let text =
            format!(" {:<18} {:<18} {}", install.hostname, install.mac, progress_text(&install.progress));
        lines.push(if matches!(install.progress, Progress::Failed { .. }) {
            Line::bad(text)
        } else {
            Line::plain(text)
        });
    }
    lines
}

/// The end of the journal, `scroll` lines back.
pub(super) fn logs(logs: &[String], scroll: usize) -> Vec<Line> {
    let room = usize::from(BODY_LINES) - 1;
    let end = logs.len().saturating_sub(scroll);
    let from = end.saturating_sub(room);
    let mut lines = vec![rule("Journal (arrows and page keys scroll, r reads it again)")];
    lines.extend(logs[from..end].iter().map(|line| Line::plain(line.clone())));
    lines
}

/// Breaks a text between words into lines of at most `width` characters.
pub(super) fn wrap(text: &str, width: usize) -> Vec<String> {
    let mut lines: Vec<String> = Vec::new();
    for word in text.split_whitespace() {
        match lines.last_mut() {
            Some(line) if line.chars().count() + 1 + word.chars().count() <= width => {
                line.push(' ');
                line.push_str(word);
            }
            _ => lines.push(word.to_owned()),
        }
    }
    lines
}
