//! What only one master of a network may do: give addresses (DHCP), hand out loaders (TFTP), and tell iPXE that there
//! is no IPv6 router. Begun and ended while the HTTP server goes on, so that a master whose part changes cuts off
//! nobody who is in the middle of a download.

use std::io;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, PoisonError};
use std::thread::JoinHandle;

use anyhow::{Context, Error, Result, bail};
use maekin_host::net6;
use serde::{Deserialize, Serialize};
use tokio::sync::oneshot;

use crate::config::V6;
use crate::dhcp::boot_server::BootServer;
use crate::dhcp::probe::Prober;
use crate::dhcp::proxy::BOOT_SERVER_PORT;
use crate::dhcp::service::Service;
use crate::dhcp::watch::Watch;
use crate::dhcp6;
use crate::dhcp6::service::Service as Dhcp6;
use crate::grub;
use crate::http::routes::Shared;
use crate::ipv6::{Recent, Responder};
use crate::ledger::LedgerError;
use crate::ledger::clerk::{Clerk, Desk};
use crate::tftp::server::{Running as TftpRunning, Server as TftpServer};

/// The part of this master among those of its network.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Role {
    /// It gives addresses and decides what machines boot.
    #[default]
    Leader,
    /// It serves what is the same on every master: the release, and tickets that were cut already.
    Standby,
}

/// The leader's services, running.
pub struct Leading {
    stop: Arc<AtomicBool>,
    dhcp: JoinHandle<()>,
    dhcp_ended: oneshot::Receiver<io::Result<()>>,
    tftp: TftpRunning,
    clerk: Option<tokio::task::JoinHandle<LedgerError>>,
}

/// Why the leader's services do not go on.
pub enum Ended {
    /// Another master leads, or we do anew: nothing that we know holds any more.
    Deposed,
    /// One of them failed.
    Failed(Error),
}

impl Leading {
    /// Opens all of them on `interface`, then runs them.
    ///
    /// # Errors
    /// When one cannot be opened, and then none runs.
    pub fn start(interface: &str, shared: &Shared, clerk: Option<(Clerk, Desk)>) -> Result<Self> {
        let (clerk, desk) = clerk.unzip();
        let port = |name: &str, number: u16| format!("cannot open {name} port {number} on {interface}");
        let recent = Recent::default();
        let (settings, counters) = (shared.settings.clone(), shared.counters.clone());
        let dhcp = Service::open(
            interface,
            settings,
            shared.store.clone(),
            counters,
            shared.guard.clone(),
            desk.unwrap_or_default(),
            recent.clone(),
        )
        .with_context(|| port("DHCP", 67))?;
        let boot_server = BootServer::open(
            interface,
            shared.settings.clone(),
            shared.counters.clone(),
            shared.guard.clone(),
        )
        .with_context(|| port("boot server", BOOT_SERVER_PORT))?;
        shared.guard.begin();
        let watch = Watch::open(interface, shared.guard.clone(), shared.store.clone())
            .with_context(|| port("DHCP client", 68))?;
        let v6 = shared.settings.read().unwrap_or_else(PoisonError::into_inner).v6.clone();
        let ipv6 = Responder::open(interface, recent, v6.as_ref().map(|v6| v6.server))
            .inspect_err(|e| {
                tracing::warn!(
                    "iPXE will wait 16 s for an IPv6 router, as it cannot be told there is none: {e}"
                );
            })
            .ok();
        let prober = Prober::open(interface, shared.store.clone(), shared.counters.clone())
            .inspect_err(|e| tracing::warn!("nobody is asked whether a free address is in use: {e}"))
            .ok();
        let mut loaders = shared.release.loaders().context("cannot serve the boot loaders")?;
        let menu = {
            let settings = shared.settings.read().unwrap_or_else(PoisonError::into_inner);
            grub::first_menu(&settings.http(), &settings.masters, 7)
        };
        let mut loaders6 = loaders.clone();
        loaders.insert(grub::FIRST_MENU, menu.into_bytes().into());
        let scripts = shared.clone();
        let autoexec = Box::new(move |client| scripts.autoexec(client, 7));
        let mut tftp = TftpServer::open(interface, loaders, autoexec, shared.counters.clone())
            .with_context(|| port("TFTP", 69))?;
        let say = dhcp.speaker().context("cannot share the DHCP port")?;
        let dhcp6 = match &v6 {
            Some(v6) => {
                let settings = dhcp6_settings(interface, shared, v6)?;
                loaders6
                    .insert(grub::FIRST_MENU, grub::first_menu(&settings.http(), &[], 7).into_bytes().into());
                tftp.also_at(v6.server, loaders6).with_context(|| port("TFTP over IPv6", 69))?;
                let service = Dhcp6::open(interface, settings, shared.counters.clone());
                Some(service.with_context(|| port("DHCPv6", 547))?)
            }
            None => None,
        };
        let stop = Arc::new(AtomicBool::new(false));
        let (failed, dhcp_ended) = oneshot::channel();
        let thread_stop = stop.clone();
        let dhcp = std::thread::Builder::new().name("dhcp".to_owned()).spawn(move || {
            let _ = failed.send(dhcp.run(&thread_stop)); // nobody listens any more when all is being stopped
        })?;
        beside("boot-server", &stop, move |stop| boot_server.run(stop))?;
        beside("dhcp-watch", &stop, move |stop| watch.run(stop))?;
        if let Some(dhcp6) = dhcp6 {
            beside("dhcp6", &stop, move |stop| dhcp6.run(stop))?;
        }
        if let Some(ipv6) = ipv6 {
            let stop = stop.clone();
            std::thread::Builder::new().name("ipv6".to_owned()).spawn(move || {
                if let Err(e) = ipv6.run(&stop) {
                    tracing::warn!("iPXE will wait 16 s for an IPv6 router from now on: {e}");
                }
            })?;
        }
        if let Some(prober) = prober {
            let stop = stop.clone();
            std::thread::Builder::new().name("dhcp-probe".to_owned()).spawn(move || {
                if let Err(e) = prober.run(&stop) {
                    tracing::warn!("from now on nobody is asked whether a free address is in use: {e}");
                }
            })?;
        }
        let tftp = tftp.spawn().context("cannot start the TFTP server")?;
        let clerk = clerk.map(|clerk| tokio::spawn(clerk.run(say)));
        Ok(Self { stop, dhcp, dhcp_ended, tftp, clerk })
    }

    /// Waits until one of them ends by itself.
    pub async fn ended(&mut self) -> Ended {
        let deposed = async {
            match &mut self.clerk {
                Some(clerk) => drop(clerk.await), // it ends for this one reason, or panicked, and then we know no more
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            () = deposed => Ended::Deposed,
            ended = &mut self.dhcp_ended => Ended::Failed(ended_by("DHCP", ended.unwrap_or(Ok(())))),
            ended = &mut self.tftp.ended => Ended::Failed(ended_by("TFTP", ended.unwrap_or(Ok(())))),
        }
    }

    /// Ends them, and returns when no packet is answered any more.
    pub async fn end(self) {
        self.stop.store(true, Ordering::Relaxed);
        if let Some(clerk) = self.clerk {
            clerk.abort();
        }
        self.tftp.end().await;
        // It looks at `stop` at least twice a second.
        let thread = self.dhcp;
        if tokio::task::spawn_blocking(move || thread.join().is_err()).await.unwrap_or(true) {
            tracing::error!("the DHCP thread panicked");
        }
    }
}

/// Runs a service whose end is a pity, but no reason to stop serving.
fn beside(
    name: &'static str,
    stop: &Arc<AtomicBool>,
    run: impl FnOnce(&AtomicBool) -> io::Result<()> + Send + 'static,
) -> io::Result<()> {
    let stop = stop.clone();
    std::thread::Builder::new().name(name.to_owned()).spawn(move || {
        if let Err(e) = run(&stop) {
            tracing::error!("{name} has ended; restart maekin-pxe: {e}");
        }
    })?;
    Ok(())
}

/// What DHCPv6 hands out, with the DUID that the interface's hardware address makes (RFC 8415 section 11.4).
fn dhcp6_settings(interface: &str, shared: &Shared, v6: &V6) -> Result<dhcp6::server::Settings> {
    if !net6::addresses(interface).context("cannot list the addresses")?.contains(&v6.server) {
        bail!(
            "{interface} does not have the address {0}; give it with `ip address add {0}/64 dev {interface}`",
            v6.server
        );
    }
    let mac = net6::hardware(interface).context("cannot list the addresses")?;
    let mac = mac.with_context(|| format!("{interface} has no hardware address to be known by in DHCPv6"))?;
    let settings = shared.settings.read().unwrap_or_else(PoisonError::into_inner);
    Ok(dhcp6::server::Settings {
        server: v6.server,
        duid: [[0, 3, 0, 1].as_slice(), &mac].concat(),
        dns: v6.dns.clone(),
        lease: u32::try_from(settings.longest()).unwrap_or(u32::MAX),
        http_port: settings.http_port,
    })
}

/// Why a service that should run for ever does not.
pub(crate) fn ended_by(service: &str, result: io::Result<()>) -> Error {
    match result {
        Ok(()) => anyhow::anyhow!("the {service} service ended by itself"),
        Err(e) => Error::new(e).context(format!("the {service} service failed")),
    }
}
