//! What is at the other end of a rack's cable in this test: a switch that announces itself by LLDP, and a machine that
//! answers for some addresses by ARP.

use std::io::{Read, Write};
use std::net::{Ipv4Addr, Shutdown};
use std::os::unix::net::UnixStream;
use std::sync::mpsc::{self, RecvTimeoutError, Sender};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

use maekin_qemu_tests::rack::Rack;
use maekin_qemu_tests::switch::port_socket;

const PORT: &str = "neighbour";
const MAC: [u8; 6] = [2, 0, 0, 0, 0, 0xfe];
/// The address that is in use, and the router.
const OURS: [Ipv4Addr; 2] = [Ipv4Addr::new(10, 77, 0, 5), Ipv4Addr::new(10, 77, 0, 254)];

/// It is unplugged when it is dropped.
pub(crate) struct Neighbour {
    stream: UnixStream,
    _end: Sender<()>,
}

impl Drop for Neighbour {
    fn drop(&mut self) {
        let _ = self.stream.shutdown(Shutdown::Both); // its threads end with that
    }
}

impl Neighbour {
    pub(crate) fn plug_in(rack: &Rack) -> anyhow::Result<Self> {
        rack.switch().add(PORT)?;
        let stream = UnixStream::connect(port_socket(&rack.dir().join("switch"), PORT))?;
        let (mut reader, writer) = (stream.try_clone()?, Arc::new(Mutex::new(stream.try_clone()?)));
        let (end, ended) = mpsc::channel();
        let announcer = Arc::clone(&writer);
        thread::spawn(move || {
            while let Some(frame) = receive(&mut reader) {
                if let Some(reply) = answer(&frame)
                    && send(&writer, &reply).is_err()
                {
                    return;
                }
            }
        });
        thread::spawn(move || {
            while send(&announcer, &announcement()).is_ok()
                && ended.recv_timeout(Duration::from_secs(2)) == Err(RecvTimeoutError::Timeout)
            {}
        });
        Ok(Self { stream, _end: end })
    }
}

fn receive(stream: &mut UnixStream) -> Option<Vec<u8>> {
    let mut length = [0; 4];
    stream.read_exact(&mut length).ok()?;
    let mut frame = vec![0; usize::try_from(u32::from_be_bytes(length)).ok()?];
    stream.read_exact(&mut frame).ok()?;
    Some(frame)
}

/// Whole frames, whoever sends them.
fn send(stream: &Mutex<UnixStream>, frame: &[u8]) -> std::io::Result<()> {
    let length = u32::try_from(frame.len()).map_err(std::io::Error::other)?;
    let mut stream = stream.lock().map_err(|_| std::io::Error::other("the other thread has failed"))?;
    stream.write_all(&[&length.to_be_bytes(), frame].concat())
}

/// The reply to an ARP request for an address of ours.
fn answer(frame: &[u8]) -> Option<Vec<u8>> {
    let arp = frame.get(14..42).filter(|_| frame[12..14] == [8, 6])?;
    let target = Ipv4Addr::new(arp[24], arp[25], arp[26], arp[27]);
    if arp[6..8] != [0, 1] || !OURS.contains(&target) {
        return None;
    }
    let asker = &arp[8..18];
    let mut reply =
        [&asker[..6], &MAC, &[8, 6, 0, 1, 8, 0, 6, 4, 0, 2], &MAC, &target.octets(), asker].concat();
    reply.resize(60, 0);
    Some(reply)
}

/// IEEE 802.1AB: chassis, port, time to live, name, VLAN.
fn announcement() -> Vec<u8> {
    let head = [0x01, 0x80, 0xc2, 0, 0, 0x0e, 2, 0, 0, 0, 0, 0xfe, 0x88, 0xcc];
    let chassis = [[2u8, 7, 4].as_slice(), &MAC].concat();
    [
        &head,
        chassis.as_slice(),
        b"\x04\x0c\x05Ethernet1/7\x06\x02\0\x78\x0a\x07leaf-3a",
        b"\xfe\x06\0\x80\xc2\x01\0\x14\0\0",
    ]
    .concat()
}
