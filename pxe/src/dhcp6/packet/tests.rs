//! Against another implementation (dhcproto), and against bytes that nobody meant.

use dhcproto::v6::{self, DhcpOption, OptionCode};
use dhcproto::{Decodable, Decoder, Encodable};
use proptest::prelude::*;

use super::*;

#[test]
fn what_others_write_is_read() {
    let mut message = v6::Message::new_with_id(v6::MessageType::Solicit, [1, 2, 3]);
    let options = message.opts_mut();
    options.insert(DhcpOption::ClientId(vec![0, 3, 0, 1, 2, 0, 0, 0, 0, 1]));
    options.insert(DhcpOption::ORO(v6::ORO { opts: vec![OptionCode::OptBootfileUrl] }));
    let mut inner = v6::DhcpOptions::new();
    inner.insert(DhcpOption::IAAddr(v6::IAAddr {
        addr: "fd00::5".parse().unwrap(),
        preferred_life: 0,
        valid_life: 0,
        opts: v6::DhcpOptions::new(),
    }));
    options.insert(DhcpOption::IANA(v6::IANA { id: 7, t1: 0, t2: 0, opts: inner }));
    let bytes = message.to_vec().unwrap();
    let packet = Packet::parse(&bytes).unwrap();
    assert_eq!((packet.kind, packet.xid), (Kind::Solicit, [1, 2, 3]));
    assert!(packet.asks_for(options::BOOT_FILE_URL) && !packet.asks_for(options::DNS));
    let association = packet.associations().next().unwrap();
    assert_eq!(association.iaid, [0, 0, 0, 7]);
    assert_eq!(association.addresses().collect::<Vec<_>>(), ["fd00::5".parse::<Ipv6Addr>().unwrap()]);
}

#[test]
fn what_we_write_is_read_by_others() {
    let mut writer = Writer::new(Kind::Advertise, [9, 8, 7]);
    writer.option(options::SERVER_ID, &[0, 3, 0, 1, 2, 0, 0, 0, 0, 2]);
    writer.option(options::BOOT_FILE_URL, b"http://[fd00::1]:8480/boot/shimx64.efi");
    writer.status(Status::NotOnLink);
    let bytes = writer.finish(&[]).unwrap();
    let message = v6::Message::decode(&mut Decoder::new(&bytes)).unwrap();
    assert_eq!((message.msg_type(), message.xid()), (v6::MessageType::Advertise, [9, 8, 7]));
    let status = message.opts().get(OptionCode::StatusCode).unwrap();
    assert!(matches!(status, DhcpOption::StatusCode(s) if s.status == v6::Status::NotOnLink));
}

#[test]
fn an_answer_goes_back_through_the_agents_that_the_message_came_through() {
    let solicit = [1, 1, 2, 3];
    let wrap = |count: u8, link: &str, id: &[u8], inner: &[u8]| {
        let mut bytes = vec![RELAY_FORWARD, count];
        bytes.extend(link.parse::<Ipv6Addr>().unwrap().octets());
        bytes.extend("fe80::9".parse::<Ipv6Addr>().unwrap().octets());
        put(&mut bytes, options::INTERFACE_ID, id);
        put(&mut bytes, options::LINK_LAYER, &[0, 1, 2, 0, 0, 0, 0, 9]);
        put(&mut bytes, options::RELAY_MESSAGE, inner);
        bytes
    };
    let bytes = wrap(1, "::", b"uplink", &wrap(0, "fd00::2", b"port 7", &solicit));
    let packet = Packet::parse(&bytes).unwrap();
    assert_eq!(packet.hops.len(), 2);
    assert_eq!(packet.hops[1].link, "fd00::2".parse::<Ipv6Addr>().unwrap());
    assert_eq!(packet.hops[1].link_layer, Some([0, 1, 2, 0, 0, 0, 0, 9].as_slice()));
    let answer = Writer::new(Kind::Advertise, packet.xid).finish(&packet.hops).unwrap();
    assert_eq!((answer[0], answer[1]), (RELAY_REPLY, 1));
    let outer = each(&answer[34..]).collect::<Vec<_>>();
    assert_eq!(outer[0], (options::INTERFACE_ID, b"uplink".as_slice()));
    let (code, inner) = outer[1];
    assert_eq!((code, inner[0], inner[1]), (options::RELAY_MESSAGE, RELAY_REPLY, 0));
    assert_eq!(each(&inner[34..]).next(), Some((options::INTERFACE_ID, b"port 7".as_slice())));
    assert!(inner.ends_with(&[2, 1, 2, 3]));
    let nine = (0..9).fold(solicit.to_vec(), |inner, n| wrap(n, "::", b"", &inner));
    assert_eq!(Packet::parse(&nine), Err(Malformed::Hops));
}

#[test]
fn what_is_no_message_of_a_client_is_refused() {
    let rows: &[(&str, &[u8], Malformed)] = &[
        ("nothing", &[], Malformed::Short),
        ("header cut", &[1, 0, 0], Malformed::Short),
        ("type 0", &[0, 0, 0, 0], Malformed::Kind(0)),
        ("a server's", &[7, 0, 0, 0], Malformed::Kind(7)),
        ("type 200", &[200, 0, 0, 0], Malformed::Kind(200)),
        ("option's header cut", &[1, 0, 0, 0, 0, 1, 0], Malformed::Short),
        ("option cut", &[1, 0, 0, 0, 0, 1, 0, 5, 1, 2], Malformed::Short),
        ("relay header cut", &[12, 0, 1, 2], Malformed::Short),
        ("relay without a message", &[&[12], [0; 33].as_slice()].concat(), Malformed::Empty),
        ("a relay's answer", &[&[13], [0; 33].as_slice()].concat(), Malformed::Kind(13)),
    ];
    for (name, bytes, wanted) in rows {
        assert_eq!(Packet::parse(bytes), Err(*wanted), "{name}");
    }
    assert!(Writer::new(Kind::Reply, [0; 3]).finish(&[]).is_some());
    let mut long = Writer::new(Kind::Reply, [0; 3]);
    long.option(options::BOOT_FILE_URL, &[b'x'; MAX_LEN]);
    assert_eq!(long.finish(&[]), None);
}

proptest! {
    #[test]
    fn no_bytes_make_the_parser_panic(bytes in proptest::collection::vec(any::<u8>(), 0..400)) {
        if let Ok(packet) = Packet::parse(&bytes) {
            for association in packet.associations() {
                let _ = association.addresses().count();
            }
            let _ = super::super::client::client(&packet);
        }
    }
}
