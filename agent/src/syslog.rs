//! This node's journal, sent to a syslog server where its settings name one.
//!
//! The journal is the only buffer: entries are read no faster than they are sent, and after a break they are read again
//! from behind the last one that was sent. So memory stays bounded, and nothing is lost but what a server or its network
//! loses without a word (syslog has no acknowledgement, RFC 6587 section 3.2). An entry may come twice.
//!
//! | module | job |
//! | --- | --- |
//! | [`journal`] | follows the journal |
//! | [`mod@format`] | an entry as a message (RFC 5424; pure) |
//! | [`send`] | the way to the server |

mod format;
mod journal;
pub(crate) mod send;

use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use maekin_api::settings::Syslog;
use maekin_host::file::{FileError, read_text, write_atomic};
use tokio::sync::watch;

use self::journal::{Follow, From};
use self::send::{Line, SendError};
use crate::app::App;
use crate::errors::chain;
use crate::settings::Settings;

/// How soon a broken connection is made again, at first and at most.
const FIRST_PAUSE: Duration = Duration::from_secs(1);
const LONGEST_PAUSE: Duration = Duration::from_secs(60);
/// How often it is written down how far the journal was sent.
const MARK_EVERY: Duration = Duration::from_secs(5);
/// Largest file of ours, bytes.
const LARGEST: u64 = 64 << 10;

/// How the forwarding goes.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Health {
    /// To where; `None`: nowhere.
    pub(crate) target: Option<Arc<Syslog>>,
    /// How.
    pub(crate) state: State,
}

/// How the forwarding to a server goes.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) enum State {
    /// The connection is being made.
    #[default]
    Starting,
    /// Entries are sent as they come.
    Sending,
    /// It is tried again; why it failed.
    Failing(String),
}

/// Where the journal is to go, and whether it does.
#[derive(Debug, Default)]
pub(crate) struct Forwarder {
    target: watch::Sender<Option<Arc<Syslog>>>,
    health: watch::Sender<Health>,
}

/// The journal was not sent.
#[derive(Debug, thiserror::Error)]
enum ForwardError {
    /// The way to the server.
    #[error(transparent)]
    Send(#[from] SendError),
    /// The journal cannot be read.
    #[error("the journal cannot be read")]
    Journal(#[from] maekin_host::cmd::CmdError),
    /// Its reader ended.
    #[error("the program that reads the journal ended")]
    Ended,
}

impl Forwarder {
    /// From now on the journal goes there. Kept over restarts.
    ///
    /// # Errors
    /// [`FileError`]; nothing has changed then.
    pub(crate) fn set(&self, settings: &Settings, target: Option<&Syslog>) -> Result<(), FileError> {
        let path = file(settings);
        let text = match target {
            Some(target) => serde_json::to_string(target).unwrap_or_default(), // plain fields always serialize
            None => "null".to_owned(),
        };
        if (target.is_some() || path.exists()) && read_text(&path, LARGEST).ok().as_ref() != Some(&text) {
            write_atomic(&path, text.as_bytes(), 0o600)?;
        }
        self.target.send_if_modified(|now| {
            let new = now.as_deref() != target;
            if new {
                *now = target.map(|target| Arc::new(target.clone()));
            }
            new
        });
        Ok(())
    }

    /// How it goes, with word of every change.
    pub(crate) fn health(&self) -> watch::Receiver<Health> {
        self.health.subscribe()
    }

    fn say(&self, target: Option<&Arc<Syslog>>, state: State) {
        let health = Health { target: target.cloned(), state };
        self.health.send_if_modified(|now| {
            let new = *now != health;
            *now = health;
            new
        });
    }
}

fn file(settings: &Settings) -> PathBuf {
    settings.state.join("syslog.json")
}

/// How far the journal was sent since the machine started.
fn mark(settings: &Settings) -> PathBuf {
    settings.run.join("syslog.cursor")
}

/// Sends the journal where it is to go, for as long as the agent runs: also before the node has found its cluster.
pub(crate) async fn run(app: Arc<App>) {
    let text = read_text(&file(&app.settings), LARGEST).unwrap_or_default();
    let kept = serde_json::from_str::<Option<Syslog>>(&text).ok().flatten();
    let forwarder = &app.syslog;
    let mut target = forwarder.target.subscribe();
    // What went there before the machine restarted goes there from its start on.
    let mut from = if kept.is_some() { From::Boot } else { From::Now };
    if let Some(kept) = kept {
        forwarder.target.send_if_modified(|now| {
            let new = now.is_none();
            if new {
                *now = Some(Arc::new(kept));
            }
            new
        });
    }
    loop {
        let now = target.borrow_and_update().clone();
        match now {
            None => {
                // What is to be sent one day begins then.
                let mark = mark(&app.settings);
                if mark.exists()
                    && let Err(e) = std::fs::remove_file(&mark)
                {
                    tracing::debug!(error = %e, "how far the journal was sent is not forgotten");
                }
                forwarder.say(None, State::Starting);
                if target.changed().await.is_err() {
                    return;
                }
            }
            Some(now) => tokio::select! {
                () = forward(&app, &now, from) => {}
                changed = target.changed() => if changed.is_err() { return },
            },
        }
        from = From::Now;
    }
}

/// Sends to one server until this future is dropped.
async fn forward(app: &App, target: &Arc<Syslog>, from: From) {
    let mut pause = FIRST_PAUSE;
    let cursor = read_text(&mark(&app.settings), LARGEST).ok().filter(|cursor| !cursor.is_empty());
    let mut place = cursor.map_or(from, From::Cursor);
    app.syslog.say(Some(target), State::Starting);
    loop {
        let mut opened = None;
        let Err(e) = attempt(app, target, &mut place, &mut opened).await;
        let why = chain(&e);
        tracing::warn!(server = target.server, error = why, "the journal is not sent; it is tried again");
        app.syslog.say(Some(target), State::Failing(why));
        let (wait, next) = plan_pause(pause, opened.map(|opened: Instant| opened.elapsed()));
        tokio::time::sleep(wait).await;
        pause = next;
    }
}

/// How long to wait after a connection that lasted so long (`None`: there was none), and after the next one. Only one that
/// lasted is followed at once: that entries went out does not say that anybody took them, and every break is an entry
/// itself. Pure.
fn plan_pause(pause: Duration, lasted: Option<Duration>) -> (Duration, Duration) {
    let wait = if lasted.is_some_and(|lasted| lasted >= LONGEST_PAUSE) { FIRST_PAUSE } else { pause };
    (wait, (wait * 2).min(LONGEST_PAUSE))
}

/// One connection, until it breaks.
async fn attempt(
    app: &App,
    target: &Arc<Syslog>,
    place: &mut From,
    opened: &mut Option<Instant>,
) -> Result<std::convert::Infallible, ForwardError> {
    let mut line = Line::open(target).await?;
    *opened = Some(Instant::now());
    let mut journal = Follow::start(&app.settings.journalctl, place, target.priority)?;
    app.syslog.say(Some(target), State::Sending);
    let mut marked = Instant::now();
    let mut fresh = false;
    let mut due = tokio::time::interval(MARK_EVERY);
    loop {
        tokio::select! {
            entry = journal.next() => {
                let entry = entry.ok_or(ForwardError::Ended)?;
                let text = format::message(&entry, &app.config.hostname, line.longest());
                line.send(text.as_bytes()).await?;
                *place = From::Cursor(entry.cursor);
                fresh = true;
            }
            e = line.broken() => return Err(e.into()),
            _ = due.tick() => {}
        }
        if let (true, From::Cursor(cursor)) = (fresh && marked.elapsed() >= MARK_EVERY, &*place) {
            (marked, fresh) = (Instant::now(), false);
            if let Err(e) = write_atomic(&mark(&app.settings), cursor.as_bytes(), 0o600) {
                tracing::debug!(error = %chain(&e), "how far the journal was sent is not written down");
            }
        }
    }
}

#[cfg(test)]
mod tests;
