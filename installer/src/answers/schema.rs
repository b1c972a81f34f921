//! The answer file's JSON Schema, made from the types in [`super::wire`] and their comments, so that the file that is
//! parsed, the one that editors complete and the one that people read about are the same. From it come also the
//! reference page and what an error message says is allowed at a key.

use std::fmt::Write;
use std::sync::LazyLock;

use serde_json::Value;

use super::wire::AnswerFile;

static SCHEMA: LazyLock<Value> = LazyLock::new(|| schemars::schema_for!(AnswerFile).to_value());

/// The schema as JSON text (JSON Schema 2020-12).
#[must_use]
pub fn json() -> String {
    format!("{:#}\n", *SCHEMA)
}

/// What may stand at `key` (`disks.mirror[0].model`), in words; empty for the file as a whole.
#[must_use]
pub fn allowed(key: &str) -> String {
    if key.is_empty() {
        return String::new();
    }
    let mut at = &*SCHEMA;
    for segment in key.split('.') {
        let (name, indexed) = match segment.split_once('[') {
            Some((name, _)) => (name, true),
            None => (segment, false),
        };
        let Some(next) = property(at, name) else { return keys_of(at) };
        at = next;
        if indexed && let Some(items) = items(at) {
            at = items;
        }
    }
    words(at)
}

/// The schema behind references, and behind what `Option` adds.
fn resolve(schema: &Value) -> &Value {
    let mut at = schema;
    // Bounded: a chain of references in our own types is short, and a loop would be a bug shown by the tests.
    for _ in 0..8 {
        let next = at
            .get("$ref")
            .and_then(Value::as_str)
            .and_then(|path| SCHEMA.pointer(path.trim_start_matches('#')))
            .or_else(|| {
                at.get("anyOf")?.as_array()?.iter().find(|s| s["type"] != "null").filter(|_| is_option(at))
            });
        match next {
            Some(next) => at = next,
            None => break,
        }
    }
    at
}

fn is_option(schema: &Value) -> bool {
    schema["anyOf"]
        .as_array()
        .is_some_and(|forms| forms.len() == 2 && forms.iter().any(|s| s["type"] == "null"))
}

/// The schema itself, or the forms that it may have.
fn forms(schema: &Value) -> Vec<&Value> {
    let schema = resolve(schema);
    match schema.get("anyOf").and_then(Value::as_array) {
        Some(forms) => forms.iter().flat_map(self::forms).collect(),
        None => vec![schema],
    }
}

fn property<'a>(schema: &'a Value, name: &str) -> Option<&'a Value> {
    forms(schema).into_iter().find_map(|form| form.get("properties")?.get(name))
}

fn items(schema: &Value) -> Option<&Value> {
    forms(schema).into_iter().find_map(|form| form.get("items"))
}

fn keys_of(schema: &Value) -> String {
    let keys: Vec<String> = forms(schema)
        .into_iter()
        .filter_map(|form| form.get("properties")?.as_object())
        .flat_map(|properties| properties.keys().map(|key| format!("`{key}`")))
        .collect();
    format!("the keys {}", keys.join(", "))
}

/// What fits a schema, in words: its kind, its bounds, and what it is for.
fn words(schema: &Value) -> String {
    let kinds: Vec<String> = forms(schema).into_iter().map(kind).collect();
    let mut text = kinds.join(", or ");
    if let Some(description) = description(schema) {
        let _ = write!(text, " ({})", description.trim_end_matches('.'));
    }
    text
}

fn description(schema: &Value) -> Option<String> {
    let text = schema.get("description").or_else(|| resolve(schema).get("description"))?.as_str()?;
    Some(text.replace('\n', " "))
}

/// Values of an enumeration, which schemars writes as `enum` or, where they have comments, as `oneOf` with `const`.
fn values(schema: &Value) -> Option<Vec<String>> {
    let quoted = |value: &Value| value.as_str().map(|text| format!("`\"{text}\"`"));
    if let Some(values) = schema.get("enum").and_then(Value::as_array) {
        return Some(values.iter().filter_map(quoted).collect());
    }
    let all = schema.get("oneOf")?.as_array()?.iter();
    Some(
        all.flat_map(|one| match one.get("const") {
            Some(value) => quoted(value).into_iter().collect(),
            None => values(one).unwrap_or_default(),
        })
        .collect(),
    )
}

fn kind(schema: &Value) -> String {
    if let Some(values) = values(schema) {
        return values.join(", ");
    }
    if let Some(value) = schema.get("const").and_then(Value::as_str) {
        return format!("`\"{value}\"`");
    }
    let kind = match &schema["type"] {
        Value::String(kind) => kind.as_str(),
        Value::Array(kinds) => {
            kinds.iter().filter_map(Value::as_str).find(|k| *k != "null").unwrap_or_default()
        }
        _ => "",
    };
    let bounds = |low: &str, high: &str| match (schema[low].as_u64(), schema[high].as_u64()) {
        (Some(low), Some(high)) if low == high => format!(" {low}"),
        (Some(low), Some(high)) => format!(" of {low} to {high}"),
        (Some(low), None) if low > 0 => format!(" of at least {low}"),
        _ => String::new(),
    };
    match kind {
        "string" => match schema.get("pattern").and_then(Value::as_str) {
            Some(pattern) => format!("text that matches `{pattern}`"),
            None => match bounds("minLength", "maxLength").as_str() {
                "" => "text".to_owned(),
                bounds => format!("text{bounds} characters"),
            },
        },
        "integer" => format!("a number{}", bounds("minimum", "maximum")),
        "boolean" => "`true` or `false`".to_owned(),
        "array" => {
            let inside =
                schema.get("items").map(|items| forms(items).into_iter().map(kind_ref).collect::<Vec<_>>());
            let many = bounds("minItems", "maxItems");
            format!("a list{many} of: {}", inside.unwrap_or_default().join(", or "))
        }
        "object" => format!("a table with {}", keys_of(schema)),
        other => other.to_owned(),
    }
}

/// As [`kind`], but a table inside a list is not told key by key.
fn kind_ref(schema: &Value) -> String {
    if schema["type"] == "object" { "tables".to_owned() } else { kind(schema) }
}

/// The reference page, in Markdown: `intro`, then every key with what may stand there.
#[must_use]
pub fn reference(intro: &str) -> String {
    let mut text = intro.to_owned();
    section(&mut text, "", &SCHEMA);
    text
}

/// One table of the file, then the tables in it.
fn section(text: &mut String, path: &str, schema: &Value) {
    let Some(properties) = resolve(schema).get("properties").and_then(Value::as_object) else { return };
    let required = |name: &str| {
        resolve(schema)["required"].as_array().is_some_and(|list| list.iter().any(|item| item == name))
    };
    let is_table = |s: &Value| resolve(s)["type"] == "object";
    let is_tables = |s: &Value| {
        let all = s.get("items").is_some_and(|items| resolve(items)["type"] == "object");
        all && s.get("anyOf").is_none()
    };
    let plain: Vec<_> = properties.iter().filter(|(_, s)| !is_table(s) && !is_tables(s)).collect();
    if !plain.is_empty() {
        let _ = writeln!(text, "| key | needed | allowed |\n| --- | --- | --- |");
    }
    for (name, schema) in &plain {
        let needed = if required(name) { "yes" } else { "" };
        let _ = writeln!(text, "| `{name}` | {needed} | {} |", words(schema).replace('|', "\\|"));
    }
    for (name, schema) in &plain {
        if let Some(rules) = forms(schema).into_iter().find(|form| form["type"] == "object") {
            let about = description(rules).unwrap_or_default();
            let _ = writeln!(text, "\n### `{name}` as a table\n\n{about}\n");
            section(text, path, rules);
        }
    }
    for (name, schema) in properties {
        let path = if path.is_empty() { name.clone() } else { format!("{path}.{name}") };
        let (title, inner) = if is_table(schema) {
            (format!("`[{path}]`"), schema)
        } else if is_tables(schema) {
            (format!("`[[{path}]]`"), &schema["items"])
        } else {
            continue;
        };
        let needed = if required(name) { ", needed" } else { "" };
        let _ = writeln!(text, "\n## {title}{needed}\n");
        if let Some(description) = description(schema) {
            let _ = writeln!(text, "{description}\n");
        }
        section(text, &path, inner);
    }
}

#[cfg(test)]
mod tests;
