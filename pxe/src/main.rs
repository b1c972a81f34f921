//! `maekin-pxe`: see the library. Here are only the command line and the start of what it asks for.

mod standalone;

use std::io::{self, IsTerminal};
use std::net::Ipv4Addr;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result};
use clap::{Parser, Subcommand, ValueEnum};
use maekin_host::file;
use maekin_pxe::approver::{AgentApprover, StandaloneApprover};
use maekin_pxe::boot::Stage;
use maekin_pxe::config::{self, Config, parse_config};
use maekin_pxe::dhcp::leases::Leases;
use maekin_pxe::hw::HwAddr;
use maekin_pxe::simulate::Scene;
use maekin_pxe::{dry_run, serve, simulate};
use tracing_subscriber::EnvFilter;
use uuid::Uuid;

/// How long the last machine has to hear that its report came.
const LAST_WORDS: Duration = Duration::from_secs(5);
/// Address of the server that is shown without a configuration.
const SAMPLE: Ipv4Addr = Ipv4Addr::new(10, 77, 0, 1);

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
        /// Its SMBIOS UUID [default: zeros, as machines without one say]
        #[arg(long)]
        uuid: Option<Uuid>,
        /// Its user class (option 77), such as iPXE.
        #[arg(long)]
        user_class: Option<String>,
        /// The relay agent that it asks through.
        #[arg(long, conflicts_with_all = ["proxy", "foreign"])]
        relay: Option<Ipv4Addr>,
        /// The server is ProxyDHCP only.
        #[arg(long)]
        proxy: bool,
        /// Another DHCP server, with this address, gives the addresses [default with --proxy: one in the network]
        #[arg(long, value_name = "ADDRESS")]
        foreign: Option<Ipv4Addr>,
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
        Command::Serve(ServeArgs { config: None, standalone }) if standalone.dry_run => {
            Ok(dry_run::run(&standalone.config()?, &mut io::stdout().lock())?)
        }
        Command::Serve(ServeArgs { config: None, standalone }) => {
            let config = standalone.config()?;
            let approver = Arc::new(standalone.approver(&config)?);
            standalone::ask_person(approver.clone())?;
            runtime()?.block_on(async {
                tokio::select! {
                    ended = serve::serve(config, approver.clone(), None) => ended,
                    () = finished(&approver) => Ok(()),
                }
            })
        }
        Command::Simulate { config, mac, arch, program, uuid, user_class, relay, proxy, foreign } => {
            let config = if config.exists() { load(&config)? } else { sample(&config)? };
            let stage = match (program, arch) {
                (Program::System, _) => Stage::System,
                (Program::Ipxe, _) => Stage::Ipxe,
                (Program::Firmware, 15..=24) => Stage::Http,
                (Program::Firmware, _) => Stage::Pxe,
            };
            let mut leases = Leases::new(config.plan.clone());
            let machine = simulate::Machine { hw: mac, arch, stage, uuid, user_class, relay };
            // Anybody else in the network.
            let other = Ipv4Addr::from_bits(config.settings.server.to_bits() ^ 2);
            let scene = match foreign.or(proxy.then_some(other)) {
                Some(other) => Scene::Beside(other),
                None => Scene::Alone,
            };
            print!("{}", simulate::simulate(&mut leases, &config.settings, &machine, scene));
            Ok(())
        }
    }
}

/// Nothing is left to do, and what was told last has been heard.
async fn finished(approver: &StandaloneApprover) {
    approver.finished().await;
    tokio::time::sleep(LAST_WORDS).await;
}

/// For those who have no configuration: a network of its own.
fn sample(missing: &Path) -> Result<Config> {
    let (first, last) = config::default_pool(SAMPLE, 24);
    println!("== there is no {}: a server at {SAMPLE}/24 is shown", missing.display());
    let text = format!(
        "interface = \"eth0\"\naddress = \"{SAMPLE}/24\"\npool_start = \"{first}\"\npool_end = \"{last}\"\n\
         release_dir = \"/\"\nroot_path = \"/root\"\nagent_socket = \"/agent\"\nlease_file = \"/leases\"\n"
    );
    parse_config(&text).context("the network shown for want of a configuration")
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
