//! Load for the servers of `cargo xtask bench --only tftp | http`: so many clients at once, each on a thread of its own,
//! all of them over plain sockets. Prints seconds and bytes as JSON.
//!
//! `wire-load tftp ADDRESS NAME BLOCK WINDOW CLIENTS LOSS` loses LOSS of a thousand DATA packets, by a seed, behind the
//! socket; nothing else repairs that than the server, or the client's own timer of a second.
//! `wire-load hold ADDRESS NAME CLIENTS` begins transfers, says so, and holds them until its input ends.
//! TFTP clients have the addresses from 10.77.0.100 on.
//! `wire-load http ADDRESS PATH CLIENTS`.

#![allow(clippy::expect_used, clippy::panic)] // a load that fails measures nothing

use std::io::{Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpStream, UdpSocket};
use std::sync::{Arc, Barrier};
use std::time::{Duration, Instant};

/// A client's timer.
const TIMER: Duration = Duration::from_secs(1);
/// How often it runs out until the client gives up.
const TRIES: u32 = 60;

fn main() {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let args: Vec<&str> = args.iter().map(String::as_str).collect();
    let number = |text: &str| text.parse::<usize>().expect("a number");
    match args[..] {
        ["tftp", address, name, block, window, clients, loss] => {
            let asked = Asked {
                address: address.to_owned(),
                name: name.to_owned(),
                block: number(block),
                window: number(window),
            };
            let loss = number(loss);
            together(number(clients), move |n| {
                asked.get(own(n), Loss { state: n as u64 + 1, per_mille: loss })
            });
        }
        ["hold", address, name, clients] => hold(address, name, number(clients)),
        ["http", address, path, clients] => {
            let (address, path) = (address.parse::<SocketAddr>().expect("an address"), path.to_owned());
            together(number(clients), move |_| fetch(address, &path));
        }
        _ => panic!("see the head of this program for its arguments"),
    }
}

/// Runs `clients` at once; prints what they took.
fn together(clients: usize, client: impl Fn(usize) -> u64 + Send + Sync + 'static) {
    let (client, gate) = (Arc::new(client), Arc::new(Barrier::new(clients + 1)));
    let threads: Vec<_> = (0..clients)
        .map(|n| {
            let (client, gate) = (client.clone(), gate.clone());
            std::thread::spawn(move || {
                gate.wait();
                client(n)
            })
        })
        .collect();
    gate.wait();
    let start = Instant::now();
    let bytes: u64 = threads.into_iter().map(|thread| thread.join().expect("a client's thread")).sum();
    println!("{{\"seconds\": {:.6}, \"bytes\": {bytes}}}", start.elapsed().as_secs_f64());
}

/// One address takes few transfers at once, so each client has its own.
fn own(n: usize) -> Ipv4Addr {
    Ipv4Addr::new(10, 77, 0, 100 + u8::try_from(n).expect("at most 100 clients"))
}

struct Asked {
    address: String,
    name: String,
    block: usize,
    window: usize,
}

struct Loss {
    state: u64,
    per_mille: usize,
}

impl Loss {
    fn hits(&mut self) -> bool {
        if self.per_mille == 0 {
            return false;
        }
        self.state =
            self.state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        ((self.state >> 33) % 1000) < self.per_mille as u64
    }
}

impl Asked {
    fn request(&self) -> Vec<u8> {
        let (name, block, window) = (&self.name, self.block, self.window);
        let mut text = format!("\0\x01{name}\0octet\0blksize\0{block}\0");
        if window > 1 {
            text.push_str(&format!("windowsize\0{window}\0"));
        }
        text.into_bytes()
    }

    /// Fetches the file and drops it; how long it was.
    fn get(&self, own: Ipv4Addr, mut loss: Loss) -> u64 {
        let socket = UdpSocket::bind((own, 0)).expect("a socket");
        socket.set_read_timeout(Some(TIMER)).expect("a timer");
        let mut buf = vec![0; 70_000];
        let mut last = (self.request(), self.address.parse::<SocketAddr>().expect("an address"));
        socket.send_to(&last.0, last.1).expect("sent");
        let (mut block, mut window, mut next, mut in_window, mut bytes, mut told) =
            (512, 1, 1u16, 0, 0, false);
        let mut connected = false;
        let mut tries = 0;
        loop {
            let (len, from) = match socket.recv_from(&mut buf) {
                Ok(got) => got,
                Err(_) if tries < TRIES => {
                    tries += 1;
                    if connected { socket.send(&last.0) } else { socket.send_to(&last.0, last.1) }
                        .expect("sent");
                    continue;
                }
                Err(e) => panic!("nothing came {TRIES} times: {e}"),
            };
            if !connected {
                socket.connect(from).expect("connected");
                connected = true;
            }
            let mut ack = |number: u16| {
                let [a, b] = number.to_be_bytes();
                last = (vec![0, 4, a, b], from);
                socket.send(&last.0).expect("sent");
            };
            match &buf[..len] {
                [0, 6, options @ ..] => {
                    (block, window) = agreed(options);
                    ack(0);
                }
                [0, 3, ..] if loss.hits() => {}
                [0, 3, a, b, data @ ..] if u16::from_be_bytes([*a, *b]) == next => {
                    (tries, told) = (0, false);
                    bytes += data.len() as u64;
                    in_window += 1;
                    let end = data.len() < block;
                    if end || in_window == window {
                        ack(next);
                        in_window = 0;
                    }
                    if end {
                        return bytes;
                    }
                    next = next.wrapping_add(1);
                }
                // Out of order: what there is, once for each gap.
                [0, 3, a, b, ..] => {
                    let ahead = u16::from_be_bytes([*a, *b]).wrapping_sub(next) < 0x8000;
                    if !ahead || !told {
                        ack(next.wrapping_sub(1));
                        in_window = 0;
                    }
                    told |= ahead;
                }
                other => panic!("an unexpected packet: {other:?}"),
            }
        }
    }
}

/// Block and window size of an OACK.
fn agreed(options: &[u8]) -> (usize, usize) {
    let text = String::from_utf8_lossy(options);
    let words: Vec<&str> = text.split('\0').collect();
    let find = |key: &str, default| {
        words
            .chunks(2)
            .find(|pair| pair[0].eq_ignore_ascii_case(key))
            .map_or(default, |pair| pair[1].parse().expect("a number"))
    };
    (find("blksize", 512), find("windowsize", 1))
}

fn hold(address: &str, name: &str, clients: usize) {
    let asked = Asked { address: address.to_owned(), name: name.to_owned(), block: 1468, window: 16 };
    let held: Vec<_> = (0..clients)
        .map(|n| {
            let socket = UdpSocket::bind((own(n), 0)).expect("a socket");
            socket.set_read_timeout(Some(TIMER * 5)).expect("a timer");
            socket.send_to(&asked.request(), address).expect("sent");
            let (_, from) = socket.recv_from(&mut [0; 2000]).expect("an answer");
            socket.send_to(&[0, 4, 0, 0], from).expect("sent");
            socket
        })
        .collect();
    println!("held");
    let _ = std::io::stdin().read_to_end(&mut Vec::new());
    drop(held);
}

fn fetch(address: SocketAddr, path: &str) -> u64 {
    let mut stream = TcpStream::connect(address).expect("a connection");
    write!(stream, "GET {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n").expect("sent");
    let mut buf = vec![0; 256 << 10];
    let (mut head, mut bytes) = (Vec::new(), 0);
    while let len @ 1.. = stream.read(&mut buf).expect("received") {
        bytes += len as u64;
        if head.len() < 12 {
            head.extend_from_slice(&buf[..len.min(12)]);
        }
    }
    assert!(head.starts_with(b"HTTP/1.1 200"), "{}", String::from_utf8_lossy(&head));
    bytes
}
