//! Join tokens: made, listed, taken back, used.

use std::io::{BufRead, Read};

use clap::Subcommand;
use maekin_api as api;
use maekin_api::discovery::{Discovered, DiscoveredState};
use maekin_api::trust::token::{LONGEST, parse_token};
use maekin_api::trust::{
    JoinWith, Leave, MadeToken, NewPairing, NewToken, PairingInfo, RemovedNode, TokenInfo, TokenState,
};

use super::{block_on, own};
use crate::clock::now;
use crate::http::client::{ClientError, Target};
use crate::settings::Settings;
use crate::trust::leaving;

/// What a node that is no member answers.
const NO_MEMBER: &str = "urn:maekin:not-a-member";

/// What to do with join tokens.
#[derive(Debug, Clone, Subcommand)]
pub(crate) enum What {
    /// Make one and print it; it is not shown again.
    Create {
        /// How many nodes it lets in, 1 to 500.
        #[arg(long, default_value_t = 1)]
        uses: u32,
        /// For how long, 1 to 10080.
        #[arg(long, default_value_t = 60)]
        minutes: u32,
        /// What it is for.
        #[arg(long, default_value = "", hide_default_value = true)]
        note: String,
    },
    /// Show those that there are.
    List {
        /// As JSON.
        #[arg(long)]
        json: bool,
    },
    /// Take one back; the nodes that it let in stay.
    Delete {
        /// Its id, as `list` shows it.
        id: String,
    },
}

/// `token`.
pub(crate) fn run(settings: &Settings, what: &What) -> anyhow::Result<()> {
    let target = own(settings);
    match what {
        What::Create { uses, minutes, note } => {
            let new = NewToken { uses: *uses, minutes: *minutes, note: note.clone() };
            let made: MadeToken = block_on(target.post(api::JOIN_TOKENS, &new))?;
            // Alone on standard output, so that it can be taken from there.
            eprintln!("{}", line(&made.info, now()));
            println!("{}", made.token.expose());
        }
        What::List { json } => {
            let tokens: Vec<TokenInfo> = block_on(target.get(api::JOIN_TOKENS))?;
            if *json {
                println!("{}", serde_json::to_string_pretty(&tokens)?);
                return Ok(());
            }
            for token in &tokens {
                println!("{}", line(token, now()));
                for used in &token.used {
                    println!("            let in {:<16} {}", used.name, used.node_id);
                }
            }
        }
        What::Delete { id } => block_on(target.delete::<()>(&api::JOIN_TOKEN.replace("{id}", id)))?,
    }
    Ok(())
}

/// What to do about a pairing.
#[derive(Debug, Clone, Subcommand)]
pub(crate) enum Pair {
    /// On a member: begin one with this node.
    Begin {
        /// Its name or id as `list` shows them, or where its API is, like 10.77.0.9:8443.
        node: String,
    },
    /// Show those of this node, and on a member the nodes that wait on its wires.
    List,
    /// The code on the other console is the same; first on the node that waits, then on the member.
    Approve {
        /// The code.
        code: String,
    },
    /// It is not, or nobody shall be let in.
    Deny {
        /// The code.
        code: String,
    },
}

/// `pair`.
pub(crate) fn pair(settings: &Settings, what: &Pair) -> anyhow::Result<()> {
    let target = own(settings);
    match what {
        Pair::Begin { node } => {
            let new = match node.parse::<std::net::SocketAddr>() {
                Ok(_) => NewPairing { address: node.clone(), ..NewPairing::default() },
                Err(_) => NewPairing { node: node.clone(), ..NewPairing::default() },
            };
            let open: PairingInfo = block_on(target.post(api::PAIRINGS, &new))?;
            println!("code {} for {}: say yes on its console, then here", open.code, open.name);
        }
        Pair::List => {
            for open in block_on(target.get::<Vec<PairingInfo>>(api::PAIRINGS))? {
                println!("{}  {}  {}", open.code, open.name, open.address);
            }
            discovered(&target)?;
        }
        Pair::Approve { code } => {
            block_on(target.post::<()>(&api::PAIRING_APPROVE.replace("{code}", code), &()))?;
        }
        Pair::Deny { code } => block_on(target.post::<()>(&api::PAIRING_DENY.replace("{code}", code), &()))?,
    }
    Ok(())
}

/// What was heard on the wires; a node that is no member listens to nothing.
fn discovered(target: &Target) -> anyhow::Result<()> {
    let heard: Vec<Discovered> = match block_on(target.get(api::DISCOVERED)) {
        Ok(heard) => heard,
        Err(e) => match e.downcast_ref() {
            Some(ClientError::Problem(problem)) if problem.kind == NO_MEMBER => return Ok(()),
            _ => return Err(e),
        },
    };
    for node in heard {
        let what = match node.state {
            DiscoveredState::Waiting => "waits".to_owned(),
            DiscoveredState::Member => format!("member of {} ({})", node.cluster, node.ca),
        };
        let at = node.addresses.join(" ");
        println!(
            "{}  {:<20} {what}, release {}, at {at} on {}",
            node.id, node.name, node.release, node.interface
        );
    }
    Ok(())
}

/// `remove`.
pub(crate) fn remove(settings: &Settings, name: &str, yes: bool) -> anyhow::Result<()> {
    if !yes {
        anyhow::bail!(
            "{name} would be no member any more: its certificates are revoked, and its machine has to be installed anew \
             to come back. Say so with --yes"
        );
    }
    let removed: RemovedNode = block_on(own(settings).delete(&api::CLUSTER_NODE.replace("{name}", name)))?;
    println!("{} ({}) is no member any more", removed.name, removed.id);
    Ok(())
}

/// `leave`.
pub(crate) fn leave(settings: &Settings, yes: bool) -> anyhow::Result<()> {
    if !yes {
        anyhow::bail!(
            "this node would be no member any more: its voter, its keys and its copies of the record are erased, and it \
             waits to be let in again. Say so with --yes"
        );
    }
    let with = Leave { confirm: leaving::WORD.to_owned() };
    let removed: RemovedNode = block_on(own(settings).post_slow(api::NODE_LEAVE, &with))?;
    println!("{} left its cluster; `maekin-agent status` says in a moment that it waits", removed.name);
    Ok(())
}

fn line(token: &TokenInfo, now: u64) -> String {
    let state = match token.state {
        TokenState::Open => {
            format!("open for {} min", token.expires.saturating_sub(now).div_ceil(60))
        }
        TokenState::Used => "used up".to_owned(),
        TokenState::Expired => "expired".to_owned(),
    };
    let line = format!(
        "{}  {}/{} nodes  {state}  by {}  {}",
        token.id,
        token.used.len(),
        token.uses,
        token.by,
        token.note
    );
    line.trim_end().to_owned()
}

/// `join`. What is mistyped is said here, before anybody is asked.
pub(crate) fn join(settings: &Settings, token: &str) -> anyhow::Result<()> {
    let mut text = token.to_owned();
    if token == "-" {
        text.clear();
        std::io::stdin().lock().take(2 * LONGEST as u64).read_line(&mut text)?;
    }
    let known = parse_token(&text)?;
    block_on(own(settings).post::<()>(api::NODE_JOIN, &JoinWith { token: text.into() }))?;
    println!("asking {} to be let in; `maekin-agent status` says how it goes", known.urls().join(", "));
    Ok(())
}
