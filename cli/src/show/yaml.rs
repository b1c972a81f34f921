//! Values as YAML 1.2. Whatever could be read as something else than the text that it is stands in double quotes, which
//! escape like JSON's; so old readers (`no`, `1:30`) see a text too. Pure.

use std::fmt::Write;

use serde_json::Value;

use super::clean::acts;

/// Longest plain text.
const LONGEST: usize = 200;

/// A value as a YAML document, with a line feed at its end.
pub(crate) fn render(value: &Value) -> String {
    let mut text = String::new();
    match value {
        Value::Object(map) if !map.is_empty() => object(&mut text, map, 0),
        Value::Array(list) if !list.is_empty() => array(&mut text, list, 0),
        other => {
            text.push_str(&scalar(other));
            text.push('\n');
        }
    }
    text
}

fn object(text: &mut String, map: &serde_json::Map<String, Value>, depth: usize) {
    for (n, (key, value)) in map.iter().enumerate() {
        // The first key of an object in a list stands behind its dash.
        if n > 0 || !text.ends_with("- ") {
            indent(text, depth);
        }
        text.push_str(&string(key));
        text.push(':');
        under(text, value, depth);
    }
}

fn array(text: &mut String, list: &[Value], depth: usize) {
    for value in list {
        indent(text, depth);
        text.push_str("- ");
        match value {
            Value::Object(map) if !map.is_empty() => object(text, map, depth + 1),
            Value::Array(inner) if !inner.is_empty() => {
                text.truncate(text.len() - 1);
                text.push('\n');
                array(text, inner, depth + 1);
            }
            other => {
                text.push_str(&scalar(other));
                text.push('\n');
            }
        }
    }
}

fn under(text: &mut String, value: &Value, depth: usize) {
    match value {
        Value::Object(map) if !map.is_empty() => {
            text.push('\n');
            object(text, map, depth + 1);
        }
        Value::Array(list) if !list.is_empty() => {
            text.push('\n');
            array(text, list, depth);
        }
        other => {
            text.push(' ');
            text.push_str(&scalar(other));
            text.push('\n');
        }
    }
}

fn indent(text: &mut String, depth: usize) {
    for _ in 0..depth {
        text.push_str("  ");
    }
}

fn scalar(value: &Value) -> String {
    match value {
        Value::String(text) => string(text),
        Value::Object(_) => "{}".to_owned(), // only empty ones come here
        Value::Array(_) => "[]".to_owned(),
        other => other.to_string(),
    }
}

fn string(text: &str) -> String {
    if is_plain(text) {
        return text.to_owned();
    }
    let mut quoted = String::with_capacity(text.len() + 2);
    quoted.push('"');
    for c in text.chars() {
        // A String takes everything.
        let _ = match c {
            '"' => quoted.write_str("\\\""),
            '\\' => quoted.write_str("\\\\"),
            '\n' => quoted.write_str("\\n"),
            '\t' => quoted.write_str("\\t"),
            c if u32::from(c) > 0xffff && acts(c) => write!(quoted, "\\U{:08x}", u32::from(c)),
            c if acts(c) => write!(quoted, "\\u{:04x}", u32::from(c)),
            c => quoted.write_char(c),
        };
    }
    quoted.push('"');
    quoted
}

/// Whether a text needs no quotes whatever reads it.
fn is_plain(text: &str) -> bool {
    let starts = text.chars().next().is_some_and(|c| c.is_ascii_alphabetic() || c == '/');
    let inner = |c: char| c.is_ascii_alphanumeric() || " ./_-+@=,()".contains(c);
    let colon = |(at, c): (usize, char)| {
        inner(c) || (c == ':' && text[at + 1..].chars().next().is_some_and(|next| next != ' '))
    };
    let words = ["null", "true", "false", "yes", "no", "on", "off", "y", "n"];
    starts
        && text.len() <= LONGEST
        && !text.ends_with(' ')
        && !words.contains(&text.to_ascii_lowercase().as_str())
        && text.char_indices().all(colon)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn cli_yaml_is_what_a_person_would_write() {
        let value = json!({
            "name": "node-1", "url": "https://10.0.0.1:8443", "ip": "10.0.0.1", "on": "on", "empty": "",
            "n": 3, "none": null, "list": [1, "two", {"a": 1, "b": [2]}, [], [[3]]], "nothing": {},
            "esc": "\u{1b}[2J", "line": "a\nb: c", "ends": "a:", "comment": "a #b",
        });
        let want = "\
comment: \"a #b\"
empty: \"\"
ends: \"a:\"
esc: \"\\u001b[2J\"
ip: \"10.0.0.1\"
line: \"a\\nb: c\"
list:
- 1
- two
- a: 1
  b:
  - 2
- []
-
  -
    - 3
\"n\": 3
name: node-1
none: null
nothing: {}
\"on\": \"on\"
url: https://10.0.0.1:8443
";
        let sorted: std::collections::BTreeMap<String, Value> =
            serde_json::from_value(value.clone()).unwrap();
        assert_eq!(render(&serde_json::to_value(sorted).unwrap()), want);
        assert_eq!(crate::read::documents(want).unwrap(), [value]);
    }
}
