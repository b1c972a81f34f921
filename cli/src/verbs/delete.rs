//! `delete`.

use serde_json::Value;

use super::find;
use crate::fault::{Code, Fault};
use crate::resource::fill;
use crate::session::Session;
use crate::show::clean::clean;
use crate::stage::Stage;
use crate::wire::client::Ask;

/// `delete`.
pub(super) fn delete(
    session: &Session,
    word: &str,
    names: &[String],
    (yes, force): (bool, bool),
    stage: &mut Stage<'_>,
) -> Result<(), Fault> {
    let (resource, names) = find::split(word, names)?;
    let Some(delete) = &resource.delete else {
        return Err(Fault::usage(
            format!("{} cannot be deleted", resource.name),
            find::with_verb("delete", |r| r.delete.is_some()),
        ));
    };
    if force && resource.name != "nodes" {
        return Err(Fault::usage(
            "--force is for nodes",
            "nothing else of what can be deleted has to be forced",
        ));
    }
    let single = resource.list.is_none();
    if names.is_empty() != single {
        let (thing, reason) = if single {
            ("takes no name", "there is one of it only")
        } else {
            ("needs a name", "nothing is deleted unnamed")
        };
        return Err(Fault::usage(format!("`maekin delete {}` {thing}", resource.name), reason));
    }
    let chosen: Vec<String> = if single {
        vec![String::new()]
    } else {
        let (_, things) = find::list(session, resource, "", stage)?;
        // Every name must be there before anything is deleted.
        let found: Result<Vec<Value>, Fault> =
            names.iter().map(|name| find::one(resource, &things, name)).collect();
        found?.iter().map(|thing| resource.name_of(thing)).collect()
    };
    if !yes {
        let what = if single {
            resource.name.to_owned()
        } else {
            format!("{} {}", resource.one(), chosen.join(", "))
        };
        let lost = if force { "; volumes that only it has are lost" } else { "" };
        stage.confirm(&format!("delete {what}? {}{lost}.", delete.means))?;
    }
    let mut failed = None;
    for name in chosen {
        let what = format!("{} {name}", resource.one());
        let path = fill(delete.path, &name) + if force { "?force=true" } else { "" };
        match session.ask(&Ask::new("DELETE", path), what.trim(), stage) {
            Ok(_) if single => writeln!(stage.out, "{} closed", resource.name)?,
            Ok(_) => writeln!(stage.out, "{}/{} deleted", resource.name, clean(&name))?,
            // The others are deleted all the same; nobody there to ask is not their fault.
            Err(fault) if !matches!(fault.code, Code::Unreachable | Code::Denied | Code::Interrupted) => {
                if let Some(earlier) = failed.replace(fault) {
                    writeln!(stage.err, "{earlier}")?;
                }
            }
            Err(fault) => return Err(fault),
        }
    }
    failed.map_or(Ok(()), Err)
}
