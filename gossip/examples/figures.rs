//! What gossip costs and how soon it notices, on paper: `cargo run -p maekin-gossip --release --example figures`.
//! The same figures at every run: all randomness comes from seeds. The last line takes longest.

use std::time::{Duration, Instant};

use maekin_gossip::sim::{Network, Sim};

const fn s(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

/// Lengths of the headers of UDP and IPv4 together, bytes.
const HEADERS: f64 = 28.0;

fn main() {
    println!("nodes  assembled   B/s a node  with UDP/IP   noticed: median    99 %  longest   (took)");
    for (nodes, deaths) in [(3, 40), (4, 40), (5, 40), (10, 40), (50, 20), (200, 20), (1000, 5)] {
        row(nodes, deaths);
    }
    hour();
}

fn row(nodes: usize, deaths: usize) {
    let begin = Instant::now();
    let mut sim = Sim::new(nodes, Network::GOOD, 1);
    let assembled = sim.run_until_agreed(s(600)).unwrap_or_default();
    sim.run(s(60 + nodes as u64)); // the first news have been told
    let (before, window) = (sim.counters(), s(60));
    sim.run(window);
    let after = sim.counters();
    let a_second = window.as_secs_f64() * nodes as f64;
    let bytes = (after.sent_bytes - before.sent_bytes) as f64 / a_second;
    let packets = (after.sent - before.sent) as f64 / a_second;
    let mut times = Vec::new();
    for death in 0..deaths {
        sim.noticed();
        let (at, node) = (sim.now(), death % nodes);
        sim.kill(node);
        sim.run(s(20) + Duration::from_millis(death as u64 * 137));
        let noticed = sim.noticed();
        assert!(noticed.iter().all(|n| n.of == node && !n.up), "somebody else was accused");
        times.extend(noticed.iter().map(|n| n.at - at));
        sim.start(node);
        sim.run_until_agreed(s(600));
        sim.run(s(30));
    }
    times.sort_unstable();
    let at = |percent: usize| times[(times.len() - 1) * percent / 100].as_secs_f64();
    println!(
        "{nodes:5}  {:7.1} s  {bytes:11.1}  {:11.1}  {:15.2} s  {:5.2} s  {:5.2} s   ({:.1} s)",
        assembled.as_secs_f64(),
        bytes + packets * HEADERS,
        at(50),
        at(99),
        at(100),
        begin.elapsed().as_secs_f64(),
    );
}

/// An hour of 50 nodes whose network loses one packet of a hundred.
fn hour() {
    let begin = Instant::now();
    let mut sim = Sim::new(50, Network::LOSSY, 2);
    sim.run_until_agreed(s(600));
    sim.noticed();
    let before = sim.counters();
    sim.run(s(3600));
    let after = sim.counters();
    println!(
        "an hour of 50 nodes with 1 % loss: {} false alarms, {:.1} B/s a node  ({:.1} s)",
        sim.noticed().iter().filter(|n| !n.up).count(),
        (after.sent_bytes - before.sent_bytes) as f64 / 3600.0 / 50.0,
        begin.elapsed().as_secs_f64(),
    );
}
