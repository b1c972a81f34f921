//! Exchanges as real firmware has them. Packets were seen on the wire with QEMU: OVMF 2022.11 and 2025.02, iPXE
//! 1.0.0+ (2019) as BIOS ROM and 1.21.1 as `ipxe.efi`.

mod machines;
mod relays;

use super::*;
use crate::config::parse_config;
use crate::dhcp::lease::Plan;
use crate::hw::HwAddr;

const NOW: Seconds = 1_000_000;
const MAC: &str = "52:54:00:12:34:56";
const OVMF: &[u8] = b"PXEClient:Arch:00007:UNDI:003000";
const OVMF_HTTP: &[u8] = b"HTTPClient:Arch:00016:UNDI:003000";
const IPXE_ROM: &[u8] = b"PXEClient:Arch:00000:UNDI:002001";
/// What OVMF and iPXE ask for, cut to what matters here.
const ASKS: &[u8] = &[1, 2, 3, 4, 5, 6, 12, 13, 15, 17, 18, 43, 60, 66, 67, 128, 129];

type Options<'a> = &'a [(u8, &'a [u8])];

fn hw(text: &str) -> HwAddr {
    text.parse().unwrap()
}

fn ip(n: u8) -> Ipv4Addr {
    Ipv4Addr::new(10, 77, 0, n)
}

fn served() -> (Leases, Settings) {
    let config = parse_config(
        "interface = \"x\"\naddress = \"10.77.0.1/24\"\npool_start = \"10.77.0.100\"\npool_end = \"10.77.0.199\"\n\
         release_dir = \"/r\"\nroot_path = \"/r/root\"\nagent_socket = \"/a\"\nlease_file = \"/l\"\n\
         router = \"10.77.0.254\"\ndns = [\"10.77.0.1\", \"9.9.9.9\"]\ndomain = \"rack.test\"\nmtu = 1500\n\
         ntp = [\"10.77.0.1\"]\n\n\
         [[reservation]]\nmac = \"52:54:00:00:00:77\"\naddress = \"10.77.0.177\"\nhostname = \"node-7\"\n",
    )
    .unwrap();
    (Leases::new(config.plan), config.settings)
}

/// A client's packet; `change` works on the header.
fn packet(kind: MessageType, mac: &str, options: Options<'_>, change: impl Fn(&mut Vec<u8>)) -> Vec<u8> {
    let mut writer = Writer::request(kind, 0xdead_beef, hw(mac), true);
    for (code, value) in options {
        writer.option(*code, value);
    }
    let mut bytes = writer.finish().unwrap().as_bytes().to_vec();
    change(&mut bytes);
    bytes
}

fn ask(leases: &mut Leases, settings: &Settings, now: Seconds, bytes: &[u8]) -> Result<Reply, Silence> {
    handle(leases, settings, now, &Packet::parse(bytes).unwrap())
}

/// The options of a reply, by code.
fn options_of(reply: &Reply) -> Vec<(u8, Vec<u8>)> {
    let packet = Packet::parse(reply.message.as_bytes()).unwrap();
    packet.options().map(|(code, value)| (code, value.to_vec())).collect()
}

fn option_of(reply: &Reply, code: u8) -> Option<Vec<u8>> {
    options_of(reply).into_iter().find(|(c, _)| *c == code).map(|(_, value)| value)
}

fn text_of(reply: &Reply, code: u8) -> String {
    option_of(reply, code).map(|v| v.escape_ascii().to_string()).unwrap_or_default()
}

#[test]
fn what_each_firmware_is_told_to_boot() {
    let uuid = &[0; 17];
    let script7 = "http://10.77.0.1:8480/boot.ipxe?mac=52:54:00:12:34:56&uuid=${uuid}&arch=7";
    let script0 = "http://10.77.0.1:8480/boot.ipxe?mac=52:54:00:12:34:56&uuid=${uuid}&arch=0";
    let loader = "http://10.77.0.1:8480/boot/shimx64.efi";
    type Row<'a> = (&'a str, Options<'a>, &'a str, &'a str, Option<&'a [u8]>, Option<&'a [u8]>);
    let discovery: &[u8] = &[6, 1, 8, 255];
    let rows: &[Row<'_>] = &[
        (
            "OVMF PXEv4: zero UUID, no client id",
            &[(55, ASKS), (57, &[5, 192]), (97, uuid), (94, &[1, 3, 0]), (93, &[0, 7]), (60, OVMF)],
            "shimx64.efi",
            "PXEClient",
            Some(discovery),
            None,
        ),
        (
            "BIOS ROM that is not iPXE",
            &[(55, ASKS), (97, uuid), (94, &[1, 2, 1]), (93, &[0, 0]), (60, IPXE_ROM)],
            "undionly.kpxe",
            "PXEClient",
            Some(discovery),
            None,
        ),
        (
            "OVMF HTTPv4",
            &[(55, ASKS), (97, uuid), (94, &[1, 3, 0]), (93, &[0, 16]), (60, OVMF_HTTP)],
            loader,
            "HTTPClient",
            None,
            None,
        ),
        (
            "iPXE as BIOS ROM of QEMU",
            &[
                (93, &[0, 0]),
                (94, &[1, 2, 1]),
                (60, IPXE_ROM),
                (77, b"iPXE"),
                (55, ASKS),
                (175, &[177, 5, 1]),
                (61, &[1, 82, 84, 0, 18, 52, 86]),
            ],
            script0,
            "",
            None,
            Some(&[176, 1, 1]),
        ),
        (
            "ipxe.efi says 7 and PXEClient like its firmware",
            &[
                (93, &[0, 7]),
                (60, OVMF),
                (77, b"iPXE"),
                (55, ASKS),
                (175, &[177, 5, 1]),
                (61, &[1, 82, 84, 0, 18, 52, 86]),
            ],
            script7,
            "",
            None,
            Some(&[176, 1, 1]),
        ),
        (
            "ARM64 gets an address and nothing to boot",
            &[(93, &[0, 11]), (60, b"PXEClient:Arch:00011")],
            "",
            "",
            None,
            None,
        ),
        ("an operating system", &[(55, ASKS), (60, b"udhcp 1.37.0")], "", "", None, None),
    ];
    for (name, options, file, class, vendor, ipxe) in rows {
        let (mut leases, settings) = served();
        let reply =
            ask(&mut leases, &settings, NOW, &packet(MessageType::Discover, MAC, options, |_| ())).unwrap();
        let got = Packet::parse(reply.message.as_bytes()).unwrap();
        assert_eq!((reply.kind, reply.ip), (MessageType::Offer, ip(100)), "{name}");
        let terminated = if file.is_empty() { String::new() } else { format!("{file}\\x00") };
        assert_eq!(text_of(&reply, 67), terminated, "{name}: option 67 ends with a NUL");
        assert_eq!(got.file(), file.as_bytes(), "{name}: the file field says the same");
        assert_eq!(text_of(&reply, 60), *class, "{name}");
        assert_eq!(option_of(&reply, 43).as_deref(), *vendor, "{name}");
        assert_eq!(option_of(&reply, 175).as_deref(), *ipxe, "{name}");
        let by_tftp = *class == "PXEClient";
        assert_eq!(text_of(&reply, 66), if by_tftp { "10.77.0.1" } else { "" }, "{name}");
        assert_eq!(got.siaddr == settings.server, by_tftp, "{name}: siaddr is for TFTP only");
        let asked_id = options.iter().find(|(c, _)| *c == 97).map(|(_, v)| v.to_vec());
        if !file.is_empty() {
            assert_eq!(option_of(&reply, 97), asked_id, "{name}: the machine id comes back");
            let undi = options.iter().find(|(c, _)| *c == 94).map(|(_, v)| v.to_vec());
            assert_eq!(option_of(&reply, 94), undi, "{name}: the interface comes back");
        }
        assert!((300..=1472).contains(&reply.message.as_bytes().len()), "{name}");
        assert_eq!(&reply.message.as_bytes()[240..243], &[53, 1, 2], "{name}: the type comes first");
        assert!(got.broadcast, "{name}: flags come back");
    }
}

#[test]
fn network_options_are_told_in_order_and_some_only_when_asked_for() {
    let (mut leases, settings) = served();
    let asks: &[u8] = &[1, 3, 6, 15, 26, 42];
    let bytes =
        packet(MessageType::Discover, MAC, &[(55, asks), (61, b"\x01id"), (82, &[1, 2, 9, 9])], |_| ());
    let reply = ask(&mut leases, &settings, NOW, &bytes).unwrap();
    let codes: Vec<u8> = options_of(&reply).iter().map(|(code, _)| *code).collect();
    assert_eq!(codes, [53, 51, 54, 58, 59, 1, 3, 6, 15, 26, 28, 42, 61, 82], "82 is last");
    let rows: &[(u8, &[u8])] = &[
        (51, &[0, 0, 14, 16]),
        (58, &[0, 0, 7, 8]),
        (59, &[0, 0, 12, 78]),
        (1, &[255, 255, 255, 0]),
        (3, &[10, 77, 0, 254]),
        (6, &[10, 77, 0, 1, 9, 9, 9, 9]),
        (15, b"rack.test"),
        (26, &[5, 220]),
        (28, &[10, 77, 0, 255]),
        (42, &[10, 77, 0, 1]),
        (61, b"\x01id"),
        (82, &[1, 2, 9, 9]),
    ];
    for (code, value) in rows {
        assert_eq!(option_of(&reply, *code).as_deref(), Some(*value), "option {code}");
    }
    let bytes = packet(MessageType::Discover, MAC, &[], |_| ());
    let reply = ask(&mut leases, &settings, NOW, &bytes).unwrap();
    let codes: Vec<u8> = options_of(&reply).iter().map(|(code, _)| *code).collect();
    assert_eq!(codes, [53, 51, 54, 58, 59, 1, 3, 6, 28]);
}

#[test]
fn a_reservation_has_its_address_and_its_name() {
    let (mut leases, settings) = served();
    let bytes = packet(MessageType::Discover, "52:54:00:00:00:77", &[(55, &[12])], |_| ());
    let reply = ask(&mut leases, &settings, NOW, &bytes).unwrap();
    assert_eq!((reply.ip, text_of(&reply, 12).as_str()), (ip(177), "node-7"));
}

/// Firmware (no client id), its iPXE (client id 01+MAC) and the OS (another client id) are one machine.
#[test]
fn one_address_through_firmware_ipxe_and_system() {
    let (mut leases, settings) = served();
    let server = settings.server.octets();
    let stages: &[(&str, Options<'_>)] = &[
        ("firmware", &[(93, &[0, 7]), (60, OVMF), (57, &[0xff, 0])]),
        ("iPXE", &[(93, &[0, 7]), (60, OVMF), (77, b"iPXE"), (61, &[1, 82, 84, 0, 18, 52, 86])]),
        ("installer", &[(61, &[255, 1, 2, 3, 4, 0, 2, 0, 0, 171, 17, 9])]),
    ];
    for (i, (stage, options)) in stages.iter().enumerate() {
        let now = NOW + 30 * i as u64;
        let offer =
            ask(&mut leases, &settings, now, &packet(MessageType::Discover, MAC, options, |_| ())).unwrap();
        let mut more = options.to_vec();
        let wanted = offer.ip.octets();
        more.extend([(50, wanted.as_slice()), (54, server.as_slice())]);
        let ack =
            ask(&mut leases, &settings, now + 4, &packet(MessageType::Request, MAC, &more, |_| ())).unwrap();
        assert_eq!((ack.kind, ack.ip), (MessageType::Ack, ip(100)), "{stage}");
    }
    assert_eq!(leases.usage().0, 1);
}

#[test]
fn the_forms_of_request() {
    let other = "52:54:00:00:00:99";
    let ciaddr = |n: u8| move |b: &mut Vec<u8>| b[12..16].copy_from_slice(&ip(n).octets());
    type Change = Box<dyn Fn(&mut Vec<u8>)>;
    let none = || -> Change { Box::new(|_| ()) };
    let (ours, a100, a150): (&[u8], &[u8], &[u8]) = (&[10, 77, 0, 1], &[10, 77, 0, 100], &[10, 77, 0, 150]);
    let (strange, outside, foreign): (&[u8], &[u8], &[u8]) =
        (&[10, 77, 0, 2], &[10, 77, 0, 5], &[192, 168, 1, 5]);
    type Row<'a> = (&'a str, &'a str, Vec<(u8, &'a [u8])>, Change, Result<MessageType, Silence>);
    let rows: Vec<Row<'_>> = vec![
        ("selecting what was offered", MAC, vec![(50, a100), (54, ours)], none(), Ok(MessageType::Ack)),
        ("selecting another server", MAC, vec![(50, a100), (54, strange)], none(), Err(Silence::OtherServer)),
        ("selecting what another has", other, vec![(50, a100), (54, ours)], none(), Ok(MessageType::Nak)),
        ("selecting outside the pool", MAC, vec![(50, outside), (54, ours)], none(), Ok(MessageType::Nak)),
        ("selecting without address", MAC, vec![(54, ours)], none(), Ok(MessageType::Nak)),
        (
            "selecting with the address in ciaddr",
            MAC,
            vec![(54, ours)],
            Box::new(ciaddr(100)),
            Ok(MessageType::Ack),
        ),
        ("init-reboot, known", MAC, vec![(50, a100)], none(), Ok(MessageType::Ack)),
        ("init-reboot, known with another", MAC, vec![(50, a150)], none(), Ok(MessageType::Nak)),
        ("init-reboot, unknown client", other, vec![(50, a150)], none(), Err(Silence::Unknown)),
        ("init-reboot, unknown client with another's", other, vec![(50, a100)], none(), Ok(MessageType::Nak)),
        ("init-reboot from another network", other, vec![(50, foreign)], none(), Ok(MessageType::Nak)),
        ("renewing", MAC, vec![], Box::new(ciaddr(100)), Ok(MessageType::Ack)),
        ("rebinding after the journal was lost", other, vec![], Box::new(ciaddr(150)), Ok(MessageType::Ack)),
        ("renewing what another has", other, vec![], Box::new(ciaddr(100)), Ok(MessageType::Nak)),
        ("renewing an address that is not ours", other, vec![], Box::new(ciaddr(7)), Err(Silence::Unknown)),
        ("nothing asked", MAC, vec![], none(), Err(Silence::Unknown)),
    ];
    for (name, mac, options, change, wanted) in rows {
        let (mut leases, settings) = served();
        ask(&mut leases, &settings, NOW, &packet(MessageType::Discover, MAC, &[], |_| ())).unwrap();
        let got = ask(&mut leases, &settings, NOW + 4, &packet(MessageType::Request, mac, &options, change));
        assert_eq!(got.as_ref().map(|reply| reply.kind).map_err(|e| *e), wanted, "{name}");
        if let Ok(reply) = got {
            let packet = Packet::parse(reply.message.as_bytes()).unwrap();
            let nak = reply.kind == MessageType::Nak;
            assert_eq!(packet.yiaddr.is_unspecified(), nak, "{name}: yiaddr");
            assert_eq!(packet.option(51).is_none(), nak, "{name}: lease time");
            assert_eq!(packet.option(56).is_some(), nak, "{name}: reason");
        }
    }
}

#[test]
fn answers_go_where_the_client_hears_them() {
    let giaddr = |b: &mut Vec<u8>| b[24..28].copy_from_slice(&ip(250).octets());
    let foreign = |b: &mut Vec<u8>| b[24..28].copy_from_slice(&[192, 168, 0, 1]);
    let ciaddr = |b: &mut Vec<u8>| b[12..16].copy_from_slice(&ip(100).octets());
    type Row<'a> = (&'a str, MessageType, &'a dyn Fn(&mut Vec<u8>), Result<&'a str, Silence>);
    let rows: &[Row<'_>] = &[
        ("without address: broadcast", MessageType::Discover, &|_| (), Ok("255.255.255.255:68")),
        (
            "without the flag: still broadcast",
            MessageType::Discover,
            &|b| b[10] = 0,
            Ok("255.255.255.255:68"),
        ),
        ("relayed: to the relay's port 67", MessageType::Discover, &giaddr, Ok("10.77.0.250:67")),
        ("relayed from elsewhere", MessageType::Discover, &foreign, Err(Silence::Relay)),
        ("renewing: to the address", MessageType::Request, &ciaddr, Ok("10.77.0.100:68")),
        ("inform: to the address", MessageType::Inform, &ciaddr, Ok("10.77.0.100:68")),
        ("inform without address", MessageType::Inform, &|_| (), Err(Silence::Unknown)),
        ("a server's message", MessageType::Offer, &|_| (), Err(Silence::NotARequest)),
        ("a reply", MessageType::Discover, &|b| b[0] = 2, Err(Silence::NotARequest)),
    ];
    for (name, kind, change, wanted) in rows {
        let (mut leases, settings) = served();
        let got = ask(&mut leases, &settings, NOW, &packet(*kind, MAC, &[], change));
        assert_eq!(got.map(|reply| reply.to.to_string()), wanted.map(str::to_owned), "{name}");
    }
}

#[test]
fn inform_gets_the_options_but_no_lease() {
    let (mut leases, settings) = served();
    let bytes = packet(MessageType::Inform, MAC, &[], |b| b[12..16].copy_from_slice(&ip(9).octets()));
    let reply = ask(&mut leases, &settings, NOW, &bytes).unwrap();
    let codes: Vec<u8> = options_of(&reply).iter().map(|(code, _)| *code).collect();
    assert_eq!((reply.kind, codes), (MessageType::Ack, vec![53, 54, 1, 3, 6, 28]));
    assert_eq!(leases.usage().0, 0);
}

#[test]
fn decline_and_release() {
    let (mut leases, settings) = served();
    let server = settings.server.octets();
    let ours: Options<'_> = &[(50, &[10, 77, 0, 100]), (54, &server)];
    let mut ask = |kind, mac: &str, options: Options<'_>, change: &dyn Fn(&mut Vec<u8>)| {
        ask(&mut leases, &settings, NOW, &packet(kind, mac, options, change))
    };
    ask(MessageType::Discover, MAC, &[], &|_| ()).unwrap();
    ask(MessageType::Request, MAC, ours, &|_| ()).unwrap();
    assert_eq!(ask(MessageType::Decline, MAC, ours, &|_| ()).unwrap_err(), Silence::Done);
    assert_eq!(
        ask(MessageType::Discover, MAC, &[], &|_| ()).unwrap().ip,
        ip(101),
        "another address after DECLINE"
    );
    let ciaddr: &dyn Fn(&mut Vec<u8>) = &|b| b[12..16].copy_from_slice(&ip(102).octets());
    ask(MessageType::Request, "52:54:00:00:00:02", &[], ciaddr).unwrap();
    let elsewhere: Options<'_> = &[(54, &[10, 77, 0, 9])];
    assert_eq!(
        ask(MessageType::Release, "52:54:00:00:00:02", elsewhere, ciaddr).unwrap_err(),
        Silence::OtherServer
    );
    assert_eq!(
        ask(MessageType::Release, "52:54:00:00:00:02", &[(54, &server)], ciaddr).unwrap_err(),
        Silence::Done
    );
    assert_eq!(leases.usage().0, 2, "the quarantined and the offered one");
}

/// EDK2 with SendGUID puts the UUID into chaddr and says hlen 16.
#[test]
fn a_hardware_address_of_16_bytes_works() {
    let (mut leases, settings) = served();
    let uuid: Vec<u8> = (1..=16).collect();
    let change = |b: &mut Vec<u8>| {
        b[2] = 16;
        b[28..44].copy_from_slice(&uuid);
    };
    let reply = ask(&mut leases, &settings, NOW, &packet(MessageType::Discover, MAC, &[], change)).unwrap();
    let got = Packet::parse(reply.message.as_bytes()).unwrap();
    assert_eq!((reply.ip, got.hw.as_bytes()), (ip(100), uuid.as_slice()));
}

#[test]
fn an_exhausted_pool_is_silent() {
    let (_, settings) = served();
    let mut leases = Leases::new(Plan::of(ip(100), ip(100)));
    let discover = |mac: &str| packet(MessageType::Discover, mac, &[], |_| ());
    assert!(ask(&mut leases, &settings, NOW, &discover(MAC)).is_ok());
    assert_eq!(
        ask(&mut leases, &settings, NOW, &discover("52:54:00:00:00:02")).unwrap_err(),
        Silence::Exhausted
    );
}

proptest::proptest! {
    /// Any packet with a sane header gets silence or an answer that can be read, and never an address outside.
    #[test]
    fn no_packet_makes_it_panic(header in proptest::collection::vec(0u8..=255, 236), tail in proptest::collection::vec(0u8..=255, 0..400)) {
        let (mut leases, settings) = served();
        let mut bytes = header;
        bytes[0] = 1;
        bytes[2] %= 17;
        bytes[24..28].fill(0);
        bytes.extend([99, 130, 83, 99, 53, 1, 1 + bytes[100] % 8]);
        bytes.extend(tail);
        if let Ok(packet) = Packet::parse(&bytes)
            && let Ok(reply) = handle(&mut leases, &settings, NOW, &packet)
        {
            let answer = Packet::parse(reply.message.as_bytes()).unwrap();
            proptest::prop_assert_eq!(answer.xid, packet.xid);
            let given = answer.yiaddr;
            proptest::prop_assert!(given.is_unspecified() || (ip(100)..=ip(199)).contains(&given));
        }
    }
}
