//! What each verb does.
//!
//! | module | job |
//! | --- | --- |
//! | [`find`] | things by resource and name |
//! | [`get`] | list and describe |
//! | [`create`] | make |
//! | [`delete`] | delete |
//! | [`status`] | the cluster on a page |

mod create;
mod delete;
mod find;
mod get;
mod status;

use crate::args::{Args, Verb};
use crate::context;
use crate::fault::Fault;
use crate::resource::RESOURCES;
use crate::session::Session;
use crate::show::table::Table;
use crate::stage::Stage;

/// Carries out a command line.
///
/// # Errors
/// Why it was not carried out.
pub(crate) fn run(args: &Args, stage: &mut Stage<'_>) -> Result<(), Fault> {
    match &args.verb {
        Verb::Resources => resources(args, stage),
        _ => {
            let session = Session::new(&args.common.wish(), &context::place(stage.env), stage)?;
            with(&session, args, stage)
        }
    }
}

/// Carries out a command line that needs a cluster.
///
/// # Errors
/// Why it was not carried out.
pub(crate) fn with(session: &Session, args: &Args, stage: &mut Stage<'_>) -> Result<(), Fault> {
    let look = args.common.look();
    match &args.verb {
        Verb::Get { resource, names, limit } => get::get(session, resource, names, *limit, look, stage),
        Verb::Describe { resource, names } => get::describe(session, resource, names, look, stage),
        Verb::Create { resource, words, file } => {
            create::create(session, resource, words, file.as_deref(), look, stage)
        }
        Verb::Delete { resource, names, yes } => delete::delete(session, resource, names, *yes, stage),
        Verb::Status => status::status(session, look, stage),
        Verb::Resources => resources(args, stage),
    }
}

/// The table of resources as a table.
fn resources(args: &Args, stage: &mut Stage<'_>) -> Result<(), Fault> {
    let row = |r: &crate::resource::Resource| {
        let mut verbs = vec!["get", "describe", "watch"];
        verbs.extend(r.create.is_some().then_some("create"));
        verbs.extend(r.apply.is_some().then_some("apply"));
        verbs.extend(r.delete.is_some().then_some("delete"));
        vec![r.name.to_owned(), r.aliases.join(","), verbs.join(","), r.about.to_owned()]
    };
    let table = Table::of(&["RESOURCE", "ALSO", "VERBS", "WHAT"], RESOURCES.iter().map(row).collect());
    let look = args.common.look();
    let width = if look.form == crate::show::Form::Wide { None } else { stage.columns };
    Ok(stage.out.write_all(table.render(!look.headless, width).as_bytes())?)
}
