//! Where in an answer file something is: the line of a key, and the key at a place.

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::Problem;

/// The line, from 1, that the byte offset `at` of `text` lies on.
fn line_at(text: &str, at: usize) -> usize {
    text.as_bytes().iter().take(at).filter(|b| **b == b'\n').count() + 1
}

/// The line of `key` (`disks.mirror`, `network.interface[0].mac`), or of the nearest table around it that is there.
#[must_use]
pub fn line_of(text: &str, key: &str) -> Option<usize> {
    let document = DeTable::parse(text).ok()?;
    let mut found = None;
    let mut table = document.get_ref();
    for segment in key.split('.') {
        let (name, index) = match segment.split_once('[') {
            Some((name, rest)) => (name, rest.trim_end_matches(']').parse::<usize>().ok()),
            None => (segment, None),
        };
        let Some((place, value)) = table.iter().find(|(k, _)| k.get_ref().as_ref() == name) else { break };
        found = Some(place.span().start);
        let value = match (index, value.get_ref()) {
            (Some(index), DeValue::Array(items)) => {
                let Some(item) = items.get(index) else { break };
                found = Some(item.span().start);
                item.get_ref()
            }
            (_, value) => value,
        };
        let DeValue::Table(inner) = value else { break };
        table = inner;
    }
    found.map(|at| line_at(text, at))
}

/// A problem that tells what the TOML reader found wrong: line, key, reason with the allowed values.
#[must_use]
pub fn explain(text: &str, error: &toml::de::Error) -> Problem {
    let at = error.span().map(|span| span.start);
    let key = error.span().and_then(|span| {
        let document = DeTable::parse(text).ok()?;
        // What the file as a whole lacks is said of its whole span.
        if span == document.span() { None } else { key_at(document.get_ref(), span.start) }
    });
    Problem {
        line: at.map(|at| line_at(text, at)),
        key: key.unwrap_or_default(),
        reason: error.message().trim().replace('\n', ", "),
    }
}

/// The dotted key whose name or value covers the byte offset `at`.
fn key_at(table: &DeTable<'_>, at: usize) -> Option<String> {
    for (name, value) in table {
        if name.span().contains(&at) {
            return Some(name.get_ref().to_string());
        }
        if let Some(inner) = inside(value, at) {
            return Some(format!("{}{inner}", name.get_ref()));
        }
    }
    None
}

/// The rest of a key inside `value` at `at`, with its leading `.` or `[`; empty for the value itself.
fn inside(value: &Spanned<DeValue<'_>>, at: usize) -> Option<String> {
    match value.get_ref() {
        // A table's span is that of its header; what it holds may lie anywhere behind it.
        DeValue::Table(table) => key_at(table, at)
            .map(|key| format!(".{key}"))
            .or_else(|| value.span().contains(&at).then(String::new)),
        DeValue::Array(items) => items
            .iter()
            .enumerate()
            .find_map(|(i, item)| inside(item, at).map(|rest| format!("[{i}]{rest}")))
            .or_else(|| value.span().contains(&at).then(String::new)),
        _ => value.span().contains(&at).then(String::new),
    }
}

/// The text without the entry that the TOML reader found wrong, or with `stand_in` for its value; every other one stays
/// on its line. `None` where that cannot be: nothing is there, it is a whole table, or what remains would be no TOML.
#[must_use]
pub fn without(text: &str, error: &toml::de::Error, stand_in: Option<&str>) -> Option<String> {
    let document = DeTable::parse(text).ok()?;
    let (key, value, end) = entry_at(document.get_ref(), error.span()?.start)?;
    let start = if stand_in.is_some() { value } else { key };
    let lines = text.get(start..end)?.chars().filter(|c| *c == '\n').collect::<String>();
    let shorter =
        format!("{}{}{lines}{}", text.get(..start)?, stand_in.unwrap_or_default(), text.get(end..)?);
    DeTable::parse(&shorter).is_ok().then_some(shorter)
}

/// Where the key, the value and the end of the innermost `key = value` around the byte offset `at` are.
fn entry_at(table: &DeTable<'_>, at: usize) -> Option<(usize, usize, usize)> {
    table.iter().find_map(|(name, value)| {
        let inner = match value.get_ref() {
            DeValue::Table(inner) => return entry_at(inner, at),
            DeValue::Array(items) => items.iter().find_map(|item| match item.get_ref() {
                DeValue::Table(inner) => entry_at(inner, at),
                _ => None,
            }),
            _ => None,
        };
        let (key, value, end) = (name.span().start, value.span().start, value.span().end);
        inner.or_else(|| (key..end).contains(&at).then_some((key, value, end)))
    })
}
