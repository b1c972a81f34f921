//! Whole commands against a server that answers as it is told.

mod changes;
mod drives;
mod flows;
mod login;
mod tasks;
mod volumes;

use std::collections::{BTreeMap, VecDeque};
use std::path::Path;

use clap::Parser;

use crate::args::Args;
use crate::fault::Fault;
use crate::run;
use crate::stage::{Keys, Stage};

/// The present, for every test: 2026-11-20 22:01:40Z.
pub(crate) const NOW: u64 = 1_795_212_100;

/// Somebody who answers questions.
pub(crate) struct Person {
    /// What is typed, in order.
    pub(crate) typed: VecDeque<String>,
    /// Whether it is a person, or a file.
    pub(crate) person: bool,
    /// What was asked.
    pub(crate) prompts: Vec<String>,
}

impl Keys for Person {
    fn is_person(&self) -> bool {
        self.person
    }

    fn line(&mut self, prompt: &str) -> Result<String, Fault> {
        self.prompts.push(prompt.to_owned());
        self.typed.pop_front().ok_or_else(Fault::interrupted)
    }

    fn secret(&mut self, prompt: &str) -> Result<String, Fault> {
        self.line(prompt)
    }

    fn all(&mut self, _limit: u64) -> Result<String, Fault> {
        Ok(std::mem::take(&mut self.typed).into_iter().collect())
    }
}

/// How a command ended.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Ended {
    pub(crate) code: u8,
    pub(crate) out: String,
    pub(crate) err: String,
    pub(crate) prompts: Vec<String>,
}

/// What a command is run with.
pub(crate) struct Bench {
    pub(crate) home: tempfile::TempDir,
    pub(crate) env: BTreeMap<&'static str, String>,
    pub(crate) columns: Option<usize>,
    pub(crate) person: bool,
}

impl Bench {
    /// A home of its own, and no terminal.
    pub(crate) fn new() -> Self {
        let home = tempfile::tempdir().unwrap();
        let env = [("HOME", home.path().display().to_string())].into();
        Self { home, env, columns: None, person: true }
    }

    /// The same, on a node whose agent listens there.
    pub(crate) fn on(mut self, socket: &Path) -> Self {
        self.env.insert("MAEKIN_SOCKET", socket.display().to_string());
        self
    }

    /// Runs a command; `typed` answers its questions.
    pub(crate) fn run(&self, line: &str, typed: &[&str]) -> Ended {
        let words = std::iter::once("maekin").chain(line.split_whitespace());
        let args = match Args::try_parse_from(words) {
            Ok(args) => args,
            Err(e) => return Ended { code: 2, out: String::new(), err: e.to_string(), prompts: Vec::new() },
        };
        let (mut out, mut err) = (Vec::new(), Vec::new());
        let typed = typed.iter().map(|line| (*line).to_owned()).collect();
        let mut person = Person { typed, person: self.person, prompts: Vec::new() };
        let mut stage = Stage {
            out: &mut out,
            err: &mut err,
            keys: &mut person,
            columns: self.columns,
            now: &|| NOW,
            env: &|key| self.env.get(key).cloned(),
        };
        let code = run(&args, &mut stage);
        let text = |bytes| String::from_utf8(bytes).unwrap();
        Ended { code, out: text(out), err: text(err), prompts: person.prompts }
    }
}

#[test]
fn cli_the_command_line_is_well_formed() {
    use clap::CommandFactory;
    Args::command().debug_assert();
}

/// clap knows an argument by its field's name: an argument of a verb that is called like one of all verbs is taken for it.
#[test]
fn cli_no_verb_has_an_argument_named_like_one_of_all_verbs() {
    use clap::{Command, CommandFactory};
    fn look(command: &Command, path: &str, global: &[String]) {
        for argument in command.get_arguments().filter(|argument| !argument.is_global_set()) {
            let name = argument.get_id().to_string();
            assert!(!global.contains(&name), "{path}: the argument `{name}`");
        }
        for verb in command.get_subcommands() {
            look(verb, &format!("{path} {}", verb.get_name()), global);
        }
    }
    let all = Args::command();
    let global: Vec<String> =
        all.get_arguments().filter(|a| a.is_global_set()).map(|a| a.get_id().to_string()).collect();
    assert!(global.contains(&"node".to_owned()), "{global:?}");
    look(&all, "maekin", &global);
}
