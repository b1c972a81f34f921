//! Networks behind relay agents.

use super::*;
use crate::dhcp::packet::MAX;

/// Our own network and one behind a relay agent, with a reservation by port.
fn two() -> (Leases, Settings) {
    let config = parse_config(
        r#"
        interface = "x"
        address = "10.77.0.1/24"
        pool_start = "10.77.0.100"
        pool_end = "10.77.0.199"
        release_dir = "/r"
        root_path = "/r/root"
        agent_socket = "/a"
        lease_file = "/l"
        dns = ["10.77.0.1"]
        [[dhcp.subnet]]
        network = "10.78.0.0/22"
        router = "10.78.0.1"
        dns = ["9.9.9.9"]
        search = ["a.test"]
        lease_seconds = 600
        [[dhcp.subnet.route]]
        to = "10.0.0.0/8"
        via = "10.78.0.1"
        [[dhcp.subnet.option]]
        code = 67
        text = "phone.cfg"
        [[dhcp.subnet.pool]]
        first = "10.78.0.100"
        last = "10.78.0.199"
        [[reservation]]
        circuit_id = "e7"
        address = "10.78.1.7"
        hostname = "port-7"
        [[reservation]]
        mac = "52:54:00:00:00:77"
        address = "10.77.0.177"
        "#,
    )
    .unwrap();
    (Leases::new(config.plan), config.settings)
}

fn field(bytes: &mut [u8], at: usize, ip: [u8; 4]) {
    bytes[at..at + 4].copy_from_slice(&ip);
}

#[test]
fn the_network_is_that_of_the_relay_agent_or_the_link_it_selects() {
    let far = [10, 78, 0, 1];
    type Row<'a> = (&'a str, Option<[u8; 4]>, &'a [u8], Result<[u8; 4], Silence>);
    let rows: &[Row<'_>] = &[
        ("no relay agent: our interface's", None, &[], Ok([10, 77, 0, 100])),
        ("relay agent on another network", Some(far), &[], Ok([10, 78, 0, 100])),
        ("relay agent on our network", Some([10, 77, 0, 250]), &[], Ok([10, 77, 0, 100])),
        ("relay agent on an unknown network", Some([192, 168, 0, 1]), &[], Err(Silence::Relay)),
        ("link selected", Some([192, 168, 0, 1]), &[5, 4, 10, 78, 0, 0], Ok([10, 78, 0, 100])),
        ("unknown link selected", Some(far), &[5, 4, 192, 168, 0, 0], Err(Silence::Relay)),
        ("a client may not select", None, &[5, 4, 10, 78, 0, 0], Ok([10, 77, 0, 100])),
        ("by port", Some(far), &[1, 2, b'e', b'7'], Ok([10, 78, 1, 7])),
        ("a port of another network", None, &[1, 2, b'e', b'7'], Ok([10, 77, 0, 100])),
    ];
    for (name, giaddr, relay, wanted) in rows {
        let (mut leases, settings) = two();
        let bytes = packet(MessageType::Discover, MAC, &[(82, relay)], |b| {
            field(b, 24, giaddr.unwrap_or_default());
        });
        let got = ask(&mut leases, &settings, NOW, &bytes);
        assert_eq!(got.as_ref().map(|r| r.ip).map_err(|e| *e), wanted.map(Ipv4Addr::from), "{name}");
        if let Ok(reply) = got {
            assert_eq!(
                options_of(&reply).last().map(|(code, v)| (*code, v.clone())),
                Some((82, relay.to_vec())),
                "{name}"
            );
        }
    }
}

#[test]
fn each_network_tells_its_own() {
    let (mut leases, settings) = two();
    let asks: &[u8] = &[1, 3, 6, 12, 67, 119, 121];
    let relay: &[u8] = &[1, 2, b'e', b'7'];
    let far = |b: &mut Vec<u8>| field(b, 24, [10, 78, 0, 1]);
    let reply = ask(
        &mut leases,
        &settings,
        NOW,
        &packet(MessageType::Discover, MAC, &[(55, asks), (82, relay)], far),
    )
    .unwrap();
    let rows: &[(u8, &[u8])] = &[
        (1, &[255, 255, 252, 0]),
        (3, &[10, 78, 0, 1]),
        (6, &[9, 9, 9, 9]),
        (12, b"port-7"),
        (28, &[10, 78, 3, 255]),
        (51, &[0, 0, 2, 88]),
        (54, &[10, 77, 0, 1]),
        (67, b"phone.cfg"),
        (119, b"\x01a\x04test\0"),
        (121, &[8, 10, 10, 78, 0, 1]),
    ];
    for (code, value) in rows {
        assert_eq!(option_of(&reply, *code).as_deref(), Some(*value), "option {code}");
    }
    let firmware: Options<'_> = &[(55, asks), (60, OVMF), (93, &[0, 7])];
    let reply = ask(&mut leases, &settings, NOW, &packet(MessageType::Discover, MAC, firmware, far)).unwrap();
    assert_eq!(
        text_of(&reply, 67),
        format!("{}\\x00", crate::boot::UEFI_LOADER),
        "firmware is told what boots it, once"
    );
    assert_eq!(options_of(&reply).iter().filter(|(code, _)| *code == 67).count(), 1);
}

#[test]
fn relayed_machines_renew_by_unicast_and_rebind_through_the_agent() {
    let (mut leases, settings) = two();
    let far = |b: &mut Vec<u8>| field(b, 24, [10, 78, 0, 1]);
    let offer = ask(&mut leases, &settings, NOW, &packet(MessageType::Discover, MAC, &[], far)).unwrap();
    let (wanted, ours) = (offer.ip.octets(), settings.server.octets());
    let select: Options<'_> = &[(50, &wanted), (54, &ours)];
    let ack = ask(&mut leases, &settings, NOW, &packet(MessageType::Request, MAC, select, far)).unwrap();
    assert_eq!((ack.kind, ack.to.to_string().as_str()), (MessageType::Ack, "10.78.0.1:67"));
    type Row<'a> = (&'a str, [u8; 4], [u8; 4], Result<(MessageType, &'a str), Silence>);
    let rows: &[Row<'_>] = &[
        ("renewing", [0; 4], wanted, Ok((MessageType::Ack, "10.78.0.100:68"))),
        ("rebinding", [10, 78, 0, 1], wanted, Ok((MessageType::Ack, "10.78.0.1:67"))),
        ("moved behind another agent", [10, 77, 0, 250], wanted, Ok((MessageType::Nak, "10.77.0.250:67"))),
        ("an address of no network", [0; 4], [192, 168, 0, 9], Err(Silence::Unknown)),
    ];
    for (name, giaddr, ciaddr, wanted) in rows {
        let bytes = packet(MessageType::Request, MAC, &[], |b| {
            field(b, 24, *giaddr);
            field(b, 12, *ciaddr);
        });
        let got = ask(&mut leases, &settings, NOW + 300, &bytes).map(|r| (r.kind, r.to.to_string()));
        assert_eq!(got, wanted.map(|(kind, to)| (kind, to.to_owned())), "{name}");
    }
    let moved = packet(MessageType::Request, MAC, &[(50, &wanted)], |_| ());
    assert_eq!(
        ask(&mut leases, &settings, NOW, &moved).unwrap().kind,
        MessageType::Nak,
        "rebooted elsewhere"
    );
}

/// RFC 5107: renewals too go through the relay agent, which adds option 82 to them.
#[test]
fn an_agent_may_stand_for_the_server() {
    let (mut leases, settings) = two();
    let relay: &[u8] = &[11, 4, 10, 78, 0, 1];
    let far = |b: &mut Vec<u8>| field(b, 24, [10, 78, 0, 1]);
    let offer =
        ask(&mut leases, &settings, NOW, &packet(MessageType::Discover, MAC, &[(82, relay)], far)).unwrap();
    assert_eq!(option_of(&offer, 54), Some(vec![10, 78, 0, 1]));
    let wanted = offer.ip.octets();
    let select: Options<'_> = &[(50, &wanted), (54, &[10, 78, 0, 1]), (82, relay)];
    let ack = ask(&mut leases, &settings, NOW, &packet(MessageType::Request, MAC, select, far)).unwrap();
    assert_eq!(ack.kind, MessageType::Ack);
    let release: Options<'_> = &[(54, &[10, 78, 0, 1]), (82, relay)];
    let bytes = packet(MessageType::Release, MAC, release, |b| {
        far(b);
        field(b, 12, wanted);
    });
    assert_eq!(ask(&mut leases, &settings, NOW, &bytes).unwrap_err(), Silence::Done);
    assert_eq!(leases.usage().0, 0);
}

/// A machine on two networks (a tagged and an untagged VLAN) has an address on each.
#[test]
fn one_machine_has_an_address_on_each_network() {
    let (mut leases, settings) = two();
    let mut stage = |giaddr: [u8; 4]| {
        let via = move |b: &mut Vec<u8>| field(b, 24, giaddr);
        let offer = ask(&mut leases, &settings, NOW, &packet(MessageType::Discover, MAC, &[], via)).unwrap();
        let select: Options<'_> = &[(50, &offer.ip.octets()), (54, &settings.server.octets())];
        ask(&mut leases, &settings, NOW, &packet(MessageType::Request, MAC, select, via)).unwrap().ip
    };
    let (here, far) = (stage([0; 4]), stage([10, 78, 0, 1]));
    assert_eq!((here.octets()[1], far.octets()[1]), (77, 78));
    assert_eq!((stage([0; 4]), leases.usage().0), (here, 2));
}

#[test]
fn an_option_82_that_leaves_no_room_for_its_echo_gets_silence() {
    let (mut leases, settings) = two();
    let long = [7; 255];
    let many: Vec<(u8, &[u8])> = (0..4).map(|_| (82, long.as_slice())).collect();
    let bytes = packet(MessageType::Discover, MAC, &many, |_| ());
    let got = ask(&mut leases, &settings, NOW, &bytes);
    assert!(got.is_ok_and(|reply| reply.message.as_bytes().len() <= MAX), "1020 bytes fit");
    let id: (u8, &[u8]) = (61, &long);
    let bytes = packet(MessageType::Discover, MAC, &[many.as_slice(), &[id]].concat()[..4], |b| {
        let end = b.iter().rposition(|byte| *byte == 255).unwrap();
        b.truncate(end);
        b.extend([82, 255]);
        b.extend(long);
        b.extend([61, 255]);
        b.extend(long);
        b.push(255);
    });
    assert!(matches!(ask(&mut leases, &settings, NOW, &bytes), Err(Silence::TooLong(_))));
}
