//! `serve` without an agent: a release, an interface and an answer file on the command line.

use std::net::Ipv4Addr;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use maekin_host::cmd::Cmd;
use maekin_host::file;
use maekin_image::manifest::{MANIFEST, ROOT};
use maekin_pxe::approver::StandaloneApprover;
use maekin_pxe::config::{self, Config, ConfigFile, default_pool, parse_address};
use maekin_pxe::serve::first_address;

/// Largest answer file read, in bytes.
const ANSWER_LIMIT: u64 = 1 << 20;

#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Directory of the release to install.
    #[arg(long)]
    release: Option<PathBuf>,
    /// ISO image of the release to install; it is unpacked into the state directory with xorriso.
    #[arg(long, conflicts_with = "release")]
    iso: Option<PathBuf>,
    /// The only interface that is served.
    #[arg(long)]
    interface: Option<String>,
    /// Our address on it, such as 10.77.0.1/24 [default: the interface's first]
    #[arg(long)]
    address: Option<String>,
    /// First and last address given out [default: 100 to 199 of the network]
    #[arg(long, num_args = 2, value_names = ["FIRST", "LAST"])]
    pool: Option<Vec<Ipv4Addr>>,
    /// Default router told to clients.
    #[arg(long)]
    router: Option<Ipv4Addr>,
    /// Name servers told to clients.
    #[arg(long)]
    dns: Vec<Ipv4Addr>,
    /// Answer file of the installations; `{mac}` in it becomes the machine's MAC without colons.
    #[arg(long)]
    answer: Option<PathBuf>,
    /// How many machines are installed.
    #[arg(long, default_value_t = 1)]
    count: usize,
    /// Where leases, and who was installed, are kept.
    #[arg(long, default_value = "maekin-pxe-state")]
    state: PathBuf,
    /// Port of the HTTP server.
    #[arg(long, default_value_t = config::HTTP_PORT)]
    http_port: u16,
}

impl Args {
    /// What the arguments mean.
    pub(crate) fn prepare(self) -> Result<(Config, StandaloneApprover)> {
        let Some(interface) = self.interface else {
            bail!(
                "nothing says where to serve; give --config FILE, or --interface with --release (or --iso) and --answer"
            )
        };
        let Some(answer) = self.answer else {
            bail!("give the answer file of the installations with --answer")
        };
        let answer = file::read_text(&answer, ANSWER_LIMIT)?;
        let release = match (self.release, self.iso) {
            (Some(release), _) => release,
            (None, Some(iso)) => unpack(&iso, &self.state)?,
            (None, None) => bail!("give the release to install with --release DIRECTORY or --iso FILE"),
        };
        let (address, prefix) = match &self.address {
            Some(text) => parse_address(text)?,
            None => first_address(&interface)?,
        };
        let (pool_start, pool_end) = match self.pool.as_deref() {
            Some([first, last]) => (*first, *last),
            _ => default_pool(address, prefix),
        };
        let config = Config::try_from(ConfigFile {
            interface,
            address: format!("{address}/{prefix}"),
            pool_start,
            pool_end,
            router: self.router,
            dns: self.dns,
            domain: None,
            ntp: Vec::new(),
            mtu: None,
            lease_seconds: config::LEASE,
            root_path: release.join(ROOT),
            release_dir: release,
            release_key: None,
            agent_socket: PathBuf::new(),
            lease_file: self.state.join("leases"),
            http_port: self.http_port,
            reservations: Vec::new(),
        })?;
        let approver = StandaloneApprover::open(answer, self.count, self.state.join("tickets.json"))?;
        Ok((config, approver))
    }
}

/// Unpacks the release of an ISO image in place of what was there.
fn unpack(iso: &Path, state: &Path) -> Result<PathBuf> {
    let (release, fresh) = (state.join("release"), state.join("release.new"));
    std::fs::create_dir_all(state).with_context(|| format!("cannot create {}", state.display()))?;
    for dir in [&fresh, &release] {
        if dir.exists() {
            std::fs::remove_dir_all(dir)
                .with_context(|| format!("cannot remove the old {}", dir.display()))?;
        }
    }
    tracing::info!("unpacking the release of {}", iso.display());
    Cmd::new("xorriso")
        .args(["-report_about", "WARNING", "-osirrox", "on", "-indev"])
        .arg(iso)
        .args(["-extract", "/release"])
        .arg(&fresh)
        .limit(std::time::Duration::from_secs(600))
        .run()
        .context("cannot unpack the ISO image; install xorriso, or unpack its /release yourself and give --release")?;
    if !fresh.join(MANIFEST).is_file() {
        bail!("{} holds no release", iso.display());
    }
    std::fs::rename(&fresh, &release).with_context(|| format!("cannot rename {}", fresh.display()))?;
    Ok(release)
}
