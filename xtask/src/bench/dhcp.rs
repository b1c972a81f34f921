//! DHCP beside the servers of others, with perfdhcp as all the clients.

use std::fmt::Write as _;
use std::path::PathBuf;
use std::time::Duration;

use anyhow::Context;
use maekin_host::cmd::Cmd;

use super::lab::{self, Files, INTERFACE, Lab, Port, Server};
use super::page;
use crate::packages::{self, Purpose};

const HEADING: &str = "## DHCP";
/// The server's address and prefix, and perfdhcp's address.
const SERVER: &str = "10.90.0.1";
const CLIENT: &str = "10.90.0.2";
/// The pool, 64,000 addresses.
const POOL: [&str; 2] = ["10.90.1.0", "10.90.250.255"];
/// Exchanges a second that are asked for.
const RATES: [&str; 4] = ["500", "2000", "8000", "15000"];
/// Seconds that each rate is kept up.
const PERIOD: &str = "5";
/// Machines that take turns at that.
const MACHINES: &str = "10000";
/// Machines that are switched on at once.
const RACK: &str = "2000";
/// Runs of each row, of which the medians are told.
const RUNS: usize = 3;
/// Times that a rack is switched on.
const AVALANCHES: usize = 5;

/// A server to measure.
struct Peer {
    name: &'static str,
    /// What of a granted lease is there after `kill -9`, and after a power cut.
    durable: &'static str,
    command: Cmd,
    /// What it must find empty when it starts.
    leases: PathBuf,
}

/// One run at a rate.
#[derive(Clone, Copy)]
struct Run {
    /// Exchanges that came to an ACK, in a second.
    rate: f64,
    /// DISCOVERs and REQUESTs without an answer, in percent.
    lost: f64,
    /// Processor time of the server for an exchange, in microseconds.
    cpu: f64,
}

/// What one server did.
struct Figures {
    name: &'static str,
    durable: &'static str,
    /// For each rate.
    runs: Vec<Run>,
    /// Seconds until the last machine of a rack had its lease.
    avalanche: f64,
    /// Addresses that two machines were given, of all avalanches.
    twice: u64,
    /// KiB with as many leases as there are machines.
    memory: u64,
}

/// Measures, and writes its section.
pub(super) fn run() -> anyhow::Result<()> {
    packages::ensure(&[Purpose::Compile, Purpose::Bench])?;
    lab::compile()?;
    let files = Files::make(&[("root", 1 << 16)])?;
    let lab = Lab::new()?;
    lab.on_server(&["ip", "address", "add", &format!("{SERVER}/16"), "dev", INTERFACE]).run()?;
    lab.on_clients(&["ip", "address", "add", &format!("{CLIENT}/16"), "dev", "bench1"]).run()?;
    let mut all = Vec::new();
    for peer in peers(&files)? {
        println!("==> {}", peer.name);
        all.push(measure(&lab, &peer)?);
    }
    page::write(&render(&all))?;
    Ok(())
}

fn peers(files: &Files) -> anyhow::Result<Vec<Peer>> {
    let dir = files.dir.join("dhcp");
    std::fs::create_dir_all(&dir)?;
    let write = |name: &str, text: String| -> anyhow::Result<PathBuf> {
        let path = dir.join(name);
        std::fs::write(&path, text)?;
        Ok(path)
    };
    let [first, last] = POOL;
    let release = files.dir.display();
    let leases = dir.join("leases");
    let ours = write(
        "pxe.toml",
        format!(
            "interface = \"{INTERFACE}\"\naddress = \"{SERVER}/16\"\npool_start = \"{first}\"\npool_end = \"{last}\"\n\
             release_dir = \"{release}\"\nroot_path = \"{release}/root\"\nagent_socket = \"{release}/none.sock\"\n\
             lease_file = \"{}\"\n[beside]\nmode = \"server\"\n",
            leases.display()
        ),
    )?;
    let mut peers = vec![Peer {
        name: "maekin-pxe",
        durable: "all, all",
        command: Cmd::new(crate::build::program("maekin-pxe")).args(["serve", "--config"]).arg(ours),
        leases,
    }];
    for (name, threads) in [("Kea", false), ("Kea, threads", true)] {
        let leases = dir.join(format!("kea-{threads}.csv"));
        let conf = serde_json::json!({"Dhcp4": {
            "interfaces-config": {"interfaces": [format!("{INTERFACE}/{SERVER}")], "dhcp-socket-type": "udp"},
            "lease-database": {"type": "memfile", "name": leases, "lfc-interval": 0},
            "valid-lifetime": 3600,
            "multi-threading": {"enable-multi-threading": threads},
            "subnet4": [{"id": 1, "subnet": "10.90.0.0/16", "pools": [{"pool": format!("{first} - {last}")}]}],
            "loggers": [{"name": "kea-dhcp4", "severity": "ERROR", "output_options": [{"output": "stderr"}]}],
        }});
        let conf = write(&format!("kea-{threads}.json"), conf.to_string())?;
        let here = dir.display();
        let command = Cmd::new("env")
            .args([format!("KEA_PIDFILE_DIR={here}"), format!("KEA_LOCKFILE_DIR={here}")])
            .arg(lab::debian("kea-dhcp4-server", "usr/sbin/kea-dhcp4")?)
            .arg("-c")
            .arg(conf);
        peers.push(Peer { name, durable: "all, none of the last seconds", command, leases });
    }
    let leases = dir.join("dhcpd.leases");
    let conf = write(
        "dhcpd.conf",
        format!(
            "authoritative;\nping-check false;\ndefault-lease-time 3600;\n\
             subnet 10.90.0.0 netmask 255.255.0.0 {{ range {first} {last}; }}\n"
        ),
    )?;
    let command = Cmd::new(lab::debian("isc-dhcp-server", "usr/sbin/dhcpd")?)
        .args(["-4", "-f", "-q", "--no-pid", "-cf"])
        .arg(conf)
        .arg("-lf")
        .arg(&leases)
        .arg(INTERFACE);
    peers.push(Peer { name: "ISC dhcpd", durable: "all, all", command, leases });
    let leases = dir.join("dnsmasq.leases");
    let command = Cmd::new("dnsmasq")
        .args(["--conf-file=/dev/null", "--port=0", "--keep-in-foreground", "--user=root", "--no-ping"])
        .args(["--quiet-dhcp", "--log-facility=/dev/null", "--dhcp-authoritative", "--dhcp-lease-max=70000"])
        .arg(format!("--dhcp-range={first},{last},1h"))
        .arg(format!("--dhcp-leasefile={}", leases.display()));
    peers.push(Peer { name: "dnsmasq", durable: "all, all", command, leases });
    Ok(peers)
}

/// Starts a server that knows of no leases.
fn start(lab: &Lab, peer: &Peer) -> anyhow::Result<Server> {
    let dir = peer.leases.parent().context("a directory")?;
    let stem = peer.leases.file_name().context("a name")?.to_string_lossy().into_owned();
    for entry in std::fs::read_dir(dir)?.flatten() {
        if entry.file_name().to_string_lossy().starts_with(&stem) {
            std::fs::remove_file(entry.path())?;
        }
    }
    if peer.name == "ISC dhcpd" {
        std::fs::write(&peer.leases, "")?; // it does not make it itself
    }
    lab.serve(peer.name, &peer.command, Port::Udp(67))
}

fn measure(lab: &Lab, peer: &Peer) -> anyhow::Result<Figures> {
    let mut runs = Vec::new();
    for rate in RATES {
        let mut seen = Vec::new();
        while seen.len() < RUNS {
            let server = start(lab, peer)?;
            seen.push(exchange(lab, &server, rate)?);
        }
        let run = middle(&seen);
        println!("    {rate}/s: {:.0}/s, {:.1}% lost, {:.0} us", run.rate, run.lost, run.cpu);
        runs.push(run);
    }
    let (mut times, mut twice) = (Vec::new(), 0);
    for _ in 0..AVALANCHES {
        let _server = start(lab, peer)?;
        let text = perfdhcp(lab, &["--scenario", "avalanche", "-R", RACK])?;
        times.push(took(&text).context("perfdhcp does not say how long it took")?);
        twice += numbers(&text, "non unique addresses").into_iter().sum::<u64>();
    }
    let avalanche = lab::median(times);
    let server = start(lab, peer)?;
    let _ = perfdhcp(lab, &["--scenario", "avalanche", "-R", MACHINES])?;
    let memory = server.memory();
    println!(
        "    {RACK} at once: {avalanche:.2} s, {twice} given twice; {memory} KiB with {MACHINES} leases"
    );
    Ok(Figures { name: peer.name, durable: peer.durable, runs, avalanche, twice, memory })
}

/// The median of each figure.
fn middle(runs: &[Run]) -> Run {
    let of = |figure: fn(&Run) -> f64| lab::median(runs.iter().map(figure).collect());
    Run { rate: of(|r| r.rate), lost: of(|r| r.lost), cpu: of(|r| r.cpu) }
}

#[allow(clippy::cast_precision_loss)] // figures for people
fn exchange(lab: &Lab, server: &Server, rate: &str) -> anyhow::Result<Run> {
    let began = server.cpu();
    let text = perfdhcp(lab, &["-r", rate, "-R", MACHINES, "-p", PERIOD])?;
    let spent = server.cpu() - began;
    let (sent, got) = (numbers(&text, "sent packets"), numbers(&text, "received packets"));
    let (asked, done) = (sent.iter().sum::<u64>() as f64, got.get(1).copied().unwrap_or(0) as f64);
    let lost = asked - got.iter().sum::<u64>() as f64;
    let seconds: f64 = PERIOD.parse()?;
    Ok(Run { rate: done / seconds, lost: 100.0 * lost / asked.max(1.0), cpu: spent * 1e6 / done.max(1.0) })
}

/// Runs it as a relay agent with clients behind, which it always is; its status tells only that something was lost.
fn perfdhcp(lab: &Lab, args: &[&str]) -> anyhow::Result<String> {
    let cmd = lab.on_clients(&["perfdhcp", "-4", "-l", CLIENT]).args(args).arg(SERVER);
    Ok(cmd.any_status().limit(Duration::from_secs(300)).text()?)
}

/// The numbers behind a name: of DISCOVER and OFFER first, then of REQUEST and ACK.
fn numbers(text: &str, name: &str) -> Vec<u64> {
    let values = text.lines().filter_map(|line| line.strip_prefix(name)?.strip_prefix(": "));
    values.filter_map(|value| value.trim().parse().ok()).collect()
}

/// Seconds of `It took 00:00:03.900487 to provision 2000 clients.`
fn took(text: &str) -> Option<f64> {
    let time = text.lines().find_map(|line| line.strip_prefix("It took "))?.split(' ').next()?;
    time.split(':').try_fold(0.0, |sum, part| Some(sum * 60.0 + part.parse::<f64>().ok()?))
}

fn render(all: &[Figures]) -> String {
    let mut page = format!(
        "{HEADING}\n\nperfdhcp over a pair of virtual interfaces between two network namespaces; client and server share \
         the machine. {MACHINES} machines take turns at four-packet exchanges for {PERIOD} s; medians of {RUNS} runs, each \
         with an empty lease store on the same disk. *Lost* are DISCOVERs and REQUESTs without an answer. Processor time \
         is the server's for an exchange. A rack is {RACK} machines at once with RFC 2131's back-off; medians of \
         {AVALANCHES}. Memory is the server's own and its share (PSS) with {MACHINES} leases.\n\n|"
    );
    // Writing to a string cannot fail.
    for figures in all {
        let _ = write!(page, " | {}", figures.name);
    }
    page.push_str(" |\n| ---");
    page.push_str(&" | ---:".repeat(all.len()));
    page.push_str(" |\n");
    let mut line = |name: &str, cell: &dyn Fn(&Figures) -> String| {
        let cells: Vec<String> = all.iter().map(cell).collect();
        let _ = writeln!(page, "| {name} | {} |", cells.join(" | "));
    };
    for (n, rate) in RATES.iter().enumerate() {
        let cell = |figures: &Figures| {
            let run = figures.runs.get(n).copied().unwrap_or(Run { rate: 0.0, lost: 100.0, cpu: 0.0 });
            format!("{:.0}/s, {:.1}% lost, {:.0} µs", run.rate, run.lost, run.cpu)
        };
        line(&format!("{rate}/s asked for"), &cell);
    }
    line(&format!("{RACK} machines at once, s"), &|figures| format!("{:.2}", figures.avalanche));
    line("of them given one address twice", &|figures| figures.twice.to_string());
    #[allow(clippy::cast_precision_loss)] // a figure for people
    line("memory, MiB", &|figures| format!("{:.1}", figures.memory as f64 / 1024.0));
    line("leases left by `kill -9`, by a power cut", &|figures| figures.durable.to_owned());
    page.push_str(
        "\nOurs writes every lease down, and flushes it to the disk, before its ACK leaves; leases of all packets that \
         came meanwhile share one flush. Kea's memfile is written without flushing.\n",
    );
    page
}

#[cfg(test)]
mod tests {
    use super::*;

    const SAID: &str = "***Statistics for: DISCOVER-OFFER***\nsent packets: 2000\nreceived packets: 1990\ndrops: 10\n\
        non unique addresses: 0\n***Statistics for: REQUEST-ACK***\nsent packets: 1990\nreceived packets: 1980\n\
        non unique addresses: 2\nIt took 00:01:03.500000 to provision 2000 clients. \n";

    #[test]
    fn what_perfdhcp_says_is_understood() {
        assert_eq!(numbers(SAID, "received packets"), [1990, 1980]);
        assert_eq!(numbers(SAID, "non unique addresses"), [0, 2]);
        assert_eq!(took(SAID), Some(63.5));
        assert_eq!(took("nothing"), None);
    }

    #[test]
    fn the_section_holds_every_figure() {
        let run = |rate| Run { rate, lost: 0.25, cpu: 30.4 };
        let one = |name, rate| Figures {
            name,
            durable: "all, all",
            runs: vec![run(rate); RATES.len()],
            avalanche: 0.5,
            twice: 0,
            memory: 10_240,
        };
        let page = render(&[one("a", 12_000.0), one("b", 2000.0)]);
        for wanted in [
            "## DHCP\n",
            "| | a | b |\n| --- | ---: | ---: |\n",
            "| 8000/s asked for | 12000/s, 0.2% lost, 30 µs | 2000/s, 0.2% lost, 30 µs |\n",
            "| 2000 machines at once, s | 0.50 | 0.50 |\n",
            "| memory, MiB | 10.0 | 10.0 |\n",
        ] {
            assert!(page.contains(wanted), "no {wanted:?} in\n{page}");
        }
    }
}
