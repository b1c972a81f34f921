//! The model: which screen is shown, what was typed, and what happens next. Keys and events change it; nothing here
//! reads or writes anything.
//!
//! | module | job |
//! | --- | --- |
//! | `keys` | what a key does on each screen |
//! | `flow` | from screen to screen: what must be right before the next one, the plan, the trial of the network |
//! | `local` | starting what is installed, where a machine waits and nobody says otherwise |

mod flow;
mod keys;
mod local;

use std::time::Duration;

use maekin_image::manifest::{KeyKind, Manifest};
use uuid::Uuid;

pub use local::Local;

use super::draft::Draft;
use super::event::{Action, Done, Event, Failure};
use super::meter::Meter;
use crate::answers::Answers;
use crate::facts::Facts;
use crate::plan::{Plan, Step};
use crate::run::wait::Waiting;
use crate::trial::{Carrier, Finding};

/// Most log lines kept.
const LOG_LINES: usize = 500;
/// Lines that the log and the plan move by with a page key: what the smallest console shows of them.
pub const PAGE: usize = 18;

/// A screen.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Page {
    /// Looking at the machine.
    Starting,
    /// Waiting to be let in.
    Waiting,
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
    /// Trying the network.
    Trial,
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

/// How far the trial of the network is.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum Trying {
    /// It was not tried, or changed since.
    #[default]
    Not,
    /// It is being tried: what it is about.
    Now(String),
    /// What was found out.
    Tried(Vec<Finding>),
    /// It cannot be tried: why.
    Cannot(String),
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
    /// The trial of the network.
    pub trying: Trying,
    /// The interface that carries this installation.
    pub carrier: Carrier,
    /// What is shown while the machine waits to be let in.
    pub waiting: Option<Waiting>,
    /// When what is installed is started.
    pub local: Local,
    /// Where the cursor is in a menu.
    pub cursor: usize,
    /// The log.
    pub log: Vec<String>,
    /// First line shown of the log or of the plan.
    pub scroll: usize,
    /// The last line of the plan that was in sight.
    pub seen: usize,
    /// The step under way: index, total, label.
    pub step: (usize, usize, String),
    /// How fast it goes.
    pub meter: Meter,
    /// Why it failed.
    pub failure: Option<Failure>,
    /// How it succeeded.
    pub done: Option<Done>,
    /// A person is there: the machine does not restart by itself any more.
    pub stay: bool,
    /// Where the log was saved, or why not.
    pub saved: Option<Result<String, String>>,
    /// Something has changed since it was drawn.
    pub dirty: bool,
    back: Page,
}

/// What can be done on the first screen.
pub const WELCOME: [&str; 4] = ["Install Maekin on this machine", "Shell", "Reboot", "Power off"];
/// What can be done on the screen that tries the network.
pub const TRIAL: [&str; 3] = ["Try the network now", "Change the network", "Go on"];

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
            trying: Trying::Not,
            carrier: Carrier::Nobody,
            waiting: None,
            local: Local::default(),
            cursor: 0,
            log: Vec::new(),
            scroll: 0,
            seen: 0,
            step: (0, 0, String::new()),
            meter: Meter::default(),
            failure: None,
            done: None,
            stay: false,
            saved: None,
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
        matches!(self.page, Page::Starting | Page::Progress)
    }

    /// Adds a line to the log.
    pub fn note(&mut self, text: String) {
        self.log.push(text);
        if self.log.len() > LOG_LINES {
            self.log.remove(0);
        }
        // While the log scrolls by itself below a screen, that screen has not changed.
        self.dirty |= !self.shows_log_lines();
    }

    /// Looks at the clock, from any beginning: rates and times that are shown follow it, and what is due is asked for.
    pub fn tick(&mut self, now: Duration) -> Option<Action> {
        if self.page == Page::Progress {
            self.dirty |= self.meter.tick(now);
        }
        self.tick_local(now)
    }

    /// Takes an event.
    pub fn update(&mut self, event: Event) -> Option<Action> {
        for line in event.lines() {
            self.note(line);
        }
        match event {
            Event::Gathered(gathered) => return Some(Action::Gathered(gathered)),
            Event::Step { index, total, label } => {
                let steps = self.plan.iter().flat_map(|plan| plan.steps.iter().take(index));
                self.meter.step(steps.map(Step::weight).sum());
                self.step = (index, total, label);
            }
            // What is shown of it changes by the clock, see `tick`.
            Event::Work { done, total } => {
                self.meter.work(done, total);
                return None;
            }
            Event::Note(_) => return None,
            Event::Waiting(waiting) => {
                self.waiting = Some(*waiting);
                self.turn_to(Page::Starting, Page::Waiting);
            }
            Event::LetIn => {
                self.waiting = None;
                self.turn_to(Page::Waiting, Page::Starting);
            }
            Event::Nics(nics) => {
                if let (Some(facts), Some(draft)) = (&mut self.facts, &mut self.draft) {
                    facts.nics = nics;
                    draft.see_nics(&facts.nics);
                }
                self.dirty |= matches!(self.page, Page::Network | Page::Trial);
                return None;
            }
            Event::Trying(text) => self.trying = Trying::Now(text),
            Event::Tried(findings) => self.tried(findings),
            Event::Saved(outcome) => self.saved = Some(outcome),
            Event::Finished(Ok(done)) => {
                self.done = Some(done);
                self.saved = None;
                self.page = Page::Done;
            }
            Event::Finished(Err(failure)) => {
                self.failure = Some(failure);
                self.saved = None;
                self.page = Page::Failed;
            }
        }
        self.dirty = true;
        None
    }

    /// Shows another screen in place of one, also behind the log.
    fn turn_to(&mut self, from: Page, to: Page) {
        for page in [&mut self.page, &mut self.back] {
            if *page == from {
                *page = to;
            }
        }
    }

    /// Takes what is known about the machine. With answers it goes on by itself, without them a person is asked.
    pub fn gathered(
        &mut self,
        facts: Facts,
        manifest: &Manifest,
        answers: Option<Result<Answers, String>>,
    ) -> Option<Action> {
        self.dirty = true;
        self.draft = Some(match (self.draft.take(), &self.facts) {
            (Some(draft), Some(before)) => draft.renewed(before, &facts),
            _ => Draft::new(&facts),
        });
        self.manifest = Some(manifest.clone());
        self.facts = Some(facts);
        self.problems.clear();
        self.trying = Trying::Not;
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
}
