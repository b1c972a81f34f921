//! `create`: what was said becomes the body of a request. Planning it is pure but for secrets, which are asked for.

use std::path::Path;

use serde_json::{Map, Value};

use super::find;
use crate::fault::Fault;
use crate::read;
use crate::resource::{Create, Field, Kind, Resource, fill};
use crate::session::Session;
use crate::show::{self, Form, Look, clean::clean, yaml};
use crate::stage::Stage;
use crate::wire::client::Ask;

/// Longest file that is read, bytes.
pub(super) const LONGEST: u64 = 4 << 20;

/// `create`.
pub(super) fn create(
    session: &Session,
    word: &str,
    words: &[String],
    file: Option<&Path>,
    look: Look,
    stage: &mut Stage<'_>,
) -> Result<(), Fault> {
    let resource = Resource::find(word)?;
    let Some(create) = &resource.create else {
        return Err(Fault::usage(
            format!("{} cannot be created", resource.name),
            find::with_verb("create", |r| r.create.is_some()),
        ));
    };
    let base = match file {
        None => Map::new(),
        Some(file) => fields_of(file, stage)?,
    };
    let mut body = plan(resource, create, words, base).map_err(|reason| {
        Fault::usage(format!("this {} cannot be made", resource.one()), reason)
            .remedy(usage(resource, create))
    })?;
    for field in create.fields.iter().filter(|f| f.kind == Kind::Secret) {
        if !body.contains_key(field.name) {
            body.insert(field.name.to_owned(), Value::String(secret(field, stage)?));
        }
    }
    let name = body.get(create.name).and_then(Value::as_str).unwrap_or_default().to_owned();
    let path = fill(create.path, &name);
    let (answer, _) = session.ask(
        &Ask::with("POST", path, &Value::Object(body)),
        &format!("a new {}", resource.one()),
        stage,
    )?;
    report(resource, create, &answer, &name, look, stage)
}

fn report(
    resource: &Resource,
    create: &Create,
    answer: &Value,
    name: &str,
    look: Look,
    stage: &mut Stage<'_>,
) -> Result<(), Fault> {
    match look.form {
        Form::Json => stage.out.write_all(show::json(answer).as_bytes())?,
        Form::Yaml => stage.out.write_all(yaml::render(answer).as_bytes())?,
        _ => {
            let told = create.told.and_then(|(at, about)| Some((answer.pointer(at)?.as_str()?, about)));
            if let Some((secret, about)) = told {
                writeln!(stage.err, "{about}")?;
                writeln!(stage.out, "{}", clean(secret))?;
                return Ok(());
            }
            let made = resource.name_of(answer);
            let name = if made.is_empty() { name } else { &made };
            if name.is_empty() && resource.list.is_some() {
                writeln!(stage.out, "{} created", resource.one())?;
                return Ok(());
            }
            if name.is_empty() {
                return show::things(resource, std::slice::from_ref(answer), answer, look, stage);
            }
            writeln!(stage.out, "{}/{} created", resource.name, clean(name))?;
        }
    }
    Ok(())
}

/// The fields in a file.
fn fields_of(file: &Path, stage: &mut Stage<'_>) -> Result<Map<String, Value>, Fault> {
    let wrong = |reason: String| Fault::usage(format!("{} cannot be used", file.display()), reason);
    let documents = read::documents(&text(file, stage)?).map_err(wrong)?;
    match <[Value; 1]>::try_from(documents) {
        Ok([Value::Object(map)]) => Ok(map),
        _ => Err(wrong("it must hold one object".to_owned())),
    }
}

/// The text of a file; `-` is standard input.
///
/// # Errors
/// It cannot be read.
pub(super) fn text(file: &Path, stage: &mut Stage<'_>) -> Result<String, Fault> {
    if file == Path::new("-") {
        return stage.keys.all(LONGEST);
    }
    maekin_host::file::read_text(file, LONGEST)
        .map_err(|e| Fault::usage(format!("{} cannot be read", file.display()), crate::fault::chain(&e)))
}

fn secret(field: &Field, stage: &mut Stage<'_>) -> Result<String, Fault> {
    let typed = stage.keys.secret(&format!("{}: ", field.name))?;
    if stage.keys.is_person() && stage.keys.secret(&format!("{} again: ", field.name))? != typed {
        return Err(Fault::usage("nothing was made", format!("the two {}s differ", field.name)));
    }
    Ok(typed)
}

/// The body of a request: what a file said, then the words, then what is taken when nothing is said.
fn plan(
    resource: &Resource,
    create: &Create,
    words: &[String],
    mut body: Map<String, Value>,
) -> Result<Map<String, Value>, String> {
    for word in words {
        let Some((key, value)) = word.split_once('=') else {
            if create.name.is_empty() {
                return Err(format!(
                    "`{word}` is no field=value, and a {} has no name of its own",
                    resource.one()
                ));
            }
            if body.insert(create.name.to_owned(), Value::String(word.clone())).is_some() {
                return Err(format!("`{word}` would be a second name"));
            }
            continue;
        };
        let key = key.replace('-', "_");
        let Some(field) = create.fields.iter().find(|field| field.name == key) else {
            return Err(format!("there is no field `{key}`"));
        };
        body.insert(key, said(field, value)?);
    }
    if !create.name.is_empty() && !body.contains_key(create.name) {
        return Err("it needs a name".to_owned());
    }
    for field in create.fields {
        if let Some(default) = field.default.filter(|_| !body.contains_key(field.name)) {
            body.insert(field.name.to_owned(), said(field, default)?);
        }
    }
    Ok(body)
}

fn said(field: &Field, text: &str) -> Result<Value, String> {
    let name = field.name;
    match field.kind {
        Kind::Text => Ok(Value::String(text.to_owned())),
        Kind::Number => {
            text.parse::<u64>().map(Value::from).map_err(|_| format!("{name}: `{text}` is no number"))
        }
        Kind::Size => crate::size::parse(text).map(Value::from).map_err(|e| format!("{name}: {e}")),
        Kind::List => Ok(text.split(',').map(str::trim).filter(|t| !t.is_empty()).map(Value::from).collect()),
        Kind::Word(words) if words.contains(&text) => Ok(Value::String(text.to_owned())),
        Kind::Word(words) => Err(format!("{name}: `{text}` is none of {}", words.join(", "))),
        Kind::Secret => Err(format!(
            "{name} is not given on the command line, where others can read it: it is asked for, or read from standard input"
        )),
    }
}

/// How it is said, in a line.
pub(super) fn usage(resource: &Resource, create: &Create) -> String {
    let mut text = format!("maekin create {}", resource.one());
    if !create.name.is_empty() {
        text.push_str(" NAME");
    }
    for field in create.fields.iter().filter(|f| f.kind != Kind::Secret) {
        let value = match (field.default, field.kind) {
            (_, Kind::Word(words)) => words.join("|"),
            (Some(default), _) => default.to_owned(),
            (None, Kind::Number) => "N".to_owned(),
            (None, Kind::Size) => "20G".to_owned(),
            (None, Kind::List) => "A,B".to_owned(),
            (None, _) => "TEXT".to_owned(),
        };
        text.push_str(&format!(" [{}={value}]", field.name));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn planned(resource: &str, words: &[&str], base: &Value) -> Result<Value, String> {
        let resource = Resource::find(resource).unwrap();
        let words: Vec<String> = words.iter().map(|word| (*word).to_owned()).collect();
        let base = base.as_object().cloned().unwrap_or_default();
        plan(resource, resource.create.as_ref().unwrap(), &words, base).map(Value::Object)
    }

    #[test]
    fn cli_what_is_said_becomes_a_request() {
        let rows = [
            ("window", vec![], json!({}), Ok(json!({"minutes": 60, "count": 16}))),
            ("window", vec!["count=2"], json!({"minutes": 5}), Ok(json!({"minutes": 5, "count": 2}))),
            ("window", vec!["soon"], json!({}), Err("no name of its own")),
            ("window", vec!["count=many"], json!({}), Err("`many` is no number")),
            ("window", vec!["color=red"], json!({}), Err("no field `color`")),
            ("user", vec!["anna"], json!({}), Ok(json!({"name": "anna", "role": "viewer"}))),
            ("user", vec!["role=operator", "007"], json!({}), Ok(json!({"name": "007", "role": "operator"}))),
            ("user", vec!["anna", "role=king"], json!({}), Err("none of viewer, operator, admin")),
            ("user", vec!["anna", "password=x"], json!({}), Err("others can read it")),
            ("user", vec!["anna", "berta"], json!({}), Err("second name")),
            ("user", vec![], json!({}), Err("needs a name")),
        ];
        for (resource, words, base, want) in rows {
            let got = planned(resource, &words, &base);
            match want {
                Ok(body) => assert_eq!(got, Ok(body), "{words:?}"),
                Err(text) => assert!(got.clone().unwrap_err().contains(text), "{words:?}: {got:?}"),
            }
        }
        let user = Resource::find("user").unwrap();
        assert_eq!(
            usage(user, user.create.as_ref().unwrap()),
            "maekin create user NAME [role=viewer|operator|admin]"
        );
    }
}
