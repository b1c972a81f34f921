//! `get` and `describe`.

use serde_json::Value;

use super::find;
use crate::fault::{Code, Fault};
use crate::resource::{Resource, fill};
use crate::session::Session;
use crate::show::{self, Form, Look, describe as long, yaml};
use crate::stage::Stage;

/// `get`.
pub(super) fn get(
    session: &Session,
    word: &str,
    names: &[String],
    limit: Option<usize>,
    look: Look,
    stage: &mut Stage<'_>,
) -> Result<(), Fault> {
    let (resource, names) = find::split(word, names)?;
    let query = limit.filter(|_| resource.paged).map(|n| format!("?limit={n}")).unwrap_or_default();
    let (answer, mut things) = find::list(session, resource, &query, stage)?;
    if names.is_empty() {
        let all = things.len();
        things.truncate(limit.unwrap_or(usize::MAX));
        // What was answered, also what our table knows nothing of; unless it is more than was asked for.
        let whole =
            if things.len() == all && resource.list == Some("") { answer } else { listed(resource, &things) };
        return show::things(resource, &things, &whole, look, stage);
    }
    let found = find::named(resource, &things, &names)?;
    let whole = match found.as_slice() {
        [one] if names.len() == 1 => one.clone(),
        many => Value::Array(many.to_vec()),
    };
    show::things(resource, &found, &whole, look, stage)
}

fn listed(resource: &Resource, things: &[Value]) -> Value {
    match (resource.list, things) {
        (None, [one]) => one.clone(),
        _ => Value::Array(things.to_vec()),
    }
}

/// `describe`.
pub(super) fn describe(
    session: &Session,
    word: &str,
    names: &[String],
    look: Look,
    stage: &mut Stage<'_>,
) -> Result<(), Fault> {
    let (resource, names) = find::split(word, names)?;
    let (answer, things) = find::list(session, resource, "", stage)?;
    if answer.is_null() {
        writeln!(stage.err, "nothing is set")?;
        return Ok(());
    }
    let chosen = if names.is_empty() { things } else { find::named(resource, &things, &names)? };
    let mut whole = Vec::new();
    for thing in chosen {
        whole.push(detail(session, resource, thing, stage)?);
    }
    if whole.is_empty() {
        writeln!(stage.err, "there are no {}", resource.name)?;
    }
    let first: Vec<&str> = resource.named.iter().map(|at| at.trim_start_matches('/')).collect();
    let text = match look.form {
        Form::Json | Form::Yaml => {
            let value = if whole.len() == 1 { whole.remove(0) } else { Value::Array(whole) };
            if look.form == Form::Json { show::json(&value) } else { yaml::render(&value) }
        }
        _ => {
            let texts: Vec<String> =
                whole.iter().map(|one| long::render(one, &first, (stage.now)())).collect();
            texts.join("\n")
        }
    };
    Ok(stage.out.write_all(text.as_bytes())?)
}

/// All that is known of a thing: what the API says of it alone, where it says more.
fn detail(
    session: &Session,
    resource: &Resource,
    thing: Value,
    stage: &mut Stage<'_>,
) -> Result<Value, Fault> {
    let Some(path) = resource.item else { return Ok(thing) };
    let name = resource.name_of(&thing);
    match session.get(&fill(path, &name), &format!("{} {name}", resource.one()), stage) {
        Ok(more) => Ok(more),
        // It went between the two questions, or this release knows no more than the list.
        Err(fault) if matches!(fault.code, Code::NotFound | Code::Unknown) => Ok(thing),
        Err(fault) => Err(fault),
    }
}
