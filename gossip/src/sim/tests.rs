use super::*;

const fn s(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

fn assembled(nodes: usize, network: Network, seed: u64) -> Sim {
    let mut sim = Sim::new(nodes, network, seed);
    let took = sim.run_until_agreed(s(60));
    assert!(took.is_some(), "{nodes} nodes have not found each other in a minute");
    sim.run(s(20));
    sim.noticed();
    sim
}

/// Bytes of packets that each node sends a second, without headers of UDP and IP.
fn bytes_a_second(sim: &mut Sim, nodes: usize, time: Duration) -> f64 {
    let before = sim.counters().sent_bytes;
    sim.run(time);
    (sim.counters().sent_bytes - before) as f64 / time.as_secs_f64() / nodes as f64
}

#[test]
fn gossip_costs_each_node_the_same_in_every_cluster() {
    let mut costs = Vec::new();
    for nodes in [3, 4, 5, 10, 50] {
        let mut sim = assembled(nodes, Network::GOOD, 1);
        sim.run(s(60)); // the first news have been told
        costs.push((nodes, bytes_a_second(&mut sim, nodes, s(60))));
    }
    println!("{costs:?}");
    let least = costs.iter().map(|(_, cost)| *cost).fold(f64::MAX, f64::min);
    for (nodes, cost) in &costs {
        assert!(*cost < 146.0, "{nodes} nodes: {cost} B/s each");
        assert!(cost - least < 10.0, "{nodes} nodes: {cost} B/s each, and {least} in others");
    }
}

#[test]
fn gossip_a_dead_node_is_noticed_in_five_seconds() {
    let mut times = Vec::new();
    for nodes in [3, 10, 50] {
        for seed in 0..if nodes == 50 { 5 } else { 20 } {
            let mut sim = assembled(nodes, Network::GOOD, seed);
            let death = sim.now();
            sim.kill(0);
            sim.run(s(15));
            let noticed = sim.noticed();
            assert!(noticed.iter().all(|n| n.of == 0 && !n.up), "{nodes} nodes, seed {seed}: {noticed:?}");
            assert_eq!(noticed.len(), nodes - 1, "{nodes} nodes, seed {seed}: all notice, once");
            times.extend(noticed.iter().map(|n| (n.at - death).as_millis()));
        }
    }
    times.sort_unstable();
    let (median, last) = (times[times.len() / 2], times[times.len() - 1]);
    println!("median {median} ms, longest {last} ms");
    assert!(median <= 5000, "{median} ms");
    assert!(last <= 12_000, "{last} ms");
}

#[test]
fn gossip_nobody_is_accused_falsely_when_packets_are_lost() {
    let mut sim = assembled(50, Network::LOSSY, 3);
    sim.run(s(240));
    assert_eq!(sim.noticed(), []);
    assert_eq!(sim.counters().buried, 0);
}

#[test]
fn gossip_a_node_comes_back_whatever_happened_to_it() {
    let rows: [(&str, u64); 4] = [
        ("its agent was killed", 0),
        ("it restarted", 3),
        ("it was off for a while", 60),
        ("for hours", 7200),
    ];
    for (name, off) in rows {
        for seed in 0..3 {
            let mut sim = assembled(5, Network::LOSSY, seed);
            sim.kill(2);
            sim.run(s(off));
            sim.start(2);
            let took = sim.run_until_agreed(s(30)).unwrap_or_else(|| panic!("{name}, seed {seed}"));
            assert!(took <= s(15), "{name}, seed {seed}: {took:?}");
            assert!(sim.noticed().iter().all(|n| n.of == 2 || n.by == 2), "{name}: nobody else was accused");
        }
    }
}

#[test]
fn gossip_a_changed_address_is_followed() {
    for seed in 0..3 {
        let mut sim = assembled(5, Network::GOOD, seed);
        let new: SocketAddr = "10.9.9.9:8946".parse().unwrap();
        sim.move_to(2, new);
        assert!(sim.run_until_agreed(s(10)).is_some(), "seed {seed}");
        sim.run(s(30));
        assert!(sim.agreed(), "seed {seed}");
        for other in [0, 1, 3, 4] {
            let peers = sim.gossip(other).unwrap().peers();
            assert_eq!(peers.iter().find(|peer| peer.id == id(2)).unwrap().address, new, "seed {seed}");
        }
        assert!(sim.noticed().iter().all(|n| n.up || n.of == 2), "seed {seed}");
    }
}

#[test]
fn gossip_a_parted_cluster_knows_it_and_heals() {
    for (nodes, few) in [(3, 1), (5, 2), (20, 10)] {
        let mut sim = assembled(nodes, Network::GOOD, 7);
        for node in 0..few {
            sim.part(node, 1);
        }
        sim.run(s(60));
        assert!(sim.agreed(), "{nodes} nodes: each side knows who is on it");
        for node in 0..few {
            sim.part(node, 0);
        }
        let healed = sim.run_until_agreed(s(60)).expect("it heals");
        assert!(healed <= s(30), "{nodes} nodes: {healed:?}");
        sim.run(s(60));
        assert!(sim.agreed(), "{nodes} nodes: and stays whole");
    }
}

#[test]
fn gossip_a_cluster_that_lost_power_comes_back_in_any_order() {
    let mut sim = assembled(5, Network::GOOD, 11);
    for node in 0..5 {
        sim.kill(node);
    }
    sim.run(s(3600));
    for node in [3, 0, 4, 2, 1] {
        sim.start(node);
        sim.run(s(20));
        assert!(sim.agreed(), "after {node}");
    }
}

#[test]
fn gossip_news_of_a_node_reach_all_in_seconds() {
    let mut sim = assembled(50, Network::LOSSY, 5);
    let news = Status { boot: BootHealth::Degraded, version: "0.2.0".into(), ..Status::default() };
    sim.gossip(7).unwrap().set_status(news.clone());
    let told = |sim: &mut Sim, node: usize| {
        let peers = sim.gossip(node).unwrap().peers();
        peers.into_iter().find(|peer| peer.id == id(7)).and_then(|peer| peer.status).map(|said| said.0)
    };
    sim.run(s(15));
    for node in (0..50).filter(|node| *node != 7) {
        assert_eq!(told(&mut sim, node).as_ref(), Some(&news), "node {node}");
    }
}

#[test]
fn gossip_strangers_change_nothing_and_are_counted() {
    let mut sim = assembled(3, Network::GOOD, 2);
    let before = sim.gossip(0).unwrap().peers();
    sim.inject(0, vec![]);
    sim.inject(0, vec![1; 1500]);
    sim.inject(0, vec![1; 100]);
    sim.inject(0, vec![7; 100]);
    sim.run(s(1));
    let counters = sim.gossip(0).unwrap().counters();
    assert_eq!((counters.malformed, counters.strangers), (3, 1));
    let same = |a: &[crate::node::PeerView]| {
        let mut all: Vec<_> = a.iter().map(|p| (p.id, p.address, p.liveness)).collect();
        all.sort_by_key(|row| row.0);
        all
    };
    assert_eq!(same(&before), same(&sim.gossip(0).unwrap().peers()));
}

#[test]
fn gossip_a_removed_member_is_not_listened_to() {
    let mut sim = assembled(5, Network::GOOD, 2);
    for node in [0, 1, 2, 3] {
        sim.gossip(node).unwrap().set_removed([id(4)]);
    }
    sim.run(s(30));
    for node in [0, 1, 2, 3] {
        let gossip = sim.gossip(node).unwrap();
        assert!(gossip.counters().removed > 0);
        assert!(gossip.peers().iter().all(|peer| peer.id != id(4)));
        assert_eq!(gossip.alive(), 3);
    }
}
