use super::*;
use dhcproto::v4::{self, Decodable, Decoder, DhcpOption};
use proptest::prelude::*;

fn hw(bytes: &[u8]) -> HwAddr {
    HwAddr::new(bytes).unwrap()
}

fn discover(options: &[(u8, &[u8])]) -> Vec<u8> {
    let mut writer = Writer::request(MessageType::Discover, 0x1234_5678, hw(&[2, 0, 0, 0, 0, 1]), true);
    for (code, value) in options {
        writer.option(*code, value);
    }
    writer.finish().unwrap().as_bytes().to_vec()
}

#[test]
fn what_is_not_a_message_is_refused() {
    let good = discover(&[]);
    let with = |change: fn(&mut Vec<u8>)| {
        let mut bytes = good.clone();
        change(&mut bytes);
        Packet::parse(&bytes).map(|_| ())
    };
    type Row = (&'static str, fn(&mut Vec<u8>), Result<(), PacketError>);
    let rows: &[Row] = &[
        ("good", |_| (), Ok(())),
        ("empty", |b| b.clear(), Err(PacketError::Short)),
        ("no options at all", |b| b.truncate(240), Err(PacketError::Type)),
        ("BOOTP without cookie", |b| b[236] = 0, Err(PacketError::Cookie)),
        ("hlen 0", |b| b[2] = 0, Err(PacketError::HwLen)),
        ("hlen 17", |b| b[2] = 17, Err(PacketError::HwLen)),
        (
            "hlen 0 with a client id: InfiniBand",
            |b| {
                b[2] = 0;
                b[243..248].copy_from_slice(&[61, 2, 1, 7, 255]);
            },
            Ok(()),
        ),
        (
            "hlen 0 with an empty client id",
            |b| {
                b[2] = 0;
                b[243..246].copy_from_slice(&[61, 0, 255]);
            },
            Err(PacketError::HwLen),
        ),
        ("hlen 16: EDK2 with SendGUID", |b| b[2] = 16, Ok(())),
        ("unknown message type", |b| b[242] = 42, Err(PacketError::Type)),
        ("empty message type", |b| b[241] = 0, Err(PacketError::Type)),
    ];
    for (name, change, wanted) in rows {
        assert_eq!(with(*change), *wanted, "{name}");
    }
}

#[test]
fn a_malformed_option_keeps_what_came_before_it() {
    let mut bytes = discover(&[(93, &[0, 7])]);
    bytes.truncate(247);
    bytes.extend([60, 200, b'P']);
    let packet = Packet::parse(&bytes).unwrap();
    assert_eq!(packet.option(93), Some([0, 7].as_slice()));
    assert_eq!(packet.option(60), None);
}

#[test]
fn overloaded_fields_are_read_after_the_options() {
    type Row = (&'static str, u8, Option<&'static [u8]>, Option<&'static [u8]>);
    let rows: &[Row] = &[
        ("neither", 0, None, None),
        ("file", 1, Some(b"f"), None),
        ("sname", 2, None, Some(b"s")),
        ("both", 3, Some(b"f"), Some(b"s")),
    ];
    for (name, overload, in_file, in_sname) in rows {
        let mut bytes = discover(&[(52, &[*overload])]);
        bytes[108..112].copy_from_slice(&[77, 1, b'f', 255]);
        bytes[44..48].copy_from_slice(&[60, 1, b's', 255]);
        let packet = Packet::parse(&bytes).unwrap();
        assert_eq!(packet.option(77), *in_file, "{name}");
        assert_eq!(packet.option(60), *in_sname, "{name}");
    }
}

#[test]
fn a_reply_copies_what_the_rfc_has_copied_and_starts_with_its_type() {
    let mut bytes = discover(&[]);
    bytes[2] = 16;
    bytes[24..28].copy_from_slice(&[10, 0, 0, 254]);
    let request = Packet::parse(&bytes).unwrap();
    let mut writer = Writer::reply(&request, MessageType::Offer);
    writer.set_file(b"undionly.kpxe");
    let message = writer.finish().unwrap();
    let got = Packet::parse(message.as_bytes()).unwrap();
    assert_eq!(message.as_bytes().len(), MIN);
    assert_eq!(&message.as_bytes()[240..244], &[53, 1, 2, 255]);
    assert_eq!((got.op, got.xid, got.broadcast), (BOOTREPLY, request.xid, true));
    assert_eq!((got.hw, got.giaddr), (request.hw, Ipv4Addr::new(10, 0, 0, 254)));
    assert_eq!(got.file(), b"undionly.kpxe");
}

#[test]
fn a_message_never_outgrows_its_buffer() {
    let request = discover(&[]);
    let request = Packet::parse(&request).unwrap();
    let mut writer = Writer::reply(&request, MessageType::Ack);
    for code in 200..220 {
        writer.option(code, &[7; 255]);
    }
    assert_eq!(writer.finish().unwrap_err(), TooLong(204));
}

#[test]
fn a_long_value_is_split_and_an_empty_one_stays() {
    let long: Vec<u8> = (0..=255).cycle().take(300).collect();
    let bytes = discover(&[(43, &long), (61, &[])]);
    let packet = Packet::parse(&bytes).unwrap();
    let joined: Vec<u8> = packet.options().filter(|(c, _)| *c == 43).flat_map(|(_, v)| v.to_vec()).collect();
    assert_eq!(joined, long);
    assert_eq!(packet.option(61), Some([].as_slice()));
}

proptest! {
    #[test]
    fn no_bytes_make_the_parser_panic(bytes in proptest::collection::vec(any::<u8>(), 0..1600)) {
        if let Ok(packet) = Packet::parse(&bytes) {
            packet.options().for_each(drop);
        }
    }

    /// The same with a good header, so that the options are reached.
    #[test]
    fn no_options_make_the_parser_panic(tail in proptest::collection::vec(any::<u8>(), 0..700), hlen in 0u8..20) {
        let mut bytes = discover(&[]);
        bytes[2] = hlen;
        bytes.truncate(243);
        bytes.extend(tail);
        if let Ok(packet) = Packet::parse(&bytes) {
            packet.options().for_each(drop);
            let _ = packet.file();
        }
    }

    #[test]
    fn what_we_write_we_read_and_another_implementation_reads_the_same(
        values in proptest::collection::btree_map(224u8..250, proptest::collection::vec(any::<u8>(), 1..255), 0..5),
        xid: u32,
        broadcast: bool,
        mac: [u8; 6],
    ) {
        let mut writer = Writer::request(MessageType::Discover, xid, hw(&mac), broadcast);
        for (code, value) in &values {
            writer.option(*code, value);
        }
        let message = writer.finish().unwrap();
        let ours = Packet::parse(message.as_bytes()).unwrap();
        let read: Vec<_> = ours.options().skip(1).map(|(c, v)| (c, v.to_vec())).collect();
        prop_assert_eq!(read, values.clone().into_iter().collect::<Vec<_>>());
        let theirs = v4::Message::decode(&mut Decoder::new(message.as_bytes())).unwrap();
        prop_assert_eq!(theirs.xid(), xid);
        prop_assert_eq!(theirs.chaddr(), mac);
        prop_assert_eq!(theirs.flags().broadcast(), broadcast);
        prop_assert_eq!(theirs.opts().msg_type(), Some(v4::MessageType::Discover));
        for (code, value) in &values {
            let Some(DhcpOption::Unknown(option)) = theirs.opts().get(v4::OptionCode::from(*code)) else {
                return Err(TestCaseError::fail(format!("option {code} with {value:?} is missing")));
            };
            prop_assert_eq!(option.data(), value);
        }
    }

    #[test]
    fn what_another_implementation_writes_we_read(xid: u32, mac: [u8; 6], ip: [u8; 4], name in "[a-z]{1,30}") {
        use dhcproto::v4::Encodable;
        let mut theirs = v4::Message::default();
        theirs.set_xid(xid).set_chaddr(&mac).set_opcode(v4::Opcode::BootRequest);
        theirs.opts_mut().insert(DhcpOption::MessageType(v4::MessageType::Request));
        theirs.opts_mut().insert(DhcpOption::RequestedIpAddress(ip.into()));
        theirs.opts_mut().insert(DhcpOption::Hostname(name.clone()));
        let bytes = theirs.to_vec().unwrap();
        let packet = Packet::parse(&bytes).unwrap();
        prop_assert_eq!((packet.xid, packet.hw, packet.kind), (xid, hw(&mac), MessageType::Request));
        prop_assert_eq!(packet.option_ip(options::REQUESTED_IP), Some(ip.into()));
        prop_assert_eq!(packet.option(options::HOST_NAME), Some(name.as_bytes()));
    }
}
