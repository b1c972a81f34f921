//! `serve` without an agent: an ISO image (or a release) and an interface on the command line.

use std::io::IsTerminal;
use std::net::Ipv4Addr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Instant;

use anyhow::{Context, Result, bail};
use maekin_host::file;
use maekin_image::manifest::ROOT;
use maekin_pxe::approver::{Answers, FirstNode, Policy, StandaloneApprover, Waiting, Window};
use maekin_pxe::config::{
    self, BesideFile, Config, ConfigFile, DhcpFile, V6File, default_pool, parse_address,
};
use maekin_pxe::dhcp::foreign::Mode;
use maekin_pxe::leading::Role;
use maekin_pxe::serve::first_address;
use uuid::Uuid;

/// Largest answer file read, in bytes.
const ANSWER_LIMIT: u64 = 1 << 20;

#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Directory of the release to install.
    #[arg(long)]
    release: Option<PathBuf>,
    /// ISO image of the release to install; it is served as it is, neither mounted nor unpacked.
    #[arg(long, conflicts_with = "release")]
    iso: Option<PathBuf>,
    /// The only interface that is served.
    #[arg(long)]
    interface: Option<String>,
    /// Our address on it, such as 10.77.0.1/24 [default: the interface's first]
    #[arg(long)]
    address: Option<String>,
    /// Our IPv6 address on it, such as fd00:6d61:656b:1::1/64, for network boot over IPv6 too.
    #[arg(long)]
    address6: Option<String>,
    /// First and last address given out [default: 100 to 199 of the network]
    #[arg(long, num_args = 2, value_names = ["FIRST", "LAST"])]
    pool: Option<Vec<Ipv4Addr>>,
    /// Default router told to clients.
    #[arg(long)]
    router: Option<Ipv4Addr>,
    /// Name servers told to clients.
    #[arg(long)]
    dns: Vec<Ipv4Addr>,
    /// Answer file of the installations; `{mac}` in it becomes the machine's MAC without colons [default: the first
    /// machine creates a cluster, and installs the others]
    #[arg(long)]
    answer: Option<PathBuf>,
    /// How many machines are installed, without asking [default: a person is asked for each; 1 without a terminal]
    #[arg(long, conflicts_with = "window")]
    count: Option<usize>,
    /// For how long how many machines are installed without asking, such as 60m,10.
    #[arg(long)]
    window: Option<Window>,
    /// Show what real packets would be answered. Sends nothing, and needs no release.
    #[arg(long)]
    pub(crate) dry_run: bool,
    /// Where leases, and who was installed, are kept.
    #[arg(long, default_value = "maekin-pxe-state")]
    state: PathBuf,
    /// Whether addresses are given: auto, server, proxy or off.
    #[arg(long, value_parser = parse_mode, default_value = "auto")]
    dhcp: Mode,
    /// Port of the HTTP server.
    #[arg(long, default_value_t = config::HTTP_PORT)]
    http_port: u16,
}

fn parse_mode(text: &str) -> Result<Mode, String> {
    match text {
        "auto" => Ok(Mode::Auto),
        "server" => Ok(Mode::Server),
        "proxy" => Ok(Mode::Proxy),
        "off" => Ok(Mode::Off),
        _ => Err("say auto, server, proxy or off".to_owned()),
    }
}

impl Args {
    /// Who is installed, and with what.
    pub(crate) fn approver(&self, config: &Config) -> Result<StandaloneApprover> {
        let policy = match (self.window, self.count) {
            (Some(Window { time, count }), _) => Policy::Window { until: Instant::now() + time, count },
            (None, Some(count)) => Policy::First(count),
            (None, None) if std::io::stdin().is_terminal() => Policy::Ask,
            (None, None) => Policy::First(1),
        };
        let answers = match &self.answer {
            Some(path) => Answers::File(file::read_text(path, ANSWER_LIMIT)?),
            None => {
                let first = self.first_node(config)?;
                println!("The first machine becomes the first node of a cluster and installs the others.");
                println!("Its user is admin, with the password {}", first.password);
                Answers::First(first)
            }
        };
        std::fs::create_dir_all(&self.state)
            .with_context(|| format!("cannot create {}", self.state.display()))?;
        Ok(StandaloneApprover::open(answers, policy, self.state.join("tickets.json"))?)
    }

    fn first_node(&self, config: &Config) -> Result<FirstNode> {
        let settings = &config.settings;
        // Kept, so that what was shown stays true when the program is started again.
        let path = self.state.join("password");
        let password = if path.exists() {
            file::read_text(&path, ANSWER_LIMIT)?.trim().to_owned()
        } else {
            std::fs::create_dir_all(&self.state)
                .with_context(|| format!("cannot create {}", self.state.display()))?;
            let password = Uuid::new_v4().simple().to_string()[..16].to_owned();
            file::write_atomic(&path, password.as_bytes(), 0o600)?;
            password
        };
        let (router, dns) = (self.router, self.dns.clone());
        Ok(FirstNode {
            prefix: settings.prefix,
            pool: self.pool(settings.server, settings.prefix),
            router,
            dns,
            password,
        })
    }

    fn pool(&self, address: Ipv4Addr, prefix: u8) -> (Ipv4Addr, Ipv4Addr) {
        match self.pool.as_deref() {
            Some([first, last]) => (*first, *last),
            _ => default_pool(address, prefix),
        }
    }

    /// What the arguments mean.
    pub(crate) fn config(&self) -> Result<Config> {
        let Some(interface) = self.interface.clone() else {
            bail!("nothing says where to serve; give --config FILE, or --interface with --iso (or --release)")
        };
        let release = match (&self.release, &self.iso) {
            (Some(release), _) => release.clone(),
            (None, Some(_)) => PathBuf::new(),
            (None, None) if self.dry_run => PathBuf::new(),
            (None, None) => bail!("give the release to install with --iso FILE or --release DIRECTORY"),
        };
        let (address, prefix) = match &self.address {
            Some(text) => parse_address(text)?,
            None => first_address(&interface)?,
        };
        let (pool_start, pool_end) = self.pool(address, prefix);
        let mut config = Config::try_from(ConfigFile {
            role: Role::Leader,
            interface,
            address: format!("{address}/{prefix}"),
            pool_start,
            pool_end,
            router: self.router,
            dns: self.dns.clone(),
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
            masters: Vec::new(),
            siblings: Vec::new(),
            ledger: false,
            dhcp: DhcpFile::default(),
            beside: BesideFile { mode: self.dhcp, ..BesideFile::default() },
            ipv6: self.address6.clone().map(|address| V6File { address, dns: Vec::new() }),
            reservations: Vec::new(),
        })?;
        config.iso = self.iso.clone();
        Ok(config)
    }
}

/// Lets a person at the terminal name machines by their codes, on a thread of its own until the input ends.
pub(crate) fn ask_person(approver: Arc<StandaloneApprover>) -> Result<()> {
    std::thread::Builder::new().name("terminal".to_owned()).spawn(move || {
        for line in std::io::stdin().lines().map_while(Result::ok) {
            say(&approver, line.trim());
        }
    })?;
    Ok(())
}

fn say(approver: &StandaloneApprover, line: &str) {
    if line.is_empty() {
        let waiting = approver.waiting();
        println!("{} machines wait; type the code of one to install it, Enter to see them", waiting.len());
        for Waiting { code, what } in waiting {
            println!("  {code}  {what}");
        }
        return;
    }
    match approver.approve(line) {
        Ok(Some(Waiting { what, .. })) => println!("{what} is installed as soon as it asks again"),
        Ok(None) => println!("no machine that waits has the code {line}"),
        Err(e) => println!("it cannot be let in: {e}"),
    }
}
