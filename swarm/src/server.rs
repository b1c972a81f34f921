//! Giving chunks to neighbours: HTTP/1.1, GET only, two kinds of paths (see [`crate::wire`]), everything bounded. It
//! gives what has been verified and nothing else; what it is told is a hint to the picker.

mod head;

use std::collections::{HashMap, VecDeque};
use std::io::{self, Read, Write};
use std::net::{IpAddr, SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use crate::bitmap::Bitmap;
use crate::store::Image;
use crate::wire::{CHUNK, HAVE, HAVE_HEAD, HOLD};
pub use head::{BadHead, Head, PORT_HEAD, parse_head};

/// Most connections at once, in all and of one address.
const MAX_CONNECTIONS: usize = 160;
const MAX_PER_CLIENT: usize = 12;
/// Most chunks being sent at a time: few soon instead of many late.
pub const MAX_SENDING: usize = 4;
/// How many neighbours wait for their turn, and how long: who came first is served first, or some would never be.
pub const MAX_WAITING: usize = 8;
/// See [`MAX_WAITING`].
pub const PATIENCE: Duration = Duration::from_millis(300);
/// Largest request head, in bytes: it carries a bitmap.
pub const MAX_HEAD: usize = 12 << 10;
/// How long a request's head may take to come once it has begun, and how long a connection may be idle before.
const HEAD_LIMIT: Duration = Duration::from_secs(5);
const IDLE_LIMIT: Duration = Duration::from_secs(20);
/// How long a neighbour may take nothing of what is sent to it.
const STALL_LIMIT: Duration = Duration::from_secs(5);
/// Memory of a connection's thread: it calls nothing deep.
const STACK: usize = 128 << 10;

/// Told of each neighbour that asks: where it serves, and what it has.
pub type Met = Box<dyn Fn(SocketAddr, Bitmap) + Send + Sync>;

/// A running server. Dropped, it takes no more connections, and those that are there end with their next request.
pub struct Server {
    address: SocketAddr,
    stop: Arc<AtomicBool>,
}

struct Shared {
    image: Arc<Image>,
    met: Met,
    stop: Arc<AtomicBool>,
    queue: Queue,
    open: Mutex<HashMap<IpAddr, usize>>,
}

impl Server {
    /// Serves `image` on `listener`.
    ///
    /// # Errors
    /// When there is no thread for it.
    pub fn start(listener: TcpListener, image: Arc<Image>, met: Met) -> io::Result<Self> {
        let address = listener.local_addr()?;
        let stop = Arc::new(AtomicBool::new(false));
        let (queue, open) = Default::default();
        let shared = Arc::new(Shared { image, met, stop: stop.clone(), queue, open });
        thread::Builder::new().name("swarm".to_owned()).spawn(move || accept(&listener, &shared))?;
        Ok(Self { address, stop })
    }

    /// Where it listens.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        // It waits for a connection: it shall have one. Where that fails it hears of the next neighbour's.
        let _ = TcpStream::connect_timeout(&self.address, Duration::from_millis(200));
    }
}

fn accept(listener: &TcpListener, shared: &Arc<Shared>) {
    for stream in listener.incoming() {
        if shared.stop.load(Ordering::Relaxed) {
            return;
        }
        let Ok(stream) = stream else {
            thread::yield_now(); // out of descriptors, or a neighbour that has hung up already
            continue;
        };
        let Ok(peer) = stream.peer_addr() else { continue };
        let Some(seat) = Seat::take(shared, peer.ip()) else { continue };
        let connection = move || {
            if let Err(e) = serve(&stream, peer, &seat.shared) {
                tracing::debug!(%peer, "a neighbour's connection ended: {e}");
            }
        };
        if let Err(e) = thread::Builder::new().stack_size(STACK).spawn(connection) {
            tracing::warn!("no thread for a neighbour: {e}");
        }
    }
}

fn serve(mut stream: &TcpStream, peer: SocketAddr, shared: &Shared) -> io::Result<()> {
    stream.set_nodelay(true)?;
    stream.set_write_timeout(Some(STALL_LIMIT))?;
    let mut buffer = Vec::new();
    loop {
        let Some(head) = read_head(stream, &mut buffer)? else { return Ok(()) };
        if shared.stop.load(Ordering::Relaxed) {
            return Ok(());
        }
        if let (Some(port), Some(have)) = (head.port, &head.have)
            && let Some(have) = Bitmap::parse(have, shared.image.list().count())
        {
            (shared.met)(SocketAddr::new(peer.ip(), port), have);
        }
        let keep = answer(stream, &head, shared)?;
        stream.flush()?;
        if !keep {
            return Ok(());
        }
    }
}

/// The next request; `None` at the end of the connection.
fn read_head(mut stream: &TcpStream, buffer: &mut Vec<u8>) -> io::Result<Option<Head>> {
    let mut since = None;
    loop {
        match parse_head(buffer) {
            Ok(Some((head, len))) => {
                buffer.drain(..len);
                return Ok(Some(head));
            }
            Ok(None) if buffer.len() < MAX_HEAD => {}
            Ok(None) | Err(BadHead) => {
                stream.write_all(
                    b"HTTP/1.1 400 Bad Request\r\nConnection: close\r\nContent-Length: 0\r\n\r\n",
                )?;
                return Ok(None);
            }
        }
        let limit = match since {
            _ if buffer.is_empty() => IDLE_LIMIT,
            None => HEAD_LIMIT,
            Some(begun) => HEAD_LIMIT.saturating_sub(Instant::elapsed(&begun)),
        };
        if limit.is_zero() {
            return Err(io::ErrorKind::TimedOut.into());
        }
        stream.set_read_timeout(Some(limit))?;
        let mut piece = [0; 2048];
        let n = stream.read(&mut piece)?;
        if n == 0 {
            return Ok(None);
        }
        since = since.or_else(|| Some(Instant::now()));
        buffer.extend_from_slice(&piece[..n]);
    }
}

/// Answers one request; whether the connection stays.
fn answer(mut stream: &TcpStream, head: &Head, shared: &Shared) -> io::Result<bool> {
    let image = &shared.image;
    let (path, query) = head.path.split_once('?').unwrap_or((&head.path, ""));
    let mut plain = |status: &str| {
        let have = image.have().hex();
        write!(stream, "HTTP/1.1 {status}\r\n{HAVE_HEAD}: {have}\r\nContent-Length: 0\r\n\r\n").map(|()| true)
    };
    if path == HAVE {
        let count = query.strip_prefix("count=").and_then(|n| n.parse().ok()).unwrap_or(0);
        image.wait_for_more(count, HOLD);
        // Not Content: it has no length of its own (RFC 9110 section 8.6).
        let have = image.have().hex();
        write!(stream, "HTTP/1.1 204 No Content\r\n{HAVE_HEAD}: {have}\r\n\r\n")?;
        return Ok(true);
    }
    let number = path.strip_prefix(CHUNK).and_then(|rest| rest.strip_prefix('/'));
    let Some(index) = number.and_then(|n| n.parse().ok()) else { return plain("404 Not Found") };
    let Some(_place) = shared.queue.take() else { return plain("503 Service Unavailable") };
    let Some(bytes) = image.get(index) else { return plain("404 Not Found") };
    let have = image.have().hex();
    write!(stream, "HTTP/1.1 200 OK\r\n{HAVE_HEAD}: {have}\r\nContent-Length: {}\r\n\r\n", bytes.len())?;
    stream.write_all(&bytes)?;
    Ok(true)
}

/// The chunks being sent, and who waits for that, in order.
#[derive(Default)]
struct Queue {
    turns: Mutex<Turns>,
    moved: Condvar,
}

#[derive(Default)]
struct Turns {
    sending: usize,
    waiting: VecDeque<u64>,
    last: u64,
}

/// A place among the chunks being sent.
struct Sending<'a>(&'a Queue);

impl Queue {
    fn turns(&self) -> MutexGuard<'_, Turns> {
        self.turns.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits for a place; `None` where too many wait already, or none becomes free in time.
    fn take(&self) -> Option<Sending<'_>> {
        let mut turns = self.turns();
        if turns.waiting.len() >= MAX_WAITING {
            return None;
        }
        turns.last += 1;
        let mine = turns.last;
        turns.waiting.push_back(mine);
        let not_yet = |t: &mut Turns| t.sending >= MAX_SENDING || t.waiting.front() != Some(&mine);
        let waited = self.moved.wait_timeout_while(turns, PATIENCE, not_yet);
        let (mut turns, over) = waited.unwrap_or_else(PoisonError::into_inner);
        turns.waiting.retain(|turn| *turn != mine);
        turns.sending += usize::from(!over.timed_out());
        drop(turns);
        self.moved.notify_all();
        (!over.timed_out()).then_some(Sending(self))
    }
}

impl Drop for Sending<'_> {
    fn drop(&mut self) {
        self.0.turns().sending -= 1;
        self.0.moved.notify_all();
    }
}

/// A connection's place among those allowed.
struct Seat {
    shared: Arc<Shared>,
    client: IpAddr,
}

impl Seat {
    fn take(shared: &Arc<Shared>, client: IpAddr) -> Option<Self> {
        let mut open = shared.open.lock().unwrap_or_else(PoisonError::into_inner);
        if open.values().sum::<usize>() >= MAX_CONNECTIONS {
            return None;
        }
        let count = open.entry(client).or_default();
        if *count >= MAX_PER_CLIENT {
            return None;
        }
        *count += 1;
        Some(Self { shared: shared.clone(), client })
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        let mut open = self.shared.open.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(count) = open.get_mut(&self.client) {
            *count -= 1;
            if *count == 0 {
                open.remove(&self.client);
            }
        }
    }
}

#[cfg(test)]
mod tests;
