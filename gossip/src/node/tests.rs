use super::pace::MESSAGE;
use super::*;

fn s(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

fn node(id: u8, port: u16) -> Gossip {
    let address = SocketAddr::from(([127, 0, 0, 1], port));
    let identity = Identity { cluster: [1; 16], id: NodeId([id; 16]), generation: 1 << 20, address };
    let mut gossip = Gossip::new(&identity, &[7; 32], id.into(), Duration::ZERO);
    let seeds = [1, 2].map(|id: u8| (NodeId([id; 16]), SocketAddr::from(([127, 0, 0, 1], id.into()))));
    gossip.set_seeds(seeds.to_vec());
    gossip
}

/// Runs two nodes until `end`, without delay or loss; `a` stands still from `still` on.
fn run(a: &mut Gossip, b: &mut Gossip, from: Duration, end: Duration) {
    let mut now = from;
    while now < end {
        a.tick(now);
        b.tick(now);
        for _ in 0..10 {
            while let Some((_, packet)) = a.poll_packet() {
                b.receive(&packet, now);
            }
            while let Some((_, packet)) = b.poll_packet() {
                a.receive(&packet, now);
            }
        }
        now = a.next_due().min(b.next_due()).max(now + Duration::from_millis(1));
    }
}

#[test]
fn gossip_a_node_that_stood_still_accuses_nobody() {
    let (mut a, mut b) = (node(1, 1), node(2, 2));
    run(&mut a, &mut b, Duration::ZERO, s(10));
    assert_eq!((a.alive(), b.alive()), (1, 1));
    // Both stand still, in the middle of a round: as when the host of two virtual machines is busy.
    run(&mut a, &mut b, s(7200), s(7230));
    assert_eq!((a.alive(), b.alive()), (1, 1));
    let downs = |gossip: &mut Gossip| {
        std::iter::from_fn(|| gossip.poll_event()).filter(|event| matches!(event, Event::Down(_))).count()
    };
    assert_eq!((downs(&mut a), downs(&mut b)), (0, 0));
}

#[test]
fn gossip_the_largest_messages_fit_into_a_packet() {
    let mut sim = crate::sim::Sim::new(120, crate::sim::Network::GOOD, 4);
    // Everybody tells a newcomer of as many as there is room for.
    sim.run(s(20));
    assert!(sim.agreed());
    let longest = crate::status::MAX_VERSION;
    let mut a = node(1, 1);
    a.set_status(Status { version: "x".repeat(longest), ..Status::default() });
    let status = Status { version: "y".repeat(longest), ..Status::default() };
    for id in 3..6 {
        a.spread.learn(News { id: NodeId([id; 16]), stamp: (1, 1), status: status.clone() }, s(0), 9);
    }
    let to = Peer { id: NodeId([2; 16]), generation: 0, address: ([127, 0, 0, 1], 2).into() };
    a.send(&to, &vec![0; MESSAGE.get()]);
    assert!(a.poll_packet().is_some());
}
