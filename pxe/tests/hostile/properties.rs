//! What is written is read back the same.

use maekin_pxe::dhcp::options::MessageType;
use maekin_pxe::dhcp::packet::{Packet, Writer};
use maekin_pxe::hw::HwAddr;
use maekin_pxe::tftp::packet::{
    Code, MAX_BLOCK, ReadRequest, Request, Requested, error, parse_answer, parse_request,
};
use proptest::prelude::*;

proptest! {
    #[test]
    fn a_dhcp_message_reads_as_it_was_written(
        hw in proptest::collection::vec(any::<u8>(), 1..=16),
        xid: u32,
        broadcast: bool,
        address: [u8; 4],
        options in proptest::collection::vec((1u8..=254, proptest::collection::vec(any::<u8>(), 0..=255)), 0..5),
    ) {
        let hw = HwAddr::new(&hw).expect("1 to 16 bytes");
        let mut writer = Writer::request(MessageType::Request, xid, hw, broadcast);
        writer.set_ciaddr(address.into());
        // 52 says that fields hold options, 53 is there already.
        let options: Vec<_> = options.into_iter().filter(|(code, _)| !matches!(code, 52 | 53)).collect();
        for (code, value) in &options {
            writer.option(*code, value);
        }
        if let Ok(message) = writer.finish() {
            let packet = Packet::parse(message.as_bytes()).expect("a message");
            prop_assert_eq!((packet.hw, packet.xid, packet.broadcast), (hw, xid, broadcast));
            prop_assert_eq!(packet.ciaddr.octets(), address);
            let read: Vec<_> = packet.options().skip(1).map(|(code, value)| (code, value.to_vec())).collect();
            prop_assert_eq!(read, options);
        }
    }

    #[test]
    fn a_tftp_request_reads_as_it_was_written(
        name in "[!-~]{1,200}",
        blksize in proptest::option::of(8u16..=65464),
        windowsize in proptest::option::of(1u16..),
        timeout in proptest::option::of(1u8..),
        tsize: bool,
    ) {
        let mut bytes = format!("\0\x01{name}\0octet\0").into_bytes();
        let mut add = |key: &str, value: Option<u64>| {
            if let Some(value) = value {
                bytes.extend_from_slice(format!("{key}\0{value}\0").as_bytes());
            }
        };
        add("tsize", tsize.then_some(0));
        add("blksize", blksize.map(u64::from));
        add("windowsize", windowsize.map(u64::from));
        add("timeout", timeout.map(u64::from));
        let options = Requested { blksize, windowsize, timeout, tsize };
        prop_assert_eq!(parse_request(&bytes), Request::Read(ReadRequest { name: &name, options }));
        // What we agree to, asked for again, is agreed to as it is: a client may repeat it.
        let agreed = options.agree(MAX_BLOCK);
        let again = Requested {
            blksize: blksize.map(|_| agreed.block),
            windowsize: windowsize.map(|_| agreed.window),
            ..options
        };
        prop_assert_eq!(again.agree(MAX_BLOCK), agreed);
    }

    #[test]
    fn a_tftp_error_reads_as_it_was_written(text in "[ -~]{0,100}") {
        let bytes = error(Code::NotFound, &text);
        prop_assert_eq!(parse_answer(&bytes), maekin_pxe::tftp::packet::Answer::Error(1));
        prop_assert_eq!(&bytes[4..bytes.len() - 1], text.as_bytes());
    }
}
