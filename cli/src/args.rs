//! The command line.

use std::path::PathBuf;
use std::time::Duration;

use clap::{Args as ClapArgs, Parser, Subcommand};

use crate::complete::Script;
use crate::session::Wish;
use crate::show::{Form, Look};
use crate::verbs::daily::{Approve, Pair, Power, Window};
use crate::verbs::drive::Drive;
use crate::verbs::login::{Contexts, Login};
use crate::verbs::network::Network;
use crate::verbs::task::{Drain, Maintenance, Task};
use crate::verbs::volume::Volume;

const AFTER: &str = "\
On a node, root needs no login. Elsewhere: `maekin login https://NODE:8443`.
`maekin resources` lists what there is; exit codes are in `docs/cli.md`.";

/// The whole command line.
#[derive(Debug, Clone, Parser)]
#[command(name = "maekin", version, about = "A Maekin cluster from a command line", after_help = AFTER)]
#[command(disable_help_subcommand = true)]
pub(crate) struct Args {
    #[command(flatten)]
    pub(crate) common: Common,
    #[command(subcommand)]
    pub(crate) verb: Verb,
}

/// What every verb takes.
#[derive(Debug, Clone, Default, ClapArgs)]
pub(crate) struct Common {
    /// Form of the output.
    #[arg(
        short,
        long,
        global = true,
        value_enum,
        value_name = "FORM",
        default_value = "table",
        hide_default_value = true
    )]
    pub(crate) output: Form,
    /// Tables without their head.
    #[arg(long, global = true)]
    pub(crate) no_headers: bool,
    /// A cluster that somebody logged in to, instead of the current one.
    #[arg(long, global = true, value_name = "NAME")]
    pub(crate) context: Option<String>,
    /// Ask this node, by its name or its address, and no other.
    #[arg(long, global = true, value_name = "NODE")]
    pub(crate) node: Option<String>,
    /// The socket of this machine's agent.
    #[arg(long, global = true, value_name = "PATH")]
    pub(crate) socket: Option<PathBuf>,
    /// How long an answer may take, seconds.
    #[arg(long, global = true, value_name = "SECONDS", default_value_t = 65, hide_default_value = true, value_parser = clap::value_parser!(u64).range(1..=3600))]
    pub(crate) timeout: u64,
}

impl Common {
    /// Which cluster.
    pub(crate) fn wish(&self) -> Wish {
        Wish {
            socket: self.socket.clone(),
            context: self.context.clone(),
            node: self.node.clone(),
            limit: Duration::from_secs(self.timeout),
        }
    }

    /// How much is shown.
    pub(crate) fn look(&self) -> Look {
        Look { form: self.output, headless: self.no_headers }
    }
}

/// What to do.
#[derive(Debug, Clone, Subcommand)]
pub(crate) enum Verb {
    /// List things, or some of them by name.
    Get {
        /// What kind, e.g. nodes; also RESOURCE/NAME.
        resource: String,
        /// Which; none: all.
        names: Vec<String>,
        /// At most so many.
        #[arg(long, value_name = "N")]
        limit: Option<usize>,
        /// Go on, and tell what changes.
        #[arg(short, long)]
        watch: bool,
    },
    /// Show all that is known of one thing.
    Describe {
        /// What kind, e.g. machine; also RESOURCE/NAME.
        resource: String,
        /// Which.
        names: Vec<String>,
    },
    /// Make something: `maekin create user anna role=operator`.
    Create {
        /// What kind, e.g. user.
        resource: String,
        /// Its name, where it takes one, and field=value.
        words: Vec<String>,
        /// Fields from a file, YAML or JSON; `-` for standard input.
        #[arg(short, long, value_name = "FILE")]
        file: Option<PathBuf>,
    },
    /// Make things as a file says (YAML or JSON, several documents).
    Apply {
        /// What kind, where the file has no `kind`; also RESOURCE/NAME.
        resource: Option<String>,
        /// Which, where there are several of that kind.
        name: Option<String>,
        /// The file; `-` for standard input; may be given several times.
        #[arg(short, long, required = true, value_name = "FILE")]
        file: Vec<PathBuf>,
        /// Say what would change, and change nothing.
        #[arg(long)]
        dry_run: bool,
        /// Where a node's network changes: wait until it answers under the new one, and confirm it.
        #[arg(long, conflicts_with = "dry_run")]
        confirm: bool,
    },
    /// Delete things by name.
    #[command(alias = "rm")]
    Delete {
        /// What kind, e.g. user; also RESOURCE/NAME.
        resource: String,
        /// Which.
        names: Vec<String>,
        /// Do not ask.
        #[arg(short, long)]
        yes: bool,
        /// A node that has volumes, too: they are lost with it.
        #[arg(long)]
        force: bool,
    },
    /// Tell how things are, and then what changes, until Ctrl-C.
    Watch {
        /// What kind, e.g. installs; also RESOURCE/NAME.
        resource: String,
        /// Which; none: all.
        names: Vec<String>,
        /// Between two questions, where the node sends no events, seconds.
        #[arg(long, value_name = "SECONDS", default_value_t = 2.0, value_parser = seconds)]
        interval: f64,
        /// End after so long, seconds.
        #[arg(long, value_name = "SECONDS", value_parser = seconds)]
        r#for: Option<f64>,
        /// Ask again and again, also where the node sends events.
        #[arg(long)]
        poll: bool,
    },
    /// The cluster, its nodes and what is wrong, on one page.
    Status,
    /// Who you are, as the node knows it.
    Whoami,
    /// Change your own password.
    Passwd,
    /// Let machines in that wait to be installed.
    Approve(Approve),
    /// Tell machines no.
    Deny {
        /// Codes or hardware addresses.
        #[arg(required = true)]
        machines: Vec<String>,
        /// Why, for whoever stands in front of it.
        #[arg(long, default_value = "", hide_default_value = true)]
        reason: String,
        /// For how long, minutes [default: until it is approved]
        #[arg(long, default_value_t = 0, hide_default_value = true)]
        minutes: u32,
    },
    /// Let machines in as they come, or no longer.
    Window {
        #[command(subcommand)]
        what: Option<Window>,
    },
    /// Let in a node that waits on the network, by the code on both consoles.
    Pair {
        #[command(subcommand)]
        what: Pair,
    },
    /// Keep the network that a node tries, or have the one before put back.
    Network {
        #[command(subcommand)]
        what: Network,
    },
    /// Find a drive by its light, give it to storage, or empty it. `maekin get drives` lists them.
    Drive {
        #[command(subcommand)]
        what: Drive,
    },
    /// Switch machines on and off.
    Power(Power),
    /// Have a member installed anew, as that member, when it next boots from the network.
    Reinstall {
        /// Its host name.
        name: String,
        /// Take it back.
        #[arg(long)]
        withdraw: bool,
        /// Though it has volumes: they are lost.
        #[arg(long, conflicts_with = "withdraw")]
        force: bool,
        /// Do not ask.
        #[arg(short, long)]
        yes: bool,
    },
    /// Long work: begin it, follow it, end it early. `maekin get tasks` lists it.
    Task {
        #[command(subcommand)]
        what: Task,
    },
    /// Prepare a node for being switched off: maintenance, and word when it is safe.
    Drain(Drain),
    /// Say whether a node is in maintenance.
    Maintenance {
        #[command(subcommand)]
        what: Maintenance,
    },
    /// Volumes: make, grow, copy, use, delete them.
    #[command(visible_alias = "vol")]
    Volume {
        #[command(subcommand)]
        what: Volume,
    },
    /// Storage of the cluster, by class and by node, and what is wrong with it.
    Storage,
    /// Make a boot drive of the node that answers whole again, as it offers.
    Heal {
        /// The drive, e.g. /dev/sdb; else the one that the node offers.
        #[arg(long)]
        disk: Option<String>,
        /// The token for what would be lost on it.
        #[arg(long)]
        consent: Option<String>,
    },
    /// Log in to a cluster from here: its CA is compared once, and a token kept.
    Login(Login),
    /// Take the token back and forget the cluster.
    Logout,
    /// Clusters that somebody logged in to.
    Context {
        #[command(subcommand)]
        what: Option<Contexts>,
    },
    /// The same verbs with history and completion.
    Shell,
    /// Say what resources there are.
    Resources,
    /// Say what can be said when one is made: `maekin explain user`.
    Explain {
        /// What kind.
        resource: String,
    },
    /// One request as it is said: `maekin raw GET /v1/node`.
    Raw {
        /// GET, POST, PUT or DELETE.
        method: String,
        /// Path and query.
        path: String,
        /// The body, JSON; `-` for standard input.
        #[arg(short, long, value_name = "FILE")]
        file: Option<PathBuf>,
    },
    /// Print what a shell has to read for completion: `source <(maekin completion bash)`.
    Completion {
        /// Which shell.
        shell: Script,
    },
    /// What the last word may be completed to.
    #[command(hide = true)]
    Complete {
        /// The words so far.
        #[arg(last = true)]
        words: Vec<String>,
    },
}

/// A length of time, a hundredth of a second to a year.
fn seconds(text: &str) -> Result<f64, String> {
    let seconds: f64 = text.parse().map_err(|_| "it is no number".to_owned())?;
    if (0.01..=31_536_000.0).contains(&seconds) {
        Ok(seconds)
    } else {
        Err("it is no length of time".to_owned())
    }
}
