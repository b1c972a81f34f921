use proptest::prelude::*;

use super::*;

fn tlv(kind: u8, value: &[u8]) -> Vec<u8> {
    let head = (u16::from(kind) << 9) | u16::try_from(value.len()).unwrap();
    [&head.to_be_bytes(), value].concat()
}

fn frame(tlvs: &[Vec<u8>]) -> Vec<u8> {
    [[0x01, 0x80, 0xc2, 0, 0, 0x0e, 0x02, 0, 0, 0, 0, 1, 0x88, 0xcc].as_slice(), &tlvs.concat()].concat()
}

/// As a switch sends it.
fn announced() -> Vec<Vec<u8>> {
    vec![
        tlv(1, &[4, 0x00, 0x1c, 0x73, 0xaa, 0xbb, 0xcc]),
        tlv(2, b"\x05Ethernet1/7"),
        tlv(3, &[0, 120]),
        tlv(4, b"rack 3, to node-1"),
        tlv(5, b"leaf-3a"),
        tlv(6, b"Some Switch OS\r\nversion 4"),
        tlv(127, &[0x00, 0x80, 0xc2, 1, 0, 20]),
        tlv(0, &[]),
    ]
}

#[test]
fn a_switch_names_itself_and_its_port() {
    let neighbour = parse_frame(&frame(&announced())).unwrap();
    let want = Neighbour {
        system: "leaf-3a".to_owned(),
        chassis: "00:1c:73:aa:bb:cc".to_owned(),
        port: "Ethernet1/7".to_owned(),
        description: "rack 3, to node-1".to_owned(),
        vlan: Some(20),
    };
    assert_eq!(neighbour, want);
}

#[test]
fn tagged_frames_and_other_identifiers() {
    let mut tlvs = announced();
    tlvs[0] = tlv(1, &[5, 1, 10, 0, 0, 9]);
    tlvs[1] = tlv(2, &[3, 2, 0, 0, 0, 0, 5]);
    let mut bytes = frame(&tlvs);
    bytes.splice(12..12, [0x81, 0x00, 0, 7]);
    let neighbour = parse_frame(&bytes).unwrap();
    assert_eq!((neighbour.chassis.as_str(), neighbour.port.as_str()), ("10.0.0.9", "02:00:00:00:00:05"));
}

#[test]
fn what_is_no_announcement_is_none() {
    let change = |at: usize, with: Vec<u8>| {
        let mut tlvs = announced();
        tlvs[at] = with;
        frame(&tlvs)
    };
    let rows: &[(&str, Vec<u8>)] = &[
        ("empty", Vec::new()),
        ("another protocol", [[0; 12].as_slice(), &[8, 0, 1, 2, 3]].concat()),
        ("no TLV", frame(&[])),
        ("port before chassis", change(0, tlv(2, b"\x05x"))),
        ("a chassis without an identifier", change(0, tlv(1, &[4]))),
        ("goodbye", change(2, tlv(3, &[0, 0]))),
        ("a time to live of one byte", change(2, tlv(3, &[1]))),
        ("longer than the frame", change(4, vec![0x0b, 0xff, b'x'])),
        ("without its end", frame(&announced()[..6])),
    ];
    for (name, bytes) in rows {
        assert_eq!(parse_frame(bytes), None, "{name}");
    }
}

#[test]
fn a_strangers_text_is_one_printable_line() {
    let mut tlvs = announced();
    tlvs[4] = tlv(5, b"\x1b[2Jevil\r\n\0name\0\0");
    assert_eq!(parse_frame(&frame(&tlvs)).unwrap().system, "[2Jevil   name");
    tlvs[4] = tlv(5, &[b'x'; 500]);
    assert_eq!(parse_frame(&frame(&tlvs)).unwrap().system.len(), LONGEST);
}

proptest! {
    #[test]
    fn no_frame_does_harm(bytes in proptest::collection::vec(any::<u8>(), 0..1600)) {
        let mut bytes = bytes;
        check(&bytes);
        if bytes.len() >= 14 {
            bytes[12] = 0x88;
            bytes[13] = 0xcc;
            check(&bytes);
        }
    }

    #[test]
    fn no_damage_does_harm(at in 0usize..120, with: u8, cut in 0usize..120) {
        let mut bytes = frame(&announced());
        let at = at % bytes.len();
        bytes[at] = with;
        check(&bytes);
        bytes.truncate(cut);
        check(&bytes);
    }
}

fn check(bytes: &[u8]) {
    if let Some(found) = parse_frame(bytes) {
        for text in [&found.system, &found.chassis, &found.port, &found.description] {
            assert!(text.chars().count() <= LONGEST && !text.chars().any(char::is_control), "{text:?}");
        }
    }
}
