//! HTTP beside nginx.

use std::fmt::Write as _;

use maekin_host::cmd::Cmd;

use super::lab::{self, ADDRESS, Files, Lab, Port, Server};
use super::page;
use crate::packages::{self, Purpose};

const HEADING: &str = "## HTTP";
/// Bytes of the file that is fetched.
const SIZE: u64 = 400_000_000;
/// Runs of a row, of which the median is told.
const RUNS: usize = 5;
/// How many fetch it at once.
const CLIENTS: [&str; 2] = ["1", "32"];
/// Ours reaches at least this much of nginx's rate.
const GOAL: f64 = 0.95;

/// Rate in MB/s and processor time in ms/MB, by how many clients.
type Figures = Vec<(f64, f64)>;

/// Measures, and writes its section.
pub(super) fn run() -> anyhow::Result<()> {
    packages::ensure(&[Purpose::Compile, Purpose::Bench])?;
    lab::compile()?;
    let files = Files::make(&[("root", SIZE)])?;
    let lab = Lab::new()?;
    let nginx = nginx(&files)?;
    // By turns, so that a machine that is busy for a while is so for both.
    let ours = lab.serve("maekin-pxe", &files.ours(), Port::Tcp(8480))?;
    let theirs = lab.serve("nginx", &nginx, Port::Tcp(80))?;
    let mut figures = [Figures::new(), Figures::new()];
    for clients in CLIENTS {
        let mut seen = [Vec::new(), Vec::new()];
        let began = [ours.cpu(), theirs.cpu()];
        let mut bytes = 0;
        for _ in 0..RUNS {
            let (a, b) = (format!("{ADDRESS}:8480"), format!("{ADDRESS}:80"));
            let took = lab.run(&["http", &a, "/release/root", clients])?;
            bytes += took.bytes;
            seen[0].push(took.rate());
            seen[1].push(lab.run(&["http", &b, "/root", clients])?.rate());
        }
        let spent = |server: &Server, began: f64| {
            #[allow(clippy::cast_precision_loss)] // a figure for people
            let megabytes = bytes as f64 / 1e6;
            (server.cpu() - began) * 1e3 / megabytes
        };
        let spent = [spent(&ours, began[0]), spent(&theirs, began[1])];
        for ((figures, seen), spent) in figures.iter_mut().zip(seen).zip(spent) {
            figures.push((lab::median(seen), spent));
        }
    }
    page::write(&render(&figures))?;
    Ok(())
}

fn nginx(files: &Files) -> anyhow::Result<Cmd> {
    let here = files.dir.display();
    let temporary: String = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"]
        .map(|name| format!("{name}_temp_path {here}/nginx-{name};\n"))
        .concat();
    let text = format!(
        "daemon off;\nuser root;\nworker_processes auto;\npid {here}/nginx.pid;\nerror_log stderr;\nevents {{}}\n\
         http {{\naccess_log off;\nsendfile on;\ntcp_nopush on;\n{temporary}\
         server {{\nlisten {ADDRESS}:80;\nroot {here};\n}}\n}}\n"
    );
    let config = files.dir.join("nginx.conf");
    std::fs::write(&config, text)?;
    let program = lab::debian("nginx", "usr/sbin/nginx")?;
    Ok(Cmd::new(program).arg("-c").arg(config).arg("-e").arg("stderr"))
}

fn render([ours, theirs]: &[Figures; 2]) -> String {
    let mut page = format!(
        "{HEADING}\n\nA file of {} MB, over a pair of virtual interfaces between two network namespaces, with nginx of Debian \
         (`sendfile on`, a worker for each core) beside ours, by turns; medians of {RUNS}. The goal is {GOAL} of nginx.\n\n\
         | clients | maekin-pxe, MB/s | nginx, MB/s | ratio | maekin-pxe, processor ms/MB | nginx, processor ms/MB |\n\
         | ---: | ---: | ---: | ---: | ---: | ---: |\n",
        SIZE / 1_000_000
    );
    for ((clients, (rate, cpu)), (peer, peer_cpu)) in CLIENTS.iter().zip(ours).zip(theirs) {
        // Writing to a string cannot fail.
        let _ = writeln!(
            page,
            "| {clients} | {rate:.0} | {peer:.0} | {:.2} | {cpu:.2} | {peer_cpu:.2} |",
            rate / peer
        );
    }
    page
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_section_holds_every_figure() {
        let page = render(&[vec![(1990.0, 0.25), (3000.0, 0.5)], vec![(2000.0, 0.25), (2000.0, 0.125)]]);
        assert!(page.contains("| 1 | 1990 | 2000 | 0.99 | 0.25 | 0.25 |\n"), "{page}");
        assert!(page.contains("| 32 | 3000 | 2000 | 1.50 | 0.50 | 0.12 |\n"), "{page}");
    }
}
