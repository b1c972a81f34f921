use super::resume::{CUTS, FRUITLESS};
use super::*;
use std::io::{BufRead, BufReader, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::thread;

/// A master that answers each connection by the next of `scripts`, and keeps what it was asked.
struct Fake {
    base: String,
    asked: Arc<Mutex<Vec<String>>>,
}

fn fake(scripts: Vec<Vec<u8>>) -> Fake {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let base = format!("http://{}", listener.local_addr().unwrap());
    let asked = Arc::new(Mutex::new(Vec::new()));
    let log = asked.clone();
    thread::spawn(move || {
        let mut open = Vec::new(); // a master that says nothing more does not hang up
        for script in scripts {
            let (stream, _) = listener.accept().unwrap();
            log.lock().unwrap().push(read_head(&stream));
            (&stream).write_all(&script).unwrap();
            if script.ends_with(b"...") {
                open.push(stream);
            }
        }
    });
    Fake { base, asked }
}

fn read_head(stream: &TcpStream) -> String {
    let mut head = String::new();
    let mut reader = BufReader::new(stream);
    while !head.ends_with("\r\n\r\n") {
        if reader.read_line(&mut head).unwrap() == 0 {
            break;
        }
    }
    head
}

fn response(status: &str, length: usize, body: &str) -> Vec<u8> {
    with(status, length, "", body)
}

fn with(status: &str, length: usize, headers: &str, body: &str) -> Vec<u8> {
    format!("HTTP/1.1 {status}\r\nContent-Length: {length}\r\n{headers}Connection: close\r\n\r\n{body}")
        .into_bytes()
}

/// The part of 10 bytes from `first`.
fn part(first: usize, body: &str) -> Vec<u8> {
    with("206 Partial Content", 10 - first, &format!("Content-Range: bytes {first}-9/10\r\n"), body)
}

fn download(fake: &Fake, size: u64) -> Result<String> {
    let master = Master::new(&fake.base, "t1").unwrap();
    let mut text = String::new();
    master.open("root", Some(size))?.read_to_string(&mut text)?;
    Ok(text)
}

#[test]
fn a_cut_transfer_goes_on_where_it_was_cut() {
    let fake = fake(vec![response("200 OK", 10, "01234"), part(5, "56"), part(7, "789")]);
    assert_eq!(download(&fake, 10).unwrap(), "0123456789");
    let asked = fake.asked.lock().unwrap().join("\n").to_lowercase();
    assert!(asked.contains("get /release/root ") && asked.contains("bytes=5-") && asked.contains("bytes=7-"));
}

#[test]
fn a_master_that_cannot_resume_is_given_up_with_the_reason() {
    let fake = fake(vec![response("200 OK", 10, "01234"), response("200 OK", 10, "0123456789")]);
    let err = format!("{:#}", download(&fake, 10).unwrap_err());
    assert!(err.contains("only whole"), "{err}");
}

#[test]
fn a_transfer_that_gains_nothing_is_given_up() {
    let mut scripts = vec![response("200 OK", 10, "0")];
    scripts.extend((0..FRUITLESS).map(|_| part(1, "")));
    let fake = fake(scripts);
    let err = format!("{:#}", download(&fake, 10).unwrap_err());
    assert!(err.contains("cut 5 times, now at byte 1"), "{err}");
}

#[test]
fn a_master_that_changes_or_mixes_up_its_files_is_given_up_with_the_reason() {
    let tagged = || with("200 OK", 10, "ETag: \"abc\"\r\n", "01234");
    let rows = [
        (
            "another file",
            vec![tagged(), with("200 OK", 10, "ETag: \"def\"\r\n", "9876543210")],
            "was changed on",
        ),
        (
            "another part",
            vec![tagged(), with("206 Partial Content", 3, "Content-Range: bytes 7-9/10\r\n", "789")],
            "bytes 7-9/10",
        ),
        (
            "a part of what it does not say",
            vec![tagged(), response("206 Partial Content", 5, "56789")],
            "cannot be resumed",
        ),
    ];
    for (name, scripts, want) in rows {
        let fake = fake(scripts);
        let err = format!("{:#}", download(&fake, 10).unwrap_err());
        assert!(err.contains(want), "{name}: {err}");
        let asked = fake.asked.lock().unwrap().join("\n").to_lowercase();
        assert!(asked.contains("if-range: \"abc\""), "{name}: {asked}");
    }
}

#[test]
fn a_master_that_falls_silent_is_asked_again() {
    let fake = fake(vec![response("200 OK", 10, "01..."), part(5, "56789")]);
    let master = Master::patient(&fake.base, "t1", Duration::from_millis(300)).unwrap();
    let mut text = String::new();
    master.open("root", Some(10)).unwrap().read_to_string(&mut text).unwrap();
    assert_eq!(text, "01...56789");
}

#[test]
fn a_transfer_that_is_cut_for_ever_is_given_up() {
    let size = CUTS as usize * 2;
    let part = |at: usize| {
        let headers = format!("Content-Range: bytes {at}-{}/{size}\r\n", size - 1);
        with("206 Partial Content", size - at, &headers, "x")
    };
    let scripts = std::iter::once(response("200 OK", size, "x")).chain((1..size).map(part)).collect();
    let fake = fake(scripts);
    let err = format!("{:#}", download(&fake, size as u64).unwrap_err());
    assert!(err.contains(&format!("cut {CUTS} times, now at byte {CUTS}")), "{err}");
}

fn told() -> Told {
    Told::default()
}

#[test]
fn tickets_a_machine_that_is_refused_says_what_differs_and_does_not_ask_again() {
    let why = "drive S1 is missing\u{1b}[2J";
    let fake = fake(vec![response("422 Unprocessable Entity", why.len(), why)]);
    let master = Master::new(&fake.base, "t1").unwrap();
    let err = master.answer(&told(), Duration::from_secs(5)).unwrap_err().to_string();
    assert!(err.contains("refuses this machine: drive S1 is missing?[2J"), "{err}");
}

#[test]
fn a_refusal_is_not_tried_again() {
    let fake = fake(vec![response("404 Not Found", 0, ""), response("404 Not Found", 0, "")]);
    let err = format!("{:#}", download(&fake, 10).unwrap_err());
    assert!(err.contains("refused by the master (404)"), "{err}");
    let master = Master::new(&fake.base, "t1").unwrap();
    let err = master.answer(&told(), Duration::from_secs(5)).unwrap_err();
    assert!(err.to_string().contains("ticket (404"), "{err}");
}

#[test]
fn reports_and_answers_go_to_the_ticket() {
    let fake = fake(vec![response("200 OK", 11, "version = 1"), response("204 No Content", 0, "")]);
    let master = Master::new(&fake.base, "t1").unwrap();
    assert_eq!(master.answer(&told(), Duration::from_secs(5)).unwrap(), "version = 1");
    master.report(&Report::Failed { reason: "x".to_owned() }).unwrap();
    let asked = fake.asked.lock().unwrap();
    assert!(
        asked[0].starts_with("POST /install/t1/answer ") && asked[1].starts_with("POST /install/t1/report ")
    );
}

#[test]
fn addresses_and_tickets_that_cannot_be_are_refused() {
    for (base, ticket) in [("ftp://x", "t"), ("", "t"), ("http://x", ""), ("http://x", "../..")] {
        assert!(Master::new(base, ticket).is_err(), "{base} {ticket}");
    }
}

#[test]
fn netboot_an_installation_survives_its_master_in_the_middle_of_everything() {
    let dead = {
        let gone = TcpListener::bind("127.0.0.1:0").unwrap();
        format!("http://{}", gone.local_addr().unwrap())
    };
    let first = fake(vec![response("200 OK", 10, "01234")]); // dies in the middle of the file
    let then = vec![
        response("503 Service Unavailable", 0, ""), // not yet the leader's record
        part(5, "56789"),
        response("204 No Content", 0, ""),
        response("200 OK", 2, "ok"),
    ];
    let second = fake(then);
    let masters = format!("{},{dead},{}", first.base, second.base);
    let master = Master::new(&masters, "t1").unwrap();
    assert_eq!(master.address(), first.base);
    let mut text = String::new();
    master.open("root", Some(10)).unwrap().read_to_string(&mut text).unwrap();
    assert_eq!(text, "0123456789");
    assert_eq!(master.address(), second.base, "who answered goes on being asked");
    master.report(&Report::Failed { reason: "x".into() }).unwrap();
    assert_eq!(master.clone().address(), second.base);
    let asked = second.asked.lock().unwrap();
    assert!(asked[1].contains("bytes=5-") && asked[1].starts_with("GET /release/root "), "{asked:?}");
    assert!(asked[2].starts_with("POST /install/t1/report "), "{asked:?}");
}

#[test]
fn every_masters_address_is_checked() {
    for bad in ["http://a,", "http://a,ftp://b", ",http://a"] {
        assert!(Master::new(bad, "t").is_err(), "{bad}");
    }
    assert!(Master::new("http://a:8480,http://b:8480/", "t").is_ok());
}
