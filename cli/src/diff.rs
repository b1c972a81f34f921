//! What would change, field by field. Pure.

use serde_json::Value;

use crate::show::clean::clean;

/// Lines of what differs between two values: `-` as it is, `+` as it would be; none where they are the same.
pub(crate) fn lines(is: &Value, wanted: &Value) -> Vec<String> {
    let mut found = Vec::new();
    compare("", is, wanted, &mut found);
    found
}

fn compare(at: &str, is: &Value, wanted: &Value, found: &mut Vec<String>) {
    let under = |key: &str| if at.is_empty() { key.to_owned() } else { format!("{at}.{key}") };
    match (is, wanted) {
        (Value::Object(is), Value::Object(wanted)) => {
            let mut keys: Vec<&String> = is.keys().chain(wanted.keys()).collect();
            keys.sort_unstable();
            keys.dedup();
            for key in keys {
                let of = |map: &serde_json::Map<String, Value>| map.get(key).cloned().unwrap_or(Value::Null);
                compare(&under(key), &of(is), &of(wanted), found);
            }
        }
        (Value::Array(is), Value::Array(wanted)) if is.iter().chain(wanted).any(Value::is_object) => {
            for n in 0..is.len().max(wanted.len()) {
                let of = |list: &[Value]| list.get(n).cloned().unwrap_or(Value::Null);
                compare(&under(&n.to_string()), &of(is), &of(wanted), found);
            }
        }
        (is, wanted) if is == wanted => {}
        (is, wanted) => {
            let name = if at.is_empty() { "all" } else { at };
            // Nothing and null are the same to the API.
            let key = at.rsplit('.').next().unwrap_or_default();
            for (sign, value) in [("-", is), ("+", wanted)] {
                if !value.is_null() {
                    found.push(format!("{sign} {}: {}", clean(name), clean(&masked(key, value).to_string())));
                }
            }
        }
    }
}

/// The value, without what is secret in it.
fn masked(key: &str, value: &Value) -> Value {
    let key = key.to_ascii_lowercase();
    match value {
        _ if key.contains("password") || key.contains("secret") => Value::String("(not shown)".to_owned()),
        Value::Object(map) => map.iter().map(|(key, value)| (key.clone(), masked(key, value))).collect(),
        Value::Array(list) => list.iter().map(|value| masked("", value)).collect(),
        other => other.clone(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn cli_differences_are_told_field_by_field() {
        let rows: [(&str, Value, Value, &[&str]); 8] = [
            ("secret", json!({}), json!({"password": "hunter2"}), &["+ password: \"(not shown)\""]),
            (
                "secret in it",
                Value::Null,
                json!([{"password": "hunter2"}]),
                &["+ all: [{\"password\":\"(not shown)\"}]"],
            ),
            ("same", json!({"a": [1], "b": null}), json!({"a": [1]}), &[]),
            (
                "changed",
                json!({"a": 1, "b": {"c": "x"}}),
                json!({"a": 1, "b": {"c": "\u{1b}y"}}),
                &["- b.c: \"x\"", "+ b.c: \"\\u001by\""],
            ),
            ("new", Value::Null, json!({"a": 1}), &["+ all: {\"a\":1}"]),
            ("gone", json!({"a": 1}), json!({}), &["- a: 1"]),
            ("plain lists", json!({"a": [1, 2]}), json!({"a": [2]}), &["- a: [1,2]", "+ a: [2]"]),
            ("lists of objects", json!([{"m": 1}]), json!([{"m": 1}, {"m": 2}]), &["+ 1: {\"m\":2}"]),
        ];
        for (name, is, wanted, want) in rows {
            assert_eq!(lines(&is, &wanted), want, "{name}");
        }
    }
}
