//! Whole Ethernet frames on one interface, packet(7): what the kernel does not speak itself.

#![allow(clippy::cast_possible_truncation)] // of C constants and sizes of structs into the widths that C gives them

use std::ffi::c_int;
use std::io;
use std::mem;
use std::os::fd::{AsFd, AsRawFd, FromRawFd, OwnedFd};
use std::time::Duration;

use nix::libc;
use nix::net::if_::if_nametoindex;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::unistd::{read, write};

/// Frames of one EtherType on one interface (CAP_NET_RAW).
#[derive(Debug)]
pub struct PacketSocket {
    fd: OwnedFd,
    index: c_int,
}

impl PacketSocket {
    /// Hears and sends frames of `ethertype` on `interface`. A tagged frame is heard on its VLAN's interface.
    ///
    /// # Errors
    /// The error of the call that failed, with its name.
    pub fn open(interface: &str, ethertype: u16) -> io::Result<Self> {
        let index = if_nametoindex(interface)
            .map_err(|e| io::Error::other(format!("there is no interface {interface}: {}", e.desc())))?;
        let index = c_int::try_from(index).map_err(io::Error::other)?;
        let kind = libc::SOCK_RAW | libc::SOCK_CLOEXEC | libc::SOCK_NONBLOCK;
        // SAFETY: socket(2) takes no pointer. Protocol 0 hears nothing until bind(2) below names one.
        #[allow(unsafe_code)]
        let fd = checked("socket", unsafe { libc::socket(libc::AF_PACKET, kind, 0) })?;
        // SAFETY: the descriptor is new and nobody else's.
        #[allow(unsafe_code)]
        let fd = unsafe { OwnedFd::from_raw_fd(fd) };
        // SAFETY: sockaddr_ll is plain data, for which all zeros are valid.
        #[allow(unsafe_code)]
        let mut address: libc::sockaddr_ll = unsafe { mem::zeroed() };
        address.sll_family = libc::AF_PACKET as libc::sa_family_t;
        address.sll_protocol = ethertype.to_be();
        address.sll_ifindex = index;
        let length = size_of_val(&address) as libc::socklen_t;
        // SAFETY: the address is valid for `length` bytes during the call, and bind(2) only reads it.
        #[allow(unsafe_code)]
        checked("bind", unsafe { libc::bind(fd.as_raw_fd(), (&raw const address).cast(), length) })?;
        Ok(Self { fd, index })
    }

    /// Also hears frames to the multicast address `group`, until it is dropped.
    ///
    /// # Errors
    /// As setsockopt(2) with `PACKET_ADD_MEMBERSHIP`.
    pub fn join(&self, group: [u8; 6]) -> io::Result<()> {
        let mut mac = [0; 8];
        mac[..6].copy_from_slice(&group);
        let request = libc::packet_mreq {
            mr_ifindex: self.index,
            mr_type: libc::PACKET_MR_MULTICAST as libc::c_ushort,
            mr_alen: 6,
            mr_address: mac,
        };
        // SAFETY: the request is valid for its own size during the call, and setsockopt(2) only reads it.
        #[allow(unsafe_code)]
        let result = unsafe {
            libc::setsockopt(
                self.fd.as_raw_fd(),
                libc::SOL_PACKET,
                libc::PACKET_ADD_MEMBERSHIP,
                (&raw const request).cast(),
                size_of_val(&request) as libc::socklen_t,
            )
        };
        checked("PACKET_ADD_MEMBERSHIP", result).map(drop)
    }

    /// Sends a frame, header included.
    ///
    /// # Errors
    /// As write(2); `NetworkDown` while the interface is down.
    pub fn send(&self, frame: &[u8]) -> io::Result<()> {
        write(&self.fd, frame)?;
        Ok(())
    }

    /// The next frame, header included, cut at the end of `buffer`; `None` when none came within `limit`.
    ///
    /// # Errors
    /// As read(2); `NetworkDown` when the interface went down.
    pub fn receive(&self, buffer: &mut [u8], limit: Duration) -> io::Result<Option<usize>> {
        let mut fds = [PollFd::new(self.fd.as_fd(), PollFlags::POLLIN)];
        let timeout = PollTimeout::try_from(limit).unwrap_or(PollTimeout::MAX);
        if poll(&mut fds, timeout)? == 0 {
            return Ok(None);
        }
        match read(&self.fd, buffer) {
            Ok(n) => Ok(Some(n)),
            Err(nix::errno::Errno::EAGAIN) => Ok(None),
            Err(e) => Err(e.into()),
        }
    }
}

fn checked(call: &str, result: c_int) -> io::Result<c_int> {
    if result >= 0 {
        return Ok(result);
    }
    let error = io::Error::last_os_error();
    Err(io::Error::new(error.kind(), format!("{call}: {error}")))
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;
    use std::thread;

    use nix::sched::{CloneFlags, unshare};

    use crate::cmd::Cmd;
    use crate::{arp, lldp};

    /// Runs `work` with two interfaces, `left` and `right`, joined by a cable, in a network namespace of its own; where
    /// there is no right to make one, the reason is printed.
    fn with_a_cable(work: impl FnOnce() + Send) {
        let run = || {
            unshare(CloneFlags::CLONE_NEWNET).map_err(|e| format!("no network namespace: {e}"))?;
            let ip = |args: &str| Cmd::new("ip").args(args.split(' ')).run().map_err(|e| e.to_string());
            ip(
                "link add left address 02:00:00:00:00:01 type veth peer name right address 02:00:00:00:00:02",
            )?;
            ip("address add 10.77.0.2/24 dev right")?;
            ip("link set left up")?;
            ip("link set right up")?;
            work();
            Ok::<_, String>(())
        };
        // A thread alone leaves the others in their namespace.
        if let Err(reason) = thread::scope(|scope| scope.spawn(run).join().unwrap()) {
            eprintln!("skipped: {reason}");
        }
    }

    #[test]
    fn an_address_in_use_is_found_and_a_free_one_is_not() {
        with_a_cable(|| {
            let own = arp::parse_mac("02:00:00:00:00:01").unwrap();
            let ask = |sender: [u8; 4], target: [u8; 4], limit| {
                let limit = super::Duration::from_millis(limit);
                arp::who_has("left", own, sender.into(), target.into(), limit).unwrap().map(arp::mac_text)
            };
            let other = Some("02:00:00:00:00:02".to_owned());
            assert_eq!(ask(Ipv4Addr::UNSPECIFIED.octets(), [10, 77, 0, 2], 5000), other, "a probe");
            assert_eq!(ask([10, 77, 0, 1], [10, 77, 0, 2], 5000), other);
            assert_eq!(ask([0; 4], [10, 77, 0, 9], 700), None);
        });
    }

    #[test]
    fn an_announcement_is_heard_among_noise() {
        with_a_cable(|| {
            let switch = super::PacketSocket::open("right", 0x88cc).unwrap();
            let mut frame = vec![0x01, 0x80, 0xc2, 0, 0, 0x0e, 2, 0, 0, 0, 0, 2, 0x88, 0xcc];
            switch.send(&frame).unwrap();
            frame.extend_from_slice(b"\x02\x04\x07sw1\x04\x03\x0517\x06\x02\x00\x78\x00\x00");
            thread::scope(|scope| {
                // A thread begins in the namespace of the one that makes it.
                let heard = scope.spawn(|| lldp::listen("left", super::Duration::from_secs(10)).unwrap());
                while !heard.is_finished() {
                    switch.send(&frame).unwrap();
                    thread::yield_now();
                }
                let neighbour = heard.join().unwrap().unwrap();
                assert_eq!((neighbour.chassis.as_str(), neighbour.port.as_str()), ("sw1", "17"));
            });
            assert!(lldp::listen("no-such-if", super::Duration::ZERO).is_err());
        });
    }
}
