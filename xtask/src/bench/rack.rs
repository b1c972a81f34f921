//! A rack that installs at once: with neighbours, beside plain HTTP and multicast, on links of limited speed; and what
//! the model says of racks that nobody here has.

use std::fmt::Write;
use std::time::Duration;

use anyhow::Context;
use maekin_host::cmd::Cmd;
use serde::Deserialize;

use super::{figures, page};
use crate::packages::{self, Purpose};
use crate::{cargo, step, workspace};

/// The time may grow so many times from one machine to 32.
const GROWTH_LIMIT: f64 = 1.3;
/// Bytes of the image that is forecast, and of its chunks: about those of the release.
const IMAGE: u64 = 292 << 20;
const CHUNK: u64 = 512 << 10;
/// Bytes a second of links of 1 Gbit/s.
const GIGABIT: u64 = 125_000_000;
/// Racks that are forecast.
const FORECAST: [u64; 6] = [1, 8, 32, 100, 300, 1000];

/// What `pxe/benches/rack` measured.
#[derive(Deserialize)]
struct Measured {
    bytes: u64,
    mbit: u64,
    rows: Vec<Row>,
}

#[derive(Deserialize)]
struct Row {
    machines: u64,
    neighbours: f64,
    images: f64,
    http: f64,
    udpcast: Option<f64>,
}

/// What `swarm/examples/forecast.rs` says.
#[derive(Deserialize)]
struct Forecast {
    machines: u64,
    seconds: Option<f64>,
    images: f64,
}

/// Measures, and writes the section.
pub(super) fn run() -> anyhow::Result<()> {
    packages::ensure(&[Purpose::Compile, Purpose::Test, Purpose::Bench])?;
    let file = workspace().join("out/bench-rack.json");
    std::fs::create_dir_all(workspace().join("out")).context("cannot create out")?;
    step::run("rack", || {
        Ok(cargo()
            .args(["bench", "--locked", "-p", "maekin-pxe", "--bench", "rack", "--"])
            .arg(&file)
            .run()?)
    })?;
    let mut rows: Vec<Forecast> = Vec::new();
    step::run("forecast", || {
        let numbers = [IMAGE, CHUNK, GIGABIT, GIGABIT].into_iter().chain(FORECAST).map(|n| n.to_string());
        let forecast = Cmd::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()))
            .dir(workspace())
            .limit(Duration::from_secs(1800))
            .args([
                "run",
                "--quiet",
                "--locked",
                "--release",
                "-p",
                "maekin-swarm",
                "--example",
                "forecast",
                "--",
            ])
            .args(numbers);
        rows = forecast.json()?;
        Ok(())
    })?;
    page::write(&render(&figures(&file)?, &rows))?;
    Ok(())
}

fn render(measured: &Measured, forecast: &[Forecast]) -> String {
    let Measured { bytes, mbit, rows } = measured;
    let mut text = format!(
        "## A rack at once\n\nSeconds until every machine has one image of {} MB, in network namespaces where every link, \
         the master's too, carries {mbit} Mbit/s. With neighbours: the installer's own client, digests and writing \
         included. Plain HTTP: `curl` from the same master. udpcast: `udp-sender`, multicast at 95% of the link.\n\n\
         | machines | with neighbours | images' worth of bytes that left the master | plain HTTP | udpcast |\n\
         | ---: | ---: | ---: | ---: | ---: |\n",
        bytes / 1_000_000
    );
    // Writing to a string cannot fail.
    for Row { machines, neighbours, images, http, udpcast } in rows {
        let udpcast = udpcast.map_or("–".to_owned(), |s| format!("{s:.1}"));
        let _ = writeln!(text, "| {machines} | {neighbours:.1} | {images:.2} | {http:.1} | {udpcast} |");
    }
    let took = |n: u64, of: fn(&Row) -> Option<f64>| rows.iter().find(|r| r.machines == n).and_then(of);
    let growth = |of: fn(&Row) -> Option<f64>| Some(took(32, of)? / took(1, of)?);
    if let (Some(ours), Some(http)) = (growth(|r| Some(r.neighbours)), growth(|r| Some(r.http))) {
        let cast = growth(|r| r.udpcast).map_or(String::new(), |cast| format!(", udpcast {cast:.2}"));
        let verdict = if ours <= GROWTH_LIMIT { "reached" } else { "not reached" };
        let _ = writeln!(
            text,
            "\nGrowth from 1 to 32: {ours:.2} with neighbours (goal: at most {GROWTH_LIMIT}, {verdict}), plain HTTP \
             {http:.1}{cast}."
        );
    }
    let _ = write!(
        text,
        "\nForecast for an image of {} MB on links of 1 Gbit/s: the same decisions by the same code on links on paper, \
         with processors and drives that keep up (`swarm/src/sim.rs`).\n\n\
         | machines | seconds | images that leave the master |\n| ---: | ---: | ---: |\n",
        IMAGE / 1_000_000
    );
    for Forecast { machines, seconds, images } in forecast {
        let seconds = seconds.map_or("never".to_owned(), |s| format!("{s:.1}"));
        let _ = writeln!(text, "| {machines} | {seconds} | {images:.2} |");
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rack_the_section_holds_every_figure() {
        let row =
            |machines, neighbours, http, udpcast| Row { machines, neighbours, images: 1.25, http, udpcast };
        let measured = Measured {
            bytes: 33_000_000,
            mbit: 100,
            rows: vec![row(1, 2.0, 2.5, None), row(32, 2.5, 80.0, Some(3.0))],
        };
        let forecast = [Forecast { machines: 1000, seconds: Some(4.25), images: 1.0 }];
        let text = render(&measured, &forecast);
        for line in [
            "## A rack at once\n",
            "| 1 | 2.0 | 1.25 | 2.5 | – |",
            "| 32 | 2.5 | 1.25 | 80.0 | 3.0 |",
            "Growth from 1 to 32: 1.25 with neighbours (goal: at most 1.3, reached), plain HTTP 32.0.",
            "| 1000 | 4.2 | 1.00 |",
        ] {
            assert!(text.contains(line), "no {line:?} in\n{text}");
        }
    }
}
