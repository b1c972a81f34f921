//! Small verbs for people, over the agent's own socket.

pub(crate) mod boot;
pub(crate) mod machines;
pub(crate) mod power;
pub(crate) mod record;
pub(crate) mod support;
pub(crate) mod token;

use std::future::Future;
use std::io::{BufRead, Read};

use clap::Subcommand;
use maekin_api as api;
use maekin_api::cluster::{Cluster, MemberState};
use maekin_api::install::{Install, OpenWindow, Progress, Reinstall, WindowState};
use maekin_api::join::{Invite, NewInvite};
use maekin_api::node::{Membership, Node};

use crate::clock::now;
use crate::http::auth;
use crate::http::client::{ClientError, Target};
use crate::run::membership_text;
use crate::settings::Settings;

/// Longest password that is read, bytes.
const LONGEST_PASSWORD: u64 = 1024;

/// What to do with the install window.
#[derive(Debug, Clone, Subcommand)]
pub(crate) enum Window {
    /// Let machines in.
    Open {
        /// For how long, 1 to 1440.
        #[arg(long, default_value_t = 60)]
        minutes: u32,
        /// How many, 1 to 1000.
        #[arg(long, default_value_t = 16)]
        count: u32,
    },
    /// Let no more in.
    Close,
    /// Say how it is.
    Show,
}

/// Runs one exchange on a runtime of its own.
///
/// # Errors
/// As the exchange, or when the runtime cannot be made.
pub(crate) fn block_on<T>(work: impl Future<Output = Result<T, ClientError>>) -> anyhow::Result<T> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    Ok(runtime.block_on(work)?)
}

fn own(settings: &Settings) -> Target {
    Target::Socket(settings.socket())
}

/// `status`.
pub(crate) fn status(settings: &Settings, json: bool) -> anyhow::Result<()> {
    let target = own(settings);
    let node: Node = block_on(target.get(api::NODE))?;
    let member = matches!(node.membership, Membership::Member { .. });
    let cluster: Option<Cluster> = if member { Some(block_on(target.get(api::CLUSTER))?) } else { None };
    if json {
        let text = serde_json::to_string_pretty(&serde_json::json!({ "node": node, "cluster": cluster }))?;
        println!("{text}");
        return Ok(());
    }
    println!("node      {}  {}  version {}  key {}", node.name, node.id, node.version, node.key);
    println!("boot      slot {}  firmware {}", node.slot, node.firmware);
    for array in &node.boot.arrays {
        let word = if array.degraded() { "DEGRADED" } else { "whole" };
        println!("mirror    {:<14} {word} ({}/{}) {}", array.name, array.in_sync, array.wanted, array.action);
    }
    for alarm in &node.alarms {
        println!("alarm     {} {}", alarm.what, alarm.remedy);
    }
    for url in &node.urls {
        println!("address   {url}");
    }
    println!("cluster   {}", membership_text(&node.membership));
    if let Some(cluster) = cluster {
        for m in &cluster.nodes {
            let state = if m.state == MemberState::Ready { "ready" } else { "UNREACHABLE" };
            let voter = if m.voter { "voter" } else { "" };
            println!("member    {:<16} {:<16} {state:<12} {:<8} {voter}", m.name, m.address, m.version);
        }
        println!("window    {}", window_text(cluster.install_window, now()));
    }
    Ok(())
}

/// `window`.
pub(crate) fn window(settings: &Settings, what: &Window) -> anyhow::Result<()> {
    let target = own(settings);
    let state: WindowState = match what {
        Window::Open { minutes, count } => {
            let open = OpenWindow { minutes: *minutes, count: *count };
            block_on(target.post(api::INSTALL_WINDOW, &open))?
        }
        Window::Close => block_on(target.delete(api::INSTALL_WINDOW))?,
        Window::Show => block_on(target.get(api::INSTALL_WINDOW))?,
    };
    println!("{}", window_text(state, now()));
    Ok(())
}

/// `reinstall`.
pub(crate) fn reinstall(settings: &Settings, name: &str, withdraw: bool, force: bool) -> anyhow::Result<()> {
    let target = own(settings);
    let mut path = api::REINSTALL.replace("{name}", name);
    if withdraw {
        block_on(target.delete::<()>(&path))?;
        println!("{name} boots from its disk");
        return Ok(());
    }
    if force {
        path.push_str("?force=true");
    }
    let wish: Reinstall = block_on(target.post(&path, &()))?;
    let hours = wish.until.saturating_sub(now()).div_ceil(3600);
    println!(
        "{name} is installed anew when it next boots from the network, within {hours} h, and only if it is off now"
    );
    Ok(())
}

/// `invite`.
pub(crate) fn invite(settings: &Settings, minutes: u32) -> anyhow::Result<()> {
    let invite: Invite = block_on(own(settings).post(api::INVITES, &NewInvite { minutes }))?;
    println!("[cluster]\nmode = \"join\"\nmasters = {}", serde_json::to_string(&invite.masters)?);
    println!("ca_sha256 = \"{}\"\nsecret = \"{}\"", invite.ca_sha256, invite.secret);
    Ok(())
}

/// `installs`.
pub(crate) fn installs(settings: &Settings) -> anyhow::Result<()> {
    let installs: Vec<Install> = block_on(own(settings).get(api::INSTALLS))?;
    for install in installs {
        let (name, mac) = (&install.hostname, &install.mac);
        println!("{name:<16} {mac} {:<24} {}", progress_text(&install.progress), install.ticket);
        println!("                 let in by {}", install.by);
        if !install.remedy.is_empty() {
            println!("                 {}", install.remedy);
        }
    }
    Ok(())
}

/// `hash-password`.
pub(crate) fn hash_password() -> anyhow::Result<()> {
    let mut password = String::new();
    std::io::stdin().lock().take(LONGEST_PASSWORD).read_line(&mut password)?;
    println!("{}", auth::hash_password(password.trim_end_matches(['\r', '\n']))?);
    Ok(())
}

/// The window in a few words.
pub(crate) fn window_text(window: WindowState, now: u64) -> String {
    if !window.open {
        return "closed".to_owned();
    }
    let minutes = window.until.saturating_sub(now).div_ceil(60);
    format!("OPEN for {minutes} min, {} machines", window.left)
}

/// An installation's progress in a few words.
pub(crate) fn progress_text(progress: &Progress) -> String {
    match progress {
        Progress::Booting => "booting".to_owned(),
        Progress::Installing { step, percent } => format!("{percent} % {step}"),
        Progress::Failed { reason } => format!("FAILED: {reason}"),
        Progress::Installed => "installed".to_owned(),
        Progress::Joined => "joined".to_owned(),
        Progress::Denied => "taken back".to_owned(),
    }
}
