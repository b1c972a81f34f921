//! Carries a trial out, and keeps it across restarts of the agent and of the machine. It decides nothing: that is
//! [`super::trial`].

use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use maekin_host::file::{FileError, read_text, write_atomic};
use maekin_host::links::{Link, probe_links};
use maekin_rootfs::node::{Network, NodeConfig};
use tokio::sync::{Mutex as Turn, Notify};

use super::apply::{ApplyError, apply};
use super::plan::{self, Refusal, plan};
use super::trial::{Begin, Effect, Event, Moment, Origin, Phase, Refused, Trial, left, step};
use super::values::{NetworkValue, TrialValue};
use crate::app::App;
use crate::boot_drives::boot_id;
use crate::desired::node_file::{self, NodeFileError};
use crate::errors::chain;
use crate::node_info::own_address;
use crate::settings::Settings;

/// How often time is looked at.
const TICK: Duration = Duration::from_secs(1);
/// Largest file, bytes.
const LARGEST: u64 = 1 << 20;

/// The network of this node.
pub(crate) struct Keeper {
    shared: Mutex<Shared>,
    /// One thing at a time is done.
    turn: Turn<()>,
    /// Something is to be told.
    pub(super) news: Notify,
    /// The generation of the settings' network that was seen last.
    seen: AtomicU64,
}

struct Shared {
    /// The network that is applied, as far as is known: that of the node file, or the one that is tried.
    in_force: Network,
    trial: Option<Trial>,
    /// What the trial changes, in words.
    changes: Vec<String>,
}

/// Something could not be done about a trial.
#[derive(Debug, thiserror::Error)]
pub(crate) enum TrialError {
    /// It is not its time.
    #[error(transparent)]
    Refused(#[from] Refused),
    /// It cannot be.
    #[error(transparent)]
    Refusal(#[from] Refusal),
    /// The effects.
    #[error(transparent)]
    Apply(#[from] ApplyError),
    /// A file.
    #[error(transparent)]
    File(#[from] FileError),
    /// The node file.
    #[error(transparent)]
    NodeFile(#[from] NodeFileError),
    /// What is kept could not be written.
    #[error("the trial cannot be written down")]
    Json(#[from] serde_json::Error),
    /// There is no clock.
    #[error("/proc/uptime cannot be understood")]
    Clock,
}

impl Keeper {
    /// The network of the node file is in force until something else is known.
    pub(crate) fn new(network: Network) -> Self {
        let shared = Shared { in_force: network, trial: None, changes: Vec::new() };
        Self { shared: Mutex::new(shared), turn: Turn::new(()), news: Notify::new(), seen: AtomicU64::new(0) }
    }

    /// The generation of the settings' network that was seen last; what a person sets at the node is set against it.
    pub(crate) fn seen(&self) -> u64 {
        self.seen.load(Ordering::Relaxed)
    }

    /// The network that is applied: that of the node file, or the one that is tried.
    pub(crate) fn in_force(&self) -> Network {
        self.lock().in_force.clone()
    }

    /// The last trial.
    pub(crate) fn trial(&self) -> Option<Trial> {
        self.lock().trial.clone()
    }

    /// Whether one is under way.
    pub(crate) fn trying(&self) -> bool {
        self.trial().is_some_and(|trial| matches!(trial.phase, Phase::Trying { .. }))
    }

    /// How long a trial can still be confirmed, milliseconds; `None` where none is under way.
    pub(crate) fn left_ms(&self) -> Option<u64> {
        let now = moment().ok()?;
        left(self.lock().trial.as_ref(), &now)
    }

    /// All of it, as others are told.
    pub(crate) fn value(&self) -> NetworkValue {
        let links = probe_links().unwrap_or_default();
        let left = self.left_ms();
        let shared = self.lock();
        let address = own_address(&shared.in_force, &links).map(|own| own.address.to_string());
        let trial = shared.trial.as_ref().map(|trial| TrialValue {
            id: trial.id.clone(),
            generation: trial.generation,
            origin: trial.origin,
            changes: shared.changes.clone(),
            began: trial.began,
            until: left.map_or(0, |_| trial.began + (super::trial::LIMIT - super::trial::PUT_BACK) / 1000),
            phase: trial.phase.clone(),
        });
        NetworkValue { network: shared.in_force.clone(), address: address.unwrap_or_default(), trial }
    }

    fn lock(&self) -> MutexGuard<'_, Shared> {
        self.shared.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Begins a trial of `wanted`; what it changes, in words. Where nothing changes no trial begins.
///
/// # Errors
/// [`TrialError`].
pub(crate) async fn begin(
    app: &App,
    wanted: Network,
    generation: u64,
    origin: Origin,
) -> Result<Vec<String>, TrialError> {
    let links = probe_links().unwrap_or_default();
    begin_on(app, &links, wanted, generation, origin).await
}

/// The same on a machine with these interfaces.
pub(super) async fn begin_on(
    app: &App,
    links: &[Link],
    wanted: Network,
    generation: u64,
    origin: Origin,
) -> Result<Vec<String>, TrialError> {
    let previous = node_file::current(&app.settings)?.network;
    let plan = plan(&previous, &wanted, links)?;
    if previous == wanted {
        return Ok(Vec::new());
    }
    if same_but_names(&previous, &wanted) && !app.network.trying() {
        // Name servers cut nobody off: there is nothing to confirm.
        put_in_force(app, wanted.clone()).await?;
        node_file::update(&app.settings, |config| config.network = wanted)?;
        return Ok(plan.changes);
    }
    // Who asked gets an answer before the interface that it goes over may be gone; what follows is kept by then.
    let begin = Begin { generation, origin, wanted, previous };
    happen_with(app, Event::Begin(begin), Some(plan.changes.clone())).await?;
    Ok(plan.changes)
}

/// Whether they differ in nothing but name servers. Pure.
fn same_but_names(a: &Network, b: &Network) -> bool {
    Network { dns: Vec::new(), ..a.clone() } == Network { dns: Vec::new(), ..b.clone() }
}

/// Takes note of the generation of the settings' network, durably.
///
/// # Errors
/// [`TrialError::File`].
pub(super) fn note_seen(app: &App, generation: u64) -> Result<(), TrialError> {
    if app.network.seen.swap(generation, Ordering::Relaxed) != generation {
        write_atomic(&seen_file(app), generation.to_string().as_bytes(), 0o600)?;
    }
    Ok(())
}

fn seen_file(app: &App) -> PathBuf {
    app.settings.state.join("network-generation")
}

/// Takes in what happens, and does what follows.
///
/// # Errors
/// [`TrialError`]; what could not be done is tried again as time goes by.
pub(crate) async fn happen(app: &App, event: Event) -> Result<(), TrialError> {
    happen_with(app, event, None).await
}

async fn happen_with(app: &App, event: Event, changes: Option<Vec<String>>) -> Result<(), TrialError> {
    let _one = app.network.turn.lock().await;
    let begins = matches!(event, Event::Begin(_));
    let effects = step(app.network.trial().as_ref(), event, &moment()?)?;
    if let Some(changes) = changes {
        app.network.lock().changes = changes;
    }
    let Err(e) = carry_out(app, effects).await else { return Ok(()) };
    if begins && app.network.trying() {
        tracing::warn!(error = %chain(&e), "the network could not be applied; the one before is put back");
        let effects = step(app.network.trial().as_ref(), Event::Failed(chain(&e)), &moment()?)?;
        carry_out(app, effects).await?;
    }
    Err(e)
}

async fn carry_out(app: &App, effects: Vec<Effect>) -> Result<(), TrialError> {
    for effect in effects {
        match effect {
            Effect::Keep(trial) => {
                store(app, &trial)?;
                tell(&trial);
                app.network.lock().trial = Some(trial);
                app.network.news.notify_one();
            }
            Effect::Apply(network) => put_in_force(app, network).await?,
            Effect::Commit(network) => {
                node_file::update(&app.settings, |config| config.network = network)?;
            }
        }
    }
    Ok(())
}

async fn put_in_force(app: &App, network: Network) -> Result<(), TrialError> {
    let before = app.network.in_force();
    let config = usable(NodeConfig { network: network.clone(), ..node_file::current(&app.settings)? });
    // Of both: where an earlier run stopped in the middle, what is there may be of either.
    let mut gone = plan::gone(&before, &network);
    let tried = app.network.trial().map(|trial| plan::gone(&trial.wanted, &network)).unwrap_or_default();
    gone.extend(tried.into_iter().filter(|name| !before.makes(name) || before == network));
    app.network.lock().in_force = network;
    let settings = app.settings.clone();
    let work = tokio::task::spawn_blocking(move || apply(&settings, &config, &gone)).await;
    Ok(work.unwrap_or(Err(ApplyError::Lost))?)
}

/// What the first node hands out lies in the record: a wish that does not fit the network is no reason to refuse it.
fn usable(config: NodeConfig) -> NodeConfig {
    if maekin_rootfs::validate::validate(&config).is_empty() {
        return config;
    }
    NodeConfig { provision: None, ..config }
}

fn tell(trial: &Trial) {
    let generation = trial.generation;
    match &trial.phase {
        Phase::Trying { .. } => {
            tracing::warn!(generation, event = "network-trial", "a network is being tried");
        }
        Phase::Confirmed { by, .. } => {
            tracing::warn!(generation, by, event = "network-confirmed", "the network was confirmed");
        }
        Phase::Reverted { why, .. } => {
            let why = why.words();
            tracing::warn!(generation, why, event = "network-reverted", "the network before was put back");
        }
    }
}

fn file(settings: &Settings) -> PathBuf {
    settings.state.join("network-trial.json")
}

fn store(app: &App, trial: &Trial) -> Result<(), TrialError> {
    Ok(write_atomic(&file(&app.settings), &serde_json::to_vec_pretty(trial)?, 0o600)?)
}

/// The node file with the network that is applied, which may be one that is tried: what is rendered beside the network
/// follows that.
pub(crate) fn applied(settings: &Settings, config: NodeConfig) -> NodeConfig {
    match load(settings) {
        Some(Trial { phase: Phase::Trying { .. }, wanted, .. }) => {
            usable(NodeConfig { network: wanted, ..config })
        }
        _ => config,
    }
}

/// Whether what is kept says that a network is being tried.
pub(crate) fn under_way(settings: &Settings) -> bool {
    matches!(load(settings), Some(Trial { phase: Phase::Trying { .. }, .. }))
}

fn load(settings: &Settings) -> Option<Trial> {
    let path = file(settings);
    if !path.exists() {
        return None;
    }
    let read = || Ok::<_, TrialError>(serde_json::from_str(&read_text(&path, LARGEST)?)?);
    read()
        .inspect_err(|e| tracing::error!(error = %chain(e), "the last trial of a network is not understood"))
        .ok()
}

/// Reads both clocks.
///
/// # Errors
/// [`TrialError::Clock`].
pub(super) fn moment() -> Result<Moment, TrialError> {
    // proc_uptime(5): `CLOCK_BOOTTIME`, in hundredths of a second.
    let text = read_text(std::path::Path::new("/proc/uptime"), 256)?;
    let boot_ms = parse_uptime(&text).ok_or(TrialError::Clock)?;
    Ok(Moment { boot_id: boot_id(), boot_ms, wall: crate::clock::now() })
}

/// Milliseconds.
fn parse_uptime(text: &str) -> Option<u64> {
    let (seconds, rest) = text.split_whitespace().next()?.split_once('.')?;
    let hundredths: u64 = rest.get(..2)?.parse().ok()?;
    seconds.parse::<u64>().ok()?.checked_mul(1000)?.checked_add(hundredths * 10)
}

/// How often a network is put back that does not go back: each time networkd starts anew.
#[derive(Debug, Default)]
struct Pace {
    trial: String,
    pause: u32,
    left: u32,
}

impl Pace {
    /// The least and the most ticks in between; twice the least is within the time for putting back.
    const PAUSES: (u32, u32) = (4, 32);

    /// Whether it is this trial's turn at this tick.
    fn turn(&mut self, trial: &str) -> bool {
        if self.trial != trial {
            *self = Self { trial: trial.to_owned(), ..Self::default() };
        }
        let due = self.left == 0;
        self.left = self.left.saturating_sub(1);
        due
    }

    fn failed(&mut self) {
        self.pause = (self.pause * 2).clamp(Self::PAUSES.0, Self::PAUSES.1);
        self.left = self.pause - 1;
    }
}

/// Goes on where an earlier run of the agent stopped, then keeps the time, for as long as it is polled.
pub(crate) async fn run(app: Arc<App>) {
    started(&app).await;
    let mut said = String::new();
    let mut pace = Pace::default();
    loop {
        tokio::time::sleep(TICK).await;
        let trial = app.network.trial().filter(|_| app.network.trying());
        if !trial.is_some_and(|trial| pace.turn(&trial.id)) {
            continue;
        }
        if let Err(e) = happen(&app, Event::Tick).await {
            pace.failed();
            let words = chain(&e);
            if words != said {
                tracing::error!(error = words, "the network before could not be put back; it is tried again");
                said = words;
            }
        }
    }
}

/// The agent has started: a trial that was under way is over.
pub(super) async fn started(app: &App) {
    app.network.lock().trial = load(&app.settings);
    let seen = read_text(&seen_file(app), 64).ok().and_then(|text| text.trim().parse().ok());
    app.network.seen.store(seen.unwrap_or(0), Ordering::Relaxed);
    let file = match node_file::current(&app.settings) {
        Ok(config) => config.network,
        Err(e) => return tracing::error!(error = %chain(&e), "the node file"),
    };
    if let Err(e) = happen(app, Event::Started(file)).await {
        tracing::error!(error = %chain(&e), "the network of before a trial could not be put back; it is tried again");
    }
}

/// The links of this machine, and whether `network`'s first address is there.
pub(super) fn is_up(network: &Network, links: &[Link]) -> bool {
    own_address(network, links)
        .is_some_and(|own| links.iter().any(|link| link.addresses.iter().any(|(ip, _)| *ip == own.address)))
}

#[cfg(test)]
mod tests;
