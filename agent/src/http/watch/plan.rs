//! Which changes are told, and as what text. Pure.

use std::fmt::Write;

use axum::http::HeaderMap;
use maekin_api::access::Role;
use maekin_api::watch::{CHANGE, Change};
use serde::Serialize;

use super::local::{self, News};
use crate::http::error::ApiError;
use crate::record::keys;
use crate::record::watch::Touched;

/// Longest query that is looked at, bytes.
const LONGEST: usize = 1024;

/// What can be watched: its name, where it lies in the record, and who may. A name under a prefix is told; a ticket's is
/// as good as a password, so that those are not for who only looks.
const KINDS: [(&str, &str, Role); 26] = [
    ("alive", keys::ALIVE, Role::Viewer),
    ("approvals", keys::APPROVALS, Role::Viewer),
    ("audit", keys::AUDIT, Role::Admin),
    ("ca-change", keys::CA_CHANGE, Role::Viewer),
    ("cluster", keys::CLUSTER, Role::Viewer),
    ("drives", keys::DRIVES, Role::Viewer),
    ("install-window", keys::WINDOW, Role::Viewer),
    ("installs", keys::TICKETS, Role::Operator),
    ("join-tokens", keys::JOIN_TOKENS, Role::Admin),
    ("leader", keys::LEADER, Role::Viewer),
    ("machines", keys::MACHINES, Role::Viewer),
    ("maintenance", keys::MAINTENANCE, Role::Viewer),
    ("network", keys::NETWORK, Role::Viewer),
    ("nodes", keys::NODES, Role::Viewer),
    ("power", keys::POWER, Role::Viewer),
    ("provision", keys::PROVISION, Role::Viewer),
    ("roles", keys::ROLES, Role::Viewer),
    ("settings", keys::NODE_SETTINGS, Role::Viewer),
    ("settings-status", keys::NODE_STATUS, Role::Viewer),
    ("storage", keys::STORAGE, Role::Viewer),
    ("storage-policy", keys::DRIVE_POLICY, Role::Viewer),
    ("tasks", keys::TASKS, Role::Viewer),
    ("tokens", keys::TOKENS, Role::Admin),
    ("users", keys::USERS, Role::Admin),
    ("volume-status", keys::VOLUME_STATUS, Role::Viewer),
    ("volumes", keys::VOLUMES, Role::Viewer),
];

/// What a listener wants to hear.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Wanted {
    kinds: Vec<(&'static str, &'static str)>,
    /// Kinds of what changes on this node alone.
    local: Vec<&'static str>,
    /// Behind which revision; absent: from now on.
    pub(super) after: Option<i64>,
}

impl Wanted {
    /// Reads `?kinds=a,b&after=` and `Last-Event-ID`. No kinds: all that `role` may watch but the audit log.
    ///
    /// # Errors
    /// The answer to give instead.
    pub(super) fn parse(query: &str, headers: &HeaderMap, role: Role) -> Result<Self, ApiError> {
        if query.len() > LONGEST {
            return Err(ApiError::bad_request("the query is too long"));
        }
        let mut wanted = Self { kinds: Vec::new(), local: Vec::new(), after: None };
        let mut after = headers.get("last-event-id").map(|value| value.to_str().unwrap_or("x").to_owned());
        for pair in query.split('&').filter(|pair| !pair.is_empty()) {
            match pair.split_once('=') {
                Some(("kinds", list)) => wanted.want(list, role)?,
                Some(("after", text)) => after = after.or_else(|| Some(text.to_owned())),
                _ => return Err(ApiError::bad_request("the query may have `kinds` and `after`, no more")),
            }
        }
        if wanted.kinds.is_empty() && wanted.local.is_empty() {
            wanted.local =
                local::KINDS.iter().filter(|(_, least)| role >= *least).map(|kind| kind.0).collect();
            let open = KINDS.iter().filter(|(name, _, least)| role >= *least && *name != "audit");
            wanted.kinds = open.map(|(name, prefix, _)| (*name, *prefix)).collect();
        }
        let number = |text: String| text.parse::<i64>().ok().filter(|n| *n >= 0);
        let wrong = || ApiError::bad_request("Last-Event-ID: must be the id of an event, a number");
        wanted.after = after.map(|text| number(text).ok_or_else(wrong)).transpose()?;
        Ok(wanted)
    }

    fn want(&mut self, list: &str, role: Role) -> Result<(), ApiError> {
        // A comma may be written as %2C; names have nothing else to be escaped.
        for name in list.replace("%2C", ",").replace("%2c", ",").split(',') {
            let here = local::KINDS.iter().find(|(kind, _)| *kind == name);
            if let Some((kind, least)) = here {
                may(kind, role, *least)?;
                if !self.local.contains(kind) {
                    self.local.push(kind);
                }
                continue;
            }
            let found = KINDS.iter().find(|(kind, _, _)| *kind == name);
            let local = local::KINDS.iter().map(|(kind, _)| *kind);
            let names: Vec<_> = KINDS.iter().map(|(kind, _, _)| *kind).chain(local).collect();
            let unknown = || ApiError::bad_request(format!("kinds: may be of {}", names.join(", ")));
            let (kind, prefix, least) = found.ok_or_else(unknown)?;
            may(kind, role, *least)?;
            if !self.kinds.contains(&(*kind, *prefix)) {
                self.kinds.push((*kind, *prefix));
            }
        }
        Ok(())
    }

    /// Whether changes of what lies there are wanted.
    pub(super) fn has(&self, place: &str) -> bool {
        self.kinds.iter().any(|(_, prefix)| *prefix == place)
    }

    /// The events of `changes`, which are whole revisions in order. Only the last event of a revision has an id: whoever
    /// was cut off between two of one is told both again.
    pub(super) fn text(&self, changes: &[Touched]) -> String {
        let told: Vec<Change> = changes.iter().filter_map(|change| self.told(change)).collect();
        let mut text = String::new();
        for (i, change) in told.iter().enumerate() {
            let last = told.get(i + 1).is_none_or(|next| next.revision != change.revision);
            text.push_str(&event(CHANGE, last.then_some(change.revision), change));
        }
        text
    }

    /// The event of what changed on this node alone, where it is wanted; `at` is the place in the record.
    pub(super) fn news(&self, news: &News, at: i64) -> String {
        if !self.local.contains(&news.kind) {
            return String::new();
        }
        let (kind, name) = (news.kind.to_owned(), news.name.clone());
        event(CHANGE, None, &Change { kind, name, deleted: news.deleted, revision: at })
    }

    /// Events that say that all of that may be another one.
    pub(super) fn any_news(&self, at: i64) -> String {
        let any = |kind: &&'static str| self.news(&News { kind, name: String::new(), deleted: false }, at);
        self.local.iter().map(any).collect()
    }

    fn told(&self, change: &Touched) -> Option<Change> {
        let fits = |(kind, prefix): &(&'static str, &str)| {
            let name = change.key.strip_prefix(prefix)?;
            (prefix.ends_with('/') || name.is_empty()).then_some((*kind, name))
        };
        let (kind, name) = self.kinds.iter().find_map(fits)?;
        let (kind, name) = (kind.to_owned(), name.to_owned());
        Some(Change { kind, name, deleted: change.deleted, revision: change.revision })
    }
}

fn may(kind: &str, role: Role, least: Role) -> Result<(), ApiError> {
    if role >= least {
        return Ok(());
    }
    let title = "Who asks may not do this";
    let detail = format!("to watch {kind} takes the role {}", least.word());
    Err(ApiError::new(axum::http::StatusCode::FORBIDDEN, "forbidden", title, detail))
}

/// An event as text. JSON has no line breaks, so its data is one line.
pub(super) fn event(name: &str, id: Option<i64>, data: &impl Serialize) -> String {
    let mut text = format!("event: {name}\n");
    if let Some(id) = id {
        let _ = writeln!(text, "id: {id}"); // into a string: never fails
    }
    let data = serde_json::to_string(data).unwrap_or_default(); // plain fields always serialize
    let _ = write!(text, "data: {data}\n\n");
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn touched(key: &str, revision: i64) -> Touched {
        Touched { key: key.to_owned(), deleted: false, revision }
    }

    fn parse(query: &str, last: Option<&str>, role: Role) -> Result<Wanted, ApiError> {
        let mut headers = HeaderMap::new();
        if let Some(last) = last {
            headers.insert("last-event-id", last.parse().unwrap());
        }
        Wanted::parse(query, &headers, role)
    }

    #[test]
    fn api_watches_are_asked_for_by_kind_and_place() {
        let rows = [
            ("all", "", None, Role::Viewer, true),
            ("two kinds", "kinds=nodes,machines", None, Role::Viewer, true),
            ("escaped comma", "kinds=nodes%2Cmachines", None, Role::Viewer, true),
            ("on behind", "kinds=nodes", Some("17"), Role::Viewer, true),
            ("on behind, by query", "kinds=nodes&after=17", None, Role::Viewer, true),
            ("no such kind", "kinds=secrets", None, Role::Admin, false),
            ("empty kind", "kinds=", None, Role::Admin, false),
            ("tickets", "kinds=installs", None, Role::Viewer, false),
            ("tickets for who works", "kinds=installs", None, Role::Operator, true),
            ("users", "kinds=users", None, Role::Operator, false),
            ("what was heard on the wire", "kinds=discovered,record", None, Role::Viewer, true),
            ("pairings", "kinds=pairings", None, Role::Operator, false),
            ("pairings and join tokens", "kinds=pairings,join-tokens", None, Role::Admin, true),
            ("the change of the CA", "kinds=ca-change", None, Role::Viewer, true),
            ("something else", "limit=1", None, Role::Admin, false),
            ("negative", "", Some("-1"), Role::Admin, false),
            ("no number", "", Some("x"), Role::Admin, false),
            ("larger than any number", "", Some("99999999999999999999"), Role::Admin, false),
            ("very long", &"kinds=nodes&".repeat(200), None, Role::Admin, false),
        ];
        for (name, query, last, role, want) in rows {
            assert_eq!(parse(query, last, role).is_ok(), want, "{name}");
        }
        let all = parse("", None, Role::Viewer).unwrap();
        assert_eq!(all.local, ["discovered", "record"]);
        assert!(all.kinds.iter().all(|(kind, _)| !["users", "tokens", "audit", "installs"].contains(kind)));
    }

    #[test]
    fn api_watches_tell_names_and_an_id_with_the_last_of_a_revision() {
        let wanted = parse("kinds=nodes,provision", None, Role::Viewer).unwrap();
        let text = wanted.text(&[
            touched("/maekin/v1/nodes/a", 5),
            touched("/maekin/v1/nodes/b", 5),
            touched("/maekin/v1/users/eva", 5),
            touched("/maekin/v1/provision", 6),
            touched("/maekin/v1/provisional", 7),
        ]);
        assert_eq!(
            text,
            "event: change\ndata: {\"kind\":\"nodes\",\"name\":\"a\",\"deleted\":false,\"revision\":5}\n\n\
             event: change\nid: 5\ndata: {\"kind\":\"nodes\",\"name\":\"b\",\"deleted\":false,\"revision\":5}\n\n\
             event: change\nid: 6\ndata: {\"kind\":\"provision\",\"name\":\"\",\"deleted\":false,\"revision\":6}\n\n"
        );
        let nasty = event(
            "x",
            None,
            &Change {
                name: "a\n\nevent: y".into(),
                ..Change { kind: String::new(), name: String::new(), deleted: true, revision: 1 }
            },
        );
        assert_eq!(nasty.matches("\n\n").count(), 1, "no name makes an event of its own: {nasty}");
    }

    #[test]
    fn api_watches_tell_what_changes_on_the_node_alone_without_an_id() {
        let news = News { kind: "pairings", name: "123456".into(), deleted: false };
        let rows = [
            ("wanted", "kinds=pairings", true),
            ("wanted with others", "kinds=nodes,pairings", true),
            ("another kind", "kinds=discovered", false),
            ("of the record", "kinds=nodes", false),
        ];
        for (name, query, want) in rows {
            let text = parse(query, None, Role::Admin).unwrap().news(&news, 7);
            let event = "event: change\ndata: {\"kind\":\"pairings\",\"name\":\"123456\",\"deleted\":false,\"revision\":7}\n\n";
            assert_eq!(text, if want { event } else { "" }, "{name}");
        }
        let both = parse("kinds=pairings,record", None, Role::Admin).unwrap();
        assert_eq!(both.any_news(7).matches("event: change").count(), 2);
    }

    #[test]
    fn api_kinds_are_places_of_the_record() {
        for (kind, prefix, _) in KINDS {
            assert!(prefix.starts_with(keys::ALL), "{kind}");
        }
    }
}
