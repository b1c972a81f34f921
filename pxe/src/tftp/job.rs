//! A transfer on the wire: its socket, its timer, and what it left behind in log and counters.

use std::io::{self, IoSlice};
use std::net::SocketAddr;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use maekin_host::net;
use tokio::io::Interest;
use tokio::net::UdpSocket;
use tokio::time::{sleep_until, timeout};

use super::transfer::{Out, Outcome, Transfer};
use crate::counters::{Counters, count};

/// How long a socket that is full may take until a packet is counted as lost.
pub(super) const SEND_LIMIT: Duration = Duration::from_secs(1);
/// Most blocks that the kernel takes in one call (`UDP_MAX_SEGMENTS`).
const SEGMENTS: u16 = 64;
const EIO: i32 = 5;
const EINVAL: i32 = 22;

/// A transfer's task.
pub(super) struct Job {
    socket: UdpSocket,
    client: SocketAddr,
    name: String,
    counters: Arc<Counters>,
}

impl Job {
    /// `socket` is connected to `client`.
    pub(super) fn new(socket: UdpSocket, client: SocketAddr, name: String, counters: Arc<Counters>) -> Self {
        Self { socket, client, name, counters }
    }

    /// Runs it to its end.
    pub(super) async fn run(self, mut transfer: Transfer) {
        let start = Instant::now();
        let outcome = self.drive(&mut transfer).await;
        let (client, file, ms) = (self.client.ip(), self.name.escape_debug(), start.elapsed().as_millis());
        self.counters.tftp_bytes.fetch_add(transfer.delivered(), Ordering::Relaxed);
        self.counters.tftp_resent.fetch_add(transfer.sent_again(), Ordering::Relaxed);
        match outcome {
            Outcome::Done => {
                count(&self.counters.tftp_done);
                tracing::debug!(%client, %file, %ms, "TFTP: sent");
            }
            Outcome::SizeOnly => {
                count(&self.counters.tftp_sized);
                tracing::debug!(%client, %file, "TFTP: told the size");
            }
            Outcome::Aborted(code) => {
                count(&self.counters.tftp_failed);
                tracing::info!(%client, %file, code, "TFTP: the client broke off");
            }
            Outcome::Lost => {
                count(&self.counters.tftp_failed);
                tracing::warn!(%client, %file, "TFTP: the client was not heard of any more");
            }
        }
    }

    async fn drive(&self, transfer: &mut Transfer) -> Outcome {
        let mut buf = [0; 600];
        let mut segments = true;
        let mut timer = pin!(sleep_until(transfer.deadline().into()));
        loop {
            while let Some(out) = transfer.poll_send(Instant::now()) {
                self.send(transfer, out, &mut segments).await;
            }
            if let Some(outcome) = transfer.outcome() {
                return outcome;
            }
            // A deadline that moves away is looked at when the timer fires: that is once, not for every packet.
            if timer.deadline() > transfer.deadline().into() || timer.is_elapsed() {
                timer.as_mut().reset(transfer.deadline().into());
            }
            tokio::select! {
                biased;
                received = self.socket.recv(&mut buf) => match received {
                    Ok(len) => transfer.receive(Instant::now(), &buf[..len]),
                    Err(_) => return Outcome::Lost, // its port is closed: ICMP said so
                },
                () = &mut timer => {
                    let now = Instant::now();
                    if now >= transfer.deadline() {
                        transfer.expire(now);
                    }
                }
            }
        }
    }

    /// A packet that cannot be sent is a lost one; the state machine deals with those.
    async fn send(&self, transfer: &Transfer, out: Out, segments: &mut bool) {
        let (first, count) = match out {
            Out::Oack => {
                let _ = timeout(SEND_LIMIT, self.socket.send(transfer.oack())).await;
                return;
            }
            Out::Blocks { first, count } => (first, count),
        };
        let mut left = first..first + u64::from(count);
        while *segments && left.end - left.start > 1 {
            let many = u16::try_from(left.end - left.start).unwrap_or(SEGMENTS).min(SEGMENTS);
            let write = || send_blocks(&self.socket, transfer, left.start, many);
            match timeout(SEND_LIMIT, self.socket.async_io(Interest::WRITABLE, write)).await {
                Ok(Err(e)) if matches!(e.raw_os_error(), Some(EIO | EINVAL)) => {
                    tracing::debug!("this interface takes packets one by one: {e}");
                    *segments = false;
                }
                _ => left.start += u64::from(many),
            }
        }
        for block in left {
            let write = || send_blocks(&self.socket, transfer, block, 1);
            let _ = timeout(SEND_LIMIT, self.socket.async_io(Interest::WRITABLE, write)).await;
        }
    }
}

/// Sends `count` blocks, at most [`SEGMENTS`], in one call, straight from the file's memory.
fn send_blocks(socket: &UdpSocket, transfer: &Transfer, first: u64, count: u16) -> io::Result<()> {
    let blocks = || first..first + u64::from(count);
    let mut headers = [[0; super::packet::HEADER]; SEGMENTS as usize];
    for (header, block) in headers.iter_mut().zip(blocks()) {
        *header = transfer.block(block).0;
    }
    let mut parts = [IoSlice::new(&[]); 2 * SEGMENTS as usize];
    for ((pair, header), block) in parts.chunks_exact_mut(2).zip(&headers).zip(blocks()) {
        pair[0] = IoSlice::new(header);
        pair[1] = IoSlice::new(transfer.block(block).1);
    }
    let parts = &parts[..2 * usize::from(count)];
    match count {
        1 => net::send_parts(socket, parts),
        _ => net::send_segments(socket, parts, transfer.packet_size()),
    }
}
