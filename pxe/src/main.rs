//! `maekin-pxe`: see the library. Here are only the command line and the start of what it asks for.

mod standalone;

use std::io::{self, IsTerminal};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;

use anyhow::{Context, Result};
use clap::{Parser, Subcommand, ValueEnum};
use maekin_host::file;
use maekin_pxe::approver::AgentApprover;
use maekin_pxe::boot::Stage;
use maekin_pxe::config::{self, Config, parse_config};
use maekin_pxe::dhcp::leases::Leases;
use maekin_pxe::hw::HwAddr;
use maekin_pxe::{serve, simulate};
use tracing_subscriber::EnvFilter;

/// Installs machines over the network.
#[derive(Debug, Parser)]
#[command(version)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Serves DHCP, TFTP and HTTP on one interface until stopped.
    Serve(ServeArgs),
    /// Prints the packets that a given machine would get. Sends nothing.
    Simulate {
        /// The configuration file of the server.
        #[arg(long, default_value = "/run/maekin/pxe.toml")]
        config: PathBuf,
        /// The machine's hardware address.
        #[arg(long)]
        mac: HwAddr,
        /// Its architecture (option 93): 0 BIOS, 7 x86-64 UEFI, 16 UEFI HTTP boot.
        #[arg(long, default_value_t = 0)]
        arch: u16,
        /// Which of its programs asks.
        #[arg(long, value_enum, default_value_t = Program::Firmware)]
        program: Program,
    },
}

#[derive(Debug, clap::Args)]
struct ServeArgs {
    /// A configuration file; the agent decides about machines.
    #[arg(long, conflicts_with_all = ["release", "interface", "answer"])]
    config: Option<PathBuf>,
    #[command(flatten)]
    standalone: standalone::Args,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Program {
    Firmware,
    Ipxe,
    System,
}

fn main() -> ExitCode {
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new("info"));
    tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(io::stderr)
        .with_ansi(io::stderr().is_terminal())
        .with_target(false)
        .init();
    match run(Cli::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(e) => {
            eprintln!("maekin-pxe: {e:#}");
            ExitCode::FAILURE
        }
    }
}

fn run(cli: Cli) -> Result<()> {
    match cli.command {
        Command::Serve(ServeArgs { config: Some(path), .. }) => {
            let load = move || load(&path);
            let config = load()?;
            let approver = Arc::new(AgentApprover::new(config.agent_socket.clone()));
            runtime()?.block_on(serve::serve(config, approver, Some(Box::new(load))))
        }
        Command::Serve(ServeArgs { config: None, standalone }) => {
            let (config, approver) = standalone.prepare()?;
            runtime()?.block_on(serve::serve(config, Arc::new(approver), None))
        }
        Command::Simulate { config, mac, arch, program } => {
            let config = load(&config)?;
            let stage = match (program, arch) {
                (Program::System, _) => Stage::System,
                (Program::Ipxe, _) => Stage::Ipxe,
                (Program::Firmware, 15..=24) => Stage::Http,
                (Program::Firmware, _) => Stage::Pxe,
            };
            let mut leases = Leases::new(config.plan.clone());
            let machine = simulate::Machine { hw: mac, arch, stage };
            print!("{}", simulate::simulate(&mut leases, &config.settings, machine));
            Ok(())
        }
    }
}

fn load(path: &Path) -> Result<Config> {
    let text = file::read_text(path, config::LIMIT)?;
    parse_config(&text).with_context(|| format!("cannot serve by {}", path.display()))
}

fn runtime() -> Result<tokio::runtime::Runtime> {
    tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .context("cannot start the runtime")
}
