//! Sockets for multicast DNS (RFC 6762): one interface and one IP version each. They are bound to the group's address, so
//! that they hear what was sent to the group on that link and nothing else, and share the port with other responders.

use std::io;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr, SocketAddrV4, SocketAddrV6, UdpSocket};
use std::os::fd::AsRawFd;

use nix::errno::Errno;
use nix::net::if_::if_nametoindex;
use nix::sys::socket::{AddressFamily, SockFlag, SockType, SockaddrIn, bind, setsockopt, socket, sockopt};

use crate::net6;

/// The port (RFC 6762 section 3).
pub const PORT: u16 = 5353;
/// The group for IPv4.
pub const GROUP4: Ipv4Addr = Ipv4Addr::new(224, 0, 0, 251);
/// The group for IPv6 on one link.
pub const GROUP6: Ipv6Addr = Ipv6Addr::new(0xff02, 0, 0, 0, 0, 0, 0, 0xfb);

/// Hop limit of what is sent (RFC 6762 section 11).
const HOPS: u32 = 255;

/// A socket, and where it sends.
#[derive(Debug)]
pub struct Door {
    /// The socket; it does not block.
    pub socket: UdpSocket,
    /// The group, on its interface.
    pub group: SocketAddr,
}

/// Opens one for IPv4 on the interface that has `address`.
///
/// # Errors
/// The error of the call that failed, with its name.
pub fn open_v4(interface: &str, address: Ipv4Addr) -> io::Result<Door> {
    let fd = socket(AddressFamily::Inet, SockType::Datagram, SockFlag::SOCK_CLOEXEC, None)
        .map_err(named("socket"))?;
    setsockopt(&fd, sockopt::ReuseAddr, &true).map_err(named("SO_REUSEADDR"))?;
    setsockopt(&fd, sockopt::BindToDevice, &interface.into()).map_err(named("SO_BINDTODEVICE"))?;
    let local = SocketAddrV4::new(GROUP4, PORT);
    bind(fd.as_raw_fd(), &SockaddrIn::from(local)).map_err(named("bind"))?;
    let socket = UdpSocket::from(fd);
    socket.join_multicast_v4(&GROUP4, &address)?;
    socket.set_multicast_ttl_v4(HOPS)?;
    socket.set_nonblocking(true)?;
    Ok(Door { socket, group: local.into() })
}

/// Opens one for IPv6 on an interface.
///
/// # Errors
/// The error of the call that failed, with its name.
pub fn open_v6(interface: &str) -> io::Result<Door> {
    let scope = index(interface)?;
    let socket = net6::open_udp(interface, GROUP6, PORT)?;
    let hops = i32::try_from(HOPS).unwrap_or(i32::MAX); // 255
    setsockopt(&socket, sockopt::Ipv6MulticastHops, &hops).map_err(named("IPV6_MULTICAST_HOPS"))?;
    socket.set_nonblocking(true)?;
    Ok(Door { socket, group: SocketAddrV6::new(GROUP6, PORT, 0, scope).into() })
}

/// The number of an interface: another one that gets its name has another.
///
/// # Errors
/// As if_nametoindex(3).
pub fn index(interface: &str) -> io::Result<u32> {
    if_nametoindex(interface).map_err(named("if_nametoindex"))
}

fn named(call: &'static str) -> impl Fn(Errno) -> io::Error {
    move |e| io::Error::new(io::Error::from(e).kind(), format!("{call}: {}", e.desc()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sockets_of_several_responders_share_the_port() {
        let [one, two] = [(); 2].map(|()| open_v4("lo", Ipv4Addr::LOCALHOST).unwrap());
        assert_eq!((one.group, two.group), ("224.0.0.251:5353".parse().unwrap(), one.group));
        assert!(open_v6("lo").is_ok());
        let err = open_v4("no-such-if", Ipv4Addr::LOCALHOST).unwrap_err();
        assert!(err.to_string().contains("SO_BINDTODEVICE"), "{err}");
    }
}
