//! TFTP beside the servers of others.

use std::fmt::Write as _;

use maekin_host::cmd::Cmd;

use super::lab::{self, ADDRESS, Files, Lab, Port};
use super::page;
use crate::packages::{self, Purpose};

const HEADING: &str = "## TFTP";
/// Our own server's name.
const OURS: &str = "maekin-pxe";
/// Runs of a row, of which the median is told.
const RUNS: usize = 5;
/// A run slower than this is not repeated.
const SLOW: f64 = 5.0;
/// Transfers during which memory is looked at.
const HELD: &str = "100";

/// What is fetched, and how.
struct Row {
    name: &'static str,
    file: &'static str,
    window: &'static str,
    clients: &'static str,
    /// DATA packets lost of a thousand.
    loss: &'static str,
}

const ROWS: [Row; 8] = [
    Row { name: "64 MiB, windowsize 1", file: "f64", window: "1", clients: "1", loss: "0" },
    Row { name: "64 MiB, windowsize 16", file: "f64", window: "16", clients: "1", loss: "0" },
    Row { name: "64 MiB, windowsize 64", file: "f64", window: "64", clients: "1", loss: "0" },
    Row { name: "48 clients, 1 MB each, windowsize 4", file: "f1", window: "4", clients: "48", loss: "0" },
    Row { name: "4 MiB, windowsize 1, 1% lost", file: "f4", window: "1", clients: "1", loss: "10" },
    Row { name: "4 MiB, windowsize 16, 1% lost", file: "f4", window: "16", clients: "1", loss: "10" },
    Row { name: "4 MiB, windowsize 64, 1% lost", file: "f4", window: "64", clients: "1", loss: "10" },
    Row {
        name: "48 clients, 1 MB each, windowsize 4, 1% lost",
        file: "f1",
        window: "4",
        clients: "48",
        loss: "10",
    },
];

/// What one server did.
struct Figures {
    name: &'static str,
    /// MB/s of each row; `None` where it gave a transfer up.
    rates: Vec<Option<f64>>,
    /// Milliseconds of processor time for a megabyte: windowsize 1, and 64.
    cpu: [f64; 2],
    /// KiB idle, and with transfers held.
    memory: [u64; 2],
}

/// Measures, and writes its section.
pub(super) fn run() -> anyhow::Result<()> {
    packages::ensure(&[Purpose::Compile, Purpose::Bench])?;
    lab::compile()?;
    let files = Files::make(&[
        ("boot/net/f64", 64 << 20),
        ("boot/net/f4", 4 << 20),
        ("boot/net/f1", 1_000_000),
        ("root", 1 << 16),
    ])?;
    let lab = Lab::new()?;
    let mut all = Vec::new();
    for (name, server) in servers(&files)? {
        println!("==> {name}");
        all.push(measure(&lab, &server, name)?);
    }
    page::write(&render(&all))?;
    Ok(())
}

fn servers(files: &Files) -> anyhow::Result<Vec<(&'static str, Cmd)>> {
    let root = files.dir.join("boot/net");
    let hpa = Cmd::new(lab::debian("tftpd-hpa", "usr/sbin/in.tftpd")?)
        .args(["-L", "-u", "root", "-a", ADDRESS, "-s"])
        .arg(&root);
    let atftpd = Cmd::new(lab::debian("atftpd", "usr/sbin/atftpd")?)
        .args(["--daemon", "--no-fork", "--user", "root", "--group", "root", "--logfile", "/dev/null"])
        .args(["--maxthread", "200", "--bind-address", ADDRESS])
        .arg(&root);
    let dnsmasq = Cmd::new("dnsmasq")
        .args([
            "--conf-file=/dev/null",
            "--port=0",
            "--no-daemon",
            "--user=root",
            "--enable-tftp",
            "--tftp-max=200",
        ])
        .arg(format!("--tftp-root={}", root.display()));
    let tftpd =
        Cmd::new(lab::registry("tftpd", "1.0.0")?).args(["-i", ADDRESS, "-p", "69", "-r", "-d"]).arg(&root);
    Ok(vec![
        (OURS, files.ours()),
        ("tftpd 1.0.0", tftpd),
        ("atftpd", atftpd),
        ("tftpd-hpa", hpa),
        ("dnsmasq", dnsmasq),
    ])
}

fn measure(lab: &Lab, command: &Cmd, name: &'static str) -> anyhow::Result<Figures> {
    let start = || lab.serve(name, command, Port::Udp(69));
    let mut server = start()?;
    let target = format!("{ADDRESS}:69");
    let idle = server.memory();
    let mut cpu = [0.0; 2];
    let mut rates = Vec::new();
    for row in &ROWS {
        let (mut seen, mut bytes, began) = (Vec::new(), 0, server.cpu());
        while seen.len() < RUNS {
            let took = match lab.run(&["tftp", &target, row.file, "1468", row.window, row.clients, row.loss])
            {
                Err(e) if name != OURS => {
                    println!("    {}: gives it up: {e:#}", row.name);
                    drop(server);
                    server = start()?;
                    seen.clear();
                    break;
                }
                took => took?,
            };
            seen.push(took.rate());
            bytes += took.bytes;
            if took.seconds > SLOW {
                break;
            }
        }
        #[allow(clippy::cast_precision_loss)] // a figure for people
        let spent = (server.cpu() - began) * 1e3 / (bytes as f64 / 1e6);
        if seen.is_empty() {
            rates.push(None);
            continue;
        }
        match row.name {
            "64 MiB, windowsize 1" => cpu[0] = spent,
            "64 MiB, windowsize 64" => cpu[1] = spent,
            _ => {}
        }
        let rate = lab::median(seen);
        println!("    {}: {rate:.1} MB/s, {spent:.2} ms/MB", row.name);
        rates.push(Some(rate));
    }
    let held = lab.hold(&["hold", &target, "f64", HELD], || server.memory())?;
    println!("    memory: {idle} KiB idle, {held} KiB at {HELD} transfers");
    Ok(Figures { name, rates, cpu, memory: [idle, held] })
}

fn render(all: &[Figures]) -> String {
    let mut page = format!(
        "{HEADING}\n\nMB/s, blocks of 1468 bytes, over a pair of virtual interfaces between two network namespaces; medians of \
         {RUNS} (one run where it took longer than {SLOW} s; *gives up*: the transfer did not end). The same client for all, with a timer of its own of a second; \
         losses are of DATA packets, behind its socket. Processor time is the server's, in ms for a MB. Memory is the \
         server's own and its share (PSS), in MiB, idle and with {HELD} transfers held.\n\n|"
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
    for (n, row) in ROWS.iter().enumerate() {
        line(row.name, &|figures| match figures.rates.get(n).copied().flatten() {
            Some(rate) => format!("{rate:.1}"),
            None => "gives up".to_owned(),
        });
    }
    line("processor, windowsize 1", &|figures| format!("{:.1}", figures.cpu[0]));
    line("processor, windowsize 64", &|figures| format!("{:.1}", figures.cpu[1]));
    #[allow(clippy::cast_precision_loss)] // a figure for people
    let mib = |kib: u64| format!("{:.1}", kib as f64 / 1024.0);
    line("memory, idle", &|figures| mib(figures.memory[0]));
    line(&format!("memory, {HELD} transfers"), &|figures| mib(figures.memory[1]));
    page
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_section_holds_every_figure() {
        let one = |name, rate| Figures {
            name,
            rates: vec![rate; ROWS.len()],
            cpu: [9.5, 1.25],
            memory: [4096, 6144],
        };
        let page = render(&[one("a", Some(101.04)), one("b", Some(20.0)), one("c", None)]);
        for wanted in [
            "## TFTP\n",
            "| | a | b | c |\n| --- | ---: | ---: | ---: |\n",
            "| 64 MiB, windowsize 1 | 101.0 | 20.0 | gives up |\n",
            "| 48 clients, 1 MB each, windowsize 4, 1% lost | 101.0 | 20.0 | gives up |\n",
            "| processor, windowsize 64 | 1.2 | 1.2 | 1.2 |\n",
            "| memory, 100 transfers | 6.0 | 6.0 | 6.0 |\n",
        ] {
            assert!(page.contains(wanted), "no {wanted:?} in\n{page}");
        }
    }
}
