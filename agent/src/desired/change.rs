//! What a change of settings is: how they shall be anew, or a merge patch (RFC 7386); and who may ask for it. Pure.

use maekin_api::access::Role;
use maekin_api::settings::NodeSettings;
use serde_json::{Map, Value};

/// What an operator may change; all else takes an admin.
const OPERATORS: [&str; 3] = ["maintenance", "roles", "labels"];

/// A change that somebody asks for.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Edit {
    /// All settings anew.
    Replace(Map<String, Value>),
    /// Some of them: null takes one back to as installed.
    Merge(Map<String, Value>),
}

impl Edit {
    /// What becomes of `old`.
    ///
    /// # Errors
    /// What is wrong with the request.
    pub(crate) fn apply(&self, old: &NodeSettings) -> Result<NodeSettings, String> {
        let (Self::Replace(fields) | Self::Merge(fields)) = self;
        if let Some(unknown) = fields.keys().find(|name| !NodeSettings::FIELDS.contains(&name.as_str())) {
            let shown = crate::install::terms::shown(unknown);
            return Err(format!("`{shown}` is no setting; there are: {}", NodeSettings::FIELDS.join(", ")));
        }
        let whole = match self {
            Self::Replace(fields) => Value::Object(fields.clone()),
            Self::Merge(patch) => {
                let mut whole = serde_json::to_value(old).map_err(|e| e.to_string())?;
                merge(&mut whole, &Value::Object(patch.clone()));
                whole
            }
        };
        serde_json::from_value(whole).map_err(|e| e.to_string())
    }
}

/// RFC 7386 section 2.
pub(crate) fn merge(target: &mut Value, patch: &Value) {
    let Value::Object(patch) = patch else {
        target.clone_from(patch);
        return;
    };
    if !target.is_object() {
        *target = Value::Object(Map::new());
    }
    let Value::Object(fields) = target else { return };
    for (name, value) in patch {
        if value.is_null() {
            fields.remove(name);
        } else {
            merge(fields.entry(name.clone()).or_insert(Value::Null), value);
        }
    }
}

/// The settings that differ.
pub(crate) fn changed(old: &NodeSettings, new: &NodeSettings) -> Vec<&'static str> {
    // Plain data always serializes.
    let [old, new] = [old, new].map(|spec| serde_json::to_value(spec).unwrap_or_default());
    NodeSettings::FIELDS.into_iter().filter(|name| old.get(name) != new.get(name)).collect()
}

/// Those of `changed` that `role` may not change.
pub(crate) fn beyond(role: Role, changed: &[&'static str]) -> Vec<&'static str> {
    let may = |name: &&str| role >= Role::Admin || (role >= Role::Operator && OPERATORS.contains(name));
    changed.iter().copied().filter(|name| !may(name)).collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    fn spec(value: Value) -> NodeSettings {
        serde_json::from_value(value).unwrap()
    }

    fn fields(value: Value) -> Map<String, Value> {
        serde_json::from_value(value).unwrap()
    }

    #[test]
    fn api_settings_patches_change_what_they_name() {
        let old = json!({"hostname": "a", "labels": {"rack": "1", "row": "2"}, "ntp": ["x", "y"]});
        let rows = [
            ("nothing", json!({}), old.clone()),
            (
                "one",
                json!({"hostname": "b"}),
                json!({"hostname": "b", "labels": {"rack": "1", "row": "2"}, "ntp": ["x", "y"]}),
            ),
            (
                "back to as installed",
                json!({"hostname": null, "ntp": null}),
                json!({"labels": {"rack": "1", "row": "2"}}),
            ),
            (
                "within",
                json!({"labels": {"rack": null, "room": "3"}}),
                json!({"hostname": "a", "labels": {"row": "2", "room": "3"}, "ntp": ["x", "y"]}),
            ),
            (
                "lists are replaced",
                json!({"ntp": ["z"]}),
                json!({"hostname": "a", "labels": {"rack": "1", "row": "2"}, "ntp": ["z"]}),
            ),
            (
                "what is not there",
                json!({"maintenance": null, "syslog": {"server": "log"}}),
                json!({"hostname": "a", "labels": {"rack": "1", "row": "2"}, "ntp": ["x", "y"], "syslog": {"server": "log"}}),
            ),
        ];
        for (name, patch, want) in rows {
            let got = Edit::Merge(fields(patch)).apply(&spec(old.clone())).unwrap();
            assert_eq!(got, spec(want), "{name}");
        }
        let replaced = Edit::Replace(fields(json!({"hostname": "c", "ntp": null}))).apply(&spec(old.clone()));
        assert_eq!(replaced.unwrap(), spec(json!({"hostname": "c"})));
        let wrong = [
            ("no setting", json!({"host": "a"}), "`host` is no setting"),
            ("a slip within", json!({"syslog": {"server": "a", "prt": 1}}), "prt"),
            ("another type", json!({"hostname": 3}), "string"),
            ("no list", json!({"ntp": "x"}), "sequence"),
            ("within the network", json!({"network": {"interfaces": []}}), "interfaces"),
        ];
        for (name, body, want) in wrong {
            for edit in [Edit::Merge(fields(body.clone())), Edit::Replace(fields(body))] {
                let error = edit.apply(&spec(old.clone())).unwrap_err();
                assert!(error.contains(want), "{name}: {error}");
            }
        }
    }

    #[test]
    fn api_settings_operators_change_labels_and_maintenance_only() {
        let old = spec(json!({"hostname": "a", "labels": {"rack": "1"}}));
        let rows = [
            (
                "labels",
                json!({"hostname": "a", "labels": {"rack": "2"}}),
                vec!["labels"],
                Role::Operator,
                true,
            ),
            (
                "maintenance",
                json!({"hostname": "a", "labels": {"rack": "1"}, "maintenance": {}}),
                vec!["maintenance"],
                Role::Operator,
                true,
            ),
            (
                "a name",
                json!({"hostname": "b", "labels": {"rack": "1"}}),
                vec!["hostname"],
                Role::Operator,
                false,
            ),
            (
                "keys among others",
                json!({"hostname": "a", "ssh_keys": []}),
                vec!["ssh_keys", "labels"],
                Role::Operator,
                false,
            ),
            (
                "an admin",
                json!({"hostname": "a", "ssh_keys": []}),
                vec!["ssh_keys", "labels"],
                Role::Admin,
                true,
            ),
            ("a viewer", json!({"hostname": "a"}), vec!["labels"], Role::Viewer, false),
            ("nothing", json!({"hostname": "a", "labels": {"rack": "1"}}), vec![], Role::Viewer, true),
        ];
        for (name, new, want, role, may) in rows {
            let differ = changed(&old, &spec(new));
            assert_eq!(differ, want, "{name}");
            assert_eq!(beyond(role, &differ).is_empty(), may, "{name}");
        }
    }

    #[test]
    fn api_settings_the_list_of_fields_is_the_types() {
        let schema = serde_json::to_value(schemars::schema_for!(NodeSettings)).unwrap();
        let have: Vec<_> = schema["properties"].as_object().unwrap().keys().cloned().collect();
        let mut want = NodeSettings::FIELDS.to_vec();
        want.sort_unstable();
        let mut have: Vec<_> = have.iter().map(String::as_str).collect();
        have.sort_unstable();
        assert_eq!(have, want);
    }

    fn any_json() -> impl Strategy<Value = Value> {
        let leaf = prop_oneof![
            Just(Value::Null),
            any::<bool>().prop_map(Value::from),
            any::<i64>().prop_map(Value::from),
            ".{0,12}".prop_map(Value::from),
        ];
        leaf.prop_recursive(3, 24, 4, |inner| {
            prop_oneof![
                proptest::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
                proptest::collection::btree_map("[a-c]", inner, 0..4)
                    .prop_map(|map| Value::Object(map.into_iter().collect())),
            ]
        })
    }

    proptest! {
        #[test]
        fn api_settings_a_patch_applied_twice_is_as_applied_once(target in any_json(), patch in any_json()) {
            let mut once = target;
            merge(&mut once, &patch);
            let mut twice = once.clone();
            merge(&mut twice, &patch);
            prop_assert_eq!(once, twice);
        }

        #[test]
        fn api_settings_whatever_is_sent_is_understood_or_refused(field in 0..10_usize, value in any_json()) {
            let body = fields(json!({ NodeSettings::FIELDS[field]: value }));
            for edit in [Edit::Merge(body.clone()), Edit::Replace(body)] {
                if let Ok(spec) = edit.apply(&NodeSettings::default()) {
                    let _ = super::super::check::problems(&spec); // it ends, and does not panic
                    prop_assert_eq!(Edit::Replace(fields(serde_json::to_value(&spec).unwrap())).apply(&NodeSettings::default()), Ok(spec));
                }
            }
        }
    }
}
