//! The whole server: opens everything first, so that what is wrong is said before anything is answered, then runs
//! until it is told to stop.

use std::io;
use std::net::{Ipv4Addr, SocketAddrV4};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, PoisonError, RwLock};

use anyhow::{Context, Result, bail};
use maekin_host::net;
use tokio::net::TcpListener;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::oneshot;

use crate::approver::Approver;
use crate::boot;
use crate::config::Config;
use crate::counters::Counters;
use crate::dhcp::server::Settings;
use crate::dhcp::service::Service;
use crate::dhcp::store::Store;
use crate::http::routes::{Shared, router};
use crate::http::serve::serve as serve_http;
use crate::ipv6::{Recent, Responder};
use crate::release::Release;
use crate::tftp::server::Server as TftpServer;

/// Reads the configuration again, for what may change while running.
pub type Reload = dyn Fn() -> Result<Config> + Send + Sync;

/// Serves until SIGTERM or SIGINT. SIGHUP reads the configuration again: reservations, pool, and what DHCP tells;
/// interface, address, port and release take a restart.
///
/// # Errors
/// When something cannot be opened, or fails for good while running.
pub async fn serve(config: Config, approver: Arc<dyn Approver>, reload: Option<Box<Reload>>) -> Result<()> {
    check_interface(&config)?;
    let release = Release::open(&config.release_dir, &config.root_path, config.release_key.as_deref())
        .context("cannot serve the release")?;
    let loaders = release.loaders().context("cannot serve the boot loaders")?;
    for needed in [boot::BIOS_LOADER, boot::UEFI_LOADER] {
        if loaders.find(needed).is_none() {
            bail!(
                "the release in {} has no boot/net/{needed}; fetch a whole one",
                config.release_dir.display()
            );
        }
    }
    let store = Store::open(&config.lease_file, config.plan.clone(), config.settings.lease)?;
    let shared = Shared {
        release: Arc::new(release),
        approver,
        store: store.clone(),
        settings: Arc::new(RwLock::new(config.settings.clone())),
        counters: Arc::new(Counters::default()),
    };
    let interface = config.interface.as_str();
    let port = |name: &str, number: u16| format!("cannot open {name} port {number} on {interface}");
    let recent = Recent::default();
    let (settings, counters) = (shared.settings.clone(), shared.counters.clone());
    let dhcp = Service::open(interface, settings, store.clone(), counters, recent.clone())
        .with_context(|| port("DHCP", 67))?;
    let ipv6 = Responder::open(interface, recent)
        .inspect_err(|e| {
            tracing::warn!("iPXE will wait 16 s for an IPv6 router, as it cannot be told there is none: {e}");
        })
        .ok();
    let scripts = shared.clone();
    let autoexec = Box::new(move |client| scripts.autoexec(client, 7));
    let tftp = TftpServer::open(interface, loaders, autoexec, shared.counters.clone())
        .with_context(|| port("TFTP", 69))?;
    let listener =
        listen(&config.settings, interface).with_context(|| port("HTTP", config.settings.http_port))?;
    tracing::info!(
        interface, http = %config.settings.http(), version = %shared.release.manifest.version,
        "serving the network boot of {} addresses", store.lock().leases.usage().1
    );
    run(dhcp, ipv6, tftp, listener, &shared, reload).await
}

async fn run(
    dhcp: Service,
    ipv6: Option<Responder>,
    tftp: TftpServer,
    listener: TcpListener,
    shared: &Shared,
    reload: Option<Box<Reload>>,
) -> Result<()> {
    let stop = Arc::new(AtomicBool::new(false));
    let (failed, mut dhcp_ended) = oneshot::channel();
    let thread_stop = stop.clone();
    let thread = std::thread::Builder::new().name("dhcp".to_owned()).spawn(move || {
        let _ = failed.send(dhcp.run(&thread_stop)); // nobody listens any more when all is being stopped
    })?;
    if let Some(ipv6) = ipv6 {
        let stop = stop.clone();
        std::thread::Builder::new().name("ipv6".to_owned()).spawn(move || {
            if let Err(e) = ipv6.run(&stop) {
                tracing::warn!("iPXE will wait 16 s for an IPv6 router from now on: {e}");
            }
        })?;
    }
    let mut tftp = tokio::spawn(tftp.run());
    let mut http = tokio::spawn(serve_http(listener, router(shared.clone())));
    let (mut term, mut int) = (signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?);
    let mut hup = signal(SignalKind::hangup())?;
    let _ = sd_notify::notify(&[sd_notify::NotifyState::Ready]); // nobody to tell when not under systemd
    let result = loop {
        tokio::select! {
            _ = term.recv() => break Ok(()),
            _ = int.recv() => break Ok(()),
            _ = hup.recv() => take_up(reload.as_deref(), shared),
            ended = &mut dhcp_ended => break Err(ended_by("DHCP", ended.unwrap_or(Ok(())))),
            ended = &mut tftp => break Err(ended_by("TFTP", ended.unwrap_or_else(|e| Err(io::Error::other(e))))),
            ended = &mut http => break Err(ended_by("HTTP", ended.map_err(io::Error::other))),
        }
    };
    stop.store(true, Ordering::Relaxed);
    tftp.abort();
    http.abort();
    // It looks at `stop` at least twice a second.
    if tokio::task::spawn_blocking(move || thread.join().is_err()).await.unwrap_or(true) {
        tracing::error!("the DHCP thread panicked");
    }
    result
}

fn ended_by(service: &str, result: io::Result<()>) -> anyhow::Error {
    match result {
        Ok(()) => anyhow::anyhow!("the {service} service ended by itself"),
        Err(e) => anyhow::Error::new(e).context(format!("the {service} service failed")),
    }
}

/// Takes up a changed configuration, or keeps the old one when the new is wrong.
fn take_up(reload: Option<&Reload>, shared: &Shared) {
    let Some(reload) = reload else { return };
    let config = match reload() {
        Ok(config) => config,
        Err(e) => {
            tracing::error!("the configuration is kept as it was: {e:#}");
            return;
        }
    };
    let mut settings = shared.settings.write().unwrap_or_else(PoisonError::into_inner);
    let same = |new: &Settings| {
        (new.server, new.prefix, new.http_port) == (settings.server, settings.prefix, settings.http_port)
    };
    if !same(&config.settings) {
        tracing::error!("address and port cannot be changed while running; restart maekin-pxe");
        return;
    }
    shared.store.replan(config.plan);
    *settings = config.settings;
    tracing::info!("the configuration was taken up");
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
