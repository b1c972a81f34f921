//! The line at the bottom: what is being typed, or what came of the last request.

use super::super::model::{Model, PromptKind};
use super::super::update::{COUNT, MINUTES};
use super::{Line, WIDTH};

/// The line.
pub(super) fn line(model: &Model) -> Line {
    let name = model.snapshot.node.as_ref().map_or("this node", |n| &n.name);
    let Some(prompt) = &model.prompt else { return Line::bold(format!(" {}", model.message)) };
    let typed = prompt.typed.as_str();
    let stars = "*".repeat(typed.chars().count());
    match &prompt.kind {
        PromptKind::Password => Line::bold(asked("Admin password (Enter, or Esc to leave):", &stars)),
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
        PromptKind::Confirm(word) => {
            let name = super::cut(name, 20);
            Line::warn(asked(&format!("To {word} {name}, type `{word}` and Enter (Esc to leave):"), typed))
        }
    }
}

/// A question and the end of what was typed, with a cursor behind it.
fn asked(question: &str, typed: &str) -> String {
    let room = usize::from(WIDTH).saturating_sub(question.chars().count() + 4);
    let all = typed.chars().count();
    let end: String = typed.chars().skip(all.saturating_sub(room)).collect();
    format!(" {question} {end}_")
}
