//! What people type: `cargo xtask up | down | image | relock | test | bench | lint | ci`.
//!
//! Glue only: it installs what is missing, says what will be taken, runs the built programs in order and says how
//! long each step took. It depends on nothing that needs a system package to compile, for it is what installs them.
//!
//! | module | job |
//! | --- | --- |
//! | [`packages`] | Debian packages that a command needs, and installing them |
//! | [`room`] | disk and memory that a command takes |
//! | [`step`] | one named step, timed |
//! | [`build`] | cargo and image builds |
//! | [`etcd`] | the record's programs as they ship, for tests and measurements |
//! | [`mod@test`] | unit tests and racks, by nextest |
//! | [`lint`] | format, lints, documentation, repository |
//! | [`licences`] | licences of all dependencies against a list |
//! | [`mod@bench`] | the figures of `docs/performance.md` |

mod bench;
mod build;
mod etcd;
mod licences;
mod lint;
mod packages;
mod room;
mod step;
mod test;

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use clap::{Args, Parser, Subcommand};
use maekin_host::cmd::Cmd;

use crate::packages::Purpose;

#[derive(Parser)]
#[command(name = "cargo xtask", about = "Builds, raises and tests Maekin")]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Args)]
struct Up {
    /// How many nodes; the first is installed from a stick, the others over the network
    #[arg(long, default_value_t = 3, value_parser = clap::value_parser!(u8).range(1..=32))]
    nodes: u8,
    /// Memory of each node in MiB
    #[arg(long, default_value_t = 2048)]
    memory: u32,
    /// Firmware of the nodes: bios, uefi, or mixed
    #[arg(long, default_value = "mixed")]
    firmware: String,
    /// When raising fails, leave the nodes on for a look
    #[arg(long)]
    keep: bool,
}

#[derive(Subcommand)]
enum Command {
    /// Raise a virtual rack by the real path: a USB stick for the first node, the network for the others
    Up(Up),
    /// End the virtual rack and remove everything of it
    Down,
    /// Build the image: out/maekin-VERSION-amd64.iso and out/release/
    Image {
        /// Options for `maekin-image build`, e.g. --locked
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        options: Vec<String>,
    },
    /// Renew rootfs/packages.lock from Debian's archive as it is now
    Relock,
    /// Run unit tests and virtual racks; with NAME those that match
    Test {
        /// Part of a test's name, or of the name of its file
        name: Option<String>,
        /// List instead of running
        #[arg(long)]
        list: bool,
        /// Run the long sweeps too
        #[arg(long)]
        long: bool,
    },
    /// Measure, and write docs/performance.md
    Bench {
        /// Measure this part alone
        #[arg(long, value_enum)]
        only: Option<bench::Part>,
    },
    /// Format, lints, documentation, licences, repository
    Lint,
    /// Everything a change has to pass; the same as `test` without a name
    Ci,
}

/// The root of the checkout.
fn workspace() -> PathBuf {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    here.parent().unwrap_or(here).to_owned()
}

/// A program run from the root of the checkout that talks to the person directly.
fn shown(program: impl AsRef<std::ffi::OsStr>) -> Cmd {
    Cmd::new(program).dir(workspace()).inherit().limit(Duration::from_secs(3 * 3600))
}

/// Cargo, as it was called for us.
fn cargo() -> Cmd {
    shown(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()))
}

fn run(command: Command) -> anyhow::Result<()> {
    match command {
        Command::Up(options) => up(&options),
        Command::Down => {
            build::rack()?;
            Ok(shown(build::program("rack")).arg("down").run()?)
        }
        Command::Image { options } => {
            packages::ensure(&[Purpose::Compile, Purpose::Image])?;
            room::check(&room::IMAGE)?;
            build::image(&options)
        }
        Command::Relock => {
            packages::ensure(&[Purpose::Compile, Purpose::Image])?;
            build::binaries()?;
            step::run("package lock", || Ok(shown(build::program("maekin-image")).arg("relock").run()?))
        }
        Command::Test { name: None, list: false, long } => test::everything(long),
        Command::Test { name, list, long } => test::matching(name.as_deref(), list, long),
        Command::Bench { only } => bench::run(only),
        Command::Lint => {
            packages::ensure(&[Purpose::Compile])?;
            lint::run()
        }
        Command::Ci => test::everything(false),
    }
}

fn up(options: &Up) -> anyhow::Result<()> {
    packages::ensure(&[Purpose::Compile, Purpose::Image, Purpose::Rack])?;
    room::check(&room::rack(options.nodes.into(), options.memory.into()))?;
    build::image(&[])?;
    build::rack()?;
    let mut rack = shown(build::program("rack")).args(["up", "--nodes"]).arg(options.nodes.to_string());
    rack = rack.arg("--memory").arg(options.memory.to_string()).arg("--firmware").arg(&options.firmware);
    if options.keep {
        rack = rack.arg("--keep");
    }
    step::run("rack", || Ok(rack.run()?))
}

fn main() -> ExitCode {
    match run(Cli::parse().command) {
        Ok(()) => ExitCode::SUCCESS,
        Err(e) => {
            eprintln!("xtask: {e:#}");
            ExitCode::FAILURE
        }
    }
}
