//! `maekin-installer run`: the installer as the only job of the initrd. One thread owns the consoles and the screens;
//! a worker looks at the machine and installs, and tells it by events; a reporter tells the install master.
//!
//! | module | job |
//! | --- | --- |
//! | [`gather`] | the release, the answers and the facts |
//! | [`wait`] | waiting for somebody to let this machine in |
//! | [`instead`] | starting what is installed, where the work was done before |
//! | [`install`] | applying a plan: events, log, receipt |
//! | [`names`] | name servers for the initrd |
//! | [`network`] | an address for the initrd |
//! | [`watch`] | cables and switches while a person is asked |
//! | [`save`] | the log on a stick |
//! | [`report`] | telling the install master |

pub mod gather;
pub mod install;
pub mod instead;
pub mod names;
pub mod network;
pub mod report;
pub mod save;
pub mod wait;
pub mod watch;

use std::process::Stdio;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{self, Receiver, Sender};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use maekin_host::cmd::Cmd;
use maekin_host::kmsg::{self, Level};
use maekin_host::tty::Key;
use maekin_host::{power, tty};
use uuid::Uuid;

use crate::answers::After;
use crate::cmdline::Start;
use crate::plan::Plan;
use crate::source::Release;
use crate::source::http::Master;
use crate::trial::{self, Trial};
use crate::tui::app::App;
use crate::tui::event::{Action, Event, Failure};
use crate::tui::screen::Screen;
use gather::Gathered;
use report::Reporter;
use watch::Watch;

/// Name of our lines, on the consoles and in the kernel's log: what a reader of a serial line looks for.
pub const TAG: &str = "maekin-install";
/// How often the screens look for something new.
const TICK: Duration = Duration::from_millis(200);
/// How long the last screen stays before the machine restarts by itself.
const LINGER: Duration = Duration::from_secs(5);

/// What the worker needs beside the plan.
struct Tools {
    release: Arc<Release>,
    master: Option<Master>,
}

/// A trial of the network under way.
struct Running {
    stop: Arc<AtomicBool>,
    thread: JoinHandle<()>,
}

struct Session {
    screen: Screen,
    app: App,
    sender: Sender<Event>,
    receiver: Receiver<Event>,
    tools: Option<Tools>,
    reporter: Reporter,
    finished: Option<(Instant, After)>,
    instead: Option<(Instant, Start)>,
    start: Instant,
    watch: Option<Watch>,
    trial: Option<Running>,
}

/// Runs until the machine restarts or is switched off; ends where the installed system is to be started in place of it.
///
/// # Errors
/// When there is no console at all, or no randomness.
pub fn run() -> Result<()> {
    let consoles = tty::Consoles::open(&tty::active()).context("there is no console to speak on")?;
    hush();
    let (sender, receiver) = mpsc::channel();
    let mut session = Session {
        screen: Screen::new(consoles),
        app: App::new(new_id()?),
        sender,
        receiver,
        tools: None,
        reporter: Reporter::default(),
        finished: None,
        instead: None,
        start: Instant::now(),
        watch: None,
        trial: None,
    };
    session.screen.draw(&mut session.app); // the log has its place from the first line on
    session.act(Action::Gather);
    while !session.start_instead() {
        session.turn()?;
    }
    Ok(())
}

/// Keeps the kernel and systemd from writing over the screens; both go on writing to the journal.
fn hush() {
    if let Err(e) = kmsg::quiet_consoles() {
        tracing::warn!(error = %e, "kernel messages will show between the screens");
    }
    // SIGRTMIN+21 turns systemd's status output off (systemd(1), Signals).
    if let Err(e) = Cmd::new("kill").args(["-s", "RTMIN+21", "1"]).run() {
        tracing::warn!(error = %e, "systemd's messages will show between the screens");
    }
}

fn new_id() -> Result<Uuid> {
    let mut bytes = [0; 16];
    getrandom::fill(&mut bytes).map_err(|e| anyhow::anyhow!("the kernel gives no randomness: {e}"))?;
    Ok(uuid::Builder::from_random_bytes(bytes).into_uuid())
}

impl Session {
    /// One round: what was told, what is shown, what was pressed.
    fn turn(&mut self) -> Result<()> {
        while let Ok(event) = self.receiver.try_recv() {
            self.tell(&event);
            if let Some(action) = self.app.update(event) {
                self.act(action);
            }
        }
        if let Some(action) = self.app.tick(self.start.elapsed()) {
            self.act(action);
        }
        self.screen.draw(&mut self.app);
        let key = self.screen.key(TICK);
        if key.is_some() {
            self.instead = None; // somebody is here and decides
        }
        match key {
            Some((console, Key::Ctrl('l'))) => self.screen.refresh(console),
            Some((console, key)) => match self.app.key(key) {
                Some(Action::Shell) => self.shell(console),
                Some(action) => self.act(action),
                None => {}
            },
            None => {}
        }
        if let Some((at, after)) = self.finished
            && at.elapsed() >= LINGER
            && !self.app.stay
        {
            self.finished = None;
            self.act(if after == After::Reboot { Action::Reboot } else { Action::PowerOff });
        }
        Ok(())
    }

    /// Starts what is installed, when it is time to; true when systemd shall go on into it.
    fn start_instead(&mut self) -> bool {
        let Some((_, found)) = self.instead.filter(|(at, _)| at.elapsed() >= instead::WAIT) else {
            return false;
        };
        self.instead = None;
        self.tell(&Event::Note("starting what is installed".to_owned()));
        match instead::start(found) {
            Ok(()) => true,
            Err(e) => {
                self.tell(&Event::Note(format!("what is installed cannot be started from here: {e:#}")));
                false
            }
        }
    }

    /// Says an event on the consoles' log lines, in the kernel's log and to the master.
    fn tell(&mut self, event: &Event) {
        for line in event.lines() {
            kmsg::say(Level::Notice, TAG, &line);
            self.screen.log(&format!("{TAG}: {line}"));
        }
        self.reporter.tell(event);
        if let Event::Finished(Ok(done)) = event {
            self.finished = Some((Instant::now(), done.after));
        }
        if let Event::Finished(Err(failure)) = event
            && failure.refused
            && let Some(found) = self.app.facts.as_ref().and_then(instead::installed)
        {
            self.instead = Some((Instant::now(), found));
            let wait = instead::WAIT.as_secs();
            self.tell(&Event::Note(format!(
                "starting what is installed in {wait} s; press any key to stay here"
            )));
        }
    }

    fn act(&mut self, action: Action) {
        match action {
            Action::Gather => {
                self.app.seed = new_id().unwrap_or(self.app.seed);
                let sender = self.sender.clone();
                thread::spawn(move || gather_and_send(&sender));
            }
            Action::Gathered(gathered) => self.take(*gathered),
            Action::Install(plan) => self.install(*plan),
            Action::Tell(event) => {
                self.tell(&event);
                self.app.update(event);
            }
            Action::Try(trial) => self.try_network(*trial),
            Action::StopTrying => {
                if let Some(running) = &self.trial {
                    running.stop.store(true, Ordering::Relaxed);
                }
            }
            Action::SaveLog => self.save_log(),
            Action::Reboot => self.leave(power::restart),
            Action::PowerOff => self.leave(power::off),
            Action::Shell => self.shell(0),
            Action::ToDisk => self.leave_for_disk(),
            Action::StartInstalled => self.start_installed(),
        }
    }

    /// Keeps what the worker will need, and goes on by itself where there are answers.
    fn take(&mut self, gathered: Gathered) {
        if let Some(master) = &gathered.master {
            self.reporter = Reporter::start(master.clone());
        }
        self.app.carrier = gathered.carrier;
        self.watch = match gathered.answers {
            None => Some(watch::start(&gathered.facts.nics, &self.sender)),
            Some(_) => None,
        };
        self.tools = Some(Tools { release: gathered.release.clone(), master: gathered.master.clone() });
        if let Some(action) = self.app.gathered(gathered.facts, &gathered.release.manifest, gathered.answers)
        {
            self.act(action);
        }
    }

    fn install(&mut self, plan: Plan) {
        self.watch = None;
        let Some(tools) = &self.tools else { return };
        let (release, sender) = (tools.release.clone(), self.sender.clone());
        thread::spawn(move || install::install_and_send(&plan, &release, &sender));
    }

    fn try_network(&mut self, trial: Trial) {
        if self.trial.as_ref().is_some_and(|running| !running.thread.is_finished()) {
            return; // the one that is stopping puts everything back first
        }
        let stop = Arc::new(AtomicBool::new(false));
        let (sender, stopped) = (self.sender.clone(), stop.clone());
        let thread = thread::spawn(move || {
            let tell = |text: &str| {
                let _ = sender.send(Event::Trying(text.to_owned())); // without a receiver the program is ending
            };
            let findings = trial::run::run(&trial, &stopped, &tell);
            let _ = sender.send(Event::Tried(findings));
        });
        self.trial = Some(Running { stop, thread });
    }

    fn save_log(&mut self) {
        let app = &self.app;
        let version = app.manifest.as_ref().map_or("", |m| m.version.as_str());
        let text = save::text(version, &app.log, app.facts.as_ref(), app.plan.as_ref());
        let outcome = save::save(&text).map_err(|e| format!("{e:#}"));
        let event = Event::Saved(outcome);
        self.tell(&event);
        self.app.update(event);
    }

    /// Restarts into what is on the disk: the master is told, because the firmware asks it first.
    fn leave_for_disk(&mut self) {
        let told = self.app.waiting.as_ref().map(wait::to_disk);
        if let Some(Err(e)) = told {
            self.tell(&Event::Note(format!(
                "the install master could not be told, so the machine may come back here: {e:#}"
            )));
        }
        self.leave(power::restart);
    }

    /// The same without a person: where the master cannot be told, the machine would only come back here, so it stays.
    fn start_installed(&mut self) {
        self.tell(&Event::Note("starting what is installed".to_owned()));
        match self.app.waiting.as_ref().map(wait::to_disk) {
            None => {}
            Some(Ok(())) => self.leave(power::restart),
            Some(Err(e)) => {
                let text = format!("it is not started, the install master could not be told: {e:#}");
                self.tell(&Event::Note(text));
            }
        }
    }

    /// A shell on the console that the key came from; the others wait.
    fn shell(&mut self, console: usize) {
        let (columns, rows) = self.screen.size(console);
        let shell = |path: &std::path::Path| -> Result<()> {
            let open = || std::fs::OpenOptions::new().read(true).write(true).open(path);
            let serial = path.to_string_lossy().contains("ttyS");
            if serial {
                // A serial line does not say how large its screen is; programs that draw need to know.
                let stty = Cmd::new("stty").arg("--file").arg(path).args(["rows", &rows.to_string()]);
                if let Err(e) = stty.args(["cols", &columns.to_string()]).run() {
                    tracing::info!("the size of the terminal is not set: {e}");
                }
            }
            let child = Cmd::new("setsid")
                .args(["--ctty", "--wait", "/bin/bash", "--login"])
                .env("TERM", if serial { "vt220" } else { "linux" })
                .spawn(Stdio::from(open()?), Stdio::from(open()?), Stdio::from(open()?));
            child?.wait()?; // as long as the person likes
            Ok(())
        };
        if let Some(Err(e)) = self.screen.lend(console, shell) {
            self.app.note(format!("no shell: {e:#}"));
        }
    }

    fn leave(&mut self, how: fn() -> std::io::Result<std::convert::Infallible>) {
        self.reporter.finish();
        if let Some(Tools { master: Some(master), .. }) = &self.tools {
            tracing::info!(master = master.address(), "leaving");
        }
        kmsg::say(Level::Notice, TAG, "leaving the installer");
        let Err(e) = how();
        self.app.note(format!("the machine cannot be restarted by itself: {e}"));
    }
}

fn gather_and_send(sender: &Sender<Event>) {
    let note = |text: &str| {
        let _ = sender.send(Event::Note(text.to_owned())); // without a receiver the program is ending
    };
    let tell = |event: Event| {
        let _ = sender.send(event); // as below
    };
    let event = match gather::gather(&note, &tell) {
        Ok(gathered) => Event::Gathered(Box::new(gathered)),
        Err(e) => Event::Finished(Err(Failure::failed(format!("{e:#}")))),
    };
    let _ = sender.send(event);
}
