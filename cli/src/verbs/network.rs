//! `network`: the trial of a node's network. A network that is changed goes back by itself within a minute, unless
//! somebody says that it is good.

use std::time::{Duration, Instant};

use clap::Subcommand;
use serde_json::{Value, json};

use crate::fault::{Code, Fault};
use crate::resource::{fill, plain};
use crate::session::Session;
use crate::show::clean::clean;
use crate::stage::Stage;
use crate::wire::client::Ask;

/// How long is waited for a node to answer under the network that it tries, and how often is looked.
const LIMIT: Duration = Duration::from_secs(75);
const LOOK: Duration = Duration::from_secs(1);

/// What to do about the network of a node.
#[derive(Debug, Clone, Subcommand)]
pub(crate) enum Network {
    /// Say how it is, and how the last trial went.
    Show {
        /// Its name.
        #[arg(value_name = "NODE")]
        name: String,
    },
    /// Keep the one that is tried.
    Confirm {
        /// Its name.
        #[arg(value_name = "NODE")]
        name: String,
        /// Only this generation of the settings.
        #[arg(long)]
        generation: Option<u64>,
        /// Wait until the node answers under it.
        #[arg(long)]
        wait: bool,
    },
    /// Have the one before put back now.
    Revert {
        /// Its name.
        #[arg(value_name = "NODE")]
        name: String,
        /// Only this generation of the settings.
        #[arg(long)]
        generation: Option<u64>,
    },
}

/// `network`.
pub(super) fn network(session: &Session, what: &Network, stage: &mut Stage<'_>) -> Result<(), Fault> {
    match what {
        Network::Show { name: node } => {
            let now = look(session, node, stage)?;
            say(&now, stage)
        }
        Network::Confirm { name: node, generation, wait } => {
            if *wait {
                return confirm_when_there(session, node, *generation, stage);
            }
            decide(session, node, *generation, "confirm", stage)
        }
        Network::Revert { name: node, generation } => decide(session, node, *generation, "revert", stage),
    }
}

fn look(session: &Session, node: &str, stage: &mut Stage<'_>) -> Result<Value, Fault> {
    let ask = Ask::new("GET", fill("/v1/nodes/{}/network", node));
    Ok(session.ask(&ask, &format!("network of {node}"), stage)?.0)
}

fn decide(
    session: &Session,
    node: &str,
    generation: Option<u64>,
    verb: &str,
    stage: &mut Stage<'_>,
) -> Result<(), Fault> {
    let body = generation.map_or(json!({}), |generation| json!({"generation": generation}));
    let ask = Ask::with("POST", fill(&format!("/v1/nodes/{{}}/network/{verb}"), node), &body);
    let (now, _) = session.ask(&ask, &format!("network of {node}"), stage)?;
    say(&now, stage)
}

/// Waits until the node says in the record that it tries a network: it reaches the others under it. Then confirms.
pub(super) fn confirm_when_there(
    session: &Session,
    node: &str,
    generation: Option<u64>,
    stage: &mut Stage<'_>,
) -> Result<(), Fault> {
    let begun = Instant::now();
    writeln!(stage.err, "waiting until {} answers under its new network", clean(node))?;
    loop {
        // The node that is asked may be the one that is on its way.
        let seen = match look(session, node, stage) {
            Ok(now) => now,
            Err(fault) if matches!(fault.code, Code::Unreachable | Code::Server) => Value::Null,
            Err(fault) => return Err(fault),
        };
        let trial = &seen["trial"];
        let meant = generation.is_none_or(|generation| trial["generation"] == json!(generation));
        match trial["state"].as_str() {
            Some("trying") if meant => {
                return decide(session, node, trial["generation"].as_u64(), "confirm", stage);
            }
            Some(_) if meant && generation.is_some() => return say(&seen, stage),
            _ => {}
        }
        if begun.elapsed() >= LIMIT {
            let what = format!("{node} does not answer under its new network");
            return Err(Fault::new(Code::Unreachable, what, "it has put back the one before by now")
                .remedy("maekin network show NODE says why; its console works without any network"));
        }
        session.unless_interrupted(async { tokio::time::sleep(LOOK).await })?;
    }
}

/// The network and its trial, in lines.
fn say(now: &Value, stage: &mut Stage<'_>) -> Result<(), Fault> {
    let field = |value: &Value| clean(&plain(value)).into_owned();
    let (name, address, trial) = (field(&now["name"]), field(&now["address"]), &now["trial"]);
    match trial["state"].as_str() {
        None => writeln!(stage.out, "{name}: {address}")?,
        Some("trying") => {
            let (generation, left) = (field(&trial["generation"]), field(&trial["seconds_left"]));
            writeln!(
                stage.out,
                "{name}: {address}, trying generation {generation}; it goes back in {left} s unless it is confirmed"
            )?;
        }
        Some(state) => writeln!(stage.out, "{name}: {address}, {}: {}", clean(state), field(&trial["why"]))?,
    }
    if trial["state"].as_str() != Some("confirmed") {
        for change in trial["changes"].as_array().into_iter().flatten() {
            writeln!(stage.out, "  {}", field(change))?;
        }
    }
    Ok(())
}
