//! What a key does on each screen.

use maekin_host::tty::Key;

use super::{App, PAGE, Page, TRIAL, Trying, WELCOME};
use crate::tui::event::Action;
use crate::tui::form::Outcome;
use crate::tui::view;

impl App {
    /// Takes a key.
    pub fn key(&mut self, key: Key) -> Option<Action> {
        self.dirty = true;
        self.stay_here();
        match self.page {
            Page::Starting | Page::Progress => None,
            Page::Waiting => self.key_waiting(key),
            Page::Welcome => self.key_welcome(key),
            Page::Drives => self.key_drives(key),
            Page::Node => self.key_form(key, Page::Drives, Page::Network),
            Page::Network => self.key_form(key, Page::Node, Page::Cluster),
            Page::Cluster => self.key_form(key, Page::Network, Page::Trial),
            Page::Trial => self.key_trial(key),
            Page::Plan => self.key_plan(key),
            Page::Done | Page::Failed => self.key_end(key),
            Page::Log => self.key_log(key),
        }
    }

    /// Moves the cursor of a menu with `count` items.
    fn move_cursor(&mut self, key: Key, count: usize) {
        match key {
            Key::Up | Key::BackTab => self.cursor = self.cursor.saturating_sub(1),
            Key::Down | Key::Tab => self.cursor = (self.cursor + 1).min(count - 1),
            _ => {}
        }
    }

    fn key_welcome(&mut self, key: Key) -> Option<Action> {
        self.move_cursor(key, WELCOME.len());
        if key != Key::Enter {
            return None;
        }
        match self.cursor {
            0 => self.page = Page::Drives,
            1 => return Some(Action::Shell),
            2 => return Some(Action::Reboot),
            _ => return Some(Action::PowerOff),
        }
        None
    }

    /// What a person in front of a machine that waits can do.
    fn key_waiting(&mut self, key: Key) -> Option<Action> {
        match key {
            Key::Char('s') => return Some(Action::Shell),
            Key::Char('d') => return Some(Action::ToDisk),
            Key::Char('b') => return Some(Action::Reboot),
            Key::Char('p') => return Some(Action::PowerOff),
            Key::Char('l') => self.show_log(),
            _ => {}
        }
        None
    }

    fn show_log(&mut self) {
        self.back = self.page;
        self.scroll = view::log_lines(self).len().saturating_sub(PAGE);
        self.page = Page::Log;
    }

    fn key_drives(&mut self, key: Key) -> Option<Action> {
        self.problems.clear();
        let (Some(draft), Some(facts)) = (&mut self.draft, &self.facts) else { return None };
        match key {
            Key::Up => draft.cursor = draft.cursor.saturating_sub(1),
            Key::Down | Key::Tab => {
                draft.cursor = (draft.cursor + 1).min(facts.disks.len().saturating_sub(1));
            }
            Key::Char(' ') => self.problems.extend(draft.toggle(facts)),
            Key::Char('r') => {
                self.page = Page::Starting;
                return Some(Action::Gather);
            }
            Key::Esc => {
                self.page = Page::Welcome;
                self.cursor = 0; // not on "Reboot", where another menu may have left it
            }
            Key::Enter if draft.drives.is_empty() => {
                self.problems = vec!["choose one drive, or two for a mirror, with the space bar".to_owned()];
            }
            Key::Enter => self.page = Page::Node,
            _ => {}
        }
        None
    }

    fn key_form(&mut self, key: Key, before: Page, after: Page) -> Option<Action> {
        self.problems.clear();
        let page = self.page;
        let draft = self.draft.as_mut()?;
        let form = match page {
            Page::Node => &mut draft.node,
            Page::Network => &mut draft.network,
            _ => &mut draft.cluster,
        };
        let was = form.clone();
        let outcome = form.key(key);
        if page != Page::Node && *form != was {
            self.trying = Trying::Not;
        }
        match outcome {
            Outcome::Stay => {}
            Outcome::Back => self.page = before,
            Outcome::Done => self.leave_form(after),
        }
        None
    }

    fn key_trial(&mut self, key: Key) -> Option<Action> {
        if matches!(self.trying, Trying::Now(_)) {
            return (key == Key::Esc).then_some(Action::StopTrying);
        }
        self.problems.clear();
        self.move_cursor(key, TRIAL.len());
        match (key, self.cursor) {
            (Key::Esc, _) => self.page = Page::Cluster,
            (Key::Enter, 0) => return self.try_network(),
            (Key::Enter, 1) => self.page = Page::Network,
            (Key::Enter, _) => self.show_plan(),
            (Key::PageUp, _) => self.scroll = self.scroll.saturating_sub(PAGE / 2),
            (Key::PageDown, _) => {
                let last = view::trial_lines(self).saturating_sub(PAGE / 2);
                self.scroll = (self.scroll + PAGE / 2).min(last);
            }
            _ => {}
        }
        None
    }

    fn key_plan(&mut self, key: Key) -> Option<Action> {
        let word = self.consent_word();
        let (lines, losses) = self.plan.as_ref().map(view::plan::lengths).unwrap_or_default();
        let last = lines.saturating_sub(view::plan::ROOM);
        let draft = self.draft.as_mut()?;
        if key != Key::Enter {
            self.problems.clear();
        }
        match key {
            Key::Char(c) if draft.word.len() < 20 => draft.word.push(c),
            Key::Backspace => {
                draft.word.pop();
            }
            Key::Esc => self.page = Page::Trial,
            Key::Up => self.scroll = self.scroll.saturating_sub(1),
            Key::PageUp => self.scroll = self.scroll.saturating_sub(view::plan::ROOM),
            Key::Down => self.scroll = (self.scroll + 1).min(last),
            Key::PageDown => self.scroll = (self.scroll + view::plan::ROOM).min(last),
            Key::Enter if draft.word != word => {
                draft.word.clear();
                self.problems = vec![format!("nothing is written until the word {word} is typed")];
            }
            Key::Enter if self.seen < losses => {
                self.problems = vec!["first look at all that will be lost: Down shows the rest".to_owned()];
            }
            Key::Enter => {
                let plan = self.plan.clone()?;
                return self.begin(plan);
            }
            _ => {}
        }
        self.seen = self.seen.max(self.scroll + view::plan::ROOM);
        None
    }

    /// The screens at the end, good or bad.
    fn key_end(&mut self, key: Key) -> Option<Action> {
        self.stay = true;
        match key {
            Key::Char('r') if self.page == Page::Failed => {
                self.page = Page::Starting;
                return Some(Action::Gather);
            }
            Key::Char('s') => return Some(Action::Shell),
            Key::Char('l') => self.show_log(),
            Key::Char('w') => return Some(Action::SaveLog),
            Key::Char('b') => return Some(Action::Reboot),
            Key::Char('p') => return Some(Action::PowerOff),
            _ => {}
        }
        None
    }

    fn key_log(&mut self, key: Key) -> Option<Action> {
        let last = view::log_lines(self).len().saturating_sub(PAGE);
        match key {
            Key::Up => self.scroll = self.scroll.saturating_sub(1),
            Key::Down => self.scroll = (self.scroll + 1).min(last),
            Key::PageUp => self.scroll = self.scroll.saturating_sub(PAGE),
            Key::PageDown | Key::Char(' ') => self.scroll = (self.scroll + PAGE).min(last),
            Key::Esc | Key::Enter | Key::Char('q') => self.page = self.back,
            _ => {}
        }
        None
    }
}
