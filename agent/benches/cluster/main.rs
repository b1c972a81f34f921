//! What a cluster at rest costs, and how soon it notices a death: 3, 10 and 50 of the built agents with the real etcd, in
//! network namespaces.
//!
//! `cargo bench -p maekin-agent --bench cluster -- [FILE [N...]]` prints it, and writes it to FILE as JSON.

#![allow(clippy::expect_used, clippy::panic)] // a measurement that cannot be made ends in words

use std::path::{Path, PathBuf};
use std::thread;
use std::time::{Duration, Instant};

use maekin_api::nodes::NodeState;
use maekin_host::wait;
use maekin_lab::rack::{EVERY, Rack};
use maekin_lab::seeded::Seeded;
use serde_json::{Value, json};

/// How long a rack may take to be whole.
const LIMIT: Duration = Duration::from_secs(900);
/// What is not counted after it is: joining has an echo.
const SETTLE: Duration = Duration::from_secs(40);
/// How long is counted.
const COUNT: Duration = Duration::from_secs(60);
/// How many deaths are timed, in the rack of ten.
const DEATHS: usize = 24;
const DYING: usize = 10;

fn main() {
    let mut args = std::env::args().skip(1).filter(|arg| arg != "--bench");
    let file = args.next().map(PathBuf::from);
    let mut counts: Vec<usize> = args.map(|n| n.parse().expect("a number of nodes")).collect();
    if counts.is_empty() {
        counts = vec![3, 10, 50];
    }
    if !maekin_lab::possible("the bench") {
        return;
    }
    // Each rack has a network of its own, and so a thread.
    let one = |n| thread::spawn(move || measure(n)).join().expect("a measurement");
    let rows: Vec<Value> = counts.into_iter().map(one).collect();
    let all = json!({ "rows": rows });
    println!("{all:#}");
    if let Some(file) = file {
        maekin_host::file::write_atomic(&file, all.to_string().as_bytes(), 0o644).expect("a file");
    }
}

/// Lets time go by.
fn pause(time: Duration) {
    let begun = Instant::now();
    let over = || (begun.elapsed() >= time).then_some(());
    wait::until("time to go by", time * 2, Duration::from_millis(50), over).expect("time goes by");
}

fn measure(n: usize) -> Value {
    let begun = Instant::now();
    let mut rack =
        Rack::raised(Path::new(env!("CARGO_BIN_EXE_maekin-agent")), n, n as u64, LIMIT).expect("a rack");
    let whole = begun.elapsed().as_secs_f64();
    eprintln!("{n}: whole after {whole:.1} s");
    pause(SETTLE);
    let (before, ticks, from) = (rack.switch.traffic().expect("counters"), spent(&rack), Instant::now());
    pause(COUNT);
    let (after, seconds) = (rack.switch.traffic().expect("counters"), from.elapsed().as_secs_f64());
    let traffic = after.since(&before);
    let each = |bytes: u64| bytes as f64 / seconds / n as f64;
    let percent = |now: &[u64], then: &[u64]| {
        let spent = now.iter().zip(then).map(|(now, then)| now.saturating_sub(*then) as f64 / seconds);
        sorted(spent.collect()) // a tick is a hundredth of a second: so many a second are so many percent
    };
    let now = spent(&rack);
    let (agent, etcd) = (percent(&now.0, &ticks.0), percent(&now.1, &ticks.1));
    let rss =
        sorted(rack.nodes.iter().flat_map(|node| node.processes("maekin-agent")).map(resident).collect());
    let rss_etcd = sorted(rack.nodes.iter().flat_map(|node| node.processes("etcd")).map(resident).collect());
    let mut row = json!({
        "nodes": n, "whole": whole,
        "gossip": each(traffic.gossip), "record": each(traffic.record), "api": each(traffic.api), "other": each(traffic.other),
        "rss": middle(&rss), "rss_most": rss.last(), "cpu": middle(&agent), "cpu_most": agent.last(),
        "etcd_rss": middle(&rss_etcd), "etcd_cpu": middle(&etcd), "etcd_cpu_most": etcd.last(),
    });
    eprintln!("{n}: {row}");
    if n == DYING {
        let noticed = deaths(&mut rack, n);
        eprintln!("{n}: a death noticed after {noticed:.1?}");
        row["deaths"] = json!({ "count": noticed.len(), "median": middle(&noticed), "most": noticed.last() });
    }
    row
}

/// Kills one node after another; seconds until the first node says that it does not answer, in order of size.
fn deaths(rack: &mut Rack, n: usize) -> Vec<f64> {
    let mut seeded = Seeded::new(10);
    let mut noticed = Vec::new();
    for _ in 0..DEATHS {
        let victim = 1 + seeded.index(n - 1);
        let (api, name) = (rack.nodes[0].api(), rack.nodes[victim].name.clone());
        let is = |state: NodeState| {
            let nodes = api.nodes().ok()?;
            nodes.iter().any(|node| node.name == name && node.state == state).then_some(())
        };
        wait::until("it to be ready", LIMIT, EVERY, || is(NodeState::Ready)).expect("a node that is ready");
        pause(Duration::from_millis(2000 + seeded.below(3000)));
        rack.cut_power(victim);
        let begun = Instant::now();
        wait::until("its death to be noticed", LIMIT, Duration::from_millis(50), || {
            is(NodeState::Unreachable)
        })
        .expect("it is noticed");
        noticed.push(begun.elapsed().as_secs_f64());
        rack.power_on(victim).expect("it starts again");
    }
    sorted(noticed)
}

/// Ticks of processor time of each agent, and of each etcd.
fn spent(rack: &Rack) -> (Vec<u64>, Vec<u64>) {
    let of = |program: &str| rack.nodes.iter().flat_map(|node| node.processes(program)).map(ticks).collect();
    (of("maekin-agent"), of("etcd"))
}

/// utime and stime: fields 14 and 15 of proc_pid_stat(5).
fn ticks(pid: u32) -> u64 {
    let text = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    let fields = text.rsplit_once(')').map_or("", |(_, rest)| rest).split_whitespace();
    fields.skip(11).take(2).filter_map(|field| field.parse::<u64>().ok()).sum()
}

/// MiB that are in memory.
fn resident(pid: u32) -> f64 {
    let text = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
    let line = text.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let kib = line.and_then(|rest| rest.trim().trim_end_matches(" kB").parse::<f64>().ok());
    kib.unwrap_or_default() / 1024.0
}

fn sorted(mut values: Vec<f64>) -> Vec<f64> {
    values.sort_by(f64::total_cmp);
    values
}

/// The middle one; 0 of none.
fn middle(sorted: &[f64]) -> f64 {
    sorted.get(sorted.len() / 2).copied().unwrap_or_default()
}
