//! A whole TFTP exchange: a request, and whatever the client says afterwards.

use std::time::{Duration, Instant};

use maekin_pxe::tftp::packet::{MAX_BLOCK, MAX_WINDOW, Request, parse_request};
use maekin_pxe::tftp::transfer::{Out, Transfer};

const CONTENT: usize = 20_000;

/// Packets, each after a byte with its length: first the request. Length 255 lets time pass instead.
pub fn run(bytes: &[u8]) {
    let mut packets = Packets(bytes);
    let Some(Request::Read(request)) = packets.next().map(parse_request) else { return };
    assert!(!request.name.is_empty() && request.name.len() <= 255);
    let mut now = Instant::now();
    let mut transfer = Transfer::new([7; CONTENT].as_slice().into(), request.options, MAX_BLOCK, now);
    let most = usize::from(request.options.agree(MAX_BLOCK).block);
    let (mut sent, mut events) = (0u64, 1u64);
    loop {
        while let Some(out) = transfer.poll_send(now) {
            match out {
                Out::Oack => sent += 1,
                Out::Blocks { first, count } => {
                    sent += u64::from(count);
                    for block in first..first + u64::from(count) {
                        let (_, data) = transfer.block(block);
                        let last = block == (CONTENT / most + 1) as u64;
                        assert_eq!(data.len(), if last { CONTENT % most } else { most }, "block {block}");
                    }
                }
            }
            assert!(sent <= events * u64::from(MAX_WINDOW), "{sent} packets for {events} of the client's");
        }
        if transfer.outcome().is_some() {
            return;
        }
        events += 1;
        match packets.next() {
            Some([]) | None => {
                now = transfer.deadline();
                transfer.expire(now);
            }
            Some(packet) => {
                now += Duration::from_micros(50);
                transfer.receive(now, packet);
            }
        }
    }
}

struct Packets<'a>(&'a [u8]);

impl<'a> Iterator for Packets<'a> {
    type Item = &'a [u8];

    fn next(&mut self) -> Option<&'a [u8]> {
        let (len, rest) = self.0.split_first()?;
        let len = if *len == 255 { 0 } else { usize::from(*len) };
        let (packet, rest) = rest.split_at(rest.len().min(len));
        self.0 = rest;
        Some(packet)
    }
}
