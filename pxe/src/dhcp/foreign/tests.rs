//! Stories of servers that come and go, told with a clock.

use super::*;

const US: Ipv4Addr = Ipv4Addr::new(10, 77, 0, 10);
const OTHER: Ipv4Addr = Ipv4Addr::new(10, 77, 0, 200);

fn machine(n: u8) -> HwAddr {
    HwAddr::ethernet([2, 0, 0, 0, 0, n])
}

/// What happens in a story, at a second of it.
enum Event {
    /// Nothing but time.
    Time,
    /// Another server is heard.
    Seen(Ipv4Addr),
    /// Another server grants this address for so many seconds.
    Grants(Ipv4Addr, u64),
    /// Another master answers our question.
    Peer(Ipv4Addr),
    /// Another master does, that was told not to step back.
    Fixed(Ipv4Addr),
    /// From now on a machine of ours holds this address.
    Holds(Ipv4Addr),
}
use Event::{Fixed, Grants, Holds, Peer, Seen, Time};

struct Story {
    name: &'static str,
    mode: Mode,
    /// When, what, and what is done after it.
    events: Vec<(u64, Event, Role)>,
}

fn story(name: &'static str, mode: Mode, events: Vec<(u64, Event, Role)>) -> Story {
    Story { name, mode, events }
}

#[test]
fn servers_come_and_go() {
    let ip = |n| Ipv4Addr::new(10, 77, 0, n);
    let (auto, fixed) = (Mode::Auto, Mode::Server);
    let stories = [
        story(
            "alone: addresses after four seconds",
            auto,
            vec![
                (0, Time, Role::Looking),
                (3, Time, Role::Looking),
                (4, Time, Role::Server),
                (999, Time, Role::Server),
            ],
        ),
        story(
            "one is there already: never an address of ours",
            auto,
            vec![(1, Seen(OTHER), Role::Proxy), (4, Time, Role::Proxy), (5, Time, Role::Proxy)],
        ),
        story(
            "one turns up, goes, and turns up again",
            auto,
            vec![
                (4, Time, Role::Server),
                (100, Seen(OTHER), Role::Proxy),
                (399, Time, Role::Proxy),
                (400, Time, Role::Server),
                (500, Seen(OTHER), Role::Proxy),
            ],
        ),
        story(
            "it stays as long as it is heard",
            auto,
            vec![
                (1, Seen(OTHER), Role::Proxy),
                (250, Seen(OTHER), Role::Proxy),
                (500, Seen(OTHER), Role::Proxy),
                (799, Time, Role::Proxy),
                (800, Time, Role::Server),
            ],
        ),
        story(
            "of two the last one counts",
            auto,
            vec![
                (1, Seen(OTHER), Role::Proxy),
                (200, Seen(ip(201)), Role::Proxy),
                (400, Time, Role::Proxy),
                (500, Time, Role::Server),
            ],
        ),
        story(
            "it gave away what a machine of ours holds: not before that ended",
            auto,
            vec![
                (4, Time, Role::Server),
                (5, Holds(ip(100)), Role::Server),
                (10, Grants(ip(100), 1000), Role::Proxy),
                (400, Time, Role::Proxy),
                (1009, Time, Role::Proxy),
                (1010, Time, Role::Server),
            ],
        ),
        story(
            "what it gave away and nobody of ours holds does not matter",
            auto,
            vec![(10, Grants(ip(100), 1000), Role::Proxy), (310, Time, Role::Server)],
        ),
        story(
            "a lease of it for ever is minded for an hour",
            auto,
            vec![
                (0, Holds(ip(100)), Role::Looking),
                (10, Grants(ip(100), u64::from(u32::MAX)), Role::Proxy),
                (3609, Time, Role::Proxy),
                (3610, Time, Role::Server),
            ],
        ),
        story(
            "ourselves",
            auto,
            vec![(1, Seen(US), Role::Looking), (4, Time, Role::Server), (5, Seen(US), Role::Server)],
        ),
        story(
            "what cannot be a server",
            auto,
            vec![
                (1, Seen(Ipv4Addr::UNSPECIFIED), Role::Looking),
                (1, Seen(Ipv4Addr::BROADCAST), Role::Looking),
                (1, Seen(Ipv4Addr::LOCALHOST), Role::Looking),
                (1, Seen(Ipv4Addr::new(224, 0, 0, 1)), Role::Looking),
                (4, Time, Role::Server),
            ],
        ),
        story(
            "of two masters the one with the lower address goes on",
            auto,
            vec![(1, Peer(ip(11)), Role::Looking), (4, Time, Role::Server), (30, Peer(ip(11)), Role::Server)],
        ),
        story(
            "of two masters the one with the higher address steps back",
            auto,
            vec![(1, Peer(ip(9)), Role::Proxy), (4, Time, Role::Proxy), (301, Time, Role::Server)],
        ),
        story(
            "a client's REQUEST tells of a lesser master before it says what it is",
            auto,
            vec![
                (4, Time, Role::Server),
                (50, Seen(ip(11)), Role::Proxy),
                (51, Peer(ip(11)), Role::Server),
                (53, Seen(ip(11)), Role::Server),
            ],
        ),
        story(
            "a master that was told not to step back",
            auto,
            vec![(4, Time, Role::Server), (9, Fixed(ip(11)), Role::Proxy)],
        ),
        story(
            "told to serve: whoever else does",
            fixed,
            vec![(0, Time, Role::Server), (1, Seen(OTHER), Role::Server)],
        ),
        story(
            "told to be a proxy: even alone",
            Mode::Proxy,
            vec![(0, Time, Role::Proxy), (999, Time, Role::Proxy)],
        ),
        story(
            "off",
            Mode::Off,
            vec![(0, Time, Role::Off), (1, Seen(OTHER), Role::Off), (999, Time, Role::Off)],
        ),
    ];
    for Story { name, mode, events } in stories {
        let mut foreign = Foreign::new(US, mode, Timing::default(), Duration::ZERO);
        let mut holds = None;
        for (step, (second, event, role)) in events.into_iter().enumerate() {
            let now = Duration::from_secs(second);
            let sign = |server, kind, given| Sighting { server, kind, given };
            match event {
                Time => {}
                Seen(server) => {
                    let _ = foreign.seen(now, sign(server, Kind::Server, None));
                }
                Grants(ip, s) => {
                    let given = Some(Given { ip, hw: machine(1), time: Duration::from_secs(s) });
                    let _ = foreign.seen(now, sign(OTHER, Kind::Server, given));
                }
                Peer(server) => {
                    let _ = foreign.seen(now, sign(server, Kind::Peer { fixed: false }, None));
                }
                Fixed(server) => {
                    let _ = foreign.seen(now, sign(server, Kind::Peer { fixed: true }, None));
                }
                Holds(ip) => holds = Some(ip),
            }
            foreign.tick(now, |ip| (holds == Some(ip)).then(|| machine(2)));
            assert_eq!(foreign.role(), role, "{name}: step {step}, second {second}");
        }
    }
}

#[test]
fn who_has_an_address_from_both_is_no_conflict() {
    let mut foreign = Foreign::new(US, Mode::Auto, Timing::default(), Duration::ZERO);
    let ip = Ipv4Addr::new(10, 77, 0, 100);
    let given = Some(Given { ip, hw: machine(1), time: Duration::from_secs(3600) });
    foreign.seen(Duration::ZERO, Sighting { server: OTHER, kind: Kind::Server, given });
    let gone = Duration::from_secs(301);
    assert_eq!(foreign.tick(gone, |_| Some(machine(1))).change, Some(Change::Gone));
    assert_eq!(foreign.given(gone).collect::<Vec<_>>(), [(ip, machine(1))], "set aside for it");
}

#[test]
fn it_is_asked_three_times_before_the_first_address_and_then_every_half_minute() {
    let mut foreign = Foreign::new(US, Mode::Auto, Timing::default(), Duration::ZERO);
    let mut asked = Vec::new();
    for tenth in 0..=640 {
        if foreign.tick(Duration::from_millis(tenth * 100), |_| None).probe {
            asked.push(tenth);
        }
    }
    assert_eq!(asked, [0, 14, 28, 42, 342]);
    for mode in [Mode::Server, Mode::Proxy, Mode::Off] {
        let mut foreign = Foreign::new(US, mode, Timing::default(), Duration::ZERO);
        assert!(!foreign.tick(Duration::from_secs(99), |_| None).probe, "{mode:?}");
    }
}

#[test]
fn another_server_is_told_of_once_when_we_were_told_to_serve() {
    let mut foreign = Foreign::new(US, Mode::Server, Timing::default(), Duration::ZERO);
    let seen = Sighting { server: OTHER, kind: Kind::Server, given: None };
    assert_eq!(foreign.seen(Duration::ZERO, seen), Some(Change::Found(OTHER)));
    assert_eq!(foreign.seen(Duration::ZERO, seen), None);
}

#[test]
fn a_flood_of_invented_servers_and_addresses_is_bounded() {
    let mut foreign = Foreign::new(US, Mode::Auto, Timing::default(), Duration::ZERO);
    for n in 0..100_000u32 {
        let server = Ipv4Addr::from_bits(0x0b00_0000 + n);
        let kind = if n % 2 == 0 { Kind::Server } else { Kind::Peer { fixed: false } };
        foreign.seen(
            Duration::ZERO,
            Sighting {
                server,
                kind,
                given: Some(Given { ip: server, hw: machine(1), time: Duration::from_secs(9) }),
            },
        );
    }
    assert!(foreign.servers.len() <= MAX_SERVERS && foreign.lesser.len() <= MAX_SERVERS);
    assert_eq!(foreign.given.len(), MAX_GIVEN);
    foreign.tick(Duration::from_secs(10), |_| None);
    assert!(foreign.given.is_empty(), "forgotten when they end");
}

#[test]
fn what_packets_tell() {
    let server = |kind, given| Some(Sighting { server: OTHER, kind, given });
    let id = OTHER.octets();
    let id: &[u8] = &id;
    type Row<'a> = (&'a str, MessageType, bool, Vec<(u8, &'a [u8])>, bool, Option<Sighting>);
    let plain = server(Kind::Server, None);
    let rows: Vec<Row<'_>> = vec![
        ("an OFFER", MessageType::Offer, true, vec![(54, id)], true, plain),
        (
            "an ACK with its lease",
            MessageType::Ack,
            true,
            vec![(54, id), (51, &[0, 0, 0, 60])],
            true,
            server(
                Kind::Server,
                Some(Given {
                    ip: Ipv4Addr::new(10, 77, 0, 123),
                    hw: probe_hw(US),
                    time: Duration::from_secs(60),
                }),
            ),
        ),
        ("a NAK", MessageType::Nak, true, vec![(54, id)], false, plain),
        (
            "a ProxyDHCP offer is no DHCP server",
            MessageType::Offer,
            true,
            vec![(54, id), (60, b"PXEClient")],
            false,
            None,
        ),
        ("an answer to INFORM", MessageType::Ack, true, vec![(54, id)], false, None),
        (
            "a master",
            MessageType::Offer,
            true,
            vec![(54, id), (60, PEER_CLASS)],
            false,
            server(Kind::Peer { fixed: false }, None),
        ),
        (
            "a fixed master",
            MessageType::Offer,
            true,
            vec![(54, id), (60, FIXED_PEER_CLASS)],
            false,
            server(Kind::Peer { fixed: true }, None),
        ),
        ("a REQUEST that names it", MessageType::Request, false, vec![(54, id)], false, plain),
        ("a REQUEST that names none", MessageType::Request, false, vec![], false, None),
        ("a DECLINE", MessageType::Decline, false, vec![(54, id)], false, plain),
        ("a DISCOVER", MessageType::Discover, false, vec![(54, id)], false, None),
        ("an OFFER without a server", MessageType::Offer, true, vec![], true, None),
        ("an identifier of three bytes", MessageType::Offer, true, vec![(54, &[1, 2, 3])], true, None),
    ];
    for (name, kind, reply, options, address, wanted) in rows {
        for relayed in [false, true] {
            let mut writer = Writer::request(kind, 1, probe_hw(US), true);
            for (code, value) in &options {
                writer.option(*code, value);
            }
            if address {
                writer.set_yiaddr(Ipv4Addr::new(10, 77, 0, 123));
            }
            let mut bytes = writer.finish().unwrap().as_bytes().to_vec();
            bytes[0] = if reply { 2 } else { 1 };
            if relayed {
                bytes[24..28].copy_from_slice(&[10, 99, 0, 1]);
            }
            let wanted = wanted.filter(|_| !relayed);
            assert_eq!(sighting(&Packet::parse(&bytes).unwrap()), wanted, "{name}, relayed: {relayed}");
        }
    }
}

#[test]
fn the_question_is_a_discover_of_nobody_else() {
    let message = probe(US, 7).unwrap();
    let packet = Packet::parse(message.as_bytes()).unwrap();
    assert!(is_probe(&packet) && packet.broadcast);
    assert_eq!(packet.hw.to_string(), "0a:4d:6b:4d:00:0a");
    assert_eq!(packet.hw.as_bytes()[0] & 3, 2, "locally administered, one station");
    assert_eq!(
        crate::boot::client(&packet).stage,
        crate::boot::Stage::System,
        "no ProxyDHCP server answers it"
    );
    assert_ne!(probe_hw(US), probe_hw(OTHER));
}
