//! A machine that waits, and that has something installed: it is started after a while, as by an install medium's menu,
//! unless somebody is there and wants something else.

use std::time::Duration;

use super::App;
use crate::tui::event::Action;

/// How long a person has to say otherwise, by any key.
const WAIT: Duration = Duration::from_secs(10);
/// What makes whole seconds of a rest.
const ROUND_UP: Duration = Duration::from_millis(999);

/// When what is installed is started.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Local {
    /// It is not due: it may not be, or there is nothing.
    #[default]
    Not,
    /// At this time.
    At {
        /// On the clock of [`App::tick`].
        at: Duration,
        /// Seconds until then, as they are shown.
        left: u64,
    },
    /// Somebody is here and decides.
    Stayed,
}

impl App {
    /// Moves the clock of starting what is installed.
    pub(super) fn tick_local(&mut self, now: Duration) -> Option<Action> {
        let may = self.waiting.as_ref().is_some_and(|waiting| waiting.may_start());
        let was = self.local;
        let mut due = None;
        self.local = match was {
            Local::Stayed => Local::Stayed,
            _ if !may => Local::Not,
            Local::Not => Local::At { at: now + WAIT, left: WAIT.as_secs() },
            Local::At { at, .. } if now >= at => {
                due = Some(Action::StartInstalled);
                Local::Not // where that does not succeed, it is tried again
            }
            Local::At { at, .. } => Local::At { at, left: (at - now + ROUND_UP).as_secs() },
        };
        self.dirty |= self.local != was;
        due
    }

    /// Somebody pressed a key.
    pub(super) fn stay_here(&mut self) {
        if self.waiting.is_some() {
            self.local = Local::Stayed;
        }
    }
}
