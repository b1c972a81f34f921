//! The command line.

use std::path::PathBuf;
use std::time::Duration;

use clap::{Args as ClapArgs, Parser, Subcommand};

use crate::session::Wish;
use crate::show::{Form, Look};

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
    },
    /// The cluster, its nodes and what is wrong, on one page.
    Status,
    /// Say what resources there are.
    Resources,
}
