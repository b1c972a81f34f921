//! Beside other DHCP servers: dnsmasq, and a second master.

use std::fs;
use std::net::Ipv4Addr;
use std::time::Duration;

use maekin_host::cmd::Cmd;
use maekin_host::packet::PacketSocket;
use maekin_pxe::dhcp::options::MessageType;
use maekin_pxe::dhcp::packet::Writer;
use maekin_pxe::hw::HwAddr;

use crate::client::{dhcp, http, tftp};
use crate::namespace::ip;
use crate::neighbour::{ADDRESS, BRIDGE, INTERFACE, Neighbour, wait_for_counter};
use crate::rig::{CLIENT, Rig, in_rig};

const OVMF: &[u8] = b"PXEClient:Arch:00007:UNDI:003000";
/// Fast enough for a test.
const AUTO: &str = "[beside]\nlook_seconds = 1\nprobe_seconds = 1\nsilence_seconds = 3\n";
const US: Ipv4Addr = Ipv4Addr::new(10, 77, 0, 1);
const MAC: [u8; 6] = [2, 0, 0, 0, 0, 1];

fn pxe(n: &[u8; 2]) -> Vec<(u8, &[u8])> {
    vec![(93, n.as_slice()), (60, OVMF), (94, &[1, 3, 0]), (97, &[0; 17]), (57, &[0xff, 0])]
}

/// An address from dnsmasq, as firmware takes it; nobody else may say a word to the REQUEST.
fn take_from_dnsmasq(client: &dhcp::Client, mac: [u8; 6], options: &[(u8, &[u8])]) -> Ipv4Addr {
    let offers = client.gather(mac, MessageType::Discover, options, 2);
    let offer = offers.iter().find(|offer| offer.from == ADDRESS).expect("dnsmasq's offer");
    let (server, wanted) = (ADDRESS.octets(), offer.ip.octets());
    let more = [options, &[(50, wanted.as_slice()), (54, server.as_slice())]].concat();
    let acks = client.gather(mac, MessageType::Request, &more, 1);
    assert_eq!((acks[0].from, acks[0].kind, acks[0].ip), (ADDRESS, MessageType::Ack, offer.ip));
    offer.ip
}

#[test]
fn beside_dnsmasq_the_address_comes_from_there_and_the_boot_file_from_here() {
    in_rig(|rig: &mut Rig| {
        let mut other = Neighbour::new();
        other.start_dnsmasq(rig.dir());
        rig.restart_beside(AUTO);
        wait_for_counter(US, "dhcp_fallbacks", 1);
        let client = dhcp::Client::open(BRIDGE);
        // OVMF.
        let offers = client.gather(MAC, MessageType::Discover, &pxe(&[0, 7]), 2);
        let ours = offers.iter().find(|offer| offer.from == US).expect("our offer");
        assert_eq!((offers.len(), ours.kind, ours.ip), (2, MessageType::Offer, Ipv4Addr::UNSPECIFIED));
        assert_eq!(ours.siaddr, US, "where port 4011 is");
        assert_eq!(ours.option(60), Some(b"PXEClient".as_slice()));
        assert_eq!(ours.option(43), None, "so that it asks on port 4011");
        let got = take_from_dnsmasq(&client, MAC, &pxe(&[0, 7]));
        rig.take_address_on(BRIDGE, got);
        let ack = client.ask_boot_server(US, MAC, MessageType::Request, &pxe(&[0, 7]), got).expect("an ACK");
        assert_eq!((ack.kind, ack.ip, ack.port), (MessageType::Ack, Ipv4Addr::UNSPECIFIED, 4011));
        let file = ack.option(67).expect("a boot file").strip_suffix(b"\0").expect("a C string").to_vec();
        let file = String::from_utf8(file).expect("a name");
        assert!(!tftp::get(&file, &[]).expect("the loader").is_empty());
        let inform =
            client.ask_boot_server(US, MAC, MessageType::Inform, &pxe(&[0, 7]), got).expect("an ACK");
        assert_eq!(inform.option(67), ack.option(67));
        // A BIOS takes its file from the offer.
        let bios: &[(u8, &[u8])] = &[(93, &[0, 0]), (60, b"PXEClient:Arch:00000:UNDI:002001")];
        let offers = client.gather([2, 0, 0, 0, 0, 2], MessageType::Discover, bios, 2);
        let ours = offers.iter().find(|offer| offer.from == US).expect("our offer");
        assert_eq!(ours.option(43), Some([6, 1, 8, 255].as_slice()));
        assert_eq!(ours.option(67), Some(b"undionly.kpxe\0".as_slice()));
        // iPXE takes its script.
        let mut ipxe = pxe(&[0, 7]);
        ipxe.push((77, b"iPXE"));
        let offers = client.gather(MAC, MessageType::Discover, &ipxe, 2);
        let ours = offers.iter().find(|offer| offer.from == US).expect("our offer");
        let url = ours.option(67).expect("a script").to_vec();
        assert!(url.starts_with(b"http://10.77.0.1:8480/boot.ipxe?mac=02:00:00:00:00:01"), "{url:?}");
        let (status, script) = http::get("/boot.ipxe?mac=02:00:00:00:00:01&arch=7", "");
        assert!(status == 200 && script.starts_with("#!ipxe\n"), "{script}");
        // An operating system hears nothing from us.
        let offers = client.gather([2, 0, 0, 0, 0, 3], MessageType::Discover, &[], 2);
        assert!(offers.iter().all(|offer| offer.from == ADDRESS), "dnsmasq alone");
        let metrics = http::metrics(US).expect("metrics");
        assert!(metrics.contains("\nmaekin_pxe_dhcp_offers_total 0\n"), "never an address: {metrics}");
        assert!(metrics.contains("\nmaekin_pxe_dhcp_acks_total 0\n"), "{metrics}");
        assert!(metrics.contains("\nmaekin_pxe_dhcp_role{role=\"proxy\"} 1\n"), "{metrics}");
    });
}

#[test]
fn a_dhcp_server_comes_and_goes() {
    in_rig(|rig: &mut Rig| {
        let mut other = Neighbour::new();
        rig.restart_beside(AUTO);
        let client = dhcp::Client::open(BRIDGE);
        let alone = |mac| client.gather_until(mac, &[], |offers| offers.iter().any(|o| o.from == US));
        let got = alone(MAC).first().map(|offer| offer.ip).expect("ours, once nobody else was found");
        let (server, wanted) = (US.octets(), got.octets());
        let take: &[(u8, &[u8])] = &[(50, &wanted), (54, &server)];
        assert_eq!(client.gather(MAC, MessageType::Request, take, 1)[0].kind, MessageType::Ack);
        other.start_dnsmasq(rig.dir());
        wait_for_counter(US, "dhcp_fallbacks", 1);
        let newcomer = [2, 0, 0, 0, 0, 9];
        let offers = client.gather(newcomer, MessageType::Discover, &[], 2);
        assert!(!offers.is_empty() && offers.iter().all(|offer| offer.from == ADDRESS), "no new address");
        let kept = client.gather(MAC, MessageType::Request, &[(50, &wanted)], 2);
        let ours: Vec<_> = kept.iter().filter(|reply| reply.from == US).collect();
        assert_eq!(
            (ours.len(), ours[0].kind, ours[0].ip),
            (1, MessageType::Ack, got),
            "what it has it keeps"
        );
        other.stop();
        wait_for_counter(US, "dhcp_returns", 1);
        let offers = client.gather(newcomer, MessageType::Discover, &[], 1);
        assert_eq!((offers[0].from, offers[0].kind), (US, MessageType::Offer), "addresses are given again");
        assert_ne!(offers[0].ip, got);
    });
}

/// Runs busybox's client once; the variables that its script was given with the lease.
fn udhcpc(rig: &Rig, class: &[&str]) -> Vec<String> {
    let (script, said) = (rig.dir().join("udhcpc.sh"), rig.dir().join("said"));
    let text = format!("#!/bin/sh\n[ \"$1\" = bound ] && env > {}\nexit 0\n", said.display());
    fs::write(&script, text).expect("a file");
    Cmd::new("chmod").args(["+x"]).arg(&script).run().expect("chmod");
    Cmd::new("busybox")
        .args([
            "udhcpc", "-i", BRIDGE, "-f", "-n", "-q", "-t", "5", "-T", "1", "-O", "bootfile", "-O", "tftp",
        ])
        .args(class)
        .arg("-s")
        .arg(&script)
        .limit(Duration::from_secs(20))
        .run()
        .expect("udhcpc");
    fs::read_to_string(&said).expect("a lease").lines().map(str::to_owned).collect()
}

/// It takes the first offer, one without an address too, and so can be a PXE client only where there is one server.
#[test]
fn udhcpc_as_a_pxe_client_and_as_a_system() {
    in_rig(|rig: &mut Rig| {
        let mut other = Neighbour::new();
        let pxe = ["-x", "0x5d:0007", "-V", "PXEClient:Arch:00007:UNDI:003016"];
        let said = udhcpc(rig, &pxe);
        let has = |said: &[String], line: &str| said.iter().any(|l| l == line);
        for line in ["ip=10.77.0.100", "serverid=10.77.0.1", "siaddr=10.77.0.1", "tftp=10.77.0.1"] {
            assert!(has(&said, line), "{line}: {said:?}");
        }
        assert!(said.iter().any(|l| l.starts_with("boot_file=") && l.len() > 10), "{said:?}");
        other.start_dnsmasq(rig.dir());
        rig.restart_beside(AUTO);
        wait_for_counter(US, "dhcp_fallbacks", 1);
        let said = udhcpc(rig, &[]);
        assert!(has(&said, "serverid=10.77.0.2"), "{said:?}");
        assert!(said.iter().any(|l| l.starts_with("ip=10.77.0.2")), "{said:?}");
    });
}

#[test]
fn of_two_masters_one_goes_on_and_the_other_takes_over_when_it_dies() {
    in_rig(|rig: &mut Rig| {
        let mut other = Neighbour::new();
        rig.restart_beside(AUTO);
        let client = dhcp::Client::open(BRIDGE);
        client.gather_until(MAC, &[], |offers| offers.iter().any(|offer| offer.from == US));
        let dir = rig.dir().display();
        let second = rig.dir().join("second.toml");
        let config = format!(
            "interface = \"{INTERFACE}\"\naddress = \"{ADDRESS}/24\"\npool_start = \"10.77.0.100\"\n\
             pool_end = \"10.77.0.199\"\nrelease_dir = \"{dir}\"\nroot_path = \"{dir}/root\"\n\
             agent_socket = \"{dir}/agent.sock\"\nlease_file = \"{dir}/second-leases\"\n{AUTO}"
        );
        fs::write(&second, config).expect("a file");
        other.start_master(&second);
        wait_for_counter(ADDRESS, "dhcp_fallbacks", 1);
        let offers = client.gather([2, 0, 0, 0, 0, 5], MessageType::Discover, &[], 2);
        assert_eq!(offers.iter().map(|offer| offer.from).collect::<Vec<_>>(), [US], "one of them alone");
        rig.kill();
        wait_for_counter(ADDRESS, "dhcp_returns", 1);
        let offers = client.gather([2, 0, 0, 0, 0, 5], MessageType::Discover, &[], 1);
        assert_eq!(offers[0].from, ADDRESS);
    });
}

/// A DISCOVER of PXE firmware as an Ethernet frame, in a VLAN or in none.
fn frame(vlan: Option<u8>) -> Vec<u8> {
    let mut writer = Writer::request(MessageType::Discover, 0x1234, HwAddr::ethernet(MAC), true);
    writer.option(60, OVMF);
    writer.option(93, &[0, 7]);
    let message = writer.finish().expect("it fits");
    let udp = u16::try_from(message.as_bytes().len() + 8).expect("short");
    let mut frame = [[0xff; 6].as_slice(), &MAC].concat();
    if let Some(id) = vlan {
        frame.extend([0x81, 0, 0, id]);
    }
    frame.extend([8, 0]);
    let mut ip =
        [&[0x45, 0][..], &(udp + 20).to_be_bytes(), &[0, 0, 0, 0, 64, 17, 0, 0], &[0; 4], &[255; 4]].concat();
    let sum: u32 = ip.chunks(2).map(|pair| u32::from(u16::from_be_bytes([pair[0], pair[1]]))).sum();
    let sum = !u16::try_from((sum & 0xffff) + (sum >> 16)).expect("folded");
    ip[10..12].copy_from_slice(&sum.to_be_bytes());
    frame.extend(ip);
    frame.extend([0, 68, 0, 67]);
    frame.extend(udp.to_be_bytes());
    frame.extend([0, 0]); // no checksum, RFC 768
    frame.extend(message.as_bytes());
    frame
}

/// VLANs share the wire, but not the network: what comes tagged is for another interface of that machine.
#[test]
fn a_vlan_on_the_interface_and_the_loopback_hear_nothing() {
    in_rig(|rig: &mut Rig| {
        let wire = PacketSocket::open(CLIENT, 0x0800).expect("a packet socket");
        let client = dhcp::Client::open(CLIENT);
        wire.send(&frame(Some(5))).expect("sent");
        assert!(client.hear(MAC).is_none(), "VLAN 5");
        wire.send(&frame(None)).expect("sent");
        assert!(client.hear(MAC).is_some(), "the same frame untagged");
        let answered = rig.on_server(|| {
            ip("link set lo up");
            let client = dhcp::Client::open("lo");
            let [to_67, to_4011] = [67, 4011].map(|port| client.unicast(Ipv4Addr::LOCALHOST, port, MAC));
            (to_67.is_some(), to_4011.is_some())
        });
        assert_eq!(answered, (false, false), "loopback");
    });
}
