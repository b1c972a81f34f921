//! Forecasts racks of several sizes, for `cargo xtask bench --only rack`: JSON on standard output.
//!
//! `forecast SIZE CHUNK MASTER LINK N...`: bytes of the image and of a chunk, bytes a second of the master's link and of
//! each machine's, and numbers of machines.

use maekin_swarm::sim::{Manner, Rack, forecast};
use std::process::ExitCode;

fn main() -> ExitCode {
    let numbers: Vec<u64> = std::env::args().skip(1).map_while(|arg| arg.parse().ok()).collect();
    let [size, chunk, master, link, machines @ ..] = numbers.as_slice() else {
        eprintln!("usage: forecast SIZE CHUNK MASTER LINK N...");
        return ExitCode::FAILURE;
    };
    let rack = |n: u64| Rack {
        machines: vec![Manner::Honest; usize::try_from(n).unwrap_or(0)],
        size: *size,
        chunk: *chunk,
        master: *master as f64,
        link: *link as f64,
        delay: 200,
        restart: None,
        seed: 1,
    };
    let rows: Vec<serde_json::Value> = machines
        .iter()
        .map(|n| {
            let whole = forecast(&rack(*n));
            serde_json::json!({
                "machines": n,
                "seconds": whole.last(),
                "images": whole.master_bytes as f64 / *size as f64,
                "requests": whole.master_requests,
                "twice": whole.tally.twice,
            })
        })
        .collect();
    println!("{}", serde_json::Value::from(rows));
    ExitCode::SUCCESS
}
