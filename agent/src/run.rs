//! The agent as a service: loads what it needs, serves, becomes a member, keeps its parts going.

use std::fs;
use std::io::Write;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, anyhow};
use axum::body::Bytes;
use axum::http::Method;
use maekin_api::node::Membership;
use maekin_host::file::read_text;
use maekin_rootfs::boot_state::BootState;
use maekin_rootfs::node::NodeConfig;
use maekin_rootfs::validate::validate;
use sd_notify::NotifyState;
use tokio::signal::unix::{SignalKind, signal};

use crate::app::{App, Member};
use crate::http::auth::Auth;
use crate::http::client::Target;
use crate::http::{routes, server};
use crate::pki::identity::NodeKey;
use crate::settings::Settings;
use crate::{
    audit, boot_drives, drives, leader, liveness, membership, network, provision, record, storage, tls, trust,
};

/// Threads of the agent: it waits more than it works.
const WORKERS: usize = 2;
/// Largest node file, bytes.
const NODE_FILE_LIMIT: u64 = 1 << 20;

/// Runs the agent until it is told to end.
///
/// # Errors
/// When it cannot even start: the node file is unusable, or a port is taken.
pub(crate) fn run(settings: Settings) -> anyhow::Result<()> {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(WORKERS)
        .enable_all()
        .build()
        .context("cannot start the agent's threads")?;
    let outcome = runtime.block_on(serve(settings));
    // Whatever still works for somebody (a password check, a command) has this long to end.
    runtime.shutdown_timeout(Duration::from_secs(2));
    outcome
}

async fn serve(settings: Settings) -> anyhow::Result<()> {
    trust::leaving::finish(&settings)?;
    let config = load_config(&settings.node_file())?;
    let boot = load_boot(&settings.boot_state());
    let key = NodeKey::ensure(&settings.pki())?;
    let tls = server::TlsSlot::new(tls::stranger(&key, &key.self_signed(&config.hostname)?)?);
    let auth = Auth::new(config.admin.password_hash.clone())
        .map_err(|e| anyhow!("the kernel gave no random numbers: {e}"))?;
    let listener = server::listen(settings.listen, settings.port).await?;
    let socket = server::listen_socket(&settings.socket())?;
    let app = Arc::new(App::new(settings, config, boot, key, tls.clone(), auth));
    trust::events::follow_certificates(&app);
    tokio::spawn(server::serve_tls(listener, tls, routes::public(Arc::clone(&app))));
    tokio::spawn(server::serve_socket(socket, routes::socket(Arc::clone(&app))));
    notify(&[NotifyState::Ready, NotifyState::Status("joining the cluster")]);
    tokio::spawn(watchdog(Target::Socket(app.settings.socket())));
    tokio::spawn(prepare_pool(Arc::clone(&app)));
    boot_drives::start(&app);
    tokio::spawn(liveness::run(Arc::clone(&app)));
    tokio::spawn(network::run(Arc::clone(&app)));
    tokio::spawn(crate::discovery::run(Arc::clone(&app)));
    tokio::spawn(crate::syslog::run(Arc::clone(&app)));
    tokio::spawn(live(Arc::clone(&app)));
    let mut end = signal(SignalKind::terminate()).context("cannot listen for SIGTERM")?;
    let mut interrupt = signal(SignalKind::interrupt()).context("cannot listen for SIGINT")?;
    tokio::select! {
        _ = end.recv() => {}
        _ = interrupt.recv() => {}
        () = app.over.notified() => {} // systemd starts it again
    }
    notify(&[NotifyState::Stopping]);
    Ok(())
}

/// An agent that does not run: what it has on disk, for verbs that work while it is ended.
///
/// # Errors
/// When it could not start either.
pub(crate) fn offline(settings: Settings) -> anyhow::Result<App> {
    let config = load_config(&settings.node_file())?;
    let boot = load_boot(&settings.boot_state());
    let key = NodeKey::ensure(&settings.pki())?;
    let tls = server::TlsSlot::new(tls::stranger(&key, &key.self_signed(&config.hostname)?)?);
    let auth = Auth::new(config.admin.password_hash.clone())
        .map_err(|e| anyhow!("the kernel gave no random numbers: {e}"))?;
    Ok(App::new(settings, config, boot, key, tls, auth))
}

fn load_config(path: &Path) -> anyhow::Result<NodeConfig> {
    let text = read_text(path, NODE_FILE_LIMIT)?;
    let config: NodeConfig =
        toml::from_str(&text).with_context(|| format!("{} is no node file", path.display()))?;
    let invalid = validate(&config);
    if invalid.is_empty() {
        return Ok(config);
    }
    let text = invalid.iter().map(ToString::to_string).collect::<Vec<_>>().join("; ");
    Err(anyhow!("{} cannot be used: {text}", path.display()))
}

/// What the initrd found. A node that was not started by our initrd is reported as such, not refused.
fn load_boot(path: &Path) -> Option<BootState> {
    let text =
        read_text(path, NODE_FILE_LIMIT).inspect_err(|e| tracing::warn!(error = %e, "no boot state")).ok()?;
    serde_json::from_str(&text).inspect_err(|e| tracing::warn!(error = %e, "boot state not understood")).ok()
}

/// A node's life: into the cluster, then everything that only a member does; anew when it has another address.
async fn live(app: Arc<App>) {
    loop {
        membership::run(Arc::clone(&app)).await;
        let Ok(member) = app.member() else { return };
        announce(&app, &member);
        tokio::select! {
            () = work(&app, &member) => return,
            () = network::moved(&app, &member) => app.set_away("this node's address has changed"),
            () = app.trust.ca.anew.notified() => {
                app.set_away("the cluster's CA was changed while this node was away");
            }
        }
    }
}

/// What a member does.
async fn work(app: &Arc<App>, member: &Arc<Member>) {
    tokio::join!(
        record::alive::keep(member.record.clone(), app.node_id.clone(), |sent| app.reached(sent)),
        liveness::fence::tell(app.quorum()),
        leader::keep(Arc::clone(app), Arc::clone(member)),
        membership::voters::keep(Arc::clone(app), Arc::clone(member)),
        record::backup::keep(Arc::clone(app), Arc::clone(member)),
        record::care::keep(Arc::clone(app), Arc::clone(member)),
        provision::run(Arc::clone(app), Arc::clone(member)),
        audit::keep(Arc::clone(app), Arc::clone(member)),
        crate::tasks::keep(app, member),
        trust::renew::keep(Arc::clone(app), Arc::clone(member)),
        crate::desired::keep(Arc::clone(app), Arc::clone(member)),
        network::share(Arc::clone(app), Arc::clone(member)),
        drives::share::keep(Arc::clone(app), Arc::clone(member)),
        crate::volumes::reconcile::keep(Arc::clone(app), Arc::clone(member)),
    );
}

async fn prepare_pool(app: Arc<App>) {
    if app.boot.is_none() {
        return; // not on an installed node: there is no data array to look for
    }
    match tokio::task::spawn_blocking(storage::local::ensure).await {
        Ok((pool, prepared)) => {
            tracing::info!(?pool, "local pool");
            app.storage.prepared(&app, pool, prepared);
        }
        Err(e) => tracing::warn!(error = %e, "local pool"),
    }
}

/// Says once that this node is a member, where people and tests look: the consoles.
fn announce(app: &App, member: &Member) {
    let line = ready_line(&app.config.hostname, &member.cluster.name, &member.own.address.to_string());
    tracing::info!("{line}");
    notify(&[NotifyState::Status(&format!("member of cluster {}", member.cluster.name))]);
    if app.boot.is_some() {
        // Lost without harm where there is no console; the journal has it too.
        let write = || {
            fs::OpenOptions::new().write(true).open("/dev/kmsg")?.write_all(format!("<2>{line}\n").as_bytes())
        };
        if let Err(e) = write() {
            tracing::info!(error = %e, "cannot write to the kernel's log");
        }
    }
}

fn ready_line(name: &str, cluster: &str, address: &str) -> String {
    format!("maekin-agent: ready name={name} cluster={cluster} address={address}")
}

/// Tells systemd that we are alive, for as long as our own API answers.
async fn watchdog(own: Target) {
    let Some(limit) = sd_notify::watchdog_enabled() else { return };
    loop {
        match own.exchange(Method::GET, maekin_api::HEALTH, Bytes::new()).await {
            Ok((status, _)) if status.is_success() => notify(&[NotifyState::Watchdog]),
            Ok((status, _)) => tracing::warn!(%status, "our own API does not answer well"),
            Err(e) => tracing::warn!(error = %crate::errors::chain(&e), "our own API does not answer"),
        }
        tokio::time::sleep(limit / 3).await;
    }
}

fn notify(state: &[NotifyState<'_>]) {
    if let Err(e) = sd_notify::notify(state) {
        tracing::debug!(error = %e, "systemd does not listen");
    }
}

/// Where a member stands, in a word or two, for `status`.
pub(crate) fn membership_text(membership: &Membership) -> String {
    match membership {
        Membership::Member { cluster, .. } => format!("member of {cluster}"),
        Membership::Working { step, last_error } if last_error.is_empty() => step.clone(),
        Membership::Working { step, last_error } => format!("{step} (last try: {last_error})"),
    }
}
