//! One machine, one address: whatever its programs call themselves, and by whatever mark it is reserved.

use super::*;

fn reserved(by: &str) -> (Leases, Settings) {
    let config = parse_config(&format!(
        "interface = \"x\"\naddress = \"10.77.0.1/24\"\npool_start = \"10.77.0.100\"\npool_end = \"10.77.0.199\"\n\
         release_dir = \"/r\"\nroot_path = \"/r/root\"\nagent_socket = \"/a\"\nlease_file = \"/l\"\n\
         [[reservation]]\n{by}\naddress = \"10.77.0.50\"\nhostname = \"fixed\"\n"
    ))
    .unwrap();
    (Leases::new(config.plan), config.settings)
}

const UUID: &str = "uuid = \"13121110-1514-1716-1819-1a1b1c1d1e1f\"";
/// Option 97 of that machine.
const GUID: &[u8] = &[0, 16, 17, 18, 19, 20, 21, 22, 23, 24, 25, 26, 27, 28, 29, 30, 31];

/// DISCOVER and REQUEST; the address.
fn lease(
    leases: &mut Leases,
    settings: &Settings,
    now: Seconds,
    mac: &str,
    options: Options<'_>,
    change: &dyn Fn(&mut Vec<u8>),
) -> Ipv4Addr {
    let offer = ask(leases, settings, now, &packet(MessageType::Discover, mac, options, change)).unwrap();
    let mut more = options.to_vec();
    let (wanted, ours) = (offer.ip.octets(), settings.server.octets());
    more.extend([(50, wanted.as_slice()), (54, ours.as_slice())]);
    let ack = ask(leases, settings, now + 4, &packet(MessageType::Request, mac, &more, change)).unwrap();
    assert_eq!((ack.kind, ack.ip), (MessageType::Ack, offer.ip));
    ack.ip
}

#[test]
fn a_reservation_by_any_mark_goes_with_the_machine_through_all_its_stages() {
    let client_id: &[u8] = b"\x01own";
    let circuit: &[u8] = &[1, 2, b'e', b'7'];
    let rows: &[(&str, &str, Options<'_>)] = &[
        ("mac", "mac = \"52:54:00:12:34:56\"", &[]),
        ("UUID", UUID, &[(97, GUID)]),
        ("client id", "client_id = \"01:6f:77:6e\"", &[(61, client_id)]),
        ("port", "circuit_id = \"e7\"", &[(82, circuit)]),
    ];
    for (name, by, marks) in rows {
        let (mut leases, settings) = reserved(by);
        let none: &dyn Fn(&mut Vec<u8>) = &|_| ();
        assert_eq!(lease(&mut leases, &settings, NOW, MAC, marks, none), ip(50), "{name}: firmware shows it");
        assert_eq!(
            lease(&mut leases, &settings, NOW + 20, MAC, &[(55, &[12]), (61, b"\xffother")], none),
            ip(50),
            "{name}: the system shows its hardware address only"
        );
        let renew = packet(MessageType::Request, MAC, &[(55, &[12])], |b| {
            b[12..16].copy_from_slice(&ip(50).octets());
        });
        let ack = ask(&mut leases, &settings, NOW + 1800, &renew).unwrap();
        assert_eq!((ack.kind, text_of(&ack, 12).as_str()), (MessageType::Ack, "fixed"), "{name}: and renews");
        let other = "52:54:00:00:00:99";
        assert_eq!(
            lease(&mut leases, &settings, NOW + 30, other, &[], none),
            ip(100),
            "{name}: another machine"
        );
        let wants =
            packet(MessageType::Request, other, &[(50, &[10, 77, 0, 50]), (54, &[10, 77, 0, 1])], |_| ());
        assert_eq!(
            ask(&mut leases, &settings, NOW + 40, &wants).unwrap().kind,
            MessageType::Nak,
            "{name}: nor later"
        );
        // After a crash the table is made from what was written down.
        let mut again = Leases::new(reserved_plan(by));
        again.restore(leases.take_records(), NOW + 1900, 3600);
        assert_eq!(
            ask(&mut again, &settings, NOW + 1900, &renew).unwrap().kind,
            MessageType::Ack,
            "{name}: restarted"
        );
    }
}

fn reserved_plan(by: &str) -> Plan {
    let text = format!(
        "interface = \"x\"\naddress = \"10.77.0.1/24\"\npool_start = \"10.77.0.100\"\npool_end = \"10.77.0.199\"\n\
         release_dir = \"/r\"\nroot_path = \"/r/root\"\nagent_socket = \"/a\"\nlease_file = \"/l\"\n\
         [[reservation]]\n{by}\naddress = \"10.77.0.50\"\n"
    );
    parse_config(&text).unwrap().plan
}

/// A board was changed: the same port, another hardware address.
#[test]
fn a_new_machine_at_a_port_waits_for_the_old_ones_lease_and_is_served_meanwhile() {
    let (mut leases, settings) = reserved("circuit_id = \"e7\"");
    let port: Options<'_> = &[(82, &[1, 2, b'e', b'7'])];
    let none: &dyn Fn(&mut Vec<u8>) = &|_| ();
    assert_eq!(lease(&mut leases, &settings, NOW, MAC, port, none), ip(50));
    let new = "52:54:00:00:00:02";
    assert_eq!(lease(&mut leases, &settings, NOW + 60, new, port, none), ip(100), "the address is in use");
    assert_eq!(lease(&mut leases, &settings, NOW + 3700, new, port, none), ip(50), "and then it is not");
    assert_eq!(leases.holder(ip(100)), None);
}

/// EDK2 with SendGUID asks under the UUID, its iPXE and the system under the MAC; only iPXE shows both.
#[test]
fn firmware_that_asks_under_its_uuid_is_the_same_machine() {
    let (mut leases, settings) = served();
    let guid = &GUID[1..];
    let as_uuid: &dyn Fn(&mut Vec<u8>) = &|b| {
        b[2] = 16;
        b[28..44].copy_from_slice(guid);
    };
    let none: &dyn Fn(&mut Vec<u8>) = &|_| ();
    let firmware: Options<'_> = &[(97, GUID), (93, &[0, 7]), (60, OVMF)];
    let first = lease(&mut leases, &settings, NOW, MAC, firmware, as_uuid);
    assert_eq!(lease(&mut leases, &settings, NOW + 9, MAC, &[(97, GUID), (77, b"iPXE")], none), first);
    assert_eq!(lease(&mut leases, &settings, NOW + 30, MAC, &[], none), first, "the system");
    assert_eq!(lease(&mut leases, &settings, NOW + 900, MAC, firmware, as_uuid), first, "the next boot");
    assert_eq!(leases.usage().0, 1);
    // The zero UUID of a board without one makes no two machines the same.
    let zero = &[(97, [0; 17].as_slice())];
    let others = ["52:54:00:00:00:01", "52:54:00:00:00:02"];
    let got = others.map(|mac| lease(&mut leases, &settings, NOW, mac, zero, none));
    assert_ne!(got[0], got[1]);
}

/// RFC 2131 section 4.4.2: a machine that reboots asks for what it had.
#[test]
fn what_a_rebooting_machine_is_told() {
    let none: &dyn Fn(&mut Vec<u8>) = &|_| ();
    let (a100, a150): (&[u8], &[u8]) = (&[10, 77, 0, 100], &[10, 77, 0, 150]);
    let rows: &[(&str, Seconds, &[u8], Option<MessageType>)] = &[
        ("within its lease", 100, a100, Some(MessageType::Ack)),
        ("after its lease, nobody has it", 9000, a100, Some(MessageType::Ack)),
        ("another address within its lease", 100, a150, Some(MessageType::Nak)),
        ("of another network", 100, &[10, 1, 1, 1], Some(MessageType::Nak)),
    ];
    for (name, later, wanted, answer) in rows {
        let (mut leases, settings) = served();
        lease(&mut leases, &settings, NOW, MAC, &[], none);
        let bytes = packet(MessageType::Request, MAC, &[(50, wanted)], |_| ());
        let got = ask(&mut leases, &settings, NOW + later, &bytes).ok().map(|reply| reply.kind);
        assert_eq!(got, *answer, "{name}");
    }
}
