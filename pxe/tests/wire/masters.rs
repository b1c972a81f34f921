//! Two masters of one cluster, ten machines at different stages, and the death of the one that leads. The agents are
//! played by the test, over one record that both share.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Stdio};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use maekin_api::addresses::{AddressChange, Addresses, Held, Hold};
use maekin_host::cmd::Cmd;
use maekin_host::wait;
use maekin_pxe::dhcp::options::{self, MessageType};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::client::dhcp::{Client, Heard};
use crate::namespace::ip;
use crate::rig::{CLIENT, Rig, SERVER, in_rig};

const LIMIT: Duration = Duration::from_secs(20);
const TICKET: &str = "0123456789abcdef0123456789abcdef";

/// The record: who leads, and who has which address.
#[derive(Default)]
struct Book {
    leader: usize,
    epoch: i64,
    held: BTreeMap<Ipv4Addr, Held>,
    /// Addresses that went from one machine to another without having been freed.
    twice: Vec<Ipv4Addr>,
    reports: Vec<usize>,
}

/// The agent of master `own`: answers at its socket until the test ends.
fn agent(socket: &Path, own: usize, book: &Arc<Mutex<Book>>) {
    let listener = UnixListener::bind(socket).expect("a socket");
    let book = book.clone();
    std::thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            let _ = answer(&stream, own, &book); // a master that died in the middle hangs up
        }
    });
}

fn answer(stream: &UnixStream, own: usize, book: &Mutex<Book>) -> std::io::Result<()> {
    let mut reader = BufReader::new(stream);
    let (mut head, mut length) = (String::new(), 0);
    while !head.ends_with("\r\n\r\n") {
        let mut line = String::new();
        reader.read_line(&mut line)?;
        if let Some(value) = line.to_lowercase().strip_prefix("content-length:") {
            length = value.trim().parse().unwrap_or(0);
        }
        head.push_str(&line);
    }
    let mut body = vec![0; length];
    reader.read_exact(&mut body)?;
    let mut book = book.lock().expect("no panic before");
    let leads = book.leader == own;
    let json = if head.starts_with("GET /internal/addresses ") && leads {
        let held = book.held.values().cloned().collect();
        serde_json::to_vec(&Addresses { epoch: book.epoch, held }).ok()
    } else if head.starts_with("POST /internal/addresses ") && leads {
        let change: AddressChange = serde_json::from_slice(&body).expect("a change");
        (change.epoch == book.epoch).then(|| write(&mut book, change))
    } else if head.contains("/report ") {
        book.reports.push(own);
        Some(b"null".to_vec())
    } else {
        None
    };
    let status = if json.is_some() { "200 OK" } else { "409 Conflict" };
    let json = json.unwrap_or_default();
    let mut stream = stream;
    write!(stream, "HTTP/1.1 {status}\r\nContent-Length: {}\r\n\r\n", json.len())?;
    stream.write_all(&json)
}

fn write(book: &mut Book, change: AddressChange) -> Vec<u8> {
    for held in change.held {
        let (ip, mac) = (held.ip, held.mac.clone());
        if book.held.insert(ip, held).is_some_and(|old| old.mac != mac) {
            book.twice.push(ip);
        }
    }
    change.freed.iter().for_each(|ip| drop(book.held.remove(ip)));
    serde_json::to_vec(&Hold { for_ms: 3000 }).expect("JSON")
}

/// One of the masters.
struct Master {
    address: Ipv4Addr,
    config: PathBuf,
    rest: String,
    child: Child,
}

impl Master {
    /// Starts master `n`, 10.77.0.n.
    fn start(rig: &mut Rig, n: usize, role: &str, book: &Arc<Mutex<Book>>) -> Self {
        let dir = rig.dir().display().to_string();
        let (socket, config) = (rig.dir().join(format!("a{n}.sock")), rig.dir().join(format!("m{n}.toml")));
        agent(&socket, n, book);
        let rest = format!(
            "interface = \"{SERVER}\"\naddress = \"10.77.0.{n}/24\"\npool_start = \"10.77.0.100\"\n\
             pool_end = \"10.77.0.199\"\nrelease_dir = \"{dir}\"\nroot_path = \"{dir}/root\"\nledger = true\n\
             agent_socket = \"{}\"\nlease_file = \"{dir}/leases{n}\"\nsiblings = [\"10.77.0.{}\"]\n\
             [beside]\nmode = \"server\"\n",
            socket.display(),
            3 - n
        );
        fs::write(&config, format!("role = \"{role}\"\n{rest}")).expect("a file");
        let serve = Cmd::new(env!("CARGO_BIN_EXE_maekin-pxe")).args(["serve", "--config"]).arg(&config);
        let spawn =
            move || serve.env("RUST_LOG", "warn").spawn(Stdio::null(), Stdio::null(), Stdio::inherit());
        let child = rig.on_server(spawn).expect("a master");
        let address = Ipv4Addr::new(10, 77, 0, u8::try_from(n).expect("1 or 2"));
        let master = Self { address, config, rest, child };
        wait::until("a master to listen", LIMIT, Duration::from_millis(20), || master.connect())
            .expect("in time");
        master
    }

    fn lead(&self) {
        fs::write(&self.config, format!("role = \"leader\"\n{}", self.rest)).expect("a file");
        let pid = i32::try_from(self.child.id()).expect("a pid");
        kill(Pid::from_raw(pid), Signal::SIGHUP).expect("SIGHUP");
    }

    fn die(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }

    fn connect(&self) -> Option<TcpStream> {
        let stream = TcpStream::connect_timeout(&SocketAddr::from((self.address, 8480)), LIMIT).ok()?;
        stream.set_read_timeout(Some(LIMIT)).ok()?;
        Some(stream)
    }

    /// Status and body.
    fn ask(&self, request: &str, headers: &str, body: &str) -> (u16, Vec<u8>) {
        let mut stream = self.connect().expect("a connection");
        let length = body.len();
        write!(stream, "{request} HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: {length}\r\n{headers}\r\n{body}")
            .expect("sent");
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer).expect("an answer");
        let at = answer.windows(4).position(|w| w == b"\r\n\r\n").expect("a head");
        let status = String::from_utf8_lossy(&answer[9..12]).parse().expect("a status");
        (status, answer.split_off(at + 4))
    }
}

impl Drop for Master {
    fn drop(&mut self) {
        self.die();
    }
}

fn mac(n: u8) -> [u8; 6] {
    [2, 0, 0, 0, 7, n]
}

/// Asks until there is an answer of this kind.
fn until(client: &Client, n: u8, kind: MessageType, said: &[(u8, &[u8])], want: MessageType) -> Heard {
    let ask = || client.gather(mac(n), kind, said, 1).into_iter().find(|heard| heard.kind == want);
    wait::until("a master's answer", LIMIT, Duration::from_millis(20), ask).expect("in time")
}

fn discover(client: &Client, n: u8) -> Ipv4Addr {
    until(client, n, MessageType::Discover, &[], MessageType::Offer).ip
}

/// Asks `server` for what it offered.
fn request(client: &Client, n: u8, ip: Ipv4Addr, server: u8) -> Heard {
    let (ip, server) = (ip.octets(), [10, 77, 0, server]);
    let said: &[(u8, &[u8])] = &[(options::REQUESTED_IP, &ip), (options::SERVER_ID, &server)];
    until(client, n, MessageType::Request, said, MessageType::Ack)
}

#[test]
fn netboot_ten_machines_survive_their_master() {
    in_rig(|rig: &mut Rig| {
        rig.kill();
        rig.on_server(|| ip(&format!("address add 10.77.0.2/24 dev {SERVER}")));
        let book = Arc::new(Mutex::new(Book { leader: 1, epoch: 5, ..Book::default() }));
        let mut first = Master::start(rig, 1, "leader", &book);
        let second = Master::start(rig, 2, "standby", &book);
        let client = Client::open(CLIENT);

        // Machines 0 to 5 have leases, 6 and 7 only offers; 8 and 9 are not switched on yet.
        let mut has: BTreeMap<u8, Ipv4Addr> = (0..8).map(|n| (n, discover(&client, n))).collect();
        for n in 0..6 {
            assert_eq!(request(&client, n, has[&n], 1).ip, has[&n]);
        }
        let known: BTreeSet<_> = book.lock().expect("no panic").held.keys().copied().collect();
        assert_eq!(known, (0..6).map(|n| has[&n]).collect(), "leases are in the record, offers are not");
        // Machine 4 is in the middle of a download, 5 reports to the one that it reaches.
        let whole = rig.file("boot/net/ipxe.efi");
        let path = "GET /release/boot/net/ipxe.efi";
        let (status, half) = first.ask(path, "Range: bytes=0-149999\r\n", "");
        assert_eq!(status, 206);
        assert_eq!(second.ask("GET /boot.ipxe?mac=02:00:00:00:07:00", "", "").0, 503, "it does not decide");

        first.die();
        let report = r#"{"stage":"progress","step":"writing","percent":40}"#;
        let report_to = |master: &Master| master.ask(&format!("POST /install/{TICKET}/report"), "", report).0;
        assert_eq!(report_to(&second), 204, "before anybody leads");
        let (status, rest) = second.ask(path, "Range: bytes=150000-\r\n", "");
        assert!(status == 206 && [half, rest].concat() == whole, "the same bytes from the other one");
        {
            let mut book = book.lock().expect("no panic");
            (book.leader, book.epoch) = (2, 9);
        }
        second.lead();

        for n in [6, 7] {
            let ack = request(&client, n, has[&n], 1);
            assert_eq!(ack.ip, has[&n], "it asks the dead one for its offer, and gets it");
            assert_eq!(ack.option(options::SERVER_ID), Some([10, 77, 0, 1].as_slice()), "from whom it asked");
        }
        for n in [0, 1] {
            let said = has[&n].octets();
            let ack =
                until(&client, n, MessageType::Request, &[(options::REQUESTED_IP, &said)], MessageType::Ack);
            assert_eq!(ack.ip, has[&n], "INIT-REBOOT");
        }
        for n in [2, 3, 8, 9] {
            let got = discover(&client, n);
            assert_eq!(request(&client, n, got, 2).ip, got);
            assert_eq!(*has.entry(n).or_insert(got), got, "{n}: the second boot stage has the same address");
        }
        assert_eq!(report_to(&second), 204);
        let distinct: BTreeSet<_> = has.values().collect();
        assert_eq!((has.len(), distinct.len()), (10, 10), "{has:?}");
        let held = {
            let mut book = book.lock().expect("no panic");
            assert_eq!((&book.twice, &book.reports), (&vec![], &vec![2, 2]));
            book.leader = 0; // it is deposed, and nobody tells it
            book.held.clone()
        };
        for (n, ip) in &has {
            let mac = maekin_pxe::hw::HwAddr::new(&mac(*n)).expect("six bytes").to_string();
            assert_eq!(held.get(ip).map(|h| &h.mac), Some(&mac), "{n}");
        }
        let silent = || client.gather(mac(9), MessageType::Discover, &[], 1).is_empty().then_some(());
        wait::until("the deposed master to fall silent", LIMIT, Duration::from_millis(20), silent)
            .expect("in time");
    });
}
