//! Everything that may take a moment, beside the loop that draws: asking the agent, checking a password, reading logs.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::Sender;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::Context;
use maekin_api as api;
use maekin_api::install::{Deny, Install, OpenWindow, Progress, SeenMachine, Terms, WindowState};
use maekin_api::network::{Decide, NodeNetwork, SetNetwork, TrialState};
use maekin_api::node::{Membership, Node};
use maekin_api::nodes::NodeInfo;
use maekin_api::trust::{JoinWith, Leave, MadeToken, NewPairing, NewToken, PairingInfo, RemovedNode};
use maekin_host::block;
use maekin_host::cmd::Cmd;
use maekin_host::file::read_text;
use maekin_rootfs::node::{Network, NodeConfig};
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};

use super::clock::{self, Clock};
use super::model::{Bundle, Snapshot, Standing, Sticks};
use super::policy::Policy;
use super::presence;
use super::promote;
use super::update::{Event, trying};
use crate::cli::machines::plain;
use crate::cli::window_text;
use crate::clock::now;
use crate::errors::chain;
use crate::http::auth::verify_password;
use crate::http::client::{ClientError, Target};
use crate::settings::Settings;
use crate::support;
use crate::trust::leaving::WORD;

/// How often the agent is asked while somebody is there; a job that is done asks at once. Each time costs a handful of
/// questions to the record, and there is a console on every node.
pub(super) const EVERY: Duration = Duration::from_secs(5);
/// How often while a network is tried: there is less than a minute.
const SECONDS: Duration = Duration::from_secs(2);
/// How often it is asked where something goes on, and nobody touched a key for long.
const WATCHED: Duration = Duration::from_secs(10);
/// How often it is asked where nobody looks and nothing goes on: on most nodes at most times.
const SELDOM: Duration = Duration::from_secs(30);
/// For how long a machine that asked to boot is taken to wait for an answer, seconds.
const WAITING: u64 = 60;
/// For how long somebody is taken to be there after a key.
const THERE: Duration = Duration::from_secs(120);
/// How long a wrong password costs.
const PENALTY: Duration = Duration::from_secs(2);
/// How long a join token that is made here can be used, minutes.
pub(super) const TOKEN_MINUTES: u32 = 60;
/// Lines of the journal that are kept for scrolling.
const LOG_LINES: &str = "300";

/// Something to do.
#[derive(Debug)]
pub(super) enum Job {
    /// Somebody is there: ask the agent now, and often.
    Look,
    /// Read the journal.
    Logs,
    /// Let machines in.
    OpenWindow(OpenWindow),
    /// No longer.
    CloseWindow,
    /// Let the machine with this code in, or tell it no.
    Decide { code: String, yes: bool },
    /// Is this the admin password?
    Password { console: usize, password: String },
    /// The same, for another network.
    Unlock { console: usize, password: String },
    /// Try another network.
    SetNetwork { network: Box<Network> },
    /// Keep the one that is tried, or put the one before back.
    DecideNetwork { id: String, generation: Option<u64>, confirm: bool },
    /// Run a program.
    Run(Cmd),
    /// Join a cluster by this token.
    Join { token: String },
    /// Begin a pairing with this node: its name, id or address.
    BeginPairing { node: String },
    /// The code on the other console is the same, or it is not.
    Pair { code: String, yes: bool },
    /// Is this the admin password? It is asked for somebody who wants this node to leave its cluster.
    LeavePassword { console: usize, password: String },
    /// Leave the cluster.
    Leave,
    /// Is this the admin password? It is asked for somebody who wants this node to go on alone.
    PromotePassword { console: usize, password: String },
    /// Can this node go on alone?
    LookAlone { console: usize },
    /// Go on without the node of this name.
    GoOnAlone { name: String },
    /// Make a join token for one node.
    MakeToken,
    /// How is the clock?
    Clock,
    /// Set it.
    SetClock { at: u64 },
    /// Where can a support bundle go?
    Sticks,
    /// Make one.
    Bundle { device: PathBuf },
    /// Wait for the power button, then set this password.
    Reset { console: String, password: String },
}

/// The thread that does it.
pub(super) struct Worker {
    jobs: UnboundedSender<Job>,
    /// The wait for the power button is over.
    off: Arc<AtomicBool>,
}

impl Worker {
    /// Starts the thread; what it finds out goes to `news`.
    ///
    /// # Errors
    /// When the thread cannot be made.
    pub(super) fn start(settings: Settings, news: Sender<Event>) -> anyhow::Result<Self> {
        let (jobs, queue) = unbounded_channel();
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let off = Arc::new(AtomicBool::new(false));
        let long = Long { settings: Arc::new(settings), news, off: Arc::clone(&off) };
        thread::Builder::new()
            .name("worker".to_owned())
            .spawn(move || runtime.block_on(work(&long, queue)))
            .context("cannot start the worker thread")?;
        Ok(Self { jobs, off })
    }

    /// Waits no longer for the power button.
    pub(super) fn call_off(&self) {
        self.off.store(true, Ordering::Relaxed);
    }

    /// Hands over a job.
    pub(super) fn ask(&self, job: Job) {
        let _ = self.jobs.send(job); // fails only when the thread is gone, and with it this program
    }
}

/// What a thread of its own needs, for what takes long: nobody waits for it.
#[derive(Clone)]
struct Long {
    settings: Arc<Settings>,
    news: Sender<Event>,
    off: Arc<AtomicBool>,
}

impl Long {
    fn start(&self, work: impl FnOnce(&Self) + Send + 'static) {
        let own = self.clone();
        let started = thread::Builder::new().name("long work".to_owned()).spawn(move || work(&own));
        if let Err(e) = started {
            let _ = self.news.send(Event::Said(format!("cannot start a thread: {e}"))); // fails with the loop gone
        }
    }

    fn tell(&self, event: Event) {
        let _ = self.news.send(event); // fails only when the loop is gone
    }
}

async fn work(long: &Long, mut queue: UnboundedReceiver<Job>) {
    let (settings, news) = (&*long.settings, &long.news);
    let target = Target::Socket(settings.socket());
    let mut touched = Instant::now();
    let mut pause = Duration::ZERO;
    loop {
        tokio::select! {
            job = queue.recv() => {
                let Some(job) = job else { return };
                if matches!(job, Job::Look) {
                    touched = Instant::now();
                }
                if let Some(event) = carry_out(long, &target, job).await {
                    let _ = news.send(event); // as below
                }
            }
            () = tokio::time::sleep(pause) => {}
        }
        let snapshot = Box::new(look(settings, &target).await);
        pause = pace(&snapshot, touched.elapsed(), now());
        if news.send(Event::Snapshot(snapshot)).is_err() {
            return; // the loop is gone
        }
    }
}

/// How long until the agent is asked again, so long after the last key. Pure.
fn pace(snapshot: &Snapshot, quiet: Duration, now: u64) -> Duration {
    let under_way =
        |p: &Progress| matches!(p, Progress::Booting | Progress::Installing { .. } | Progress::Installed);
    let busy = snapshot.node.is_none()
        || !snapshot.pairings.is_empty()
        || snapshot.cluster.as_ref().is_none_or(|cluster| cluster.install_window.open)
        || snapshot.machines.iter().any(|machine| now < machine.last_seen.saturating_add(WAITING))
        || snapshot.installs.iter().any(|install| under_way(&install.progress));
    if trying(snapshot) {
        return SECONDS;
    }
    match (quiet < THERE, busy) {
        (true, _) => EVERY,
        (false, true) => WATCHED,
        (false, false) => SELDOM,
    }
}

async fn carry_out(long: &Long, target: &Target, job: Job) -> Option<Event> {
    match job {
        Job::Look => None,
        Job::Logs => Some(Event::Logs(logs())),
        Job::OpenWindow(open) => Some(said(target.post(api::INSTALL_WINDOW, &open).await)),
        Job::CloseWindow => Some(said(target.delete(api::INSTALL_WINDOW).await)),
        Job::Decide { code, yes } => Some(Event::Said(match decide(target, &code, yes).await {
            Ok(text) => text,
            Err(e) => format!("{e:#}"),
        })),
        Job::Password { console, password } => {
            let right = checked(&long.settings, &password).await;
            Some(Event::Password { console, right })
        }
        Job::Unlock { console, password } => {
            let right = check(&long.settings, &password);
            if !right {
                tokio::time::sleep(PENALTY).await;
            }
            Some(Event::Unlocked { console, right })
        }
        Job::SetNetwork { network } => {
            let tried: Result<NodeNetwork, _> =
                target.put(api::network::OWN, &SetNetwork { network: *network }).await;
            Some(Event::Said(match tried {
                Ok(now) => trial_text(&now),
                Err(e) => chain(&e),
            }))
        }
        Job::DecideNetwork { id, generation, confirm } => {
            let path = if confirm { api::NODE_NETWORK_CONFIRM } else { api::NODE_NETWORK_REVERT };
            let path = path.replace("{name}", &id);
            Some(Event::Said(match target.post::<NodeNetwork>(&path, &Decide { generation }).await {
                Ok(now) => trial_text(&now),
                Err(e) => chain(&e),
            }))
        }
        Job::LeavePassword { console, password } => {
            let right = checked(&long.settings, &password).await;
            Some(Event::MayLeave { console, right })
        }
        Job::Leave => {
            let with = Leave { confirm: WORD.to_owned() };
            let left = target.post_slow::<RemovedNode>(api::NODE_LEAVE, &with).await;
            Some(Event::Said(match left {
                Ok(_) => "This node left its cluster, and begins anew in a moment.".to_owned(),
                Err(e) => chain(&e),
            }))
        }
        Job::PromotePassword { console, password } => {
            let right = checked(&long.settings, &password).await;
            Some(Event::MayPromote { console, right })
        }
        Job::LookAlone { console } => {
            long.start(move |long| {
                long.tell(Event::Promotable { console, found: promote::look(&long.settings) });
            });
            None
        }
        Job::GoOnAlone { name } => {
            long.start(move |long| long.tell(Event::Said(promote::apply(&long.settings, &name))));
            None
        }
        Job::BeginPairing { node } => Some(Event::Said(match begin_pairing(target, node).await {
            Ok(open) => format!("Compare the code {} with the console of {}.", open.code, open.name),
            Err(e) => chain(&e),
        })),
        Job::Pair { code, yes } => Some(Event::Said(match pair(target, &code, yes).await {
            Ok(text) => text.to_owned(),
            Err(e) => chain(&e),
        })),
        Job::Run(command) => command.run().err().map(|e| Event::Said(chain(&e))),
        Job::Join { token } => {
            let asked = target.post::<()>(api::NODE_JOIN, &JoinWith { token: token.into() }).await;
            Some(Event::Said(match asked {
                Ok(()) => "Asking to be let in; this page says how it goes.".to_owned(),
                Err(e) => chain(&e),
            }))
        }
        Job::MakeToken => {
            let new = NewToken { uses: 1, minutes: TOKEN_MINUTES, note: "made at a console".to_owned() };
            Some(match target.post::<MadeToken>(api::JOIN_TOKENS, &new).await {
                Ok(made) => Event::Token(made.token.expose().to_owned()),
                Err(e) => Event::Said(chain(&e)),
            })
        }
        Job::Clock => Some(Event::Clock(Box::new(Clock::read(now())))),
        Job::SetClock { at } => {
            let text = clock::set(at, now());
            long.tell(Event::Clock(Box::new(Clock::read(now()))));
            Some(Event::Said(text))
        }
        Job::Sticks => Some(Event::Sticks(sticks())),
        Job::Bundle { device } => {
            long.start(move |long| bundle(long, &device));
            None
        }
        Job::Reset { console, password } => {
            long.off.store(false, Ordering::Relaxed);
            long.start(move |long| {
                presence::wait(&long.settings, &console, &password, &long.off, &long.news);
            });
            None
        }
    }
}

fn trial_text(now: &NodeNetwork) -> String {
    match now.trial.as_ref().map(|trial| (trial.state, trial.seconds_left, &trial.why)) {
        None => "The network is as it was.".to_owned(),
        Some((TrialState::Trying, left, _)) => {
            format!("Tried: c keeps it; otherwise it goes back in {} s.", left.unwrap_or(0))
        }
        Some((TrialState::Confirmed, ..)) => "The network is kept.".to_owned(),
        Some((TrialState::Reverted, _, why)) => format!("The network before is back: {why}"),
    }
}

fn sticks() -> Sticks {
    match block::list() {
        Ok(devices) => {
            let (sticks, refused) = support::stick::sticks(&devices);
            Sticks { sticks, refused, problem: String::new() }
        }
        Err(e) => Sticks { problem: chain(&e), ..Sticks::default() },
    }
}

fn bundle(long: &Long, device: &Path) {
    let step = |step: &str| long.tell(Event::Bundle(Bundle::Running(step.to_owned())));
    long.tell(Event::Bundle(match support::run(&long.settings, Some(device), step) {
        Ok(report) => Bundle::Done(report.text()),
        Err(e) => Bundle::Failed(format!("{e:#}")),
    }));
}

async fn checked(settings: &Settings, password: &str) -> bool {
    let right = check(settings, password);
    if !right {
        tokio::time::sleep(PENALTY).await;
    }
    right
}

async fn begin_pairing(target: &Target, node: String) -> Result<PairingInfo, ClientError> {
    let new = if node.parse::<std::net::SocketAddr>().is_ok() {
        NewPairing { address: node, ..NewPairing::default() }
    } else {
        NewPairing { node, ..NewPairing::default() }
    };
    target.post(api::PAIRINGS, &new).await
}

async fn pair(target: &Target, code: &str, yes: bool) -> Result<&'static str, ClientError> {
    let (path, said) = if yes {
        (api::PAIRING_APPROVE, "You said yes; it takes a yes at the other console too.")
    } else {
        (api::PAIRING_DENY, "You said no; nobody was let in.")
    };
    target.post::<()>(&path.replace("{code}", code), &()).await?;
    Ok(said)
}

async fn decide(target: &Target, code: &str, yes: bool) -> anyhow::Result<String> {
    let machine = plain(code)?;
    if yes {
        let path = api::MACHINE_APPROVE.replace("{machine}", &machine);
        let install: Install = target.post(&path, &Terms::default()).await?;
        return Ok(format!("{} is let in as {}.", install.mac, install.hostname));
    }
    let path = api::MACHINE_DENY.replace("{machine}", &machine);
    let seen: SeenMachine = target.post(&path, &Deny::default()).await?;
    Ok(format!("{} is told no.", seen.mac))
}

fn said(outcome: Result<WindowState, ClientError>) -> Event {
    Event::Said(match outcome {
        Ok(state) => format!("Install window: {}", window_text(state, now())),
        Err(e) => chain(&e),
    })
}

/// The hash from the node file; `None` where there is none. Read anew each time: the agent may not be there.
fn password_hash(settings: &Settings) -> Option<String> {
    let text = read_text(&settings.node_file(), 1 << 20).ok()?;
    toml::from_str::<NodeConfig>(&text).ok()?.admin.password_hash
}

/// Whoever stands at a console of a node without a password is let in: there is nothing to compare with.
fn check(settings: &Settings, password: &str) -> bool {
    password_hash(settings).is_none_or(|hash| verify_password(&hash, password))
}

fn logs() -> Vec<String> {
    let journalctl =
        Cmd::new("journalctl").args(["--no-pager", "--quiet", "--output", "short", "--lines", LOG_LINES]);
    match journalctl.text() {
        Ok(text) => text.lines().map(|line| line.chars().filter(|c| !c.is_control()).collect()).collect(),
        Err(e) => vec![chain(&e)],
    }
}

async fn look(settings: &Settings, target: &Target) -> Snapshot {
    let policy = Policy::load(settings);
    let mut snapshot = Snapshot { locked: password_hash(settings).is_some(), policy, ..Snapshot::default() };
    match target.get::<Node>(api::NODE).await {
        Ok(node) => snapshot.node = Some(node),
        Err(e) => {
            snapshot.problem = chain(&e);
            return snapshot;
        }
    }
    // Of an older agent there is none to be had.
    snapshot.network = target.get::<NodeNetwork>(api::network::OWN).await.ok();
    snapshot.pairings = target.get(api::PAIRINGS).await.unwrap_or_default();
    let member = snapshot.node.as_ref().is_some_and(|n| matches!(n.membership, Membership::Member { .. }));
    if !member {
        return snapshot;
    }
    let all = async {
        let cluster = target.get(api::CLUSTER).await?;
        let nodes: Vec<NodeInfo> = target.get(api::NODES).await?;
        let discovered = target.get(api::DISCOVERED).await?;
        let installs = target.get(api::INSTALLS).await?;
        let machines = target.get(api::MACHINES).await?;
        Ok::<_, ClientError>((cluster, nodes, discovered, installs, machines))
    };
    match all.await {
        Ok((cluster, nodes, discovered, installs, machines)) => {
            snapshot.cluster = Some(cluster);
            let standing =
                |node: NodeInfo| (node.id, Standing { state: node.state, since: node.since, why: node.why });
            snapshot.standings = nodes.into_iter().map(standing).collect();
            snapshot.discovered = discovered;
            snapshot.installs = installs;
            snapshot.machines = machines;
        }
        Err(e) => snapshot.problem = chain(&e),
    }
    snapshot
}

#[cfg(test)]
mod tests {
    use super::super::view::tests::{cluster::pairing, quiet};
    use super::*;

    #[test]
    fn console_the_agent_is_asked_often_only_while_somebody_looks() {
        let now = 1_000_000;
        let (there, gone) = (Duration::from_secs(3), THERE);
        let window = |open: bool| {
            let mut snapshot = quiet();
            if let Some(cluster) = &mut snapshot.cluster {
                cluster.install_window.open = open;
            }
            snapshot
        };
        let install = |progress: Progress| Snapshot {
            installs: vec![Install { progress, ..Install::default() }],
            ..quiet()
        };
        let rows = [
            ("somebody is there", quiet(), there, EVERY),
            ("nothing goes on", quiet(), gone, SELDOM),
            ("the agent does not answer", Snapshot::default(), gone, WATCHED),
            ("no member yet", Snapshot { cluster: None, ..quiet() }, gone, WATCHED),
            ("the window is open", window(true), gone, WATCHED),
            ("a code is compared", Snapshot { pairings: vec![pairing()], ..quiet() }, gone, WATCHED),
            ("an installation", install(Progress::Booting), gone, WATCHED),
            ("one that is over", install(Progress::Joined), gone, SELDOM),
            ("one that failed", install(Progress::Failed { reason: String::new() }), gone, SELDOM),
        ];
        for (name, snapshot, quiet, want) in rows {
            assert_eq!(pace(&snapshot, quiet, now), want, "{name}");
        }
    }
}
