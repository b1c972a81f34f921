//! `rack`: raises, looks after and ends a virtual rack. `cargo xtask up` and `down` are this program with its
//! dependencies installed and the image built first.

mod commands;

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Parser, Subcommand, ValueEnum};
use maekin_qemu_tests::node::Firmware;
use maekin_qemu_tests::rack::Firmwares;
use maekin_qemu_tests::release;

#[derive(Parser)]
#[command(name = "rack", about = "A virtual rack: nodes, drives, network and faults, in one directory")]
struct Cli {
    /// The directory that the whole rack lives in [default: out/rack]
    #[arg(long, global = true)]
    dir: Option<PathBuf>,
    #[command(subcommand)]
    command: Command,
}

#[derive(Clone, Copy, ValueEnum)]
enum FirmwareChoice {
    /// All nodes BIOS.
    Bios,
    /// All nodes UEFI.
    Uefi,
    /// All nodes UEFI with Secure Boot on; they do not boot from the network.
    SecureBoot,
    /// In turn.
    Mixed,
}

impl From<FirmwareChoice> for Firmwares {
    fn from(choice: FirmwareChoice) -> Self {
        match choice {
            FirmwareChoice::Bios => Self::All(Firmware::Bios),
            FirmwareChoice::Uefi => Self::All(Firmware::Uefi),
            FirmwareChoice::SecureBoot => Self::All(Firmware::SecureBoot),
            FirmwareChoice::Mixed => Self::Mixed,
        }
    }
}

#[derive(Clone, Copy, ValueEnum)]
enum Power {
    /// Switch on.
    On,
    /// Cut the power.
    Off,
    /// Press the reset button.
    Reset,
    /// Press the power button.
    Button,
}

#[derive(Clone, Copy, ValueEnum)]
enum Cable {
    /// Plugged in.
    Up,
    /// Pulled.
    Down,
}

#[derive(clap::Args)]
struct Up {
    /// How many nodes; the first is installed from a stick, the others over the network
    #[arg(long, default_value_t = 3, value_parser = clap::value_parser!(u8).range(1..=32))]
    nodes: u8,
    /// Memory of each node in MiB
    #[arg(long, default_value_t = 2048, value_parser = clap::value_parser!(u32).range(1024..))]
    memory: u32,
    /// Firmware of the nodes
    #[arg(long, value_enum, default_value_t = FirmwareChoice::Mixed)]
    firmware: FirmwareChoice,
    /// When raising fails, leave the nodes on for a look
    #[arg(long)]
    keep: bool,
}

#[derive(Subcommand)]
enum Command {
    /// Raise a rack from nothing: a stick for the first node, the network for the others
    Up(Up),
    /// End the rack and remove its directory
    Down,
    /// Show nodes, addresses and network
    Status,
    /// Sit down at a node's serial console; Ctrl-] leaves
    Console {
        /// e.g. node-1
        node: String,
    },
    /// Print a node's serial log
    Log {
        /// e.g. node-1
        node: String,
    },
    /// Write what is on a node's screen to a PNG file
    Screendump {
        /// e.g. node-1
        node: String,
        /// The file to write
        file: PathBuf,
    },
    /// Switch a node on or off, or press its buttons
    Power {
        /// What to do
        #[arg(value_enum)]
        what: Power,
        /// e.g. node-1
        node: String,
    },
    /// Pull a drive out of a node
    Pull {
        /// e.g. node-1
        node: String,
        /// Drive number, from 0
        drive: usize,
    },
    /// Let a drive of a running node die where it is: every request ends in an I/O error
    Break {
        /// e.g. node-1
        node: String,
        /// Drive number, from 0
        drive: usize,
    },
    /// Put a blank drive into the bay of a pulled one
    Replace {
        /// e.g. node-1
        node: String,
        /// Drive number, from 0
        drive: usize,
        /// Serial number of the new drive
        serial: String,
    },
    /// Put a pulled drive back; a running node sees it at once
    Plug {
        /// e.g. node-1
        node: String,
        /// Drive number, from 0
        drive: usize,
    },
    /// Plug or pull a node's cable at the switch
    Cable {
        /// e.g. node-1
        node: String,
        /// Up or down
        #[arg(value_enum)]
        state: Cable,
    },
    /// Split the network into groups such as `node-1,node-2 node-3`; no group heals it
    Partition {
        /// Nodes that still hear each other, separated by commas
        groups: Vec<String>,
    },
    /// Measure installs, their data path and an idle node; the figures go to FILE as JSON
    Bench {
        /// The file to write
        file: PathBuf,
    },
    /// Time installs one after the other; the seconds of each go to FILE as JSON
    BenchInstalls {
        /// The file to write
        file: PathBuf,
        /// How many
        #[arg(long, default_value_t = 20)]
        count: usize,
    },
    /// Step the memory of a node down until it is not installed any more; the figures go to FILE as JSON
    BenchMemory {
        /// The file to write
        file: PathBuf,
    },
    /// Be the switch (started by `up`)
    #[command(hide = true)]
    Switch {
        /// Its directory
        at: PathBuf,
        /// Names of its ports
        ports: Vec<String>,
    },
}

fn main() -> ExitCode {
    tracing_subscriber::fmt()
        .with_env_filter(tracing_subscriber::EnvFilter::from_default_env())
        .with_writer(std::io::stderr)
        .init();
    let cli = Cli::parse();
    let dir = cli.dir.unwrap_or_else(|| release::out().join("rack"));
    match commands::run(&dir, cli.command) {
        Ok(()) => ExitCode::SUCCESS,
        Err(e) => {
            eprintln!("rack: {e:#}");
            ExitCode::FAILURE
        }
    }
}
