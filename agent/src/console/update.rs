//! What a key or a piece of news changes, and what is to be done about it. Pure.
//!
//! | module | job |
//! | --- | --- |
//! | [`entry`] | what is typed into a line, and what follows when it ends |

mod entry;

pub(super) use entry::{COUNT, MINUTES};

use maekin_api::network::TrialState;
use maekin_api::node::Membership;
use maekin_host::tty::Key;

use super::clock::Clock;
use super::model::{Bundle, Item, MENU, Model, Page, Presence, Prompt, PromptKind, Snapshot, Sticks};
use super::presence::News;
use super::promote::Promotion;
use super::view;
use super::worker::Job;

/// Lines that a page key scrolls.
const PAGE: usize = 15;
/// How often the time page looks, seconds.
const CLOCK_EVERY: u64 = 10;

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
    /// A password was checked, for another network.
    Unlocked { console: usize, right: bool },
    /// A password was checked of somebody who wants this node to leave its cluster.
    MayLeave { console: usize, right: bool },
    /// The same of somebody who wants this node to go on alone.
    MayPromote { console: usize, right: bool },
    /// Whether it can was looked at, for whoever asked on this console.
    Promotable { console: usize, found: Result<Promotion, String> },
    /// What came of a request.
    Said(String),
    /// A join token was made.
    Token(String),
    /// How the clock is.
    Clock(Box<Clock>),
    /// Where a support bundle can go.
    Sticks(Sticks),
    /// How the support bundle goes.
    Bundle(Bundle),
    /// How the wait for the power button goes.
    Presence(News),
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
    /// Wait no longer for the power button.
    CallOff,
}

/// Takes in what happened.
pub(super) fn update(model: &mut Model, event: Event) -> Vec<Effect> {
    match event {
        Event::Key { console, key } => match (model.presence, model.prompt.take()) {
            (Some(presence), _) => waiting(model, presence, console, key),
            (None, Some(prompt)) => entry::typed(model, prompt, console, key),
            (None, None) => pressed(model, console, key),
        },
        Event::Snapshot(snapshot) => {
            // The agent writes a line onto the consoles when it becomes a member: draw over it.
            let joined = member(&snapshot) && !member(&model.snapshot);
            // So does the kernel when a mirror loses a drive.
            let alarmed = alarms(&snapshot) != alarms(&model.snapshot);
            model.snapshot = *snapshot;
            let mut effects = if joined || alarmed { vec![Effect::Repaint] } else { vec![] };
            effects.extend(again(model));
            effects
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
        Event::Unlocked { console, right: true } => {
            model.message.clear();
            ask(model, console, PromptKind::Address)
        }
        Event::Unlocked { right: false, .. } => entry::refuse(model, "The password is another one."),
        Event::MayLeave { console, right } => {
            model.checking = None;
            model.message.clear();
            if right {
                ask(model, console, PromptKind::LeaveSure)
            } else {
                entry::refuse(model, "The password is another one.")
            }
        }
        Event::MayPromote { console, right } => {
            model.checking = None;
            if right {
                look_alone(model, console)
            } else {
                entry::refuse(model, "The password is another one.")
            }
        }
        Event::Promotable { console, found } => promotable(model, console, found),
        Event::Said(text) => {
            model.message = text;
            vec![]
        }
        Event::Token(token) => {
            // Whoever turned away does not want it shown to whoever comes by.
            model.token = (model.page == Page::Join).then_some(token);
            vec![]
        }
        Event::Clock(clock) => {
            model.clock = Some(*clock);
            vec![]
        }
        Event::Sticks(sticks) => {
            model.sticks = Some(sticks);
            vec![]
        }
        Event::Bundle(bundle) => {
            model.bundle = bundle;
            vec![]
        }
        Event::Presence(news) => {
            match (news, &mut model.presence) {
                (News::Waiting { until }, Some(presence)) => presence.until = until,
                (News::Waiting { .. }, None) => return vec![Effect::CallOff], // left in the meantime
                (News::Over(text), _) => {
                    model.presence = None;
                    model.message = text;
                }
            }
            vec![]
        }
    }
}

/// What a page wants to know anew from time to time.
fn again(model: &Model) -> Option<Effect> {
    let now = model.snapshot.node.as_ref()?.time;
    let clock = model.clock.as_ref()?;
    let old = now.saturating_sub(clock.read) >= CLOCK_EVERY;
    (model.page == Page::Time && old).then_some(Effect::Ask(Job::Clock))
}

/// A key while the power button is waited for: nothing else is heard, from any console.
fn waiting(model: &mut Model, presence: Presence, console: usize, key: Key) -> Vec<Effect> {
    if console == presence.console && matches!(key, Key::Esc | Key::Ctrl('c')) {
        model.presence = None;
        "Nothing was changed.".clone_into(&mut model.message);
        return vec![Effect::CallOff];
    }
    vec![]
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
        Key::Char(c) => match MENU.iter().position(|(key, ..)| *key == c) {
            Some(at) => choose(model, console, at),
            None => letter(model, console, c),
        },
        Key::Left | Key::BackTab => select(model, MENU.len() - 1),
        Key::Right | Key::Tab => select(model, 1),
        Key::Enter => choose(model, console, model.selected),
        Key::Up => scroll(model, 1, true),
        Key::Down => scroll(model, 1, false),
        Key::PageUp => scroll(model, PAGE, true),
        Key::PageDown => scroll(model, PAGE, false),
        Key::Esc => {
            show(model, Page::Status);
            vec![Effect::Repaint]
        }
        // Whoever has just connected to a serial line sees half a screen: any other key draws it whole.
        Key::Ctrl(_) | Key::Backspace => {
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
    let most = view::most_scroll(model, model.snapshot.node.as_ref().map_or(0, |node| node.time));
    model.scroll =
        if more { (model.scroll + by).min(most) } else { model.scroll.min(most).saturating_sub(by) };
    vec![]
}

/// Turns to a page, at its beginning.
fn show(model: &mut Model, page: Page) {
    model.message.clear();
    model.page = page;
    model.token = None;
    model.scroll = 0;
    model.selected = MENU.iter().position(|(.., item)| *item == Item::Show(page)).unwrap_or(0);
}

fn choose(model: &mut Model, console: usize, at: usize) -> Vec<Effect> {
    model.selected = at;
    model.message.clear();
    match MENU[at].2 {
        Item::Show(page) => {
            show(model, page);
            look(page).into_iter().map(Effect::Ask).collect()
        }
        Item::Shell if !model.snapshot.policy.shell => {
            "Shell: locked by policy (`maekin-agent console-shell on`, by ssh)."
                .clone_into(&mut model.message);
            vec![]
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

/// What a page has to find out first, and again by `r`.
fn look(page: Page) -> Option<Job> {
    match page {
        Page::Logs => Some(Job::Logs),
        Page::Time => Some(Job::Clock),
        Page::Support => Some(Job::Sticks),
        _ => None,
    }
}

fn ask(model: &mut Model, console: usize, kind: PromptKind) -> Vec<Effect> {
    model.prompt = Some(Prompt { console, kind, typed: String::new() });
    vec![]
}

/// A key that means something on its page alone.
fn letter(model: &mut Model, console: usize, c: char) -> Vec<Effect> {
    match (model.page, c) {
        // By typing the code a person compares it.
        (Page::Window, 'a' | 'n') => ask(model, console, PromptKind::Code { yes: c == 'a' }),
        (Page::Window, 'o') => ask(model, console, PromptKind::Minutes),
        (Page::Window, 'c') => vec![Effect::Ask(Job::CloseWindow)],
        (Page::Join, 'j') if member(&model.snapshot) => {
            entry::refuse(model, "This node is a member already.")
        }
        (Page::Join, 'j') => ask(model, console, PromptKind::Token),
        (Page::Join, 'k') if member(&model.snapshot) => vec![Effect::Ask(Job::MakeToken)],
        (Page::Join, 'k') => entry::refuse(model, "Only a member can let others in."),
        (Page::Network, 'e') => set_network(model, console),
        (Page::Network, 'c' | 'v') => decide_network(model, c == 'c'),
        (Page::Join, 'l') => leave(model, console),
        (Page::Cluster, 'g') => go_on_alone(model, console),
        (Page::Cluster, 'b') if member(&model.snapshot) => ask(model, console, PromptKind::Pair),
        (Page::Cluster, 'b') => entry::refuse(model, "Only a member can let others in."),
        (Page::Cluster | Page::Join, 'y' | 'n') => compare(model, console, c == 'y'),
        (Page::Time, 't') => set_clock(model, console),
        (Page::Support, 'w') => write_bundle(model, console),
        (Page::Password, 'n') => new_password(model, console),
        (page, 'r') => vec![look(page).map_or(Effect::Repaint, Effect::Ask)],
        _ => vec![Effect::Repaint],
    }
}

/// Begins to ask for another address.
fn set_network(model: &mut Model, console: usize) -> Vec<Effect> {
    match &model.snapshot.network {
        None => entry::refuse(model, "The network is not known: the agent does not answer."),
        Some(_) if trying(&model.snapshot) => {
            entry::refuse(model, "A network is being tried: c keeps it, v puts the one before back.")
        }
        Some(_) if model.snapshot.locked => ask(model, console, PromptKind::NetworkPassword),
        Some(_) => ask(model, console, PromptKind::Address),
    }
}

fn decide_network(model: &mut Model, confirm: bool) -> Vec<Effect> {
    let Some(network) = model.snapshot.network.as_ref().filter(|_| trying(&model.snapshot)) else {
        return entry::refuse(model, "No network is being tried.");
    };
    let generation = network.trial.as_ref().map(|trial| trial.generation);
    let id = network.id.clone();
    "Told the agent ...".clone_into(&mut model.message);
    vec![Effect::Ask(Job::DecideNetwork { id, generation, confirm })]
}

/// Whether a network is being tried on this node.
pub(super) fn trying(snapshot: &Snapshot) -> bool {
    let trial = snapshot.network.as_ref().and_then(|network| network.trial.as_ref());
    trial.is_some_and(|trial| trial.state == TrialState::Trying)
}

/// Somebody says that the code on the other console is the same, or that it is not.
fn compare(model: &mut Model, console: usize, yes: bool) -> Vec<Effect> {
    match model.snapshot.pairings.as_slice() {
        [] => entry::refuse(model, "There is no code to compare."),
        [one] => vec![Effect::Ask(Job::Pair { code: one.code.clone(), yes })],
        _ => ask(model, console, PromptKind::PairCode { yes }),
    }
}

fn leave(model: &mut Model, console: usize) -> Vec<Effect> {
    if !member(&model.snapshot) {
        return entry::refuse(model, "This node is no member of a cluster.");
    }
    let kind = if model.snapshot.locked { PromptKind::LeavePassword } else { PromptKind::LeaveSure };
    ask(model, console, kind)
}

fn go_on_alone(model: &mut Model, console: usize) -> Vec<Effect> {
    if model.snapshot.cluster.is_some() {
        return entry::refuse(
            model,
            "The record answers; a node that is gone is removed by `maekin-agent remove`.",
        );
    }
    // Without the agent it is not known whether there is a password.
    if model.snapshot.locked || model.snapshot.node.is_none() {
        return ask(model, console, PromptKind::PromotePassword);
    }
    look_alone(model, console)
}

fn look_alone(model: &mut Model, console: usize) -> Vec<Effect> {
    "Looking whether anybody votes; this takes half a minute.".clone_into(&mut model.message);
    vec![Effect::Ask(Job::LookAlone { console })]
}

fn promotable(model: &mut Model, console: usize, found: Result<Promotion, String>) -> Vec<Effect> {
    match found {
        // Whoever turned away meanwhile is not asked in the middle of something else.
        Ok(_) if model.page != Page::Cluster || model.prompt.is_some() => vec![],
        Ok(promotion) => {
            model.message.clear();
            model.scroll = 0;
            ask(model, console, PromptKind::PromoteSure { promotion })
        }
        Err(why) => entry::refuse(model, &format!("This node does not go on alone: {why}")),
    }
}

fn set_clock(model: &mut Model, console: usize) -> Vec<Effect> {
    match model.clock.as_ref().map(Clock::refusal) {
        None => entry::refuse(model, "The clock is still being looked at."),
        Some(Some(why)) => entry::refuse(model, why),
        Some(None) => ask(model, console, PromptKind::Clock),
    }
}

fn write_bundle(model: &mut Model, console: usize) -> Vec<Effect> {
    if matches!(model.bundle, Bundle::Running(_)) {
        return entry::refuse(model, "One is being made already.");
    }
    match model.sticks.as_ref().map_or(&[][..], |s| &s.sticks) {
        [] => entry::refuse(model, "There is no stick; put one in and press r."),
        [one] => {
            let device = one.device.clone();
            entry::bundle(model, device)
        }
        _ => ask(model, console, PromptKind::Stick),
    }
}

fn new_password(model: &mut Model, console: usize) -> Vec<Effect> {
    if model.consoles.get(console).is_some_and(|c| c.local) {
        return ask(model, console, PromptKind::NewPassword);
    }
    entry::refuse(model, "Not from here: this console is not the machine's own screen or serial line.")
}

#[cfg(test)]
mod tests;
