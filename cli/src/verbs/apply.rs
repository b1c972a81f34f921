//! `apply`: the wanted state of things, from a file. What is there is read first: where it is the same already nothing is
//! sent, and where it has a version, only that version is replaced (`If-Match`, RFC 9110 section 13.1.1).

use std::path::PathBuf;

use serde_json::Value;

use super::{create, find, network};
use crate::diff;
use crate::fault::{Code, Fault};
use crate::read;
use crate::resource::{Resource, fill};
use crate::session::{Session, refused};
use crate::show::clean::clean;
use crate::stage::Stage;
use crate::wire::client::Ask;

/// Settings of a node, whose network is tried first.
const SETTINGS: &str = "/v1/nodes/{}/settings";

/// How it is done.
#[derive(Debug, Clone, Copy)]
pub(super) struct How {
    /// Say what would change, and change nothing.
    pub(super) dry: bool,
    /// Confirm networks that change, as soon as their nodes answer.
    pub(super) confirm: bool,
}

/// A thing and how it shall be.
#[derive(Debug)]
struct Wanted {
    resource: &'static Resource,
    name: String,
    spec: Value,
}

/// `apply`. `word` and `name` say what a file without `kind` is about.
pub(super) fn apply(
    session: &Session,
    word: Option<&str>,
    name: Option<&str>,
    files: &[PathBuf],
    how: How,
    stage: &mut Stage<'_>,
) -> Result<(), Fault> {
    let mut wanted = Vec::new();
    // All of it is understood before anything is sent.
    for file in files {
        let wrong = |reason: String| {
            Fault::usage(format!("{} cannot be applied", file.display()), reason)
                .remedy("a document is `kind`, `name` where there are several of that kind, and `spec`; or name the resource: maekin apply RESOURCE -f FILE")
        };
        let documents = read::documents(&create::text(file, stage)?).map_err(wrong)?;
        for (n, document) in documents.into_iter().enumerate() {
            let understood = match word {
                Some(word) => plain(word, name, document),
                None => kinded(document),
            };
            wanted.push(understood.map_err(|reason| wrong(format!("document {}: {reason}", n + 1)))?);
        }
    }
    if wanted.is_empty() {
        return Err(Fault::usage("nothing to apply", "the files hold no document"));
    }
    for one in &wanted {
        put(session, one, how, stage)?;
    }
    Ok(())
}

fn kinded(document: Value) -> Result<Wanted, String> {
    let Value::Object(mut map) = document else { return Err("it is no object".to_owned()) };
    let kind = map.remove("kind");
    let kind = kind.as_ref().and_then(Value::as_str).ok_or("it says no `kind`")?.to_owned();
    let name = match map.remove("name") {
        None => None,
        Some(Value::String(name)) => Some(name),
        Some(other) => Some(other.to_string()),
    };
    let spec = map.remove("spec").ok_or("it has no `spec`")?;
    if let Some(key) = map.keys().next() {
        return Err(format!("`{key}` is none of kind, name, spec"));
    }
    plain(&kind, name.as_deref(), spec)
}

fn plain(word: &str, name: Option<&str>, spec: Value) -> Result<Wanted, String> {
    let resource = Resource::find(word).map_err(|fault| fault.thing)?;
    let path = resource.apply.ok_or_else(|| {
        format!("{} cannot be applied; {}", resource.name, find::with_verb("apply", |r| r.apply.is_some()))
    })?;
    match (path.contains("{}"), name) {
        (true, Some(name)) if !name.is_empty() => Ok(Wanted { resource, name: name.to_owned(), spec }),
        (true, _) => Err(format!("{} needs a `name`", resource.one())),
        (false, None) => Ok(Wanted { resource, name: String::new(), spec }),
        (false, Some(_)) => Err(format!("there is one {} only: it takes no `name`", resource.name)),
    }
}

fn put(session: &Session, wanted: &Wanted, how: How, stage: &mut Stage<'_>) -> Result<(), Fault> {
    let Wanted { resource, name, spec } = wanted;
    let path = fill(resource.apply.unwrap_or_default(), name);
    let what = if name.is_empty() { resource.name.to_owned() } else { format!("{}/{name}", resource.name) };
    let shown = clean(&what).into_owned();
    let before = session.send(&Ask::new("GET", &path), stage)?;
    let is = match before.status {
        200..300 => serde_json::from_slice(&before.body).unwrap_or(Value::Null),
        404 => match refused(&before, &what) {
            fault if fault.code == Code::NotFound => Value::Null,
            fault => return Err(fault),
        },
        _ => return Err(refused(&before, &what)),
    };
    let changes = diff::lines(&present(resource, &is, spec), spec);
    if changes.is_empty() {
        writeln!(stage.out, "{shown} unchanged")?;
        return Ok(());
    }
    if how.dry {
        writeln!(stage.out, "{shown} would change:")?;
        for line in changes {
            writeln!(stage.out, "  {line}")?;
        }
        return Ok(());
    }
    let ask = match (&resource.create, spec) {
        // What has a way of its own of being made is made that way.
        (Some(create), Value::Object(spec)) if is.is_null() && !create.name.is_empty() => {
            let mut body = spec.clone();
            body.insert(create.name.to_owned(), Value::String(name.clone()));
            Ask::with("POST", create.path, &Value::Object(body))
        }
        _ => Ask { if_match: before.etag, ..Ask::with("PUT", path, spec) },
    };
    let (now, _) = session.ask(&ask, &what, stage)?;
    writeln!(stage.out, "{shown} {}", if is.is_null() { "created" } else { "changed" })?;
    if resource.apply != Some(SETTINGS) {
        return Ok(());
    }
    let Some(meant) = tried(&is, &now) else { return Ok(()) };
    if how.confirm {
        // The name may be another one in a moment.
        let node = now["id"].as_str().filter(|_| differs("/spec/hostname", &is, &now)).unwrap_or(name);
        return network::confirm_when_there(session, node, Some(meant), stage);
    }
    if !differs("/spec/network", &is, &now) {
        return Ok(());
    }
    writeln!(
        stage.err,
        "{shown}: the network goes back by itself within a minute, unless: maekin network confirm {}",
        clean(name)
    )?;
    Ok(())
}

fn differs(at: &str, is: &Value, now: &Value) -> bool {
    is.pointer(at) != now.pointer(at)
}

/// Which network has to be confirmed, where settings that were `is` and are `now` want another one. Pure.
fn tried(is: &Value, now: &Value) -> Option<network::Meant> {
    let settings = now["generation"].as_u64()?;
    // Nodes of an earlier release count every change.
    let generation = now["network_generation"].as_u64().unwrap_or(settings);
    let other = differs("/spec/network", is, now) || differs("/spec/dns", is, now);
    other.then_some(network::Meant { generation, settings })
}

/// What `spec` is compared with.
fn present(resource: &Resource, is: &Value, spec: &Value) -> Value {
    let Some(at) = resource.spec else { return comparable(is, spec) };
    let is = is.pointer(at).unwrap_or(&Value::Null);
    let mut same = comparable(is, spec);
    if let (Value::Object(same), Value::Object(is)) = (&mut same, is) {
        for (key, value) in is {
            // What a file does not name would be taken away.
            same.entry(key.clone()).or_insert_with(|| value.clone());
        }
    }
    same
}

/// Of what is there, that which the wanted state speaks of: what the API adds by itself is no difference. A password that
/// is only ever sent is always one.
fn comparable(is: &Value, spec: &Value) -> Value {
    match (is, spec) {
        (Value::Object(is), Value::Object(spec)) => spec
            .iter()
            .filter_map(|(key, wanted)| Some((key.clone(), comparable(is.get(key)?, wanted))))
            .collect(),
        (Value::Array(is), Value::Array(spec)) => {
            let of = |(n, value): (usize, &Value)| {
                spec.get(n).map_or(value.clone(), |spec| comparable(value, spec))
            };
            is.iter().enumerate().map(of).collect()
        }
        (is, _) => is.clone(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn cli_documents_are_understood_whole_or_refused() {
        let rows = [
            (json!({"kind": "provision", "spec": {"a": 1}}), Ok(("provision", ""))),
            (json!({"kind": "User", "name": "anna", "spec": {}}), Ok(("users", "anna"))),
            (
                json!({"kind": "power", "name": "52:54:00:00:00:01", "spec": {}}),
                Ok(("power", "52:54:00:00:00:01")),
            ),
            (json!({"kind": "approvals", "spec": []}), Ok(("approvals", ""))),
            (json!([1]), Err("no object")),
            (json!({"spec": {}}), Err("no `kind`")),
            (json!({"kind": "provision"}), Err("no `spec`")),
            (json!({"kind": "provision", "spec": {}, "metadata": {}}), Err("`metadata` is none")),
            (json!({"kind": "provision", "name": "x", "spec": {}}), Err("takes no `name`")),
            (json!({"kind": "users", "spec": {}}), Err("needs a `name`")),
            (json!({"kind": "audit", "spec": {}}), Err("cannot be applied; `maekin apply` works with: ")),
            (json!({"kind": "pods", "spec": {}}), Err("no resource `pods`")),
        ];
        for (document, want) in rows {
            let got = kinded(document.clone());
            match want {
                Ok((resource, name)) => {
                    let got = got.unwrap();
                    assert_eq!((got.resource.name, got.name.as_str()), (resource, name), "{document}");
                }
                Err(text) => assert!(got.unwrap_err().contains(text), "{document}"),
            }
        }
    }

    #[test]
    fn cli_only_another_network_has_to_be_confirmed() {
        let is = json!({"generation": 6, "network_generation": 2, "spec": {"hostname": "a", "network": {"dns": []}}});
        let now = |network_generation: u64, spec: Value| json!({"generation": 7, "network_generation": network_generation, "spec": spec});
        let rows = [
            (
                "a name with that word in it",
                now(2, json!({"hostname": "network-1", "network": {"dns": []}})),
                None,
            ),
            ("a network", now(7, json!({"hostname": "a", "network": {"bond": []}})), Some((7, 7))),
            ("none any more", now(7, json!({"hostname": "a"})), Some((7, 7))),
            (
                "name servers",
                now(7, json!({"hostname": "a", "network": {"dns": []}, "dns": ["9.9.9.9"]})),
                Some((7, 7)),
            ),
            ("somebody changed a label behind that", now(5, json!({})), Some((5, 7))),
            ("an earlier release", json!({"generation": 7, "spec": {}}), Some((7, 7))),
        ];
        for (name, now, want) in rows {
            assert_eq!(tried(&is, &now).map(|meant| (meant.generation, meant.settings)), want, "{name}");
        }
    }

    #[test]
    fn cli_settings_are_replaced_as_a_whole() {
        let settings = Resource::find("NodeSettings").unwrap();
        let is =
            json!({"generation": 3, "spec": {"ntp": ["a"], "syslog": {"server": "x", "transport": "udp"}}});
        let rows = [
            ("the same", json!({"ntp": ["a"], "syslog": {"server": "x"}}), vec![]),
            (
                "another",
                json!({"ntp": ["b"], "syslog": {"server": "x"}}),
                vec!["- ntp: [\"a\"]", "+ ntp: [\"b\"]"],
            ),
            ("one left out", json!({"syslog": {"server": "x"}}), vec!["- ntp: [\"a\"]"]),
        ];
        for (name, spec, want) in rows {
            assert_eq!(diff::lines(&present(settings, &is, &spec), &spec), want, "{name}");
        }
    }

    #[test]
    fn cli_what_the_api_adds_is_no_difference() {
        let is = json!({"a": 1, "added": 2, "list": [{"m": 1, "x": null}]});
        let spec = json!({"a": 1, "list": [{"m": 1}]});
        assert_eq!(comparable(&is, &spec), spec);
        assert_eq!(diff::lines(&comparable(&is, &json!({"a": 2})), &json!({"a": 2})), ["- a: 1", "+ a: 2"]);
    }
}
