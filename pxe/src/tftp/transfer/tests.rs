#![allow(clippy::cast_possible_truncation)] // low bits are meant

use std::collections::BTreeMap;

use super::*;
use crate::tftp::packet::MAX_BLOCK;

/// A client that follows RFC 1350 and RFC 7440, over a wire that loses, doubles and delays by a seeded rule.
struct Client {
    block: usize,
    window: u64,
    got: Vec<u8>,
    next: u64,
    since_ack: u64,
    gap_told: bool,
    /// It says so again for every block behind the gap.
    insists: bool,
    finished: bool,
}

impl Client {
    fn new(asked: Requested, insists: bool) -> Self {
        let agreed = asked.agree(MAX_BLOCK);
        Self {
            block: agreed.block.into(),
            window: agreed.window.into(),
            got: Vec::new(),
            next: 1,
            since_ack: 0,
            gap_told: false,
            insists,
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
                    return if told && !self.insists { None } else { self.ack() };
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

#[derive(Clone, Copy, Debug)]
struct Wire {
    seed: u64,
    /// Of a thousand packets.
    loss: u64,
    doubled: u64,
    late: u64,
    /// How many packets the client's card holds at once.
    ring: usize,
    insists: bool,
    /// How many packets it lost, doubled or delayed.
    troubles: usize,
}

/// What is under way: when it arrives, in which order, whether at the client, and what it is.
#[derive(Default)]
struct Flying(BTreeMap<(Instant, u64), (bool, Vec<u8>)>, u64);

impl Flying {
    fn send(&mut self, wire: &mut Wire, now: Instant, to_client: bool, packet: &[u8]) {
        for _ in 0..wire.copies() {
            let hop = Duration::from_millis(if wire.chance(wire.late) { 3 } else { 1 });
            let held =
                || self.0.range((now + hop, 0)..=(now + hop, u64::MAX)).filter(|(_, (client, _))| *client);
            if !to_client || wire.ring == usize::MAX || held().count() < wire.ring {
                self.1 += 1;
                self.0.insert((now + hop, self.1), (to_client, packet.to_vec()));
            }
        }
    }
}

impl Wire {
    fn new(seed: u64, loss: u64, doubled: u64) -> Self {
        Self { seed, loss, doubled, late: 0, ring: usize::MAX, insists: false, troubles: 0 }
    }

    fn chance(&mut self, per_mille: u64) -> bool {
        self.seed = self.seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        let happens = (self.seed >> 33) % 1000 < per_mille;
        self.troubles += usize::from(happens);
        happens
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

/// All packets that are due.
fn sent(transfer: &mut Transfer, now: Instant) -> Vec<Vec<u8>> {
    let mut packets = Vec::new();
    while let Some(out) = transfer.poll_send(now) {
        match out {
            Out::Oack => packets.push(transfer.oack().to_vec()),
            Out::Blocks { first, count } => packets.extend((first..first + u64::from(count)).map(|block| {
                let (header, data) = transfer.block(block);
                [&header, data].concat()
            })),
        }
    }
    packets
}

/// Runs a transfer to its end; returns what the client has, the outcome, packets sent and the time it took.
fn run(content: &[u8], asked: Requested, wire: &mut Wire) -> (Vec<u8>, Outcome, usize, Duration) {
    let start = Instant::now();
    let mut transfer = Transfer::new(content.into(), asked, MAX_BLOCK, start);
    let mut client = Client::new(asked, wire.insists);
    let mut now = start;
    let mut packets = 0;
    let mut flying = Flying::default();
    let mut client_timer = start + Duration::from_secs(1);
    let outcome = loop {
        if let Some(outcome) = transfer.outcome() {
            break outcome;
        }
        for packet in sent(&mut transfer, now) {
            packets += 1;
            flying.send(wire, now, true, &packet);
        }
        let next = flying.0.keys().next().map_or(transfer.deadline(), |(at, _)| *at);
        now = next.min(transfer.deadline()).min(client_timer).max(now);
        if now == client_timer && !client.finished {
            client_timer = now + Duration::from_secs(1);
            if let Some(ack) = client.ack() {
                flying.send(wire, now, false, &ack);
            }
        } else if now == client_timer {
            client_timer = now + Duration::from_secs(60);
        }
        if let Some(arrived) = flying.0.first_entry().filter(|entry| entry.key().0 <= now) {
            let (to_client, bytes) = arrived.remove();
            if to_client {
                if let Some(answer) = client.receive(&bytes) {
                    client_timer = now + Duration::from_secs(1);
                    flying.send(wire, now, false, &answer);
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
            let (got, outcome, packets, _) = run(&content(len), asked(512, window), &mut Wire::new(1, 0, 0));
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
        let (got, outcome, ..) = run(&long, asked(8, window), &mut Wire::new(1, 1, 1));
        assert_eq!(outcome, Outcome::Done, "window {window}");
        assert!(got == long, "window {window}");
    }
}

#[test]
fn loss_and_doubles_cost_milliseconds_and_never_the_content() {
    let file = content(300_000);
    for seed in 0..30 {
        for (window, loss, doubled) in [(1, 10, 0), (4, 10, 10), (16, 20, 0), (64, 10, 50), (4, 100, 100)] {
            let (got, outcome, packets, took) =
                run(&file, asked(1468, window), &mut Wire::new(seed, loss, doubled));
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
    let (_, outcome, packets, _) = run(&content(512 * 400), asked(512, 1), &mut Wire::new(3, 0, 1000));
    assert_eq!(outcome, Outcome::Done);
    assert_eq!(packets, 402, "every packet was doubled by the wire, and none by us");
}

#[test]
fn a_late_or_doubled_packet_does_not_have_the_rest_sent_twice() {
    // Each once had every second block, or every block, of the rest of the file sent again.
    let rows = [
        ("blocks in the wrong order", 325_703_238_866_733_312, 10_230, 34, 0, 27),
        ("an ACK doubled", 3_737_049_036_939_144_765, 23_618, 78, 7, 0),
        ("three blocks late", 928_227_857_318_808_156, 45_600, 152, 0, 6),
    ];
    for (name, seed, len, block, doubled, late) in rows {
        let mut wire = Wire { late, ..Wire::new(seed, 0, doubled) };
        let (_, outcome, packets, _) = run(&content(len), asked(block, 2), &mut wire);
        assert_eq!(outcome, Outcome::Done, "{name}");
        let most = len / usize::from(block) + 2 + 3 * wire.troubles;
        assert!(
            packets <= most,
            "{name}: {packets} packets, at most {most} after {} accidents",
            wire.troubles
        );
    }
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
        let mut transfer = Transfer::new(content(600).as_slice().into(), asked(512, 4), MAX_BLOCK, now);
        sent(&mut transfer, now);
        for packet in *packets {
            transfer.receive(now, packet);
            sent(&mut transfer, now);
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
        let mut transfer = Transfer::new(content(9000).as_slice().into(), asked(512, 4), MAX_BLOCK, start);
        let (mut packets, mut now) = (0, start);
        while transfer.outcome().is_none() {
            for _ in sent(&mut transfer, now) {
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

#[test]
fn a_client_that_only_repeats_itself_is_given_up() {
    for (name, window) in [("a window", 4), ("no window", 1)] {
        let start = Instant::now();
        let mut transfer =
            Transfer::new(content(9000).as_slice().into(), asked(512, window), MAX_BLOCK, start);
        let (mut packets, mut now) = (0, start);
        while transfer.outcome().is_none() {
            packets += sent(&mut transfer, now).len();
            now += Duration::from_millis(100);
            transfer.receive(now, &[0, 4, 0, 0]); // got nothing, and says so
            if now >= transfer.deadline() {
                transfer.expire(now);
            }
            assert!(now - start < STUCK + Duration::from_secs(5), "{name}: is still served");
        }
        assert_eq!(transfer.outcome(), Some(Outcome::Lost), "{name}");
        assert!(packets < 600, "{name}: {packets} packets");
    }
}

proptest::proptest! {
    /// Whatever the wire does short of cutting it, a transfer ends, with the content, and without a flood.
    #[test]
    fn every_transfer_ends_whole_and_in_a_bounded_number_of_packets(
        seed in 1u64..,
        len in 0usize..60_000,
        block in 8u16..=1468,
        window in 0u16..=64,
        loss in 0u64..200,
        doubled in 0u64..200,
        late in 0u64..100,
        insists: bool,
    ) {
        let block = block.max(u16::try_from(len / 300).unwrap());
        let mut wire = Wire { late, insists, ..Wire::new(seed, loss, doubled) };
        let file = content(len);
        let (got, outcome, packets, took) = run(&file, asked(block, window), &mut wire);
        proptest::prop_assert!(got == file, "{} of {} bytes", got.len(), len);
        proptest::prop_assert_eq!(outcome, Outcome::Done);
        // Each loss, of a block or of an ACK, each packet that comes late and each double may cost a window and
        // a question; nothing costs more.
        let blocks = len / usize::from(block) + 1;
        let window = usize::from(window.max(1)).min(blocks);
        let most = blocks + 20 + (wire.troubles + 3) * (window + 1);
        proptest::prop_assert!(packets <= most, "{} packets for {} blocks, at most {}", packets, blocks, most);
        proptest::prop_assert!(took < Duration::from_secs(120), "{:?}", took);
    }
}

#[test]
fn a_card_that_holds_less_than_a_window_is_sent_it_in_parts() {
    let file = content(1468 * 3000);
    for (ring, window, seconds) in [(32, 64, 1), (16, 64, 1), (8, 64, 2), (4, 16, 5)] {
        let mut wire = Wire { ring, ..Wire::new(1, 0, 0) };
        let (got, outcome, packets, took) = run(&file, asked(1468, window), &mut wire);
        let row = format!("{ring} of {window}: {packets} packets, {took:?}");
        assert_eq!(outcome, Outcome::Done, "{row}");
        assert!(got == file && packets < 4000, "{row}");
        assert!(took < Duration::from_secs(seconds), "{row}");
    }
}

#[test]
fn a_question_answered_late_does_not_have_the_next_window_sent_twice() {
    let start = Instant::now();
    let ms = Duration::from_millis;
    let mut transfer = Transfer::new(content(9000).as_slice().into(), asked(512, 4), MAX_BLOCK, start);
    sent(&mut transfer, start);
    transfer.receive(start + ms(1), &[0, 4, 0, 0]);
    assert_eq!(sent(&mut transfer, start + ms(1)).len(), 4);
    let asks = transfer.deadline();
    assert!(asks < start + ms(20), "sooner than a window is sent again");
    transfer.expire(asks);
    let question = sent(&mut transfer, asks);
    assert_eq!(question.len(), 1);
    assert_eq!(question[0][..4], [0, 3, 0, 4]);
    transfer.receive(asks + ms(1), &[0, 4, 0, 4]);
    assert_eq!(sent(&mut transfer, asks + ms(1)).len(), 4, "its answer to the window was slow");
    transfer.receive(asks + ms(1), &[0, 4, 0, 4]);
    assert_eq!(sent(&mut transfer, asks + ms(1)).len(), 0, "its answer to the question");
    transfer.receive(asks + ms(50), &[0, 4, 0, 4]);
    assert_eq!(sent(&mut transfer, asks + ms(50)).len(), 4, "said so much later, it is a gap");
}

#[test]
fn a_client_cannot_have_the_same_window_sent_for_ever() {
    let start = Instant::now();
    let mut transfer = Transfer::new(content(90_000).as_slice().into(), asked(512, 64), MAX_BLOCK, start);
    sent(&mut transfer, start);
    let mut packets = 0;
    for ms in 0..1000 {
        let now = start + Duration::from_millis(ms);
        transfer.receive(now, &[0, 4, 0, 0]);
        if now >= transfer.deadline() {
            transfer.expire(now);
        }
        packets += sent(&mut transfer, now).len();
    }
    assert!(packets <= 65 * 24, "{packets} packets in a second, for a thousand of the client's");
}
