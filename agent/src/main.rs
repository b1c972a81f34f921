//! `maekin-agent`: the program that makes an installed machine a node of a cluster.
//!
//! It makes the node's key, creates or joins a cluster, answers the API, keeps its part of the record, lets further
//! machines in, and shows the console. It never configures what the node file already says (the initrd renders that),
//! never starts a child process but through `maekin-host`, and never sends a private key anywhere.
//!
//! | module | job |
//! | --- | --- |
//! | [`run`] | the service: start, watchdog, end |
//! | [`app`] | what its parts share |
//! | [`membership`] | create or join a cluster; restartable at every step |
//! | [`pki`], [`tls`] | keys, certificates, what is trusted and why |
//! | [`liveness`] | who is there, by gossip; whether we reach a quorum |
//! | [`mod@journal`] | this program's own log, with the ids of requests and tasks |
//! | [`leader`] | which member does what only one may do |
//! | [`record`] | the cluster's record in etcd: typed values, compare-and-swap |
//! | [`sealed`] | secrets in the record, under the cluster's sealing key |
//! | [`desired`] | settings of nodes: how this one shall be, and making it so |
//! | [`install`] | which machine may install itself; join secrets (pure decisions, thin stores) |
//! | [`discovery`] | nodes that wait, found on the network by multicast DNS |
//! | [`drives`] | an inventory of all drives, and what becomes of those that nobody uses |
//! | [`trust`] | who is let in, and who no longer: join tokens |
//! | [`maintenance`] | nodes that leave to others what they can do as well |
//! | [`tasks`] | long work, by whichever node is there |
//! | [`power`] | power of machines: Wake-on-LAN, IPMI, Redfish |
//! | [`provision`] | configures and starts the install master |
//! | [`http`] | the API: HTTPS and unix socket, authentication, routes |
//! | [`access`] | users and API tokens in the record |
//! | [`metrics`] | what the agent counts of itself |
//! | [`audit`] | who asked for which change, and who was refused |
//! | [`node_info`] | this node about itself |
//! | [`boot_drives`] | the boot drives: watched, told, healed |
//! | [`storage`] | storage of nodes, and the engines that keep volumes |
//! | [`volumes`] | volumes: asked for in the record, made on nodes |
//! | [`console`] | the menu on every console at once |
//! | [`support`] | the support bundle |
//! | [`syslog`] | the journal, sent to a syslog server |
//! | [`reset`] | a new admin password for whoever stands in front of the machine |
//! | [`cli`] | small verbs for people: status, boot, heal, window, reinstall, invite, token, join, power |
//! | [`settings`], [`clock`], [`errors`] | paths and ports; the wall clock; error texts |

mod access;
mod app;
mod audit;
mod boot_drives;
mod cli;
mod clock;
mod console;
mod desired;
mod discovery;
mod drives;
mod errors;
mod http;
mod install;
mod journal;
mod leader;
mod liveness;
mod maintenance;
mod membership;
mod metrics;
mod network;
mod node_info;
mod pki;
mod power;
mod provision;
mod record;
mod reset;
mod run;
mod sealed;
mod settings;
mod storage;
mod support;
mod syslog;
mod tasks;
#[cfg(test)]
mod testing;
mod tls;
mod trust;
mod volumes;

use std::process::ExitCode;

use clap::{Parser, Subcommand};
use settings::Settings;

#[derive(Parser)]
#[command(version, about = "The on-node agent of Maekin")]
struct Args {
    #[command(flatten)]
    settings: Settings,
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Subcommand)]
enum Verb {
    /// Run the agent (what maekin-agent.service does).
    Run,
    /// Show the menu on every console (what maekin-console.service does).
    Console {
        /// Terminals to use instead of the kernel's consoles.
        #[arg(long)]
        tty: Vec<std::path::PathBuf>,
    },
    /// Show this node and its cluster.
    Status {
        /// As JSON.
        #[arg(long)]
        json: bool,
    },
    /// Show this node's boot drives.
    Boot {
        /// As JSON.
        #[arg(long)]
        json: bool,
    },
    /// Make a boot drive whole again as the node offers it, or try again now.
    Heal {
        /// The drive, e.g. /dev/sdb; else the one that the node offers.
        #[arg(long)]
        disk: Option<String>,
        /// The token for what would be lost on it.
        #[arg(long)]
        consent: Option<String>,
    },
    /// Let machines that boot from the network in, or no longer.
    Window {
        #[command(subcommand)]
        what: cli::Window,
    },
    /// Say that the machine of a member shall be installed anew, as that member, when it next boots from the network.
    Reinstall {
        /// The member's host name.
        name: String,
        /// Take it back.
        #[arg(long)]
        withdraw: bool,
        /// Though it has volumes: they are lost.
        #[arg(long, conflicts_with = "withdraw")]
        force: bool,
    },
    /// Make a one-time secret for a node that is installed by hand; prints its `[cluster]` section.
    Invite {
        /// How long it can be used.
        #[arg(long, default_value_t = 60)]
        minutes: u32,
    },
    /// Tokens that let nodes in: by hand, from an answer file, or typed on a node that waits.
    Token {
        #[command(subcommand)]
        what: cli::token::What,
    },
    /// Let a node in that waits, by comparing a code on both consoles.
    Pair {
        #[command(subcommand)]
        what: cli::token::Pair,
    },
    /// Remove a member from the cluster: what it has is good for nothing from then on.
    Remove {
        /// Its host name or id.
        name: String,
        /// It is meant.
        #[arg(long)]
        yes: bool,
    },
    /// Have this node leave its cluster, forget it, and wait to be let in again.
    Leave {
        /// It is meant.
        #[arg(long)]
        yes: bool,
    },
    /// Have this node, which is no member yet, join a cluster.
    Join {
        /// What `maekin-agent token create` printed on a member; `-`: read it from standard input.
        token: String,
    },
    /// Show the machines that asked to boot from the network.
    Machines {
        /// As JSON, with all that they told of themselves.
        #[arg(long)]
        json: bool,
    },
    /// Let a machine in that waits.
    Approve {
        /// The code on its screen, or its hardware address.
        machine: String,
        #[command(flatten)]
        terms: cli::machines::TermsArgs,
    },
    /// Tell a machine that waits no; takes back a ticket that it has not used.
    Deny {
        /// The code on its screen, or its hardware address.
        machine: String,
        /// Why, for whoever stands in front of it.
        #[arg(long, default_value = "", hide_default_value = true)]
        reason: String,
        /// For how long [default: until it is approved]
        #[arg(long, default_value_t = 0, hide_default_value = true)]
        minutes: u32,
    },
    /// The list of machines that are let in without asking further.
    Approvals {
        #[command(subcommand)]
        what: cli::machines::Approvals,
    },
    /// Show the installations over the network.
    Installs,
    /// Switch machines on, off and into a boot from the network.
    Power {
        #[command(subcommand)]
        what: cli::power::What,
    },
    /// Say whether the console menu gives a shell.
    ConsoleShell {
        /// What it shall do.
        what: console::policy::Shell,
    },
    /// Put all that helps to find a fault into one file, without passwords and keys.
    Support {
        /// A directory, or the device of a stick [default: the first stick there is]
        #[arg(long)]
        to: Option<std::path::PathBuf>,
    },
    /// The cluster's record: its voters, its copies, putting it back.
    Record {
        #[command(subcommand)]
        what: cli::record::What,
    },
    /// Read a password from standard input and print its hash for an answer file.
    HashPassword,
}

fn main() -> ExitCode {
    // One provider of cryptography for everything, chosen before anything asks for it. It fails only when there is
    // one already, and then that one is `ring` too.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let args = Args::parse();
    journal::begin();
    let outcome = match args.verb {
        Verb::Run => run::run(args.settings),
        Verb::Console { tty } => console::run(args.settings, tty),
        Verb::Status { json } => cli::status(&args.settings, json),
        Verb::Boot { json } => cli::boot::show(&args.settings, json),
        Verb::Heal { disk, consent } => cli::boot::heal(&args.settings, disk, consent),
        Verb::Window { what } => cli::window(&args.settings, &what),
        Verb::Reinstall { name, withdraw, force } => cli::reinstall(&args.settings, &name, withdraw, force),
        Verb::Invite { minutes } => cli::invite(&args.settings, minutes),
        Verb::Token { what } => cli::token::run(&args.settings, &what),
        Verb::Pair { what } => cli::token::pair(&args.settings, &what),
        Verb::Remove { name, yes } => cli::token::remove(&args.settings, &name, yes),
        Verb::Leave { yes } => cli::token::leave(&args.settings, yes),
        Verb::Join { token } => cli::token::join(&args.settings, &token),
        Verb::Machines { json } => cli::machines::list(&args.settings, json),
        Verb::Approve { machine, terms } => cli::machines::approve(&args.settings, &machine, terms),
        Verb::Deny { machine, reason, minutes } => {
            cli::machines::deny(&args.settings, &machine, reason, minutes)
        }
        Verb::Approvals { what } => cli::machines::approvals(&args.settings, &what),
        Verb::Installs => cli::installs(&args.settings),
        Verb::Power { what } => cli::power::run(&args.settings, what),
        Verb::ConsoleShell { what } => console::policy::shell(&args.settings, what),
        Verb::Support { to } => cli::support::run(&args.settings, to.as_deref()),
        Verb::Record { what } => cli::record::verb(&args.settings, what),
        Verb::HashPassword => cli::hash_password(),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(e) => {
            eprintln!("maekin-agent: {}", errors::chain(e.as_ref()));
            ExitCode::FAILURE
        }
    }
}
