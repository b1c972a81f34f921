//! Gossip of 50 nodes over real UDP sockets on the loopback, a thread each: bytes a second, memory, and how soon a death
//! is noticed. `cargo run -p maekin-gossip --release --example sockets [NODES]`; takes a minute and a half.

use std::net::{SocketAddr, UdpSocket};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Barrier, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use maekin_gossip::{Event, Gossip, Identity, MAX_PACKET, NodeId, Status};

/// When what is counted begins and ends, and when a node dies.
const FROM: Duration = Duration::from_secs(40);
const TO: Duration = Duration::from_secs(70);
const DEATH: Duration = Duration::from_secs(72);
const END: Duration = Duration::from_secs(85);

#[derive(Default)]
struct Shared {
    bytes: AtomicU64,
    packets: AtomicU64,
    accused: AtomicU64,
    dead: AtomicBool,
    noticed: Mutex<Vec<Duration>>,
}

fn main() -> std::io::Result<()> {
    let nodes: u64 = std::env::args().nth(1).and_then(|text| text.parse().ok()).unwrap_or(50);
    let shared = Arc::new(Shared::default());
    let barrier = Arc::new(Barrier::new(usize::try_from(nodes).unwrap_or(50)));
    let mut sockets = Vec::new();
    for _ in 0..nodes {
        sockets.push(UdpSocket::bind("127.0.0.1:0")?);
    }
    let mut seeds = Vec::new();
    for (index, socket) in (0..).zip(&sockets) {
        seeds.push((id(index), socket.local_addr()?));
    }
    let begun = Instant::now();
    let threads: Vec<_> = (0..)
        .zip(sockets)
        .map(|(index, socket)| {
            let (shared, seeds, barrier) = (Arc::clone(&shared), seeds.clone(), Arc::clone(&barrier));
            thread::spawn(move || {
                barrier.wait();
                node(index, &socket, seeds, begun, &shared)
            })
        })
        .collect();
    for thread in threads {
        if let Ok(Err(e)) = thread.join() {
            println!("a node ended: {e}");
        }
    }
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let rss = status.lines().find(|line| line.starts_with("VmHWM")).unwrap_or("VmHWM: not known");
    let a_second = (TO - FROM).as_secs_f64() * nodes as f64;
    println!(
        "{nodes} nodes: {:.1} B/s and {:.2} packets/s sent by each; false alarms: {}; memory of all: {rss}",
        shared.bytes.load(Ordering::Relaxed) as f64 / a_second,
        shared.packets.load(Ordering::Relaxed) as f64 / a_second,
        shared.accused.load(Ordering::Relaxed),
    );
    let mut noticed = shared.noticed.lock().map(|all| all.clone()).unwrap_or_default();
    noticed.sort_unstable();
    if let (Some(median), Some(last)) = (noticed.get(noticed.len() / 2), noticed.last()) {
        println!("a death noticed by {} of them: median {median:.2?}, last {last:.2?}", noticed.len());
    }
    Ok(())
}

fn id(index: u64) -> NodeId {
    let mut bytes = [7; 16];
    bytes[..8].copy_from_slice(&index.to_be_bytes());
    NodeId(bytes)
}

fn node(
    index: u64,
    socket: &UdpSocket,
    seeds: Vec<(NodeId, SocketAddr)>,
    begun: Instant,
    shared: &Shared,
) -> std::io::Result<()> {
    let identity =
        Identity { cluster: [1; 16], id: id(index), generation: 1 << 30, address: socket.local_addr()? };
    let mut gossip = Gossip::new(&identity, &[2; 32], index, begun.elapsed());
    gossip.set_seeds(seeds);
    gossip.set_status(Status { version: "0.1.0".to_owned(), quorum: Some(true), ..Status::default() });
    let mut buf = [0; MAX_PACKET + 1];
    let (mut from, mut counted) = (None, false);
    while begun.elapsed() < END {
        let now = begun.elapsed();
        if index == 0 && now >= DEATH {
            shared.dead.store(true, Ordering::Relaxed);
            return Ok(());
        }
        if now >= FROM {
            from.get_or_insert_with(|| gossip.counters());
        }
        if let Some(before) = from.filter(|_| now >= TO && !counted) {
            let after = gossip.counters();
            shared.bytes.fetch_add(after.sent_bytes - before.sent_bytes, Ordering::Relaxed);
            shared.packets.fetch_add(after.sent - before.sent, Ordering::Relaxed);
            counted = true;
        }
        gossip.tick(now);
        while let Some((to, packet)) = gossip.poll_packet() {
            let _ = socket.send_to(&packet, to); // lost, as packets may be
        }
        while let Some(event) = gossip.poll_event() {
            match event {
                Event::Down(node) if node == id(0) && shared.dead.load(Ordering::Relaxed) => {
                    if let Ok(mut noticed) = shared.noticed.lock() {
                        noticed.push(begun.elapsed().saturating_sub(DEATH));
                    }
                }
                Event::Down(_) => {
                    shared.accused.fetch_add(1, Ordering::Relaxed);
                }
                Event::Up(_) => {}
            }
        }
        let wait = gossip.next_due().saturating_sub(begun.elapsed()).max(Duration::from_millis(1));
        socket.set_read_timeout(Some(wait))?;
        if let Ok((length, _)) = socket.recv_from(&mut buf) {
            gossip.receive(&buf[..length], begun.elapsed());
        }
    }
    Ok(())
}
