use super::*;
use crate::record::values::DeniedValue;
use maekin_api::machine::{Identity, Inventory};

fn machine(mac: &str, uuid: Option<&str>) -> Machine {
    let ip = "10.77.0.1".parse().unwrap();
    Machine { mac: mac.into(), uuid: uuid.map(Into::into), arch: 7, address: None, server: ip }
}

fn ticket(mac: &str, uuid: Option<&str>, progress: Progress) -> TicketValue {
    TicketValue {
        ticket: format!("ticket-of-{mac}"),
        hostname: "node-2".into(),
        mac: mac.into(),
        uuid: uuid.map(Into::into),
        address: None,
        progress,
        ..TicketValue::default()
    }
}

fn member(name: &str, mac: &str) -> NodeValue {
    NodeValue { id: format!("id-of-{name}"), name: name.into(), mac: mac.into(), ..NodeValue::default() }
}

/// A member boots from its disk, whatever else is going on, until a person names it.
#[test]
fn a_member_is_installed_anew_only_when_named_and_not_alive() {
    let open = WindowValue { until: 100, left: 2 };
    let joined = vec![ticket("a", None, Progress::Joined)];
    let again = |until| vec![AgainValue { id: "id-of-node-2".into(), until, forced: false }];
    let other = vec![AgainValue { id: "id-of-node-9".into(), until: 100, forced: false }];
    let dead = BTreeSet::new();
    let alive = BTreeSet::from(["id-of-node-2".to_owned()]);
    let local = || Some(Plan::Say(Say::Local));
    let anew = || Some(Plan::Reinstall { member: "id-of-node-2".into(), hostname: "node-2".into() });
    let working = vec![ticket("a", None, Progress::Booting)];
    let goes_on = Some(Plan::Again { ticket: "ticket-of-a".into() });
    type Row<'a> = (&'a str, Vec<TicketValue>, &'a BTreeSet<String>, Vec<AgainValue>, Option<Plan>);
    let rows: Vec<Row<'_>> = vec![
        ("restarts, window open for others", joined.clone(), &dead, vec![], local()),
        ("joined from a stick, boots the network first", vec![], &dead, vec![], local()),
        ("named", joined.clone(), &dead, again(51), anew()),
        ("named, joined from a stick", vec![], &dead, again(51), anew()),
        ("named, and alive: somebody has its address", joined.clone(), &alive, again(51), None),
        ("named too long ago", joined.clone(), &dead, again(50), local()),
        ("another is named", joined, &dead, other, local()),
        ("its new installation was interrupted", working, &dead, vec![], goes_on),
    ];
    for (name, tickets, alive, again, want) in rows {
        let members = [member("node-2", "a")];
        let known = Known {
            tickets: &tickets,
            members: &members,
            alive,
            again: &again,
            rules: &[],
            window: Some(&open),
        };
        let got = plan_boot(&machine("a", None), &MachineValue::default(), &known, 50);
        match want {
            Some(want) => assert_eq!(got, want, "{name}"),
            None => assert!(matches!(got, Plan::Say(Say::Wait(_) | Say::Idle(_))), "{name}: {got:?}"),
        }
    }
}

#[test]
fn machines_boot_what_the_record_says() {
    let failed = Progress::Failed { reason: "disk".into() };
    let working = Progress::Installing { step: "x".into(), percent: 3 };
    let open = WindowValue { until: 100, left: 2 };
    let used_up = WindowValue { until: 100, left: 0 };
    let again = || Plan::Again { ticket: "ticket-of-a".into() };
    let local = || Plan::Say(Say::Local);
    let let_in = |name: &str| Plan::LetIn { hostname: name.into(), by: By::Window, terms: Box::default() };
    let dull = "03000200-0400-0500-0006-000700080009";
    let u1 = "1b4e28ba-2fa1-11d2-883f-0016d3cca427";
    let upper = u1.to_uppercase();
    type Row<'a> = (&'a str, Machine, Vec<TicketValue>, Option<&'a WindowValue>, u64, Option<Plan>);
    let rows: Vec<Row<'_>> = vec![
        ("unknown, never opened", machine("a", None), vec![], None, 50, None),
        ("unknown, open", machine("a", None), vec![], Some(&open), 50, Some(let_in("node-3"))),
        ("unknown, time over to the second", machine("a", None), vec![], Some(&open), 100, None),
        ("unknown, last second", machine("a", None), vec![], Some(&open), 99, Some(let_in("node-3"))),
        ("unknown, used up", machine("a", None), vec![], Some(&used_up), 50, None),
        (
            "has ticket, window closed",
            machine("a", None),
            vec![ticket("a", None, Progress::Booting)],
            None,
            50,
            Some(again()),
        ),
        ("installing, reset", machine("a", None), vec![ticket("a", None, working)], None, 50, Some(again())),
        (
            "failed before",
            machine("a", None),
            vec![ticket("a", None, failed)],
            Some(&used_up),
            50,
            Some(again()),
        ),
        (
            "installed, window open",
            machine("a", None),
            vec![ticket("a", None, Progress::Installed)],
            Some(&open),
            50,
            Some(local()),
        ),
        ("joined", machine("a", None), vec![ticket("a", None, Progress::Joined)], None, 50, Some(local())),
        (
            "other port, same board",
            machine("b", Some(&upper)),
            vec![ticket("a", Some(u1), Progress::Installed)],
            Some(&open),
            50,
            Some(local()),
        ),
        (
            "other board, dull uuid",
            machine("b", Some(dull)),
            vec![ticket("a", Some(dull), Progress::Installed)],
            Some(&open),
            50,
            Some(let_in("node-3")),
        ),
        (
            "address goes before uuid",
            machine("a", Some(u1)),
            vec![ticket("b", Some(u1), Progress::Installed), ticket("a", None, Progress::Booting)],
            None,
            50,
            Some(again()),
        ),
    ];
    let members = ["node-1", "node-2", "other"].map(|name| member(name, ""));
    let (alive, again) = (BTreeSet::new(), []);
    for (name, machine, tickets, window, now, want) in rows {
        let known =
            Known { tickets: &tickets, members: &members, alive: &alive, again: &again, rules: &[], window };
        let got = plan_boot(&machine, &MachineValue::default(), &known, now);
        match want {
            Some(want) => assert_eq!(got, want, "{name}"),
            None => assert!(matches!(got, Plan::Say(Say::Wait(_) | Say::Idle(_))), "{name}: {got:?}"),
        }
    }
}

const U1: &str = "1b4e28ba-2fa1-11d2-883f-0016d3cca427";

fn told(serial: &str, macs: &[&str]) -> MachineValue {
    let nics = macs.iter().map(|mac| serde_json::json!({ "mac": mac })).collect::<Vec<_>>();
    let facts = serde_json::json!({ "dmi": { "serial": serial }, "nics": nics });
    MachineValue { inventory: Some(Inventory::parse(&facts).unwrap()), ..MachineValue::default() }
}

fn denied(until: u64) -> MachineValue {
    let denied = DeniedValue { by: "admin".into(), reason: "other rack".into(), at: 1, until };
    MachineValue { denied: Some(denied), ..MachineValue::default() }
}

fn bound(mac: &str, uuid: &str, macs: &[&str]) -> TicketValue {
    let macs = macs.iter().map(|m| (*m).to_owned()).collect();
    let identity = Identity { uuid: uuid.into(), macs, ..Identity::default() };
    TicketValue { identity: Some(identity), ..ticket(mac, Some(uuid), Progress::Booting) }
}

fn expiring(at: u64, progress: Progress) -> TicketValue {
    TicketValue { expires: at, by: "admin".into(), ..ticket("a", None, progress) }
}

/// Persons, lists, the window and time, against each other.
#[test]
fn tickets_lists_denials_and_time_decide_in_this_order() {
    let open = WindowValue { until: 1000, left: 2 };
    let rule = |mac: &str, serial: &str, hostname: &str| Rule {
        mac: mac.into(),
        serial: serial.into(),
        hostname: hostname.into(),
        ..Rule::default()
    };
    let again = || Plan::Again { ticket: "ticket-of-a".into() };
    let by_list = |number: usize, rule: &Rule, hostname: &str| Plan::LetIn {
        hostname: hostname.into(),
        by: By::List(number),
        terms: Box::new(list::terms_of(rule)),
    };
    let by_window = || Plan::LetIn { hostname: "node-1".into(), by: By::Window, terms: Box::default() };
    let no = || Plan::Say(Say::Denied("admin said no: other rack".into()));
    let late = || Plan::Say(Say::Expired("let in by admin, it did not finish within 1 h".into()));
    let nothing = MachineValue::default;
    let serial = rule("", "CZ3*", "rack1-{n:02}");
    let named = rule("a", "", "db");
    let failed = Progress::Failed { reason: "disk".into() };
    type Row<'a> =
        (&'a str, MachineValue, Vec<TicketValue>, Vec<Rule>, Option<&'a WindowValue>, Option<Plan>);
    let rows: Vec<Row<'_>> = vec![
        (
            "in the list by address",
            nothing(),
            vec![],
            vec![named.clone()],
            None,
            Some(by_list(1, &named, "db")),
        ),
        (
            "in the list by serial number",
            told("CZ31", &["a"]),
            vec![],
            vec![rule("x", "", ""), serial.clone()],
            None,
            Some(by_list(2, &serial, "rack1-01")),
        ),
        ("serial number not told yet", nothing(), vec![], vec![serial.clone()], None, None),
        (
            "by another of its ports",
            told("", &["a", "c"]),
            vec![],
            vec![rule("c", "", "db")],
            None,
            Some(by_list(1, &rule("c", "", "db"), "db")),
        ),
        (
            "the list goes before the window",
            nothing(),
            vec![],
            vec![named.clone()],
            Some(&open),
            Some(by_list(1, &named, "db")),
        ),
        (
            "its name in the list is taken",
            nothing(),
            vec![TicketValue { hostname: "db".into(), ..ticket("z", None, Progress::Booting) }],
            vec![named.clone()],
            Some(&open),
            None,
        ),
        (
            "not in the list, window open",
            nothing(),
            vec![],
            vec![rule("x", "", "")],
            Some(&open),
            Some(by_window()),
        ),
        ("denied, in the list", denied(0), vec![], vec![named.clone()], None, Some(no())),
        ("denied, window open", denied(0), vec![], vec![], Some(&open), Some(no())),
        ("denied for a time that lasts", denied(51), vec![], vec![], Some(&open), Some(no())),
        ("denied for a time that is over", denied(50), vec![], vec![], Some(&open), Some(by_window())),
        (
            "approved after it was denied",
            denied(0),
            vec![ticket("a", None, Progress::Booting)],
            vec![],
            None,
            Some(again()),
        ),
        (
            "ticket, last second",
            nothing(),
            vec![expiring(51, Progress::Booting)],
            vec![],
            None,
            Some(again()),
        ),
        (
            "ticket expired to the second",
            nothing(),
            vec![expiring(50, Progress::Booting)],
            vec![],
            None,
            Some(late()),
        ),
        (
            "failed within its time: again",
            nothing(),
            vec![expiring(51, failed.clone())],
            vec![],
            None,
            Some(again()),
        ),
        ("failed, and expired", nothing(), vec![expiring(50, failed)], vec![], None, Some(late())),
        (
            "expired, in the list",
            nothing(),
            vec![expiring(50, Progress::Booting)],
            vec![named.clone()],
            None,
            Some(by_list(1, &named, "db")),
        ),
        (
            "expired, window open",
            nothing(),
            vec![expiring(50, Progress::Booting)],
            vec![],
            Some(&open),
            Some(by_window()),
        ),
        ("expired, denied", denied(0), vec![expiring(50, Progress::Booting)], vec![], None, Some(no())),
        (
            "installed never expires",
            nothing(),
            vec![expiring(50, Progress::Installed)],
            vec![],
            Some(&open),
            Some(Plan::Say(Say::Local)),
        ),
        ("ticket taken back", nothing(), vec![ticket("a", None, Progress::Denied)], vec![], None, None),
        (
            "ticket taken back, window open",
            nothing(),
            vec![ticket("a", None, Progress::Denied)],
            vec![],
            Some(&open),
            Some(by_window()),
        ),
    ];
    let (alive, again) = (BTreeSet::new(), []);
    for (name, told, tickets, rules, window, want) in rows {
        let known =
            Known { tickets: &tickets, members: &[], alive: &alive, again: &again, rules: &rules, window };
        let got = plan_boot(&machine("a", None), &told, &known, 50);
        match want {
            Some(want) => assert_eq!(got, want, "{name}"),
            None => assert!(matches!(got, Plan::Say(Say::Wait(_) | Say::Idle(_))), "{name}: {got:?}"),
        }
    }
}

#[test]
fn tickets_of_two_machines_that_claim_one_uuid_are_told_apart_by_their_ports() {
    let (alive, again) = (BTreeSet::new(), []);
    let own = || Some(Plan::Again { ticket: "ticket-of-a".into() });
    let rows = [
        ("itself", machine("a", Some(U1)), vec![bound("a", U1, &["a", "b"])], own()),
        ("itself, by another port", machine("b", Some(U1)), vec![bound("a", U1, &["a", "b"])], own()),
        ("another with its UUID", machine("x", Some(U1)), vec![bound("a", U1, &["a", "b"])], None),
        (
            "another with its UUID, before the first one has told its ports",
            machine("x", Some(U1)),
            vec![ticket("a", Some(U1), Progress::Booting)],
            own(), // and is refused when it says what it is
        ),
        (
            "both let in",
            machine("a", Some(U1)),
            vec![bound("x", U1, &["x"]), bound("a", U1, &["a", "b"])],
            own(),
        ),
    ];
    for (name, machine, tickets, want) in rows {
        let known =
            Known { tickets: &tickets, members: &[], alive: &alive, again: &again, rules: &[], window: None };
        let got = plan_boot(&machine, &MachineValue::default(), &known, 50);
        match want {
            Some(want) => assert_eq!(got, want, "{name}"),
            None => {
                assert!(matches!(&got, Plan::Say(Say::Wait(why)) if why.contains("UUID")), "{name}: {got:?}");
            }
        }
    }
}

/// Nobody decided anything: what is on its drives may be started. Else it may not, for somebody wants it installed.
#[test]
fn a_machine_starts_what_is_installed_only_where_nobody_wants_it_installed() {
    let closed = WindowValue { until: 100, left: 0 };
    let open = WindowValue { until: 100, left: 1 };
    let member = || NodeValue { machine: U1.into(), macs: vec!["b".into()], ..member("node-2", "a") };
    let named = || vec![AgainValue { id: "id-of-node-2".into(), until: 100, forced: false }];
    let dead = BTreeSet::new();
    let alive = BTreeSet::from(["id-of-node-2".to_owned()]);
    let expired = || TicketValue { created_at: 1, expires: 50, ..ticket("x", None, Progress::Booting) };
    let rule = || Rule { mac: "x".into(), hostname: "node-2".into(), ..Rule::default() };
    let idle = "idle";
    type Row<'a> = (
        &'a str,
        Machine,
        Vec<TicketValue>,
        Vec<AgainValue>,
        Vec<Rule>,
        Option<&'a WindowValue>,
        &'a BTreeSet<String>,
        &'a str,
    );
    let stranger = || machine("x", None);
    let rows: Vec<Row<'_>> = vec![
        ("a stranger, no window ever", stranger(), vec![], vec![], vec![], None, &dead, idle),
        ("a stranger, window used up", stranger(), vec![], vec![], vec![], Some(&closed), &dead, idle),
        ("a stranger, window open", stranger(), vec![], vec![], vec![], Some(&open), &dead, "let in"),
        ("let in, and came too late", stranger(), vec![expired()], vec![], vec![], None, &dead, "expired"),
        (
            "the list has it, under a name in use",
            stranger(),
            vec![],
            vec![],
            vec![rule()],
            None,
            &dead,
            "wait",
        ),
        (
            "another with the UUID of one that is let in",
            machine("x", Some(U1)),
            vec![bound("q", U1, &["q"])],
            vec![],
            vec![],
            None,
            &dead,
            "wait",
        ),
        ("a member", machine("a", None), vec![], vec![], vec![], Some(&open), &dead, "local"),
        (
            "a member, by its board",
            machine("x", Some(U1)),
            vec![],
            vec![],
            vec![],
            Some(&open),
            &dead,
            "local",
        ),
        (
            "a member, by another port",
            machine("b", None),
            vec![],
            vec![],
            vec![],
            Some(&open),
            &dead,
            "local",
        ),
        ("ordered anew", machine("b", None), vec![], named(), vec![], None, &dead, "anew"),
        ("ordered anew, alive", machine("b", None), vec![], named(), vec![], None, &alive, "wait"),
    ];
    for (name, machine, tickets, again, rules, window, alive, want) in rows {
        let members = [member()];
        let known =
            Known { tickets: &tickets, members: &members, alive, again: &again, rules: &rules, window };
        let got = plan_boot(&machine, &MachineValue::default(), &known, 50);
        let is = match &got {
            Plan::Say(Say::Local) => "local",
            Plan::Say(Say::Wait(_)) => "wait",
            Plan::Say(Say::Idle(_)) => "idle",
            Plan::Say(Say::Denied(_)) => "denied",
            Plan::Say(Say::Expired(_)) => "expired",
            Plan::Again { .. } => "goes on",
            Plan::Reinstall { .. } => "anew",
            Plan::LetIn { .. } => "let in",
        };
        assert_eq!(is, want, "{name}: {got:?}");
    }
}

#[test]
fn tickets_words_for_firmware_and_for_the_wait_screen_agree() {
    let machine = machine("a", Some(U1));
    let code = code("a", Some(U1));
    let (reason, tell) = ("r".to_owned(), true);
    let wait = Decision::Wait { code: code.clone(), reason: reason.clone() };
    let rows = [
        (Say::Local, Decision::Local, Verdict::Local),
        (
            Say::Wait(reason.clone()),
            wait.clone(),
            Verdict::Wait { code: code.clone(), reason: reason.clone(), tell, disk: false },
        ),
        (
            Say::Idle(reason.clone()),
            wait.clone(),
            Verdict::Wait { code: code.clone(), reason: reason.clone(), tell, disk: true },
        ),
        (
            Say::Denied(reason.clone()),
            wait.clone(),
            Verdict::Denied { code: code.clone(), reason: reason.clone() },
        ),
        (Say::Expired(reason.clone()), wait, Verdict::Expired { code, reason }),
    ];
    for (say, decision, verdict) in rows {
        assert_eq!(say.clone().decision(&machine), decision, "{say:?}");
        assert_eq!(say.clone().verdict(&machine, tell), verdict, "{say:?}");
    }
}
