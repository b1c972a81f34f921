//! What firmware of every kind that is known to be peculiar is answered, byte by byte.
//!
//! Each case is a packet as such a client sends it, and a file in this directory with the answer, decoded and in hex.
//! `MAEKIN_BLESS=1 cargo test -p maekin-pxe --test golden` writes the files anew; what changed is then read in the
//! diff. Packets marked as seen were seen on the wire with QEMU: OVMF 2022.11 and 2025.02, iPXE 1.0.0+ (2019) as BIOS
//! ROM and 1.21.1 as `ipxe.efi`; the others are as their makers' specifications or bug reports have them.

#![allow(clippy::expect_used, clippy::panic)] // a test says by panicking that it failed

mod cases;

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};

use cases::{CASES, Case, Port};
use dhcproto::{Decodable, v4};
use maekin_pxe::config::parse_config;
use maekin_pxe::dhcp::leases::Leases;
use maekin_pxe::dhcp::options::MessageType;
use maekin_pxe::dhcp::packet::{Packet, Writer};
use maekin_pxe::dhcp::proxy::{self, ProxyStyle};
use maekin_pxe::dhcp::server::{self, Reply, Silence};
use maekin_pxe::simulate::{describe, hex};

const BLESS: &str = "MAEKIN_BLESS";

fn golden_dir() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden")
}

fn packet(case: &Case) -> Vec<u8> {
    let hw = case.mac.parse().expect("a hardware address");
    let mut writer = Writer::request(case.kind, 0x4d41_454b, hw, case.broadcast);
    for (code, value) in case.options {
        writer.option(*code, value);
    }
    let mut bytes = writer.finish().expect("it fits").as_bytes().to_vec();
    (case.change)(&mut bytes);
    bytes
}

fn answer(case: &Case, bytes: &[u8]) -> Result<Reply, Silence> {
    let style = if case.port == Port::ProxyDirect { "direct" } else { "binl" };
    let config = parse_config(&format!(
        "interface = \"x\"\naddress = \"10.77.0.1/24\"\npool_start = \"10.77.0.100\"\npool_end = \"10.77.0.199\"\n\
         release_dir = \"/r\"\nroot_path = \"/r/root\"\nagent_socket = \"/a\"\nlease_file = \"/l\"\n\
         router = \"10.77.0.254\"\ndns = [\"10.77.0.1\"]\n\n[beside]\nuefi = \"{style}\"\n"
    ))
    .expect("a configuration");
    let mut leases = Leases::new(config.plan);
    let (settings, now) = (config.settings, 1_000_000);
    let packet = Packet::parse(bytes).expect("a DHCP message");
    match case.port {
        Port::Server => server::handle(&mut leases, &settings, now, &packet),
        Port::Proxy | Port::ProxyDirect => proxy::beside(&mut leases, &settings, now, &packet),
        Port::BootServer(from) => {
            proxy::boot_server(&settings, &packet, from.parse().expect("an address and a port"))
        }
    }
}

fn story(case: &Case) -> String {
    let bytes = packet(case);
    let mut text = String::new();
    for line in case.why.lines() {
        writeln!(text, "# {}", line.trim()).expect("a String");
    }
    let port = if matches!(case.port, Port::BootServer(_)) { 4011 } else { 67 };
    write!(text, "-> to port {port}\n{}", describe(&bytes)).expect("a String");
    match answer(case, &bytes) {
        Ok(reply) => {
            check_rules(case, &bytes, &reply);
            let answer = reply.message.as_bytes();
            write!(text, "<- to {}\n{}{}", reply.to, describe(answer), hex(answer)).expect("a String");
        }
        Err(why) => writeln!(text, "<- nothing: {why}").expect("a String"),
    }
    text
}

/// What holds for every answer, whoever asks.
fn check_rules(case: &Case, asked: &[u8], reply: &Reply) {
    let (name, answer) = (case.name, reply.message.as_bytes());
    let got = Packet::parse(answer).expect("our own");
    assert!((300..=1472).contains(&answer.len()), "{name}: relays drop less, frames hold no more");
    assert_eq!(&answer[240..242], &[53, 1], "{name}: the type comes first");
    assert_eq!(
        (&answer[4..8], &answer[28..44], answer[2]),
        (&asked[4..8], &asked[28..44], asked[2]),
        "{name}: transaction and client come back"
    );
    if let Some(file) = got.option(67) {
        assert_eq!(file.last(), Some(&0), "{name}: option 67 is a C string");
        if file.len() < 128 {
            assert_eq!(got.file(), &file[..file.len() - 1], "{name}: `file` says the same");
        }
        let client = Packet::parse(asked).expect("the case").option(60).unwrap_or_default();
        let ours = got.option(60).unwrap_or_default();
        assert!(client.starts_with(ours), "{name}: option 60 is of the client's kind");
    }
    if case.port != Port::Server {
        assert!(got.yiaddr.is_unspecified() && got.option(51).is_none(), "{name}: never an address");
    }
    if got.option(82).is_some() {
        assert_eq!(
            got.options().last().map(|(code, _)| code),
            Some(82),
            "{name}: the relay's option is last"
        );
    }
    // Somebody else's codec reads the same.
    let read = v4::Message::decode(&mut v4::Decoder::new(answer)).expect("DHCP for dhcproto too");
    let kind = match reply.kind {
        MessageType::Offer => v4::MessageType::Offer,
        MessageType::Ack => v4::MessageType::Ack,
        _ => v4::MessageType::Nak,
    };
    assert_eq!((read.opts().msg_type(), read.yiaddr()), (Some(kind), got.yiaddr), "{name}");
}

#[test]
fn dhcp_and_netboot_exchanges_of_known_firmware() {
    let bless = std::env::var_os(BLESS).is_some();
    let mut names = BTreeSet::new();
    for case in CASES {
        assert!(names.insert(format!("{}.txt", case.name)), "{}: twice", case.name);
        let path = golden_dir().join(format!("{}.txt", case.name));
        let told = story(case);
        if bless {
            fs::write(&path, &told).expect("a golden file");
        }
        let golden = fs::read_to_string(&path).unwrap_or_default();
        assert!(golden == told, "{}: {} is not\n{told}", case.name, path.display());
    }
    let files = fs::read_dir(golden_dir()).expect("the directory");
    let files = files.map(|file| file.expect("an entry").file_name().into_string().expect("UTF-8"));
    let orphans: Vec<_> = files.filter(|f| f.ends_with(".txt") && !names.contains(f)).collect();
    assert_eq!(orphans, Vec::<String>::new(), "files of no case");
}

#[test]
fn dhcp_both_styles_of_proxy_are_among_the_cases() {
    for port in [Port::Server, Port::Proxy, Port::ProxyDirect] {
        assert!(CASES.iter().any(|case| case.port == port), "{port:?}");
    }
    assert_eq!(ProxyStyle::default(), ProxyStyle::Binl);
}
