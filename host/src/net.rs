//! UDP sockets that know which interface and which of our addresses they talk on, and the addresses of an interface.

use std::io::{self, IoSlice, IoSliceMut};
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddrV4, TcpListener, UdpSocket};
use std::os::fd::{AsFd, AsRawFd};

use nix::errno::Errno;
use nix::ifaddrs::getifaddrs;
use nix::net::if_::if_nametoindex;
use nix::sys::socket::{
    AddressFamily, Backlog, ControlMessage, ControlMessageOwned, MsgFlags, SockFlag, SockProtocol, SockType,
    SockaddrIn, bind, listen, recvmsg, sendmsg, setsockopt, socket, sockopt,
};

/// What a UDP socket of ours is to be.
#[derive(Debug, Clone, Copy)]
pub struct UdpOptions<'a> {
    /// The only interface it hears and speaks on (`SO_BINDTODEVICE`); it never answers on another.
    pub interface: &'a str,
    /// The address and port it is bound to; an unspecified address hears broadcasts too.
    pub local: SocketAddrV4,
    /// Bytes of receive buffer wanted. Got as far as the kernel's limit allows.
    pub receive_buffer: usize,
}

/// Opens a UDP socket that may broadcast, and that tells for every datagram which address of ours it was sent to
/// (`IP_PKTINFO`, ip(7)).
///
/// # Errors
/// The error of the call that failed, with its name.
pub fn open_udp(options: UdpOptions<'_>) -> io::Result<UdpSocket> {
    let fd = socket(AddressFamily::Inet, SockType::Datagram, SockFlag::SOCK_CLOEXEC, None)
        .map_err(named("socket"))?;
    setsockopt(&fd, sockopt::ReuseAddr, &true).map_err(named("SO_REUSEADDR"))?;
    setsockopt(&fd, sockopt::Broadcast, &true).map_err(named("SO_BROADCAST"))?;
    setsockopt(&fd, sockopt::Ipv4PacketInfo, &true).map_err(named("IP_PKTINFO"))?;
    setsockopt(&fd, sockopt::BindToDevice, &options.interface.into()).map_err(named("SO_BINDTODEVICE"))?;
    if setsockopt(&fd, sockopt::RcvBufForce, &options.receive_buffer).is_err() {
        // Without CAP_NET_ADMIN the kernel caps it at net.core.rmem_max, which is still a socket that works.
        let _ = setsockopt(&fd, sockopt::RcvBuf, &options.receive_buffer);
    }
    bind(fd.as_raw_fd(), &SockaddrIn::from(options.local)).map_err(named("bind"))?;
    Ok(UdpSocket::from(fd))
}

/// Connections waiting to be accepted, listen(2).
const BACKLOG: i32 = 1024;

/// Opens a listening TCP socket that only hears `interface` (`SO_BINDTODEVICE`).
///
/// # Errors
/// The error of the call that failed, with its name.
pub fn listen_tcp(interface: &str, local: SocketAddrV4) -> io::Result<TcpListener> {
    let fd = socket(AddressFamily::Inet, SockType::Stream, SockFlag::SOCK_CLOEXEC, None)
        .map_err(named("socket"))?;
    setsockopt(&fd, sockopt::ReuseAddr, &true).map_err(named("SO_REUSEADDR"))?;
    setsockopt(&fd, sockopt::BindToDevice, &interface.into()).map_err(named("SO_BINDTODEVICE"))?;
    bind(fd.as_raw_fd(), &SockaddrIn::from(local)).map_err(named("bind"))?;
    listen(&fd, Backlog::new(BACKLOG)?).map_err(named("listen"))?;
    Ok(TcpListener::from(fd))
}

/// Opens a raw ICMPv6 socket (CAP_NET_RAW) on one interface that hears the multicast `group`, and sends with the hop
/// limit of 255 that neighbour discovery demands (RFC 4861 section 6.1). It is used through the calls of a
/// [`UdpSocket`]; ports mean nothing.
///
/// # Errors
/// The error of the call that failed, with its name.
pub fn open_icmpv6(interface: &str, group: Ipv6Addr) -> io::Result<UdpSocket> {
    let fd = socket(AddressFamily::Inet6, SockType::Raw, SockFlag::SOCK_CLOEXEC, SockProtocol::IcmpV6)
        .map_err(named("socket"))?;
    setsockopt(&fd, sockopt::BindToDevice, &interface.into()).map_err(named("SO_BINDTODEVICE"))?;
    setsockopt(&fd, sockopt::Ipv6Ttl, &255).map_err(named("IPV6_UNICAST_HOPS"))?;
    setsockopt(&fd, sockopt::Ipv6MulticastHops, &255).map_err(named("IPV6_MULTICAST_HOPS"))?;
    let socket = UdpSocket::from(fd);
    socket.join_multicast_v6(&group, if_nametoindex(interface).map_err(named("if_nametoindex"))?)?;
    Ok(socket)
}

fn named(call: &'static str) -> impl Fn(Errno) -> io::Error {
    move |e| io::Error::new(io::Error::from(e).kind(), format!("{call}: {}", e.desc()))
}

/// A datagram's origin and destination.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Datagram {
    /// Bytes received into the buffer.
    pub len: usize,
    /// Who sent it.
    pub from: SocketAddrV4,
    /// The address of ours (or the broadcast address) it was sent to.
    pub to: Ipv4Addr,
}

/// Receives one datagram on a socket of [`open_udp`]; one longer than `buf` is cut.
///
/// # Errors
/// As recvmsg(2); `WouldBlock` when the socket does not block, or its read limit ran out.
pub fn receive(socket: &impl AsFd, buf: &mut [u8]) -> io::Result<Datagram> {
    receive_with(socket, buf, MsgFlags::empty())
}

/// Like [`receive`], but never waits, whatever the socket does: `WouldBlock` when there is nothing.
///
/// # Errors
/// As recvmsg(2).
pub fn receive_queued(socket: &impl AsFd, buf: &mut [u8]) -> io::Result<Datagram> {
    receive_with(socket, buf, MsgFlags::MSG_DONTWAIT)
}

fn receive_with(socket: &impl AsFd, buf: &mut [u8], flags: MsgFlags) -> io::Result<Datagram> {
    let mut iov = [IoSliceMut::new(buf)];
    let mut control = nix::cmsg_space!(nix::libc::in_pktinfo);
    let got = recvmsg::<SockaddrIn>(socket.as_fd().as_raw_fd(), &mut iov, Some(&mut control), flags)?;
    let to = got.cmsgs()?.find_map(|message| match message {
        ControlMessageOwned::Ipv4PacketInfo(info) => Some(Ipv4Addr::from(info.ipi_addr.s_addr.to_ne_bytes())),
        _ => None,
    });
    let from = got.address.ok_or_else(|| io::Error::other("a datagram without a source address"))?;
    Ok(Datagram { len: got.bytes, from: from.into(), to: to.unwrap_or(Ipv4Addr::UNSPECIFIED) })
}

/// Sends one datagram from our address `from` (whatever the routing table would have chosen).
///
/// # Errors
/// As sendmsg(2).
pub fn send(socket: &impl AsFd, bytes: &[u8], from: Ipv4Addr, to: SocketAddrV4) -> io::Result<()> {
    let info = nix::libc::in_pktinfo {
        ipi_ifindex: 0,
        ipi_spec_dst: nix::libc::in_addr { s_addr: u32::from_ne_bytes(from.octets()) },
        ipi_addr: nix::libc::in_addr { s_addr: 0 },
    };
    sendmsg(
        socket.as_fd().as_raw_fd(),
        &[IoSlice::new(bytes)],
        &[ControlMessage::Ipv4PacketInfo(&info)],
        MsgFlags::empty(),
        Some(&SockaddrIn::from(to)),
    )?;
    Ok(())
}

/// The largest packet that `interface` carries, in bytes.
///
/// # Errors
/// When there is no such interface.
pub fn mtu(interface: &str) -> io::Result<usize> {
    let text = std::fs::read_to_string(format!("/sys/class/net/{interface}/mtu"))?;
    text.trim().parse().map_err(io::Error::other)
}

/// Sends one datagram, gathered from `parts`, on a connected socket.
///
/// # Errors
/// As sendmsg(2).
pub fn send_parts(socket: &impl AsFd, parts: &[IoSlice<'_>]) -> io::Result<()> {
    sendmsg::<SockaddrIn>(socket.as_fd().as_raw_fd(), parts, &[], MsgFlags::empty(), None)?;
    Ok(())
}

/// Sends many datagrams of `size` bytes each (the last may be shorter), gathered from `parts`, in one call on a
/// connected socket: the kernel or the card cuts them apart (`UDP_SEGMENT`, udp(7)). At most 64 of them, and 65,507
/// bytes in all.
///
/// # Errors
/// As sendmsg(2); `EIO` and `EINVAL` where this interface cannot do it.
pub fn send_segments(socket: &impl AsFd, parts: &[IoSlice<'_>], size: u16) -> io::Result<()> {
    let control = [ControlMessage::UdpGsoSegments(&size)];
    sendmsg::<SockaddrIn>(socket.as_fd().as_raw_fd(), parts, &control, MsgFlags::empty(), None)?;
    Ok(())
}

/// The IPv4 addresses of `interface` with their prefix lengths; `None` when there is no such interface.
///
/// # Errors
/// As getifaddrs(3).
pub fn ipv4_addresses(interface: &str) -> io::Result<Option<Vec<(Ipv4Addr, u8)>>> {
    let mut found = None;
    for entry in getifaddrs()?.filter(|entry| entry.interface_name == interface) {
        let addresses: &mut Vec<_> = found.get_or_insert_default();
        let address = entry.address.as_ref().and_then(|a| a.as_sockaddr_in()).map(SockaddrIn::ip);
        let mask = entry.netmask.as_ref().and_then(|a| a.as_sockaddr_in()).map(SockaddrIn::ip);
        if let (Some(address), Some(mask)) = (address, mask) {
            #[allow(clippy::cast_possible_truncation)] // at most 32
            addresses.push((address, mask.to_bits().count_ones() as u8));
        }
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_loopback_interface_has_its_address_and_another_has_none() {
        assert!(ipv4_addresses("lo").unwrap().unwrap().contains(&(Ipv4Addr::LOCALHOST, 8)));
        assert_eq!(ipv4_addresses("no-such-if").unwrap(), None);
        assert!(mtu("lo").unwrap() >= 1500 && mtu("no-such-if").is_err());
    }

    #[test]
    fn a_datagram_tells_which_address_it_was_sent_to_and_leaves_from_the_one_asked_for() {
        let open = |ip: [u8; 4]| {
            let local = SocketAddrV4::new(ip.into(), 0);
            open_udp(UdpOptions { interface: "lo", local, receive_buffer: 1 << 16 }).unwrap()
        };
        let port = |socket: &UdpSocket| socket.local_addr().unwrap().port();
        let (any, one) = (open([0, 0, 0, 0]), open([127, 0, 0, 1]));
        let to = Ipv4Addr::new(127, 0, 0, 9);
        send(&one, b"hello", Ipv4Addr::LOCALHOST, SocketAddrV4::new(to, port(&any))).unwrap();
        let mut buf = [0; 16];
        let got = receive(&any, &mut buf).unwrap();
        assert_eq!((&buf[..got.len], got.to, got.from.port()), (b"hello".as_slice(), to, port(&one)));
        let nothing = receive_queued(&any, &mut [0; 16]).unwrap_err();
        assert_eq!(nothing.kind(), io::ErrorKind::WouldBlock);
        send(&any, b"back", to, got.from).unwrap();
        assert_eq!(*receive(&one, &mut buf).unwrap().from.ip(), to);
    }

    #[test]
    fn one_call_sends_many_datagrams() {
        let (from, to) = (UdpSocket::bind("127.0.0.1:0").unwrap(), UdpSocket::bind("127.0.0.1:0").unwrap());
        from.connect(to.local_addr().unwrap()).unwrap();
        let parts = [b"ab".as_slice(), b"cde", b"fghij", b"k", b"l"].map(IoSlice::new);
        send_segments(&from, &parts, 5).unwrap();
        send_parts(&from, &parts[..2]).unwrap();
        let mut buf = [0; 16];
        for wanted in ["abcde", "fghij", "kl", "abcde"] {
            let len = to.recv(&mut buf).unwrap();
            assert_eq!(std::str::from_utf8(&buf[..len]), Ok(wanted));
        }
    }

    #[test]
    fn an_interface_that_is_not_there_is_refused_by_the_call_that_named_it() {
        let local = SocketAddrV4::new(Ipv4Addr::UNSPECIFIED, 0);
        let err = open_udp(UdpOptions { interface: "no-such-if", local, receive_buffer: 1 }).unwrap_err();
        assert!(err.to_string().contains("SO_BINDTODEVICE"), "{err}");
    }
}
