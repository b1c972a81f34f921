//! Machines that asked to boot: listed, let in, told no; the list of those that are let in without asking further.

use std::io::Write;
use std::path::{Path, PathBuf};

use anyhow::{Context, bail};
use axum::http::Method;
use clap::Subcommand;
use maekin_api as api;
use maekin_api::install::{Deny, Disks, Install, Rule, SeenMachine, Standing, Terms};
use maekin_api::machine::Inventory;
use maekin_api::problem::Problem;
use maekin_host::file::read_bytes;

use super::{block_on, own};
use crate::settings::Settings;

/// Longest list that is read, bytes.
const LIST: u64 = 1 << 20;

/// On what terms a machine is let in.
#[derive(Debug, Clone, Default, clap::Args)]
pub(crate) struct TermsArgs {
    /// Host name; {n}, {n:02}, {mac} and {serial} in it are filled in [default: node-{n}]
    #[arg(long, default_value = "", hide_default_value = true)]
    hostname: String,
    /// A label that the node carries; may be given several times.
    #[arg(long)]
    role: Vec<String>,
    /// A drive of the boot mirror, e.g. serial:XYZ; once or twice [default: the installer chooses]
    #[arg(long)]
    mirror: Vec<String>,
    /// A token for content that may be destroyed; may be given several times.
    #[arg(long)]
    consent: Vec<String>,
    /// How long it may take to begin [default: a day]
    #[arg(long, default_value_t = 0, hide_default_value = true)]
    minutes: u32,
}

/// What to do with the list.
#[derive(Debug, Clone, Subcommand)]
pub(crate) enum Approvals {
    /// Print it as CSV.
    Export,
    /// Put another one in its place, from a CSV file.
    Import {
        /// With a head line; columns are mac, uuid, serial, hostname, roles, mirror, consent.
        file: PathBuf,
    },
}

/// `machines`.
pub(crate) fn list(settings: &Settings, json: bool) -> anyhow::Result<()> {
    let machines: Vec<SeenMachine> = block_on(own(settings).get(api::MACHINES))?;
    if json {
        println!("{}", serde_json::to_string_pretty(&machines)?);
        return Ok(());
    }
    for machine in &machines {
        let what = machine.inventory.as_ref().map(describe).unwrap_or_default();
        println!("{}  {}  {}", machine.code, machine.mac, standing_text(&machine.standing));
        if !what.is_empty() {
            println!("         {what}");
        }
    }
    Ok(())
}

/// A machine in a line.
pub(crate) fn describe(inventory: &Inventory) -> String {
    let dmi = &inventory.dmi;
    let mut parts = vec![format!("{} {}", dmi.vendor, dmi.product).trim().to_owned()];
    if !dmi.serial.is_empty() {
        parts.push(format!("serial {}", dmi.serial));
    }
    let fixed = inventory.disks.iter().filter(|disk| !disk.removable && disk.virtual_media.is_none());
    let (count, bytes) = fixed.fold((0_u32, 0_u64), |(n, b), disk| (n + 1, b.saturating_add(disk.size)));
    parts.push(format!("{count} drives, {} GB", bytes / 1_000_000_000));
    parts.push(format!("{} GiB of memory", inventory.memory >> 30));
    parts.retain(|part| !part.is_empty());
    parts.join(", ")
}

/// Where a machine stands, in a few words.
pub(crate) fn standing_text(standing: &Standing) -> String {
    match standing {
        Standing::Waiting { .. } => "waiting".to_owned(),
        Standing::Approved { .. } => "let in".to_owned(),
        Standing::Installed { hostname } => format!("installed as {hostname}"),
        Standing::Denied { reason } => format!("DENIED: {reason}"),
        Standing::Expired { reason } => format!("EXPIRED: {reason}"),
    }
}

/// `approve`.
pub(crate) fn approve(settings: &Settings, machine: &str, args: TermsArgs) -> anyhow::Result<()> {
    let TermsArgs { hostname, role, mirror, consent, minutes } = args;
    let terms = Terms { hostname, roles: role, disks: Disks { mirror, consent }, minutes };
    let path = api::MACHINE_APPROVE.replace("{machine}", &plain(machine)?);
    let install: Install = block_on(own(settings).post(&path, &terms))?;
    println!("{} is let in as {}, ticket {}", install.mac, install.hostname, install.ticket);
    Ok(())
}

/// `deny`.
pub(crate) fn deny(settings: &Settings, machine: &str, reason: String, minutes: u32) -> anyhow::Result<()> {
    let path = api::MACHINE_DENY.replace("{machine}", &plain(machine)?);
    let seen: SeenMachine = block_on(own(settings).post(&path, &Deny { reason, minutes }))?;
    println!("{} is told no", seen.mac);
    Ok(())
}

/// A code or an address can stand in a path as it is.
pub(crate) fn plain(machine: &str) -> anyhow::Result<String> {
    if machine.is_empty() || !machine.chars().all(|c| c.is_ascii_alphanumeric() || ":-.".contains(c)) {
        bail!("{} is neither a code like 123-456 nor a hardware address", machine.escape_debug());
    }
    Ok(machine.to_owned())
}

/// `approvals`.
pub(crate) fn approvals(settings: &Settings, what: &Approvals) -> anyhow::Result<()> {
    match what {
        Approvals::Export => {
            let text = exchange(settings, Method::GET, Vec::new())?;
            std::io::stdout().write_all(&text)?;
        }
        Approvals::Import { file } => {
            let answer = exchange(settings, Method::PUT, read(file)?)?;
            let rules: Vec<Rule> = serde_json::from_slice(&answer)?;
            println!("{} rules let machines in without asking further", rules.len());
        }
    }
    Ok(())
}

fn read(file: &Path) -> anyhow::Result<Vec<u8>> {
    Ok(read_bytes(file, LIST)?)
}

fn exchange(settings: &Settings, method: Method, body: Vec<u8>) -> anyhow::Result<Vec<u8>> {
    let (status, answer) = block_on(own(settings).exchange(method, api::APPROVALS_CSV, body.into()))?;
    if !status.is_success() {
        let problem: Problem = serde_json::from_slice(&answer).context("the agent's answer is strange")?;
        bail!("{}:\n{}", problem.title, problem.detail);
    }
    Ok(answer.to_vec())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tickets_machines_are_named_by_code_or_address_and_nothing_else() {
        for good in ["123-456", "123456", "52:54:00:00:00:01", "aabb.cc00.0001"] {
            assert!(plain(good).is_ok(), "{good}");
        }
        for bad in ["", "../x", "a b", "%2f", "\u{1b}"] {
            assert!(plain(bad).is_err(), "{bad:?}");
        }
    }
}
