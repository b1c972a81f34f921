//! `maekin shell`: the same verbs without the first word, with history and completion. A node that goes away ends a command,
//! not the shell: the next one asks the nodes in turn again. A password is asked for once and forgotten at the end.

mod words;

use std::cell::RefCell;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use clap::Parser;
use rustyline::completion::Completer;
use rustyline::config::{CompletionType, Config};
use rustyline::error::ReadlineError;
use rustyline::highlight::Highlighter;
use rustyline::hint::Hinter;
use rustyline::history::{FileHistory, History};
use rustyline::validate::Validator;
use rustyline::{Context, Editor, Helper};
use serde_json::Value;

use crate::args::{Args, Verb};
use crate::complete::complete;
use crate::fault::{Code, Fault};
use crate::resource::Resource;
use crate::session::Session;
use crate::show::clean::clean;
use crate::stage::Stage;
use crate::verbs;
use crate::wire::client::Ask;

/// Lines of history that are kept.
const HISTORY: usize = 1000;
/// How long a name that was completed is believed.
const FRESH: Duration = Duration::from_secs(10);

const WELCOME: &str = "Verbs as on the command line, without `maekin`. Tab completes, Ctrl-D ends; `help`.";

/// What Tab knows.
struct Tab<'a> {
    session: &'a Session,
    /// Names that were asked for last, when, and of which resource.
    known: RefCell<Option<(Instant, &'static str, Vec<String>)>>,
}

impl Tab<'_> {
    fn names(&self, resource: &'static Resource) -> Vec<String> {
        if let Some((at, of, names)) = &*self.known.borrow()
            && *of == resource.name
            && at.elapsed() < FRESH
        {
            return names.clone();
        }
        let names = names(self.session, resource);
        *self.known.borrow_mut() = Some((Instant::now(), resource.name, names.clone()));
        names
    }
}

/// The names of all things of a kind, where the cluster gives them without a question to anybody.
pub(crate) fn names(session: &Session, resource: &'static Resource) -> Vec<String> {
    let ask = |path: &str| session.quietly(&Ask::new("GET", path));
    let found = ask(resource.path).map(|answer| (answer, resource.list));
    let older = || resource.older.and_then(|(path, at)| Some((ask(path)?, Some(at))));
    let Some((answer, at)) = found.or_else(older) else { return Vec::new() };
    let value: Value = serde_json::from_slice(&answer.body).unwrap_or_default();
    Resource::things(at, value)
        .iter()
        .map(|thing| resource.name_of(thing))
        .filter(|n| !n.is_empty())
        .collect()
}

impl Completer for Tab<'_> {
    type Candidate = String;

    fn complete(&self, line: &str, pos: usize, _: &Context<'_>) -> rustyline::Result<(usize, Vec<String>)> {
        let typed = line.get(..pos).unwrap_or(line);
        let Ok(mut words) = words::split(typed) else { return Ok((pos, Vec::new())) };
        if typed.is_empty() || typed.ends_with(char::is_whitespace) {
            words.push(String::new());
        }
        let help = words.len() > 1 && words[0] == "help";
        let words = if help { &words[1..] } else { &words[..] };
        let mut found = complete(words, &|resource| self.names(resource));
        if words.len() == 1 && !help {
            let own = ["help", "exit"];
            found.extend(own.into_iter().filter(|w| w.starts_with(words[0].as_str())).map(str::to_owned));
        }
        let start = pos - words.last().map_or(0, String::len).min(pos);
        if let [one] = found.as_mut_slice()
            && !one.ends_with('=')
        {
            one.push(' ');
        }
        Ok((start, found))
    }
}

impl Hinter for Tab<'_> {
    type Hint = String;
}
impl Highlighter for Tab<'_> {}
impl Validator for Tab<'_> {}
impl Helper for Tab<'_> {}

/// `shell`.
pub(crate) fn shell(args: &Args, session: &Session, stage: &mut Stage<'_>) -> Result<(), Fault> {
    let cluster = session.get(maekin_api::CLUSTER, "the cluster", stage);
    match cluster {
        Ok(cluster) => {
            if let Some(name) = cluster["name"].as_str() {
                name.clone_into(&mut session.cluster.borrow_mut());
            }
        }
        // Whoever may not enter has no use for a prompt; a cluster that is away may come back.
        Err(fault) if fault.code == Code::Denied => return Err(fault),
        Err(fault) => writeln!(stage.err, "{fault}")?,
    }
    if !stage.keys.is_person() {
        return script(args, session, stage);
    }
    let failed = |e: ReadlineError| Fault::new(Code::Failed, "the terminal cannot be used", e.to_string());
    let config = Config::builder().completion_type(CompletionType::List).auto_add_history(false).build();
    let mut editor: Editor<Tab<'_>, FileHistory> = Editor::with_config(config).map_err(failed)?;
    editor.set_helper(Some(Tab { session, known: RefCell::new(None) }));
    let history = history_file(stage.env);
    editor.history_mut().set_max_len(HISTORY).map_err(failed)?;
    let _ = editor.load_history(&history); // the first time there is none
    writeln!(stage.out, "{WELCOME}")?;
    loop {
        stage.out.flush()?;
        match editor.readline(&prompt(session)) {
            Ok(line) => {
                if line.trim().is_empty() {
                    continue;
                }
                let _ = editor.add_history_entry(line.as_str()); // a shell without history is still one
                save(&mut editor, &history);
                if command(&line, args, session, stage)? {
                    return Ok(());
                }
            }
            Err(ReadlineError::Interrupted) => {}
            Err(ReadlineError::Eof) => return Ok(()),
            Err(e) => return Err(failed(e)),
        }
    }
}

fn prompt(session: &Session) -> String {
    format!("{}@{}> ", clean(&session.user), clean(&session.cluster.borrow()))
}

fn history_file(env: &dyn Fn(&str) -> Option<String>) -> PathBuf {
    let state = env("XDG_STATE_HOME").filter(|dir| dir.starts_with('/')).map(PathBuf::from);
    let home = || PathBuf::from(env("HOME").unwrap_or_else(|| "/root".to_owned())).join(".local/state");
    state.unwrap_or_else(home).join("maekin/history")
}

fn save(editor: &mut Editor<Tab<'_>, FileHistory>, path: &Path) {
    // rustyline makes the file for its owner only.
    let made = path.parent().is_none_or(|dir| std::fs::create_dir_all(dir).is_ok());
    if made {
        let _ = editor.save_history(path); // a shell without history is still one
    }
}

/// Lines of a file as commands: the first that fails ends it.
fn script(args: &Args, session: &Session, stage: &mut Stage<'_>) -> Result<(), Fault> {
    let text = stage.keys.all(1 << 20)?;
    for line in text.lines().filter(|line| !line.trim().is_empty() && !line.starts_with('#')) {
        match parsed(line, args) {
            Parsed::Command(parsed) => verbs::with(session, &parsed, stage)?,
            Parsed::Exit => return Ok(()),
            Parsed::Said(text) => return Err(Fault::usage(format!("`{}` is no command", line.trim()), text)),
        }
    }
    Ok(())
}

/// Carries out a line; whether the shell ends.
fn command(line: &str, args: &Args, session: &Session, stage: &mut Stage<'_>) -> Result<bool, Fault> {
    match parsed(line, args) {
        Parsed::Exit => return Ok(true),
        Parsed::Said(text) => writeln!(stage.err, "{}", text.trim_end())?,
        Parsed::Command(parsed) => {
            stage.columns =
                if stage.columns.is_some() { crate::stage::columns().or(stage.columns) } else { None };
            match verbs::with(session, &parsed, stage) {
                Err(fault) if fault.code == Code::Pipe => return Err(fault),
                Err(fault) if !fault.thing.is_empty() => writeln!(stage.err, "{fault}")?,
                _ => {}
            }
        }
    }
    Ok(false)
}

/// What a line is.
enum Parsed {
    Command(Box<Args>),
    Exit,
    Said(String),
}

fn parsed(line: &str, outer: &Args) -> Parsed {
    let mut words = match words::split(line) {
        Ok(words) => words,
        Err(e) => return Parsed::Said(e),
    };
    if words.first().is_some_and(|word| word == "maekin") {
        words.remove(0);
    }
    match words.first().map(String::as_str) {
        None => return Parsed::Said(String::new()),
        Some("exit" | "quit") => return Parsed::Exit,
        Some("help" | "?") => {
            words.remove(0);
            words.push("-h".to_owned());
        }
        _ => {}
    }
    match Args::try_parse_from(std::iter::once("maekin".to_owned()).chain(words)) {
        // Help is an error to clap.
        Err(e) => Parsed::Said(e.to_string()),
        Ok(args) => {
            let common = &args.common;
            if common.context.is_some() || common.node.is_some() || common.socket.is_some() {
                return Parsed::Said(
                    "a shell is of one cluster: leave it, and name another one there".to_owned(),
                );
            }
            match args.verb {
                Verb::Shell
                | Verb::Complete { .. }
                | Verb::Login(_)
                | Verb::Logout
                | Verb::Context { .. } => Parsed::Said("that is done outside of the shell".to_owned()),
                _ => {
                    let mut args = args;
                    if args.common.output == crate::show::Form::Table {
                        args.common.output = outer.common.output;
                    }
                    Parsed::Command(Box::new(args))
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cli_lines_of_the_shell_are_verbs_help_or_the_end() {
        let outer = Args::try_parse_from(["maekin", "shell"]).unwrap();
        let rows = [
            ("get nodes", "command"),
            ("maekin get nodes -o wide", "command"),
            ("deny 123-456 --reason 'not ours'", "command"),
            ("exit", "exit"),
            ("quit", "exit"),
            ("help", "Usage: maekin"),
            ("help get", "List things"),
            ("? get", "List things"),
            ("shell", "outside"),
            ("login https://x", "outside"),
            ("get nodes --context other", "one cluster"),
            ("frobnicate", "unrecognized"),
            ("get 'nodes", "quote"),
        ];
        for (line, want) in rows {
            match parsed(line, &outer) {
                Parsed::Command(_) => assert_eq!(want, "command", "{line}"),
                Parsed::Exit => assert_eq!(want, "exit", "{line}"),
                Parsed::Said(text) => assert!(text.contains(want), "{line}: {text}"),
            }
        }
    }

    #[test]
    fn cli_history_is_kept_in_the_users_own_place() {
        let env = |key: &str| (key == "HOME").then(|| "/h".to_owned());
        assert_eq!(history_file(&env), Path::new("/h/.local/state/maekin/history"));
    }
}
