//! What ProxyDHCP answers whom. How firmware of each kind is answered byte by byte is in `tests/golden`.

use super::*;
use crate::config::parse_config;
use crate::hw::HwAddr;

const MAC: &str = "52:54:00:12:34:56";
const PXE7: &[u8] = b"PXEClient:Arch:00007:UNDI:003000";
const PXE0: &[u8] = b"PXEClient:Arch:00000:UNDI:002001";

type Options<'a> = &'a [(u8, &'a [u8])];

fn served() -> (Leases, Settings) {
    let config = parse_config(
        "interface = \"x\"\naddress = \"10.77.0.1/24\"\npool_start = \"10.77.0.100\"\npool_end = \"10.77.0.199\"\n\
         release_dir = \"/r\"\nroot_path = \"/r/root\"\nagent_socket = \"/a\"\nlease_file = \"/l\"\n",
    )
    .unwrap();
    (Leases::new(config.plan), config.settings)
}

fn packet(kind: MessageType, options: Options<'_>, change: impl Fn(&mut Vec<u8>)) -> Vec<u8> {
    let mut writer = Writer::request(kind, 7, MAC.parse().unwrap(), true);
    for (code, value) in options {
        writer.option(*code, value);
    }
    let mut bytes = writer.finish().unwrap().as_bytes().to_vec();
    change(&mut bytes);
    bytes
}

fn ip(n: u8) -> Ipv4Addr {
    Ipv4Addr::new(10, 77, 0, n)
}

#[test]
fn only_boot_firmware_is_answered_and_never_with_an_address() {
    let giaddr = |b: &mut Vec<u8>| b[24..28].copy_from_slice(&[10, 77, 0, 250]);
    let foreign = |b: &mut Vec<u8>| b[24..28].copy_from_slice(&[192, 168, 0, 1]);
    type Row<'a> = (&'a str, MessageType, Options<'a>, &'a dyn Fn(&mut Vec<u8>), Result<&'a str, Silence>);
    let rows: &[Row<'_>] = &[
        ("UEFI PXE", MessageType::Discover, &[(93, &[0, 7]), (60, PXE7)], &|_| (), Ok("255.255.255.255:68")),
        ("BIOS PXE", MessageType::Discover, &[(93, &[0, 0]), (60, PXE0)], &|_| (), Ok("255.255.255.255:68")),
        (
            "HTTP boot",
            MessageType::Discover,
            &[(93, &[0, 16]), (60, b"HTTPClient")],
            &|_| (),
            Ok("255.255.255.255:68"),
        ),
        (
            "iPXE",
            MessageType::Discover,
            &[(93, &[0, 7]), (60, PXE7), (77, b"iPXE")],
            &|_| (),
            Ok("255.255.255.255:68"),
        ),
        ("relayed", MessageType::Discover, &[(93, &[0, 7]), (60, PXE7)], &giaddr, Ok("10.77.0.250:67")),
        (
            "relayed from elsewhere",
            MessageType::Discover,
            &[(93, &[0, 7]), (60, PXE7)],
            &foreign,
            Err(Silence::Relay),
        ),
        (
            "an operating system",
            MessageType::Discover,
            &[(60, b"udhcp 1.37")],
            &|_| (),
            Err(Silence::ProxyOnly),
        ),
        ("nobody in particular", MessageType::Discover, &[], &|_| (), Err(Silence::ProxyOnly)),
        (
            "an architecture that is not shipped",
            MessageType::Discover,
            &[(93, &[0, 11]), (60, b"PXEClient")],
            &|_| (),
            Err(Silence::Unsupported),
        ),
        (
            "the REQUEST of boot firmware is the other server's",
            MessageType::Request,
            &[(93, &[0, 7]), (60, PXE7), (54, &[10, 77, 0, 200])],
            &|_| (),
            Err(Silence::ProxyOnly),
        ),
        (
            "INFORM is the other server's",
            MessageType::Inform,
            &[(93, &[0, 7]), (60, PXE7)],
            &|_| (),
            Err(Silence::ProxyOnly),
        ),
        (
            "a reply",
            MessageType::Discover,
            &[(93, &[0, 7]), (60, PXE7)],
            &|b| b[0] = 2,
            Err(Silence::NotARequest),
        ),
    ];
    let (_, settings) = served();
    for (name, kind, options, change, wanted) in rows {
        let bytes = packet(*kind, options, change);
        let got = handle(&settings, &Packet::parse(&bytes).unwrap());
        if let Ok(reply) = &got {
            let answer = Packet::parse(reply.message.as_bytes()).unwrap();
            assert_eq!((answer.kind, answer.yiaddr), (MessageType::Offer, Ipv4Addr::UNSPECIFIED), "{name}");
            for code in [options::LEASE_TIME, options::SUBNET_MASK, options::ROUTER, options::DNS] {
                assert_eq!(answer.option(code), None, "{name}: option {code} is the other server's to say");
            }
            assert_eq!(answer.option_ip(options::SERVER_ID), Some(settings.server), "{name}");
        }
        assert_eq!(got.map(|reply| reply.to.to_string()), wanted.map(str::to_owned), "{name}");
    }
}

#[test]
fn port_4011_answers_those_of_this_network_at_the_port_they_ask_from() {
    let ciaddr = |b: &mut Vec<u8>| b[12..16].copy_from_slice(&[10, 77, 0, 123]);
    let elsewhere = |b: &mut Vec<u8>| b[12..16].copy_from_slice(&[8, 8, 8, 8]);
    let relayed = |b: &mut Vec<u8>| b[24..28].copy_from_slice(&[10, 77, 0, 250]);
    let uefi: Options<'_> = &[(93, &[0, 7]), (60, PXE7)];
    type Row<'a> =
        (&'a str, MessageType, Options<'a>, &'a dyn Fn(&mut Vec<u8>), &'a str, Result<&'a str, Silence>);
    let rows: &[Row<'_>] = &[
        (
            "EDK2: unicast with its address",
            MessageType::Request,
            uefi,
            &ciaddr,
            "10.77.0.123:68",
            Ok("10.77.0.123:68"),
        ),
        (
            "from another port",
            MessageType::Request,
            uefi,
            &ciaddr,
            "10.77.0.123:4011",
            Ok("10.77.0.123:4011"),
        ),
        ("ciaddr left empty", MessageType::Request, uefi, &|_| (), "10.77.0.123:68", Ok("10.77.0.123:68")),
        (
            "no address at all: broadcast, no ARP",
            MessageType::Request,
            uefi,
            &|_| (),
            "0.0.0.0:68",
            Ok("255.255.255.255:68"),
        ),
        ("INFORM", MessageType::Inform, uefi, &ciaddr, "10.77.0.123:68", Ok("10.77.0.123:68")),
        (
            "iPXE",
            MessageType::Request,
            &[(93, &[0, 7]), (60, PXE7), (77, b"iPXE")],
            &ciaddr,
            "10.77.0.123:68",
            Ok("10.77.0.123:68"),
        ),
        (
            "DISCOVER belongs on port 67",
            MessageType::Discover,
            uefi,
            &ciaddr,
            "10.77.0.123:68",
            Err(Silence::NotARequest),
        ),
        (
            "sent to an address elsewhere",
            MessageType::Request,
            uefi,
            &elsewhere,
            "10.77.0.123:68",
            Err(Silence::Relay),
        ),
        (
            "sent from an address elsewhere",
            MessageType::Request,
            uefi,
            &|_| (),
            "8.8.8.8:68",
            Err(Silence::Relay),
        ),
        ("relayed", MessageType::Request, uefi, &relayed, "10.77.0.250:67", Err(Silence::Relay)),
        (
            "an operating system",
            MessageType::Request,
            &[],
            &ciaddr,
            "10.77.0.123:68",
            Err(Silence::ProxyOnly),
        ),
        (
            "not shipped",
            MessageType::Request,
            &[(93, &[0, 6]), (60, b"PXEClient")],
            &ciaddr,
            "10.77.0.123:68",
            Err(Silence::Unsupported),
        ),
        ("a reply", MessageType::Request, uefi, &|b| b[0] = 2, "10.77.0.123:68", Err(Silence::NotARequest)),
    ];
    let (_, settings) = served();
    for (name, kind, options, change, from, wanted) in rows {
        let bytes = packet(*kind, options, change);
        let got = boot_server(&settings, &Packet::parse(&bytes).unwrap(), from.parse().unwrap());
        if let Ok(reply) = &got {
            let answer = Packet::parse(reply.message.as_bytes()).unwrap();
            assert_eq!((answer.kind, answer.yiaddr), (MessageType::Ack, Ipv4Addr::UNSPECIFIED), "{name}");
            assert!(answer.option(options::BOOT_FILE).is_some_and(|file| file.ends_with(b"\0")), "{name}");
        }
        assert_eq!(got.map(|reply| reply.to.to_string()), wanted.map(str::to_owned), "{name}");
    }
}

#[test]
fn option_43_decides_where_firmware_looks_for_its_file() {
    let skip: &[u8] = &[6, 1, 8, 255];
    let item: &[u8] = &[71, 4, 0, 1, 0, 0];
    let (uefi, bios): (&[u8], &[u8]) = (&[0, 7], &[0, 0]);
    let chosen = [item, &[255]].concat();
    let longer = [&[0, 8, 2, 1, 2], item, &[9, 1, 1, 255]].concat();
    type Row<'a> = (&'a str, ProxyStyle, &'a [u8], Option<&'a [u8]>, Option<&'a [u8]>, Option<&'a [u8]>);
    let rows: &[Row<'_>] = &[
        ("UEFI asks on port 4011", ProxyStyle::Binl, uefi, None, None, None),
        ("UEFI takes it from the offer", ProxyStyle::Direct, uefi, None, Some(skip), Some(skip)),
        ("BIOS takes it from the offer", ProxyStyle::Binl, bios, None, Some(skip), Some(skip)),
        ("a menu's item comes back", ProxyStyle::Binl, bios, Some(&chosen), Some(skip), Some(&chosen)),
        ("among others", ProxyStyle::Binl, uefi, Some(&longer), None, Some(&chosen)),
        ("cut short", ProxyStyle::Direct, uefi, Some(&[71, 4, 0]), Some(skip), Some(skip)),
        ("of a wrong length", ProxyStyle::Direct, uefi, Some(&[71, 2, 0, 1]), Some(skip), Some(skip)),
        ("nonsense", ProxyStyle::Direct, uefi, Some(&[1, 200, 3]), Some(skip), Some(skip)),
    ];
    let (_, settings) = served();
    for (name, proxy, arch, vendor, offer, ack) in rows {
        let settings = Settings { proxy: *proxy, ..settings.clone() };
        let class: &[u8] = b"PXEClient";
        let mut given = vec![(93, *arch), (60, class)];
        given.extend(vendor.map(|value| (43, value)));
        let from = SocketAddrV4::new(ip(123), 68);
        let discover = packet(MessageType::Discover, &given, |_| ());
        let request = packet(MessageType::Request, &given, |_| ());
        let got = handle(&settings, &Packet::parse(&discover).unwrap()).unwrap();
        let answer = Packet::parse(got.message.as_bytes()).unwrap();
        assert_eq!(answer.option(options::VENDOR), *offer, "{name}: offer");
        assert_eq!(answer.siaddr, settings.server, "{name}: where port 4011 is");
        let got = boot_server(&settings, &Packet::parse(&request).unwrap(), from).unwrap();
        let answer = Packet::parse(got.message.as_bytes()).unwrap();
        assert_eq!(answer.option(options::VENDOR), *ack, "{name}: port 4011");
    }
}

#[test]
fn who_holds_an_address_keeps_it_and_nobody_gets_a_new_one() {
    let (mut leases, settings) = served();
    let server = settings.server.octets();
    let wanted = ip(100).octets();
    let take: Options<'_> = &[(50, &wanted), (54, &server)];
    let bytes = |kind, options: Options<'_>, mac: &str, ciaddr: Option<u8>| {
        let hw: HwAddr = mac.parse().unwrap();
        packet(kind, options, |b| {
            b[28..34].copy_from_slice(hw.as_bytes());
            if let Some(n) = ciaddr {
                b[12..16].copy_from_slice(&ip(n).octets());
            }
        })
    };
    for kind in [MessageType::Discover, MessageType::Request] {
        let bytes = bytes(kind, take, MAC, None);
        server::handle(&mut leases, &settings, 0, &Packet::parse(&bytes).unwrap()).unwrap();
    }
    let stranger = "52:54:00:00:00:99";
    type Row<'a> = (&'a str, &'a str, MessageType, Options<'a>, Option<u8>, Result<MessageType, Silence>);
    let rows: &[Row<'_>] = &[
        ("the holder renews", MAC, MessageType::Request, &[], Some(100), Ok(MessageType::Ack)),
        (
            "the holder restarts and asks for it",
            MAC,
            MessageType::Request,
            &[(50, &wanted)],
            None,
            Ok(MessageType::Ack),
        ),
        (
            "the holder asks for another",
            MAC,
            MessageType::Request,
            &[(50, &[10, 77, 0, 150])],
            None,
            Err(Silence::ProxyOnly),
        ),
        ("the holder looks for a server", MAC, MessageType::Discover, &[], None, Err(Silence::ProxyOnly)),
        (
            "a stranger looks for a server",
            stranger,
            MessageType::Discover,
            &[],
            None,
            Err(Silence::ProxyOnly),
        ),
        (
            "a stranger's PXE",
            stranger,
            MessageType::Discover,
            &[(93, &[0, 0]), (60, PXE0)],
            None,
            Ok(MessageType::Offer),
        ),
        (
            "a stranger renews with the other server",
            stranger,
            MessageType::Request,
            &[],
            Some(150),
            Err(Silence::ProxyOnly),
        ),
        (
            "a stranger claims what is held: no NAK",
            stranger,
            MessageType::Request,
            &[],
            Some(100),
            Err(Silence::ProxyOnly),
        ),
        (
            "a stranger takes the other's offer",
            stranger,
            MessageType::Request,
            &[(54, &[10, 77, 0, 200])],
            None,
            Err(Silence::OtherServer),
        ),
        (
            "the holder gives it back",
            MAC,
            MessageType::Release,
            &[(54, &server)],
            Some(100),
            Err(Silence::Done),
        ),
        ("and has it no longer", MAC, MessageType::Request, &[], Some(100), Err(Silence::ProxyOnly)),
    ];
    for (name, mac, kind, options, ciaddr, wanted) in rows {
        let bytes = bytes(*kind, options, mac, *ciaddr);
        let got = beside(&mut leases, &settings, 1, &Packet::parse(&bytes).unwrap());
        assert_eq!(got.map(|reply| reply.kind), *wanted, "{name}");
    }
}
