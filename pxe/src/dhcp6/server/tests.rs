//! Exchanges by RFC 8415, RFC 5970, and as EDK2 has them; answers are read by another implementation (dhcproto).

use dhcproto::v6::{self, DhcpOption, OptionCode};
use dhcproto::{Decodable, Decoder};

use super::*;

const SERVER: &str = "fd00:6d61:656b:1::1";
const OURS: &[u8] = &[0, 3, 0, 1, 2, 0, 0, 0, 0, 0xff];
/// DUID-UUID, as EDK2 has it.
const UUID: &[u8] = &[0, 4, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16];
/// DUID-LL.
const LL: &[u8] = &[0, 3, 0, 1, 0x52, 0x54, 0, 0x12, 0x34, 0x56];
const PXE7: &[u8] = b"\0\0\x01\x57\0\x20PXEClient:Arch:00007:UNDI:003016";
const HTTP16: &[u8] = b"\0\0\x01\x57\0\x21HTTPClient:Arch:00016:UNDI:003016";

type Options<'a> = &'a [(u16, &'a [u8])];

fn settings() -> Settings {
    let dns = vec!["fd00::53".parse().unwrap()];
    Settings { server: SERVER.parse().unwrap(), duid: OURS.to_vec(), dns, lease: 3600, http_port: 8480 }
}

fn message(kind: Kind, options: Options<'_>) -> Vec<u8> {
    let mut writer = Writer::new(kind, [1, 2, 3]);
    for (code, value) in options {
        writer.option(*code, value);
    }
    writer.finish(&[]).unwrap()
}

fn ask(addresses: &mut Addresses, bytes: &[u8]) -> Result<(Reply, v6::Message), Silence> {
    let reply = handle(addresses, &settings(), &Packet::parse(bytes).unwrap(), false)?;
    let read = v6::Message::decode(&mut Decoder::new(&reply.bytes)).unwrap();
    Ok((reply, read))
}

fn network() -> Addresses {
    Addresses::new(SERVER.parse().unwrap())
}

/// An IA_NA, number 1, with these addresses.
fn ia(addresses: &[Ipv6Addr]) -> Vec<u8> {
    let mut value = vec![0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0];
    for one in addresses {
        put(&mut value, options::IA_ADDR, &address(*one, 0, 0));
    }
    value
}

/// Address and valid lifetime of each address in the answer, and the association's status.
fn given(message: &v6::Message) -> (Vec<(Ipv6Addr, u32)>, Option<v6::Status>) {
    let Some(DhcpOption::IANA(ia)) = message.opts().get(OptionCode::IANA) else { return (Vec::new(), None) };
    let mut all = Vec::new();
    let mut status = None;
    for option in ia.opts.iter() {
        match option {
            DhcpOption::IAAddr(a) => all.push((a.addr, a.valid_life)),
            DhcpOption::StatusCode(s) => status = Some(s.status),
            _ => {}
        }
    }
    (all, status)
}

fn status(message: &v6::Message) -> Option<v6::Status> {
    match message.opts().get(OptionCode::StatusCode) {
        Some(DhcpOption::StatusCode(s)) => Some(s.status),
        _ => None,
    }
}

#[test]
fn four_messages_and_two_give_the_same_address() {
    let mut addresses = network();
    let solicit = message(Kind::Solicit, &[(1, UUID), (3, &ia(&[])), (6, &[0, 23])]);
    let (reply, offer) = ask(&mut addresses, &solicit).unwrap();
    assert_eq!((reply.kind, reply.boot), (Kind::Advertise, Boot::Nothing));
    assert!(matches!(offer.opts().get(OptionCode::Preference), Some(DhcpOption::Preference(255))));
    let (offered, _) = given(&offer);
    let mine = addresses.of(UUID, [0, 0, 0, 1]);
    assert_eq!(offered, [(mine, 3600)]);
    let request = message(Kind::Request, &[(1, UUID), (2, OURS), (3, &ia(&[mine])), (6, &[0, 23])]);
    let (reply, ack) = ask(&mut addresses, &request).unwrap();
    assert_eq!((reply.kind, given(&ack).0), (Kind::Reply, offered.clone()));
    let Some(DhcpOption::DomainNameServers(dns)) = ack.opts().get(OptionCode::DomainNameServers) else {
        panic!("name servers, as asked for")
    };
    assert_eq!(*dns, settings().dns);
    let rapid = message(Kind::Solicit, &[(1, UUID), (3, &ia(&[])), (14, &[])]);
    let (reply, at_once) = ask(&mut addresses, &rapid).unwrap();
    assert_eq!((reply.kind, given(&at_once).0), (Kind::Reply, offered));
    assert!(at_once.opts().get(OptionCode::RapidCommit).is_some());
    let Some(DhcpOption::IANA(times)) = at_once.opts().get(OptionCode::IANA) else { panic!("an IA_NA") };
    assert_eq!((times.t1, times.t2), (900, 1440), "half and four fifths of the preferred lifetime");
}

#[test]
fn what_each_firmware_is_told_to_boot() {
    let shim = "http://[fd00:6d61:656b:1::1]:8480/boot/shimx64.efi";
    let script = "http://[fd00:6d61:656b:1::1]:8480/boot.ipxe?mac=52:54:00:12:34:56&uuid=${uuid}&arch=7";
    let rows: &[(&str, Options<'_>, Option<&str>, Boot)] = &[
        (
            "OVMF PXEv6",
            &[(1, UUID), (61, &[0, 7]), (16, PXE7)],
            Some("tftp://[fd00:6d61:656b:1::1]/shimx64.efi"),
            Boot::Tftp("shimx64.efi"),
        ),
        ("OVMF HTTPv6", &[(1, UUID), (61, &[0, 16]), (16, HTTP16)], Some(shim), Boot::HttpLoader),
        ("iPXE", &[(1, LL), (61, &[0, 7]), (16, PXE7), (15, b"\0\x04iPXE")], Some(script), Boot::Script),
        (
            "iPXE that does not say who it is",
            &[(1, UUID), (61, &[0, 7]), (15, b"\0\x04iPXE")],
            None,
            Boot::Unsupported,
        ),
        (
            "ARM64",
            &[(1, UUID), (61, &[0, 11]), (16, b"\0\0\x01\x57\0\x09PXEClient")],
            None,
            Boot::Unsupported,
        ),
        (
            "a BIOS",
            &[(1, UUID), (61, &[0, 0]), (16, b"\0\0\x01\x57\0\x09PXEClient")],
            None,
            Boot::Unsupported,
        ),
        ("an operating system", &[(1, LL), (6, &[0, 23, 0, 24])], None, Boot::Nothing),
        ("class cut short", &[(1, UUID), (61, &[0, 7]), (16, &[0, 0, 1])], None, Boot::Nothing),
    ];
    for (name, options, url, boot) in rows {
        let solicit = message(Kind::Solicit, options);
        let (reply, answer) = ask(&mut network(), &solicit).unwrap();
        let told = match answer.opts().get(OptionCode::OptBootfileUrl) {
            Some(DhcpOption::Unknown(o)) => Some(String::from_utf8(o.data().to_vec()).unwrap()),
            None => None,
            other => panic!("{name}: {other:?}"),
        };
        assert_eq!((told.as_deref(), reply.boot), (*url, *boot), "{name}");
        let class = answer.opts().get(OptionCode::VendorClass).is_some();
        assert_eq!(class, *boot == Boot::HttpLoader, "{name}: EDK2 takes HTTP boot only by this class");
    }
}

#[test]
fn addresses_are_prolonged_ended_given_back_and_declined() {
    let mut addresses = network();
    let mine = addresses.of(UUID, [0, 0, 0, 1]);
    let old: Ipv6Addr = "fd00:6d61:656b:1::dead".parse().unwrap();
    let foreign: Ipv6Addr = "2001:db8::5".parse().unwrap();
    type Row<'a> =
        (&'a str, Kind, bool, &'a [Ipv6Addr], &'a [(Ipv6Addr, u32)], Option<v6::Status>, Option<v6::Status>);
    let rows: &[Row<'_>] = &[
        ("RENEW", Kind::Renew, true, &[mine], &[(mine, 3600)], None, None),
        ("RENEW after another master", Kind::Renew, true, &[old], &[(mine, 3600), (old, 0)], None, None),
        (
            "REBIND with what is not of this link",
            Kind::Rebind,
            false,
            &[foreign],
            &[(mine, 3600), (foreign, 0)],
            None,
            None,
        ),
        (
            "REQUEST for what is not of this link",
            Kind::Request,
            true,
            &[foreign],
            &[],
            Some(v6::Status::NotOnLink),
            None,
        ),
        ("CONFIRM", Kind::Confirm, false, &[mine, old], &[], None, Some(v6::Status::Success)),
        ("CONFIRM elsewhere", Kind::Confirm, false, &[mine, foreign], &[], None, Some(v6::Status::NotOnLink)),
        ("RELEASE", Kind::Release, true, &[mine], &[], None, Some(v6::Status::Success)),
        (
            "RELEASE of what is not its own",
            Kind::Release,
            true,
            &[old],
            &[],
            Some(v6::Status::NoBinding),
            Some(v6::Status::Success),
        ),
        ("DECLINE", Kind::Decline, true, &[mine], &[], None, Some(v6::Status::Success)),
    ];
    for (name, kind, with_server, has, wanted, inner, outer) in rows {
        let ia = ia(has);
        let mut options: Vec<(u16, &[u8])> = vec![(1, UUID), (3, &ia)];
        if *with_server {
            options.push((2, OURS));
        }
        let (_, answer) = ask(&mut addresses, &message(*kind, &options)).unwrap();
        assert_eq!(given(&answer), (wanted.to_vec(), *inner), "{name}");
        assert_eq!(status(&answer), *outer, "{name}");
    }
    assert_ne!(addresses.of(UUID, [0, 0, 0, 1]), mine, "what was declined is not given again");
}

#[test]
fn what_the_rfc_has_discarded_is_met_with_silence() {
    let other: &[u8] = &[0, 3, 0, 1, 9, 9, 9, 9, 9, 9];
    let long = [0; 131];
    let association = ia(&[]);
    let rows: &[(&str, Kind, Options<'_>, Silence)] = &[
        ("SOLICIT without its own DUID", Kind::Solicit, &[(3, &association)], Silence::Invalid),
        ("SOLICIT to a server", Kind::Solicit, &[(1, UUID), (2, OURS)], Silence::Invalid),
        ("REQUEST to nobody", Kind::Request, &[(1, UUID), (3, &association)], Silence::Invalid),
        ("REQUEST to another", Kind::Request, &[(1, UUID), (2, other)], Silence::OtherServer),
        ("REBIND to a server", Kind::Rebind, &[(1, UUID), (2, OURS)], Silence::Invalid),
        ("CONFIRM of nothing", Kind::Confirm, &[(1, UUID)], Silence::Nothing),
        ("RELEASE to another", Kind::Release, &[(1, UUID), (2, other)], Silence::OtherServer),
        (
            "INFORMATION-REQUEST with an address",
            Kind::InformationRequest,
            &[(1, UUID), (3, &association)],
            Silence::Invalid,
        ),
        ("DUID of 131 bytes", Kind::Solicit, &[(1, &long)], Silence::Invalid),
        ("DUID of 2 bytes", Kind::Solicit, &[(1, &[0, 3])], Silence::Invalid),
    ];
    for (name, kind, options, wanted) in rows {
        assert_eq!(ask(&mut network(), &message(*kind, options)).unwrap_err(), *wanted, "{name}");
    }
}

#[test]
fn a_message_to_our_own_address_is_told_to_use_the_multicast_one() {
    let request = message(Kind::Request, &[(1, UUID), (2, OURS), (3, &ia(&[]))]);
    let packet = Packet::parse(&request).unwrap();
    let reply = handle(&mut network(), &settings(), &packet, true).unwrap();
    let read = v6::Message::decode(&mut Decoder::new(&reply.bytes)).unwrap();
    assert_eq!((status(&read), given(&read).0), (Some(v6::Status::UseMulticast), Vec::new()));
    let solicit = message(Kind::Solicit, &[(1, UUID)]);
    let packet = Packet::parse(&solicit).unwrap();
    assert_eq!(handle(&mut network(), &settings(), &packet, true), Err(Silence::Invalid));
}

#[test]
fn everything_but_an_address_is_told_without_one() {
    let ask_all = message(Kind::InformationRequest, &[(6, &[0, 23, 0, 59]), (61, &[0, 16]), (16, HTTP16)]);
    let (reply, answer) = ask(&mut network(), &ask_all).unwrap();
    assert_eq!((reply.kind, reply.boot, reply.address), (Kind::Reply, Boot::HttpLoader, None));
    assert!(answer.opts().get(OptionCode::DomainNameServers).is_some());
    assert!(answer.opts().get(OptionCode::ClientId).is_none(), "a client may keep its name to itself");
}

#[test]
fn temporary_addresses_and_prefixes_are_refused_by_their_own_status() {
    let solicit = message(Kind::Solicit, &[(1, UUID), (4, &[0, 0, 0, 1]), (25, &[0; 12])]);
    let (_, answer) = ask(&mut network(), &solicit).unwrap();
    let inner = |options: &v6::DhcpOptions| match options.get(OptionCode::StatusCode) {
        Some(DhcpOption::StatusCode(s)) => s.status,
        other => panic!("{other:?}"),
    };
    let Some(DhcpOption::IATA(ta)) = answer.opts().get(OptionCode::IATA) else { panic!("an IA_TA") };
    assert_eq!(inner(&ta.opts), v6::Status::NoAddrsAvail);
    let Some(DhcpOption::IAPD(pd)) = answer.opts().get(OptionCode::IAPD) else { panic!("an IA_PD") };
    assert_eq!(inner(&pd.opts), v6::Status::NoPrefixAvail);
}

#[test]
fn a_relay_agent_is_served_for_our_link_alone() {
    for (link, wanted) in [("fd00:6d61:656b:1::99", true), ("::", true), ("fd00:6d61:656b:2::99", false)] {
        let mut bytes = vec![12, 0];
        bytes.extend(link.parse::<Ipv6Addr>().unwrap().octets());
        bytes.extend([0; 16]);
        put(&mut bytes, options::RELAY_MESSAGE, &message(Kind::Solicit, &[(1, UUID), (3, &ia(&[]))]));
        let packet = Packet::parse(&bytes).unwrap();
        let answer = handle(&mut network(), &settings(), &packet, true);
        assert_eq!(answer.is_ok(), wanted, "{link}");
        assert!(wanted || answer == Err(Silence::OtherLink), "{link}");
    }
}
