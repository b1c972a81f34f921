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
                let meant = generation.map(|generation| Meant { generation, settings: generation });
                return confirm_when_there(session, node, meant, stage);
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

fn settings_of(session: &Session, node: &str, stage: &mut Stage<'_>) -> Result<Value, Fault> {
    let ask = Ask::new("GET", fill("/v1/nodes/{}/settings", node));
    Ok(session.ask(&ask, &format!("settings of {node}"), stage)?.0)
}

/// Null where nobody answers: the node that is asked may be the one that is on its way.
fn on_its_way(answer: Result<Value, Fault>) -> Result<Value, Fault> {
    match answer {
        Err(fault) if matches!(fault.code, Code::Unreachable | Code::Server) => Ok(Value::Null),
        other => other,
    }
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

/// Which network is meant.
#[derive(Debug, Clone, Copy)]
pub(super) struct Meant {
    /// The generation that trials of it have.
    pub(super) generation: u64,
    /// The settings that want it: those that say this generation or a later one.
    pub(super) settings: u64,
}

/// What became of it, as far as can be seen.
enum Seen {
    /// It is tried, in that generation.
    Trying(Option<u64>),
    /// It is the node's network.
    Done,
    /// It is not, and nothing is tried.
    Failed(String),
    /// It cannot be told yet; what the node says of it.
    Waits(String),
}

/// Judges from the node's network and its settings; null is what could not be read. Pure.
fn judge(now: &Value, settings: &Value, meant: Option<Meant>) -> Seen {
    let trial = &now["trial"];
    let state = trial["state"].as_str();
    if state == Some("trying") && meant.is_none_or(|meant| trial["generation"] == json!(meant.generation)) {
        return Seen::Trying(trial["generation"].as_u64());
    }
    // Whatever is tried is meant: what was before says nothing of it.
    let Some(meant) = meant else { return Seen::Waits(String::new()) };
    if trial["generation"] == json!(meant.generation) && trial["at_node"] != json!(true) {
        match state {
            Some("confirmed") => return Seen::Done,
            Some("reverted") => return Seen::Failed(plain(&trial["why"])),
            _ => {}
        }
    }
    // A trial does not begin for everything: not for name servers, nor where the network is so already, or cannot be.
    let conditions = settings.pointer("/status/conditions").and_then(Value::as_array);
    let ours = |condition: &&Value| {
        condition["type"] == "Network"
            && condition["observed_generation"].as_u64().is_some_and(|seen| seen >= meant.settings)
    };
    let Some(condition) = conditions.into_iter().flatten().find(ours) else {
        return Seen::Waits(String::new());
    };
    let message = plain(&condition["message"]);
    match condition["status"].as_str() {
        Some("True") => Seen::Done,
        Some("False") => Seen::Failed(message),
        _ => Seen::Waits(message),
    }
}

/// Waits until the node says in the record that it tries a network: it reaches the others under it. Then confirms. Also
/// ends when the node says that there is nothing to confirm.
pub(super) fn confirm_when_there(
    session: &Session,
    node: &str,
    meant: Option<Meant>,
    stage: &mut Stage<'_>,
) -> Result<(), Fault> {
    let begun = Instant::now();
    writeln!(stage.err, "waiting until {} answers under its new network", clean(node))?;
    loop {
        let now = on_its_way(look(session, node, stage))?;
        let settings = match meant {
            Some(_) => on_its_way(settings_of(session, node, stage))?,
            None => Value::Null,
        };
        let waits = match judge(&now, &settings, meant) {
            Seen::Trying(generation) => return decide(session, node, generation, "confirm", stage),
            Seen::Done if now.is_null() => String::new(),
            Seen::Done => return say(&now, stage),
            Seen::Failed(why) => {
                let what = format!("the network of {node} is not the one that its settings want");
                return Err(Fault::new(Code::Failed, what, why)
                    .remedy("change the settings; maekin network show NODE says what the node has"));
            }
            Seen::Waits(message) => message,
        };
        if begun.elapsed() >= LIMIT {
            let what = format!("{node} does not answer under its new network");
            let why = if waits.is_empty() { "whatever it tried it has put back by now" } else { &waits };
            return Err(Fault::new(Code::Unreachable, what, why)
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cli_a_network_is_waited_for_only_while_it_can_come() {
        let trial = |generation: u64, state: &str, at_node: bool| json!({"trial": {"generation": generation, "state": state, "at_node": at_node, "why": "nobody did"}});
        let told = |generation: u64, status: &str| {
            let other = json!({"type": "Time", "status": "False", "observed_generation": 99, "message": "x"});
            let network = json!({"type": "Network", "status": status, "observed_generation": generation,
                "message": "the port is not there"});
            json!({"status": {"conditions": [other, network]}})
        };
        let meant = Some(Meant { generation: 7, settings: 8 });
        let rows = [
            ("on its way", Value::Null, Value::Null, meant, "waits "),
            ("tried", trial(7, "trying", false), told(8, "Unknown"), meant, "trying 7"),
            ("tried, whichever", trial(5, "trying", true), Value::Null, None, "trying 5"),
            ("another one is tried", trial(6, "trying", false), told(7, "Unknown"), meant, "waits "),
            ("the last one is over", trial(6, "reverted", false), told(7, "False"), meant, "waits "),
            ("the same, whichever", trial(6, "reverted", false), told(9, "False"), None, "waits "),
            ("somebody else confirmed it", trial(7, "confirmed", false), Value::Null, meant, "done"),
            ("it was put back", trial(7, "reverted", false), Value::Null, meant, "failed nobody did"),
            ("one of the console before", trial(7, "confirmed", true), told(7, "True"), meant, "waits "),
            ("name servers, or so already", json!({}), told(8, "True"), meant, "done"),
            ("a later generation", trial(3, "confirmed", false), told(9, "True"), meant, "done"),
            ("refused", json!({}), told(8, "False"), meant, "failed the port is not there"),
            ("under way", json!({}), told(8, "Unknown"), meant, "waits the port is not there"),
        ];
        for (name, now, settings, meant, want) in rows {
            let got = match judge(&now, &settings, meant) {
                Seen::Trying(generation) => format!("trying {}", generation.unwrap_or_default()),
                Seen::Done => "done".to_owned(),
                Seen::Failed(why) => format!("failed {why}"),
                Seen::Waits(message) => format!("waits {message}"),
            };
            assert_eq!(got, want, "{name}");
        }
    }
}
