//! `maekin-image`: builds the release bundle and the ISO, and looks after them.
//!
//! Everything that is decided is decided in the library; `build/` carries it out, through `maekin-host`.

mod build;

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Context as _, Result};
use clap::{Args, Parser, Subcommand};

/// Directory of the output in the checkout.
const OUT: &str = "out";
const VERSION: &str = env!("CARGO_PKG_VERSION");

#[derive(Parser)]
#[command(name = "maekin-image", version, about = "Builds Maekin's release bundle and ISO")]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Build bundle and ISO.
    Build(Build),
    /// Leave the record's programs as they ship (etcd, etcdctl, etcdutl) in the output, for tests; a build does so too.
    Etcd(Build),
    /// Resolve the packages anew and write rootfs/packages.lock.
    Relock(Common),
    /// Put an answer file onto an ISO file or a flashed stick.
    Answer {
        /// The ISO file, or the stick's device.
        #[arg(long)]
        iso: PathBuf,
        /// The answer file.
        #[arg(long)]
        toml: PathBuf,
        /// The installation, by its id, that may be replaced without a person choosing so in the medium's menu.
        #[arg(long)]
        again: Option<uuid::Uuid>,
        /// Where the build's output lies; `out` of the checkout where not given.
        #[arg(long)]
        out: Option<PathBuf>,
    },
    /// Hold a bundle, and an ISO, against their manifest and its signature.
    Verify {
        /// The bundle's directory; `out/release` of the checkout where not given.
        #[arg(long)]
        release: Option<PathBuf>,
        /// An ISO that should carry the same bundle.
        #[arg(long)]
        iso: Option<PathBuf>,
        /// The public key, in minisign's format; that of the throw-away key where not given.
        #[arg(long)]
        key: Option<PathBuf>,
    },
    /// Print the sizes of the last build and hold them against the budget.
    Sizes {
        /// Where the build's output lies; `out` of the checkout where not given.
        #[arg(long)]
        out: Option<PathBuf>,
    },
}

/// What every command that needs packages takes.
#[derive(Args, Default)]
struct Common {
    /// Where packages and layers are kept; `maekin` in XDG_CACHE_HOME or ~/.cache where not given.
    #[arg(long)]
    cache: Option<PathBuf>,
    /// URI of a Debian mirror; where this machine's apt gets Debian from, where not given.
    #[arg(long)]
    mirror: Option<String>,
}

#[derive(Args, Default)]
struct Build {
    #[command(flatten)]
    common: Common,
    /// Where the output goes; `out` of the checkout where not given.
    #[arg(long)]
    out: Option<PathBuf>,
    /// Fail where a package is not to be had in its locked version.
    #[arg(long)]
    locked: bool,
    /// Fetch nothing.
    #[arg(long)]
    offline: bool,
    /// Use no layer of an earlier build (packages are used).
    #[arg(long)]
    fresh: bool,
    /// The secret key to sign with, in minisign's format without password.
    #[arg(long)]
    key: Option<PathBuf>,
    /// The installer.
    #[arg(long)]
    installer: Option<PathBuf>,
    /// The agent.
    #[arg(long)]
    agent: Option<PathBuf>,
    /// The install master.
    #[arg(long)]
    pxe: Option<PathBuf>,
    /// The command line.
    #[arg(long)]
    cli: Option<PathBuf>,
}

fn main() -> ExitCode {
    tracing_subscriber::fmt()
        .with_env_filter(tracing_subscriber::EnvFilter::from_default_env())
        .with_writer(std::io::stderr)
        .init();
    match run(Cli::parse().command) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run(command: Command) -> Result<()> {
    match command {
        Command::Build(args) => build::build(&options(args)?, VERSION),
        Command::Etcd(args) => build::etcd(&options(args)?),
        Command::Relock(common) => build::relock(&options(Build { common, ..Build::default() })?),
        Command::Answer { iso, toml, again, out } => {
            build::put_answer(&iso, &toml, again, &or_in_repo(out, OUT)?)
        }
        Command::Verify { release, iso, key } => build::verify(
            &or_in_repo(release, "out/release")?,
            &or_in_repo(key, "keys/throw-away.pub")?,
            iso.as_deref(),
        ),
        Command::Sizes { out } => build::sizes(&repo()?, &or_in_repo(out, OUT)?, VERSION),
    }
}

fn options(args: Build) -> Result<build::Options> {
    Ok(build::Options {
        repo: repo()?,
        out: or_in_repo(args.out, OUT)?,
        cache: args.common.cache.map_or_else(default_cache, Ok)?,
        mirror: args.common.mirror,
        locked: args.locked,
        offline: args.offline,
        fresh: args.fresh,
        key: args.key,
        programs: build::Programs {
            installer: or_in_repo(args.installer, "target/release/maekin-installer")?,
            agent: or_in_repo(args.agent, "target/release/maekin-agent")?,
            pxe: or_in_repo(args.pxe, "target/release/maekin-pxe")?,
            cli: or_in_repo(args.cli, "target/release/maekin")?,
        },
    })
}

/// The checkout: the directory that this is run in, or one above it.
fn repo() -> Result<PathBuf> {
    let here = std::env::current_dir().context("cannot find the current directory")?;
    let found = here.ancestors().find(|dir| dir.join("rootfs/packages.toml").exists());
    found.map(PathBuf::from).context("this is no checkout of Maekin; run it in one")
}

/// What was given, or else `path` of the checkout.
fn or_in_repo(given: Option<PathBuf>, path: &str) -> Result<PathBuf> {
    given.map_or_else(|| Ok(repo()?.join(path)), Ok)
}

fn default_cache() -> Result<PathBuf> {
    let base = std::env::var_os("XDG_CACHE_HOME").filter(|dir| !dir.is_empty()).map(PathBuf::from);
    let base = base.or_else(|| std::env::var_os("HOME").map(|home| PathBuf::from(home).join(".cache")));
    Ok(base.context("HOME is not set; name the cache with --cache")?.join("maekin"))
}
