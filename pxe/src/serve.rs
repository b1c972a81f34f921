//! The whole server: opens everything first, so that what is wrong is said before anything is answered, then runs
//! until it is told to stop.

use std::io;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddrV4};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use anyhow::{Context, Result, bail};
use maekin_host::{net, net6};
use tokio::net::TcpListener;
use tokio::signal::unix::{Signal, SignalKind, signal};

use crate::approver::Approver;
use crate::boot;
use crate::config::Config;
use crate::counters::Counters;
use crate::dhcp::guard::Guard;
use crate::dhcp::server::Settings;
use crate::dhcp::store::Store;
use crate::http::routes::{Shared, router};
use crate::http::serve::serve as serve_http;
use crate::leading::{Ended, Leading, Role, ended_by};
use crate::ledger::clerk::{Clerk, Desk};
use crate::ledger::{AgentLedger, Ledger, take_over};
use crate::release::Release;
use crate::swarm::Swarm;

/// How soon a master that shall lead, and could not begin, tries again.
const AGAIN: Duration = Duration::from_secs(1);

/// Reads the configuration again, for what may change while running.
pub type Reload = dyn Fn() -> Result<Config> + Send + Sync;

/// Serves until SIGTERM or SIGINT. SIGHUP reads the configuration again: role, reservations, pool, and what DHCP tells;
/// interface, address, port and release take a restart.
///
/// # Errors
/// When something cannot be opened, or fails for good while running.
pub async fn serve(config: Config, approver: Arc<dyn Approver>, reload: Option<Box<Reload>>) -> Result<()> {
    check_interface(&config)?;
    let key = config.release_key.as_deref();
    let release = match &config.iso {
        Some(image) => Release::open_iso(image, key),
        None => Release::open(&config.release_dir, &config.root_path, key),
    };
    let release = release.context("cannot serve the release")?;
    let loaders = release.loaders().context("cannot serve the boot loaders")?;
    for needed in [boot::BIOS_LOADER, boot::UEFI_LOADER, boot::UEFI_SECOND] {
        if loaders.find(needed).is_none() {
            bail!(
                "the release in {} has no {needed} for network boot; fetch a whole one",
                config.iso.as_ref().unwrap_or(&config.release_dir).display()
            );
        }
    }
    let store = Store::open(&config.lease_file, config.plan.clone(), config.settings.longest())?;
    let swarm = Swarm::open(&release);
    let counters = Arc::new(Counters::default());
    let shared = Shared {
        guard: Guard::new(config.settings.server, config.mode, config.timing, counters.clone()),
        swarm,
        release: Arc::new(release),
        approver,
        store: store.clone(),
        settings: Arc::new(RwLock::new(config.settings.clone())),
        counters,
        leads: Arc::new(AtomicBool::new(false)),
        waiting: Arc::default(),
    };
    let interface = config.interface.as_str();
    // Before anything can be reached: whoever sees us listen may send a signal.
    let signals = Signals::new()?;
    let ledger = config.ledger.then(|| AgentLedger::new(config.agent_socket.clone()));
    let ledger = ledger.map(|ledger| Arc::new(ledger) as Arc<dyn Ledger>);
    let mut part = Part { interface: interface.to_owned(), wanted: config.role, ledger, leading: None };
    part.take(config.role, &shared).await?;
    // After DHCP and TFTP: who finds this port open finds all of them.
    let listener = listen(&config.settings, interface)
        .with_context(|| format!("cannot open HTTP port {} on {interface}", config.settings.http_port))?;
    if let Some(v6) = &config.settings.v6 {
        let listener = listen6(interface, v6.server, config.settings.http_port).with_context(|| {
            format!("cannot open HTTP port {} at {}", config.settings.http_port, v6.server)
        })?;
        tokio::spawn(serve_http(listener, router(shared.clone())));
    }
    tracing::info!(
        interface, role = ?config.role, http = %config.settings.http(), version = %shared.release.manifest.version,
        "serving the network boot of {} addresses", store.lock().leases.usage().1
    );
    let outcome = run(&mut part, listener, &shared, reload, signals).await;
    part.end().await;
    outcome
}

struct Signals {
    term: Signal,
    int: Signal,
    hup: Signal,
}

impl Signals {
    fn new() -> io::Result<Self> {
        let [term, int, hup] =
            [SignalKind::terminate(), SignalKind::interrupt(), SignalKind::hangup()].map(signal);
        Ok(Self { term: term?, int: int?, hup: hup? })
    }
}

/// What this master does beside HTTP at the moment.
struct Part {
    interface: String,
    /// What it shall be.
    wanted: Role,
    ledger: Option<Arc<dyn Ledger>>,
    leading: Option<Leading>,
}

impl Part {
    /// Takes the part of `role`; nothing happens when it has it already.
    async fn take(&mut self, role: Role, shared: &Shared) -> Result<()> {
        self.wanted = role;
        match (role, &self.leading) {
            (Role::Leader, None) => {
                let clerk = match &self.ledger {
                    None => None,
                    Some(ledger) => match open_ledger(ledger, shared).await {
                        Ok(clerk) => Some(clerk),
                        Err(e) => {
                            tracing::warn!("this master does not lead yet: {e:#}");
                            return Ok(());
                        }
                    },
                };
                self.leading = Some(Leading::start(&self.interface, shared, clerk)?);
                shared.leads.store(true, Ordering::Relaxed);
                tracing::info!("this master leads");
            }
            (Role::Standby, Some(_)) => self.stand_by(shared).await,
            _ => {}
        }
        Ok(())
    }

    async fn stand_by(&mut self, shared: &Shared) {
        self.end().await;
        shared.leads.store(false, Ordering::Relaxed);
        tracing::info!("another master leads");
    }

    async fn end(&mut self) {
        if let Some(leading) = self.leading.take() {
            leading.end().await;
        }
    }

    /// Waits until the leader's services end, or, where they could not begin, until it is time to try again (`None`).
    async fn ended(&mut self) -> Option<Ended> {
        match (&mut self.leading, self.wanted) {
            (Some(leading), _) => Some(leading.ended().await),
            (None, Role::Leader) => {
                tokio::time::sleep(AGAIN).await;
                None
            }
            (None, Role::Standby) => std::future::pending().await,
        }
    }
}

/// Takes up everything that the leaders before us promised.
async fn open_ledger(ledger: &Arc<dyn Ledger>, shared: &Shared) -> Result<(Clerk, Desk)> {
    let loaded = ledger.load().await?;
    let longest = shared.settings.read().unwrap_or_else(PoisonError::into_inner).longest();
    let records = take_over(&loaded.held, shared.store.now(), longest);
    tracing::info!(addresses = records.len(), epoch = loaded.epoch, "taking over");
    shared.store.begin_with(records, longest)?;
    Ok(Clerk::new(ledger.clone(), &loaded, shared.store.clone()))
}

async fn run(
    part: &mut Part,
    listener: TcpListener,
    shared: &Shared,
    reload: Option<Box<Reload>>,
    mut signals: Signals,
) -> Result<()> {
    let mut http = tokio::spawn(serve_http(listener, router(shared.clone())));
    let _ = sd_notify::notify(&[sd_notify::NotifyState::Ready]); // nobody to tell when not under systemd
    let result = loop {
        tokio::select! {
            _ = signals.term.recv() => break Ok(()),
            _ = signals.int.recv() => break Ok(()),
            _ = signals.hup.recv() => {
                if let Some(role) = take_up(reload.as_deref(), shared) && let Err(e) = part.take(role, shared).await {
                    break Err(e);
                }
            }
            ended = part.ended() => match ended {
                Some(Ended::Failed(e)) => break Err(e),
                Some(Ended::Deposed) => part.stand_by(shared).await,
                None => if let Err(e) = part.take(part.wanted, shared).await {
                    break Err(e);
                },
            },
            ended = &mut http => break Err(ended_by("HTTP", ended.map_err(io::Error::other))),
        }
    };
    http.abort();
    result
}

/// Takes up a changed configuration, or keeps the old one when the new is wrong; the role that it gives.
fn take_up(reload: Option<&Reload>, shared: &Shared) -> Option<Role> {
    let reload = reload?;
    let config = match reload() {
        Ok(config) => config,
        Err(e) => {
            tracing::error!("the configuration is kept as it was: {e:#}");
            return None;
        }
    };
    let mut settings = shared.settings.write().unwrap_or_else(PoisonError::into_inner);
    let same = |new: &Settings| {
        (new.server, new.prefix, new.http_port) == (settings.server, settings.prefix, settings.http_port)
    };
    if !same(&config.settings) {
        tracing::error!("address and port cannot be changed while running; restart maekin-pxe");
        return None;
    }
    shared.guard.set(config.mode, config.timing);
    shared.store.replan(config.plan);
    *settings = config.settings;
    tracing::info!("the configuration was taken up");
    Some(config.role)
}

/// The address must be on the interface, or nobody would find us under it.
fn check_interface(config: &Config) -> Result<()> {
    let (interface, server) = (&config.interface, config.settings.server);
    let Some(addresses) = net::ipv4_addresses(interface).context("cannot list the network interfaces")?
    else {
        bail!("there is no interface {interface}; `ip link` lists those there are");
    };
    if !addresses.iter().any(|(address, _)| *address == server) {
        let have: Vec<_> = addresses.iter().map(|(address, prefix)| format!("{address}/{prefix}")).collect();
        let have = if have.is_empty() { "none".to_owned() } else { have.join(", ") };
        bail!(
            "{interface} does not have the address {server} (it has {have}); \
             give it with `ip address add {server}/{} dev {interface}`",
            config.settings.prefix
        );
    }
    Ok(())
}

fn listen(settings: &Settings, interface: &str) -> io::Result<TcpListener> {
    let address = SocketAddrV4::new(settings.server, settings.http_port);
    let listener = net::listen_tcp(interface, address)?;
    listener.set_nonblocking(true)?;
    TcpListener::from_std(listener)
}

fn listen6(interface: &str, address: Ipv6Addr, port: u16) -> io::Result<TcpListener> {
    let listener = net6::listen_tcp(interface, address, port)?;
    listener.set_nonblocking(true)?;
    TcpListener::from_std(listener)
}

/// The address of `interface` to serve on when none is named: its first.
///
/// # Errors
/// When there is no such interface, or it has no address.
pub fn first_address(interface: &str) -> Result<(Ipv4Addr, u8)> {
    match net::ipv4_addresses(interface).context("cannot list the network interfaces")? {
        None => bail!("there is no interface {interface}; `ip link` lists those there are"),
        Some(addresses) => addresses.first().copied().with_context(|| {
            format!("{interface} has no address; give it one, such as `ip address add 10.77.0.1/24 dev {interface}`")
        }),
    }
}
