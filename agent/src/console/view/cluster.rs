//! The members of the cluster, and how this node becomes one.

use maekin_api::cluster::{CaChange, CaChangePhase, Cluster, Member, MemberState};
use maekin_api::discovery::DiscoveredState;
use maekin_api::node::{Membership, Quorum};
use maekin_api::nodes::NodeState;
use maekin_api::trust::{PairingInfo, PairingSide};

use super::super::model::{Model, PromptKind, Snapshot};
use super::super::promote::Promotion;
use super::super::worker::TOKEN_MINUTES;
use super::pages::{field, fields, problem, rule, wrap};
use super::{Line, Sheet, cut};

/// Columns of the table, but for the address, which is last and takes what is left.
const NAME: usize = 18;
const SINCE: usize = 10;
const VERSION: usize = 9;
/// Characters of a token in one line.
const TOKEN_LINE: usize = 60;
/// Codes, nodes that wait and other clusters that are named.
const CODES: usize = 2;
const WAITING: usize = 4;
const CLUSTERS: usize = 3;
/// Room for an address.
const ADDRESS: usize = 17;

/// Every member, those that are not ready first.
pub(super) fn members(model: &Model, now: u64) -> Sheet {
    if let Some(PromptKind::PromoteSure { promotion }) = model.prompt.as_ref().map(|prompt| &prompt.kind) {
        return alone(promotion);
    }
    let Some(cluster) = &model.snapshot.cluster else { return absent(&model.snapshot) };
    let ready = cluster.nodes.iter().filter(|m| m.state == MemberState::Ready).count();
    let mut head = vec![
        Line::plain(field("Cluster", &format!("{}  {}", cut(&cluster.name, 26), cluster.id))),
        Line::plain(field("CA SHA-256", &cluster.ca_sha256)),
        Line::plain(field("Members", &format!("{}, {ready} ready; voters are marked", cluster.nodes.len()))),
    ];
    head.extend(cluster.ca_change.as_ref().map(ca_change));
    head.extend(codes(&model.snapshot));
    head.extend(waiting(&model.snapshot));
    head.push(Line::plain(""));
    head.push(rule(&row("Member", "State", "Since", "Version", "Record", "Address")));
    let mut nodes: Vec<&Member> = cluster.nodes.iter().collect();
    nodes.sort_by_key(|m| m.state == MemberState::Ready); // stable: by name otherwise
    let body = nodes.into_iter().flat_map(|m| member(m, model, cluster, now)).collect();
    Sheet { head, body }
}

/// How far a change of the CA is, in a line.
fn ca_change(change: &CaChange) -> Line {
    let phase = match change.phase {
        CaChangePhase::Due => "is to be changed",
        CaChangePhase::Trust => "is changed: members trust a new one",
        CaChangePhase::Issue => "is changed: members get certificates",
        CaChangePhase::Drop => "is changed: the old one goes",
    };
    let names = change.waits_for.join(", ");
    let waits = if names.is_empty() { String::new() } else { format!("; waits for {}", cut(&names, 24)) };
    Line::warn(field("CA", &format!("{phase}{waits}")))
}

fn row(name: &str, state: &str, since: &str, version: &str, record: &str, address: &str) -> String {
    format!("{name:<NAME$} {state:<11} {since:<SINCE$} {version:<VERSION$} {record:<7} {address}")
}

fn member(member: &Member, model: &Model, cluster: &Cluster, now: u64) -> Vec<Line> {
    let standing = model.snapshot.standings.get(&member.id);
    let (state, ready) = match (standing.map(|s| s.state), member.state) {
        (Some(NodeState::Ready), _) | (None, MemberState::Ready) => ("ready", true),
        (Some(NodeState::Suspect), _) => ("SUSPECT", false),
        (Some(NodeState::Removed), _) => ("REMOVED", false),
        (Some(NodeState::Unreachable), _) | (None, MemberState::Unreachable) => ("UNREACHABLE", false),
    };
    // One in maintenance may be away.
    let planned = member.maintenance.is_some();
    let state = match (planned, ready) {
        (true, true) => "maintenance",
        (true, false) => "away (mnt)",
        (false, _) => state,
    };
    let since = standing.map_or_else(|| "-".to_owned(), |s| ago(now.saturating_sub(s.since)));
    let leads = cluster.leader.as_deref() == Some(member.id.as_str());
    let record = match (leads, member.voter) {
        (true, true) => "leader*",
        (true, false) => "leader",
        (false, true) => "voter",
        (false, false) => "",
    };
    let long = member.address.chars().count() > ADDRESS;
    let address = if long { "" } else { member.address.as_str() };
    let (name, version) = (cut(&member.name, NAME), cut(&member.version, VERSION));
    let text = format!(" {}", row(&name, state, &since, &version, record, address));
    let mut texts = vec![text.trim_end().to_owned()];
    if long {
        texts.push(format!("   {}", member.address));
    }
    if let Some(standing) = standing.filter(|_| !ready) {
        texts.extend(wrap(&standing.why, 74).into_iter().take(2).map(|part| format!("   {part}")));
    }
    let style = match (ready, member.maintenance.is_some()) {
        (_, true) => Line::warn,
        (true, false) => Line::plain,
        (false, false) => Line::bad,
    };
    texts.into_iter().map(style).collect()
}

/// Codes that are compared here.
fn codes(snapshot: &Snapshot) -> Vec<Line> {
    snapshot.pairings.iter().take(CODES).flat_map(code).collect()
}

/// A code, and what is to be compared.
fn code(pairing: &PairingInfo) -> Vec<Line> {
    let name = cut(&pairing.name, 20);
    let who = match pairing.side {
        PairingSide::Member => format!("{name} at {}", cut(&pairing.address, 30)),
        PairingSide::Waiting => format!("cluster {name} lets this node in"),
    };
    let asked = match (pairing.approved, pairing.side) {
        (true, _) => "you said yes: now the other console has to say yes too    n  no",
        (false, PairingSide::Member) => "does its console show the same?    y  yes, let it in    n  no",
        (false, PairingSide::Waiting) => "does the member's console show the same?    y  yes    n  no",
    };
    vec![
        Line::warn(field("Code", &format!("{}    {who}", cut(&pairing.code, 6)))),
        Line::warn(field("", asked)),
    ]
}

/// Nodes that wait on the wires, and other clusters there.
fn waiting(snapshot: &Snapshot) -> Vec<Line> {
    let all = snapshot.waiting().count();
    let mut lines = Vec::new();
    for (i, node) in snapshot.waiting().take(WAITING).enumerate() {
        let address = node.addresses.first().map_or("", String::as_str);
        let text = format!("{:<18} {:<12} {}", cut(&node.name, 18), cut(&node.id, 12), cut(address, 31));
        lines.push(Line::warn(field(if i == 0 { "Waiting" } else { "" }, &text)));
    }
    if all > 0 {
        let more = all.saturating_sub(WAITING);
        let more = if more > 0 { format!("and {more} more; ") } else { String::new() };
        lines.push(Line::plain(field("", &format!("{more}b  let one in, by comparing a code"))));
    }
    let mut others: Vec<String> = Vec::new();
    for node in snapshot.discovered.iter().filter(|node| node.state == DiscoveredState::Member) {
        let text = format!("{} ({})", cut(&node.cluster, 20), cut(&node.ca, 8));
        if !others.contains(&text) {
            others.push(text);
        }
    }
    let more = if others.len() > CLUSTERS { ", ..." } else { "" };
    others.truncate(CLUSTERS);
    if !others.is_empty() {
        lines.push(Line::plain(cut(&field("Other clusters", &format!("{}{more}", others.join(", "))), 79)));
    }
    lines
}

/// A time that has passed, in one unit.
pub(super) fn ago(seconds: u64) -> String {
    match seconds {
        0..60 => format!("{seconds} s"),
        60..3600 => format!("{} min", seconds / 60),
        3600..172_800 => format!("{} h", seconds / 3600),
        _ => format!("{} d", seconds / 86_400),
    }
}

fn absent(snapshot: &Snapshot) -> Sheet {
    match &snapshot.node {
        Some(node) => {
            let mut body = standing(&node.membership, &snapshot.problem);
            if matches!(node.quorum, Quorum::CutOff { .. }) {
                let text = "g  go on alone: for the second of two nodes, when the first, which has the only vote, is gone \
                            for good. It says first what that risks.";
                body.push(Line::plain(""));
                body.extend(fields("", text, Line::plain));
            }
            Sheet { head: vec![], body }
        }
        None => Sheet { head: vec![], body: problem(&snapshot.problem) },
    }
}

/// What a person is to know who has this node go on without the one that voted.
fn alone(promotion: &Promotion) -> Sheet {
    let name = cut(&promotion.name, 30);
    let head = vec![rule(&format!("Going on without {name}")), Line::plain("")];
    let text = "This node's copy of the record becomes the record, with this node as its only voter.";
    let mut body = fields("Done", text, Line::plain);
    body.extend(fields("Lost", &promotion.lost, Line::warn));
    body.push(Line::plain(""));
    // In full: it is what has to be typed.
    body.push(Line::bad(field("Must be off", &promotion.name)));
    let text = format!(
        "Its voter was at {}. If it runs, and is only cut off from here, it goes on with a record of its own: there would \
         be two, and what is changed in its one is lost when it hears of this one. Switch it off, or be sure that it is \
         destroyed.",
        cut(&promotion.url, 50)
    );
    body.extend(fields("", &text, Line::bad));
    body.push(Line::plain(""));
    let text = "If it comes back afterwards, it gives its own record up by itself, and copies this one.";
    body.extend(fields("Later", text, Line::plain));
    body.extend(fields("Kept", "what this node has now, as etcd.before beside it", Line::plain));
    Sheet { head, body }
}

/// Where this node stands on its way into a cluster, and what can be done about it.
pub(super) fn join(model: &Model) -> Sheet {
    let snapshot = &model.snapshot;
    let head = vec![rule("How this node is, or becomes, a member"), Line::plain("")];
    let Some(node) = &snapshot.node else { return Sheet { head, body: problem(&snapshot.problem) } };
    let mut body = codes(snapshot);
    body.extend(standing(&node.membership, &snapshot.problem));
    if let Some(cluster) = &snapshot.cluster {
        body.push(Line::plain(field("CA SHA-256", &cluster.ca_sha256)));
        let own = cluster.nodes.iter().find(|member| member.id == node.id);
        if let Some(own) = own {
            let part = if own.voter { "votes in the record" } else { "does not vote in the record" };
            body.extend(fields("This node", &format!("{}, {part}", own.address), Line::plain));
        }
    }
    body.push(Line::plain(""));
    if matches!(node.membership, Membership::Member { .. }) {
        let text = format!(
            "k  make a join token: one node, {TOKEN_MINUTES} minutes. It is as good as a key; it is shown \
            until this page is left."
        );
        body.extend(fields("", &text, Line::plain));
        body.extend(token(model.token.as_deref()));
        let text = "l  leave the cluster: its keys and its copies of the record are erased here, and this node waits to be \
                    let in again";
        body.extend(fields("", text, Line::plain));
    } else {
        let id: String = node.id.chars().filter(|c| *c != '-').take(12).collect();
        let text = format!("{}  {id}: members see it by this name while it waits", cut(&node.name, 24));
        body.extend(fields("This node", &text, Line::plain));
        body.extend(fields(
            "",
            "j  join by a token that a member made (`maekin-agent token create`)",
            Line::plain,
        ));
    }
    body.push(Line::plain(""));
    body.extend(fields(
        "Another node",
        "joins by network boot (4 Install), by a code (3 Cluster), by a token, or from a stick with the lines of \
         `maekin-agent invite`.",
        Line::plain,
    ));
    Sheet { head, body }
}

/// A token, broken between its groups only.
fn token(token: Option<&str>) -> Vec<Line> {
    let mut lines: Vec<String> = Vec::new();
    for group in token.unwrap_or_default().split_inclusive('-') {
        match lines.last_mut() {
            Some(line) if line.len() + group.len() <= TOKEN_LINE => line.push_str(group),
            _ => lines.push(group.to_owned()),
        }
    }
    let named = lines.into_iter().enumerate();
    named.map(|(i, part)| Line::bold(field(if i == 0 { "Join token" } else { "" }, &part))).collect()
}

fn standing(membership: &Membership, trouble: &str) -> Vec<Line> {
    let mut lines = match membership {
        Membership::Member { cluster_id, cluster } => {
            let mut lines = fields("Cluster", &format!("member of {cluster}"), Line::plain);
            lines.extend(fields("Cluster id", cluster_id, Line::plain));
            lines
        }
        Membership::Working { step, last_error } => {
            let mut lines = fields("Now", step, Line::warn);
            let error = if last_error.is_empty() { "none yet" } else { last_error };
            lines.extend(fields("Last error", error, Line::plain));
            lines
        }
    };
    if !trouble.is_empty() {
        lines.extend(fields("Trouble", trouble, Line::bad));
    }
    lines
}
