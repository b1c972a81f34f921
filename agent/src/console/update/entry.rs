//! What is typed into a line, and what follows when it ends. Pure.

use std::ops::RangeInclusive;

use maekin_api::install::OpenWindow;
use maekin_host::tty::Key;

use super::super::model::{Model, Prompt, PromptKind};
use super::super::worker::Job;
use super::{Effect, ask};

/// Longest text that can be typed.
pub(super) const LONGEST: usize = 128;
/// How long the install window is opened, and for how many, where nothing else is said.
pub(crate) const MINUTES: u32 = 60;
pub(crate) const COUNT: u32 = 16;
/// What the agent takes.
const MINUTES_RANGE: RangeInclusive<u32> = 1..=1440;
const COUNT_RANGE: RangeInclusive<u32> = 1..=1000;

/// A key while something is typed.
pub(super) fn typed(model: &mut Model, mut prompt: Prompt, console: usize, key: Key) -> Vec<Effect> {
    if console != prompt.console {
        model.prompt = Some(prompt);
        return vec![];
    }
    match key {
        Key::Esc | Key::Ctrl('c') => {
            model.message.clear();
            return vec![];
        }
        Key::Enter => return entered(model, prompt),
        Key::Backspace => {
            prompt.typed.pop();
        }
        Key::Ctrl('u') => prompt.typed.clear(),
        Key::Char(c) if prompt.typed.chars().count() < LONGEST => prompt.typed.push(c),
        _ => {}
    }
    model.prompt = Some(prompt);
    vec![]
}

fn entered(model: &mut Model, prompt: Prompt) -> Vec<Effect> {
    let Prompt { console, kind, typed } = prompt;
    match kind {
        PromptKind::Password => {
            model.checking = Some(console);
            "Checking the password ...".clone_into(&mut model.message);
            vec![Effect::Ask(Job::Password { console, password: typed })]
        }
        PromptKind::Code { yes } => {
            let code = typed.trim().to_owned();
            if code.is_empty() {
                return vec![];
            }
            vec![Effect::Ask(Job::Decide { code, yes })]
        }
        PromptKind::Minutes => match number(&typed, MINUTES, MINUTES_RANGE) {
            Some(minutes) => ask(model, console, PromptKind::Count { minutes }),
            None => refuse(model, "Nothing was opened: minutes are a number from 1 to 1440."),
        },
        PromptKind::Count { minutes } => match number(&typed, COUNT, COUNT_RANGE) {
            Some(count) => vec![Effect::Ask(Job::OpenWindow(OpenWindow { minutes, count }))],
            None => refuse(model, "Nothing was opened: machines are a number from 1 to 1000."),
        },
        PromptKind::Confirm(word) if typed == word => {
            model.message = format!("{word} is under way.");
            vec![Effect::Power(word)]
        }
        PromptKind::Confirm(word) => refuse(model, &format!("Nothing was done: `{word}` was not typed.")),
    }
}

fn refuse(model: &mut Model, text: &str) -> Vec<Effect> {
    text.clone_into(&mut model.message);
    vec![]
}

/// What was typed as a number of `range`; nothing typed is the default.
fn number(typed: &str, default: u32, range: RangeInclusive<u32>) -> Option<u32> {
    match typed.trim() {
        "" => Some(default),
        text => text.parse().ok().filter(|n| range.contains(n)),
    }
}
