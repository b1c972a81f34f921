//! The system image in pieces, from a master in a thread that gives them, lies, or knows nothing of pieces.

use super::*;
use crate::source::rack::Rack;
use maekin_image::chunks::{ChunkList, ROOT_CHUNKS};
use maekin_image::manifest::ROOT;
use maekin_swarm::tracker::{Grant, Limits, Tracker};
use maekin_swarm::wire::{CHUNK_HEAD, Report};
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

/// A bundle that neighbours have as well.
struct Shared {
    bundle: Bundle,
    rack: Rack,
    /// How often the image was asked for as a whole.
    whole: Arc<AtomicUsize>,
}

impl Source for Shared {
    fn open(&self, path: &str, size: Option<u64>) -> Result<Stream> {
        self.whole.fetch_add(usize::from(path == ROOT), Ordering::Relaxed);
        self.bundle.open(path, size)
    }

    fn describe(&self) -> String {
        "a rack".to_owned()
    }

    fn rack(&self) -> Option<&Rack> {
        Some(&self.rack)
    }
}

/// What the master does.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Manner {
    Honest,
    Lies,
    Ignorant,
}

/// A master for pieces of `image`; its address.
fn master(image: &[u8], list: &ChunkList, manner: Manner) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let base = format!("http://{}", listener.local_addr().unwrap());
    let tracker = Arc::new(Mutex::new(Tracker::new(list.count(), Limits::default(), 1)));
    let (image, list) = (image.to_vec(), list.clone());
    thread::spawn(move || {
        for stream in listener.incoming() {
            let (tracker, image, list) = (tracker.clone(), image.clone(), list.clone());
            thread::spawn(move || answer(&stream.unwrap(), &tracker, &image, &list, manner));
        }
    });
    base
}

/// Answers one request and hangs up.
fn answer(mut stream: &TcpStream, tracker: &Mutex<Tracker>, image: &[u8], list: &ChunkList, manner: Manner) {
    let mut reader = BufReader::new(stream);
    let (mut head, mut length) = (String::new(), 0);
    while !head.ends_with("\r\n\r\n") && reader.read_line(&mut head).unwrap() > 0 {}
    for line in head.lines() {
        if let Some((name, value)) = line.split_once(": ")
            && name.eq_ignore_ascii_case("content-length")
        {
            length = value.parse().unwrap();
        }
    }
    let mut body = vec![0; length];
    reader.read_exact(&mut body).unwrap();
    let reply = |status: &str, heads: &str, body: &[u8]| {
        let length = body.len();
        let head =
            format!("HTTP/1.1 {status}\r\nConnection: close\r\n{heads}Content-Length: {length}\r\n\r\n");
        [head.as_bytes(), body].concat()
    };
    let reply = if manner == Manner::Ignorant {
        reply("404 Not Found", "", b"")
    } else {
        let report: Report = serde_json::from_slice(&body).unwrap();
        let told = report.read(list.count()).unwrap();
        let client = [127, 0, 0, 1].into();
        let mut tracker = tracker.lock().unwrap();
        if head.starts_with("POST /swarm/announce ") {
            let answer = tracker.announce(0, client, &told);
            reply("200 OK", "", &serde_json::to_vec(&answer).unwrap())
        } else {
            match tracker.grant(0, client, &told) {
                Grant::Chunk(index) => {
                    let (from, len) = list.place(index).unwrap();
                    let from = usize::try_from(from).unwrap();
                    let mut bytes = image[from..from + len].to_vec();
                    bytes[0] ^= u8::from(manner == Manner::Lies);
                    reply("200 OK", &format!("{CHUNK_HEAD}: {index}\r\n"), &bytes)
                }
                _ => reply("503 Service Unavailable", "", b""),
            }
        }
    };
    let _ = stream.write_all(&reply); // a machine that has everything hangs up
}

fn shared(manner: Manner) -> (Release, Arc<AtomicUsize>) {
    let mut release = release(None);
    let image: Vec<u8> = (0..50_001_u32).flat_map(u32::to_le_bytes).collect();
    let list = ChunkList::of(&image[..], 4096).unwrap();
    let base = master(&image, &list, manner);
    let text = list.text().into_bytes();
    let mut files = BTreeMap::new();
    for path in release.manifest.files.keys() {
        let mut bytes = Vec::new();
        release.source.open(path, None).unwrap().read_to_end(&mut bytes).unwrap();
        files.insert(path.clone(), bytes);
    }
    for (path, bytes) in [(ROOT, image), (ROOT_CHUNKS, text)] {
        let entry = FileEntry { size: bytes.len() as u64, sha256: sha256_hex(&bytes) };
        release.manifest.files.insert(path.to_owned(), entry);
        files.insert(path.to_owned(), bytes);
    }
    let whole = Arc::new(AtomicUsize::new(0));
    let rack = Rack::new(vec![base]);
    release.source = Box::new(Shared { bundle: Bundle(files), rack, whole: whole.clone() });
    (release, whole)
}

#[test]
fn rack_the_system_comes_in_pieces_or_where_none_can_be_had_as_a_whole() {
    let rows = [
        ("pieces", Manner::Honest, 0, None),
        ("a master that lies", Manner::Lies, 1, Some("its disk or memory is defective")),
        ("a master that knows no pieces", Manner::Ignorant, 1, Some("hands out no chunks")),
    ];
    for (name, manner, want, note) in rows {
        let (release, whole) = shared(manner);
        let plan = planned(&release, pair(), Firmware::Uefi);
        let (mut target, mut heard) = (pair_target(), Heard::default());
        // The step after it reads both halves back and holds them against the manifest.
        apply(&plan, &release, &mut target, &mut heard).unwrap_or_else(|e| panic!("{name}: {e:#}"));
        assert_eq!(whole.load(Ordering::Relaxed), want, "{name}: times that it was fetched as a whole");
        let noted = heard.notes.iter().any(|text| note.is_some_and(|note| text.contains(note)));
        assert_eq!(noted, note.is_some(), "{name}: {:?}", heard.notes);
        assert!(heard.work.windows(2).all(|pair| pair[0].1 == pair[1].1), "{name}: the whole stays the same");
    }
}

#[test]
fn rack_a_chunk_list_that_was_changed_ends_the_installation() {
    let (mut release, _) = shared(Manner::Honest);
    let entry = release.manifest.files.get_mut(ROOT_CHUNKS).unwrap();
    entry.sha256 = sha256_hex(b"another list");
    let plan = planned(&release, pair(), Firmware::Uefi);
    let error = apply(&plan, &release, &mut pair_target(), &mut Heard::default()).unwrap_err();
    assert!(format!("{error:#}").contains("digest"), "{error:#}");
}
