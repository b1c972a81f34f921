//! The line at the bottom: what is being typed, or what came of the last request.

use super::super::clock::time_text;
use super::super::model::{Model, PromptKind};
use super::super::network;
use super::super::update::{COUNT, MINUTES};
use super::pages::wrap;
use super::{Line, WIDTH};
use crate::reset::SHORTEST;

/// Lines that a message may take.
const MOST: usize = 6;

/// The line.
pub(super) fn line(model: &Model, now: u64) -> Line {
    let name = model.snapshot.node.as_ref().map_or("this node", |n| &n.name);
    if let Some(presence) = model.presence {
        let text = match presence.until {
            0 => "Taking hold of the power button ...".to_owned(),
            until => {
                let left = until.saturating_sub(now).min(60);
                format!("NOW press this machine's power button, within {left} s (Esc to leave)")
            }
        };
        return Line::warn(format!(" {text}"));
    }
    let Some(prompt) = &model.prompt else {
        let text = if long(model).is_empty() { model.message.as_str() } else { "(see above; Esc)" };
        return Line::bold(format!(" {text}"));
    };
    let typed = prompt.typed.as_str();
    let stars = "*".repeat(typed.chars().count());
    match &prompt.kind {
        PromptKind::Password => Line::bold(asked("Admin password (Enter, or Esc to leave):", &stars)),
        PromptKind::NetworkPassword => {
            Line::bold(asked("Admin password, to change the network (Esc to leave):", &stars))
        }
        PromptKind::Address => {
            let text = format!("Address with prefix, or dhcp (Enter: {}):", super::cut(&has(model).0, 24));
            Line::bold(asked(&text, typed))
        }
        PromptKind::Router { .. } => {
            let text = format!("Router, or - for none (Enter: {} stays):", super::cut(&has(model).1, 24));
            Line::bold(asked(&text, typed))
        }
        PromptKind::NetworkSure { network } => {
            let (address, router) = network::now(network);
            let text = format!("{address}, router {router}: to try it, type `try`:");
            Line::warn(asked(&super::cut(&text, 70), typed))
        }
        PromptKind::Code { yes } => {
            let word = if *yes { "let in" } else { "tell no" };
            let text = format!("Code of the machine to {word} (Enter, or Esc to leave):");
            Line::bold(asked(&text, typed))
        }
        PromptKind::Minutes => {
            let text = format!("Open for how many minutes, 1 to 1440 (Enter: {MINUTES}; Esc to leave):");
            Line::bold(asked(&text, typed))
        }
        PromptKind::Count { minutes } => {
            let text = format!("Open for {minutes} minutes, for how many machines (Enter: {COUNT}):");
            Line::bold(asked(&text, typed))
        }
        PromptKind::Clock => {
            Line::bold(asked("The time now in UTC, as 2026-11-20 22:05 (Esc to leave):", typed))
        }
        PromptKind::ClockSure { at } => {
            let text = format!("To set the clock to {} UTC, type `set`:", time_text(*at));
            Line::warn(asked(&text, typed))
        }
        PromptKind::Token => Line::bold(asked("Join token, made on a member (Esc to leave):", typed)),
        PromptKind::Pair => {
            Line::bold(asked("Let in which node: name, id or address (Enter: the only one):", typed))
        }
        PromptKind::PairCode { yes } => {
            let word = if *yes { "is the same on both consoles" } else { "is not" };
            Line::bold(asked(&format!("Which code {word} (Enter, or Esc to leave):"), typed))
        }
        PromptKind::LeavePassword => {
            Line::bold(asked("Admin password, to leave the cluster (Esc to stay):", &stars))
        }
        PromptKind::LeaveSure => {
            let name = super::cut(name, 20);
            Line::warn(asked(&format!("To have {name} leave and forget its cluster, type `leave`:"), typed))
        }
        PromptKind::PromotePassword => {
            Line::bold(asked("Admin password, to go on alone (Esc to leave):", &stars))
        }
        PromptKind::PromoteSure { promotion } => {
            let lost = super::cut(&promotion.name, 20);
            Line::warn(asked(&format!("If {lost} is gone for good, type its name (Esc to leave):"), typed))
        }
        PromptKind::Stick => Line::bold(asked("Which stick, by its number (Enter: 1; Esc to leave):", typed)),
        PromptKind::NewPassword => {
            let text = format!("New admin password, at least {SHORTEST} characters (Esc to leave):");
            Line::bold(asked(&text, &stars))
        }
        PromptKind::SamePassword { .. } => Line::bold(asked("The same again (Esc to leave):", &stars)),
        PromptKind::ResetSure { .. } => {
            Line::warn(asked("To set it, type `reset` and Enter, then press the power button:", typed))
        }
        PromptKind::Confirm(word) => {
            let name = super::cut(name, 20);
            Line::warn(asked(&format!("To {word} {name}, type `{word}` and Enter (Esc to leave):"), typed))
        }
    }
}

/// Address and router that the node has.
fn has(model: &Model) -> (String, String) {
    model.snapshot.network.as_ref().map(|own| network::now(&own.network)).unwrap_or_default()
}

/// A message that does not fit the line: as many lines as it takes, within bounds. Empty for one that fits.
pub(super) fn long(model: &Model) -> Vec<Line> {
    let asked = model.prompt.is_some() || model.presence.is_some();
    if asked || model.message.chars().count() < usize::from(WIDTH) {
        return vec![];
    }
    let parts = wrap(&model.message, usize::from(WIDTH) - 2);
    parts.into_iter().take(MOST).map(|part| Line::bold(format!(" {part}"))).collect()
}

/// A question and the end of what was typed, with a cursor behind it.
fn asked(question: &str, typed: &str) -> String {
    let room = usize::from(WIDTH).saturating_sub(question.chars().count() + 4);
    let all = typed.chars().count();
    let end: String = typed.chars().skip(all.saturating_sub(room)).collect();
    format!(" {question} {end}_")
}
