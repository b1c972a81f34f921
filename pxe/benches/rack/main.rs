//! How long a rack of 1, 8, 16 and 32 machines takes to have one image, in network namespaces with links of limited
//! speed: with chunks from neighbours, by plain HTTP from the master (curl(1)), and by multicast (udp-sender(1)).
//!
//! `cargo bench -p maekin-pxe --bench rack -- [FILE [N...]]` prints it, and writes it to FILE as JSON.

#![allow(clippy::expect_used, clippy::panic)] // a measurement that cannot be made ends in words

#[path = "../../tests/rack/machine.rs"]
#[allow(dead_code)]
mod machine;
#[path = "../../tests/rack/rig.rs"]
#[allow(dead_code)]
mod rig;

use std::path::PathBuf;
use std::time::{Duration, Instant};

use machine::begin;
use maekin_host::cmd::{self, Cmd};
use rig::{HTTP, Rack, possible};

/// Bytes of the image, and of a chunk: half as many chunks as the real image has.
const SIZE: usize = 32 << 20;
const CHUNK: u32 = 128 << 10;
/// Speed of every link: so that two processors keep up with 32 machines at once.
const MBIT: u32 = 50;
const LIMIT: Duration = Duration::from_secs(900);

fn main() {
    let mut args = std::env::args().skip(1).filter(|arg| arg != "--bench");
    let file = args.next().map(PathBuf::from);
    let mut counts: Vec<usize> = args.map(|n| n.parse().expect("a number of machines")).collect();
    if counts.is_empty() {
        counts = vec![1, 8, 16, 32];
    }
    if !possible("rack") {
        return;
    }
    let rows: Vec<serde_json::Value> = counts.into_iter().map(measure).collect();
    let all = serde_json::json!({ "bytes": SIZE, "chunk": CHUNK, "mbit": MBIT, "rows": rows });
    println!("{all:#}");
    if let Some(file) = file {
        maekin_host::file::write_atomic(&file, all.to_string().as_bytes(), 0o644).expect("a file");
    }
}

fn measure(n: usize) -> serde_json::Value {
    let rack = Rack::new(n, MBIT, SIZE, CHUNK);
    let (neighbours, left) = by_neighbours(&rack, n);
    eprintln!("{n}: with neighbours {neighbours:.2} s, {left:.2} images from the master");
    let http = by_http(&rack, n);
    eprintln!("{n}: plain HTTP {http:.2} s");
    let udpcast = cmd::exists("udp-sender").then(|| by_multicast(&rack, n));
    eprintln!("{n}: udpcast {udpcast:.2?} s");
    serde_json::json!({
        "machines": n, "neighbours": neighbours, "images": left, "http": http, "udpcast": udpcast,
    })
}

fn right(rack: &Rack, n: usize) {
    let disk = std::fs::read(rack.disk(n)).expect("what was written");
    assert!(disk == rack.image, "machine {n} has something else");
    std::fs::remove_file(rack.disk(n)).expect("a file");
}

/// Seconds, and bytes that left the master's interface as images.
fn by_neighbours(rack: &Rack, n: usize) -> (f64, f64) {
    let before = rack.sent_by_master();
    let start = Instant::now();
    let begun: Vec<_> = (0..n).map(|m| begin(rack, m, |_| ())).collect();
    let fetched: Vec<_> = begun.iter().map(|b| b.recv_timeout(LIMIT).expect("an end")).collect();
    let took = start.elapsed().as_secs_f64();
    let sent = rack.sent_by_master() - before;
    for (m, fetched) in fetched.into_iter().enumerate() {
        let seeder = fetched.unwrap_or_else(|e| panic!("machine {m}: {e}"));
        drop(seeder);
        right(rack, m);
    }
    (took, sent as f64 / SIZE as f64)
}

fn by_http(rack: &Rack, n: usize) -> f64 {
    each(rack, n, None, |disk| {
        let curl = Cmd::new("curl").args(["--silent", "--show-error", "--fail", "--output"]).arg(disk);
        curl.arg(format!("{HTTP}/release/root"))
    })
}

fn by_multicast(rack: &Rack, n: usize) -> f64 {
    let receivers = n.to_string();
    let sender = Cmd::new("udp-sender")
        .args(["--interface", "e0", "--nokbd", "--min-receivers", &receivers, "--max-wait", "20"])
        .args(["--max-bitrate", &format!("{}m", MBIT * 95 / 100), "--file"])
        .arg(rack.dir.path().join("root"));
    each(rack, n, Some(sender), |disk| {
        Cmd::new("udp-receiver").args(["--interface", "e0", "--nokbd", "--file"]).arg(disk)
    })
}

/// Seconds until the command that `of` makes for each machine's disk has ended on all of them.
fn each(rack: &Rack, n: usize, master: Option<Cmd>, of: impl Fn(PathBuf) -> Cmd) -> f64 {
    let start = Instant::now();
    let sending = master.map(|cmd| rack.master.start(move || cmd.limit(LIMIT).output()));
    let running: Vec<_> = (0..n)
        .map(|m| {
            let cmd = of(rack.disk(m)).limit(LIMIT);
            rack.machines[m].start(move || cmd.output())
        })
        .collect();
    for ended in running.iter().chain(&sending) {
        ended.recv_timeout(LIMIT).expect("an end").expect("it works");
    }
    let took = start.elapsed().as_secs_f64();
    (0..n).for_each(|m| right(rack, m));
    took
}
