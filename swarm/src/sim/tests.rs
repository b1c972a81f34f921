use super::*;

/// A rack of honest machines with an image of 256 chunks.
fn rack(n: usize) -> Rack {
    Rack {
        machines: vec![Manner::Honest; n],
        size: 128 << 20,
        chunk: 512 << 10,
        master: 12.5e6,
        link: 12.5e6,
        delay: 200,
        restart: None,
        seed: 1,
    }
}

fn last(rack: &Rack) -> f64 {
    forecast(rack).last().expect("everybody ends")
}

#[test]
fn rack_time_hardly_grows_with_the_number_of_machines() {
    let one = last(&rack(1));
    let pure = (128 << 20) as f64 / 12.5e6;
    assert!(one < pure * 1.1, "one alone: {one:.1} s where the link takes {pure:.1} s");
    for (n, most) in [(2, 1.1), (8, 1.2), (32, 1.3)] {
        let whole = forecast(&rack(n));
        let ratio = whole.last().unwrap() / one;
        assert!(ratio < most, "{n}: {ratio:.2}");
        let images = whole.master_bytes as f64 / (128 << 20) as f64;
        assert!(images < 1.5, "{n}: {images:.2} images left the master");
    }
}

#[test]
fn rack_trouble_costs_seconds_and_never_the_end() {
    let good = last(&rack(16));
    let with = |change: &dyn Fn(&mut Rack)| {
        let mut rack = rack(16);
        change(&mut rack);
        rack
    };
    let rows: [(&str, Rack, f64); 8] = [
        ("a liar", with(&|r| r.machines[3] = Manner::Liar), 8.0),
        ("four liars", with(&|r| r.machines[..4].fill(Manner::Liar)), 10.0),
        ("one vanishes", with(&|r| r.machines[5] = Manner::Vanishes(3000)), 8.0),
        ("half of them vanish", with(&|r| r.machines[..8].fill(Manner::Vanishes(4000))), 15.0),
        ("a slow one", with(&|r| r.machines[2] = Manner::Slow), 6.0),
        // It is served by the master alone, when that has time for it.
        ("one behind a firewall", with(&|r| r.machines[7] = Manner::Alone), 1.2 * good),
        ("the tracker starts anew", with(&|r| r.restart = Some(4000)), 3.0),
        ("a late one", with(&|r| r.machines[9] = Manner::Late(9000)), 9.0),
    ];
    for (name, rack, cost) in rows {
        let took = last(&rack);
        assert!(took - good < cost, "{name}: {took:.1} s where {good:.1} s are usual");
    }
}

#[test]
fn rack_where_nobody_reaches_a_neighbour_the_master_serves_all() {
    let mut rack = rack(4);
    rack.machines.fill(Manner::Alone);
    let whole = forecast(&rack);
    let took = whole.last().expect("everybody ends");
    let unicast = 4.0 * (128 << 20) as f64 / 12.5e6;
    assert!(took < unicast * 1.3, "{took:.1} s where plain HTTP takes {unicast:.1} s");
    assert_eq!(whole.tally.neighbours, 0);
}

#[test]
fn rack_the_same_seed_gives_the_same_rack() {
    let (a, b) = (forecast(&rack(9)), forecast(&rack(9)));
    assert_eq!((a.seconds, a.master_bytes), (b.seconds, b.master_bytes));
}
