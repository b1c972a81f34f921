//! Values of the options by which netboot clients describe themselves, in an otherwise good DISCOVER.

use maekin_pxe::boot;
use maekin_pxe::dhcp::options::{self, MessageType};
use maekin_pxe::dhcp::packet::{Packet, Writer};
use maekin_pxe::dhcp::server::handle;
use maekin_pxe::hw::HwAddr;

const CODES: [u8; 10] = [
    options::VENDOR,
    options::VENDOR_CLASS,
    options::CLIENT_ID,
    options::USER_CLASS,
    options::RELAY,
    options::ARCH,
    options::UNDI,
    options::MACHINE_ID,
    options::IPXE,
    options::PARAMETERS,
];

/// The first byte chooses an option, the second the length of its value, and so on.
pub fn run(bytes: &[u8]) {
    let hw = HwAddr::new(&[2, 0, 0, 0, 0, 1]).expect("six bytes");
    let mut writer = Writer::request(MessageType::Discover, 7, hw, true);
    let mut rest = bytes;
    while let [code, len, tail @ ..] = rest {
        let (value, tail) = tail.split_at(tail.len().min(usize::from(*len)));
        writer.option(CODES[usize::from(*code) % CODES.len()], value);
        look(value);
        rest = tail;
    }
    let Ok(message) = writer.finish() else { return };
    let packet = Packet::parse(message.as_bytes()).expect("what we wrote");
    let _ = boot::decide(boot::client(&packet));
    let (config, mut leases) = super::dhcp::server();
    if let Ok(reply) = handle(&mut leases, &config.settings, 1000, &packet) {
        Packet::parse(reply.message.as_bytes()).expect("our own answer is a DHCP message");
    }
}

fn look(value: &[u8]) {
    let _ = options::has_user_class(value, b"iPXE");
    assert!(options::architectures(value).count() <= value.len() / 2);
    if let Some(uuid) = options::machine_uuid(value) {
        assert_eq!(uuid.len(), 36);
    }
}
