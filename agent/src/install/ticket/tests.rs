use super::*;
use crate::record::values::DeniedValue;
use std::net::Ipv4Addr;

const U1: &str = "1b4e28ba-2fa1-11d2-883f-0016d3cca427";
const U2: &str = "2b4e28ba-2fa1-11d2-883f-0016d3cca427";

fn identity(uuid: &str, macs: &[&str], serials: &[&str]) -> Identity {
    let set = |list: &[&str]| list.iter().map(|s| (*s).to_owned()).collect();
    Identity { uuid: uuid.into(), macs: set(macs), serials: set(serials) }
}

fn ticket(progress: Progress) -> TicketValue {
    TicketValue {
        ticket: "t".into(),
        hostname: "node-2".into(),
        mac: "a".into(),
        secret: Some("s".into()),
        progress,
        created_at: 1,
        updated_at: 1,
        expires: 100,
        identity: Some(identity(U1, &["a"], &["S1"])),
        ..TicketValue::default()
    }
}

fn machine(mac: &str) -> Machine {
    Machine { mac: mac.into(), uuid: None, arch: 7, address: None, server: Ipv4Addr::UNSPECIFIED }
}

#[test]
fn tickets_reports_move_an_installation_on_and_never_back() {
    let progress = |percent| Report::Progress { step: "write\u{1b}[2J".into(), percent };
    let done = || Report::Done { receipt: serde_json::json!({"ok": true}) };
    let failed = || Report::Failed { reason: "x".repeat(1000) };
    let installing = |percent| Progress::Installing { step: "write[2J".into(), percent };
    let unbound = |progress| TicketValue { identity: None, ..ticket(progress) };
    let old_release = TicketValue { expires: 0, ..unbound(Progress::Booting) };
    // None: refused; Some(None): nothing to write; Some(Some(p)): becomes p
    type Row = (&'static str, TicketValue, Report, Option<Option<Progress>>);
    let rows: Vec<Row> = vec![
        ("first sign", ticket(Progress::Booting), progress(5), Some(Some(installing(5)))),
        ("same again", ticket(installing(5)), progress(5), Some(None)),
        ("beyond a hundred", ticket(Progress::Booting), progress(255), Some(Some(installing(100)))),
        ("done", ticket(installing(99)), done(), Some(Some(Progress::Installed))),
        ("done, told twice", ticket(Progress::Installed), done(), Some(None)),
        ("done after joining", ticket(Progress::Joined), done(), Some(None)),
        ("done, and its machine never came", unbound(Progress::Booting), done(), None),
        ("done, of a release before this", old_release, done(), Some(Some(Progress::Installed))),
        ("failed", ticket(installing(7)), failed(), Some(Some(Progress::Failed { reason: "x".repeat(300) }))),
        (
            "goes on after a failure",
            ticket(Progress::Failed { reason: "x".into() }),
            progress(1),
            Some(Some(installing(1))),
        ),
        ("progress replayed after the end", ticket(Progress::Installed), progress(5), None),
        ("failure replayed after the end", ticket(Progress::Joined), failed(), None),
        ("done, for a ticket that was taken back", ticket(Progress::Denied), done(), None),
        ("progress of a ticket that was taken back", ticket(Progress::Denied), progress(5), None),
    ];
    for (name, before, report, want) in rows {
        let got = plan_report(before, &report, 9).ok().map(|t| t.map(|t| t.progress));
        assert_eq!(got, want, "{name}");
    }
}

#[test]
fn tickets_a_story_has_each_step_once_and_stays_bounded() {
    let mut value = ticket(Progress::Booting);
    value.tell(1, What::Approved, "admin");
    for n in 0..10_000_u64 {
        let report =
            Report::Progress { step: format!("step {}", n / 100), percent: u8::try_from(n % 100).unwrap() };
        value = plan_report(value, &report, n).unwrap().unwrap();
    }
    assert_eq!(value.story[0].what, What::Approved, "how it began stays");
    assert_eq!(value.story.last().unwrap().text, "step 99");
    assert_eq!(value.story.len(), 64);
    assert_eq!(value.left_out, 101 - 64, "a hundred steps and the approval");
}

#[test]
fn tickets_a_ticket_is_held_against_the_machine_that_comes_with_it() {
    let bound = || ticket(Progress::Booting);
    let open = || TicketValue { identity: None, uuid: Some(U1.into()), ..bound() };
    let same = || identity(U1, &["a"], &["S1"]);
    // Ok(false): nothing to write; Ok(true): bound now; Err: refused with these words
    type Row<'a> = (&'a str, TicketValue, &'a str, Identity, u64, Result<bool, &'a str>);
    let rows: Vec<Row<'_>> = vec![
        ("bound, the same machine", bound(), "a", same(), 50, Ok(false)),
        (
            "bound, another drive",
            bound(),
            "a",
            identity(U1, &["a"], &["S9"]),
            50,
            Err("drive S1 is missing; drive S9 is new"),
        ),
        (
            "bound, another port",
            bound(),
            "a",
            identity(U1, &["a", "b"], &["S1"]),
            50,
            Err("network port b is new"),
        ),
        ("bound, another board", bound(), "a", identity(U2, &["a"], &["S1"]), 50, Err("its UUID is")),
        ("bound, another machine", bound(), "x", identity(U2, &["x"], &["T"]), 50, Err("let it in anew")),
        ("bound, garbage", bound(), "a", Identity::default(), 50, Err("network port a is missing")),
        ("not bound yet", open(), "a", same(), 50, Ok(true)),
        ("not bound yet, by another port of it", open(), "b", identity(U1, &["a", "b"], &[]), 50, Ok(true)),
        (
            "not bound yet, another machine",
            open(),
            "x",
            identity(U1, &["x"], &[]),
            50,
            Err("has no network port a"),
        ),
        ("not bound yet, another board", open(), "a", identity(U2, &["a"], &[]), 50, Err("its UUID is")),
        ("expired", bound(), "a", same(), 100, Err("is over")),
        ("taken back", ticket(Progress::Denied), "a", same(), 50, Err("is over")),
        ("installed already", ticket(Progress::Installed), "a", same(), 50, Err("is over")),
        ("failed, tried again", ticket(Progress::Failed { reason: "x".into() }), "a", same(), 50, Ok(false)),
    ];
    for (name, old, mac, identity, now, want) in rows {
        match (plan_bind(&old, &machine(mac), &identity, now), want) {
            (Ok(got), Ok(want)) => {
                assert_eq!(got.is_some(), want, "{name}");
                let holds = got.map_or(old.identity, |t| t.identity);
                assert_eq!(holds, Some(identity), "{name}");
            }
            (Err(got), Err(want)) => assert!(got.to_string().contains(want), "{name}: {got}"),
            (got, _) => panic!("{name}: {got:?}"),
        }
    }
}

#[test]
fn tickets_a_new_ticket_has_all_that_is_known_and_how_it_came_about() {
    let facts = serde_json::json!({"nics": [{"mac": "a"}, {"mac": "b"}], "disks": [{"serial": "S1"}]});
    let told = MachineValue {
        first_seen: 10,
        told_at: 12,
        uuid: Some(U1.into()),
        inventory: Some(maekin_api::machine::Inventory::parse(&facts).unwrap()),
        denied: Some(DeniedValue { by: "x".into(), reason: String::new(), at: 11, until: 0 }),
        ..MachineValue::default()
    };
    let terms = Terms { roles: vec!["compute".into()], minutes: 5, ..Terms::default() };
    let grant = Grant { by: "admin from 10.0.0.9", terms: &terms, replaces: None };
    let got = cut(("t".into(), "s".into()), &machine("a"), &told, "db".into(), grant, 20);
    assert_eq!(got.identity, Some(identity("", &["a", "b"], &["S1"])));
    assert_eq!((got.expires, got.uuid.as_deref(), got.by.as_str()), (320, Some(U1), "admin from 10.0.0.9"));
    let story: Vec<_> = got.story.iter().map(|e| (e.at, e.what)).collect();
    assert_eq!(story, [(10, What::Seen), (12, What::Waiting), (20, What::Approved)]);
    let again = Grant { replaces: Some("member"), ..grant };
    let again = cut(("t".into(), "s".into()), &machine("a"), &told, "db".into(), again, 20);
    assert_eq!(again.identity, None, "its drives may be others than those that it told of when it waited");
    let day = cut(
        ("t".into(), "s".into()),
        &machine("a"),
        &MachineValue::default(),
        "db".into(),
        Grant { terms: &Terms::default(), ..grant },
        20,
    );
    assert_eq!((day.expires, day.identity), (20 + TICKET_VALIDITY, None));
}
