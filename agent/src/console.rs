//! The menu on every console at once: VGA, serial and SOL show the same, and keys are taken from all of them.
//!
//! | module | job |
//! | --- | --- |
//! | [`model`] | what is known and what is being asked |
//! | [`mod@update`] | what a key or a piece of news changes, and what is to be done (pure) |
//! | [`view`] | the screen, 80 by 24 (pure) |
//! | [`paint`] | the difference between two screens, as bytes for a terminal (pure) |
//! | [`clock`] | the node's clock, and setting it |
//! | [`network`] | another address of this node |
//! | [`policy`] | what the menu may give |
//! | [`promote`] | going on alone, when the first of two nodes is gone for good |
//! | [`presence`] | a new password, by a press of the power button |
//! | [`worker`] | asks the agent, checks passwords, reads logs, beside the loop |

mod clock;
mod model;
mod network;
mod paint;
pub(crate) mod policy;
mod presence;
mod promote;
mod update;
mod view;
mod worker;

use std::fs::OpenOptions;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::mpsc;
use std::time::{Duration, Instant};

use maekin_host::cmd::Cmd;
use maekin_host::tty::{Consoles, active};
use ratatui::buffer::Buffer;

use self::model::{Console, Model};
use self::policy::Policy;
use self::update::{Effect, Event, update};
use self::worker::{Job, Worker};
use crate::reset::is_local;
use crate::settings::Settings;

/// How long the loop waits for a key before it looks for news.
const TICK: Duration = Duration::from_millis(200);
/// A shell that nobody types into ends after so many seconds: it would keep the menu from its console.
const SHELL_IDLE: &str = "900";

/// Shows the menu for as long as there is a console.
///
/// # Errors
/// When not one console can be opened.
pub(crate) fn run(settings: Settings, ttys: Vec<PathBuf>) -> anyhow::Result<()> {
    let paths = if ttys.is_empty() { active() } else { ttys };
    let mut consoles = Consoles::open(&paths)?;
    let (news, events) = mpsc::channel();
    let (systemctl, own) = (settings.systemctl.clone(), settings.clone());
    let worker = Worker::start(settings, news)?;
    let console = |path: &Path| Console { path: path.display().to_string(), local: is_local(path) };
    let mut model =
        Model { consoles: consoles.paths().into_iter().map(console).collect(), ..Model::default() };
    let mut shown: Option<Buffer> = None;
    let (mut painted, mut touched) = (0, Instant::now());
    loop {
        // Only the clock changes by itself, once a second.
        let second = crate::clock::now();
        if painted != second || shown.is_none() {
            show(&mut consoles, &model, &mut shown)?;
            painted = second;
        }
        let key = consoles.key(TICK).map(|(console, key)| Event::Key { console, key });
        if key.is_some() && touched.elapsed() >= worker::EVERY {
            touched = Instant::now();
            worker.ask(Job::Look);
        }
        for event in key.into_iter().chain(events.try_iter()) {
            painted = 0;
            for effect in update(&mut model, event) {
                match effect {
                    Effect::Repaint => shown = None,
                    Effect::Ask(job) => worker.ask(job),
                    Effect::Power(verb) => {
                        worker.ask(Job::Run(Cmd::new(&systemctl).arg(verb)));
                    }
                    Effect::CallOff => worker.call_off(),
                    // As it is at this moment, not as it was when a password was asked for.
                    Effect::Shell { .. } if !Policy::load(&own).shell => {
                        "Shell: locked by policy.".clone_into(&mut model.message);
                    }
                    Effect::Shell { console } => {
                        model.shell_on = consoles.paths().get(console).map(|p| p.display().to_string());
                        show(&mut consoles, &model, &mut shown)?;
                        consoles.lend(console, shell);
                        model.shell_on = None;
                        shown = None;
                    }
                }
            }
        }
    }
}

/// Brings the consoles from what they show to what they should show; writes nothing when that is the same.
fn show(consoles: &mut Consoles, model: &Model, shown: &mut Option<Buffer>) -> std::io::Result<()> {
    let next = view::render(model, crate::clock::now());
    let bytes = paint::difference(shown.as_ref(), &next);
    *shown = Some(next);
    if bytes.is_empty() { Ok(()) } else { consoles.write_all(&bytes) }
}

/// A root shell on one terminal, until it ends.
fn shell(tty: &Path) {
    let open = || {
        let file = OpenOptions::new().read(true).write(true).open(tty)?;
        (&file).write_all(paint::FRESH)?;
        Ok::<_, std::io::Error>((file.try_clone()?, file.try_clone()?, file))
    };
    let (stdin, stdout, stderr) = match open() {
        Ok(files) => files,
        Err(e) => return tracing::warn!(tty = %tty.display(), error = %e, "no shell"),
    };
    let serial = tty.to_string_lossy().contains("ttyS");
    if serial {
        // A serial line does not say how large its screen is; programs that draw need to know.
        let stty = Cmd::new("stty").arg("--file").arg(tty).args(["rows", "24", "cols", "80"]);
        if let Err(e) = stty.run() {
            tracing::info!(error = %crate::errors::chain(&e), "size of the terminal not set");
        }
    }
    // A session of its own, with the terminal as its controlling one, so that job control and ^C work.
    let child = Cmd::new("setsid")
        .args(["--ctty", "--wait", "bash", "--login"])
        .env("TERM", if serial { "vt220" } else { "linux" })
        .env("HOME", "/root")
        .env("TMOUT", SHELL_IDLE)
        .dir("/root")
        .spawn(stdin.into(), stdout, stderr);
    match child.map(|mut child| child.wait()) {
        Ok(Ok(status)) => tracing::info!(tty = %tty.display(), %status, "shell ended"),
        Ok(Err(e)) => tracing::warn!(tty = %tty.display(), error = %e, "shell lost"),
        Err(e) => tracing::warn!(tty = %tty.display(), error = %crate::errors::chain(&e), "no shell"),
    }
}
