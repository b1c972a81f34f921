//! What each verb does.
//!
//! | module | job |
//! | --- | --- |
//! | [`find`] | things by resource and name |
//! | [`get`] | list and describe |
//! | [`create`] | make |
//! | [`apply`] | the wanted state, from a file |
//! | [`delete`] | delete |
//! | [`watch`] | things as they change |
//! | [`status`] | the cluster on a page |
//! | [`daily`] | machines let in, power, the install window, reinstallation, healing |
//! | [`drive`] | drives: located, taken, retired |
//! | [`network`] | the trial of a node's network |
//! | [`task`] | long work, and maintenance of a node |
//! | [`volume`] | volumes and storage |
//! | [`login`] | who one is, on which cluster |

mod apply;
mod create;
pub(crate) mod daily;
mod delete;
pub(crate) mod drive;
mod find;
mod get;
pub(crate) mod login;
pub(crate) mod network;
mod status;
pub(crate) mod task;
pub(crate) mod volume;
mod watch;

use std::time::Duration;

use crate::args::{Args, Verb};
use crate::complete::complete;
use crate::context;
use crate::fault::Fault;
use crate::resource::{Kind, Resource, rows};
use crate::session::Session;
use crate::shell;
use crate::show::table::Table;
use crate::stage::Stage;

/// How long a name may take that is completed.
const COMPLETION: Duration = Duration::from_secs(2);

/// Carries out a command line.
///
/// # Errors
/// Why it was not carried out.
pub(crate) fn run(args: &Args, stage: &mut Stage<'_>) -> Result<(), Fault> {
    let (config, common) = (context::place(stage.env), &args.common);
    let wish = common.wish();
    match &args.verb {
        Verb::Resources => resources(args, stage),
        Verb::Explain { resource } => explain(resource, stage),
        Verb::Completion { shell } => Ok(stage.out.write_all(shell.text().as_bytes())?),
        Verb::Complete { words } => {
            let wish = crate::session::Wish { limit: COMPLETION, ..wish };
            // Whoever presses Tab is told names or nothing; errors are for commands.
            let session = Session::new(&wish, &config, stage).ok();
            let names = |resource| session.as_ref().map(|s| shell::names(s, resource)).unwrap_or_default();
            for word in complete(words, &names) {
                writeln!(stage.out, "{word}")?;
            }
            Ok(())
        }
        Verb::Login(login) => login::login(login, wish.limit, &config, stage),
        Verb::Logout => login::logout(common.context.as_deref(), wish.limit, &config, stage),
        Verb::Context { what } => {
            let what = what.as_ref().unwrap_or(&login::Contexts::List);
            login::contexts(what, common.context.as_deref(), wish.limit, &config, stage)
        }
        Verb::Shell => {
            let session = Session::new(&wish, &config, stage)?;
            shell::shell(args, &session, stage)
        }
        _ => {
            let session = Session::new(&wish, &config, stage)?;
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
    let pace = |interval: f64, limit: &Option<f64>, poll: bool| watch::Pace {
        interval: Duration::from_secs_f64(interval),
        limit: limit.map(Duration::from_secs_f64),
        events: !poll,
    };
    match &args.verb {
        Verb::Get { resource, names, watch: true, .. } => {
            watch::watch(session, resource, names, pace(2.0, &None, false), look, stage)
        }
        Verb::Get { resource, names, limit, .. } => get::get(session, resource, names, *limit, look, stage),
        Verb::Describe { resource, names } => get::describe(session, resource, names, look, stage),
        Verb::Create { resource, words, file } => {
            create::create(session, resource, words, file.as_deref(), look, stage)
        }
        Verb::Apply { resource, name, file, dry_run, confirm } => {
            let (word, inner) = match resource.as_deref().and_then(|word| word.split_once('/')) {
                Some((word, name)) => (Some(word), Some(name)),
                None => (resource.as_deref(), name.as_deref()),
            };
            let how = apply::How { dry: *dry_run, confirm: *confirm };
            apply::apply(session, word, inner, file, how, stage)
        }
        Verb::Delete { resource, names, yes, force } => {
            delete::delete(session, resource, names, (*yes, *force), stage)
        }
        Verb::Watch { resource, names, interval, r#for, poll } => {
            watch::watch(session, resource, names, pace(*interval, r#for, *poll), look, stage)
        }
        Verb::Status => status::status(session, look, stage),
        Verb::Whoami => get::get(session, "whoami", &[], None, look, stage),
        Verb::Passwd => daily::passwd(session, stage),
        Verb::Approve(args) => daily::approve(session, args, stage),
        Verb::Deny { machines, reason, minutes } => daily::deny(session, machines, reason, *minutes, stage),
        Verb::Window { what } => {
            daily::window(session, what.as_ref().unwrap_or(&daily::Window::Show), look, stage)
        }
        Verb::Pair { what } => daily::pair(session, what, look, stage),
        Verb::Network { what } => network::network(session, what, stage),
        Verb::Drive { what } => drive::drive(session, what, look, stage),
        Verb::Power(args) => daily::power(session, args, stage),
        Verb::Reinstall { name, withdraw, force, yes } => {
            daily::reinstall(session, name, *withdraw, (*yes, *force), stage)
        }
        Verb::Heal { disk, consent } => daily::heal(session, disk.as_deref(), consent.as_deref(), stage),
        Verb::Task { what } => task::task(session, what, look, stage),
        Verb::Drain(args) => task::drain(session, args, look, stage),
        Verb::Maintenance { what } => task::maintenance(session, what, stage),
        Verb::Volume { what } => volume::volume(session, what, look, stage),
        Verb::Storage => volume::storage(session, look, stage),
        Verb::Raw { method, path, file } => {
            let text = file.as_deref().map(|file| create::text(file, stage)).transpose()?;
            daily::raw(session, method, path, text, stage)
        }
        Verb::Explain { resource } => explain(resource, stage),
        Verb::Completion { shell } => Ok(stage.out.write_all(shell.text().as_bytes())?),
        Verb::Resources => resources(args, stage),
        Verb::Login(_) | Verb::Logout | Verb::Context { .. } | Verb::Shell | Verb::Complete { .. } => {
            Err(Fault::usage("that is done outside of the shell", ""))
        }
    }
}

/// What a resource is, and what can be said when one is made.
fn explain(word: &str, stage: &mut Stage<'_>) -> Result<(), Fault> {
    let resource = Resource::find(word)?;
    writeln!(stage.out, "{}: {}\npath: {}", resource.name, resource.about, resource.path)?;
    if let Some(delete) = &resource.delete {
        writeln!(stage.out, "deleted: {}", delete.means)?;
    }
    if resource.apply.is_some() {
        writeln!(stage.out, "applied: maekin apply -f FILE, with `kind: {}`", resource.name)?;
    }
    if let Some(create) = &resource.create {
        writeln!(stage.out, "made: {}", create::usage(resource, create))?;
        let row = |field: &crate::resource::Field| {
            let how = match field.kind {
                Kind::Text => "text".to_owned(),
                Kind::Number => "number".to_owned(),
                Kind::Size => "size, e.g. 20G".to_owned(),
                Kind::List => "list, with commas".to_owned(),
                Kind::Word(words) => words.join(" or "),
                Kind::Secret => "asked for".to_owned(),
            };
            vec![field.name.to_owned(), how, field.default.unwrap_or("-").to_owned(), field.help.to_owned()]
        };
        let table = Table::of(&["FIELD", "HOW", "ELSE", "WHAT"], create.fields.iter().map(row).collect());
        stage.out.write_all(table.render(true, stage.columns).as_bytes())?;
    }
    Ok(())
}

/// The table of resources as a table.
fn resources(args: &Args, stage: &mut Stage<'_>) -> Result<(), Fault> {
    let row = |r: &Resource| {
        let more =
            [("create", r.create.is_some()), ("apply", r.apply.is_some()), ("delete", r.delete.is_some())];
        let more: Vec<&str> = more.iter().filter(|(_, has)| *has).map(|(verb, _)| *verb).collect();
        vec![
            r.name.to_owned(),
            r.aliases.last().unwrap_or(&"").to_string(),
            r.about.to_owned(),
            more.join(","),
        ]
    };
    let heads = ["RESOURCE", "SHORT", "WHAT", "ALSO"];
    let table = Table::of(&heads, rows().map(row).collect());
    let look = args.common.look();
    let width = if look.form == crate::show::Form::Wide { None } else { stage.columns };
    Ok(stage.out.write_all(table.render(!look.headless, width).as_bytes())?)
}
