//! An HTTP client, as small as it can be.

use std::io::{ErrorKind, Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::time::Duration;

const LIMIT: Duration = Duration::from_millis(1500);

fn connect() -> Option<TcpStream> {
    TcpStream::connect_timeout(&SocketAddr::from(([10, 77, 0, 1], 8480)), LIMIT).ok()
}

/// Whether the server accepts connections.
pub(crate) fn reachable() -> bool {
    connect().is_some()
}

/// Whether packets of ours reach the server's machine at all: a port that nobody serves is refused by its kernel.
pub(crate) fn path_works() -> bool {
    let unserved = SocketAddr::from(([10, 77, 0, 1], 9));
    TcpStream::connect_timeout(&unserved, LIMIT).is_err_and(|e| e.kind() == ErrorKind::ConnectionRefused)
}

/// Status and body.
pub(crate) fn get(path: &str, headers: &str) -> (u16, String) {
    exchange(&format!("GET {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n{headers}\r\n"))
}

/// Status and body.
pub(crate) fn post(path: &str, body: &str) -> (u16, String) {
    let length = body.len();
    exchange(&format!(
        "POST {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: {length}\r\n\r\n{body}"
    ))
}

fn exchange(request: &str) -> (u16, String) {
    let mut stream = connect().expect("a connection");
    stream.set_read_timeout(Some(LIMIT)).expect("a limit");
    stream.write_all(request.as_bytes()).expect("sent");
    let mut text = String::new();
    stream.read_to_string(&mut text).expect("an answer");
    let (head, body) = text.split_once("\r\n\r\n").expect("a head");
    (head[9..12].parse().expect("a status"), body.to_owned())
}

/// The counters of a master; `None` when it does not answer.
pub(crate) fn metrics(server: Ipv4Addr) -> Option<String> {
    let mut stream = TcpStream::connect_timeout(&SocketAddr::from((server, 8480)), LIMIT).ok()?;
    stream.set_read_timeout(Some(LIMIT)).ok()?;
    write!(stream, "GET /metrics HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n").ok()?;
    let mut text = String::new();
    stream.read_to_string(&mut text).ok()?;
    Some(text)
}
