//! Strangers in numbers, and liars.

use super::*;
use crate::dhcp::lease::OFFER_GRACE;
use crate::dhcp::pool::Gate;

fn guarded(first: u8, last: u8) -> Plan {
    let mut plan = reserving(pool(first, last), &[(60_000, 99)]);
    plan.kept_percent = 20;
    plan.known.insert(hw(60_001));
    plan
}

/// Random hardware addresses ask, and some take what they are offered, as fast as they like.
#[test]
fn strangers_never_get_the_share_of_known_machines() {
    let mut leases = Leases::new(guarded(1, 50));
    for n in 0..20_000 {
        let now = u64::from(n) / 500;
        if let Some(ip) = leases.offer(&w(n), 0, None, now)
            && n % 3 == 0
        {
            let _ = leases.bind(&w(n), ip, 3600, now);
        }
        let past = leases.bind(&w(n), ip(u8::try_from(n % 60).unwrap()), 3600, now);
        assert!(past.is_err() || leases.areas[0].free.len() >= 10, "nor by claiming to renew");
    }
    let more = (30_000..30_100).filter(|n| leases.offer(&w(*n), 0, None, 41).is_some()).count();
    assert!(more <= 40, "offers of long ago make room, and no more");
    assert_eq!(leases.areas[0].free.len(), 10);
    assert!(leases.clients.len() <= 51, "{}", leases.clients.len());
    assert_eq!(leases.offer(&w(60_000), 0, None, 41), Some(ip(99)), "a reservation");
    assert!(leases.offer(&w(60_001), 0, None, 41).is_some(), "a known machine");
    assert_eq!(leases.offer(&w(60_002), 0, None, 41), None);
    leases.know(hw(60_002));
    assert!(
        leases.offer(&w(60_002), 0, None, 41).is_some(),
        "a machine whose installation was approved just now"
    );
    assert_eq!(leases.areas[0].free.len(), 8);
}

#[test]
fn an_offer_nobody_takes_makes_room_for_the_next_stranger_soon() {
    let mut leases = Leases::new(guarded(1, 10));
    for n in 0..8 {
        assert!(leases.offer(&w(n), 0, None, 100).is_some());
    }
    assert_eq!(leases.offer(&w(20), 0, None, 100 + OFFER_GRACE - 1), None);
    assert!(leases.offer(&w(20), 0, None, 100 + OFFER_GRACE).is_some());
    assert!(leases.offer(&w(0), 0, None, 100 + OFFER_GRACE).is_some(), "it may come again");
}

#[test]
fn a_gate_holds_back_new_strangers_and_nobody_else() {
    let mut plan = guarded(1, 200);
    plan.strangers_per_second = 1;
    let mut leases = Leases::new(plan);
    let served = (0..100).filter(|n| leases.offer(&w(*n), 0, None, 1000).is_some()).count();
    assert_eq!(served, 16);
    assert!(leases.offer(&w(3), 0, None, 1000).is_some(), "a repeated question");
    assert!(leases.offer(&w(60_001), 0, None, 1000).is_some(), "a known machine");
    assert!(leases.offer(&w(200), 0, None, 1001).is_some(), "one a second");
    assert!(Gate::new(1).admit(0));
}

/// Two of every three DISCOVERs are a liar's, who declines whatever he gets.
#[test]
fn declining_sets_no_more_than_half_a_pool_aside() {
    let mut leases = Leases::new(pool(1, 20));
    for n in 0..1000 {
        let Some(ip) = leases.offer(&w(n), 0, None, 5) else { panic!("the pool ran out at {n}") };
        assert!(leases.decline(&w(n), ip, 5));
    }
    assert_eq!(leases.areas[0].quarantined.len(), 10);
    assert_eq!((leases.areas[0].free.len(), leases.clients.len()), (10, 0));
}

#[test]
fn an_address_that_answers_is_set_aside_for_whoever_answered() {
    let mut leases = Leases::new(pool(1, 8));
    assert_eq!(leases.unsure(3, 9, 0), [ip(1), ip(2), ip(3)]);
    let rows = [
        ("somebody", 1, Some(hw(7)), Verdict::Quarantined),
        ("again", 1, Some(hw(7)), Verdict::Fine),
        ("nobody", 2, None, Verdict::Silent),
        ("outside the pool", 90, Some(hw(7)), Verdict::Fine),
        ("a second", 3, Some(hw(8)), Verdict::Quarantined),
        ("a third", 4, Some(hw(9)), Verdict::Quarantined),
        ("half of the pool", 5, Some(hw(10)), Verdict::Quarantined),
        ("more than half: somebody answers for all", 6, Some(hw(11)), Verdict::TooMany),
    ];
    for (name, n, answer, verdict) in rows {
        assert_eq!(leases.heard(ip(n), answer, 50), verdict, "{name}");
    }
    assert_eq!(leases.offer(&w(1), 0, Some(ip(1)), 51), Some(ip(2)), "silent ones first");
    assert_eq!(leases.offer(&w(7), 0, Some(ip(1)), 51), Some(ip(1)), "the one who uses it may have it");
    leases.bind(&w(7), ip(1), 100, 51).unwrap();
    assert_eq!(leases.areas[0].quarantined.len(), 3);
    assert_eq!(leases.heard(ip(1), Some(hw(7)), 52), Verdict::Fine, "its own holder");
    assert_eq!(leases.heard(ip(1), Some(hw(9)), 52), Verdict::Conflict(hw(7)));
}

#[test]
fn another_plan_keeps_offers_what_is_set_aside_and_who_had_what() {
    let mut leases = Leases::new(pool(1, 9));
    let offered = leases.offer(&w(1), 0, None, 0).unwrap();
    leases.bind(&w(2), ip(5), 100, 0).unwrap();
    leases.release(hw(2), ip(5), 1);
    leases.heard(ip(3), Some(hw(8)), 1);
    let mut leases = leases.replan(reserving(pool(1, 9), &[(7, 9)]), 2);
    assert_eq!(leases.holder(offered), Some(hw(1)));
    assert_eq!(leases.offer(&w(2), 0, None, 3), Some(ip(5)), "what it had");
    assert_eq!(leases.offer(&w(4), 0, Some(ip(3)), 3), Some(ip(2)), "3 is set aside");
    assert_eq!(leases.bind(&w(1), offered, 100, 3), Ok(()));
}
