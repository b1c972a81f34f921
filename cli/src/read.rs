//! YAML and JSON (which is YAML 1.2) as values. Anchors and tags are refused: nothing here needs them, and references that
//! multiply are how a short text becomes a long one. Pure.

use saphyr_parser::{Event, Parser, ScalarStyle};
use serde_json::{Map, Number, Value};

/// Deepest nesting that is read.
const DEEPEST: usize = 64;
/// Most values of one text.
const MOST: usize = 200_000;

/// A list or an object that is being read, with the key that waits for its value.
enum Open {
    List(Vec<Value>),
    Object(Map<String, Value>, Option<String>),
}

/// The documents of a text, without empty ones.
///
/// # Errors
/// What is wrong, by line.
pub(crate) fn documents(text: &str) -> Result<Vec<Value>, String> {
    // JSON is read by its own parser, which knows what YAML 1.2 leaves open: numbers without loss, surrogates.
    if text.trim_start().starts_with(['{', '['])
        && let Ok(values) = serde_json::Deserializer::from_str(text).into_iter().collect()
    {
        return Ok(values);
    }
    let mut parser = Parser::new_from_str(text.trim_start_matches('\u{feff}'));
    let (mut found, mut open, mut seen) = (Vec::new(), Vec::<Open>::new(), 0);
    while let Some(event) = parser.next_event() {
        let (event, span) = event.map_err(|e| format!("line {}: {}", e.marker().line(), e.info()))?;
        let at = |reason: &str| format!("line {}: {reason}", span.start.line());
        seen += 1;
        if seen > MOST {
            return Err(at("the text has too many values"));
        }
        let whole = match event {
            Event::Alias(_) => return Err(at("references (`*name`) are not read; write the value out")),
            Event::Scalar(_, _, anchor, tag)
            | Event::SequenceStart(anchor, tag)
            | Event::MappingStart(anchor, tag)
                if anchor != 0 || tag.is_some() =>
            {
                return Err(at("anchors (`&name`) and tags (`!name`) are not read"));
            }
            Event::Scalar(text, style, ..) => {
                if let Some(Open::Object(_, key @ None)) = open.last_mut() {
                    *key = Some(text.into_owned());
                    continue;
                }
                plain(&text, style)
            }
            Event::SequenceStart(..) | Event::MappingStart(..) => {
                if matches!(open.last(), Some(Open::Object(_, None))) {
                    return Err(at("a key must be a text"));
                }
                if open.len() >= DEEPEST {
                    return Err(at("the text is nested too deeply"));
                }
                let list = matches!(event, Event::SequenceStart(..));
                open.push(if list { Open::List(Vec::new()) } else { Open::Object(Map::new(), None) });
                continue;
            }
            Event::SequenceEnd | Event::MappingEnd => match open.pop() {
                Some(Open::List(list)) => Value::Array(list),
                Some(Open::Object(map, _)) => Value::Object(map),
                None => continue,
            },
            _ => continue,
        };
        match open.last_mut() {
            None if whole.is_null() => {}
            None => found.push(whole),
            Some(Open::List(list)) => list.push(whole),
            Some(Open::Object(map, key)) => {
                let key = key.take().unwrap_or_default();
                if map.contains_key(&key) {
                    return Err(at(&format!("`{}` stands there twice", key.escape_debug())));
                }
                map.insert(key, whole);
            }
        }
    }
    Ok(found)
}

/// YAML 1.2.2 section 10.3.2, the core schema; numbers in decimal only.
fn plain(text: &str, style: ScalarStyle) -> Value {
    if style != ScalarStyle::Plain {
        return Value::String(text.to_owned());
    }
    match text {
        "" | "~" | "null" | "Null" | "NULL" => return Value::Null,
        "true" | "True" | "TRUE" => return Value::Bool(true),
        "false" | "False" | "FALSE" => return Value::Bool(false),
        _ => {}
    }
    let digits = text.strip_prefix('-').unwrap_or(text);
    let number = digits.starts_with(|c: char| c.is_ascii_digit()) && (digits == "0" || !leading_zero(digits));
    match number.then(|| serde_json::from_str::<Number>(text)) {
        Some(Ok(number)) => Value::Number(number),
        _ => Value::String(text.to_owned()),
    }
}

/// `007` is a text, also where it would be a number: host names and codes look like that.
fn leading_zero(digits: &str) -> bool {
    digits.starts_with('0') && digits[1..].starts_with(|c: char| c.is_ascii_digit())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use serde_json::json;

    #[test]
    fn cli_files_are_read_as_yaml_and_json() {
        let rows = [
            ("nothing", "", vec![]),
            ("comments only", "# x\n---\n", vec![]),
            ("json", "{\"a\": [1, null]}", vec![json!({"a": [1, null]})]),
            ("two json", "{\"a\":1}\n{\"a\":2}", vec![json!({"a": 1}), json!({"a": 2})]),
            ("two yaml", "a: 1\n---\nb: [x, 'y']\n", vec![json!({"a": 1}), json!({"b": ["x", "y"]})]),
            (
                "scalars",
                "a: 007\nb: -3\nc: 1.5\nd: no\ne: 52:54:00:12:34:56\nf: ~\ng: \"1\"\n",
                vec![
                    json!({"a": "007", "b": -3, "c": 1.5, "d": "no", "e": "52:54:00:12:34:56", "f": null, "g": "1"}),
                ],
            ),
            ("block text", "a: |\n  x\n  y\n", vec![json!({"a": "x\ny\n"})]),
        ];
        for (name, text, want) in rows {
            assert_eq!(documents(text).unwrap(), want, "{name}");
        }
    }

    #[test]
    fn cli_files_that_are_wrong_say_where() {
        let deep = "[".repeat(100);
        let rows = [
            ("twice", "a: 1\na: 2\n", "line 2: `a`"),
            ("reference", "a: &x 1\n", "line 1: anchors"),
            ("alias", "a: *x\n", "line 1"),
            ("tag", "a: !!int 1\n", "tags"),
            ("key", "? [a]\n: 1\n", "a key must be a text"),
            ("deep", deep.as_str(), "line 1"),
            ("open", "a: [1\n", "line"),
            ("open json", "{\"a\": ", "line"),
        ];
        for (name, text, want) in rows {
            let error = documents(text).unwrap_err();
            assert!(error.contains(want), "{name}: {error}");
        }
    }

    proptest! {
        #[test]
        fn cli_any_text_is_read_or_refused(text in "[ -~\n]{0,200}") {
            let _ = documents(&text);
        }

        #[test]
        fn cli_what_is_written_as_yaml_is_read_again(keys in proptest::collection::btree_map(any::<String>(), any::<String>(), 0..8), n in any::<i64>()) {
            let value = json!({"map": keys, "n": n});
            prop_assert_eq!(documents(&crate::show::yaml::render(&value)).unwrap(), vec![value]);
        }
    }
}
