//! `maekin-agent power`: machines switched by hand, or by a list. Passwords come from standard input or from a list, never
//! from the command line, which everybody on the machine can read.

mod list;

use std::io::{BufRead, Read};
use std::net::Ipv4Addr;
use std::path::PathBuf;

use anyhow::{Context, anyhow, bail};
use clap::{Args, Subcommand, ValueEnum};
use maekin_api as api;
use maekin_api::power::{Act, Action, Done, Firmware, Method, PowerInfo, PowerSettings, SetPower};
use maekin_api::secret::Secret;
use maekin_host::file::read_text;
use tokio::task::JoinSet;

use super::{block_on, own};
use crate::clock::now;
use crate::errors::chain;
use crate::http::client::Target;
use crate::settings::Settings;

/// Largest list that is read, bytes.
const LIST_LIMIT: u64 = 4 << 20;
/// Longest password that is read, bytes.
const LONGEST_PASSWORD: u64 = 1024;
/// Machines that are switched at once: as many as the agent does.
const AT_ONCE: usize = 16;
/// How long a server may take from its switch to its boot, minutes.
const SELF_TEST: u64 = 10;

/// What to do with the power of machines.
#[derive(Debug, Clone, Subcommand)]
pub(crate) enum What {
    /// Show the machines that can be switched, and what was done last.
    Show {
        /// One machine, by the hardware address it boots from.
        mac: Option<String>,
    },
    /// Ask the controllers of machines whether they are on.
    Status(Machines),
    /// Switch machines on.
    On(Machines),
    /// Switch machines off, at once.
    Off(Machines),
    /// Start machines anew, at once.
    Cycle(Machines),
    /// Have machines boot from the network: once, and now.
    Netboot(Machines),
    /// Say how a machine is switched. Its controller's password is read from standard input.
    Set(Set),
    /// Forget how a machine is switched.
    Forget {
        /// Hardware address the machine boots from.
        mac: String,
    },
    /// Say how many machines are switched, by a list (CSV): mac,method,address,user,password and, where wanted, firmware,
    /// system, cipher_suite, certificate_sha256, interface, broadcast, plain_http.
    Import {
        /// The list; its first line names the columns.
        file: PathBuf,
    },
}

/// Which machines.
#[derive(Debug, Clone, Args)]
pub(crate) struct Machines {
    /// Hardware addresses the machines boot from; `all`: every machine that has power settings.
    #[arg(required = true)]
    macs: Vec<String>,
    /// Also when one is a member of the cluster and alive.
    #[arg(long)]
    force: bool,
}

/// How a machine is switched.
#[derive(Debug, Clone, Args)]
pub(crate) struct Set {
    /// Hardware address the machine boots from.
    mac: String,
    /// By which means.
    #[arg(long, value_enum)]
    method: MethodArg,
    /// The controller: a name or an IP address, with :port where that is not the usual one.
    #[arg(long, default_value = "")]
    address: String,
    /// Its user.
    #[arg(long, default_value = "")]
    user: String,
    /// Kind of start for the boot from the network: uefi or bios.
    #[arg(long)]
    firmware: Option<String>,
    /// IPMI: cipher suite, 1 to 17; 3 for old controllers.
    #[arg(long)]
    cipher_suite: Option<u8>,
    /// Redfish: which system, where the controller has several.
    #[arg(long, default_value = "")]
    system: String,
    /// Redfish: SHA-256 of the controller's certificate; else the first one it shows is kept.
    #[arg(long, default_value = "")]
    certificate_sha256: String,
    /// Redfish: plain HTTP; whoever is on the way reads the password.
    #[arg(long)]
    plain_http: bool,
    /// Wake-on-LAN: the interface that the packet leaves from.
    #[arg(long, default_value = "")]
    interface: String,
    /// Wake-on-LAN: where the packet is sent to.
    #[arg(long)]
    broadcast: Option<Ipv4Addr>,
}

/// [`Method`] as it is typed.
#[derive(Debug, Clone, Copy, ValueEnum)]
enum MethodArg {
    WakeOnLan,
    Ipmi,
    Redfish,
}

/// Runs it.
///
/// # Errors
/// Says what was not done.
pub(crate) fn run(settings: &Settings, what: What) -> anyhow::Result<()> {
    let target = own(settings);
    match what {
        What::Show { mac: Some(mac) } => {
            println!("{}", line(&block_on(target.get::<PowerInfo>(&path(&mac)))?, now()));
        }
        What::Show { mac: None } => {
            for info in block_on(target.get::<Vec<PowerInfo>>(api::POWER))? {
                println!("{}", line(&info, now()));
            }
        }
        What::Status(machines) => act(&target, &machines, Action::Status)?,
        What::On(machines) => act(&target, &machines, Action::On)?,
        What::Off(machines) => act(&target, &machines, Action::Off)?,
        What::Cycle(machines) => act(&target, &machines, Action::Cycle)?,
        What::Netboot(machines) => act(&target, &machines, Action::Netboot)?,
        What::Set(set) => {
            let mac = set.mac.to_ascii_lowercase();
            let set = SetPower { settings: wire(set)?, password: read_password()? };
            println!("{}", line(&block_on(target.put::<PowerInfo>(&path(&mac), &set))?, now()));
        }
        What::Forget { mac } => block_on(target.delete::<()>(&path(&mac)))?,
        What::Import { file } => import(&target, &file)?,
    }
    Ok(())
}

fn path(mac: &str) -> String {
    // Whatever is no hardware address ends as one path that is not found, not as another path.
    let mac: String =
        mac.to_ascii_lowercase().chars().filter(|c| c.is_ascii_alphanumeric() || *c == ':').collect();
    api::MACHINE_POWER.replace("{machine}", &mac)
}

/// Does the same to several machines, [`AT_ONCE`] at a time; each has its line as soon as it is through.
fn act(target: &Target, machines: &Machines, action: Action) -> anyhow::Result<()> {
    let act = Act { action, force: machines.force };
    let macs = match machines.macs.as_slice() {
        [all] if all == "all" => {
            block_on(target.get::<Vec<PowerInfo>>(api::POWER))?.into_iter().map(|info| info.mac).collect()
        }
        named => named.to_vec(),
    };
    let (all, mut failed) = (macs.len(), 0);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        let mut waiting = macs.into_iter();
        let mut under_way = JoinSet::new();
        loop {
            while under_way.len() < AT_ONCE
                && let Some(mac) = waiting.next()
            {
                let target = target.clone();
                under_way.spawn(async move { (target.post_slow::<Done>(&path(&mac), &act).await, mac) });
            }
            match under_way.join_next().await {
                None => break,
                Some(Ok((Ok(done), mac))) => println!("{mac}  {}", done.outcome),
                Some(Ok((Err(e), mac))) => {
                    failed += 1;
                    println!("{mac}  NOT DONE: {}", chain(&e));
                }
                Some(Err(e)) => {
                    failed += 1;
                    println!("NOT DONE: {e}");
                }
            }
        }
    });
    if failed == 0 { Ok(()) } else { Err(anyhow!("`{action}` was not done to {failed} of {all} machines")) }
}

fn wire(set: Set) -> anyhow::Result<PowerSettings> {
    let method = match set.method {
        MethodArg::WakeOnLan => Method::WakeOnLan,
        MethodArg::Ipmi => Method::Ipmi,
        MethodArg::Redfish => Method::Redfish,
    };
    Ok(PowerSettings {
        method,
        address: set.address,
        user: set.user,
        firmware: set.firmware.as_deref().map(parse_firmware).transpose()?,
        cipher_suite: set.cipher_suite,
        system: set.system,
        certificate_sha256: set.certificate_sha256.to_ascii_lowercase(),
        plain_http: set.plain_http,
        interface: set.interface,
        broadcast: set.broadcast,
    })
}

fn parse_firmware(text: &str) -> anyhow::Result<Firmware> {
    match text {
        "uefi" => Ok(Firmware::Uefi),
        "bios" => Ok(Firmware::Bios),
        _ => bail!("firmware: `{}` is neither uefi nor bios", text.escape_debug()),
    }
}

fn read_password() -> anyhow::Result<Secret> {
    let mut password = String::new();
    std::io::stdin().lock().take(LONGEST_PASSWORD).read_line(&mut password)?;
    Ok(password.trim_end_matches(['\r', '\n']).to_owned().into())
}

/// Sets one machine after another; a line that is refused keeps none of the others from being set.
fn import(target: &Target, file: &std::path::Path) -> anyhow::Result<()> {
    let text = read_text(file, LIST_LIMIT)?;
    // All of it is read before anything is set: a list with a slip in it changes nothing.
    let rows = list::parse(&text).with_context(|| file.display().to_string())?;
    let mut refused = 0;
    for (mac, set) in &rows {
        match block_on(target.put::<PowerInfo>(&path(mac), set)) {
            Ok(info) => println!("{}", line(&info, now())),
            Err(e) => {
                refused += 1;
                println!("{mac} REFUSED: {e:#}");
            }
        }
    }
    match refused {
        0 => Ok(()),
        n => bail!("{n} of {} machines were refused", rows.len()),
    }
}

/// A machine in one line.
fn line(info: &PowerInfo, now: u64) -> String {
    let s = &info.settings;
    let method = match s.method {
        Method::WakeOnLan => "wake-on-lan",
        Method::Ipmi => "ipmi",
        Method::Redfish => "redfish",
    };
    let last = info.last.as_ref().map_or_else(
        || "nothing done yet".to_owned(),
        |last| {
            let word = if last.done { "" } else { "NOT DONE: " };
            format!("{} by {}: {word}{}", last.action, last.by, last.outcome)
        },
    );
    let who = if s.user.is_empty() { s.address.clone() } else { format!("{}@{}", s.user, s.address) };
    let silent = silence(info, now).map_or_else(String::new, |words| format!("; {words}"));
    format!("{}  {method:<11}  {who}  {last}{silent}", info.mac)
}

/// Whether a machine that was sent into the network has been heard of there: a rack that does not come up is looked at
/// from here.
fn silence(info: &PowerInfo, now: u64) -> Option<String> {
    let last = info.last.as_ref().filter(|last| last.done && last.action == Action::Netboot)?;
    if info.asked_at.is_some_and(|asked| asked >= last.at) {
        return Some("it asked the install master since".to_owned());
    }
    let minutes = now.saturating_sub(last.at) / 60;
    // Servers take that long to come through their self-test.
    if minutes < SELF_TEST {
        return Some(format!(
            "{minutes} min ago, and not heard of yet: servers take up to {SELF_TEST} min to get there"
        ));
    }
    Some(format!(
        "{minutes} min ago, AND NOT HEARD OF SINCE: is {} the port that it boots from, in the install master's network, and network boot on in its firmware? Its console says more",
        info.mac
    ))
}

#[cfg(test)]
mod tests {
    use super::*;
    use maekin_api::power::LastAction;

    #[test]
    fn a_machine_that_was_sent_into_the_network_is_missed() {
        let done =
            |action, done| Some(LastAction { action, by: "x".into(), at: 1000, done, outcome: "y".into() });
        let rows = [
            ("nothing done", None, None, 9000, None),
            ("switched on only", done(Action::On, true), None, 9000, None),
            ("failed", done(Action::Netboot, false), None, 9000, None),
            ("asked", done(Action::Netboot, true), Some(1090), 9000, Some("it asked")),
            ("just now", done(Action::Netboot, true), None, 1060, Some("1 min ago, and not heard of yet")),
            ("asked before only", done(Action::Netboot, true), Some(900), 1060, Some("not heard of yet")),
            ("long ago", done(Action::Netboot, true), None, 1900, Some("15 min ago, AND NOT HEARD OF")),
            ("a clock that went back", done(Action::Netboot, true), None, 10, Some("0 min ago")),
        ];
        for (name, last, asked_at, now, want) in rows {
            let settings = PowerSettings::new(Method::Ipmi);
            let info = PowerInfo { mac: "m".into(), settings, has_password: true, last, asked_at };
            let got = silence(&info, now);
            assert_eq!(got.is_some(), want.is_some(), "{name}: {got:?}");
            assert!(got.unwrap_or_default().contains(want.unwrap_or_default()), "{name}");
            assert!(line(&info, now).starts_with("m  ipmi"), "{name}");
        }
    }
}
