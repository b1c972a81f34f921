use super::*;
use maekin_image::chunks::ChunkList;
use std::sync::mpsc;

fn image(bytes: &[u8]) -> Arc<Image> {
    let list = ChunkList::of(bytes, 4096).unwrap();
    let file = tempfile::tempfile().unwrap();
    let image = Image::new(list, "d", Box::new(file));
    for (i, piece) in bytes.chunks(4096).enumerate().skip(1) {
        assert!(image.put(i, piece.to_vec()).unwrap());
    }
    Arc::new(image)
}

fn serving(image: &Arc<Image>, met: Met) -> Server {
    Server::start(TcpListener::bind("127.0.0.1:0").unwrap(), image.clone(), met).unwrap()
}

/// Sends `request` on a new connection, and reads until `end` bytes of body have come or it is closed.
fn ask(server: &Server, request: &str) -> (String, Vec<u8>) {
    let mut stream = TcpStream::connect(server.address()).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
    stream.write_all(request.as_bytes()).unwrap();
    stream.shutdown(std::net::Shutdown::Write).unwrap();
    let mut all = Vec::new();
    stream.read_to_end(&mut all).unwrap();
    let end = all.windows(4).position(|w| w == b"\r\n\r\n").unwrap() + 4;
    (String::from_utf8_lossy(&all[..end]).into_owned(), all[end..].to_vec())
}

#[test]
fn rack_what_is_there_is_given_and_nothing_else() {
    let bytes: Vec<u8> = (0..10_000_u32).map(|i| i.to_le_bytes()[1]).collect();
    let image = image(&bytes);
    let (sender, receiver) = mpsc::sync_channel(10);
    let server = serving(&image, Box::new(move |address, have| sender.send((address.port(), have)).unwrap()));
    let rows = [
        ("the last", "/swarm/chunk/2", "200 OK", &bytes[8192..]),
        ("one that is not there", "/swarm/chunk/0", "404 Not Found", &[]),
        ("beyond the end", "/swarm/chunk/3", "404 Not Found", &[]),
        ("no number", "/swarm/chunk/-1", "404 Not Found", &[]),
        ("a path that leads out", "/swarm/chunk/../../etc/passwd", "404 Not Found", &[]),
        ("another path", "/release/root", "404 Not Found", &[]),
        ("news that are there", "/swarm/have?count=1", "204 No Content", &[]),
    ];
    for (name, path, status, body) in rows {
        let (head, got) = ask(&server, &format!("GET {path} HTTP/1.1\r\nHost: x\r\n\r\n"));
        assert!(head.starts_with(&format!("HTTP/1.1 {status}\r\n")), "{name}: {head}");
        assert!(head.contains("maekin-have: 06\r\n"), "{name}: {head}");
        assert_eq!(got, body, "{name}");
    }
    let (head, _) = ask(&server, "POST /swarm/chunk/2 HTTP/1.1\r\n\r\n");
    assert!(head.starts_with("HTTP/1.1 400 "), "{head}");
    ask(&server, "GET /x HTTP/1.1\r\nMaekin-Port: 99\r\nMaekin-Have: 01\r\n\r\n");
    let (port, have) = receiver.recv_timeout(Duration::from_secs(5)).unwrap();
    assert_eq!((port, have.hex().as_str()), (99, "01"));
}

#[test]
fn rack_one_neighbour_cannot_take_all_connections() {
    let image = image(&[1; 5000]);
    let server = serving(&image, Box::new(|_, _| ()));
    let mut open = Vec::new();
    for _ in 0..MAX_PER_CLIENT + 4 {
        open.push(TcpStream::connect(server.address()).unwrap());
    }
    let refused = open
        .iter_mut()
        .map(|stream| {
            stream.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
            let asked = stream.write_all(b"GET /swarm/chunk/1 HTTP/1.1\r\n\r\n");
            asked.is_err() || stream.read(&mut [0; 1]).map_or(true, |n| n == 0)
        })
        .filter(|refused| *refused)
        .count();
    assert_eq!(refused, 4);
}

#[test]
fn rack_a_stopped_server_gives_nothing_more() {
    let image = image(&[1; 5000]);
    let server = serving(&image, Box::new(|_, _| ()));
    let address = server.address();
    let mut stream = TcpStream::connect(address).unwrap();
    drop(server);
    let _ = stream.write_all(b"GET /swarm/chunk/1 HTTP/1.1\r\n\r\n");
    assert_eq!(stream.read(&mut [0; 10]).unwrap_or(0), 0);
}
