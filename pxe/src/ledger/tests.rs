use super::*;

fn ip(n: u8) -> Ipv4Addr {
    Ipv4Addr::new(10, 77, 0, n)
}

fn mac(n: u8) -> String {
    format!("02:00:00:00:00:{n:02x}")
}

fn hw(n: u8) -> HwAddr {
    mac(n).parse().unwrap()
}

fn held(n: u8, machine: u8, kept: bool) -> Held {
    Held { ip: ip(n), mac: mac(machine), kept }
}

fn bound(n: u8, machine: u8, until: Seconds) -> Record {
    Record::Bound { ip: ip(n), hw: hw(machine), until }
}

#[test]
fn netboot_what_the_ledger_lacks_is_written_and_what_ended_is_taken_out() {
    type Row = (&'static str, Vec<Held>, Vec<Record>, Vec<Held>, Vec<Ipv4Addr>);
    let rows: Vec<Row> = vec![
        ("nothing", vec![], vec![], vec![], vec![]),
        ("the same", vec![held(1, 1, false)], vec![bound(1, 1, 500)], vec![], vec![]),
        ("renewed", vec![held(1, 1, false)], vec![bound(1, 1, 900)], vec![], vec![]),
        ("new", vec![], vec![bound(1, 1, 500)], vec![held(1, 1, false)], vec![]),
        (
            "kept from now on",
            vec![held(1, 1, false)],
            vec![bound(1, 1, NEVER)],
            vec![held(1, 1, true)],
            vec![],
        ),
        ("ended", vec![held(1, 1, false)], vec![], vec![], vec![ip(1)]),
        ("another's now", vec![held(1, 1, false)], vec![bound(1, 2, 500)], vec![held(1, 2, false)], vec![]),
    ];
    for (name, ledger, table, want_held, want_freed) in rows {
        let mut known = Known::of(&ledger);
        let (held, freed) = plan_sync(&mut known, &table, 100);
        assert_eq!((&held, &freed), (&want_held, &want_freed), "{name}");
        known.took(&AddressChange { epoch: 1, held, freed });
        assert_eq!(
            plan_sync(&mut known, &table, 100),
            (vec![], vec![]),
            "{name}: then there is nothing to do"
        );
    }
}

#[test]
fn netboot_an_address_that_is_being_taken_out_is_promised_to_nobody() {
    let mut known = Known::of(&[held(1, 1, false)]);
    assert!(known.has(ip(1), hw(1)) && !known.has(ip(1), hw(2)) && !known.has(ip(2), hw(1)));
    let (_, freed) = plan_sync(&mut known, &[], 100);
    assert_eq!(freed, [ip(1)]);
    // The write fails, or its answer is lost: it may be out or not. The machine is back meanwhile.
    assert!(!known.has(ip(1), hw(1)), "it waits until its address is written again");
    let (written, freed) = plan_sync(&mut known, &[bound(1, 1, 500)], 100);
    assert_eq!((written, freed), (vec![held(1, 1, false)], vec![]));
    assert!(plan_sync(&mut known, &[], 100).1.is_empty(), "what was never written needs no taking out");
}

#[test]
fn netboot_no_sync_is_larger_than_the_agent_takes() {
    let mut known = Known::of(&(0..50).map(|n| held(n, n, false)).collect::<Vec<_>>());
    let table: Vec<_> = (100..200).map(|n| bound(n, n, 500)).collect();
    let mut steps = 0;
    loop {
        let (held, freed) = plan_sync(&mut known, &table, 30);
        if held.is_empty() && freed.is_empty() {
            break;
        }
        assert!(held.len() + freed.len() <= 30);
        known.took(&AddressChange { epoch: 1, held, freed });
        steps += 1;
    }
    assert_eq!(steps, 5);
}

#[test]
fn netboot_a_new_leader_keeps_every_promise_for_a_whole_lease() {
    let held = [held(1, 1, false), held(2, 2, true), Held { ip: ip(3), mac: "?".into(), kept: false }];
    assert_eq!(take_over(&held, 1000, 600), [bound(1, 1, 1600), bound(2, 2, NEVER)]);
}

#[test]
fn netboot_a_fence_closes_by_itself() {
    let now = Instant::now();
    let (alone, fence) = (Fence::default(), Fence::closed());
    assert!(alone.is_open(now) && !fence.is_open(now));
    fence.open_until(Some(now + Duration::from_secs(5)));
    assert!(fence.is_open(now) && !fence.is_open(now + Duration::from_secs(5)));
    fence.open_until(None);
    alone.open_until(None);
    assert!(!fence.is_open(now) && alone.is_open(now), "one that is alone has no fence");
}
