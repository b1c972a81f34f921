//! Alone on a laptop, with an ISO image and nothing else.

use std::fs;
use std::time::Duration;

use maekin_host::cmd::Cmd;
use maekin_host::wait;
use maekin_pxe::dhcp::options::MessageType;

use crate::client::{dhcp, http, tftp};
use crate::rig::{CLIENT, Rig, in_rig};

const MAC: [u8; 6] = [2, 0, 0, 0, 0, 1];
const OVMF: &[u8] = b"PXEClient:Arch:00007:UNDI:003000";

#[test]
fn an_iso_image_and_an_interface_install_the_first_node() {
    in_rig(|rig: &mut Rig| {
        let iso = rig.dir().join("maekin.iso");
        Cmd::new("xorriso")
            .args(["-as", "mkisofs", "-quiet", "-graft-points", "-rational-rock", "-volid", "X", "-output"])
            .arg(&iso)
            .arg(format!("release={}", rig.dir().display()))
            .args(["-m", "maekin.iso"])
            .run()
            .expect("an ISO image");
        rig.restart_by_iso(&iso, &["--dhcp", "server"]);
        let root = rig.file("root");
        assert_eq!(http::get("/release/root", "").1.into_bytes(), root);
        let (status, part) = http::get("/release/root", "Range: bytes=4-7\r\n");
        assert_eq!((status, part.as_bytes()), (206, &root[4..8]));
        assert_eq!(http::get("/release/private", "").0, 404, "in the image, but not in its manifest");
        assert_eq!(tftp::get("ipxe.efi", &[]).expect("the loader"), rig.file("boot/net/ipxe.efi"));
        // No answer file: the first machine creates the cluster.
        let client = dhcp::Client::open(CLIENT);
        let options: &[(u8, &[u8])] = &[(93, &[0, 7]), (60, OVMF)];
        let offer = client.ask(MAC, MessageType::Discover, options).expect("an OFFER");
        let wanted = offer.ip.octets();
        let request: &[(u8, &[u8])] = &[(50, &wanted), (54, &[10, 77, 0, 1]), (93, &[0, 7]), (60, OVMF)];
        client.ask(MAC, MessageType::Request, request).expect("an ACK");
        rig.take_address(offer.ip);
        let (status, script) = http::get("/boot.ipxe?mac=02:00:00:00:00:01&arch=7", "");
        assert!(status == 200 && script.contains("maekin.ticket="), "{script}");
        let (_, script) = http::get("/boot.ipxe?mac=02:00:00:00:00:02&arch=7", "");
        assert!(!script.contains("maekin.ticket=") && script.contains("installs the others"), "{script}");
    });
}

#[test]
fn a_dry_run_shows_the_answer_and_sends_none() {
    in_rig(|rig: &mut Rig| {
        let shown = rig.dir().join("shown");
        rig.dry_run(&shown);
        let text = || fs::read_to_string(&shown).unwrap_or_default();
        let limit = Duration::from_secs(20);
        let listens = || text().contains("== nothing is sent").then_some(());
        wait::until("the dry run to listen", limit, Duration::from_millis(20), listens).expect("in time");
        let client = dhcp::Client::open(CLIENT);
        let options: &[(u8, &[u8])] = &[(93, &[0, 7]), (60, OVMF)];
        assert!(client.ask(MAC, MessageType::Discover, options).is_none(), "nothing is sent");
        let text = text();
        for wanted in
            ["-> from 10.77.0.50:68 to port 67", "<- would go to 255.255.255.255:68", "yiaddr  10.77.0.100"]
        {
            assert!(text.contains(wanted), "{wanted}: {text}");
        }
    });
}
