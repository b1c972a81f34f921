use std::thread;
use std::time::Duration;

use maekin_host::cmd::Cmd;
use maekin_host::packet::PacketSocket;
use nix::sched::{CloneFlags, unshare};

use super::super::settings::Hidden;
use super::*;

fn wake(password: &[u8]) -> Wake {
    Wake {
        mac: [0x52, 0x54, 0, 0xaa, 0xbb, 0xcc],
        password: Hidden(password.to_vec()),
        interface: String::new(),
        broadcast: Ipv4Addr::BROADCAST,
    }
}

#[test]
fn power_packets_are_as_long_as_the_card_wants() {
    for (name, password, length) in
        [("none", &[][..], 102), ("four", &[1, 2, 3, 4], 106), ("six", &[9; 6], 108)]
    {
        let packet = packet(&wake(password));
        assert_eq!(packet.len(), length, "{name}");
        assert_eq!(packet[..6], [0xff; 6], "{name}");
        assert!(packet[6..102].chunks(6).all(|mac| mac == [0x52, 0x54, 0, 0xaa, 0xbb, 0xcc]), "{name}");
        assert_eq!(&packet[102..], password, "{name}");
    }
}

#[tokio::test]
async fn a_packet_cannot_switch_off_or_ask() {
    for action in [Action::Off, Action::Cycle, Action::Status] {
        let error = act(&wake(&[]), "lo", action).await.unwrap_err().to_string();
        assert!(error.contains(&format!("`{action}` is not possible")), "{error}");
    }
    let error = act(&wake(&[]), "no-such-if0", Action::On).await.unwrap_err().to_string();
    assert!(error.contains("no-such-if0"), "{error}");
}

/// Frames of `interface` that the packet of `wake` went out in, in a namespace with two networks.
fn frames_seen(wake: &Wake, default_interface: &str) -> Result<[Vec<Vec<u8>>; 2], String> {
    unshare(CloneFlags::CLONE_NEWNET).map_err(|e| format!("no network namespace: {e}"))?;
    let ip = |args: &str| Cmd::new("ip").args(args.split(' ')).run().map_err(|e| e.to_string());
    for (near, far, address) in [("near1", "far1", "10.77.1.1/24"), ("near2", "far2", "10.77.2.1/24")] {
        ip(&format!("link add {near} address 02:00:00:00:00:01 type veth peer name {far}"))?;
        ip(&format!("address add {address} dev {near}"))?;
        ip(&format!("link set {near} up"))?;
        ip(&format!("link set {far} up"))?;
    }
    // The default route leads elsewhere: a packet that is not bound to its interface would follow it.
    ip("route add default via 10.77.2.9 dev near2")?;
    let sockets = ["far1", "far2"].map(|far| PacketSocket::open(far, 0x0800).unwrap());
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(act(wake, default_interface, Action::On)).map_err(|e| e.to_string())?;
    Ok(sockets.map(|socket| {
        let mut frames = Vec::new();
        let mut buffer = [0; 2048];
        while let Some(n) = socket.receive(&mut buffer, Duration::from_millis(200)).unwrap() {
            frames.push(buffer[..n].to_vec());
        }
        frames
    }))
}

#[test]
fn the_packet_leaves_on_its_interface_byte_for_byte() {
    let six = wake(&[1, 2, 3, 4, 5, 6]);
    let named = Wake { interface: "near2".into(), ..six.clone() };
    let directed = Wake { broadcast: Ipv4Addr::new(10, 77, 1, 255), ..six.clone() };
    let rows = [
        ("interface of the cluster", six, 0, [255; 4]),
        ("interface of the settings", named, 1, [255; 4]),
        ("broadcast address of the subnet", directed, 0, [10, 77, 1, 255]),
    ];
    for (name, wake, on, to) in rows {
        // A thread alone leaves the others in their namespace.
        let seen = thread::scope(|scope| scope.spawn(|| frames_seen(&wake, "near1")).join().unwrap());
        let seen = match seen {
            Ok(seen) => seen,
            Err(reason) if reason.starts_with("no network namespace") => {
                eprintln!("skipped: {reason}");
                return;
            }
            Err(e) => panic!("{name}: {e}"),
        };
        assert_eq!((seen[on].len(), seen[1 - on].len()), (COPIES, 0), "{name}");
        for frame in &seen[on] {
            assert_eq!(frame[..6], [0xff; 6], "{name}: to everybody");
            assert_eq!(frame[6..14], [2, 0, 0, 0, 0, 1, 8, 0], "{name}: from the interface, IPv4");
            assert_eq!(frame[14 + 9], 17, "{name}: UDP");
            assert_eq!(frame[14 + 16..14 + 20], to, "{name}: to");
            assert_eq!(frame[34 + 2..34 + 4], [0, 9], "{name}: port 9");
            assert_eq!(frame[42..], packet(&wake), "{name}: the packet");
        }
    }
}
