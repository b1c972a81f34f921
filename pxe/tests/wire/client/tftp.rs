//! A TFTP client that follows RFC 1350, 2347 and 7440, and checks that the server does.

use std::net::{SocketAddr, UdpSocket};
use std::time::Duration;

const SERVER: &str = "10.77.0.1:69";
/// The error code of [`get`] when nothing came.
pub(crate) const SILENCE: u16 = u16::MAX;

/// How long a client waits until it asks again.
const PATIENCE: Duration = Duration::from_secs(1);
/// How often it asks.
const TRIES: usize = 5;

fn request(name: &str, options: &[(&str, &str)]) -> Vec<u8> {
    let options = options.iter().map(|(key, value)| format!("{key}\0{value}\0"));
    format!("\0\x01{name}\0octet\0{}", options.collect::<String>()).into_bytes()
}

/// Asks, and again where nothing comes, as every client does; the first answer.
fn ask(request: &[u8], buf: &mut [u8]) -> Option<(UdpSocket, usize, SocketAddr)> {
    let socket = UdpSocket::bind("0.0.0.0:0").expect("a socket");
    socket.set_read_timeout(Some(PATIENCE)).expect("a limit");
    (0..TRIES)
        .find_map(|_| {
            socket.send_to(request, SERVER).expect("sent");
            socket.recv_from(buf).ok()
        })
        .map(|(len, from)| (socket, len, from))
}

/// An OACK's options; none may be larger than asked for, and none may be new.
fn agreed<'a>(bytes: &'a [u8], asked: &[(&str, &str)]) -> Vec<(&'a str, usize)> {
    let text = std::str::from_utf8(&bytes[2..]).expect("text");
    let words: Vec<_> = text.trim_end_matches('\0').split('\0').collect();
    let number = |text: &str| text.parse::<usize>().expect("a number");
    let pairs: Vec<_> = words.chunks(2).map(|pair| (pair[0], number(pair[1]))).collect();
    for (key, value) in &pairs {
        let (_, wanted) = asked.iter().find(|(k, _)| k == key).expect("only what was asked for");
        assert!(*key == "tsize" || *value <= number(wanted), "{key} was raised to {value}");
    }
    pairs
}

/// What comes back for one packet to the port of requests, if anything does in time.
pub(crate) fn answer(packet: &[u8], limit: Duration) -> Option<Vec<u8>> {
    let socket = UdpSocket::bind("0.0.0.0:0").expect("a socket");
    socket.set_read_timeout(Some(limit)).expect("a limit");
    socket.send_to(packet, SERVER).expect("sent");
    let mut buf = [0; 2000];
    socket.recv(&mut buf).ok().map(|len| buf[..len].to_vec())
}

/// Fetches a file, or the error code.
pub(crate) fn get(name: &str, options: &[(&str, &str)]) -> Result<Vec<u8>, u16> {
    fetch(&request(name, options), options)
}

/// Fetches a file with options that the server must not answer to.
pub(crate) fn get_as_if_unasked(name: &str, options: &[(&str, &str)]) -> Result<Vec<u8>, u16> {
    fetch(&request(name, options), &[])
}

fn fetch(request: &[u8], options: &[(&str, &str)]) -> Result<Vec<u8>, u16> {
    let (mut block, mut window, mut next, mut since_ack) = (512, 1, 1u16, 0);
    let (mut file, mut buf) = (Vec::new(), [0; 2000]);
    let Some((socket, mut len, mut from)) = ask(request, &mut buf) else { return Err(SILENCE) };
    socket.set_read_timeout(Some(PATIENCE * 5)).expect("a limit");
    loop {
        assert_eq!(from.ip().to_string(), "10.77.0.1");
        let ack = |n: u16| {
            let [a, b] = n.to_be_bytes();
            socket.send_to(&[0, 4, a, b], from).expect("sent");
        };
        match &buf[..len] {
            bytes @ [0, 6, ..] => {
                for (key, value) in agreed(bytes, options) {
                    match key {
                        "blksize" => block = value,
                        "windowsize" => window = value,
                        _ => {}
                    }
                }
                ack(0);
            }
            [0, 3, a, b, data @ ..] if u16::from_be_bytes([*a, *b]) == next => {
                file.extend_from_slice(data);
                since_ack += 1;
                let last = data.len() < block;
                if last || since_ack == window {
                    ack(next);
                    since_ack = 0;
                }
                if last {
                    return Ok(file);
                }
                next = next.wrapping_add(1);
            }
            [0, 3, ..] => ack(next.wrapping_sub(1)), // out of order: say what we have
            [0, 5, a, b, ..] => return Err(u16::from_be_bytes([*a, *b])),
            other => panic!("an unexpected packet: {other:?}"),
        }
        let Ok(received) = socket.recv_from(&mut buf) else { return Err(SILENCE) };
        (len, from) = received;
    }
}

/// Asks only how large a file is, as EDK2 does: ERROR 8 after the OACK.
pub(crate) fn size_only(name: &str) -> usize {
    let options = [("tsize", "0"), ("blksize", "1468"), ("windowsize", "4")];
    let mut buf = [0; 600];
    let (socket, len, from) = ask(&request(name, &options), &mut buf).expect("an OACK");
    socket.send_to(b"\0\x05\0\x08User aborted the transfer\0", from).expect("sent");
    let pairs = agreed(&buf[..len], &options);
    pairs.iter().find(|(key, _)| *key == "tsize").expect("tsize").1
}
