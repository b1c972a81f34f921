//! Waiting, with masters that say what they are told to and close each connection.

use std::cell::RefCell;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpListener;
use std::sync::{Arc, Mutex};
use std::thread;

use super::*;
use crate::facts::Firmware;
use crate::facts::tests::{disk, machine};

type Asked = Arc<Mutex<Vec<(String, serde_json::Value)>>>;

/// A master that gives `answers` one after the other (status and body), and what it was asked.
fn master(answers: Vec<(u16, String)>) -> (String, Asked) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let base = format!("http://{}", listener.local_addr().unwrap());
    let asked = Asked::default();
    let log = asked.clone();
    thread::spawn(move || {
        for (status, body) in answers {
            let (stream, _) = listener.accept().unwrap();
            let mut reader = BufReader::new(&stream);
            let (mut path, mut length, mut line) = (String::new(), 0, String::new());
            while reader.read_line(&mut line).unwrap() > 2 {
                if path.is_empty() {
                    path = line.split(' ').nth(1).unwrap_or_default().to_owned();
                }
                if let Some(value) = line.to_lowercase().strip_prefix("content-length:") {
                    length = value.trim().parse().unwrap();
                }
                line.clear();
            }
            let mut sent = vec![0; length];
            reader.read_exact(&mut sent).unwrap();
            log.lock().unwrap().push((path, serde_json::from_slice(&sent).unwrap()));
            let head = format!(
                "HTTP/1.1 {status} X\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{body}",
                body.len()
            );
            (&stream).write_all(head.as_bytes()).unwrap();
        }
    });
    (base, asked)
}

fn facts() -> Facts {
    let mut facts = machine(Firmware::Uefi, vec![disk("sda", 12)]);
    facts.dmi.uuid = "1b4e28ba-2fa1-11d2-883f-0016d3cca427".to_owned();
    facts
}

fn says(verdict: &Verdict) -> (u16, String) {
    (200, serde_json::to_string(verdict).unwrap())
}

fn wait_for(tell: bool, reason: &str) -> Verdict {
    Verdict::Wait { code: "1".into(), reason: reason.into(), tell, disk: false }
}

fn begin(masters: &str) -> Waiting {
    Waiting::new(masters, &facts(), Some("52:54:00:00:00:01")).unwrap()
}

#[test]
fn tickets_it_tells_what_it_is_waits_and_goes_on_with_the_ticket() {
    let ticket = "0123456789abcdef0123456789abcdef".to_owned();
    let (base, asked) = master(vec![
        says(&wait_for(true, "closed\u{1b}[2J")),
        (204, String::new()),
        says(&Verdict::Denied { code: "1".into(), reason: "not in this rack".into() }),
        says(&Verdict::Install { ticket: ticket.clone() }),
    ]);
    let shown = RefCell::new(Vec::new());
    let show = |waiting: &Waiting| shown.borrow_mut().push(waiting.line());
    let told = serde_json::to_value(facts()).unwrap();
    let got = until_let_in(begin(&base), &told, &show).unwrap();
    assert_eq!(got, (ticket, base));
    let code = code("52:54:00:00:00:01", Some("1b4e28ba-2fa1-11d2-883f-0016d3cca427"));
    let lines = ["asking ", "waiting: closed?[2J", "denied: not in this rack", "let in"];
    assert_eq!(shown.borrow().len(), lines.len(), "{:?}", shown.borrow());
    for (line, want) in shown.borrow().iter().zip(lines) {
        assert!(line.starts_with(&format!("code {code}, {want}")), "{line}");
    }
    let asked = asked.lock().unwrap();
    let paths: Vec<&str> = asked.iter().map(|(path, _)| path.as_str()).collect();
    assert_eq!(paths, [WAIT, TELL, WAIT, WAIT]);
    assert_eq!(asked[0].1["known"], serde_json::Value::Null);
    assert_eq!(asked[2].1["known"]["verdict"], "wait", "it wants to hear what is new");
    assert_eq!(asked[1].1["facts"], told);
    assert_eq!(asked[1].1["who"]["mac"], "52:54:00:00:00:01");
}

#[test]
fn tickets_a_master_that_is_away_is_missed_and_the_next_one_is_asked() {
    let gone = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap(); // nobody listens there any more
    let (base, _) = master(vec![
        (503, "this master stands by\n".to_owned()),
        says(&wait_for(false, "closed")),
        (200, "rubbish".to_owned()),
        says(&Verdict::Local),
    ]);
    let shown = RefCell::new(Vec::new());
    let show = |waiting: &Waiting| shown.borrow_mut().push(waiting.line());
    let error = until_let_in(begin(&format!("{base}/")), &serde_json::Value::Null, &show).unwrap_err();
    assert!(error.to_string().contains("is installed; restart it"), "{error}");
    let shown = shown.into_inner();
    assert!(shown[1].contains("503") && shown[1].contains("stands by"), "{shown:?}");
    assert!(shown[2].contains("waiting: closed"), "{shown:?}");
    assert!(shown[3].contains("cannot be understood"), "what it was told stays, with the problem: {shown:?}");

    let mut two = begin(&format!("http://{gone},{base}"));
    two.miss("refused");
    assert_eq!(two.master(), base, "the other one is next");
    assert!(two.line().contains(&format!("no word from http://{gone}")), "{}", two.line());
}

#[test]
fn what_is_installed_is_named_where_it_is_one_installation_on_own_drives() {
    use crate::facts::tests::used;
    let on = |name: &str, id: u128| {
        let mut disk = used(name, 12);
        let (hostname, cluster) = ("node-2".to_owned(), Some("rack".to_owned()));
        disk.contents.previous =
            Some(PreviousNode { hostname, cluster, install_id: uuid::Uuid::from_u128(id) });
        disk
    };
    let stick = |mut disk: crate::facts::Disk| {
        disk.removable = true;
        disk
    };
    let words = Some("the Maekin node \"node-2\" of cluster \"rack\"");
    let rows = [
        ("blank", vec![disk("sda", 12)], None),
        ("something else", vec![used("sda", 12)], None),
        ("one of two drives", vec![disk("sda", 12), on("sdb", 1)], words),
        ("a mirror", vec![on("sda", 1), on("sdb", 1)], words),
        ("two installations: the firmware would choose", vec![on("sda", 1), on("sdb", 2)], None),
        ("on a stick", vec![stick(on("sda", 1))], None),
    ];
    for (name, disks, want) in rows {
        let facts = machine(Firmware::Uefi, disks);
        let waiting = Waiting::new("http://10.77.0.1:8480", &facts, None).unwrap();
        assert_eq!(waiting.installed.as_deref(), want, "{name}");
    }
}

#[test]
fn tickets_a_line_that_names_no_master_is_refused() {
    for masters in ["", "ftp://x", "http://10.0.0.1:8480,x"] {
        assert!(Waiting::new(masters, &facts(), None).is_err(), "{masters}");
    }
}
