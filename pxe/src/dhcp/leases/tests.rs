mod flood;

use std::sync::Arc;

use super::*;
use crate::dhcp::lease::QUARANTINE_GRACE;
use crate::dhcp::reserve::{Fixed, Reservations};

fn hw(n: u16) -> HwAddr {
    let [a, b] = n.to_be_bytes();
    HwAddr::new(&[2, 0, 0, 0, a, b]).unwrap()
}

fn ip(n: u8) -> Ipv4Addr {
    Ipv4Addr::new(10, 0, 0, n)
}

fn pool(first: u8, last: u8) -> Plan {
    Plan::of(ip(first), ip(last))
}

fn w(n: u16) -> Who<'static> {
    hw(n).into()
}

/// The same plan with addresses reserved by hardware address.
fn reserving(mut plan: Plan, list: &[(u16, u8)]) -> Plan {
    let mut all = Reservations::default();
    for (client, address) in list {
        all.insert(Key::Mac(hw(*client)), Fixed { address: Some(ip(*address)), hostname: None }).unwrap();
    }
    plan.reservations = Arc::new(all);
    plan
}

#[test]
fn an_offer_is_reserved_so_no_two_clients_get_the_same() {
    let mut leases = Leases::new(pool(1, 200));
    let offered: BTreeSet<_> = (0..200).map(|n| leases.offer(&w(n), 0, None, 5).unwrap()).collect();
    assert_eq!(offered.len(), 200);
    assert_eq!(leases.offer(&w(999), 0, None, 5), None, "a young offer is not taken away");
}

#[test]
fn a_machine_keeps_one_address_through_all_its_stages() {
    let mut leases = Leases::new(pool(1, 9));
    let first = leases.offer(&w(1), 0, None, 0).unwrap();
    assert_eq!(leases.offer(&w(1), 0, None, 4), Some(first), "retried DISCOVER");
    leases.bind(&w(1), first, 100, 5).unwrap();
    assert_eq!(leases.offer(&w(1), 0, Some(ip(7)), 20), Some(first), "iPXE after the firmware");
    assert_eq!(leases.lease(hw(1)).unwrap().state, State::Bound, "an offer does not weaken the lease");
    assert_eq!(leases.offer(&w(2), 0, None, 300), Some(ip(2)), "others get unused addresses first");
    assert_eq!(leases.offer(&w(1), 0, None, 300), Some(first), "after expiry, the same again");
}

#[test]
fn exhaustion_takes_the_oldest_offer_nobody_took_and_never_a_lease() {
    let mut leases = Leases::new(pool(1, 3));
    leases.bind(&w(1), ip(1), 1000, 0).unwrap();
    assert_eq!(leases.offer(&w(2), 0, None, 1), Some(ip(2)));
    assert_eq!(leases.offer(&w(3), 0, None, 4), Some(ip(3)));
    assert_eq!(leases.offer(&w(4), 0, None, 8), None);
    assert_eq!(leases.offer(&w(4), 0, None, 9), Some(ip(2)));
    assert_eq!(leases.bind(&w(2), ip(2), 100, 10), Err(Refusal::Taken));
    assert_eq!(leases.holder(ip(1)), Some(hw(1)));
}

#[test]
fn a_flood_of_strangers_cannot_grow_the_table_nor_touch_leases() {
    let mut leases = Leases::new(reserving(pool(1, 50), &[(60_000, 10)]));
    leases.bind(&w(60_001), ip(1), 1_000_000, 0).unwrap();
    for n in 0..50_000 {
        leases.offer(&w(n), 0, None, u64::from(n) / 100);
    }
    assert!(leases.clients.len() <= 50, "{}", leases.clients.len());
    assert_eq!(leases.holder(ip(1)), Some(hw(60_001)));
    assert_eq!(leases.offer(&w(60_000), 0, None, 500), Some(ip(10)), "a reservation is always there");
}

#[test]
fn what_may_be_bound() {
    let mut plan = pool(10, 20);
    plan.excluded.insert(ip(11));
    let plan = reserving(plan, &[(5, 12), (6, 99)]);
    type Row = (&'static str, u16, u8, Result<(), Refusal>);
    let rows: &[Row] = &[
        ("free address of the pool", 1, 13, Ok(())),
        ("outside the pool", 1, 30, Err(Refusal::NotOurs)),
        ("excluded: our own", 1, 11, Err(Refusal::NotOurs)),
        ("reserved for another", 1, 12, Err(Refusal::Taken)),
        ("leased to another", 1, 14, Err(Refusal::Taken)),
        ("its reservation", 5, 12, Ok(())),
        ("its reservation outside the pool", 6, 99, Ok(())),
        ("another than its reservation", 5, 13, Err(Refusal::Reserved)),
    ];
    for (name, client, address, wanted) in rows {
        let mut leases = Leases::new(plan.clone());
        leases.bind(&w(9), ip(14), 100, 0).unwrap();
        assert_eq!(leases.bind(&w(*client), ip(*address), 100, 0), *wanted, "{name}");
    }
}

#[test]
fn a_declined_address_is_given_to_nobody_for_a_while() {
    let mut leases = Leases::new(pool(1, 2));
    leases.bind(&w(1), ip(1), 1000, 0).unwrap();
    assert!(!leases.decline(&w(2), ip(1), 1), "not by another client");
    assert!(leases.decline(&w(1), ip(1), 1));
    assert_eq!(leases.offer(&w(1), 0, Some(ip(1)), 2), Some(ip(2)), "another one for the client");
    assert_eq!(leases.offer(&w(3), 0, None, 3), None);
    assert_eq!(leases.offer(&w(3), 0, None, 9), None, "the client's offer is kept for OFFER_GRACE");
    leases.bind(&w(1), ip(2), 1000, 9).unwrap();
    assert_eq!(leases.offer(&w(3), 0, None, 9), None);
    assert_eq!(leases.offer(&w(3), 0, None, 1 + QUARANTINE_GRACE), Some(ip(1)), "rather than none at all");
}

#[test]
fn a_pinned_lease_survives_release_expiry_and_renewal() {
    let mut leases = Leases::new(pool(1, 2));
    assert!(!leases.pin(hw(1), 0), "nothing to pin");
    leases.bind(&w(1), ip(1), 10, 0).unwrap();
    assert!(leases.pin(hw(1), 1));
    leases.release(hw(1), ip(1), 2);
    leases.bind(&w(1), ip(1), 10, 3).unwrap();
    assert_eq!(leases.offer(&w(2), 0, None, 1_000_000), Some(ip(2)));
    assert_eq!(leases.offer(&w(3), 0, None, 1_000_001), None);
    assert_eq!(leases.lease(hw(1)).unwrap().until, NEVER);
}

#[test]
fn records_replayed_make_the_same_table() {
    let mut leases = Leases::new(pool(1, 9));
    leases.bind(&w(1), ip(1), 100, 0).unwrap();
    leases.bind(&w(2), ip(2), 100, 0).unwrap();
    leases.pin(hw(2), 1);
    leases.bind(&w(3), ip(3), 100, 2).unwrap();
    leases.release(hw(3), ip(3), 3);
    leases.bind(&w(1), ip(4), 100, 4).unwrap();
    let records = leases.take_records();
    let mut again = Leases::new(pool(1, 9));
    again.restore(records, 5, 1000);
    assert_eq!(again.snapshot(), leases.snapshot());
    assert_eq!(again.holder(ip(1)), None, "moved on to another address");
    assert_eq!(again.offer(&w(3), 0, None, 6), Some(ip(3)), "a past lease is remembered");
}

#[test]
fn a_clock_that_went_back_does_not_make_leases_eternal_nor_one_that_leapt_unpin() {
    let mut leases = Leases::new(pool(1, 9));
    let records = [
        Record::Bound { ip: ip(1), hw: hw(1), until: 9_000_000 },
        Record::Bound { ip: ip(2), hw: hw(2), until: NEVER },
    ];
    leases.restore(records, 1000, 3600);
    assert_eq!(leases.lease(hw(1)).unwrap().until, 4600);
    leases.restore(records, 90_000_000, 3600);
    assert_eq!(leases.lease(hw(1)).unwrap().state, State::Past);
    assert_eq!(leases.lease(hw(2)).unwrap().until, NEVER);
}

#[test]
fn another_plan_keeps_what_fits_and_a_new_reservation_wins() {
    let mut leases = Leases::new(pool(1, 9));
    leases.bind(&w(1), ip(1), 100, 0).unwrap();
    leases.bind(&w(2), ip(2), 100, 0).unwrap();
    leases.bind(&w(3), ip(9), 100, 0).unwrap();
    let mut leases = leases.replan(reserving(pool(1, 5), &[(7, 2)]), 10);
    assert_eq!(leases.lease(hw(1)).unwrap().until, 100);
    assert_eq!(leases.lease(hw(3)), None, "outside the pool now");
    assert_eq!(leases.bind(&w(2), ip(2), 100, 11), Err(Refusal::Taken));
    assert_eq!(leases.offer(&w(7), 0, None, 11), Some(ip(2)));
}

proptest::proptest! {
    /// Whatever clients do, no address has two holders, the free list and the holders are disjoint, and together
    /// they are the pool.
    #[test]
    fn the_pool_is_always_whole(steps in proptest::collection::vec((0u8..7, 0u16..12, 0u8..8, 0u64..40), 0..200)) {
        let mut leases = Leases::new(reserving(pool(1, 6), &[(11, 3)]));
        let mut now = 0;
        for (step, client, address, wait) in steps {
            now += wait;
            let (client, address) = (hw(client), ip(address));
            match step {
                0 => drop(leases.offer(&client.into(), 0, Some(address), now)),
                1 => drop(leases.offer(&client.into(), 0, None, now)),
                2 => drop(leases.bind(&client.into(), address, 50, now)),
                3 => leases.release(client, address, now),
                4 => drop(leases.decline(&client.into(), address, now)),
                5 => leases.withdraw(client, 0, now),
                _ => drop(leases.bind(&client.into(), address, 5, now)),
            }
            let held = leases.holders.keys().filter(|ip| leases.plan.reservations.owner(**ip).is_none()).count();
            proptest::prop_assert_eq!(held + leases.areas[0].free.len(), 5);
            proptest::prop_assert!(leases.areas[0].free.iter().all(|(ip, ..)| !leases.holders.contains_key(&ip)));
            proptest::prop_assert!(leases.clients.len() <= 7);
            let current = leases.clients.values().filter(|lease| lease.state != State::Past).count();
            let held = leases.holders.values().filter(|h| matches!(h, Holder::Client(_))).count();
            proptest::prop_assert_eq!(current, held);
            proptest::prop_assert_eq!(leases.due.len(), leases.holders.len());
            let offered = leases.clients.values().filter(|lease| lease.state == State::Offered).count();
            proptest::prop_assert_eq!(leases.areas[0].offers.len(), offered);
            let aside = leases.holders.values().filter(|h| matches!(h, Holder::Quarantine { .. })).count();
            proptest::prop_assert_eq!(leases.areas[0].quarantined.len(), aside);
            proptest::prop_assert!(aside <= 3, "at most half the pool, and what is reserved");
        }
        // What was recorded makes the same leases again.
        let records = leases.take_records();
        let mut again = Leases::new(reserving(pool(1, 6), &[(11, 3)]));
        again.restore(records, now, NEVER);
        leases.sweep(now);
        proptest::prop_assert_eq!(again.snapshot(), leases.snapshot());
    }
}
