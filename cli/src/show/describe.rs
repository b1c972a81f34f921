//! One thing, with all that is known of it: names and values, indented, times and sizes in words. It shows whatever the node
//! sends, also what this release has not heard of. Pure.

use serde_json::{Map, Value};

use super::clean::clean;
use super::table::Table;
use super::time;
use crate::resource::plain;

/// Most columns of a list that is shown as a table.
const COLUMNS: usize = 6;
/// Fields whose numbers are times.
const TIMES: [&str; 19] = [
    "at",
    "heard",
    "since",
    "until",
    "expires",
    "first_seen",
    "last_seen",
    "last_used",
    "time",
    "verified",
    "next",
    "last",
    "created",
    "updated",
    "not_after",
    "not_before",
    "taken",
    "told",
    "deleting",
];
/// Fields whose numbers are bytes.
const SIZES: [&str; 7] = ["size", "memory", "bytes", "db_size", "used", "capacity", "promised"];

/// A thing as text. `first` are the fields that come before the others.
pub(crate) fn render(value: &Value, first: &[&str], now: u64) -> String {
    let mut text = String::new();
    match value {
        Value::Object(map) => object(&mut text, map, first, 0, now),
        Value::Array(list) => array(&mut text, list, 0, now),
        other => {
            text.push_str(&clean(&plain(other)));
            text.push('\n');
        }
    }
    text
}

fn object(text: &mut String, map: &Map<String, Value>, first: &[&str], depth: usize, now: u64) {
    let rank = |key: &str| first.iter().position(|name| *name == key).unwrap_or(first.len());
    let nested = |value: &Value| value.is_object() || value.as_array().is_some_and(|list| !flat(list));
    let mut fields: Vec<(&String, &Value)> = map.iter().collect();
    // Plain fields before nested ones, so that what belongs together stands together.
    fields.sort_by_key(|(key, value)| (rank(key), nested(value)));
    let label = |key: &str| format!("{}:", label(key));
    let width = fields.iter().filter(|(_, v)| !nested(v)).map(|(key, _)| label(key).len()).max().unwrap_or(0);
    for (key, value) in fields {
        let indent = "  ".repeat(depth);
        match value {
            Value::Object(inner) if inner.is_empty() => text.push_str(&format!("{indent}{} -\n", label(key))),
            Value::Object(inner) => {
                text.push_str(&format!("{indent}{}\n", label(key)));
                object(text, inner, &[], depth + 1, now);
            }
            Value::Array(list) if !flat(list) => {
                text.push_str(&format!("{indent}{}\n", label(key)));
                array(text, list, depth + 1, now);
            }
            plain => {
                let label = label(key);
                text.push_str(&format!("{indent}{label:width$} {}\n", clean(&field(key, plain, now))));
            }
        }
    }
}

fn array(text: &mut String, list: &[Value], depth: usize, now: u64) {
    let indent = "  ".repeat(depth);
    if let Some(table) = as_table(list, now) {
        for line in table.render(true, None).lines() {
            text.push_str(&format!("{indent}{line}\n"));
        }
        return;
    }
    for value in list {
        let mut inner = String::new();
        match value {
            Value::Object(map) => object(&mut inner, map, &["name", "id", "number"], 0, now),
            Value::Array(list) => array(&mut inner, list, 0, now),
            other => inner = format!("{}\n", clean(&plain(other))),
        }
        for (n, line) in inner.lines().enumerate() {
            text.push_str(&format!("{indent}{} {line}\n", if n == 0 { "-" } else { " " }));
        }
    }
}

/// Whether a list fits into a line.
fn flat(list: &[Value]) -> bool {
    list.iter().all(|value| !value.is_object() && !value.is_array())
}

/// Objects with the same few plain fields are easier to read side by side.
fn as_table(list: &[Value], now: u64) -> Option<Table> {
    let first = list.first()?.as_object()?;
    let order = ["at", "id", "name", "number", "what"];
    let rank = |key: &str| order.iter().position(|first| *first == key).unwrap_or(order.len());
    let mut keys: Vec<&String> = first.keys().collect();
    // Words for a person, of whatever length, come last.
    keys.sort_by_key(|key| (key.as_str() == "text", rank(key)));
    let same = |value: &Value| {
        value.as_object().is_some_and(|map| {
            map.keys().eq(first.keys())
                && map.values().all(|v| !v.is_object() && v.as_array().is_none_or(|list| flat(list)))
        })
    };
    if list.len() < 2 || keys.len() > COLUMNS || !list.iter().all(same) {
        return None;
    }
    let heads: Vec<String> = keys.iter().map(|key| label(key).to_uppercase()).collect();
    let heads: Vec<&str> = heads.iter().map(String::as_str).collect();
    let row = |value: &Value| keys.iter().map(|key| field(key, &value[key.as_str()], now)).collect();
    Some(Table::of(&heads, list.iter().map(row).collect()))
}

/// `last_seen` as `Last seen`.
fn label(key: &str) -> String {
    let words = clean(key).replace('_', " ");
    let mut letters = words.chars();
    letters.next().map_or_else(String::new, |c| c.to_uppercase().chain(letters).collect())
}

fn field(key: &str, value: &Value, now: u64) -> String {
    let text = match value.as_u64() {
        Some(moment) if moment > 1_000_000_000 && (TIMES.contains(&key) || key.ends_with("_at")) => {
            let ago = if moment > now { "" } else { " ago" };
            format!("{} ({}{ago})", time::utc(moment), time::distance(moment, now))
        }
        Some(count) if count >= 1024 && (SIZES.contains(&key) || key.ends_with("_bytes")) => {
            time::bytes(count)
        }
        Some(seconds) if key.ends_with("_s") => time::span(seconds),
        _ => match value {
            Value::Array(list) => list.iter().map(plain).collect::<Vec<_>>().join(", "),
            other => plain(other),
        },
    };
    if text.is_empty() { "-".to_owned() } else { text }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn cli_described_things_have_all_their_fields() {
        let value = json!({
            "code": "123-456", "mac": "52:54:00:00:00:01", "last_seen": 1_795_212_100_u64, "uuid": null,
            "inventory": {"memory": 17_179_869_184_u64, "dmi": {"vendor": "A\u{1b}[2J"}, "empty": {}},
            "roles": ["compute", "storage"], "secure": true,
            "story": [{"at": 1_795_212_000_u64, "what": "seen", "text": ""}, {"at": 1_795_212_060_u64, "what": "waiting", "text": "x"}],
            "mixed": [{"name": "eth0", "up": true, "macs": [["a"]]}, {"name": "eth1"}],
        });
        let want = "\
Code:      123-456
Mac:       52:54:00:00:00:01
Last seen: 2026-11-20 22:01:40Z (20s ago)
Roles:     compute, storage
Secure:    yes
Uuid:      -
Inventory:
  Memory: 16 GiB
  Dmi:
    Vendor: A\\x1b[2J
  Empty: -
Mixed:
  - Name: eth0
    Up:   yes
    Macs:
      - - a
  - Name: eth1
Story:
  AT                                WHAT      TEXT
  2026-11-20 22:00:00Z (2m0s ago)   seen      -
  2026-11-20 22:01:00Z (1m0s ago)   waiting   x
";
        assert_eq!(render(&value, &["code", "mac"], 1_795_212_120), want);
    }
}
