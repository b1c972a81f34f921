//! `maekin`: the cluster from a command line, on any node or on a laptop. It is a client of the HTTP API and of nothing else:
//! it reads no file of a node, keeps no state but its contexts and the shell's history, and decides nothing that the API
//! does not. See `docs/cli.md`.
//!
//! | module | job |
//! | --- | --- |
//! | [`args`] | the command line |
//! | [`verbs`] | what each verb does |
//! | [`resource`] | the one table of resources: names, paths, columns, verbs |
//! | [`session`] | a cluster and who asks it; nodes tried in turn |
//! | [`context`] | the file of clusters that somebody logged in to |
//! | [`wire`] | requests over the unix socket or TLS |
//! | [`show`] | tables, descriptions, JSON, YAML; texts of others made harmless |
//! | [`read`], [`diff`] | YAML and JSON as values; what differs between two |
//! | [`complete`], [`shell`] | what a word may be completed to; the interactive shell |
//! | [`fault`] | thing, reason, remedy, exit code |
//! | [`size`] | sizes as people write them |
//! | [`stage`] | terminal, clock and environment |

mod args;
mod complete;
mod context;
mod diff;
#[cfg(test)]
mod fake;
mod fault;
mod read;
mod resource;
mod session;
mod shell;
mod show;
mod size;
mod stage;
#[cfg(test)]
mod tests;
mod verbs;
mod wire;

use std::process::ExitCode;

use clap::Parser;

use args::Args;
use fault::Code;
use stage::{Stage, Terminal};

fn main() -> ExitCode {
    let args = Args::parse();
    let (mut out, mut err) = (std::io::stdout(), std::io::stderr());
    let mut keys = Terminal;
    let mut stage = Stage {
        out: &mut out,
        err: &mut err,
        keys: &mut keys,
        columns: stage::columns(),
        now: &stage::clock,
        env: &|key| std::env::var(key).ok(),
    };
    ExitCode::from(run(&args, &mut stage))
}

/// Carries out a command line; the exit code.
fn run(args: &Args, stage: &mut Stage<'_>) -> u8 {
    let done = verbs::run(args, stage).and_then(|()| Ok(stage.out.flush()?));
    match done {
        Ok(()) => 0,
        Err(fault) => {
            if fault.code != Code::Pipe && !fault.thing.is_empty() {
                let _ = writeln!(stage.err, "{fault}"); // nobody may be there to read it
            }
            fault.code as u8
        }
    }
}
