//! Values through releases. Each kind of value has a version: one, and one more for each step in [`STEPS`]. What an older
//! release wrote is brought up step by step when it is read, and is written in its new form when it is next changed. What
//! a newer release added to a value is kept when an older one changes it: two releases work side by side for as long as
//! an upgrade takes. A new field with a default needs no step; a step is for what changes its place or meaning, and comes
//! one release after the one that reads both. Pure.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

use serde_json::{Map, Value};

use super::keys;

/// Changes the fields of a value from one version to the next.
type Step = fn(&mut Map<String, Value>);

/// The steps: the kind's prefix (or key), the version that a step starts from, the step. In order.
const STEPS: &[(&str, u32, Step)] = &[
    // Read by nobody to decide anything: members of earlier releases leave batches of events out of the log, and no
    // release between had to read both.
    (keys::AUDIT, 1, crate::audit::lift),
];

/// Most values whose unknown fields are remembered, and most bytes of each.
const REMEMBERED: usize = 256;
const LONGEST: usize = 64 << 10;

/// The version in which this release writes the value at `key`.
pub(super) fn version(key: &str) -> u32 {
    version_by(STEPS, key)
}

fn version_by(steps: &[(&str, u32, Step)], key: &str) -> u32 {
    let own = steps.iter().filter(|(prefix, ..)| key.starts_with(prefix));
    own.map(|(_, from, _)| from + 1).max().unwrap_or(1)
}

/// Brings the fields of a value of version `from` up to [`version`].
pub(super) fn lift(key: &str, from: u32, value: &mut Map<String, Value>) {
    lift_by(STEPS, key, from, value);
}

fn lift_by(steps: &[(&str, u32, Step)], key: &str, from: u32, value: &mut Map<String, Value>) {
    for (_, _, step) in steps.iter().filter(|(prefix, at, _)| key.starts_with(prefix) && *at >= from) {
        step(value);
    }
}

/// What `raw` has and `known` has not: the fields that this release does not know. Lists are taken as a whole.
fn unknown(raw: &Value, known: &Value) -> Option<Value> {
    let (Value::Object(raw), Value::Object(known)) = (raw, known) else { return None };
    let mut extra = Map::new();
    for (name, value) in raw {
        let more = match known.get(name) {
            None if value.is_null() => None,
            None => Some(value.clone()),
            Some(have) => unknown(value, have),
        };
        if let Some(more) = more {
            extra.insert(name.clone(), more);
        }
    }
    (!extra.is_empty()).then_some(Value::Object(extra))
}

/// Puts `extra` where `value` has nothing.
fn keep(value: &mut Value, extra: &Value) {
    let (Value::Object(value), Value::Object(extra)) = (value, extra) else { return };
    for (name, more) in extra {
        match value.get_mut(name) {
            Some(have) => keep(have, more),
            None => drop(value.insert(name.clone(), more.clone())),
        }
    }
}

/// Fields that this release does not know, of values that it read a moment ago and may change.
#[derive(Debug, Default)]
pub(super) struct Unknown {
    by_key: Mutex<BTreeMap<String, (i64, Value)>>,
}

impl Unknown {
    /// Takes in the value at `key` as it was read at `revision`; `again` is how this release would write it.
    pub(super) fn note(&self, key: &str, revision: i64, raw: &[u8], again: &[u8]) {
        let mut by_key = self.by_key.lock().unwrap_or_else(PoisonError::into_inner);
        by_key.remove(key);
        if raw == again || raw.len() > LONGEST {
            return; // as nearly always
        }
        let parse = |bytes| serde_json::from_slice::<Value>(bytes).ok();
        let Some((raw, again)) = parse(raw).zip(parse(again)) else { return };
        if raw.get("v") != again.get("v") {
            return; // an older one: what has no place in the new form was brought there by a step
        }
        if let Some(extra) = unknown(&raw, &again) {
            if by_key.len() >= REMEMBERED {
                by_key.pop_first();
            }
            by_key.insert(key.to_owned(), (revision, extra));
        }
    }

    /// What is to be written at `key`, where it is written only if it is still as at `revision`.
    pub(super) fn restore(&self, key: &str, revision: i64, bytes: Vec<u8>) -> Vec<u8> {
        let by_key = self.by_key.lock().unwrap_or_else(PoisonError::into_inner);
        let Some((_, extra)) = by_key.get(key).filter(|(at, _)| *at == revision) else { return bytes };
        let Ok(mut value) = serde_json::from_slice(&bytes) else { return bytes };
        keep(&mut value, extra);
        serde_json::to_vec(&value).unwrap_or(bytes)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    fn fields(value: Value) -> Map<String, Value> {
        serde_json::from_value(value).unwrap()
    }

    #[test]
    fn record_old_values_are_brought_up_step_by_step() {
        let steps: &[(&str, u32, Step)] = &[
            ("/nodes/", 1, |v| {
                let name = v.remove("name").unwrap_or_default();
                v.insert("host".into(), name);
            }),
            ("/nodes/", 2, |v| {
                v.insert("third".into(), json!(v.contains_key("host")));
            }),
            ("/window", 1, |v| v.clear()),
        ];
        let rows = [
            ("from the first", "/nodes/a", 1, json!({"name": "n"}), json!({"host": "n", "third": true}), 3),
            ("from the second", "/nodes/a", 2, json!({"host": "n"}), json!({"host": "n", "third": true}), 3),
            ("as it is", "/nodes/a", 3, json!({"name": "other"}), json!({"name": "other"}), 3),
            ("another kind", "/window", 1, json!({"name": "n"}), json!({}), 2),
            ("a kind with no steps", "/cluster", 1, json!({"name": "n"}), json!({"name": "n"}), 1),
        ];
        for (name, key, from, value, want, version) in rows {
            let mut value = fields(value);
            lift_by(steps, key, from, &mut value);
            assert_eq!(value, fields(want), "{name}");
            assert_eq!(version_by(steps, key), version, "{name}");
        }
    }

    #[test]
    fn record_the_steps_of_a_kind_follow_each_other() {
        for (prefix, from, _) in STEPS {
            let before = STEPS.iter().filter(|(p, at, _)| p == prefix && at < from).count();
            assert_eq!(u32::try_from(before).unwrap() + 1, *from, "{prefix} from {from}");
        }
    }

    #[test]
    fn record_fields_of_a_newer_release_survive_a_change_by_an_older_one() {
        // Name, as the newer one wrote it, as the older one reads it, as it changes it, what is written.
        let rows = [
            ("nothing new", json!({"a": 1}), json!({"a": 1}), json!({"a": 2}), json!({"a": 2})),
            ("a field", json!({"a": 1, "b": 7}), json!({"a": 1}), json!({"a": 2}), json!({"a": 2, "b": 7})),
            (
                "a field within",
                json!({"a": {"x": 1, "y": 2}}),
                json!({"a": {"x": 1}}),
                json!({"a": {"x": 3}}),
                json!({"a": {"x": 3, "y": 2}}),
            ),
            (
                "what it was within is gone",
                json!({"a": {"x": 1, "y": 2}}),
                json!({"a": {"x": 1}}),
                json!({"a": null}),
                json!({"a": null}),
            ),
            (
                "a field that was taken out",
                json!({"a": 1, "b": 7}),
                json!({"a": 1, "b": 7}),
                json!({"a": 1}),
                json!({"a": 1}),
            ),
            ("an empty field", json!({"a": 1, "b": null}), json!({"a": 1}), json!({"a": 2}), json!({"a": 2})),
        ];
        for (name, raw, again, changed, want) in rows {
            let bytes = |v: &Value| serde_json::to_vec(v).unwrap();
            let known = Unknown::default();
            known.note("k", 5, &bytes(&raw), &bytes(&again));
            let written: Value = serde_json::from_slice(&known.restore("k", 5, bytes(&changed))).unwrap();
            assert_eq!(written, want, "{name}");
            assert_eq!(known.restore("k", 6, bytes(&changed)), bytes(&changed), "{name}: another revision");
            known.note("k", 6, &bytes(&changed), &bytes(&changed));
            assert_eq!(known.restore("k", 6, bytes(&changed)), bytes(&changed), "{name}: read anew");
        }
    }

    proptest! {
        #[test]
        fn record_what_is_remembered_is_bounded(keys in proptest::collection::vec(0..2000_u32, 0..900)) {
            let known = Unknown::default();
            for key in keys {
                known.note(&key.to_string(), 1, br#"{"a":1,"b":2}"#, br#"{"a":1}"#);
            }
            prop_assert!(known.by_key.lock().unwrap().len() <= REMEMBERED);
        }
    }
}
