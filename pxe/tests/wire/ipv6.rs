//! Network boot over IPv6: from the first message to the menu, as firmware goes about it.

use std::io::{Read, Write};
use std::net::{Ipv6Addr, SocketAddrV6, TcpStream, UdpSocket};
use std::time::Duration;

use maekin_host::cmd::Cmd;
use maekin_host::{net6, wait};
use maekin_pxe::dhcp6::options::{self, each};
use maekin_pxe::dhcp6::packet::{Kind, Writer};

use crate::rig::{CLIENT, Rig, in_rig};

const SERVER: Ipv6Addr = Ipv6Addr::new(0xfd00, 0x6d61, 0x656b, 1, 0, 0, 0, 1);
const ALL_SERVERS: Ipv6Addr = Ipv6Addr::new(0xff02, 0, 0, 0, 0, 0, 1, 2);
const LIMIT: Duration = Duration::from_secs(10);
/// DUID-LL of an Ethernet card.
const DUID: &[u8] = &[0, 3, 0, 1, 2, 0, 0, 0, 0, 6];
const CLASS: &[u8] = b"\0\0\x01\x57\0\x21HTTPClient:Arch:00016:UNDI:003016";

/// A message to all servers, and the options of the answer; asked again where nothing comes, as every client does.
fn ask(kind: Kind, more: &[(u16, &[u8])]) -> Vec<(u16, Vec<u8>)> {
    let mut writer = Writer::new(kind, [1, 2, 3]);
    let common: [(u16, &[u8]); 4] = [
        (options::CLIENT_ID, DUID),
        (options::IA_NA, &[0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0]),
        (options::ARCH, &[0, 16]),
        (options::VENDOR_CLASS, CLASS),
    ];
    for (code, value) in common.iter().chain(more) {
        writer.option(*code, value);
    }
    let message = writer.finish(&[]).expect("short");
    let socket = UdpSocket::bind("[::]:0").expect("a socket");
    socket.set_read_timeout(Some(Duration::from_millis(500))).expect("a limit");
    let scope = interface_index();
    let bytes = wait::until("an answer by DHCPv6", LIMIT, Duration::from_millis(20), || {
        socket.send_to(&message, SocketAddrV6::new(ALL_SERVERS, 547, 0, scope)).ok()?;
        let mut buf = [0; 1500];
        socket.recv(&mut buf).ok().map(|len| buf[..len].to_vec())
    })
    .expect("in time");
    assert_eq!(bytes[1..4], [1, 2, 3]);
    each(&bytes[4..]).map(|(code, value)| (code, value.to_vec())).collect()
}

fn interface_index() -> u32 {
    let text = Cmd::new("ip").args(["-o", "link", "show", CLIENT]).text().expect("ip(8)");
    text.split(':').next().and_then(|n| n.parse().ok()).expect("a number")
}

fn find(options: &[(u16, Vec<u8>)], code: u16) -> Option<&[u8]> {
    options.iter().find(|(c, _)| *c == code).map(|(_, value)| value.as_slice())
}

fn get(path: &str) -> String {
    let mut stream = TcpStream::connect((SERVER, 8480)).expect("a connection");
    stream.set_read_timeout(Some(LIMIT)).expect("a limit");
    write!(stream, "GET {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n").expect("sent");
    let mut bytes = Vec::new();
    stream.read_to_end(&mut bytes).expect("an answer");
    String::from_utf8_lossy(&bytes).into_owned()
}

fn ip(args: &str) {
    Cmd::new("ip").args(args.split(' ')).run().expect("ip(8)");
}

#[test]
fn netboot_over_ipv6_from_the_first_message_to_the_menu() {
    in_rig(|rig: &mut Rig| {
        rig.restart_with_ipv6(SERVER);
        ip(&format!("-6 address add fe80::6/64 dev {CLIENT} nodad"));
        let offer = ask(Kind::Solicit, &[]);
        let server = find(&offer, options::SERVER_ID).expect("a DUID").to_vec();
        let reply = ask(Kind::Request, &[(options::SERVER_ID, &server)]);
        assert_eq!(
            find(&reply, options::BOOT_FILE_URL),
            Some(format!("http://[{SERVER}]:8480/boot/shimx64.efi").as_bytes())
        );
        let ia = find(&reply, options::IA_NA).expect("an address");
        let mine = each(&ia[12..]).find_map(|(_, value)| value.first_chunk::<16>().copied());
        let mine = Ipv6Addr::from(mine.expect("an IAADDR"));
        assert_eq!(mine.segments()[..4], SERVER.segments()[..4]);
        ip(&format!("-6 address add {mine}/64 dev {CLIENT} nodad"));

        assert!(get("/boot/shimx64.efi").starts_with("HTTP/1.1 200 "));
        let first = get("/grub/grub.cfg");
        assert!(first.contains(&format!("(http,[{SERVER}]:8480)")), "{first}");
        let menu = get(&format!("/grub.cfg?mac={}&arch=16", own_mac()));
        assert!(
            menu.contains(&format!("(http,[{SERVER}]:8480)/release/vmlinuz"))
                && menu.contains("maekin.master=http://10.77.0.1:8480\""),
            "loaded over IPv6, installed over IPv4: {menu}"
        );
        let other = get("/grub.cfg?mac=02:00:00:00:00:99&arch=16");
        assert!(!other.contains("maekin.ticket="), "another machine's: {other}");

        let tftp = net6::open_udp(CLIENT, mine, 0).expect("a socket");
        tftp.set_read_timeout(Some(LIMIT)).expect("a limit");
        tftp.send_to(b"\0\x01shimx64.efi\0octet\0", (SERVER, 69)).expect("sent");
        let mut buf = [0; 600];
        let (len, from) = tftp.recv_from(&mut buf).expect("the first block");
        assert_eq!((&buf[..4], len), ([0, 3, 0, 1].as_slice(), 516));
        tftp.send_to(b"\0\x05\0\0enough\0", from).expect("sent");
    });
}

/// By ip(8): `/sys` shows another namespace's.
fn own_mac() -> String {
    let text = Cmd::new("ip").args(["-o", "link", "show", CLIENT]).text().expect("ip(8)");
    text.split("link/ether ").nth(1).and_then(|rest| rest.split(' ').next()).expect("a MAC").to_owned()
}
