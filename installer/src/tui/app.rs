//! The model: which screen is shown, what was typed, and what happens next. Keys and events change it; nothing here
//! reads or writes anything.

use maekin_host::tty::Key;
use maekin_image::manifest::{KeyKind, Manifest};
use uuid::Uuid;

use super::draft::Draft;
use super::event::{Action, Event, Failure};
use super::form::Outcome;
use crate::answers::Answers;
use crate::facts::Facts;
use crate::plan::{self, Plan, describe};
use crate::run::report::percent;

/// Most log lines kept.
const LOG_LINES: usize = 500;
/// Lines that the log screen shows at once.
pub const LOG_PAGE: usize = 20;

/// A screen.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Page {
    /// Looking at the machine.
    Starting,
    /// What to do.
    Welcome,
    /// Which drives.
    Drives,
    /// Host name, password, key.
    Node,
    /// First interface.
    Network,
    /// New cluster or existing one.
    Cluster,
    /// What will happen; consent.
    Plan,
    /// It happens.
    Progress,
    /// It succeeded.
    Done,
    /// It failed.
    Failed,
    /// The log.
    Log,
}

/// See the module.
pub struct App {
    /// The id of the next installation.
    pub seed: Uuid,
    /// The screen shown.
    pub page: Page,
    /// The machine, once it was looked at.
    pub facts: Option<Facts>,
    /// The release.
    pub manifest: Option<Manifest>,
    /// What is being typed.
    pub draft: Option<Draft>,
    /// What stands against going on.
    pub problems: Vec<String>,
    /// The plan to consent to, or being carried out.
    pub plan: Option<Plan>,
    /// Where the cursor is in a menu.
    pub cursor: usize,
    /// The log.
    pub log: Vec<String>,
    /// First line shown of the log, and where it was called from.
    pub scroll: usize,
    /// The step under way: index, total, label.
    pub step: (usize, usize, String),
    /// Percent done.
    pub percent: u8,
    /// Why it failed.
    pub failure: Option<Failure>,
    /// Something has changed since it was drawn.
    pub dirty: bool,
    back: Page,
}

/// What can be done on the first screen.
pub const WELCOME: [&str; 4] = ["Install Maekin on this machine", "Shell", "Reboot", "Power off"];

impl App {
    /// Starts with looking at the machine.
    #[must_use]
    pub fn new(seed: Uuid) -> Self {
        Self {
            seed,
            page: Page::Starting,
            facts: None,
            manifest: None,
            draft: None,
            problems: Vec::new(),
            plan: None,
            cursor: 0,
            log: Vec::new(),
            scroll: 0,
            step: (0, 0, String::new()),
            percent: 0,
            failure: None,
            dirty: true,
            back: Page::Welcome,
        }
    }

    /// Whether the release was signed with a throw-away key.
    #[must_use]
    pub fn throw_away(&self) -> bool {
        self.manifest.as_ref().is_some_and(|m| m.key == KeyKind::ThrowAway)
    }

    /// Whether the screen leaves its lower lines to the log.
    #[must_use]
    pub fn shows_log_lines(&self) -> bool {
        matches!(self.page, Page::Starting | Page::Progress | Page::Done)
    }

    /// Adds a line to the log.
    pub fn note(&mut self, text: String) {
        self.log.push(text);
        if self.log.len() > LOG_LINES {
            self.log.remove(0);
        }
        self.dirty = true;
    }

    /// Takes an event.
    pub fn update(&mut self, event: Event) -> Option<Action> {
        for line in event.lines() {
            self.note(line);
        }
        self.dirty = true;
        match event {
            Event::Gathered(gathered) => return Some(Action::Gathered(gathered)),
            Event::Step { index, total, label } => self.step = (index, total, label),
            Event::Work { done, total } => self.percent = percent(done, total),
            Event::Note(_) => {}
            Event::Finished(Ok(_)) => self.page = Page::Done,
            Event::Finished(Err(failure)) => {
                self.failure = Some(failure);
                self.page = Page::Failed;
            }
        }
        None
    }

    /// Takes what is known about the machine. With answers it goes on by itself, without them a person is asked.
    pub fn gathered(
        &mut self,
        facts: Facts,
        manifest: &Manifest,
        answers: Option<Result<Answers, String>>,
    ) -> Option<Action> {
        self.dirty = true;
        self.draft = Some(Draft::new(&facts));
        self.manifest = Some(manifest.clone());
        self.facts = Some(facts);
        self.problems.clear();
        self.cursor = 0;
        let refused = |text: String| Some(Action::Tell(Event::Finished(Err(Failure::refused(text)))));
        match answers {
            None => {
                self.page = Page::Welcome;
                None
            }
            Some(Err(text)) => refused(text),
            Some(Ok(answers)) => match self.make_plan(&answers) {
                Ok(plan) => self.begin(plan),
                Err(text) => refused(text),
            },
        }
    }

    fn make_plan(&self, answers: &Answers) -> Result<Plan, String> {
        let (Some(facts), Some(manifest)) = (&self.facts, &self.manifest) else {
            return Err("the machine has not been looked at".to_owned());
        };
        plan::plan(facts, answers, manifest, self.seed).map_err(|refusals| refusals.to_string())
    }

    fn begin(&mut self, plan: Plan) -> Option<Action> {
        self.page = Page::Progress;
        self.percent = 0;
        self.step = (0, plan.steps.len(), "starting".to_owned());
        self.plan = Some(plan.clone());
        Some(Action::Install(Box::new(plan)))
    }

    /// Takes a key.
    pub fn key(&mut self, key: Key) -> Option<Action> {
        self.dirty = true;
        match self.page {
            Page::Starting | Page::Progress | Page::Done => None,
            Page::Welcome => self.key_welcome(key),
            Page::Drives => self.key_drives(key),
            Page::Node => self.key_form(key, Page::Drives, Page::Network),
            Page::Network => self.key_form(key, Page::Node, Page::Cluster),
            Page::Cluster => self.key_form(key, Page::Network, Page::Plan),
            Page::Plan => self.key_plan(key),
            Page::Failed => self.key_failed(key),
            Page::Log => self.key_log(key),
        }
    }

    fn key_welcome(&mut self, key: Key) -> Option<Action> {
        match key {
            Key::Up => self.cursor = self.cursor.saturating_sub(1),
            Key::Down | Key::Tab => self.cursor = (self.cursor + 1).min(WELCOME.len() - 1),
            Key::Enter => match self.cursor {
                0 => self.page = Page::Drives,
                1 => return Some(Action::Shell),
                2 => return Some(Action::Reboot),
                _ => return Some(Action::PowerOff),
            },
            _ => {}
        }
        None
    }

    fn key_drives(&mut self, key: Key) -> Option<Action> {
        let (Some(draft), Some(facts)) = (&mut self.draft, &self.facts) else { return None };
        self.problems.clear();
        match key {
            Key::Up => draft.cursor = draft.cursor.saturating_sub(1),
            Key::Down | Key::Tab => {
                draft.cursor = (draft.cursor + 1).min(facts.disks.len().saturating_sub(1));
            }
            Key::Char(' ') => draft.toggle(facts),
            Key::Char('r') => {
                self.page = Page::Starting;
                return Some(Action::Gather);
            }
            Key::Esc => self.page = Page::Welcome,
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
        let draft = self.draft.as_mut()?;
        let form = match self.page {
            Page::Node => &mut draft.node,
            Page::Network => &mut draft.network,
            _ => &mut draft.cluster,
        };
        match form.key(key) {
            Outcome::Stay => {}
            Outcome::Back => {
                self.problems.clear();
                self.page = before;
            }
            Outcome::Done => self.leave_form(after),
        }
        None
    }

    /// Goes on to the next screen where what was typed is right; problems of later screens do not count yet.
    fn leave_form(&mut self, after: Page) {
        let (Some(draft), Some(facts)) = (&self.draft, &self.facts) else { return };
        let answers = draft.answers(facts);
        let mine: &[&str] = match self.page {
            Page::Node => &["node", "admin"],
            Page::Network => &["network", "Router", "Name server"],
            _ => &[""],
        };
        let found = answers.as_ref().err().map(|p| p.0.clone()).unwrap_or_default();
        self.problems = found
            .iter()
            .filter(|p| mine.iter().any(|key| p.key.starts_with(key)))
            .map(ToString::to_string)
            .collect();
        if self.page == Page::Node {
            self.problems.extend(draft.node_problem());
        }
        if !self.problems.is_empty() {
            return;
        }
        if after == Page::Plan {
            let Ok(answers) = answers else { return };
            match self.make_plan(&answers) {
                Ok(plan) => self.plan = Some(plan),
                Err(text) => {
                    self.problems = text.lines().map(|l| l.trim().to_owned()).collect();
                    return;
                }
            }
            if let Some(draft) = &mut self.draft {
                draft.word.clear();
            }
        }
        self.page = after;
    }

    /// The word that must be typed: a longer one where something is lost.
    #[must_use]
    pub fn consent_word(&self) -> &'static str {
        match &self.plan {
            Some(plan) if !describe::losses(plan).is_empty() => "erase",
            _ => "install",
        }
    }

    fn key_plan(&mut self, key: Key) -> Option<Action> {
        let word = self.consent_word();
        let draft = self.draft.as_mut()?;
        match key {
            Key::Char(c) if draft.word.len() < 20 => draft.word.push(c),
            Key::Backspace => {
                draft.word.pop();
            }
            Key::Esc => self.page = Page::Cluster,
            Key::Enter if draft.word == word => {
                let plan = self.plan.clone()?;
                return self.begin(plan);
            }
            Key::Enter => {
                draft.word.clear();
                self.problems = vec![format!("nothing is written until the word {word} is typed")];
            }
            _ => {}
        }
        None
    }

    fn key_failed(&mut self, key: Key) -> Option<Action> {
        match key {
            Key::Char('r') => {
                self.page = Page::Starting;
                return Some(Action::Gather);
            }
            Key::Char('s') => return Some(Action::Shell),
            Key::Char('l') => {
                self.back = Page::Failed;
                self.scroll = self.log.len().saturating_sub(LOG_PAGE);
                self.page = Page::Log;
            }
            Key::Char('b') => return Some(Action::Reboot),
            Key::Char('p') => return Some(Action::PowerOff),
            _ => {}
        }
        None
    }

    fn key_log(&mut self, key: Key) -> Option<Action> {
        let last = self.log.len().saturating_sub(LOG_PAGE);
        match key {
            Key::Up => self.scroll = self.scroll.saturating_sub(1),
            Key::Down => self.scroll = (self.scroll + 1).min(last),
            Key::PageUp => self.scroll = self.scroll.saturating_sub(LOG_PAGE),
            Key::PageDown | Key::Char(' ') => self.scroll = (self.scroll + LOG_PAGE).min(last),
            Key::Esc | Key::Enter | Key::Char('q') => self.page = self.back,
            _ => {}
        }
        None
    }
}
