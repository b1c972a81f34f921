//! The one table of resources. Verbs, help, completion and documentation are made from it: another resource is another row.
//!
//! | module | job |
//! | --- | --- |
//! | [`mod@rows`] | the table |
//! | [`cells`] | what stands in a column, where that is no plain field |

mod cells;
pub(crate) mod rows;

use serde_json::Value;

pub(crate) use rows::rows;

use crate::fault::Fault;
use crate::show::time;

/// A kind of thing that the API has.
#[derive(Debug)]
pub(crate) struct Resource {
    /// What it is called, in the plural where there are several.
    pub(crate) name: &'static str,
    /// Other names: singular, short.
    pub(crate) aliases: &'static [&'static str],
    /// What it is.
    pub(crate) about: &'static str,
    /// Where it is read.
    pub(crate) path: &'static str,
    /// The list in the answer, as a JSON pointer; `None`: the answer is the one thing itself.
    pub(crate) list: Option<&'static str>,
    /// Where an older release has the same list: path and pointer.
    pub(crate) older: Option<(&'static str, &'static str)>,
    /// Where one of them is read; `{}` stands for its name. `None`: it is taken from the list.
    pub(crate) item: Option<&'static str>,
    /// Fields that name one, as JSON pointers; the first is its name, and what paths are made with.
    pub(crate) named: &'static [&'static str],
    /// What a table shows.
    pub(crate) columns: &'static [Column],
    /// How one is made.
    pub(crate) create: Option<Create>,
    /// Where its wanted state is put, by `apply`; `{}` stands for its name.
    pub(crate) apply: Option<&'static str>,
    /// Where in the answer that state stands, as a JSON pointer; all of it is replaced, also what a file does not name.
    /// `None`: the answer is that state, with what the API adds by itself.
    pub(crate) spec: Option<&'static str>,
    /// Where one is deleted; `{}` stands for its name.
    pub(crate) delete: Option<Delete>,
    /// Whether there is nothing until somebody sets it.
    pub(crate) unset: bool,
    /// What its changes are called in the server's events; `None`: it changes without the record's knowing.
    pub(crate) events: Option<&'static str>,
    /// Whether a list takes `?limit=`.
    pub(crate) paged: bool,
}

/// How one is made.
#[derive(Debug)]
pub(crate) struct Create {
    /// `POST` there.
    pub(crate) path: &'static str,
    /// Field that a name on the command line goes to; empty: it takes none.
    pub(crate) name: &'static str,
    /// What can be said.
    pub(crate) fields: &'static [Field],
    /// Field of the answer that is told this once, as a JSON pointer, and what to say about it.
    pub(crate) told: Option<(&'static str, &'static str)>,
}

/// Something that can be said when one is made.
#[derive(Debug)]
pub(crate) struct Field {
    /// Its name in the API.
    pub(crate) name: &'static str,
    /// How it is written.
    pub(crate) kind: Kind,
    /// What it is taken for when it is not said, as YAML; `None`: it is left out.
    pub(crate) default: Option<&'static str>,
    /// What it means.
    pub(crate) help: &'static str,
}

/// How a field is written on the command line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// A text, whatever it looks like.
    Text,
    /// A number.
    Number,
    /// Bytes, as people write them: `20G`.
    Size,
    /// Texts with commas between.
    List,
    /// One of these.
    Word(&'static [&'static str]),
    /// Read from the terminal or standard input, never from the command line.
    Secret,
}

/// How one is deleted.
#[derive(Debug)]
pub(crate) struct Delete {
    /// `DELETE` there; `{}` stands for its name.
    pub(crate) path: &'static str,
    /// What that means, for whoever is asked whether it shall be.
    pub(crate) means: &'static str,
}

/// A column of a table.
#[derive(Debug)]
pub(crate) struct Column {
    /// Its head.
    pub(crate) head: &'static str,
    /// What stands in it.
    pub(crate) cell: Cell,
    /// Whether only a wide table has it.
    pub(crate) wide: bool,
}

/// What stands in a column. Texts are JSON pointers.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Cell {
    /// The field.
    At(&'static str),
    /// How long ago it was, or when it will be.
    Age(&'static str),
    /// Bytes.
    Bytes(&'static str),
    /// Seconds.
    Span(&'static str),
    /// How many there are.
    Count(&'static str),
    /// Anything else.
    Made(fn(&Value) -> String),
}

impl Cell {
    /// The text in a row.
    pub(crate) fn text(self, value: &Value, now: u64) -> String {
        let number = |at| value.pointer(at).and_then(Value::as_u64);
        let text = match self {
            Self::At(at) => value.pointer(at).map(plain).unwrap_or_default(),
            Self::Age(at) => {
                number(at).filter(|n| *n > 0).map(|n| time::distance(n, now)).unwrap_or_default()
            }
            Self::Bytes(at) => number(at).filter(|n| *n > 0).map(time::bytes).unwrap_or_default(),
            Self::Span(at) => number(at).map(time::span).unwrap_or_default(),
            Self::Count(at) => value
                .pointer(at)
                .and_then(Value::as_array)
                .map(|list| list.len().to_string())
                .unwrap_or_default(),
            Self::Made(make) => make(value),
        };
        if text.is_empty() { "-".to_owned() } else { text }
    }
}

/// A value in a cell.
pub(crate) fn plain(value: &Value) -> String {
    match value {
        Value::Null => String::new(),
        Value::Bool(yes) => if *yes { "yes" } else { "no" }.to_owned(),
        Value::String(text) => text.clone(),
        Value::Array(list) => list.iter().map(plain).collect::<Vec<_>>().join(","),
        other => other.to_string(),
    }
}

impl Resource {
    /// The resource of that name, in whatever form.
    ///
    /// # Errors
    /// There is none.
    pub(crate) fn find(word: &str) -> Result<&'static Self, Fault> {
        let wanted = word.to_ascii_lowercase().replace('_', "-");
        let found = rows().find(|r| r.name == wanted || r.aliases.contains(&wanted.as_str()));
        found.ok_or_else(|| {
            let names: Vec<&str> = rows().map(|r| r.name).collect();
            Fault::usage(format!("there is no resource `{word}`"), format!("there are: {}", names.join(", ")))
                .remedy("`maekin resources` says what they are")
        })
    }

    /// What one is called: the singular.
    pub(crate) fn one(&self) -> &'static str {
        self.aliases.first().copied().filter(|_| self.list.is_some()).unwrap_or(self.name)
    }

    /// The name of one.
    pub(crate) fn name_of(&self, value: &Value) -> String {
        self.named.first().and_then(|at| value.pointer(at)).map(plain).unwrap_or_default()
    }

    /// Whether `name` names this one.
    pub(crate) fn is_named(&self, value: &Value, name: &str) -> bool {
        let same = |text: String| !text.is_empty() && text.eq_ignore_ascii_case(name);
        self.named.iter().filter_map(|at| value.pointer(at)).any(|field| same(plain(field)))
    }

    /// The things in an answer.
    pub(crate) fn things(list: Option<&str>, answer: Value) -> Vec<Value> {
        let Some(at) = list else { return vec![answer] };
        match answer.pointer(at) {
            Some(Value::Array(list)) => list.clone(),
            // Lists that come page by page are wrapped.
            _ => answer.pointer("/items").and_then(Value::as_array).cloned().unwrap_or_default(),
        }
    }
}

/// A path with a name in its place. Whatever is no plain part of a path is written by its bytes (RFC 3986 section 2.1), so
/// that a name with a slash is a name that is not found, and not another path.
pub(crate) fn fill(path: &str, name: &str) -> String {
    let mut safe = String::with_capacity(name.len());
    for byte in name.bytes() {
        if byte.is_ascii_alphanumeric() || b"-_.~:".contains(&byte) {
            safe.push(char::from(byte));
        } else {
            safe.push_str(&format!("%{byte:02X}"));
        }
    }
    let safe = if safe == "." || safe == ".." { safe.replace('.', "%2E") } else { safe };
    path.replace("{}", &safe)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use serde_json::json;

    #[test]
    fn cli_every_resource_is_found_by_each_of_its_names_and_no_other() {
        let mut seen = BTreeSet::new();
        for resource in rows() {
            assert!(!resource.columns.is_empty() && !resource.about.is_empty(), "{}", resource.name);
            for name in std::iter::once(&resource.name).chain(resource.aliases) {
                assert!(seen.insert(*name), "{name} names two resources");
                assert_eq!(Resource::find(name).unwrap().name, resource.name, "{name}");
                assert_eq!(Resource::find(&name.to_uppercase()).unwrap().name, resource.name);
            }
            assert!(resource.item.is_none_or(|path| path.contains("{}")), "{}", resource.name);
            assert!(resource.list.is_none() || resource.delete.is_none() || !resource.named.is_empty());
            assert!(resource.columns.iter().any(|c| !c.wide), "{}", resource.name);
        }
        let fault = Resource::find("pods").unwrap_err();
        assert!(fault.reason.contains("machines"), "{fault}");
    }

    #[test]
    fn cli_names_in_paths_stay_names() {
        let rows = [
            ("node-1", "/v1/nodes/node-1"),
            ("52:54:00:12:34:56", "/v1/nodes/52:54:00:12:34:56"),
            ("../users", "/v1/nodes/..%2Fusers"),
            ("..", "/v1/nodes/%2E%2E"),
            ("a b?c#d%", "/v1/nodes/a%20b%3Fc%23d%25"),
            ("ä\r\nX: y", "/v1/nodes/%C3%A4%0D%0AX:%20y"),
        ];
        for (name, want) in rows {
            assert_eq!(fill("/v1/nodes/{}", name), want);
        }
    }

    #[test]
    fn cli_cells_of_what_is_not_there_are_a_dash() {
        let value = json!({"a": "x", "n": 90, "t": 940, "b": 2048, "l": [1, 2], "no": false, "none": null});
        let rows = [
            (Cell::At("/a"), "x"),
            (Cell::At("/l"), "1,2"),
            (Cell::At("/no"), "no"),
            (Cell::At("/none"), "-"),
            (Cell::At("/not/there"), "-"),
            (Cell::Age("/t"), "1m0s"),
            (Cell::Age("/a"), "-"),
            (Cell::Bytes("/b"), "2 KiB"),
            (Cell::Span("/n"), "1m30s"),
            (Cell::Count("/l"), "2"),
            (Cell::Count("/a"), "-"),
            (Cell::Made(|_| String::new()), "-"),
        ];
        for (cell, want) in rows {
            assert_eq!(cell.text(&value, 1000), want, "{cell:?}");
        }
    }
}
