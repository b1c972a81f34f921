//! The real program on a real wire: a pair of network namespaces that the test makes itself (which takes root), the
//! server in one, clients over plain sockets in the other.

#![allow(clippy::expect_used, clippy::panic)] // a test says by panicking that it failed

mod client;
mod dhcp_clients;
mod dhcp_conflict;
mod dhcp_foreign;
mod dhcp_relay;
mod ipv6;
mod masters;
mod namespace;
mod neighbour;
mod netboot_standalone;
mod rig;
mod tftp_clients;

use std::collections::BTreeSet;
use std::net::Ipv4Addr;
use std::time::Duration;

use client::{dhcp, http, tftp};
use maekin_host::wait;
use maekin_pxe::dhcp::options::MessageType;
use rig::{CLIENT, Rig, in_rig};

const OVMF: &[u8] = b"PXEClient:Arch:00007:UNDI:003000";

fn ip(n: u8) -> Ipv4Addr {
    Ipv4Addr::new(10, 77, 0, n)
}

/// DISCOVER to ACK as OVMF has it; the address.
fn lease(client: &dhcp::Client, mac: [u8; 6]) -> Ipv4Addr {
    let offer = client.ask(mac, MessageType::Discover, &[(93, &[0, 7]), (60, OVMF)]).expect("an OFFER");
    let wanted = offer.ip.octets();
    let request: &[(u8, &[u8])] = &[(50, &wanted), (54, &[10, 77, 0, 1]), (93, &[0, 7]), (60, OVMF)];
    let ack = client.ask(mac, MessageType::Request, request).expect("an ACK");
    assert_eq!((ack.kind, ack.ip), (MessageType::Ack, offer.ip));
    ack.ip
}

#[test]
fn a_lease_survives_the_death_of_the_server() {
    in_rig(|rig: &mut Rig| {
        let client = dhcp::Client::open(CLIENT);
        let mine = [2, 0, 0, 0, 0, 1];
        let got = lease(&client, mine);
        assert_eq!(got, ip(100));
        rig.kill_and_restart();
        let again =
            client.ask(mine, MessageType::Request, &[(50, &got.octets())]).expect("an ACK after the crash");
        assert_eq!((again.kind, again.ip), (MessageType::Ack, got));
        assert_eq!(lease(&client, [2, 0, 0, 0, 0, 2]), ip(101), "nobody else gets it");
    });
}

#[test]
fn a_rack_switched_on_at_once_gets_an_offer_each() {
    in_rig(|_| {
        let client = dhcp::Client::open(CLIENT);
        // The last ten of a hundred are kept for known machines.
        let macs: Vec<_> = (0..90).map(|n| [2, 0, 0, 1, 0, n]).collect();
        let offers = client.discover_all(&macs);
        let distinct: BTreeSet<_> = offers.values().collect();
        assert_eq!((offers.len(), distinct.len()), (90, 90));
    });
}

#[test]
fn loaders_come_by_tftp_in_the_way_each_firmware_asks() {
    in_rig(|rig| {
        let loader = rig.file("boot/net/ipxe.efi");
        let rows: &[(&str, &[(&str, &str)])] = &[
            ("no options at all", &[]),
            ("iPXE", &[("blksize", "1432"), ("tsize", "0")]),
            ("EDK2", &[("blksize", "1468"), ("windowsize", "4")]),
            ("a client that wants much", &[("blksize", "65464"), ("windowsize", "65535")]),
        ];
        for (name, options) in rows {
            let got = tftp::get("ipxe.efi", options).expect(name);
            assert!(got == loader, "{name}: {} bytes", got.len());
        }
        assert_eq!(
            tftp::size_only("ipxe.efi"),
            loader.len(),
            "EDK2 asks the size, and breaks off with ERROR 8"
        );
        assert_eq!(tftp::get("../private", &[]), Err(1), "file not found");
        assert_eq!(tftp::get("private", &[]), Err(1), "file not found");
        let loaders: Vec<_> =
            (0..8).map(|_| rig.spawn_client(|| tftp::get("ipxe.efi", &[("windowsize", "4")]))).collect();
        for one in loaders {
            assert!(one.join().expect("no panic").expect("a file") == loader, "several at once");
        }
    });
}

#[test]
fn a_leased_machine_is_told_to_install_and_fetches_by_ranges() {
    in_rig(|rig| {
        let client = dhcp::Client::open(CLIENT);
        let got = lease(&client, [2, 0, 0, 0, 0, 1]);
        let (status, script) = http::get("/boot.ipxe?mac=02:00:00:00:00:01&arch=7", "");
        assert!(status == 200 && script.contains("did not come from the address leased"), "{script}");
        rig.take_address(got);
        let (status, script) = http::get("/boot.ipxe?mac=02:00:00:00:00:01&arch=7", "");
        assert!(status == 200 && script.contains("BOOTIF=01-02-00-00-00-00-01"), "{script}");
        let ticket =
            script.split("maekin.ticket=").nth(1).and_then(|t| t.split(' ').next()).expect("a ticket");
        let told = r#"{"who":{"mac":"02:00:00:00:00:01","uuid":null},"facts":{"nics":[{"mac":"02:00:00:00:00:01"}]}}"#;
        assert_eq!(
            http::post(&format!("/install/{ticket}/answer"), told),
            (200, "hostname = \"n020000000001\"\n".into())
        );
        assert_eq!(http::get("/release/root", "Range: bytes=4-7\r\n"), (206, "root".into()));
        assert_eq!(http::get("/release/private", "").0, 404);
        let autoexec = String::from_utf8(tftp::get("autoexec.ipxe", &[]).expect("a script")).expect("text");
        assert!(autoexec.contains("iseq ${net0/mac} 02:00:00:00:00:01 &&"), "{autoexec}");
        rig.kill_and_restart();
        client.release([2, 0, 0, 0, 0, 1], got);
        assert_eq!(
            lease(&client, [2, 0, 0, 0, 0, 9]),
            ip(101),
            "the installed machine keeps its address, even released"
        );
    });
}

#[test]
fn a_new_reservation_is_taken_up_without_a_restart() {
    in_rig(|rig| {
        rig.restart_by_config();
        let client = dhcp::Client::open(CLIENT);
        let (mine, other) = ([2, 0, 0, 0, 0, 1], [2, 0, 0, 0, 0, 2]);
        assert_eq!(lease(&client, mine), ip(100));
        let (status, script) = http::get("/boot.ipxe?mac=02:00:00:00:00:05&arch=0", "");
        assert!(
            status == 200 && script.contains("the agent does not answer"),
            "no agent, no decision: {script}"
        );
        rig.reload_with("[[reservation]]\nmac = \"02:00:00:00:00:02\"\naddress = \"10.77.0.150\"\n");
        let offered = || client.ask(other, MessageType::Discover, &[]).filter(|offer| offer.ip == ip(150));
        let limit = Duration::from_secs(10);
        wait::until("the reservation to be taken up", limit, Duration::from_millis(20), offered)
            .expect("in time");
        rig.reload_with("colour = 1\n");
        assert_eq!(
            lease(&client, mine),
            ip(100),
            "a bad file changes nothing, and a lease stays through all this"
        );
    });
}

#[test]
fn another_interface_of_the_same_machine_hears_nothing() {
    in_rig(|rig| {
        rig.second_wire();
        let client = dhcp::Client::open("c1");
        assert!(client.ask([2, 0, 0, 0, 0, 1], MessageType::Discover, &[]).is_none());
        rig.only_second_wire();
        assert!(http::path_works(), "the machine itself is reached this way");
        assert!(!http::reachable(), "HTTP");
        assert_eq!(tftp::get("ipxe.efi", &[]), Err(tftp::SILENCE), "TFTP");
    });
}

#[test]
fn netboot_a_standby_gives_no_address_until_it_is_told_to_lead() {
    in_rig(|rig| {
        rig.restart_by_config();
        rig.reload_with("role = \"standby\"\n");
        let client = dhcp::Client::open(CLIENT);
        let limit = Duration::from_secs(10);
        let refuses = || (http::get("/boot.ipxe?mac=02:00:00:00:00:05", "").0 == 503).then_some(());
        wait::until("the master to stand by", limit, Duration::from_millis(20), refuses).expect("in time");
        assert_eq!(http::get("/release/root", "Range: bytes=4-7\r\n"), (206, "root".into()));
        let offered = || client.ask([2, 0, 0, 0, 0, 1], MessageType::Discover, &[]).map(|offer| offer.ip);
        assert_eq!(offered(), None, "no DHCP from a standby");
        assert_eq!(tftp::get("ipxe.efi", &[]), Err(tftp::SILENCE), "no TFTP either");
        rig.reload_with("role = \"leader\"\n");
        let got = wait::until("the master to lead", limit, Duration::from_millis(20), offered);
        assert_eq!(got.expect("in time"), ip(100));
        assert!(tftp::get("ipxe.efi", &[]).is_ok());
    });
}
