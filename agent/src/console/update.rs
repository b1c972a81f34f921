//! What a key or a piece of news changes, and what is to be done about it. Pure.

use maekin_api::install::OpenWindow;
use maekin_api::node::Membership;
use maekin_host::tty::Key;

use super::model::{Item, MENU, Model, Page, Prompt, PromptKind, Snapshot};
use super::worker::Job;

/// Longest text that can be typed.
const LONGEST: usize = 128;
/// Lines that a page key scrolls.
const PAGE: usize = 15;

/// Something happened.
#[derive(Debug)]
pub(super) enum Event {
    /// A key on a console.
    Key { console: usize, key: Key },
    /// The agent was asked again.
    Snapshot(Box<Snapshot>),
    /// The last lines of the journal.
    Logs(Vec<String>),
    /// A password was checked.
    Password { console: usize, right: bool },
    /// What came of a request.
    Said(String),
}

/// Something is to be done.
#[derive(Debug)]
pub(super) enum Effect {
    /// Draw everything again, whatever is thought to be there.
    Repaint,
    /// Beside the loop.
    Ask(Job),
    /// `systemctl` with this verb.
    Power(&'static str),
    /// Lend this console to a shell.
    Shell { console: usize },
}

/// Takes in what happened.
pub(super) fn update(model: &mut Model, event: Event) -> Vec<Effect> {
    match event {
        Event::Key { console, key } => match model.prompt.take() {
            Some(prompt) => typed(model, prompt, console, key),
            None => pressed(model, console, key),
        },
        Event::Snapshot(snapshot) => {
            // The agent writes a line onto the consoles when it becomes a member: draw over it.
            let joined = member(&snapshot) && !member(&model.snapshot);
            // So does the kernel when a mirror loses a drive.
            let alarmed = alarms(&snapshot) != alarms(&model.snapshot);
            model.snapshot = *snapshot;
            if joined || alarmed { vec![Effect::Repaint] } else { vec![] }
        }
        Event::Logs(lines) => {
            model.logs = lines;
            vec![]
        }
        Event::Password { console, right } => {
            model.checking = None;
            if right {
                model.message.clear();
                vec![Effect::Shell { console }]
            } else {
                "The password is another one.".clone_into(&mut model.message);
                vec![]
            }
        }
        Event::Said(text) => {
            model.message = text;
            vec![]
        }
    }
}

fn member(snapshot: &Snapshot) -> bool {
    snapshot.node.as_ref().is_some_and(|n| matches!(n.membership, Membership::Member { .. }))
}

/// Names of the alarms that are on.
fn alarms(snapshot: &Snapshot) -> Vec<&str> {
    snapshot.node.iter().flat_map(|n| &n.alarms).map(|a| a.id.as_str()).collect()
}

fn pressed(model: &mut Model, console: usize, key: Key) -> Vec<Effect> {
    match key {
        // By typing the code a person compares it.
        Key::Char(c @ ('a' | 'n')) if model.page == Page::Window => {
            ask(model, console, PromptKind::Code { yes: c == 'a' })
        }
        Key::Char(c) => match MENU.iter().position(|(digit, ..)| *digit == c) {
            Some(at) => choose(model, console, at),
            None => letter(model, c),
        },
        Key::Left | Key::BackTab => select(model, MENU.len() - 1),
        Key::Right | Key::Tab => select(model, 1),
        Key::Enter => choose(model, console, model.selected),
        Key::Up => scroll(model, 1, true),
        Key::Down => scroll(model, 1, false),
        Key::PageUp => scroll(model, PAGE, true),
        Key::PageDown => scroll(model, PAGE, false),
        // Whoever has just connected to a serial line sees half a screen: any other key draws it whole.
        Key::Esc | Key::Ctrl(_) | Key::Backspace => {
            model.message.clear();
            vec![Effect::Repaint]
        }
    }
}

fn select(model: &mut Model, by: usize) -> Vec<Effect> {
    model.selected = (model.selected + by) % MENU.len();
    vec![]
}

fn scroll(model: &mut Model, by: usize, up: bool) -> Vec<Effect> {
    // Logs begin at their end, the other pages at their beginning.
    let more = up == (model.page == Page::Logs);
    let most = match model.page {
        Page::Logs => model.logs.len().saturating_sub(PAGE),
        Page::Cluster => model.snapshot.cluster.as_ref().map_or(0, |c| c.nodes.len().saturating_sub(PAGE)),
        Page::Window => model.snapshot.installs.len(),
        Page::Status | Page::Network => 0,
    };
    model.scroll = if more { (model.scroll + by).min(most) } else { model.scroll.saturating_sub(by) };
    vec![]
}

fn choose(model: &mut Model, console: usize, at: usize) -> Vec<Effect> {
    model.selected = at;
    model.message.clear();
    match MENU[at].2 {
        Item::Show(page) => {
            model.page = page;
            model.scroll = 0;
            if page == Page::Logs { vec![Effect::Ask(Job::Logs)] } else { vec![] }
        }
        Item::Shell if model.snapshot.locked => ask(model, console, PromptKind::Password),
        Item::Shell if model.snapshot.node.is_none() => {
            // Without the agent it is not known whether there is a password: ask, and let the check decide.
            ask(model, console, PromptKind::Password)
        }
        Item::Shell => vec![Effect::Shell { console }],
        Item::Power(verb) => ask(model, console, PromptKind::Confirm(verb)),
    }
}

fn ask(model: &mut Model, console: usize, kind: PromptKind) -> Vec<Effect> {
    model.prompt = Some(Prompt { console, kind, typed: String::new() });
    vec![]
}

fn letter(model: &mut Model, c: char) -> Vec<Effect> {
    let open = |minutes, count| vec![Effect::Ask(Job::OpenWindow(OpenWindow { minutes, count }))];
    match (model.page, c) {
        (Page::Window, 'o') => open(60, 16),
        (Page::Window, 'd') => open(1440, 1000),
        (Page::Window, 'c') => vec![Effect::Ask(Job::CloseWindow)],
        (Page::Logs, 'r') => vec![Effect::Ask(Job::Logs)],
        _ => vec![Effect::Repaint],
    }
}

fn typed(model: &mut Model, mut prompt: Prompt, console: usize, key: Key) -> Vec<Effect> {
    if console != prompt.console {
        model.prompt = Some(prompt);
        return vec![];
    }
    match key {
        Key::Esc | Key::Ctrl('c') => return vec![],
        Key::Enter => return entered(model, &prompt),
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

fn entered(model: &mut Model, prompt: &Prompt) -> Vec<Effect> {
    match prompt.kind {
        PromptKind::Password => {
            model.checking = Some(prompt.console);
            "Checking the password ...".clone_into(&mut model.message);
            vec![Effect::Ask(Job::Password { console: prompt.console, password: prompt.typed.clone() })]
        }
        PromptKind::Code { yes } => {
            let code = prompt.typed.trim().to_owned();
            if code.is_empty() {
                return vec![];
            }
            vec![Effect::Ask(Job::Decide { code, yes })]
        }
        PromptKind::Confirm(word) if prompt.typed == word => {
            model.message = format!("{word} is under way.");
            vec![Effect::Power(word)]
        }
        PromptKind::Confirm(word) => {
            model.message = format!("Nothing was done: `{word}` was not typed.");
            vec![]
        }
    }
}

#[cfg(test)]
mod tests;
