//! Clusters that put themselves together while nodes lose their power, in namespaces, with the built agent and the real
//! etcd: whatever is cut off and whenever, it ends whole, and nothing that was acknowledged is missing.

#![allow(clippy::expect_used, clippy::panic)] // a test says by panicking that it failed

use std::path::Path;
use std::thread;
use std::time::{Duration, Instant};

use maekin_api::nodes::NodeState;
use maekin_lab::pace;
use maekin_lab::rack::{EVERY, Rack};
use maekin_lab::seeded::Seeded;
use maekin_lab::writer::Writers;

/// How long a cluster may take to become whole where the machine does nothing else.
const LIMIT: Duration = Duration::from_secs(180);
/// The moments that power fails at lie within this time of a node's first start: by then three nodes are together.
const ASSEMBLY: u64 = 14_000;
/// For how long it is away at most.
const AWAY: u64 = 5_000;

fn agent() -> &'static Path {
    Path::new(env!("CARGO_BIN_EXE_maekin-agent"))
}

/// What loses its power.
#[derive(Debug, Clone, Copy)]
enum Fails {
    /// So many of the nodes, at one moment.
    Some(usize),
    /// All of them.
    All,
}

/// Waits until `at` milliseconds after `begun`.
fn until(begun: Instant, what: &str, at: u64) {
    let there = || (begun.elapsed() >= Duration::from_millis(at)).then_some(());
    pace::until(what, LIMIT, Duration::from_millis(5), there).expect("time goes on");
}

/// Raises a rack; at a moment that the seed decides power fails, and comes back a while later in an order that it decides.
fn assemble(nodes: usize, fails: Fails, seed: u64) {
    let mut seeded = Seeded::new(seed);
    let victims = match fails {
        Fails::Some(count) => seeded.some(count, nodes),
        Fails::All => seeded.some(nodes, nodes),
    };
    let (moment, away) = (seeded.below(ASSEMBLY), seeded.below(AWAY));
    eprintln!(
        "seed {seed}: {fails:?} of {nodes}: {victims:?} without power {moment} ms after their start, for {away} ms"
    );
    let mut rack = Rack::new(agent(), nodes, seed).expect("a rack");
    let writers = Writers::start(3, &rack.apis(), seed);
    let begun = Instant::now();
    let invited = rack.begin(LIMIT).expect("the first node starts");
    let fail = |rack: &mut Rack| {
        if victims.is_empty() {
            return;
        }
        until(Instant::now(), "the moment that power fails", moment);
        victims.iter().for_each(|n| rack.cut_power(*n));
        eprintln!("seed {seed}: power failed after {:.1?}", begun.elapsed());
        until(Instant::now(), "power to come back", away);
        for n in &victims {
            rack.power_on(*n).expect("it starts");
            until(Instant::now(), "the next one to be switched on", away / 8);
        }
    };
    let only_first = victims == [0];
    if only_first {
        fail(&mut rack); // the others may begin before, in the middle, or after it
    }
    let intent =
        pace::until("the cluster to be made", LIMIT, EVERY, || invited.try_recv().ok()).expect("a cluster");
    rack.join(&intent).expect("the others start");
    if !only_first {
        fail(&mut rack);
    }
    rack.whole(LIMIT).expect("the cluster is whole");
    let whole = begun.elapsed();
    writers.progress(10, LIMIT).expect("writes are acknowledged");
    let verdict = writers.finish(&rack.nodes[nodes - 1].api()).expect("one history");
    eprintln!("seed {seed}: whole after {whole:.1?}; {verdict:?}");
}

/// Runs so many racks beside each other, each in a thread and a network of its own, until all seeds had their turn.
fn sweep(seeds: impl Iterator<Item = u64> + Send, beside: usize, one: impl Fn(u64) + Sync) {
    let seeds = std::sync::Mutex::new(seeds);
    thread::scope(|scope| {
        for _ in 0..beside {
            scope.spawn(|| {
                loop {
                    let next = seeds.lock().expect("no other seed failed").next();
                    let Some(seed) = next else { return };
                    one(seed);
                }
            });
        }
    });
}

#[test]
fn assembly_three_nodes_untouched() {
    if !maekin_lab::possible("assembly_three_nodes_untouched") {
        return;
    }
    assemble(3, Fails::Some(0), 1);
}

#[test]
fn assembly_whichever_node_loses_power_at_whatever_moment() {
    if !maekin_lab::possible("assembly_whichever_node_loses_power_at_whatever_moment") {
        return;
    }
    // `assembly_whoever_loses_power_in_a_long_sweep` does many more.
    sweep(1..=3, 3, |seed| assemble(3, Fails::Some(1), seed));
}

#[test]
fn assembly_two_of_five_lose_power() {
    if !maekin_lab::possible("assembly_two_of_five_lose_power") {
        return;
    }
    assemble(5, Fails::Some(2), 7);
}

#[test]
fn assembly_all_lose_power_at_once() {
    if !maekin_lab::possible("assembly_all_lose_power_at_once") {
        return;
    }
    sweep(1..=2, 2, |seed| assemble(3, Fails::All, seed));
}

#[test]
#[ignore = "long: 40 assemblies, a quarter of an hour"]
fn assembly_whoever_loses_power_in_a_long_sweep() {
    if !maekin_lab::possible("assembly_whoever_loses_power_in_a_long_sweep") {
        return;
    }
    sweep(100..124, 3, |seed| assemble(3, Fails::Some(1), seed));
    sweep(200..208, 2, |seed| assemble(5, Fails::Some(2), seed));
    sweep(300..308, 3, |seed| assemble(if seed % 2 == 0 { 3 } else { 5 }, Fails::All, seed));
}

/// Raises many nodes; two of them lose their power; all see each other.
fn many(nodes: usize, limit: Duration) {
    let begun = Instant::now();
    let mut rack = Rack::raised(agent(), nodes, 50, limit).expect("a whole rack");
    let whole = begun.elapsed();
    let writers = Writers::start(3, &rack.apis()[..3], 50);
    let victims: Vec<usize> = Seeded::new(50).some(2, nodes - 3).into_iter().map(|n| n + 3).collect();
    victims.iter().for_each(|n| rack.cut_power(*n));
    writers.progress(20, LIMIT).expect("writes are acknowledged");
    for n in victims {
        rack.power_on(n).expect("it starts");
    }
    let again = rack.whole(limit).expect("the cluster is whole again");
    for node in &rack.nodes {
        let ready = || {
            let seen = node.api().nodes().ok()?;
            (seen.len() == nodes && seen.iter().all(|info| info.state == NodeState::Ready)).then_some(())
        };
        let what = format!("{} to see all others", node.name);
        pace::until(&what, LIMIT, EVERY, ready).unwrap_or_else(|e| panic!("{e}\n{}", rack.said()));
    }
    let verdict = writers.finish(&rack.nodes[nodes - 1].api()).expect("one history");
    eprintln!("{nodes} nodes: whole after {whole:.1?}, whole again after {again:.1?}; {verdict:?}");
}

#[test]
fn assembly_twelve_nodes() {
    if maekin_lab::possible("assembly_twelve_nodes") {
        many(12, LIMIT);
    }
}

#[test]
#[ignore = "long: 50 agents and a few minutes"]
fn assembly_fifty_nodes() {
    if maekin_lab::possible("assembly_fifty_nodes") {
        many(50, Duration::from_secs(900));
    }
}
