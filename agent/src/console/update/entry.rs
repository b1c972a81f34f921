//! What is typed into a line, and what follows when it ends. Pure.

use std::ops::RangeInclusive;
use std::path::PathBuf;

use maekin_api::install::OpenWindow;
use maekin_api::trust::token;
use maekin_host::tty::Key;

use super::super::clock::parse_time;
use super::super::model::{Bundle, Model, Presence, Prompt, PromptKind};
use super::super::network;
use super::super::worker::Job;
use super::{Effect, ask};
use crate::reset::SHORTEST;
use crate::trust::leaving::WORD;

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
        Key::Char(c) if prompt.typed.chars().count() < longest(&prompt.kind) => prompt.typed.push(c),
        _ => {}
    }
    model.prompt = Some(prompt);
    vec![]
}

fn longest(kind: &PromptKind) -> usize {
    if *kind == PromptKind::Token { token::LONGEST } else { LONGEST }
}

fn entered(model: &mut Model, prompt: Prompt) -> Vec<Effect> {
    let Prompt { console, kind, typed } = prompt;
    match kind {
        PromptKind::Password => check(model, console, Job::Password { console, password: typed }),
        PromptKind::NetworkPassword => {
            "Checking the password ...".clone_into(&mut model.message);
            vec![Effect::Ask(Job::Unlock { console, password: typed })]
        }
        PromptKind::Address => match network::check_address(typed.trim()) {
            Ok(()) => ask(model, console, PromptKind::Router { address: typed.trim().to_owned() }),
            Err(why) => refuse(model, &why),
        },
        PromptKind::Router { address } => router(model, console, &address, typed.trim()),
        PromptKind::NetworkSure { network } if typed == "try" => {
            "The network is being tried; c on this page keeps it.".clone_into(&mut model.message);
            vec![Effect::Ask(Job::SetNetwork { network })]
        }
        PromptKind::NetworkSure { .. } => refuse(model, "Nothing was changed: `try` was not typed."),
        PromptKind::LeavePassword => check(model, console, Job::LeavePassword { console, password: typed }),
        PromptKind::LeaveSure if typed == WORD => {
            "Leaving; this takes a moment.".clone_into(&mut model.message);
            vec![Effect::Ask(Job::Leave)]
        }
        PromptKind::LeaveSure => refuse(model, "Nothing was done: `leave` was not typed."),
        PromptKind::PromotePassword => {
            check(model, console, Job::PromotePassword { console, password: typed })
        }
        PromptKind::PromoteSure { promotion } if typed == promotion.name => {
            "Going on alone; this takes a minute.".clone_into(&mut model.message);
            vec![Effect::Ask(Job::GoOnAlone { name: promotion.name })]
        }
        PromptKind::PromoteSure { promotion } => {
            refuse(model, &format!("Nothing was done: `{}` was not typed.", promotion.name))
        }
        PromptKind::Pair => {
            let ids: Vec<String> = model.snapshot.waiting().take(2).map(|node| node.id.clone()).collect();
            let only = if let [only] = ids.as_slice() { Some(only.clone()) } else { None };
            match (typed.trim(), only) {
                ("", None) => refuse(model, "Nothing was begun: which node is not clear."),
                ("", Some(node)) => vec![Effect::Ask(Job::BeginPairing { node })],
                (node, _) => vec![Effect::Ask(Job::BeginPairing { node: node.to_owned() })],
            }
        }
        PromptKind::PairCode { yes } => {
            let code = typed.trim().to_owned();
            let shown = model.snapshot.pairings.iter().any(|pairing| pairing.code == code);
            if !shown {
                return refuse(
                    model,
                    "Nothing was said: there is no such code here. Do they differ, deny it: n.",
                );
            }
            vec![Effect::Ask(Job::Pair { code, yes })]
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
        // What is mistyped is said before anybody is asked.
        PromptKind::Token => match token::parse_token(&typed) {
            Ok(_) => vec![Effect::Ask(Job::Join { token: typed })],
            Err(e) => refuse(model, &format!("Not used: {e}")),
        },
        PromptKind::Clock => match parse_time(&typed) {
            Some(at) => ask(model, console, PromptKind::ClockSure { at }),
            None => refuse(model, "Nothing was set: write the time in UTC as 2026-11-20 22:05."),
        },
        PromptKind::ClockSure { at } if typed == "set" => vec![Effect::Ask(Job::SetClock { at })],
        PromptKind::ClockSure { .. } => refuse(model, "Nothing was set: `set` was not typed."),
        PromptKind::Stick => {
            let sticks = model.sticks.as_ref().map_or(&[][..], |s| &s.sticks);
            let most = u32::try_from(sticks.len()).unwrap_or(u32::MAX);
            let n = number(&typed, 1, 1..=most).and_then(|n| usize::try_from(n - 1).ok());
            match n.and_then(|n| sticks.get(n)).map(|stick| stick.device.clone()) {
                Some(device) => bundle(model, device),
                None => refuse(model, "Nothing was written: that stick is not in the list."),
            }
        }
        PromptKind::NewPassword if typed.chars().count() < SHORTEST => {
            refuse(model, &format!("Nothing was changed: a password has at least {SHORTEST} characters."))
        }
        PromptKind::NewPassword => ask(model, console, PromptKind::SamePassword { first: typed }),
        PromptKind::SamePassword { first } if typed == first => {
            ask(model, console, PromptKind::ResetSure { password: typed })
        }
        PromptKind::SamePassword { .. } => refuse(model, "Nothing was changed: the two were not the same."),
        PromptKind::ResetSure { password } if typed == "reset" => reset(model, console, password),
        PromptKind::ResetSure { .. } => refuse(model, "Nothing was changed: `reset` was not typed."),
        PromptKind::Confirm(word) if typed == word => {
            model.message = format!("{word} is under way.");
            vec![Effect::Power(word)]
        }
        PromptKind::Confirm(word) => refuse(model, &format!("Nothing was done: `{word}` was not typed.")),
    }
}

/// Has a password checked, for this console.
fn check(model: &mut Model, console: usize, job: Job) -> Vec<Effect> {
    model.checking = Some(console);
    "Checking the password ...".clone_into(&mut model.message);
    vec![Effect::Ask(job)]
}

/// The last question before another network is tried.
fn router(model: &mut Model, console: usize, address: &str, router: &str) -> Vec<Effect> {
    let (Some(network), Some(node)) = (&model.snapshot.network, &model.snapshot.node) else {
        return refuse(model, "Nothing was changed: the agent does not answer.");
    };
    match network::plan(&network.network, &node.interfaces, address, router) {
        Ok(wanted) if wanted == network.network => refuse(model, "Nothing was changed: it is so already."),
        Ok(wanted) => ask(model, console, PromptKind::NetworkSure { network: Box::new(wanted) }),
        Err(why) => refuse(model, &why),
    }
}

/// The rest is done by the power button.
fn reset(model: &mut Model, console: usize, password: String) -> Vec<Effect> {
    let Some(at) = model.consoles.get(console).map(|c| c.path.clone()) else { return vec![] };
    model.presence = Some(Presence { console, until: 0 });
    vec![Effect::Ask(Job::Reset { console: at, password })]
}

/// Makes a support bundle.
pub(super) fn bundle(model: &mut Model, device: PathBuf) -> Vec<Effect> {
    model.bundle = Bundle::Running("begun".to_owned());
    vec![Effect::Ask(Job::Bundle { device })]
}

pub(super) fn refuse(model: &mut Model, text: &str) -> Vec<Effect> {
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
