mod tickets;

use std::sync::Mutex;

use super::*;
use crate::approver::Answer;
use crate::config::parse_config;
use crate::dhcp::foreign;
use crate::release::tests::write_bundle;
use axum::body::Bytes;
use maekin_api::boot::Inventory;
use maekin_api::machine::Verdict;
use serde_json::json;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

pub(crate) const TICKET: &str = "0123456789abcdef0123456789abcdef";

/// Answers as it is told to, and remembers what it was asked.
struct Fake {
    decision: Result<Decision, &'static str>,
    asked: Mutex<Vec<Machine>>,
    reports: Mutex<Vec<Report>>,
    verdict: Mutex<Option<Verdict>>,
    told: Mutex<Vec<Inventory>>,
}

impl Approver for Fake {
    fn decide<'a>(&'a self, machine: &'a Machine) -> Answer<'a, Decision> {
        self.asked.lock().unwrap().push(machine.clone());
        let decision = self.decision.clone().map_err(|why| ApproverError::Unavailable(why.to_owned()));
        Box::pin(async { decision })
    }

    fn verdict<'a>(&'a self, machine: &'a Machine) -> Answer<'a, Verdict> {
        self.asked.lock().unwrap().push(machine.clone());
        let verdict = self.verdict.lock().unwrap().clone();
        Box::pin(async { verdict.ok_or_else(|| ApproverError::Unavailable("away".to_owned())) })
    }

    fn inventory<'a>(&'a self, inventory: &'a Inventory) -> Answer<'a, ()> {
        self.told.lock().unwrap().push(inventory.clone());
        Box::pin(async { Ok(()) })
    }

    fn answer<'a>(&'a self, ticket: &'a str, inventory: &'a Inventory) -> Answer<'a, Bytes> {
        self.told.lock().unwrap().push(inventory.clone());
        let found = if inventory.facts == json!("another machine") {
            Err(ApproverError::Refused("drive S1 is missing".to_owned()))
        } else if ticket == TICKET {
            Ok(Bytes::from("version = 1\n"))
        } else {
            Err(ApproverError::NoTicket)
        };
        Box::pin(async { found })
    }

    fn report<'a>(&'a self, _: &'a str, report: &'a Report) -> Answer<'a, ()> {
        self.reports.lock().unwrap().push(report.clone());
        Box::pin(async { Ok(()) })
    }
}

pub(crate) struct Rig {
    dir: tempfile::TempDir,
    address: SocketAddr,
    pub(crate) shared: Shared,
    fake: Arc<Fake>,
}

pub(crate) async fn rig(decision: Result<Decision, &'static str>) -> Rig {
    let dir = tempfile::tempdir().unwrap();
    let root = write_bundle(dir.path());
    let config = parse_config(
        "interface = \"lo\"\naddress = \"127.0.0.1/24\"\npool_start = \"127.0.0.100\"\npool_end = \"127.0.0.199\"\n\
         release_dir = \"/r\"\nroot_path = \"/r/root\"\nagent_socket = \"/a\"\nlease_file = \"/l\"\n",
    )
    .unwrap();
    let fake = Arc::new(Fake {
        decision,
        asked: Mutex::default(),
        reports: Mutex::default(),
        verdict: Mutex::default(),
        told: Mutex::default(),
    });
    let release = Release::open(dir.path(), &root, None).unwrap();
    let shared = Shared {
        guard: Guard::new(
            config.settings.server,
            foreign::Mode::Server,
            foreign::Timing::default(),
            Arc::default(),
        ),
        swarm: Swarm::open(&release),
        release: Arc::new(release),
        approver: fake.clone(),
        store: Store::in_memory(config.plan),
        settings: Arc::new(RwLock::new(config.settings)),
        counters: Arc::default(),
        leads: Arc::new(AtomicBool::new(true)),
        waiting: Arc::default(),
    };
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(crate::http::serve::serve(listener, router(shared.clone())));
    Rig { dir, address, shared, fake }
}

/// Sends raw text, as a client that may be anything, and reads to the end.
pub(crate) async fn raw(rig: &Rig, request: &str) -> String {
    let mut stream = TcpStream::connect(rig.address).await.unwrap();
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut response = Vec::new();
    stream.read_to_end(&mut response).await.unwrap();
    String::from_utf8(response).unwrap()
}

pub(crate) async fn post(rig: &Rig, path: &str, body: &str) -> (u16, String) {
    let length = body.len();
    let head =
        format!("POST {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: {length}\r\n\r\n");
    let response = raw(rig, &(head + body)).await;
    let (head, body) = response.split_once("\r\n\r\n").unwrap();
    (head[9..12].parse().unwrap(), body.to_owned())
}

pub(crate) async fn ask(rig: &Rig, method: &str, path: &str, headers: &str) -> (u16, String, String) {
    let response =
        raw(rig, &format!("{method} {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n{headers}\r\n")).await;
    let (head, body) = response.split_once("\r\n\r\n").unwrap();
    (head[9..12].parse().unwrap(), head.to_lowercase(), body.to_owned())
}

fn wait() -> Result<Decision, &'static str> {
    Ok(Decision::Wait { code: "AB12".to_owned(), reason: "no window".to_owned() })
}

#[tokio::test]
async fn the_release_is_served_by_ranges_and_nothing_else_is() {
    let rig = rig(wait()).await;
    let etag = rig.shared.release.find("vmlinuz").unwrap().sha256;
    let fresh = format!("Range: bytes=0-3\r\nIf-Range: \"{etag}\"\r\n");
    let known = format!("If-None-Match: \"{etag}\"\r\n");
    type Row<'a> = (&'a str, &'a str, &'a str, &'a str, u16, &'a [&'a str], &'a str);
    let rows: &[Row<'_>] = &[
        (
            "whole",
            "GET",
            "/release/root",
            "",
            200,
            &["content-length: 14", "accept-ranges: bytes"],
            "the root image",
        ),
        (
            "part",
            "GET",
            "/release/root",
            "Range: bytes=4-7\r\n",
            206,
            &["content-length: 4", "content-range: bytes 4-7/14"],
            "root",
        ),
        (
            "tail",
            "GET",
            "/release/root",
            "Range: bytes=-5\r\n",
            206,
            &["content-range: bytes 9-13/14"],
            "image",
        ),
        (
            "root ends where the manifest says",
            "GET",
            "/release/root",
            "Range: bytes=10-99\r\n",
            206,
            &["content-range: bytes 10-13/14"],
            "mage",
        ),
        (
            "beyond the end",
            "GET",
            "/release/root",
            "Range: bytes=14-\r\n",
            416,
            &["content-range: bytes */14"],
            "",
        ),
        (
            "HEAD, as UefiHttpBoot sends it",
            "HEAD",
            "/release/vmlinuz",
            "User-Agent: UefiHttpBoot/1.0\r\n",
            200,
            &["content-length: 1000", "etag: \""],
            "",
        ),
        (
            "resumed with the right tag",
            "GET",
            "/release/vmlinuz",
            &fresh,
            206,
            &["content-length: 4"],
            "the ",
        ),
        (
            "resumed with another's tag",
            "GET",
            "/release/root",
            "Range: bytes=0-3\r\nIf-Range: \"x\"\r\n",
            200,
            &[],
            "the root image",
        ),
        ("known already", "GET", "/release/vmlinuz", &known, 304, &[], ""),
        ("the manifest", "HEAD", "/release/manifest.json", "", 200, &[], ""),
        ("not listed", "GET", "/release/private", "", 404, &[], "not a file of this release\n"),
        ("out by dots", "GET", "/release/../private", "", 404, &[], "not a file of this release\n"),
        (
            "out by escaped dots",
            "GET",
            "/release/boot/net/..%2f..%2fprivate",
            "",
            404,
            &[],
            "not a file of this release\n",
        ),
        ("absolute", "GET", "/release//etc/passwd", "", 404, &[], "not a file of this release\n"),
        ("a directory", "GET", "/release/boot", "", 404, &[], "not a file of this release\n"),
        ("no such route", "GET", "/etc/passwd", "", 404, &[], ""),
        ("POST", "POST", "/release/root", "", 405, &[], ""),
        (
            "script beside a loader from HTTP boot",
            "GET",
            "/release/boot/net/autoexec.ipxe",
            "",
            200,
            &[],
            "#!ipxe\nautoboot\n",
        ),
    ];
    for (name, method, path, headers, status, head, body) in rows {
        let got = ask(&rig, method, path, headers).await;
        assert_eq!((got.0, got.2.as_str()), (*status, *body), "{name}: {}", got.1);
        for line in *head {
            assert!(got.1.contains(line), "{name}: {line} in {}", got.1);
        }
    }
    let (_, _, initrd) = ask(&rig, "GET", "/release/initrd", "").await;
    assert_eq!(initrd, "the initrd".repeat(5000));
}

#[tokio::test]
async fn a_file_cut_short_under_the_server_is_an_error_and_not_half_a_file() {
    let rig = rig(wait()).await;
    std::fs::write(rig.dir.path().join("vmlinuz"), "short").unwrap();
    assert_eq!(ask(&rig, "GET", "/release/vmlinuz", "").await.0, 500);
}

#[tokio::test]
async fn a_machine_is_asked_about_as_it_is_and_told_the_decision() {
    let install = Ok(Decision::Install { ticket: TICKET.to_owned() });
    let rows: &[(&str, Result<Decision, &'static str>, &str)] = &[
        ("install", install, "maekin.ticket=0123456789abcdef0123456789abcdef BOOTIF=01-52-54-00-00-00-01"),
        ("local", Ok(Decision::Local), "exit 1"),
        ("wait", wait(), "AB12"),
        ("agent away", Err("the agent does not answer"), "the agent does not answer"),
        ("a ticket that is none", Ok(Decision::Install { ticket: "x y".to_owned() }), "not 32 hex digits"),
    ];
    for (name, decision, wanted) in rows {
        let rig = rig(decision.clone()).await;
        let path = "/boot.ipxe?mac=52:54:00:00:00:01&uuid=00000000-0000-0000-0000-000000000000&arch=7";
        let (status, _, body) = ask(&rig, "GET", path, "").await;
        assert_eq!(status, 200, "{name}: iPXE gives up on any other");
        assert!(body.starts_with("#!ipxe\n") && body.contains(wanted), "{name}: {body}");
        let asked = rig.fake.asked.lock().unwrap()[0].clone();
        assert_eq!((asked.mac.as_str(), asked.uuid, asked.arch), ("52:54:00:00:00:01", None, 7), "{name}");
    }
}

#[tokio::test]
async fn what_is_not_a_machine_is_refused() {
    let rig = rig(wait()).await;
    for query in ["", "?mac=", "?mac=zz:54:00:00:00:01", "?mac=52:54:00:00:00:01&arch=70000"] {
        let (status, ..) = ask(&rig, "GET", &format!("/boot.ipxe{query}"), "").await;
        assert_eq!(status, 400, "{query}");
    }
    assert!(rig.fake.asked.lock().unwrap().is_empty());
}

#[tokio::test]
async fn an_installing_machine_keeps_its_address_for_ever_and_no_other_may_ask_for_it() {
    let rig = rig(Ok(Decision::Install { ticket: TICKET.to_owned() })).await;
    let (mine, other): (HwAddr, HwAddr) =
        ("52:54:00:00:00:01".parse().unwrap(), "52:54:00:00:00:02".parse().unwrap());
    let local = Ipv4Addr::new(127, 0, 0, 1);
    let now = rig.shared.store.now();
    // The test's client comes from 127.0.0.1; make that the first machine's lease.
    let plan = crate::dhcp::lease::Plan::of(local, Ipv4Addr::new(127, 0, 0, 9));
    rig.shared.store.replan(plan);
    rig.shared.store.lock().leases.bind(&mine.into(), local, 60, now).unwrap();
    rig.shared.store.lock().leases.bind(&other.into(), Ipv4Addr::new(127, 0, 0, 2), 60, now).unwrap();
    let (_, _, body) = ask(&rig, "GET", "/boot.ipxe?mac=52:54:00:00:00:02&arch=0", "").await;
    assert!(body.contains("did not come from the address leased") && !body.contains(TICKET), "{body}");
    let (_, _, body) = ask(&rig, "GET", "/boot.ipxe?mac=52:54:00:00:00:01&arch=0", "").await;
    assert!(body.contains(TICKET), "{body}");
    let until = |hw| rig.shared.store.lock().leases.lease(hw).unwrap().until;
    assert_eq!(until(mine), crate::dhcp::lease::NEVER);
    assert!(until(other) < now + 100);
}

#[tokio::test]
async fn the_installers_questions_go_to_the_approver() {
    let rig = rig(wait()).await;
    let told = json!({"who": {"mac": "52:54:00:00:00:01", "uuid": null}, "facts": {"nics": []}}).to_string();
    let (status, body) = post(&rig, &format!("/install/{TICKET}/answer"), &told).await;
    assert_eq!((status, body.as_str()), (200, "version = 1\n"));
    let unknown = "f".repeat(32);
    for ticket in ["x", "..%2f..%2fetc", unknown.as_str(), "0123456789ABCDEF0123456789ABCDEF"] {
        assert_eq!(post(&rig, &format!("/install/{ticket}/answer"), &told).await.0, 404, "{ticket}");
    }
    let report = r#"{"stage":"progress","step":"writing system","percent":40}"#;
    let post = |body: &str| {
        format!(
            "POST /install/{TICKET}/report HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: {}\r\n\r\n{body}",
            body.len()
        )
    };
    assert!(raw(&rig, &post(report)).await.starts_with("HTTP/1.1 204"));
    assert_eq!(
        *rig.fake.reports.lock().unwrap(),
        [Report::Progress { step: "writing system".to_owned(), percent: 40 }]
    );
    assert!(raw(&rig, &post("{}")).await.starts_with("HTTP/1.1 400"));
    assert!(raw(&rig, &post(&" ".repeat(MAX_REPORT + 1))).await.starts_with("HTTP/1.1 413"));
}

#[tokio::test]
async fn metrics_tell_what_happened() {
    let rig = rig(wait()).await;
    ask(&rig, "GET", "/release/root", "").await;
    let (status, head, body) = ask(&rig, "GET", "/metrics", "").await;
    assert!(status == 200 && head.contains("content-type: text/plain; version=0.0.4"), "{head}");
    for line in [
        "maekin_pxe_http_bytes_total 14",
        "maekin_pxe_http_requests_total 2",
        "maekin_pxe_addresses{state=\"free\"} 100",
        "# TYPE maekin_pxe_tftp_transfers gauge",
        "maekin_pxe_tftp_transfers 0",
        "maekin_pxe_leads 1",
    ] {
        assert!(body.lines().any(|l| l == line), "no {line} in\n{body}");
    }
    // Every value has one name, and is told what it is: or Prometheus takes none of them.
    for line in body.lines().filter(|line| !line.starts_with('#')) {
        let name = line.split(['{', ' ']).next().unwrap();
        for kind in ["HELP", "TYPE"] {
            let told = body.lines().filter(|l| l.starts_with(&format!("# {kind} {name} "))).count();
            assert_eq!(told, 1, "{kind} of {name}");
        }
    }
}

#[tokio::test]
async fn a_standby_serves_the_release_and_cut_tickets_and_decides_nothing() {
    let rig = rig(Ok(Decision::Local)).await;
    let paths = [
        ("/boot.ipxe?mac=02:00:00:00:00:01&arch=0".to_owned(), [200, 503]),
        ("/release/vmlinuz".to_owned(), [200, 200]),
    ];
    let told = json!({"who": {"mac": "02:00:00:00:00:01", "uuid": null}, "facts": {}}).to_string();
    for (leads, column) in [(true, 0), (false, 1)] {
        rig.shared.leads.store(leads, Ordering::Relaxed);
        for (path, wanted) in &paths {
            let (status, ..) = ask(&rig, "GET", path, "").await;
            assert_eq!(status, wanted[column], "{path} {leads}");
        }
        assert_eq!(post(&rig, &format!("/install/{TICKET}/answer"), &told).await.0, 200, "{leads}");
    }
    assert_eq!(rig.fake.asked.lock().unwrap().len(), 1);
}

#[tokio::test]
async fn one_connection_carries_files_and_scripts_in_the_order_asked_for() {
    let rig = rig(wait()).await;
    let get = |path: &str, more: &str| format!("GET {path} HTTP/1.1\r\nHost: x\r\n{more}\r\n");
    let part = get("/release/root", "Range: bytes=4-7\r\n");
    let head = "HEAD /release/initrd HTTP/1.1\r\nHost: x\r\n\r\n";
    let requests = [
        get("/release/initrd", ""),
        part.clone(),
        head.to_owned(),
        get("/release/none", ""),
        get("/release/root", "Connection: close\r\n"),
    ];
    // All at once: the first file is still being sent when the next is asked for.
    let response = raw(&rig, &requests.concat()).await;
    let initrd = "the initrd".repeat(5000);
    let wanted = [initrd.as_str(), "root", "", "not a file of this release\n", "the root image"];
    let mut rest = response.as_str();
    for (n, wanted) in wanted.iter().enumerate() {
        let (head, body) = rest.split_once("\r\n\r\n").unwrap();
        assert!(head.starts_with("HTTP/1.1 "), "answer {n}: {head}");
        assert!(body.starts_with(wanted), "answer {n}: {head}");
        rest = &body[wanted.len()..];
    }
    assert_eq!(rest, "");
}
