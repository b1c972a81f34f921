use super::*;
use proptest::prelude::*;

fn ip(n: u8) -> IpAddr {
    IpAddr::from([10, 0, 0, n])
}

fn told(count: usize, have: &[usize]) -> Told {
    let mut bitmap = Bitmap::new(count);
    have.iter().for_each(|i| bitmap.set(*i));
    Told { port: 7000, covered: bitmap.clone(), have: bitmap, stuck: false }
}

fn stuck(count: usize, have: &[usize]) -> Told {
    Told { stuck: true, ..told(count, have) }
}

fn chunk(grant: Grant) -> usize {
    match grant {
        Grant::Chunk(i) => i,
        other => panic!("{other:?}"),
    }
}

#[test]
fn rack_newcomers_are_sent_different_chunks_first() {
    let mut tracker = Tracker::new(100, Limits { sending: 50, ..Limits::default() }, 1);
    (1..=50).for_each(|n| drop(tracker.announce(0, ip(n), &told(100, &[]))));
    let first: std::collections::BTreeSet<usize> =
        (1..=50).map(|n| chunk(tracker.grant(0, ip(n), &told(100, &[])))).collect();
    assert_eq!(first.len(), 50);
}

#[test]
fn rack_one_machine_alone_is_sent_everything_once() {
    let mut tracker = Tracker::new(40, Limits::default(), 1);
    let mut have = Vec::new();
    for at in 0..40 {
        have.push(chunk(tracker.grant(at * 10, ip(1), &told(40, &have))));
    }
    have.sort_unstable();
    assert!(have.iter().copied().eq(0..40));
    assert_eq!(tracker.grant(500, ip(1), &told(40, &have)), Grant::Nothing);
}

#[test]
fn rack_what_neighbours_have_is_left_to_them_until_one_is_stuck() {
    let mut tracker = Tracker::new(3, Limits::default(), 1);
    tracker.announce(0, ip(1), &told(3, &[0, 1, 2]));
    assert!(matches!(tracker.grant(0, ip(2), &told(3, &[])), Grant::Later(_)));
    assert!(matches!(tracker.grant(0, ip(2), &stuck(3, &[])), Grant::Chunk(_)));
}

#[test]
fn rack_a_chunk_on_its_way_is_not_sent_again_even_to_who_is_stuck() {
    let mut tracker = Tracker::new(1, Limits::default(), 1);
    assert_eq!(tracker.grant(0, ip(1), &told(1, &[])), Grant::Chunk(0));
    assert!(matches!(tracker.grant(100, ip(2), &stuck(1, &[])), Grant::Later(_)));
    assert_eq!(tracker.grant(2000, ip(2), &stuck(1, &[])), Grant::Chunk(0), "it should long have come");
}

#[test]
fn rack_a_vanished_holder_makes_its_chunks_rare_again() {
    let mut tracker = Tracker::new(2, Limits::default(), 1);
    tracker.announce(0, ip(1), &told(2, &[0, 1]));
    assert!(matches!(tracker.grant(9000, ip(2), &told(2, &[])), Grant::Later(_)));
    assert!(matches!(tracker.grant(10_000, ip(2), &told(2, &[])), Grant::Chunk(_)));
}

#[test]
fn rack_who_takes_and_never_reports_holds_a_place_for_seconds_only() {
    let mut tracker = Tracker::new(9, Limits { sending: 1, ..Limits::default() }, 1);
    let lost = chunk(tracker.grant(0, ip(1), &told(9, &[])));
    assert!(matches!(tracker.grant(2900, ip(2), &told(9, &[])), Grant::Later(_)));
    assert!(matches!(tracker.grant(3000, ip(2), &told(9, &[])), Grant::Chunk(_)));
    tracker.failed(ip(2), lost);
}

#[test]
fn rack_who_serves_nobody_is_named_to_nobody_and_counts_as_no_copy() {
    let mut tracker = Tracker::new(1, Limits::default(), 1);
    tracker.announce(0, ip(1), &Told { port: 0, ..told(1, &[0]) });
    let answer = tracker.announce(0, ip(2), &told(1, &[]));
    assert!(answer.machines.is_empty());
    assert_eq!(tracker.grant(0, ip(2), &told(1, &[])), Grant::Chunk(0));
}

#[test]
fn rack_a_source_is_named_to_a_few_at_a_time_and_to_all_in_turn() {
    let mut tracker = Tracker::new(4, Limits { silence: u64::MAX, ..Limits::default() }, 1);
    tracker.set_sources(vec!["http://10.0.9.1:8480".to_owned()]);
    (1..=20).for_each(|n| drop(tracker.announce(0, ip(n), &told(4, &[]))));
    let mut seen = std::collections::BTreeSet::new();
    for turn in 0..20 {
        let named: Vec<u8> = (1..=20)
            .filter(|n| !tracker.announce(turn * TURN, ip(*n), &told(4, &[])).sources.is_empty())
            .collect();
        assert_eq!(named.len(), PER_SOURCE);
        seen.extend(named);
    }
    assert_eq!(seen.len(), 20);
}

proptest! {
    /// Whatever is told in whatever order: tables stay within their bounds, and the count of copies is that of what
    /// the machines that are there told last.
    #[test]
    fn rack_tables_are_bounded_and_copies_are_counted_right(
        steps in prop::collection::vec((0..40_u8, 0..3_u8, prop::collection::vec(0..10_usize, 0..10), 0..4000_u64), 0..120)
    ) {
        let limits = Limits { machines: 20, sending: 4, silence: 10_000 };
        let mut tracker = Tracker::new(10, limits, 7);
        let mut now = 0;
        for (who, what, have, later) in steps {
            now += later;
            let told = Told { stuck: what == 2, port: u16::from(who % 5), ..told(10, &have) };
            if what == 0 {
                let answer = tracker.announce(now, ip(who), &told);
                prop_assert!(answer.machines.len() <= MOST_NEIGHBOURS);
                prop_assert!(answer.machines.iter().all(|m| m.address.ip() != ip(who) && m.address.port() != 0));
            } else if let Grant::Chunk(i) = tracker.grant(now, ip(who), &told) {
                prop_assert!(!told.have.has(i), "it has that one");
            }
            prop_assert!(tracker.machines.len() <= 20 && tracker.sending.len() <= 4);
            for chunk in 0..10 {
                let holders = tracker.machines.values().filter(|m| m.port != 0 && m.have.has(chunk)).count();
                prop_assert_eq!(tracker.holders[chunk] as usize, holders);
            }
        }
    }
}
