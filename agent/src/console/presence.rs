//! The wait for a press of the machine's power button, and the password that is set by it; on a thread of its own.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::Sender;
use std::time::Duration;

use maekin_host::button::{Buttons, Outcome};

use super::update::Event;
use crate::clock::now;
use crate::errors::chain;
use crate::reset;
use crate::settings::Settings;

/// How long a press is waited for.
pub(super) const WAIT: Duration = Duration::from_secs(60);

/// How a wait goes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum News {
    /// The button is held; a press counts until then.
    Waiting { until: u64 },
    /// It is over, with these words.
    Over(String),
}

/// Waits for the press, sets the password, and tells how it goes.
pub(super) fn wait(
    settings: &Settings,
    console: &str,
    password: &str,
    off: &Arc<AtomicBool>,
    news: &Sender<Event>,
) {
    // Sending fails only when the loop is gone, and with it whoever waits.
    let tell = |text: News| drop(news.send(Event::Presence(text)));
    let mut buttons = match Buttons::hold() {
        Ok(buttons) => buttons,
        Err(e) => return tell(News::Over(format!("Nothing was changed: {}.", chain(&e)))),
    };
    tell(News::Waiting { until: now() + WAIT.as_secs() });
    tell(News::Over(match buttons.wait(WAIT, || off.load(Ordering::Relaxed)) {
        Ok(Outcome::Pressed) => match reset::apply(settings, console, password, now()) {
            Ok(text) => text,
            Err(e) => format!("Nothing was changed: {}", chain(&e)),
        },
        Ok(Outcome::Late) => "Nothing was changed: the button was not pressed in time.".to_owned(),
        Ok(Outcome::CalledOff) => "Nothing was changed.".to_owned(),
        Err(e) => format!("Nothing was changed: {}", chain(&e)),
    }));
}
