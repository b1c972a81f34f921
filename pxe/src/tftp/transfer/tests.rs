#![allow(clippy::cast_possible_truncation)] // low bits are meant

use std::collections::VecDeque;

use super::*;

/// A client that follows RFC 1350 and RFC 7440, over a wire that loses, doubles and delays by a seeded rule.
struct Client {
    block: usize,
    window: u64,
    got: Vec<u8>,
    next: u64,
    since_ack: u64,
    gap_told: bool,
    finished: bool,
}

impl Client {
    fn new(asked: Requested) -> Self {
        let agreed = asked.agree();
        Self {
            block: agreed.block.into(),
            window: agreed.window.into(),
            got: Vec::new(),
            next: 1,
            since_ack: 0,
            gap_told: false,
            finished: false,
        }
    }

    fn ack(&mut self) -> Option<Vec<u8>> {
        self.since_ack = 0;
        let number = (self.next - 1).to_be_bytes();
        Some(vec![0, 4, number[6], number[7]])
    }

    fn receive(&mut self, bytes: &[u8]) -> Option<Vec<u8>> {
        match bytes {
            [0, 6, ..] => self.ack(),
            [0, 3, a, b, data @ ..] => {
                let step = u16::from_be_bytes([*a, *b]).wrapping_sub(self.next as u16);
                if step != 0 {
                    // Ahead of what is wanted: a gap, told once. Behind: an old one, acknowledged again.
                    let told = step < 0x8000 && std::mem::replace(&mut self.gap_told, true);
                    return if told { None } else { self.ack() };
                }
                self.gap_told = false;
                self.got.extend_from_slice(data);
                self.next += 1;
                self.since_ack += 1;
                self.finished = data.len() < self.block;
                if self.finished || self.since_ack == self.window { self.ack() } else { None }
            }
            _ => None,
        }
    }
}

struct Wire {
    seed: u64,
    loss: u64,
    doubled: u64,
}

impl Wire {
    fn chance(&mut self, per_mille: u64) -> bool {
        self.seed = self.seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.seed >> 33) % 1000 < per_mille
    }

    fn copies(&mut self) -> u32 {
        if self.chance(self.loss) {
            0
        } else if self.chance(self.doubled) {
            2
        } else {
            1
        }
    }
}

/// Runs a transfer to its end; returns what the client has, the outcome, packets sent and the time it took.
fn run(content: &[u8], asked: Requested, mut wire: Wire) -> (Vec<u8>, Outcome, usize, Duration) {
    let start = Instant::now();
    let hop = Duration::from_millis(1);
    let mut transfer = Transfer::new(content.into(), asked, start);
    let mut client = Client::new(asked);
    let mut now = start;
    let mut packets = 0;
    let mut buf = Vec::new();
    // What is under way, in order: when it arrives, whether at the client, and what.
    let mut flying: VecDeque<(Instant, bool, Vec<u8>)> = VecDeque::new();
    let mut client_timer = start + Duration::from_secs(1);
    let outcome = loop {
        if let Some(outcome) = transfer.outcome() {
            break outcome;
        }
        while transfer.poll_send(now, &mut buf).is_some() {
            packets += 1;
            for _ in 0..wire.copies() {
                flying.push_back((now + hop, true, buf.clone()));
            }
        }
        let next = flying.front().map(|(at, ..)| *at).unwrap_or(transfer.deadline());
        now = next.min(transfer.deadline()).min(client_timer).max(now);
        if now == client_timer && !client.finished {
            client_timer = now + Duration::from_secs(1);
            if let Some(ack) = client.ack() {
                flying.push_back((now + hop, false, ack));
            }
        } else if now == client_timer {
            client_timer = now + Duration::from_secs(60);
        }
        if flying.front().is_some_and(|(at, ..)| *at <= now) {
            let Some((_, to_client, bytes)) = flying.pop_front() else { continue };
            if to_client {
                if let Some(answer) = client.receive(&bytes) {
                    client_timer = now + Duration::from_secs(1);
                    for _ in 0..wire.copies() {
                        flying.push_back((now + hop, false, answer.clone()));
                    }
                }
            } else {
                transfer.receive(now, &bytes);
            }
        }
        if now >= transfer.deadline() {
            transfer.expire(now);
        }
    };
    (client.got, outcome, packets, now - start)
}

fn asked(block: u16, window: u16) -> Requested {
    Requested { blksize: Some(block), windowsize: (window > 0).then_some(window), timeout: None, tsize: true }
}

fn content(len: usize) -> Vec<u8> {
    (0..len).map(|i| (i * 7 + i / 251) as u8).collect()
}

#[test]
fn every_length_arrives_in_as_few_packets_as_it_has_blocks() {
    for (len, blocks) in [(0, 1), (1, 1), (511, 1), (512, 2), (513, 2), (5120, 11), (100_000, 196)] {
        for window in [0, 1, 4, 16, 64] {
            let (got, outcome, packets, _) =
                run(&content(len), asked(512, window), Wire { seed: 1, loss: 0, doubled: 0 });
            assert_eq!((outcome, got.len()), (Outcome::Done, len), "{len} bytes, window {window}");
            assert_eq!(got, content(len));
            assert_eq!(packets, blocks + 1, "{len} bytes, window {window}: blocks and one OACK");
        }
    }
}

#[test]
fn block_numbers_wrap() {
    let long = content(70_000 * 8);
    for window in [1, 16] {
        let (got, outcome, ..) = run(&long, asked(8, window), Wire { seed: 1, loss: 1, doubled: 1 });
        assert_eq!(outcome, Outcome::Done, "window {window}");
        assert!(got == long, "window {window}");
    }
}

#[test]
fn loss_and_doubles_cost_milliseconds_and_never_the_content() {
    let file = content(300_000);
    for seed in 0..30 {
        for (window, loss, doubled) in [(1, 10, 0), (4, 10, 10), (16, 20, 0), (64, 10, 50), (4, 100, 100)] {
            let (got, outcome, packets, took) = run(&file, asked(1468, window), Wire { seed, loss, doubled });
            let row =
                format!("seed {seed}, window {window}, loss {loss}, doubled {doubled}: {took:?}, {packets}");
            assert_eq!(outcome, Outcome::Done, "{row}");
            assert!(got == file, "{row}");
            if loss <= 20 {
                assert!(took < Duration::from_millis(2500), "{row}");
            }
        }
    }
}

#[test]
fn a_doubled_ack_does_not_double_the_traffic() {
    let (_, outcome, packets, _) =
        run(&content(512 * 400), asked(512, 1), Wire { seed: 3, loss: 0, doubled: 1000 });
    assert_eq!(outcome, Outcome::Done);
    assert_eq!(packets, 402, "every packet was doubled by the wire, and none by us");
}

#[test]
fn how_clients_end_it() {
    let now = Instant::now();
    type Row = (&'static str, &'static [&'static [u8]], Option<Outcome>);
    let rows: &[Row] = &[
        ("EDK2 after the OACK: it has the size", &[&[0, 5, 0, 8, 0]], Some(Outcome::SizeOnly)),
        ("in the middle", &[&[0, 4, 0, 0], &[0, 5, 0, 3, 0]], Some(Outcome::Aborted(3))),
        ("nonsense is ignored", &[&[], &[9], &[0, 4], &[0, 3, 0, 1], &[0, 4, 9, 9]], None),
        ("an ACK of what was never sent", &[&[0, 4, 0, 0], &[0, 4, 0, 50]], None),
        ("ACK of the last block", &[&[0, 4, 0, 0], &[0, 4, 0, 2]], Some(Outcome::Done)),
        ("after the end nothing counts", &[&[0, 5, 0, 8, 0], &[0, 4, 0, 0]], Some(Outcome::SizeOnly)),
    ];
    for (name, packets, wanted) in rows {
        let mut transfer = Transfer::new(content(600).as_slice().into(), asked(512, 4), now);
        let mut buf = Vec::new();
        while transfer.poll_send(now, &mut buf).is_some() {}
        for packet in *packets {
            transfer.receive(now, packet);
            while transfer.poll_send(now, &mut buf).is_some() {}
        }
        assert_eq!(transfer.outcome(), *wanted, "{name}");
    }
}

#[test]
fn a_silent_client_is_given_up_after_few_packets() {
    let rows =
        [("never heard of: perhaps a forged address", false, 8, 8), ("gone in the middle", true, 25, 70)];
    for (name, answers, seconds, most) in rows {
        let start = Instant::now();
        let mut transfer = Transfer::new(content(9000).as_slice().into(), asked(512, 4), start);
        let (mut buf, mut packets, mut now) = (Vec::new(), 0, start);
        while transfer.outcome().is_none() {
            while transfer.poll_send(now, &mut buf).is_some() {
                packets += 1;
                if answers && packets == 1 {
                    transfer.receive(now, &[0, 4, 0, 0]);
                }
            }
            now = transfer.deadline();
            transfer.expire(now);
        }
        assert_eq!(transfer.outcome(), Some(Outcome::Lost), "{name}");
        let took = (now - start).as_secs();
        assert!((seconds..seconds + 4).contains(&took) && packets <= most, "{name}: {packets} in {took} s");
    }
}
