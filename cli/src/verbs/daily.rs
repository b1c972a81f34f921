//! Verbs for daily work: machines let in or told no, the install window, power, reinstallation, healing.

use clap::{Args, Subcommand, ValueEnum};
use maekin_api as api;
use maekin_api::install::{Deny, Disks, OpenWindow, Terms};
use maekin_api::power::{Act, Action};
use serde::Serialize;
use serde_json::{Value, json};

use super::find;
use crate::fault::{Code, Fault};
use crate::resource::{Resource, fill, plain};
use crate::session::Session;
use crate::show::{self, Look, clean::clean, time};
use crate::stage::Stage;
use crate::wire::client::Ask;

/// On what terms a machine is let in.
#[derive(Debug, Clone, Default, Args)]
pub(crate) struct Approve {
    /// Its code, as its screen shows it, or its hardware address.
    #[arg(required = true)]
    machines: Vec<String>,
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
    /// How long it may take to begin, minutes [default: a day]
    #[arg(long, default_value_t = 0, hide_default_value = true)]
    minutes: u32,
}

/// What to do with the install window.
#[derive(Debug, Clone, Subcommand)]
pub(crate) enum Window {
    /// Let machines in as they come.
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

/// What to do about a node that waits. All of it is said to the member that began.
#[derive(Debug, Clone, Subcommand)]
pub(crate) enum Pair {
    /// Begin: both consoles show a code then.
    Begin {
        /// The waiting node's name or id, as `maekin get discovered` shows them, or ADDRESS:PORT, as its console does.
        #[arg(value_name = "NODE")]
        waiting: String,
    },
    /// The code is the same on both consoles.
    Approve {
        /// The code.
        code: String,
    },
    /// It is not, or the node shall not be let in.
    Deny {
        /// The code.
        code: String,
    },
}

/// What to do with the power of machines.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum PowerVerb {
    /// Ask whether they are on
    Status,
    /// Switch them on
    On,
    /// Switch them off, at once
    Off,
    /// Start them anew, at once
    Cycle,
    /// Have them boot from the network: once, and now
    Netboot,
}

impl PowerVerb {
    fn action(self) -> Action {
        match self {
            Self::Status => Action::Status,
            Self::On => Action::On,
            Self::Off => Action::Off,
            Self::Cycle => Action::Cycle,
            Self::Netboot => Action::Netboot,
        }
    }
}

/// Which machines are switched.
#[derive(Debug, Clone, Args)]
pub(crate) struct Power {
    /// What to do.
    verb: PowerVerb,
    /// Hardware addresses, codes or host names of the machines; `all`: every one that can be switched.
    #[arg(required = true)]
    machines: Vec<String>,
    /// Also when one is a member of the cluster and alive.
    #[arg(long)]
    force: bool,
    /// Do not ask.
    #[arg(short, long)]
    yes: bool,
}

fn body(value: &impl Serialize) -> Value {
    serde_json::to_value(value).unwrap_or_default() // plain data always serializes
}

/// `approve`.
pub(super) fn approve(session: &Session, args: &Approve, stage: &mut Stage<'_>) -> Result<(), Fault> {
    let terms = Terms {
        hostname: args.hostname.clone(),
        roles: args.role.clone(),
        disks: Disks { mirror: args.mirror.clone(), consent: args.consent.clone() },
        minutes: args.minutes,
    };
    for machine in &args.machines {
        let path = fill("/v1/machines/{}/approve", machine);
        let (install, _) =
            session.ask(&Ask::with("POST", path, &body(&terms)), &format!("machine {machine}"), stage)?;
        let field = |key: &str| clean(&plain(&install[key])).into_owned();
        writeln!(
            stage.out,
            "{} is let in as {}, ticket {}",
            field("mac"),
            field("hostname"),
            field("ticket")
        )?;
    }
    Ok(())
}

/// `deny`.
pub(super) fn deny(
    session: &Session,
    machines: &[String],
    reason: &str,
    minutes: u32,
    stage: &mut Stage<'_>,
) -> Result<(), Fault> {
    let deny = Deny { reason: reason.to_owned(), minutes };
    for machine in machines {
        let path = fill("/v1/machines/{}/deny", machine);
        let (seen, _) =
            session.ask(&Ask::with("POST", path, &body(&deny)), &format!("machine {machine}"), stage)?;
        writeln!(stage.out, "{} is told no", clean(&plain(&seen["mac"])))?;
    }
    Ok(())
}

/// `window`.
pub(super) fn window(
    session: &Session,
    what: &Window,
    look: Look,
    stage: &mut Stage<'_>,
) -> Result<(), Fault> {
    let ask = match what {
        Window::Open { minutes, count } => {
            let open = OpenWindow { minutes: *minutes, count: *count };
            Ask::with("POST", api::INSTALL_WINDOW, &body(&open))
        }
        Window::Close => Ask::new("DELETE", api::INSTALL_WINDOW),
        Window::Show => Ask::new("GET", api::INSTALL_WINDOW),
    };
    let (state, _) = session.ask(&ask, "the install window", stage)?;
    show::things(Resource::find("window")?, std::slice::from_ref(&state), &state, look, stage)
}

/// `pair`.
pub(super) fn pair(session: &Session, what: &Pair, look: Look, stage: &mut Stage<'_>) -> Result<(), Fault> {
    let (verb, code, said) = match what {
        Pair::Begin { waiting: node } => {
            let address = node.parse::<std::net::SocketAddr>().is_ok();
            let body = if address { json!({"address": node}) } else { json!({"node": node}) };
            let ask = Ask::with("POST", "/v1/pairings", &body);
            let (info, _) = session.ask(&ask, "pairing", stage)?;
            show::things(Resource::find("pairings")?, std::slice::from_ref(&info), &info, look, stage)?;
            writeln!(
                stage.err,
                "compare the code with the node's own console, then: maekin pair approve CODE"
            )?;
            return Ok(());
        }
        Pair::Approve { code } => ("approve", code, "is let in, once the node's console says yes too"),
        Pair::Deny { code } => ("deny", code, "is told no"),
    };
    let path = fill(&format!("/v1/pairings/{{}}/{verb}"), code);
    session.ask(&Ask::with("POST", path, &Value::Null), &format!("pairing {code}"), stage)?;
    writeln!(stage.out, "{} {said}", clean(code))?;
    Ok(())
}

/// `power`.
pub(super) fn power(session: &Session, args: &Power, stage: &mut Stage<'_>) -> Result<(), Fault> {
    let action = args.verb.action();
    let macs = macs(session, &args.machines, stage)?;
    if !args.yes && !matches!(action, Action::Status | Action::On) {
        let list = if macs.len() > 4 { format!("{} machines", macs.len()) } else { macs.join(", ") };
        stage.confirm(&format!("`{action}` {list}?"))?;
    }
    let act = body(&Act { action, force: args.force });
    let (all, mut failed) = (macs.len(), None);
    for mac in macs {
        let path = fill("/v1/machines/{}/power", &mac);
        match session.ask(&Ask::with("POST", path, &act), &format!("power of {mac}"), stage) {
            Ok((done, _)) => {
                writeln!(
                    stage.out,
                    "{mac}   {:<7} {}",
                    clean(&plain(&done["power"])),
                    clean(&plain(&done["outcome"]))
                )?;
            }
            // One machine that cannot be reached keeps no other from being switched.
            Err(fault) if !matches!(fault.code, Code::Denied | Code::Interrupted | Code::Unknown) => {
                writeln!(stage.err, "{fault}")?;
                failed = Some((fault.code, failed.map_or(1, |(_, n)| n + 1)));
            }
            Err(fault) => return Err(fault),
        }
    }
    match failed {
        None => Ok(()),
        Some((code, count)) => Err(Fault::new(
            code,
            format!("`{action}` was not done to {count} of {all} machines"),
            "see above",
        )),
    }
}

/// Hardware addresses of machines, by whatever they are named.
fn macs(session: &Session, names: &[String], stage: &mut Stage<'_>) -> Result<Vec<String>, Fault> {
    if names == ["all"] {
        let power = Resource::find("power")?;
        let (_, things) = find::list(session, power, "", stage)?;
        return Ok(things.iter().map(|thing| power.name_of(thing)).collect());
    }
    let is_mac = |name: &&String| name.len() == 17 && name.split(':').count() == 6;
    if names.iter().all(|name| is_mac(&name)) {
        return Ok(names.iter().map(|name| name.to_ascii_lowercase()).collect());
    }
    let machines = Resource::find("machines")?;
    let (_, things) = find::list(session, machines, "", stage)?;
    let mut found = Vec::new();
    for name in names {
        let mac =
            if is_mac(&name) { name.clone() } else { plain(&find::one(machines, &things, name)?["mac"]) };
        found.push(mac.to_ascii_lowercase());
    }
    Ok(found)
}

/// `reinstall`.
pub(super) fn reinstall(
    session: &Session,
    node: &str,
    withdraw: bool,
    (yes, force): (bool, bool),
    stage: &mut Stage<'_>,
) -> Result<(), Fault> {
    let (path, what) = (fill("/v1/nodes/{}/reinstall", node), format!("node {node}"));
    let shown = clean(node).into_owned();
    if withdraw {
        session.ask(&Ask::new("DELETE", path), &what, stage)?;
        writeln!(stage.out, "{shown} boots from its disk")?;
        return Ok(());
    }
    if !yes {
        let lost = if force { " Its volumes are lost." } else { "" };
        stage.confirm(&format!(
            "install {node} anew when it next boots from the network? Its boot drives are written over.{lost}"
        ))?;
    }
    let path = path + if force { "?force=true" } else { "" };
    let (wish, _) = session.ask(&Ask::with("POST", path, &Value::Null), &what, stage)?;
    let left = wish["until"].as_u64().unwrap_or_default().saturating_sub((stage.now)());
    writeln!(
        stage.out,
        "{shown} is installed anew when it next boots from the network, within {}, and only if it is off now",
        time::span(left)
    )?;
    Ok(())
}

/// `passwd`.
pub(super) fn passwd(session: &Session, stage: &mut Stage<'_>) -> Result<(), Fault> {
    let old = stage.keys.secret("password as it is: ")?;
    let new = stage.keys.secret("new password: ")?;
    if stage.keys.is_person() && stage.keys.secret("new password again: ")? != new {
        return Err(Fault::usage("nothing was changed", "the two new passwords differ"));
    }
    let body = json!({"old": old, "new": new});
    session.ask(&Ask::with("PUT", "/v1/whoami/password", &body), "one's own password", stage)?;
    writeln!(stage.out, "changed")?;
    Ok(())
}

/// `heal`: says yes to what the node that answers offers.
pub(super) fn heal(
    session: &Session,
    disk: Option<&str>,
    consent: Option<&str>,
    stage: &mut Stage<'_>,
) -> Result<(), Fault> {
    let boot = session.get(api::NODE_BOOT, "the boot drives", stage)?;
    let field = |key: &str| boot.pointer(&format!("/heal/{key}")).map(plain).unwrap_or_default();
    let offered = (field("state") == "asks").then(|| field("disk")).filter(|disk| !disk.is_empty());
    let (token, chosen) = (field("token"), disk.map(str::to_owned).or(offered));
    if disk.is_none() && !token.is_empty() && consent != Some(token.as_str()) {
        let thing = format!("what is on {} would be lost", field("disk"));
        return Err(Fault::new(Code::Conflict, thing, field("reason"))
            .remedy(format!("if it may: maekin heal --consent {token}")));
    }
    let start = json!({"disk": chosen, "consent": consent});
    session.ask(&Ask::with("POST", api::NODE_BOOT_HEAL, &start), "healing", stage)?;
    writeln!(stage.out, "begun; `maekin describe boot-drives` shows how it goes")?;
    Ok(())
}

/// `raw`: one request as it is said.
pub(super) fn raw(
    session: &Session,
    method: &str,
    path: &str,
    text: Option<String>,
    stage: &mut Stage<'_>,
) -> Result<(), Fault> {
    let method =
        ["GET", "POST", "PUT", "DELETE"].into_iter().find(|known| known.eq_ignore_ascii_case(method));
    let method =
        method.ok_or_else(|| Fault::usage("there is no such method", "GET, POST, PUT and DELETE are"))?;
    if !path.starts_with('/') {
        return Err(Fault::usage(format!("`{path}` is no path"), "it begins with /, e.g. /v1/node"));
    }
    let ask = Ask { body: text.unwrap_or_default(), ..Ask::new(method, path) };
    let answer = session.send(&ask, stage)?;
    if !(200..300).contains(&answer.status) {
        return Err(crate::session::refused(&answer, &format!("{method} {path}")));
    }
    if stage.columns.is_none() {
        return Ok(stage.out.write_all(&answer.body)?);
    }
    let text = match serde_json::from_slice::<Value>(&answer.body) {
        Ok(value) => show::json(&value),
        Err(_) => String::from_utf8_lossy(&answer.body)
            .lines()
            .map(|line| clean(line).into_owned() + "\n")
            .collect(),
    };
    Ok(stage.out.write_all(text.as_bytes())?)
}
