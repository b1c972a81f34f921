//! Things by resource and name.

use serde_json::Value;

use crate::fault::{Code, Fault};
use crate::resource::{Resource, rows};
use crate::session::Session;
use crate::stage::Stage;

/// The resource that a word names, and the names with it: `nodes a b` and `nodes/a` are both understood.
///
/// # Errors
/// There is no such resource.
pub(super) fn split(word: &str, names: &[String]) -> Result<(&'static Resource, Vec<String>), Fault> {
    match word.split_once('/') {
        Some((resource, name)) => {
            let mut all = vec![name.to_owned()];
            all.extend(names.iter().cloned());
            Ok((Resource::find(resource)?, all))
        }
        None => Ok((Resource::find(word)?, names.to_vec())),
    }
}

/// The answer to a `GET` of a resource, and the things in it. `query` goes behind the path.
///
/// # Errors
/// No answer, or a refusal.
pub(super) fn list(
    session: &Session,
    resource: &Resource,
    query: &str,
    stage: &mut Stage<'_>,
) -> Result<(Value, Vec<Value>), Fault> {
    let found = session.get(&format!("{}{query}", resource.path), resource.name, stage);
    let (answer, at) = match (found, resource.older) {
        (Ok(answer), _) => (answer, resource.list),
        (Err(fault), Some((path, at))) if fault.code == Code::Unknown => {
            (session.get(path, resource.name, stage)?, Some(at))
        }
        (Err(fault), None) if fault.code == Code::NotFound && resource.unset => {
            return Ok((Value::Null, Vec::new()));
        }
        (Err(fault), _) => return Err(fault),
    };
    let things = Resource::things(at, answer.clone());
    Ok((answer, things))
}

/// The things of those names, each once, in the order of the names.
///
/// # Errors
/// One of them is not there.
pub(super) fn named(resource: &Resource, things: &[Value], names: &[String]) -> Result<Vec<Value>, Fault> {
    if !names.is_empty() && resource.list.is_none() {
        return Err(Fault::usage(format!("`{}` takes no name", resource.name), "there is one of it only"));
    }
    let mut found: Vec<Value> = Vec::new();
    for name in names {
        let mut matching = things.iter().filter(|thing| resource.is_named(thing, name));
        let Some(first) = matching.next() else {
            return Err(Fault::new(
                Code::NotFound,
                format!("there is no {} `{name}`", resource.one()),
                format!("{} were looked through", things.len()),
            )
            .remedy(format!("`maekin get {}` lists them", resource.name)));
        };
        // Names of machines are theirs to choose: two may tell the same.
        for thing in std::iter::once(first).chain(matching) {
            if !found.contains(thing) {
                found.push(thing.clone());
            }
        }
    }
    Ok(found)
}

/// The one thing of that name.
///
/// # Errors
/// It is not there, or there are several.
pub(super) fn one(resource: &Resource, things: &[Value], name: &str) -> Result<Value, Fault> {
    let mut found = named(resource, things, &[name.to_owned()])?;
    if found.len() > 1 {
        let names: Vec<String> = found.iter().map(|thing| resource.name_of(thing)).collect();
        return Err(Fault::usage(format!("`{name}` names several {}", resource.name), names.join(", "))
            .remedy("name one of these"));
    }
    found
        .pop()
        .ok_or_else(|| Fault::new(Code::NotFound, format!("there is no {} `{name}`", resource.one()), ""))
}

/// The resources that a verb can be used with, for an error.
pub(super) fn with_verb(verb: &str, has: impl Fn(&Resource) -> bool) -> String {
    let names: Vec<&str> = rows().filter(|r| has(r)).map(|r| r.name).collect();
    format!("`maekin {verb}` works with: {}", names.join(", "))
}
