//! Stories of machines that come to a laptop.

use super::*;

fn file() -> Answers {
    Answers::File("hostname = \"n-{mac}\"".to_owned())
}

fn machine(n: u8) -> Machine {
    Machine {
        mac: format!("52:54:00:00:00:{n:02x}"),
        uuid: None,
        arch: 0,
        address: None,
        server: Ipv4Addr::new(10, 0, 0, 1),
    }
}

#[test]
fn a_machine_is_installed_once_and_no_more_than_were_asked_for() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("tickets.json");
    let open = || StandaloneApprover::open(file(), Policy::First(1), path.clone()).unwrap();
    let approver = open();
    let Decision::Install { ticket } = approver.decide_now(&machine(1)).unwrap() else { panic!() };
    assert!(super::super::is_ticket(&ticket));
    assert_eq!(approver.decide_now(&machine(1)).unwrap(), Decision::Install { ticket: ticket.clone() });
    assert!(matches!(approver.decide_now(&machine(2)).unwrap(), Decision::Wait { .. }));
    assert_eq!(approver.answer_now(&ticket).unwrap(), "hostname = \"n-525400000001\"");
    assert!(matches!(approver.answer_now("0"), Err(ApproverError::NoTicket)));
    let failed = Report::Failed { reason: "no disk".to_owned() };
    approver.report_now(&ticket, &failed).unwrap();
    assert_eq!(approver.decide_now(&machine(1)).unwrap(), Decision::Install { ticket: ticket.clone() });
    approver.report_now(&ticket, &Report::Done { receipt: serde_json::Value::Null }).unwrap();
    let approver = open();
    assert_eq!(approver.decide_now(&machine(1)).unwrap(), Decision::Local, "also after a restart");
    assert!(matches!(approver.answer_now(&ticket), Err(ApproverError::NoTicket)), "a ticket installs once");
}

#[test]
fn a_person_lets_a_machine_in_by_its_code() {
    let dir = tempfile::tempdir().unwrap();
    let approver = StandaloneApprover::open(file(), Policy::Ask, dir.path().join("tickets.json")).unwrap();
    let Decision::Wait { code, reason } = approver.decide_now(&machine(1)).unwrap() else { panic!() };
    assert!(code.len() == 4 && reason.contains("type this code"), "{code}: {reason}");
    assert!(matches!(approver.decide_now(&machine(1)).unwrap(), Decision::Wait { .. }), "it asks again");
    assert!(matches!(approver.decide_now(&machine(2)).unwrap(), Decision::Wait { .. }));
    let waiting = approver.waiting();
    assert_eq!(waiting.len(), 2);
    assert!(waiting.iter().any(|w| w.code == code && w.what.contains("52:54:00:00:00:01 (x86 BIOS)")));
    assert_eq!(approver.approve("0000").unwrap(), None);
    assert!(approver.approve(&format!(" {} ", code.to_lowercase())).unwrap().is_some());
    assert_eq!(approver.approve(&code).unwrap(), None, "once");
    let Decision::Install { ticket } = approver.decide_now(&machine(1)).unwrap() else { panic!() };
    assert_eq!(approver.answer_now(&ticket).unwrap(), "hostname = \"n-525400000001\"");
    assert!(matches!(approver.decide_now(&machine(2)).unwrap(), Decision::Wait { .. }), "not the other");
    assert_eq!(approver.waiting().len(), 1);
}

#[test]
fn machines_that_wait_are_bounded() {
    let dir = tempfile::tempdir().unwrap();
    let approver = StandaloneApprover::open(file(), Policy::Ask, dir.path().join("tickets.json")).unwrap();
    let mut codes = std::collections::BTreeSet::new();
    for n in 0..3000u32 {
        let [_, a, b, c] = n.to_be_bytes();
        let machine = Machine { mac: format!("52:54:00:{a:02x}:{b:02x}:{c:02x}"), ..machine(1) };
        let Decision::Wait { code, .. } = approver.decide_now(&machine).unwrap() else { panic!() };
        if n < 1000 {
            assert!(codes.insert(code), "no two have the same code");
        }
    }
    assert_eq!(approver.waiting().len(), MAX_WAITING);
}

#[tokio::test]
async fn without_an_answer_file_the_first_machine_becomes_the_first_node() {
    let dir = tempfile::tempdir().unwrap();
    let first = FirstNode {
        prefix: 24,
        pool: (Ipv4Addr::new(10, 0, 0, 100), Ipv4Addr::new(10, 0, 0, 199)),
        router: None,
        dns: Vec::new(),
        password: "secret-word".to_owned(),
    };
    let path = dir.path().join("tickets.json");
    let approver = StandaloneApprover::open(Answers::First(first), Policy::First(9), path).unwrap();
    let leased = Machine { address: Some(Ipv4Addr::new(10, 0, 0, 100)), ..machine(1) };
    let Decision::Install { ticket } = approver.decide_now(&leased).unwrap() else { panic!() };
    let answer = String::from_utf8(approver.answer_now(&ticket).unwrap().to_vec()).unwrap();
    assert!(answer.contains("mode = \"create\"") && answer.contains("\"10.0.0.100/24\""), "{answer}");
    let Decision::Wait { code, reason } = approver.decide_now(&machine(2)).unwrap() else { panic!() };
    assert!(reason.contains("installs the others"), "{reason}");
    assert!(approver.approve(&code).is_err(), "there is one first node");
    approver.report_now(&ticket, &Report::Done { receipt: serde_json::Value::Null }).unwrap();
    approver.finished().await;
}
