//! A TFTP client that follows RFC 1350, 2347 and 7440, and checks that the server does.

use std::net::UdpSocket;
use std::time::Duration;

const SERVER: &str = "10.77.0.1:69";
/// The error code of [`get`] when nothing came.
pub(crate) const SILENCE: u16 = u16::MAX;

fn ask(name: &str, options: &[(&str, &str)]) -> UdpSocket {
    let socket = UdpSocket::bind("0.0.0.0:0").expect("a socket");
    socket.set_read_timeout(Some(Duration::from_millis(1500))).expect("a limit");
    let mut request = format!("\0\x01{name}\0octet\0");
    for (key, value) in options {
        request.push_str(&format!("{key}\0{value}\0"));
    }
    socket.send_to(request.as_bytes(), SERVER).expect("sent");
    socket
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

/// Fetches a file, or the error code.
pub(crate) fn get(name: &str, options: &[(&str, &str)]) -> Result<Vec<u8>, u16> {
    let socket = ask(name, options);
    let (mut block, mut window, mut next, mut since_ack) = (512, 1, 1u16, 0);
    let (mut file, mut buf) = (Vec::new(), [0; 2000]);
    loop {
        let Ok((len, from)) = socket.recv_from(&mut buf) else { return Err(SILENCE) };
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
    }
}

/// Asks only how large a file is, as EDK2 does: ERROR 8 after the OACK.
pub(crate) fn size_only(name: &str) -> usize {
    let options = [("tsize", "0"), ("blksize", "1468"), ("windowsize", "4")];
    let socket = ask(name, &options);
    let mut buf = [0; 600];
    let (len, from) = socket.recv_from(&mut buf).expect("an OACK");
    socket.send_to(b"\0\x05\0\x08User aborted the transfer\0", from).expect("sent");
    let pairs = agreed(&buf[..len], &options);
    pairs.iter().find(|(key, _)| *key == "tsize").expect("tsize").1
}
